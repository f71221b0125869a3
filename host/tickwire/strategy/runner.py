"""Thread of a Python strategy: reads both rings, calls its methods, kicks the watchdog.

The engine's loop carries its intents; the order ring's credit is returned here, so a strategy that
no longer reads stops the orders, and the watchdog kills when it is configured.
"""

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from tickwire.device.base import RecordReader
from tickwire.kernels import histogram
from tickwire.spec.intents import Operation
from tickwire.spec.records import STATE_LINE, RecordType
from tickwire.spec.render import dtype
from tickwire.spec.stages import HISTOGRAM_WORDS, StageIndex
from tickwire.strategy.base import PythonStrategy, Trader

if TYPE_CHECKING:
    from tickwire.engine import Engine

REST_SECONDS = 0.000_2                     # between looks that found nothing
STOP_SECONDS = 2.0
_FIRST_ORDER = RecordType.ORDER_SENT
_STATE = dtype(STATE_LINE)
_MARKET = {RecordType.BBO: "on_bbo", RecordType.LEVEL: "on_level", RecordType.TRADE: "on_trade",
           RecordType.STATUS: "on_status"}


class PythonRunner:
    """Runs ``strategy`` beside the loop of ``engine``."""

    def __init__(self, engine: "Engine", strategy: PythonStrategy) -> None:
        """Take over from the loop: the order ring's credit and the watchdog's kick."""
        self._engine, self._strategy = engine, strategy
        device = engine.device
        self._market: RecordReader = device.market_reader(
            device.read_register("RING_MARKET_SEQUENCE") + 1)
        self._orders: RecordReader = device.order_reader(
            device.read_register("RING_ORDER_SEQUENCE") + 1)
        engine.host["consumed"] = engine.host["kick"] = 0
        device.leave_tick_to_order()
        strategy.trader = Trader(engine.submit, engine.positions,
                                 device.memory.view("state", _STATE))
        self._stage = device.layout.histograms + 8 * HISTOGRAM_WORDS * int(
            StageIndex.TICK_TO_ORDER)
        self._thread = threading.Thread(target=self._run, name="strategy", daemon=True)
        self._stopping = False
        self._kicks = 0
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the record in hand."""
        self._stopping = True
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._strategy.on_start()
            due = time.time_ns() + self._strategy.timer_ns
            while not self._stopping:
                busy = self._look()
                if self._strategy.timer_ns and time.time_ns() >= due:
                    due = time.time_ns() + self._strategy.timer_ns
                    self._strategy.on_timer(time.time_ns())
                self._kick()
                if not busy:
                    time.sleep(REST_SECONDS)
        except BaseException as error:         # told by whoever watches the engine
            self.failure = error

    def _look(self) -> int:
        """Deliver what came; returns how many records that was."""
        orders = self._orders.read()
        for row in orders:
            self._order(row)
        if orders:
            self._engine.device.write_register("RING_ORDER_CONSUMED", self._orders.number - 1)
        market = self._market.read()
        for row in market:
            method = _MARKET.get(RecordType(int(row["record_type"])))
            if method is not None:
                getattr(self._strategy, method)(row)
        return len(orders) + len(market)

    def _order(self, row: np.void) -> None:
        kind = RecordType(int(row["record_type"]))
        if kind == RecordType.ORDER_SENT and row["operation"] == Operation.NEW:
            histogram.add(self._stage, int(row["timestamp"]) - int(row["intent_timestamp"]))
        if kind >= _FIRST_ORDER:
            self._strategy.on_order(kind, row)

    def _kick(self) -> None:
        self._kicks += 1
        self._engine.device.write_register("WATCHDOG_KICK", self._kicks)
