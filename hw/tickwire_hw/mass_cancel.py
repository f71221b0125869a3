"""Mass cancel: one cancel for every order that was open when it began (kernel ``mass_cancel``)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import Operation
from tickwire.spec.orders import OrderState
from tickwire_hw.entry_port import Source, SweepWish, Wanted
from tickwire_hw.order_rows import ROWS_LOG2, TOKEN, OrderRow
from tickwire_hw.settle import ROW_CYCLES


class MassCancel(wiring.Component):
    """Look at every row of the order table and ask for a cancel of each order that is meant.

    4 cycles a row while ``may_look``, and what a cancel takes. There is one at a time: another one
    that begins meanwhile starts over, for all instruments when the two are not of the same one.

    Members
    -------
    i : ``In(stream.Signature(SweepWish, always_ready=True))``
        Begins.
    newest : ``In(32)``
        Tokens from here on were not used when it began.
    is_entering : ``In(1)``
        The order that is being executed may take the newest token still. It was there when this
        began, so it is meant.
    may_look : ``In(1)``
        The row port is free.
    token, row : ``Out(32)``, ``In(OrderRow)``
        To and from ``OrderRows``.
    o : ``Out(stream.Signature(Wanted))``
        Cancels.
    is_sweeping : ``Out(1)``
        Rows are left to be looked at.
    """

    i: In(stream.Signature(SweepWish, always_ready=True))
    newest: In(TOKEN)
    is_entering: In(1)
    may_look: In(1)
    token: Out(TOKEN)
    row: In(OrderRow)
    o: Out(stream.Signature(Wanted))
    is_sweeping: Out(1)

    def __init__(self, rows_log2: int = ROWS_LOG2) -> None:
        self._log2 = rows_log2
        super().__init__()

    def elaborate(self, platform):
        """Return the walk over the rows."""
        m = Module()

        wish, begins = Signal(SweepWish), self.i.valid
        bound, is_bounded, place = Signal(TOKEN), Signal(), Signal(self._log2 + 1)
        age, row, cancel = Signal(range(ROW_CYCLES + 1)), self.row, self.o.p.taken.intent
        is_meant = ((row.state != OrderState.DEAD) & (row.token < bound)
                    & (wish.is_all | (row.instrument == wish.instrument)))
        is_other = ((wish.is_all != self.i.p.is_all)
                    | (wish.instrument != self.i.p.instrument)) & ~(wish.is_all & self.i.p.is_all)
        m.d.comb += [
            self.token.eq(place), self.o.p.source.eq(Source.SWEEP),
            cancel.operation.eq(Operation.CANCEL), cancel.intent_id.eq(wish.intent_id),
            cancel.timestamp.eq(wish.timestamp)]
        following = place + 1
        with m.FSM():
            with m.State("Look"), m.If(self.is_sweeping):
                m.d.sync += age.eq(Mux(self.may_look, age + 1, 0))
                with m.If(self.may_look & (age == ROW_CYCLES)):
                    m.d.sync += [age.eq(0), cancel.token.eq(row.token)]
                    with m.If(is_meant):
                        m.next = "Ask"
                    with m.Else():
                        m.d.sync += [place.eq(following),
                                     self.is_sweeping.eq(~following[self._log2])]
            with m.State("Ask"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [place.eq(following),
                                 self.is_sweeping.eq(~following[self._log2])]
                    m.next = "Look"
                with m.Elif(begins):           # from the first row on, whatever was in hand
                    m.next = "Look"
        with m.If(begins | ~is_bounded):
            m.d.sync += [bound.eq(self.newest), is_bounded.eq(~begins & ~self.is_entering)]
        with m.If(begins):
            m.d.sync += [
                wish.eq(self.i.p), place.eq(0), age.eq(0), self.is_sweeping.eq(1)]
            with m.If(self.is_sweeping & is_other):
                m.d.sync += wish.is_all.eq(1)

        return m
