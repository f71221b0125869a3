"""The host's side of the card, composed: records out, intents in, registers, interrupts."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec.counters import COUNTER_SLOTS
from tickwire.spec.digest import digest
from tickwire.spec.geometry import Geometry
from tickwire.spec.registers import (
    ABI_MAJOR,
    ABI_MINOR,
    COUNTER_OFFSET,
    INTERRUPT_VECTORS,
    MAGIC,
    Interrupt,
    Status,
)
from tickwire_hw.burst_merge import BurstMerge
from tickwire_hw.counters import HostCounts, PageSignature
from tickwire_hw.histogram_page import HistogramPage
from tickwire_hw.host_bus import HostBus
from tickwire_hw.host_frame import HostFrame
from tickwire_hw.host_port import ADAPTER
from tickwire_hw.intent_window import IntentWindow, Taken
from tickwire_hw.interrupts import Interrupts
from tickwire_hw.logic import saturated
from tickwire_hw.record_writer import RecordWriter, Ring
from tickwire_hw.registers import EVENTS_LAYOUT, STATUS_LAYOUT, VALUES_LAYOUT, Registers
from tickwire_hw.sample_merge import SampleMerge
from tickwire_hw.stream import Word

OTHERS = data.StructLayout({
    "status": 32, "feed_state": 32, "feed_expected": 64, "feed_highest": 64, "kill_cause": 32,
    "kill_time": 64, "epoch": 32, "time_now": 64, "clock_snap_time": 64, "clock_snap_counter": 64,
    "clock_slew_left": 64, "limits_version": 32, "limits_crc": 32, "table_index": 32,
    "table_crc": 32, "session_update": 32})
"""Registers that the rest of the card shows; RING_ERROR of STATUS is added here."""
_RUN = 0                                   # bit of CONTROL
_PAGE = COUNTER_OFFSET // 4
_RINGS = {Ring.MARKET: "ring_market", Ring.ORDER: "ring_order", Ring.CAPTURE: "ring_capture"}


class HostInterface(wiring.Component):
    """Everything between the card's pipelines and an adapter of a bus.

    Latencies are those of the parts: a market record's bursts are offered one cycle after it
    came. A record's ring epoch goes on with each start of the card (bit 0 of CONTROL), so nothing
    of an earlier run is believed.

    Members
    -------
    burst, request, answer
        To and from an adapter; see ``host_port``.
    has_msix, is_msix_masked : ``In(1)``
        Bits of the function's MSI-X capability.
    i_market, i_line, i_order, i_capture, room
        As of ``RecordWriter``.
    intent, has_room
        As of ``IntentWindow``.
    others, values, events
        Registers of the rest of the card, and what the host wrote; see ``Registers``.
    page : ``In(PageSignature())``
        The counters. COUNTERS_TAKE takes a picture, and accesses wait until it is shown.
    counts : ``Out(HostCounts)``
        What this cycle adds to some of them.
    i_stage, i_applied
        Durations for the histograms, which begin anew with each start of the card; ``i`` and
        ``applied`` of ``SampleMerge``.
    o_frame : ``Out(stream.Signature(Word, always_ready=True))``
        Frames of the host for the market side; see ``HostFrame``.
    o_order_frame : ``Out(stream.Signature(Word))``
        Frames of the host for the order line.
    slow_events : ``In(INTERRUPT_VECTORS)``
        Strobes of ``Interrupt`` by the rest of the card.
    """

    def __init__(self, geometry: Geometry, *, core_hz: int = 250_000_000, capabilities: int = 0,
                 token_log2: int = 12) -> None:
        self._geometry, self._token_log2 = geometry, token_log2
        self._core_hz, self._capabilities = core_hz, capabilities
        self._writer, self._samples = RecordWriter(geometry), SampleMerge()
        writer, samples = (part.signature.members for part in (self._writer, self._samples))
        super().__init__({
            **{name: member.flip() for name, member in ADAPTER.items()},
            **{name: writer[name] for name in ("i_market", "i_line", "i_order", "i_capture",
                                               "room")},
            "intent": Out(stream.Signature(Taken)), "has_room": In(1),
            "others": In(OTHERS),
            "values": Out(VALUES_LAYOUT), "events": Out(EVENTS_LAYOUT),
            "page": In(PageSignature()), "counts": Out(HostCounts),
            "i_stage": samples["i"], "i_applied": samples["applied"],
            "o_frame": Out(stream.Signature(Word, always_ready=True)),
            "o_order_frame": Out(stream.Signature(Word)),
            "slow_events": In(INTERRUPT_VECTORS)})

    def elaborate(self, platform):
        """Return the parts, connected."""
        m = Module()

        m.submodules.writer = writer = self._writer
        m.submodules.window = window = IntentWindow()
        m.submodules.bus = bus = HostBus()
        m.submodules.registers = registers = Registers()
        m.submodules.interrupts = interrupts = Interrupts()
        m.submodules.merge = merge = BurstMerge()
        for name in ("i_market", "i_line", "i_order", "i_capture"):
            connect(m, flipped(getattr(self, name)), getattr(writer, name))
        connect(m, writer.o, merge.i_first)
        connect(m, interrupts.burst, merge.i_second)
        connect(m, merge.o, flipped(self.burst))
        connect(m, flipped(self.request), bus.i)
        connect(m, bus.answer, flipped(self.answer))
        connect(m, bus.window, window.i)
        connect(m, bus.registers, registers.i)
        connect(m, bus.interrupts, interrupts.i)
        m.submodules.histograms = histograms = HistogramPage()
        m.submodules.samples = samples = self._samples
        connect(m, flipped(self.i_stage), samples.i)
        connect(m, flipped(self.i_applied), samples.applied)
        connect(m, samples.o, histograms.i)
        m.d.comb += self.counts.samples_lost.eq(samples.is_lost)
        self._page(m, bus, registers, registers.o | interrupts.o | histograms.o)
        self._histograms(m, bus, registers, histograms)
        m.submodules.frame = frame = HostFrame()
        connect(m, frame.o, flipped(self.o_frame))
        connect(m, frame.o_order, flipped(self.o_order_frame))
        m.d.comb += [
            frame.access.valid.eq(bus.registers.valid), frame.access.p.eq(bus.registers.p),
            frame.send.valid.eq(registers.events.frame_send.is_written),
            frame.send.p.eq(registers.events.frame_send.value)]
        connect(m, window.o, flipped(self.intent))
        m.d.comb += [
            self.room.eq(writer.room), self.values.eq(registers.values),
            self.events.eq(registers.events), window.has_room.eq(self.has_room),
            window.epoch.eq(self.others.epoch), window.now.eq(self.others.time_now),
            writer.now.eq(self.others.time_now), writer.credit.eq(window.consumed),
            interrupts.is_enabled.eq(self.has_msix), interrupts.is_masked.eq(self.is_msix_masked)]
        self._set(m, registers, writer)
        self._show(m, registers, writer, interrupts, histograms, frame)
        self._tell(m, registers, writer, window, interrupts)
        return m

    def _page(self, m: Module, bus: HostBus, registers: Registers, others: Value) -> None:
        """Show the counter page behind the registers."""
        access, word, is_high = bus.registers.p, Signal(64), Signal()
        is_page, is_taking, has_fallen = Signal(), Signal(), Signal()
        m.d.comb += [
            self.page.take.eq(registers.events.counters_take.is_written),
            self.page.address.eq((access.address - _PAGE)[1:]), word.eq(self.page.value),
            bus.hold.eq(is_taking),
            bus.values.eq(others | Mux(is_page, Mux(is_high, word[32:], word[:32]), 0))]
        with m.If(self.page.take):
            m.d.sync += [is_taking.eq(1), has_fallen.eq(0)]
        with m.Elif(~self.page.is_shown):
            m.d.sync += has_fallen.eq(1)
        with m.Elif(has_fallen):
            m.d.sync += is_taking.eq(0)
        m.d.sync += [
            is_high.eq(access.address[0]),
            is_page.eq(bus.registers.valid & access.is_read & (access.address >= _PAGE)
                       & (access.address < _PAGE + 2 * COUNTER_SLOTS))]

    def _histograms(self, m: Module, bus: HostBus, registers: Registers,
                    histograms: HistogramPage) -> None:
        """Let the host have histograms shown, read and cleared."""
        control, was_running = registers.events.histogram_control, Signal()
        m.d.sync += was_running.eq(registers.values.control[_RUN])
        m.d.comb += [
            histograms.access.valid.eq(bus.registers.valid),
            histograms.access.p.eq(bus.registers.p),
            histograms.is_start.eq(registers.values.control[_RUN] & ~was_running),
            histograms.control.eq(Mux(control.is_written, control.value, 0)),
            histograms.stage.eq(registers.values.histogram_stage)]

    def _set(self, m: Module, registers: Registers, writer: RecordWriter) -> None:
        """Let the host's registers set rings and state table."""
        values, events = registers.values, registers.events
        for ring, name in _RINGS.items():
            m.d.comb += [
                writer.rings[ring.value].base.eq(getattr(values, f"{name}_base")),
                writer.rings[ring.value].log2.eq(saturated(getattr(values, f"{name}_log2"), 5)),
                writer.rings[ring.value].enable.eq(getattr(values, f"{name}_control")[0])]
        consumed = Signal(64)
        with m.If(events.ring_order_consumed.is_written):
            m.d.sync += consumed.eq(events.ring_order_consumed.value)
        with m.If(~writer.states[Ring.ORDER.value].is_enabled):
            m.d.sync += consumed.eq(0)
        m.d.comb += [
            writer.table.base.eq(values.state_base), writer.table.enable.eq(
                values.state_control[0]), writer.consumed.eq(consumed)]

    def _show(self, m: Module, registers: Registers, writer: RecordWriter,
              interrupts: Interrupts, histograms: HistogramPage, frame: HostFrame) -> None:
        """Let the host read what became of it all."""
        status = registers.status
        book, queues = self._geometry.registers(self._token_log2)
        echo, epoch, was_running = Signal(32), Signal(8), Signal()
        is_running = registers.values.control[_RUN]
        with m.If(registers.events.echo.is_written):
            m.d.sync += echo.eq(registers.events.echo.value)
        m.d.sync += was_running.eq(is_running)
        with m.If(is_running & ~was_running):
            m.d.sync += epoch.eq(Mux(epoch == 255, 1, epoch + 1))
        shown = {
            "ring_epoch": epoch, "echo": ~echo, "magic": MAGIC,
            "abi": ABI_MAJOR << 16 | ABI_MINOR, "digest": digest(), "core_hz": self._core_hz,
            "capabilities": self._capabilities, "geometry_book": book, "geometry_queues": queues,
            "interrupt_cause": interrupts.cause, "histogram_state": histograms.state,
            "frame_send": frame.is_busy,
            **{name: getattr(self.others, name) for name in dict(OTHERS)},
            "status": self.others.status | Mux(_refused(writer).any(), Status.RING_ERROR, 0),
            "state_control": Cat(writer.table_state.is_enabled, writer.table_state.is_refused),
            "ring_market_queue_max": writer.states[Ring.MARKET.value].queue_max}
        for ring, name in _RINGS.items():
            state = writer.states[ring.value]
            shown |= {f"{name}_control": Cat(state.is_enabled, state.is_refused),
                      f"{name}_sequence": state.written}
            if ring is not Ring.ORDER:             # nothing of it is ever dropped
                shown[f"{name}_drops"] = state.drops
        assert shown.keys() == dict(STATUS_LAYOUT).keys(), "a register reads as nothing"
        m.d.comb += [writer.epoch.eq(epoch), *(getattr(status, name).eq(value)
                                               for name, value in shown.items())]

    def _tell(self, m: Module, registers: Registers, writer: RecordWriter, window: IntentWindow,
              interrupts: Interrupts) -> None:
        """Count and interrupt."""
        def has_changed(value, name: str):
            before = Signal(len(value), name=f"{name}_before")
            m.d.sync += before.eq(value)
            return value != before
        _, order, _ = writer.states
        refused = _refused(writer)
        before = Signal(len(refused))
        m.d.sync += before.eq(refused)
        is_lost = Cat(state.is_lost for state in writer.states)
        given = window.o
        for name, condition in {
                # A ring that is enabled anew begins at 0, which is no record.
                "order_records": has_changed(order.written[:1], "order_records")
                & order.written.any(),
                "records_dropped": is_lost[Ring.MARKET.value] + is_lost[Ring.CAPTURE.value],
                "intents": has_changed(window.consumed[:1], "intents")}.items():
            m.d.comb += getattr(self.counts, name).eq(condition)
        slow = Signal(INTERRUPT_VECTORS)
        for event, condition in {
                Interrupt.RING_ERROR: (refused & ~before).any(), Interrupt.LOST: is_lost.any(),
                Interrupt.INTENT_ERROR: given.valid & given.ready & given.p.error.any()}.items():
            m.d.comb += slow[event.bit_length() - 1].eq(condition)
        clear = registers.events.interrupt_cause
        m.d.comb += [
            interrupts.events.eq(self.slow_events | slow),
            interrupts.mask.eq(registers.values.interrupt_mask),
            interrupts.clear.eq(Mux(clear.is_written, clear.value, 0))]


def _refused(writer: RecordWriter):
    """Bits: a ring or the table was refused."""
    return Cat(*(state.is_refused for state in writer.states), writer.table_state.is_refused)
