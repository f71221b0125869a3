"""What a message makes of the best levels of a side (kernel ``touch``: ``apply``, ``append``)."""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.level_table import LEVEL, is_full
from tickwire_hw.logic import is_less, select, stages
from tickwire_hw.order_table import PRICE, SHARES

ENTRY = data.StructLayout({"key": PRICE, "value": LEVEL})
BEST = data.StructLayout({"is_known": 1, "has_best": 1, "price": PRICE, "value": LEVEL})
"""Best level of a side; ``price`` and ``value`` mean nothing without one."""


class TouchKind(enum.Enum, shape=unsigned(2)):
    """What is done with a side."""

    MESSAGE = 0          # the removal and the addition of a message, one of them, or neither
    SHOW = 1             # nothing
    APPEND = 2           # the next level is listed


def list_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of a side; entries are used from the first one on without a hole, others mean nothing.
    """
    return data.StructLayout({
        "entries": data.ArrayLayout(ENTRY, geometry.cached), "used": geometry.cached, "more": 1,
        "floor": PRICE})


def operation_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of an operation; fields as the kernel's, ``value`` is the new order's or level's.

    ``reach`` is not above ``key``. ``gain``, where an order leaves and one joins: new shares less
    those that leave. ``APPEND``: ``adds`` says whether there is a level, ``reach`` is the floor.
    """
    return data.StructLayout({
        "kind": TouchKind, "instrument": max(1, ceil_log2(geometry.instruments)), "side": 1,
        "takes": 1, "take_key": PRICE, "taken": SHARES, "is_gone": 1,
        "gain": signed(SHARES + 1),
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
    o_row : ``Out(list_layout(geometry))``
        Two cycles later than ``i``: the row as the operation leaves it, from registers through
        one multiplexer.
    """

    def __init__(self, geometry: Geometry) -> None:
        operation: ShapeLike = operation_layout(geometry)
        self._row, self._levels = list_layout(geometry), geometry.cached
        super().__init__({
            "i": In(operation), "row": In(self._row), "is_again": In(1), "is_accepted": In(1),
            "is_doubtful": In(1), "o_before": Out(self._row), "o_operation": Out(operation),
            "o_best": Out(BEST), "is_shaken": Out(1), "o_row": Out(self._row)})

    def elaborate(self, platform):
        """Return the comparisons and, a cycle later, the decision."""
        m = Module()

        levels = self._levels
        given, before = stages(m, self.i, 1, "given")[1], Signal(self._row)
        m.d.comb += before.eq(Mux(self.is_again, self.o_row.as_value(), self.row.as_value()))
        row = stages(m, before, 1, "row")[1]
        m.d.comb += [self.o_before.eq(row), self.o_operation.eq(given)]
        is_message, is_append = (self.i.kind == kind for kind in (TouchKind.MESSAGE,
                                                                  TouchKind.APPEND))
        takes, ends, appends, is_append_1, fits, is_same_key, is_over, is_up = (
            stages(m, value, 1, name)[1] for name, value in (
                ("takes", is_message & self.i.takes),
                ("ends", is_message & self.i.takes & self.i.is_gone),
                ("appends", is_append & self.i.adds), ("is_append", is_append),
                ("fits", self.i.on_grid & ~self.i.is_unsure & ~self.i.is_low),
                ("is_same_key", self.i.key == self.i.take_key),
                ("is_over", ~is_less(self.i.key, before.floor)),
                ("is_up", is_less(before.floor, self.i.reach))))
        accepts = self.is_accepted

        def compared(name: str, test) -> Signal:
            return stages(m, before.used & Cat(test(entry) for entry in before.entries), 1, name)[1]
        better = compared("better", lambda entry: is_less(self.i.key, entry.key))
        hit = compared("hit", lambda entry: entry.key == self.i.key)
        hit_take = compared("hit_take", lambda entry: entry.key == self.i.take_key)
        lone = compared("lone", lambda entry: (entry.key == self.i.take_key)
                        & (entry.value.orders == 1))
        kept = compared("kept", lambda entry: ~is_less(entry.key, self.i.reach))
        full = compared("full", lambda entry: (entry.key == self.i.key)
                        & is_full(entry.value))

        # The removal: the struck entry and those behind it come from the one behind. Each of these
        # sets is entries from the first one on, so it loses its last one, if the struck is in it.
        strikes, moves = Signal(), Signal(levels)
        m.d.comb += [
            strikes.eq(ends & ~(accepts & is_same_key)),
            moves.eq(Cat(strikes & lone[:place + 1].any() for place in range(levels)))]

        def removed(bits: Value, name: str) -> Signal:
            left, loses = Signal(levels, name=name), Signal(name=f"{name}_loses")
            m.d.comb += [loses.eq(strikes & (lone & bits).any()),
                         left.eq(bits & ~(bits & ~(bits >> 1) & loses.replicate(levels)))]
            return left
        used, ahead, stays = (removed(bits, name) for bits, name in (
            (row.used, "used"), (better, "ahead"), (kept, "stays")))
        behind = row.used & ~better             # so are these, but for where they begin
        is_behind = ((behind & behind >> 1).any()
                     | behind.any() & ~(strikes & (lone & behind).any()))

        # The addition. `inserts` is the last to be known, so both cases of it are worked out.
        is_listed, has_left, has_better, can = Signal(), Signal(), Signal(), Signal()
        inserts, misses, rises, leaves, is_forgotten = (Signal() for _ in range(5))
        m.d.comb += [
            is_listed.eq(hit.any()), has_left.eq(row.used[1] | row.used[0] & ~moves[0]),
            has_better.eq(better[1] | better[0] & ~moves[0]),
            can.eq(Mux(has_left, fits & (is_behind | ~row.more & is_over), fits & ~row.more)),
            inserts.eq(appends | accepts & ~is_listed & can),
            misses.eq(accepts & ~is_listed & ~can),
            rises.eq(accepts & ~has_better & (is_listed | can)),
            leaves.eq(accepts & ~has_better & (used & ~stays).any()),
            is_forgotten.eq(accepts & (self.is_doubtful | full.any()))]

        # Entry by entry, in the cycle after that: new, or one of three with its new value.
        values = [stages(m, self._value(entry, given, accepts & hit[place],
                                        takes & hit_take[place]), 1, f"valued_{place}")[1]
                  for place, entry in enumerate(row.entries)]
        added = stages(m, Cat(given.key, given.value), 1, "added")[1]
        cuts = accepts & ~is_listed & given.is_unsure
        listed, after = Signal(levels), Signal(self._row)
        for place, entry in enumerate(self.o_row.entries):
            passed, moved, shown = (Cat(1, ahead)[place], Cat(0, moves)[place],
                                    Cat(1, used & (stays | (~accepts | has_better).replicate(
                                        levels)))[place])
            chosen = stages(m, Mux(
                inserts, Cat(~ahead[place] & passed, ~passed & ~moved,
                             Mux(ahead[place], ~moves[place], ~passed & moved),
                             ahead[place] & moves[place]),
                Cat(0, 0, ~moves[place], moves[place])), 1, f"chosen_{place}")[1]
            m.d.comb += [
                entry.eq(select(*zip(chosen, (
                    added, values[place - 1] if place else 0, values[place],
                    values[place + 1] if place + 1 < levels else 0), strict=True))),
                listed[place].eq(Mux(inserts, shown, used[place] & Mux(cuts, ahead[place], ~(
                    accepts & is_listed & ~has_better) | stays[place])))]
        m.d.comb += [
            after.used.eq(Mux(is_forgotten, 0, listed)),
            after.more.eq(Mux(is_append_1, ~given.is_all, row.more | is_forgotten | misses
                              | inserts & (used[-1] | leaves) | is_listed & leaves)),
            after.floor.eq(Mux(is_append_1 | rises & (~has_left & ~row.more | is_up), given.reach,
                               row.floor)),
            self.is_shaken.eq(takes & ~hit_take.any() | ends & lone.any() | accepts & ~is_listed
                              | is_forgotten)]
        for name in ("used", "more", "floor"):
            m.d.comb += self.o_row[name].eq(stages(m, after[name], 1, f"after_{name}")[1])

        is_dark = Mux(is_append_1, ~given.is_all, row.more | accepts)
        self._best(m, given, row, hit, takes & hit_take[0], moves[0], better | hit, appends, fits,
                   is_dark, is_forgotten)
        return m

    def _best(self, m: Module, given, row, hit, less, moves, over, appends, fits, is_dark,
              is_forgotten) -> None:
        """Tell the best level at once: new, or one of the first two, as these alone show it.

        A new key is the best when the first that stays is not better; no other can be equal then.
        What the first two can have is worked out before it is known which of it they have.
        """
        accepts, best, (first, second) = self.is_accepted, self.o_best, row.entries[:2]
        is_new, stays = Signal(2), Signal(2)        # if this one is the first that stays
        for place in range(2):
            is_used, adds = row.used[place], accepts & ~over[place]
            m.d.comb += [
                is_new[place].eq(appends & ~is_used | adds & fits & (is_used | ~row.more)),
                stays[place].eq(is_used & ~(adds & (fits | given.is_unsure)))]
        chosen, joins = Signal(3), Cat(accepts & hit[0], accepts & hit[1])
        m.d.comb += [
            chosen.eq(Cat(Mux(moves, is_new[1], is_new[0]), ~moves & stays[0], moves & stays[1])),
            best.has_best.eq(chosen.any() & ~is_forgotten),
            best.is_known.eq((chosen.any() | ~is_dark) & ~is_forgotten),
            best.price.eq(select(*zip(chosen, (
                key ^ given.side.replicate(PRICE) for key in (given.key, first.key, second.key)),
                strict=True)))]
        new = given.value
        old, last, left, more, both, beside = (Signal(LEVEL) for _ in range(6))
        m.d.comb += [
            old.eq(first.value), last.eq(second.value),
            left.shares.eq(old.shares - given.taken), left.orders.eq(old.orders - given.is_gone),
            more.shares.eq(old.shares + new.shares), more.orders.eq(old.orders + 1),
            both.shares.eq(old.shares + given.gain), both.orders.eq(old.orders + ~given.is_gone),
            beside.shares.eq(last.shares + new.shares), beside.orders.eq(last.orders + 1),
            best.value.eq(select(
                (chosen[0], new.as_value()), (chosen[1] & ~joins[0] & ~less, old.as_value()),
                (chosen[1] & ~joins[0] & less, left.as_value()),
                (chosen[1] & joins[0] & ~less, more.as_value()),
                (chosen[1] & joins[0] & less, both.as_value()),
                (chosen[2] & ~joins[1], last.as_value()),
                (chosen[2] & joins[1], beside.as_value())))]

    @staticmethod
    def _value(entry, given, more, less) -> Value:
        """Return an entry with what the message makes of its value."""
        gone, value = less & given.is_gone, entry.value
        shares = value.shares + select(
            (more & ~less, given.value.shares), (less & more, given.gain),
            (less & ~more, -given.taken))
        orders = value.orders + (more & ~gone) - (gone & ~more)
        return Cat(entry.key, shares[:len(value.shares)], orders[:len(value.orders)])
