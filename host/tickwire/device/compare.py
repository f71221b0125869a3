"""Two devices, one recording: which record is the first that differs, and how many do."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tickwire.device.replay_pass import Pass
from tickwire.kernels import digest
from tickwire.spec import wire
from tickwire.spec.records import BBO, RECORD_SIZE, RECORDS, TRAILER_OFFSET, RecordType
from tickwire.spec.render import dtype

_TYPE_AT = TRAILER_OFFSET + 4
_BBO = dtype(BBO)
_NONE = np.zeros((0, RECORD_SIZE), np.uint8)


class _Recorder:
    """Stands for a table of a pass: keeps the records that were not compared yet."""

    def __init__(self, replay: Pass) -> None:
        self._replay, self._steps = replay, iter(replay)
        replay.tables.append(self)             # type: ignore[arg-type]
        self.waiting, self.is_done = _NONE, False

    def write(self, records: np.ndarray) -> int:
        """Keep a copy of the records."""
        self.waiting = np.concatenate(
            (self.waiting, records.reshape(-1).view(np.uint8).reshape(-1, RECORD_SIZE)))
        return len(records)

    def flush(self) -> None:
        """Do nothing: records have no names."""

    def step(self) -> None:
        """Let the device take the next chunk."""
        try:
            next(self._steps)
        except StopIteration:
            self.is_done = True


@dataclass(slots=True)
class Difference:
    """The first record that differs: its number from 1, and both records, None after the end.

    ``books`` are the best prices that both had for its instrument before, None if there were none.
    """

    number: int
    records: tuple[bytes | None, bytes | None]
    books: dict[str, Any] | None


@dataclass(slots=True)
class Comparison:
    """What a comparison found."""

    records: int = 0                           # of the device that has more
    differences: int = 0
    first: Difference | None = None
    _books: dict[int, bytes] = field(default_factory=dict)

    def take(self, ours: np.ndarray, theirs: np.ndarray, masks: np.ndarray) -> None:
        """Compare records pair by pair."""
        kind = ours[:, _TYPE_AT]
        seen = (ours.view(np.int64) ^ theirs.view(np.int64)) & masks[kind]
        differs = seen.any(axis=1) | (kind != theirs[:, _TYPE_AT])
        if self.first is None:
            place = int(np.argmax(differs)) if differs.any() else len(ours)
            self._remember(ours[:place])
            if place < len(ours):
                self._note(place, ours[place].tobytes(), theirs[place].tobytes())
        self.records += len(ours)
        self.differences += int(differs.sum())

    def end(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Count what only one of the two has."""
        more = ours if len(ours) else theirs
        if len(more) and self.first is None:
            one = more[0].tobytes()
            self._note(0, one if len(ours) else None, None if len(ours) else one)
        self.records += len(more)
        self.differences += len(more)

    def _remember(self, records: np.ndarray) -> None:
        for record in records[records[:, _TYPE_AT] == RecordType.BBO]:
            self._books[int(record.view(_BBO)[0]["locate"])] = record.tobytes()

    def _note(self, place: int, ours: bytes | None, theirs: bytes | None) -> None:
        record = decoded(ours or theirs or b"")[1]
        book = self._books.get(record.get("locate", -1))
        self.first = Difference(self.records + place + 1, (ours, theirs),
                                decoded(book)[1] if book else None)


def decoded(octets: bytes) -> tuple[str, dict[str, Any]]:
    """Return name and fields of a record."""
    kind = RecordType(octets[_TYPE_AT])
    return kind.name, wire.decode(RECORDS[kind], octets)


def compare(first: Pass, second: Pass) -> Iterator[Comparison]:
    """Run two passes side by side; yields what was found so far, last of all the whole.

    Volatile fields (times, latencies, credits) may differ, everything else counts. Memory holds
    what one device is ahead of the other by, a chunk of the input or so.
    """
    found, masks = Comparison(), digest.masks()
    ours, theirs = _Recorder(first), _Recorder(second)
    while not (ours.is_done and theirs.is_done):
        slower = theirs if ours.is_done or (
            not theirs.is_done and len(theirs.waiting) < len(ours.waiting)) else ours
        slower.step()
        count = min(len(ours.waiting), len(theirs.waiting))
        found.take(np.ascontiguousarray(ours.waiting[:count]),
                   np.ascontiguousarray(theirs.waiting[:count]), masks)
        ours.waiting, theirs.waiting = ours.waiting[count:], theirs.waiting[count:]
        yield found
    found.end(ours.waiting, theirs.waiting)
    yield found
