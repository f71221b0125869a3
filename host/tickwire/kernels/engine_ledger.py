"""Ledger of the host: orders and positions, kept from the records of the order ring alone.

The device keeps its own for the risk gate; this one works with any device, and a test compares
the two. A row's ``version`` is odd while it is written, so that a reader in another process knows
a whole row.
"""

import numpy as np

from tickwire.kernels.engine_layout import (
    POSITION_SIZE,
    TOKEN,
    host_at,
    position_at,
    token_at,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    load8,
    load16,
    load32,
    load64,
    store32,
    store64,
    store64_release,
    view,
)
from tickwire.spec.checks import CHECKS
from tickwire.spec.intents import TRIGGER as TRIGGER_INTENT
from tickwire.spec.intents import TRIGGERS, WINDOW_SLOTS, IntentError, Operation
from tickwire.spec.records import (
    INTENT_ERROR,
    ORDER_ACCEPTED,
    ORDER_SENT,
    RISK_REJECT,
    TRAILER_OFFSET,
    TRIGGER,
    RecordType,
)
from tickwire.spec.render import dtype
from tickwire.spec.shared import ENGINE_STATUS

_sent_at = view(dtype(ORDER_SENT))
_trigger_at = view(dtype(TRIGGER))
_answer_at = view(dtype(ORDER_ACCEPTED))

_SENT = RecordType.ORDER_SENT.value
_ACCEPTED = RecordType.ORDER_ACCEPTED.value
_FILLED = RecordType.ORDER_FILLED.value
_CANCELED = RecordType.ORDER_CANCELED.value
_REJECTED = RecordType.ORDER_REJECTED.value
_REPLACED = RecordType.ORDER_REPLACED.value
_TRIGGER = RecordType.TRIGGER.value
_RISK_REJECT = RecordType.RISK_REJECT.value
_INTENT_ERROR = RecordType.INTENT_ERROR.value
_NEW = Operation.NEW.value
_CANCEL = Operation.CANCEL.value
_PRE_ARM, _DISARM = Operation.PRE_ARM.value, Operation.DISARM.value
_BUY = ord("B")
_REJECT_ID = RISK_REJECT.field("intent_id")[1]
_REJECT_CHECK = RISK_REJECT.field("check")[1]
_ERROR_ID, _ERROR_KIND, _ERROR_SLOT, _ERROR_EXPECTED = (
    INTENT_ERROR.field(name)[1] for name in ("intent_id", "error", "slot", "expected"))
_BAD_GENERATION = IntentError.TRIGGER_GENERATION.value
_INTENT_ID, _LOCATE, _OPERATION, _SLOT = (
    TRIGGER_INTENT.field(name)[1] for name in ("intent_id", "locate", "operation", "slot"))
_INTENT_SIZE = TRIGGER_INTENT.size
_FIRST_REASON = ENGINE_STATUS.field(f"rejects_{CHECKS[0].name}")[1]
_REASONS = len(CHECKS)
_TYPE = TRAILER_OFFSET + 4
_TOKEN_SIZE = TOKEN.itemsize
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def position_of(host, instrument):
    """Address of the POSITION of an instrument."""
    return host_at(host)["positions"] + POSITION_SIZE * instrument


@kernel(inline=True)
def instrument_of(host, locate):
    """Dense number of the instrument with stock ``locate``, -1 when it is not watched."""
    return load32(host_at(host)["locates"] + 4 * locate) - 1


@kernel(inline=True)
def token_row(host, token):
    """Address of the TOKEN row that ``token`` has or would have."""
    h = host_at(host)
    return h["tokens"] + (token & h["tokens_mask"]) * _TOKEN_SIZE


@kernel(inline=True)
def _begin(position):
    store64_release(position, load64(position) + 1)


@kernel(inline=True)
def _end(position):
    store64_release(position, load64(position) + 1)


@kernel
def _decided(host, intent_id):
    """The fate of an order is known: returns its instrument, or -1 when it was no order."""
    h = host_at(host)
    place = h["pending"] + 8 * (intent_id & (WINDOW_SLOTS - 1))
    held = load64(place)
    if held == 0 or held >> 32 != intent_id:
        return -1
    store64(place, 0)
    instrument = (held & 0xFFFF_FFFF) - 1
    p = position_at(position_of(host, instrument))
    p["pending"] -= np.uint32(1)
    return instrument


@kernel(inline=True)
def note_pending(host, intent_id, instrument):
    """An order for ``instrument`` goes to the device: its fate is not known yet."""
    place = host_at(host)["pending"] + 8 * (intent_id & (WINDOW_SLOTS - 1))
    held = load64(place)
    if held != 0:                       # its fate was never told: the host was lapped, or restarted
        _decided(host, held >> 32)
    store64(place, instrument + 1 | intent_id << 32)
    p = position_at(position_of(host, instrument))
    p["pending"] += np.uint32(1)


@kernel
def _newest(host, instrument, is_sell, before):
    """Address of the TOKEN of a side's newest open order before token ``before``; 0 none.

    Tokens rise, so it looks from there down; one is most often near.
    """
    last = max(before - host_at(host)["tokens_mask"] - 1, 0)
    for token in range(before - 1, last, -1):
        row = token_row(host, token)
        t = token_at(row)
        if (t["is_open"] != 0 and np.int64(t["token"]) == token and t["is_sell"] == is_sell
                and np.int64(t["instrument"]) == instrument):
            return row
    return 0


@kernel
def _newest_now(host, row, shown, shares):
    """Address of the TOKEN to show of a side whose order at ``row`` changed; 0 none, -1 no other.

    ``shown`` is the newest open order's token so far, ``shares`` what the side has open now.
    """
    t = token_at(row)
    token = np.int64(t["token"])
    if t["is_open"] != 0:
        return row if shown <= token else -1
    if shown != token:
        return -1
    return _newest(host, np.int64(t["instrument"]), t["is_sell"], token) if shares != 0 else 0


@kernel(inline=True)
def _named(row):
    """Token and price of the TOKEN at ``row``; zeros where there is none."""
    if row == 0:
        return 0, 0
    return np.int64(token_at(row)["token"]), np.int64(token_at(row)["price"])


@kernel
def _set_leaves(host, row, leaves):
    """The order at ``row`` may still execute ``leaves`` shares; none closes it."""
    t = token_at(row)
    p = position_at(position_of(host, np.int64(t["instrument"])))
    change = leaves - np.int64(t["leaves"])
    opened = (1 if leaves > 0 else 0) - np.int64(t["is_open"])
    t["leaves"] = leaves
    t["is_open"] = 1 if leaves > 0 else 0
    p["open_orders"] = np.int64(p["open_orders"]) + opened
    if t["is_sell"]:
        p["open_sell"] += change
        newest = _newest_now(host, row, np.int64(p["sell_token"]), p["open_sell"])
        if newest >= 0:
            p["sell_token"], p["sell_price"] = _named(newest)
    else:
        p["open_buy"] += change
        newest = _newest_now(host, row, np.int64(p["buy_token"]), p["open_buy"])
        if newest >= 0:
            p["buy_token"], p["buy_price"] = _named(newest)


@kernel
def _sent(host, record):
    t = _sent_at(record)
    if t["operation"] == _CANCEL:
        return
    instrument = instrument_of(host, np.int64(t["locate"]))
    if instrument < 0:
        return
    token = np.int64(t["token"])
    row = token_row(host, token)
    o = token_at(row)
    o["token"] = token
    o["instrument"] = instrument
    o["price"] = t["price"]
    o["is_sell"] = 0 if t["side"] == _BUY else 1
    o["intent_id"] = t["intent_id"]
    o["strategy"] = t["strategy"]
    o["leaves"] = 0
    o["is_open"] = 0
    o["is_awaited"] = 1
    position = position_of(host, instrument)
    _begin(position)
    position_at(position)["orders"] += 1
    _decided(host, np.int64(t["intent_id"]))
    if t["operation"] == _NEW:
        _set_leaves(host, row, np.int64(t["quantity"]))
    _end(position)


@kernel
def _answer(host, kind, record):
    t = _answer_at(record)
    token = np.int64(t["token"])
    row = token_row(host, token)
    o = token_at(row)
    if np.int64(o["token"]) != token or token == 0:
        return
    o["is_awaited"] = 0
    position = position_of(host, np.int64(o["instrument"]))
    p = position_at(position)
    quantity = np.int64(t["quantity"])
    price = np.int64(t["price"])
    _begin(position)
    if kind == _FILLED:
        p["fills"] += 1
        p["fill_price"] = price
        p["fill_quantity"] = quantity
        if o["is_sell"]:
            p["position"] -= quantity
            p["cash"] += price * quantity
            p["sold"] += quantity
        else:
            p["position"] += quantity
            p["cash"] -= price * quantity
            p["bought"] += quantity
    elif kind == _REJECTED:
        p["rejects"] += 1
    elif kind != _CANCELED:
        o["price"] = price
    _set_leaves(host, row, np.int64(t["leaves"]))
    if kind == _REPLACED:
        previous = token_row(host, np.int64(t["match_number"]))
        if np.int64(token_at(previous)["token"]) == np.int64(t["match_number"]):
            _set_leaves(host, previous, 0)
    _end(position)


@kernel
def _count_reason(host, record):
    """Count a refusal of the risk gate at the check that it names."""
    check = load8(record + _REJECT_CHECK)
    if check < _REASONS:
        place = host_at(host)["status"] + _FIRST_REASON + 8 * check
        store64(place, load64(place) + 1)


@kernel
def _learn_generation(host, record):
    """Take the generation that the device told instead: a card keeps them longer than a host lives.

    The record names no trigger slot; the intent does, while it still is in the window.
    """
    h = host_at(host)
    intent = h["window"] + (load32(record + _ERROR_SLOT) & (WINDOW_SLOTS - 1)) * _INTENT_SIZE
    operation = load8(intent + _OPERATION)
    is_armed = operation == _PRE_ARM
    if (load32(intent + _INTENT_ID) != load32(record + _ERROR_ID)
            or not (is_armed or operation == _DISARM)):
        return
    instrument = instrument_of(host, load16(intent + _LOCATE))
    slot = load8(intent + _SLOT)
    if instrument < 0 or slot >= TRIGGERS:
        return
    store32(h["generations"] + 4 * (TRIGGERS * instrument + slot),
            load32(record + _ERROR_EXPECTED) - is_armed & _U32)


@kernel
def note(host, record):
    """Take one record of the order ring into account; returns its instrument, -1 without one."""
    kind = load8(record + _TYPE)
    if kind == _SENT:
        _sent(host, record)
        return instrument_of(host, np.int64(_sent_at(record)["locate"]))
    if _ACCEPTED <= kind <= _REPLACED:
        _answer(host, kind, record)
        return instrument_of(host, np.int64(_answer_at(record)["locate"]))
    if kind == _TRIGGER:
        t = _trigger_at(record)
        instrument = instrument_of(host, np.int64(t["locate"]))
        if instrument >= 0:
            place = TRIGGERS * instrument + np.int64(t["slot"])
            store32(host_at(host)["generations"] + 4 * place, np.int64(t["generation"]))
        return instrument
    if kind == _RISK_REJECT:
        _count_reason(host, record)
    elif kind == _INTENT_ERROR and load8(record + _ERROR_KIND) == _BAD_GENERATION:
        _learn_generation(host, record)
    if kind == _RISK_REJECT or kind == _INTENT_ERROR:
        intent_id = load32(record + (_REJECT_ID if kind == _RISK_REJECT else _ERROR_ID))
        instrument = _decided(host, intent_id)
        if instrument >= 0:
            position = position_of(host, instrument)
            _begin(position)
            position_at(position)["rejects"] += 1
            _end(position)
        return instrument
    return -1
