"""What ports bring at the same time is taken in the order in which it came.

Method: traffic in which no message is ahead of those that came before it, on any port, is drawn
cycle by cycle, with everything that makes events wait in their queues. Whatever the arbiter does
out of order shows as a message ahead, a gap, or a message that is missing.
"""

import random

import numpy as np
import pytest

from tests.gateware.arbiter_rig import (
    DRAIN,
    HEADER,
    MESSAGE,
    ArbiterRig,
    PortEvent,
    message_octets,
    port_events,
)
from tests.gateware.test_arbiter import PORTS, cycles_of, d_message, joined, packet, spaced
from tickwire.spec.records import FeedState, Line
from tickwire_hw.arbiter import DEPTH
from tickwire_hw.feed_port import EventKind

SHORTEST = 10                              # cycles from a frame to the next one of its port


class _Port:
    """A port that brings packets, whose messages come as soon as they are not ahead.

    ``lead`` is by how much a header may be.
    """

    def __init__(self, chance: random.Random, line: int, lead: int) -> None:
        self.chance, self.line, self.lead = chance, line, lead
        self.left: list[PortEvent] = []
        self.next = self.packets = self.later = 0

    def begin(self, expected: int, stamp: int) -> None:
        """Begin a packet that begins about the expected number."""
        self.next = max(2, expected + min(
            self.lead, self.chance.choice((0, 0, 0, -1, -2, -4, 1, 1, 2, 3))))
        size = self.chance.choice((0, 1, 1, 2, 3, 6))
        self.left = port_events(packet(self.next, size, d_message), self.line, stamp,
                                after=lambda kind: 0)
        self.packets, self.later = self.packets + 1, stamp + SHORTEST

    def cycle(self, expected: int, stamp: int) -> list[PortEvent]:
        """Return what comes in this cycle."""
        chance, came = self.chance, []
        if not self.left and stamp < self.later:
            return []
        while chance.random() < (0.6 if self.left else 0.2):
            if not self.left:
                if came:
                    break
                self.begin(expected, stamp)
            kind = self.left[0].kind
            if kind == MESSAGE and (came or self.next > expected):
                break
            came.append(self.left.pop(0))
            if kind == MESSAGE:
                self.next += 1
        return came


def bring(rig: ArbiterRig, rows: np.ndarray, ports: list[_Port], cycles: int) -> tuple:
    """Write traffic in order into rows; return what is expected then, the highest, what came."""
    expected, highest, sent, stamps = 2, 2, set(), [0] * PORTS
    for cycle in range(cycles):
        limit = expected + 1               # see the test of three numbers in one cycle
        for number, port in enumerate(ports):
            came = port.cycle(min(expected, limit), 1_000 + cycle)
            rig.put(rows, number, came, cycle)
            for one in came:
                if one.kind == MESSAGE:
                    sent.add((port.next - 1, port.line, stamps[number]))
                    expected = max(expected, port.next)
                elif one.kind == HEADER:
                    stamps[number] = 1_000 + cycle
                    if port.line != Line.RECOVERY:
                        highest = max(highest, port.next)
    return expected, max(expected, highest), sent


@pytest.mark.parametrize("lines", [1, 2, 3])
@pytest.mark.parametrize("waits", ["never", "held", "ticks"])
def test_what_comes_in_order_is_never_ahead_whatever_waits(waits, lines):
    for seed in range(12):
        chance = random.Random(f"{waits} {lines} {seed}")
        rig = joined(lines=lines, line_timeout_ns=chance.choice((0, 5_000)))
        # A line may lead while the other one, which is configured, does not.
        leader = {1: 1, 2: 0, 3: chance.randrange(2)}[lines]
        ports = [_Port(chance, line, 3 if line in (leader, Line.RECOVERY) else 0)
                 for line in chance.sample(range(3), 3)]
        rows = rig.rows(600 + DRAIN)
        expected, highest, sent = bring(rig, rows, ports, 600)
        rows["tick_stamp"] = 1_500
        for at in range(0, 600, 30):
            if waits != "never":
                begin = at + chance.randrange(12)
                if waits == "held":
                    rows["hold"][begin:begin + chance.randrange(1, 9)] = 1
                else:
                    rows["tick"][begin] = 1
        found = [one for _, one in rig.run(rows)]
        assert not rig.lost and not rig.is_busy
        assert all(one["kind"] == EventKind.MESSAGE.value for one in found)
        assert [one["sequence"] for one in found] == list(range(2, expected))
        for one in found:
            assert message_octets(one) == d_message(one["sequence"])
            assert (one["sequence"], one["line"], one["stamp"]) in sent
        assert rig.registers == (FeedState.LIVE, expected, highest)
        packets = {name: sum(port.packets for port in ports if port.line == line)
                   for line, name in enumerate(("frames_a", "frames_b", "frames_recovery"))}
        assert {name: rig.counts.get(name, 0) for name in packets} == packets
        assert "messages_ahead" not in rig.counts and "gaps" not in rig.counts


def test_the_third_of_three_numbers_in_one_cycle_is_ahead_when_the_first_is_behind_its_header():
    """The one exception of ``docs/feed.md``: it waits for one cycle, and the first needs two."""
    rig = joined()
    found = cycles_of(rig, (2, spaced(0, 2, 1)), (0, spaced(1, 3, 3)), (0, spaced(2, 4, 3)))
    assert found == [(5, 2, 0), (6, 3, 1)]
    assert rig.counts["messages_ahead"] == 1


def in_order(came: list[tuple[int, int, int]]) -> int:
    """Return what is expected after numbers that came at (cycle, port)."""
    expected = 2
    for _, _, number in sorted(came):
        expected += number == expected
    return expected


def test_what_waits_is_taken_if_it_is_when_it_does_not_wait():
    lost = 0
    for seed in range(400):
        chance = random.Random(seed)
        rig = joined()
        rows, came, total = rig.rows(4 * DRAIN), [], 0
        for port in range(PORTS):
            first, at = chance.choice((2, 3, 4, 5)), chance.randrange(10)
            after = [chance.choice((1, 1, 2, 5)) for _ in range(chance.randrange(2, 6))]
            rig.put(rows, port, spaced(chance.randrange(3), first, *after), at)
            came += [(at + sum(after[:place + 1]), port, first + place)
                     for place in range(len(after))]
            total += len(after)
        rows["hold"][:chance.choice((0, 20, 30))] = 1
        begin = chance.randrange(20)
        rows["hold"][begin:begin + chance.randrange(12)] = 1
        taken = [one["sequence"] for _, one in rig.run(rows)
                 if one["kind"] == EventKind.MESSAGE.value]
        assert taken == list(range(2, 2 + len(taken)))
        assert rig.registers[1] == 2 + len(taken) >= in_order(came)
        dropped = rig.counts.get("messages_ahead", 0)
        assert len(taken) + rig.counts.get("messages_duplicate", 0) + dropped == total
        lost += dropped
    assert lost


@pytest.mark.parametrize("first", range(2, 6))
@pytest.mark.parametrize("at", range(6, 15))
def test_a_header_meets_the_messages_of_the_cycles_in_which_it_is_taken(at, first):
    rig, header = joined(lines=1), 10
    rows = rig.rows(DRAIN)
    rig.put(rows, 0, spaced(0, first, 2), header)
    rig.put(rows, 1, spaced(1, 2, at, 1))
    found = rig.run(rows)
    # It is taken one cycle after it came. What a gap needs begins two cycles later, and a message
    # may be accepted in the first of them.
    taken, begun = (2 + sum(cycle <= header + later for cycle in (at, at + 1)) for later in (1, 2))
    assert rig.counts.get("gaps", 0) == (first > begun)
    if first == taken:
        # The message right behind it is not late.
        assert (header + 3, first) in [(cycle, one["sequence"]) for cycle, one in found]
        assert {one["kind"] for _, one in found} == {EventKind.MESSAGE.value}


@pytest.mark.parametrize("burst", range(6, 12))
@pytest.mark.parametrize("lead", [1, 18])
@pytest.mark.parametrize("limits", [(0, 0), (5_000, 0), (0, 5_000), (5_000, 5_000)])
def test_a_line_ahead_costs_no_cycle_as_long_as_limits_allow_it(limits, lead, burst):
    rig = joined(line_timeout_ns=limits[0], patience_ns=limits[1])
    rows = rig.rows(DRAIN)
    for first, stamp, at in ((2 + lead, 1_000, 0), (3 + lead, 6_000, 6)):
        rig.put(rows, 0, port_events(packet(first, 0, d_message), 0, stamp), at)
    rig.put(rows, 1, spaced(1, 2, burst, *[1] * 8))
    found = [(cycle, one["sequence"]) for cycle, one in rig.run(rows)]
    assert found == [(burst + 1 + place, 2 + place) for place in range(9)]
    assert "gaps" not in rig.counts


@pytest.mark.parametrize("size", range(DEPTH - 3, DEPTH + 9))
def test_a_packet_that_found_a_queue_full_is_retracted_once(size):
    for held in range(DEPTH - 4, DEPTH + 12):
        rig = joined()
        rows = rig.rows(4 * DRAIN)
        rows["hold"][:held] = 1
        rig.put(rows, 1, spaced(1, 2, *[1] * size))
        rig.put(rows, 1, spaced(1, 2, *[3] * size), 2 * DRAIN)
        found = [one for _, one in rig.run(rows)]
        assert rig.lost <= 1
        assert rig.counts.get("frames_retracted", 0) == rig.lost
        assert rig.counts.get("packets_malformed", 0) == rig.lost
        states = [one["state"] for one in found if one["kind"] == EventKind.FEED.value]
        assert states == [FeedState.RETRACTED] * rig.lost
        assert [one["sequence"] for one in found if one["kind"] == EventKind.MESSAGE.value] == \
            list(range(2, 2 + size))
        assert rig.registers == (FeedState.LIVE, 2 + size, 2 + size)
