"""How sequences of steps are drawn: with weights, and in rounds."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ROUND = 1_000
"""Sequences of a round. Hypothesis keeps all that a test drew: 0.2 MB a sequence of 40 steps."""


def weighted(*choices):
    """Draw from one of the strategies, each as often as it is named, a nested choice as one.

    ``st.one_of`` counts a strategy that is named twice once, and takes nested choices apart.
    """
    return st.sampled_from(choices).flatmap(lambda choice: choice)


def rounds(variable, default):
    """Decorate a test that draws as many examples as an environment variable says.

    It is a test for each round of so many; its argument ``turn`` is the round's number.
    """
    count = int(os.environ.get(variable, default))
    limited = settings(max_examples=min(count, ROUND), deadline=None,
                       suppress_health_check=list(HealthCheck))
    turns = pytest.mark.parametrize("turn", range(-(-count // ROUND)))
    return lambda test: turns(limited(test))
