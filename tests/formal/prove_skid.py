"""The stream register: beats leave as they came, none is lost, made up or kept too long."""

from amaranth.hdl import Assert, Cover, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tests.formal.contracts import assert_source_holds
from tests.formal.sby import Property
from tickwire_hw.skid import Skid

WIDTH = 8


class SkidIsAQueue(wiring.Component):
    """A queue of two beats beside the register, for any input and any backpressure.

    An induction begins in any state, so what the register keeps inside is compared too.
    """

    valid: In(1)
    payload: In(WIDTH)
    ready: In(1)

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong          # the queue takes what the register is not ready for
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.skid = skid = Skid(WIDTH)
        m.d.comb += [skid.i.valid.eq(self.valid), skid.i.payload.eq(self.payload),
                     skid.o.ready.eq(self.ready)]
        assert_source_holds(m, skid.o)

        count, first, second = Signal(2), Signal(WIDTH), Signal(WIDTH)
        enters, leaves = Signal(), Signal()
        m.d.comb += [enters.eq(skid.i.valid & (skid.i.ready | self._is_wrong)),
                     leaves.eq(skid.o.valid & skid.o.ready)]
        m.d.sync += count.eq(count + enters - leaves)
        with m.If(leaves):
            m.d.sync += first.eq(second)
        with m.If(enters & (count - leaves == 0)):
            m.d.sync += first.eq(skid.i.payload)
        with m.Elif(enters):
            m.d.sync += second.eq(skid.i.payload)

        m.d.comb += [Assert(count == skid.o.valid + ~skid.i.ready),
                     Assert(skid.i.ready | skid.o.valid)]
        with m.If(skid.o.valid):
            m.d.comb += Assert(skid.o.payload == first)
        with m.If(count == 2):
            m.d.comb += Assert(skid._waiting == second)

        streak = Signal(3)
        m.d.sync += streak.eq((streak + (streak != 7)) & (enters & leaves).replicate(3))
        was_full = Signal()
        m.d.sync += was_full.eq(was_full | (count == 2))
        m.d.comb += [Cover(streak == 4), Cover(was_full & (count == 0))]
        return m


PROPERTIES = [
    Property("skid_is_a_queue", SkidIsAQueue, bmc=12, prove=3, cover=10),
    Property("skid_takes_what_it_refused", lambda: SkidIsAQueue(is_wrong=True), bmc=12,
             is_false=True),
]
