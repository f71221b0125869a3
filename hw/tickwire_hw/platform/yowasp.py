"""Yosys and nextpnr from their wheels, WebAssembly and all; the first start takes minutes."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from tickwire_hw.ports import ports

READ = ("read_rtlil top.il; hierarchy -top top; proc; memory_collect; "
        "setparam -set RD_COLLISION_X_MASK 1'1 a:rw_addr_collision=no t:$mem_v2 %i")
"""Yosys commands that read :func:`write_netlist`'s file.

A memory with :data:`tickwire_hw.ram.ANY_COLLISION` gets no logic that makes a row read as it was
while it is written: a multiplexer a bit on every device whose block RAM reads such rows as new.
"""


class ToolError(Exception):
    """A tool is missing or failed; the text is a whole sentence."""


def run(tool: str, arguments: Sequence[str | Path], folder: Path) -> str:
    """Run ``yowasp-TOOL`` in ``folder`` and return what it said; keep it there as ``TOOL.log``."""
    if importlib.util.find_spec(f"yowasp_{tool.replace('-', '_')}") is None:
        raise ToolError(f"yowasp-{tool} is not installed: pip install 'tickwire[pnr]'.")
    found = subprocess.run(
        [sys.executable, "-m", "tickwire_hw.platform.launch", f"yowasp-{tool}",
         *map(str, arguments)],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
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
