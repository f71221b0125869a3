"""A card with an engine: the driver, with what an engine asks of the device whose loop it is in."""

import ctypes
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.vfio.market import RING_LOG2
from tickwire.config import Config
from tickwire.device.limits_rows import firm_row, instrument_row, session_row, strategy_row
from tickwire.device.limits_table import fill
from tickwire.device.pcie import PCIeDevice
from tickwire.device.transport import Transport
from tickwire.engine import Engine
from tickwire.kernels import engine_host
from tickwire.kernels.arena import Arena
from tickwire.spec.counters import COUNTERS, CounterIndex
from tickwire.spec.intents import INTENT, WINDOW_SLOTS
from tickwire.spec.records import RECORD_SIZE
from tickwire.spec.render import dtype
from tickwire.spec.shared import ENGINE_STATUS, POSITION
from tickwire.strategy.base import load

_LAST = INTENT.size - 8                    # epoch and sequence of an intent


@dataclass(frozen=True, slots=True)
class Regions:
    """Memory of the host's half by name: address and octets of each region."""

    places: dict[str, tuple[int, int]]

    def view(self, region: str, kind: Any = np.uint8) -> np.ndarray:
        """A region as an array, in place."""
        address, octets = self.places[region]
        return np.frombuffer((ctypes.c_char * octets).from_address(address), kind)


class EngineCard(PCIeDevice):
    """The driver of cards, and the engine's half of the host in turns that the caller gives.

    The strategy is that of ``config``. What is said to the window goes there a line at a time.
    """

    is_released = False                    # the card has the order session

    def __init__(self, transport: Transport, config: Config) -> None:
        """Open the card, and make the engine; no turn was given yet."""
        super().__init__(transport, symbols=tuple(entry.symbol for entry in config.symbols),
                         market_log2=RING_LOG2, order_log2=RING_LOG2)
        self.config, self._host, self._taken = config, 0, 0
        layout, instruments = self.layout, self.geometry.instruments
        self.memory = Regions({"positions": (layout.positions, POSITION.size * instruments),
                               "state": (layout.state, RECORD_SIZE * instruments),
                               "engine": (layout.engine, ENGINE_STATUS.size)})
        positions = self.memory.view("positions", dtype(POSITION))
        for instrument, entry in enumerate(config.symbols):
            positions[instrument]["symbol"] = entry.symbol.encode()
            positions[instrument]["tick"] = entry.tick
        self.engine = Engine(self, load(config.strategy.path, config.symbols,
                                        config.strategy.parameters))
        # A real card's counters and window cannot be read back: the host's half has its own.
        self._own = Arena()
        self._staging = self._own.take("window", WINDOW_SLOTS * INTENT.size)
        self.engine.host["window"] = self._staging
        self.engine.host["counters"] = self._own.take("counters", 8 * len(COUNTERS))

    @property
    def records_lost(self) -> int:
        """Market records that were overwritten before the engine had read them."""
        return int(self._own.view("counters", np.int64)[CounterIndex.RECORDS_LOST])

    def attach_host(self, address: int, owner: object) -> None:
        """Let turns do the host's half: the HOST context of ``owner``."""
        self._host = address

    def wake(self) -> None:
        """Nobody sleeps here."""

    def turn(self) -> int:
        """Do the host's half once: records to the strategy, its intents to the card."""
        now = time.time_ns()
        done = engine_host.beat(self._host, now) + engine_host.step(self._host, now)
        while True:
            slot = self._taken % WINDOW_SLOTS * INTENT.size
            last = ctypes.c_uint64.from_address(self._staging + slot + _LAST).value
            if last >> 32 != self._taken + 1:
                return int(done)
            self._push(self.layout.window + slot, self._staging + slot)
            self._taken += 1

    def load_configured_limits(self) -> int:
        """Put the limits of the configuration in force; returns their version."""
        table, risk = self.stage_limits(), self.config.risk
        fill(table.firm, firm_row(risk.firm))
        fill(table.strategies, strategy_row(risk.strategy))
        fill(table.sessions, session_row(risk.session))
        for instrument, entry in enumerate(self.config.symbols):
            fill(table.instruments[instrument:][:1],
                 instrument_row(risk.limits(entry.symbol), entry.tick))
        return self.commit_limits()
