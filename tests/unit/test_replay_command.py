"""``tickwire replay`` keeps what is valid, says what is not, and counts everything.

Method: small files and captures packed by hand; the command runs in this process. Its tables,
summary and digest are compared with the reference book and with a digest written a second time.
"""

import gzip
import json
import struct

import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import pytest

from tests import captures
from tests.reference import itch
from tests.reference.device import Device
from tests.reference.digest import stream_digest
from tickwire.commands.replay import BOOK_TIMED, replay
from tickwire.errors import InputError, TickwireError
from tickwire.spec.geometry import Geometry

STAMP = 34_200_000_000_000
MESSAGES = (
    itch.system(b"O", stamp=STAMP),
    itch.directory(1, "AAA", stamp=STAMP + 1),
    itch.directory(2, "BBB", stamp=STAMP + 2),
    itch.add(1, 10, b"B", 100, 100_000, STAMP + 3, "AAA"),
    itch.add(1, 11, b"S", 200, 100_200, STAMP + 4, "AAA", mpid="MPID"),
    itch.add(2, 12, b"B", 300, 500_000, STAMP + 5, "BBB"),
    itch.executed(1, 10, 40, 7, STAMP + 6),
    itch.delete(2, 99, STAMP + 7),
    itch.replace(1, 11, 13, 50, 100_100, STAMP + 8),
    itch.add(1, 14, b"B", 5, 99_900, STAMP + 9, "AAA"),
)
ROWS = [                                   # sequence, instrument, bid, ask, flags
    (4, 1, (100_000, 100, 1), (0, 0, 0), 0),
    (5, 1, (100_000, 100, 1), (100_200, 200, 1), 0),
    (6, 2, (500_000, 300, 1), (0, 0, 0), 0),
    (7, 1, (100_000, 60, 1), (100_200, 200, 1), 0),
    (8, 2, (500_000, 300, 1), (0, 0, 0), 8),
    (9, 1, (100_000, 60, 1), (100_100, 50, 1), 0),
]


@pytest.fixture
def day(tmp_path):
    path = tmp_path / "day.itch"
    path.write_bytes(itch.binary_file(MESSAGES))
    return path


@pytest.fixture
def run(tmp_path):
    """Run the command; return its summary and the error that it raised, if any."""
    def command(path, **options):
        raised = None
        try:
            assert replay(path, json=tmp_path / "summary.json", progress=False, **options) == 0
        except TickwireError as error:
            raised = error
        return json.loads((tmp_path / "summary.json").read_text()), raised
    return command


def rows_of(path):
    return [(row["sequence"], row["instrument"],
             (row["bid_price"], row["bid_quantity"], row["bid_orders"]),
             (row["ask_price"], row["ask_quantity"], row["ask_orders"]), row["flags"])
            for row in parquet.read_table(path).to_pylist()]


def test_the_bbo_table_has_one_row_a_change(day, run, tmp_path):
    run(day, bbo=tmp_path / "bbo.parquet")
    assert rows_of(tmp_path / "bbo.parquet") == ROWS
    table = parquet.read_table(tmp_path / "bbo.parquet")
    assert table.column_names == [
        "timestamp_ns", "instrument", "symbol", "sequence", "bid_price", "bid_quantity",
        "bid_orders", "ask_price", "ask_quantity", "ask_orders", "flags"]
    assert table.column("symbol").to_pylist() == ["AAA", "AAA", "BBB", "AAA", "BBB", "AAA"]
    assert table.column("timestamp_ns").to_pylist() == [STAMP + n for n in (3, 4, 5, 6, 7, 8)]


def test_a_table_is_csv_when_its_name_says_so(day, run, tmp_path):
    run(day, bbo=tmp_path / "bbo.csv")
    table = arrow_csv.read_csv(tmp_path / "bbo.csv")
    assert table.column("sequence").to_pylist() == [row[0] for row in ROWS]


def test_the_levels_table_has_the_first_levels_of_both_sides(day, run, tmp_path):
    run(day, levels=2, levels_out=tmp_path / "levels.parquet")
    table = parquet.read_table(tmp_path / "levels.parquet")
    assert table.column_names == ["timestamp_ns", "instrument", "symbol", "sequence", "side",
                                  "level", "price", "quantity", "orders"]
    last = {}
    for row in table.to_pylist():
        last[row["instrument"], row["side"], row["level"]] = row["price"], row["quantity"]
    assert {key: value for key, value in last.items() if value != (0, 0)} == {
        (1, "B", 0): (100_000, 60), (1, "B", 1): (99_900, 5), (1, "S", 0): (100_100, 50),
        (2, "B", 0): (500_000, 300)}


def test_the_summary_counts_what_the_file_holds(day, run, capsys):
    summary, error = run(day)
    assert error is None
    assert {"messages", "by_type", "ns_per_message", "live_orders", "unknown",
            "digest"} <= set(summary)
    assert summary["messages"] == 10 and summary["live_orders"] == 4 and summary["unknown"] == 1
    assert summary["by_type"] == {"A": 3, "D": 1, "E": 1, "F": 1, "R": 2, "S": 1, "U": 1}
    assert summary["records"] == 3 + len(ROWS) + 1
    assert summary["seconds"] > 0 and summary["ns_per_message"] > 0
    shown = capsys.readouterr()
    assert "messages" in shown.out and summary["digest"] in shown.out
    assert shown.err.startswith("Warning: 1 executions, cancels, deletes or replaces ")
    assert shown.err.endswith("order_reference=99.\n") and shown.err.count("\n") == 1
    assert "ns a message" not in shown.out          # ten of them say nothing of a book's speed


def test_the_time_of_a_message_is_shown_where_there_are_enough_of_them(run, tmp_path, capsys):
    path = tmp_path / "long.itch"
    path.write_bytes(itch.binary_file([itch.system(b"O")] * BOOK_TIMED))
    run(path)
    assert "ns a message" in capsys.readouterr().out


@pytest.mark.parametrize(("message", "sentence", "shown"), [
    (itch.executed(1, 77, 5, 1), "are of an order that is not in the book", "order_reference=77"),
    (itch.delete(1, 77), "are of an order that is not in the book", "order_reference=77"),
    (itch.executed(1, 10, 500, 1), "are of more shares than were open", "executed_shares=500"),
    (itch.cancel(1, 10, 101), "are of more shares than were open", "canceled_shares=101"),
    (itch.add(1, 10, b"S", 1, 100_300), "are to reference 0 or one that", "order_reference=10"),
    (itch.add(1, 60, b"S", 0, 100_300), "are of no shares", "shares=0"),
    (itch.add(1, 60, b"X", 1, 100_300), "a side that is neither B nor S", "side=X"),
    (itch.add(1, 60, b"S", 1, 0), "a price of 0 or above", "price=0.0000"),
    (itch.add(1, 60, b"S", 1, 100_150), "off their instrument's tick grid", "price=10.0150"),
    (itch.add(65_535, 60, b"S", 1, 100_100), "of stock locates above", "stock_locate=65535"),
    (itch.action(65_535, b"T"), "of stock locates above", "stock_locate=65535"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_the_first_message_of_a_fault_is_told_with_its_place(run, tmp_path, message, sentence,
                                                             shown):
    path = tmp_path / "faulty.itch"
    before, after = MESSAGES[:6], [MESSAGES[6], MESSAGES[9]]
    path.write_bytes(itch.binary_file([*before, message, *after, message]))
    summary, error = run(path)
    warning, = (warning for warning in summary["warnings"] if sentence in warning)
    assert error is None and warning.startswith(("1 ", "2 "))
    assert f"; the first is message 7 at octet {len(itch.binary_file(before))}, " in warning
    assert shown in warning

def test_the_digest_is_that_of_the_records(day, run):
    summary, _ = run(day)
    device = Device(Geometry(instruments=16, orders_log2=6, levels_log2=6))
    assert summary["digest"] == f"{stream_digest(device.feed(list(MESSAGES))):016x}"


def test_a_file_of_which_nothing_is_a_message_is_an_error(run, tmp_path):
    path = tmp_path / "zeros.itch"
    path.write_bytes(bytes(1_000))
    summary, error = run(path)
    assert summary["messages"] == 0
    assert "zeros.itch holds no ITCH 5.0 message" in str(error)


def test_gzip_and_the_mark_at_the_end_change_nothing(day, run, tmp_path):
    plain, _ = run(day)
    for name, octets in (("day.gz", gzip.compress(day.read_bytes())),
                         ("ended.itch", day.read_bytes() + bytes(2)),
                         ("zero.itch", b"".join(bytes(2) + message for message in MESSAGES))):
        (tmp_path / name).write_bytes(octets)
        summary, error = run(tmp_path / name)
        assert error is None
        assert summary["digest"] == plain["digest"] and summary["messages"] == 10


def test_an_interrupted_replay_keeps_what_it_has(day, run, tmp_path, monkeypatch):
    from tickwire.device.replay import Replay

    def interrupted(self):
        yield from ()
        raise KeyboardInterrupt
    monkeypatch.setattr(Replay, "__iter__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(day, bbo=tmp_path / "bbo.parquet")
    assert json.loads((tmp_path / "summary.json").read_text())["error"] == "Interrupted."
    assert rows_of(tmp_path / "bbo.parquet") == []


def test_the_program_ends_with_a_status_and_a_sentence(day, tmp_path, capsys):
    from tickwire.cli import main
    bbo, summary = tmp_path / "bbo.parquet", tmp_path / "summary.json"
    options = ["--symbols", "AAA", "--bbo", str(bbo), "--levels", "2", "--levels-out",
               str(tmp_path / "levels.csv"), "--json", str(summary), "--tick", "100",
               "--no-progress"]
    assert main(["replay", str(day), *options]) == 0
    assert json.loads(summary.read_text())["tables"] == {
        str(bbo): 4, str(tmp_path / "levels.csv"): 5}
    assert capsys.readouterr().err == ""
    day.write_bytes(day.read_bytes()[:-1])
    assert main(["replay", str(day), *options]) == InputError.exit_code != 0
    error = capsys.readouterr().err
    assert error.startswith(f"{day} is cut short") and error.count("\n") == 1
    assert main(["replay", str(tmp_path / "none"), *options]) != 0
    assert capsys.readouterr().err == (
        f"Cannot open {tmp_path / 'none'}: No such file or directory.\n")


# Symbols


def test_only_the_symbols_asked_for_have_books(day, run, tmp_path):
    summary, error = run(day, symbols="BBB", bbo=tmp_path / "bbo.parquet")
    assert error is None
    assert rows_of(tmp_path / "bbo.parquet") == [
        (sequence, 0, bid, ask, flags) for sequence, number, bid, ask, flags in ROWS if number == 2]
    assert summary["counters"]["filtered"] == 5 and summary["messages"] == 10


def test_a_symbol_that_the_file_does_not_name_is_an_error_after_all_the_rest(day, run, tmp_path):
    summary, error = run(day, symbols="AAA,ZZZ,YYY", bbo=tmp_path / "bbo.parquet")
    assert str(error) == f"{day} has no directory message for ZZZ, YYY."
    assert error.exit_code != 0
    assert len(rows_of(tmp_path / "bbo.parquet")) == 4 and summary["messages"] == 10


def test_without_any_of_the_symbols_there_is_no_summary_to_read(day, run, capsys):
    _, error = run(day, symbols="ZZZ,YYY")
    assert str(error) == f"{day} has no directory message for ZZZ, YYY."
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("options", "sentence"), (
    ({"symbols": "TOOLONGNAME"},
     "--symbols must name stocks of 1 to 8 characters, not 'TOOLONGNAME'."),
    ({"symbols": "A,,B"}, "--symbols must name stocks of 1 to 8 characters, not ''."),
    ({"levels": 9}, "--levels must be 1 to 8, not 9."),
    ({"levels": -1}, "--levels must be 1 to 8, not -1."),
    ({"levels": 3}, "--levels 3 needs --levels-out, a file for them."),
    ({"levels_out": "levels.parquet"}, "--levels-out levels.parquet needs --levels, 1 to 8."),
    ({"tick": -1}, "--tick must be 0 to 1,048,576, not -1."),
    ({"tick": 1 << 21}, "--tick must be 0 to 1,048,576, not 2,097,152."),
    ({"bbo": "bbo.txt"}, "A table's name must end in .parquet or .csv, not bbo.txt."),
    ({"bbo": "missing/bbo.csv"}, "Cannot write missing/bbo.csv: there is no folder missing."),
    ({"json": "missing/summary.json"},
     "Cannot write missing/summary.json: there is no folder missing."),
))
def test_an_option_that_cannot_be_is_one_sentence(day, options, sentence, monkeypatch, tmp_path):
    from pathlib import Path
    monkeypatch.chdir(tmp_path)
    paths = {name: Path(value) if name in ("bbo", "levels_out", "json") else value
             for name, value in options.items()}
    with pytest.raises(TickwireError) as caught:
        replay(day, progress=False, **paths)
    assert str(caught.value) == sentence


def test_the_file_that_is_read_is_no_output(day, tmp_path):
    octets, other = day.read_bytes(), tmp_path / "other.csv"
    other.hardlink_to(day)
    for options in ({"json": day}, {"bbo": other}):
        with pytest.raises(TickwireError, match="is the file that is read, and would be lost"):
            replay(day, progress=False, **options)
    assert day.read_bytes() == octets


# Damage


def test_a_file_that_is_cut_short_gives_all_that_came_before(day, run, tmp_path):
    for missing in (1, 30, 37):
        cut = tmp_path / "cut.itch"
        cut.write_bytes(day.read_bytes()[:-missing])
        summary, error = run(cut, bbo=tmp_path / "bbo.parquet")
        assert isinstance(error, InputError) and error.exit_code != 0
        assert "is cut short: message 10 begins at octet" in str(error)
        assert summary["error"] == str(error)
        assert summary["messages"] == 9 and rows_of(tmp_path / "bbo.parquet") == ROWS


def test_a_wrong_length_ends_the_replay_with_type_length_and_place(day, run, tmp_path):
    damaged = tmp_path / "damaged.itch"
    octets = itch.binary_file(MESSAGES[:6])
    damaged.write_bytes(octets + struct.pack(">H", 30) + MESSAGES[6]
                        + itch.binary_file(MESSAGES[7:]))
    summary, error = run(damaged, bbo=tmp_path / "bbo.parquet")
    assert str(error) == (f"{damaged}: message 7 at octet {len(octets)} has type 'E' and length "
                          "30, but ITCH 5.0 gives that type 31 octets.")
    assert summary["messages"] == 6 and rows_of(tmp_path / "bbo.parquet") == ROWS[:3]


def strange_day(tmp_path, *strange):
    """File with messages that ITCH 5.0 does not have: one at the begin, the end, two between."""
    path = tmp_path / "strange.itch"
    # The first message tells that it is a BinaryFILE, so it is a known one.
    path.write_bytes(itch.binary_file([MESSAGES[0], strange[0], *MESSAGES[1:5], *strange[1:],
                                       *MESSAGES[5:], strange[0]]))
    return path


def test_messages_of_unknown_type_are_counted_and_have_their_number(day, run, tmp_path):
    path = strange_day(tmp_path, b"z" + bytes(20), b"!" + bytes(2), b"z" + b"\xff" * 40)
    summary, error = run(path, bbo=tmp_path / "bbo.parquet")
    assert error is None
    assert summary["messages"] == 14 and summary["counters"]["unknown_type"] == 4
    assert summary["by_type"]["z"] == 3 and summary["by_type"]["!"] == 1
    assert (f"{path} has messages of a type that ITCH 5.0 does not have, the first of type 'z' "
            f"at octet {2 + len(MESSAGES[0])}, message 2.") in summary["warnings"]
    assert [row[1:] for row in rows_of(tmp_path / "bbo.parquet")] == [row[1:] for row in ROWS]
    assert [row[0] for row in rows_of(tmp_path / "bbo.parquet")] == [5, 6, 9, 10, 11, 12]


def test_a_type_that_is_no_letter_is_shown_as_a_number(run, tmp_path, capsys):
    run(strange_day(tmp_path, b"\x1b" + bytes(20), b"\n" + bytes(20)))
    shown = capsys.readouterr().out
    assert "  0x1b  unknown type" in shown and "  0x0a  unknown type" in shown
    assert all(line.isprintable() for line in shown.split("\n"))


def test_a_message_of_unknown_type_marks_the_book_that_it_names(day, run, tmp_path):
    path = strange_day(tmp_path, b"z" + bytes(20), b"z\x00\x01" + bytes(8))
    run(path, bbo=tmp_path / "bbo.parquet")
    rows = rows_of(tmp_path / "bbo.parquet")
    assert (7, 1, (100_000, 100, 1), (100_200, 200, 1), 8) in rows
    assert all(flags & 8 for sequence, number, _, _, flags in rows if number == 1 and sequence > 6)
    assert (8, 2, (500_000, 300, 1), (0, 0, 0), 0) in rows


def test_a_message_too_short_to_name_a_book_marks_all_of_them(day, run, tmp_path):
    path = strange_day(tmp_path, b"z" + bytes(20), b"z")
    summary, _ = run(path, bbo=tmp_path / "bbo.parquet")
    marked = [row for row in rows_of(tmp_path / "bbo.parquet") if row[0] == 7]
    assert [row[1] for row in marked] == list(range(1, 16_384))
    assert all(row[4] == 8 for row in marked)
    assert summary["records"] == 3 + 1 + len(ROWS) - 1 + len(marked)
    stamps = parquet.read_table(tmp_path / "bbo.parquet").column("timestamp_ns").to_pylist()
    assert stamps == sorted(stamps)


def test_a_message_too_short_to_name_a_book_marks_a_chosen_one_without_a_name_too(run, tmp_path):
    strange = (*MESSAGES[1:2], b"z", MESSAGES[2], MESSAGES[5])
    path = tmp_path / "strange.itch"
    path.write_bytes(itch.binary_file(strange))
    summary, _ = run(path, symbols="AAA,BBB", bbo=tmp_path / "bbo.parquet")
    found = rows_of(tmp_path / "bbo.parquet")
    assert found == [(2, 0, (0, 0, 0), (0, 0, 0), 8), (4, 1, (500_000, 300, 1), (0, 0, 0), 8)]
    # The first packet is one that tells where the feed is.
    packets = [(0, captures.mold(1, strange[0])), (0, captures.mold(2, *strange[1:]))]
    in_capture, _ = run(capture(tmp_path, *packets), symbols="AAA,BBB", bbo=tmp_path / "bbo.csv")
    feed_states = 1                        # LIVE
    assert summary["records"] == 5 == in_capture["records"] - feed_states


def test_a_file_of_nothing_but_unknown_messages_is_read_to_its_end(run, tmp_path):
    path = tmp_path / "strange.itch"
    path.write_bytes(itch.binary_file([MESSAGES[0]] + [b"z" + bytes(3)] * 5))
    summary, error = run(path)
    assert error is None and summary["messages"] == 6 and summary["live_orders"] == 0


@pytest.mark.parametrize("octets", (b"", b"hello, world", b"\x00"))
def test_what_is_no_input_is_refused_with_its_name(octets, tmp_path):
    path = tmp_path / "input"
    path.write_bytes(octets)
    with pytest.raises(InputError, match="input"):
        replay(path, progress=False)


def test_stock_locates_that_find_no_instrument_are_told(run, tmp_path):
    path = tmp_path / "far.itch"
    path.write_bytes(itch.binary_file([itch.add(40_000, 1, b"B", 1, 10_000)] * 3))
    summary, error = run(path)
    assert error is None and summary["counters"]["unknown_locate"] == 3
    assert any("stock locates above 16,383" in warning for warning in summary["warnings"])


def test_orders_of_a_locate_that_no_directory_message_named_are_told(day, run, tmp_path):
    octets = itch.binary_file([*MESSAGES[:2], *MESSAGES[3:], itch.add(9, 20, b"S", 1, 10_000)])
    path = tmp_path / "unnamed.itch"
    path.write_bytes(octets)                                # without the directory of BBB, locate 2
    summary, error = run(path, bbo=tmp_path / "bbo.parquet")
    warning = ("3 records are of 2 stock locates that no directory message had named; their books "
               "have no symbol in the tables; the first is of locate 2, from message 5.")
    assert error is None and warning in summary["warnings"]
    assert parquet.read_table(tmp_path / "bbo.parquet").column("symbol").to_pylist() == [
        "AAA", "AAA", None, "AAA", None, "AAA", None]
    packets = [(0, captures.mold(101, *MESSAGES[:2], *MESSAGES[3:]))]
    summary, _ = run(capture(tmp_path, *packets))
    assert any(told.startswith("2 records are of 1 stock locates that no directory ")
               and told.endswith("the first is of locate 2, from number 105.")
               for told in summary["warnings"])
    for path, options in ((day, {}), (tmp_path / "unnamed.itch", {"symbols": "AAA"})):
        summary, _ = run(path, **options)
        assert not any("no directory" in told for told in summary["warnings"])


def test_a_gap_alone_is_no_order_of_a_locate_without_a_name(run, tmp_path):
    packets = [(0, captures.mold(1, *MESSAGES[:3])), (0, captures.mold(9, MESSAGES[0]))]
    summary, _ = run(capture(tmp_path, *packets))
    assert summary["counters"]["messages_lost"] == 5
    assert not any("no directory" in told for told in summary["warnings"])


# Captures


def capture(tmp_path, *packets, ports=(26477, 26477), groups=("233.54.12.111", "233.49.196.111")):
    """Capture of (line, MoldUDP64 packet) on two lines."""
    frames = [captures.ethernet(captures.ipv4(captures.udp(octets, ports[line]),
                                              destination=groups[line]))
              for line, octets in packets]
    path = tmp_path / "day.pcap"
    path.write_bytes(captures.pcap(*frames))
    return path


def test_the_messages_of_a_capture_that_are_none_of_itch_are_counted_by_type_too(run, tmp_path):
    packets = [(0, captures.mold(1, *MESSAGES[:4])),
               (0, captures.mold(5, b"z" + bytes(20), MESSAGES[4][:20], b"z", MESSAGES[5]))]
    summary, error = run(capture(tmp_path, *packets))
    assert error is None and summary["messages"] == 8
    assert summary["by_type"] == {"A": 2, "F": 1, "R": 2, "S": 1, "z": 2}


def test_a_capture_of_two_lines_gives_the_books_of_the_file(run, tmp_path):
    packets = [(line, captures.mold(1 + first, *MESSAGES[first:first + 2]))
               for first in range(0, 10, 2) for line in (0, 1)]
    summary, error = run(capture(tmp_path, *packets), bbo=tmp_path / "bbo.parquet")
    assert error is None and summary["format"] == "pcap"
    assert rows_of(tmp_path / "bbo.parquet") == ROWS
    assert summary["messages"] == 10
    assert summary["counters"]["messages_duplicate"] == 10
    assert summary["counters"]["frames_a"] == summary["counters"]["frames_b"] == 5


def test_a_unicast_answer_is_not_line_b(run, tmp_path):
    """It repeats what both lines have brought, and line B repairs line A as ever."""
    answer = captures.ethernet(captures.ipv4(captures.udp(captures.mold(1, MESSAGES[0]), 40_001),
                                             destination="10.0.0.8"))
    path = capture(tmp_path, (0, captures.mold(1, *MESSAGES[:4])), (1, captures.mold(
        1, *MESSAGES)), (0, captures.mold(9, *MESSAGES[8:])))
    whole = path.read_bytes()
    head, rest = whole[:24], whole[24:]
    path.write_bytes(head + captures.pcap(answer)[24:] + rest)
    summary, error = run(path, bbo=tmp_path / "bbo.parquet")
    assert error is None and rows_of(tmp_path / "bbo.parquet") == ROWS
    assert summary["counters"]["frames_other"] == 1


def test_each_line_repairs_the_other(run, tmp_path):
    packets = [(line, captures.mold(1 + number, message))
               for number, message in enumerate(MESSAGES) for line in (0, 1)
               if number == 0 or number % 2 == line]
    summary, error = run(capture(tmp_path, *packets), bbo=tmp_path / "bbo.parquet")
    assert error is None and rows_of(tmp_path / "bbo.parquet") == ROWS
    assert "gaps" not in summary["counters"]


def test_what_both_lines_lost_is_counted_and_flagged(run, tmp_path):
    packets = [(line, captures.mold(1 + number, message))
               for number, message in enumerate(MESSAGES) for line in (0, 1) if number != 6]
    summary, error = run(capture(tmp_path, *packets), bbo=tmp_path / "bbo.parquet")
    assert error is None
    assert summary["counters"]["messages_lost"] == 1 and summary["messages"] == 9
    assert rows_of(tmp_path / "bbo.parquet")[-1][4] & 8


def test_a_gap_before_the_directory_names_a_chosen_stock_is_no_row_of_another(run, tmp_path):
    packets = [(0, captures.mold(1, *MESSAGES[1:2], MESSAGES[3])),
               (0, captures.mold(4, MESSAGES[2], MESSAGES[5]))]
    summary, error = run(capture(tmp_path, *packets), symbols="AAA,BBB",
                         bbo=tmp_path / "bbo.parquet")
    assert error is None and summary["counters"]["messages_lost"] == 1
    assert rows_of(tmp_path / "bbo.parquet") == [
        (2, 0, (100_000, 100, 1), (0, 0, 0), 0), (3, 0, (100_000, 100, 1), (0, 0, 0), 8),
        (5, 1, (500_000, 300, 1), (0, 0, 0), 8)]
    assert summary["tables"][str(tmp_path / "bbo.parquet")] == 3


def test_a_capture_that_ends_in_a_gap_says_what_is_not_in_the_books(run, tmp_path):
    """The other line might still bring message 6, and nobody says that it will not."""
    packets = [(line, captures.mold(1 + number, message))
               for number, message in enumerate(MESSAGES) for line in (0, 1)
               if number < 5 or (line, number) == (0, 6)]
    summary, error = run(capture(tmp_path, *packets))
    assert error is None and summary["messages"] == 5
    assert summary["warnings"] == [
        "the capture ends while message 6 is awaited, which another line may have brought: "
        "nothing from there on to 7 is in the books."]


def test_a_gap_is_told_with_the_first_number_that_is_missing(run, tmp_path):
    packets = [(line, captures.mold(1 + number, message))
               for number, message in enumerate(MESSAGES) for line in (0, 1)
               if number not in (4, 6, 7)]
    summary, error = run(capture(tmp_path, *packets))
    assert error is None
    warning, = (warning for warning in summary["warnings"] if "missing" in warning)
    assert warning == ("3 messages are missing on every line; the books are marked DESYNCED from "
                       "there on; the first is number 5 of session '000010059B'.")


def test_sessions_that_follow_each_other_are_named(run, tmp_path):
    first = [(0, captures.mold(1, *MESSAGES[:4])), (1, captures.mold(1, *MESSAGES[:4]))]
    for count, told in ((1, "'000010059B', 'NEXT0' from number 3 on"),
                        (4, "'000010059B', 'NEXT0' from number 3 on, 'NEXT1' from number 4 on, "
                            "'NEXT2' from number 5 on, ...")):
        later = [(0, captures.mold(3 + number, MESSAGES[5], session=b"NEXT%d     " % number))
                 for number in range(count)]
        summary, error = run(capture(tmp_path, *first, *later))
        assert error is None
        assert (f"{1 + count} sessions follow each other, each with numbers of its own: {told}; "
                "the books go on.") in summary["warnings"]
    assert summary["counters"]["sessions"] == 5


def day_of(references, session, **locates):
    """A session that names stocks, then adds an order at each of locates 1 to 3."""
    return [(0, captures.mold(1, *(
        itch.directory(locate, symbol) for symbol, locate in locates.items()), *(
        itch.add(locate, reference, b"B", 100, 10_000 * locate)
        for locate, reference in enumerate(references, 1)), session=session))]


@pytest.mark.parametrize("symbols, expected", [
    ("ONE,TWO", [("ONE", 0, 10_000), ("TWO", 1, 20_000), ("ONE", 0, 20_000), ("TWO", 1, 30_000)]),
    ("", [("ONE", 1, 10_000), ("TWO", 2, 20_000), ("OLD", 3, 30_000), ("NEW", 1, 10_000),
          ("ONE", 2, 20_000), ("TWO", 3, 30_000)])])
def test_a_second_day_gives_its_own_locates_and_names(run, tmp_path, symbols, expected):
    """A row has the name of its own day, whenever it is written."""
    path = capture(tmp_path, *day_of((1, 2, 3), b"FIRST     ", ONE=1, TWO=2, OLD=3),
                   *day_of((11, 12, 13), b"SECOND    ", NEW=1, ONE=2, TWO=3))
    summary, error = run(path, symbols=symbols, bbo=tmp_path / "bbo.parquet", levels=1,
                         levels_out=tmp_path / "levels.parquet")
    assert error is None and summary["counters"]["sessions"] == 2
    rows = parquet.read_table(tmp_path / "bbo.parquet").to_pylist()
    names = [(row["symbol"], row["instrument"]) for row in rows if row["bid_quantity"]]
    found = [(row["symbol"], row["instrument"], row["price"]) for row in parquet.read_table(
        tmp_path / "levels.parquet").to_pylist() if row["level"] == 0]
    assert set(names) == {row[:2] for row in expected}
    assert [row for row in found if row[2]] == expected


def test_levels_of_two_sessions_with_the_same_number_are_rows_of_their_own(run, tmp_path):
    path = capture(tmp_path, *day_of((10,), b"FIRST     ", ONE=1), (0, captures.mold(
        1, itch.directory(1, "ONE"), itch.add(1, 20, b"B", 50, 10_100), session=b"SECOND    ")))
    run(path, levels=2, levels_out=tmp_path / "levels.parquet")
    rows = parquet.read_table(tmp_path / "levels.parquet").to_pylist()
    assert [(row["timestamp_ns"], row["sequence"], row["level"], row["price"], row["quantity"])
            for row in rows] == [(1_000_001_000, 2, 0, 10_000, 100), (2_000_002_000, 2, 0, 10_100,
                                 50), (2_000_002_000, 2, 1, 10_000, 100)]


def test_a_capture_without_the_feed_is_refused(tmp_path):
    path = capture(tmp_path, (0, b"not MoldUDP64"), (1, captures.mold(1, b"z" + bytes(11))))
    with pytest.raises(InputError) as caught:
        replay(path, progress=False)
    assert str(caught.value) == f"{path} holds no MoldUDP64 datagram with ITCH 5.0 messages."


def test_real_captures_are_read(shared_data, tmp_path):
    for path in sorted((shared_data / "omi_pcaps" / "itch50").glob("*.pcap")):
        assert replay(path, json=tmp_path / "summary.json", progress=False) == 0
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert summary["messages"] >= 1 and summary["counters"]["records"] >= 1
