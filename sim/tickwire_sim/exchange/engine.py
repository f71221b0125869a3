"""The matching engine as Python sees it: its memory, its sizes, and its books for inspection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import int64

from tickwire.kernels.arena import Arena
from tickwire_sim.exchange import itch, store
from tickwire_sim.exchange.book import name_symbol
from tickwire_sim.exchange.codes import Event, State
from tickwire_sim.exchange.config import SymbolConfig
from tickwire_sim.exchange.counters import COUNTER_SLOTS, COUNTERS
from tickwire_sim.exchange.layout import (
    ACCOUNT,
    BUY,
    ENGINE,
    EVENT,
    LEVEL,
    NONE,
    ORDER,
    SELL,
    STORE,
    SYMBOL,
)

ACCOUNTS_MAX = 64                          # order-entry accounts, the unused row 0 included


@dataclass(frozen=True, slots=True)
class Resting:
    """One order of a book."""

    reference: int
    price: int
    quantity: int


def take_store(arena: Arena, name: str, octets: int, messages: int) -> int:
    """Make an empty store of two powers of two; returns its address."""
    address = arena.take_rows(name, STORE)
    row = arena.view(name, STORE)
    row["base"] = arena.take(f"{name} octets", octets, huge=True)
    row["index"] = arena.take(f"{name} index", 8 * messages, huge=True)
    row["size"], row["index_mask"], row["oldest"] = octets, messages - 1, 1
    return address


def load(*kernels: Any) -> None:
    """Compile kernels of integer arguments, or load them, so that no later call waits for it."""
    for function in kernels:
        if hasattr(function, "compile"):
            function.compile((int64,) * function.py_func.__code__.co_argcount)


class Engine:
    """Books of all symbols and the market data that they make.

    ``order_slots`` orders can rest at once, on ``depth`` price levels a side. The newest messages
    are kept in a store of ``store_octets`` and ``store_messages``, powers of two.
    """

    def __init__(self, symbols: Sequence[SymbolConfig], *, order_slots: int = 1 << 20,
                 depth: int = 1024, store_octets: int = 1 << 28,
                 store_messages: int = 1 << 23) -> None:
        """Allocate empty books; memory becomes resident as it is used."""
        self.arena = arena = Arena()
        self.symbols = tuple(symbols)
        self.address = arena.take_rows("engine", ENGINE)
        self._store = take_store(arena, "store", store_octets, store_messages)
        row = arena.view("engine", ENGINE)[0]
        slots = order_slots + 1
        row["orders"] = arena.take_rows("orders", ORDER, slots, huge=True)
        row["levels"] = arena.take_rows("levels", LEVEL, slots, huge=True)
        row["order_slots"], row["order_used"], row["level_used"] = slots, 1, 1
        row["symbols"] = arena.take_rows("symbols", SYMBOL, len(self.symbols))
        row["symbol_count"], row["depth"] = len(self.symbols), depth
        # One cache line more than the keys need: the best levels of different symbols would share
        # a few cache sets otherwise, because most sides hold few levels.
        row["keys_stride"] = stride = 8 * depth + 64
        row["keys"] = arena.take("keys", 2 * stride * len(self.symbols), huge=True)
        row["events"] = arena.take_rows("events", EVENT, slots + 1)
        row["roster"] = arena.take("roster", 4 * slots, huge=True)
        buckets = 1 << max(order_slots - 1, 1).bit_length()
        row["numbers"], row["numbers_mask"] = arena.take("numbers", 4 * buckets), buckets - 1
        row["accounts"] = arena.take_rows("accounts", ACCOUNT, ACCOUNTS_MAX)
        row["scratch"] = arena.take("scratch", 128)
        row["store"] = self._store
        row["firm"] = int.from_bytes(b"TICK", "big")
        row["counters"] = arena.take("counters", 8 * COUNTER_SLOTS)
        places = 1 << (2 * len(self.symbols)).bit_length()
        row["names"], row["names_mask"] = arena.take("names", 16 * places), places - 1
        table = arena.view("symbols", SYMBOL)
        for number, symbol in enumerate(self.symbols):
            table[number]["name"] = int.from_bytes(symbol.name.ljust(8).encode(), "big")
            table[number]["tick"] = symbol.tick
            table[number]["locate"] = number + 1
            table[number]["state"] = State.TRADING
            name_symbol(self.address, int(table[number]["name"]), number)
        self._row = row
        self._stored = arena.view("store", STORE)[0]

    @property
    def store(self) -> int:
        """Address of the store of market data."""
        return self._store

    @property
    def clock(self) -> int:
        """Time of the next command, nanoseconds since midnight."""
        return int(self._row["clock"])

    @clock.setter
    def clock(self, nanoseconds: int) -> None:
        self._row["clock"] = max(nanoseconds, int(self._row["clock"]))

    @property
    def messages(self) -> int:
        """Messages of market data so far."""
        return int(self._stored["count"])

    @property
    def orders_live(self) -> int:
        """Orders that rest now."""
        return int(self._row["orders_live"])

    def open(self, times: Sequence[int] = (0, 0, 0)) -> None:
        """Send what comes before the market: the directory and the start of every phase.

        ``times`` are those of the start of messages, of system hours and of market hours; one in
        the past is now.
        """
        self.clock = times[0]
        itch.system_event(self.address, Event.START_OF_MESSAGES)
        for symbol in range(len(self.symbols)):
            itch.directory(self.address, symbol)
        for time, event in zip(times[1:], (Event.START_OF_SYSTEM, Event.START_OF_MARKET),
                               strict=True):
            self.clock = time
            itch.system_event(self.address, event)

    def close(self, times: Sequence[int] = (0, 0, 0)) -> None:
        """Send the end of market hours, of system hours and of messages, at ``times``."""
        for time, event in zip(times, (Event.END_OF_MARKET, Event.END_OF_SYSTEM,
                                       Event.END_OF_MESSAGES), strict=True):
            self.clock = time
            itch.system_event(self.address, event)

    def events(self) -> np.ndarray:
        """Events of the last command, in order."""
        return self.arena.view("events", EVENT)[:int(self._row["event_count"])].copy()

    def counters(self) -> dict[str, int]:
        """Every counter by its name."""
        words = self.arena.view("counters", np.int64)
        return {counter.name: int(words[index]) for index, counter in enumerate(COUNTERS)}

    def order(self, slot: int) -> np.void:
        """Row of the order in ``slot``."""
        return self.arena.view("orders", ORDER)[slot]

    def side(self, symbol: int, side: int) -> list[Resting]:
        """Orders of one side in the order in which they would trade."""
        orders, levels = self.arena.view("orders", ORDER), self.arena.view("levels", LEVEL)
        begin = (2 * symbol + side) * int(self._row["keys_stride"]) // 8
        keys = self.arena.view("keys", np.int64)[begin:]
        count = int(self.arena.view("symbols", SYMBOL)[symbol][("bid_levels", "ask_levels")[side]])
        found = []
        for key in keys[:count][::-1]:
            slot = int(levels[int(key) & 0xFFFF_FFFF]["head"])
            while slot != NONE:
                row = orders[slot]
                found.append(Resting(int(row["reference"]), int(row["price"]),
                                     int(row["quantity"])))
                slot = int(row["next"])
        return found

    def book(self, symbol: int) -> tuple[list[Resting], list[Resting]]:
        """Bids and asks of a symbol, each in the order in which they would trade."""
        return self.side(symbol, BUY), self.side(symbol, SELL)

    def save(self, first: int, write: Callable[[memoryview], object]) -> int:
        """Pass the messages from number ``first`` on, as they lie, to ``write``.

        Returns the number of the next message. Raises ``ValueError`` when some are gone already.
        """
        if first < int(self._stored["oldest"]):
            raise ValueError(f"Message {first} has left the store; "
                             f"the oldest is {int(self._stored['oldest'])}")
        octets = self.arena.view("store octets")
        last = self.messages
        while first <= last:
            offset, size, count = store.run(self._store, first, last, 1 << 26)
            write(octets[offset:offset + size].data)
            first += count
        return first
