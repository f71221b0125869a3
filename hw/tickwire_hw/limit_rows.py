"""Rows of the risk gate's limits, from the words of a table (kernel ``limits._derive``)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    LIMITS_ROW,
    SESSION_LIMITS,
    STRATEGIES,
    STRATEGY_LIMITS,
    UNLIMITED,
    LimitFlag,
    limits_rows,
)
from tickwire_hw.limit_numbers import NUMBERS_CYCLES, DivisorOf, FactorOf, RoomOf
from tickwire_hw.ram import RAM, READ_AGE
from tickwire_hw.records import line_layout
from tickwire_hw.risk import ROWS, LimitsWrite, Table

ROW_WORDS = LIMITS_ROW // 8
WORD = 64
ROW_CYCLES = ROW_WORDS + READ_AGE + NUMBERS_CYCLES + 2
"""Cycles that a row takes."""
_DIVISORS = ("tick", "tick_below_dollar", "lot")
_FACTORS = {"collar_factor": "collar_bps", "last_collar_factor": "last_collar_bps"}
_LAYOUTS = {Table.FIRM: line_layout(FIRM_LIMITS), Table.INSTRUMENT: line_layout(INSTRUMENT_LIMITS),
            Table.STRATEGY: line_layout(STRATEGY_LIMITS),
            Table.SESSION: line_layout(SESSION_LIMITS)}


class LimitRows(wiring.Component):
    """Keep the words of a table; when told so, work out its rows one by one.

    A row takes 99 cycles: its words are read, then all numbers that an order needs are worked out
    beside each other. Takes a word in any cycle before ``start``; one that comes later may be in a
    row or not, so who loads waits until ``is_done``.

    Members
    -------
    write : ``In(stream.Signature({index, word}, always_ready=True))``
        A word of the table.
    start : ``In(1)``
        All words are there.
    o : ``Out(stream.Signature(LimitsWrite, always_ready=True))``
        Rows, all of them in order.
    is_done : ``Out(1)``
        For one cycle, behind the last row.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._rows = limits_rows(geometry.instruments)
        self._instruments = geometry.instruments
        super().__init__({
            "write": In(stream.Signature(data.StructLayout(
                {"index": range(ROW_WORDS * self._rows), "word": WORD}), always_ready=True)),
            "start": In(1), "o": Out(stream.Signature(LimitsWrite, always_ready=True)),
            "is_done": Out(1)})

    def elaborate(self, platform):
        """Return the words, a row of them, and what is worked out from it."""
        m = Module()

        m.submodules.words = words = RAM(WORD, ROW_WORDS * self._rows)
        table, number = Signal(Table), Signal(16)
        address, age = Signal(range(ROW_WORDS * self._rows + 1)), Signal(range(ROW_CYCLES))
        is_busy, start = Signal(), Signal()
        raw = Signal(8 * LIMITS_ROW)
        m.d.comb += [
            words.write_enable.eq(self.write.valid), words.write_address.eq(self.write.p.index),
            words.write_data.eq(self.write.p.word), words.read_address.eq(address),
            start.eq(age == ROW_WORDS + READ_AGE), self.o.valid.eq(age == ROW_CYCLES - 1)]
        m.d.sync += self.is_done.eq(0)
        with m.If(self.start):
            m.d.sync += [is_busy.eq(1), age.eq(0), address.eq(0), table.eq(Table.FIRM),
                         number.eq(0)]
        with m.Elif(is_busy):
            m.d.sync += age.eq(age + 1)
            with m.If(age < ROW_WORDS):
                m.d.sync += address.eq(address + 1)
            with m.If((age >= READ_AGE) & (age < ROW_WORDS + READ_AGE)):
                m.d.sync += raw.eq(words.read_data << 8 * LIMITS_ROW - WORD | raw >> WORD)
            with m.If(self.o.valid):
                m.d.sync += [age.eq(0), number.eq(number + 1)]
                for kind, count, after in ((Table.FIRM, 1, Table.INSTRUMENT),
                                           (Table.INSTRUMENT, self._instruments, Table.STRATEGY),
                                           (Table.STRATEGY, STRATEGIES, Table.SESSION)):
                    with m.If((table == kind) & (number == count - 1)):
                        m.d.sync += [table.eq(after), number.eq(0)]
                with m.If(address == ROW_WORDS * self._rows):
                    m.d.sync += [is_busy.eq(0), self.is_done.eq(1)]
        m.d.comb += [self.o.p.table.eq(table), self.o.p.number.eq(number)]
        numbers = self._numbers(m, table, raw, start)
        with m.Switch(table):
            for kind in Table:
                with m.Case(kind):
                    row = Signal(ROWS[kind], name=f"{kind.name.lower()}_row")
                    m.d.comb += [self.o.p.row.eq(row),
                                 *_fill(row, numbers[kind], _LAYOUTS[kind](raw))]

        return m

    def _numbers(self, m, table, raw, start):
        """Return what is worked out for each kind of row, by the names of its fields."""
        found = {kind: {} for kind in Table}
        room = m.submodules.room = RoomOf()
        m.d.comb += room.start.eq(start)
        with m.Switch(table):
            for kind in Table:
                given = _LAYOUTS[kind](raw)
                name = "message" if kind == Table.SESSION else "rate"
                with m.Case(kind):
                    m.d.comb += [room.interval.eq(given[f"{name}_interval_ns"]),
                                 room.burst.eq(given[f"{name}_burst"])]
                found[kind]["rate_room"] = room.o
        given, instrument = _LAYOUTS[Table.INSTRUMENT](raw), found[Table.INSTRUMENT]
        for name in _DIVISORS:
            part = m.submodules[name] = DivisorOf()
            m.d.comb += [part.start.eq(start), part.number.eq(given[name])]
            instrument[name] = part.o
        for name, field in _FACTORS.items():
            part = m.submodules[name] = FactorOf()
            m.d.comb += [part.start.eq(start), part.number.eq(given[field])]
            instrument[name] = part.o
        instrument["has_last_collar"] = ((given.last_collar_price != UNLIMITED)
                                         | (given.last_collar_bps != UNLIMITED))
        found[Table.STRATEGY]["is_enabled"] = (
            _LAYOUTS[Table.STRATEGY](raw).flags & LimitFlag.ENABLED).any()
        return found


def _fill(row, numbers, given):
    """Give each field of a row what was worked out for it, or the limit of its name."""
    for name, _ in data.Layout.cast(row.shape()):
        if name == "static":
            yield from _fill(row.static, numbers, given)
        else:
            yield row[name].eq(numbers[name] if name in numbers else given[name])
