"""Random integers: SplitMix64 (Steele, Lea, Flood 2014), the same on every machine.

``random`` is the address of a 64-bit state; each component has its own, so that one component's
draws never shift another's. No float enters a draw.
"""

import math

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load32, load64, multiply, shift_right, store64

_INCREMENT = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)

QUANTILES = 4_096
"""Rows of the exponential distribution's table."""

ONE = 1 << 16
"""Mean of :func:`exponential`."""


@kernel(inline=True)
def bits(random):
    """64 random bits."""
    store64(random, load64(random) + _INCREMENT)
    value = load64(random)
    value = multiply(value ^ shift_right(value, 30), _FIRST)
    value = multiply(value ^ shift_right(value, 27), _SECOND)
    return value ^ shift_right(value, 31)


@kernel(inline=True)
def below(random, count):
    """Integer from 0 to ``count`` - 1; ``count`` 1 to 2^31."""
    return (shift_right(bits(random), 32) * count) >> 32


@kernel(inline=True)
def chance(random, part):
    """Whether an event of probability ``part`` / 2^32 happens."""
    return shift_right(bits(random), 32) < part


@kernel(inline=True)
def exponential(random, table):
    """Exponentially distributed integer of mean ``ONE``; ``table`` is :func:`quantiles`."""
    return load32(table + 4 * below(random, QUANTILES))


@kernel(inline=True)
def bell(random):
    """Roughly normal integer of mean 0 and standard deviation ``ONE``: the sum of four uniforms."""
    value = bits(random)
    total = ((value & 0xFFFF) + (value >> 16 & 0xFFFF) + (value >> 32 & 0xFFFF)
             + (value >> 48 & 0xFFFF))
    return ((total - 131_070) * 1_774) >> 10        # 1774 / 1024 = sqrt(3)


def quantiles() -> np.ndarray:
    """Quantiles of the exponential distribution, scaled so that their mean is ``ONE``."""
    values = [-math.log1p(-(row + 0.5) / QUANTILES) for row in range(QUANTILES)]
    scale = ONE * QUANTILES / math.fsum(values)
    return np.array([round(value * scale) for value in values], np.uint32)


def seeded(seed: int, stream: int) -> int:
    """State for ``stream`` of ``seed``: distinct streams do not overlap in practice."""
    mask = (1 << 64) - 1
    state = (seed * 0xD1342543DE82EF95 + stream * 0xF1357AEA2E62A9C5 + 0x632BE59BD9B4E019) & mask
    for _ in range(2):
        state = (state ^ state >> 32) * 0xD6E8FEB86659FD93 & mask
    return state - (1 << 64) if state >> 63 else state
