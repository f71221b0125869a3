"""A side that is hidden is found again, and the window never costs a level.

Method: sequences over prices at the window's edges, halves and quarters; then messages that
change nothing drive the sweep on. The reference says after each of them what may be shown.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import itch
from tests.reference.book import ASK, BID, HIDDEN
from tests.reference.device import CheckedBook
from tests.reference.sequences import Space, flows, sequences
from tickwire.kernels import layout
from tickwire.kernels.window import set_grid
from tickwire.spec.geometry import SWEEP_DELAY, SWEEP_PERIOD, Geometry

TICKS = 256                                # of the window below
SPAN = 1_300                               # ticks between the outermost prices
BASE = 20_000
SMALL = Geometry(instruments=4, orders_log2=6, order_stash=4, levels_log2=6, level_stash=4,
                 window_words=TICKS // 64, lookups=1, sweep_queue=8, depth=2)
STEPS = (0, 1, 63, 64, 65, 127, 128, 191, 192, 193, 255, 256, 257, 320, 400, 700, SPAN)
WIDE = Space(locates=(1, 2, 3), references=tuple(range(1, 10)),
             prices=tuple(100 * (BASE + step) for step in STEPS))
NOTHING = itch.position(1)
windowed = st.one_of(flows(dataclasses.replace(WIDE, locates=(1,), sides=(b"S",))),
                     flows(WIDE, length=80), sequences(WIDE, length=80))


def due(steps: int) -> int:
    """Messages within which a side is found that needs so many ``steps`` of its sweep."""
    return (steps + SWEEP_DELAY + 3) * SWEEP_PERIOD


def is_hidden(book: CheckedBook, number: int, side: int) -> bool:
    line = book.device.memory.arena.view("sides", layout.HEADER)[number]
    return bool(int(line["flags"]) & HIDDEN[side])


def hidden_sides(book: CheckedBook) -> list[tuple[int, int]]:
    return [(number, side) for number in range(1, 4) for side in (BID, ASK)
            if is_hidden(book, number, side)]


def let_pass(book: CheckedBook, messages: int) -> None:
    """Let messages pass that change nothing; all but the last are not compared one by one."""
    for _ in range(messages):
        if not hidden_sides(book):
            return
        book.apply(NOTHING)


@given(windowed, st.sampled_from((1, 4)))
def test_a_hidden_side_is_found_again_while_other_messages_pass(messages, lookups):
    book = CheckedBook(dataclasses.replace(SMALL, lookups=lookups), tick=100)
    for message in messages:
        book.apply(message)
    let_pass(book, 6 * due((SPAN + TICKS) // lookups))
    assert not hidden_sides(book)
    book.finish()


@given(windowed)
def test_a_hidden_side_that_found_the_queue_full_is_found_after_its_next_change(messages):
    book = CheckedBook(dataclasses.replace(SMALL, lookups=16, sweep_queue=2), tick=100)
    for message in messages:
        book.apply(message)
    lowest = 100 * (BASE - 1)
    for number in range(1, 4):
        for side, letter, price in ((BID, b"B", lowest), (ASK, b"S", 100 * (BASE + SPAN + 1))):
            if is_hidden(book, number, side):
                book.apply(itch.add(number, 100, letter, 1, price))
                book.apply(itch.delete(number, 100))
                let_pass(book, 2 * due((SPAN + TICKS) // 16))
    let_pass(book, 6 * due((SPAN + TICKS) // 16))
    assert not hidden_sides(book)
    book.finish()


def falling(book: CheckedBook, letter: bytes, sign: int, gap: int) -> None:
    """Two levels ``gap`` ticks apart, the better one added last and then lost."""
    price = 100 * BASE
    book.apply(itch.add(1, 1, letter, 10, price))
    book.apply(itch.add(1, 2, letter, 20, price + sign * 100 * gap))
    book.apply(itch.delete(1, 2))


@pytest.mark.parametrize(("letter", "sign"), ((b"B", 1), (b"S", -1)))
@pytest.mark.parametrize("gap", (1, 64, 191, 192, 193, 255, 256, 257, 319, 320, 1_000, 2_000))
def test_the_level_below_a_gap_is_shown_at_once_or_after_a_bounded_number_of_messages(
        letter, sign, gap):
    book = CheckedBook(SMALL, tick=100)
    falling(book, letter, sign, gap)
    side = b"BS".index(letter)
    if gap <= TICKS // 4:                  # the window reaches a quarter above its first level
        assert not is_hidden(book, 1, side)
    let_pass(book, due(gap))
    assert not is_hidden(book, 1, side)
    book.finish()


@pytest.mark.parametrize("gap", (257, 1_000, 10_000))
def test_a_sweep_looks_up_as_many_ticks_a_message_as_the_geometry_says(gap):
    messages = {}
    for lookups in (1, 2, 8):
        book = CheckedBook(dataclasses.replace(SMALL, lookups=lookups, depth=0), tick=1)
        book.apply(itch.add(1, 1, b"B", 10, 1_000_000))
        book.apply(itch.add(1, 2, b"B", 20, 1_000_000 + gap))
        book.apply(itch.delete(1, 2))
        assert is_hidden(book, 1, BID)
        messages[lookups] = 1
        while is_hidden(book, 1, BID):
            book.device.feed([NOTHING])
            messages[lookups] += 1
    steps = {lookups: took / SWEEP_PERIOD - SWEEP_DELAY for lookups, took in messages.items()}
    assert steps[1] >= 1
    for lookups in (2, 8):
        assert abs(steps[lookups] - steps[1] / lookups) <= 2


@pytest.mark.parametrize("tick", (1, 2, 3, 50, 100, 250, 1_000, 10_000, 1 << 20))
def test_a_price_becomes_its_tick_by_multiplication_exactly(tick):
    header = np.zeros(1, layout.HEADER)
    set_grid(header.ctypes.data, tick)
    multiplier, shift = int(header["tick_multiplier"][0]), int(header["tick_shift"][0])
    last = (1 << 31) - 1
    prices = {0, 1, last, last - 1}
    numbers = {*range(200), *range(last // tick - 200, last // tick + 1),
               *(last // tick * step // 997 for step in range(998))}
    for number in numbers:                 # both sides of every step are where it can fail
        prices |= {number * tick, number * tick - 1, number * tick + tick - 1}
    for price in prices:
        if 0 <= price <= last:
            assert price * multiplier >> shift == price // tick
            assert price * multiplier < 1 << 63
