"""The tables read what venues really sent.

Method: recorded frames are taken apart here with ``struct`` at the offsets that the venues print,
independently of the tables, and every field that the tables decode is compared; what a real
message must also satisfy (its time is that of its frame, its checksum holds, its price is one) is
asked of it as well. The recordings are local: without them these tests skip.
"""

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit import spec_formats
from tickwire.spec import itch50, moldudp64, network, ouch50, soupbintcp
from tickwire.spec.wire import decode

NEW_YORK_SUMMER = 4 * 3600                 # every recording is of a summer day
NANOSECONDS = 1_000_000_000


def frames(path: Path):
    """Yield time in ns since the epoch and octets of each frame of a little-endian pcap."""
    content = path.read_bytes()
    unit = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}[struct.unpack_from("<I", content)[0]]
    offset = 24
    while offset < len(content):
        seconds, fraction, captured, _ = struct.unpack_from("<IIII", content, offset)
        yield seconds * NANOSECONDS + fraction * unit, content[offset + 16:offset + 16 + captured]
        offset += 16 + captured


def network_headers(frame: bytes):
    """Return (protocol, transport header, payload) of a frame, read with struct alone."""
    offset, (kind,) = 14, struct.unpack_from(">H", frame, 12)
    while kind == 0x8100:
        kind, = struct.unpack_from(">H", frame, offset + 2)
        offset += 4
    assert kind == 0x0800
    length, = struct.unpack_from(">H", frame, offset + 2)
    datagram = frame[offset:offset + length]
    assert datagram[0] == 0x45
    protocol = datagram[9]
    if protocol == 17:
        return protocol, datagram[20:28], datagram[28:]
    header = datagram[32] >> 4 << 2
    return protocol, datagram[20:20 + header], datagram[20 + header:]


def blocks(payload: bytes):
    """Return (session, sequence number, messages) of a MoldUDP64 datagram."""
    session, sequence, count = struct.unpack_from(">10sQH", payload)
    messages, offset = [], 20
    for _ in range(count):
        length, = struct.unpack_from(">H", payload, offset)
        messages.append(payload[offset + 2:offset + 2 + length])
        offset += 2 + length
    assert offset == len(payload)
    return session, sequence, messages


def captures(shared_data: Path, folder: str):
    """Return the recordings of a folder, by name."""
    paths = sorted((shared_data / "omi_pcaps" / folder).glob("*.pcap"))
    if not paths:
        pytest.skip(f"no recordings in ../shared/data/omi_pcaps/{folder}")
    return paths


def expect_fields(message, form, octets):
    """Compare what the table decodes with what struct cuts out, field by field."""
    values = decode(message, octets)
    parts = dict(zip((offset for offset, _ in spec_formats.offsets(form)),
                     struct.unpack_from(form, octets), strict=True))
    for field, offset in message.placed():
        if not field.size:
            assert values[field.name] == octets[offset:]
        elif field.kind == "ascii":
            assert values[field.name] == parts[offset].decode("ascii").strip(" "), field.name
        else:
            assert values[field.name] == spec_formats.number(parts[offset]), field.name
    return values


def expect_time_of_frame(nanoseconds: int, stamp: int):
    """The venue stamps in local time, shortly before the frame was recorded."""
    day = (stamp - NEW_YORK_SUMMER * NANOSECONDS) % (86400 * NANOSECONDS)
    assert 0 <= day - nanoseconds < NANOSECONDS, datetime.fromtimestamp(stamp / 1e9, UTC)


def expect_codes(message, octets):
    """Every one-letter field holds a code that the table lists."""
    for field, offset in message.placed():
        if field.kind == "ascii" and field.codes:
            code = octets[offset:offset + field.size].decode("ascii")
            assert code in field.codes, (message.name, field.name, code)


@pytest.mark.parametrize("folder", ["itch50", "itch50_reframed"])
def test_every_recorded_itch_message_is_read_field_by_field(shared_data, folder):
    seen = set()
    for path in captures(shared_data, folder):
        for stamp, frame in frames(path):
            _, _, payload = network_headers(frame)
            for octets in blocks(payload)[2]:
                message = itch50.BY_TYPE[chr(octets[0])]
                assert len(octets) == spec_formats.ITCH50_SIZES[message.tag]
                values = expect_fields(message, spec_formats.ITCH50[message.name], octets)
                expect_codes(message, octets)
                expect_time_of_frame(values["timestamp"], stamp)
                if "stock" in values:
                    assert values["stock"].isalnum() and values["stock_locate"] > 0
                if "price" in values:
                    assert 0 < values["price"] <= itch50.PRICE_MAX
                seen.add(message.tag)
    assert seen >= ({"A", "D", "F", "U"} if folder == "itch50" else set("AFPXECHS"))


def test_recorded_datagrams_are_framed_by_the_tables(shared_data):
    for path in captures(shared_data, "itch50"):
        for _, frame in frames(path):
            _, _, payload = network_headers(frame)
            session, sequence, messages = blocks(payload)
            header = moldudp64.DOWNSTREAM_HEADER
            assert decode(header, payload[:header.size]) == {
                "session": session.decode("ascii").strip(), "sequence_number": sequence,
                "message_count": len(messages)}
            assert sequence > 0 and messages
            offset = header.size
            for octets in messages:
                end = offset + moldudp64.MESSAGE_BLOCK.size + len(octets)
                assert decode(moldudp64.MESSAGE_BLOCK, payload[offset:end])["data"] == octets
                offset = end


def ones_complement(octets: bytes) -> int:
    """Ones' complement sum of 16-bit words (RFC 1071)."""
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_recorded_network_headers_are_read_by_the_tables(shared_data):
    for path in captures(shared_data, "itch50") + captures(shared_data, "ouch50"):
        for _, frame in frames(path):
            ethernet = decode(network.ETHERNET, frame[:14])
            offset = 14
            if ethernet["ether_type"] == network.ETHER_TYPE_VLAN:
                tag = decode(network.VLAN, frame[14:18])
                assert tag["ether_type"] == network.ETHER_TYPE_IPV4
                assert tag["control"] & network.VLAN_IDENTIFIER_MASK > 0
                offset = 18
            header = frame[offset:offset + network.IPV4.size]
            ip = decode(network.IPV4, header)
            assert ip["version_length"] == network.IPV4_VERSION << 4 | network.IPV4_HEADER_WORDS
            assert ip["header_checksum"] == 0 or ones_complement(header) == 0xFFFF
            assert ip["flags_fragment"] & network.FRAGMENT_OFFSET_MASK == 0
            protocol, transport, payload = network_headers(frame)
            assert ip["protocol"] == protocol
            if protocol == network.PROTOCOL_UDP:
                udp = decode(network.UDP, transport)
                assert udp["length"] == network.UDP.size + len(payload)
                group = ip["destination"]
                assert group >> 28 == 0b1110
                # RFC 1112: the low 23 bits of a group are those of the Ethernet address.
                assert ethernet["destination"] == 0x01005E000000 | group & 0x7FFFFF
            else:
                tcp = decode(network.TCP, transport[:network.TCP.size])
                assert tcp["offset_flags"] >> 12 == len(transport) // 4
                assert tcp["offset_flags"] & 0xFF == network.TCP_PSH | network.TCP_ACK
                assert (tcp["source_port"], tcp["destination_port"]) == \
                    struct.unpack_from(">HH", transport)


def soup_payloads(shared_data: Path):
    """Yield stamp, packet and payload of each recorded SoupBinTCP packet."""
    for path in captures(shared_data, "ouch50"):
        for stamp, frame in frames(path):
            _, _, payload = network_headers(frame)
            length, kind = struct.unpack_from(">Hc", payload)
            assert len(payload) == length + 2
            packet = soupbintcp.BY_TYPE[kind.decode("ascii")]
            values = decode(packet, payload)
            assert values["length"] == length
            yield stamp, packet, values.get("message", b"")


def test_every_recorded_ouch_message_is_read_field_by_field(shared_data):
    seen = set()
    for stamp, packet, octets in soup_payloads(shared_data):
        seen.add(packet.name)
        if not octets:
            assert packet is soupbintcp.SERVER_HEARTBEAT
            continue
        by_type = ouch50.INBOUND if packet is soupbintcp.UNSEQUENCED_DATA else ouch50.OUTBOUND
        message = by_type[chr(octets[0])]
        values = expect_fields(message, spec_formats.OUCH50[message.name], octets)
        expect_codes(message, octets)
        assert 0 < values["quantity"] <= ouch50.QUANTITY_MAX
        assert 0 < values["price"] <= ouch50.PRICE_MAX
        assert values["user_ref_num"] >= ouch50.USER_REF_NUM_FIRST
        if "timestamp" in values:
            expect_time_of_frame(values["timestamp"], stamp)
        options = ouch50.decode_appendage(values["appendage"])
        assert values["appendage_length"] == len(values["appendage"]) > 0
        tags = {tag for tag, field in ouch50.OPTIONS.items() if field.name in options}
        assert len(tags) == len(options) and tags <= set(ouch50.ALLOWED_OPTIONS[message.name])
        assert ouch50.encode_appendage(options) == values["appendage"]
        seen.add(message.name)
    assert seen == {"unsequenced_data", "sequenced_data", "server_heartbeat",
                    "enter_order", "order_accepted"}


def test_sizes_frame_a_file_that_has_no_lengths(shared_data):
    path = shared_data / "ritch" / "ex20101224.TEST_ITCH_50"
    if not path.is_file():
        pytest.skip("no file ../shared/data/ritch/ex20101224.TEST_ITCH_50")
    content, offset, counts = path.read_bytes(), 0, {}
    while offset < len(content):
        length, tag = struct.unpack_from(">HB", content, offset)
        size = itch50.SIZES[tag]
        assert length == 0 and size > 0
        counts[chr(tag)] = counts.get(chr(tag), 0) + 1
        expect_codes(itch50.BY_TYPE[chr(tag)], content[offset + 2:offset + 2 + size])
        offset += itch50.BINARY_FILE_LENGTH_SIZE + size
    # The counts that the file's own readme prints.
    assert counts == {"S": 6, "R": 3, "H": 3, "A": 4997, "F": 3, "E": 198, "D": 1745, "P": 5000,
                      "U": 12, "X": 45}


def test_lengths_of_a_binary_file_are_the_sizes_of_the_tables(shared_data):
    path = shared_data / "lobster" / "AAPL_2012-06-21_oracle.itch"
    if not path.is_file():
        pytest.skip("no file ../shared/data/lobster/AAPL_2012-06-21_oracle.itch")
    content, offset, count = path.read_bytes(), 0, 0
    while offset < len(content):
        length, tag = struct.unpack_from(">HB", content, offset)
        assert length == itch50.SIZES[tag]
        offset += itch50.BINARY_FILE_LENGTH_SIZE + length
        count += 1
    assert offset == len(content) and count == 1026
