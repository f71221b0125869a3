"""Latency histograms: 32 linear steps in each octave, bounded memory, no float.

A histogram is ``HISTOGRAM_WORDS`` words: count, sum, minimum, maximum, then the buckets. A bucket
is at most 1/32 of its values wide, and a quantile is reported as the bucket's greatest value, so
it is never too small and at most 3.2 % too great.
"""

from collections.abc import Iterable

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64, shift_right, store64, top_bit
from tickwire.spec.stages import HISTOGRAM_SUB_BITS, HISTOGRAM_WORDS

COUNT, SUM, MINIMUM, MAXIMUM, BUCKETS = range(5)
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
_LINEAR = 1 << HISTOGRAM_SUB_BITS          # values below this have a bucket each


@kernel(inline=True)
def bucket_of(value):
    """Index of the bucket of ``value`` >= 0."""
    if value < _LINEAR:
        return value
    shift = top_bit(value) - HISTOGRAM_SUB_BITS
    return (shift << HISTOGRAM_SUB_BITS) + shift_right(value, shift)


@kernel(inline=True)
def add(address, nanoseconds):
    """Count one duration in the histogram at ``address``; a negative one counts as 0."""
    value = max(nanoseconds, 0)
    bucket = address + 8 * (BUCKETS + bucket_of(value))
    store64(bucket, load64(bucket) + 1)
    count = load64(address)
    store64(address + 8 * SUM, load64(address + 8 * SUM) + value)
    if count == 0 or value < load64(address + 8 * MINIMUM):
        store64(address + 8 * MINIMUM, value)
    if value > load64(address + 8 * MAXIMUM):
        store64(address + 8 * MAXIMUM, value)
    store64(address, count + 1)


def greatest_of(bucket: int) -> int:
    """Return the greatest value that counts in ``bucket``."""
    if bucket < _LINEAR:
        return bucket
    shift = (bucket >> HISTOGRAM_SUB_BITS) - 1
    return (((bucket & _LINEAR - 1) + _LINEAR + 1) << shift) - 1


def quantile(words: np.ndarray, fraction: float) -> int:
    """Return the least value that ``fraction`` of the durations do not exceed; 0 without any."""
    counts = np.cumsum(words[BUCKETS:HISTOGRAM_WORDS])
    total = int(counts[-1])
    if total == 0:
        return 0
    rank = min(max(int(np.ceil(fraction * total)), 1), total)
    bucket = int(np.searchsorted(counts, rank))
    return min(greatest_of(bucket), int(words[MAXIMUM]))


def summary(words: np.ndarray) -> dict[str, int]:
    """Return quantiles, minimum, mean, maximum (ns, whole) and count of the histogram."""
    count = int(words[COUNT])
    return {name: quantile(words, fraction) for name, fraction in QUANTILES.items()} | {
        "min": int(words[MINIMUM]), "mean": int(words[SUM]) // count if count else 0,
        "max": int(words[MAXIMUM]), "count": count}


def merge(histograms: Iterable[np.ndarray]) -> np.ndarray:
    """Return one histogram of all durations of ``histograms``."""
    merged = np.zeros(HISTOGRAM_WORDS, np.int64)
    for words in histograms:
        if words[COUNT] == 0:
            continue
        least = min(merged[MINIMUM], words[MINIMUM]) if merged[COUNT] else words[MINIMUM]
        most = max(merged[MAXIMUM], words[MAXIMUM])
        merged += words[:HISTOGRAM_WORDS]
        merged[MINIMUM], merged[MAXIMUM] = least, most
    return merged
