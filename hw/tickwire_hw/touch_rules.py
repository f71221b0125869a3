"""What a message makes of the best levels of a side (kernel ``touch``: ``apply``, ``append``)."""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.level_table import LEVEL
from tickwire_hw.logic import select, stages
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

    ``APPEND``: ``adds`` says whether there is a level, ``reach`` is the floor.
    """
    return data.StructLayout({
        "kind": TouchKind, "instrument": max(1, ceil_log2(geometry.instruments)), "side": 1,
        "takes": 1, "take_key": PRICE, "taken": SHARES, "is_gone": 1,
        "adds": 1, "key": PRICE, "value": LEVEL, "on_grid": 1, "is_unsure": 1, "is_low": 1,
        "reach": PRICE, "is_all": 1})


def best_of(row: data.View, side: Value) -> dict[str, Value]:
    """Return the fields of a row's best level, as ``BEST`` has them."""
    first, has_best = row.entries[0], row.used[0]
    key = first.key ^ Value.cast(side).replicate(PRICE)
    return {"is_known": has_best | ~row.more, "has_best": has_best,
            "price": Mux(has_best, key, 0), "value": Mux(has_best, first.value.as_value(), 0)}


class TouchRules(wiring.Component):
    """Decide an operation: the row as it leaves it. Two cycles, of which the second decides.

    Takes an operation each cycle; who keeps the rows sees to it that two of one side are two
    cycles apart. Never exerts backpressure.

    Members
    -------
    i, row : ``In``
        An operation and the row of its side.
    is_accepted, is_doubtful : ``In(1)``
        One cycle later: whether the book takes the order that a ``MESSAGE`` adds, and if so,
        whether that is not sure.
    o_before, o_operation : ``Out``
        One cycle later: both.
    o_row : ``Out(ROW)``
        In that cycle: the row as the operation leaves it.
    is_shaken : ``Out(1)``
        In that cycle: as the kernel's ``apply`` returns it.
    """

    def __init__(self, geometry: Geometry) -> None:
        operation: ShapeLike = operation_layout(geometry)
        super().__init__({
            "i": In(operation), "row": In(ROW), "is_accepted": In(1), "is_doubtful": In(1),
            "o_before": Out(ROW), "o_operation": Out(operation), "o_row": Out(ROW),
            "is_shaken": Out(1)})

    def elaborate(self, platform):
        """Return the comparisons and, a cycle later, the decision."""
        m = Module()

        given, row = stages(m, self.i, 1, "given")[1], stages(m, self.row, 1, "row")[1]
        m.d.comb += [self.o_before.eq(row), self.o_operation.eq(given)]
        is_same_key = stages(m, self.i.key == self.i.take_key, 1, "is_same_key")[1]
        both = stages(m, self.i.value.shares - self.i.taken, 1, "both")[1]
        is_over = stages(m, self.i.key >= self.row.floor, 1, "is_over")[1]
        is_up = stages(m, self.i.reach > self.row.floor, 1, "is_up")[1]

        def compared(name: str, test) -> Signal:
            return stages(m, Cat(test(entry) for entry in self.row.entries), 1, name)[1] & row.used
        better = compared("better", lambda entry: entry.key > self.i.key)
        hit = compared("hit", lambda entry: entry.key == self.i.key)
        hit_take = compared("hit_take", lambda entry: entry.key == self.i.take_key)
        kept = compared("kept", lambda entry: entry.key >= self.i.reach)
        single = compared("single", lambda entry: entry.value.orders == 1)

        is_message, is_append = (given.kind == kind for kind in (TouchKind.MESSAGE,
                                                                 TouchKind.APPEND))
        takes, accepts, adds, dies = (Signal() for _ in range(4))
        m.d.comb += [
            takes.eq(is_message & given.takes), accepts.eq(is_message & given.adds
                                                           & self.is_accepted),
            adds.eq(accepts | is_append & given.adds),
            dies.eq(takes & given.is_gone & (hit_take & single).any())]

        # After the removal: entries from the lost one on come from the one behind.
        is_struck, moves = Signal(), Signal(LEVELS)
        m.d.comb += [is_struck.eq(dies & ~(accepts & is_same_key)),
                     moves.eq(Cat(is_struck & hit_take[:place + 1].any()
                                  for place in range(LEVELS)))]

        def removed(bits: Value) -> Value:
            return Cat(Mux(moves[place], bits[place + 1] if place + 1 < LEVELS else 0, bits[place])
                       for place in range(LEVELS))
        used, ahead, stays = Signal(LEVELS), Signal(LEVELS), Signal(LEVELS)
        m.d.comb += [used.eq(removed(row.used)), ahead.eq(removed(better)),
                     stays.eq(removed(kept))]

        # The addition.
        is_listed, is_first, is_blind, is_last, can, inserts = (Signal() for _ in range(6))
        cuts, misses, rises = Signal(), Signal(), Signal()
        m.d.comb += [
            is_listed.eq(hit.any()), is_first.eq(~used[0] & ~row.more),
            is_blind.eq(~used[0] & row.more), is_last.eq(ahead == used),
            cuts.eq(accepts & ~is_listed & ~is_blind & given.is_unsure),
            can.eq(given.on_grid & ~given.is_unsure & ~given.is_low & ~is_blind
                   & (is_first | ~is_last | ~row.more & is_over)),
            inserts.eq(is_append & given.adds | accepts & ~is_listed & can),
            misses.eq(accepts & ~is_listed & ~can),
            rises.eq(accepts & (is_listed | can) & ~ahead[0])]

        # Entry by entry: from before, from behind, the same, or new; then the values.
        values, overflows = [], Signal(LEVELS)
        for place, entry in enumerate(row.entries):
            value = Signal(LEVEL, name=f"value_{place}")
            total = Signal(signed(len(value.shares) + 2), name=f"total_{place}")
            more, less = accepts & hit[place], takes & hit_take[place]
            gone = less & given.is_gone
            m.d.comb += [
                total.eq(entry.value.shares + select(
                    (more & ~less, given.value.shares), (less & more, both),
                    (less & ~more, -given.taken))),
                overflows[place].eq(more & total[len(value.shares)]), value.shares.eq(total),
                value.orders.eq(entry.value.orders + (more & ~gone) - (gone & ~more))]
            values.append(Cat(entry.key, value))
        after = [select((moves[place], values[place + 1] if place + 1 < LEVELS else 0),
                        (~moves[place], values[place])) for place in range(LEVELS)]
        found = []
        for place in range(LEVELS):
            signal = Signal(ENTRY, name=f"after_{place}")
            m.d.comb += signal.eq(after[place])
            found.append(signal)
        placed, shown = Signal(LEVELS), Signal(LEVELS)
        for place, entry in enumerate(self.o_row.entries):
            is_behind = inserts & ~ahead[place]
            is_new = is_behind & ahead[place - 1] if place else is_behind
            is_moved = is_behind & ~ahead[place - 1] if place else 0
            m.d.comb += [
                entry.eq(select((is_new, Cat(given.key, given.value)),
                                (is_moved, found[place - 1] if place else 0),
                                (~is_behind, found[place]))),
                placed[place].eq(Mux(inserts, used[place - 1] if place else 1, used[place])),
                shown[place].eq(~rises | is_new | Mux(is_moved, stays[place - 1] if place else 0,
                                                      stays[place]))]

        is_forgotten = Signal()
        m.d.comb += [
            is_forgotten.eq(accepts & (self.is_doubtful | overflows.any())),
            self.o_row.used.eq(Mux(cuts, ahead, placed & shown)),
            self.o_row.more.eq(row.more | misses | cuts | inserts & used[-1]
                               | (placed & ~shown).any()),
            self.o_row.floor.eq(Mux(rises & (is_first | is_up), given.reach, row.floor)),
            self.is_shaken.eq(takes & (~hit_take.any() | dies) | accepts & ~is_listed
                              | is_forgotten)]
        with m.If(is_append):
            m.d.comb += [self.o_row.more.eq(~given.is_all), self.o_row.floor.eq(given.reach)]
        with m.If(is_forgotten):
            m.d.comb += [self.o_row.used.eq(0), self.o_row.more.eq(1)]

        return m
