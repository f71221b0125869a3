"""Compile every kernel that the guest calls, for the guest's processor, before there is a guest.

An emulated processor would take minutes. The device is a stand-in without anything behind it.
"""

import contextlib
import ctypes

from tests.vfio.guest_engine import engine_on
from tests.vfio.market import market
from tickwire.device.base import register, word_at
from tickwire.device.card_device import NANOSECOND_HZ
from tickwire.device.transport import Bar, Buffer, Transport
from tickwire.errors import TickwireError
from tickwire.kernels.arena import Arena
from tickwire.spec.digest import digest
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.registers import (
    ABI_MAJOR,
    ABI_MINOR,
    BAR_LOG2,
    BAR_REGISTERS,
    BAR_WINDOW,
    MAGIC,
    WINDOW_LOG2,
    HistogramControl,
    HistogramState,
    Status,
)

SECONDS, PATIENCE = 10.0, 1.0


class Nothing(Transport):
    """A slot with registers that say that they belong to a card, which starts and stops."""

    def __init__(self) -> None:
        """Fill the registers that a driver looks at."""
        self.name, self.remarks, self._arena = "rehearsal", [], Arena()
        registers = self._arena.take("registers", 1 << BAR_LOG2)
        window = self._arena.take("window", 1 << WINDOW_LOG2)
        self.bars = {BAR_REGISTERS: Bar(registers, 1 << BAR_LOG2),
                     BAR_WINDOW: Bar(window, 1 << WINDOW_LOG2)}
        book, queues = CARD_SMALL.registers(8)
        for name, value in (("MAGIC", MAGIC), ("ABI", ABI_MAJOR << 16 | ABI_MINOR),
                            ("DIGEST", digest()), ("GEOMETRY_BOOK", book),
                            ("GEOMETRY_QUEUES", queues), ("RING_EPOCH", 1),
                            ("CORE_HZ", NANOSECOND_HZ)):
            self._word(name).value = value

    def _word(self, name: str) -> ctypes.c_uint32 | ctypes.c_uint64:
        offset, size = register(name, to_write=False)
        return word_at(self.bars[BAR_REGISTERS].address + offset, size)

    def work(self) -> None:
        """Run or not, as CONTROL says; take a word of the limits; show empty histograms."""
        self._word("STATUS").value = Status.RUNNING if self._word("CONTROL").value & 1 else 0
        self._word("TABLE_INDEX").value += 1
        is_shown = self._word("HISTOGRAM_CONTROL").value == HistogramControl.SHOW
        self._word("HISTOGRAM_STATE").value = (
            HistogramState.SHOWN | self._word("HISTOGRAM_STAGE").value << 8 if is_shown
            else HistogramState.READY)

    def share(self, buffer: Buffer) -> None:
        """Nobody writes it."""

    unshare = share

    def set_master(self, is_master: bool) -> None:
        """Nobody is master."""

    def reset(self) -> bool:
        """Nothing is set."""
        return True

    def interrupts(self, vectors: int) -> list[int]:
        """There are none."""
        return []

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Do once what the guest does."""
    with engine_on(Nothing(), market()) as (card, engine):
        engine.submit({"operation": 1})
        card.market_reader().read()
        card.wait(lambda: engine.host["sequence"] == 1, SECONDS, "take an intent")
        with contextlib.suppress(TickwireError):       # nobody answers
            card.commit_limits(PATIENCE)


if __name__ == "__main__":
    main()
