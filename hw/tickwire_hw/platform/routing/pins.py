"""Wires at the pins of cells, by the names that ECP5's places have for them."""

from tickwire_hw.platform.placement import placed
from tickwire_hw.platform.routing.fabric import Fabric

_OF_EACH = {"A", "B", "C", "D", "M", "F", "Q", "DI"}
_OF_SLICE = {"CE", "LSR", "WRE"}
_SLICES = "ABCD"
_OTHERS = {"MULT18X18D": "J{pin}_MULT18", "GSR": "J{pin}_GSR", "TRELLIS_IO": "{pad}{bank}_PIO"}
_PADS = {"O": "JPADDI", "I": "PADDO"}


def wire_at(design: placed.Placed, fabric: Fabric, cell: int, pin: str) -> int | None:
    """Return the wire at a pin, or None for one that no other than its neighbour leads to.

    Clocks have none either: they have networks of their own, and the fabric leads to their begin.
    """
    cells = design.cells
    kind, z = int(cells.kind[cell]), int(cells.z[cell])
    if kind == placed.OTHER:
        entry = design.entry(cell)
        name = _OTHERS.get(entry["type"])
        x, y, site = entry["attributes"]["NEXTPNR_BEL"].split("/")
        if entry["type"] == "DCCA" and pin == "CLKI":
            return fabric.find(0, 0, f"G_CLKI_{site}")
        if name is None or pin.startswith("CLK"):
            return None
        return fabric.find(int(x[1:]), int(y[1:]), name.format(
            pin=pin, pad=_PADS.get(pin, ""), bank=site[-1]))
    name = _name(kind, pin, z)
    return None if name is None else fabric.find(int(cells.x[cell]), int(cells.y[cell]), name)


def is_network(design: placed.Placed, cell: int) -> bool:
    """Return whether what leads to a cell leads into the network of a clock."""
    return (design.cells.kind[cell] == placed.OTHER and design.entry(cell)["type"] == "DCCA")


def keeps_input(design: placed.Placed, cell: int) -> bool:
    """Return whether a cell's input must be the one it is: it is no plain table."""
    return (design.cells.kind[cell] == placed.WRITER
            or design.entry(cell)["parameters"].get("MODE", "LOGIC") != "LOGIC")


def _name(kind: int, pin: str, z: int) -> str | None:
    if pin in ("CLK", "WCK", "CLKA", "CLKB"):
        return None
    if kind == placed.MEMORY:
        return f"J{pin}_EBR"
    if kind == placed.WRITER:
        is_address = len(pin) == 2 and pin[0] in _SLICES
        return f"{pin[0]}{4 + int(pin[1])}_SLICE" if is_address else None
    if pin in _OF_EACH:
        return f"{pin}{z}_SLICE"
    if pin in _OF_SLICE:
        return f"{pin}{z // 2}_SLICE"
    if pin == "OFX":
        return f"{'FX' if z % 2 else 'F5'}{_SLICES[z // 2]}_SLICE"
    return f"{pin}{_SLICES[z // 2]}_SLICE" if pin in ("FXA", "FXB") else None
