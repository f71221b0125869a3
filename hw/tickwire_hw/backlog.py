"""What waits in front of the block walker when it needs more than one cycle for a word."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.stream import LANES, FrameVerdict, Payload

_DATA, _START, _LINE, _STAMP = (Payload.as_shape()[name].shape
                                for name in ("data", "start", "line", "stamp"))


class EntryKind(enum.Enum, shape=2):
    """What an entry is."""

    FIRST = 0            # first word of a datagram
    NEXT = 1             # any other
    CUT = 2              # what follows of the datagram was dropped
    VERDICT = 3          # the frame's end is known


class Entry(data.Struct):
    """A word of a datagram, or what is told after its last one."""

    kind: EntryKind
    data: _DATA
    mask: LANES
    last: 1                                # of its datagram; of a verdict: the frame is damaged
    start: _START
    line: _LINE
    stamp: _STAMP


class Backlog(wiring.Component):
    """Hand words and verdicts to the walker in order; keep them while it is busy.

    As long as the walker keeps up, an entry passes in its own cycle, latency 0. Once it asks for
    a word again, or is held, entries go through a queue until that is empty. One entry a cycle,
    no backpressure. When the queue has no room, the rest of the datagram is dropped: a ``CUT``
    takes its place. A datagram of which nothing would fit is dropped whole, its verdict with it.

    Members
    -------
    payload : ``In(stream.Signature(Payload, always_ready=True))``
        Datagrams.
    verdict : ``In(stream.Signature(FrameVerdict, always_ready=True))``
        Verdicts of their frames, never in the cycle of a word.
    hold : ``In(1)``
        The walker shall rest; one more entry may pass in the cycle in which it rises.
    entry : ``Out(stream.Signature(Entry, always_ready=True))``
        Entries in order.
    is_again : ``In(1)``
        The entry in hand is needed once more, in the next cycle. It follows ``entry``.
    is_overflow : ``Out(1)``
        Strobe: a datagram was cut or dropped.
    """

    payload: In(stream.Signature(Payload, always_ready=True))
    verdict: In(stream.Signature(FrameVerdict, always_ready=True))
    hold: In(1)
    entry: Out(stream.Signature(Entry, always_ready=True))
    is_again: In(1)
    is_overflow: Out(1)

    _RESERVED = 3        # a cut, a verdict, and a word that comes while the level is looked at

    def __init__(self, depth: int) -> None:
        """Make room for ``depth`` entries, at least 8."""
        if depth < 8:
            raise ValueError(f"depth must be at least 8, not {depth}")
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        """Return the way past the queue, and the queue."""
        m = Module()
        payload, verdict = self.payload, self.verdict
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=Entry.as_shape().size, depth=self._depth)

        is_direct = Signal(init=1)
        is_partial, is_dropped = Signal(), Signal()      # the datagram in hand is not taken on
        has_room = Signal()
        is_taken, is_cut, arrives = Signal(), Signal(), Signal()
        m.d.comb += [
            has_room.eq(queue.level < self._depth - self._RESERVED),
            is_taken.eq(payload.valid & Mux(payload.p.first, is_direct | has_room, ~is_partial)),
            is_cut.eq(is_taken & ~payload.p.first & ~is_direct & ~has_room),
            self.is_overflow.eq(is_cut | (payload.valid & payload.p.first & ~is_taken)),
            arrives.eq(is_taken | (verdict.valid & verdict.p.is_for_line & ~is_dropped))]
        with m.If(payload.valid & payload.p.first):
            m.d.sync += [is_dropped.eq(~is_taken), is_partial.eq(~is_taken)]
        with m.If(is_cut):
            m.d.sync += is_partial.eq(1)

        arriving, waiting = Signal(Entry), Signal(Entry)
        is_waiting = Signal()
        for name in ("data", "mask", "start", "line", "stamp"):
            m.d.comb += arriving[name].eq(payload.p[name])
        m.d.comb += [
            arriving.last.eq(Mux(verdict.valid, verdict.p.is_damaged, payload.p.last)),
            arriving.kind.eq(Mux(verdict.valid, EntryKind.VERDICT, Mux(
                payload.p.first, EntryKind.FIRST, Mux(is_cut, EntryKind.CUT, EntryKind.NEXT)))),
            self.entry.valid.eq(Mux(is_direct, arrives, is_waiting & ~self.hold)),
            self.entry.p.eq(Mux(is_direct, arriving, waiting)),
            queue.w_data.eq(arriving), queue.w_en.eq(arrives & ~is_direct)]
        with m.If(is_direct):
            m.d.sync += [waiting.eq(arriving), is_waiting.eq(arrives & self.is_again),
                         is_direct.eq(~self.hold & ~(arrives & self.is_again))]
        with m.Elif(~is_waiting | (self.entry.valid & ~self.is_again)):
            m.d.comb += queue.r_en.eq(1)
            m.d.sync += [waiting.eq(queue.r_data), is_waiting.eq(queue.r_rdy),
                         is_direct.eq(~self.hold & ~arrives & (queue.level == 0))]

        return m
