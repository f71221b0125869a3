"""Ways of nets that may share wires for the time being, each at a price."""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickwire.kernels.jit import kernel
from tickwire_hw.platform.routing.distances import NOWHERE, least_to
from tickwire_hw.platform.routing.fabric import (
    PERMUTES,
    TARGET,
    TIMING,
)
from tickwire_hw.platform.routing.wires import (
    NONE,
    Search,
    follow,
    may_enter,
    no_search,
    pip_delay,
)

_PER_WIRE = 15.0
"""Picoseconds that each wire counts as, so that a way of few is taken among equals."""
_EAGER = 1.1
"""How much more than at least the rest of a way counts as: fewer wires are looked at."""
_STEPS = 4
_URGENT = 0.97
_MANY, _MANY_NEAR, _CALM = 64, 6, 0.5
"""Ways to what can wait begin near it, in nets that have many wires already."""
FAILED = 20_000.0
"""Picoseconds of an end that no way led to."""


class Nets(NamedTuple):
    """What is to be connected; net ``n`` has the ends from ``first[n]`` to ``first[n + 1]``.

    Attributes:
        source: wire that drives each net, ``int64[nets]``.
        first: number of each net's first end, ``int64[nets + 1]``.
        end: wires that nets lead to, ``int64[ends]``.
        keeps_input: whether that must be the table's input that it is, ``bool[ends]``.
        is_network: whether a clock's network begins there, to which no estimate leads,
            ``bool[ends]``.
    """

    source: NDArray[np.int64]
    first: NDArray[np.int64]
    end: NDArray[np.int64]
    keeps_input: NDArray[np.bool_]
    is_network: NDArray[np.bool_]


class Wants(NamedTuple):
    """What ends ask for in a turn.

    Attributes:
        order: of the ends within their nets, ``int64[ends]``.
        urgency: 0 of what can wait to 1 of what is late, ``float32[ends]``.
        limit: picoseconds that an end may take, ``float32[ends]``.
        is_due: whether it needs another way, ``bool[ends]``; it has one afterwards.
        delay: picoseconds that it takes if each wire drives one other, 0 for none yet,
            ``float32[ends]``.
    """

    order: NDArray[np.int64]
    urgency: NDArray[np.float32]
    limit: NDArray[np.float32]
    is_due: NDArray[np.bool_]
    delay: NDArray[np.float32]


class Room(NamedTuple):
    """What is known of wires, and room for the net in hand.

    Attributes:
        holders: nets that have a wire, ``int16[wires]``.
        history: picoseconds that it costs more for having been shared, ``float32[wires]``.
        keeper: net that keeps a wire of several, or :data:`NONE`, ``int32[wires]``.
        net: the last net that had it in its tree, by ``stamps``, ``int32[wires]``.
        reach: picoseconds to it in that tree, ``float32[wires]``.
        row: its row among the trees, ``int32[wires]``.
        leads: pips that it drives in that tree, ``int32[wires]``.
        search: of a way; its costs are ``float32[wires]`` here.
        stamps: numbers of the search and of the net in hand, ``int64[2]``.
        chain: rows from an end up, ``int64[longest]``.
    """

    holders: NDArray[np.int16]
    history: NDArray[np.float32]
    keeper: NDArray[np.int32]
    net: NDArray[np.int32]
    reach: NDArray[np.float32]
    row: NDArray[np.int32]
    leads: NDArray[np.int32]
    search: Search
    stamps: NDArray[np.int64]
    chain: NDArray[np.int64]


def no_room(wires: int) -> Room:
    """Return what is known of wires before any has a net."""
    costs = np.zeros(wires, np.float32)
    numbers = [np.zeros(wires, np.int32) for _ in range(3)]
    return Room(np.zeros(wires, np.int16), costs.copy(), np.full(wires, NONE, np.int32),
                numbers[0], costs.copy(), *numbers[1:], no_search(wires)._replace(cost=costs),
                np.zeros(2, np.int64), np.zeros(1 << 13, np.int64))


@kernel
def route(graph, distances, nets, wants, trees, room, which, price, around):
    """Give each end that is due a way, net by net; return how many found none.

    Before, ends behind a wire that several nets have are due too, but for those of its keeper.
    A wire costs what it takes, as far as the end is urgent, and otherwise that and its history
    times ``1 + price`` for each other net that has it. Ways stay ``around`` places near the ends.
    """
    failed = 0
    for net in which:
        top = trees.used[0]
        length = _keep(graph, nets, wants, trees, room, net, top)
        for number in range(nets.first[net], nets.first[net + 1]):
            end = wants.order[number]
            if not wants.is_due[end]:
                continue
            wants.is_due[end] = False
            wire = nets.end[end]
            if room.net[wire] != room.stamps[1]:
                if not _search(graph, distances, nets, wants, trees, room, end, top, length, price,
                               around):
                    failed += 1
                    wants.delay[end] = FAILED
                    wants.is_due[end] = True
                    continue
                length = _add(trees, room, top, length, wire)
            wants.delay[end] = room.reach[wire]
        trees.first[net], trees.length[net] = top, length
        trees.used[0] = top + length
        for row in range(top, top + length):
            room.holders[trees.wire[row]] += 1
    return failed


@kernel
def _keep(graph, nets, wants, trees, room, net, top):
    """Write those rows of a net again that may stay; return how many."""
    room.stamps[1] += 1
    first, length = trees.first[net], trees.length[net]
    for row in range(first, first + length):
        room.holders[trees.wire[row]] -= 1
        room.row[trees.wire[row]] = row
    source = nets.source[net]
    trees.wire[top], trees.before[top] = source, NONE
    trees.place[top] = trees.pip[top] = NONE
    room.net[source], room.reach[source] = room.stamps[1], 0
    kept = 1
    for number in range(nets.first[net], nets.first[net + 1]):
        end = wants.order[number]
        if wants.is_due[end]:
            continue
        wire, links = nets.end[end], 0
        while room.net[wire] != room.stamps[1]:
            if room.holders[wire] > 0 and room.keeper[wire] != net:
                wants.is_due[end] = True
                break
            room.chain[links] = room.row[wire]
            links += 1
            wire = trees.before[room.row[wire]]
        if wants.is_due[end]:
            continue
        while links > 0:
            links -= 1
            row, to = room.chain[links], top + kept
            wire, before = trees.wire[row], trees.before[row]
            trees.wire[to], trees.before[to] = wire, before
            trees.place[to], trees.pip[to] = trees.place[row], trees.pip[row]
            pip = graph.pips[graph.kind[trees.place[row]]] + trees.pip[row]
            room.net[wire] = room.stamps[1]
            room.reach[wire] = room.reach[before] + pip_delay(graph, graph.pip[pip, TIMING], 1)
            kept += 1
        wants.delay[end] = room.reach[nets.end[end]]
    return kept


@kernel
def _add(trees, room, top, length, wire):
    """Add the way that was found last to a net's rows; return how many it has."""
    links = 0
    while room.search.before[wire] != NONE:
        room.chain[links] = wire
        links += 1
        wire = room.search.before[wire]
    while links > 0:
        links -= 1
        wire, row = room.chain[links], top + length
        trees.wire[row], trees.before[row] = wire, room.search.before[wire]
        trees.place[row], trees.pip[row] = room.search.place[wire], room.search.pip[wire]
        room.net[wire], room.reach[wire] = room.stamps[1], room.search.delay[wire]
        length += 1
    return length


@kernel
def _search(graph, distances, nets, wants, trees, room, end, top, length, price, around):
    """Look for a way within an end's limit, then for a fast one, one as fast as before, and any."""
    urgency, limit, before = wants.urgency[end], wants.limit[end], wants.delay[end]
    for attempt in range(_STEPS):
        if attempt == 1:
            urgency = max(urgency, np.float32(_URGENT))
        elif attempt == 2:
            if before == 0:
                continue
            limit = before + np.float32(1)
        elif attempt == 3:
            limit, around = np.float32(FAILED), graph.columns
        if _find(graph, distances, nets, trees, room, end, top, length, price, around, urgency,
                 limit):
            return True
    return False


@kernel(inline=True)
def _left(is_network, least, row, across, down):
    """Return the picoseconds that a way to an end takes from a wire, at least as a rule."""
    return 0.0 if is_network else least_to(least, row, across, down)


@kernel
def _find(graph, distances, nets, trees, room, end, top, length, price, around, urgency, limit):
    """Find the cheapest way from a net's wires to an end; return whether there is one."""
    wires, kind, slots, columns = graph.wires, graph.kind, graph.slots, graph.columns
    target, search, rows = nets.end[end], room.search, kind.size // columns
    is_network, keeps_input = nets.is_network[end], nets.keeps_input[end]
    rows_of, least_of = distances.row, distances.least
    around = columns if is_network else around
    goal, source = target // slots, trees.wire[top] // slots
    to_x, to_y, from_x, from_y = (goal % columns, goal // columns,
                                  source % columns, source // columns)
    first_x, last_x = max(min(from_x, to_x) - around, 0), min(
        max(from_x, to_x) + around, columns - 1)
    first_y, last_y = max(min(from_y, to_y) - around, 0), min(max(from_y, to_y) + around, rows - 1)
    room.stamps[0] += 1
    stamp, waiting = room.stamps[0], [(np.float32(0), np.int64(0)) for _ in range(0)]
    near, is_calm = 1 << 30, length > _MANY and urgency < _CALM
    if is_calm:
        for row in range(top, top + length):
            place = trees.wire[row] // slots
            near = min(near, abs(place % columns - to_x)
                       + abs(place // columns - to_y))
    for row in range(top, top + length):
        wire = trees.wire[row]
        search.stamp[wire], search.before[wire] = stamp, NONE
        search.cost[wire], search.delay[wire] = urgency * room.reach[wire], room.reach[wire]
        place = wire // slots
        if is_calm and (abs(place % columns - to_x) + abs(place // columns - to_y)
                        > near + _MANY_NEAR):
            continue
        left = _left(is_network, least_of, rows_of[wires[kind[place]] + wire % slots],
                     to_x - place % columns, to_y - place // columns)
        if room.reach[wire] + left <= limit:
            heapq.heappush(waiting, (np.float32(search.cost[wire] + _EAGER * left),
                                     np.int64(wire)))
    while len(waiting) > 0:
        least, wire = heapq.heappop(waiting)
        if wire == target:
            return True
        cost, place = search.cost[wire], wire // slots
        first = wires[kind[place]] + wire % slots
        left = _left(is_network, least_of, rows_of[first], to_x - place % columns,
                     to_y - place // columns)
        if least > cost + _EAGER * left + 1:
            continue
        for step in range(graph.steps[first], graph.steps[first + 1]):
            at, pip, x, y = follow(graph, place, step)
            if not (first_x <= x <= last_x and first_y <= y <= last_y):
                continue
            there = y * columns + x
            then = there * slots + graph.pip[pip, TARGET]
            number = wires[kind[there]] + graph.pip[pip, TARGET]
            if not graph.is_usable[number]:
                continue
            if not may_enter(graph.pip[pip, PERMUTES], then == target, keeps_input):
                continue
            if room.net[then] == room.stamps[1]:
                continue
            left = _left(is_network, least_of, rows_of[number], to_x - x, to_y - y)
            takes = pip_delay(graph, graph.pip[pip, TIMING], 1)
            if left >= NOWHERE or search.delay[wire] + takes + left > limit:
                continue
            so_far = cost + urgency * takes + (1 - urgency) * (
                takes + _PER_WIRE + room.history[then]) * (1 + price * room.holders[then])
            if search.stamp[then] != stamp or so_far < search.cost[then] - np.float32(0.01):
                search.stamp[then], search.cost[then] = stamp, so_far
                search.delay[then], search.before[then] = search.delay[wire] + takes, wire
                search.place[then], search.pip[then] = at, graph.step[step, 2]
                heapq.heappush(waiting, (np.float32(so_far + _EAGER * left), np.int64(then)))
    return False


@kernel
def measure(graph, nets, wants, trees, room, taken):
    """Write what each end's way takes with all that its wires drive, 0 where there is none yet.

    A search takes each wire to drive one other.
    """
    for net in range(nets.source.size):
        first, length = trees.first[net], trees.length[net]
        for row in range(first, first + length):
            room.leads[trees.wire[row]] = 0
            if trees.before[row] != NONE:
                room.leads[trees.before[row]] += 1
        for row in range(first, first + length):
            wire, before = trees.wire[row], trees.before[row]
            room.reach[wire] = 0
            if before != NONE:
                pip = graph.pips[graph.kind[trees.place[row]]] + trees.pip[row]
                room.reach[wire] = room.reach[before] + pip_delay(
                    graph, graph.pip[pip, TIMING], room.leads[before])
        for end in range(nets.first[net], nets.first[net + 1]):
            has_way = 0 < wants.delay[end] < FAILED
            taken[end] = room.reach[nets.end[end]] if has_way else wants.delay[end]


@kernel
def choose_keepers(nets, trees, room, urgency, is_shared, chance, part, best, seed):
    """Write who keeps each wire that several nets have: the one with the most urgent end behind it.

    Urgency is told to a ``chance`` that is drawn; and a ``part`` of the wires has no keeper.
    ``is_shared`` is what :func:`mark_shared` writes. ``best`` is room for a number of each wire.
    """
    np.random.seed(seed)
    for net in range(nets.source.size):
        for row in range(trees.first[net], trees.first[net] + trees.length[net]):
            best[trees.wire[row]] = 0
    for net in range(nets.source.size):
        if not is_shared[net]:
            continue
        first, length = trees.first[net], trees.length[net]
        for row in range(first, first + length):
            room.row[trees.wire[row]], room.reach[trees.wire[row]] = row, 0
        for end in range(nets.first[net], nets.first[net + 1]):
            wire, wants = nets.end[end], urgency[end] + chance * np.random.random() + 1e-6
            while wire != NONE and room.reach[wire] < wants:
                room.reach[wire] = wants
                wire = trees.before[room.row[wire]]
        for row in range(first, first + length):
            wire = trees.wire[row]
            if room.holders[wire] > 1 and room.reach[wire] > best[wire]:
                best[wire] = room.reach[wire]
                room.keeper[wire] = net if np.random.random() >= part else NONE


@kernel
def mark_shared(trees, room, is_shared):
    """Write which nets have wires that others have too."""
    for net in range(trees.first.size):
        is_shared[net] = False
        for row in range(trees.first[net], trees.first[net] + trees.length[net]):
            is_shared[net] = is_shared[net] or room.holders[trees.wire[row]] > 1
