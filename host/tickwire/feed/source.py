"""What every source of frames and messages has in common.

A source is iterated once. It yields chunks: :class:`MessageChunk` from a BinaryFILE,
:class:`FrameChunk` from a capture. A chunk's memory is recycled when the next one is asked for.
The iteration ends at the end of the input, or with :class:`tickwire.errors.InputError` after
everything before the damage has been yielded. Close a source, or use it in a ``with``.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import ClassVar

import numpy as np

from tickwire.errors import InputError
from tickwire.feed.octets import Buffer, OctetStream

FRAME = np.dtype([
    ("offset", "i8"),        # of the frame's first octet, from the chunk's address
    ("timestamp", "i8"),     # ns since 1970, as captured
    ("size", "i4"),          # octets in memory
    ("size_on_wire", "i4"),  # octets that the frame had; more than ``size`` when it was cut
    ("interface", "i4"),     # number within the section of a pcapng; 0 in a pcap
    ("reserved", "i4"),
], align=True)
"""One captured frame of a :class:`FrameChunk`."""

FRAME_SIZE = FRAME.itemsize


class Chunk:
    """Octets in memory: ``size`` valid ones at ``address``, and 64 more that may be read.

    ``offset`` is the place of the first one in the (decompressed) file, ``first`` the number of
    the first message or frame, counted from 1 over the whole input.
    """

    __slots__ = ("_buffer", "_start", "address", "first", "offset", "size")

    def __init__(self, buffer: Buffer, start: int, size: int, first: int) -> None:
        """Show ``size`` octets of ``buffer`` from ``start``, counted from its valid octets."""
        self._buffer, self._start = buffer, start
        self.address, self.offset = buffer.address + start, buffer.offset + start
        self.size, self.first = size, first

    def octets(self, offset: int, size: int) -> bytes:
        """Copy ``size`` octets from ``offset``, counted from the chunk's address."""
        place = self._buffer.start + self._start + offset
        return self._buffer.array[place:place + size].tobytes()


class MessageChunk(Chunk):
    """Whole messages, each after its length of 2 octets, big-endian and never zero.

    ``offsets`` (int32) holds the place of each message's type octet, from the chunk's address:
    its length stands 2 octets before. Length and type have been checked against each other.
    """

    __slots__ = ("offsets",)

    def __init__(self, buffer: Buffer, start: int, size: int, first: int,
                 offsets: np.ndarray) -> None:
        """Show the messages that ``offsets`` lists."""
        super().__init__(buffer, start, size, first)
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[bytes]:
        """Copy out each message, without its length."""
        for offset in self.offsets.tolist():
            yield self.octets(offset, int.from_bytes(self.octets(offset - 2, 2), "big"))


class FrameChunk(Chunk):
    """Captured frames, each an Ethernet frame without FCS whatever the link type was.

    ``frames`` is an array of :data:`FRAME`.
    """

    __slots__ = ("frames",)

    def __init__(self, buffer: Buffer, start: int, size: int, first: int,
                 frames: np.ndarray) -> None:
        """Show the frames that ``frames`` lists."""
        super().__init__(buffer, start, size, first)
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[bytes]:
        """Copy out each frame."""
        for offset, size in zip(self.frames["offset"].tolist(), self.frames["size"].tolist(),
                                strict=True):
            yield self.octets(offset, size)


class Source:
    """An open input file.

    Attributes
    ----------
    kind : str
        ``binaryfile``, ``pcap`` or ``pcapng``.
    is_capture : bool
        Whether it yields frames instead of messages.
    name : str
        Path as given.
    total : int
        Octets of the file, compressed or not.
    counts : Counter[str]
        What was out of the ordinary, by name: see the classes.
    warnings : list[str]
        Sentences for the user, each kind once.
    """

    kind: ClassVar[str] = ""
    is_capture: ClassVar[bool] = False

    def __init__(self, stream: OctetStream) -> None:
        self._stream = stream
        self.name, self.total = stream.name, stream.total
        self.counts: Counter[str] = Counter()
        self.warnings: list[str] = []
        self._start = 0                    # octets of the file header
        self._next = 1                     # number of the next message or frame

    @property
    def position(self) -> int:
        """Octets of the file that what was yielded so far has used, of ``total``."""
        return self._stream.position

    @property
    def is_compressed(self) -> bool:
        """Whether the file is gzip; offsets in messages then count decompressed octets."""
        return self._stream.compressed

    def __iter__(self) -> Iterator[Chunk]:
        carry, start, end = b"", self._start, 0
        for buffer in self._stream:
            buffer.prepend(carry)
            start = yield from self._chunks(buffer, start)
            carry, end = buffer.octets(start), buffer.offset + buffer.size
            start = max(0, start - buffer.size)
        self._finish(carry, end, start)

    def _chunks(self, buffer: Buffer, start: int) -> Generator[Chunk, None, int]:
        """Yield what is whole in a buffer from ``start`` on; return where the rest begins.

        More than the buffer's size leaves out as much of the next one. Advances ``_next``.
        """
        raise NotImplementedError

    def _finish(self, rest: bytes, end: int, missing: int) -> None:
        """See to the octets left at the end of the input, octet ``end``, or ``missing`` there."""
        if rest:
            unit = "frame" if self.is_capture else "message"
            raise InputError(f"{self.name} is cut short: {unit} {self._next} begins at octet "
                             f"{end - len(rest)} and the file ends {len(rest)} octets later.")

    def close(self) -> None:
        """End reading and close the file."""
        self._stream.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def _count(self, name: str, number: int, among: int, what: str, first: str = "") -> None:
        """Count what was odd ``among`` the next units, and warn about it the first time.

        ``first`` says where the first one is, if that is known.
        """
        if number:
            if not self.counts[name]:
                where = first or f"among numbers {self._next} to {self._next + among - 1}"
                self.warnings.append(f"{self.name} has {what}, the first {where}.")
            self.counts[name] += number
