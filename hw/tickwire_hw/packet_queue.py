"""Queue of one port's packet events in front of the arbiter."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.blocks_port import End, Header, Message, PacketSignature

_PASSED = End.as_shape()["passed"].shape
CLOCK = 14
"""Bits of the arbiter's cycle counter, by which queues tell whose event came first."""


MARGIN = 4
"""Cycles of events that still find room after ``is_filling`` has risen."""


class Part(data.Struct):
    """The parts of a packet that one cycle brought and that were not yet taken."""

    header: 1
    message: 1
    end: 1
    verdict: 1


class Entry(data.Struct):
    """What one cycle brought."""

    parts: Part
    body: data.UnionLayout({"header": Header, "message": Message})  # header also for a short end
    passed: _PASSED
    is_malformed: 1
    is_short: 1
    is_damaged: 1
    arrival: CLOCK


class PacketQueue(wiring.Component):
    """Give a port's events part by part, in order.

    What comes while the queue is empty is at the output in the same cycle; a cycle's events that
    are not all taken at once are kept. Of a cycle's parts the first is taken first: header,
    message, end, verdict.

    Events cannot be held back. One that finds the queue full is lost, and with it all that
    follows until the next header that finds room; an end that says malformed and a verdict that
    says damaged stand for them, so the arbiter retracts what it made of the packet.

    Members
    -------
    i : ``In(PacketSignature())``
        The port.
    clock : ``In(CLOCK)``
        Cycle number; becomes ``arrival``.
    head, part : ``Out(Entry)``, ``Out(Part)``
        The oldest cycle's events, and which part is next, one-hot; none is set when all is taken.
    take : ``In(1)``
        Take that part at the end of this cycle. Only when there is one.
    is_filling : ``Out(1)``
        There is room for ``MARGIN`` cycles of events or less, not counting this one's.
    is_lost : ``Out(1)``
        Strobe: an event found no room.
    """

    def __init__(self, depth: int) -> None:
        if depth <= MARGIN or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two above {MARGIN}, not {depth}")
        self._depth = depth
        super().__init__({"i": In(PacketSignature()), "clock": In(CLOCK), "head": Out(Entry),
                          "part": Out(Part), "take": In(1), "is_filling": Out(1),
                          "is_lost": Out(1)})

    def elaborate(self, platform):
        """Return a memory of cycles, and the input in front of it when that is empty."""
        m = Module()

        m.submodules.rows = rows = memory.Memory(shape=Entry, depth=self._depth, init=[])
        write, read = rows.write_port(), rows.read_port(domain="comb")
        level, is_empty = Signal(range(self._depth + 1)), Signal(init=1)
        is_losing, is_owing = Signal(), Signal()
        done = Signal(Part)

        entered = Signal(Entry)
        header, message, end, verdict = self.i.header, self.i.message, self.i.end, self.i.verdict
        is_open = ~is_losing | (header.valid & ~is_owing)
        m.d.comb += [
            entered.arrival.eq(self.clock),
            entered.parts.header.eq(header.valid & is_open),
            entered.parts.message.eq(message.valid & is_open),
            entered.parts.end.eq(end.valid & is_open),
            entered.parts.verdict.eq(verdict.valid & is_open),
            entered.body.message.eq(message.payload),
            entered.passed.eq(end.payload.passed),
            entered.is_malformed.eq(end.payload.is_malformed),
            entered.is_short.eq(end.payload.is_short),
            entered.is_damaged.eq(verdict.payload.is_damaged),
        ]
        with m.If(~message.valid):
            m.d.comb += entered.body.header.eq(header.payload)
            with m.If(~header.valid):
                m.d.comb += [entered.body.header.line.eq(end.payload.line),
                             entered.body.header.stamp.eq(end.payload.stamp)]

        # The next part.
        left, rest = Signal(Part), Signal(Part)
        m.d.comb += [
            self.head.eq(Mux(is_empty, entered, read.data)),
            left.eq(Mux(is_empty, entered.parts.as_value(),
                        read.data.parts.as_value() & ~done.as_value())),
            self.part.eq(left.as_value() & -left.as_value()),
            rest.eq(left.as_value() & ~Mux(self.take, self.part.as_value(), 0)),
        ]
        leaves, enters = Signal(), Signal()
        m.d.comb += leaves.eq(~is_empty & ~rest.as_value().any())
        m.d.sync += done.eq(Mux(leaves, 0, Mux(
            is_empty, entered.parts.as_value() & ~rest.as_value(),
            read.data.parts.as_value() & ~rest.as_value())))

        # What cannot be taken at once is kept, or lost.
        is_full = level == self._depth
        is_kept = Mux(is_empty, rest.as_value().any(), entered.parts.as_value().any())
        m.d.comb += [write.data.eq(entered), write.en.eq(enters)]
        with m.If(is_owing):
            m.d.comb += [
                enters.eq(~is_full),
                write.data.parts.eq(Part.const({"end": 1, "verdict": 1})),
                write.data.passed.eq(0), write.data.is_malformed.eq(1),
                write.data.is_short.eq(0), write.data.is_damaged.eq(1),
            ]
            with m.If(~is_full):
                m.d.sync += is_owing.eq(0)
        with m.Else():
            m.d.comb += [enters.eq(is_kept & ~is_full), self.is_lost.eq(is_kept & is_full)]
            with m.If(self.is_lost):
                m.d.sync += [is_losing.eq(1), is_owing.eq(1)]
            with m.Elif(entered.parts.header):
                m.d.sync += is_losing.eq(0)

        with m.If(enters):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(leaves):
            m.d.sync += read.addr.eq(read.addr + 1)
        level_next = Signal.like(level)
        m.d.comb += level_next.eq(level + enters - leaves)
        m.d.sync += [level.eq(level_next), is_empty.eq(level_next == 0),
                     self.is_filling.eq(level_next >= self._depth - MARGIN)]

        return m
