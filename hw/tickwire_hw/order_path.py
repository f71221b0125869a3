"""Order path: from intents and answers to frames and records, composed (kernel ``order_path``)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import Operation
from tickwire.spec.limits import LimitsError
from tickwire.spec.records import CONFIG_ACKNOWLEDGED, FeedState, RecordType
from tickwire.spec.registers import KillCause
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.entry import Entry
from tickwire_hw.entry_port import Entered, Seen
from tickwire_hw.frame import Frame
from tickwire_hw.histogram import Sample
from tickwire_hw.intent_window import Taken
from tickwire_hw.join import join
from tickwire_hw.kill import CAUSES, Counted, Kill
from tickwire_hw.locates import Locates
from tickwire_hw.mass_cancel import MassCancel
from tickwire_hw.order_rows import ROWS_LOG2, OrderRows
from tickwire_hw.order_stages import OrderStages
from tickwire_hw.own_orders import OwnOrders
from tickwire_hw.record_writer import RECORD
from tickwire_hw.records import body_layout
from tickwire_hw.risk import Risk
from tickwire_hw.risk_static import RiskStatic
from tickwire_hw.settle import Settle
from tickwire_hw.settle_port import Settled
from tickwire_hw.table_loader import TableLoader
from tickwire_hw.triggers import Triggers
from tickwire_hw.triggers_port import Sight, Triggered
from tickwire_hw.wipe import Wipe

_KILL = ("i_kill", "i_arm", "i_kick", "watchdog_period", "watchdog_closed", "mass_cancel", "killed",
         "is_killed", "epoch", "kill_time", "kick_time")
_FRAME = ("i_symbol", "i_template", "i_session", "o")
_RISK = ("i_kill",)
_TABLE = {"begin": "table_begin", "index": "table_index", "word": "table_word",
          "running_crc": "table_crc", "commit": "limits_commit", "version": "limits_version",
          "crc": "limits_crc"}
_SETTLES = (Operation.SETTLE_ACCEPTED, Operation.SETTLE_FILLED, Operation.SETTLE_CANCELED,
            Operation.SETTLE_REJECTED, Operation.SETTLE_REPLACED)


class Configured(data.Struct):
    """Strobes for counters of the same names."""

    limits_committed: 1
    limits_refused: 1


class OrderPath(wiring.Component):
    """Execute intents one at a time, in order: check them, send them, settle their answers.

    What is done at a time: what a trigger fires, a cancel of a mass cancel, a commit of limits, an
    intent or an answer, in this order of precedence. The next one is taken after the records of the
    one before, KILL among them, so records are in the order of the kernels. ``docs/gateware.md``
    has the cycles.

    Members
    -------
    ready : ``Out(1)``
        Whether nothing of an earlier run is left, see ``Wipe``; the rest comes only then.
    i : ``In(stream.Signature(Taken))``
        Intents, settle intents and errors of the window.
    now : ``In(64)``
        Time, ns; an intent is executed at the time at which it is taken.
    i_taught, watch_all : ``In``
        Which locate is which instrument, as of ``Locates``.
    i_seen : ``In(stream.Signature({instrument, seen}, always_ready=True))``
        What an instrument is like from the next cycle on.
    phase, feed_state : ``In(8)``
        Event code of the newest system event; FeedState.
    sessions, sessions_up, released : ``In``
        How many order sessions there are; which are up; which ones the host runs.
    causes : ``In``
        Causes of a kill that show.
    i_market : ``In(stream.Signature(RECORD, always_ready=True))``
        Market records, for triggers.
    i_early, i_glimpse : ``In(stream.Signature(Sight, always_ready=True))``
        What a market record will show, and a glimpse of that, as of ``TriggerQueue``.
    has_room : ``In(1)``
        The order ring has room for what one market record may cause; nothing fires else.
    record : ``Out(stream.Signature(RECORD))``
        Records for the order ring.
    is_idle : ``Out(1)``
        Nothing is being executed, and no record waits.
    open_orders : ``Out(32)``
        Orders open at the venue.
    stage : ``Out(stream.Signature(Sample, always_ready=True))``
        Durations of stages of orders, as of ``OrderStages``.
    entered, settled, triggered, kill_counted, configured : ``Out``
        What to count.
    table_begin, table_index, table_word, table_crc : ``In``, ``Out``
    limits_commit, limits_version, limits_crc : ``In``, ``Out``
        As of ``TableLoader``, with and without these prefixes.

    i_number : ``In``
        As of ``OrderRows``.

    What else goes in and out is of ``Kill``, ``Frame`` and ``Risk``, by their names; ``Risk``'s
    ``i_kill`` is ``i_part_kill``.
    """

    def __init__(self, geometry: Geometry, rows_log2: int = ROWS_LOG2) -> None:
        self._bits = max(1, ceil_log2(geometry.instruments))
        self._rows, self._stages = OrderRows(rows_log2), OrderStages(rows_log2)
        self._sweep = MassCancel(rows_log2)
        self._kill, self._frame, self._risk = Kill(), Frame(geometry), Risk(geometry)
        self._locates, self._own = Locates(geometry), OwnOrders(geometry)
        self._triggers, self._loader = Triggers(geometry), TableLoader(geometry)
        self._through = {
            "i_part_kill" if (part, name) == (self._risk, "i_kill") else name:
            (part, name, part.signature.members[name])
            for part, names in ((self._kill, _KILL), (self._frame, _FRAME), (self._risk, _RISK))
            for name in names} | {
                ours: (self._loader, name, self._loader.signature.members[name])
                for name, ours in _TABLE.items()} | {
                "i_number": (self._rows, "i_number", self._rows.signature.members["i_number"])}
        super().__init__({
            "ready": Out(1), "i": In(stream.Signature(Taken)), "now": In(64),
            "i_taught": self._locates.signature.members["i_taught"], "watch_all": In(1),
            "i_seen": In(stream.Signature(data.StructLayout(
                {"instrument": self._bits, "seen": Seen}), always_ready=True)),
            "phase": In(8), "feed_state": In(8), "sessions": In(range(SESSIONS_MAX + 1)),
            "sessions_up": In(SESSIONS_MAX), "released": In(SESSIONS_MAX), "causes": In(CAUSES),
            "record": Out(stream.Signature(RECORD)), "is_idle": Out(1), "open_orders": Out(32),
            "stage": Out(stream.Signature(Sample, always_ready=True)),
            "entered": Out(Entered), "settled": Out(Settled), "triggered": Out(Triggered),
            "kill_counted": Out(Counted), "configured": Out(Configured),
            "i_market": In(stream.Signature(RECORD, always_ready=True)),
            "i_early": In(stream.Signature(Sight, always_ready=True)),
            "i_glimpse": In(stream.Signature(Sight, always_ready=True)), "has_room": In(1, init=1),
            **{name: member for name, (_, _, member) in self._through.items()}})

    def elaborate(self, platform):
        """Return the parts, connected, and what says whose turn it is."""
        m = Module()

        m.submodules.kill, m.submodules.frame, m.submodules.risk = (
            self._kill, self._frame, self._risk)
        m.submodules.rows, m.submodules.own, m.submodules.sweep = (
            self._rows, self._own, self._sweep)
        m.submodules.locates, m.submodules.triggers = self._locates, self._triggers
        m.submodules.loader = self._loader
        m.submodules.entry, m.submodules.settle = self._entry, self._settle = Entry(), Settle()
        m.submodules.seen = self._seen = memory.Memory(shape=Seen, depth=1 << self._bits, init=[])
        self._moment, self._is_outdated = Signal(64), Signal()
        self._outside(m)
        self._commits(m)
        self._turns(m)
        self._tables(m)
        self._gate(m)
        self._kills(m)
        self._fires(m)
        self._time(m)
        return m

    def _outside(self, m):
        """What goes through to the parts."""
        for ours, (part, name, member) in self._through.items():
            join(m, member, getattr(self, ours), getattr(part, name))
        m.d.comb += [self._frame.now.eq(self.now), self._kill.now.eq(self.now)]

    def _commits(self, m):
        """Put limits in force between two intents, or say why not; the record comes behind that."""
        risk, answer = self._risk, self._loader.answer
        self._may_commit, self._is_judged = Signal(), Signal()
        self._acknowledged = told = Signal(body_layout(CONFIG_ACKNOWLEDGED))
        is_right = answer.p.reason == LimitsError.NONE
        connect(m, self._loader.o, risk.i_limits)
        m.d.comb += [
            risk.commit.valid.eq(self._may_commit & answer.valid & is_right),
            risk.commit.p.eq(answer.p.version), told.timestamp.eq(self._moment),
            told.version.eq(answer.p.version), told.crc.eq(answer.p.crc), told.ok.eq(is_right),
            told.reason.eq(answer.p.reason),
            self.configured.limits_committed.eq(answer.valid & answer.ready & is_right),
            self.configured.limits_refused.eq(answer.valid & answer.ready & ~is_right)]
        with m.If(self._may_commit & answer.valid & (risk.commit.ready | ~is_right)):
            m.d.sync += self._is_judged.eq(1)
        with m.If(answer.valid & answer.ready):
            m.d.sync += self._is_judged.eq(0)

    def _turns(self, m):
        """One thing at a time: an order that never left, a mass cancel, the window."""
        entry, settle, sweep, kill = self._entry, self._settle, self._sweep, self._kill
        lost, is_lost = Signal(32), Signal()
        operation = self.i.p.intent.operation
        is_settle = ~self.i.p.error.any() & Cat(operation == kind for kind in _SETTLES).any()
        triggers = self._triggers
        is_free, is_unswept, from_window = Signal(), Signal(), Signal()
        loader = self._loader
        m.d.comb += [
            is_free.eq(~entry.is_busy & ~settle.is_busy & ~kill.record.valid & ~sweep.i.valid
                       & ~triggers.is_telling & ~self._is_judged),
            triggers.may_look.eq(is_free & ~is_lost),
            triggers.o.ready.eq(triggers.may_look & triggers.o.valid),
            sweep.may_look.eq(triggers.may_look & ~triggers.is_busy),
            sweep.o.ready.eq(sweep.may_look),
            is_unswept.eq(sweep.may_look & ~sweep.is_sweeping),
            self._may_commit.eq(is_unswept), from_window.eq(is_unswept & ~loader.answer.valid),
            entry.i.valid.eq(triggers.o.ready | Mux(from_window, self.i.valid & ~is_settle,
                                                    sweep.o.valid & sweep.o.ready)),
            entry.i.p.eq(sweep.o.p), settle.i.p.eq(self.i.p.intent),
            settle.i.valid.eq(is_free & is_lost | from_window & self.i.valid & is_settle),
            self.i.ready.eq(from_window),
            self.is_idle.eq(from_window & ~self.i.valid & ~self.record.valid & ~loader.is_asked)]
        with m.If(from_window):
            m.d.comb += [entry.i.p.taken.eq(self.i.p), entry.i.p.source.eq(0),
                         entry.i.p.decided.eq(self.i.p.intent.timestamp)]
        with m.If(triggers.o.ready):
            m.d.comb += entry.i.p.eq(triggers.o.p)
        with m.If(is_lost):
            m.d.comb += [settle.i.p.eq(0), settle.i.p.token.eq(lost),
                         settle.i.p.operation.eq(Operation.SETTLE_REJECTED)]
        with m.If(entry.lost.valid):
            m.d.sync += [is_lost.eq(1), lost.eq(entry.lost.p)]
        with m.Elif(is_free):
            m.d.sync += is_lost.eq(0)
        with m.If(is_free):
            m.d.sync += self._moment.eq(self.now)
        m.d.comb += [entry.now.eq(self._moment), settle.now.eq(self._moment),
                     self._risk.now.eq(self._moment)]

        # Records of whose turn it is, then KILL.
        out = self.record
        with m.If(self._is_judged):
            m.d.comb += [out.valid.eq(1), out.p.kind.eq(RecordType.CONFIG_ACKNOWLEDGED),
                         out.p.octets.eq(self._acknowledged), loader.answer.ready.eq(out.ready)]
        with m.Elif(settle.record.valid):
            connect_stream(m, settle.record, out)
        with m.Elif(triggers.record.valid):
            connect_stream(m, triggers.record, out)
        with m.Elif(entry.record.valid):
            connect_stream(m, entry.record, out)
        with m.Elif(~entry.is_decided):
            connect_stream(m, kill.record, out)
        m.d.comb += [self.entered.eq(entry.counted), self.settled.eq(settle.counted),
                     self.kill_counted.eq(kill.counted)]

    def _tables(self, m):
        """Rows, own orders, instruments: they belong to whose turn it is."""
        entry, settle, sweep, rows = self._entry, self._settle, self._sweep, self._rows
        triggers = self._triggers
        m.d.comb += [
            rows.token.eq(Mux(settle.is_busy, settle.token, Mux(entry.is_busy, entry.token,
                                                                sweep.token))),
            rows.i.valid.eq(settle.write.valid | entry.write.valid),
            rows.i.p.eq(Mux(settle.write.valid, settle.write.p, entry.write.p)),
            rows.spend.eq(entry.spend), entry.is_found.eq(rows.is_found),
            entry.next_token.eq(rows.next_token), sweep.newest.eq(rows.newest),
            sweep.is_entering.eq(entry.is_busy)]
        m.d.comb += [part.row.eq(rows.row) for part in (entry, settle, sweep)]
        own = self._own
        with m.If(settle.own.valid):
            connect_stream(m, settle.own, own.i)
        with m.Else():
            connect_stream(m, entry.own, own.i)
        for part in (entry, settle):
            m.d.comb += [part.keys.valid.eq(own.o.valid), part.keys.p.eq(own.o.p)]

        locates, read = self._locates, self._seen.read_port(domain="comb")
        write, is_seen = self._seen.write_port(), self.i_seen.valid
        m.submodules.wipe = wipe = Wipe(1 << self._bits)
        connect(m, flipped(self.i_taught), locates.i_taught)
        m.d.comb += [
            self.ready.eq(Cat(part.ready for part in (
                wipe, rows, own, triggers, self._risk)).all()),
            locates.watch_all.eq(self.watch_all), locates.locate.eq(entry.locate),
            entry.found.is_watched.eq(locates.o.is_watched),
            entry.found.instrument.eq(locates.o.instrument),
            *wipe.write(write, is_seen, self.i_seen.p.instrument, self.i_seen.p.seen),
            read.addr.eq(Mux(settle.is_busy, settle.instrument, Mux(
                entry.is_busy, entry.instrument, triggers.begin.p.instrument))),
            entry.seen.eq(read.data), settle.last.eq(read.data.market.last),
            # A record and what it leaves the instrument like come in the same cycle.
            triggers.market.eq(Mux(
                is_seen & (self.i_seen.p.instrument == triggers.begin.p.instrument),
                self.i_seen.p.seen.market, read.data.market))]

    def _gate(self, m):
        """Gate, static checks and frame."""
        entry, risk, frame = self._entry, self._risk, self._frame
        causes = Signal(CAUSES)              # of the kill that is over
        with m.If(self._kill.is_killed):
            m.d.sync += causes.eq(self._kill.killed)
        m.submodules.static = static = RiskStatic()
        connect(m, self._settle.answer, risk.answer)
        connect(m, entry.message, risk.message)
        connect(m, entry.order, frame.order)
        for ours, theirs in ((entry.verdict, risk.o), (entry.reason, risk.reason),
                             (entry.sent, frame.sent)):
            m.d.comb += [ours.valid.eq(theirs.valid), ours.p.eq(theirs.p)]
        m.d.comb += [
            static.price.eq(entry.request.price), static.quantity.eq(entry.request.quantity),
            static.kinds.eq(entry.request.kinds), static.row.eq(risk.static_row),
            entry.static.eq(static.mask), entry.notional.eq(static.notional),
            risk.notional.eq(entry.value), risk.is_void.eq(~entry.is_given),
            risk.i.eq(entry.request),
            risk.explain.eq(entry.explain), risk.hard.eq(entry.hard),
            risk.phase.eq(self.phase), risk.feed_state.eq(self.feed_state),
            risk.feed_live.eq(self.feed_state == FeedState.LIVE),
            risk.is_killed.eq(self._kill.is_killed | self._is_outdated),
            risk.causes.eq(Mux(self._is_outdated, causes, self._kill.killed)),
            risk.sessions_up.eq(self.sessions_up), frame.passes.eq(entry.passes),
            frame.is_killed.eq(self._kill.is_killed),
            frame.is_quiet.eq(~entry.is_busy & ~entry.i.valid),
            entry.sessions.eq(self.sessions), entry.sessions_up.eq(self.sessions_up),
            entry.released.eq(self.released), entry.version.eq(risk.version)]
        m.d.comb += [getattr(entry, name).eq(getattr(risk, name)) for name in (
            "open_notional", "open_buy", "open_sell", "soft_checks")]

    def _kills(self, m):
        """What kills from within, and the mass cancel of a kill or an intent."""
        entry, settle, sweep, kill = self._entry, self._settle, self._sweep, self._kill
        errors = Signal(32)                  # intents that nobody wrote so since arming
        # What is being executed when both keys come was given while the device was killed.
        was_killed, is_armed = Signal(), kill.counted.arms
        m.d.comb += self._is_outdated.eq(entry.is_busy & (was_killed | is_armed))
        m.d.sync += was_killed.eq(self._is_outdated | is_armed & entry.i.valid)
        is_too_many = entry.is_fault & (errors >= self._risk.intent_errors_max)
        m.d.comb += [
            kill.causes.eq(self.causes | Mux(settle.is_wrong, KillCause.SETTLEMENT.value, 0)
                           | Mux(is_too_many, KillCause.INTENT_ERRORS.value, 0)),
            kill.is_proven.eq(entry.is_proven), kill.open_orders.eq(self._risk.open_orders),
            self.open_orders.eq(self._risk.open_orders),
            kill.last_intent.eq(entry.last_intent),
            sweep.i.valid.eq(kill.is_sweep | entry.sweep.valid)]
        with m.If(kill.is_sweep):
            m.d.comb += [sweep.i.p.is_all.eq(1), sweep.i.p.timestamp.eq(kill.kill_time)]
        with m.Else():
            m.d.comb += sweep.i.p.eq(entry.sweep.p)
        with m.If(kill.counted.arms):
            m.d.sync += errors.eq(0)
        with m.Elif(entry.is_fault & ~errors.all()):
            m.d.sync += errors.eq(errors + 1)

    def _fires(self, m):
        """Triggers, what they look at, and who arms them."""
        triggers, entry, kill = self._triggers, self._entry, self._kill
        connect(m, flipped(self.i_market), triggers.i)
        connect(m, flipped(self.i_early), triggers.early)
        connect(m, flipped(self.i_glimpse), triggers.glimpse)
        connect(m, entry.arm, triggers.arm)
        connect(m, entry.fired, triggers.fired)
        connect(m, self._settle.filled, triggers.filled)
        connect(m, triggers.owner, self._risk.owner)
        ahead = self._risk.ahead                # of a record, while no order is being executed
        m.d.comb += [
            ahead.valid.eq(entry.ahead.valid | triggers.begin.valid),
            entry.ahead.ready.eq(ahead.ready), triggers.begin.ready.eq(ahead.ready),
            ahead.p.eq(entry.ahead.p), triggers.version.eq(self._risk.version),
            self._frame.next_session.eq(Mux(triggers.owner.valid, triggers.owner.p.session,
                                            entry.ahead.p.session))]
        with m.If(~entry.is_busy):
            m.d.comb += [ahead.p.instrument.eq(triggers.begin.p.instrument),
                         ahead.p.market.eq(triggers.begin.p.market)]
        m.d.comb += [
            triggers.i_taught.valid.eq(self.i_taught.valid),
            triggers.i_taught.p.eq(self.i_taught.p), triggers.watch_all.eq(self.watch_all),
            triggers.has_room.eq(self.has_room), triggers.is_killed.eq(kill.is_killed),
            triggers.epoch.eq(kill.epoch), triggers.is_cleared.eq(kill.counted.arms),
            triggers.time.eq(self.now), triggers.now.eq(self._moment),
            entry.generation.eq(triggers.generation), entry.is_armed.eq(triggers.is_armed),
            self.triggered.eq(triggers.counted)]


    def _time(self, m):
        """How long orders take."""
        m.submodules.stages = times = self._stages
        with m.If(self._entry.passes):
            m.d.sync += times.verdict.eq(self.now)
        for ours, theirs in ((times.departed, self._entry.departed),
                             (times.acknowledged, self._settle.acknowledged),
                             (self.stage, times.o)):
            m.d.comb += [ours.valid.eq(theirs.valid), ours.p.eq(theirs.p)]
        m.d.comb += times.now.eq(self._moment)


def connect_stream(m, source, sink):
    """Connect two streams inside of a condition."""
    m.d.comb += [sink.valid.eq(source.valid), sink.p.eq(source.p), source.ready.eq(sink.ready)]
