"""Intent path: a store to the window until its verdict is read back, and intents a second.

The software device runs in a process of its own, pinned to a processor where there are two, and so
does the host, which maps its memory. An intent is a new order that the gate refuses, so nothing
but window, gate and rings is measured, and no socket: the host seals it in its slot, and has the
RISK_REJECT record whole with the previous-slot check. The rate keeps the window full.

The card is its gateware, compiled: cycles from the request that stores the whole slot to the
burst that writes the record, at the core's ports. What a bus adds is in docs/pcie.md.
"""

import mmap
import multiprocessing
import os
import threading
from typing import Any

import numpy as np

from bench.far import LOCATE, PRICE, QUANTITY_MAX, SYMBOL, Pairs, begin, make_ready
from bench.report import Report
from bench.ring import pin
from tickwire.device.card_network import CardNetwork, CardSession
from tickwire.device.shared import attach
from tickwire.device.software import SoftwareDevice
from tickwire.kernels.intent_window import seal
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_MONOTONIC,
    load64_acquire,
    nanoseconds,
    pause,
    store32,
    store64,
    store64_release,
)
from tickwire.kernels.ring import poll, unchanged
from tickwire.orders.template import template
from tickwire.spec.geometry import CARD_SMALL, DEMO
from tickwire.spec.intents import INTENT, WINDOW_SLOTS, Operation
from tickwire.spec.records import RECORD_SIZE, RISK_REJECT, TRAILER_OFFSET, RecordType
from tickwire.spec.registers import BAR_WINDOW, REGISTER_SPACE, RegisterOffset
from tickwire.spec.render import dtype
from tickwire_hw.clock import LINE_HZ
from tickwire_sim.verilated import VerilatedDevice, VerilatedSlot

ROUNDS = 50_000
INTENTS = 1_000_000
CREDIT = 64                                # records that are read between two credits
_WAIT_SECONDS = 120
_IDENTITY = INTENT.field("intent_id")[1]
_TOLD = RISK_REJECT.field("intent_id")[1]
_SLOTS = WINDOW_SLOTS - 1
_REJECT = RecordType.RISK_REJECT.value
_CYCLES = 1 << 13
_ENDS = ("10.0.0.1", 40_001), ("10.0.0.2", 40_002)
_ADDRESSES = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def order() -> np.ndarray:
    """Octets of a new order that is refused, not sealed."""
    row = np.zeros(1, dtype(INTENT))
    row["operation"], row["locate"], row["price"] = Operation.NEW, LOCATE, PRICE
    row["quantity"] = 2 * QUANTITY_MAX         # more than the limits permit
    return row.view(np.uint8)


@kernel(inline=True)
def put(window, epoch, number):
    """Seal intent ``number`` in its slot, whose other fields stay."""
    intent = window + ((number - 1) & _SLOTS) * 64
    store32(intent + _IDENTITY, number)
    seal(intent, epoch, number)


@kernel(inline=True)
def told(base, mask, ring_epoch, record, number):
    """Whether ``record`` is whole and refuses intent ``number``."""
    at = base + ((record - 1) & mask) * 64
    is_it = (load64_acquire(at + _TOLD) & 0xFFFFFFFF == number
             and load64_acquire(at + TRAILER_OFFSET) >> 32 & 0xFF == _REJECT)
    return is_it and unchanged(base, mask, record, ring_epoch)


@kernel
def one_by_one(window, base, mask, consumed, epoch, ring_epoch, before, rounds, times):
    """Store an intent, wait for its verdict; returns the number of the first that went wrong.

    Here and below ``before`` records are in the ring already.
    """
    for number in range(1, rounds + 1):
        start = nanoseconds(CLOCK_MONOTONIC)
        put(window, epoch, number)
        while poll(base, mask, number + before, ring_epoch) != 1:
            pause()
        if not told(base, mask, ring_epoch, number + before, number):
            return number
        store64(times + 8 * (number - 1), nanoseconds(CLOCK_MONOTONIC) - start)
        store64_release(consumed, number + before)
    return 0


@kernel
def all_at_once(window, base, mask, consumed, epoch, ring_epoch, before, first, count):
    """Keep the window full; returns (intents that went wrong, ns)."""
    sent = first - 1
    wrong = 0
    start = nanoseconds(CLOCK_MONOTONIC)
    for number in range(first, first + count):
        # A slot is the host's again when the record of its last intent is there.
        while sent < first + count - 1 and sent - number + 1 < WINDOW_SLOTS:
            sent += 1
            put(window, epoch, sent)
        while poll(base, mask, number + before, ring_epoch) != 1:
            pass
        wrong += not told(base, mask, ring_epoch, number + before, number)
        if number & (CREDIT - 1) == 0:
            store64_release(consumed, number + before)
    store64_release(consumed, first + count - 1 + before)
    return wrong, nanoseconds(CLOCK_MONOTONIC) - start


def _device(name: str, ready: Any, done: Any) -> None:
    """Body of the device's process."""
    pin(1)
    pairs = Pairs()
    with SoftwareDevice(name, DEMO, {SYMBOL: 100}, busy=True) as device:
        begin(device, pairs)
        device.work()
        device.is_driven = True
        thread = threading.Thread(target=device.run)
        thread.start()
        make_ready(device)
        ready.set()
        done.wait(_WAIT_SECONDS)
        device.write_register("CONTROL", 0)
        thread.join()
    pairs.close()


class Host:
    """The memory of a device in another process, for writing."""

    def __init__(self, name: str) -> None:
        self._memory = attach(name)
        descriptor = os.open(self._memory.path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            self._map = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        self._octets = np.frombuffer(self._map, np.uint8)
        place = {region: int(self._memory.header[f"at_{region}"]) for region in (
            "registers", "window", "order_ring")}
        start = int(self._octets.ctypes.data)
        words = self._octets[place["registers"]:place["registers"] + REGISTER_SPACE].view("<u4")
        self.arguments = (
            start + place["window"], start + place["order_ring"],
            (1 << int(self._memory.header["order_log2"])) - 1,
            start + place["registers"] + RegisterOffset.RING_ORDER_CONSUMED,
            *(int(words[at // 4]) for at in (RegisterOffset.EPOCH, RegisterOffset.RING_EPOCH,
                                              RegisterOffset.RING_ORDER_SEQUENCE)))
        body = order()[:INTENT.field("crc")[1]]
        slots = self._octets[place["window"]:place["window"] + INTENT.size * WINDOW_SLOTS]
        slots.reshape(WINDOW_SLOTS, INTENT.size)[:, :len(body)] = body

    def close(self) -> None:
        self._memory.close()


def software() -> tuple[np.ndarray, float]:
    """Nanoseconds of each round trip, and millions of intents a second."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    name = f"intents-{os.getpid()}"
    other = context.Process(target=_device, args=(name, ready, done))
    other.start()
    before = os.sched_getaffinity(0)
    try:
        if not ready.wait(_WAIT_SECONDS):
            raise RuntimeError("the device's process did not come up")
        host = Host(name)
        pin(0)
        times = np.zeros(ROUNDS, np.int64)
        wrong = one_by_one(*host.arguments, ROUNDS, times.ctypes.data)
        if wrong:
            raise AssertionError(f"intent {wrong} had another answer than a refusal")
        wrong, elapsed = all_at_once(*host.arguments, ROUNDS + 1, INTENTS)
        if wrong:
            raise AssertionError(f"{wrong} of {INTENTS} intents had another answer than a refusal")
        host.close()
    finally:
        os.sched_setaffinity(0, before)
        done.set()
        other.join(_WAIT_SECONDS)
    return times[ROUNDS // 10:], INTENTS / elapsed * 1e3


def card() -> tuple[int, float]:
    """Cycles from a whole slot stored to its record's burst, and cycles an intent of many."""
    slot = VerilatedSlot("intents", CARD_SMALL)
    network = CardNetwork(sessions=(CardSession(template=template(*_ENDS, *_ADDRESSES)),))
    with VerilatedDevice(slot, market_log2=8, order_log2=8, network=network) as device:
        device.stage_limits().permit({"intent_errors_max": 0}, quantity_max=QUANTITY_MAX)
        device.commit_limits()
        epoch = device.read_register("EPOCH")
        slot.settle()
        return _bursts(slot, epoch, 1, 1)[0], _bursts(slot, epoch, 2, 40)[-1] / 40


def _bursts(slot: VerilatedSlot, epoch: int, first: int, count: int) -> list[int]:
    """Cycle of the burst of each record, from the store of the first intent on; one a cycle."""
    rows = slot.rows(_CYCLES)
    stores = rows[:count]
    stores["request__valid"] = 1
    octets = np.zeros((count, INTENT.size), np.uint8)
    for place, row in enumerate(octets):
        row[:] = order()
        seal(row.ctypes.data, epoch, first + place)
    words = INTENT.size // 4
    slot.model.put(stores, "request__payload", bar=BAR_WINDOW, count=words,
                   address=(np.arange(first, first + count) - 1) % WINDOW_SLOTS * words,
                   data=octets.view("<u8"), enables=(1 << INTENT.size) - 1)
    outputs = slot.model.run(rows)
    found = np.flatnonzero(outputs["burst__valid"])
    lines = np.ascontiguousarray(slot.model.get(outputs[found], "burst__payload", "data"))
    kinds = lines.view(np.uint8).reshape(-1, RECORD_SIZE)[:, TRAILER_OFFSET + 4]
    if len(found) != count or (kinds != _REJECT).any():
        raise AssertionError(f"{count} intents made records of types {list(kinds)}")
    return [int(cycle) for cycle in found]


def main(report: Report) -> None:
    """Measure the software device, then count the card's cycles."""
    halves, tails, rates = [], [], []
    software()                                 # compiles the kernels
    for _ in range(report.repeats):
        times, rate = software()
        halves.append(float(np.median(times)))
        tails.append(float(np.percentile(times, 99)))
        rates.append(rate)
    note = "sealed to refusal read, two processes"
    report.add("software device, intent to verdict, p50", "ns", halves, note=note)
    report.add("software device, intent to verdict, p99", "ns", tails, note=note)
    report.add("software device, intents", "M/s", rates,
               note=f"window full, every record checked, credits each {CREDIT}")
    cycles, each = card()
    boundary = "slot stored at the core's port to the record's burst there"
    report.add("card, intent to verdict", "cycles", [cycles], note=boundary)
    report.add("card, intent to verdict", "ns", [cycles * 1e9 / LINE_HZ],
               note=f"the same at {LINE_HZ / 1e6:g} MHz; no bus")
    report.add("card, intents", "M/s", [LINE_HZ / each / 1e6],
               note=f"{each:g} cycles each, window full, at {LINE_HZ / 1e6:g} MHz")
    if len(os.sched_getaffinity(0)) < 2:
        report.note("One processor only: host and software device took turns, which took the time.")
    report.note("PCIeDevice: no card was here. The trip over a bus is a model in docs/pcie.md.")
