"""Combinational shapes that are shared: one-hot choices, comparison in pieces, delay lines.

Give them signals: an expression is repeated in the netlist as often as its bits are used.
"""

from functools import reduce
from operator import add, or_

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, ValueCastable
from amaranth.utils import ceil_log2

PIECE = 8
"""Bits of two values that are compared within one stage of a pipeline."""


def equal_pieces(left: Value, right: Value) -> Value:
    """Compare two values in pieces: every bit of the result is 1 when they are equal."""
    return Cat(left[at:at + PIECE] == right[at:at + PIECE] for at in range(0, len(left), PIECE))


def select(*choices: tuple[Value, Value]) -> Value:
    """Value whose condition holds, of pairs of condition and value; 0 when none does.

    At most one condition may hold.
    """
    return reduce(or_, (Mux(condition, Value.cast(value), 0) for condition, value in choices))


def lowest(bits: Value) -> Value:
    """One-hot choice of the lowest bit that is set."""
    return Cat(bit & ~bits[:number].any() for number, bit in enumerate(bits))


def are_two(bits: Value) -> Value:
    """Whether two bits or more are set."""
    return reduce(or_, (bits[a] & bits[b] for a in range(len(bits)) for b in range(a)))


def saturated(value: Value, width: int) -> Value:
    """Low ``width`` bits of a value, all of them set when it has more."""
    return value[:width] | value[width:].any().replicate(width)


def excess(value: Value, other: Value) -> Value:
    """What a value is above another one, both unsigned and of its width; 0 when it is not."""
    return Mux(value > other, value - other, 0)[:len(value)]


def is_less(value: Value, other: Value) -> Value:
    """Whether a value is less than another one, which may come earlier.

    The sign of their difference: no table inverts ``value`` before the carry chain, none is behind.
    """
    return (value - other)[-1]


def is_greater(value: Value, other: Value) -> Value:
    """Whether a value is greater than another one, which may come earlier; both unsigned.

    The carry of the value and the other's complement, as in `is_less`.
    """
    width = max(len(value), len(other))
    return (value + ~(other | C(0, width)))[width]


def sum_of(*values: Value) -> Value:
    """Sum of unsigned values, with one carry chain however many they are.

    Three become two, their bits and the carries between them, until two are left.
    """
    found = [*values]
    while len(found) > 2:
        a, b, c, *others = found
        found = [a ^ b ^ c, Cat(0, a & b | (a | b) & c), *others]
    return reduce(add, found)


def encode(one_hot: Value) -> Value:
    """Number of the bit that is set."""
    bits = range(ceil_log2(len(one_hot)))
    return Cat(Cat(bit for number, bit in enumerate(one_hot) if number >> place & 1).any()
               for place in bits) if bits else C(0, 0)


def stages(m: Module, value: Value | ValueCastable, count: int, name: str) -> list:
    """Return ``value`` and its copies of one to ``count`` cycles later.

    Call it outside of any condition: a register made inside of one moves only while that holds.
    """
    found = [value]
    for age in range(1, count + 1):
        found.append(Signal(value.shape(), name=f"{name}_{age}"))
        m.d.sync += found[age].eq(found[age - 1])
    return found
