"""AXI-Streams of the UltraScale+ block: their widths, descriptors and side bands (PG213)."""

from amaranth.hdl import C, Cat, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.pcie.packet import Packet

WIDTHS = (256, 512)
"""Bits of a beat that the adapter knows."""
_TUSER = {("rq", 256): 62, ("rq", 512): 137, ("cc", 256): 33, ("cc", 512): 81,
          ("cq", 256): 88, ("cq", 512): 183}
SEQUENCE = 6
"""Bits of the number that a request has and the block reports."""
MEMORY_READ, MEMORY_WRITE = 0, 1
"""Request types of a descriptor that the device serves."""

REQUEST_DESCRIPTOR = data.StructLayout({
    "address_type": 2, "address": 62, "count": 11, "type": 4, "is_poisoned": 1, "requester": 16,
    "tag": 8, "completer": 16, "has_requester": 1, "traffic_class": 3, "attributes": 3,
    "is_digested": 1})
"""Requester request; ``address`` in words. PG213, table "Requester Request Descriptor Fields"."""
COMPLETER_DESCRIPTOR = data.StructLayout({
    "address_type": 2, "address": 62, "count": 11, "type": 4, "reserved_1": 1, "requester": 16,
    "tag": 8, "function": 8, "bar": 3, "aperture": 6, "traffic_class": 3, "attributes": 3,
    "reserved_2": 1})
"""Completer request."""
COMPLETION_DESCRIPTOR = data.StructLayout({
    "lower_address": 7, "reserved_1": 1, "address_type": 2, "reserved_2": 6, "octets": 13,
    "is_locked": 1, "reserved_3": 2, "count": 11, "status": 3, "is_poisoned": 1, "reserved_4": 1,
    "requester": 16, "tag": 8, "function": 8, "bus": 8, "has_completer": 1, "traffic_class": 3,
    "attributes": 3, "is_digested": 1})
"""Completer completion."""
REFUSED = data.StructLayout({
    "first_enables": 4, "last_enables": 4, "has_hints": 1, "hint": 2, "reserved_1": 5,
    "steering": 8, "reserved_2": 8, "request": COMPLETER_DESCRIPTOR})
"""What follows a completion that is none: side band and descriptor of its request, which the block
logs and does not send. PG213, "Completions with Error Status (UR and CA)"."""
assert REQUEST_DESCRIPTOR.size == COMPLETER_DESCRIPTOR.size == 128
assert COMPLETION_DESCRIPTOR.size == 96


def signature(name: str, width: int) -> wiring.Signature:
    """Signature of stream ``rq``, ``cc`` or ``cq``, as its source has it."""
    return wiring.Signature({
        "tdata": Out(width), "tkeep": Out(width // 32), "tlast": Out(1),
        "tuser": Out(_TUSER[name, width]), "tvalid": Out(1), "tready": In(1)})


def port(prefix: str, name: str, width: int) -> dict[str, wiring.Member]:
    """Members of the outer side of a stream, under the block's names."""
    members = signature(name, width).members
    into = prefix.startswith("s_")
    flip = {wiring.In: In, wiring.Out: Out}
    return {f"{prefix}_{part}": (flip[member.flow.flip()] if into else flip[member.flow])(
        member.shape) for part, member in members.items()}


def marks(packet: Packet) -> Value:
    """First, last, and the last word's lane, as a beat of 512 bits tells them of one packet."""
    return Cat(packet.is_first, C(0, 5), packet.tlast, C(0, 1), packet.last_lane)
