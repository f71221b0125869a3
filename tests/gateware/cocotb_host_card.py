"""Coroutines for the host's side of a card behind a block of PCIe and a root complex.

What is expected are the host's own stores, the kernels' rings, and PCIe's rules; see
``pcie_slot`` for the bench.
"""

import itertools
import struct

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from tests.gateware.pcie_slot import (
    LOG2,
    ORDER_EPOCH,
    PAYLOAD_MAX,
    RING_SIZE,
    ROWS,
    Slot,
)
from tests.order_rig import sealed
from tests.ring_rig import written
from tickwire.spec.counters import CounterIndex
from tickwire.spec.digest import digest
from tickwire.spec.geometry import CARD_SMALL, Geometry
from tickwire.spec.intents import WINDOW_SLOTS
from tickwire.spec.registers import (
    ABI_MAJOR,
    BAR_INTERRUPTS,
    BAR_REGISTERS,
    BAR_WINDOW,
    COUNTER_OFFSET,
    INTERRUPT_PENDING,
    INTERRUPT_VECTORS,
    MAGIC,
    Interrupt,
    RegisterOffset,
    RingControl,
    Status,
)
from tickwire_hw.host_interface import OTHERS
from tickwire_hw.registers import EVENTS_LAYOUT

RINGS = ("RING_MARKET", "RING_ORDER", "RING_CAPTURE")


@cocotb.test()
async def the_card_is_found_and_says_who_it_is(dut):
    slot = await Slot(dut).start()
    assert [slot.device.bar_size[bar] for bar in (0, 2, 4)] == [1 << 16, 1 << 12, 1 << 16]
    assert await slot.read("MAGIC") == MAGIC
    assert await slot.read("ABI") >> 16 == ABI_MAJOR
    assert await slot.read("DIGEST") == digest()
    found = Geometry.of(await slot.read("GEOMETRY_BOOK"), await slot.read("GEOMETRY_QUEUES"))
    assert found == (CARD_SMALL, 12)
    await slot.write("ECHO", 0x1234_5678)
    assert await slot.read("ECHO") == 0x1234_5678 ^ 0xFFFF_FFFF


@cocotb.test()
async def a_bar_is_stored_to_and_read_at_every_width_and_place(dut):
    slot = await Slot(dut).start()
    slot.disturb()
    table, size = slot.bars[BAR_INTERRUPTS], 16 * INTERRUPT_VECTORS
    shadow = bytearray(await table.read(0, 64) + await table.read(64, 64))
    assert shadow == (bytes(12) + b"\1\0\0\0") * INTERRUPT_VECTORS
    widths = (1, 2, 3, 4, 5, 7, 8, 16, 31, 61, 64)
    for width, place in itertools.product(widths, (0, 1, 2, 3, 60, size)):
        at = min(place, size - width)
        octets = slot.chance.randbytes(width)
        await table.write(at, octets)
        shadow[at:at + width] = octets
        at = min(at - at % 4 if at % 4 + width > 64 else at, size - width)
        assert await table.read(at, width) == shadow[at:at + width], (at, width)
    assert await table.read(0, 64) + await table.read(64, 64) == shadow
    assert await table.read(0, 0) == b""               # one word, as PCIe wants it of a flush


@cocotb.test()
async def registers_of_eight_octets_take_effect_whole_and_what_is_not_there_reads_as_zero(dut):
    slot = await Slot(dut).start()
    bar, start = slot.bars[BAR_REGISTERS], RegisterOffset.RING_MARKET_BASE
    values = {"RING_MARKET_BASE": 0x0123_4567_89AB_CDEF, "RING_MARKET_LOG2": 0x1F,
              "RING_ORDER_BASE": 0xFEDC_BA98_7654_3210}
    whole = bytearray(0x80)
    for name, value in values.items():
        await slot.write(name, value)
        at, size = ROWS[name].offset - start, ROWS[name].size
        whole[at:at + size] = value.to_bytes(size, "little")
    for at in (0, 0x20, 0x40):                         # registers, gaps between, in one load
        assert await bar.read(start + at, 64) == whole[at:at + 64]
    # Stored as two halves: nothing changes before the high one.
    await bar.write(RegisterOffset.RING_ORDER_BASE, bytes(4))
    assert await slot.read("RING_ORDER_BASE") == values["RING_ORDER_BASE"]
    await bar.write(RegisterOffset.RING_ORDER_BASE, bytes(4))
    await bar.write(RegisterOffset.RING_ORDER_BASE + 4, b"\1\0\0\0")
    assert await slot.read("RING_ORDER_BASE") == 1 << 32
    assert await bar.read(0xF000, 8) == bytes(8)
    assert await slot.bars[BAR_WINDOW].read(0, 64) == bytes(64)
    await bar.write(RegisterOffset.MAGIC, bytes(16))   # of registers that are read only
    assert await slot.read("MAGIC") == MAGIC
    # Longer than any load of a processor: aborted, and the next one is answered.
    try:
        await bar.read(0, 68)
    except Exception as error:
        assert "Unsuccessful completion" in str(error)
    else:
        raise AssertionError("17 words were answered")
    assert await slot.read("MAGIC") == MAGIC


@cocotb.test()
async def records_are_in_memory_octet_for_octet_over_laps(dut):
    slot = await Slot(dut).start()
    slot.disturb(0.2)
    await slot.write("CONTROL", 1)
    epoch = await slot.read("RING_EPOCH")
    *rings, table = await slot.enable(*RINGS, "STATE")
    market, order, capture = [], [], []
    lines = {}
    for number in range(2 * (1 << LOG2) + 10):
        market.append(slot.record())
        line = None
        if number % 3:
            line = number % 4, slot.line(number + 1)
            lines[line[0]] = line[1]
        if number % 10 == 0:
            capture.append(slot.record())
        await slot.put(market[-1], line, capture[-1] if number % 10 == 0 else None)
        if number < 70:
            if number == 64:
                await slot.write("RING_ORDER_CONSUMED", 40)
            order.append(slot.record())
            await slot.order(order[-1])
        await ClockCycles(dut.clk, 8)
    while await slot.read("RING_CAPTURE_SEQUENCE") < len(capture):
        await slot.settle()                            # narrow streams take long
    for ring, name, sent in zip(rings, RINGS, (market, order, capture), strict=True):
        assert bytes(ring[0:RING_SIZE]) == written(sent, LOG2, epoch), name
        assert await slot.read(f"{name}_SEQUENCE") == len(sent)
    for instrument, octets in lines.items():
        assert bytes(table[64 * instrument:64 * instrument + 64]) == octets
    cocotb.start_soon(slot.show_counters())
    await slot.write("COUNTERS_TAKE", 1)
    place = CounterIndex.RECORDS
    shown = await slot.bars[BAR_REGISTERS].read(COUNTER_OFFSET + 8 * place, 16)
    assert shown == struct.pack("<QQ", place << 32 | place, place + 1 << 32 | place + 1)


@cocotb.test()
async def what_was_written_before_an_answer_is_in_memory_when_it_comes(dut):
    slot = await Slot(dut).start()
    slot.delay_writes(12)
    ring, = await slot.enable("RING_MARKET")
    await slot.write("CONTROL", 1)
    epoch = await slot.read("RING_EPOCH")
    records = [slot.record() for _ in range(40)]
    for record in records:
        await slot.put(record)
    await slot.write("RING_MARKET_CONTROL", 0)
    while await slot.read("RING_MARKET_CONTROL"):
        pass
    found = bytes(ring[0:RING_SIZE])
    count = await slot.read("RING_MARKET_SEQUENCE")    # some of them found no ring any more
    assert 2 < count <= len(records)
    assert found == written(records[:count], LOG2, epoch)
    # The bus is taken from the card, so nothing is written and nothing reported: it answers.
    await slot.write("RING_MARKET_CONTROL", RingControl.ENABLE)
    await slot.device.clear_master()
    await slot.flush()
    for record in records[:5]:
        await slot.put(record)
    await slot.settle(40)
    assert await slot.read("RING_MARKET_SEQUENCE") == 5
    assert await slot.read("MAGIC") == MAGIC


def intents(slot, first, count):
    """``count`` intents from number ``first`` on, sealed."""
    return [sealed(slot.chance.randbytes(52) + bytes(12), ORDER_EPOCH, number)
            for number in range(first, first + count)]


@cocotb.test()
async def stores_cut_and_shuffled_give_every_intent_once_and_in_order(dut):
    slot = await Slot(dut).start()
    slot.disturb()
    bar, sent = slot.bars[BAR_WINDOW], []
    while len(sent) < 2 * WINDOW_SLOTS:
        count, parts = slot.chance.randrange(1, 9), []
        for number, octets in enumerate(intents(slot, len(sent) + 1, count), len(sent)):
            cuts = sorted({0, 64, *(4 * slot.chance.randrange(16)
                                    for _ in range(slot.chance.choice((0, 0, 1, 3, 8))))})
            parts += [(64 * (number % WINDOW_SLOTS) + first, octets[first:last])
                      for first, last in itertools.pairwise(cuts)]
            sent.append(octets)
        slot.chance.shuffle(parts)                     # of several slots among each other
        for at, octets in parts:
            await bar.write(at, octets)
        while len(slot.intents) < len(sent) - 16:
            await RisingEdge(dut.clk)
    await slot.flush()
    await slot.settle()
    assert slot.intents == [(0, octets) for octets in sent]


@cocotb.test()
async def a_whole_window_is_stored_at_once_with_every_maximal_payload(dut):
    slot = await Slot(dut).start()
    longest, receive = [0], slot.model.upstream_recv

    async def heard(tlp):
        longest[0] = max(longest[0], 4 * tlp.length)
        await receive(tlp)
    slot.model.upstream_port.rx_handler = heard
    for code, payload in enumerate((128, 256, 512, PAYLOAD_MAX)):
        await slot.device.set_mps(code)
        slot.rc.max_payload_size = code
        slot.intents.clear()
        longest[0] = 0
        sent = intents(slot, code * WINDOW_SLOTS + 1, WINDOW_SLOTS)
        await slot.bars[BAR_WINDOW].write(0, b"".join(sent))
        while len(slot.intents) < WINDOW_SLOTS:
            await RisingEdge(dut.clk)
        assert slot.intents == [(0, octets) for octets in sent]
        assert longest[0] == payload


@cocotb.test()
async def slow_events_interrupt_once_and_not_while_they_are_masked(dut):
    slot = await Slot(dut).start()
    assert await slot.device.alloc_irq_vectors(1, INTERRUPT_VECTORS) == INTERRUPT_VECTORS
    counts = [0] * INTERRUPT_VECTORS

    def handler(vector):
        async def handle():
            counts[vector] += 1
        return handle
    for vector in range(INTERRUPT_VECTORS):
        slot.device.request_irq(vector, handler(vector))
    await slot.happen(Interrupt.KILL)
    assert not any(counts)                             # INTERRUPT_MASK permits none yet
    await slot.write("INTERRUPT_MASK", Interrupt.KILL | Interrupt.FEED)
    await slot.happen(Interrupt.KILL | Interrupt.FEED)
    assert counts == [1, 0, 0, 0, 1, 0, 0, 0]
    assert await slot.read("INTERRUPT_CAUSE") == Interrupt.KILL | Interrupt.FEED
    await slot.write("INTERRUPT_CAUSE", Interrupt.KILL)
    assert await slot.read("INTERRUPT_CAUSE") == Interrupt.FEED
    table = slot.bars[BAR_INTERRUPTS]
    await table.write(12, b"\1\0\0\0")                 # vector 0 masked
    await slot.happen(Interrupt.KILL)
    assert counts[0] == 1 and await table.read(INTERRUPT_PENDING, 4) == b"\1\0\0\0"
    await table.write(12, bytes(4))
    await slot.settle(100)
    assert counts[0] == 2 and await table.read(INTERRUPT_PENDING, 4) == bytes(4)
    await slot.write("INTERRUPT_MASK", Interrupt.RING_ERROR)
    await slot.place("RING_MARKET", 0x40)
    assert await slot.read("RING_MARKET_CONTROL") == RingControl.REFUSED
    assert Status.RING_ERROR in Status(await slot.read("STATUS"))
    assert counts == [2, 0, 1, 0, 1, 0, 0, 0]          # behind the answer, as PCIe orders it


@cocotb.test()
async def stores_for_the_rest_of_the_card_come_once_and_what_it_shows_is_read(dut):
    slot, stored = await Slot(dut).start(), []

    async def watch():
        while True:
            await FallingEdge(slot.clock)
            events = EVENTS_LAYOUT.from_bits(int(dut.events.value))
            stored.extend((name, events[name].value) for name in ("table_data", "limits_commit")
                          if events[name].is_written)
    cocotb.start_soon(watch())
    words = [slot.chance.getrandbits(64) for _ in range(8)]
    for word in words:
        await slot.write("TABLE_DATA", word)
    await slot.write("LIMITS_COMMIT", 1 << 32 | 2)
    await slot.flush()
    assert stored == [*(("table_data", word) for word in words), ("limits_commit", 1 << 32 | 2)]
    dut.others.value = 2 << OTHERS["limits_version"].offset
    assert await slot.read("LIMITS_VERSION") == 2


@cocotb.test()
async def a_lost_link_ends_a_burst_anywhere_and_the_card_begins_anew(dut):
    slot = await Slot(dut).start()
    ring, = await slot.enable("RING_MARKET")
    await slot.write("CONTROL", 1)
    await slot.flush()
    address = ring.get_absolute_address(0)
    for beat in range(6):
        # Half an intent in the window, and another beat of a packet each time.
        await slot.bars[BAR_WINDOW].write(0, intents(slot, 1, 1)[0][:4 * beat])
        await slot.flush()
        for _ in range(8):
            await slot.put(slot.record())
        await ClockCycles(dut.clk, beat)
        await slot.reset()
        await slot.settle(60)
        assert not int(slot.written.value)
        assert await slot.read("RING_MARKET_CONTROL") == 0
        assert await slot.read("MAGIC") == MAGIC
        ring[0:RING_SIZE] = bytes(RING_SIZE)
        await slot.write("CONTROL", 1)
        await slot.place("RING_MARKET", address)
        epoch = await slot.read("RING_EPOCH")
        records = [slot.record() for _ in range(3)]
        for record in records:
            await slot.put(record)
        await slot.settle(60)                          # a record's trailer counts intents
        intent, = intents(slot, 1, 1)
        slot.intents.clear()
        await slot.bars[BAR_WINDOW].write(0, intent)
        await slot.settle(60)
        await slot.flush()
        assert bytes(ring[0:RING_SIZE]) == written(records, LOG2, epoch)
        assert slot.intents == [(0, intent)]
