"""Refill: levels for lists that have become short, from the book itself, one side at a time.

The book is some 40 cycles behind what the lists know. So a side is looked at, then the book is
waited for until it has done everything that the list had seen, then the next level is looked up:
nothing that came meanwhile can have changed it, unless it changed a level that is not listed, and
that is told (``shaken``): then all is void.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import WINDOW_WORD, Geometry
from tickwire_hw.commit import LOOK_UP_AGE
from tickwire_hw.grid import KEY_AGE, PRICE_AGE
from tickwire_hw.level_table import LEVEL, level_key
from tickwire_hw.logic import encode, lowest, select, stages
from tickwire_hw.order_table import PRICE
from tickwire_hw.ram import RAM, READ_AGE
from tickwire_hw.sweep import KEY
from tickwire_hw.touch_rules import ENTRY, TouchKind, list_layout, operation_layout
from tickwire_hw.window import write_layout
from tickwire_hw.window_rules import TICK_BITS, row_layout

SERIAL = 9
"""Bits of the number of an operation; fewer than half as many are under way."""
_WORD_READ = 7                              # cycles from a word's place to its highest bit
assert 1 + PRICE_AGE + 1 + LOOK_UP_AGE >= _WORD_READ      # so they do while a level is asked
_GROUP = 8                                  # bits of a word that are looked at together


def book_ports(geometry: Geometry) -> dict[str, wiring.Member]:
    """Return what goes between a ``Refill`` and the book."""
    side = {"side": 1, "instrument": max(1, ceil_log2(geometry.instruments))}

    def request(**fields):
        return Out(stream.Signature(data.StructLayout({**side, **fields}), always_ready=True))
    return {
        "i_window": In(stream.Signature(write_layout(geometry), always_ready=True)),
        "o_price": request(price=PRICE), "o_key": request(key=signed(KEY)),
        "o_level": Out(stream.Signature(level_key(geometry), always_ready=True)),
        "is_granted": In(3), "i_key": In(signed(KEY)), "i_price": In(PRICE),
        "i_level": In(data.StructLayout({"found": 1, "value": LEVEL}))}


class Refill(wiring.Component):
    """Look the next level of a side up, for one that wants one; for as long as there are any.

    About 60 cycles for the first level of a side, 14 for each further one, more when the ports that
    it shares are taken; never holds anything up. Sides take turns.

    Members
    -------
    wants, row, shaken : ``In``
        Of ``Touch``.
    o : ``Out(stream.Signature(operation_layout(geometry), always_ready=True))``
        For ``Touch``, while ``is_taken`` is not set.
    is_taken : ``In(1)``
        The operation of ``o`` is done in this cycle.
    issued, done : ``In(9)``
        Operations that the lists have seen before this cycle, and those of them that are in the
        book: in the rows and words below, and for whoever asks for levels.
    i_window : ``In(stream.Signature({place, word, side, row}, always_ready=True))``
        Of ``Window``: what it writes.
    o_price, o_key, o_level : ``Out(stream.Signature(..., always_ready=True))``
        Requests to ``Grid`` and ``Commit``, while ``is_granted`` of the same number is not set.
    is_granted : ``In(3)``
        That request is asked in this cycle.
    i_key, i_price, i_level : ``In``
        Their answers, ``KEY_AGE``, ``PRICE_AGE`` and ``LOOK_UP_AGE`` cycles later.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._words, self._bits = geometry.window_words, max(1, ceil_log2(geometry.instruments))
        self._row, self._levels = row_layout(geometry), geometry.cached
        side = data.StructLayout({"side": 1, "instrument": self._bits})
        super().__init__({
            "wants": In(2 << self._bits), "row": In(list_layout(geometry)),
            "shaken": In(stream.Signature(side, always_ready=True)),
            "o": Out(stream.Signature(operation_layout(geometry), always_ready=True)),
            "is_taken": In(1), "issued": In(SERIAL), "done": In(SERIAL), **book_ports(geometry)})

    def elaborate(self, platform):
        """Return copies of the window's memory and the search."""
        m = Module()

        side = Signal(1 + self._bits)
        row, word, address = self._memory(m, side)
        list_, is_void, left = Signal(self.row.shape()), Signal(), Signal(range(16))
        known, serial = Signal(data.StructLayout({
            "has_level": 1, "key": signed(KEY), "count": range(self._levels + 1)})), Signal(SERIAL)
        found, floor, level = Signal(PRICE), Signal(PRICE), Signal(LEVEL)
        has_next = Signal()
        behind, lead = Signal(signed(SERIAL)), Signal(signed(SERIAL))
        has_caught_up, is_all = Signal(), Signal()
        asks_price, asks_floor, has_floor = Signal(), Signal(), Signal()
        instrument = side[1:]
        flip = side[0].replicate(PRICE)
        m.d.sync += [left.eq(left - left.any()), has_caught_up.eq(behind <= 0),
                     is_all.eq(row.levels == known.count + has_next)]
        m.d.comb += [behind.eq(serial - self.done), lead.eq(self.done - self.issued)]
        # What has come to the book but not to the lists would be seen too early.
        with m.If(self.shaken.valid & (Cat(self.shaken.p.side, self.shaken.p.instrument) == side)
                  | (lead > 0)):
            m.d.sync += is_void.eq(1)

        given = self.o.p
        m.d.comb += [
            given.instrument.eq(instrument), given.side.eq(side[0]), given.key.eq(found ^ flip),
            given.value.eq(level), given.reach.eq(floor ^ flip), given.adds.eq(has_next),
            given.is_all.eq(is_all)]
        for port in (self.o_price.p, self.o_key.p, self.o_level.p):
            m.d.comb += [port.side.eq(side[0]), port.instrument.eq(instrument)]
        last = data.View(ENTRY, _last(m, list_))
        m.d.comb += [self.o_price.p.price.eq(last.key ^ flip), self.o_level.p.price.eq(found)]

        is_own = Signal(init=1)
        lower, place, has_place = self._search(m, row, known, word)
        searched = Signal(WINDOW_WORD)
        m.d.comb += searched.eq(Mux(is_own, lower, word))
        has_bit, next_bit = _highest(m, searched, _GROUP, "bit")
        floor_word, distance = row.floor.shift_right(TICK_BITS), Signal.like(place)
        word_key = Signal(signed(KEY - TICK_BITS))
        m.d.sync += [distance.eq(place - floor_word[:len(place)]),
                     word_key.eq(floor_word + distance)]
        m.d.comb += address.eq(Mux(is_own, known.key.shift_right(TICK_BITS), place))

        def goes(state: str, cycles: int = 0) -> None:
            """Go to a state that is left that many cycles after its first one."""
            m.next = state
            m.d.sync += left.eq(cycles)

        # The floor of the window is asked once, beside the search: it moves with new levels only.
        is_floor = self.is_granted[1] & asks_floor & ~asks_price
        m.d.comb += [self.o_key.valid.eq(asks_price | asks_floor),
                     self.o_key.p.key.eq(Mux(asks_price, known.key, row.floor))]
        with m.If(is_floor):
            m.d.sync += asks_floor.eq(0)
        with m.If(stages(m, is_floor, PRICE_AGE, "is_floor")[-1]):
            m.d.sync += [floor.eq(self.i_price), has_floor.eq(1)]
        with m.FSM():
            with m.State("Scan"):
                with m.If(self.wants.bit_select(side, 1)):
                    goes("Show")
                with m.Else():
                    m.d.sync += side.eq(side + 1)
            with m.State("Show"):
                m.d.comb += [self.o.valid.eq(1), given.kind.eq(TouchKind.SHOW)]
                with m.If(self.is_taken):
                    m.d.sync += [serial.eq(self.issued), is_void.eq(0)]
                    goes("Keep")
            with m.State("Keep"):
                m.d.sync += [list_.eq(self.row), known.has_level.eq(self.row.used[0]),
                             known.count.eq(sum(self.row.used))]
                with m.If(self.row.more & ~self.row.used[-1]):
                    goes("Ask-Key")
                with m.Else():
                    goes("Leave")
            with m.State("Ask-Key"):
                m.d.comb += self.o_price.valid.eq(known.has_level)
                with m.If(~known.has_level | self.is_granted[0]):
                    goes("Key", KEY_AGE - 1)
            with m.State("Key"), m.If(left == 0):
                m.d.sync += known.key.eq(self.i_key)
                goes("Wait")
            with m.State("Wait"):
                with m.If(is_void):
                    goes("Leave")
                with m.Elif(has_caught_up):
                    m.d.sync += [asks_floor.eq(1), has_floor.eq(0)]
                    goes("Row", _WORD_READ)
            with m.State("Row"), m.If(left == 0):
                m.d.sync += has_next.eq(has_bit)
                with m.If(has_bit):
                    m.d.sync += known.key.eq(Cat(next_bit, known.key.shift_right(TICK_BITS)))
                    goes("Ask-Price")
                with m.Else():
                    goes("Word", _WORD_READ)
            with m.State("Word"):
                m.d.comb += is_own.eq(0)
                with m.If(left == 0):
                    m.d.sync += [has_next.eq(has_place), known.key.eq(Cat(next_bit, word_key))]
                    goes("Ask-Price")
            with m.State("Ask-Price"):          # from here on the one behind it is searched
                m.d.sync += known.has_level.eq(1)
                m.d.comb += asks_price.eq(1)
                with m.If(self.is_granted[1]):
                    goes("Price", PRICE_AGE - 1)
            with m.State("Price"), m.If(left == 0):
                m.d.sync += found.eq(self.i_price)
                goes("Ask-Level")
            with m.State("Ask-Level"):
                m.d.comb += self.o_level.valid.eq(has_next)
                with m.If(~has_next | self.is_granted[2]):
                    goes("Level", LOOK_UP_AGE - 1)
            with m.State("Level"), m.If(left == 0):
                m.d.sync += level.eq(self.i_level.value)
                with m.If(has_next & ~self.i_level.found):
                    goes("Leave")
                with m.Else():
                    goes("Append")
            with m.State("Append"):
                m.d.comb += [self.o.valid.eq(~is_void & has_floor),
                             given.kind.eq(TouchKind.APPEND)]
                with m.If(is_void | self.is_taken & (given.is_all | ~has_next
                                                     | (known.count == self._levels - 1))):
                    goes("Leave")
                with m.Elif(self.is_taken):
                    m.d.sync += known.count.eq(known.count + 1)
                    goes("Row")
            with m.State("Leave"):
                m.d.sync += [side.eq(side + 1), asks_floor.eq(0)]
                goes("Scan")

        return m

    def _memory(self, m: Module, side: Signal) -> tuple:
        """Add copies of rows and words; return the row and the word, and the word's place."""
        m.submodules.rows = rows = RAM(self._row, 2 << self._bits)
        m.submodules.bits = bits = RAM(WINDOW_WORD, 2 * self._words << self._bits)
        written, is_written = (stages(m, value, 1, name)[1] for value, name in (
            (self.i_window.p, "written"), (self.i_window.valid, "is_written")))
        place, where = Signal(ceil_log2(self._words)), Cat(written.side, written.instrument)
        asked = stages(m, place, 1, "asked")[1]
        m.d.comb += [
            rows.write_enable.eq(is_written), rows.write_address.eq(where),
            rows.write_data.eq(written.row), rows.read_address.eq(side),
            bits.write_enable.eq(is_written),
            bits.write_address.eq(Cat(written.place, where)), bits.write_data.eq(written.word),
            bits.read_address.eq(Cat(asked, side))]
        found = []
        for ram, data_, name in ((rows, written.row, "row"), (bits, written.word, "word")):
            value, is_hit = Signal(data_.shape(), name=name), Signal(name=f"{name}_is_hit")
            m.d.comb += is_hit.eq(ram.write_enable & (ram.write_address == ram.read_address))
            # What is read while it is written is nothing, and what was read before is old.
            skips = stages(m, is_hit, READ_AGE, f"{name}_skip")[1:]
            with m.If(is_hit):
                m.d.sync += value.eq(data_)
            with m.Elif(~Cat(skips).any()):
                m.d.sync += value.eq(ram.read_data)
            found.append(value)
        return *found, place

    def _search(self, m: Module, row: data.View, known: data.View, word: Signal) -> tuple:
        """Return, each some cycles after what it needs is there: bits of the word below the key;
        the place of the next lower word, and whether there is one.
        """
        words, bits = self._words, ceil_log2(self._words)
        start = row.floor.shift_right(TICK_BITS)
        end = known.key.shift_right(TICK_BITS)
        distance, lower, below = Signal(bits), Signal(WINDOW_WORD), Signal(words)
        has_word, upper, nearest = Signal(), Signal(words), Signal(words)
        m.d.comb += upper.eq(Cat(below[place] & (start[:bits] > place) for place in range(words)))
        m.d.sync += [
            distance.eq(end - start),
            has_word.eq(known.has_level & row.summary.bit_select(end[:bits], 1)),
            below.eq(Cat(row.summary[place] & (~known.has_level | (
                (place - start[:bits])[:bits] < distance)) for place in range(words))),
            nearest.eq(Mux(upper.any(), upper, below)),
            lower.eq(Mux(has_word, word & Cat(known.key[:TICK_BITS] > place
                                              for place in range(WINDOW_WORD)), 0))]
        has_place, place = _highest(m, nearest, min(words, _GROUP), "place")
        return lower, place, has_place


def _highest(m: Module, bits: Value, group: int, name: str) -> tuple[Signal, Signal]:
    """Return whether a bit is set, and the place of the highest one, two cycles later."""
    found = []
    for at in range(0, len(bits), group):
        part = bits[at:at + group]
        found.append((stages(m, part.any(), 1, f"{name}_any_{at}")[1],
                      stages(m, encode(_top(m, part, f"{name}_{at}")), 1, f"{name}_in_{at}")[1]))
    has = Cat(any_ for any_, _ in found)
    first = _top(m, has, f"{name}_group")
    place = Cat(select(*zip(first, (top for _, top in found), strict=True)), encode(first))
    return (stages(m, has.any(), 1, f"{name}_is_any")[1],
            stages(m, place[:ceil_log2(len(bits))], 1, f"{name}_found")[1])


def _top(m: Module, bits: Value, name: str) -> Value:
    """Return a one-hot choice of the highest bit that is set."""
    turned, first = (Signal(len(bits), name=f"{name}_{what}") for what in ("turned", "first"))
    m.d.comb += [turned.eq(bits[::-1]), first.eq(lowest(turned))]
    return first[::-1]


def _last(m: Module, list_: data.View) -> Signal:
    """Return the last entry that is used."""
    found = Signal(list_.entries[0].as_value().shape(), name="last")
    for place, entry in enumerate(list_.entries):
        with m.If(list_.used[place]):
            m.d.comb += found.eq(entry)
    return found
