"""Inside the virtual machine: the driver's VFIO against a real kernel, IOMMU and device.

The device is QEMU's ``edu``: registers in BAR 0, a DMA engine both ways, an interrupt. It is no
tickwire card; what is tested is everything beneath one. Every line is a result; the last is PASS.
"""

import ctypes
import os
import select
import time
from pathlib import Path

from tests.vfio.guest import find, main, say
from tickwire.device import pci
from tickwire.device.transport import HUGE_PAGE, Buffer
from tickwire.device.vfio import VFIO
from tickwire.errors import TickwireError

EDU = ("0x1234", "0x11e8")
IDENT, LIVENESS, RAISE, ACKNOWLEDGE = 0x00, 0x04, 0x60, 0x64
SOURCE, TARGET, COUNT, COMMAND = 0x80, 0x88, 0x90, 0x98
CARD = 0x40000                             # its own memory, as its DMA engine sees it
START, TO_HOST, INTERRUPT = 1, 2, 4
SECONDS = 20.0


def refusal(address: str) -> str:
    """Return the sentence with which the driver refuses to open the device."""
    try:
        VFIO(address).close()
    except TickwireError as error:
        return str(error)
    return ""


def bind(address: str) -> None:
    """Do what the sentence says."""
    Path(f"/sys/bus/pci/devices/{address}/driver_override").write_text("vfio-pci")
    Path("/sys/bus/pci/drivers_probe").write_text(address)


class Edu:
    """The device's registers."""

    def __init__(self, card: VFIO) -> None:
        self.base = card.bar(0, 0x100)

    def word(self, offset: int) -> ctypes.c_uint32:
        """A register of 32 bits, in place."""
        return ctypes.c_uint32.from_address(self.base + offset)

    def move(self, source: int, target: int, octets: int, command: int) -> bool:
        """Run the DMA engine; return whether it ended."""
        for offset, value in ((SOURCE, source), (TARGET, target), (COUNT, octets),
                              (COMMAND, command | START)):
            ctypes.c_uint64.from_address(self.base + offset).value = value
        until = time.monotonic() + SECONDS
        while ctypes.c_uint64.from_address(self.base + COMMAND).value & START:
            if time.monotonic() > until:
                return False
        return True


def run() -> None:
    """Put the driver through everything."""
    address = find(EDU)
    say(f"edu at {address}, group {pci.function(address).group}")
    before = refusal(address)
    say(f"refused before it is bound: {before}", "has no driver, not vfio-pci" in before)
    bind(address)
    say("bound to vfio-pci", pci.function(address).obstacle == "")
    card = VFIO(address)
    second = refusal(address)
    say(f"refused to a second opener: {second}", "in use by another process" in second)
    edu = Edu(card)
    say(f"BAR 0 is mapped, ident {edu.word(IDENT).value:08x}",
        edu.word(IDENT).value & 0xFFFF == 0x00ED)
    edu.word(LIVENESS).value = 0x12345678
    say("BAR 0 is written", edu.word(LIVENESS).value == 0x12345678 ^ 0xFFFF_FFFF)
    card.set_master(True)
    for is_huge in (True, False):
        buffer = Buffer(HUGE_PAGE, is_huge=is_huge)
        say(f"memory in pages of {buffer.page:,} octets", (buffer.page == HUGE_PAGE) == is_huge)
        card.share(buffer)
        pattern = os.urandom(256)
        ctypes.memmove(buffer.address, pattern, 256)
        say("DMA from host to card", edu.move(buffer.bus, CARD, 256, 0))
        say("DMA from card to host", edu.move(CARD, buffer.bus + 4096, 256, TO_HOST))
        say("every octet came back", ctypes.string_at(buffer.address + 4096, 256) == pattern)
        card.unshare(buffer)
        ctypes.memset(buffer.address, 0, HUGE_PAGE)
        edu.move(CARD, buffer.bus + 4096, 256, TO_HOST)
        say("DMA after it was taken away left memory alone",
            ctypes.string_at(buffer.address, HUGE_PAGE) == bytes(HUGE_PAGE))
    event, = card.interrupts(1)
    edu.word(RAISE).value = 1
    say("an interrupt made its eventfd readable", select.select([event], [], [], SECONDS)[0])
    say("once", os.eventfd_read(event) == 1)
    edu.word(ACKNOWLEDGE).value = 1
    card.set_master(False)
    buffer = Buffer(4096, is_huge=False)
    card.share(buffer)
    edu.move(CARD, buffer.bus, 256, TO_HOST)
    say("without bus master nothing is written",
        ctypes.string_at(buffer.address, 4096) == bytes(4096))
    card.reset()
    say(f"reset: {' '.join(card.remarks) or 'done'}")
    card.close()
    VFIO(address).close()
    say("opened again after it was closed")


if __name__ == "__main__":
    main(run)
