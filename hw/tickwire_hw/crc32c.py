"""CRC-32C (RFC 3720): of a fixed number of octets, or word by word (kernel ``checksum``)."""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Signal, Value

AGE = 2
"""Cycles from the octets to their CRC."""
_POLYNOMIAL = 0x82F63B78                   # reflected
_MASK = 0xFFFF_FFFF
_PIECE = 60                                # bits that a first stage takes together


def _crc(octets: bytes, crc: int) -> int:
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def crc32c_word(crc: Value, word: Value) -> Value:
    """CRC-32C in the making, not inverted, after 8 more octets; in the same cycle."""
    bits = Cat(crc ^ word[:32], word[32:])
    columns = [_crc((1 << place).to_bytes(8, "little"), 0) for place in range(64)]
    return Cat(reduce(xor, [bits[place] for place, column in enumerate(columns)
                            if column >> out & 1]) for out in range(32))


def crc32c(m: Module, value: Value, name: str) -> Value:
    """Return the CRC of ``value``, octet 0 lowest, two cycles later.

    A CRC is linear: each of its bits is the parity of some bits of ``value``. Call it outside of
    any condition: its registers always move.
    """
    size = len(value) // 8
    columns = [_crc((1 << bit).to_bytes(size, "little"), 0) for bit in range(len(value))]
    start = _crc(bytes(size), _MASK) ^ _MASK
    # A bit of an expression takes as long to make a netlist of as the whole expression.
    octets = Signal(len(value), name=f"{name}_octets")
    m.d.comb += octets.eq(value)
    rows = []
    for place in range(32):
        chosen = [octets[bit] for bit, column in enumerate(columns) if column >> place & 1]
        parts = Signal(-(-len(chosen) // _PIECE), name=f"{name}_part_{place}")
        m.d.sync += parts.eq(Cat(reduce(xor, chosen[at:at + _PIECE])
                                 for at in range(0, len(chosen), _PIECE)))
        rows.append(parts.xor() ^ (start >> place & 1))
    found = Signal(32, name=name)
    m.d.sync += found.eq(Cat(rows))
    return found
