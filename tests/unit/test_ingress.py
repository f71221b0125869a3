"""Frames through receiver, arbiter and books: what a damaged frame may and may not do.

Method: whole Ethernet frames built by hand; damage is the caller's word (a wrong FCS) or in the
octets. Without cut-through nothing of a damaged frame is used; with it, what was used is told and
marked, and the rest is forgotten. Random frames keep the counts in balance.
"""

import random
import struct

import pytest

from tests.captures import ethernet, ipv4, udp
from tests.feed_rig import SESSION, FeedRig, mold
from tests.reference import itch
from tickwire.kernels.receive import MALFORMED, OTHER
from tickwire.spec.records import FeedState, Line

A, B = ("233.54.12.111", 26477), ("233.49.196.111", 26478)
LIVE, RETRACTED = 1, 6
DESYNCED = 8
S = itch.system(b"O")


def rig_of(**settings) -> FeedRig:
    rig = FeedRig(**settings)
    rig.memory.listen(Line.A, *A)
    rig.memory.listen(Line.B, *B)
    return rig


def frame_of(payload: bytes, to=A, checksum: int = 0) -> bytes:
    datagram = bytearray(udp(payload, to[1]))
    struct.pack_into(">H", datagram, 6, checksum)
    return ethernet(ipv4(bytes(datagram), destination=to[0]), 0x0800, (0x8100, 141))


def test_messages_reach_the_books_from_the_line_that_is_first():
    rig = rig_of()
    assert rig.frame(frame_of(mold(1, S, S))) == (Line.A, 2)
    assert rig.frame(frame_of(mold(1, S, S, S), B)) == (Line.B, 1)
    assert rig.frame(frame_of(mold(4, S), ("233.54.12.112", 1))) == (OTHER, 0)
    assert rig.events() == [("feed", LIVE, 1, 1, Line.A, SESSION),
                            ("message", 1), ("message", 2), ("message", 3)]
    counters = rig.counters()
    assert [counters[name] for name in ("frames_a", "frames_b", "frames_other")] == [1, 1, 1]


@pytest.mark.parametrize("cut_through", [False, True])
def test_a_frame_that_is_malformed_in_its_headers_reaches_nothing(cut_through):
    rig = rig_of(cut_through=cut_through)
    octets = frame_of(mold(1, S))
    for size in range(18 + 28):
        assert rig.frame(octets[:size]) == (MALFORMED, 0)
    assert rig.events() == []
    assert rig.counters() == {"frames_malformed": 18 + 28}


DAMAGED = {
    "wrong FCS": (frame_of(mold(1, S, S)), 1),
    "UDP checksum": (frame_of(mold(1, S, S), checksum=0x1234), 0),
    "both": (frame_of(mold(1, S, S), checksum=0x1234), 1),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_frame_is_dropped_whole(name):
    rig = rig_of()
    assert rig.frame(*[DAMAGED[name][0], 1_000, DAMAGED[name][1]]) == (MALFORMED, 0)
    assert rig.events() == []
    assert rig.counters() == {"frames_malformed": 1}
    assert rig.frame(frame_of(mold(1, S, S))) == (Line.A, 2)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_frame_that_was_cut_through_is_retracted(name):
    rig = rig_of(cut_through=True)
    assert rig.frame(DAMAGED[name][0], 1_000, DAMAGED[name][1]) == (Line.A, 2)
    marks = [("shown", instrument, DESYNCED) for instrument in (1, 2, 3)]
    events = rig.events()
    assert events[:3] == [("feed", LIVE, 1, 1, Line.A, SESSION), ("message", 1), ("message", 2)]
    assert events[3] == ("feed", RETRACTED, 1, 3, Line.A, bytes(10)) and events[4:7] == marks
    assert rig.counters()["frames_retracted"] == 1
    assert rig.memory.expected == 3


@pytest.mark.parametrize("size", range(18 + 28, len(DAMAGED["wrong FCS"][0])))
def test_a_frame_that_ends_early_is_used_as_far_as_it_goes_and_retracted(size):
    octets = frame_of(mold(2, S, S))
    rig = rig_of(cut_through=True)
    rig.frame(frame_of(mold(1, S), B))
    rig.events()
    whole = sum(size >= 18 + 28 + 20 + 14 * count for count in (1, 2))
    assert rig.frame(octets[:size]) == (Line.A, whole)
    assert rig.memory.expected == 2 + whole
    assert (RETRACTED in [event[1] for event in rig.events()]) == (whole > 0)
    assert rig.flags(1) == (DESYNCED if whole else 0)
    assert rig.memory.state == FeedState.LIVE
    assert rig.frame(octets)[1] == 2 - whole


def test_a_damaged_frame_for_no_line_is_only_counted():
    for cut_through in (False, True):
        rig = rig_of(cut_through=cut_through)
        code, _ = rig.frame(frame_of(mold(1, S), ("233.54.12.112", 1)), is_damaged=1)
        assert code == (OTHER if cut_through else MALFORMED)
        assert "frames_retracted" not in rig.counters()


@pytest.mark.parametrize("seed", range(4))
def test_after_random_frames_the_feed_goes_on(seed):
    draw = random.Random(seed)
    rig = rig_of(cut_through=bool(seed & 1), accept_session=False)
    rig.frame(frame_of(mold(1, S)))
    frames = 1
    for _ in range(2_000):
        octets = bytearray(frame_of(mold(max(1, rig.memory.expected + draw.randint(-1, 1)), S,
                                         itch.action(draw.randint(0, 5), b"H")),
                                    draw.choice((A, B))))
        for _ in range(draw.randint(0, 4)):
            octets[draw.randrange(len(octets))] ^= 1 << draw.randrange(8)
        if draw.random() < 0.1:
            del octets[draw.randrange(len(octets)):]
        if draw.random() < 0.1:
            octets = bytearray(draw.randbytes(draw.randint(0, 100)))
        rig.frame(bytes(octets), is_damaged=int(draw.random() < 0.05))
        frames += 1
        counters = rig.counters()
        assert sum(counters.get(f"frames_{name}", 0)
                   for name in ("a", "b", "recovery", "other", "malformed")) == frames
        assert rig.memory.expected == counters["messages"] + 1
    assert rig.counters()["messages"] > 500
    rig.records()
    number = rig.memory.expected
    assert rig.frame(frame_of(mold(number, S), B)) == (Line.B, 1)
    assert rig.events()[-1] == ("message", number)
