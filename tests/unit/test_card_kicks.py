"""Kicks that the loop beside a card passes on: not too many, and none that is held back for long.

Time is an input; a card's BAR and the registers that everybody sees are memory of the test.
"""

import pytest

from tickwire.kernels import engine_card
from tickwire.kernels.arena import Arena
from tickwire.kernels.engine_card import CARD, KICK_NS
from tickwire.spec.registers import REGISTER_SPACE, RegisterOffset

NOW = 1_700_000_000 * 10 ** 9
HOUR = 3_600 * 10 ** 9
KICK = RegisterOffset.WATCHDOG_KICK // 8


class Loop:
    """A loop that has just given its card kick 1."""

    def __init__(self):
        arena = self.arena = Arena()
        self.address = arena.take("card", CARD.itemsize)
        c = arena.view("card", CARD)[0]
        for name in ("registers", "bar"):
            c[name] = arena.take(name, REGISTER_SPACE)
        self.registers, self.bar = arena.view("registers", "u8"), arena.view("bar", "u8")
        assert self.turn(1, NOW) == 1

    def turn(self, kick, now):
        """Let somebody kick, and the loop look once; return what the card knows."""
        self.registers[KICK] = kick
        engine_card._tell(self.address, now)
        return int(self.bar[KICK])


@pytest.fixture
def loop():
    return Loop()


def test_a_kick_waits_until_the_period_of_the_one_before_is_over(loop):
    assert loop.turn(2, NOW + KICK_NS - 1) == 1
    assert loop.turn(3, NOW + KICK_NS) == 3
    assert loop.turn(4, NOW + 2 * KICK_NS - 1) == 3


def test_what_was_given_is_not_given_again(loop):
    loop.bar[KICK] = 0
    assert loop.turn(1, NOW + HOUR) == 0


@pytest.mark.parametrize("step", [1, KICK_NS, HOUR])
def test_a_clock_that_is_set_back_holds_a_kick_for_no_more_than_two_periods(loop, step):
    now = NOW - step + 2 * KICK_NS
    assert loop.turn(2, now) == 2
    assert loop.turn(3, now + KICK_NS - 1) == 2
    assert loop.turn(3, now + KICK_NS) == 3
