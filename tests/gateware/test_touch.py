"""The card's best levels are the kernel's, and both are the book's or say that they do not know.

Method: sides of a book that knows everything, whose windows move wherever they may; drawn messages
on few keys around the best level, refused and doubtful ones among them, one to five cycles apart.
The kernel is compared with the book after each of them, the component with the kernel.
"""

import dataclasses
import functools

import numpy as np
import pytest

from tests.touch_rig import APPEND, MESSAGE, STEP, Card, Rows, play
from tickwire.spec.geometry import CARD_SMALL, MAX_CACHED, ONE_ORDER, SHARE_LIMIT

CACHED = (2, CARD_SMALL.cached, MAX_CACHED)


@functools.cache
def card(cached: int) -> Card:
    return Card(dataclasses.replace(CARD_SMALL, cached=cached))


@pytest.mark.parametrize("cached", CACHED)
@pytest.mark.parametrize("keys, appends", ((120, .1), (120, .5), (2_000, .3), (70, .02)))
def test_drawn_messages_give_the_kernels_best_levels(keys, appends, cached):
    steps, expected = play(keys, 6_000, keys, appends, cached)
    found = card(cached).answers(steps)
    for name in ("is_shaken", "is_known", "best_key", "best_value"):
        wrong = np.flatnonzero(found[name] != expected[name])
        assert not len(wrong), (name, wrong[0], steps[wrong[0]], found[wrong[0]],
                                expected[wrong[0]])
    assert (expected["is_known"] == 0).sum() > 20 and (steps["kind"] == APPEND).sum() > 20
    assert (expected["count"] == cached).sum() > 20 or keys < 100


@pytest.mark.parametrize("cached", CACHED)
def test_a_side_wants_a_level_while_its_list_is_neither_full_nor_all_there_is(cached):
    steps, expected = play(5, 3_000, 300, .2, cached)
    wants = (expected["more"] != 0) & (expected["count"] < cached)
    is_later = np.diff(steps["cycle"], append=1 << 60) > 2     # nothing changed it since
    assert (card(cached).answers(steps)["more"] == wants)[is_later].all()


ROOM = 1 << 32                              # shares that any order finds room in


@pytest.mark.parametrize("room, takes", [(0, 0), (ROOM - 1, 0), (ROOM, 0), (ROOM - 1, 1),
                                         (ROOM, 1)])
def test_a_level_that_may_become_too_full_makes_its_side_unknown(room, takes):
    """The book may refuse the order; what left the level in the same message does not help."""
    steps = np.zeros(2, STEP)
    steps["cycle"] = 0, 2
    steps["key"] = steps["take_key"] = 50
    listed, added = steps[0], steps[1]
    listed["kind"], listed["has_level"], listed["is_all"] = APPEND, 1, 1
    listed["value"] = 3 * ONE_ORDER + SHARE_LIMIT - room
    added["kind"], added["adds"], added["shares"], added["on_grid"] = MESSAGE, 1, ROOM - 1, 1
    added["takes"], added["taken"] = takes, takes
    expected, found = Rows(MAX_CACHED).apply(steps), card(MAX_CACHED).answers(steps)
    for name in ("is_known", "best_key", "best_value"):
        assert list(found[name]) == list(expected[name])
    assert list(expected["is_known"]) == [1, room == ROOM]
    if room == ROOM:
        assert expected["best_value"][1] == 4 * ONE_ORDER + SHARE_LIMIT - 1 - takes
