"""Load: a feed of a million messages a second for a minute on real sockets, nothing lost.

A process of its own sends a generated day on two multicast lines on loopback; here the software
device's loop receives both, arbitrates and builds every book. Afterwards every line of its state
table is compared with a replay of the same messages. The table says messages a second, what the
loop did beside (idle turns), and how many messages were lost or had to be asked for again.
"""

import multiprocessing
import os
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import Report
from tickwire.device.book_memory import BookMemory
from tickwire.device.software import SoftwareDevice
from tickwire.engine import Engine
from tickwire.feed import open_source
from tickwire.feed.udp import open_lines
from tickwire.kernels import replay as kernels
from tickwire.spec.geometry import Geometry
from tickwire.spec.records import STATE_LINE
from tickwire.spec.render import dtype
from tickwire_sim.exchange.config import VenueConfig, symbols
from tickwire_sim.traffic import LoadPublisher, generate

RATE = 1_000_000                           # messages a second
SECONDS = 60
SYMBOLS, LIVE, SEED = 1_000, 400_000, 3
TICK = 100
RECEIVE_BUFFER = 32 << 20
GEOMETRY = Geometry(instruments=1_024, orders_log2=18, order_stash=256, levels_log2=16,
                    level_stash=256)
_CHECKED = [name for name in dtype(STATE_LINE).names or () if name != "timestamp"]


def _send(path: Path, rate: int, seconds: float, ready: Event, go: Event, done: Event) -> None:
    """Body of the sending process."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[-1]})
    with LoadPublisher(path, VenueConfig()) as publisher:
        ready.set()
        go.wait()
        publisher.run(rate, 2 * seconds + 10)  # until every message is sent
        done.set()
        publisher.end(1.0)


def _expected(path: Path, names: dict[str, int]) -> np.ndarray:
    """State table after a replay of the same messages."""
    book = BookMemory(GEOMETRY, watch_symbols=names)
    sequence = 1
    with open_source(path) as source:
        for chunk in source:
            address, end = chunk.address, chunk.address + chunk.size
            while address < end:
                address, sequence = kernels.replay(book.address, address, end, sequence, 1 << 40)
    return book.arena.view("state", dtype(STATE_LINE))[:GEOMETRY.instruments].copy()


def load(path: Path, rate: int, seconds: float) -> dict[str, Any]:
    """Send the file to a device and return what happened."""
    names = {entry.name: TICK for entry in symbols(SYMBOLS, SEED)}
    context = multiprocessing.get_context("spawn")
    ready, go, done = (context.Event() for _ in range(3))
    sender = context.Process(target=_send, args=(path, rate, seconds, ready, go, done))
    sender.start()
    venue = VenueConfig()
    lines = open_lines((venue.line_a.group, venue.line_a.port),
                       (venue.line_b.group, venue.line_b.port), venue.interface, RECEIVE_BUFFER)
    try:
        with SoftwareDevice(f"load-{os.getpid()}", GEOMETRY, names) as device:
            device.attach_lines(*(line.fileno() for line in lines))
            engine = Engine(device, core=sorted(os.sched_getaffinity(0))[0])
            engine.start()
            ready.wait(300)
            begin = time.monotonic()
            go.set()
            done.wait(seconds * 4 + 60)
            elapsed = time.monotonic() - begin
            time.sleep(1.5)
            engine.stop()
            counters = device.counters()
            state = np.frombuffer(device.memory.view("state"), dtype(STATE_LINE))
            wanted = _expected(path, names)
            wrong = [name for name in _CHECKED
                     if not np.array_equal(state[name][:SYMBOLS], wanted[name][:SYMBOLS])]
        return {"messages": counters["messages"], "seconds": elapsed, "wrong": wrong,
                "lost": counters["messages_lost"], "gaps": counters["gaps"],
                "ahead": counters["messages_ahead"], "frames": counters["frames_a"],
                "drops": sum(max(line.drops(), 0) for line in lines),
                "idle": counters["loops_idle"] / max(counters["loops"], 1)}
    finally:
        sender.join(30)
        for line in lines:
            line.close()


def main(report: Report, rate: int = RATE, seconds: int = SECONDS) -> None:
    """Measure one run; it either loses nothing or says what it lost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.itch"
        with path.open("wb") as file:
            sent = generate(file.write, rate * seconds, SYMBOLS, LIVE, SEED)
        found = load(path, rate, seconds)
    report.add("messages received", "M/s", [found["messages"] / found["seconds"] / 1e6],
               note=f"{found['messages']:,.0f} of {sent:,} in {found['seconds']:.1f} s, "
                    f"{found['frames']:,.0f} datagrams on line A")
    report.add("lost", "messages", [sent - found["messages"]],
               note=f"gaps {found['gaps']:.0f}, ahead {found['ahead']:,.0f}, "
                    f"dropped by the kernel {found['drops']:.0f}")
    report.add("turns that found nothing", "%", [100 * found["idle"]])
    report.note(f"State table of {SYMBOLS:,} instruments against a replay of the same messages: "
                + (f"different in {', '.join(found['wrong'])}." if found["wrong"]
                   else "equal in every column but the time stamp."))
