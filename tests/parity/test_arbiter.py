"""The arbiter's kernels say what the rules say, after every packet, tick and retraction.

Method: hypothesis draws packets around the number that is expected next, from three lines and
three sessions, with blocks that cannot be read, lengths and counts that lie, numbers that cannot
be, and time that passes; :class:`tests.reference.arbiter.ReferenceArbiter` says what must happen.
Every record, counter, register and flag is compared after each step.
"""

import struct
from dataclasses import dataclass

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.feed_rig import FeedRig, mold
from tests.reference import itch
from tests.reference.arbiter import END, GREATEST, RECOVERY, ReferenceArbiter, Rules
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.registers import GapPolicy

SESSIONS = (b"000010059B", b"SESSION  2", bytes(10))
MESSAGES = (
    itch.system(b"O"), itch.system(b"Q"), itch.system(b"C"),
    itch.action(1, b"H"), itch.action(2, b"T"), itch.action(3, b"P"),
)
UNREADABLE = (
    b"", b"S", b"D\0", b"\0\0\1",                       # empty; too short for a locate; type NUL
    b"Z" + bytes([0, 1]) + bytes(17),                  # unknown type for a watched book
    b"z" + bytes([0, 9]) + bytes(17),                  # and for one that is not
    itch.delete(2, 77)[:-1], itch.delete(3, 77) + b"\0", itch.system(b"O") + b"\0",
    b"A" + bytes([0, 2]), bytes([0x53]) + bytes(300),
)
NUMBERS = (0, GREATEST, GREATEST + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 62)
SILENCE = 1_000


@dataclass(frozen=True)
class Packet:
    """One datagram; ``offset`` from the number expected then, unless ``number`` is given."""

    line: int
    session: bytes
    offset: int
    number: int | None
    messages: tuple[bytes, ...]
    count: int | None
    cut: int
    excess: bytes
    damaged: bool
    later: int


@dataclass(frozen=True)
class Tick:
    later: int


@dataclass(frozen=True)
class GiveUp:
    offset: int
    later: int = 0


LATER = st.sampled_from((0, 1, SILENCE // 2, SILENCE, SILENCE + 1))


@st.composite
def packets(draw):
    message = st.one_of(st.sampled_from(MESSAGES), st.sampled_from(MESSAGES),
                        st.sampled_from(UNREADABLE))
    is_hostile = draw(st.integers(0, 9)) == 0
    return Packet(
        line=draw(st.sampled_from((0, 0, 1, 1, RECOVERY))),
        session=draw(st.sampled_from((SESSIONS[0],) * 12 + SESSIONS)),
        offset=draw(st.integers(-3, 4)),
        number=draw(st.sampled_from(NUMBERS)) if is_hostile else None,
        messages=tuple(draw(st.lists(message, max_size=4))),
        count=draw(st.sampled_from((None,) * 8 + (0, 1, 2, 5, END, END - 1))),
        cut=draw(st.sampled_from((0,) * 8 + (1, 2, 3, 15, 60, 400))),
        excess=draw(st.sampled_from((b"",) * 8 + (b"\0", b"\0\0", bytes(30)))),
        damaged=draw(st.integers(0, 7)) == 0,
        later=draw(LATER))


STEPS = st.lists(st.one_of(packets(), packets(), packets(), st.builds(Tick, LATER),
                           st.builds(GiveUp, st.integers(-1, 3))), max_size=25)
RULES = st.builds(
    Rules, lines=st.sampled_from(((0, 1), (0, 1), (0,), (1,))), skip=st.booleans(),
    accept=st.booleans(), line_timeout=st.sampled_from((0, SILENCE)),
    patience=st.sampled_from((0, SILENCE)), stale=st.sampled_from((0, SILENCE)),
    start=st.sampled_from((1, 1, 0, 100)))


class Pair:
    """Kernel and reference, in step."""

    def __init__(self, rules: Rules) -> None:
        self.rig = FeedRig(
            start=rules.start, accept_session=rules.accept,
            policy=GapPolicy.SKIP if rules.skip else GapPolicy.WAIT,
            line_timeout_ns=rules.line_timeout, patience_ns=rules.patience,
            stale_ns=rules.stale, cut_through=True)
        self.rig.memory.context["lines"] = sum(1 << line for line in rules.lines)
        self.reference = ReferenceArbiter(rules, CARD_SMALL.instruments - 1)
        self.now = 10_000
        self.told = 0

    def step(self, step) -> None:
        self.now += step.later
        if isinstance(step, Tick):
            self.reference.tick(self.now)
            assert self.rig.tick(self.now) == self.reference.state
        elif isinstance(step, GiveUp):
            number = self.reference.know.expected + step.offset
            self.reference.give_up(RECOVERY, number)
            self.rig.give_up(number, now=self.now)
        else:
            self._packet(step)
        self._compare()

    def _packet(self, step: Packet) -> None:
        first = step.number
        if first is None:
            first = max(0, self.reference.know.expected + step.offset)
        octets = mold(first, *step.messages, session=step.session, count=step.count)
        octets = octets[:len(octets) - step.cut] if step.cut else octets + step.excess
        expected = self.reference.packet(step.line, octets, self.now)
        assert self.rig.send(octets, step.line, self.now) == expected
        if step.damaged:
            self._compare()
            self.reference.retract(step.line, self.now)
            self.rig.retract(step.line, self.now)

    def _compare(self) -> None:
        reference, rig = self.reference, self.rig
        events, self.told = reference.events[self.told:], len(reference.events)
        assert rig.events() == events
        counts = {name: value for name, value in rig.counters().items() if name != "records"}
        assert counts == {name: value for name, value in reference.counts.items() if value}
        know = reference.know
        assert (rig.memory.expected, rig.memory.highest) == (know.expected, know.highest)
        assert rig.memory.state == reference.state
        assert int(rig.book.context["feed_flags"]) == reference.flags
        for instrument in reference.instruments:
            assert rig.flags(instrument) == reference.seen.get(instrument, 0)
        if self.told:
            assert rig.register(0x28) == reference.state
            assert struct.unpack_from("<QQ", rig.registers.tobytes(), 0x30) \
                in ((know.expected, know.highest), (0, 0))


@settings(max_examples=1_000)
@given(RULES, STEPS)
def test_every_step_has_the_effects_that_the_rules_say(rules, steps):
    pair = Pair(rules)
    for step in steps:
        pair.step(step)
    for name in ("gaps", "messages_lost", "messages_recovered", "stales", "line_silences_a",
                 "packets_session", "sessions", "frames_retracted"):
        if pair.reference.counts[name] > (name == "sessions"):
            event(name)
    for kind in {one[:2] for one in pair.reference.events if one[0] == "feed"}:
        event(f"told state {kind[1]}")
