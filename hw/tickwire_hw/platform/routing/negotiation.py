"""Routes of a whole placement by negotiation: nets share wires at first, and then pay for it.

nextpnr's ``router1`` gives a wire to who comes last and looks again for whom it was taken from; in
a device that is three quarters full that takes hours, and late paths keep what was left. Here each
net takes its best way, whoever has it already, and a wire that several have costs all of them more
from turn to turn, and once more for each turn in which it was shared: who has another way almost
as good takes that. (McMurchie and Ebeling, PathFinder: a negotiation-based performance-driven
router for FPGAs, 1995.) What a path has to spare bounds what its wires may take, so that none is
late in the end for having made room.
"""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tickwire_hw.platform.placement import placed, times
from tickwire_hw.platform.routing import distances, shared_ways, trees
from tickwire_hw.platform.routing.fabric import Fabric
from tickwire_hw.platform.routing.pins import is_network, keeps_input, wire_at

_TURNS = 200
_PRICE, _RISE = 0.5, 1.2
"""What sharing costs in the first turn, in parts of a wire's own cost, and how that grows."""
_SET_BACK, _PRICE_THEN, _RISE_THEN, _PRICE_MOST = 25, 3.0, 1.05, 30.0
"""After so many turns it costs less again, and grows slowly, so that the detours taken end."""
_HISTORY = 80.0
"""Picoseconds that a wire costs more after each turn for each net too many."""
_SPAN, _URGENCY = 2_500, 0.95
"""A wire with so many picoseconds to spare is not urgent at all, one with none is so much."""
_SHARE, _SHARE_RISE = 0.6, 0.02
"""Part of what a path has to spare that one of its wires may take; more when few change."""
_MORE, _MORE_PS = 1.05, 40
_LATE, _LATE_PS = 1.10, 40
_PATIENCE, _CONCESSION = 35, 10
"""After so many turns each end may take some picoseconds more with each."""
_AROUND = 3
_CHANCE, _PART = 0.1, 0.4
_CALM_TURNS = 3
"""After so many turns in which the calm make room, one in which the urgent do, if they can.

What is calm finds another way, if need be over a wire that is taken, and would move on for ever
where all ways around are somebody's.
"""
_SPACE = 1 << 22


class Negotiation:
    """Nets of a placement, and the ways that they have so far.

    Nets with pins that only a neighbour leads to are left to nextpnr, clocks among them; they share
    no wire with others.

    Attributes:
        graph: the placement's, with delays of the ways that there are.
    """

    def __init__(self, design: placed.Placed, fabric: Fabric) -> None:
        self._design, self._fabric = design, fabric
        cells = design.cells
        self.graph = design.graph._replace(delay=design.graph.delay.copy())
        times.place_wires(self.graph, cells.x, cells.y)
        self._direct = self.graph.delay.copy()
        self._arrival = np.empty(self.graph.cell.size, np.int64)
        self._latest, self._allowed = self._arrival.copy(), np.empty(self._direct.size, np.int64)
        self._distances = distances.measure(fabric)
        self._read()
        nets, ends, wires = self._nets.source.size, self._nets.end.size, (
            fabric.places * fabric.graph.slots)
        self._net = np.repeat(np.arange(nets), np.diff(self._nets.first))
        self._wants = shared_ways.Wants(np.arange(ends), np.zeros(ends, np.float32),
                                        np.full(ends, shared_ways.FAILED, np.float32),
                                        np.ones(ends, np.bool_), np.zeros(ends, np.float32))
        self._taken = np.zeros(ends, np.float32)
        self._trees = trees.no_trees(nets, _SPACE + 64 * ends)
        self._room = shared_ways.no_room(wires)

    def run(self, period: int, say: Callable[[str], None]) -> int:
        """Negotiate for paths of ``period`` ps; return how many wires several nets have still.

        A line is said after each turn: wires that are shared, and what the longest path takes.
        """
        best, is_shared = np.zeros(self._room.holders.size, np.float32), np.zeros(
            self._trees.first.size, np.bool_)
        spare, shared = np.empty(self._trees.wire.size, np.int32), -1
        self._look(period)
        for turn in range(_TURNS):
            which = self._ask(turn, is_shared)
            if turn:
                keeps, is_turned = self._wants.urgency, turn % (_CALM_TURNS + 1) == _CALM_TURNS
                if is_turned:
                    which, keeps = which[::-1].copy(), 1 - keeps
                shared_ways.choose_keepers(self._nets, self._trees, self._room, keeps, is_shared,
                                           _CHANCE, _PART, best, turn)
            shared_ways.route(self._fabric.graph, self._distances, self._nets, self._wants,
                              self._trees, self._room, which, _price(turn), _AROUND + turn)
            self._look(period)
            self._complain()
            over = np.maximum(self._room.holders - 1, 0)
            self._room.history[:] += _HISTORY * over
            shared = int(np.count_nonzero(over))
            late, longest = self.lateness(period)
            say(f"turn {turn}: {which.size} nets, {shared} wires shared, "
                f"longest path {longest / 1000:.2f} ns, {late} late")
            if not shared and (not late or turn >= _PATIENCE):
                break
            shared_ways.mark_shared(self._trees, self._room, is_shared)
            if self._trees.used[0] > _SPACE // 2:
                trees.pack(self._trees, spare)
        return shared

    def lateness(self, period: int) -> tuple[int, int]:
        """Return how many paths' ends take more than ``period`` ps, and what the longest takes."""
        found = times.ends(self.graph, self._arrival)
        return int(np.count_nonzero(found > period)), int(found.max())

    def write(self, module: dict) -> int:
        """Write routes into a netlist's module; return how many.

        There are none of nets that share wires, or that do not lead to all of their ends.
        """
        lacks = np.zeros(len(self._bits), np.bool_)
        lacks[self._net[self._wants.delay == shared_ways.FAILED]] = True
        names = {bit: name for name, net in module["netnames"].items() for bit in net["bits"]}
        written = 0
        for net, bit in enumerate(self._bits):
            first, length = self._trees.first[net], self._trees.length[net]
            rows = range(first, first + length)
            if (length and not lacks[net]
                    and self._room.holders[self._trees.wire[first:first + length]].max() == 1):
                module["netnames"][names[bit]]["attributes"]["ROUTING"] = ";".join(
                    f"{self._fabric.name(int(self._trees.wire[row]))};{self._pip(row)};1"
                    for row in rows)
                written += 1
        return written

    def _pip(self, row: int) -> str:
        rows = self._trees
        if rows.before[row] < 0:
            return ""
        return self._fabric.pip_name(int(rows.place[row]), int(rows.pip[row]),
                                     int(rows.before[row]), int(rows.wire[row]))

    def _read(self) -> None:
        """Find the wires of nets, and the arcs that their ends are."""
        design, graph = self._design, self.graph
        nodes = {(int(cell), pin): node for node, (cell, pin) in enumerate(
            zip(graph.cell, design.pins, strict=True))}
        arcs: dict[int, dict[int, int]] = defaultdict(dict)
        for arc in map(int, np.flatnonzero(graph.kind != times.INSIDE)):
            arcs[int(graph.source[arc])][int(graph.target[arc])] = arc
        self._bits: list[int] = []
        source, first, end, keeps, networks, arc_of = [], [0], [], [], [], []
        for bit, (driver, readers) in design.nets.items():
            begin = wire_at(design, self._fabric, *driver)
            found = [wire_at(design, self._fabric, *reader) for reader in readers]
            if begin is None or not found or None in found:
                continue
            self._bits.append(bit)
            source.append(begin)
            end += found
            keeps += [keeps_input(design, cell) for cell, _ in readers]
            networks += [is_network(design, cell) for cell, _ in readers]
            known = arcs.get(nodes.get(driver, -1), {})
            arc_of += [known.get(nodes.get(reader, -1), -1) for reader in readers]
            first.append(len(end))
        self._nets = shared_ways.Nets(np.array(source, np.int64), np.array(first, np.int64),
                                      np.array(end, np.int64), np.array(keeps, np.bool_),
                                      np.array(networks, np.bool_))
        arc_of_end = np.array(arc_of, np.int64)
        self._timed = np.flatnonzero(arc_of_end >= 0)      # ends of paths, and the arcs they are
        self._arc = arc_of_end[self._timed]

    def _look(self, period: int) -> None:
        """Find what each end's path has to spare, and by that how urgent it is."""
        shared_ways.measure(self._fabric.graph, self._nets, self._wants, self._trees, self._room,
                            self._taken)
        taken = self._taken[self._timed]
        self.graph.delay[self._arc] = np.where(taken > 0, taken, self._direct[self._arc])
        times.arrive(self.graph, self._arrival)
        times.allow(self.graph, period, self._arrival, self._latest, self._allowed)
        self._slack: NDArray[np.int64] = (self._allowed - self.graph.delay)[self._arc]
        self._wants.urgency[self._timed] = _URGENCY * np.clip(1 - self._slack / _SPAN, 0, 1)

    def _ask(self, turn: int, is_shared: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Write what ends may take; return the nets in whose turn it is, the calmest first.

        In the first turn the most urgent ones come first, and as no path is known any end may take
        any time.
        """
        wants, direct = self._wants, self._direct[self._arc]
        wants.order[:] = np.lexsort((-wants.urgency, self._net))
        urgency = np.zeros(is_shared.size, np.float32)
        np.maximum.at(urgency, self._net, wants.urgency)
        if turn == 0:
            return np.argsort(-urgency, kind="stable")
        share = np.where(self._slack > 0, min(_SHARE + _SHARE_RISE * turn, 1), 1)
        may_take = wants.delay[self._timed] + share * self._slack
        wants.limit[self._timed] = np.maximum(
            may_take, direct * _MORE + _MORE_PS + _CONCESSION * max(0, turn - _PATIENCE))
        is_due = is_shared | (np.bincount(self._net[wants.is_due], minlength=is_shared.size) > 0)
        which = np.flatnonzero(is_due)
        return which[np.argsort(urgency[which], kind="stable")]

    def _complain(self) -> None:
        """Let ends of late paths be due that take longer than such wires do in the mean."""
        slow = self._direct[self._arc] * _LATE + _LATE_PS
        is_late = (self._slack < 0) & (self._wants.delay[self._timed] > slow)
        self._wants.is_due[self._timed[is_late]] = True


def _price(turn: int) -> float:
    """Return what sharing costs in a turn."""
    if turn < _SET_BACK:
        return _PRICE * _RISE ** turn
    return min(_PRICE_THEN * _RISE_THEN ** (turn - _SET_BACK), _PRICE_MOST)
