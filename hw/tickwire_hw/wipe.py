"""Clear memories after a reset: they keep what they hold, and the registers beside them do not."""

from amaranth.hdl import Module, Mux, Signal, ValueLike
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import ceil_log2


class Wipe(wiring.Component):
    """Name the rows of a memory one after the other, after each reset but the first.

    Memory is zero at configuration, so nothing is to be done then, and ``ready`` is 1 at once.
    After a later reset it takes ``depth`` cycles, rounded up to a power of two. A reset that puts
    all registers of a device back to what they were at configuration, as ECP5's ``SGSR`` does,
    hides that there was a run before: such a device is configured anew.

    Members
    -------
    ready : ``Out(1)``
        Whether all rows are clear. Who has the memory writes nothing before, but zeros to ``row``.
    row : ``Out(range(depth))``
        Row to clear in this cycle.
    """

    def __init__(self, depth: int) -> None:
        self._bits = max(1, ceil_log2(depth))
        super().__init__({"ready": Out(1), "row": Out(self._bits)})

    def write(self, port: memory.WritePort, enable: ValueLike, address: ValueLike,
              data: ValueLike) -> list:
        """Statements by which ``port`` writes what its owner wants, and before ``ready`` zeros."""
        return [port.en.eq(enable | ~self.ready),
                port.addr.eq(Mux(self.ready, address, self.row)),
                port.data.eq(Mux(self.ready, data, 0))]

    def elaborate(self, platform):
        """Return what outlives a reset, and a counter."""
        m = Module()

        was_used, is_done = Signal(reset_less=True), Signal()
        m.d.comb += self.ready.eq(is_done | ~was_used)
        with m.If(is_done):
            m.d.sync += was_used.eq(1)
        with m.If(self.ready):
            m.d.sync += is_done.eq(1)
        with m.Else():
            m.d.sync += [self.row.eq(self.row + 1), is_done.eq(self.row.all())]

        return m
