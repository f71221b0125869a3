"""First levels of every side from LEVEL records, of whatever device."""

from collections.abc import Iterator

import numpy as np

from tickwire.kernels import ladder
from tickwire.spec.records import RECORD_SIZE

_LOCATES = 1 << 16
_ROOM = 1 << 14              # rows that are made at a time
_RUN_ROOM = 16               # levels of a side at first


class Ladder:
    """The whole book of every stock locate, of which the first ``depth`` levels a side are shown.

    It is exact from a device's first record on. After records that were lost a level is right
    again when it next changes.
    """

    def __init__(self, depth: int) -> None:
        """Begin with empty books."""
        self._runs = np.zeros(2 * _LOCATES, ladder.RUN)
        self._pool = np.zeros((_RUN_ROOM, 2), np.int64)
        self._used = 0
        self._state = np.zeros(1, ladder.LADDER)
        self._address = self._state.ctypes.data
        self._rows = np.empty(_ROOM, ladder.ROW)
        self._state["runs"], self._state["depth"] = self._runs.ctypes.data, depth
        self._state["pool"], self._state["side"] = self._pool.ctypes.data, -1

    def take(self, records: np.ndarray) -> Iterator[np.ndarray]:
        """Take whole LEVEL records; give rows (``kernels.ladder.ROW``) of what changed.

        The rows of the last message are not among them: it may go on in the next records. An
        array that is given holds until the next one is asked for.
        """
        lines = np.ascontiguousarray(records).view(np.uint8).reshape(-1, RECORD_SIZE)
        place = 0
        while place < len(lines):
            self._state["full"] = -1
            taken, written = ladder.take(
                self._address, lines.ctypes.data + place * RECORD_SIZE, len(lines) - place,
                self._rows.ctypes.data, len(self._rows))
            place += taken
            if written:
                yield self._rows[:written]
            if self._state["full"][0] >= 0:
                self._lengthen(self._runs[self._state["full"][0]])

    def finish(self) -> np.ndarray:
        """Return the rows of the last message."""
        return self._rows[:ladder.show(self._address, self._rows.ctypes.data)]

    def _lengthen(self, run: np.void) -> None:
        """Move a side's levels to the end of the pool, with room for twice as many."""
        room = max(_RUN_ROOM, 2 * int(run["room"]))
        if self._used + room > len(self._pool):
            pool = np.zeros((2 * len(self._pool) + room, 2), np.int64)
            pool[:self._used] = self._pool[:self._used]
            self._pool = pool
            self._state["pool"] = pool.ctypes.data
        at, count = int(run["at"]), int(run["count"])
        self._pool[self._used:self._used + count] = self._pool[at:at + count]
        run["at"], run["room"] = self._used, room
        self._used += room
