"""Messages become one line of text or of JSON each, whatever the octets are.

Method: octets are packed with ``struct`` at the offsets that the venues print; the expected lines
are written by hand. Drawn octets show that nothing raises and no control character comes through.
"""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire import decode
from tickwire.spec import glimpse50, itch50, moldudp64, ouch50, soupbintcp

NINE_THIRTY = 34_200_000_000_001
ADD = struct.pack(">cHH6sQcI8sI", b"A", 7, 0, NINE_THIRTY.to_bytes(6, "big"), 42, b"S", 100,
                  b"ZTEST   ", 1_000_100)
ENTER = struct.pack(">cIcI8sQccccc14sH", b"O", 5, b"T", 100, b"ZTEST   ", 1_000_100, b"0", b"Y",
                    b"P", b"N", b"N", b"ORDER 5       ", 12) + \
    b"\x05\x02FIRM" + b"\x05\x07\xff\xff\xff\x9c"


def test_an_itch_message_is_an_entry_with_raw_numbers():
    assert decode.describe_itch(ADD) == {
        "protocol": "itch50", "type": "A", "name": "add_order", "stock_locate": 7,
        "tracking_number": 0, "timestamp": NINE_THIRTY, "order_reference": 42, "side": "S",
        "shares": 100, "stock": "ZTEST", "price": 1_000_100}


def test_a_line_shows_dollars_and_the_time_of_day():
    assert decode.line(decode.describe_itch(ADD)) == (
        "09:30:00.000000001 A add_order stock_locate=7 tracking_number=0 order_reference=42 "
        "side=S shares=100 stock=ZTEST price=100.0100")


def test_a_price_with_8_decimals_is_shown_with_8():
    octets = struct.pack(">cHH6sQQQ", b"V", 0, 0, bytes(6), 1, 123_456_789_012, (1 << 64) - 1)
    assert decode.line(decode.describe_itch(octets)).endswith(
        "level_1=0.00000001 level_2=1234.56789012 level_3=184467440737.09551615")


def test_json_is_one_line_with_raw_numbers():
    text = decode.json_line(decode.describe_itch(ADD))
    assert "\n" not in text and '"price":1000100' in text
    assert json.loads(text) == decode.describe_itch(ADD)


def test_an_order_shows_its_options():
    entry = decode.describe_ouch_in(ENTER)
    assert entry["options"] == {"firm": "FIRM", "peg_offset": -100}
    assert "appendage" not in entry and entry["appendage_length"] == 12
    assert decode.line(entry) == (
        "O enter_order user_ref_num=5 side=T quantity=100 symbol=ZTEST price=100.0100 "
        "time_in_force=0 display=Y capacity=P iso_eligible=N cross_type=N "
        'cl_ord_id="ORDER 5" appendage_length=12 firm=FIRM peg_offset=-100')


def test_directions_of_ouch_are_told_apart():
    canceled = struct.pack(">cQIIc", b"C", NINE_THIRTY, 5, 100, b"U")
    assert decode.describe_ouch_out(canceled)["name"] == "order_canceled"
    assert decode.describe_ouch_in(canceled)["error"] == \
        "OUCH 5.0 mass_cancel has at least 19 octets, not 18."


def test_packets_of_a_session_are_entries_too():
    assert decode.line(decode.describe_soup(b"\0\1H")) == "H server_heartbeat length=1"
    assert decode.describe_soup(b"\0\4Sabc") == {
        "protocol": "soupbintcp", "type": "S", "name": "sequenced_data", "length": 4,
        "message": "616263"}


def test_no_field_has_the_name_of_another_part_of_an_entry():
    parts = {"protocol", "type", "name", "error", "octets", "sequence", "options"}
    for module in (itch50, glimpse50, ouch50, soupbintcp, moldudp64):
        for message in module.MESSAGES:
            assert not parts & {field.name for field in message.fields}, message.name


@pytest.mark.parametrize(("octets", "sentence"), [
    (b"", "ITCH 5.0 message must have a type octet at offset 0, not 0 octets."),
    (b"z12", "ITCH 5.0 has no message of type 'z' (0x7A)."),
    (b"\x1b", "ITCH 5.0 has no message of type '\\x1b' (0x1B)."),
    (b"\xe9", "ITCH 5.0 has no message of type '\\xe9' (0xE9)."),
    (ADD[:-1], "ITCH 5.0 add_order has 36 octets, not 35."),
    (ADD + b"x", "ITCH 5.0 add_order has 36 octets, not 37."),
])
def test_what_cannot_be_decoded_is_an_entry_with_a_sentence(octets, sentence):
    entry = decode.describe_itch(octets)
    assert entry["error"] == sentence
    assert decode.line(entry).startswith(f"error: {sentence}")
    assert entry["octets"] == octets.hex()


def test_octets_of_an_error_are_shown_up_to_a_limit():
    entry = decode.describe_itch(b"A" + bytes(1000))
    assert entry["octets"] == "41" + "00" * 63 + "..."


def test_text_with_control_characters_is_quoted():
    octets = ADD[:24] + b"\x1b[2J\n   " + ADD[32:]
    assert 'stock="\\u001b[2J\\n"' in decode.line(decode.describe_itch(octets))


def test_the_message_that_ends_a_spin_is_not_taken_for_another():
    entry = decode.describe_glimpse(b"G" + b"12345".rjust(20))
    assert (entry["name"], entry["sequence_number"]) == ("end_of_snapshot", "12345")
    assert decode.describe_glimpse(ADD)["name"] == "add_order"


def datagram(*messages, count=None):
    head = struct.pack(">10sQH", b"SESSION001", 9, len(messages) if count is None else count)
    return head + b"".join(struct.pack(">H", len(octets)) + octets for octets in messages)


def test_a_datagram_is_its_header_and_its_messages_with_numbers():
    entries = list(decode.describe_datagram(datagram(ADD, b"z", ADD)))
    assert [entry.get("sequence") for entry in entries] == [None, 9, 10, 11]
    assert entries[0]["message_count"] == 3
    assert entries[2]["error"] == "ITCH 5.0 has no message of type 'z' (0x7A)."
    assert decode.line(entries[1]).startswith("9 09:30:00.000000001 A add_order ")


@pytest.mark.parametrize(("octets", "sentence"), [
    (b"SESSION", "MoldUDP64 downstream_header has 20 octets, not 7."),
    (datagram(ADD, count=2),
     "MoldUDP64 block 1 at offset 58 does not fit the datagram of 58 octets."),
    (datagram(ADD)[:-1], "MoldUDP64 block 0 at offset 20 does not fit the datagram of 57 octets."),
    (datagram(ADD) + b"\0", "MoldUDP64 datagram has 1 octets after its last block."),
    (datagram(count=1) + b"\0",
     "MoldUDP64 block 0 at offset 20 does not fit the datagram of 21 octets."),
])
def test_a_damaged_datagram_ends_with_a_sentence(octets, sentence):
    assert list(decode.describe_datagram(octets))[-1]["error"] == sentence


def test_a_heartbeat_and_an_end_of_session_have_no_messages():
    assert len(list(decode.describe_datagram(datagram()))) == 1
    assert len(list(decode.describe_datagram(datagram(count=0xFFFF)))) == 1


@given(octets=st.binary(max_size=80), name=st.sampled_from(list(decode.DESCRIBE)))
def test_any_octets_give_one_printable_line_and_one_json_object(octets, name):
    entry = decode.DESCRIBE[name](octets)
    assert decode.line(entry).isprintable() and decode.line(entry).isascii()
    assert json.loads(decode.json_line(entry)) == entry


@given(st.binary(max_size=200))
def test_any_datagram_gives_bounded_printable_lines(octets):
    lines = [decode.line(entry) for entry in decode.describe_datagram(octets)]
    assert all(text.isprintable() for text in lines)
    assert len(lines) <= 2 + len(octets) // 2


@pytest.mark.parametrize(("value", "text"), [
    (0, "0.0000"), (1, "0.0001"), (9_999, "0.9999"), (10_000, "1.0000"), (-5, "-0.0005")])
def test_dollars_are_exact(value, text):
    assert decode.dollars(value) == text
