"""The card's price window is the kernels' window: best level, row, counters, every question.

Method: sequences of orders at the window's edges run through the kernels, message by message, and
through the compiled component, two cycles apart or further; after every operation and every step
all that a side keeps and shows is compared. What is not valid, and what a step says that answers
nothing, is noise. Prices off the grid and above the window are left out: see the last test.
"""

import functools
import random
import warnings
from collections import Counter

import numpy as np
import pytest
from amaranth.hdl import UnusedElaboratable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.table_rig import in_hostile_memory
from tests.window_rig import ADD, EVENT, NEW, NOTHING, REMOVE, TICKS, Card, compare, kernel_log
from tickwire.kernels import layout
from tickwire.spec.geometry import CARD_SMALL, SWEEP_DELAY, SWEEP_PERIOD, Geometry
from tickwire_hw import sweep, window, window_rules
from tickwire_hw.window import RESULT_AGE, ROW_AGE, Window

TINY = Geometry(instruments=4, orders_log2=9, order_stash=8, levels_log2=8, level_stash=8,
                window_words=4, lookups=1, sweep_queue=2)
GAPS = {"two cycles": (2,), "two or three": (2, 3), "any": (2, 3, 4, 5, 6, 7, 12)}
LIVE_MAX = 40                               # orders of a side
HIGHEST = (1 << 31) - 1                     # price of an order
STEPS = (0, 1, 2, 3, 62, 63, 64, 65, 127, 128, 191, 192, 193, 255, 256, 257, 320, 447, 448, 449,
         500, 700, 1_023, 1_024, 1_025, 1_300, 1_791, 1_792, 4_095)


@functools.cache
def tiny() -> Card:
    return Card(TINY)


@functools.cache
def small() -> Card:
    """The small card's geometry, in hostile memory."""
    return in_hostile_memory([window, sweep],
                             lambda: Card(CARD_SMALL, "window_in_hostile_memory"))


CARDS = {"tiny": tiny, "small, hostile memory": small}


class Flow:
    """Orders of several books, so that what leaves is there."""

    def __init__(self) -> None:
        self.events: list[tuple[int, ...]] = []
        self._live: dict[tuple[int, int], dict[int, int]] = {}
        self._reference = 0

    def live(self, instrument: int, side: int) -> dict[int, int]:
        """Prices of the orders of a side, by reference, best first."""
        orders = self._live.setdefault((instrument, side), {})
        return dict(sorted(orders.items(), key=lambda entry: entry[1] if side else -entry[1]))

    def add(self, instrument: int, side: int, price: int, last: int = 1) -> None:
        self._reference += 1
        self._live.setdefault((instrument, side), {})[self._reference] = price
        self.events.append((ADD, instrument, side, price, self._reference, last))

    def remove(self, instrument: int, side: int, reference: int, last: int = 1) -> None:
        del self._live[instrument, side][reference]
        self.events.append((REMOVE, instrument, side, 0, reference, last))

    def nothing(self, count: int = 1, instrument: int = 0) -> None:
        self.events += [(NOTHING, instrument, 0, 0, 0, 1)] * count

    def array(self) -> np.ndarray:
        return np.array(self.events, EVENT)


def drawn(count: int, seed: int, base: int, sides: int, reach: int) -> np.ndarray:
    """A flow of ``sides`` sides around tick ``base``, in steps of up to ``reach`` ticks.

    Best levels are lost one after the other, replaces jump, and nothing happens for a while.
    """
    draw = random.Random(seed)
    flow = Flow()
    steps = [step for step in STEPS if step <= reach]
    pauses = (*(1, 2, 5, 20, 80) * 3, 4 * reach)
    attacked = 0
    while len(flow.events) < count:
        instrument, side = divmod(draw.randrange(sides), 2)
        orders = flow.live(instrument, side)
        tick = TICKS[instrument % len(TICKS)]
        best = next(iter(orders.values()), base * tick) // tick
        start = best if draw.random() < 0.5 else base
        price = tick * (start + draw.choice(steps) * draw.choice((-1, 1)))
        if draw.random() < 0.05:
            price += draw.randrange(tick)
        price = min(max(price, 1), HIGHEST)
        attacked = 15 if draw.random() < 0.02 else max(0, attacked - 1)
        kind = draw.random()
        if kind < 0.06:
            flow.nothing(draw.choice(pauses), instrument)
        elif not orders or (kind < 0.52 and not attacked and len(orders) < LIVE_MAX):
            flow.add(instrument, side, price)
        elif kind < 0.55:
            flow.add(instrument, side, draw.choice(list(orders.values())))
        else:
            is_best = attacked or kind < 0.8
            which = next(iter(orders)) if is_best else draw.choice(list(orders))
            is_replaced = draw.random() < 0.3
            flow.remove(instrument, side, which, not is_replaced)
            if is_replaced:
                flow.add(instrument, side, price)
    return flow.array()


# First tick, sides, reach.
FLOWS = {"one side": (20_000, 1, 320), "both sides": (900, 2, 700), "far": (30_000, 3, 4_095),
         "many, around a dollar": (150, 8, 450), "lowest prices": (5, 8, 65),
         "highest prices": (HIGHEST - 130, 4, 130)}


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("flow", FLOWS)
def test_every_operation_leaves_what_it_leaves_in_the_kernels(name, flow):
    seen = Counter()
    card = CARDS[name]()
    for seed, gaps in enumerate(GAPS.values()):
        card.restart()
        seen.update(compare(card, drawn(9_000, seed, *FLOWS[flow]), gaps, seed=seed))
    assert all(seen[what] for what in ("new", "lost", "change", "off_grid", "is_desync"))
    if "prices" not in flow:
        assert all(times for what, times in seen.items() if what != "full")


def test_a_side_that_finds_the_queue_full_is_not_swept():
    card = tiny()
    card.restart()
    seen = compare(card, drawn(20_000, 1, 20_000, 8, 500))
    assert seen["full"] and seen["window_sweeps"] > 2


@given(st.lists(st.tuples(
    st.sampled_from("aaabbdrn"), st.integers(0, 2), st.integers(0, 31), st.sampled_from(STEPS[:18]),
    st.sampled_from((1, -1)), st.integers(0, 3)), min_size=1, max_size=60),
    st.sampled_from(tuple(GAPS)), st.sampled_from((20_000, 300, 101)))
@settings(max_examples=150)
def test_short_sequences_leave_what_they_leave_in_the_kernels(steps, gaps, base):
    flow = Flow()
    for letter, number, choice, step, sign, off in steps:
        instrument, side = divmod(number, 2)
        orders = flow.live(instrument, side)
        tick = TICKS[instrument]
        price = max(1, tick * (base + sign * step) + (off == 3) * (tick // 2))
        if letter == "n":
            flow.nothing(1 + 4 * choice, instrument)
        elif letter == "a" or not orders:
            flow.add(instrument, side, price)
        else:
            which = list(orders)[0 if letter != "d" else choice % len(orders)]
            flow.remove(instrument, side, which, letter != "r")
            if letter == "r":
                flow.add(instrument, side, price)
    flow.nothing(100)
    card = tiny()
    card.restart()
    compare(card, flow.array(), GAPS[gaps])


@pytest.mark.parametrize("side", (0, 1))
@pytest.mark.parametrize("gap", STEPS[1:])
def test_the_level_below_a_gap_is_shown_at_once_or_found_by_the_sweep(side, gap):
    flow, sign = Flow(), 1 - 2 * side
    flow.add(1, side, 10_000)
    flow.add(1, side, 10_000 + sign * gap)
    flow.remove(1, side, 2)
    flow.nothing(4 * (gap + 8))
    card = tiny()
    card.restart()
    seen = compare(card, flow.array())
    lower = ~10_000 if side else 10_000
    floor = (lower + gap - TINY.window_ticks * 3 // 4) // 64 * 64
    assert seen["hidden"] == seen["window_sweeps"] == seen["taken"] == (floor > lower)


def test_what_leaves_the_window_is_unseen_though_the_sweep_was_below_what_was_unseen_before():
    flow, unseen = Flow(), 19_960          # in one word less than the next level
    flow.add(0, 0, 100 * 20_020)
    flow.add(0, 0, 100 * 20_170)           # moves the floor to 19,968
    flow.remove(0, 0, 2)
    flow.add(0, 0, 100 * unseen)           # is asked for at once
    flow.nothing(SWEEP_DELAY * SWEEP_PERIOD)
    flow.remove(0, 0, 3)                   # was found
    flow.add(0, 0, 100 * 20_170)
    flow.remove(0, 0, 4)                   # nothing left the window; the sweep asks for one below
    flow.nothing(1 + SWEEP_DELAY * SWEEP_PERIOD)
    flow.add(0, 0, 100 * 20_420)           # the first level leaves, before the sweep is done
    log = kernel_log(TINY, flow.array())
    assert log["floor"][-2] < unseen == log["unseen_low"][-2] and log["window_shifts"][-1]
    card = tiny()
    card.restart()
    compare(card, flow.array())


def test_reset_empties_every_window_and_nothing_is_taken_before_it_is_ready():
    card = tiny()
    card.restart()
    flow = drawn(2_000, 3, 300, 8, 320)
    compare(card, flow)
    card.model.reset()
    early = card.model.rows(8, i__valid=1)
    card.model.put(early, "i__payload", kind=NEW, key=1, on_grid=1)
    assert not card.model.run(early, when="o__valid").size
    assert not card.model.run(card.model.rows(RESULT_AGE + 1), when="o__valid").size
    compare(card, flow, seed=2)


def test_a_result_comes_after_nine_cycles():
    card = tiny()
    card.restart()
    rows = card.model.rows(30)
    rows["i__valid"][[0, 2, 11]] = 1
    assert np.flatnonzero(card.model.run(rows)["o__valid"]).tolist() == [9, 11, 20]
    assert (ROW_AGE, RESULT_AGE) == (5, 9)


def test_a_window_that_looks_up_more_than_a_tick_a_step_is_refused():
    with (warnings.catch_warnings(action="ignore", category=UnusedElaboratable),
          pytest.raises(ValueError, match=r"geometry\.lookups must be 1 for a card, not 16")):
        Window(Geometry())


def test_no_tick_is_the_same_number_on_both():
    assert window_rules.EMPTY == layout.EMPTY == layout.NO_TICK


def test_a_level_off_the_grid_and_above_the_window_does_not_move_it():
    flow = Flow()
    flow.add(0, 0, 100 * 20_000)
    flow.add(0, 0, 100 * 21_000 + 1)
    flow.add(0, 0, 100 * 20_001)
    card = tiny()
    card.restart()
    compare(card, flow.array())
