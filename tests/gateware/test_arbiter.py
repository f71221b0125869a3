"""The arbiter is the kernel: the same records, messages, counters and registers after every packet.

Method: what ``tests/parity/test_arbiter.py`` draws for the kernel - packets around the expected
number from three lines and three sessions, unreadable blocks, lengths and numbers that lie, time,
retractions - goes to the kernel and, as events of randomly chosen ports with random gaps, to the
compiled gateware. Then packets of several ports at once, floods and cycle counts, against a
lossless run and against numbers that are written out.
"""

import functools
import random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.feed_rig import FeedRig, mold
from tests.gateware.arbiter_rig import DRAIN, END, ArbiterRig, Reader, port_events
from tests.parity.test_arbiter import RULES, STEPS, GiveUp, Tick
from tests.reference import itch
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import FeedState
from tickwire.spec.registers import GapPolicy
from tickwire_hw.arbiter_machine import Counts
from tickwire_hw.feed_port import EventKind

INSTRUMENTS = CARD_SMALL.instruments - 1
PORTS = 3
S = itch.system(b"O")
D = itch.delete(9, 1)
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
    for gaps in ((1,), (2,), (7,), (1, 1, 1, 1), (2, 1, 3)):
        rig = joined()
        came = [5 + sum(gaps[:place + 1]) for place in range(len(gaps))]
        assert cycles_of(rig, (5, spaced(0, 2, *gaps))) == [
            (cycle + 1, 2 + place, 0) for place, cycle in enumerate(came)]


@pytest.mark.parametrize("lag", range(4))
def test_whichever_line_is_first_costs_no_cycle_and_the_other_line_delays_nothing(lag):
    rig = joined()
    found = cycles_of(rig, (lag, spaced(0, 2, 1, 2, 1, 2, 2)), (1, spaced(1, 2, 2, 2, 2, 2, 2)),
                      (0, spaced(2, 2, 4, 4, 4, 4, 4)))
    arrivals = [[at + sum(gaps[:place + 1]) for place in range(5)] for at, gaps in (
        (lag, (1, 2, 1, 2, 2)), (1, (2, 2, 2, 2, 2)), (0, (4, 4, 4, 4, 4)))]
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
    found = cycles_of(rig, (0, ahead), (0, spaced(1, 2, *[1] * 9)))
    assert found == [(2 + place, 2 + place, 1) for place in range(9)]
    assert rig.counts["messages_ahead"] == 3


def test_a_header_of_another_port_in_the_same_cycle_delays_no_message():
    rig = joined()
    found = cycles_of(rig, (0, spaced(0, 2, 2, 2)), (2, spaced(1, 2, 2, 2)))
    assert found == [(3, 2, 0), (5, 3, 0)]


def test_the_second_of_two_headers_in_one_cycle_costs_its_first_message_at_most_one():
    rig = joined()
    heartbeat = port_events(mold(2), 0, 1_000, False, lambda kind: 0)
    assert cycles_of(rig, (3, heartbeat[:1]), (3, spaced(1, 2, 1, 1))) == [(6, 2, 1), (7, 3, 1)]
    rig = joined()
    assert cycles_of(rig, (3, heartbeat[:1]), (3, spaced(1, 2, 2, 1))) == [(6, 2, 1), (7, 3, 1)]
