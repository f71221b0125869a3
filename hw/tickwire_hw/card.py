"""The card without MACs and bus: core, host's side and clock, composed."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec.geometry import Geometry
from tickwire.spec.orders import ANSWER_RECORDS, FIRE_RECORDS, RESERVED_RECORDS
from tickwire.spec.records import FeedState, Line
from tickwire.spec.registers import (
    Capability,
    FeedSetting,
    GapPolicy,
    Interrupt,
    KillAction,
    Status,
)
from tickwire.spec.sessions import SESSIONS_MAX, SessionOperation
from tickwire_hw.capture import Capture
from tickwire_hw.clock import LINE_HZ, Clock
from tickwire_hw.core import Core
from tickwire_hw.feed_state import LINES
from tickwire_hw.host_interface import HostInterface
from tickwire_hw.host_port import ADAPTER
from tickwire_hw.join import join
from tickwire_hw.mac_counters import MACCounters, MACCounts
from tickwire_hw.order_line import OrderLine
from tickwire_hw.order_path import ROWS_LOG2
from tickwire_hw.risk import Table
from tickwire_hw.stream import Word

_NETWORK = ("causes", "is_overflow", "is_lost", "is_idle")
_SETTINGS = {FeedSetting.CHECK_UDP: "check_udp", FeedSetting.OTHER_SESSION: "accept_session",
             FeedSetting.HAS_SESSION: "has_session", FeedSetting.WATCH_ALL: "watch_all"}
_NUMBERS = {"size_max": "frame_size_max", "start": "feed_start", "line_timeout_ns": "line_timeout",
            "patience_ns": "gap_patience", "stale_ns": "feed_stale", "sessions": "order_sessions",
            "released": "sessions_released"}
_TICK = 10                                  # a look at the lines' silence each 1,024 cycles
_PART_KILLS = {Table.INSTRUMENT: "instrument_kill", Table.STRATEGY: "strategy_kill",
               Table.SESSION: "session_kill"}
_IS_SET = 16                                # bit of a register that names a part


class Card(wiring.Component):
    """Frames in and out on one side, records, intents and registers on the other.

    Everything is set up through registers: rings, limits, kill switch, clock; lines, symbols and
    ticks; templates and positions of sessions. Latencies, throughput and losses are those of
    ``Core`` and ``HostInterface``. A start (bit 0 of CONTROL) begins the market data anew, and
    STATUS says RUNNING when all tables are clear; the books and what is open at the venue are kept
    until reset, which leaves nothing. With ``is_simulated`` the clock can be set while the device
    is armed: it follows the time of what simulates the card, which takes longer for a cycle than a
    cycle is.

    Members
    -------
    burst, request, answer, has_msix, is_msix_masked
        As of ``HostInterface``.
    words : ``In(stream.Signature(Word, always_ready=True)).array(2)``
        Frames of lines A and B, as of ``Core``. What the host has recovered comes from the host,
        by ``HostFrame``.
    order_words : ``In(stream.Signature(Word, always_ready=True))``
        Frames that were received on the order line; they go up by ``Capture``.
    o_order : ``Out(stream.Signature(Word))``
        Frames for the order line, as of ``OrderLine``; what is taken goes up too.
    mac_counts : ``In(MACCounts)``
        What this cycle adds to the counters of the MACs.
    size_max : ``Out(16)``
        Octets of the longest frame of a market line, without its check.
    causes, is_overflow, is_lost, is_idle
        As of ``Core``.
    """

    def __init__(self, geometry: Geometry, rows_log2: int = ROWS_LOG2, *,
                 is_simulated: bool = False) -> None:
        self._core, self._is_simulated = Core(geometry, rows_log2), is_simulated
        self._host = HostInterface(geometry, core_hz=LINE_HZ, token_log2=rows_log2,
                                   capabilities=Capability.TRIGGERS | Capability.HOST_FRAMES
                                   | Capability.ORDER_LINE
                                   | (Capability.LEVELS if geometry.depth else 0)
                                   | (Capability.SIMULATED_TIME if is_simulated else 0))
        self._through = {name: (part, part.signature.members[name])
                         for part, names in ((self._host, ADAPTER), (self._core, _NETWORK))
                         for name in names}
        super().__init__({
            "words": In(stream.Signature(Word, always_ready=True)).array(LINES),
            "order_words": In(stream.Signature(Word, always_ready=True)),
            "o_order": Out(stream.Signature(Word)), "mac_counts": In(MACCounts),
            "size_max": Out(16), **{name: member for name, (_, member) in self._through.items()}})

    def elaborate(self, platform):
        """Return the parts, connected."""
        m = Module()

        m.submodules.core, m.submodules.host = core, host = self._core, self._host
        m.submodules.clock = clock = Clock()
        for name, (part, member) in self._through.items():
            join(m, member, getattr(self, name), getattr(part, name))
        for theirs, ours in ((host.i_market, core.records), (host.i_line, core.lines_out)):
            m.d.comb += [theirs.valid.eq(ours.valid), theirs.p.eq(ours.p)]
        for line in range(LINES):
            connect(m, flipped(self.words[line]), core.words[line])
        connect(m, host.o_frame, core.words[Line.RECOVERY])
        m.submodules.line, m.submodules.capture = line, capture = OrderLine(), Capture()
        connect(m, core.o_order, line.i_order)
        connect(m, host.o_order_frame, line.i_host)
        connect(m, line.o, flipped(self.o_order))
        connect(m, line.sent, capture.sent)
        connect(m, flipped(self.order_words), capture.received)
        connect(m, capture.o, host.i_capture)
        connect(m, core.order_record, host.i_order)
        connect(m, core.stage, host.i_stage)
        connect(m, core.applied, host.i_applied)
        connect(m, host.intent, core.i)
        m.submodules.mac_counters = mac_counters = MACCounters()
        connect(m, core.counters, mac_counters.i_page)
        connect(m, mac_counters.page, host.page)
        m.d.comb += [
            mac_counters.i.eq(self.mac_counts), self.size_max.eq(core.size_max),
            core.now.eq(clock.now), capture.now.eq(clock.now), core.host_counts.eq(host.counts),
            host.has_room.eq(host.room >= ANSWER_RECORDS + RESERVED_RECORDS),
            core.has_room.eq(host.room >= FIRE_RECORDS + RESERVED_RECORDS)]
        self._clock(m, clock)
        self._feed(m)
        self._instruments(m)
        self._orders(m)
        self._sessions(m)
        self._status(m, clock)
        return m

    def _clock(self, m, clock):
        """Registers of the clock."""
        values, events = self._host.values, self._host.events
        for port, name in ((clock.i_increment, "clock_increment"), (clock.i_set, "clock_set"),
                           (clock.i_slew, "clock_slew")):
            m.d.comb += [port.valid.eq(events[name].is_written), port.p.eq(events[name].value)]
        m.d.comb += [
            clock.rate.eq(values.clock_slew_rate),
            clock.is_armed.eq(~self._core.is_killed & (not self._is_simulated)),
            clock.snap.eq(events.clock_snap.is_written)]

    def _feed(self, m):
        """Registers of the market side."""
        core, values, events = self._core, self._host.values, self._host.events
        ticks, was_running = Signal(_TICK), Signal()
        m.d.sync += [ticks.eq(ticks + 1), was_running.eq(values.control[0])]
        m.d.comb += [
            core.restart.eq(values.control[0] & ~was_running),
            core.policy.eq(Mux(values.gap_policy == GapPolicy.SKIP, GapPolicy.SKIP,
                               GapPolicy.WAIT)),
            core.tick.eq(ticks == 0), core.tick_stamp.eq(core.now),
            core.give_up.eq(events.feed_give_up.is_written),
            core.give_up_number.eq(events.feed_give_up.value), core.give_up_stamp.eq(core.now),
            core.lines.eq(Cat(1, (values.feed_setting & FeedSetting.WAIT_FOR_B).any())),
            core.session.eq(Cat(values.feed_session, values.feed_session_end))]
        m.d.comb += [core.keys[line].eq(values[f"line_{line.name.lower()}"]) for line in Line]
        m.d.comb += [getattr(core, port).eq((values.feed_setting & setting).any())
                     for setting, port in _SETTINGS.items()]
        m.d.comb += [getattr(core, port).eq(values[name]) for port, name in _NUMBERS.items()]

    def _instruments(self, m):
        """Registers of symbols and ticks."""
        core, values, events = self._core, self._host.values, self._host.events
        symbol, grid, row = events.instrument_symbol, events.instrument_grid, core.i_grid.p.row
        for port in (core.i_watch, core.i_symbol):
            m.d.comb += [
                port.valid.eq(symbol.is_written), port.p.symbol.eq(symbol.value),
                port.p.instrument.eq(values.instrument_index)]
        m.d.comb += [
            core.i_grid.valid.eq(grid.is_written),
            core.i_grid.p.instrument.eq(values.instrument_index), row.tick.eq(grid.value[:32]),
            row.bits.eq(grid.value[32:40]), row.least.eq(grid.value[40:]),
            row.multiplier.eq(values.grid_multiplier)]

    def _orders(self, m):
        """Registers of limits and kill switch."""
        core, values, events = self._core, self._host.values, self._host.events
        for port, event in (
                (core.i_number, events.order_number), (core.table_begin, events.table_index),
                (core.table_word, events.table_data), (core.limits_commit, events.limits_commit),
                (core.i_kill, events.kill), (core.i_kick, events.watchdog_kick)):
            m.d.comb += [port.valid.eq(event.is_written), port.p.eq(event.value)]
        m.d.comb += [
            core.i_arm.valid.eq(events.arm.is_written), core.i_arm.p.eq(events.arm.value[:32]),
            core.watchdog_period.eq(values.watchdog_period),
            core.watchdog_closed.eq(values.watchdog_closed),
            core.mass_cancel.eq((values.kill_action & KillAction.MASS_CANCEL).any())]
        for table, name in _PART_KILLS.items():
            event = events[name]
            with m.If(event.is_written):
                m.d.comb += [
                    core.i_part_kill.valid.eq(1), core.i_part_kill.p.table.eq(table),
                    core.i_part_kill.p.number.eq(event.value[:_IS_SET]),
                    core.i_part_kill.p.is_killed.eq(event.value[_IS_SET])]

    def _sessions(self, m):
        """Registers of order sessions."""
        core, values, events = self._core, self._host.values, self._host.events
        word, update, event = core.i_template, core.i_session, events.session_update
        is_known = event.value[:8] < len(SessionOperation)
        m.d.comb += [
            word.valid.eq(events.session_template.is_written),
            word.p.session.eq(values.session_index[:8]), word.p.word.eq(values.session_index[8:]),
            word.p.data.eq(events.session_template.value),
            self._host.others.session_update.eq(update.valid)]
        # An order that waits for the line keeps its position: the update waits too.
        with m.If(~update.valid):
            m.d.sync += [
                update.valid.eq(event.is_written & is_known),
                update.p.session.eq(values.session_index[:8]),
                update.p.operation.eq(event.value), update.p.window.eq(event.value[16:]),
                update.p.sequence.eq(values.session_position[:32]),
                update.p.acknowledgment.eq(values.session_position[32:])]
        with m.Elif(update.ready):
            m.d.sync += update.valid.eq(0)
        session, up = events.session_state, Signal(SESSIONS_MAX)
        for number in range(SESSIONS_MAX):
            with m.If(session.is_written & (session.value[:_IS_SET] == number)):
                m.d.sync += up[number].eq(session.value[_IS_SET])
        m.d.comb += core.sessions_up.eq(up)

    def _status(self, m, clock):
        """What the host reads, and what interrupts it."""
        core, host, others = self._core, self._host, self._host.others
        is_killed, state = Signal(init=1), Signal(8)
        m.d.sync += [is_killed.eq(core.is_killed), state.eq(core.state)]
        m.d.comb += [
            others.status.eq(
                Mux(host.values.control[0] & core.ready, Status.RUNNING, 0)
                | Mux(core.is_killed, Status.KILLED, Status.ARMED)
                | Mux(core.state == FeedState.LIVE, Status.FEED_LIVE, 0)
                | Mux(core.sessions_up.any(), Status.SESSION_UP, 0)
                | Mux(core.state == FeedState.ENDED, Status.ENDED, 0)),
            others.feed_state.eq(core.state), others.feed_expected.eq(core.expected),
            others.feed_highest.eq(core.highest), others.kill_cause.eq(core.killed),
            others.kill_time.eq(core.kill_time), others.epoch.eq(core.epoch),
            others.time_now.eq(clock.now), others.clock_snap_time.eq(clock.snap_time),
            others.clock_snap_counter.eq(clock.snap_counter),
            others.clock_slew_left.eq(clock.left)]
        m.d.comb += [getattr(others, name).eq(getattr(core, name)) for name in (
            "limits_version", "limits_crc", "table_index", "table_crc")]
        told = core.configured
        for event, condition in {
                Interrupt.KILL: core.is_killed & ~is_killed,
                Interrupt.CONFIGURATION: told.limits_committed | told.limits_refused,
                Interrupt.FEED: core.state != state}.items():
            m.d.comb += host.slow_events[event.bit_length() - 1].eq(condition)
