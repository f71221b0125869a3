"""A stored FIX message sent again, from its octets: 43, 52, 122, 9 and 10 are new, no other."""

from tickwire.kernels.fix_text import (
    SOH,
    checksum,
    find,
    integer,
    write_digits,
    write_small,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import below, copy, load8, store8
from tickwire.spec.fix import Tag

HEAD_ROOM = 64                             # before the body, for 8 and 9
_BEGIN_STRING_MAX = 32
_DUPLICATE, _SENDING_TIME, _ORIGINAL_TIME = (
    int(Tag.POSSIBLE_DUPLICATE), int(Tag.SENDING_TIME), int(Tag.ORIGINAL_SENDING_TIME))
_SECURE_LENGTH, _XML_LENGTH = 90, 212
# Tags that only a header has, FIX.4.2 to FIXT.1.1, but 8 9 35 and those that are written here.
_HEADER = (34, 49, 50, 56, 57, 90, 91, 97, 115, 116, 128, 129, 142, 143, 144, 145, 212, 213, 347,
           369, 370, 627, 628, 629, 630, 1128, 1129, 1156)


@kernel(inline=True)
def _is_header(tag):
    return tag in _HEADER


@kernel
def _tag(address, end):
    """Tag of the field at ``address``; -1 when there is none."""
    tag = 0
    while address < end and below(load8(address) - 0x30, 10) and tag < 100_000_000:
        tag = 10 * tag + load8(address) - 0x30
        address += 1
    return tag if address < end and load8(address) == 0x3D and tag > 0 else -1


@kernel
def _stop(address, end, data_length):
    """Address of the SOH of a field; of raw data of ``data_length`` when that is not negative."""
    if data_length >= 0:
        stop = find(address, end, 0x3D) + 1 + data_length
        if stop < end and load8(stop) == SOH:
            return stop
    return find(address, end, SOH)


@kernel
def _announced(tag, address, stop):
    """Length of the raw data that the next field of a header has; -1 when it is none."""
    if tag != _XML_LENGTH and tag != _SECURE_LENGTH:
        return -1
    value = find(address, stop, 0x3D) + 1
    return max(-1, integer(value, stop - value))


@kernel(inline=True)
def begin_field(target, tag):
    """Write ``tag=``, and octets of no meaning behind it; return the address after it."""
    target = write_small(target, tag)
    store8(target, 0x3D)
    return target + 1


@kernel
def write_field(target, tag, address, length):
    """Write a field whose value is at ``address``; return the address after it."""
    target = begin_field(target, tag)
    copy(target, address, length)
    store8(target + length, SOH)
    return target + length + 1


@kernel
def close_message(first, target, begin, begin_length):
    """Complete the message whose octets from 35 on are ``first .. target``.

    8 with the value at ``begin`` and 9 go before ``first``, at most ``HEAD_ROOM`` octets; 10 goes
    after ``target``. Returns the address of the message's first octet; the message ends 7 octets
    after ``target``.
    """
    length = target - first
    digits = 1 + (length >= 10) + (length >= 100) + (length >= 1_000)
    bound = 10_000
    while length >= bound:
        digits += 1
        bound *= 10
    head = first - (2 + begin_length + 1 + 2 + digits + 1)
    store8(head, 0x38)
    store8(head + 1, 0x3D)
    copy(head + 2, begin, begin_length)
    place = head + 2 + begin_length
    store8(place, SOH)
    store8(place + 1, 0x39)
    store8(place + 2, 0x3D)
    write_digits(place + 3, length, digits)
    store8(first - 1, SOH)
    total = checksum(head, target)
    store8(target, 0x31)
    store8(target + 1, 0x30)
    store8(target + 2, 0x3D)
    write_digits(target + 3, total, 3)
    store8(target + 6, SOH)
    return head


@kernel
def resend(source, octets, time, time_length, target):
    """Write the message of ``octets`` at ``source`` again to ``target``, with a new time.

    ``target`` has room for ``octets`` + ``time_length`` + 192. Returns octets << 16 | offset of the
    first one from ``target``; -1 when the source is no message. Header fields keep their order; 43
    and 122 go where ascending tags have them.
    """
    end = source + octets
    begin_end = find(source, end, SOH)
    length_end = find(begin_end + 1, end, SOH) if begin_end < end else end
    begin_length = begin_end - source - 2
    if (octets < 16 or length_end >= end or not 0 < begin_length <= _BEGIN_STRING_MAX
            or _tag(source, end) != 8 or _tag(begin_end + 1, end) != 9
            or _tag(end - 7, end) != 10 or load8(end - 8) != SOH):
        return -1
    old, old_length, had_original = 0, 0, False
    address, trailer = length_end + 1, end - 7
    # First look: the time that it was sent first, and whether that is told already.
    body = trailer
    scan, data_length = address, -1
    while scan < trailer:
        tag = _tag(scan, trailer)
        stop = _stop(scan, trailer, data_length)
        is_own = tag == _DUPLICATE or tag == _SENDING_TIME or tag == _ORIGINAL_TIME
        if tag < 0 or (scan != address and not is_own and not _is_header(tag)):
            body = scan
            break
        if tag == _SENDING_TIME:
            old, old_length = scan + 3, stop - scan - 3
        had_original |= tag == _ORIGINAL_TIME
        data_length = _announced(tag, scan, stop)
        scan = stop + 1
    if old == 0:
        return -1
    first = target + HEAD_ROOM
    place = first
    has_flag, has_original, data_length = False, had_original, -1
    while address < body:
        tag = _tag(address, body)
        stop = _stop(address, body, data_length)
        data_length = _announced(tag, address, stop)
        if not has_flag and tag > _DUPLICATE and tag != 35:
            place = begin_field(place, _DUPLICATE)
            store8(place, 0x59)
            store8(place + 1, SOH)
            place += 2
            has_flag = True
        if not has_original and tag > _ORIGINAL_TIME:
            place = write_field(place, _ORIGINAL_TIME, old, old_length)
            has_original = True
        if tag == _SENDING_TIME:
            place = write_field(place, _SENDING_TIME, time, time_length)
        elif tag != _DUPLICATE:
            copy(place, address, stop + 1 - address)
            place += stop + 1 - address
        address = stop + 1
    if not has_flag:
        place = begin_field(place, _DUPLICATE)
        store8(place, 0x59)
        store8(place + 1, SOH)
        place += 2
    if not has_original:
        place = write_field(place, _ORIGINAL_TIME, old, old_length)
    copy(place, body, trailer - body)
    place += trailer - body
    head = close_message(first, place, source + 2, begin_length)
    return (place + 7 - head) << 16 | (head - target)
