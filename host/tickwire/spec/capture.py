"""Capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).

Every integer has the octet order of the machine that wrote the file; the magic tells it.
"""

PCAP_MAGIC_MICROSECONDS = 0xA1B2C3D4
PCAP_MAGIC_NANOSECONDS = 0xA1B23C4D
PCAP_HEADER_SIZE = 24
"""magic u4, major u2, minor u2, zone u4, accuracy u4, snap length u4, link type u4 (low 16 bits)."""

PCAP_MAJOR = 2
PCAP_RECORD_SIZE = 16
"""seconds u4, fraction u4, octets captured u4, octets on the wire u4; then the octets."""

CAPTURED_MAX = 262_144
"""Greatest snap length of the Tcpdump Group's programs; more means damage."""

PCAPNG_BYTE_ORDER_MAGIC = 0x1A2B3C4D
PCAPNG_MAJOR = 1
BLOCK_MIN = 12
"""type u4, total length u4, then the body, padded to 4 octets, then the total length again."""

BLOCK_SECTION = 0x0A0D0D0A
"""Begins a section: byte order magic u4, major u2, minor u2, section length u8, options."""
BLOCK_INTERFACE = 1
"""Declares the next interface: link type u2, reserved u2, snap length u4, options."""
BLOCK_PACKET_OLD = 2
"""interface u2, drops u2, then as an enhanced packet."""
BLOCK_PACKET_SIMPLE = 3
"""octets on the wire u4, then the octets; of interface 0, without a time stamp."""
BLOCK_PACKET = 6
"""Enhanced packet: interface u4, time stamp high u4, low u4, captured u4, on the wire u4, octets."""

SECTION_SIZE = 28
INTERFACE_SIZE = 20
PACKET_SIZE = 32
PACKET_SIMPLE_SIZE = 16
"""Sizes without options and data."""

OPTION_END = 0
OPTION_RESOLUTION = 9
"""if_tsresol u1: units of a time stamp: 10^-n s, or 2^-n s when bit 7 is set; 10^-6 when absent."""
OPTION_OFFSET = 14
"""if_tsoffset i8: seconds to add to every time stamp."""

LINK_NULL = 0
LINK_ETHERNET = 1
LINK_RAW_OLD = 12
LINK_RAW_OPENBSD = 14
LINK_RAW = 101
LINK_LOOP = 108
LINK_SLL = 113
LINK_IPV4 = 228
LINK_IPV6 = 229
LINK_SLL2 = 276
LINKS = {
    LINK_NULL: "BSD loopback", LINK_ETHERNET: "Ethernet", LINK_RAW_OLD: "raw IP",
    LINK_RAW_OPENBSD: "raw IP", LINK_RAW: "raw IP", LINK_LOOP: "OpenBSD loopback",
    LINK_SLL: "Linux cooked", LINK_IPV4: "raw IPv4", LINK_IPV6: "raw IPv6",
    LINK_SLL2: "Linux cooked 2",
}
"""Link types that are read, by their number in the Tcpdump Group's list."""

LINK_SLL_SIZE = 16
"""packet type u2, device type u2, address length u2, address 8 octets, ether type u2."""
LINK_SLL2_SIZE = 20
"""ether type u2, reserved u2, interface u4, device type u2, packet type u1, length u1, address 8."""
LINK_FAMILY_SIZE = 4
"""BSD loopback: address family u4, in the writer's octet order; OpenBSD: big-endian."""
FAMILY_INET = 2
