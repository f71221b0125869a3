"""From the word with a message's last octet to the message's first record, frames to records."""

import struct
from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.grid import row
from tickwire_hw.pipeline import Pipeline
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

LANES = 8
GROUP, PORT, LINE = bytes((233, 54, 12, 111)), 26477, 0
LOCATE, UNWATCHED = 1, 60_000
APART = 400                                # cycles: nothing of the first packet is under way
_BID, _PRICE, _TICK = b"B", 2_000_000, 100


def _message(kind: bytes, layout: str, *values, locate: int = LOCATE) -> bytes:
    return kind + struct.pack(">HH6s" + layout, locate, 0, bytes(6), *values)


def _add(reference: int, price: int) -> bytes:
    return _message(b"A", "QcI8sI", reference, _BID, 100, b"ANY     ", price)


BOOK = [_add(1, _PRICE), _add(2, _PRICE - _TICK)]
MESSAGES = {
    "A": _add(3, _PRICE + _TICK), "D, best lost": _message(b"D", "Q", 1),
    "E": _message(b"E", "QIQ", 1, 10, 5), "E, best lost": _message(b"E", "QIQ", 1, 100, 5),
    "C": _message(b"C", "QIQcI", 1, 10, 5, b"Y", _PRICE), "X": _message(b"X", "QI", 1, 10),
    "U": _message(b"U", "QQII", 1, 4, 100, _PRICE + _TICK)}
_HALT = _message(b"H", "8scc4s", b"ANY     ", b"T", b" ", b"    ", locate=UNWATCHED)
_LABEL = _message(b"L", "4s8sccc", b"MPID", b"ANY     ", b"Y", b"N", b"A", locate=UNWATCHED)


def _fillers(octets: int) -> list[bytes]:
    """Messages of no book, before the one that counts: so many octets modulo the word."""
    for halts in range(LANES):
        for labels in range(LANES):
            if (halts * (2 + len(_HALT)) + labels * (2 + len(_LABEL))) % LANES == octets:
                return [_HALT] * halts + [_LABEL] * labels
    raise AssertionError(octets)


def _frame(first: int, messages: list[bytes]) -> bytes:
    """Ethernet, IPv4 and UDP around a MoldUDP64 packet; without a UDP checksum."""
    mold = struct.pack(">10sQH", b"SESSION   ", first, len(messages)) + b"".join(
        struct.pack(">H", len(message)) + message for message in messages)
    udp = struct.pack(">HHHH", PORT, PORT, 8 + len(mold), 0) + mold
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4), GROUP)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    return bytes(12) + b"\x08\x00" + head[:10] + checksum + head[12:] + udp


def _configured(model: Model, count: int) -> np.ndarray:
    rows = model.rows(count)
    one = rows[:1].copy()
    model.put(one, "keys", **{f"{LINE}.is_set": 1, f"{LINE}.port": PORT,
                              f"{LINE}.group": int.from_bytes(GROUP, "big")})
    for name, value in (("size_max", 1_514), ("lines", 1), ("start", 1), ("accept_session", 1)):
        one[name] = value
    rows[...] = one
    return rows


def _start(model: Model) -> int:
    """Watch one instrument; return the cycle in which frames may come."""
    model.restart()
    rows = _configured(model, 1)
    rows["i_filter__valid"] = rows["i_grid__valid"] = 1
    model.put(rows, "i_filter__payload", locate=LOCATE, is_watched=1, instrument=1)
    model.put(rows, "i_grid__payload", instrument=1,
              **{f"row.{name}": value for name, value in row(_TICK).items()})
    model.run(rows)
    while True:
        last = model.run(_configured(model, 256))[-1]
        if last["ready"]:
            return int(last["cycle"]) + 1


def _cycles(model: Model, message: bytes, octets: int) -> int:
    start = _start(model)
    rows = _configured(model, 2 * APART)
    frames = {0: _frame(1, BOOK), APART: _frame(1 + len(BOOK), [*_fillers(octets), message])}
    for first, frame in frames.items():
        words = np.frombuffer(frame.ljust(-(-len(frame) // LANES) * LANES, b"\0"), "<u8")
        given = rows[first:first + len(words)]
        keep, last = np.full(len(words), 0xFF), np.zeros(len(words), np.int64)
        keep[-1], last[-1] = (1 << (len(frame) - 1) % LANES + 1) - 1, 1
        given[f"words__{LINE}__valid"] = 1
        model.put(given, f"words__{LINE}__payload", data=words, keep=keep, last=last,
                  first=np.arange(len(words)) == 0)
    end = start + APART + (len(frames[APART]) - 1) // LANES
    came = model.run(rows, when="records__valid")["cycle"].astype(int)
    return int(came[came > start + APART][0]) - end


def rows() -> Iterator[Row]:
    """Yield the cycles of each type of order message, over all eight alignments of its end."""
    model = verilate(Pipeline(CARD_SMALL), "pipeline_small")
    for name, message in MESSAGES.items():
        counted = [_cycles(model, message, octets) for octets in range(LANES)]
        yield Row.of("pipeline: last octet to first record", counted,
                     "words valid to records valid", message=name)
