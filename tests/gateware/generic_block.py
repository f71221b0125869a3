"""A block for PCIe that hands over transaction layer packets, around an adapter under cocotb.

Configuration space, link and packets are cocotbext-pcie's, the streams cocotbext-axi's.
"""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource
from cocotbext.pcie.core import Device, Endpoint
from cocotbext.pcie.core.caps import MsixCapability
from cocotbext.pcie.core.tlp import Tlp, TlpType

from tickwire.spec.registers import BAR_INTERRUPTS, INTERRUPT_PENDING, INTERRUPT_VECTORS

_REQUESTS = (TlpType.MEM_READ, TlpType.MEM_READ_64, TlpType.MEM_WRITE, TlpType.MEM_WRITE_64)
_WRITES = (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64)


class GenericBlock(Device):
    """One function with MSI-X."""

    def __init__(self, dut, payload_max):
        super().__init__()
        self.dut = dut
        function = self.append_function(Endpoint())
        function.pcie_cap.max_payload_size_supported = (payload_max // 128).bit_length() - 1
        msix = self.msix = MsixCapability()
        function.register_capability(msix)
        msix.msix_table_size = INTERRUPT_VECTORS - 1
        msix.msix_table_bar_indicator_register = BAR_INTERRUPTS
        msix.msix_pba_bar_indicator_register = BAR_INTERRUPTS
        msix.msix_pba_offset = INTERRUPT_PENDING
        for kind in _REQUESTS:
            function.register_rx_tlp_handler(kind, self._take)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_rx"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_tx"), dut.clk, dut.rst)
        for stream in (self.source, self.sink):
            stream.log.setLevel("ERROR")
        Clock(dut.clk, 4, "ns").start()
        for run in (self._reset, self._configure, self._send):
            cocotb.start_soon(run())

    async def _take(self, tlp):
        """A packet of the host, for a BAR."""
        number, _ = self.functions[0].match_bar(tlp.address)[:2]
        tlp.release_fc()
        await self.source.send(AxiStreamFrame(tlp.pack(), tuser=1 << number))

    async def _send(self):
        """Packets of the card."""
        while True:
            tlp = Tlp.unpack((await self.sink.recv()).tdata)
            if tlp.fmt_type not in _WRITES or self.functions[0].bus_master_enable:
                await self.send(tlp)

    async def _configure(self):
        """What the block tells of its configuration."""
        while True:
            await RisingEdge(self.dut.clk)
            self.dut.cfg_identity.value = int(self.functions[0].pcie_id)
            self.dut.cfg_msix_enable.value = int(self.msix.msix_enable)
            self.dut.cfg_msix_mask.value = int(self.msix.msix_function_mask)

    async def _reset(self):
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 8)
        self.dut.rst.value = 0
