"""Templates of order sessions: the part of every frame that a connection decides."""

import ipaddress
import struct

from tickwire.spec.network import (
    DO_NOT_FRAGMENT,
    ETHER_TYPE_IPV4,
    ETHERNET,
    IPV4,
    IPV4_HEADER_WORDS,
    IPV4_VERSION,
    PROTOCOL_TCP,
    TCP,
    TCP_ACK,
    TCP_HEADER_WORDS,
    TCP_PSH,
)
from tickwire.spec.ouch50 import CAPACITIES
from tickwire.spec.sessions import TEMPLATE
from tickwire.spec.wire import encode

TIME_TO_LIVE = 64
_MAC_SIZE = 6


def folded(octets: bytes) -> int:
    """Return the ones' complement sum of 16-bit big-endian words (RFC 1071)."""
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def template(local: tuple[str, int], peer: tuple[str, int], local_mac: bytes, peer_mac: bytes,
             capacity: str = "P") -> bytes:
    """Return the template, 64 octets, of a connection between two IPv4 addresses and ports.

    ``peer_mac`` is the address of the next hop. Raises ``ValueError`` with a sentence for an
    address, a port or a capacity that cannot be.
    """
    for name, mac in (("local_mac", local_mac), ("peer_mac", peer_mac)):
        if len(mac) != _MAC_SIZE:
            raise ValueError(f"{name} must have {_MAC_SIZE} octets, not {len(mac)}")
    for name, (_, port) in (("local", local), ("peer", peer)):
        if not 1 <= port <= 0xFFFF:
            raise ValueError(f"{name} port must be 1 to 65535, not {port}")
    if capacity not in CAPACITIES:
        raise ValueError(f"capacity must be one of {' '.join(CAPACITIES)}, not {capacity!r}")
    source, destination = (int(ipaddress.IPv4Address(address)) for address, _ in (local, peer))
    ethernet = encode(ETHERNET, {"destination": int.from_bytes(peer_mac, "big"),
                                 "source": int.from_bytes(local_mac, "big"),
                                 "ether_type": ETHER_TYPE_IPV4})
    # An identification of 0 is right where nothing may be fragmented (RFC 6864).
    ipv4 = encode(IPV4, {
        "version_length": IPV4_VERSION << 4 | IPV4_HEADER_WORDS, "service": 0, "total_length": 0,
        "identification": 0, "flags_fragment": DO_NOT_FRAGMENT, "time_to_live": TIME_TO_LIVE,
        "protocol": PROTOCOL_TCP, "header_checksum": 0, "source": source,
        "destination": destination})
    tcp = encode(TCP, {
        "source_port": local[1], "destination_port": peer[1], "sequence_number": 0,
        "acknowledgment_number": 0, "offset_flags": TCP_HEADER_WORDS << 12 | TCP_PSH | TCP_ACK,
        "window": 0, "checksum": 0, "urgent_pointer": 0})
    addresses = ipv4[IPV4.field("source")[1]:]
    return encode(TEMPLATE, {
        "headers": ethernet + ipv4 + tcp, "sum_ipv4": folded(ipv4),
        "sum_tcp": folded(tcp + addresses + struct.pack(">H", PROTOCOL_TCP)),
        "capacity": capacity, "reserved": bytes(TEMPLATE.field("reserved")[0].size)})
