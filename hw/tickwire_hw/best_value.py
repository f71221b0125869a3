"""Shares and orders of the best level, as they were right after each operation.

The window tells the best level long after the operation; by then younger ones may have changed that
level. They are known: the first of them that did saw its value as it was before, and that is the
value that is wanted. If none did, the table still has it.
"""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.geometry import Geometry
from tickwire_hw.commit import LOOK_UP_AGE
from tickwire_hw.commit import RESULT_AGE as COMMIT_AGE
from tickwire_hw.grid import PRICE_AGE
from tickwire_hw.level_table import LEVEL, level_key
from tickwire_hw.logic import lowest, select, stages
from tickwire_hw.order_table import PRICE
from tickwire_hw.sweep import KEY
from tickwire_hw.window import RESULT_AGE as WINDOW_AGE

# Look-ups come an odd number of cycles after operations.
_ASK_AGE = PRICE_AGE + 1 - (COMMIT_AGE + WINDOW_AGE + PRICE_AGE) % 2
RECORD_AGE = _ASK_AGE + LOOK_UP_AGE
RESULT_AGE = RECORD_AGE + 1
"""Cycles from a best level to its value."""
# Operations that can have been committed after the one in hand by then.
_YOUNGER = (WINDOW_AGE + RECORD_AGE) // 2
SERIAL = (_YOUNGER + 1).bit_length()
"""Bits of the number of an operation among those that may change a level."""


class BestValue(wiring.Component):
    """Find the value of each side's best level after each operation. Latency 12 cycles.

    Takes a best level every two cycles or at any greater distance. Never exerts backpressure.

    Members
    -------
    i_change : ``In(stream.Signature({key, before}, always_ready=True))``
        In the cycle of its result: the level of an operation that may change it, and its value
        before.
    serial : ``Out(SERIAL)``
        In the cycle of an operation's result: goes with it to ``i``.
    i : ``In(stream.Signature({instrument, side, has_best, best, serial, context},
    always_ready=True))``
        The window's result, with the ``serial`` of its operation; ``best`` is a tick key.
    o_key, i_price : to and from a port of ``Grid``.
    o_look_up, i_look_up : to and from ``Commit``.
    o : ``Out(stream.Signature({has_best, price, value, context}, always_ready=True))``
        ``price`` and ``value`` are 0 without a best level.
    """

    def __init__(self, geometry: Geometry, *, context: ShapeLike = 0) -> None:
        self._key = key = level_key(geometry)
        side = {name: key[name].shape for name in ("side", "instrument")}
        best = {**side, "key": signed(KEY)}
        super().__init__({
            "i_change": In(stream.Signature(data.StructLayout({"key": key, "before": LEVEL}),
                                            always_ready=True)),
            "serial": Out(SERIAL),
            "i": In(stream.Signature(data.StructLayout(
                {**side, "has_best": 1, "best": signed(KEY), "serial": SERIAL,
                 "context": context}), always_ready=True)),
            "o_key": Out(data.StructLayout(best)), "i_price": In(PRICE),
            "o_look_up": Out(stream.Signature(key, always_ready=True)),
            "i_look_up": In(data.StructLayout({"found": 1, "value": LEVEL})),
            "o": Out(stream.Signature(data.StructLayout(
                {"has_best": 1, "price": PRICE, "value": LEVEL, "context": context}),
                always_ready=True))})

    def elaborate(self, platform):
        """Return the changes and the look-up; a number behind a name is the age of the level."""
        m = Module()

        change = data.StructLayout({"key": self._key, "before": LEVEL})
        changes = [Signal(change, name=f"change_{number}") for number in range(_YOUNGER)]
        count = Signal(SERIAL)
        m.d.comb += self.serial.eq(count + self.i_change.valid)
        with m.If(self.i_change.valid):
            m.d.sync += [count.eq(self.serial), changes[0].eq(self.i_change.p)]
            m.d.sync += [one.eq(other) for one, other
                         in zip(changes[1:], changes, strict=False)]

        given = stages(m, self.i.p, RESULT_AGE, "given")
        valid = stages(m, self.i.valid, RESULT_AGE, "valid")
        m.d.comb += [self.o_key.instrument.eq(self.i.p.instrument),
                     self.o_key.side.eq(self.i.p.side), self.o_key.key.eq(self.i.p.best)]
        price = [None] * PRICE_AGE + stages(m, self.i_price, RESULT_AGE - PRICE_AGE, "price")
        asked = given[_ASK_AGE]
        m.d.comb += [
            self.o_look_up.valid.eq(valid[_ASK_AGE] & asked.has_best),
            self.o_look_up.p.price.eq(price[_ASK_AGE]), self.o_look_up.p.side.eq(asked.side),
            self.o_look_up.p.instrument.eq(asked.instrument)]

        last, first, is_unchanged = given[RECORD_AGE], Signal(_YOUNGER), Signal()
        self._find(m, changes, given, price, first, is_unchanged)
        value = select((is_unchanged, self.i_look_up.value),
                       *((this, one.before) for this, one in zip(first, changes, strict=True)))
        m.d.sync += [
            self.o.p.has_best.eq(last.has_best),
            self.o.p.price.eq(Mux(last.has_best, price[RECORD_AGE], 0)),
            self.o.p.value.eq(Mux(last.has_best, value, 0)), self.o.p.context.eq(last.context)]
        m.d.comb += self.o.valid.eq(valid[RESULT_AGE])

        return m

    def _find(self, m, changes, given, price, first, is_unchanged):
        """Find the oldest change that is younger than a level's operation, and is of that level.

        Those that are there are compared in the cycle before the last one, in which a new one may
        come: that is the one only when none of the others is.
        """
        def key(age):
            return Cat(price[age], given[age].side, given[age].instrument)
        same, younger, is_younger = Signal(_YOUNGER), Signal(SERIAL), Signal(_YOUNGER)
        is_new, comes = Signal(), self.i_change.valid

        # How many are younger is known a cycle before they are compared, as they stand then.
        m.d.comb += younger.eq(self.serial - given[RECORD_AGE - 3].serial)
        m.d.sync += is_younger.eq(Cat(number < younger for number in range(_YOUNGER)))
        is_coming, *are = (one.key.as_value() == key(RECORD_AGE - 2)
                           for one in (self.i_change.p, *changes))
        there = Cat(are) & is_younger
        m.d.sync += same.eq(Mux(comes, Cat(is_coming, there[:-1]), there))

        oldest = lowest(same[::-1])[::-1]
        m.d.comb += is_new.eq(comes & (self.i_change.p.key.as_value() == key(RECORD_AGE - 1)))
        m.d.sync += [is_unchanged.eq(~is_new & ~same.any()),
                     first.eq(Mux(comes, Cat(is_new & ~same.any(), oldest[:-1]), oldest))]
