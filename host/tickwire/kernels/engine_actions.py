"""What a strategy can do and ask, in one line each.

A strategy's function gets three addresses: its context ``c``, the record, and ``out``, where
intents go. It returns how many it wrote; every action below takes that number and returns the
next one::

    @handler
    def quote(c, record, out):
        count = 0
        count = new_order(c, out, count, instrument_of(c), BUY, price, quantity)
        return count
"""

import numpy as np

from tickwire.kernels.engine_layout import (
    OUT_SLOTS,
    POSITION_SIZE,
    intent_at,
    position_at,
    strategy_at,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load32, store64, view
from tickwire.spec.intents import (
    INTENT,
    TRIGGER,
    TRIGGERS,
    IntentFlag,
    Operation,
    TriggerEvent,
    TriggerKind,
)
from tickwire.spec.records import (
    BBO,
    LEVEL,
    ORDER_ACCEPTED,
    ORDER_SENT,
    RECORD_SIZE,
    RISK_REJECT,
    STATE_LINE,
    STATUS,
    TRADE,
    TRAILER_OFFSET,
    BookFlag,
)
from tickwire.spec.records import (
    TRIGGER as TRIGGER_RECORD,
)
from tickwire.spec.render import dtype

BUY = 0
SELL = IntentFlag.SELL.value
SHORT = IntentFlag.SELL.value | IntentFlag.SHORT.value
IMMEDIATE = IntentFlag.IMMEDIATE.value
POST_ONLY = IntentFlag.POST_ONLY.value

TAKE, CROSS, JOIN, SIZE, TRADE_THROUGH, CANCEL_ON_MOVE, FILL_HEDGE = (
    kind.value for kind in TriggerKind)
ARMED, FIRED, DISARMED, EXPIRED, GROUP = (event.value for event in TriggerEvent)

bbo_at = view(dtype(BBO))
level_at = view(dtype(LEVEL))
trade_at = view(dtype(TRADE))
status_at = view(dtype(STATUS))
sent_at = view(dtype(ORDER_SENT))
answer_at = view(dtype(ORDER_ACCEPTED))    # accepted, filled, canceled, rejected, replaced
reject_at = view(dtype(RISK_REJECT))
trigger_at = view(dtype(TRIGGER_RECORD))
_armed_at = view(dtype(TRIGGER))
state_at = view(dtype(STATE_LINE))

_NEW = Operation.NEW.value
_CANCEL = Operation.CANCEL.value
_REPLACE = Operation.REPLACE.value
_MASS_CANCEL = Operation.MASS_CANCEL.value
_PRE_ARM = Operation.PRE_ARM.value
_DISARM = Operation.DISARM.value
_TYPE = TRAILER_OFFSET + 4
_TRADING = ord("T")
_UNSURE = (BookFlag.RECOVERING | BookFlag.STALE | BookFlag.DESYNCED | BookFlag.CROSSED
           | BookFlag.BID_HIDDEN | BookFlag.ASK_HIDDEN).value
_INTENT_SIZE = INTENT.size


@kernel(inline=True)
def record_type(record):
    """RecordType of the record."""
    return load8(record + _TYPE)


@kernel(inline=True)
def instrument_of(c):
    """Dense number of the record's instrument, -1 when it has none."""
    return strategy_at(c)["instrument"]


@kernel(inline=True)
def now_of(c):
    """Time of the call, ns since 1970."""
    return strategy_at(c)["now"]


@kernel(inline=True)
def row_of(c):
    """Address of the strategy's own row of the record's instrument."""
    return strategy_at(c)["row"]


@kernel(inline=True)
def row_at(c, instrument):
    """Address of the strategy's own row of ``instrument``."""
    s = strategy_at(c)
    return s["rows"] + s["row_size"] * instrument


@kernel(inline=True)
def parameters_of(c):
    """Address of the strategy's parameters."""
    return strategy_at(c)["parameters"]


@kernel(inline=True)
def position_of(c):
    """POSITION of the record's instrument: shares, open orders, tokens."""
    return position_at(strategy_at(c)["position"])


@kernel(inline=True)
def position_in(c, instrument):
    """POSITION of ``instrument``."""
    return position_at(strategy_at(c)["positions"] + POSITION_SIZE * instrument)


@kernel(inline=True)
def book_in(c, instrument):
    """STATE_LINE of ``instrument``: best prices and flags as of the newest message."""
    return state_at(strategy_at(c)["states"] + RECORD_SIZE * instrument)


@kernel(inline=True)
def sale(held, quantity):
    """Flag of a sale of ``quantity`` shares by who holds ``held``: SELL, or SHORT beyond them."""
    return SELL if held >= quantity else SHORT


@kernel(inline=True)
def is_tradable(b):
    """Whether a BBO or state line has both sides, is in trading state T and to be believed."""
    return (b["bid_price"] != 0 and b["ask_price"] != 0 and b["trading_state"] == _TRADING
            and np.int64(b["flags"]) & _UNSURE == 0)


@kernel(inline=True)
def _next(c, out, count, operation, instrument):
    """Address of intent number ``count``, cleared and begun; 0 when there is no room."""
    s = strategy_at(c)
    if count >= OUT_SLOTS:
        s["dropped"] += 1
        return 0
    address = out + count * _INTENT_SIZE
    for offset in range(0, _INTENT_SIZE, 8):
        store64(address + offset, 0)
    s["intent_id"] = s["intent_id"] % 0x7FFF_FFFF + 1
    i = intent_at(address)
    i["intent_id"] = s["intent_id"]
    i["operation"] = operation
    i["session"] = s["session"]
    i["strategy"] = s["strategy"]
    if instrument >= 0:
        i["locate"] = np.int64(position_at(s["positions"] + POSITION_SIZE * instrument)["locate"])
    return address


@kernel(inline=True)
def new_order(c, out, count, instrument, flags, price, quantity):
    """Enter an order: ``flags`` BUY, SELL or SHORT, with IMMEDIATE or POST_ONLY added."""
    address = _next(c, out, count, _NEW, instrument)
    if address == 0:
        return count
    i = intent_at(address)
    i["flags"] = flags
    i["price"] = price
    i["quantity"] = quantity
    return count + 1


@kernel(inline=True)
def replace_order(c, out, count, instrument, token, price, quantity, flags=0):
    """Replace the open order ``token``; ``quantity`` counts what it has executed already."""
    address = _next(c, out, count, _REPLACE, instrument)
    if address == 0:
        return count
    i = intent_at(address)
    i["flags"] = flags
    i["token"] = token
    i["price"] = price
    i["quantity"] = quantity
    return count + 1


@kernel(inline=True)
def cancel_order(c, out, count, token):
    """Cancel what is left of the open order ``token``; 0 does nothing."""
    if token == 0:
        return count
    address = _next(c, out, count, _CANCEL, -1)
    if address == 0:
        return count
    intent_at(address)["token"] = token
    return count + 1


@kernel(inline=True)
def cancel_all(c, out, count, instrument):
    """Cancel every open order of ``instrument``; of all for -1."""
    address = _next(c, out, count, _MASS_CANCEL, instrument)
    return count if address == 0 else count + 1


@kernel(inline=True)
def guard(out, count, book_version, versions, ttl_ns):
    """Have intent ``count`` - 1 refused when the book moved on by more than ``versions`` or time
    by more than ``ttl_ns``; 0 does not check."""
    i = intent_at(out + (count - 1) * _INTENT_SIZE)
    i["book_version"] = book_version
    i["max_version_lag"] = versions
    i["ttl_ns"] = ttl_ns


@kernel(inline=True)
def generation_of(c, instrument, slot):
    """Generation of a trigger slot, as the records told it last; 0 never armed."""
    return load32(strategy_at(c)["generations"] + 4 * (TRIGGERS * instrument + slot))


@kernel(inline=True)
def arm_trigger(c, out, count, instrument, slot, kind, trigger_price, trigger_quantity, flags,
                price, quantity):
    """Arm ``slot``, 0 to 15, of ``instrument``: the device enters the order when ``kind`` holds.

    Nothing more is armed in the slot until its TRIGGER record came. :func:`bind` adds a group, an
    order and a time to live.
    """
    address = _next(c, out, count, _PRE_ARM, instrument)
    if address == 0:
        return count
    t = _armed_at(address)
    t["flags"] = flags
    t["price"] = price
    t["quantity"] = quantity
    t["kind"] = kind
    t["slot"] = slot
    t["trigger_price"] = trigger_price
    t["trigger_quantity"] = trigger_quantity
    t["generation"] = np.uint32(generation_of(c, instrument, slot) + 1)
    return count + 1


@kernel(inline=True)
def bind(out, count, group, token, ttl_ns):
    """Give trigger ``count`` - 1 a group of which one cancels the others, the order that it cancels
    or whose fills it hedges, and a time to live; 0 for none."""
    t = _armed_at(out + (count - 1) * _INTENT_SIZE)
    t["group"] = group
    t["token"] = token
    t["ttl_ns"] = ttl_ns


@kernel(inline=True)
def disarm_trigger(c, out, count, instrument, slot):
    """Disarm ``slot`` of ``instrument``."""
    address = _next(c, out, count, _DISARM, instrument)
    if address == 0:
        return count
    t = _armed_at(address)
    t["slot"] = slot
    t["generation"] = generation_of(c, instrument, slot)
    return count + 1
