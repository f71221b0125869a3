"""Matching by price, then time. Every command takes the whole book from one valid state to another.

Commands trust their caller: :func:`check` says beforehand whether an order may enter, and a slot
must be that of a live order. Each begins with an empty list of events; executions and cancels of
the command are in it afterwards, in order, and every change of the book is in the market data.
A trade takes place at the price of the resting order.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import store64, unlikely
from tickwire.kernels.ring import count
from tickwire.spec.ouch50 import PRICE_MAX, QUANTITY_MAX
from tickwire_sim.exchange import itch
from tickwire_sim.exchange.book import (
    SLOT_MASK,
    best_key,
    best_price,
    drop_level,
    forget,
    free_order,
    level_count,
    link,
    register,
    signed,
    take_order,
    unlink,
)
from tickwire_sim.exchange.codes import Cancel, Reject, State
from tickwire_sim.exchange.counters import CounterIndex
from tickwire_sim.exchange.layout import (
    ATTRIBUTES,
    EVENT_SIZE,
    LEVEL_SIZE,
    NONE,
    ORDER_SIZE,
    PRICE_NONE,
    SYMBOL_SIZE,
    EventKind,
    engine_at,
    event_at,
    level_at,
    order_at,
    symbol_at,
)

DAY, IMMEDIATE, POST_ONLY = 0, 1, 2
"""What becomes of an order: DAY rests, IMMEDIATE never rests, POST_ONLY never trades at once."""

_TRADING = State.TRADING
_HALTED, _PROCESSING = Reject.HALTED, Reject.PROCESSING
_SYMBOL, _QUANTITY, _PRICE = Reject.SYMBOL, Reject.QUANTITY, Reject.PRICE
_IMMEDIATE, _POST_ONLY, _SYSTEM = Cancel.IMMEDIATE, Cancel.POST_ONLY, Cancel.SYSTEM
_EXECUTION, _CANCEL = int(EventKind.EXECUTION), int(EventKind.CANCEL)
_ENTERED, _EXECUTIONS, _DEPTH = (int(CounterIndex.ORDERS_ENTERED), int(CounterIndex.EXECUTIONS),
                                 int(CounterIndex.LEVELS_REFUSED))


@kernel(inline=True)
def check_terms(engine, symbol, quantity, price):
    """OUCH reject reason of a quantity and a price of a known symbol, 0 if they are valid."""
    s = symbol_at(engine_at(engine)["symbols"] + SYMBOL_SIZE * symbol)
    if quantity < 1 or quantity > QUANTITY_MAX:
        return _QUANTITY
    if price != PRICE_NONE and (price < 1 or price > PRICE_MAX or price % s["tick"] != 0):
        return _PRICE
    return 0


@kernel(inline=True)
def check(engine, symbol, quantity, price):
    """OUCH reject reason of an order, 0 if it may enter; ``price`` may be PRICE_NONE."""
    e = engine_at(engine)
    if symbol < 0 or symbol >= e["symbol_count"]:
        return _SYMBOL
    code = check_terms(engine, symbol, quantity, price)
    if code:
        return code
    if symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)["state"] != _TRADING:
        return _HALTED
    if e["order_free"] == NONE and e["order_used"] >= e["order_slots"]:
        return _PROCESSING
    return 0


@kernel(inline=True)
def crosses(engine, symbol, side, price):
    """Whether an order at ``price``, which may be PRICE_NONE, would trade at once."""
    opposite = 1 - side
    if level_count(engine, symbol, opposite) == 0:
        return False
    if price == PRICE_NONE:
        return True
    return signed(side, price) + (best_key(engine, symbol, opposite) >> 32) >= 0


@kernel(inline=True)
def begin(engine):
    """Begin a command: no event has happened yet."""
    engine_at(engine)["event_count"] = 0


@kernel
def _note_cancel(engine, owner, number, reference, quantity, reason):
    """Add a cancel to the events of the command."""
    e = engine_at(engine)
    event = event_at(e["events"] + EVENT_SIZE * e["event_count"])
    event["kind"] = _CANCEL
    event["reason"] = reason
    event["quantity"] = quantity
    event["owner"] = owner
    event["number"] = number
    event["reference"] = reference
    e["event_count"] += 1


@kernel(inline=True)
def _note_execution(engine, slot, taker, quantity):
    """Add the execution that just took a match number to the events of the command."""
    e = engine_at(engine)
    maker = order_at(e["orders"] + ORDER_SIZE * slot)
    o = order_at(e["orders"] + ORDER_SIZE * taker)
    event = event_at(e["events"] + EVENT_SIZE * e["event_count"])
    event["kind"] = _EXECUTION
    event["price"] = maker["price"]
    event["quantity"] = quantity
    event["match_number"] = e["match_number"]
    event["owner"] = maker["owner"]
    event["number"] = maker["number"]
    event["reference"] = maker["reference"]
    event["left"] = maker["quantity"]
    event["taker_owner"] = o["owner"]
    event["taker_number"] = o["number"]
    event["taker_reference"] = o["reference"]
    e["event_count"] += 1


@kernel(inline=True)
def _match(engine, taker):
    """Trade the order in slot ``taker``, which does not rest, against the other side."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * taker)
    symbol = o["symbol"]
    opposite = 1 - o["side"]
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)
    limit = e["limit"]
    left = o["quantity"]
    while left > 0 and level_count(engine, symbol, opposite) > 0:
        key = best_key(engine, symbol, opposite)
        if limit + (key >> 32) < 0:
            break
        level = key & SLOT_MASK
        row = level_at(e["levels"] + LEVEL_SIZE * level)
        while left > 0 and row["orders"] > 0:
            slot = row["head"]
            maker = order_at(e["orders"] + ORDER_SIZE * slot)
            quantity = min(left, maker["quantity"])
            left -= quantity
            e["match_number"] += 1
            itch.executed(engine, s["locate"], maker["reference"], quantity, e["match_number"])
            s["last_price"] = maker["price"]
            s["volume"] += quantity
            row["quantity"] -= quantity
            maker["quantity"] -= quantity
            maker["executed"] += quantity
            _note_execution(engine, slot, taker, quantity)
            if maker["quantity"] == 0:
                following = maker["next"]
                row["head"] = following
                row["orders"] -= 1
                if following != NONE:
                    order_at(e["orders"] + ORDER_SIZE * following)["previous"] = NONE
                s["orders"] -= 1
                e["orders_live"] -= 1
                forget(engine, slot)
                free_order(engine, slot)
        if row["orders"] == 0:
            drop_level(engine, symbol, opposite, level)
    o["executed"] += o["quantity"] - left
    o["quantity"] = left
    count(e["counters"], _EXECUTIONS, e["event_count"])


@kernel
def _finish(engine, slot, quantity, reason):
    """Cancel what is left of an order that does not rest, and free its slot."""
    o = order_at(engine_at(engine)["orders"] + ORDER_SIZE * slot)
    if quantity > 0:
        _note_cancel(engine, o["owner"], o["number"], o["reference"], quantity, reason)
    free_order(engine, slot)


@kernel(inline=True)
def _trade_or_rest(engine, slot, price, policy):
    """Carry a new order out, whose row is complete; returns its slot if it rests, else NONE."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    if crosses(engine, o["symbol"], o["side"], price):
        if policy == POST_ONLY:
            _finish(engine, slot, o["quantity"], _POST_ONLY)
            return NONE
        e["limit"] = PRICE_NONE if price == PRICE_NONE else signed(o["side"], price)
        _match(engine, slot)
        if o["quantity"] == 0:
            free_order(engine, slot)
            return NONE
    if policy == IMMEDIATE or price == PRICE_NONE:
        _finish(engine, slot, o["quantity"], _IMMEDIATE)
        return NONE
    if unlikely(not link(engine, slot)):
        count(e["counters"], _DEPTH)
        _finish(engine, slot, o["quantity"], _SYSTEM)
        return NONE
    register(engine, slot)
    return slot


@kernel(inline=True)
def prepare(engine, symbol, side, quantity, price, owner, number, attributed, attributes):
    """Begin a command: take in a new order, which then needs :func:`submit`; returns its slot."""
    begin(engine)
    e = engine_at(engine)
    slot = take_order(engine)
    address = e["orders"] + ORDER_SIZE * slot
    o = order_at(address)
    e["reference"] += 1
    o["reference"] = e["reference"]
    o["symbol"] = symbol
    o["side"] = side
    o["attributed"] = attributed
    o["price"] = price if price != PRICE_NONE else 0
    o["quantity"] = quantity
    o["owner"] = owner
    o["number"] = number
    o["executed"] = 0
    store64(address + ATTRIBUTES, attributes)
    count(e["counters"], _ENTERED)
    return slot


@kernel(inline=True)
def submit(engine, slot, price, policy):
    """Carry out the order that :func:`prepare` took in; returns its slot if it rests, else NONE."""
    slot = _trade_or_rest(engine, slot, price, policy)
    if slot != NONE:
        itch.add(engine, slot)
    return slot


@kernel
def enter(engine, symbol, side, quantity, price, policy, owner, number, attributed, attributes):
    """Enter an order that :func:`check` let pass; returns its slot if it rests, else NONE.

    ``price`` may be PRICE_NONE: the order takes any price and does not rest. ``attributes`` are
    the octets at ``ATTRIBUTES`` of the order, kept for its owner.
    """
    slot = prepare(engine, symbol, side, quantity, price, owner, number, attributed, attributes)
    return submit(engine, slot, price, policy)


@kernel
def cancel(engine, slot, reason):
    """Take the whole order out of the book."""
    begin(engine)
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])
    itch.deleted(engine, s["locate"], o["reference"])
    unlink(engine, slot)
    forget(engine, slot)
    _finish(engine, slot, o["quantity"], reason)


@kernel
def reduce(engine, slot, quantity, reason):
    """Take ``quantity`` shares, fewer than are open, off the order; it keeps its place."""
    begin(engine)
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])
    itch.canceled(engine, s["locate"], o["reference"], quantity)
    o["quantity"] -= quantity
    level_at(e["levels"] + LEVEL_SIZE * o["level"])["quantity"] -= quantity
    _note_cancel(engine, o["owner"], o["number"], o["reference"], quantity, reason)


@kernel(inline=True)
def renew(engine, slot, quantity, price, number):
    """Begin a command: take an order from the book and make a new one of it, in the same slot.

    It has a new reference, needs :func:`resubmit`, and keeps side, owner, attributes and the
    executed shares of its chain. Returns the reference of the original.
    """
    begin(engine)
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    original = o["reference"]
    unlink(engine, slot)
    forget(engine, slot)
    e["reference"] += 1
    o["reference"] = e["reference"]
    o["number"] = number
    o["price"] = price if price != PRICE_NONE else 0
    o["quantity"] = quantity
    count(e["counters"], _ENTERED)
    return original


@kernel(inline=True)
def resubmit(engine, slot, original, price, policy):
    """Carry out the order that :func:`renew` made; returns its slot if it rests, else NONE.

    The market sees a replacement when the new order rests as it is; else it sees the original
    deleted first, then trades, then what is left as a new order.
    """
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    locate = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])["locate"]
    stays = (policy != IMMEDIATE and price != PRICE_NONE
             and not crosses(engine, o["symbol"], o["side"], price))
    if not stays:
        itch.deleted(engine, locate, original)
    slot = _trade_or_rest(engine, slot, price, policy)
    if slot == NONE:
        if stays:
            itch.deleted(engine, locate, original)
    elif stays:
        itch.replaced(engine, locate, original, o["reference"], o["quantity"], price)
    else:
        itch.add(engine, slot)
    return slot


@kernel
def replace(engine, slot, quantity, price, policy, number):
    """Put a new order of ``quantity`` open shares in the place of the one in ``slot``.

    It goes last in its queue. Returns its slot if it rests, else NONE. The price must have passed
    :func:`check`.
    """
    original = renew(engine, slot, quantity, price, number)
    return resubmit(engine, slot, original, price, policy)


@kernel
def improve(engine, slot, quantity, price, printable):
    """Trade ``quantity`` shares of the oldest order of the best level at another ``price``.

    So does a counterparty that never rested and gave the resting order a better price.
    """
    begin(engine)
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])
    e["match_number"] += 1
    itch.executed_at(engine, s["locate"], o["reference"], quantity, e["match_number"], printable,
                     price)
    s["volume"] += quantity
    count(e["counters"], _EXECUTIONS)
    if quantity == o["quantity"]:
        unlink(engine, slot)
        forget(engine, slot)
        free_order(engine, slot)
    else:
        o["quantity"] -= quantity
        o["executed"] += quantity
        level_at(e["levels"] + LEVEL_SIZE * o["level"])["quantity"] -= quantity


@kernel
def best(engine, symbol, side):
    """Best price of a side, 0 where no order rests."""
    return best_price(engine, symbol, side)
