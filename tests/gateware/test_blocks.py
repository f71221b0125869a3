"""Blocks are found wherever they lie, told one cycle after their last octet, and never invented.

Method: the component runs as a batch model beside a walk in plain Python (``tests/blocks_rig.py``)
and the kernel's :func:`tickwire.kernels.blocks.skim`. Legal packets must be told to the cycle, at
every alignment and without idle cycles; hostile ones, whose blocks are shorter than any message
or lie about their length, must be told the same, however long it takes.
"""

import gc
import random
import struct
import warnings

import numpy as np
import pytest
from amaranth.hdl import UnusedElaboratable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.blocks_rig import EARLY_SIZE, HEADER_SIZE, MESSAGE_SIZE_MAX, Cycles, Datagram, told, walk
from tests.captures import MESSAGE_D, MESSAGE_S, binary_file, ethernet, mold
from tests.guarded import Guarded
from tests.line_rig import Frame, Kernel, Lanes
from tests.unit.test_receive import GOOD, VLAN, A, B, datagram, packet
from tickwire.kernels.blocks import skim
from tickwire.spec import itch50
from tickwire.spec.network import FRAME_SIZE_MAX
from tickwire.spec.records import Line
from tickwire_hw.backlog import Backlog
from tickwire_hw.blocks import Blocks
from tickwire_hw.line_port import LinePort
from tickwire_sim.verilate import verilate

STARTS = (2, 6)                                # lanes that Ethernet with and without a tag leave
PLACES = [(start, shift) for start in STARTS for shift in range(4)]
"""A start, and octets that leading messages shift what follows by: all eight alignments."""
SIZES = {message.tag: message.size for message in itch50.MESSAGES}
SHORTEST = min(SIZES.values())


@pytest.fixture(scope="module", params=[False, True], ids=["direct", "hop"])
def model(request):
    """Blocks with a queue that many hostile frames fill."""
    return hopping(Blocks(depth=128, has_hop=request.param), request.param)


def hopping(component, has_hop):
    """Return a model of a component, and what it is later by."""
    found = verilate(component, has_reset=True)
    found.late = int(has_hop)
    return found


def message(tag, source):
    """A message of a type with random octets."""
    return tag.encode() + source.randbytes(SIZES[tag] - 1)


def lead_of(shift, source):
    """Legal messages whose blocks together leave ``shift`` octets of a word."""
    while True:
        found = [message(source.choice(list(SIZES)), source)
                 for _ in range(source.randrange(1, 4))]
        if sum(2 + len(one) for one in found) % 8 == shift:
            return found


def check(one, contents, seen, number, cycles=None):
    """Compare what was told of a datagram with its contents, and its cycles if they are given."""
    assert seen.stamp == number + 1_000 and seen.line == one.line
    assert seen.header == contents.header and seen.is_short == contents.is_short
    assert seen.messages == [(index, block.length, block.octets[:MESSAGE_SIZE_MAX])
                             for index, block in enumerate(contents.blocks)]
    assert seen.passed == len(contents.blocks) and seen.is_malformed == contents.is_malformed
    assert seen.is_damaged == one.is_damaged
    assert seen.earlies == [(index, octets.ljust(EARLY_SIZE, b"\0"))
                            for index, octets, _ in contents.earlies]
    if cycles is not None:
        after = [cycle + 1 for cycle in cycles]
        if contents.header:
            assert seen.header_cycle == after[one.word_of(HEADER_SIZE - 1)]
        assert seen.message_cycles == [after[one.word_of(block.end)] for block in contents.blocks]
        assert seen.early_cycles == [after[one.word_of(place)] for _, _, place in contents.earlies]
        assert seen.end_cycle == after[-1]
        assert seen.verdict_cycle == cycles[-1] + 3


def compare(model, datagrams, seed=0, *, is_exact=False, idle_after=8):
    """Run datagrams and compare with the walk; with ``is_exact`` every cycle too."""
    cycles = Cycles(datagrams, seed, idle_after)
    seen, overflows = told(model, cycles.rows(model))
    assert overflows == 0
    assert len(seen) == len(cycles.datagrams)
    for number, (one, found) in enumerate(zip(cycles.datagrams, seen, strict=True)):
        contents = walk(one.octets)
        check(one, contents, found, number, cycles.cycles[number] if is_exact else None)
    return seen


# Legal packets


def test_every_type_at_every_alignment_first_in_the_middle_and_last(model):
    source = random.Random(1)
    covered, datagrams = set(), []
    for start in STARTS:
        for tag in SIZES:
            for shift in range(8):
                for before, after in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    lead = lead_of(shift, source) if before else []
                    messages = [*lead, message(tag, source),
                                *([message("E", source)] if after else [])]
                    octets = mold(source.randrange(1, 1 << 62), *messages)
                    datagrams.append(Datagram(octets, start))
                    at = HEADER_SIZE + sum(2 + len(one) for one in lead)
                    place = ("only" if not (lead or after) else "first" if not lead
                             else "last" if not after else "middle")
                    covered.add((tag, (start + at + 2) % 8, place))
    compare(model, datagrams, is_exact=True)
    lanes = {"first": {0, 4}, "only": {0, 4}, "middle": set(range(8)), "last": set(range(8))}
    assert covered == {(tag, lane, place) for tag in SIZES for place, found in lanes.items()
                       for lane in found}


@pytest.mark.parametrize("tag", "DSU")
@pytest.mark.parametrize(("start", "shift"), PLACES)
def test_a_flood_of_one_type_at_line_rate(model, tag, start, shift):
    source = random.Random(start + shift)
    count, lead = 1_200 // (SIZES[tag] + 2), lead_of(shift, source)
    datagrams = [Datagram(mold(number + 1, *lead, *(message(tag, source) for _ in range(count))),
                          start) for number in range(3)]
    seen = compare(model, datagrams, is_exact=True)
    assert sum(len(one.messages) for one in seen) == 3 * (len(lead) + count)


@pytest.mark.parametrize("start", STARTS)
def test_random_legal_packets_with_idle_cycles(model, start):
    source = random.Random(100 + start)
    datagrams = []
    for number in range(60):
        messages = [message(source.choice(list(SIZES)), source)
                    for _ in range(source.randrange(0, 12))]
        datagrams.append(Datagram(mold(number + 1, *messages), start,
                                  [source.randrange(4) for _ in range(5)], number % 3,
                                  source.random() < 0.2))
    compare(model, datagrams, start, is_exact=True)


def test_a_packet_cut_at_every_octet(model):
    for start, shift in PLACES:
        octets = mold(5, *lead_of(shift, random.Random(shift)), MESSAGE_D, MESSAGE_S, bytes(50),
                      b"U" * 35, b"", b"x")
        compare(model, [Datagram(octets[:size], start, is_late_end=late)
                        for size in range(len(octets) + 1) for late in (False, True)], start)


def test_heartbeats_and_the_end_of_a_session_have_no_blocks(model):
    for start in STARTS:
        for tails in (b"", b"\0", binary_file(MESSAGE_D)), (b"\0\0", b"\0\5", bytes(40)):
            # A tail that looks like blocks shorter than any message may cost a cycle.
            compare(model, [Datagram(mold(9, count=count) + tail, start)
                            for count in (0, 0xFFFF) for tail in tails],
                    is_exact=b"" in tails)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 1_000, 0xFFFE])
def test_only_as_many_blocks_are_walked_as_the_header_promises(model, count):
    for start, shift in PLACES:
        lead = lead_of(shift, random.Random(shift))
        octets = mold(1, *lead, MESSAGE_D, MESSAGE_S, MESSAGE_D,
                      count=min(len(lead) + count, 0xFFFE))
        compare(model, [Datagram(octets, start), Datagram(octets + b"\0", start),
                        Datagram(octets + bytes(2), start)], is_exact=count < 4)


@pytest.mark.parametrize("length", [*range(8, 20), 49, 50, 51, 52, 57, 64, 255, 256, 1_000, 9_000])
def test_a_block_of_any_length_from_8_octets_on_is_told_in_time(model, length):
    source = random.Random(length)
    for start, shift in PLACES:
        octets = mold(1, *lead_of(shift, source), *(
            source.randbytes(length) for _ in range(9 if length < 100 else 2)))
        compare(model, [Datagram(octets, start), Datagram(mold(1, MESSAGE_S), start)],
                is_exact=True)


# Hostile packets


@pytest.mark.parametrize("length", range(8))
def test_blocks_shorter_than_any_message_are_told_in_order(model, length):
    source = random.Random(length)
    for start, shift in PLACES:
        datagrams = [Datagram(mold(1, *lead_of(shift, source), *(
            source.randbytes(length) for _ in range(count))), start)
            for count in (1, 2, 3, 4, 5, 30)]
        compare(model, [*datagrams, Datagram(mold(1, MESSAGE_D, MESSAGE_S), start)],
                idle_after=100)


def test_lengths_that_lie(model):
    for start, shift in PLACES:
        datagrams, lead = [], lead_of(shift, random.Random(shift))
        at = HEADER_SIZE + sum(2 + len(one) for one in [*lead, MESSAGE_D])
        for length in (*range(40), 50, 51, 255, 256, 0x1000, 0x7FFF, 0x8000, 0xFFF8, 0xFFFF):
            octets = bytearray(mold(3, *lead, MESSAGE_D, MESSAGE_S, MESSAGE_D))
            octets[at:at + 2] = struct.pack(">H", length)
            datagrams.append(Datagram(bytes(octets), start))
        compare(model, datagrams, idle_after=200)


@st.composite
def hostile(draw):
    """A packet of blocks of any length, damaged, cut, extended; most are short."""
    lengths = draw(st.lists(st.one_of(st.integers(0, 9), st.integers(0, 60)), max_size=14))
    source = draw(st.randoms(use_true_random=False))
    octets = bytearray(mold(source.getrandbits(64), *map(source.randbytes, lengths)))
    if draw(st.booleans()):
        octets[18:20] = struct.pack(">H", draw(st.one_of(st.integers(0, 16), st.just(0xFFFF))))
    for _ in range(draw(st.integers(0, 2))):
        octets[draw(st.integers(0, len(octets) - 1))] = draw(st.sampled_from([0, 1, 5, 0xFF]))
    del octets[draw(st.one_of(st.just(len(octets)), st.integers(0, len(octets)))):]
    octets += draw(st.binary(max_size=3))
    gaps = draw(st.one_of(st.just((0,)), st.lists(st.integers(0, 3), min_size=1, max_size=4)))
    return Datagram(bytes(octets), draw(st.sampled_from(STARTS)), gaps, draw(st.integers(0, 2)),
                    draw(st.booleans()), is_late_end=draw(st.booleans()))


GUARDED = Guarded()


@settings(max_examples=100)
@given(st.lists(hostile(), min_size=1, max_size=8), st.integers(0, 1 << 30))
def test_hostile_packets_are_walked_as_the_kernel_walks_them(model, datagrams, seed):
    seen = compare(model, datagrams, seed, idle_after=150)
    for one, found in zip(datagrams, seen, strict=True):
        if found.is_short:
            continue
        count = found.header[2]
        end = GUARDED.put(one.octets) + len(one.octets)
        place, passed = skim(end - len(one.octets) + HEADER_SIZE, end,
                             0 if count == 0xFFFF else count)
        assert passed == found.passed
        assert found.is_malformed == (place != end or passed != (0 if count == 0xFFFF else count))


# Words that wait


def test_what_finds_no_room_is_cut_off_or_dropped_whole_and_told(model):
    source = random.Random(3)
    datagrams = []
    for number in range(400):
        lengths = [source.choice([0, 0, 0, 1, 2, 30])
                   for _ in range(source.randrange(source.choice([4, 10, 80])))]
        datagrams.append(Datagram(mold(number + 1, *map(source.randbytes, lengths)),
                                  source.choice(STARTS), line=number % 3, idle_before=3,
                                  is_damaged=number % 5 == 0))
    # Then nothing for a while, and legal packets: these are told to the cycle again.
    legal = [Datagram(mold(1, MESSAGE_D, MESSAGE_S), 2, idle_before=600), Datagram(mold(2), 6)]
    cycles = Cycles([*datagrams, *legal])
    rows = cycles.rows(model)
    rows["hold"][1_000:2_000] = 1
    seen, overflows = told(model, rows)
    numbers = [one.stamp - 1_000 for one in seen]
    assert numbers == sorted(set(numbers)) and numbers[-2:] == [400, 401]
    cut, dropped = 0, len(cycles.datagrams) - len(seen)
    for number, found in zip(numbers, seen, strict=True):
        one = cycles.datagrams[number]
        contents = walk(one.octets)
        if (found.passed, found.is_malformed) == (len(contents.blocks), contents.is_malformed):
            check(one, contents, found, number, cycles.cycles[number] if number >= 400 else None)
            continue
        cut += 1
        assert found.is_malformed and found.is_damaged == one.is_damaged
        assert any(is_like(found, walk(one.octets[:8 * words - one.start]))
                   for words in range(1, one.words())), "not cut between two words"
    assert cut > 10 and dropped > 10 and overflows == cut + dropped


def is_like(found, contents):
    return (found.header, found.is_short) == (contents.header, contents.is_short) and \
        found.messages == [(index, block.length, block.octets)
                           for index, block in enumerate(contents.blocks)]


def test_nothing_is_told_while_held_and_nothing_is_lost(model):
    source = random.Random(4)
    datagrams = [Datagram(mold(number + 1, *(
        source.randbytes(source.choice([0, 1, 12, 19, 36])) for _ in range(source.randrange(20)))),
        source.choice(STARTS), line=number % 3, idle_before=30) for number in range(100)]
    cycles = Cycles(datagrams, idle_after=4_000)
    rows = cycles.rows(model)
    hold = np.repeat(np.random.default_rng(5).integers(0, 2, len(rows)), 7)[:len(rows)]
    hold[-3_000:] = 0
    rows["hold"] = hold
    seen, overflows = told(model, rows)
    assert overflows == 0 and len(seen) == len(datagrams)
    for number, (one, found) in enumerate(zip(datagrams, seen, strict=True)):
        check(one, walk(one.octets), found, number)
        for cycle in (found.header_cycle, *found.message_cycles, *found.early_cycles,
                      found.end_cycle, found.verdict_cycle):
            assert not (hold[cycle - 2] and hold[cycle - 3])


def test_a_queue_has_a_least_depth():
    with warnings.catch_warnings(action="ignore", category=UnusedElaboratable):
        with pytest.raises(ValueError, match="depth must be at least 8, not 7"):
            Backlog(depth=7)
        gc.collect()                       # what was not made says that it was not used


def test_verdicts_on_frames_that_are_for_no_line_are_not_told(model):
    rows = model.rows(20, verdict__valid=1)
    model.put(rows, "verdict__payload", is_for_line=0, is_damaged=1)
    model.reset()
    assert not model.run(rows)["packet__verdict__valid"].any()


# Behind the receiver


@pytest.fixture(scope="module", params=[False, True], ids=["direct", "hop"])
def port(request):
    return hopping(LinePort(has_hop=request.param), request.param)


def through(port, frames, *, is_exact=True, idle_after=8):
    """Run frames through a port, and compare with the kernel and the walk."""
    kernel = Kernel({Line.A: A, Line.B: B}, FRAME_SIZE_MAX)
    lanes = Lanes(frames, idle_after=idle_after + port.late)
    rows = lanes.rows(port)
    kernel.configure(port, rows)
    seen, overflows = told(port, rows)
    assert overflows == 0
    expected = [(number, one, found) for number, one in enumerate(frames)
                if (found := kernel.take(one)).code >= 0]
    assert len(seen) == len(expected)
    for (number, one, judged), found in zip(expected, seen, strict=True):
        contents = walk(judged.payload)
        assert (found.line, found.is_damaged) == (judged.code, judged.is_damaged)
        assert found.stamp == lanes.first_cycles[number]
        assert found.header == contents.header and found.is_malformed == contents.is_malformed
        assert found.messages == [(index, block.length, block.octets[:MESSAGE_SIZE_MAX])
                                  for index, block in enumerate(contents.blocks)]
        if is_exact:
            begin = one.octets.index(judged.payload[:HEADER_SIZE])
            valid = np.flatnonzero(lanes.valid)
            first = np.searchsorted(valid, lanes.first_cycles[number])
            assert found.message_cycles == [valid[first + (begin + block.end) // 8] + 1
                                            for block in contents.blocks]
            assert found.verdict_cycle == lanes.last_cycles[number] + 4
    return seen


TAGS = ((), ((VLAN, 1),), ((VLAN, 1), (VLAN, 2)))


def test_frames_without_an_idle_cycle_are_told_one_cycle_after_the_word(port):
    source = random.Random(6)
    frames = []
    for number in range(600):
        to = source.choice([A, B])
        payload = mold(number + 1, *(message(source.choice(list(SIZES)), source)
                                     for _ in range(source.randrange(14))))
        octets = ethernet(packet(datagram(payload, to), to), 0x0800, *source.choice(TAGS))
        gaps = (0,) if number % 2 else [source.randrange(3) for _ in range(7)]
        frames.append(Frame(octets + bytes(source.choice([0, 4, 18])), gaps,
                            source.random() < 0.1))
    seen = through(port, frames)
    assert {one.is_damaged for one in seen} == {False, True}


def test_a_jumbo_frame_of_empty_blocks_loses_nothing(port):
    octets = ethernet(packet(datagram(mold(1, *[b""] * 4_480))))
    assert len(octets) > FRAME_SIZE_MAX - 42
    seen = through(port, [Frame(octets), Frame(ethernet(packet()), (0,))],
                   is_exact=False, idle_after=5_000)
    assert seen[0].passed == 4_480 and len(seen) == 2


def test_a_frame_that_is_cut_off_tells_its_whole_blocks(port):
    octets = ethernet(packet(datagram(mold(1, MESSAGE_D, MESSAGE_S, b"", MESSAGE_D))))
    through(port, [Frame(octets[:size], is_late_end=late) for size in range(len(octets) + 1)
                   for late in (False, True)], is_exact=False)


def test_garbage_at_full_rate_hides_no_good_frame_behind_it(port):
    source = random.Random(8)
    frames = []
    for _ in range(1_500):
        octets = bytearray(source.choice(list(GOOD.values())) + source.randbytes(60))
        for _ in range(source.randrange(1, 6)):
            octets[source.randrange(12, len(octets))] = source.choice([0, 1, 0xFF, 0x45])
        frames += [Frame(bytes(octets[:source.randrange(len(octets))])),
                   Frame(ethernet(packet(datagram(mold(3, MESSAGE_D)))))]
    seen = through(port, frames, is_exact=False)
    good = [one for one in seen if one.messages == [(0, 19, MESSAGE_D)] and not one.is_damaged]
    assert len(good) >= 1_500


@pytest.mark.parametrize("tag", "DSU")
def test_a_flood_through_the_receiver_never_waits(port, tag):
    source = random.Random(9)
    count = 1_400 // (SIZES[tag] + 2)
    frames = [Frame(ethernet(packet(datagram(mold(number + 1, *(
        message(tag, source) for _ in range(count)))), A), 0x0800, *TAGS[number % 3]))
        for number in range(12)]
    assert sum(len(one.messages) for one in through(port, frames)) == 12 * count
