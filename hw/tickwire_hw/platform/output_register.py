"""Registers behind block RAM and multipliers move into them: what Yosys leaves undone for ECP5.

Yosys maps every DP16KD without its output register (YosysHQ/yosys issue 5814), and every
MULT18X18D without any. Out of the RAM's array a bit takes 4.3 ns, out of the register a good
nanosecond; through a multiplier it takes 3.1 ns and one wire more than to its register, 2.6 ns.
The registers in the fabric are saved.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

_OUTPUT = {"DP16KD": r"DO[AB]\d+", "MULT18X18D": r"P\d+"}
"""Pins behind which each kind of block has registers."""


def absorb(netlist: Mapping) -> int:
    """Move registers of Yosys' JSON netlist into blocks; return how many were moved.

    A block's registers are used if every bit that it gives goes to plain registers of its one
    clock, without enable and reset, and nowhere else. So nothing changes for the design: both
    kinds of register are zero at configuration.
    """
    moved = 0
    for module in netlist["modules"].values():
        cells, users = module["cells"], _users(module)
        same: dict[int, int] = {}          # bits that are another one now
        for block in [cell for cell in cells.values() if cell["type"] in _OUTPUT]:
            clock, found = _registers(block, cells, users)
            for output, names in found.items():
                bits = [cells.pop(name)["connections"]["Q"][0] for name in names]
                block["connections"][output] = [bits[0]]
                same.update(dict.fromkeys(bits, bits[0]))
                moved += len(names)
            if found:
                _use(block, clock)
        for entry in [*(cell["connections"] for cell in cells.values()),
                      *module["ports"].values(), *module["netnames"].values()]:
            for key, bits in entry.items():
                if isinstance(bits, list):
                    entry[key] = [same.get(bit, bit) for bit in bits]
    return moved


def _use(block: Mapping, clock: list) -> None:
    """Let a block use its registers."""
    parameters, wires = block["parameters"], block["connections"]
    if block["type"] == "DP16KD":
        # In the widest shape a read uses both halves: both get the same mode.
        parameters.update(REGMODE_A="OUTREG", REGMODE_B="OUTREG")
        wires.update(OCEA=["1"], OCEB=["1"])
    else:
        parameters.update(REG_OUTPUT_CLK="CLK0", REG_OUTPUT_CE="CE0", REG_OUTPUT_RST="RST0")
        given = {"CLK0": clock, "CE0": ["1"], "RST0": ["0"]}
        wires.update(given)
        block["port_directions"].update(dict.fromkeys(given, "input"))


def _users(module: Mapping) -> dict[int, list[tuple[str, str]]]:
    """Return cell and pin of everything that reads a bit; a port of the module has no pin."""
    found = defaultdict(list)
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                for bit in bits:
                    found[bit].append((name, pin))
    for name, port in module["ports"].items():
        for bit in port["bits"]:
            found[bit].append((name, ""))
    return found


def _registers(block: Mapping, cells: Mapping, users: Mapping) -> tuple[list, dict]:
    """Return the clock, and the registers behind each output; none if one reader is else."""
    wires = block["connections"]
    found = {pin: users[bits[0]] for pin, bits in wires.items()
             if re.fullmatch(_OUTPUT[block["type"]], pin) and bits and bits[0] in users}
    readers = [reader for group in found.values() for reader in group]
    clock = next((cells[name]["connections"].get("CLK") for name, _ in readers if name in cells),
                 None)
    if any(wires.get(pin, clock) != clock for pin in ("CLKA", "CLKB")) or not all(
            _is_plain(cells.get(name), pin, clock) for name, pin in readers):
        return [], {}
    return clock, {output: [name for name, _ in group] for output, group in found.items()}


def _is_plain(cell: Mapping | None, pin: str, clock: list) -> bool:
    """Whether a reader is a register that one in a block RAM can be."""
    if cell is None or cell["type"] != "TRELLIS_FF" or pin != "DI":
        return False
    parameters, wires = cell["parameters"], cell["connections"]
    return (wires["CLK"] == clock and wires.get("LSR", ["0"]) == ["0"]
            and parameters["CEMUX"].strip() == "1" and parameters["REGSET"] == "RESET"
            and parameters.get("CLKMUX", "CLK") == "CLK")
