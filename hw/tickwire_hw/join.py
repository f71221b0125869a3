"""Ports of a whole that are ports of a part."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped


def join(m: Module, member: wiring.Member, outside: Any, inside: Any) -> None:
    """Connect a port, or each port of an array, to the part's port that it stands for."""
    for place in _places(member):
        ours, theirs = outside, inside
        for number in place:
            ours, theirs = ours[number], theirs[number]
        if member.is_signature:
            connect(m, flipped(ours), theirs)
        elif member.flow == In:
            m.d.comb += theirs.eq(ours)
        else:
            m.d.comb += ours.eq(theirs)


def _places(member: wiring.Member) -> list[tuple[int, ...]]:
    """Return the index of each port; one empty index where it is no array."""
    places: list[tuple[int, ...]] = [()]
    for size in member.dimensions:
        places = [(*place, number) for place in places for number in range(size)]
    return places
