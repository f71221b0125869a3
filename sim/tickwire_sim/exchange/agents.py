"""The agents of the venue: what :mod:`tickwire_sim.exchange.flow` needs, made from a seed."""

from random import Random

import numpy as np

from tickwire_sim.exchange.engine import Engine
from tickwire_sim.exchange.flow import UNIT, WEIGHT_BITS
from tickwire_sim.exchange.layout import FLOW, MARKET
from tickwire_sim.exchange.randomness import quantiles, seeded

GUIDE_BITS = 14
BASIS_POINTS = 2                           # usual half spread of an expensive symbol
_FLOW_STREAM = 1                           # streams of a seed
LINE_STREAMS = (2, 3)
REQUEST_STREAM = 4


class Agents:
    """Order flow for ``engine``: equal arguments give an equal market.

    ``messages_per_second`` is the mean; ``bursty`` makes the gaps heavy-tailed. ``live`` orders
    rest in all books together, shared by ``count`` firms.
    """

    def __init__(self, engine: Engine, *, seed: int, messages_per_second: float, live: int,
                 count: int = 8, bursty: bool = False) -> None:
        """Give each symbol its activity, its fair value and its spread."""
        arena = engine.arena
        self.engine = engine
        self.address = arena.take_rows("flow", FLOW)
        row = arena.view("flow", FLOW)[0]
        size = len(engine.symbols)
        row["engine"] = engine.address
        row["random"] = arena.take("flow random", 8)
        arena.view("flow random", np.int64)[0] = seeded(seed, _FLOW_STREAM)
        row["markets"] = arena.take_rows("markets", MARKET, size)
        markets = arena.view("markets", MARKET)
        for number, symbol in enumerate(engine.symbols):
            scale = max(symbol.tick * 3 // 4, symbol.price * BASIS_POINTS // 10_000, 1) << UNIT
            markets[number]["fair"] = markets[number]["anchor"] = symbol.price << UNIT
            markets[number]["start"] = symbol.price << UNIT
            markets[number]["scale"] = markets[number]["half_spread_goal"] = scale
            markets[number]["half_spread"] = scale
        self._draw_activity(Random(seed), size)
        row["weights"], row["guide"] = arena.address("weights"), arena.address("guide")
        row["guide_bits"] = GUIDE_BITS
        table = quantiles()
        row["exponential"] = arena.take("exponential", table.nbytes)
        arena.view("exponential", np.uint32)[:len(table)] = table
        row["gap"] = round(256e9 / messages_per_second)
        row["is_bursty"], row["live"], row["agents"] = bursty, live, count
        self._row = row

    def _draw_activity(self, draw: Random, size: int) -> None:
        """Share the actions out among the symbols: the r-th most active gets 1 / (r + 20)."""
        arena = self.engine.arena
        shares = [(1 << 40) // (rank + 20) for rank in range(size)]
        draw.shuffle(shares)
        total, sums = sum(shares), []
        running = 0
        for share in shares:
            running += share
            sums.append((running << WEIGHT_BITS) // total)
        arena.take("weights", 4 * size)
        weights = arena.view("weights", np.uint32)[:size]
        weights[:] = sums
        arena.take("guide", 4 << GUIDE_BITS)
        starts = np.arange(1 << GUIDE_BITS, dtype=np.int64) << WEIGHT_BITS - GUIDE_BITS
        arena.view("guide", np.uint32)[:1 << GUIDE_BITS] = np.searchsorted(
            weights.astype(np.int64), starts, side="right")

    @property
    def due(self) -> int:
        """Time of the next action in nanoseconds."""
        return int(self._row["due"]) >> 8

    @due.setter
    def due(self, nanoseconds: int) -> None:
        self._row["due"] = nanoseconds << 8
