"""Two sources of bursts on the one way to host memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.host_port import Burst


class BurstMerge(wiring.Component):
    """Pass bursts on in the cycle in which they came, those of ``i_first`` first.

    A burst that is offered stays until it is taken. ``i_second`` may wait for as long as
    ``i_first`` has something to say.

    Members
    -------
    i_first, i_second, o : ``In``, ``In``, ``Out(stream.Signature(Burst))``
        Bursts.
    """

    i_first: In(stream.Signature(Burst))
    i_second: In(stream.Signature(Burst))
    o: Out(stream.Signature(Burst))

    def elaborate(self, platform):
        """Return the choice."""
        m = Module()

        is_second, is_held = Signal(), Signal()
        m.d.comb += [
            is_second.eq(is_held | ~self.i_first.valid),
            self.o.valid.eq(self.i_first.valid | self.i_second.valid),
            self.o.p.eq(Mux(is_second, self.i_second.p, self.i_first.p)),
            self.i_first.ready.eq(self.o.ready & ~is_second),
            self.i_second.ready.eq(self.o.ready & is_second)]
        m.d.sync += is_held.eq(is_second & self.i_second.valid & ~self.o.ready)

        return m
