"""Frames of captures as they were on a wire: every link type becomes Ethernet.

What stands before the network header is overwritten in place by an Ethernet header, so nothing
is moved. The addresses of a made-up header are zero.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    load8,
    load16,
    load32,
    load_be16,
    load_be32,
    store32,
    store64,
    store_be16,
)
from tickwire.spec.capture import (
    FAMILY_INET,
    LINK_ETHERNET,
    LINK_FAMILY_SIZE,
    LINK_LOOP,
    LINK_NULL,
    LINK_SLL,
    LINK_SLL2,
    LINK_SLL2_SIZE,
    LINK_SLL_SIZE,
)
from tickwire.spec.network import (
    ETHER_TYPE_IPV4,
    ETHER_TYPE_IPV6,
    ETHER_TYPE_SERVICE_VLAN,
    ETHER_TYPE_VLAN,
    ETHERNET,
    IPV4,
    IPV4_HEADER_WORDS,
    IPV4_VERSION,
    VLAN,
    VLAN_TAGS_MAX,
)

_HEADER = ETHERNET.size
_IPV4_SIZE = IPV4.size
_TAG_SIZE = VLAN.size
_CHECKSUM = IPV4.field("header_checksum")[1]
_PLAIN = IPV4_VERSION << 4 | IPV4_HEADER_WORDS


@kernel(inline=True)
def _header(address, ether_type):
    """Write an Ethernet header without addresses."""
    store64(address, 0)
    store32(address + 8, 0)
    store_be16(address + _HEADER - 2, ether_type)


@kernel(inline=True)
def _ip(address):
    """Ether type of the IP header at an address, by its version; 0 for none."""
    version = load8(address) >> 4
    if version == 4:
        return ETHER_TYPE_IPV4
    return ETHER_TYPE_IPV6 if version == 6 else 0


@kernel(inline=True)
def _family(address):
    """Ether type of a BSD address family in either octet order; all but IPv4 count as IPv6."""
    if load32(address) == FAMILY_INET or load_be32(address) == FAMILY_INET:
        return ETHER_TYPE_IPV4
    return ETHER_TYPE_IPV6


@kernel
def ethernet(address, size, link):
    """Make the ``size`` captured octets at ``address`` an Ethernet frame.

    Returns how many octets the frame begins after ``address``, negative for before: up to 14
    octets before it are overwritten. A frame too short for its own header is left as it is.
    """
    if link == LINK_ETHERNET:
        return 0
    if link == LINK_SLL:
        if size < LINK_SLL_SIZE:
            return 0
        shift = LINK_SLL_SIZE - _HEADER
        _header(address + shift, load_be16(address + LINK_SLL_SIZE - 2))
        return shift
    if link == LINK_SLL2:
        if size < LINK_SLL2_SIZE:
            return 0
        shift = LINK_SLL2_SIZE - _HEADER
        _header(address + shift, load_be16(address))
        return shift
    if link == LINK_NULL or link == LINK_LOOP:
        if size < LINK_FAMILY_SIZE:
            return 0
        shift = LINK_FAMILY_SIZE - _HEADER
        _header(address + shift, _family(address))
        return shift
    if size < 1:
        return 0
    _header(address - _HEADER, _ip(address))
    return -_HEADER


@kernel
def fill_checksum(address, size):
    """Fill in the IPv4 header checksum of the frame at ``address`` when it is zero.

    A frame that is captured where it is sent has not been through the network card, which
    computes the checksum. Returns 1 when it was filled in.
    """
    place = _HEADER
    for _ in range(VLAN_TAGS_MAX):
        if place <= size:
            ether_type = load_be16(address + place - 2)
            if ether_type == ETHER_TYPE_VLAN or ether_type == ETHER_TYPE_SERVICE_VLAN:
                place += _TAG_SIZE
    header = address + place
    if (place + _IPV4_SIZE > size or load_be16(header - 2) != ETHER_TYPE_IPV4
            or load8(header) != _PLAIN or load16(header + _CHECKSUM) != 0):
        return 0
    total = 0
    for offset in range(0, _IPV4_SIZE, 2):
        total += load_be16(header + offset)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    if total == 0xFFFF:                    # zero is what it must be
        return 0
    store_be16(header + _CHECKSUM, ~total)
    return 1
