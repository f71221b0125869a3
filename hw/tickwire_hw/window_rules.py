"""What an operation makes of a side's price window (kernels ``window`` and ``book``).

That is ``insert``, ``clear_bit``, ``uncover`` and ``lower_floor``, for a side's row and one word.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import WAYS, WINDOW_WORD, Geometry
from tickwire_hw.logic import equal_pieces, stages
from tickwire_hw.sweep import KEY

DECISION_AGE = 4
"""Cycles from an operation to its decision."""
EMPTY = -(1 << KEY - 1)
"""No tick; below every real key, as in the kernels."""
TICK_BITS = ceil_log2(WINDOW_WORD)
_ROW_AGE = DECISION_AGE - 1
_PIECE = 8                                  # bits whose disjunction fits beside the loop's start


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

        # Ages 0 to 3: what follows from the key. Floors: of a window that is laid around the key,
        # or begins above a level that can have no bit; of one that moves up to the key.
        word_0 = self.i.key.shift_right(TICK_BITS)
        is_under = stages(m, self.i.key < self.i.least_floor, DECISION_AGE, "is_under")
        is_lowest_2 = stages(m, self.i.key == EMPTY, 2, "is_lowest")[2]
        moved = stages(m, (word_0 - 3 * quarter) << TICK_BITS, DECISION_AGE, "moved")
        laid_2 = stages(m, Mux(moved[1] > given_1.least_floor, moved[1], given_1.least_floor), 1,
                        "laid")[1]
        first = stages(m, Mux(is_under[2] & ~is_lowest_2, given_2.key + 1, laid_2), 2, "first")[2]
        before = stages(m, given_3.key - 1, 1, "before")[1]
        above_3, beyond_3, beneath_3 = (
            stages(m, word_0 + distance * quarter, _ROW_AGE, name)[-1]
            for name, distance in (("above", -4), ("beyond", -7), ("beneath", 2)))
        word_hot = stages(m, hot(word_0[:place_bits], words), DECISION_AGE, "word_hot")
        tick_hot_3, tick_hot = stages(m, hot(given_2.key[:TICK_BITS], WINDOW_WORD), 2,
                                      "tick_hot")[1:]

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
            chosen.eq(self.row.summary & Mux(start_3 < floor_place, from_start_3 & to_floor,
                                             from_start_3 | to_floor))]

        # Age 3: row and word are compared with the key.
        def compared(name: str, value: Value) -> Value:
            return stages(m, value, 1, name)[1]
        row, key = self.row, given_3.key
        rest = self.word & ~tick_hot_3
        is_empty = compared("is_empty", row.levels == 0)
        is_only = compared("is_only", row.levels == 1)
        is_above = compared("is_above", floor_word <= above_3)
        is_beyond = compared("is_beyond", floor_word <= beyond_3)
        is_beneath = compared("is_beneath", floor_word >= beneath_3)
        is_below = compared("is_below", key < row.floor)
        is_higher = compared("is_higher", key > row.unseen_high)
        is_lower = compared("is_lower", key < row.unseen_low)
        is_swept = compared("is_swept", row.floor <= row.unseen_low)
        is_off_grid = compared("is_off_grid", key <= row.off_grid_high)
        all_seen = compared("all_seen", equal_pieces(row.unseen_high, C(EMPTY, signed(KEY)))).all()
        no_low = compared("no_low", equal_pieces(row.unseen_low, C(EMPTY, signed(KEY)))).all()
        same_floor = compared("same_floor", equal_pieces(row.floor, self.due.floor)).all()
        same_key = compared("same_key", equal_pieces(key, row.unseen_high)).all()
        is_used = compared("is_used", (row.summary & word_hot[3]).any())
        has_other = compared("has_other", (row.summary & ~word_hot[3]).any())
        has_rest = compared("has_rest", Cat(rest[at:at + _PIECE].any()
                                            for at in range(0, WINDOW_WORD, _PIECE))).any()
        more, fewer = compared("more", row.levels + 1), compared("fewer", row.levels - 1)
        uncovered = compared("uncovered", row.unseen_high + 1)
        is_due, stay = compared("is_due", self.due.is_asked), compared("stay", chosen)
        row, word = compared("row", self.row), compared("word", self.word)

        # Age 4: the decision.
        is_new, is_lost, is_step = (compared(f"is_{kind.name.lower()}", given_3.kind == kind)
                                    for kind in (WindowOperation.NEW, WindowOperation.LOST,
                                                 WindowOperation.STEP))
        is_first, is_shifted, is_covered, is_inserted, leaves_levels = (Signal() for _ in range(5))
        is_cleared, is_last, is_hiding, is_set = (Signal() for _ in range(4))
        is_answered, is_lowered, is_forgotten = (Signal() for _ in range(3))
        m.d.comb += [
            is_first.eq(is_new & is_empty),
            is_shifted.eq(is_new & ~is_empty & is_above & given.on_grid),
            leaves_levels.eq((row.summary != stay) | is_beyond),
            is_covered.eq(~Mux(is_empty, is_under[4], is_below)),
            is_inserted.eq(is_new & ~is_empty & is_below),
            is_cleared.eq(is_lost & given.on_grid & ~is_below),
            is_last.eq(is_cleared & ~has_rest),
            is_hiding.eq(is_last & ~has_other & ~is_only),
            is_answered.eq(is_step & is_due),
            is_forgotten.eq(is_answered & same_floor & ~is_empty & ~all_seen & is_swept),
            is_lowered.eq(is_answered & same_floor & ~is_empty & ~all_seen & ~is_swept & same_key
                          & ~is_under[4] & ~stay.any() & ~(is_beneath & row.summary.any())),
            is_set.eq(is_new & given.on_grid & is_covered | is_lowered & given.is_found),
            self.o.is_wanted.eq(is_new | is_lost),
            self.o.is_moved.eq(is_answered & (~same_floor | ~is_empty & ~all_seen & ~is_swept
                                              & ~same_key)),
            self.o.is_done.eq(is_answered & ~self.o.is_moved & ~is_lowered),
            self.o.is_desync.eq(is_new & ~given.on_grid & is_covered | is_lowered & is_off_grid),
            self.o.off_grid.eq(is_new & ~given.on_grid),
            self.o.hidden.eq(is_hiding | is_first & ~is_set),
            self.o.window_shifts.eq(is_shifted)]

        # A window that moves up to the key has never had the key's word.
        known = Mux(is_used & ~is_shifted, word, 0)
        m.d.comb += self.o_word.eq(word)
        with m.If(is_set):
            m.d.comb += self.o_word.eq(known | tick_hot)
        with m.Elif(is_cleared):
            m.d.comb += self.o_word.eq(known & ~tick_hot)

        m.d.comb += self.o_row.eq(row)
        with m.If(is_new):
            m.d.comb += self.o_row.levels.eq(more)
        with m.Elif(is_lost):
            m.d.comb += self.o_row.levels.eq(fewer)

        kept = Mux(is_first | is_shifted & is_beyond, 0, Mux(is_shifted, stay, row.summary))
        m.d.comb += self.o_row.summary.eq(
            (kept | Mux(is_set, word_hot[4], 0)) & ~Mux(is_last, word_hot[4], 0))

        with m.If(is_first):
            seen = is_covered
            m.d.comb += [
                self.o_row.floor.eq(first), self.o_row.unseen_high.eq(Mux(seen, EMPTY, given.key)),
                self.o_row.unseen_low.eq(Mux(seen, EMPTY, given.key)),
                self.o_row.off_grid_high.eq(Mux(seen | given.on_grid, EMPTY, given.key))]
        with m.Elif(is_shifted):
            m.d.comb += self.o_row.floor.eq(moved[4])
            with m.If(leaves_levels & row.summary.any()):
                m.d.comb += self.o_row.unseen_high.eq(moved[4] - 1)
                with m.If(no_low | is_swept):
                    m.d.comb += self.o_row.unseen_low.eq(row.floor)
        with m.Elif(is_inserted):
            with m.If(is_higher):
                m.d.comb += self.o_row.unseen_high.eq(given.key)
            with m.If(is_lower | no_low):
                m.d.comb += self.o_row.unseen_low.eq(given.key)
            with m.If(~given.on_grid & ~is_off_grid):
                m.d.comb += self.o_row.off_grid_high.eq(given.key)
        with m.Elif(is_hiding & ~all_seen):
            m.d.comb += self.o_row.floor.eq(uncovered)
        with m.Elif(is_lowered):
            m.d.comb += [self.o_row.floor.eq(given.key), self.o_row.unseen_high.eq(before)]
            with m.If(is_off_grid):
                m.d.comb += self.o_row.off_grid_high.eq(EMPTY)
        with m.Elif(is_forgotten):
            m.d.comb += [self.o_row.unseen_high.eq(EMPTY), self.o_row.unseen_low.eq(EMPTY)]

        return m
