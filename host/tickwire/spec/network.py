"""Headers below the venue's protocols: Ethernet, 802.1Q, IPv4, UDP, TCP. All big-endian."""

from .wire import Field, Message

ETHER_TYPE_IPV4 = 0x0800
ETHER_TYPE_IPV6 = 0x86DD
ETHER_TYPE_VLAN = 0x8100
ETHER_TYPE_SERVICE_VLAN = 0x88A8
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17
IPV4_VERSION = 4
IPV4_HEADER_WORDS = 5
"""Header length of a datagram without options, in words of 4 octets."""

FRAGMENT_OFFSET_MASK = 0x1FFF
MORE_FRAGMENTS = 0x2000
DO_NOT_FRAGMENT = 0x4000
VLAN_IDENTIFIER_MASK = 0x0FFF
VLAN_TAGS_MAX = 2
"""Tags that the device looks behind: one 802.1Q tag, or two (802.1ad, "QinQ")."""

FRAME_SIZE_MAX = 9_022
"""Octets of the longest usual jumbo frame without FCS: header, two tags, 9,000."""

TCP_FIN, TCP_SYN, TCP_RST, TCP_PSH, TCP_ACK, TCP_URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
TCP_HEADER_WORDS = 5

ETHER_TYPES = {ETHER_TYPE_IPV4: "IPv4", ETHER_TYPE_VLAN: "802.1Q", ETHER_TYPE_SERVICE_VLAN: "802.1ad"}
_ETHER_TYPE = Field("ether_type", 2, "uint", "What follows.", ETHER_TYPES)

ETHERNET = Message("ethernet", "", "Ethernet header", "IEEE 802.3 §3.1", (
    Field("destination", 6, "uint", "Destination address."),
    Field("source",      6, "uint", "Source address."),
    _ETHER_TYPE,
))
assert ETHERNET.size == 14

VLAN = Message("vlan", "", "VLAN tag", "IEEE 802.1Q §9.6", (
    Field("control", 2, "uint", "Priority (3 bits), drop eligible (1 bit), VLAN identifier (12 bits)."),
    _ETHER_TYPE,
), note="Stands where the frame's ether type says 802.1Q; may be repeated.")
assert VLAN.size == 4

IPV4 = Message("ipv4", "", "IPv4 header", "RFC 791 §3.1", (
    Field("version_length",  1, "uint", "Version (4 bits), header length in words of 4 octets (4 bits)."),
    Field("service",         1, "uint", "Differentiated services and congestion notification."),
    Field("total_length",    2, "uint", "Octets of the datagram, this header included."),
    Field("identification",  2, "uint", "Number that the fragments of a datagram share."),
    Field("flags_fragment",  2, "uint", "Flags (3 bits), fragment offset in units of 8 octets (13 bits)."),
    Field("time_to_live",    1, "uint", "Hops left."),
    Field("protocol",        1, "uint", "What follows.", {PROTOCOL_TCP: "TCP", PROTOCOL_UDP: "UDP"}),
    Field("header_checksum", 2, "uint", "Ones' complement of the ones' complement sum of the header."),
    Field("source",          4, "uint", "Source address."),
    Field("destination",     4, "uint", "Destination address."),
), note="Options follow when the header length is above 5.")
assert IPV4.size == 20

UDP = Message("udp", "", "UDP header", "RFC 768", (
    Field("source_port",      2, "uint", "Source port."),
    Field("destination_port", 2, "uint", "Destination port."),
    Field("length",           2, "uint", "Octets of header and payload; a short frame is padded beyond it."),
    Field("checksum",         2, "uint", "Over pseudo header, header and payload; 0 when not computed."),
))
assert UDP.size == 8

TCP = Message("tcp", "", "TCP header", "RFC 9293 §3.1", (
    Field("source_port",           2, "uint", "Source port."),
    Field("destination_port",      2, "uint", "Destination port."),
    Field("sequence_number",       4, "uint", "Number of the first octet of the payload."),
    Field("acknowledgment_number", 4, "uint", "Next octet expected from the peer."),
    Field("offset_flags",          2, "uint", "Header length in words of 4 octets (4 bits), reserved (4 bits), flags (8 bits)."),
    Field("window",                2, "uint", "Octets that the sender will take."),
    Field("checksum",              2, "uint", "Over pseudo header, header and payload."),
    Field("urgent_pointer",        2, "uint", "End of urgent data when URG is set."),
), note="Options follow when the header length is above 5.")
assert TCP.size == 20

MESSAGES: tuple[Message, ...] = (ETHERNET, VLAN, IPV4, UDP, TCP)
