"""A device that is a card behind this process: what everybody sees of it is shown by this process.
"""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tickwire.device.mirror import LIVE, Mirror
from tickwire.device.order_connection import OrderConnection
from tickwire.device.owned import OwnedDevice
from tickwire.device.session_keeper import SessionKeeper, host_context
from tickwire.errors import TickwireError
from tickwire.feed.framing import udp_frame
from tickwire.kernels import frame_ring

_RECOVERY = ("127.0.0.1", 1)               # where recovered packets go: no line has it

Places = tuple[tuple[str, int], tuple[str, int] | None, tuple[str, int]]
"""Group and port of line A, of line B or None, and of what the host has recovered."""


class MirroredDevice(OwnedDevice):
    """Registers and counters of ``mirror``, and the order session that ``_keeper`` reads."""

    mirror: Mirror
    _keeper: SessionKeeper

    @property
    def is_shown(self) -> bool:
        """Whether somebody shows registers and counters anew without being asked."""
        return self.is_driven

    def read_register(self, name: str) -> int:
        """Return the value of a register, shown anew first where nobody else does."""
        if not self.is_shown and name in LIVE:
            self.mirror.show(has_counters=False)
        return super().read_register(name)

    def counters(self) -> dict[str, int]:
        """Return every counter by its name, taken anew first where nobody else does."""
        if not self.is_shown:
            self.mirror.count()
        return super().counters()

    def histograms(self) -> dict[str, np.ndarray]:
        """Return every latency histogram, read anew first where nobody else does."""
        if not self.is_shown:
            self.mirror.show(has_counters=True)
        return super().histograms()

    @staticmethod
    def _places(lines: Sequence[tuple[str, int]]) -> Places:
        """Return where a card listens whose lines, one or two, have these groups and ports."""
        return lines[0], lines[1] if len(lines) > 1 else None, _RECOVERY

    def _recovered(self) -> Iterator[bytes]:
        """Take answers of the request server, as frames for the card."""
        while frame := frame_ring.take(self.recovery.address):
            payload = ctypes.string_at(frame, frame_ring.size_of(frame))
            frame_ring.release(self.recovery.address)
            yield udp_frame(payload, *_RECOVERY)

    def _connect(self, *given: Any, **options: Any) -> OrderConnection:
        """Make an order connection; raises :class:`TickwireError` where there is one."""
        if self.has_session:
            raise TickwireError("The device has an order session already.")
        return OrderConnection(*given, **options)

    @property
    def has_session(self) -> bool:
        """Whether the loop has the order session's socket."""
        return self._keeper.connection is not None

    @property
    def feed_session(self) -> str:
        """Name of the feed's session, empty before the engine has heard of it."""
        if not self._keeper.host:
            return ""
        host = host_context(self._keeper.host)
        octets = (int(host["feed_session"]).to_bytes(8, "little", signed=True)
                  + int(host["feed_session_end"]).to_bytes(2, "little"))
        return octets.decode("latin-1").rstrip(" \0")

    @property
    def session_sequence(self) -> int:
        """Number of the next sequenced message of the order session."""
        return self._keeper.sequence

    @property
    def is_session_ended(self) -> bool:
        """Whether the venue ended the order session."""
        return self._keeper.is_ended
