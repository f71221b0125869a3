"""What every bench shares: interleaved repeats, the machine, and one table of results.

Figures on a shared machine drift by more than what is being compared. So two contenders run in
turns, first one ahead and then the other, and their ratio is taken pair by pair.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
REPEATS = 5
PACKAGES = ("numpy", "numba", "llvmlite", "pyarrow")

Contender = Callable[[], float | None]
"""Something to measure: it returns its own figure, or nothing to be timed as a whole, in ns."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of two contenders that ran in turns; ``second`` is empty when there was only one."""

    first: tuple[float, ...]
    second: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Median of first / second, pair by pair; none without a second."""
        return median(a / b for a, b in zip(self.first, self.second, strict=True)) \
            if self.second else None


def measure(first: Contender, second: Contender | None = None,
            repeats: int = REPEATS, warm_up: int = 1) -> Comparison:
    """Run the contenders in turns and return the figures of every run after the warm-up."""
    contenders = [first] if second is None else [first, second]
    figures: list[list[float]] = [[] for _ in contenders]
    for turn in range(warm_up + repeats):
        order = range(len(contenders))
        for index in order if turn % 2 == 0 else reversed(order):
            figure = _figure_of(contenders[index])
            if turn >= warm_up:
                figures[index].append(figure)
    return Comparison(*(tuple(column) for column in figures))


def _figure_of(contender: Contender) -> float:
    start = time.perf_counter_ns()
    figure = contender()
    return time.perf_counter_ns() - start if figure is None else figure


@dataclass(frozen=True, slots=True)
class Row:
    """One result: the median and spread of ``runs`` figures, beside a peer where there is one."""

    name: str
    unit: str
    median: float
    min: float
    max: float
    runs: int
    peer: str = ""
    ratio: float | None = None
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row in a table."""
        return (self.name, _shown(self.median), f"{_shown(self.min)} to {_shown(self.max)}",
                self.unit, str(self.runs), self.peer,
                "" if self.ratio is None else f"{self.ratio:.2f}", self.note)


HEADINGS = ("what", "median", "spread", "unit", "runs", "peer", "ratio", "note")


class Report:
    """Results of one bench; each is printed as it comes, all are written by :meth:`save`."""

    def __init__(self, name: str, repeats: int = REPEATS, folder: Path = RESULTS) -> None:
        self.name = name
        self.repeats = repeats
        self.folder = folder
        self.rows: list[Row] = []
        self.notes: list[str] = []

    def add(self, name: str, unit: str, figures: Sequence[float], *, peer: str = "",
            ratio: float | None = None, note: str = "") -> Row:
        """Add one result from the figures of its runs; ``ratio`` is ours to the peer's."""
        row = Row(name, unit, median(figures), min(figures), max(figures), len(figures),
                  peer, ratio, note)
        self.rows.append(row)
        print("  " + "  ".join(cell for cell in row.cells() if cell), flush=True)
        return row

    def compare(self, name: str, unit: str, found: Comparison, peer: str, *,
                note: str = "", peer_note: str = "") -> None:
        """Add our result with its ratio to the peer's, and the peer's below it."""
        self.add(name, unit, found.first, peer=peer, ratio=found.ratio, note=note)
        if found.second:
            self.add(f"{name}: {peer}", unit, found.second, note=peer_note)

    def note(self, sentence: str) -> None:
        """Add a sentence below the table: what was not measured, and why."""
        self.notes.append(sentence)
        print(f"  {sentence}", flush=True)

    def document(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {"name": self.name, "machine": machine(), "versions": versions(),
                "rows": [{field: getattr(row, field) for field in Row.__slots__}
                         for row in self.rows],
                "notes": self.notes}

    def markdown(self) -> str:
        """Return everything as a page."""
        lines = [f"# {self.name}", "",
                 ", ".join(f"{key} {value}" for key, value in machine().items()) + ".",
                 ", ".join(f"{key} {value}" for key, value in versions().items()) + ".", "",
                 "| " + " | ".join(HEADINGS) + " |", "|---|--:|--:|---|--:|---|--:|---|"]
        lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row.cells()) + " |"
                  for row in self.rows]
        lines += ["", *(f"- {sentence}" for sentence in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"

    def save(self) -> None:
        """Write ``NAME.json`` and ``NAME.md``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{self.name}.json").write_text(json.dumps(self.document(), indent=1) + "\n")
        (self.folder / f"{self.name}.md").write_text(self.markdown())


def machine() -> dict[str, str | int]:
    """Return what decides about the figures of this machine, and nothing that names it."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in info.splitlines()
              if line.startswith(("model name", "Hardware"))]
    return {"CPU": models[0] if models else platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
            "huge pages": _chosen("/sys/kernel/mm/transparent_hugepage/enabled"),
            "hypervisor": "yes" if " hypervisor" in info else "no"}


def versions() -> dict[str, str]:
    """Return the versions of Python, of the packages beneath the figures, and of this tree."""
    found = {"Python": platform.python_version()}
    for package in ("tickwire", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                            capture_output=True, text=True)
    if commit.returncode == 0:
        found["commit"] = commit.stdout.strip()
    return found


def _chosen(path: str) -> str:
    """Return the word in brackets, as the kernel marks the choice that holds."""
    try:
        return Path(path).read_text().partition("[")[2].partition("]")[0] or "unknown"
    except OSError:
        return "unknown"


def _shown(figure: float) -> str:
    """Return a figure with about four digits, never as a power of ten."""
    if abs(figure) >= 1_000:
        return f"{figure:,.0f}"
    return f"{figure:.4g}" if abs(figure) >= 0.001 or not figure else f"{figure:.6f}"
