"""LEVEL records: one a position that changed, best first, written out by hand.

Method: a few orders above one dollar on a one-cent grid; the records' levels, prices, shares and
counts.
"""

import dataclasses

import pytest

from tests.reference import itch, records
from tests.reference.device import Device
from tickwire.spec.geometry import Geometry

DEEP = Geometry(instruments=2, orders_log2=6, levels_log2=6, window_words=4, depth=3)


@pytest.fixture
def device():
    return Device(DEEP, tick=100)


def levels(device, *messages):
    rows = [records.record(octets.tobytes()) for octets in device.feed(list(messages))]
    return [(chr(row["side"]), row["level"], row["price"], row["quantity"], row["orders"])
            for row in rows if row["record"] == "level"]


def fill(device, *prices, side=b"B", shares=10):
    for price in prices:
        device.feed([itch.add(1, price, side, shares, price)])


def test_a_new_level_moves_those_behind_it(device):
    fill(device, 100_000, 99_000)
    assert levels(device, itch.add(1, 1, b"B", 5, 101_000)) == [
        ("B", 0, 101_000, 5, 1), ("B", 1, 100_000, 10, 1), ("B", 2, 99_000, 10, 1)]
    assert levels(device, itch.add(1, 2, b"B", 5, 98_000)) == []        # the fourth of three


def test_a_change_in_place_is_one_record(device):
    fill(device, 100_000, 99_000, 98_000)
    assert levels(device, itch.add(1, 1, b"B", 5, 99_000)) == [("B", 1, 99_000, 15, 2)]
    assert levels(device, itch.cancel(1, 98_000, 3)) == [("B", 2, 98_000, 7, 1)]


def test_a_level_that_is_gone_brings_the_next_one_up(device):
    fill(device, 100_000, 101_000, 102_000, 103_000, side=b"S")
    assert levels(device, itch.delete(1, 101_000)) == [
        ("S", 1, 102_000, 10, 1), ("S", 2, 103_000, 10, 1)]
    assert levels(device, itch.delete(1, 100_000)) == [
        ("S", 0, 102_000, 10, 1), ("S", 1, 103_000, 10, 1), ("S", 2, 0, 0, 0)]


def test_bids_come_before_asks_and_levels_before_the_bbo(device):
    fill(device, 100_000)
    rows = [records.record(octets.tobytes()) for octets in
            device.feed([itch.executed(1, 100_000, 10, 1)])]
    assert [row["record"] for row in rows] == ["trade", "level", "bbo"]
    assert len({row["book_version"] for row in rows}) == 1


def test_shares_of_a_level_saturate(device):
    largest = (1 << 32) - 1
    assert levels(device, itch.add(1, 1, b"B", largest, 100_000)) == [
        ("B", 0, 100_000, largest, 1)]
    assert levels(device, itch.add(1, 2, b"B", 1, 100_000)) == [("B", 0, 100_000, largest, 2)]


def test_without_depth_there_is_no_level_record():
    device = Device(dataclasses.replace(DEEP, depth=0), tick=100)
    assert levels(device, itch.add(1, 1, b"B", 5, 100_000), itch.delete(1, 1)) == []
