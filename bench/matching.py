"""Matching engine: what an order costs, from the command to books, fills and market data.

Commands are recorded beforehand against a live book, so that every cancel and replace names an
order that rests then: half of them enter orders, one in twelve of these trades at once. A command
includes the checks, the look-up by reference, the queue, the events of each fill and the ITCH 5.0
message of every change. Each run must leave the same books and the same market data.
"""

import hashlib

import numpy as np

from bench.report import Report, measure
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load32
from tickwire_sim.exchange import matching
from tickwire_sim.exchange.batch import COMMAND, COMMAND_SIZE, CommandKind, command_at, execute
from tickwire_sim.exchange.book import best_price
from tickwire_sim.exchange.codes import Cancel
from tickwire_sim.exchange.config import symbols
from tickwire_sim.exchange.engine import Engine
from tickwire_sim.exchange.layout import ORDER_SIZE, SYMBOL, engine_at, order_at
from tickwire_sim.exchange.randomness import below, exponential, quantiles

COMMANDS = 5_000_000
AHEAD = 24
TICK = 100
MARKETABLE = 8                             # per cent of the orders that enter
_ENTER, _CANCEL, _REPLACE, _REDUCE = (int(kind) for kind in CommandKind)
_USER = Cancel.USER


@kernel
def _shares(random):
    """Mostly round lots."""
    return 100 * (1 + below(random, 5)) if below(random, 10) < 7 else 1 + below(random, 999)


@kernel
def _change(engine, command, random):
    """Record a cancel, replace or reduction of a resting order, recent ones first."""
    e = engine_at(engine)
    c = command_at(command)
    live = e["roster_count"]
    index = below(random, live)
    if below(random, 10) < 8:
        draw = below(random, 1 << 15)
        index = live - 1 - ((min(live, 30_000) * draw >> 15) * draw >> 15)
    slot = load32(e["roster"] + 4 * index)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    c["reference"] = o["reference"]
    kind = below(random, 100)
    if kind < 80 or o["quantity"] < 2:
        c["kind"] = _CANCEL
        matching.cancel(engine, slot, _USER)
    elif kind < 96:
        c["kind"] = _REPLACE
        c["quantity"] = o["quantity"]
        c["price"] = max(o["price"] + TICK * (below(random, 5) - 2), TICK)
        matching.replace(engine, slot, np.int64(c["quantity"]), np.int64(c["price"]),
                         matching.DAY, 0)
    else:
        c["kind"] = _REDUCE
        c["quantity"] = 1 + below(random, o["quantity"] - 1)
        matching.reduce(engine, slot, np.int64(c["quantity"]), _USER)


@kernel
def _record(engine, commands, count, random, activity, prices, table, live):
    """Draw commands that a book of ``live`` resting orders can carry out, and carry them out."""
    e = engine_at(engine)
    for index in range(count):
        command = commands + COMMAND_SIZE * index
        c = command_at(command)
        c["interval"] = 100
        e["clock"] += 100
        resting = e["roster_count"]
        if resting > 0 and below(random, 1000) >= (700 if resting < live else 478):
            _change(engine, command, random)
            continue
        symbol = np.searchsorted(activity, below(random, 1 << 30), side="right")
        side = below(random, 2)
        distance = 1 + (exponential(random, table) * (6 if below(random, 100) < 93 else 120) >> 16)
        if below(random, 100) < MARKETABLE:
            distance = -below(random, 3)
        best = best_price(engine, symbol, 1 - side)
        if best == 0:
            best = prices[symbol]
        price = best - TICK * distance if side == 0 else best + TICK * distance
        c["kind"] = _ENTER
        c["symbol"] = symbol
        c["side"] = side
        c["quantity"] = _shares(random)
        c["price"] = max(price, TICK)
        matching.enter(engine, symbol, side, np.int64(c["quantity"]), np.int64(c["price"]),
                       matching.DAY, 0, 0, 0, 0)


def _engine(count: int) -> Engine:
    """Empty books, with room to spare and a store of the newest 64 MiB of market data."""
    return Engine(symbols(count), order_slots=1 << 20, depth=1_024, store_octets=1 << 26,
                  store_messages=1 << 21)


def _digest(engine: Engine) -> str:
    """Digest of the newest market data, of the match numbers and of the trades by symbol."""
    state = hashlib.blake2b(engine.arena.view("store octets"), digest_size=8)
    table = engine.arena.view("symbols", SYMBOL)
    state.update(np.ascontiguousarray(table["volume"]))
    state.update(str((engine.messages, engine.counters()["executions"])).encode())
    return state.hexdigest()


class Flow:
    """Commands for ``count`` symbols and ``live`` resting orders, with what must come of them."""

    def __init__(self, count: int, live: int, seed: int = 1) -> None:
        """Record them."""
        self.count = count
        self.commands = np.zeros(COMMANDS, COMMAND)
        shares = 1 / (np.arange(count) + 20)
        np.random.default_rng(seed).shuffle(shares)
        activity = (np.cumsum(shares) / shares.sum() * (1 << 30)).astype(np.int64)
        prices = np.array([symbol.price for symbol in symbols(count)], np.int64)
        random, table, engine = np.array([seed], np.int64), quantiles(), _engine(count)
        _record(engine.address, self.commands.ctypes.data, COMMANDS, random.ctypes.data, activity,
                prices, table.ctypes.data, live)
        self.digest = _digest(engine)
        self.live = engine.orders_live
        self.fills = engine.counters()["executions"]

    def run(self, ahead: int) -> float:
        """Carry all commands out on empty books; return nanoseconds an order."""
        engine = _engine(self.count)
        # Memory is made resident before the clock runs: a venue does that before its day.
        slots = np.ones(2 * COMMANDS, np.int32)
        slots[:] = 0
        for name in ("orders", "levels", "store octets", "store index", "keys", "roster"):
            engine.arena.view(name)[::4_096] = 0
        took = _timed(engine.address, self.commands.ctypes.data, slots.ctypes.data, ahead)
        assert _digest(engine) == self.digest, "a run must repeat the recording"
        return took / COMMANDS


def _timed(engine: int, commands: int, slots: int, ahead: int) -> int:
    import time
    execute(engine, commands, 0, slots, ahead)
    began = time.perf_counter_ns()
    refused = execute(engine, commands, COMMANDS, slots, ahead)
    took = time.perf_counter_ns() - began
    assert refused == 0, refused
    return took


def main(report: Report) -> None:
    """Measure a whole market and a few symbols, one command at a time and with some in hand."""
    for count, live in ((1_000, 100_000), (8, 1_000)):
        flow = Flow(count, live)
        found = measure(lambda flow=flow: flow.run(0), lambda flow=flow: flow.run(AHEAD),
                        report.repeats)
        note = f"{flow.fills:,} fills, {flow.live:,} orders rest at the end"
        report.add(f"{count:,} symbols, {live:,} resting: one order at a time", "ns/order",
                   found.first, note=note)
        report.add(f"{count:,} symbols, {live:,} resting: {AHEAD} in hand", "ns/order",
                   found.second, note="lines of later commands are fetched ahead")
    report.note(f"{COMMANDS:,} commands a run: half enter orders, of the others 80 % cancel, 16 % "
                "replace and 4 % reduce.")
