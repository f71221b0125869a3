"""Rules of the volatile checks, in one cycle (kernel ``risk_rules``); see ``spec.checks``."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.checks import CheckIndex
from tickwire.spec.limits import NOTIONAL_LIMIT_MAX, OrderPermit
from tickwire.spec.records import BookFlag
from tickwire_hw.risk_port import (
    AMOUNT,
    CHECK_BITS,
    KEY,
    SHARES,
    Exposure,
    Firm,
    FirmRow,
    InstrumentRow,
    Market,
    Request,
    SessionRow,
    StrategyRow,
    Use,
)

OWN_KEY = 0x7FFF_FFFF
DOUBTFUL = (BookFlag.RECOVERING | BookFlag.STALE | BookFlag.DESYNCED).value
KINDS = (OrderPermit.DAY | OrderPermit.IMMEDIATE | OrderPermit.POST_ONLY).value


class Bounds(data.Struct):
    """Prices that the market allows, worked out from it ahead of the order."""

    buy: signed(64)                        # greatest price of a buy by the collar
    sell: signed(64)                       # least price of a sell
    lower: signed(34)                      # of any order, around the last trade
    upper: signed(34)
    has_last: 1                            # there is no collar around the last trade, or a trade
    value: 62                              # of the position at its mark
    net: signed(AMOUNT)                    # the same, negative short


class Gates(data.Struct):
    """States that let no order pass."""

    is_killed: 1
    instrument_killed: 1
    strategy_killed: 1
    session_killed: 1
    session_up: 1
    feed_live: 1
    has_limits: 1
    phase: 8                               # event code of the newest system event


class Sums(data.Struct):
    """What limits are compared with, the order included."""

    reference: 32                          # best price that it could trade against
    key: 31                                # of the own orders that it could meet
    worst: signed(SHARES + 2)              # position on its side, all filled
    side: signed(AMOUNT)                   # net value of the firm on its side, all filled
    opened: AMOUNT                         # value of open orders
    firm_opened: AMOUNT
    gross: AMOUNT
    firm_gross: AMOUNT
    day: AMOUNT
    shares: signed(SHARES + 4)             # of the day, all filled
    loss: signed(AMOUNT)
    spent: signed(AMOUNT)


class Situation(wiring.Component):
    """What an order is held against: inputs of rules and of reasons.

    Members
    -------
    request, market, bounds, gates, now : ``In``
        The order and what there is to know about its moment.
    exposure, firm, strategy, session : ``In``
        What is used up already.
    firm_row, instrument_row, strategy_row, session_row : ``In``
        Limits.
    """

    request: In(Request)
    market: In(Market)
    bounds: In(Bounds)
    gates: In(Gates)
    now: In(AMOUNT)
    exposure: In(Exposure)
    firm: In(Firm)
    strategy: In(Use)
    session: In(Use)
    firm_row: In(FirmRow)
    instrument_row: In(InstrumentRow)
    strategy_row: In(StrategyRow)
    session_row: In(SessionRow)


class RiskRules(Situation):
    """Mask of the checks that an order fails; purely combinational.

    Only compares and adds: products come with ``bounds`` and ``request``.

    Members
    -------
    mask : ``Out(CHECK_BITS)``
        Bit n is Check n, static ones included.
    sums : ``Out(Sums)``
        What limits were compared with.

    What goes in is of ``Situation``.
    """

    mask: Out(CHECK_BITS)
    sums: Out(Sums)

    def elaborate(self, platform):
        """Return the comparisons."""
        m = Module()

        fails = {**self._states(), **self._prices(m), **self._amounts(m), **self._counts(m)}
        m.d.comb += self.mask.eq(self.request.static | Cat(
            fails.get(number, C(0, 1)) for number in range(CHECK_BITS)))

        return m

    def _may(self, permit: OrderPermit) -> Value:
        return self.instrument_row.static.permits[permit.value.bit_length() - 1]

    def _is(self, kind: OrderPermit) -> Value:
        return self.request.kinds[kind.value.bit_length() - 1]

    def _states(self) -> dict[int, Value]:
        gates, market, request = self.gates, self.market, self.request
        hidden = Mux(request.is_sell, BookFlag.BID_HIDDEN.value, BookFlag.ASK_HIDDEN.value)
        is_trading = (market.trading_state == ord("T")) & (market.operational != ord("H"))
        return {
            CheckIndex.GLOBAL_KILL: gates.is_killed,
            CheckIndex.INSTRUMENT_KILL: gates.instrument_killed,
            CheckIndex.FEED_UNHEALTHY: ~gates.feed_live | (
                market.flags & (DOUBTFUL | hidden)).any(),
            CheckIndex.TRADING_STATE: ~is_trading,
            CheckIndex.SESSION_DOWN: ~gates.session_up | gates.session_killed,
            CheckIndex.CONFIGURATION: ~gates.has_limits,
            CheckIndex.STRATEGY_DISABLED: ~self.strategy_row.is_enabled | gates.strategy_killed,
            CheckIndex.MARKET_PHASE: (gates.phase != ord("Q"))
            & ~self._may(OrderPermit.ANY_PHASE)}

    def _prices(self, m: Module) -> dict[int, Value]:
        market, request, bounds = self.market, self.request, self.bounds
        price, is_sell = request.price, request.is_sell
        reference, key = self.sums.reference, self.sums.key
        m.d.comb += [reference.eq(Mux(is_sell, market.bid, market.ask)),
                     key.eq(Mux(is_sell, self.exposure.buy_key, self.exposure.sell_key))]
        is_tested = market.reg_sho != ord("0")
        is_beyond = Mux(is_sell, price <= reference, price >= reference)
        locks = (~self._may(OrderPermit.MARKETABLE) & ~self._is(OrderPermit.IMMEDIATE)
                 & reference.any() & is_beyond)
        is_crossed = (market.flags & BookFlag.CROSSED.value).any()
        # Keys of sells count from OWN_KEY down, so a buy's price does, too.
        is_beyond_keys, reaches = price[KEY:].any(), Signal()
        m.d.comb += reaches.eq(key >= (price[:KEY] ^ (~is_sell).replicate(KEY)))
        meets = Mux(is_sell, ~is_beyond_keys & reaches, is_beyond_keys | reaches)
        return {
            CheckIndex.COLLAR: ~reference.any() | Mux(is_sell, price < bounds.sell,
                                                      price > bounds.buy),
            CheckIndex.SHORT_SALE: self._is(OrderPermit.SHORT) & (
                ~self._may(OrderPermit.SHORT)
                | is_tested & (~market.bid.any() | (price <= market.bid))),
            CheckIndex.PRICE_BAND: ~bounds.has_last | (price < bounds.lower)
            | (price > bounds.upper),
            CheckIndex.LOCKED_MARKET: is_crossed & ~self._may(OrderPermit.CROSSED) | locks,
            CheckIndex.SELF_MATCH: ~self._may(OrderPermit.SELF_MATCH) & key.any() & meets}

    def _amounts(self, m: Module) -> dict[int, Value]:
        e, firm, request = self.exposure, self.firm, self.request
        row, every, bounds = self.instrument_row, self.firm_row, self.bounds
        is_sell, added, shares = request.is_sell, request.added_notional, request.added_quantity
        is_adding, adds_shares = added.any(), shares.any()
        sums, sides = self.sums, is_sell.replicate(AMOUNT)

        def turned(value):                 # its complement, when selling
            return (value.as_unsigned() ^ sides[:len(value)]).as_signed()
        # Each sum has all of its terms: made of another one it would be a carry chain longer.
        # With this position at its mark, the firm's net value is net_value - e.net_value + net.
        # A complement is 1 less than the negative: a buy's side has one of them, a sell's three.
        net = (firm.net_value, ~e.net_value, bounds.net)
        m.d.comb += [
            sums.worst.eq(Mux(is_sell, e.open_sell, e.open_buy) + turned(e.position) + is_sell
                          + shares),
            sums.side.eq(sum(map(turned, net), (firm.open_notional & sides) + turned(
                firm.open_buy_notional) + added + Cat(1, is_sell))[:AMOUNT].as_signed()),
            sums.loss.eq(e.net_value - firm.cash - firm.net_value - bounds.net),
            sums.spent.eq(firm.open_buy_notional - firm.cash + added),
            sums.opened.eq(e.open_notional + added),
            sums.firm_opened.eq(firm.open_notional + added),
            sums.gross.eq(e.open_notional + added + bounds.value),
            sums.firm_gross.eq(firm.open_notional + added + firm.position_value - e.position_value
                               + bounds.value),
            sums.day.eq(e.turnover + e.open_notional + added),
            sums.shares.eq(e.traded + e.open_buy + e.open_sell + shares)]
        most = Mux(is_sell, row.position_short_max, row.position_long_max)
        return {
            CheckIndex.POSITION: adds_shares & (sums.worst > most),
            CheckIndex.GROSS_NOTIONAL: is_adding & ((sums.gross > row.gross_notional_max)
                                                    | (sums.firm_gross > every.gross_notional_max)),
            CheckIndex.OPEN_ORDERS: ~request.has_place | request.is_new & (
                (e.open_orders >= row.open_orders_max)
                | (firm.open_orders >= every.open_orders_max)),
            CheckIndex.NET_NOTIONAL: is_adding & (sums.side > every.net_notional_max),
            CheckIndex.CREDIT: is_adding & ~is_sell & (sums.spent > every.credit_max),
            CheckIndex.LOSS: (sums.worst > 0) & (sums.loss > every.loss_max),
            CheckIndex.OPEN_NOTIONAL: is_adding & ((sums.opened > row.open_notional_max)
                                                   | (sums.firm_opened > every.open_notional_max)),
            CheckIndex.ACCUMULATED: adds_shares & (sums.shares > row.day_quantity_max)
            | is_adding & (sums.day > row.day_notional_max)}

    def _counts(self, m: Module) -> dict[int, Value]:
        e, request, row = self.exposure, self.request, self.instrument_row
        age, distance = Signal(signed(AMOUNT)), Signal(AMOUNT)
        m.d.comb += [age.eq(self.now - request.decided), distance.eq(Mux(
            age < 0, request.decided - self.now, age))]
        since = (self.now - e.newest_time[request.is_sell])[:AMOUNT].as_signed()
        newest = Cat(request.price, request.quantity)
        most = self.strategy_row.age_max_ns

        def is_rated(time, room):
            # Rows are zero before the first commit, and what permits nothing has no tokens.
            return ((time - self.now.as_signed())[:AMOUNT].as_signed() > room) | (
                ~self.gates.has_limits)
        return {
            CheckIndex.RATE: is_rated(e.rate_time, row.rate_room)
            | is_rated(self.firm.rate_time, self.firm_row.rate_room)
            | is_rated(self.strategy.time, self.strategy_row.rate_room),
            CheckIndex.MESSAGE_RATE: is_rated(self.session.time, self.session_row.rate_room),
            CheckIndex.ORDER_TO_TRADE: self.session.orders >= (self.session_row.orders_free
                                                               + self.session.earned),
            CheckIndex.DUPLICATE: request.is_new & row.duplicate_ns.any() & request.quantity.any()
            & (e.newest[request.is_sell] == newest) & (since < row.duplicate_ns),
            CheckIndex.REPETITION: self.strategy.orders >= self.strategy_row.repetitions_max,
            CheckIndex.AGE: (distance > most) & (most != NOTIONAL_LIMIT_MAX)}
