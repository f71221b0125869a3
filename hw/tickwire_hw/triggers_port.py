"""What passes into and out of :class:`tickwire_hw.triggers.Triggers`."""

from amaranth.lib import data

from tickwire.spec.intents import TRIGGER, TRIGGERS, TriggerKind
from tickwire.spec.limits import STRATEGIES
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.intent_window import INTENT_LAYOUT
from tickwire_hw.records import line_layout
from tickwire_hw.risk_port import Checked

TRIGGER_LAYOUT = line_layout(TRIGGER)
assert TRIGGER_LAYOUT.size == INTENT_LAYOUT.size
SLOT = range(TRIGGERS)
KIND = range(max(TriggerKind) + 1)


class Condition(data.Struct):
    """What a slot waits for."""

    kind: KIND
    is_sell: 1
    group: 8
    price: 32
    quantity: 32                           # shares; of FILL_HEDGE the order whose fills count
    deadline: 64                           # 0 none


class Armed(data.Struct):
    """The order of a slot, and what its records tell (kernel ``order_layout.TRIGGER_ROW``)."""

    generation: 32                         # stays when the slot is disarmed
    intent_id: 32
    locate: 16
    flags: 4
    price: 32
    quantity: 32
    token: 32
    session: range(SESSIONS_MAX)
    strategy: range(STRATEGIES)
    decided: 64                            # when it was armed, by the host's time stamp
    window_slot: 6                         # of the intent that armed it
    kind: KIND
    group: 8
    trigger_price: 32
    checked: Checked


class ArmWish(data.Struct):
    """PRE_ARM or DISARM, whose form was looked at."""

    intent: INTENT_LAYOUT                  # holds a ``TRIGGER_LAYOUT``
    window_slot: 6
    instrument: 16
    checked: Checked


class Sight(data.Struct):
    """What a market record shows of its instrument; of a trade its price alone, as ``bid``.

    One that ``is_early`` is what the record will show, and ``last`` the price of the trade that
    will be told before it, 0 for none.
    """

    is_early: 1
    last: 32
    is_trade: 1
    instrument: 16
    timestamp: 64
    sequence: 64
    bid: 32
    ask: 32
    bid_quantity: 32
    ask_quantity: 32


class Triggered(data.Struct):
    """Strobes for counters of the same names."""

    triggers_armed: 1
    triggers_fired: 1
    triggers_disarmed: 1
    triggers_missed: 1
