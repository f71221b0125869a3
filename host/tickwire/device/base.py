"""The contract with a device: addresses, registers, rings and a window, and nothing else.

What stands behind it (Numba kernels, compiled RTL, a card) shows nowhere above it. The fast path
is a kernel over the addresses of :class:`Layout`; the methods here are the slow path of control
and tests.
"""

import abc
import ctypes
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from tickwire.device.limits_table import REFUSALS, LimitsTable, limits_table
from tickwire.errors import TickwireError
from tickwire.kernels import intent_window, ring
from tickwire.kernels.checksum import crc32c
from tickwire.spec import limits, records
from tickwire.spec.counters import COUNTERS
from tickwire.spec.digest import digest
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import INTENT, TRIGGER, WINDOW_SLOTS, Operation
from tickwire.spec.limits import LimitsError
from tickwire.spec.records import RECORD_SIZE, RecordType
from tickwire.spec.registers import (
    ABI_MAJOR,
    ABI_MINOR,
    ARM_KEY,
    MAGIC,
    REGISTERS,
    KillCause,
    Status,
)
from tickwire.spec.render import dtype
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

_U16, _U32 = 0xFFFF, 0xFFFF_FFFF
_REGISTERS = {row.name: row for row in REGISTERS}
_POLL_SECONDS = 0.000_05
_EAGER_TURNS = 8                           # without a sleep: both arming keys have to be in time
_ARM_ATTEMPTS = 20
RECORD_DTYPES = {kind: dtype(message) for kind, message in records.RECORDS.items()}
INTENT_DTYPE = dtype(INTENT)
TRIGGER_DTYPE = dtype(TRIGGER)


@dataclass(frozen=True, slots=True)
class RingLayout:
    """Where a ring lies: slots of 64 octets from ``base``, ``1 << log2`` of them."""

    base: int
    log2: int

    @property
    def mask(self) -> int:
        """Slots - 1."""
        return (1 << self.log2) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Addresses in this process of everything that host and device share."""

    market: RingLayout
    orders: RingLayout
    state: int               # STATE_LINE of each instrument
    window: int              # intent window
    registers: int
    counters: int
    histograms: int          # one a stage
    limits: int              # limits table as the host stages it
    positions: int           # POSITION of each instrument, written by the host
    engine: int              # ENGINE_STATUS, written by the host
    token_log2: int          # rows of the device's order table, logarithm


class RecordReader:
    """Reader of one ring for the slow path; ``lost`` counts what was overwritten too early."""

    def __init__(self, layout: RingLayout, epoch: int, first: int = 1) -> None:
        """Read from record number ``first`` on."""
        self.number = first
        self.lost = 0
        self._layout, self._epoch = layout, epoch
        self._batch = np.zeros((256, RECORD_SIZE), np.uint8)

    def read(self) -> list[np.void]:
        """Return the records that came since the last call, each with the dtype of its type."""
        found: list[np.void] = []
        while True:
            copied, self.number, lost = ring.read(
                self._layout.base, self._layout.mask, self.number, self._epoch,
                self._batch.ctypes.data, len(self._batch))
            self.lost += lost
            for row in self._batch[:copied].copy():
                kind = RECORD_DTYPES.get(int(row[records.TRAILER_OFFSET + 4]))  # type: ignore[call-overload]
                if kind is not None:
                    found.append(row.view(kind)[0])
            if copied < len(self._batch):
                return found


class Device(abc.ABC):
    """A trading device, opened; use it in a ``with``.

    A device is killed when it is opened. It trades after :meth:`commit_limits` and :meth:`arm`.
    """

    name: str
    kind: str
    geometry: Geometry
    symbols: tuple[str, ...]
    layout: Layout

    # What each device does in its own way

    @abc.abstractmethod
    def read_register(self, name: str) -> int:
        """Return the value of a register that may be read."""

    @abc.abstractmethod
    def write_register(self, name: str, value: int) -> None:
        """Write a register that may be written; it takes effect in the device's next turn."""

    @abc.abstractmethod
    def work(self) -> None:
        """Let a device that only works when it is called do one turn; nothing on others.

        While an engine drives the device in its own thread, nothing either.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Stop the device and give everything back. Closing twice is allowed."""

    # What is the same for all

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def check(self) -> None:
        """Refuse a device that is none, or that has other tables than this host."""
        magic, abi = self.read_register("MAGIC"), self.read_register("ABI")
        if magic != MAGIC:
            raise TickwireError(f"Device {self.name!r} has magic 0x{magic:08X}, "
                                f"not 0x{MAGIC:08X}: it is not a tickwire device.")
        if abi >> 16 != ABI_MAJOR:
            raise TickwireError(f"Device {self.name!r} has ABI {abi >> 16}.{abi & _U16}; "
                                f"this host has {ABI_MAJOR}.{ABI_MINOR}.")
        its = self.read_register("DIGEST")
        if its != digest():
            raise TickwireError(f"Device {self.name!r} has tables with digest {its:016x}; this "
                                f"host has {digest():016x}.")

    @property
    def status(self) -> Status:
        """Register STATUS."""
        return Status(self.read_register("STATUS"))

    @property
    def killed(self) -> KillCause:
        """Why the device is killed; nothing when it is armed."""
        return KillCause(self.read_register("KILL_CAUSE"))

    def counters(self) -> dict[str, int]:
        """Return every counter by its name."""
        words = (ctypes.c_uint64 * len(COUNTERS)).from_address(self.layout.counters)
        return {counter.name: int(word) for counter, word in zip(COUNTERS, words, strict=True)}

    def histograms(self) -> dict[str, np.ndarray]:
        """Return a copy of every latency histogram by the name of its stage."""
        size = len(STAGES) * HISTOGRAM_WORDS
        words = (ctypes.c_int64 * size).from_address(self.layout.histograms)
        table = np.frombuffer(words, np.int64).reshape(len(STAGES), HISTOGRAM_WORDS).copy()
        return {stage.name: table[index] for index, stage in enumerate(STAGES)}

    def market_reader(self, first: int = 1) -> RecordReader:
        """Return a reader of the market ring."""
        return RecordReader(self.layout.market, self.read_register("RING_EPOCH"), first)

    def order_reader(self, first: int = 1) -> RecordReader:
        """Return a reader of the order ring; it returns no credit."""
        return RecordReader(self.layout.orders, self.read_register("RING_EPOCH"), first)

    def wait(self, is_done: Callable[[], bool], seconds: float, what: str) -> None:
        """Let the device work until ``is_done()``; raises after ``seconds`` with ``what``."""
        deadline = time.monotonic() + seconds
        for turn in itertools.count():
            if is_done():
                return
            if time.monotonic() > deadline:
                raise TickwireError(f"Device {self.name!r} did not {what} within {seconds:g} s.")
            if turn > _EAGER_TURNS:
                time.sleep(_POLL_SECONDS)
            self.work()

    def kill(self, cause: KillCause = KillCause.REGISTER) -> None:
        """Latch the kill; no order passes from the device's next look at the register on."""
        self.write_register("KILL", int(cause))

    def arm(self, seconds: float = 2.0) -> None:
        """Give both keys; tried again while the second one comes too late for the device.

        Raises :class:`TickwireError` when the device is armed already or does not answer.
        """
        if self.killed == 0:
            raise TickwireError(f"Device {self.name!r} is armed already; "
                                "only a killed one can be armed.")
        for _ in range(_ARM_ATTEMPTS):
            if self._give_keys(seconds):
                return
        raise TickwireError(f"Device {self.name!r} took no second arming key within 1 ms, "
                            f"{_ARM_ATTEMPTS} times; is the machine overloaded?")

    def _give_keys(self, seconds: float) -> bool:
        """Give both keys once; returns whether the device is armed now."""
        def taken() -> tuple[int, int]:
            counters = self.counters()
            return counters["arms"], counters["arms_refused"]
        before = taken()
        key = (self.read_register("EPOCH") ^ ARM_KEY) & _U32
        for part in (key, key ^ _U32):
            self.write_register("ARM", part)
        self.wait(lambda: taken() != before, seconds, "answer the arming keys")
        return taken()[0] != before[0]

    def stage_limits(self) -> LimitsTable:
        """Return the staged limits, in place."""
        rows = limits.limits_rows(self.geometry.instruments)
        octets = (ctypes.c_char * (limits.LIMITS_ROW * rows)).from_address(self.layout.limits)
        table: np.ndarray = np.frombuffer(octets, np.uint8)       # type: ignore[call-overload]
        return limits_table(table, self.geometry.instruments)

    def commit_limits(self, seconds: float = 2.0) -> int:
        """Put the staged limits in force; returns their version.

        Raises :class:`TickwireError` with the device's reason when it refuses them.
        """
        version = self.read_register("LIMITS_VERSION") + 1
        crc = int(crc32c(self.layout.limits, limits.LIMITS_ROW * limits.limits_rows(
            self.geometry.instruments)))
        reader = self.order_reader(self.read_register("RING_ORDER_SEQUENCE") + 1)
        self.write_register("LIMITS_COMMIT", version | crc << 32)
        answers: list[np.void] = []

        def has_answer() -> bool:
            answers.extend(row for row in reader.read()
                           if row["record_type"] == RecordType.CONFIG_ACKNOWLEDGED
                           and row["version"] == version)
            return bool(answers)
        self.wait(has_answer, seconds, "answer a commit of limits")
        if not answers[0]["ok"]:
            reason = REFUSALS[LimitsError(int(answers[0]["reason"]))]
            raise TickwireError(f"Limits version {version} were refused: {reason}.")
        return version

    def push_intent(self, intent: np.ndarray | np.void | Mapping[str, int]) -> int:
        """Put one intent in the window and return its sequence; not while an engine runs.

        A mapping names fields of the table ``intent``, or of ``trigger`` when its operation is
        PRE_ARM or DISARM. Raises :class:`TickwireError` when 64
        intents wait for the device.
        """
        row = np.zeros(1, intent_dtype(intent.get("operation", 0) if isinstance(intent, Mapping)
                                       else 0))
        if isinstance(intent, Mapping):
            for field, value in intent.items():
                row[0][field] = value
        else:
            row.view(np.uint8)[:] = np.frombuffer(intent.tobytes(), np.uint8)
        sequence = getattr(self, "_sequence", 0)
        if sequence - self._intents_taken() >= WINDOW_SLOTS:
            raise TickwireError(f"Device {self.name!r} has {WINDOW_SLOTS} intents to take already.")
        self._sequence = sequence + 1
        self._store_intent(
            self.layout.window + (sequence & WINDOW_SLOTS - 1) * INTENT.size, row)
        return self._sequence

    def _intents_taken(self) -> int:
        return self.counters()["intents"]

    def _store_intent(self, slot: int, row: np.ndarray) -> None:
        """Put an intent in its slot, with epoch, number and CRC."""
        ctypes.memmove(slot, row.ctypes.data, INTENT.size - 8)
        intent_window.seal(slot, self.read_register("EPOCH"), self._sequence)


def intent_dtype(operation: int) -> np.dtype:
    """Return the dtype of an intent with this operation; answers of the venue have another."""
    return TRIGGER_DTYPE if operation in (Operation.PRE_ARM, Operation.DISARM) else INTENT_DTYPE


def register(name: str, *, to_write: bool) -> tuple[int, int]:
    """Return offset and octets of a register that may be read or written as asked."""
    row = _REGISTERS.get(name)
    if row is None:
        raise ValueError(f"There is no register {name!r}")
    if to_write and row.access == "ro":
        raise ValueError(f"Register {name} is read-only")
    return row.offset, row.size


def word_at(address: int, size: int) -> ctypes.c_uint32 | ctypes.c_uint64:
    """Return the word of 4 or 8 octets at an address, in place."""
    return (ctypes.c_uint32 if size == 4 else ctypes.c_uint64).from_address(address)
