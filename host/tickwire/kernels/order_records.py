"""Records of the order path. Every octet of a payload is written: slots hold older records."""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    bit_count,
    load32,
    load64,
    low_bit,
    store64,
    store_be64,
    view,
)
from tickwire.kernels.order_layout import (
    EXPOSURE,
    exposure_at,
    order_at,
    orders_at,
    request_at,
    risk_at,
    staged_at,
    trigger_at,
)
from tickwire.kernels.orders import is_sell, row, side_letter
from tickwire.kernels.ring import commit, count, room, slot
from tickwire.spec.checks import ALWAYS_HARD, CHECKS
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import INTENT, WINDOW_SLOTS, Operation
from tickwire.spec.records import (
    CONFIG_ACKNOWLEDGED,
    INTENT_ERROR,
    KILL,
    ORDER_ACCEPTED,
    ORDER_RELEASED,
    ORDER_SENT,
    RISK_REJECT,
    TRAILER_OFFSET,
    TRIGGER,
    RecordType,
)
from tickwire.spec.render import dtype

_sent_at = view(dtype(ORDER_SENT))
_released_at = view(dtype(ORDER_RELEASED))
_trigger_at = view(dtype(TRIGGER))
_answer_at = view(dtype(ORDER_ACCEPTED))   # the five answers have one layout
_reject_at = view(dtype(RISK_REJECT))
_error_at = view(dtype(INTENT_ERROR))
_kill_at = view(dtype(KILL))
_config_at = view(dtype(CONFIG_ACKNOWLEDGED))
_intent_at = view(dtype(INTENT))

_SENT = RecordType.ORDER_SENT.value
_RELEASED = RecordType.ORDER_RELEASED.value
_TRIGGER = RecordType.TRIGGER.value
_REJECT = RecordType.RISK_REJECT.value
_ERROR = RecordType.INTENT_ERROR.value
_KILL = RecordType.KILL.value
_CONFIG = RecordType.CONFIG_ACKNOWLEDGED.value
_CANCEL = Operation.CANCEL.value
_REPLACE = Operation.REPLACE.value
_SYMBOL = ORDER_RELEASED.field("symbol")[1]
_DROPPED = CounterIndex.RECORDS_DROPPED.value
_ERRORS = CounterIndex.INTENT_ERRORS.value
_REJECTS = CounterIndex.RISK_REJECTS.value
_ID = INTENT.field("intent_id")[1]
_SEQUENCE = INTENT.field("sequence")[1]
_EXPOSURE_SIZE = EXPOSURE.itemsize
_U32 = 0xFFFF_FFFF
_CAN_BE_SOFT = ALWAYS_HARD ^ _U32
_FIRST_SOFT = next(row.name for row in CHECKS if not row.is_hard)
_SOFT = CounterIndex[f"SOFT_{_FIRST_SOFT.upper()}"].value


@kernel(inline=True)
def _begin(orders):
    """Address of the next record, its payload zero; 0 when the ring has no room for it."""
    ring = orders_at(orders)["ring"]
    if room(ring) <= 0:
        count(orders_at(orders)["counters"], _DROPPED)
        return 0
    address = slot(ring)
    for offset in range(0, TRAILER_OFFSET, 8):
        store64(address + offset, 0)
    return address


@kernel
def record_sent(orders, staged, now):
    """ORDER_SENT of one staged message, egress at ``now``."""
    record = _begin(orders)
    if record == 0:
        return
    o = orders_at(orders)
    s = staged_at(staged)
    a = order_at(row(orders, np.int64(s["token"])))
    r = risk_at(o["risk"])
    e = exposure_at(r["exposures"] + _EXPOSURE_SIZE * np.int64(a["instrument"]))
    sell = is_sell(row(orders, np.int64(s["token"])))
    t = _sent_at(record)
    t["timestamp"] = now
    t["intent_timestamp"] = s["intent_timestamp"]
    t["intent_id"] = s["intent_id"]
    t["token"] = s["token"]
    t["price"] = s["price"]
    t["quantity"] = s["quantity"]
    t["locate"] = a["locate"]
    t["side"] = side_letter(np.int64(a["flags"]))
    t["session"] = a["session"]
    t["latency_ns"] = min(max(now - o["taken"], 0), _U32)
    t["open_notional"] = r["open_notional"]
    t["open_quantity"] = min(e["open_sell"] if sell else e["open_buy"], _U32)
    t["operation"] = s["operation"]
    t["strategy"] = a["strategy"]
    commit(o["ring"], _SENT)


@kernel
def record_released(orders, staged):
    """ORDER_RELEASED of one staged message."""
    record = _begin(orders)
    if record == 0:
        return
    o = orders_at(orders)
    s = staged_at(staged)
    a = order_at(row(orders, np.int64(s["token"])))
    previous = np.int64(a["previous"]) if s["operation"] == _REPLACE else 0
    t = _released_at(record)
    t["timestamp"] = o["taken"]
    store_be64(record + _SYMBOL, load64(o["symbols"] + 8 * np.int64(a["instrument"])))
    t["intent_id"] = s["intent_id"]
    t["token"] = s["token"]
    t["previous"] = previous
    t["price"] = a["price"]
    t["quantity"] = s["quantity"]
    if s["operation"] == _CANCEL:
        t["total"] = a["quantity"]
        t["executed"] = a["executed"]
    elif s["operation"] == _REPLACE:
        p = order_at(row(orders, previous))
        t["total"] = p["quantity"]
        t["executed"] = p["executed"]
    t["locate"] = a["locate"]
    t["side"] = side_letter(np.int64(a["flags"]))
    t["operation"] = s["operation"]
    t["session"] = a["session"]
    t["strategy"] = a["strategy"]
    t["flags"] = a["flags"]
    commit(o["ring"], _RELEASED)


@kernel
def record_trigger(orders, row, slot, event, token, sequence, now):
    """TRIGGER of the slot at ``row``."""
    record = _begin(orders)
    if record == 0:
        return
    r, i = trigger_at(row), _intent_at(row)
    t = _trigger_at(record)
    t["timestamp"] = now
    t["feed_sequence"] = sequence
    t["intent_id"] = i["intent_id"]
    t["token"] = token
    t["price"] = i["price"]
    t["quantity"] = i["quantity"]
    t["locate"] = i["locate"]
    t["strategy"] = i["strategy"]
    t["generation"] = r["generation"]
    t["slot"] = slot
    t["kind"] = r["kind"]
    t["event"] = event
    t["group"] = r["group"]
    t["trigger_price"] = r["trigger_price"]
    commit(orders_at(orders)["ring"], _TRIGGER)


@kernel
def record_answer(orders, record_type, address, exchange_timestamp, price, quantity, reason,
                  match, now):
    """One of the five answers about the order at ``address``."""
    record = _begin(orders)
    if record == 0:
        return
    a = order_at(address)
    t = _answer_at(record)
    t["timestamp"] = now
    t["exchange_timestamp"] = exchange_timestamp
    t["intent_id"] = a["intent_id"]
    t["token"] = a["token"]
    t["price"] = price
    t["quantity"] = quantity
    t["leaves"] = a["leaves"]
    t["reason"] = reason
    t["locate"] = a["locate"]
    t["order_reference"] = a["reference"]
    t["match_number"] = match
    commit(orders_at(orders)["ring"], record_type)


@kernel
def count_soft(orders, mask):
    """Count an order that goes although soft checks failed, at each of them."""
    while mask != 0:
        check = low_bit(mask)
        count(orders_at(orders)["counters"],
              _SOFT + bit_count(_CAN_BE_SOFT & ((1 << check) - 1)))
        mask &= mask - 1


@kernel
def record_reject(orders, intent, mask, locate, sell_flags, now):
    """RISK_REJECT of the intent, from the request that failed."""
    o = orders_at(orders)
    count(o["counters"], _REJECTS)
    record = _begin(orders)
    if record == 0:
        return
    i = _intent_at(intent)
    q = request_at(o["request"])
    t = _reject_at(record)
    t["timestamp"] = now
    t["intent_timestamp"] = i["timestamp"]
    t["intent_id"] = i["intent_id"]
    t["checks"] = mask
    t["price"] = q["price"]
    t["quantity"] = q["quantity"]
    t["limit"] = q["limit"]
    t["value"] = q["value"]
    t["locate"] = locate
    t["strategy"] = i["strategy"]
    t["config_version"] = risk_at(o["risk"])["version"]
    t["side"] = side_letter(sell_flags)
    t["operation"] = i["operation"]
    t["check"] = q["check"]
    commit(o["ring"], _REJECT)


@kernel
def record_error(orders, intent, error, expected, received, now):
    """INTENT_ERROR of an intent in the window."""
    count(orders_at(orders)["counters"], _ERRORS)
    record = _begin(orders)
    if record == 0:
        return
    t = _error_at(record)
    t["timestamp"] = now
    t["slot"] = (load32(intent + _SEQUENCE) - 1) & (WINDOW_SLOTS - 1)
    t["expected"] = min(max(expected, 0), _U32)
    t["received"] = min(max(received, 0), _U32)
    t["error"] = error
    t["intent_id"] = load32(intent + _ID)
    commit(orders_at(orders)["ring"], _ERROR)


@kernel
def record_unknown(orders, error, token, now):
    """INTENT_ERROR of a venue's answer: it comes from no slot and no intent."""
    record = _begin(orders)
    if record == 0:
        return
    t = _error_at(record)
    t["timestamp"] = now
    t["slot"] = WINDOW_SLOTS
    t["received"] = token
    t["error"] = error
    commit(orders_at(orders)["ring"], _ERROR)


@kernel
def record_kill(orders, now):
    """KILL with the causes so far."""
    record = _begin(orders)
    if record == 0:
        return
    o = orders_at(orders)
    r = risk_at(o["risk"])
    t = _kill_at(record)
    t["timestamp"] = now
    t["cause"] = r["killed"]
    t["watchdog_period"] = min(o["watchdog_ns"] // 1_000, _U32)
    t["last_kick"] = o["kick_time"]
    t["open_orders"] = min(max(r["open_orders"], 0), _U32)
    t["last_intent"] = o["last_intent"]
    commit(o["ring"], _KILL)


@kernel
def record_limits(orders, version, crc, error, now):
    """CONFIG_ACKNOWLEDGED of a commit."""
    record = _begin(orders)
    if record == 0:
        return
    t = _config_at(record)
    t["timestamp"] = now
    t["version"] = version & _U32
    t["crc"] = crc & _U32
    t["ok"] = 1 if error == 0 else 0
    t["reason"] = error
    commit(orders_at(orders)["ring"], _CONFIG)
