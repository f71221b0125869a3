"""Tables on disk hold every record of their kind, column for column, whatever happens.

Method: records laid out by hand with ``struct``, read back with pyarrow and compared with rows
made from the same values in plain Python.
"""

import csv
import os
import random
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tickwire.errors import TickwireError
from tickwire.observe.tables import BBOTable, Directory, LevelTable

BBO_NAMES = ["timestamp_ns", "instrument", "symbol", "sequence", "bid_price", "bid_quantity",
             "bid_orders", "ask_price", "ask_quantity", "ask_orders", "flags"]
LEVEL_NAMES = ["timestamp_ns", "instrument", "symbol", "sequence", "side", "level", "price",
               "quantity", "orders"]
SYMBOLS = np.array([b"AAPL    ", b"        ", b"MSFT    ", b"", b"ZVZZT   "], "S8")
INSTRUMENTS = np.zeros(65536, np.uint16)
INSTRUMENTS[[1, 7, 65535, 300, 301]] = [0, 1, 2, 3, 4]
NAMES = {1: (0, "AAPL"), 7: (1, None), 65535: (2, "MSFT"), 300: (3, None), 301: (4, "ZVZZT")}


@pytest.fixture
def directory():
    return Directory(INSTRUMENTS, SYMBOLS)


def bbo(random_):
    """Return a BBO record by the layout of the host interface, and its row."""
    time, number = random_.randrange(2**62), random_.randrange(2**40)
    bid, ask, bids, asks = (random_.choice((0, 1, 2**32 - 1, random_.randrange(2**31)))
                            for _ in range(4))
    locate, flags = random_.choice(list(NAMES)), random_.randrange(128)
    orders = random_.randrange(65536), random_.randrange(65536)
    octets = struct.pack("<QQIIIIHBBIIIIHHIBBH", time, number, bid, ask, bids, asks, locate,
                         ord("T"), flags, 5, 6, 7, 8, *orders, 9, 0x02, 1, 2)
    return octets, (time, *NAMES[locate], number, bid, bids, orders[0], ask, asks, orders[1], flags)


class Levels:
    """LEVEL records by the layout of the host interface, one level a side, and their rows."""

    def __init__(self):
        self._sides = [(locate, side) for locate in NAMES for side in "BS"]
        self._last = {}

    def __call__(self, random_):
        time, number = random_.randrange(2**62), random_.randrange(2**40)
        locate, side = random_.choice(self._sides)
        price, quantity, orders = (random_.randrange(1, 2**31) for _ in range(3))
        if (locate, side) in self._last:                    # the same level again
            price = self._last[locate, side]
        self._last[locate, side] = price
        octets = struct.pack("<QQIIIIHBBIQIIIBBH", time, number, price, quantity, orders, 5,
                             locate, ord(side), 0, 0, 0, 6, 0, 9, 0x03, 1, 2)
        return octets, (time, *NAMES[locate], number, side, 0, price, quantity, orders)


def bbos():
    return bbo


OTHER = bytes(60) + b"\x04" + bytes(3)                       # a TRADE


def rows_of(path):
    table = parquet.read_table(path)
    return table, list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize(("kind", "make", "names"), [(BBOTable, bbos, BBO_NAMES),
                                                     (LevelTable, Levels, LEVEL_NAMES)])
@pytest.mark.parametrize("group", [1, 7, 1000])
def test_every_record_of_its_kind_is_a_row(tmp_path, directory, kind, make, names, group):
    random_, make = random.Random(group), make()
    expected, path = [], tmp_path / "table.parquet"
    with kind(path, directory, group) as table:
        for _ in range(40):
            batch = [make(random_) for _ in range(random_.randrange(9))]
            octets = b"".join(record + OTHER * random_.randrange(3) for record, _ in batch)
            lines = np.frombuffer(octets, np.uint8).reshape(-1, 64)
            assert table.write(lines) == len(batch)
            expected += [row for _, row in batch]
    assert table.rows == len(expected)
    read, rows = rows_of(path)
    assert read.column_names == names and rows == expected
    if kind is BBOTable:                   # how many rows records of levels are is known too late
        assert parquet.ParquetFile(path).num_row_groups == -(-len(expected) // group)


def test_types_are_those_that_are_promised(tmp_path, directory):
    with BBOTable(tmp_path / "a.parquet", directory), LevelTable(tmp_path / "b.parquet", directory):
        pass
    schema = parquet.read_schema(tmp_path / "a.parquet")
    assert {str(schema.field(name).type) for name in BBO_NAMES if "price" in name} == {"int64"}
    assert schema.field("symbol").type == pa.dictionary(pa.int32(), pa.string())
    assert rows_of(tmp_path / "a.parquet")[1] == [] == rows_of(tmp_path / "b.parquet")[1]


@pytest.mark.parametrize(("kind", "make", "names"), [(BBOTable, bbos, BBO_NAMES),
                                                     (LevelTable, Levels, LEVEL_NAMES)])
def test_a_csv_holds_the_same_rows(tmp_path, directory, kind, make, names):
    random_, make = random.Random(5), make()
    batch = [make(random_) for _ in range(100)]
    with kind(tmp_path / "t.csv", directory, 16) as table:
        table.write(np.frombuffer(b"".join(record for record, _ in batch), "V64"))
    with open(tmp_path / "t.csv", newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == names
    assert read[1:] == [["" if value is None else str(value) for value in row] for _, row in batch]


def test_symbols_that_come_later_and_twice_are_named(tmp_path):
    symbols = np.array([b"", b"SAME", b"SAME"], "S8")
    instruments = np.zeros(65536, np.int64)
    instruments[[1, 7, 300]] = [0, 1, 2]
    random_ = random.Random(2)
    batch = [record for record, row in (bbo(random_) for _ in range(60)) if row[1] in (0, 1, 3)]
    with BBOTable(tmp_path / "t.parquet", Directory(instruments, symbols), 1000) as table:
        table.write(np.frombuffer(b"".join(batch), np.uint8))
        symbols[0] = b"LATE    "
    read, _ = rows_of(tmp_path / "t.parquet")
    names = dict(zip(read["instrument"].to_pylist(), read["symbol"].to_pylist(), strict=True))
    assert names == {0: "LATE", 1: "SAME", 2: "SAME"}


def test_what_was_written_before_an_error_is_a_valid_file(tmp_path, directory):
    random_ = random.Random(3)
    batch = [bbo(random_) for _ in range(10)]
    with pytest.raises(RuntimeError), BBOTable(tmp_path / "t.parquet", directory, 4) as table:
        table.write(np.frombuffer(b"".join(record for record, _ in batch), np.uint8))
        raise RuntimeError
    assert rows_of(tmp_path / "t.parquet")[1] == [row for _, row in batch]
    table.close()                                           # again, without harm


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path, directory):
    for path, reason in ((tmp_path / "no" / "t.parquet", "No such file or directory"),
                         (tmp_path / "t.parquet", "Is a directory")):
        (tmp_path / "t.parquet").mkdir(exist_ok=True)
        with pytest.raises(TickwireError) as caught:
            BBOTable(path, directory)
        assert str(caught.value) == f"Cannot write {path}: {reason}."
    with pytest.raises(TickwireError, match=r"must end in \.parquet or \.csv, not .*t\.txt\."):
        BBOTable(tmp_path / "t.txt", directory)
    assert not (tmp_path / "t.txt").exists()


@pytest.mark.parametrize("name", ["full.parquet", "full.csv"])
@pytest.mark.parametrize("rows", [1, 500])
def test_a_full_disk_is_one_sentence(tmp_path, directory, name, rows):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    (tmp_path / name).symlink_to("/dev/full")
    record, _ = bbo(random.Random(1))
    with pytest.raises(TickwireError, match="No space left on device"), \
            BBOTable(tmp_path / name, directory, 16) as table:
        table.write(np.frombuffer(record * rows, np.uint8))
