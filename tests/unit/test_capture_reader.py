"""The reader of the capture ring gives whole frames, in order, or says how much is lost.

Method: rings that the kernel writes, with records of both directions between each other, lapped,
with losses told and records missing at every place; and noise.
"""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture_rig import Framed, Ring, bodies
from tickwire.device.capture import SIZE_MAX, CaptureReader
from tickwire.spec.records import FrameFlag, FrameOrigin, RecordType

RECEIVED, SENT, HOST = FrameOrigin


def reader_of(ring):
    return CaptureReader(ring.base, ring.log2, ring.epoch)


def taken(reader):
    """All frames that the reader gives."""
    found = []
    while (frame := reader.take()) is not None:
        found.append(frame)
    return found


def expected(*frames):
    return [(frame.origin, frame.stamp, frame.octets, frame.is_damaged) for frame in frames]


some_frames = st.lists(st.builds(
    Framed, st.binary(min_size=1, max_size=130), st.sampled_from(list(FrameOrigin)),
    st.integers(0, 1 << 62), st.booleans()), max_size=12)


@given(some_frames)
def test_frames_come_as_they_were_written(frames):
    ring = Ring(log2=6)
    reader = reader_of(ring)
    for frame in frames:
        ring.write(frame)
    assert taken(reader) == expected(*frames) and reader.lost == 0
    assert reader.take() is None


@given(some_frames, st.randoms(use_true_random=False))
def test_records_of_both_directions_may_come_between_each_other(frames, chance):
    ring, ends = Ring(log2=6), []
    waiting = {RECEIVED: [frame for frame in frames if frame.origin == RECEIVED],
               SENT: [frame for frame in frames if frame.origin != RECEIVED]}
    records = {way: [(frame, number == len(bodies(frame)) - 1, body) for frame in given
                     for number, body in enumerate(bodies(frame))]
               for way, given in waiting.items()}
    reader = reader_of(ring)
    while any(records.values()):
        way = chance.choice([way for way, left in records.items() if left])
        frame, is_last, body = records[way].pop(0)
        ring.commit(RecordType.FRAME, body)
        if is_last:
            ends.append(frame)
    assert taken(reader) == expected(*ends) and reader.lost == 0


def test_a_part_of_a_frame_waits_for_the_rest_of_it():
    ring = Ring(log2=6)
    reader = reader_of(ring)
    frame = Framed(bytes(range(100)), HOST, 9)
    for number, body in enumerate(bodies(frame)):
        assert reader.take() is None
        assert number < 3
        ring.commit(RecordType.FRAME, body)
    assert taken(reader) == expected(frame)


def test_records_of_an_earlier_epoch_are_not_believed():
    ring = Ring(log2=6, epoch=3)
    ring.write(Framed(b"x", SENT))
    assert CaptureReader(ring.base, 6, 4).take() is None


@pytest.mark.parametrize("count", [60, 65, 100, 128, 200, 1_000])
def test_a_reader_that_was_lapped_goes_on_with_whole_frames_and_counts_the_rest(count):
    ring = Ring(log2=6)
    reader = reader_of(ring)
    frames = [Framed(struct.pack("<I", number) * 25, list(FrameOrigin)[number % 3], number)
              for number in range(count)]                      # three records each
    records = 0
    for frame in frames:
        records += ring.write(frame)
    found = taken(reader)
    assert found == expected(*frames[count - len(found):])
    assert 3 * len(found) + reader.lost == records
    assert found or count < 22
    ring.write(Framed(b"later", SENT))
    assert taken(reader) == expected(Framed(b"later", SENT))


@pytest.mark.parametrize("before", range(4))
def test_a_loss_before_the_ring_ends_the_frames_that_it_may_be_of(before):
    ring, frame = Ring(log2=6), Framed(bytes(range(120)), RECEIVED, 5)
    reader = reader_of(ring)
    for body in bodies(frame)[:before]:
        ring.commit(RecordType.FRAME, body)
    ring.commit(RecordType.LOST, struct.pack("<QQQ", 1, before + 1, 7))
    for body in bodies(frame)[before:]:
        ring.commit(RecordType.FRAME, body)
    ring.write(Framed(b"whole", SENT, 6))
    whole = [frame] if before in (0, 3) else []
    assert sorted(taken(reader)) == sorted(expected(*whole, Framed(b"whole", SENT, 6)))
    assert reader.lost == 7 + (0 if whole else 3)


@pytest.mark.parametrize("missing", range(3))
def test_a_record_that_is_not_there_ends_its_frame_alone(missing):
    ring, frame = Ring(log2=6), Framed(bytes(range(120)), RECEIVED, 5)
    reader = reader_of(ring)
    other = Framed(bytes(50), SENT, 6)
    first, second = bodies(other)
    ring.commit(RecordType.FRAME, first)
    for number, body in enumerate(bodies(frame)):
        if number != missing:
            ring.commit(RecordType.FRAME, body)
    ring.commit(RecordType.FRAME, second)
    ring.write(frame)
    assert taken(reader) == expected(other, frame)
    assert reader.lost == 2


def test_a_frame_without_an_end_is_bounded():
    ring = Ring(log2=12)
    reader = reader_of(ring)
    longest = Framed(bytes(SIZE_MAX), RECEIVED)
    ring.write(longest)
    ring.write(Framed(bytes(SIZE_MAX + 1), RECEIVED))
    assert taken(reader) == expected(longest)
    assert reader.lost == -(-(SIZE_MAX + 1) // 40)


@settings(max_examples=200)
@given(st.lists(st.one_of(
    st.binary(min_size=56, max_size=56),
    st.builds(lambda origin, flags, size, place: struct.pack(
        "<QBBBxHxx40s", 1, origin, flags, size, place, bytes(40)),
        st.integers(0, 4), st.integers(0, 9), st.sampled_from([0, 1, 39, 40, 41, 255]),
        st.sampled_from([0, 1, 40, 80, 65_520, 65_535]))), max_size=40))
def test_no_record_makes_the_reader_raise_or_a_frame_longer_than_it_says(records):
    ring = Ring(log2=6)
    reader = reader_of(ring)
    for body in records:
        ring.commit(RecordType.FRAME, body)
    found = taken(reader)
    assert sum(len(octets) for _, _, octets, _ in found) <= 40 * len(records)
    assert len(found) + reader.lost <= len(records)


def test_other_records_say_nothing():
    ring = Ring(log2=6)
    reader = reader_of(ring)
    chance = random.Random(1)
    first, second = bodies(Framed(bytes(80), RECEIVED))
    ring.commit(RecordType.FRAME, first)
    for kind in (RecordType.TIME, RecordType.BBO, 0xEE):
        ring.commit(kind, chance.randbytes(56))
    ring.commit(RecordType.FRAME, second)
    assert taken(reader) == expected(Framed(bytes(80), RECEIVED)) and reader.lost == 0
    assert second[9] == FrameFlag.LAST
