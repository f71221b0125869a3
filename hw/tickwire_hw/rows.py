"""Rows in block RAM that operations two cycles apart read and change, in order."""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire_hw.logic import select, stages
from tickwire_hw.ram import RAM

ROW_AGE = 3
"""Cycles from an address to its row."""
_NEAR = 2                                   # operations that memory may not show yet


class Rows(wiring.Component):
    """Show each operation its row as the one before it left it, and take the new row.

    The row is shown 3 cycles after its address, and the new row is taken in that same cycle. Takes
    an address every two cycles or at any greater distance. Never exerts backpressure. Clears
    itself within ``depth`` cycles, rounded up to a power of two, after reset.

    Cycles: 0 to 1 block RAM, meanwhile the address is compared with those of the last two
    operations, whose rows are in registers; 2 the newest row; 3 it is shown and changed; 4 it is
    written.

    Members
    -------
    ready : ``Out(1)``
        Whether all rows are clear; addresses that come before are ignored.
    valid, address : ``In``
        An operation and its row.
    is_early, early : ``Out``
        Two cycles later: there is one, and its row, which is not registered yet.
    is_shown, row : ``Out``
        Three cycles later: the same from registers.
    i_row : ``In(shape)``
        In that cycle: the row as the operation leaves it.
    last : ``Out(shape)``
        From the next cycle on, until the next operation's: what it left.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self._shape, self._bits = shape, max(1, ceil_log2(depth))
        super().__init__({
            "ready": Out(1), "valid": In(1), "address": In(self._bits),
            "is_early": Out(1), "early": Out(shape), "is_shown": Out(1), "row": Out(shape),
            "i_row": In(shape), "last": Out(shape)})

    def elaborate(self, platform):
        """Return memory and registers; a number behind a name is the age of the operation."""
        m = Module()

        clear = Signal(self._bits + 1)
        m.d.comb += self.ready.eq(clear[-1])
        m.d.sync += clear.eq(clear + ~self.ready)
        addresses = stages(m, self.address, ROW_AGE + 1, "address")
        valid = stages(m, self.valid & self.ready, ROW_AGE + 1, "valid")

        near = [Signal(self._bits, name=f"near_{number}") for number in range(_NEAR)]
        is_near = Signal(_NEAR)
        with m.If(valid[1]):
            m.d.sync += [is_near.eq(Cat(1, is_near)), near[0].eq(addresses[1]), near[1].eq(near[0])]
        newer_1, older_1 = (is_near[number] & (addresses[1] == other)
                            for number, other in enumerate(near))
        newer, older, neither = (stages(m, value, 1, name)[1] for name, value in (
            ("newer", newer_1), ("older", older_1 & ~newer_1), ("neither", ~newer_1 & ~older_1)))

        m.submodules.rows = rows = RAM(self._shape, 1 << self._bits)
        before = Signal(self._shape)
        m.d.comb += [
            rows.read_address.eq(self.address), rows.write_enable.eq(valid[-1] | ~self.ready),
            rows.write_address.eq(Mux(self.ready, addresses[-1], clear)),
            rows.write_data.eq(Mux(self.ready, self.last, 0)),
            self.is_early.eq(valid[2]), self.is_shown.eq(valid[ROW_AGE]),
            self.early.eq(select((newer, self.last), (older, before), (neither, rows.read_data)))]
        m.d.sync += self.row.eq(self.early)
        with m.If(self.is_shown):
            m.d.sync += [self.last.eq(self.i_row), before.eq(self.last)]

        return m
