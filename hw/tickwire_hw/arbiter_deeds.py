"""What the arbiter has decided, done a cycle later: wide registers and events have own selects."""

from amaranth.hdl import Cat, Mux, Signal
from amaranth.lib import data

from tickwire_hw import logic
from tickwire_hw.feed_port import FLAGS_SHAPE, STATE_SHAPE, EventKind
from tickwire_hw.feed_state import LINES, WIDE


class Deeds(data.Struct):
    """What is done in a cycle; of the packet, event or number in hand. Of pairs, for each line."""

    hears: LINES                           # the time at which the line was heard last,
    shows: LINES                           # and the number that it has shown, if that is new
    forgets: LINES                         # both as they were before the packet in hand
    opens: 1                               # a hole: its time
    ends: 1                                # the session's end, if it is new
    resumes: 1                             # that end as it was before
    names: 1                               # the session,
    replaces: 1                            # and it is another one: what was shown is of no use
    saves: 1                               # what is known is kept,
    restores: 1                            # or taken from what was kept
    restarts: 1                            # from the configuration
    is_wide: 1                             # any of these, in a sequence of states
    joins: 1                               # the expected number: as in hand,
    begins: 1                              # 1,
    goes_on: 1                             # ``target``,
    goes_back: 1                           # as it was before the packet
    jumps: 1                               # any of these, or of the configuration


class Told(data.Struct):
    """An event that is no message; its number is the expected one but where a field says other."""

    is_valid: 1
    kind: EventKind
    state: STATE_SHAPE
    flags: FLAGS_SHAPE
    is_target: 1                           # the number is ``target``,
    is_below: 1                            # less one,
    is_before: 1                           # as expected before the packet in hand,
    is_none: 1                             # or 0
    has_first: 1                           # received: the number in hand,
    has_highest: 1                         # the highest one,
    has_target: 1                          # or ``target``


class Doing:
    """Registers that an arbiter's machine changes a cycle after it decided that.

    ``decides`` and ``tells`` are what is decided; the fields of the feed that are in
    :data:`tickwire_hw.feed_state.WIDE`, the expected number and events follow.
    """

    def __init__(self, machine) -> None:
        self.machine, self.m, self.ports = machine, machine.m, machine.ports
        self.decides, self.does = Signal(Deeds), Signal(Deeds)
        self.tells, self.told = Signal(Told), Signal(Told)
        self.target = Signal(64)
        self.shown_more = Signal(LINES)
        self.m.d.sync += [self.does.eq(self.decides), self.told.eq(self.tells)]

    def know(self) -> None:
        """Change what is known of the feed."""
        m, does, hand, packet = self.m, self.does, self.machine.hand, self.machine.packet
        know, saved = self.machine.know, self.machine.saved
        m.d.comb += self.shown_more.eq(
            Cat(does.shows[line] & logic.is_greater(hand.first, know.shown[line])
                for line in range(LINES)))
        for line in range(LINES):
            with m.If(does.hears[line] | does.forgets[line] | does.restarts | does.restores):
                m.d.sync += know.last[line].eq(logic.select(
                    (does.hears[line], hand.stamp), (does.forgets[line], packet.last),
                    (does.restores, saved.last[line])))
            with m.If(self.shown_more[line] | does.forgets[line] | does.replaces | does.restarts
                      | does.restores):
                m.d.sync += know.shown[line].eq(logic.select(
                    (does.shows[line], hand.first), (does.forgets[line], packet.shown),
                    (does.restores, saved.shown[line])))
        with m.If(does.opens | does.restores | does.restarts):
            m.d.sync += know.hole_since.eq(logic.select(
                (does.opens, hand.stamp), (does.restores, saved.hole_since)))
        with m.If(does.names | does.restores | does.restarts):
            m.d.sync += know.session.eq(logic.select(
                (does.names, hand.session), (does.restores, saved.session),
                (does.restarts, self.ports.session)))
        with m.If(does.replaces | does.restores | does.restarts):
            m.d.sync += know.previous.eq(logic.select(
                (does.replaces, know.session), (does.restores, saved.previous)))
        with m.If((does.ends & logic.is_greater(hand.first, know.end)) | does.resumes
                  | does.replaces | does.restores | does.restarts):
            m.d.sync += know.end.eq(logic.select(
                (does.ends, hand.first), (does.resumes, self.machine.end_before),
                (does.restores, saved.end)))
        with m.If(does.ends):
            m.d.sync += self.machine.end_before.eq(know.end)
        with m.If(does.saves):
            m.d.sync += [saved[name].eq(know[name]) for name in WIDE]

    def jump(self) -> Signal:
        """Return the number that is expected next where ``does.jumps`` is set."""
        does, number = self.does, Signal(64)
        self.m.d.comb += number.eq(logic.select(
            (does.joins, self.machine.hand.first), (does.begins, 1), (does.goes_on, self.target),
            (does.goes_back, self.machine.packet.before), (does.restarts, self.ports.start)))
        return number

    def event(self, payload) -> None:
        """Give what is told; a message's number and session otherwise."""
        told, ports, hand = self.told, self.ports, self.machine.hand
        number = Signal(64)
        self.m.d.comb += number.eq(Mux(told.is_target, self.target, ports.expected))
        self.m.d.sync += [
            payload.kind.eq(told.kind), payload.state.eq(told.state), payload.flags.eq(told.flags),
            payload.session.eq(self.machine.know.session),
            payload.sequence.eq(Mux(
                told.is_none | told.is_before, Mux(told.is_none, 0, self.machine.packet.before),
                number - told.is_below)),
            payload.received.eq(logic.select(
                (told.has_first, hand.first), (told.has_highest, ports.highest),
                (told.has_target, self.target))),
        ]
