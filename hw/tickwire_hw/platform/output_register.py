"""Registers behind block RAM move into it: what Yosys leaves undone for ECP5.

Yosys maps every DP16KD without its output register (YosysHQ/yosys issue 5814). Out of the array a
bit takes 4.3 ns, out of the register a good nanosecond, and the registers in the fabric are saved.
"""

import re
from collections import defaultdict
from collections.abc import Mapping


def absorb(netlist: Mapping) -> int:
    """Move registers of Yosys' JSON netlist into block RAM; return how many were moved.

    A memory's registers are used if every bit that it gives goes to plain registers of its one
    clock, without enable and reset, and nowhere else. So nothing changes for the design: both
    kinds of register are zero at configuration.
    """
    moved = 0
    for module in netlist["modules"].values():
        cells, users = module["cells"], _users(module)
        same: dict[int, int] = {}          # bits that are another one now
        for memory in [cell for cell in cells.values() if cell["type"] == "DP16KD"]:
            found = _registers(memory, cells, users)
            for output, names in found.items():
                bits = [cells.pop(name)["connections"]["Q"][0] for name in names]
                memory["connections"][output] = [bits[0]]
                same.update(dict.fromkeys(bits, bits[0]))
                moved += len(names)
            if found:
                # In the widest shape a read uses both halves: both get the same mode.
                memory["parameters"].update(REGMODE_A="OUTREG", REGMODE_B="OUTREG")
                memory["connections"].update(OCEA=["1"], OCEB=["1"])
        for entry in [*(cell["connections"] for cell in cells.values()),
                      *module["ports"].values(), *module["netnames"].values()]:
            for key, bits in entry.items():
                if isinstance(bits, list):
                    entry[key] = [same.get(bit, bit) for bit in bits]
    return moved


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


def _registers(memory: Mapping, cells: Mapping, users: Mapping) -> dict[str, list[str]]:
    """Return the registers behind each output; none if one reader is anything else."""
    wires = memory["connections"]
    if wires["CLKA"] != wires["CLKB"]:
        return {}
    found = {pin: users[bits[0]] for pin, bits in wires.items()
             if re.fullmatch(r"DO[AB]\d+", pin) and bits and bits[0] in users}
    if not all(_is_plain(cells.get(name), pin, wires["CLKA"])
               for readers in found.values() for name, pin in readers):
        return {}
    return {output: [name for name, _ in readers] for output, readers in found.items()}


def _is_plain(cell: Mapping | None, pin: str, clock: list) -> bool:
    """Whether a reader is a register that one in a block RAM can be."""
    if cell is None or cell["type"] != "TRELLIS_FF" or pin != "DI":
        return False
    parameters, wires = cell["parameters"], cell["connections"]
    return (wires["CLK"] == clock and wires.get("LSR", ["0"]) == ["0"]
            and parameters["CEMUX"].strip() == "1" and parameters["REGSET"] == "RESET"
            and parameters.get("CLKMUX", "CLK") == "CLK")
