"""Routes of the toy device, drawn and read by the names of its wires."""

import itertools
from collections import Counter

from tests.gateware import toy_fabric as toy
from tickwire_hw.platform.routing.fabric import Fabric

FABRIC = Fabric(toy.database(), 0)
PIPS = {(source, target): (x, y, timing) for source, target, x, y, timing, _ in toy.pips()}


def split(wire):
    x, y, name = wire.split("/")
    return int(x[1:]), int(y[1:]), name


def pip(source, target):
    """Return the name of the pip between two wires; fails if the toy has none."""
    (x, y, first), (to_x, to_y, then) = split(source), split(target)
    assert PIPS[first, then][:2] == (to_x - x, to_y - y)
    return f"X{x}/Y{y}/0_0_{first}->{to_x - x}_{to_y - y}_{then}"


def way(first, *moves):
    """Return the wires of a way: ``("H01E0003", 4)`` follows a track for four places."""
    found = [first]
    x, y, _ = split(first)
    for name, places in moves:
        for _ in range(places):
            across, down, _ = toy.TRACKS.get(name, (0, 0, 0))
            x, y = x + across, y + down
            found.append(f"X{x}/Y{y}/{name}")
    return found


def route(*ways):
    """Return a net's route in JSON: its first wire, then each other behind its pip."""
    text = {ways[0][0]: ""}
    for wires_ in ways:
        for source, target in itertools.pairwise(wires_):
            text[target] = pip(source, target)
    return ";".join(f"{target};{by};1" for target, by in text.items())


def tree(text):
    """Return what drives each wire of a route; every pip must be one of the toy's."""
    fields = text.split(";")
    found = {}
    for wire, by, strength in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        assert strength == "1" and wire not in found
        found[wire] = None
        if by:
            x, y, ends = by.split("/")
            found[wire] = f"{x}/{y}/{ends.split('->')[0].removeprefix('0_0_')}"
            assert by == pip(found[wire], wire)
    return found


def takes(text, end):
    """Return the picoseconds from a route's first wire to another."""
    before, total = tree(text), 0
    leads = Counter(before.values())
    while before[end] is not None:
        source = before[end]
        timing = PIPS[split(source)[2], split(end)[2]][2]
        total += (toy.PIN_PS, toy.FAST_PS, toy.SLOW_PS)[timing]
        total += toy.MORE_PS * leads[source] if timing else 0
        end = source
    return total
