"""Queue before a ring that nothing may hold back: what finds no room is lost, counted and told."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import LOST, STATE_LINE, RecordType
from tickwire_hw.records import BODY, body_layout, line_layout

DEPTH = 512
"""Entries that wait."""
LINE = line_layout(STATE_LINE)
_LOST = body_layout(LOST)


def entry_layout(instrument_bits: int) -> data.StructLayout:
    """Layout of an entry: a record, a state line that precedes it, or both.

    Without ``instrument_bits`` there are no state lines. ``is_restored`` asks for all state lines
    before the record, because some were lost.
    """
    line = {"has_line": 1, "instrument": instrument_bits, "line": LINE} if instrument_bits else {}
    return data.StructLayout({"has_record": 1, "kind": 8, "octets": BODY, "is_restored": 1, **line})


class RecordQueue(wiring.Component):
    """Keep records until the ring takes them; the source is never held back.

    An entry that finds the queue empty is at the output in the next cycle, one that waited in
    order. When 512 wait, what comes is dropped until all of them are gone: then a LOST record
    takes the place of what was dropped, and entries are taken again. So losses come in runs, each
    is told once, in its place, and a ring's numbers have no holes.

    Members
    -------
    i : ``In(stream.Signature(entry_layout(...), always_ready=True))``
        At most one entry a cycle.
    o : ``Out(stream.Signature(entry_layout(...)))``
        Entries in order, LOST among them.
    now : ``In(64)``
        Time, ns: stamp of a loss.
    number : ``In(64)``
        Number that the ring gives to the record at the output.
    is_enabled : ``In(1)``
        While it is clear nothing is taken or kept, and nothing counts as lost.
    drops : ``Out(64)``
        Records lost since the queue was enabled.
    level_max : ``Out(range(...))``
        Greatest number of entries that waited since then.
    is_lost : ``Out(1)``
        Strobe: a record was dropped.
    is_idle : ``Out(1)``
        Nothing waits, and nothing is at the output.
    """

    def __init__(self, instrument_bits: int = 0, depth: int = DEPTH) -> None:
        self._layout, self._depth = entry_layout(instrument_bits), depth
        super().__init__({
            "i": In(stream.Signature(self._layout, always_ready=True)),
            "o": Out(stream.Signature(self._layout)), "now": In(64), "number": In(64),
            "is_enabled": In(1), "drops": Out(64), "level_max": Out(range(depth + 1)),
            "is_lost": Out(1), "is_idle": Out(1)})

    def elaborate(self, platform):
        """Return the queue, its way around, and what tells of losses."""
        m = Module()

        width = self._layout.size
        m.submodules.waiting = waiting = fifo.SyncFIFOBuffered(width=width, depth=self._depth)
        is_lossy, is_told = Signal(), Signal()
        lost, body, told = Signal(_LOST), Signal(_LOST), Signal(self._layout)
        is_free, is_empty = Signal(), Signal()
        arrives, passes, stores, drops = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            is_free.eq(~self.o.valid | self.o.ready), is_empty.eq(waiting.level == 0),
            # With nothing at the output either, the ring's next number is that of LOST itself.
            self.is_idle.eq(is_empty & ~self.o.valid), is_told.eq(is_lossy & self.is_idle),
            arrives.eq(self.i.valid & self.is_enabled),
            passes.eq(arrives & is_free & is_empty & ~is_lossy),
            stores.eq(arrives & ~passes & (~is_lossy | is_told) & waiting.w_rdy),
            drops.eq(arrives & ~passes & ~stores), self.is_lost.eq(drops & self.i.p.has_record),
            waiting.w_data.eq(self.i.p), waiting.w_en.eq(stores),
            waiting.r_en.eq(is_free | ~self.is_enabled)]

        m.d.comb += [body.eq(lost), body.first.eq(self.number), told.has_record.eq(1),
                     told.kind.eq(RecordType.LOST), told.octets.eq(body), told.is_restored.eq(1)]
        with m.If(is_free):
            m.d.sync += [
                self.o.valid.eq(passes | waiting.r_rdy | is_told),
                self.o.p.eq(Mux(is_told, told, Mux(passes, self.i.p, waiting.r_data)))]
        with m.If(is_told):
            m.d.sync += [is_lossy.eq(0), lost.count.eq(0)]
        with m.If(drops):
            # A state line alone is no record, but it is missed all the same.
            m.d.sync += [is_lossy.eq(1), lost.count.eq(lost.count + self.i.p.has_record),
                         self.drops.eq(self.drops + self.i.p.has_record)]
            with m.If(~is_lossy):
                m.d.sync += lost.timestamp.eq(self.now)
        with m.If(waiting.level > self.level_max):
            m.d.sync += self.level_max.eq(waiting.level)
        with m.If(~self.is_enabled):
            m.d.sync += [self.o.valid.eq(0), is_lossy.eq(0), lost.count.eq(0), self.drops.eq(0),
                         self.level_max.eq(0)]

        return m
