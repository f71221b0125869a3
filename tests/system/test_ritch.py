"""A file that nobody here wrote is counted and booked right, although its lengths are all zero.

Method: the sample of the R package RITCH. The counts a type are those that its authors print;
the book is compared with the reference after every message.
"""

import json
import struct

import pytest

from tests.reference import itch
from tests.reference.day import compare_day
from tickwire.commands.replay import replay
from tickwire.spec.geometry import Geometry

BY_TYPE = {"S": 6, "R": 3, "H": 3, "A": 4_997, "F": 3, "E": 198, "D": 1_745, "P": 5_000, "U": 12,
           "X": 45}
SMALL = Geometry(instruments=16, orders_log2=12, levels_log2=10)


@pytest.fixture(scope="module")
def sample(shared_data):
    return shared_data / "ritch" / "ex20101224.TEST_ITCH_50"


def test_every_message_of_the_sample_is_counted_under_its_type(sample, tmp_path, capsys):
    assert replay(sample, json=tmp_path / "summary.json", progress=False) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["messages"] == 12_012 == sum(BY_TYPE.values())
    assert summary["by_type"] == BY_TYPE
    assert summary["live_orders"] == len(reference_orders(sample))
    for warning, part in zip(summary["warnings"], (
            "length fields of zero", "of an order that is not in the book", "to reference 0",
            "off their instrument's tick grid"), strict=True):
        assert part in warning
    assert capsys.readouterr().err == "".join(
        f"Warning: {warning}\n" for warning in summary["warnings"])


def test_with_tick_size_1_no_price_is_off_the_grid(sample, tmp_path):
    assert replay(sample, tick=1, json=tmp_path / "summary.json", progress=False) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert "off_grid" not in summary["counters"]
    assert not any("grid" in warning for warning in summary["warnings"])


def reference_orders(sample):
    from tests.reference.book import ReferenceBook
    book = ReferenceBook(16)
    for message in itch.messages_of(sample.read_bytes()):
        book.apply(message)
    return book.orders


def test_the_book_is_the_reference_book_after_every_message(sample, tmp_path):
    framed = tmp_path / "framed.itch"
    framed.write_bytes(itch.binary_file(itch.messages_of(sample.read_bytes())))
    locates = {struct.unpack_from(">H", message, 1)[0]
               for message in itch.messages_of(sample.read_bytes())}
    for ahead in (False, True):
        day = compare_day(framed, SMALL, locates - {0}, tick=1, ahead=ahead)
        assert not day.differences, day.differences[:5]
        assert day.messages == 12_012 and dict(day.by_type) == BY_TYPE
        assert day.skipped["hidden"] < 20 < day.compared
