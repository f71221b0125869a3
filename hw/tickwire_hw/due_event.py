"""A header, end or verdict of one port that waits for its turn at the arbiter."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec import moldudp64
from tickwire.spec.records import Line
from tickwire_hw.blocks_port import Header
from tickwire_hw.feed_state import LINES, Knowledge
from tickwire_hw.packet_queue import CLOCK, Entry, Part


class Judgement(data.Struct):
    """How a header stands to the feed: all that can be known of it a cycle ahead.

    Numbers are held against what was expected in the cycle before. Since then that may have gone
    up by one, and may do so in this cycle.
    """

    is_known: 1                            # number and session are right
    excess: data.ArrayLayout(64, 3)        # its number less the expected one, 1 and 2 more;
    is_at: 3                               # which of them is zero,
    is_below: 1                            # and whether the first is negative
    is_line: 1                             # it is not of the recovery line
    is_heartbeat: 1                        # by its count
    is_end: 1                              # of the session
    is_in_time: 1                          # the other line is not silent yet
    is_patient: 1                          # nor has a known hole outlasted patience
    is_within_end: 1                       # its number is not above the session's end


class DueEvent(wiring.Component):
    """Keep an event in registers until it is taken, with what is known of it.

    Latency is one cycle. In the cycle in which it is taken an end or a verdict may come behind it;
    a header comes when there is none, because it is judged on its way.

    Members
    -------
    entry, arrival : ``In(Entry)``, ``In(CLOCK)``
        The port's next event, if it is not a message, and when it came.
    loads, part_next : ``In(1)``, ``In(Part)``
        Keep it, and what it is; only when nothing else is kept behind this cycle.
    take : ``In(1)``
        It is taken in this cycle.
    know, expected, until, patient_until : ``In``
        The feed, the expected number and the two after it, and the times of
        :class:`tickwire_hw.feed_state.Comparisons`. Judgements are a cycle behind them: who takes
        headers waits for that after a change, but for a rise of ``until`` and of the known end
        and for accepted messages.
    is_valid, part, kept, kept_arrival : ``Out``
        The event that waits.
    judgement : ``Out(Judgement)``
        Of a header.
    """

    entry: In(Entry)
    arrival: In(CLOCK)
    loads: In(1)
    part_next: In(Part)
    take: In(1)
    know: In(Knowledge)
    expected: In(data.ArrayLayout(64, 3))
    until: In(data.ArrayLayout(65, LINES))
    patient_until: In(65)
    is_valid: Out(1)
    part: Out(Part)
    kept: Out(Entry)
    kept_arrival: Out(CLOCK)
    judgement: Out(Judgement)

    def elaborate(self, platform):
        """Return the registers, and comparisons of what will be in them."""
        m = Module()

        with m.If(~self.is_valid | self.take):
            m.d.sync += [self.kept.eq(self.entry), self.kept_arrival.eq(self.arrival),
                         self.part.eq(self.part_next), self.is_valid.eq(self.loads)]

        know, judgement, header = self.know, self.judgement, Signal(Header)
        number_max = Const(moldudp64.SEQUENCE_MAX, 64)
        own = header.line[0]
        m.d.comb += [
            header.eq(Mux(self.is_valid, self.kept.body.header, self.entry.body.header))]
        m.d.sync += [
            judgement.is_known.eq((header.first != 0) & (header.first <= number_max)
                                  & know.has_session & (header.session == know.session)),
            *(excess.eq(header.first - number) for excess, number in
              zip(judgement.excess, self.expected, strict=True)),
            judgement.is_below.eq(header.first < self.expected[0]),
            judgement.is_line.eq(header.line != Line.RECOVERY),
            judgement.is_heartbeat.eq(header.count == moldudp64.HEARTBEAT),
            judgement.is_end.eq(header.count == moldudp64.END_OF_SESSION),
            judgement.is_at.eq(Cat(header.first == number for number in self.expected)),
            judgement.is_in_time.eq(header.stamp <= self.until[own]),
            judgement.is_patient.eq(header.stamp <= self.patient_until),
            judgement.is_within_end.eq(header.first <= know.end),
        ]

        return m
