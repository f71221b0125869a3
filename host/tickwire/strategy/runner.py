"""Thread of a Python strategy: reads both rings, calls its methods, kicks the watchdog.

The engine's loop carries its intents; the order ring's credit is returned here, so a strategy that
no longer reads stops the orders, and the watchdog kills when it is configured.

Plain Python is slower than the market in its bursts, so a strategy begins where the market is when
the device is armed, and is never given a quote while a newer one of the same place is in the ring.
"""

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from tickwire.device.base import RECORD_DTYPES, Device, RecordReader
from tickwire.kernels import histogram, ring
from tickwire.kernels.engine_host import enqueue
from tickwire.kernels.engine_layout import HOST, QUEUE_SLOTS
from tickwire.spec.intents import Operation
from tickwire.spec.records import RECORD_SIZE, STATE_LINE, RecordType
from tickwire.spec.registers import Status
from tickwire.spec.render import dtype
from tickwire.spec.stages import HISTOGRAM_WORDS, StageIndex
from tickwire.strategy.base import PythonStrategy, Trader

if TYPE_CHECKING:
    from tickwire.engine import Engine

REST_SECONDS = 0.000_2                     # between looks that found nothing
STOP_SECONDS = 2.0
BATCH = 256                                # records copied from the ring at a time
WAITING_MAX = 1 << 14                      # records that wait here; beyond them the ring holds them
_FIRST_ORDER = RecordType.ORDER_SENT
_STATE = dtype(STATE_LINE)
_MARKET = {RecordType.BBO: "on_bbo", RecordType.LEVEL: "on_level", RecordType.TRADE: "on_trade",
           RecordType.STATUS: "on_status"}
_PLACES = {RecordType.BBO: ("locate",), RecordType.LEVEL: ("locate", "side", "price")}
"""Fields that name what a quote is about: a newer record with the same ones replaces it."""


class LatestQuotes:
    """Market records that wait for a strategy: every trade and status, of quotes the newest.

    A quote (BBO, LEVEL) takes the turn of the older one that it replaces, so it may overtake a
    trade that came before it, and trades cannot hold it up for ever. At most ``WAITING_MAX``
    records wait; while so many do, nothing is read, and a ring that goes round meanwhile is lost.

    Attributes
    ----------
    coalesced
        Quotes that were not given because a newer one of their place had come.
    lost
        Records that the ring overwrote before they were read.
    """

    def __init__(self, device: Device, kinds: set[RecordType]) -> None:
        """Read records of ``kinds`` from the newest one on."""
        self.coalesced = self.lost = 0
        self._device, self._layout = device, device.layout.market
        self._kinds = np.array(sorted(kinds), np.uint8)
        self._epoch = device.read_register("RING_EPOCH")
        self._batch = np.zeros((BATCH, RECORD_SIZE), np.uint8)
        self._types = self._batch.view(RECORD_DTYPES[RecordType.BBO])["record_type"][:, 0]
        self._target = self._batch.ctypes.data
        self._waiting: dict[tuple[int, ...], np.void] = {}
        self.skip()

    def skip(self) -> None:
        """Go on behind the newest record of the ring; what came before is not given."""
        self._waiting.clear()
        self._number = self._device.read_register("RING_MARKET_SEQUENCE") + 1

    def next(self) -> np.void | None:
        """Return the record whose turn it is, none when no record waits."""
        self._fill()
        return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def _fill(self) -> None:
        """Take what has come, as far as there is room."""
        copied = BATCH
        while copied == BATCH and len(self._waiting) <= WAITING_MAX - BATCH:
            copied, self._number, lost = ring.read(
                self._layout.base, self._layout.mask, self._number, self._epoch, self._target,
                BATCH)
            self.lost += lost
            for index in np.flatnonzero(np.isin(self._types[:copied], self._kinds)):
                self._take(RecordType(int(self._types[index])), self._batch[index])

    def _take(self, kind: RecordType, octets: np.ndarray) -> None:
        row = octets.copy().view(RECORD_DTYPES[kind])[0]
        fields = _PLACES.get(kind, ("record_sequence",))
        place = (kind, *(int(row[field]) for field in fields))
        self.coalesced += kind in _PLACES and place in self._waiting
        self._waiting[place] = row             # an older one's turn, or the last


def _load_kernels() -> None:
    """Run what the first order calls: compiled then, the watchdog could bite in that time."""
    full, numbers = np.zeros(1, HOST), np.array([QUEUE_SLOTS, 0], np.int64)
    full["queue_written"], full["queue_read"] = numbers.ctypes.data, numbers.ctypes.data + 8
    enqueue(full.ctypes.data, 0)           # a queue without room: nothing is written
    counts = np.zeros(HISTOGRAM_WORDS, np.int64)
    histogram.add(counts.ctypes.data, 0)


class PythonRunner:
    """Runs ``strategy`` beside the loop of ``engine``.

    Until the device is armed it gets no market record; see :class:`LatestQuotes` for what then.

    Attributes
    ----------
    is_live
        Whether its thread has seen the device armed: what is written from then on is given.
    """

    def __init__(self, engine: "Engine", strategy: PythonStrategy) -> None:
        """Take over from the loop: the order ring's credit and the watchdog's kick."""
        self._engine, self._strategy = engine, strategy
        device = engine.device
        self.market = LatestQuotes(device, {
            kind for kind, method in _MARKET.items()
            if getattr(getattr(strategy, method), "__func__", None)
            is not getattr(PythonStrategy, method)})
        self._orders: RecordReader = device.order_reader(
            device.read_register("RING_ORDER_SEQUENCE") + 1)
        engine.host["consumed"] = engine.host["kick"] = 0
        device.leave_tick_to_order()
        strategy.trader = Trader(engine.submit, engine.positions,
                                 device.memory.view("state", _STATE))
        self._stage = device.layout.histograms + 8 * HISTOGRAM_WORDS * int(
            StageIndex.TICK_TO_ORDER)
        self._thread = threading.Thread(target=self._run, name="strategy", daemon=True)
        self._stopping = self.is_live = False
        self._kicks = 0
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        _load_kernels()
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the record in hand."""
        self._stopping = True
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._strategy.on_start()
            due = time.monotonic_ns() + self._strategy.timer_ns
            while not self._stopping:
                is_busy = self._look_at_orders() + self._look_at_market()
                if self._strategy.timer_ns and time.monotonic_ns() >= due:
                    due = time.monotonic_ns() + self._strategy.timer_ns
                    self._strategy.on_timer(time.time_ns())
                self._kick()
                if not is_busy:
                    time.sleep(REST_SECONDS)
        except BaseException as error:         # told by whoever watches the engine
            self.failure = error
        while not self._stopping:              # the cancels of its orders need room in the ring
            self._look_at_orders()
            time.sleep(REST_SECONDS)

    def _look_at_orders(self) -> bool:
        """Deliver every order record that came, none after a failure; returns whether one came."""
        orders = self._orders.read()
        for row in orders if self.failure is None else ():
            self._order(row)
        if orders or self.failure is not None:     # which may have come between the two
            self._engine.device.write_register("RING_ORDER_CONSUMED", self._orders.number - 1)
        return bool(orders)

    def _look_at_market(self) -> bool:
        """Deliver one market record; returns whether there was one."""
        if not self.is_live:
            # STATUS is written after the number of the newest record: that one is of before.
            self.is_live = Status.ARMED in self._engine.device.status
            self.market.skip()
            return False
        row = self.market.next()
        if row is None:
            return False
        getattr(self._strategy, _MARKET[RecordType(int(row["record_type"]))])(row)
        return True

    def _order(self, row: np.void) -> None:
        kind = RecordType(int(row["record_type"]))
        if kind == RecordType.ORDER_SENT and row["operation"] == Operation.NEW:
            histogram.add(self._stage, int(row["timestamp"]) - int(row["intent_timestamp"]))
        if kind >= _FIRST_ORDER:
            self._strategy.on_order(kind, row)

    def _kick(self) -> None:
        self._kicks += 1
        self._engine.device.write_register("WATCHDOG_KICK", self._kicks)
