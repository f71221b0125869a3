"""How sequences of steps are drawn: with weights, and in rounds."""

import os
import struct

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


ABSENT = object()
"""Choice of a field that is left out of its dictionary."""


def maybe(choices):
    """Choices of a field that is left out as often as it is there."""
    return (*[ABSENT] * len(choices), *choices)


def step(*columns, **fields):
    """Draw a tuple: one choice of each column, then, if any, a dictionary with one of each field.

    It is a single draw of octets; one for each value would take longer than the step itself. Of a
    choice that is a ``range`` any number is taken.
    """
    table = (*columns, *fields.values())
    layout = struct.Struct(f"<{len(table)}Q")

    def taken(octets):
        found = [_choice(column, number)
                 for column, number in zip(table, layout.unpack(octets), strict=True)]
        if not fields:
            return tuple(found)
        pairs = zip(fields, found[len(columns):], strict=True)
        return (*found[:len(columns)], {name: value for name, value in pairs
                                        if value is not ABSENT})
    return st.binary(min_size=layout.size, max_size=layout.size).map(taken)


def _choice(column, number):
    number, place = divmod(number, len(column))
    choice = column[place]
    return choice[number % len(choice)] if isinstance(choice, range) else choice


def rounds(variable, default):
    """Decorate a test that draws as many examples as an environment variable says.

    It is a test for each round of so many; its argument ``turn`` is the round's number.
    """
    count = int(os.environ.get(variable, default))
    limited = settings(max_examples=min(count, ROUND), deadline=None,
                       suppress_health_check=list(HealthCheck))
    turns = pytest.mark.parametrize("turn", range(-(-count // ROUND)))
    return lambda test: turns(limited(test))
