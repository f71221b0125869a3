"""Order table: what is kept of an order, and where (kernel ``order_table``).

``HashedTable`` holds it, ``Commit`` changes it. Both hashes can be inverted: a bucket and the bits
of the reference above ``orders_log2`` give the reference. So only these are kept, and a match is
exact.
"""

from amaranth.lib import data
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry

REFERENCE = 64
SHARES = 32
PRICE = 31                                  # what is 2^31 or more is no price of an order


def left_bucket(reference, buckets_log2: int):
    """Left bucket of an order, as the kernel's; for integers and for signals."""
    folded = reference ^ reference >> buckets_log2 ^ reference >> 2 * buckets_log2
    return _low(folded, buckets_log2)


def right_bucket(reference, buckets_log2: int):
    """Right bucket of an order, as the kernel's; for integers and for signals."""
    mixed = reference ^ reference >> 3 ^ reference >> buckets_log2 + 2
    folded = (mixed ^ mixed >> buckets_log2 ^ mixed >> 2 * buckets_log2
              ^ mixed >> 3 * buckets_log2)
    return _low(folded, buckets_log2)


def _low(value, bits: int):
    return value & (1 << bits) - 1 if isinstance(value, int) else value[:bits]


def order_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what is kept of an order; instruments are below ``geometry.instruments``."""
    return data.StructLayout({"shares": SHARES, "price": PRICE, "side": 1,
                              "instrument": max(1, ceil_log2(geometry.instruments))})
