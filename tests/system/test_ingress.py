"""Recorded frames of a real feed reach the books message for message.

Method: each capture of ../shared/data goes frame by frame through receiver, arbiter and book. What
must come out is read from the same octets by a reader of a few lines in this file. The re-framed
captures have no checksum, group, port or numbers of their own; the test fills those in.
"""

import struct
from collections import Counter

import numpy as np
import pytest

from tests.captures import ones_complement
from tests.feed_rig import FeedRig
from tests.reference import records
from tickwire.kernels.receive import MALFORMED
from tickwire.spec.geometry import Geometry
from tickwire.spec.records import FeedState, Line

GROUP, PORT = "233.54.12.111", 26477
SESSION = "000010059B"
WHOLE_MARKET = Geometry(instruments=16_384, orders_log2=8, levels_log2=8, sweep_queue=2,
                        window_words=4)
IP_AT = 18                                 # all of these frames have one VLAN tag
PAYLOAD_AT = IP_AT + 28
RAW = ("AddOrderNoMpidAttributionMessage", "Multiple.Packets", "OrderDeleteMessage",
       "OrderReplaceMessage")
REFRAMED = {"AddOrderNoMPID": "A", "AddOrderWithMPID": "F", "NonCrossTrade": "P",
            "OrderCancel": "X", "OrderExecuted": "E", "OrderExecutedWithPrice": "C",
            "StockTradingAction": "H", "SystemEvent": "S"}


def captured(path) -> list[bytes]:
    octets, frames, place = path.read_bytes(), [], 24
    while place < len(octets):
        size = struct.unpack_from("<I", octets, place + 8)[0]
        frames.append(octets[place + 16:place + 16 + size])
        place += 16 + size
    return frames


def blocks(frame: bytes) -> tuple[int, list[bytes]]:
    """Return the number of the first message of a frame, and its messages."""
    end = IP_AT + int.from_bytes(frame[IP_AT + 2:IP_AT + 4], "big")
    first, count = struct.unpack_from(">QH", frame, PAYLOAD_AT + 10)
    place, found = PAYLOAD_AT + 20, []
    for _ in range(count):
        size = int.from_bytes(frame[place:place + 2], "big")
        found.append(frame[place + 2:place + 2 + size])
        place += 2 + size
    assert place == end
    return first, found


def feed(**settings) -> FeedRig:
    rig = FeedRig(WHOLE_MARKET, both_lines=False, **settings)
    rig.memory.listen(Line.A, GROUP, PORT)
    return rig



def bbos(found: np.ndarray) -> list[dict]:
    return [row for row in (records.record(octets.tobytes()) for octets in found
                            if octets[60] != 5) if row["record"] == "bbo"]


@pytest.mark.parametrize("name", RAW)
def test_frames_as_they_came_off_the_wire_are_taken(shared_data, name):
    frames = captured(shared_data / f"omi_pcaps/itch50/{name}.pcap")
    rig = feed(start=0)
    accepted = 0
    for number, frame in enumerate(frames, 1):
        first, messages = blocks(frame)
        rig.memory.context["expected"] = first              # they are far apart in the day
        assert rig.frame(frame, 1_000 * number) == (Line.A, len(messages))
        accepted += len(messages)
        assert rig.memory.expected == first + len(messages)
    assert rig.memory.session == SESSION
    assert rig.memory.state == FeedState.LIVE
    counters = rig.counters()
    assert counters["messages"] == accepted == (39 if name == "Multiple.Packets" else 1)
    assert counters["frames_a"] == len(frames)
    for counter in ("frames_malformed", "frames_other", "packets_malformed", "wrong_length",
                    "unknown_type", "gaps"):
        assert counter not in counters


def test_the_adds_of_a_full_frame_make_the_books_that_they_say(shared_data):
    frame = captured(shared_data / "omi_pcaps/itch50/Multiple.Packets.pcap")[1]
    rig = feed(start=0)
    rig.frame(frame, 1_000)
    first, messages = blocks(frame)
    assert Counter(message[:1] for message in messages) == {b"A": 36, b"F": 2}
    best: dict[tuple[int, bytes], dict[int, int]] = {}
    shown = {}
    for number, message in enumerate(messages, first):
        locate = int.from_bytes(message[1:3], "big")
        side, shares, price = struct.unpack_from(">cI8xI", message, 19)
        side_levels = best.setdefault((locate, side), {})
        side_levels[price] = side_levels.get(price, 0) + shares
        shown[locate] = number
    lines = rig.table()
    for locate in {locate for locate, _ in best}:
        line = records.state(lines[locate].tobytes())
        bids, asks = best.get((locate, b"B"), {0: 0}), best.get((locate, b"S"), {0: 0})
        assert line["locate"] == locate
        assert (line["bid_price"], line["bid_quantity"]) == (max(bids), bids[max(bids)])
        assert (line["ask_price"], line["ask_quantity"]) == (min(asks), asks[min(asks)])
    assert {row["feed_sequence"] for row in bbos(rig.records())} <= set(range(first, first + 38))


def test_a_single_add_shows_its_price_and_shares(shared_data):
    frame, = captured(shared_data / "omi_pcaps/itch50/AddOrderNoMpidAttributionMessage.pcap")
    rig = feed(start=0)
    rig.frame(frame, 7_000)
    first, (message,) = blocks(frame)
    side, shares, price = struct.unpack_from(">cI8xI", message, 19)
    row, = bbos(rig.records())
    assert (row["feed_sequence"], row["locate"], row["timestamp"]) == (first, 5528, 7_000)
    name = "bid" if side == b"B" else "ask"
    assert (row[f"{name}_price"], row[f"{name}_quantity"], row[f"{name}_orders"]) \
        == (price, shares, 1)


@pytest.mark.parametrize("name", RAW)
def test_a_recorded_frame_with_any_octet_changed_behind_its_tag_is_refused(shared_data, name):
    frame = captured(shared_data / f"omi_pcaps/itch50/{name}.pcap")[0]
    rig = feed(start=0)
    end = IP_AT + int.from_bytes(frame[IP_AT + 2:IP_AT + 4], "big")
    for place in range(IP_AT, end):
        wrong = bytearray(frame)
        wrong[place] ^= 0x55
        assert rig.frame(bytes(wrong))[0] < 0, place
    assert rig.memory.state == FeedState.IDLE
    assert rig.frame(frame) == (Line.A, 1)


@pytest.mark.parametrize(("name", "kind"), REFRAMED.items())
def test_re_framed_frames_lack_a_checksum_and_are_refused(shared_data, name, kind):
    rig = feed()
    rig.memory.listen(Line.A, "0.0.0.0", 0)
    frames = captured(shared_data / f"omi_pcaps/itch50_reframed/{name}.pcap")
    assert [rig.frame(frame) for frame in frames] == [(MALFORMED, 0)] * len(frames)
    assert rig.counters() == {"frames_malformed": len(frames)}


@pytest.mark.parametrize(("name", "kind"), REFRAMED.items())
def test_re_framed_frames_with_checksum_and_number_are_taken(shared_data, name, kind):
    rig = feed()
    rig.memory.listen(Line.A, "0.0.0.0", 0)
    frames = captured(shared_data / f"omi_pcaps/itch50_reframed/{name}.pcap")
    for number, frame in enumerate(frames, 1):
        octets = bytearray(frame)
        struct.pack_into(">H", octets, IP_AT + 10, ones_complement(frame[IP_AT:IP_AT + 20]))
        assert rig.frame(bytes(octets)) == (Line.A, 0)      # their number is 0
        struct.pack_into(">Q", octets, PAYLOAD_AT + 10, number)
        _, messages = blocks(bytes(octets))
        assert [message[:1] for message in messages] == [kind.encode()]
        assert rig.frame(bytes(octets)) == (Line.A, 1)
    counters = rig.counters()
    assert counters["messages"] == counters["packets_malformed"] == len(frames)
    assert rig.memory.expected == len(frames) + 1
    if kind in "XEC":
        assert counters["unknown_order"] == len(frames)
    elif kind in "AF":
        assert rig.book.live_orders() == len(frames)
    else:
        shown = [row for row in rig.records() if row[60] in (4, 6)]
        assert len(shown) == len(frames)
