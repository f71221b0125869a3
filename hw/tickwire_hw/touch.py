"""Touch: the best levels of every side, known early (kernel ``touch``)."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.logic import stages
from tickwire_hw.touch_rules import (
    BEST,
    LEVELS,
    ROW,
    TouchKind,
    TouchRules,
    best_of,
    operation_layout,
)

RESULT_AGE = 2
"""Cycles from an operation to its result."""
SIDES = 2
BESTS = data.ArrayLayout(BEST, SIDES)
"""Best levels of both sides, bids first."""


class Touch(wiring.Component):
    """Keep the best levels of every side and tell the best ones after each operation.

    Operations on one instrument come two cycles apart or further, others in every cycle. The
    result follows 2 cycles later. Never exerts backpressure. Rows are in distributed RAM, which is
    read in the cycle of the operation and written at the end of the next one, so nothing is
    forwarded. Ready as many cycles after reset as there are instruments, rounded up to a power of
    two.

    Members
    -------
    ready : ``Out(1)``
        Whether all sides are clear; operations that come before are lost.
    i : ``In(stream.Signature(operation_layout(geometry), always_ready=True))``
        An operation; ``APPEND`` and ``SHOW`` are of ``Refill``.
    is_accepted, is_doubtful : ``In(1)``
        One cycle later: see :class:`tickwire_hw.touch_rules.TouchRules`.
    o : ``Out(stream.Signature({instrument, bests, is_message}, always_ready=True))``
        Two cycles later: both sides' best levels after the operation.
    row : ``Out(ROW)``
        One cycle after ``i``: the row of its side as it was before.
    shaken : ``Out(stream.Signature({side, instrument}, always_ready=True))``
        In that cycle, of a ``MESSAGE``: levels of the side came, went, or changed that are not
        listed.
    wants : ``Out(2 * instruments)``
        Sides, by ``Cat(side, instrument)``, that would have a level appended.
    instrument : ``In(range(instruments))``
        An instrument.
    o_now : ``Out(BESTS)``
        In the same cycle: its best levels, after what was operated on 2 cycles before or earlier.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._bits = bits = max(1, ceil_log2(geometry.instruments))
        super().__init__({
            "ready": Out(1),
            "i": In(stream.Signature(operation_layout(geometry), always_ready=True)),
            "is_accepted": In(1), "is_doubtful": In(1),
            "o": Out(stream.Signature(data.StructLayout(
                {"instrument": bits, "bests": BESTS, "is_message": 1}), always_ready=True)),
            "row": Out(ROW),
            "shaken": Out(stream.Signature(data.StructLayout({"side": 1, "instrument": bits}),
                                           always_ready=True)),
            "wants": Out(SIDES << bits), "instrument": In(bits), "o_now": Out(BESTS)})

    def elaborate(self, platform):
        """Return rows, rules and a copy of the best levels; a number is the operation's age."""
        m = Module()

        m.submodules.rules = rules = TouchRules(self._geometry)
        clear = Signal(self._bits + 1)
        m.d.sync += clear.eq(clear + ~self.ready)
        valid_1 = stages(m, self.i.valid & self.ready, 1, "valid")[1]
        given, side = rules.o_operation, rules.o_operation.side
        is_changed = valid_1 & (given.kind != TouchKind.SHOW)
        place = Mux(self.ready, given.instrument, clear)
        row = Mux(self.ready, rules.o_row, 0)
        best = Signal(BEST)
        m.d.comb += [best[name].eq(value) for name, value in best_of(rules.o_row, side).items()]
        kept = Signal(BEST)
        m.d.comb += kept.eq(Mux(self.ready, best, BEST.const({"is_known": 1})))

        rows, others = [], []
        for number, name in enumerate(("bid", "ask")):
            writes = ~self.ready | is_changed & (side == number)
            m.submodules[f"{name}s"] = levels = memory.Memory(shape=ROW, depth=1 << self._bits,
                                                              init=[])
            m.submodules[f"{name}_best"] = bests = memory.Memory(
                shape=BEST, depth=1 << self._bits, init=[])
            for written, value in ((levels, row), (bests, kept)):
                port = written.write_port()
                m.d.comb += [port.en.eq(writes), port.addr.eq(place), port.data.eq(value)]
            read, other, now = (levels.read_port(domain="comb"), bests.read_port(domain="comb"),
                                bests.read_port(domain="comb"))
            m.d.comb += [read.addr.eq(self.i.p.instrument), other.addr.eq(self.i.p.instrument),
                         now.addr.eq(self.instrument), self.o_now[number].eq(now.data)]
            rows.append(read.data)
            others.append(stages(m, other.data, 1, f"{name}_other")[1])
        m.d.comb += [
            self.ready.eq(clear[-1]), rules.i.eq(self.i.p),
            rules.row.eq(Array(rows)[self.i.p.side]), rules.is_accepted.eq(self.is_accepted),
            rules.is_doubtful.eq(self.is_doubtful), self.row.eq(rules.o_before),
            self.shaken.valid.eq(valid_1 & rules.is_shaken), self.shaken.p.side.eq(side),
            self.shaken.p.instrument.eq(given.instrument)]

        m.d.sync += [
            self.o.valid.eq(valid_1), self.o.p.instrument.eq(given.instrument),
            self.o.p.is_message.eq(given.kind == TouchKind.MESSAGE)]
        for number, other in enumerate(others):
            mine = (side == number) & (given.kind != TouchKind.SHOW)
            m.d.sync += self.o.p.bests[number].eq(Mux(mine, best, other))
        with m.If(is_changed):
            after = rules.o_row
            m.d.sync += self.wants.bit_select(Cat(side, given.instrument), 1).eq(
                after.more & ~after.used[LEVELS - 1])

        return m
