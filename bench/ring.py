"""Record ring between two processes: one-way latency, throughput, and what a lapped reader sees.

Two processes share a file in memory, each pinned to a processor where there are two. Latency is
half of a round trip: a record goes over, the other side reads it whole with the previous-slot
check and answers in a second ring. Throughput is a writer that reads the reader's position every
now and then (credits each 64 records) and a reader that checks every word of every record. The
lapping run lets the writer go as fast as it can over a ring that is far too small for the reader:
a record that is accepted must be whole.
"""

import mmap
import multiprocessing
import os
import tempfile
from pathlib import Path

import numpy as np

from bench.report import Report
from tickwire.errors import TickwireError
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_MONOTONIC,
    load64,
    load64_acquire,
    nanoseconds,
    pause,
    store64,
    store64_release,
)
from tickwire.kernels.ring import RING, commit, poll, resume, slot, unchanged

ROUNDS = 100_000
RECORDS = 5_000_000
LAPPED = 20_000_000
SLOTS = 4_096
SMALL = 64
CREDIT = 64
PAGE = 4_096
_SIZE = PAGE * 4 + SLOTS * 64 * 2
_WORDS = 7
_TYPE = 1
_EPOCH = 1


@kernel(inline=True)
def write(ring, value):
    """Write one record whose seven words are ``value``."""
    target = slot(ring)
    for word in range(_WORDS):
        store64(target + 8 * word, value)
    commit(ring, _TYPE)


@kernel(inline=True)
def bad_words(base, mask, number, value):
    """How many of a record's words differ from ``value``."""
    source = base + ((number - 1) & mask) * 64
    bad = 0
    for word in range(_WORDS):
        bad += load64(source + 8 * word) != value
    return bad


@kernel
def ping(ring, base, mask, rounds, times):
    """Send a record, wait for the answer; writes the nanoseconds of each round trip."""
    for number in range(1, rounds + 1):
        start = nanoseconds(CLOCK_MONOTONIC)
        write(ring, number)
        while poll(base, mask, number, _EPOCH) != 1:
            pause()
        if bad_words(base, mask, number, number) or not unchanged(base, mask, number, _EPOCH):
            return number
        store64(times + 8 * (number - 1), nanoseconds(CLOCK_MONOTONIC) - start)
    return 0


@kernel
def pong(ring, base, mask, rounds):
    """Answer every record with one of the same value."""
    bad = 0
    for number in range(1, rounds + 1):
        while poll(base, mask, number, _EPOCH) != 1:
            pause()
        bad += bad_words(base, mask, number, number)
        write(ring, number)
    return bad


@kernel
def produce(ring, consumed, slots, records):
    """Write records, never more than ``slots`` ahead of the reader."""
    seen = 0
    for number in range(1, records + 1):
        while number - seen > slots:
            seen = load64_acquire(consumed)
        write(ring, number)
    return 0


@kernel
def consume(base, mask, consumed, records):
    """Read and check every record; returns (bad words, nanoseconds)."""
    bad = 0
    start = nanoseconds(CLOCK_MONOTONIC)
    for number in range(1, records + 1):
        while poll(base, mask, number, _EPOCH) != 1:
            pass
        bad += bad_words(base, mask, number, number)
        if number & (CREDIT - 1) == 0:
            store64_release(consumed, number)
    store64_release(consumed, records)
    return bad, nanoseconds(CLOCK_MONOTONIC) - start


@kernel
def race(ring, records):
    """Write records without looking at the reader."""
    for number in range(1, records + 1):
        write(ring, number)
    return 0


@kernel
def chase(base, mask, records):
    """Read behind a writer that laps; returns (accepted, torn among them, lost)."""
    accepted = 0
    torn = 0
    lost = 0
    number = 1
    while number <= records:
        state = poll(base, mask, number, _EPOCH)
        if state == 0:
            continue
        good = False
        bad = 0
        if state > 0:
            bad = bad_words(base, mask, number, number)
            good = unchanged(base, mask, number, _EPOCH)
        if good:
            accepted += 1
            torn += bad != 0
            number += 1
        else:
            later = max(resume(base, mask, number, _EPOCH), number + 1)
            lost += later - number
            number = later
    return accepted, torn, lost


class Shared:
    """Two rings and two positions in a file that both processes map."""

    def __init__(self, path: Path, slots: int) -> None:
        """Map the file; ``slots`` is a power of two."""
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), _SIZE)
        self.octets = np.frombuffer(self.map, np.uint8)
        address = int(self.octets.ctypes.data)
        self.mask = slots - 1
        self.consumed = address
        self.bases = (address + 4 * PAGE, address + 4 * PAGE + SLOTS * 64)
        self._counters = np.zeros(8, np.int64)
        self._rings = np.zeros(2, RING)
        for index, base in enumerate(self.bases):
            row = self._rings[index]
            row["base"], row["mask"], row["epoch"] = base, self.mask, _EPOCH
            row["counters"] = self._counters.ctypes.data
        self.rings = tuple(int(self._rings.ctypes.data) + RING.itemsize * i for i in range(2))


def pin(processor: int) -> None:
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, {processors[processor % len(processors)]})


def _other_side(path: Path, slots: int, work: str, ready: object) -> None:
    """Body of the second process."""
    pin(1)
    shared = Shared(path, slots)
    first, second = shared.rings
    pong(second, shared.bases[0], shared.mask, 0)
    produce(first, shared.consumed, slots, 0)
    race(first, 0)
    ready.set()                                # type: ignore[attr-defined]
    if work == "pong":
        pong(second, shared.bases[0], shared.mask, ROUNDS)
    elif work == "produce":
        produce(first, shared.consumed, slots, RECORDS)
    else:
        race(first, LAPPED)


def _run(work: str, slots: int) -> tuple[int, ...] | np.ndarray:
    """Run one experiment in two fresh processes' worth of memory."""
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.truncate(_SIZE)
        path = Path(file.name)
        shared = Shared(path, slots)
        times = np.zeros(ROUNDS, np.int64)
        ping(shared.rings[0], shared.bases[1], shared.mask, 0, times.ctypes.data)
        consume(shared.bases[0], shared.mask, shared.consumed, 0)
        chase(shared.bases[0], shared.mask, 0)
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        other = context.Process(target=_other_side, args=(path, slots, work, ready))
        other.start()
        ready.wait(60)
        before = os.sched_getaffinity(0)
        pin(0)
        result: tuple[int, ...] | np.ndarray
        if work == "pong":
            ping(shared.rings[0], shared.bases[1], shared.mask, ROUNDS, times.ctypes.data)
            result = times
        elif work == "produce":
            result = consume(shared.bases[0], shared.mask, shared.consumed, RECORDS)
        else:
            result = chase(shared.bases[0], shared.mask, LAPPED)
        other.join(60)
        os.sched_setaffinity(0, before)
        return result


def main(report: Report) -> None:
    """Measure latency, throughput and the lapped reader."""
    if len(os.sched_getaffinity(0)) < 2:
        raise TickwireError("Two processes poll a ring here: this needs two cores, and one is "
                            "allowed.")
    halves, tails, rates = [], [], []
    for _ in range(report.repeats):
        times = np.asarray(_run("pong", SLOTS))[ROUNDS // 10:] / 2
        halves.append(float(np.median(times)))
        tails.append(float(np.percentile(times, 99)))
        bad, elapsed = _run("produce", SLOTS)
        if bad:
            raise AssertionError(f"{bad} words of {RECORDS} records were wrong")
        rates.append(RECORDS / elapsed * 1e3)
    report.add("record one way, p50", "ns", halves, note="half a round trip, two processes")
    report.add("record one way, p99", "ns", tails, note="half a round trip, two processes")
    report.add("records", "M/s", rates, note=f"every word checked, credits each {CREDIT}")
    accepted, torn, lost = _run("race", SMALL)
    if torn or accepted + lost < LAPPED:
        raise AssertionError(f"{torn} torn, {LAPPED - accepted - lost} lost unnoticed")
    report.note(f"Lapped on purpose: {LAPPED:,} records over {SMALL} slots, {accepted:,} read, "
                f"{lost:,} reported lost, {torn} torn.")
