"""What a way takes at least from a wire to a place some columns and rows away, as a table."""

import heapq
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickwire.kernels.jit import kernel
from tickwire_hw.platform.routing.fabric import TARGET, TIMING, Fabric
from tickwire_hw.platform.routing.wires import NONE, follow, pip_delay

_RADIUS = 14
_INPUT = re.compile(r"[ABCDM]\d")
_PIN = re.compile(r"[^FQ]\w*_SLICE|(MUX)?(CE|LSR)\d|DI\d|[ABCDM]\d")
_PER_PLACE, _PER_PLACE_FAR, _NEAR, _UNKNOWN = 35.0, 44.0, 3, 800.0
NOWHERE = 1e6
"""Picoseconds from a wire at a pin to any other place: there is no way."""
_NEVER = 1e9


class Distances(NamedTuple):
    """Picoseconds from wires to inputs of tables nearby.

    Attributes:
        row: of the table for each wire of each type of place, or :data:`NONE`, ``int32[wires]``.
        least: by row, rows down and columns across from ``-14`` on, ``float32[rows, 29, 29]``.
    """

    row: NDArray[np.int32]
    least: NDArray[np.float32]


def measure(fabric: Fabric) -> Distances:
    """Look from each wire of one place in the middle, of the type that there are most of.

    Wires of other types count as those of the same name.
    """
    graph = fabric.graph
    kind = int(np.bincount(graph.kind).argmax())
    places = np.flatnonzero(graph.kind == kind)
    middle = np.abs(places % graph.columns - graph.columns // 2) + np.abs(
        places // graph.columns - fabric.places // graph.columns // 2)
    place = int(places[middle.argmin()])
    numbers = {name: number for number, name in enumerate(fabric.names(kind))
               if graph.is_usable[graph.wires[kind] + number]}
    rows = {name: number for number, name in enumerate(numbers)}
    row = np.array([rows.get(name, NONE) for each in range(graph.wires.size - 1)
                    for name in fabric.names(each)], np.int32)
    is_input = np.array([bool(_INPUT.fullmatch(name)) for each in range(graph.wires.size - 1)
                         for name in fabric.names(each)])
    count, side = fabric.places * graph.slots, 2 * _RADIUS + 1
    cost, stamp = np.zeros(count, np.float32), np.full(count, NONE, np.int32)
    least = np.full((len(rows), side, side), _NEVER, np.float32)
    away = np.abs(np.arange(side) - _RADIUS)
    unknown = _UNKNOWN + _PER_PLACE * np.maximum(away[:, None] + away[None, :] - _NEAR, 0)
    for name, number in rows.items():
        if _PIN.fullmatch(name):
            least[number] = NOWHERE
            least[number, _RADIUS, _RADIUS] = 0
        else:
            _look(graph, is_input, place * graph.slots + numbers[name], least[number], cost, stamp,
                  number)
            least[number] = np.where(least[number] == _NEVER, unknown, least[number])
    return Distances(row, least)


@kernel
def _look(graph, is_input, start, least, cost, stamp, number):
    """Write the picoseconds from a wire to the nearest input of each place around."""
    radius = least.shape[0] // 2
    from_x, from_y = start // graph.slots % graph.columns, start // graph.slots // graph.columns
    waiting = [(np.float32(0), np.int64(start))]
    cost[start], stamp[start] = 0, number
    while len(waiting) > 0:
        so_far, wire = heapq.heappop(waiting)
        if so_far > cost[wire]:
            continue
        place = wire // graph.slots
        first = graph.wires[graph.kind[place]] + wire % graph.slots
        if is_input[first]:
            down = place // graph.columns - from_y + radius
            across = place % graph.columns - from_x + radius
            least[down, across] = min(least[down, across], so_far)
        for step in range(graph.steps[first], graph.steps[first + 1]):
            _, pip, x, y = follow(graph, place, step)
            if not (0 <= x < graph.columns and 0 <= y < graph.kind.size // graph.columns
                    and abs(x - from_x) <= radius and abs(y - from_y) <= radius):
                continue
            there = y * graph.columns + x
            if not graph.is_usable[graph.wires[graph.kind[there]] + graph.pip[pip, TARGET]]:
                continue
            then = there * graph.slots + graph.pip[pip, TARGET]
            takes = np.float32(so_far + pip_delay(graph, graph.pip[pip, TIMING], 1))
            if stamp[then] != number or takes < cost[then]:
                stamp[then], cost[then] = number, takes
                heapq.heappush(waiting, (takes, np.int64(then)))


@kernel(inline=True)
def least_to(least, row, across, down):
    """Return the picoseconds from a wire to an input some places away, at least as a rule.

    ``row`` is that of the wire in ``least``, :class:`Distances`. (Whole tuples of arrays, handed to
    a function with branches, have each array's references counted: two thirds of a search.)
    """
    if row == NONE:
        return _PER_PLACE * max(abs(across) + abs(down) - _NEAR, 0)
    radius = least.shape[1] // 2
    near_x, near_y = min(max(across, -radius), radius), min(max(down, -radius), radius)
    beyond = abs(across - near_x) + abs(down - near_y)
    return least[row, near_y + radius, near_x + radius] + _PER_PLACE_FAR * beyond
