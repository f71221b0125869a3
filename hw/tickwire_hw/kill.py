"""Kill switch: one latch with many causes, a windowed watchdog, and two keys to arm it again."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import KILL, RecordType
from tickwire.spec.registers import ARM_KEY, ARM_WINDOW_NS, KillCause
from tickwire_hw.logic import stages
from tickwire_hw.record_writer import RECORD
from tickwire_hw.records import body_layout

CAUSES = max(KillCause).bit_length()
"""Bits of a mask of causes."""
ARM_LATENCY = 4
"""Cycles from a key to what it does, and the least from one key to the next."""
_BLIND = 2                                  # cycles behind a kick that still see the time before
_MICROSECOND = 1_000


class Counted(data.Struct):
    """Strobes for counters of the same names."""

    kills: 1
    arms: 1
    arms_refused: 1
    watchdog_kicks: 1
    watchdog_refused: 1


class Kill(wiring.Component):
    """Latch the kill at the end of the cycle in which a cause shows, until two keys come.

    Kernel: :mod:`tickwire.kernels.kill`. It begins killed. What comes in one cycle counts as one
    after the other: causes first, then a key, then kicks. A kick that comes too soon kills one
    cycle later, a silent watchdog bites up to 3 cycles late and never early, a key works after 4
    cycles. Keys less than 4 cycles apart are refused, and so is one that comes to work while a
    cause still shows.

    Nothing is lost of the latch. A cause that shows while the record of another waits to be taken
    is told by the same record.

    Members
    -------
    now : ``In(64)``
        Time, ns; never goes back.
    causes : ``In(CAUSES)``
        Causes that show in this cycle, a mask of KillCause.
    i_kill, i_arm, i_kick : ``In(stream.Signature(..., always_ready=True))``
        Writes to registers KILL, ARM and WATCHDOG_KICK.
    is_proven : ``In(1)``
        An intent without operation was executed: a kick.
    watchdog_period, watchdog_closed : ``In(32)``
        The watchdog's window, microseconds; 0 off.
    mass_cancel : ``In(1)``
        ``MASS_CANCEL`` of register KILL_ACTION.
    open_orders, last_intent : ``In(32)``
        For the record.
    killed, is_killed : ``Out``
        Causes latched, and whether there is any.
    epoch, kill_time, kick_time : ``Out``
        Arming token; times, ns.
    is_sweep : ``Out(1)``
        Cancel everything: the cycle after the latch.
    record : ``Out(stream.Signature(RECORD))``
        KILL records.
    counted : ``Out(Counted)``
        What to count, the cycle after.
    """

    now: In(64)
    causes: In(CAUSES)
    i_kill: In(stream.Signature(32, always_ready=True))
    i_arm: In(stream.Signature(64, always_ready=True))
    i_kick: In(stream.Signature(64, always_ready=True))
    is_proven: In(1)
    watchdog_period: In(32)
    watchdog_closed: In(32)
    mass_cancel: In(1)
    open_orders: In(32)
    last_intent: In(32)
    killed: Out(CAUSES, init=KillCause.POWER_ON.value)
    is_killed: Out(1, init=1)
    epoch: Out(32, init=1)
    kill_time: Out(64)
    kick_time: Out(64)
    is_sweep: Out(1)
    record: Out(stream.Signature(RECORD))
    counted: Out(Counted)

    def elaborate(self, platform):
        """Return latch, watchdog, keys and record."""
        m = Module()

        self._is_armed = Signal()                # the second key works at the end of this cycle
        self._armed_at = Signal(64)              # when it came
        self._is_new = Signal()                  # a cause is latched at the end of this cycle
        self._watch(m)
        self._latch(m)
        self._turn_keys(m)
        self._tell(m)

        return m

    def _watch(self, m):
        """Take kicks; see one too many, and none for too long."""
        kick = self.i_kick
        value = Signal(64)
        is_risen, is_kick, was_kicked = Signal(), Signal(), Signal()
        m.d.comb += [
            is_risen.eq(kick.valid & (kick.p.as_signed() > value.as_signed())),
            is_kick.eq(is_risen | self.is_proven)]
        with m.If(is_risen):
            m.d.sync += value.eq(kick.p)
        with m.If(is_kick):
            m.d.sync += [self.kick_time.eq(self.now), was_kicked.eq(1)]
        with m.If(self._is_armed):
            m.d.sync += [self.kick_time.eq(self._armed_at), was_kicked.eq(0)]

        limits = []
        for name in ("watchdog_period", "watchdog_closed"):
            limits.append(Signal(range(_MICROSECOND << 32), name=f"{name}_ns"))
            m.d.sync += limits[-1].eq(getattr(self, name) * _MICROSECOND)
        age = Signal(64)
        is_over, can_be_early = Signal(), Signal()
        m.d.sync += [
            age.eq(self.now - self.kick_time), is_over.eq((age > limits[0]) & limits[0].any()),
            can_be_early.eq(is_kick & was_kicked & ~self.is_killed)]
        restarted = stages(m, is_kick | self._is_armed, _BLIND, "restarted")
        is_blind = Cat(is_kick, restarted[1:]).any()
        self._is_watchdog = Signal()
        m.d.comb += self._is_watchdog.eq((is_over & ~self.is_killed & ~is_blind)
                                         | (can_be_early & (age < limits[1])))
        m.d.sync += [
            self.counted.watchdog_kicks.eq(is_kick),
            self.counted.watchdog_refused.eq(kick.valid & ~is_risen)]

    def _latch(self, m):
        """Latch causes; the one that comes first is timed, and may cancel everything."""
        write = self.i_kill
        named, self._shown = Signal(CAUSES), Signal(CAUSES)
        causes = self._shown
        self._after = after = Signal(CAUSES)     # latched from the next cycle on, but for the keys
        m.d.comb += [
            named.eq(write.p), causes.eq(
                self.causes
                | Mux(write.valid, Mux(named.any(), named, KillCause.REGISTER.value), 0)
                | Mux(self._is_watchdog, KillCause.WATCHDOG.value, 0)),
            after.eq(self.killed | causes), self._is_new.eq((causes & ~self.killed).any())]
        is_first = self._is_new & ~self.is_killed
        m.d.sync += [
            self.killed.eq(Mux(self._is_armed, 0, after)),
            self.is_killed.eq(~self._is_armed & after.any()),
            self.is_sweep.eq(is_first & self.mass_cancel), self.counted.kills.eq(is_first),
            self.counted.arms.eq(self._is_armed)]
        with m.If(is_first):
            m.d.sync += self.kill_time.eq(self.now)

    def _turn_keys(self, m):
        """Compare keys and times over some cycles, then let the second one arm."""
        arm = self.i_arm
        key, came, first_came = Signal(32), Signal(64), Signal(64)
        is_first, is_second, is_late = Signal(), Signal(), Signal()
        has_first = Signal()
        since = Signal(64)
        steps = stages(m, arm.valid, ARM_LATENCY - 1, "step")
        is_dense = Cat(steps[1:]).any()          # another key is being looked at
        is_refused, was_dense = Signal(), Signal()
        with m.If(arm.valid & ~is_dense):
            m.d.sync += [key.eq(arm.p), came.eq(self.now), was_dense.eq(0)]
        with m.If(arm.valid & is_dense):
            m.d.sync += was_dense.eq(1)
        m.d.sync += [
            is_first.eq(key == self.epoch ^ ARM_KEY), is_second.eq(key == ~(self.epoch ^ ARM_KEY)),
            since.eq(came - first_came), is_late.eq(since > ARM_WINDOW_NS)]
        with m.If(steps[-1]):
            m.d.sync += has_first.eq(0)
            with m.If(self._after.any() & is_first & ~was_dense):
                m.d.sync += [has_first.eq(1), first_came.eq(came)]
            with m.Elif(self._after.any() & is_second & ~was_dense & has_first & ~is_late
                        & ~self._shown.any()):
                m.d.comb += self._is_armed.eq(1)
            with m.Else():
                m.d.comb += is_refused.eq(1)
        with m.Elif(self._is_new):
            m.d.sync += has_first.eq(0)
        m.d.comb += self._armed_at.eq(came)
        with m.If(self._is_armed):
            m.d.sync += self.epoch.eq(Mux(self.epoch.all(), 1, self.epoch + 1))
        m.d.sync += self.counted.arms_refused.eq(is_refused)

    def _tell(self, m):
        """Keep the record until it is taken; later causes come into the one that waits."""
        record = self.record
        body = Signal(body_layout(KILL))
        with m.If(record.ready):
            m.d.sync += record.valid.eq(0)
        with m.If(self._is_new):
            m.d.sync += [
                record.valid.eq(1), body.timestamp.eq(self.now), body.cause.eq(self._after),
                body.watchdog_period.eq(self.watchdog_period), body.last_kick.eq(self.kick_time),
                body.open_orders.eq(self.open_orders), body.last_intent.eq(self.last_intent)]
        m.d.comb += [record.p.kind.eq(RecordType.KILL.value), record.p.octets.eq(body)]
