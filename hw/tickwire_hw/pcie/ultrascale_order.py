"""Completions behind the writes that were sent before them, which the UltraScale+ block leaves to
its user (PG213, "Transmit Transaction Ordering")."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.pcie.ultrascale_stream import SEQUENCE

PATIENCE = 4_096
"""Cycles without any report after which an answer no longer waits."""
_OVERTAKEN = -1 % (1 << SEQUENCE)          # two reports in a cycle: the awaited one was the first


class PostedOrder(wiring.Component):
    """Say whether an answer may be sent: all that was written before it was there has passed.

    Writes are numbered, and the block reports each number, in order, where no completion can pass
    it any more. An answer waits until the last write before it was reported, but not for ever: a
    host that takes the bus from the card gets the reports of no write. Up to 62 writes may be
    inside the block.

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
    """

    sent: In(SEQUENCE)
    is_reported_0: In(1)
    report_0: In(SEQUENCE)
    is_reported_1: In(1)
    report_1: In(SEQUENCE)
    is_waiting: In(1)
    may_send: Out(1)

    def elaborate(self, platform):
        """Return the last report, and the number that is awaited."""
        m = Module()

        passed, awaited = Signal(SEQUENCE), Signal(SEQUENCE)
        is_reported = self.is_reported_0 | self.is_reported_1
        waited, left = Signal(range(PATIENCE)), Signal(SEQUENCE)
        with m.If(is_reported):
            m.d.sync += passed.eq(Mux(self.is_reported_1, self.report_1, self.report_0))
        m.d.comb += left.eq(awaited - passed)
        with m.If(~self.is_waiting):
            m.d.sync += [awaited.eq(self.sent), waited.eq(0), self.may_send.eq(0)]
        with m.Else():
            m.d.sync += waited.eq(Mux(is_reported, 0, waited + 1))
            with m.If((left == 0) | (left == _OVERTAKEN) | (waited == PATIENCE - 1)):
                m.d.sync += self.may_send.eq(1)

        return m
