"""A file that is only ever appended to: records with a checksum, whole or not there at all.

A record is a head of 32 octets (length, CRC-32, mark, kind, number, time), its payload, and zeros
up to the next multiple of 8. It is written into a mapped window of the file, so it is the kernel's
as soon as :meth:`Journal.append` returns: a process that is killed loses nothing that was appended.
What a machine that loses its power may lose is the mode's promise:

- ``none``: whatever the kernel had not written yet, usually up to 30 seconds.
- ``batch``: what was appended in the last ``batch_ms``, and while the disk was at it: a flush
  begins with the first ``append`` after that time, or when whoever owns the journal is idle and
  calls :meth:`Journal.begin_sync`. Nobody waits for it (:mod:`tickwire.orders.fix.flush`), and the
  next one begins after its end.
- ``each``: nothing; ``append`` returns after the disk has the record (fdatasync).

A record that was cut off in its middle is the last one. Opening cuts it off and tells how many
octets that were. Whole records after a broken one are no torn tail but damage: that is refused.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from tickwire.errors import TickwireError
from tickwire.orders.fix.flush import Flusher

DURABILITIES = ("none", "batch", "each")

MARK = 0x57F1_E5A9                        # what every head has, to find the next one by
_HEAD = struct.Struct("<IIIIQQ")           # length, CRC-32 of all that follows it, mark, kind, ...
_begin = struct.Struct("<III").unpack_from  # the head up to its mark
_front = struct.Struct("<II").pack        # the head up to its checksum
_rest = struct.Struct("<IIQQ").pack        # the head behind its checksum
_LENGTH_MAX = 1 << 26
_WINDOW = 1 << 18                          # octets mapped, and reserved on the disk, at a time
_PAGE = mmap.PAGESIZE
_NEVER = 1 << 63                           # ns since 1970
_SEARCH = 1 << 24                          # octets searched for whole records behind a broken one


class StoreError(TickwireError):
    """A file of a session that cannot be opened, read or extended."""


class DamageError(StoreError):
    """A file with a broken record before whole ones."""


class Damage(NamedTuple):
    """A broken record at octet ``offset``, and where the first whole one behind it begins."""

    offset: int
    later: int

    def sentence(self, path: Path) -> str:
        """Say it, without a point at the end."""
        return (f"{path}: the record at octet {self.offset} is damaged, and whole ones follow it "
                f"at octet {self.later}")


class Record(NamedTuple):
    """One record: ``kind``, ``number`` and ``time`` (ns since 1970) are its writer's."""

    kind: int
    number: int
    time: int
    payload: bytes
    offset: int
    end: int


class Journal:
    """One append-only file. Only one process at a time writes to it.

    ``torn`` is the number of octets that were cut off when it was opened. Raises
    :class:`StoreError` when the file is used by another process or cannot be written,
    :class:`DamageError` when it is damaged.
    """

    def __init__(self, path: Path, durability: str = "batch", batch_ms: int = 20,
                 start: int = 0, *, is_repaired: bool = False) -> None:
        """Open or make the file; records before ``start`` are taken as checked.

        With ``is_repaired`` a broken record and all that follow it are cut off.
        """
        if durability not in DURABILITIES:
            raise ValueError(f"durability must be one of {DURABILITIES}, not {durability!r}")
        self.path = path
        self.durability = durability
        self.torn = 0
        self._batch = batch_ms * 1_000_000 if durability == "batch" else 0
        # An append before the one time, or from the other on, has the disk take it.
        self._synced, self._due = 0, _NEVER if durability == "none" else 0
        self._flushed = 0                  # octets that the disk has, or is told to take
        self._flusher: Flusher | None = None
        self._map: mmap.mmap | None = None
        self._file = opened(path, os.O_RDWR | os.O_CREAT)
        try:
            _lock(self._file, path)
            self._tail = self._flushed = self._checked_end(start, is_repaired)
            self._open_window(0)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Octets of all whole records."""
        return self._tail

    def append(self, kind: int, number: int, time: int, payload: bytes = b"") -> int:
        """Append a record and return its offset. ``time`` (ns) also drives the batches.

        Raises :class:`StoreError` when the disk is full; then nothing was appended.
        """
        length = len(payload)
        offset = self._tail
        start = offset - self._base
        end = start + 32 + length
        if end > self._room:
            self._open_window(length)
            start = offset - self._base
            end = start + 32 + length
        checked = _rest(MARK, kind, number, time) + payload
        self._map[start:end] = _front(length, crc32(checked)) + checked     # type: ignore[index]
        self._tail = self._base + (end + 7 & -8)
        if not self._synced <= time < self._due:
            if self._batch:
                self.begin_sync(time)
            else:
                self.sync()
        return offset

    def begin_sync(self, time: int) -> None:
        """Have the disk begin to take what was appended, at ``time``; with ``batch`` only.

        While it is still at what it was told before, nothing happens: call it again.
        """
        if not self._batch:
            return
        if self._flushed != self._tail:
            if self._flusher is None:
                self._flusher = Flusher(self._file)
            with self._told():
                if not self._flusher.begin():
                    return
            self._flushed = self._tail
        self._synced, self._due = time, time + self._batch

    def sync(self) -> None:
        """Return when the disk has everything that was appended, unless the mode is ``none``."""
        if self.durability == "none":
            return
        with self._told():
            if self._flusher is not None:
                self._flusher.wait()
            if self._flushed != self._tail:
                os.fdatasync(self._file)
        self._flushed = self._tail

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.path}: the disk refuses: {error.strerror}.") from None

    def lend(self, least: int) -> tuple[int, int, int]:
        """Let somebody else append, until :meth:`adopt`; there is room for ``least`` octets.

        Returns the address of the mapped window, the octets of records in it, and how many fit.
        """
        if self._tail - self._base + least > self._room:
            self._open_window(least)
        assert self._map is not None
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        return address, self._tail - self._base, self._room

    def adopt(self, tail: int) -> list[Record]:
        """Take up and return the records that were appended to the window, now ``tail`` octets."""
        start, self._tail = self._tail, self._base + tail
        return list(self.records(start))

    def read(self, offset: int) -> Record | None:
        """Return the record at ``offset``, or nothing when there is no whole one."""
        return _record(self._file, offset, self._tail)

    def records(self, start: int = 0) -> Iterator[Record]:
        """Yield the records from ``start`` on, an offset that :meth:`append` gave."""
        while (record := _record(self._file, start, self._tail)) is not None:
            yield record
            start = record.end

    def replace(self, path: Path) -> None:
        """Move this journal onto ``path``, at once, as the one that is found there afterwards."""
        self.sync()
        os.replace(self.path, path)
        if self.durability != "none":
            folder = opened(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        self.path = path

    def close(self) -> None:
        """Give the file back, without what was only reserved."""
        if self._map is not None:
            self._map.close()
            self._map = None
            self.sync()
            os.ftruncate(self._file, self._tail)
        if self._flusher is not None:
            self._flusher.close()
            self._flusher = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open_window(self, length: int) -> None:
        """Reserve and map room for a record with ``length`` octets behind the last record."""
        base = self._tail & -_PAGE
        room = max(_WINDOW, self._tail - base + length + 64 + _PAGE - 1 & -_PAGE)
        try:
            # Pages that exist already are three times as cheap to write to as reserved ones.
            zeros = bytes(base + room - self._tail)
            if os.pwrite(self._file, zeros, self._tail) < len(zeros):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            window = mmap.mmap(self._file, room, offset=base)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be extended: {error.strerror}.") from None
        if self._map is not None:
            self._map.close()
        self._map, self._base, self._room = window, base, room

    def _checked_end(self, start: int, is_repaired: bool) -> int:
        """Return the end of the last whole record; cut off what is behind it."""
        size = os.fstat(self._file).st_size
        end = _whole_end(self._file, start, size)
        rest = os.pread(self._file, min(max(size - end, 0), _SEARCH), end)
        garbage = len(rest.rstrip(b"\0"))
        if garbage:
            later = _later_record(self._file, rest, end, size)
            if later is not None and not is_repaired:
                raise DamageError(f"{Damage(end, later).sentence(self.path)}.")
            self.torn = garbage
        os.ftruncate(self._file, end)
        return end


def scan(path: Path, start: int = 0) -> Iterator[Record]:
    """Yield the whole records of a file that another process may be writing."""
    file = _opened_to_read(path)
    try:
        while (record := _record(file, start, os.fstat(file).st_size)) is not None:
            yield record
            start = record.end
    finally:
        os.close(file)


def damage(path: Path, start: int = 0) -> Damage | None:
    """Return the first damage of a file that another process may be writing, from ``start`` on.

    What was cut off behind the last whole record is none.
    """
    file = _opened_to_read(path)
    try:
        while True:
            size = os.fstat(file).st_size
            while (record := _record(file, start, size)) is not None:
                start = record.end
            later = _later_record(file, os.pread(file, _SEARCH, start), start, size)
            if later is None:
                return None
            if _record(file, start, size) is None:     # or its writer has finished it meanwhile
                return Damage(start, later)
    finally:
        os.close(file)


def _whole_end(file: int, start: int, size: int) -> int:
    """Return the end of the last of whole records from ``start`` on, as :func:`_record` reads them.

    Through a map and without an object a record: a log of a day has millions.
    """
    if size <= start:
        return start
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as octets, memoryview(octets) as view:
        end, last = start, size - _HEAD.size
        while end <= last:
            length, check, mark = _begin(view, end)
            if mark != MARK or length > _LENGTH_MAX or length > last - end:
                break
            behind = end + 32 + length
            if crc32(view[end + 8:behind]) != check:
                break
            end = behind + 7 & -8
    return end


def _record(file: int, offset: int, size: int) -> Record | None:
    head = os.pread(file, 512, offset)
    if len(head) < _HEAD.size:
        return None
    length, check, mark, kind, number, time = _HEAD.unpack_from(head)
    if mark != MARK or length > min(_LENGTH_MAX, size - offset - _HEAD.size):
        return None
    payload = head[32:32 + length] if length <= len(head) - 32 \
        else os.pread(file, length, offset + 32)
    if len(payload) != length or crc32(payload, crc32(head[8:32])) != check:
        return None
    return Record(kind, number, time, payload, offset, offset + 32 + length + 7 & -8)


def _later_record(file: int, rest: bytes, offset: int, size: int) -> int | None:
    """Return where a whole record begins in ``rest``, which begins at ``offset``."""
    mark = struct.pack("<I", MARK)
    found = rest.find(mark, 16)
    while found >= 0:
        start = offset + found - 8
        if start % 8 == 0 and _record(file, start, size) is not None:
            return start
        found = rest.find(mark, found + 1)
    return None


def make_folder(path: Path) -> None:
    """Make a folder for files of sessions where there is none; raises :class:`StoreError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: the folder cannot be made: {error.strerror}.") from None


def opened(path: Path, flags: int) -> int:
    """Open a file of a session, that of its owner alone; raises :class:`StoreError`."""
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}.") from None


def _opened_to_read(path: Path) -> int:
    file = opened(path, os.O_RDONLY)
    if stat.S_ISDIR(os.fstat(file).st_mode):   # which opens, and cannot be read
        os.close(file)
        raise StoreError(f"{path}: is a folder, not a file.")
    return file


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise StoreError(f"{path}: another process uses this session; stop it first.") from None
