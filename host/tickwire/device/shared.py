"""Shared memory of one device: a file in /dev/shm, made by its owner and read by anybody else.

The owner holds an exclusive lock for as long as it lives. So a file whose lock is free was left
over by a process that died, whatever became of that process's number.
"""

import fcntl
import mmap
import os
import stat
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from tickwire import __version__
from tickwire.errors import TickwireError
from tickwire.spec import shared
from tickwire.spec.digest import digest
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import WINDOW_SLOTS
from tickwire.spec.limits import limits_rows
from tickwire.spec.registers import ABI_MAJOR, ABI_MINOR
from tickwire.spec.render import dtype
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

ABI = ABI_MAJOR << 16 | ABI_MINOR
HEADER = dtype(shared.SHARED_HEADER)
_PAGE = shared.REGION_ALIGNMENT
_ROWS = {region.name: region.row for region in shared.REGIONS}
assert _ROWS["histograms"] == 8 * HISTOGRAM_WORDS


@dataclass(frozen=True, slots=True)
class Sizes:
    """What decides where the regions of a file lie."""

    instruments: int
    depth: int
    market_log2: int
    order_log2: int
    token_log2: int

    def octets(self) -> dict[str, int]:
        """Octets of each region."""
        rows = {"registers": 1, "counters": 1, "histograms": len(STAGES), "engine": 1,
                "state": self.instruments, "positions": self.instruments,
                "window": WINDOW_SLOTS, "limits": limits_rows(self.instruments),
                "order_ring": 1 << self.order_log2, "market_ring": 1 << self.market_log2}
        return {name: rows[name] * row for name, row in _ROWS.items()}

    def places(self) -> tuple[dict[str, int], int]:
        """Offset of each region, and octets of the whole file."""
        place, found = _PAGE, {}
        for name, octets in self.octets().items():
            found[name] = place
            place += -(-octets // _PAGE) * _PAGE
        return found, place


class SharedMemory:
    """A mapped file of a device. Make one with :func:`create` or :func:`attach`."""

    def __init__(self, path: Path, descriptor: int, *, is_owner: bool) -> None:
        """Map what ``descriptor``, which is taken over, refers to."""
        self.path = path
        self.is_owner = is_owner
        self._descriptor = descriptor
        access = mmap.PROT_READ | (mmap.PROT_WRITE if is_owner else 0)
        size = os.fstat(descriptor).st_size
        self._map = mmap.mmap(descriptor, size, mmap.MAP_SHARED, access)
        self._octets = np.frombuffer(self._map, np.uint8)
        self.header = self._octets[:HEADER.itemsize].view(HEADER)[0]

    @property
    def sizes(self) -> Sizes:
        """Sizes that the header tells."""
        return Sizes(*(int(self.header[name]) for name in (
            "instruments", "depth", "market_log2", "order_log2", "token_log2")))

    def address(self, region: str) -> int:
        """Address of a region in this process."""
        return int(self._octets.ctypes.data) + int(self.header[f"at_{region}"])

    def view(self, region: str, kind: np.dtype | type | str = np.uint8) -> np.ndarray:
        """Return a region as an array, in place; read-only unless this is the owner."""
        start = int(self.header[f"at_{region}"])
        return self._octets[start:start + self.sizes.octets()[region]].view(kind)

    def is_alive(self) -> bool:
        """Whether the owner lives."""
        return self.is_owner or _is_locked(self._descriptor)

    def close(self) -> None:
        """Let go of the file; the owner removes it. Arrays made by ``view`` stay valid."""
        if self._descriptor < 0:
            return
        if self.is_owner:
            self.path.unlink(missing_ok=True)
            # The mapping lives as long as an array refers to it, and holds the file open so long.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> "SharedMemory":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


def path_of(name: str) -> Path:
    """Return the path of the file of device ``name``."""
    return Path(shared.SHARED_FOLDER) / f"{shared.SHARED_PREFIX}{name}"


def names() -> list[str]:
    """Return the names of all devices that have a file here, left over or not."""
    found = Path(shared.SHARED_FOLDER).glob(f"{shared.SHARED_PREFIX}*")
    return sorted(path.name.removeprefix(shared.SHARED_PREFIX) for path in found)


def running() -> list[str]:
    """Return the names of the devices that run, as far as their files may be opened."""
    found = []
    for name in names():
        try:
            attach(name).close()
        except TickwireError:
            continue
        found.append(name)
    return found


def create(name: str, kind: str, geometry: Geometry, *, market_log2: int, order_log2: int,
           token_log2: int) -> tuple[SharedMemory, str]:
    """Make the file of device ``name``, all zero but for the header.

    Returns it with a remark: a sentence when a file that was left over had to go, or nothing.
    Raises :class:`TickwireError` when another process owns the name or the system refuses.
    """
    path = path_of(name)
    sizes = Sizes(geometry.instruments, geometry.depth, market_log2, order_log2, token_log2)
    places, size = sizes.places()
    remark = remove_stale(name)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise TickwireError(f"Device {name!r} is starting in another process.") from None
    except OSError as error:
        raise TickwireError(f"Cannot make shared memory {path}: {error.strerror}.") from None
    # Before it has the lock another start may take the new file for one that was left over.
    if not _lock(descriptor) or not _is_at(path, descriptor):
        os.close(descriptor)
        raise TickwireError(f"Device {name!r} is starting in another process.")
    try:
        os.posix_fallocate(descriptor, 0, size)
        memory = SharedMemory(path, descriptor, is_owner=True)
    except OSError as error:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        raise TickwireError(f"Cannot take {size:,} octets of shared memory at {path}: "
                            f"{error.strerror}.") from None
    values: Mapping[str, int | bytes] = {
        "abi": ABI, "process": os.getpid(), "digest": digest(), "size": size,
        "started": time.time_ns(), "instruments": sizes.instruments, "depth": sizes.depth,
        "market_log2": market_log2, "order_log2": order_log2, "token_log2": token_log2,
        "kind": kind.encode(), "name": name.encode(), "version": __version__.encode(),
        **{f"at_{region}": place for region, place in places.items()},
        "magic": shared.SHARED_MAGIC}
    for field, value in values.items():       # the magic comes last
        memory.header[field] = value
    return memory, remark


def attach(name: str) -> SharedMemory:
    """Map the file of device ``name`` for reading.

    Raises :class:`TickwireError` when there is none, its owner died, or it is of another version.
    """
    path = path_of(name)
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        others = f"; there is {', '.join(map(repr, found))}" if (found := running()) else ""
        raise TickwireError(f"No device {name!r} runs on this machine{others}.") from None
    try:
        _check(path, descriptor)
        return SharedMemory(path, descriptor, is_owner=False)
    except BaseException:
        os.close(descriptor)
        raise


def _open(path: Path, access: int) -> int:
    """Open the regular file at ``path``, without waiting for the other end of a pipe.

    Raises ``FileNotFoundError`` where nothing is, :class:`TickwireError` for anything else.
    """
    try:
        descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TickwireError(f"Cannot open shared memory {path}: {error.strerror}.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise TickwireError(f"Cannot open shared memory {path}: it is not a regular file.")
    return descriptor


def _check(path: Path, descriptor: int) -> None:
    """Refuse a file that is not of a living device of this version; look before mapping it."""
    octets = os.pread(descriptor, HEADER.itemsize, 0)
    if len(octets) < HEADER.itemsize or octets[:8] != shared.SHARED_MAGIC:
        raise TickwireError(f"{path} is not the shared memory of a tickwire device, "
                            "or the device is still starting.")
    abi, process, its_digest, size = struct.unpack_from("<IIQQ", octets, 8)
    if abi >> 16 != ABI_MAJOR:
        raise TickwireError(f"{path} has ABI {abi >> 16}.{abi & 0xFFFF}; "
                            f"this tickwire has {ABI_MAJOR}.{ABI_MINOR}.")
    if its_digest != digest():
        raise TickwireError(f"{path} has tables with digest {its_digest:016x}; this tickwire has "
                            f"{digest():016x}: use the version that runs the device.")
    if size != os.fstat(descriptor).st_size:
        raise TickwireError(f"{path} has {os.fstat(descriptor).st_size:,} octets, "
                            f"but its header says {size:,}.")
    if not _is_locked(descriptor):
        raise TickwireError(f"{path} was left over by process {process}, which is gone.")


def remove_stale(name: str) -> str:
    """Remove the file of device ``name`` when it was left over; returns what to say about it.

    Raises :class:`TickwireError` when the device lives.
    """
    path = path_of(name)
    try:
        descriptor = _open(path, os.O_RDWR)
    except FileNotFoundError:
        return ""
    try:
        octets = os.pread(descriptor, HEADER.itemsize, 0).ljust(HEADER.itemsize, b"\0")
        process = struct.unpack_from("<I", octets, 12)[0]
        if not _lock(descriptor):
            raise TickwireError(f"Device {name!r} runs already, in process {process}; "
                                "choose another device.name.")
        if not _is_at(path, descriptor):   # another start has removed it, and made its own
            return ""
        path.unlink()
        return f"Removed {path}, which process {process} left over." if process else ""
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Take the lock of the file; False when somebody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the file still is found at ``path``."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _is_locked(descriptor: int) -> bool:
    """Whether somebody holds the lock of the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
