"""A register between a port's backlog and its walker, where a clock matters more than a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.backlog import STROBES, Entry

_REST = 2
"""Cycles from ``hold`` to the first one in which nothing may be in hand."""


class EntryHop(wiring.Component):
    """Give each entry of :class:`tickwire_hw.backlog.Backlog` a cycle later, again if asked for.

    Latency 1, one entry a cycle. What comes while an entry stays is asked for again.

    Members
    -------
    i, o : ``In``, ``Out`` of ``{entry, is_first, is_next, is_cut, is_verdict}``
        From the backlog, and for the walker.
    is_again : ``In(1)``
        The entry in hand is needed once more.
    hold : ``In(1)``
        Give nothing from the second cycle after this one on; the backlog is held, too.
    stays : ``Out(1)``
        What the backlog gives in this cycle is needed again.
    """

    def __init__(self) -> None:
        layout = data.StructLayout({"entry": Entry, **dict.fromkeys(STROBES, 1)})
        super().__init__({"i": In(layout), "o": Out(layout), "is_again": In(1), "hold": In(1),
                          "stays": Out(1)})

    def elaborate(self, platform):
        """Return the entry, what it is, and what of that is shown."""
        m = Module()

        kind, shown, rests = Signal(len(STROBES)), Signal(len(STROBES)), Signal(_REST)
        coming = Cat(self.i[name] for name in STROBES)
        m.d.comb += [
            self.stays.eq(self.is_again | (rests[-1] & kind.any())),
            *(self.o[name].eq(shown[place]) for place, name in enumerate(STROBES))]
        m.d.sync += [
            rests.eq(Cat(self.hold, rests)),
            shown.eq(Mux(self.stays, kind, coming) & ~rests[-2].replicate(len(shown)))]
        with m.If(~self.stays):
            m.d.sync += [self.o.entry.eq(self.i.entry), kind.eq(coming)]

        return m
