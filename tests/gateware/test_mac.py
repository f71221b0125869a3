"""The MAC sends what IEEE 802.3 describes, and gives of any line what is on it.

Method: cocotbext-eth's XGMII models on both sides, and batch models beside an interpreter that
reads a line octet by octet (``tests/mac_rig.py``) and knows neither words nor lanes; check sums
are zlib's. Lines are whole frames, then anything: cut, damaged, with characters where none
belong, frames that begin inside of frames. Cycles and gaps are exact.
"""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import mac_rig
from tests.gateware.harness import run_cocotb
from tests.mac_rig import ERROR, IDLE, LANES, LEAD, START, TERMINATE, checked, data, sent
from tickwire_hw.mac_receive import LATENCY, MACReceive
from tickwire_hw.mac_transmit import MACTransmit
from tickwire_hw.plain import Plain
from tickwire_sim.verilate import verilate

COROUTINES = "tests.gateware.cocotb_mac"
SIZE_MAX = 200
NOW = 5_000
_DRAIN = 16                                    # cycles in which the last frame, padded, leaves


@pytest.fixture(scope="module")
def receiver():
    return verilate(MACReceive())


@pytest.fixture(scope="module")
def transmitter():
    return verilate(MACTransmit())


def test_frames_leave_through_an_independent_model():
    run_cocotb(Plain(MACTransmit()), COROUTINES, testcase="frames_leave_whole_with_the_least_gaps")


def test_frames_come_in_from_an_independent_model():
    run_cocotb(Plain(MACReceive()), COROUTINES, testcase="frames_come_in_whole_from_either_lane")


# Receiving


def take(model, line):
    """Run a line through a receiver; returns its frames and the words with a wrong preamble."""
    given = mac_rig.words([*line, *[IDLE] * 5 * LANES])
    rows = model.rows(len(given), size_max=SIZE_MAX)
    rows["data"], rows["control"] = np.array(given, np.uint64).T
    rows["now"] = NOW + np.arange(len(rows))
    model.restart()
    found = model.run(rows)
    fields = {name: model.get(found, "words__payload", name)
              for name in ("data", "keep", "first", "last", "error")}
    frames, octets, began, stamp = [], b"", 0, 0
    for at in np.flatnonzero(found["words__valid"]):
        word = {name: int(column[at]) for name, column in fields.items()}
        assert word["first"] == (not octets and began == 0)
        if word["first"]:
            began, stamp = at, int(found["stamp"][at])
        count = word["keep"].bit_count()
        assert word["keep"] == (1 << count) - 1 and (count == LANES or word["last"])
        octets += word["data"].to_bytes(LANES, "little")[:count]
        if word["last"]:
            told = [bool(found[name][at + 1]) for name in ("is_runt", "is_damaged", "is_oversize")]
            assert word["error"] == (told[0] or told[1])
            assert told[2] == (len(octets) > SIZE_MAX)
            frames.append((octets, began, stamp, *told[:2]))
            octets, began = b"", 0
        else:
            assert not word["error"]
    assert not octets
    ends = np.flatnonzero(found["words__valid"] & fields["last"]) + 1
    for name in ("is_runt", "is_damaged", "is_oversize"):
        assert set(np.flatnonzero(found[name])) <= set(ends)
    return frames, {int(at) - 1 for at in np.flatnonzero(found["is_bad_start"])}


def compare(model, line):
    frames, bad = take(model, line)
    expected, expected_bad = mac_rig.received([*line, IDLE])
    assert bad == expected_bad
    assert [(one[0], *one[3:]) for one in frames] == \
        [(one.octets, one.is_runt, one.is_damaged) for one in expected]
    for (_, began, stamp, is_runt, _), one in zip(frames, expected, strict=True):
        if not is_runt:                        # what is shorter may be told a cycle later
            assert began == one.start // LANES + LATENCY
            assert stamp == NOW + one.start // LANES
    return frames


@pytest.mark.parametrize("lane", [0, 4])
def test_every_end_of_a_frame_in_every_lane(receiver, lane):
    source = random.Random(lane)
    for size in (*range(64, 90), SIZE_MAX + 3, SIZE_MAX + 4, SIZE_MAX + 5):
        frame = checked(source.randbytes(size - 4))
        [found] = compare(receiver, [IDLE] * (8 + lane) + sent(frame))
        assert found[0] == frame[:-4] and found[3:] == (False, False)


@pytest.mark.parametrize("lane", [0, 4])
def test_every_size_below_the_least_is_a_runt(receiver, lane):
    for size in range(64):
        [found] = compare(receiver, [IDLE] * lane + sent(bytes(size)))
        assert found[3:] == (True, False)


@pytest.mark.parametrize("lane", [0, 4])
def test_a_wrong_bit_anywhere_is_seen(receiver, lane):
    frame = checked(bytes(range(61)))
    for bit in range(8 * len(frame)):
        wrong = bytearray(frame)
        wrong[bit // 8] ^= 1 << bit % 8
        [found] = compare(receiver, [IDLE] * lane + sent(bytes(wrong)))
        assert found[4]


@pytest.mark.parametrize("lane", [0, 4])
@pytest.mark.parametrize("character", [ERROR, IDLE, START, (0x9C, True)], ids=str)
def test_a_control_character_anywhere_in_a_frame_damages_it(receiver, lane, character):
    line = [IDLE] * lane + sent(checked(bytes(range(70))))
    for at in range(lane + 8 + 64, len(line) - 1):
        found = compare(receiver, [*line[:at], character, *line[at + 1:]])
        assert found[0][4]


@pytest.mark.parametrize("lane", [0, 4])
def test_a_wrong_preamble_is_told_and_its_frame_is_not_begun(receiver, lane):
    for place in range(len(LEAD)):
        for wrong in ((LEAD[place] ^ 1, False), (LEAD[place], True), IDLE, START):
            line = [IDLE] * lane + sent(checked(bytes(60)))
            line[lane + 1 + place] = wrong
            _, bad = take(receiver, line)
            assert bad
            compare(receiver, line)


octet = st.one_of(st.integers(0, 255).map(lambda value: (value, False)), st.sampled_from(
    [IDLE, START, TERMINATE, ERROR, (0x9C, True), (0x55, True), (0xD5, False), (0x55, False)]))
good = st.binary(max_size=90).map(lambda octets: sent(checked(octets)))
short = st.binary(max_size=12).map(sent)
pieces = st.one_of(good, short, st.lists(octet, max_size=24), st.just([START, *data(LEAD)]),
                   st.integers(0, 20).map(lambda count: [IDLE] * count))


@given(st.lists(st.tuples(pieces, st.integers(0, 3)), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_line_is_read_as_it_stands(receiver, parts):
    line = []
    for piece, cut in parts:
        if piece and piece[0] == START:
            line += [IDLE] * (-len(line) % 4)
        line += piece[:len(piece) - cut]
    compare(receiver, line)


# Sending


def put(model, frames, pauses=()):
    """Give frames to a transmitter, ``pauses`` idle cycles before some; returns line and rows."""
    waiting = [(frame, number, at) for number, frame in enumerate(frames)
               for at in range(0, max(len(frame), 1), LANES)]
    rows, found, pause = model.rows(1), [], 0
    model.restart()
    for frame, number, at in waiting:
        part = frame[at:at + LANES]
        pause = dict(pauses).get((number, at // LANES), 0)
        rows["i__valid"] = 0
        found += [model.run(rows)[0] for _ in range(pause)]
        rows["i__valid"] = 1
        model.put(rows, "i__payload", data=int.from_bytes(part.ljust(LANES, b"\xA5"), "little"),
                  keep=(1 << len(part)) - 1, first=at == 0, last=at + LANES >= len(frame))
        while True:
            found.append(model.run(rows)[0])
            if found[-1]["i__ready"]:
                break
    rows["i__valid"] = 0
    found += [model.run(rows)[0] for _ in range(_DRAIN)]
    return mac_rig.octets((int(row["data"]), int(row["control"])) for row in found), found


def test_frames_that_wait_follow_each_other_with_the_gap_of_the_deficit_rule(transmitter):
    source = random.Random(7)
    frames = [source.randbytes(size) for size in
              [*range(60, 110), *(source.randrange(1, 130) for _ in range(300)), 0, 0]]
    line, _ = put(transmitter, frames)
    seen = list(mac_rig.frames(line))
    assert [one.octets for one in seen] == [checked(frame) for frame in frames]
    found = [after.start - one.end for one, after in itertools.pairwise(seen)]
    assert found == list(mac_rig.gaps([len(one.octets) for one in seen[:-1]]))
    assert 11.9 < sum(found) / len(found) <= 12.1 and min(found) == 9 and max(found) == 15


@pytest.mark.parametrize("size", range(60, 68))
def test_a_start_comes_one_cycle_after_the_first_word_whatever_was_before(transmitter, size):
    for pause in range(8):
        line, rows = put(transmitter, [bytes(size)] * 3, {(1, 0): pause, (2, 0): 9 - pause}.items())
        starts = [at for at, row in enumerate(rows) if row["is_start"]]
        seen = list(mac_rig.frames(line))
        assert [one.start // LANES for one in seen] == starts and len(starts) == 3
        # The word before is one that was given and taken, or waited for the gap.
        for at in starts:
            assert rows[at - 1]["i__ready"]
        for one, after in itertools.pairwise(seen):
            assert after.start - one.end >= 9 and one.is_whole


def test_waiting_pays_the_deficit_back(transmitter):
    frames = [bytes(61), bytes(61), bytes(61), bytes(63), bytes(62)]
    line, _ = put(transmitter, frames, {(3, 0): 12}.items())
    seen = list(mac_rig.frames(line))
    found = [after.start - one.end for one, after in itertools.pairwise(seen)]
    # Three gaps of 11 use up what there is, but after a pause the next may be short again.
    assert found[:2] == [11, 11] and found[3] == 9 and found[2] > 16


def test_a_frame_that_is_not_given_in_time_ends_with_an_error_and_the_rest_is_lost(transmitter):
    frames = [bytes(range(100)), bytes(range(80)), bytes(range(64))]
    for word in range(1, 13):
        for pause in (1, 2, 7):
            line, rows = put(transmitter, frames, {(0, word): pause}.items())
            first, *others = mac_rig.frames(line)
            assert not first.is_whole and line[first.end] == ERROR
            assert first.octets == frames[0][:LANES * word]
            assert [one.octets for one in others] == [checked(frame) for frame in frames[1:]]
            assert sum(int(row["is_underrun"]) for row in rows) == 1


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 5), st.booleans()), min_size=1,
                max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_one_half_sends_the_other_half_receives(transmitter, receiver, cases):
    frames = [bytes(size) for size, _, _ in cases]
    line, _ = put(transmitter, frames, {(number, 0): pause for number, (_, pause, _)
                                        in enumerate(cases)}.items())
    found = compare(receiver, line)
    assert [one[0] for one in found] == [frame.ljust(60, b"\0") for frame in frames]
    assert not any(one[3] or one[4] for one in found)
