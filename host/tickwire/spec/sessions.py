"""Order sessions as the card holds them: what is the same in all frames of a TCP connection.

The host's kernel owns the connection. While it is leased to the device, the device is its only
writer: it puts this template, the connection's position and an order's octets together, and the
kernel adopts what was sent. The connection is without TCP options (no timestamps), so that a
frame's payload begins at octet 54, and without IPv4 options or VLAN tags.
"""

from enum import IntEnum

from .network import ETHERNET, IPV4, TCP
from .wire import Field, Message

SESSIONS_MAX = 8
"""Order sessions of one card."""

HEADERS_SIZE = ETHERNET.size + IPV4.size + TCP.size
"""Octets of a frame before its payload."""


class SessionOperation(IntEnum):
    """What the host does with a session."""

    MOVE = 0             # the peer's position: acknowledgment number and window
    LEASE = 1            # the device becomes the writer, from this position on
    RELEASE = 2          # no further frame begins
    HEARTBEAT = 3        # the device sends a Client Heartbeat (SoupBinTCP 3.00) behind what goes out now


TEMPLATE = Message("template", "", "Template of a session's frames", "tickwire template", (
    Field("headers",  HEADERS_SIZE, "octets", "Ethernet, IPv4 and TCP header; zero: total length, checksums, sequence and acknowledgment number, window."),
    Field("sum_ipv4", 2, "uint",   "Ones' complement sum of the IPv4 header, folded."),
    Field("sum_tcp",  2, "uint",   "The same of the TCP header, both addresses and the protocol."),
    Field("capacity", 1, "ascii",  "OUCH capacity of the session's orders."),
    Field("reserved", 5, "octets", "Zero."),
))
assert TEMPLATE.size == 64
assert HEADERS_SIZE == 54
