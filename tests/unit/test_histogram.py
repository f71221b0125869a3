"""Latency histograms: a quantile is never too small and at most 3.2 % too great.

Buckets are compared with their definition at every boundary, quantiles with those of the sorted
list of the same durations.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.kernels import histogram
from tickwire.spec.stages import HISTOGRAM_BUCKETS, HISTOGRAM_WORDS

durations = st.lists(st.integers(0, 60) | st.integers(0, 5_000) | st.integers(0, (1 << 63) - 1),
                     min_size=1, max_size=200)


def of(values):
    words = np.zeros(HISTOGRAM_WORDS, np.int64)
    for value in values:
        histogram.add(words.ctypes.data, value)
    return words


def exact(values, fraction):
    ordered = sorted(values)
    return ordered[min(max(int(np.ceil(fraction * len(values))), 1), len(values)) - 1]


@given(durations)
def test_quantiles_are_at_most_one_thirty_second_too_great(values):
    words = of(values)
    for fraction in (0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0):
        truth, found = exact(values, fraction), histogram.quantile(words, fraction)
        assert truth <= found <= truth + truth // 32


@given(durations)
def test_count_minimum_maximum_and_mean_are_exact(values):
    summary = histogram.summary(of(values))
    assert (summary["count"], summary["min"], summary["max"]) == (
        len(values), min(values), max(values))
    if sum(values) < 1 << 63:
        assert summary["mean"] == sum(values) // len(values)


def test_small_values_have_a_bucket_each():
    assert [histogram.bucket_of(value) for value in range(64)] == list(range(64))


def test_buckets_follow_each_other_without_a_gap():
    for bucket in range(HISTOGRAM_BUCKETS - 33):
        greatest = histogram.greatest_of(bucket)
        if greatest < (1 << 63) - 1:
            assert histogram.bucket_of(greatest) == bucket
            assert histogram.bucket_of(greatest + 1) == bucket + 1


def test_the_greatest_duration_has_a_place():
    words = of([(1 << 63) - 1])
    assert histogram.quantile(words, 0.5) == (1 << 63) - 1


def test_a_negative_duration_counts_as_zero():
    words = of([-5, 7])
    assert histogram.summary(words) | {} == {
        "p50": 0, "p90": 7, "p99": 7, "p999": 7, "min": 0, "mean": 3, "max": 7, "count": 2}


def test_an_empty_histogram_is_all_zero():
    assert set(histogram.summary(of([])).values()) == {0}


@given(st.lists(durations | st.just([]), max_size=4))
def test_a_merged_histogram_is_that_of_all_durations(lists):
    merged = histogram.merge(of(values) for values in lists)
    everything = of([value for values in lists for value in values])
    # The sum of huge durations wraps, in the same way on both sides.
    assert np.array_equal(merged, everything)


@pytest.mark.parametrize("value", [0, 31, 32, 63, 64, 65, 1_000, 123_456, 1 << 40])
def test_one_duration_is_every_quantile(value):
    assert histogram.summary(of([value]))["p50"] == value
