"""Moves of a placement: what lies in two equal regions changes places, if the tiles stay legal.

Which cells a tile may hold together are ECP5's rules as nextpnr has them (its legality check of a
tile): one clock and reset for all registers of a tile, one enable for those of a slice, carries by
slices, distributed memory in the two lower ones, and a table that takes another's output where it
can reach it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickwire.kernels.jit import kernel
from tickwire_hw.platform.floorplan import COLUMNS, ROWS
from tickwire_hw.platform.placement import placed, times
from tickwire_hw.platform.placement.crowding import crowd

PLACES = 4
"""Kinds of places: a tile's tables, its registers, its writer of memory, and block RAM."""
ONE_TABLE, ONE_REGISTER, ONE_CELL, ONE_SLICE, TWO_SLICES, TILES, ONE_MEMORY, STAYS = range(8)
"""Shapes of regions that a group needs."""
_TURNS = {ONE_MEMORY: 10, STAYS: 0}
"""How much more often than others a shape is tried: of memories there are few, with many wires."""
_MOST_GROUPS, _MOST_ARCS = 64, 1 << 18
_NEARBY = 3
"""A place beside what a wire leads to is this many tiles from it at most."""
_STEEPEST = 18.0
_HURRY = 0.5
"""Share of tries that are of urgent groups."""
_CONTROLS = placed.CLOCK_INVERTED | placed.SET_INVERTED


class Floor(NamedTuple):
    """What lies where.

    Attributes:
        holds: cell at ``[x, y, z, kind of place]``, or -1, ``int32``.
        is_fabric: whether a tile has logic cells, ``bool[x, y]``.
        memories: ``x``, ``y``, ``z`` of each block RAM, ``int32[n, 3]``.
        shape: region that a group needs, ``int8[groups]``.
        width: tiles that it is wide, ``int32[groups]``.
        anchor: its leftmost cell, ``int32[groups]``.
        turns: groups as they are to be tried, a memory more often than others,
            ``int32[n]``.
    """

    holds: NDArray[np.int32]
    is_fabric: NDArray[np.bool_]
    memories: NDArray[np.int32]
    shape: NDArray[np.int8]
    width: NDArray[np.int32]
    anchor: NDArray[np.int32]
    turns: NDArray[np.int32]


class Wish(NamedTuple):
    """What a placement is to be: short wires, and none longer than its paths allow.

    A wire of ``d`` ps costs ``weight * d + urgency * exp((d - allowed) / tolerance)``, and more of
    the first where tiles are asked for too many wires.

    Attributes:
        weight: of a wire's length, ``float64[arcs]``.
        crowding: prices of tiles, :class:`~tickwire_hw.platform.placement.crowding.Crowding`.
        allowed: picoseconds that each may take, ``int64[arcs]``.
        cost: what each costs as it lies, ``float64[arcs]``.
        urgency: what a wire costs that takes all that it may.
        tolerance: picoseconds.
    """

    weight: NDArray[np.float64]
    crowding: NDArray[np.float64]
    allowed: NDArray[np.int64]
    cost: NDArray[np.float64]
    urgency: float
    tolerance: float


def floor(design: placed.Placed) -> Floor:
    """Return what lies where.

    A row or a column of tiles is taken to be fabric if the placement has logic anywhere in it.
    """
    cells, groups = design.cells, design.groups
    holds = np.full((placed.WIDTH, placed.HEIGHT, placed.DEPTH, PLACES), -1, np.int32)
    moves = cells.kind != placed.OTHER
    spots = cells.x[moves], cells.y[moves], cells.z[moves], cells.kind[moves]
    holds[spots] = np.flatnonzero(moves)
    is_logic = moves & (cells.kind != placed.MEMORY)
    is_fabric = np.zeros(holds.shape[:2], np.bool_)
    is_fabric[np.ix_(np.unique(cells.x[is_logic]), np.unique(cells.y[is_logic]))] = True
    memories = [(column + 2 * place, row, place)
                for row in ROWS for column in COLUMNS for place in range(4)]
    shapes = [_shape(cells, groups.cell[first:last])
              for first, last in zip(groups.first_cell[:-1], groups.first_cell[1:], strict=True)]
    shape, width, anchor = zip(*shapes, strict=True)
    turns = np.repeat(np.arange(len(shape)), [_TURNS.get(each, 1) for each in shape])
    return Floor(holds, is_fabric, np.array(memories, np.int32), np.array(shape, np.int8),
                 np.array(width, np.int32), np.array(anchor, np.int32), turns.astype(np.int32))


def _shape(cells: placed.Cells, members: NDArray[np.int32]) -> tuple[int, int, int]:
    """Return shape, width and leftmost cell of a group."""
    x, y, z, kind = (column[members] for column in cells[:4])
    anchor, width = int(members[np.argmin(x)]), int(np.ptp(x)) + 1
    if kind[0] == placed.MEMORY:
        return ONE_MEMORY, 1, anchor
    if np.ptp(y):
        return STAYS, width, anchor
    if width > 1 or placed.WRITER in kind:
        return TILES, width, anchor
    if len(members) == 1:
        return (ONE_TABLE if kind[0] == placed.TABLE else ONE_REGISTER), 1, anchor
    for shape, size in ((ONE_CELL, 1), (ONE_SLICE, 2), (TWO_SLICES, 4)):
        if np.unique(z // size).size == 1:
            return shape, 1, anchor
    return TILES, 1, anchor


@kernel
def is_legal(x, y, holds, cells):
    """Return whether a tile may hold what it holds."""
    tile_set, controls = -1, -1
    for z in range(4):
        cell = holds[x, y, z, placed.TABLE]
        if cell >= 0 and cells.flags[cell] & placed.STORES:
            inverted = cells.flags[cell] & _CONTROLS
            if controls >= 0 and inverted != controls:
                return False
            controls = inverted
    is_written = holds[x, y, 4, placed.WRITER] >= 0
    for piece in range(4):
        slice_set, carries = -1, -1
        for z in range(2 * piece, 2 * piece + 2):
            cell, uses_m = holds[x, y, z, placed.TABLE], False
            if cell >= 0:
                flags = cells.flags[cell]
                is_writing = piece == 2 and is_written
                if is_writing != (flags & placed.BLOCKED != 0):
                    return False
                uses_m = flags & (placed.JOINS | placed.JOINS_MORE) != 0
                joins = placed.JOINS if z % 2 else placed.JOINS_MORE
                if flags & joins:
                    return False
                if flags & placed.STORES and piece > 1:
                    return False
                if carries >= 0 and carries != flags & placed.CARRY:
                    return False
                carries = flags & placed.CARRY
            register = holds[x, y, z, placed.REGISTER]
            if register >= 0:
                flags = cells.flags[register]
                if uses_m and flags & placed.HAS_M:
                    return False
                if slice_set >= 0 and cells.slice_set[register] != slice_set:
                    return False
                if tile_set >= 0 and cells.tile_set[register] != tile_set:
                    return False
                if controls >= 0 and flags & _CONTROLS != controls:
                    return False
                slice_set, tile_set = cells.slice_set[register], cells.tile_set[register]
    return True


@kernel
def count_illegal(floor, cells):
    """Return how many tiles hold what they may not."""
    found = 0
    for x in range(floor.holds.shape[0]):
        for y in range(floor.holds.shape[1]):
            if not is_legal(x, y, floor.holds, cells):
                found += 1
    return found


@kernel(inline=True)
def _cost(delay, weight, allowed, crowded, urgency, tolerance):
    """Return what a wire costs that takes ``delay``, and ``crowded`` parts more.

    It is given numbers: a tuple of arrays would have references counted for each wire.
    """
    over = (delay - allowed) / tolerance
    cost = weight * delay * (1 + crowded)
    if over > -5.0:
        cost += urgency * np.exp(min(over, _STEEPEST))
    return cost


@kernel
def price(graph, x, y, wish):
    """Write what each wire costs as it lies; return the sum."""
    total = 0.0
    for arc in range(graph.source.size):
        if graph.kind[arc] != times.INSIDE:
            here, there = graph.cell[graph.source[arc]], graph.cell[graph.target[arc]]
            crowded = crowd(wish.crowding, x[here], y[here], x[there], y[there])
            wish.cost[arc] = _cost(graph.delay[arc], wish.weight[arc], wish.allowed[arc], crowded,
                                   wish.urgency, wish.tolerance)
            total += wish.cost[arc]
    return total


@kernel(inline=True)
def _first_z(shape, z):
    """Return the lowest logic cell of the region of a shape that has ``z`` in it."""
    if shape == ONE_SLICE:
        return z // 2 * 2
    if shape == TWO_SLICES:
        return z // 4 * 4
    return 0 if shape == TILES else z


@kernel
def _gather(x, y, z, shape, width, floor, cells, found, counts, have):
    """Append the groups in a region to ``have`` that are found; return how many, -1 if too many."""
    kinds, depth = (0, 2), 1
    if shape == ONE_MEMORY:
        kinds = (placed.MEMORY, placed.MEMORY + 1)
    elif shape == ONE_TABLE:
        kinds = (placed.TABLE, placed.TABLE + 1)
    elif shape == ONE_REGISTER:
        kinds = (placed.REGISTER, placed.REGISTER + 1)
    elif shape == ONE_SLICE:
        depth = 2
    elif shape == TWO_SLICES:
        depth = 4
    elif shape == TILES:
        kinds, depth = (0, 3), placed.DEPTH
    before = have
    for tile in range(x, x + width):
        for place in range(z, z + depth):
            for kind in range(kinds[0], kinds[1]):
                cell = floor.holds[tile, y, place, kind]
                if cell < 0:
                    continue
                at = before
                while at < have and found[at] != cells.group[cell]:
                    at += 1
                if at == have:
                    if have == found.size:
                        return -1
                    found[at], counts[at] = cells.group[cell], 0
                    have += 1
                counts[at] += 1
    return have


@kernel
def _exchange(found, split, have, by_x, by_y, by_z, floor, groups, cells):
    """Move the first ``split`` groups by a distance, and the others back by as much."""
    for at in range(have):
        for place in range(groups.first_cell[found[at]], groups.first_cell[found[at] + 1]):
            cell = groups.cell[place]
            floor.holds[cells.x[cell], cells.y[cell], cells.z[cell], cells.kind[cell]] = -1
    for at in range(have):
        sign = 1 if at < split else -1
        for place in range(groups.first_cell[found[at]], groups.first_cell[found[at] + 1]):
            cell = groups.cell[place]
            cells.x[cell] += sign * by_x
            cells.y[cell] += sign * by_y
            cells.z[cell] += sign * by_z
            floor.holds[cells.x[cell], cells.y[cell], cells.z[cell], cells.kind[cell]] = cell


@kernel
def _aim(group, reach, directed, floor, groups, cells, graph, wish):
    """Return a place for a group: beside what one of its dearer wires leads to, or near its own."""
    shape, anchor = floor.shape[group], floor.anchor[group]
    x, y, z = cells.x[anchor], cells.y[anchor], _first_z(shape, cells.z[anchor])
    if shape == ONE_MEMORY:
        site = np.random.randint(floor.memories.shape[0])
        return floor.memories[site, 0], floor.memories[site, 1], floor.memories[site, 2]
    first, last = groups.first_arc[group], groups.first_arc[group + 1]
    if last > first and np.random.random() < directed:
        arc = groups.arc[np.random.randint(first, last)]
        other = groups.arc[np.random.randint(first, last)]
        if wish.cost[other] > wish.cost[arc]:
            arc = other
        cell = graph.cell[graph.source[arc]]
        if cells.group[cell] == group:
            cell = graph.cell[graph.target[arc]]
        x, y, reach = cells.x[cell], cells.y[cell], _NEARBY
    x += np.random.randint(-reach, reach + 1)
    y += np.random.randint(-reach, reach + 1)
    if shape <= ONE_CELL:
        z = np.random.randint(placed.DEPTH)
    elif shape == ONE_SLICE:
        z = 2 * np.random.randint(placed.DEPTH // 2)
    elif shape == TWO_SLICES:
        z = 4 * np.random.randint(placed.DEPTH // 4)
    return x, y, z


@kernel
def _is_within(x, y, width, floor):
    """Return whether tiles have logic cells."""
    if x < 0 or y < 0 or x + width > floor.is_fabric.shape[0] or y >= floor.is_fabric.shape[1]:
        return False
    return floor.is_fabric[x:x + width, y].all()


@kernel
def anneal(moves, seed, heat, reach, directed, urgent, floor, groups, cells, graph, wish, seen,
           stamp):
    """Try moves of random groups; return the last stamp, moves that were possible, and those made.

    A move that costs ``c`` more is made with the probability ``exp(-c / heat)``. Groups that are
    ``urgent``, if there are any, are tried more often. ``seen`` has a number of each wire that is
    below all stamps to come.
    """
    np.random.seed(seed)
    found, counts = np.empty(_MOST_GROUPS, np.int32), np.empty(_MOST_GROUPS, np.int32)
    arcs, costs = np.empty(_MOST_ARCS, np.int32), np.empty(_MOST_ARCS, np.float64)
    possible = made = 0
    for _ in range(moves):
        group = floor.turns[np.random.randint(floor.turns.size)]
        if urgent.size and np.random.random() < _HURRY:
            group = urgent[np.random.randint(urgent.size)]
        shape, width, anchor = floor.shape[group], floor.width[group], floor.anchor[group]
        x, y, z = cells.x[anchor], cells.y[anchor], _first_z(shape, cells.z[anchor])
        to_x, to_y, to_z = _aim(group, reach, directed, floor, groups, cells, graph, wish)
        if shape != ONE_MEMORY and not _is_within(to_x, to_y, width, floor):
            continue
        if y == to_y and abs(x - to_x) < width and (shape == TILES or z == to_z):
            continue
        split = _gather(x, y, z, shape, width, floor, cells, found, counts, 0)
        have = split
        if split >= 0:
            have = _gather(to_x, to_y, to_z, shape, width, floor, cells, found, counts, split)
        is_possible = have >= 0
        for at in range(have):
            size = groups.first_cell[found[at] + 1] - groups.first_cell[found[at]]
            is_possible = is_possible and counts[at] == size
        if not is_possible:
            continue
        _exchange(found, split, have, to_x - x, to_y - y, to_z - z, floor, groups, cells)
        if shape < TILES:
            is_possible = (is_legal(x, y, floor.holds, cells)
                           and is_legal(to_x, to_y, floor.holds, cells))
        more, wires = 0.0, 0
        if is_possible:
            possible += 1
            stamp += 1
            for at in range(have):
                for place in range(groups.first_arc[found[at]], groups.first_arc[found[at] + 1]):
                    arc = groups.arc[place]
                    if seen[arc] == stamp:
                        continue
                    seen[arc] = stamp
                    here, there = graph.cell[graph.source[arc]], graph.cell[graph.target[arc]]
                    at_x, at_y, there_x, there_y = (cells.x[here], cells.y[here],
                                                    cells.x[there], cells.y[there])
                    delay = times.wire_delay(graph.kind[arc], at_x, at_y, there_x, there_y)
                    arcs[wires] = arc
                    crowded = crowd(wish.crowding, at_x, at_y, there_x, there_y)
                    costs[wires] = _cost(delay, wish.weight[arc], wish.allowed[arc], crowded,
                                         wish.urgency, wish.tolerance)
                    more += costs[wires] - wish.cost[arc]
                    wires += 1
            is_possible = more <= 0 or np.random.random() < np.exp(-more / heat)
        if is_possible:
            made += 1
            for at in range(wires):
                wish.cost[arcs[at]] = costs[at]
        else:
            _exchange(found, split, have, x - to_x, y - to_y, z - to_z, floor, groups, cells)
    return stamp, possible, made
