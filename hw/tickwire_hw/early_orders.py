"""Order messages to what they do to a side, four cycles after they came (kernel ``order_table``).

A second order table, with the same content as that of ``Commit``, but asked the moment a message
is there and changed the moment it has answered. So nothing has to be foreseen, and nobody waits.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.itch50 import STOCK_DIRECTORY
from tickwire_hw.early_grid import AGE as GRID_AGE
from tickwire_hw.early_grid import EarlyGrid
from tickwire_hw.feed_port import EventKind, FeedEvent
from tickwire_hw.hashed_table import RECORD_AGE, HashedTable
from tickwire_hw.locates import TAUGHT_AGE, Locates
from tickwire_hw.logic import stages
from tickwire_hw.messages import LETTERS
from tickwire_hw.order_message import ORDER_MESSAGE, order_message
from tickwire_hw.order_table import PRICE, REFERENCE, SHARES, left_bucket, right_bucket
from tickwire_hw.touch_rules import operation_layout
from tickwire_hw.waiting import Waiting

DEPTH = 16
"""Messages that can wait."""
OPERATION_AGE = RECORD_AGE
"""Cycles from a message to what it does."""
_LATE = 12                                  # events that may still come after `hold`
_SECOND = 2                                 # cycles from one half of a replace to the other
_PAUSE = 1 + _SECOND                        # cycles until a message follows a replace
assert GRID_AGE == OPERATION_AGE and _PAUSE >= TAUGHT_AGE - 1


class EarlyOrders(wiring.Component):
    """Find what each order message does, in order.

    Four cycles after the message, when none waits before it; a message is taken every two cycles,
    four after a replace. Waiting messages have a queue of ``DEPTH``. Ready ``2**orders_log2``
    cycles after reset.

    Cycles: 0 the order is looked up, for a replace the new reference is looked up in the next
    cycle and added in the one after; 1 instrument; 2 whether the price is a tick; 4 the order:
    what leaves its level, and what joins one; 5 whether that is accepted.

    Members
    -------
    ready : ``Out(1)``
        Whether the table is clear.
    i : ``In(stream.Signature(FeedEvent, always_ready=True))``
        From ``Arbiter``.
    hold : ``Out(1)``
        12 more events find room in the queue, whatever they are.
    watch_all, i_taught, i_write : ``In``
        As of ``Locates`` and ``Grid``.
    is_lost : ``Out(1)``
        The directory gave an instrument a second locate, or gave or took one while messages waited
        that had come before: what was told of the instrument since may be wrong.
    is_sure : ``In(1)``
        Five cycles after a message: no level table can be too full for what it adds.
    o : ``Out(stream.Signature(operation_layout(geometry), always_ready=True))``
        Four cycles after a message of a watched instrument: for ``Touch``.
    soon_touched : ``Out({side, instrument})``
        One cycle before ``o``: of what.
    is_accepted, is_doubtful : ``Out(1)``
        One cycle after ``o``: for ``Touch``.
    o_error : ``Out(1)``
        With them: the message breaks a rule of the book.
    messages : ``Out(ArrayLayout({is_valid, message, instrument}, 6))``
        What is under way: element n came n cycles ago. Instruments from 1 on, where
        ``is_valid`` says that they are watched; at 0 it says that a message is taken.
    can_add : ``Out(1)``
        One cycle after a message: it adds an order that has no fault of its own.
    soon : ``Out({is_tick, is_low})``
        Two cycles after a message: its price is a tick for sure; it is too low for a bid.
    is_new : ``Out(1)``
        Two cycles after a message: no order has its reference, for sure.
    fill : ``Out``
        Entries in the table's stash, see ``HashedTable``.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry, self._bits = geometry, max(1, ceil_log2(geometry.instruments))
        self._locates, self._grid = Locates(geometry), EarlyGrid(geometry)
        self._table = HashedTable(
            key=REFERENCE, tag=REFERENCE - geometry.orders_log2, value=data.StructLayout(
                {"shares": SHARES, "key": PRICE, "side": 1, "instrument": self._bits}),
            buckets_log2=geometry.orders_log2, stash=geometry.order_stash)
        message = data.StructLayout({"is_valid": 1, "message": ORDER_MESSAGE,
                                     "instrument": self._bits})
        super().__init__({
            "ready": Out(1), "i": In(stream.Signature(FeedEvent, always_ready=True)),
            "hold": Out(1), "watch_all": In(1), "is_lost": Out(1),
            "i_taught": self._locates.signature.members["i_taught"],
            "i_write": self._grid.signature.members["i_write"], "is_sure": In(1),
            "o": Out(stream.Signature(operation_layout(geometry), always_ready=True)),
            "soon_touched": Out(data.StructLayout({"side": 1, "instrument": self._bits})),
            "is_accepted": Out(1), "is_doubtful": Out(1), "o_error": Out(1),
            "messages": Out(data.ArrayLayout(message, OPERATION_AGE + 2)),
            "can_add": Out(1), "soon": Out(self._grid.o_soon.shape()), "is_new": Out(1),
            "fill": Out(self._table.fill.shape())})

    def elaborate(self, platform):
        """Return queue, table and answer; a number behind a name is the age of the message."""
        m = Module()

        m.submodules.table, m.submodules.locates = table, locates = self._table, self._locates
        m.submodules.grid = grid = self._grid
        connect(m, locates.i_taught, flipped(self.i_taught))
        connect(m, grid.i_write, flipped(self.i_write))
        m.submodules.waiting = waiting = Waiting(ORDER_MESSAGE, DEPTH)
        taken, message, coming = self._take(m, waiting)
        waited = stages(m, waiting.has_any, TAUGHT_AGE - 1, "waited")[-1]
        given = stages(m, message, OPERATION_AGE + _SECOND, "given")
        valid = stages(m, taken, OPERATION_AGE + _SECOND, "valid")
        watched = [None, *stages(m, locates.o.is_watched, OPERATION_AGE + 1, "watched")]
        instrument = [None, *stages(m, locates.o.instrument, OPERATION_AGE + 1, "instrument")]
        m.d.comb += [
            locates.watch_all.eq(self.watch_all),
            self.is_lost.eq(locates.is_split | locates.is_changed & waited),
            locates.locate.eq(message.locate), grid.price.eq(message.price),
            grid.soon.eq(instrument[1]), grid.instrument.eq(instrument[2]),
            self.soon.eq(grid.o_soon), self.is_new.eq(table.is_new),
            self.ready.eq(table.ready), self.fill.eq(table.fill)]
        for age, entry in enumerate(self.messages):
            m.d.comb += [entry.message.eq(given[age]),
                         entry.is_valid.eq(valid[age] & (watched[age] if age else 1))]
            if age:
                m.d.comb += entry.instrument.eq(instrument[age])

        # Ages 0 to 2: requests. Which one it is comes late, so each has its own buckets, and that
        # it is one of the first two, which registers show, is in a register of its own.
        is_asked, is_second = (valid[age] & given[age].is_replace for age in (1, _SECOND))
        is_again = stages(m, taken & message.is_replace | is_asked, 1, "is_again")[1]
        own = [self._request(reference) for reference in (
            given[_SECOND].new_reference, given[1].new_reference, waiting.o.p.reference,
            coming.reference)]
        m.d.comb += [
            table.i.valid.eq(valid[0] | is_again), table.i.p.eq(Mux(
                is_again, Mux(is_second, own[0], own[1]), Mux(waiting.o.valid, own[2], own[3]))),
            table.i.p.is_look_up.eq(is_asked)]
        first = given[1]
        has_shares_2 = stages(m, first.shares != 0, 1, "has_shares")[1]
        reference = Mux(first.is_replace, first.new_reference, first.reference)
        sound_1 = Signal()
        m.d.comb += [
            sound_1.eq((first.price != 0) & ~first.price[31] & (first.shares != 0)
                       & reference.any() & ~(first.is_add & first.is_bad_side)),
            self.can_add.eq(sound_1 & first.is_add & watched[1])]
        has_shares = [None, None, *stages(m, has_shares_2, OPERATION_AGE - 2, "some")]
        sound = [None, *stages(m, sound_1, OPERATION_AGE + 1, "sound")]
        is_same = stages(m, first.reference == first.new_reference, OPERATION_AGE, "is_same")[-1]

        self._answer(m, table, given, valid, watched, instrument, sound, has_shares)
        self._accept(m, table, given, is_same)
        return m

    def _take(self, m: Module, waiting: Waiting) -> tuple:
        """Return whether a message is taken now, and which; and the one that comes.

        It is the one that comes, if none waits. None does that is not shown, unless one was taken
        in the cycle before.
        """
        is_order, message = order_message(m, self.i.p, "coming")
        comes, is_directory = Signal(), self.i.valid & (
            self.i.p.kind == EventKind.MESSAGE) & (message.letter == LETTERS[STOCK_DIRECTORY.tag])
        rests, can_take = Signal(_PAUSE), Signal()
        taken, current = Signal(), Signal(ORDER_MESSAGE)
        m.d.comb += [
            can_take.eq(~rests[0]), comes.eq(self.i.valid & is_order),
            taken.eq(can_take & (waiting.o.valid | comes)),
            current.eq(Mux(waiting.o.valid, waiting.o.p, message)),
            waiting.i.valid.eq(comes & (waiting.o.valid | ~can_take)), waiting.i.p.eq(message),
            waiting.o.ready.eq(can_take)]
        m.d.sync += self.hold.eq(waiting.level >= DEPTH - _LATE)    # and one that comes now
        # A message of the directory teaches a locate, and nobody is asked until then.
        m.d.sync += rests.eq(rests >> 1 | taken | (
            is_directory | taken & current.is_replace).replicate(_PAUSE))
        return taken, current, message

    def _request(self, reference: Value) -> Value:
        """Return what the table is asked for an order reference."""
        log2 = self._geometry.orders_log2
        return Cat(reference, left_bucket(reference, log2), right_bucket(reference, log2), C(0, 1))

    def _answer(self, m: Module, table: HashedTable, given: list, valid: list, watched: list,
                instrument: list, sound: list, has_shares: list) -> None:
        """Answer the table, at age 4 and for the second half of a replace at 6; tell the touch."""
        now, record, order = given[OPERATION_AGE], table.o.p, table.o.p.value
        answer, touch = table.i_answer, self.o.p
        is_mine, is_gone, whole = Signal(), Signal(), Signal()
        taken = Signal.like(order.shares)
        m.d.comb += [
            whole.eq(now.is_remove | now.is_replace),
            is_mine.eq(~now.is_add & record.found & watched[OPERATION_AGE]
                       & (order.instrument == instrument[OPERATION_AGE])),
            is_gone.eq(whole | (now.shares >= order.shares)),
            taken.eq(Mux(is_gone, order.shares, now.shares))]
        can_join = now.is_add & sound[OPERATION_AGE] & watched[OPERATION_AGE]
        m.d.comb += self._grid.is_first.eq(valid[OPERATION_AGE] & can_join & ~record.found)

        # A replace goes on with the side of the order that left.
        before, side = given[OPERATION_AGE - 1], Signal()
        m.d.comb += [
            self.soon_touched.instrument.eq(instrument[OPERATION_AGE - 1]),
            self.soon_touched.side.eq(Mux(before.is_add, before.side, table.o_next.side)),
            side.eq(stages(m, self.soon_touched.side, 1, "side_now")[1])]
        joins_later = stages(m, is_mine & now.is_replace & sound[OPERATION_AGE], _SECOND, "joins")
        sides = stages(m, side, _SECOND, "side")
        is_second = valid[-1] & given[-1].is_replace
        added = Signal.like(order)
        source = Mux(is_second, given[-1], now)
        source = data.View(ORDER_MESSAGE, source)
        m.d.comb += [
            added.shares.eq(source.shares), added.side.eq(Mux(is_second, sides[-1], now.side)),
            added.key.eq(source.price[:PRICE] ^ added.side.replicate(PRICE)),
            added.instrument.eq(Mux(is_second, instrument[-1], instrument[OPERATION_AGE])),
            answer.value.eq(Mux(record.found, order, added))]
        with m.If(is_second):
            m.d.comb += answer.exists.eq(record.found | joins_later[-1])
        with m.Elif(now.is_add):
            m.d.comb += answer.exists.eq(record.found | can_join)
        with m.Else():
            m.d.comb += answer.exists.eq(record.found & ~(is_mine & is_gone))
            with m.If(is_mine):
                m.d.comb += answer.value.shares.eq(order.shares - now.shares)

        grid, joins = self._grid.o, can_join | joins_later[0]
        flip = side.replicate(PRICE)
        m.d.comb += [
            self.o.valid.eq(stages(m, valid[OPERATION_AGE - 1] & watched[OPERATION_AGE - 1], 1,
                                   "is_operation")[1]),
            touch.instrument.eq(instrument[OPERATION_AGE]), touch.side.eq(side),
            touch.takes.eq(is_mine & (whole | has_shares[OPERATION_AGE])),
            touch.take_key.eq(order.key), touch.taken.eq(taken),
            touch.gain.eq(now.shares - order.shares),
            touch.is_gone.eq(is_gone), touch.adds.eq(joins), touch.key.eq(now.price[:PRICE] ^ flip),
            touch.value.shares.eq(now.shares), touch.value.orders.eq(1),
            touch.on_grid.eq(grid.on_grid), touch.is_unsure.eq(grid.is_unsure),
            touch.is_low.eq(grid.is_low & ~side),
            touch.reach.eq(Mux(side, grid.reach[1], grid.reach[0]))]

        error = Signal()
        m.d.comb += error.eq(Mux(
            now.is_add, ~sound[OPERATION_AGE] | record.found | ~record.room,
            ~is_mine | now.is_take & (now.shares > order.shares)))
        self._error = stages(m, error, 1, "error")[1]
        self._joins = stages(m, joins_later[0], 1, "joins_replace")[1]
        m.d.sync += self.is_accepted.eq(self.o.valid & (
            joins_later[0] | can_join & ~record.found & record.room))

    def _accept(self, m: Module, table: HashedTable, given: list, is_same: Signal) -> None:
        """Tell doubt and error at age 5; a replace was looked up in the meantime."""
        record, is_replace = table.o.p, given[OPERATION_AGE + 1].is_replace
        m.d.comb += [
            self.is_doubtful.eq(~self.is_sure | is_replace & ~is_same & (
                record.found | ~record.room)),
            self.o_error.eq(self._error | is_replace & ~(
                self._joins & (is_same | ~record.found)))]
