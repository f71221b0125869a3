"""Copies of tables and registers whose wires lead to two places far from each other.

One copy stays with the sinks far away, the other goes to those near the one that waits longest.
"""

import copy
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tickwire_hw.platform.placement import moves, placed

_FEWEST_SINKS = 3
_FAR = 8
"""Tiles from the longest wire's end to a sink for which another copy is worth while."""
_LONG_PS = 1_500
_SHARED = {"CE", "LSR", "WRE"}
"""Pins that have a wire in common with others of their slice or tile."""


def copy_drivers(design: placed.Placed, where: moves.Floor, slack: NDArray[np.int64], most: int,
                 kind: int) -> int:
    """Copy drivers of wires that have less than ``most`` ps of ``slack``; return how many.

    ``kind`` is :data:`placed.TABLE` or :data:`placed.REGISTER`, never both: a copied register has
    the enable of its original, and that must not be given a copy at the same time. So what a
    register enables stays with it. Changes the netlist and its delays; arrays are to be read anew.
    """
    design.write()
    nets = design.module["netnames"]
    bit = 1 + max(bit for net in nets.values() for bit in net["bits"] if isinstance(bit, int))
    made = 0
    for node, arcs in list(design.wires()):
        near = _sinks_to_move(design, node, arcs, slack, most, kind)
        if near.size:
            spot = _free_spot(design, where, node, near)
            if spot is not None:
                _copy(design, node, near, spot, bit)
                bit, made = bit + 1, made + 1
    return made


def _sinks_to_move(design: placed.Placed, node: int, arcs: NDArray, slack: NDArray, most: int,
                   kind: int) -> NDArray:
    """Return the wires that another copy should drive."""
    graph, cells = design.graph, design.cells
    cell, none = int(graph.cell[node]), arcs[:0]
    if cells.kind[cell] != kind or (kind == placed.TABLE and not _is_lone(design, cell)):
        return none
    if kind == placed.REGISTER:
        arcs = arcs[[design.pins[target] not in _SHARED for target in graph.target[arcs]]]
    if arcs.size < _FEWEST_SINKS:
        return none
    worst = arcs[np.argmin(slack[arcs])]
    if slack[worst] > most:
        return none
    ends = graph.cell[graph.target[arcs]]
    x, y = cells.x[ends], cells.y[ends]
    end = graph.cell[graph.target[worst]]
    from_worst = np.abs(x - cells.x[end]) + np.abs(y - cells.y[end])
    far = int(np.argmax(from_worst))
    length = abs(cells.x[cell] - cells.x[end]) + abs(cells.y[cell] - cells.y[end])
    is_short = length < _FAR and graph.delay[arcs].max() < _LONG_PS
    if from_worst[far] < _FAR or is_short:
        return none
    from_far = np.abs(x - x[far]) + np.abs(y - y[far])
    return arcs[(from_worst <= from_far) & (cells.group[ends] != cells.group[cell])]


def _is_lone(design: placed.Placed, cell: int) -> bool:
    """Return whether a table is one of its own."""
    mode = design.entry(cell)["parameters"].get("MODE", "LOGIC").strip()
    return mode == "LOGIC" and design.cells.flags[cell] == 0


def _free_spot(design: placed.Placed, where: moves.Floor, node: int, near: NDArray,
               ) -> tuple[int, int, int] | None:
    """Take a free place for a copy, between its original and what it is to drive."""
    graph, cells = design.graph, design.cells
    cell = int(graph.cell[node])
    ends = graph.cell[graph.target[near]]
    x = (int(np.median(cells.x[ends])) + int(cells.x[cell])) // 2
    y = (int(np.median(cells.y[ends])) + int(cells.y[cell])) // 2
    kind, flags = int(cells.kind[cell]), int(cells.flags[cell])
    if kind == placed.REGISTER:
        cells.flags[cell] |= placed.HAS_M   # as the copy will have
    try:
        for spot in _spots(x, y, where, kind):
            where.holds[*spot, kind] = cell
            if moves.is_legal(*spot[:2], where.holds, cells):
                return spot
            where.holds[*spot, kind] = -1
    finally:
        cells.flags[cell] = flags
    return None


def _spots(x: int, y: int, where: moves.Floor, kind: int) -> Iterator[tuple[int, int, int]]:
    """Yield free places around a tile, the nearest first."""
    free = (where.holds[..., kind] < 0) & where.is_fabric[..., None]
    spots = np.argwhere(free)
    away = np.maximum(np.abs(spots[:, 0] - x), np.abs(spots[:, 1] - y))
    yield from (tuple(map(int, spot)) for spot in spots[np.argsort(away, kind="stable")])


def _copy(design: placed.Placed, node: int, near: NDArray, spot: tuple[int, int, int],
          bit: int) -> None:
    """Write a copy into the netlist that drives the ends of ``near`` by ``bit``."""
    graph, cells = design.graph, design.cells
    cell, pin = int(graph.cell[node]), design.pins[node]
    name, given = f"{design.names[cell]}$copy{bit}", copy.deepcopy(design.entry(cell))
    wires, delays = given["connections"], design.delays
    delays.cells[name] = [arc for arc in delays.cells[design.names[cell]] if arc[1] == pin]
    delays.setups[name] = list(delays.setups.get(design.names[cell], ()))
    if cells.kind[cell] == placed.REGISTER and "DI" in wires:
        # Its table does not come along: what that says reaches the copy by its input M.
        given["parameters"]["SD"] = "0 "
        wires["M"] = wires.pop("DI")
        given["port_directions"]["M"] = given["port_directions"].pop("DI")
        delays.setups[name] = [("M" if entry == "DI" else entry, needs)
                               for entry, needs in delays.setups[name]]
    for output, direction in given["port_directions"].items():
        if direction == "output":
            wires[output] = [bit] if output == pin else []
    given["attributes"]["NEXTPNR_BEL"] = placed.site(int(cells.kind[cell]), *spot)
    design.module["cells"][name] = given
    design.module["netnames"][f"{name}_{pin}"] = {"hide_name": 1, "bits": [bit], "attributes": {}}
    for target in graph.target[near]:
        sink = design.entry(int(graph.cell[target]))
        sink["connections"][design.pins[target]] = [bit]
