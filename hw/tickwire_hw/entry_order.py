"""What becomes of an order message: the order as it leaves, and its row (kernel ``entry``)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import Operation
from tickwire.spec.orders import OWN_ORDERS, OrderState
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.intent_window import INTENT_LAYOUT
from tickwire_hw.order_port import Order
from tickwire_hw.order_rows import TOKEN, OrderRow


class EntryOrder(wiring.Component):
    """Give the order and the rows that it writes; purely combinational.

    Members
    -------
    intent, old : ``In``
        The message, and the order that it is about; zero for a new one.
    flags, session, locate, instrument : ``In``
        Of the order, whichever of the two tells.
    token, place : ``In``
        Its token, unless it cancels, and its place among the own orders.
    order : ``Out(Order)``
        The order as it leaves.
    is_old, row : ``In(1)``, ``Out(OrderRow)``
        Whether the row of the order that is replaced is meant; the row.
    """

    intent: In(INTENT_LAYOUT)
    old: In(OrderRow)
    flags: In(4)
    session: In(range(SESSIONS_MAX))
    locate: In(16)
    instrument: In(16)
    token: In(TOKEN)
    place: In(range(OWN_ORDERS + 1))
    order: Out(Order)
    is_old: In(1)
    row: Out(OrderRow)

    def elaborate(self, platform):
        """Return both layouts."""
        m = Module()

        intent, order, row = self.intent, self.order, self.row
        is_new, is_replace, is_cancel = (Signal(name=f"is_{kind.name.lower()}") for kind in (
            Operation.NEW, Operation.REPLACE, Operation.CANCEL))
        m.d.comb += [
            is_new.eq(intent.operation == Operation.NEW),
            is_replace.eq(intent.operation == Operation.REPLACE),
            is_cancel.eq(intent.operation == Operation.CANCEL),
            order.operation.eq(intent.operation), order.flags.eq(self.flags),
            order.session.eq(self.session), order.instrument.eq(self.instrument),
            order.price.eq(intent.price), order.quantity.eq(intent.quantity),
            order.token.eq(Mux(is_cancel, self.old.token, self.token)),
            order.previous.eq(Mux(is_replace, self.old.token, 0)),
            order.intent_id.eq(intent.intent_id), order.strategy.eq(intent.strategy)]
        with m.If(self.is_old):
            m.d.comb += [row.eq(self.old), row.successor.eq(self.token)]
        with m.Else():
            m.d.comb += [
                row.token.eq(self.token), row.previous.eq(order.previous),
                row.intent_id.eq(intent.intent_id), row.price.eq(intent.price),
                row.leaves.eq(Mux(is_new, intent.quantity, 0)),
                row.quantity.eq(intent.quantity), row.instrument.eq(self.instrument),
                row.locate.eq(self.locate), row.strategy.eq(intent.strategy),
                row.session.eq(self.session), row.flags.eq(self.flags),
                row.state.eq(Mux(is_new, OrderState.SENT, OrderState.REPLACING)),
                row.place.eq(self.place)]

        return m
