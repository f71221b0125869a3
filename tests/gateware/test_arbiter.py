"""The arbiter is the kernel: the same records, messages, counters and registers after every packet.

Method: what ``tests/parity/test_arbiter.py`` draws for the kernel - packets around the expected
number from three lines and three sessions, unreadable blocks, lengths and numbers that lie, time,
retractions - goes to the kernel and, as events of randomly chosen ports with random gaps, to the
compiled gateware. Then packets of several ports at once, floods and cycle counts, against a
lossless run and against numbers that are written out.
"""

import functools
import random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.feed_rig import FeedRig, mold
from tests.gateware.arbiter_rig import DRAIN, END, ArbiterRig, Reader, port_events
from tests.parity.test_arbiter import RULES, STEPS, GiveUp, Tick
from tests.reference import itch
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.registers import GapPolicy
from tickwire_hw.arbiter_machine import Counts

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
