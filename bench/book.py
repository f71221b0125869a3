"""Order book: nanoseconds a message, live and with messages looked at ahead.

A day of the venue's engine: 5 M messages, 8,000 symbols, 400,000 live orders, in memory. Each
message is decoded, applied, and what it changes written as records into a ring of 4,096 and to
the state table; huge pages, all memory touched before. No digest, no tables on disk.
"""

import dataclasses
import time

import numpy as np

from bench.report import Report, measure
from tickwire.device.book_memory import BookMemory
from tickwire.kernels.replay import one_by_one, replay
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import MARKET, Geometry
from tickwire_sim.traffic import generate

MESSAGES, SYMBOLS, LIVE, SEED = 5_000_000, 8_000, 400_000, 1
PADDING = bytes(64)                        # readable octets after the last message
RING_LOG2 = 12
TOUCHED = ("orders", "levels", "headers", "sides", "bitmaps", "state", "records", "depths")


def day(messages: int = MESSAGES, symbols: int = SYMBOLS, live: int = LIVE) -> np.ndarray:
    """Return a generated day as the octets of a BinaryFILE, padded for the kernels."""
    octets = bytearray()
    generate(octets.extend, messages, symbols, live, SEED)
    return np.frombuffer(bytes(octets) + PADDING, np.uint8)


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
    deep = dataclasses.replace(MARKET, depth=5)
    live, ahead = Run(octets, one_by_one, deep), Run(octets, replay, deep)
    found = measure(live, ahead, report.repeats)
    report.compare("live, 5 levels a side reported", "ns/message", found, "64 ahead",
                   note=f"{live.records / live.messages:.2f} records a message")
