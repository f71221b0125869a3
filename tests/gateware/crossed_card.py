"""The host's side of a card and AMD's adapter with a clock each, as a board has them."""

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.host_interface import HostInterface
from tickwire_hw.host_port import ADAPTER
from tickwire_hw.join import join_all, others
from tickwire_hw.pcie.crossing import BUS_DOMAIN, LINE_DOMAIN, Crossing, bridge
from tickwire_hw.pcie.ultrascale import UltraScale


class CrossedCard(wiring.Component):
    """As ``HostCard``; ``clk`` and ``rst`` are the block's, ``line_clk`` is the core's."""

    def __init__(self, width):
        self._core, self._adapter = HostInterface(CARD_SMALL), UltraScale(width)
        super().__init__({"line_clk": In(1), **others(self._core, ADAPTER),
                          **others(self._adapter, ADAPTER)})

    def elaborate(self, platform):
        m = Module()
        core, adapter, crossing = self._core, self._adapter, Crossing()
        m.domains += ClockDomain(LINE_DOMAIN)
        m.submodules.reset = ResetSynchronizer(ResetSignal(), domain=LINE_DOMAIN)
        m.submodules.core = DomainRenamer(LINE_DOMAIN)(core)
        m.submodules.adapter = adapter
        m.submodules.crossing = DomainRenamer({BUS_DOMAIN: "sync"})(crossing)
        m.d.comb += ClockSignal(LINE_DOMAIN).eq(self.line_clk)
        bridge(m, core, adapter, crossing)
        for part in (core, adapter):
            join_all(m, others(part, ADAPTER), self, part)
        return m
