"""What waits for its turn, the oldest entry in a register."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out


class Waiting(wiring.Component):
    """Queue for a reader that takes an entry every other cycle at most.

    The entry that comes first is shown from the next cycle on; the one behind it two cycles after
    it was taken. Holds ``depth + 1`` entries, in distributed RAM and one register; one that comes
    while the RAM is full is lost. Nothing that comes late decides whether the RAM is written: the
    place behind the newest entry is written in every cycle, and becomes an entry or not.

    Members
    -------
    i : ``In(stream.Signature(shape, always_ready=True))``
        Entries, one a cycle.
    o : ``Out(stream.Signature(shape))``
        The oldest entry, from a register. Not valid in the cycle after it was taken.
    has_any : ``Out(1)``
        An entry waits, whether it is shown or not.
    level : ``Out(range(depth + 1))``
        Entries in the RAM.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 2 or depth & depth - 1:
            raise ValueError(f"depth must be a power of two from 2 on, not {depth}")
        self._shape, self._depth = shape, depth
        super().__init__({
            "i": In(stream.Signature(shape, always_ready=True)), "o": Out(stream.Signature(shape)),
            "has_any": Out(1), "level": Out(range(depth + 1))})

    def elaborate(self, platform):
        """Return the RAM, its two places, and the register."""
        m = Module()

        m.submodules.rows = rows = memory.Memory(shape=self._shape, depth=self._depth, init=[])
        write, read = rows.write_port(), rows.read_port(domain="comb")
        is_any, is_full, joins, leaves = Signal(), Signal(), Signal(), Signal()
        rest = Signal.like(self.level)          # of them, if none joins: that is known late
        m.d.comb += [
            joins.eq(self.i.valid & ~is_full & (self.o.valid | is_any)),
            leaves.eq(is_any & ~self.o.valid), rest.eq(self.level - leaves),
            write.en.eq(~is_full), write.data.eq(self.i.p), self.has_any.eq(self.o.valid | is_any)]
        m.d.sync += [
            self.level.eq(Mux(joins, rest + 1, rest)), is_any.eq(joins | rest.any()),
            is_full.eq(Mux(joins, rest == self._depth - 1, rest == self._depth)),
            write.addr.eq(Mux(joins, write.addr + 1, write.addr)),
            read.addr.eq(read.addr + leaves)]
        with m.If(~self.o.valid):
            m.d.sync += [self.o.valid.eq(is_any | self.i.valid),
                         self.o.p.eq(Mux(is_any, read.data, self.i.p))]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        return m
