"""The window's rules are the kernel's, for every side that rules can leave.

Method: ``WindowRules``, for a window of four words, beside the kernel's own steps, written down
once more without pipeline, masks and shared comparisons. The solver chooses the operation, the
side, the word and what a step answers, under an invariant of sides. The empty side has it and every
operation keeps it, which is asserted too; so it holds for ever.
"""

from functools import partial

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.formal.sby import Property
from tickwire.spec.geometry import WINDOW_WORD, Geometry
from tickwire_hw.logic import stages
from tickwire_hw.sweep import KEY
from tickwire_hw.window_rules import (
    DECISION_AGE,
    EMPTY,
    TICK_BITS,
    WindowOperation,
    WindowRules,
    row_layout,
)

TINY = Geometry(instruments=1, levels_log2=4, level_stash=1, window_words=4, lookups=1)
WORDS = TINY.window_words
ROW = row_layout(TINY)
OPERATION = data.StructLayout({"kind": WindowOperation, "key": signed(KEY), "on_grid": 1,
                               "least_floor": signed(KEY), "is_found": 1})
DUE = data.StructLayout({"is_asked": 1, "floor": signed(KEY)})
EVENTS = data.StructLayout(dict.fromkeys(
    ("is_desync", "off_grid", "hidden", "window_shifts", "is_done", "is_moved"), 1))
REACHED = {
    WindowOperation.NEW: ("is_desync", "off_grid", "hidden", "window_shifts"),
    WindowOperation.LOST: ("hidden",),
    WindowOperation.STEP: ("is_desync", "is_done", "is_moved"),
    WindowOperation.CHANGE: (), WindowOperation.NONE: ()}
BOUNDS = ("unseen_high", "unseen_low", "off_grid_high")


def is_sound(row) -> Value:
    """Whether a side is one that operations can leave."""
    return ((row.floor > EMPTY) & (row.unseen_high < row.floor)
            & ((row.levels != 0) | (row.summary == 0)))


def greater(one, other) -> Value:
    """Return the greater of two numbers."""
    return Mux(one > other, one, other)


def lesser(one, other) -> Value:
    """Return the lesser of two numbers."""
    return Mux(one < other, one, other)


def word_of(key) -> Value:
    """Return the number of a key's word."""
    return key.shift_right(TICK_BITS)


class Kernel(wiring.Component):
    """The kernel's steps for one operation, each where the kernel has it; no cycle passes."""

    given: In(OPERATION)
    due: In(DUE)
    row: In(ROW)
    word: In(WINDOW_WORD)
    hot: In(WORDS)                         # the key's word and its tick
    tick: In(WINDOW_WORD)
    o_row: Out(ROW)
    o_word: Out(WINDOW_WORD)
    o: Out(EVENTS)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.o_row.eq(self.row),
                     self.o_word.eq(Mux((self.row.summary & self.hot).any(), self.word, 0))]
        with m.Switch(self.given.kind):
            with m.Case(WindowOperation.NEW):
                self._insert(m)
            with m.Case(WindowOperation.LOST):
                self._remove(m)
            with m.Case(WindowOperation.STEP), m.If(self.due.is_asked):
                self._lower_floor(m)
        return m

    def _set_bit(self, m: Module, summary) -> None:
        is_used = (summary & self.hot).any()
        m.d.comb += [self.o_row.summary.eq(summary | self.hot),
                     self.o_word.eq(Mux(is_used, self.word, 0) | self.tick)]

    def _insert(self, m: Module) -> None:
        given, row, now, key = self.given, self.row, self.o_row, self.given.key
        base = word_of(row.floor) << TICK_BITS
        new = word_of(key - WORDS * WINDOW_WORD * 3 // 4) << TICK_BITS
        gone, kept, is_here = Signal(WORDS), Signal(WORDS), Signal()
        m.d.comb += [
            gone.eq(Cat(row.summary[place] & ((place - word_of(base))[:2] < word_of(new - base))
                        for place in range(WORDS))),
            kept.eq(row.summary), now.levels.eq(row.levels + 1), self.o.off_grid.eq(~given.on_grid),
            self.o.is_desync.eq(is_here & ~given.on_grid), is_here.eq(key >= row.floor)]
        with m.If(row.levels == 0):
            floor = greater(new, given.least_floor)
            m.d.comb += [kept.eq(0), now.summary.eq(0), now.floor.eq(floor),
                         is_here.eq(key >= floor),
                         *(getattr(now, name).eq(EMPTY) for name in BOUNDS)]
            with m.If(~is_here):
                m.d.comb += [now.unseen_high.eq(key), now.unseen_low.eq(key),
                             now.off_grid_high.eq(Mux(given.on_grid, EMPTY, key))]
            with m.If(~is_here | ~given.on_grid):
                m.d.comb += self.o.hidden.eq(1)
                with m.If(~is_here & (key != EMPTY)):
                    m.d.comb += now.floor.eq(key + 1)
        with m.Elif((key >= base + WORDS * WINDOW_WORD) & given.on_grid):
            m.d.comb += [self.o.window_shifts.eq(1), now.floor.eq(new)]
            with m.If(gone.any()):
                m.d.comb += [
                    kept.eq(row.summary & ~gone),
                    now.unseen_high.eq(greater(row.unseen_high, new - 1)),
                    now.unseen_low.eq(lesser(Mux(row.unseen_low == EMPTY, new - 1,
                                                 lesser(row.unseen_low, new - 1)), row.floor))]
        with m.Elif(key < row.floor):
            m.d.comb += [
                now.unseen_high.eq(greater(row.unseen_high, key)),
                now.unseen_low.eq(Mux(row.unseen_low == EMPTY, key, lesser(row.unseen_low, key)))]
            with m.If(~given.on_grid):
                m.d.comb += now.off_grid_high.eq(greater(row.off_grid_high, key))
        with m.If(is_here & given.on_grid):
            self._set_bit(m, kept)

    def _remove(self, m: Module) -> None:
        row, now = self.row, self.o_row
        m.d.comb += now.levels.eq(row.levels - 1)
        with m.If(self.given.on_grid & (self.given.key >= row.floor)):
            rest = self.word & ~self.tick
            m.d.comb += [self.o_word.eq(rest)]
            with m.If(rest == 0):
                m.d.comb += now.summary.eq(row.summary & ~self.hot)
                with m.If((row.summary == self.hot) & (row.levels != 1)):
                    m.d.comb += self.o.hidden.eq(1)
                    with m.If(row.unseen_high != EMPTY):
                        m.d.comb += now.floor.eq(row.unseen_high + 1)

    def _lower_floor(self, m: Module) -> None:
        given, row, now, key = self.given, self.row, self.o_row, self.given.key
        # Word of the best level, from the floor's: the highest of the circle.
        height = Signal(range(WORDS))
        for above in range(WORDS):
            with m.If(row.summary.bit_select((word_of(row.floor) + above)[:2], 1)):
                m.d.comb += height.eq(above)
        best = word_of(row.floor) + height
        with m.If(row.floor != self.due.floor):
            m.d.comb += self.o.is_moved.eq(1)
        with m.Elif((row.levels == 0) | (row.unseen_high == EMPTY)):
            m.d.comb += self.o.is_done.eq(1)
        with m.Elif(row.floor <= row.unseen_low):
            m.d.comb += [now.unseen_high.eq(EMPTY), now.unseen_low.eq(EMPTY), self.o.is_done.eq(1)]
        with m.Elif(key != lesser(row.floor - 1, row.unseen_high)):
            m.d.comb += self.o.is_moved.eq(1)
        with m.Elif((key < given.least_floor)
                    | row.summary.any() & (best - word_of(key) >= WORDS // 2)):
            m.d.comb += self.o.is_done.eq(1)
        with m.Else():
            m.d.comb += [now.floor.eq(key), now.unseen_high.eq(lesser(row.unseen_high, key - 1))]
            with m.If(key <= row.off_grid_high):
                m.d.comb += [now.off_grid_high.eq(EMPTY), self.o.is_desync.eq(1)]
            with m.If(given.is_found):
                self._set_bit(m, row.summary)


class RulesAreTheKernels(wiring.Component):
    """One operation of a kind, on any sound side, leaves what it leaves in the kernel."""

    given: In(OPERATION)
    due: In(DUE)
    row: In(ROW)
    word: In(WINDOW_WORD)

    def __init__(self, kind: WindowOperation, *, is_wrong: bool = False) -> None:
        self._kind = kind
        self._is_wrong = is_wrong          # what is unseen may lie above the floor
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.rules = rules = WindowRules(TINY)
        m.submodules.kernel = kernel = Kernel()
        m.d.comb += [rules.i.eq(self.given), rules.row.eq(self.row), rules.word.eq(self.word),
                     rules.due.eq(self.due)]
        given = stages(m, self.given, DECISION_AGE, "given")[-1]
        row, word, due = (stages(m, value, 1, name)[-1] for name, value in (
            ("row_before", self.row), ("word_before", self.word), ("due_before", self.due)))
        hot, tick = Signal(WORDS), Signal(WINDOW_WORD)
        m.d.comb += [hot.eq(1 << word_of(given.key)[:2]), tick.eq(1 << given.key[:TICK_BITS]),
                     kernel.given.eq(given), kernel.due.eq(due), kernel.row.eq(row),
                     kernel.word.eq(word), kernel.hot.eq(hot), kernel.tick.eq(tick)]

        is_lost, is_here = given.kind == WindowOperation.LOST, given.key >= row.floor
        had_bit = given.on_grid & is_here
        is_new, is_step = given.kind == WindowOperation.NEW, given.kind == WindowOperation.STEP
        sound = is_sound(row)
        if self._is_wrong:
            sound |= row.levels != 0
        age = Signal(range(DECISION_AGE + 1))
        m.d.sync += age.eq(age + (age != DECISION_AGE))
        with m.If(age == DECISION_AGE):
            m.d.comb += [
                Assume(given.kind == self._kind), Assume(sound),
                Assume(~(row.summary & hot).any() | word.any()),
                Assume(given.least_floor > EMPTY), Assume(~is_new | ~row.levels.all()),
                # What dies was there; when nothing else was, nothing else has a bit.
                Assume(~is_lost | (row.levels != 0)),
                Assume(~(is_lost & had_bit) | (row.summary & hot).any() & (word & tick).any()),
                Assume(~(is_lost & (row.levels == 1))
                       | Mux(had_bit, (row.summary == hot) & (word == tick), row.summary == 0)),
                # What is asked for is below the floor at which it was asked.
                Assume(~is_step | (given.key < due.floor)),
                *(Assert(getattr(rules.o_row, name) == getattr(kernel.o_row, name))
                  for name in ("floor", *BOUNDS, "summary", "levels")),
                *(Assert(getattr(rules.o, name) == getattr(kernel.o, name))
                  for name in EVENTS.members),
                Assert(~(kernel.o_row.summary & hot).any() | (rules.o_word == kernel.o_word)),
                Assert(~(rules.o_row.summary & hot).any() | rules.o_word.any()),
                Assert(is_sound(rules.o_row)),
                *(Cover(getattr(kernel.o, name)) for name in REACHED[self._kind])]
        return m


PROPERTIES = [
    *(Property(f"window_rules_{kind.name.lower()}", partial(RulesAreTheKernels, kind),
               bmc=DECISION_AGE + 1, cover=DECISION_AGE + 1) for kind in REACHED),
    Property("window_side_is_not_sound",
             partial(RulesAreTheKernels, WindowOperation.STEP, is_wrong=True),
             bmc=DECISION_AGE + 1, is_false=True),
]
