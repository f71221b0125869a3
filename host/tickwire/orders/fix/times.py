"""UTC times as FIX writes them."""

import numpy as np

from tickwire.kernels.fix_text import timestamp, write_timestamp

_ROOM = np.zeros(64, np.uint8)
_ADDRESS = int(_ROOM.ctypes.data)
TIMESTAMP_DIGITS = (0, 3, 6, 9)


def utc_timestamp(nanoseconds: int, digits: int = 3) -> bytes:
    """Return ``YYYYMMDD-HH:MM:SS`` with ``digits`` decimals (0, 3, 6, 9) of ns >= 0 since 1970."""
    if digits not in TIMESTAMP_DIGITS:
        raise ValueError(f"A time stamp has 0, 3, 6 or 9 decimals, not {digits}")
    end = write_timestamp(_ADDRESS, nanoseconds, digits)
    return _ROOM[:end - _ADDRESS].tobytes()


def read_utc_timestamp(octets: bytes) -> int:
    """Return ns since 1970 of a UTC time stamp; -1 when it is none."""
    if len(octets) > 32:
        return -1
    room = np.zeros(64, np.uint8)
    room[:len(octets)] = np.frombuffer(octets, np.uint8)
    return int(timestamp(int(room.ctypes.data), len(octets)))
