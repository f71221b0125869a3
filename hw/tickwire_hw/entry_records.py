"""Records about order messages on their way out (kernel ``order_records``)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import (
    INTENT_ERROR,
    ORDER_RELEASED,
    ORDER_SENT,
    RISK_REJECT,
    RecordType,
)
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.intent_window import INTENT_LAYOUT
from tickwire_hw.logic import saturated
from tickwire_hw.order_rows import OrderRow
from tickwire_hw.record_writer import RECORD
from tickwire_hw.records import body_layout
from tickwire_hw.risk_port import AMOUNT, CHECK_BITS, SHARES, Reason

_BODIES = {RecordType.ORDER_SENT: body_layout(ORDER_SENT),
           RecordType.ORDER_RELEASED: body_layout(ORDER_RELEASED),
           RecordType.RISK_REJECT: body_layout(RISK_REJECT),
           RecordType.INTENT_ERROR: body_layout(INTENT_ERROR)}
_WORD = 32


class Told(data.Struct):
    """What a record may tell of an order message."""

    now: 64                                # when it was taken
    stamp: 64                              # when it left
    intent: INTENT_LAYOUT
    old: OrderRow                          # the order that it is about; zero for a new one
    is_new: 1
    is_replace: 1
    is_cancel: 1
    flags: 4
    locate: 16
    session: range(SESSIONS_MAX)
    token: _WORD
    symbol: 64
    open_notional: AMOUNT
    open_shares: SHARES                    # of its instrument, on its side
    mask: CHECK_BITS
    version: _WORD                         # of the limits
    reason: Reason
    slot: 6
    error: 8
    expected: _WORD
    received: _WORD


class EntryRecords(wiring.Component):
    """Give the octets of a record; purely combinational.

    Members
    -------
    told, kind : ``In(Told)``, ``In(8)``
        What there is to tell, and the RecordType: ORDER_SENT, ORDER_RELEASED, RISK_REJECT or
        INTENT_ERROR.
    o : ``Out(RECORD)``
        The record.
    """

    told: In(Told)
    kind: In(8)
    o: Out(RECORD)

    def elaborate(self, platform):
        """Return the four layouts and the choice between them."""
        m = Module()

        told, intent, old = self.told, self.told.intent, self.told.old
        bodies = {kind: Signal(layout, name=kind.name.lower()) for kind, layout in _BODIES.items()}
        sent, released, reject, error = bodies.values()
        side = Mux(told.flags[0], Mux(told.flags[1], ord("T"), ord("S")), ord("B"))
        waited = Signal(64)
        for body in (sent, released, reject):
            m.d.comb += [
                body.intent_id.eq(intent.intent_id), body.side.eq(side),
                body.locate.eq(told.locate), body.operation.eq(intent.operation),
                body.strategy.eq(Mux(told.is_cancel, old.strategy, intent.strategy)),
                body.quantity.eq(intent.quantity)]
        for body in (sent, released):
            m.d.comb += [body.token.eq(told.token), body.session.eq(told.session)]
        m.d.comb += [
            waited.eq(told.stamp - told.now), sent.timestamp.eq(told.stamp),
            sent.intent_timestamp.eq(intent.timestamp),
            sent.price.eq(Mux(told.is_cancel, 0, intent.price)),
            sent.latency_ns.eq(Mux(waited[-1], 0, saturated(waited, _WORD))),
            sent.open_notional.eq(told.open_notional),
            sent.open_quantity.eq(saturated(told.open_shares, _WORD)),
            released.timestamp.eq(told.now),
            released.symbol.eq(Cat(told.symbol[at:at + 8] for at in range(56, -1, -8))),
            released.previous.eq(Mux(told.is_replace, old.token, 0)),
            released.price.eq(Mux(told.is_cancel, old.price, intent.price)),
            released.total.eq(old.quantity), released.executed.eq(old.executed),
            released.flags.eq(told.flags), reject.timestamp.eq(told.now),
            reject.intent_timestamp.eq(intent.timestamp), reject.checks.eq(told.mask),
            reject.price.eq(intent.price), reject.limit.eq(told.reason.limit),
            reject.value.eq(told.reason.value), reject.check.eq(told.reason.check),
            reject.config_version.eq(told.version), error.timestamp.eq(told.now),
            error.slot.eq(told.slot), error.error.eq(told.error),
            error.expected.eq(told.expected), error.received.eq(told.received),
            error.intent_id.eq(intent.intent_id), self.o.kind.eq(self.kind)]
        with m.Switch(self.kind):
            for kind, body in bodies.items():
                with m.Case(kind):
                    m.d.comb += self.o.octets.eq(body)

        return m
