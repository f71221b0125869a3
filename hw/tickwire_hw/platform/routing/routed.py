"""A routed design: how long its paths are, and what each of its wires may take."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tickwire_hw.platform.placement import placed, times
from tickwire_hw.platform.placement.delays import Pin


class Routed:
    """A placement with the delays of its wires as they were routed.

    Delays through cells are those that it was read with: when nextpnr reads a placement back, every
    bit of a carry chain counts as slow.

    Attributes:
        design: the placement.
        graph: its graph, with the delays of routed wires; :meth:`arrive` comes after each change.
        direct: picoseconds that such wires take in the mean, ``int32[arcs]``.
    """

    def __init__(self, design: placed.Placed, wires: Mapping[tuple[Pin, Pin], int]) -> None:
        """Raises :class:`KeyError` for a wire without a delay."""
        self.design, cells = design, design.cells
        self.graph = graph = design.graph._replace(delay=design.graph.delay.copy())
        times.place_wires(graph, cells.x, cells.y)
        self.direct = graph.delay.copy()
        for arc in np.flatnonzero(graph.kind != times.INSIDE):
            graph.delay[arc] = wires[self._pin(graph.source[arc]), self._pin(graph.target[arc])]
        self._arrival = np.empty(graph.cell.size, np.int64)
        self._latest, self._allowed = self._arrival.copy(), np.empty(graph.delay.size, np.int64)
        self.arrive()

    def arrive(self) -> None:
        """Find when signals arrive, by the graph's delays."""
        times.arrive(self.graph, self._arrival)
        self._ends = times.ends(self.graph, self._arrival)

    def _pin(self, node: int) -> Pin:
        design = self.design
        return design.names[self.graph.cell[node]], design.pins[node]

    def path(self) -> list[tuple[str, str, int]]:
        """Return the longest path: what a step is, a name and its picoseconds."""
        graph, node = self.graph, int(np.argmax(self._ends))
        path = times.longest(graph, self._arrival)
        first = int(graph.source[path[0]]) if path else node
        steps = [("clk-to-q", self._pin(first)[0], int(graph.start[first]))]
        steps += [("logic" if graph.kind[arc] == times.INSIDE else "routing",
                   self._pin(graph.target[arc])[0], int(graph.delay[arc])) for arc in path]
        return [*steps, ("setup", self._pin(node)[0], int(graph.setup[node]))]

    def lateness(self, period: int) -> tuple[int, int]:
        """Return how many paths' ends take more than ``period`` ps, and what the longest takes."""
        return int(np.count_nonzero(self._ends > period)), int(self._ends.max())

    def overrun(self, period: int) -> tuple[int, int, int]:
        """Return by how many picoseconds ends are late in all, and :meth:`lateness`."""
        return int(np.maximum(self._ends - period, 0).sum()), *self.lateness(period)

    def slack(self, period: int) -> NDArray[np.int64]:
        """Return by how much each arc could take longer if no path takes more than ``period``."""
        times.allow(self.graph, period, self._arrival, self._latest, self._allowed)
        return self._allowed - self.graph.delay
