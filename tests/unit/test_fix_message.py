"""Messages as values: made by hand or parsed, encoded in the order that others expect, sent again.

Method: octets by hand; values there and back by hypothesis; QuickFIX reads what is encoded where it
is installed.
"""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fix_rig import HEADER, ORDER, TIME, framed, message
from tickwire.orders.fix.encode import EncodeError, assemble, encode, resend
from tickwire.orders.fix.message import Fields, Message
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.times import read_utc_timestamp, utc_timestamp

RULES = Rules.own("FIX.4.4")
SENT = {34: 7, 49: "A", 52: TIME, 56: "B"}
PARTIES = [{448: "x", 447: "D", 452: 1, 802: [{523: "s", 803: 1}, {523: "t", 803: 2}]},
           {448: "y", 447: "D", 452: 3}]


def test_fields_go_out_in_the_order_that_certification_expects():
    order = Message("D", {60: TIME, 55: "INTC", 453: PARTIES, 11: "ID", 54: 1, 40: 2,
                          44: Decimal("1.50")},
                    {56: "B", 122: TIME, 34: 7, 97: True, 52: TIME, 49: "A", 115: "C"})
    assert encode(order, RULES) == framed(
        f"8=FIX.4.4|35=D|34=7|49=A|52={TIME}|56=B|97=Y|115=C|122={TIME}|"
        f"11=ID|40=2|44=1.50|54=1|55=INTC|60={TIME}|453=2|448=x|447=D|452=1|802=2|523=s|803=1|"
        "523=t|803=2|448=y|447=D|452=3|")


def test_members_of_a_group_go_out_in_the_order_of_the_dictionary():
    entry = {803: 1, 523: "s"}
    order = Message("D", {453: [{452: 1, 802: [entry], 447: "D", 448: "x"}]}, SENT)
    expected = b"453=1|448=x|447=D|452=1|802=1|523=s|803=1|".replace(b"|", b"\x01")
    assert expected in encode(order, RULES)


def test_a_header_of_the_session_overrides_the_message():
    octets = encode(Message("0", header={34: 1, 49: "A"}), RULES, {34: 2, 56: "B"})
    assert octets == framed("8=FIX.4.4|35=0|34=2|49=A|56=B|")


def test_raw_data_goes_out_behind_its_length():
    for given_length in ({}, {354: 99}):
        octets = encode(Message("5", {355: b"a\x01b", 58: "caf\xe9", **given_length}), RULES)
        assert octets == framed("8=FIX.4.4|35=5|58=caf\xe9|354=3|355=a\x01b|")


@pytest.mark.parametrize(("body", "words"), [
    ({58: "a\x01b"}, "58 is .*delimiter"), ({58: ""}, "58 has no value"), ({9: 1}, "9 is written"),
    ({453: [{447: "D"}]}, "begins with 448"), ({453: [{448: "D", 55: "x"}]}, "55 is no member"),
    ({58: [{1: 1}]}, "58 counts no repeating group"), ({0: "x"}, "at least 1"),
])
def test_what_cannot_be_encoded_is_refused_with_the_tag(body, words):
    with pytest.raises(EncodeError, match=words):
        encode(Message("D", body), RULES)


def test_a_message_reads_itself():
    parsed = parse(message("D", f"{ORDER}38=100|44=1.25|97=Y|"), RULES).message()
    assert parsed.name == "NewOrderSingle" and parsed[55] == "INTC" and 55 in parsed
    assert parsed.body.integer(38) == 100 and parsed.body.decimal(44) == Decimal("1.25")
    assert parsed.body.time(60) == 1_795_823_999_123_000_000 and parsed.body.groups(453) == []
    assert str(parsed).startswith("NewOrderSingle 34=2 {") and "INTC" in repr(parsed)
    assert parsed.begin_string == "FIX.4.4" and parsed.header.text(49) == "TW"
    for read in (parsed.body.integer, parsed.body.decimal, parsed.body.time):
        with pytest.raises(ValueError, match="55 is 'INTC'"):
            read(55)
    with pytest.raises(ValueError, match="no message"):
        parse(b"8=x", RULES).message()
    with pytest.raises(ValueError, match="not None"):
        Fields({1: None})


def test_groups_of_both_kinds_nest_again_when_they_are_read():
    nested = {79: "acc", 539: [{524: "n", 804: [{545: "q"}]}], 80: 5}
    order = Message("D", {11: "ID", 40: 1, 54: 1, 60: TIME, 453: PARTIES, 78: [nested, {79: "b"}]},
                    {**SENT, 627: [{628: "H", 629: TIME}]})
    parsed = parse(encode(order, RULES), RULES)
    assert parsed.fault is None and parsed.message() == order


TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\x01"),
               min_size=1, max_size=12)
SUB = st.fixed_dictionaries({523: TEXT}, optional={803: st.integers(1, 9)})
PARTY = st.fixed_dictionaries({448: TEXT}, optional={447: st.sampled_from("BCD"),
                                                     802: st.lists(SUB, max_size=3)})


@given(st.dictionaries(st.sampled_from([1, 58, 11, 55]), TEXT), st.lists(PARTY, max_size=3),
       st.binary(max_size=20), st.integers(1, 10**12))
@settings(max_examples=100, deadline=None)
def test_there_and_back_nothing_is_lost(body, parties, data, number):
    whole = {11: "i", 40: 1, 54: 1, 60: TIME, **body, 453: parties}
    if data:
        whole[355] = data
    order = Message("D", whole, {**SENT, 34: number})
    parsed = parse(encode(order, RULES), RULES)
    assert parsed.fault is None and parsed.message() == order


def test_assembled_octets_are_framed_and_their_header_sorted():
    octets = assemble(b"FIX.4.2", b"1", [(56, b"B"), (34, b"1"), (49, b"A")], b"112=x\x01")
    assert octets == framed("8=FIX.4.2|35=1|34=1|49=A|56=B|112=x|")


LATER = "20261128-00:00:00.000"


@pytest.mark.parametrize(("header", "expected"), [
    (f"34=2|49=TW|52={TIME}|56=ISLD|", f"34=2|43=Y|49=TW|52={LATER}|56=ISLD|122={TIME}|"),
    (f"34=2|43=N|49=TW|52={TIME}|56=ISLD|97=Y|128=X|",
     f"34=2|43=Y|49=TW|52={LATER}|56=ISLD|97=Y|122={TIME}|128=X|"),
    (f"34=2|43=Y|49=TW|52={TIME}|56=ISLD|122=20260101-00:00:00|",
     f"34=2|43=Y|49=TW|52={LATER}|56=ISLD|122=20260101-00:00:00|"),
    (f"34=2|49=TW|52={TIME}|56=ISLD|212=5|213=a\x01b=c|",
     f"34=2|43=Y|49=TW|52={LATER}|56=ISLD|122={TIME}|212=5|213=a\x01b=c|"),
    (f"34=2|49=TW|52={TIME}|56=ISLD|90=3|91=\x0152|128=X|",
     f"34=2|43=Y|49=TW|52={LATER}|56=ISLD|90=3|91=\x0152|122={TIME}|128=X|"),
])
@pytest.mark.parametrize("body", [ORDER, "", ORDER + "9999=own|95=3|96=\x0152|"])
def test_a_stored_message_goes_out_again_with_nothing_else_changed(header, expected, body):
    octets = message("D", body, header=header)
    assert resend(octets, LATER.encode()) == message("D", body, header=expected)


def test_what_is_sent_twice_again_keeps_its_first_time():
    once = resend(message("D", ORDER), LATER.encode())
    twice = resend(once, b"20261129-00:00:00.000000")
    parsed = parse(twice, RULES)
    assert parsed.fault is None and parsed.is_possible_duplicate
    assert parsed.text(122) == TIME and parsed.text(52) == "20261129-00:00:00.000000"


@pytest.mark.parametrize("octets", [
    b"", b"8=FIX.4.4\x01", b"x" * 100, message("D", header="34=1|49=A|56=B|"),
    message("D")[:-3], b"8=" + b"F" * 60 + b"\x019=5\x0135=0\x0152=x\x0110=000\x01"])
def test_what_is_no_message_is_not_sent_again(octets):
    with pytest.raises(EncodeError, match="no message"):
        resend(octets, LATER.encode())


@given(st.binary(max_size=120))
@settings(max_examples=200, deadline=None)
def test_no_octets_harm_resending(octets):
    for candidate in (octets, b"8=F\x019=1\x01" + octets + b"\x0110=000\x01"):
        with contextlib.suppress(EncodeError):
            assert resend(candidate, LATER.encode()).startswith(b"8=")


@pytest.mark.parametrize(("time", "digits", "text"), [
    (0, 3, "19700101-00:00:00.000"), (1_795_823_999_123_456_789, 9, "20261127-23:59:59.123456789"),
    (951_782_400_000_000_000, 0, "20000229-00:00:00"), (951_868_799_999_999_999, 6,
                                                        "20000229-23:59:59.999999")])
def test_times_are_written_and_read(time, digits, text):
    assert utc_timestamp(time, digits).decode() == text
    unit = 10 ** (9 - digits)
    assert read_utc_timestamp(text.encode()) == time // unit * unit


@given(st.integers(0, 4_102_444_800 * 10**9))
@settings(max_examples=200, deadline=None)
def test_times_agree_with_the_calendar(time):
    from datetime import UTC, datetime
    expected = datetime.fromtimestamp(time // 10**9, UTC).strftime("%Y%m%d-%H:%M:%S")
    assert utc_timestamp(time, 0).decode() == expected
    assert read_utc_timestamp(utc_timestamp(time, 9)) == time


def test_a_time_that_is_none_is_told():
    assert read_utc_timestamp(b"20260101") == -1 and read_utc_timestamp(b"0" * 99) == -1
    with pytest.raises(ValueError, match="0, 3, 6 or 9"):
        utc_timestamp(0, 4)
    assert parse(message("0", header=HEADER.replace(TIME, "now")), RULES).sending_time == -1
