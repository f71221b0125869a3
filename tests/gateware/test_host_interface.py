"""The host's side of a card, whole: host memory holds what the pipelines gave and hosts asked for.

Method: core and adapter in Amaranth's simulator behind the beats of the block (``pcie_rig``),
both held back at random; rings are compared with what the kernels write.
"""

import ctypes
import itertools
import struct
from collections import Counter, defaultdict

import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.sim import Simulator
from cocotbext.pcie.core.tlp import TlpType

from tests.gateware.pcie_rig import Host, answered, request
from tests.order_rig import sealed
from tickwire.kernels import ring as kernel
from tickwire.kernels.arena import Arena
from tickwire.spec.counters import CounterIndex
from tickwire.spec.digest import digest
from tickwire.spec.geometry import CARD_SMALL, Geometry
from tickwire.spec.intents import WINDOW_SLOTS
from tickwire.spec.registers import (
    BAR_INTERRUPTS,
    BAR_REGISTERS,
    BAR_WINDOW,
    COUNTER_OFFSET,
    MAGIC,
    REGISTERS,
    Interrupt,
    RingControl,
    Status,
)
from tickwire_hw.pcie.card import HostCard

pytestmark = pytest.mark.long

WIDTH = 256                                # 512 bits: test_ultrascale; the core is the same
ROWS = {row.name: row for row in REGISTERS}
LOG2, EPOCH = 6, 77
SIZE = 64 << LOG2
BASES = {"RING_MARKET": 0x7_0000_0000, "RING_ORDER": 0x7_0001_0000, "RING_CAPTURE": 0x8000_0000,
         "STATE": 0x12_3456_7000}
RINGS = ("RING_MARKET", "RING_ORDER", "RING_CAPTURE")
MESSAGE = 0xFEE0_1000


class Bench:
    """The card, its host, and host memory."""

    def __init__(self, card, host, context, reset):
        self.card, self.host, self.context, self.reset = card, host, context, reset
        self.chance = host.chance
        self.memory, self.messages, self.intents = {}, [], []
        self.counted, self.stored = Counter(), defaultdict(list)
        self._address, self._hidden = 0, 0

    async def step(self, cycles=1):
        card, context = self.card, self.context
        for _ in range(cycles):
            await self.host.cycle(context)
            if context.get(card.intent.valid):
                self.intents.append((
                    context.get(card.intent.p.error),
                    context.get(card.intent.p.intent.as_value()).to_bytes(64, "little")))
            counts = context.get(card.counts)
            if counts.as_bits():
                self.counted.update({name: counts[name] for name in dict(counts.shape())})
            events = context.get(card.events)
            for name in ("table_data", "limits_commit"):
                if events[name].is_written:
                    self.stored[name].append(events[name].value)
            # What is ready depends on this cycle's beats, so it is looked at behind them.
            self.is_taken = bool(context.get(card.i_order.valid & card.i_order.ready))
            self._hidden = 20 if context.get(card.page.take) else max(self._hidden - 1, 0)
            before, self._address = self._address, context.get(card.page.address)
            await context.tick()
            context.set(card.page.is_shown, not self._hidden)
            context.set(card.page.value, before << 32 | before)
            for address, octets in self.host.memory():
                if len(octets) == 4:
                    self.messages.append((address, octets))
                else:
                    self.memory[address] = octets

    async def read_octets(self, bar, at, size):
        frame, tlp = request(TlpType.MEM_READ_64, bar, at, size=size)
        self.host.send(frame)
        for _ in range(1_000):
            await self.step()
            if self.host.completions.frames:
                completion, = self.host.answers()
                return answered(tlp, completion)
        raise AssertionError("no answer")

    async def read(self, name):
        row = ROWS[name]
        return int.from_bytes(await self.read_octets(BAR_REGISTERS, row.offset, row.size), "little")

    async def write(self, name, value):
        row = ROWS[name]
        self.host.store(BAR_REGISTERS, row.offset, value.to_bytes(row.size, "little"))
        while self.host.waiting:
            await self.step()

    async def enable(self, *names):
        for name in names:
            await self.write(f"{name}_BASE", BASES[name])
            if name != "STATE":
                await self.write(f"{name}_LOG2", LOG2)
            await self.write(f"{name}_CONTROL", RingControl.ENABLE)
            assert await self.read(f"{name}_CONTROL") == RingControl.ENABLE

    async def put(self, market=None, line=None, capture=None):
        card, context = self.card, self.context
        for port, given in ((card.i_market, market), (card.i_capture, capture)):
            context.set(port.valid, given is not None)
            if given:
                context.set(port.p, {"kind": given[0], "octets": int.from_bytes(given[1],
                                                                               "little")})
        context.set(card.i_line.valid, line is not None)
        if line:
            context.set(card.i_line.p.instrument, line[0])
            context.set(card.i_line.p.line.as_value(), int.from_bytes(line[1], "little"))
        await self.step()
        for port in (card.i_market, card.i_line, card.i_capture):
            context.set(port.valid, 0)

    async def order(self, record):
        port = self.card.i_order
        self.context.set(port.p, {"kind": record[0],
                                  "octets": int.from_bytes(record[1], "little")})
        self.context.set(port.valid, 1)
        await self.step()
        while not self.is_taken:
            await self.step()
        self.context.set(port.valid, 0)

    def record(self):
        return self.chance.choice((2, 4, 6)), self.chance.randbytes(56)

    def ring(self, name):
        return b"".join(self.memory.get(BASES[name] + 64 * slot, bytes(64))
                        for slot in range(1 << LOG2))


@pytest.fixture(scope="module")
def run():
    """Run a script on the card as it is after configuration; the card is elaborated once."""
    card, reset, m = HostCard(CARD_SMALL, WIDTH), Signal(), Module()
    m.submodules.card = ResetInserter(reset)(card)
    scripts = []

    async def bench(context):
        context.set(card.has_room, 1)
        context.set(card.intent.ready, 1)
        context.set(card.page.is_shown, 1)
        context.set(card.others.epoch, EPOCH)
        await scripts[-1](Bench(card, Host(card, WIDTH, share=0.2), context, reset))
    simulator = Simulator(m)
    simulator.add_clock(4e-9)
    simulator.add_testbench(bench)

    def run_script(script):
        if scripts:
            simulator.reset()
        scripts.append(script)
        simulator.run()
    return run_script


def written(records, epoch):
    """The ring as the kernels write it."""
    arena = Arena()
    base = arena.take("ring", SIZE)
    context = arena.take_rows("context", kernel.RING)
    view = arena.view("context", kernel.RING)[0]
    view["base"], view["mask"], view["epoch"] = base, (1 << LOG2) - 1, epoch
    view["counters"] = arena.take("counters", 1024)
    for kind, octets in records:
        ctypes.memmove(kernel.slot(context), octets, len(octets))
        kernel.commit(context, kind)
    return arena.view("ring").tobytes()


def test_a_host_that_finds_a_card_and_gives_it_rings_gets_every_record_over_laps(run):
    async def script(bench):
        assert await bench.read("MAGIC") == MAGIC
        assert await bench.read("DIGEST") == digest()
        assert Geometry.of(await bench.read("GEOMETRY_BOOK"),
                           await bench.read("GEOMETRY_QUEUES")) == (CARD_SMALL, 12)
        await bench.write("ECHO", 0x1234_5678)
        assert await bench.read("ECHO") == 0x1234_5678 ^ 0xFFFF_FFFF
        await bench.write("CONTROL", 1)
        assert await bench.read("RING_EPOCH") == 1
        await bench.enable(*RINGS, "STATE")
        sent, lines = {name: [] for name in RINGS}, {}
        for number in range(70):
            record, line = bench.record(), None
            sent["RING_MARKET"].append(record)
            if number % 3:
                octets = bytearray(bench.chance.randbytes(64))
                octets[0:4] = octets[56:60] = (number + 1).to_bytes(4, "little")
                line = number % 4, bytes(octets)
                lines[line[0]] = line[1]
            await bench.put(market=record, line=line)
            if number % 20 == 0:
                sent["RING_CAPTURE"].append(bench.record())
                await bench.put(capture=sent["RING_CAPTURE"][-1])
            if number == 64:
                await bench.write("RING_ORDER_CONSUMED", 40)
            sent["RING_ORDER"].append(bench.record())
            await bench.order(sent["RING_ORDER"][-1])
            await bench.step(2)
        await bench.step(60)
        for name in RINGS:
            assert bench.ring(name) == written(sent[name], 1), name
            assert await bench.read(f"{name}_SEQUENCE") == len(sent[name])
        assert bench.counted["order_records"] == len(sent["RING_ORDER"])
        for instrument, octets in lines.items():
            assert bench.memory[BASES["STATE"] + 64 * instrument] == octets
        await bench.write("COUNTERS_TAKE", 1)
        place = CounterIndex.RECORDS
        assert await bench.read_octets(BAR_REGISTERS, COUNTER_OFFSET + 8 * place, 16) == \
            struct.pack("<QQ", place << 32 | place, place + 1 << 32 | place + 1)
    run(script)


def test_intents_cut_and_shuffled_come_once_and_in_order(run):
    async def script(bench):
        sent = []
        for number in range(1, 17):
            octets = sealed(bench.chance.randbytes(52) + bytes(12), EPOCH, number)
            sent.append(octets)
            start = 64 * ((number - 1) % WINDOW_SLOTS)
            cuts = sorted({0, 64, *(4 * bench.chance.randrange(16)
                                    for _ in range(bench.chance.choice((0, 1, 3, 8))))})
            parts = list(itertools.pairwise(cuts))
            bench.chance.shuffle(parts)
            for first, last in parts:
                bench.host.store(BAR_WINDOW, start + first, octets[first:last])
            await bench.step(20)
        await bench.step(60)
        assert bench.intents == [(0, octets) for octets in sent]
        assert bench.counted["intents"] == len(sent)
    run(script)


def test_tables_interrupts_and_refusals(run):
    async def script(bench):
        await bench.write("INTERRUPT_MASK", Interrupt.CONFIGURATION | Interrupt.RING_ERROR)
        for vector in (1, 2):
            bench.host.store(BAR_INTERRUPTS, 16 * vector, struct.pack("<QII", MESSAGE, vector, 0))
        bench.context.set(bench.card.cfg_interrupt_msix_enable, 1)
        words = [bench.chance.getrandbits(64) for _ in range(8)]
        for word in words:
            await bench.write("TABLE_DATA", word)
        await bench.write("LIMITS_COMMIT", 1 << 32 | 2)
        await bench.step(8)
        assert bench.stored["table_data"] == words
        assert bench.stored["limits_commit"] == [1 << 32 | 2]
        bench.context.set(bench.card.others.limits_version, 2)
        assert await bench.read("LIMITS_VERSION") == 2
        bench.context.set(bench.card.slow_events, Interrupt.CONFIGURATION)
        await bench.step()
        bench.context.set(bench.card.slow_events, 0)
        await bench.step(40)
        assert bench.messages == [(MESSAGE, struct.pack("<I", 1))]
        for name, value in (("RING_MARKET_LOG2", LOG2), ("RING_MARKET_BASE", BASES["STATE"] + 64),
                            ("RING_MARKET_CONTROL", RingControl.ENABLE)):
            await bench.write(name, value)
        assert await bench.read("RING_MARKET_CONTROL") == RingControl.REFUSED
        assert Status.RING_ERROR in Status(await bench.read("STATUS"))
        await bench.step(40)
        assert bench.messages[1:] == [(MESSAGE, struct.pack("<I", 2))]
        assert await bench.read("INTERRUPT_CAUSE") == Interrupt.CONFIGURATION | Interrupt.RING_ERROR
        await bench.write("INTERRUPT_CAUSE", Interrupt.CONFIGURATION)
        assert await bench.read("INTERRUPT_CAUSE") == Interrupt.RING_ERROR
    run(script)


def test_a_lost_link_ends_a_burst_at_any_beat_and_the_card_begins_anew(run):
    async def script(bench):
        for beats in range(4):
            await bench.enable("RING_MARKET")
            await bench.write("CONTROL", 1)
            for _ in range(4):
                await bench.put(market=bench.record())
            await bench.step(beats)
            bench.context.set(bench.reset, 1)          # in another beat of a packet each time
            await bench.context.tick()
            bench.context.set(bench.reset, 0)
            bench.host = Host(bench.card, WIDTH, beats, share=0.2)
            bench.memory.clear()
            await bench.step(30)
            assert not bench.memory
            assert await bench.read("RING_MARKET_CONTROL") == 0
            await bench.enable("RING_MARKET")
            await bench.write("CONTROL", 1)
            records = [bench.record() for _ in range(3)]
            for record in records:
                await bench.put(market=record)
            await bench.step(40)
            assert bench.ring("RING_MARKET") == written(records, 1)
            bench.context.set(bench.reset, 1)
            await bench.context.tick()
            bench.context.set(bench.reset, 0)
            bench.host = Host(bench.card, WIDTH, beats, share=0.2)
    run(script)
