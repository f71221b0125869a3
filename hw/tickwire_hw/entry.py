"""Orders on their way to the gate and out of it (kernels ``order_path`` and ``entry``).

One order message at a time. What it needs is looked up and worked out before the gate is asked,
and stays in its registers until the records are told.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import Operation
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.entry_form import EntryForm
from tickwire_hw.entry_order import EntryOrder
from tickwire_hw.entry_port import Entered, Seen, Source, SweepWish, Wanted
from tickwire_hw.entry_records import EntryRecords
from tickwire_hw.entry_request import EntryRequest
from tickwire_hw.entry_steps import EntrySteps
from tickwire_hw.order_port import Order, Sent
from tickwire_hw.order_rows import TOKEN, OrderRow
from tickwire_hw.order_stages import Departed
from tickwire_hw.own_orders import OwnKeys, OwnOperation, OwnWish
from tickwire_hw.record_writer import RECORD
from tickwire_hw.risk import Message
from tickwire_hw.risk_port import (
    CHECK_BITS,
    STATIC_CHECKS,
    Ahead,
    Market,
    Reason,
    Request,
    Verdict,
)
from tickwire_hw.triggers_port import ArmWish


class Entry(EntrySteps, wiring.Component):
    """Take an order message through form, gate, table and frame; the next one after its record.

    From the message to the gate's verdict 9 cycles for a new order, 15 for a replace, 6 for a
    trigger's new order, whose form was looked at, and 2 when the gate has begun with it; its frame
    begins with the verdict when the line is free. Refused in the kernel's order. Nothing is lost: a
    frame that was blocked after the verdict gives ``lost``, which settles its order as rejected.

    Members
    -------
    i : ``In(stream.Signature(Wanted))``
        Order messages: new, cancel, replace, mass cancel, arm, disarm; errors of the window.
    now : ``In(64)``
        Time of the message, ns; stays until the next one is taken.
    sessions, sessions_up, released : ``In``
        How many there are; which are up; which ones the host runs.
    locate, found : ``Out(16)``, ``In``
        To and from ``Locates``: one cycle.
    instrument, seen : ``Out(16)``, ``In(Seen)``
        An instrument, and what it is like in the same cycle.
    token, row, write, is_found, next_token, spend
        To and from ``OrderRows``.
    own, keys : ``Out(stream.Signature(OwnWish))``, ``In(stream.Signature(OwnKeys, ...))``
        To and from ``OwnOrders``.
    ahead, request, verdict, message : ``Out``, ``In``
        To and from ``Risk``; ``ahead`` stays the same until the message is done.
    is_given : ``Out(1)``
        The gate gets ``request`` in this cycle.
    static, notional : ``In(32)``, ``In(62)``
        Static checks that ``request`` fails, and its value, from ``RiskStatic``.
    value : ``Out(62)``
        That value, known already where the gate has begun.
    explain, reason : ``Out(1)``, ``In(stream.Signature(Reason, always_ready=True))``
        Asks for limit and value of the first hard check that failed; comes when it is known.
    soft_checks, hard : ``In(32)``, ``Out(32)``
        Checks that are soft, and those that failed and are not.
    open_notional, open_buy, open_sell : ``In``
        Of the firm and of ``instrument``, now.
    version : ``In(32)``
        Of the limits in force.
    order, passes, sent : ``Out(stream.Signature(Order))``, ``Out(1)``, ``In``
        To and from ``Frame``.
    arm, generation, is_armed
        To and from ``Triggers``: ``arm`` is taken when it is told of.
    fired : ``Out(stream.Signature(TOKEN))``
        What became of a trigger's order, before its ORDER_SENT; taken when that is told.
    record : ``Out(stream.Signature(RECORD))``
        Records, in order.
    is_fault, is_proven, is_busy : ``Out(1)``
        Strobes: an intent that its owner did not write so, an intent without operation; and
        whether a message is being executed.
    is_decided : ``Out(1)``
        It has left, or was refused for what no kill had to do with: a kill comes behind it.
    sweep, lost : ``Out(stream.Signature(..., always_ready=True))``
        A mass cancel begins; an order that the gate let pass never left.
    last_intent : ``Out(32)``
        Newest intent of an order.
    departed : ``Out(stream.Signature(Departed, always_ready=True))``
        Every message that passed, when it is known what became of it; see ``OrderStages``.
    counted : ``Out(Entered)``
        What to count.
    """

    i: In(stream.Signature(Wanted))
    now: In(64)
    sessions: In(range(SESSIONS_MAX + 1))
    sessions_up: In(SESSIONS_MAX)
    released: In(SESSIONS_MAX)
    locate: Out(16)
    found: In(data.StructLayout({"is_watched": 1, "instrument": 16}))
    instrument: Out(16)
    seen: In(Seen)
    token: Out(TOKEN)
    row: In(OrderRow)
    write: Out(stream.Signature(OrderRow, always_ready=True))
    is_found: In(1)
    next_token: In(TOKEN)
    spend: Out(1)
    own: Out(stream.Signature(OwnWish))
    keys: In(stream.Signature(OwnKeys, always_ready=True))
    ahead: Out(stream.Signature(Ahead))
    request: Out(Request)
    verdict: In(stream.Signature(Verdict, always_ready=True))
    message: Out(stream.Signature(Message))
    is_given: Out(1)
    static: In(32)
    notional: In(62)
    value: Out(62)
    explain: Out(1)
    hard: Out(32)
    reason: In(stream.Signature(Reason, always_ready=True))
    soft_checks: In(32)
    open_notional: In(64)
    open_buy: In(48)
    open_sell: In(48)
    version: In(32)
    order: Out(stream.Signature(Order))
    passes: Out(1)
    sent: In(stream.Signature(Sent, always_ready=True))
    arm: Out(stream.Signature(ArmWish))
    generation: In(32)
    is_armed: In(1)
    fired: Out(stream.Signature(TOKEN))
    record: Out(stream.Signature(RECORD))
    is_fault: Out(1)
    is_proven: Out(1)
    is_busy: Out(1)
    is_decided: Out(1)
    sweep: Out(stream.Signature(SweepWish, always_ready=True))
    lost: Out(stream.Signature(TOKEN, always_ready=True))
    last_intent: Out(32)
    departed: Out(stream.Signature(Departed, always_ready=True))
    counted: Out(Entered)

    def elaborate(self, platform):
        """Return the steps of a message."""
        m = Module()

        self._wanted = Signal(Wanted)
        self._intent = intent = self._wanted.taken.intent
        self._old = Signal(OrderRow)           # the order that a cancel or replace is about
        self._is_new, self._is_replace, self._is_cancel = (Signal(name=f"is_{name}") for name in (
            "new", "replace", "cancel"))
        self._flags, self._locate = Signal(4), Signal(16)
        self._instrument, self._session = Signal(16), Signal(range(SESSIONS_MAX))
        self._error, self._expected, self._received = Signal(8), Signal(32), Signal(32)
        self._age = Signal(range(16))
        self._verdict, self._stamp = Signal(Verdict), Signal(64)
        self._is_released, self._is_leaving, self._is_blocked = Signal(), Signal(), Signal()
        self._market = Signal(Market)          # what the verdict is about, and its reason
        self._is_fired, self._is_refused = Signal(), Signal()
        self._is_arming = (intent.operation == Operation.PRE_ARM) | (
            intent.operation == Operation.DISARM)
        m.d.comb += [
            self._is_fired.eq(self._wanted.source == Source.TRIGGER),
            self.arm.p.intent.eq(intent), self.arm.p.window_slot.eq(self._wanted.taken.slot),
            self.arm.p.instrument.eq(self._instrument),
            self.arm.p.checked.eq(self._wanted.checked),
            self._is_new.eq((intent.operation == Operation.NEW)
                            | (intent.operation == Operation.PRE_ARM)),
            self._is_replace.eq(intent.operation == Operation.REPLACE),
            self._is_cancel.eq(intent.operation == Operation.CANCEL),
            self.locate.eq(intent.locate), self.instrument.eq(self._instrument),
            self._is_released.eq(self.released.bit_select(self._session, 1)),
            self._locate.eq(Mux(self._is_new, intent.locate, self._old.locate)),
            self._session.eq(Mux(self._is_new, intent.session, self._old.session)),
            # The side is the order's: neither replace nor cancel can change it.
            self._flags.eq(Mux(self._is_new, intent.flags, Mux(
                self._is_cancel, self._old.flags,
                Cat(self._old.flags[:2], intent.flags[2:4]))))]
        self._look_at_form(m)
        self._to_gate(m)
        self._to_frame(m)
        self._to_records(m)
        self._states(m)
        return m

    def _look_at_form(self, m):
        """What it can not be."""
        m.submodules.form = form = EntryForm()
        self._refusal = form.o
        m.d.comb += [
            form.taken.eq(self._wanted.taken), form.old.eq(self._old),
            form.is_watched.eq(self.found.is_watched), form.instrument.eq(self._instrument),
            form.version.eq(self.seen.version), form.sessions.eq(self.sessions),
            form.is_up.eq(self.sessions_up.bit_select(self._old.session, 1)),
            form.is_timed.eq(self._wanted.source == Source.WINDOW),
            form.generation.eq(self.generation), form.is_armed.eq(self.is_armed)]

    def _to_gate(self, m):
        """What the gate is asked."""
        m.submodules.request = request = EntryRequest()
        intent, ahead = self._intent, self.ahead.p
        wanted, known = self._wanted, Signal(CHECK_BITS)
        m.d.comb += [known[check].eq(fails) for check, fails in zip(
            STATIC_CHECKS, wanted.checked.static, strict=True)]
        m.d.comb += [
            self.value.eq(Mux(wanted.is_begun, wanted.checked.notional, self.notional)),
            request.intent.eq(intent), request.old.eq(self._old), request.flags.eq(self._flags),
            request.is_new.eq(self._is_new), request.age.eq(self._age),
            request.decided.eq(wanted.decided), request.notional.eq(self.value),
            request.static.eq(Mux(wanted.is_begun, known, self.static)),
            request.has_place.eq(self.next_token.any()),
            self.request.eq(request.o),
            ahead.instrument.eq(self._instrument), ahead.strategy.eq(intent.strategy),
            ahead.session.eq(self._session), ahead.market.eq(self._market),
            self.hard.eq(self._verdict.mask & ~self.soft_checks),
            self.message.p.session.eq(self._session)]

    def _to_frame(self, m):
        """The order as it leaves, and its row."""
        m.submodules.leaving = leaving = EntryOrder()
        wish = self.own.p
        self._is_old_row = leaving.is_old
        m.d.comb += [
            leaving.intent.eq(self._intent), leaving.old.eq(self._old),
            leaving.flags.eq(self._flags), leaving.session.eq(self._session),
            leaving.locate.eq(self._locate), leaving.instrument.eq(self._instrument),
            leaving.token.eq(self.next_token), leaving.place.eq(self.keys.p.place),
            self.order.p.eq(leaving.order), self.write.p.eq(leaving.row),
            wish.operation.eq(OwnOperation.ENTER), wish.instrument.eq(self._instrument),
            wish.is_sell.eq(self._flags[0]), wish.price.eq(self._intent.price)]

    def _to_records(self, m):
        """What records may tell; which one it is says the state."""
        m.submodules.records = records = EntryRecords()
        intent, old, told = self._intent, self._old, records.told
        self._kind, self._token = records.kind, Signal(TOKEN)
        m.d.comb += [
            told.now.eq(self.now), told.stamp.eq(self._stamp), told.intent.eq(intent),
            told.old.eq(old), told.is_new.eq(self._is_new), told.is_cancel.eq(self._is_cancel),
            told.is_replace.eq(self._is_replace), told.flags.eq(self._flags),
            told.locate.eq(self._locate), told.session.eq(self._session),
            told.token.eq(self._token), told.symbol.eq(self.seen.symbol),
            told.open_notional.eq(self.open_notional),
            told.open_shares.eq(Mux(self._flags[0], self.open_sell, self.open_buy)),
            told.mask.eq(self._verdict.mask), told.version.eq(self.version),
            told.reason.eq(self.reason.p), told.slot.eq(self._wanted.taken.slot),
            told.error.eq(self._error), told.expected.eq(self._expected),
            told.received.eq(self._received), self.record.p.eq(records.o),
            self.fired.p.eq(Mux(self._is_refused, 0, self._token))]
        departed = self.departed.p
        m.d.comb += [
            departed.token.eq(self._token), departed.begin.eq(self.now),
            departed.egress.eq(Mux(self._is_blocked, 0, self._stamp)),
            # What a strategy decided on, or what a trigger saw.
            departed.ingress.eq(Mux(self._is_new | self._is_fired, intent.timestamp, 0)),
            departed.has_row.eq(~self._is_cancel), departed.is_counted.eq(
                ~self._is_blocked & ~self._is_released & (self._wanted.source != Source.SWEEP))]
