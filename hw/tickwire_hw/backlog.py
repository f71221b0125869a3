"""What waits in front of the block walker when it needs more than one cycle for a word."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.stream import LANES, FrameVerdict, Payload

_DATA, _START, _LINE, _STAMP = (Payload.as_shape()[name].shape
                                for name in ("data", "start", "line", "stamp"))


STROBES = ("is_first", "is_next", "is_cut", "is_verdict")
"""What is said of an entry in hand, at most one: in the order of its kinds."""


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

    As long as the walker keeps up, an entry passes in its own cycle, latency 0. While it needs a
    word again, or is held, entries go into a queue, and through it until it is empty. One entry a
    cycle, no backpressure. When the queue has no room, the rest of the datagram is dropped: a
    ``CUT`` takes its place. A datagram that finds none is dropped whole, its verdict with it.

    Members
    -------
    payload : ``In(stream.Signature(Payload, always_ready=True))``
        Datagrams; ``first`` is looked at even where it is not valid.
    verdict : ``In(stream.Signature(FrameVerdict, always_ready=True))``
        Verdicts of their frames, never in the cycle of a word.
    hold : ``In(1)``
        The walker shall rest from the next cycle on; one more entry may pass in that one.
    entry : ``Out(Entry)``
        The entry in hand; its kind is told by the following.
    is_first, is_next, is_cut, is_verdict : ``Out(1)``
        Strobes of each kind, at most one.
    may_be_first : ``Out(1)``
        ``is_first`` before it is known whether the datagram is for a line: early in the cycle.
    is_start : ``Out(1)``
        Where it is ``may_be_first`` or ``is_next``, whether it is the former: earlier still.
    is_again : ``In(1)``
        The word in hand is needed once more, in the next cycle. It follows ``is_next``, or with
        ``repeats_all`` whatever is in hand, or nothing.
    is_overflow : ``Out(1)``
        Strobe, a cycle later: a datagram was cut or dropped.
    """

    payload: In(stream.Signature(Payload, always_ready=True))
    verdict: In(stream.Signature(FrameVerdict, always_ready=True))
    hold: In(1)
    entry: Out(Entry)
    is_first: Out(1)
    is_next: Out(1)
    is_cut: Out(1)
    is_verdict: Out(1)
    may_be_first: Out(1)
    is_start: Out(1)
    is_again: In(1)
    is_overflow: Out(1)

    _RESERVED = 5        # a cut, a verdict, and three words until the level shows the first

    def __init__(self, depth: int, *, repeats_all: bool = False) -> None:
        """Make room for ``depth`` entries, at least 8."""
        if depth < 8:
            raise ValueError(f"depth must be at least 8, not {depth}")
        self._depth, self._repeats_all = depth, repeats_all
        super().__init__()

    def elaborate(self, platform):
        """Return the way past the queue, and the queue."""
        m = Module()
        payload, verdict = self.payload, self.verdict
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=Entry.as_shape().size, depth=self._depth)

        is_held = Signal()
        m.d.sync += is_held.eq(self.hold)
        is_empty = Signal(init=1)                # nothing waits
        is_repeat = Signal()                     # the entry of the last cycle is in hand again
        passes = Signal()                        # what arrives is in hand in this cycle
        m.d.comb += passes.eq(is_empty & ~is_repeat)

        # What arrives, and what of it is taken on.
        is_partial, is_dropped, has_room = Signal(), Signal(), Signal(init=1)
        begins, goes_on, is_cut, is_verdict = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            begins.eq(payload.valid & payload.p.first & (passes | has_room)),
            goes_on.eq(payload.p.goes_on & ~is_partial),
            is_cut.eq(goes_on & ~passes & ~has_room),
            is_verdict.eq(verdict.valid & verdict.p.is_for_line & ~is_dropped)]
        m.d.sync += [
            has_room.eq(queue.level < self._depth - self._RESERVED),
            self.is_overflow.eq(is_cut | (payload.valid & payload.p.first & ~begins))]
        with m.If(payload.valid & payload.p.first):
            m.d.sync += [is_dropped.eq(~begins), is_partial.eq(~begins)]
        with m.If(is_cut):
            m.d.sync += is_partial.eq(1)

        arriving, waiting, repeated = Signal(Entry), Signal(Entry), Signal(Entry)
        for name in ("data", "mask", "start", "line", "stamp"):
            m.d.comb += arriving[name].eq(payload.p[name])
        m.d.comb += [
            arriving.last.eq(Mux(verdict.valid, verdict.p.is_damaged, payload.p.last)),
            arriving.kind.eq(Mux(verdict.valid, EntryKind.VERDICT, Mux(
                payload.p.first, EntryKind.FIRST, Mux(is_cut, EntryKind.CUT, EntryKind.NEXT))))]

        # What is in hand.
        is_waiting, is_resumed = Signal(), Signal()
        was_first, was_next, was_cut, was_verdict = (
            is_resumed & (waiting.kind == kind) for kind in EntryKind)
        again = Cat(0, is_repeat & ~is_held, 0, 0)
        if self._repeats_all:
            kind = Signal(len(STROBES))          # of the entry of the last cycle
            again = kind & (is_repeat & ~is_held).replicate(len(STROBES))
            with m.If(~is_repeat):
                m.d.sync += kind.eq(Cat(getattr(self, name) for name in STROBES))
        m.d.comb += [
            self.entry.eq(Mux(is_repeat, repeated, Mux(is_empty, arriving, waiting))),
            is_resumed.eq(is_waiting & ~is_repeat & ~is_held),
            self.is_first.eq(Mux(passes, begins, was_first | again[0])),
            self.is_start.eq(~is_repeat & Mux(is_empty, payload.p.first,
                                              waiting.kind == EntryKind.FIRST)),
            self.may_be_first.eq(self.is_start & (is_empty | is_resumed)),
            self.is_next.eq(Mux(passes, goes_on, was_next | again[1])),
            self.is_cut.eq(was_cut | again[2]),
            self.is_verdict.eq(Mux(passes, is_verdict, was_verdict | again[3]))]
        m.d.sync += [repeated.eq(self.entry), is_repeat.eq(self.is_again | (is_repeat & is_held))]

        # What waits.
        # Whether a first word is stored is known late. Where it turns out not to be, what comes
        # next passes through the queue, too.
        is_stored, is_drained = Signal(), Signal(init=1)       # the latter a cycle later
        may_store = (payload.p.first | goes_on | is_verdict) & ~passes
        stored, was_stored = Signal(Entry), Signal()           # what came goes into the queue
        m.d.sync += [stored.eq(arriving), was_stored.eq(is_stored)]
        m.d.comb += [
            is_stored.eq((begins | goes_on | is_verdict) & ~passes),
            queue.w_data.eq(stored), queue.w_en.eq(was_stored),
            queue.r_en.eq(~is_waiting | is_resumed)]
        with m.If(queue.r_en):
            m.d.sync += [waiting.eq(queue.r_data), is_waiting.eq(queue.r_rdy)]
        m.d.sync += [
            is_drained.eq(~may_store & ~was_stored & (queue.level == 0)),
            is_empty.eq(~is_held & ~may_store & (is_empty | (queue.r_en & is_drained)))]

        return m
