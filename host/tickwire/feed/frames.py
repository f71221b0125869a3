"""Frames for people and tests: Ethernet to messages in plain Python, with a reason for every skip.

The device does the same in ``kernels``; this walk is written from the tables alone, favours clear
sentences over speed, and also follows SoupBinTCP over TCP.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tickwire.feed.source import FrameChunk, MessageChunk, Source
from tickwire.spec import moldudp64, soupbintcp
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
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    TCP,
    TCP_FIN,
    TCP_HEADER_WORDS,
    TCP_RST,
    TCP_SYN,
    UDP,
    VLAN,
    VLAN_TAGS_MAX,
)
from tickwire.spec.wire import Message, decode

FLOWS_MAX = 1 << 12
"""TCP directions that are followed at once; the one begun first is forgotten."""

_TAGS = (ETHER_TYPE_VLAN, ETHER_TYPE_SERVICE_VLAN)
_BLOCK = moldudp64.MESSAGE_BLOCK.size
_SEQUENCES = 1 << 32


class Skipped(ValueError):
    """A frame that carries no message; its text is the reason, to follow a colon."""


class Malformed(Skipped):
    """A frame that is skipped because it is cut, or a length or checksum in it lies.

    ``destination`` is where it would have gone, None where that cannot be believed.
    """

    def __init__(self, reason: str, destination: tuple[str, int] | None = None) -> None:
        super().__init__(reason)
        self.destination = destination


@dataclass(frozen=True, slots=True)
class Datagram:
    """Payload of a UDP datagram or TCP segment, and where it went: (IPv4 address, port).

    ``sequence`` and ``flags`` are those of TCP, 0 for UDP.
    """

    protocol: int
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes
    sequence: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """MoldUDP64 downstream packet; ``excess`` octets follow its last block."""

    session: str
    sequence: int
    count: int
    messages: tuple[bytes, ...]
    excess: int


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a listing.

    ``place`` is where it is in the input, ``timestamp`` the capture's (ns since 1970) or None,
    ``protocol`` what ``octets`` are: ``itch50``, ``moldudp64`` (a packet without messages),
    ``soupbintcp`` (a whole packet), or empty for a frame that was skipped. ``sequence`` is the
    message's number in its session or file, or None. ``note`` is a remark or the reason.

    Of a capture, ``session`` is that of MoldUDP64 and ``destination`` where the datagram went. A
    malformed packet has ``fault``, the reason again, in one of its items.
    """

    place: str
    timestamp: int | None
    protocol: str
    sequence: int | None
    octets: bytes
    note: str = ""
    session: str = ""
    destination: tuple[str, int] | None = None
    fault: str = ""


def _header(message: Message, octets: bytes, title: str) -> dict[str, Any]:
    if len(octets) < message.size:
        raise Malformed(f"{len(octets)} octets are left, but {title} has {message.size}")
    return decode(message, octets[:message.size])


def _checksum(octets: bytes) -> int:
    """Ones' complement sum (RFC 1071) of an even number of octets; 0xFFFF when it is right."""
    total = sum(int.from_bytes(octets[at:at + 2], "big") for at in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def unwrap(frame: bytes) -> Datagram:
    """Return the UDP or TCP payload of an Ethernet frame, or raise :class:`Skipped`.

    It is :class:`Malformed` where the frame cannot be believed: the lengths and the IPv4 header's
    checksum must be right. Options and fragments are skipped, as the device skips them. Checksums
    of UDP and TCP are not looked at.
    """
    head = _header(ETHERNET, frame, "an Ethernet header")
    rest = frame[ETHERNET.size:]
    for _ in range(VLAN_TAGS_MAX):
        if head["ether_type"] in _TAGS:
            head = _header(VLAN, rest, "a VLAN tag")
            rest = rest[VLAN.size:]
    if head["ether_type"] != ETHER_TYPE_IPV4:
        raise Skipped(f"ether type 0x{head['ether_type']:04x} is not IPv4")
    head = _header(IPV4, rest, "an IPv4 header")
    version, words = head["version_length"] >> 4, head["version_length"] & 0xF
    total = head["total_length"]
    if version != IPV4_VERSION:
        raise Malformed(f"IP version is {version}, not {IPV4_VERSION}")
    if words < IPV4_HEADER_WORDS:
        raise Malformed(f"IPv4 header has {words} words, not {IPV4_HEADER_WORDS}")
    if words > IPV4_HEADER_WORDS:
        raise Skipped(f"IPv4 header has {words} words, not {IPV4_HEADER_WORDS}: options")
    if not IPV4.size <= total <= len(rest):
        raise Malformed(f"IPv4 total length is {total}, but {len(rest)} octets are there")
    if _checksum(rest[:IPV4.size]) != 0xFFFF:
        raise Malformed(f"IPv4 header checksum 0x{head['header_checksum']:04x} is wrong")
    if head["flags_fragment"] & (MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK):
        raise Skipped(f"IPv4 fragment of datagram {head['identification']}")
    source, destination = (str(ipaddress.IPv4Address(head[end])) for end in ("source",
                                                                            "destination"))
    protocol, rest = head["protocol"], rest[IPV4.size:total]
    if protocol == PROTOCOL_UDP:
        head = _header(UDP, rest, "a UDP header")
        end = destination, head["destination_port"]
        if not UDP.size <= head["length"] <= len(rest):
            raise Malformed(f"UDP length is {head['length']}, but {len(rest)} octets are there",
                            end)
        return Datagram(protocol, (source, head["source_port"]), end,
                        rest[UDP.size:head["length"]])
    if protocol != PROTOCOL_TCP:
        raise Skipped(f"IP protocol {protocol} is neither UDP nor TCP")
    head = _header(TCP, rest, "a TCP header")
    words = head["offset_flags"] >> 12
    if words < TCP_HEADER_WORDS or 4 * words > len(rest):
        raise Malformed(f"TCP header has {words} words, but {len(rest)} octets are there")
    return Datagram(protocol, (source, head["source_port"]),
                    (destination, head["destination_port"]), rest[4 * words:],
                    head["sequence_number"], head["offset_flags"] & 0xFF)


def mold(payload: bytes) -> Packet:
    """Return the blocks of a MoldUDP64 packet, or raise :class:`Skipped` when they do not fit."""
    packet, fault = _mold(payload)
    if fault:
        raise Malformed(fault)
    return packet


def _mold(payload: bytes) -> tuple[Packet, str]:
    """Whole blocks of a MoldUDP64 packet, and why there are no more of them, if they do not fit."""
    head = _header(moldudp64.DOWNSTREAM_HEADER, payload, "a MoldUDP64 header")
    fault = ""
    place, count, messages = moldudp64.DOWNSTREAM_HEADER.size, head["message_count"], []
    for number in range(0 if count == moldudp64.END_OF_SESSION else count):
        after = place + _BLOCK + int.from_bytes(payload[place:place + _BLOCK], "big")
        if place + _BLOCK > len(payload) or after > len(payload):
            fault = (f"MoldUDP64 block {number + 1} of {count} does not fit the payload of "
                     f"{len(payload)} octets")
            break
        messages.append(payload[place + _BLOCK:after])
        place = after
    return Packet(head["session"], head["sequence_number"], count, tuple(messages),
                  len(payload) - place), fault


class SoupStreams:
    """SoupBinTCP packets of any number of TCP connections, from their segments in capture order.

    A packet cut by a segment's end is carried over; a segment that comes again adds nothing; a
    segment that is missing costs the packet that it was part of.
    """

    def __init__(self) -> None:
        self._flows: dict[tuple[tuple[str, int], tuple[str, int]], tuple[int, bytes]] = {}

    def take(self, segment: Datagram) -> tuple[list[bytes], str]:
        """Return the packets that a segment completes and a remark; raises :class:`Skipped`."""
        flow = segment.source, segment.destination
        awaited, carry = self._flows.pop(flow, (None, b""))
        sequence, payload, remark = segment.sequence, segment.payload, ""
        if segment.flags & TCP_SYN:
            awaited, carry, sequence = None, b"", sequence + 1
        if awaited is not None and (ahead := (sequence - awaited) % _SEQUENCES):
            if ahead < _SEQUENCES // 2:
                remark, carry = f"octets of the TCP stream missing before it: {ahead}", b""
            elif _SEQUENCES - ahead >= len(payload):
                self._flows[flow] = awaited, carry
                return [], "TCP segment without new octets"
            else:
                payload, sequence = payload[_SEQUENCES - ahead:], awaited
        packets, rest = self._packets(carry + payload)
        if not segment.flags & (TCP_FIN | TCP_RST):
            self._flows[flow] = (sequence + len(payload)) % _SEQUENCES, rest
            if len(self._flows) > FLOWS_MAX:
                del self._flows[next(iter(self._flows))]
        return packets, remark or ("" if payload else "TCP segment without payload")

    def _packets(self, octets: bytes) -> tuple[list[bytes], bytes]:
        """Cut whole packets off the front; the flow is forgotten when they cannot be such."""
        packets = []
        while len(octets) >= soupbintcp.HEADER_SIZE:
            size = soupbintcp.LENGTH_SIZE + int.from_bytes(octets[:soupbintcp.LENGTH_SIZE], "big")
            kind = chr(octets[soupbintcp.TYPE_OFFSET])
            if size < soupbintcp.HEADER_SIZE or kind not in soupbintcp.BY_TYPE:
                raise Skipped(f"TCP payload is not SoupBinTCP: length {size - 2}, type {kind!r}")
            if size > len(octets):
                break
            packets.append(octets[:size])
            octets = octets[size:]
        return packets, octets


def listing(source: Source) -> Iterator[Item]:
    """Yield what an input holds, in order: every message, and every frame that has none.

    Raises :class:`tickwire.errors.InputError` as iterating the source does.
    """
    streams = SoupStreams()
    for chunk in source:
        if isinstance(chunk, MessageChunk):
            for number, (offset, octets) in enumerate(zip(chunk.offsets.tolist(), chunk,
                                                          strict=True), chunk.first):
                yield Item(f"octet {chunk.offset + offset - 2}", None, "itch50", number, octets)
        elif isinstance(chunk, FrameChunk):
            stamps = chunk.frames["timestamp"].tolist()
            for number, (stamp, frame) in enumerate(zip(stamps, chunk, strict=True), chunk.first):
                try:
                    yield from _of_frame(f"frame {number}", stamp, unwrap(frame), streams)
                except Malformed as reason:
                    yield Item(f"frame {number}", stamp, "", None, frame, str(reason), "",
                               reason.destination, str(reason))
                except Skipped as reason:
                    yield Item(f"frame {number}", stamp, "", None, frame, str(reason))


def _of_frame(place: str, stamp: int, datagram: Datagram, streams: SoupStreams) -> Iterator[Item]:
    if datagram.protocol == PROTOCOL_TCP:
        packets, remark = streams.take(datagram)
        for octets in packets:
            yield Item(place, stamp, "soupbintcp", None, octets, remark)
        if not packets:
            yield Item(place, stamp, "", None, datagram.payload, remark or "part of a packet")
        return
    end = datagram.destination
    try:
        packet, fault = _mold(datagram.payload)
    except Malformed as reason:
        raise Malformed(str(reason), end) from None
    is_longer = packet.excess and not fault
    excess = f"octets after the last block: {packet.excess}" if is_longer else ""
    remark = excess or _number_fault(packet.sequence)
    for number, octets in enumerate(packet.messages):
        yield Item(f"{place} block {number + 1}", stamp, "itch50", packet.sequence + number,
                   octets, remark, packet.session, end, "" if number else excess)
    if fault:
        yield Item(place, stamp, "", None, datagram.payload, fault, "", end, fault)
    elif not packet.messages:
        yield Item(place, stamp, "moldudp64", packet.sequence, datagram.payload, remark,
                   packet.session, end, excess)


def _number_fault(sequence: int) -> str:
    """Say what is wrong with the number of a packet whose messages are all there."""
    if 1 <= sequence <= moldudp64.SEQUENCE_MAX:
        return ""
    return f"MoldUDP64 sequence number {sequence} cannot be; the device drops the packet"
