"""A whole file through the book's kernels, and the same file through the reference.

The device's best bids and offers are kept as columns; the reference then walks the file and asks
after each message of a sampled instrument what the device showed at that moment.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.reference import records
from tests.reference.book import ASK, BID, DESYNCED, HIDDEN, NO_QUOTE, Quote, ReferenceBook
from tests.reference.device import Device
from tests.reference.itch import SIZES
from tickwire.spec.geometry import Geometry

_BBO = np.dtype([("timestamp", "<u8"), ("sequence", "<u8"), ("bid_price", "<u4"),
                 ("ask_price", "<u4"), ("bid_quantity", "<u4"), ("ask_quantity", "<u4"),
                 ("locate", "<u2"), ("state", "u1"), ("flags", "u1"), ("version", "<u4"),
                 ("last_price", "<u4"), ("last_quantity", "<u4"), ("latency", "<u4"),
                 ("bid_orders", "<u2"), ("ask_orders", "<u2"), ("number", "<u4"), ("type", "u1"),
                 ("epoch", "u1"), ("credit", "<u2")])
assert _BBO.itemsize == 64


@dataclass
class Day:
    """What a comparison found: ``compared`` sides, ``differences`` in words, ``skipped`` sides."""

    messages: int = 0
    compared: int = 0
    differences: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    by_type: Counter[str] = field(default_factory=Counter)
    records: int = 0
    live_orders: int = 0


def shown(row: np.void | None, side: int) -> Quote:
    """Return one side of a BBO record; nothing before the first one."""
    if row is None:
        return NO_QUOTE
    name = ("bid", "ask")[side]
    return int(row[f"{name}_price"]), int(row[f"{name}_quantity"]), int(row[f"{name}_orders"])


class _Shown:
    """BBO records of one instrument in order, and the last one at a sequence number."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.sequences, self.place = rows, rows["sequence"].tolist(), 0

    def at(self, sequence: int) -> np.void | None:
        while self.place < len(self.sequences) and self.sequences[self.place] <= sequence:
            self.place += 1
        return self.rows[self.place - 1] if self.place else None


def compare_day(path: Path, geometry: Geometry, sample: set[int], *, tick: int = 0,
                ahead: bool = True) -> Day:
    """Compare the sampled locates after each of their messages, and all locates at the end."""
    octets = path.read_bytes()
    if octets.endswith(b"\0\0"):
        octets = octets[:-2]
    device = Device(geometry, tick=tick, ring_log2=14)
    found = device.feed_file(octets, ahead=ahead, keep=records.BBO).reshape(-1).view(_BBO)
    day = Day(messages=device.sequence - 1, records=device.memory.records_written,
              live_orders=device.memory.live_orders())
    watched = {locate: _Shown(found[found["locate"] == locate]) for locate in sample}
    reference = ReferenceBook(geometry.instruments)
    place = sequence = 0
    while place < len(octets):
        size = octets[place] << 8 | octets[place + 1]
        message = octets[place + 2:place + 2 + size]
        assert size == SIZES[message[:1]]
        reference.apply(message)
        place, sequence = place + 2 + size, sequence + 1
        locate = message[1] << 8 | message[2]
        if locate in watched:
            _compare(day, f"message {sequence}", reference, locate, watched[locate].at(sequence))
    day.by_type = reference.by_type
    last = {int(row["locate"]): row for row in found}
    for locate in range(1, geometry.instruments):
        _compare(day, "end", reference, locate, last.get(locate))
    _compare_totals(day, device, reference)
    return day


def _compare(day: Day, place: str, reference: ReferenceBook, locate: int,
             row: np.void | None) -> None:
    instrument = reference.instruments[locate]
    flags = 0 if row is None else int(row["flags"])
    if bool(flags & DESYNCED) != instrument.is_desynced:
        day.differences.append(f"{place}: locate {locate} has flags {flags}")
    for side in (BID, ASK):
        quote, expected = shown(row, side), instrument.best(side)
        if flags & HIDDEN[side]:
            day.skipped["hidden"] += 1
            expected = NO_QUOTE
        if quote != expected:
            day.differences.append(f"{place}: locate {locate} side {side} shows {quote}, "
                                   f"not {expected}")
        day.compared += 1


def _compare_totals(day: Day, device: Device, reference: ReferenceBook) -> None:
    counters = device.counters()
    for name in ("messages", "filtered", "unknown_locate", "unknown_order", "duplicate_order",
                 "over_execution", "zero_quantity", "bad_side", "bad_price", "order_overflow",
                 "level_overflow"):
        if counters.get(name, 0) != reference.counts[name]:
            day.differences.append(f"{name}: {counters.get(name, 0)}, not {reference.counts[name]}")
    if day.live_orders != len(reference.orders):
        day.differences.append(f"live orders: {day.live_orders}, not {len(reference.orders)}")
    for locate, instrument in enumerate(reference.instruments):
        checksum = sum(int(device.side(locate, side)["checksum"]) for side in (BID, ASK))
        if checksum & (1 << 64) - 1 != instrument.checksum():
            day.differences.append(f"checksum of locate {locate}")
