"""A damaged frame takes back what nobody else said, when another packet was listened to meanwhile.

Method: ``docs/feed.md``, "Packets of two lines at the same time", sentence by sentence: steps of
two ports, far enough from each other for each to be treated, and what the registers and counters
must be then, whichever ports they were, and whether the datagram had ended or only its header come.
"""

from dataclasses import dataclass

import pytest

from tests.feed_rig import SESSION, mold
from tests.gateware.arbiter_rig import DRAIN, ArbiterRig, port_events
from tests.gateware.test_arbiter import d_message, joined
from tests.reference.arbiter import END
from tickwire.spec.records import FeedState
from tickwire.spec.registers import GapPolicy

LIVE, RECOVERING, ENDED = FeedState.LIVE, FeedState.RECOVERING, FeedState.ENDED
APART = 50                                 # cycles, more than the longest sequence of states


@dataclass(frozen=True)
class Says:
    """A packet of a line: its number, how many messages, and when."""

    line: int
    first: int
    size: int = 0
    stamp: int = 1_000
    count: int | None = None
    session: bytes = SESSION

    def events(self, is_damaged: bool) -> list:
        octets = mold(self.first, *(d_message(self.first + place) for place in range(self.size)),
                      session=self.session, count=self.count)
        return port_events(octets, self.line, self.stamp, is_damaged, lambda kind: 3)


@dataclass(frozen=True)
class Case:
    """``before`` come, ``damaged`` begins, ``between`` come, its frame proves bad, ``after`` come.

    Numbers among them are times of ticks.
    """

    damaged: Says
    between: tuple
    registers: tuple
    before: tuple = ()
    after: tuple = ()
    counts: tuple[tuple[str, int], ...] = ()
    settings: tuple[tuple[str, int], ...] = ()
    is_skipped: bool = False               # the policy is to skip from ``damaged`` on


def run(case: Case, ports: tuple[int, int], *, has_end: bool) -> ArbiterRig:
    rig = joined(**dict(case.settings))
    own, other = ports
    steps = len(case.before) + len(case.between) + len(case.after) + 2
    rows = rig.rows(APART * steps + DRAIN)
    at = 0

    def come(says) -> None:
        nonlocal at
        if isinstance(says, int):
            rows["tick"][at], rows["tick_stamp"][at] = 1, says
        else:
            rig.put(rows, other, says.events(False), at)
        at += APART

    for says in case.before:
        come(says)
    if case.is_skipped:
        rows["policy"][at:] = GapPolicy.SKIP
    events, begun = case.damaged.events(True), 1 + case.damaged.size + has_end
    rig.put(rows, own, events[:begun], at)
    at += APART
    for says in case.between:
        come(says)
    rig.put(rows, own, events[begun:], at)
    at += APART
    for says in case.after:
        come(says)
    rig.run(rows)
    return rig


A, B = 0, 1
OTHER = b"ANOTHER   "
LIMIT, SKIP = ("line_timeout_ns", 5_000), ("policy", GapPolicy.SKIP)
CASES = {
    "what its line had shown is in force again":
        Case(Says(A, 10), (Says(B, 2),), (LIVE, 2, 2)),
    "but not if that was heard on another port":
        Case(Says(A, 10), (Says(A, 12, 1),), (LIVE, 2, 13)),
    "whether that was ahead or not":
        Case(Says(A, 10), (Says(A, 2),), (LIVE, 2, 10)),
    "a gap stays that another packet has confirmed":
        Case(Says(A, 10), (Says(B, 12, 1),), (RECOVERING, 2, 13), counts=(("gaps", 1),)),
    "one closes that nobody else has":
        Case(Says(A, 10), (Says(B, 2),), (LIVE, 2, 2), counts=(("gaps", 1),),
             settings=(("lines", 1),)),
    "the session's end is forgotten":
        Case(Says(A, 2, count=END), (Says(B, 2),), (LIVE, 2, 2)),
    "but not if another packet has repeated it":
        Case(Says(A, 2, count=END), (Says(B, 2, count=END),), (ENDED, 2, 2)),
    "an earlier end is in force again":
        Case(Says(A, 5, count=END), (Says(B, 2),), (ENDED, 3, 3),
             before=(Says(B, 3, count=END),), after=(Says(B, 2, 1),)),
    "a skip is taken back":
        Case(Says(A, 10), (Says(B, 2),), (LIVE, 2, 2), settings=(SKIP, ("lines", 1)),
             counts=(("messages_lost", 8),)),
    "and the gap before it is open again":
        Case(Says(A, 10), (Says(B, 2),), (RECOVERING, 2, 6), before=(Says(A, 5), Says(B, 6)),
             is_skipped=True, counts=(("gaps", 1),)),
    "a hole keeps its age":
        Case(Says(A, 10), (Says(B, 2, stamp=1_500),), (RECOVERING, 2, 11),
             after=(Says(A, 11, stamp=6_001),), settings=(("patience_ns", 5_000),)),
    "a line was not heard that only damage made speak":
        Case(Says(A, 2, stamp=5_000), (Says(B, 2, stamp=5_000),), (RECOVERING, 2, 4),
             after=(Says(B, 4, stamp=6_001),), settings=(LIMIT,)),
    "unless it was heard on another port":
        Case(Says(A, 2, stamp=5_000), (Says(A, 2, stamp=5_000),), (LIVE, 2, 4),
             after=(Says(B, 4, stamp=6_001),), settings=(LIMIT,)),
    "a silence that was counted is not counted again":
        Case(Says(A, 2, stamp=8_000), (Says(B, 2, stamp=8_000),), (LIVE, 2, 2),
             before=(7_000,), after=(8_100, 8_200), settings=(LIMIT,),
             counts=(("line_silences_a", 1), ("line_silences_b", 1))),
    "but one after a line was heard on another port is":
        Case(Says(A, 2, stamp=8_000), (Says(A, 2, stamp=8_000),), (LIVE, 2, 2),
             before=(7_000,), after=(13_000, 13_001), settings=(LIMIT,),
             counts=(("line_silences_a", 2), ("line_silences_b", 1))),
    "a session stays that another packet has used":
        Case(Says(A, 1, session=OTHER), (Says(B, 1, 1, session=OTHER),), (LIVE, 3, 3),
             after=(Says(B, 2, 1, session=OTHER), Says(A, 2, 1)),
             counts=(("packets_session", 1), ("sessions", 1))),
    "a session goes that nobody else has used":
        Case(Says(A, 1, session=OTHER), (Says(B, 2, 1),), (LIVE, 3, 3),
             after=(Says(B, 2, 1),)),
    "messages that were used stay used":
        Case(Says(A, 2, 2), (Says(B, 2),), (LIVE, 5, 5), after=(Says(B, 4, 1),)),
}


@pytest.mark.parametrize("ports", [(0, 1), (1, 0), (2, 0)])
@pytest.mark.parametrize("has_end", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_what_a_damaged_frame_takes_back(name, has_end, ports):
    case = CASES[name]
    rig = run(case, ports, has_end=has_end)
    assert rig.registers == case.registers
    assert not rig.lost and not rig.is_busy
    for counter, value in case.counts:
        assert rig.counts.get(counter, 0) == value
