"""Settle path: what the venue says about an order, in the order in which it said it.

Every answer first takes the order's chain off the exposures, then changes the row, then puts the
chain back: no path can forget half of it. An answer that contradicts the table (more filled,
cancelled or accepted than was open, a fill of an order that is not known) is believed as far as it
makes positions right, counted, and kills the device: its idea of the market is wrong.
"""

import numpy as np

from tickwire.kernels import order_stages
from tickwire.kernels import settle_layout as layout
from tickwire.kernels.exposures import execution, expose, own_leave, own_move
from tickwire.kernels.jit import kernel
from tickwire.kernels.kill import kill
from tickwire.kernels.memory import load8, load16, load32, load64
from tickwire.kernels.order_layout import (
    ORDER,
    order_at,
    orders_at,
)
from tickwire.kernels.order_records import record_answer, record_unknown
from tickwire.kernels.orders import (
    DEAD,
    LIVE,
    REPLACING,
    SENT,
    chain,
    find,
    is_sell,
    replaced_leaves,
    row,
)
from tickwire.kernels.ring import count, room
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import IntentError
from tickwire.spec.orders import ANSWER_RECORDS, RESERVED_RECORDS
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause

_RECORD_ACCEPTED = RecordType.ORDER_ACCEPTED.value
_RECORD_FILLED = RecordType.ORDER_FILLED.value
_RECORD_CANCELED = RecordType.ORDER_CANCELED.value
_RECORD_REJECTED = RecordType.ORDER_REJECTED.value
_RECORD_REPLACED = RecordType.ORDER_REPLACED.value
_UNKNOWN_ORDER = IntentError.UNKNOWN_ORDER.value
_SETTLEMENT = KillCause.SETTLEMENT.value
_COUNT_UNKNOWN = CounterIndex.SETTLE_UNKNOWN.value
_COUNT_MISMATCH = CounterIndex.SETTLE_MISMATCH.value
_COUNT_LAPSED = CounterIndex.REPLACES_LAPSED.value
_COUNT_LOST = CounterIndex.ORDERS_LOST.value
_COUNT_ACCEPTED = CounterIndex.ORDERS_ACCEPTED.value
_COUNT_CANCELED = CounterIndex.ORDERS_CANCELED.value
_COUNT_REJECTED = CounterIndex.ORDERS_REJECTED.value
_COUNT_REPLACED = CounterIndex.ORDERS_REPLACED.value
_COUNT_FILLS = CounterIndex.FILLS.value
_ORDER_SIZE = ORDER.itemsize
_MAX = 0x7FFF_FFFF


@kernel
def _unknown(orders, token, operation, now):
    """An answer about an order that is not in the table.

    It lives or traded: what the device is exposed to is no longer known.
    """
    count(orders_at(orders)["counters"], _COUNT_UNKNOWN)
    record_unknown(orders, _UNKNOWN_ORDER, token, now)
    if operation in (layout.ACCEPTED, layout.FILLED, layout.REPLACED):
        kill(orders, _SETTLEMENT, now)


@kernel
def _mismatch(orders, now):
    count(orders_at(orders)["counters"], _COUNT_MISMATCH)
    kill(orders, _SETTLEMENT, now)


@kernel
def _withdraw(orders, address):
    """Take the chain of the order off the exposures."""
    leaves, value = chain(orders, address)
    expose(orders_at(orders)["risk"], np.int64(order_at(address)["instrument"]),
           is_sell(address), -leaves, -value, -1)


@kernel
def _restore(orders, address):
    """Put the chain of the order back, unless the order is dead."""
    a = order_at(address)
    if a["state"] != DEAD:
        leaves, value = chain(orders, address)
        expose(orders_at(orders)["risk"], np.int64(a["instrument"]), is_sell(address),
               leaves, value, 1)


@kernel(inline=True)
def _bury(orders, address):
    """Mark the order dead; returns the replace of it that waited for an answer, or 0."""
    a = order_at(address)
    own_leave(orders_at(orders)["risk"], np.int64(a["instrument"]), is_sell(address),
              np.int64(a["place"]))
    successor = np.int64(a["successor"])
    a["successor"] = 0
    a["state"] = DEAD
    a["leaves"] = 0
    return successor


@kernel(inline=True)
def _move(orders, address, price):
    """Give the order its price, as the venue tells it."""
    a = order_at(address)
    a["price"] = price
    own_move(orders_at(orders)["risk"], np.int64(a["instrument"]), is_sell(address),
             np.int64(a["place"]), price)


@kernel
def _lapse(orders, token, exchange_timestamp, now):
    """A replace of an order that is gone is ignored by the venue: nothing will answer it."""
    if token != 0:
        address = row(orders, token)
        _bury(orders, address)
        count(orders_at(orders)["counters"], _COUNT_LAPSED)
        record_answer(orders, _RECORD_REJECTED, address, exchange_timestamp,
                      np.int64(order_at(address)["price"]), 0, 0, 0, now)


@kernel
def _take_over(orders, address, price, quantity, is_dead):
    """The order at ``address`` takes the place of the one that it replaces."""
    b = order_at(address)
    old = row(orders, np.int64(b["previous"]))
    _withdraw(orders, old)
    executed = np.int64(order_at(old)["executed"])
    _bury(orders, old)
    b["state"] = LIVE
    b["executed"] = executed
    _move(orders, address, price)
    b["quantity"] = min(executed + quantity, _MAX)
    b["leaves"] = quantity
    if is_dead:
        _bury(orders, address)
    _restore(orders, address)


@kernel
def _accepted(orders, address, answer, now):
    o = orders_at(orders)
    a = order_at(address)
    price = min(load32(answer + layout.PRICE), _MAX)
    quantity = min(load32(answer + layout.QUANTITY), _MAX)
    executed = np.int64(a["executed"])
    is_first = a["state"] == SENT
    contradicts = not is_first or quantity > np.int64(a["quantity"]) or quantity < executed
    lapsed = 0
    if is_first:
        _withdraw(orders, address)
        a["state"] = LIVE
        _move(orders, address, price)
        a["quantity"] = quantity
        a["leaves"] = max(quantity - executed, 0)
        a["reference"] = load64(answer + layout.REFERENCE)
        if load8(answer + layout.FLAGS) & layout.IS_DEAD != 0 or a["leaves"] == 0:
            lapsed = _bury(orders, address)
        _restore(orders, address)
        order_stages.acknowledged(o["acknowledge_stage"], np.int64(a["sent"]), now)
    count(o["counters"], _COUNT_ACCEPTED)
    record_answer(orders, _RECORD_ACCEPTED, address, load64(answer), price, quantity, 0, 0, now)
    _lapse(orders, lapsed, load64(answer), now)
    if contradicts:
        _mismatch(orders, now)


@kernel
def _reduced(orders, address, answer, now):
    """A fill or a cancel: fewer shares are open."""
    o = orders_at(orders)
    a = order_at(address)
    is_fill = load8(answer + layout.OPERATION) == layout.FILLED
    price = min(load32(answer + layout.PRICE), _MAX)
    quantity = min(load32(answer + layout.QUANTITY), _MAX)
    # The venue names an order whose take-over it has not told: it must have happened.
    is_early = a["state"] == REPLACING
    if is_early:
        old = row(orders, np.int64(a["previous"]))
        _take_over(orders, address, np.int64(a["price"]),
                   replaced_leaves(old, np.int64(a["quantity"])), False)
    leaves = np.int64(a["leaves"])
    _withdraw(orders, address)
    a["leaves"] = max(leaves - quantity, 0)
    if is_fill:
        a["executed"] = min(np.int64(a["executed"]) + quantity, _MAX)
        execution(o["risk"], np.int64(a["instrument"]), np.int64(a["session"]), is_sell(address),
                  quantity, price)
    lapsed = _bury(orders, address) if quantity >= leaves else 0
    _restore(orders, address)
    if is_fill:
        o["filled_token"], o["filled_quantity"] = np.int64(a["token"]), quantity
        o["filled_instrument"] = np.int64(a["instrument"])
        count(o["counters"], _COUNT_FILLS)
        record_answer(orders, _RECORD_FILLED, address, load64(answer), price, quantity, 0,
                      load64(answer + layout.MATCH), now)
    else:
        count(o["counters"], _COUNT_CANCELED)
        record_answer(orders, _RECORD_CANCELED, address, load64(answer), np.int64(a["price"]),
                      quantity, load16(answer + layout.REASON), 0, now)
    _lapse(orders, lapsed, load64(answer), now)
    if quantity > leaves or is_early:
        _mismatch(orders, now)


@kernel
def _rejected(orders, address, reason, exchange_timestamp, now):
    a = order_at(address)
    state = np.int64(a["state"])
    lapsed = 0
    if state == SENT:
        _withdraw(orders, address)
        lapsed = _bury(orders, address)
    elif state == REPLACING:
        old = row(orders, np.int64(a["previous"]))
        _withdraw(orders, old)
        order_at(old)["successor"] = 0
        _bury(orders, address)
        _restore(orders, old)
    record_answer(orders, _RECORD_REJECTED, address, exchange_timestamp, np.int64(a["price"]),
                  np.int64(a["quantity"]), reason, 0, now)
    _lapse(orders, lapsed, exchange_timestamp, now)
    if state == LIVE:
        _mismatch(orders, now)


@kernel
def _replaced(orders, address, answer, now):
    b = order_at(address)
    previous = load32(answer + layout.PREVIOUS)
    if b["state"] != REPLACING or np.int64(b["previous"]) != previous:
        _mismatch(orders, now)
        return
    price = min(load32(answer + layout.PRICE), _MAX)
    quantity = min(load32(answer + layout.QUANTITY), _MAX)
    asked = replaced_leaves(row(orders, previous), np.int64(b["quantity"]))
    b["reference"] = load64(answer + layout.REFERENCE)
    _take_over(orders, address, price, quantity,
               load8(answer + layout.FLAGS) & layout.IS_DEAD != 0 or quantity == 0)
    count(orders_at(orders)["counters"], _COUNT_REPLACED)
    record_answer(orders, _RECORD_REPLACED, address, load64(answer), price, quantity, 0,
                  previous, now)
    if quantity > asked:
        _mismatch(orders, now)


@kernel
def settle(orders, answer, now):
    """Execute the settle intent at ``answer``; returns 1, or 0 when its order is not known.

    Its CRC, epoch and sequence are not looked at: that is the window's work. The order ring must
    have room for ``ANSWER_RECORDS`` records and the reserve (see :func:`has_room`).
    """
    operation = load8(answer + layout.OPERATION)
    token = load32(answer + layout.TOKEN)
    address = find(orders, token)
    if address == 0:
        _unknown(orders, token, operation, now)
        return 0
    if operation == layout.ACCEPTED:
        _accepted(orders, address, answer, now)
    elif operation in (layout.FILLED, layout.CANCELED):
        _reduced(orders, address, answer, now)
    elif operation == layout.REPLACED:
        _replaced(orders, address, answer, now)
    else:
        count(orders_at(orders)["counters"], _COUNT_REJECTED)
        _rejected(orders, address, load16(answer + layout.REASON), load64(answer), now)
    return 1


@kernel(inline=True)
def has_room(orders):
    """Whether the order ring has room for whatever one intent or answer may write."""
    return room(orders_at(orders)["ring"]) >= ANSWER_RECORDS + RESERVED_RECORDS


@kernel
def reconcile(orders, session, next_token, now):
    """Bury the orders of ``session`` from ``next_token`` on, the venue's next number.

    After a reconnect, when every sequenced message was read, they are the ones that were lost
    with the connection. Returns 1 when all are done, 0 to be called again when the ring has room.
    """
    o = orders_at(orders)
    for index in range(o["mask"] + 1):
        address = o["table"] + index * _ORDER_SIZE
        a = order_at(address)
        state = np.int64(a["state"])
        if (state != DEAD and np.int64(a["token"]) >= next_token
                and np.int64(a["session"]) == session):
            if not has_room(orders):
                return 0
            if state == LIVE:
                _mismatch(orders, now)
            else:
                count(o["counters"], _COUNT_LOST)
                _rejected(orders, address, 0, 0, now)
    return 1
