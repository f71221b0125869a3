"""Where the headers of a frame are, for no tag, one and two: each table has a place for each."""

from amaranth.hdl import Value

from tickwire.spec.network import ETHERNET, IPV4, UDP, VLAN, VLAN_TAGS_MAX
from tickwire_hw.stream import LANES, big_endian, offset_of

TAGS = range(VLAN_TAGS_MAX + 1)
TYPE_AT = tuple(offset_of(ETHERNET, "ether_type") + tags * VLAN.size for tags in TAGS)
IP_AT = tuple(ETHERNET.size + tags * VLAN.size for tags in TAGS)
UDP_AT = tuple(at + IPV4.size for at in IP_AT)
PAYLOAD_AT = tuple(at + UDP.size for at in UDP_AT)
SUMMED_AT = tuple(at + offset_of(IPV4, "source") for at in IP_AT)
"""Where what UDP's checksum is about begins: the addresses are its pseudo header."""

WORDS = PAYLOAD_AT[-1] // LANES + 1
"""A frame's first words, in which its headers lie."""

START = tuple(at % LANES for at in PAYLOAD_AT)
"""Lane of the payload's first octet."""

WORD_OF_TYPE, WORD_OF_LATER_TYPES, WORD_AFTER = 1, 2, 3

# What the receiver leans on: every field of 16 bits lies in one word, and IPv4's last octets come
# one word before the payload's first.
assert [at // LANES for at in TYPE_AT] == [WORD_OF_TYPE, *2 * [WORD_OF_LATER_TYPES]]
assert START[0] == START[2], "without a tag and with two, fields are in the same lanes"
assert IP_AT == (14, 18, 22), "the IPv4 sum has the halves of each word by hand"
assert all((udp - 1) // LANES == at // LANES - 1
           for udp, at in zip(UDP_AT, PAYLOAD_AT, strict=True))


def field_at(word: Value, octet: int) -> Value:
    """16-bit field at an octet of a frame; ``word`` is the one that it lies in."""
    return big_endian(word.word_select(octet % LANES // 2, 16))
