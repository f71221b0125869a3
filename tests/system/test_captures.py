"""Recordings that nobody here made come out of the sources message for message.

Method: every file of ../shared/data is read and compared with a reader of a few lines that knows
nothing of the project, and with what the recordings' description says of them.
"""

import gzip
import struct
from collections import Counter

import pytest

from tests.captures import ones_complement
from tickwire.errors import InputError
from tickwire.feed import open_source
from tickwire.feed.detect import detect
from tickwire.feed.frames import SoupStreams, listing, mold, unwrap
from tickwire.spec.itch50 import SIZES

ITCH = {
    "itch50/AddOrderNoMpidAttributionMessage.pcap": "A", "itch50/Multiple.Packets.pcap": None,
    "itch50/OrderDeleteMessage.pcap": "D", "itch50/OrderReplaceMessage.pcap": "U",
    "itch50_reframed/AddOrderNoMPID.pcap": "A", "itch50_reframed/AddOrderWithMPID.pcap": "F",
    "itch50_reframed/NonCrossTrade.pcap": "P", "itch50_reframed/OrderCancel.pcap": "X",
    "itch50_reframed/OrderExecuted.pcap": "E",
    "itch50_reframed/OrderExecutedWithPrice.pcap": "C",
    "itch50_reframed/StockTradingAction.pcap": "H", "itch50_reframed/SystemEvent.pcap": "S",
}
# Whoever framed those anew gave their packets the number zero, which the protocol does not have.
UNNUMBERED = "MoldUDP64 sequence number 0 cannot be; the device drops the packet"
OUCH = {"EnterOrderMessage.pcap": (b"U", 53), "OrderAcceptedMessage.pcap": (b"S", 73),
        "ServerHeartbeatPacket.pcap": (b"H", 0)}


def whole(frame):
    """Fill in the IPv4 header checksum that the re-framed captures do not have."""
    place = 18 if frame[12:14] == b"\x81\0" else 14
    if frame[place + 10:place + 12] != b"\0\0":
        return frame
    return (frame[:place + 10] + ones_complement(frame[place:place + 20]).to_bytes(2, "big")
            + frame[place + 12:])


def captured(octets):
    """Frames of a little-endian pcap, and their stamps in its own units."""
    place = 24
    while place < len(octets):
        seconds, fraction, size, _ = struct.unpack_from("<IIII", octets, place)
        yield (seconds, fraction), octets[place + 16:place + 16 + size]
        place += 16 + size


@pytest.mark.parametrize("name", [*ITCH, *(f"ouch50/{name}" for name in OUCH),
                                  "mdp3/MdIncrementalRefreshBook.pcap",
                                  "mdp3/MdIncrementalRefreshOrderBook.pcap",
                                  "mdp3/MdIncrementalRefreshTradeSummary.pcap",
                                  "mdp3/MdIncrementalRefreshVolume.pcap"])
def test_a_capture_gives_its_frames_and_stamps(shared_data, name):
    path = shared_data / "omi_pcaps" / name
    octets = path.read_bytes()
    unit = 1 if octets[:4] == b"\x4d\x3c\xb2\xa1" else 1000
    with open_source(path) as source:
        assert source.kind == "pcap"
        found = [(stamp, frame) for chunk in source
                 for stamp, frame in zip(chunk.frames["timestamp"].tolist(), chunk, strict=True)]
        assert source.counts["checksums_filled"] == (len(found) if "reframed" in name else 0)
    assert found == [(seconds * 10**9 + fraction * unit, whole(frame))
                     for (seconds, fraction), frame in captured(octets)]


@pytest.mark.parametrize(("name", "kind"), ITCH.items())
def test_an_itch_capture_gives_messages_of_the_right_lengths(shared_data, name, kind):
    with open_source(shared_data / "omi_pcaps" / name) as source:
        items = list(listing(source))
    note = UNNUMBERED if "reframed" in name else ""
    assert items and all(item.protocol == "itch50" and item.note == note for item in items)
    for item in items:
        assert len(item.octets) == SIZES[item.octets[0]]
        assert kind is None or chr(item.octets[0]) == kind
    if kind is None:
        assert Counter(chr(item.octets[0]) for item in items) == {"D": 1, "A": 36, "F": 2}


def test_sessions_and_sequences_are_those_of_the_wire(shared_data):
    with open_source(shared_data / "omi_pcaps/itch50/Multiple.Packets.pcap") as source:
        packets = [mold(unwrap(frame).payload) for chunk in source for frame in chunk]
    assert [(packet.session, packet.sequence, packet.count, packet.excess)
            for packet in packets] == [("000010059B", 0xE149D0, 1, 0),
                                       ("000010059B", 0x01220E5D, 38, 0)]


@pytest.mark.parametrize(("name", "expected"), OUCH.items())
def test_an_ouch_capture_gives_soupbintcp_packets(shared_data, name, expected):
    with open_source(shared_data / "omi_pcaps/ouch50" / name) as source:
        frames = [frame for chunk in source for frame in chunk]
    streams = SoupStreams()
    packets = [packet for frame in frames for packet in streams.take(unwrap(frame))[0]]
    assert [(packet[2:3], len(packet) - 3) for packet in packets] == [expected]


def test_a_capture_of_another_feed_is_skipped_with_reasons(shared_data):
    for path in sorted((shared_data / "omi_pcaps/mdp3").glob("*.pcap")):
        with open_source(path) as source:
            items = list(listing(source))
        assert items and all(item.protocol in ("", "moldudp64") for item in items)


def test_a_day_without_lengths_gives_what_its_writer_says(shared_data):
    octets = (shared_data / "ritch/ex20101224.TEST_ITCH_50").read_bytes()
    with open_source(shared_data / "ritch/ex20101224.TEST_ITCH_50") as source:
        messages = [message for chunk in source for message in chunk]
        assert source.counts == {"zero_length": 12_012} and len(source.warnings) == 1
    assert Counter(chr(message[0]) for message in messages) == {
        "S": 6, "R": 3, "H": 3, "A": 4997, "F": 3, "E": 198, "D": 1745, "P": 5000, "U": 12, "X": 45}
    assert b"".join(bytes(2) + message for message in messages) == octets


@pytest.mark.parametrize("chunk_size", [100, 4096, 1 << 22])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_real_order_flow_is_the_same_in_chunks_of_any_size(shared_data, tmp_path, chunk_size,
                                                           is_compressed):
    octets = (shared_data / "lobster/AAPL_2012-06-21_oracle.itch").read_bytes()
    path = tmp_path / "flow"
    path.write_bytes(gzip.compress(octets) if is_compressed else octets)
    with detect(path, chunk_size) as source:
        messages = [message for chunk in source for message in chunk]
    assert len(messages) == 1_026
    assert b"".join(struct.pack(">H", len(m)) + m for m in messages) == octets


def test_real_order_flow_cut_anywhere_keeps_every_whole_message(shared_data, tmp_path):
    octets = (shared_data / "lobster/AAPL_2012-06-21_oracle.itch").read_bytes()
    path, whole, place = tmp_path / "flow", [], 0
    while place < len(octets):
        place += 2 + int.from_bytes(octets[place:place + 2], "big")
        whole.append(place)
    for size in range(1, len(octets), 997):
        path.write_bytes(octets[:size])
        count = 0
        try:
            with open_source(path) as source:
                for chunk in source:
                    count += len(chunk)
            assert size in whole
        except InputError as error:
            assert f"the file ends {size - (whole[count - 1] if count else 0)} " in str(error)
        assert count == sum(end <= size for end in whole)
