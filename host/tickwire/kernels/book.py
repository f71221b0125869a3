"""Order-by-order book of every instrument: exact, and truthful where it cannot be.

:func:`add` and :func:`reduce` apply one order event each; :func:`sweep_step` does the bounded
background work that follows every message. What a book loses for good (table overflow, an order
it never saw, a price off its grid) marks the instrument DESYNCED until it is rebuilt; a best
price that lies outside the window marks the side hidden until it is found.
"""

from tickwire.kernels import level_table, order_table, window
from tickwire.kernels.depth import is_dirty, note_level, write_levels
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import EMPTY, book_at, header_at, side_at
from tickwire.kernels.memory import load64, multiply, shift_right, store64, unlikely
from tickwire.kernels.publish import next_version, write_bbo, write_state
from tickwire.kernels.ring import count
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import ONE_ORDER, SHARE_LIMIT
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
_DOLLAR, _CENT, _FINE_TICK = 10_000, 100, 1


@kernel(inline=True)
def header_of(book, instrument):
    """Address of an instrument's header line."""
    return book_at(book)["headers"] + instrument * 64


@kernel(inline=True)
def desync(book, instrument, counter):
    """Count an event and mark the instrument: its book is not to be believed any more."""
    count(book_at(book)["counters"], counter)
    h = header_at(header_of(book, instrument))
    h["flags"] |= DESYNCED


@kernel
def _note_stash(book, counter, used):
    counters = book_at(book)["counters"]
    if used > load64(counters + 8 * counter):
        store64(counters + 8 * counter, used)


@kernel
def _show_best(book, instrument, side, tick_key, tick):
    """Make the level at ``tick_key`` the best one of its side; EMPTY when there is none."""
    b = book_at(book)
    h = header_at(b["headers"] + instrument * 64)
    book_side = instrument * 2 + side
    hidden = BID_HIDDEN << side
    if tick_key != EMPTY:
        price = window.price_of(tick_key, side, tick)
        entry = level_table.find(book, level_table.key_of(instrument, side, price))
        h["best"][side] = -price if side else price
        h["best_value"][side] = load64(entry + level_table.VALUES)
        h["flags"] &= ~hidden
        return
    h["best"][side] = EMPTY
    h["best_value"][side] = 0
    s = side_at(b["sides"] + book_side * 64)
    if s["levels"] == 0:
        h["flags"] &= ~hidden
    elif h["flags"] & hidden == 0:
        h["flags"] |= hidden
        count(b["counters"], HIDDEN)
        window.uncover(book, book_side)


@kernel(inline=True)
def _best_tick(h, side):
    """Tick key of the side's best level, or EMPTY."""
    best = h["best"][side]
    if best == EMPTY:
        return EMPTY
    return window.tick_key(-best if side else best, side, h["tick"])


@kernel
def _new_level(book, instrument, side, price, value):
    """A level came to life: window, best level."""
    b = book_at(book)
    h = header_at(b["headers"] + instrument * 64)
    book_side = instrument * 2 + side
    s = side_at(b["sides"] + book_side * 64)
    s["levels"] += 1
    if h["tick"] == 0:
        h["tick"] = _FINE_TICK if price < _DOLLAR else _CENT
    tick = h["tick"]
    key = window.tick_key(price, side, tick)
    on_grid = window.price_of(key, side, tick) == price
    visible = window.insert(book, book_side, key, on_grid, tick)
    if unlikely(not on_grid):
        count(b["counters"], OFF_GRID)
        if visible:
            h["flags"] |= DESYNCED
    price_key = -price if side else price
    if visible and price_key > h["best"][side]:
        h["best"][side] = price_key
        h["best_value"][side] = value
        h["flags"] &= ~(BID_HIDDEN << side)
    elif not visible and window.wants_sweep(book, book_side, _best_tick(h, side)):
        window.request(book, book_side, tick)


@kernel
def _lost_level(book, instrument, side, price):
    """A level died: window, next best level."""
    b = book_at(book)
    h = header_at(b["headers"] + instrument * 64)
    book_side = instrument * 2 + side
    s = side_at(b["sides"] + book_side * 64)
    s["levels"] -= 1
    tick = h["tick"]
    key = window.tick_key(price, side, tick)
    if key >= s["floor"] and window.price_of(key, side, tick) == price:
        window.clear_bit(book, book_side, key)
    price_key = -price if side else price
    if price_key == h["best"][side]:
        _show_best(book, instrument, side, window.next_below(book, book_side, key), tick)
    elif s["levels"] == 0:
        h["flags"] &= ~(BID_HIDDEN << side)
    if window.wants_sweep(book, book_side, _best_tick(h, side)):
        window.request(book, book_side, tick)


@kernel
def add(book, instrument, side, reference, quantity, price):
    """Add an order: ``side`` 0 bid, 1 ask; ``price`` in 1e-4 dollars.

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
    if unlikely(reference == 0) or unlikely(order_table.find(book, reference) != NONE):
        desync(book, instrument, DUPLICATE_ORDER)
        return
    key = level_table.key_of(instrument, side, price)
    level = level_table.find(book, key)
    fresh = level == NONE
    if fresh:
        level = level_table.place(book, key)
        if unlikely(level == NONE):
            desync(book, instrument, LEVEL_OVERFLOW)
            return
        if unlikely(b["level_stash_used"] != 0):
            _note_stash(book, LEVEL_STASH_MAX, b["level_stash_used"])
    before = load64(level + level_table.VALUES)
    if unlikely((before & SHARE_LIMIT) + quantity > SHARE_LIMIT):
        desync(book, instrument, LEVEL_OVERFLOW)
        return
    entry = order_table.place(book, reference)
    if unlikely(entry == NONE):
        if fresh:
            level_table.remove(book, level)
        desync(book, instrument, ORDER_OVERFLOW)
        return
    if unlikely(b["order_stash_used"] != 0):
        _note_stash(book, ORDER_STASH_MAX, b["order_stash_used"])
    store64(entry + order_table.VALUES, quantity << 32 | level_table.index_of(book, level))
    value = before + ONE_ORDER + quantity
    store64(level + level_table.VALUES, value)
    h = header_at(b["headers"] + instrument * 64)
    price_key = -price if side else price
    h["checksum"] += multiply(price_key, ONE_ORDER + quantity)
    if fresh:
        _new_level(book, instrument, side, price, value)
    elif price_key == h["best"][side]:
        h["best_value"][side] = value
    if b["depth"]:
        note_level(book, instrument, side, price_key, value)


@kernel(inline=True)
def reduce(book, instrument, entry, reference, shares):
    """Take ``shares``, at most those that are open, from an order; at 0 it is gone."""
    b = book_at(book)
    order = order_table.value_of(entry)
    level = level_table.entry_of(book, order & 0xFFFFFFFF)
    key = load64(level)
    side = (key >> 32) & 1
    price = key & 0xFFFFFFFF
    delta = shares
    if shares == shift_right(order, 32):
        order_table.remove(book, entry, reference)
        delta += ONE_ORDER
    else:
        store64(entry + order_table.VALUES, order - (shares << 32))
    value = load64(level + level_table.VALUES) - delta
    store64(level + level_table.VALUES, value)
    h = header_at(b["headers"] + instrument * 64)
    price_key = -price if side else price
    h["checksum"] -= multiply(price_key, delta)
    if value == 0:
        level_table.remove(book, level)
        _lost_level(book, instrument, side, price)
    elif price_key == h["best"][side]:
        h["best_value"][side] = value
    if b["depth"]:
        note_level(book, instrument, side, price_key, value)


@kernel
def _sweep_tick(book, book_side):
    """Look one tick up for the side in hand; returns False when the side is done."""
    b = book_at(book)
    instrument, side = book_side >> 1, book_side & 1
    h = header_at(b["headers"] + instrument * 64)
    s = side_at(b["sides"] + book_side * 64)
    tick = h["tick"]
    key = window.lower_floor(book, book_side, _best_tick(h, side), tick)
    if key == EMPTY:
        return False
    if unlikely(key <= s["off_grid_high"]):
        h["flags"] |= DESYNCED
        s["off_grid_high"] = EMPTY
    price = window.price_of(key, side, tick)
    level = level_table.find(book, level_table.key_of(instrument, side, price))
    if level == NONE:
        return True
    window.set_bit(book, book_side, key)
    value = load64(level + level_table.VALUES)
    price_key = -price if side else price
    if h["best"][side] == EMPTY:
        h["best"][side] = price_key
        h["best_value"][side] = value
        h["flags"] &= ~(BID_HIDDEN << side)
    if b["depth"]:
        note_level(book, instrument, side, price_key, value)
    return True


@kernel
def publish(book, instrument, best_changed):
    """Publish what changed: one new version, the state line, LEVEL records, the BBO record."""
    next_version(book, instrument)
    flags = write_state(book, instrument)
    if book_at(book)["depth"]:
        write_levels(book, instrument)
    if best_changed:
        write_bbo(book, instrument, flags)


@kernel
def sweep_step(book):
    """Do the background work that follows one message: at most ``lookups`` level look-ups."""
    b = book_at(book)
    if b["sweep"] < 0:
        window.begin_sweep(book)
    book_side = b["sweep"]
    instrument = book_side >> 1
    h = header_at(b["headers"] + instrument * 64)
    bid, ask = h["best"][0], h["best"][1]
    flags = h["flags"]
    for _ in range(b["lookups"]):
        if not _sweep_tick(book, book_side):
            side_at(b["sides"] + book_side * 64)["queued"] = 0
            b["sweep"] = -1
            break
    changed = h["best"][0] != bid or h["best"][1] != ask or h["flags"] != flags
    if changed or is_dirty(book, instrument):
        publish(book, instrument, changed)


@kernel(inline=True)
def background(book):
    """Run :func:`sweep_step` when any side waits; called once after every message."""
    b = book_at(book)
    if unlikely(b["sweep"] >= 0) or unlikely(b["queue_head"] != b["queue_tail"]):
        sweep_step(book)
