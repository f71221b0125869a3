"""MSI-X: a message for each slow event, a write of one word behind what was written before."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.registers import INTERRUPT_PENDING, INTERRUPT_VECTORS
from tickwire_hw.host_port import Access, Burst

_ROW = data.StructLayout({"address": 64, "data": 32, "control": 32})
_MASKED = 1                                # bit 0 of a row's control


class Interrupts(wiring.Component):
    """Tell the host of events, once each, as its table and masks permit.

    An event sets its bit of ``cause``, which stays until the host clears it. Where ``mask`` has
    the bit, its vector becomes pending and stays so until its message could be sent: not while
    the function or the vector is masked. Events that come while a vector is pending share a
    message.

    Members
    -------
    events : ``In(INTERRUPT_VECTORS)``
        Strobes, one a vector.
    mask, clear, cause : ``In``, ``In``, ``Out``
        Events that may send; causes to clear in this cycle; what happened.
    is_enabled, is_masked : ``In(1)``
        Bits of the function's MSI-X capability.
    i : ``In(stream.Signature(Access, always_ready=True))``
        Accesses to BAR 4: the table, whose vectors are masked after reset, and the pending bits.
    o : ``Out(32)``
        Answer of a read in the cycle before, else 0.
    burst : ``Out(stream.Signature(Burst))``
        Messages.
    """

    events: In(INTERRUPT_VECTORS)
    mask: In(INTERRUPT_VECTORS)
    clear: In(INTERRUPT_VECTORS)
    cause: Out(INTERRUPT_VECTORS)
    is_enabled: In(1)
    is_masked: In(1)
    i: In(stream.Signature(Access, always_ready=True))
    o: Out(32)
    burst: Out(stream.Signature(Burst))

    def elaborate(self, platform):
        """Return the table and what sends its messages."""
        m = Module()

        rows = Array(Signal(_ROW, name=f"row_{number}", init={"control": _MASKED})
                     for number in range(INTERRUPT_VECTORS))
        pending, sent, number = (Signal(INTERRUPT_VECTORS), Signal(INTERRUPT_VECTORS),
                                 Signal(range(INTERRUPT_VECTORS)))
        m.d.sync += [self.cause.eq(self.cause & ~self.clear | self.events),
                     pending.eq(pending & ~sent | self.events & self.mask)]

        # One vector after the other has its turn; what waits at the output does not change.
        row = rows[number]
        is_due = (pending.bit_select(number, 1) & self.is_enabled & ~self.is_masked
                  & ~row.control[0])
        with m.If(self.burst.valid):
            m.d.sync += self.burst.valid.eq(~self.burst.ready)
        with m.Else():
            m.d.comb += sent.eq(Mux(is_due, 1 << number, 0))
            m.d.sync += [number.eq(number + 1), self.burst.valid.eq(is_due),
                         self.burst.p.address.eq(row.address), self.burst.p.data.eq(row.data),
                         self.burst.p.is_word.eq(1)]

        access = self.i.p
        chosen = access.address[2:2 + len(number)]
        is_table = access.address < 4 * INTERRUPT_VECTORS
        bits = Cat(bit.replicate(8) for bit in access.enables)
        with m.If(self.i.valid & ~access.is_read & is_table), m.Switch(access.address[:2]):
            for place in range(4):
                with m.Case(place):
                    word = rows[chosen].as_value()[32 * place:32 * place + 32]
                    m.d.sync += word.eq(access.data & bits | word & ~bits)
        with m.If(self.i.valid & access.is_read):
            m.d.sync += self.o.eq(Mux(
                is_table, rows[chosen].as_value().word_select(access.address[:2], 32),
                Mux(access.address == INTERRUPT_PENDING // 4, pending, 0)))
        with m.Else():
            m.d.sync += self.o.eq(0)

        return m
