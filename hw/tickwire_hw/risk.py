"""Risk gate: all checks of an order in one cycle (kernel ``risk``)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import NOTIONAL_LIMIT_MAX, STRATEGIES
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.exposures import Exposures, Worth
from tickwire_hw.logic import stages
from tickwire_hw.product import AGE as PRODUCT_AGE
from tickwire_hw.product import product, signed_product
from tickwire_hw.risk_port import (
    AMOUNT,
    CHECK_BITS,
    FACTOR_SHIFT,
    SHARES,
    WORTH,
    Ahead,
    Answer,
    FirmRow,
    InstrumentRow,
    Owner,
    Reason,
    Request,
    SessionRow,
    StaticRow,
    StrategyRow,
    Verdict,
)
from tickwire_hw.risk_reasons import RiskReasons
from tickwire_hw.risk_rules import Bounds, RiskRules, Situation

AHEAD = 3
"""Cycles from an order's instrument to its other fields; its verdict is one cycle behind those."""
ANSWER_CYCLES = 5
"""Cycles that an answer takes, from the one in which it is taken."""


class Table(enum.Enum, shape=2):
    """Rows of the limits, and what can be killed."""

    FIRM = 0
    INSTRUMENT = 1
    STRATEGY = 2
    SESSION = 3


ROWS = {Table.FIRM: FirmRow, Table.INSTRUMENT: InstrumentRow, Table.STRATEGY: StrategyRow,
        Table.SESSION: SessionRow}
ROW_BITS = max(data.Layout.cast(shape).size for shape in ROWS.values())


class LimitsWrite(data.Struct):
    """A row for the bank that is not in force."""

    table: Table
    number: 16
    row: ROW_BITS                          # of the type in ``ROWS``


class PartKill(data.Struct):
    """Block or release an instrument, a strategy or a session."""

    table: Table
    number: 16
    is_killed: 1


class Message(data.Struct):
    """A message that is no order: a cancel."""

    session: range(SESSIONS_MAX)


class Risk(wiring.Component):
    """Hold every order against all limits, and take up what passes.

    Kernels: :mod:`tickwire.kernels.risk`, :mod:`tickwire.kernels.exposures`. An order a cycle.
    Whose it is and what its market is like comes at ``ahead``, its other fields at ``i``
    ``AHEAD`` = 3 cycles later, the verdict one cycle after those: by then what bounds and the
    position's value need is multiplied. The next order, one cycle behind, already sees what this
    one took up. An order may turn out to be none, or to be of another strategy and session, when
    its market is known before it is.

    Answers, commits and messages come between two orders: while one of them waits, ``ahead`` is not
    ready, orders on their way get their verdicts, then it is done. An answer takes 5 cycles. A
    commit and a message take one. A kill of any kind holds from the next cycle on, so for every
    order whose fields come then or later. Nothing is lost.

    It begins without limits, so nothing passes before the first commit. Contract: once ``last`` of
    an instrument is not 0 it stays so; ``now`` is the same at a request as for its kernel.

    Members
    -------
    ready : ``Out(1)``
        Whether nothing of an earlier run is left, see ``Wipe``; the rest comes only then.
    now, phase, feed_live, is_killed, sessions_up : ``In``
        Time, ns; event code of the newest system event; state of feed, kill switch and sessions.
    ahead : ``In(stream.Signature(Ahead))``
        Whose order comes.
    owner : ``In(stream.Signature(Owner, always_ready=True))``
        Whose it is in truth, one cycle before its fields; ``ahead`` holds where nothing comes.
    i, is_void : ``In(Request)``, ``In(1)``
        Its fields, ``AHEAD`` cycles after ``ahead`` was taken; or there is no order.
    o : ``Out(stream.Signature(Verdict, always_ready=True))``
        Its verdict, one cycle later.
    answer : ``In(stream.Signature(Answer))``
        What an answer of the venue changes.
    message : ``In(stream.Signature(Message))``
        A message that takes a token of its session.
    i_limits : ``In(stream.Signature(LimitsWrite, always_ready=True))``
        A row for the bank that is not in force; all of them before each commit.
    commit : ``In(stream.Signature(32))``
        Puts that bank in force, with its version.
    i_kill : ``In(stream.Signature(PartKill, always_ready=True))``
        Blocks or releases a part; a strategy that is released has its orders counted anew.
    version : ``Out(32)``
        Of the limits in force, 0 none.
    notional, causes, feed_state, explain, hard, reason
        As of ``RiskReasons``: asks why the last order was refused, while ``ahead`` and ``i``
        stay as they were.
    static_row, open_buy, open_sell : ``Out``
        Of the instrument at ``ahead``: static limits in the same cycle, and shares of its open
        orders, when no order is on its way.
    open_notional, open_orders, soft_checks, intent_errors_max : ``Out``
        Of the firm.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._rules, self._exposures = RiskRules(), Exposures(geometry)
        super().__init__({
            "ready": Out(1), "now": In(AMOUNT), "phase": In(8), "feed_live": In(1),
            "is_killed": In(1), "sessions_up": In(SESSIONS_MAX),
            "ahead": In(stream.Signature(Ahead)),
            "owner": In(stream.Signature(Owner, always_ready=True)), "i": In(Request),
            "is_void": In(1), "o": Out(stream.Signature(Verdict, always_ready=True)),
            "answer": In(stream.Signature(Answer)), "message": In(stream.Signature(Message)),
            "i_limits": In(stream.Signature(LimitsWrite, always_ready=True)),
            "commit": In(stream.Signature(32)),
            "i_kill": In(stream.Signature(PartKill, always_ready=True)), "version": Out(32),
            "notional": In(62), "causes": In(32), "feed_state": In(8), "explain": In(1),
            "hard": In(CHECK_BITS), "reason": Out(stream.Signature(Reason, always_ready=True)),
            "static_row": Out(StaticRow), "open_buy": Out(SHARES), "open_sell": Out(SHARES),
            "open_notional": Out(AMOUNT), "open_orders": Out(32),
            "soft_checks": Out(CHECK_BITS), "intent_errors_max": Out(32)})

    def elaborate(self, platform):
        """Return rules, exposures and what leads to them."""
        m = Module()

        m.submodules.rules, m.submodules.exposures = self._rules, self._exposures
        self._order(m)
        self._keep_limits(m)
        self._work_out(m)
        self._keep_kills(m)
        self._judge(m)
        self._answer(m)
        self._explain(m)

        return m

    def _order(self, m):
        """Let orders in while nothing else waits, and the others when no order is on its way."""
        self._is_answering = Signal()
        waits = self.answer.valid | self.message.valid | self.commit.valid
        m.d.comb += self.ahead.ready.eq(~waits & ~self._is_answering)
        self._valid = stages(m, self.ahead.valid & self.ahead.ready, AHEAD, "valid")
        is_idle = Signal()
        m.d.comb += [
            is_idle.eq(~Cat(self._valid[1:]).any() & ~self._is_answering),
            self.commit.ready.eq(is_idle), self.message.ready.eq(is_idle & ~self.commit.valid),
            self.answer.ready.eq(is_idle & ~self.commit.valid & ~self.message.valid)]
        self._ahead = stages(m, self.ahead.p, AHEAD - 1, "ahead")
        whose, last = Signal(Ahead), Signal(Ahead)
        m.d.comb += whose.eq(self._ahead[-1])
        with m.If(self.owner.valid):
            m.d.comb += [whose.strategy.eq(self.owner.p.strategy),
                         whose.session.eq(self.owner.p.session)]
        m.d.sync += last.eq(whose)
        self._ahead[-1:] = [whose, last]

    def _keep_limits(self, m):
        """Two banks of rows: one in force, one to be written."""
        bank = Signal()
        write = self.i_limits
        with m.If(self.commit.valid & self.commit.ready):
            m.d.sync += [bank.eq(~bank), self.version.eq(self.commit.p)]
        firm = [Signal(FirmRow, name=f"firm_{number}") for number in range(2)]
        with m.If(write.valid & (write.p.table == Table.FIRM)):
            for number, row in enumerate(firm):
                with m.If(bank != number):
                    m.d.sync += row.eq(write.p.row[:len(row.as_value())])
        self._firm_row = Signal(FirmRow)
        m.d.comb += self._firm_row.eq(Mux(bank, firm[1], firm[0]))

        def rows(table, depth, number):
            shape, bits = ROWS[table], max(1, ceil_log2(depth))
            name = table.name.lower()
            m.submodules[f"{name}_rows"] = kept = memory.Memory(
                shape=shape, depth=2 << bits, init=[])
            port, read = kept.write_port(), kept.read_port(domain="comb")
            m.d.comb += [
                port.en.eq(write.valid & (write.p.table == table)),
                port.addr.eq(Cat(write.p.number[:bits], ~bank)),
                port.data.eq(write.p.row[:data.Layout.cast(shape).size]),
                read.addr.eq(Cat(number[:bits], bank))]
            return read.data
        instruments = self._geometry.instruments
        self._look = Signal(16)                  # instrument whose rows are needed first
        self._session = Signal(range(SESSIONS_MAX))
        m.d.comb += self._look.eq(Mux(self.answer.valid, self.answer.p.instrument,
                                      self.ahead.p.instrument))
        found = rows(Table.INSTRUMENT, instruments, self._look)
        self._rows = stages(m, found, AHEAD, "row")
        m.d.comb += self.static_row.eq(found.static)
        last = self._ahead[AHEAD]
        m.d.comb += self._session.eq(last.session)
        self._strategy_row = rows(Table.STRATEGY, STRATEGIES, last.strategy)
        self._session_row = rows(Table.SESSION, SESSIONS_MAX, self._session)

    def _work_out(self, m):
        """Bounds of the price and the position's value, from the market of the order."""
        exposures, row = self._exposures, self._rows[0]
        m.d.comb += exposures.look.eq(self._look)
        position, mark = Signal(signed(SHARES)), Signal(32)
        m.d.sync += [position.eq(exposures.position), mark.eq(Mux(
            self._ahead[0].market.last.any(), self._ahead[0].market.last, exposures.mark))]
        self._worth = self._value(m, mark, position, "order")

        # Products begin with the market, so in the order's cycle its bounds are in registers.
        collars, market = [], self._ahead[0].market
        then, last = self._ahead[AHEAD - 1].market, self._rows[AHEAD - 1]
        for name, price, factor in (
                ("buy", market.ask, row.collar_factor), ("sell", market.bid, row.collar_factor),
                ("last", market.last, row.last_collar_factor)):
            share = product(m, price, factor, f"{name}_share") >> FACTOR_SHIFT
            limit = last.last_collar_price if name == "last" else last.collar_price
            distance = Signal(32, name=f"{name}_distance")
            m.d.comb += distance.eq(Mux(share < limit, share, limit))
            collars.append(distance)
        bounds = self._bounds = Signal(Bounds)
        prices = Signal(Bounds)
        is_bound = last.has_last_collar | ~self.version.any()   # zeros permit nothing
        m.d.sync += [
            prices.buy.eq(then.ask + collars[0]), prices.sell.eq(then.bid - collars[1]),
            prices.has_last.eq(~is_bound | then.last.any()),
            prices.lower.eq(Mux(is_bound, then.last - collars[2], 0)),
            prices.upper.eq(Mux(is_bound, then.last + collars[2], (1 << 33) - 1))]
        m.d.comb += [bounds.eq(prices), bounds.value.eq(self._worth.value),
                     bounds.net.eq(self._worth.net)]

    def _value(self, m, mark, position, name):
        """Value of a position at its mark, two cycles later; saturates."""
        worth, size, is_short = Signal(Worth), Signal(SHARES), position < 0
        m.d.comb += size.eq(Mux(is_short, -position, position))
        whole, net = signed_product(m, mark[:31], size[:31], is_short, f"{name}_value")
        is_huge = stages(m, mark[31] | size[31:].any(), PRODUCT_AGE, f"{name}_huge")[-1]
        minus = stages(m, is_short, PRODUCT_AGE, f"{name}_short")[-1]
        is_most = is_huge | whole[WORTH:].any()
        m.d.comb += [
            worth.value.eq(Mux(is_most, NOTIONAL_LIMIT_MAX, whole)),
            worth.net.eq(Mux(is_most, Mux(minus, -NOTIONAL_LIMIT_MAX, NOTIONAL_LIMIT_MAX), net)),
            worth.mark.eq(stages(m, mark, PRODUCT_AGE, f"{name}_mark")[-1])]
        return worth

    def _keep_kills(self, m):
        """What is blocked, one bit each; a write holds from the next cycle on."""
        kill = self.i_kill
        depths = {Table.INSTRUMENT: self._geometry.instruments, Table.STRATEGY: STRATEGIES,
                  Table.SESSION: SESSIONS_MAX}
        self._killed = {}
        for table, depth in depths.items():
            bits = self._killed[table] = Signal(depth, name=f"killed_{table.name.lower()}")
            with m.If(kill.valid & (kill.p.table == table) & (kill.p.number < depth)):
                m.d.sync += bits.bit_select(kill.p.number[:max(1, ceil_log2(depth))], 1).eq(
                    kill.p.is_killed)
        m.d.comb += self._exposures.released.eq(
            Mux(kill.valid & (kill.p.table == Table.STRATEGY) & ~kill.p.is_killed
                & (kill.p.number < STRATEGIES), 1 << kill.p.number[:4], 0))

    def _judge(self, m):
        """The order whose fields are here."""
        rules, exposures, verdict = self._rules, self._exposures, self.o.p
        whose, killed = self._ahead[AHEAD], self._killed
        gates = rules.gates
        instrument = whose.instrument[:max(1, ceil_log2(self._geometry.instruments))]
        m.d.comb += [
            rules.request.eq(self.i), rules.market.eq(whose.market), rules.bounds.eq(self._bounds),
            rules.now.eq(self.now), rules.exposure.eq(exposures.exposure),
            rules.firm.eq(exposures.firm), rules.strategy.eq(exposures.strategy),
            rules.session.eq(exposures.session), rules.firm_row.eq(self._firm_row),
            rules.instrument_row.eq(self._rows[AHEAD]),
            rules.strategy_row.eq(self._strategy_row), rules.session_row.eq(self._session_row),
            gates.is_killed.eq(self.is_killed), gates.feed_live.eq(self.feed_live),
            gates.phase.eq(self.phase), gates.has_limits.eq(self.version.any()),
            gates.session_up.eq(self.sessions_up.bit_select(whose.session, 1)),
            gates.instrument_killed.eq(killed[Table.INSTRUMENT].bit_select(instrument, 1)),
            gates.strategy_killed.eq(killed[Table.STRATEGY].bit_select(whose.strategy, 1)),
            gates.session_killed.eq(killed[Table.SESSION].bit_select(whose.session, 1))]
        passes, is_order = Signal(), Signal()
        m.d.comb += [
            is_order.eq(self._valid[AHEAD] & ~self.is_void),
            passes.eq(~(rules.mask & ~self._firm_row.soft_checks).any()),
            exposures.is_order.eq(is_order & passes), exposures.request.eq(self.i)]
        m.d.sync += [
            self.o.valid.eq(is_order), verdict.mask.eq(rules.mask), verdict.passes.eq(passes),
            verdict.is_soft.eq(passes & rules.mask.any()), verdict.version.eq(self.version)]

    def _answer(self, m):
        """Answers and messages: name their rows, work out values, change them."""
        exposures, answer, message = self._exposures, self.answer, self.message
        kept, intervals = Signal(Answer), exposures.intervals
        position, mark = Signal(signed(SHARES)), Signal(32)
        worth, age = Signal(Worth), Signal(range(ANSWER_CYCLES + 1))
        m.d.sync += worth.eq(self._value(m, mark, position, "answer"))
        executed = product(m, kept.executed, kept.price, "executed")
        m.d.comb += self._is_answering.eq(age != 0)
        is_taken = answer.valid & answer.ready
        moved = Mux(answer.p.is_sell, exposures.position - answer.p.executed,
                    exposures.position + answer.p.executed)
        with m.If(is_taken):
            m.d.sync += [
                kept.eq(answer.p), age.eq(1), position.eq(moved),
                mark.eq(Mux(answer.p.last.any(), answer.p.last, answer.p.price))]
        with m.Elif(age != 0):
            m.d.sync += age.eq(Mux(age == ANSWER_CYCLES - 1, 0, age + 1))
        is_message = message.valid & message.ready
        is_told = Signal()
        told = Signal(range(SESSIONS_MAX))
        m.d.sync += [is_told.eq(is_message), told.eq(message.p.session)]
        is_last = age == ANSWER_CYCLES - 1
        m.d.comb += [
            self.ready.eq(exposures.ready),
            exposures.answer.eq(kept), exposures.now.eq(self.now),
            exposures.is_answer.eq(is_last), exposures.is_message.eq(is_told),
            exposures.ahead.instrument.eq(Mux(self._is_answering, kept.instrument,
                                              self._ahead[AHEAD - 1].instrument)),
            exposures.ahead.strategy.eq(self._ahead[AHEAD - 1].strategy),
            exposures.ahead.session.eq(Mux(is_message, message.p.session, Mux(
                self._is_answering, kept.session, self._ahead[AHEAD - 1].session))),
            exposures.value.eq(Mux(is_last, worth, self._worth)),
            exposures.value.executed.eq(executed),
            intervals.instrument.eq(self._rows[AHEAD].rate_interval_ns),
            intervals.firm.eq(self._firm_row.rate_interval_ns),
            intervals.strategy.eq(self._strategy_row.rate_interval_ns),
            intervals.message.eq(self._session_row.message_interval_ns),
            intervals.earned.eq(self._session_row.orders_per_trade)]
        with m.If(is_told):
            m.d.comb += self._session.eq(told)
        with m.Elif(is_last):
            m.d.comb += self._session.eq(kept.session)

    def _explain(self, m):
        """Why an order was refused, and what is open."""
        m.submodules.reasons = reasons = RiskReasons()
        rules, exposures, firm_row = self._rules, self._exposures, self._firm_row
        m.d.comb += [getattr(reasons, name).eq(getattr(rules, name))
                     for name in Situation.__annotations__]
        connect(m, reasons.o, flipped(self.reason))
        m.d.comb += [
            reasons.sums.eq(rules.sums), reasons.notional.eq(self.notional),
            reasons.killed.eq(self.causes), reasons.feed_state.eq(self.feed_state),
            reasons.ask.eq(self.explain), reasons.hard.eq(self.hard),
            self.open_buy.eq(exposures.open_buy), self.open_sell.eq(exposures.open_sell),
            self.open_notional.eq(exposures.firm.open_notional),
            self.open_orders.eq(exposures.firm.open_orders),
            self.soft_checks.eq(firm_row.soft_checks),
            self.intent_errors_max.eq(firm_row.intent_errors_max)]
