"""Ethernet frames to the payload of the datagrams that are for a line.

A frame that can be told not to be for a line is *other*: another ether type, more than two tags,
another protocol, group or port. One that cannot be believed, or that is for a line and cannot be
used, is *malformed*: a length or checksum that lies, IP options, a fragment. Octets after the
datagram are padding, or the FCS that a capture kept.

Cut-through, what only a frame's end can tell does not stop its octets: a frame that is shorter
than its header says, too long, or whose UDP checksum is wrong is let in as far as it goes and
marked damaged. :func:`tickwire.kernels.arbiter.retract` is then due.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load16, load32, load_be16, load_be32, unlikely, view
from tickwire.kernels.ring import count
from tickwire.spec.counters import CounterIndex
from tickwire.spec.network import (
    ETHER_TYPE_IPV4,
    ETHER_TYPE_SERVICE_VLAN,
    ETHER_TYPE_VLAN,
    ETHERNET,
    FRAGMENT_OFFSET_MASK,
    IPV4,
    IPV4_HEADER_WORDS,
    IPV4_VERSION,
    MORE_FRAGMENTS,
    PROTOCOL_UDP,
    UDP,
    VLAN,
    VLAN_TAGS_MAX,
)
from tickwire.spec.records import Line

RECEIVE = np.dtype([
    ("counters", "i8"),
    ("keys", "i8", len(Line)),   # of each line: `key_of` its group and port; 0 none
    ("size_max", "i8"),          # octets of the longest frame, without FCS
    ("check_udp", "i8"),         # whether UDP checksums are verified, where they are not 0
    ("cut_through", "i8"),       # whether damage that the end shows is marked instead of dropped
    ("is_damaged", "i8"),        # of the frame in hand
], align=True)
"""Receiver's context; every field but the last is configuration."""

receive_at = view(RECEIVE)

OTHER = -1
MALFORMED = -2


def _at(message, name):
    return message.field(name)[1]


ETHER_TYPE = _at(ETHERNET, "ether_type")
TAG_TYPE = _at(VLAN, "ether_type")
VERSION_LENGTH = _at(IPV4, "version_length")
TOTAL_LENGTH = _at(IPV4, "total_length")
FLAGS_FRAGMENT = _at(IPV4, "flags_fragment")
PROTOCOL = _at(IPV4, "protocol")
SOURCE = _at(IPV4, "source")
DESTINATION = _at(IPV4, "destination")
PORT = _at(UDP, "destination_port")
LENGTH = _at(UDP, "length")
CHECKSUM = _at(UDP, "checksum")
ETHERNET_SIZE, TAG_SIZE, IPV4_SIZE, UDP_SIZE = (
    layout.size for layout in (ETHERNET, VLAN, IPV4, UDP))
_OTHER_COUNTER = CounterIndex.FRAMES_OTHER.value
_MALFORMED_COUNTER = CounterIndex.FRAMES_MALFORMED.value
_FRAGMENT = MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK
_IS_SET = 1 << 48
# The protocol octet as a checksum word, octets swapped as :func:`_sum` has them all.
_PSEUDO_PROTOCOL = PROTOCOL_UDP << 8


@kernel(inline=True)
def key_of(group, port):
    """Key of a line: IPv4 address as an integer, UDP port."""
    return _IS_SET | group << 16 | port


@kernel(inline=True)
def _sum(address, size):
    """Sum of 16-bit words, not yet folded, in the machine's octet order (RFC 1071, 2 (B))."""
    total = 0
    whole = size & ~3
    for offset in range(0, whole, 4):
        total += load32(address + offset)
    if size & 2:
        total += load16(address + whole)
    if size & 1:
        total += load8(address + size - 1)
    return total


@kernel(inline=True)
def _is_right(total):
    """Whether a sum, below 2^48 and with its checksum in it, folds to 0xFFFF."""
    total = (total & 0xFFFFFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16) == 0xFFFF


@kernel
def _dropped(receive, code):
    r = receive_at(receive)
    count(r["counters"], _OTHER_COUNTER if code == OTHER else _MALFORMED_COUNTER)
    return code, 0, 0


@kernel(inline=True)
def _is_group(receive, group):
    """Whether any line has this destination address."""
    keys = receive_at(receive)["keys"]
    wanted = (_IS_SET | group << 16) >> 16
    return keys[0] >> 16 == wanted or keys[1] >> 16 == wanted or keys[2] >> 16 == wanted


@kernel(inline=True)
def _line_of(receive, group, port):
    """Line of a group and port, or OTHER."""
    keys = receive_at(receive)["keys"]
    key = key_of(group, port)
    for line in range(len(keys)):
        if keys[line] == key:
            return line
    return OTHER


@kernel(inline=True)
def _udp_is_right(ip, udp, size):
    """Whether the checksum of a UDP datagram of ``size`` octets is right, or was not computed."""
    if load16(udp + CHECKSUM) == 0:
        return True
    pseudo = (load32(ip + SOURCE) + load32(ip + DESTINATION) + _PSEUDO_PROTOCOL
              + load16(udp + LENGTH))
    return _is_right(pseudo + _sum(udp, size))


@kernel
def frame(receive, address, size):
    """Look for a line's datagram in the Ethernet frame (without preamble) at ``address``.

    Returns (line, offset of the UDP payload, its octets), or (OTHER or MALFORMED, 0, 0), counted.
    Reads nothing outside of the frame. Field ``is_damaged`` tells of damage that cut-through let
    in; without cut-through it is 0.
    """
    r = receive_at(receive)
    r["is_damaged"] = 0
    if size < ETHERNET_SIZE:
        return _dropped(receive, MALFORMED)
    offset = ETHERNET_SIZE
    ether_type = load_be16(address + ETHER_TYPE)
    for _ in range(VLAN_TAGS_MAX):
        if ether_type == ETHER_TYPE_VLAN or ether_type == ETHER_TYPE_SERVICE_VLAN:
            if size < offset + TAG_SIZE:
                return _dropped(receive, MALFORMED)
            ether_type = load_be16(address + offset + TAG_TYPE)
            offset += TAG_SIZE
    if ether_type != ETHER_TYPE_IPV4:
        return _dropped(receive, OTHER)

    ip = address + offset
    rest = size - offset
    if rest < IPV4_SIZE:
        return _dropped(receive, MALFORMED)
    version, words = load8(ip + VERSION_LENGTH) >> 4, load8(ip + VERSION_LENGTH) & 0xF
    total = load_be16(ip + TOTAL_LENGTH)
    if version != IPV4_VERSION or words < IPV4_HEADER_WORDS or total < 4 * words:
        return _dropped(receive, MALFORMED)
    if words == IPV4_HEADER_WORDS and not _is_right(_sum(ip, IPV4_SIZE)):
        return _dropped(receive, MALFORMED)
    group = load_be32(ip + DESTINATION)
    if load8(ip + PROTOCOL) != PROTOCOL_UDP or not _is_group(receive, group):
        return _dropped(receive, OTHER)
    if words != IPV4_HEADER_WORDS or load_be16(ip + FLAGS_FRAGMENT) & _FRAGMENT != 0:
        return _dropped(receive, MALFORMED)

    is_damaged = size > r["size_max"] or total > rest
    udp = ip + IPV4_SIZE
    rest -= IPV4_SIZE
    total -= IPV4_SIZE
    if total < UDP_SIZE or rest < UDP_SIZE:
        return _dropped(receive, MALFORMED)
    length = load_be16(udp + LENGTH)
    line = _line_of(receive, group, load_be16(udp + PORT))
    if line == OTHER:
        return _dropped(receive, OTHER)
    if length < UDP_SIZE or length > total:
        return _dropped(receive, MALFORMED)
    if r["check_udp"] and not is_damaged:
        is_damaged = not _udp_is_right(ip, udp, length)
    if unlikely(is_damaged):
        if not r["cut_through"]:
            return _dropped(receive, MALFORMED)
        r["is_damaged"] = 1
    return line, offset + IPV4_SIZE + UDP_SIZE, min(length, rest) - UDP_SIZE
