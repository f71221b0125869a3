"""Where a placement wants more wires than there are, and what a wire costs more for lying there.

A wire is taken to lie anywhere between its ends alike, so what a tile is asked for is the sum of
what wires have in it. (Spindler and Johannes, Fast and accurate routing demand estimation for
efficient routability-driven placement, 2007.)
"""

import numpy as np
from numpy.typing import NDArray

from tickwire.kernels.jit import kernel
from tickwire_hw.platform.placement import placed, times

_ROOM, _PRICE = 70.0, 8.0
"""Wires that a tile has for nothing, and in parts of a wire's cost what twice as many cost more."""
_FULLEST = 20
"""The tiles that :attr:`Crowding.fullest` is of are one in so many."""


class Crowding:
    """Wires that tiles are asked for, each counted by the part of it that lies there.

    Attributes:
        demand: of each tile, ``float64[rows, columns]``.
        price: what a wire costs more, in parts, summed up over all tiles above and to the left of
            one, ``float64[rows + 1, columns + 1]``.
        is_heeded: whether it costs anything more.
    """

    def __init__(self, share: NDArray[np.float64]) -> None:
        """``share`` is what each wire counts, as it has its driver in common with others."""
        self._share = share
        self._corners = np.zeros((placed.HEIGHT + 1, placed.WIDTH + 1))
        self.demand = np.zeros((placed.HEIGHT, placed.WIDTH))
        self.price = np.zeros((placed.HEIGHT + 1, placed.WIDTH + 1))
        self.is_heeded = True

    def look(self, graph: times.Graph, x: NDArray[np.integer], y: NDArray[np.integer]) -> None:
        """Find the demand of cells in the tiles ``x``, ``y``, and prices by it."""
        self._corners[:] = 0
        _mark(graph, x, y, self._share, self._corners)
        self.demand[:] = self._corners.cumsum(0).cumsum(1)[:-1, :-1]
        more = self.is_heeded * _PRICE * np.maximum(self.demand / _ROOM - 1, 0)
        self.price[1:, 1:] = more.cumsum(0).cumsum(1)

    @property
    def fullest(self) -> float:
        """Demand of a tile that a twentieth of all tiles exceeds."""
        return float(np.partition(self.demand, -self.demand.size // _FULLEST, None)[
            -self.demand.size // _FULLEST])


@kernel
def _mark(graph, x, y, share, corners):
    """Add each wire's demand at the corners of what lies between its ends."""
    for arc in range(graph.source.size):
        if graph.kind[arc] == times.INSIDE:
            continue
        here, there = graph.cell[graph.source[arc]], graph.cell[graph.target[arc]]
        left, right = min(x[here], x[there]), max(x[here], x[there]) + 1
        top, bottom = min(y[here], y[there]), max(y[here], y[there]) + 1
        length = right - left + bottom - top - 2
        wanted = share[arc] * length / ((right - left) * (bottom - top))
        corners[top, left] += wanted
        corners[top, right] -= wanted
        corners[bottom, left] -= wanted
        corners[bottom, right] += wanted


@kernel(inline=True)
def crowd(price, x, y, to_x, to_y):
    """Return what a wire costs more, in parts: the mean of the tiles between its ends."""
    left, right, top, bottom = min(x, to_x), max(x, to_x) + 1, min(y, to_y), max(y, to_y) + 1
    total = price[bottom, right] - price[top, right] - price[bottom, left] + price[top, left]
    return total / ((right - left) * (bottom - top))
