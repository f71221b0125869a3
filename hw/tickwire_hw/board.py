"""Everything of a card that is not the vendor's: core, MACs and the adapter of AMD's block."""

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from tickwire.spec.geometry import Geometry
from tickwire_hw.card import Card
from tickwire_hw.host_port import ADAPTER
from tickwire_hw.join import join_all, others
from tickwire_hw.mac_receive import MACReceive
from tickwire_hw.mac_transmit import MACTransmit
from tickwire_hw.nic import LINES
from tickwire_hw.order_path import ROWS_LOG2
from tickwire_hw.pcie.crossing import BUS_DOMAIN, LINE_DOMAIN, Crossing, bridge, reset_both
from tickwire_hw.pcie.ultrascale import UltraScale
from tickwire_hw.stream import LANES, WORD_BITS

_SIZE_MAX = 0xFFFF                         # the order line's frames go up, whatever their size
_TOLD = {"mac_bad_starts": "is_bad_start", "mac_damaged": "is_damaged", "mac_runts": "is_runt",
         "mac_oversize": "is_oversize"}


class Board(wiring.Component):
    """``Card`` with MACs and ``UltraScale`` around it: a top for whoever brings pins and blocks.

    Two clocks: that of the lines, at which XGMII comes and all of ``Card`` runs, and that of the
    block for PCIe. The block's reset, which a lost link raises, resets all of it: what a card does
    without a host is nothing. Latencies are those of the parts and of ``Crossing``.

    Members
    -------
    line_clk : ``In(1)``
        156.25 MHz for 10GbE; all lines' XGMII comes at it, through their PCS's elastic buffers.
    user_clk, user_reset : ``In(1)``
        Of the block.
    line_data, line_control : ``In(64).array(2)``, ``In(8).array(2)``
        XGMII of lines A and B.
    order_receive_data, order_receive_control : ``In(64)``, ``In(8)``
        XGMII that the order line receives: all of it goes up to the host.
    order_data, order_control : ``Out(64)``, ``Out(8)``
        XGMII that the order line sends.

    All others are of ``UltraScale``, by their names.
    """

    def __init__(self, geometry: Geometry, width: int = 512, rows_log2: int = ROWS_LOG2) -> None:
        self._card, self._adapter = Card(geometry, rows_log2), UltraScale(width)
        self._through = others(self._adapter, ADAPTER)
        super().__init__({
            "line_clk": In(1), "user_clk": In(1), "user_reset": In(1),
            "line_data": In(WORD_BITS).array(len(LINES)),
            "line_control": In(LANES).array(len(LINES)),
            "order_receive_data": In(WORD_BITS), "order_receive_control": In(LANES),
            "order_data": Out(WORD_BITS), "order_control": Out(LANES), **self._through})

    def elaborate(self, platform):
        """Return the parts, each in its domain, connected."""
        m = Module()

        m.domains += ClockDomain(LINE_DOMAIN), ClockDomain(BUS_DOMAIN)
        m.d.comb += [ClockSignal(LINE_DOMAIN).eq(self.line_clk),
                     ClockSignal(BUS_DOMAIN).eq(self.user_clk)]
        reset_both(m, self.user_reset)

        card, adapter, crossing, transmit = self._card, self._adapter, Crossing(), MACTransmit()
        m.submodules.card = DomainRenamer(LINE_DOMAIN)(card)
        m.submodules.transmit = DomainRenamer(LINE_DOMAIN)(transmit)
        m.submodules.adapter = DomainRenamer(BUS_DOMAIN)(adapter)
        m.submodules.crossing = crossing
        join_all(m, self._through, self, adapter)
        bridge(m, card, adapter, crossing)

        receivers = []
        for name, data, control, words, size_max in (
                *((number, self.line_data[number], self.line_control[number], card.words[number],
                   card.size_max) for number in LINES),
                ("orders", self.order_receive_data, self.order_receive_control,
                 card.order_words, _SIZE_MAX)):
            receive = MACReceive()
            receivers.append(receive)
            m.submodules[f"receive_{name}"] = DomainRenamer(LINE_DOMAIN)(receive)
            connect(m, receive.words, words)
            m.d.comb += [receive.data.eq(data), receive.control.eq(control),
                         receive.size_max.eq(size_max)]
        connect(m, card.o_order, transmit.i)
        m.d.comb += [self.order_data.eq(transmit.data), self.order_control.eq(transmit.control),
                     card.mac_counts.mac_underruns.eq(transmit.is_underrun),
                     *(card.mac_counts[counter].eq(sum(getattr(one, name) for one in receivers))
                       for counter, name in _TOLD.items())]

        return m
