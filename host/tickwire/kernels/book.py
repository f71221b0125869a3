"""Order-by-order book of every instrument: exact, and truthful where it cannot be.

:func:`add` and :func:`reduce` apply one order event each; :func:`sweep_step` does the bounded
background work that follows every message. What a book loses for good (table overflow, an order
it never saw, a price off its grid) marks the instrument DESYNCED until it is rebuilt; a best
price that lies outside the window marks the side hidden until it is found.
"""

import numpy as np

from tickwire.kernels import level_table, order_table, window
from tickwire.kernels.faults import fault
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import ASKED_SIZE, EMPTY, book_at, header_at, side_at
from tickwire.kernels.memory import load64, multiply, store64, unlikely
from tickwire.kernels.publish import next_version, write_bbo, write_level, write_state
from tickwire.kernels.ring import count
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import (
    CENT_TICK,
    DOLLAR,
    FINE_TICK,
    LEVEL_FULL,
    ONE_ORDER,
    SHARE_LIMIT,
    SWEEP_DELAY,
    SWEEP_PERIOD,
)
from tickwire.spec.records import BookFlag

NONE = 0
DESYNCED = BookFlag.DESYNCED.value
BID_HIDDEN = BookFlag.BID_HIDDEN.value
BAD_PRICE = CounterIndex.BAD_PRICE.value
ZERO_QUANTITY = CounterIndex.ZERO_QUANTITY.value
DUPLICATE_ORDER = CounterIndex.DUPLICATE_ORDER.value
LEVEL_OVERFLOW = CounterIndex.LEVEL_OVERFLOW.value
ORDER_OVERFLOW = CounterIndex.ORDER_OVERFLOW.value
ORDER_STASH_MAX = CounterIndex.ORDER_STASH_MAX.value
LEVEL_STASH_MAX = CounterIndex.LEVEL_STASH_MAX.value
OFF_GRID = CounterIndex.OFF_GRID.value
HIDDEN = CounterIndex.HIDDEN.value
_PRICE_LIMIT = 1 << 31


@kernel
def desync(book, instrument, counter):
    """Count an event and mark the instrument: its book is not to be believed any more."""
    b = book_at(book)
    fault(book, counter, b["sequence"])
    h = header_at(b["sides"] + instrument * 128)
    if h["flags"] & DESYNCED == 0:
        h["flags"] |= DESYNCED
        b["changed"] = 1


@kernel
def _note_stash(book, counter, used):
    counters = book_at(book)["counters"]
    if used > load64(counters + 8 * counter):
        store64(counters + 8 * counter, used)


@kernel(inline=True)
def best_tick(s, side, header):
    """Tick key of the side's best level, or EMPTY."""
    best = np.int64(s["best"])
    if best == EMPTY:
        return EMPTY
    return window.tick_key(-best if side else best, side, header)


@kernel
def _no_best(book, instrument, side):
    """The side has no bit left: it is empty, or hidden."""
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    s = side_at(b["sides"] + (instrument * 2 + side) * 64)
    hidden = BID_HIDDEN << side
    s["best"] = EMPTY
    s["best_value"] = 0
    if s["levels"] == 0:
        h["flags"] &= ~hidden
    elif h["flags"] & hidden == 0:
        h["flags"] |= hidden
        count(b["counters"], HIDDEN)
        window.uncover(book, instrument * 2 + side)


@kernel(inline=True)
def _new_level(book, instrument, side, price, price_key, value):
    """A level came to life: window, best level."""
    b = book_at(book)
    header = b["sides"] + instrument * 128
    h = header_at(header)
    book_side = instrument * 2 + side
    s = side_at(b["sides"] + book_side * 64)
    s["levels"] += 1
    if unlikely(h["tick"] == 0):
        window.set_grid(header, FINE_TICK if price < DOLLAR else CENT_TICK)
    tick = np.int64(h["tick"])
    key = window.tick_key(price, side, header)
    on_grid = window.price_of(key, side, tick) == price
    visible = window.insert(book, book_side, key, on_grid, tick)
    if unlikely(not on_grid):
        if visible:
            desync(book, instrument, OFF_GRID)
        else:
            fault(book, OFF_GRID, b["sequence"])
    if visible and on_grid and price_key > s["best"]:
        s["best"] = price_key
        s["best_value"] = value
        h["flags"] &= ~(BID_HIDDEN << side)
        b["changed"] = 1
    elif unlikely(s["best"] == EMPTY) and h["flags"] & (BID_HIDDEN << side) == 0:
        _no_best(book, instrument, side)    # the side's only level can have no bit
        b["changed"] = 1
    if unlikely(s["unseen_high"] != EMPTY):
        window.request(book, book_side, best_tick(s, side, header), tick)


@kernel
def _next_best(book, instrument, side, key, tick):
    """The best level, at tick ``key``, is gone: show the next one."""
    b = book_at(book)
    s = side_at(b["sides"] + (instrument * 2 + side) * 64)
    b["changed"] = 1
    below = window.next_below(book, instrument * 2 + side, key)
    if unlikely(below == EMPTY):
        _no_best(book, instrument, side)
        return
    price = window.price_of(below, side, tick)
    entry = level_table.search(book, level_table.key_of(instrument, side, price))
    s["best"] = -price if side else price
    s["best_value"] = load64(entry + level_table.VALUES)


@kernel(inline=True)
def _lost_level(book, instrument, side, price, price_key):
    """A level died: window, next best level."""
    b = book_at(book)
    header = b["sides"] + instrument * 128
    h = header_at(header)
    book_side = instrument * 2 + side
    s = side_at(b["sides"] + book_side * 64)
    s["levels"] -= 1
    tick = np.int64(h["tick"])
    key = window.tick_key(price, side, header)
    on_grid = window.price_of(key, side, tick) == price
    if on_grid and key >= s["floor"]:
        window.clear_bit(book, book_side, key)
    if price_key == s["best"]:
        _next_best(book, instrument, side, key, tick)
    elif unlikely(s["levels"] == 0):
        b["changed"] = 1
        _no_best(book, instrument, side)
    if unlikely(s["unseen_high"] != EMPTY):
        window.request(book, book_side, best_tick(s, side, header), tick)


@kernel(inline=True)
def add_to(book, instrument, side, reference, quantity, price, order_bucket, level_bucket):
    """Add an order: ``side`` 0 bid, 1 ask; ``price`` in 1e-4 dollars.

    The buckets are the left ones of the order and of its level.

    What cannot be an order (no shares, no price, reference 0 or in use) or finds no room is
    counted and marks the instrument; nothing else changes.
    """
    b = book_at(book)
    if unlikely(quantity == 0):
        desync(book, instrument, ZERO_QUANTITY)
        return
    if unlikely(price <= 0 or price >= _PRICE_LIMIT):
        desync(book, instrument, BAD_PRICE)
        return
    if (unlikely(reference == 0)
            or unlikely(order_table.find(book, order_bucket, reference) != NONE)):
        desync(book, instrument, DUPLICATE_ORDER)
        return
    key = level_table.key_of(instrument, side, price)
    level = level_table.find(book, level_bucket, key)
    fresh = level == NONE
    if fresh:
        level = level_table.place(book, level_bucket, key)
        if unlikely(level == NONE):
            desync(book, instrument, LEVEL_OVERFLOW)
            return
    before = load64(level + level_table.VALUES)
    if unlikely((before & SHARE_LIMIT) >= LEVEL_FULL):
        desync(book, instrument, LEVEL_OVERFLOW)
        return
    entry = order_table.place(book, order_bucket, reference)
    if unlikely(entry == NONE):
        if fresh:
            level_table.remove(book, level)
        desync(book, instrument, ORDER_OVERFLOW)
        return
    if unlikely(b["level_stash_used"] != 0):
        _note_stash(book, LEVEL_STASH_MAX, b["level_stash_used"])
    if unlikely(b["order_stash_used"] != 0):
        _note_stash(book, ORDER_STASH_MAX, b["order_stash_used"])
    order_table.write(entry, quantity, level_table.index_of(book, level))
    value = before + ONE_ORDER + quantity
    store64(level + level_table.VALUES, value)
    s = side_at(b["sides"] + (instrument * 2 + side) * 64)
    price_key = -price if side else price
    s["checksum"] += multiply(price_key, ONE_ORDER + quantity)
    if fresh:
        _new_level(book, instrument, side, price, price_key, value)
    elif price_key == s["best"]:
        s["best_value"] = value
        b["changed"] = 1
    if unlikely(b["depth"] != 0):
        write_level(book, instrument, side, price, value)


@kernel
def add(book, instrument, side, reference, quantity, price):
    """Add an order, as :func:`add_to` does, from its fields alone."""
    key = level_table.key_of(instrument, side, price)
    add_to(book, instrument, side, reference, quantity, price,
           order_table.left_bucket(book, reference), level_table.left_bucket(book, key))


@kernel(inline=True)
def reduce(book, instrument, entry, reference, shares):
    """Take ``shares``, 1 to all that are open, from an order; at 0 it is gone."""
    b = book_at(book)
    level = level_table.entry_of(book, order_table.level_of(entry))
    key = load64(level)
    side = (key >> 32) & 1
    price = key & 0xFFFFFFFF
    delta = shares
    if shares == order_table.quantity_of(entry):
        order_table.remove(book, entry, reference)
        delta += ONE_ORDER
    else:
        order_table.take_shares(entry, shares)
    value = load64(level + level_table.VALUES) - delta
    store64(level + level_table.VALUES, value)
    s = side_at(b["sides"] + (instrument * 2 + side) * 64)
    price_key = -price if side else price
    s["checksum"] -= multiply(price_key, delta)
    if value == 0:
        level_table.remove(book, level)
        _lost_level(book, instrument, side, price, price_key)
    elif price_key == s["best"]:
        s["best_value"] = value
        b["changed"] = 1
    if unlikely(b["depth"] != 0):
        write_level(book, instrument, side, price, value)


@kernel
def _sweep_tick(book, floor, key):
    """Take the tick that was asked for at ``floor`` into the window of the side in hand."""
    b = book_at(book)
    book_side = b["sweep"]
    instrument, side = book_side >> 1, book_side & 1
    header = b["sides"] + instrument * 128
    h = header_at(header)
    s = side_at(b["sides"] + book_side * 64)
    tick = np.int64(h["tick"])
    outcome = window.lower_floor(book, floor, key, best_tick(s, side, header), tick)
    if outcome != window.LOWERED:
        return outcome
    if unlikely(key <= s["off_grid_high"]):
        s["off_grid_high"] = EMPTY
        if h["flags"] & DESYNCED == 0:
            h["flags"] |= DESYNCED
            b["changed"] = 1
    price = window.price_of(key, side, tick)
    level = level_table.search(book, level_table.key_of(instrument, side, price))
    if level == NONE:
        return outcome
    window.set_bit(book, book_side, key)
    value = load64(level + level_table.VALUES)
    price_key = -price if side else price
    if s["best"] == EMPTY:
        s["best"] = price_key
        s["best_value"] = value
        h["flags"] &= ~(BID_HIDDEN << side)
        b["changed"] = 1
    return outcome


@kernel
def publish(book, instrument):
    """Publish what changed: one new version, the state line, the BBO record."""
    next_version(book, instrument)
    write_bbo(book, instrument, write_state(book, instrument))


@kernel
def _answer(book, place):
    """Answer what was asked for in the line at ``place``; publish what it changed."""
    b = book_at(book)
    book_side = b["sweep"]
    floor, first = load64(place + 8), load64(place + 16)
    b["changed"] = 0
    for index in range(b["lookups"]):
        outcome = _sweep_tick(book, floor, first - index)
        floor = first - index
        if outcome == window.DONE:
            window.end_sweep(book)
            break
        if outcome == window.MOVED:
            window.restart_sweep(book)
            break
    if b["changed"] != 0:
        publish(book, book_side >> 1)


@kernel
def sweep_step(book):
    """Do the work of one step: at most ``lookups`` level look-ups."""
    b = book_at(book)
    place = b["asked"] + (b["steps"] & (SWEEP_DELAY - 1)) * ASKED_SIZE
    b["steps"] += 1
    if b["pending"] == 0:
        return
    if b["sweep"] >= 0 and load64(place) == b["round"]:
        _answer(book, place)
    if b["sweep"] < 0 and b["pending"] != 0:
        window.begin_sweep(book)
    if b["sweep"] >= 0:
        window.ask(book, place)


@kernel(inline=True)
def background(book):
    """Run :func:`sweep_step` when it is due; called after every message."""
    if book_at(book)["sequence"] & (SWEEP_PERIOD - 1) == 0:
        sweep_step(book)
