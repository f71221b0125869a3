"""What is inside the arbiter: the fast path of its lanes, and the registers that they share."""

from functools import reduce
from operator import add

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import connect, flipped

from tickwire.spec.counters import CounterIndex
from tickwire.spec.records import FeedState, Line
from tickwire.spec.registers import GapPolicy
from tickwire_hw import logic
from tickwire_hw.arbiter_sequences import sequences
from tickwire_hw.feed_port import FLAGS_SHAPE, LINE_SHAPE, SESSION_SHAPE, EventKind, FeedEvent
from tickwire_hw.feed_state import LINES, Comparisons, Conclusion, Knowledge
from tickwire_hw.lane import Lane, Packet
from tickwire_hw.packet_queue import CLOCK

PORTS = 3
"""Line A, line B, the host's answers; which line a packet is of, its header says."""

_C = CounterIndex
WIDTHS = {
    _C.FRAMES_A: 1, _C.FRAMES_B: 1, _C.FRAMES_RECOVERY: 1, _C.PACKETS_MALFORMED: 1,
    _C.PACKETS_SESSION: 2, _C.HEARTBEATS: 1, _C.MESSAGES_DUPLICATE: 2, _C.MESSAGES_AHEAD: 2,
    _C.MESSAGES_RECOVERED: 1, _C.MESSAGES_LOST: 64, _C.GAPS: 1, _C.SESSIONS: 1,
    _C.FRAMES_RETRACTED: 1, _C.LINE_SILENCES_A: 1, _C.LINE_SILENCES_B: 1, _C.STALES: 1,
}
"""Counters of the arbiter, and the bits of what one cycle can add to each."""
Counts = data.StructLayout({counter.name.lower(): width for counter, width in WIDTHS.items()})
"""What is added to each counter in one cycle. ``messages`` is counted where they are read."""

_FRAMES = (_C.FRAMES_A, _C.FRAMES_B, _C.FRAMES_RECOVERY)
_MARKS = ("let_in", "shut", "jumps", "changes_session", "ends", "restarts")


class Hand(data.Struct):
    """The event that a sequence of states treats."""

    port: range(PORTS)
    line: LINE_SHAPE
    stamp: 64
    first: 64
    session: SESSION_SHAPE
    is_tick: 1
    is_packet: 1                           # a header: a jump is its doing
    is_end: 1                              # of the session
    is_heartbeat: 1
    is_ahead: 1
    is_new: 1                              # it changed the session
    is_whole: 1                            # everything is put back


class Machine:
    """Signals and logic of one :class:`tickwire_hw.arbiter.Arbiter`.

    ``know``, ``hand``, ``event`` and the rest are what the sequences of states read and write;
    ``age`` is the number of cycles, up to 3, since a number or time in ``know`` has changed:
    comparisons of numbers are right from 1 on, of times from 2 on.
    """

    def __init__(self, ports, depth: int) -> None:
        self.ports, self.m = ports, Module()
        self.know, self.saved = Signal(Knowledge), Signal(Knowledge)
        self.has_saved, self.is_alone = Signal(), Signal()
        self.saver = Signal(range(PORTS))
        self.end_before = Signal(64)
        self.flags = Signal(FLAGS_SHAPE)
        self.hand, self.packet = Signal(Hand), Signal(Packet)
        self.jump, self.is_jumping = Signal(64), Signal()
        self.event, self.emits = Signal(FeedEvent), Signal()
        self.age, self.touches, self.touches_shown = Signal(2), Signal(), Signal()
        self.begins = Signal()
        self.reach, self.reach_line = Signal(64), Signal()
        self.reach_port = Signal(range(PORTS))
        self.has_reach = Signal()
        self.goes_far, self.went_far = Signal(LINES), Signal(LINES)
        self.hears, self.saves = Signal(), Signal()
        self.finds_hole, self.was_hole_known = Signal(), Signal()
        self.is_idle, self.is_ready, self.leaves, self.is_asked = (Signal() for _ in range(4))
        self.returns, self.oldest = Signal(), Signal(PORTS)
        self._is_settled = Signal()
        self._counted: dict[CounterIndex, list] = {counter: [] for counter in WIDTHS}
        self._marked: dict[str, list] = {name: [] for name in _MARKS}
        self._build(depth)

    # For the sequences

    def count(self, counter: CounterIndex, amount=1) -> None:
        """Add to a counter in this cycle, where the conditions around the call hold."""
        value = Signal(WIDTHS[counter])
        self.m.d.comb += value.eq(amount)
        self._counted[counter].append(value)

    def mark(self, name: str) -> None:
        """Give lane ``hand.port`` this strobe, where the conditions around the call hold."""
        strobe = Signal()
        self.m.d.comb += strobe.eq(1)
        self._marked[name].append(strobe)

    def tell(self, kind: EventKind, **fields) -> None:
        """Emit an event of what is in hand, where the conditions around the call hold."""
        self.m.d.comb += [self.emits.eq(1), self.event.kind.eq(kind),
                          *(self.event[name].eq(value) for name, value in fields.items())]

    def jump_to(self, number, by) -> None:
        """Make ``number``, ``by`` above it, the expected one."""
        self.m.d.sync += [self.ports.expected.eq(number), self.after.eq(number + 1),
                          self.second.eq(number + 2), self.jump.eq(by), self.is_jumping.eq(1)]
        self.m.d.comb += self.touches.eq(1)

    def leave_for(self, state: str) -> None:
        """Leave ``Idle``, where the conditions around the call hold."""
        self.m.d.comb += self.leaves.eq(1)
        self.m.next = state

    # The fast path

    def _build(self, depth: int) -> None:
        m, ports, know = self.m, self.ports, self.know
        self.lanes = [Lane(depth) for _ in range(PORTS)]
        for number, lane in enumerate(self.lanes):
            m.submodules[f"lane_{number}"] = lane
            connect(m, flipped(ports.i[number]), lane.i)
        m.submodules.comparisons = self.comparisons = comparisons = Comparisons()
        m.submodules.conclusion = self.conclusion = conclusion = Conclusion()
        m.d.comb += [
            comparisons.know.eq(know), comparisons.expected.eq(ports.expected),
            comparisons.stamp.eq(self.hand.stamp),
            comparisons.line_timeout_ns.eq(ports.line_timeout_ns),
            comparisons.patience_ns.eq(ports.patience_ns), comparisons.stale_ns.eq(ports.stale_ns),
            conclusion.know.eq(know), conclusion.is_beyond.eq(comparisons.is_beyond),
            conclusion.is_at_end.eq(comparisons.is_at_end), conclusion.state.eq(ports.state),
            conclusion.flags.eq(self.flags), ports.highest.eq(comparisons.highest),
            self.packet.eq(Array(lane.packet for lane in self.lanes)[self.hand.port]),
            self.event.stamp.eq(self.hand.stamp), self.event.line.eq(self.hand.line),
            self.event.session.eq(know.session), self.event.sequence.eq(ports.expected),
        ]
        m.d.sync += self.is_jumping.eq(0)
        self._messages()
        self._order()
        self._heard()
        self._reach()
        sequences(self)
        self._finish()

    def _messages(self) -> None:
        """Accept one message, of those that are expected."""
        m, ports, know = self.m, self.ports, self.know
        clock = Signal(CLOCK)
        m.d.sync += clock.eq(clock + 1)
        after = self.after = Signal(64, init=ports.expected.init + 1)
        second = self.second = Signal(64, init=ports.expected.init + 2)
        offers = Cat(lane.offers for lane in self.lanes)
        self.wins = logic.lowest(offers)
        self.accepts, accepted = Signal(), Signal()
        m.d.comb += self.accepts.eq(offers.any())
        m.d.sync += accepted.eq(self.accepts)
        with m.If(self.accepts):
            m.d.comb += self.touches.eq(1)
            m.d.sync += [ports.expected.eq(after), after.eq(second), second.eq(second + 1),
                         know.is_hole_known.eq(0)]
        is_open = know.is_started & know.is_joined & ~know.is_stale
        # A line that has just gone beyond is not seen in `is_beyond` yet.
        hopes = ports.lines & ~self.comparisons.is_beyond & ~self.goes_far & ~self.went_far
        is_end_sure = ~Cat(lane.packet.is_in & lane.packet.has_end for lane in self.lanes).any()
        for number, lane in enumerate(self.lanes):
            m.d.comb += [
                lane.clock.eq(clock), lane.is_ready.eq(self.is_ready & ~ports.hold),
                lane.accepts.eq(self.accepts), lane.accepted.eq(accepted),
                lane.wins.eq(self.wins[number]),
                lane.know.eq(know),
                lane.expected.eq(Cat(ports.expected, after, second)),
                lane.is_open.eq(is_open),
                lane.is_repairing.eq(ports.policy == GapPolicy.WAIT),
                lane.hopes.eq(Cat(hopes[1], hopes[0])), lane.until.eq(self.comparisons.until),
                lane.patient_until.eq(self.comparisons.patient_until),
                lane.is_end_sure.eq(is_end_sure),
                lane.jump.eq(self.jump), lane.is_jumping.eq(self.is_jumping),
                ports.is_lost[number].eq(lane.is_lost), ports.holds[number].eq(lane.is_filling),
            ]
            with m.If(lane.is_duplicate):
                self.count(_C.MESSAGES_DUPLICATE)
            with m.If(lane.is_ahead):
                self.count(_C.MESSAGES_AHEAD)
            with m.If(self.wins[number] & (lane.packet.line == Line.RECOVERY)):
                self.count(_C.MESSAGES_RECOVERED)
            with m.If(self.wins[number] & (self.saver != number)):
                m.d.sync += self.is_alone.eq(0)

    @staticmethod
    def _came_before(arrival, other):
        return (arrival - other)[CLOCK - 1]

    def _is_clear(self, lane, arrival):
        """Whether nothing of others that is older than this event of ``lane`` is kept now, but for
        what is taken from a register in this cycle: in the next one it is the event's turn.
        """
        return ~Cat((other.is_due & ~other.take & self._came_before(other.due_arrival, arrival))
                    | (other.is_waiting & self._came_before(other.waiting_arrival, arrival))
                    for other in self.lanes if other is not lane).any()

    def _order(self) -> None:
        """Find the oldest event, and messages with nothing older before them, a cycle ahead."""
        m, is_first = self.m, Signal(PORTS)
        for number, lane in enumerate(self.lanes):
            m.d.sync += is_first[number].eq(Mux(
                lane.is_due & ~lane.take, self._is_clear(lane, lane.due_arrival),
                self._is_clear(lane, lane.next_arrival)))
        for lane in self.lanes:
            is_alone = ~Cat(other.is_due | other.is_waiting
                            for other in self.lanes if other is not lane).any()
            m.d.comb += [
                lane.is_clear.eq(Mux(lane.is_stored, self._is_clear(lane, lane.arrival), is_alone)),
                lane.is_behind.eq(~(is_alone | (lane.is_stored & lane.is_first)))]
        m.d.comb += self.oldest.eq(
            logic.lowest(Cat(lane.is_due for lane in self.lanes) & is_first))

    def _reach(self) -> None:
        """Let an end, or a header ahead, show how far its line is, a cycle after it was taken."""
        m, know = self.m, self.know
        m.d.sync += [self.has_reach.eq(0), self.goes_far.eq(0), self.went_far.eq(self.goes_far)]
        with m.If(self.has_reach & (self.reach > know.shown[self.reach_line])):
            m.d.comb += self.touches_shown.eq(1)
            m.d.sync += know.shown[self.reach_line].eq(self.reach)

    def turn(self) -> None:
        """Take the oldest header, end or damaged verdict; leave ``Idle`` where that needs more.

        To be called inside of that state.
        """
        m, hand, lanes = self.m, self.hand, self.lanes
        due, port = Signal(PORTS), Signal(range(PORTS))
        head, packet = Signal(lanes[0].head.shape()), Signal(Packet)
        m.d.comb += [due.eq(self.oldest), port.eq(logic.encode(due)),
                     head.eq(Array(lane.head for lane in lanes)[port]),
                     packet.eq(Array(lane.packet for lane in lanes)[port])]
        header, part = head.body.header, Array(lane.part for lane in lanes)[port]
        reach = Array(lane.reach for lane in lanes)[port]
        is_far = (Cat(lane.is_far for lane in lanes) & due).any()

        def judged(name):
            """Whether its lane says so of the header that is due."""
            found = Signal(2, name=name)
            m.d.comb += found.eq(logic.select(
                *((due[number], getattr(lane, name)) for number, lane in enumerate(lanes))))
            return Mux(self.accepts, found[1], found[0])
        is_known = (Cat(lane.is_known for lane in lanes) & due).any()
        for number, lane in enumerate(lanes):
            m.d.comb += lane.take.eq(due[number])
        with m.If(due.any()):
            m.d.sync += [
                self.reach.eq(reach), self.reach_port.eq(port), self.reach_line.eq(packet.line[0]),
                hand.eq(0), hand.port.eq(port), hand.line.eq(packet.line),
                hand.stamp.eq(packet.stamp), hand.first.eq(header.first),
                hand.session.eq(header.session), hand.is_packet.eq(part.header),
                hand.is_heartbeat.eq((Cat(lane.is_heartbeat for lane in lanes) & due).any()),
                hand.is_end.eq((Cat(lane.is_end for lane in lanes) & due).any())]
        with m.If((part.header | (part.end & head.is_short)) & due.any()):
            for line, counter in enumerate(_FRAMES):
                with m.If(header.line == line):
                    self.count(counter)
        with m.If(part.header & due.any()):
            m.d.comb += self.begins.eq(1)
            m.d.sync += [hand.line.eq(header.line), hand.stamp.eq(header.stamp),
                         self.reach.eq(header.first), self.reach_line.eq(header.line[0])]
            with m.If(judged("is_plain")):
                self._plain_header(port, header, judged("is_early"))
            with m.Elif(is_known):
                self.leave_for("Line")
            with m.Else():
                self.leave_for("Session")
        with m.Elif(part.end & due.any()):
            with m.If(head.is_short | (head.is_malformed & packet.is_in)):
                self.count(_C.PACKETS_MALFORMED)
            with m.If(packet.is_in & ~head.is_short):
                m.d.sync += [self.has_reach.eq(packet.line != Line.RECOVERY),
                             self.goes_far.bit_select(packet.line[0], 1).eq(is_far)]
                with m.If(self.saver != port):
                    m.d.sync += self.is_alone.eq(0)
                is_calm = ((self.ports.state == FeedState.LIVE) & (self.know.end == 0)
                           & (self.flags == 0))
                with m.If(~is_calm & ~(self._is_settled & ~self.conclusion.is_due)):
                    m.d.comb += self.begins.eq(1)
                    self.leave_for("Conclude")
        with m.Elif(part.verdict & due.any()):
            m.d.comb += self.begins.eq(1)
            self.leave_for("Retract")

    def _plain_header(self, port, header, is_early) -> None:
        m, know = self.m, self.know
        is_known = know.is_hole_known & ~self.accepts
        with m.If(is_early):
            # What `_judge` does when it still hopes; the number is shown as an end's is.
            m.d.sync += [
                self.saves.eq(1), self.was_hole_known.eq(is_known), self.finds_hole.eq(~is_known),
                self.saver.eq(port), self.has_saved.eq(1), self.is_alone.eq(1),
                know.is_hole_known.eq(1), self.has_reach.eq(1),
                self.goes_far.bit_select(header.line[0], 1).eq(1)]
        with m.Elif(self.saver == port):
            m.d.sync += self.has_saved.eq(0)
        with m.Else():
            m.d.sync += self.is_alone.eq(0)
        m.d.sync += self.hears.eq(1)

    def _heard(self) -> None:
        """Note what a plain header says, a cycle after it was taken: it is in hand then."""
        m, know, hand = self.m, self.know, self.hand
        m.d.sync += [self.saves.eq(0), self.finds_hole.eq(0), self.hears.eq(0)]
        with m.If(self.saves):
            m.d.sync += [self.saved.eq(know), self.saved.is_hole_known.eq(self.was_hole_known)]
        with m.If(self.finds_hole):
            m.d.sync += know.hole_since.eq(hand.stamp)
        with m.If(self.hears & (hand.is_heartbeat | hand.is_end)):
            self.count(_C.HEARTBEATS)
        with m.If(self.hears & (hand.line != Line.RECOVERY)):
            own = hand.line[0]
            m.d.sync += [know.last[own].eq(hand.stamp), know.silent[own].eq(0)]
            self.hear(hand.port, hand.line)

    def hear(self, port, line) -> None:
        """A packet of ``line`` is listened to: what another port says of it is not forgotten."""
        for number, lane in enumerate(self.lanes):
            with self.m.If((port != number) & (lane.packet.line == line)):
                self.m.d.comb += lane.is_heard.eq(1)

    # Outputs

    def _finish(self) -> None:
        m, ports, event = self.m, self.ports, self.event
        m.d.sync += [
            self.age.eq(Mux(self.touches | self.touches_shown | self.begins, 0,
                            Mux(self.age == 3, 3, self.age + 1))),
            self._is_settled.eq(~self.touches),
            ports.o.valid.eq(self.emits | self.accepts), ports.o.payload.eq(event),
        ]
        for number, lane in enumerate(self.lanes):
            with m.If(self.wins[number]):
                m.d.sync += [ports.o.payload.kind.eq(EventKind.MESSAGE),
                             ports.o.payload.stamp.eq(lane.packet.stamp),
                             ports.o.payload.line.eq(lane.packet.line)]
            is_own = self.hand.port == number
            marks = {name: Cat(strobes).any() for name, strobes in self._marked.items()}
            m.d.comb += [
                *(getattr(lane, name).eq(marks[name] & is_own)
                  for name in ("let_in", "jumps", "changes_session", "ends")),
                lane.loses_end.eq(marks["ends"] & ~is_own),
                lane.shut.eq((marks["shut"] & is_own) | (marks["changes_session"] & ~is_own)
                             | marks["restarts"])]
            with m.If(self.has_reach & (self.reach_port != number)
                      & (lane.packet.line == self.reach_line)):
                m.d.comb += lane.is_heard.eq(1)
        might = logic.lowest(Cat(lane.might_offer for lane in self.lanes))
        m.d.sync += ports.o.payload.message.eq(logic.select(
            *((might[number], lane.message) for number, lane in enumerate(self.lanes))))
        counts = Signal(Counts)
        for counter, values in self._counted.items():
            m.d.comb += counts[counter.name.lower()].eq(reduce(add, values))
        m.d.sync += ports.counts.eq(counts)
        is_waiting = Cat(lane.is_valid for lane in self.lanes).any()
        m.d.comb += ports.is_busy.eq(
            ~self.is_idle | self.is_asked | self.has_reach | is_waiting)
