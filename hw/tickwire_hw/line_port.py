"""One port of the card: from a MAC's words to the messages of its datagrams."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import Line
from tickwire_hw.block_walker import Early
from tickwire_hw.blocks import DEPTH, Blocks
from tickwire_hw.blocks_port import PacketSignature
from tickwire_hw.receive import Key, Receive
from tickwire_hw.stream import Word


class LinePort(wiring.Component):
    """Receive frames and cut their datagrams into messages: `Receive`, then `Blocks`.

    Latency is 1 from the word with a message's last octet to the message, at every alignment; with
    ``has_hop`` it is 2.
    Line rate, no backpressure; what hostile frames can make it lose is said by `Blocks`.

    Members
    -------
    words, now, keys, size_max, check_udp : ``In``
        As of :class:`tickwire_hw.receive.Receive`.
    hold : ``In(1)``
        As of :class:`tickwire_hw.blocks.Blocks`.
    packet, early, is_overflow : ``Out``
        As of :class:`tickwire_hw.blocks.Blocks`.
    is_other, is_malformed : ``Out(1)``
        As of :class:`tickwire_hw.receive.Receive`.
    """

    words: In(stream.Signature(Word, always_ready=True))
    now: In(64)
    keys: In(data.ArrayLayout(Key, len(Line)))
    size_max: In(16)
    check_udp: In(1)
    hold: In(1)
    packet: Out(PacketSignature())
    early: Out(stream.Signature(Early, always_ready=True))
    is_overflow: Out(1)
    is_other: Out(1)
    is_malformed: Out(1)

    def __init__(self, depth: int = DEPTH, *, has_hop: bool = False) -> None:
        """Let up to ``depth`` words wait."""
        self._depth, self._has_hop = depth, has_hop
        super().__init__()

    def elaborate(self, platform):
        """Return both, connected."""
        m = Module()

        m.submodules.receive = receive = Receive()
        m.submodules.blocks = blocks = Blocks(self._depth, has_hop=self._has_hop)
        wiring.connect(m, wiring.flipped(self.words), receive.words)
        wiring.connect(m, receive.payload, blocks.payload)
        wiring.connect(m, receive.verdict, blocks.verdict)
        wiring.connect(m, blocks.packet, wiring.flipped(self.packet))
        wiring.connect(m, blocks.early, wiring.flipped(self.early))
        m.d.comb += [
            receive.now.eq(self.now), receive.keys.eq(self.keys),
            receive.size_max.eq(self.size_max), receive.check_udp.eq(self.check_udp),
            blocks.hold.eq(self.hold), self.is_overflow.eq(blocks.is_overflow),
            self.is_other.eq(receive.is_other), self.is_malformed.eq(receive.is_malformed)]

        return m
