"""Ports of a whole that are ports of a part."""

from collections.abc import Container, Mapping
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


def others(part: wiring.Component, inner: Container[str]) -> dict[str, wiring.Member]:
    """Return the members of a part but for those that are named in ``inner``."""
    return {name: member for name, member in part.signature.members.items() if name not in inner}


def join_all(m: Module, members: Mapping[str, wiring.Member], outside: Any, inside: Any) -> None:
    """Connect ports of these names to the part's ports of the same names."""
    for name, member in members.items():
        join(m, member, getattr(outside, name), getattr(inside, name))


def _places(member: wiring.Member) -> list[tuple[int, ...]]:
    """Return the index of each port; one empty index where it is no array."""
    places: list[tuple[int, ...]] = [()]
    for size in member.dimensions:
        places = [(*place, number) for place in places for number in range(size)]
    return places
