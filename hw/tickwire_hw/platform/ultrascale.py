"""Synthesis for UltraScale+: ``python -m tickwire_hw.platform.ultrascale COMPONENT``.

Prints look-up tables, registers, memories and multipliers, and the logic depth: the longest run of
tables and carry cells between registers. No open tool places and routes these devices, so there is
no clock here. The component stands alone, without the harness of :mod:`tickwire_hw.platform.pins`.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tickwire_hw.catalogue import GEOMETRIES, component
from tickwire_hw.platform import yowasp

KINDS = {
    "LUT": r"LUT[1-6]|LUT6_2", "LUTRAM": r"RAM(32|64|128|256|512)\w*", "SRL": r"SRL\w+",
    "CARRY": r"CARRY[48]", "MUXF": r"MUXF[789]", "FF": r"FD[RSCP]E", "BRAM36": r"RAMB36E2",
    "BRAM18": r"RAMB18E2", "URAM": r"URAM288", "DSP": r"DSP48E2",
}
"""Names of a report's counts, and the cells that they count."""
# Parts are optimized one by one, and become one for the choice of tables. That is `abc` for tables
# of six inputs: `abc9`, which `synth_xilinx` runs, failed an assertion in the arbiter, did not end
# in a quarter of an hour for the pipeline, nor in ten minutes, checking, for the multipliers of
# `Risk`. `ltp` runs through registers and memories as if they were logic: they are deleted before.
_SCRIPT = "; ".join([
    yowasp.READ, "synth_xilinx -family xcup -uram -top top -noiopad -noclkbuf -run begin:map_luts",
    "flatten", "opt_clean", "splitnets", "opt_expr -mux_undef -noclkinv", "abc -luts 2:2,3,6:5",
    "clean", "xilinx_srl -fixed -minlen 3",
    "techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6", "xilinx_dffopt",
    "opt_lut_ins -tech xilinx", "clean", "tee -q -o stat.json stat -json",
    "delete t:FD* t:RAMB* t:RAM?* t:SRL* t:URAM* t:DSP* t:$scopeinfo", "tee -q -o depth.txt ltp"])


@dataclass(frozen=True, slots=True)
class Result:
    """Cells by kind, and the logic depth in cells."""

    cells: Mapping[str, int]
    depth: int

    def text(self) -> str:
        """Return the result as lines."""
        return (", ".join(f"{kind} {count}" for kind, count in self.cells.items())
                + f"\nlogic depth {self.depth} cells, carry cells counted")


def synthesize(name: str, geometry: str, folder: Path) -> Result:
    """Synthesize ``name``; files stay in ``folder``."""
    yowasp.write_netlist(component(name, geometry), folder)
    yowasp.run("yosys", ["-q", "-p", _SCRIPT], folder)
    return read(json.loads((folder / "stat.json").read_text()), (folder / "depth.txt").read_text())


def read(stat: Mapping, depth: str) -> Result:
    """Return what Yosys' ``stat -json`` and ``ltp`` say."""
    found = stat["design"]["num_cells_by_type"]
    cells = {kind: sum(count for cell, count in found.items() if re.fullmatch(pattern, cell))
             for kind, pattern in KINDS.items()}
    length = re.search(r"length=(\d+)", depth)
    return Result(cells, int(length[1]) if length else 0)


def main(arguments: list[str]) -> int:
    """Run for the arguments; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tickwire_hw.platform.ultrascale",
                                     description="Synthesize a component for UltraScale+.")
    parser.add_argument("name", metavar="COMPONENT")
    parser.add_argument("--geometry", choices=GEOMETRIES, default="large")
    options = parser.parse_args(arguments)
    folder = Path("build") / "ultrascale" / f"{options.name}_{options.geometry}"
    try:
        found = synthesize(options.name, options.geometry, folder)
    except (ValueError, yowasp.ToolError) as error:
        parser.error(str(error))
    sys.stdout.write(f"{options.name}, geometry {options.geometry}, UltraScale+, "
                     f"synthesis only\n{found.text()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
