"""Message blocks of the datagrams of one port."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.backlog import Backlog
from tickwire_hw.block_walker import BlockWalker, Early
from tickwire_hw.blocks_port import PacketSignature
from tickwire_hw.stream import FrameVerdict, Payload

DEPTH = 1_024
"""Words that may wait: enough for a jumbo frame of empty blocks alone."""


class Blocks(wiring.Component):
    """Cut datagrams into header and messages, as :func:`tickwire.kernels.blocks.skim` walks them.

    Latency is 1: a header, message or end is told in the cycle after the word that completes it.
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

    def __init__(self, depth: int = DEPTH) -> None:
        """Let up to ``depth`` words wait."""
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        """Return the walker and what waits in front of it."""
        m = Module()

        m.submodules.backlog = backlog = Backlog(self._depth)
        m.submodules.walker = walker = BlockWalker()
        wiring.connect(m, wiring.flipped(self.payload), backlog.payload)
        wiring.connect(m, wiring.flipped(self.verdict), backlog.verdict)
        wiring.connect(m, walker.packet, wiring.flipped(self.packet))
        wiring.connect(m, walker.early, wiring.flipped(self.early))
        for name in ("entry", "is_first", "is_next", "is_cut", "is_verdict", "may_be_first",
                     "is_start"):
            m.d.comb += getattr(walker, name).eq(getattr(backlog, name))
        m.d.comb += [backlog.hold.eq(self.hold), backlog.is_again.eq(walker.is_again),
                     self.is_overflow.eq(backlog.is_overflow)]

        return m
