"""The card's counters: whatever is added in any cycle is in the sums, and a picture is one instant.

Method: random steps in every cycle, and pictures taken at random; each must be the sums up to one
cycle, no later than is promised, and all of its words up to the same one.
"""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.spec.counters import COUNTER_SLOTS, CounterIndex
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.counters import WIDTHS, Counters
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

ROUND = COUNTER_SLOTS
WHOLE = 2 * ROUND + 6                      # cycles from a strobe to the whole picture
PEAKS = ("order_stash_max", "level_stash_max")
COUNTED = {counter.name.lower(): width for counter, width in WIDTHS.items()}


@functools.cache
def model() -> Model:
    return verilate(Counters(CARD_SMALL), has_reset=True)


def page(card: Model) -> dict[str, int]:
    """Read a picture that is whole."""
    rows = card.rows(COUNTER_SLOTS + 2)
    rows["page__address"][:-2] = np.arange(COUNTER_SLOTS)
    values = card.run(rows)["page__value"][2:].tolist()
    assert not any(value for index, value in enumerate(values)
                   if index >= len(CounterIndex)
                   or CounterIndex(index).name.lower() not in {*COUNTED, *PEAKS})
    return {name: values[CounterIndex[name.upper()]] for name in (*COUNTED, *PEAKS)}


def rises(count: int, source: np.random.Generator) -> np.ndarray:
    """Fills that rise over some hundred cycles, with less between; so each instant has its own."""
    begin, length = source.integers(-ROUND, count), source.integers(1, ROUND // 4)
    values = np.clip((np.arange(count) - begin) // length, 0, 8)
    values[source.random(count) < .2] = 0
    return values


def steps(rows: np.ndarray, source: np.random.Generator, density: float) -> dict[str, np.ndarray]:
    """Fill rows with steps; return them by counter."""
    given = {}
    for name, width in COUNTED.items():
        values = source.integers(0, 1 << min(width, 62), len(rows), dtype=np.uint64)
        values[source.random(len(rows)) > density] = 0
        given[name] = values
    model().put(rows, "i", **given)
    peaks = {name: rises(len(rows), source) for name in PEAKS}
    model().put(rows, "i_peak", **peaks)
    return {**{name: np.cumsum(values) for name, values in given.items()},
            **{name: np.maximum.accumulate(values) for name, values in peaks.items()}}


@settings(max_examples=15)
@given(st.integers(0, 1 << 30), st.integers(1, 3 * ROUND), st.sampled_from((.05, .5, 1)))
def test_a_picture_is_the_sums_of_one_cycle_after_its_strobe(seed, strobe, density):
    card, source = model(), np.random.default_rng(seed)
    card.restart()
    rows = card.rows(strobe + WHOLE)
    sums = steps(rows, source, density)
    rows["page__take"][strobe] = 1
    found = card.run(rows)
    shown = found["page__is_shown"]
    assert shown[-1] and not shown[:strobe + ROUND].any()
    seen = page(card)
    instants = [cycle for cycle in range(strobe, strobe + ROUND + 2)
                if all(int(sums[name][cycle]) == seen[name] for name in seen)]
    assert instants


def test_a_second_strobe_while_a_picture_is_taken_gives_a_later_one():
    card, source = model(), np.random.default_rng(3)
    card.restart()
    for second in (1, ROUND - 1, ROUND, ROUND + 1, 2 * ROUND - 1, 2 * ROUND):
        card.restart()
        rows = card.rows(10 + second + WHOLE)
        sums = steps(rows, source, .5)
        rows["page__take"][[10, 10 + second]] = 1
        shown = card.run(rows)["page__is_shown"]
        assert shown[-1] and not shown[10 + second + 1:10 + second + ROUND].any()
        seen = page(card)
        assert any(all(int(sums[name][cycle]) == seen[name] for name in seen)
                   for cycle in range(10 + second, 10 + second + ROUND + 2))


def test_a_picture_stays_while_counting_goes_on():
    card, source = model(), np.random.default_rng(4)
    card.restart()
    rows = card.rows(WHOLE)
    rows["page__take"][0] = 1
    card.run(rows)
    before = page(card)
    rows = card.rows(5 * ROUND)
    steps(rows, source, 1)
    card.run(rows)
    assert page(card) == before == dict.fromkeys(before, 0)


@pytest.mark.parametrize("cycles", (1, ROUND, ROUND + 50, 5 * ROUND))
def test_reset_begins_anew_from_zero(cycles):
    card, source = model(), np.random.default_rng(cycles)
    card.restart()
    rows = card.rows(cycles)
    steps(rows, source, 1)
    card.run(rows)
    card.reset()
    rows = card.rows(WHOLE + 300)
    rows["page__take"][300] = 1
    assert card.run(rows)["page__is_shown"][-1]
    assert not any(page(card).values())
