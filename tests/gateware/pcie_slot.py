"""A slot of a root complex with a card in it, for coroutines under cocotb.

What the host does goes through configuration space, BARs and memory of cocotbext-pcie, which
shares no code with ours; what the pipelines do is put at the core's ports. Bench and block are a
:class:`Slot`; which block, and how wide, the environment says (``ADAPTER``, ``WIDTH``).
"""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import AxiStreamBus
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.tlp import TlpType
from cocotbext.pcie.xilinx.us import UltraScalePlusPcieDevice

from tests.gateware.generic_block import GenericBlock
from tickwire.spec.registers import (
    BAR_INTERRUPTS,
    BAR_LOG2,
    BAR_REGISTERS,
    BAR_WINDOW,
    INTERRUPT_PENDING,
    INTERRUPT_VECTORS,
    REGISTERS,
    WINDOW_LOG2,
    RingControl,
)
from tickwire_hw.host_interface import OTHERS

ADAPTER = os.environ.get("ADAPTER", "UltraScale")
WIDTH = int(os.environ.get("WIDTH", "256"))
LOG2 = 6
"""Slots of a ring, logarithm."""
RING_SIZE = 64 << LOG2
ORDER_EPOCH = 77
PAYLOAD_MAX = 1024
LINE_NS = 6.4
"""Period of the core's clock, where it has one of its own."""
ROWS = {row.name: row for row in REGISTERS}
_LANES = {256: 8, 512: 16}
_INSTRUMENT_BITS = 2


def ultrascale(dut):
    """The hard block's model around ``dut``."""
    return UltraScalePlusPcieDevice(
        pcie_generation=3, pcie_link_width=_LANES[WIDTH], user_clk_frequency=250e6,
        alignment="dword", pf_count=1, max_payload_size=PAYLOAD_MAX, enable_client_tag=True,
        enable_extended_tag=True, pf0_msix_enable=True,
        pf0_msix_table_size=INTERRUPT_VECTORS - 1, pf0_msix_table_bir=BAR_INTERRUPTS,
        pf0_msix_table_offset=0, pf0_msix_pba_bir=BAR_INTERRUPTS,
        pf0_msix_pba_offset=INTERRUPT_PENDING, user_clk=dut.clk, user_reset=dut.rst,
        rq_bus=AxiStreamBus.from_prefix(dut, "m_axis_rq"),
        cq_bus=AxiStreamBus.from_prefix(dut, "s_axis_cq"),
        cc_bus=AxiStreamBus.from_prefix(dut, "m_axis_cc"),
        pcie_rq_seq_num0=dut.pcie_rq_seq_num0, pcie_rq_seq_num_vld0=dut.pcie_rq_seq_num_vld0,
        pcie_rq_seq_num1=dut.pcie_rq_seq_num1, pcie_rq_seq_num_vld1=dut.pcie_rq_seq_num_vld1,
        pcie_cq_np_req=dut.pcie_cq_np_req,
        cfg_interrupt_msix_enable=dut.cfg_interrupt_msix_enable,
        cfg_interrupt_msix_mask=dut.cfg_interrupt_msix_mask)


class Slot:
    """A card in a slot, and its host."""

    def __init__(self, dut):
        self.dut, self.chance = dut, random.Random(cocotb.RANDOM_SEED)
        self.rc = RootComplex()
        if ADAPTER == "UltraScale":
            self.model, self.written = ultrascale(dut), dut.m_axis_rq_tvalid
            self.streams = (self.model.rq_sink, self.model.cc_sink, self.model.cq_source)
        else:
            self.model, self.written = GenericBlock(dut, PAYLOAD_MAX), dut.m_axis_tx_tvalid
            self.streams = (self.model.sink, self.model.source)
        for log in (self.rc.log, self.model.log):
            log.setLevel("ERROR")
        self.function = self.model.functions[0]
        self.function.configure_bar(BAR_REGISTERS, 1 << BAR_LOG2, ext=True)
        self.function.configure_bar(BAR_WINDOW, 1 << WINDOW_LOG2, ext=True, prefetch=True)
        self.function.configure_bar(BAR_INTERRUPTS, 1 << BAR_LOG2, ext=True)
        self.rc.make_port().connect(self.model)
        self.rc.mem_pool.alloc_region(RING_SIZE)       # address 0 is no place for a ring
        self.intents, self.clock = [], dut.clk
        if hasattr(dut, "line_clk"):
            self.clock = dut.line_clk
            Clock(dut.line_clk, LINE_NS, "ns").start()

    async def start(self):
        """Enumerate, and let the card be a bus master; return the slot."""
        dut = self.dut
        dut.has_room.value = dut.intent__ready.value = 1
        dut.others.value = ORDER_EPOCH << OTHERS["epoch"].offset
        await RisingEdge(dut.clk)
        while int(dut.rst.value):
            await RisingEdge(dut.clk)
        await self.rc.enumerate()
        self.device = self.rc.find_device(self.function.pcie_id)
        await self.device.enable_device()
        await self.device.set_master()
        self.bars = self.device.bar_window
        cocotb.start_soon(self._take_intents())
        return self

    def disturb(self, share=0.3):
        """Let every stream be held back at random from now on, in ``share`` of the cycles."""
        for stream in self.streams:
            stream.set_pause_generator(iter(lambda: self.chance.random() < share, None))

    def delay_writes(self, cycles):
        """Let the card's writes be slow inside the block, which completions are not."""
        send = self.model.send

        async def late(tlp):
            if tlp.fmt_type in (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64):
                await ClockCycles(self.dut.clk, cycles)
            await send(tlp)
        self.model.send = late

    async def read(self, name):
        """Value of a register."""
        row = ROWS[name]
        octets = await self.bars[BAR_REGISTERS].read(row.offset, row.size)
        return int.from_bytes(octets, "little")

    async def write(self, name, value):
        """Store a register; a read of the host that comes later finds it done."""
        row = ROWS[name]
        await self.bars[BAR_REGISTERS].write(row.offset, value.to_bytes(row.size, "little"))

    async def flush(self):
        """Wait until the card has done all that was stored before."""
        await self.read("ECHO")

    async def enable(self, *names):
        """Give the card rings, or the state table; return their memory."""
        regions = []
        for name in names:
            regions.append(self.rc.mem_pool.alloc_region(RING_SIZE))
            await self.place(name, regions[-1].get_absolute_address(0))
            assert await self.read(f"{name}_CONTROL") == RingControl.ENABLE
        return regions

    async def place(self, name, address):
        """Let the card write a ring, or the state table, at ``address``."""
        await self.write(f"{name}_BASE", address)
        if name != "STATE":
            await self.write(f"{name}_LOG2", LOG2)
        await self.write(f"{name}_CONTROL", RingControl.ENABLE)

    async def put(self, market=None, line=None, capture=None):
        """One cycle of what the pipelines give."""
        dut = self.dut
        for name, given in (("market", market), ("capture", capture)):
            getattr(dut, f"i_{name}__valid").value = given is not None
            if given:
                getattr(dut, f"i_{name}__payload").value = (
                    given[0] | int.from_bytes(given[1], "little") << 8)
        dut.i_line__valid.value = line is not None
        if line:
            dut.i_line__payload.value = (line[0] | int.from_bytes(line[1], "little")
                                         << _INSTRUMENT_BITS)
        await RisingEdge(self.clock)
        dut.i_market__valid.value = dut.i_line__valid.value = dut.i_capture__valid.value = 0

    async def order(self, record):
        """Give an order record, and wait until it is taken."""
        self.dut.i_order__payload.value = record[0] | int.from_bytes(record[1], "little") << 8
        self.dut.i_order__valid.value = 1
        while True:
            await FallingEdge(self.clock)
            is_taken = int(self.dut.i_order__ready.value)
            await RisingEdge(self.clock)
            if is_taken:
                self.dut.i_order__valid.value = 0
                return

    def record(self):
        """Some record: its type, and its octets before the trailer."""
        return self.chance.choice((2, 4, 6)), self.chance.randbytes(56)

    def line(self, version):
        """Some state line."""
        octets = bytearray(self.chance.randbytes(64))
        octets[0:4] = octets[56:60] = version.to_bytes(4, "little")
        return bytes(octets)

    async def happen(self, events):
        """Let slow events happen in one cycle, and their interrupts come."""
        await self.flush()
        self.dut.slow_events.value = int(events)
        await RisingEdge(self.clock)
        self.dut.slow_events.value = 0
        await self.settle(100)

    async def settle(self, cycles=200):
        """Let everything that is on its way arrive."""
        await ClockCycles(self.dut.clk, cycles)

    async def reset(self):
        """Lose the link as the block tells it: its user reset, in the middle of anything."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        for sink in self.streams[:2] if ADAPTER == "UltraScale" else ():
            if sink.active:                            # the block drops a packet that has begun;
                end = sink._transaction_obj()          # its model would wait for the rest
                end.tlast, end.tuser = 1, 1 << sink.discontinue_offset
                sink.sample_obj = end
                sink.sample_sync.set()
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)

    async def show_counters(self):
        """Counter n is n << 32 | n; a picture takes some cycles, a word two."""
        dut, address, hidden = self.dut, 0, 0
        while True:
            await FallingEdge(self.clock)
            hidden = 20 if int(dut.page__take.value) else max(hidden - 1, 0)
            before, address = address, int(dut.page__address.value)
            await RisingEdge(self.clock)
            dut.page__is_shown.value = not hidden
            dut.page__value.value = before << 32 | before

    async def _take_intents(self):
        while True:
            await RisingEdge(self.dut.intent__valid)   # for one cycle, since it is taken at once
            await FallingEdge(self.clock)
            taken = int(self.dut.intent__payload.value)
            self.intents.append((taken >> 512 & 0xF,
                                 (taken & (1 << 512) - 1).to_bytes(64, "little")))

