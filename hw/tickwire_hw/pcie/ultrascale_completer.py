"""Requests of the host from the UltraScale+ block's completer interfaces, and their completions."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.host_port import LINE, WORDS, Request
from tickwire_hw.pcie.completion import ABORT, UNSUPPORTED, lower_address, span
from tickwire_hw.pcie.packet import Packet
from tickwire_hw.pcie.ultrascale_stream import (
    COMPLETER_DESCRIPTOR,
    COMPLETION_DESCRIPTOR,
    MEMORY_READ,
    MEMORY_WRITE,
    REFUSED,
    marks,
    signature,
)

_HEAD = COMPLETER_DESCRIPTOR.size // 32
_COMPLETION_HEAD = COMPLETION_DESCRIPTOR.size // 32
_REFUSED_WORDS = REFUSED.size // 32
_LOCKED_READ = 0b0111                      # request type whose completion is locked too
_MESSAGE = 0b1100                          # request types from here on have no answer


class Completer(wiring.Component):
    """Turn memory writes and reads of any size into requests, and answer the reads.

    A beat of a write is a request of its own, in the cycle in which it came. A read of up to 64
    octets is answered with one completion; a longer one is aborted, since no load of a processor
    is longer. What is neither read nor write of memory is not supported; messages are ignored. A
    refusal has words of its request behind it, for the block's log. One request at a time is
    answered; until its completion is sent, the block may give no other and goes on with stores,
    as PCIe demands: they must not wait for what the card sends. A beat that the block
    discontinues, because it was damaged, is not taken; those of its packet before it were.

    Members
    -------
    cq, cc
        Completer request and completion streams.
    np_req : ``Out(2)``
        Strobe: the block may give one more request that is to be answered.
    request, answer
        The core's streams.
    may_answer : ``In(1)``
        The answer that is there may be sent; stays until it is.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        super().__init__({
            "cq": In(signature("cq", width)), "cc": Out(signature("cc", width)), "np_req": Out(2),
            "request": Out(stream.Signature(Request)), "answer": In(stream.Signature(LINE)),
            "may_answer": In(1)})

    def elaborate(self, platform):
        """Return what takes a packet's beats and what answers."""
        m = Module()

        lanes, cq, wide = self._width // 32, self.cq, self._width == 512
        first_enables, last_enables = cq.tuser[0:4], cq.tuser[8:12] if wide else cq.tuser[4:8]
        enables = cq.tuser[16:16 + 4 * lanes] if wide else cq.tuser[8:8 + 4 * lanes]
        is_damaged, *hints = (cq.tuser[96], cq.tuser[97], cq.tuser[99:101],
                              cq.tuser[103:111]) if wide else (
            cq.tuser[41], cq.tuser[42], cq.tuser[43:45], cq.tuser[45:53])
        head = Signal(COMPLETER_DESCRIPTOR)
        is_first, is_write, address, bar = Signal(init=1), Signal(), Signal(14), Signal(3)
        m.d.comb += head.eq(cq.tdata)
        is_head_write, is_head_read = head.type == MEMORY_WRITE, head.type == MEMORY_READ
        is_head_asking = ~is_head_write & (head.type < _MESSAGE)

        # A write: the words of each beat, as they come.
        request = self.request.p
        here = Signal(14)
        m.d.comb += [here.eq(Mux(is_first, head.address, address))]
        refused = Signal(REFUSED)
        held, status = refused.request, Signal(3)
        is_asking, is_due, was_reset = Signal(), Signal(), Signal(init=1)
        is_dropped, is_answered = Signal(), self.cc.tvalid & self.cc.tready & self.cc.tlast
        m.d.comb += self._complete(m, refused, status, is_due)
        m.d.sync += [was_reset.eq(0), self.np_req.eq(was_reset | is_dropped | is_answered)]
        with m.If(is_answered):
            m.d.sync += is_due.eq(0)
        with m.FSM():
            with m.State("Packet"):
                m.d.comb += [
                    request.bar.eq(Mux(is_first, head.bar, bar)), request.address.eq(here),
                    request.data.eq(Mux(is_first, cq.tdata >> 32 * _HEAD, cq.tdata)),
                    request.enables.eq(Mux(is_first, enables >> 4 * _HEAD, enables)),
                    request.count.eq(lanes - Mux(is_first, _HEAD, 0)),
                    self.request.valid.eq(cq.tvalid & ~is_damaged
                                          & Mux(is_first, is_head_write, is_write)),
                    cq.tready.eq(Mux(is_first & is_head_asking, ~is_due,
                                     self.request.ready | ~self.request.valid))]
                with m.If(cq.tvalid & cq.tready):
                    m.d.sync += [is_first.eq(cq.tlast), address.eq(here + request.count)]
                    with m.If(is_first):
                        m.d.sync += [bar.eq(head.bar), is_write.eq(is_head_write),
                                     is_asking.eq(is_head_asking)]
                    with m.If(is_first & is_head_asking):
                        m.d.sync += [held.eq(head), refused.first_enables.eq(first_enables),
                                     refused.last_enables.eq(last_enables),
                                     Cat(refused.has_hints, refused.hint).eq(Cat(*hints[:2])),
                                     refused.steering.eq(hints[2]), status.eq(Mux(
                                         ~is_head_read, UNSUPPORTED,
                                         Mux(head.count > WORDS, ABORT, 0)))]
                    with m.If(cq.tlast & Mux(is_first, is_head_asking, is_asking)):
                        m.d.comb += is_dropped.eq(is_damaged)
                        with m.If(~is_damaged):
                            m.next = "Ask"
            with m.State("Ask"):
                m.d.comb += [
                    request.is_read.eq(1), request.bar.eq(held.bar),
                    request.address.eq(held.address), request.count.eq(held.count),
                    self.request.valid.eq(status == 0)]
                with m.If(self.request.ready | (status != 0)):
                    m.d.sync += is_due.eq(1)
                    m.next = "Packet"

        return m

    def _complete(self, m: Module, refused, status, is_due) -> list:
        """Return what sends the completion of the request in hand."""
        m.submodules.packet = packet = Packet(_COMPLETION_HEAD + WORDS, self._width)
        head, octets, is_good = Signal(COMPLETION_DESCRIPTOR), Signal(13), status == 0
        held, first, last = refused.request, refused.first_enables, refused.last_enables
        m.d.comb += [
            octets.eq(span(first, last, held.count)),
            head.lower_address.eq(Mux(is_good, lower_address(first, held.address), 0)),
            head.octets.eq(Mux(is_good, octets, 4)), head.count.eq(Mux(is_good, held.count, 0)),
            head.status.eq(status), head.requester.eq(held.requester), head.tag.eq(held.tag),
            head.function.eq(held.function), head.traffic_class.eq(held.traffic_class),
            head.attributes.eq(held.attributes), head.is_locked.eq(held.type == _LOCKED_READ),
            packet.words.eq(Cat(head, Mux(is_good, self.answer.p, refused.as_value()))),
            packet.count.eq(_COMPLETION_HEAD + Mux(is_good, held.count, _REFUSED_WORDS)),
            packet.tready.eq(self.cc.tready),
            self.cc.tdata.eq(packet.tdata), self.cc.tkeep.eq(packet.tkeep),
            self.cc.tlast.eq(packet.tlast), self.cc.tvalid.eq(packet.tvalid),
            self.answer.ready.eq(packet.done & is_good)]
        if self._width == 512:                     # is_sop, is_eop and their places, from bit 0
            m.d.comb += self.cc.tuser.eq(marks(packet))
        return [packet.valid.eq(is_due & (~is_good | (self.answer.valid & self.may_answer)))]
