"""Instruments by their stock locate, in one cycle: every instrument compares its own."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.instrument_filter import LOCATE, taught_layout
from tickwire_hw.logic import encode

TAUGHT_AGE = 3
"""Cycles from a message of the directory to the first locate that is found as it says."""


class Locates(wiring.Component):
    """Find the instrument of a stock locate. Latency one cycle, a locate each cycle.

    ``InstrumentFilter`` is a table by locate, which answers one cycle later; this learns from it.

    Members
    -------
    watch_all : ``In(1)``
        As of ``InstrumentFilter``.
    i_taught : ``In(stream.Signature(taught_layout(geometry), always_ready=True))``
        What the directory teaches: from the next cycle on, the instrument has this locate, or
        none has it.
    is_changed, is_split : ``Out(1)``
        In that cycle: that is news; the instrument has had another one, which it does not lose,
        and which is not found here any more.
    locate : ``In(16)``
        A locate.
    o : ``Out({is_watched, instrument})``
        One cycle later: its instrument, if there is one.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        self._bits = max(1, ceil_log2(geometry.instruments))
        super().__init__({
            "watch_all": In(1),
            "i_taught": In(stream.Signature(taught_layout(geometry), always_ready=True)),
            "is_changed": Out(1), "is_split": Out(1), "locate": In(LOCATE),
            "o": Out(data.StructLayout({"is_watched": 1, "instrument": self._bits}))})

    def elaborate(self, platform):
        """Return one comparison for each instrument."""
        m = Module()

        taught, count = self.i_taught.p, self._instruments
        is_watched, hits = Signal(count), Signal(count)
        for number in range(count):
            own = Signal(LOCATE, name=f"locate_{number}", reset_less=True)
            m.d.comb += hits[number].eq(is_watched[number] & (self.locate == own))
            with m.If(self.i_taught.valid & taught.is_watched & (taught.instrument == number)):
                m.d.sync += [own.eq(taught.locate), is_watched[number].eq(1)]
                is_same = own == taught.locate
                m.d.comb += [self.is_changed.eq(~(is_watched[number] & is_same)),
                             self.is_split.eq(is_watched[number] & ~is_same)]
            with m.Elif(self.i_taught.valid & is_watched[number] & (taught.locate == own)):
                m.d.sync += is_watched[number].eq(0)       # it is another's from now on, or none's
                m.d.comb += self.is_changed.eq(1)
        m.d.sync += [
            self.o.is_watched.eq(Mux(self.watch_all, (self.locate < count) & self.locate.any(),
                                     hits.any())),
            self.o.instrument.eq(Mux(self.watch_all, self.locate, encode(Cat(hits, 0))))]

        return m
