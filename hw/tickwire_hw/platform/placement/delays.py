"""Delays as nextpnr writes them in SDF: of cells, of their clocks, and of wires between them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

_INSTANCE = re.compile(r"\(INSTANCE (\S+)\)")
_CELL = re.compile(r"\(IOPATH (\S+) (\S+) \((-?\d+):(-?\d+):(-?\d+)\)")
_SETUP = re.compile(r"\(SETUPHOLD \(posedge (\S+)\) \(\w+ \S+\) \((-?\d+):(-?\d+):(-?\d+)\)")
_WIRE = re.compile(r"\(INTERCONNECT (\S+)/(\S+) (\S+)/(\S+) \((-?\d+):(-?\d+):(-?\d+)\)")

Pin = tuple[str, str]
"""Names of a cell and of its pin."""


@dataclass(slots=True)
class Delays:
    """The longest delays of a design, in picoseconds.

    ``cells`` has input, output and delay of each path through a cell, or of its clock's to an
    output; ``setups`` an input and how long before its clock's edge it must be there; ``wires`` the
    delay from the pin that drives a wire to one that it reaches.
    """

    cells: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    setups: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    wires: dict[tuple[Pin, Pin], int] = field(default_factory=dict)


def read(path: Path) -> Delays:
    """Read nextpnr's SDF (OVI SDF 3.0); a name's escapes are gone, what is not known is skipped."""
    found, cell = Delays(), ""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if match := _WIRE.search(line):
                source, output, target, pin = (part.replace("\\", "") for part in match.group(
                    1, 2, 3, 4))
                found.wires[(source, output), (target, pin)] = int(match[7])
            elif match := _CELL.search(line):
                found.cells.setdefault(cell, []).append((match[1], match[2], int(match[5])))
            elif match := _SETUP.search(line):
                found.setups.setdefault(cell, []).append((match[1], int(match[4])))
            elif match := _INSTANCE.search(line):
                cell = match[1].replace("\\", "")
    return found
