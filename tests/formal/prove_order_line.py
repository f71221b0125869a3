"""The order line: whole frames, orders first, and no record of a frame is lost on its way up.

Method: inductions of one cycle over the parts, their senders free. How many records a line can
have is what :class:`tickwire_hw.capture.Capture` says, as buckets that fill with the cycles.
"""

from functools import partial

from amaranth.hdl import Assert, Assume, Cover, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tests.formal.sby import Property
from tickwire.spec.records import FrameOrigin
from tickwire_hw.capture import DEPTH, Capture
from tickwire_hw.frame_records import CapturedWord
from tickwire_hw.order_line import OrderLine
from tickwire_hw.stream import Word

RECEIVED, SENT = (2, 3), (3, 5)                # cycles that a record costs; a bucket's size


class CaptureLosesNothing(wiring.Component):
    """The queue of received records has room for each of them.

    What waits, with what the buckets still let come, never grows while anything waits.
    ``is_wrong``: records of sent frames come as they like.
    """

    has_received: In(1)
    received: In(Word)
    has_sent: In(1)
    sent: In(CapturedWord)

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.capture = capture = Capture()
        m.d.comb += [
            capture.received.valid.eq(self.has_received), capture.received.p.eq(self.received),
            capture.sent.valid.eq(self.has_sent), capture.sent.p.eq(self.sent),
            Assume(~ResetSignal())]

        levels = []
        for (cost, size), records in ((RECEIVED, capture._received.o),
                                      (SENT, capture._sent.o)):
            level, left = Signal(4, init=size), Signal(4)
            m.d.comb += [left.eq(level - Mux(records.valid, cost, 0)), Assert(level <= size)]
            if not (self._is_wrong and records is capture._sent.o):
                m.d.comb += Assume(~records.valid | (level >= cost))
            m.d.sync += level.eq(Mux(left == size, size, left + 1))
            levels.append(level)
        waiting = capture._waiting
        product = RECEIVED[0] * SENT[0]
        most = product + sum(product // cost * size for cost, size in (RECEIVED, SENT)) - (
            product // RECEIVED[0])
        m.d.comb += Assert(~waiting.w_en | waiting.w_rdy)
        if not self._is_wrong:
            m.d.comb += [
                Assert(waiting.level * product + levels[0] * SENT[0] + levels[1] * RECEIVED[0]
                       <= most),
                Assert(waiting.level < DEPTH), Cover(waiting.level == 2)]
        return m


class OrderLineIsFair(wiring.Component):
    """Words leave as they came, those of a frame together, the encoder's first between frames.

    ``is_wrong``: the host's frames go first.
    """

    order: In(Word)
    host: In(Word)
    has_order: In(1)
    has_host: In(1)
    ready: In(1)

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.line = line = OrderLine()
        m.d.comb += [
            line.i_order.valid.eq(self.has_order), line.i_order.p.eq(self.order),
            line.i_host.valid.eq(self.has_host), line.i_host.p.eq(self.host),
            line.o.ready.eq(self.ready), Assume(~ResetSignal())]

        is_open, owner = Signal(), Signal()        # 1: the host's
        order, host = (port.valid & port.ready for port in (line.i_order, line.i_host))
        taken, first = line.o.valid & line.o.ready, self.has_host if self._is_wrong else (
            ~self.has_order)
        m.d.comb += [
            Assert(is_open == line._is_open), Assert(~is_open | (owner == line._was_host)),
            Assert(~(order & host)), Assert(taken == (order | host)),
            Assert(line.o.valid == Mux(is_open, Mux(owner, self.has_host, self.has_order),
                                       self.has_host | self.has_order)),
            Assert(~taken | (host == Mux(is_open, owner, first))),
            Assert(~taken | (line.o.p.as_value() == Mux(host, self.host, self.order))),
            Assert(line.sent.valid == taken),
            Assert(~taken | (line.sent.p.word.as_value() == line.o.p.as_value())),
            Assert(~taken | (line.sent.p.origin == Mux(host, FrameOrigin.HOST,
                                                       FrameOrigin.SENT)))]
        with m.If(taken):
            m.d.sync += [is_open.eq(~line.o.p.last), owner.eq(host)]
        m.d.comb += [Cover(is_open & owner & self.has_order & taken & line.o.p.last),
                     Cover(is_open & ~owner & self.has_host & taken & line.o.p.last)]
        return m


PROPERTIES = [
    Property("capture_loses_nothing", CaptureLosesNothing, bmc=12, prove=1, cover=24,
             is_pruned=True),
    Property("capture_without_a_bound", partial(CaptureLosesNothing, is_wrong=True), bmc=20,
             is_false=True, is_pruned=True),
    Property("order_line_is_fair", OrderLineIsFair, prove=1, cover=6),
    Property("order_line_serves_the_host_first", partial(OrderLineIsFair, is_wrong=True), bmc=4,
             is_false=True),
]
