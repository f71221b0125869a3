"""The software book under test, fed message by message or in blocks, and checked as it goes.

:class:`CheckedBook` applies each message to the device's kernels and to the reference and compares
everything that the device says. Flags are where the device may say less than the reference: a
hidden side shows nothing, a book that lost something shows what it likes, but only after the
event that excuses it. What was skipped for that reason is counted.
"""

from collections import Counter

import numpy as np

from tests.reference import itch, records
from tests.reference.book import (
    ASK,
    BID,
    CROSSED,
    DESYNCED,
    HIDDEN,
    NO_QUOTE,
    SATURATED,
    U32,
    Instrument,
    Quote,
    ReferenceBook,
)
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import layout
from tickwire.kernels.replay import RECORDS_PER_MESSAGE, one_by_one, replay
from tickwire.spec.counters import COUNTERS, CounterIndex
from tickwire.spec.geometry import Geometry

_U16 = (1 << 16) - 1
_UNPUBLISHED = ("directory", "imbalance")      # records that make no version
_PADDING = bytes(64)                       # readable octets after the last message


class Device:
    """A software book with a ring that takes all records of one call."""

    def __init__(self, geometry: Geometry, *, tick: int = 0, ring_log2: int = 12,
                 watch_symbols: dict[str, int] | None = None) -> None:
        self.memory = BookMemory(geometry, ring_log2=ring_log2, huge=False, count_types=True,
                                 watch_symbols=watch_symbols)
        if tick:
            self.memory.set_tick(tick)
        self.sequence = 1

    def feed(self, messages: list[bytes], *, ahead: bool = False) -> np.ndarray:
        """Apply messages; return their records, (n, 64) octets."""
        return self.feed_file(itch.binary_file(messages), ahead=ahead)

    def feed_file(self, octets: bytes, *, ahead: bool = False, keep: int = 0) -> np.ndarray:
        """Apply the messages of a BinaryFILE; return their records, (n, 64) octets.

        ``keep`` is the only type of records to return, 0 all.
        """
        kernel = replay if ahead else one_by_one
        padded = np.frombuffer(octets + _PADDING, np.uint8)
        address, end = padded.ctypes.data, padded.ctypes.data + len(octets)
        found = []
        while address < end:
            before = self.memory.records_written
            at, self.sequence = kernel(self.memory.address, address, end, self.sequence,
                                       len(self.memory.records))
            assert at > address, "the ring has no room for one message"
            address = at
            fresh = self._records(before)
            found.append(fresh[fresh[:, 60] == keep] if keep else fresh)
        return np.concatenate(found) if found else np.empty((0, 64), np.uint8)

    def _records(self, first: int) -> np.ndarray:
        slots = self.memory.records
        numbers = np.arange(first, self.memory.records_written)
        assert len(numbers) <= len(slots)
        return slots[numbers % len(slots)].copy()

    def counters(self) -> dict[str, int]:
        """Values of all counters that are not 0."""
        values = {counter.name: self.memory.counter(CounterIndex(index))
                  for index, counter in enumerate(COUNTERS)}
        return {name: value for name, value in values.items() if value}

    def state(self) -> np.ndarray:
        """Copy of the state table, (instruments, 64) octets."""
        return self.memory.arena.view("state").reshape(-1, 64).copy()

    def side(self, instrument: int, side: int) -> np.void:
        """Private line of one side."""
        return self.memory.arena.view("sides", layout.SIDE)[2 * instrument + side]

    def bits(self, instrument: int, side: int) -> set[int]:
        """Places of the bits that are set in the window of one side, from the circle's first."""
        words = int(self.memory.context["window_words"])
        summary = int(self.side(instrument, side)["summary"])
        bitmap = self.memory.arena.view("bitmaps", np.uint64).reshape(-1, words)
        return {64 * word + bit for word in range(words) if summary >> word & 1
                for bit in range(64)
                if int(bitmap[2 * instrument + side, word]) >> bit & 1}

    def tick(self, instrument: int) -> int:
        """Tick size of an instrument, 0 before its first order."""
        return int(self.memory.arena.view("sides", layout.HEADER)[instrument]["tick"])


class CheckedBook:
    """A device and the reference, in step; every public statement of the device is compared.

    ``skipped`` counts what could not be compared: ``hidden`` sides and ``lost`` instruments.
    """

    LOSSES = ("order_overflow", "level_overflow")

    def __init__(self, geometry: Geometry, *, tick: int = 0,
                 watch_symbols: dict[str, int] | None = None) -> None:
        self.geometry = geometry
        self.device = Device(geometry, tick=tick, watch_symbols=watch_symbols)
        self.reference = ReferenceBook(geometry.instruments, watch_symbols)
        self.skipped: Counter[str] = Counter()
        self.off_grid: set[int] = set()
        self._may_have_book = (range(1, geometry.instruments) if watch_symbols is None
                               else range(len(watch_symbols)))
        self._shown: dict[int, dict] = {}              # last BBO record of each instrument
        self._versions: Counter[int] = Counter()
        self._number = 0
        self._levels: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
        self._losses: Counter[str] = Counter()

    def apply(self, message: bytes) -> None:
        """Apply one message to both and compare all that the device says and keeps."""
        sequence = self.device.sequence
        before = {number: self._view(number) for number in self._active()}
        found = [records.record(octets.tobytes()) for octets in self.device.feed([message])]
        assert len(found) <= RECORDS_PER_MESSAGE
        events = self.reference.apply(message)
        self._follow_losses(message)
        for row in found:
            self._number += 1
            assert row["number"] == self._number
            assert row["epoch"] == 1 and row["credit"] == 0
            assert row["feed_sequence"] == sequence
            assert row["timestamp"] == int.from_bytes(message[5:11], "big")
            assert row["latency_ns"] == 0
        self._compare_events(found, events)
        self._take_levels(message, found)
        self._follow_versions(message, found)
        for row in found:
            if row["record"] == "bbo":
                self._shown[self._number_of(row)] = row
        rewritten = {self._number_of(row) for row in found if row["record"] == "bbo"}
        for number in self._active():
            self._compare_instrument(number)
            if (number in rewritten) != (before.get(number) != self._view(number)):
                raise AssertionError(f"instrument {number}: BBO record {number in rewritten}, "
                                     f"{before.get(number)} -> {self._view(number)}")
        published = {self._number_of(row) for row in found
                     if row["record"] not in (*_UNPUBLISHED, "level") and row["locate"]}
        self._compare_state(published, sequence)

    def finish(self) -> None:
        """Compare what is only worth comparing at the end: counters, orders, checksums."""
        ours = self.device.counters()
        for name in ("messages", "filtered", "unknown_locate", "unknown_order",
                     "duplicate_order", "over_execution", "zero_quantity", "bad_side",
                     "bad_price", *self.LOSSES):
            assert ours.get(name, 0) == self.reference.counts[name], name
        assert ours.get("records", 0) == self._number
        assert self.device.memory.live_orders() == len(self.reference.orders)
        types = self.device.memory.arena.view("by_type", np.int64)
        assert {chr(kind): int(types[kind]) for kind in range(256) if types[kind]} \
            == dict(self.reference.by_type)
        for number, instrument in enumerate(self.reference.instruments):
            for side in (BID, ASK):
                expected = sum((-price if side else price) * ((orders << 40) + shares)
                               for price, (orders, shares) in instrument.levels[side].items())
                line = self.device.side(number, side)
                assert int(line["checksum"]) & (1 << 64) - 1 == expected & (1 << 64) - 1
                assert int(line["levels"]) == len(instrument.levels[side])

    # What the device may do otherwise

    def _follow_losses(self, message: bytes) -> None:
        """Make the reference lose what the device says it lost for want of room."""
        ours = self.device.counters()
        for name in self.LOSSES:
            if ours.get(name, 0) != self._losses[name]:
                assert ours[name] == self._losses[name] + 1
                assert chr(message[0]) in "AFU"
                at = 19 if message[0] == ord("U") else 11
                self.reference.forget(int.from_bytes(message[at:at + 8], "big"), name)
                self._losses[name] += 1
        for number, instrument in enumerate(self.reference.instruments):
            tick = self.device.tick(number)
            if tick and any(price % tick for side in instrument.levels for price in side):
                self.off_grid.add(number)

    # Comparisons

    def _active(self) -> list[int]:
        """Numbers of the instruments that may have a book."""
        return list(self._may_have_book)

    def _number_of(self, row: dict) -> int:
        return self.reference.watched(row["locate"])

    def _view(self, number: int) -> tuple:
        """What a reader of the ring knows of an instrument's best levels and flags."""
        row = self._shown.get(number)
        if row is None:
            return (NO_QUOTE, NO_QUOTE, 0)
        return ((row["bid_price"], row["bid_quantity"], row["bid_orders"]),
                (row["ask_price"], row["ask_quantity"], row["ask_orders"]), row["flags"])

    def _compare_instrument(self, number: int) -> None:
        instrument = self.reference.instruments[number]
        *quotes, flags = self._view(number)
        expected = [self._shown_quote(instrument.best(side)) for side in (BID, ASK)]
        for side in (BID, ASK):
            self._compare_window(number, side)
        if self.geometry.depth:
            self._compare_levels(number, instrument)
        is_lost = bool(flags & DESYNCED) and number in self.off_grid
        if instrument.is_desynced:
            assert flags & DESYNCED, f"instrument {number} must say DESYNCED"
        elif number not in self.off_grid:
            assert not flags & DESYNCED, f"instrument {number} is DESYNCED without a reason"
        if is_lost:
            self.skipped["lost"] += 1
            return
        for side in (BID, ASK):
            if flags & HIDDEN[side]:
                assert quotes[side] == NO_QUOTE and instrument.levels[side], (number, side)
                assert not self._covered(number, side), f"instrument {number} side {side} is " \
                    f"hidden, but its window covers {instrument.best(side)}"
                expected[side] = NO_QUOTE
                self.skipped["hidden"] += 1
            assert quotes[side] == expected[side], \
                f"instrument {number} side {side}: {quotes[side]}, not {expected[side]}"
        saturated = [instrument.best(side) != expected[side] for side in (BID, ASK)
                     if not flags & HIDDEN[side]]
        assert bool(flags & SATURATED) == any(saturated)
        assert bool(flags & CROSSED) == (0 < expected[1][0] <= expected[0][0])
        assert not flags & ~(DESYNCED | CROSSED | SATURATED | HIDDEN[0] | HIDDEN[1])

    @staticmethod
    def _shown_quote(quote: Quote) -> Quote:
        return quote[0], min(quote[1], U32), min(quote[2], _U16)

    def _covered(self, number: int, side: int) -> list[int]:
        """Prices of the levels that are not below the floor of the window, best first."""
        tick, floor = self.device.tick(number), int(self.device.side(number, side)["floor"])
        levels = self.reference.instruments[number].levels[side]
        return [price for price in sorted(levels, reverse=side == BID)
                if (~(price // tick) if side else price // tick) >= floor]

    def _compare_window(self, number: int, side: int) -> None:
        """Every level on the grid from the floor up has its bit, and nothing else has one."""
        tick = self.device.tick(number)
        expected = {~(price // tick) if side else price // tick
                    for price in self._covered(number, side) if price % tick == 0}
        bits = self.device.bits(number, side)
        ticks = 64 * self.geometry.window_words
        assert bits == {key % ticks for key in expected} and len(bits) == len(expected), \
            f"instrument {number} side {side}: bits {bits}, levels at {expected}"

    def _compare_levels(self, number: int, instrument: Instrument) -> None:
        """What LEVEL records have told is the whole book, wherever its window is."""
        for side in (BID, ASK):
            told = self._levels.get((number, side), {})
            expected = {price: (min(shares, U32), orders)
                        for price, (orders, shares) in instrument.levels[side].items()}
            assert told == expected, f"instrument {number} side {side}: {told}, not {expected}"

    def _take_levels(self, message: bytes, found: list[dict]) -> None:
        """LEVEL records come first, of the message's instrument, with the version it found."""
        count = sum(row["record"] == "level" for row in found)
        assert all(row["record"] == "level" for row in found[:count])
        assert count <= (2 if message[0] == ord("U") else 1)
        assert not count or (self.geometry.depth and chr(message[0]) in "AFDUECX")
        for row in found[:count]:
            assert row["locate"] == int.from_bytes(message[1:3], "big")
            number = self._number_of(row)
            assert row["book_version"] == self._versions[number]
            told = self._levels.setdefault((number, b"BS".index(row["side"])), {})
            before = told.pop(row["price"], (0, 0))
            assert (row["quantity"], row["orders"]) != before or before[0] == U32
            assert bool(row["quantity"]) == bool(row["orders"])
            if row["orders"]:
                told[row["price"]] = row["quantity"], row["orders"]

    def _compare_events(self, found: list[dict], events: list[dict]) -> None:
        others = [row for row in found if row["record"] not in ("bbo", "level")]
        assert len(others) == len(events), (others, events)
        for row, event in zip(others, events, strict=True):
            for name, value in event.items():
                if name != "instrument" or row["record"] == "directory":
                    assert row[name] == value, f"{row['record']}.{name}: {row[name]}, not {value}"

    def _follow_versions(self, message: bytes, found: list[dict]) -> None:
        """Records of one publication share a version, and each publication is one more.

        First the message's own instrument, TRADE before BBO; then the one that the background
        swept.
        """
        groups: list[list[dict]] = []
        for row in found:
            if row["record"] in (*_UNPUBLISHED, "level") or not row["locate"]:
                continue
            group = (row["locate"], row["book_version"])
            if not groups or (groups[-1][0]["locate"], groups[-1][0]["book_version"]) != group:
                groups.append([])
            groups[-1].append(row)
        assert len(groups) <= 2, groups
        ranks = {"trade": 0, "status": 0, "bbo": 1}
        for group in groups:
            number = self._number_of(group[0])
            self._versions[number] += 1
            assert group[0]["book_version"] == self._versions[number]
            order = [ranks[row["record"]] for row in group]
            assert order == sorted(set(order)), f"records out of order or twice: {order}"
        for row in found:
            if row["record"] in _UNPUBLISHED:
                number = self._number_of(row)
                assert row["book_version"] == (0 if number is None else self._versions[number])
        if len(groups) == 2:
            assert [row["record"] for row in groups[1]] == ["bbo"]
        if groups and message[0] not in b"SWV":
            own = self.reference.watched(int.from_bytes(message[1:3], "big"))
            assert len(groups) == 1 or self._number_of(groups[0][0]) == own

    def _compare_state(self, published: set[int], sequence: int) -> None:
        table = self.device.state()
        for number in self._active():
            line = records.state(table[number].tobytes())
            assert line["version"] == line["version_head"] == self._versions[number]
            if not self._versions[number]:
                assert not any(table[number])
                continue
            *quotes, flags = self._view(number)
            instrument = self.reference.instruments[number]
            if number in published:
                assert line["feed_sequence"] == sequence
                assert line["locate"] == instrument.locate
                assert line["trading_state"] == instrument.trading_state
                assert line["book_checksum"] == instrument.checksum()
                assert (line["last_price"], line["last_quantity"]) == (
                    instrument.last_price, instrument.last_quantity)
            assert line["flags"] == flags
            assert quotes == [tuple(line[f"{side}_{name}"]
                                    for name in ("price", "quantity", "orders"))
                              for side in ("bid", "ask")]
