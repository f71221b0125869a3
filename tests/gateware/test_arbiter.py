"""The arbiter is the kernel: the same records, messages, counters and registers after every packet.

Method: what ``tests/parity/test_arbiter.py`` draws for the kernel - packets around the expected
number from three lines and three sessions, unreadable blocks, lengths and numbers that lie, time,
retractions - goes to the kernel and, as events of randomly chosen ports with random gaps, to the
compiled gateware. Then packets of several ports at once, floods and cycle counts, against a
lossless run and against numbers that are written out.
"""

import functools
import random

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.feed_rig import SESSION, FeedRig, mold
from tests.gateware.arbiter_rig import (
    DRAIN,
    END,
    MESSAGE,
    ArbiterRig,
    Reader,
    decode,
    message_octets,
    port_events,
    wire_events,
)
from tests.parity.test_arbiter import RULES, STEPS, GiveUp, Tick
from tests.parity.test_arbiter_lines import line_packets
from tests.reference import itch
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import FeedState
from tickwire.spec.registers import GapPolicy
from tickwire_hw.arbiter import DEPTH
from tickwire_hw.arbiter_machine import Counts
from tickwire_hw.feed_port import EventKind
from tickwire_sim import bits

INSTRUMENTS = CARD_SMALL.instruments - 1
PORTS = 3
S = itch.system(b"O")
D = itch.delete(9, 1)
LONGEST = 21                               # cycles of the longest sequence of states
COUNTED = {name for name, _ in Counts}


@functools.cache
def compiled() -> ArbiterRig:
    return ArbiterRig()


def settings_of(rules) -> dict[str, int]:
    return {"policy": GapPolicy.SKIP if rules.skip else GapPolicy.WAIT,
            "line_timeout_ns": rules.line_timeout, "patience_ns": rules.patience,
            "stale_ns": rules.stale}


class Pair:
    """Kernel and gateware, in step."""

    def __init__(self, rules, chance: random.Random) -> None:
        self.kernel = FeedRig(start=rules.start, accept_session=rules.accept, cut_through=True,
                              **settings_of(rules))
        lines = sum(1 << line for line in rules.lines)
        self.kernel.memory.context["lines"] = lines
        self.card, self.reader = compiled(), Reader(INSTRUMENTS)
        self.card.begin(start=rules.start, lines=lines, accept_session=rules.accept,
                        **settings_of(rules))
        self.chance, self.now = chance, 10_000

    def step(self, step) -> None:
        self.now += step.later
        rows = self.card.rows(DRAIN)
        if isinstance(step, Tick):
            rows["tick"][0], rows["tick_stamp"] = 1, self.now
            self.kernel.tick(self.now)
        elif isinstance(step, GiveUp):
            number = self.kernel.memory.expected + step.offset
            rows["give_up"][0], rows["give_up_stamp"] = 1, self.now
            rows["give_up_number"] = number % (1 << 64)
            self.kernel.give_up(number, now=self.now)
        else:
            rows = self._packet(step)
        self._compare(self.card.run(rows))

    def _packet(self, step):
        first = step.number
        if first is None:
            first = max(0, self.kernel.memory.expected + step.offset)
        octets = mold(first, *step.messages, session=step.session, count=step.count)
        octets = octets[:len(octets) - step.cut] if step.cut else octets + step.excess
        self.kernel.send(octets, step.line, self.now)
        if step.damaged:
            self.kernel.retract(step.line, self.now)
        gaps = self.chance.choice(((0, 1, 1), (0, 1, 1, 2, 5), (0, 1, 40)))

        def after(kind):
            return self.chance.choice(gaps[1:] if kind < END else gaps)
        events = port_events(octets, step.line, self.now, step.damaged, after)
        rows = self.card.rows(DRAIN + 42 * len(events))
        self.card.put(rows, self.chance.randrange(PORTS), events)
        return rows

    def _compare(self, found) -> None:
        assert not self.card.is_busy and not self.card.lost
        told = []
        for _, one in found:
            assert one["stamp"] == self.now
            told += self.reader.read(one)
        assert told == self.kernel.events()
        counts = {name: value for name, value in self.kernel.counters().items()
                  if name in COUNTED}
        assert self.card.counts == counts
        memory = self.kernel.memory
        assert self.card.registers == (memory.state, memory.expected, memory.highest)
        assert self.reader.flags == int(self.kernel.book.context["feed_flags"])
        for instrument in range(1, INSTRUMENTS + 1):
            assert self.kernel.flags(instrument) == self.reader.seen.get(instrument, 0)


@settings(max_examples=150)
@given(RULES, STEPS, st.randoms(use_true_random=False))
def test_packet_by_packet_the_arbiter_is_the_kernel(rules, steps, chance):
    pair = Pair(rules, chance)
    for step in steps:
        pair.step(step)
    for name in ("gaps", "messages_lost", "stales", "packets_session", "frames_retracted"):
        if pair.card.counts.get(name):
            event(name)


# Cycles


def packet(first: int, count: int, make) -> bytes:
    return mold(first, *(make(number) for number in range(first, first + count)))


def s_message(number: int) -> bytes:
    return b"S" + number.to_bytes(11, "big")


def d_message(number: int) -> bytes:
    return b"D" + bytes(10) + number.to_bytes(8, "big")


def joined(**ports) -> ArbiterRig:
    """An arbiter that is LIVE and expects message 2; lines A and B have been heard."""
    rig = compiled()
    rig.begin(accept_session=1, **ports)
    for line in (0, 1):
        rows = rig.rows(DRAIN)
        rig.put(rows, line, port_events(mold(1, S), line, 1_000))
        rig.run(rows)
    assert rig.registers == (FeedState.LIVE, 2, 2)
    rig.counts.clear()
    return rig


def cycles_of(rig: ArbiterRig, *lines: tuple[int, list], count: int = DRAIN) -> list[tuple]:
    """Return (cycle, number, line) of the messages; a line's events begin at cycle ``at``."""
    rows = rig.rows(count)
    for port, (at, events) in enumerate(lines):
        rig.put(rows, port, events, at)
    found = rig.run(rows)
    assert all(one["kind"] == EventKind.MESSAGE.value for _, one in found)
    return [(cycle, one["sequence"], one["line"]) for cycle, one in found]


def spaced(line: int, first: int, *after: int, lead: int = 0) -> list:
    """Events of a packet: header, one message after each number of cycles, end, verdict."""
    steps = iter((lead, *after, 1, 1))
    return port_events(packet(first, len(after), s_message), line, 1_000, False,
                       lambda kind: next(steps))


def test_a_message_leaves_one_cycle_after_it_came():
    for gaps in ((2,), (3,), (7,), (2, 1, 1, 1), (3, 1, 3)):
        rig = joined()
        came = [5 + sum(gaps[:place + 1]) for place in range(len(gaps))]
        assert cycles_of(rig, (5, spaced(0, 2, *gaps))) == [
            (cycle + 1, 2 + place, 0) for place, cycle in enumerate(came)]


def test_a_message_right_behind_its_header_leaves_one_cycle_later_until_there_is_room():
    rig = joined()
    assert cycles_of(rig, (5, spaced(0, 2, 1, 1, 2, 1))) == [
        (8, 2, 0), (9, 3, 0), (10, 4, 0), (11, 5, 0)]


@pytest.mark.parametrize("lag", range(4))
def test_whichever_line_is_first_costs_no_cycle_and_the_other_line_delays_nothing(lag):
    rig = joined()
    found = cycles_of(rig, (lag, spaced(0, 2, 2, 2, 1, 2, 2)), (1, spaced(1, 2, 2, 2, 2, 2, 2)),
                      (0, spaced(2, 2, 4, 4, 4, 4, 4)))
    arrivals = [[at + sum(gaps[:place + 1]) for place in range(5)] for at, gaps in (
        (lag, (2, 2, 1, 2, 2)), (1, (2, 2, 2, 2, 2)), (0, (4, 4, 4, 4, 4)))]
    assert [number for _, number, _ in found] == [2, 3, 4, 5, 6]
    for place, (cycle, _, _) in enumerate(found):
        assert cycle == 1 + min(times[place] for times in arrivals)
    assert rig.counts["messages_duplicate"] == 10 and "messages_ahead" not in rig.counts


def test_a_number_and_the_next_one_in_one_cycle_leave_one_after_the_other():
    rig = joined()
    found = cycles_of(rig, (0, spaced(0, 2, 5)), (0, spaced(1, 3 - 1, 4, 1)))
    assert found == [(5, 2, 1), (6, 3, 1)]
    rig = joined()
    found = cycles_of(rig, (0, spaced(0, 2, 5, 4)), (4, spaced(1, 2, 5, 1)))
    assert found == [(6, 2, 0), (10, 3, 0)]
    rig = joined()
    assert cycles_of(rig, (2, spaced(0, 2, 2)), (0, spaced(1, 3, 4))) == [(5, 2, 0), (6, 3, 1)]


def test_a_line_that_runs_ahead_delays_no_message_of_the_other():
    rig = joined()
    ahead = [event for first in (20, 21, 22) for event in spaced(0, first, 2, lead=1)]
    found = cycles_of(rig, (0, ahead), (0, spaced(1, 2, 2, *[1] * 8)))
    assert found == [(3 + place, 2 + place, 1) for place in range(9)]
    assert rig.counts["messages_ahead"] == 3


def test_a_header_of_another_port_in_the_same_cycle_delays_no_message():
    rig = joined()
    found = cycles_of(rig, (0, spaced(0, 2, 2, 2)), (2, spaced(1, 2, 2, 2)))
    assert found == [(3, 2, 0), (5, 3, 0)]


def test_the_second_of_two_headers_in_one_cycle_costs_its_first_message_at_most_one():
    rig = joined()
    heartbeat = port_events(mold(2), 0, 1_000, False, lambda kind: 0)
    assert cycles_of(rig, (3, heartbeat[:1]), (3, spaced(1, 2, 2, 1))) == [(7, 2, 1), (8, 3, 1)]
    rig = joined()
    assert cycles_of(rig, (3, heartbeat[:1]), (3, spaced(1, 2, 3, 1))) == [(7, 2, 1), (8, 3, 1)]


# Floods


def flood(make, packets: int, size: int, first: int = 2) -> list[bytes]:
    return [packet(first + size * place, size, make) for place in range(packets)]


@pytest.mark.parametrize("between", [24, 0])
@pytest.mark.parametrize(("make", "size"), [(s_message, 96), (d_message, 60), (s_message, 1),
                                            (d_message, 1), (s_message, 2), (s_message, 7)])
def test_two_lines_at_full_rate_lose_and_delay_nothing(make, size, between):
    chance = random.Random(size + between)
    total = 192
    for tags, lag in ((0, 0), (1, 0), (2, 1), (0, chance.randrange(2, 40)), (1, 3)):
        rig = joined()
        datagrams = flood(make, total // size, size)
        events = [wire_events(datagrams, line, tags=tags if line else 0, between=between)
                  for line in (0, 1)]
        found = cycles_of(rig, (lag, events[0]), (0, events[1]), count=40 * total + 200)
        numbers = [number for _, number, _ in found]
        assert numbers == list(range(2, 2 + len(datagrams) * size))
        first = arrivals((lag, events[0]), (0, events[1]))
        late = [cycle - first[place] for place, (cycle, _, _) in enumerate(found)]
        # Behind one VLAN tag a system event ends right behind the header of its packet.
        is_close = make is s_message and tags == 1
        assert max(late) <= 2 + is_close and (min(late) == 1 or is_close)
        assert not rig.lost and not rig.is_busy
        assert rig.counts["messages_duplicate"] == len(numbers)


def arrivals(*lines) -> list[int]:
    """Cycle in which each message came first, of lines that bring them all in order."""
    times = []
    for at, events in lines:
        now, own = at, []
        for one in events:
            now += one.after
            if one.kind == MESSAGE:
                own.append(now)
        times.append(own)
    return [min(cycles) for cycles in zip(*times, strict=True)]


@pytest.mark.parametrize("between", [24, 0])
@pytest.mark.parametrize("size", [0, 1, 4])
def test_lines_at_full_rate_lose_nothing_while_a_gap_is_repaired(size, between):
    rig = joined()
    missing = 40
    lines = [wire_events([mold(2 + missing + size * place, *[d_message(0)] * size)
                          for place in range(100)], line, between=between) for line in (0, 1)]
    answers = wire_events(flood(d_message, missing, 1), 2, between=between)
    rows = rig.rows(3_000)
    rig.put(rows, 0, lines[0])
    rig.put(rows, 1, lines[1], 3)
    rig.put(rows, 2, answers, 120)
    found = rig.run(rows, is_heeded=True)
    assert not rig.lost and not rig.is_busy
    told = [(FeedState(one["state"]), one["sequence"], one["received"]) for _, one in found
            if one["kind"] == EventKind.FEED.value]
    assert [state for state, *_ in told][:1] == [FeedState.RECOVERING] and told[0][1] == 2
    taken = [one["sequence"] for _, one in found if one["kind"] == EventKind.MESSAGE.value]
    assert taken == list(range(2, 2 + len(taken))) and len(taken) >= missing
    assert rig.counts["messages_recovered"] == missing
    assert rig.registers[1:] == (2 + len(taken), 2 + missing + 100 * size)


@pytest.mark.parametrize("between", [24, 0])
def test_heartbeats_of_an_ended_session_at_full_rate_lose_nothing(between):
    rig = joined()
    rows = rig.rows(2_000)
    for line in (0, 1):
        rig.put(rows, line, wire_events([mold(2, count=0xFFFF)] * 100, line, between=between), line)
    assert [one["state"] for _, one in rig.run(rows)] == [FeedState.ENDED]
    assert not rig.lost and not rig.is_busy
    assert rig.counts["heartbeats"] == 200


@pytest.mark.parametrize("between", [24, 0])
def test_one_line_ahead_of_the_other_at_full_rate_loses_nothing(between):
    rig = joined()
    rows = rig.rows(4_000)
    datagrams = flood(d_message, 150, 1)
    rig.put(rows, 0, wire_events(datagrams[1:], 0, between=between))
    rig.put(rows, 1, wire_events(datagrams, 1, between=between), 61)
    found = rig.run(rows)
    assert [one["sequence"] for _, one in found] == list(range(2, 152))
    assert not rig.lost and "gaps" not in rig.counts


# Packets of several ports at once


def deliver(rig: ArbiterRig, ports: list[list[tuple[int, bytes, int, bool]]]) -> list[dict]:
    """Run packets (cycle at the earliest, octets, line, whether damaged) of each port; events."""
    placed, last = [], 0
    for port, packets in enumerate(ports):
        at = 0
        for cycle, octets, line, is_damaged in packets:
            at = max(at, cycle)
            events = wire_events([octets], line, stamp=5_000,
                                 damaged=frozenset({0} if is_damaged else ()))
            placed.append((port, events, at))
            at += sum(one.after for one in events) + 3
        last = max(last, at)
    rows = rig.rows(last + DRAIN)
    for port, events, at in placed:
        rig.put(rows, port, events, at)
    found = [one for _, one in rig.run(rows, is_heeded=True)]
    assert not rig.lost and not rig.is_busy
    return found


def taken(found: list[dict], session: bytes = SESSION) -> list[tuple[int, bytes]]:
    return [(one["sequence"], message_octets(one)) for one in found
            if one["kind"] == EventKind.MESSAGE.value
            and one["session"] == int.from_bytes(session, "little")]


def serve(rig: ArbiterRig, size: int) -> list[dict]:
    """Both lines say where they are, and the host brings what is missing."""
    found = deliver(rig, [[(0, mold(size + 1), line, False)] for line in (0, 1)])
    while rig.registers[1] <= size:
        state, expected, highest = rig.registers
        assert (state, highest) == (FeedState.RECOVERING, size + 1)
        end = min(expected + 3, highest)
        found += deliver(rig, [[], [], [(0, packet(expected, end - expected, d_message), 2,
                                         False)]])
    return found


@st.composite
def two_lines(draw):
    """Number of messages, and packets of two lines that lose, repeat, swap, delay and damage."""
    size = draw(st.integers(1, 40))
    scale = draw(st.sampled_from((1, 2, 3)))
    ports = [[(scale * time, packet(first, end - first, d_message), line,
               draw(st.integers(0, 11)) == 0)
              for time, first, end in draw(line_packets(size))] for line in (0, 1)]
    return size, ports


@settings(max_examples=60)
@given(two_lines())
def test_two_bad_lines_at_once_and_a_server_bring_every_message_once_in_order(case):
    size, ports = case
    rig = compiled()
    rig.begin()
    found = deliver(rig, ports)
    found += serve(rig, size)
    assert taken(found) == [(number, d_message(number)) for number in range(1, size + 1)]
    assert rig.registers == (FeedState.LIVE, size + 1, size + 1)
    for name in ("gaps", "frames_retracted"):
        if rig.counts.get(name):
            event(name)


@settings(max_examples=30)
@given(two_lines(), st.integers(0, 1), st.integers(0, 60))
def test_beside_a_line_that_brings_everything_a_bad_one_never_makes_a_gap(case, good, lag):
    size, ports = case
    ports[good] = [(lag + 13 * (number - 1), packet(number, 1, d_message), good, False)
                   for number in range(1, size + 1)]
    rig = compiled()
    rig.begin()
    assert taken(deliver(rig, ports)) == [
        (number, d_message(number)) for number in range(1, size + 1)]
    assert "gaps" not in rig.counts


HOSTILE = st.one_of(st.integers(0, 45), st.sampled_from(
    (100, (1 << 63) - (1 << 16), (1 << 63) - 1, 1 << 63, (1 << 64) - 1)))


@st.composite
def damaged_packets(draw, sessions=(SESSION,)):
    """Packets whose frames are all damaged: numbers, ends and lengths that lie."""
    found = []
    for place in range(draw(st.integers(1, 20))):
        number = draw(HOSTILE)
        count = draw(st.integers(0, 4))
        octets = mold(number, *[d_message(0)] * count, session=draw(st.sampled_from(sessions)),
                      count=draw(st.sampled_from((None, None, 0, 0xFFFF))))
        cut = draw(st.sampled_from((0, 0, 0, 1, 15, 30)))
        found.append((20 * place + draw(st.integers(0, 30)),
                      octets[:len(octets) - cut] if cut else octets, 0, True))
    return found


def good_line(size: int) -> list[tuple[int, bytes, int, bool]]:
    return [(13 * (number - 1), packet(number, 1, d_message), 1, False)
            for number in range(1, size + 1)]


@settings(max_examples=60)
@given(damaged_packets(), st.booleans())
def test_what_damaged_frames_say_is_forgotten_while_the_other_line_goes_on(damaged, has_host):
    rig = compiled()
    rig.begin(session=SESSION)
    size = 40
    found = deliver(rig, [damaged, good_line(size), [(cycle, octets, 2, True) for
                                                     cycle, octets, *_ in damaged * has_host]])
    assert [number for number, _ in taken(found)] == list(range(1, 1 + rig.registers[1] - 1))
    assert rig.registers[1] > size and rig.registers[1] == rig.registers[2]
    assert rig.registers[0] == FeedState.LIVE
    assert "gaps" not in rig.counts
    assert rig.counts["frames_retracted"] == len(damaged) * (1 + has_host)


@settings(max_examples=60)
@given(damaged_packets((SESSION, b"FORGED    ")))
def test_a_session_that_only_damaged_frames_name_is_forgotten(damaged):
    rig = compiled()
    rig.begin(accept_session=1)
    size = 40
    deliver(rig, [[], [(0, packet(1, 1, d_message), 1, False)]])
    found = deliver(rig, [damaged, good_line(size)[1:]])
    later = max(size, rig.registers[1] - 1) + 1
    found += deliver(rig, [[], [(0, mold(later), 1, False)]])
    found += serve(rig, later - 1)
    numbers = [number for number, _ in taken(found)]
    assert numbers == list(range(2, later))
    assert rig.registers == (FeedState.LIVE, later, later)
    if rig.counts.get("sessions"):
        event("another session took over for a while")


def test_the_longest_sequence_is_a_new_session_that_skips():
    rig = joined(policy=GapPolicy.SKIP)
    rig.settings["lines"] = 1
    rows = rig.rows(DRAIN)
    rig.put(rows, 0, port_events(mold(5, session=b"ANOTHER   "), 0, 5_000)[:1])
    found = rig.model.run(rows)
    assert list(found["cycle"][np.flatnonzero(found["is_busy"])] - found["cycle"][0]) == \
        list(range(1, 1 + LONGEST))
    places = np.flatnonzero(found["o__valid"])
    events = [decode(bits.integer(found["o__payload"][place])) for place in places]
    assert [(one["kind"], one["state"]) for one in events] == [
        (EventKind.FEED.value, FeedState.NEW_SESSION), (EventKind.DESYNC_ALL.value, 0),
        (EventKind.FEED.value, FeedState.RECOVERING), (EventKind.FLAGS.value, 0),
        (EventKind.DESYNC_ALL.value, 0), (EventKind.FEED.value, FeedState.LIVE)]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_held_comes_later_in_the_same_order(seed):
    chance = random.Random(seed)
    datagrams = flood(d_message, 40, 2)
    results = []
    for chance_of_hold in (0, 0.5):
        rig = joined(stale_ns=9_000)
        rows = rig.rows(4_000)
        for line in (0, 1):
            rig.put(rows, line, wire_events(datagrams[line:], line, between=400), 2 * line)
        rows["tick"][2_900], rows["tick_stamp"][2_900] = 1, 99_000
        for at in range(0, 3_800, 20):
            rows["hold"][at:at + 15] = chance.random() < chance_of_hold
        held = rows["hold"].nonzero()[0] + 2    # heeded a cycle later; events are registered
        found = rig.run(rows)
        assert not {cycle for cycle, one in found
                    if one["kind"] == EventKind.MESSAGE.value} & set(held)
        assert not rig.lost and not rig.is_busy
        results.append(([one for _, one in found], rig.counts | {}))
    (plain, plain_counts), (late, late_counts) = results
    assert len(plain) > 80 and late == plain and late_counts == plain_counts


def test_a_port_is_held_before_its_queue_is_full():
    rig = joined()
    rows = rig.rows(100)
    rows["hold"][:50] = 1
    rig.put(rows, 1, spaced(1, 2, *[1] * (DEPTH - 5)))
    found = rig.model.run(rows)
    assert not found["is_lost"].any()
    assert list(np.flatnonzero(found["holds"])) == list(range(DEPTH - 3, 50 + 4))
    assert set(found["holds"]) == {0, 2}
    assert np.count_nonzero(found["o__valid"]) == DEPTH - 5


# Overflow and hostile events


def assert_consecutive(found: list[dict]) -> int:
    """Numbers rise by one from message to message unless a jump was told; return how many."""
    expected, number = None, 0
    for one in found:
        if one["kind"] == EventKind.MESSAGE.value:
            assert expected in (None, one["sequence"])
            expected = one["sequence"] + 1
            number += 1
        elif one["kind"] == EventKind.DESYNC_ALL.value:
            expected = None
    return number


def test_what_finds_a_queue_full_is_retracted_and_the_line_goes_on():
    rig = joined()
    chance = random.Random(5)
    rows = rig.rows(15_000)
    for port in range(PORTS):
        datagrams = [
            mold(first, *(map(d_message, range(first, first + 3)) if port < 2 else [b""] * 100),
                 session=chance.choice((b"ONE       ", b"TWO       ")))
            for first in (chance.choice((1, 1, 2, 4)) for _ in range(100))]
        rig.put(rows, port, wire_events(datagrams, port % 2, between=0, stamp=5_000))
    found = [one for _, one in rig.run(rows)]
    assert rig.lost > 10 and not rig.is_busy
    assert rig.counts["frames_retracted"] > 0
    assert assert_consecutive(found) > 100
    for one in found:
        octets = message_octets(one)
        if one["kind"] == EventKind.MESSAGE.value and octets:
            assert octets == d_message(one["sequence"])
    rows = rig.rows(2 * DRAIN)
    rig.put(rows, 1, port_events(packet(1, 3, d_message), 1, 6_000))
    rig.put(rows, 0, port_events(mold(4), 0, 6_000), DRAIN)
    assert len(taken([one for _, one in rig.run(rows)])) == 3
    assert rig.registers == (FeedState.LIVE, 4, 4)


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_events_in_no_order_at_any_rate_end_and_leave_the_arbiter_usable(rate):
    source = np.random.default_rng(int(100 * rate))
    rig = joined(line_timeout_ns=700, patience_ns=500, stale_ns=2_000)
    count = 30_000
    rows = rig.rows(count)
    rows["policy"] = source.random(count) < 0.5
    stamps = 5_000 + np.arange(count) // 4
    for port in range(PORTS):
        for kind in ("header", "message", "end", "verdict"):
            rows[f"i__{port}__{kind}__valid"] = source.random(count) < rate / 2
        rows[f"i__{port}__message__valid"] &= ~rows[f"i__{port}__header__valid"] & 1
        rig.model.put(rows, f"i__{port}__header__payload",
                      first=source.integers(0, 40, count), stamp=stamps,
                      count=source.choice((0, 3, 0xFFFF), count),
                      line=source.integers(3, size=count),
                      session=source.integers(2, size=(count, 1), dtype=np.uint8))
        rig.model.put(rows, f"i__{port}__message__payload", length=12)
        rig.model.put(rows, f"i__{port}__end__payload", passed=source.integers(4, size=count),
                      is_malformed=source.integers(2, size=count),
                      is_short=source.random(count) < 0.1)
        rows[f"i__{port}__verdict__payload"] = source.random(count) < 0.2
    for name in ("tick", "give_up", "restart"):
        rows[name] = source.random(count) < (0.0005 if name == "restart" else 0.01)
    rows["tick_stamp"] = rows["give_up_stamp"] = stamps
    rows["give_up_number"] = source.integers(0, 60, count)
    rows["start"] = 1
    found = [one for _, one in rig.run(rows)]
    rig.run(rig.rows(10_000))
    assert not rig.is_busy and len(found) > 100
    rig.counts.clear()
    rows = rig.rows(4 + 2 * DRAIN)
    rows["restart"][0] = rows["start"][:4] = 1
    for line in (0, 1):
        rig.put(rows, line, port_events(packet(1, 3, d_message), line, 60_000), 4 + DRAIN * line)
    assert len(taken([one for _, one in rig.run(rows)])) == 3
    assert rig.registers == (FeedState.LIVE, 4, 4)
