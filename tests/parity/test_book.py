"""The book's kernels say what a dictionary says, after every message.

Method: hypothesis draws short sequences over few orders and few prices, so that hazards and
levels collide, and over the invalid space as well; :class:`tests.reference.device.CheckedBook`
compares every record, state line and counter with the reference. Window and tables are as small
as a geometry permits, so that moves, sweeps and overflow happen within a sequence.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import itch, records
from tests.reference.device import CheckedBook, Device
from tests.reference.sequences import QUANTITIES, Space, flows, sequences
from tickwire.spec.geometry import Geometry

SMALL = Geometry(instruments=4, orders_log2=6, order_stash=4, levels_log2=6, level_stash=4,
                 window_words=4, lookups=1, sweep_queue=2, depth=0)
DEEP = dataclasses.replace(SMALL, depth=3)
DEEPEST = dataclasses.replace(SMALL, depth=8, lookups=4)
TINY = dataclasses.replace(SMALL, orders_log2=4, order_stash=1, levels_log2=4, level_stash=1)

NORMAL = Space()
# Locate 4 is above the greatest instrument, 0 is none; prices 0 and 2^31 are none either.
INVALID = Space(locates=(0, 1, 2, 4, 65_535), references=(0, 1, 2, 3, (1 << 64) - 1, 1 << 63),
                prices=(0, 1, 100, 10_000, 10_100, (1 << 31) - 2, 1 << 31, (1 << 32) - 1),
                quantities=QUANTITIES, sides=(b"B", b"S", b"b", b"\0", b" "))
OFF_GRID = Space(prices=(10_000, 10_001, 10_050, 10_099, 10_100, 25_600, 25_650, 50_000, 50_001))


# A window of 4 words is 256 ticks: neighbours, its edges, a quarter, a half, outside.
STEPS = (0, 1, 63, 64, 65, 127, 128, 191, 192, 193, 255, 256, 257, 320, 400, 700, 1_300)
WIDE = Space(locates=(1, 2, 3), references=tuple(range(1, 10)),
             prices=tuple(100 * (20_000 + step) for step in STEPS))
ONE_SIDE = dataclasses.replace(WIDE, locates=(1,), sides=(b"B",))
BOTH_SIDES = dataclasses.replace(WIDE, locates=(1,))
OFF_WIDE = dataclasses.replace(BOTH_SIDES, prices=tuple(
    100 * (20_000 + step) + part for step in (0, 1, 63, 64, 192, 256, 257, 320, 700)
    for part in (0, 1, 50, 99)))
off_grid = st.one_of(sequences(OFF_GRID, length=40), flows(OFF_WIDE), sequences(OFF_WIDE),
                     flows(dataclasses.replace(OFF_WIDE, prices=OFF_WIDE.prices[:8])))
windowed = st.one_of(flows(ONE_SIDE), flows(BOTH_SIDES), flows(WIDE, length=100),
                     sequences(WIDE, length=80))


def check(messages: list[bytes], geometry: Geometry, tick: int) -> CheckedBook:
    book = CheckedBook(geometry, tick=tick)
    for message in messages:
        book.apply(message)
    book.finish()
    return book


@given(sequences(NORMAL))
def test_orders_that_keep_the_rules_give_the_reference_book(messages):
    check(messages, SMALL, 100)


@given(sequences(NORMAL, others=True))
def test_every_type_of_message_gives_the_records_of_the_reference(messages):
    check(messages, SMALL, 100)


@given(sequences(INVALID, others=True))
def test_messages_that_break_the_rules_are_refused_counted_and_flagged(messages):
    check(messages, SMALL, 1)


@given(st.one_of(flows(BOTH_SIDES, faults=True), flows(WIDE, faults=True, length=100)),
       st.sampled_from((SMALL, DEEP)))
def test_faults_about_open_orders_are_refused_counted_and_flagged(messages, geometry):
    check(messages, geometry, 100)


@given(windowed, st.sampled_from((1, 4)))
def test_a_window_far_too_small_shows_the_best_level_or_says_hidden(messages, lookups):
    check(messages, dataclasses.replace(SMALL, lookups=lookups), 100)


@given(windowed, st.sampled_from((DEEP, DEEPEST)))
def test_level_records_tell_the_whole_book_wherever_its_window_is(messages, geometry):
    check(messages, geometry, 100)


@given(off_grid, st.sampled_from((SMALL, DEEP)))
def test_an_off_grid_price_is_flagged_before_it_can_mislead(messages, geometry):
    check(messages, geometry, 100)


@given(sequences(Space(prices=(1, 9_900, 9_950, 9_999, 10_000, 10_100, 10_200, 35_600))),
       st.sampled_from((0, 1, 100)))
def test_prices_about_one_dollar_are_shown_or_flagged(messages, tick):
    check(messages, DEEP, tick)


# What was wrong once, smallest case first


@pytest.mark.parametrize(("tick", "side", "price"), (
    (100, b"B", 9_900), (100, b"B", 1), (1, b"S", (1 << 31) - 1)))
def test_a_side_whose_only_level_is_below_any_window_says_hidden(tick, side, price):
    book = check([itch.add(1, 1, side, 10, price)], SMALL, tick)
    assert book.skipped["hidden"] == 1
    check([itch.add(1, 1, side, 10, price), itch.delete(1, 1)], DEEP, tick)


@pytest.mark.parametrize("part", (1, 50, 99))
def test_after_an_off_grid_best_bid_the_level_of_its_own_tick_is_shown(part):
    price = 2_000_000
    book = CheckedBook(SMALL, tick=100)
    for message in (itch.add(1, 1, b"B", 10, price), itch.add(1, 2, b"B", 20, price + part),
                    itch.add(1, 3, b"B", 30, price - 100), itch.delete(1, 2)):
        book.apply(message)
    row = records.record(book.device.feed([itch.cancel(1, 1, 1)])[-1].tobytes())
    assert (row["bid_price"], row["bid_quantity"], row["flags"]) == (price, 9, 8)


def test_a_directory_message_holds_for_the_rest_of_its_block():
    messages = [itch.directory(2, "SYM2"), itch.delete(2, 1)]
    *_, found = both(messages, SMALL, 0, {"SYM2": 100})
    assert found[:, 60].tolist() == [records.DIRECTORY, records.BBO]


# The two ways to apply messages


def both(messages: list[bytes], geometry: Geometry, tick: int,
         watch_symbols: dict[str, int] | None = None) -> tuple[Device, Device, np.ndarray]:
    """Feed the same messages one by one and with look-ahead; return the devices and records."""
    devices = [Device(geometry, tick=tick, watch_symbols=watch_symbols) for _ in range(2)]
    found = [device.feed(messages, ahead=ahead) for device, ahead in zip(devices, (False, True),
                                                                         strict=True)]
    assert np.array_equal(*found)
    assert np.array_equal(devices[0].state(), devices[1].state())
    assert devices[0].counters() == devices[1].counters()
    assert devices[0].sequence == devices[1].sequence == 1 + len(messages)
    return *devices, found[0]


@given(sequences(INVALID, others=True, length=200), st.sampled_from((SMALL, DEEPEST, TINY)),
       st.sampled_from((0, 1, 100)))
def test_looking_ahead_changes_no_octet_of_any_record(messages, geometry, tick):
    both(messages, geometry, tick)


@given(st.one_of(windowed, sequences(WIDE, others=True, length=200)),
       st.sampled_from((DEEPEST, TINY)))
def test_looking_ahead_changes_no_octet_while_windows_move(messages, geometry):
    both(messages, geometry, 100)


@settings(max_examples=20)
@given(sequences(WIDE, length=100), st.integers(0, 2**32 - 1))
def test_what_is_not_volatile_does_not_depend_on_time_stamps(messages, seed):
    first = Device(DEEP, tick=100).feed(messages)
    stamps = np.random.default_rng(seed).integers(0, 1 << 48, len(messages))
    restamped = [message[:5] + int(stamp).to_bytes(6, "big") + message[11:]
                 for message, stamp in zip(messages, stamps, strict=True)]
    second = Device(DEEP, tick=100).feed(restamped)
    assert np.array_equal(records.comparable(first), records.comparable(second))


# Which instruments


@given(windowed)
def test_instrument_number_0_has_windows_like_any_other(messages):
    book = CheckedBook(DEEP, watch_symbols={"FIRST": 100, "SECOND": 100})
    for message in (itch.directory(1, "FIRST"), itch.directory(2, "SECOND"), *messages):
        book.apply(message)
    book.finish()


@given(sequences(NORMAL, others=True))
def test_only_watched_symbols_have_a_book_from_their_directory_message_on(messages):
    symbols = {"SYM2": 100, "SYM9": 0}
    book = CheckedBook(SMALL, watch_symbols=symbols)
    for message in messages:
        book.apply(message)
    book.finish()
    both(messages, SMALL, 0, symbols)


def test_a_locate_is_what_the_directory_said_of_it_last():
    """Locates are given anew each day: yesterday's of a watched stock is of another one today."""
    book = CheckedBook(SMALL, watch_symbols={"ONE": 100, "TWO": 100})

    def day(references: Iterable[int], **locates: int) -> list[int]:
        """Name stocks, then add an order at each of locates 1 to 4; return those of each book."""
        for symbol, locate in locates.items():
            book.apply(itch.directory(locate, symbol, round_lot=locate))
        for locate, reference in enumerate(references, 1):
            book.apply(itch.add(locate, reference, b"B", 100, 10_000))
        return [instrument.levels[0].get(10_000, (0,))[0]
                for instrument in book.reference.instruments[:2]]
    assert day(range(10, 14), ONE=1, TWO=2, OTHER=3) == [1, 1]
    assert day(range(20, 24), OTHER=1, ONE=2, TWO=3) == [2, 2]
    assert day(range(30, 34), ONE=3, TWO=4, OTHER=2) == [3, 3]
    # A symbol that moved keeps its old locate until that is another's.
    assert day(range(40, 44), ONE=1) == [5, 4]
    assert day(range(50, 54), OTHER=3) == [6, 5]
    book.finish()
    assert bytes(book.device.memory.arena.view("symbols", ">i8")[:2].byteswap().view("S8")) \
        == b"ONE     TWO     "


def test_a_symbol_of_no_characters_is_not_watched():
    book = CheckedBook(SMALL, watch_symbols={"ONE": 100})
    book.apply(itch.directory(1, "\0" * 8))
    book.apply(itch.add(1, 1, b"B", 100, 10_000))
    book.finish()
    assert book.device.counters()["filtered"] == 1


def test_a_symbol_is_found_by_all_of_its_eight_characters():
    symbols = {"ABCDEFGH": 100, "ABCDEFG": 100, "A": 100}
    book = CheckedBook(SMALL, watch_symbols=symbols)
    for locate, symbol in enumerate(("A", "ABCDEFGH", "ABCDEFG", "ABCDEFGX", "B"), 10):
        book.apply(itch.directory(locate, symbol))
        book.apply(itch.add(locate, locate, b"B", 100, 10_000))
    book.finish()
    assert [len(instrument.levels[0]) for instrument in book.reference.instruments] == [1, 1, 1, 0]
    assert book.device.counters()["filtered"] == 2


@pytest.mark.parametrize("count", (1, 2, 3, 50, 1_000))
def test_every_watched_symbol_is_found_however_many_there_are(count):
    symbols = {f"S{number}": 100 for number in range(count)}
    device = Device(Geometry(instruments=1_024, orders_log2=10), watch_symbols=symbols)
    names = [f"S{number}" for number in range(count)]
    device.feed([itch.directory(1 + number, name) for number, name in enumerate(names)])
    found = device.feed([itch.add(1 + number, 1 + number, b"B", 1 + number, 10_000)
                         for number in range(count)])
    rows = [records.record(octets.tobytes()) for octets in found]
    assert [(row["locate"], row["bid_quantity"]) for row in rows] \
        == [(1 + number, 1 + number) for number in range(count)]
