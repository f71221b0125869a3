"""Count cycles in simulation: ``python -m bench.cycles [COMPONENT ...]``, ``make cycles``.

Every module in ``bench/cycle`` has ``rows()``, which runs a component as a batch model and yields
:class:`bench.cycle.Row`. A cycle is counted from the cycle in which the input is at the port to the
one in which the output is; 0 is the same cycle. Figures are exact: any machine gives the same.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import bench.cycle
from bench.cycle import Row
from bench.report import RESULTS

OUTPUT = RESULTS / "cycles.json"


def components() -> list[str]:
    """Return the names of the components whose cycles are counted."""
    return sorted(module.name for module in pkgutil.iter_modules(bench.cycle.__path__))


def count(names: Sequence[str]) -> list[Row]:
    """Return the rows of the components ``names``."""
    return [row for name in names
            for row in importlib.import_module(f"bench.cycle.{name}").rows()]


def place(row: dict) -> tuple[str, str, str]:
    """Return what no other row of ``cycles.json`` has."""
    return row["figure"], row["message"], row["alignment"]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a text table, columns aligned."""
    heads = [field.name for field in fields(Row)]
    lines = [heads, *([str(value) for value in asdict(row).values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
                     .rstrip() for line in lines)


def save(rows: Sequence[Row], path: Path, *, is_whole: bool) -> None:
    """Write the rows; those of other figures stay in the file unless ``rows`` are all there are."""
    counted = {row.figure for row in rows}
    kept = [] if is_whole or not path.exists() else [
        row for row in json.loads(path.read_text())["rows"] if row["figure"] not in counted]
    found = sorted([*kept, *map(asdict, rows)], key=place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": "cycles", "rows": found}, indent=1) + "\n")


def run(arguments: list[str]) -> int:
    """Count what the arguments name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.cycles",
                                     description="Count the gateware's cycles.")
    parser.add_argument("names", nargs="*", metavar="COMPONENT", help="all by default")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    known = components()
    for name in options.names:
        if name not in known:
            parser.error(f"no cycles are counted of {name!r}; there are {', '.join(known)}")
    rows = count(options.names or known)
    print(table(rows))
    save(rows, options.output, is_whole=not options.names)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
