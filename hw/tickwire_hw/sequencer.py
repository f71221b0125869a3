"""Messages and states of the feed to operations of the book, one every two cycles.

What the kernels do within one message - both halves of a replace, a sweep's step, an instrument
after the other where all are marked - is one operation each here, in the same order.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
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
from tickwire_hw.ram import ANY_COLLISION, RAM
from tickwire_hw.stream import offset_of
from tickwire_hw.sweep import KEY, STEP_DISTANCE

DEPTH = 32
"""Events that can wait."""
_LATE = 12                                  # events that may still come after `hold`
_COMING = ENTRY_AGE + 2                     # and those that the queue does not show yet
_NAMED_SIZE = 3                             # octets of a message that name its instrument
STORED = 128
"""Newest events whose ``TOLD`` can be read."""
TOLD = ("data", "line", "state", "received", "session")
"""What an ``Operation`` has from its event as it came, and only records show."""
CONTEXT = ("kind", "is_last", "is_watched", "sequence", "timestamp", "feed_flags",
           "is_desync_all")
"""What else the sequencer knows of an ``Operation``."""
COUNTED = ("messages", "unknown_type", "wrong_length", "zero_length", "unknown_locate", "filtered",
           "bad_side")
"""Counters of messages as they are read."""
_OF_ALL = "RSVW"                            # types that need no instrument
_Read = data.StructLayout(dict.fromkeys((
    "is_empty", "is_short", "is_known", "is_readable", "is_of_all", "is_replace", "is_bad_side"),
    1))
"""What a message shows by itself; ``is_short``: its instrument is not in it."""
_Judged = data.StructLayout(dict.fromkeys((
    "is_readable", "is_replace", "is_bad_side", "is_void", "is_for_all", *COUNTED[1:],
    "passes", "is_one", "are_two"), 1))
"""What it is for the book: ``is_void`` has no operation, ``is_for_all`` one an instrument.

The last three are of every event, not of a message alone: it has no operation, one, or two.
"""
_BODY_FIRST = offset_of(itch50.ORDER_DELETE, "order_reference")
_BODY_SIZE = itch50.ADD_ORDER.size - _BODY_FIRST
"""Octets of a message that are for the book, behind its type."""
_Body = data.StructLayout({"sequence": 64, "stamp": 64, "octets": 8 * _BODY_SIZE})
assert all(message.size <= _BODY_FIRST + _BODY_SIZE for message in (
    itch50.ORDER_REPLACE, itch50.ORDER_CANCEL, itch50.ORDER_EXECUTED))


def context_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what goes beside an operation to the records; fields as ``publish_port`` has.

    ``number`` is the event's: how many came before it, modulo ``STORED``.
    """
    operation = Operation.as_shape()
    return data.StructLayout({
        **{name: operation[name].shape for name in CONTEXT}, "is_bad_side": 1,
        "number": range(STORED)})


def told_layout() -> data.StructLayout:
    """Layout of what waits for the records meanwhile; fields as ``publish_port`` has."""
    operation = Operation.as_shape()
    return data.StructLayout({name: operation[name].shape for name in TOLD})


class Sequencer(wiring.Component):
    """Turn events into operations on a grid of two cycles, and tell what each belongs to.

    An event waits in a queue of ``DEPTH`` while operations of earlier ones are issued: one for a
    message, two for a replace, one more for the step of a sweep after every fourth message, one an
    instrument for what marks or shows all. Messages that mean nothing to any watched book take no
    operation. The first operation comes 5 to 6 cycles after its event when nothing waits.

    Block RAM keeps the most of an event, from the cycle in which it comes: for the operations what
    the queue's head needs beside the few bits that decide what is done with it, and for the
    records what passes no decision.

    Members
    -------
    ready : ``Out(1)``
        As of ``InstrumentFilter``.
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
    i_number, o_told : ``In(range(STORED))``, ``Out(told_layout())``
        An event's number, and two cycles later what it told.
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
            "ready": Out(1), "i": In(stream.Signature(FeedEvent, always_ready=True)),
            "hold": Out(1), "watch_all": In(1),
            "i_watch": self._filter.signature.members["i_watch"],
            "o_taught": self._filter.signature.members["o_taught"],
            "i_ask": In(data.ArrayLayout(ask, SWEEP_DELAY)),
            "o_ask": Out(data.StructLayout({"side": 1, "instrument": instrument,
                                            "key": signed(KEY)})),
            "i_asked": In(PRICE),
            "o": Out(stream.Signature(operation_layout(geometry, instrument),
                                      always_ready=True)),
            "o_context": Out(context_layout(geometry)),
            "i_number": In(range(STORED)), "o_told": Out(told_layout()),
            "counts": Out(data.StructLayout(dict.fromkeys(COUNTED, 1)))})

    def elaborate(self, platform):
        """Return filter, queue and the choice of the next operation."""
        m = Module()

        m.submodules.filter = filter_ = self._filter
        connect(m, flipped(self.i_watch), filter_.i_watch)
        connect(m, filter_.o_taught, flipped(self.o_taught))
        message = self.i.p.message
        m.d.comb += [
            self.ready.eq(filter_.ready), filter_.watch_all.eq(self.watch_all),
            filter_.i.data.eq(message.data[:8 * NAMED_SIZE]),
            filter_.i.is_directory.eq(
                self.i.valid & (self.i.p.kind == EventKind.MESSAGE)
                & (letter(message.data) == LETTERS[itch50.STOCK_DIRECTORY.tag])
                & (message.length == itch50.STOCK_DIRECTORY.size))]
        events = stages(m, self.i.p, ENTRY_AGE, "event")
        valid = stages(m, self.i.valid, ENTRY_AGE, "valid")
        read = Signal(_Read)                    # as old as the last of `events`
        m.d.sync += self._read(m, events[-2].message, read)
        event = events[-1]
        judged = self._judge(m, event.kind, read, filter_.o)
        waiting = data.StructLayout({
            "kind": EventKind, "flags": FLAGS_SHAPE, "letter": 8, "is_due": 1,
            "entry": entry_layout(self._geometry), "judged": _Judged})
        m.submodules.queue = queue = SyncFIFOBuffered(width=waiting.size, depth=DEPTH)
        is_due = event.sequence[:ceil_log2(SWEEP_PERIOD)] == 0
        m.d.comb += [
            queue.w_en.eq(valid[-1]), queue.w_data.eq(Cat(
                event.kind, event.flags, letter(event.message.data), is_due, filter_.o, judged))]
        m.d.sync += self.hold.eq(queue.w_level >= DEPTH - _LATE - _COMING)

        self._issue(m, queue, data.View(waiting, queue.r_data), *self._store(m, queue.r_en))
        return m

    def _store(self, m: Module, is_done: Signal) -> tuple:
        """Keep each event as it comes; return the queue's head: its number, and its ``_Body``.

        The row behind the newest event is written in every cycle, and becomes one or not.
        """
        came, place, following = (Signal(range(STORED), init=init) for init in (0, 0, 1))
        event, message = self.i.p, self.i.p.message
        m.d.sync += came.eq(came + self.i.valid)
        with m.If(is_done):
            m.d.sync += [place.eq(following), following.eq(following + 1)]
        m.submodules.told = told = RAM(told_layout(), STORED)
        m.submodules.bodies = bodies = memory.Memory(
            shape=_Body, depth=STORED, init=[], attrs=ANY_COLLISION)
        write, read = bodies.write_port(), bodies.read_port()
        octets = message.data[8 * _BODY_FIRST:8 * (_BODY_FIRST + _BODY_SIZE)]
        m.d.comb += [
            write.en.eq(1), write.addr.eq(came),
            write.data.eq(Cat(event.sequence, event.stamp, octets)),
            read.en.eq(1), read.addr.eq(Mux(is_done, following, place)),
            told.write_enable.eq(1), told.write_address.eq(came),
            told.write_data.data.eq(message.data),
            *(told.write_data[name].eq(event[name]) for name in TOLD[1:]),
            told.read_address.eq(self.i_number), self.o_told.eq(told.read_data)]
        return place, read.data

    def _read(self, m: Module, message, read: Signal) -> list:
        """Return what sets ``read`` to what a message shows by itself."""
        octets, length, side = message.data, message.length, field(
            message.data, itch50.ADD_ORDER, "side")
        is_add = (letter(octets) == LETTERS["A"]) | (letter(octets) == LETTERS["F"])
        return [
            read.is_empty.eq(length == 0), read.is_short.eq(length < _NAMED_SIZE),
            read.is_known.eq(is_known(m, octets)),
            read.is_readable.eq(is_readable(m, octets, length)),
            read.is_of_all.eq(Cat(letter(octets) == LETTERS[tag] for tag in _OF_ALL).any()),
            read.is_replace.eq(letter(octets) == LETTERS["U"]),
            read.is_bad_side.eq(is_add & (side != ord("B")) & (side != ord("S")))]

    def _judge(self, m: Module, kind, read, entry) -> Signal:
        """Return what a message is for the book, and how it is counted."""
        judged, is_stranger = Signal(_Judged), Signal()
        is_message = kind == EventKind.MESSAGE
        counts = is_message & ~judged.is_void & ~judged.is_for_all
        m.d.comb += [
            judged.passes.eq(is_message & judged.is_void),
            judged.is_one.eq((kind == EventKind.FEED) | counts & ~judged.is_replace),
            judged.are_two.eq(counts & judged.is_replace),
            is_stranger.eq(read.is_readable & ~read.is_of_all & ~entry.is_watched),
            judged.is_readable.eq(read.is_readable),
            judged.is_replace.eq(read.is_readable & read.is_replace),
            judged.is_for_all.eq(read.is_short & ~read.is_empty),
            judged.is_void.eq(Mux(read.is_readable, is_stranger,
                                  read.is_empty | ~read.is_short & ~entry.is_watched)),
            judged.zero_length.eq(read.is_empty),
            judged.unknown_type.eq(~read.is_empty & ~read.is_known),
            judged.wrong_length.eq(~read.is_empty & read.is_known & ~read.is_readable),
            judged.unknown_locate.eq(is_stranger & entry.is_beyond),
            judged.filtered.eq(is_stranger & ~entry.is_beyond),
            judged.bad_side.eq(read.is_readable & read.is_bad_side & entry.is_watched),
            judged.is_bad_side.eq(read.is_bad_side)]
        return judged

    def _issue(self, m: Module, queue: SyncFIFOBuffered, head, place, body) -> None:
        """Choose the next operation; the queue's head stays until its last one is issued."""
        entry, judged, issues = head.entry, head.judged, Signal()
        octets = Cat(head.letter, C(0, 8 * (_BODY_FIRST - 1)), body.octets)
        given, context = (Signal(port.shape(), name=name) for port, name in (
            (self.o.p, "given"), (self.o_context, "context")))
        m.d.sync += [self.o.valid.eq(issues), self.o.p.eq(given), self.o_context.eq(context)]
        phase, is_second, is_step, is_showing = (Signal() for _ in range(4))
        shown, flags = Signal(self._instrument), Signal(FLAGS_SHAPE)
        sequence, number, stamp = Signal(64), Signal(range(SWEEP_DELAY)), Signal(64)
        pause = Signal(range(STEP_DISTANCE))    # cycles until a step may follow the last one
        m.d.sync += [phase.eq(~phase), pause.eq(Mux(pause == 0, 0, pause - 1))]
        m.d.comb += [
            context.sequence.eq(body.sequence), context.timestamp.eq(body.stamp),
            context.number.eq(place), given.context.eq(entry.instrument),
            context.is_watched.eq(entry.is_watched), context.is_last.eq(1),
            context.feed_flags.eq(flags), given.instrument.eq(entry.instrument)]

        asked = self.i_ask[number]
        m.d.comb += [self.o_ask.side.eq(asked.side), self.o_ask.key.eq(asked.key),
                     self.o_ask.instrument.eq(asked.instrument)]
        last = self._geometry.instruments - 1
        is_done = Signal()                      # with the head
        # Whether the head takes flags back needs a cycle to see; it sets them in the next one.
        lapses, stands = Signal(), Signal()
        is_flags = queue.r_rdy & ~is_done & (head.kind == EventKind.FLAGS)
        is_lapse = (flags & ~head.flags).any()
        m.d.sync += [lapses.eq(is_flags & is_lapse), stands.eq(is_flags & ~is_lapse)]
        is_start = Signal()                     # it needs one for each instrument
        with m.If(is_step):
            m.d.comb += [
                issues.eq(~phase & (pause == 0)), given.operation.eq(BookOperation.STEP),
                given.side.eq(asked.side), given.instrument.eq(asked.instrument),
                given.price.eq(self.i_asked), context.kind.eq(PublishKind.STEP),
                given.context.eq(asked.instrument), context.sequence.eq(sequence),
                context.timestamp.eq(stamp), context.is_watched.eq(1)]
            with m.If(issues):
                m.d.sync += [is_step.eq(0), number.eq(number + 1), pause.eq(STEP_DISTANCE - 1)]
        with m.Elif(is_showing):
            m.d.comb += [
                issues.eq(~phase), context.kind.eq(PublishKind.SHOW),
                given.context.eq(shown), context.sequence.eq(sequence),
                context.is_desync_all.eq(head.kind != EventKind.FLAGS),
                context.is_watched.eq(self._filter.has_symbol.bit_select(shown, 1))]
            with m.If(~phase):
                m.d.sync += shown.eq(shown + 1)
                with m.If(shown == last):
                    m.d.sync += [shown.eq(0), is_showing.eq(0)]
        with m.Elif(queue.r_rdy):
            m.d.comb += issues.eq(~phase & (judged.is_one | judged.are_two))
            with m.Switch(head.kind):
                with m.Case(EventKind.FEED):
                    m.d.comb += context.kind.eq(PublishKind.FEED)
                with m.Case(EventKind.DESYNC_ALL):
                    m.d.sync += [flags.eq(head.flags), sequence.eq(body.sequence)]
                    m.d.comb += is_start.eq(1)
                with m.Case(EventKind.FLAGS):
                    with m.If(lapses | stands):
                        m.d.sync += flags.eq(head.flags)
                    m.d.comb += is_start.eq(lapses)
                with m.Case(EventKind.MESSAGE):
                    m.d.comb += [
                        is_start.eq(judged.is_for_all),
                        context.is_last.eq(~judged.is_replace | is_second)]
                    with m.If(issues):
                        m.d.sync += is_second.eq(judged.is_replace & ~is_second)
                    with m.If(judged.is_readable | ~judged.is_void):
                        m.d.sync += sequence.eq(body.sequence)
                    with m.If(judged.is_readable):
                        self._message(m, octets, judged.is_bad_side, given, context)
                        with m.If(is_second):
                            m.d.comb += [
                                given.operation.eq(BookOperation.REPLACE), given.reference.eq(
                                    field(octets, itch50.ORDER_REPLACE, "new_reference"))]
                        m.d.sync += stamp.eq(body.stamp)
                        with m.If(is_done):
                            m.d.sync += is_step.eq(head.is_due)
                    with m.Else():
                        m.d.comb += context.kind.eq(PublishKind.UNREADABLE)
            m.d.sync += is_showing.eq(is_start)
        # That the head is done enables all that it is made of.
        done = judged.passes | stands | ~phase & (judged.is_one | judged.are_two & is_second)
        m.d.comb += [queue.r_en.eq(is_done), is_done.eq(
            ~is_step & Mux(is_showing, ~phase & (shown == last), queue.r_rdy & done))]

        # The head is counted when it is done.
        is_counted = is_done & (head.kind == EventKind.MESSAGE)
        m.d.sync += self.counts.messages.eq(is_counted)
        for name in COUNTED[1:]:
            m.d.sync += self.counts[name].eq(is_counted & judged[name])

    @staticmethod
    def _message(m: Module, octets, is_bad_side, given, context) -> None:
        """Set what a readable message means to the book of its instrument."""
        side = field(octets, itch50.ADD_ORDER, "side")
        m.d.comb += [
            given.reference.eq(field(octets, itch50.ORDER_DELETE, "order_reference"))]
        with m.Switch(letter(octets)):
            with m.Case(LETTERS["A"], LETTERS["F"]):
                m.d.comb += [
                    context.kind.eq(PublishKind.ORDER),
                    context.is_bad_side.eq(is_bad_side),
                    given.operation.eq(Mux(is_bad_side, BookOperation.NONE, BookOperation.ADD)),
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
            with m.Case(*(LETTERS[tag] for tag in _OF_ALL + "HYJKIh")):
                m.d.comb += context.kind.eq(PublishKind.OTHER)
