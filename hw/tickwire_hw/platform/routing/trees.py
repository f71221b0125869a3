"""Wires of nets as rows of a table: a net's are together, each behind the one that drives it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickwire.kernels.jit import kernel


class Trees(NamedTuple):
    """Wires of nets, in rows from ``first[n]`` on, ``length[n]`` of them: a wire after its driver.

    Attributes:
        first, length: ``int64[nets]``.
        wire, before, place, pip: a wire, what drives it or :data:`NONE`, and the pip between them,
            ``int32[room]``.
        used: rows that are taken, ``int64[1]``. Rows of a net that was routed anew are behind it.
    """

    first: NDArray[np.int64]
    length: NDArray[np.int64]
    wire: NDArray[np.int32]
    before: NDArray[np.int32]
    place: NDArray[np.int32]
    pip: NDArray[np.int32]
    used: NDArray[np.int64]


def no_trees(nets: int, room: int) -> Trees:
    """Return trees of nets without wires, with room for rows."""
    return Trees(np.zeros(nets, np.int64), np.zeros(nets, np.int64),
                 *(np.zeros(room, np.int32) for _ in range(4)), np.zeros(1, np.int64))


@kernel
def pack(trees, spare):
    """Move rows together, over those that no net has any more; ``spare`` is room of their size."""
    for column in (trees.wire, trees.before, trees.place, trees.pip):
        used = 0
        for net in range(trees.first.size):
            first, length = trees.first[net], trees.length[net]
            spare[used:used + length] = column[first:first + length]
            used += length
        column[:used] = spare[:used]
    used = 0
    for net in range(trees.first.size):
        trees.first[net] = used
        used += trees.length[net]
    trees.used[0] = used
