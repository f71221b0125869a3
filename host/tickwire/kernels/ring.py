"""Record rings and state lines: one writer, any number of readers, one cache line a record.

A record is accepted when its own trailer shows the awaited number *and* the previous slot still
shows the number before: a writer that laps the reader overwrites the previous slot first.
Re-reading the same slot would not do, because its trailer is written last. A reader that was
lapped is told how many records it lost and goes on half a ring behind the newest.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    load64,
    load64_acquire,
    store64,
    store64_release,
    view,
)
from tickwire.spec.records import RECORD_SIZE, TRAILER_OFFSET

RING = np.dtype([
    ("base", "i8"),          # address of slot 0, 64-octet aligned
    ("mask", "i8"),          # slots - 1
    ("written", "i8"),       # records so far
    ("epoch", "i8"),         # 1..255
    ("credit", "i8"),        # intents consumed so far
    ("counters", "i8"),      # address of the counter page
    ("counter", "i8"),       # counter that each record increments
    ("consumed", "i8"),      # address of the reader's position; 0 for a free-running ring
], align=True)
"""Writer's side of a ring, private to the device."""

ring_at = view(RING)


@kernel(inline=True)
def count(counters, index, step=1):
    """Add ``step`` to counter ``index`` of the counter page at ``counters``."""
    address = counters + 8 * index
    store64(address, load64(address) + step)


@kernel(inline=True)
def slot(ring):
    """Address of the slot that the next record goes to."""
    r = ring_at(ring)
    return r["base"] + (r["written"] & r["mask"]) * RECORD_SIZE


@kernel(inline=True)
def commit(ring, record_type):
    """Publish the record that was written to :func:`slot`."""
    r = ring_at(ring)
    address = r["base"] + (r["written"] & r["mask"]) * RECORD_SIZE
    number = r["written"] + 1
    r["written"] = number
    trailer = ((number & 0xFFFFFFFF) | record_type << 32 | r["epoch"] << 40
               | (r["credit"] & 0xFFFF) << 48)
    store64_release(address + TRAILER_OFFSET, trailer)
    count(r["counters"], r["counter"])


@kernel(inline=True)
def room(ring):
    """Free slots of a credited ring; the ring's size for a free-running one."""
    r = ring_at(ring)
    if r["consumed"] == 0:
        return r["mask"] + 1
    return r["mask"] + 1 - (r["written"] - load64_acquire(r["consumed"]))


@kernel(inline=True)
def _distance(trailer, number):
    """Signed distance, modulo 2^32, of a trailer's record number from ``number``."""
    distance = (trailer - number) & 0xFFFFFFFF
    return distance - 0x1_0000_0000 if distance >= 0x8000_0000 else distance


@kernel(inline=True)
def poll(base, mask, number, epoch):
    """State of record ``number`` (first is 1): 1 ready, 0 not yet, -1 lapped.

    After 1 read the payload, then call :func:`unchanged` before believing it.
    """
    trailer = load64_acquire(base + ((number - 1) & mask) * RECORD_SIZE + TRAILER_OFFSET)
    if (trailer >> 40) & 0xFF != epoch:
        return 0
    distance = _distance(trailer, number)
    if distance == 0:
        return 1
    return 0 if distance < 0 else -1


@kernel(inline=True)
def unchanged(base, mask, number, epoch):
    """Whether the payload of record ``number``, read before this call, is whole."""
    if number == 1:
        trailer = load64_acquire(base + TRAILER_OFFSET)
        return (trailer & 0xFFFFFFFF) == 1
    trailer = load64_acquire(base + ((number - 2) & mask) * RECORD_SIZE + TRAILER_OFFSET)
    return (trailer & 0xFFFFFFFF) == ((number - 1) & 0xFFFFFFFF)


@kernel
def resume(base, mask, number, epoch):
    """Number to go on with after a lap: half a ring behind the newest record that can be seen."""
    newest = number
    for index in range(mask + 1):
        trailer = load64_acquire(base + index * RECORD_SIZE + TRAILER_OFFSET)
        if (trailer >> 40) & 0xFF == epoch:
            distance = _distance(trailer, number)
            if number + distance > newest:
                newest = number + distance
    return max(number, newest - (mask + 1) // 2)


@kernel
def read(base, mask, number, epoch, target, limit):
    """Copy up to ``limit`` whole records from ``number`` on to ``target``.

    Returns (copied, next number, lost): ``lost`` records were overwritten before they were read.
    """
    copied = 0
    lost = 0
    while copied < limit:
        state = poll(base, mask, number, epoch)
        if state == 0:
            break
        good = False
        if state > 0:
            source = base + ((number - 1) & mask) * RECORD_SIZE
            for word in range(8):
                store64(target + copied * RECORD_SIZE + 8 * word,
                        load64_acquire(source + 8 * word))
            good = unchanged(base, mask, number, epoch)
        if good:
            copied += 1
            number += 1
        else:
            later = resume(base, mask, number, epoch)
            if later == number:
                later += 1
            lost += later - number
            number = later
    return copied, number, lost


@kernel
def read_state(line, target):
    """Copy a state line that is whole to ``target``; returns the number of attempts, 0 none.

    The writer stores head, payload, tail; the reader loads tail, payload, head.
    """
    for attempt in range(1, 1_000):
        tail = load64_acquire(line + TRAILER_OFFSET)
        for word in range(7):
            store64(target + 8 * word, load64_acquire(line + 8 * word))
        store64(target + TRAILER_OFFSET, tail)
        head = load64_acquire(line)
        if (head & 0xFFFFFFFF) == (tail & 0xFFFFFFFF):
            store64(target, head)
            return attempt
    return 0
