"""Replay: messages that are already in memory, with the cache lines of later ones asked for.

Same result as one message after the other. The first pass over a block asks for each message's
order bucket and header, the second for the price level and window word that they name, the third
applies. Framing is BinaryFILE's: a big-endian length of 2 octets before each message.
"""

import numpy as np

from tickwire.kernels import level_table, order_table, window
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
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
    store64,
    unlikely,
)
from tickwire.kernels.messages import (
    ADD_PRICE,
    ADD_SIDE,
    ASK,
    LOCATE,
    NEW_REFERENCE,
    REFERENCE,
    A,
    F,
    U,
    apply,
    level_bucket_of,
    message,
)
from tickwire.kernels.ring import ring_at
from tickwire.kernels.status import R

LENGTH = 2
LOOK_AHEAD = 64                             # messages
NOTE = 32                                   # octets: address, filter entry, two buckets
RECORDS_PER_MESSAGE = 24                    # bound: TRADE, both sides' depth, BBO, one sweep's


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
    prefetch(b["headers"] + instrument * 64)
    store64(place, address)
    store64(place + 8, entry)
    store64(place + 16, bucket)


@kernel(inline=True)
def ask_for_level(book, place):
    """Ask for the line of the price level, once the order's line is there."""
    address = load64(place)
    entry = load64(place + 8)
    kind = load8(address)
    if kind == A or kind == F:
        bucket = level_bucket_of(book, address, entry)
        store64(place + 24, bucket)
        prefetch(bucket)
        instrument = entry & 0xFFFF
        side = 1 if load8(address + ADD_SIDE) == ASK else 0
        b = book_at(book)
        key = window.tick_key(load_be32(address + ADD_PRICE), side, b["headers"] + instrument * 64)
        prefetch(window.word_of(b, instrument * 2 + side, key))
        prefetch(b["state"] + instrument * 64)
        return
    bucket = load64(place + 16)
    ways = match4(bucket, load_be64(address + REFERENCE))
    level = level_table.entry_of(book, order_table.level_of(bucket + 8 * low_bit(ways | 8)))
    prefetch(level)
    prefetch(book_at(book)["state"] + (entry & 0xFFFF) * 64)


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
    first = notes.ctypes.data
    r = ring_at(book_at(book)["ring"])
    last = r["written"] + room - LOOK_AHEAD * RECORDS_PER_MESSAGE
    while address < end and r["written"] <= last:
        place = first
        stop = first + LOOK_AHEAD * NOTE
        while place < stop and address < end:
            ask_for_order(book, address + LENGTH, place)
            is_directory = load8(address + LENGTH) == R
            address += LENGTH + load_be16(address)
            place += NOTE
            if unlikely(is_directory):     # it may watch the locate of messages that follow
                break
        stop = place
        place = first
        while place < stop:
            ask_for_level(book, place)
            place += NOTE
        place = first
        while place < stop:
            apply_noted(book, place, sequence)
            sequence += 1
            place += NOTE
    return address, sequence


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
