"""Device's own table of orders, by token, and what a chain of them may still cost.

A token's row is ``token & mask``. A row is free when its last occupant is dead, so an order that
rests for a day costs its place and nothing else: tokens rise, and those whose row is taken are
skipped.

A replace asks for a new order in the place of an old one. Until the venue answers either may
execute, but not both: the pair is one chain, which counts as one order with the greater of the
two quantities and of the two values. The old order's row holds the chain; the new one's own
``leaves`` stay 0 until it takes over.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import header_at
from tickwire.kernels.memory import load32
from tickwire.kernels.order_layout import (
    ORDER,
    order_at,
    orders_at,
    request_at,
)
from tickwire.kernels.risk_rules import notional
from tickwire.spec.intents import IntentFlag
from tickwire.spec.limits import OrderPermit
from tickwire.spec.orders import OrderState

DEAD = OrderState.DEAD.value
SENT = OrderState.SENT.value
LIVE = OrderState.LIVE.value
REPLACING = OrderState.REPLACING.value
_SELL = IntentFlag.SELL.value
_SHORT = IntentFlag.SHORT.value
_IMMEDIATE = IntentFlag.IMMEDIATE.value
_POST_ONLY = IntentFlag.POST_ONLY.value
_IS_DAY = OrderPermit.DAY.value
_IS_IMMEDIATE = OrderPermit.IMMEDIATE.value
_IS_POST_ONLY = OrderPermit.POST_ONLY.value
_IS_SHORT = OrderPermit.SHORT.value
_BUY_LETTER, _SELL_LETTER, _SHORT_LETTER = map(ord, "BST")
_SIZE = ORDER.itemsize
_TOKEN_MAX = 0xFFFF_FFFF
_WATCHED = 1 << 31


@kernel(inline=True)
def row(orders, token):
    """Address of the row that ``token`` has or would have."""
    o = orders_at(orders)
    return o["table"] + (token & o["mask"]) * _SIZE


@kernel(inline=True)
def find(orders, token):
    """Address of the row of the order ``token`` that is not dead, or 0."""
    address = row(orders, token)
    a = order_at(address)
    if np.int64(a["token"]) != token or a["state"] == DEAD or token == 0:
        return 0
    return address


@kernel(inline=True)
def instrument_of(orders, locate):
    """Dense number of the instrument with stock ``locate``, -1 when none has it.

    An instrument whose symbol moved to another locate has that one alone.
    """
    o = orders_at(orders)
    entry = load32(o["filter"] + 4 * locate)
    instrument = entry & 0xFFFF
    is_own = np.int64(header_at(o["sides"] + 128 * instrument)["locate"]) == locate
    return instrument if entry & _WATCHED != 0 and is_own else -1


@kernel(inline=True)
def is_sell(address):
    """1 when the order sells."""
    return np.int64(order_at(address)["flags"]) & _SELL


@kernel(inline=True)
def side_letter(flags):
    """Side of an order with ``flags``, in OUCH and in records: B, S or T."""
    if flags & _SELL == 0:
        return _BUY_LETTER
    return _SHORT_LETTER if flags & _SHORT != 0 else _SELL_LETTER


@kernel
def free_token(orders):
    """Least token that was never used and whose row is free; 0 when no row is."""
    o = orders_at(orders)
    token = o["next_token"]
    for _ in range(o["mask"] + 1):
        if token > _TOKEN_MAX:
            return 0
        if order_at(row(orders, token))["state"] == DEAD:
            return token
        token += 1
    return 0


@kernel(inline=True)
def take(orders, token):
    """Spend ``token``; returns its row, all zero but for the token."""
    o = orders_at(orders)
    o["next_token"] = token + 1
    address = row(orders, token)
    a = order_at(address)
    a["token"] = token
    a["previous"] = 0
    a["successor"] = 0
    a["executed"] = 0
    a["leaves"] = 0
    a["reference"] = 0
    a["sent"] = 0
    return address


@kernel(inline=True)
def replaced_leaves(address, quantity):
    """Shares that a replace of the order to ``quantity`` in total would leave open."""
    return max(quantity - np.int64(order_at(address)["executed"]), 0)


@kernel(inline=True)
def chain(orders, address):
    """Shares and value (1e-4 dollars) that the order and the replace of it may still cost."""
    a = order_at(address)
    leaves = np.int64(a["leaves"])
    value = notional(np.int64(a["price"]), leaves)
    successor = np.int64(a["successor"])
    if successor != 0:
        b = order_at(row(orders, successor))
        other = replaced_leaves(address, np.int64(b["quantity"]))
        leaves = max(leaves, other)
        value = max(value, notional(np.int64(b["price"]), other))
    return leaves, value


@kernel(inline=True)
def kinds_of(flags):
    """Kinds of an order with ``flags``, as OrderPermit."""
    return ((_IS_IMMEDIATE if flags & _IMMEDIATE != 0 else _IS_DAY)
            | (_IS_POST_ONLY if flags & _POST_ONLY != 0 else 0)
            | (_IS_SHORT if flags & _SHORT != 0 else 0))


@kernel(inline=True)
def request_new(orders, instrument, flags, price, quantity, session, strategy, decided, token):
    """State a new order as the gate's request."""
    q = request_at(orders_at(orders)["request"])
    value = notional(price, quantity)
    q["instrument"] = instrument
    q["is_sell"] = flags & _SELL
    q["kinds"] = kinds_of(flags)
    q["strategy"] = strategy
    q["decided"] = decided
    q["price"] = price
    q["quantity"] = quantity
    q["notional"] = value
    q["added_quantity"] = quantity
    q["added_notional"] = value
    q["added_orders"] = 1
    q["session"] = session
    q["has_place"] = token


@kernel(inline=True)
def request_replace(orders, address, flags, price, quantity, strategy, decided, token):
    """State a replace of the order at ``address`` as the gate's request: only what it adds."""
    a = order_at(address)
    q = request_at(orders_at(orders)["request"])
    leaves = np.int64(a["leaves"])
    other = replaced_leaves(address, quantity)
    q["instrument"] = np.int64(a["instrument"])
    q["is_sell"] = is_sell(address)
    q["kinds"] = kinds_of(flags)
    q["strategy"] = strategy
    q["decided"] = decided
    q["price"] = price
    q["quantity"] = quantity
    q["notional"] = notional(price, quantity)
    q["added_quantity"] = max(other - leaves, 0)
    q["added_notional"] = max(notional(price, other) - notional(np.int64(a["price"]), leaves), 0)
    q["added_orders"] = 0
    q["session"] = np.int64(a["session"])
    q["has_place"] = token
