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

_LOW = 8
"""Bits of the expected number that an accepted message's cycle can reach; at least 1."""

_FRAMES = (_C.FRAMES_A, _C.FRAMES_B, _C.FRAMES_RECOVERY)
_MARKS = ("let_in", "shut", "jumps", "changes_session", "ends", "restarts")


class Hand(data.Struct):
    """The event that a sequence of states treats."""

    port: range(PORTS)
    line: LINE_SHAPE
    stamp: 64
    first: 64
    session: SESSION_SHAPE
    is_of_a: 1                             # not of line B: what selects data of a line
    is_of_line: 1                          # not of the recovery line
    is_tick: 1
    is_packet: 1                           # a header: a jump is its doing
    is_end: 1                              # of the session
    is_heartbeat: 1
    is_numbered: 1                         # the number is right,
    is_known: 1                            # and the session, too
    is_early: 1                            # the number is ahead
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
        self.has_saved, self.is_alone, self.is_still_alone = Signal(), Signal(), Signal()
        self.saver = Signal(range(PORTS))
        self.end_before = Signal(64)
        self.flags = Signal(FLAGS_SHAPE)
        self.hand, self.packet = Signal(Hand), Signal(Packet)
        self.target, self.jumps, self.is_jumping = Signal(64), Signal(), Signal()
        self.event, self.emits = Signal(FeedEvent), Signal()
        self.age, self.touches, self.touches_shown = Signal(2), Signal(), Signal()
        self.begins = Signal()
        self.saves = Signal()
        self.has_reach, self.has_ended = Signal(), Signal()
        self.goes_far, self.went_far = Signal(LINES), Signal(LINES)
        self.is_idle, self.is_ready, self.leaves, self.is_asked = (Signal() for _ in range(4))
        self.is_telling = Signal(init=1)       # not ready: a register of its own for data
        self.is_free, self.is_refused, self.goes = Signal(), Signal(), Signal()
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

    def jump_to(self, number) -> None:
        """Make ``number`` the expected one, where the conditions around the call hold."""
        self.m.d.comb += [self.target.eq(number), self.jumps.eq(1), self.touches.eq(1)]

    def save(self) -> None:
        """Keep what is known, for a retraction of what is in hand."""
        self.m.d.comb += self.saves.eq(1)
        self.m.d.sync += [self.saver.eq(self.hand.port), self.has_saved.eq(1), self.is_alone.eq(1)]

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
        self._messages()
        self._order()
        self._take()
        self._note()
        sequences(self)
        with m.If(self.saves):
            m.d.sync += self.saved.eq(know)
        self._finish()

    def _messages(self) -> None:
        """Accept one message, of those that are expected."""
        m, ports, know = self.m, self.ports, self.know
        clock = Signal(CLOCK)
        m.d.sync += clock.eq(clock + 1)
        low, high = ports.expected[:_LOW], ports.expected[_LOW:]
        high_after = Signal(len(high))             # right from the second cycle after a change on
        offers = Cat(lane.offers for lane in self.lanes)
        self.wins = logic.lowest(offers)
        self.accepts, accepted = Signal(), Signal()
        m.d.comb += self.accepts.eq(offers.any())
        m.d.sync += accepted.eq(self.accepts)
        with m.If(self.accepts):
            m.d.comb += self.touches.eq(1)
            m.d.sync += know.is_hole_known.eq(0)
        with m.If(self.accepts | self.jumps):
            m.d.sync += low.eq(Mux(self.jumps, self.target[:_LOW], low + 1))
        with m.If((self.accepts & low.all()) | self.jumps):
            m.d.sync += high.eq(Mux(self.jumps, self.target[_LOW:], high_after))
        m.d.sync += [high_after.eq(high + 1), self.is_jumping.eq(self.jumps)]
        is_open = know.is_started & know.is_joined & ~know.is_stale
        # A line that has just gone beyond is not seen in `is_beyond` yet.
        hopes = ports.lines & ~self.comparisons.is_beyond & ~self.goes_far & ~self.went_far
        is_end_sure = ~Cat(lane.has_end for lane in self.lanes).any()
        for number, lane in enumerate(self.lanes):
            m.d.comb += [
                lane.clock.eq(clock), lane.is_ready.eq(self.is_ready),
                lane.hold.eq(ports.hold),
                lane.accepts.eq(self.accepts), lane.accepted.eq(accepted),
                lane.wins.eq(self.wins[number]),
                lane.know.eq(know),
                lane.expected.eq(ports.expected),
                lane.is_open.eq(is_open),
                lane.is_repairing.eq(ports.policy == GapPolicy.WAIT),
                lane.hopes.eq(Cat(hopes[1], hopes[0])), lane.until.eq(self.comparisons.until),
                lane.patient_until.eq(self.comparisons.patient_until),
                lane.is_end_sure.eq(is_end_sure),
                ports.is_lost[number].eq(lane.is_lost), ports.holds[number].eq(lane.is_filling),
            ]
            with m.If(lane.is_duplicate):
                self.count(_C.MESSAGES_DUPLICATE)
            with m.If(lane.is_ahead):
                self.count(_C.MESSAGES_AHEAD)
            with m.If(self.wins[number] & (lane.header.line == Line.RECOVERY)):
                self.count(_C.MESSAGES_RECOVERED)

    @staticmethod
    def _came_before(arrival, other):
        return (arrival - other)[CLOCK - 1]

    def _is_older(self, other, lane):
        """Whether ``other`` keeps what came before the next event of ``lane``, and keeps it."""
        is_new = ~lane.is_due & ~lane.is_stored              # it comes now, if there is one
        return (other.is_due & ~other.take & (
                    is_new | self._came_before(other.due_arrival, lane.arrival))
                | other.is_waiting & (
                    is_new | self._came_before(other.waiting_arrival, lane.arrival)))

    def _order(self) -> None:
        """Find the oldest event, and messages with nothing older before them, a cycle ahead."""
        m, is_first = self.m, Signal(PORTS)
        for lane in self.lanes:
            others = [other for other in self.lanes if other is not lane]
            is_alone = ~Cat(other.is_due | other.is_waiting for other in others).any()
            m.d.comb += [
                lane.is_clear.eq(~Cat(self._is_older(other, lane) for other in others).any()),
                lane.is_behind.eq(~(is_alone | (lane.is_stored & lane.is_first)))]
        m.d.sync += is_first.eq(Cat(lane.is_clear for lane in self.lanes))
        m.d.comb += self.oldest.eq(
            logic.lowest(Cat(lane.is_due for lane in self.lanes) & is_first))

    def _take(self) -> None:
        """Take the oldest header, end or damaged verdict into the hand."""
        m, hand, lanes = self.m, self.hand, self.lanes
        port = Signal(range(PORTS))
        m.d.comb += [port.eq(logic.encode(self.oldest)),
                     self.is_refused.eq(Cat(lane.is_refused for lane in lanes).any()),
                     self.goes.eq(self.is_free & ~self.ports.hold & ~self.is_refused)]
        for number, lane in enumerate(lanes):
            m.d.comb += lane.take.eq(self.oldest[number] & self.goes)
        header = Array(lane.header for lane in lanes)[port]
        with m.If(self.is_free & ~self.is_refused):
            m.d.sync += [
                hand.eq(0), hand.port.eq(port), hand.line.eq(header.line),
                hand.is_of_a.eq(~header.line[0]),
                hand.stamp.eq(header.stamp), hand.first.eq(header.first),
                hand.session.eq(header.session),
                *(hand[f"is_{mine}"].eq(Array(one)[port]) for mine, one in (
                    ("packet", [lane.part.header for lane in lanes]),
                    ("of_line", [lane.header.line != Line.RECOVERY for lane in lanes]),
                    ("numbered", [lane.is_numbered for lane in lanes]),
                    ("known", [lane.is_known for lane in lanes]),
                    ("early", [lane.is_early for lane in lanes]),
                    ("heartbeat", [lane.is_heartbeat for lane in lanes]),
                    ("end", [lane.is_end for lane in lanes])))]

    def _of_oldest(self, *values):
        """Whether something holds of the lane whose event is the oldest."""
        found = Signal()
        self.m.d.comb += found.eq((self.oldest & Cat(values)).any())
        return found

    def turn(self) -> None:
        """Do what the event that is taken needs; leave ``Idle`` where that needs more.

        To be called inside of that state. A header is looked at in the cycle after.
        """
        m, lanes = self.m, self.lanes
        is_header = self._of_oldest(*(lane.part.header for lane in lanes))
        is_short = self._of_oldest(*(lane.part.end & lane.is_short for lane in lanes))
        is_end = self._of_oldest(
            *(lane.part.end & ~lane.is_short & lane.packet.is_in for lane in lanes))
        is_wrong = self._of_oldest(*(lane.part.end & lane.packet.is_in & lane.is_malformed
                                     for lane in lanes))
        is_verdict = self._of_oldest(*(lane.part.verdict for lane in lanes))
        for line, counter in enumerate(_FRAMES):
            with m.If(self._of_oldest(*(lane.header.line == line for lane in lanes))
                      & (is_header | is_short)):
                self.count(counter)
        with m.If(is_short | is_wrong):
            self.count(_C.PACKETS_MALFORMED)
        for lane in lanes:
            far = self.goes_far.bit_select(lane.header.line[0], 1)
            with m.If(lane.take & lane.part.header & lane.is_early):
                m.d.sync += far.eq(1)
            with m.If(lane.take & lane.part.end & ~lane.is_short & lane.packet.is_in):
                m.d.sync += [far.eq(lane.is_far), self.has_ended.eq(1),
                             self.has_reach.eq(lane.header.line != Line.RECOVERY)]
        is_calm = ((self.ports.state == FeedState.LIVE) & (self.know.end == 0)
                   & (self.flags == 0)) | (self._is_settled & ~self.conclusion.is_due)
        with m.If(is_header):
            m.d.comb += self.begins.eq(1)
        with m.If(is_end & ~is_calm):
            m.d.comb += self.begins.eq(1)
            self.leave_for("Conclude")
        with m.If(is_verdict):
            m.d.comb += self.begins.eq(1)
            self.leave_for("Retract")

    def _note(self) -> None:
        """Note what a plain header or an end says, a cycle after it was taken: it is in hand."""
        m, know, hand, lanes = self.m, self.know, self.hand, self.lanes
        own, hears, is_early = ~hand.is_of_a, Signal(), Signal()
        shows = Signal()
        m.d.comb += [hears.eq(Cat(lane.is_plain for lane in lanes).any()),
                     is_early.eq(hears & hand.is_early), shows.eq(is_early | self.has_reach)]
        m.d.sync += [self.has_reach.eq(0), self.goes_far.eq(0), self.went_far.eq(self.goes_far)]
        # A message that came with the end is not counted before this cycle.
        number = Signal(64)
        m.d.comb += number.eq(Array(lane.header.first for lane in lanes)[hand.port])
        with m.If(shows & (number > know.shown[own])):
            m.d.comb += self.touches_shown.eq(1)
            m.d.sync += know.shown[own].eq(number)
        # Whoever else gave a message, or an end, in the cycle before.
        won = Signal(PORTS)
        m.d.sync += [won.eq(self.wins), self.has_ended.eq(0), self.is_alone.eq(self.is_still_alone)]
        is_joined = (self.has_ended & (self.saver != hand.port)) | Cat(
            won[number] & (self.saver != number) for number in range(PORTS)).any()
        m.d.comb += self.is_still_alone.eq(self.is_alone & ~is_joined)
        with m.If(is_early):
            # What `_judge` does when it still hopes.
            self.save()
            m.d.sync += know.is_hole_known.eq(~self.accepts)
            with m.If(~know.is_hole_known):
                m.d.sync += know.hole_since.eq(hand.stamp)
        with m.Elif(hears):
            with m.If(self.saver == hand.port):
                m.d.sync += self.has_saved.eq(0)
            with m.Else():
                m.d.sync += self.is_alone.eq(0)
        with m.If(hears & (hand.is_heartbeat | hand.is_end)):
            self.count(_C.HEARTBEATS)
        with m.If(hears & hand.is_of_line):
            m.d.sync += [know.last[own].eq(hand.stamp), know.silent[own].eq(0)]
            self.hear(hand.port, hand.line)
        with m.If(shows):
            self.hear(hand.port, own)

    def hear(self, port, line) -> None:
        """A packet of ``line`` is listened to: what another port says of it is not forgotten."""
        for number, lane in enumerate(self.lanes):
            with self.m.If((port != number) & (lane.header.line == line)):
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
            is_own = self.hand.port == number
            marks = {name: Cat(strobes).any() for name, strobes in self._marked.items()}
            m.d.comb += [
                *(getattr(lane, name).eq(marks[name] & is_own)
                  for name in ("let_in", "jumps", "changes_session", "ends")),
                lane.loses_end.eq(marks["ends"] & ~is_own),
                lane.shut.eq((marks["shut"] & is_own) | (marks["changes_session"] & ~is_own)
                             | marks["restarts"])]
        might = logic.lowest(Cat(lane.might_offer for lane in self.lanes))
        def offered(values):
            return logic.select(*zip(might, values, strict=True))
        payload = ports.o.payload
        m.d.sync += payload.message.eq(offered(lane.message for lane in self.lanes))
        with m.If(~self.is_telling):
            m.d.sync += [payload.stamp.eq(offered(lane.header.stamp for lane in self.lanes)),
                         payload.line.eq(offered(lane.header.line for lane in self.lanes))]
        counts = Signal(Counts)
        for counter, values in self._counted.items():
            m.d.comb += counts[counter.name.lower()].eq(reduce(add, values))
        m.d.sync += ports.counts.eq(counts)
        is_waiting = Cat(lane.is_valid for lane in self.lanes).any()
        m.d.comb += ports.is_busy.eq(
            ~self.is_idle | self.is_asked | self.has_reach | is_waiting)
