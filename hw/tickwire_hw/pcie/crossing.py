"""The adapter's streams between the clock of the lines and that of a block for PCIe."""

from amaranth.hdl import Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.cdc import AsyncFFSynchronizer, FFSynchronizer, ResetSynchronizer
from amaranth.lib.wiring import In, Out, connect

from tickwire_hw.host_port import LINE, Burst, Request

LINE_DOMAIN, BUS_DOMAIN = "line", "pcie"
DEPTH = 8                                  # entries under way, each direction
_OUTWARD = data.StructLayout({"is_answer": 1, "burst": Burst})


class Crossing(wiring.Component):
    """Take bursts and answers to the bus in their order, and requests to the core.

    An entry crosses in two to four cycles of the clock that it comes to. Bursts and answers share
    one queue, so an answer is offered when every burst before it was taken; it waits beside the
    queue and holds back no burst. Nothing is lost; a full queue exerts backpressure. Both
    domains are reset together, by ``reset_both``, which empties both queues.

    Members
    -------
    i_burst, i_answer, o_request
        The core's side, in domain ``line``; one answer is under way at a time.
    o_burst, o_answer, i_request
        The adapter's side, in domain ``pcie``.
    """

    i_burst: In(stream.Signature(Burst))
    i_answer: In(stream.Signature(LINE))
    o_request: Out(stream.Signature(Request))
    o_burst: Out(stream.Signature(Burst))
    o_answer: Out(stream.Signature(LINE))
    i_request: In(stream.Signature(Request))

    def elaborate(self, platform):
        """Return both queues."""
        m = Module()

        m.submodules.inward = inward = fifo.AsyncFIFO(
            width=Request.as_shape().size, depth=DEPTH, r_domain=LINE_DOMAIN, w_domain=BUS_DOMAIN)
        m.d.comb += [
            inward.w_data.eq(self.i_request.p), inward.w_en.eq(self.i_request.valid),
            self.i_request.ready.eq(inward.w_rdy), self.o_request.p.eq(inward.r_data),
            self.o_request.valid.eq(inward.r_rdy), inward.r_en.eq(self.o_request.ready)]

        m.submodules.outward = outward = fifo.AsyncFIFO(
            width=_OUTWARD.size, depth=DEPTH, r_domain=BUS_DOMAIN, w_domain=LINE_DOMAIN)
        given, found = Signal(_OUTWARD), Signal(_OUTWARD)
        # A burst that is offered stays, so an answer that comes goes before one that waits: at
        # worst it is earlier than it must be, and never before one that was taken.
        m.d.comb += [
            given.is_answer.eq(self.i_answer.valid),
            given.burst.eq(self.i_burst.p), found.eq(outward.r_data),
            outward.w_data.eq(given), outward.w_en.eq(self.i_answer.valid | self.i_burst.valid),
            self.i_answer.ready.eq(outward.w_rdy),
            self.i_burst.ready.eq(outward.w_rdy & ~self.i_answer.valid)]
        with m.If(self.i_answer.valid):
            m.d.comb += given.burst.data.eq(self.i_answer.p)
        is_answer = outward.r_rdy & found.is_answer
        m.d.comb += [
            self.o_burst.valid.eq(outward.r_rdy & ~found.is_answer),
            self.o_burst.p.eq(found.burst),
            outward.r_en.eq(Mux(found.is_answer, ~self.o_answer.valid, self.o_burst.ready))]
        with m.If(~self.o_answer.valid):
            m.d[BUS_DOMAIN] += [self.o_answer.valid.eq(is_answer),
                                self.o_answer.p.eq(found.burst.data)]
        with m.Elif(self.o_answer.ready):
            m.d[BUS_DOMAIN] += self.o_answer.valid.eq(0)

        return m


def reset_both(m: Module, reset: Value) -> None:
    """Reset both domains while ``reset``, of domain ``pcie``, is set, for as long as it takes.

    A queue is empty when the side that reads has seen the reset of the side that writes, for some
    cycles of a clock that may be slow, or not there yet: so the domain of the bus is released last.
    """
    is_line_reset = Signal()
    m.submodules.line_reset = ResetSynchronizer(reset, domain=LINE_DOMAIN)
    m.submodules.bus_reset = AsyncFFSynchronizer(ResetSignal(LINE_DOMAIN), is_line_reset,
                                                 o_domain=BUS_DOMAIN)
    m.d.comb += ResetSignal(BUS_DOMAIN).eq(reset | is_line_reset)


def bridge(m: Module, core: wiring.Component, adapter: wiring.Component,
           crossing: Crossing) -> None:
    """Connect the streams of ``core`` and ``adapter``, and the bits of MSI-X, in between.

    ``core`` runs in domain ``line``; what leads to the bus is the adapter's.
    """
    connect(m, core.burst, crossing.i_burst)
    connect(m, core.answer, crossing.i_answer)
    connect(m, crossing.o_request, core.request)
    connect(m, crossing.o_burst, adapter.burst)
    connect(m, crossing.o_answer, adapter.answer)
    connect(m, adapter.request, crossing.i_request)
    for name in ("has_msix", "is_msix_masked"):
        m.submodules[name] = FFSynchronizer(getattr(adapter, name), getattr(core, name),
                                            o_domain=LINE_DOMAIN)
