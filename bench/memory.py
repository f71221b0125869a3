"""Memory of a whole market day: resident octets of ``tickwire replay``, and what it grows with.

A generated day with 1.6 M live orders in a file; the command runs in a process of its own, on a
quarter of the file and on all of it, without and with a BBO table. The greatest resident size is
the kernel's own count (VmHWM).
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.report import Report
from tickwire_sim.traffic import generate

MESSAGES, SYMBOLS, LIVE, SEED = 24_000_000, 8_000, 1_600_000, 1
_COMMAND = """
import sys
from pathlib import Path
from tickwire.commands.replay import replay
file, summary, table = sys.argv[1:4]
replay(Path(file), json=Path(summary), bbo=Path(table) if table else None, progress=False)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) / (1 << 20), file=sys.stderr)
"""


def resident(path: Path, folder: Path, table: str = "") -> tuple[float, dict]:
    """Replay a file in a process of its own; return its greatest size in GiB and its summary."""
    summary = folder / "summary.json"
    found = subprocess.run(
        [sys.executable, "-c", _COMMAND, str(path), str(summary), table and str(folder / table)],
        capture_output=True, text=True, check=True, env=dict(os.environ))
    return float(found.stderr.split()[-1]), json.loads(summary.read_text())


def main(report: Report) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, part = folder / "day.itch", folder / "part.itch"
        with whole.open("wb") as file, part.open("wb") as first:
            def write(octets: memoryview) -> None:
                file.write(octets)
                # Up to the quarter, in whole buffers of whole messages.
                if file.tell() < MESSAGES * 31 // 4:
                    first.write(octets)
            generate(write, MESSAGES, SYMBOLS, LIVE, SEED)
        for title, path, table in (("a quarter of the day", part, ""), ("the day", whole, ""),
                                   ("the day, with a BBO table", whole, "bbo.parquet")):
            size, summary = resident(path, folder, table)
            report.add(f"replay of {title}", "GiB", [size],
                       note=f"{summary['messages']:,} messages, {summary['live_orders']:,} live "
                            f"orders, {summary['messages'] / summary['seconds'] / 1e6:.2f} M/s, "
                            f"{summary['ns_per_message']:.0f} ns in the book")
            for warning in summary["warnings"]:
                report.note(warning)
