"""What passes into and out of :class:`tickwire_hw.entry.Entry`."""

from amaranth.lib import data, enum

from tickwire_hw.intent_window import Taken
from tickwire_hw.risk_port import Checked, Market


class Source(enum.Enum, shape=2):
    """Who asks for an order."""

    WINDOW = 0
    SWEEP = 1                              # a mass cancel: what cannot go is counted, not told
    TRIGGER = 2                            # its form was looked at when it was armed


class Wanted(data.Struct):
    """An order message that is asked for, or an error of the window."""

    taken: Taken
    source: Source
    decided: 64                            # what its age counts from: intent, or arming
    instrument: 16                         # of TRIGGER alone
    is_begun: 1                            # the gate has begun, with this market; of TRIGGER alone
    checked: Checked
    market: Market


class Seen(data.Struct):
    """What an instrument is like now, as its state line and its status tell."""

    market: Market
    version: 32
    symbol: 64                             # big-endian integer


class Entered(data.Struct):
    """Strobes for counters of the same names; ``soft`` is the mask of soft checks that failed."""

    intent_errors: 1
    risk_rejects: 1
    orders_sent: 1
    cancels_sent: 1
    replaces_sent: 1
    cancels_unsent: 1
    orders_lost: 1
    soft: 32


class SweepWish(data.Struct):
    """A mass cancel that an intent asks for."""

    is_all: 1
    instrument: 16
    intent_id: 32
    timestamp: 64
