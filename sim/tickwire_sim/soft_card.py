"""A card of software: the software device behind BARs and memory of another process or machine.

Registers are memory that both sides see, so a register is what was stored to it last, and what
the card does with it happens in its turns. Everything else is the card's: rings and state table
lie where the driver says, the window takes intents, limits are loaded word by word.
"""

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tickwire.device.base import register
from tickwire.device.software import SoftwareDevice
from tickwire.device.transport import Bar, Buffer, Transport
from tickwire.errors import TickwireError
from tickwire.kernels.arena import Arena
from tickwire.spec.digest import digest
from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import LIMITS_ROW, limits_rows
from tickwire.spec.records import RECORD_SIZE
from tickwire.spec.registers import (
    ABI_MAJOR,
    ABI_MINOR,
    BAR_LOG2,
    BAR_REGISTERS,
    BAR_WINDOW,
    COUNTER_OFFSET,
    HISTOGRAM_OFFSET,
    MAGIC,
    REGISTERS,
    RING_LOG2_MAX,
    RING_LOG2_MIN,
    WINDOW_LOG2,
    HistogramControl,
    HistogramState,
    RingControl,
)
from tickwire.spec.shared import REGIONS
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

EMPTY = 0xFFFF_FFFF_FFFF_FFFF              # TABLE_DATA when the card has taken it; no limit is that
_RUN = 1
_RINGS = ("RING_MARKET", "RING_ORDER", "RING_CAPTURE", "STATE")
Translate = Callable[[int, int], int]
"""Address here of so many octets at a bus address, or 0 when the card may not reach them."""


class SoftCard:
    """A card that runs when :meth:`work` is called; killed until it is armed.

    ``prepare`` is called with the device behind it after each start: lines and session are
    attached there.
    """

    def __init__(self, registers: int, window: int, translate: Translate, geometry: Geometry,
                 symbols: Mapping[str, int], *, token_log2: int = 12,
                 prepare: Callable[[SoftwareDevice], None] = lambda device: None) -> None:
        """Say who the card is; nothing runs yet."""
        self._registers, self._window, self._translate = registers, window, translate
        self._geometry, self._symbols, self._token_log2 = geometry, symbols, token_log2
        self._prepare, self._epoch, self._echo = prepare, 0, 0xFFFF_FFFF
        self.device: _CardDevice | None = None
        self._shown: np.ndarray | None = None  # histograms that stand still, a row a stage
        ctypes.memset(registers, 0, 1 << WINDOW_LOG2)
        book, queues = geometry.registers(token_log2)
        for name, value in (
                ("MAGIC", MAGIC), ("ABI", ABI_MAJOR << 16 | ABI_MINOR), ("DIGEST", digest()),
                ("ECHO", self._echo), ("GEOMETRY_BOOK", book), ("GEOMETRY_QUEUES", queues)):
            self._place(name).value = value
        self._place("TABLE_DATA").value = EMPTY

    def work(self) -> None:
        """Do one turn: what the host stored to registers, then a turn of the device."""
        self._look()
        is_on = self._place("CONTROL").value & _RUN
        if self.device is None and is_on:
            self._start()
        elif self.device is not None and not is_on:
            self.stop()
        if self.device is not None:
            self._load()
            self.device.work()
            self._show_histograms(self.device)

    def stop(self) -> None:
        """Forget everything but who the card is."""
        if self.device is not None:
            self.device.close()
            self.device = None
        self._place("STATUS").value = 0

    def _look(self) -> None:
        """Invert what was stored to ECHO; refuse rings that lie where they may not."""
        echo = self._place("ECHO")
        if echo.value != self._echo:
            self._echo = echo.value = echo.value ^ 0xFFFF_FFFF
        for name in _RINGS:
            control = self._place(f"{name}_CONTROL")
            if control.value == RingControl.ENABLE and not self._ring(name)[0]:
                control.value = RingControl.REFUSED

    def _ring(self, name: str) -> tuple[int, int]:
        """Address here and logarithm of a ring; the address is 0 for one that is refused."""
        base = self._place(f"{name}_BASE").value
        log2 = (max(RING_LOG2_MIN, (self._geometry.instruments - 1).bit_length())
                if name == "STATE" else self._place(f"{name}_LOG2").value)
        octets = RECORD_SIZE << log2
        if not RING_LOG2_MIN <= log2 <= RING_LOG2_MAX or not base or base % octets:
            return 0, log2
        return self._translate(base, octets), log2

    def _start(self) -> None:
        if any(self._place(f"{name}_CONTROL").value != RingControl.ENABLE
               for name in ("RING_MARKET", "RING_ORDER", "STATE")):
            return
        self._epoch = self._epoch % 255 + 1
        self.device = _CardDevice(
            self._registers, self._window, {name: self._ring(name) for name in _RINGS[:2]},
            self._ring("STATE")[0], self._geometry, self._symbols, self._token_log2, self._epoch,
            is_released=bool(self._place("SESSIONS_RELEASED").value))
        self._shown = None
        self._prepare(self.device)

    def _load(self) -> None:
        """Take a word of the limits table."""
        word, index = self._place("TABLE_DATA"), self._place("TABLE_INDEX")
        if word.value == EMPTY or self.device is None:
            return
        words = LIMITS_ROW * limits_rows(self._geometry.instruments) // 8
        if index.value < words:
            place = self.device.layout.limits + 8 * index.value
            ctypes.c_uint64.from_address(place).value = word.value
        word.value = EMPTY
        index.value += 1

    def _show_histograms(self, device: "_CardDevice") -> None:
        """Show what was counted since the last time, a stage of it, or take it away."""
        control, stage = self._place("HISTOGRAM_CONTROL"), self._place("HISTOGRAM_STAGE").value
        asked, control.value = HistogramControl(control.value), 0
        if self._shown is None and HistogramControl.SHOW in asked:
            self._shown = device.take_histograms()
        elif HistogramControl.RELEASE in asked:
            self._shown = None
        state = HistogramState.READY
        if self._shown is not None:
            state, row = HistogramState.SHOWN, np.zeros(HISTOGRAM_WORDS, np.int64)
            if stage < len(STAGES):
                row[:] = self._shown[stage]
            ctypes.memmove(self._registers + HISTOGRAM_OFFSET, row.ctypes.data, row.nbytes)
        self._place("HISTOGRAM_STATE").value = state | min(stage, len(STAGES)) << 8

    def _place(self, name: str) -> Any:
        row = _ROWS[name]
        kind = ctypes.c_uint32 if row.size == 4 else ctypes.c_uint64
        return kind.from_address(self._registers + row.offset)


_ROWS = {row.name: row for row in REGISTERS}
assert register("ECHO", to_write=True)[0] == _ROWS["ECHO"].offset


class _CardMemory:
    """Regions of a device, some of them elsewhere; the rest is private."""

    def __init__(self, elsewhere: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        self._arena, self._sizes = Arena(), sizes
        self._places = {name: elsewhere.get(name) or self._arena.take(name, size)
                        for name, size in sizes.items()}

    def address(self, region: str) -> int:
        """Address of a region."""
        return self._places[region]

    def view(self, region: str, kind: Any = np.uint8) -> np.ndarray:
        """A region as an array, in place."""
        octets = (ctypes.c_char * self._sizes[region]).from_address(self._places[region])
        return np.frombuffer(octets, kind)

    def close(self) -> None:
        """Nothing is to be removed."""


class _CardDevice(SoftwareDevice):
    """The software device with its shared regions where a driver put them."""

    def __init__(self, registers: int, window: int, rings: Mapping[str, tuple[int, int]],
                 state: int, geometry: Geometry, symbols: Mapping[str, int], token_log2: int,
                 epoch: int, *, is_released: bool) -> None:
        self._elsewhere = {
            "registers": registers, "counters": registers + COUNTER_OFFSET, "window": window,
            "state": state, "market_ring": rings["RING_MARKET"][0],
            "order_ring": rings["RING_ORDER"][0]}
        ctypes.memset(window, 0, 1 << WINDOW_LOG2)
        super().__init__("card", geometry, symbols, market_log2=rings["RING_MARKET"][1],
                         order_log2=rings["RING_ORDER"][1], token_log2=token_log2, epoch=epoch,
                         is_released=is_released)

    def take_histograms(self) -> np.ndarray:
        """Return what was counted, a row a stage, and count anew."""
        words = self.memory.view("histograms", np.int64).reshape(len(STAGES), HISTOGRAM_WORDS)
        found = words.copy()
        words[:] = 0
        return found

    def _take_memory(self, market_log2: int, order_log2: int, token_log2: int) -> tuple[Any, str]:
        from tickwire.device.shared import Sizes
        sizes = Sizes(self.geometry.instruments, self.geometry.depth, market_log2, order_log2,
                      token_log2).octets()
        assert set(sizes) == {region.name for region in REGIONS}
        return _CardMemory(self._elsewhere, sizes), ""


class Slot(Transport):
    """A slot for a card in this process, which reaches the memory that is shared with it."""

    def __init__(self, name: str) -> None:
        """Make an empty slot."""
        self.name, self.remarks = name, []
        self._shared, self._is_master = dict[int, Buffer](), False

    def translate(self, bus: int, octets: int) -> int:
        """Address of so many octets at a bus address, or 0 when the card may not reach them."""
        for begin, buffer in self._shared.items():
            if begin <= bus and bus + octets <= begin + buffer.size and self._is_master:
                return buffer.address + bus - begin
        return 0

    def share(self, buffer: Buffer) -> None:
        """Let the card reach ``buffer``."""
        last = max((begin + buffer.size for begin, buffer in self._shared.items()), default=1 << 32)
        buffer.bus = -(-last // buffer.size) * buffer.size
        self._shared[buffer.bus] = buffer

    def unshare(self, buffer: Buffer) -> None:
        """Let the card reach it no longer."""
        del self._shared[buffer.bus]

    def set_master(self, is_master: bool) -> None:
        """Permit or forbid all of it."""
        self._is_master = is_master

    def interrupts(self, vectors: int) -> list[int]:
        """There are none: who waits for such a card gives it turns."""
        raise TickwireError(f"Card {self.name!r} has no interrupts.")


class LoopTransport(Slot):
    """A slot with a soft card: BARs are memory.

    The card has a turn whenever the driver waits.
    """

    def __init__(self, name: str, geometry: Geometry, symbols: Mapping[str, int],
                 **options: Any) -> None:
        """Put a card with these symbols into the slot; ``options`` are the card's."""
        super().__init__(name)
        self._arena = Arena()
        registers = self._arena.take("registers", 1 << BAR_LOG2)
        window = self._arena.take("window", 1 << WINDOW_LOG2)
        self.bars = {BAR_REGISTERS: Bar(registers, 1 << BAR_LOG2),
                     BAR_WINDOW: Bar(window, 1 << WINDOW_LOG2)}
        self.card = SoftCard(registers, window, self.translate, geometry, symbols, **options)

    def unshare(self, buffer: Buffer) -> None:
        """Let the card reach it no longer; a card that still runs would write to freed memory."""
        if self.card.device is not None:
            raise TickwireError(f"Card {self.name!r} still runs.")
        super().unshare(buffer)

    def reset(self) -> bool:
        """Stop the card, which then has forgotten everything."""
        self.card.stop()
        return True

    def work(self) -> None:
        """Give the card a turn."""
        self.card.work()

    def close(self) -> None:
        """Stop the card."""
        self.card.stop()
