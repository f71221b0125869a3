"""Order book of the venue: price levels in order, orders of a level in time order.

The levels of a side are an array of keys ``signed price << 32 | level slot``, worst first, best
last, where the signed price is the price of a bid and minus the price of an ask: on both sides a
greater key is a better level. New levels appear near the best one, so few keys move; a search
walks back from the best and turns to bisection after ``NEAR`` keys. So any price can rest, on any
grid, in bounded time: a side holds at most ``depth`` levels.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load32, load64, multiply, shift_right, store32, store64
from tickwire_sim.exchange.layout import (
    ACCOUNT_SIZE,
    BUY,
    HOUSE,
    LEVEL_COUNTS,
    LEVEL_SIZE,
    NONE,
    ORDER_SIZE,
    SYMBOL_SIZE,
    account_at,
    engine_at,
    level_at,
    order_at,
    symbol_at,
)

NEAR = 16
SLOT_MASK = 0xFFFF_FFFF
_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)        # 2^64 / golden ratio


@kernel(inline=True)
def signed(side, price):
    """Price as a number that is greater where the price is better for ``side``."""
    return np.int64(price) if side == BUY else -np.int64(price)


@kernel(inline=True)
def keys_of(engine, symbol, side):
    """Address of the level keys of one side."""
    e = engine_at(engine)
    return e["keys"] + ((symbol << 1) + side) * e["keys_stride"]


@kernel(inline=True)
def level_count(engine, symbol, side):
    """Price levels of one side."""
    return load32(engine_at(engine)["symbols"] + SYMBOL_SIZE * symbol + LEVEL_COUNTS + 4 * side)


@kernel(inline=True)
def set_level_count(engine, symbol, side, levels):
    """Set the number of price levels of one side."""
    store32(engine_at(engine)["symbols"] + SYMBOL_SIZE * symbol + LEVEL_COUNTS + 4 * side, levels)


@kernel(inline=True)
def best_key(engine, symbol, side):
    """Key of the best level of a side that has one."""
    return load64(keys_of(engine, symbol, side) + 8 * (level_count(engine, symbol, side) - 1))


@kernel(inline=True)
def best_price(engine, symbol, side):
    """Best price of a side, 0 where no order rests."""
    if level_count(engine, symbol, side) == 0:
        return 0
    return signed(side, best_key(engine, symbol, side) >> 32)


@kernel(inline=True)
def find(keys, count, price):
    """Index of the first key at or above the signed ``price``: where its level is or belongs."""
    target = price << 32
    index = count
    stop = max(count - NEAR, 0)
    while index > stop and load64(keys + 8 * (index - 1)) >= target:
        index -= 1
    if index > stop:
        return index
    low = 0
    while low < index:
        middle = (low + index) >> 1
        if load64(keys + 8 * middle) >= target:
            index = middle
        else:
            low = middle + 1
    return low


@kernel(inline=True)
def take_order(engine):
    """Slot for a new order; NONE when all are taken."""
    e = engine_at(engine)
    slot = e["order_free"]
    if slot != NONE:
        e["order_free"] = order_at(e["orders"] + ORDER_SIZE * slot)["next"]
    elif e["order_used"] < e["order_slots"]:
        slot = e["order_used"]
        e["order_used"] = slot + 1
    return slot


@kernel(inline=True)
def free_order(engine, slot):
    """Give back the slot of an order that nothing refers to any more."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    o["reference"] = 0
    o["level"] = NONE
    o["next"] = e["order_free"]
    e["order_free"] = slot


@kernel(inline=True)
def link(engine, slot):
    """Put the order last in the queue of its price. Returns False when no level is left."""
    e = engine_at(engine)
    address = e["orders"] + ORDER_SIZE * slot
    o = order_at(address)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])
    side = o["side"]
    keys = keys_of(engine, o["symbol"], side)
    count = level_count(engine, o["symbol"], side)
    price = signed(side, o["price"])
    index = find(keys, count, price)
    level = NONE
    if index < count:
        key = load64(keys + 8 * index)
        if key >> 32 == price:
            level = key & SLOT_MASK
    if level == NONE:
        if count >= e["depth"]:
            return False
        level = e["level_free"]
        if level == NONE:
            level = e["level_used"]
            e["level_used"] = level + 1
        else:
            e["level_free"] = level_at(e["levels"] + LEVEL_SIZE * level)["head"]
        place = count
        while place > index:
            store64(keys + 8 * place, load64(keys + 8 * (place - 1)))
            place -= 1
        store64(keys + 8 * index, price << 32 | level)
        set_level_count(engine, o["symbol"], side, count + 1)
        row = level_at(e["levels"] + LEVEL_SIZE * level)
        row["head"] = slot
        row["price"] = o["price"]
        row["orders"] = 0
        row["quantity"] = 0
        o["previous"] = NONE
    else:
        row = level_at(e["levels"] + LEVEL_SIZE * level)
        o["previous"] = row["tail"]
        order_at(e["orders"] + ORDER_SIZE * row["tail"])["next"] = slot
    row["tail"] = slot
    row["orders"] += 1
    row["quantity"] += o["quantity"]
    o["next"] = NONE
    o["level"] = level
    s["orders"] += 1
    e["orders_live"] += 1
    return True


@kernel(inline=True)
def drop_level(engine, symbol, side, level):
    """Remove a level that holds no order any more."""
    e = engine_at(engine)
    row = level_at(e["levels"] + LEVEL_SIZE * level)
    keys = keys_of(engine, symbol, side)
    count = level_count(engine, symbol, side) - 1
    place = find(keys, count + 1, signed(side, row["price"]))
    while place < count:
        store64(keys + 8 * place, load64(keys + 8 * (place + 1)))
        place += 1
    set_level_count(engine, symbol, side, count)
    row["head"] = e["level_free"]
    e["level_free"] = level


@kernel(inline=True)
def unlink(engine, slot):
    """Take the order out of the queue of its price."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])
    level = o["level"]
    row = level_at(e["levels"] + LEVEL_SIZE * level)
    if o["previous"] == NONE:
        row["head"] = o["next"]
    else:
        order_at(e["orders"] + ORDER_SIZE * o["previous"])["next"] = o["next"]
    if o["next"] == NONE:
        row["tail"] = o["previous"]
    else:
        order_at(e["orders"] + ORDER_SIZE * o["next"])["previous"] = o["previous"]
    row["orders"] -= 1
    row["quantity"] -= o["quantity"]
    o["level"] = NONE
    s["orders"] -= 1
    e["orders_live"] -= 1
    if row["orders"] == 0:
        drop_level(engine, o["symbol"], o["side"], level)


@kernel(inline=True)
def _bucket(engine, owner, number):
    """Address of the first slot of the orders with this hash of account and number."""
    e = engine_at(engine)
    hashed = shift_right(multiply(np.int64(owner) << 32 | np.int64(number), _MULTIPLIER), 32)
    return e["numbers"] + 4 * (hashed & e["numbers_mask"])


@kernel
def _register_number(engine, slot):
    """Make an account's order known by its number and in the account's list."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    bucket = _bucket(engine, o["owner"], o["number"])
    o["chain"] = load32(bucket)
    store32(bucket, slot)
    a = account_at(e["accounts"] + ACCOUNT_SIZE * o["owner"])
    o["owner_previous"] = NONE
    o["owner_next"] = a["orders"]
    if a["orders"] != NONE:
        order_at(e["orders"] + ORDER_SIZE * a["orders"])["owner_previous"] = slot
    a["orders"] = slot
    a["order_count"] += 1


@kernel
def _forget_number(engine, slot):
    """Take an account's order out of the number table and of the account's list."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    bucket = _bucket(engine, o["owner"], o["number"])
    before = load32(bucket)
    if before == slot:
        store32(bucket, o["chain"])
    else:
        while order_at(e["orders"] + ORDER_SIZE * before)["chain"] != slot:
            before = order_at(e["orders"] + ORDER_SIZE * before)["chain"]
        order_at(e["orders"] + ORDER_SIZE * before)["chain"] = o["chain"]
    a = account_at(e["accounts"] + ACCOUNT_SIZE * o["owner"])
    if o["owner_previous"] == NONE:
        a["orders"] = o["owner_next"]
    else:
        order_at(e["orders"] + ORDER_SIZE * o["owner_previous"])["owner_next"] = o["owner_next"]
    if o["owner_next"] != NONE:
        order_at(e["orders"] + ORDER_SIZE * o["owner_next"])["owner_previous"] = o["owner_previous"]
    a["order_count"] -= 1


@kernel(inline=True)
def register(engine, slot):
    """Enter a resting order in the roster of the house or in the tables of its account."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    if o["owner"] == HOUSE:
        o["owner_next"] = e["roster_count"]
        store32(e["roster"] + 4 * e["roster_count"], slot)
        e["roster_count"] += 1
    else:
        _register_number(engine, slot)


@kernel(inline=True)
def forget(engine, slot):
    """Undo :func:`register`."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    if o["owner"] == HOUSE:
        count = e["roster_count"] - 1
        last = load32(e["roster"] + 4 * count)
        store32(e["roster"] + 4 * o["owner_next"], last)
        order_at(e["orders"] + ORDER_SIZE * last)["owner_next"] = o["owner_next"]
        e["roster_count"] = count
    else:
        _forget_number(engine, slot)


@kernel
def lookup(engine, owner, number):
    """Slot of the account's live order with this number, or NONE."""
    e = engine_at(engine)
    slot = load32(_bucket(engine, owner, number))
    while slot != NONE:
        o = order_at(e["orders"] + ORDER_SIZE * slot)
        if o["owner"] == owner and o["number"] == number:
            return slot
        slot = o["chain"]
    return NONE


@kernel(inline=True)
def _place_of(engine, name):
    """Address of the entry of a symbol's name, or of the free one where it belongs."""
    e = engine_at(engine)
    place = shift_right(multiply(np.int64(name), _MULTIPLIER), 32) & e["names_mask"]
    while load64(e["names"] + 16 * place) != 0 and load64(e["names"] + 16 * place) != name:
        place = (place + 1) & e["names_mask"]
    return e["names"] + 16 * place


@kernel
def name_symbol(engine, name, symbol):
    """Make ``symbol`` known by its name; at most half of the table is ever used."""
    place = _place_of(engine, name)
    store64(place, name)
    store64(place + 8, symbol)


@kernel
def symbol_named(engine, name):
    """Number of the symbol with this name, 8 octets as a big-endian integer, or -1."""
    if name == 0:
        return -1
    place = _place_of(engine, name)
    return load64(place + 8) if load64(place) == name else -1
