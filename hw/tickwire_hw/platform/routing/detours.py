"""Late paths lose their detours: each wire of one is routed once more, among others that can wait.

nextpnr's ``router1`` gives a wire its way in the order of how critical it is, but each that comes
later may push those before it aside, and takes no account of what that costs their paths. So a few
long paths keep detours at the end that they would not need.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from tickwire_hw.platform.placement import times
from tickwire_hw.platform.routing import wires
from tickwire_hw.platform.routing.fabric import Fabric
from tickwire_hw.platform.routing.pins import keeps_input, wire_at
from tickwire_hw.platform.routing.routed import Routed
from tickwire_hw.platform.routing.wires import NONE

_ROUNDS = (400, 250, 120)
"""Spare picoseconds of wires that may be pushed aside, round by round."""
_LEAST_NEXT = 300
"""Spare picoseconds of wires that those push aside in turn."""
_PRICE, _PRICE_NEXT = 60, 150
"""Picoseconds that a wire counts as that is pushed aside, at first and in turn."""
_TRIES, _MOST_PUSHED, _AROUND, _AROUND_FAR = 6, 60, 8, 16
_KEPT = 60
"""Picoseconds that the path of a wire keeps which another pushes aside."""


class Step(NamedTuple):
    """A wire as a net has it, and what drives it; of none, if :attr:`net` is :data:`NONE`."""

    wire: int
    net: int
    before: int
    place: int
    pip: int


class Detours:
    """A routed design whose wires find other ways, one at a time.

    A wire of a late path may take what is free, and push aside what leads only to ends of paths
    that have time to spare. All that is pushed aside finds another way at once, within that time;
    if it does not, or the design is no faster, everything stays as it was.
    """

    def __init__(self, netlist: dict, routed: Routed, fabric: Fabric) -> None:
        """``netlist`` is the routed design as nextpnr wrote it.

        Raises :class:`ValueError` for a route that the device does not have, or two nets do.
        """
        self._routed, self._fabric, self._graph = routed, fabric, fabric.graph
        self._module = netlist["modules"]["top"]
        count = fabric.places * self._graph.slots
        self._wires, self._search = wires.no_wires(count), wires.no_search(count)
        self._nets: list[str] = []
        self._of_net: list[set[int]] = []
        self._read()
        self._rules = wires.Rules(np.zeros(count, np.int32), np.zeros(count, np.bool_),
                                  np.zeros(count, np.int32), NONE, 0, 0, 0, 0, 0, 0)
        self._find_ends()
        self._changes: list[Step] = []
        self._touched: set[int] = set()
        self._changed: set[int] = set()
        self._stamp = 0

    def shorten(self, period: int, say: Callable[[str], None]) -> None:
        """Take detours out of paths longer than ``period`` ps, as long as that gains anything.

        A line is said now and then of how far it is.
        """
        self._period, now = period, self._routed.lateness(period)
        for least in _ROUNDS:
            gains = 1
            while gains and now[0]:
                gains = sum(1 for arc in self._late() if self._shorten(arc, least))
                now = self._routed.lateness(period)
                say(f"{gains} detours less: longest path {now[1] / 1000:.2f} ns, {now[0]} late")

    def write(self) -> int:
        """Write the routes back into the netlist; return how many nets' have changed."""
        trees = self._wires
        for net in self._changed:
            in_order = sorted(self._of_net[net], key=lambda wire: (trees.before[wire] >= 0, wire))
            self._module["netnames"][self._nets[net]]["attributes"]["ROUTING"] = ";".join(
                f"{self._fabric.name(wire)};{self._pip_name(wire)};1" for wire in in_order)
        return len(self._changed)

    def _pip_name(self, wire: int) -> str:
        trees = self._wires
        if trees.before[wire] == NONE:
            return ""
        return self._fabric.pip_name(int(trees.place[wire]), int(trees.pip[wire]),
                                     int(trees.before[wire]), wire)

    def _read(self) -> None:
        """Read the trees of nets."""
        trees, fabric = self._wires, self._fabric
        for name, net in self._module["netnames"].items():
            route = net["attributes"].get("ROUTING", "").strip()
            if not route:
                continue
            fields, mine = route.split(";"), set()
            for text, pip in zip(fields[::3], fields[1::3], strict=True):
                wire = fabric.wire(text)
                if trees.net[wire] != NONE:
                    raise ValueError(f"{text!r} is in the routes of two nets.")
                trees.net[wire] = len(self._nets)
                if pip:
                    trees.place[wire], trees.before[wire] = fabric.pip(pip)
                mine.add(wire)
            self._nets.append(name)
            self._of_net.append(mine)
        if missing := wires.find_pips(self._graph, trees, np.flatnonzero(trees.net != NONE)):
            raise ValueError(f"The routes have {missing} pips that the device does not have.")

    def _find_ends(self) -> None:
        """Find where the wires of paths end, and which of these ends are inputs that must stay."""
        design, graph = self._routed.design, self._routed.graph
        arcs, ends = [], []
        for arc in map(int, np.flatnonzero(graph.kind == times.WIRE)):
            node = int(graph.target[arc])
            cell, pin = int(graph.cell[node]), design.pins[node]
            wire = None if pin == "LSR" else wire_at(design, self._fabric, cell, pin)
            if wire is not None and self._wires.net[wire] != NONE:
                arcs.append(arc)
                ends.append(wire)
                self._rules.keeps_input[wire] = keeps_input(design, cell)
        self._arcs, self._ends = np.array(arcs, np.int64), np.array(ends, np.int64)
        self._of_end: dict[int, list[int]] = defaultdict(list)
        self._in_net: dict[int, list[int]] = defaultdict(list)
        for number, wire in enumerate(ends):
            self._of_end[wire].append(number)
            self._in_net[int(self._wires.net[wire])].append(number)
        is_last = (self._wires.net != NONE) & (self._wires.leads == 0)
        is_last[self._ends] = False
        self._stays = np.flatnonzero(is_last)

    def _late(self) -> Iterator[int]:
        """Yield arcs of late paths, the latest first, as long as they are late.

        What each wire may spare is up to date for each.
        """
        graph = self._routed.graph
        self._spare()
        late = np.flatnonzero(self._slack < 0)
        detour = (graph.delay - self._routed.direct)[self._arcs[late]]
        for number in map(int, late[np.lexsort((-detour, self._slack[late]))]):
            if self._slack[number] < 0:
                yield number

    def _spare(self) -> None:
        """Find what each wire may take longer."""
        self._slack = self._routed.slack(self._period)[self._arcs].astype(np.int32)
        wires.write_spare(self._wires, self._ends, self._slack, self._stays, self._rules.spare)

    def _shorten(self, number: int, least: int) -> bool:
        """Give an arc a shorter way if that makes the design faster; return whether it did."""
        end, before = int(self._ends[number]), self._routed.overrun(self._period)
        net, takes = int(self._wires.net[end]), self._takes(end)
        self._changes, self._touched = [], set()
        self._cut(end, end)
        freed = len(self._changes)
        for _ in range(_TRIES):
            way = self._way(net, end, takes, least, _PRICE)
            if way is None:
                break
            pushed = [step.wire for step in way if self._wires.net[step.wire] != NONE]
            if self._take(way, least):
                self._measure()
                if self._routed.overrun(self._period) < before:
                    self._changed |= self._touched
                    self._spare()
                    return True
            self._undo(freed)
            if not pushed:
                break
            self._rules.pushed[pushed] += 1
        self._undo(0)
        self._measure()
        return False

    def _takes(self, end: int) -> int:
        """Return the picoseconds that a wire's end takes, as it was when last measured."""
        return int(self._routed.graph.delay[self._arcs[self._of_end[end]]].max())

    def _measure(self) -> None:
        """Find what the wires of nets take that were touched, and when signals arrive."""
        for net in self._touched:
            if numbers := self._in_net.get(net):
                delay = np.empty(len(numbers), np.int32)
                wires.reach_all(self._graph, self._wires, self._ends[numbers], delay)
                self._routed.graph.delay[self._arcs[numbers]] = delay
        self._routed.arrive()

    def _way(self, net: int, end: int, limit: int, least: int, price: int,
             around: int = _AROUND) -> list[Step] | None:
        """Return a way for a net to an end that takes less than ``limit`` ps, or None."""
        columns = self._graph.columns
        starts = np.array(sorted(self._of_net[net]), np.int64)
        first = starts[self._wires.before[starts] == NONE]
        rows, across = np.divmod(np.append(first, end) // self._graph.slots, columns)
        rules = self._rules._replace(
            least=least, price=price, limit=limit,
            first_x=max(int(across.min()) - around, 0),
            last_x=min(int(across.max()) + around, columns - 1),
            first_y=max(int(rows.min()) - around, 0),
            last_y=min(int(rows.max()) + around, self._fabric.places // columns - 1))
        self._stamp += 1
        if wires.find_way(self._graph, self._wires, starts, end, rules, self._search,
                          self._stamp) == NONE:
            return None
        way, wire, search = [], end, self._search
        while search.before[wire] != NONE:
            way.append(Step(wire, net, *(int(each[wire]) for each in (
                search.before, search.place, search.pip))))
            wire = int(search.before[wire])
        return way

    def _take(self, way: list[Step], least: int) -> bool:
        """Give a net a way, and what it pushes aside others; return whether all found one."""
        kept: dict[int, int] = {}
        waiting = self._lay(way, kept)
        heapq.heapify(waiting)
        pushed, is_done = len(waiting), True
        while waiting and is_done:
            spare, end, net = heapq.heappop(waiting)
            limit = self._takes(end) + spare - _KEPT
            other = (self._way(net, end, limit, NONE, 0)
                     or self._way(net, end, limit, NONE, 0, _AROUND_FAR))
            if other is None and pushed < _MOST_PUSHED:
                other = self._way(net, end, limit, max(least, _LEAST_NEXT), _PRICE_NEXT)
            is_done = other is not None
            if other is not None:
                others = self._lay(other, kept)
                pushed += len(others)
                for entry in others:
                    heapq.heappush(waiting, entry)
        for wire, spare in kept.items():
            self._rules.spare[wire] = spare
        return is_done

    def _lay(self, way: list[Step], kept: dict[int, int]) -> list[tuple[int, int, int]]:
        """Give a net a way that nothing is to push aside; return the ends that it pushed aside.

        With each comes what it may spare, before, and its net after.
        """
        pushed = []
        for step in way:
            if self._wires.net[step.wire] != NONE:
                pushed += self._push(step.wire)
        for step in way:
            self._put(step)
            kept.setdefault(step.wire, int(self._rules.spare[step.wire]))
            self._rules.spare[step.wire] = wires.NEVER
        return pushed

    def _push(self, wire: int) -> list[tuple[int, int, int]]:
        """Take a wire from its net, and all that it alone leads to or from; return the ends."""
        trees, net = self._wires, int(self._wires.net[wire])
        after = defaultdict(list)
        for other in self._of_net[net]:
            after[int(trees.before[other])].append(other)
        branch = [wire]
        for other in branch:
            branch += after[other]
        before = int(trees.before[wire])
        for other in reversed(branch):
            self._put(Step(other, NONE, NONE, NONE, NONE))
        self._cut(before)
        return [(int(self._slack[self._of_end[end]].min()), end, net)
                for end in branch if end in self._of_end]

    def _cut(self, wire: int, end: int = NONE) -> None:
        """Take from a net what leads to nothing, from a wire on to the net's first."""
        trees = self._wires
        while (trees.before[wire] != NONE and trees.leads[wire] == 0
               and (wire == end or wire not in self._of_end)):
            before = int(trees.before[wire])
            self._put(Step(wire, NONE, NONE, NONE, NONE))
            wire = before

    def _put(self, step: Step) -> None:
        """Change a wire, and keep what it was."""
        trees, wire = self._wires, step.wire
        self._changes.append(Step(wire, *(int(each[wire]) for each in trees[:4])))
        self._write(step)

    def _undo(self, kept: int) -> None:
        """Take back all changes but the first."""
        while len(self._changes) > kept:
            self._write(self._changes.pop())

    def _write(self, step: Step) -> None:
        trees, (wire, net, before, place, pip) = self._wires, step
        held, driven = int(trees.net[wire]), int(trees.before[wire])
        if held != NONE:
            self._touched.add(held)
            self._of_net[held].discard(wire)
        if driven != NONE:
            trees.leads[driven] -= 1
        if net != NONE:
            self._touched.add(net)
            self._of_net[net].add(wire)
        if before != NONE:
            trees.leads[before] += 1
        trees.net[wire], trees.before[wire] = net, before
        trees.place[wire], trees.pip[wire] = place, pip

