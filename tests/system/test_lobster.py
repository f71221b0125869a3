"""``tickwire replay`` on real order flow agrees with an oracle that nobody here computed.

Method: the flow of one stock's first events of a day as ITCH 5.0, and beside it the best bid and
offer that LOBSTER printed after each event. The BBO table of the command is read back and looked
up at the message that completes each event.
"""

import bisect
import csv
import itertools
import json

import pyarrow.parquet as parquet
import pytest

from tests.reference.day import compare_day
from tickwire.commands.replay import replay
from tickwire.spec.geometry import Geometry

KNOWN = 983                                # rows where the seeds suffice; see the data's README
SMALL = Geometry(instruments=4, orders_log2=10, levels_log2=8, window_words=64)
ROW = ("ask_price", "ask_quantity", "bid_price", "bid_quantity")


@pytest.fixture(scope="module")
def oracle(shared_data):
    return shared_data / "lobster" / "AAPL_2012-06-21_oracle.itch"


@pytest.fixture(scope="module")
def truth(oracle):
    path = oracle.with_name("AAPL_2012-06-21_oracle_truth.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_the_bbo_table_agrees_with_every_known_row_of_the_truth(oracle, truth, tmp_path):
    assert replay(oracle, bbo=tmp_path / "bbo.parquet", progress=False) == 0
    rows = parquet.read_table(tmp_path / "bbo.parquet").to_pylist()
    sequences = [row["sequence"] for row in rows]
    assert sequences == sorted(sequences)
    compared = 0
    for row in truth:
        if not row["known"]:
            continue
        shown = rows[bisect.bisect_right(sequences, row["message"]) - 1]
        assert tuple(shown[name] for name in ROW) == tuple(row[name] for name in ROW), row
        assert shown["flags"] == 0 and shown["symbol"] == "AAPL" and shown["instrument"] == 1
        compared += 1
    assert compared == KNOWN


def test_one_row_a_change_and_no_row_without_one(oracle, tmp_path):
    assert replay(oracle, bbo=tmp_path / "bbo.parquet", progress=False) == 0
    rows = parquet.read_table(tmp_path / "bbo.parquet").to_pylist()
    shown = [{name: value for name, value in row.items()
              if name not in ("timestamp_ns", "sequence")} for row in rows]
    assert all(before != after for before, after in itertools.pairwise(shown))


def test_the_book_is_the_reference_book_after_every_message(oracle):
    for ahead in (False, True):
        day = compare_day(oracle, SMALL, {1}, ahead=ahead)
        assert not day.differences and day.messages == 1_026
        assert day.compared > 2 * 1_000 and not day.skipped


def test_levels_start_with_the_best_and_follow_the_same_messages(oracle, tmp_path):
    assert replay(oracle, levels=5, levels_out=tmp_path / "levels.parquet",
                  bbo=tmp_path / "bbo.parquet", json=tmp_path / "summary.json",
                  progress=False) == 0
    levels = parquet.read_table(tmp_path / "levels.parquet").to_pylist()
    best = {"B": (0, 0, 0), "S": (0, 0, 0)}
    place = 0
    for row in parquet.read_table(tmp_path / "bbo.parquet").to_pylist():
        while place < len(levels) and levels[place]["sequence"] <= row["sequence"]:
            entry = levels[place]
            assert 0 <= entry["level"] < 5
            if entry["level"] == 0:
                best[entry["side"]] = entry["price"], entry["quantity"], entry["orders"]
            place += 1
        assert best["B"] == (row["bid_price"], row["bid_quantity"], row["bid_orders"])
        assert best["S"] == (row["ask_price"], row["ask_quantity"], row["ask_orders"])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["messages"] == 1_026 and summary["unknown"] == 0
    assert summary["by_type"] == {"A": 495, "D": 369, "E": 98, "P": 61, "R": 1, "S": 2}
