"""Orders on their way to the gate and out of it (kernels ``order_path`` and ``entry``).

One order message at a time. What it needs is looked up and worked out before the gate is asked,
and stays in its registers until the records are told.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import IntentError, Operation
from tickwire.spec.orders import OrderState
from tickwire.spec.records import RecordType
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.entry_form import EntryForm
from tickwire_hw.entry_port import Entered, Seen, Source, SweepWish, Wanted
from tickwire_hw.entry_records import EntryRecords
from tickwire_hw.entry_request import WORTH_CYCLES, EntryRequest
from tickwire_hw.order_port import Order, Sent
from tickwire_hw.order_rows import TOKEN, OrderRow
from tickwire_hw.own_orders import OwnKeys, OwnOperation, OwnWish
from tickwire_hw.record_writer import RECORD
from tickwire_hw.risk import AHEAD, Message
from tickwire_hw.risk_port import Ahead, Market, Reason, Request, Verdict
from tickwire_hw.settle import ROW_CYCLES


class Entry(wiring.Component):
    """Take an order message through form, gate, table and frame; the next one after its record.

    From the message to the gate's verdict 9 cycles for a new order, 18 for a replace; its frame
    begins in the cycle after the verdict when the line is free. Refused in the kernel's order.
    Nothing is lost: a frame that was blocked after the verdict gives ``lost``, which settles its
    order as rejected.

    Members
    -------
    i : ``In(stream.Signature(Wanted))``
        Order messages: new, cancel, replace, mass cancel, and errors of the window.
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
    static, notional : ``In(32)``, ``In(62)``
        Static checks that ``request`` fails, and its value, from ``RiskStatic``.
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
    record : ``Out(stream.Signature(RECORD))``
        Records, in order.
    is_fault, is_proven, is_busy : ``Out(1)``
        Strobes: an intent that its owner did not write so, an intent without operation; and
        whether a message is being executed.
    sweep, lost : ``Out(stream.Signature(..., always_ready=True))``
        A mass cancel begins; an order that the gate let pass never left.
    last_intent : ``Out(32)``
        Newest intent of an order.
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
    static: In(32)
    notional: In(62)
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
    record: Out(stream.Signature(RECORD))
    is_fault: Out(1)
    is_proven: Out(1)
    is_busy: Out(1)
    sweep: Out(stream.Signature(SweepWish, always_ready=True))
    lost: Out(stream.Signature(TOKEN, always_ready=True))
    last_intent: Out(32)
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
        m.d.comb += [
            self._is_new.eq(intent.operation == Operation.NEW),
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

    def _refuse(self, m, error, expected, received):
        """Go on with an INTENT_ERROR."""
        m.d.sync += [self._error.eq(error), self._expected.eq(expected),
                     self._received.eq(received)]
        m.next = "Error"

    def _look_at_form(self, m):
        """What it can not be."""
        m.submodules.form = form = EntryForm()
        self._refusal = form.o
        m.d.comb += [
            form.taken.eq(self._wanted.taken), form.old.eq(self._old),
            form.is_watched.eq(self.found.is_watched), form.version.eq(self.seen.version),
            form.sessions.eq(self.sessions),
            form.is_up.eq(self.sessions_up.bit_select(self._old.session, 1)),
            form.is_timed.eq(self._wanted.source == Source.WINDOW)]

    def _to_gate(self, m):
        """What the gate is asked."""
        m.submodules.request = request = EntryRequest()
        intent, ahead = self._intent, self.ahead.p
        m.d.comb += [
            request.intent.eq(intent), request.old.eq(self._old), request.flags.eq(self._flags),
            request.is_new.eq(self._is_new), request.age.eq(self._age),
            request.decided.eq(self._wanted.decided), request.static.eq(self.static),
            request.notional.eq(self.notional), request.has_place.eq(self.next_token.any()),
            self.request.eq(request.o),
            ahead.instrument.eq(self._instrument), ahead.strategy.eq(intent.strategy),
            ahead.session.eq(self._session), ahead.market.eq(self._market),
            self.hard.eq(self._verdict.mask & ~self.soft_checks),
            self.message.p.session.eq(self._session)]

    def _to_frame(self, m):
        """The order as it leaves, and its row."""
        intent, order, row = self._intent, self.order.p, self.write.p
        self._is_old_row = Signal()
        m.d.comb += [
            order.operation.eq(intent.operation), order.flags.eq(self._flags),
            order.session.eq(self._session), order.instrument.eq(self._instrument),
            order.price.eq(intent.price), order.quantity.eq(intent.quantity),
            order.token.eq(Mux(self._is_cancel, self._old.token, self.next_token)),
            order.previous.eq(Mux(self._is_replace, self._old.token, 0)),
            order.intent_id.eq(intent.intent_id), order.strategy.eq(intent.strategy)]
        with m.If(self._is_old_row):
            m.d.comb += [row.eq(self._old), row.successor.eq(self.next_token)]
        with m.Else():
            m.d.comb += [
                row.token.eq(self.next_token), row.previous.eq(order.previous),
                row.intent_id.eq(intent.intent_id), row.price.eq(intent.price),
                row.leaves.eq(Mux(self._is_new, intent.quantity, 0)),
                row.quantity.eq(intent.quantity), row.instrument.eq(self._instrument),
                row.locate.eq(self._locate), row.strategy.eq(intent.strategy),
                row.session.eq(self._session), row.flags.eq(self._flags),
                row.state.eq(Mux(self._is_new, OrderState.SENT, OrderState.REPLACING)),
                row.place.eq(self.keys.p.place)]
        wish = self.own.p
        m.d.comb += [
            wish.operation.eq(OwnOperation.ENTER), wish.instrument.eq(self._instrument),
            wish.is_sell.eq(self._flags[0]), wish.price.eq(intent.price)]

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
            told.received.eq(self._received), self.record.p.eq(records.o)]

    def _states(self, m):
        """From the message to its last record."""
        wanted, old, age = self._wanted, self._old, self._age
        is_read = age == ROW_CYCLES
        m.d.comb += self.is_busy.eq(1)
        m.d.sync += age.eq(age + 1)
        with m.If(self.sent.valid):
            m.d.sync += [self._stamp.eq(self.sent.p.stamp), self._is_leaving.eq(0),
                         self._is_blocked.eq(self.sent.p.is_blocked)]
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [self.i.ready.eq(1), self.is_busy.eq(0)]
                m.d.sync += [wanted.eq(self.i.p), age.eq(0), old.eq(0),
                             self.token.eq(self.i.p.taken.intent.token)]
                with m.If(self.i.valid):
                    m.next = "Begin"
            with m.State("Begin"):
                self._begin(m)
            with m.State("Locate"):
                m.d.sync += self._instrument.eq(self.found.instrument)
                m.next = "Known"
            with m.State("Old"):
                m.d.sync += [old.eq(self.row), self._instrument.eq(self.row.instrument)]
                with m.If(is_read):
                    m.next = "Known"
            with m.State("Known"):
                self._known(m)
            with m.State("Worth"), m.If(age == WORTH_CYCLES):
                m.next = "Place"
            with m.State("Place"):
                m.d.sync += [self._token.eq(self.next_token), self._market.eq(self.seen.market)]
                with m.If(self.is_found & (self._is_released | self.order.ready)):
                    m.next = "Ask"
            with m.State("Ask"):
                m.d.comb += self.ahead.valid.eq(1)
                m.d.sync += age.eq(1)
                with m.If(self.ahead.ready):
                    m.next = "Give"
            with m.State("Give"), m.If(age == AHEAD):
                m.d.comb += self.order.valid.eq(~self._is_released)
                m.next = "Judge"
            with m.State("Judge"):
                verdict = self.verdict.p
                m.d.comb += self.passes.eq(verdict.passes)
                m.d.sync += [self._verdict.eq(verdict), self._stamp.eq(self.now),
                             self._is_blocked.eq(0), self._is_leaving.eq(~self._is_released)]
                with m.If(verdict.passes):
                    m.d.comb += self.counted.soft.eq(verdict.mask)
                    m.next = "Own"
                with m.Else():
                    m.next = "Explain"
            with m.State("Own"):
                m.d.comb += self.own.valid.eq(1)
                with m.If(self.own.ready):
                    m.next = "Row"
            with m.State("Row"), m.If(self.keys.valid):
                m.d.comb += [self.write.valid.eq(1), self.spend.eq(1)]
                with m.If(self._is_replace):
                    m.next = "Old row"
                with m.Else():
                    m.next = "Leave"
            with m.State("Old row"):
                m.d.comb += [self.write.valid.eq(1), self._is_old_row.eq(1)]
                m.next = "Leave"
            with m.State("Cancel"):
                m.d.sync += [self._token.eq(old.token), self._stamp.eq(self.now),
                             self._is_blocked.eq(0)]
                m.d.comb += self.message.valid.eq(self._is_released | self.order.ready)
                with m.If(self.message.valid & self.message.ready):
                    m.d.comb += self.order.valid.eq(~self._is_released)
                    m.d.sync += self._is_leaving.eq(~self._is_released)
                    m.next = "Pass"
            with m.State("Pass"):
                m.d.comb += self.passes.eq(1)
                m.next = "Leave"
            with m.State("Leave"), m.If(~self._is_leaving):
                with m.If(self._is_blocked):
                    m.next = "Lost"
                with m.Elif(self._is_released):
                    m.next = "Release"
                with m.Else():
                    m.next = "Sent"
            self._tell(m)

    def _begin(self, m):
        """Tell messages apart."""
        taken, intent = self._wanted.taken, self._intent
        with m.If(taken.error.any()):
            self._refuse(m, taken.error, taken.expected, taken.received)
        with m.Else():
            with m.If(self._wanted.source == Source.WINDOW):
                m.d.sync += self.last_intent.eq(intent.intent_id)
            with m.If(self._is_cancel | self._is_replace):
                m.next = "Old"
            with m.Elif(intent.operation == Operation.NOP):
                m.d.comb += self.is_proven.eq(1)
                m.next = "Idle"
            with m.Else():
                m.next = "Locate"

    def _known(self, m):
        """All that its form depends on is known."""
        intent, refusal, wish = self._intent, self._refusal, self.sweep.p
        m.d.sync += self._age.eq(0)
        m.d.comb += [
            wish.is_all.eq(~intent.locate.any()), wish.instrument.eq(self._instrument),
            wish.intent_id.eq(intent.intent_id), wish.timestamp.eq(intent.timestamp)]
        with m.If(refusal.error.any()):
            with m.If(self._wanted.source == Source.SWEEP):
                m.d.comb += self.counted.cancels_unsent.eq(1)
                m.next = "Idle"
            with m.Else():
                self._refuse(m, refusal.error, refusal.expected, refusal.received)
        with m.Elif(self._is_new):
            m.next = "Place"
        with m.Elif(self._is_replace):
            m.next = "Worth"
        with m.Elif(self._is_cancel):
            m.next = "Cancel"
        with m.Else():
            m.d.comb += self.sweep.valid.eq(1)
            m.next = "Idle"

    def _tell(self, m):
        """Records, and what never left."""
        counted, record = self.counted, self.record

        def told(kind, following, *strobes):
            m.d.comb += [self._kind.eq(kind), record.valid.eq(1)]
            m.d.comb += [strobe.eq(record.ready) for strobe in strobes]
            with m.If(record.ready):
                m.next = following
        with m.State("Release"):
            told(RecordType.ORDER_RELEASED, "Sent")
        with m.State("Sent"):
            m.d.comb += [counted.orders_sent.eq(record.ready & self._is_new),
                         counted.replaces_sent.eq(record.ready & self._is_replace),
                         counted.cancels_sent.eq(record.ready & self._is_cancel)]
            told(RecordType.ORDER_SENT, "Idle")
        with m.State("Explain"):
            m.d.comb += [self.explain.eq(~self.reason.valid)]
            with m.If(self.reason.valid):
                m.next = "Reject"
        with m.State("Reject"):
            told(RecordType.RISK_REJECT, "Idle", counted.risk_rejects)
        with m.State("Error"):
            told(RecordType.INTENT_ERROR, "Fault", counted.intent_errors)
        with m.State("Fault"):
            m.d.comb += self.is_fault.eq(self._wanted.taken.error.any())
            m.next = "Idle"
        with m.State("Lost"):
            m.d.comb += [self.lost.valid.eq(~self._is_cancel), self.lost.p.eq(self._token),
                         counted.orders_lost.eq(~self._is_cancel)]
            with m.If(self._is_cancel):
                self._refuse(m, IntentError.SESSION_DOWN, 1, self._session)
            with m.Else():
                m.next = "Idle"

