"""The early answers of the card's book, each beside what the kernels' book shows."""

from collections import Counter

import numpy as np

from tests.book_rig import PREFIX, SIDE, WORD, Card, Kernels
from tests.reference import itch
from tickwire.spec.geometry import ONE_ORDER
from tickwire_hw.early import ADD_AGE, ANSWER_AGE

ORDERS = b"AFECXDU"
CLOCK_MHZ = 156.25
_CHUNK = 2_000                              # messages that are fed at a time
_DRAIN = 100                                # cycles
_FIELDS = ("instrument", "side", "is_touched", "is_desynced", "letter", "sequence", "is_repeated")
_BEST = ("is_known", "has_best", "price", "value.shares", "value.orders")


def _answers(card: Card, found: np.ndarray, port: str) -> dict[str, np.ndarray]:
    rows = found[found[f"{port}__valid"] == 1]

    def get(name: str) -> np.ndarray:
        return card.model.get(rows, f"{port}__payload", name).astype(np.int64)
    columns = {name: get(name) for name in _FIELDS} | {"cycle": rows["cycle"].astype(np.int64)}
    for name in _BEST:
        columns[name] = np.stack([get(f"bests.{side}.{name}") for side in range(2)], axis=1)
    columns["value"] = columns["value.orders"] * ONE_ORDER + columns["value.shares"]
    return columns


class Watched:
    """Instruments by locate: all of them, or as the directory has named them so far."""

    def __init__(self, count: int, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols
        self.by_locate = {} if symbols else {locate: locate for locate in range(1, count)}

    def instrument(self, message: bytes) -> int | None:
        """Instrument of an order message, none if it is not watched, or is no order message."""
        locate = int.from_bytes(message[1:3], "big")
        if self.symbols and message[:1] == b"R":
            symbol = message[11:19].decode().rstrip()
            self.by_locate.pop(locate, None)
            if symbol in self.symbols:
                self.by_locate[locate] = self.symbols.index(symbol)
        is_order = message[0] in ORDERS and len(message) == itch.SIZES[message[:1]]
        return self.by_locate.get(locate) if is_order else None

    def set(self, card: Card) -> None:
        """Tell the card which symbols it watches."""
        rows = card.model.rows(len(self.symbols))
        for number, symbol in enumerate(self.symbols):
            rows["i_watch__valid"][number] = 1
            card.model.put(rows[number:number + 1], "i_watch__payload", instrument=number,
                           symbol=int.from_bytes(symbol.encode().ljust(8), "big"))
        card.model.run(rows)


def _run(card: Card, messages: list[bytes], cycles: np.ndarray,
         watch_all: bool) -> tuple[int, np.ndarray]:
    """Feed messages, some at a time; return the cycle from which ``cycles`` count, and answers."""
    start, base, found = int(card.model.run(card.model.rows(1))["cycle"][0]) + 1, 0, []
    for at in range(0, len(messages), _CHUNK):
        part, when = messages[at:at + _CHUNK], cycles[at:at + _CHUNK]
        end = int(cycles[at + _CHUNK]) if at + _CHUNK < len(messages) else int(when[-1]) + _DRAIN
        rows = card.rows(part, when - base, at + 1)[:end - base]
        rows["watch_all"] = watch_all
        found.append(card.model.run(rows, when=("early__valid", "early_add__valid")))
        base = end
    return start, np.concatenate(found)


def stamped(messages: list[bytes], most: int = 200) -> np.ndarray:
    """Cycles in which messages end that come as their time stamps say, at 156.25 MHz.

    None before the one before it is whole; a pause is ``most`` cycles at most.
    """
    stamps = np.array([int.from_bytes(message[5:11], "big") for message in messages])
    gaps = np.diff(stamps, prepend=stamps[0]) * CLOCK_MHZ // 1_000
    sizes = np.array([PREFIX + len(message) + WORD - 1 for message in messages]) // WORD
    return np.cumsum(np.clip(gaps.astype(np.int64), sizes, most))


def compare(card: Card, messages: list[bytes], cycles: np.ndarray, tick: int = 100,
            symbols: tuple[str, ...] = ()) -> Counter:
    """Compare every answer with the kernels; return how many messages were answered how.

    With ``symbols``, of the instruments from 0 on, only what the directory names is watched.

    Of each letter: ``X`` all, ``X known``, ``X told`` two cycles after the message, ``X lost``
    those that lost a best level, and of those ``X lost known``. ``lost`` and ``lost known`` are
    the sums, ``late`` those that were answered later than 6 cycles after the message.
    """
    card.start(tick)
    count = card.geometry.instruments
    watched = Watched(count, symbols)
    if symbols:
        watched.set(card)
    start, found = _run(card, messages, cycles, not symbols)
    early, told = _answers(card, found, "early"), _answers(card, found, "early_add")
    told_at = {sequence: at for at, sequence in enumerate(told["sequence"].tolist())}
    kernels, seen, at = Kernels(card.geometry, tick, dict.fromkeys(symbols, tick)), Counter(), 0
    before = np.zeros((count, 2), SIDE)
    for number, message in enumerate(messages, 1):
        sides, marks, _ = (column.copy() for column in kernels.feed(message))
        instrument = watched.instrument(message)
        if instrument is not None:
            assert early["sequence"][at] == number and early["letter"][at] == message[0]
            assert early["instrument"][at] == instrument
            place = told_at.pop(number, None)
            _compare_one(early, at, sides[instrument], number, message)
            assert early["is_repeated"][at] == (place is not None)
            assert marks[instrument] or not early["is_desynced"][at]
            letter, side = chr(message[0]), int(early["side"][at])
            lag = int(early["cycle"][at]) - start - int(cycles[number - 1])
            assert lag >= ANSWER_AGE
            seen["late"] += lag > ANSWER_AGE
            if place is not None:
                _compare_one(told, place, sides[instrument], number, message)
                assert told["cycle"][place] == early["cycle"][at] - ANSWER_AGE + ADD_AGE
                assert told["is_known"][place, side]
            is_known = bool(early["is_known"][at, side])
            was, now = before[instrument, side], sides[instrument, side]
            is_lost = was["has_best"] and letter not in "AF" and was["price"] != now["price"]
            for kind, holds in (("", True), (" known", is_known), (" told", place is not None),
                                (" lost", is_lost), (" lost known", is_lost and is_known)):
                seen[letter + kind] += int(holds)
            seen["lost"] += int(is_lost)
            seen["lost known"] += int(is_lost and is_known)
            at += 1
        before = sides
    assert not told_at and at == len(early["sequence"])
    return seen


def _compare_one(answers: dict, at: int, sides: np.ndarray, number: int, message: bytes) -> None:
    for side in range(2):
        if not answers["is_known"][at, side]:
            continue
        ours = tuple(int(answers[name][at, side]) for name in ("has_best", "price", "value"))
        wanted = tuple(int(sides[side][name]) for name in ("has_best", "price", "value"))
        assert ours == wanted and not sides[side]["is_hidden"], (
            f"message {number} {message!r}, side {side}: {ours}, not {wanted}, "
            f"hidden {sides[side]['is_hidden']}")
