"""What every replay has in common, whatever device it runs on: what comes out of it."""

import abc
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tickwire.errors import InputError
from tickwire.feed.source import FrameChunk, MessageChunk, Source
from tickwire.kernels import digest
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load16
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import Geometry
from tickwire.spec.records import (
    BBO,
    DIRECTORY,
    FEED_STATE,
    LEVEL,
    RECORD_SIZE,
    TRADE,
    TRAILER_OFFSET,
    FeedState,
    RecordType,
)
from tickwire.spec.render import dtype

if TYPE_CHECKING:
    from tickwire.observe.tables import Table

SESSIONS_TOLD = 4                          # names of sessions that a summary has, at most
_TYPE_AT = TRAILER_OFFSET + 4
_FEED, _BBO, _DIRECTORY = dtype(FEED_STATE), dtype(BBO), dtype(DIRECTORY)
_OF_ORDERS = (RecordType.BBO, RecordType.LEVEL, RecordType.TRADE)
_LOCATE_AT = BBO.field("locate")[1]
assert all(record.field("locate")[1] == _LOCATE_AT for record in (LEVEL, TRADE))


@kernel
def _unnamed(records, count, marks):
    """Index of the first of ``count`` records whose locate has a mark that is not 0, or ``count``.

    ``marks`` is the address of an octet for each locate.
    """
    index = 0
    while index < count and load8(marks + load16(records + index * RECORD_SIZE
                                                 + _LOCATE_AT)) == 0:
        index += 1
    return index


class Pass(abc.ABC):
    """One pass over ``source`` through a device's books. Iterate it to the end.

    It yields after each chunk. What the records say goes to ``tables`` and into the digest.
    Raises what iterating the source raises.

    Attributes
    ----------
    tables : list[Table]
        Tables to write; add to it before the first chunk.
    instruments, symbols : numpy.ndarray
        Dense number by stock locate (65,536), symbol by dense number (``S8``), as the directory
        has named them so far.
    """

    def __init__(self, source: Source, geometry: Geometry,
                 symbols: Iterable[str] | None) -> None:
        """Nothing has come yet; ``symbols`` are the stocks to keep books of, None all."""
        self.source, self.geometry = source, geometry
        self.tables: list[Table] = []
        self.instruments = np.zeros(1 << 16, np.int64)
        self.symbols = np.zeros(geometry.instruments, "S8")
        if symbols is None:                # a locate is its own instrument
            self.instruments[:geometry.instruments] = np.arange(geometry.instruments)
        self._wanted, self._named = tuple(symbols or ()), set[int]()
        self._masks = digest.masks()
        self._digest, self._taken = digest.DIGEST_EMPTY, 0
        self._faults: dict[CounterIndex, str] = {}     # where the first of each kind is
        self._sessions: list[str] = []     # of a capture, in their order
        self._is_unnamed = np.ones(1 << 16, bool)      # by locate: the directory gave no symbol
        self._unnamed, self._unnamed_records = np.zeros(1 << 16, bool), 0  # of those with orders
        self._first_unnamed = ""
        self._busy_ns, self._began = 0, time.perf_counter()
        _unnamed(0, 0, 0)                  # compiled or loaded before any time is taken

    def __iter__(self) -> Iterator[None]:
        self._began = time.perf_counter()
        for chunk in self.source:
            if isinstance(chunk, MessageChunk):
                self._messages(chunk)
            elif isinstance(chunk, FrameChunk):
                self._capture(chunk)
            yield
        if self.source.is_capture and not self.has_feed:
            raise InputError(f"{self.source.name} holds no MoldUDP64 datagram with ITCH 5.0 "
                             "messages.")

    @abc.abstractmethod
    def _messages(self, chunk: MessageChunk) -> None:
        """Apply a chunk of a file's messages."""

    @abc.abstractmethod
    def _capture(self, chunk: FrameChunk) -> None:
        """Apply the frames of a capture, once it is known which of them carry the feed."""

    @property
    @abc.abstractmethod
    def has_feed(self) -> bool:
        """Whether a capture's feed was found."""

    @abc.abstractmethod
    def counters(self) -> dict[str, int]:
        """Return every counter that is not 0."""

    @abc.abstractmethod
    def by_type(self) -> dict[str, int]:
        """Return the messages so far by their type."""

    @abc.abstractmethod
    def live_orders(self) -> int | None:
        """Return the orders in the books, None where the device does not tell."""

    @property
    @abc.abstractmethod
    def messages(self) -> int:
        """Messages so far, of every type."""

    @property
    @abc.abstractmethod
    def awaited(self) -> tuple[int, int]:
        """Number that a capture's feed awaits, and the one after the greatest that it has shown."""

    def missing(self) -> list[str]:
        """Return the wanted symbols that no directory message has named so far."""
        return [symbol for number, symbol in enumerate(self._wanted) if number not in self._named]

    def _hand_over(self, fresh: np.ndarray) -> None:
        """Fold records, (n, 64) octets in one piece, into the digest and give them to tables."""
        self._digest = digest.fold_all(self._digest, fresh.ctypes.data, len(fresh),
                                       self._masks.ctypes.data)
        self._to_tables(fresh)
        self._taken += len(fresh)
        first = _unnamed(fresh.ctypes.data, len(fresh), self._is_unnamed.ctypes.data)
        if first < len(fresh):
            self._note_unnamed(fresh[first:])
        if self.source.is_capture:
            states = fresh[fresh[:, _TYPE_AT] == RecordType.FEED_STATE]
            for record in states.view(_FEED)[:, 0]:
                self._feed_state(record)

    def _to_tables(self, fresh: np.ndarray) -> None:
        """Give records to tables, and names that the directory gives among them.

        A row that was there before its instrument had a name gets that; one that was there before
        a name changed, as from day to day, keeps the old one.
        """
        begin = 0
        for at in np.flatnonzero(fresh[:, _TYPE_AT] == RecordType.DIRECTORY).tolist():
            record = fresh[at].view(_DIRECTORY)[0]
            instrument, locate = int(record["instrument"]), int(record["locate"])
            if instrument >= self.geometry.instruments:      # of a stock that is not watched
                continue
            name, before = record["symbol"], self.symbols[instrument]
            is_other = not self._is_unnamed[locate] and self.instruments[locate] != instrument
            if is_other or before not in (b"", name):
                for table in self.tables:
                    table.write(fresh[begin:at])
                    table.flush()
                begin = at
            self.symbols[instrument], self.instruments[locate] = name, instrument
            self._is_unnamed[locate] = False
            self._named.add(instrument)
        for table in self.tables:
            table.write(fresh[begin:])

    def _note_unnamed(self, records: np.ndarray) -> None:
        """Look for what orders and trades changed of locates without a symbol."""
        locates = records.view("<u2")[:, _LOCATE_AT // 2]
        records = records[self._is_unnamed[locates]
                          & np.isin(records[:, _TYPE_AT], _OF_ORDERS)]
        found = records.view(_BBO)[:, 0]
        is_mark = ((found["bid_price"] == 0) & (found["ask_price"] == 0)
                   & (records[:, _TYPE_AT] == RecordType.BBO))
        booked = found[~is_mark]           # more than a flag, such as that of a gap
        if len(booked) and not self._first_unnamed:
            unit = "number" if self.source.is_capture else "message"
            self._first_unnamed = (f"of locate {booked['locate'][0]}, from {unit} "
                                   f"{booked['feed_sequence'][0]}")
        self._unnamed[booked["locate"]] = True
        self._unnamed_records += int(np.count_nonzero(self._unnamed[found["locate"]]))

    def _feed_state(self, record: np.void) -> None:
        """Note sessions, and the first number that is missing on every line."""
        session = repr(bytes(record["session"]).decode("latin-1").rstrip(" "))
        if not self._sessions:
            self._sessions.append(session)
        elif record["state"] == FeedState.NEW_SESSION and len(self._sessions) < SESSIONS_TOLD:
            self._sessions.append(f"{session} from number {record['received']} on")
        if record["state"] == FeedState.RECOVERING:
            self._faults.setdefault(CounterIndex.MESSAGES_LOST,
                                    f"number {record['expected']} of session {session}")

    @property
    def seconds(self) -> float:
        """Time since the first chunk was asked for."""
        return time.perf_counter() - self._began

    def summary(self) -> dict[str, Any]:
        """Return what was found, fit for JSON.

        ``ns_per_message`` is the time in the book alone (decode, book, records), ``seconds`` all
        of it: reading, decompression, digest and tables too.
        """
        counters = self.counters()
        return {
            "file": self.source.name, "format": self.source.kind,
            "messages": self.messages,
            "by_type": self.by_type(),
            "seconds": round(self.seconds, 6),
            "ns_per_message": round(self._busy_ns / max(self.messages, 1), 2),
            "live_orders": self.live_orders(),
            "unknown": counters.get("unknown_order", 0),
            "records": self._taken,
            "digest": f"{self._digest & (1 << 64) - 1:016x}",
            "counters": counters,
            "warnings": [*self.source.warnings, *self._warnings(counters)],
        }

    def _warnings(self, counters: dict[str, int]) -> list[str]:
        """Sentences about what is missing, or may be, from some book."""
        last = self.geometry.instruments - 1
        sentences = {
            "frames_malformed": "{} frames have lengths or checksums that are wrong and were "
                                "left out; `tickwire decode` shows which",
            "packets_malformed": "{} MoldUDP64 packets are malformed: whole messages in front of "
                                 "the fault were used, and nothing of a packet whose number cannot "
                                 "be; `tickwire decode` shows which",
            "packets_session": "{} MoldUDP64 packets of another session were left out",
            "messages_lost": "{} messages are missing on every line; the books are marked "
                             "DESYNCED from there on",
            "zero_length": "{} messages have no octets",
            "wrong_length": "{} messages do not have the length of their type; their books are "
                            "marked DESYNCED",
            "unknown_type": "{} messages have a type that ITCH 5.0 does not have; their books are "
                            "marked DESYNCED",
            "unknown_locate": f"{{}} messages of stock locates above {last:,} were left out",
            "unknown_order": "{} executions, cancels, deletes or replaces are of an order that is "
                             "not in the book, which is marked DESYNCED",
            "duplicate_order": "{} adds or replaces are to reference 0 or one that is in the book; "
                               "their books are marked DESYNCED",
            "over_execution": "{} executions or cancels are of more shares than were open; their "
                              "books are marked DESYNCED",
            "zero_quantity": "{} adds or replaces are of no shares; their books are marked "
                             "DESYNCED",
            "bad_side": "{} adds have a side that is neither B nor S; their books are marked "
                        "DESYNCED",
            "bad_price": "{} adds or replaces have a price of 0 or above 2^31-1; their books are "
                         "marked DESYNCED",
            "off_grid": "{} new price levels are off their instrument's tick grid, whose book is "
                        "marked DESYNCED where they may hide a better price; with tick size 1 "
                        "every price is on the grid",
            "order_overflow": "{} orders found no room; their books are marked DESYNCED",
            "level_overflow": "{} orders found no room for their price; their books are marked "
                              "DESYNCED",
        }
        told_by_source = () if self.source.is_capture else ("zero_length", "unknown_type")
        found = []
        for name, sentence in sentences.items():
            if name in counters and name not in told_by_source:
                place = self._faults.get(CounterIndex[name.upper()])
                first = f"; the first is {place}" if place else ""
                found.append(f"{sentence.format(f'{counters[name]:,}')}{first}.")
        awaited, highest = self.awaited
        if highest > awaited:
            found.append(f"the capture ends while message {awaited:,} is awaited, which another "
                         f"line may have brought: nothing from there on to {highest - 1:,} is in "
                         "the books.")
        if self._unnamed_records:
            found.append(f"{self._unnamed_records:,} records are of "
                         f"{np.count_nonzero(self._unnamed):,} stock locates that no directory "
                         "message had named; their books have no symbol in the tables; the first "
                         f"is {self._first_unnamed}.")
        if counters.get("sessions", 0) > 1:
            more = ", ..." if counters["sessions"] > len(self._sessions) else ""
            found.append(f"{counters['sessions']:,} sessions follow each other, each with numbers "
                         f"of its own: {', '.join(self._sessions)}{more}; the books go on.")
        return found
