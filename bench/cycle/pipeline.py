"""From the word with a message's last octet to its best levels and to its first record.

Frames go in; the early port, which answers order messages, is counted for each alignment.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

import numpy as np

from bench.cycle import Row
from bench.far import LOCATE, PRICE, SYMBOL, add, message
from tickwire.spec import itch50
from tickwire.spec.geometry import CARD_SMALL, tick_grid
from tickwire_hw.pipeline import Pipeline
from tickwire_sim.model import Model
from tickwire_sim.replay import feed_frame
from tickwire_sim.verilate import verilate

LANES = 8
GROUP, PORT, LINE = "233.54.12.111", 26477, 0
UNWATCHED = 60_000                         # a locate
APART = 700                                # cycles: nothing of the first packet is under way
TICK = 100
OUTPUTS = {"records": "pipeline: last octet to first record",
           "early": "pipeline: last octet to best levels",
           "early_add": "pipeline: last octet to best levels of an added order",
           "sights": "pipeline: last octet to what the BBO record will show"}

BOOK = [add(1, "B", PRICE), add(2, "B", PRICE - TICK)]
_FIRST = {"order_reference": 1}
_SOME, _ALL = ({"executed_shares": shares, "match_number": 5} for shares in (10, 100))
MESSAGES = {
    "A": add(3, "B", PRICE + TICK), "D, best lost": message(itch50.ORDER_DELETE, **_FIRST),
    "E": message(itch50.ORDER_EXECUTED, **_FIRST, **_SOME),
    "E, best lost": message(itch50.ORDER_EXECUTED, **_FIRST, **_ALL),
    "C": message(itch50.ORDER_EXECUTED_WITH_PRICE, **_FIRST, **_SOME, printable="Y",
                 execution_price=PRICE),
    "X": message(itch50.ORDER_CANCEL, **_FIRST, canceled_shares=10),
    "U": message(itch50.ORDER_REPLACE, original_reference=1, new_reference=4, shares=100,
                 price=PRICE + TICK)}
_HALT = message(itch50.STOCK_TRADING_ACTION, stock_locate=UNWATCHED, stock=SYMBOL,
                trading_state="T", reserved=" ", reason="")
_REG_SHO = message(itch50.REG_SHO_RESTRICTION, stock_locate=UNWATCHED, stock=SYMBOL,
                   reg_sho_action="0")


def fillers(octets: int) -> list[bytes]:
    """Messages of no book, before the one that counts: so many octets modulo the word."""
    for halts in range(LANES):
        for notes in range(LANES):
            if (halts * (2 + len(_HALT)) + notes * (2 + len(_REG_SHO))) % LANES == octets:
                return [_HALT] * halts + [_REG_SHO] * notes
    raise AssertionError(octets)


def feed(first: int, messages: list[bytes]) -> bytes:
    blocks = [struct.pack(">H", len(message)) + message for message in messages]
    return feed_frame(first, blocks, GROUP, PORT)


def configured(model: Model, count: int) -> np.ndarray:
    rows = model.rows(count)
    one = rows[:1].copy()
    model.put(one, "keys", **{f"{LINE}.is_set": 1, f"{LINE}.port": PORT,
                              f"{LINE}.group": int(IPv4Address(GROUP))})
    for name, value in (("size_max", 1_514), ("lines", 1), ("start", 1), ("accept_session", 1),
                        ("watch_all", 1)):
        one[name] = value
    rows[...] = one
    return rows


def begin(model: Model) -> int:
    """Watch one instrument; return the cycle in which frames may come."""
    model.restart()
    rows = configured(model, 1)
    rows["i_grid__valid"] = 1
    model.put(rows, "i_grid__payload", instrument=LOCATE,
              **{f"row.{name}": value for name, value in tick_grid(TICK).items()})
    model.run(rows)
    while True:
        last = model.run(configured(model, 256))[-1]
        if last["ready"]:
            return int(last["cycle"]) + 1


def put_frame(model: Model, rows: np.ndarray, first: int, frame: bytes) -> int:
    """Put a frame's words into the rows from ``first`` on; return the row of its last word."""
    words = np.frombuffer(frame.ljust(-(-len(frame) // LANES) * LANES, b"\0"), "<u8")
    given = rows[first:first + len(words)]
    keep, last = np.full(len(words), 0xFF), np.zeros(len(words), np.int64)
    keep[-1], last[-1] = (1 << (len(frame) - 1) % LANES + 1) - 1, 1
    given[f"words__{LINE}__valid"] = 1
    model.put(given, f"words__{LINE}__payload", data=words, keep=keep, last=last,
              first=np.arange(len(words)) == 0)
    return first + len(words) - 1


def frames_of(model: Model, message: bytes, octets: int) -> tuple[np.ndarray, int, int]:
    """Return rows with a book's orders and later a message, and its first and last word's row.

    ``octets`` come before the message in its first word, modulo the word.
    """
    rows = configured(model, 2 * APART)
    frames = {0: feed(1, BOOK), APART: feed(1 + len(BOOK), [*fillers(octets), message])}
    last = [put_frame(model, rows, first, frame) for first, frame in frames.items()][-1]
    return rows, APART, last


def _cycles(model: Model, message: bytes, octets: int) -> dict[str, int]:
    """Cycles from the word with the last octet to each output, where there is one."""
    start = begin(model)
    rows, first, last = frames_of(model, message, octets)
    outputs = [f"{name}__valid" for name in OUTPUTS]
    came = model.run(rows, when=outputs)
    came = came[came["cycle"] > start + first]
    for name in ("early", "early_add"):
        answers = came[came[f"{name}__valid"] == 1]
        side = model.get(answers, f"{name}__payload", "side").astype(int)
        known = np.stack([model.get(answers, f"{name}__payload", f"bests.{number}.is_known")
                          for number in range(2)])
        assert known[side, np.arange(len(side))].all(), f"{name} does not know the best level"
    return {name: int(came["cycle"][came[output] == 1][0]) - start - last
            for name, output in zip(OUTPUTS, outputs, strict=True) if came[output].any()}


def rows() -> Iterator[Row]:
    """Yield the cycles of each type of order message, over all eight alignments of its end."""
    model = verilate(Pipeline(CARD_SMALL), "pipeline_small")
    for name, measured in MESSAGES.items():
        counted = [_cycles(model, measured, octets) for octets in range(LANES)]
        for output, figure in OUTPUTS.items():
            cycles = [found[output] for found in counted if output in found]
            boundary = f"words valid to {output} valid"
            if cycles and output in ("records", "sights"):
                yield Row.of(figure, cycles, boundary, message=name)
                continue
            for octets, found in enumerate(cycles):
                yield Row.of(figure, [found], boundary, message=name, alignment=str(octets))
