"""A card's registers and counters in shared memory, kept alike from both sides."""

import ctypes
import mmap
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from tickwire.device.base import word_at
from tickwire.device.order_connection import OrderConnection
from tickwire.device.owned import OwnedDevice
from tickwire.device.pcie import PCIeDevice
from tickwire.device.shared import SharedMemory
from tickwire.device.transport import Buffer, Transport
from tickwire.kernels.engine_layout import MAILBOXES
from tickwire.spec.counters import COUNTERS
from tickwire.spec.intents import INTENT
from tickwire.spec.registers import COUNTER_OFFSET, REGISTERS
from tickwire.spec.stages import STAGES

SHOW_SECONDS = 0.1
"""Age of registers at most."""
COUNT_SECONDS = 2.0
"""Age of counters and histograms."""

_KEYS_SECONDS = 0.1                        # the clock stands while the second arming key is awaited
_SETTINGS = ("WATCHDOG_KICK", "WATCHDOG_PERIOD", "WATCHDOG_CLOSED", "KILL_ACTION", "GAP_POLICY",
             "RING_ORDER_CONSUMED")
_STATIC = ("MAGIC", "ABI", "DIGEST", "CAPABILITIES", "CORE_HZ", "ECHO", "GEOMETRY_BOOK",
           "GEOMETRY_QUEUES", "RING_EPOCH", "RING_MARKET_LOG2", "RING_ORDER_LOG2")
_SHOWN = ("STATUS", "KILL_CAUSE", "KILL_TIME", "EPOCH", "FEED_STATE", "FEED_EXPECTED",
          "FEED_HIGHEST", "LIMITS_VERSION", "LIMITS_CRC", "RING_MARKET_SEQUENCE",
          "RING_ORDER_SEQUENCE", "TIME_NOW")
LIVE = frozenset(_SHOWN) - {"EPOCH"}       # that only arming changes
"""Registers that change by themselves."""
ROWS = {row.name: (row.offset, row.size) for row in REGISTERS}
"""Offset in BAR 0 and octets of each register."""
REGIONS = {"RING_MARKET": "market_ring", "RING_ORDER": "order_ring", "STATE": "state"}
"""What a card writes, by its registers, and the region of shared memory that has room for it."""


class _Region(Buffer):
    """Memory that other processes may look at, in whole pages."""

    def __init__(self, address: int, size: int) -> None:
        self.address, self.size, self.page = address, max(size, mmap.PAGESIZE), mmap.PAGESIZE
        self.bus, self.remark = 0, ""


class SharedCard(PCIeDevice):
    """The driver, with rings in shared memory and writes that need no answer."""

    def __init__(self, transport: Transport, memory: SharedMemory, *,
                 shared: Collection[str] = tuple(REGIONS), **options: Any) -> None:
        """Open the card; ``options`` as of :class:`PCIeDevice`.

        Of ``REGIONS`` the ``shared`` ones lie in ``memory``, others are this process's own.
        """
        self._memory, self._is_shared = memory, shared
        super().__init__(transport, **options)

    def _buffer(self, name: str, octets: int, is_huge: bool) -> Buffer:
        if name not in self._is_shared:
            return super()._buffer(name, octets, is_huge)
        return _Region(self._memory.address(REGIONS[name]), octets)

    def write_word(self, name: str, word: int) -> None:
        """Write a register as a host's loop found it, mark included."""
        self._store(*ROWS[name], word)

    def words(self, places: Sequence[tuple[int, int]]) -> list[int]:
        """Read words of BAR 0 at offsets, of 4 or 8 octets each; raises as `read_register`."""
        return [self._heard(offset, size) for offset, size in places]

    def push(self, number: int, intent: int) -> None:
        """Store the intent at an address to slot ``number`` of the window."""
        self._push(self._window + number * INTENT.size, intent)

    def place(self, bar: int, size: int) -> int:
        """Return the address of a BAR that is memory here."""
        return self._transport.bar(bar, size)

    def take_picture(self) -> None:
        """Let the counter page show all counters of this instant."""
        self.write_word("COUNTERS_TAKE", 1)    # the next read waits until it is shown

    def rest(self) -> None:
        """Wait until the card has taken every event; one that is no software does it at once."""
        self.wait(lambda: not any(self._heard(*ROWS[name]) for name in MAILBOXES), self.seconds,
                  "take what was written to its registers")


class Mirror:
    """Registers of ``device``, in shared memory, and those of its ``card``.

    Attributes
    ----------
    shown : int
        How many times the registers were shown.
    is_asked : bool
        Somebody asks for it to be done anew.
    """

    def __init__(self, device: OwnedDevice, card: SharedCard,
                 connection: Callable[[], OrderConnection | None], *,
                 without: Sequence[str] = ()) -> None:
        """Show what never changes; ``connection`` returns the one whose counts are to be added.

        Registers ``without`` are somebody else's to tell the card.
        """
        self._device, self._card = device, card
        self._connection = connection
        self._settings = {name: 0 for name in _SETTINGS if name not in without}
        self._events = [name for name in MAILBOXES if name not in (*without, "KILL")]
        self._shown_at = self._counted_at = self._keys_at = 0.0
        self.counts: dict[str, int] = {}
        self.shown, self.is_asked = 0, False
        for name in _STATIC:
            device.show(name, card.read_register(name))
        device.show("CONTROL", 1)

    @property
    def is_key_awaited(self) -> bool:
        """Whether a second arming key may come, which has to be in time."""
        return time.monotonic() - self._keys_at <= _KEYS_SECONDS

    def take_kill(self) -> int:
        """Latch the kill when it was asked for; returns whether it was."""
        word = self._device.read_register("KILL")
        if not word:
            return 0
        self._device.show("KILL", 0)
        self._forward()                        # what was written before the kill holds for it
        self._card.write_word("KILL", word)
        self._card.rest()                    # cancels of every open order leave, where asked for
        return 1

    def take(self) -> int:
        """Do what was written to registers that are events; returns how many."""
        done = self.take_kill() + self._forward()
        for name in self._events:
            word = self._device.read_register(name)
            if not word:
                continue
            if name == "LIMITS_COMMIT":
                self._card.load_limits(self._device.layout.limits)
            if name != "SESSION_STATE" or self._device.is_released:
                self._card.write_word(name, word)
            self._card.rest()
            is_first_key = name == "ARM" and not self.is_key_awaited
            self._keys_at = time.monotonic() if is_first_key else 0.0
            self.show(has_counters=not is_first_key)
            self._device.show(name, 0)
            done += 1
        return done

    def _forward(self) -> int:
        """Write to the card what was written to registers that are no events."""
        has_credit = 0
        for name, before in self._settings.items():
            offset, size = ROWS[name]
            value = word_at(self._device.layout.registers + offset, size).value
            if value != before:
                self._settings[name] = value
                self._card.write_word(name, value)
                has_credit |= name == "RING_ORDER_CONSUMED"
        if has_credit:                         # what waited for room in the ring goes on
            self._card.rest()
        return has_credit

    def show_in_time(self) -> None:
        """Show registers and counters when what is shown is old."""
        now = time.monotonic()
        if self.is_asked or now - self._shown_at > SHOW_SECONDS:
            self.is_asked = False
            self.show(has_counters=now - self._counted_at > COUNT_SECONDS)

    def show(self, *, has_counters: bool) -> None:
        """Show the registers, and all counters of one instant with histograms."""
        for name, value in zip(_SHOWN, self._card.words([ROWS[name] for name in _SHOWN]),
                               strict=True):
            self._device.show(name, value)
        self._shown_at = time.monotonic()
        self.shown += 1
        if has_counters:
            self.count()
            self._show_histograms()
            self._counted_at = self._shown_at

    def count(self) -> None:
        """Show the counters alone: histograms take a card some milliseconds."""
        self._card.take_picture()
        ours, connection = dict(self.counts), self._connection()
        if connection is not None:
            _add(ours, connection.counts)
        words = (ctypes.c_uint64 * len(COUNTERS)).from_address(self._device.layout.counters)
        found = self._card.words([(COUNTER_OFFSET + 8 * place, 8)
                                  for place in range(len(COUNTERS))])
        for place, (counter, counted) in enumerate(zip(COUNTERS, found, strict=True)):
            value = counted + ours.get(counter.name, 0)
            if value:                          # the others are of the host's half
                words[place] = value

    def _show_histograms(self) -> None:
        shown = self._device.memory.view("histograms", np.int64).reshape(len(STAGES), -1)
        for place, (stage, words_of) in enumerate(zip(STAGES, self._card.histograms().values(),
                                                      strict=True)):
            if stage.card_ends:
                shown[place] = words_of

    def keep(self, connection: OrderConnection) -> None:
        """Keep the counts of a connection that is over."""
        _add(self.counts, connection.counts)


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count
