"""FRAME records as the kernel writes them."""

import ctypes
import functools
import struct
from dataclasses import dataclass

import numpy as np

from tickwire.kernels import ring as ring_kernel
from tickwire.kernels.arena import Arena
from tickwire.kernels.capture import capture
from tickwire.spec.records import RECORD_SIZE, TRAILER_OFFSET, FrameFlag


@dataclass(frozen=True)
class Framed:
    """A frame of the order line, as it comes or goes."""

    octets: bytes
    origin: int
    stamp: int = 0
    is_damaged: bool = False


class Ring:
    """A ring that the kernel writes frames to."""

    def __init__(self, log2: int = 10, epoch: int = 1) -> None:
        self.log2, self.epoch, self._arena = log2, epoch, Arena()
        self.base = self._arena.take("ring", RECORD_SIZE << log2)
        self._context = self._arena.take_rows("context", ring_kernel.RING)
        self.context = self._arena.view("context", ring_kernel.RING)[0]
        self.context["base"], self.context["mask"] = self.base, (1 << log2) - 1
        self.context["epoch"] = epoch
        self.context["counters"] = self._arena.take("counters", 8)

    def write(self, frame: Framed) -> int:
        """Write a frame's records; return their number."""
        octets = np.frombuffer(frame.octets or b"\0", np.uint8)
        return capture(self._context, octets.ctypes.data, len(frame.octets), frame.origin,
                       frame.stamp, frame.is_damaged)

    def commit(self, kind: int, octets: bytes) -> None:
        """Write any other record."""
        ctypes.memmove(ring_kernel.slot(self._context), octets, len(octets))
        ring_kernel.commit(self._context, kind)

    def octets(self) -> bytes:
        """Return the whole ring."""
        return self._arena.view("ring").tobytes()


@functools.cache
def _scratch() -> Ring:
    return Ring()


def bodies(frame: Framed) -> list[bytes]:
    """Return the records of a frame, without trailers."""
    ring = _scratch()
    ring.context["written"] = 0
    return [ctypes.string_at(ring.base + RECORD_SIZE * number, TRAILER_OFFSET)
            for number in range(ring.write(frame))]


def by_hand(frame: Framed) -> list[bytes]:
    """Return the same, by the page ``docs/protocols/records.md``."""
    found = []
    for place in range(0, len(frame.octets), 40):
        part = frame.octets[place:place + 40]
        is_last = place + 40 >= len(frame.octets)
        flags = ((FrameFlag.FIRST if place == 0 else 0) | (FrameFlag.LAST if is_last else 0)
                 | (FrameFlag.DAMAGED if is_last and frame.is_damaged else 0))
        found.append(struct.pack("<QBBBxHxx40s", frame.stamp, frame.origin, flags, len(part),
                                 place & 0xFFFF, part))
    return found
