"""A small design as nextpnr writes it, drawn cell by cell."""

import copy
import itertools

from tickwire_hw.platform.placement import placed
from tickwire_hw.platform.placement.delays import Delays

CLOCK_TO_OUTPUT, TABLE_PS, NEEDS = 395, 180, 7


class Drawing:
    """A design as nextpnr writes it: registers, tables and carries at their places."""

    def __init__(self):
        self.cells, self.delays, self._bits = {}, Delays(), itertools.count(3)

    def add(self, kind, bel, outputs, inputs, parameters, **delays):
        name = f"{kind.lower()}_{len(self.cells)}"
        bits = {pin: [next(self._bits)] for pin in outputs}
        directions = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")}
        self.cells[name] = {"type": kind, "parameters": parameters, "port_directions": directions,
                            "attributes": {"NEXTPNR_BEL": bel},
                            "connections": {**{pin: [bit] for pin, bit in inputs.items()}, **bits}}
        self.delays.cells[name] = delays.get("paths", [])
        self.delays.setups[name] = delays.get("setups", [])
        return [bit for [bit] in bits.values()]

    def register(self, bel, bit, pin="M", enable="1", reset="0"):
        parameters = {"SD": "0 " if pin == "M" else "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR",
                      "CEMUX": "CE", "GSR": "ENABLED", "REGSET": "RESET"}
        return self.add("TRELLIS_FF", bel, ["Q"], {pin: bit, "CLK": 2, "CE": enable, "LSR": reset},
                        parameters, paths=[("CLK", "Q", CLOCK_TO_OUTPUT)], setups=[(pin, NEEDS)])[0]

    def table(self, bel, *bits):
        pins = dict(zip("DCBA", bits, strict=False))
        return self.add("TRELLIS_COMB", bel, ["F"], pins, {"INITVAL": "0110"},
                        paths=[(pin, "F", TABLE_PS) for pin in pins])[0]

    def carry(self, bel, bit, carried=None):
        given = {"A": bit} | ({} if carried is None else {"FCI": carried})
        return self.add("TRELLIS_COMB", bel, ["F", "FCO"], given, {"MODE": "CCU2"}, paths=[
            (pin, output, TABLE_PS) for pin in given for output in ("F", "FCO")])

    def netlist(self):
        bits = {bit for cell in self.cells.values() for wire in cell["connections"].values()
                for bit in wire if isinstance(bit, int)}
        return {"modules": {"top": {"cells": copy.deepcopy(self.cells), "netnames": {
            f"net_{bit}": {"bits": [bit], "hide_name": 1, "attributes": {}} for bit in bits}}}}

    def placed(self):
        return placed.Placed(self.netlist(), copy.deepcopy(self.delays))
