"""Tell the format of an input file by its content; names and extensions are not believed."""

import os
from typing import Literal

from tickwire.errors import InputError
from tickwire.feed.binaryfile import BinaryFile
from tickwire.feed.octets import CHUNK_SIZE, OctetStream
from tickwire.feed.pcap import PcapFile
from tickwire.feed.pcapng import PcapngFile
from tickwire.feed.source import Source
from tickwire.spec.capture import (
    BLOCK_SECTION,
    PCAP_MAGIC_MICROSECONDS,
    PCAP_MAGIC_NANOSECONDS,
)
from tickwire.spec.itch50 import BINARY_FILE_LENGTH_SIZE, SIZES

_HEAD = 8
_ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")
_PCAP_MAGICS = frozenset(magic.to_bytes(4, order)
                         for magic in (PCAP_MAGIC_MICROSECONDS, PCAP_MAGIC_NANOSECONDS)
                         for order in _ORDERS)


def detect(path: str | os.PathLike[str], chunk_size: int = CHUNK_SIZE) -> Source:
    """Open ``path`` as what its first octets say; see :func:`tickwire.feed.open_source`."""
    stream = OctetStream(path, chunk_size)
    try:
        return _detect(stream)
    except BaseException:
        stream.close()
        raise


def _detect(stream: OctetStream) -> Source:
    head = stream.head(_HEAD)
    if not head:
        raise InputError(f"{stream.name} is empty.")
    if head[:4] in _PCAP_MAGICS:
        return PcapFile(stream)
    if head[:4] == BLOCK_SECTION.to_bytes(4, "big"):
        return PcapngFile(stream)
    # A first message with a wrong length is for the reader to explain, unless it is absurd.
    kind = head[BINARY_FILE_LENGTH_SIZE:BINARY_FILE_LENGTH_SIZE + 1]
    if not head[0] and (not kind or SIZES[kind[0]] or not any(head)):
        return BinaryFile(stream)
    raise InputError(f"{stream.name} is neither a pcap or pcapng capture nor a BinaryFILE of "
                     f"ITCH 5.0: it begins with {head.hex(' ')}.")
