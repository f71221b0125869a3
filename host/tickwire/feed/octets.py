"""Octets of a file, plain or gzip, in large buffers that a helper thread fills ahead.

Reading and decompression run without the GIL, so they overlap with the kernels that consume the
octets. Memory is bounded by the buffers: a file is never loaded whole.
"""

import os
import queue
import stat
import threading
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from tickwire.errors import InputError

CHUNK_SIZE = 4 << 20
"""Octets of one buffer: a few milliseconds of work, so that the hand-over costs nothing."""

CARRY_MAX = 1 << 19
"""Room before the octets of a buffer for the cut unit of the buffer before."""

SLACK = 64
"""Octets after the last one that a kernel may read: a whole vector register."""

BUFFERS = 3
"""One with the consumer, one ready, one being filled."""

HEAD_MAX = 32
"""Octets that the first buffer holds at least, unless the file is shorter."""

GZIP_MAGIC = b"\x1f\x8b"
_GZIP_INPUT = 256 << 10                    # compressed octets read at once
_GZIP_OUTPUT = 1 << 20                     # decompressed octets made at once
_OTHER_ARCHIVES = {
    b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
}


class Buffer:
    """Memory for one chunk: ``CARRY_MAX`` octets, the chunk, ``SLACK`` octets.

    ``start`` and ``size`` say which octets of ``array`` are valid, ``offset`` is the place of the
    first of them in the (decompressed) file, ``position`` how far the file itself has been read.
    """

    __slots__ = ("address", "array", "base", "error", "offset", "position", "size", "start")

    def __init__(self, chunk_size: int) -> None:
        """Take memory for ``chunk_size`` octets, aligned to a cache line."""
        raw = np.zeros(CARRY_MAX + chunk_size + SLACK + 64, np.uint8)
        shift = -raw.ctypes.data % 64
        self.array = raw[shift:shift + CARRY_MAX + chunk_size + SLACK]
        self.base = self.array.ctypes.data
        self.error: InputError | None = None
        self.set(CARRY_MAX, 0, 0, 0)

    def set(self, start: int, size: int, offset: int, position: int) -> None:
        """Declare which octets are valid and where they come from."""
        self.start, self.size, self.offset, self.position = start, size, offset, position
        self.address = self.base + start

    def prepend(self, carry: bytes) -> None:
        """Put the cut unit of the buffer before in front of the valid octets."""
        count = len(carry)
        if count:
            assert count <= self.start
            self.array[self.start - count:self.start] = np.frombuffer(carry, np.uint8)
            self.set(self.start - count, self.size + count, self.offset - count, self.position)

    def octets(self, first: int = 0, end: int | None = None) -> bytes:
        """Copy the octets from ``first`` to ``end``, both counted from the first valid one."""
        end = self.size if end is None else min(end, self.size)
        return self.array[self.start + first:self.start + end].tobytes()


class _Reader(Protocol):
    """What fills a buffer: ``readinto`` as of a raw file, ``position`` in the file itself."""

    position: int

    def readinto(self, view: memoryview) -> int:
        """Fill a part of ``view``; 0 at the end of the file."""


class _Plain:
    """A file as it is."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.position = descriptor, 0

    def readinto(self, view: memoryview) -> int:
        count = os.readv(self.descriptor, [view])
        self.position += count
        return count


class _Gzip:
    """A gzip file of one or more members (RFC 1952); zeros after the last one are padding."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.descriptor, self.name, self.position = descriptor, name, 0
        self._made = 0
        self._input = b""
        self._is_begun = False
        self._member: zlib._Decompress | None = None

    def readinto(self, view: memoryview) -> int:
        while True:
            if not self._input:
                self._input = os.read(self.descriptor, _GZIP_INPUT)
                self.position += len(self._input)
            if self._member is None and not self._next_member():
                return 0
            assert self._member is not None
            at_end = not self._input
            made = self._decompress(min(len(view), _GZIP_OUTPUT))
            if self._member.eof:
                self._member = None
            elif at_end and not made:
                raise InputError(f"{self.name} is cut short: its gzip data end without their "
                                 f"check sum at octet {self.position}, after {self._made} "
                                 "decompressed octets.")
            if made:
                view[:len(made)] = made
                self._made += len(made)
                return len(made)

    def _decompress(self, most: int) -> bytes:
        """Decompress at most so many octets; raises only where damage leaves none before it.

        zlib keeps nothing of a step that meets damage, so such a step is taken again in halves,
        down to one octet of the file. A literal that shares its octet with the damage is lost.
        """
        assert self._member is not None
        size = len(self._input)
        while True:
            before = self._member.copy()
            try:
                made = self._member.decompress(self._input[:size], most)
                break
            except zlib.error as error:
                if max(size, most) <= 1:
                    raise self._damaged(str(error).rpartition(": ")[2]) from None
                self._member = before
                size, most = (size // 2, most) if size > 1 else (size, most // 2)
        left = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        self._input = left + self._input[size:]
        return made

    def _next_member(self) -> bool:
        """Begin the next member; False at the end of the file."""
        while self._is_begun:              # zeros between and after members are padding
            self._input = self._input.lstrip(b"\0")
            if self._input:
                break
            self._input = os.read(self.descriptor, _GZIP_INPUT)
            self.position += len(self._input)
            if not self._input:
                return False
        if not self._input.startswith(GZIP_MAGIC[:1]):
            raise self._damaged("octets that are not gzip follow")
        self._is_begun = True
        self._member = zlib.decompressobj(wbits=31)
        return True

    def _damaged(self, reason: str) -> InputError:
        place = self.position - len(self._input)
        return InputError(f"{self.name} is damaged: {reason} in its gzip data, found at octet "
                          f"{place}, after {self._made} decompressed octets.")


def _fill(reader: _Reader, name: str, chunk_size: int, free: "queue.SimpleQueue[Buffer | None]",
          full: "queue.SimpleQueue[Buffer]", descriptor: int) -> None:
    """Fill free buffers until the end of the file, an error, or a free buffer that is None."""
    offset = 0
    try:
        while (buffer := free.get()) is not None:
            size = count = 0
            buffer.error = None
            view = buffer.array.data[CARRY_MAX:CARRY_MAX + chunk_size]
            try:
                while size < chunk_size and (count := reader.readinto(view[size:])):
                    size += count
            except InputError as error:
                buffer.error = error
            except OSError as error:
                buffer.error = InputError(f"Cannot read {name} at octet {reader.position}: "
                                          f"{error.strerror}.")
            view.release()
            buffer.set(CARRY_MAX, size, offset, reader.position)
            offset += size
            full.put(buffer)
            if size < chunk_size:          # the end, or an error: either way the last buffer
                return
    finally:
        os.close(descriptor)


class OctetStream:
    """The decompressed octets of a regular file, as buffers.

    Iterate once. A buffer belongs to the consumer until it asks for the next one. The last
    buffer may be followed by :class:`InputError`: what was readable has then been handed over.

    Attributes
    ----------
    name : str
        Path as given, for messages.
    total : int
        Octets of the file itself.
    position : int
        How much of ``total`` the buffers handed over so far have used, for progress.
    compressed : bool
        Whether the file is gzip.
    """

    def __init__(self, path: str | os.PathLike[str], chunk_size: int = CHUNK_SIZE) -> None:
        """Open ``path`` and begin to read; raises :class:`InputError` with the reason."""
        self.name = str(path)
        descriptor = _open(Path(path), self.name)
        try:
            self.total = os.fstat(descriptor).st_size
            head = os.pread(descriptor, 8, 0)
            for magic, kind in _OTHER_ARCHIVES.items():
                if head.startswith(magic):
                    raise InputError(f"{self.name} is a {kind} archive; gzip and plain files "
                                     "are read, so decompress it first.")
        except BaseException:
            os.close(descriptor)
            raise
        self.compressed = head.startswith(GZIP_MAGIC)
        self.position = 0
        reader: _Reader = (_Gzip(descriptor, self.name) if self.compressed
                           else _Plain(descriptor))
        free: queue.SimpleQueue[Buffer | None] = queue.SimpleQueue()
        full: queue.SimpleQueue[Buffer] = queue.SimpleQueue()
        self._free, self._full, self._chunk_size = free, full, chunk_size
        self._first: Buffer | None = None
        self._is_last = False
        # Memory follows the file: a small file does not pay for three large buffers.
        small = not self.compressed and self.total < chunk_size
        for _ in range(1 if small else BUFFERS):
            free.put(Buffer(chunk_size))
        self._thread = threading.Thread(
            target=_fill, args=(reader, self.name, chunk_size, free, full, descriptor),
            name="tickwire-read", daemon=True)
        self._thread.start()
        # The thread holds the queues, not this object: an abandoned stream ends its thread.
        self._finalizer = weakref.finalize(self, free.put, None)

    def head(self, count: int) -> bytes:
        """Return up to ``count`` of the first octets, before the iteration begins."""
        assert count <= HEAD_MAX <= self._chunk_size
        if self._first is None:
            self._first = self._full.get()
        if not self._first.size and self._first.error:
            raise self._first.error
        return self._first.octets(0, count)

    def __iter__(self) -> Iterator[Buffer]:
        while not self._is_last:
            buffer, self._first = self._first or self._full.get(), None
            self._is_last = buffer.size < self._chunk_size
            self.position = buffer.position
            error = buffer.error
            if buffer.size:
                yield buffer
            if error:
                raise error
            if not self._is_last:
                self._free.put(buffer)

    def close(self) -> None:
        """End the helper thread and close the file; the buffers stay readable."""
        self._is_last = True
        self._finalizer()
        self._thread.join()


def _open(path: Path, name: str) -> int:
    """Open a regular file for reading, without waiting for the writer of a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot open {name}: {reason}.") from None
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(kind) else "not a regular file"
        raise InputError(f"Cannot read {name}: it is {what}.")
    return descriptor
