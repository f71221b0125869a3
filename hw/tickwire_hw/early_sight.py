"""What a BBO record will show, as soon as the early port has it and nothing else is under way."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.itch50 import STOCK_DIRECTORY
from tickwire.spec.records import STATE_LINE, BookFlag
from tickwire_hw.early import ADD_AGE, ANSWER_AGE
from tickwire_hw.early_port import early_layout
from tickwire_hw.feed_port import EventKind, FeedEvent
from tickwire_hw.levels import LATEST as LEVELS_LATEST
from tickwire_hw.locates import Locates
from tickwire_hw.logic import stages
from tickwire_hw.messages import field
from tickwire_hw.records import line_layout
from tickwire_hw.touch import BESTS
from tickwire_hw.triggers_port import Sight

LATEST = 255
"""Cycles within which a record comes, whatever waits before it: 54 and what 32 events take."""
_EXECUTIONS = b"EC"
_OF_ALL = b"RSVW"                          # types that are about no instrument, or about all
_LINE = line_layout(STATE_LINE)
_QUOTE = data.StructLayout({name: _LINE[name].width for name in (
    "bid_price", "ask_price", "bid_quantity", "ask_quantity", "bid_orders", "ask_orders",
    "flags")})


class EarlySight(wiring.Component):
    """Tell triggers of a message's BBO record before there is one, in the cycle of its answer.

    It tells only what the record is sure to say: both best levels are known, no flag but CROSSED
    can be on, and the last state line shows another quote, so that a record comes. And only of
    a message that comes alone: the event before it that means something to a watched book, or to
    all, was so long ago that its last record is out. Then the last state line is what the
    message found. Whatever is not told here is told by the record, so it is with an execution that
    does not print. Messages of other instruments, however many, change nothing.

    Latency 0; nothing is held back. Quotes are RAM, zero at configuration; reset clears nothing,
    and then the first record of an instrument may not be told ahead.

    Members
    -------
    i, i_taught : ``In(stream.Signature(..., always_ready=True))``
        As of ``Sequencer`` and ``Locates``.
    early, early_add, early_glimpse : ``In(stream.Signature(early_layout(geometry), ...))``
        ``o``, ``o_add`` and ``o_glimpse`` of ``Early``.
    watch_all : ``In(1)``
        As of ``InstrumentFilter``; locate 0 is no instrument of triggers.
    lines : ``In(stream.Signature({instrument, line}, always_ready=True))``
        State lines.
    o : ``Out(stream.Signature(Sight, always_ready=True))``
        What the record of a message will show.
    o_glimpse : ``Out(stream.Signature(Sight, always_ready=True))``
        Of an added order that comes alone, one cycle before ``o``: what that will be, if it comes
        in the next cycle.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._bits = max(1, ceil_log2(geometry.instruments))
        self._layout, self._locates = early_layout(geometry), Locates(geometry)
        # An event that marks or shows all takes two cycles an instrument.
        self._quiet = LATEST + 2 * geometry.instruments + (LEVELS_LATEST if geometry.depth else 0)
        answer = stream.Signature(self._layout, always_ready=True)
        super().__init__({
            "i": In(stream.Signature(FeedEvent, always_ready=True)),
            "i_taught": self._locates.signature.members["i_taught"], "early": In(answer),
            "early_add": In(answer), "early_glimpse": In(answer), "watch_all": In(1),
            "lines": In(stream.Signature(data.StructLayout(
                {"instrument": self._bits, "line": _LINE}), always_ready=True)),
            "o": Out(stream.Signature(Sight, always_ready=True)),
            "o_glimpse": Out(stream.Signature(Sight, always_ready=True))})

    def elaborate(self, platform):
        """Return the wait for silence, the newest quotes, and what is compared with them."""
        m = Module()

        m.submodules.locates = locates = self._locates
        connect(m, flipped(self.i_taught), locates.i_taught)
        event, idle, is_telling = self.i.p, Signal(range(self._quiet + 1)), Signal()
        is_all, is_fed = Signal(), Signal()
        m.d.comb += [
            locates.watch_all.eq(self.watch_all), locates.locate.eq(
                field(event.message.data, STOCK_DIRECTORY, "stock_locate")),
            is_telling.eq(is_fed & (is_all | locates.o.is_watched))]
        m.d.sync += [is_fed.eq(self.i.valid), is_all.eq((event.kind != EventKind.MESSAGE) | Cat(
            event.message.data[:8] == letter for letter in _OF_ALL).any())]
        with m.If(is_telling):
            m.d.sync += idle.eq(0)
        with m.Elif(idle != self._quiet):
            m.d.sync += idle.eq(idle + 1)
        is_alone = Signal()
        m.d.comb += is_alone.eq(is_telling & (idle == self._quiet))
        alone = [None, *stages(m, is_alone, ANSWER_AGE - 1, "alone")]
        m.d.comb += self.o_glimpse.valid.eq(alone[ADD_AGE - 1] & self.early_glimpse.valid)

        # The quote of an instrument whose message comes alone stays as it is until the answer.
        m.submodules.quotes = quotes = memory.Memory(shape=_QUOTE, depth=1 << self._bits, init=[])
        read, write = quotes.read_port(domain="comb"), quotes.write_port()
        line, before = self.lines.p.line, Signal(_QUOTE)
        m.d.comb += [
            read.addr.eq(locates.o.instrument), write.en.eq(self.lines.valid),
            write.addr.eq(self.lines.p.instrument)]
        m.d.comb += [write.data[name].eq(line[name]) for name in dict(_QUOTE)]
        with m.If(is_alone):
            m.d.sync += before.eq(read.data)

        # An added order that comes alone, and is in a best level, makes of it what was glimpsed.
        added, given, is_add = Signal(self._layout), Signal(self._layout), alone[ADD_AGE]
        glimpsed = Signal(BESTS)
        m.d.sync += glimpsed.eq(self.early_glimpse.p.bests)
        m.d.comb += [added.eq(self.early_add.p), added.bests.eq(glimpsed)]
        m.d.comb += given.eq(Mux(is_add, added, self.early.p))

        shown = self.o.p
        m.d.comb += [
            self.o.valid.eq(Mux(
                is_add, self.early_add.valid & added.is_touched & self._shows(before, added),
                alone[ANSWER_AGE] & self.early.valid & ~self.early.p.is_repeated
                & self._shows(before, self.early.p))),
            shown.last.eq(given.traded)]
        for sight, answer in ((shown, given), (self.o_glimpse.p, self.early_glimpse.p)):
            m.d.comb += [
                sight.is_early.eq(1), sight.instrument.eq(answer.instrument),
                sight.timestamp.eq(answer.stamp), sight.sequence.eq(answer.sequence)]
            for best, price, quantity in zip(
                    answer.bests, (sight.bid, sight.ask), (sight.bid_quantity, sight.ask_quantity),
                    strict=True):
                m.d.comb += [price.eq(Mux(best.has_best, best.price, 0)),
                             quantity.eq(Mux(best.has_best, best.value.shares, 0))]

        return m

    def _shows(self, before, given) -> Value:
        """Whether a record comes of an answer, behind a quote, and shows just its best levels."""
        differs, is_sure = [], [
            ~given.is_desynced, ~given.feed_flags.any(),
            ~(before.flags & BookFlag.SATURATED.value).any(),
            ~self.watch_all | given.instrument.any(),
            given.traded.any() | ~Cat(given.letter == letter for letter in _EXECUTIONS).any()]
        for best, side in zip(given.bests, ("bid", "ask"), strict=True):
            level, was = best.value, {name: before[f"{side}_{name}"]
                                      for name in ("price", "quantity", "orders")}
            is_sure += [best.is_known, ~best.has_best | ~Cat(
                level.shares[len(was["quantity"]):], level.orders[len(was["orders"]):]).any()]
            differs += [Mux(best.has_best, now[:len(was[name])], 0) != was[name] for name, now in (
                ("price", best.price), ("quantity", level.shares), ("orders", level.orders))]
        return Cat(is_sure).all() & Cat(differs).any()
