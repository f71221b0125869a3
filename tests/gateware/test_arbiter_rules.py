"""The arbiter is the kernel where time decides, and where numbers are long.

Method: episodes in which both lines run a few numbers ahead of what is expected, as often as not,
and time goes on by what is about a limit: many more of them than ``test_arbiter`` draws of
everything at once. Each episode begins at a number whose low bits are about to overflow.
"""

import random

import pytest

from tests.gateware.test_arbiter import Pair
from tests.parity.test_arbiter import MESSAGES, SESSIONS, SILENCE, UNREADABLE, GiveUp, Packet, Tick
from tests.reference.arbiter import END, RECOVERY, Rules

STARTS = (0, 1, 252, 65_533, (1 << 24) - 3, (1 << 32) - 2, (1 << 48) - 2, (1 << 56) - 2)
LATER = (0, 0, 1, 1, SILENCE // 2, SILENCE - 1, SILENCE, SILENCE + 1)
LIMITS = ((0, SILENCE, 0), (SILENCE, 0, 0), (SILENCE, SILENCE, 0), (SILENCE // 2, SILENCE, 0),
          (0, 0, SILENCE), (SILENCE, 2 * SILENCE, 3 * SILENCE), (0, 0, 0))
"""Silence of a line, patience and silence of the feed."""


def step(chance: random.Random):
    """A packet that is about as far as the feed, of little harm; or time that passes."""
    kind, later = chance.random(), chance.choice(LATER)
    if kind < 0.15:
        return Tick(later)
    if kind < 0.18:
        return GiveUp(chance.randrange(-1, 4), later)
    return Packet(
        line=chance.choice((0, 0, 0, 1, 1, 1, RECOVERY)),
        session=chance.choice(SESSIONS if chance.random() < 0.08 else SESSIONS[:1]),
        offset=chance.choice((-2, -1, 0, 0, 0, 1, 1, 2, 3)), number=None,
        messages=tuple(chance.choice(UNREADABLE if chance.random() < 0.1 else MESSAGES)
                       for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))),
        count=END if chance.random() < 0.03 else None,
        cut=chance.choice((1, 15)) if chance.random() < 0.03 else 0, excess=b"",
        damaged=chance.random() < 0.12, later=later)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("lines", [(0, 1), (0,)])
def test_about_every_limit_the_arbiter_is_the_kernel(limits, lines):
    chance = random.Random(f"{limits} {lines}")
    line_timeout, patience, stale = limits
    seen = dict.fromkeys(("gaps", "messages_lost", "sessions", "frames_retracted"), 0)
    for place, start in enumerate(STARTS):
        pair = Pair(Rules(lines=lines, skip=bool(place % 2), accept=chance.random() < 0.8,
                          line_timeout=line_timeout, patience=patience, stale=stale,
                          start=start), chance)
        for _ in range(30):
            pair.step(step(chance))
        for name in seen:
            seen[name] += pair.card.counts.get(name, 0)
    assert all(seen.values())
