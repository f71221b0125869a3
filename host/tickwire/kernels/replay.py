"""Replay: messages that are already in memory, with the cache lines of later ones asked for.

Same result as one message after the other. Messages go in groups through four stages: a message's
order bucket and its instrument's lines are asked for; then the price level that they name; then the
window word, state line or second level that it will need; then it is applied. Within a stage the
loop is short, so that the misses of several messages are under way at once. Framing is
BinaryFILE's: a big-endian length of 2 octets before each message.
"""

import numpy as np

from tickwire.kernels import level_table, order_table, window
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at, side_at
from tickwire.kernels.memory import (
    load8,
    load32,
    load64,
    load_be16,
    load_be32,
    load_be64,
    low_bit,
    match4,
    prefetch,
    shift_right,
    store64,
)
from tickwire.kernels.messages import (
    ADD_PRICE,
    ADD_SIDE,
    ASK,
    LOCATE,
    NEW_REFERENCE,
    REFERENCE,
    REPLACE_PRICE,
    A,
    F,
    U,
    apply,
    message,
)
from tickwire.kernels.ring import ring_at
from tickwire.kernels.status import R

LENGTH = 2
LOOK_AHEAD = 64                             # messages, a power of two
GROUP = LOOK_AHEAD // 4                     # messages that are noted, asked for and applied in turn
NOTE_MASK = LOOK_AHEAD - 1
_ADD_TYPES = 1 << (A & 63) | 1 << (F & 63)
NOTE = 32                                   # octets: address, filter entry, bucket, level
RECORDS_PER_MESSAGE = 4                     # bound: two of LEVEL, TRADE; BBO; one sweep's


@kernel(inline=True)
def ask_for_order(book, address, place):
    """Ask for the lines of the message's order and instrument, and note them at ``place``."""
    b = book_at(book)
    bucket = order_table.left_bucket(book, load_be64(address + REFERENCE))
    prefetch(bucket)
    if load8(address) == U:
        prefetch(order_table.left_bucket(book, load_be64(address + NEW_REFERENCE)))
    entry = load32(b["filter"] + 4 * load_be16(address + LOCATE))
    instrument = entry & 0xFFFF
    prefetch(b["sides"] + instrument * 128)
    prefetch(b["sides"] + instrument * 128 + 64)
    store64(place, address)
    store64(place + 8, entry)
    store64(place + 16, bucket)


@kernel(inline=True)
def _choose(first, second, mask):
    """``first`` where ``mask`` is -1, ``second`` where it is 0; without a branch."""
    return second ^ ((first ^ second) & mask)


@kernel(inline=True)
def _adds(address):
    """-1 for an Add, 0 for any other type: half of all messages, in no order to predict."""
    return -((_ADD_TYPES >> (load8(address) & 63)) & 1)


@kernel(inline=True)
def ask_for_level(book, place):
    """Ask for the line of the price level, once the order's line is there, and note it."""
    address, instrument, bucket = load64(place), load64(place + 8) & 0xFFFF, load64(place + 16)
    adds = _adds(address)
    side = np.int64(load8(address + (ADD_SIDE & adds)) == ASK)
    key = level_table.key_of(instrument, side, load_be32(address + (ADD_PRICE & adds)))
    ways = match4(bucket, load_be64(address + REFERENCE), order_table.EVERY_BIT)
    known = level_table.entry_of(book, order_table.level_of(bucket + 8 * low_bit(ways | 8)))
    level = _choose(level_table.left_bucket(book, key), known, adds)
    store64(place + 24, level)
    prefetch(level)


@kernel(inline=True)
def ask_for_window(book, place):
    """Ask for what follows from the level, once its line is there.

    The bitmap word of a level that comes to life or dies, the state line when it is the best one,
    the level of a replacement. What is not needed asks for ``place``, which is at hand.
    """
    b = book_at(book)
    address, instrument, level = load64(place), load64(place + 8) & 0xFFFF, load64(place + 24)
    adds = _adds(address)
    stored = level_table.stored_key(level)
    side = _choose(np.int64(load8(address + (ADD_SIDE & adds)) == ASK), (stored >> 32) & 1, adds)
    price = _choose(load_be32(address + (ADD_PRICE & adds)), stored & 0xFFFFFFFF, adds)
    ways = match4(level & -level_table.BUCKET, level_table.key_of(instrument, side, price),
                  level_table.KEY_MASK)
    orders = shift_right(load64(level + level_table.VALUES), 40)
    moves = -_choose(np.int64(ways == 0), np.int64(orders == 1), adds)
    key = window.tick_key(price, side, b["sides"] + instrument * 128)
    prefetch(_choose(window.word_of(b, instrument * 2 + side, key), place, moves))
    best = np.int64(side_at(b["sides"] + (instrument * 2 + side) * 64)["best"])
    shows = -np.int64((price ^ -side) + side >= best)
    prefetch(_choose(b["state"] + instrument * 64, place, shows))
    if load8(address) == U:
        key = level_table.key_of(instrument, side, load_be32(address + REPLACE_PRICE))
        prefetch(level_table.left_bucket(book, key))


@kernel(inline=True)
def apply_noted(book, place, sequence):
    """Apply the message noted at ``place``."""
    apply(book, load64(place), sequence, load64(place + 8), load64(place + 16),
          load64(place + 24))


@kernel
def replay(book, address, end, sequence, room):
    """Apply framed messages from ``address`` up to ``end``; ``sequence`` is the first's number.

    Lengths have been checked: every message is whole and as long as its type says, and 32 octets
    can be read after ``end``. Stops early when the ring could take fewer than ``room`` records
    more than at the start, so that the caller can read them. Returns (address, sequence) to go
    on with.
    """
    notes = np.empty(LOOK_AHEAD * 4, np.int64)
    first = np.int64(notes.ctypes.data)     # unsigned, it would make every place a float
    r = ring_at(book_at(book)["ring"])
    last = r["written"] + room - LOOK_AHEAD * RECORDS_PER_MESSAGE
    noted = asked = ready = applied = 0
    is_open = True
    while True:
        noted_before, asked_before, ready_before = noted, asked, ready
        while (noted < noted_before + GROUP and is_open and address < end
               and r["written"] <= last):
            ask_for_order(book, address + LENGTH, first + (noted & NOTE_MASK) * NOTE)
            is_open = load8(address + LENGTH) != R     # it may watch the locate of what follows
            address += LENGTH + load_be16(address)
            noted += 1
        while asked < noted_before:
            ask_for_level(book, first + (asked & NOTE_MASK) * NOTE)
            asked += 1
        while ready < asked_before:
            ask_for_window(book, first + (ready & NOTE_MASK) * NOTE)
            ready += 1
        while applied < ready_before:
            apply_noted(book, first + (applied & NOTE_MASK) * NOTE, sequence)
            applied += 1
            sequence += 1
        if applied == noted:
            if is_open:
                return address, sequence
            is_open = True


@kernel
def one_by_one(book, address, end, sequence, room):
    """The same without looking ahead: what a live message costs."""
    r = ring_at(book_at(book)["ring"])
    last = r["written"] + room - RECORDS_PER_MESSAGE
    while address < end and r["written"] <= last:
        message(book, address + LENGTH, sequence)
        address += LENGTH + load_be16(address)
        sequence += 1
    return address, sequence
