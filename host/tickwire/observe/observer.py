"""What a running device shows of itself, read from its shared memory by anybody who may."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tickwire.device.shared import SharedMemory, attach
from tickwire.kernels import histogram
from tickwire.spec.checks import CHECKS
from tickwire.spec.counters import COUNTERS
from tickwire.spec.records import STATE_LINE, FeedState
from tickwire.spec.registers import REGISTERS, Capability, KillCause, RegisterOffset, Status
from tickwire.spec.render import dtype
from tickwire.spec.shared import ENGINE_STATUS, POSITION
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

ATTEMPTS = 1_000                           # to read a row that is not being written
DOLLAR = 10_000
_POSITION, _STATE, _ENGINE = dtype(POSITION), dtype(STATE_LINE), dtype(ENGINE_STATUS)
_OF_POSITION = ("position", "cash", "fills", "orders", "rejects", "open_orders", "open_buy",
                "open_sell")
_OF_STATE = ("bid_price", "ask_price", "bid_quantity", "ask_quantity", "last_price", "flags")
_SIZES = {row.name: row.size for row in REGISTERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Position and book of one instrument at a time; amounts in ten-thousandths of a dollar."""

    symbol: str
    position: int
    cash: int
    fills: int
    orders: int
    rejects: int
    open_orders: int
    open_buy: int
    open_sell: int
    bid_price: int
    ask_price: int
    bid_quantity: int
    ask_quantity: int
    last_price: int
    trading_state: str
    flags: int

    @property
    def mark(self) -> int:
        """Price that the position is valued at: the middle, or the last trade."""
        if self.bid_price and self.ask_price:
            return (self.bid_price + self.ask_price) // 2
        return self.last_price or self.bid_price or self.ask_price

    @property
    def profit(self) -> int:
        """Cash plus the position at its mark."""
        return self.cash + self.position * self.mark


def by_symbol(holdings: Iterable[Holding], value: Callable[[Holding], int]) -> dict[str, int]:
    """Sum of a value of each symbol: where the whole market trades it may change its place."""
    found: dict[str, int] = {}
    for holding in holdings:
        found[holding.symbol] = found.get(holding.symbol, 0) + value(holding)
    return found


class Observer:
    """Reader of the shared memory of one device. It changes nothing and disturbs nobody."""

    def __init__(self, memory: SharedMemory | str) -> None:
        """Read ``memory``, or attach to the device of that name."""
        self.memory = attach(memory) if isinstance(memory, str) else memory
        view = self.memory.view
        self._registers = view("registers")
        self._counters = view("counters", np.uint64)
        self._stages = view("histograms", np.int64).reshape(len(STAGES), HISTOGRAM_WORDS)
        self._positions = view("positions", _POSITION)
        self._states = view("state", _STATE)
        self._engine = view("engine")[:_ENGINE.itemsize].view(_ENGINE)

    @property
    def name(self) -> str:
        """Name of the device."""
        return bytes(self.memory.header["name"]).decode()

    @property
    def kind(self) -> str:
        """What runs behind the contract."""
        return bytes(self.memory.header["kind"]).decode()

    @property
    def strategy(self) -> str:
        """Path of the strategy."""
        return bytes(self._engine[0]["strategy"]).decode()

    @property
    def seconds(self) -> float:
        """Time between the start of the engine's loop and its last turn."""
        engine = self._engine[0]
        return max(int(engine["turn_time"]) - int(engine["started"]), 0) / 1e9

    @property
    def age(self) -> float:
        """Seconds since the engine's last turn."""
        return max(time.time_ns() - int(self._engine[0]["turn_time"]), 0) / 1e9

    @property
    def digest(self) -> str:
        """Digests of the market and the order records that the engine has read."""
        engine = self._engine[0]
        return f"{int(engine['market_digest']):016x}{int(engine['order_digest']):016x}"

    def register(self, name: str) -> int:
        """Value of a register."""
        offset = int(RegisterOffset[name])
        return int.from_bytes(self._registers[offset:offset + _SIZES[name]].tobytes(), "little")

    def registers(self) -> dict[str, int]:
        """Every register that may be read, by name."""
        return {row.name: self.register(row.name) for row in REGISTERS if row.access != "wo"}

    @property
    def status(self) -> Status:
        """Register STATUS."""
        return Status(self.register("STATUS"))

    @property
    def killed(self) -> KillCause:
        """Causes of the kill; none while the device is armed."""
        return KillCause(self.register("KILL_CAUSE"))

    @property
    def feed_state(self) -> FeedState:
        """State of the feed."""
        return FeedState(self.register("FEED_STATE"))

    def counters(self) -> dict[str, int]:
        """Every counter by its name."""
        return {counter.name: int(self._counters[index])
                for index, counter in enumerate(COUNTERS)}

    def rejects(self) -> dict[str, int]:
        """Refused orders by reason, the most frequent first; a reason without any is left out.

        A reason is the first check of the risk gate that failed, or ``venue``.
        """
        engine = self._engine[0]
        found = {check.name: int(engine[f"rejects_{check.name}"]) for check in CHECKS}
        found["venue"] = self.counters()["orders_rejected"]
        return {name: found[name] for name in sorted(found, key=lambda name: -found[name])
                if found[name]}

    def stages(self) -> dict[str, dict[str, int]]:
        """Latency of every stage: p50, p90, p99, p999, min, mean, max (ns) and count."""
        return {stage.name: histogram.summary(self._stages[index].copy())
                for index, stage in enumerate(STAGES)}

    @property
    def unit(self) -> str:
        """What latencies are told in: ``ns``, or ``cycles`` where the card's time is simulated."""
        is_simulated = self.register("CAPABILITIES") & Capability.SIMULATED_TIME
        return "cycles" if is_simulated else "ns"

    def latencies(self) -> dict[str, dict[str, int]]:
        """Latency of every stage in :attr:`unit`, otherwise as :meth:`stages`."""
        found = self.stages()
        if self.unit == "cycles":
            hertz = self.register("CORE_HZ")
            for row in found.values():
                row.update({name: round(value * hertz / 1e9) for name, value in row.items()
                            if name != "count"})
        return found

    def stage_words(self) -> dict[str, np.ndarray]:
        """Histogram of every stage, copied."""
        return {stage.name: self._stages[index].copy() for index, stage in enumerate(STAGES)}

    def positions_table(self) -> np.ndarray:
        """POSITION rows, in place; :meth:`holdings` reads them whole."""
        return self._positions

    def holdings(self) -> Iterator[Holding]:
        """Position and book of every instrument that has a symbol."""
        for index in range(len(self._positions)):
            p = self._whole(self._positions, index, "version", "version", odd=True)
            symbol = bytes(p["symbol"]).decode("latin-1").strip()
            if not symbol:
                continue
            s = self._whole(self._states, index, "version_head", "version", odd=False)
            state = int(s["trading_state"])
            yield Holding(symbol=symbol, trading_state=chr(state) if state else "",
                          **{name: int(p[name]) for name in _OF_POSITION},
                          **{name: int(s[name]) for name in _OF_STATE})

    @staticmethod
    def _whole(table: np.ndarray, index: int, head: str, tail: str, *, odd: bool) -> np.void:
        """Copy a row that was not being written: tail, row, head; or the last try."""
        row = table[index].copy()
        for _ in range(ATTEMPTS):
            before = int(table[index][tail])
            row = table[index].copy()
            if int(table[index][head]) == before == int(row[tail]) and not (odd and before & 1):
                break
        return row

    def close(self) -> None:
        """Let go of the shared memory; what was read stays readable."""
        self.memory.close()
