"""What a message makes of the best levels of a side (kernel ``touch``: ``apply``, ``append``)."""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.level_table import LEVEL
from tickwire_hw.logic import is_less, select, stages
from tickwire_hw.order_table import PRICE, SHARES

LEVELS = 8
"""Levels that are kept of a side."""
ENTRY = data.StructLayout({"key": PRICE, "value": LEVEL})
ROW = data.StructLayout({"entries": data.ArrayLayout(ENTRY, LEVELS), "used": LEVELS, "more": 1,
                         "floor": PRICE})
"""A side; entries are used from the first one on without a hole, others mean nothing."""
BEST = data.StructLayout({"is_known": 1, "has_best": 1, "price": PRICE, "value": LEVEL})
"""Best level of a side; ``price`` and ``value`` are 0 without one."""


class TouchKind(enum.Enum, shape=unsigned(2)):
    """What is done with a side."""

    MESSAGE = 0          # the removal and the addition of a message, one of them, or neither
    SHOW = 1             # nothing
    APPEND = 2           # the next level is listed


def operation_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of an operation; fields as the kernel's, ``value`` is the new order's or level's.

    ``reach`` is not above ``key``. ``APPEND``: ``adds`` says whether there is a level, ``reach``
    is the floor.
    """
    return data.StructLayout({
        "kind": TouchKind, "instrument": max(1, ceil_log2(geometry.instruments)), "side": 1,
        "takes": 1, "take_key": PRICE, "taken": SHARES, "is_gone": 1,
        "adds": 1, "key": PRICE, "value": LEVEL, "on_grid": 1, "is_unsure": 1, "is_low": 1,
        "reach": PRICE, "is_all": 1})


class TouchRules(wiring.Component):
    """Decide an operation: the row as it leaves it. The second of three cycles decides.

    Takes an operation each cycle; who keeps the rows sees to it that two of one side are two
    cycles apart. Never exerts backpressure.

    Members
    -------
    i, row : ``In``
        An operation, and the row of its side as it was before the operation of two cycles ago.
    is_again : ``In(1)``
        That was on the same row: ``o_row`` is the row.
    is_accepted, is_doubtful : ``In(1)``
        One cycle later: whether the book takes the order that a ``MESSAGE`` adds, and if so,
        whether that is not sure. No other operation is accepted.
    o_before, o_operation : ``Out``
        One cycle later: both.
    o_best : ``Out(BEST)``
        In that cycle: the best level as the operation leaves it; not of ``SHOW``.
    is_shaken : ``Out(1)``
        In that cycle: as the kernel's ``apply`` returns it.
    o_row : ``Out(ROW)``
        Two cycles later than ``i``: the row as the operation leaves it, from registers through
        one multiplexer.
    """

    def __init__(self, geometry: Geometry) -> None:
        operation: ShapeLike = operation_layout(geometry)
        super().__init__({
            "i": In(operation), "row": In(ROW), "is_again": In(1), "is_accepted": In(1),
            "is_doubtful": In(1), "o_before": Out(ROW), "o_operation": Out(operation),
            "o_best": Out(BEST), "is_shaken": Out(1), "o_row": Out(ROW)})

    def elaborate(self, platform):
        """Return the comparisons and, a cycle later, the decision."""
        m = Module()

        given = stages(m, self.i, 1, "given")[1]
        before = data.View(ROW, Mux(self.is_again, self.o_row.as_value(), self.row.as_value()))
        row = stages(m, before, 1, "row")[1]
        m.d.comb += [self.o_before.eq(row), self.o_operation.eq(given)]
        is_message, is_append = (self.i.kind == kind for kind in (TouchKind.MESSAGE,
                                                                  TouchKind.APPEND))
        takes, appends = (stages(m, value, 1, name)[1] for name, value in (
            ("takes", is_message & self.i.takes), ("appends", is_append & self.i.adds)))
        is_append_1, accepts = stages(m, is_append, 1, "is_append")[1], self.is_accepted
        is_same_key = stages(m, self.i.key == self.i.take_key, 1, "is_same_key")[1]
        both = stages(m, self.i.value.shares - self.i.taken, 1, "both")[1]

        def either(name: str, test) -> Signal:
            """Compare both rows that it can be: which one it is, comes late."""
            return stages(m, Mux(self.is_again, test(self.o_row), test(self.row)), 1, name)[1]

        def compared(name: str, test) -> Value:
            return row.used & either(name, lambda row: Cat(test(entry) for entry in row.entries))
        is_over = either("is_over", lambda row: ~is_less(self.i.key, row.floor))
        is_up = either("is_up", lambda row: is_less(row.floor, self.i.reach))
        better = compared("better", lambda entry: is_less(self.i.key, entry.key))
        hit = compared("hit", lambda entry: entry.key == self.i.key)
        hit_take = compared("hit_take", lambda entry: entry.key == self.i.take_key)
        kept = compared("kept", lambda entry: ~is_less(entry.key, self.i.reach))
        single = compared("single", lambda entry: entry.value.orders == 1)
        fits = stages(m, self.i.on_grid & ~self.i.is_unsure & ~self.i.is_low, 1, "fits")[1]
        is_full = compared("full", lambda entry: (entry.key == self.i.key)
                           & entry.value.shares[SHARES:].all()).any()

        # The removal: the struck entry and those behind it come from the one behind.
        dies, struck, moves = Signal(), Signal(LEVELS), Signal(LEVELS)
        m.d.comb += [
            dies.eq(takes & given.is_gone & (hit_take & single).any()),
            struck.eq(Mux(takes & given.is_gone & ~(accepts & is_same_key), hit_take & single, 0)),
            moves.eq(Cat(struck[:place + 1].any() for place in range(LEVELS)))]

        def removed(bits: Value) -> Value:
            return Cat(Mux(moves[place], bits[place + 1] if place + 1 < LEVELS else 0, bits[place])
                       for place in range(LEVELS))
        used, ahead, stays = Signal(LEVELS), Signal(LEVELS), Signal(LEVELS)
        m.d.comb += [used.eq(removed(row.used)), ahead.eq(removed(better)),
                     stays.eq(removed(kept))]

        # The addition, by what stays in its place: nothing waits for a shift.
        left, is_listed, is_first, is_blind, is_last = (
            Signal(LEVELS), Signal(), Signal(), Signal(), Signal())
        can, inserts, cuts, misses, rises = (Signal() for _ in range(5))
        m.d.comb += [
            left.eq(row.used & ~struck), is_listed.eq(hit.any()),
            is_first.eq(~left.any() & ~row.more), is_blind.eq(~left.any() & row.more),
            is_last.eq(~(left & ~better).any()),
            cuts.eq(accepts & ~is_listed & ~is_blind & given.is_unsure),
            can.eq(fits & ~is_blind & (is_first | ~is_last | ~row.more & is_over)),
            inserts.eq(appends | accepts & ~is_listed & can),
            misses.eq(accepts & ~is_listed & ~can),
            rises.eq(accepts & (is_listed | can) & ~(left & better).any())]

        # Entry by entry, in the cycle after that: new, or one of three with its new value.
        values = [stages(m, self._value(m, entry, place, given, both, accepts & hit[place],
                                        takes & hit_take[place]), 1, f"valued_{place}")
                  for place, entry in enumerate(row.entries)]
        added = stages(m, Cat(given.key, given.value), 1, "added")[1]
        placed, shown, after = Signal(LEVELS), Signal(LEVELS), Signal(ROW)
        for place, entry in enumerate(self.o_row.entries):
            is_behind = inserts & ~ahead[place]
            is_new = is_behind & ahead[place - 1] if place else is_behind
            is_moved = is_behind & ~ahead[place - 1] if place else 0
            falls = is_moved & moves[place - 1] if place else 0      # what moved up, moves back
            chosen = stages(m, Cat(is_new, is_moved & ~falls, falls | ~is_behind & ~moves[place],
                                   ~is_behind & moves[place]), 1, f"chosen_{place}")[1]
            m.d.comb += [
                entry.eq(select(*zip(chosen, (
                    added, values[place - 1][1] if place else 0, values[place][1],
                    values[place + 1][1] if place + 1 < LEVELS else 0), strict=True))),
                placed[place].eq(Mux(inserts, used[place - 1] if place else 1, used[place])),
                shown[place].eq(~rises | is_new | Mux(is_moved, stays[place - 1] if place else 0,
                                                      stays[place]))]

        is_forgotten = Signal()
        m.d.comb += [
            is_forgotten.eq(accepts & (self.is_doubtful | is_full)),
            after.used.eq(Mux(cuts, ahead, placed & shown)),
            after.more.eq(row.more | misses | cuts | inserts & used[-1]
                          | (placed & ~shown).any()),
            after.floor.eq(Mux(rises & (is_first | is_up), given.reach, row.floor)),
            self.is_shaken.eq(takes & (~hit_take.any() | dies) | accepts & ~is_listed
                              | is_forgotten)]
        with m.If(is_append_1):
            m.d.comb += [after.more.eq(~given.is_all), after.floor.eq(given.reach)]
        with m.If(is_forgotten):
            m.d.comb += [after.used.eq(0), after.more.eq(1)]
        for name in ("used", "more", "floor"):
            m.d.comb += self.o_row[name].eq(stages(m, after[name], 1, f"after_{name}")[1])

        is_dark = Mux(is_append_1, ~given.is_all, row.more | accepts)
        self._best(m, given, row, [value[0] for value in values], struck[0], better | hit, appends,
                   fits, is_dark, is_forgotten)
        return m

    def _best(self, m: Module, given, row, values: list, moves, over, appends, fits, is_dark,
              is_forgotten) -> None:
        """Tell the best level at once: new, or one of the first two, as these alone show it.

        A new key is the best when the first that stays is not better; no other can be equal then.
        """
        accepts = self.is_accepted
        is_new, stays = Signal(2), Signal(2)        # if this one is the first that stays
        for place in range(2):
            is_used, adds = row.used[place], accepts & ~over[place]
            m.d.comb += [
                is_new[place].eq(appends & ~is_used | adds & fits & (is_used | ~row.more)),
                stays[place].eq(is_used & ~is_new[place] & ~(adds & given.is_unsure))]
        level, best, chosen = Signal(ENTRY), self.o_best, Signal(3)
        m.d.comb += [
            chosen.eq(Mux(is_forgotten, 0, Cat(Mux(moves, is_new[1], is_new[0]),
                                               ~moves & stays[0], moves & stays[1]))),
            level.eq(select(*zip(chosen, (
                Cat(entry[:PRICE] ^ given.side.replicate(PRICE), entry[PRICE:])
                for entry in (Cat(given.key, given.value), *values[:2])), strict=True))),
            best.has_best.eq(chosen.any()),
            best.is_known.eq(best.has_best | ~is_dark & ~is_forgotten),
            best.price.eq(level.key), best.value.eq(level.value)]

    @staticmethod
    def _value(m: Module, entry, place: int, given, both, more, less) -> Value:
        """Return an entry with what the message makes of its value."""
        value, gone = Signal(LEVEL, name=f"value_{place}"), less & given.is_gone
        m.d.comb += [
            value.shares.eq(entry.value.shares + select(
                (more & ~less, given.value.shares), (less & more, both),
                (less & ~more, -given.taken))),
            value.orders.eq(entry.value.orders + (more & ~gone) - (gone & ~more))]
        return Cat(entry.key, value)
