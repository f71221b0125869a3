"""When signals arrive in a placed design, and how long each of its wires may take.

Delays of cells are nextpnr's. Those of wires before routing are not: nextpnr takes long wires for a
third longer than they are once routed, and some within a tile for none at all. Here a wire takes
what those of paths near the limit took in the mean, by tiles that they cross: 9,881 wires of a
routed pipeline, geometry ``plain``. Routed wires take what nextpnr says.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickwire.kernels.jit import kernel

INSIDE, FREE, WIRE = range(3)
"""What an arc is: a path through a cell, a wire that takes no time, or any other wire."""
NO_TIME = -1
"""Of a node that no clock starts or ends."""
UNBOUNDED = 1 << 30
"""Picoseconds that nothing takes."""
_WITHIN, _BASE, _NEAR = 280, 394, 5
_ACROSS, _ACROSS_FAR, _DOWN, _DOWN_FAR = 68, 37, 89, 39


class Graph(NamedTuple):
    """Pins of a design and what connects them, in an order in which arcs lead onwards.

    Attributes:
        source: node that an arc comes from, ``int32[arcs]``; arcs are sorted by ``target``.
        target: node that it leads to, ``int32[arcs]``.
        kind: :data:`INSIDE` or a kind of wire, ``int8[arcs]``.
        delay: picoseconds, of a wire as it was placed last, ``int32[arcs]``.
        cell: cell of a node, ``int32[nodes]``.
        start: clock to output of a node, or :data:`NO_TIME`, ``int32[nodes]``.
        setup: what a clock needs before its edge at a node, or :data:`NO_TIME`, ``int32[nodes]``.
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    kind: NDArray[np.int8]
    delay: NDArray[np.int32]
    cell: NDArray[np.int32]
    start: NDArray[np.int32]
    setup: NDArray[np.int32]


@kernel(inline=True)
def wire_delay(kind, x, y, to_x, to_y):
    """Return the picoseconds of a wire between two tiles."""
    across, down = abs(x - to_x), abs(y - to_y)
    if kind == FREE:
        return 0
    if across == 0 and down == 0:
        return _WITHIN
    return (_BASE + _ACROSS * min(across, _NEAR) + _ACROSS_FAR * max(across - _NEAR, 0)
            + _DOWN * min(down, _NEAR) + _DOWN_FAR * max(down - _NEAR, 0))


@kernel
def place_wires(graph, x, y):
    """Write the delay of each wire between cells that lie in the tiles ``x``, ``y``."""
    for arc in range(graph.source.size):
        if graph.kind[arc] != INSIDE:
            here, there = graph.cell[graph.source[arc]], graph.cell[graph.target[arc]]
            graph.delay[arc] = wire_delay(graph.kind[arc], x[here], y[here], x[there], y[there])


@kernel
def arrive(graph, arrival):
    """Write when each node's signal arrives after the clock's edge; :data:`NO_TIME` if never."""
    for node in range(arrival.size):
        arrival[node] = graph.start[node]
    for arc in range(graph.source.size):
        begins = arrival[graph.source[arc]]
        if begins != NO_TIME:
            ends = begins + graph.delay[arc]
            arrival[graph.target[arc]] = max(arrival[graph.target[arc]], ends)


@kernel
def allow(graph, period, arrival, latest, allowed):
    """Write into ``allowed`` what each wire may take if no path is to be longer than ``period``.

    ``latest`` is room for a number of each node. A wire that no clock waits for may take any time.
    """
    for node in range(latest.size):
        latest[node] = UNBOUNDED
        if graph.setup[node] != NO_TIME:
            latest[node] = period - graph.setup[node]
    for arc in range(graph.source.size - 1, -1, -1):
        before = latest[graph.target[arc]] - graph.delay[arc]
        latest[graph.source[arc]] = min(latest[graph.source[arc]], before)
    for arc in range(graph.source.size):
        begins = arrival[graph.source[arc]]
        allowed[arc] = UNBOUNDED
        if begins != NO_TIME:
            allowed[arc] = latest[graph.target[arc]] - begins


def ends(graph: Graph, arrival: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the picoseconds of the longest path to each node that a clock waits for, or 0."""
    waits = (graph.setup != NO_TIME) & (arrival != NO_TIME)
    return np.where(waits, arrival + graph.setup, 0)


def longest(graph: Graph, arrival: NDArray[np.int64]) -> list[int]:
    """Return the arcs of the longest path, from its clock to the node that a clock waits for."""
    node = int(np.argmax(ends(graph, arrival)))
    path: list[int] = []
    while True:
        low, high = np.searchsorted(graph.target, [node, node + 1])
        source = graph.source[low:high]
        leads = np.flatnonzero((arrival[source] != NO_TIME)
                               & (arrival[source] + graph.delay[low:high] == arrival[node]))
        if not leads.size:
            return path[::-1]
        path.append(int(low + leads[0]))
        node = int(graph.source[path[-1]])


@kernel
def in_order(nodes, source, target, order):
    """Write the nodes in an order in which every arc leads onwards; return how many there are.

    Fewer than ``nodes`` are in such an order if arcs lead around.
    """
    waiting, first = np.zeros(nodes, np.int32), np.zeros(nodes + 1, np.int32)
    for arc in range(source.size):
        waiting[target[arc]] += 1
        first[source[arc] + 1] += 1
    first = np.cumsum(first)
    filled, leads = first[:-1].copy(), np.empty(source.size, np.int32)
    for arc in range(source.size):
        leads[filled[source[arc]]] = target[arc]
        filled[source[arc]] += 1
    written = 0
    for node in range(nodes):
        if waiting[node] == 0:
            order[written] = node
            written += 1
    read = 0
    while read < written:
        node = order[read]
        read += 1
        for place in range(first[node], first[node + 1]):
            then = leads[place]
            waiting[then] -= 1
            if waiting[then] == 0:
                order[written] = then
                written += 1
    return written
