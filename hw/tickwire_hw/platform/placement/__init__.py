"""Make the longest paths of a placement shorter: nextpnr's own refinement moves cells by few tiles.

A placement comes from nextpnr, is annealed for what its paths may take, and goes back to nextpnr
to be routed. What it moves are groups of cells that keep their places to each other; in between,
tables and registers that drive wires to two places get a copy.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tickwire_hw.platform.placement import moves, placed, times
from tickwire_hw.platform.placement.copies import copy_drivers
from tickwire_hw.platform.placement.crowding import Crowding
from tickwire_hw.platform.placement.delays import Delays

_LOOKS = 7
"""Looks at all paths while a move is tried for each group."""
_ROUND = 20
"""Looks between two changes of how far a move may go: less far if fewer are made than wanted."""
_ACCEPTED, _LEAST_REACH = 0.2, 3.0
_DIRECTED = 0.4
"""Share of moves to where one of the group's wires leads."""
_URGENCY, _TOLERANCE = 10.0, 300.0
_ALMOST_PS = 200
"""Groups are urgent whose wires' paths are less than this much shorter than wanted."""
_NEAR_TILE = 78.0
"""Picoseconds of a wire of one tile more, which weighs 1 if it has one sink."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the cooling.

    Attributes:
        moves: tries a group.
        heat: what a move may cost more at the start, in tiles of a wire to one sink.
        cold: the same at the end.
        reach: most tiles that a move goes, at the start.
        tolerance: picoseconds that a wire may take more until that costs e times as much.
        copies: whether drivers are copied before it.
        crowded: whether wires cost more where tiles are asked for too much. It is no use before
            paths are short: then it keeps them long.
    """

    moves: int
    heat: float
    cold: float
    reach: float
    tolerance: float = _TOLERANCE
    copies: bool = False
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class Cooling:
    """How a placement is annealed.

    Attributes:
        aim: picoseconds that paths may take for 125 MHz. Less than its period: once routed wires
            take longer than in the mean, too.
        stages: one after the other.
    """

    aim: int
    stages: Sequence[Stage]


COOLINGS = {
    "heap": Cooling(7_000, (
        Stage(400, 0.5, 0.1, 10.0), Stage(500, 0.3, 0.02, 8.0, copies=True),
        Stage(1_000, 0.3, 0.02, 8.0, 200.0), Stage(1_000, 0.4, 0.02, 8.0, 200.0, copies=True),
        Stage(300, 0.5, 0.02, 8.0, 200.0, crowded=True))),
    "static": Cooling(7_000, (
        Stage(900, 5.0, 0.8, 40.0), Stage(400, 0.9, 0.3, 10.0, copies=True),
        Stage(400, 0.5, 0.1, 10.0, copies=True), Stage(500, 0.3, 0.02, 8.0, copies=True))),
}
"""By nextpnr's placer: ``static`` heeds delays little, and what it places begins hot."""


class Work:
    """A placement while it is worked on."""

    def __init__(self, netlist: dict, delays: Delays, period: int) -> None:
        self.design = placed.Placed(netlist, delays)
        self.where = moves.floor(self.design)
        graph = self.design.graph
        self.period = period
        self._arrival = np.empty(graph.cell.size, np.int64)
        self._latest = np.empty(graph.cell.size, np.int64)
        sinks = np.bincount(graph.source[graph.kind != times.INSIDE], minlength=graph.cell.size)
        weight = 1 / (_NEAR_TILE * np.maximum(sinks[graph.source], 1))
        arcs = graph.source.size
        self.crowding = Crowding(1 / np.sqrt(np.maximum(sinks[graph.source], 1)))
        self._wish = moves.Wish(weight, self.crowding.price, np.empty(arcs, np.int64),
                                np.zeros(arcs), _URGENCY, _TOLERANCE)
        self._seen, self._stamp = np.zeros(arcs, np.int64), 0
        self.look()

    def look(self) -> None:
        """Work out delays of wires, what each path takes, and what each wire may take and costs."""
        graph, cells = self.design.graph, self.design.cells
        times.place_wires(graph, cells.x, cells.y)
        times.arrive(graph, self._arrival)
        times.allow(graph, self.period, self._arrival, self._latest, self._wish.allowed)
        self.crowding.look(graph, cells.x, cells.y)
        moves.price(graph, cells.x, cells.y, self._wish)

    @property
    def ends(self) -> np.ndarray:
        """Picoseconds of the longest path to each node that a clock waits for; 0 of others."""
        return times.ends(self.design.graph, self._arrival)

    @property
    def urgent(self) -> np.ndarray:
        """Groups at the ends of wires of paths that are too long, or almost."""
        graph, cells = self.design.graph, self.design.cells
        wires = np.flatnonzero((graph.kind != times.INSIDE) & (self.slack < _ALMOST_PS))
        ends = np.concatenate([graph.source[wires], graph.target[wires]])
        found = np.unique(cells.group[graph.cell[ends]])
        return found[(found >= 0) & (self.where.shape[found] != moves.STAYS)]

    @property
    def slack(self) -> np.ndarray:
        """Picoseconds that each wire could take more."""
        return self._wish.allowed - self.design.graph.delay

    def cool(self, stage: Stage, seed: int) -> None:
        """Anneal the placement."""
        design = self.design
        self._wish = self._wish._replace(tolerance=stage.tolerance)
        self.crowding.is_heeded = stage.crowded
        self.look()
        tries = math.ceil(self.where.shape.size / _LOOKS)
        looks = stage.moves * _LOOKS
        reach = stage.reach
        possible = made = 0
        for look in range(looks):
            heat = stage.heat * (stage.cold / stage.heat) ** (look / looks)
            self._stamp, could, did = moves.anneal(
                tries, seed * looks + look, heat, int(reach), _DIRECTED, self.urgent, self.where,
                design.groups, design.cells, design.graph, self._wish, self._seen, self._stamp)
            possible, made = possible + could, made + did
            if look % _ROUND == _ROUND - 1:
                change = 1 - _ACCEPTED + made / max(possible, 1)
                reach = min(stage.reach, max(_LEAST_REACH, reach * change))
                possible = made = 0
            self.look()

    def text(self) -> str:
        """Return how long paths are as a line."""
        took = self.ends
        return (f"longest path {took.max() / 1000:.2f} ns, "
                f"{np.count_nonzero(took > self.period)} beyond {self.period / 1000:g} ns, "
                f"{self.crowding.fullest:.0f} wires in the fullest tiles")


def refine(netlist: dict, delays: Delays, stages: Sequence[Stage], *, period: int, seed: int = 1,
           say: Callable[[str], None] = lambda _: None) -> placed.Placed:
    """Make the paths of a placement shorter that take more than ``period`` ps; return it.

    Changes ``netlist``, as nextpnr writes it with ``--write`` before routing, and ``delays``, of
    its SDF: there are copies in both, and cells have other places. Says how far it is. The same
    seed gives the same placement.
    """
    work = Work(netlist, delays, period)
    say(f"placed: {work.text()}")
    for number, stage in enumerate(stages):
        if stage.copies:
            copies = 0
            for kind in (placed.TABLE, placed.REGISTER):
                copies += copy_drivers(work.design, work.where, work.slack, 0, kind)
                work = Work(netlist, delays, period)
            say(f"{copies} copies of what drives them")
        work.cool(stage, seed + number)
        say(f"refined: {work.text()}")
    work.design.write()
    return work.design
