"""Products in two cycles, of pieces that fit the multiplier blocks of small devices."""

from amaranth.hdl import Module, Signal, Value

AGE = 2
"""Cycles from the factors to the product."""
_PIECE = 16


def product(m: Module, left: Value, right: Value, name: str, width: int | None = None) -> Signal:
    """Return the product of two unsigned factors, two cycles later; ``width`` keeps its low bits.

    Call it outside of any condition: its registers always move.
    """
    whole = len(left) + len(right)
    width = whole if width is None else width
    parts = []
    for low in range(0, len(left), _PIECE):
        for high in range(0, len(right), _PIECE):
            if low + high < width:
                a, b = left[low:low + _PIECE], right[high:high + _PIECE]
                part = Signal(len(a) + len(b), name=f"{name}_{low}_{high}")
                m.d.sync += part.eq(a * b)
                parts.append(part << low + high)
    found = Signal(width, name=name)
    m.d.sync += found.eq(sum(parts[1:], parts[0]))
    return found
