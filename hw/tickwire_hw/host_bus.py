"""From requests of the host to the words of registers, counters and the interrupt table."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.registers import BAR_INTERRUPTS, BAR_REGISTERS, BAR_WINDOW
from tickwire_hw.host_port import LINE, WORDS, Access, Request

_READ_CYCLES = 3


class HostBus(wiring.Component):
    """Pass stores to the window on as they come; take everything else word by word, in order.

    A store to the window takes one cycle and is at ``window`` in the same one. A store elsewhere
    takes three cycles and one a word, a read three and four a word; requests behind it wait, so a
    read is answered after what was stored before. While its answer waits to be taken, stores go
    on and reads do not. The window reads as 0, and so does a BAR that is not there.

    Members
    -------
    i : ``In(stream.Signature(Request))``
        Requests in the order of the host.
    answer : ``Out(stream.Signature(LINE))``
        Words of a read, word 0 lowest.
    window : ``Out(stream.Signature(Request, always_ready=True))``
        Stores to the window.
    registers, interrupts : ``Out(stream.Signature(Access, always_ready=True))``
        Accesses to BAR 0 and to BAR 4.
    values : ``In(32)``
        What is read, by whoever it is of, one cycle after the last of an access: it lasts three.
    hold : ``In(1)``
        Nothing can be read now: accesses wait.
    """

    i: In(stream.Signature(Request))
    answer: Out(stream.Signature(LINE))
    window: Out(stream.Signature(Request, always_ready=True))
    registers: Out(stream.Signature(Access, always_ready=True))
    interrupts: Out(stream.Signature(Access, always_ready=True))
    values: In(32)
    hold: In(1)

    def elaborate(self, platform):
        """Return the way around and the words' state machine."""
        m = Module()

        held, number = Signal(Request), Signal(range(WORDS + 1))
        access = Signal(Access)
        is_window = (self.i.p.bar == BAR_WINDOW) & ~self.i.p.is_read
        is_word, age = Signal(), Signal(range(_READ_CYCLES + 1))
        m.d.comb += [
            access.is_read.eq(held.is_read), access.address.eq(held.address + number),
            access.data.eq(held.data.word_select(number[:4], 32)),
            access.enables.eq(held.enables.word_select(number[:4], 4)),
            self.window.p.eq(self.i.p), self.registers.p.eq(access), self.interrupts.p.eq(access),
            self.registers.valid.eq(is_word & (held.bar == BAR_REGISTERS)),
            self.interrupts.valid.eq(is_word & (held.bar == BAR_INTERRUPTS))]
        with m.If(self.answer.ready):
            m.d.sync += self.answer.valid.eq(0)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [self.i.ready.eq(~(self.i.p.is_read & self.answer.valid)),
                             self.window.valid.eq(self.i.valid & is_window)]
                m.d.sync += [held.eq(self.i.p), number.eq(0), age.eq(0)]
                with m.If(self.i.valid & self.i.ready & ~is_window):
                    m.next = "Words"
                    with m.If(self.i.p.is_read):
                        m.d.sync += self.answer.p.eq(0)
            with m.State("Words"):
                with m.If(number == held.count):
                    with m.If(held.is_read):
                        m.d.sync += self.answer.valid.eq(1)
                    m.next = "Done"
                with m.Elif(~held.is_read):
                    m.d.comb += is_word.eq(1)
                    m.d.sync += number.eq(number + 1)
                with m.Else():
                    # An access is repeated until its value is there; reading changes nothing.
                    m.d.comb += is_word.eq(age != _READ_CYCLES)
                    m.d.sync += age.eq(Mux(self.hold, 0, age + 1))
                    with m.If(~self.hold & (age == _READ_CYCLES)):
                        m.d.sync += [
                            age.eq(0), number.eq(number + 1),
                            self.answer.p.word_select(number[:4], 32).eq(self.values)]
            with m.State("Done"):
                m.next = "Idle"

        return m
