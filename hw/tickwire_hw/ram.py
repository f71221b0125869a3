"""Block RAM with one read and one write port."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

ANY_COLLISION = {"rw_addr_collision": "no"}
"""Attribute of a memory whose reader does not care what a row that is being written reads as.

Vivado knows it; :mod:`tickwire_hw.platform.yowasp` tells Yosys.
"""

READ_AGE = 2
"""Cycles from an address to its row."""


class RAM(wiring.Component):
    """Rows behind a read and a write port, zero at configuration; reset clears nothing.

    The latency of a read is two cycles: address register and output register, which block RAM
    needs for its best clock. A row that is written at the edge at which its address is taken
    reads as anything: who uses the RAM forwards. A read one cycle later gives the new row.

    Members
    -------
    read_address : ``In(range(depth))``
        Row to read; one is read in every cycle.
    read_data : ``Out(shape)``
        The row, two cycles later.
    write_enable, write_address, write_data : ``In``
        Row to write at the end of this cycle.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self._shape, self._depth = shape, depth
        super().__init__({
            "read_address": In(range(depth)), "read_data": Out(shape), "write_enable": In(1),
            "write_address": In(range(depth)), "write_data": In(shape)})

    def elaborate(self, platform):
        """Return the memory and its output register."""
        m = Module()

        m.submodules.rows = rows = memory.Memory(shape=self._shape, depth=self._depth, init=[],
                                                 attrs=ANY_COLLISION)
        write, read = rows.write_port(), rows.read_port()
        m.d.comb += [write.en.eq(self.write_enable), write.addr.eq(self.write_address),
                     write.data.eq(self.write_data), read.addr.eq(self.read_address),
                     read.en.eq(1)]
        output = Signal(self._shape, reset_less=True)    # so it can be the block RAM's own
        m.d.sync += output.eq(read.data)
        m.d.comb += self.read_data.eq(output)

        return m
