"""The card's level table is the kernels' level table: every value, every refusal, every look-up.

Method: as for the order table; operations run through the compiled component and the kernels, in
tiny tables in which levels crowd a few buckets. Changes are two cycles apart or further, look-ups
fill the cycles between them and see the changes of two cycles before and earlier.
"""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.level_table_rig import (
    ADD,
    FLAGS,
    FOUND,
    KEY,
    LOOK_UP,
    NEW,
    OPERATION,
    OVERFLOW,
    SUBTRACT,
    Card,
    compare,
)
from tests.table_rig import LARGEST, TINY, in_hostile_memory, sequence_of_all
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import level_table as kernel
from tickwire.spec.geometry import CARD_SMALL, SHARE_LIMIT, Geometry
from tickwire_hw import hashed_table
from tickwire_hw.level_table import RESULT_AGE


@functools.cache
def tiny() -> Card:
    return Card(TINY)


@functools.cache
def small() -> Card:
    """The small card's geometry, in hostile memory."""
    return in_hostile_memory([hashed_table], lambda: Card(CARD_SMALL))


CARDS = {"tiny": tiny, "small, hostile memory": small}


@functools.cache
def crowd(geometry: Geometry, count: int = 14) -> np.ndarray:
    """Keys of two left buckets and one right bucket, ``count`` of each pair in turns."""
    memory = BookMemory(geometry, huge=False)
    found: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for price in range(1, 1 << 20):
        for instrument, side in ((0, 0), (3, 1)):
            key = kernel.key_of(instrument, side, price)
            pair = (kernel.left_bucket(memory.address, key),
                    kernel.right_bucket(memory.address, key))
            if not found:
                first, second = pair, None
            if pair[1] == first[1] and (second in (None, pair) or pair == first):
                second = pair if pair != first else second
                found.setdefault(pair, []).append((instrument, side, price))
        if len(found) == 2 and all(len(keys) >= count for keys in found.values()):
            break
    both = zip(found[first][:count], found[second][:count], strict=True)
    return np.array([key for keys in both for key in keys])


def operations(count: int, keys: np.ndarray, **columns) -> np.ndarray:
    """Columns of ``count`` operations, two cycles apart."""
    rows = np.zeros(count, OPERATION)
    for name, column in zip(KEY, np.asarray(keys).T, strict=True):
        rows[name] = column
    for name, value in {"operation": ADD, "shares": 100, "is_gone": 1,
                        "cycle": 2 * np.arange(count), **columns}.items():
        rows[name] = value
    return rows


def drawn(count: int, pool: np.ndarray, gaps: tuple[int, ...], seed: int) -> np.ndarray:
    """Changes ``gaps`` apart, half of them on a key of the last three, and look-ups between."""
    rng = np.random.default_rng(seed)
    gap = rng.choice(gaps, count)
    changes = np.cumsum(gap) - gap
    between = np.setdiff1d(np.arange(changes[-1]), changes)
    cycle = np.sort(np.concatenate((changes, rng.choice(between, len(between) * 2 // 3, False))))
    is_change = np.isin(cycle, changes)
    chosen = rng.integers(0, len(pool), len(cycle))
    repeats = np.flatnonzero(rng.random(len(cycle)) < 0.6)
    for number, back in zip(repeats.tolist(), rng.integers(1, 7, len(repeats)).tolist(),
                            strict=True):
        chosen[number] = chosen[max(0, number - back)]
    return operations(
        len(cycle), pool[chosen], cycle=cycle,
        operation=np.where(is_change, rng.choice([ADD, SUBTRACT], len(cycle)), LOOK_UP),
        shares=rng.choice([1, 1, 2, 3, 100, LARGEST], len(cycle)),
        is_gone=rng.random(len(cycle)) < 0.7, refuse=rng.random(len(cycle)) < 0.05)


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("gaps", ((2,), (2, 3), tuple(range(2, 9))), ids=str)
def test_every_level_is_that_of_the_kernels(name, gaps):
    card = CARDS[name]()
    places = 2 * 4 << card.geometry.levels_log2
    rng = np.random.default_rng(places)
    pool = np.array([rng.integers(0, 4, 3 * places), rng.integers(0, 2, 3 * places),
                     rng.integers(1, 1 << 31, 3 * places)]).T
    grid = np.array([(1, side, 100_000 + 100 * tick) for tick in range(places) for side in (0, 1)])
    for seed, keys in enumerate((crowd(card.geometry), pool, grid)):
        seen = compare(card, drawn(25_000, keys, gaps, seed))
        assert all(seen[flag] for flag in FLAGS if flag != "overflow") and seen["looked up"]
        if seed == 0:
            assert seen["overflow"] and seen["stash"] == card.geometry.level_stash


@pytest.mark.parametrize("gaps", ((2,), (2, 3, 4)), ids=str)
def test_every_run_of_four_changes_of_two_levels_of_a_bucket_is_exact(gaps):
    kinds = ((ADD, 3, 0), (SUBTRACT, 3, 1), (SUBTRACT, 1, 0))
    order = np.array(sequence_of_all(2 * len(kinds), 5))
    kind, shares, is_gone = np.array(kinds)[order >> 1].T
    gap = np.random.default_rng(1).choice(gaps, len(order))
    for pair in ((0, 2), (0, 1)):
        for others in (0, 3, 7):
            before = operations(others, crowd(TINY)[4:4 + 2 * others:2])
            body = operations(len(order), crowd(TINY)[list(pair)][order & 1], operation=kind,
                              shares=shares, is_gone=is_gone,
                              cycle=2 * others + np.cumsum(gap) - gap)
            seen = compare(tiny(), np.concatenate((before, body)))
            assert seen["new"] and seen["lost"] and seen["found"]


@given(st.lists(st.tuples(
    st.sampled_from((ADD, ADD, SUBTRACT)), st.integers(0, 25), st.integers(1, 3), st.booleans(),
    st.integers(0, 15), st.integers(2, 8), st.integers(0, 7)), min_size=1, max_size=60))
@settings(max_examples=150)
def test_short_sequences_are_answered_as_by_the_kernels(steps):
    rows = []
    cycle = 0
    for kind, place, shares, is_gone, refuse, gap, look_up in steps:
        rows.append((kind, place, shares, is_gone, refuse == 0, cycle))
        if look_up < gap:                      # 0: none, else that many cycles after the change
            rows += [(LOOK_UP, place, 0, 0, 0, cycle + look_up)] if look_up else []
        cycle += gap
    kinds, places, shares, is_gone, refuse, cycles = (list(column)
                                                      for column in zip(*rows, strict=True))
    compare(tiny(), operations(len(rows), crowd(TINY)[places], operation=kinds, shares=shares,
                               is_gone=is_gone, refuse=refuse, cycle=cycles))


@pytest.mark.parametrize("gap", (2, 5, 9))
def test_a_look_up_sees_the_changes_of_two_cycles_before_it_and_no_later_one(gap):
    keys = np.tile(crowd(TINY)[:1], (60, 1))
    changes = operations(20, keys[:20], cycle=gap * np.arange(20), shares=1)
    free = np.setdiff1d(np.arange(20 * gap), changes["cycle"])[:60]
    rows = np.concatenate((changes, operations(len(free), keys[:len(free)], operation=LOOK_UP,
                                               cycle=free)))
    rows = rows[np.argsort(rows["cycle"])]
    card = tiny()
    compare(card, rows)
    card.restart()
    found = card.results(rows)
    for row, level in zip(rows, found, strict=True):
        if row["operation"] == LOOK_UP:
            visible = int(((rows["operation"] == ADD) & (rows["cycle"] + 2 <= row["cycle"])).sum())
            assert (level["flags"] == FOUND) == (visible > 0)
            assert visible == 0 or level["orders"] == level["shares"] == visible


def test_a_level_takes_shares_up_to_its_limit_and_not_one_more():
    full = SHARE_LIMIT // LARGEST
    rest = SHARE_LIMIT - full * LARGEST
    shares = [*[LARGEST] * full, rest + 1, rest, 1, 1]
    rows = operations(len(shares), np.tile([3, 1, (1 << 31) - 1], (len(shares), 1)), shares=shares,
                      operation=[*[ADD] * (full + 3), SUBTRACT], is_gone=0)
    card = tiny()
    card.restart()
    found = card.results(rows)
    assert found["flags"].tolist() == [NEW, *[FOUND] * (full - 1), FOUND | OVERFLOW, FOUND,
                                       FOUND | OVERFLOW, FOUND]
    assert found["shares"][-4:].tolist() == [SHARE_LIMIT - rest, SHARE_LIMIT, SHARE_LIMIT,
                                             SHARE_LIMIT - 1]
    assert found["orders"][-4:].tolist() == [full, full + 1, full + 1, full + 1]
    compare(card, rows)


def test_reset_empties_the_table_in_one_cycle_a_bucket_and_nothing_is_taken_before():
    card = tiny()
    card.restart()
    fill = operations(28, crowd(TINY))
    held = card.results(fill)
    assert int(held["stash"][-1]) == TINY.level_stash
    card.model.reset()
    early = card.model.rows(1 << TINY.levels_log2, i__valid=1)
    card.model.put(early, "i__payload", operation=ADD, shares=1, key__price=1)
    assert not card.model.run(early, when="o__valid").size
    assert not card.model.run(card.model.rows(RESULT_AGE + 1), when="o__valid").size
    asked = np.concatenate((operations(28, crowd(TINY), operation=LOOK_UP), fill))
    asked["cycle"] = 2 * np.arange(len(asked))
    found = card.results(asked)
    assert not found["flags"][:28].any()
    assert (found[28:] == held).all()


def test_a_result_comes_after_eight_cycles():
    card = tiny()
    card.restart()
    rows = card.model.rows(20)
    rows["i__valid"][[0, 1, 9]] = 1
    out = card.model.run(rows)
    assert np.flatnonzero(out["o__valid"]).tolist() == [8, 9, 17]
    assert RESULT_AGE == 8
