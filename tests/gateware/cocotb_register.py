"""Coroutines for a stream register: AXI-Stream frames through it, and tests that must fail."""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

FRAMES = 40


async def started(dut):
    Clock(dut.clk, 8, "ns").start()
    dut.rst.value = 1
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "i"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "o"), dut.clk, dut.rst)
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    return source, sink


@cocotb.test()
async def frames_come_out_as_they_went_in(dut):
    source, sink = await started(dut)
    chance = random.Random(cocotb.RANDOM_SEED)
    source.set_pause_generator(iter(lambda: chance.random() < 0.3, None))
    sink.set_pause_generator(iter(lambda: chance.random() < 0.3, None))
    sent = [chance.randbytes(chance.randrange(1, 60)) for _ in range(FRAMES)]
    for octets in sent:
        source.send_nowait(AxiStreamFrame(octets))
    for octets in sent:
        assert (await sink.recv()).tdata == octets


@cocotb.test(skip=os.environ.get("WRONG") is None)
async def it_fails_where_it_is_asked_to(dut):
    await started(dut)
    assert dut.o_tvalid.value == 1
