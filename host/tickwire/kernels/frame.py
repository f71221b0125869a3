"""Whole frames of an order session: headers from its template around what the encoder wrote."""

import numpy as np

from tickwire.kernels._soupbintcp import encode_client_heartbeat
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    copy,
    load8,
    load_be16,
    store_be16,
    store_be32,
    view,
)
from tickwire.spec.network import ETHERNET, IPV4, TCP
from tickwire.spec.sessions import HEADERS_SIZE, TEMPLATE

SESSION = np.dtype([
    ("template", "u1", (TEMPLATE.size,)),
    ("sequence", "i8"),          # number of the next octet to send, below 2^32
    ("acknowledgment", "i8"),    # next octet expected from the peer, below 2^32
    ("window", "i8"),            # below 2^16
], align=True)
"""One leased connection."""

session_at = view(SESSION)

_IPV4_AT = ETHERNET.size
_TCP_AT = _IPV4_AT + IPV4.size
_TOTAL_LENGTH = _IPV4_AT + IPV4.field("total_length")[1]
_HEADER_CHECKSUM = _IPV4_AT + IPV4.field("header_checksum")[1]
_SEQUENCE, _ACKNOWLEDGMENT, _WINDOW, _CHECKSUM = (
    _TCP_AT + TCP.field(name)[1]
    for name in ("sequence_number", "acknowledgment_number", "window", "checksum"))
_SUM_IPV4, _SUM_TCP = (TEMPLATE.field(name)[1] for name in ("sum_ipv4", "sum_tcp"))
_SIZE_IN_IPV4 = IPV4.size + TCP.size
_SIZE_IN_TCP = TCP.size
_HEADERS = HEADERS_SIZE
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def _checksum(total):
    """Complement of the ones' complement sum of what adds up to ``total`` below 2^32."""
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


@kernel(inline=True)
def _halves(value):
    return (value >> 16) + (value & 0xFFFF)


@kernel
def frame(session, payload, size, octets):
    """Write the frame with ``size`` octets at ``payload`` to ``octets``; returns its octets.

    Without the frame check; ``session`` is a SESSION, whose sequence number goes on behind the
    payload. ``octets`` has room for the headers and ``size`` octets, at most 1,460.
    """
    s = session_at(session)
    sequence = s["sequence"]
    acknowledgment = s["acknowledgment"]
    copy(octets, session, _HEADERS)
    copy(octets + _HEADERS, payload, size)
    total = load_be16(session + _SUM_TCP) + _SIZE_IN_TCP + size
    total += _halves(sequence) + _halves(acknowledgment) + s["window"]
    for offset in range(0, size - 1, 2):
        total += load_be16(payload + offset)
    if size & 1:
        total += load8(payload + size - 1) << 8
    length = size + _SIZE_IN_IPV4
    store_be16(octets + _TOTAL_LENGTH, length)
    store_be16(octets + _HEADER_CHECKSUM, _checksum(load_be16(session + _SUM_IPV4) + length))
    store_be32(octets + _SEQUENCE, sequence)
    store_be32(octets + _ACKNOWLEDGMENT, acknowledgment)
    store_be16(octets + _WINDOW, s["window"])
    store_be16(octets + _CHECKSUM, _checksum(total))
    s["sequence"] = sequence + size & _U32
    return size + _HEADERS


@kernel
def heartbeat(session, payload, octets):
    """Write the frame of a Client Heartbeat to ``octets``; returns its octets, as of ``frame``.

    ``payload`` has room for a packet. Only a leased session has one.
    """
    return frame(session, payload, encode_client_heartbeat(payload), octets)
