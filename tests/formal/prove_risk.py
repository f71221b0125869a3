"""The risk gate keeps what it promises, whatever order intents, fills and cancels come in.

Method: rules and exposures, connected as :class:`tickwire_hw.risk.Risk` connects them, beside a
count of one instrument that is made from nothing but orders that passed and answers. Which
instrument it is, is the solver's choice, so what holds of it holds of all. An induction of one
cycle: row and memory of that instrument say what was counted, and that lies within its limits.

What multipliers would give is free, so nothing rests on it. Answers are honest: they give back no
more than is open, and execute no more than they give back; the order table sees to that, and what
contradicts it kills.
"""

from functools import partial

from amaranth.hdl import Assert, Assume, Cover, Module, Mux, ResetSignal, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tests.formal.sby import Property
from tickwire.spec.checks import ALWAYS_HARD, CheckIndex
from tickwire.spec.geometry import Geometry
from tickwire_hw.exposures import Exposures, Intervals, Whose, Worth
from tickwire_hw.risk_port import (
    AMOUNT,
    SHARES,
    Answer,
    FirmRow,
    InstrumentRow,
    Market,
    Request,
    SessionRow,
    StrategyRow,
)
from tickwire_hw.risk_rules import Bounds, Gates, RiskRules

TINY = Geometry(instruments=2)
LIMIT = 31                                 # bits of a position's limit
_WIDE = SHARES + 2
_HARD = ALWAYS_HARD | 1 << CheckIndex.POSITION


class Gate(wiring.Component):
    """Rules and exposures, and orders that passed and answers of one instrument, counted.

    ``is_wrong``: answers may execute more than they give back.
    """

    whose: In(Whose)
    is_order: In(1)
    is_answer: In(1)
    is_message: In(1)
    request: In(Request)
    answer: In(Answer)
    worth: In(Worth)
    bounds: In(Bounds)
    gates: In(Gates)
    market: In(Market)
    intervals: In(Intervals)
    now: In(AMOUNT)
    released: In(16)
    firm_row: In(FirmRow)
    instrument_row: In(InstrumentRow)
    strategy_row: In(StrategyRow)
    session_row: In(SessionRow)
    watched: In(1)                         # the instrument that is counted

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.rules = rules = RiskRules()
        m.submodules.exposures = exposures = Exposures(TINY)
        self._passes, self._is_ours, self._is_later = Signal(), Signal(), Signal()
        passes, whose, before = self._passes, Signal(Whose), Signal()
        m.d.sync += [whose.eq(self.whose), self._is_later.eq(1), before.eq(self.watched)]
        m.d.comb += [
            *(getattr(rules, name).eq(getattr(self, name)) for name in (
                "request", "bounds", "gates", "market", "now", "firm_row", "instrument_row",
                "strategy_row", "session_row")),
            *(getattr(rules, name).eq(getattr(exposures, name)) for name in (
                "exposure", "firm", "strategy", "session")),
            passes.eq(self.is_order & ~(rules.mask & ~self.firm_row.soft_checks).any()),
            exposures.ahead.eq(self.whose), exposures.is_order.eq(passes),
            exposures.is_answer.eq(self.is_answer), exposures.is_message.eq(self.is_message),
            exposures.request.eq(self.request), exposures.answer.eq(self.answer),
            exposures.value.eq(self.worth), exposures.intervals.eq(self.intervals),
            exposures.now.eq(self.now), exposures.released.eq(self.released),
            exposures.look.eq(self.watched), self._is_ours.eq(whose.instrument[0] == self.watched)]
        m.d.comb += [
            # It is ready from configuration on; only behind a reset it is not.
            Assume(~ResetSignal()), Assume(exposures.ready),
            Assume(self.is_order + self.is_answer + self.is_message <= 1),
            Assume(~self._is_later | (before == self.watched)),
            Assume((self.firm_row.soft_checks & _HARD) == 0)]
        self._count(m, exposures)
        self._hold(m)
        return m

    def _count(self, m, exposures):
        """Count, and assert that row and memory say the same."""
        self._position, self._buys, self._sells = counts = [
            Signal(signed(_WIDE), name=name) for name in ("position", "buys", "sells")]
        position, buys, sells = counts
        answer, request, row = self.answer, self.request, exposures.exposure
        moved = Mux(answer.is_fill, answer.executed, 0)
        with m.If(self._is_ours & self._passes):
            m.d.sync += [
                buys.eq(buys + Mux(request.is_sell, 0, request.added_quantity)),
                sells.eq(sells + Mux(request.is_sell, request.added_quantity, 0))]
        with m.If(self._is_ours & self.is_answer):
            m.d.sync += [
                position.eq(Mux(answer.is_sell, position - moved, position + moved)),
                buys.eq(buys + Mux(answer.is_sell, 0, answer.quantity)),
                sells.eq(sells + Mux(answer.is_sell, answer.quantity, 0))]
        held = Mux(answer.is_sell, sells, buys)
        is_honest = (answer.quantity <= 0) & (answer.quantity + held >= 0)
        if not self._is_wrong:
            is_honest &= moved + answer.quantity <= 0
        m.d.comb += [
            Assume(~(self._is_ours & self.is_answer) | is_honest),
            # The gate's contract: what an order adds is at most its shares, which are below 2^31.
            Assume(request.added_quantity <= request.quantity), Assume(~request.quantity[31]),
            Assert(exposures.position == position),
            Assert(exposures.open_buy.as_signed() == buys),
            Assert(exposures.open_sell.as_signed() == sells), Assert((buys >= 0) & (sells >= 0)),
            Assert(~self._is_ours | (row.position == position) & (row.open_buy == buys)
                   & (row.open_sell == sells))]

    def _is_within(self, long, short):
        """Whether the worst case of either side is within a limit."""
        return ((self._position + self._buys <= long)
                & (self._sells - self._position <= short))

    def _hold(self, m):
        raise NotImplementedError


class PositionStaysWithinItsLimit(Gate):
    """Whatever passes and comes back, the worst case of the position never exceeds its limit."""

    most_long: In(LIMIT)
    most_short: In(LIMIT)

    def _hold(self, m):
        row, long, short = self.instrument_row, self.most_long, self.most_short
        kept = Signal(2 * LIMIT)
        m.d.sync += kept.eq(long << LIMIT | short)
        m.d.comb += [
            Assume(~self._is_later | (kept == long << LIMIT | short)),
            Assume(~self._is_ours | (row.position_long_max == long)
                   & (row.position_short_max == short)),
            Assert(self._is_within(long, short)),
            Cover(self._position == long), Cover(self._position == -short)]


class LimitHoldsForTheNextOrder(Gate):
    """Limits change at any time: each order ends within those that its own cycle has.

    No order passes while killed either, whatever checks are soft that may be.
    """

    def _hold(self, m):
        row, request = self.instrument_row, self.request
        end = Mux(request.is_sell, self._sells - self._position, self._buys + self._position)
        most = Mux(request.is_sell, row.position_short_max, row.position_long_max)
        bound = (1 << LIMIT) - 1
        is_adding = self._passes & self._is_ours & request.added_quantity.any()
        m.d.comb += [
            Assume(row.position_long_max <= bound), Assume(row.position_short_max <= bound),
            Assert(self._is_within(bound, bound)),
            Assert(~is_adding | (end + request.added_quantity <= most)),
            Assert(~(self._passes & self.gates.is_killed)),
            Cover(is_adding & (end + request.added_quantity == most))]


_COVERED = 5
PROPERTIES = [
    Property("risk_position_within_its_limit", PositionStaysWithinItsLimit, prove=1,
             cover=_COVERED, is_pruned=True),
    Property("risk_limit_holds_for_the_next_order", LimitHoldsForTheNextOrder, prove=1,
             cover=_COVERED, is_pruned=True),
    Property("risk_position_of_a_venue_that_lies",
             partial(PositionStaysWithinItsLimit, is_wrong=True), bmc=_COVERED, is_false=True,
             is_pruned=True),
]
