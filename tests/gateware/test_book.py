"""The card's book is the kernels' book: every best level, mark and checksum after every message.

Method: messages as they come over the wire without a gap, 8 octets a cycle, and far apart; after
each of them both books are compared, all instruments. What the stages do under every hazard has
its own tests (``test_commit``, ``test_window``); here it is what they do together.
"""

import dataclasses
import functools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.book_rig import STEP, Card, compare, distant, line_rate
from tests.early_rig import Watched
from tests.reference import itch
from tests.reference.flow import flow
from tests.reference.sequences import Space, flows, sequences
from tickwire.spec.geometry import CARD_SMALL, Geometry
from tickwire_hw.book import OUTCOME_AGE
from tickwire_hw.feed_port import EventKind

SMALL = dataclasses.replace(CARD_SMALL, instruments=5)
NARROW = Geometry(instruments=4, orders_log2=6, order_stash=4, levels_log2=5, level_stash=4,
                  window_words=4, lookups=1, sweep_queue=2)
LATE = 12                                   # events that may come after `hold`
TICKS = 256                                 # of the narrow one's window
STEPS = (0, 1, 63, 64, 65, 127, 128, 191, 192, 193, 255, 256, 257, 320, 400, 700)
WIDE = Space(locates=(1, 2, 3), references=tuple(range(1, 12)),
             prices=tuple(100 * (20_000 + step) for step in STEPS))
OFF_GRID = dataclasses.replace(WIDE, prices=(2_000_000, 2_000_050, 2_000_100, 9_950, 10_000, 1,
                                             2_025_600, 2_025_601))


@functools.cache
def small() -> Card:
    return Card(SMALL, "small_5")


@functools.cache
def narrow() -> Card:
    return Card(NARROW, "narrow")


@pytest.mark.parametrize("rate", (line_rate, distant))
def test_a_flow_of_all_types_makes_the_kernels_books(rate):
    messages = flow(4_000, 11)
    outcomes = compare(small(), messages, rate(messages), 100)
    assert (outcomes["kind"] == STEP).sum() == len(messages) // 4


def test_a_long_flow_in_a_narrow_window_makes_the_kernels_books():
    messages = flow(8_000, 12)
    outcomes = compare(narrow(), messages, line_rate(messages), 100)
    assert outcomes["is_hidden"].sum() > 300 and outcomes["is_desync"].sum() > 10


def falling(levels: int, gap: int) -> list[bytes]:
    """A side of levels ``gap`` ticks apart, the best one last; then all are lost, best first."""
    prices = [100 * (20_000 + gap * number) for number in range(levels)]
    return [*(itch.add(1, number, b"B", 5, price) for number, price in enumerate(prices, 1)),
            *(itch.delete(1, number) for number in range(levels, 0, -1))]


@pytest.mark.parametrize("gap", (1, 7, 64, 65))
def test_every_best_level_lost_in_a_row_at_line_rate_shows_the_next(gap):
    messages = falling(60, gap)
    compare(small(), messages, line_rate(messages), 100)


def test_the_next_level_at_the_other_end_of_the_window_is_shown():
    top = SMALL.window_ticks // 4
    for gap in (top - 64, top - 1, top, top + 1, SMALL.window_ticks - 1):
        messages = falling(2, gap)
        compare(small(), messages, line_rate(messages), 100)


def test_floods_of_one_type_at_line_rate_make_the_kernels_books():
    draw = random.Random(5)
    references = list(range(1, 600))
    adds = [itch.add(draw.randrange(1, 5), reference, draw.choice((b"B", b"S")), 10,
                     100 * draw.randrange(20_000, 20_040)) for reference in references]
    draw.shuffle(references)
    locate = {int.from_bytes(message[11:19], "big"): int.from_bytes(message[1:3], "big")
              for message in adds}
    floods = {
        "delete": [itch.delete(locate[reference], reference) for reference in references],
        "replace": [itch.replace(locate[reference], reference, reference + 1_000, 7,
                                 100 * draw.randrange(20_000, 20_040))
                    for reference in references],
        "execute": [itch.executed(locate[reference], reference, 10) for reference in references]}
    for messages in floods.values():
        compare(small(), adds + messages, line_rate(adds + messages), 100)


def test_an_order_that_lives_for_three_messages_at_line_rate_at_one_level():
    messages = []
    for number in range(1, 400):
        messages += [itch.add(1, number, b"B", 10, 2_000_000), itch.executed(1, number, 4),
                     itch.delete(1, number)]
    compare(small(), messages, line_rate(messages), 100)


def test_the_first_order_decides_the_grid():
    messages = [itch.add(1, 1, b"B", 5, 5_001), itch.add(1, 2, b"S", 5, 50_050),
                itch.add(2, 3, b"B", 5, 20_000), itch.add(2, 4, b"B", 5, 20_050),
                itch.delete(1, 1), itch.delete(1, 2), itch.delete(2, 4), itch.delete(2, 3)]
    for rate in (line_rate, distant):
        compare(small(), messages, rate(messages), 0)


@settings(max_examples=40)
@given(st.one_of(flows(WIDE, length=60), sequences(WIDE, length=60), flows(OFF_GRID)),
       st.sampled_from((line_rate, distant)))
def test_drawn_messages_make_the_kernels_books(messages, rate):
    if messages:
        compare(narrow(), messages, rate(messages), 100)


def test_an_outcome_comes_a_fixed_time_after_its_operation():
    card = small()
    for message in (itch.add(1, 1, b"B", 5, 2_000_000), itch.system(b"O"), itch.delete(1, 1)):
        card.start(100)
        ages = set()
        for offset in range(2):
            outcomes = card.outcomes([message], np.array([1_000 + offset]), first=1)
            start = card.model.run(card.model.rows(1))["cycle"][0] - 201 - offset
            ages.add(int(outcomes["cycle"][0] - start))
        assert max(ages) - min(ages) <= 1 and min(ages) >= OUTCOME_AGE


def test_operations_are_at_even_distances_whatever_marks_or_shows_all():
    draw, messages = random.Random(3), []
    for message in flow(600, 14):
        messages += [message, *[draw.choice((b"?", b"D\0"))] * (draw.random() < .1)]
    card = small()
    card.start(100)
    cycles = np.cumsum([draw.choice((2, 3, 4, 7)) + 20 * (len(message) < 3)
                        for message in messages])
    outcomes = card.outcomes(messages, cycles)
    assert (np.diff(outcomes["cycle"]) % 2 == 0).all()
    assert set(outcomes["sequence"]) >= {number for number, message in enumerate(messages, 1)
                                         if len(message) < 3}


def test_all_that_comes_until_hold_is_heeded_is_treated():
    short, card = [b"?"] * 64, small()
    for distance in (1, 2, 3):
        card.start(100)
        rows = card.rows(short, distance * np.arange(len(short)))
        held, *_ = np.append(np.flatnonzero(card.model.run(rows)["hold"]), len(rows)).tolist()
        # So many may come yet, one a cycle.
        count = held // distance + 1
        last = held + LATE
        cycles = np.concatenate((distance * np.arange(count), np.arange(held + 1, last + 1)))
        card.start(100)
        outcomes = card.outcomes([*short[:len(cycles)], itch.system(b"O")],
                                 np.append(cycles, last + 1_000))
        shown, times = np.unique(outcomes["sequence"], return_counts=True)
        assert shown.tolist() == list(range(1, 2 + len(cycles)))
        assert set(times[:-1].tolist()) == {SMALL.instruments}


def test_what_stands_beside_no_message_teaches_no_locate():
    """A directory message, in every cycle without an event, and beside what is no message."""
    kinds = (None, *(kind for kind in EventKind if kind is not EventKind.MESSAGE))
    for kind in (EventKind.MESSAGE, *kinds):
        card = small()
        card.start(100)
        Watched(SMALL.instruments, ("NONE", "WATCH")).set(card)
        rows = card.rows([itch.directory(1, "WATCH"), itch.add(1, 1, b"B", 5, 2_000_000)],
                         np.array([0, 20]))
        rows["i__valid"][0] = kind is not None
        if kind is not None:
            card.model.put(rows[:1], "i__payload", kind=kind.value)
        rows["watch_all"] = 0
        found = card.model.run(rows)
        is_taught = kind is EventKind.MESSAGE
        assert found["o_taught__valid"].sum() == found["early__valid"].sum() == is_taught
