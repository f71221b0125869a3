"""Order table: every live order of every book, found by its reference (kernel ``order_table``).

Operations come in the order of the messages: ``ADD``, ``TAKE`` and ``REMOVE`` for one each, for a
replace a ``REMOVE`` and then a ``REPLACE``, which adds on the side of the order that left.
"""

from amaranth.hdl import Module, Mux, ShapeLike, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire_hw.hashed_table import RECORD_AGE, HashedTable
from tickwire_hw.logic import stages

REFERENCE = 64
SHARES = 32
PRICE = 31                                  # what is 2^31 or more is no price of an order
RESULT_AGE = RECORD_AGE + 1
"""Cycles from an operation to its result."""


class OrderOperation(enum.Enum, shape=unsigned(2)):
    """What is done with an order."""

    ADD = 0
    REPLACE = 1
    TAKE = 2
    REMOVE = 3


def left_bucket(reference, buckets_log2: int):
    """Left bucket of an order, as the kernel's; for integers and for signals."""
    folded = reference ^ reference >> buckets_log2 ^ reference >> 2 * buckets_log2
    return _low(folded, buckets_log2)


def right_bucket(reference, buckets_log2: int):
    """Right bucket of an order, as the kernel's; for integers and for signals."""
    mixed = reference ^ reference >> 3 ^ reference >> buckets_log2 + 2
    folded = (mixed ^ mixed >> buckets_log2 ^ mixed >> 2 * buckets_log2
              ^ mixed >> 3 * buckets_log2)
    return _low(folded, buckets_log2)


def _low(value, bits: int):
    return value & (1 << bits) - 1 if isinstance(value, int) else value[:bits]


def order_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what is kept of an order; instruments are below ``geometry.instruments``."""
    return data.StructLayout({"shares": SHARES, "price": PRICE, "side": 1,
                              "instrument": max(1, ceil_log2(geometry.instruments))})


class OrderTable(wiring.Component):
    """Add, reduce and remove orders by their references, in order and exactly.

    An order that is found is shown 4 cycles after its operation; the result follows one cycle
    later. Takes an operation every two cycles or at any greater distance, whatever the references
    and their buckets. Never exerts backpressure; an order without room is refused and reported.
    Ready ``2**orders_log2`` cycles after reset.

    Cycles: 0 both hashes, the reference against the stash; 1 block RAM; 2 tags of eight ways, in
    pieces; 3 one entry of eight ways, stash and the last two results; 4 shares are compared and
    taken, a new order gets its place; 5 the result is shown and written.

    Both hashes can be inverted: a bucket and the bits of the reference above ``orders_log2`` give
    the reference. So only these bits are kept, and a match is exact.

    Members
    -------
    ready : ``Out(1)``
        Whether the tables are clear; what comes before is ignored.
    i : ``In(stream.Signature({operation, reference, order, context}, always_ready=True))``
        ``order`` is what ``ADD`` adds, with 1 share or more; ``TAKE`` takes its ``shares``, 0 or
        more. ``TAKE`` and ``REMOVE`` read ``instrument``. ``REPLACE`` adds like ``ADD`` on the
        side of the order that the operation before it found, and nothing when that found none.
        ``context`` is carried along.
    i_refuse : ``In(1)``
        In the fourth cycle after ``ADD`` or ``REPLACE``: do not place it.
    o_found : ``Out(stream.Signature({order, context}, always_ready=True))``
        Four cycles after a ``TAKE`` or ``REMOVE`` that finds an order of its instrument: the order
        as it was.
    o : ``Out(stream.Signature(Result, always_ready=True))``
        Five cycles after each operation: ``operation``, ``context`` and

        * ``is_found``: an order of the instrument was found; ``order`` is as it was, ``taken`` and
          ``left`` are shares, ``is_gone`` says that none are left, ``is_over`` that it had fewer
          than were to be taken, and that all were taken;
        * ``is_placed``: ``order`` is in the table from now on;
        * else at most one of ``is_unknown`` (no such order, or another instrument's),
          ``is_duplicate`` (reference 0 or in use), ``is_refused`` and ``is_overflow`` (no room).
    stash : ``Out``
        With ``o``: orders in the stash.
    """

    def __init__(self, geometry: Geometry, *, context: ShapeLike = 0) -> None:
        self._buckets_log2 = geometry.orders_log2
        order = order_layout(geometry)
        self._table = HashedTable(
            key=REFERENCE, tag=REFERENCE - geometry.orders_log2, value=order,
            buckets_log2=geometry.orders_log2, stash=geometry.order_stash)
        flags = ("found", "gone", "over", "placed", "unknown", "duplicate", "refused", "overflow")
        super().__init__({
            "ready": Out(1),
            "i": In(stream.Signature(data.StructLayout(
                {"operation": OrderOperation, "reference": REFERENCE, "order": order,
                 "context": context}), always_ready=True)),
            "i_refuse": In(1),
            "o_found": Out(stream.Signature(data.StructLayout(
                {"order": order, "context": context}), always_ready=True)),
            "o": Out(stream.Signature(data.StructLayout(
                {"operation": OrderOperation, "order": order, "taken": SHARES, "left": SHARES,
                 **{f"is_{flag}": 1 for flag in flags}, "context": context}),
                always_ready=True)),
            "stash": Out(self._table.fill.shape())})

    def elaborate(self, platform):
        """Return the table and the arithmetic between its record and its answer."""
        m = Module()

        m.submodules.table = table = self._table
        reference = self.i.p.reference
        m.d.comb += [
            self.ready.eq(table.ready), table.i.valid.eq(self.i.valid), table.i.p.key.eq(reference),
            table.i.p.left.eq(left_bucket(reference, self._buckets_log2)),
            table.i.p.right.eq(right_bucket(reference, self._buckets_log2)),
            self.stash.eq(table.fill)]
        operations = stages(m, self.i.p, RECORD_AGE, "operation")
        is_zero = stages(m, operations[1].reference == 0, RECORD_AGE - 1, "is_zero")[-1]

        # Until this operation's result is in `result`, that shows the operation before it.
        operation, record, result = operations[RECORD_AGE], table.o.p, self.o.p
        given, known = operation.order, record.value
        kind = operation.operation
        is_replace, is_remove = kind == OrderOperation.REPLACE, kind == OrderOperation.REMOVE
        is_add = (kind == OrderOperation.ADD) | is_replace
        order, kept = Signal.like(given), Signal.like(given)
        is_mine, is_over, is_gone, is_fresh, is_placed = (Signal() for _ in range(5))
        m.d.comb += [
            is_mine.eq(record.found & ~is_add & (known.instrument == given.instrument)),
            is_over.eq(~is_remove & (given.shares > known.shares)),
            is_gone.eq(is_remove | (given.shares >= known.shares)),
            is_fresh.eq(is_add & ~(is_replace & ~result.is_found)),
            is_placed.eq(is_fresh & ~record.found & ~is_zero & ~self.i_refuse & record.room),
            order.eq(given)]
        with m.If(is_replace):
            m.d.comb += order.side.eq(result.order.side)
        m.d.comb += kept.eq(Mux(record.found, known, order))
        with m.If(is_mine):
            m.d.comb += kept.shares.eq(known.shares - given.shares)
        m.d.comb += [
            table.i_answer.exists.eq(is_placed | record.found & ~(is_mine & is_gone)),
            table.i_answer.value.eq(kept),
            self.o_found.valid.eq(table.o.valid & is_mine), self.o_found.p.order.eq(known),
            self.o_found.p.context.eq(operation.context)]

        m.d.sync += self.o.valid.eq(table.o.valid)
        with m.If(table.o.valid):
            m.d.sync += [
                result.operation.eq(kind), result.context.eq(operation.context),
                result.order.eq(Mux(is_add, order, known)),
                result.taken.eq(Mux(is_remove | is_over, known.shares, given.shares)),
                result.left.eq(Mux(is_gone, 0, known.shares - given.shares)),
                result.is_found.eq(is_mine), result.is_gone.eq(is_mine & is_gone),
                result.is_over.eq(is_mine & is_over), result.is_unknown.eq(~is_add & ~is_mine),
                result.is_duplicate.eq(is_fresh & (record.found | is_zero)),
                result.is_refused.eq(is_fresh & ~record.found & ~is_zero & self.i_refuse),
                result.is_overflow.eq(is_fresh & ~record.found & ~is_zero & ~self.i_refuse
                                      & ~record.room),
                result.is_placed.eq(is_placed)]

        return m
