"""Clock of the card: 64 bits of nanoseconds with a fraction, set once, then only slewed."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.registers import CLOCK_FRACTION_BITS
from tickwire_hw.logic import stages

LATENCY = 5
"""Cycles from a write to the first time that shows it."""
LINE_HZ = 156_250_000
"""Clock of 64 bits at 10 Gbit/s; its period is what a cycle adds after reset."""
INCREMENT = round((1_000_000_000 << CLOCK_FRACTION_BITS) / LINE_HZ)
_INCREMENT_BITS = 8 + CLOCK_FRACTION_BITS
_LOW_BITS = 16 + CLOCK_FRACTION_BITS        # of the sum of a cycle; what is above only counts
_LEFT_BITS = 32 + CLOCK_FRACTION_BITS


class Clock(wiring.Component):
    """Tell the time.

    Kernel: :mod:`tickwire.kernels.clock`; the two agree in every cycle. ``now`` never goes back
    but by ``i_set``, and a correction leaves a cycle at least half of its increment. A write
    works 5 cycles later; one of each kind can come in every cycle. Lost, and counted nowhere:
    ``i_set`` while the device is armed, an increment of 0.

    Members
    -------
    now : ``Out(64)``
        Time, ns.
    i_increment, i_set, i_slew : ``In(stream.Signature(64, always_ready=True))``
        Writes to CLOCK_INCREMENT, CLOCK_SET and CLOCK_SLEW.
    rate : ``In(32)``
        Register CLOCK_SLEW_RATE; works 4 cycles later.
    is_armed : ``In(1)``
        The device is armed.
    snap : ``In(1)``
        Keep the time and the counter of this cycle.
    snap_time, snap_counter : ``Out(64)``
        What was kept.
    left : ``Out(signed(64))``
        Correction still to be made, 2^-32 ns.
    """

    now: Out(64)
    i_increment: In(stream.Signature(64, always_ready=True))
    i_set: In(stream.Signature(64, always_ready=True))
    i_slew: In(stream.Signature(64, always_ready=True))
    rate: In(32)
    is_armed: In(1)
    snap: In(1)
    snap_time: Out(64)
    snap_counter: Out(64)
    left: Out(signed(_LEFT_BITS))

    def elaborate(self, platform):
        """Return correction, step and sum; a number behind a name is the age of a write."""
        m = Module()

        # 0 to 1: what a cycle adds, and how much of it may be a correction.
        increment_1 = Signal(_INCREMENT_BITS, init=INCREMENT)
        increment_2 = Signal(_INCREMENT_BITS, init=INCREMENT)
        rate_1, rate_2 = Signal(32), Signal(32)
        half = increment_1 >> 1
        with m.If(self.i_increment.valid & self.i_increment.p[:_INCREMENT_BITS].any()):
            m.d.sync += increment_1.eq(self.i_increment.p)
        m.d.sync += [rate_1.eq(self.rate), increment_2.eq(increment_1),
                     rate_2.eq(Mux(rate_1 > half, half, rate_1))]

        # 1 to 2: what is left of a correction.
        set_valid = stages(m, self.i_set.valid & ~self.is_armed, 4, "set_valid")
        set_time = stages(m, self.i_set.p, 4, "set_time")
        slew_valid = stages(m, self.i_slew.valid, 1, "slew_valid")
        slew_by = stages(m, self.i_slew.p, 1, "slew_by")
        left = self.left
        step_3 = Signal(signed(33))
        is_last = Signal()
        m.d.comb += is_last.eq(Mux(left < 0, left + rate_2 >= 0, left - rate_2 <= 0))
        step = Mux(is_last, left, Mux(left < 0, -rate_2, rate_2))
        with m.If(set_valid[1]):
            m.d.sync += left.eq(0)
        with m.Elif(slew_valid[1]):
            m.d.sync += left.eq(slew_by[1][:32].as_signed() << CLOCK_FRACTION_BITS)
        with m.Elif(is_last):
            m.d.sync += left.eq(0)
        with m.Elif(left < 0):
            m.d.sync += left.eq(left + rate_2)
        with m.Else():
            m.d.sync += left.eq(left - rate_2)

        # 2 to 4: both together. 4 to 5: the sum, whose upper part counts a carry at most every
        # hundred cycles, so it has a cycle to be ready for the next one.
        increment_3 = Signal(_INCREMENT_BITS, init=INCREMENT)
        step_4 = Signal(_INCREMENT_BITS + 1, init=INCREMENT)
        m.d.sync += [step_3.eq(step), increment_3.eq(increment_2),
                     step_4.eq(increment_3 + step_3)]
        low, total = Signal(_LOW_BITS), Signal(_LOW_BITS + 1)
        high = Signal(64 + CLOCK_FRACTION_BITS - _LOW_BITS)
        following = Signal.like(high, init=1)
        m.d.comb += [total.eq(low + step_4), self.now.eq(Cat(low, high) >> CLOCK_FRACTION_BITS)]
        m.d.sync += [low.eq(total), high.eq(Mux(total[-1], following, high)),
                     following.eq(high + 1)]
        with m.If(set_valid[4]):
            in_low = _LOW_BITS - CLOCK_FRACTION_BITS
            m.d.sync += [low.eq(set_time[4][:in_low] << CLOCK_FRACTION_BITS),
                         high.eq(set_time[4][in_low:]), following.eq(set_time[4][in_low:] + 1)]

        counter = Signal(64)
        m.d.sync += counter.eq(counter + 1)
        with m.If(self.snap):
            m.d.sync += [self.snap_time.eq(self.now), self.snap_counter.eq(counter)]

        return m
