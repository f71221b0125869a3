"""Sequences of states for the events that are more than the arbiter's fast path can do.

Each follows a kernel of :mod:`tickwire.kernels.arbiter`, named in its docstring. A state that needs
comparisons waits for them: see ``is_sure`` of :class:`tickwire_hw.arbiter_machine.Machine`.
"""

from amaranth.hdl import Cat, Mux, Signal
from amaranth.lib import enum

from tickwire.spec.counters import CounterIndex
from tickwire.spec.records import FeedState, Line
from tickwire.spec.registers import GapPolicy
from tickwire_hw import logic
from tickwire_hw.arbiter_target import Aim, follow
from tickwire_hw.feed_port import EventKind
from tickwire_hw.feed_state import NARROW, flags_of

_C = CounterIndex
_SILENCES = (_C.LINE_SILENCES_A, _C.LINE_SILENCES_B)


class _Then(enum.Enum):
    """What comes after a conclusion."""

    IDLE = 0
    JUDGE = 1
    SKIP = 2
    LEAVE = 3
    TICK = 4


def sequences(machine) -> None:
    """Add the states to ``machine``."""
    _Sequences(machine)


class _Sequences:
    def __init__(self, machine) -> None:
        self.machine, self.m, self.ports = machine, machine.m, machine.ports
        self.know, self.hand = machine.know, machine.hand
        self.then = Signal(_Then)
        self.target, self.aim = machine.target, Signal(Aim)
        m = self.m
        self._ask()
        follow(machine, self.aim, self.number)
        with m.FSM() as fsm:
            self._idle()
            self._header()
            self._conclude()
            self._judge()
            self._give_up()
            self._retract()
            self._tick()
        m.d.comb += machine.is_idle.eq(fsm.ongoing("Idle"))
        # Behind a jump it takes two cycles until lanes know how their messages stand to it.
        is_ready = Signal()
        m.d.comb += is_ready.eq(((machine.is_idle & ~machine.leaves) | machine.returns)
                                & ~machine.is_jumping & ~machine.does.jumps)
        is_asked = machine.is_asked | self.ports.tick | self.ports.give_up | self.ports.restart
        m.d.sync += [machine.is_ready.eq(is_ready & ~self.ports.hold),
                     machine.is_free.eq(is_ready & ~self.ports.hold & ~is_asked),
                     machine.is_telling.eq(~is_ready)]

    def _go(self, then) -> None:
        """Go on where ``then`` says."""
        with self.m.Switch(then):
            for value, state in ((_Then.IDLE, "Idle"), (_Then.JUDGE, "Judge"),
                                 (_Then.SKIP, "Skip"), (_Then.LEAVE, "Leave"),
                                 (_Then.TICK, "Tick-Stale")):
                with self.m.Case(value):
                    self.m.next = state

    @property
    def _at_last(self):
        return Mux(self.hand.is_end, _Then.LEAVE, _Then.IDLE)

    @property
    def _after_judging(self):
        return Mux(self.hand.is_tick, _Then.TICK, self._at_last)

    def _ask(self) -> None:
        """Keep a tick, a number to give up and a restart until it is their turn."""
        m, ports = self.m, self.ports
        self.is_ticking, self.is_giving_up, self.is_restarting = Signal(), Signal(), Signal()
        self.is_turn = Signal()
        self.tick_stamp, self.number, self.number_stamp = Signal(64), Signal(64), Signal(64)
        # Not in the cycle behind one in which something may have been taken.
        was_free = Signal()
        m.d.sync += was_free.eq(self.machine.is_free)
        m.d.comb += self.is_turn.eq(self.machine.is_ready & ~was_free)
        with m.If(self.is_turn):
            m.d.sync += self.is_restarting.eq(0)
            with m.If(~self.is_restarting):
                m.d.sync += self.is_giving_up.eq(0)
                with m.If(~self.is_giving_up):
                    m.d.sync += self.is_ticking.eq(0)
        with m.If(ports.tick):
            m.d.sync += [self.is_ticking.eq(1), self.tick_stamp.eq(ports.tick_stamp)]
        with m.If(ports.give_up):
            m.d.sync += [self.is_giving_up.eq(1), self.number.eq(ports.give_up_number),
                         self.number_stamp.eq(ports.give_up_stamp)]
        with m.If(ports.restart):
            m.d.sync += self.is_restarting.eq(1)
        m.d.comb += self.machine.is_asked.eq(
            self.is_ticking | self.is_giving_up | self.is_restarting)
        m.d.comb += self.machine.asks.eq(self.is_turn & self.machine.is_asked)
        # The hand takes what may be asked for whether it is or not: nobody looks there else.
        with m.If(self.is_turn):
            m.d.sync += [self.hand.eq(0), self.hand.is_tick.eq(~self.is_giving_up),
                         self.hand.line.eq(Mux(self.is_giving_up, Line.RECOVERY, 0)),
                         self.hand.stamp.eq(Mux(
                             self.is_giving_up, self.number_stamp, self.tick_stamp))]

    def _idle(self) -> None:
        machine, m, ports = self.machine, self.m, self.ports
        with m.State("Idle"):
            m.d.sync += [self.then.eq(_Then.IDLE), self.aim.eq(Aim.OFFER)]
            with m.If(machine.is_refused):
                with m.If(machine.is_refused_known):
                    machine.leave_for("Line")
                with m.Else():
                    machine.leave_for("Session")
            with m.Elif(machine.retracts):
                machine.leave_for("Retract")
            with m.Elif(machine.concludes):
                machine.leave_for("Conclude")
            with m.Elif(~self.is_turn):
                pass
            with m.Elif(self.is_restarting):
                machine.leave_for("Restart")
            with m.Elif(self.is_giving_up):
                m.d.sync += [self.aim.eq(Aim.GIVEN_UP), machine.is_alone.eq(0)]
                machine.leave_for("Give-Up-Number")
            with m.Elif(self.is_ticking):
                m.d.sync += machine.is_alone.eq(0)
                machine.leave_for("Tick")
        with m.State("Restart"):
            m.d.sync += [*(self.know[name].eq(0) for name in NARROW),
                         self.know.has_session.eq(ports.has_session), ports.state.eq(0),
                         machine.flags.eq(0), machine.has_saved.eq(0)]
            machine.jump("restarts")
            machine.mark("restarts")
            m.next = "Idle"                        # headers are judged anew before one is taken

    def _header(self) -> None:
        """``datagram`` up to the blocks, and ``_other_session``."""
        machine, m, ports, know, hand = self.machine, self.m, self.ports, self.know, self.hand
        is_silent = machine.comparisons.is_silent
        is_previous = Signal()
        m.d.sync += is_previous.eq(know.has_previous & (hand.session == know.previous))
        is_refused = ~ports.accept_session | (is_previous & ~is_silent.all())
        with m.State("Session"):
            with m.If(~hand.is_numbered):
                machine.count(_C.PACKETS_MALFORMED)
                m.next = "Idle"
            with m.Elif(~machine.is_new & (~is_previous | machine.is_sure_of_times)):
                with m.If(~hand.is_of_line | (know.has_session & is_refused)):
                    machine.count(_C.PACKETS_SESSION)
                    m.next = "Idle"
                with m.Else():
                    machine.save(hand.ports)
                    machine.count(_C.SESSIONS)
                    machine.decide("names")
                    m.d.sync += [know.has_session.eq(1), hand.is_new.eq(1)]
                    with m.If(know.has_session):
                        self._replace()
                        m.next = "Session-Tell"
                    with m.Else():
                        m.next = "Line"
        with m.State("Session-Tell"):
            machine.tell(EventKind.FEED, "has_first", state=FeedState.NEW_SESSION)
            m.d.sync += ports.state.eq(FeedState.IDLE)
            m.next = "Session-Desync"
        with m.State("Session-Desync"):
            machine.tell(EventKind.DESYNC_ALL, "is_none")
            m.d.sync += machine.flags.eq(0)
            m.next = "Line"

        is_joining = ~know.is_started & (ports.expected == 0)
        is_ahead = logic.is_greater(hand.first, ports.expected) & ~is_joining
        own = ~hand.is_of_a
        with m.State("Line"):
            with m.If(~hand.is_new):
                machine.save(hand.ports)
            machine.mark("let_in")
            machine.hear()
            with m.If(hand.is_heartbeat | hand.is_end):
                machine.count(_C.HEARTBEATS)
            m.d.comb += machine.decides.hears.bit_select(own, 1).eq(1)
            m.d.sync += [know.is_started.eq(1), know.silent[own].eq(0), know.is_stale.eq(0)]
            with m.If(~know.is_started):
                m.d.comb += machine.decides.hears.eq(-1)
                with m.If(is_joining):
                    machine.jump("joins")
                    machine.mark("jumps")
            with m.If(is_ahead):
                machine.decide()
                m.d.comb += machine.decides.shows.bit_select(own, 1).eq(1)
            with m.Else():
                m.d.sync += know.is_joined.eq(1)
            m.d.sync += self.then.eq(Mux(is_ahead, _Then.JUDGE, self._at_last))
            with m.If(ports.state != FeedState.LIVE):
                m.next = "Conclude"
            with m.Elif(is_ahead):
                m.next = "Judge"
            with m.Else():
                self._go(self._at_last)
        with m.State("Leave"):
            machine.mark("ends")
            machine.decide("ends")
            m.next = "Idle"

    def _replace(self) -> None:
        """Begin anew with another session."""
        machine, m, know = self.machine, self.m, self.know
        machine.mark("changes_session")
        left = sum(lane.packet.is_in & ~self.hand.ports[number]
                   for number, lane in enumerate(machine.lanes))
        machine.count(_C.PACKETS_SESSION, left)
        machine.decide("replaces")
        machine.jump("begins")
        m.d.sync += [
            know.has_previous.eq(1), know.is_hole_known.eq(0), know.is_recovering.eq(0),
            know.is_joined.eq(0), know.is_stale.eq(0)]

    def _conclude(self) -> None:
        """``_conclude``: the record first, then the flags."""
        machine, m, know = self.machine, self.m, self.know
        conclusion = machine.conclusion
        with m.State("Conclude"), m.If(machine.is_sure):
            m.d.sync += [know.is_recovering.eq(conclusion.is_recovering),
                         know.is_joined.eq(conclusion.is_joined),
                         self.ports.state.eq(conclusion.state_next)]
            with m.If(conclusion.state_next != self.ports.state):
                machine.tell(EventKind.FEED, "has_highest", state=conclusion.state_next)
            with m.If(conclusion.flags_next != machine.flags):
                m.next = "Flags"
            with m.Else():
                # Events are taken again at once when none is told in the cycle between.
                m.d.comb += machine.returns.eq(
                    (self.then == _Then.IDLE) & (conclusion.state_next == self.ports.state))
                self._go(self.then)
        with m.State("Flags"):
            flags = flags_of(know.is_recovering, know.is_stale)
            machine.tell(EventKind.FLAGS, flags=flags)
            m.d.sync += machine.flags.eq(flags)
            self._go(self.then)

    def _judge(self) -> None:
        """``_judge`` and ``_skip``."""
        machine, m, ports, know = self.machine, self.m, self.ports, self.know
        comparisons = machine.comparisons
        is_hoping = (ports.lines & ~comparisons.is_beyond & ~comparisons.is_silent).any()
        is_patient = ~(know.is_hole_known & comparisons.is_impatient)
        with m.State("Judge"), m.If(machine.is_sure_of_times):
            m.d.sync += know.is_hole_known.eq(1)
            with m.If(~know.is_hole_known):
                m.d.comb += machine.decides.opens.eq(1)
            with m.If(know.is_recovering):
                with m.If(ports.policy == GapPolicy.SKIP):
                    m.next = "Skip"
                with m.Else():
                    self._go(self._after_judging)
            with m.Elif(is_patient & is_hoping):
                self._go(self._after_judging)
            with m.Else():
                machine.count(_C.GAPS)
                m.d.sync += [know.is_recovering.eq(1), self.then.eq(
                    Mux(ports.policy == GapPolicy.SKIP, _Then.SKIP, self._after_judging))]
                m.next = "Conclude"

        with m.State("Skip"):
            m.d.sync += self.then.eq(self._after_judging)
            m.next = "Give-Up"

    def _give_up(self) -> None:
        """``give_up``: ``target`` is the number to go on with."""
        machine, m, ports, know = self.machine, self.m, self.ports, self.know
        lost, is_above = Signal(64), Signal()
        m.d.sync += [lost.eq(self.target - ports.expected),
                     is_above.eq(
                         logic.is_less(ports.expected.as_signed(), self.target.as_signed()))]
        with m.State("Give-Up-Number"):
            m.d.sync += self.aim.eq(Aim.NOTHING)
            m.next = "Give-Up"
        with m.State("Give-Up"):
            m.d.sync += self.aim.eq(Aim.NOTHING)
            m.next = "Give-Up-Tell"
        with m.State("Give-Up-Tell"):
            with m.If(is_above):
                with m.If(ports.state != FeedState.RECOVERING):
                    machine.tell(EventKind.FEED, "has_target", state=FeedState.RECOVERING)
                    m.d.sync += ports.state.eq(FeedState.RECOVERING)
                m.next = "Give-Up-Desync"
            with m.Else():
                self._go(self.then)
        with m.State("Give-Up-Desync"):
            flags = flags_of(0, know.is_stale)
            machine.tell(EventKind.DESYNC_ALL, "is_target", "is_below", flags=flags)
            machine.count(_C.MESSAGES_LOST, lost)
            machine.jump("goes_on")
            with m.If(self.hand.is_packet):
                machine.mark("jumps")
            m.d.sync += [know.is_recovering.eq(0), know.is_joined.eq(1),
                         know.is_hole_known.eq(0), machine.flags.eq(flags)]
            m.next = "Conclude"

    def _retract(self) -> None:
        """``retract``, and what it is when other packets came in between."""
        machine, m, know, hand = self.machine, self.m, self.know, self.hand
        saved, packet = machine.saved, machine.packet
        own = ~hand.is_of_a
        is_whole = machine.has_saved & machine.is_still_alone & (
            machine.saver & hand.ports).any()
        is_told = packet.has_taken | packet.has_jumped | (packet.has_session & is_whole)
        with m.State("Retract"):
            machine.count(_C.FRAMES_RETRACTED)
            m.d.sync += self.aim.eq(Aim.EXPECTED)
            with m.If(packet.is_in):
                machine.decide()
                machine.mark("shut")
                with m.If(packet.has_jumped | (packet.has_session & is_whole)):
                    machine.jump("goes_back")
            with m.If(~packet.is_in):
                m.next = "Idle"
            with m.Elif(is_told):
                m.next = "Retract-Tell"
            with m.Else():
                m.next = "Conclude"
            with m.If(~packet.is_in):
                pass
            with m.Elif(is_whole):
                machine.decide("restores")
                m.d.sync += [*(know[name].eq(saved[name]) for name in NARROW),
                             know.is_hole_known.eq(saved.is_hole_known & (
                                 ~packet.has_taken | packet.has_jumped | packet.has_session))]
            with m.Else():
                with m.If(hand.is_of_line & ~packet.is_shared):
                    m.d.comb += machine.decides.forgets.bit_select(own, 1).eq(1)
                    m.d.sync += know.silent[own].eq(packet.silent)
                m.d.sync += know.is_recovering.eq(know.is_recovering | packet.was_recovering)
                with m.If(packet.has_end):
                    machine.decide("resumes")
                with m.If(packet.has_jumped):
                    m.d.sync += know.is_hole_known.eq(0)
                    with m.If(packet.before == 0):
                        m.d.sync += know.is_started.eq(0)
        with m.State("Retract-Tell"):
            m.d.sync += self.aim.eq(Aim.NOTHING)
            machine.tell(EventKind.FEED, "is_before", "has_target", state=FeedState.RETRACTED)
            m.next = "Retract-Desync"
        with m.State("Retract-Desync"):
            flags = flags_of(know.is_recovering, know.is_stale)
            machine.tell(EventKind.DESYNC_ALL, "is_target", "is_below", flags=flags)
            m.d.sync += machine.flags.eq(flags)
            m.next = "Conclude"

    def _tick(self) -> None:
        """``tick``."""
        machine, m, ports, know, hand = self.machine, self.m, self.ports, self.know, self.hand
        comparisons = machine.comparisons
        with m.State("Tick"):
            with m.If(~know.is_started | know.is_stale):
                m.next = "Idle"
            with m.Elif(machine.is_sure_of_times):
                falls = ports.lines & comparisons.is_silent & ~Cat(*know.silent)
                for line, counter in enumerate(_SILENCES):
                    with m.If(falls[line]):
                        machine.count(counter)
                        m.d.sync += know.silent[line].eq(1)
                m.d.sync += hand.line.eq(Mux(comparisons.is_a_ahead, Line.A, Line.B))
                with m.If(comparisons.is_beyond.any()):
                    m.next = "Judge"
                with m.Else():
                    m.next = "Tick-Stale"
        with m.State("Tick-Stale"), m.If(machine.is_sure_of_times):
            m.d.sync += self.then.eq(_Then.IDLE)
            with m.If(comparisons.is_quiet & ~comparisons.is_at_end):
                machine.count(_C.STALES)
                m.d.sync += [know.is_stale.eq(1),
                             hand.line.eq(Mux(comparisons.is_b_later, Line.B, Line.A))]
                m.next = "Conclude"
            with m.Else():
                m.next = "Idle"
