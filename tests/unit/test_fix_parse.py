"""A FIX message is framed, indexed and validated as the specification and QuickFIX have it.

Method: messages by hand, framed by the rig; each fault with the reason, tag and words that
certification tests compare, and the order in which faults are told. Everything outside the valid:
cut, lengthened, with lying lengths and counts, octets at random.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fix_rig import HEADER, ORDER, TIME, framed, message
from tickwire.orders.fix.parse import Receiver, parse
from tickwire.orders.fix.rules import Options, Rules
from tickwire.spec.fix import Garbled

OWN = {begin: Rules.own(begin) for begin in ("FIX.4.2", "FIX.4.4", "FIXT.1.1")}
RULES = OWN["FIX.4.4"]


def fault(octets: bytes, rules: Rules = RULES) -> tuple[int, int] | None:
    """Reason and tag of the first fault."""
    parsed = parse(octets, rules)
    assert not parsed.garbled, parsed
    return None if parsed.fault is None else (int(parsed.fault.reason), parsed.fault.tag)


def test_a_message_tells_its_header():
    parsed = parse(message("D", ORDER, header=f"34=17|43=Y|49=A|52={TIME}|56=B|97=Y|122={TIME}|"),
                   RULES)
    assert (parsed.begin_string, parsed.msg_type, parsed.seq_num) == ("FIX.4.4", "D", 17)
    assert (parsed.sender, parsed.target) == ("A", "B")
    assert parsed.is_possible_duplicate and parsed.is_possible_resend and not parsed.is_admin
    assert parsed.sending_time == parsed.orig_sending_time == 1_795_823_999_123_000_000
    assert parsed.fault is None and parsed.garbled == ""
    assert parsed.find(55) == b"INTC" and parsed.find(99) is None
    assert parsed.integer(34) == 17 and parsed.integer(55) is None
    assert parsed.body().decode() == ORDER.replace("|", "\x01")


def test_admin_types_are_those_of_the_session():
    admin = [kind for kind in (*"012345AD8j6", "AE") if parse(message(kind), None).is_admin]
    assert admin == [*"012345A"]


FAULTS = [
    # reason, tag, words, type, body, header
    (0, 999, "Invalid tag number", "0", "999=HI|", HEADER),
    (0, 0, "Invalid tag number", "0", "0=HI|", HEADER),
    (0, -1, "Invalid tag number", "0", "-1=HI|", HEADER),
    (0, 5000, "Invalid tag number", "0", "5000=HI|", HEADER),
    (1, 56, "Required tag missing", "0", "", f"34=2|49=TW|52={TIME}|"),
    (1, 11, "Required tag missing", "D", ORDER.removeprefix("11=ID|"), HEADER),
    (1, 52, "Required tag missing", "0", "", "34=2|49=TW|56=ISLD|"),
    (2, 55, "Tag not defined for this message type", "0", "55=MSFT|", HEADER),
    (4, 58, "Tag specified without a value", "D", ORDER + "58=|", HEADER),
    (5, 21, "Value is incorrect (out of range) for this tag", "D",
     ORDER.replace("21=1", "21=4"), HEADER),
    (5, 167, "Value is incorrect (out of range) for this tag", "D", ORDER + "167=BOO|", HEADER),
    (6, 38, "Incorrect data format for value", "D", ORDER + "38=+200.00|", HEADER),
    (11, 0, "Invalid MsgType", "*", "", HEADER),
    (13, 40, "Tag appears more than once", "D", ORDER + "40=2|", HEADER),
    (14, 34, "Tag specified out of required order", "D", ORDER + HEADER, ""),
    (14, 34, "Tag specified out of required order", "D", ORDER.removeprefix("11=ID|") + HEADER,
     "11=ID|"),
    (14, 58, "Tag specified out of required order", "D", ORDER + "93=1|89=x|58=late|", HEADER),
    (16, 386, "Incorrect NumInGroup count for repeating group", "D",
     ORDER + "386=3|336=PRE-OPEN|336=AFTER-HOURS|", HEADER),
]


@pytest.mark.parametrize(("reason", "tag", "words", "kind", "body", "header"), FAULTS)
def test_a_fault_has_reason_tag_and_words(reason, tag, words, kind, body, header):
    parsed = parse(message(kind, body, header=header), RULES)
    assert parsed.fault is not None
    assert (parsed.fault.reason, parsed.fault.tag, parsed.fault.text) == (reason, tag, words)


@pytest.mark.parametrize("begin", OWN)
def test_the_versions_find_the_same_faults(begin):
    assert fault(message("D", ORDER, begin), OWN[begin]) is None
    assert fault(message("D", ORDER + "40=2|", begin), OWN[begin]) == (13, 40)
    assert fault(message("0", "55=X|", begin), OWN[begin])[0] == (0 if begin == "FIXT.1.1" else 2)


def test_of_several_faults_the_one_is_told_that_is_checked_first():
    many = "999=x|386=2|336=A|38=+1|21=9|58=|"          # unknown, count, format, value, empty
    body = ORDER.replace("21=1|", "") + many
    assert fault(message("D", body)) == (5, 21)           # by ascending tag, whatever the place
    assert fault(message("D", body.replace("11=ID|", ""))) == (1, 11)
    assert fault(message("*", body)) == (11, 0)
    assert fault(message("*", body + "34=9|")) == (14, 34)


def test_fields_may_come_in_any_order_within_their_section():
    shuffled = f"40=1|55=MSFT|60={TIME}|54=1|21=3|11=id|"
    assert fault(message("D", shuffled, header=f"49=TW|34=3|56=ISLD|52={TIME}|")) is None


def test_options_loosen_what_they_name():
    loose = Rules.own("FIX.4.4", Options(check_user_defined=False))
    assert fault(message("0", "5000=HI|"), loose) is None
    assert fault(message("0", "999=HI|"), loose) == (0, 999)
    empty = Rules.own("FIX.4.4", Options(check_has_value=False))
    assert fault(message("D", ORDER + "58=|38=|"), empty) is None
    unordered = Rules.own("FIX.4.4", Options(check_order=False))
    assert fault(message("D", ORDER + HEADER, header=""), unordered) is None
    lenient = Rules.own("FIX.4.4", Options(allow_unknown=True))
    assert fault(message("0", "55=X|999=y|"), lenient) is None
    assert fault(message("0", "0=y|"), lenient) == (0, 0)


PARTY = "448=A|447=D|452=1|"
GROUPS = [
    (None, "453=0|"),
    (None, "453=2|" + PARTY + PARTY),
    (None, "453=1|448=A|452=1|447=D|"),                    # members in any order
    (None, "453=2|448=A|802=2|523=a|803=1|523=b|803=2|448=B|"),
    (None, "453=1|448=A|802=0|"),
    ((16, 453), "453=1|" + PARTY + PARTY),
    ((16, 453), "453=-1|"),
    ((16, 453), "453=999999999999999999|" + PARTY),
    ((16, 453), "453=1|"),
    ((16, 453), "453=0|" + PARTY),
    ((16, 453), "453=1|447=D|"),                           # an entry without its first tag
    ((16, 802), "453=1|448=A|802=2|523=a|"),
    ((16, 802), "453=2|448=A|802=1|448=B|"),
    ((13, 452), "453=1|448=A|452=1|452=2|"),
    ((6, 453), "453=x|"),
    ((5, 447), "453=1|448=A|447=?|"),
    ((4, 448), "453=1|448=|"),
    ((13, 453), "453=1|448=A|58=x|453=1|448=B|"),
]


@pytest.mark.parametrize(("expected", "body"), GROUPS)
def test_repeating_groups_are_counted_and_checked(expected, body):
    assert fault(message("D", ORDER + body)) == expected


def test_a_group_of_the_header_is_one():
    hops = f"627=2|628=H1|629={TIME}|628=H2|"
    assert fault(message("0", header=HEADER + hops)) is None
    assert fault(message("0", header=HEADER + hops.replace("627=2", "627=3"))) == (16, 627)


def test_required_members_of_a_group_are_asked_for_in_each_entry():
    email = f"164=T|94=0|147=s|33=2|58=one|355=|58=two|42={TIME}|"
    assert fault(message("C", email.replace("355=|", ""))) is None
    trade = f"571=1|570=N|32=1|31=1|75=20260101|60={TIME}|552=1|54=1|"
    assert fault(message("AE", trade)) == (1, 37)


FORMATS = [
    (38, "0 1 100 -5 1.5 .5 5. 00100.250", ". - -. 1.2.3 1e5 +1 1,5 1- 0x10"),
    (54, "1 8", "11 Z"),
    (114, "Y N", "y T YN"),
    (60, "20260228-00:00:00 20240229-23:59:60 20260101-00:00:00.123 20260101-00:00:00.123456789",
     "20260229-00:00:00 20261301-00:00:00 20260100-00:00:00 20260101 20260101-24:00:00 "
     "20260101-00:60:00 20260101-00:00:61 20260101-00:00:00.1 20260101T00:00:00 2026010a-00:00:00 "
     "20260101-00:00:00.12x 20260101-0:000:00 20260101-00:00:00, 00000000-00:00:00"),
    (75, "20260101", "2026010 202601011 20260132 2026-1-1"),
    (200, "202601 20260131 202601w2", "202613 202601w6 202601x1 2026"),
    (108, "30 0 -1 007", "3.0 x 30x 1234567890123456789"),
]


@pytest.mark.parametrize(("tag", "good", "bad"), FORMATS)
def test_values_have_the_form_of_their_type(tag, good, bad):
    kind, body = ("A", "98=0|") if tag == 108 else ("D", ORDER.replace(f"{tag}=", "1="))
    if tag in (54, 60):
        body = "|".join(f for f in ORDER.split("|") if not f.startswith(f"{tag}="))
    for value in good.split():
        assert fault(message(kind, f"{body}{tag}={value}|")) is None, value
    for value in bad.split():
        assert fault(message(kind, f"{body}{tag}={value}|")) in ((6, tag), (5, tag)), value


def test_several_values_in_one_field_are_each_looked_up():
    assert fault(message("D", ORDER + "18=1 G 6|")) is None
    assert fault(message("D", ORDER + "18=1 ? 6|")) == (5, 18)
    assert fault(message("D", ORDER + "18=1  6|")) == (5, 18)
    assert fault(message("D", ORDER + "18=|")) == (4, 18)


def test_raw_data_is_taken_by_its_length():
    body = "95=9|96=a\x01b=c\x0110=|58=x|"
    parsed = parse(message("A", "98=0|108=30|95=9|96=a\x01b=c\x0110=|"), RULES)
    assert parsed.fault is None and parsed.find(96) == b"a\x01b=c\x0110="
    assert parse(message("A", body), None).find(96) == b"a\x01b=c\x0110="
    for lie in ("8", "10", "0", "999999999999999999"):
        lying = parse(message("A", f"98=0|108=30|95={lie}|96=abcdefghi|"), RULES)
        assert (lying.fault.reason, lying.fault.tag) == (6, 95), lie
    assert fault(message("A", "98=0|108=30|95=x|96=abc|")) == (6, 95)
    assert fault(message("A", "98=0|108=30|96=abc|")) is None      # without a length: to the SOH


def test_text_is_latin_1():
    assert parse(message("D", ORDER + "58=caf\xe9 \xff|"), RULES).text(58) == "caf\xe9 \xff"


def receiver(**options) -> Receiver:
    return Receiver(RULES, **options)


GOOD = message("0")


@pytest.mark.parametrize(("cause", "octets"), [
    (Garbled.CHECKSUM, GOOD[:-4] + b"999\x01"),
    (Garbled.CHECKSUM, GOOD[:-7] + b"10=1\x01"),
    (Garbled.CHECKSUM, GOOD[:-4] + b"12a\x01"),
    (Garbled.BODY_LENGTH, GOOD.replace(b"9=49", b"9=39", 1)),
    (Garbled.BODY_LENGTH, b"8=FIX.4.4\x019=x\x0135=0\x01"),
    (Garbled.BODY_LENGTH, b"8=FIX.4.4\x019=-5\x0135=0\x01"),
    (Garbled.TOO_LONG, b"8=FIX.4.4\x019=999999999\x0135=0\x01"),
    (Garbled.FIRST_FIELDS, framed("8=FIX.4.4|34=3|35=0|49=TW|56=ISLD|")),
    (Garbled.FIRST_FIELDS, b"8=FIX.4.4\x0135=0\x019=5\x01"),
    (Garbled.FIRST_FIELDS, b"8=" + b"x" * 40),
    (Garbled.NO_TAG, framed("8=FIX.4.4|35=0|garbled=TW|")),
    (Garbled.NO_TAG, framed("8=FIX.4.4|35=0|34|")),
    (Garbled.NO_TAG, framed("8=FIX.4.4|35=0|=5|")),
    (Garbled.NO_TAG, framed("8=FIX.4.4|35=0|1234567890=5|")),
    (Garbled.NO_TAG, framed("8=FIX.4.4|35=0||")),
    (Garbled.NO_MESSAGE, b"35=0\x01"),
    (Garbled.NO_MESSAGE, b"\x00" * 50),
])
def test_what_is_no_message_is_passed_over_and_the_next_one_is_read(cause, octets):
    stream = receiver()
    stream.feed(octets + GOOD)
    first = stream.next()
    assert first.garbled_cause == cause and first.garbled
    while (found := stream.next()) is not None and found.garbled:
        pass
    assert found is not None and found.octets == GOOD and stream.pending == 0
    assert stream.garbled >= 1


def test_a_length_that_is_too_long_takes_the_next_message_with_it():
    size = len(message("D", ORDER))
    length = int(message("D", ORDER).split(b"\x01")[1][2:]) + 10
    long = message("D", ORDER).replace(message("D", ORDER).split(b"\x01")[1], b"9=%d" % length)
    stream = receiver()
    stream.feed(long + GOOD + GOOD)
    assert stream.next().size == size + len(GOOD)
    assert stream.next().octets == GOOD and stream.next() is None


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_a_stream_may_be_cut_anywhere(cuts, noise):
    messages = [message("D", ORDER + f"58={n}|") for n in range(4)]
    octets = b"x" * noise + b"".join(messages)
    stream, found, place = receiver(octets_max=1024, message_octets_max=512), [], 0
    while place < len(octets):
        size = cuts[place % len(cuts)]
        stream.feed(octets[place:place + size])
        place += size
        while (parsed := stream.next()) is not None:
            found.append(parsed)
    assert [p.octets for p in found if not p.garbled] == messages and stream.pending == 0


def test_a_gigabyte_without_a_delimiter_is_held_in_bounded_memory():
    stream, piece = receiver(octets_max=1 << 16, message_octets_max=1 << 13), b"8" * (1 << 15)
    for begin in (b"", b"8=FIX.4.4\x019=8000\x01", b"8="):
        stream.feed(begin)
        for _ in range(64):                # the same octets again: a gigabyte needs no longer run
            stream.feed(piece)
            while stream.next() is not None:
                assert stream.pending <= 1 << 16
            assert stream.pending <= 1 << 13
    with pytest.raises(BufferError):
        stream.feed(b"8" * (1 << 17))
    stream.clear()
    stream.feed(GOOD)
    assert stream.next().octets == GOOD


def test_octets_can_be_received_in_place():
    stream = receiver(octets_max=4096, message_octets_max=1024)
    for _ in range(200):
        space = stream.space()
        space[:len(GOOD)] = GOOD
        del space
        stream.received(len(GOOD))
        assert stream.next().octets == GOOD
    with pytest.raises(ValueError, match="have room"):
        stream.received(1 << 20)


def test_a_part_is_told_apart_from_a_message():
    for size in range(2, len(GOOD)):
        assert parse(GOOD[:size], RULES).garbled_cause in (Garbled.TRUNCATED, Garbled.NO_MESSAGE)
    assert parse(GOOD + b"x", RULES).garbled


@given(st.binary(max_size=300))
@example(b"8=\x019=\x0135=\x0110=000\x01")
@settings(max_examples=300, deadline=None)
def test_no_octets_harm_a_receiver(octets):
    for rules in (RULES, None):
        stream = Receiver(rules, octets_max=2048, message_octets_max=256)
        stream.feed(octets)
        total = 0
        while (parsed := stream.next()) is not None:
            assert parsed.size > 0
            total += parsed.size
        assert total + stream.pending == len(octets)
        stream.clear()
        stream.feed(GOOD)
        assert stream.next().octets == GOOD


FIELD = st.tuples(st.sampled_from([1, 11, 34, 35, 38, 43, 52, 54, 58, 93, 89, 95, 96, 97, 122, 212,
                                   213, 336, 354, 355, 386, 447, 448, 452, 453, 523, 627, 628, 802,
                                   803, 5000, 0, -3, 99999]),
                  st.one_of(st.integers(-3, 12).map(str), st.text("AYN19.- |=", max_size=6),
                            st.just(TIME)))


@given(st.lists(FIELD, max_size=30), st.sampled_from("D80AC*"), st.sampled_from([*OWN, None]))
@settings(max_examples=400, deadline=None)
def test_any_fields_are_indexed_whole_and_never_out_of_their_message(fields, kind, begin):
    text = "".join(f"{tag}={value}\x01" for tag, value in fields).replace("|", "\x01")
    octets = framed(f"8={begin or 'FIX.4.4'}|35={kind}|".replace("|", "\x01") + text)
    parsed = parse(octets, OWN.get(begin))
    if parsed.garbled:
        assert parsed.garbled_cause == Garbled.NO_TAG
        return
    rebuilt = b"".join(b"%d=%b\x01" % pair for pair in parsed.pairs())
    assert rebuilt == octets
    if begin:
        assert parsed.message().msg_type == kind
