"""What the arbiter knows of a feed, and what follows from it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import BookFlag, FeedState
from tickwire_hw import logic
from tickwire_hw.feed_port import FLAGS_SHAPE, SESSION_SHAPE, STATE_SHAPE

LINES = 2
"""Lines that show numbers; the recovery line does not."""


class Knowledge(data.Struct):
    """Fields of the kernel's ``ARBITER`` that retraction puts back, but for ``expected``.

    ``hole`` is one bit: whether the number that is expected now was missing at the last look.
    """

    shown: data.ArrayLayout(64, LINES)
    last: data.ArrayLayout(64, LINES)
    silent: data.ArrayLayout(1, LINES)
    hole_since: 64
    is_hole_known: 1
    session: SESSION_SHAPE
    previous: SESSION_SHAPE
    has_session: 1
    has_previous: 1
    is_started: 1
    is_joined: 1
    is_recovering: 1
    is_stale: 1
    end: 64


NARROW = ("silent", "is_hole_known", "has_session", "has_previous", "is_started", "is_joined",
          "is_recovering", "is_stale")
"""Fields of `Knowledge` that change in the cycle in which that is decided."""
WIDE = tuple(name for name, _ in Knowledge.as_shape() if name not in NARROW)
"""The others, which change a cycle later."""


def flags_of(is_recovering, is_stale):
    """Return the BookFlag bits of the whole feed."""
    return (Mux(is_recovering, BookFlag.RECOVERING.value, 0)
            | Mux(is_stale, BookFlag.STALE.value, 0))


class Comparisons(wiring.Component):
    """Numbers and times that the arbiter knows, compared.

    Members
    -------
    know, expected : ``In``
        The arbiter's registers.
    stamp : ``In(64)``
        Time of the event in hand, ns.
    line_timeout_ns, patience_ns, stale_ns : ``In(64)``
        Configuration, as in the kernel.
    is_beyond : ``Out(2)``
        Of each line: whether it has shown a number above the expected one. Latency 1.
    is_a_ahead : ``Out(1)``
        Whether line A has shown more than line B. Latency 1.
    is_at_end : ``Out(1)``
        Whether the session's end was shown and nothing before it is missing. Latency 1.
    highest : ``Out(64)``
        Number after the greatest that either line has shown; at least the expected one. Latency 2.
    is_silent : ``Out(2)``
        Of each line: silent for longer than its limit. Latency 2.
    is_impatient : ``Out(1)``
        Whether the known hole has outlasted patience. Latency 2.
    is_quiet : ``Out(1)``
        Whether both lines have been silent for long enough to make the feed stale. Latency 2.
    is_b_later : ``Out(1)``
        Whether line B was heard after line A. Latency 1.
    until : ``Out(ArrayLayout(65, 2))``
        Of each line: the last time at which the *other* one is not silent. Latency 1.
    patient_until : ``Out(65)``
        The last time at which the known hole has not outlasted patience. Latency 1.
    """

    know: In(Knowledge)
    expected: In(64)
    stamp: In(64)
    line_timeout_ns: In(64)
    patience_ns: In(64)
    stale_ns: In(64)
    is_beyond: Out(LINES)
    is_a_ahead: Out(1)
    is_at_end: Out(1)
    highest: Out(64)
    is_silent: Out(LINES)
    is_impatient: Out(1)
    is_quiet: Out(1)
    is_b_later: Out(1)
    until: Out(data.ArrayLayout(65, LINES))
    patient_until: Out(65)

    def elaborate(self, platform):
        """Return two stages: differences, and what they mean."""
        m = Module()

        know, expected = self.know, self.expected
        ages = [Signal(64, name=f"age_{'ab'[line]}") for line in range(LINES)]
        hole_age = Signal(64)
        m.d.sync += [
            self.is_beyond.eq(Cat(logic.is_less(expected, shown) for shown in know.shown)),
            self.is_a_ahead.eq(logic.is_less(know.shown[1], know.shown[0])),
            self.is_at_end.eq((know.end != 0) & ~logic.is_less(expected, know.end)),
            self.is_b_later.eq(logic.is_less(*(last.as_signed() for last in know.last))),
            *(age.eq(self.stamp - last) for age, last in zip(ages, know.last, strict=True)),
            hole_age.eq(self.stamp - know.hole_since),
        ]

        def is_above(age, limit):
            return (limit != 0) & logic.is_less(limit.as_signed(), age.as_signed())

        shown = Mux(self.is_a_ahead, know.shown[0], know.shown[1])
        m.d.sync += [
            self.highest.eq(Mux(self.is_beyond.any(), shown, expected)),
            self.is_silent.eq(Cat(is_above(age, self.line_timeout_ns) for age in ages)),
            self.is_impatient.eq(is_above(hole_age, self.patience_ns)),
            self.is_quiet.eq(Cat(is_above(age, self.stale_ns) for age in ages).all()),
        ]

        def last_time(since, limit):
            return Mux(limit == 0, (1 << 65) - 1, since + limit)

        m.d.sync += [self.patient_until.eq(last_time(know.hole_since, self.patience_ns)),
                     *(until.eq(last_time(know.last[1 - line], self.line_timeout_ns))
                       for line, until in enumerate(self.until))]

        return m


class Conclusion(wiring.Component):
    """The feed's state and flags as they follow from what is known (kernel ``_conclude``).

    Combinational.

    Members
    -------
    know, is_beyond, is_at_end : ``In``
        What is known, and :class:`Comparisons` of it.
    state, flags : ``In``
        What was told last.
    is_recovering, is_joined : ``Out(1)``
        New values of these fields.
    state_next, flags_next : ``Out``
        What is to be told.
    is_due : ``Out(1)``
        Whether any of the four differs from what is in force.
    """

    know: In(Knowledge)
    is_beyond: In(LINES)
    is_at_end: In(1)
    state: In(STATE_SHAPE)
    flags: In(FLAGS_SHAPE)
    is_recovering: Out(1)
    is_joined: Out(1)
    state_next: Out(STATE_SHAPE)
    flags_next: Out(FLAGS_SHAPE)
    is_due: Out(1)

    def elaborate(self, platform):
        """Return the rules of ``docs/feed.md``, "States"."""
        m = Module()

        know, is_whole = self.know, ~self.is_beyond.any()
        m.d.comb += [self.is_recovering.eq(know.is_recovering & ~is_whole),
                     self.is_joined.eq(know.is_joined | (know.is_started & is_whole)),
                     self.flags_next.eq(flags_of(self.is_recovering, know.is_stale))]
        with m.If(know.is_stale):
            m.d.comb += self.state_next.eq(FeedState.STALE)
        with m.Elif(self.is_recovering):
            m.d.comb += self.state_next.eq(FeedState.RECOVERING)
        with m.Elif(~self.is_joined):
            m.d.comb += self.state_next.eq(FeedState.IDLE)
        with m.Elif(self.is_at_end):
            m.d.comb += self.state_next.eq(FeedState.ENDED)
        with m.Else():
            m.d.comb += self.state_next.eq(FeedState.LIVE)
        m.d.comb += self.is_due.eq(
            (self.state_next != self.state) | (self.flags_next != self.flags)
            | (self.is_recovering != know.is_recovering) | (self.is_joined != know.is_joined))

        return m
