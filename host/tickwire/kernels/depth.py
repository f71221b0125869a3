"""Reported depth: the first N levels of each side, kept beside the book, one record a change.

The list of a side holds its best levels, best first, as (price key, orders << 40 | shares). A
message that changes position p writes one LEVEL record for p and, where levels moved, for every
position behind it. When the list is no longer full the next level is taken from the window; what
lies outside the window is reported as soon as the sweep has found it.
"""

import numpy as np

from tickwire.kernels import level_table, window
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import (
    DEPTH_ENTRY,
    DEPTH_SIZE,
    EMPTY,
    book_at,
    header_at,
    side_at,
)
from tickwire.kernels.memory import copy, load64, shift_right, store64
from tickwire.kernels.publish import latency
from tickwire.kernels.ring import commit, slot
from tickwire.spec.records import RecordType

LEVEL = RecordType.LEVEL.value
_SIDE_LETTER = (ord("B"), ord("S"))
_U32 = 0xFFFFFFFF
_SHARES = (1 << 40) - 1
_LAST = 4                                   # place in `dirty` of the last position that changed
_FIRST_MASK = (1 << _LAST) - 1


@kernel
def _fill(book, instrument, side, entries, shown):
    """Append levels from the window until the list is full; returns how many there are."""
    b = book_at(book)
    header = b["sides"] + instrument * 128
    book_side = instrument * 2 + side
    tick = np.int64(header_at(header)["tick"])
    while shown < b["depth"]:
        if shown == 0:
            best = np.int64(side_at(b["sides"] + book_side * 64)["best"])
            if best == EMPTY:
                break
            price = -best if side else best
        else:
            last = load64(entries + (shown - 1) * DEPTH_ENTRY)
            below = window.next_below(
                book, book_side, window.tick_key(-last if side else last, side, header))
            if below == EMPTY:
                break
            price = window.price_of(below, side, tick)
        entry = level_table.search(book, level_table.key_of(instrument, side, price))
        if entry == level_table.NONE:
            break
        store64(entries + shown * DEPTH_ENTRY, -price if side else price)
        store64(entries + shown * DEPTH_ENTRY + 8, load64(entry + level_table.VALUES))
        shown += 1
    return shown


@kernel
def note_level(book, instrument, side, price_key, value):
    """Take a level's new ``value`` (0: it is gone) into the side's list and mark what changed."""
    b = book_at(book)
    book_side = instrument * 2 + side
    s = side_at(b["sides"] + book_side * 64)
    entries = b["depths"] + book_side * DEPTH_SIZE
    shown = _trim(book, book_side, side, entries)
    position = 0
    while position < shown and load64(entries + position * DEPTH_ENTRY) > price_key:
        position += 1
    here = position < shown and load64(entries + position * DEPTH_ENTRY) == price_key
    last = position
    if here and value != 0:
        store64(entries + position * DEPTH_ENTRY + 8, value)
    elif here:
        for index in range(position, shown - 1):
            copy(entries + index * DEPTH_ENTRY, entries + (index + 1) * DEPTH_ENTRY, DEPTH_ENTRY)
        last = shown - 1
        s["shown"] = _fill(book, instrument, side, entries, shown - 1)
    elif value != 0 and position < b["depth"] and _is_visible(book, book_side, side, price_key):
        for index in range(min(shown, b["depth"] - 1), position, -1):
            copy(entries + index * DEPTH_ENTRY, entries + (index - 1) * DEPTH_ENTRY, DEPTH_ENTRY)
        store64(entries + position * DEPTH_ENTRY, price_key)
        store64(entries + position * DEPTH_ENTRY + 8, value)
        s["shown"] = min(shown + 1, b["depth"])
        last = np.int64(s["shown"]) - 1
    else:
        return
    _mark(s, position, last)


@kernel
def _trim(book, book_side, side, entries):
    """Drop the levels that the window has left behind; returns how many are listed."""
    s = side_at(book_at(book)["sides"] + book_side * 64)
    shown = np.int64(s["shown"])
    listed = shown
    while shown and not _is_visible(book, book_side, side,
                                    load64(entries + (shown - 1) * DEPTH_ENTRY)):
        shown -= 1
    if shown != listed:
        s["shown"] = shown
        _mark(s, shown, listed - 1)
    return shown


@kernel(inline=True)
def _is_visible(book, book_side, side, price_key):
    """Whether the level is on the grid and not below the window."""
    b = book_at(book)
    header = b["sides"] + (book_side >> 1) * 128
    s = side_at(b["sides"] + book_side * 64)
    price = -price_key if side else price_key
    key = window.tick_key(price, side, header)
    tick = np.int64(header_at(header)["tick"])
    return key >= s["floor"] and window.price_of(key, side, tick) == price


@kernel(inline=True)
def _mark(s, first, last):
    """Widen the side's dirty range, kept as (first + 1) | (last + 1) << 4."""
    dirty = np.int64(s["dirty"])
    if dirty:
        first = min(first, (dirty & _FIRST_MASK) - 1)
        last = max(last, (dirty >> _LAST) - 1)
    s["dirty"] = (first + 1) | (last + 1) << _LAST


@kernel(inline=True)
def is_dirty(book, instrument):
    """Whether any reported position of the instrument changed since it was written."""
    b = book_at(book)
    if b["depth"] == 0:
        return False
    bids = side_at(b["sides"] + instrument * 128)
    asks = side_at(b["sides"] + instrument * 128 + 64)
    return (bids["dirty"] | asks["dirty"]) != 0


@kernel
def write_levels(book, instrument):
    """Write the LEVEL records of every position that changed, bids first, best first."""
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    for side in range(2):
        s = side_at(b["sides"] + (instrument * 2 + side) * 64)
        dirty = np.int64(s["dirty"])
        if dirty == 0:
            continue
        s["dirty"] = 0
        entries = b["depths"] + (instrument * 2 + side) * DEPTH_SIZE
        for level in range((dirty & _FIRST_MASK) - 1, dirty >> _LAST):
            price_key, value = 0, 0
            if level < s["shown"]:
                price_key = load64(entries + level * DEPTH_ENTRY)
                value = load64(entries + level * DEPTH_ENTRY + 8)
            record = slot(b["ring"])
            store64(record, b["timestamp"])
            store64(record + 8, b["sequence"])
            store64(record + 16, (-price_key if side else price_key)
                    | min(value & _SHARES, _U32) << 32)
            store64(record + 24, shift_right(value, 40) | np.int64(h["version"]) << 32)
            store64(record + 32, np.int64(h["locate"]) | _SIDE_LETTER[side] << 16 | level << 24)
            store64(record + 40, 0)
            store64(record + 48, latency(book))
            commit(b["ring"], LEVEL)
