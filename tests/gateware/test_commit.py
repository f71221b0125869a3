"""The card's orders and levels are the kernels': every result, refusal and level, in 14 cycles.

Method: operations run through the compiled component, two cycles apart or further on its grid, and
through the kernels. Tables are tiny, references and prices few, so that one order is added,
reduced, removed and added again within the pipeline, levels come and go between, and both tables
refuse. What is not valid at the inputs is noise.
"""

import functools
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.commit_rig import (
    ADD,
    COUNTERS,
    FOUND,
    NONE,
    OPERATION,
    PLACED,
    REMOVE,
    REPLACE,
    STEP,
    TAKE,
    Card,
    compare,
    kernel_results,
)
from tests.table_rig import LARGEST, TINY, in_hostile_memory, sequence_of_all
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import order_table as kernel
from tickwire.kernels.level_table import BUCKET
from tickwire.spec.geometry import CARD_SMALL, Geometry
from tickwire_hw import hashed_table
from tickwire_hw.order_table import left_bucket, right_bucket


@functools.cache
def tiny() -> Card:
    return Card(TINY, has_reset=True)


@functools.cache
def small() -> Card:
    """The small card's geometry, in hostile memory."""
    return in_hostile_memory([hashed_table], lambda: Card(CARD_SMALL))


def column(*rows: tuple) -> np.ndarray:
    """Operations (operation, reference, shares, price, side, instrument), two cycles apart."""
    return np.array([(*row, 2) for row in rows], OPERATION)


def drawn(rng: np.random.Generator, count: int, references: int, prices: int,
          weights: dict[int, float], gaps: tuple[int, ...] = (2,)) -> np.ndarray:
    """Operations without order or sense; a REPLACE is always behind a REMOVE."""
    found = np.zeros(count, OPERATION)
    kinds = rng.choice(list(weights), count, p=np.array(list(weights.values()))
                       / sum(weights.values()))
    behind = np.flatnonzero(kinds == REPLACE)
    kinds[behind[behind > 0] - 1] = REMOVE
    kinds[:1] = ADD
    for number in np.flatnonzero(kinds[1:] == REPLACE) + 1:
        if kinds[number - 1] != REMOVE:
            kinds[number] = ADD
    found["operation"] = kinds
    found["reference"] = rng.integers(0, references, count)
    found["shares"] = rng.choice([0, 1, 2, 3, 10, LARGEST], count,
                                 p=[.02, .3, .3, .2, .16, .02])
    found["price"] = rng.integers(0, prices, count) * 100
    odd = rng.random(count)
    found["price"][odd < .01] = 1 << 31
    found["price"][(odd >= .01) & (odd < .02)] = (1 << 31) - 1
    found["side"] = rng.integers(0, 2, count)
    found["instrument"] = rng.integers(0, 4, count) * (rng.random(count) < .3)
    # Both halves of a replace name the same instrument.
    second = np.flatnonzero(kinds == REPLACE)
    found["instrument"][second] = found["instrument"][second - 1]
    found["gap"] = rng.choice(gaps, count)
    return found


MIX = {ADD: .42, REPLACE: .1, TAKE: .25, REMOVE: .12, STEP: .06, NONE: .05}
FILL = {ADD: .8, REPLACE: .05, TAKE: .08, REMOVE: .05, STEP: .02}


@pytest.mark.parametrize("gaps", ((2,), (2, 2, 4, 6), (2, 8, 20)))
def test_operations_in_any_order_give_the_kernels_results(gaps):
    rng = np.random.default_rng(len(gaps))
    seen = Counter()
    for references, prices, mix in ((6, 3, MIX), (40, 12, MIX), (400, 60, FILL), (400, 400, FILL),
                                    (120, 4, FILL)):
        seen += compare(tiny(), drawn(rng, 3_000, references, prices, mix, gaps))
    for name in ("unknown", "over", "zero", "bad_price", "duplicate", "level_overflow",
                 "order_overflow", "found", "placed", "changed", "new", "lost"):
        assert seen[name] > 20, (name, seen)


def test_a_long_day_in_hostile_memory_gives_the_kernels_results():
    rng = np.random.default_rng(9)
    seen = compare(small(), drawn(rng, 100_000, 1_200, 200, MIX, (2, 2, 2, 4)))
    seen += compare(small(), drawn(rng, 100_000, 12, 3, MIX))
    assert seen["placed"] > 10_000 and seen["lost"] > 2_000, seen


def test_every_run_of_five_operations_on_one_order_and_two_levels_gives_the_kernels_results():
    symbols = ((ADD, 7, 2, 100, 0, 1), (ADD, 7, 2, 200, 0, 1), (TAKE, 7, 1, 0, 0, 1),
               (TAKE, 7, 2, 0, 0, 1), (REMOVE, 7, 0, 0, 0, 1), (ADD, 8, 3, 100, 0, 1),
               (REMOVE, 8, 0, 0, 0, 1))
    for gap in (2, 4):
        chain = column(*(symbols[number] for number in sequence_of_all(len(symbols), 5)))
        chain["gap"] = gap
        seen = compare(tiny(), chain)
        assert seen["lost"] > 1_000 and seen["duplicate"] > 1_000, seen


def test_every_run_of_replaces_gives_the_kernels_results():
    pairs = (((REMOVE, 7, 0, 0, 0, 1), (REPLACE, 8, 5, 100, 1, 1)),
             ((REMOVE, 8, 0, 0, 0, 1), (REPLACE, 7, 4, 200, 1, 1)),
             ((REMOVE, 7, 0, 0, 0, 2), (REPLACE, 9, 4, 200, 1, 2)),
             ((REMOVE, 7, 0, 0, 0, 1), (REPLACE, 7, 4, 100, 1, 1)),
             ((REMOVE, 8, 0, 0, 0, 1), (REPLACE, 7, 0, 100, 1, 1)),
             ((ADD, 7, 3, 100, 0, 1),), ((ADD, 8, 3, 300, 1, 1),), ((TAKE, 8, 2, 0, 0, 1),))
    chain = column(*(row for number in sequence_of_all(len(pairs), 4) for row in pairs[number]))
    seen = compare(tiny(), chain)
    assert seen["unknown"] > 500 and seen["lost"] > 500, seen


def test_the_level_of_an_operation_is_told_eight_cycles_before_its_result():
    rng = np.random.default_rng(4)
    for gaps in ((2,), (2, 4, 8)):
        operations = drawn(rng, 4_000, 100, 12, MIX, gaps)
        expected, found = kernel_results(TINY, operations), tiny().levels(operations)
        is_placed = expected["flags"] & PLACED != 0
        has_order = is_placed | (expected["flags"] & FOUND != 0)
        for name, column_of in zip(("price", "side"), found.T, strict=False):
            assert (column_of == expected[name])[has_order].all(), name
        assert (found[:, 2] == operations["instrument"])[has_order].all()
        # Whether there is room is not known yet.
        is_full = expected["flags"] & sum(1 << COUNTERS.index(name) for name in COUNTERS
                                          if "overflow" in name) != 0
        assert (found[:, 3] == is_placed | is_full).all()
        assert is_placed.sum() > 400 and (~has_order).sum() > 500


def test_reset_empties_both_tables():
    rng = np.random.default_rng(2)
    operations = drawn(rng, 2_000, 400, 60, FILL)
    compare(tiny(), operations)
    compare(tiny(), operations[:300], is_reset=True)
    compare(tiny(), operations, is_reset=True)


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


@pytest.mark.parametrize("buckets_log2", (4, 9, 14, 19))
def test_hashes_are_the_kernels_and_the_bucket_gives_the_low_bits_back(buckets_log2):
    memory = BookMemory(Geometry(orders_log2=buckets_log2))
    base, right = int(memory.context["orders"]), int(memory.context["orders_right"])
    draw = random.Random(buckets_log2)
    for reference in (1, (1 << 64) - 1, *(draw.getrandbits(64) for _ in range(500))):
        assert kernel.left_bucket(memory.address, signed(reference)) == (
            base + BUCKET * left_bucket(reference, buckets_log2))
        assert kernel.right_bucket(memory.address, signed(reference)) == (
            right + BUCKET * right_bucket(reference, buckets_log2))
    low = np.arange(1 << buckets_log2, dtype=np.uint64)
    for _ in range(5):
        references = low | np.uint64(draw.getrandbits(64 - buckets_log2) << buckets_log2)
        for bucket in (left_bucket, right_bucket):
            numbers = [bucket(int(reference), buckets_log2) for reference in references[:1 << 12]]
            assert len(set(numbers)) == len(numbers)


def test_a_level_holds_no_more_than_its_limit():
    seen = compare(small(), column(*((ADD, number + 1, LARGEST, 500, 0, 1)
                                     for number in range(257))))
    assert seen["level_overflow"] == 1, seen


@settings(max_examples=30)
@given(st.lists(st.tuples(
    st.sampled_from((ADD, TAKE, REMOVE, STEP, NONE)), st.sampled_from((0, 1, 17, 33, 1 << 63)),
    st.sampled_from((0, 1, 2, 5, LARGEST)), st.sampled_from((0, 100, 200, (1 << 31) - 1, 1 << 31)),
    st.integers(0, 1), st.sampled_from((0, 1, 3)), st.sampled_from((2, 4, 12))), min_size=1,
    max_size=60))
def test_drawn_operations_give_the_kernels_results(rows):
    found = np.array(rows, dtype=object)
    operations = np.zeros(len(rows), OPERATION)
    for place, name in enumerate(OPERATION.names):
        operations[name] = [(value - (1 << 64) if name == "reference" and value >> 63 else value)
                            for value in found[:, place]]
    compare(tiny(), operations)
