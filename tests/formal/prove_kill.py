"""While the device is killed no order leaves, from the cycle behind the cause on.

Method: ``Kill`` and ``Frame``, connected as in the order path, with everything else free. An
induction of one cycle: which order waits for its first word is kept beside the frame.
"""

from functools import partial

from amaranth.hdl import Assert, Assume, Cover, Module, ResetSignal, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from tests.formal.sby import Property
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import Operation
from tickwire_hw.frame import Frame
from tickwire_hw.kill import CAUSES, Kill
from tickwire_hw.order_port import Order, SessionUpdate

TINY = Geometry(instruments=2)
_WRITES = {"i_kill": CAUSES, "i_arm": 32, "i_kick": 64}


class KillStopsOrders(wiring.Component):
    """A first word of an order is never offered while a kill is latched.

    That of a cancel or of a heartbeat may be. What latches is whatever showed in the cycle before,
    keys or not, and stays until both keys came. ``is_wrong``: not even a cancel's is.
    """

    causes: In(CAUSES)
    writes: In(data.StructLayout({name: data.StructLayout({"valid": 1, "value": width})
                                  for name, width in _WRITES.items()}))
    now: In(64)
    order: In(data.StructLayout({"valid": 1, "value": Order, "session": 3}))
    passes: In(1)
    is_quiet: In(1)
    update: In(data.StructLayout({"valid": 1, "value": SessionUpdate}))
    ready: In(1)

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.kill, m.submodules.frame = kill, frame = Kill(), Frame(TINY)
        for name in _WRITES:
            port, given = getattr(kill, name), self.writes[name]
            m.d.comb += [port.valid.eq(given.valid), port.p.eq(given.value)]
        m.d.comb += [
            kill.causes.eq(self.causes), kill.now.eq(self.now), kill.record.ready.eq(1),
            frame.now.eq(self.now), frame.is_killed.eq(kill.is_killed),
            frame.order.valid.eq(self.order.valid), frame.order.p.eq(self.order.value),
            frame.next_session.eq(self.order.session), frame.passes.eq(self.passes),
            frame.is_quiet.eq(self.is_quiet), frame.i_session.valid.eq(self.update.valid),
            frame.i_session.p.eq(self.update.value), frame.o.ready.eq(self.ready)]

        was_caused, was_killed, is_later, is_cancel = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            was_caused.eq(self.causes.any() | self.writes.i_kill.valid), is_later.eq(1),
            was_killed.eq(kill.is_killed)]
        with m.If(frame.order.valid & frame.order.ready):
            m.d.sync += is_cancel.eq(self.order.value.operation == Operation.CANCEL)
        with m.Elif(frame._due_taken.any()):       # a heartbeat
            m.d.sync += is_cancel.eq(1)
        begins = frame.o.valid & frame.o.p.first
        m.d.comb += [
            Assume(~ResetSignal()), Assert(frame._is_cancel == is_cancel),
            Assert(kill.is_killed == kill.killed.any()),
            Assert(~was_caused | kill.is_killed),
            Assert(~(is_later & was_killed) | kill.is_killed | kill.counted.arms),
            Assert(~(begins & kill.is_killed) | (is_cancel & ~self._is_wrong)),
            Assert(~(begins & was_caused) | (is_cancel & ~self._is_wrong)),
            Cover(begins & kill.is_killed & is_cancel), Cover(~kill.is_killed)]
        return m


PROPERTIES = [
    Property("kill_stops_orders", KillStopsOrders, prove=1, cover=12, is_pruned=True),
    Property("kill_stops_cancels", partial(KillStopsOrders, is_wrong=True), bmc=6, is_false=True,
             is_pruned=True),
]
