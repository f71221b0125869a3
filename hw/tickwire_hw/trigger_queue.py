"""Market records on their way to the triggers (kernel ``triggers.observe``)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec.geometry import Geometry
from tickwire.spec.records import BBO, TRADE, BookFlag, RecordType, TradeFlag
from tickwire_hw.early_sight import LATEST
from tickwire_hw.locates import Locates
from tickwire_hw.record_writer import RECORD
from tickwire_hw.records import body_layout
from tickwire_hw.triggers_port import Sight

DEPTH = 16
"""Records that may wait while something else is executed."""
_UNSURE = (BookFlag.RECOVERING | BookFlag.STALE | BookFlag.DESYNCED | BookFlag.BID_HIDDEN
           | BookFlag.ASK_HIDDEN).value


class TriggerQueue(wiring.Component):
    """Give the records that could fire something, in order.

    One that finds the queue empty is given one cycle after it came, and in its own cycle what comes
    at ``early``, if it can be looked at in that very cycle; then its records are left out later, so
    that nothing is looked at twice. An execution is left to its records while a slot waits for
    prints, since they come in front of best levels. What is left out: records of
    other types and other instruments, books that are not to be believed, trades that are not
    printed or broken, and what comes while its instrument has no slot that waits for the market.
    A record a cycle; nothing is held back. One that finds ``DEPTH`` others waiting is lost, and
    ``is_lost``: what it would have fired may fire with the next one that still shows it.

    Members
    -------
    i : ``In(stream.Signature(RECORD, always_ready=True))``
        Market records.
    i_taught, watch_all
        As of ``Locates``.
    early : ``In(stream.Signature(Sight, always_ready=True))``
        What a record will show that comes within the next ``LATEST`` cycles, before any other.
    glimpse : ``In(stream.Signature(Sight, always_ready=True))``
        What ``early`` will be in the next cycle, if it comes. It is given at once if that can be
        looked at in this very cycle; what comes at ``early`` then is not given again.
    can_look, has_through : ``In(1)``
        Whether something is looked at in this cycle; a slot of its instrument waits for prints.
    waiting : ``In(instruments)``
        Which instruments have slots that wait for the market.
    o : ``Out(stream.Signature(Sight))``
        What they show. One that is from ``glimpse`` is not to be taken in that cycle.
    is_void : ``Out(1)``
        What was given in the cycle before was a glimpse of nothing, and is not there any more.
    is_lost : ``Out(1)``
        Strobe.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._locates = Locates(geometry)
        super().__init__({
            "i": In(stream.Signature(RECORD, always_ready=True)),
            "i_taught": self._locates.signature.members["i_taught"], "watch_all": In(1),
            "early": In(stream.Signature(Sight, always_ready=True)),
            "glimpse": In(stream.Signature(Sight, always_ready=True)), "can_look": In(1),
            "has_through": In(1), "waiting": In(geometry.instruments),
            "o": Out(stream.Signature(Sight)), "is_void": Out(1),
            "is_lost": Out(1)})

    def elaborate(self, platform):
        """Return the choice, and a queue with a way around it."""
        m = Module()

        m.submodules.locates = locates = self._locates
        connect(m, flipped(self.i_taught), locates.i_taught)
        m.submodules.queue = queue = fifo.SyncFIFO(width=Sight.as_shape().size, depth=DEPTH)
        bbo, trade = Signal(body_layout(BBO)), Signal(body_layout(TRADE))
        is_bbo = self.i.p.kind == RecordType.BBO
        is_telling = Mux(is_bbo, ~(bbo.flags & _UNSURE).any(), (
            self.i.p.kind == RecordType.TRADE) & (
                trade.flags & (TradeFlag.PRINTABLE | TradeFlag.BROKEN) == TradeFlag.PRINTABLE))
        m.d.comb += [bbo.eq(self.i.p.octets), trade.eq(self.i.p.octets),
                     locates.watch_all.eq(self.watch_all),
                     locates.locate.eq(Mux(is_bbo, bbo.locate, trade.locate))]
        seen, fresh, is_fresh, may_fire = Signal(Sight), Signal(Sight), Signal(), Signal()
        early, is_early, is_glimpse, was_glimpse = self.early.p, Signal(), Signal(), Signal()
        looked, looked_for, was_looked_at = Signal(64), Signal(range(LATEST + 1)), Signal()
        m.d.comb += was_looked_at.eq(looked_for.any() & (bbo.feed_sequence == looked))
        with m.If(is_early):
            m.d.sync += [looked.eq(early.sequence), looked_for.eq(LATEST)]
        with m.Elif(self.i.valid & is_bbo & was_looked_at):     # the last record of the message
            m.d.sync += looked_for.eq(0)
        with m.Elif(looked_for.any()):
            m.d.sync += looked_for.eq(looked_for - 1)
        m.d.sync += [
            may_fire.eq(self.i.valid & is_telling & ~was_looked_at), seen.is_trade.eq(~is_bbo),
            seen.timestamp.eq(bbo.timestamp), seen.sequence.eq(bbo.feed_sequence),
            seen.bid.eq(Mux(is_bbo, bbo.bid_price, trade.price)), seen.ask.eq(bbo.ask_price),
            seen.bid_quantity.eq(bbo.bid_quantity), seen.ask_quantity.eq(bbo.ask_quantity)]
        m.d.comb += [
            fresh.eq(seen), fresh.instrument.eq(locates.o.instrument),
            is_fresh.eq(may_fire & locates.o.is_watched
                        & self.waiting.bit_select(locates.o.instrument, 1))]

        def may_look(sight):
            return (self.can_look & ~is_fresh & ~queue.r_rdy
                    & self.waiting.bit_select(sight.instrument, 1)
                    & ~(self.has_through & sight.last.any()))
        m.d.sync += was_glimpse.eq(is_glimpse)
        m.d.comb += [
            # A record that comes in this cycle would be in front of it.
            is_glimpse.eq(self.glimpse.valid & ~self.early.valid & ~self.i.valid
                          & may_look(self.glimpse.p)),
            is_early.eq(self.early.valid & (was_glimpse | may_look(early))),
            self.is_void.eq(was_glimpse & ~self.early.valid)]

        m.d.comb += [
            self.o.valid.eq(queue.r_rdy | is_fresh | is_early | is_glimpse),
            queue.w_data.eq(Mux(is_fresh, fresh, early)),
            self.o.p.eq(Mux(queue.r_rdy, queue.r_data, Mux(
                is_fresh | self.early.valid, queue.w_data, self.glimpse.p))),
            queue.r_en.eq(self.o.ready),
            queue.w_en.eq((is_fresh | is_early) & (queue.r_rdy | ~self.o.ready)),
            self.is_lost.eq(queue.w_en & ~queue.w_rdy)]

        return m
