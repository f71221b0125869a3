"""Level table: every price level of every book, in two hashed tables and a stash.

A bucket is one cache line: four keys ``instrument << 33 | side << 32 | price``, four values
``orders << 40 | shares``. A key of 0 marks a free entry; a level is freed with its last order. A
level never moves while it lives, so an order keeps its index and finds it without hashing.

The bits above the first key of a left bucket count the levels of that bucket that live elsewhere:
while they are 0 a miss in the left bucket is final, and one cache line was touched. The count
saturates at 16,383 and then stays.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import (
    bit_count,
    load64,
    low_bit,
    match4,
    shift_right,
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
KEY_MASK = (1 << 49) - 1                    # bits of a key
SPILL_SHIFT = 49
SPILL_MAX = (1 << 14) - 1


@kernel(inline=True)
def key_of(instrument, side, price):
    """Key of a level; ``side`` is 0 for bids and 1 for asks, ``price`` 1 to 2^31-1."""
    return instrument << 33 | side << 32 | price


@kernel(inline=True)
def stored_key(entry):
    """Key of the level at ``entry``, 0 for a free one."""
    return load64(entry) & KEY_MASK


@kernel(inline=True)
def instrument_of(entry):
    """Instrument of the level at ``entry``."""
    return (load64(entry) & KEY_MASK) >> 33


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
    ways = match4(bucket, key, KEY_MASK)
    if ways:
        return bucket + 8 * low_bit(ways)
    if load64(bucket) >> SPILL_SHIFT == 0:
        return NONE
    return _find_elsewhere(book, key)


@kernel
def _find_elsewhere(book, key):
    b = book_at(book)
    bucket = right_bucket(book, key)
    ways = match4(bucket, key, KEY_MASK)
    if ways:
        return bucket + 8 * low_bit(ways)
    if unlikely(b["level_stash_used"] != 0):
        stash = b["levels_stash"]
        for line in range(b["level_stash_lines"]):
            ways = match4(stash + line * BUCKET, key, KEY_MASK)
            if ways:
                return stash + line * BUCKET + 8 * low_bit(ways)
    return NONE


@kernel
def _place_elsewhere(book, left, key, taken):
    """A free entry outside of the left bucket's first three, or NONE when there is no room."""
    b = book_at(book)
    right = right_bucket(book, key)
    free = match4(right, 0, KEY_MASK)
    if taken < WAYS and taken <= WAYS - bit_count(free):
        return left + 8 * low_bit(match4(left, 0, KEY_MASK))
    entry = NONE
    if free:
        entry = right + 8 * low_bit(free)
    else:
        stash = b["levels_stash"]
        for line in range(b["level_stash_lines"]):
            free = match4(stash + line * BUCKET, 0, KEY_MASK)
            if free:
                entry = stash + line * BUCKET + 8 * low_bit(free)
                b["level_stash_used"] += 1
                break
        if entry == NONE:
            return NONE
    first = load64(left)
    if first >> SPILL_SHIFT < SPILL_MAX:
        store64(left, first + (1 << SPILL_SHIFT))
    return entry


@kernel(inline=True)
def place(book, bucket, key):
    """Take a free entry for ``key``, with value 0; NONE when there is no room."""
    free = match4(bucket, 0, KEY_MASK)
    taken = WAYS - bit_count(free)
    if unlikely(taken >= LEFT_FILL):
        entry = _place_elsewhere(book, bucket, key, taken)
        if entry == NONE:
            return NONE
    else:
        entry = bucket + 8 * low_bit(free)
    store64(entry, load64(entry) | key)
    store64(entry + VALUES, 0)
    return entry


@kernel(inline=True)
def remove(book, entry):
    """Free a level."""
    b = book_at(book)
    if unlikely(entry >= b["levels_right"]):
        left = left_bucket(book, stored_key(entry))
        first = load64(left)
        if first >> SPILL_SHIFT < SPILL_MAX:
            store64(left, first - (1 << SPILL_SHIFT))
        if entry >= b["levels_stash"]:
            b["level_stash_used"] -= 1
    store64(entry, load64(entry) & ~KEY_MASK)
