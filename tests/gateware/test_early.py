"""The early port never lies: each best level that it knows is the book's after that message.

Method: messages into the compiled book, at line rate, far apart, and as their time stamps say; both
answers to every order message are compared with the kernels' books, and who is not known, and how
late, is counted. What is refused, unknown, doubled, off the grid or too much is among them.
"""

import dataclasses
import functools
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.book_rig import Card, distant, line_rate
from tests.early_rig import compare, stamped
from tests.gateware.test_book import OFF_GRID, SMALL, WIDE, falling, narrow, small
from tests.reference import itch
from tests.reference.flow import flow
from tests.reference.sequences import flows, sequences
from tickwire.spec.geometry import MAX_CACHED
from tickwire_sim.traffic import generate

LANES = 8
CACHED = (SMALL.cached, MAX_CACHED)
PAUSES = 3                                  # cycles that a message may wait: behind a replace


@functools.cache
def keeps(cached: int) -> Card:
    """The card that keeps so many levels a side."""
    return small() if cached == SMALL.cached else Card(
        dataclasses.replace(SMALL, cached=cached), f"small_5_{cached}")


def share(seen, name: str) -> float:
    """Part of the messages of a kind that were known, or told."""
    return seen[name] / seen[name.rpartition(" ")[0]]


def shifted(messages: list[bytes], octets: int):
    """Cycles at line rate, the first message beginning so many octets after a word."""
    return line_rate([bytes(octets), *messages])[1:]


@pytest.mark.parametrize("rate, cached, least", (
    (line_rate, SMALL.cached, .85), (line_rate, MAX_CACHED, .9), (distant, SMALL.cached, .99),
    (distant, MAX_CACHED, .99)))            # distant: all that is lost comes back in between
def test_a_flow_of_all_types_is_answered_as_the_book_will(rate, cached, least):
    # How long a level takes to come back hangs on a cycle here and there, so flows are summed up.
    seen = Counter()
    for seed in range(11, 12 if rate is distant else 19):
        messages = flow(4_000, seed)
        seen += compare(keeps(cached), messages, rate(messages))
    for letter in "AFDUECX":
        assert share(seen, f"{letter} known") >= least, seen
    assert share(seen, "lost known") >= least, seen
    assert share(seen, "A told") >= min(.85, least - .05), seen
    if rate is distant:
        assert seen["late"] == 0


def test_only_what_the_directory_has_named_is_answered():
    symbols, messages = ("DDDDDDDD", "AAA", "CCCC"), flow(1_500, 13)
    late = [itch.directory(9, "BBB"), itch.add(9, 1 << 40, b"B", 5, 2_000_000),
            itch.delete(9, 1 << 40)]
    for rate in (line_rate, distant):
        seen = compare(small(), messages, rate(messages), symbols=symbols)
        assert seen["A known"] > 300 and seen["D known"] > 300
        seen = compare(small(), messages + late, rate(messages + late),
                       symbols=(*symbols, "BBB"))
        assert seen["A known"] > 400


@pytest.mark.parametrize("rate", (line_rate, distant))
def test_a_locate_of_yesterday_is_answered_as_the_directory_names_it_today(rate):
    """All is known early until a symbol has two locates at a time; then nothing is, or wrong."""
    symbols, draw, messages, known = ("AAA", "BBB"), random.Random(9), [], []
    for number, day in enumerate((
            {"AAA": 1, "BBB": 2, "OTHER": 3}, {"OTHER": 2, "MORE": 1, "AAA": 3, "BBB": 9},
            {"BBB": 3, "AAA": 2, "OTHER": 9, "MORE": 1})):
        messages += [itch.directory(locate, symbol) for symbol, locate in day.items()]
        messages += [itch.add(draw.choice((1, 2, 3, 9)), 1_000 * number + reference,
                              draw.choice((b"B", b"S")), 5, 100 * draw.randrange(20_000, 20_040))
                     for reference in range(1, 300)]
        known.append(compare(small(), messages, rate(messages), symbols=symbols)["A known"])
    assert known[0] > 100 and known[1] > known[0] + 100 and known[2] == known[1]


def test_a_long_flow_in_a_narrow_window_is_answered_as_the_book_will():
    messages = flow(8_000, 12)
    for rate in (line_rate, distant):
        seen = compare(narrow(), messages, rate(messages))
        assert seen["D known"] > 1_000


@pytest.mark.parametrize("cached", CACHED)
def test_real_order_flow_is_known_early(shared_data, cached):
    octets = (shared_data / "lobster/AAPL_2012-06-21_oracle.itch").read_bytes()
    messages = list(itch.messages_of(octets))
    seen = compare(keeps(cached), messages, stamped(messages))
    assert seen["lost"] > 100 and share(seen, "lost known") >= .99, seen
    assert share(seen, "A known") >= .99 and share(seen, "A told") >= .9, seen


@pytest.mark.parametrize("cached", CACHED)
def test_a_generated_day_is_known_early(cached):
    octets = bytearray()
    generate(octets.extend, 20_000, 4, 1_200, 3)
    messages = list(itch.messages_of(bytes(octets)))
    seen = compare(keeps(cached), messages, stamped(messages))
    assert seen["lost"] > 150 and share(seen, "lost known") >= .99, seen
    assert share(seen, "A known") >= .99 and share(seen, "A told") >= .9, seen


@pytest.mark.parametrize("cached", CACHED)
@pytest.mark.parametrize("gap", (1, 7, 64))
def test_as_many_best_levels_as_are_kept_are_lost_in_a_row_at_line_rate(gap, cached):
    messages = falling(cached, gap)
    for octets in range(LANES):
        seen = compare(keeps(cached), messages, shifted(messages, octets))
        assert seen["D known"] == seen["D"] == cached and seen["A known"] == cached, seen
    messages = falling(30, gap)                # and then some: they are told to be unknown
    seen = compare(keeps(cached), messages, line_rate(messages))
    assert cached - 1 <= seen["D known"] < 30


def test_orders_two_cycles_apart_are_told_from_the_answer_before_or_later():
    """Of some all looks well until it shows that the price is no tick, or the reference taken."""
    draw, messages, cycles = random.Random(11), [], []
    for burst in range(400):
        for place in range(6):
            number = 6 * burst + place + 1
            price = 2_000_000 + 100 * draw.randrange(6) + draw.choice((0, 0, 0, 50))
            taken = number > 1 and draw.random() < .2
            messages.append(itch.add(draw.choice((1, 1, 2)), number - taken, b"S", 10, price))
            cycles.append(60 * burst + 2 * place)
    seen = compare(small(), messages, np.array(cycles))
    assert .3 < share(seen, "A told") < .9, seen


def hazards() -> dict[str, list[bytes]]:
    """Floods at line rate that concern one order, or one level, again and again."""
    draw = random.Random(5)
    references = list(range(1, 400))
    adds = [itch.add(draw.randrange(1, 5), reference, draw.choice((b"B", b"S")), 10,
                     100 * draw.randrange(20_000, 20_006)) for reference in references]
    locate = {int.from_bytes(message[11:19], "big"): int.from_bytes(message[1:3], "big")
              for message in adds}
    draw.shuffle(references)
    one = [itch.add(1, 1, b"B", 10, 2_000_000)]
    return {
        "delete": [*adds, *(itch.delete(locate[number], number) for number in references)],
        "replace": [*adds, *(itch.replace(locate[number], number, number + 1_000, 7,
                                          100 * draw.randrange(20_000, 20_006))
                             for number in references)],
        "chain": [*one, *(itch.replace(1, number, number + 1, 7, 100 * (20_000 + number % 3))
                          for number in range(1, 300))],
        "back and forth": [*one, *(itch.replace(1, 1 + number % 2, 2 - number % 2, 7, 2_000_000)
                                   for number in range(300))],
        "itself": [*one, *(itch.replace(1, 1, 1, 7 + number, 2_000_000 + 100 * (number % 3))
                           for number in range(300))],
        "A, E, D": [message for number in range(1, 200) for message in (
            itch.add(1, number, b"B", 10, 2_000_000), itch.executed(1, number, 4),
            itch.delete(1, number))],
        "A, A, D, D": [message for number in range(1, 400, 2) for message in (
            itch.add(1, number, b"S", 10, 2_000_000), itch.add(1, number + 1, b"S", 10, 1_999_900),
            itch.delete(1, number + 1), itch.delete(1, number))]}


@pytest.mark.parametrize("name", hazards())
def test_floods_are_answered_as_the_book_will_at_every_alignment(name):
    messages = hazards()[name]
    for octets in range(LANES):
        seen = compare(small(), messages, shifted(messages, octets))
        if name in ("A, E, D", "A, A, D, D", "chain", "back and forth", "itself"):
            for letter in {chr(message[0]) for message in messages}:
                assert seen[f"{letter} known"] == seen[letter], (octets, seen)


def test_more_orders_than_there_is_room_for_are_never_told_to_be_there():
    draw = random.Random(8)
    messages = []
    for number in range(1, 4_000):
        messages.append(itch.add(1, number, b"B", draw.choice((10, (1 << 32) - 1)),
                                 100 * draw.randrange(20_000, 20_400)))
        if number % 7 == 0:
            messages.append(itch.delete(1, draw.randrange(1, number)))
    for rate in (line_rate, distant):
        compare(narrow(), messages, rate(messages))


@settings(max_examples=60)
@given(st.one_of(flows(WIDE, length=60), sequences(WIDE, length=60), flows(OFF_GRID)),
       st.sampled_from((line_rate, distant)), st.sampled_from((100, 50, 1, 0, 25)))
def test_drawn_messages_are_answered_as_the_book_will(messages, rate, tick):
    if messages:
        compare(narrow(), messages, rate(messages), tick)
