"""FIX store: messages a second with each durability mode.

One message of 180 octets and one received number a round, as a session that answers every message
has it, into a file on the disk beneath the temporary folder; figures are rounds a second, so twice
as many records. Batches of 20 ms; the time of a round is the clock's.
"""

import tempfile
import time
from pathlib import Path

from bench.report import Report, measure
from tickwire.orders.fix.journal import DURABILITIES
from tickwire.orders.fix.store import FileStore

MESSAGE = b"8=FIX.4.4\x019=158\x0135=D\x01" + b"x" * 156
ROUNDS = {"none": 200_000, "batch": 200_000, "each": 300}


def rate(durability: str) -> float:
    """Return rounds a second in one fresh file."""
    with tempfile.TemporaryDirectory() as folder:
        store = FileStore(Path(folder) / "store", "bench", 1, durability)
        rounds = ROUNDS[durability]
        start = time.perf_counter()
        for number in range(2, rounds + 2):
            now = time.time_ns()
            store.put(MESSAGE, now)
            store.received(number, now)
        elapsed = time.perf_counter() - start
        store.close()
        return rounds / elapsed


def main(report: Report) -> None:
    """Measure the three modes."""
    for durability in DURABILITIES:
        found = measure(lambda mode=durability: rate(mode), repeats=report.repeats, warm_up=0)
        report.add(f"messages stored, {durability}", "messages/s", found.first,
                   note="message and received number, 180 octets")
