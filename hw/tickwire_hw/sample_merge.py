"""Samples of stage ``receive`` on the one way to the histograms, between those of orders."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from tickwire.spec.stages import StageIndex
from tickwire_hw.histogram import Sample
from tickwire_hw.publish import LATENCY

DEPTH = 8
"""Latencies that can wait."""
WAITING = 3
"""Of these wait at most at one time, as samples of orders come."""


class SampleMerge(wiring.Component):
    """Pass samples of orders on in their cycle, and latencies of messages in cycles without.

    A latency goes on one cycle after it came, or later when samples of orders come in between.
    Latencies come two cycles apart or further, as operations of the book do. Samples of orders come
    three in a row for a message that left, nine cycles apart or further because no frame has fewer
    words, and one for an answer, which takes twenty cycles. Then ``WAITING`` latencies wait at most
    and nothing is lost. If one found no place, it would be lost and told so.

    Members
    -------
    i : ``In(stream.Signature(Sample, always_ready=True))``
        From ``OrderStages``.
    applied : ``In(stream.Signature(32, always_ready=True))``
        From ``Publish``, ns.
    o : ``Out(stream.Signature(Sample, always_ready=True))``
        For ``Histogram``.
    is_lost : ``Out(1)``
        Strobe: a latency found no place.
    """

    i: In(stream.Signature(Sample, always_ready=True))
    applied: In(stream.Signature(LATENCY, always_ready=True))
    o: Out(stream.Signature(Sample, always_ready=True))
    is_lost: Out(1)

    def elaborate(self, platform):
        """Return the queue and the choice."""
        m = Module()

        m.submodules.queue = queue = SyncFIFO(width=LATENCY, depth=DEPTH)
        given, passed = self.i, self.o.p
        m.d.comb += [
            queue.w_en.eq(self.applied.valid), queue.w_data.eq(self.applied.p),
            self.is_lost.eq(self.applied.valid & ~queue.w_rdy),
            queue.r_en.eq(~given.valid), self.o.valid.eq(given.valid | queue.r_rdy),
            passed.stage.eq(Mux(given.valid, given.p.stage, StageIndex.RECEIVE)),
            passed.duration.eq(Mux(given.valid, given.p.duration, queue.r_data))]

        return m
