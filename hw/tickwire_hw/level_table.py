"""Level table: what is kept of a price level, its key and its hash (kernel ``level_table``).

``HashedTable`` holds the levels of all books, ``Commit`` changes them. A level is ``orders`` and
``shares``; it is there while it has orders.
"""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import (
    LEVEL_FULL,
    LEVEL_LEFT_MULTIPLIER,
    LEVEL_RIGHT_MULTIPLIER,
    ONE_ORDER,
    SHARE_LIMIT,
    Geometry,
)
from tickwire_hw.order_table import PRICE

HASH_AGE = 3
"""Cycles from a key to its buckets."""
LEVEL = data.StructLayout({"shares": SHARE_LIMIT.bit_length(),
                           "orders": 64 - SHARE_LIMIT.bit_length()})
"""What is kept of a level: one 64-bit number, ``orders << 40 | shares``."""
assert 1 << LEVEL["orders"].offset == ONE_ORDER
CHANGE = data.StructLayout({"side": 1, "price": PRICE, "value": LEVEL})
"""A level as an operation left it; ``value`` is 0 when it is gone."""
_FULL_FROM = (LEVEL_FULL & -LEVEL_FULL).bit_length() - 1
assert LEVEL_FULL + (1 << _FULL_FROM) - 1 == SHARE_LIMIT     # so these bits are all set, or not
_HALF = 16                                  # bits of one factor of a multiplier block


def level_key(geometry: Geometry) -> data.StructLayout:
    """Layout of a level's key; instruments are below ``geometry.instruments``."""
    return data.StructLayout({"price": PRICE, "side": 1,
                              "instrument": max(1, ceil_log2(geometry.instruments))})


def is_full(level: data.View) -> Value:
    """Whether a level has so many shares that it takes no more orders."""
    return level.shares[_FULL_FROM:].all()


class LevelHash(wiring.Component):
    """Buckets of a level, by two multiplications in pieces of 16 bits. Latency 3 cycles.

    Members
    -------
    key : ``In(level_key(geometry))``
        Key of a level, one in every cycle.
    left, right : ``Out(levels_log2)``
        The kernel's buckets of it.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._bits = geometry.levels_log2
        super().__init__({"key": In(level_key(geometry)), "left": Out(self._bits),
                          "right": Out(self._bits)})

    def elaborate(self, platform):
        """Return six multipliers between registers."""
        m = Module()

        mixed = Signal(2 * _HALF)
        m.d.sync += mixed.eq(self.key.price ^ Cat(self.key.side, self.key.instrument) << _HALF - 1)
        low, high = mixed[:_HALF], mixed[_HALF:]
        for bucket, multiplier in ((self.left, LEVEL_LEFT_MULTIPLIER),
                                   (self.right, LEVEL_RIGHT_MULTIPLIER)):
            low_low, low_high, high_low = Signal(2 * _HALF), Signal(_HALF), Signal(_HALF)
            upper = multiplier >> _HALF
            lower = multiplier & (1 << _HALF) - 1
            m.d.sync += [low_low.eq(low * lower), low_high.eq(low * upper),
                         high_low.eq(high * lower)]
            product = Cat(low_low[:_HALF], (low_low[_HALF:] + low_high + high_low)[:_HALF])
            m.d.sync += bucket.eq(product[-self._bits:])

        return m
