"""What the device released to the order session that the host runs, between the loop and control.

The engine's loop copies every ORDER_RELEASED record here, in order; a session in control's thread
takes them out and sends them. While there is no room the loop does not read on, the order ring
fills, and the device takes no further intent: nothing is lost and nothing overtakes.
"""

import contextlib
import socket

import numpy as np

from tickwire.feed.frame_ring import CAPACITY_MIN, FrameRing
from tickwire.kernels import frame_ring
from tickwire.spec.records import ORDER_RELEASED, RECORD_SIZE
from tickwire.spec.render import dtype

RELEASED = dtype(ORDER_RELEASED)
_BATCH = 64
_WAKES = 4_096                             # octets of wake-ups that are forgotten at once


class ReleaseQueue:
    """Released order messages, oldest first; one thread takes them.

    ``address`` and ``wake`` are for the loop: the byte ring and the socket that it writes an octet
    to after new records. ``fileno`` is readable then, for a selector or an asyncio reader.
    ``batch`` is the address of the records that :meth:`take` returned last, ``stamps`` has for each
    the number under which the engine has sent it already, 0 when it has not.
    """

    def __init__(self) -> None:
        """Make an empty queue."""
        self._ring = FrameRing(CAPACITY_MIN)
        self.address = self._ring.address
        self._batch = np.zeros(_BATCH, RELEASED)
        self.stamps = np.zeros(_BATCH, np.int64)
        self.batch, self._stamps = int(self._batch.ctypes.data), int(self.stamps.ctypes.data)
        self.unsent = 0                    # records so far that the engine has not sent
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.wake = self._writer.fileno()
        frame_ring.drain(self.address, self.batch, self._stamps, RECORD_SIZE, 0)  # loads the kernel

    def fileno(self) -> int:
        """Return the descriptor that is readable when something may have come."""
        return self._reader.fileno()

    def take(self) -> np.ndarray:
        """Return the next records, at most 64, with the dtype :data:`RELEASED`; perhaps none.

        They stay until the next call. Call it until it returns none: only then the descriptor tells
        of the next one.
        """
        count = self._drain()
        if count == 0:
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(_WAKES)
            count = self._drain()              # what came before the wake-up was forgotten
        return self._batch[:count]

    def _drain(self) -> int:
        count = int(frame_ring.drain(self.address, self.batch, self._stamps, RECORD_SIZE, _BATCH))
        self.unsent += count - int(np.count_nonzero(self.stamps[:count]))
        return count

    def close(self) -> None:
        """Close the sockets; the loop does not run any more."""
        self._reader.close()
        self._writer.close()
