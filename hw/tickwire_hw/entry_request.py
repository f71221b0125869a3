"""What the gate is asked about an order (kernels ``orders.request_new``, ``request_replace``)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import IntentFlag
from tickwire.spec.limits import NOTIONAL_LIMIT_MAX, OrderPermit
from tickwire_hw.intent_window import INTENT_LAYOUT
from tickwire_hw.logic import excess, saturated
from tickwire_hw.order_rows import AMOUNT, OrderRow
from tickwire_hw.product import AGE as PRODUCT_AGE
from tickwire_hw.product import product
from tickwire_hw.risk_port import CHECK_BITS, WORTH, Request

WORTH_CYCLES = PRODUCT_AGE + 2
"""Cycles until what a replace adds is known."""
_KINDS = (OrderPermit.DAY, OrderPermit.IMMEDIATE, OrderPermit.POST_ONLY, OrderPermit.SHORT)
assert _KINDS == (1, 2, 4, 8)
assert (IntentFlag.IMMEDIATE, IntentFlag.POST_ONLY) == (4, 8)


class EntryRequest(wiring.Component):
    """Work out what an order adds to what is open.

    A new order's request is there in the cycle of its inputs, a replace's 4 cycles after ``age``
    was 0. Its two values go through one multiplier.

    Members
    -------
    intent, old, flags, is_new, decided, has_place : ``In``
        The order, and the one that a replace is about; they stay.
    static, notional : ``In``
        Of ``RiskStatic``.
    age : ``In(4)``
        Cycles since all of that is there.
    o : ``Out(Request)``
        The request.
    """

    intent: In(INTENT_LAYOUT)
    old: In(OrderRow)
    flags: In(4)
    is_new: In(1)
    decided: In(64)
    has_place: In(1)
    static: In(CHECK_BITS)
    notional: In(62)
    age: In(4)
    o: Out(Request)

    def elaborate(self, platform):
        """Return the difference of two values, and the request."""
        m = Module()

        intent, old, request = self.intent, self.old, self.o
        left, shares = Signal(32), Signal(32)
        m.d.comb += [
            left.eq(excess(intent.quantity, old.executed)), shares.eq(excess(left, old.leaves))]
        is_huge = Cat(intent.price[AMOUNT:], left[AMOUNT:]).any()
        is_old = self.age == 1
        whole = product(m, Mux(is_old, old.leaves, left[:AMOUNT]),
                        Mux(is_old, old.price, intent.price[:AMOUNT]), "worth")
        value = saturated(whole, WORTH)
        wanted, added = Signal(62), Signal(62)
        with m.If(self.age == PRODUCT_AGE):
            m.d.sync += wanted.eq(Mux(is_huge, NOTIONAL_LIMIT_MAX, value))
        with m.If(self.age == PRODUCT_AGE + 1):
            m.d.sync += added.eq(excess(wanted, value))
        m.d.comb += [
            request.is_sell.eq(self.flags[0]), request.is_new.eq(self.is_new),
            request.kinds.eq(Cat(~intent.flags[2], intent.flags[2], intent.flags[3],
                                 self.flags[1])),
            request.has_place.eq(self.has_place), request.price.eq(intent.price),
            request.quantity.eq(intent.quantity), request.decided.eq(self.decided),
            request.static.eq(self.static),
            request.added_quantity.eq(Mux(self.is_new, intent.quantity, shares)),
            request.added_notional.eq(Mux(self.is_new, self.notional, added))]

        return m
