"""LEVEL records: one a level that changed, written out by hand; and what a reader makes of them.

Method: a few orders above one dollar on a one-cent grid, the records' prices, shares and counts;
drawn flows, whose first positions are those of the reference book after every message.
"""

import dataclasses

import numpy as np
import pytest

from tests.reference import itch, records
from tests.reference.book import ReferenceBook
from tests.reference.device import Device
from tests.reference.flow import flow
from tickwire.device.kinds import smallest
from tickwire.observe import ladder
from tickwire.observe.ladder import Ladder
from tickwire.spec.geometry import CARD_LARGE, CARD_SMALL, Geometry
from tickwire.spec.records import RecordType

DEEP = Geometry(instruments=2, orders_log2=6, levels_log2=6, window_words=4, depth=3)
LEVEL = RecordType.LEVEL


@pytest.fixture
def device():
    return Device(DEEP, tick=100)


def levels(device, *messages):
    rows = [records.record(octets.tobytes()) for octets in device.feed(list(messages))]
    return [(chr(row["side"]), row["price"], row["quantity"], row["orders"])
            for row in rows if row["record"] == "level"]


def fill(device, *prices, side=b"B", shares=10):
    for price in prices:
        device.feed([itch.add(1, price, side, shares, price)])


def test_a_level_that_comes_changes_or_goes_is_one_record(device):
    fill(device, 100_000, 99_000, 98_000, 97_000)
    assert levels(device, itch.add(1, 1, b"B", 5, 101_000)) == [("B", 101_000, 5, 1)]
    assert levels(device, itch.add(1, 2, b"B", 5, 97_000)) == [("B", 97_000, 15, 2)]
    assert levels(device, itch.cancel(1, 97_000, 3)) == [("B", 97_000, 12, 2)]
    assert levels(device, itch.delete(1, 100_000)) == [("B", 100_000, 0, 0)]


def test_a_replace_is_one_record_for_what_goes_and_one_for_what_comes(device):
    fill(device, 100_000, 101_000, side=b"S")
    assert levels(device, itch.replace(1, 101_000, 7, 20, 102_000)) == [
        ("S", 101_000, 0, 0), ("S", 102_000, 20, 1)]
    assert levels(device, itch.replace(1, 7, 8, 30, 102_000)) == [
        ("S", 102_000, 0, 0), ("S", 102_000, 30, 1)]
    assert levels(device, itch.replace(1, 8, 9, 0, 102_000)) == [("S", 102_000, 0, 0)]


def test_what_changes_no_level_has_no_record(device):
    fill(device, 100_000)
    assert levels(device, itch.delete(1, 5), itch.add(1, 6, b"B", 0, 99_000),
                  itch.add(1, 100_000, b"B", 10, 99_000), itch.trade(1, 0, b"B", 5, 99_000, 1),
                  itch.executed(1, 100_000, 0, 2)) == []


def test_levels_off_the_grid_and_below_the_window_are_told_too(device):
    fill(device, 100_000)
    assert levels(device, itch.add(1, 1, b"B", 5, 99_950)) == [("B", 99_950, 5, 1)]
    assert levels(device, itch.add(1, 2, b"B", 5, 11_100)) == [("B", 11_100, 5, 1)]


def test_a_level_comes_before_the_trade_and_carries_the_version_before_it(device):
    fill(device, 100_000, 99_000)
    rows = [records.record(octets.tobytes()) for octets in
            device.feed([itch.executed(1, 100_000, 10, 1), itch.delete(1, 99_000)])]
    assert [(row["record"], row["book_version"]) for row in rows] == [
        ("level", 1), ("trade", 2), ("bbo", 2), ("level", 2), ("bbo", 3)]


def test_a_deep_level_makes_no_version(device):
    fill(device, 100_000)
    before = device.state()
    assert levels(device, itch.add(1, 1, b"B", 5, 99_000)) == [("B", 99_000, 5, 1)]
    assert (device.state() == before).all()


def test_shares_of_a_level_saturate(device):
    largest = (1 << 32) - 1
    assert levels(device, itch.add(1, 1, b"B", largest, 100_000)) == [("B", 100_000, largest, 1)]
    assert levels(device, itch.add(1, 2, b"B", 1, 100_000)) == [("B", 100_000, largest, 2)]


def test_without_depth_all_other_records_are_the_same():
    messages, found = flow(count=3_000, seed=11), []
    for depth in (0, 1):
        room = Geometry(instruments=5, orders_log2=9, levels_log2=8, window_words=4, lookups=1,
                        depth=depth)
        octets = Device(room, tick=100).feed(messages)
        found.append([row for octet in octets if (row := records.record(octet.tobytes()))
                      ["record"] != "level" and row.pop("number")])
        assert (len(found[-1]) < len(octets)) == bool(depth)
    assert found[0] == found[1]


# What a reader makes of them


def positions(rows):
    return [("BS"[row["side"]], int(row["level"]), int(row["price"]), int(row["quantity"]),
             int(row["orders"])) for row in rows]


class Reader:
    """Rows of the first three positions after each message."""

    def __init__(self, depth=3):
        self._device, self._ladder = Device(DEEP, tick=100), Ladder(depth)

    def rows(self, *messages):
        octets = self._device.feed(list(messages))
        found = [row for rows in self._ladder.take(octets[octets[:, 60] == LEVEL])
                 for row in positions(rows)]
        return found + positions(self._ladder.finish())


def test_a_new_level_moves_those_behind_it():
    reader = Reader()
    reader.rows(*(itch.add(1, price, b"B", 10, price) for price in (100_000, 99_000)))
    assert reader.rows(itch.add(1, 1, b"B", 5, 101_000)) == [
        ("B", 0, 101_000, 5, 1), ("B", 1, 100_000, 10, 1), ("B", 2, 99_000, 10, 1)]
    assert reader.rows(itch.add(1, 2, b"B", 5, 98_000)) == []           # the fourth of three
    assert reader.rows(itch.add(1, 3, b"B", 5, 99_000)) == [("B", 2, 99_000, 15, 2)]


def test_a_level_that_is_gone_brings_the_next_one_up():
    reader = Reader()
    reader.rows(*(itch.add(1, price, b"S", 10, price)
                  for price in (100_000, 101_000, 102_000, 103_000)))
    assert reader.rows(itch.delete(1, 101_000)) == [
        ("S", 1, 102_000, 10, 1), ("S", 2, 103_000, 10, 1)]
    assert reader.rows(itch.delete(1, 100_000)) == [
        ("S", 0, 102_000, 10, 1), ("S", 1, 103_000, 10, 1), ("S", 2, 0, 0, 0)]


def test_both_halves_of_a_replace_are_one_change():
    reader = Reader()
    reader.rows(*(itch.add(1, price, b"B", 10, price) for price in (100_000, 99_000, 98_000)))
    assert reader.rows(itch.replace(1, 99_000, 1, 20, 99_000)) == [
        ("B", 1, 99_000, 20, 1), ("B", 2, 98_000, 10, 1)]


@pytest.mark.parametrize("depth", (1, 8))
@pytest.mark.parametrize("part", (1, 7, 5_000))
def test_the_first_positions_are_the_reference_books(depth, part, monkeypatch):
    monkeypatch.setattr(ladder, "_ROOM", 8)
    room = Geometry(instruments=5, orders_log2=9, levels_log2=9, window_words=4, lookups=1, depth=1)
    messages = flow(count=4_000, seed=23)
    device, reference, reader = Device(room), ReferenceBook(5), Ladder(depth)
    octets = np.concatenate([device.feed([message]) for message in messages])
    octets = octets[octets[:, 60] == LEVEL]
    batches = [rows.copy() for start in range(0, len(octets), part)
               for rows in reader.take(octets[start:start + part])]
    rows = np.concatenate((*batches, reader.finish()))
    assert (np.diff(rows["sequence"]) >= 0).all()
    shown, place = np.zeros((5, 2, depth, 3), np.int64), 0
    for sequence, message in enumerate(messages, 1):
        reference.apply(message)
        while place < len(rows) and rows[place]["sequence"] == sequence:
            row = rows[place]
            shown[row["locate"], row["side"], row["level"]] = (
                row["price"], row["quantity"], row["orders"])
            place += 1
        number = reference.watched(int.from_bytes(message[1:3], "big"))
        for side in range(2) if number is not None else ():
            expected = np.zeros((depth, 3), np.int64)
            best = reference.instruments[number].levels_of(side, depth)
            expected[:len(best)] = np.array(best).reshape(-1, 3)
            assert (shown[number, side] == expected).all()
    assert place == len(rows)


def test_a_level_that_no_record_brought_may_go():
    device, reader = Device(dataclasses.replace(DEEP), tick=100), Ladder(3)
    fill(device, 100_000)
    octets = device.feed([itch.delete(1, 100_000)])
    assert list(reader.take(octets[octets[:, 60] == LEVEL])) == []
    assert len(reader.finish()) == 0


def test_the_smallest_card_tells_as_many_levels_as_are_asked_for():
    assert smallest(4) == CARD_SMALL
    assert smallest(5, 3) == dataclasses.replace(CARD_LARGE, depth=3)
