"""What a completion says of the octets that it has (PCIe Base 3.0 §2.2.9, §2.3.1.1)."""

from amaranth.hdl import C, Cat, Mux, Value

UNSUPPORTED, ABORT = 1, 4
"""Status of a completion: not a request that this function has; too long for it."""


def lead(first: Value) -> Value:
    """Octets of a request's first word before the first one that is enabled."""
    return Mux(first[0], 0, Mux(first[1], 1, Mux(first[2], 2, Mux(first[3], 3, 0))))


def span(first: Value, last: Value, count: Value) -> Value:
    """Octets from the first enabled one to the last; 1 for a read of none."""
    end = Mux(count == 1, first, last)
    trail = Mux(end[3], 0, Mux(end[2], 1, Mux(end[1], 2, 3)))
    return Mux((count == 1) & ~first.any(), 1, 4 * count - lead(first) - trail)


def lower_address(first: Value, word: Value) -> Value:
    """Low seven bits of the address of the first octet; ``word`` is the first word's."""
    return Cat((lead(first) + C(0, 2))[:2], word[:5])
