"""Arbiter: packets of several ports to one sequence of messages and states."""

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.registers import GapPolicy
from tickwire_hw.arbiter_machine import PORTS, Counts, Machine
from tickwire_hw.blocks_port import PacketSignature
from tickwire_hw.feed_port import SESSION_SHAPE, STATE_SHAPE, FeedEvent
from tickwire_hw.feed_state import LINES

DEPTH = 16
"""Cycles of events that each port's queue holds."""


class Arbiter(wiring.Component):
    """Take every message once, in sequence, from whichever port brings it first.

    Mirror of :mod:`tickwire.kernels.arbiter` in cut-through mode; ``docs/feed.md`` has the rules.

    A message of the expected number leaves one cycle after it came, or two when it came right
    behind its header; nothing is held back. All ports' messages are treated in the same cycle: of
    those that are expected one is accepted, and the others are duplicates, as are lower numbers;
    greater ones are dropped.

    Headers and ends are treated one a cycle, oldest first, from a register of their port, a cycle
    after they came, or two for a header that had to wait; what is behind them in their port waits
    for them, and the next one follows in the cycle after one was taken at the earliest. Those that
    change no more than what is known of their line and of a hole cost nothing else. For the others
    - a session, a gap and its end, a tick, a retraction - messages wait while a sequence of states
    follows the kernel step by step (up to 21 cycles), in queues of ``DEPTH`` cycles a port. It
    begins two cycles after the event was taken; another port's message may be accepted in the first
    of them.

    Bound of the queues
    -------------------
    While no sequence runs, each cycle takes at least the oldest event of all ports, and of every
    port a message at or below the expected number. So a message waits for another port's at most
    one cycle: when it comes in the cycle in which the number before it is accepted, or two cycles
    behind its header, which came with another port's; from then on it and its followers are as far
    as the feed is. Two lines of the shortest blocks bring 4 messages in 7 cycles each and leave 3
    of 7 to catch up. One beyond the expected number, which is dropped, waits until it has been in
    its queue for a cycle, or two if it is the next but one, and nothing older is in another port's;
    those behind it follow one a cycle while no other port has anything, else one every two, which
    is less than the 4 in 7 of system events alone. Headers and ends come at most twice in 8 cycles
    a port (62 octets are before the messages), beside messages of the others: 6 of 8 cycles for 3
    ports. Of these and the others each port's own are five, to load both, to judge a header from
    the queue and to take them; what others do meanwhile costs it nothing.

    A sequence of T cycles leaves T x 4/7 messages a port. The longest, a new session that skips,
    takes 21 cycles: 12 places of the 16, after which ``holds`` rises. Headers without a message on
    all ports, or frames that are damaged one after the other on both lines (a pair of the shortest
    comes every 14 cycles and takes 16 with its two retractions), bring more, which waits in
    ``Blocks``. Where ``holds`` is not heeded, ``is_lost`` tells it and the packet is retracted as
    if its frame had been damaged, so nothing is ever lost silently.

    Packets of several ports at once
    --------------------------------
    The kernel takes whole packets, one after the other; so does this, when they come so. Else
    each event takes effect in order of arrival (of those of one cycle, lowest port first), with
    one exception: what is accepted or a duplicate need not wait for older events of other
    ports. A retraction puts everything back, as in the kernel, when no other packet was listened
    to since its header. Else it takes back what nobody else said: the numbers, the time and the
    silence of its line (unless the same line was heard on another port), the end of the session
    (unless shown again), and a jump of ``expected``; a session that another packet has used
    stays. Packets of the old session that are in hand when another takes over are dropped from
    there on, and counted in ``packets_session``.

    Members
    -------
    i : ``In(PacketSignature()).array(PORTS)``
        The ports.
    tick, tick_stamp : ``In(1)``, ``In(64)``
        Let time pass without a packet, at this time. A later one replaces one that still waits.
    give_up, give_up_number, give_up_stamp : ``In``
        Go on with this number, as the recovery line; nothing when it is not above the expected.
    restart, start, has_session, session : ``In``
        Begin anew, with what ``FeedMemory`` calls ``start`` and ``session``. Without it, ``start``
        is 1 and any session will do.
    lines, policy, accept_session, line_timeout_ns, patience_ns, stale_ns : ``In``
        Configuration, as in the kernel's ``ARBITER``.
    o : ``Out(stream.Signature(FeedEvent, always_ready=True))``
        Messages and states in order. Latency 1.
    counts : ``Out(Counts)``
        What to add to the counters, with latency 2.
    state, expected, highest : ``Out``
        Registers of the same names; highest is two cycles late.
    hold : ``In(1)``
        Begin nothing, from the next cycle on: no message is taken, events wait in their queues.
        What a sequence under way still says (7 events at most) comes.
    holds : ``Out(PORTS)``
        Of each port: its queue is nearly full; what comes 4 cycles later or more may be lost. For
        ``hold`` of `Blocks`, which has room for more.
    is_busy : ``Out(1)``
        An event waits or is being treated.
    is_lost : ``Out(PORTS)``
        Strobe of each port: an event found its queue full.
    """

    i: In(PacketSignature()).array(PORTS)
    tick: In(1)
    tick_stamp: In(64)
    give_up: In(1)
    give_up_number: In(64)
    give_up_stamp: In(64)
    restart: In(1)
    start: In(64)
    has_session: In(1)
    session: In(SESSION_SHAPE)
    lines: In(LINES)
    policy: In(GapPolicy)
    accept_session: In(1)
    line_timeout_ns: In(64)
    patience_ns: In(64)
    stale_ns: In(64)
    o: Out(stream.Signature(FeedEvent, always_ready=True))
    counts: Out(Counts)
    state: Out(STATE_SHAPE)
    expected: Out(64, init=1)
    highest: Out(64)
    hold: In(1)
    holds: Out(PORTS)
    is_busy: Out(1)
    is_lost: Out(PORTS)

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        """Return the lanes and the machine that they share."""
        return Machine(self, self._depth).m
