"""Captures give every frame with its stamp, whoever wrote them, and damage costs nothing before it.

Method: captures made by hand with ``struct`` in both octet orders, every link type, cut at every
octet, with lengths that lie; chunks so small that every record is cut somewhere.
"""

import gzip
import random
import re
import struct

import pytest

from tests.captures import (
    block,
    ethernet,
    interface,
    ipv4,
    mold,
    packet,
    pcap,
    section,
    simple_packet,
    udp,
)
from tickwire.errors import InputError
from tickwire.feed import octets as octets_module
from tickwire.feed.detect import detect
from tickwire.feed.octets import CARRY_MAX

HEAD = section() + interface()
IP = ipv4(udp(mold(7, b"D" * 19)))
FRAMES = [ethernet(ipv4(udp(mold(n, b"A" * (14 + n))))) for n in range(1, 6)]


def read(folder, octets, chunk_size=1 << 16):
    """Return the frames, the rows of FRAME, the error sentence or None, and the source."""
    path = folder / "capture"
    path.write_bytes(octets)
    frames, rows, error, source = [], [], None, None
    try:
        with detect(path, chunk_size) as source:
            for chunk in source:
                assert chunk.first == len(frames) + 1
                assert len(chunk) == len(chunk.frames)
                frames += chunk
                rows += [dict(zip(chunk.frames.dtype.names, row, strict=True))
                         for row in chunk.frames.tolist()]
    except InputError as raised:
        error = str(raised)
        assert error.endswith(".") and "\n" not in error
    return frames, rows, error, source


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
@pytest.mark.parametrize("chunk_size", [32, 77, 1 << 12])
def test_a_pcap_of_any_of_its_four_forms_gives_frames_and_stamps(tmp_path, order, magic, unit,
                                                                 chunk_size):
    octets = pcap(*FRAMES, order=order, magic=magic)
    frames, rows, error, source = read(tmp_path, octets, chunk_size)
    assert (frames, error, source.kind) == (FRAMES, None, "pcap")
    assert [row["timestamp"] for row in rows] == [n * 10**9 + n * unit for n in range(1, 6)]
    assert all(row["size"] == row["size_on_wire"] == len(frame)
               for row, frame in zip(rows, frames, strict=True))
    assert source.is_capture and not source.warnings and source.position == source.total


def test_seconds_are_unsigned(tmp_path):
    octets = bytearray(pcap(FRAMES[0]))
    octets[24:28] = b"\xff\xff\xff\xff"
    assert read(tmp_path, octets)[1][0]["timestamp"] == 0xFFFFFFFF * 10**9 + 1000


@pytest.mark.parametrize("link", [276, 113, 101, 12, 14, 228, 0, 108])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("chunk_size", [32, 50, 1 << 12])
def test_every_link_type_is_handed_over_as_ethernet(tmp_path, link, order, chunk_size):
    heads = {276: struct.pack(">HHIHBB8s", 0x0800, 0, 3, 1, 2, 6, b"\x02\0\0\0\0\xaa\0\0"),
             113: struct.pack(">HHH8sH", 2, 1, 6, b"\x02\0\0\0\0\xaa\0\0", 0x0800),
             0: struct.pack(order + "I", 2), 108: struct.pack(">I", 2)}
    head = heads.get(link, b"")
    for octets in (pcap(*[head + IP] * 3, order=order, link=link),
                   section(order) + interface(link, order)
                   + simple_packet(head + IP, order)
                   + packet(head + IP, order=order) + simple_packet(head + IP, order)):
        frames, rows, error, _ = read(tmp_path, octets, chunk_size)
        assert error is None
        assert frames == [bytes(12) + b"\x08\x00" + IP] * 3
        assert all(row["size"] == row["size_on_wire"] == 14 + len(IP) for row in rows)


@pytest.mark.parametrize(("link", "head"), [
    (276, struct.pack(">HHIHBB8s", 0x86DD, 0, 3, 1, 2, 6, bytes(8))),
    (113, struct.pack(">HHH8sH", 2, 1, 6, bytes(8), 0x86DD)),
    (0, struct.pack("<I", 30)), (0, struct.pack("<I", 10)), (108, struct.pack(">I", 24)),
    (101, b""), (229, b""),
])
def test_a_packet_that_is_not_ipv4_does_not_look_like_it(tmp_path, link, head):
    packet6 = b"\x60" + bytes(39)
    frames, _, error, _ = read(tmp_path, pcap(head + packet6, link=link))
    assert (frames, error) == ([bytes(12) + b"\x86\xdd" + packet6], None)


@pytest.mark.parametrize("link", [276, 113, 101, 0, 108, 1])
def test_a_frame_shorter_than_its_own_header_is_handed_over_as_it_is(tmp_path, link):
    # Its neighbours keep their octets; what is too short fails where headers are read.
    frames, _, error, _ = read(tmp_path, pcap(b"", b"\x45", b"\x45\0\0", link=link))
    assert error is None and len(frames) == 3
    assert all(len(frame) <= 17 for frame in frames)


@pytest.mark.parametrize("tags", [(), ((0x8100, 5),), ((0x88A8, 5), (0x8100, 6))])
def test_a_header_checksum_that_was_left_to_the_network_card_is_filled_in(tmp_path, tags):
    frame = ethernet(IP, 0x0800, *tags)
    place = frame.index(IP) + 10
    zero = frame[:place] + bytes(2) + frame[place + 2:]
    wrong = frame[:place] + b"\1\2" + frame[place + 2:]
    for octets in (pcap(zero, frame, zero, wrong),
                   HEAD + b"".join(map(packet, (zero, frame, zero, wrong)))):
        frames, _, error, source = read(tmp_path, octets)
        assert (frames, error) == ([frame, frame, frame, wrong], None)
        assert source.counts["checksums_filled"] == 2 and len(source.warnings) == 1


@pytest.mark.parametrize("frame", [
    ethernet(b"\x60" + bytes(39), 0x86DD), ethernet(b"\x46" + bytes(39)), ethernet(b"\x45"),
    ethernet(b"\x45" + bytes(18)), ethernet(b"\x65" + bytes(39)), bytes(13),
    ethernet(b"\x45" + bytes(39), 0x0800, (0x8100, 5), (0x8100, 5), (0x8100, 5)),
    # A header whose right checksum is zero: the words 4500 and baff add up to 0xFFFF.
    ethernet(bytes.fromhex("4500 0000 0000 0000 0000 0000 baff 0000 0000 0000")),
])
def test_what_is_no_such_header_is_left_as_it_is(tmp_path, frame):
    frames, _, error, source = read(tmp_path, pcap(frame))
    assert (frames, error) == ([frame], None) and not source.counts["checksums_filled"]


def test_another_link_type_is_refused_in_one_sentence(tmp_path):
    frames, _, error, _ = read(tmp_path, pcap(*FRAMES, link=105))
    assert not frames and "has link type 105; " in error and "Ethernet" in error


def test_flags_above_the_link_type_are_not_part_of_it(tmp_path):
    assert read(tmp_path, pcap(*FRAMES, link=0x14000001))[0] == FRAMES


def test_another_version_of_pcap_is_refused(tmp_path):
    assert "pcap version 9; version 2 is read" in read(tmp_path, pcap(*FRAMES, major=9))[2]


def test_frames_that_were_captured_short_are_handed_over_and_counted(tmp_path):
    frames, rows, error, source = read(tmp_path, pcap(*FRAMES, cut=10))
    assert (frames, error) == ([frame[:-10] for frame in FRAMES], None)
    assert all(row["size_on_wire"] == row["size"] + 10 for row in rows)
    assert source.counts["frames_cut"] == 5 and len(source.warnings) == 1


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_pcap_cut_at_any_octet_keeps_every_whole_frame(tmp_path, is_compressed):
    octets = pcap(*FRAMES)
    ends = [24]
    for frame in FRAMES:
        ends.append(ends[-1] + 16 + len(frame))
    for size in range(4, len(octets), 5 if is_compressed else 1):
        cut = gzip.compress(octets[:size], 1) if is_compressed else octets[:size]
        frames, _, error, _ = read(tmp_path, cut, 64)
        whole = max(0, sum(end <= size for end in ends) - 1)
        assert frames == FRAMES[:whole]
        if size < 24:
            assert f"cut short inside its file header, at octet {size}." in error
        elif size in ends:
            assert error is None
        else:
            assert (f"frame {whole + 1} begins at octet {ends[whole]} and the file ends "
                    f"{size - ends[whole]} octets later") in error


@pytest.mark.parametrize("captured", [262_145, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("order", "<>")
def test_a_record_that_says_it_is_huge_is_an_error(tmp_path, captured, order):
    octets = (pcap(*FRAMES[:2], order=order) + struct.pack(order + "IIII", 1, 1, captured, captured)
              + bytes(5000))
    frames, _, error, _ = read(tmp_path, octets)
    assert frames == FRAMES[:2]
    place = len(pcap(*FRAMES[:2]))
    assert f"frame 3 at octet {place} says that more than 262144" in error


def test_the_greatest_frame_crosses_chunks(tmp_path):
    frame = random.Random(1).randbytes(262_144)
    for octets in (pcap(FRAMES[0], frame, FRAMES[1]),
                   section() + interface() + packet(FRAMES[0]) + packet(frame) + packet(FRAMES[1])):
        frames, _, error, _ = read(tmp_path, octets, 1000)
        assert (frames, error) == ([FRAMES[0], frame, FRAMES[1]], None)


# pcapng


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("chunk_size", [32, 44, 100, 1 << 12])
def test_a_pcapng_gives_frames_and_stamps(tmp_path, order, chunk_size):
    octets = section(order) + interface(1, order) + b"".join(
        packet(frame, 10**6 * n + n, order=order) for n, frame in enumerate(FRAMES))
    frames, rows, error, source = read(tmp_path, octets, chunk_size)
    assert (frames, error, source.kind) == (FRAMES, None, "pcapng")
    assert [row["timestamp"] for row in rows] == [n * 10**9 + n * 1000 for n in range(5)]


@pytest.mark.parametrize(("resolution", "stamp", "expected"), [
    (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
    (0, 1_700_000_000, 1_700_000_000_000_000_000),
    (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
    (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
    (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
    (10, 17_000_000_001_234_567_89, 170_000_000_012_345_678),
    (12, 1_700_000_123_456_789_012, 1_700_000_123_456_789),
    (0x80, 1_700_000_000, 1_700_000_000_000_000_000),
    (0x81, 3, 1_500_000_000),
    (0x80 | 20, (1_700_000_000 << 20) + (1 << 19), 1_700_000_000_500_000_000),
    (0x80 | 32, (1_700_000_000 << 32) + (1 << 30), 1_700_000_000_250_000_000),
    (0x80 | 62, (1 << 62) + (1 << 61) + (1 << 60), 1_750_000_000),
])
def test_the_resolution_of_stamps_is_heeded(tmp_path, resolution, stamp, expected):
    octets = section() + interface(resolution=resolution) + packet(FRAMES[0], stamp)
    assert read(tmp_path, octets)[1][0]["timestamp"] == expected
    octets = section() + interface(resolution=resolution, offset=-7) + packet(FRAMES[0], stamp)
    assert read(tmp_path, octets)[1][0]["timestamp"] == expected - 7 * 10**9


@pytest.mark.parametrize("resolution", [19, 0x7F, 0x80 | 63, 0xFF])
def test_stamps_too_fine_for_64_bits_are_refused(tmp_path, resolution):
    error = read(tmp_path, section() + interface(resolution=resolution) + packet(FRAMES[0]))[2]
    assert "units down to 10^-18 s or 2^-62 s are read" in error


def test_interfaces_and_sections_have_their_own_links_orders_and_units(tmp_path):
    octets = (section("<") + interface(1) + interface(101, resolution=9)
              + packet(FRAMES[0], 5, 0) + packet(IP, 5, 1)
              + section(">") + interface(101, ">", resolution=3) + packet(IP, 5, 0, ">")
              + interface(1, ">") + packet(FRAMES[1], 6, 1, ">"))
    for chunk_size in (32, 60, 1 << 12):
        frames, rows, error, _ = read(tmp_path, octets, chunk_size)
        made = bytes(12) + b"\x08\x00" + IP
        assert (frames, error) == ([FRAMES[0], made, made, FRAMES[1]], None)
        assert [(row["interface"], row["timestamp"]) for row in rows] == [
            (0, 5000), (1, 5), (0, 5_000_000), (1, 6000)]


def test_a_simple_packet_has_the_stamp_of_the_one_before_and_the_snap_length(tmp_path):
    octets = (section() + interface(snap=40) + packet(FRAMES[0][:40], 9, on_wire=len(FRAMES[0]))
              + simple_packet(FRAMES[1][:40], on_wire=len(FRAMES[1]))
              + simple_packet(FRAMES[2][:33]))
    frames, rows, error, source = read(tmp_path, octets)
    assert (frames, error) == ([FRAMES[0][:40], FRAMES[1][:40], FRAMES[2][:33]], None)
    assert [row["timestamp"] for row in rows] == [9000] * 3
    assert [row["size_on_wire"] for row in rows] == [len(FRAMES[0]), len(FRAMES[1]), 33]
    assert source.counts["frames_cut"] == 2


@pytest.mark.parametrize("order", "<>")
def test_the_old_packet_block_is_read(tmp_path, order):
    body = struct.pack(order + "HHIIII", 1, 7, 0, 77, len(FRAMES[0]), len(FRAMES[0])) + FRAMES[0]
    octets = section(order) + interface(1, order) + interface(1, order) + block(2, body, order)
    frames, rows, error, _ = read(tmp_path, octets)
    assert (frames, error) == (FRAMES[:1], None)
    assert (rows[0]["interface"], rows[0]["timestamp"]) == (1, 77_000)


@pytest.mark.parametrize("size", [0, 4, 100, 5000, 3 * CARRY_MAX])
def test_blocks_of_other_types_are_left_out_whatever_their_size(tmp_path, size):
    other = block(0x0BAD, b"\x06\0\0\0" * (size // 4))
    octets = section() + other + interface() + other + packet(FRAMES[0]) + other + packet(FRAMES[1])
    for chunk_size in (1000, 1 << 20):
        frames, _, error, source = read(tmp_path, octets, chunk_size)
        assert (frames, error) == (FRAMES[:2], None)
        assert source.counts["blocks_skipped"] == 3


def test_a_block_left_out_with_a_length_that_lies_is_told_wherever_a_buffer_ends(tmp_path):
    """Its length reaches to the end of the block behind it, whose frame it would swallow."""
    other, hidden = block(0x0BAD, bytes(80)), packet(FRAMES[0])
    length = struct.pack("<I", len(other) + len(hidden))
    octets = HEAD + other[:4] + length + other[8:] + hidden + packet(FRAMES[1])
    for chunk_size in (32, 77, 1 << 12):
        frames, _, error, source = read(tmp_path, octets, chunk_size)
        assert frames == [] and source.counts["blocks_skipped"] == 0
        assert f"begins with length {len(other) + len(hidden)} and ends with length " in error


def test_a_block_left_out_that_never_ends_is_an_error(tmp_path):
    octets = section() + interface() + packet(FRAMES[0])
    place = len(octets)
    octets += struct.pack("<II", 5, 0xFFFFFFFC) + bytes(3000)
    for chunk_size in (32, 1 << 12):
        frames, _, error, _ = read(tmp_path, octets, chunk_size)
        assert frames == FRAMES[:1]
        assert f"a block begins at octet {place} and the file ends 3008 octets later" in error


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_pcapng_cut_at_any_octet_keeps_every_whole_frame(tmp_path, is_compressed):
    octets, ends = section() + interface(), []
    plain = [len(section()), len(octets)]
    for frame in FRAMES:
        octets += packet(frame)
        ends.append(len(octets))
    for size in range(4, len(octets), 5 if is_compressed else 1):
        cut = gzip.compress(octets[:size], 1) if is_compressed else octets[:size]
        frames, _, error, _ = read(tmp_path, cut, 64)
        assert frames == FRAMES[:sum(end <= size for end in ends)]
        assert (error is None) == (size in ends or size in plain), size
        assert error is None or "is cut short: a block begins at octet" in error


@pytest.mark.parametrize(("octets", "reason"), [
    (packet(FRAMES[1])[:4] + struct.pack("<I", 0) + bytes(60), "the first is 0"),
    (packet(FRAMES[1])[:4] + struct.pack("<I", 31) + bytes(60), "the first is 31"),
    (packet(FRAMES[1])[:4] + struct.pack("<I", 33) + bytes(60), "the first is 33"),
    (packet(FRAMES[1])[:4] + struct.pack("<I", 0xFFFFFFFF) + bytes(60), "the first is 4294967295"),
    (packet(FRAMES[1])[:4] + struct.pack("<I", 0xFFFFFFFC) + bytes(60), "the first is 4294967292"),
    (packet(FRAMES[1])[:-4] + bytes(4), "the lengths at its two ends must be equal"),
    (packet(FRAMES[1], captured=0xFFFFFFFF), "more octets were captured than its"),
    (packet(FRAMES[1], captured=len(FRAMES[1]) + 4), "more octets were captured than its"),
    (packet(FRAMES[1], number=1), "its interface is not among the 1 "),
    (packet(FRAMES[1], number=0xFFFFFFFF), "its interface is not among the 1 "),
    (section() + packet(FRAMES[1]), "its interface is not among the 0 "),
    (section() + simple_packet(FRAMES[1]), "its interface is not among the 0 "),
    (simple_packet(FRAMES[1])[:-4] + bytes(4), "the lengths at its two ends must be equal"),
    (struct.pack("<III", 1, 16, 1) + bytes(20), "type 1 and length 16"),
    (struct.pack("<III", 1, 22, 1) + bytes(20), "type 1 and length 22"),
    (struct.pack("<III", 1, 1 << 30, 1) + bytes(20), "but at most 524224 octets are read"),
    (struct.pack("<III", 99, 8, 1) + bytes(20), "type 99 and length 8"),
    (struct.pack("<III", 99, 0, 1) + bytes(20), "type 99 and length 0"),
    (block(99, b"four")[:-4] + b"\x10\0\0\1", "with length 16 and ends with length 16777232"),
    (section()[:8] + bytes(4) + section()[12:], "byte order magic 0x00000000, which is none"),
    (section(major=2), "pcapng version 2; version 1 is read"),
    (block(1, struct.pack("<HHIHH", 1, 0, 0, 9, 200)), "an option 9 of 200 octets, but 0 are left"),
    (interface() * 4096, "one more interface than 4096"),
])
def test_a_block_that_lies_is_an_error_that_names_its_place(tmp_path, octets, reason):
    for chunk_size in (32, 1 << 20):
        frames, _, error, _ = read(tmp_path, HEAD + packet(FRAMES[0]) + octets, chunk_size)
        assert frames == FRAMES[:1]
        assert reason in error, error
        assert re.search(r"octet \d+", error)


def test_interfaces_of_other_link_types_are_counted(tmp_path):
    octets = (section() + interface(147) + interface(1) + packet(b"\1\2\3", 0, 0)
              + packet(FRAMES[0], 0, 1) + packet(b"\1\2\3", 0, 0))
    frames, _, error, source = read(tmp_path, octets)
    assert (frames, error) == (FRAMES[:1], None)
    assert source.counts["frames_other_link"] == 2
    assert len(source.warnings) == 1 and "147" in source.warnings[0]


def test_a_pcapng_of_nothing_but_other_link_types_is_refused(tmp_path):
    error = read(tmp_path, section() + interface(105) + packet(FRAMES[0]))[2]
    assert "has no frames but those of link type 105" in error


@pytest.mark.parametrize("seed", range(3))
def test_octets_at_random_end_in_an_error_or_in_frames_but_never_in_a_crash(tmp_path, seed):
    random_ = random.Random(seed)
    good = [pcap(*FRAMES), HEAD + b"".join(map(packet, FRAMES))]
    for round_ in range(300):
        octets = bytearray(good[round_ % 2])
        for _ in range(random_.randrange(1, 6)):
            octets[random_.randrange(4, len(octets))] = random_.choice((0, 1, 6, 255,
                                                                       random_.randrange(256)))
        frames, _, error, _ = read(tmp_path, octets, random_.choice((32, 1 << 12)))
        assert error is None or str(tmp_path) in error
        assert len(frames) <= 5 or error is None


def test_many_frames_fill_the_list_more_than_once(tmp_path, monkeypatch):
    from tickwire.feed import pcap as pcap_module
    monkeypatch.setattr(pcap_module, "FRAMES", 3)
    many = FRAMES * 7
    assert octets_module.CHUNK_SIZE > 1 << 20
    for octets in (pcap(*many), HEAD + b"".join(map(packet, many))):
        frames, _, error, _ = read(tmp_path, octets)
        assert (frames, error) == (many, None)
