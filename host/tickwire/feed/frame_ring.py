"""Hand datagrams from the control thread to the engine thread, without a lock."""

import numpy as np

from tickwire.kernels import frame_ring

SIZE_MAX = 0xFFFF
"""Octets of one entry at most: the greatest datagram."""

CAPACITY_MIN = 1 << 18


class FrameRing:
    """Memory of a byte ring and its producer's side.

    The consumer is a kernel that is given ``address``: see :mod:`tickwire.kernels.frame_ring`.
    """

    def __init__(self, capacity: int = 1 << 22) -> None:
        """Take memory for ``capacity`` octets, a power of two of at least 2^18."""
        if capacity < CAPACITY_MIN or capacity & capacity - 1:
            raise ValueError(f"capacity must be a power of two from {CAPACITY_MIN}, "
                             f"not {capacity}")
        raw = np.zeros(frame_ring.DATA + capacity + frame_ring.SLACK + 64, np.uint8)
        shift = -raw.ctypes.data % 64
        self._memory = raw[shift:raw.size - 64 + shift]
        self.address = self._memory.ctypes.data
        self._words = self._memory[:frame_ring.DATA].view(np.int64)
        self._words[frame_ring.CAPACITY // 8] = self.capacity = capacity
        # Loads the kernel now, not when the first datagram waits; it finds no room.
        frame_ring.put(self.address, self.address, capacity, 0)
        self._words[frame_ring.REFUSED // 8] = 0

    def put(self, octets: bytes | bytearray | memoryview, stamp: int = 0) -> bool:
        """Append a datagram with its time stamp, ns; False when there is no room for it now."""
        view = np.frombuffer(octets, np.uint8)
        if view.size > SIZE_MAX:
            raise ValueError(f"A datagram has at most {SIZE_MAX} octets, not {view.size}.")
        return bool(frame_ring.put(self.address, view.ctypes.data, view.size, stamp))

    @property
    def refused(self) -> int:
        """Datagrams that found no room."""
        return int(self._words[frame_ring.REFUSED // 8])
