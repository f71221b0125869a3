"""Message blocks of the datagrams of one port."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.backlog import STROBES, Backlog
from tickwire_hw.block_walker import BlockWalker, Early
from tickwire_hw.blocks_port import PacketSignature
from tickwire_hw.entry_hop import EntryHop
from tickwire_hw.stream import FrameVerdict, Payload

DEPTH = 1_024
"""Words that may wait: enough for a jumbo frame of empty blocks alone."""


class Blocks(wiring.Component):
    """Cut datagrams into header and messages, as :func:`tickwire.kernels.blocks.skim` walks them.

    Latency is 1: a header, message or end is told in the cycle after the word that completes it;
    with ``has_hop`` it is 2.
    One word a cycle, whatever the alignment, for blocks of 8 octets or more, so for every legal
    message. A word with more ends than one takes a cycle for each; what comes meanwhile waits, in
    order, and the queue drains between frames or while legal blocks leave room.

    Nothing is held back. What finds no room in the queue is lost: the datagram counts as if its
    octets ended there, as malformed, or is dropped whole, as if its frame had not come.

    Members
    -------
    payload : ``In(stream.Signature(Payload, always_ready=True))``
        Datagrams of one :class:`tickwire_hw.receive.Receive`.
    verdict : ``In(stream.Signature(FrameVerdict, always_ready=True))``
        Verdicts of the same.
    hold : ``In(1)``
        Say nothing from the third cycle on; words wait in the queue.
    packet : ``Out(PacketSignature())``
        Headers, messages, ends, verdicts.
    early : ``Out(stream.Signature(Early, always_ready=True))``
        Once for each message, before it or with it: its first octets.
    is_overflow : ``Out(1)``
        Strobe: a datagram lost octets, or was dropped.
    """

    payload: In(stream.Signature(Payload, always_ready=True))
    verdict: In(stream.Signature(FrameVerdict, always_ready=True))
    hold: In(1)
    packet: Out(PacketSignature())
    early: Out(stream.Signature(Early, always_ready=True))
    is_overflow: Out(1)

    def __init__(self, depth: int = DEPTH, *, has_hop: bool = False) -> None:
        """Let up to ``depth`` words wait."""
        self._depth, self._has_hop = depth, has_hop
        super().__init__()

    def elaborate(self, platform):
        """Return the walker and what waits in front of it."""
        m = Module()

        m.submodules.backlog = backlog = Backlog(self._depth, repeats_all=self._has_hop)
        m.submodules.walker = walker = BlockWalker()
        wiring.connect(m, wiring.flipped(self.payload), backlog.payload)
        wiring.connect(m, wiring.flipped(self.verdict), backlog.verdict)
        wiring.connect(m, walker.packet, wiring.flipped(self.packet))
        wiring.connect(m, walker.early, wiring.flipped(self.early))
        m.d.comb += [backlog.hold.eq(self.hold), self.is_overflow.eq(backlog.is_overflow)]
        if self._has_hop:
            self._hop(m, backlog, walker)
        else:
            m.d.comb += [*(getattr(walker, name).eq(getattr(backlog, name))
                           for name in ("entry", *STROBES, "may_be_first", "is_start")),
                         backlog.is_again.eq(walker.is_again)]

        return m

    def _hop(self, m, backlog, walker):
        """Put a register between both; behind it a first word is known for what it is."""
        m.submodules.hop = hop = EntryHop()
        m.d.comb += [
            *(hop.i[name].eq(getattr(backlog, name)) for name in ("entry", *STROBES)),
            *(getattr(walker, name).eq(hop.o[name]) for name in ("entry", *STROBES)),
            walker.may_be_first.eq(hop.o.is_first), walker.is_start.eq(hop.o.is_first),
            hop.hold.eq(self.hold), hop.is_again.eq(walker.is_again),
            backlog.is_again.eq(hop.stays)]
