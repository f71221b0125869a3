"""Whether a price is a tick, two cycles after it came: for the tick sizes that equities have.

``Grid`` serves every tick size and takes 8 cycles. Here a price is divided by 25, by the sum of
what each seven of its bits leave over, and by 2 or 4.
"""

from functools import reduce
from operator import add

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import CENT_TICK, DOLLAR, FINE_TICK, WINDOW_WORD, Geometry
from tickwire_hw.grid import grid_layout
from tickwire_hw.logic import select, stages
from tickwire_hw.order_table import PRICE

AGE = 4
"""Cycles from a price to what is known of it."""
HALF_TICK = CENT_TICK // 2
_ODD = 25                                   # of both coarse ticks
_CHUNK = 7                                  # bits whose remainder one look-up table gives
assert HALF_TICK % _ODD == 0 and HALF_TICK // _ODD == 2 and FINE_TICK == 1


class Tick(enum.Enum, shape=unsigned(3)):
    """Tick size of an instrument."""

    NONE = 0             # from the first order, see ``Grid``
    FINE = 1
    HALF = 2
    CENT = 3
    OTHER = 4            # one for which nothing is known here


_SIZES = {Tick.FINE: FINE_TICK, Tick.HALF: HALF_TICK, Tick.CENT: CENT_TICK}


class EarlyGrid(wiring.Component):
    """Tell whether a price is a tick of its instrument, and how far the window reaches below it.

    A price each cycle. Never exerts backpressure. Tick sizes are not set at configuration.

    Members
    -------
    i_write : ``In(stream.Signature({instrument, row}, always_ready=True))``
        Sets the tick size of an instrument, as of ``Grid``; not while prices come.
    price : ``In(31)``
        A price.
    soon : ``In(range(instruments))``
        One cycle later: its instrument.
    o_soon : ``Out({is_tick, is_low})``
        Two cycles later: the price is a tick of it for sure; as below.
    instrument : ``In(range(instruments))``
        Two cycles later: its instrument.
    is_first : ``In(1)``
        Four cycles later: if the instrument has no tick size, it gets one by this price.
    o : ``Out({on_grid, is_unsure, is_low, reach})``
        Four cycles later: whether it is a tick, or that is not known; whether a bid would be below
        every window; and, of both sides, the key down to which the window reaches at most if
        the price is the best one.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        self._span = geometry.window_words // 4 * 3 * WINDOW_WORD      # see window_rules, moved
        bits = max(1, ceil_log2(geometry.instruments))
        super().__init__({
            "i_write": In(stream.Signature(grid_layout(geometry), always_ready=True)),
            "price": In(PRICE), "soon": In(bits), "instrument": In(bits), "is_first": In(1),
            "o_soon": Out(data.StructLayout({"is_tick": 1, "is_low": 1})),
            "o": Out(data.StructLayout({
                "on_grid": 1, "is_unsure": 1, "is_low": 1,
                "reach": data.ArrayLayout(PRICE, 2)}))})

    def elaborate(self, platform):
        """Return tick sizes and remainders; a number behind a name is the age of the price."""
        m = Module()

        m.submodules.ticks = ticks = memory.Memory(shape=Tick, depth=self._instruments, init=[])
        write, soon, late = (ticks.write_port(), ticks.read_port(domain="comb"),
                             ticks.read_port(domain="comb"))
        prices = stages(m, self.price, AGE, "price")
        is_low = [None, *stages(m, prices[1] < DOLLAR, 2, "is_low")]
        own = Mux(is_low[2], Tick.FINE, Tick.CENT)
        # What an order decides in this cycle holds in the next one, in which this is looked at.
        own_4 = stages(m, own, 2, "own")[2]
        address_4 = stages(m, self.instrument, 2, "instrument")[2]
        is_first_4 = Signal()
        known = Mux(is_first_4 & (address_4 == self.instrument), own_4, late.data)
        is_new = stages(m, known == Tick.NONE, 2, "is_new")
        given = Signal(Tick)
        with m.Switch(self.i_write.p.row.tick):
            with m.Case(0):
                m.d.comb += given.eq(Tick.NONE)
            for tick, size in _SIZES.items():
                with m.Case(size):
                    m.d.comb += given.eq(tick)
            with m.Default():
                m.d.comb += given.eq(Tick.OTHER)
        m.d.comb += [
            soon.addr.eq(self.soon), late.addr.eq(self.instrument),
            is_first_4.eq(self.is_first & is_new[2]), write.en.eq(self.i_write.valid | is_first_4),
            write.addr.eq(Mux(self.i_write.valid, self.i_write.p.instrument, address_4)),
            write.data.eq(Mux(self.i_write.valid, given, own_4))]

        # Ages 0 to 2: the remainder by 25, which is 0 for a sum of 0, 25, 50 ...
        parts = [stages(m, Array(C(place * pow(2, at, _ODD) % _ODD, _ODD.bit_length())
                                 for place in range(1 << _CHUNK))[self.price[at:at + _CHUNK]], 1,
                        f"part_{at}")[1] for at in range(0, PRICE, _CHUNK)]
        total = reduce(add, parts)
        most = (_ODD - 1) * len(parts)
        is_odd_free = stages(m, Cat(total == multiple for multiple in range(0, most + 1, _ODD))
                             .any(), AGE - 2, "is_odd_free")
        tick_2 = stages(m, soon.data, 1, "tick")[1]
        tick_3 = stages(m, Mux(is_new[0], own, known), 1, "tick_late")[1]
        m.d.comb += [self.o_soon.is_tick.eq(_is_tick(tick_2, is_odd_free[1], prices[2])),
                     self.o_soon.is_low.eq(_is_low(tick_2, is_low[2]))]

        # Ages 3 and 4. Whether a window would begin below 0, is known with the price.
        sizes = [tick_3 == tick for tick in _SIZES]
        spans = [self._span * size for size in _SIZES.values()]
        m.d.sync += [
            self.o.on_grid.eq(_is_tick(tick_3, is_odd_free[2], prices[3])),
            self.o.is_unsure.eq(tick_3 == Tick.OTHER),
            self.o.is_low.eq(_is_low(tick_3, is_low[3]))]
        for side in range(2):
            key_2, key_3 = (~price if side else price for price in prices[2:4])
            is_short = stages(m, Cat(key_2 < span for span in spans), 1, f"is_short_{side}")[1]
            reach = key_3 - select(*zip(sizes, spans, strict=True))
            can_reach = select(*zip(sizes, ~is_short, strict=True))
            m.d.sync += self.o.reach[side].eq(Mux(can_reach, reach[:PRICE], 0))

        return m


def _is_tick(tick: Value, is_odd_free: Value, price: Value) -> Value:
    """Whether a price is a multiple of the tick, for the sizes that are known here."""
    return ((tick == Tick.FINE) | is_odd_free & ~price[0]
            & ((tick == Tick.HALF) | (tick == Tick.CENT) & ~price[1]))


def _is_low(tick: Value, is_low: Value) -> Value:
    """Whether a bid is below every window, at a price that is below a dollar or not."""
    return (tick != Tick.FINE) & is_low
