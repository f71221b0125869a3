"""Books of a recorded input: a file's messages or a capture's frames through the book's kernels.

Everything is bounded: the input comes in chunks, the ring holds the records of one call, and its
reader (digest and tables) is done before the next call.
"""

import dataclasses
import time
from collections.abc import Sequence
from mmap import PAGESIZE

import numpy as np

from tickwire import decode as text
from tickwire.device.book_memory import BookMemory
from tickwire.device.feed_memory import FeedMemory
from tickwire.device.replay_pass import Pass
from tickwire.errors import TickwireError
from tickwire.feed.lines import lines_of, look
from tickwire.feed.pcap import frame_at
from tickwire.feed.source import FRAME_SIZE, FrameChunk, MessageChunk, Source
from tickwire.kernels.feed_state import desync_one, is_watched
from tickwire.kernels.ingress import ingress
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import load8, load32
from tickwire.kernels.messages import LOCATE
from tickwire.kernels.replay import LENGTH, RECORDS_PER_MESSAGE, replay
from tickwire.kernels.ring import ring_at
from tickwire.spec.counters import COUNTERS, CounterIndex
from tickwire.spec.geometry import MARKET, Geometry
from tickwire.spec.itch50 import HEADER_SIZE
from tickwire.spec.moldudp64 import MESSAGE_BLOCK
from tickwire.spec.network import FRAME_SIZE_MAX
from tickwire.spec.records import Line
from tickwire.spec.registers import GapPolicy

_RING_LOG2 = 12                            # records that stay in a core's own cache
_RING_LOG2_CAPTURE = 17                    # a gap may show every instrument anew, twice
_ALL_SHOWN = 3                             # times that one datagram can show every instrument
_FRAME_RECORDS = RECORDS_PER_MESSAGE * FRAME_SIZE_MAX // (MESSAGE_BLOCK.size + HEADER_SIZE)
_NAMED_AT = LOCATE + 2                     # octets of a message that names its instrument


@kernel
def _known(address, offsets, index, count, sizes):
    """Place in ``offsets`` of the next message of unknown type from ``index`` on, or ``count``."""
    while index < count and load8(sizes + load8(address + load32(offsets + 4 * index))) != 0:
        index += 1
    return index


@kernel
def _frames(receive, arbiter, book, address, frames, index, count):
    """Take frames from ``index`` on, while the ring has room; returns the next one's index."""
    b = book_at(book)
    r = ring_at(b["ring"])
    last = r["written"] + r["mask"] - (_ALL_SHOWN * b["instruments"] + _FRAME_RECORDS)
    while index < count and r["written"] <= last:
        f = frame_at(frames + index * FRAME_SIZE)
        size = np.int64(f["size"])
        ingress(receive, arbiter, book, address + f["offset"], size, max(f["timestamp"], 1), 0)
        index += 1
    return index


class Replay(Pass):
    """A pass through the software device's kernels.

    ``symbols`` maps the stocks to keep books of to their tick sizes, None all stocks with tick
    size ``tick`` (0: that of the first order); ``depth`` levels a side are reported. Without a
    ``geometry`` there is room for a whole market. With ``cut_through`` the end of a captured frame
    is judged as a card does, after its messages were used. :attr:`memory` holds the books.
    """

    def __init__(self, source: Source, *, symbols: dict[str, int] | None = None, tick: int = 0,
                 depth: int = 0, geometry: Geometry | None = None,
                 cut_through: bool = False) -> None:
        """Lay out the books; the kernels are compiled or loaded here, before any time is taken."""
        if geometry is None:
            geometry = MARKET if symbols is None else dataclasses.replace(
                MARKET, instruments=len(symbols))
        check_symbols(symbols, geometry)
        super().__init__(source, geometry, symbols)
        self._cut_through = cut_through
        log2 = _RING_LOG2_CAPTURE if source.is_capture else _RING_LOG2
        self.memory = BookMemory(dataclasses.replace(geometry, depth=depth),
                                 watch_symbols=symbols, ring_log2=log2, count_types=True)
        if symbols is None and tick:
            self.memory.set_tick(tick)
        view = self.memory.arena.view
        self._filter = view("filter", np.uint32)
        self._by_type, self._counters = view("by_type", np.int64), view("counters", np.int64)
        self._sequence, self._unknown = 1, 0
        self._first_faults = view("first_faults", np.int64)
        self._feed: FeedMemory | None = None
        self._take()
        for name in ("orders", "levels"):  # hashed: nearly every page is touched soon anyway
            view(name)[::PAGESIZE] |= 0
        if source.is_capture:
            look(0, 0, 0, 0, 0, 0, 0)
            _frames(0, 0, self.memory.address, 0, 0, 0, 0)
        else:
            replay(self.memory.address, 0, 0, 1, len(self.memory.records))

    # What goes in

    def _messages(self, chunk: MessageChunk) -> None:
        """Apply a chunk of a BinaryFILE; messages of unknown type are passed over and counted."""
        offsets, count, index = chunk.offsets, len(chunk), 0
        has_unknown = self.source.counts["unknown_type"] != self._unknown
        self._unknown = self.source.counts["unknown_type"]
        while index < count:
            stop = count
            if has_unknown:
                stop = _known(chunk.address, offsets.ctypes.data, index, count,
                              int(self.memory.context["sizes"]))
            if index < stop:
                end = chunk.size if stop == count else int(offsets[stop]) - LENGTH
                self._apply(chunk.address + int(offsets[index]) - LENGTH, chunk.address + end)
            if stop < count:
                length = int.from_bytes(chunk.octets(int(offsets[stop]) - LENGTH, LENGTH), "big")
                self._unreadable(chunk.octets(int(offsets[stop]), length))
            index = stop + 1
        for fault in self._new_faults():
            offset = int(offsets[int(self._first_faults[fault]) - chunk.first])
            length = int.from_bytes(chunk.octets(offset - LENGTH, LENGTH), "big")
            message = text.line(text.describe_itch(chunk.octets(offset, length)))
            self._faults[fault] += f" at octet {chunk.offset + offset - LENGTH}, {message}"

    def _new_faults(self) -> list[CounterIndex]:
        """Return the counters whose first fault came since the last call, and note its number."""
        found = [CounterIndex(index) for index in np.flatnonzero(self._first_faults).tolist()
                 if index not in self._faults]
        self._faults |= {fault: f"message {self._first_faults[fault]}" for fault in found}
        return found

    def _unreadable(self, message: bytes) -> None:
        """Count a message of unknown type and mark the book that it may have been for.

        One that is too short to name its instrument may have been for any, as in a feed.
        """
        context = self.memory.context
        self._counters[CounterIndex.MESSAGES] += 1
        self._counters[CounterIndex.UNKNOWN_TYPE] += 1
        self._by_type[message[0]] += 1
        context["stamp"] = context["timestamp"]
        if len(message) >= _NAMED_AT:
            entry = self._filter[int.from_bytes(message[LOCATE:_NAMED_AT], "big")]
            instruments = (entry[entry != 0].reshape(-1) & 0xFFFF).tolist()
        else:
            instruments = [number for number in range(self.geometry.instruments)
                           if is_watched(self.memory.address, number)]
        for instrument in instruments:
            desync_one(self.memory.address, instrument, self._sequence)
            if self.memory.records_written - self._taken == len(self.memory.records):
                self._take()
        self._take()
        context["stamp"] = 0
        self._sequence += 1

    def _apply(self, address: int, end: int) -> None:
        room = len(self.memory.records)
        while address < end:
            began = time.perf_counter_ns()
            address, self._sequence = replay(self.memory.address, address, end, self._sequence,
                                             room)
            self._busy_ns += time.perf_counter_ns() - began
            self._take()

    def _capture(self, chunk: FrameChunk) -> None:
        """Apply the frames of a capture."""
        if chunk.first == 1:
            self._feed = self._feed_of(lines_of(self.source))
        if self._feed is None:
            self._counters[CounterIndex.FRAMES_OTHER] += len(chunk)
            return
        index, count = 0, len(chunk)
        while index < count:
            began = time.perf_counter_ns()
            index = _frames(self._feed.receive, self._feed.arbiter, self.memory.address,
                            chunk.address, chunk.frames.ctypes.data, index, count)
            self._busy_ns += time.perf_counter_ns() - began
            self._take()
        self._new_faults()

    @property
    def has_feed(self) -> bool:
        """Whether a capture's feed was found."""
        return self._feed is not None

    def _feed_of(self, lines: Sequence[tuple[str, int]]) -> FeedMemory | None:
        """Arbiter for the feed on these lines, if there are any.

        Whatever is missing on both lines is skipped: nobody can be asked for it.
        """
        if not lines:
            return None
        feed = FeedMemory(self.memory, both_lines=len(lines) == 2, start=0,
                          policy=GapPolicy.SKIP, check_udp=False, cut_through=self._cut_through)
        for line, (group, port) in zip((Line.A, Line.B), lines, strict=False):
            feed.listen(line, group, port)
        return feed

    # What comes out

    def _take(self) -> None:
        """Hand over the records since the last call."""
        slots = self.memory.records
        written = self.memory.records_written
        while self._taken < written:
            first = self._taken & len(slots) - 1
            fresh = slots[first:first + written - self._taken]
            self._hand_over(fresh)

    def counters(self) -> dict[str, int]:
        """Return every counter that is not 0."""
        values = {counter.name: self.memory.counter(index) for index, counter
                  in zip(CounterIndex, COUNTERS, strict=True)}
        return {name: value for name, value in values.items() if value}

    @property
    def awaited(self) -> tuple[int, int]:
        """Number that a capture's feed awaits, and the one after the greatest that it has shown."""
        return (self._feed.expected, self._feed.highest) if self._feed is not None else (0, 0)

    def by_type(self) -> dict[str, int]:
        """Return the messages so far by their type."""
        return {chr(kind): int(count) for kind, count in enumerate(self._by_type[:256]) if count}

    def live_orders(self) -> int:
        """Return the orders in the books."""
        return self.memory.live_orders()

    @property
    def messages(self) -> int:
        """Messages so far, of every type."""
        return self.memory.counter(CounterIndex.MESSAGES)


def check_symbols(symbols: dict[str, int] | None, geometry: Geometry) -> None:
    """Refuse more symbols than a geometry has instruments."""
    if symbols and len(symbols) > geometry.instruments:
        raise TickwireError(f"The geometry has room for {geometry.instruments} instruments, "
                            f"not for {len(symbols)}.")
