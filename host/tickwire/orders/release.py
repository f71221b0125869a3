"""What the device released to the order session that the host runs, between the loop and control.

The engine's loop copies every ORDER_RELEASED record here, in order; a session in control's thread
takes them out and sends them. While there is no room the loop does not read on, the order ring
fills, and the device takes no further intent: nothing is lost and nothing overtakes.
"""

import socket

import numpy as np

from tickwire.feed.frame_ring import CAPACITY_MIN, FrameRing
from tickwire.kernels import frame_ring
from tickwire.spec.records import ORDER_RELEASED, RECORD_SIZE
from tickwire.spec.render import dtype

RELEASED = dtype(ORDER_RELEASED)
BATCH = 64                                 # releases taken at once


class ReleaseQueue:
    """Released order messages, oldest first; one thread takes them.

    ``address`` and ``wake`` are for the loop: the byte ring and the socket that it writes an octet
    to after new records. ``fileno`` is readable then, for a selector or an asyncio reader.
    What :meth:`take` returned last are the first of ``records``, at the address ``batch``;
    ``stamps`` has for each the number under which the engine has sent it, 0 when it has not.
    """

    def __init__(self) -> None:
        """Make an empty queue."""
        self._ring = FrameRing(CAPACITY_MIN)
        self.address = self._ring.address
        self.records = np.zeros(BATCH, RELEASED)
        stamps = np.zeros(BATCH, np.int64)
        self.stamps = stamps.data
        self.batch, self._stamps = int(self.records.ctypes.data), int(stamps.ctypes.data)
        self.unsent = 0                    # records so far that the engine has not sent
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.wake, self._woken = self._writer.fileno(), self._reader.fileno()
        self.take()                        # loads the kernel

    def fileno(self) -> int:
        """Return the descriptor that is readable when something may have come."""
        return self._woken

    def take(self) -> np.ndarray:
        """Return the next records, with the dtype :data:`RELEASED`; perhaps none.

        They stay until the next call. Call it until it returns fewer than ``BATCH``: only then the
        descriptor tells of the next one.
        """
        found = frame_ring.drain(self.address, self._woken, self.batch, self._stamps, RECORD_SIZE,
                                 BATCH)
        self.unsent += found >> 32
        return self.records[:found & 0xFFFF_FFFF]

    def close(self) -> None:
        """Close the sockets; the loop does not run any more."""
        self._reader.close()
        self._writer.close()
