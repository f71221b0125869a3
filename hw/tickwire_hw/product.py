"""Products in two cycles, of pieces that fit the multiplier blocks of small devices."""

from amaranth.hdl import Module, Mux, Signal, Value, signed

AGE = 2
"""Cycles from the factors to the product."""
_PIECE = 16


def product(m: Module, left: Value, right: Value, name: str, width: int | None = None) -> Signal:
    """Return the product of two unsigned factors, two cycles later; ``width`` keeps its low bits.

    Call it outside of any condition: its registers always move.
    """
    width = len(left) + len(right) if width is None else width
    total, found = _total(m, left, right, name, width), Signal(width, name=name)
    m.d.sync += found.eq(total)
    return found


def signed_product(m: Module, left: Value, right: Value, is_negative: Value,
                   name: str) -> tuple[Signal, Signal]:
    """Return the product of two unsigned factors, and the same with a sign, two cycles later.

    ``is_negative`` comes with the factors.
    """
    width = len(left) + len(right)
    total, minus = _total(m, left, right, name, width), Signal(name=f"{name}_minus")
    found, net = Signal(width, name=name), Signal(signed(width + 1), name=f"{name}_net")
    m.d.sync += [minus.eq(is_negative), found.eq(total), net.eq(Mux(minus, -total, total))]
    return found, net


def _total(m: Module, left: Value, right: Value, name: str, width: int) -> Value:
    """Sum of the products of all pieces, which are in registers."""
    parts = []
    for low in range(0, len(left), _PIECE):
        for high in range(0, len(right), _PIECE):
            if low + high < width:
                a, b = left[low:low + _PIECE], right[high:high + _PIECE]
                part = Signal(len(a) + len(b), name=f"{name}_{low}_{high}")
                m.d.sync += part.eq(a * b)
                parts.append(part << low + high)
    total = Signal(width, name=f"{name}_total")
    m.d.comb += total.eq(sum(parts[1:], parts[0]))
    return total
