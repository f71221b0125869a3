"""The host's side of a card: adapter and core, nothing else."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from tickwire.spec.geometry import Geometry
from tickwire_hw.host_interface import HostInterface
from tickwire_hw.host_port import ADAPTER
from tickwire_hw.join import join_all, others
from tickwire_hw.pcie.generic import Generic
from tickwire_hw.pcie.ultrascale import UltraScale


class HostCard(wiring.Component):
    """``HostInterface`` behind an adapter: members are those of both that do not meet.

    From a market record to the first beat of its state line's packet 1 cycle, of its own packet
    one more than the beats of a line's packet: 4 cycles with ``UltraScale`` at 256 bits, 3 at
    512, 6 and 11 with ``Generic`` at 128 and 64, when nothing is under way.
    """

    def __init__(self, geometry: Geometry, adapter: UltraScale | Generic) -> None:
        self._core, self._adapter = HostInterface(geometry), adapter
        super().__init__({**others(self._core, ADAPTER), **others(adapter, ADAPTER)})

    def elaborate(self, platform):
        """Return both, connected."""
        m = Module()

        m.submodules.core, m.submodules.adapter = core, adapter = self._core, self._adapter
        connect(m, core.burst, adapter.burst)
        connect(m, adapter.request, core.request)
        connect(m, core.answer, adapter.answer)
        m.d.comb += [core.has_msix.eq(adapter.has_msix),
                     core.is_msix_masked.eq(adapter.is_msix_masked)]
        for part in (core, adapter):
            join_all(m, others(part, ADAPTER), self, part)
        return m
