"""The early port: best levels after an order message, long before its records.

Composes orders, lists of best levels and what keeps these filled; ``docs/gateware.md`` has the
cycles. What it tells is what the book will show, or it says that it does not know.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import WAYS, Geometry
from tickwire_hw.early_add import ANSWER_AGE as ADD_AGE
from tickwire_hw.early_add import EarlyAdd
from tickwire_hw.early_orders import OPERATION_AGE, EarlyOrders
from tickwire_hw.early_port import early_layout
from tickwire_hw.feed_port import FLAGS_SHAPE, EventKind, FeedEvent
from tickwire_hw.grid import grid_layout
from tickwire_hw.instrument_filter import taught_layout
from tickwire_hw.logic import stages
from tickwire_hw.messages import LETTERS
from tickwire_hw.order_table import PRICE
from tickwire_hw.refill import SERIAL, Refill, book_ports
from tickwire_hw.touch import RESULT_AGE, Touch
from tickwire_hw.window_rules import DECISION_AGE

ANSWER_AGE = OPERATION_AGE + RESULT_AGE
"""Cycles from a message to its answer."""
_IN_FLIGHT = 3                              # messages in the order table that have no answer yet
_WRITTEN_AGE = DECISION_AGE + 3             # cycles from a result of `Commit` to rows of `Refill`


class Early(wiring.Component):
    """Answer every order message of a watched instrument, in order, with both best levels.

    The answer comes 6 cycles after the message, of an added order mostly after 2 already. A message
    is taken every two cycles, four after a replace. A side is not known while lost levels of it
    are looked up again, and after an order of which it could not be seen in time whether the book
    took it. That the level table has refused one is known too late: from then on nothing is known
    any more, until reset; its book is marked by then. So it is when the directory gives an
    instrument a second locate, or gives or takes one while older messages wait.

    Between the refusal of a level with too many shares and the news of it, some 20 cycles, the
    refused order is taken for one that is there, if its level is not listed. That is seen only
    where that level comes to be listed within these cycles.

    In a geometry that keeps no levels (``cached`` is 0) there is nothing of it, and no answer.

    Members
    -------
    ready : ``Out(1)``
        Whether all tables are clear.
    i, hold, watch_all, i_taught, i_write : ``In``, ``Out``
        As of ``EarlyOrders``.
    o : ``Out(stream.Signature(early_layout(geometry), always_ready=True))``
        Six cycles after a message.
    o_add : ``Out(stream.Signature(early_layout(geometry), always_ready=True))``
        Two cycles after an order was added, where that can be told; ``o`` will repeat it.
    o_glimpse : ``Out(stream.Signature(early_layout(geometry), always_ready=True))``
        One cycle after it: ``o_add``, should that come, as of ``EarlyAdd``; flags are not there.
    is_committed, has_added, is_refused : ``In(1)``
        Of each result of ``Commit``: it is one of an order; it was to add one; no level took it.
    level_room : ``In``
        With them: free entries in the stash of the level table.
    i_desync : ``In(stream.Signature(range(instruments), always_ready=True))``
        The book of this instrument was marked.

    What else goes in and out is of ``Refill``.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._bits = max(1, ceil_log2(geometry.instruments))
        answer = stream.Signature(early_layout(geometry), always_ready=True)
        super().__init__({
            "ready": Out(1), "i": In(stream.Signature(FeedEvent, always_ready=True)),
            "hold": Out(1), "watch_all": In(1),
            "i_taught": In(stream.Signature(taught_layout(geometry), always_ready=True)),
            "i_write": In(stream.Signature(grid_layout(geometry), always_ready=True)),
            "o": Out(answer), "o_add": Out(answer), "o_glimpse": Out(answer),
            "is_committed": In(1), "has_added": In(1),
            "is_refused": In(1), "level_room": In(range(geometry.level_stash + WAYS)),
            "i_desync": In(stream.Signature(self._bits, always_ready=True)),
            **book_ports(geometry)})

    def elaborate(self, platform):
        """Return the components and the few registers between them; or none of it."""
        m = Module()

        if not self._geometry.cached:
            m.d.comb += self.ready.eq(1)
            return m
        m.submodules.orders = orders = EarlyOrders(self._geometry)
        m.submodules.refill = refill = Refill(self._geometry)
        m.submodules.touch = touch = Touch(self._geometry)
        m.submodules.add = add = EarlyAdd(orders.messages.shape())
        connect(m, orders.i, flipped(self.i))
        connect(m, orders.i_taught, flipped(self.i_taught))
        connect(m, orders.i_write, flipped(self.i_write))
        for name in ("i_window", "o_price", "o_key", "o_level"):
            ours, theirs = getattr(self, name), getattr(refill, name)
            connect(m, theirs, flipped(ours))
        m.d.comb += [getattr(refill, name).eq(getattr(self, name))
                     for name in ("is_granted", "i_key", "i_price", "i_level")]
        m.d.comb += [self.ready.eq(orders.ready & touch.ready), self.hold.eq(orders.hold),
                     orders.watch_all.eq(self.watch_all)]
        self._to_touch(m, orders, refill, touch)
        self._room(m, orders, add)

        messages = orders.messages
        m.d.comb += [add.messages.eq(messages), add.can_add.eq(orders.can_add),
                     add.soon.eq(orders.soon), add.is_new.eq(orders.is_new),
                     touch.instrument.eq(messages[1].instrument), add.now.eq(touch.o_now)]
        self._answers(m, orders, touch, add)
        return m

    def _to_touch(self, m: Module, orders: EarlyOrders, refill: Refill, touch: Touch) -> None:
        """Let levels be appended between messages; count what the lists have seen."""
        messages, wish = orders.messages, refill.o.p
        # In the next cycle there is no message, and none of this instrument beside it.
        coming = messages[OPERATION_AGE - 1]
        beside = Cat(messages[age - 1].is_valid & (messages[age - 1].instrument == wish.instrument)
                     for age in (OPERATION_AGE - 1, OPERATION_AGE + 1)).any()
        is_free = stages(m, ~coming.is_valid & ~beside, 1, "is_free")[1]
        m.d.comb += [
            refill.is_taken.eq(refill.o.valid & is_free),
            touch.i.valid.eq(orders.o.valid | refill.is_taken),
            touch.i.p.eq(Mux(is_free, wish, orders.o.p)),
            touch.soon.eq(Mux(coming.is_valid, orders.soon_touched,
                              Cat(wish.side, wish.instrument))),
            touch.is_accepted.eq(orders.is_accepted), touch.is_doubtful.eq(orders.is_doubtful),
            refill.wants.eq(touch.wants), refill.row.eq(touch.row),
            refill.shaken.valid.eq(touch.shaken.valid), refill.shaken.p.eq(touch.shaken.p)]
        given, issued, done = messages[OPERATION_AGE].message, Signal(SERIAL), Signal(SERIAL)
        count = Mux(given.is_replace, 2, ~(given.is_add & given.is_bad_side))
        is_written = stages(m, self.is_committed, _WRITTEN_AGE, "is_written")[-1]
        m.d.comb += [refill.issued.eq(issued), refill.done.eq(done)]
        with m.If(orders.o.valid):
            m.d.sync += issued.eq(issued + count)
        m.d.sync += done.eq(done + is_written)

    def _room(self, m: Module, orders: EarlyOrders, add: EarlyAdd) -> None:
        """Tell whether both tables have room for sure, whatever is under way to them."""
        entry, pending = orders.messages[1], Signal(SERIAL)
        comes = entry.is_valid & (entry.message.is_replace
                                  | entry.message.is_add & ~entry.message.is_bad_side)
        m.d.sync += pending.eq(pending + comes - (self.is_committed & self.has_added))
        is_wide = stages(m, pending + 2 <= self.level_room, 1, "is_wide")[1]
        m.d.sync += orders.is_sure.eq(pending <= self.level_room)
        room = self._geometry.order_stash - _IN_FLIGHT
        m.d.comb += add.is_sure.eq(is_wide & (orders.fill < room) if room > 0 else 0)

    def _answers(self, m: Module, orders: EarlyOrders, touch: Touch, add: EarlyAdd) -> None:
        """Put both answers together."""
        event, feed_flags, is_lost = self.i.p, Signal(FLAGS_SHAPE), Signal()
        last, operation = orders.messages[-1], stages(m, orders.o.p, RESULT_AGE, "operation")[-1]
        desynced = Signal(1 << self._bits)
        is_all = self.i.valid & (event.kind == EventKind.DESYNC_ALL)
        with m.If(is_all | self.i.valid & (event.kind == EventKind.FLAGS)):
            m.d.sync += feed_flags.eq(event.flags)
        with m.If(self.is_refused | orders.is_lost):
            m.d.sync += is_lost.eq(1)
        with m.If(last.is_valid & orders.o_error):
            m.d.sync += desynced.bit_select(last.instrument, 1).eq(1)
        with m.If(self.i_desync.valid):
            m.d.sync += desynced.bit_select(self.i_desync.p, 1).eq(1)
        with m.If(is_all):
            m.d.sync += desynced.eq(~0)

        answered = stages(m, last, 1, "answered")[1]
        told = stages(m, add.o.valid & ~is_lost, ANSWER_AGE - ADD_AGE, "told")
        first = stages(m, orders.messages[1], 1, "first")[1]
        entries = ((self.o, answered, touch.o.p.bests), (self.o_add, first, add.o.p),
                   (self.o_glimpse, orders.messages[1], add.glimpse.p))
        for port, entry, bests in entries:
            given = port.p
            m.d.comb += [
                given.instrument.eq(entry.instrument), given.letter.eq(entry.message.letter),
                given.sequence.eq(entry.message.sequence), given.stamp.eq(entry.message.stamp),
                given.bests.eq(bests)]
        for port, entry, bests in entries[:2]:
            given = port.p
            m.d.comb += [
                given.feed_flags.eq(feed_flags),
                given.is_desynced.eq(desynced.bit_select(entry.instrument, 1))]
            m.d.comb += [best.is_known.eq(own.is_known & ~is_lost)
                         for best, own in zip(given.bests, bests, strict=True)]
        m.d.comb += [
            self.o.valid.eq(touch.o.valid & touch.o.p.is_message),
            self.o.p.side.eq(operation.side),
            self.o.p.traded.eq(self._traded(answered.message, operation)),
            self.o.p.is_touched.eq(operation.takes | operation.adds),
            self.o.p.is_repeated.eq(told[-1]), self.o_add.valid.eq(told[0]),
            self.o_add.p.side.eq(first.message.side), self.o_add.p.is_touched.eq(add.changes),
            self.o_glimpse.valid.eq(add.glimpse.valid),
            self.o_glimpse.p.side.eq(orders.messages[1].message.side)]

    @staticmethod
    def _traded(message: data.View, operation: data.View) -> Value:
        own = Mux(message.is_printable & ~message.price[PRICE:].any(), message.price[:PRICE], 0)
        return Mux(message.letter == LETTERS["C"], own, Mux(
            message.letter == LETTERS["E"],
            operation.take_key ^ operation.side.replicate(PRICE), 0))
