"""Instrument filter: stock locates to instruments, as the directory names them (kernel ``status``).

A Stock Directory message names its locate, for itself and for whatever follows: the locate is the
instrument's whose symbol it is, or nobody's.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec import itch50
from tickwire.spec.geometry import Geometry
from tickwire_hw.logic import encode, equal_pieces, stages
from tickwire_hw.messages import field
from tickwire_hw.ram import RAM
from tickwire_hw.stream import offset_of
from tickwire_hw.wipe import Wipe

LOCATE = 8 * itch50.ADD_ORDER.field("stock_locate")[0].size
SYMBOL = 8 * itch50.STOCK_DIRECTORY.field("stock")[0].size
NAMED_SIZE = offset_of(itch50.STOCK_DIRECTORY, "stock") + SYMBOL // 8
"""Octets of a message up to the end of a directory's symbol."""
ENTRY_AGE = 2
"""Cycles from a message to its entry."""


def entry_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what is known of a locate; ``is_beyond``: no instrument has such a number."""
    return data.StructLayout({"is_watched": 1, "is_beyond": 1,
                              "instrument": max(1, ceil_log2(geometry.instruments))})


def taught_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what the directory teaches: this instrument has this locate, or nobody has it."""
    return data.StructLayout({"locate": LOCATE, "is_watched": 1,
                              "instrument": entry_layout(geometry)["instrument"].shape})


class InstrumentFilter(wiring.Component):
    """Find the instrument of a message's locate; learn locates from the directory.

    The entry comes 2 cycles after its message. Takes a message in every cycle; each sees what all
    before it and it itself have taught. Never exerts backpressure and loses nothing. Symbols are
    compared all at once: the card watches few.

    Members
    -------
    ready : ``Out(1)``
        Whether it knows no locate of an earlier run: 65,536 cycles after a reset, see ``Wipe``.
    watch_all : ``In(1)``
        Every locate from 1 to below ``instruments`` is the instrument of its number, and the
        directory teaches nothing. A number above is ``is_beyond``.
    i_watch : ``In(stream.Signature({instrument, symbol}, always_ready=True))``
        Symbol of an instrument, 8 octets with the first one highest, no two alike; 0 for none. Not
        while messages come.
    i : ``In({is_directory, data})``
        A message, and whether it is there and a readable Stock Directory message.
    o : ``Out(entry_layout(geometry))``
        Its entry. Nothing is watched at configuration.
    o_taught : ``Out(stream.Signature(taught_layout(geometry), always_ready=True))``
        Two cycles after any message of the directory: what it teaches.
    has_symbol : ``Out(instruments)``
        Instruments that are watched, whether the directory has named them or not.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry, self._entry = geometry, entry_layout(geometry)
        super().__init__({
            "ready": Out(1), "watch_all": In(1),
            "i_watch": In(stream.Signature(data.StructLayout(
                {"instrument": self._entry["instrument"].shape, "symbol": SYMBOL}),
                always_ready=True)),
            "i": In(data.StructLayout({"is_directory": 1, "data": 8 * NAMED_SIZE})),
            "o": Out(self._entry), "has_symbol": Out(geometry.instruments),
            "o_taught": Out(stream.Signature(taught_layout(geometry), always_ready=True))})

    def elaborate(self, platform):
        """Return symbols and locates; a number behind a name is the age of the message."""
        m = Module()

        count, instrument = self._geometry.instruments, self._entry["instrument"].width
        locate = field(self.i.data, itch50.STOCK_DIRECTORY, "stock_locate")
        symbol = field(self.i.data, itch50.STOCK_DIRECTORY, "stock")
        locates = stages(m, locate, ENTRY_AGE, "locate")
        is_directory_1 = stages(m, self.i.is_directory & ~self.watch_all, 1, "is_directory")[1]

        symbols = Array(Signal(SYMBOL, name=f"symbol_{number}") for number in range(count))
        given = self.i_watch.p
        with m.If(self.i_watch.valid):
            m.d.sync += symbols[given.instrument].eq(given.symbol)
        has_symbol = Cat(known.any() for known in symbols)
        m.d.comb += self.has_symbol.eq(Mux(self.watch_all, (1 << count) - 2, has_symbol))
        same_1 = [stages(m, Cat(equal_pieces(symbol, known), known.any()), 1, f"same_{number}")[1]
                  for number, known in enumerate(symbols)]
        hits_1 = Cat(same.all() & is_directory_1 for same in same_1)
        hits_2 = stages(m, hits_1, 1, "hits")[1]

        lesson = data.StructLayout({"is_taught": 1, "is_watched": 1, "instrument": instrument})
        found, before, last = (Signal(lesson, name=name) for name in ("found", "before", "last"))
        m.d.comb += [
            found.is_taught.eq(stages(m, is_directory_1, 1, "is_directory_now")[1]),
            found.is_watched.eq(stages(m, hits_1.any(), 1, "is_hit")[1]),
            found.instrument.eq(encode(hits_2)),
            self.o_taught.valid.eq(found.is_taught), self.o_taught.p.locate.eq(locates[-1]),
            self.o_taught.p.is_watched.eq(found.is_watched),
            self.o_taught.p.instrument.eq(found.instrument)]

        # What the last two messages have taught of the same locate, memory does not show yet. The
        # one before this is at age 2 when this is at age 1, so a register has the newer one.
        m.d.sync += before.eq(found)
        locate_before = stages(m, locates[-1], 1, "locate_before")[1]
        is_newer = found.is_taught & (locates[1] == locates[2])
        is_older = before.is_taught & (locates[1] == locate_before)
        m.d.sync += [
            last.is_taught.eq(is_newer | is_older),
            last.is_watched.eq(Mux(is_newer, found.is_watched, is_older & before.is_watched)),
            last.instrument.eq(Mux(is_newer, found.instrument, before.instrument))]
        m.submodules.entries = entries = RAM(
            data.StructLayout({"is_watched": 1, "instrument": instrument}), 1 << LOCATE)
        m.submodules.wipe = wipe = Wipe(1 << LOCATE)
        m.d.comb += [
            self.ready.eq(wipe.ready), entries.read_address.eq(locate),
            entries.write_enable.eq(found.is_taught | ~wipe.ready),
            entries.write_address.eq(Mux(wipe.ready, locates[-1], wipe.row)),
            entries.write_data.is_watched.eq(wipe.ready & found.is_watched),
            entries.write_data.instrument.eq(found.instrument)]

        is_beyond_2, is_within_2 = (stages(m, bit, ENTRY_AGE, name)[-1] for name, bit in (
            ("is_beyond", locate >= count), ("is_within", (locate < count) & locate.any())))
        read = entries.read_data
        with m.If(self.watch_all):
            m.d.comb += [self.o.instrument.eq(locates[-1]), self.o.is_beyond.eq(is_beyond_2),
                         self.o.is_watched.eq(is_within_2)]
        with m.Else():
            m.d.comb += [
                self.o.is_watched.eq(found.is_watched | ~found.is_taught & (
                    last.is_watched | ~last.is_taught & read.is_watched)),
                self.o.instrument.eq(Mux(found.is_taught, found.instrument, Mux(
                    last.is_taught, last.instrument, read.instrument)))]
        return m
