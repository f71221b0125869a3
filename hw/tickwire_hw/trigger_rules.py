"""What sets a trigger off (kernel ``triggers``)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import TriggerKind
from tickwire_hw.triggers_port import Condition, Sight


class TriggerRules(wiring.Component):
    """Say whether a record is what one slot waits for, and whether its time is over; combinational.

    Kernels: ``triggers._holds``, and the time of ``_is_due``. No price never is at or beyond
    another one. FILL_HEDGE waits for no record.

    Members
    -------
    condition, sight : ``In``
        Slot and record.
    now : ``In(64)``
        Time, ns.
    holds, is_over : ``Out(1)``
        The record sets it off; it may not fire any more.
    """

    condition: In(Condition)
    sight: In(Sight)
    now: In(64)
    holds: Out(1)
    is_over: Out(1)

    def elaborate(self, platform):
        """Return one comparison of prices, one of shares, one of times."""
        m = Module()

        condition, sight = self.condition, self.sight
        bound, is_sell = condition.price, condition.is_sell
        looks_at_bid = sight.is_trade | (is_sell ^ (condition.kind == TriggerKind.JOIN))
        price, shares = Signal(32), Signal(32)
        is_above, is_below = Signal(), Signal()
        m.d.comb += [
            price.eq(Mux(looks_at_bid, sight.bid, sight.ask)),
            shares.eq(Mux(is_sell, sight.bid_quantity, sight.ask_quantity)),
            is_above.eq(price > bound), is_below.eq(price < bound),
            self.is_over.eq(condition.deadline.any()
                            & (self.now.as_signed() > condition.deadline.as_signed()))]
        # Better for the order than its trigger price, and worse.
        is_better, is_worse = Mux(is_sell, is_above, is_below), Mux(is_sell, is_below, is_above)
        is_there = price.any() & ~sight.is_trade
        with m.Switch(condition.kind):
            with m.Case(TriggerKind.TAKE, TriggerKind.CANCEL_ON_MOVE):
                m.d.comb += self.holds.eq(is_there & ~is_worse & (shares >= condition.quantity))
            with m.Case(TriggerKind.CROSS, TriggerKind.JOIN):
                m.d.comb += self.holds.eq(is_there & ~is_better)
            with m.Case(TriggerKind.SIZE):
                m.d.comb += self.holds.eq(is_there & ~is_better & ~is_worse
                                          & (shares <= condition.quantity))
            with m.Case(TriggerKind.TRADE_THROUGH):
                m.d.comb += self.holds.eq(sight.is_trade & is_worse)

        return m
