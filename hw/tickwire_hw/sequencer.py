"""Messages and states of the feed to operations of the book, one every two cycles.

What the kernels do within one message - both halves of a replace, a sweep's step, an instrument
after the other where all are marked - is one operation each here, in the same order.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec import itch50
from tickwire.spec.geometry import SWEEP_DELAY, SWEEP_PERIOD, Geometry
from tickwire_hw.commit import BookOperation, operation_layout
from tickwire_hw.feed_port import FLAGS_SHAPE, EventKind, FeedEvent
from tickwire_hw.instrument_filter import ENTRY_AGE, NAMED_SIZE, InstrumentFilter, entry_layout
from tickwire_hw.logic import stages
from tickwire_hw.messages import LETTERS, field, is_known, is_readable, letter
from tickwire_hw.order_table import PRICE
from tickwire_hw.publish_port import Operation, PublishKind
from tickwire_hw.sweep import KEY, STEP_DISTANCE

DEPTH = 32
"""Events that can wait."""
_LATE = 12                                  # events that may still come after `hold`
_COMING = ENTRY_AGE + 1                     # those that are between `i` and the queue
_NAMED_SIZE = 3                             # octets of a message that name its instrument
CONTEXT = ("kind", "is_last", "is_watched", "sequence", "timestamp", "feed_flags", "data",
           "is_desync_all", "line", "state", "received", "session")
"""What the sequencer knows of an ``Operation``."""
COUNTED = ("messages", "unknown_type", "wrong_length", "zero_length", "unknown_locate", "filtered",
           "bad_side")
"""Counters of messages as they are read."""
_OF_ALL = "RSVW"                            # types that need no instrument


def context_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what goes beside an operation to the records; fields as ``publish_port`` has."""
    operation = Operation.as_shape()
    return data.StructLayout({
        **{name: operation[name].shape for name in CONTEXT}, "is_bad_side": 1})


class Sequencer(wiring.Component):
    """Turn events into operations on a grid of two cycles, and tell what each belongs to.

    An event waits in a queue of ``DEPTH`` while operations of earlier ones are issued: one for a
    message, two for a replace, one more for the step of a sweep after every fourth message, one an
    instrument for what marks or shows all. Messages that mean nothing to any watched book take no
    operation. The first operation comes 4 to 5 cycles after its event when nothing waits.

    Members
    -------
    i : ``In(stream.Signature(FeedEvent, always_ready=True))``
        From ``Arbiter``.
    hold : ``Out(1)``
        The queue is more than half full: 12 more events find room.
    watch_all, i_watch, o_taught : ``In``, ``Out``
        As of ``InstrumentFilter``.
    i_ask : ``In(ArrayLayout)``
        ``Window.ask``.
    o_ask, i_asked : to and from ``Grid``: the tick that the next step looks up, and its price.
    o : ``Out(stream.Signature(operation_layout, always_ready=True))``
        For ``Commit``, at even distances; ``context`` is the instrument that it belongs to.
    o_context : ``Out(context_layout)``
        With ``o``.
    counts : ``Out``
        Strobes of the counters in ``COUNTED``, at most once for each message.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._instrument = instrument = max(1, ceil_log2(geometry.instruments))
        self._filter = InstrumentFilter(geometry)
        ask = data.StructLayout({"is_asked": 1, "side": 1, "instrument": instrument,
                                 "key": signed(KEY)})
        super().__init__({
            "i": In(stream.Signature(FeedEvent, always_ready=True)), "hold": Out(1),
            "watch_all": In(1), "i_watch": self._filter.signature.members["i_watch"],
            "o_taught": self._filter.signature.members["o_taught"],
            "i_ask": In(data.ArrayLayout(ask, SWEEP_DELAY)),
            "o_ask": Out(data.StructLayout({"side": 1, "instrument": instrument,
                                            "key": signed(KEY)})),
            "i_asked": In(PRICE),
            "o": Out(stream.Signature(operation_layout(geometry, instrument),
                                      always_ready=True)),
            "o_context": Out(context_layout(geometry)),
            "counts": Out(data.StructLayout(dict.fromkeys(COUNTED, 1)))})

    def elaborate(self, platform):
        """Return filter, queue and the choice of the next operation."""
        m = Module()

        m.submodules.filter = filter_ = self._filter
        connect(m, flipped(self.i_watch), filter_.i_watch)
        connect(m, filter_.o_taught, flipped(self.o_taught))
        message = self.i.p.message
        m.d.comb += [
            filter_.watch_all.eq(self.watch_all),
            filter_.i.data.eq(message.data[:8 * NAMED_SIZE]),
            filter_.i.is_directory.eq(
                self.i.valid & (self.i.p.kind == EventKind.MESSAGE)
                & (letter(message.data) == LETTERS[itch50.STOCK_DIRECTORY.tag])
                & (message.length == itch50.STOCK_DIRECTORY.size))]
        events = stages(m, self.i.p, ENTRY_AGE, "event")
        valid = stages(m, self.i.valid, ENTRY_AGE, "valid")
        waiting = data.StructLayout({"event": FeedEvent, "entry": entry_layout(self._geometry)})
        m.submodules.queue = queue = SyncFIFOBuffered(width=waiting.size, depth=DEPTH)
        head = data.View(waiting, queue.r_data)
        m.d.comb += [
            queue.w_en.eq(valid[-1]), queue.w_data.eq(Cat(events[-1], filter_.o)),
            self.hold.eq(queue.w_level >= DEPTH - _LATE - _COMING)]

        self._issue(m, queue, head.event, head.entry)
        return m

    def _issue(self, m: Module, queue: SyncFIFOBuffered, event, entry) -> None:
        """Choose the next operation; the queue's head stays until its last one is issued."""
        message, octets = event.message, event.message.data
        given, context = self.o.p, self.o_context
        phase, is_second, is_step, is_showing = (Signal() for _ in range(4))
        shown, flags = Signal(self._instrument), Signal(FLAGS_SHAPE)
        sequence, number, stamp = Signal(64), Signal(range(SWEEP_DELAY)), Signal(64)
        readable = is_readable(m, octets, message.length)
        pause = Signal(range(STEP_DISTANCE))    # cycles until a step may follow the last one
        m.d.sync += [phase.eq(~phase), pause.eq(Mux(pause == 0, 0, pause - 1))]
        m.d.comb += [
            context.sequence.eq(event.sequence), context.timestamp.eq(event.stamp),
            context.data.eq(octets), given.context.eq(entry.instrument),
            context.is_watched.eq(entry.is_watched), context.is_last.eq(1),
            context.line.eq(event.line), context.state.eq(event.state),
            context.received.eq(event.received), context.session.eq(event.session),
            context.feed_flags.eq(flags), given.instrument.eq(entry.instrument)]

        asked = self.i_ask[number]
        m.d.comb += [self.o_ask.side.eq(asked.side), self.o_ask.key.eq(asked.key),
                     self.o_ask.instrument.eq(asked.instrument)]
        last = self._geometry.instruments - 1
        is_due = event.sequence[:ceil_log2(SWEEP_PERIOD)] == 0
        is_done = Signal()                      # with the head
        is_void = Signal()                      # the head needs no operation
        is_start = Signal()                     # it needs one for each instrument
        with m.If(is_step):
            m.d.comb += [
                self.o.valid.eq(~phase & (pause == 0)), given.operation.eq(BookOperation.STEP),
                given.side.eq(asked.side), given.instrument.eq(asked.instrument),
                given.price.eq(self.i_asked), context.kind.eq(PublishKind.STEP),
                given.context.eq(asked.instrument), context.sequence.eq(sequence),
                context.timestamp.eq(stamp), context.is_watched.eq(1)]
            with m.If(self.o.valid):
                m.d.sync += [is_step.eq(0), number.eq(number + 1), pause.eq(STEP_DISTANCE - 1)]
        with m.Elif(is_showing):
            m.d.comb += [
                self.o.valid.eq(~phase), context.kind.eq(PublishKind.SHOW),
                given.context.eq(shown), context.sequence.eq(sequence),
                context.is_desync_all.eq(event.kind != EventKind.FLAGS),
                context.is_watched.eq(self._filter.has_symbol.bit_select(shown, 1))]
            with m.If(~phase):
                m.d.sync += shown.eq(shown + 1)
                with m.If(shown == last):
                    m.d.sync += [shown.eq(0), is_showing.eq(0)]
                    m.d.comb += is_done.eq(1)
        with m.Elif(queue.r_rdy):
            with m.Switch(event.kind):
                with m.Case(EventKind.FEED):
                    m.d.comb += [self.o.valid.eq(~phase), context.kind.eq(PublishKind.FEED),
                                 is_done.eq(~phase)]
                with m.Case(EventKind.DESYNC_ALL):
                    m.d.sync += [flags.eq(event.flags), sequence.eq(event.sequence)]
                    m.d.comb += is_start.eq(1)
                with m.Case(EventKind.FLAGS):
                    m.d.sync += flags.eq(event.flags)
                    m.d.comb += [is_start.eq((flags & ~event.flags).any()),
                                 is_done.eq(~is_start)]
                with m.Case(EventKind.MESSAGE):
                    with m.If(~readable):
                        is_short = message.length < _NAMED_SIZE
                        m.d.comb += [
                            context.kind.eq(PublishKind.UNREADABLE),
                            is_start.eq(is_short & (message.length != 0)),
                            is_void.eq((message.length == 0) | ~is_short & ~entry.is_watched),
                            self.o.valid.eq(~phase & ~is_short & ~is_void),
                            is_done.eq(is_void | self.o.valid)]
                        with m.If(is_start | self.o.valid):
                            m.d.sync += sequence.eq(event.sequence)
                    with m.Else():
                        self._message(m, octets, entry, is_void)
                        with m.If(is_second):
                            m.d.comb += [
                                given.operation.eq(BookOperation.REPLACE), given.reference.eq(
                                    field(octets, itch50.ORDER_REPLACE, "new_reference"))]
                        m.d.comb += [
                            self.o.valid.eq(~phase & ~is_void),
                            context.is_last.eq((letter(octets) != LETTERS["U"]) | is_second),
                            is_done.eq(is_void | ~phase & context.is_last)]
                        with m.If(self.o.valid):
                            m.d.sync += is_second.eq(~is_done)
                        with m.If(is_done):
                            m.d.sync += [is_step.eq(is_due), sequence.eq(event.sequence),
                                         stamp.eq(event.stamp)]
            m.d.sync += is_showing.eq(is_start)
        m.d.comb += queue.r_en.eq(is_done)

        # The head is counted when it is done.
        is_counted = is_done & (event.kind == EventKind.MESSAGE)
        is_empty, is_type = message.length == 0, is_known(m, octets)
        is_stranger = readable & ~entry.is_watched & (
            Cat(letter(octets) == LETTERS[tag] for tag in _OF_ALL) == 0)
        for name, condition in (
                ("messages", 1), ("zero_length", is_empty),
                ("unknown_type", ~is_empty & ~is_type),
                ("wrong_length", ~is_empty & is_type & ~readable),
                ("unknown_locate", is_stranger & entry.is_beyond),
                ("filtered", is_stranger & ~entry.is_beyond),
                ("bad_side", readable & entry.is_watched & context.is_bad_side)):
            m.d.sync += self.counts[name].eq(is_counted & condition)

    def _message(self, m: Module, octets, entry, is_void: Signal) -> None:
        """Set what a readable message means to the book of its instrument."""
        given, context = self.o.p, self.o_context
        side = field(octets, itch50.ADD_ORDER, "side")
        m.d.comb += [
            is_void.eq(~entry.is_watched),
            given.reference.eq(field(octets, itch50.ORDER_DELETE, "order_reference"))]
        with m.Switch(letter(octets)):
            with m.Case(LETTERS["A"], LETTERS["F"]):
                m.d.comb += [
                    context.kind.eq(PublishKind.ORDER),
                    context.is_bad_side.eq((side != ord("B")) & (side != ord("S"))),
                    given.operation.eq(Mux(context.is_bad_side, BookOperation.NONE,
                                           BookOperation.ADD)),
                    given.side.eq(side == ord("S")),
                    given.shares.eq(field(octets, itch50.ADD_ORDER, "shares")),
                    given.price.eq(field(octets, itch50.ADD_ORDER, "price"))]
            with m.Case(LETTERS["D"]):
                m.d.comb += [context.kind.eq(PublishKind.ORDER),
                             given.operation.eq(BookOperation.REMOVE)]
            with m.Case(LETTERS["U"]):
                m.d.comb += [context.kind.eq(PublishKind.ORDER),
                             given.operation.eq(BookOperation.REMOVE),
                             given.shares.eq(field(octets, itch50.ORDER_REPLACE, "shares")),
                             given.price.eq(field(octets, itch50.ORDER_REPLACE, "price"))]
            with m.Case(LETTERS["X"]):
                m.d.comb += [
                    context.kind.eq(PublishKind.ORDER), given.operation.eq(BookOperation.TAKE),
                    given.shares.eq(field(octets, itch50.ORDER_CANCEL, "canceled_shares"))]
            with m.Case(LETTERS["E"], LETTERS["C"]):
                m.d.comb += [
                    context.kind.eq(PublishKind.EXECUTE), given.operation.eq(BookOperation.TAKE),
                    given.shares.eq(field(octets, itch50.ORDER_EXECUTED, "executed_shares"))]
            with m.Case(*(LETTERS[tag] for tag in "PQB")):
                m.d.comb += context.kind.eq(PublishKind.PRINT)
            with m.Case(*(LETTERS[tag] for tag in _OF_ALL)):
                m.d.comb += [context.kind.eq(PublishKind.OTHER), is_void.eq(0)]
            with m.Case(*(LETTERS[tag] for tag in "HYJKIh")):
                m.d.comb += context.kind.eq(PublishKind.OTHER)
            with m.Default():
                m.d.comb += is_void.eq(1)
