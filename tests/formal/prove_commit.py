"""An order is held against the limits that were committed last, whatever is written meanwhile.

Method: the whole gate, beside both banks of one instrument's limit as they were written; every
commit turns the banks. Which instrument it is, is the solver's choice.
"""

from functools import partial

from amaranth.hdl import Array, Assert, Assume, Cover, Module, ResetSignal, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from tests.formal.sby import Property
from tickwire.spec.geometry import Geometry
from tickwire_hw.logic import stages
from tickwire_hw.risk import AHEAD, LimitsWrite, Risk, Table
from tickwire_hw.risk_port import InstrumentRow

TINY = Geometry(instruments=2)


class CommitHoldsForTheNextOrder(wiring.Component):
    """Each order has the limit that is in force in its own cycle.

    ``is_wrong``: it has the one that was written last, committed or not.
    """

    ahead: In(1)
    instrument: In(1)
    waits: In(2)                           # an answer, a message
    commit: In(1)
    write: In(LimitsWrite)
    is_write: In(1)
    watched: In(1)

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.risk = risk = Risk(TINY)
        write, before, is_later = self.write, Signal(), Signal()
        m.d.comb += [
            risk.ahead.valid.eq(self.ahead), risk.ahead.p.instrument.eq(self.instrument),
            risk.answer.valid.eq(self.waits[0]), risk.message.valid.eq(self.waits[1]),
            risk.commit.valid.eq(self.commit), risk.i_limits.valid.eq(self.is_write),
            risk.i_limits.p.eq(write)]
        m.d.sync += [before.eq(self.watched), is_later.eq(1)]
        banks = Array(Signal(32, name=f"bank_{number}") for number in range(2))
        bank, newest = Signal(), Signal(32)
        row = data.View(InstrumentRow, write.row[:data.Layout.cast(InstrumentRow).size])
        is_commit, is_ours = Signal(), Signal()
        m.d.comb += [
            is_commit.eq(risk.commit.valid & risk.commit.ready),
            is_ours.eq(self.is_write & (write.table == Table.INSTRUMENT)
                       & (write.number[0] == self.watched))]
        with m.If(is_ours):
            m.d.sync += [banks[~bank].eq(row.position_long_max), newest.eq(row.position_long_max)]
        with m.If(is_commit):
            m.d.sync += bank.eq(~bank)
        comes = stages(m, risk.ahead.valid & risk.ahead.ready
                       & (self.instrument == self.watched), AHEAD, "comes")[-1]
        held = risk._rules.instrument_row.position_long_max
        m.d.comb += [
            Assume(~ResetSignal()), Assume(~is_later | (before == self.watched)),
            Assert(~comes | (held == (newest if self._is_wrong else banks[bank]))),
            Cover(comes & ~bank & held.any() & (held < banks[1]))]
        return m


_CYCLES = 11                               # two commits, and an order under each
PROPERTIES = [
    Property("commit_holds_for_the_next_order", CommitHoldsForTheNextOrder, bmc=_CYCLES,
             cover=_CYCLES, is_mapped=True),
    Property("limits_hold_before_their_commit",
             partial(CommitHoldsForTheNextOrder, is_wrong=True), bmc=_CYCLES, is_false=True,
             is_mapped=True),
]
