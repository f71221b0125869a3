"""Triggers: orders that the host armed and that the device fires when a record says so.

A slot is armed once and fires once: it is disarmed as it fires, whatever the gate then says
(FILL_HEDGE alone fires until its quantity is used up). Arming asks the gate for what does not
change until it fires; firing asks it for everything. A slot's generation rises with each arming,
so that host and device never mean different orders. A kill disarms all of them.

What decides is the record that the host gets: a BBO record for prices and sizes, a TRADE record for
prints, the fill of an order. Records are looked at in order, by the slots that wait for what they
tell, from the first on; a slot whose time is over is disarmed then. A book that is not to be
believed fires nothing.
"""

import numpy as np

from tickwire.kernels.entry import cancel, enter_new, request_of
from tickwire.kernels.explain import explain
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    copy64,
    load8,
    load16,
    load32,
    load64,
    low_bit,
    store8,
    store32,
    store64,
    unlikely,
    view,
)
from tickwire.kernels.order_layout import (
    TRIGGER_BLOCK,
    TRIGGER_HEAD,
    TRIGGER_ROW,
    firm_at,
    order_at,
    orders_at,
    request_at,
    risk_at,
    trigger_at,
    trigger_head_at,
)
from tickwire.kernels.order_records import record_error, record_reject, record_trigger
from tickwire.kernels.orders import find, instrument_of
from tickwire.kernels.ring import count, room
from tickwire.kernels.risk import check
from tickwire.spec.checks import STATIC
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import (
    INTENT,
    TRIGGER,
    TRIGGERS,
    IntentError,
    IntentFlag,
    Operation,
    TriggerEvent,
    TriggerKind,
)
from tickwire.spec.orders import FIRE_RECORDS, RESERVED_RECORDS
from tickwire.spec.records import BBO, TRADE, BookFlag, RecordType, TradeFlag
from tickwire.spec.render import dtype

_bbo_at = view(dtype(BBO))
_trade_at = view(dtype(TRADE))

(_TIMESTAMP, _ID, _LOCATE, _OPERATION, _FLAGS, _QUANTITY, _TOKEN, _KIND, _SLOT, _GROUP,
 _GENERATION, _TTL, _PRICE, _SHARES) = (TRIGGER.field(name)[1] for name in (
     "timestamp", "intent_id", "locate", "operation", "flags", "quantity", "token", "kind", "slot",
     "group", "generation", "ttl_ns", "trigger_price", "trigger_quantity"))
_VERSION, _LAG, _RESERVED = (INTENT.field(name)[1] for name in ("book_version", "max_version_lag",
                                                               "reserved_1"))
assert [INTENT.field(name)[1:] for name in ("price", "quantity", "token", "ttl_ns", "session")] == [
    TRIGGER.field(name)[1:] for name in ("price", "quantity", "token", "ttl_ns", "session")]
_TAKE, _CROSS, _JOIN, _SIZE, _TRADE_THROUGH, _CANCEL_ON_MOVE, _FILL_HEDGE = (
    kind.value for kind in TriggerKind)
_ARMED, _FIRED, _DISARMED, _EXPIRED, _OF_GROUP = (event.value for event in TriggerEvent)
_NEW, _CANCEL = Operation.NEW.value, Operation.CANCEL.value
_SELL = IntentFlag.SELL.value
_BAD_SLOT = IntentError.TRIGGER_SLOT.value
_BAD_KIND = IntentError.TRIGGER_KIND.value
_BAD_GENERATION = IntentError.TRIGGER_GENERATION.value
_UNKNOWN_ORDER = IntentError.UNKNOWN_ORDER.value
_UNKNOWN_INSTRUMENT = IntentError.UNKNOWN_INSTRUMENT.value
_COUNT_ARMED = CounterIndex.TRIGGERS_ARMED.value
_COUNT_FIRED = CounterIndex.TRIGGERS_FIRED.value
_COUNT_DISARMED = CounterIndex.TRIGGERS_DISARMED.value
_IS_BBO, _IS_TRADE = RecordType.BBO.value, RecordType.TRADE.value
_PRINTABLE = TradeFlag.PRINTABLE.value
_BROKEN = TradeFlag.BROKEN.value
_UNSURE = (BookFlag.RECOVERING | BookFlag.STALE | BookFlag.DESYNCED | BookFlag.BID_HIDDEN
           | BookFlag.ASK_HIDDEN).value
_HEAD, _ROW = TRIGGER_HEAD.itemsize, TRIGGER_ROW.itemsize
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def _block(orders, instrument):
    return orders_at(orders)["triggers"] + TRIGGER_BLOCK * instrument


@kernel(inline=True)
def _row(orders, instrument, slot):
    return _block(orders, instrument) + _HEAD + _ROW * slot


@kernel(inline=True)
def _is_armed(orders, instrument, slot):
    """Whether the slot is armed, and was under the present arming."""
    head = trigger_head_at(_block(orders, instrument))
    return (head["armed"] >> slot & 1 != 0
            and trigger_at(_row(orders, instrument, slot))["epoch"] == orders_at(orders)["epoch"])


@kernel(inline=True)
def _clear(orders, instrument, slot):
    head = trigger_head_at(_block(orders, instrument))
    orders_at(orders)["armed"] -= head["armed"] >> slot & 1
    head["armed"] &= ~(1 << slot)
    head["hedges"] &= ~(1 << slot)


@kernel
def _drop(orders, instrument, slot, event, now):
    """Disarm a slot that has not fired."""
    _clear(orders, instrument, slot)
    count(orders_at(orders)["counters"], _COUNT_DISARMED)
    record_trigger(orders, _row(orders, instrument, slot), slot, event, 0, 0, now)


@kernel(inline=True)
def _is_due(orders, instrument, slot, now):
    """Whether an armed slot may fire; one of an earlier arming or past its time is disarmed."""
    deadline = trigger_at(_row(orders, instrument, slot))["deadline"]
    if not _is_armed(orders, instrument, slot):
        _clear(orders, instrument, slot)
        return False
    if deadline != 0 and now > deadline:
        _drop(orders, instrument, slot, _EXPIRED, now)
        return False
    return True


@kernel(inline=True)
def _is_unknown(orders, kind, token, instrument):
    """Whether the trigger is about an order that is not there; a fill is one of its instrument."""
    if kind < _CANCEL_ON_MOVE:
        return False
    address = find(orders, token)
    return address == 0 or (kind == _FILL_HEDGE
                            and np.int64(order_at(address)["instrument"]) != instrument)


@kernel
def pre_arm(orders, intent, instrument, now):
    """Arm the slot that the intent names; session, strategy, flags and age have been looked at."""
    o = orders_at(orders)
    slot, kind = load8(intent + _SLOT), load8(intent + _KIND)
    token = load32(intent + _TOKEN)
    if unlikely(slot >= TRIGGERS):
        record_error(orders, intent, _BAD_SLOT, TRIGGERS - 1, slot, now)
        return
    if unlikely(kind < _TAKE or kind > _FILL_HEDGE):
        record_error(orders, intent, _BAD_KIND, _FILL_HEDGE, kind, now)
        return
    row = _row(orders, instrument, slot)
    t = trigger_at(row)
    generation = load32(intent + _GENERATION)
    expected = np.int64(t["generation"]) + 1 & _U32
    if unlikely(generation != expected):
        record_error(orders, intent, _BAD_GENERATION, expected, generation, now)
        return
    if unlikely(_is_unknown(orders, kind, token, instrument)):
        record_error(orders, intent, _UNKNOWN_ORDER, 0, token, now)
        return
    flags = load8(intent + _FLAGS)
    decided = load64(intent + _TIMESTAMP)
    if kind != _CANCEL_ON_MOVE:
        request_of(orders, intent, instrument, decided)
        mask = check(o["risk"], o["request"], now) & STATIC
        hard = mask & ~np.int64(firm_at(risk_at(o["risk"])["limits"])["soft_checks"])
        if hard != 0:
            explain(o["risk"], o["request"], hard, now)
            record_reject(orders, intent, mask, load16(intent + _LOCATE), flags, now)
            return
    ttl = load32(intent + _TTL)
    copy64(row, intent)
    store8(row + _OPERATION, _CANCEL if kind == _CANCEL_ON_MOVE else _NEW)
    store32(row + _VERSION, 0)
    store32(row + _LAG, 0)
    store32(row + _TTL, 0)
    store32(row + _RESERVED, 0)
    store32(row + _RESERVED + 4, 0)
    if kind == _CANCEL_ON_MOVE:
        store32(row + _QUANTITY, 0)
    t["generation"] = generation
    t["trigger_price"] = load32(intent + _PRICE)
    t["trigger_quantity"] = load32(intent + _SHARES)
    t["decided"] = decided
    t["deadline"] = decided + ttl if ttl != 0 else 0
    t["epoch"] = o["epoch"]
    t["token"] = token
    t["kind"] = kind
    t["group"] = load8(intent + _GROUP)
    t["is_sell"] = flags & _SELL
    _clear(orders, instrument, slot)
    o["armed"] += 1
    head = trigger_head_at(_block(orders, instrument))
    head["armed"] |= 1 << slot
    if kind == _FILL_HEDGE:
        head["hedges"] |= 1 << slot
    count(o["counters"], _COUNT_ARMED)
    record_trigger(orders, row, slot, _ARMED, 0, 0, now)


@kernel
def disarm(orders, intent, now):
    """Disarm the slot that the intent names, if it has the generation that the intent names."""
    locate, slot = load16(intent + _LOCATE), load8(intent + _SLOT)
    instrument = instrument_of(orders, locate)
    if unlikely(instrument < 0):
        record_error(orders, intent, _UNKNOWN_INSTRUMENT, 0, locate, now)
        return
    if unlikely(slot >= TRIGGERS):
        record_error(orders, intent, _BAD_SLOT, TRIGGERS - 1, slot, now)
        return
    expected = np.int64(trigger_at(_row(orders, instrument, slot))["generation"])
    generation = load32(intent + _GENERATION)
    if unlikely(not _is_armed(orders, instrument, slot) or generation != expected):
        record_error(orders, intent, _BAD_GENERATION, expected, generation, now)
        return
    _drop(orders, instrument, slot, _DISARMED, now)


@kernel(inline=True)
def _reaches(price, bound, is_sell):
    """Whether an opposite price is at ``bound`` or better for the order; no price never is."""
    return price != 0 and (price >= bound if is_sell else price <= bound)


@kernel
def _holds(row, record, is_bbo):
    """Whether the record is what the trigger waits for."""
    t = trigger_at(row)
    kind, is_sell = t["kind"], t["is_sell"] != 0
    bound = np.int64(t["trigger_price"])
    if not is_bbo:
        price = np.int64(_trade_at(record)["price"])
        return kind == _TRADE_THROUGH and (price < bound if is_sell else price > bound)
    b = _bbo_at(record)
    opposite = np.int64(b["bid_price"] if is_sell else b["ask_price"])
    shares = np.int64(b["bid_quantity"] if is_sell else b["ask_quantity"])
    own = np.int64(b["ask_price"] if is_sell else b["bid_price"])
    if kind == _TAKE or kind == _CANCEL_ON_MOVE:
        return _reaches(opposite, bound, is_sell) and shares >= t["trigger_quantity"]
    if kind == _CROSS:
        return opposite != 0 and (opposite <= bound if is_sell else opposite >= bound)
    if kind == _JOIN:
        return own != 0 and (own <= bound if is_sell else own >= bound)
    if kind == _SIZE:
        return opposite == bound and bound != 0 and shares <= t["trigger_quantity"]
    return False


@kernel(inline=True)
def _is_telling(record, is_bbo):
    """Whether the record is one that may fire: a book to be believed, or a printed trade."""
    if is_bbo:
        return np.int64(_bbo_at(record)["flags"]) & _UNSURE == 0
    return np.int64(_trade_at(record)["flags"]) & (_PRINTABLE | _BROKEN) == _PRINTABLE


@kernel
def _fire(orders, instrument, slot, quantity, stamp, sequence, now):
    """Fire a slot for ``quantity`` shares; returns the octets that leave."""
    o = orders_at(orders)
    row = _row(orders, instrument, slot)
    t = trigger_at(row)
    left = 0
    if t["kind"] == _FILL_HEDGE:
        left = load32(row + _QUANTITY) - quantity
    if left == 0:
        _clear(orders, instrument, slot)
    count(o["counters"], _COUNT_FIRED)
    store64(row + _TIMESTAMP, stamp)
    if t["kind"] == _CANCEL_ON_MOVE:
        token = t["token"]
        octets = cancel(orders, row, now)
    else:
        store32(row + _QUANTITY, quantity)
        octets = enter_new(orders, row, instrument, t["decided"], now)
        token = request_at(o["request"])["has_place"]
    record_trigger(orders, row, slot, _FIRED, token if octets > 0 else 0, sequence, now)
    if left != 0:
        store32(row + _QUANTITY, left)
    group = t["group"]
    if group != 0:
        others = trigger_head_at(_block(orders, instrument))["armed"] & ~(1 << slot)
        while others != 0:
            other = low_bit(others)
            others &= others - 1
            if (trigger_at(_row(orders, instrument, other))["group"] == group
                    and _is_armed(orders, instrument, other)):
                _drop(orders, instrument, other, _OF_GROUP, now)
    return octets


@kernel(inline=True)
def _is_killed(orders):
    return risk_at(orders_at(orders)["risk"])["killed"] != 0


@kernel
def observe(orders, record, kind, slot, now):
    """Fire the next trigger, from ``slot`` on, that a market record sets off: a BBO or a TRADE.

    Returns (octets that leave from ``tx``, slot to go on with); -1 for the slot when there is no
    other. While the order ring has no room nothing fires; what then holds may fire later.
    """
    is_bbo = kind == _IS_BBO
    if not is_bbo and kind != _IS_TRADE:
        return 0, -1
    locate = np.int64(_bbo_at(record)["locate"] if is_bbo else _trade_at(record)["locate"])
    instrument = instrument_of(orders, locate)
    if instrument < 0:
        return 0, -1
    head = trigger_head_at(_block(orders, instrument))
    waiting = head["armed"] & ~head["hedges"] & ~((1 << slot) - 1)
    if (waiting == 0 or _is_killed(orders) or not _is_telling(record, is_bbo)
            or room(orders_at(orders)["ring"]) < FIRE_RECORDS + RESERVED_RECORDS):
        return 0, -1
    while waiting != 0:
        slot = low_bit(waiting)
        waiting &= waiting - 1
        row = _row(orders, instrument, slot)
        # A card looks ahead at best levels past a print that no slot waits for.
        if (trigger_at(row)["kind"] == _TRADE_THROUGH) == is_bbo:
            continue
        if _is_due(orders, instrument, slot, now) and _holds(row, record, is_bbo):
            octets = _fire(orders, instrument, slot, load32(row + _QUANTITY), load64(record),
                           load64(record + 8), now)
            return octets, slot + 1
    return 0, -1


@kernel
def hedge(orders, slot, now):
    """Fire the next hedge, from ``slot`` on, of the fill that was settled last.

    Returns as :func:`observe` does; ``filled_quantity`` is 0 when nothing was filled.
    """
    o = orders_at(orders)
    shares, instrument = o["filled_quantity"], o["filled_instrument"]
    if shares == 0:
        return 0, -1
    waiting = trigger_head_at(_block(orders, instrument))["hedges"] & ~((1 << slot) - 1)
    while waiting != 0 and not _is_killed(orders):
        slot = low_bit(waiting)
        waiting &= waiting - 1
        row = _row(orders, instrument, slot)
        if _is_due(orders, instrument, slot, now) and trigger_at(row)["token"] == o["filled_token"]:
            octets = _fire(orders, instrument, slot, min(shares, load32(row + _QUANTITY)), now, 0,
                           now)
            return octets, slot + 1
    o["filled_quantity"] = 0
    return 0, -1
