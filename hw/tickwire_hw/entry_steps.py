"""An order message step by step, port to last record (kernels ``order_path``, ``entry``)."""

from amaranth.hdl import Cat, Mux, Signal
from amaranth.lib import data

from tickwire.spec.checks import STATIC, CheckIndex
from tickwire.spec.intents import IntentError, Operation, TriggerKind
from tickwire.spec.records import RecordType
from tickwire_hw.entry_port import Source
from tickwire_hw.entry_request import WORTH_CYCLES
from tickwire_hw.risk import AHEAD
from tickwire_hw.risk_port import STATIC_CHECKS
from tickwire_hw.risk_static import AGE as STATIC_AGE
from tickwire_hw.settle import ROW_CYCLES
from tickwire_hw.triggers_port import TRIGGER_LAYOUT


class EntrySteps:
    """The state machine of :class:`tickwire_hw.entry.Entry`, apart from what it works with."""

    def _states(self, m):
        """From the message to its last record."""
        wanted, old, age = self._wanted, self._old, self._age
        is_read = age == ROW_CYCLES
        m.d.comb += self.is_busy.eq(1)
        m.d.sync += age.eq(age + 1)
        with m.If(self.sent.valid):
            m.d.sync += [self._stamp.eq(self.sent.p.stamp), self._is_leaving.eq(0),
                         self._is_blocked.eq(self.sent.p.is_blocked)]
        self._decide(m)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [self.i.ready.eq(1), self.is_busy.eq(0)]
                m.d.sync += [wanted.eq(self.i.p), age.eq(0), old.eq(0), self._is_refused.eq(0),
                             self.token.eq(self.i.p.taken.intent.token),
                             self._instrument.eq(self.i.p.instrument)]
                with m.If(self.i.valid):
                    m.next = "Begin"
                with m.If(self.i.valid & (self.i.p.source == Source.TRIGGER) & (
                        self.i.p.taken.intent.operation == Operation.NEW)):
                    m.next = "Place"
                session = self.i.p.taken.intent.session
                is_begun = Signal()
                m.d.comb += is_begun.eq(self.i.p.is_begun & self.is_found & (
                    self.released.bit_select(session, 1) | self.order.ready))
                m.d.sync += wanted.is_begun.eq(is_begun)
                with m.If(self.i.valid & is_begun):
                    m.d.sync += [age.eq(AHEAD), self._token.eq(self.next_token),
                                 self._market.eq(self.i.p.market)]
                    m.next = "Give"
            with m.State("Begin"):
                self._begin(m)
            with m.State("Locate"):
                m.d.sync += self._instrument.eq(self.found.instrument)
                m.next = "Known"
                with m.If(self._is_arming):
                    m.next = "Slot"
            with m.State("Slot"):
                m.d.sync += old.eq(self.row)
                assert ROW_CYCLES == 2         # its age by now
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
                m.d.sync += [self._token.eq(self.next_token),
                             self._market.eq(Mux(self._is_fired, wanted.market,
                                                 self.seen.market))]
                with m.If(self.is_found & (self._is_released | self.order.ready)):
                    m.next = "Ask"
            with m.State("Ask"):
                m.d.comb += self.ahead.valid.eq(1)
                m.d.sync += age.eq(1)
                with m.If(self.ahead.ready):
                    m.next = "Give"
            with m.State("Give"), m.If(age == AHEAD):
                m.d.comb += [self.is_given.eq(1), self.order.valid.eq(~self._is_released)]
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
                m.d.comb += self.departed.valid.eq(1)
                self._go_on(m, self._is_fired & ~(self._is_blocked & self._is_cancel))
            self._arm(m)
            self._tell(m)

    def _decide(self, m):
        """Say from when on what is executed comes in front of a kill, not behind it."""
        verdict, was_decided = self.verdict, Signal()
        is_refused = (verdict.valid & ~verdict.p.passes
                      & ~verdict.p.mask[CheckIndex.GLOBAL_KILL])
        m.d.comb += self.is_decided.eq(self.is_busy & (
            was_decided | is_refused | self.passes & self._is_released
            | self.sent.valid & ~self.sent.p.is_blocked))
        m.d.sync += was_decided.eq(self.is_decided)

    def _go_on(self, m, is_fired):
        """Tell of a message that left, or never did; of a trigger that fired it before that."""
        with m.If(is_fired):
            m.next = "Fired"
        with m.Elif(self._is_blocked):
            m.next = "Lost"
        with m.Elif(self._is_released):
            m.next = "Release"
        with m.Else():
            m.next = "Sent"

    def _refuse(self, m, error, expected, received):
        """Go on with an INTENT_ERROR."""
        m.d.sync += [self._error.eq(error), self._expected.eq(expected),
                     self._received.eq(received)]
        m.next = "Error"

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
        with m.Elif(self._is_arming):
            m.next = "Arm"
            with m.If(self._is_new & (data.View(
                    TRIGGER_LAYOUT, intent.as_value()).kind != TriggerKind.CANCEL_ON_MOVE)):
                m.next = "Static"
        with m.Elif(self._is_new):
            m.next = "Place"
        with m.Elif(self._is_replace):
            m.next = "Worth"
        with m.Elif(self._is_cancel):
            m.next = "Cancel"
        with m.Else():
            m.d.comb += self.sweep.valid.eq(1)
            m.next = "Idle"

    def _arm(self, m):
        """Ask the gate what can not change, then arm or disarm."""
        mask = Signal.like(self._verdict.mask)
        m.d.comb += mask.eq(self.static & STATIC
                            | ~self.version.any() << CheckIndex.CONFIGURATION)
        checked = self._wanted.checked
        with m.State("Static"):
            m.d.sync += [
                self._verdict.mask.eq(mask), checked.notional.eq(self.notional),
                checked.static.eq(Cat(self.static[check] for check in STATIC_CHECKS))]
            with m.If(~self._age.any()):       # the limits of this cycle are what is asked
                m.d.sync += checked.version.eq(self.version)
            with m.If(self._age == STATIC_AGE):
                m.next = "Arm"
                with m.If((mask & ~self.soft_checks).any()):
                    m.next = "Explain"
        with m.State("Arm"):
            m.d.comb += self.arm.valid.eq(1)
            with m.If(self.arm.ready):
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
            m.d.sync += self._is_refused.eq(1)
            told(RecordType.RISK_REJECT, "Refused", counted.risk_rejects)
        with m.State("Refused"):
            m.next = "Idle"
            with m.If(self._is_fired):
                m.next = "Fired"
        with m.State("Fired"):
            m.d.comb += self.fired.valid.eq(1)
            with m.If(self.fired.ready & self._is_refused):
                m.next = "Idle"
            with m.Elif(self.fired.ready):
                self._go_on(m, 0)
        with m.State("Error"):
            told(RecordType.INTENT_ERROR, "Fault", counted.intent_errors)
        with m.State("Fault"):
            m.d.comb += self.is_fault.eq(self._wanted.taken.error.any())
            m.d.sync += self._is_refused.eq(1)
            m.next = "Refused"
        with m.State("Lost"):
            m.d.comb += [self.lost.valid.eq(~self._is_cancel), self.lost.p.eq(self._token),
                         counted.orders_lost.eq(~self._is_cancel)]
            with m.If(self._is_cancel):
                self._refuse(m, IntentError.SESSION_DOWN, 1, self._session)
            with m.Else():
                m.next = "Idle"
