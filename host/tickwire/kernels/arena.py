"""Memory for kernels: zeroed, page-aligned regions with names, private or shared.

A region lives as long as its arena. Large private regions ask for huge pages, because a book's
look-ups are random: with 4 KiB pages the same look-ups cost about a third more
(``bench/book.py``).
"""

import ctypes
import mmap

import numpy as np

from tickwire.errors import TickwireError

HUGE_PAGE = 1 << 21
_MADV_HUGEPAGE, _MADV_NOHUGEPAGE = 14, 15

_madvise = ctypes.CDLL(None, use_errno=True).madvise
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Arena:
    """Named regions of memory that kernels reach by address."""

    def __init__(self) -> None:
        """Begin without any region."""
        self._regions: dict[str, np.ndarray] = {}

    def take(self, name: str, size: int, *, huge: bool = False) -> int:
        """Allocate ``size`` octets under ``name``; return the address, 64-octet aligned.

        ``huge`` aligns to 2 MiB and asks the kernel for huge pages. Memory is zero and becomes
        resident when it is first touched.
        """
        if name in self._regions:
            raise ValueError(f"Region {name!r} exists already")
        huge = huge and size >= HUGE_PAGE
        alignment = HUGE_PAGE if huge else mmap.PAGESIZE
        try:
            backing = mmap.mmap(-1, size + alignment, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise TickwireError(f"There are no {size:,} octets of memory for {name!r}: "
                                f"{error.strerror}.") from None
        whole = np.frombuffer(backing, np.uint8)
        start = -whole.ctypes.data % alignment
        region = whole[start:start + size]
        # The result is ignored: without huge pages everything works, only slower.
        _madvise(region.ctypes.data, size, _MADV_HUGEPAGE if huge else _MADV_NOHUGEPAGE)
        self._regions[name] = region
        return int(region.ctypes.data)

    def take_rows(self, name: str, dtype: np.dtype, rows: int = 1, *, huge: bool = False) -> int:
        """Allocate ``rows`` of ``dtype`` under ``name``; return the address."""
        return self.take(name, max(rows, 1) * np.dtype(dtype).itemsize, huge=huge)

    def address(self, name: str) -> int:
        """Return the address of region ``name``."""
        return int(self._regions[name].ctypes.data)

    def view(self, name: str, dtype: np.dtype | type | str = np.uint8) -> np.ndarray:
        """Return region ``name`` as an array of ``dtype``, in place."""
        return self._regions[name].view(dtype)
