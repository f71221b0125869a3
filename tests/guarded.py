"""Memory that ends where nothing may be read: an octet too far ends the process."""

import ctypes
import mmap

_PAGES = 8
_PROT_NONE = 0
_mprotect = ctypes.CDLL(None, use_errno=True).mprotect
_mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Guarded:
    """Octets whose end is the end of readable memory."""

    def __init__(self) -> None:
        self._size = _PAGES * mmap.PAGESIZE
        self._backing = mmap.mmap(-1, self._size + mmap.PAGESIZE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._backing))
        if _mprotect(self._start + self._size, mmap.PAGESIZE, _PROT_NONE):
            raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, octets: bytes, slack: int = 0) -> int:
        """Return the address of a copy of ``octets``, with ``slack`` readable octets after it."""
        assert len(octets) + slack <= self._size
        at = self._size - slack - len(octets)
        self._backing[at:at + len(octets) + slack] = octets + b"\xa5" * slack
        return self._start + at
