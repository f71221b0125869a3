"""A recording through the card's gateware gives the records, tables and digest of the kernels.

Method: the product's own path, ``tickwire replay --device verilated`` and ``tickwire diff``, on a
generated day, a capture of two lossy lines packed by hand, and recordings.
"""

import random

import pyarrow.parquet as parquet
import pytest

from tests import captures
from tests.reference import itch
from tests.reference.flow import flow
from tickwire.commands.diff import diff
from tickwire.commands.replay import replay
from tickwire.device.replay import Replay
from tickwire.errors import InputError
from tickwire.feed import open_source
from tickwire.spec.geometry import CARD_SMALL
from tickwire_sim.replay import VerilatedReplay
from tickwire_sim.traffic import generate

GROUPS, PORT = ("233.54.12.111", "233.49.196.111"), 26_477


@pytest.fixture
def day(tmp_path):
    """A generated day of four symbols."""
    path, octets = tmp_path / "day.itch", bytearray()
    generate(octets.extend, 30_000, 3, 600, 3)
    path.write_bytes(octets)
    return path


def last_line(capsys) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_a_generated_day_does_not_differ(day, capsys):
    assert diff("software", "verilated", day) == 0
    records, differences = last_line(capsys).replace(",", "").split(" records ")
    assert int(records) > 1_000 and differences == "0 differences"


def test_the_table_of_best_prices_is_the_same_time_stamps_included(day, tmp_path):
    tables = []
    for device in ("software", "verilated"):
        path = tmp_path / f"{device}.parquet"
        assert replay(day, bbo=path, device=device, geometry="small", progress=False) == 0
        tables.append(parquet.read_table(path))
    assert tables[0].equals(tables[1]) and tables[0].num_rows > 1_000


@pytest.mark.long
def test_the_table_of_levels_is_the_same(day, tmp_path):
    tables = []
    for device in ("software", "verilated"):
        path = tmp_path / f"{device}.parquet"
        assert replay(day, levels=5, levels_out=path, device=device, geometry="small",
                      progress=False) == 0
        tables.append(parquet.read_table(path))
    assert tables[0].equals(tables[1]) and tables[0].num_rows > 10_000


def test_a_capture_of_two_lines_that_lose_packets_does_not_differ(tmp_path, capsys):
    draw, messages, frames = random.Random(4), flow(1_200, 7), []
    for at in range(0, len(messages), 8):
        for line in (0, 1):
            if at == 0 or draw.random() > .2:
                frames.append(captures.ethernet(captures.ipv4(captures.udp(captures.mold(
                    1 + at, *messages[at:at + 8]), PORT), destination=GROUPS[line])))
    path = tmp_path / "lines.pcap"
    path.write_bytes(captures.pcap(*frames))
    assert diff("software", "verilated", path) == 0
    assert last_line(capsys).endswith(" 0 differences")


@pytest.mark.parametrize("symbols", ("", "AAA,BBB"))
def test_a_capture_of_two_days_does_not_differ_and_has_the_names_of_each(tmp_path, symbols):
    """Line B, of which nothing is on the first day, and a request server's answers are in it."""
    draw, frames, references = random.Random(6), [], iter(range(1, 10_000))
    for session, names in ((b"MONDAY    ", ("AAA", "BBB", "CCC")),
                           (b"TUESDAY   ", ("DDD", "AAA", "BBB"))):
        messages = [itch.directory(locate, name) for locate, name in enumerate(names, 1)]
        messages += [itch.add(draw.randrange(1, 4), next(references), draw.choice((b"B", b"S")),
                              100, 100 * draw.randrange(19_990, 20_010)) for _ in range(300)]
        ends = [(GROUPS[0], PORT), ("10.0.0.8", 40_001)]
        ends += [(GROUPS[1], PORT)] * (names[0] == "DDD")
        frames += [captures.ethernet(captures.ipv4(captures.udp(captures.mold(
            1 + at, *messages[at:at + 8], session=session), port), destination=group))
            for at in range(0, len(messages), 8) for group, port in ends]
    path, tables = tmp_path / "days.pcap", []
    path.write_bytes(captures.pcap(*frames))
    assert diff("software", "verilated", path, symbols=symbols) == 0
    for device in ("software", "verilated"):
        table = tmp_path / f"{device}.parquet"
        assert replay(path, symbols=symbols, bbo=table, device=device, geometry="small",
                      progress=False) == 0
        tables.append(parquet.read_table(table))
    assert tables[0].equals(tables[1])
    wanted = symbols.split(",") if symbols else ["AAA", "BBB", "CCC", "DDD"]
    assert set(tables[0].column("symbol").to_pylist()) == set(wanted)


@pytest.mark.parametrize("name", ("lobster/AAPL_2012-06-21_oracle.itch",
                                  "ritch/ex20101224.TEST_ITCH_50"))
def test_a_recording_does_not_differ(shared_data, name, capsys):
    assert diff("software", "verilated", shared_data / name) == 0
    assert last_line(capsys).endswith(" 0 differences")


def test_only_watched_symbols_have_books_and_those_not_named_are_told(tmp_path):
    path = tmp_path / "two.itch"
    path.write_bytes(itch.binary_file([
        itch.directory(7, "AAA"), itch.directory(9, "BBB"),
        itch.add(7, 1, b"B", 100, 1_000_000), itch.add(9, 2, b"B", 100, 1_000_000)]))
    with open_source(path) as source:
        run = VerilatedReplay(source, symbols={"BBB": 100, "CCC": 100}, geometry=CARD_SMALL)
        for _ in run:
            pass
    assert run.missing() == ["CCC"]
    assert (run.instruments[9], run.symbols[0]) == (0, b"BBB     ")
    assert run.summary()["cycles"] > 0
    assert run.counters()["filtered"] == 1


def test_a_capture_that_ends_in_a_gap_says_what_is_not_in_the_books(tmp_path):
    messages = flow(60, 7)
    frames = [captures.ethernet(captures.ipv4(captures.udp(captures.mold(
        1 + number, messages[number]), PORT), destination=GROUPS[line]))
        for number in range(50) for line in (0, 1) if number < 48 or (number, line) == (49, 0)]
    path = tmp_path / "gap.pcap"
    path.write_bytes(captures.pcap(*frames))
    for kind in (Replay, VerilatedReplay):
        with open_source(path) as source:
            run = kind(source, geometry=CARD_SMALL)
            for _ in run:
                pass
        assert run.awaited == (49, 51)
        assert any("ends while message 49 is awaited" in told and "to 50 is in the books" in told
                   for told in run.summary()["warnings"])


def test_what_the_card_cannot_do_is_said(tmp_path):
    path = tmp_path / "none.pcap"
    path.write_bytes(captures.pcap(bytes(60)))
    with pytest.raises(InputError, match="no MoldUDP64 datagram"):
        replay(path, device="verilated", progress=False)
