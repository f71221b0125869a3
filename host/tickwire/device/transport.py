"""What a driver of a card stands on: BARs as addresses, memory that the card may write, interrupts.

The same driver runs over VFIO, over a BAR that another process serves, and over plain memory in
tests: its loops see addresses and nothing else.
"""

import abc
import ctypes
import mmap
from dataclasses import dataclass
from types import TracebackType

from tickwire.errors import TickwireError

HUGE_PAGE = 2 << 20
_MAP_HUGETLB = 0x40000
_MAP_POPULATE = 0x8000
_PAGES_WANTED = 16


@dataclass(frozen=True, slots=True)
class Bar:
    """One mapped BAR."""

    address: int
    size: int


class Buffer:
    """Memory that the card writes: zero at first, at ``address`` here and at ``bus`` for the card.

    ``size`` is rounded up to a power of two and to whole pages: so a ring's place on the bus can
    be a multiple of it. ``remark`` is a sentence when the memory is less than was hoped for.
    """

    def __init__(self, size: int, *, is_huge: bool = True) -> None:
        """Map ``size`` octets, in huge pages where the machine has them."""
        self.size = max(mmap.PAGESIZE, 1 << (size - 1).bit_length())
        self.bus = 0
        self.remark = ""
        self.page = HUGE_PAGE
        try:
            if not is_huge:
                raise OSError
            self._map = _pages(max(self.size, HUGE_PAGE), _MAP_HUGETLB)
        except OSError:
            self.page = mmap.PAGESIZE
            self._map = _pages(self.size, 0)
            if is_huge:
                self.remark = (
                    "No huge pages are free, so rings lie in ordinary pages and the IOMMU has more "
                    f"of them to look up. As root: echo {_PAGES_WANTED} > "
                    "/proc/sys/vm/nr_hugepages.")
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    @property
    def span(self) -> int:
        """Octets of all its pages."""
        return max(self.size, self.page)


def _pages(size: int, flags: int) -> mmap.mmap:
    found = mmap.mmap(-1, size, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _MAP_POPULATE | flags)
    found.madvise(mmap.MADV_DONTFORK)          # a child would share what the card writes
    return found


class Transport(abc.ABC):
    """A card's function, opened by this process alone."""

    name: str
    bars: dict[int, Bar]
    remarks: list[str]

    @abc.abstractmethod
    def share(self, buffer: Buffer) -> None:
        """Let the card write ``buffer``; sets its ``bus``.

        Raises :class:`TickwireError` when the system refuses, with what to do.
        """

    @abc.abstractmethod
    def unshare(self, buffer: Buffer) -> None:
        """Let the card write ``buffer`` no longer."""

    @abc.abstractmethod
    def set_master(self, is_master: bool) -> None:
        """Permit the card to write host memory at all, or forbid it."""

    @abc.abstractmethod
    def reset(self) -> bool:
        """Reset the function; returns whether it can be."""

    @abc.abstractmethod
    def interrupts(self, vectors: int) -> list[int]:
        """Return an eventfd a vector, which its interrupt makes readable."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give the function back. Closing twice is allowed."""

    def work(self) -> None:
        """Let a card that only works when it is called do one turn; real ones need no call."""
        return

    def __enter__(self) -> "Transport":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def bar(self, number: int, size: int) -> int:
        """Return the address of a BAR that has ``size`` octets or more."""
        found = self.bars.get(number)
        if found is None or found.size < size:
            has = "has none" if found is None else f"has {found.size:,} octets"
            raise TickwireError(f"{self.name}: BAR {number} {has}, a tickwire card's has {size:,}; "
                                "is another bitstream loaded?")
        return found.address
