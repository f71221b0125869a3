"""The card's network side: MACs of both market lines and of the order line around the core."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec.geometry import Geometry
from tickwire.spec.records import Line
from tickwire_hw.core import Core
from tickwire_hw.join import join_all, others
from tickwire_hw.mac_receive import MACReceive
from tickwire_hw.mac_transmit import MACTransmit
from tickwire_hw.order_path import ROWS_LOG2
from tickwire_hw.stream import LANES, WORD_BITS, Word

LINES = (Line.A, Line.B)
"""Market lines that have a MAC; the third port takes frames of the host."""
_TOLD = ("is_bad_start", "is_damaged", "is_runt", "is_oversize")


class Nic(wiring.Component):
    """Two market lines in and one order line out, as XGMII, and the host's side of the core.

    From the word with a START to the first word in the core 3 cycles; from an order frame's first
    word to its START 1. A frame whose check is wrong comes to the core with ``error`` in its last
    word, so what it said is taken back. Stamps are of a frame's first word in the core, 3 cycles
    behind its START. One clock serves all ports: crossing from the clocks of the lines is not
    here.

    Members
    -------
    line_data, line_control : ``In(64).array(2)``, ``In(8).array(2)``
        XGMII of lines A and B.
    order_data, order_control : ``Out(64)``, ``Out(8)``
        XGMII of the order line.
    host_words : ``In(stream.Signature(Word, always_ready=True))``
        Frames that the host gives to the market side: what it has recovered.
    is_start, is_underrun : ``Out(1)``
        As of ``MACTransmit``.
    is_bad_start, is_damaged, is_runt, is_oversize : ``Out(2)``
        As of ``MACReceive``, a bit a line.

    All others are of ``Core``, by their names.
    """

    def __init__(self, geometry: Geometry, rows_log2: int = ROWS_LOG2) -> None:
        self._core = Core(geometry, rows_log2)
        self._through = others(self._core, ("words", "o_order"))
        super().__init__({
            "line_data": In(WORD_BITS).array(len(LINES)),
            "line_control": In(LANES).array(len(LINES)),
            "order_data": Out(WORD_BITS), "order_control": Out(LANES),
            "host_words": In(stream.Signature(Word, always_ready=True)), "is_start": Out(1),
            "is_underrun": Out(1), **{name: Out(len(LINES)) for name in _TOLD}, **self._through})

    def elaborate(self, platform):
        """Return MACs and core, connected."""
        m = Module()

        m.submodules.core = core = self._core
        m.submodules.transmit = transmit = MACTransmit()
        for number in LINES:
            m.submodules[f"receive_{number}"] = receive = MACReceive()
            connect(m, receive.words, core.words[number])
            m.d.comb += [
                receive.data.eq(self.line_data[number]), receive.now.eq(self.now),
                receive.control.eq(self.line_control[number]), receive.size_max.eq(self.size_max)]
            m.d.comb += [getattr(self, name)[number].eq(getattr(receive, name)) for name in _TOLD]
        connect(m, flipped(self.host_words), core.words[Line.RECOVERY])
        connect(m, core.o_order, transmit.i)
        join_all(m, self._through, self, core)
        m.d.comb += [
            self.order_data.eq(transmit.data), self.order_control.eq(transmit.control),
            self.is_start.eq(transmit.is_start), self.is_underrun.eq(transmit.is_underrun)]

        return m
