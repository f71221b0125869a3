"""Stand-ins for a card and for VFIO: memory instead of BARs, files instead of devices.

:class:`Slot` is a transport over plain memory, whose card does what a test's ``turn`` does.
:class:`FakeVFIO` answers the ioctls of a kernel with one card in it, and refuses what it is told
to refuse; sysfs and /dev are folders of the test.
"""

import ctypes
import errno
import os
import struct
from pathlib import Path

from tickwire.device import vfio
from tickwire.device.transport import Bar, Buffer, Transport
from tickwire.spec.digest import digest
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.registers import (
    ABI_MAJOR,
    BAR_LOG2,
    MAGIC,
    PCI_DEVICE,
    PCI_VENDOR,
    REGISTERS,
    WINDOW_LOG2,
    Status,
)

ADDRESS = "0000:65:00.0"
_ROWS = {row.name: row for row in REGISTERS}


class Memory:
    """Octets with an address, zero at first."""

    def __init__(self, size: int) -> None:
        self._raw = ctypes.create_string_buffer(size + 4096)
        self.address = -(-ctypes.addressof(self._raw) // 4096) * 4096
        self.size = size

    def word(self, name: str) -> "ctypes.c_uint32 | ctypes.c_uint64":
        """A register in it, in place."""
        row = _ROWS[name]
        kind = ctypes.c_uint32 if row.size == 4 else ctypes.c_uint64
        return kind.from_address(self.address + row.offset)


def identify(registers: Memory) -> None:
    """Write what a card of this host's tables says of itself."""
    book, queues = CARD_SMALL.registers(12)
    for name, value in (("MAGIC", MAGIC), ("ABI", ABI_MAJOR << 16), ("DIGEST", digest()),
                        ("GEOMETRY_BOOK", book), ("GEOMETRY_QUEUES", queues),
                        ("RING_EPOCH", 1)):
        registers.word(name).value = value


def run(registers: Memory) -> None:
    """Do what every card does: run when CONTROL says so."""
    status, is_running = registers.word("STATUS"), registers.word("CONTROL").value & 1
    status.value = status.value & ~Status.RUNNING | is_running * Status.RUNNING


class Slot(Transport):
    """A card of plain memory, which does nothing but run."""

    def __init__(self) -> None:
        self.name, self.remarks = "slot", []
        self.registers, self.window = Memory(1 << BAR_LOG2), Memory(1 << WINDOW_LOG2)
        identify(self.registers)
        self.bars = {0: Bar(self.registers.address, 1 << BAR_LOG2),
                     2: Bar(self.window.address, 1 << WINDOW_LOG2)}
        self.said: list[str] = []
        self.shared: list[Buffer] = []

    def share(self, buffer: Buffer) -> None:
        buffer.bus = 1 << 32 | len(self.shared) << 24
        self.shared.append(buffer)
        self.said.append("share")

    def unshare(self, buffer: Buffer) -> None:
        self.shared.remove(buffer)
        self.said.append("unshare")

    def set_master(self, is_master: bool) -> None:
        self.said.append(f"master {int(is_master)}")

    def reset(self) -> bool:
        self.said.append("reset")
        return True

    def interrupts(self, vectors: int) -> list[int]:
        return []

    def work(self) -> None:
        run(self.registers)

    def close(self) -> None:
        self.said.append("close")


def make_tree(root: Path, *, driver: str = "vfio-pci", group: str = "7",
              others: tuple[tuple[str, str], ...] = (), has_iommufd: bool = False) -> None:
    """Make sysfs and /dev of a machine with one card."""
    devices = root / "sys/bus/pci/devices"
    for address, owner in ((ADDRESS, driver), *others):
        path = devices / address
        path.mkdir(parents=True)
        ids = (PCI_VENDOR, PCI_DEVICE) if address == ADDRESS else (0x8086, 0x1234)
        for name, value in zip(("vendor", "device"), ids, strict=True):
            (path / name).write_text(f"0x{value:04x}\n")
        if owner:
            (path / "driver").symlink_to(f"../../drivers/{owner}")
        if group:
            (path / "iommu_group").symlink_to(f"../../../kernel/iommu_groups/{group}")
            member = root / "sys/kernel/iommu_groups" / group / "devices" / address
            member.mkdir(parents=True)
    nodes = root / "dev/vfio"
    nodes.mkdir(parents=True)
    for name in ("vfio", *([group] if group else [])):
        (nodes / name).touch()
    if has_iommufd:
        (root / "dev/iommu").touch()
        (devices / ADDRESS / "vfio-dev/vfio0").mkdir(parents=True)
        (nodes / "devices").mkdir()
        (nodes / "devices/vfio0").touch()


class FakeMachineVFIO(vfio.VFIO):
    """The driver, with a card behind it that has its turn when the host waits."""

    def work(self) -> None:
        run(self._machine.registers)


class FakeVFIO(vfio.Machine):
    """A kernel with one card; ``refuse`` maps a request or a path to the error that it gives."""

    def __init__(self, root: Path, refuse: dict[int | str, int] | None = None) -> None:
        self.root = root
        self.refuse = refuse or {}
        self.is_viable = True
        self.is_resettable = True
        self.registers, self.window = Memory(1 << BAR_LOG2), Memory(1 << WINDOW_LOG2)
        identify(self.registers)
        self.command = 0
        self.vectors = {vfio.MSIX: 8}
        self.mapped: dict[int, tuple[int, int]] = {}     # bus address: address, octets
        self.calls: list[int] = []
        self.eventfds: list[int] = []

    def open(self, path: str) -> int:
        if path in self.refuse:
            raise OSError(self.refuse[path], os.strerror(self.refuse[path]))
        return super().open(path)

    def ioctl(self, descriptor, request, argument=0):
        os.fstat(descriptor)                             # it is open
        self.calls.append(request)
        if request in self.refuse:
            code = self.refuse[request]
            raise OSError(code, os.strerror(code))
        size = struct.unpack_from("=I", argument)[0] if not isinstance(argument, int) else 0
        if request == vfio.CHECK_EXTENSION:
            return 1
        if request == vfio.GROUP_GET_STATUS:
            struct.pack_into("=II", argument, 0, size, int(self.is_viable))
        elif request == vfio.GROUP_GET_DEVICE_FD:
            assert bytes(argument) == ADDRESS.encode() + b"\0"
            return os.open("/dev/null", os.O_RDWR)
        elif request == vfio.DEVICE_GET_REGION_INFO:
            number = struct.unpack_from("=I", argument, 8)[0]
            octets = {0: 1 << BAR_LOG2, 2: 1 << WINDOW_LOG2, 7: 4096}.get(number, 0)
            struct.pack_into("=IIIIQQ", argument, 0, 32, 7 if octets else 0, number, 0, octets,
                             number << 40)
        elif request == vfio.DEVICE_GET_INFO:
            struct.pack_into("=II", argument, 0, 20, int(self.is_resettable))
        elif request in (vfio.IOMMU_MAP_DMA, vfio.IOAS_MAP):
            if request == vfio.IOMMU_MAP_DMA:
                _, flags, address, bus, octets = struct.unpack("=IIQQQ", argument)
                assert flags == 3
            else:
                _, flags, space, _, address, octets, bus = struct.unpack("=IIIIQQQ", argument)
                assert (flags, space) == (7, 5)
            if any(bus < begin + length and begin < bus + octets
                   for begin, (_, length) in self.mapped.items()):
                raise OSError(errno.EEXIST, "File exists")
            self.mapped[bus] = address, octets
        elif request in (vfio.IOMMU_UNMAP_DMA, vfio.IOAS_UNMAP):
            _, _, bus, octets = struct.unpack("=IIQQ", argument)
            assert self.mapped.pop(bus)[1] == octets
        elif request == vfio.IOAS_ALLOC:
            struct.pack_into("=III", argument, 0, size, 0, 5)
        elif request == vfio.DEVICE_GET_IRQ_INFO:
            kind = struct.unpack_from("=I", argument, 8)[0]
            struct.pack_into("=I", argument, 12, self.vectors.get(kind, 0))
        elif request == vfio.DEVICE_SET_IRQS:
            _, flags, kind, start, count = struct.unpack_from("=IIIII", argument)
            assert (flags, start) == (36, 0) and count <= self.vectors[kind]
            self.eventfds = list(struct.unpack_from(f"={count}i", argument, 20))
        return 0

    def map(self, descriptor, size, offset):
        found = {0: self.registers, 2: self.window}[offset >> 40]
        assert found.size == size
        return found.address, found

    def configure(self, descriptor, offset, value=None):
        assert offset == (7 << 40) + 4
        if value is not None:
            self.command = value
        return self.command
