"""Price window of one side: a two-stage circular bitmap of ticks, and how it follows the market.

Tick keys grow towards better prices on both sides: the tick number for bids, its complement for
asks. ``floor`` is the invariant: *every level on the grid whose tick key is at least ``floor``
has its bit*. The window holds ``window_words`` words of 64 ticks from the word of ``floor``
upwards, each tick in the bit of its key modulo the window.

Upwards the window moves at once, by clearing summary bits: nothing can be missed there, the new
level is the best. Downwards it moves one tick at a time, by looking the tick up in the level
table, for one side after the other: in each step, one every ``SWEEP_PERIOD`` messages, the next
``lookups`` ticks are asked for, and ``SWEEP_DELAY`` steps later, as the side and the table are
then, they are answered. A pipeline has that long to look them up. An answer that no longer fits
is void.
Levels below the floor stay exact in the level table; ``unseen_high`` bounds them from above. A
side without any bit whose ``levels`` is not 0 is *hidden*: its best price is not known, the BBO
says so, and the sweep begins at that bound.

All of it is a function of the message sequence alone, so every device does the same.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import EMPTY, NO_TICK, book_at, header_at, side_at
from tickwire.kernels.memory import load64, shift_right, store64, top_bit, unlikely
from tickwire.kernels.ring import count
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import DOLLAR, FINE_TICK, GRID_SHIFT, WINDOW_WORD

LOWERED, MOVED, DONE = range(3)
WINDOW_SHIFTS = CounterIndex.WINDOW_SHIFTS.value
WINDOW_SWEEPS = CounterIndex.WINDOW_SWEEPS.value
_LOW = WINDOW_WORD - 1


@kernel
def set_grid(header, tick):
    """Set an instrument's tick size, 1 to 2^20 in 1e-4 dollars.

    ``price * multiplier >> shift`` is ``price // tick`` for every price below 2^31: the
    multiplier is 2^shift / tick rounded up, its error times 2^31 stays below 2^shift / tick.
    """
    h = header_at(header)
    bits = 0
    while (1 << bits) < tick:
        bits += 1
    h["tick"] = tick
    h["tick_shift"] = GRID_SHIFT + bits
    h["tick_multiplier"] = ((1 << (GRID_SHIFT + bits)) + tick - 1) // tick


@kernel(inline=True)
def tick_key(price, side, header):
    """Tick key of a price, rounded down to the grid of the instrument."""
    h = header_at(header)
    number = (price * np.int64(h["tick_multiplier"])) >> np.int64(h["tick_shift"])
    return number ^ -side


@kernel(inline=True)
def price_of(key, side, tick):
    """Price of a tick key."""
    return (key ^ -side) * tick


@kernel(inline=True)
def least_floor(side, tick):
    """Lowest floor of a side: bids below a dollar are off the grid of ticks above 0.0001."""
    if side:
        return NO_TICK + 1
    return 0 if tick <= FINE_TICK else -(-DOLLAR // tick)


@kernel(inline=True)
def _bitmap(b, book_side):
    return b["bitmaps"] + book_side * b["window_words"] * 8


@kernel(inline=True)
def word_of(b, book_side, key):
    """Address of the bitmap word of ``key``."""
    return _bitmap(b, book_side) + ((key >> 6) & (b["window_words"] - 1)) * 8


@kernel(inline=True)
def set_bit(book, book_side, key):
    """Set the bit of ``key``, which lies in the window."""
    b = book_at(book)
    s = side_at(b["sides"] + book_side * 64)
    word = (key >> 6) & (b["window_words"] - 1)
    address = _bitmap(b, book_side) + word * 8
    bit = 1 << (key & _LOW)
    if (shift_right(s["summary"], word)) & 1:
        store64(address, load64(address) | bit)
    else:                                   # the word's content is void
        store64(address, bit)
        s["summary"] |= 1 << word


@kernel(inline=True)
def clear_bit(book, book_side, key):
    """Clear the bit of ``key``, which lies in the window."""
    b = book_at(book)
    s = side_at(b["sides"] + book_side * 64)
    word = (key >> 6) & (b["window_words"] - 1)
    if (shift_right(s["summary"], word)) & 1:
        address = _bitmap(b, book_side) + word * 8
        rest = load64(address) & ~(1 << (key & _LOW))
        store64(address, rest)
        if rest == 0:
            s["summary"] &= ~(1 << word)


@kernel(inline=True)
def _rotate_right(summary, words, by):
    """The ``words`` low bits of ``summary``, rotated right by ``by`` < words."""
    turned = shift_right(summary, by) | summary << ((words - by) & _LOW)
    return turned if words == 64 else turned & ((1 << words) - 1)


@kernel(inline=True)
def next_below(book, book_side, key):
    """Greatest tick key below ``key`` that has a bit; EMPTY when there is none."""
    b = book_at(book)
    s = side_at(b["sides"] + book_side * 64)
    if key <= s["floor"]:
        return EMPTY
    words = b["window_words"]
    bitmap = _bitmap(b, book_side)
    word = (key >> 6) & (words - 1)
    if (shift_right(s["summary"], word)) & 1:
        lower = load64(bitmap + word * 8) & ((1 << (key & _LOW)) - 1)
        if lower:
            return (key & ~_LOW) + top_bit(lower)
    base_word = (s["floor"] >> 6) & (words - 1)
    turned = _rotate_right(s["summary"], words, base_word)
    below = turned & ((1 << ((word - base_word) & (words - 1))) - 1)
    if below == 0:
        return EMPTY
    index = top_bit(below)
    base = s["floor"] & ~_LOW
    return base + (index << 6) + top_bit(load64(bitmap + ((base_word + index) & (words - 1)) * 8))


@kernel(inline=True)
def _unseen(s, key):
    """Note that there may be a level without a bit at ``key``."""
    s["unseen_high"] = max(s["unseen_high"], key)
    s["unseen_low"] = key if s["unseen_low"] == EMPTY else min(s["unseen_low"], key)


@kernel
def _shift_up(book, book_side, key):
    """Move the window so that ``key``, which is above it, lies at three quarters."""
    b = book_at(book)
    s = side_at(b["sides"] + book_side * 64)
    words = b["window_words"]
    base = s["floor"] & ~_LOW
    new = (key - (words * WINDOW_WORD // 4) * 3) & ~_LOW
    base_word = (base >> 6) & (words - 1)
    leaving = min((new - base) >> 6, words)
    turned = _rotate_right(s["summary"], words, base_word)
    gone = turned if leaving == 64 else turned & ((1 << leaving) - 1)
    if gone:
        _unseen(s, new - 1)
        s["unseen_low"] = min(s["unseen_low"], s["floor"])
        s["summary"] &= ~_rotate_right(gone, words, (words - base_word) & (words - 1))
    s["floor"] = new
    count(b["counters"], WINDOW_SHIFTS)


@kernel
def _begin(s, book_side, key, ticks, tick):
    """The side's first level: lay the window anew around it."""
    s["summary"] = 0
    s["unseen_high"] = EMPTY
    s["unseen_low"] = EMPTY
    s["off_grid_high"] = EMPTY
    s["floor"] = max((key - (ticks // 4) * 3) & ~_LOW, least_floor(book_side & 1, tick))


@kernel
def _insert_below(s, key, on_grid):
    """A new level below the floor: nothing but bounds."""
    _unseen(s, key)
    if not on_grid:
        s["off_grid_high"] = max(s["off_grid_high"], key)


@kernel(inline=True)
def insert(book, book_side, key, on_grid, tick):
    """Take in a new level. Returns whether it is in the window: it is not below the floor.

    The caller has counted it in ``levels``; when it is the only one the window is laid anew.
    An off-grid level gets no bit; the caller marks the book when this returns True for it.
    """
    b = book_at(book)
    s = side_at(b["sides"] + book_side * 64)
    ticks = b["window_words"] * WINDOW_WORD
    if unlikely(s["levels"] == 1):
        _begin(s, book_side, key, ticks, tick)
    elif unlikely(key >= (s["floor"] & ~_LOW) + ticks) and on_grid:
        _shift_up(book, book_side, key)
    if unlikely(key < s["floor"]):
        _insert_below(s, key, on_grid)
        return False
    if on_grid:
        set_bit(book, book_side, key)
    return True


@kernel
def uncover(book, book_side):
    """The side has levels but no bit: put the floor just above the bound of the unseen ones."""
    s = side_at(book_at(book)["sides"] + book_side * 64)
    s["summary"] = 0
    if s["unseen_high"] != EMPTY:
        s["floor"] = s["unseen_high"] + 1


@kernel
def request(book, book_side, best, tick):
    """Queue the side for a sweep when its best level, a tick key or EMPTY, is near the floor.

    Called only while ``unseen_high`` is not EMPTY. Not queued when the floor cannot go lower or
    the queue is full; it is asked again at the side's next change.
    """
    b = book_at(book)
    s = side_at(b["sides"] + book_side * 64)
    if s["queued"]:
        return
    if best != EMPTY and (best >> 6) - (s["floor"] >> 6) >= b["window_words"] >> 2:
        return
    if s["floor"] <= least_floor(book_side & 1, tick):
        return
    if b["queue_tail"] - b["queue_head"] > b["queue_mask"]:
        return
    s["queued"] = 1
    b["pending"] += 1
    store64(b["queue"] + (b["queue_tail"] & b["queue_mask"]) * 8, book_side)
    b["queue_tail"] += 1


@kernel
def begin_sweep(book):
    """Take the next side from the queue."""
    b = book_at(book)
    b["sweep"] = load64(b["queue"] + (b["queue_head"] & b["queue_mask"]) * 8)
    b["queue_head"] += 1
    count(b["counters"], WINDOW_SWEEPS)
    restart_sweep(book)


@kernel
def restart_sweep(book):
    """Ask anew from the floor of the side in hand; answers that are still due are void."""
    b = book_at(book)
    b["round"] += 1
    b["ask"] = side_at(b["sides"] + b["sweep"] * 64)["floor"]


@kernel
def end_sweep(book):
    """The side in hand is done."""
    b = book_at(book)
    side_at(b["sides"] + b["sweep"] * 64)["queued"] = 0
    b["sweep"] = -1
    b["round"] += 1
    b["pending"] -= 1


@kernel
def ask(book, place):
    """Ask for the next ``lookups`` ticks of the side in hand, in the line at ``place``."""
    b = book_at(book)
    store64(place, b["round"])
    store64(place + 8, b["ask"])
    first = min(b["ask"] - 1, np.int64(side_at(b["sides"] + b["sweep"] * 64)["unseen_high"]))
    store64(place + 16, first)
    b["ask"] = first - b["lookups"] + 1


@kernel
def lower_floor(book, floor, key, best, tick):
    """Lower the floor of the side in hand from ``floor`` to ``key``, which was asked for.

    Returns LOWERED, and the caller looks the tick up and sets its bit in this same step; or MOVED,
    when the side is no longer as it was when the tick was asked for; or DONE: nothing unseen is
    left, half a window below ``best`` is covered, or the grid ends. No set bit is above ``best``,
    so the words that are reused are void.
    """
    b = book_at(book)
    book_side = b["sweep"]
    s = side_at(b["sides"] + book_side * 64)
    if s["floor"] != floor:
        return MOVED
    if s["levels"] == 0 or s["unseen_high"] == EMPTY:
        return DONE
    if floor <= s["unseen_low"]:
        s["unseen_high"] = s["unseen_low"] = EMPTY
        return DONE
    if key != min(floor - 1, np.int64(s["unseen_high"])):
        return MOVED
    if key < least_floor(book_side & 1, tick):
        return DONE
    if best != EMPTY and (best >> 6) - (key >> 6) >= b["window_words"] >> 1:
        return DONE
    s["floor"] = key
    s["unseen_high"] = min(s["unseen_high"], key - 1)
    return LOWERED
