"""Tick grids: prices to tick keys and back (kernel ``window``: ``tick_key``, ``price_of``).

A price becomes the number of its tick by one product and a shift, exactly; see
:func:`tickwire.kernels.window.set_grid` for the numbers and the proof.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import CENT_TICK, DOLLAR, FINE_TICK, GRID_SHIFT, Geometry, tick_grid
from tickwire_hw.logic import stages
from tickwire_hw.order_table import PRICE
from tickwire_hw.product import AGE as PRODUCT_AGE
from tickwire_hw.product import product
from tickwire_hw.sweep import KEY

_ROW_AGE = 2                                # cycles from a price to its row in a register
KEY_AGE = _ROW_AGE + 2 * PRODUCT_AGE + 2
"""Cycles from a price to its tick key."""
PRICE_AGE = 1 + PRODUCT_AGE
"""Cycles from a tick key to its price."""
TICK_BITS = 21                              # of a tick size, up to 2^20


ROW = data.StructLayout({"tick": TICK_BITS, "bits": TICK_BITS.bit_length(), "multiplier": 32,
                         "least": DOLLAR.bit_length()})
"""What is kept of an instrument's grid."""


def grid_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of what sets the grid of an instrument."""
    return data.StructLayout({"instrument": max(1, ceil_log2(geometry.instruments)), "row": ROW})


class Grid(wiring.Component):
    """Turn prices into tick keys and tick keys into prices, by the grids of all instruments.

    Takes a price, and two tick keys, in every cycle; keys follow 8 cycles, prices 3 cycles later.
    Never exerts backpressure. Tick sizes are 0 at configuration.

    Members
    -------
    i : ``In({instrument, side, price, is_first})``
        ``is_first``: if the instrument has no tick size yet, it gets one by this price, for the
        prices that come two cycles later and after.
    o : ``Out({key, on_grid, least_floor})``
        The tick key of the price rounded down to the grid, whether nothing was rounded, and the
        lowest floor that a window of that side may have.
    i_key, i_ask : ``In({instrument, side, key})``
        Tick keys.
    o_price, o_asked : ``Out(31)``
        Their prices.
    i_write : ``In(stream.Signature({instrument, row}, always_ready=True))``
        Sets the grid of an instrument, see :func:`tickwire.spec.geometry.tick_grid`; not while
        prices come.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        side = {"side": 1, "instrument": max(1, ceil_log2(geometry.instruments))}
        key = data.StructLayout({**side, "key": signed(KEY)})
        super().__init__({
            "i": In(data.StructLayout({**side, "price": PRICE, "is_first": 1})),
            "o": Out(data.StructLayout({"key": signed(KEY), "on_grid": 1,
                                        "least_floor": signed(KEY)})),
            "i_key": In(key), "o_price": Out(PRICE), "i_ask": In(key), "o_asked": Out(PRICE),
            "i_write": In(stream.Signature(grid_layout(geometry), always_ready=True))})

    def elaborate(self, platform):
        """Return the table and its products; a number behind a name is the age of the price."""
        m = Module()

        m.submodules.rows = rows = memory.Memory(shape=ROW, depth=self._instruments, init=[])
        write, read = rows.write_port(), rows.read_port()
        m.d.comb += [read.addr.eq(self.i.instrument), read.en.eq(1)]
        given = stages(m, self.i, KEY_AGE, "given")
        fine, cent = (ROW.const(tick_grid(size)) for size in (FINE_TICK, CENT_TICK))
        first_1, row_1 = Signal(ROW), Signal(ROW)
        m.d.comb += [first_1.eq(Mux(given[1].price < DOLLAR, fine, cent)),
                     row_1.eq(Mux(read.data.tick == 0, first_1, read.data)),
                     write.en.eq(self.i_write.valid | given[1].is_first & (read.data.tick == 0)),
                     write.addr.eq(Mux(self.i_write.valid, self.i_write.p.instrument,
                                       given[1].instrument)),
                     write.data.eq(Mux(self.i_write.valid, self.i_write.p.row, row_1))]
        kept = [None, *stages(m, row_1, KEY_AGE - 1, "row")]

        ages = _ROW_AGE + PRODUCT_AGE
        ticks = product(m, given[_ROW_AGE].price, kept[_ROW_AGE].multiplier, "ticks")
        number = Signal(PRICE)
        m.d.sync += number.eq((ticks >> GRID_SHIFT) >> kept[ages].bits)
        numbers = stages(m, number, PRODUCT_AGE, "number")
        floor = product(m, number, kept[ages + 1].tick, "floor", PRICE)
        last, number = given[KEY_AGE - 1], numbers[-1]
        m.d.sync += [
            self.o.on_grid.eq(floor == last.price),
            self.o.key.eq(Cat(number ^ last.side.replicate(PRICE), last.side)),
            self.o.least_floor.eq(Mux(last.side, (-1 << KEY - 1) + 1,
                                         kept[KEY_AGE - 1].least))]

        for asked, price, name in ((self.i_key, self.o_price, "key"),
                                   (self.i_ask, self.o_asked, "ask")):
            port = rows.read_port()
            m.d.comb += [port.addr.eq(asked.instrument), port.en.eq(1)]
            ticks = Signal(PRICE, name=f"{name}_ticks")
            m.d.sync += ticks.eq(asked.key[:PRICE] ^ asked.side.replicate(PRICE))
            m.d.comb += price.eq(product(m, ticks, port.data.tick, f"{name}_price", PRICE))

        return m
