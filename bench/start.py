"""Start: from the command to the first record that a strategy may act on.

``tickwire run --seconds 1`` in a process of its own, kernels compiled before: the summary's
``start_seconds`` counts from the command's first line to both processes trading, the whole adds
the interpreter, one second of trading and the end.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Report

TRADING = 1


def start(folder: Path) -> tuple[float, float]:
    """Run once; return (seconds to trading, seconds of the whole process less the trading)."""
    summary = folder / "summary.json"
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "tickwire.cli", "run", "--seconds", str(TRADING),
                    "--json", str(summary)], check=True, capture_output=True)
    whole = time.monotonic() - begin
    return float(json.loads(summary.read_text())["start_seconds"]), whole - TRADING


def main(report: Report) -> None:
    """Measure a warm start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start(folder)
        found = [start(folder) for _ in range(report.repeats)]
    report.add("command to trading", "s", [first for first, _ in found], note="compiled before")
    report.add("process, trading excluded", "s", [whole for _, whole in found],
               note="interpreter, start and end")
