"""Touch: the best levels of every side, known early (kernel ``touch``)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.logic import stages
from tickwire_hw.touch_rules import BEST, TouchKind, TouchRules, list_layout, operation_layout

RESULT_AGE = 2
"""Cycles from an operation to its result."""
SIDES = 2
BESTS = data.ArrayLayout(BEST, SIDES)
"""Best levels of both sides, bids first."""


class Touch(wiring.Component):
    """Keep the best levels of every side and tell the best ones after each operation.

    Operations on one instrument come two cycles apart or further, others in every cycle. The
    result follows 2 cycles later. Never exerts backpressure. Rows are in distributed RAM, which is
    read in the cycle of the operation and written at the end of the next but one; the operation
    that comes in that one gets the row from there. Ready as many cycles after reset as there are
    sides, of instruments rounded up to a power of two.

    Members
    -------
    ready : ``Out(1)``
        Whether all sides are clear; operations that come before are lost.
    soon : ``In({side, instrument})``
        The side and instrument of the operation that comes in the next cycle, if one comes.
    i : ``In(stream.Signature(operation_layout(geometry), always_ready=True))``
        An operation; ``APPEND`` and ``SHOW`` are of ``Refill``.
    is_accepted, is_doubtful : ``In(1)``
        One cycle later: see :class:`tickwire_hw.touch_rules.TouchRules`.
    o : ``Out(stream.Signature({instrument, bests, is_message}, always_ready=True))``
        Two cycles later: both sides' best levels after the operation.
    row : ``Out(list_layout(geometry))``
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
            "ready": Out(1), "soon": In(data.StructLayout({"side": 1, "instrument": bits})),
            "i": In(stream.Signature(operation_layout(geometry), always_ready=True)),
            "is_accepted": In(1), "is_doubtful": In(1),
            "o": Out(stream.Signature(data.StructLayout(
                {"instrument": bits, "bests": BESTS, "is_message": 1}), always_ready=True)),
            "row": Out(list_layout(geometry)),
            "shaken": Out(stream.Signature(data.StructLayout({"side": 1, "instrument": bits}),
                                           always_ready=True)),
            "wants": Out(SIDES << bits), "instrument": In(bits), "o_now": Out(BESTS)})

    def elaborate(self, platform):
        """Return rows, rules and a copy of the best levels; a number is the operation's age."""
        m = Module()

        m.submodules.rules = rules = TouchRules(self._geometry)
        clear = Signal(self._bits + 2)          # sides that are clear, then whether all are
        m.d.sync += clear.eq(clear + ~self.ready)
        valid_1 = stages(m, self.i.valid & self.ready, 1, "valid")[1]
        given, side = rules.o_operation, rules.o_operation.side
        is_changed = stages(m, valid_1 & (given.kind != TouchKind.SHOW), 1, "is_changed")
        done = [Cat(side, given.instrument)]
        done += stages(m, done[0], 1, "done")[1:]
        places = [Mux(self.ready, place, clear[:-1]) for place in done]
        # A row that is read in the cycle in which it is written, is taken from there.
        asked = stages(m, Cat(self.soon.side, self.soon.instrument), 1, "asked")[1]
        is_again = stages(m, Cat(is_changed[0] & (done[0] == Cat(number, self.soon.instrument))
                                 for number in range(SIDES)), 1, "is_again")[1]
        row = Signal(self.row.shape())
        m.d.comb += [
            row.eq(rules.o_row), row.used.eq(Mux(self.ready, rules.o_row.used, 0)),
            row.more.eq(self.ready & rules.o_row.more)]

        m.submodules.levels = levels = memory.Memory(
            shape=row.shape(), depth=SIDES << self._bits, init=[])
        read, write = levels.read_port(domain="comb"), levels.write_port()
        m.d.comb += [
            read.addr.eq(asked), write.data.eq(row), write.en.eq(~self.ready | is_changed[1]),
            write.addr.eq(places[1]),
            rules.row.eq(read.data), rules.is_again.eq(is_again.bit_select(asked[0], 1))]
        for number, name in enumerate(("bids", "asks")):
            m.submodules[name] = bests = memory.Memory(shape=BEST, depth=1 << self._bits, init=[])
            other, now = bests.read_port(domain="comb"), bests.read_port(domain="comb")
            best_write = bests.write_port()
            best = best_write.data
            m.d.comb += [
                best_write.en.eq((~self.ready | is_changed[0]) & (places[0][0] == number)),
                best_write.addr.eq(places[0][1:]), best.eq(rules.o_best),
                best.has_best.eq(self.ready & rules.o_best.has_best),
                best.is_known.eq(~self.ready | rules.o_best.is_known),
                other.addr.eq(given.instrument),
                now.addr.eq(self.instrument), self.o_now[number].eq(now.data)]
            mine = (side == number) & (given.kind != TouchKind.SHOW)
            m.d.sync += self.o.p.bests[number].eq(Mux(mine, rules.o_best, other.data))
        m.d.comb += [
            self.ready.eq(clear[-1]), rules.i.eq(self.i.p),
            rules.is_accepted.eq(self.is_accepted), rules.is_doubtful.eq(self.is_doubtful),
            self.row.eq(rules.o_before),
            self.shaken.valid.eq(valid_1 & rules.is_shaken), self.shaken.p.side.eq(side),
            self.shaken.p.instrument.eq(given.instrument)]

        m.d.sync += [
            self.o.valid.eq(valid_1), self.o.p.instrument.eq(given.instrument),
            self.o.p.is_message.eq(given.kind == TouchKind.MESSAGE)]
        with m.If(is_changed[1]):
            m.d.sync += self.wants.bit_select(done[1], 1).eq(
                rules.o_row.more & ~rules.o_row.used[-1])

        return m
