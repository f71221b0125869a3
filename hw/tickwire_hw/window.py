"""Price window: the best level of every side, found without search (kernel ``window``).

Tick keys grow towards better prices on both sides. A side's ``floor`` is the invariant: every level
on the grid whose key is at least ``floor`` has its bit in a circular bitmap of ``window_words``
words of 64 ticks, and each word that is not empty has a bit in the side's summary. Two loops of two
cycles each, a side's row and a word's bits, decide an operation; the best level follows from their
results without any loop.

Results of the last two operations are in registers, all older ones in memory when an operation
reads them; a result is the whole truth about its side and its word until the next one.
"""

from amaranth.hdl import C, Cat, Module, Mux, ShapeLike, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import WINDOW_WORD, Geometry
from tickwire_hw.logic import encode, is_less, lowest, select, stages
from tickwire_hw.ram import RAM
from tickwire_hw.sweep import KEY, Sweep, side_bits
from tickwire_hw.window_rules import (
    DECISION_AGE,
    EMPTY,
    TICK_BITS,
    WindowOperation,
    WindowRules,
    below,
    hot,
    row_layout,
)

ROW_AGE = DECISION_AGE + 1
"""Cycles from an operation to its side's row."""
RESULT_AGE = 9
"""Cycles from an operation to its result."""
_SWEEP_AGE = 7                              # cycles from an operation to what it means to the sweep
_NEAR = 2                                   # operations that memory may not show yet
_GROUP = 4                                  # bits of which the highest is found at once


def write_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what a window writes after each operation."""
    return data.StructLayout({
        "place": ceil_log2(geometry.window_words), "word": WINDOW_WORD, "side": 1,
        "instrument": side_bits(geometry) - 1, "row": row_layout(geometry)})


class Window(wiring.Component):
    """Keep the best level of every side through new and lost levels and the steps of sweeps.

    The result comes 9 cycles after its operation. Takes an operation every two cycles or at any
    greater distance, whatever the sides; between two steps come ``SWEEP_PERIOD`` operations or
    more, one a message. Never exerts backpressure and loses nothing; a side that asks for a sweep
    while the queue is full asks again with its next new or lost level. Ready after two cycles an
    instrument.

    Cycles: 0 to 2 block RAM, and all that follows from the key alone; 3 the newest row and word,
    compared with the key; 4 the decision: the new row and word; 5 both are written, the words are
    put into circular order; 6 the first of them; 7 block RAM, which shows this operation and no
    younger one; meanwhile the sweep; 8 the first tick of that word; 9 the result is shown.

    The geometry's ``lookups`` must be 1: a step looks up one tick.

    Members
    -------
    ready : ``Out(1)``
        Whether all sides are clear; what comes before is ignored.
    i : ``In(stream.Signature({kind, instrument, side, key, on_grid, least_floor, is_found,
    context}, always_ready=True))``
        ``side`` is 0 for bids. ``NEW`` and ``LOST``: the level at ``key``, its price rounded down
        to the grid, came or went; ``on_grid`` says that nothing was rounded. ``NONE`` and
        ``CHANGE`` change nothing. ``STEP``: instrument, side and key are what ``ask`` said, and
        ``is_found`` tells whether there is such a level now; they mean nothing if nothing was
        asked. ``least_floor`` is the kernel's, for the side. ``context`` is carried along.
    ask : ``Out(ArrayLayout({is_asked, instrument, side, key}, SWEEP_DELAY))``
        What coming steps are to look up: element n is for each step whose number, counted from
        reset, is n modulo ``SWEEP_DELAY``, from 11 cycles after the one that had the place before.
    o : ``Out(stream.Signature(Result, always_ready=True))``
        Nine cycles after each operation: ``kind``, ``instrument``, ``side``, ``context``; the side
        as this operation left it:

        * ``has_best``, ``best``: whether a level is shown, and its key;
        * ``is_empty``: no levels; ``is_hidden``: levels, but none that can be shown;

        and what the operation did:

        * ``is_desync``: the instrument's book is not to be believed any more;
        * ``off_grid``, ``hidden``, ``window_shifts``, ``window_sweeps``: counters that it raised.
    o_row : ``Out(row_layout(geometry))``
        Five cycles after each operation and until the next one's: the row of its side.
    o_write : ``Out(stream.Signature({place, word, side, instrument, row}, always_ready=True))``
        With it: what is written, a word of ticks at its place in the circle and the row.
    pending : ``Out(range(sweep_queue + 2))``
        Eight cycles after an operation: sides that wait for a sweep or are in one.
    """

    def __init__(self, geometry: Geometry, *, context: ShapeLike = 0) -> None:
        if geometry.lookups != 1:
            raise ValueError(f"geometry.lookups must be 1 for a card, not {geometry.lookups}")
        self._geometry, self._words = geometry, geometry.window_words
        self._side_bits, self._row = side_bits(geometry), row_layout(geometry)
        self._sweep = Sweep(geometry)
        side = {"side": 1, "instrument": self._side_bits - 1}
        flags = ("has_best", "is_empty", "is_hidden", "is_desync", "off_grid", "hidden",
                 "window_shifts", "window_sweeps")
        super().__init__({
            "ready": Out(1),
            "i": In(stream.Signature(data.StructLayout(
                {"kind": WindowOperation, **side, "key": signed(KEY), "on_grid": 1,
                 "least_floor": signed(KEY), "is_found": 1, "context": context}),
                always_ready=True)),
            "ask": Out(data.ArrayLayout(data.StructLayout(
                {"is_asked": 1, **side, "key": signed(KEY)}), len(self._sweep.ask))),
            "o": Out(stream.Signature(data.StructLayout(
                {"kind": WindowOperation, **side, "best": signed(KEY),
                 **{flag: 1 for flag in flags}, "context": context}), always_ready=True)),
            "o_row": Out(self._row),
            "o_write": Out(stream.Signature(write_layout(geometry), always_ready=True)),
            "pending": Out(self._sweep.pending.shape())})

    def elaborate(self, platform):
        """Return rules, memory and sweep; a number behind a name is the age of the operation."""
        m = Module()

        operations = stages(m, self.i.p, RESULT_AGE, "operation")
        valid = stages(m, self.i.valid & self.ready, RESULT_AGE, "valid")
        sides = [Cat(given.side, given.instrument) for given in operations]
        m.submodules.rules = rules = WindowRules(self._geometry)
        m.submodules.sweep = sweep = self._sweep
        m.d.comb += [getattr(rules.i, name).eq(getattr(self.i.p, name))
                     for name in ("kind", "key", "on_grid", "least_floor", "is_found")]
        m.d.comb += rules.due.eq(sweep.due)

        # Ages 0 to 4: the two loops.
        places = [Cat(_place(given.key, self._words), side)
                  for given, side in zip(operations, sides, strict=True)]
        rows, bits, bits_after = self._memory(m, sides, places, valid[ROW_AGE])
        row = _newest(m, "row", sides, valid, rows.read_data, rules.row, rules.o_row)
        word = _newest(m, "word", places, valid, bits.read_data, rules.word, rules.o_word)
        void = self._row.const(dict.fromkeys(("unseen_high", "unseen_low", "off_grid_high"), EMPTY))
        m.d.comb += [self.o_row.eq(row), rows.write_data.eq(Mux(self.ready, row, void)),
                     bits.write_data.eq(word), bits_after.write_data.eq(word),
                     self.o_write.valid.eq(valid[ROW_AGE]), self.o_write.p.word.eq(word),
                     self.o_write.p.row.eq(row),
                     Cat(self.o_write.p.place, self.o_write.p.side, self.o_write.p.instrument)
                     .eq(places[ROW_AGE])]

        # Ages 5 to 9: the best level.
        has_best_6, is_near_6, best = self._best(m, row, sides[6], bits_after)

        # Age 7: the sweep. A side wants one while something is unseen below it that it can reach.
        events = stages(m, rules.o, RESULT_AGE - DECISION_AGE, "event")
        could_6 = _later(m, "could", (row.unseen_high != EMPTY)
                         & is_less(operations[ROW_AGE].least_floor, row.floor))
        wanted_6 = events[_SWEEP_AGE - 1 - DECISION_AGE].is_wanted & could_6 & is_near_6
        event_7, given_7 = events[_SWEEP_AGE - DECISION_AGE], sweep.i.p
        m.d.comb += [
            sweep.i.valid.eq(valid[_SWEEP_AGE]), given_7.side.eq(sides[_SWEEP_AGE]),
            given_7.is_wanted.eq(_later(m, "is_wanted", wanted_6)),
            given_7.is_step.eq(operations[_SWEEP_AGE].kind == WindowOperation.STEP),
            given_7.is_done.eq(event_7.is_done), given_7.is_moved.eq(event_7.is_moved),
            given_7.floor.eq(_later(m, "floor", row.floor, 2)),
            given_7.unseen_high.eq(_later(m, "unseen_high", row.unseen_high, 2)),
            self.pending.eq(sweep.pending)]
        for ours, theirs in zip(self.ask, sweep.ask, strict=True):
            m.d.comb += [ours.is_asked.eq(theirs.is_asked), ours.key.eq(theirs.key),
                         Cat(ours.side, ours.instrument).eq(theirs.side)]

        # Age 9: the result.
        event, given, result = events[-1], operations[-1], self.o.p
        has_best = _later(m, "has_best", has_best_6, 3)
        is_empty = _later(m, "is_empty", row.levels == 0, RESULT_AGE - ROW_AGE)
        m.d.comb += [
            self.o.valid.eq(valid[-1]), result.best.eq(best), result.has_best.eq(has_best),
            result.is_empty.eq(is_empty), result.is_hidden.eq(~has_best & ~is_empty),
            result.window_sweeps.eq(_later(m, "is_begun", sweep.is_begun,
                                           RESULT_AGE - _SWEEP_AGE))]
        m.d.comb += [getattr(result, name).eq(getattr(given, name))
                     for name in ("kind", "instrument", "side", "context")]
        m.d.comb += [getattr(result, name).eq(getattr(event, name))
                     for name in ("is_desync", "off_grid", "hidden", "window_shifts")]

        return m

    def _best(self, m: Module, row, side_6, bits: RAM) -> tuple:
        """Find the best level of a row, given at age 5.

        Returns, at age 6, whether there is one and whether none is a quarter of the window or
        more above the floor's word; and its key at age 9. ``bits`` shows at age 6 what was
        written until age 5.
        """
        # Words whose places are below that of the floor's are the upper end of the circle.
        place_5, word_6 = _place(row.floor, self._words), Signal(signed(KEY - TICK_BITS))
        upper, is_floor = Signal(self._words), Signal(self._words)
        is_upper_6, place_6 = Signal(), Signal.like(place_5)
        m.d.sync += word_6.eq(row.floor.shift_right(TICK_BITS))
        m.d.comb += [upper.eq(row.summary & below(place_5, self._words)),
                     is_floor.eq(hot(place_5, self._words))]
        summary_6, upper_6 = _later(m, "summary", row.summary), _later(m, "upper", upper)
        far_6 = _later(m, "far", row.summary & ~Cat(
            Cat(is_floor[place - distance] for distance in range(self._words // 4)).any()
            for place in range(self._words)))
        m.d.comb += [is_upper_6.eq(upper_6.any()),
                     place_6.eq(Mux(is_upper_6, _highest(m, upper_6), _highest(m, summary_6))),
                     bits.read_address.eq(Cat(place_6, side_6))]
        round_6 = word_6.shift_right(len(place_6)) + is_upper_6
        word_8 = _later(m, "best_word", Cat(place_6, round_6), 2)
        best_9 = _later(m, "best", Cat(_highest(m, bits.read_data), word_8))
        return summary_6.any(), ~far_6.any(), best_9

    def _memory(self, m: Module, sides: list, places: list, write: Signal) -> tuple:
        """Add RAM for rows and, twice, for words; rows are cleared, what they void needs not be."""
        clear = Signal(self._side_bits + 1)
        m.d.comb += self.ready.eq(clear[-1] & self._sweep.ready)
        m.d.sync += clear.eq(clear + ~clear[-1])
        m.submodules.rows = rows = RAM(self._row, 1 << self._side_bits)
        m.d.comb += [
            rows.read_address.eq(sides[0]), rows.write_enable.eq(write | ~self.ready),
            rows.write_address.eq(Mux(self.ready, sides[ROW_AGE], clear))]
        copies = [RAM(WINDOW_WORD, self._words << self._side_bits) for _ in range(2)]
        m.submodules.bits, m.submodules.bits_after = copies
        m.d.comb += copies[0].read_address.eq(places[0])
        for copy in copies:
            m.d.comb += [copy.write_enable.eq(write), copy.write_address.eq(places[ROW_AGE])]
        return rows, *copies


def _later(m: Module, name: str, value, count: int = 1):
    """Return ``value`` of so many cycles ago."""
    return stages(m, value, count, name)[count]


def _place(key, words: int):
    """Return the place of a key's word in the circle."""
    return key.shift_right(TICK_BITS)[:ceil_log2(words)]


def _highest(m: Module, bits):
    """Return the place of the highest bit that is set, of a power of two of bits."""
    found = [(bit, C(0, 0)) for bit in bits]
    while len(found) > 1:
        groups = [found[at:at + _GROUP] for at in range(0, len(found), _GROUP)]
        found = []
        for group in groups:
            used, top = Signal(len(group)), Signal(len(group))
            is_set, lower = zip(*group, strict=True)
            place = Signal(len(lower[0]) + ceil_log2(len(group)))
            m.d.comb += [
                used.eq(Cat(is_set)), top.eq(lowest(used[::-1])[::-1]),
                place.eq(Cat(select(*zip(top, lower, strict=True))[:len(lower[0])], encode(top)))]
            found.append((used.any(), place))
    return found[0][1]


def _newest(m: Module, name: str, addresses: list, valid: list, stored, taken, given) -> Signal:
    """Close a loop: give ``taken`` the newest truth at age 3, keep ``given`` of age 4.

    ``stored`` is memory's at age 2. Returns the register that shows the last operation's truth.
    """
    near = [Signal(len(addresses[0]), name=f"{name}_near_{number}") for number in range(_NEAR)]
    is_near = Signal(_NEAR, name=f"{name}_is_near")
    with m.If(valid[2]):
        m.d.sync += [is_near.eq(Cat(1, is_near)), near[0].eq(addresses[2]), near[1].eq(near[0])]
    newer, older = Signal(name=f"{name}_newer"), Signal(name=f"{name}_older")
    m.d.comb += [newer.eq(is_near[0] & (addresses[1] == near[0])),
                 older.eq(is_near[1] & (addresses[1] == near[1]) & ~newer)]
    # Of an operation two cycles ahead the truth is decided at age 2. Every older one is settled.
    is_ahead = valid[DECISION_AGE - 1]
    is_decided, is_last, is_second, is_stored = (
        stages(m, value, 1, f"{name}_{which}")[1] for which, value in (
            ("is_decided", newer & is_ahead), ("is_last", Mux(is_ahead, older, newer)),
            ("is_second", older & ~is_ahead), ("is_stored", ~newer & ~older)))
    results = [Signal(stored.shape(), name=f"{name}_result_{number}") for number in range(_NEAR)]
    settled = Signal(stored.shape(), name=f"{name}_settled")
    m.d.sync += settled.eq(select((is_last, results[0]), (is_second, results[1]),
                                  (is_stored, stored)))
    m.d.comb += taken.eq(Mux(stages(m, is_decided, 1, f"{name}_is_newest")[1], results[0],
                             settled))
    with m.If(valid[DECISION_AGE]):
        m.d.sync += [results[0].eq(given), results[1].eq(results[0])]
    return results[0]
