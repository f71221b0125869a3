"""What the early port knows of a price and of a locate, and what waits in front of it.

Method: prices around every multiple that matters and at random, on all ticks that are known and one
that is not, as ``Grid`` knows them; locates that the directory gives, and gives away, against a
dictionary; entries that come and go at random, more than there is room for too, against a list.
"""

import random

import numpy as np
import pytest

from tickwire.spec.geometry import CARD_SMALL, DOLLAR, tick_grid
from tickwire_hw.early_grid import AGE, EarlyGrid
from tickwire_hw.locates import Locates
from tickwire_hw.waiting import Waiting
from tickwire_sim.verilate import verilate

TICKS = (1, 50, 100, 25)                    # of the instruments; nothing is known of the last one
PRICE_MAX = (1 << 31) - 1
SPAN = CARD_SMALL.window_ticks * 3 // 4


def prices() -> np.ndarray:
    rng = np.random.default_rng(3)
    near = np.concatenate([np.arange(0, 1 << 31, 1 << 12) // 100 * 100 + step
                           for step in (0, 1, 25, 50, 75)])
    return np.concatenate((np.arange(12_000), rng.choice(near, 20_000),
                           rng.integers(0, 1 << 31, 20_000), [PRICE_MAX, DOLLAR - 1, DOLLAR]))


def test_a_price_is_a_tick_when_nothing_is_left_over():
    model = verilate(EarlyGrid(CARD_SMALL), "early_grid_small")
    given = np.minimum(prices(), PRICE_MAX)
    for instrument, tick in enumerate(TICKS):
        model.restart()
        rows = model.rows(len(given) + AGE + 1, soon=instrument, instrument=instrument)
        model.put(rows[:1], "i_write__payload", instrument=instrument,
                  **{f"row.{name}": value for name, value in tick_grid(tick).items()})
        rows["i_write__valid"][0] = 1
        rows["price"][1:len(given) + 1] = given
        found = model.run(rows)

        def get(name: str, port: str = "o", age: int = AGE) -> np.ndarray:
            late = found[1 + age:1 + age + len(given)]      # noqa: B023 - used in this round
            return model.get(late, port, name).astype(np.int64)
        is_tick, is_known = given % tick == 0, tick != 25
        assert (get("is_unsure") == (not is_known)).all()
        assert (get("is_tick", "o_soon", 2) == (is_tick & is_known)).all()
        if is_known:
            assert (get("on_grid") == is_tick).all()
            assert (get("is_low") == ((tick != 1) & (given < DOLLAR))).all()
            for side, keys in enumerate((given, PRICE_MAX - given)):
                assert (get(f"reach.{side}") == np.maximum(keys - SPAN * tick, 0)).all()


def test_the_first_order_of_an_instrument_decides_its_tick():
    model = verilate(EarlyGrid(CARD_SMALL), "early_grid_small")
    for first, tick in ((DOLLAR - 1, 1), (DOLLAR + 1, 100)):
        model.restart()
        rows = model.rows(20, instrument=2, soon=2)
        rows["price"][1], rows["is_first"][1 + AGE] = first, 1
        rows["price"][8:10] = 20_050, 20_100
        found = model.run(rows)
        on_grid = model.get(found, "o", "on_grid")
        assert on_grid[1 + AGE] == (first % tick == 0)
        assert on_grid[8 + AGE:10 + AGE].tolist() == [tick == 1, 1]


def test_a_locate_is_the_instrument_that_the_directory_gave_it_last():
    model, draw = verilate(Locates(CARD_SMALL), "locates_small"), random.Random(2)
    count, entries = 4_000, {}
    rows, expected, is_split, is_changed = model.rows(count), [], [], []
    for number in range(count):
        locate, before = draw.randrange(8), len(is_split)
        rows["locate"][number] = locate
        expected.append(entries.get(locate))
        if draw.random() < .3:
            new, instrument, is_watched = draw.randrange(8), draw.randrange(4), draw.random() < .7
            rows["i_taught__valid"][number] = 1
            model.put(rows[number:number + 1], "i_taught__payload", locate=new,
                      instrument=instrument, is_watched=is_watched)
            is_split.append(is_watched and any(value == instrument and key != new
                                               for key, value in entries.items()))
            is_changed.append(entries.get(new) != (instrument if is_watched else None))
            if is_watched:
                entries = {key: value for key, value in entries.items() if value != instrument}
                entries[new] = instrument
            else:
                entries.pop(new, None)
        is_split += [False] * (before + 1 - len(is_split))
        is_changed += [False] * (before + 1 - len(is_changed))
    found = model.run(rows)
    assert (found["is_split"] == is_split).all()
    assert (found["is_changed"] == is_changed).all()
    assert model.get(found, "o", "is_watched")[1:].tolist() == [
        entry is not None for entry in expected[:-1]]
    instrument = model.get(found, "o", "instrument")[1:]
    assert all(entry in (None, int(ours))
               for entry, ours in zip(expected[:-1], instrument, strict=True))


def test_every_locate_is_its_own_instrument_where_all_are_watched():
    model = verilate(Locates(CARD_SMALL), "locates_small")
    rows = model.rows(9, watch_all=1)
    rows["locate"] = (0, 1, 3, 4, 5, 0xFFFF, 2, 0, 0)
    found = model.run(rows)
    assert model.get(found, "o", "is_watched")[1:].tolist() == [0, 1, 1, 0, 0, 0, 1, 0]
    assert model.get(found, "o", "instrument")[[2, 3, 7]].tolist() == [1, 3, 2]


@pytest.mark.parametrize("arrive, take", [(.2, .9), (.6, .9), (.9, .3)])
def test_what_waits_is_shown_in_order_and_nothing_is_lost_while_there_is_room(arrive, take):
    depth, count, draw = 4, 4_000, random.Random(f"{arrive} {take}")
    model = verilate(Waiting(8, depth), "waiting")
    model.restart()
    rows, kept, was_taken, shown, levels, lost = model.rows(count), [], False, [], [], 0
    for number in range(count):
        is_shown = bool(kept) and not was_taken
        shown.append(kept[0] if is_shown else None)
        levels.append(len(kept) - is_shown)
        rows["i__payload"][number] = value = draw.randrange(256)
        rows["i__valid"][number] = comes = draw.random() < arrive
        rows["o__ready"][number] = takes = draw.random() < take
        if comes:
            has_room = levels[-1] < depth
            lost += not has_room
            kept += [value] * has_room
        was_taken = is_shown and takes
        del kept[:was_taken]
    found = model.run(rows)
    assert [int(value) if valid else None for value, valid in zip(
        found["o__payload"], found["o__valid"], strict=True)] == shown
    assert found["level"].tolist() == levels
    assert found["has_any"].tolist() == [level > 0 or entry is not None
                                         for level, entry in zip(levels, shown, strict=True)]
    assert lost or arrive < .5
