"""Octets of FIX read and written: delimiters, numbers, times, sums.

Readers may load up to 8 octets beyond the end that they are given: buffers have ``SLACK``.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    below,
    bit_count,
    load8,
    load64,
    low_bit,
    multiply,
    shift_right,
    store8,
    store64,
)

SOH = 1
NO_NUMBER = -(1 << 62)
_ONES = 0x0101010101010101
_HIGHS = -0x7F7F7F7F7F7F7F80               # 0x8080808080808080
_BYTES = 0x00FF00FF00FF00FF
_EQUALS = 0x3D3D3D3D3D3D3D3D
_POINTS = 0x2E2E2E2E2E2E2E2E
_LANES = 0x000000FF000000FF
_ZEROS = 0x3030303030303030
_SIXES = 0x0606060606060606
_TENS = -0x0F0F0F0F0F0F0F10                # 0xF0F0F0F0F0F0F0F0
_COLONS, _COLON_PLACES = 0x3A00003A0000, 0xFF0000FF0000
_SECOND = 1_000_000_000
_DAY = 86_400


@kernel(inline=True)
def find(address, end, octet):
    """Address of the first ``octet`` in ``address .. end``; ``end`` when there is none."""
    pattern = octet * _ONES
    while address < end:
        word = load64(address) ^ pattern
        found = (word - _ONES) & ~word & _HIGHS
        if found != 0:
            address += low_bit(found) >> 3
            return address if address < end else end
        address += 8
    return end


@kernel(inline=True)
def checksum(address, end):
    """Sum of the octets in ``address .. end`` modulo 256."""
    total = 0
    while address + 8 <= end:
        last = min(end - 7, address + 8 * 128)
        lanes = 0
        while address < last:
            word = load64(address)
            lanes += (word & _BYTES) + (shift_right(word, 8) & _BYTES)
            address += 8
        total += ((lanes & 0xFFFF) + (shift_right(lanes, 16) & 0xFFFF)
                  + (shift_right(lanes, 32) & 0xFFFF) + shift_right(lanes, 48))
    while address < end:
        total += load8(address)
        address += 1
    return total & 0xFF


@kernel(inline=True)
def tag_digits(address):
    """How many of at most 7 octets are before the first ``=``; 8 when it is not among them."""
    word = load64(address) ^ _EQUALS
    found = (word - _ONES) & ~word & _HIGHS
    return low_bit(found) >> 3 if found != 0 else 8


@kernel(inline=True)
def pack(address, length):
    """The first 8 of ``length`` octets as one integer, the first lowest, zeros after the last."""
    word = load64(address)
    return word if length >= 8 else word & ((1 << 8 * length) - 1)


@kernel(inline=True)
def _pairs(word):
    """Two-digit numbers in octets 0, 2, 4, 6 of a word of 8 digits; -1 when it is none."""
    digits = word - _ZEROS
    if (word & _TENS) != _ZEROS or ((digits + _SIXES) & _TENS) != 0:
        return -1
    return 10 * digits + shift_right(digits, 8)


@kernel(inline=True)
def _eight_value(word):
    """Number in a word of 8 digits, the first lowest; -1 when it is none."""
    pairs = _pairs(word)
    if pairs == -1:
        return -1
    odd, even = pairs & _LANES, pairs >> 16 & _LANES
    return multiply(odd, 100 + (1_000_000 << 32)) + multiply(even, 1 + (10_000 << 32)) >> 32


@kernel(inline=True)
def small(address, length):
    """Value of 1 to 8 digits; -1 when they are none."""
    room = 64 - 8 * length
    return _eight_value(multiply(load64(address), 1 << room) | shift_right(_ZEROS, 8 * length)
                        if length < 8 else load64(address))


@kernel
def integer(address, length):
    """Value of a whole number of at most 18 digits, with a minus or without; else NO_NUMBER."""
    is_negative = length > 0 and load8(address) == 0x2D
    if is_negative:
        address += 1
        length -= 1
    if length < 1 or length > 18:
        return NO_NUMBER
    value = 0
    while length > 8:
        part = _eight_value(load64(address))
        if part < 0:
            return NO_NUMBER
        value = 100_000_000 * value + part
        address += 8
        length -= 8
    part = small(address, length)
    if part < 0:
        return NO_NUMBER
    for _ in range(length if value else 0):
        value *= 10
    value += part
    return -value if is_negative else value


@kernel
def is_decimal(address, length):
    """Whether the octets are digits, a minus before and one point among them allowed."""
    if length > 0 and load8(address) == 0x2D:
        address += 1
        length -= 1
    digits, points = length, 0
    while length > 0:
        word = load64(address)
        if length < 8:
            kept = (1 << 8 * length) - 1
            word = word & kept | _ZEROS & ~kept
        odd = word ^ _POINTS
        found = (odd - _ONES) & ~odd & _HIGHS
        points += bit_count(found)
        word ^= shift_right(found, 7) * 0x1E           # a point becomes a zero
        if _pairs(word) == -1:
            return False
        address += 8
        length -= 8
    return points <= 1 and digits > points


@kernel
def days(year, month, day):
    """Days from 1970-01-01 to a day of the Gregorian calendar."""
    year -= month <= 2
    era = year // 400
    of_era = year - 400 * era
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return 146_097 * era + 365 * of_era + of_era // 4 - of_era // 100 + of_year - 719_468


@kernel
def month_days(year, month):
    """Days of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kernel
def date(address):
    """Days since 1970 of the 8 octets YYYYMMDD; NO_NUMBER when they are no day."""
    pairs = _pairs(load64(address))
    if pairs == -1:
        return NO_NUMBER
    year = 100 * (pairs & 0xFF) + (pairs >> 16 & 0xFF)
    month, day = pairs >> 32 & 0xFF, pairs >> 48 & 0xFF
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return NO_NUMBER
    if day > 28 and day > month_days(year, month):
        return NO_NUMBER
    return days(year, month, day)


@kernel
def time_of_day(address, length):
    """Nanoseconds of HH:MM:SS, or with 3, 6 or 9 decimals; NO_NUMBER when it is no time.

    The leap second 60 is taken.
    """
    if length != 8 and length != 12 and length != 15 and length != 18:
        return NO_NUMBER
    word = load64(address)
    if word & _COLON_PLACES != _COLONS:
        return NO_NUMBER
    # HH:MM:SS becomes HHMM00SS.
    packed = word & 0xFFFF | word >> 8 & 0xFFFF0000 | 0x3030 << 32 | word & (-1 << 48)
    pairs = _pairs(packed)
    if pairs == -1:
        return NO_NUMBER
    hours, minutes, seconds = pairs & 0xFF, pairs >> 16 & 0xFF, pairs >> 48 & 0xFF
    if hours > 23 or minutes > 59 or seconds > 60:
        return NO_NUMBER
    fraction = 0
    if length > 8:
        if load8(address + 8) != 0x2E:
            return NO_NUMBER
        for i in range(9):
            digit = load8(address + 9 + i) - 0x30 if i < length - 9 else 0
            if not below(digit, 10):
                return NO_NUMBER
            fraction = 10 * fraction + digit
    return (3600 * hours + 60 * minutes + seconds) * _SECOND + fraction


@kernel
def timestamp(address, length):
    """Nanoseconds since 1970 of YYYYMMDD-HH:MM:SS[.sss[sss[sss]]], UTC; -1 when it is none."""
    if length < 17 or load8(address + 8) != 0x2D:
        return -1
    day = date(address)
    if day == NO_NUMBER:
        return -1
    time = time_of_day(address + 9, length - 9)
    if time == NO_NUMBER:
        return -1
    return day * _DAY * _SECOND + time


@kernel(inline=True)
def write_digits(address, value, count):
    """Write the lowest ``count`` digits of ``value`` >= 0."""
    for i in range(count):
        store8(address + count - 1 - i, 0x30 + value % 10)
        value //= 10


@kernel(inline=True)
def eight(value):
    """Text of a number below 10^8 with leading zeros, 8 octets as one word, the first lowest."""
    high = value // 10_000
    word = high | (value - 10_000 * high) << 32
    tens = (word * 10_486 >> 20) & 0x0000_007F_0000_007F
    word = tens | (word - 100 * tens) << 16
    tens = (word * 103 >> 10) & 0x000F_000F_000F_000F
    return (tens | (word - 10 * tens) << 8) + _ZEROS


@kernel(inline=True)
def write_small(address, value):
    """Write a number from 0 to 10^8 - 1 and octets of no meaning behind it; return the end."""
    count = (1 + (value >= 10) + (value >= 100) + (value >= 1_000) + (value >= 10_000)
             + (value >= 100_000) + (value >= 1_000_000) + (value >= 10_000_000))
    store64(address, shift_right(eight(value), 64 - 8 * count))
    return address + count


@kernel
def write_integer(address, value):
    """Write a number in as few digits as it takes; return the address after it.

    Up to 8 octets behind the number are written over.
    """
    if value < 0:
        store8(address, 0x2D)
        address += 1
        value = -value
    if value < 100_000_000:
        return write_small(address, value)
    high = value // 100_000_000
    if high < 100_000_000:
        address = write_small(address, high)
    else:
        top = high // 100_000_000
        address = write_small(address, top)
        store64(address, eight(high - 100_000_000 * top))
        address += 8
    store64(address, eight(value - 100_000_000 * high))
    return address + 8


@kernel
def write_scaled(address, value, decimals):
    """Write ``value`` x 10^-``decimals`` without trailing zeros; return the address after it."""
    if value < 0:
        store8(address, 0x2D)
        address += 1
        value = -value
    unit = 1
    for _ in range(decimals):
        unit *= 10
    whole = value // unit
    rest = value - whole * unit
    address = write_integer(address, whole)
    if rest == 0:
        return address
    while rest % 10 == 0:
        rest //= 10
        decimals -= 1
    store8(address, 0x2E)
    write_digits(address + 1, rest, decimals)
    return address + 1 + decimals


@kernel
def write_timestamp(address, nanoseconds, decimals):
    """Write a UTC time, ns >= 0 since 1970, with 0, 3, 6, 9 decimals; return the address after."""
    seconds = nanoseconds // _SECOND
    fraction = nanoseconds - seconds * _SECOND
    day = seconds // _DAY
    second = seconds - day * _DAY
    shifted = day + 719_468                # civil date, years that begin in March
    era = shifted // 146_097
    of_era = shifted - 146_097 * era
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    moved = (5 * of_year + 2) // 153
    month = moved + 3 if moved < 10 else moved - 9
    year = year + 400 * era + (month <= 2)
    day_of_month = of_year - (153 * moved + 2) // 5 + 1
    store64(address, eight(10_000 * year + 100 * month + day_of_month))
    store8(address + 8, 0x2D)
    minute = second // 60
    hour = minute // 60
    # HHMM00SS becomes HH:MM:SS.
    word = eight(1_000_000 * hour + 10_000 * (minute - 60 * hour) + second - 60 * minute)
    store64(address + 9, word & 0xFFFF | _COLONS | (word & 0xFFFF_0000) << 8 | word & (-1 << 48))
    if decimals == 0:
        return address + 17
    for _ in range(9 - decimals):
        fraction //= 10
    store8(address + 17, 0x2E)
    if decimals == 3:
        write_digits(address + 18, fraction, 3)
    else:
        write_digits(address + 18, fraction, decimals)
    return address + 18 + decimals
