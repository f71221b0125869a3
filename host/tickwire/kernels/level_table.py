"""Level table: every price level of every book, in two hashed tables and a stash.

A bucket is one cache line: four keys ``instrument << 33 | side << 32 | price``, four values
``orders << 40 | shares``. A key of 0 marks a free entry; a level is freed with its last order. A
level never moves while it lives, so an order keeps its index and finds it without hashing.
``spilled`` counts, for each left bucket, the levels that live elsewhere: while it is 0 a miss in
the left bucket is final. It saturates at 255 and then stays.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import (
    bit_count,
    load8,
    load64,
    low_bit,
    match4,
    shift_right,
    store8,
    store64,
    unlikely,
)
from tickwire.spec.geometry import (
    LEFT_FILL,
    LEVEL_LEFT_MULTIPLIER,
    LEVEL_RIGHT_MULTIPLIER,
    WAYS,
)

BUCKET = 64
VALUES = 32
NONE = 0
SPILL_MAX = 255


@kernel(inline=True)
def key_of(instrument, side, price):
    """Key of a level; ``side`` is 0 for bids and 1 for asks, ``price`` 1 to 2^31-1."""
    return instrument << 33 | side << 32 | price


@kernel(inline=True)
def _mix(key):
    """The key's 49 bits folded to 32, for two multiplications in gateware's 18-bit pieces."""
    return (key ^ shift_right(key, 32) << 15) & 0xFFFFFFFF


@kernel(inline=True)
def left_bucket(book, key):
    """Address of the key's left bucket."""
    b = book_at(book)
    return b["levels"] + (((_mix(key) * LEVEL_LEFT_MULTIPLIER) & 0xFFFFFFFF)
                          >> b["levels_shift"]) * BUCKET


@kernel(inline=True)
def right_bucket(book, key):
    """Address of the key's right bucket."""
    b = book_at(book)
    return b["levels_right"] + (((_mix(key) * LEVEL_RIGHT_MULTIPLIER) & 0xFFFFFFFF)
                                >> b["levels_shift"]) * BUCKET


@kernel(inline=True)
def search(book, key):
    """Address of the level with ``key``, or NONE, from the key alone."""
    return find(book, left_bucket(book, key), key)


@kernel(inline=True)
def index_of(book, entry):
    """Index of an entry, for the order that will come back to it."""
    return (entry - book_at(book)["levels"]) >> 3


@kernel(inline=True)
def entry_of(book, index):
    """Address of the entry with ``index``."""
    return book_at(book)["levels"] + (index << 3)


@kernel(inline=True)
def find(book, bucket, key):
    """Address of the level with ``key``, or NONE.

    ``bucket`` is its :func:`left_bucket`, here and in :func:`place`.
    """
    ways = match4(bucket, key)
    if ways:
        return bucket + 8 * low_bit(ways)
    b = book_at(book)
    if load8(b["levels_spilled"] + ((bucket - b["levels"]) >> 6)) == 0:
        return NONE
    return _find_elsewhere(book, key)


@kernel
def _find_elsewhere(book, key):
    b = book_at(book)
    bucket = right_bucket(book, key)
    ways = match4(bucket, key)
    if ways:
        return bucket + 8 * low_bit(ways)
    if unlikely(b["level_stash_used"] != 0):
        stash = b["levels_stash"]
        for line in range(b["level_stash_lines"]):
            ways = match4(stash + line * BUCKET, key)
            if ways:
                return stash + line * BUCKET + 8 * low_bit(ways)
    return NONE


@kernel
def _place_elsewhere(book, left, key, taken):
    """A free entry outside of the left bucket's first three, or NONE when there is no room."""
    b = book_at(book)
    right = right_bucket(book, key)
    free = match4(right, 0)
    if taken < WAYS and taken <= WAYS - bit_count(free):
        return left + 8 * low_bit(match4(left, 0))
    entry = NONE
    if free:
        entry = right + 8 * low_bit(free)
    else:
        stash = b["levels_stash"]
        for line in range(b["level_stash_lines"]):
            free = match4(stash + line * BUCKET, 0)
            if free:
                entry = stash + line * BUCKET + 8 * low_bit(free)
                b["level_stash_used"] += 1
                break
        if entry == NONE:
            return NONE
    spilled = b["levels_spilled"] + ((left - b["levels"]) >> 6)
    if load8(spilled) < SPILL_MAX:
        store8(spilled, load8(spilled) + 1)
    return entry


@kernel(inline=True)
def place(book, bucket, key):
    """Take a free entry for ``key``, with value 0; NONE when there is no room."""
    free = match4(bucket, 0)
    taken = WAYS - bit_count(free)
    if unlikely(taken >= LEFT_FILL):
        entry = _place_elsewhere(book, bucket, key, taken)
        if entry == NONE:
            return NONE
    else:
        entry = bucket + 8 * low_bit(free)
    store64(entry, key)
    store64(entry + VALUES, 0)
    return entry


@kernel(inline=True)
def remove(book, entry):
    """Free a level."""
    b = book_at(book)
    if unlikely(entry >= b["levels_right"]):
        bucket = left_bucket(book, load64(entry))
        spilled = b["levels_spilled"] + ((bucket - b["levels"]) >> 6)
        if load8(spilled) < SPILL_MAX:
            store8(spilled, load8(spilled) - 1)
        if entry >= b["levels_stash"]:
            b["level_stash_used"] -= 1
    store64(entry, 0)
