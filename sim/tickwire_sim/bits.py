"""Columns of bits: NumPy forms of ports, and fields in them that are not whole octets."""

from typing import Any

import numpy as np

WORD = 64


def column_type(width: int) -> tuple[str] | tuple[str, tuple[int]]:
    """Return the NumPy type, and the shape if any, of a column of values of ``width`` bits."""
    if width > WORD:
        return "<u8", (-(-width // WORD),)
    return (f"<u{next(size for size in (1, 2, 4, 8) if width <= 8 * size)}",)


def integer(value: Any) -> int:
    """Return one element of a column as a Python integer."""
    return sum(int(word) << WORD * place for place, word in enumerate(np.atleast_1d(value)))


def words(integers: Any, width: int) -> np.ndarray:
    """Return Python integers of any size as a column of ``width`` bits."""
    kind, *shape = column_type(width)
    count = shape[0][0] if shape else 1
    octets = b"".join(value.to_bytes(8 * count, "little") for value in integers)
    found = np.frombuffer(octets, "<u8").reshape(-1, count)
    return found.copy() if shape else found[:, 0].astype(kind)


def get(column: np.ndarray, start: int, width: int) -> np.ndarray:
    """Return bits ``start`` to ``start + width`` of every element, as a column of their own."""
    source = _as_words(column)
    kind, *shape = column_type(width)
    result = np.zeros((len(source), shape[0][0] if shape else 1), np.uint64)
    first, shift = divmod(start, WORD)
    for place in range(result.shape[1]):
        word = source[:, first + place] >> np.uint64(shift)
        if shift and first + place + 1 < source.shape[1]:
            word |= source[:, first + place + 1] << np.uint64(WORD - shift)
        result[:, place] = word & _mask(min(WORD, width - WORD * place))
    return result if shape else result[:, 0].astype(kind)


def put(column: np.ndarray, start: int, width: int, values: Any) -> None:
    """Set bits ``start`` to ``start + width`` of every element of ``column``.

    ``values`` is an integer, a column of integers, of 64-bit words, or of octets, lowest first.
    """
    given = _given(values, width, len(column))
    target = _as_words(column)
    first, shift = divmod(start, WORD)
    for place in range(given.shape[1]):
        used = min(WORD, width - WORD * place)
        word, mask = given[:, place], _mask(used)
        if np.any(word & ~mask):
            raise ValueError(f"a value has more than {width} bits")
        here = target[:, first + place]
        here &= ~(mask << np.uint64(shift))
        here |= word << np.uint64(shift)
        if shift + used > WORD:
            there = target[:, first + place + 1]
            there &= ~(mask >> np.uint64(WORD - shift))
            there |= word >> np.uint64(WORD - shift)
    column[...] = target if column.ndim > 1 else target[:, 0].astype(column.dtype)


def _mask(width: int) -> np.uint64:
    return np.uint64((1 << width) - 1)


def _as_words(column: np.ndarray) -> np.ndarray:
    """Return a copy of a column as 64-bit words, one row an element."""
    return column.astype(np.uint64).reshape(len(column), column.shape[1] if column.ndim > 1 else 1)


def _given(values: Any, width: int, count: int) -> np.ndarray:
    """Return what a caller gave for a field as 64-bit words, one row an element."""
    size = -(-width // WORD)
    if isinstance(values, int):
        values = words([values], size * WORD)
    given = np.asarray(values)
    if given.ndim == 2 and given.dtype == np.uint8:
        octets = np.zeros((len(given), 8 * size), np.uint8)
        octets[:, :given.shape[1]] = given
        given = octets.view("<u8")
    given = given.astype(np.uint64).reshape(len(given) if given.ndim else 1, -1)
    if given.shape[1] != size:
        raise ValueError(f"a field of {width} bits takes {size} words, not {given.shape[1]}")
    return np.broadcast_to(given, (count, size))
