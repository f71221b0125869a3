"""A placement that nextpnr wrote, as arrays: cells, what lies together, and what connects them.

ECP5's fabric is of tiles; a tile has eight logic cells ``z``, two to a slice, and each of those a
table and a register (nextpnr's ``TRELLIS_COMB`` and ``TRELLIS_FF``).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickwire_hw.platform.placement import times
from tickwire_hw.platform.placement.delays import Delays

WIDTH, HEIGHT, DEPTH = 127, 96, 8
"""Tiles of an LFE5U-85F in a row and in a column, and logic cells of a tile."""
TABLE, REGISTER, WRITER, MEMORY, OTHER = range(5)
"""Kinds of cells: ``WRITER`` is what writes a tile's distributed memory; ``OTHER`` stays."""
CARRY, STORES, JOINS, JOINS_MORE, CLOCK_INVERTED, SET_INVERTED, BLOCKED, HAS_M = (
    1 << bit for bit in range(8))
"""What a table or a register is, and uses.

A carry; distributed memory; an output from its slice's other table (``PFUMX``) or from another
slice's (``L6MUX21``); an inverted clock or write enable or reset; what writes memory; its input M.
"""
_TYPES = {"TRELLIS_COMB": TABLE, "TRELLIS_FF": REGISTER, "TRELLIS_RAMW": WRITER, "DP16KD": MEMORY}
_CLOCKS = {"CLK", "WCK", "CLKA", "CLKB", *(f"CLK{number}" for number in range(4))}
_RIGID = {"FCI", "FXA", "FXB", "F1", "WD", *(f"WAD{number}" for number in range(4))}


class Cells(NamedTuple):
    """Where each cell lies and what it shares with its neighbours; ``int32[cells]`` each.

    ``tile_set`` and ``slice_set`` number the clocks, resets and enables that all registers of a
    tile or of a slice must have in common. ``group`` is of cells that keep their places to each
    other, or -1 of one that stays.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    z: NDArray[np.int32]
    kind: NDArray[np.int32]
    flags: NDArray[np.int32]
    tile_set: NDArray[np.int32]
    slice_set: NDArray[np.int32]
    group: NDArray[np.int32]


class Groups(NamedTuple):
    """Cells of each group and wires at them; group ``g`` has those from ``[g]`` to ``[g + 1]``."""

    first_cell: NDArray[np.int32]
    cell: NDArray[np.int32]
    first_arc: NDArray[np.int32]
    arc: NDArray[np.int32]


class Placed:
    """A design between placing and routing.

    Attributes:
        netlist: as nextpnr writes it, with ``NEXTPNR_BEL`` of each cell.
        delays: of its cells, by name.
        names: of the cells, in the order of the arrays.
        cells: where they lie.
        groups: which lie together.
        graph: what connects them.
        pins: name of each node's pin.
        nets: the pin that drives each bit, and those that read it; a pin is a cell and a name.
    """

    def __init__(self, netlist: dict, delays: Delays) -> None:
        self.netlist, self.delays = netlist, delays
        self.names = list(self.module["cells"])
        self.nets = self._read_nets()
        self.cells = self._read_cells()
        self._group()
        self._connect()

    @property
    def module(self) -> dict:
        """The netlist's one module."""
        return self.netlist["modules"]["top"]

    def entry(self, cell: int) -> dict:
        """Return the netlist's entry of a cell."""
        return self.module["cells"][self.names[cell]]

    def write(self) -> None:
        """Write where the cells lie back into the netlist."""
        cells = self.cells
        for number, name in enumerate(self.names):
            if cells.kind[number] != OTHER:
                self.module["cells"][name]["attributes"]["NEXTPNR_BEL"] = site(
                    cells.kind[number], cells.x[number], cells.y[number], cells.z[number])

    def wires(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield each node that drives wires, and the arcs of those."""
        arcs = np.flatnonzero(self.graph.kind != times.INSIDE)
        arcs = arcs[np.argsort(self.graph.source[arcs], kind="stable")]
        sources, first = np.unique(self.graph.source[arcs], return_index=True)
        yield from zip(map(int, sources), np.split(arcs, first[1:]), strict=True)

    def _read_nets(self) -> dict[int, tuple[tuple[int, str], list[tuple[int, str]]]]:
        """Return the pin that drives each bit, and those that read it."""
        drivers: dict[int, tuple[int, str]] = {}
        readers = defaultdict(list)
        for number, name in enumerate(self.names):
            cell = self.module["cells"][name]
            for pin, direction in cell["port_directions"].items():
                for bit in cell["connections"].get(pin, ()):
                    if isinstance(bit, int) and direction == "output":
                        drivers[bit] = number, pin
                    elif isinstance(bit, int):
                        readers[bit].append((number, pin))
        return {bit: (driver, readers[bit]) for bit, driver in drivers.items()}

    def _read_cells(self) -> Cells:
        """Return the cells, without their groups."""
        cells = Cells(*(np.full(len(self.names), -1, np.int32) for _ in Cells._fields))
        tile_sets: dict[tuple, int] = {}
        slice_sets: dict[tuple, int] = {}
        for number in range(len(self.names)):
            cell = self.entry(number)
            kind = _TYPES.get(cell["type"], OTHER)
            cells.kind[number] = kind
            cells.x[number], cells.y[number], cells.z[number] = _place(cell, kind)
            cells.flags[number] = _flags(cell)
            if kind == REGISTER:
                settings = cell["parameters"]
                tile = (_bit(cell, "CLK"), _bit(cell, "LSR"),
                        *map(settings.get, ("CLKMUX", "LSRMUX", "SRMODE")))
                within = (_bit(cell, "CE"), *map(settings.get, ("CEMUX", "GSR")))
                cells.tile_set[number] = tile_sets.setdefault(tile, len(tile_sets))
                cells.slice_set[number] = slice_sets.setdefault(within, len(slice_sets))
        return cells

    def _group(self) -> None:
        """Find what keeps its places to each other: by wires that have no other way."""
        cells = self.cells
        parent = list(range(len(self.names)))

        def root(cell: int) -> int:
            while parent[cell] != cell:
                parent[cell] = parent[parent[cell]]
                cell = parent[cell]
            return cell

        for (driver, _), readers in self.nets.values():
            for reader, pin in readers:
                kinds = cells.kind[driver], cells.kind[reader]
                is_rigid = pin in _RIGID if kinds[1] == TABLE else pin == "DI"
                if OTHER not in kinds and kinds[1] in (TABLE, REGISTER) and is_rigid:
                    parent[root(reader)] = root(driver)
        writers = {(cells.x[number], cells.y[number]): int(number)
                   for number in np.flatnonzero(cells.kind == WRITER)}
        for number in map(int, np.flatnonzero(cells.flags & BLOCKED)):
            parent[root(number)] = root(writers[cells.x[number], cells.y[number]])
        roots: dict[int, int] = {}
        for number in map(int, np.flatnonzero(cells.kind != OTHER)):
            cells.group[number] = roots.setdefault(root(number), len(roots))

    def _connect(self) -> None:
        """Find nodes and arcs; raises :class:`ValueError` where wires lead around."""
        nodes: dict[tuple[int, str], int] = {}
        start, setup, arcs = {}, {}, []
        for number, name in enumerate(self.names):
            for source, target, delay in self.delays.cells.get(name, ()):
                after = nodes.setdefault((number, target), len(nodes))
                if source in _CLOCKS:
                    start[after] = delay
                else:
                    before = nodes.setdefault((number, source), len(nodes))
                    arcs.append((before, after, times.INSIDE, delay))
            for pin, delay in self.delays.setups.get(name, ()):
                setup[nodes.setdefault((number, pin), len(nodes))] = delay
        for driver, readers in self.nets.values():
            if driver in nodes and self.entry(driver[0])["type"] != "DCCA":
                arcs.extend((nodes[driver], nodes[reader], _kind_of_wire(driver[1], reader[1]), 0)
                            for reader in readers
                            if reader in nodes and reader[1] not in _CLOCKS)
        source, target, kind, delay = np.array(arcs, np.int32).reshape(-1, 4).T
        order = np.empty(len(nodes), np.int32)
        if times.in_order(len(nodes), source, target, order) != len(nodes):
            raise ValueError("The netlist's tables lead around in a circle.")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(nodes), dtype=np.int32)
        by_target = np.argsort(rank[target], kind="stable")
        ordered = list(nodes)
        self.pins = [ordered[node][1] for node in order]
        cell = np.array([number for number, _ in nodes], np.int32)[order]
        self.graph = times.Graph(
            rank[source][by_target], rank[target][by_target], kind[by_target].astype(np.int8),
            delay[by_target], cell, _by_node(start, order), _by_node(setup, order))
        self.groups = _groups(self.cells, self.graph)


def _kind_of_wire(output: str, pin: str) -> int:
    """Return the kind of a wire between two pins."""
    is_free = (output, pin) in {("FCO", "FCI"), ("F", "DI")} or pin in {"FXA", "FXB"}
    return times.FREE if is_free else times.WIRE


def site(kind: int, x: int, y: int, z: int) -> str:
    """Return nextpnr's name of a place."""
    inside = f"EBR{z}"
    if kind != MEMORY:
        place = {TABLE: f"K{z % 2}", REGISTER: f"FF{z % 2}", WRITER: "RAMW"}[kind]
        inside = f"SLICE{'ABCD'[z // 2]}.{place}"
    return f"X{x}/Y{y}/{inside}"


def _place(cell: Mapping, kind: int) -> tuple[int, int, int]:
    """Return tile and logic cell, or number among the tile's block RAM, that a cell lies in."""
    x, y, inside = cell["attributes"]["NEXTPNR_BEL"].split("/")
    z = 0
    if kind == MEMORY:
        z = int(inside[-1])
    elif kind != OTHER:
        piece, place = inside.split(".")
        z = 2 * "ABCD".index(piece[-1]) + (0 if kind == WRITER else int(place[-1]))
    return int(x[1:]), int(y[1:]), z


def _flags(cell: Mapping) -> int:
    """Return what a table or a register uses."""
    settings, mode = cell["parameters"], cell["parameters"].get("MODE", "").strip()
    if cell["type"] == "TRELLIS_FF":
        has_m = settings["SD"].strip() == "0" and _bit(cell, "M") is not None
        return ((HAS_M if has_m else 0)
                | (CLOCK_INVERTED if settings.get("CLKMUX") == "INV" else 0)
                | (SET_INVERTED if settings.get("LSRMUX") == "INV" else 0))
    if cell["type"] != "TRELLIS_COMB":
        return 0
    found = {"CCU2": CARRY, "DPRAM": STORES, "RAMW_BLOCK": BLOCKED}.get(mode, 0)
    if mode == "DPRAM":
        found |= CLOCK_INVERTED if settings.get("WCKMUX") == "INV" else 0
        found |= SET_INVERTED if settings.get("WREMUX") == "INV" else 0
    found |= JOINS if _bit(cell, "F1") is not None else 0
    is_more = _bit(cell, "FXA") is not None or _bit(cell, "FXB") is not None
    return found | (JOINS_MORE if is_more else 0)


def _bit(cell: Mapping, pin: str) -> int | str | None:
    """Return the bit at a pin, or None."""
    return next(iter(cell["connections"].get(pin, ())), None)


def _by_node(found: Mapping[int, int], order: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return a number of some nodes as an array in their order."""
    numbers = np.full(order.size, times.NO_TIME, np.int32)
    for node, number in found.items():
        numbers[node] = number
    return numbers[order]


def _groups(cells: Cells, graph: times.Graph) -> Groups:
    """Return cells and wires of each group."""
    groups = int(cells.group.max(initial=-1)) + 1
    members = np.argsort(cells.group, kind="stable")
    members = members[cells.group[members] >= 0].astype(np.int32)
    wires = np.flatnonzero(graph.kind != times.INSIDE)
    pairs = np.concatenate([
        np.stack([cells.group[graph.cell[end[wires]]], wires], axis=1)
        for end in (graph.source, graph.target)])
    pairs = np.unique(pairs[pairs[:, 0] >= 0], axis=0)
    return Groups(_first(cells.group[members], groups), members,
                  _first(pairs[:, 0], groups), pairs[:, 1].astype(np.int32))


def _first(numbers: NDArray, groups: int) -> NDArray[np.int32]:
    """Return where each group's entries begin in what is sorted by group."""
    return np.searchsorted(numbers, np.arange(groups + 1)).astype(np.int32)
