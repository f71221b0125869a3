"""One port of the arbiter: its events in order, and the packet in hand."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire_hw.blocks_port import Message, PacketSignature
from tickwire_hw.due_event import DueEvent
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
    So a message that meets an empty queue is judged in the cycle in which it comes. A header, an
    end or a verdict that says damaged first goes to a register, and what is behind it waits until
    it is taken from there; see :class:`tickwire_hw.due_event.DueEvent`.

    Members
    -------
    i : ``In(PacketSignature())``
        The port.
    clock, is_ready, accepts, accepted, wins : ``In``
        Cycle number; whether messages may be taken; whether any lane's message is accepted in
        this cycle, and was in the one before; whether it is this one's.
    is_behind, is_clear : ``In(1)``
        Whether another lane's next event may have come before this one's next message; and
        whether that will be known not to be so in the next cycle, if the message waits until then.
    is_first : ``Out(1)``
        The message was here in the cycle before, and was clear.
    know, expected : ``In``
        The feed, and the expected number and the two after it.
    is_open : ``In(1)``
        Whether a header that is not ahead changes nothing in the feed's state.
    is_repairing : ``In(1)``
        Whether a header that is ahead does not either.
    hopes, until, patient_until : ``In``
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
    is_valid : ``Out(1)``
        There is an event.
    is_due, part, head, due_arrival : ``Out``
        A header, an end or a verdict that says damaged waits for ``take``; everything else is
        taken by itself.
    next_arrival : ``Out(CLOCK)``
        When that came which is behind it.
    is_stored, arrival : ``Out``
        Whether that came before this cycle, and when.
    is_waiting, waiting_arrival : ``Out``
        The same of what is behind it, but for a good verdict, for which nobody waits.
    is_known, is_plain, is_early : ``Out(1)``, ``Out(2)``, ``Out(2)``
        Of a header: whether number and session are right; whether, besides, it changes nothing
        but what is known of its line; and whether it is ahead. The second bit holds in a cycle
        in which a message is accepted.
    is_end, is_heartbeat : ``Out(1)``
        Of a header: what its count says.
    offers, might_offer : ``Out(1)``
        The next event is the expected message; and it is, if it may be taken.
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
    accepted: In(1)
    wins: In(1)
    is_behind: In(1)
    is_clear: In(1)
    is_first: Out(1)
    know: In(Knowledge)
    expected: In(data.ArrayLayout(64, 3))
    is_open: In(1)
    is_repairing: In(1)
    hopes: In(LINES)
    until: In(data.ArrayLayout(65, LINES))
    patient_until: In(65)
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
    is_due: Out(1)
    part: Out(Part)
    head: Out(Entry)
    due_arrival: Out(CLOCK)
    next_arrival: Out(CLOCK)
    is_stored: Out(1)
    is_waiting: Out(1)
    waiting_arrival: Out(CLOCK)
    arrival: Out(CLOCK)
    is_known: Out(1)
    is_plain: Out(2)
    is_early: Out(2)
    is_end: Out(1)
    is_heartbeat: Out(1)
    offers: Out(1)
    might_offer: Out(1)
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
        # Of a header, when no message is accepted in this cycle and when one is.
        self._at, self._below = Signal(2), Signal(2)
        super().__init__()

    def elaborate(self, platform):
        """Return the queue, what waits for its turn, the next message, the packet in hand."""
        m = Module()

        m.submodules.queue = queue = PacketQueue(self._depth)
        m.submodules.due = due = DueEvent()
        connect(m, flipped(self.i), queue.i)
        part, packet = queue.part, self.packet
        is_damaged, loads = part.verdict & queue.is_damaged, Signal()
        is_passed = (part.verdict & ~queue.is_damaged & self.is_ready
                     & (~due.is_valid | (self.take & due.part.end)))
        takes_message, has_message, may_drop = Signal(), Signal(), Signal()
        m.d.comb += [
            queue.clock.eq(self.clock), self.is_lost.eq(queue.is_lost),
            self.is_filling.eq(queue.is_filling), self.message.eq(queue.message),
            due.entry.eq(queue.head),
            due.arrival.eq(self.next_arrival),
            self.next_arrival.eq(Mux(queue.is_stored, queue.arrival, self.clock)),
            due.part_next.header.eq(part.header), due.part_next.verdict.eq(part.verdict),
            due.part_next.end.eq(part.end | part.message),
            loads.eq(((part.end | is_damaged) & (self.take | ~due.is_valid))
                     | (part.header & ~due.is_valid)),
            due.loads.eq(loads | queue.takes_end),
            due.take.eq(self.take), due.know.eq(self.know), due.expected.eq(self.expected),
            due.until.eq(self.until), due.patient_until.eq(self.patient_until),
            self.is_due.eq(due.is_valid), self.part.eq(due.part), self.head.eq(due.kept),
            self.due_arrival.eq(due.kept_arrival),
            self.is_stored.eq(queue.is_stored), self.is_waiting.eq(queue.is_waiting),
            self.waiting_arrival.eq(queue.waiting_arrival),
            self.arrival.eq(queue.arrival),
            self.is_valid.eq(due.is_valid | part.as_value().any()),
            queue.takes_end.eq(takes_message & queue.has_end),
            queue.take.eq(takes_message | loads | is_passed),
        ]

        # Where the next message stands: at, below or beyond the expected number.
        delta, is_at, is_below = Signal(64), Signal(), Signal()
        is_next = delta == 1
        m.d.comb += [
            has_message.eq(part.message & self.is_ready & ~due.is_valid),
            may_drop.eq(~self.is_behind & ~(is_next & self.accepts)),
            takes_message.eq(has_message & (~packet.is_in | ~self.is_far | may_drop)),
            self.might_offer.eq(part.message & packet.is_in & is_at),
            self.offers.eq(has_message & packet.is_in & is_at),
            self.is_duplicate.eq(has_message & packet.is_in
                                 & (is_below | (is_at & ~self.wins))),
            self.is_far.eq(~is_at & ~is_below), self.reach.eq(packet.first + due.kept.passed),
            self.is_ahead.eq(has_message & packet.is_in & self.is_far & may_drop),
        ]
        opens = due.part.header & self.take
        self._header(m, due, opens, packet)
        self._step(m, due, opens, takes_message & packet.is_in, (delta, is_at, is_below))
        m.d.sync += self.is_first.eq(Mux(
            queue.is_stored, self.is_clear & ~takes_message & part.message, self.is_clear))
        with m.If(self.wins):
            m.d.sync += packet.has_taken.eq(1)
        for strobe, field, value in (
                (self.let_in, packet.is_in, 1), (self.shut | is_passed, packet.is_in, 0),
                (self.jumps, packet.has_jumped, 1), (self.ends, packet.has_end, 1),
                (self.loses_end, packet.has_end, 0),
                (self.is_heard & ~opens, packet.is_shared, 1)):
            with m.If(strobe):
                m.d.sync += field.eq(value)
        with m.If(self.changes_session):
            m.d.sync += [packet.has_session.eq(1), packet.shown.eq(0), packet.was_recovering.eq(0)]

        return m

    def _step(self, m, due, opens, up, stands):
        """Follow what is taken here (up) and accepted anywhere (down), or begin with a header."""
        delta, is_at, is_below = stands
        is_zero, excess = delta == 0, due.judgement.excess
        stays, falls = Signal(64), Signal(64)
        m.d.comb += [
            stays.eq(Mux(opens, Mux(self.accepted, excess[1], excess[0]),
                         Mux(self.is_jumping, delta - self.jump, delta))),
            falls.eq(Mux(opens, Mux(self.accepted, excess[2], excess[1]), delta - 1))]
        with m.If(up & ~self.accepts):
            is_last = delta.all()                          # -1
            m.d.sync += [delta.eq(delta + 1), is_at.eq(is_last), is_below.eq(delta[-1] & ~is_last)]
        with m.Elif(self.accepts & ~up):
            m.d.sync += [delta.eq(falls), is_at.eq(Mux(opens, self._at[1], delta == 1)),
                         is_below.eq(Mux(opens, self._below[1], delta[-1] | is_zero))]
        with m.Else():
            m.d.sync += [delta.eq(stays), is_at.eq(Mux(opens, self._at[0], is_zero)),
                         is_below.eq(Mux(opens, self._below[0], delta[-1]))]

    def _header(self, m, due, opens, packet):
        """Judge a header, and make its packet the one in hand when it is taken."""
        header, know, judgement = due.kept.body.header, self.know, due.judgement
        own = header.line[0]
        m.d.comb += [
            self._at[0].eq(Mux(self.accepted, judgement.is_at[1], judgement.is_at[0])),
            self._at[1].eq(Mux(self.accepted, judgement.is_at[2], judgement.is_at[1])),
            self._below[0].eq(judgement.is_below | (self.accepted & judgement.is_at[0])),
            self._below[1].eq(self._below[0] | self._at[0]),
            self.is_known.eq(judgement.is_known), self.is_end.eq(judgement.is_end),
            self.is_heartbeat.eq(judgement.is_heartbeat),
        ]
        is_end_right = ~judgement.is_end | (self.is_end_sure & judgement.is_within_end)
        in_time = (judgement.is_in_time & (judgement.is_patient | ~know.is_hole_known),
                   judgement.is_in_time)
        for accepts in range(2):
            is_waiting = Mux(know.is_recovering, self.is_repairing,
                             self.hopes.bit_select(own, 1) & in_time[accepts])
            is_early = judgement.is_line & ~self._at[accepts] & ~self._below[accepts]
            m.d.comb += [
                self.is_early[accepts].eq(is_early),
                self.is_plain[accepts].eq(judgement.is_known & (~judgement.is_line | (
                    self.is_open & is_end_right & (~is_early | is_waiting))))]
        opened = Signal()
        m.d.sync += opened.eq(opens)
        with m.If(opened):
            line = packet.line[0]
            m.d.sync += [
                packet.before.eq(self.expected[0]), packet.shown.eq(know.shown[line]),
                packet.last.eq(know.last[line]), packet.silent.eq(know.silent[line]),
                packet.was_recovering.eq(know.is_recovering)]
        with m.If(opens):
            m.d.sync += [
                packet.is_in.eq(Mux(self.accepts, self.is_plain[1], self.is_plain[0])),
                packet.line.eq(header.line), packet.stamp.eq(header.stamp),
                packet.first.eq(header.first),
                *(packet[mark].eq(0) for mark in (
                    "has_taken", "has_jumped", "has_session", "has_end", "is_shared"))]
