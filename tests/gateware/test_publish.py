"""The card's records and state lines are the kernels': every octet, in order and in its cycle.

Method: messages of all types and events of the feed go through the kernels; what each step does to
a book becomes an operation for the compiled component, two cycles after the last or further, with
noise wherever an operation means nothing and with memory at its worst. Sides that no sequence of
messages reaches are set by hand on both.
"""

import functools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.publish_rig import (
    DESYNC_ALL,
    EVENT,
    FLAGS,
    MESSAGE,
    POKE,
    TELL,
    UNREADABLE,
    Card,
    compare,
    events_of,
)
from tests.reference import itch
from tests.reference.flow import flow
from tests.reference.sequences import QUANTITIES, Space, other_messages, sequences
from tests.table_rig import HostileRAM
from tickwire.spec.geometry import Geometry
from tickwire.spec.records import BookFlag, FeedState
from tickwire_hw import rows

GEOMETRY = Geometry(instruments=8, orders_log2=7, order_stash=16, levels_log2=7, level_stash=16,
                    window_words=4, lookups=1)
IN_FORCE = (0, int(BookFlag.RECOVERING), int(BookFlag.STALE),
            int(BookFlag.RECOVERING | BookFlag.STALE))
STAMPS = (0, 1, (1 << 63) - 1)
LARGEST = (1 << 63) - 1


@functools.cache
def card() -> Card:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "RAM", HostileRAM)
        return Card(GEOMETRY)


def feed_events(rng: np.random.Generator, count: int) -> np.ndarray:
    """Events of the feed: flags, marks of one book or of all, records."""
    found = np.zeros(count, EVENT)
    found["what"] = rng.choice((UNREADABLE, FLAGS, DESYNC_ALL, TELL), count, p=(.3, .4, .1, .2))
    found["flags"] = rng.choice(IN_FORCE, count)
    found["stamp"] = rng.choice(STAMPS, count)
    found["instrument"] = rng.integers(0, 12, count)
    found["instrument"][found["instrument"] > GEOMETRY.instruments - 1] = 0
    found["line"] = rng.integers(0, 3, count)
    found["state"] = rng.choice([int(state) for state in FeedState], count)
    for name in ("sequence", "received", "session_0"):
        found[name] = rng.integers(0, LARGEST, count)
    found["session_1"] = rng.integers(0, 1 << 16, count)
    return found


def mixed(rng: np.random.Generator, events: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Put ``others`` between ``events``; blocks that cannot be read take a number too."""
    found = np.insert(events, np.sort(rng.integers(0, len(events) + 1, len(others))), others)
    is_numbered = np.isin(found["what"], (MESSAGE, UNREADABLE))
    found["sequence"][is_numbered] = 1 + np.arange(is_numbered.sum())
    return found


@pytest.mark.parametrize(("gaps", "nothing"), (((2,), 0), ((2, 2, 2, 3, 4, 5, 6, 9), .1)))
def test_a_day_with_a_feed_that_fails_gives_the_kernels_records(gaps, nothing):
    rng = np.random.default_rng(len(gaps))
    seen = Counter()
    for seed, part in ((1, 0), (2, .02), (3, .3)):
        events, octets = events_of(flow(20_000, 10 * len(gaps) + seed))
        # Most frames have an ingress time, else the message's own counts.
        events["stamp"] = np.where(rng.random(len(events)) < .9,
                                   rng.integers(1, LARGEST, len(events)), 0)
        events = mixed(rng, events, feed_events(rng, int(part * len(events))))
        seen += compare(card(), events, octets, gaps, nothing)
    for name in ("BBO", "TRADE", "STATUS", "FEED_STATE", "RECOVERING", "STALE", "DESYNCED",
                 "BID_HIDDEN", "ASK_HIDDEN", "CROSSED"):
        assert seen[name] > 1_000, seen
    assert seen["IMBALANCE"] > 50 and seen["DIRECTORY"] > 10, seen


def poke(rng: np.random.Generator, count: int) -> np.ndarray:
    """Changes of sides by hand, a third of them in two halves."""
    found = np.zeros(count, EVENT)
    found["what"], found["is_last"] = POKE, 1
    found["instrument"] = rng.integers(1, 4, count)
    found["side"] = rng.integers(0, 2, count)
    found["price"] = rng.choice((0, 1, 99, 100, 101, (1 << 31) - 1), count)
    orders = rng.choice((1, 2, 65_535, 65_536, (1 << 24) - 1), count)
    shares = rng.choice((1, 2, (1 << 32) - 1, 1 << 32, (1 << 40) - 1), count)
    found["value"] = orders << 40 | shares
    found["hidden"] = (found["price"] == 0) & (rng.random(count) < .5)
    found["desync"] = rng.random(count) < .01
    found["checksum"] = rng.integers(-LARGEST, LARGEST, count)
    found["sequence"], found["stamp"] = rng.integers(1, LARGEST, count), rng.integers(1, LARGEST,
                                                                                       count)
    first = np.flatnonzero(rng.random(count - 1) < .2)
    first = first[np.diff(first, prepend=-9) > 1]
    found["is_last"][first] = 0
    for name in ("instrument", "side", "sequence", "stamp"):
        found[name][first + 1] = found[name][first]
    return found


@pytest.mark.parametrize("gaps", ((2,), (2, 3, 4, 5)))
def test_any_side_gives_the_kernels_records(gaps):
    rng = np.random.default_rng(5)
    seen = compare(card(), poke(rng, 30_000), np.zeros((1, 64), np.uint8), gaps)
    for name in ("BBO", "SATURATED", "CROSSED", "DESYNCED", "BID_HIDDEN", "ASK_HIDDEN"):
        assert seen[name] > 1_000, seen


def test_sides_that_change_and_change_back_within_a_message_are_not_shown():
    one = np.zeros(5, EVENT)
    one["what"], one["instrument"], one["sequence"] = POKE, 1, (1, 2, 2, 3, 3)
    one["price"], one["value"], one["is_last"] = (7, 0, 7, 0, 8), (1 << 40) + 9, (1, 0, 1, 0, 1)
    assert compare(card(), one, np.zeros((1, 64), np.uint8)) == {"BBO": 2}


def test_flags_that_fall_show_what_was_shown_with_them_and_nothing_else():
    messages = [itch.add(locate, locate, b"B", 100, 10_000) for locate in (1, 2, 3)]
    events, octets = events_of(messages)
    flags = np.zeros(4, EVENT)
    flags["what"], flags["stamp"], flags["received"] = FLAGS, 77, 1
    flags["flags"] = (BookFlag.RECOVERING, BookFlag.STALE, 0, BookFlag.STALE)
    # 1 is shown before, 2 with RECOVERING, then with STALE as 3 is, then both without.
    events = np.insert(events, (1, 2, 3, 3), flags)
    assert compare(card(), events, octets) == {"BBO": 3 + 1 + 2, "RECOVERING": 1, "STALE": 2}


def everything(space: Space) -> st.SearchStrategy[list]:
    """Return a strategy of messages and seeds of events of the feed."""
    events = st.integers(0, 1 << 32)
    return st.tuples(sequences(space, others=True), st.lists(events, max_size=4),
                     st.lists(other_messages(space), max_size=8),
                     st.sampled_from(((2,), (2, 3), (2, 5, 8))), st.sampled_from(STAMPS))


@settings(max_examples=60)
@given(everything(Space(quantities=QUANTITIES, sides=(b"B", b"S", b"?"), locates=(1, 2, 9),
                        prices=(0, 9_999, 10_000, 10_100, 10_150, 100_000, 1 << 31))))
def test_drawn_messages_and_events_give_the_kernels_records(case):
    messages, seeds, more, gaps, stamp = case
    events, octets = events_of([*messages, *more])
    events["stamp"] = stamp
    for seed in seeds:
        rng = np.random.default_rng(seed)
        events = mixed(rng, events, feed_events(rng, 1))
    compare(card(), events, octets, gaps, .2)
