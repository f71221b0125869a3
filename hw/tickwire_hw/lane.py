"""One port of the arbiter: its events in order, and the packet in hand."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire_hw.blocks_port import Header, Message, PacketSignature
from tickwire_hw.due_event import DueEvent
from tickwire_hw.feed_state import LINES, Knowledge
from tickwire_hw.packet_queue import CLOCK, PacketQueue, Part


class Packet(data.Struct):
    """What the packet in hand has done, and what must be known again if its frame was damaged."""

    is_in: 1                               # its messages count: number and session are right
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

    A message is compared without an adder. Its number and the expected one both rise by one at
    most in a cycle, so how the one of this cycle stands to the other follows from their difference
    two cycles ago, of which only the few values next to zero matter, and from what rose since. So
    a message that meets an empty queue is judged in the cycle in which it comes. A header, an end
    or a verdict that says damaged first goes to a register, and what is behind it waits until it is
    taken from there; see :class:`tickwire_hw.due_event.DueEvent`.

    Members
    -------
    i : ``In(PacketSignature())``
        The port.
    clock, is_ready, accepts, accepted, wins : ``In``
        Cycle number; whether messages may be taken; whether any lane's message is accepted in this
        cycle, and was in the one before; whether it is this one's.
    is_any : ``In(1)``
        Whether any lane's message would be accepted if messages may be taken.
    is_clear, is_alone : ``In(1)``
        Whether no other lane's event is known to have come before what ``arrival`` is of; and
        whether no other lane has any, or gets one in this cycle.
    is_first : ``Out(1)``
        The message was here in the cycle before, and nothing that another lane has is older.
    know, expected : ``In``
        The feed, and the expected number. After a jump of that, nothing is ready for two cycles.
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
    take : ``In(1)``
        Take the header, end or verdict that is due; a header becomes the packet in hand.
    let_in, shut : ``In(1)``
        Change the packet's ``is_in``.
    jumps, changes_session, ends, loses_end, is_heard : ``In(1)``
        Set the marks of the packet in hand; ``loses_end`` clears one.
    is_valid : ``Out(1)``
        There is an event.
    is_due, part, is_malformed, is_short, header : ``Out``
        A header, an end or a verdict that says damaged waits for ``take``; everything else is
        taken by itself. The rest as of :class:`tickwire_hw.due_event.DueEvent`.
    is_judged : ``Out(1)``
        What is due may be taken in this cycle.
    is_stored : ``Out(1)``
        Something that came before this cycle is in the queue.
    due_arrival, arrival : ``Out(CLOCK)``
        When that came which is due, and when that or, if nothing is, the next in the queue.
    is_waiting, waiting_arrival : ``Out``
        Whether something is in the queue but a good verdict, for which nobody waits; and when it
        came.
    is_numbered, is_known, is_early : ``Out(1)``
        Of a header: whether its number is right, and the session, too; and whether it is ahead of
        what is expected after this cycle.
    is_plain, is_refused, was_early : ``Out(1)``
        A header was taken in the cycle before; whether it changes nothing but what is known of its
        line, or needs more. Messages behind the latter wait. And whether it was ahead.
    is_end, is_heartbeat : ``Out(1)``
        Of a header: what its count says.
    offers, would_offer, might_offer : ``Out(1)``
        The next event is the expected message; it is, if messages may be taken; and once more for
        what selects data, if nothing is due.
    message : ``Out(Message)``
        The next event, when it is a message.
    is_duplicate, is_ahead : ``Out(1)``
        A message is dropped in this cycle. An offer that does not win is a duplicate.
    packet, is_far : ``Out(Packet)``, ``Out(1)``
        The packet in hand; whether the number after its last message is above the expected one.
    has_end : ``Out(1)``
        The packet in hand has shown the session's end, and may still take it back.
    is_filling, is_lost : ``Out(1)``
        The queue is nearly full; strobe: it was full.
    """

    i: In(PacketSignature())
    clock: In(CLOCK)
    is_ready: In(1)
    accepts: In(1)
    accepted: In(1)
    wins: In(1)
    is_any: In(1)
    is_clear: In(1)
    is_alone: In(1)
    is_first: Out(1)
    know: In(Knowledge)
    expected: In(64)
    is_open: In(1)
    is_repairing: In(1)
    hopes: In(LINES)
    until: In(data.ArrayLayout(65, LINES))
    patient_until: In(65)
    is_end_sure: In(1)
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
    is_judged: Out(1)
    part: Out(Part)
    is_malformed: Out(1)
    is_short: Out(1)
    header: Out(Header)
    due_arrival: Out(CLOCK)
    is_stored: Out(1)
    is_waiting: Out(1)
    waiting_arrival: Out(CLOCK)
    arrival: Out(CLOCK)
    is_numbered: Out(1)
    is_known: Out(1)
    is_early: Out(1)
    is_plain: Out(1)
    is_refused: Out(1)
    was_early: Out(1)
    is_end: Out(1)
    is_heartbeat: Out(1)
    offers: Out(1)
    would_offer: Out(1)
    might_offer: Out(1)
    message: Out(Message)
    is_duplicate: Out(1)
    is_ahead: Out(1)
    packet: Out(Packet)
    is_far: Out(1)
    has_end: Out(1)
    is_filling: Out(1)
    is_lost: Out(1)

    def __init__(self, depth: int) -> None:
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        """Return the queue, what waits for its turn, the next message, the packet in hand."""
        m = Module()

        m.submodules.queue = queue = PacketQueue(self._depth)
        m.submodules.due = due = DueEvent()
        connect(m, flipped(self.i), queue.i)
        part, packet = queue.part, self.packet
        is_damaged, loads, is_passed = part.verdict & queue.is_damaged, Signal(), Signal()
        may_take, opened, takes, would_take = (Signal() for _ in range(4))
        m.d.comb += [
            queue.clock.eq(self.clock), self.is_lost.eq(queue.is_lost),
            self.is_filling.eq(queue.is_filling), self.message.eq(queue.message),
            due.entry.eq(queue.head), due.arriving.eq(self.i.header.payload),
            due.is_arriving.eq(~queue.is_stored),
            due.arrival.eq(Mux(queue.is_stored, queue.arrival, self.clock)),
            due.part_next.header.eq(part.header), due.part_next.verdict.eq(part.verdict),
            due.part_next.end.eq(part.end | part.message),
            due.appends.eq(is_damaged & due.is_valid & due.part.end),
            loads.eq((part.header | part.end | is_damaged) & ~due.is_valid),
            due.loads.eq(loads | (takes & queue.has_end)),
            due.closes.eq(part.verdict & ~queue.is_damaged & due.is_valid & due.part.end),
            is_passed.eq(Mux(due.is_valid,
                             self.take & due.part.end & (due.is_closed | due.closes),
                             part.verdict & ~queue.is_damaged & queue.takes.good)),
            due.take.eq(self.take), due.know.eq(self.know), due.expected.eq(self.expected),
            due.until.eq(self.until), due.patient_until.eq(self.patient_until),
            self.is_due.eq(due.is_valid), self.is_judged.eq(due.is_judged | ~due.part.header),
            self.part.eq(due.part), self.header.eq(due.header),
            self.is_malformed.eq(due.is_malformed), self.is_short.eq(due.is_short),
            self.due_arrival.eq(due.arrived),
            self.arrival.eq(Mux(due.is_valid, due.arrived, queue.arrival)),
            self.is_stored.eq(queue.is_stored), self.is_waiting.eq(queue.is_waiting),
            self.waiting_arrival.eq(queue.waiting_arrival),
            self.has_end.eq(packet.is_in & packet.has_end & ~opened & ~due.is_closed
                            & (due.is_valid | ~queue.is_good)),
            self.is_valid.eq(due.is_valid | opened | part.as_value().any()),
            queue.takes.header.eq(~due.is_valid), queue.takes.end.eq(~due.is_valid),
            queue.takes.damaged.eq(~due.is_valid | due.part.end),
            queue.takes.good.eq(Mux(due.is_valid, due.part.end, self.is_ready)),
            queue.takes_message.eq(would_take),
        ]

        # Where the next message stands: at, below or beyond the expected number.
        is_at, is_below, is_next, counts, moves = (Signal() for _ in range(5))
        may_leave, has_waited = Signal(), Signal()
        stand = self._stand(m, due, counts)
        m.d.comb += [
            may_take.eq(self.is_ready & ~due.is_valid),
            moves.eq(part.message & may_take & packet.is_in),
            may_leave.eq(moves & queue.is_stored & self.is_first),
            would_take.eq(may_take & Mux(
                packet.is_in,
                ~self.is_far | (queue.is_stored & self.is_first & (~is_next | has_waited)),
                ~opened)),
            takes.eq(part.message & would_take),
            counts.eq(takes & packet.is_in),
            self.might_offer.eq(queue.has_message & packet.is_in & is_at),
            self.would_offer.eq(part.message & ~due.is_valid & packet.is_in & is_at),
            self.offers.eq(self.would_offer & self.is_ready),
            self.is_duplicate.eq(moves & (is_below | (is_at & ~self.wins))),
            self.is_far.eq(~is_at & ~is_below), self.is_ahead.eq(counts & self.is_far),
        ]
        # The next but one stays for a cycle, in which the one before it may come at another port.
        # One that was beyond the next one, and taken, is believed to be it for a cycle.
        m.d.sync += [
            has_waited.eq(may_leave & is_next & ~has_waited),
            is_next.eq(Mux(self.accepts, stand[2], stand[1] | (stand[0] & moves))),
            is_at.eq(Mux(self.accepts, (stand[1] & ~(may_leave & has_waited)) | (stand[0] & moves),
                         stand[0] | (stand[-1] & moves))),
            is_below.eq(Mux(self.accepts, stand["less"] | (stand[0] & ~moves),
                            stand["less"] & ~(stand[-1] & moves))),
            self.is_first.eq(~due.is_valid & Mux(
                queue.is_stored & takes, self.is_alone,
                self.is_clear & (~queue.is_stored | part.message)))]
        opens = due.part.header & self.take
        with m.If(opened):
            m.d.sync += [
                *(packet[mark].eq(0) for mark in (
                    "has_taken", "has_jumped", "has_session", "has_end", "is_shared"))]
        with m.If(self.wins):
            m.d.sync += packet.has_taken.eq(1)
        for strobe, field, value in (
                (self.jumps, packet.has_jumped, 1), (self.ends, packet.has_end, 1),
                (self.loses_end, packet.has_end, 0),
                (self.is_heard, packet.is_shared, 1)):
            with m.If(strobe):
                m.d.sync += field.eq(value)
        self._header(m, due, opens, opened, is_passed)
        with m.If(self.changes_session):
            m.d.sync += [packet.has_session.eq(1), packet.shown.eq(0), packet.was_recovering.eq(0)]

        return m

    def _stand(self, m, due, counts):
        """Return whether the port's next number less the expected one is -1 to 2, or ``less``."""
        distance, counted, counted_before = due.distance, Signal(), Signal()
        m.d.comb += due.counted.eq(counted)
        m.d.sync += [counted.eq(counts),
                     counted_before.eq(counted & ~(due.part_next.header & ~due.is_valid))]
        was = {value: ((distance.is_small if value >= 0 else distance.is_small_below)
                       & (distance.low == value % 4)) for value in range(-3, 4)}
        stand = {of: Signal(name=f"stand_{of}") for of in ("less", -1, 0, 1, 2)}
        rises = Cat(counted, counted_before, self.accepted)
        with m.Switch(rises):
            for bits in range(1 << len(rises)):
                rise = (bits & 1) + (bits >> 1 & 1) - (bits >> 2)
                less = distance.is_below & ~Cat(was[-by] for by in range(1, rise + 1)).any()
                with m.Case(bits):
                    m.d.comb += [stand["less"].eq(less if rise >= 0 else less | was[0]),
                                 *(stand[of].eq(was[of - rise]) for of in (-1, 0, 1, 2))]
        return stand

    def _header(self, m, due, opens, opened, is_passed):
        """Judge a header, and make its packet the one in hand when it is taken."""
        know, judgement, packet = self.know, due.judgement, self.packet
        m.d.comb += [
            self.is_numbered.eq(judgement.is_numbered),
            self.is_known.eq(judgement.is_known & self.is_numbered),
            self.is_end.eq(judgement.is_end),
            self.is_heartbeat.eq(judgement.is_heartbeat),
        ]
        is_end_right = ~judgement.is_end | (self.is_end_sure & judgement.is_within_end)
        own, low = due.header.line[0], due.distance.low
        in_time = (self.hopes & judgement.is_in_time).bit_select(own, 1)
        hopes = (in_time & (judgement.is_patient | ~know.is_hole_known), in_time)
        is_early, is_plain = Signal(2), Signal(2)      # by whether a message is accepted
        for accepts in range(2):
            is_waiting = Mux(know.is_recovering, self.is_repairing, hopes[accepts])
            is_near = due.distance.is_small & Mux(
                self.accepted, low < accepts + 2, low < accepts + 1)
            m.d.comb += [
                is_early[accepts].eq(~due.distance.is_below & ~is_near),
                is_plain[accepts].eq(self.is_known & (~judgement.is_line | (
                    self.is_open & is_end_right & (~is_early[accepts] | is_waiting))))]
        m.d.comb += [self.is_early.eq(judgement.is_line & Mux(
                        self.is_any, is_early[1], is_early[0]))]
        was_refused, is_in = Signal(), Mux(self.is_any, is_plain[1], is_plain[0])
        m.d.sync += [opened.eq(opens), packet.is_in.eq(Mux(
                        opens, is_in, self.let_in | (packet.is_in & ~self.shut & ~is_passed))),
                     was_refused.eq(self.is_refused), self.was_early.eq(self.is_early),
                     self.is_plain.eq(opens & is_in), self.is_refused.eq(opens & ~is_in)]
        # A refused header's sequence begins when this is done; what is wide changes a cycle later.
        begins, was_begun = Signal(), Signal()
        m.d.comb += begins.eq(opened | was_refused)
        m.d.sync += was_begun.eq(begins)
        with m.If(begins):
            m.d.sync += [packet.before.eq(self.expected), packet.silent.eq(know.silent[own]),
                         packet.was_recovering.eq(know.is_recovering)]
        with m.If(was_begun):
            m.d.sync += [packet.shown.eq(know.shown[own]), packet.last.eq(know.last[own])]
