"""Frames of a card's order line, as the host reads them from the capture ring."""

import numpy as np

from tickwire.device.base import RingLayout
from tickwire.kernels import ring
from tickwire.kernels.capture import OCTETS
from tickwire.spec.records import FRAME, LOST, RECORD_SIZE, FrameFlag, FrameOrigin, RecordType
from tickwire.spec.render import dtype

SIZE_MAX = 1 << 16
"""Octets of the longest frame that is put together; what is longer counts as lost."""

_BATCH = 256                               # records that are copied at a time
_FRAME, _LOST = dtype(FRAME), dtype(LOST)
_OCTETS_AT = FRAME.field("octets")[1]
_WHOLE = FrameFlag.FIRST | FrameFlag.LAST | FrameFlag.DAMAGED

CapturedFrame = tuple[FrameOrigin, int, bytes, bool]
"""How it came to the line, time of its first word in ns, its octets, and whether it is damaged."""


class CaptureReader:
    """Puts frames together again; those of each origin are in their order.

    A frame is given when its last record has come, so frames of both directions are in the order of
    their ends. ``lost`` counts records that were lost, before the ring or in it, and those of
    frames that are not whole because of it.
    """

    def __init__(self, address: int, log2: int, epoch: int) -> None:
        """Read the ring of 2^``log2`` slots at ``address`` from its first record on."""
        self.lost = 0
        self._ring, self._epoch, self._number = RingLayout(address, log2), epoch, 1
        self._batch = np.zeros((_BATCH, RECORD_SIZE), np.uint8)
        self._frames = self._batch.view(_FRAME)[:, 0]
        self._losses = self._batch.view(_LOST)[:, 0]
        self._place = self._count = 0          # in the batch
        self._expected = 1                     # number of the next record, modulo 2^32
        self._parts: dict[FrameOrigin, list[bytes]] = {}

    def take(self) -> CapturedFrame | None:
        """Return the next frame, or None when no other one has come as a whole yet."""
        while self._place < self._count or self._fill():
            found = self._add(self._place)
            self._place += 1
            if found is not None:
                return found
        return None

    def _fill(self) -> bool:
        """Copy what has come; whether there is anything."""
        self._count, self._number, lost = ring.read(
            self._ring.base, self._ring.mask, self._number, self._epoch,
            self._batch.ctypes.data, _BATCH)
        self.lost += lost
        self._place = 0
        return self._count > 0

    def _add(self, place: int) -> CapturedFrame | None:
        """Add a record of the batch; returns the frame that it makes whole."""
        row = self._frames[place]
        number, kind = int(row["record_sequence"]), int(row["record_type"])
        if number != self._expected:
            self._drop(*FrameOrigin)           # the ring was lapped
        self._expected = number + 1 & 0xFFFF_FFFF
        if kind == RecordType.LOST:
            self.lost += int(self._losses[place]["count"])
            self._drop(*FrameOrigin)
        if kind != RecordType.FRAME:
            return None
        size, flags, at = int(row["size"]), int(row["flags"]), int(row["place"])
        try:
            origin = FrameOrigin(int(row["origin"]))
        except ValueError:
            self.lost += 1
            return None
        if flags & FrameFlag.FIRST:
            self._drop(origin)
            self._parts[origin] = []
        parts = self._parts.get(origin)
        if (parts is None or not 1 <= size <= OCTETS or flags & ~_WHOLE
                or at != OCTETS * len(parts) or at + size > SIZE_MAX
                or (size < OCTETS and not flags & FrameFlag.LAST)):
            self._drop(origin)
            self.lost += 1
            return None
        parts.append(self._batch[place, _OCTETS_AT:_OCTETS_AT + size].tobytes())
        if not flags & FrameFlag.LAST:
            return None
        del self._parts[origin]
        return origin, int(row["timestamp"]), b"".join(parts), bool(flags & FrameFlag.DAMAGED)

    def _drop(self, *origins: FrameOrigin) -> None:
        """Forget frames that are not whole."""
        for origin in origins:
            self.lost += len(self._parts.pop(origin, []))
