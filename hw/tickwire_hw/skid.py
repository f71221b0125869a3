"""Stream register that cuts every combinational path, ready included."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Skid(wiring.Component):
    """Pass beats on, one cycle later, with ``valid``, ``payload`` and ``ready`` all registered.

    Latency is one cycle, throughput one beat a cycle. Backpressure reaches the input a cycle
    later; the beat that comes in that cycle waits in a second register. Nothing is lost.

    Members
    -------
    i, o : ``In(stream.Signature(shape))``, ``Out(stream.Signature(shape))``
        Beats.
    """

    def __init__(self, shape: ShapeLike) -> None:
        self._waiting = Signal(shape)      # the beat that ready came too late for
        self._is_waiting = Signal()
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """Return the two registers."""
        m = Module()

        waiting, is_waiting = self._waiting, self._is_waiting
        m.d.comb += self.i.ready.eq(~is_waiting)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid | is_waiting), is_waiting.eq(0)]
            with m.If(is_waiting):
                m.d.sync += self.o.payload.eq(waiting)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [waiting.eq(self.i.payload), is_waiting.eq(1)]

        return m
