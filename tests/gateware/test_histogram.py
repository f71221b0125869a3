"""Histograms of the gateware are the kernel's, word for word, at a sample a cycle.

Method: samples that crowd bucket bounds and repeat buckets at every distance go to a batch model in
every cycle and to :func:`tickwire.kernels.histogram.add`; whole histograms are read and compared,
over swaps between any two samples.
"""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.kernels import histogram
from tickwire.spec.registers import HISTOGRAM_OFFSET, HistogramControl, HistogramState
from tickwire.spec.stages import (
    HISTOGRAM_CARD_BITS,
    HISTOGRAM_CARD_BUCKETS,
    HISTOGRAM_WORDS,
    STAGES,
)
from tickwire_hw.histogram import READ_LATENCY, Histogram
from tickwire_hw.histogram_page import HistogramPage
from tickwire_sim.verilate import verilate

LONGEST = (1 << HISTOGRAM_CARD_BITS) - 1
CLEARED = 8_192 + 16                           # cycles in which a bank is clear for sure
SETTLED = 6
TOTALS = HISTOGRAM_WORDS - (60 << 5)


@pytest.fixture(scope="module")
def model():
    return verilate(Histogram())


def start(model):
    model.restart()
    assert model.run(model.rows(CLEARED))["is_ready"][-1]


def samples(model, values):
    rows = model.rows(len(values), i__valid=1)
    stages, durations = np.array(values, np.int64).reshape(-1, 2).T
    model.put(rows, "i__payload", stage=stages, duration=durations.astype(np.uint64))
    return rows


def read(model):
    """Return all words of all stages of what is shown."""
    words = TOTALS + HISTOGRAM_CARD_BUCKETS
    rows = model.rows(len(STAGES) * words + READ_LATENCY)
    rows["read_stage"][:-READ_LATENCY] = np.repeat(np.arange(len(STAGES)), words)
    rows["read_word"][:-READ_LATENCY] = np.tile(np.arange(words), len(STAGES))
    return model.run(rows)["read_data"][READ_LATENCY:].reshape(len(STAGES), words).astype(np.int64)


def expected(values):
    found = np.zeros((len(STAGES), HISTOGRAM_WORDS), np.int64)
    for stage, duration in values:
        histogram.add(found[stage].ctypes.data, min(duration, LONGEST))
    assert not found[:, TOTALS + HISTOGRAM_CARD_BUCKETS:].any()
    return found[:, :TOTALS + HISTOGRAM_CARD_BUCKETS]


def swap(model):
    assert model.run(model.rows(1, swap=1))["is_ready"][0]
    model.run(model.rows(SETTLED))


def clear(model):
    model.run(model.rows(1, clear=1))
    assert model.run(model.rows(CLEARED))["is_ready"][-1]


edges = st.sampled_from([0, 1, 31, 32, 33, 63, 64, 65, -1, -(1 << 63), LONGEST - 1, LONGEST,
                         LONGEST + 1, (1 << 63) - 1])
durations = edges | st.integers(0, 200) | st.integers(0, LONGEST)
some = st.lists(st.tuples(st.integers(0, len(STAGES) - 1) | st.just(0), durations), max_size=40)


@given(some, some)
@settings(max_examples=25, deadline=None)
def test_what_was_counted_is_what_the_kernel_counts(model, first, second):
    start(model)
    for values in (first, second):
        if values:
            model.run(samples(model, values))
        swap(model)
        assert np.array_equal(read(model), expected(values))
        clear(model)


def test_the_same_bucket_at_every_distance(model):
    source = random.Random(5)
    values = [(source.randrange(2), source.choice((7, 7, 7, 40, 41, 3_000))) for _ in range(5_000)]
    start(model)
    model.run(samples(model, values))
    swap(model)
    assert np.array_equal(read(model), expected(values))


def test_every_bucket_has_its_bounds(model):
    bounds = [histogram.greatest_of(bucket) for bucket in range(HISTOGRAM_CARD_BUCKETS)]
    values = [(3, value + more) for value in bounds for more in (0, 1)]
    start(model)
    model.run(samples(model, values))
    swap(model)
    assert np.array_equal(read(model), expected(values))


def test_a_swap_between_two_samples_loses_none_and_what_is_shown_stands_still(model):
    source = random.Random(6)
    values = [(source.randrange(len(STAGES)), source.randrange(100)) for _ in range(400)]
    start(model)
    rows = samples(model, values)
    rows["swap"][[150, 151, 300]] = 1          # only the first is taken: nothing was given back
    model.run(rows)
    assert np.array_equal(read(model), expected(values[:151]))
    clear(model)
    assert not read(model).any()
    swap(model)
    assert np.array_equal(read(model), expected(values[151:]))


def test_samples_count_while_the_other_bank_is_read_and_cleared(model):
    values = [(1, number % 50) for number in range(CLEARED)]
    start(model)
    model.run(samples(model, values[:10]))
    swap(model)
    rows = samples(model, values)
    rows["clear"][5] = 1
    assert model.run(rows)["is_ready"][-1]
    swap(model)
    assert np.array_equal(read(model), expected(values))


# The page of BAR 0


@pytest.fixture(scope="module")
def paged():
    return verilate(HistogramPage())


def on_page(model, stage, words, *, control=0, valid=1, **columns):
    """Return what accesses to words of 4 octets read, as the bus does it, and the last state."""
    rows = model.rows((READ_LATENCY + 1) * len(words) + 1, stage=stage, **columns)
    rows["control"][0] = control
    at = (READ_LATENCY + 1) * np.arange(len(words))
    for cycle in range(READ_LATENCY):
        rows["access__valid"][at + cycle] = valid
    model.put(rows, "access__payload", is_read=1, address=np.append(
        np.repeat(words, READ_LATENCY + 1), 0))
    found = model.run(rows)
    return found["o"][at + READ_LATENCY].tolist(), int(found["state"][-1])


def test_the_page_shows_the_words_of_the_stage_that_is_asked_for_and_nothing_else(paged):
    model, stage = paged, 5
    model.restart()
    clear, page = CLEARED // (READ_LATENCY + 1), HISTOGRAM_OFFSET // 4
    idle = [0] * clear
    assert on_page(model, stage, idle)[1] == HistogramState.READY | stage << 8
    values = [(stage, 3), (stage, LONGEST), (4, 7)]
    model.run(samples(model, values))
    wanted = expected(values)[stage].view(np.uint32)
    words = np.flatnonzero(wanted)
    everywhere = np.concatenate([page + words, [page + 2 * HISTOGRAM_WORDS, page - 1, 0]])
    assert not any(on_page(model, stage, everywhere)[0])          # nothing is shown yet
    shown, state = on_page(model, stage, np.append([0] * 2, everywhere),
                           control=HistogramControl.SHOW)
    assert state == HistogramState.SHOWN | stage << 8
    assert shown == [0, 0, *wanted[words].tolist(), 0, 0, 0]
    assert not any(on_page(model, stage, everywhere, valid=0)[0])
    for other in (len(STAGES), 255, 256 + stage, 1 << 31):
        found, state = on_page(model, other, everywhere)
        assert not any(found) and state >> 8 == len(STAGES)
    _, state = on_page(model, stage, idle, control=HistogramControl.RELEASE)
    assert state == HistogramState.READY | stage << 8


def test_a_start_counts_anew_whatever_is_shown(paged):
    model, page = paged, HISTOGRAM_OFFSET // 4
    for is_shown in (False, True):
        model.restart()
        idle = [0] * (CLEARED // (READ_LATENCY + 1))
        on_page(model, 0, idle)
        model.run(samples(model, [(0, 3)]))
        if is_shown:
            on_page(model, 0, [0] * 3, control=HistogramControl.SHOW)
        model.run(model.rows(1, is_start=1))
        assert on_page(model, 0, idle)[1] == HistogramState.READY
        model.run(samples(model, [(0, 9)] * 2))
        shown, _ = on_page(model, 0, [0, 0, page, page + 2, page + 4],
                           control=HistogramControl.SHOW)
        assert shown == [0, 0, 2, 18, 9]
