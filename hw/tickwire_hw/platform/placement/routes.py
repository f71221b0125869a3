"""A routed design: how long its paths are, and which wires are to be routed once more.

nextpnr's ``router1`` gives a wire its way in the order of how critical it is, but each that comes
later may push those before it aside, and takes no account of what that costs their paths. So wires
of a few long paths take detours at the end that they would not need. Freed, they find another way
between those of others, of which nearly all can wait.
"""

from collections.abc import Mapping

import numpy as np

from tickwire_hw.platform.placement import placed, times
from tickwire_hw.platform.placement.delays import Pin

_NOWHERE = " "
"""A net's route in nextpnr's JSON if it has none: text, where nothing would be read as a number."""


class Routed:
    """A placement with the delays of its wires as they were routed.

    Delays through cells are those that it was read with: when nextpnr reads a placement back, every
    bit of a carry chain counts as slow.
    """

    def __init__(self, design: placed.Placed, wires: Mapping[tuple[Pin, Pin], int]) -> None:
        """Raises :class:`KeyError` for a wire without a delay."""
        self._design, cells = design, design.cells
        self._graph = graph = design.graph._replace(delay=design.graph.delay.copy())
        times.place_wires(graph, cells.x, cells.y)
        self._direct = graph.delay.copy()
        for arc in np.flatnonzero(graph.kind != times.INSIDE):
            graph.delay[arc] = wires[self._pin(graph.source[arc]), self._pin(graph.target[arc])]
        self._arrival = np.empty(graph.cell.size, np.int64)
        times.arrive(graph, self._arrival)
        self._ends = times.ends(graph, self._arrival)

    def _pin(self, node: int) -> Pin:
        design = self._design
        return design.names[self._graph.cell[node]], design.pins[node]

    def path(self) -> list[tuple[str, str, int]]:
        """Return the longest path: what a step is, a name and its picoseconds."""
        graph, node = self._graph, int(np.argmax(self._ends))
        path = times.longest(graph, self._arrival)
        first = int(graph.source[path[0]]) if path else node
        steps = [("clk-to-q", self._pin(first)[0], int(graph.start[first]))]
        steps += [("logic" if graph.kind[arc] == times.INSIDE else "routing",
                   self._pin(graph.target[arc])[0], int(graph.delay[arc])) for arc in path]
        return [*steps, ("setup", self._pin(node)[0], int(graph.setup[node]))]

    def lateness(self, period: int) -> tuple[int, int]:
        """Return how many paths' ends take more than ``period`` ps, and what the longest takes."""
        return int(np.count_nonzero(self._ends > period)), int(self._ends.max())

    def release(self, netlist: dict, period: int) -> int:
        """Take their routes from nets of late paths, if they take detours; return how many.

        ``netlist`` is the routed design as nextpnr wrote it. Of a path that takes more than
        ``period`` ps these are the nets with a wire on it that takes longer than such wires do in
        the mean.
        """
        graph, top = self._graph, netlist["modules"]["top"]
        allowed = np.empty(graph.delay.size, np.int64)
        times.allow(graph, period, self._arrival, np.empty_like(self._arrival), allowed)
        late = (graph.delay > allowed) & (graph.delay > self._direct)   # none within a cell
        bits: set[int] = set()
        for node in np.unique(graph.source[late]):
            cell, pin = self._pin(node)
            bits.update(top["cells"][cell]["connections"][pin])
        freed = 0
        for net in top["netnames"].values():
            if "ROUTING" in net["attributes"] and bits.intersection(net["bits"]):
                net["attributes"]["ROUTING"] = _NOWHERE
                freed += 1
        return freed
