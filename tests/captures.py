"""Octets of frames and capture files, built by hand from the documents with ``struct``.

Nothing here uses the project's own tables or encoders: these are the expected octets.
"""

import struct

MESSAGE_D = bytes.fromhex("44 1234 0000 0a0b0c0d0e0f 0000000000000001")      # ITCH D, 19 octets
MESSAGE_S = bytes.fromhex("53 0000 0000 0a0b0c0d0e0f 4f")                    # ITCH S, 12 octets
MESSAGE_X = bytes.fromhex("58 0001 0000 0a0b0c0d0e0f 0000000000000007 00000064")    # ITCH X, 23


def binary_file(*messages: bytes, length: int | None = None) -> bytes:
    """BinaryFILE of ``messages``; ``length`` replaces every length."""
    return b"".join(struct.pack(">H", len(m) if length is None else length) + m for m in messages)


def ones_complement(octets: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(payload: bytes, protocol: int = 17, source: str = "10.0.0.1",
         destination: str = "233.54.12.111", flags: int = 0x4000, options: bytes = b"") -> bytes:
    """IPv4 datagram with a good checksum."""
    addresses = bytes(int(part) for address in (source, destination) for part in address.split("."))
    head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0,
                       20 + len(options) + len(payload), 1, flags, 64, protocol, 0)
    checksum = ones_complement(head + addresses + options)
    return head[:10] + struct.pack(">H", checksum) + addresses + options + payload


def udp(payload: bytes, port: int = 26477, source_port: int = 49653) -> bytes:
    """UDP datagram without checksum."""
    return struct.pack(">HHHH", source_port, port, 8 + len(payload), 0) + payload


def tcp(payload: bytes, sequence: int = 1000, port: int = 8001, source_port: int = 40000,
        flags: int = 0x18) -> bytes:
    """TCP segment without options; the checksum is left zero."""
    return struct.pack(">HHIIHHHH", source_port, port, sequence, 1, 5 << 12 | flags, 8192, 0,
                       0) + payload


def ethernet(payload: bytes, ether_type: int = 0x0800, *tags: tuple[int, int]) -> bytes:
    """Ethernet frame; ``tags`` are (ether type of the tag, control)."""
    frame = bytes.fromhex("01005e360c6f 0200000000aa")
    for tag_type, control in tags:
        frame += struct.pack(">HH", tag_type, control)
    return frame + struct.pack(">H", ether_type) + payload


def mold(sequence: int, *messages: bytes, session: bytes = b"000010059B",
         count: int | None = None) -> bytes:
    """MoldUDP64 downstream packet."""
    return (struct.pack(">10sQH", session, sequence, len(messages) if count is None else count)
            + binary_file(*messages))


def soup(kind: bytes, payload: bytes = b"") -> bytes:
    """SoupBinTCP packet."""
    return struct.pack(">H", 1 + len(payload)) + kind + payload


def pcap(*frames: bytes, order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1,
         major: int = 2, cut: int = 0) -> bytes:
    """Capture with frame n at n seconds and n units; ``cut`` octets are missing from each."""
    octets = struct.pack(order + "IHHiIII", magic, major, 4, 0, 0, 65535, link)
    for number, frame in enumerate(frames, 1):
        kept = frame[:len(frame) - cut]
        octets += struct.pack(order + "IIII", number, number, len(kept), len(frame)) + kept
    return octets


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Block of a pcapng."""
    body += bytes(-len(body) % 4)
    total = 12 + len(body)
    return struct.pack(order + "II", kind, total) + body + struct.pack(order + "I", total)


def section(order: str = "<", major: int = 1) -> bytes:
    """Section Header Block of unknown length, with an ignored option."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1)
                 + struct.pack(order + "HH8sHH", 4, 8, b"tickwire", 0, 0), order)


def interface(link: int = 1, order: str = "<", resolution: int | None = None,
              offset: int | None = None, snap: int = 0) -> bytes:
    """Interface Description Block."""
    options = b""
    if resolution is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset is not None:
        options += struct.pack(order + "HHq", 14, 8, offset)
    if options:
        options += struct.pack(order + "HH", 0, 0)
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def packet(frame: bytes, stamp: int = 0, number: int = 0, order: str = "<",
           on_wire: int | None = None, captured: int | None = None) -> bytes:
    """Enhanced Packet Block."""
    return block(6, struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF,
                                len(frame) if captured is None else captured,
                                len(frame) if on_wire is None else on_wire)
                 + frame, order)


def simple_packet(frame: bytes, order: str = "<", on_wire: int | None = None) -> bytes:
    """Build a Simple Packet Block."""
    return block(3, struct.pack(order + "I", len(frame) if on_wire is None else on_wire) + frame,
                 order)
