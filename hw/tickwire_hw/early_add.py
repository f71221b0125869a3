"""Best levels after an added order, two cycles after its message: no look-up is needed for it."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.logic import is_less, stages
from tickwire_hw.touch import BESTS
from tickwire_hw.touch_rules import BEST

ANSWER_AGE = 2
"""Cycles from a message to the answer."""
_SHOWN_AGE = 6                              # of a message whose row is written


class EarlyAdd(wiring.Component):
    """Compare an added order with the best level beside it; answer where nothing can refuse it.

    Two cycles after its message, if all of this holds: the best level is known; the price is a
    tick; no order has the reference and both tables have room, which can be told for sure nearly
    always; and of the instrument's messages of the last four cycles there is none but orders
    that were answered like this, with no order of another instrument behind them of which all but
    the tick and the reference held. Else there is no answer here. Never exerts backpressure.

    Members
    -------
    messages, can_add, soon, is_new : ``In``
        Of ``EarlyOrders``.
    now : ``In(BESTS)``
        One cycle after the message: both sides of its instrument, as ``Touch.o_now`` has them.
    is_sure : ``In(1)``
        In that cycle: no table can be too full.
    o : ``Out(stream.Signature(BESTS, always_ready=True))``
        Two cycles after the message: both sides after it. From registers, through one adder's
        result and one multiplexer.
    changes : ``Out(1)``
        With ``o``: the order is in its side's best level.
    glimpse : ``Out(stream.Signature(BESTS, always_ready=True))``
        One cycle after the message: what ``o`` will be, if it comes, of the message's instrument
        nothing was under way, and a best level changes. So its price is the order's, and is
        compared with nothing.
    """

    def __init__(self, messages: data.ArrayLayout) -> None:
        super().__init__({
            "messages": In(messages), "can_add": In(1),
            "soon": In(data.StructLayout({"is_tick": 1, "is_low": 1})),
            "is_new": In(1), "now": In(BESTS), "is_sure": In(1), "changes": Out(1),
            "o": Out(stream.Signature(BESTS, always_ready=True)),
            "glimpse": Out(stream.Signature(BESTS, always_ready=True))})

    def elaborate(self, platform):
        """Return the comparison; a number behind a name is the age of the message."""
        m = Module()

        entry, given = self.messages[1], self.messages[1].message

        # What is under way on this instrument and not in its row: nothing, or the last answer.
        # The answer is kept before it is known whether it is one.
        can = Signal()                          # be one
        told, kept_any = ([None, None, *stages(m, value, _SHOWN_AGE - 1 - ANSWER_AGE, name)]
                          for value, name in ((self.o.valid, "told"), (can, "can_be")))
        last = Signal(BESTS)
        ages = range(ANSWER_AGE + 1, _SHOWN_AGE)
        is_near = Cat(self.messages[age].is_valid & (self.messages[age].instrument
                                                     == entry.instrument) for age in ages)
        is_usable, has_near = Signal(), Signal()
        with m.If(can):
            m.d.sync += last.eq(self.o.p)
        m.d.comb += has_near.eq(is_near.any())
        for number, age in reversed(list(enumerate(ages))):
            with m.If(is_near[number] | kept_any[age]):
                m.d.comb += is_usable.eq(is_near[number] & told[age])

        def either(name: str, value) -> Value:
            """Take both best levels that it can be: which one it is, comes late."""
            return stages(m, Mux(has_near, *(value(data.View(BEST, Array(bests)[given.side]))
                                             for bests in (last, self.now))), 1, name)[1]
        kept = stages(m, data.View(BESTS, Mux(has_near, last.as_value(), self.now.as_value())),
                      1, "kept")[1]
        side, price, shares = (stages(m, value, 1, name)[1] for name, value in (
            ("side", given.side), ("price", given.price), ("shares", given.shares)))
        sum_shares = either("sum_shares", lambda best: best.value.shares + given.shares)
        sum_orders = either("sum_orders", lambda best: (best.value.orders + 1)[:-1])
        is_better = either("is_better", lambda best: ~best.has_best | Mux(
            given.side, is_less(given.price, best.price), is_less(best.price, given.price)))
        is_equal = either("is_equal", lambda best: best.has_best & (given.price == best.price))
        is_first = either("is_first", lambda best: ~best.has_best)
        m.d.comb += can.eq(either("is_known", lambda best: best.is_known) & stages(
            m, entry.is_valid & self.can_add & self.is_sure & (~has_near | is_usable), 1,
            "may")[1])

        m.d.comb += [
            self.o.valid.eq(can & self.is_new & self.soon.is_tick & ~(is_equal & sum_shares[-1])
                            & ~(is_first & self.soon.is_low & ~side)),
            self.changes.eq(is_better | is_equal), self.o.p.eq(kept)]
        for number in range(len(self.o.p.as_value()) // BEST.size):
            mine = self.o.p[number]
            with m.If((side == number) & self.changes):
                m.d.comb += [
                    mine.has_best.eq(1), mine.price.eq(price),
                    mine.value.shares.eq(Mux(is_equal, sum_shares, shares)),
                    mine.value.orders.eq(Mux(is_equal, sum_orders, 1))]

        before, soon = self.now, self.glimpse.p
        m.d.comb += [self.glimpse.valid.eq(entry.is_valid & self.can_add), soon.eq(before)]
        for number in range(len(soon.as_value()) // BEST.size):
            old, mine = before[number], soon[number]
            joins = old.has_best & (old.price == given.price)
            with m.If(given.side == number):
                m.d.comb += [
                    mine.has_best.eq(1), mine.price.eq(given.price), mine.value.shares.eq(
                        Mux(joins, given.shares + old.value.shares, given.shares)),
                    mine.value.orders.eq(Mux(joins, old.value.orders + 1, 1))]

        return m
