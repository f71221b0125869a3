"""Receiver: what is let in from a frame, and what is dropped and counted as what.

Method: frames are built octet by octet with ``struct`` (``tests/captures.py``), one thing wrong
in each, and lie at the end of readable memory, so that a read too far is fatal. Checksums are
computed here from RFC 791 and RFC 768. Hypothesis compares random damage with the plain walk of
``tickwire.feed.frames``.
"""

import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.captures import ethernet, ipv4, mold, ones_complement, tcp
from tests.guarded import Guarded
from tickwire.device.book_memory import BookMemory
from tickwire.device.feed_memory import FeedMemory
from tickwire.feed.frames import Skipped, unwrap
from tickwire.kernels.receive import MALFORMED, OTHER, frame
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import Line

A = ("233.54.12.111", 26477)
B = ("233.49.196.111", 26478)
RECOVERY = ("10.1.2.3", 31_000)
SOURCE = "10.0.0.1"
VLAN, SERVICE_VLAN = 0x8100, 0x88A8
PAYLOAD = mold(7, b"\x53" + bytes(11))
SIZE_MAX = 1_518


def datagram(payload=PAYLOAD, to=A, *, source=SOURCE, checksum=None, length=None):
    """UDP datagram; the right checksum unless another one is given."""
    size = 8 + len(payload) if length is None else length
    head = struct.pack(">HHH", 40_000, to[1], size)
    if checksum is None:
        pseudo = (ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(to[0]).packed
                  + struct.pack(">BBH", 0, 17, size))
        padding = bytes(len(payload) % 2)
        checksum = ones_complement(pseudo + head + b"\0\0" + payload + padding) or 0xFFFF
    return head + struct.pack(">H", checksum) + payload


def packet(udp=None, to=A, **settings_):
    """IPv4 datagram to a line."""
    return ipv4(datagram(to=to) if udp is None else udp, destination=to[0], **settings_)


def with_header(**fields):
    """IPv4 datagram for line A with header fields replaced and the header's checksum right."""
    octets = bytearray(packet())
    places = {"first": (0, "B"), "total": (2, ">H"), "fragment": (6, ">H"), "protocol": (9, "B"),
              "destination": (16, ">I")}
    for name, value in fields.items():
        struct.pack_into(places[name][1], octets, places[name][0], value)
    octets[10:12] = bytes(2)
    struct.pack_into(">H", octets, 10, ones_complement(bytes(octets[:20])))
    return bytes(octets)


@pytest.fixture(scope="module")
def book():
    return BookMemory(CARD_SMALL)


@pytest.fixture(scope="module")
def guarded():
    return Guarded()


class Receiver:
    """A receiver with all three lines, and what it counted."""

    def __init__(self, book, guarded, **settings_):
        self.book, self.guarded = book, guarded
        self.memory = FeedMemory(book, size_max=SIZE_MAX, **settings_)
        for line, (group, port) in zip(Line, (A, B, RECOVERY), strict=True):
            self.memory.listen(line, group, port)

    def take(self, octets):
        """Return (line or code, payload), having checked that drops are counted once."""
        before = self.counts()
        address = self.guarded.put(octets)
        line, offset, size = frame(self.memory.receive, address, len(octets))
        other, malformed = (after - start for after, start in zip(self.counts(), before,
                                                                  strict=True))
        assert (other, malformed) == (line == OTHER, line == MALFORMED)
        if line < 0:
            assert (offset, size) == (0, 0)
            return line, None
        assert min(offset, size) >= 0 and offset + size <= len(octets)
        return line, octets[offset:offset + size]

    def counts(self):
        return [self.book.counter(index) for index in (CounterIndex.FRAMES_OTHER,
                                                       CounterIndex.FRAMES_MALFORMED)]

    @property
    def is_damaged(self):
        return bool(self.memory.receiver["is_damaged"])


@pytest.fixture
def receiver(book, guarded):
    return Receiver(book, guarded)


GOOD = {
    "untagged": ethernet(packet()),
    "one tag": ethernet(packet(), 0x0800, (VLAN, 0x008D)),
    "two tags": ethernet(packet(), 0x0800, (SERVICE_VLAN, 0xE064), (VLAN, 0x2007)),
    "two customer tags": ethernet(packet(), 0x0800, (VLAN, 1), (VLAN, 2)),
    "padding": ethernet(packet()) + bytes(18),
    "a frame check sequence that a capture kept": ethernet(packet()) + b"\xde\xad\xbe\xef",
    "no UDP checksum": ethernet(packet(datagram(checksum=0))),
    "fragmentation not forbidden": ethernet(packet(flags=0)),
    "reserved flag": ethernet(packet(flags=0x8000)),
    "octets between the ends of UDP and IP": ethernet(packet(datagram() + b"surplus")),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_frame_gives_its_payload(receiver, name):
    assert receiver.take(GOOD[name]) == (Line.A, PAYLOAD)


@pytest.mark.parametrize(("line", "to"), list(zip(Line, (A, B, RECOVERY), strict=True)))
def test_each_line_is_known_by_its_address_and_port(receiver, line, to):
    assert receiver.take(ethernet(packet(to=to))) == (line, PAYLOAD)


@pytest.mark.parametrize("size", [*range(20), 1_000, 1_471, 1_472])
def test_payloads_of_any_size_have_their_checksum_verified(receiver, size):
    payload = bytes(index * 7 & 0xFF for index in range(size))
    assert receiver.take(ethernet(packet(datagram(payload)))) == (Line.A, payload)
    wrong = bytearray(datagram(payload))
    wrong[7] ^= 1
    assert receiver.take(ethernet(packet(bytes(wrong)))) == (MALFORMED, None)


def test_a_checksum_that_computes_to_zero_is_sent_as_all_ones(receiver):
    # Two octets of payload that make the sum 0xFFFF, so that its complement is 0 (RFC 768).
    blank = int.from_bytes(datagram(bytes(2))[6:8], "big")
    payload = struct.pack(">H", blank)
    assert datagram(payload)[6:8] == b"\xff\xff"
    assert receiver.take(ethernet(packet(datagram(payload)))) == (Line.A, payload)


NOT_OURS = {
    "ARP": ethernet(bytes(46), 0x0806),
    "IPv6": ethernet(b"\x60" + bytes(60), 0x86DD),
    "length instead of type (802.3)": ethernet(bytes(46), 46),
    "three tags": ethernet(packet(), 0x0800, (VLAN, 1), (VLAN, 2), (VLAN, 3)),
    "TCP": ethernet(ipv4(tcp(b"x"), protocol=6, destination=A[0])),
    "IGMP with its router alert option": ethernet(ipv4(bytes(8), protocol=2, options=b"\x94\4\0\0",
                                                       destination="224.0.0.22")),
    "another group": ethernet(packet(to=("233.54.12.112", A[1]))),
    "another group's fragment": ethernet(packet(to=("233.54.12.112", A[1]), flags=0x2000)),
    "another port": ethernet(packet(to=(A[0], A[1] + 1))),
    "line A's group with line B's port": ethernet(packet(to=(A[0], B[1]))),
    "address and port 0": ethernet(packet(to=("0.0.0.0", 0))),
    "another port, UDP length that lies": ethernet(packet(datagram(to=(A[0], 9), length=3))),
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_frame_for_no_line_is_counted_as_other(receiver, name):
    assert receiver.take(NOT_OURS[name]) == (OTHER, None)


TOTAL = len(packet())
BAD = {
    "no octets": b"",
    "end in the Ethernet header": ethernet(b"")[:13],
    "end in the first tag": ethernet(b"", 0x0800, (VLAN, 1))[:17],
    "end in the second tag": ethernet(b"", 0x0800, (VLAN, 1), (VLAN, 1))[:21],
    "end before the IPv4 header": ethernet(b""),
    "end in the IPv4 header": ethernet(packet()[:19]),
    "end in the UDP header": ethernet(packet()[:27]),
    "IP version 6": ethernet(with_header(first=0x65)),
    "IP version 0": ethernet(with_header(first=0x05)),
    "header of 4 words": ethernet(with_header(first=0x44)),
    "header of 0 words": ethernet(with_header(first=0x40)),
    "IP options": ethernet(packet(options=b"\x01\x01\x01\x00")),
    "header of 15 words": ethernet(packet(options=b"\x01" * 40)),
    "header of 6 words, total length of 5": ethernet(with_header(first=0x46, total=20)),
    "total length 0": ethernet(with_header(total=0)),
    "total length below its header": ethernet(with_header(total=19)),
    "total length without a UDP header": ethernet(with_header(total=27)),
    "total length above the frame": ethernet(with_header(total=TOTAL + 1)),
    "greatest total length": ethernet(with_header(total=0xFFFF)),
    "total length that cuts the UDP datagram": ethernet(with_header(total=TOTAL - 1)),
    "first fragment": ethernet(with_header(fragment=0x2000)),
    "middle fragment": ethernet(with_header(fragment=0x2001)),
    "last fragment": ethernet(with_header(fragment=0x1FFF)),
    "IPv4 checksum": ethernet(packet()[:10] + b"\x12\x34" + packet()[12:]),
    "no IPv4 checksum": ethernet(packet()[:10] + b"\0\0" + packet()[12:]),
    "UDP length 0": ethernet(packet(datagram(length=0))),
    "UDP length below its header": ethernet(packet(datagram(length=7))),
    "UDP length above the IPv4 datagram": ethernet(packet(datagram(length=9 + len(PAYLOAD)))),
    "UDP length above the IPv4 datagram, inside the frame": ethernet(
        packet(datagram(length=9 + len(PAYLOAD)))) + bytes(40),
    "UDP checksum": ethernet(packet(datagram(checksum=0x1234))),
    "UDP checksum of another destination": ethernet(ipv4(datagram(to=B)[:2]
        + struct.pack(">H", A[1]) + datagram(to=B)[4:], destination=A[0])),
    "oversize": ethernet(packet(), 0x0800).ljust(SIZE_MAX + 1, b"\0"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_frame_that_cannot_be_used_is_counted_as_malformed(receiver, name):
    assert receiver.take(BAD[name]) == (MALFORMED, None)


def test_the_longest_frame_is_taken(receiver):
    assert receiver.take(GOOD["untagged"].ljust(SIZE_MAX, b"\0")) == (Line.A, PAYLOAD)


@pytest.mark.parametrize("name", GOOD)
def test_a_frame_cut_at_any_octet_is_never_taken(receiver, name):
    octets = GOOD[name]
    needed = octets.index(PAYLOAD) + len(PAYLOAD)
    if name.startswith("octets between"):
        needed += len("surplus")
    for size in range(needed):
        assert receiver.take(octets[:size]) == (MALFORMED, None), size
    for size in range(needed, len(octets)):
        assert receiver.take(octets[:size]) == (Line.A, PAYLOAD), size


def test_no_single_bit_that_flips_behind_the_tag_is_believed(receiver):
    octets = ethernet(packet(), 0x0800, (VLAN, 1))
    for bit in range(8 * 16, 8 * len(octets)):
        wrong = bytearray(octets)
        wrong[bit >> 3] ^= 0x80 >> (bit & 7)
        line, _ = receiver.take(bytes(wrong))
        assert line in (OTHER, MALFORMED), bit


def test_a_udp_checksum_that_need_not_be_right_may_be_wrong(book, guarded):
    receiver = Receiver(book, guarded, check_udp=False)
    assert receiver.take(BAD["UDP checksum"]) == (Line.A, PAYLOAD)
    assert receiver.take(BAD["IPv4 checksum"]) == (MALFORMED, None)


def test_every_checksum_is_right_for_the_identification_that_it_belongs_to(receiver):
    # Carries of every size come up, and sums whose halves are both 0xFFFF.
    octets = bytearray(GOOD["untagged"])
    for identification in range(1 << 16):
        struct.pack_into(">H", octets, 18, identification)
        octets[24:26] = bytes(2)
        struct.pack_into(">H", octets, 24, ones_complement(bytes(octets[14:34])))
        address = receiver.guarded.put(bytes(octets))
        assert frame(receiver.memory.receive, address, len(octets))[0] == Line.A, identification


def test_a_line_that_is_not_configured_takes_nothing(book, guarded):
    receiver = Receiver(book, guarded)
    receiver.memory.receiver["keys"] = 0
    for octets in (*GOOD.values(), NOT_OURS["address and port 0"]):
        assert receiver.take(octets) == (OTHER, None)


def test_a_line_may_be_at_address_and_port_0(book, guarded):
    receiver = Receiver(book, guarded)
    receiver.memory.listen(Line.B, "0.0.0.0", 0)
    assert receiver.take(NOT_OURS["address and port 0"]) == (Line.B, PAYLOAD)


# Cut-through: damage that only the end shows


LATE = {
    "UDP checksum": PAYLOAD,
    "UDP checksum of another destination": PAYLOAD,
    "total length above the frame": PAYLOAD,
    "oversize": PAYLOAD,
}


@pytest.mark.parametrize("name", LATE)
def test_damage_at_the_end_of_a_frame_that_was_cut_through_is_marked(book, guarded, name):
    receiver = Receiver(book, guarded, cut_through=True)
    assert receiver.take(BAD[name]) == (Line.A, LATE[name])
    assert receiver.is_damaged
    assert receiver.take(GOOD["untagged"]) == (Line.A, PAYLOAD)
    assert not receiver.is_damaged


def test_a_frame_that_was_cut_through_gives_what_came_before_its_end(book, guarded):
    receiver = Receiver(book, guarded, cut_through=True)
    octets = GOOD["untagged"]
    for size in range(14 + 28, len(octets)):
        assert receiver.take(octets[:size]) == (Line.A, octets[14 + 28:size])
        assert receiver.is_damaged


@pytest.mark.parametrize("name", sorted(BAD.keys() - LATE.keys() - {"greatest total length"}))
def test_damage_that_a_header_shows_is_dropped_cut_through_as_well(book, guarded, name):
    assert Receiver(book, guarded, cut_through=True).take(BAD[name]) == (MALFORMED, None)


# Random damage


def plainly(octets, *, check_udp=True):
    """(line, payload) of a frame that must be let in, else None, by the plain walk."""
    try:
        found = unwrap(octets)
    except Skipped:
        return None
    tags = 0
    while int.from_bytes(octets[12 + 4 * tags:14 + 4 * tags], "big") in (VLAN, SERVICE_VLAN):
        tags += 1
    if found.protocol != 17 or tags > 2 or len(octets) > SIZE_MAX:
        return None
    ip = octets[14 + 4 * tags:]
    udp = ip[20:28] + found.payload
    if udp[6:8] != b"\0\0" and check_udp:
        pseudo = ip[12:20] + struct.pack(">BBH", 0, 17, len(udp))
        if ones_complement(pseudo + udp + bytes(len(udp) % 2)):
            return None
    lines = {A: Line.A, B: Line.B, RECOVERY: Line.RECOVERY}
    line = lines.get(found.destination)
    return None if line is None else (line, found.payload)


@st.composite
def damaged(draw):
    """A good frame with some octets changed, cut or added, its IPv4 checksum perhaps mended."""
    octets = bytearray(draw(st.sampled_from(sorted(GOOD.values()))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(12, min(60, len(octets) - 1)))
        octets[at] = draw(st.one_of(st.sampled_from([0, 1, 0x45, 0x46, 0x44, 8, 17, 0x81, 0xFF]),
                                    st.integers(0, 255)))
    if draw(st.booleans()):
        del octets[draw(st.integers(0, len(octets))):]
    octets += draw(st.binary(max_size=6))
    offset = draw(st.sampled_from([None, 14, 18, 22]))
    if offset is not None and len(octets) >= offset + 20:
        octets[offset + 10:offset + 12] = bytes(2)
        struct.pack_into(">H", octets, offset + 10,
                         ones_complement(bytes(octets[offset:offset + 20])))
    return bytes(octets)


MODULE_RECEIVERS = {}


def shared(check_udp):
    """One receiver for all examples: allocating one for each would be most of the time."""
    if check_udp not in MODULE_RECEIVERS:
        MODULE_RECEIVERS[check_udp] = Receiver(BookMemory(CARD_SMALL), Guarded(),
                                               check_udp=check_udp)
    return MODULE_RECEIVERS[check_udp]


@settings(max_examples=1_500)
@given(damaged(), st.booleans())
def test_random_damage_is_judged_as_the_plain_walk_judges_it(octets, check_udp):
    line, payload = shared(check_udp).take(octets)
    expected = plainly(octets, check_udp=check_udp)
    assert (None if line < 0 else (line, payload)) == expected


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_random_octets_are_dropped(octets):
    line, _ = shared(True).take(octets)
    assert line in (OTHER, MALFORMED)
