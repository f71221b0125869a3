"""``tickwire decode`` prints one line a message, and a reason where there is none.

Method: the command runs in this process on files packed by hand; lines are read back from its
output. One run in a process of its own shows that a reader may stop listening.
"""

import json
import subprocess
import sys

import pytest

from tests import captures
from tests.reference import itch
from tickwire.commands.decode import decode
from tickwire.errors import InputError, TickwireError

MESSAGES = (itch.system(b"O", stamp=1), itch.add(7, 42, b"S", 100, 1_000_100, 2, "ZTEST"),
            itch.delete(7, 42, 3))
LINES = [
    "1 00:00:00.000000001 S system_event stock_locate=0 tracking_number=0 event_code=O",
    "2 00:00:00.000000002 A add_order stock_locate=7 tracking_number=0 order_reference=42 side=S "
    "shares=100 stock=ZTEST price=100.0100",
    "3 00:00:00.000000003 D order_delete stock_locate=7 tracking_number=0 order_reference=42",
]


@pytest.fixture
def day(tmp_path):
    path = tmp_path / "day.itch"
    path.write_bytes(itch.binary_file(MESSAGES))
    return path


def printed(capsys, *arguments, **options):
    status = decode(*arguments, **options)
    return status, capsys.readouterr().out.splitlines()


def test_a_message_is_a_line(day, capsys):
    assert printed(capsys, day) == (0, LINES)


def test_only_so_many_messages_or_types_as_asked_for(day, capsys):
    assert printed(capsys, day, limit=2) == (0, LINES[:2])
    assert printed(capsys, day, types="D,S") == (0, [LINES[0], LINES[2]])
    assert printed(capsys, day, types="D, A", limit=1) == (0, LINES[1:2])
    assert printed(capsys, day, types="X") == (0, [])


def test_json_is_an_object_a_line_with_raw_numbers_and_the_place(day, capsys):
    _, lines = printed(capsys, day, json=True, types="A")
    assert [json.loads(line) for line in lines] == [{
        "place": "octet 14", "sequence": 2, "protocol": "itch50", "type": "A",
        "name": "add_order", "stock_locate": 7, "tracking_number": 0, "timestamp": 2,
        "order_reference": 42, "side": "S", "shares": 100, "stock": "ZTEST", "price": 1_000_100}]


@pytest.mark.parametrize(("options", "sentence"), (
    ({"limit": 0}, "--limit must be 1 or more, not 0."),
    ({"types": "A,?"}, "--type must name types such as A or A,D,U, not '?'."),
    ({"types": "AD"}, "--type must name types such as A or A,D,U, not 'AD'."),
    ({"types": "A,Z"}, "--type must name types such as A or A,D,U, not 'Z'."),
    ({"types": ","}, "--type must name types such as A or A,D,U, not ''."),
))
def test_an_option_that_cannot_be_is_one_sentence(day, options, sentence):
    with pytest.raises(TickwireError) as caught:
        decode(day, **options)
    assert str(caught.value) == sentence


def test_a_message_of_unknown_type_is_a_line_with_its_place_and_the_status_is_1(tmp_path, capsys):
    path = tmp_path / "strange.itch"
    path.write_bytes(itch.binary_file([MESSAGES[0], b"z\x01\x02", MESSAGES[2]]))
    status, lines = printed(capsys, path)
    assert status == 1 and len(lines) == 3
    assert lines[1].startswith("octet 14: ") and "no message of type 'z'" in lines[1]
    assert lines[1].endswith("7a0102") or "7a0102" in lines[1]


def test_damage_is_raised_after_the_lines_before_it(day, capsys):
    day.write_bytes(day.read_bytes()[:-1])
    with pytest.raises(InputError, match="cut short: message 3 begins at octet"):
        decode(day)
    assert capsys.readouterr().out.splitlines() == LINES[:2]


def test_a_capture_shows_messages_and_why_other_frames_have_none(tmp_path, capsys):
    frames = [captures.ethernet(captures.ipv4(captures.udp(captures.mold(5, *MESSAGES)))),
              captures.ethernet(b"", 0x86DD),
              captures.ethernet(captures.ipv4(captures.udp(captures.mold(8))))]
    path = tmp_path / "day.pcap"
    path.write_bytes(captures.pcap(*frames))
    status, lines = printed(capsys, path)
    assert status == 0 and len(lines) == 5
    assert [line.split()[0] for line in lines] == ["5", "6", "7", "#", "8"]
    assert lines[3] == "# frame 2: ether type 0x86dd is not IPv4"
    assert "downstream_header" in lines[4] and "message_count=0" in lines[4]


@pytest.mark.parametrize("octets", [
    captures.pcap(), captures.pcap(captures.ethernet(b"", 0x86DD)),
    itch.binary_file([b"", b""])])
def test_an_input_without_any_message_ends_with_a_sentence_and_status_3(tmp_path, octets):
    path = tmp_path / "other"
    path.write_bytes(octets)
    with pytest.raises(InputError, match="/other holds no message of ITCH 5.0, OUCH") as caught:
        decode(path, types="S")
    assert caught.value.exit_code == 3


FEED_PORT = 26477


def frame_of(payload, port=FEED_PORT):
    return captures.ethernet(captures.ipv4(captures.udp(payload, port)))


def written(tmp_path, *frames):
    path = tmp_path / "day.pcap"
    path.write_bytes(captures.pcap(*frames))
    return path


def test_a_malformed_packet_is_a_line_with_the_reason_after_its_whole_blocks(tmp_path, capsys):
    payloads = [captures.mold(5, *MESSAGES)[:-1], captures.mold(0, MESSAGES[0]),
                captures.mold(1 << 63, MESSAGES[0]), captures.mold(8, MESSAGES[2]) + b"ab",
                captures.mold(9, count=3), b"short"]
    path = written(tmp_path, *map(frame_of, payloads))
    status = decode(path)
    lines, warnings = (text.splitlines() for text in capsys.readouterr())
    assert status == 1
    assert [line.split()[0] for line in lines] == ["5", "6", "#", "0", str(1 << 63), "8", "#",
                                                   "#"]
    reason = ("frame 1: MoldUDP64 block 3 of 3 does not fit the payload of "
              f"{len(payloads[0])} octets")
    assert lines[2] == f"# {reason}"
    for line, sequence in ((lines[3], 0), (lines[4], 1 << 63)):
        assert line.endswith(f"  # MoldUDP64 sequence number {sequence} cannot be; the device "
                             "drops the packet")
    assert lines[5].endswith("  # octets after the last block: 2")
    assert lines[6] == "# frame 5: MoldUDP64 block 1 of 3 does not fit the payload of 20 octets"
    assert lines[7] == "# frame 6: 5 octets are left, but a MoldUDP64 header has 20"
    assert warnings == [f"Warning: {path} has 4 malformed packets, the first is {reason}."]


def changed(frame, at, *octets):
    return frame[:at] + bytes(octets) + frame[at + len(octets):]


GOOD = frame_of(captures.mold(5, MESSAGES[0]))


@pytest.mark.parametrize(("bad", "reason"), [
    (changed(GOOD, 24, GOOD[24] ^ 1), "IPv4 header checksum 0x"),
    (changed(GOOD, 14, 0x44), "IPv4 header has 4 words, not 5."),
    (changed(GOOD, 38, 0, 7), "UDP length is 7, but "),
    (changed(GOOD, 60, 0, 9), "MoldUDP64 block 2 of 9 does not fit the payload of 34 octets"),
    (frame_of(bytes(12)), "12 octets are left, but a MoldUDP64 header has 20"),
    (GOOD[:40], "IPv4 total length is 62, but 26 octets are there"),
])
def test_malformed_packets_are_told_on_standard_error_and_the_status_is_1(tmp_path, capsys, bad,
                                                                          reason):
    for number, frames in ((1, [bad, GOOD]), (2, [GOOD, bad, bad])):
        path = written(tmp_path, *frames)
        for options in ({}, {"json": True}, {"types": "S"}):
            assert decode(path, **options) == 1
            error = capsys.readouterr().err
            assert error.startswith(f"Warning: {path} has {number} malformed packets, the first "
                                    f"is frame {number}: {reason}")
            assert error.endswith(".\n") and error.count("\n") == 1
    assert decode(path, limit=1) == 0                       # not as far as that


def test_what_goes_elsewhere_is_no_malformed_packet(tmp_path, capsys):
    others = (frame_of(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\3www", 53), captures.ethernet(b"", 0x806),
              captures.ethernet(captures.ipv4(b"\x11" * 8, protocol=2)),
              captures.ethernet(captures.ipv4(captures.tcp(b"GET / HTTP/1.1\r\n"), 6)))
    assert decode(written(tmp_path, *others, GOOD, *others)) == 0
    assert capsys.readouterr().err == ""
    assert decode(written(tmp_path, *others, GOOD, GOOD), limit=1) == 0     # of messages
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("#") for line in lines] == [True] * len(others) + [False]


def test_a_message_of_a_capture_that_cannot_be_decoded_is_told(tmp_path, capsys):
    path = written(tmp_path, GOOD, frame_of(captures.mold(6, MESSAGES[1], b"z123", b"D")))
    assert decode(path) == 1
    assert capsys.readouterr().err == (f"Warning: {path} has 2 messages that could not be decoded, "
                                       "the first at frame 2 block 2.\n")


def test_the_session_is_told_where_it_is_another_one_and_in_every_object(tmp_path, capsys):
    path = written(tmp_path, GOOD, frame_of(captures.mold(6, *MESSAGES[1:])),
                   frame_of(captures.mold(1, *MESSAGES[:2], session=b"NEXT      ")),
                   frame_of(captures.mold(8, session=b"LAST      ")))
    _, lines = printed(capsys, path)
    assert [line.partition("  # ")[2] for line in lines] == [
        "session '000010059B'", "", "", "session 'NEXT'", "", ""]
    assert "session=LAST" in lines[5]
    _, lines = printed(capsys, path, json=True)
    assert [json.loads(line)["session"] for line in lines] == [
        *["000010059B"] * 3, "NEXT", "NEXT", "LAST"]


def test_an_order_inside_a_session_packet_is_shown_as_the_order(tmp_path, capsys):
    cancel = b"X" + (5).to_bytes(4, "big") + bytes(4) + bytes(2)
    packets = [captures.soup(b"U", cancel), captures.soup(b"R"), captures.soup(b"S", b"?")]
    path = tmp_path / "orders.pcap"
    path.write_bytes(captures.pcap(captures.ethernet(captures.ipv4(
        captures.tcp(b"".join(packets)), 6))))
    _, lines = printed(capsys, path)
    assert [line.split()[1] for line in lines] == [
        "cancel_order", "client_heartbeat", "sequenced_data"]


def test_a_reader_that_stops_listening_ends_the_command_quietly(tmp_path):
    path = tmp_path / "day.itch"
    path.write_bytes(itch.binary_file(MESSAGES * 20_000))
    with subprocess.Popen([sys.executable, "-m", "tickwire.cli", "decode", str(path)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().decode().strip() == LINES[0]
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
