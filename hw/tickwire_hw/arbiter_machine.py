"""What is inside the arbiter: the fast path of its lanes, and the registers that they share."""

from functools import reduce
from operator import add

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import connect, flipped

from tickwire.spec.counters import CounterIndex
from tickwire.spec.records import FeedState, Line
from tickwire.spec.registers import GapPolicy
from tickwire_hw import logic
from tickwire_hw.arbiter_deeds import Doing
from tickwire_hw.arbiter_sequences import sequences
from tickwire_hw.feed_port import FLAGS_SHAPE, LINE_SHAPE, SESSION_SHAPE, EventKind
from tickwire_hw.feed_state import LINES, NARROW, Comparisons, Conclusion, Knowledge
from tickwire_hw.lane import Lane, Packet
from tickwire_hw.packet_queue import CLOCK, Part

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
    """The event that was taken last, two cycles later, and what a sequence of states treats."""

    ports: PORTS                           # its own is set
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
    is_numbered: 1                         # the number is right
    is_new: 1                              # it changed the session


class Machine:
    """Signals and logic of one :class:`tickwire_hw.arbiter.Arbiter`.

    ``know``, ``hand``, ``decides`` and the rest are what the sequences of states read and write.
    What they decide about wide registers is done a cycle later, by
    :class:`tickwire_hw.arbiter_deeds.Doing`; ``is_sure`` and ``is_sure_of_times`` say that this
    was done, and that comparisons of numbers, and of times, are right.
    """

    def __init__(self, ports, depth: int) -> None:
        self.ports, self.m = ports, Module()
        self.know, self.saved = Signal(Knowledge), Signal(Knowledge)
        self.has_saved, self.is_alone, self.is_still_alone = Signal(), Signal(), Signal()
        self.saver = Signal(PORTS)
        self.end_before = Signal(64)
        self.flags = Signal(FLAGS_SHAPE)
        self.hand, self.packet = Signal(Hand), Signal(Packet)
        self.is_jumping = Signal()
        self.is_sure, self.is_sure_of_times, self.is_new = Signal(), Signal(), Signal()
        self.asks = Signal()
        self.plain, self.ended, self.taken = Signal(PORTS), Signal(PORTS), Signal(PORTS)
        self.retracts, self.concludes, self.is_held_up = Signal(), Signal(), Signal()
        self.is_refused, self.is_refused_known = Signal(), Signal()
        self.is_idle, self.is_ready, self.leaves, self.is_asked = (Signal() for _ in range(4))
        self.is_telling = Signal(init=1)       # not ready: a register of its own for data
        self.is_free, self.goes, self.oldest = Signal(), Signal(), Signal(PORTS)
        self.returns = Signal()
        self._is_settled = Signal()
        self.doing = doing = Doing(self)
        self.decides, self.does, self.target = doing.decides, doing.does, doing.target
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
        """Give the lane in hand this strobe a cycle later, where the conditions around hold."""
        strobe = Signal()
        self.m.d.comb += strobe.eq(1)
        self._marked[name].append(strobe)

    def tell(self, kind: EventKind, *selects: str, **fields) -> None:
        """Emit an event of what is in hand, where the conditions around the call hold.

        ``selects`` are the fields of :class:`tickwire_hw.arbiter_deeds.Told` that are set.
        """
        told = self.doing.tells
        self.m.d.comb += [told.is_valid.eq(1), told.kind.eq(kind),
                          *(told[name].eq(1) for name in selects),
                          *(told[name].eq(value) for name, value in fields.items())]

    def decide(self, *deeds: str) -> None:
        """Do this to what is known, or to the expected number, in the next cycle."""
        self.m.d.comb += [self.decides.is_wide.eq(1), *(self.decides[name].eq(1) for name in deeds)]

    def jump(self, deed: str) -> None:
        """Change the expected number in the next cycle."""
        self.decide(deed, "jumps")

    def save(self, ports) -> None:
        """Keep what is known, for a retraction of the packet of this port."""
        self.m.d.comb += self.decides.saves.eq(1)
        self.m.d.sync += [self.saver.eq(ports), self.has_saved.eq(1), self.is_alone.eq(1),
                          *(self.saved[name].eq(self.know[name]) for name in NARROW)]

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
        ]
        self._messages()
        self._order()
        self._take()
        self._note()
        sequences(self)
        self.doing.know()
        self._finish()

    def _messages(self) -> None:
        """Accept one message, of those that are expected."""
        m, ports, know = self.m, self.ports, self.know
        clock = Signal(CLOCK)
        m.d.sync += clock.eq(clock + 1)
        low, high = ports.expected[:_LOW], ports.expected[_LOW:]
        high_after = Signal(len(high))             # right from the second cycle after a change on
        is_last_low = Signal()                     # the next one needs another high
        offers = Cat(lane.offers for lane in self.lanes)
        self.wins = logic.lowest(offers)
        self.accepts, accepted = Signal(), Signal()
        m.d.comb += self.accepts.eq(offers.any())
        m.d.sync += accepted.eq(self.accepts)
        with m.If(self.accepts):
            m.d.sync += know.is_hole_known.eq(0)
        jumps, target = self.does.jumps, self.doing.jump()
        with m.If(self.accepts | jumps):
            m.d.sync += [low.eq(Mux(jumps, target[:_LOW], low + 1)),
                         is_last_low.eq(Mux(jumps, target[:_LOW].all(),
                                            low == (1 << _LOW) - 2))]
        with m.If((self.accepts & is_last_low) | jumps):
            m.d.sync += high.eq(Mux(jumps, target[_LOW:], high_after))
        m.d.sync += [high_after.eq(high + 1), self.is_jumping.eq(jumps)]
        is_open = know.is_started & know.is_joined & ~know.is_stale
        # A line that has just gone beyond is not seen in `is_beyond` yet.
        hopes = ports.lines & ~self.comparisons.is_beyond & ~self._far()
        would = Cat(lane.would_offer for lane in self.lanes)
        is_end_sure = ~Cat(lane.has_end for lane in self.lanes).any()
        for number, lane in enumerate(self.lanes):
            m.d.comb += [
                lane.clock.eq(clock), lane.is_ready.eq(self.is_ready),
                lane.accepts.eq(self.accepts), lane.accepted.eq(accepted),
                lane.is_any.eq(would.any()),
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
        has_any = Cat(Cat(lane.is_due, lane.is_stored, *(
            getattr(lane.i, name).valid for name in Part.as_shape().members)).any()
            for lane in self.lanes)
        for number, lane in enumerate(self.lanes):
            m.d.comb += [
                lane.is_clear.eq(~Cat(self._is_older(other, lane)
                                      for other in self.lanes if other is not lane).any()),
                lane.is_alone.eq(~(has_any & ~(1 << number)).any())]
        m.d.sync += is_first.eq(Cat(lane.is_clear for lane in self.lanes))
        m.d.comb += self.oldest.eq(
            logic.lowest(Cat(lane.is_due for lane in self.lanes) & is_first))

    def _of(self, ports, value):
        """Return a value of the lane whose bit is set."""
        return logic.select(*((ports[number], value(lane))
                              for number, lane in enumerate(self.lanes)))

    def _far(self):
        """Return which lines have gone beyond, as headers and ends of the last cycles say."""
        m, far = self.m, [Signal(LINES, name=f"far_{age}") for age in range(1, 4)]
        m.d.sync += [far[0].eq(0), far[1].eq(far[0]), far[2].eq(far[1])]
        for lane in self.lanes:
            is_of = far[0].bit_select(lane.header.line[0], 1)
            with m.If(lane.take & lane.part.header & lane.is_early):
                m.d.sync += is_of.eq(1)
            with m.If(lane.take & lane.part.end & ~lane.is_short & lane.packet.is_in):
                m.d.sync += is_of.eq(lane.is_far)
        return far[0] | far[1] | far[2]

    def _take(self) -> None:
        """Take the oldest header, end or damaged verdict; into the hand in the cycle after."""
        m, lanes, taken = self.m, self.lanes, Signal(PORTS)
        m.d.comb += [
            self.is_refused.eq(Cat(lane.is_refused for lane in lanes).any()),
            self.is_refused_known.eq(
                Cat(lane.is_refused & lane.is_known for lane in lanes).any()),
            self.is_held_up.eq(self.is_refused | self.retracts | self.concludes),
            self.goes.eq(self.is_free & ~self.is_held_up),
            *(lane.take.eq(self.oldest[number] & self.goes & lane.is_judged)
              for number, lane in enumerate(lanes)),
            taken.eq(Cat(lane.take for lane in lanes))]
        counts = Cat(lane.part.end & ~lane.is_short & lane.packet.is_in for lane in lanes)
        is_short = Cat(lane.part.end & lane.is_short for lane in lanes)
        is_wrong = Cat(lane.is_malformed for lane in lanes) & counts
        is_header = Cat(lane.part.header for lane in lanes)
        for line, counter in enumerate(_FRAMES):
            with m.If((taken & (is_header | is_short)
                       & Cat(lane.header.line == line for lane in lanes)).any()):
                self.count(counter)
        with m.If((taken & (is_short | is_wrong)).any()):
            self.count(_C.PACKETS_MALFORMED)
        is_calm, has_ended = Signal(), Signal()
        m.d.sync += [
            self.taken.eq(taken), self.ended.eq(taken & counts),
            has_ended.eq((taken & counts).any()),
            self.retracts.eq((taken & Cat(lane.part.verdict for lane in lanes)).any()),
            is_calm.eq(((self.ports.state == FeedState.LIVE) & (self.know.end == 0)
                        & (self.flags == 0)) | (self._is_settled & ~self.conclusion.is_due))]
        m.d.comb += self.concludes.eq(has_ended & ~is_calm)
        hand = self.hand
        with m.If(self.taken.any()):
            m.d.sync += [
                self.packet.eq(self._of(self.taken, lambda lane: lane.packet)),
                hand.eq(0), hand.ports.eq(self.taken),
                *(hand[name].eq(self._of(self.taken, lambda lane, name=name: lane.header[name]))
                  for name in ("line", "stamp", "first", "session")),
                *(hand[f"is_{name}"].eq(self._of(self.taken, value)) for name, value in (
                    ("of_a", lambda lane: ~lane.header.line[0]),
                    ("packet", lambda lane: lane.part.header),
                    ("of_line", lambda lane: lane.header.line != Line.RECOVERY),
                    ("numbered", lambda lane: lane.is_numbered),
                    ("heartbeat", lambda lane: lane.is_heartbeat),
                    ("end", lambda lane: lane.is_end)))]

    def _note(self) -> None:
        """Note what a plain header or an end says, a cycle after it was taken."""
        m, know, lanes, decides = self.m, self.know, self.lanes, self.decides
        hears, is_early = Signal(), Signal()
        early, of_line = Signal(PORTS), Signal(PORTS)
        m.d.comb += [
            self.plain.eq(Cat(lane.is_plain for lane in lanes)), hears.eq(self.plain.any()),
            of_line.eq(Cat(lane.header.line != Line.RECOVERY for lane in lanes)),
            early.eq(self.plain & Cat(lane.was_early for lane in lanes)),
            is_early.eq(early.any())]
        # A message that came with the end is counted when this is done.
        says = Signal(PORTS)
        m.d.comb += says.eq((self.plain | self.ended) & of_line)
        for line in range(LINES):
            own = of_line & Cat(lane.header.line[0] == line for lane in lanes)
            m.d.comb += [decides.shows[line].eq(((early | self.ended) & own).any()),
                         decides.hears[line].eq((self.plain & own).any())]
            with m.If((self.plain & own).any()):
                m.d.sync += know.silent[line].eq(0)
            for number, lane in enumerate(lanes):
                with m.If(((says & own) & ~(1 << number)).any() & (lane.header.line == line)):
                    m.d.comb += lane.is_heard.eq(1)
        # Whoever else gave a message, or an end, in the cycle before.
        won = Signal(PORTS)
        m.d.sync += [won.eq(self.wins), self.is_alone.eq(self.is_still_alone)]
        m.d.comb += self.is_still_alone.eq(
            self.is_alone & ~((self.ended | won) & ~self.saver).any())
        with m.If(is_early):
            # What `_judge` does when it still hopes.
            self.save(self.plain)
            m.d.sync += know.is_hole_known.eq(~self.accepts)
            m.d.comb += decides.opens.eq(~know.is_hole_known)
        with m.Elif(hears):
            with m.If((self.saver & self.plain).any()):
                m.d.sync += self.has_saved.eq(0)
            with m.Else():
                m.d.sync += self.is_alone.eq(0)
        with m.If((self.plain & Cat(lane.is_heartbeat | lane.is_end for lane in lanes)).any()):
            self.count(_C.HEARTBEATS)

    def hear(self) -> None:
        """The packet in hand is listened to: what another port says of its line is kept."""
        for number, lane in enumerate(self.lanes):
            with self.m.If(~self.hand.ports[number] & (lane.header.line == self.hand.line)):
                self.m.d.comb += lane.is_heard.eq(1)

    # Outputs

    def _offered(self, value):
        """Return a value of the lane whose message leaves, of any lane when none does."""
        *others, last = self.lanes
        return reduce(lambda found, lane: Mux(lane.might_offer, value(lane), found),
                      reversed(others), value(last))

    def _finish(self) -> None:
        m, ports, does = self.m, self.ports, self.does
        touched, touched_before, is_new = Signal(), Signal(), self.is_new
        is_doing = Signal()                    # a register of its own: those of deeds go far
        m.d.sync += [
            is_doing.eq(self.decides.is_wide | self.decides.shows.any()),
            touched.eq(self.accepts | does.is_wide | self.doing.shown_more.any()),
            is_new.eq(self.asks | self.taken.any()), touched_before.eq(touched | is_new),
            self._is_settled.eq(~(self.accepts | does.is_wide)),
            ports.o.valid.eq(self.doing.told.is_valid | self.accepts)]
        m.d.comb += [self.is_sure.eq(~is_doing & ~touched),
                     self.is_sure_of_times.eq(self.is_sure & ~is_new & ~touched_before)]
        self.doing.event(ports.o.payload)
        marks = Signal(data.StructLayout(dict.fromkeys(_MARKS, 1)))
        m.d.sync += [marks[name].eq(Cat(strobes).any()) for name, strobes in self._marked.items()]
        for number, lane in enumerate(self.lanes):
            is_own = self.hand.ports[number]
            m.d.comb += [
                *(getattr(lane, name).eq(marks[name] & is_own)
                  for name in ("let_in", "jumps", "changes_session", "ends")),
                lane.loses_end.eq(marks.ends & ~is_own),
                lane.shut.eq((marks.shut & is_own) | (marks.changes_session & ~is_own)
                             | marks.restarts)]
        payload = ports.o.payload
        m.d.sync += payload.message.eq(self._offered(lambda lane: lane.message))
        for name in ("stamp", "line"):
            m.d.sync += payload[name].eq(Mux(
                self.is_telling, self.hand[name],
                self._offered(lambda lane, name=name: lane.header[name])))
        for counter, values in self._counted.items():
            terms = [Signal(WIDTHS[counter]) for _ in values]
            m.d.sync += [*(term.eq(value) for term, value in zip(terms, values, strict=True)),
                         ports.counts[counter.name.lower()].eq(reduce(add, terms))]
        is_waiting = Cat(lane.is_valid for lane in self.lanes).any()
        m.d.comb += ports.is_busy.eq(
            ~self.is_idle | self.is_asked | self.taken.any() | is_waiting)
