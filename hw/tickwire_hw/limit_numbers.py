"""Numbers that a commit works out from limits, a bit a cycle (kernel ``limits._derive``)."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.limits import BASIS_POINTS, NO_ROOM
from tickwire_hw.risk_port import AMOUNT, FACTOR, FACTOR_SHIFT, Divisor

WORD = 32
NUMBERS_CYCLES = WORD + FACTOR_SHIFT + 2
"""Cycles from ``start`` until the slowest of these components shows its result."""


class DivisorOf(wiring.Component):
    """Divisor of a number, 64 cycles after ``start``.

    First the number loses its binary zeros, then its inverse modulo 2^32 gains a bit a cycle
    (Hensel's lifting): what the inverse so far makes of the number is 1 in all bits below.

    Members
    -------
    start, number : ``In(1)``, ``In(32)``
        Begin with this number.
    o : ``Out(Divisor)``
        The result, until the next start.
    """

    start: In(1)
    number: In(WORD)
    o: Out(Divisor)

    def elaborate(self, platform):
        """Return number, inverse and their product."""
        m = Module()

        odd, shift = Signal(WORD), Signal(range(WORD))
        left, bit = Signal(range(WORD + 1)), Signal(WORD)    # cycles for zeros, bit in hand
        product, moved, inverse = Signal(WORD), Signal(WORD), Signal(WORD)
        zeros = Signal(range(WORD))                          # above the highest bit set
        with m.If(self.start):
            m.d.sync += [odd.eq(self.number), self.o.number.eq(self.number), shift.eq(0),
                         left.eq(WORD), bit.eq(1)]
        with m.Elif(left.any()):
            m.d.sync += left.eq(left - 1)
            with m.If(~odd[0] & odd.any()):
                m.d.sync += [odd.eq(odd >> 1), shift.eq(shift + 1)]
            m.d.sync += [product.eq(0), moved.eq(odd), inverse.eq(0), zeros.eq(0)]
        with m.Elif(bit.any()):
            m.d.sync += [bit.eq(bit << 1), moved.eq(moved << 1),
                         zeros.eq(Mux((odd & bit).any(), 0, zeros + 1))]
            is_wanted = ((product & bit) ^ (bit & C(1, WORD))).any()
            with m.If(is_wanted & odd.any()):
                m.d.sync += [inverse.eq(inverse | bit), product.eq(product + moved)]
        m.d.comb += [self.o.inverse.eq(inverse), self.o.shift.eq(shift),
                     self.o.room.eq(Mux(odd.any(), zeros, 0))]

        return m


class FactorOf(wiring.Component):
    """Basis points as a collar's factor: times 2^45 over 10,000, rounded up; 77 cycles.

    Members
    -------
    start, number : ``In(1)``, ``In(32)``
        Begin with these basis points, below 2^31.
    o : ``Out(FACTOR)``
        The result, until the next start.
    """

    start: In(1)
    number: In(WORD)
    o: Out(FACTOR)

    def elaborate(self, platform):
        """Return long division, and what is added when something is left over."""
        m = Module()

        bits, left = Signal(WORD), Signal(range(WORD + FACTOR_SHIFT + 1))
        rest, quotient = Signal(range(BASIS_POINTS)), Signal(FACTOR)
        twice = Cat(bits[-1], rest)
        is_one = twice >= BASIS_POINTS
        with m.If(self.start):
            m.d.sync += [bits.eq(self.number), left.eq(WORD + FACTOR_SHIFT), rest.eq(0),
                         quotient.eq(0)]
        with m.Elif(left.any()):
            m.d.sync += [left.eq(left - 1), bits.eq(bits << 1), quotient.eq(Cat(is_one, quotient)),
                         rest.eq(Mux(is_one, twice - BASIS_POINTS, twice))]
        m.d.comb += self.o.eq(quotient + rest.any())

        return m


class RoomOf(wiring.Component):
    """Most that a token bucket's time may be ahead: interval x (burst - 1); 32 cycles.

    Members
    -------
    start, interval, burst : ``In``
        Begin with these, below 2^31 each.
    o : ``Out(signed(AMOUNT))``
        The result, until the next start; ``NO_ROOM`` without a burst.
    """

    start: In(1)
    interval: In(WORD)
    burst: In(WORD)
    o: Out(signed(AMOUNT))

    def elaborate(self, platform):
        """Return a product that is added up bit by bit."""
        m = Module()

        more, moved, total = Signal(WORD), Signal(AMOUNT), Signal(AMOUNT)
        is_none = Signal()
        with m.If(self.start):
            m.d.sync += [more.eq(self.burst - 1), is_none.eq(~self.burst.any()),
                         moved.eq(self.interval), total.eq(0)]
        with m.Elif(~is_none):
            m.d.sync += [more.eq(more >> 1), moved.eq(moved << 1)]
            with m.If(more[0]):
                m.d.sync += total.eq(total + moved)
        m.d.comb += self.o.eq(Mux(is_none, NO_ROOM, total))

        return m
