"""The card's order table is the kernels' order table: every answer, every refusal, every cycle.

Method: operations run through the compiled component, two cycles apart or further, and through the
kernels. Tables are tiny and references crowd a few buckets, so that ways, right buckets, stash and
refusals follow each other closely; every run of four operations on two references is among them.
Latency is compared for every operation; what is not valid at the inputs is noise.
"""

import functools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.order_table_rig import (
    ADD,
    FLAGS,
    OPERATION,
    ORDER,
    REMOVE,
    REPLACE,
    TAKE,
    UNKNOWN,
    Card,
    compare,
    kernel_results,
)
from tests.table_rig import LARGEST, TINY, in_hostile_memory, sequence_of_all
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import order_table as kernel
from tickwire.kernels.order_table import BUCKET
from tickwire.spec.geometry import CARD_SMALL, Geometry
from tickwire_hw import hashed_table
from tickwire_hw.order_table import RESULT_AGE, left_bucket, right_bucket


@functools.cache
def tiny() -> Card:
    return Card(TINY)


@functools.cache
def small() -> Card:
    """The small card's geometry, in hostile memory."""
    return in_hostile_memory([hashed_table], lambda: Card(CARD_SMALL))


CARDS = {"tiny": tiny, "small, hostile memory": small}


@functools.cache
def crowd(buckets_log2: int, count: int = 14) -> tuple[int, ...]:
    """References of two left buckets and one right bucket, ``count`` of each pair."""
    found: dict[tuple[int, int], list[int]] = {(1, 2): [], (3, 2): []}
    draw = random.Random(buckets_log2)
    while any(len(references) < count for references in found.values()):
        high = draw.getrandbits(draw.choice((8, 40, 64 - buckets_log2))) << buckets_log2
        for (left, right), references in found.items():
            reference = high | left_bucket(high, buckets_log2) ^ left
            if (right_bucket(reference, buckets_log2) == right and len(references) < count
                    and reference not in references):
                references.append(reference)
    return tuple(signed(reference) for pair in zip(*found.values(), strict=True)
                 for reference in pair)


def signed(reference: int) -> int:
    return reference - (reference >> 63 << 64)


def operations(count: int, **columns) -> np.ndarray:
    """Columns of ``count`` operations, two cycles apart."""
    rows = np.zeros(count, OPERATION)
    for name, value in {"instrument": 1, "side": 0, "price": 10_000, "shares": 100, "gap": 2,
                        **columns}.items():
        rows[name] = value
    return rows


def drawn(count: int, references: np.ndarray, gaps: tuple[int, ...], seed: int) -> np.ndarray:
    """Operations of which half are on a reference of the last three."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(references, count)
    repeats = np.flatnonzero(rng.random(count) < 0.5)
    for number, back in zip(repeats.tolist(), rng.integers(1, 4, len(repeats)).tolist(),
                            strict=True):
        chosen[number] = chosen[max(0, number - back)]
    shares = np.array([0, 1, 1, 2, 3, 100, LARGEST])
    kinds = rng.choice([ADD, ADD, ADD, REPLACE, TAKE, TAKE, REMOVE], count)
    return operations(
        count, operation=kinds, reference=chosen,
        shares=np.where(kinds <= REPLACE, rng.choice(shares[1:], count), rng.choice(shares, count)),
        instrument=np.where(rng.random(count) < 0.95, 1, rng.integers(0, 4, count)),
        side=rng.integers(0, 2, count), price=rng.integers(1, 1 << 31, count),
        refuse=rng.random(count) < 0.05, gap=rng.choice(gaps, count))


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("gaps", ((2,), (2, 3), tuple(range(2, 9))), ids=str)
def test_every_answer_is_that_of_the_kernels(name, gaps):
    card = CARDS[name]()
    places = 2 * 4 << card.geometry.orders_log2
    rng = np.random.default_rng(places)
    spread = rng.integers(-1 << 63, (1 << 63) - 1, places * 3 // 2)
    for seed, references in enumerate((np.array([*crowd(card.geometry.orders_log2), 0, -1]),
                                       np.arange(1, places * 3 // 2), spread)):
        seen = compare(card, drawn(30_000, references, gaps, seed))
        assert all(seen[flag] for flag in FLAGS if flag != "overflow")
        if seed == 0 or name == "tiny":
            assert seen["overflow"] and seen["stash"] == card.geometry.order_stash


@pytest.mark.parametrize("gaps", ((2,), (2, 3, 4)), ids=str)
@pytest.mark.parametrize("pair", ((0, 2), (0, 1)), ids=("both buckets", "the right bucket"))
def test_every_run_of_four_operations_on_two_references_of_a_bucket_is_exact(pair, gaps):
    kinds = ((ADD, 3), (REPLACE, 3), (TAKE, 2), (TAKE, 3), (REMOVE, 0))
    order = np.array(sequence_of_all(2 * len(kinds), 4))
    assert len({tuple(order[at:at + 4]) for at in range(len(order) - 3)}) == (2 * len(kinds)) ** 4
    kind, shares = np.array(kinds)[order >> 1].T
    references = np.array([crowd(4)[place] for place in pair])[order & 1]
    rng = np.random.default_rng(len(order))
    body = operations(len(order), operation=kind, shares=shares, reference=references,
                      gap=rng.choice(gaps, len(order)), price=np.arange(len(order)) + 1)
    # With the buckets empty, with one way free, and with nothing free but the stash.
    for others in (0, 3, 7):
        before = operations(others, operation=ADD, reference=crowd(4)[4:4 + 2 * others:2])
        seen = compare(tiny(), np.concatenate((before, body)))
        assert seen["placed"] and seen["gone"] and seen["unknown"] and seen["duplicate"]


@given(st.lists(st.tuples(
    st.sampled_from((ADD, ADD, REPLACE, TAKE, REMOVE)), st.sampled_from((*crowd(4)[:26], 0, -1)),
    st.integers(0, 1), st.integers(1, 3), st.integers(0, 15), st.integers(2, 8)),
    min_size=1, max_size=60))
@settings(max_examples=150)
def test_short_sequences_are_answered_as_by_the_kernels(steps):
    kinds, references, instruments, shares, refuse, gaps = (list(column)
                                                            for column in zip(*steps, strict=True))
    compare(tiny(), operations(
        len(steps), operation=kinds, reference=references, instrument=instruments, shares=shares,
        refuse=[value == 0 for value in refuse], gap=gaps, price=range(1, len(steps) + 1)))


def test_a_chain_on_one_order_and_full_fields_is_exact():
    rows = operations(6, operation=(ADD, TAKE, TAKE, ADD, REMOVE, REPLACE), reference=-1,
                      shares=(LARGEST, 1, LARGEST, LARGEST, 0, LARGEST), instrument=3,
                      side=(1, 0, 0, 1, 0, 0), price=(1 << 31) - 1)
    card = tiny()
    card.restart()
    found = card.results(rows)
    assert found["left"][[1, 2, 4]].tolist() == [LARGEST - 1, 0, 0]
    assert found["shares"].tolist() == [LARGEST, LARGEST, LARGEST - 1, *[LARGEST] * 3]
    assert (found["side"] == 1).all() and (found["price"] == (1 << 31) - 1).all()
    compare(card, rows)


def test_reset_empties_the_table_in_one_cycle_a_bucket_and_nothing_is_taken_before():
    card = tiny()
    card.restart()
    fill = operations(28, operation=ADD, reference=crowd(4))
    held = card.results(fill)
    assert int(held["stash"][-1]) == TINY.order_stash
    card.model.reset()
    early = card.model.rows((1 << TINY.orders_log2) + 1, i__valid=1)
    card.model.put(early, "i__payload", reference=crowd(4)[0])
    assert not card.model.run(early[:-1], when=("o__valid", "o_found__valid")).size
    asked = np.concatenate((operations(28, operation=REMOVE, reference=crowd(4)), fill))
    found = card.results(asked)
    assert (found["flags"][:28] == UNKNOWN).all() and (found["stash"][:28] == 0).all()
    assert (found[28:] == held).all()


def test_a_result_comes_after_five_cycles_and_the_order_after_four():
    card = tiny()
    card.restart()
    rows = card.model.rows(20)
    rows["i__valid"][[0, 8]] = 1
    card.model.put(rows, "i__payload", reference=7, order__shares=5, order__instrument=1)
    one = rows[8:9]
    card.model.put(one, "i__payload", operation=TAKE)
    rows[8:9] = one
    out = card.model.run(rows)
    assert np.flatnonzero(out["o__valid"]).tolist() == [RESULT_AGE, 8 + RESULT_AGE]
    assert np.flatnonzero(out["o_found__valid"]).tolist() == [8 + RESULT_AGE - 1]
    assert RESULT_AGE == 5


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


def test_the_kernels_rig_says_what_the_table_of_rules_says():
    rows = operations(9, operation=(ADD, ADD, TAKE, TAKE, REMOVE, REPLACE, REPLACE, ADD, TAKE),
                      reference=(5, 5, 5, 5, 5, 6, 7, 0, 6), shares=(3, 3, 1, 9, 0, 4, 4, 1, 0),
                      side=(1, 0, 0, 0, 0, 0, 0, 0, 0), refuse=0)
    flags = [[flag for bit, flag in enumerate(FLAGS) if value >> bit & 1]
             for value in kernel_results(TINY, rows)["flags"]]
    assert flags == [["placed"], ["duplicate"], ["found"], ["found", "gone", "over"], ["unknown"],
                     [], [], ["duplicate"], ["unknown"]]
    assert set(ORDER) < set(OPERATION.names)
