"""The card's best levels are the kernel's, and both are the book's or say that they do not know.

Method: sides of a book that knows everything, whose windows move wherever they may; drawn messages
on few keys around the best level, refused and doubtful ones among them, one to five cycles apart.
The kernel is compared with the book after each of them, the component with the kernel.
"""

import functools

import numpy as np
import pytest

from tests.touch_rig import APPEND, Card, play
from tickwire.kernels.touch import LEVELS
from tickwire.spec.geometry import CARD_SMALL


@functools.cache
def card() -> Card:
    return Card(CARD_SMALL)


@pytest.mark.parametrize("keys, appends", ((120, .1), (120, .5), (2_000, .3), (70, .02)))
def test_drawn_messages_give_the_kernels_best_levels(keys, appends):
    steps, expected = play(keys, 6_000, keys, appends)
    found = card().answers(steps)
    for name in ("is_shaken", "is_known", "best_key", "best_value"):
        wrong = np.flatnonzero(found[name] != expected[name])
        assert not len(wrong), (name, wrong[0], steps[wrong[0]], found[wrong[0]],
                                expected[wrong[0]])
    assert (expected["is_known"] == 0).sum() > 20 and (steps["kind"] == APPEND).sum() > 20
    assert (expected["count"] == LEVELS).sum() > 20 or keys < 100


def test_a_side_wants_a_level_while_its_list_is_neither_full_nor_all_there_is():
    steps, expected = play(5, 3_000, 300, .2)
    wants = (expected["more"] != 0) & (expected["count"] < LEVELS)
    is_later = np.diff(steps["cycle"], append=1 << 60) > 2     # nothing changed it since
    assert (card().answers(steps)["more"] == wants)[is_later].all()
