"""The card's book, compiled, fed with messages; and what it says, beside the kernels' books."""

from collections.abc import Iterator

import numpy as np

from tests.reference.device import Device
from tickwire.kernels import layout
from tickwire.spec.geometry import Geometry, tick_grid
from tickwire.spec.records import BookFlag
from tickwire_hw.book import Book
from tickwire_hw.feed_port import EventKind
from tickwire_hw.publish import AHEAD
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

WORD = 8
PREFIX = 2                                 # octets of a block before its message
_HIDDEN = (BookFlag.BID_HIDDEN.value, BookFlag.ASK_HIDDEN.value)
_MESSAGE_SIZE = 50
STEP = 5                                   # kinds of contexts
SIDE = np.dtype([("has_best", "?"), ("price", "i8"), ("value", "i8"), ("is_hidden", "?")])


def line_rate(messages: list[bytes]) -> np.ndarray:
    """Cycles in which messages end that follow each other without a gap, 8 octets a cycle."""
    return np.cumsum([PREFIX + len(message) for message in messages]) // WORD


def distant(messages: list[bytes]) -> np.ndarray:
    """Cycles so far apart that nothing of one message is under way at the next."""
    return np.arange(len(messages)) * 60


def set_grids(model: Model, rows: np.ndarray, tick: int) -> None:
    """Let ``rows`` put all instruments on one grid."""
    numbers = np.arange(len(rows))
    rows["i_grid__valid"] = 1
    model.put(rows, "i_grid__payload", instrument=numbers,
              **{f"row.{name}": value for name, value in tick_grid(tick).items()})


class Card:
    """The compiled book; every locate below ``instruments`` is its own instrument."""

    def __init__(self, geometry: Geometry, name: str) -> None:
        self.geometry = geometry
        self.model = verilate(Book(geometry), f"book_{name}")

    def start(self, tick: int) -> None:
        """Begin anew, with all instruments watched and on the same grid."""
        model, count = self.model, self.geometry.instruments
        model.restart()
        rows = model.rows(count, watch_all=1)
        set_grids(model, rows, tick)
        model.run(rows)
        for _ in range(1 << 16):
            if model.run(model.rows(64, watch_all=1))["ready"][-1]:
                return
        raise AssertionError("the book never gets ready")

    def rows(self, messages: list[bytes], cycles: np.ndarray, first: int = 1) -> np.ndarray:
        """Rows that feed messages, numbers from ``first`` on, each in its cycle."""
        model = self.model
        rows = model.rows(int(cycles[-1]) + 200, watch_all=1)
        given = model.rows(len(messages), watch_all=1)
        octets = b"".join(message.ljust(WORD * 7, b"\0") for message in messages)
        data = np.frombuffer(octets, np.uint8).reshape(len(messages), -1)[:, :_MESSAGE_SIZE]
        given["i__valid"] = 1
        stamps = [int.from_bytes(message[5:11], "big") for message in messages]
        model.put(given, "i__payload", kind=EventKind.MESSAGE.value,
                  sequence=np.arange(first, first + len(messages)),
                  stamp=np.array(stamps), **{
                      "message.data": data,
                      "message.length": np.array([len(message) for message in messages])})
        assert len(np.unique(cycles)) == len(cycles)
        rows[cycles] = given
        return rows

    def outcomes(self, messages: list[bytes], cycles: np.ndarray,
                 first: int = 1) -> dict[str, np.ndarray]:
        """Feed messages, each in its cycle; return the outcomes' fields as columns."""
        model, rows = self.model, self.rows(messages, cycles, first)
        every = model.run(rows, when=("o__valid", "o_ahead__valid"))
        found, ahead = (every[every[name] == 1] for name in ("o__valid", "o_ahead__valid"))
        assert (found["cycle"] == ahead["cycle"] + AHEAD).all()
        return {name: model.get(found, "o__payload", path).astype(np.int64) for name, path in (
            *((name, name) for name in (
                "sequence", "kind", "is_last", "is_found", "is_desync", "price", "is_touched",
                "has_best", "best_price", "is_hidden", "checksum")),
            ("side", "touched_side"), ("shares", "best_value.shares"),
            ("orders", "best_value.orders"))} | {
                "cycle": found["cycle"].astype(np.int64),
                "instrument": ahead["o_ahead__payload"].astype(np.int64)}


def shown(outcomes: dict[str, np.ndarray], count: int, instruments: int) -> Iterator[tuple]:
    """Best levels of all sides, marks and checksums after each of ``count`` messages."""
    sides = np.zeros((instruments, 2), SIDE)
    marks = np.zeros(instruments, bool)
    checksums = np.zeros(instruments, np.int64)
    at, size = 0, len(outcomes["sequence"])
    o = outcomes
    for number in range(1, count + 1):
        while at < size and o["sequence"][at] <= number:
            instrument = o["instrument"][at]
            if o["is_touched"][at]:
                sides[instrument, o["side"][at]] = (
                    o["has_best"][at], o["best_price"][at],
                    o["orders"][at] << 40 | o["shares"][at], o["is_hidden"][at])
            marks[instrument] |= bool(o["is_desync"][at])
            with np.errstate(over="ignore"):   # modulo 2^64
                checksums[instrument] += o["checksum"][at]
            at += 1
        yield sides, marks, checksums


class Kernels:
    """The kernels' books of the same messages."""

    def __init__(self, geometry: Geometry, tick: int,
                 symbols: dict[str, int] | None = None) -> None:
        self.device = Device(geometry, tick=tick, watch_symbols=symbols or None)
        arena = self.device.memory.arena
        self._sides = arena.view("sides", layout.SIDE)[:2 * geometry.instruments]
        self._headers = arena.view("sides", layout.HEADER)[:geometry.instruments]

    def feed(self, message: bytes) -> tuple:
        """Apply a message; return what :func:`shown` gives."""
        self.device.feed([message])
        rows = self._sides.reshape(-1, 2)
        found = np.zeros(rows.shape, SIDE)
        found["has_best"] = rows["best"] != layout.EMPTY
        found["price"] = np.where(found["has_best"], np.abs(rows["best"]), 0)
        found["value"] = np.where(found["has_best"], rows["best_value"], 0)
        for side in range(2):
            found["is_hidden"][:, side] = self._headers["flags"] & _HIDDEN[side] != 0
        marks = self._headers["flags"] & BookFlag.DESYNCED.value != 0
        return found, marks, rows["checksum"].sum(axis=1)


def compare(card: Card, messages: list[bytes], cycles: np.ndarray, tick: int) -> dict:
    """Compare all books after every message; return the outcomes."""
    card.start(tick)
    outcomes = card.outcomes(messages, cycles)
    kernels = Kernels(card.geometry, tick)
    ours = shown(outcomes, len(messages), card.geometry.instruments)
    for number, (message, (sides, marks, checksums)) in enumerate(
            zip(messages, ours, strict=True), 1):
        expected = kernels.feed(message)
        for name, found, wanted in zip(("sides", "marks", "checksums"),
                                       (sides, marks, checksums), expected, strict=True):
            if (found != wanted).any():
                where = np.argwhere(found != wanted)[0]
                raise AssertionError(f"message {number} {message!r}, {name} {where}: "
                                     f"{found[tuple(where)]}, not {wanted[tuple(where)]}")
    return outcomes
