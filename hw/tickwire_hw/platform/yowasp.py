"""Yosys and nextpnr from their wheels, WebAssembly and all; the first start takes minutes."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from tickwire_hw.ports import ports


class ToolError(Exception):
    """A tool is missing or failed; the text is a whole sentence."""


def run(tool: str, arguments: Sequence[str | Path], folder: Path) -> str:
    """Run ``yowasp-TOOL`` in ``folder`` and return what it said; keep it there as ``TOOL.log``."""
    if importlib.util.find_spec(f"yowasp_{tool.replace('-', '_')}") is None:
        raise ToolError(f"yowasp-{tool} is not installed: pip install 'tickwire[pnr]'.")
    beside = Path(sys.executable).with_name(f"yowasp-{tool}")
    program = beside if beside.exists() else shutil.which(f"yowasp-{tool}") or beside
    found = subprocess.run([str(program), *map(str, arguments)], cwd=folder, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    log = folder / f"{tool}.log"
    log.write_text(found.stdout)
    if found.returncode:
        end = "\n".join(found.stdout.splitlines()[-15:])
        raise ToolError(f"yowasp-{tool} failed with status {found.returncode} ({log}):\n{end}")
    return found.stdout


def write_netlist(component: wiring.Component, folder: Path) -> Path:
    """Write ``component`` as ``top.il``, which Yosys reads without a Verilog parser."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {port.name: (port.value, port.direction) for port in ports(component).values()}
    path = folder / "top.il"
    path.write_text(rtlil.convert(component, name="top", ports=plain, emit_src=False))
    return path
