"""Frames through the card's whole market-data pipeline, compiled, and through the kernels.

The card gets words with idle cycles between frames; the kernels get the same frames, one after
the other in the order in which they end, each at the time at which it began.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

import numpy as np

from tests.book_rig import set_grids
from tests.feed_rig import FeedRig
from tickwire.spec.counters import COUNTER_SLOTS, COUNTERS
from tickwire.spec.geometry import Geometry
from tickwire.spec.records import BBO, BookFlag, Line, RecordType
from tickwire.spec.render import dtype
from tickwire_hw.early_sight import LATEST
from tickwire_hw.levels import LATEST as LEVELS_LATEST
from tickwire_hw.pipeline import Pipeline
from tickwire_hw.publish import LATENCY_AGE, RECORD_AGE
from tickwire_hw.triggers_port import Sight
from tickwire_sim.verilate import verilate

LANES, BODY = 8, 56
GROUPS = ("233.54.12.111", "233.49.196.111", "10.0.0.7")     # of line A, B and recovery
PORT = 26477
SIZE_MAX = 1_514
BOTH_LINES = 3
DRAIN = 2_000                              # cycles in which all that waits comes out
PICTURE = 262                              # cycles in which the counters' picture is taken
_KINDS = {int(kind): kind.name for kind in RecordType}
_TIMESTAMP, _SEQUENCE, _LATENCY = (slice(at, at + field.size) for field, at in map(
    BBO.field, ("timestamp", "feed_sequence", "latency_ns")))
SHOWN = RECORD_AGE - LATENCY_AGE           # cycles from the end of a latency to its first record


@dataclass
class Sent:
    """One frame: its port, the cycle of its first word, and whether its FCS is wrong."""

    octets: bytes
    port: int = 0
    cycle: int = -1                        # -1: right behind the frame before it on its port
    is_damaged: bool = False


def schedule(frames: Sequence[Sent], gap: int = 3) -> tuple[list[int], int]:
    """Return the first cycle of each frame, and the number of cycles of all."""
    free, firsts = [0, 0, 0], []
    for frame in frames:
        first = max(free[frame.port], frame.cycle)
        firsts.append(first)
        free[frame.port] = first + -(-len(frame.octets) // LANES) + gap
    return firsts, max(free)


def feed_columns(model) -> dict:
    """Inputs of a market side that listens to both lines and the host, from message 1 on."""
    one = model.rows(1)
    for line, group in enumerate(GROUPS):
        model.put(one, "keys", **{f"{line}.is_set": 1, f"{line}.port": PORT,
                                  f"{line}.group": int(IPv4Address(group))})
    return {"keys": one["keys"][0], "size_max": SIZE_MAX, "check_udp": 1, "lines": BOTH_LINES,
            "accept_session": 1, "start": 1}


class Card:
    """The compiled pipeline; without symbols every locate is its own instrument."""

    def __init__(self, geometry: Geometry, name: str) -> None:
        self.geometry = geometry
        self.model = verilate(Pipeline(geometry), f"pipeline_{name}", parameters=repr(geometry))
        self._watches_all = True
        self.sights: list[int] = []        # numbers of the messages whose records were told ahead

    def start(self, tick: int = 100, symbols: Sequence[str] | None = None) -> int:
        """Begin anew, configured, with empty tables; return the cycle in which frames may come."""
        model, count = self.model, self.geometry.instruments
        self._watches_all = symbols is None
        model.restart()
        rows = self._rows(count)
        set_grids(model, rows, tick)
        for number, symbol in enumerate(symbols or ()):
            rows["i_watch__valid"][number] = 1
            model.put(rows[number:number + 1], "i_watch__payload", instrument=number,
                      symbol=int.from_bytes(symbol.encode().ljust(8), "big"))
        rows["restart"][0] = 1
        model.run(rows)
        for _ in range(1 << 12):
            last = model.run(self._rows(256))[-1]
            if last["ready"]:
                return int(last["cycle"]) + 1
        raise AssertionError("the pipeline never gets ready")

    def _rows(self, count: int) -> np.ndarray:
        rows = self.model.rows(count)
        for name, value in feed_columns(self.model).items():
            rows[name] = value
        rows["watch_all"] = self._watches_all
        return rows

    def send(self, frames: Sequence[Sent], gap: int = 3, time: int = 0) -> np.ndarray:
        """Send frames; return the rows in which a record, a state line or an answer came out.

        ``time`` is the clock's in the cycle before the first.
        """
        firsts, cycles = schedule(frames, gap)
        rows = self._rows(cycles + DRAIN)
        rows["now"] = time + 1 + np.arange(len(rows))
        for port in range(3):
            mine = [(frame, first) for frame, first in zip(frames, firsts, strict=True)
                    if frame.port == port]
            if not mine:
                continue
            at, words, flags = [], [], []
            for frame, first in mine:
                count = -(-len(frame.octets) // LANES)
                padded = frame.octets.ljust(LANES * count, b"\0")
                words.append(np.frombuffer(padded, "<u8"))
                at.append(np.arange(first, first + count))
                keep = np.full(count, 0xFF, np.int64)
                keep[-1] = (1 << (len(frame.octets) - 1) % LANES + 1) - 1
                ends = np.zeros((3, count), np.int64)
                ends[0, 0] = ends[1, -1] = 1
                ends[2, -1] = frame.is_damaged
                flags.append(np.vstack((keep, ends)))
            where, control = np.concatenate(at), np.hstack(flags)
            given = rows[where]
            given[f"words__{port}__valid"] = 1
            self.model.put(given, f"words__{port}__payload", data=np.concatenate(words),
                           keep=control[0], first=control[1], last=control[2], error=control[3])
            rows[where] = given
        return self.model.run(rows, when=("records__valid", "lines_out__valid", "early__valid",
                                          "early_add__valid", "sights__valid",
                                          "glimpses__valid", "applied__valid"))

    def records(self, found: np.ndarray) -> np.ndarray:
        """Records of such rows: (n, 57) octets, the type last."""
        rows = found[found["records__valid"] == 1]
        octets = self.model.get(rows, "records__payload", "octets")
        result = np.zeros((len(rows), BODY + 1), np.uint8)
        result[:, :BODY] = np.ascontiguousarray(octets).view(np.uint8).reshape(
            len(rows), -1)[:, :BODY]
        result[:, BODY] = self.model.get(rows, "records__payload", "kind")
        return result

    def counters(self) -> dict[str, int]:
        """Return the counters that are not 0."""
        rows = self._rows(PICTURE + COUNTER_SLOTS + 2)
        rows["counters__take"][0] = 1
        rows["counters__address"][PICTURE:-2] = np.arange(COUNTER_SLOTS)
        found = self.model.run(rows)
        assert found["counters__is_shown"][PICTURE:].all()
        values = found["counters__value"][PICTURE + 2:].tolist()
        assert not any(values[len(COUNTERS):])
        return {counter.name: value for counter, value in zip(COUNTERS, values, strict=False)
                if value}

    def table(self, found: np.ndarray, before: np.ndarray) -> np.ndarray:
        """State table after such rows, (instruments, 64) octets."""
        rows = found[found["lines_out__valid"] == 1]
        table = before.copy()
        lines = np.ascontiguousarray(self.model.get(rows, "lines_out__payload", "line")).view(
            np.uint8).reshape(len(rows), 64)
        for instrument, line in zip(self.model.get(rows, "lines_out__payload", "instrument"),
                                    lines, strict=True):
            table[instrument] = line
        return table


def kernel_rig(geometry: Geometry, tick: int = 100, ring_log2: int = 18,
               symbols: Sequence[str] | None = None) -> FeedRig:
    """Return the kernels' feed and books, configured alike."""
    watched = None if symbols is None else dict.fromkeys(symbols, 0)
    rig = FeedRig(geometry, ring_log2=ring_log2, cut_through=True, watch_symbols=watched)
    if tick:
        rig.book.set_tick(tick)
    for line in Line:
        rig.memory.listen(line, GROUPS[line], PORT)
    return rig


def kernel_records(rig: FeedRig, frames: Sequence[Sent], gap: int = 3,
                   time: int = 0) -> np.ndarray:
    """Records of the kernels for the same frames, as :meth:`Card.records` gives them."""
    firsts, _ = schedule(frames, gap)
    ends = [first + -(-len(frame.octets) // LANES)
            for first, frame in zip(firsts, frames, strict=True)]
    for number in sorted(range(len(frames)), key=lambda number: (ends[number],
                                                                 frames[number].port)):
        rig.frame(frames[number].octets, time + firsts[number] + 1, frames[number].is_damaged)
    octets = rig.records()
    octets[:, _LATENCY] = 0
    return np.hstack((octets[:, :BODY], octets[:, 60:61]))


def compare(card: Card, frames: Sequence[Sent], tick: int = 100, gap: int = 3,
            chunk: int = 4_000, symbols: Sequence[str] | None = None) -> np.ndarray:
    """Compare all records, octet for octet, state tables and counters; return the records."""
    first = card.start(tick, symbols)
    card.sights = []
    rig, time, every = kernel_rig(card.geometry, tick, symbols=symbols), 0, []
    table = np.zeros((card.geometry.instruments, 64), np.uint8)
    for start in range(0, len(frames), chunk):
        part = frames[start:start + chunk]
        found = card.send(part, gap, time)
        ours, expected = card.records(found), kernel_records(rig, part, gap, time)
        compare_latencies(card, found, ours, first)
        ours[:, _LATENCY] = 0
        _compare_records(ours, expected)
        card.sights += _compare_sights(card, found, ours)
        table = card.table(found, table)
        assert (table == rig.table()).all(), "state tables differ"
        counted, wanted = card.counters(), rig.counters()
        assert counted == wanted, "counters differ"
        every.append(ours)
        time += schedule(part, gap)[1] + DRAIN + PICTURE + COUNTER_SLOTS + 2
    return np.concatenate(every)


def latencies(records: np.ndarray) -> np.ndarray:
    """Latencies of such records."""
    return np.ascontiguousarray(records[:, _LATENCY]).view("<u4")[:, 0].astype(np.int64)


def compare_latencies(card: Card, found: np.ndarray, records: np.ndarray, first: int) -> None:
    """Compare every latency with the cycles from a record's time stamp; ``first`` is of time 1."""
    now = found["cycle"][found["records__valid"] == 1].astype(np.int64) - first + 1
    stamps, numbers = (np.ascontiguousarray(records[:, place]).view("<u8")[:, 0].astype(np.int64)
                       for place in (_TIMESTAMP, _SEQUENCE))
    kinds, expected = records[:, BODY], now - stamps - SHOWN
    if card.geometry.depth:                    # a record comes later, or much later
        waited = expected - latencies(records)
        assert (waited >= 1).all() and (waited <= LEVELS_LATEST + 2).all()
        return
    # The BBO of an execution is that of its operation, a cycle later.
    expected[1:] -= ((kinds[1:] == RecordType.BBO) & (kinds[:-1] == RecordType.TRADE)
                     & (numbers[1:] == numbers[:-1]) & (np.diff(now) == 1))
    assert latencies(records).tolist() == expected.tolist()


def _compare_records(ours: np.ndarray, expected: np.ndarray) -> None:
    count = min(len(ours), len(expected))
    wrong = np.flatnonzero((ours[:count] != expected[:count]).any(axis=1))
    if len(wrong) or len(ours) != len(expected):
        at = int(wrong[0]) if len(wrong) else count
        raise AssertionError(
            f"{len(ours)} records, not {len(expected)}; the first that differs is {at}:\n"
            f"{_words(ours, at)}, not\n{_words(expected, at)}")


def _compare_sights(card: Card, found: np.ndarray, records: np.ndarray) -> list[int]:
    """Compare what was told ahead of BBO records with those; return their messages' numbers."""
    cycles = found["cycle"][found["records__valid"] == 1].astype(np.int64)
    is_bbo = records[:, BODY] == RecordType.BBO
    octets = np.zeros((int(is_bbo.sum()), 64), np.uint8)
    octets[:, :BODY] = records[is_bbo, :BODY]
    bbos, cycles = octets.view(dtype(BBO)).reshape(-1), cycles[is_bbo]
    told = []
    rows = found[found["sights__valid"] == 1]
    glimpses = {int(row["cycle"]): row for row in found[found["glimpses__valid"] == 1]}
    for row in rows:
        sight = _sight(card, row, "sights")
        if row["early_add__valid"]:
            assert _sight(card, glimpses[int(row["cycle"]) - 1], "glimpses") == sight
        comes = (cycles > int(row["cycle"])) & (cycles <= int(row["cycle"]) + LATEST)
        bbo, = bbos[comes & (bbos["feed_sequence"] == sight["sequence"])]
        bid, ask = sight["bid"], sight["ask"]
        assert sight["is_early"] and not sight["is_trade"]
        told.append(sight["sequence"])
        assert int(bbo["flags"]) == (BookFlag.CROSSED if bid >= ask and bid and ask else 0)
        assert sight["last"] in (0, int(bbo["last_price"]))
        assert [int(bbo[name]) for name in (
            "timestamp", "bid_price", "ask_price", "bid_quantity", "ask_quantity")] == [
                sight[name] for name in ("timestamp", "bid", "ask", "bid_quantity",
                                         "ask_quantity")]
    return told


def _sight(card: Card, row: np.void, port: str) -> dict[str, int]:
    return {name: int(card.model.get(row[None], f"{port}__payload", name)[0])
            for name in dict(Sight.as_shape())}


def _words(records: np.ndarray, at: int) -> str:
    if at >= len(records):
        return "none"
    octets = records[at].tobytes()
    return f"{_KINDS.get(octets[BODY])} {octets[:BODY].hex(' ', 8)}"
