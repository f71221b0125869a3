"""Every protocol table has the layout that the venue prints.

Method: offsets and sizes are compared with struct formats written by hand, with the lengths of
the venue's documents and, where it lies beside the tree, with the collected facts; the generic
encoder and decoder are run against ``struct`` inside and outside of what is legal.
"""

import json
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import spec_formats
from tickwire.spec import glimpse50, itch50, moldudp64, network, ouch50, soupbintcp
from tickwire.spec.wire import Field, Message, decode, encode

PROTOCOLS = (
    (itch50, spec_formats.ITCH50), (ouch50, spec_formats.OUCH50),
    (soupbintcp, spec_formats.SOUPBINTCP), (moldudp64, spec_formats.MOLDUDP64),
    (network, spec_formats.NETWORK), (glimpse50, spec_formats.GLIMPSE50),
)
CASES = [pytest.param(message, formats[message.name], id=f"{module.__name__[14:]}-{message.name}")
         for module, formats in PROTOCOLS for message in module.MESSAGES]


def places(message):
    """Offset and size of every part of a message, the type octet included, by offset."""
    found = [(offset, field.size) for field, offset in message.placed() if field.size]
    return sorted([*found, (message.tag_offset, 1)] if message.tag else found)


@pytest.mark.parametrize(("message", "form"), CASES)
def test_offsets_and_sizes_are_those_written_by_hand(message, form):
    assert places(message) == spec_formats.offsets(form)
    assert message.size == struct.calcsize(form)


@pytest.mark.parametrize(("module", "formats"), PROTOCOLS)
def test_every_message_of_the_document_has_a_table(module, formats):
    assert [message.name for message in module.MESSAGES] == list(formats)


def test_sizes_of_itch_are_those_that_the_document_prints():
    by_type = {tag: message.size for tag, message in itch50.BY_TYPE.items()}
    assert by_type == spec_formats.ITCH50_SIZES
    assert {chr(tag): size for tag, size in enumerate(itch50.SIZES) if size} == by_type
    assert len(itch50.SIZES) == 256


def test_every_itch_message_begins_with_the_same_header():
    for message in itch50.MESSAGES:
        assert [(field.name, offset, field.size) for field, offset in message.placed()][:3] == [
            ("stock_locate", 1, 2), ("tracking_number", 3, 2), ("timestamp", 5, 6)]
        assert message.size > itch50.HEADER_SIZE


def test_type_octets_are_unique_in_their_direction():
    assert len(ouch50.INBOUND) == 8
    assert len(ouch50.OUTBOUND) == 18
    assert "".join(sorted(ouch50.INBOUND)) == "CDEMOQUX"
    assert "".join(sorted(ouch50.OUTBOUND)) == "ABCDEFGIJKMPQRSTUX"
    assert "".join(sorted(soupbintcp.BY_TYPE)) == "+AHJLORSUZ"


def test_the_appendage_length_is_optional_exactly_where_the_document_says():
    for message in ouch50.MESSAGES:
        has_appendage = message.name not in spec_formats.OUCH50_WITHOUT_APPENDAGE
        assert message.is_open_ended == has_appendage
        assert message.tail_is_optional == (
            has_appendage and message.name not in spec_formats.OUCH50_LENGTH_ALWAYS)


def test_codes_fit_their_fields():
    for module, _ in PROTOCOLS:
        for message in module.MESSAGES:
            for field in message.fields:
                for code in field.codes or {}:
                    if field.kind == "ascii":
                        assert isinstance(code, str) and len(code) == field.size, (message, field)
                    else:
                        assert 0 <= code < 1 << 8 * field.size, (message.name, field.name)


def fact_type(field):
    """Type of a field in the notation of the facts."""
    if not field.size:
        return "var"
    if field.kind == "price":
        return f"{'P' if field.decimals == 8 else 'p'}{field.size}"
    if field.name == "timestamp":
        return f"ts{field.size}"
    return f"{'a' if field.kind == 'ascii' else 'u'}{field.size}"


@pytest.mark.parametrize(("title", "module"), [
    ("ITCH 5.0", itch50), ("OUCH 5.0", ouch50), ("SoupBinTCP 3.00", soupbintcp),
    ("MoldUDP64", moldudp64)])
def test_tables_agree_with_the_collected_facts(shared_data, title, module):
    path = shared_data.parent / "facts" / "protocols.json"
    if not path.is_file():
        pytest.skip("the collected facts are not beside this tree: ../shared/facts is missing")
    facts = json.loads(path.read_text())[title]
    assert len(facts) == len(module.MESSAGES)
    for row, message in zip(facts, module.MESSAGES, strict=True):
        fields = [(offset, field.name, field.size or None, fact_type(field))
                  for field, offset in message.placed()]
        if message.tag:
            fields.append((message.tag_offset, "type", 1, "a1"))
        expected = [(field["offset"], field["name"], field["length"], field["type"])
                    for field in row["fields"]]
        assert sorted(fields) == sorted(expected), message.name
        assert (message.tag, message.direction) == (row["code"], row["direction"])


def test_options_agree_with_the_printed_list():
    # tag: octets, as the list of optional fields prints them
    printed = {1: 8, 2: 4, 3: 4, 4: 1, 5: 4, 6: 1, 7: 4, 9: 8, 10: 1, 11: 4, 12: 1, 13: 4, 14: 4,
               15: 4, 16: 1, 17: 1, 18: 1, 22: 4, 23: 8, 24: 2, 25: 1, 26: 4, 27: 1, 28: 1}
    assert {tag: field.size for tag, field in ouch50.OPTIONS.items()} == printed
    assert [tag for tag, field in ouch50.OPTIONS.items() if field.kind == "int"] == [7, 11]
    assert set().union(*ouch50.ALLOWED_OPTIONS.values()) <= set(printed)


# The generic encoder and decoder


ENTER_ORDER = {
    "user_ref_num": 258, "side": "T", "quantity": 300, "symbol": "ZTEST", "price": 1000100,
    "time_in_force": "0", "display": "Y", "capacity": "A", "iso_eligible": "N",
    "cross_type": "N", "cl_ord_id": "ORDER-1",
}
ENTER_ORDER_OCTETS = b"O" + bytes.fromhex("00000102") + b"T" + bytes.fromhex("0000012c") + \
    b"ZTEST   " + bytes.fromhex("00000000000f42a4") + b"0YANN" + b"ORDER-1       "


def test_a_length_is_counted_and_an_open_end_may_be_left_out():
    assert encode(ouch50.ENTER_ORDER, ENTER_ORDER) == ENTER_ORDER_OCTETS + b"\0\0"
    firm = b"\x05\x02FIRM"
    assert encode(ouch50.ENTER_ORDER, {**ENTER_ORDER, "appendage": firm}) == \
        ENTER_ORDER_OCTETS + b"\0\6" + firm
    assert encode(soupbintcp.CLIENT_HEARTBEAT, {}) == b"\0\1R"
    assert encode(soupbintcp.UNSEQUENCED_DATA, {"message": b"abc"}) == b"\0\4Uabc"
    assert encode(soupbintcp.UNSEQUENCED_DATA, {}) == b"\0\1U"
    assert encode(moldudp64.MESSAGE_BLOCK, {"data": b"abc"}) == b"\0\3abc"


def test_text_is_padded_on_the_side_that_the_protocol_pads():
    octets = encode(soupbintcp.LOGIN_REQUEST, {
        "username": "user", "password": "secret",
        "requested_session": "", "requested_sequence": "1"})
    assert octets == b"\0\x2fLuser  secret    " + b" " * 10 + b" " * 19 + b"1"
    assert decode(soupbintcp.LOGIN_REQUEST, octets)["requested_sequence"] == "1"


def test_text_is_read_with_padding_on_either_side():
    left = b"\0\x1fA" + b"   session" + b" " * 19 + b"7"
    right = b"\0\x1fA" + b"session   " + b"7" + b" " * 19
    expected = {"length": 31, "session": "session", "sequence_number": "7"}
    assert decode(soupbintcp.LOGIN_ACCEPTED, left) == expected
    assert decode(soupbintcp.LOGIN_ACCEPTED, right) == expected


def test_an_optional_tail_may_be_absent_empty_or_full():
    body = b"X" + bytes.fromhex("00000007 00000064")
    values = {"user_ref_num": 7, "quantity": 100}
    assert encode(ouch50.CANCEL_ORDER, values) == body
    assert encode(ouch50.CANCEL_ORDER, {**values, "appendage_length": 0}) == body + b"\0\0"
    assert encode(ouch50.CANCEL_ORDER, {**values, "appendage": b"\2\x1c\1"}) == \
        body + b"\0\3\2\x1c\1"
    empty = {**values, "appendage_length": 0, "appendage": b""}
    assert decode(ouch50.CANCEL_ORDER, body) == empty
    assert decode(ouch50.CANCEL_ORDER, body + b"\0\0") == empty
    assert decode(ouch50.CANCEL_ORDER, body + b"\0\3\2\x1c\1") == {
        **values, "appendage_length": 3, "appendage": b"\2\x1c\1"}


@pytest.mark.parametrize(("message", "octets", "sentence"), [
    (itch50.ADD_ORDER, b"A" + bytes(34), "add_order has 36 octets, not 35"),
    (itch50.ADD_ORDER, b"A" + bytes(36), "add_order has 36 octets, not 37"),
    (itch50.ADD_ORDER, b"F" + bytes(35), "add_order has type 'A', not b'F'"),
    (itch50.ADD_ORDER, b"", "add_order has 36 octets, not 0"),
    (ouch50.CANCEL_ORDER, b"X" + bytes(9), "cancel_order has at least 11 octets, not 10"),
    (ouch50.CANCEL_ORDER, b"X" + bytes(8) + b"\0\1",
     "cancel_order.appendage_length is 1, but 0 octets follow"),
    (ouch50.CANCEL_ORDER, b"X" + bytes(10) + b"a",
     "cancel_order.appendage_length is 0, but 1 octets follow"),
    (ouch50.ENTER_ORDER, b"O" + bytes(44), "enter_order has at least 47 octets, not 45"),
    (soupbintcp.SERVER_HEARTBEAT, b"\0\1R", "server_heartbeat has type 'H', not b'R'"),
    (soupbintcp.SERVER_HEARTBEAT, b"\0\2H", "server_heartbeat.length is 2, but 1 octets follow"),
    (soupbintcp.SEQUENCED_DATA, b"\0\1", "sequenced_data has at least 3 octets, not 2"),
    (moldudp64.MESSAGE_BLOCK, b"\0\5abc", "message_block.length is 5, but 3 octets follow"),
])
def test_octets_that_are_not_the_message_are_refused_with_a_sentence(message, octets, sentence):
    with pytest.raises(ValueError) as caught:
        decode(message, octets)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"price": 1 << 64}, "enter_order.price must fit 8 octets, not 18446744073709551616"),
    ({"quantity": -1}, "enter_order.quantity must fit 4 octets, not -1"),
    ({"symbol": "TOOLONGXX"}, "enter_order.symbol must fit 8 octets, not 'TOOLONGXX'"),
    ({"colour": 1}, "enter_order has no field 'colour'"),
    ({"appendage_length": 1 << 16}, "enter_order.appendage_length must fit 2 octets, not 65536"),
    ({"appendage": bytes(1 << 16)}, "enter_order.appendage_length must fit 2 octets, not 65536"),
])
def test_a_value_that_does_not_fit_is_refused_with_a_sentence(changes, sentence):
    with pytest.raises(ValueError) as caught:
        encode(ouch50.ENTER_ORDER, {**ENTER_ORDER, **changes})
    assert str(caught.value) == sentence


def test_a_missing_value_is_refused_with_a_sentence():
    values = {name: value for name, value in ENTER_ORDER.items() if name != "side"}
    with pytest.raises(ValueError, match=r"^enter_order\.side is missing$"):
        encode(ouch50.ENTER_ORDER, values)


def test_a_signed_field_keeps_its_sign():
    message = Message("offset", "", "Offset", "", (Field("value", 4, "int", ""),))
    assert encode(message, {"value": -2}) == b"\xff\xff\xff\xfe"
    assert decode(message, b"\xff\xff\xff\xfe") == {"value": -2}


@given(octets=st.binary(max_size=60), message=st.sampled_from([
    message for module, _ in PROTOCOLS for message in module.MESSAGES]))
def test_any_octets_either_decode_and_encode_to_themselves_or_are_refused(octets, message):
    tag = message.tag.encode()
    octets = octets[:message.tag_offset] + tag + octets[message.tag_offset:]
    try:
        values = decode(message, octets)
    except ValueError:
        return
    again = encode(message, values)
    # Padding and an empty tail have more than one form; a second round has one.
    assert decode(message, again) == values
    assert encode(message, decode(message, again)) == again


# Appendages


def test_an_appendage_is_length_tag_value():
    octets = b"\x05\x02FIRM" + b"\x02\x12" + b"0"
    values = {"firm": "FIRM", "bbo_weight": "0"}
    assert ouch50.decode_appendage(octets) == values
    assert ouch50.encode_appendage(values) == octets
    assert ouch50.encode_appendage({"peg_offset": -5}) == b"\x05\x07\xff\xff\xff\xfb"
    assert ouch50.decode_appendage(b"\x03\x15ab") == {"option_21": b"ab"}
    assert ouch50.decode_appendage(b"") == {}


@pytest.mark.parametrize(("octets", "sentence"), [
    (b"\x05\x02FIR", "Appendage element at offset 0 has length 5, but 4 octets follow"),
    (b"\x00", "Appendage element at offset 0 has length 0, but 0 octets follow"),
    (b"\x02\x0cP\x09", "Appendage element at offset 3 has length 9, but 0 octets follow"),
    (b"\x03\x02AB", "firm has 5 octets, not 3"),
])
def test_a_damaged_appendage_is_refused_with_a_sentence(octets, sentence):
    with pytest.raises(ValueError) as caught:
        ouch50.decode_appendage(octets)
    assert str(caught.value) == sentence


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^OUCH 5\.0 has no option 'colour'$"):
        ouch50.encode_appendage({"colour": "red"})


@given(st.binary(max_size=40))
def test_any_appendage_is_decoded_or_refused(octets):
    try:
        values = ouch50.decode_appendage(octets)
    except ValueError:
        return
    assert len(values) <= len(octets) // 2


# What the tables cost


def printed_by(script):
    found = subprocess.run([sys.executable, "-c", script],
                           capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_the_tables_load_neither_numpy_nor_numba_nor_amaranth():
    script = (
        "import sys\n"
        "from tickwire.spec import itch50, ouch50, soupbintcp, moldudp64, glimpse50, network\n"
        "from tickwire.spec import records, intents, digest, pages, dissector\n"
        "digest.digest()\n"
        "print(*{'numpy', 'numba', 'llvmlite', 'amaranth'} & set(sys.modules))")
    assert printed_by(script) == ""


def test_dtypes_and_generated_sources_load_neither_numba_nor_amaranth():
    script = ("import sys\nfrom tickwire.spec import generate\ngenerate.files()\n"
              "print(*{'numba', 'llvmlite', 'amaranth'} & set(sys.modules))")
    assert printed_by(script) == ""
