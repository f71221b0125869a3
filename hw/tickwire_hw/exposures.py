"""What orders have taken up and answers give back (kernel ``exposures``)."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import STRATEGIES
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.risk_port import (
    AMOUNT,
    SESSION,
    SHARES,
    STRATEGY,
    Answer,
    Exposure,
    Firm,
    Request,
    Use,
)
from tickwire_hw.risk_rules import OWN_KEY
from tickwire_hw.wipe import Wipe


class Whose(data.Struct):
    """Rows that an operation needs."""

    instrument: 16
    strategy: STRATEGY
    session: SESSION


class Intervals(data.Struct):
    """Time of one token of each bucket, ns, and orders that an execution earns."""

    instrument: 32
    firm: 32
    strategy: 32
    message: 32
    earned: 32


class Worth(data.Struct):
    """A position at its mark after the operation, and what the operation executed."""

    value: 62
    net: signed(AMOUNT)
    mark: 32
    executed: 62


def later(time: Value, now: Value, interval: Value) -> Value:
    """Time at which a bucket will be full again when one more token is taken."""
    return Mux(time > now.as_signed(), time, now.as_signed()) + interval


class Exposures(wiring.Component):
    """Show each operation its rows as the one before left them, and change them.

    An operation a cycle: its rows are named one cycle ahead, shown from registers, and changed at
    the end of that cycle. What is not changed stays. Everything is zero at configuration and once
    it is ``ready`` after a reset. Never exerts backpressure.

    Members
    -------
    ready : ``Out(1)``
        Whether all rows are clear, see ``Wipe``; operations come only then.
    ahead : ``In(Whose)``
        Rows of the operation of the next cycle.
    is_order, is_answer, is_message : ``In(1)``
        What the operation of this cycle does, one at most: an order that passed, an answer of the
        venue, a message that is no order.
    request, answer, value, intervals, now : ``In``
        With what.
    released : ``In(STRATEGIES)``
        Strategies whose orders are counted from 0 again.
    exposure, strategy, session, firm : ``Out``
        Rows of the operation of this cycle.
    look : ``In(16)``
        Instrument whose position is asked for.
    position, mark, open_buy, open_sell : ``Out``
        In the same cycle, as memory has them: without the operation of this cycle.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        super().__init__({
            "ready": Out(1), "ahead": In(Whose), "is_order": In(1), "is_answer": In(1),
            "is_message": In(1), "request": In(Request), "answer": In(Answer), "value": In(Worth),
            "intervals": In(Intervals), "now": In(AMOUNT), "released": In(STRATEGIES),
            "exposure": Out(Exposure), "strategy": Out(Use), "session": Out(Use),
            "firm": Out(Firm), "look": In(16), "position": Out(signed(SHARES)), "mark": Out(32),
            "open_buy": Out(SHARES), "open_sell": Out(SHARES)})

    def elaborate(self, platform):
        """Return rows and their changes."""
        m = Module()

        self._whose = whose = Signal(Whose)
        m.d.sync += whose.eq(self.ahead)
        m.submodules.wipe = self._wipe = Wipe(max(self._instruments, STRATEGIES, SESSIONS_MAX))
        m.d.comb += self.ready.eq(self._wipe.ready)
        rows = self._rows(m, "exposures", Exposure, self._instruments, "instrument",
                          self.exposure, self._exposure(m), self.is_order | self.is_answer)
        self._rows(m, "strategies", Use, STRATEGIES, "strategy", self.strategy,
                   self._strategy(m), self.is_order)
        self._rows(m, "sessions", Use, SESSIONS_MAX, "session", self.session, self._session(m),
                   self.is_order | self.is_answer | self.is_message)
        self._firm(m)
        look = rows.read_port(domain="comb")
        m.d.comb += [look.addr.eq(self.look), self.position.eq(look.data.position),
                     self.mark.eq(look.data.mark), self.open_buy.eq(look.data.open_buy),
                     self.open_sell.eq(look.data.open_sell)]

        return m

    def _rows(self, m, name, shape, depth, which, shown, after, is_changed):
        """Keep rows; the one that is changed now is what the next operation is shown."""
        m.submodules[name] = rows = memory.Memory(shape=shape, depth=depth, init=[])
        read, write = rows.read_port(domain="comb"), rows.write_port()
        bits = max(1, ceil_log2(depth))
        ahead, now = getattr(self.ahead, which)[:bits], getattr(self._whose, which)[:bits]
        row = Signal(shape, name=f"{which}_row")
        m.d.comb += [
            read.addr.eq(ahead), *self._wipe.write(write, is_changed, now, after)]
        m.d.sync += row.eq(Mux((ahead == now) & is_changed, after, read.data))
        if which == "strategy":
            released = Signal(depth)
            m.d.comb += [shown.eq(row),
                         shown.orders.eq(Mux(released.bit_select(now, 1), 0, row.orders))]
            m.d.sync += released.eq(
                released & ~Mux(is_changed, 1 << now, 0) | self.released)
        else:
            m.d.comb += shown.eq(row)
        return rows

    def _exposure(self, m):
        e, request, answer, value = self.exposure, self.request, self.answer, self.value
        after = Signal(Exposure)
        # Whether an order passed is known last: sums are made without it.
        is_sell = Mux(self.is_answer, answer.is_sell, request.is_sell)
        quantity = Mux(self.is_answer, answer.quantity, request.added_quantity)
        is_fill = self.is_answer & answer.is_fill
        key = Mux(request.is_sell, (OWN_KEY - request.price)[:31], request.price[:31])
        m.d.comb += [
            after.eq(e),
            after.open_notional.eq(e.open_notional + Mux(self.is_answer, answer.notional,
                                                         request.added_notional)),
            after.open_orders.eq(e.open_orders + Mux(self.is_answer, answer.orders,
                                                     request.is_new))]
        with m.If(is_sell):
            m.d.comb += after.open_sell.eq(e.open_sell + quantity)
        with m.Else():
            m.d.comb += after.open_buy.eq(e.open_buy + quantity)
        with m.If(self.is_order | is_fill):
            m.d.comb += [after.position_value.eq(value.value), after.net_value.eq(value.net),
                         after.mark.eq(value.mark)]
        with m.If(is_fill):
            m.d.comb += [
                after.position.eq(Mux(is_sell, e.position - answer.executed,
                                      e.position + answer.executed)),
                after.traded.eq(e.traded + answer.executed),
                after.turnover.eq(e.turnover + value.executed)]
        with m.If(self.is_answer):
            m.d.comb += [after.buy_key.eq(answer.buy_key), after.sell_key.eq(answer.sell_key)]
        with m.If(self.is_order):
            m.d.comb += after.rate_time.eq(later(e.rate_time, self.now,
                                                 self.intervals.instrument))
            with m.If(request.is_new):
                m.d.comb += [
                    after.newest[request.is_sell].eq(Cat(request.price, request.quantity)),
                    after.newest_time[request.is_sell].eq(self.now)]
            with m.If(request.is_sell & (key > e.sell_key)):
                m.d.comb += after.sell_key.eq(key)
            with m.If(~request.is_sell & (key > e.buy_key)):
                m.d.comb += after.buy_key.eq(key)
        return after

    def _strategy(self, m):
        after = Signal(Use)
        m.d.comb += [
            after.eq(self.strategy), after.orders.eq(self.strategy.orders + 1),
            after.time.eq(later(self.strategy.time, self.now, self.intervals.strategy))]
        return after

    def _session(self, m):
        after, session = Signal(Use), self.session
        m.d.comb += after.eq(session)
        with m.If(~self.is_answer):
            m.d.comb += after.time.eq(later(session.time, self.now, self.intervals.message))
        with m.If(self.is_order):
            m.d.comb += after.orders.eq(session.orders + 1)
        with m.If(self.is_answer & self.answer.is_fill):
            m.d.comb += after.earned.eq(session.earned + self.intervals.earned)
        return after

    def _firm(self, m):
        firm, request, answer, value = self.firm, self.request, self.answer, self.value
        with m.If(self.is_order | self.is_answer):
            notional = Mux(self.is_answer, answer.notional, request.added_notional)
            is_sell = Mux(self.is_answer, answer.is_sell, request.is_sell)
            m.d.sync += [
                firm.open_notional.eq(firm.open_notional + notional),
                firm.open_orders.eq(firm.open_orders + Mux(self.is_answer, answer.orders,
                                                           request.is_new))]
            with m.If(~is_sell):
                m.d.sync += firm.open_buy_notional.eq(firm.open_buy_notional + notional)
        with m.If(self.is_order | self.is_answer & answer.is_fill):
            m.d.sync += [
                firm.position_value.eq(firm.position_value - self.exposure.position_value
                                       + value.value),
                firm.net_value.eq(firm.net_value - self.exposure.net_value + value.net)]
        with m.If(self.is_answer & answer.is_fill):
            m.d.sync += firm.cash.eq(Mux(answer.is_sell, firm.cash + value.executed,
                                         firm.cash - value.executed))
        with m.If(self.is_order):
            m.d.sync += firm.rate_time.eq(later(firm.rate_time, self.now, self.intervals.firm))
