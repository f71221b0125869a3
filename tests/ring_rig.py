"""Rings as the kernels write them, for what writes them in gateware."""

import ctypes

from tickwire.kernels import ring as kernel
from tickwire.kernels.arena import Arena


def written(records, log2, epoch, credit=0):
    """Octets of a ring of 2^``log2`` slots into which the kernel wrote type and octets of each."""
    arena = Arena()
    base = arena.take("ring", 64 << log2)
    context = arena.take_rows("context", kernel.RING)
    view = arena.view("context", kernel.RING)[0]
    view["base"], view["mask"], view["epoch"], view["credit"] = base, (1 << log2) - 1, epoch, credit
    view["counters"] = arena.take("counters", 1024)
    for kind, octets in records:
        ctypes.memmove(kernel.slot(context), octets, len(octets))
        kernel.commit(context, kind)
    return arena.view("ring").tobytes()
