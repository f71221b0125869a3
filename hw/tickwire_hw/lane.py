"""One port of the arbiter: its events in order, and the packet in hand."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec import moldudp64
from tickwire.spec.records import Line
from tickwire_hw.blocks_port import Message, PacketSignature
from tickwire_hw.feed_port import LINE_SHAPE
from tickwire_hw.feed_state import LINES, Knowledge
from tickwire_hw.packet_queue import CLOCK, Entry, PacketQueue, Part


class Packet(data.Struct):
    """The packet in hand, and what must be known again when its frame was damaged."""

    is_in: 1                               # its messages count: number and session are right
    line: LINE_SHAPE
    stamp: 64
    first: 64
    has_taken: 1                           # a message was accepted from it
    has_jumped: 1                          # it made `expected` go on, or start
    has_session: 1                         # it changed the session
    has_end: 1                             # it was the last to show the session's end
    is_shared: 1                           # its line was heard on another port since
    before: 64                             # of its header: expected,
    shown: 64                              # what its line had shown,
    last: 64                               # when that was heard last,
    silent: 1                              # whether its silence had been counted,
    was_recovering: 1                      # and whether a gap was open


class Lane(wiring.Component):
    """Take the events of one port in order; say what the next message is to the feed.

    A message is compared without an adder: ``delta``, its number less the expected one, is kept
    from message to message, and what it will be in the next cycle is known when this one ends.
    So an event that meets an empty queue is judged in the cycle in which it comes.

    Members
    -------
    i : ``In(PacketSignature())``
        The port.
    clock, is_ready, accepts, wins : ``In``
        Cycle number; whether messages may be taken; whether any lane's message is accepted in
        this cycle; whether it is this one's.
    is_behind : ``In(1)``
        Whether another lane's next event came before this one's.
    know, expected, expected_next : ``In``
        The feed, and the expected number and the one after it.
    is_open : ``In(1)``
        Whether a header that is not ahead changes nothing in the feed's state.
    is_repairing : ``In(1)``
        Whether a header that is ahead does not either.
    hopes, until, until_known : ``In``
        Of each line: whether the other one may still bring the expected message, and until when,
        as :class:`tickwire_hw.feed_state.Comparisons` has it. A header that is ahead then changes
        nothing but what is known of its line and of the hole.
    is_end_sure : ``In(1)``
        Whether no packet in hand may take the session's end back.
    jump, is_jumping : ``In(64)``, ``In(1)``
        ``expected`` has gone up by ``jump`` in the cycle before.
    take : ``In(1)``
        Take the header, end or verdict that is due; a header becomes the packet in hand.
    let_in, shut : ``In(1)``
        Change the packet's ``is_in``.
    jumps, changes_session, ends, loses_end, is_heard : ``In(1)``
        Set the marks of the packet in hand; ``loses_end`` clears one.
    is_valid, arrival, head, part : ``Out``
        The next event.
    is_due : ``Out(1)``
        Whether a header, an end or a verdict that says damaged waits for ``take``. Everything
        else is taken by itself.
    is_known, is_plain, is_early : ``Out(1)``
        Of a header: whether number and session are right; whether, besides, it changes nothing
        but what is known of its line; and whether it is ahead.
    offers : ``Out(1)``
        The next event is the expected message.
    message : ``Out(Message)``
        The next event, when it is a message.
    is_duplicate, is_ahead : ``Out(1)``
        A message is dropped in this cycle. An offer that does not win is a duplicate.
    packet, is_far : ``Out(Packet)``, ``Out(1)``
        The packet in hand; whether the number after its last message is above the expected one.
    reach : ``Out(64)``
        Of an end: the number after the packet's last message.
    is_filling, is_lost : ``Out(1)``
        The queue is nearly full; strobe: it was full.
    """

    i: In(PacketSignature())
    clock: In(CLOCK)
    is_ready: In(1)
    accepts: In(1)
    wins: In(1)
    is_behind: In(1)
    know: In(Knowledge)
    expected: In(64)
    expected_next: In(64)
    is_open: In(1)
    is_repairing: In(1)
    hopes: In(LINES)
    until: In(data.ArrayLayout(65, LINES))
    until_known: In(data.ArrayLayout(65, LINES))
    is_end_sure: In(1)
    jump: In(64)
    is_jumping: In(1)
    take: In(1)
    let_in: In(1)
    shut: In(1)
    jumps: In(1)
    changes_session: In(1)
    ends: In(1)
    loses_end: In(1)
    is_heard: In(1)
    is_valid: Out(1)
    arrival: Out(CLOCK)
    head: Out(Entry)
    part: Out(Part)
    is_due: Out(1)
    is_known: Out(1)
    is_plain: Out(1)
    is_early: Out(1)
    offers: Out(1)
    message: Out(Message)
    is_duplicate: Out(1)
    is_ahead: Out(1)
    packet: Out(Packet)
    is_far: Out(1)
    reach: Out(64)
    is_filling: Out(1)
    is_lost: Out(1)

    def __init__(self, depth: int) -> None:
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        """Return the queue, the comparison of the next message and the packet in hand."""
        m = Module()

        m.submodules.queue = queue = PacketQueue(self._depth)
        connect(m, flipped(self.i), queue.i)
        part, packet = queue.part, self.packet
        m.d.comb += [queue.clock.eq(self.clock), self.head.eq(queue.head), self.part.eq(part),
                     self.is_valid.eq(part.as_value().any()), self.arrival.eq(queue.head.arrival),
                     self.message.eq(queue.head.body.message), self.is_lost.eq(queue.is_lost),
                     self.is_filling.eq(queue.is_filling),
                     self.is_due.eq(part.header | part.end
                                    | (part.verdict & queue.head.is_damaged))]

        # Where the next message stands: at, below or beyond the expected number.
        delta, is_at, is_below = Signal(64), Signal(), Signal()
        is_next = delta == 1
        has_message = part.message & self.is_ready
        drops = Signal()
        m.d.comb += [
            self.offers.eq(has_message & packet.is_in & is_at),
            self.is_duplicate.eq(has_message & packet.is_in
                                 & (is_below | (is_at & ~self.wins))),
            self.is_far.eq(~is_at & ~is_below), self.reach.eq(packet.first + queue.head.passed),
            self.is_ahead.eq(has_message & packet.is_in & self.is_far & ~self.is_behind
                             & ~(is_next & self.accepts)),
            drops.eq(has_message & ~packet.is_in),
            queue.take.eq(self.take | self.wins | self.is_duplicate | self.is_ahead | drops
                          | (part.verdict & ~queue.head.is_damaged & self.is_ready)),
        ]
        self._header(m, delta, is_at, is_below)
        with m.If(part.header & self.take):
            pass
        with m.Elif(self.is_jumping):
            m.d.sync += delta.eq(delta - self.jump)
        with m.Else():
            self._step(m, delta, is_at, is_below)

        with m.If(self.wins):
            m.d.sync += packet.has_taken.eq(1)
        for strobe, field, value in (
                (self.let_in, packet.is_in, 1), (self.shut, packet.is_in, 0),
                (self.jumps, packet.has_jumped, 1), (self.ends, packet.has_end, 1),
                (self.loses_end, packet.has_end, 0), (self.is_heard, packet.is_shared, 1),
                (part.verdict & queue.take, packet.is_in, packet.is_in & queue.head.is_damaged)):
            with m.If(strobe):
                m.d.sync += field.eq(value)
        with m.If(self.changes_session):
            m.d.sync += [packet.has_session.eq(1), packet.shown.eq(0), packet.was_recovering.eq(0)]

        return m

    def _step(self, m, delta, is_at, is_below):
        """Follow what is taken here (up) and accepted anywhere (down)."""
        up = self.wins | self.is_duplicate | self.is_ahead
        with m.If(up & ~self.accepts):
            is_last = delta.all()                          # -1
            m.d.sync += [delta.eq(delta + 1), is_at.eq(is_last), is_below.eq(delta[-1] & ~is_last)]
        with m.Elif(self.accepts & ~up):
            m.d.sync += [delta.eq(delta - 1), is_at.eq(delta == 1),
                         is_below.eq(delta[-1] | (delta == 0))]
        with m.Else():
            m.d.sync += [is_at.eq(delta == 0), is_below.eq(delta[-1])]

    def _header(self, m, delta, is_at, is_below):
        """Judge a header, and make its packet the one in hand when it is taken."""
        header, packet, know = self.head.body.header, self.packet, self.know
        is_line = header.line != Line.RECOVERY
        number_max = Const(moldudp64.SEQUENCE_MAX, 64)
        is_equal, is_less = header.first == self.expected, header.first < self.expected
        header_at, header_below = Signal(), Signal()
        is_end = header.count == moldudp64.END_OF_SESSION
        own = header.line[0]
        until = Mux(know.is_hole_known & ~self.accepts, self.until_known[own], self.until[own])
        is_waiting = Mux(know.is_recovering, self.is_repairing,
                         self.hopes.bit_select(own, 1) & (header.stamp <= until))
        m.d.comb += [
            header_at.eq(Mux(self.accepts, header.first == self.expected_next, is_equal)),
            header_below.eq(is_less | (self.accepts & is_equal)),
            self.is_known.eq((header.first != 0) & (header.first <= number_max)
                             & know.has_session & (header.session == know.session)),
            self.is_early.eq(is_line & ~header_at & ~header_below),
            self.is_plain.eq(self.is_known & (~is_line | (
                self.is_open & (~self.is_early | is_waiting)
                & (~is_end | (self.is_end_sure & (header.first <= know.end)))))),
        ]
        with m.If(self.part.header & self.take):
            expected = Mux(self.accepts, self.expected_next, self.expected)
            m.d.sync += [
                delta.eq(header.first - expected), is_at.eq(header_at), is_below.eq(header_below),
                packet.eq(0), packet.is_in.eq(self.is_plain), packet.line.eq(header.line),
                packet.stamp.eq(header.stamp), packet.first.eq(header.first),
                packet.before.eq(expected), packet.shown.eq(know.shown[own]),
                packet.last.eq(know.last[own]), packet.silent.eq(know.silent[own]),
                packet.was_recovering.eq(know.is_recovering),
            ]
