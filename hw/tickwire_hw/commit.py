"""Order operations, applied to the order table and the level table at once (kernel ``book``).

An operation changes both tables or neither, and what either refuses leaves no trace in the other.
So both are updated in the same cycle and answered in the same cycle. The level of an order that is
to be reduced is known from the order alone, therefore the order is looked up first; what the few
operations between will make of it by then is foreseen.
"""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.hashed_table import RECORD_AGE, HashedTable
from tickwire_hw.level_table import HASH_AGE, LEVEL, LevelHash, is_full, level_key
from tickwire_hw.logic import equal_pieces, is_less, lowest, select, stages
from tickwire_hw.order_table import REFERENCE, SHARES, left_bucket, order_layout, right_bucket

FORESEEN_AGE = RECORD_AGE + 1
"""Cycles from an operation to the level that it names."""
UPDATE_AGE = FORESEEN_AGE + 1 + HASH_AGE
"""Cycles from an operation to the update of both tables."""
ANSWER_AGE = UPDATE_AGE + RECORD_AGE
RESULT_AGE = ANSWER_AGE + 1
"""Cycles from an operation to its result."""
LOOK_UP_AGE = HASH_AGE + RECORD_AGE
"""Cycles from a look-up to its level."""
# Updates of operations that came this many before are in memory when an order is looked up.
_AHEAD = UPDATE_AGE // 2 + 1
assert UPDATE_AGE % 2, "look-ups and updates share a port, on a grid of two cycles"


class BookOperation(enum.Enum, shape=unsigned(3)):
    """What is done; the letters are the messages."""

    NONE = 0             # nothing to the tables
    ADD = 1              # A, F
    REPLACE = 2          # second half of U: adds on the side of the order that left
    TAKE = 3             # E, C, X
    REMOVE = 4           # D, first half of U
    STEP = 5             # a sweep's step: looks a level up


class LevelChange(enum.Enum, shape=unsigned(2)):
    """What an operation did to its level."""

    NONE = 0
    CHANGED = 1
    NEW = 2
    LOST = 3


def operation_layout(geometry: Geometry, context: ShapeLike) -> data.StructLayout:
    """Layout of an operation; ``price`` as the message has it, valid or not."""
    return data.StructLayout({
        "operation": BookOperation, "reference": REFERENCE, "shares": SHARES, "price": 32,
        "side": 1, "instrument": max(1, ceil_log2(geometry.instruments)), "context": context})


def result_layout(geometry: Geometry, context: ShapeLike) -> data.StructLayout:
    """Layout of a result, see :class:`Commit`."""
    flags = ("found", "gone", "placed", "unknown", "over", "zero", "bad_price", "duplicate",
             "level_overflow", "order_overflow", "level_found")
    return data.StructLayout({
        "operation": BookOperation, "order": order_layout(geometry), "taken": SHARES,
        "change": LevelChange, "before": LEVEL, "level": LEVEL,
        **{f"is_{flag}": 1 for flag in flags}, "context": context})


class Commit(wiring.Component):
    """Add, reduce and remove orders together with their levels, in order and exactly.

    Operations come on a grid: a multiple of two cycles apart. Never exerts backpressure. The
    result follows 14 cycles later: 0 the order is looked up; 4 record; 5 what it will be after
    the five operations before, and so its level; 6 to 8 hashes of the level; 9 update of both
    tables; 13 records of both, and one answer for both; 14 the result is shown and written. Ready
    ``2**max(orders_log2, levels_log2)`` cycles after reset.

    What is foreseen differs from what happens only when, within six operations, a reference is
    refused for want of room, added again at another price with success, and then reduced. The
    reduction is then reported as unknown: its book is already marked for the refusal.

    Members
    -------
    ready : ``Out(1)``
        Whether the tables are clear; what comes before is lost.
    i : ``In(stream.Signature(operation_layout, always_ready=True))``
        ``context`` is carried along. A ``REPLACE`` follows its ``REMOVE`` directly.
    o_level : ``Out({key, is_first})``
        Six cycles after each operation: the level that it names, and whether an order is to be
        added there, as far as can be foreseen.
    o : ``Out(stream.Signature(result_layout, always_ready=True))``
        14 cycles after each operation. ``order``: with ``is_found`` as it was before ``taken``
        shares left it, and whether it ``is_gone``; with ``is_placed`` the one that was added.
        ``change`` and the level ``before`` and after. The flags from ``is_unknown`` to
        ``is_order_overflow`` are the kernel's counters of the same name; ``is_level_found``
        answers a ``STEP``, whose level is ``order`` and ``before``.
    changes : ``Out(1)``
        With ``o``, where that is valid: ``change`` is not ``NONE``. From a register.
    order_stash, level_stash : ``Out``
        With ``o``: entries of the stashes.
    i_look_up : ``In(stream.Signature(level_key, always_ready=True))``
        A level to look up, an odd number of cycles after operations.
    o_look_up : ``Out({found, value})``
        Seven cycles later: the level, as the operations left it that came 8 cycles or more before
        its look-up.
    """

    def __init__(self, geometry: Geometry, *, context: ShapeLike = 0) -> None:
        self._geometry, self._context = geometry, context
        key = level_key(geometry)
        self._orders = HashedTable(
            key=REFERENCE, tag=REFERENCE - geometry.orders_log2, value=order_layout(geometry),
            buckets_log2=geometry.orders_log2, stash=geometry.order_stash)
        self._levels = HashedTable(
            key=key.size, tag=key.size, value=LEVEL, buckets_log2=geometry.levels_log2,
            stash=geometry.level_stash)
        super().__init__({
            "ready": Out(1),
            "i": In(stream.Signature(operation_layout(geometry, context), always_ready=True)),
            "o": Out(stream.Signature(result_layout(geometry, context), always_ready=True)),
            "changes": Out(1), "o_level": Out(data.StructLayout({"key": key, "is_first": 1})),
            "i_look_up": In(stream.Signature(key, always_ready=True)),
            "o_look_up": Out(data.StructLayout({"found": 1, "value": LEVEL})),
            "order_stash": Out(self._orders.fill.shape()),
            "level_stash": Out(self._levels.fill.shape())})

    def elaborate(self, platform):
        """Return both tables; a number behind a name is the age of the operation."""
        m = Module()

        m.submodules.orders, m.submodules.levels = orders, levels = self._orders, self._levels
        m.d.comb += [self.ready.eq(orders.ready & levels.ready),
                     self.order_stash.eq(orders.fill), self.level_stash.eq(levels.fill)]
        kind = self.i.p.operation
        is_mine = Signal()
        m.d.comb += is_mine.eq(self.i.valid & self.ready & (kind != BookOperation.NONE)
                               & (kind != BookOperation.STEP))
        operations = stages(m, self.i.p, ANSWER_AGE, "operation")
        valid = stages(m, self.i.valid & self.ready, RESULT_AGE, "valid")
        is_order = stages(m, is_mine, ANSWER_AGE, "is_order")

        updated = operations[UPDATE_AGE]
        is_update = is_order[UPDATE_AGE]
        m.d.comb += [
            orders.i.valid.eq(is_order[0] | is_update), orders.i.p.is_look_up.eq(~is_update),
            orders.i.p.key.eq(Mux(is_update, updated.reference, self.i.p.reference))]
        for name, bucket in (("left", left_bucket), ("right", right_bucket)):
            updated_bucket, given_bucket = (
                bucket(given.reference, self._geometry.orders_log2)
                for given in (operations[UPDATE_AGE - 1], self.i.p))
            m.d.comb += orders.i.p[name].eq(
                Mux(is_update, stages(m, updated_bucket, 1, f"{name}_bucket")[1], given_bucket))

        key, is_first = self._foresee(m, orders, operations, is_order)
        m.submodules.hash = hashed = LevelHash(self._geometry)
        named = stages(m, key, 1, "named")[1]
        is_looked = stages(m, self.i_look_up.valid, HASH_AGE, "is_looked")
        hash_key = Mux(self.i_look_up.valid, self.i_look_up.p, named)
        keys = stages(m, data.View(named.shape(), hash_key), HASH_AGE + RECORD_AGE, "key")
        is_step = valid[UPDATE_AGE] & (updated.operation == BookOperation.STEP)
        m.d.comb += [
            self.o_level.key.eq(named), hashed.key.eq(hash_key),
            levels.i.p.key.eq(keys[HASH_AGE]),
            levels.i.p.left.eq(hashed.left), levels.i.p.right.eq(hashed.right),
            levels.i.p.is_look_up.eq(~is_update),
            levels.i.valid.eq(is_update | is_step | is_looked[HASH_AGE]),
            self.o_look_up.found.eq(levels.o.p.found), self.o_look_up.value.eq(levels.o.p.value)]
        m.d.sync += self.o_level.is_first.eq(is_first & is_order[FORESEEN_AGE])

        self._answer(m, orders, levels, operations, keys[-1], valid[ANSWER_AGE])
        m.d.comb += self.o.valid.eq(valid[RESULT_AGE])
        return m

    def _foresee(self, m: Module, orders: HashedTable, operations: list, is_order: list):
        """Return the level key at age 5, and whether an order is added there.

        Both follow from the record at age 4 and from the operations ahead.
        """
        # Ages 2 and 3: which of the operations ahead was the last one on the same order.
        near = [Signal(REFERENCE, name=f"near_{number}") for number in range(_AHEAD)]
        is_near, same_3 = Signal(_AHEAD), Signal(_AHEAD)
        with m.If(is_order[3]):
            m.d.sync += [is_near.eq(Cat(1, is_near)), *(
                one.eq(other)
                for one, other in zip(near, [operations[3].reference, *near[:-1]], strict=True))]
        m.d.comb += same_3.eq(Cat(
            stages(m, Cat(equal_pieces(operations[2].reference, other), is_near[number]), 1,
                   f"same_{number}")[1].all()
            for number, other in enumerate(near)))
        first_4 = stages(m, lowest(same_3), 1, "first")[1]
        is_in_table_4 = stages(m, ~same_3.any(), 1, "is_in_table")[1]

        # Age 4: the order as that one left it, or else as the table has it.
        order = order_layout(self._geometry)
        foreseen = data.StructLayout({"exists": 1, "was_found": 1, "order": order})
        ahead = [Signal(foreseen, name=f"ahead_{number}") for number in range(_AHEAD)]
        exists, known = Signal(), Signal(order)
        newest = list(zip(first_4, ahead, strict=True))
        m.d.sync += [
            exists.eq(select((is_in_table_4, orders.o.p.found),
                             *((this, one.exists) for this, one in newest))),
            known.eq(select((is_in_table_4, orders.o.p.value),
                            *((this, one.order) for this, one in newest)))]
        coming = operations[RECORD_AGE]
        is_sound = stages(m, (coming.shares != 0) & (coming.price != 0) & ~coming.price[31]
                          & (coming.reference != 0), 1, "is_sound")[1]
        above = stages(m, coming.shares + 1, 1, "above")[1]

        given = operations[FORESEEN_AGE]
        added, after = Signal(order), Signal(foreseen)
        is_replace = given.operation == BookOperation.REPLACE
        is_add = (given.operation == BookOperation.ADD) | is_replace
        is_remove = given.operation == BookOperation.REMOVE
        is_mine = known.instrument == given.instrument
        is_gone = is_remove | is_less(known.shares, above)
        m.d.comb += [
            added.shares.eq(given.shares), added.price.eq(given.price),
            added.instrument.eq(given.instrument),
            added.side.eq(Mux(is_replace, ahead[0].order.side, given.side)),
            after.order.eq(known),
            after.was_found.eq(exists & is_mine & ~is_add)]
        can_be = Signal()
        with m.If(is_add):
            m.d.comb += [
                can_be.eq(is_sound & ~(is_replace & ~ahead[0].was_found)),
                after.exists.eq(exists | can_be)]
            with m.If(~exists):
                m.d.comb += after.order.eq(added)
        with m.Else():
            m.d.comb += after.exists.eq(exists & ~(is_mine & is_gone))
            with m.If(is_mine):
                m.d.comb += after.order.shares.eq(known.shares - given.shares)
        with m.If(is_order[FORESEEN_AGE]):
            m.d.sync += [one.eq(other) for one, other
                         in zip(ahead, [after, *ahead[:-1]], strict=True)]

        key = Signal(level_key(self._geometry))
        source = Mux(is_add | (given.operation == BookOperation.STEP), added, known)
        m.d.comb += key.eq(Cat(data.View(order, source)[name] for name in ("price", "side",
                                                                        "instrument")))
        return key, can_be & ~exists

    def _answer(self, m: Module, orders: HashedTable, levels: HashedTable, operations: list, key,
                is_valid: Signal) -> None:
        """Answer both tables at age 13 and register the result."""
        given, result = operations[ANSWER_AGE], self.o.p
        order, level = orders.o.p, levels.o.p
        known, before = order.value, level.value

        # What the message alone tells is known a cycle before, as is the result of the operation
        # ahead: whether shares leave or come, and the first reason against an addition.
        coming = operations[ANSWER_AGE - 1]
        is_replace = coming.operation == BookOperation.REPLACE
        is_fresh = (coming.operation == BookOperation.ADD) | is_replace & result.is_found
        leaves = coming.operation == BookOperation.REMOVE
        is_taking = leaves | (coming.operation == BookOperation.TAKE)
        has_shares, has_reference = coming.shares != 0, coming.reference != 0
        has_price = (coming.price != 0) & ~coming.price[31]
        is_remove, is_reduction, above, step, has_shares, is_zero, is_bad, is_nameless, is_sound = (
            stages(m, value, 1, name)[1] for name, value in (
                ("is_remove", leaves), ("is_reduction", is_taking), ("above", coming.shares + 1),
                ("step", Mux(is_taking, -coming.shares, coming.shares)),
                ("has_shares", has_shares), ("is_zero", is_fresh & ~has_shares),
                ("is_bad", is_fresh & has_shares & ~has_price),
                ("is_nameless", is_fresh & has_shares & has_price & ~has_reference),
                ("is_sound", is_fresh & has_shares & has_price & has_reference)))

        # A reduction.
        is_mine, is_over, is_gone = Signal(), Signal(), Signal()
        taken, left = Signal(SHARES), Signal(SHARES)
        m.d.comb += [
            is_mine.eq(is_reduction & order.found
                       & (Cat(known.price, known.side, known.instrument)
                          == Cat(key.price, key.side, given.instrument))),
            is_over.eq(~is_remove & is_less(known.shares, given.shares)),
            is_gone.eq(is_remove | is_less(known.shares, above)),
            taken.eq(Mux(is_gone, known.shares, given.shares)),
            left.eq(known.shares - given.shares)]

        # An addition. What is not in a table has the value 0.
        is_new, is_blocked, is_placed = Signal(), Signal(), Signal()
        stepped = Signal.like(before.shares)
        m.d.comb += [
            stepped.eq(before.shares + step), is_new.eq(is_sound & ~order.found),
            is_blocked.eq(Mux(level.found, is_full(before), ~level.room)),
            is_placed.eq(is_new & ~is_blocked & order.room)]

        # One answer for both tables. The order goes with all its shares, or its level has some less
        # or more.
        added, kept, after = Signal.like(known), Signal.like(known), Signal(LEVEL)
        is_taken = is_mine & (is_remove | has_shares)       # an order that is in has shares
        is_leaving, is_stepped = Signal(), Signal()
        is_lost = is_leaving & (before.orders == 1)
        orders_after = before.orders + Mux(is_reduction, -1, 1)
        m.d.comb += [
            is_leaving.eq(is_mine & is_gone), is_stepped.eq(is_mine & ~is_gone | is_placed),
            added.shares.eq(given.shares), added.price.eq(key.price), added.side.eq(key.side),
            added.instrument.eq(given.instrument), kept.eq(Mux(order.found, known, added)),
            after.shares.eq(Mux(is_leaving, before.shares - known.shares,
                                Mux(is_stepped, stepped, before.shares))),
            after.orders.eq(Mux(is_leaving | is_placed, orders_after, before.orders))]
        with m.If(is_mine):
            m.d.comb += kept.shares.eq(left)
        m.d.comb += [
            orders.i_answer.exists.eq(is_placed | order.found & ~is_leaving),
            orders.i_answer.value.eq(kept),
            levels.i_answer.exists.eq(is_placed | level.found & ~is_lost),
            levels.i_answer.value.eq(after)]

        m.d.sync += self.changes.eq(is_valid & (is_placed | is_taken))
        with m.If(is_valid):
            m.d.sync += [
                result.operation.eq(given.operation), result.context.eq(given.context),
                result.order.eq(Mux(is_reduction, known, added)), result.taken.eq(taken),
                result.before.eq(before), result.level.eq(after),
                result.change.eq(Mux(is_lost, LevelChange.LOST, Mux(
                    is_placed & ~level.found, LevelChange.NEW, Mux(
                        is_placed | is_taken, LevelChange.CHANGED, LevelChange.NONE)))),
                result.is_found.eq(is_mine), result.is_gone.eq(is_leaving),
                result.is_placed.eq(is_placed), result.is_unknown.eq(is_reduction & ~is_mine),
                result.is_over.eq(is_mine & is_over), result.is_zero.eq(is_zero),
                result.is_bad_price.eq(is_bad),
                result.is_duplicate.eq(is_nameless | is_sound & order.found),
                result.is_level_overflow.eq(is_new & is_blocked),
                result.is_order_overflow.eq(is_new & ~is_blocked & ~order.room),
                result.is_level_found.eq(level.found)]
