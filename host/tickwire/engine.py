"""Engine: one loop in one thread that gives records to a strategy and its intents to the device.

The loop is the device's as well (:meth:`tickwire.device.owned.OwnedDevice.run`). Python only starts
and stops it: that of the software device holds no lock and no interpreter.
"""

import ctypes
import gc
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tickwire.device.base import intent_dtype
from tickwire.device.owned import OwnedDevice
from tickwire.errors import TickwireError
from tickwire.kernels import digest
from tickwire.kernels.arena import Arena
from tickwire.kernels.engine_host import enqueue
from tickwire.kernels.engine_layout import HOST, OUT_SLOTS, QUEUE_SLOTS, STRATEGY, TOKEN
from tickwire.orders.release import ReleaseQueue
from tickwire.spec.intents import INTENT, SETTLE, TRIGGERS, WINDOW_SLOTS
from tickwire.spec.records import RECORD_SIZE, STATE_LINE
from tickwire.spec.registers import KillCause, RegisterOffset
from tickwire.spec.render import dtype
from tickwire.spec.shared import ENGINE_STATUS, POSITION
from tickwire.spec.stages import HISTOGRAM_WORDS, StageIndex
from tickwire.strategy.base import PythonStrategy, Strategy
from tickwire.strategy.runner import PythonRunner

_SETTLE = dtype(SETTLE)
_STATUS = dtype(ENGINE_STATUS)
_POSITION = dtype(POSITION)
_STATE = dtype(STATE_LINE)
_STOP_SECONDS = 5.0
_MCL_CURRENT, _MCL_FUTURE = 1, 2
_libc = ctypes.CDLL(None, use_errno=True)


class Engine:
    """The loop of ``device`` with ``strategy``.

    ``core`` -1 leaves the thread unpinned, ``priority`` 0 keeps the usual scheduler. What the
    machine does not permit is said in :attr:`remarks`, and trading goes on without it.
    :attr:`releases` has what a device whose order session the host runs has released.
    """

    def __init__(self, device: OwnedDevice, strategy: Strategy | PythonStrategy | None = None, *,
                 core: int = -1, priority: int = 0, lock_memory: bool = False) -> None:
        """Make the host's half; the loop does not run yet."""
        self.device = device
        self.strategy = strategy
        self.remarks: list[str] = []
        self._core, self._priority, self._lock_memory = core, priority, lock_memory
        self._arena = Arena()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.runner: PythonRunner | None = None    # of a Python strategy, once it was started
        self._ready = threading.Event()
        self.releases = ReleaseQueue() if device.is_released else None
        self._compose()
        self._wire_strategy()
        device.attach_host(self.address, self)

    def _compose(self) -> None:
        take, layout = self._arena.take, self.device.layout
        self.address = self._arena.take_rows("host", HOST)
        h = self.host = self._arena.view("host", HOST)[0]
        registers = layout.registers
        h["market"], h["market_mask"] = layout.market.base, layout.market.mask
        h["orders"], h["orders_mask"] = layout.orders.base, layout.orders.mask
        h["market_next"] = self.device.read_register("RING_MARKET_SEQUENCE") + 1
        h["orders_next"] = self.device.read_register("RING_ORDER_SEQUENCE") + 1
        h["ring_epoch"] = self.device.read_register("RING_EPOCH")
        if self.releases is not None:
            h["releases"], h["release_wake"] = self.releases.address, self.releases.wake
        h["consumed"] = registers + RegisterOffset.RING_ORDER_CONSUMED
        h["arming"] = registers + RegisterOffset.EPOCH
        h["kick"] = registers + RegisterOffset.WATCHDOG_KICK
        h["window"] = layout.window
        h["record"] = take("record", RECORD_SIZE)
        h["out"] = take("out", OUT_SLOTS * INTENT.size)
        h["queue"] = take("queue", QUEUE_SLOTS * INTENT.size)
        h["queue_written"] = take("queue_written", 8)
        h["queue_read"] = take("queue_read", 8)
        h["positions"] = layout.positions
        h["tokens"] = self._arena.take_rows("tokens", TOKEN, 1 << layout.token_log2)
        h["tokens_mask"] = (1 << layout.token_log2) - 1
        h["pending"] = take("pending", 8 * WINDOW_SLOTS)
        h["generations"] = take("generations", 4 * TRIGGERS * self.device.geometry.instruments)
        h["locates"] = take("locates", 4 << 16)
        h["instruments"] = self.device.geometry.instruments
        h["counters"] = layout.counters
        h["book_stage"] = layout.histograms + 8 * HISTOGRAM_WORDS * int(StageIndex.BOOK)
        h["decision_stage"] = layout.histograms + 8 * HISTOGRAM_WORDS * int(StageIndex.DECISION)
        h["status"] = layout.engine
        masks = digest.masks()
        h["masks"] = take("masks", masks.nbytes)
        self._arena.view("masks", np.int64)[:masks.size] = masks.ravel()
        h["strategy"] = self._arena.take_rows("strategy", STRATEGY)
        self.positions = self.device.memory.view("positions", _POSITION)
        status = self.device.memory.view("engine")[:_STATUS.itemsize]
        self.status = status.view(_STATUS)[0]
        self._learn_locates()

    def _learn_locates(self) -> None:
        """Take from the state table what directory messages of before this engine said."""
        octets: Any = (ctypes.c_char * (_STATE.itemsize * self.device.geometry.instruments)
                       ).from_address(self.device.layout.state)
        states: np.ndarray = np.frombuffer(octets, _STATE)
        locates = self._arena.view("locates", np.uint32)
        for instrument in np.flatnonzero(states["locate"]):
            locate = int(states[instrument]["locate"])
            locates[locate] = instrument + 1
            self.positions[instrument]["locate"] = locate

    def _wire_strategy(self) -> None:
        """Give a compiled strategy its memory; others get records another way."""
        s = self._arena.view("strategy", STRATEGY)[0]
        h, layout = self.host, self.device.layout
        instruments = self.device.geometry.instruments
        s["positions"], s["states"] = layout.positions, layout.state
        s["instruments"], s["strategy"] = instruments, 1
        s["generations"] = h["generations"]
        if not isinstance(self.strategy, Strategy):
            s["rows"] = self._arena.take("rows", 64)
            return
        strategy = self.strategy
        values = np.zeros(1, strategy.parameters.dtype)
        for name, value in strategy.values.items():
            values[0][name] = value
        s["parameters"] = self._arena.take("parameters", values.nbytes)
        self._arena.view("parameters")[:values.nbytes] = values.view(np.uint8)
        s["row_size"] = -(-strategy.row.itemsize // 64) * 64
        s["rows"] = self._arena.take("rows", int(s["row_size"]) * instruments)
        h["handler"], h["wanted"] = strategy.address, strategy.mask
        h["timer_ns"] = strategy.timer_ns

    def name_strategy(self, path: str) -> None:
        """Tell observers which strategy this is."""
        self.status["strategy"] = path.encode()[:_STATUS["strategy"].itemsize]

    def mark_start(self) -> None:
        """Let the run's time count from now."""
        self.status["started"] = time.time_ns()

    def start(self) -> None:
        """Start the loop's thread; returns when it runs."""
        if self._thread is not None:
            raise TickwireError("The engine runs already.")
        self.device.work()                     # the first turn of all compiles; later it is free
        self.device.write_register("CONTROL", 1)
        if isinstance(self.strategy, PythonStrategy):
            self._start_python(self.strategy)
        gc.collect()
        gc.freeze()
        if self._lock_memory:
            self._lock_all()
        self.mark_start()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.device.is_driven = True
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Stop the loop after its turn; the device is killed first, so nothing is sent after."""
        if self._thread is None:
            return
        self.device.kill(KillCause.REGISTER)
        self.device.write_register("CONTROL", 0)
        self.device.wake()
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise TickwireError(f"The engine's loop did not stop within {_STOP_SECONDS:g} s; "
                                "does the strategy's function return?")
        self._thread = None
        self.device.is_driven = False
        if self.runner is not None:
            self.runner.stop()

    def close(self) -> None:
        """Stop the loop and give back what the operating system lent."""
        self.stop()
        if self.releases is not None:
            self.releases.close()

    @property
    def is_running(self) -> bool:
        """Whether the loop runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def failure(self) -> BaseException | None:
        """What ended a Python strategy; none while it runs."""
        return self.runner.failure if self.runner else None

    @property
    def strategy_records(self) -> dict[str, int]:
        """What a Python strategy was not given: quotes coalesced, records overwritten unread."""
        market = self.runner.market if self.runner else None
        return {"records_coalesced": market.coalesced if market else 0,
                "records_unread": market.lost if market else 0}

    def submit(self, fields: Mapping[str, int]) -> None:
        """Hand one intent to the loop, from any thread; raises when 256 wait already."""
        self._enqueue(intent_dtype(fields.get("operation", 0)),
                      {"timestamp": time.time_ns(), **fields})

    def settle(self, fields: Mapping[str, int]) -> None:
        """Hand over an answer of the venue that the host's session got, as :meth:`submit` does.

        ``fields`` are those of the table ``settle``.
        """
        self._enqueue(_SETTLE, fields)

    def _enqueue(self, kind: np.dtype, fields: Mapping[str, int]) -> None:
        row = np.zeros(1, kind)
        for name, value in fields.items():
            if not isinstance(value, int | np.integer):    # NumPy would cut it off
                raise TypeError(f"{name} must be a whole number, not {value!r}")
            row[0][name] = value
        if not self.hand_over(row):
            raise TickwireError(f"{QUEUE_SLOTS} intents wait for the engine already.")
        self.device.wake()

    def hand_over(self, row: np.ndarray) -> bool:
        """Hand one intent of 64 octets to the loop, from any thread; False when it has no room."""
        with self._lock:
            return bool(enqueue(self.address, row.ctypes.data))

    def _run(self) -> None:
        self._prepare_thread()
        self._ready.set()
        self.device.run()

    def _prepare_thread(self) -> None:
        """Pin the thread and raise its priority, as far as the machine permits."""
        if self._core >= 0:
            try:
                os.sched_setaffinity(0, {self._core})
            except OSError as error:
                self.remarks.append(f"The engine's thread is not pinned to core {self._core}: "
                                    f"{error.strerror}.")
        if self._priority > 0:
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self._priority))
            except OSError as error:
                self.remarks.append(f"The engine's thread has no SCHED_FIFO priority "
                                    f"{self._priority}: {error.strerror}; it needs CAP_SYS_NICE.")

    def _lock_all(self) -> None:
        if _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE):
            reason = os.strerror(ctypes.get_errno())
            self.remarks.append(f"Memory is not locked: {reason}; it needs CAP_IPC_LOCK "
                                "or a greater RLIMIT_MEMLOCK.")

    def _start_python(self, strategy: PythonStrategy) -> None:
        self.runner = PythonRunner(self, strategy)
        self.runner.start()
