"""Digest of a stream of records, written a second time: bit by bit, in Python integers."""

import numpy as np

from tests.reference import records

_POLYNOMIAL = 0x82F63B78                   # CRC-32C (RFC 3720), reflected
_MULTIPLIER = 0x9E3779B97F4A7C15           # 2^64 / golden ratio
_MASK = (1 << 64) - 1
_TABLE = []
for octet in range(256):
    for _ in range(8):
        octet = octet >> 1 ^ (_POLYNOMIAL if octet & 1 else 0)
    _TABLE.append(octet)


def crc32c(octets: bytes) -> int:
    """CRC-32C without the inversions at its begin and end."""
    value = 0
    for octet in octets:
        value = value >> 8 ^ _TABLE[(value ^ octet) & 0xFF]
    return value


def stream_digest(found: np.ndarray, digest: int = 0) -> int:
    """Digest of (n, 64) octets that follow a stream whose digest is ``digest``."""
    for octets in records.comparable(found):
        words = octets.reshape(8, 8)
        even, odd = (crc32c(words[first::2].tobytes()) for first in (0, 1))
        digest = ((digest ^ even ^ odd << 32) * _MULTIPLIER) & _MASK
        digest ^= digest >> 29
    return digest
