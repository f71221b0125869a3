"""Prices of the open orders of each instrument: what an order could meet (kernel ``exposures``)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.orders import OWN_ORDERS
from tickwire_hw.logic import encode, lowest, stages
from tickwire_hw.order_rows import AMOUNT
from tickwire_hw.risk_port import KEY
from tickwire_hw.risk_rules import OWN_KEY
from tickwire_hw.wipe import Wipe

_COUNT = 32                                # orders that found no place


class OwnOperation(enum.Enum, shape=2):
    """What happens to the price of an order."""

    ENTER = 0
    MOVE = 1
    LEAVE = 2
    LOOK = 3


class OwnWish(data.Struct):
    """An order whose price is to be kept, moved or forgotten; LOOK changes nothing."""

    operation: OwnOperation
    instrument: 16
    is_sell: 1
    place: range(OWN_ORDERS + 1)           # but for ENTER
    price: AMOUNT                          # but for LEAVE


class OwnKeys(data.Struct):
    """Greatest price keys of open buys and sells, 0 none; and the place that ENTER found."""

    place: range(OWN_ORDERS + 1)
    buy: KEY
    sell: KEY


class _Side(data.Struct):
    keys: data.ArrayLayout(KEY, OWN_ORDERS)
    more: _COUNT
    more_key: KEY


class _Row(data.Struct):
    used: OWN_ORDERS
    sides: data.ArrayLayout(_Side, 2)


class OwnOrders(wiring.Component):
    """Keep the price keys of eight open orders of an instrument, and the best one of the others.

    Kernels: ``exposures.own_enter``, ``own_move``, ``own_leave``. A wish takes 7 cycles; its
    answer comes in the last of them. Zero at configuration and once it is ``ready`` after a reset.
    It never loses an order: one without a place counts among its side's others until none of them
    is open.

    Members
    -------
    ready : ``Out(1)``
        Whether all rows are clear, see ``Wipe``; wishes come only then.
    i : ``In(stream.Signature(OwnWish))``
        Wishes, one at a time.
    o : ``Out(stream.Signature(OwnKeys, always_ready=True))``
        The keys afterwards.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        super().__init__({"ready": Out(1), "i": In(stream.Signature(OwnWish)),
                          "o": Out(stream.Signature(OwnKeys, always_ready=True))})

    def elaborate(self, platform):
        """Return rows, and the steps of a wish."""
        m = Module()

        bits = max(1, ceil_log2(self._instruments))
        m.submodules.rows = rows = memory.Memory(shape=_Row, depth=1 << bits, init=[])
        read, write = rows.read_port(domain="comb"), rows.write_port()
        wish, row, after = Signal(OwnWish), Signal(_Row), Signal(_Row)
        place, key = Signal(range(OWN_ORDERS + 1)), Signal(KEY)
        is_full, has_place = row.used.all(), ~place[-1]
        assert 1 << len(place) - 1 == OWN_ORDERS
        m.submodules.wipe = wipe = Wipe(self._instruments)
        m.d.comb += [
            self.ready.eq(wipe.ready), read.addr.eq(self.i.p.instrument),
            write.addr.eq(Mux(wipe.ready, wish.instrument, wipe.row)),
            write.data.eq(row),                  # which is zero from a reset to the first wish
            key.eq(Mux(wish.is_sell, OWN_KEY - wish.price, wish.price)),
            place.eq(Mux(wish.operation == OwnOperation.ENTER, Mux(
                is_full, OWN_ORDERS, encode(Cat(lowest(~row.used)))), wish.place)),
            after.eq(row)]
        side, changed = row.sides[wish.is_sell], after.sides[wish.is_sell]
        is_leave = wish.operation == OwnOperation.LEAVE
        is_enter = wish.operation == OwnOperation.ENTER
        with m.If(wish.operation == OwnOperation.LOOK):
            pass
        with m.Elif(has_place):
            m.d.comb += [
                changed.keys[place[:-1]].eq(Mux(is_leave, 0, key)),
                after.used.bit_select(place[:-1], 1).eq(~is_leave)]
        with m.Elif(is_leave):
            m.d.comb += changed.more.eq(side.more - 1)
            with m.If(side.more == 1):
                m.d.comb += changed.more_key.eq(0)
        with m.Else():
            m.d.comb += [changed.more.eq(side.more + is_enter),
                         changed.more_key.eq(Mux(key > side.more_key, key, side.more_key))]

        found, ranks = [], 0
        for number in range(2):
            level = [row.sides[number].more_key, *(row.sides[number].keys[at]
                                                   for at in range(OWN_ORDERS))]
            ranks = 0
            while len(level) > 1:
                following = []
                for at in range(0, len(level), 2):
                    greatest = Signal(KEY, name=f"key_{number}_{ranks}_{at}")
                    pair = level[at:at + 2]
                    m.d.sync += greatest.eq(Mux(pair[0] > pair[-1], pair[0], pair[-1]))
                    following.append(greatest)
                level, ranks = following, ranks + 1
            found.append(level[0])
        is_taken, is_changed = Signal(), Signal()
        steps = stages(m, is_changed, ranks + 1, "step")
        m.d.comb += [
            is_taken.eq(self.i.valid & self.i.ready), self.o.valid.eq(steps[-1]),
            self.o.p.buy.eq(found[0]), self.o.p.sell.eq(found[1]),
            write.en.eq(steps[1] | ~wipe.ready),
            self.i.ready.eq(~Cat(steps).any())]
        m.d.sync += is_changed.eq(is_taken)
        with m.If(is_taken):
            m.d.sync += [wish.eq(self.i.p), row.eq(read.data)]
        with m.If(is_changed):
            m.d.sync += [row.eq(after), self.o.p.place.eq(place)]

        return m
