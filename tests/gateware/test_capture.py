"""Frames of both directions are records of the capture ring, as the kernel writes them.

Method: frames on both streams with pauses at random, at every size around a word and a record,
with last words that have no octet, and as dense as lines can be, for a long time; every record is
held against the kernel's, and when it comes against what made it whole. How dense a line can be is
asked of the MAC itself.
"""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import mac_rig
from tests.capture_rig import Framed, bodies
from tickwire.spec.records import FrameFlag, FrameOrigin, RecordType
from tickwire_hw.capture import DEPTH, Capture
from tickwire_hw.mac_receive import MACReceive
from tickwire_hw.stream import LANES
from tickwire_sim.verilate import verilate

RECORD_WORDS = 5
BEGIN = 1_000                                  # time of the first cycle
SENT, RECEIVED = 2, 3                          # cycles from what makes a record whole to the record


@pytest.fixture(scope="module")
def model():
    return verilate(Capture())


class Stream:
    """Words of one direction's frames, one a row; a pause is None."""

    def __init__(self) -> None:
        self.words = []                        # (octets, last, error, origin)
        self.frames = []
        self.whole = []                        # cycle in which each record is whole

    def pause(self, cycles):
        self.words += [None] * cycles

    def give(self, octets, origin, is_damaged=False, pauses=(), has_empty=False):
        """Append a frame, a pause before each of its words; ``has_empty`` adds a last word."""
        parts = [octets[at:at + LANES] for at in range(0, len(octets), LANES)]
        parts += [b""] * (has_empty or not parts)
        begin = None
        pauses = [*pauses, *[0] * len(parts)]
        for number, part in enumerate(parts):
            self.pause(pauses[number])
            begin = len(self.words) if begin is None else begin
            is_last = number == len(parts) - 1
            # A word waits for the next one to know whether it ends the frame.
            if number and (number % RECORD_WORDS == 0 or not part):
                self.whole.append(len(self.words) - 1)
            if is_last and part:
                self.whole.append(len(self.words))
            self.words.append((part, is_last, is_damaged and is_last, origin))
        if octets:
            self.frames.append(Framed(octets, origin, BEGIN + begin, is_damaged))


def rows_of(model, received, sent, behind=DEPTH + 8):
    """Input rows of both directions."""
    rows = model.rows(max(len(received.words), len(sent.words)) + behind)
    rows["now"] = BEGIN + np.arange(len(rows))
    for port, stream in (("received", received), ("sent", sent)):
        given = rows[:len(stream.words)]
        given[f"{port}__valid"] = [word is not None for word in stream.words]
        words = [word or (b"\xff" * LANES, 1, 1, 3) for word in stream.words]
        fields = {
            # Lanes behind a frame's end may hold anything.
            "data": [int.from_bytes(octets.ljust(LANES, b"\xee"), "little")
                     for octets, *_ in words],
            "keep": [(1 << len(octets)) - 1 for octets, *_ in words],
            "last": [last for _, last, *_ in words], "error": [word[2] for word in words]}
        if port == "sent":
            fields = {f"word__{name}": values for name, values in fields.items()}
            fields["origin"] = [word[3] for word in words]
        if len(given):
            model.put(given, f"{port}__payload", **{
                name: np.array(values, np.uint64) for name, values in fields.items()})
    return rows


def records_of(model, rows):
    """Cycle and body of each record."""
    found = model.run(rows, when="o__valid")
    kinds = model.get(found, "o__payload", "kind")
    assert (kinds == RecordType.FRAME).all()
    octets = model.get(found, "o__payload", "octets")
    return list(zip(found["cycle"].tolist(), (np.ascontiguousarray(row).tobytes()
                                              for row in octets), strict=True))


def check(model, received, sent):
    """Hold all records against the kernel's; return those of each direction with their cycles."""
    model.restart()
    found = records_of(model, rows_of(model, received, sent))
    halves = ([record for record in found if record[1][8] == FrameOrigin.RECEIVED],
              [record for record in found if record[1][8] != FrameOrigin.RECEIVED])
    for stream, half in zip((received, sent), halves, strict=True):
        assert [body for _, body in half] == [
            body for frame in stream.frames for body in bodies(frame)]
        assert len(half) == len(stream.whole)
    for (cycle, _), whole in zip(halves[1], sent.whole, strict=True):
        assert cycle - whole == SENT
    for (cycle, _), whole in zip(halves[0], received.whole, strict=True):
        assert RECEIVED <= cycle - whole <= RECEIVED + DEPTH
    return halves


@pytest.mark.parametrize("has_empty", [False, True])
def test_every_size_around_words_and_records(model, has_empty):
    received, sent = Stream(), Stream()
    for size in (*range(1, 90), 1_514):
        octets = random.Random(size).randbytes(size)
        received.give(octets, FrameOrigin.RECEIVED, has_empty=has_empty)
        received.pause(12)
        sent.give(octets[::-1], FrameOrigin.HOST)
        sent.pause(12)
    received_records, sent_records = check(model, received, sent)
    assert len(received_records) == len(sent_records)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(
    st.booleans(), st.integers(0, 100), st.booleans(),
    st.booleans(), st.lists(st.integers(0, 3), max_size=14)), max_size=20), st.integers(0, 99))
def test_any_frames_with_any_pauses(model, frames, seed):
    chance = random.Random(seed)
    received, sent = Stream(), Stream()
    for is_sent, size, is_damaged, has_empty, pauses in frames:
        octets = chance.randbytes(size)
        if is_sent:
            if octets:
                sent.give(octets, chance.choice([FrameOrigin.SENT, FrameOrigin.HOST]), False,
                          pauses)
                sent.pause(4)
        else:
            received.give(octets, FrameOrigin.RECEIVED, is_damaged, pauses, has_empty)
            received.pause(2)
    check(model, received, sent)


def test_the_verdict_may_come_in_a_word_without_octets(model):
    received = Stream()
    for size, is_damaged in ((40, True), (40, False), (48, True), (64, True), (5, True)):
        received.give(bytes(size), FrameOrigin.RECEIVED, is_damaged, has_empty=True)
    received.give(b"", FrameOrigin.RECEIVED, True)         # nothing of it is to be told
    received.give(bytes(80), FrameOrigin.RECEIVED)
    found, _ = check(model, received, Stream())
    assert [body[9] for _, body in found] == [
        FrameFlag.FIRST | FrameFlag.LAST | FrameFlag.DAMAGED, FrameFlag.FIRST | FrameFlag.LAST,
        FrameFlag.FIRST, FrameFlag.LAST | FrameFlag.DAMAGED,
        FrameFlag.FIRST, FrameFlag.LAST | FrameFlag.DAMAGED,
        FrameFlag.FIRST | FrameFlag.LAST | FrameFlag.DAMAGED,
        FrameFlag.FIRST, FrameFlag.LAST]


def test_an_empty_frame_behind_one_says_nothing_of_it(model):
    received = Stream()
    received.give(bytes(8), FrameOrigin.RECEIVED)
    received.give(b"", FrameOrigin.RECEIVED, True)
    received.give(bytes(9), FrameOrigin.RECEIVED)
    received.give(b"", FrameOrigin.RECEIVED, True)
    found, _ = check(model, received, Stream())
    assert [body[9] for _, body in found] == [FrameFlag.FIRST | FrameFlag.LAST] * 2


def test_full_records_end_in_the_same_cycle_again_and_again(model):
    for shift in range(RECORD_WORDS):
        received, sent = Stream(), Stream()
        received.pause(shift)
        for number in range(8):
            octets = random.Random(number).randbytes(1_514)
            received.give(octets, FrameOrigin.RECEIVED, is_damaged=number % 7 == 0)
            sent.give(octets[::-1], FrameOrigin.HOST)
        check(model, received, sent)


@pytest.mark.parametrize("sizes", [[72, 1], [64, 1], [88], [41, 72, 1, 72]])
@pytest.mark.parametrize("dense", [[1], [41, 1], [1, 1, 41]])
def test_nothing_is_lost_when_both_lines_are_as_dense_as_they_can_be(model, sizes, dense):
    # Host frames, those below 64 octets here, come four cycles after one another at least.
    for shift in range(3):
        received, sent = Stream(), Stream()
        received.pause(shift)
        for number in range(100):
            size = dense[number % len(dense)]
            before = len(received.words)
            received.give(bytes([number % 256]) * size, FrameOrigin.RECEIVED)
            # Preamble, 4 octets of check, TERMINATE; the next one begins in lane 0 or 4.
            line = -(-(8 + size + 4 + 1) // 4) * 4
            received.pause(-(-line // LANES) - (len(received.words) - before))
        for number in range(60):
            size = sizes[number % len(sizes)]
            sent.give(bytes([number % 256]) * size,
                      FrameOrigin.SENT if size >= 64 else FrameOrigin.HOST)
        check(model, received, sent)


def test_a_mac_gives_no_more_than_a_record_in_two_cycles_and_one():
    model, capture = verilate(MACReceive()), verilate(Capture())
    chance = random.Random(3)
    for sizes in ([5], [45], [5, 45], [4, 5], [5, 6, 7, 8, 9], None):
        line = []
        for _ in range(200):
            size = chance.choice([4, 5, 5, 6, 44, 45, 46]) if sizes is None else chance.choice(
                sizes)
            line += mac_rig.sent(bytes(size))
            line += [mac_rig.IDLE] * (-len(line) % 4)      # no gap: nobody may send this
        model.restart()
        words = mac_rig.words(line)
        rows = model.rows(len(words), size_max=2_000)
        rows["data"], rows["control"] = np.array(words, np.uint64).T
        found = model.run(rows)
        capture.restart()
        given = capture.rows(len(found))
        given["received__valid"] = found["words__valid"]
        given["received__payload"] = found["words__payload"]
        cycles = capture.run(given, when="o__valid")["cycle"].tolist()
        assert len(cycles) >= 50
        for length in (2, 3, 4, 8, 64):
            most = max(sum(begin <= cycle < begin + length for cycle in cycles)
                       for begin in cycles[:100])
            assert most <= length / 2 + 1
