"""The order table and the level table hold what was put there, wherever it found a place.

Method: hypothesis puts, finds and removes keys that crowd two buckets of a table of sixteen; a
dictionary says what must be found, and the memory itself is counted after each step.
"""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.device import Device
from tickwire.kernels import level_table, order_table
from tickwire.spec.geometry import Geometry

TINY = Geometry(instruments=4, orders_log2=4, order_stash=4, levels_log2=4, level_stash=4,
                window_words=4)
ROOM = 4 + 4 + 4                           # left and right bucket, one line of stash
_NONE = 0


class Table:
    """One of the two tables of a device, by its kernels."""

    def __init__(self, name: str) -> None:
        self.device = Device(TINY)
        self.book = self.device.memory.address
        self.kind = {"orders": order_table, "levels": level_table}[name]
        self.name = name
        self.lines = self.device.memory.arena.view(name, "i8").reshape(-1, 8)

    def find(self, key: int) -> int:
        return self.kind.find(self.book, self.kind.left_bucket(self.book, key), key)

    def place(self, key: int) -> int:
        entry = self.kind.place(self.book, self.kind.left_bucket(self.book, key), key)
        if entry and self.name == "orders":
            order_table.write(entry, key & 0xFFFFFFFF or 1, 5)
        return entry

    def remove(self, key: int) -> None:
        if self.name == "orders":
            order_table.remove(self.book, self.find(key), key)
        else:
            level_table.remove(self.book, self.find(key))

    @property
    def stash_used(self) -> int:
        name = "order_stash_used" if self.name == "orders" else "level_stash_used"
        return int(self.device.memory.context[name])

    def keys(self) -> list[int]:
        """Every key in memory, in the order of its places, without what else its word holds."""
        mask = level_table.KEY_MASK if self.name == "levels" else order_table.EVERY_BIT
        return [int(key) & mask for key in self.lines[:, :4].reshape(-1) if int(key) & mask]


@functools.cache
def crowd(name: str) -> tuple[int, ...]:
    """Keys of two left buckets that all have the same right bucket; some spread over others."""
    table = Table(name)
    candidates = (range(1, 1 << 14) if name == "orders"
                  else [level_table.key_of(1, 1, price) for price in range(1, 1 << 14)])
    left, right = table.kind.left_bucket, table.kind.right_bucket
    by_place: dict[tuple[int, int], list[int]] = {}
    for key in candidates:
        by_place.setdefault((left(table.book, key), right(table.book, key)), []).append(key)
    places = list(by_place)
    other = next(place for place in places if place[1] == places[0][1] and place != places[0])
    return (*by_place[places[0]][:14], *by_place[other][:8],
            *(by_place[place][0] for place in places[5:9]))


@pytest.mark.parametrize("name", ("orders", "levels"))
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 25)), max_size=120))
def test_a_table_is_a_dictionary_of_limited_size(name, steps):
    table, held = Table(name), {}
    keys = crowd(name)
    for is_add, number in steps:
        key = keys[number]
        entry = table.find(key)
        assert entry == held.get(key, _NONE)
        if is_add and key not in held:
            entry = table.place(key)
            if entry == _NONE:
                assert table.stash_used == TINY.order_stash    # refused only when all is full
            else:
                assert entry not in held.values()
                held[key] = entry
        elif not is_add and key in held:
            table.remove(key)
            del held[key]
        assert sorted(table.keys()) == sorted(held)
        stash = table.lines[-1].ctypes.data
        assert table.stash_used == sum(entry >= stash for entry in held.values())
    for key, entry in held.items():
        assert table.find(key) == entry


@pytest.mark.parametrize("name", ("orders", "levels"))
def test_a_bucket_that_spilled_is_looked_beyond_until_all_came_back(name):
    table = Table(name)
    keys = crowd(name)[:ROOM]
    for key in keys:
        assert table.place(key)
    assert table.place(crowd(name)[12]) == _NONE
    for key in reversed(keys):
        assert table.find(key)
        table.remove(key)
        assert table.find(key) == _NONE
    assert table.keys() == [] and table.stash_used == 0


def test_shares_of_an_order_are_its_own():
    table = Table("orders")
    largest = (1 << 32) - 1
    entries = {}
    for number, key in enumerate(crowd("orders")[:ROOM]):
        entries[key] = table.place(key)
        order_table.write(entries[key], largest - number, (1 << 29) - 1 - number)
    for number, key in enumerate(entries):
        order_table.take_shares(entries[key], 1_000 + number)
    for number, key in enumerate(entries):
        assert table.find(key) == entries[key]
        assert order_table.quantity_of(entries[key]) == largest - number - 1_000 - number
        assert order_table.level_of(entries[key]) == (1 << 29) - 1 - number


@given(st.integers(-(1 << 63), (1 << 63) - 1).filter(bool))
def test_every_reference_of_64_bits_has_its_place(reference):
    table = Table("orders")
    assert table.find(reference) == _NONE
    entry = table.place(reference)
    assert table.find(reference) == entry != _NONE
    table.remove(reference)
    assert table.find(reference) == _NONE


@given(st.integers(0, 65_535), st.integers(0, 1), st.integers(1, (1 << 31) - 1))
def test_a_level_key_tells_instrument_side_and_price(instrument, side, price):
    key = level_table.key_of(instrument, side, price)
    assert (key >> 33, key >> 32 & 1, key & 0xFFFFFFFF) == (instrument, side, price)
    assert key != 0
