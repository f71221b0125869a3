"""A slot whose card is another process: BAR 2 of QEMU's ivshmem is memory that both have.

Inside the virtual machine. There is no IOMMU between card and memory, so a bus address is a
physical one, of a huge page; nothing is trapped, so a register is what was stored to it last.
"""

import ctypes
import mmap
import os
import struct
from pathlib import Path

from tickwire.device.transport import Bar, Buffer, Transport
from tickwire.errors import TickwireError
from tickwire.spec.registers import BAR_LOG2, BAR_REGISTERS, BAR_WINDOW, WINDOW_LOG2

IVSHMEM = ("0x1af4", "0x1110")
WINDOW_AT = 1 << BAR_LOG2                  # in BAR 2 registers come first, then the window
BAR_OCTETS = 2 * WINDOW_AT                 # a power of two, as of every BAR
_COMMAND, _BUS_MASTER = 4, 4
_PRESENT, _FRAME = 1 << 63, (1 << 55) - 1
assert 1 << WINDOW_LOG2 <= BAR_OCTETS - WINDOW_AT


class Ivshmem(Transport):
    """The function at a PCI address. Needs root, as everything that asks for physical addresses."""

    def __init__(self, address: str) -> None:
        """Map registers uncached and the window write-combining."""
        self.name, self.remarks = address, []
        self._folder = Path("/sys/bus/pci/devices") / address
        (self._folder / "enable").write_text("1")
        self._maps = [self._map("resource2", 0, 1 << BAR_LOG2),
                      self._map("resource2_wc", WINDOW_AT, 1 << WINDOW_LOG2)]
        self.bars = {number: Bar(ctypes.addressof(ctypes.c_char.from_buffer(kept)), len(kept))
                     for number, kept in zip((BAR_REGISTERS, BAR_WINDOW), self._maps, strict=True)}

    def _map(self, name: str, offset: int, size: int) -> mmap.mmap:
        descriptor = os.open(self._folder / name, os.O_RDWR)
        try:
            return mmap.mmap(descriptor, size, offset=offset)
        finally:
            os.close(descriptor)

    def share(self, buffer: Buffer) -> None:
        """Tell where the huge page is; more than one is nowhere in one piece."""
        if buffer.span != buffer.page or buffer.page == mmap.PAGESIZE:
            raise TickwireError(f"{buffer.size:,} octets are not in one huge page: without an "
                                "IOMMU a card needs them in one piece.")
        with open("/proc/self/pagemap", "rb") as pages:
            entry = os.pread(pages.fileno(), 8, buffer.address // mmap.PAGESIZE * 8)
        entry, = struct.unpack("<Q", entry)
        if not entry & _PRESENT:
            raise TickwireError(f"The page at 0x{buffer.address:x} is not in memory.")
        buffer.bus = (entry & _FRAME) * mmap.PAGESIZE

    def unshare(self, buffer: Buffer) -> None:
        """Nothing stands between the card and memory: that it was stopped has to do."""
        buffer.bus = 0

    def set_master(self, is_master: bool) -> None:
        """Set or clear Bus Master Enable; this card does not look at it."""
        with open(self._folder / "config", "r+b", buffering=0) as configuration:
            configuration.seek(_COMMAND)
            command, = struct.unpack("<H", configuration.read(2))
            configuration.seek(_COMMAND)
            configuration.write(struct.pack(
                "<H", command | _BUS_MASTER if is_master else command & ~_BUS_MASTER))

    def reset(self) -> bool:
        """It has no reset; registers are set anew."""
        self.remarks.append(f"Card {self.name} cannot be reset by itself.")
        return False

    def interrupts(self, vectors: int) -> list[int]:
        """There are none without a server of them."""
        raise TickwireError(f"Card {self.name} has no interrupts.")

    def close(self) -> None:
        """Unmap."""
        self.bars.clear()
        self._maps.clear()
