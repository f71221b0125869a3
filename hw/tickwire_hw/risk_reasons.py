"""Limit and value of the check that refused an order (kernel ``explain``)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from tickwire.spec.checks import CheckIndex
from tickwire.spec.limits import DOLLAR, LimitFlag, OrderPermit
from tickwire.spec.ouch50 import PRICE_MAX
from tickwire.spec.records import BookFlag, FeedState
from tickwire_hw.logic import encode, lowest, saturated
from tickwire_hw.risk_port import CHECK_BITS, Reason
from tickwire_hw.risk_rules import DOUBTFUL, KINDS, OWN_KEY, Situation, Sums

_WIDE = 64
_WAS_KILLED = 2                            # of a session or a strategy


class RiskReasons(Situation):
    """Tell why an order was refused, 3 cycles after it was asked, 67 for a rate.

    What it looks at must stay the same from the order's verdict on until the reason is there; the
    reason stays until the next one is asked for. Only a count of tokens needs a division, which
    takes a cycle a bit.

    Members
    -------
    sums : ``In(Sums)``
        As of ``RiskRules``; so is what else goes in, see ``Situation``.
    notional : ``In(62)``
        Price x quantity of the order.
    killed, feed_state : ``In``
        Causes of the kill; FeedState.
    ask, hard : ``In(1)``, ``In(CHECK_BITS)``
        For one cycle: tell of the lowest of these checks.
    o : ``Out(stream.Signature(Reason, always_ready=True))``
        The reason.
    """

    sums: In(Sums)
    notional: In(62)
    killed: In(32)
    feed_state: In(8)
    ask: In(1)
    hard: In(CHECK_BITS)
    o: Out(stream.Signature(Reason, always_ready=True))

    def elaborate(self, platform):
        """Return the choice, and the division."""
        m = Module()

        check = Signal(range(CHECK_BITS))
        # What does not change is looked at a cycle late: these are long carry chains.
        self._sums, self._is_own, self._is_firm = Signal(Sums), Signal(), Signal()
        now, row = self.now.as_signed(), self.instrument_row
        m.d.sync += [self._sums.eq(self.sums), *(
            is_over.eq((time - now)[:_WIDE].as_signed() > room) for is_over, time, room in (
                (self._is_own, self.exposure.rate_time, row.rate_room),
                (self._is_firm, self.firm.rate_time, self.firm_row.rate_room)))]
        limit, value = Signal(signed(_WIDE + 1)), Signal(signed(_WIDE + 1))
        kept_limit, kept_value = Signal(_WIDE), Signal(_WIDE)
        rate = Signal(32)                    # time of a token
        since, is_rate = Signal(_WIDE), Signal()
        with m.Switch(check):
            for number, (its_limit, its_value) in {
                    **self._states(), **self._prices(), **self._amounts(),
                    **self._counts()}.items():
                with m.Case(number):
                    m.d.comb += [limit.eq(its_limit), value.eq(its_value)]
            for number, (its_limit, its_rate, full) in self._rates().items():
                with m.Case(number):
                    ahead = (full - self.now.as_signed())[:_WIDE].as_signed()
                    m.d.comb += [limit.eq(its_limit), is_rate.eq(1), rate.eq(its_rate),
                                 since.eq(Mux(ahead < 0, 0, ahead))]

        rest, count, left = Signal(_WIDE), Signal(_WIDE), Signal(range(_WIDE + 1))
        divisor = Signal(32)
        turn = Cat(count[-1], rest)[:_WIDE]
        fits = turn >= divisor
        with m.FSM():
            with m.State("Idle"):
                m.d.sync += [self.o.valid.eq(0), check.eq(encode(Cat(lowest(self.hard))))]
                with m.If(self.ask & ~self.o.valid):
                    m.next = "Choose"
            with m.State("Choose"):
                m.d.sync += [
                    kept_limit.eq(limit), kept_value.eq(value), left.eq(_WIDE), rest.eq(0),
                    divisor.eq(Mux(rate.any(), rate, 1)), count.eq(since)]
                with m.If(is_rate):
                    m.next = "Divide"
                with m.Else():
                    m.next = "Tell"
            with m.State("Divide"):
                # Tokens that are taken, the refused one included: rounded up, and one.
                m.d.sync += [left.eq(left - 1), rest.eq(Mux(fits, turn - divisor, turn)),
                             count.eq(Cat(fits, count)), kept_value.eq(count + rest.any() + 1)]
                with m.If(~left.any()):
                    m.next = "Tell"
            with m.State("Tell"):
                m.d.sync += [self.o.valid.eq(1), self.o.p.check.eq(check),
                             self.o.p.limit.eq(saturated(kept_limit, 32)),
                             self.o.p.value.eq(saturated(kept_value, 32))]
                m.next = "Idle"

        return m

    def _states(self):
        gates, market, static = self.gates, self.market, self.instrument_row.static
        hidden = Mux(self.request.is_sell, BookFlag.BID_HIDDEN.value, BookFlag.ASK_HIDDEN.value)
        is_live = self.feed_state == FeedState.LIVE
        is_stopped = (market.trading_state == ord("T")) & (market.operational == ord("H"))
        return {
            CheckIndex.GLOBAL_KILL: (0, self.killed),
            CheckIndex.INSTRUMENT_KILL: (0, 1),
            CheckIndex.INSTRUMENT_DISABLED: (LimitFlag.ENABLED.value, static.flags),
            CheckIndex.FEED_UNHEALTHY: (
                Mux(is_live, 0, FeedState.LIVE.value),
                Mux(is_live, market.flags & (DOUBTFUL | hidden), self.feed_state)),
            CheckIndex.TRADING_STATE: (ord("T"), Mux(is_stopped, ord("H"), market.trading_state)),
            CheckIndex.SESSION_DOWN: (1, Mux(gates.session_up, _WAS_KILLED, 0)),
            CheckIndex.CONFIGURATION: (1, 0),
            CheckIndex.STRATEGY_DISABLED: (1, Mux(gates.strategy_killed, _WAS_KILLED, 0)),
            CheckIndex.MARKET_PHASE: (ord("Q"), gates.phase),
            CheckIndex.ORDER_TYPE: (static.permits & KINDS, self.request.kinds & KINDS)}

    def _prices(self):
        request, market, bounds = self.request, self.market, self.bounds
        static, sums = self.instrument_row.static, self._sums
        price, quantity, is_sell = request.price, request.quantity, request.is_sell
        most, least = static.quantity_max, static.quantity_min
        tick = Mux(price < DOLLAR, static.tick_below_dollar.number, static.tick.number)
        bound = Mux(is_sell, bounds.sell, bounds.buy)
        lower = Mux(bounds.lower > static.band_lower, bounds.lower, static.band_lower)
        upper = Mux(bounds.upper < static.band_upper, bounds.upper, static.band_upper)
        is_crossed = ((market.flags & BookFlag.CROSSED.value).any()
                      & ~static.permits[OrderPermit.CROSSED.bit_length() - 1])
        may_short = static.permits[OrderPermit.SHORT.bit_length() - 1]
        return {
            CheckIndex.QUANTITY: (Mux((quantity > most) | ~quantity.any(), most, Mux(
                quantity < least, least, static.lot.number)), quantity),
            CheckIndex.NOTIONAL: (static.notional_max, self.notional),
            CheckIndex.TICK_SIZE: (Mux(price > PRICE_MAX, PRICE_MAX, tick), price),
            CheckIndex.COLLAR: (Mux(sums.reference.any() & (bound > 0), bound, 0), price),
            CheckIndex.SHORT_SALE: (Mux(may_short, market.bid, 0), price),
            CheckIndex.PRICE_BAND: (Mux(bounds.has_last, Mux(
                price < lower, lower, upper), 0), price),
            CheckIndex.LOCKED_MARKET: (Mux(is_crossed, 0, sums.reference), price),
            CheckIndex.SELF_MATCH: (Mux(is_sell, sums.key, OWN_KEY - sums.key), price)}

    def _amounts(self):
        e, firm, request, sums = self.exposure, self.firm, self.request, self._sums
        row, every = self.instrument_row, self.firm_row
        is_gross = sums.gross > row.gross_notional_max
        is_opened = sums.opened > row.open_notional_max
        orders, firm_orders = Cat(e.open_orders + 1)[:32], Cat(firm.open_orders + 1)[:32]
        is_orders = orders > row.open_orders_max
        is_shares = request.added_quantity.any() & (sums.shares > row.day_quantity_max)
        return {
            CheckIndex.POSITION: (Mux(request.is_sell, row.position_short_max,
                                      row.position_long_max), sums.worst),
            CheckIndex.GROSS_NOTIONAL: (
                Mux(is_gross, row.gross_notional_max, every.gross_notional_max),
                Mux(is_gross, sums.gross, sums.firm_gross)),
            CheckIndex.OPEN_NOTIONAL: (
                Mux(is_opened, row.open_notional_max, every.open_notional_max),
                Mux(is_opened, sums.opened, sums.firm_opened)),
            CheckIndex.OPEN_ORDERS: (
                Mux(is_orders, row.open_orders_max, Mux(
                    firm_orders > every.open_orders_max, every.open_orders_max,
                    Cat(firm.open_orders))), Mux(is_orders, orders, firm_orders)),
            CheckIndex.NET_NOTIONAL: (every.net_notional_max, sums.side),
            CheckIndex.CREDIT: (every.credit_max, sums.spent),
            CheckIndex.LOSS: (every.loss_max, sums.loss),
            CheckIndex.ACCUMULATED: (
                Mux(is_shares, row.day_quantity_max, row.day_notional_max),
                Mux(is_shares, sums.shares, sums.day))}

    def _counts(self):
        e, request, session = self.exposure, self.request, self.session
        since = (self.now - e.newest_time[request.is_sell])[:_WIDE].as_signed()
        age = (self.now - request.decided)[:_WIDE].as_signed()
        return {
            CheckIndex.ORDER_TO_TRADE: (self.session_row.orders_free + session.earned,
                                        session.orders + 1),
            CheckIndex.DUPLICATE: (self.instrument_row.duplicate_ns, Mux(since < 0, 0, since)),
            CheckIndex.REPETITION: (self.strategy_row.repetitions_max, self.strategy.orders + 1),
            CheckIndex.AGE: (self.strategy_row.age_max_ns, Mux(age < 0, -age, age))}

    def _rates(self):
        """Tokens that a bucket holds, time of one, and when it will be full."""
        row = self.instrument_row

        def first(ours, theirs, last):
            return Mux(self._is_own, ours, Mux(self._is_firm, theirs, last))
        every, strategy, session = self.firm_row, self.strategy_row, self.session_row
        return {
            CheckIndex.RATE: (
                first(row.rate_burst, every.rate_burst, strategy.rate_burst),
                first(row.rate_interval_ns, every.rate_interval_ns, strategy.rate_interval_ns),
                first(self.exposure.rate_time, self.firm.rate_time, self.strategy.time)),
            CheckIndex.MESSAGE_RATE: (session.message_burst, session.message_interval_ns,
                                      self.session.time)}

