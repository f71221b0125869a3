"""Order table: two hashed tables of four-way buckets and a stash, exact, never overwriting.

A bucket is one cache line: four references, then four values. A value is
``quantity << 32 | spare << 29 | level index``; a reference of 0 marks a free entry. An order goes
to its left bucket while that holds fewer than ``LEFT_FILL`` orders, else to the emptier of left
and right (ties to the left), else to the stash. Half of all places can be taken before the stash
fills (``docs/order-table.md``).

The spare bits of a bucket's first value count the orders of that bucket that live elsewhere:
while they are 0 a miss in the left bucket is final, and one cache line was touched. The count
saturates at 7 and then stays.

Hashes use XOR and shifts only, so that gateware finishes them in the cycle in which the last
octet of the reference arrives.
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
from tickwire.spec.geometry import LEFT_FILL, WAYS

BUCKET = 64                                 # octets
VALUES = 32                                 # offset of the values in a bucket
NONE = 0                                    # address that means: not found
EVERY_BIT = -1                              # a reference may have any
INDEX_MASK = (1 << 29) - 1
SPILL_SHIFT = 29
SPILL_MAX = 7
_SPARE = SPILL_MAX << SPILL_SHIFT


@kernel(inline=True)
def left_bucket(book, reference):
    """Address of the left bucket: the reference folded twice by exclusive or."""
    b = book_at(book)
    bits = b["orders_log2"]
    folded = reference ^ shift_right(reference ^ shift_right(reference, bits), bits)
    return b["orders"] + (folded & b["orders_mask"]) * BUCKET


@kernel(inline=True)
def right_bucket(book, reference):
    """Address of the right bucket: a second fold, of the reference mixed with its shifts."""
    b = book_at(book)
    bits = b["orders_log2"]
    mixed = reference ^ shift_right(reference, 3) ^ shift_right(reference, bits + 2)
    folded = (mixed ^ shift_right(mixed, bits) ^ shift_right(mixed, bits + bits)
              ^ shift_right(mixed, 3 * bits))
    return b["orders_right"] + (folded & b["orders_mask"]) * BUCKET


@kernel
def _find_elsewhere(book, reference):
    """Address of the order in the right table or the stash, or NONE."""
    b = book_at(book)
    bucket = right_bucket(book, reference)
    ways = match4(bucket, reference, EVERY_BIT)
    if ways:
        return bucket + 8 * low_bit(ways)
    if b["order_stash_used"]:
        stash = b["orders_stash"]
        for line in range(b["order_stash_lines"]):
            ways = match4(stash + line * BUCKET, reference, EVERY_BIT)
            if ways:
                return stash + line * BUCKET + 8 * low_bit(ways)
    return NONE


@kernel(inline=True)
def find(book, bucket, reference):
    """Address of the entry that holds ``reference``, which is not 0, or NONE.

    ``bucket`` is its :func:`left_bucket`, here and in :func:`place`.
    """
    ways = match4(bucket, reference, EVERY_BIT)
    if ways:
        return bucket + 8 * low_bit(ways)
    if load64(bucket + VALUES) & _SPARE == 0:
        return NONE
    return _find_elsewhere(book, reference)


@kernel
def _place_elsewhere(book, left, reference, taken):
    """A free entry outside of the left bucket's first three, or NONE when there is no room."""
    b = book_at(book)
    right = right_bucket(book, reference)
    free = match4(right, 0, EVERY_BIT)
    if taken <= WAYS - bit_count(free) and taken < WAYS:
        return left + 8 * low_bit(match4(left, 0, EVERY_BIT))
    if free:
        entry = right + 8 * low_bit(free)
    else:
        entry = NONE
        stash = b["orders_stash"]
        for line in range(b["order_stash_lines"]):
            free = match4(stash + line * BUCKET, 0, EVERY_BIT)
            if free:
                entry = stash + line * BUCKET + 8 * low_bit(free)
                b["order_stash_used"] += 1
                break
        if entry == NONE:
            return NONE
    first = load64(left + VALUES)
    if (first >> SPILL_SHIFT) & SPILL_MAX < SPILL_MAX:
        store64(left + VALUES, first + (1 << SPILL_SHIFT))
    return entry


@kernel(inline=True)
def place(book, bucket, reference):
    """Choose and take a free entry for ``reference``; the caller calls :func:`write` at once.

    Returns the address, or NONE when neither bucket nor the stash has room. The reference must
    not be in the table.
    """
    free = match4(bucket, 0, EVERY_BIT)
    taken = WAYS - bit_count(free)
    if unlikely(taken >= LEFT_FILL):
        entry = _place_elsewhere(book, bucket, reference, taken)
        if entry == NONE:
            return NONE
    else:
        entry = bucket + 8 * low_bit(free)
    store64(entry, reference)
    return entry


@kernel(inline=True)
def write(entry, quantity, level):
    """Write the value of an entry that was just placed."""
    spare = load64(entry + VALUES) & _SPARE
    store64(entry + VALUES, quantity << 32 | spare | level)


@kernel(inline=True)
def quantity_of(entry):
    """Open shares of an entry."""
    return shift_right(load64(entry + VALUES), 32)


@kernel(inline=True)
def level_of(entry):
    """Level index of an entry."""
    return load64(entry + VALUES) & INDEX_MASK


@kernel(inline=True)
def take_shares(entry, shares):
    """Take fewer ``shares`` than are open."""
    store64(entry + VALUES, load64(entry + VALUES) - (shares << 32))


@kernel(inline=True)
def remove(book, entry, reference):
    """Free ``entry``, which holds ``reference``."""
    b = book_at(book)
    store64(entry, 0)
    if unlikely(entry >= b["orders_right"]):
        left_value = left_bucket(book, reference) + VALUES
        first = load64(left_value)
        if (first >> SPILL_SHIFT) & SPILL_MAX < SPILL_MAX:
            store64(left_value, first - (1 << SPILL_SHIFT))
        if entry >= b["orders_stash"]:
            b["order_stash_used"] -= 1
