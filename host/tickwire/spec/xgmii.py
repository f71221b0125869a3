"""XGMII and the 10G MAC: control characters, preamble, frame check, gaps between frames.

A word of 64 bits is two transfers of the interface: lanes 0 to 3, then 4 to 7. A frame begins in
lane 0 or 4.
"""

from enum import IntEnum

HALF = 4
"""Octets between two places at which a frame may begin."""


class Character(IntEnum):
    """Control characters, IEEE 802.3 §46.3."""

    IDLE = 0x07
    SEQUENCE = 0x9C      # begins an ordered set: link faults
    START = 0xFB         # stands for the first octet of the preamble
    TERMINATE = 0xFD     # behind the last octet of the frame check
    ERROR = 0xFE         # the frame is damaged


PREAMBLE = 0x55
"""Octet of a preamble; the first one is the character START."""

FRAME_DELIMITER = 0xD5
"""Octet behind the preamble, the last one before the frame."""

PREAMBLE_SIZE = 8
"""Octets before a frame: START, six of the preamble, the delimiter."""

FRAME_SIZE_MIN = 60
"""Octets of the shortest frame without its check; what is shorter is padded with zeros."""

CHECK_SIZE = 4
"""Octets of the frame check, that of the lowest powers first."""

CHECK_POLYNOMIAL = 0x04C11DB7
"""CRC-32 of IEEE 802.3 §3.2.9, without its highest power; octets enter lowest bit first."""

GAP = 12
"""Octets from TERMINATE, included, to the next START on average, IEEE 802.3 §4.4.2."""

DEFICIT_MAX = 3
"""Octets by which gaps may fall short of that together, IEEE 802.3 §46.3.1.4."""
