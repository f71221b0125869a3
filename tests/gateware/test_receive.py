"""The receiver says of every frame what the kernel says of it, and gives the same payload.

Method: the component runs as a batch model beside :func:`tickwire.kernels.receive.frame`, which
``tests/unit/test_receive.py`` holds against the documents; its frames, good and bad, are used here
too, cut at every octet, with random damage, idle cycles and noise in every lane that carries
nothing. Cycles are exact: payload in the cycle of its word, verdict three cycles after the end.
"""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.captures import ethernet, ipv4, ones_complement
from tests.line_rig import Frame, Kernel, Lanes, received
from tests.unit.test_receive import (
    BAD,
    GOOD,
    NOT_OURS,
    PAYLOAD,
    RECOVERY,
    SIZE_MAX,
    VLAN,
    A,
    B,
    damaged,
    datagram,
    packet,
    with_header,
)
from tickwire.kernels.receive import MALFORMED, OTHER
from tickwire.spec.records import Line
from tickwire_hw.receive import Receive
from tickwire_sim.verilate import verilate

KEYS = {Line.A: A, Line.B: B, Line.RECOVERY: RECOVERY}
TAGS = ((), ((VLAN, 1),), ((VLAN, 1), (VLAN, 2)))
EVERY = {**GOOD, **NOT_OURS, **BAD}


@pytest.fixture(scope="module")
def model():
    return verilate(Receive(), has_reset=True)


@pytest.fixture(scope="module")
def kernel():
    return Kernel(KEYS, SIZE_MAX)


def run(model, kernel, frames, seed=0):
    """Return what the component says of each frame."""
    lanes = Lanes(frames, seed)
    rows = lanes.rows(model, now=seed)
    kernel.configure(model, rows)
    return received(model, rows, lanes, now=seed)


def compare(model, kernel, frames, seed=0):
    """Run frames through both; returns what both have said."""
    seen = run(model, kernel, frames, seed)
    for one, found in zip(frames, seen, strict=True):
        before = kernel.counts()
        expected = kernel.take(one)
        counted = tuple(after - start for start, after in zip(before, kernel.counts(), strict=True))
        told = expected.payload if found.starts else b""     # one word may tell nothing
        assert found.starts or len(expected.payload) <= 6
        assert (found.code, found.payload, found.is_damaged) == \
            (expected.code, told, expected.is_damaged), one
        assert counted == (found.code == OTHER, found.code == MALFORMED)
    return seen


def test_payload_begins_in_the_lane_that_the_tags_leave_and_comes_in_its_own_cycle(model, kernel):
    seen = compare(model, kernel, [Frame(ethernet(packet(), 0x0800, *tags)) for tags in TAGS])
    assert [(one.code, one.payload, one.starts[0]) for one in seen] == \
        [(Line.A, PAYLOAD, start) for start in (2, 6, 2)]


@pytest.mark.parametrize("name", EVERY)
def test_a_frame_is_judged_as_the_kernel_judges_it(model, kernel, name):
    compare(model, kernel, [Frame(EVERY[name]), Frame(EVERY[name], (1, 0, 2)),
                            Frame(GOOD["untagged"])])


def test_all_frames_one_after_another_without_an_idle_cycle(model, kernel):
    frames = [Frame(octets) for octets in EVERY.values()]
    random.Random(1).shuffle(frames)
    seen = compare(model, kernel, frames * 3)
    assert {one.code for one in seen} == {Line.A, OTHER, MALFORMED}


def test_every_frame_cut_at_every_octet(model, kernel):
    compare(model, kernel, [Frame(octets[:size]) for octets in EVERY.values()
                            for size in range(min(len(octets), 100) + 1)])


def test_the_end_may_come_in_a_word_without_octets(model, kernel):
    frames = [Frame(octets[:size], is_late_end=True, has_error=size % 3 == 0)
              for octets in EVERY.values() for size in range(8, 90, 8)]
    assert any(one.payload and one.is_damaged for one in compare(model, kernel, frames))


def test_each_line_is_known_by_its_address_and_port(model, kernel):
    seen = compare(model, kernel, [Frame(ethernet(packet(to=to), 0x0800, *tags))
                                   for tags in TAGS for to in (A, B, RECOVERY, (A[0], B[1]))])
    assert [one.code for one in seen] == [*Line, OTHER] * 3


def test_the_first_of_two_lines_with_one_address_and_port_has_the_frame(model):
    for keys, line in (({Line.B: A, Line.RECOVERY: A}, Line.B), (dict.fromkeys(Line, A), Line.A)):
        seen = compare(model, Kernel(keys, SIZE_MAX), [Frame(octets) for octets in GOOD.values()])
        assert {one.code for one in seen} == {line}


def test_a_line_that_is_not_configured_takes_nothing(model):
    assert {one.code for one in compare(model, Kernel({}), [
        Frame(octets) for octets in (*GOOD.values(), NOT_OURS["address and port 0"])])} == {OTHER}
    zero = Kernel({Line.B: ("0.0.0.0", 0)})
    assert compare(model, zero, [Frame(NOT_OURS["address and port 0"])])[0].code == Line.B


@pytest.mark.parametrize("tags", TAGS)
def test_payloads_of_any_size(model, kernel, tags):
    frames = []
    for size in [*range(40), 1_000, 1_463, 1_464, 1_465, 1_471, 1_472, 1_473]:
        payload = random.Random(size).randbytes(size)
        for octets in (datagram(payload), datagram(payload, checksum=1), datagram(
                payload, checksum=0), datagram(payload) + b"surplus"):
            frames += [Frame(ethernet(packet(octets), 0x0800, *tags)),
                       Frame(ethernet(packet(octets), 0x0800, *tags) + bytes(25))]
    seen = compare(model, kernel, frames)
    assert {one.code for one in seen} == {Line.A}
    assert {one.is_damaged for one in seen[:8]} == {True, False}


@pytest.mark.parametrize("tags", TAGS)
def test_every_length_that_lies_at_every_layer(model, kernel, tags):
    payload = bytes(range(1, 21))
    frames = []
    for length in [*range(60), 255, 256, 4_096, 0x8000, 0xFFF8, 0xFFFF]:
        frames.append(ethernet(packet(datagram(payload, length=length)), 0x0800, *tags))
        frames.append(ethernet(with_header(total=length), 0x0800, *tags))
    for first in range(0x40, 0x50):
        for total in (0, 4, 19, 20, 23, 24, 27, 28, 59, 60, 0x0400, 0xFFFF):
            frames += [ethernet(with_header(first=first, total=total, **other), 0x0800, *tags)
                       for other in ({}, {"destination": 0xE9630101})]
    compare(model, kernel, [Frame(octets) for octets in frames])


def test_every_single_bit_that_flips_in_headers_and_payload(model, kernel):
    frames = []
    for tags in TAGS:
        octets = ethernet(packet(), 0x0800, *tags)
        for bit in range(8 * 12, 8 * len(octets)):
            wrong = bytearray(octets)
            wrong[bit >> 3] ^= 0x80 >> (bit & 7)
            frames.append(Frame(bytes(wrong)))
    compare(model, kernel, frames)


@pytest.mark.parametrize("tags", TAGS)
def test_checksums_are_right_whatever_is_carried(model, kernel, tags):
    # Carries of every size come up, and sums whose halves are all ones.
    frames = []
    for number in range(0, 1 << 16, 37):
        udp = datagram(struct.pack(">HHHB", number, 0xFFFF, number ^ 0xFFFF, number & 0xFF))
        octets = bytearray(packet(udp))
        octets[4:6] = struct.pack(">H", number)
        octets[8] = number >> 3 & 0xFF
        octets[10:12] = bytes(2)
        octets[10:12] = struct.pack(">H", ones_complement(bytes(octets[:20])))
        frames.append(Frame(ethernet(bytes(octets), 0x0800, *tags)))
    for one in compare(model, kernel, frames):
        assert (one.code, one.is_damaged) == (Line.A, False)


def test_a_checksum_that_computes_to_zero_is_sent_as_all_ones(model, kernel):
    payload = struct.pack(">H", int.from_bytes(datagram(bytes(2))[6:8], "big"))
    assert datagram(payload)[6:8] == b"\xff\xff"
    seen = compare(model, kernel, [Frame(ethernet(packet(datagram(payload))))])
    assert not seen[0].is_damaged


def test_damage_that_the_end_shows(model, kernel):
    good = GOOD["padding"]
    seen = compare(model, kernel, [
        Frame(good, has_error=True), Frame(good), Frame(good.ljust(SIZE_MAX, b"\0")),
        Frame(good.ljust(SIZE_MAX + 1, b"\0")), Frame(NOT_OURS["another port"], has_error=True),
        Frame(BAD["IP options"], has_error=True), Frame(good)])
    assert [(one.code, one.is_damaged) for one in seen] == [
        (Line.A, True), (Line.A, False), (Line.A, False), (Line.A, True), (OTHER, False),
        (MALFORMED, False), (Line.A, False)]


def test_udp_checksums_need_not_be_verified(model):
    seen = compare(model, Kernel(KEYS, SIZE_MAX, check_udp=False),
                   [Frame(octets) for octets in EVERY.values()])
    names = dict(zip(EVERY, seen, strict=True))
    assert not names["UDP checksum"].is_damaged
    assert names["IPv4 checksum"].code == MALFORMED


@pytest.mark.parametrize("size_max", [0, 63, 64, 65, 9_022, 65_535])
def test_the_longest_frame_may_have_any_size(model, size_max):
    sizes = {size for size in (60, size_max - 1, size_max, size_max + 1, 9_000, 65_535)
             if size >= 60}
    small, large = ethernet(packet()), ethernet(packet(datagram(bytes(59_000))))
    compare(model, Kernel(KEYS, size_max), [
        Frame(octets.ljust(size, b"\0")) for size in sizes for octets in (small, large)
        if size >= len(octets)])


def test_a_frame_without_end_is_too_long_and_the_next_one_is_taken(model):
    endless = Frame(ethernet(packet()).ljust(320_000, b"\x5a"))
    kernel = Kernel(KEYS, 65_535)
    seen = compare(model, kernel, [endless, Frame(GOOD["untagged"])])
    assert [(one.code, one.payload, one.is_damaged) for one in seen] == [
        (Line.A, PAYLOAD, True), (Line.A, PAYLOAD, False)]


def noise(source):
    """A frame of random octets, whose first ones may be those of a good frame."""
    octets = bytearray(source.randbytes(source.randrange(0, 120)))
    good = source.choice(list(GOOD.values()))
    size = min(source.choice([0, 12, 14, 16, 18, 22, 34, 38, 42, 46, 50, 60]), len(octets))
    octets[:size] = good[:size]
    return Frame(bytes(octets), has_error=source.random() < 0.1)


def test_garbage_at_full_rate_hides_no_good_frame_behind_it(model, kernel):
    source = random.Random(7)
    frames = [frame for _ in range(3_000)
              for frame in (noise(source), Frame(GOOD[source.choice(list(GOOD))]))]
    seen = compare(model, kernel, frames)
    assert all((one.code, one.payload, one.is_damaged) == (Line.A, PAYLOAD, False)
               for one in seen[1::2])
    assert {one.code for one in seen[::2]} >= {OTHER, MALFORMED}


@st.composite
def frames(draw):
    """A frame, perhaps damaged, with idle cycles between its words."""
    octets = draw(st.one_of(damaged(), st.sampled_from(sorted(EVERY.values())),
                            st.binary(max_size=120)))
    gaps = draw(st.one_of(st.just((0,)), st.lists(st.integers(0, 3), min_size=1, max_size=5)))
    return Frame(octets, gaps, draw(st.booleans()), draw(st.booleans()))


@settings(max_examples=150)
@given(st.lists(frames(), min_size=1, max_size=8), st.booleans(), st.integers(0, 1 << 30))
def test_random_damage_is_judged_as_the_kernel_judges_it(model, several, check_udp, seed):
    compare(model, shared(check_udp), several, seed)


KERNELS = {}


def shared(check_udp):
    """One kernel for all examples: allocating one for each would be most of the time."""
    if check_udp not in KERNELS:
        KERNELS[check_udp] = Kernel(KEYS, SIZE_MAX, check_udp)
    return KERNELS[check_udp]


def test_options_and_fragments_are_told_apart_from_what_is_not_ours(model, kernel):
    names = {"IP options": MALFORMED, "first fragment": MALFORMED, "last fragment": MALFORMED,
             "another group's fragment": OTHER, "IGMP with its router alert option": OTHER}
    frames = [Frame(ethernet(EVERY[name][14:], 0x0800, *tags)) for name in names for tags in TAGS]
    assert [one.code for one in compare(model, kernel, frames)] == \
        [code for code in names.values() for _ in TAGS]
    options = [ethernet(ipv4(datagram(), options=bytes(4 * words), destination=A[0]))
               for words in range(1, 11)]
    assert {one.code for one in compare(model, kernel, [Frame(octets) for octets in options])} == \
        {MALFORMED}
