"""Checks of an order that its limits alone decide, and its value."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.checks import CheckIndex
from tickwire.spec.limits import DOLLAR, LimitFlag, OrderPermit
from tickwire.spec.ouch50 import PRICE_MAX
from tickwire_hw.logic import saturated, stages
from tickwire_hw.product import AGE as PRODUCT_AGE
from tickwire_hw.product import product
from tickwire_hw.risk_port import CHECK_BITS, STATIC_CHECKS, WORTH, Divisor, StaticRow

AGE = PRODUCT_AGE + 1
"""Cycles from an order to its checks."""
_KINDS = (OrderPermit.DAY | OrderPermit.IMMEDIATE | OrderPermit.POST_ONLY).value
_WORD = 32


class RiskStatic(wiring.Component):
    """Find the static checks that an order fails, 3 cycles later; takes an order a cycle.

    Kernels: ``risk_rules.is_multiple``, ``is_off_tick``, ``is_bad_quantity``, ``notional``. A
    number is a multiple when its product with the divisor's inverse is small. Never exerts
    backpressure.

    Members
    -------
    price, quantity : ``In(32)``
        The order.
    kinds : ``In(4)``
        OrderPermit.
    row : ``In(StaticRow)``
        Limits of its instrument.
    mask : ``Out(CHECK_BITS)``
        Bit n is Check n.
    notional : ``Out(62)``
        Price x quantity, saturated.
    """

    price: In(_WORD)
    quantity: In(_WORD)
    kinds: In(4)
    row: In(StaticRow)
    mask: Out(CHECK_BITS)
    notional: Out(62)

    def elaborate(self, platform):
        """Return products, and comparisons behind them."""
        m = Module()

        is_low = self.price < DOLLAR
        tick = Signal(Divisor)
        m.d.comb += tick.eq(Mux(is_low, self.row.tick_below_dollar, self.row.tick))
        is_off_tick = self._is_no_multiple(m, self.price, tick, "tick")
        is_off_lot = self._is_no_multiple(m, self.quantity, self.row.lot, "lot")
        whole = product(m, self.price, self.quantity, "notional")
        price, quantity, row, kinds = (stages(m, value, PRODUCT_AGE, name)[-1] for value, name in (
            (self.price, "price"), (self.quantity, "quantity"), (self.row, "row"),
            (self.kinds, "kinds")))
        notional = Signal(62)
        m.d.comb += notional.eq(saturated(whole, WORTH)
                                | (price[-1] | quantity[-1]).replicate(WORTH))
        fails = {
            CheckIndex.INSTRUMENT_DISABLED: ~row.flags[LimitFlag.ENABLED.bit_length() - 1],
            CheckIndex.QUANTITY: ~quantity.any() | (quantity > row.quantity_max)
            | (quantity < row.quantity_min) | is_off_lot,
            CheckIndex.NOTIONAL: notional > row.notional_max,
            CheckIndex.TICK_SIZE: ~price.any() | (price > PRICE_MAX) | is_off_tick,
            CheckIndex.ORDER_TYPE: (kinds & _KINDS & ~row.permits).any(),
            CheckIndex.PRICE_BAND: (price < row.band_lower) | (price > row.band_upper)}
        assert fails.keys() == {*STATIC_CHECKS}
        m.d.sync += [self.notional.eq(notional), self.mask.eq(Cat(
            fails.get(number, C(0, 1)) for number in range(CHECK_BITS)))]

        return m

    def _is_no_multiple(self, m, number, divisor, name):
        """Whether a number is no multiple of a divisor, or that is 0; two cycles later."""
        odd = Signal(_WORD, name=f"{name}_odd")
        rest = Signal(_WORD, name=f"{name}_rest")
        m.d.comb += [odd.eq(number >> divisor.shift),
                     rest.eq(number & ~((((1 << _WORD) - 1) << divisor.shift)[:_WORD]))]
        quotient = product(m, odd, divisor.inverse, f"{name}_quotient", _WORD)
        has_rest, room, is_none = (stages(m, value, PRODUCT_AGE, f"{name}_{what}")[-1]
                                   for value, what in ((rest.any(), "has_rest"),
                                                       (divisor.room, "room"),
                                                       (~divisor.inverse.any(), "is_none")))
        return has_rest | (quotient >> room).any() | is_none
