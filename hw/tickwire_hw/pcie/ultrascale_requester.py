"""Bursts as memory writes of the UltraScale+ block's requester interface (PG213)."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.host_port import WORDS, Burst
from tickwire_hw.pcie.packet import Packet
from tickwire_hw.pcie.ultrascale_stream import (
    MEMORY_WRITE,
    REQUEST_DESCRIPTOR,
    SEQUENCE,
    marks,
    signature,
)

_HEAD = REQUEST_DESCRIPTOR.size // 32


class Requester(wiring.Component):
    """Send each burst as one posted memory write, its first beat in the cycle in which it came.

    A line is 3 beats of 256 or 2 of 512 bits, a word is one. Attributes are 0, no relaxed order
    among them: a reader may see a record only after what was written before. Held back by the
    block, and before its first beat by ``has_room``.

    Members
    -------
    i : ``In(stream.Signature(Burst))``
        Bursts; one is taken with the last beat.
    has_room : ``In(1)``
        A write may begin; does not take back one that is offered.
    rq
        Requester request stream.
    sent : ``Out(SEQUENCE)``
        Number of the last burst that was taken; they count from 1 after reset.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        super().__init__({"i": In(stream.Signature(Burst)), "has_room": In(1),
                          "rq": Out(signature("rq", width)), "sent": Out(SEQUENCE)})

    def elaborate(self, platform):
        """Return the descriptor and the beats."""
        m = Module()

        m.submodules.packet = packet = Packet(_HEAD + WORDS, self._width)
        burst, head, is_offered = self.i.p, Signal(REQUEST_DESCRIPTOR), Signal()
        m.d.sync += is_offered.eq(packet.valid & ~packet.done)
        enables = Cat(C(0xF, 4), Mux(burst.is_word, 0, 0xF))
        m.d.comb += [
            head.address.eq(burst.address[2:]), head.type.eq(MEMORY_WRITE),
            head.count.eq(Mux(burst.is_word, 1, WORDS)),
            packet.words.eq(Cat(head, burst.data)), packet.count.eq(_HEAD + head.count),
            packet.valid.eq(self.i.valid & (self.has_room | is_offered)),
            packet.tready.eq(self.rq.tready), self.i.ready.eq(packet.done),
            self.rq.tvalid.eq(packet.tvalid), self.rq.tdata.eq(packet.tdata),
            self.rq.tkeep.eq(packet.tkeep), self.rq.tlast.eq(packet.tlast)]
        number = Signal(SEQUENCE)
        m.d.comb += number.eq(self.sent + 1)
        with m.If(packet.done):
            m.d.sync += self.sent.eq(number)
        if self._width == 256:
            m.d.comb += self.rq.tuser.eq(Cat(enables, C(0, 16), number[:4], C(0, 32), number[4:]))
        else:                                      # first_be of two packets, then last_be
            m.d.comb += self.rq.tuser.eq(Cat(enables[:4], C(0, 4), enables[4:8], C(0, 8),
                                             marks(packet), C(0, 29), number))

        return m
