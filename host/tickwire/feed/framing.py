"""Ethernet frames around what a feed sends, for a card's market side."""

import ipaddress
import struct

from tickwire.spec.network import ETHER_TYPE_IPV4, ETHERNET, IPV4, PROTOCOL_UDP, UDP

_HEAD = struct.Struct(">BBHHHBBH4s4s")
_PORTS = struct.Struct(">HHHH")
_VERSION, _LIFE = 0x45, 64


def udp_frame(payload: bytes, group: str, port: int) -> bytes:
    """Return a frame that carries a datagram to ``group`` and ``port``, without a UDP checksum."""
    length = UDP.size + len(payload)
    head = _HEAD.pack(_VERSION, 0, IPV4.size + length, 0, 0, _LIFE, PROTOCOL_UDP, 0, bytes(4),
                      ipaddress.IPv4Address(group).packed)
    checksum = ~(sum(struct.unpack(">10H", head)) % 0xFFFF) & 0xFFFF
    return b"".join((
        bytes(ETHERNET.size - 2), ETHER_TYPE_IPV4.to_bytes(2, "big"), head[:10],
        checksum.to_bytes(2, "big"), head[12:], _PORTS.pack(port, port, length, 0), payload))
