"""Transaction layer packets as octets on an AXI-Stream: their headers (PCIe Base 3.0 §2.2).

Octet 0 of a packet is in lane 0 of its first beat, as it is on the link: words of a header are
big-endian, data is as in memory.
"""

from amaranth.hdl import Cat, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Out

WIDTHS = (64, 128)
"""Bits of a beat that the adapter knows."""
HEAD_WORDS = 4
"""Words of a header at most."""
HAS_DATA, HAS_LONG_HEADER, IS_PREFIX = 0b010, 0b001, 0b100
"""Bits of a format (§2.2.1)."""
MEMORY, MEMORY_LOCKED, IO, CONFIGURATION = 0b00000, 0b00001, 0b00010, 0b00100
COMPLETION, ATOMIC = 0b01010, 0b01100
"""Types: of configuration the first of two, of atomics the first of three."""

FIRST = data.StructLayout({
    "count": 10, "address_type": 2, "attributes": 2, "is_poisoned": 1, "is_digested": 1,
    "has_hints": 1, "reserved_1": 1, "attribute_2": 1, "reserved_2": 1, "traffic_class": 3,
    "reserved_3": 1, "type": 5, "format": 3})
"""Word 0 of every header (figure 2-4); a ``count`` of 0 is 1,024 words."""
REQUEST = data.StructLayout({"first_enables": 4, "last_enables": 4, "tag": 8, "requester": 16})
"""Word 1 of a request of memory; its address follows in one word, or in two, high one first."""
COMPLETION_1 = data.StructLayout({"octets": 12, "is_modified": 1, "status": 3, "completer": 16})
COMPLETION_2 = data.StructLayout({"lower_address": 7, "reserved": 1, "tag": 8, "requester": 16})
"""Words 1 and 2 of a completion (figure 2-29)."""
assert FIRST.size == REQUEST.size == COMPLETION_1.size == COMPLETION_2.size == 32


def swapped(word: Value) -> Value:
    """A word between the order of its number and that of the wire."""
    return Cat(word[at:at + 8] for at in range(24, -8, -8))


def port(prefix: str, width: int) -> dict[str, Member]:
    """Members of a stream; ``s_`` takes beats, ``m_`` gives them."""
    into, back = (In, Out) if prefix.startswith("s_") else (Out, In)
    return {f"{prefix}_tdata": into(width), f"{prefix}_tkeep": into(width // 8),
            f"{prefix}_tlast": into(1), f"{prefix}_tvalid": into(1), f"{prefix}_tready": back(1)}
