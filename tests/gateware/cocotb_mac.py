"""Coroutines for the MAC: frames through cocotbext-eth's XGMII models, in both directions."""

import itertools
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource
from cocotbext.eth import XgmiiFrame, XgmiiSink, XgmiiSource

from tests import mac_rig

ALIGNED = 40                                   # one length after the other: all lanes at both ends
SIZE_MAX = 1_514
PERIOD_NS = 6.4


def payloads(chance):
    """Frames of every size modulo a word, and of the sizes at the bounds."""
    sizes = [*range(60, 60 + ALIGNED), *range(SIZE_MAX - 9, SIZE_MAX + 1), 60, 60, 61, 60]
    return [chance.randbytes(size) for size in sizes]


async def started(dut):
    Clock(dut.clk, PERIOD_NS, "ns").start()
    dut.rst.value = 1


async def settled(dut):
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)


@cocotb.test()
async def frames_leave_whole_with_the_least_gaps(dut):
    await started(dut)
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "i"), dut.clk, dut.rst)
    sink = XgmiiSink(dut.data, dut.control, dut.clk, dut.rst)
    await settled(dut)
    line = []

    async def watch():
        while True:
            await RisingEdge(dut.clk)
            line.append((int(dut.data.value), int(dut.control.value)))

    watching = cocotb.start_soon(watch())
    chance = random.Random(cocotb.RANDOM_SEED)
    given = payloads(chance)
    given += [chance.randbytes(size) for size in (1, 14, 59, 8, 56)]
    for octets in given:
        source.send_nowait(AxiStreamFrame(octets))
    for octets in given:
        frame = await sink.recv()
        assert frame.ctrl is None and frame.check_fcs()
        assert bytes(frame.get_payload()) == octets.ljust(60, b"\0")
    await ClockCycles(dut.clk, 2)
    watching.cancel()
    seen = list(mac_rig.frames(mac_rig.octets(line)))
    assert len(seen) == len(given) and all(one.is_whole for one in seen)
    assert {one.start % 8 for one in seen} == {0, 4}
    found = [after.start - one.end for one, after in itertools.pairwise(seen)]
    assert found == list(mac_rig.gaps([len(one.octets) for one in seen[:-1]]))


@cocotb.test()
async def frames_come_in_whole_from_either_lane(dut):
    await started(dut)
    source = XgmiiSource(dut.data, dut.control, dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "words"), dut.clk, dut.rst)
    dut.size_max.value = SIZE_MAX
    await settled(dut)
    chance = random.Random(cocotb.RANDOM_SEED)
    lanes = set()
    for is_forced in (False, True):
        source.force_offset_start = is_forced
        sent = [XgmiiFrame.from_payload(octets) for octets in payloads(chance)]
        wrong = set(chance.sample(range(len(sent)), 5))
        for number, frame in enumerate(sent):
            if number in wrong:
                frame.data[chance.randrange(8, len(frame.data))] ^= 1 << chance.randrange(8)
            frame.tx_complete = lambda done: lanes.add(done.start_lane)
            source.send_nowait(frame)
        for number, frame in enumerate(sent):
            seen = await sink.recv(compact=False)
            kept = bytes(octet for octet, keep in zip(seen.tdata, seen.tkeep, strict=True) if keep)
            assert kept == bytes(frame.get_payload())
            assert seen.tuser[-1] == (number in wrong)
        await source.wait()
    assert lanes == {0, 4}
