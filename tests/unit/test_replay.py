"""Replay stops while its caller can still read every record, and goes on where it stopped.

Method: a seeded flow through rings of several sizes; where the calls end must not matter.
"""

import numba
import numpy as np
import pytest

from tests.reference import itch
from tests.reference.device import Device
from tests.reference.flow import flow
from tickwire.kernels.replay import LOOK_AHEAD, RECORDS_PER_MESSAGE, one_by_one, replay
from tickwire.spec.geometry import Geometry

DEEP = Geometry(instruments=5, orders_log2=8, levels_log2=7, window_words=4, lookups=4, depth=8)
MESSAGES = flow(3_000, seed=5)
PADDING = bytes(64)


def run(kernel, room: int, ring_log2: int = 16):
    """Feed all messages; return the records and how many each call wrote at most."""
    device = Device(DEEP, tick=100, ring_log2=ring_log2)
    memory = device.memory
    octets = np.frombuffer(itch.binary_file(MESSAGES) + PADDING, np.uint8)
    address, end, sequence = octets.ctypes.data, octets.ctypes.data + len(octets) - 64, 1
    found, most, calls = [], 0, 0
    while address < end:
        before = memory.records_written
        address, sequence = kernel(memory.address, address, end, sequence, room)
        numbers = np.arange(before, memory.records_written)
        found.append(memory.records[numbers % len(memory.records)].copy())
        most, calls = max(most, len(numbers)), calls + 1
    assert sequence == 1 + len(MESSAGES)
    return np.concatenate(found), most, calls


def test_it_never_writes_more_records_than_there_is_room_for():
    whole, _, calls = run(replay, 1 << 16)
    assert calls == 1
    for log2 in (10, 11):
        found, most, calls = run(replay, 1 << log2, log2)
        assert most <= 1 << log2 and calls > 1
        assert np.array_equal(found, whole)
    for room in (RECORDS_PER_MESSAGE, 2 * RECORDS_PER_MESSAGE, 1 << 11):
        found, most, _ = run(one_by_one, room)
        assert most <= room and np.array_equal(found, whole)


@pytest.mark.parametrize("room", (0, LOOK_AHEAD * RECORDS_PER_MESSAGE - 1))
def test_without_room_for_a_block_it_does_nothing(room):
    device = Device(DEEP)
    octets = np.frombuffer(itch.binary_file(MESSAGES[:3]) + PADDING, np.uint8)
    address = octets.ctypes.data
    for kernel in (replay, one_by_one):
        if kernel is replay or room < RECORDS_PER_MESSAGE:
            assert kernel(device.memory.address, address, address + 10, 7, room) == (address, 7)
    assert device.memory.records_written == 0


def test_no_input_is_no_work():
    device = Device(DEEP)
    for kernel in (replay, one_by_one):
        assert kernel(device.memory.address, 64, 64, 9, 1 << 12) == (64, 9)
    assert device.counters() == {}


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize("kernel", (replay, one_by_one))
def test_no_address_becomes_a_float(kernel):
    # An unsigned address plus a signed offset is one, and costs more than the book does.
    device = Device(DEEP)
    kernel(device.memory.address, 64, 64, 9, 1 << 12)
    for compiled in kernel.overloads.values():
        assert "float64" not in str(compiled.type_annotation)
