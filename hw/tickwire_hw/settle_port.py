"""What passes into and out of :class:`tickwire_hw.settle.Settle`."""

from amaranth.lib import data

from tickwire.spec.intents import SETTLE
from tickwire_hw.order_rows import AMOUNT, TOKEN
from tickwire_hw.records import line_layout

SETTLE_LAYOUT = line_layout(SETTLE)


class Settled(data.Struct):
    """Strobes for counters of the same names."""

    settle_unknown: 1
    settle_mismatch: 1
    replaces_lapsed: 1
    orders_accepted: 1
    orders_canceled: 1
    orders_rejected: 1
    orders_replaced: 1
    fills: 1


class Filled(data.Struct):
    """A fill, for those who wait for it."""

    token: TOKEN
    instrument: 16
    quantity: AMOUNT
