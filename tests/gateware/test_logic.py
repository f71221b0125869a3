"""Comparisons by carries, and sums by one, say what plain integers say.

Method: Amaranth's simulator, for values whose differences begin and end at every bit; `DueEvent`
is clocked, as its distance is joined a cycle late.
"""

import random

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from tests.gateware.evaluation import evaluate
from tickwire_hw.due_event import DueEvent
from tickwire_hw.logic import is_greater, is_less, sum_of

BITS = 64


def near(source, width=BITS):
    """Pairs that are equal, or differ by a little, or first at each bit."""
    for bit in range(width):
        base = source.randrange(1 << width)
        ones = base | (1 << bit) - 1
        for one, other in ((base, base ^ 1 << bit), (ones, ones + 1), (ones + 1, ones),
                           (base, source.randrange(1 << width)), (base, base)):
            yield one % (1 << width), other % (1 << width)


@pytest.mark.parametrize(("left", "right"), [(64, 64), (65, 64), (64, 65), (3, 3)])
def test_a_wide_comparison_is_one_of_integers(left, right):
    one, other = Signal(left), Signal(right)
    pairs = [(a % (1 << left), b % (1 << right))
             for a, b in near(random.Random(left + right), max(left, right))]
    found = evaluate([one, other], [is_less(one, other), is_greater(one, other)], pairs)
    assert found == [[a < b, a > b] for a, b in pairs]


def test_a_wide_comparison_of_signed_values_heeds_the_sign():
    one, other = Signal(signed(BITS)), Signal(signed(BITS))

    def with_sign(value):
        return value - (value >> BITS - 1 << BITS)
    pairs = [(with_sign(a), with_sign(b)) for a, b in near(random.Random(2))]
    assert any(a < 0 <= b for a, b in pairs)
    found = evaluate([one, other], [is_less(one, other)], pairs)
    assert found == [[a < b] for a, b in pairs]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_a_sum_of_many_loses_no_carry(count):
    source, widths = random.Random(count), [20, 17, 16, 16, 16, 1][:count]
    signals = [Signal(width, name=f"value_{place}") for place, width in enumerate(widths)]
    vectors = [[(1 << width) - 1 for width in widths], *(
        [source.randrange(1 << width) for width in widths] for _ in range(300))]
    found = evaluate(signals, [sum_of(*signals)], vectors)
    assert found == [[sum(vector)] for vector in vectors]


def test_how_a_header_stands_to_the_expected_number_is_their_difference():
    source = random.Random(3)
    expected = [source.randrange(1 << 62) for _ in range(40)] + [
        base + add for base in (1 << bit for bit in range(1, 63)) for add in (-1, 0, 1, 2)]
    pairs = [(number + by, number) for number in expected for by in (*range(-6, 7), 1 << 40)
             if 0 <= number + by < 1 << 63]
    due, found = DueEvent(), []
    m = Module()
    m.submodules.due = due

    async def bench(context):
        for first, number in pairs:
            context.set(due.arriving.first, first)
            context.set(due.entry.body.header.first, first)
            context.set(due.expected, number)
            for name, value in (("is_arriving", 1), ("loads", 1), ("take", 0)):
                context.set(getattr(due, name), value)
            context.set(due.part_next.header, 1)
            await context.tick()
            seen = [{name: context.get(due.distance[name])
                     for name in ("low", "is_below", "is_small", "is_small_below")}]
            context.set(due.part_next.header, 0)
            context.set(due.loads, 0)
            context.set(due.take, 1)       # now it is in the register, and stands there the same
            await context.tick()
            seen.append({name: context.get(due.distance[name]) for name in seen[0]})
            found.append(seen)

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    for (first, number), seen in zip(pairs, found, strict=True):
        by = first - number
        stands = {"low": by % 4, "is_below": by < 0, "is_small": 0 <= by < 4,
                  "is_small_below": -4 <= by < 0}
        assert seen == [stands, stands], (first, number)
