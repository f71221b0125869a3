"""Datagrams come out of the byte ring as they went in, and a full ring says so.

Method: a queue of plain Python as the model, sizes that crowd the end of the ring; then two
threads at full speed, checked by a sum over every octet.
"""

import random
import threading
from collections import deque

import numba
import numpy as np
import pytest

from tickwire.feed.frame_ring import CAPACITY_MIN, SIZE_MAX, FrameRing
from tickwire.kernels import frame_ring as kernels
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import copy, load8, pause


@kernel
def take_one(ring, target):
    """Copy the oldest entry to ``target`` and release it; its size, or -1."""
    address = kernels.take(ring)
    if address == 0:
        return -1, 0
    size = kernels.size_of(address)
    copy(target, address, size)
    stamp = kernels.stamp_of(address)
    kernels.release(ring)
    return size, stamp


@kernel
def produce(ring, count, source):
    """Put ``count`` entries of changing size and stamp, waiting for room."""
    refused = 0
    for n in range(count):
        size = n * 7919 % 1500
        while kernels.put(ring, source + n % 251, size, n) == 0:
            refused += 1
            pause()
    return refused


@kernel
def consume(ring, count):
    """Take ``count`` entries; the sum of octets, or minus the number of the first wrong one."""
    total = 0
    for n in range(count):
        address = kernels.take(ring)
        while address == 0:
            pause()
            address = kernels.take(ring)
        size = kernels.size_of(address)
        if size != n * 7919 % 1500 or kernels.stamp_of(address) != n:
            return -n - 1
        for at in range(size):
            if load8(address + at) != (n % 251 + at) % 251:
                return -n - 1
        total += size
        kernels.release(ring)
    return total


@pytest.mark.parametrize("seed", range(4))
def test_the_ring_is_a_queue_that_refuses_when_full(seed):
    random_ = random.Random(seed)
    ring, model, refused = FrameRing(CAPACITY_MIN), deque(), 0
    target = np.zeros(SIZE_MAX, np.uint8)
    sizes = [0, 1, 7, 8, 9, 1400, 65535] if seed % 2 else [65535, 65528, 30000, 0]
    for step in range(3000):
        if random_.random() < (0.6 if step // 500 % 2 else 0.4):
            octets = random_.randbytes(random_.choice(sizes))
            if ring.put(octets, step):
                model.append((octets, step))
            else:
                refused += 1
                used = sum(16 + len(entry) + 7 for entry, _ in model)
                assert used + 2 * (len(octets) + 23) > CAPACITY_MIN - 65551
        else:
            size, stamp = take_one(ring.address, target.ctypes.data)
            if model:
                assert (target[:size].tobytes(), stamp) == model.popleft()
            else:
                assert size == -1
    assert ring.refused == refused


def test_two_threads_lose_and_tear_nothing():
    ring, count = FrameRing(CAPACITY_MIN), 200 if numba.config.DISABLE_JIT else 20_000
    source = (np.arange(4000) % 251).astype(np.uint8)
    produce(ring.address, 0, source.ctypes.data)           # compiled before the threads begin
    consume(ring.address, 0)
    result = []
    thread = threading.Thread(target=lambda: result.append(consume(ring.address, count)))
    thread.start()
    refused = produce(ring.address, count, source.ctypes.data)
    thread.join()
    assert result == [sum(n * 7919 % 1500 for n in range(count))]
    assert ring.refused == refused


def test_an_entry_may_be_given_as_any_buffer():
    ring, target = FrameRing(), np.zeros(10, np.uint8)
    for octets in (b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]):
        assert ring.put(octets)
        assert take_one(ring.address, target.ctypes.data)[0] == 3 and bytes(target[:3]) == b"abc"


@pytest.mark.parametrize("capacity", [0, -1, 1 << 17, (1 << 18) + 1, 3 << 18])
def test_a_capacity_that_could_not_work_is_refused(capacity):
    with pytest.raises(ValueError, match="capacity must be a power of two"):
        FrameRing(capacity)


def test_more_than_a_datagram_is_refused():
    with pytest.raises(ValueError, match="at most 65535 octets, not 65536"):
        FrameRing().put(bytes(65536))
