"""Prices become tick keys, and keys prices, as the kernels turn them, for every kind of tick."""

import numpy as np
import pytest

from tickwire.kernels import layout, window
from tickwire.spec.geometry import CARD_SMALL, tick_grid
from tickwire_hw.grid import KEY_AGE, PRICE_AGE, Grid
from tickwire_sim.verilate import verilate

LAST = (1 << 31) - 1


@pytest.fixture(scope="module")
def model():
    return verilate(Grid(CARD_SMALL))


def write(model, ticks):
    rows = model.rows(len(ticks) + 1)
    for instrument, tick in enumerate(ticks):
        one = rows[instrument:instrument + 1]
        one["i_write__valid"] = 1
        model.put(one, "i_write__payload", instrument=instrument,
                  **{f"row.{name}": value for name, value in tick_grid(tick).items()})
    model.run(rows)


def keys(model, instruments, sides, prices, gap=1, is_first=0):
    rows = model.rows(gap * len(prices) + KEY_AGE)
    given = rows[:gap * len(prices):gap]
    model.put(given, "i", instrument=instruments, side=sides, price=prices, is_first=is_first)
    rows[:gap * len(prices):gap] = given
    found = model.run(rows)[KEY_AGE:][::gap]
    return [model.get(found, "o", name).astype(np.int64) for name in (
        "key", "on_grid", "least_floor")]


@pytest.mark.parametrize("ticks", ((1, 2, 100, 50), (3, 1_000, 10_000, 1 << 20)))
def test_a_price_becomes_the_kernels_tick_key_and_the_key_its_price(model, ticks):
    write(model, ticks)
    rng = np.random.default_rng(1)
    count = 40_000
    prices = rng.integers(1, LAST, count) >> rng.integers(0, 24, count)
    edge = rng.random(count) < .2
    instruments, sides = rng.integers(0, 4, count), rng.integers(0, 2, count)
    size = np.array(ticks)[instruments]
    prices[edge] = (prices // size * size + rng.integers(-1, 2, count)).clip(0, LAST)[edge]
    key, on_grid, least = keys(model, instruments, sides, prices)
    number = prices // size
    assert (np.uint32(key) == np.uint32(np.where(sides, ~number, number))).all()
    assert (on_grid == (number * size == prices)).all()
    for tick, side in {(int(tick), int(side)) for tick, side in zip(size, sides, strict=True)}:
        chosen = (size == tick) & (sides == side)
        assert (np.int32(least[chosen]) == window.least_floor(side, tick)).all()

    rows = model.rows(count + PRICE_AGE)
    for port, back in (("i_key", slice(None)), ("i_ask", slice(None, None, -1))):
        given = rows[:count]
        model.put(given, port, instrument=instruments[back], side=sides[back],
                  key=np.uint32(key[back]).astype(np.uint64))
        rows[:count] = given
    found = model.run(rows)[PRICE_AGE:]
    assert (found["o_price"] == number * size).all()
    assert (found["o_asked"] == (number * size)[::-1]).all()


@pytest.mark.parametrize(("first", "tick"), ((9_999, 1), (10_000, 100), (25_050, 100), (1, 1)))
def test_without_a_tick_size_the_first_order_decides_it(model, first, tick):
    write(model, (0, 0, 0, 0))
    for noise in (7, 99_900):               # what adds nothing decides nothing
        keys(model, 2, 0, np.array([noise]))
    prices = np.array([first, 12_345, 7, 99_900])
    is_first = np.array([1, 1, 0, 1])
    key, on_grid, _ = keys(model, 2, 0, prices, 2, is_first)
    assert key.tolist() == (prices // tick).tolist()
    assert on_grid.tolist() == (prices % tick == 0).tolist()


@pytest.mark.parametrize("tick", (1, 2, 3, 7, 50, 100, 250, 1_000, 10_000, 1 << 20))
def test_a_row_is_what_the_kernel_sets(tick):
    header = np.zeros(1, layout.HEADER)
    window.set_grid(header.ctypes.data, tick)
    found = tick_grid(tick)
    assert found["multiplier"] == header["tick_multiplier"][0]
    assert found["bits"] + 31 == header["tick_shift"][0]
    assert found["least"] == window.least_floor(0, tick)
