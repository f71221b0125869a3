"""VFIO without a kernel module of our own: ioctls, mappings and eventfds, in Python.

Through a container and a group, or through iommufd where the kernel has it. The IOMMU lets the
card reach what was shared with it and nothing else; closing the last descriptor resets the card.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import resource
import struct
from pathlib import Path
from typing import Any

from tickwire.device.pci import DRIVER, ROOT, function
from tickwire.device.transport import Bar, Buffer, Transport
from tickwire.errors import TickwireError
from tickwire.spec.registers import BAR_INTERRUPTS, BAR_REGISTERS, BAR_WINDOW

_BASE = ord(";") << 8 | 100
(GET_API_VERSION, CHECK_EXTENSION, SET_IOMMU, GROUP_GET_STATUS, GROUP_SET_CONTAINER,
 _, GROUP_GET_DEVICE_FD, DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_IRQ_INFO,
 DEVICE_SET_IRQS, DEVICE_RESET, IOMMU_GET_INFO, IOMMU_MAP_DMA, IOMMU_UNMAP_DMA) = (
    _BASE + number for number in range(15))
DEVICE_BIND_IOMMUFD, DEVICE_ATTACH_IOMMUFD_PT = _BASE + 18, _BASE + 19
IOAS_ALLOC, IOAS_MAP, IOAS_UNMAP = (ord(";") << 8 | number for number in (0x81, 0x85, 0x86))
TYPE1 = 1
VIABLE = 1
RESETTABLE = 1
MAP_READ, MAP_WRITE = 1, 2
IOAS_FIXED, IOAS_WRITE, IOAS_READ = 1, 2, 4
REGION_MAPPABLE = 4
CONFIGURATION = 7                          # number of the region of configuration space
MSI, MSIX = 1, 2                           # indices of the kinds of interrupts
DATA_EVENTFD, ACTION_TRIGGER = 4, 32
COMMAND, MEMORY_ENABLE, BUS_MASTER = 4, 2, 4
FIRST_BUS = 1 << 32                        # bus addresses begin here: none of the low ones is ours
_BUSY = "Card {} is in use by another process; only one may have it (see fuser /dev/vfio/{})."


class Machine:
    """What of the operating system the driver uses: files below ``root``, ioctls and mappings."""

    root: Path = ROOT

    def open(self, path: str) -> int:
        """Open ``path``, below the root, for reading and writing."""
        return os.open(self.root / path, os.O_RDWR | os.O_CLOEXEC)

    def ioctl(self, descriptor: int, request: int, argument: Any = 0) -> int:
        """Call ioctl(2) and return its value."""
        return fcntl.ioctl(descriptor, request, argument)

    def map(self, descriptor: int, size: int, offset: int) -> tuple[int, Any]:
        """Map a region; return its address and what keeps it mapped."""
        found = mmap.mmap(descriptor, size, mmap.MAP_SHARED,
                          mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)
        return ctypes.addressof(ctypes.c_char.from_buffer(found)), found

    def configure(self, descriptor: int, offset: int, value: int | None = None) -> int:
        """Read 2 octets of configuration space at a region's offset, after writing ``value``."""
        if value is not None:
            os.pwrite(descriptor, struct.pack("<H", value), offset)
        found = os.pread(descriptor, 2, offset)
        if len(found) != 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return int.from_bytes(found, "little")


class VFIO(Transport):
    """A card through ``vfio-pci``.

    Raises :class:`TickwireError`, a sentence with what to do, when the system refuses anything.
    """

    def __init__(self, address: str, machine: Machine | None = None) -> None:
        """Open the function at the PCI ``address``."""
        self.name = address
        self.remarks = []
        self.bars = {}
        self._machine = machine or Machine()
        self._open: list[int] = []
        self._maps: list[Any] = []
        self._shared: dict[int, Buffer] = {}
        self._next_bus = FIRST_BUS
        self._iommufd, self._space, self._container = -1, 0, -1
        self._function = function(address, self._machine.root)
        if self._function.obstacle:
            raise TickwireError(self._function.obstacle)
        try:
            self._device = self._open_device()
            self._regions()
        except BaseException:
            self.close()
            raise

    # How the device is opened

    def _open_device(self) -> int:
        node = self._node()
        if node and (self._machine.root / "dev/iommu").exists():
            return self._through_iommufd(node)
        return self._through_group()

    def _node(self) -> str:
        """Name of the device's own node, which newer kernels have; empty without one."""
        folder = (self._machine.root / "sys/bus/pci/devices" / self.name / "vfio-dev")
        names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        return f"dev/vfio/devices/{names[0]}" if names else ""

    def _through_iommufd(self, node: str) -> int:
        self._iommufd = self._opened("dev/iommu")
        device = self._opened(node)
        bind = bytearray(struct.pack("=IIiI", 16, 0, self._iommufd, 0))
        self._call(device, DEVICE_BIND_IOMMUFD, bind, "be bound to the IOMMU")
        space = bytearray(struct.pack("=III", 12, 0, 0))
        self._call(self._iommufd, IOAS_ALLOC, space, "have an address space")
        self._space = struct.unpack("=III", space)[2]
        attach = bytearray(struct.pack("=III", 12, 0, self._space))
        self._call(device, DEVICE_ATTACH_IOMMUFD_PT, attach, "use its address space")
        return device

    def _through_group(self) -> int:
        self._container = self._opened("dev/vfio/vfio")
        group = self._opened(f"dev/vfio/{self._function.group}")
        status = bytearray(struct.pack("=II", 8, 0))
        self._call(group, GROUP_GET_STATUS, status, "tell whether its group is viable")
        if not struct.unpack("=II", status)[1] & VIABLE:
            raise TickwireError(
                f"IOMMU group {self._function.group} of card {self.name} is not viable: every "
                f"function of it must be bound to {DRIVER} or have no driver.")
        self._call(group, GROUP_SET_CONTAINER, struct.pack("=i", self._container), "be taken")
        if self._call(self._container, CHECK_EXTENSION, TYPE1, "tell its IOMMU") != 1:
            raise TickwireError("This kernel has no VFIO type 1 IOMMU: modprobe vfio_iommu_type1.")
        self._call(self._container, SET_IOMMU, TYPE1, "set its IOMMU")
        # The buffer must be mutable, or the ioctl's value, which is the descriptor, is lost.
        device = self._call(group, GROUP_GET_DEVICE_FD,
                            bytearray(self.name.encode() + b"\0"), "be opened")
        self._open.append(device)
        return device

    def _opened(self, path: str) -> int:
        try:
            found = self._machine.open(path)
        except OSError as error:
            raise TickwireError(self._why_not_opened(path, error)) from None
        self._open.append(found)
        return found

    def _why_not_opened(self, path: str, error: OSError) -> str:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return f"/{path} is missing: modprobe {DRIVER}, and check that the IOMMU is on."
        if error.errno in (errno.EACCES, errno.EPERM):
            return (f"No permission for /{path}: as root, chown {_user()} /{path}, or give it to "
                    "a group that you are in.")
        if error.errno == errno.EBUSY:
            return _BUSY.format(self.name, self._function.group)
        return f"/{path} cannot be opened: {error.strerror}."

    def _call(self, descriptor: int, request: int, argument: Any, what: str) -> int:
        try:
            return self._machine.ioctl(descriptor, request, argument)
        except OSError as error:
            raise TickwireError(self._why_refused(request, error, what)) from None

    def _why_refused(self, request: int, error: OSError, what: str) -> str:
        if error.errno == errno.EBUSY:
            return _BUSY.format(self.name, self._function.group)
        if request == SET_IOMMU and error.errno == errno.EPERM:
            return (f"The system does not trust interrupts of card {self.name}: it has no "
                    "interrupt remapping. Switch it on in the firmware (x2APIC, VT-d), or accept "
                    "the risk: modprobe vfio_iommu_type1 allow_unsafe_interrupts=1.")
        return f"Card {self.name} cannot {what}: {error.strerror}."

    def _regions(self) -> None:
        for number in (BAR_REGISTERS, BAR_WINDOW, BAR_INTERRUPTS):
            flags, size, offset = self._region(number)
            if size and flags & REGION_MAPPABLE:
                address, kept = self._machine.map(self._device, size, offset)
                self._maps.append(kept)
                self.bars[number] = Bar(address, size)
        self._command(MEMORY_ENABLE, 0)

    def _region(self, number: int) -> tuple[int, int, int]:
        """Flags, octets and offset of a region."""
        told = bytearray(struct.pack("=IIIIQQ", 32, 0, number, 0, 0, 0))
        self._call(self._device, DEVICE_GET_REGION_INFO, told, f"describe its region {number}")
        _, flags, _, _, size, offset = struct.unpack("=IIIIQQ", told)
        return flags, size, offset

    def _command(self, set_bits: int, clear_bits: int) -> None:
        """Change bits of the command register."""
        place = self._region(CONFIGURATION)[2] + COMMAND
        try:
            before = self._machine.configure(self._device, place)
            self._machine.configure(self._device, place, before & ~clear_bits | set_bits)
        except OSError as error:
            raise TickwireError(f"Card {self.name} cannot have its command register set: "
                                f"{error.strerror}.") from None

    # The contract

    def share(self, buffer: Buffer) -> None:
        """Map ``buffer`` at a bus address of its own, a multiple of its size."""
        size = buffer.span
        bus = -(-self._next_bus // size) * size
        try:
            if self._iommufd >= 0:
                self._machine.ioctl(self._iommufd, IOAS_MAP, bytearray(struct.pack(
                    "=IIIIQQQ", 40, IOAS_FIXED | IOAS_WRITE | IOAS_READ, self._space, 0,
                    buffer.address, size, bus)))
            else:
                self._machine.ioctl(self._container, IOMMU_MAP_DMA, struct.pack(
                    "=IIQQQ", 32, MAP_READ | MAP_WRITE, buffer.address, bus, size))
        except OSError as error:
            raise TickwireError(_why_not_shared(size, error)) from None
        buffer.bus, self._next_bus = bus, bus + size
        self._shared[bus] = buffer

    def unshare(self, buffer: Buffer) -> None:
        """Unmap ``buffer``; the card's writes to it are refused from here on."""
        if self._shared.pop(buffer.bus, None) is None:
            return
        size = buffer.span
        what = f"have {size:,} octets unmapped"
        if self._iommufd >= 0:
            self._call(self._iommufd, IOAS_UNMAP, bytearray(struct.pack(
                "=IIQQ", 24, self._space, buffer.bus, size)), what)
        else:
            self._call(self._container, IOMMU_UNMAP_DMA, bytearray(struct.pack(
                "=IIQQ", 24, 0, buffer.bus, size)), what)

    def set_master(self, is_master: bool) -> None:
        """Set or clear Bus Master Enable."""
        self._command(BUS_MASTER if is_master else 0, 0 if is_master else BUS_MASTER)

    def reset(self) -> bool:
        """Reset the function where it can; returns whether, and a remark says when it cannot."""
        told = bytearray(struct.pack("=IIIII", 20, 0, 0, 0, 0))
        self._call(self._device, DEVICE_GET_INFO, told, "describe itself")
        if not struct.unpack_from("=II", told)[1] & RESETTABLE:
            self.remarks.append(f"Card {self.name} cannot be reset by itself; its registers are "
                                "set anew instead.")
            return False
        self._call(self._device, DEVICE_RESET, 0, "be reset")
        self._command(MEMORY_ENABLE, 0)
        return True

    def interrupts(self, vectors: int) -> list[int]:
        """Enable MSI-X, or MSI where a function has no other, with an eventfd a vector."""
        kind = next((one for one in (MSIX, MSI) if self._vectors(one) >= vectors), None)
        if kind is None:
            raise TickwireError(f"Card {self.name} has no {vectors} interrupts; is another "
                                "bitstream loaded?")
        found = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(vectors)]
        self._open += found
        self._call(self._device, DEVICE_SET_IRQS, struct.pack(
            f"=IIIII{vectors}i", 20 + 4 * vectors, DATA_EVENTFD | ACTION_TRIGGER, kind, 0,
            vectors, *found), "have interrupts")
        return found

    def _vectors(self, kind: int) -> int:
        """Interrupts of a kind that the function has."""
        told = bytearray(struct.pack("=IIII", 16, 0, kind, 0))
        self._call(self._device, DEVICE_GET_IRQ_INFO, told, "describe its interrupts")
        return int(struct.unpack("=IIII", told)[3])

    def close(self) -> None:
        """Unmap all memory, last of all: what the card may still write must be there."""
        for buffer in list(self._shared.values()):
            with contextlib.suppress(TickwireError):   # it goes with the last descriptor
                self.unshare(buffer)
        self._maps.clear()
        while self._open:
            os.close(self._open.pop())


def _why_not_shared(size: int, error: OSError) -> str:
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        has = "unlimited" if limit == resource.RLIM_INFINITY else f"{limit >> 10:,} KiB"
        return (f"{size >> 10:,} KiB more cannot be locked for the card: the limit of locked "
                f"memory is {has}. Raise it: ulimit -l {max(size >> 9, 65_536)}, or memlock in "
                "/etc/security/limits.conf.")
    return f"{size:,} octets cannot be shared with the card: {error.strerror}."


def _user() -> str:
    return os.environ.get("USER") or str(os.getuid())
