"""What triggers get: best levels some 40 cycles before the book's records, or that they wait."""

from amaranth.lib import data
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.feed_port import FLAGS_SHAPE
from tickwire_hw.order_table import PRICE
from tickwire_hw.touch import BESTS


def early_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of an answer to one order message of a watched instrument.

    ``bests``: both sides after the message, bids first. A side that ``is_known`` is what the book
    will show for this message; one that is not is known when the book's own record comes.
    ``is_touched``: the message may have changed ``side``. ``is_desynced``, ``feed_flags``: as far
    as the flags of the book are known by now; the feed's are always. ``letter`` is the message's
    type, ``sequence`` and ``stamp`` are its number and ingress time. ``is_repeated``: the
    message's best levels were told before; where these are known they are the same. ``traded``:
    of an execution of an order of the book the price that is the last one then; 0 where it does not
    print, or its own price is none.
    """
    return data.StructLayout({
        "instrument": max(1, ceil_log2(geometry.instruments)), "side": 1, "is_touched": 1,
        "bests": BESTS, "is_desynced": 1, "feed_flags": FLAGS_SHAPE, "letter": 8, "sequence": 64,
        "stamp": 64, "is_repeated": 1, "traded": PRICE})
