"""The host sees every register of the table where the table says, and interrupts come once.

Method: bus, registers and interrupt table together in Amaranth's simulator. Every row of the
table is stored to and read in each way that a processor has, against a model in plain Python.
"""

import itertools
import random
import struct

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from tickwire.spec.registers import (
    BAR_INTERRUPTS,
    BAR_REGISTERS,
    BAR_WINDOW,
    INTERRUPT_PENDING,
    INTERRUPT_VECTORS,
    REGISTERS,
)
from tickwire_hw.host_bus import HostBus
from tickwire_hw.host_port import LINE, Burst, Request
from tickwire_hw.interrupts import Interrupts
from tickwire_hw.registers import EVENTS, EVENTS_LAYOUT, KEPT, READABLE, STATUS_LAYOUT, Registers

ROWS = {row.name: row for row in REGISTERS}


class Bars(wiring.Component):
    """Bus, registers and interrupts."""

    i: In(stream.Signature(Request))
    answer: Out(stream.Signature(LINE))
    status: In(STATUS_LAYOUT)
    events: Out(EVENTS_LAYOUT)
    slow: In(INTERRUPT_VECTORS)
    mask: In(INTERRUPT_VECTORS)
    clear: In(INTERRUPT_VECTORS)
    cause: Out(INTERRUPT_VECTORS)
    is_enabled: In(1)
    is_masked: In(1)
    burst: Out(stream.Signature(Burst))

    def elaborate(self, platform):
        m = Module()
        m.submodules.bus = bus = HostBus()
        m.submodules.registers = registers = Registers()
        m.submodules.interrupts = interrupts = Interrupts()
        connect(m, flipped(self.i), bus.i)
        connect(m, bus.answer, flipped(self.answer))
        connect(m, bus.registers, registers.i)
        connect(m, bus.interrupts, interrupts.i)
        connect(m, interrupts.burst, flipped(self.burst))
        m.d.comb += [
            registers.status.eq(self.status), self.events.eq(registers.events),
            bus.values.eq(registers.o | interrupts.o), interrupts.events.eq(self.slow),
            interrupts.mask.eq(self.mask), interrupts.clear.eq(self.clear),
            self.cause.eq(interrupts.cause), interrupts.is_enabled.eq(self.is_enabled),
            interrupts.is_masked.eq(self.is_masked)]
        return m


class Host:
    """Loads and stores of octets, and the events that they caused."""

    def __init__(self, dut, context):
        self.dut, self.context = dut, context
        self.events = []

    async def tick(self):
        await self.context.tick()
        for row in EVENTS:
            event = getattr(self.dut.events, row.name.lower())
            if self.context.get(event.is_written):
                self.events.append((row.name, self.context.get(event.value)))

    async def _ask(self, **fields):
        self.context.set(self.dut.i.p, {"is_read": 0, "data": 0, "enables": 0, **fields})
        self.context.set(self.dut.i.valid, 1)
        while not self.context.get(self.dut.i.ready):
            await self.tick()
        await self.tick()
        self.context.set(self.dut.i.valid, 0)

    async def store(self, bar, at, octets):
        lead, count = at % 4, (at % 4 + len(octets) + 3) // 4
        await self._ask(bar=bar, address=at // 4, count=count,
                        data=int.from_bytes(octets, "little") << 8 * lead,
                        enables=((1 << len(octets)) - 1) << lead)
        while not self.context.get(self.dut.i.ready):
            await self.tick()
        await self.tick()

    async def load(self, bar, at, size):
        lead, count = at % 4, (at % 4 + size + 3) // 4
        await self._ask(is_read=1, bar=bar, address=at // 4, count=count)
        self.context.set(self.dut.answer.ready, 1)
        while not self.context.get(self.dut.answer.valid):
            await self.tick()
        found = self.context.get(self.dut.answer.p).to_bytes(64, "little")
        await self.tick()
        self.context.set(self.dut.answer.ready, 0)
        return found[lead:lead + size]

    def heard(self):
        found, self.events = self.events, []
        return found


def run(script):
    dut = Bars()

    async def bench(context):
        await script(Host(dut, context), dut, context)
    simulator = Simulator(dut)
    simulator.add_clock(4e-9)
    simulator.add_testbench(bench)
    simulator.run()


def test_every_register_is_where_the_table_says_with_its_access_and_size():
    chance = random.Random(8)

    async def script(host, dut, context):
        shown = {row.name: chance.getrandbits(8 * row.size) for row in READABLE}
        context.set(dut.status, {name.lower(): value for name, value in shown.items()})
        for row in REGISTERS:
            value = chance.getrandbits(8 * row.size)
            await host.store(BAR_REGISTERS, row.offset, value.to_bytes(row.size, "little"))
            found = await host.load(BAR_REGISTERS, row.offset, row.size)
            expected = shown.get(row.name, value if row in KEPT else 0)
            assert int.from_bytes(found, "little") == expected, row.name
            assert host.heard() == ([(row.name, value)] if row in EVENTS else []), row.name
        taken = {row.offset + place for row in REGISTERS for place in range(row.size)}
        for at in range(0, 0x800, 4):
            if at not in taken and chance.random() < 0.1:
                await host.store(BAR_REGISTERS, at, b"\xff" * 4)
                assert await host.load(BAR_REGISTERS, at, 4) == bytes(4)
        assert not host.heard()
    run(script)


def test_octets_that_a_store_leaves_out_stay_and_halves_take_effect_together():
    chance = random.Random(9)

    async def script(host, dut, context):
        row, shadow = ROWS["WATCHDOG_PERIOD"], bytearray(4)
        for _ in range(30):
            size = chance.randrange(1, 5)
            at = chance.randrange(5 - size)
            octets = chance.randbytes(size)
            await host.store(BAR_REGISTERS, row.offset + at, octets)
            shadow[at:at + size] = octets
            assert await host.load(BAR_REGISTERS, row.offset, 4) == shadow
        place = ROWS["STATE_BASE"].offset
        await host.store(BAR_REGISTERS, place, struct.pack("<Q", 0x1111_2222_3333_4444))
        await host.store(BAR_REGISTERS, place, b"\xaa\xbb\xcc\xdd")
        assert await host.load(BAR_REGISTERS, place, 8) == struct.pack("<Q", 0x1111_2222_3333_4444)
        await host.store(BAR_REGISTERS, place, b"\xaa\xbb\xcc\xdd")
        await host.store(BAR_REGISTERS, place + 4, b"\1\2\3\4")
        assert await host.load(BAR_REGISTERS, place, 8) == b"\xaa\xbb\xcc\xdd\1\2\3\4"
        # The half of another register is not taken for this one's.
        await host.store(BAR_REGISTERS, ROWS["RING_MARKET_BASE"].offset, b"\xff" * 4)
        await host.store(BAR_REGISTERS, place + 4, b"\5\6\7\x08")
        assert await host.load(BAR_REGISTERS, place, 8) == b"\xaa\xbb\xcc\xdd\5\6\7\x08"
        await host.store(BAR_REGISTERS, ROWS["ARM"].offset + 4, b"\1\0\0\0")
        assert host.heard() == [("ARM", 1 << 32)]
    run(script)


def test_a_value_that_changes_is_read_as_it_was_at_one_time():
    async def script(host, dut, context):
        row, value = ROWS["TIME_NOW"], 0xFFFF_FF00

        steps = itertools.count(1)

        async def tick():
            context.set(dut.status.time_now, value + 40 * next(steps))
            await Host.tick(host)
        host.tick = tick
        before = 0
        for _ in range(12):
            found, = struct.unpack("<Q", await host.load(BAR_REGISTERS, row.offset, 8))
            assert before < found < value + 100_000       # never a half too much or too few
            low, = struct.unpack("<I", await host.load(BAR_REGISTERS, row.offset, 4))
            for _ in range(9):
                await host.tick()
            high, = struct.unpack("<I", await host.load(BAR_REGISTERS, row.offset + 4, 4))
            assert found < low | high << 32 < found + 5_000
            before = found
    run(script)


def test_more_than_one_word_and_what_is_not_there():
    async def script(host, dut, context):
        context.set(dut.status.magic, 0x11223344)
        context.set(dut.status.abi, 0x55667788)
        context.set(dut.status.digest, 0x99AA_BBCC_DDEE_FF00)
        found = await host.load(BAR_REGISTERS, 0, 64)
        assert found[:16] == struct.pack("<IIQ", 0x11223344, 0x55667788, 0x99AA_BBCC_DDEE_FF00)
        for bar in (BAR_WINDOW, 1, 5):
            assert await host.load(bar, 0, 64) == bytes(64)
            await host.store(bar, 0, b"\xff" * 64)
        assert await host.load(BAR_REGISTERS, 0xFFC0, 64) == bytes(64)
        assert not host.heard()
    run(script)


def test_stores_go_on_while_an_answer_waits_and_reads_do_not():
    async def script(host, dut, context):
        row = ROWS["WATCHDOG_PERIOD"]
        await host.store(BAR_REGISTERS, row.offset, b"\1\2\3\4")
        await host._ask(is_read=1, bar=BAR_REGISTERS, address=row.offset // 4, count=1)
        while not context.get(dut.answer.valid):
            await host.tick()
        context.set(dut.i.p, {"is_read": 0})
        for _ in range(4):
            await host.tick()
        assert context.get(dut.i.ready)
        await host.store(BAR_REGISTERS, row.offset, b"\5\6\7\x08")
        await host.store(BAR_WINDOW, 0, bytes(range(64)))
        context.set(dut.i.p, {"is_read": 1, "bar": BAR_REGISTERS, "address": row.offset // 4,
                              "count": 1})
        context.set(dut.i.valid, 1)
        for _ in range(20):
            await host.tick()
            assert not context.get(dut.i.ready)
            assert context.get(dut.answer.valid) and context.get(dut.answer.p) == 0x0403_0201
        context.set(dut.i.valid, 0)
        context.set(dut.answer.ready, 1)
        await host.tick()
        assert await host.load(BAR_REGISTERS, row.offset, 4) == b"\5\6\7\x08"
    run(script)


def test_a_vector_sends_its_message_once_and_waits_while_it_is_masked():
    async def script(host, dut, context):
        rows = [struct.pack("<QII", 0xFEE0_0000_0000 + 64 * vector, 0x4000 + vector, 0)
                for vector in range(INTERRUPT_VECTORS)]
        assert await host.load(BAR_INTERRUPTS, 12, 4) == b"\1\0\0\0"     # masked at first
        for vector, octets in enumerate(rows):
            await host.store(BAR_INTERRUPTS, 16 * vector, octets)
            assert await host.load(BAR_INTERRUPTS, 16 * vector, 16) == octets
        context.set(dut.mask, 0xFE)
        sent = []

        async def happen(mask, ready=1):
            context.set(dut.slow, mask)
            context.set(dut.burst.ready, ready)
            for _ in range(3 * INTERRUPT_VECTORS):
                if context.get(dut.burst.valid) and context.get(dut.burst.ready):
                    burst = context.get(dut.burst.p)
                    assert burst.is_word
                    sent.append((burst.address, burst.data & 0xFFFF_FFFF))
                await host.tick()
                context.set(dut.slow, 0)
            found = sorted(sent)
            sent.clear()
            return found

        def message(vector):
            return 0xFEE0_0000_0000 + 64 * vector, 0x4000 + vector

        assert await happen(0xFF) == []                    # the function is not enabled
        assert await host.load(BAR_INTERRUPTS, INTERRUPT_PENDING, 4) == b"\xfe\0\0\0"
        assert context.get(dut.cause) == 0xFF
        context.set(dut.is_enabled, 1)
        assert await happen(0) == [message(vector) for vector in range(1, 8)]
        assert await happen(0x06) == [message(1), message(2)]
        context.set(dut.is_masked, 1)
        assert await happen(0x06) == await happen(0x04) == []
        context.set(dut.is_masked, 0)
        assert await happen(0) == [message(1), message(2)]  # twice is once
        await host.store(BAR_INTERRUPTS, 16 * 3 + 12, b"\1\0\0\0")
        assert await happen(0x18) == [message(4)]
        await host.store(BAR_INTERRUPTS, 16 * 3 + 12, bytes(4))
        assert await happen(0) == [message(3)]
        context.set(dut.clear, 0x0F)
        await host.tick()
        context.set(dut.clear, 0)
        assert context.get(dut.cause) == 0xF0
        assert await happen(0x20, ready=0) == []            # held back by the bus: kept, not lost
        assert await happen(0) == [message(5)]
    run(script)
