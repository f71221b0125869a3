"""The vocabulary of the line: lanes, fields and sums that never fold in full.

Method: the functions are evaluated in Amaranth's simulator for values at the edges; a sum is held
against RFC 1071 in plain Python.
"""

import itertools
import random

import pytest
from amaranth.hdl import Signal

from tests.gateware.evaluation import evaluate
from tickwire.spec import itch50
from tickwire.spec.network import ETHERNET, IPV4
from tickwire_hw.internet_sum import SUM, add_to, halves, is_right
from tickwire_hw.stream import LANES, WORD_BITS, Payload, Word, big_endian, octets, offset_of

HALVES = (0, 1, 2, 7, 8, 0x7FFF, 0x8000, 0xFFF7, 0xFFF8, 0xFFFE, 0xFFFF)


def test_octet_0_is_in_the_lowest_lane_and_fields_are_big_endian():
    word = Signal(WORD_BITS)
    value = int.from_bytes(bytes(range(1, 9)), "little")
    assert evaluate([word], [*octets(word), big_endian(word), *halves(word)], [[value]]) == [
        [1, 2, 3, 4, 5, 6, 7, 8, 0x0102030405060708, 0x0102, 0x0304, 0x0506, 0x0708]]


def test_words_are_packed_as_their_consumers_expect():
    assert Word.as_shape().size == 64 + 8 + 3
    assert [Word.as_shape()[name].offset for name in ("data", "keep", "first", "last", "error")] \
        == [0, 64, 72, 73, 74]
    assert Payload.as_shape()["start"].width == 3 and LANES == 8


def test_fields_are_found_in_the_tables():
    assert offset_of(ETHERNET, "ether_type") == 12
    assert offset_of(IPV4, "destination") == 16
    assert offset_of(itch50.ORDER_DELETE, "order_reference") == 11
    with pytest.raises(KeyError):
        offset_of(IPV4, "port")


def folded(total):
    """Sum of RFC 1071, carried around until nothing is left."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_sum_is_right_exactly_when_it_folds_to_all_ones():
    total = Signal(SUM)
    values = [*range(0, 20), *(carry << 16 | low for carry in range(8) for low in (
        *range(9), *range(0xFFF0, 0x10000), 0x8000))]
    found = evaluate([total], [is_right(total)], [[value] for value in values])
    assert [bool(one) for one, in found] == [folded(value) == 0xFFFF for value in values]


@pytest.mark.parametrize("count", [1, 4, 5, 7])
def test_additions_keep_what_a_sum_folds_to(count):
    source = random.Random(count)
    total, addends = Signal(SUM), [Signal(16, name=f"addend_{n}") for n in range(count)]
    vectors = [[carry << 16 | low, *[half] * count]
               for carry, low, half in itertools.product((0, 3, 7), HALVES, HALVES)]
    vectors += [[source.randrange(1 << 19), *source.choices(HALVES, k=count)] for _ in range(300)]
    found = evaluate([total, *addends], [add_to(total, addends)], vectors)
    for vector, (result,) in zip(vectors, found, strict=True):
        assert folded(result) == folded(sum(vector)), vector


def test_more_than_a_sum_can_hold_is_refused():
    with pytest.raises(AssertionError):
        add_to(Signal(SUM), [Signal(16)] * 8)
