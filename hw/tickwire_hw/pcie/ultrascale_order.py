"""Completions behind the writes that were sent before them, which the UltraScale+ block leaves to
its user (PG213, "Transmit Transaction Ordering"), and no more writes than can be told apart."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.pcie.ultrascale_stream import SEQUENCE

PATIENCE = 4_096
"""Cycles without any report after which nothing waits for one."""
INSIDE_MAX = (1 << SEQUENCE) - 2
"""Writes that may be inside the block: one number is that of none, another of one overtaken."""
_OVERTAKEN = -1 % (1 << SEQUENCE)          # two reports in a cycle: the awaited one was the first


class PostedOrder(wiring.Component):
    """Say whether an answer may be sent: all that was written before it was there has passed.

    Writes are numbered, and the block reports each number, in order, where no completion can pass
    it any more. An answer waits until the last write before it was reported. So that numbers stay
    unique, ``INSIDE_MAX`` writes may be inside the block, and the next one waits for a report:
    a report that takes longer than those writes bounds their rate, and what is held back is lost
    where its queue is full. Neither waits for ever, since a host that takes the bus from the card
    gets the reports of no write: after ``PATIENCE`` cycles all that was sent counts as passed.

    Members
    -------
    sent : ``In(SEQUENCE)``
        Number of the last write that was sent whole.
    reports : ``In``
        ``pcie_rq_seq_num_vld0``, ``pcie_rq_seq_num0`` and the same of 1, which is the younger one.
    is_waiting : ``In(1)``
        An answer is there; until it is sent.
    may_send : ``Out(1)``
        It may go, one cycle later or more; until it is sent.
    has_room : ``Out(1)``
        Another write may begin.
    """

    sent: In(SEQUENCE)
    is_reported_0: In(1)
    report_0: In(SEQUENCE)
    is_reported_1: In(1)
    report_1: In(SEQUENCE)
    is_waiting: In(1)
    may_send: Out(1)
    has_room: Out(1, init=1)

    def elaborate(self, platform):
        """Return the last report, the number that is awaited, and how many writes are inside."""
        m = Module()

        passed, awaited = Signal(SEQUENCE), Signal(SEQUENCE)
        is_reported = self.is_reported_0 | self.is_reported_1
        waited, left, inside = Signal(range(PATIENCE)), Signal(SEQUENCE), Signal(SEQUENCE)
        is_awaited, is_over = self.is_waiting | ~self.has_room, Signal()
        with m.If(is_reported):
            m.d.sync += passed.eq(Mux(self.is_reported_1, self.report_1, self.report_0))
        with m.Elif(is_over):
            m.d.sync += passed.eq(self.sent)
        m.d.comb += [left.eq(awaited - passed), inside.eq(self.sent - passed),
                     is_over.eq(is_awaited & (waited == PATIENCE - 1))]
        # A write may be sent in the cycle that compares, before its number shows.
        m.d.sync += [self.has_room.eq(inside < INSIDE_MAX - 1),
                     waited.eq(Mux(is_reported | ~is_awaited, 0, waited + 1))]
        with m.If(~self.is_waiting):
            m.d.sync += [awaited.eq(self.sent), self.may_send.eq(0)]
        with m.Elif((left == 0) | (left == _OVERTAKEN) | is_over):
            m.d.sync += self.may_send.eq(1)

        return m
