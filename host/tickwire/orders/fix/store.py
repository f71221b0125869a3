"""What a FIX session must never lose: its two sequence numbers and the messages that it sent.

:class:`FileStore` keeps them in a journal (:mod:`tickwire.orders.fix.journal`, which states what
each durability mode promises) and its index, :class:`MemoryStore` for as long as the process lives.
A message is in the store before its first octet goes to the socket; a number that was received
counts after the message has been acted on. So a message may be acted on twice, which its
PossDupFlag shows, and never not at all.
"""

import os
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tickwire.orders.fix.journal import (
    DamageError,
    Journal,
    Record,
    StoreError,
    damage,
    make_folder,
    opened,
    scan,
)

CREATED, SENT, NEXT_IN, NEXT_OUT = 1, 2, 3, 4
_STRIDE = 64                               # messages between two rows of the index
_INDEX_HEAD = struct.Struct("<8sQ")        # name of the format, when the journal was created
_INDEX_ROW = struct.Struct("<QQQ")         # number, offset of its record, next number in
_INDEX_NAME = b"twfixidx"
NUMBER_MAX = (1 << 62) - 1


class Store(Protocol):
    """Numbers and sent messages of one session.

    A broken promise of the disk is a :class:`StoreError`.
    """

    batch_seconds: float                   # begin_sync is to be called this soon; 0: never needed

    @property
    def next_out(self) -> int:
        """Number of the next message to be sent."""

    @property
    def next_in(self) -> int:
        """Number that is awaited."""

    @property
    def created(self) -> int:
        """When both last began at 1, in ns since 1970."""

    def put(self, octets: bytes, time: int) -> None:
        """Keep the message numbered ``next_out``, and count it."""

    def received(self, number: int, time: int) -> None:
        """Await ``number`` from now on."""

    def lend(self, least: int) -> tuple[int, int, int] | None:
        """Let the engine append messages; what :meth:`Journal.lend` returns, or None: not here."""

    def adopt(self, tail: int) -> list[Record]:
        """Count the messages that the engine has appended, up to ``tail``, and return them."""

    def renumber(self, next_out: int, time: int) -> None:
        """Send ``next_out`` next. Kept messages from that number on are forgotten."""

    def sent(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Yield the kept messages numbered ``first`` to ``last`` in order; some may be missing."""

    def reset(self, time: int) -> None:
        """Begin again at 1 both ways, without messages."""

    def begin_sync(self, time: int) -> None:
        """Begin to make durable what the mode promises; for the caller's idle moments."""

    def sync(self) -> None:
        """Return when everything is durable, where the mode promises that."""

    def close(self) -> None:
        """Give back what is held."""


class MemoryStore:
    """A store that ends with the process. Keeps the last ``octets_max`` octets of messages."""

    batch_seconds = 0.0

    def __init__(self, time: int, octets_max: int = 1 << 26) -> None:
        self._octets_max = octets_max
        self._octets = 0
        self._messages: dict[int, bytes] = {}
        self.next_out = self.next_in = 1
        self.created = time

    def put(self, octets: bytes, time: int) -> None:
        """Keep a message; the oldest ones go when there is no room."""
        self._messages[self.next_out] = octets
        self.next_out += 1
        self._octets += len(octets)
        while self._octets > self._octets_max and len(self._messages) > 1:
            self._octets -= len(self._messages.pop(next(iter(self._messages))))

    def received(self, number: int, time: int) -> None:
        """Await ``number`` from now on."""
        self.next_in = number

    def lend(self, least: int) -> None:
        """A store in memory is not lent."""

    def adopt(self, tail: int) -> list[Record]:
        """Nothing was lent."""
        return []

    def renumber(self, next_out: int, time: int) -> None:
        """Send ``next_out`` next."""
        for number in [number for number in self._messages if number >= next_out]:
            self._octets -= len(self._messages.pop(number))
        self.next_out = next_out

    def sent(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Yield the kept messages of a range."""
        numbers = list(self._messages)
        for number in numbers[bisect_left(numbers, first):bisect_right(numbers, last)]:
            yield number, self._messages[number]

    def reset(self, time: int) -> None:
        """Begin again at 1 both ways."""
        self._octets = 0
        self._messages.clear()
        self.next_out = self.next_in = 1
        self.created = time

    def begin_sync(self, time: int) -> None:
        """Nothing is durable here."""

    def sync(self) -> None:
        """Nothing is durable here."""

    def close(self) -> None:
        """Nothing is held."""


class _State:
    """What the records of a journal amount to, and the index: a row for every 64 messages."""

    def __init__(self) -> None:
        self.next_out = self.next_in = 1
        self.created = 0
        self.name = ""
        self.numbers, self.offsets, self.numbers_in = array("Q"), array("Q"), array("Q")
        self.until_row = 0

    def sent(self, number: int, offset: int) -> bool:
        """Count a message; return whether it became a row of the index."""
        self.next_out = number + 1
        self.until_row -= 1
        if self.until_row >= 0:
            return False
        self._add_row(number, offset)
        return True

    def apply(self, record: Record) -> None:
        """Take one record up."""
        if record.kind == SENT:
            self.sent(record.number, record.offset)
        elif record.kind == NEXT_IN:
            self.next_in = record.number
        elif record.kind == NEXT_OUT:
            self.renumber(record.number, record.offset)
        elif record.kind == CREATED:
            self.created, self.name = record.time, record.payload.decode("latin-1")

    def renumber(self, next_out: int, offset: int) -> None:
        """Forget the messages from a number on: a row begins that ends the one before it."""
        keep = bisect_left(self.numbers, next_out)
        del self.numbers[keep:], self.offsets[keep:], self.numbers_in[keep:]
        self._add_row(next_out, offset)
        self.next_out = next_out

    def _add_row(self, number: int, offset: int) -> None:
        self.until_row = _STRIDE - 1
        self.numbers.append(number)
        self.offsets.append(offset)
        self.numbers_in.append(self.next_in)

    def rows(self) -> bytes:
        """Return the index as it stands in its file."""
        return _INDEX_HEAD.pack(_INDEX_NAME, self.created) + b"".join(
            map(_INDEX_ROW.pack, self.numbers, self.offsets, self.numbers_in))


class FileStore:
    """A store in the file ``path``, with its index in ``path`` + ``.index``.

    One process at a time has it open. ``torn`` octets of a half-written record were cut off when it
    was opened. The index only saves time: it is checked against the journal, and written anew when
    it does not fit. Memory: 16 octets for 64 messages.
    """

    def __init__(self, path: Path, name: str, time: int, durability: str = "batch",
                 batch_ms: int = 20, *, is_repaired: bool = False) -> None:
        """Open or make the store of the session ``name``; raises :class:`StoreError`."""
        self.path, self.name = path, name
        self._mode = (durability, batch_ms)
        self.batch_seconds = batch_ms / 1_000 if durability == "batch" else 0.0
        self._index = -1
        make_folder(path.parent)
        self._state, start = _from_index(path)
        try:
            self._journal = Journal(path, *self._mode, start, is_repaired=is_repaired)
        except DamageError:
            raise StoreError(fault(path)) from None
        self.torn = self._journal.torn
        try:
            self._load(start, time)
        except BaseException:
            self.close()
            raise

    @property
    def next_out(self) -> int:
        """Number of the next message to be sent."""
        return self._state.next_out

    @property
    def next_in(self) -> int:
        """Number that is awaited."""
        return self._state.next_in

    @property
    def created(self) -> int:
        """When both numbers last began at 1, in ns since 1970."""
        return self._state.created

    def put(self, octets: bytes, time: int) -> None:
        """Keep a message; what the mode promises holds when this returns."""
        number = self._state.next_out
        self._count(number, self._journal.append(SENT, number, time, octets))

    def lend(self, least: int) -> tuple[int, int, int] | None:
        """Let the engine append messages, unless each is to be durable before it is sent."""
        return self._journal.lend(least) if self._mode[0] != "each" else None

    def adopt(self, tail: int) -> list[Record]:
        """Count the messages that the engine has appended."""
        records = self._journal.adopt(tail)
        for record in records:
            self._count(record.number, record.offset)
        return records

    def _count(self, number: int, offset: int) -> None:
        state = self._state
        if state.sent(number, offset):
            os.write(self._index, _INDEX_ROW.pack(number, offset, state.next_in))

    def received(self, number: int, time: int) -> None:
        """Await ``number`` from now on."""
        self._journal.append(NEXT_IN, number, time)
        self._state.next_in = number

    def renumber(self, next_out: int, time: int) -> None:
        """Send ``next_out`` next."""
        self._state.renumber(next_out, self._journal.append(NEXT_OUT, next_out, time))
        self._write_index()

    def sent(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Yield the kept messages of a range, each checked when it is read."""
        state = self._state
        rows = len(state.numbers)
        for row in range(max(bisect_right(state.numbers, first) - 1, 0), rows):
            end = state.numbers[row + 1] if row + 1 < rows else state.next_out
            for record in self._journal.records(state.offsets[row]):
                if record.kind != SENT:
                    continue
                if record.number >= end:   # the next row, or what a new number replaced
                    break
                if record.number > last:
                    return
                if record.number >= first:
                    yield record.number, record.payload

    def reset(self, time: int) -> None:
        """Begin again at 1 both ways, in a new file that takes the old one's place at once."""
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)
        journal = Journal(fresh, *self._mode)
        try:
            self._create(journal, time)
            journal.replace(self.path)
        except BaseException:
            journal.close()
            raise
        self._journal.close()
        self._journal = journal
        self._write_index()

    def begin_sync(self, time: int) -> None:
        """Have the disk begin to take what was appended, in batches."""
        self._journal.begin_sync(time)

    def sync(self) -> None:
        """Return when the disk has what was appended, where the mode promises that."""
        self._journal.sync()

    def close(self) -> None:
        """Close both files; everything appended is durable where the mode promises that."""
        self._journal.close()
        if self._index >= 0:
            os.close(self._index)
            self._index = -1

    def _load(self, start: int, time: int) -> None:
        if self._journal.size == 0:
            self._create(self._journal, time)
        for record in self._journal.records(start):
            self._state.apply(record)
        if self._state.name != self.name:
            raise StoreError(f"{self.path}: is the store of {self._state.name}, not {self.name}.")
        self._write_index()

    def _create(self, journal: Journal, time: int) -> None:
        journal.append(CREATED, 0, time, self.name.encode("latin-1"))
        self._state = _State()
        self._state.created, self._state.name = time, self.name

    def _write_index(self) -> None:
        if self._index >= 0:
            os.close(self._index)
        self._index = opened(_index_path(self.path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                             | os.O_APPEND)
        os.write(self._index, self._state.rows())


def read_state(path: Path) -> tuple[str, int, int, int, int]:
    """Return name, next number out, next number in, when created and octets of a store.

    They are what the next start finds. The store may be in use; nothing is locked or changed.
    Raises :class:`StoreError` for a file that is no store.
    """
    state, end = _from_index(path)
    for record in scan(path, end):
        state.apply(record)
        end = record.end
    if not state.created:
        raise StoreError(f"{path}: is not the store of a FIX session.")
    return state.name, state.next_out, state.next_in, state.created, end


def fault(path: Path) -> str:
    """Say where a store is damaged and what that means; nothing when every record is whole."""
    start = _from_index(path)[1]
    found = damage(path, start) or damage(path)
    if found is None:
        return ""
    if found.offset == 0:
        follows = "move it away, and agree on a reset with the other side"
    elif found.offset < start:
        follows = f"the session goes on, but up to {_STRIDE} messages cannot be sent again"
    else:
        follows = f"`tickwire fix sessions {path.stem} --repair` cuts it off there"
    return f"{found.sentence(path)}; {follows}."


def _from_index(path: Path) -> tuple[_State, int]:
    """Return the state before the last row of the index and its offset, or from the start."""
    try:
        octets = _index_path(path).read_bytes()
        whole = (len(octets) - _INDEX_HEAD.size) // _INDEX_ROW.size * _INDEX_ROW.size
        *rows, (number, offset, next_in) = _INDEX_ROW.iter_unpack(
            octets[_INDEX_HEAD.size:_INDEX_HEAD.size + whole])
        first, last = next(scan(path)), next(scan(path, offset))
    except (OSError, StoreError, StopIteration, ValueError):
        return _State(), 0
    state = _State()
    state.apply(first)
    if (octets[:_INDEX_HEAD.size] != _INDEX_HEAD.pack(_INDEX_NAME, state.created)
            or last.kind not in (SENT, NEXT_OUT) or last.number != number):
        return _State(), 0
    for row in rows:
        for column, value in zip((state.numbers, state.offsets, state.numbers_in), row,
                                 strict=True):
            column.append(value)
    state.next_in = next_in
    return state, offset


def _index_path(path: Path) -> Path:
    return path.with_name(path.name + ".index")
