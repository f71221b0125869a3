"""Level table: every price level of every book, found by instrument, side and price.

Kernel: ``level_table``. A level is ``orders`` and ``shares``; it is there while it has orders.
"""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import (
    LEVEL_LEFT_MULTIPLIER,
    LEVEL_RIGHT_MULTIPLIER,
    ONE_ORDER,
    SHARE_LIMIT,
    Geometry,
)
from tickwire_hw.hashed_table import RECORD_AGE, HashedTable
from tickwire_hw.logic import stages
from tickwire_hw.order_table import PRICE, SHARES

HASH_AGE = 3
"""Cycles from a key to its buckets."""
RESULT_AGE = HASH_AGE + RECORD_AGE + 1
"""Cycles from an operation to its result."""
LEVEL = data.StructLayout({"shares": SHARE_LIMIT.bit_length(),
                           "orders": 64 - SHARE_LIMIT.bit_length()})
"""What is kept of a level: one 64-bit number, ``orders << 40 | shares``."""
assert 1 << LEVEL["orders"].offset == ONE_ORDER
_HALF = 16                                  # bits of one factor of a multiplier block


class LevelOperation(enum.Enum, shape=unsigned(2)):
    """What is done with a level."""

    LOOK_UP = 0
    ADD = 1
    SUBTRACT = 2


def level_key(geometry: Geometry) -> data.StructLayout:
    """Layout of a level's key; instruments are below ``geometry.instruments``."""
    return data.StructLayout({"price": PRICE, "side": 1,
                              "instrument": max(1, ceil_log2(geometry.instruments))})


class LevelHash(wiring.Component):
    """Buckets of a level, by two multiplications in pieces of 16 bits. Latency 3 cycles.

    Members
    -------
    key : ``In(level_key(geometry))``
        Key of a level, one in every cycle.
    left, right : ``Out(levels_log2)``
        The kernel's buckets of it.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._bits = geometry.levels_log2
        super().__init__({"key": In(level_key(geometry)), "left": Out(self._bits),
                          "right": Out(self._bits)})

    def elaborate(self, platform):
        """Return six multipliers between registers."""
        m = Module()

        mixed = Signal(2 * _HALF)
        m.d.sync += mixed.eq(self.key.price ^ Cat(self.key.side, self.key.instrument) << _HALF - 1)
        low, high = mixed[:_HALF], mixed[_HALF:]
        for bucket, multiplier in ((self.left, LEVEL_LEFT_MULTIPLIER),
                                   (self.right, LEVEL_RIGHT_MULTIPLIER)):
            low_low, low_high, high_low = Signal(2 * _HALF), Signal(_HALF), Signal(_HALF)
            upper = multiplier >> _HALF
            lower = multiplier & (1 << _HALF) - 1
            m.d.sync += [low_low.eq(low * lower), low_high.eq(low * upper),
                         high_low.eq(high * lower)]
            product = Cat(low_low[:_HALF], (low_low[_HALF:] + low_high + high_low)[:_HALF])
            m.d.sync += bucket.eq(product[-self._bits:])

        return m


class LevelTable(wiring.Component):
    """Add orders to levels, subtract from them, and look levels up, in order and exactly.

    The result comes 8 cycles after its operation: 3 for the hashes, 5 as in ``OrderTable``. Takes
    an ``ADD`` or ``SUBTRACT`` every two cycles or at any greater distance, and a ``LOOK_UP`` in any
    other cycle; each sees all changes that came two or more cycles before it, and no other. Never
    exerts backpressure; what finds no room is refused and reported. Ready ``2**levels_log2``
    cycles after reset.

    Members
    -------
    ready : ``Out(1)``
        Whether the table is clear; what comes before is ignored.
    i : ``In(stream.Signature({operation, key, shares, is_gone, context}, always_ready=True))``
        ``ADD`` one order of ``shares``, 1 or more, and make the level if it is not there.
        ``SUBTRACT`` ``shares``, and one order if it ``is_gone``; both must be in the level, and
        with the last order all of its shares go. ``context`` is carried along.
    i_refuse : ``In(1)``
        In the seventh cycle after an ``ADD`` or ``SUBTRACT``: leave the level as it is.
    o : ``Out(stream.Signature(Result, always_ready=True))``
        Eight cycles after an operation: ``operation``, ``key``, ``context``; the ``level`` as it is
        now; ``is_found``: it was there before; ``is_new``, ``is_lost``: it came or went with this
        operation; ``is_overflow``: an ``ADD`` had no room, or there were more shares than a level
        can hold, and nothing changed. ``level`` means nothing when it is not there.
    stash : ``Out``
        With ``o`` of an ``ADD`` or ``SUBTRACT``: levels in the stash.
    """

    def __init__(self, geometry: Geometry, *, context: ShapeLike = 0) -> None:
        self._geometry = geometry
        key = level_key(geometry)
        self._table = HashedTable(
            key=key.size, tag=key.size, value=LEVEL, buckets_log2=geometry.levels_log2,
            stash=geometry.level_stash)
        super().__init__({
            "ready": Out(1),
            "i": In(stream.Signature(data.StructLayout(
                {"operation": LevelOperation, "key": key, "shares": SHARES, "is_gone": 1,
                 "context": context}), always_ready=True)),
            "i_refuse": In(1),
            "o": Out(stream.Signature(data.StructLayout(
                {"operation": LevelOperation, "key": key, "level": LEVEL, "is_found": 1,
                 "is_new": 1, "is_lost": 1, "is_overflow": 1, "context": context}),
                always_ready=True)),
            "stash": Out(self._table.fill.shape())})

    def elaborate(self, platform):
        """Return hash, table, and the arithmetic between its record and its answer."""
        m = Module()

        m.submodules.table = table = self._table
        m.submodules.hash = hashed = LevelHash(self._geometry)
        operations = stages(m, self.i.p, HASH_AGE + RECORD_AGE, "operation")
        valid = stages(m, self.i.valid & table.ready, HASH_AGE, "valid")
        asked = operations[HASH_AGE]
        m.d.comb += [
            self.ready.eq(table.ready), hashed.key.eq(self.i.p.key),
            table.i.valid.eq(valid[HASH_AGE]), table.i.p.key.eq(asked.key),
            table.i.p.left.eq(hashed.left), table.i.p.right.eq(hashed.right),
            table.i.p.is_look_up.eq(asked.operation == LevelOperation.LOOK_UP),
            self.stash.eq(table.fill)]

        operation, record, result = operations[-1], table.o.p, self.o.p
        shares, known = operation.shares, record.value
        more, level = Signal(len(known.shares) + 1), Signal(LEVEL)
        is_add, is_subtract, is_allowed, is_new, is_lost = (Signal() for _ in range(5))
        m.d.comb += [
            is_add.eq((operation.operation == LevelOperation.ADD) & ~self.i_refuse),
            is_subtract.eq((operation.operation == LevelOperation.SUBTRACT) & ~self.i_refuse),
            more.eq(known.shares + shares),
            is_allowed.eq(Mux(record.found, ~more[-1], record.room)),
            is_new.eq(is_add & ~record.found & record.room),
            is_lost.eq(is_subtract & record.found & operation.is_gone & (known.orders == 1)),
            level.eq(known)]
        with m.If(~record.found):
            m.d.comb += [level.shares.eq(shares), level.orders.eq(1)]
        with m.Elif(is_subtract):
            m.d.comb += [level.shares.eq(known.shares - shares),
                         level.orders.eq(known.orders - operation.is_gone)]
        with m.Elif(is_add & is_allowed):
            m.d.comb += [level.shares.eq(more), level.orders.eq(known.orders + 1)]
        m.d.comb += [
            table.i_answer.exists.eq(Mux(record.found, ~is_lost, is_new)),
            table.i_answer.value.eq(level)]

        m.d.sync += [
            self.o.valid.eq(table.o.valid), result.operation.eq(operation.operation),
            result.key.eq(operation.key), result.context.eq(operation.context),
            result.level.eq(level), result.is_found.eq(record.found), result.is_new.eq(is_new),
            result.is_lost.eq(is_lost), result.is_overflow.eq(is_add & ~is_allowed)]

        return m
