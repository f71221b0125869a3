"""LEVEL records, put before the others of their messages (kernel ``publish.write_level``)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.records import BBO, RecordType
from tickwire.spec.records import LEVEL as LEVEL_RECORD
from tickwire_hw.level_table import CHANGE
from tickwire_hw.logic import saturated, stages
from tickwire_hw.publish import FOUND, LINE, RECORD_AGE
from tickwire_hw.records import BODY, body_layout

DEPTH = 64
"""Cycles of records that can wait."""
LATEST = 2 * DEPTH
"""Cycles that a record waits at most: an entry is two records or one."""
_HELD = 8                                   # of them, when no more messages are taken
_BODY, _OTHER = body_layout(LEVEL_RECORD), body_layout(BBO)
_BUY, _SELL = (ord(letter) for letter in "BS")


class Levels(wiring.Component):
    """Write a LEVEL record for each level that changed, before what else its operation wrote.

    A record a cycle, one cycle behind ``Publish``; what a LEVEL record goes before is one cycle
    later still. An operation has up to three records, an execution, and operations come every two
    cycles. On the wire an execution takes four, so more than a few records wait only while what had
    waited in the ports is worked off: then ``hold`` has the arbiter wait, with room for what is
    under way, and the ports' queues of 1,024 words fill instead. Loses nothing. Latencies are those
    of ``Publish``: what a record waits here is not in them.

    Members
    -------
    i_level : ``In(stream.Signature(CHANGE, always_ready=True))``
        From ``Book``, with its outcome.
    i_found : ``In(FOUND)``
        From ``Publish``, 3 cycles later.
    i, i_state : ``In``
        Its records and state lines.
    o, state : ``Out``
        All records, and each state line with the first record of its version that is not of a
        level.
    hold : ``Out(1)``
        For ``Arbiter``: some records wait.
    """

    def __init__(self, geometry: Geometry) -> None:
        record = data.StructLayout({"kind": 8, "octets": BODY})
        line = data.StructLayout({"instrument": max(1, ceil_log2(geometry.instruments)),
                                  "line": LINE})
        self._entry = data.StructLayout({
            "is_record": 1, "record": record, "is_line": 1, "line": line, "is_level": 1,
            "found": FOUND, "change": CHANGE})
        super().__init__({
            "i_level": In(stream.Signature(CHANGE, always_ready=True)), "i_found": In(FOUND),
            "i": In(stream.Signature(record, always_ready=True)),
            "i_state": In(stream.Signature(line, always_ready=True)),
            "o": Out(stream.Signature(record, always_ready=True)),
            "state": Out(stream.Signature(line, always_ready=True)), "hold": Out(1)})

    def elaborate(self, platform):
        """Return the queue, an entry for each cycle in which anything came."""
        m = Module()

        is_level = stages(m, self.i_level.valid, RECORD_AGE, "is_level")[-1]
        m.submodules.queue = queue = SyncFIFO(width=self._entry.size, depth=DEPTH)
        came, first = Signal(self._entry), Signal(self._entry)
        m.d.comb += [
            came.is_record.eq(self.i.valid), came.record.eq(self.i.p),
            came.is_line.eq(self.i_state.valid), came.line.eq(self.i_state.p),
            came.is_level.eq(is_level), came.found.eq(self.i_found),
            came.change.eq(stages(m, self.i_level.p, RECORD_AGE, "change")[-1]),
            queue.w_data.eq(came), queue.w_en.eq(self.i.valid | self.i_state.valid | is_level),
            first.eq(queue.r_data), self.hold.eq(queue.level > _HELD)]

        # The level of an entry first, then the rest of it.
        is_told, is_now = Signal(), Signal()
        body, change = Signal(_BODY), first.change
        m.d.comb += [
            is_now.eq(first.is_level & ~is_told),
            queue.r_en.eq(queue.r_rdy & ~(is_now & (first.is_record | first.is_line))),
            *(body[name].eq(first.found[name]) for name in dict(FOUND)),
            body.latency_ns.eq(data.View(_OTHER, first.record.octets).latency_ns),
            body.price.eq(change.price), body.orders.eq(change.value.orders),
            body.quantity.eq(saturated(change.value.shares, _BODY["quantity"].width)),
            body.side.eq(Mux(change.side, _SELL, _BUY)),
            self.o.valid.eq(queue.r_rdy & (is_now | first.is_record)),
            self.o.p.kind.eq(Mux(is_now, RecordType.LEVEL.value, first.record.kind)),
            self.o.p.octets.eq(Mux(is_now, body.as_value(), first.record.octets)),
            self.state.valid.eq(queue.r_rdy & ~is_now & first.is_line),
            self.state.p.eq(first.line)]
        m.d.sync += is_told.eq(queue.r_rdy & ~queue.r_en)

        return m
