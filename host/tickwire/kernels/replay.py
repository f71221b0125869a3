"""Replay: messages that are already in memory, with the cache lines of later ones asked for.

Same result as one message after the other. The first pass over a block asks for each message's
order bucket and header, the second for the price level and window word that they name, the third
applies. Framing is BinaryFILE's: a big-endian length of 2 octets before each message.
"""

import numpy as np

from tickwire.kernels import level_table, order_table
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import (
    load8,
    load32,
    load_be16,
    load_be32,
    load_be64,
    low_bit,
    match4,
    prefetch,
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
    message,
)
from tickwire.kernels.ring import ring_at

LENGTH = 2
LOOK_AHEAD = 64                             # messages
RECORDS_PER_MESSAGE = 24                    # bound: TRADE, both sides' depth, BBO, one sweep's


@kernel(inline=True)
def _ask_for_order(book, address):
    b = book_at(book)
    bits = b["orders_log2"]
    reference = load_be64(address + REFERENCE)
    prefetch(b["orders"] + order_table.left_hash(reference, bits) * order_table.BUCKET)
    if load8(address) == U:
        reference = load_be64(address + NEW_REFERENCE)
        prefetch(b["orders"] + order_table.left_hash(reference, bits) * order_table.BUCKET)
    entry = load32(b["filter"] + 4 * load_be16(address + LOCATE))
    prefetch(b["headers"] + (entry & 0xFFFF) * 64)


@kernel(inline=True)
def _ask_for_level(book, address):
    b = book_at(book)
    entry = load32(b["filter"] + 4 * load_be16(address + LOCATE))
    instrument = entry & 0xFFFF
    kind = load8(address)
    if kind == A or kind == F:
        side = 1 if load8(address + ADD_SIDE) == ASK else 0
        key = level_table.key_of(instrument, side, load_be32(address + ADD_PRICE))
        bits = b["levels_log2"]
        prefetch(b["levels"] + level_table.left_hash(key, bits) * level_table.BUCKET)
        prefetch(b["sides"] + (instrument * 2 + side) * 64)
        return
    reference = load_be64(address + REFERENCE)
    bucket = b["orders"] + order_table.left_hash(reference, b["orders_log2"]) * order_table.BUCKET
    ways = match4(bucket, reference)
    found = bucket + 8 * low_bit(ways | 8)
    level = level_table.entry_of(book, order_table.level_of(found))
    prefetch(level)
    prefetch(level + level_table.VALUES)
    prefetch(b["state"] + instrument * 64)


@kernel
def replay(book, address, end, sequence, room):
    """Apply framed messages from ``address`` up to ``end``; ``sequence`` is the first's number.

    Lengths have been checked: every message is whole and as long as its type says. Stops early
    when the ring could take fewer than ``room`` records more than at the start, so that the
    caller can read them. Returns (address, sequence) to go on with.
    """
    places = np.empty(LOOK_AHEAD, np.int64)
    r = ring_at(book_at(book)["ring"])
    last = r["written"] + room - LOOK_AHEAD * RECORDS_PER_MESSAGE
    while address < end and r["written"] <= last:
        ahead = 0
        while ahead < LOOK_AHEAD and address < end:
            places[ahead] = address + LENGTH
            _ask_for_order(book, address + LENGTH)
            address += LENGTH + load_be16(address)
            ahead += 1
        for index in range(ahead):
            _ask_for_level(book, places[index])
        for index in range(ahead):
            message(book, places[index], sequence)
            sequence += 1
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
