"""Queue of one port's packet events in front of the arbiter."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw import logic
from tickwire_hw.blocks_port import Header, Message, PacketSignature

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


class Takes(data.Struct):
    """What a port's events may be taken for; a verdict by what it says."""

    header: 1
    end: 1
    good: 1
    damaged: 1


class Entry(data.Struct):
    """What one cycle brought, but for a verdict."""

    body: data.UnionLayout({"header": Header, "message": Message})  # header also for a short end
    is_malformed: 1
    is_short: 1


class Mark(data.Struct):
    """What decides about one cycle's events before they are looked at."""

    parts: Part
    is_damaged: 1                          # the verdict
    arrival: CLOCK


class PacketQueue(wiring.Component):
    """Give a port's events part by part, in order.

    What comes while the queue is empty is at the output in the same cycle; a cycle's events that
    are not all taken at once are kept. Of a cycle's parts the first is taken first: header,
    message, end, verdict. Of what is kept, the oldest cycle's mark is in a register.

    Events cannot be held back. One that finds the queue full is lost, and with it all that
    follows until the next header that finds room; an end that says malformed and a verdict that
    says damaged stand for them, so the arbiter retracts what it made of the packet.

    Members
    -------
    i : ``In(PacketSignature())``
        The port.
    clock : ``In(CLOCK)``
        Cycle number; becomes ``arrival``.
    head, message, part : ``Out(Entry)``, ``Out(Message)``, ``Out(Part)``
        The oldest cycle's events, but for a message; a message; and which part is next, one-hot:
        none is set when all is taken.
    has_message : ``Out(1)``
        That this is a message, once more, for what selects ``message``.
    has_end, is_damaged : ``Out(1)``
        Of the oldest cycle: whether an end is not taken yet, and what its verdict says.
    takes : ``In(Takes)``
        What else than a message is taken at the end of a cycle in which it is next.
    takes_message : ``In(1)``
        Whether to take the message, if one is next, and its end, too.
    is_stored, arrival : ``Out(1)``, ``Out(CLOCK)``
        Whether the oldest cycle is one before this, and which.
    is_good : ``Out(1)``
        All that is left of a cycle before this, the oldest one, is a good verdict.
    is_waiting, waiting_arrival : ``Out(1)``, ``Out(CLOCK)``
        Whether something else than a good verdict is stored; when that came or the verdict before.
    is_filling : ``Out(1)``
        There is room for ``MARGIN`` cycles of events or less, not counting this one's.
    is_lost : ``Out(1)``
        Strobe: an event found no room.
    """

    def __init__(self, depth: int) -> None:
        if depth <= MARGIN or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two above {MARGIN}, not {depth}")
        self._depth = depth
        super().__init__({
            "i": In(PacketSignature()), "clock": In(CLOCK), "head": Out(Entry),
            "message": Out(Message), "part": Out(Part),
            "has_message": Out(1), "has_end": Out(1), "is_damaged": Out(1),
            "takes": In(Takes), "takes_message": In(1),
            "is_stored": Out(1), "arrival": Out(CLOCK), "is_good": Out(1),
            "is_waiting": Out(1), "waiting_arrival": Out(CLOCK),
            "is_filling": Out(1), "is_lost": Out(1)})

    def elaborate(self, platform):
        """Return memories of cycles and of their marks, and the input in front when empty."""
        m = Module()

        m.submodules.rows = rows = memory.Memory(shape=Entry, depth=self._depth, init=[])
        m.submodules.marks = marks = memory.Memory(shape=Mark, depth=self._depth, init=[])
        write, read = rows.write_port(), rows.read_port(domain="comb")
        write_mark, following = marks.write_port(), marks.read_port(domain="comb")
        # A row that nobody needs yet may be written: only the address decides what is kept.
        level = Signal(range(self._depth + 1))
        mark = Signal(Mark)                     # no part is set while nothing is stored
        is_empty = Signal(init=1)               # a register of its own for what selects data
        is_last = Signal()                      # the mark is of the only row that is stored
        is_losing, is_owing, is_full, is_more = Signal(), Signal(), Signal(), Signal()
        entered, incoming = Signal(Entry), Signal(Mark)
        came, parts = Signal(Entry), Signal(Part)            # the same, while nothing is stored
        self._come(m, came, parts, is_losing)
        self._enter(m, came, parts, entered, incoming, is_owing)
        m.d.comb += [
            write.data.eq(entered), write_mark.data.eq(incoming), write.en.eq(~is_full),
            write_mark.en.eq(~is_full), write_mark.addr.eq(write.addr),
            following.addr.eq(read.addr + 1),
            self.head.eq(Mux(is_empty, came, read.data)),
            self.message.eq(Mux(is_empty, self.i.message.payload, read.data.body.message)),
            self.has_message.eq(Mux(is_empty, parts.message, mark.parts.message)),
            self.arrival.eq(mark.arrival),
            self.is_damaged.eq(
                Mux(self.is_stored, mark.is_damaged, self.i.verdict.payload.is_damaged)),
            is_more.eq(mark.is_damaged | mark.parts.header | mark.parts.message | mark.parts.end),
            self.is_good.eq(self.is_stored & ~is_more),
            self.is_waiting.eq(self.is_stored & (~is_last | is_more)),
            self.waiting_arrival.eq(mark.arrival),
        ]

        is_begun = Signal()                     # a packet's header came, and not its end
        with m.If(self.i.end.valid):
            m.d.sync += is_begun.eq(0)
        with m.Elif(self.i.header.valid):
            m.d.sync += is_begun.eq(1)
        with m.If(is_begun):
            m.d.comb += write.data.body.message.eq(self.i.message.payload)

        # The next part. A message never shares its cycle with a header.
        left, is_first, takes = Signal(Part), Signal(Part), self.takes
        rest = Signal(Part)
        m.d.comb += [
            left.eq(mark.parts.as_value() | Mux(self.is_stored, 0, parts.as_value())),
            is_first.eq(logic.lowest(left.as_value())),
            self.has_end.eq(left.end), self.part.eq(is_first),
            self.part.message.eq(left.message), self.part.header.eq(left.header),
        ]
        is_headless = ~left.header & ~left.message
        m.d.comb += [
            rest.header.eq(left.header & ~takes.header),
            rest.message.eq(left.message & ~self.takes_message),
            rest.end.eq(left.end & ~Mux(left.message, self.takes_message,
                                        is_headless & takes.end)),
            rest.verdict.eq(left.verdict & ~(is_headless & ~left.end & Mux(
                self.is_damaged, takes.damaged, takes.good)))]
        has_rest, upcoming = Signal(), Signal(Mark)
        m.d.comb += [
            has_rest.eq(rest.as_value().any()),
            upcoming.eq(Mux(is_last | ~self.is_stored, incoming, following.data))]
        m.d.sync += mark.parts.eq(Mux(self.is_stored & ~has_rest, upcoming.parts, rest))
        for name in ("is_damaged", "arrival"):
            self._settle(m, has_rest, mark[name], Mux(self.is_stored, mark[name], upcoming[name]),
                         upcoming[name])

        # What cannot be taken at once is kept, or lost.
        has_more, adds, room, sinks = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [has_more.eq(incoming.parts.as_value().any()),
                     adds.eq(self.is_stored & has_more & ~is_full),
                     room.eq(~self.is_stored | adds), sinks.eq(self.is_stored & ~adds),
                     self.is_lost.eq(is_full & has_more & ~is_owing)]
        with m.If(is_owing), m.If(~is_full):
            m.d.sync += is_owing.eq(0)
        with m.Elif(self.is_lost):
            m.d.sync += [is_losing.eq(1), is_owing.eq(1)]
        with m.Elif(incoming.parts.header):
            m.d.sync += is_losing.eq(0)

        is_stored, bound = has_rest | (self.is_stored & (~is_last | adds)), self._depth - MARGIN
        m.d.sync += [self.is_stored.eq(is_stored), is_empty.eq(~is_stored)]
        for value, more, less in (
                (level, level + 1, level - 1), (is_last, level == 0, level == 2),
                (is_full, level == self._depth - 1, 0),
                (self.is_filling, level >= bound - 1, level >= bound + 1)):
            self._settle(m, has_rest, value, Mux(room, more, value), Mux(sinks, less, value))
        after = [Signal.like(port.addr) for port in (write, read)]
        m.d.comb += [address.eq(port.addr + 1)
                     for address, port in zip(after, (write, read), strict=True)]
        self._settle(m, has_rest, write.addr, Mux(room, after[0], write.addr),
                     Mux(adds, after[0], write.addr))
        self._settle(m, has_rest, read.addr, read.addr, Mux(self.is_stored, after[1], read.addr))

        return m

    @staticmethod
    def _settle(m, late, register, then, other):
        """Set a register by a condition that comes late: a gate before it, no enable."""
        values = Signal.like(register), Signal.like(register)
        m.d.comb += [values[0].eq(then), values[1].eq(other)]
        m.d.sync += register.eq(logic.select((late, values[0]), (~late, values[1])))

    def _come(self, m, entry, parts, is_losing):
        """Collect what this cycle brings; of a packet that has lost an event, nothing more."""
        header, message, end, verdict = self.i.header, self.i.message, self.i.end, self.i.verdict
        is_shut = is_losing & ~header.valid
        m.d.comb += [
            parts.header.eq(header.valid), parts.end.eq(end.valid & ~is_shut),
            parts.verdict.eq(verdict.valid & ~is_shut),
            parts.message.eq(message.valid & ~is_losing),    # never beside a header
            entry.body.header.eq(header.payload),
            entry.is_malformed.eq(end.payload.is_malformed),
            entry.is_short.eq(end.payload.is_short)]

    def _enter(self, m, came, parts, entered, incoming, is_owing):
        """Return what is stored of that; or what stands for events that were lost.

        Something is stored as long as that is owed: an event was lost because the queue was full.
        """
        m.d.comb += [
            entered.eq(came), incoming.arrival.eq(self.clock), incoming.parts.eq(parts),
            incoming.is_damaged.eq(self.i.verdict.payload.is_damaged | is_owing)]
        with m.If(is_owing):
            m.d.comb += [incoming.parts.eq(Part.const({"end": 1, "verdict": 1})),
                         entered.is_malformed.eq(1), entered.is_short.eq(0)]
