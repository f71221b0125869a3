"""The number that an arbiter's sequences go on with, in a register that nobody waits for."""

from amaranth.hdl import Mux, Signal
from amaranth.lib import enum

from tickwire_hw import logic
from tickwire_hw.feed_state import LINES


class Aim(enum.Enum):
    """What the register follows, a cycle later."""

    OFFER = 0                              # the lowest number that a line can bring
    GIVEN_UP = 1
    EXPECTED = 2
    NOTHING = 3                            # it stays


def follow(machine, aim, given_up) -> None:
    """Let ``target`` follow what ``aim`` says.

    An offer is of what was known two cycles before: each line's number is chosen, then compared.
    """
    m, know, hand, comparisons = machine.m, machine.know, machine.hand, machine.comparisons
    bring = [Signal(64, name=f"bring_{line}") for line in "ab"]
    can_bring, is_less, offer = Signal(LINES), Signal(), Signal(64)
    for line, number in enumerate(bring):
        is_own = hand.is_packet & (hand.line == line)
        m.d.sync += [number.eq(Mux(is_own, hand.first, know.shown[line])),
                     can_bring[line].eq(is_own | (
                         comparisons.is_beyond[line] & ~comparisons.is_silent[line]))]
    m.d.sync += is_less.eq(logic.is_less(*bring))
    m.d.comb += offer.eq(Mux(can_bring[0] & (~can_bring[1] | is_less), bring[0], Mux(
        can_bring[1], bring[1], machine.ports.highest)))
    with m.Switch(aim):
        with m.Case(Aim.OFFER):
            m.d.sync += machine.target.eq(offer)
        with m.Case(Aim.GIVEN_UP):
            m.d.sync += machine.target.eq(given_up)
        with m.Case(Aim.EXPECTED):
            m.d.sync += machine.target.eq(machine.ports.expected)
