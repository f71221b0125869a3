"""The hashed table: a key is found if and only if it was put there last, with its last value.

Method: a table of two buckets of two ways and a stash of two; a register beside it follows one key,
any key. The solver chooses keys, distances, look-ups, answers and resets, and what memory gives
for a row that is written at the edge at which it is read.
"""

from unittest.mock import patch

from amaranth.hdl import Assert, Assume, Cover, Module, Signal
from amaranth.hdl._ast import AnySeq
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tests.formal.sby import Property
from tests.table_rig import HostileRAM
from tickwire_hw import hashed_table
from tickwire_hw.hashed_table import RECORD_AGE, HashedTable
from tickwire_hw.logic import stages

KEY = 4
SLOTS = 2


class AnyRAM(HostileRAM):
    """A RAM that gives anything for a row that is read and written at one edge."""

    def garbage(self, row):
        return AnySeq(len(row))


class Table(HashedTable):
    """The table, in that memory."""

    def elaborate(self, platform):
        with patch.object(hashed_table, "RAM", AnyRAM):
            return super().elaborate(platform)


class TableKeepsAKey(wiring.Component):
    """One key is followed: neither lost, nor made up, nor there twice, nor with another's value."""

    valid: In(1)
    key: In(KEY)
    is_look_up: In(1)
    exists: In(1)
    value: In(1)
    followed: In(KEY)

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong          # changes come in every cycle
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Table(key=KEY, tag=KEY, value=1, buckets_log2=1, stash=SLOTS,
                                           ways=2)
        was_change = Signal()
        is_change = Signal()
        m.d.comb += [
            table.i.valid.eq(self.valid & (self.is_look_up | ~was_change | self._is_wrong)),
            is_change.eq(table.i.valid & ~self.is_look_up & table.ready),
            table.i.p.key.eq(self.key), table.i.p.left.eq(self.key[0]),
            table.i.p.right.eq(self.key[1]), table.i.p.is_look_up.eq(self.is_look_up),
            table.i_answer.exists.eq(self.exists), table.i_answer.value.eq(self.value)]
        m.d.sync += was_change.eq(is_change)

        followed, is_started = Signal(KEY, reset_less=True), Signal(reset_less=True)
        m.d.sync += [followed.eq(self.followed), is_started.eq(1)]
        m.d.comb += Assume(~is_started | (self.followed == followed))

        key = stages(m, self.key, RECORD_AGE, "key")[-1]
        is_change = stages(m, is_change, RECORD_AGE, "is_change")[-1]
        record = table.o.p
        is_in, value = Signal(), Signal()          # after all answers
        was_in, was_value = Signal(), Signal()     # after all answers but that of the last cycle
        m.d.sync += [was_in.eq(is_in), was_value.eq(value)]
        with m.If(table.o.valid & (key == self.followed)):
            m.d.comb += Assert(record.found == was_in)
            with m.If(record.found):
                m.d.comb += Assert(record.value == was_value)
            with m.If(is_change):
                m.d.sync += [is_in.eq(self.exists & (record.found | record.room)),
                             value.eq(self.value)]

        m.d.comb += [Assert(table.fill <= SLOTS),
                     Cover(table.o.valid & record.found & (table.fill != 0))]
        return m


PROPERTIES = [
    Property("table_keeps_a_key", TableKeepsAKey, bmc=18, cover=18),
    Property("table_is_changed_every_cycle", lambda: TableKeepsAKey(is_wrong=True), bmc=18,
             is_false=True),
]
