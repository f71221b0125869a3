"""Records and state lines: the end of the book's pipeline (kernel ``publish``).

Two rows are kept of an instrument: its book as a reader would see it, and what else stands in its
line. The first tells whether there is something to show, the second takes a new version then; so
the second is read when the first is decided.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.records import STATE_LINE, BookFlag, RecordType, TradeFlag
from tickwire_hw.level_table import LEVEL
from tickwire_hw.logic import equal_pieces, saturated, stages
from tickwire_hw.message_record import (
    BODIES,
    BODY_AGE,
    STATUS_FIELDS,
    MessageRecord,
    RecordClass,
)
from tickwire_hw.order_table import PRICE
from tickwire_hw.publish_port import Operation, PublishKind
from tickwire_hw.records import BODY, line_layout
from tickwire_hw.rows import ROW_AGE, Rows

AHEAD = ROW_AGE
"""Cycles from an instrument to its operation."""
RECORD_AGE = 3
"""Cycles from an operation to its first record and its state line."""
LATENCY_AGE = 1
"""Cycles from an operation to the end of its latency: the book has it."""
LATENCY = BODIES[RecordType.BBO]["latency_ns"].width
"""Bits of a latency."""
LINE = line_layout(STATE_LINE)
"""Layout of a state line."""
FOUND = data.StructLayout({name: BODIES[RecordType.LEVEL][name].width for name in (
    "timestamp", "feed_sequence", "locate", "book_version")})
"""What an operation found, for its LEVEL record."""
_TOLD = (RecordType.BBO, RecordType.TRADE, RecordType.STATUS, RecordType.IMBALANCE,
         RecordType.DIRECTORY, RecordType.FEED_STATE, RecordType.LEVEL)
assert len({BODIES[kind]["latency_ns"].offset for kind in _TOLD}) == 1
SIDES = ("bid", "ask")
_FEED_FLAGS = (BookFlag.RECOVERING, BookFlag.STALE)
_BEST = data.StructLayout({"price": PRICE, "level": LEVEL, "is_hidden": 1})    # 0 without one
_VISIBLE = data.StructLayout({"bid": _BEST, "ask": _BEST, "is_desynced": 1})
_BOOK = data.StructLayout({"visible": _VISIBLE, "checksum": LINE["book_checksum"].width})
_STATUS = data.StructLayout({name: BODIES[RecordType.STATUS][name].width
                             for name in STATUS_FIELDS})
_KEPT = data.StructLayout({
    "version": LINE["version"].width, "last_price": LINE["last_price"].width,
    "last_quantity": LINE["last_quantity"].width, "has_locate": 1, "locate": LINE["locate"].width,
    "feed": len(_FEED_FLAGS), "status": _STATUS})
_QUOTE = data.StructLayout({name: LINE[name].width for name in (
    "bid_price", "ask_price", "bid_quantity", "ask_quantity", "bid_orders", "ask_orders")})


class Publish(wiring.Component):
    """Turn operations on books into records and state lines, as the kernels do.

    The first record and the state line come 3 cycles after their operation, with 6 cycles from
    its instrument; the BBO that follows a TRADE of the same operation comes one cycle later. Takes
    an operation every two cycles or at any greater distance, whatever the instruments. Never
    exerts backpressure and loses nothing. Ready as many cycles after reset as there are
    instruments, rounded up to a power of two.

    Cycles: -3 to 0 the instrument's book; 0 the side that was touched is put into it, and it is
    compared with what it was before the message; 1 whether that is to be shown, meanwhile prices
    are compared for CROSSED and sizes are saturated; 2 version, status and last price; 3 out of
    registers, through one multiplexer.

    All records of an operation have its latency: from its time stamp, which is the ingress stamp of
    the frame that caused it, or the tick's, to the cycle after the operation, when the book has it;
    the first record comes two cycles later. As in the kernels it is 0 when the clock was set back
    meanwhile, and 2^32 - 1 when it is longer.

    Members
    -------
    ready : ``Out(1)``
        Whether all rows are clear; operations whose instrument comes before are ignored.
    now : ``In(64)``
        Time, ns.
    watch_all : ``In(1)``
        An instrument's locate is its number, else 0, until a Stock Directory message tells it.
    i_ahead : ``In(stream.Signature(range(instruments), always_ready=True))``
        The instrument of the operation that comes 3 cycles later; each is announced, whether it
        has an instrument or not.
    i : ``In(stream.Signature(Operation, always_ready=True))``
        The operation.
    o : ``Out(stream.Signature({kind, octets}, always_ready=True))``
        Records: ``kind`` is their RecordType, ``octets`` all but the trailer; ``latency_ns`` in it
        is the last operation's, whether there is a record or not.
    state : ``Out(stream.Signature({instrument, line}, always_ready=True))``
        State lines, with the first record of the same version.
    applied : ``Out(stream.Signature(32, always_ready=True))``
        Latency of each order message of a watched instrument, 3 cycles after its last operation.
    o_found : ``Out(FOUND)``
        With a geometry whose ``depth`` is not 0, with the operation's first record: what goes
        into its LEVEL record, for ``Levels``.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._has_levels = geometry.depth > 0
        self._bits = max(1, ceil_log2(geometry.instruments))
        super().__init__({
            "ready": Out(1), "now": In(64), "watch_all": In(1),
            "i_ahead": In(stream.Signature(self._bits, always_ready=True)),
            "i": In(stream.Signature(Operation, always_ready=True)),
            "o": Out(stream.Signature(data.StructLayout({"kind": 8, "octets": BODY}),
                                      always_ready=True)),
            "state": Out(stream.Signature(data.StructLayout(
                {"instrument": self._bits, "line": LINE}), always_ready=True)),
            "applied": Out(stream.Signature(LATENCY, always_ready=True)),
            **({"o_found": Out(FOUND)} if self._has_levels else {})})

    def elaborate(self, platform):
        """Return both rows and what is around them; a number is the age of the operation."""
        m = Module()

        m.submodules.books = books = Rows(_BOOK, 1 << self._bits)
        m.submodules.lines = lines = Rows(_KEPT, 1 << self._bits)
        m.submodules.messages = messages = MessageRecord()
        # Elements are ages from AHEAD cycles before the operation on.
        instrument = stages(m, self.i_ahead.p, AHEAD + RECORD_AGE, "instrument")
        is_ahead = stages(m, self.i_ahead.valid, BODY_AGE, "is_ahead")
        is_valid_0 = Signal()
        m.d.comb += [
            self.ready.eq(books.ready & lines.ready),
            books.valid.eq(self.i_ahead.valid), books.address.eq(self.i_ahead.p),
            lines.valid.eq(is_ahead[BODY_AGE]), lines.address.eq(instrument[BODY_AGE]),
            is_valid_0.eq(self.i.valid & books.is_shown),
            messages.i.eq(self.i.p), messages.valid.eq(is_valid_0),
            messages.instrument.eq(instrument[AHEAD])]

        due_2 = self._book(m, books, is_valid_0)
        latency_3 = self._latency(m, is_valid_0)
        self._line(m, books, lines, messages, instrument, due_2, is_valid_0, latency_3)
        return m

    def _latency(self, m: Module, is_valid: Signal) -> Signal:
        """Return the operation's latency at age 3, until the next one's; tell it of messages."""
        given, passed_2, latency_3 = self.i.p, Signal(signed(64)), Signal(LATENCY)
        stamp_1 = stages(m, given.timestamp, LATENCY_AGE, "stamp")[-1]
        m.d.sync += passed_2.eq((self.now - stamp_1)[:64].as_signed())
        with m.If(stages(m, is_valid, BODY_AGE, "is_timed")[-1]):
            m.d.sync += latency_3.eq(Mux(passed_2 < 0, 0, saturated(passed_2[:-1], LATENCY)))
        is_message = is_valid & given.is_watched & (
            (given.kind == PublishKind.ORDER) & given.is_last | (given.kind == PublishKind.EXECUTE))
        m.d.comb += [self.applied.valid.eq(stages(m, is_message, RECORD_AGE, "is_message")[-1]),
                     self.applied.p.eq(latency_3)]
        return latency_3

    def _book(self, m: Module, books: Rows, is_valid: Signal) -> Signal:
        """Keep the book; return at age 2 whether it is to be shown because it changed."""
        given, kind = self.i.p, self.i.p.kind
        is_order, is_execute, is_step, is_show, is_unreadable = (
            is_valid & (kind == which) for which in (
                PublishKind.ORDER, PublishKind.EXECUTE, PublishKind.STEP, PublishKind.SHOW,
                PublishKind.UNREADABLE))
        is_marked = (is_unreadable | is_show & given.is_desync_all) & given.is_watched

        after = Signal(_BOOK)
        m.d.comb += [after.eq(books.row), books.i_row.eq(after)]
        for number, side in enumerate(SIDES):
            with m.If(given.is_touched & (given.touched_side == number)):
                best, has_best = after.visible[side], given.has_best
                m.d.comb += [best.price.eq(Mux(has_best, given.best_price, 0)),
                             best.level.eq(Mux(has_best, given.best_value.as_value(), 0)),
                             best.is_hidden.eq(given.is_hidden)]
        m.d.comb += [
            after.visible.is_desynced.eq(books.row.visible.is_desynced | given.is_desync
                                         | is_marked),
            after.checksum.eq(books.row.checksum + given.checksum)]

        # What was shown before the message: of its first half, where it has two.
        before, is_second = Signal(_VISIBLE), Signal()
        with m.If(is_valid):
            m.d.sync += is_second.eq(is_order & ~given.is_last)
        with m.If(books.is_early & ~is_second):
            m.d.sync += before.eq(books.early.visible)
        same_1 = stages(m, equal_pieces(before.as_value(), after.visible.as_value()), 1, "same")[1]
        can_show = is_order & given.is_last | is_execute | is_step | is_show | is_unreadable
        can_show_1 = stages(m, can_show, 1, "can_show")[1]
        return stages(m, can_show_1 & ~same_1.all(), 1, "due")[1]

    def _line(self, m: Module, books: Rows, lines: Rows, messages: MessageRecord,
              instrument: list, due_2: Signal, is_valid_0: Signal, latency_3: Signal) -> None:
        """Keep the rest of the line, and tell it; from age 2 on nothing looks back."""
        def later(value: Value, name: str, count: int = BODY_AGE):
            return stages(m, value, count, name)[count]
        given = self.i.p
        is_valid_2 = later(is_valid_0, "is_valid")
        is_watched_2 = later(given.is_watched, "is_watched")
        flags_in_force_2 = later(given.feed_flags, "feed_flags")
        class_2 = later(messages.o_class, "class", 1)
        quote_2, flags_2 = self._quote(m, books)

        # Age 2: a version for everything that is shown.
        row, after = lines.row, Signal(_KEPT)
        feed_2 = Cat(_bit(flags_in_force_2, flag) for flag in _FEED_FLAGS)
        is_show = is_valid_2 & (later(given.kind, "kind") == PublishKind.SHOW)
        is_bbo_2, is_new_2 = Signal(), Signal()
        m.d.comb += [
            is_bbo_2.eq(due_2 | is_show & (row.feed & ~feed_2).any()),
            is_new_2.eq(is_bbo_2 | class_2.is_trade | class_2.is_status),
            after.eq(row), lines.i_row.eq(after)]
        with m.If(is_new_2):
            m.d.comb += [after.version.eq(row.version + 1), after.feed.eq(feed_2)]
        trade, status, directory = (data.View(BODIES[kind], messages.body) for kind in (
            RecordType.TRADE, RecordType.STATUS, RecordType.DIRECTORY))
        with m.If(class_2.is_trade & _bit(trade.flags, TradeFlag.PRINTABLE)):
            m.d.comb += [after.last_price.eq(trade.price), after.last_quantity.eq(trade.quantity)]
        with m.If(class_2.is_directory & is_watched_2):
            m.d.comb += [after.has_locate.eq(1), after.locate.eq(directory.locate)]
        for name in STATUS_FIELDS:
            with m.If(messages.changes[name]):
                m.d.comb += after.status[name].eq(status[name])

        locate_2, shown_2 = Signal(LINE["locate"].width), Signal(LINE["flags"].width)
        first_2 = Mux(self.watch_all, instrument[AHEAD + BODY_AGE], 0)
        m.d.comb += [locate_2.eq(Mux(row.has_locate, row.locate, first_2)),
                     shown_2.eq(flags_2 | _flags(zip(_FEED_FLAGS, feed_2, strict=True)))]
        body_2 = Signal(BODY)
        m.d.comb += body_2.eq(self._fill_in(
            m, messages.body, class_2, after, locate_2, shown_2,
            Mux(is_watched_2, row.version, 0)))
        with m.If(class_2.is_market):
            m.d.comb += data.View(BODIES[RecordType.STATUS], body_2).flags.eq(
                _flags(zip(_FEED_FLAGS, feed_2, strict=True)))

        # Age 3: nothing but registers, which hold until the next operation comes here.
        held = {}
        for name, value in (("body", body_2), ("quote", quote_2), ("flags", shown_2),
                            ("locate", locate_2), ("checksum", later(books.last.checksum,
                                                                     "checksum", 1))):
            held[name] = Signal(value.shape(), name=f"{name}_3")
            with m.If(is_valid_2):
                m.d.sync += held[name].eq(value)
        if self._has_levels:
            body, found_version = data.View(BODIES[RecordType.BBO], held["body"]), Signal(
                FOUND["book_version"].shape)
            with m.If(is_valid_2):
                m.d.sync += found_version.eq(row.version)
            m.d.comb += [
                self.o_found.timestamp.eq(body.timestamp),
                self.o_found.feed_sequence.eq(body.feed_sequence),
                self.o_found.locate.eq(held["locate"]), self.o_found.book_version.eq(found_version)]
        has_record = later(class_2.as_value().any(), "has_record", 1)
        is_bbo, is_new = later(is_bbo_2, "is_bbo", 1), later(is_new_2, "is_new", 1)
        kind = later(_kind(class_2), "record_kind", 1)
        is_late = later(is_bbo & has_record, "is_late", 1)
        line, bbo = self.state.p.line, Signal(BODIES[RecordType.BBO])
        self._fill_line(m, line, held, lines.last)
        m.d.comb += [bbo[name].eq(line[name]) for name in dict(bbo.shape()) if name in dict(LINE)]
        # All records have their latency at the same place, where bodies have 0.
        told = Signal(BODIES[RecordType.BBO])
        m.d.comb += [
            bbo.book_version.eq(line.version), self.state.valid.eq(is_new),
            self.state.p.instrument.eq(instrument[AHEAD + RECORD_AGE]),
            self.o.valid.eq(has_record | is_bbo | is_late),
            self.o.p.kind.eq(Mux(has_record, kind, RecordType.BBO.value)),
            told.eq(Mux(has_record, held["body"], bbo.as_value())),
            told.latency_ns.eq(latency_3), self.o.p.octets.eq(told)]

    def _quote(self, m: Module, books: Rows) -> tuple:
        """Return at age 2 what a reader sees of both sides, and its flags without the feed's."""
        visible, quote, flags = books.last.visible, Signal(_QUOTE), Signal(LINE["flags"].width)
        too_much = []
        for side in SIDES:
            level = visible[side].level
            for name, value in (("quantity", level.shares), ("orders", level.orders)):
                field = quote[f"{side}_{name}"]
                is_too_much = value[len(field):].any()
                too_much.append(is_too_much)
                m.d.sync += field.eq(value[:len(field)] | is_too_much.replicate(len(field)))
            m.d.sync += quote[f"{side}_price"].eq(visible[side].price)
        bid, ask = (visible[side].price for side in SIDES)
        m.d.sync += flags.eq(_flags((
            (BookFlag.CROSSED, (bid >= ask) & bid.any() & ask.any()),
            (BookFlag.SATURATED, Cat(too_much).any()), (BookFlag.DESYNCED, visible.is_desynced),
            (BookFlag.BID_HIDDEN, visible.bid.is_hidden),
            (BookFlag.ASK_HIDDEN, visible.ask.is_hidden))))
        return quote, flags

    def _fill_in(self, m: Module, given: Value, which: RecordClass, after: data.View,
                 locate: Value, flags: Value, version: Value) -> Value:
        """Return a message's record with what is kept of its instrument."""
        found = Signal(BODY)
        status, trade, imbalance, directory = (data.View(BODIES[kind], found) for kind in (
            RecordType.STATUS, RecordType.TRADE, RecordType.IMBALANCE, RecordType.DIRECTORY))
        m.d.comb += found.eq(given)
        with m.If(which.is_status):
            m.d.comb += [status[name].eq(after.status[name]) for name in STATUS_FIELDS]
            m.d.comb += [status.locate.eq(locate), status.flags.eq(flags),
                         status.book_version.eq(after.version)]
        with m.Elif(which.is_trade):
            m.d.comb += [trade.locate.eq(locate), trade.book_version.eq(after.version)]
        with m.Elif(which.is_imbalance):
            m.d.comb += [imbalance.locate.eq(locate), imbalance.book_version.eq(after.version)]
        with m.Elif(which.is_directory):
            m.d.comb += directory.book_version.eq(version)
        return found

    def _fill_line(self, m: Module, line: data.View, held: dict, kept: data.View) -> None:
        """Compose the state line of registers alone."""
        message = data.View(BODIES[RecordType.BBO], held["body"])
        m.d.comb += [getattr(line, name).eq(held["quote"][name]) for name in dict(_QUOTE)]
        m.d.comb += [
            line.version_head.eq(kept.version), line.version.eq(kept.version),
            line.locate.eq(held["locate"]), line.trading_state.eq(kept.status.trading_state),
            line.flags.eq(held["flags"]), line.timestamp.eq(message.timestamp),
            line.feed_sequence.eq(message.feed_sequence), line.last_price.eq(kept.last_price),
            line.last_quantity.eq(kept.last_quantity), line.book_checksum.eq(held["checksum"])]


def _bit(value: Value, flag: int) -> Value:
    """Bit of ``value`` that is ``flag``."""
    return value[int(flag).bit_length() - 1]


def _flags(flags) -> Value:
    """Return an octet of the flags whose conditions hold, of pairs of both."""
    held = {int(flag).bit_length() - 1: is_set for flag, is_set in flags}
    return Cat(held.get(place, 0) for place in range(8))


def _kind(which: RecordClass) -> Value:
    """Return the RecordType of a class."""
    found = Value.cast(0)
    for name, kind in (("is_trade", RecordType.TRADE), ("is_status", RecordType.STATUS),
                       ("is_market", RecordType.STATUS), ("is_imbalance", RecordType.IMBALANCE),
                       ("is_directory", RecordType.DIRECTORY),
                       ("is_feed", RecordType.FEED_STATE)):
        found = found | Mux(getattr(which, name), kind.value, 0)
    return found
