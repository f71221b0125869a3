"""Byte ring between two threads: datagrams of any size, one producer, one consumer.

Memory at the ring's address: line 0 the capacity, line 1 the producer's position and what it was
refused, line 2 the consumer's position, then the octets. Positions only grow. An entry is its
size, its time stamp and its octets, padded to 8; it never wraps: a size of -1 sends the consumer
back to the front.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    MSG_DONTWAIT,
    copy,
    load64,
    load64_acquire,
    recv,
    store64,
    store64_release,
    unlikely,
)

CAPACITY, WRITTEN, REFUSED, CONSUMED = 0, 64, 72, 128
DATA = 192                                 # offset of the octets
HEADER = 16                                # size and time stamp before the octets of an entry
SLACK = 64                                 # octets that a parser may read beyond the last entry
_WRAP = -1


@kernel
def put(ring, address, size, stamp):
    """Append ``size`` octets at ``address`` with their ``stamp``; 1 done, 0 no room (counted)."""
    capacity = load64(ring + CAPACITY)
    written = load64(ring + WRITTEN)
    need = HEADER + ((size + 7) & ~7)
    place = written & (capacity - 1)
    left = capacity - place
    skip = left if need > left else 0
    if unlikely(skip + need > capacity - (written - load64_acquire(ring + CONSUMED))):
        store64(ring + REFUSED, load64(ring + REFUSED) + 1)
        return 0
    if skip != 0:
        store64(ring + DATA + place, _WRAP)
        place = 0
    entry = ring + DATA + place
    store64(entry, size)
    store64(entry + 8, stamp)
    copy(entry + HEADER, address, size)
    store64_release(ring + WRITTEN, written + skip + need)
    return 1


@kernel(inline=True)
def take(ring):
    """Address of the oldest entry's octets, 0 when the ring is empty.

    They stay until :func:`release`. :func:`size_of` and :func:`stamp_of` take the address.
    """
    capacity = load64(ring + CAPACITY)
    consumed = load64(ring + CONSUMED)
    if load64_acquire(ring + WRITTEN) == consumed:
        return 0
    place = consumed & (capacity - 1)
    if load64(ring + DATA + place) == _WRAP:
        consumed += capacity - place
        store64_release(ring + CONSUMED, consumed)
        place = 0
    return ring + DATA + place + HEADER


@kernel(inline=True)
def size_of(address):
    """Octets of the entry that :func:`take` returned."""
    return load64(address - HEADER)


@kernel(inline=True)
def stamp_of(address):
    """Time stamp of the entry that :func:`take` returned."""
    return load64(address - HEADER + 8)


@kernel(inline=True)
def release(ring):
    """Give back the entry that :func:`take` returned."""
    consumed = load64(ring + CONSUMED)
    size = load64(ring + DATA + (consumed & (load64(ring + CAPACITY) - 1)))
    store64_release(ring + CONSUMED, consumed + HEADER + ((size + 7) & ~7))


@kernel
def drain(ring, wake, target, stamps, size, limit):
    """Move up to ``limit`` entries of ``size`` octets each to ``target``; stamps to ``stamps``.

    Wake-ups that wait at the socket ``wake`` are forgotten first: what comes after this look at the
    ring wakes again. Returns how many have the stamp 0 << 32 | how many were moved.
    """
    recv(np.int32(wake), target, size * limit, MSG_DONTWAIT)
    moved = unstamped = 0
    while moved < limit:
        address = take(ring)
        if address == 0:
            break
        copy(target + moved * size, address, size)
        stamp = stamp_of(address)
        store64(stamps + 8 * moved, stamp)
        unstamped += stamp == 0
        release(ring)
        moved += 1
    return unstamped << 32 | moved
