"""The order book as the protocol defines it: two dictionaries, no tables, no windows, no limits.

Written from the rules of ITCH 5.0 and from what the device promises about messages that break
them, with ``struct`` and dictionaries alone. Nothing is shared with the kernels.

A broken order message is refused by the first of these that applies, counted under its name, and
marks its instrument: ``bad_side``, ``zero_quantity``, ``bad_price`` (0 or above the limit),
``duplicate_order`` (reference 0 or in use), ``unknown_order`` (not in the book, or of another
instrument), ``over_execution`` (more than is open: all that is open is taken). A replace whose
new half is refused has removed the original.
"""

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

BID, ASK = 0, 1
PRICE_LIMIT = 1 << 31
U32, U64 = (1 << 32) - 1, (1 << 64) - 1

DESYNCED, CROSSED, SATURATED = 8, 2, 64
HIDDEN = (16, 32)
PRINTABLE, HIDDEN_PRINT, CROSS_PRINT, BROKEN_PRINT = 1, 2, 4, 8

Quote = tuple[int, int, int]
"""Price, shares and orders of a level; all 0 where there is none."""
NO_QUOTE: Quote = (0, 0, 0)


@dataclass
class Order:
    """An open order; ``instrument`` is the dense number."""

    instrument: int
    side: int
    price: int
    shares: int


@dataclass
class Instrument:
    """State of one instrument; ``levels`` map a price to [orders, shares], bids then asks."""

    locate: int = 0
    symbol: bytes = b""
    levels: tuple[dict[int, list[int]], dict[int, list[int]]] = field(
        default_factory=lambda: ({}, {}))
    is_desynced: bool = False
    trading_state: int = 0
    last_price: int = 0
    last_quantity: int = 0
    reason: bytes = bytes(4)
    reg_sho: int = 0
    operational: int = 0
    band_lower: int = 0
    band_upper: int = 0
    reference: int = 0

    def levels_of(self, side: int, count: int) -> list[Quote]:
        """Return the best ``count`` levels of a side, best first."""
        prices = sorted(self.levels[side], reverse=side == BID)[:count]
        return [(price, self.levels[side][price][1], self.levels[side][price][0])
                for price in prices]

    def best(self, side: int) -> Quote:
        """Return the best level of a side."""
        book = self.levels[side]
        if not book:
            return NO_QUOTE
        price = (min if side else max)(book)
        return price, book[price][1], book[price][0]

    def checksum(self) -> int:
        """Sum over all levels of price key x (orders << 40 | shares), modulo 2^64."""
        return sum((-price if side else price) * ((orders << 40) + shares)
                   for side in (BID, ASK)
                   for price, (orders, shares) in self.levels[side].items()) & U64


class ReferenceBook:
    """Every instrument's book, orders by reference, and what a well-behaved device reports.

    Without ``symbols`` every locate from 1 to ``instruments`` - 1 is its own number; with them a
    locate is what the directory message said that named it last: its place in ``symbols``, or
    nobody.
    """

    def __init__(self, instruments: int, symbols: Mapping[str, int] | None = None) -> None:
        self.size = instruments
        self.instruments = [Instrument() for _ in range(instruments)]
        self.orders: dict[int, Order] = {}
        self.counts: Counter[str] = Counter()
        self.by_type: Counter[str] = Counter()
        self.market_phase = 0
        self.breach_level = 0
        self._symbols = symbols
        self._by_symbol = {symbol.encode().ljust(8): number
                           for number, symbol in enumerate(symbols or ())}
        self._watched: dict[int, int] = {}
        if symbols is None:
            self._watched = {locate: locate for locate in range(1, instruments)}
            for locate, instrument in enumerate(self.instruments):
                instrument.locate = locate
        self._apply = {
            ord("A"): self._add, ord("F"): self._add, ord("E"): self._executed,
            ord("C"): self._executed_with_price, ord("X"): self._cancel, ord("D"): self._delete,
            ord("U"): self._replace, ord("P"): self._trade, ord("Q"): self._cross,
            ord("B"): self._broken, ord("I"): self._imbalance, ord("H"): self._action,
            ord("Y"): self._reg_sho, ord("h"): self._operational, ord("J"): self._collar,
            ord("K"): self._ipo,
        }

    def watched(self, locate: int) -> int | None:
        """Return the instrument of a locate, none when it is not watched."""
        return self._watched.get(locate)

    def apply(self, message: bytes) -> list[dict]:
        """Apply one message; return the records it causes that are neither BBO nor LEVEL.

        A record is a dictionary of its fields without time stamps, sequence and version.
        """
        kind = message[0]
        locate = message[1] << 8 | message[2]
        self.counts["messages"] += 1
        self.by_type[chr(kind)] += 1
        if kind == ord("S"):
            self.market_phase = message[11]
            return [self._market_status(kind)]
        if kind == ord("W"):
            self.breach_level = message[11]
            return [self._market_status(kind)]
        if kind == ord("V"):
            return [self._market_status(kind)]
        if kind == ord("R"):
            return [self._directory(message, locate)]
        number = self._watched.get(locate)
        if number is None:
            is_beyond = self._symbols is None and locate >= self.size
            self.counts["unknown_locate" if is_beyond else "filtered"] += 1
            return []
        handle = self._apply.get(kind)
        return handle(message, number) or [] if handle else []

    def forget(self, reference: int, counter: str) -> None:
        """Drop an order that a device of limited size had no room for, and mark its book."""
        order = self.orders[reference]
        self._refuse(order.instrument, counter)
        self._take(reference, order.shares)

    # Orders

    def _refuse(self, number: int, counter: str) -> None:
        self.counts[counter] += 1
        self.instruments[number].is_desynced = True

    def _enter(self, number: int, reference: int, side: int, shares: int, price: int) -> None:
        if shares == 0:
            self._refuse(number, "zero_quantity")
        elif not 0 < price < PRICE_LIMIT:
            self._refuse(number, "bad_price")
        elif reference == 0 or reference in self.orders:
            self._refuse(number, "duplicate_order")
        else:
            self.orders[reference] = Order(number, side, price, shares)
            level = self.instruments[number].levels[side].setdefault(price, [0, 0])
            level[0] += 1
            level[1] += shares

    def _take(self, reference: int, shares: int) -> None:
        order = self.orders[reference]
        levels = self.instruments[order.instrument].levels[order.side]
        level = levels[order.price]
        order.shares -= shares
        level[1] -= shares
        if order.shares == 0:
            del self.orders[reference]
            level[0] -= 1
            if level[0] == 0:
                del levels[order.price]

    def _take_at_most(self, number: int, reference: int, shares: int) -> None:
        is_open = self.orders[reference].shares
        if shares > is_open:
            self._refuse(number, "over_execution")
        self._take(reference, min(shares, is_open))

    def _find(self, number: int, reference: int) -> Order | None:
        order = self.orders.get(reference)
        if order is None or order.instrument != number:
            self._refuse(number, "unknown_order")
            return None
        return order

    def _add(self, message: bytes, number: int) -> None:
        reference, side, shares, _, price = struct.unpack_from(">QcI8sI", message, 11)
        if side not in (b"B", b"S"):
            self._refuse(number, "bad_side")
            return
        self._enter(number, reference, ASK if side == b"S" else BID, shares, price)

    def _delete(self, message: bytes, number: int) -> None:
        reference, = struct.unpack_from(">Q", message, 11)
        if order := self._find(number, reference):
            self._take(reference, order.shares)

    def _cancel(self, message: bytes, number: int) -> None:
        reference, shares = struct.unpack_from(">QI", message, 11)
        if self._find(number, reference):
            self._take_at_most(number, reference, shares)

    def _replace(self, message: bytes, number: int) -> None:
        original, reference, shares, price = struct.unpack_from(">QQII", message, 11)
        if order := self._find(number, original):
            self._take(original, order.shares)
            self._enter(number, reference, order.side, shares, price)

    def _executed(self, message: bytes, number: int) -> list[dict]:
        reference, shares, match = struct.unpack_from(">QIQ", message, 11)
        order = self._find(number, reference)
        if order is None:
            return []
        return self._execution(number, reference, order, shares, match, order.price, PRINTABLE)

    def _executed_with_price(self, message: bytes, number: int) -> list[dict]:
        reference, shares, match, printable, price = struct.unpack_from(">QIQcI", message, 11)
        order = self._find(number, reference)
        if order is None:
            return []
        flags = PRINTABLE if printable == b"Y" else 0
        return self._execution(number, reference, order, shares, match, price, flags)

    def _execution(self, number, reference, order, shares, match, price, flags) -> list[dict]:
        side = b"BS"[order.side]
        self._take_at_most(number, reference, shares)
        return [self._print(number, match, price, shares, side, flags, reference)]

    # Prints that do not touch the displayed book

    def _print(self, number, match, price, shares, side, flags, reference) -> dict:
        instrument = self.instruments[number]
        if flags & PRINTABLE:
            instrument.last_price, instrument.last_quantity = price, min(shares, U32)
        return {"record": "trade", "instrument": number, "locate": instrument.locate,
                "match_number": match, "price": price, "quantity": min(shares, U32),
                "side": side, "flags": flags, "order_reference": reference}

    def _trade(self, message: bytes, number: int) -> list[dict]:
        reference, side, shares, _, price, match = struct.unpack_from(">QcI8sIQ", message, 11)
        return [self._print(number, match, price, shares, side[0], PRINTABLE | HIDDEN_PRINT,
                            reference)]

    def _cross(self, message: bytes, number: int) -> list[dict]:
        shares, _, price, match = struct.unpack_from(">Q8sIQ", message, 11)
        flags = CROSS_PRINT | (PRINTABLE if shares else 0)
        return [self._print(number, match, price, shares, ord(" "), flags, 0)]

    def _broken(self, message: bytes, number: int) -> list[dict]:
        match, = struct.unpack_from(">Q", message, 11)
        return [self._print(number, match, 0, 0, ord(" "), BROKEN_PRINT, 0)]

    def _imbalance(self, message: bytes, number: int) -> list[dict]:
        paired, shares, direction, _, far, near, reference, kind = struct.unpack_from(
            ">QQc8sIIIc", message, 11)
        return [{"record": "imbalance", "instrument": number,
                 "locate": self.instruments[number].locate, "paired_shares": paired,
                 "imbalance_shares": shares, "direction": direction[0], "cross_type": kind[0],
                 "far_price": far, "near_price": near, "reference_price": reference}]

    # Directory and status

    def _directory(self, message: bytes, locate: int) -> dict:
        symbol, category, status, round_lot = struct.unpack_from(">8sccI", message, 11)
        if self._symbols is not None:
            self._watched.pop(locate, None)
        if symbol in self._by_symbol:
            number = self._by_symbol[symbol]
            self._watched[locate] = number
            self.instruments[number].locate = locate
        number = self._watched.get(locate)
        if number is not None:
            self.instruments[number].symbol = symbol
        return {"record": "directory", "instrument": U32 if number is None else number,
                "locate": locate, "symbol": symbol, "round_lot": round_lot,
                "market_category": category[0], "financial_status": status[0]}

    def _market_status(self, kind: int) -> dict:
        return {"record": "status", "instrument": None, "locate": 0, "band_lower": 0,
                "band_upper": 0, "reference": 0, "reason": bytes(4), "trading_state": 0,
                "cause": kind, "reg_sho": 0, "market_phase": self.market_phase,
                "breach_level": self.breach_level, "operational": 0}

    def _status(self, number: int, kind: int) -> list[dict]:
        instrument = self.instruments[number]
        return [{**self._market_status(kind), "instrument": number, "locate": instrument.locate,
                 **{name: getattr(instrument, name) for name in (
                     "band_lower", "band_upper", "reference", "reason", "trading_state",
                     "reg_sho", "operational")}}]

    def _action(self, message: bytes, number: int) -> list[dict]:
        instrument = self.instruments[number]
        instrument.trading_state, instrument.reason = message[19], message[21:25]
        return self._status(number, message[0])

    def _reg_sho(self, message: bytes, number: int) -> list[dict]:
        self.instruments[number].reg_sho = message[19]
        return self._status(number, message[0])

    def _operational(self, message: bytes, number: int) -> list[dict]:
        if message[19:20] != b"Q":
            return []
        self.instruments[number].operational = message[20]
        return self._status(number, message[0])

    def _collar(self, message: bytes, number: int) -> list[dict]:
        instrument = self.instruments[number]
        instrument.reference, instrument.band_upper, instrument.band_lower = struct.unpack_from(
            ">III", message, 19)
        return self._status(number, message[0])

    def _ipo(self, message: bytes, number: int) -> list[dict]:
        self.instruments[number].reference, = struct.unpack_from(">I", message, 24)
        return self._status(number, message[0])
