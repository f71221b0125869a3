"""The header of a port's packet, and the header, end or verdict that waits for its turn."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec import moldudp64
from tickwire.spec.records import Line
from tickwire_hw import logic
from tickwire_hw.blocks_port import Header
from tickwire_hw.feed_state import LINES, Knowledge
from tickwire_hw.packet_queue import CLOCK, Entry, Part

_GROUP = 11
"""Bits of a difference that are reduced to one in its cycle; 6 of these are joined in the next."""


class Judgement(data.Struct):
    """How a header stands to the feed, but for how its number does."""

    is_known: 1                            # the session is right
    is_numbered: 1                         # the number is one
    is_line: 1                             # it is not of the recovery line
    is_heartbeat: 1                        # by its count
    is_end: 1                              # of the session
    is_in_time: LINES                      # if it is of this line: the other one is not silent yet
    is_patient: 1                          # nor has a known hole outlasted patience
    is_within_end: 1                       # its number is not above the session's end


class Distance(data.Struct):
    """A number less the expected one; its low bits, and what else is needed of it."""

    low: 2
    is_below: 1                            # it is negative
    is_small: 1                            # 0 to 3
    is_small_below: 1                      # -4 to -1


class DueEvent(wiring.Component):
    """Keep an event in registers until it is taken, with what is known of it.

    Latency is one cycle; a header that comes at the port is judged on its way, one from the queue
    in the cycle after. The next event comes in the cycle after the one before was taken, but for a
    verdict, which is kept beside the end before it.

    Members
    -------
    entry, arrival : ``In(Entry)``, ``In(CLOCK)``
        The port's next event, if it is not a message, and when it came.
    arriving, is_arriving : ``In(Header)``, ``In(1)``
        The header at the port, and whether the next event is what comes there in this cycle.
    loads, part_next : ``In(1)``, ``In(Part)``
        Keep it, and what it is; only while nothing is kept, and always when that is a header.
    appends, closes : ``In(1)``
        A verdict is behind the end that waits, and is kept, too: one that says damaged, or another.
    take : ``In(1)``
        It is taken in this cycle.
    counted : ``In(1)``
        A message of the packet was taken in the cycle before, so its next one has the next number.
    know, expected, until, patient_until : ``In``
        The feed, the expected number and the times of
        :class:`tickwire_hw.feed_state.Comparisons`. Judgements are a cycle behind them: who takes
        headers waits for that after a change, but for a rise of ``until`` and of the known end
        and for accepted messages.
    is_valid, part, arrived, is_malformed, is_short : ``Out``
        The event that waits; of an end, what it says.
    is_judged : ``Out(1)``
        Of a header that waits: ``judgement`` and ``distance`` are of it.
    is_closed : ``Out(1)``
        Behind the end that waits a good verdict came before this cycle.
    header : ``Out(Header)``
        Of the latest packet, from when it waits until the next one does; ``first`` is the number
        of the packet's next message, without that of ``counted``. A short end has but ``line`` and
        ``stamp``.
    distance : ``Out(Distance)``
        ``first`` less the expected number, both of the cycle before.
    judgement : ``Out(Judgement)``
        Of a header that waits.
    """

    entry: In(Entry)
    arrival: In(CLOCK)
    arriving: In(Header)
    is_arriving: In(1)
    loads: In(1)
    part_next: In(Part)
    appends: In(1)
    closes: In(1)
    take: In(1)
    counted: In(1)
    know: In(Knowledge)
    expected: In(64)
    until: In(data.ArrayLayout(65, LINES))
    patient_until: In(65)
    is_valid: Out(1)
    part: Out(Part)
    arrived: Out(CLOCK)
    is_malformed: Out(1)
    is_short: Out(1)
    is_closed: Out(1)
    is_judged: Out(1)
    header: Out(Header)
    distance: Out(Distance)
    judgement: Out(Judgement)

    def elaborate(self, platform):
        """Return the registers, and comparisons of what will be in them."""
        m = Module()

        entered, header = self.entry.body.header, self.header
        is_header = Signal()
        is_empty = Signal(init=1)              # a register of its own for what selects data
        m.d.comb += is_header.eq(self.part_next.header & ~self.is_valid)
        kept = Signal(Part)
        has_more = kept.end & (kept.verdict | self.appends)
        m.d.comb += [self.part.eq(kept), self.part.verdict.eq(kept.verdict & ~kept.end)]
        is_valid = Mux(self.is_valid, ~self.take | has_more, self.loads)
        m.d.sync += [self.is_valid.eq(is_valid), is_empty.eq(~is_valid),
                     self.is_judged.eq(self.is_valid | self.is_arriving)]
        with m.If(~self.is_valid):
            m.d.sync += [self.arrived.eq(self.arrival), kept.eq(self.part_next),
                         self.is_malformed.eq(self.entry.is_malformed),
                         self.is_short.eq(self.entry.is_short)]
            with m.If(self.part_next.header | (self.part_next.end & self.entry.is_short)):
                m.d.sync += [header.line.eq(entered.line), header.stamp.eq(entered.stamp)]
        with m.If(is_header):
            m.d.sync += [header.session.eq(entered.session), header.count.eq(entered.count)]
        with m.If(self.is_valid):
            with m.If(self.take):
                m.d.sync += kept.end.eq(0)
            with m.If(self.appends):
                m.d.sync += kept.verdict.eq(1)
            with m.If(self.closes):
                m.d.sync += self.is_closed.eq(1)
        with m.Else():
            m.d.sync += self.is_closed.eq(0)
        with m.If(is_header | self.counted):
            m.d.sync += header.first.eq(Mux(is_header, entered.first, header.first + 1))

        self._judge(m, is_empty)
        came = Signal()
        m.d.sync += came.eq(is_header & self.is_arriving)
        m.d.comb += self.distance.eq(Mux(
            came, self._distance(m, self.arriving.first), self._distance(m, header.first)))
        return m

    def _distance(self, m, first):
        """Return how a number stood to the expected one in the cycle before, joined late."""
        difference, low, is_below = Signal(64), Signal(2), Signal()
        m.d.comb += difference.eq(first - self.expected)
        groups = [difference[at:at + _GROUP] for at in range(2, 64, _GROUP)]
        is_any, is_all = Signal(len(groups)), Signal(len(groups))
        m.d.sync += [low.eq(difference[:2]), is_below.eq(difference[-1]),
                     is_any.eq(Cat(group.any() for group in groups)),
                     is_all.eq(Cat(group.all() for group in groups))]
        distance = Signal(Distance)
        m.d.comb += [distance.low.eq(low), distance.is_below.eq(is_below),
                     distance.is_small.eq(~is_any.any()), distance.is_small_below.eq(is_all.all())]
        return distance

    def _judge(self, m, is_empty):
        """Judge the header that waits, or that is at the port."""
        know, judgement, judged = self.know, self.judgement, Signal(Header)
        m.d.comb += judged.eq(Mux(is_empty, self.arriving, self.header))
        m.d.sync += [
            judgement.is_known.eq(know.has_session & (judged.session == know.session)),
            judgement.is_numbered.eq(
                judged.first.any() & (judged.first <= moldudp64.SEQUENCE_MAX)),
            judgement.is_line.eq(judged.line != Line.RECOVERY),
            judgement.is_heartbeat.eq(judged.count == moldudp64.HEARTBEAT),
            judgement.is_end.eq(judged.count == moldudp64.END_OF_SESSION),
            judgement.is_in_time.eq(
                Cat(~logic.is_greater(judged.stamp, until) for until in self.until)),
            judgement.is_patient.eq(~logic.is_greater(judged.stamp, self.patient_until)),
            judgement.is_within_end.eq(~logic.is_greater(judged.first, know.end)),
        ]
