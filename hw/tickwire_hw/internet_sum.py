"""Ones' complement sums of 16-bit words (RFC 1071), some words a cycle, never folded in full."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from amaranth.hdl import Value, unsigned

from tickwire_hw.stream import big_endian

_HALF_BITS = 16
_CARRY_BITS = 3
SUM = unsigned(_HALF_BITS + _CARRY_BITS)
"""Shape of a sum: what is above 16 bits was carried out and is still to be added."""


def halves(word: Value) -> list[Value]:
    """16-bit words of a stream word, that of lane 0 first."""
    return [big_endian(word[at:at + _HALF_BITS]) for at in range(0, len(word), _HALF_BITS)]


def add_to(total: Value, addends: Sequence[Value]) -> Value:
    """Sum with ``addends`` added that count as up to seven of 16 bits; its shape is ``SUM``."""
    parts = [total[:_HALF_BITS], total[_HALF_BITS:], *addends]
    assert sum((1 << len(part)) - 1 for part in parts) < 1 << SUM.width
    return reduce(add, parts)[:SUM.width]


def is_right(total: Value) -> Value:
    """Whether a sum that has its checksum in it folds to 0xFFFF, found without folding it.

    Low half and carries add up to 0xFFFF when the carries are the complement of the lowest bits,
    above which there are only ones. They cannot add up to 0x1FFFE, which would fold to it too.
    """
    carries = total[_HALF_BITS:]
    return total[len(carries):_HALF_BITS].all() & (total[:len(carries)] == ~carries)
