"""What an operation makes of a side's price window (kernels ``window`` and ``book``).

That is ``insert``, ``clear_bit``, ``uncover`` and ``lower_floor``, for a side's row and one word.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import WAYS, WINDOW_WORD, Geometry
from tickwire_hw.logic import is_less, select, stages
from tickwire_hw.sweep import KEY

DECISION_AGE = 4
"""Cycles from an operation to its decision."""
EMPTY = -(1 << KEY - 1)
"""No tick; below every real key, as in the kernels."""
TICK_BITS = ceil_log2(WINDOW_WORD)
_ROW_AGE = DECISION_AGE - 1


class WindowOperation(enum.Enum, shape=unsigned(3)):
    """What happened to a level, if anything."""

    NONE = 0
    CHANGE = 1
    NEW = 2
    LOST = 3
    STEP = 4


def row_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what is kept of a side, under the kernel's names."""
    levels = geometry.level_places + geometry.level_stash + WAYS
    return data.StructLayout({
        "floor": signed(KEY), "unseen_high": signed(KEY), "unseen_low": signed(KEY),
        "off_grid_high": signed(KEY), "summary": geometry.window_words,
        "levels": levels.bit_length()})


def below(number: Value, count: int) -> Value:
    """Return ``count`` bits: those whose place is below ``number``."""
    return Cat(number > place for place in range(count))


def hot(number: Value, count: int) -> Value:
    """Return ``count`` bits: the one whose place is ``number``."""
    return Cat(number == place for place in range(count))


class WindowRules(wiring.Component):
    """Decide an operation: a new row, a new word of ticks, and what is to be told.

    Row and word are taken 3 cycles after the operation, the decision is there one cycle later.
    Never exerts backpressure.

    Members
    -------
    i : ``In({kind, key, on_grid, least_floor, is_found})``
        The operation, as ``Window`` takes it.
    row, word : ``In``
        Three cycles later: the side and the word of the key's tick. The word means nothing while
        the row's summary says that it is empty.
    due : ``In({is_asked, floor})``
        With them: what a step answers.
    o_row, o_word : ``Out``
        Four cycles after ``i``: both, as the operation leaves them.
    o : ``Out({is_wanted, is_done, is_moved, is_desync, off_grid, hidden, window_shifts})``
        With them: the side would have a sweep if that can come lower; the sweep in hand is done,
        or has to ask anew; and flags and counts of ``Window``.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._words = geometry.window_words
        self._levels = row_layout(geometry)["levels"].width
        flags = ("is_wanted", "is_done", "is_moved", "is_desync", "off_grid", "hidden",
                 "window_shifts")
        super().__init__({
            "i": In(data.StructLayout({"kind": WindowOperation, "key": signed(KEY), "on_grid": 1,
                                       "least_floor": signed(KEY), "is_found": 1})),
            "row": In(row_layout(geometry)), "word": In(WINDOW_WORD),
            "due": In(data.StructLayout({"is_asked": 1, "floor": signed(KEY)})),
            "o_row": Out(row_layout(geometry)), "o_word": Out(WINDOW_WORD),
            "o": Out(data.StructLayout({flag: 1 for flag in flags}))})

    def elaborate(self, platform):
        """Return the rules; a number behind a name is the age of the operation, 0 at ``i``."""
        m = Module()

        operations = stages(m, self.i, DECISION_AGE, "operation")
        words, quarter = self._words, self._words // 4
        place_bits = ceil_log2(words)
        given_1, given_2, given_3, given = operations[1:]
        empty = C(EMPTY, signed(KEY))

        # Ages 0 to 3: what follows from the key. Floors: of a window that is laid around the key,
        # or begins above a level that can have no bit; of one that moves up to the key.
        word_0 = self.i.key.shift_right(TICK_BITS)
        is_under = stages(m, self.i.key < self.i.least_floor, _ROW_AGE, "is_under")
        is_lowest_2, is_lowest_3 = stages(m, self.i.key == EMPTY, 3, "is_lowest")[2:]
        moved = stages(m, (word_0 - 3 * quarter) << TICK_BITS, _ROW_AGE, "moved")
        is_laid_2 = stages(m, moved[1] > given_1.least_floor, 1, "is_laid")[1]
        laid_2 = Mux(is_laid_2, moved[2], given_2.least_floor)
        after_2, after_3 = stages(m, given_1.key + 1, 2, "after")[1:]
        before_3 = stages(m, given_2.key - 1, 1, "before")[1]
        first = stages(m, Mux(is_under[2] & ~is_lowest_2, after_2, laid_2), 2, "first")[2]
        left = stages(m, moved[2] - 1, 2, "left")[2]
        above_3, beyond_3, beneath_3 = (
            stages(m, word_0 + distance, _ROW_AGE, name)[-1] for name, distance in (
                ("above", 1 - 4 * quarter), ("beyond", 1 - 7 * quarter),
                ("beneath", 2 * quarter)))
        word_hot = stages(m, hot(word_0[:place_bits], words), DECISION_AGE, "word_hot")
        tick_hot_3, tick_hot = stages(m, hot(given_2.key[:TICK_BITS], WINDOW_WORD), 2,
                                      "tick_hot")[1:]
        is_new_3, is_lost_3, is_step_3 = (
            stages(m, given_2.kind == kind, 1, f"is_{kind.name.lower()}")[1]
            for kind in (WindowOperation.NEW, WindowOperation.LOST, WindowOperation.STEP))

        # Words from one place on up to the floor's, around the circle: those that stay when the
        # window moves up to the key, or those so far above a step's key that they end its sweep.
        distance_1 = Mux(given_1.kind == WindowOperation.STEP, 2 * quarter, quarter)
        start_2, start_3 = stages(m, (given_1.key.shift_right(TICK_BITS)
                                      + distance_1)[:place_bits], 2, "start")[1:]
        from_start_3 = stages(m, ~below(start_2, words), 1, "from_start")[1]
        floor_word = self.row.floor.shift_right(TICK_BITS)
        floor_place = floor_word[:place_bits]
        to_floor, chosen = Signal(words), Signal(words)
        m.d.comb += [
            to_floor.eq(below(floor_place, words)),
            chosen.eq(Mux(start_3 < floor_place, from_start_3 & to_floor,
                          from_start_3 | to_floor))]

        # Age 3: row and word are compared with the key.
        def compared(name: str, value: Value) -> Value:
            return stages(m, value, 1, name)[1]
        row, key, has_levels_3 = self.row, given_3.key, Signal()
        m.d.comb += has_levels_3.eq(row.levels != 0)
        is_first = compared("is_first", is_new_3 & ~has_levels_3)
        is_opened = compared("is_opened", is_new_3 & ~has_levels_3 & ~is_under[3])
        is_bounded = compared("is_bounded", is_new_3 & ~has_levels_3 & is_under[3])
        is_next = compared("is_next", is_new_3 & has_levels_3)
        is_lost = compared("is_lost_on_grid", is_lost_3 & given_3.on_grid)
        is_only = compared("is_only", row.levels == 1)
        is_due = compared("is_due", is_step_3 & self.due.is_asked)
        is_searched = compared("is_searched", is_step_3 & self.due.is_asked & has_levels_3)
        is_possible = compared("is_possible", is_step_3 & self.due.is_asked & has_levels_3
                               & ~is_under[3] & ~is_lowest_3)
        is_above = compared("is_above", is_less(floor_word, above_3))
        is_beyond = compared("is_beyond", is_less(floor_word, beyond_3) & row.summary.any())
        is_beneath = compared("is_beneath", ~is_less(floor_word, beneath_3) & row.summary.any())
        is_below = compared("is_below", ~is_less(row.floor, after_3))
        is_higher = compared("is_higher", is_less(row.unseen_high, key))
        is_lower = compared("is_lower", ~is_less(row.unseen_low, after_3))
        is_swept = compared("is_swept", ~is_less(row.unseen_low, row.floor))
        is_off_grid = compared("is_off_grid", ~is_less(row.off_grid_high, key))
        all_seen = compared("all_seen", row.unseen_high == empty)
        no_low = compared("no_low", row.unseen_low == empty)
        same_floor = compared("same_floor", row.floor == self.due.floor)
        same_key = compared("same_key", key == row.unseen_high)
        is_used = compared("is_used", (row.summary & word_hot[3]).any())
        has_other = compared("has_other", (row.summary & ~word_hot[3]).any())
        has_rest = compared("has_rest", (self.word & ~tick_hot_3).any())
        levels = compared("levels", (row.levels + Mux(is_lost_3, -1, is_new_3))[:self._levels])
        stay, leave = (compared(name, row.summary & which)
                       for name, which in (("stay", chosen), ("leave", ~chosen)))
        target = compared("target", select((is_new_3, moved[3]), (is_step_3, key),
                                           (is_lost_3, row.unseen_high + 1)))
        unseen = compared("unseen", Mux(is_step_3, before_3, key))
        row, word = compared("row", self.row), compared("word", self.word)

        # Age 4: the decision. A level that came is the side's first one or the next one. The first
        # opens a window, or has no bit and bounds what is unseen.
        is_shifted, is_covered, is_inserted = (Signal() for _ in range(3))
        is_cleared, is_last, is_hiding, is_set = (Signal() for _ in range(4))
        is_uncovered, is_lowered, is_forgotten, leaves_levels = (Signal() for _ in range(4))
        m.d.comb += [
            is_shifted.eq(is_next & is_above & given.on_grid),
            leaves_levels.eq(is_shifted & (leave.any() | is_beyond)),
            is_covered.eq(is_opened | is_next & ~is_below),
            is_inserted.eq(is_next & is_below),
            is_cleared.eq(is_lost & ~is_below),
            is_last.eq(is_cleared & ~has_rest),
            is_hiding.eq(is_last & ~has_other & ~is_only),
            is_uncovered.eq(is_hiding & ~all_seen),
            is_forgotten.eq(is_searched & same_floor & ~all_seen & is_swept),
            is_lowered.eq(is_possible & same_floor & same_key & ~is_swept & ~is_beneath
                          & ~stay.any()),
            is_set.eq(is_covered & given.on_grid | is_lowered & given.is_found),
            self.o.is_wanted.eq(compared("is_wanted", is_new_3 | is_lost_3)),
            self.o.is_moved.eq(is_due & ~same_floor
                               | is_searched & ~all_seen & ~is_swept & ~same_key),
            self.o.is_done.eq(is_due & ~self.o.is_moved & ~is_lowered),
            self.o.is_desync.eq(is_covered & ~given.on_grid | is_lowered & is_off_grid),
            self.o.off_grid.eq((is_first | is_next) & ~given.on_grid),
            self.o.hidden.eq(is_hiding | is_bounded | is_opened & ~given.on_grid),
            self.o.window_shifts.eq(is_shifted)]

        # A window that moves up to the key has never had the key's word.
        is_known = Signal()
        kept = Mux(is_shifted, Mux(is_beyond, 0, stay), row.summary)
        m.d.comb += [
            is_known.eq(is_used & ~is_shifted),
            self.o_word.eq(Mux(is_known, word & ~Mux(is_cleared, tick_hot, 0), 0)
                           | Mux(is_set, tick_hot, 0)),
            self.o_row.levels.eq(levels),
            self.o_row.summary.eq((kept | Mux(is_set, word_hot[DECISION_AGE], 0))
                                  & ~Mux(is_last, word_hot[DECISION_AGE], 0))]

        # What follows from the decision, one late bit for each choice between two values.
        is_moved, is_none, is_grid_none = Signal(), Signal(), Signal()
        is_low_left, is_low_bounded, is_high_bounded, is_grid_bounded = (Signal() for _ in range(4))
        m.d.comb += [
            is_moved.eq(is_shifted | is_uncovered | is_lowered),
            is_none.eq(is_opened | is_forgotten),
            is_high_bounded.eq(is_bounded | is_inserted & is_higher | is_lowered),
            is_low_bounded.eq(is_bounded | is_inserted & (is_lower | no_low)),
            is_low_left.eq(leaves_levels & (no_low | is_swept)),
            is_grid_bounded.eq(~given.on_grid & (is_bounded | is_inserted & ~is_off_grid)),
            is_grid_none.eq(is_opened | is_bounded & given.on_grid | is_lowered & is_off_grid),
            self.o_row.floor.eq(Mux(is_first, first, Mux(is_moved, target, row.floor))),
            self.o_row.unseen_high.eq(Mux(leaves_levels, left, Mux(is_high_bounded, unseen, Mux(
                is_none, empty, row.unseen_high)))),
            self.o_row.unseen_low.eq(Mux(is_low_left, row.floor, Mux(is_low_bounded, given.key, Mux(
                is_none, empty, row.unseen_low)))),
            self.o_row.off_grid_high.eq(Mux(is_grid_bounded, given.key, Mux(
                is_grid_none, empty, row.off_grid_high)))]

        return m
