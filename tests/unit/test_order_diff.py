"""``tickwire diff --intents``: two devices trade while they replay, and their orders are compared.

Method: kernels against kernels, of which one may be told to err. The card itself is compared in
``tests/gateware/test_trading_card.py``.
"""

import json

import pytest

from tests import captures
from tests.reference import itch
from tickwire.cli import main
from tickwire.device import order_diff
from tickwire.device.order_diff import Driven, packets_of, read_intents
from tickwire.errors import InputError
from tickwire.feed import open_source
from tickwire.spec.intents import Operation

MESSAGES = [itch.system(b"O"), itch.directory(1, "AAA"), itch.action(1, b"T"),
            itch.add(1, 10, b"B", 100, 1_000_000), itch.add(1, 11, b"S", 100, 1_000_300),
            itch.add(1, 12, b"B", 50, 1_000_100), itch.delete(1, 12)]
ORDER = {"operation": "NEW", "locate": 1, "flags": 0, "price": 1_000_000, "quantity": 100}
INTENTS = [
    {"after": 5, "intent_id": 1, **ORDER}, {"after": 5, "intent_id": 2, **ORDER, "price": 0},
    {"after": 5, "operation": "SETTLE_ACCEPTED", "token": 1, "quantity": 100, "price": 1_000_000},
    {"after": 6, "operation": "PRE_ARM", "locate": 1, "price": 1_000_300, "quantity": 10,
     "kind": 1, "slot": 2, "generation": 1, "trigger_price": 1_000_000},
    {"after": 6, "operation": "SETTLE_FILLED", "token": 1, "quantity": 40, "price": 1_000_000,
     "match_number": 3},
    {"after": 7, "operation": "CANCEL", "token": 1}]


@pytest.fixture
def files(tmp_path):
    """A BinaryFILE and intents for it."""
    day, intents = tmp_path / "day.itch", tmp_path / "intents.jsonl"
    day.write_bytes(itch.binary_file(MESSAGES))
    intents.write_text("\n".join(map(json.dumps, INTENTS)) + "\n\n")
    return day, intents


def test_a_file_ends_a_packet_where_an_intent_is_due(files):
    day, intents = files
    cuts = [planned.after for planned in read_intents(intents)]
    with open_source(day) as source:
        assert [packet.messages for packet in packets_of(source, cuts)] == [5, 6, 7]
    with open_source(day) as source:
        assert [packet.messages for packet in packets_of(source, [])] == [7]


def test_a_device_equals_itself_orders_included(files, capsys):
    day, intents = files
    assert main(["diff", "software", "software", str(day), "--intents", str(intents)]) == 0
    count, what = capsys.readouterr().out.split(maxsplit=1)
    assert what == "records, 0 differences\n"
    # Eight of the market, and of orders: sent, refused, accepted, filled, sent, and the trigger's.
    assert int(count) >= 14


def test_an_order_that_differs_is_named_and_counted(files, capsys, monkeypatch):
    day, intents = files
    given = Driven.intents
    seen = []

    def erring(self, rows):
        seen.append(self)
        rows = [row.copy() for row in rows]
        for row in rows:
            if self is not seen[0] and row[0]["operation"] == Operation.CANCEL:
                row[0]["quantity"] = 7         # shares that are to remain
        given(self, rows)
    monkeypatch.setattr(order_diff.Driven, "intents", erring)
    assert main(["diff", "software", "software", str(day), "--intents", str(intents)]) == 1
    out = capsys.readouterr().out
    assert out.endswith("1 differences\n")
    [line] = [line for line in out.splitlines() if line.startswith("* quantity")]
    assert line.split()[2:] == ["0", "7"]
    assert "bid 100 at 1,000,000" in out or "no best price" in out


@pytest.mark.parametrize(("line", "complaint"), [
    ("nonsense", "'nonsense' is no JSON object"),
    ("[1]", "'[1]' is no JSON object"),
    ('{"after": 1}', "operation must be one of NOP, NEW"),
    ('{"after": -1, "operation": "NEW"}', "after must be a number of messages, not -1"),
    ('{"operation": "NEW"}', "after must be a number of messages, not None"),
    ('{"after": 9, "operation": "NEW", "prize": 1}', "NEW has no field 'prize'"),
    ('{"after": 9, "operation": "NEW", "crc": 1}', "NEW has no field 'crc'"),
    ('{"after": 9, "operation": "NEW", "quantity": 4294967296}',
     "quantity must be 0 to 4,294,967,295, not 4294967296"),
    ('{"after": 9, "operation": "NEW", "price": "12"}', "price must be"),
    ('{"after": 4, "operation": "NEW"}', "after 4 comes behind after 5"),
    ('{"after": 9, ' + " " * 5_000, "a line has at most 4,096 octets")])
def test_a_line_that_is_no_intent_is_told_after_those_before_it(tmp_path, line, complaint):
    path = tmp_path / "intents.jsonl"
    path.write_text('{"after": 5, "operation": "NOP"}\n' + line + "\n")
    found = []
    with pytest.raises(InputError) as raised:
        found.extend(read_intents(path))
    assert f"{path}, line 2: {complaint}" in str(raised.value)
    with pytest.raises(InputError, match="Cannot read"):
        list(read_intents(tmp_path / "none"))


def test_a_file_of_intents_that_cannot_be_read_ends_with_a_sentence(files, tmp_path, capsys):
    day, _ = files
    bad = tmp_path / "bad.jsonl"
    bad.write_text("?\n")
    assert main(["diff", "software", "software", str(day), "--intents", str(bad)]) != 0
    assert "line 1: '?' is no JSON object" in capsys.readouterr().err


def test_a_file_without_intents_is_no_comparison_of_orders(files, capsys):
    day, intents = files
    intents.write_text("\n")
    assert main(["diff", "software", "software", str(day), "--intents", str(intents)]) == 3
    told = capsys.readouterr()
    assert (told.out, "holds no intents" in told.err) == ("", True)


@pytest.mark.parametrize("line", ['{"operation": [], "after": 0}',
                                  '{"operation": {"a": 1}, "after": 0}'])
def test_an_operation_that_is_no_name_is_told(tmp_path, line):
    path = tmp_path / "intents.jsonl"
    path.write_text(line)
    with pytest.raises(InputError, match="line 1: operation must be one of"):
        list(read_intents(path))


def test_a_line_of_nothing_but_brackets_is_told(tmp_path):
    path = tmp_path / "intents.jsonl"
    path.write_text("[" * 4_000)
    with pytest.raises(InputError, match="line 1: .* is no JSON object"):
        list(read_intents(path))


def test_more_symbols_than_the_geometry_has_are_refused(files, capsys):
    day, intents = files
    assert main(["diff", "software", "software", str(day), "--intents", str(intents),
                 "--symbols", "A,B,C,D,E"]) == 2
    assert "room for 4 instruments, not for 5" in capsys.readouterr().err


def test_an_intent_behind_the_end_of_the_recording_is_told(files, capsys):
    day, intents = files
    intents.write_text(json.dumps({"after": 8, "intent_id": 1, **ORDER}))
    assert main(["diff", "software", "software", str(day), "--intents", str(intents)]) == 3
    told = capsys.readouterr()
    assert told.out.endswith("records, 0 differences\n")
    assert "is to be given after 8 messages, and the recording has 7." in told.err


def test_a_message_that_both_lines_brought_counts_once(tmp_path):
    packets = [(line, 101 + number, message) for number, message in enumerate(MESSAGES)
               for line in (0, 1)]
    frames = [captures.ethernet(captures.ipv4(
        captures.udp(captures.mold(number, message), 26_401),
        destination=("239.192.64.1", "239.192.64.2")[line])) for line, number, message in packets]
    path = tmp_path / "day.pcap"
    path.write_bytes(captures.pcap(*frames))
    with open_source(path) as source:
        assert [packet.messages for packet in packets_of(source, [])] == [
            1 + number for number in range(len(MESSAGES)) for _ in (0, 1)]
