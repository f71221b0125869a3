"""The plain walk from frames to messages finds what is there and says why it skips the rest.

Method: frames made by hand, damaged field by field; TCP segments cut, repeated, lost and
reordered at random against the stream that they were cut from.
"""

import random
import struct

import pytest

from tests.captures import (
    MESSAGE_D,
    MESSAGE_S,
    MESSAGE_X,
    binary_file,
    ethernet,
    ipv4,
    mold,
    pcap,
    soup,
    tcp,
    udp,
)
from tickwire.feed import frames, open_source
from tickwire.feed.frames import Datagram, Skipped, SoupStreams, listing, unwrap

MOLD = mold(41, MESSAGE_D, MESSAGE_X)
GOOD = ethernet(ipv4(udp(MOLD)))


def test_a_datagram_is_found_under_up_to_two_tags():
    expected = Datagram(17, ("10.0.0.1", 49653), ("233.54.12.111", 26477), MOLD)
    datagram = ipv4(udp(MOLD))
    assert unwrap(GOOD) == expected
    assert unwrap(ethernet(datagram, 0x0800, (0x8100, 0x2005))) == expected
    assert unwrap(ethernet(datagram, 0x0800, (0x88A8, 7), (0x8100, 5))) == expected


def test_octets_that_pad_a_short_frame_are_no_payload():
    assert unwrap(ethernet(ipv4(udp(b"xyz"))) + bytes(15)).payload == b"xyz"
    short = udp(b"xyz") + b"padding inside of the datagram"
    assert unwrap(ethernet(ipv4(short))).payload == b"xyz"


def bad_checksum():
    frame = bytearray(GOOD)
    frame[24] ^= 1
    return bytes(frame)


@pytest.mark.parametrize(("frame", "reason"), [
    (b"", "0 octets are left, but an Ethernet header has 14"),
    (GOOD[:13], "13 octets are left"),
    (ethernet(b"", 0x0806), "ether type 0x0806 is not IPv4"),
    (ethernet(b"\x60" + bytes(60), 0x86DD), "ether type 0x86dd is not IPv4"),
    (ethernet(b"\0\0\0", 0x0800, (0x8100, 5))[:17], "3 octets are left, but a VLAN tag has 4"),
    (GOOD[:33], "19 octets are left, but an IPv4 header has 20"),
    (ethernet(b"\x65" + ipv4(udp(MOLD))[1:]), "IP version is 6, not 4"),
    (ethernet(b"\x44" + ipv4(udp(MOLD))[1:]), "IPv4 header has 4 words, not 5"),
    (ethernet(ipv4(udp(MOLD), options=b"\1\1\1\0")), "IPv4 header has 6 words, not 5: options"),
    (GOOD[:-1], "IPv4 total length is 94, but 93 octets are there"),
    (ethernet(ipv4(b"", 17)[:2] + b"\0\x13" + ipv4(b"")[4:]), "IPv4 total length is 19"),
    (ethernet(ipv4(udp(MOLD)), 0x0800, *[(0x8100, 5)] * 3), "ether type 0x8100 is not IPv4"),
    (bad_checksum(), "IPv4 header checksum 0x"),
    (ethernet(ipv4(udp(MOLD), flags=0x2000)), "IPv4 fragment of datagram 1"),
    (ethernet(ipv4(udp(MOLD), flags=0x0001)), "IPv4 fragment of datagram 1"),
    (ethernet(ipv4(b"\x11" * 8, protocol=2)), "IP protocol 2 is neither UDP nor TCP"),
    (ethernet(ipv4(b"1234567")), "7 octets are left, but a UDP header has 8"),
    (ethernet(ipv4(udp(b"abc")[:4] + b"\0\x07\0\0abc")), "UDP length is 7, but 11"),
    (ethernet(ipv4(udp(b"abc")[:4] + b"\0\x0c\0\0abc")), "UDP length is 12, but 11"),
    (ethernet(ipv4(tcp(b"")[:19], 6)), "19 octets are left, but a TCP header has 20"),
    (ethernet(ipv4(tcp(b"", flags=0)[:12] + b"\x40" + bytes(7), 6)), "TCP header has 4 words"),
    (ethernet(ipv4(tcp(b"", flags=0)[:12] + b"\x60" + bytes(7), 6)), "TCP header has 6 words"),
])
def test_a_frame_that_lies_or_is_of_another_kind_is_skipped_with_a_reason(frame, reason):
    with pytest.raises(Skipped) as caught:
        unwrap(frame)
    assert reason in str(caught.value)


def test_no_cut_of_a_frame_and_no_flipped_octet_raises_anything_else():
    for frame in (GOOD, ethernet(ipv4(tcp(soup(b"H")), 6))):
        for place in range(len(frame)):
            for damaged in (frame[:place], frame[:place] + bytes([frame[place] ^ 0xFF])
                            + frame[place + 1:]):
                try:
                    datagram = unwrap(damaged)
                    frames.mold(datagram.payload)
                    SoupStreams().take(datagram)
                except Skipped as reason:
                    assert str(reason)


def test_a_mold_packet_gives_its_blocks():
    assert frames.mold(MOLD) == frames.Packet("000010059B", 41, 2, (MESSAGE_D, MESSAGE_X), 0)
    assert frames.mold(mold(1, b"", b"x")).messages == (b"", b"x")
    assert frames.mold(mold(9)) == frames.Packet("000010059B", 9, 0, (), 0)
    assert frames.mold(mold(9, count=0xFFFF)) == frames.Packet("000010059B", 9, 0xFFFF, (), 0)
    assert frames.mold(MOLD + b"abc").excess == 3


@pytest.mark.parametrize("payload", [b"", MOLD[:19], MOLD[:20], MOLD[:21], MOLD[:-1],
                                     mold(1, MESSAGE_D, count=2), mold(1, MESSAGE_D, count=65534)])
def test_a_mold_packet_whose_blocks_do_not_fit_is_skipped(payload):
    with pytest.raises(Skipped):
        frames.mold(payload)


def segment(payload, sequence, flags=0x18, port=8001):
    return Datagram(6, ("10.0.0.1", 40000), ("10.0.0.2", port), payload, sequence % 2**32, flags)


PACKETS = [soup(b"S", bytes([n]) * n) for n in range(40)] + [soup(b"H"), soup(b"U", b"O" * 300)]


@pytest.mark.parametrize("seed", range(8))
def test_packets_come_out_however_their_stream_is_cut_and_repeated(seed):
    random_ = random.Random(seed)
    stream, base = b"".join(PACKETS), random_.choice((7, 2**32 - 200))
    streams, found, place = SoupStreams(), [], 0
    assert streams.take(segment(b"", base - 1, 0x02)) == ([], "TCP segment without payload")
    while place < len(stream):
        size = random_.randrange(1, 90)
        back = random_.choice((0, 0, random_.randrange(0, place + 1)))
        begin = max(place - back, 0)
        found += streams.take(segment(stream[begin:place + size], base + begin))[0]
        place += size
        if not random_.randrange(3):                       # all of it comes again
            packets, remark = streams.take(segment(stream[begin:place], base + begin))
            assert (packets, remark) == ([], "TCP segment without new octets")
    assert found == PACKETS


def test_a_lost_segment_costs_only_the_packets_that_it_was_part_of():
    streams = SoupStreams()
    first, second, third = soup(b"S", b"1"), soup(b"S", b"2" * 100), soup(b"S", b"3")
    assert streams.take(segment(first + second[:50], 0)) == ([first], "")
    packets, remark = streams.take(segment(third, len(first + second)))
    assert packets == [third] and remark == "octets of the TCP stream missing before it: 53"


def test_a_stream_that_is_not_soupbintcp_is_skipped_and_may_become_one():
    streams = SoupStreams()
    with pytest.raises(Skipped, match="is not SoupBinTCP"):
        streams.take(segment(b"GET / HTTP/1.1\r\n", 0))
    with pytest.raises(Skipped, match="length 0, type 'S'"):
        streams.take(segment(b"\0\0S", 0))
    assert streams.take(segment(soup(b"H"), 500)) == ([soup(b"H")], "")


def test_connections_are_bounded_and_end(monkeypatch):
    monkeypatch.setattr(frames, "FLOWS_MAX", 10)
    streams = SoupStreams()
    for port in range(1000):
        streams.take(segment(b"\0", 0, port=port))
    assert len(streams._flows) == 10
    for port in range(990, 1000):
        streams.take(segment(b"", 1, 0x11, port=port))
    assert not streams._flows


def test_a_listing_tells_every_message_and_every_skip_of_a_capture(tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(pcap(
        GOOD, ethernet(b"", 0x0806), ethernet(ipv4(udp(mold(43)))),
        ethernet(ipv4(tcp(soup(b"S", MESSAGE_S) + soup(b"H"), 1), 6)),
        ethernet(ipv4(tcp(soup(b"S", MESSAGE_X)[:9], 19), 6)),
        ethernet(ipv4(udp(b"short"))), ethernet(ipv4(udp(MOLD + b"!")))))
    with open_source(path) as source:
        items = list(listing(source))
    assert [(item.place, item.protocol, item.sequence, item.octets) for item in items
            if item.protocol] == [
        ("frame 1 block 1", "itch50", 41, MESSAGE_D), ("frame 1 block 2", "itch50", 42, MESSAGE_X),
        ("frame 3", "moldudp64", 43, mold(43)),
        ("frame 4", "soupbintcp", None, soup(b"S", MESSAGE_S)),
        ("frame 4", "soupbintcp", None, soup(b"H")),
        ("frame 7 block 1", "itch50", 41, MESSAGE_D), ("frame 7 block 2", "itch50", 42, MESSAGE_X)]
    assert [(item.place, item.note) for item in items if item.note] == [
        ("frame 2", "ether type 0x0806 is not IPv4"), ("frame 5", "part of a packet"),
        ("frame 6", "5 octets are left, but a MoldUDP64 header has 20"),
        ("frame 7 block 1", "octets after the last block: 1"),
        ("frame 7 block 2", "octets after the last block: 1")]
    assert items[0].timestamp == 1_000_001_000


def test_a_listing_of_a_binaryfile_has_numbers_and_offsets(tmp_path):
    path = tmp_path / "day"
    path.write_bytes(binary_file(MESSAGE_S, MESSAGE_D, MESSAGE_X))
    with open_source(path) as source:
        assert [(item.place, item.sequence, item.octets, item.timestamp)
                for item in listing(source)] == [
            ("octet 0", 1, MESSAGE_S, None), ("octet 14", 2, MESSAGE_D, None),
            ("octet 35", 3, MESSAGE_X, None)]
    assert struct.unpack(">H", path.read_bytes()[14:16]) == (19,)
