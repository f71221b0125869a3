"""MoldUDP64 1.00: decoders and encoders. Generated from tickwire.spec by `make spec`.

``decode_<name>(address, row)`` reads the fixed part at ``address`` and writes every field to the
record at ``row``, whose dtype is ``tickwire.spec.render.dtype``; where the tail is optional it
takes the octets that are there as well. ``encode_<name>(address, ...)`` takes the fields in table
order: integers, text of up to 8 octets as its big-endian integer, longer text as the address of
its octets, an open end as address and octets. A length field is counted, not given.
"""

from .jit import kernel
from .memory import (
    copy,
    load64,
    load_be16,
    load_be64,
    store16,
    store64,
    store_be16,
    store_be64,
)

DOWNSTREAM_HEADER_SIZE = 20
MESSAGE_BLOCK_SIZE = 2
REQUEST_SIZE = 20


@kernel(inline=True)
def decode_downstream_header(address, row):
    """Downstream Packet header: 20 octets at ``address`` to the record at ``row``."""
    store64(row, load64(address))
    store64(row + 2, load64(address + 2))
    store64(row + 16, load_be64(address + 10))
    store16(row + 24, load_be16(address + 18))


@kernel(inline=True)
def encode_downstream_header(address, session, sequence_number, message_count):
    """Write Downstream Packet header to ``address``; return its octets."""
    store64(address, load64(session))
    store64(address + 2, load64(session + 2))
    store_be64(address + 10, sequence_number)
    store_be16(address + 18, message_count)
    return 20


@kernel(inline=True)
def decode_message_block(address, row):
    """Message Block: 2 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_message_block(address, data, data_octets):
    """Write Message Block to ``address``; return its octets."""
    store_be16(address, data_octets)
    copy(address + 2, data, data_octets)
    return 2 + data_octets


@kernel(inline=True)
def decode_request(address, row):
    """Request Packet: 20 octets at ``address`` to the record at ``row``."""
    store64(row, load64(address))
    store64(row + 2, load64(address + 2))
    store64(row + 16, load_be64(address + 10))
    store16(row + 24, load_be16(address + 18))


@kernel(inline=True)
def encode_request(address, session, sequence_number, message_count):
    """Write Request Packet to ``address``; return its octets."""
    store64(address, load64(session))
    store64(address + 2, load64(session + 2))
    store_be64(address + 10, sequence_number)
    store_be16(address + 18, message_count)
    return 20
