"""Records and state lines into host memory: three rings and a table, in an order to rely on.

Kernels: ``ring``, and ``publish`` for what comes before a record.
"""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.registers import RING_LOG2_MAX, RING_LOG2_MIN
from tickwire_hw.host_port import Burst
from tickwire_hw.record_queue import DEPTH, LINE, RecordQueue
from tickwire_hw.records import BODY
from tickwire_hw.ring_setting import RingSetting
from tickwire_hw.state_mirror import StateMirror

RECORD = data.StructLayout({"kind": 8, "octets": BODY})
"""A record without its trailer, which belongs to the ring."""
RING = data.StructLayout({"base": 64, "log2": 5, "enable": 1})
"""A ring as the host sets it; ``log2`` of its slots."""
RING_STATE = data.StructLayout({"is_enabled": 1, "is_refused": 1, "written": 64, "drops": 64,
                                "queue_max": 16, "is_lost": 1})
"""What became of it."""


class Ring(enum.Enum, shape=2):
    """Rings, in the order of their registers."""

    MARKET = 0
    ORDER = 1
    CAPTURE = 2


class RecordWriter(wiring.Component):
    """Write records to their rings and state lines to their table, one burst each.

    A market record and its state line are offered as bursts one cycle after they came, the line
    first, when nothing waits. The pipeline is never held back: see :class:`RecordQueue` for what
    becomes of records that find no room. Before a LOST record, and when the table is enabled, the
    newest line of every instrument that has one is written, so no reader keeps an old one; until
    nothing waits any more a line then takes one more cycle, to see whether the table is newer.

    Order records are held back at their port while their ring has no slot that the host has read;
    nothing of theirs is ever lost. While their ring is disabled they are taken and dropped.
    Orders go first, then market data, then the capture; nothing comes between a line and its
    record.

    Members
    -------
    i_market, i_line : ``In(stream.Signature(..., always_ready=True))``
        Records and state lines of the pipeline; a line comes with its record, in the same cycle.
    i_order : ``In(stream.Signature(RECORD))``
        Records of orders.
    i_capture : ``In(stream.Signature(RECORD, always_ready=True))``
        Records of the capture.
    o : ``Out(stream.Signature(Burst))``
        Bursts, in the order in which a reader may see them.
    rings : ``In(data.ArrayLayout(RING, 3))``
        Rings as the host sets them, in the order of :class:`Ring`.
    states : ``Out(data.ArrayLayout(RING_STATE, 3))``
        What became of them.
    table, table_state : ``In(RING)``, ``Out(...)``
        The state table, whose size is the geometry's.
    consumed : ``In(64)``
        Order records that the host has read. More than were written counts as none.
    room : ``Out(range(...))``
        Free slots of the order ring.
    epoch, credit, now : ``In``
        What goes into trailers and LOST records.
    """

    def __init__(self, geometry: Geometry, depth: int = DEPTH) -> None:
        self._instruments = geometry.instruments
        self._bits = max(1, ceil_log2(geometry.instruments))
        self._market_queue = RecordQueue(self._bits, depth)
        self._capture_queue = RecordQueue(depth=depth)
        super().__init__({
            "i_market": In(stream.Signature(RECORD, always_ready=True)),
            "i_line": In(stream.Signature(data.StructLayout(
                {"instrument": self._bits, "line": LINE}), always_ready=True)),
            "i_order": In(stream.Signature(RECORD)),
            "i_capture": In(stream.Signature(RECORD, always_ready=True)),
            "o": Out(stream.Signature(Burst)),
            "rings": In(data.ArrayLayout(RING, len(Ring))),
            "states": Out(data.ArrayLayout(RING_STATE, len(Ring))),
            "table": In(data.StructLayout({"base": 64, "enable": 1})),
            "table_state": Out(data.StructLayout({"is_enabled": 1, "is_refused": 1})),
            "consumed": In(64), "room": Out(RING_LOG2_MAX + 1),
            "epoch": In(8), "credit": In(16), "now": In(64)})

    def elaborate(self, platform):
        """Return the queues, the settings, and the choice of what comes next."""
        m = Module()

        settings = [RingSetting() for _ in Ring]
        m.submodules += settings
        for setting, given, state in zip(settings, self.rings, self.states, strict=True):
            m.d.comb += [
                setting.base.eq(given.base), setting.log2.eq(given.log2),
                setting.enable.eq(given.enable), state.is_enabled.eq(setting.is_enabled),
                state.is_refused.eq(setting.is_refused), state.written.eq(setting.number - 1)]
        table = self._table(m)
        m.submodules.market = market = self._market_queue
        m.submodules.capture = capture = self._capture_queue
        for ring, queue in ((Ring.MARKET, market), (Ring.CAPTURE, capture)):
            setting = settings[ring.value]
            m.d.comb += [
                queue.now.eq(self.now), queue.number.eq(setting.number),
                queue.is_enabled.eq(setting.is_enabled),
                self.states[ring.value].drops.eq(queue.drops),
                self.states[ring.value].queue_max.eq(queue.level_max),
                self.states[ring.value].is_lost.eq(queue.is_lost)]
        m.d.comb += [
            market.i.valid.eq(self.i_market.valid | self.i_line.valid),
            market.i.p.has_record.eq(self.i_market.valid), market.i.p.kind.eq(self.i_market.p.kind),
            market.i.p.octets.eq(self.i_market.p.octets),
            market.i.p.has_line.eq(self.i_line.valid),
            market.i.p.instrument.eq(self.i_line.p.instrument),
            market.i.p.line.eq(self.i_line.p.line),
            capture.i.valid.eq(self.i_capture.valid), capture.i.p.has_record.eq(1),
            capture.i.p.kind.eq(self.i_capture.p.kind),
            capture.i.p.octets.eq(self.i_capture.p.octets)]

        order_setting = settings[Ring.ORDER.value]
        used = Signal(64)
        m.d.comb += [
            used.eq(order_setting.number - 1 - self.consumed),
            self.room.eq(Mux(order_setting.is_enabled & (used <= order_setting.mask),
                             order_setting.mask + 1 - used[:RING_LOG2_MAX + 1], 0))]
        self._bursts(m, settings, table)
        return m

    def _table(self, m: Module) -> RingSetting:
        """Return the state table's place: a ring that never goes on."""
        m.submodules.table = table = RingSetting()
        m.d.comb += [
            table.base.eq(self.table.base), table.enable.eq(self.table.enable),
            table.log2.eq(max(RING_LOG2_MIN, ceil_log2(self._instruments))),
            self.table_state.is_enabled.eq(table.is_enabled),
            self.table_state.is_refused.eq(table.is_refused)]
        return table

    def _bursts(self, m: Module, settings: list[RingSetting], table: RingSetting) -> None:
        """Choose an entry, and offer what belongs to it, burst after burst."""
        market, order, capture = self._market_queue.o, self.i_order, self._capture_queue.o
        m.submodules.lines = lines = StateMirror(self._instruments)
        offered, is_done = Signal(len(Ring)), Signal()
        m.d.comb += offered.eq(Cat(market.valid | lines.is_due, order.valid & (self.room != 0),
                                   capture.valid))

        # A source that was chosen stays until its entry is done: nothing changes while it waits.
        chosen, held, is_held, is_offered = Signal(Ring), Signal(Ring), Signal(), Signal()
        m.d.comb += [
            chosen.eq(Mux(is_held, held, Mux(
                offered[Ring.ORDER.value], Ring.ORDER, Mux(
                    offered[Ring.MARKET.value], Ring.MARKET, Ring.CAPTURE)))),
            is_offered.eq(offered.bit_select(chosen.as_value(), 1))]
        m.d.sync += [is_held.eq(is_offered & ~is_done), held.eq(chosen)]
        is_market = chosen == Ring.MARKET
        is_line, is_line_done, is_taken = Signal(), Signal(), Signal()
        waits, was_line = Signal(), Signal()       # what is offered stays, whatever is enabled then
        is_compared, is_unknown = Signal(), Signal()   # with what the table has already
        m.d.comb += [
            is_line.eq(Mux(waits, was_line, market.p.has_line & ~is_line_done & table.is_enabled
                           & ~(is_compared & lines.is_old))),
            is_unknown.eq(market.p.has_line & lines.has_old & ~is_compared & ~waits),
            is_taken.eq(self.o.valid & self.o.ready)]
        m.d.sync += [waits.eq(self.o.valid & ~self.o.ready), was_line.eq(is_line)]
        m.d.sync += is_compared.eq(is_market & is_offered & ~lines.is_due & ~is_done
                                   & (is_compared | is_unknown))
        with m.If(~offered[Ring.MARKET.value] | is_market & is_done):
            m.d.sync += is_line_done.eq(0)
        with m.Elif(is_market & is_taken & ~lines.is_due):
            m.d.sync += is_line_done.eq(1)

        m.d.comb += [
            lines.valid.eq(self.i_line.valid), lines.given.eq(self.i_line.p.line),
            lines.given_instrument.eq(self.i_line.p.instrument),
            lines.is_enabled.eq(table.is_enabled), lines.is_asked.eq(
                market.valid & market.p.is_restored),
            lines.is_asked_done.eq(is_market & is_done),
            lines.is_idle.eq(self._market_queue.is_idle), lines.entry.eq(market.p.instrument),
            lines.entry_version.eq(market.p.line.version),
            lines.is_held.eq(is_held & (held == Ring.MARKET)),
            lines.step.eq(is_market & lines.is_due & is_taken)]

        choices = [Array(values)[chosen.as_value()] for values in (
            [setting.address for setting in settings],
            [setting.number[:32] for setting in settings],
            [setting.is_enabled for setting in settings],
            [market.p.kind, order.p.kind, capture.p.kind],
            [market.p.octets, order.p.octets, capture.p.octets])]
        address, number, is_enabled, kind, octets = choices
        has_record = ~is_market | market.p.has_record
        kept = Signal(len(self.credit))
        credit = Mux(waits, kept, self.credit)
        m.d.sync += kept.eq(credit)
        with m.If(is_market & lines.is_due):
            m.d.comb += [self.o.valid.eq(lines.is_read), self.o.p.data.eq(lines.line),
                         self.o.p.address.eq(table.address | (lines.instrument << 6))]
        with m.Elif(is_market & market.valid & is_unknown):
            pass                                   # one cycle later it is known
        with m.Elif(is_market & is_line):
            # A ring that is off by now takes its entry back, and a burst must not be taken back.
            m.d.comb += [self.o.valid.eq(market.valid & is_enabled),
                         self.o.p.data.eq(market.p.line),
                         self.o.p.address.eq(table.address | (market.p.instrument << 6)),
                         is_done.eq(~has_record & self.o.ready)]
        with m.Else():
            m.d.comb += [self.o.valid.eq(is_offered & has_record & is_enabled),
                         self.o.p.data.eq(Cat(octets, number, kind, self.epoch, credit)),
                         self.o.p.address.eq(address),
                         is_done.eq(is_offered & (self.o.ready | ~self.o.valid))]

        is_table = is_market & (lines.is_due | is_line)
        m.d.comb += table.is_busy.eq(self.o.valid & is_table)
        for ring, source in ((Ring.MARKET, market), (Ring.ORDER, order), (Ring.CAPTURE, capture)):
            setting, is_chosen = settings[ring.value], chosen == ring
            # An order record without a ring would wait for ever.
            is_dropped = ~setting.is_enabled if ring is Ring.ORDER else C(0)
            m.d.comb += [
                setting.is_busy.eq(is_chosen & self.o.valid & ~self.o.ready),
                setting.advance.eq(is_chosen & is_taken & ~is_table),
                source.ready.eq(is_chosen & is_done | is_dropped)]
