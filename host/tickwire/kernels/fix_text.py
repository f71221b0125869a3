"""Octets of FIX read and written: delimiters, numbers, times, sums.

Readers may load up to 8 octets beyond the end that they are given: buffers have ``SLACK``.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import below, load8, load64, low_bit, shift_right, store8

SOH = 1
NO_NUMBER = -(1 << 62)
_ONES = 0x0101010101010101
_HIGHS = -0x7F7F7F7F7F7F7F80               # 0x8080808080808080
_BYTES = 0x00FF00FF00FF00FF
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
def pack(address, length):
    """The first 8 of ``length`` octets as one integer, the first lowest, zeros after the last."""
    word = load64(address)
    return word if length >= 8 else word & ((1 << 8 * length) - 1)


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
    for i in range(length):
        digit = load8(address + i) - 0x30
        if not below(digit, 10):
            return NO_NUMBER
        value = 10 * value + digit
    return -value if is_negative else value


@kernel
def scaled(address, length, decimals):
    """Value of a decimal number in units of 10^-``decimals``; NO_NUMBER when it is none or inexact.

    At most 18 digits in all. Digits beyond ``decimals`` must be zeros.
    """
    is_negative = length > 0 and load8(address) == 0x2D
    if is_negative:
        address += 1
        length -= 1
    value, digits, after = 0, 0, -1
    for i in range(length):
        octet = load8(address + i)
        if octet == 0x2E and after < 0:
            after = 0
            continue
        digit = octet - 0x30
        if not below(digit, 10):
            return NO_NUMBER
        digits += 1
        if after >= decimals:
            if digit != 0:
                return NO_NUMBER
            continue
        if value >= 100_000_000_000_000_000:
            return NO_NUMBER
        value = 10 * value + digit
        after += after >= 0
    if digits == 0:
        return NO_NUMBER
    for _ in range(max(after, 0), decimals):
        if value >= 100_000_000_000_000_000:
            return NO_NUMBER
        value *= 10
    return -value if is_negative else value


@kernel
def is_decimal(address, length):
    """Whether the octets are digits, a minus before and one point among them allowed."""
    end = address + length
    if length > 0 and load8(address) == 0x2D:
        address += 1
    digits, points = 0, 0
    while address < end:
        octet = load8(address)
        if below(octet - 0x30, 10):
            digits += 1
        elif octet == 0x2E:
            points += 1
        else:
            return False
        address += 1
    return digits > 0 and points <= 1


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


@kernel(inline=True)
def _pairs(word):
    """Two-digit numbers in octets 0, 2, 4, 6 of a word of 8 digits; -1 when it is none."""
    digits = word - _ZEROS
    if (word & _TENS) != _ZEROS or ((digits + _SIXES) & _TENS) != 0:
        return -1
    return 10 * digits + shift_right(digits, 8)


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


@kernel
def write_integer(address, value):
    """Write a number in as few digits as it takes; return the address after it."""
    if value < 0:
        store8(address, 0x2D)
        address += 1
        value = -value
    count, bound = 1, 10
    while count < 18 and value >= bound:
        count += 1
        bound *= 10
    write_digits(address, value, count)
    return address + count


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
    write_digits(address, year, 4)
    write_digits(address + 4, month, 2)
    write_digits(address + 6, of_year - (153 * moved + 2) // 5 + 1, 2)
    store8(address + 8, 0x2D)
    write_digits(address + 9, second // 3600, 2)
    store8(address + 11, 0x3A)
    write_digits(address + 12, second // 60 % 60, 2)
    store8(address + 14, 0x3A)
    write_digits(address + 15, second % 60, 2)
    if decimals == 0:
        return address + 17
    for _ in range(9 - decimals):
        fraction //= 10
    store8(address + 17, 0x2E)
    write_digits(address + 18, fraction, decimals)
    return address + 18 + decimals
