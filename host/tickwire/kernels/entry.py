"""Entry of an order: the gate is asked, the order gets its row, and its octets are encoded.

Host intents and fired triggers pass here alike.
"""

import numpy as np

from tickwire.kernels import encoder
from tickwire.kernels.explain import explain
from tickwire.kernels.exposures import message, own_enter, reserve
from tickwire.kernels.jit import kernel
from tickwire.kernels.kill import watch
from tickwire.kernels.mass_cancel import is_up
from tickwire.kernels.memory import load8, load16, load32, load64, unlikely
from tickwire.kernels.order_layout import firm_at, order_at, orders_at, request_at, risk_at
from tickwire.kernels.order_records import count_soft, record_error, record_reject
from tickwire.kernels.orders import SENT, find, free_token, request_new, take
from tickwire.kernels.ring import count
from tickwire.kernels.risk import check
from tickwire.kernels.staging import is_released, stage
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import INTENT, IntentError, Operation
from tickwire.spec.records import RECORD_SIZE

_TIMESTAMP, _ID, _LOCATE, _FLAGS, _PRICE, _QUANTITY, _TOKEN, _SESSION, _STRATEGY = (
    INTENT.field(name)[1] for name in ("timestamp", "intent_id", "locate", "flags", "price",
                                       "quantity", "token", "session", "strategy"))
_NEW, _CANCEL = Operation.NEW.value, Operation.CANCEL.value
_UNKNOWN_ORDER = IntentError.UNKNOWN_ORDER.value
_SESSION_DOWN = IntentError.SESSION_DOWN.value
_ORDERS_SENT = CounterIndex.ORDERS_SENT.value
_CANCELS_SENT = CounterIndex.CANCELS_SENT.value


@kernel(inline=True)
def gate(orders, intent, locate, flags, now):
    """Ask the risk gate for the request at hand; report and return False when it refuses."""
    o = orders_at(orders)
    watch(orders, now)                     # a host that is lost is so for the very next order
    mask = check(o["risk"], o["request"], now)
    if unlikely(mask != 0):
        hard = mask & ~np.int64(firm_at(risk_at(o["risk"])["limits"])["soft_checks"])
        if hard != 0:
            explain(o["risk"], o["request"], hard, now)
            record_reject(orders, intent, mask, locate, flags, now)
            return False
        count_soft(orders, mask)
    reserve(o["risk"], o["request"], now)
    return True


@kernel(inline=True)
def enter(orders, intent, token, now):
    """Take ``token`` for the intent, whose request passed; returns the new row."""
    address = take(orders, token)
    a = order_at(address)
    a["intent_id"] = load32(intent + _ID)
    a["price"] = load32(intent + _PRICE)
    a["quantity"] = load32(intent + _QUANTITY)
    a["strategy"] = load16(intent + _STRATEGY)
    q = request_at(orders_at(orders)["request"])
    a["place"] = own_enter(orders_at(orders)["risk"], q["instrument"], q["is_sell"], q["price"])
    orders_at(orders)["taken"] = now
    return address


@kernel(inline=True)
def request_of(orders, intent, instrument, decided):
    """State the new order of ``intent`` as the gate's request; returns its token, 0 none."""
    token = free_token(orders)
    request_new(orders, instrument, load8(intent + _FLAGS), load32(intent + _PRICE),
                load32(intent + _QUANTITY), load16(intent + _SESSION), load16(intent + _STRATEGY),
                decided, token)
    return token


@kernel
def enter_new(orders, intent, instrument, decided, now):
    """Enter the new order of ``intent``, decided at ``decided``; returns the octets that leave."""
    o = orders_at(orders)
    locate = load16(intent + _LOCATE)
    flags = load8(intent + _FLAGS)
    session = load16(intent + _SESSION)
    price = load32(intent + _PRICE)
    quantity = load32(intent + _QUANTITY)
    token = request_of(orders, intent, instrument, decided)
    if not gate(orders, intent, locate, flags, now):
        return 0
    a = order_at(enter(orders, intent, token, now))
    a["leaves"] = quantity
    a["instrument"] = instrument
    a["locate"] = locate
    a["session"] = session
    a["flags"] = flags
    a["state"] = SENT
    o["tx_session"] = session
    stage(orders, token, _NEW, price, quantity, load32(intent + _ID),
          load64(intent + _TIMESTAMP))
    count(o["counters"], _ORDERS_SENT)
    if unlikely(is_released(orders, session)):
        return RECORD_SIZE
    return encoder.encode_new(orders, token, o["tx"])


@kernel
def cancel(orders, intent, now):
    """Cancel the order of ``intent``; returns the octets that leave."""
    o = orders_at(orders)
    token = load32(intent + _TOKEN)
    quantity = load32(intent + _QUANTITY)
    address = find(orders, token)
    if unlikely(address == 0):
        record_error(orders, intent, _UNKNOWN_ORDER, 0, token, now)
        return 0
    a = order_at(address)
    session = np.int64(a["session"])
    if unlikely(not is_up(orders, session)):
        record_error(orders, intent, _SESSION_DOWN, 1, session, now)
        return 0
    o["taken"] = now
    o["tx_session"] = session
    stage(orders, token, _CANCEL, 0, quantity, load32(intent + _ID), load64(intent + _TIMESTAMP))
    count(o["counters"], _CANCELS_SENT)
    message(o["risk"], session, now)
    if unlikely(is_released(orders, session)):
        return RECORD_SIZE
    return encoder.encode_cancel(token, quantity, o["tx"])
