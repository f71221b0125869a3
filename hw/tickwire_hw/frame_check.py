"""Frame check sequence of Ethernet, a word at a time: linear maps over registers of 32 bits.

A register holds the remainder with the bits of each octet in the order of the wire, lowest first,
so its complement is, octet for octet, what is sent. It begins with ones, which is the same as
zeros and the first four octets inverted.
"""

from collections.abc import Callable, Sequence
from functools import cache, reduce
from operator import xor

from amaranth.hdl import C, Cat, Value

from tickwire.spec.xgmii import CHECK_POLYNOMIAL, CHECK_SIZE

BITS = 8 * CHECK_SIZE
_ONES = (1 << BITS) - 1
_POLYNOMIAL = int(f"{CHECK_POLYNOMIAL:0{BITS}b}"[::-1], 2)


def _forth(state: int, octet: int = 0) -> int:
    state ^= octet
    for _ in range(8):
        state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
    return state


def _back(state: int) -> int:
    for _ in range(8):
        is_one = state >> BITS - 1
        state = (state ^ _POLYNOMIAL if is_one else state) << 1 & _ONES | is_one
    return state


def _repeated(step: Callable[[int], int], state: int, count: int) -> int:
    for _ in range(count):
        state = step(state)
    return state


@cache
def _rows(step: Callable[[int], int], count: int, width: int) -> tuple[tuple[int, ...], ...]:
    """Bits of the input that each bit of a linear map's result is the sum of."""
    images = [_repeated(step, 1 << bit, count) for bit in range(width)]
    return tuple(tuple(bit for bit, image in enumerate(images) if image >> place & 1)
                 for place in range(BITS))


def _apply(rows: Sequence[Sequence[int]], value: Value) -> Value:
    return Cat(Cat(value[bit] for bit in row).xor() for row in rows)


def after(state: Value, octets: Value) -> Value:
    """Remainder after the ``octets`` of a word, at least four of them."""
    count = len(octets) // 8
    mixed = state ^ octets[:BITS]
    # What is behind the first four octets meets a remainder of nothing.
    parts = [_apply(_rows(_forth, count, BITS), mixed)]
    parts += [_apply(_rows(_forth, count - at, 8), octets[8 * at:8 * at + 8])
              for at in range(CHECK_SIZE, count)]
    return reduce(xor, parts)


def before_zeros(state: Value, count: int) -> Value:
    """Remainder before the last ``count`` octets, which were zero."""
    return _apply(_rows(_back, count, BITS), state)


def is_right(state: Value, zeros: int) -> Value:
    """Whether a frame with its check, behind which ``zeros`` octets of zero came, is whole."""
    residue = _repeated(_forth, _ONES, CHECK_SIZE)      # the check is the complement: ones are left
    return state == C(_repeated(_forth, residue, zeros), BITS)
