"""Where a FIX message begins and ends in a stream of octets, and whether it is whole.

The length (9) is believed first. When no CheckSum stands where it says, the stretch reaches to the
next one and is garbled altogether, as QuickFIX has it: a length that is too long takes the next
message with it. A length beyond what the receiver takes skips to the next ``8=FIX``.
"""

from tickwire.kernels.fix_text import SOH, checksum, find
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import below, load8
from tickwire.spec.fix import Garbled

MORE = 0
_BEGIN_STRING_MAX = 32
_TRAILER = 7                               # 10=ddd SOH
_DIGITS_MAX = 9
_FIRST_FIELDS, _BODY_LENGTH, _TOO_LONG = (
    int(Garbled.FIRST_FIELDS), int(Garbled.BODY_LENGTH), int(Garbled.TOO_LONG))
_CHECKSUM, _NO_MESSAGE = int(Garbled.CHECKSUM), int(Garbled.NO_MESSAGE)


@kernel(inline=True)
def _is_pair(address, first, second):
    return load8(address) == first and load8(address + 1) == second


@kernel
def _next_begin(address, end):
    """Address of the next ``8=FIX``, or of its first part at the end; else ``end``."""
    while True:
        address = find(address, end, 0x38)
        if address == end:
            return end
        rest = end - address
        if ((rest < 2 or load8(address + 1) == 0x3D) and (rest < 3 or load8(address + 2) == 0x46)
                and (rest < 4 or load8(address + 3) == 0x49)
                and (rest < 5 or load8(address + 4) == 0x58)):
            return address
        address += 1


@kernel
def _next_trailer(address, end):
    """Address after the next SOH ``10=`` ... SOH; 0 when it is not all there."""
    while True:
        address = find(address, end, SOH)
        if end - address < 5:
            return 0
        if _is_pair(address + 1, 0x31, 0x30) and load8(address + 3) == 0x3D:
            last = find(address + 4, end, SOH)
            return 0 if last == end else last + 1
        address += 1


@kernel(inline=True)
def _garbled(octets, cause):
    return octets << 8 | cause


@kernel
def _skip(address, limit, cause):
    """Pass over everything to the next begin of a message."""
    return _garbled(_next_begin(address + 2, limit) - address, cause)


@kernel
def frame(address, end, octets_max):
    """Look at the octets ``address .. end``, which may go on: how many of them are next?

    Returns octets << 8 | cause. Cause 0 is a message whose length and checksum are right; any
    other is a ``Garbled`` stretch to pass over. ``MORE`` when more octets are needed, never once
    ``octets_max`` are there. The first three fields are looked at by the parser.
    """
    available = end - address
    if available < 2:
        return _garbled(1, _NO_MESSAGE) if available and load8(address) != 0x38 else MORE
    if not _is_pair(address, 0x38, 0x3D):
        return _garbled(max(1, _next_begin(address + 1, end) - address), _NO_MESSAGE)
    limit = min(end, address + octets_max)
    is_full = available >= octets_max
    begin_end = find(address, min(limit, address + _BEGIN_STRING_MAX), SOH)
    if begin_end == min(limit, address + _BEGIN_STRING_MAX):
        if available < _BEGIN_STRING_MAX and not is_full:
            return MORE
        return _skip(address, limit, _FIRST_FIELDS)
    if limit - begin_end < 3:
        return _skip(address, limit, _TOO_LONG) if is_full else MORE
    if not _is_pair(begin_end + 1, 0x39, 0x3D):
        return _skip(address, limit, _FIRST_FIELDS)
    digits = begin_end + 3
    body, length = digits, 0
    while body < limit and below(load8(body) - 0x30, 10) and body - digits < _DIGITS_MAX:
        length = 10 * length + load8(body) - 0x30
        body += 1
    if body == limit:
        return _skip(address, limit, _TOO_LONG) if is_full else MORE
    if body == digits or load8(body) != SOH:
        return _skip(address, limit, _BODY_LENGTH)
    body += 1
    if body - address + length + _TRAILER > octets_max:
        return _skip(address, limit, _TOO_LONG)
    trailer = body + length
    if end - trailer < _TRAILER:
        return MORE
    if (load8(trailer - 1) == SOH and _is_pair(trailer, 0x31, 0x30) and load8(trailer + 2) == 0x3D
            and load8(trailer + 6) == SOH):
        octets = trailer + _TRAILER - address
        stated = 0
        for i in range(3):
            digit = load8(trailer + 3 + i) - 0x30
            stated = 10 * stated + digit if below(digit, 10) else 1000
        return _garbled(octets, 0 if stated == checksum(address, trailer) else _CHECKSUM)
    after = _next_trailer(trailer - 1, limit)
    if after:
        is_short = _is_pair(trailer, 0x31, 0x30) and load8(trailer - 1) == SOH
        return _garbled(after - address, _CHECKSUM if is_short else _BODY_LENGTH)
    return _skip(address, limit, _BODY_LENGTH) if is_full else MORE
