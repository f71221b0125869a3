"""Which net has which wire of a device, when signals reach it, and shortest ways to others.

Delays are nextpnr's for a routed design: a pip takes what its class takes, and more for each pip
that its source drives. For ``small``, geometry of the pipeline, none of 232,079 wires differs from
what nextpnr says in SDF.
"""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickwire.kernels.jit import kernel
from tickwire_hw.platform.routing.fabric import (
    PERMUTED,
    PERMUTES,
    TARGET,
    TARGET_X,
    TARGET_Y,
    TIMING,
)

NONE = -1
NEVER = -(1 << 30)
"""Spare time of a wire that must stay with its net."""
_ANY = 1 << 30
_PER_PLACE, _NEAR = 35, 3
"""Picoseconds that a place counts beyond the first, while a way is looked for.

Of 188,062 wires of ``small`` as ``router1`` routed it, 99 in 100 took 44 or more a place.
"""


class Wires(NamedTuple):
    """Trees of nets, by wire; :data:`NONE` where there is nothing.

    Attributes:
        net: that has the wire, ``int32[wires]``.
        before: wire that drives it, none for a net's first, ``int32[wires]``.
        place: of the pip between them, ``int32[wires]``.
        pip: its number among those of the place, ``int32[wires]``.
        leads: pips that the wire drives, ``int32[wires]``.
    """

    net: NDArray[np.int32]
    before: NDArray[np.int32]
    place: NDArray[np.int32]
    pip: NDArray[np.int32]
    leads: NDArray[np.int32]


class Search(NamedTuple):
    """Room for searches. What was written in another than the last counts as never written.

    Attributes:
        stamp: number of the search that reached a wire last, ``int32[wires]``.
        cost: of the way there, ``int32[wires]``.
        delay: picoseconds of it, ``int32[wires]``.
        before: wire before it on the way, :data:`NONE` for those that it begins at.
        place: of the pip between them, ``int32[wires]``.
        pip: its number there, ``int32[wires]``.
    """

    stamp: NDArray[np.int32]
    cost: NDArray[np.int32]
    delay: NDArray[np.int32]
    before: NDArray[np.int32]
    place: NDArray[np.int32]
    pip: NDArray[np.int32]


class Rules(NamedTuple):
    """What a way may take.

    Attributes:
        spare: picoseconds that a net's wire may take longer, ``int32[wires]``.
        keeps_input: whether a table's input must be the one it is, ``bool[wires]``.
        pushed: how often each was pushed aside in vain, ``int32[wires]``.
        least: spare picoseconds of wires that may be pushed aside, or :data:`NONE` for no wire.
        price: picoseconds that each of those counts as, and once more for each time in vain.
        first_x, last_x, first_y, last_y: places to stay within.
        limit: picoseconds that the way must stay below.
    """

    spare: NDArray[np.int32]
    keeps_input: NDArray[np.bool_]
    pushed: NDArray[np.int32]
    least: int
    price: int
    first_x: int
    last_x: int
    first_y: int
    last_y: int
    limit: int


def no_wires(count: int) -> Wires:
    """Return trees of no nets."""
    return Wires(*(np.full(count, NONE, np.int32) for _ in range(4)), np.zeros(count, np.int32))


def no_search(count: int) -> Search:
    """Return room for searches."""
    return Search(*(np.zeros(count, np.int32) for _ in Search._fields))


@kernel(inline=True)
def follow(graph, place, step):
    """Return the place of a step's pip, its number, and where the wire is that it leads to."""
    at = place + graph.step[step, 0] + graph.step[step, 1] * graph.columns
    pip = graph.pips[graph.kind[at]] + graph.step[step, 2]
    x = at % graph.columns + graph.pip[pip, TARGET_X]
    return at, pip, x, at // graph.columns + graph.pip[pip, TARGET_Y]


@kernel
def find_pips(graph, wires, which):
    """Write the pips of wires whose ``before`` and ``place`` are known, and what each leads to.

    Returns how many the device does not have.
    """
    missing = 0
    for wire in which:
        source = wires.before[wire]
        if source == NONE:
            continue
        wires.leads[source] += 1
        place = source // graph.slots
        first = graph.wires[graph.kind[place]] + source % graph.slots
        for step in range(graph.steps[first], graph.steps[first + 1]):
            at, pip, x, y = follow(graph, place, step)
            then = (y * graph.columns + x) * graph.slots + graph.pip[pip, TARGET]
            if at == wires.place[wire] and then == wire:
                wires.pip[wire] = graph.step[step, 2]
        missing += wires.pip[wire] == NONE
    return missing


@kernel(inline=True)
def pip_delay(graph, timing, leads):
    """Return the picoseconds of a pip of a class whose source drives ``leads``."""
    return graph.delay[timing, 0] + leads * graph.delay[timing, 1]


@kernel(inline=True)
def may_enter(flags, is_end, keeps_input):
    """Return whether a way may take a pip: those to a table's inputs end it, and may swap two."""
    return not flags & PERMUTED or (is_end and (not keeps_input or flags & 3 == flags >> 2 & 3))


@kernel
def reach(graph, wires, wire):
    """Return the picoseconds from its net's first wire to this one."""
    total = 0
    while wires.before[wire] != NONE:
        pip = graph.pips[graph.kind[wires.place[wire]]] + wires.pip[wire]
        wire = wires.before[wire]
        total += pip_delay(graph, graph.pip[pip, TIMING], wires.leads[wire])
    return total


@kernel
def reach_all(graph, wires, which, delay):
    """Write what :func:`reach` returns for each wire."""
    for number in range(which.size):
        delay[number] = reach(graph, wires, which[number])


@kernel
def write_spare(wires, ends, slack, stays, spare):
    """Write what each net's wires may take longer: the least that the ends have it leads to.

    ``ends`` are wires that end in pins, with picoseconds of ``slack``; no wire moves that leads to
    one of ``stays``.
    """
    for wire in range(spare.size):
        spare[wire] = _ANY if wires.net[wire] != NONE else 0
    for last in stays:
        wire = last
        while wire != NONE and spare[wire] != NEVER:
            spare[wire] = NEVER
            wire = wires.before[wire]
    for number in range(ends.size):
        wire = ends[number]
        while wire != NONE and spare[wire] > slack[number]:
            spare[wire] = slack[number]
            wire = wires.before[wire]


@kernel(inline=True)
def least_from(graph, place, target):
    """Return the picoseconds that a way from one place to another takes at least, almost always."""
    across = abs(place % graph.columns - target % graph.columns)
    down = abs(place // graph.columns - target // graph.columns)
    return _PER_PLACE * max(across + down - _NEAR, 0)


@kernel
def find_way(graph, wires, starts, target, rules, search, stamp):
    """Find the cheapest way from one of a net's wires to another wire; return its picoseconds.

    Returns :data:`NONE` if there is no way within the rules. A way's cost is the picoseconds that
    the signal takes from its net's first wire, and the price of what it pushes aside. (Hart,
    Nilsson and Raphael, A formal basis for the heuristic determination of minimum cost paths, 1968;
    where a place takes less than :func:`least_from` says, a way may be missed.)
    """
    net, goal = wires.net[starts[0]], target // graph.slots
    waiting = [(np.int64(0), np.int64(0)) for _ in range(0)]
    for wire in starts:
        search.stamp[wire] = stamp
        search.cost[wire] = search.delay[wire] = reach(graph, wires, wire)
        search.before[wire] = NONE
        least = search.cost[wire] + least_from(graph, wire // graph.slots, goal)
        heapq.heappush(waiting, (np.int64(least), np.int64(wire)))
    while len(waiting) > 0:
        least, wire = heapq.heappop(waiting)
        place, cost = wire // graph.slots, search.cost[wire]
        if least > cost + least_from(graph, place, goal):
            continue
        if wire == target:
            return search.delay[wire]
        leads = wires.leads[wire] + 1 if search.before[wire] == NONE else 1
        first = graph.wires[graph.kind[place]] + wire % graph.slots
        for step in range(graph.steps[first], graph.steps[first + 1]):
            at, pip, x, y = follow(graph, place, step)
            if not (rules.first_x <= x <= rules.last_x and rules.first_y <= y <= rules.last_y):
                continue
            there = y * graph.columns + x
            then = there * graph.slots + graph.pip[pip, TARGET]
            if not graph.is_usable[graph.wires[graph.kind[there]] + graph.pip[pip, TARGET]]:
                continue
            if not may_enter(graph.pip[pip, PERMUTES], then == target, rules.keeps_input[then]):
                continue
            takes = pip_delay(graph, graph.pip[pip, TIMING], leads)
            delay = search.delay[wire] + takes
            left = least_from(graph, there, goal)
            if delay + left >= rules.limit or wires.net[then] == net:
                continue
            so_far = cost + takes
            if wires.net[then] != NONE:
                is_first = wires.before[then] == NONE
                if rules.least == NONE or rules.spare[then] < rules.least or is_first:
                    continue
                so_far += rules.price * (1 + rules.pushed[then])
            if search.stamp[then] != stamp or so_far < search.cost[then]:
                search.stamp[then], search.cost[then] = stamp, so_far
                search.delay[then], search.before[then] = delay, wire
                search.place[then], search.pip[then] = at, graph.step[step, 2]
                heapq.heappush(waiting, (np.int64(so_far + left), np.int64(then)))
    return NONE
