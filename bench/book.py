"""Order book: nanoseconds a message, live, a datagram at a time, and with messages looked at ahead.

A day of the venue's engine: 5 M messages, 8,000 symbols, 400,000 live orders, in memory. Each
message is decoded, applied, and what it changes written as records into a ring of 4,096 and to
the state table; huge pages, all memory touched before. No digest, no tables on disk. A datagram
holds up to 1,400 octets of MoldUDP64, as the venue packs them, or fewer messages, as a quiet feed
has them; its messages are looked at ahead within it, and the arbiter's work is included: this is
what a live feed costs.
"""

import dataclasses
import time

import numpy as np

from bench.report import Report, measure
from tickwire.device.book_memory import BookMemory
from tickwire.device.feed_memory import FeedMemory
from tickwire.kernels.arbiter import datagram
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    copy,
    load64,
    load_be16,
    store8,
    store64,
    store_be16,
    store_be64,
)
from tickwire.kernels.replay import one_by_one, replay
from tickwire.spec import moldudp64
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import MARKET, Geometry
from tickwire_sim.traffic import generate

MESSAGES, SYMBOLS, LIVE, SEED = 5_000_000, 8_000, 400_000, 1
PADDING = bytes(64)                        # readable octets after the last message
RING_LOG2 = 12
SIZE = 8                                   # octets of a packet's size before it
LENGTH = 2
HEADER, SESSION = moldudp64.DOWNSTREAM_HEADER.size, 10
SEQUENCE_AT = moldudp64.DOWNSTREAM_HEADER.field("sequence_number")[1]
COUNT_AT = moldudp64.DOWNSTREAM_HEADER.field("message_count")[1]
DATAGRAM_SIZE = 1_400
FULL = 1 << 10                             # messages in a datagram, more than it can hold
OVERHEAD = SIZE + HEADER + 8               # octets of a packet besides its blocks, aligned
TOUCHED = ("orders", "levels", "sides", "bitmaps", "state", "records")


def day(messages: int = MESSAGES, symbols: int = SYMBOLS, live: int = LIVE) -> np.ndarray:
    """Return a generated day as the octets of a BinaryFILE, padded for the kernels."""
    octets = bytearray()
    generate(octets.extend, messages, symbols, live, SEED)
    return np.frombuffer(bytes(octets) + PADDING, np.uint8)


@kernel
def pack(source, end, target, most):
    """Pack framed messages, at most ``most`` in one, into MoldUDP64 packets behind their sizes.

    Returns (end, packets).
    """
    packets, sequence = 0, 1
    while source < end:
        place, messages = target + SIZE, 0
        size = HEADER
        while (source < end and messages < most
               and size + LENGTH + load_be16(source) <= DATAGRAM_SIZE):
            octets = LENGTH + load_be16(source)
            copy(place + size, source, octets)
            size, source, messages = size + octets, source + octets, messages + 1
        for offset in range(HEADER):
            store8(place + offset, ord("B") if offset < SESSION else 0)
        store_be64(place + SEQUENCE_AT, sequence)
        store_be16(place + COUNT_AT, messages)
        store64(target, size)
        target, sequence, packets = place + (size + 7 & -8), sequence + messages, packets + 1
    return target, packets


@kernel
def receive(arbiter, book, address, end):
    """Take every packet; returns the messages that were accepted."""
    taken = 0
    while address < end:
        size = load64(address)
        taken += datagram(arbiter, book, address + SIZE, size, 0, 1)
        address += SIZE + (size + 7 & -8)
    return taken


class Run:
    """Books of a day, fresh for each run; ``records`` and ``messages`` are those of the last."""

    def __init__(self, octets: np.ndarray, kernel, geometry: Geometry = MARKET) -> None:
        self.octets, self.kernel, self.geometry = octets, kernel, geometry
        self.records = self.messages = 0

    def __call__(self) -> float:
        """Return nanoseconds a message."""
        memory = BookMemory(self.geometry, ring_log2=RING_LOG2)
        for name in TOUCHED:
            memory.arena.view(name)[::4096] |= 0
        address = self.octets.ctypes.data
        end, sequence, room = address + len(self.octets) - len(PADDING), 1, 1 << RING_LOG2
        began = time.perf_counter_ns()
        while address < end:
            address, sequence = self.kernel(memory.address, address, end, sequence, room)
        took = time.perf_counter_ns() - began
        self.messages, self.records = sequence - 1, memory.records_written
        for counter in (CounterIndex.UNKNOWN_ORDER, CounterIndex.ORDER_OVERFLOW,
                        CounterIndex.LEVEL_OVERFLOW, CounterIndex.HIDDEN):
            assert memory.counter(counter) == 0, counter.name
        return took / self.messages


class Datagrams(Run):
    """The same day as it comes over the wire, on one line."""

    def __init__(self, octets: np.ndarray, most: int = FULL) -> None:
        """Pack it, at most ``most`` messages in a datagram."""
        super().__init__(octets, receive)
        self.packets = np.zeros(len(octets) * 9 // 8 + MESSAGES // most * OVERHEAD, np.uint8)
        first = octets.ctypes.data
        self.end, self.count = pack(first, first + len(octets) - len(PADDING),
                                    self.packets.ctypes.data, most)

    def __call__(self) -> float:
        memory = BookMemory(self.geometry, ring_log2=RING_LOG2)
        feed = FeedMemory(memory, both_lines=False)
        for name in TOUCHED:
            memory.arena.view(name)[::4096] |= 0
        began = time.perf_counter_ns()
        self.messages = receive(feed.arbiter, memory.address, self.packets.ctypes.data, self.end)
        took = time.perf_counter_ns() - began
        self.records = memory.records_written
        return took / self.messages


def main(report: Report) -> None:
    octets = day()
    live, ahead = Run(octets, one_by_one), Run(octets, replay)
    found = measure(live, ahead, report.repeats)
    share = live.records / live.messages
    report.compare("live, one message after the other", "ns/message", found, "64 ahead",
                   note=f"{live.messages:,} messages, {share:.2f} records each",
                   peer_note="the same records")
    report.add("records written, live", "M/s", [1e3 * share / figure for figure in found.first])
    report.add("records written, 64 ahead", "M/s",
               [1e3 * share / figure for figure in found.second])
    for most in (FULL, 4, 1):
        packets = Datagrams(octets, most)
        found = measure(packets, ahead, report.repeats)
        each = packets.messages / packets.count
        report.compare(f"live, a datagram of {each:.0f} at a time", "ns/message", found,
                       "64 ahead", note="arbiter included",
                       peer_note="in turns with the row above")
    deep = dataclasses.replace(MARKET, depth=5)
    live, ahead = Run(octets, one_by_one, deep), Run(octets, replay, deep)
    found = measure(live, ahead, report.repeats)
    report.compare("live, 5 levels a side reported", "ns/message", found, "64 ahead",
                   note=f"{live.records / live.messages:.2f} records a message")
