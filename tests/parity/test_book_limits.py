"""A book of limited size says what it lost, and is otherwise exact.

Method: references and prices that share one bucket, chosen with the kernels' own hashes, fill
tables of 16 buckets within a few messages. The reference then forgets exactly the orders that the
device counts as lost, so everything else is still compared after every message.
"""

import dataclasses
import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import itch
from tests.reference.device import CheckedBook, Device
from tests.reference.sequences import Space, order_messages, sequences
from tickwire.kernels import level_table, order_table
from tickwire.spec.geometry import Geometry

TINY = Geometry(instruments=4, orders_log2=4, order_stash=1, levels_log2=4, level_stash=1,
                window_words=4, lookups=1, sweep_queue=2, depth=2)
WIDE = dataclasses.replace(TINY, window_words=64, orders_log2=10)
ORDER_ROOM = 4 + 4 + 4                     # left and right bucket, one stash line


@functools.cache
def tiny_book() -> int:
    """Address of a book whose tables have 16 buckets, for its hashes alone."""
    device = Device(TINY)
    tiny_book.keep = device                # the memory lives as long as the cache
    return device.memory.address


@functools.cache
def references_of_one_bucket(count: int) -> tuple[int, ...]:
    """References whose left and right buckets are those of the first one."""
    def buckets(reference: int) -> tuple[int, int]:
        book = tiny_book()
        return order_table.left_bucket(book, reference), order_table.right_bucket(book, reference)
    wanted = buckets(1)
    return tuple(reference for reference in range(1, 1 << 14)
                 if buckets(reference) == wanted)[:count]


@functools.cache
def prices_of_one_bucket(instrument: int, side: int, count: int, tick: int) -> tuple[int, ...]:
    """Prices on the grid whose levels share the left and the right bucket."""
    def buckets(price: int) -> tuple[int, int]:
        book, key = tiny_book(), level_table.key_of(instrument, side, price)
        return level_table.left_bucket(book, key), level_table.right_bucket(book, key)
    first = 100 * tick
    wanted = buckets(first)
    return tuple(price for price in range(first, first + (1 << 14) * tick, tick)
                 if buckets(price) == wanted)[:count]


@given(st.lists(order_messages(Space(references=references_of_one_bucket(20))),
                min_size=15, max_size=80))
def test_orders_without_a_place_are_counted_and_flagged_and_the_rest_stays_exact(messages):
    book = CheckedBook(TINY, tick=100)
    for message in messages:
        book.apply(message)
    book.finish()


@given(sequences(Space(locates=(1,), references=tuple(range(1, 40)), sides=(b"S",),
                       prices=prices_of_one_bucket(1, 1, 16, 1)), length=80))
def test_levels_without_a_place_are_counted_and_flagged_and_the_rest_stays_exact(messages):
    book = CheckedBook(dataclasses.replace(WIDE, levels_log2=4), tick=1)
    for message in messages:
        book.apply(message)
    book.finish()


def test_the_order_that_overflows_is_the_first_beyond_both_buckets_and_the_stash():
    book = CheckedBook(TINY, tick=100)
    for number, reference in enumerate(references_of_one_bucket(ORDER_ROOM + 2)):
        book.apply(itch.add(1, reference, b"B", 100, 10_000))
        counters = book.device.counters()
        assert counters.get("order_overflow", 0) == max(0, number + 1 - ORDER_ROOM)
        assert counters.get("order_stash_max", 0) == min(4, max(0, number + 1 - 8))
    assert book.reference.instruments[1].best(0) == (10_000, 1_200, 12)
    book.finish()


def test_a_place_that_was_freed_anywhere_is_used_again():
    references = references_of_one_bucket(ORDER_ROOM + 1)
    for freed in range(ORDER_ROOM):
        book = CheckedBook(TINY, tick=100)
        for reference in references[:ORDER_ROOM]:
            book.apply(itch.add(1, reference, b"B", 100, 10_000))
        book.apply(itch.delete(1, references[freed]))
        book.apply(itch.add(1, references[ORDER_ROOM], b"B", 1, 10_000))
        for reference in (*references[:freed], *references[freed + 1:]):
            book.apply(itch.delete(1, reference))
        assert "order_overflow" not in book.device.counters()
        book.finish()


def test_a_level_that_overflows_leaves_no_order_behind():
    prices = prices_of_one_bucket(1, 0, ORDER_ROOM + 1, 100)
    book = CheckedBook(WIDE, tick=100)
    for number, price in enumerate(prices):
        book.apply(itch.add(1, number + 1, b"B", 10, price))
    assert book.device.counters()["level_overflow"] == 1
    assert book.device.counters()["level_stash_max"] == 4
    for number in range(ORDER_ROOM):
        book.apply(itch.delete(1, number + 1))
    book.finish()


def test_an_order_without_a_place_does_not_leave_its_new_level_behind():
    references = references_of_one_bucket(ORDER_ROOM + 1)
    book = CheckedBook(TINY, tick=100)
    for reference in references[:ORDER_ROOM]:
        book.apply(itch.add(1, reference, b"B", 100, 10_000))
    book.apply(itch.add(1, references[ORDER_ROOM], b"B", 100, 10_100))
    assert book.device.counters()["order_overflow"] == 1
    assert book.reference.instruments[1].best(0) == (10_000, 1_200, 12)
    book.finish()


def test_a_level_takes_no_more_orders_from_2_to_the_40_less_2_to_the_32_shares_on():
    largest = (1 << 32) - 1
    book = CheckedBook(dataclasses.replace(TINY, orders_log2=10), tick=100)
    for reference in range(1, 256):
        book.apply(itch.add(1, reference, b"S", largest, 10_000))
    book.apply(itch.add(1, 256, b"S", 254, 10_000))         # 2^40 - 2^32 - 1 shares
    book.apply(itch.add(1, 257, b"S", largest, 10_000))
    assert "level_overflow" not in book.device.counters()
    book.apply(itch.add(1, 258, b"S", 1, 10_000))
    assert book.device.counters()["level_overflow"] == 1
    book.apply(itch.delete(1, 256))
    book.apply(itch.add(1, 259, b"S", 1, 10_000))           # 2^40 - 256 shares
    assert book.device.counters()["level_overflow"] == 2
    book.apply(itch.delete(1, 257))
    book.apply(itch.add(1, 260, b"S", 1, 10_000))
    assert book.device.counters()["level_overflow"] == 2
    for reference in (*range(1, 256), 260):
        book.apply(itch.delete(1, reference))
    book.finish()


def test_an_order_count_above_65_535_is_shown_as_that_and_flagged():
    book = CheckedBook(Geometry(instruments=2, orders_log2=14, levels_log2=4, window_words=4),
                       tick=100)
    adds = [itch.add(1, reference, b"B", 1, 10_000) for reference in range(1, 65_536)]
    for message in adds:                   # the reference follows without the comparison
        book.reference.apply(message)
    book.device.feed(adds)
    for message in (itch.add(1, 65_536, b"B", 1, 10_000), itch.delete(1, 1)):
        found = book.device.feed([message])
        book.reference.apply(message)
        orders = int.from_bytes(found[-1, 52:54].tobytes(), "little")
        flags = int(found[-1, 35])
        assert orders == 65_535
        assert bool(flags & 64) == (book.reference.instruments[1].best(0)[2] > 65_535)


@pytest.mark.parametrize("stash", (1, 4, 5))
def test_the_stash_holds_as_many_orders_as_the_geometry_says_in_whole_lines(stash):
    book = CheckedBook(dataclasses.replace(TINY, order_stash=stash), tick=100)
    room = 8 + -(-stash // 4) * 4
    for reference in references_of_one_bucket(room + 1):
        book.apply(itch.add(1, reference, b"B", 100, 10_000))
    assert book.device.counters()["order_overflow"] == 1


@settings(max_examples=30)
@given(st.lists(order_messages(Space(references=references_of_one_bucket(20))), max_size=60))
def test_when_all_orders_are_gone_the_tables_are_empty(messages):
    book = CheckedBook(TINY, tick=100)
    for message in messages:
        book.apply(message)
    for reference, order in tuple(book.reference.orders.items()):
        book.apply(itch.delete(order.instrument, reference))
    book.finish()
    context = book.device.memory.context
    assert context["order_stash_used"] == context["level_stash_used"] == 0
    assert book.device.memory.live_orders() == 0
    levels = book.device.memory.arena.view("levels", "i8").reshape(-1, 8)
    assert not levels[:, :4].any()
