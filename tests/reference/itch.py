"""ITCH 5.0 messages as octets, one function a type, packed by hand from the document.

Nothing here uses the project's own tables or encoders. Letters are given as octets, so that a
test can also send letters that the protocol does not have.
"""

import struct

LOCATE_AT, STAMP_AT = 1, 5

SIZES = {
    b"S": 12, b"R": 39, b"H": 25, b"Y": 20, b"L": 26, b"V": 35, b"W": 12, b"K": 28, b"J": 35,
    b"h": 21, b"A": 36, b"F": 40, b"E": 31, b"C": 36, b"X": 23, b"D": 19, b"U": 35, b"P": 44,
    b"Q": 40, b"B": 19, b"I": 50, b"N": 20, b"O": 48,
}


def _pack(kind: bytes, locate: int, stamp: int, layout: str, *values) -> bytes:
    octets = kind + struct.pack(">HH6s" + layout, locate, 0, stamp.to_bytes(6, "big"), *values)
    assert len(octets) == SIZES[kind], (kind, len(octets))
    return octets


def _symbol(text: str) -> bytes:
    return text.encode().ljust(8)


def add(locate, reference, side, shares, price, stamp=0, symbol="", mpid=None):
    """A, or F with an attribution."""
    values = (reference, side, shares, _symbol(symbol), price)
    if mpid is None:
        return _pack(b"A", locate, stamp, "QcI8sI", *values)
    return _pack(b"F", locate, stamp, "QcI8sI4s", *values, mpid.encode())


def executed(locate, reference, shares, match=0, stamp=0):
    """E."""
    return _pack(b"E", locate, stamp, "QIQ", reference, shares, match)


def executed_with_price(locate, reference, shares, match, printable, price, stamp=0):
    """C."""
    return _pack(b"C", locate, stamp, "QIQcI", reference, shares, match, printable, price)


def cancel(locate, reference, shares, stamp=0):
    """X."""
    return _pack(b"X", locate, stamp, "QI", reference, shares)


def delete(locate, reference, stamp=0):
    """D."""
    return _pack(b"D", locate, stamp, "Q", reference)


def replace(locate, original, reference, shares, price, stamp=0):
    """U."""
    return _pack(b"U", locate, stamp, "QQII", original, reference, shares, price)


def trade(locate, reference, side, shares, price, match=0, stamp=0, symbol=""):
    """P."""
    return _pack(b"P", locate, stamp, "QcI8sIQ", reference, side, shares, _symbol(symbol), price,
                 match)


def cross(locate, shares, price, match=0, kind=b"O", stamp=0, symbol=""):
    """Q."""
    return _pack(b"Q", locate, stamp, "Q8sIQc", shares, _symbol(symbol), price, match, kind)


def broken(locate, match, stamp=0):
    """B."""
    return _pack(b"B", locate, stamp, "Q", match)


def system(event, locate=0, stamp=0):
    """S."""
    return _pack(b"S", locate, stamp, "c", event)


def directory(locate, symbol, round_lot=100, category=b"Q", status=b"N", stamp=0):
    """R."""
    return _pack(b"R", locate, stamp, "8sccIcc2scccccIc", _symbol(symbol), category, status,
                 round_lot, b"N", b"C", b"Z ", b"P", b"N", b"N", b"1", b"N", 1, b"N")


def action(locate, state, reason=b"    ", stamp=0, symbol=""):
    """H."""
    return _pack(b"H", locate, stamp, "8scc4s", _symbol(symbol), state, b" ", reason)


def reg_sho(locate, code, stamp=0, symbol=""):
    """Y."""
    return _pack(b"Y", locate, stamp, "8sc", _symbol(symbol), code)


def position(locate, stamp=0, symbol=""):
    """L."""
    return _pack(b"L", locate, stamp, "4s8sccc", b"MPID", _symbol(symbol), b"Y", b"N", b"A")


def decline(stamp=0, locate=0):
    """V."""
    return _pack(b"V", locate, stamp, "QQQ", 3_700 * 10**8, 3_400 * 10**8, 3_200 * 10**8)


def breach(level, stamp=0, locate=0):
    """W."""
    return _pack(b"W", locate, stamp, "c", level)


def ipo(locate, price, stamp=0, symbol=""):
    """K."""
    return _pack(b"K", locate, stamp, "8sIcI", _symbol(symbol), 35_100, b"A", price)


def collar(locate, reference, upper, lower, stamp=0, symbol=""):
    """J."""
    return _pack(b"J", locate, stamp, "8sIIII", _symbol(symbol), reference, upper, lower, 1)


def operational(locate, market, code, stamp=0, symbol=""):
    """h."""
    return _pack(b"h", locate, stamp, "8scc", _symbol(symbol), market, code)


def imbalance(locate, paired, shares, direction, far, near, reference, kind, stamp=0, symbol=""):
    """I."""
    return _pack(b"I", locate, stamp, "QQc8sIIIcc", paired, shares, direction, _symbol(symbol),
                 far, near, reference, kind, b" ")


def retail(locate, flag=b"B", stamp=0, symbol=""):
    """N."""
    return _pack(b"N", locate, stamp, "8sc", _symbol(symbol), flag)


def listing(locate, stamp=0, symbol=""):
    """O."""
    return _pack(b"O", locate, stamp, "8scIIIQII", _symbol(symbol), b"Y", 1, 2, 3, 4, 5, 6)


def binary_file(messages) -> bytes:
    """BinaryFILE of ``messages``."""
    return b"".join(struct.pack(">H", len(message)) + message for message in messages)


def messages_of(octets: bytes):
    """Yield each message of a BinaryFILE; a length of 0 is that of the type."""
    place = 0
    while place + 2 < len(octets):
        size = int.from_bytes(octets[place:place + 2], "big") \
            or SIZES[octets[place + 2:place + 3]]
        yield octets[place + 2:place + 2 + size]
        place += 2 + size
