"""One framed FIX message: its fields found, and checked against a dictionary, in one pass.

The header ends at the first field that it has not, the body at the first one of the trailer; a
group at the first one that none of its entries can have. ``fix_checks`` tells what is wrong.
"""

from tickwire.kernels import fix_layout as layout
from tickwire.kernels.fix_checks import (
    FIELD_CLASS,
    FORMAT,
    ORDER,
    ORDER_CLASS,
    RANK_MAX,
    TYPE,
    TYPE_CLASS,
    check_required,
    check_unknown,
    close_group,
    fault,
    is_good,
    tell_member,
)
from tickwire.kernels.fix_frame import frame
from tickwire.kernels.fix_text import (
    NO_NUMBER,
    SOH,
    find,
    integer,
    small,
    tag_digits,
    timestamp,
)
from tickwire.kernels.fix_values import (
    find_member,
    find_type,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import below, load8, load64, store64, unlikely
from tickwire.spec.fix import Garbled, Tag

_NO_TAG, _FIRST_FIELDS = int(Garbled.NO_TAG), int(Garbled.FIRST_FIELDS)
(_BEGIN_STRING, _BODY_LENGTH, _CHECKSUM, _TYPE_TAG, _SEQUENCE, _DUPLICATE, _SENDER, _SENDING_TIME,
 _TARGET, _RESEND, _ORIGINAL_TIME, _SIGNATURE_LENGTH, _SIGNATURE) = (int(tag) for tag in (
     Tag.BEGIN_STRING, Tag.BODY_LENGTH, Tag.CHECKSUM, Tag.MESSAGE_TYPE, Tag.SEQUENCE,
     Tag.POSSIBLE_DUPLICATE, Tag.SENDER, Tag.SENDING_TIME, Tag.TARGET, Tag.POSSIBLE_RESEND,
     Tag.ORIGINAL_SENDING_TIME, Tag.SIGNATURE_LENGTH, Tag.SIGNATURE))
_TAG_DIGITS = 9
_YES = 0x59


@kernel(inline=True)
def _note(m, tag, address, base, length):
    """Keep what every session asks for of the header."""
    if tag == _SEQUENCE:
        value = integer(address, length)
        m["sequence"] = value if value >= 0 else -1
    elif tag == _SENDING_TIME:
        m["sending_time"] = timestamp(address, length)
    elif tag == _ORIGINAL_TIME:
        m["original_time"] = timestamp(address, length)
    elif tag == _SENDER:
        m["sender"], m["sender_length"] = address - base, length
    elif tag == _TARGET:
        m["target"], m["target_length"] = address - base, length
    elif tag == _DUPLICATE:
        m["flags"] |= layout.IS_DUPLICATE if length == 1 and load8(address) == _YES else 0
    elif tag == _RESEND:
        m["flags"] |= layout.IS_RESEND if length == 1 and load8(address) == _YES else 0


@kernel
def _clear(message, octets):
    m = layout.message_at(message)
    m["octets"] = octets
    m["garbled"] = 0
    m["fields"] = 0
    m["reason"] = -1
    m["fault_tag"] = 0
    m["flags"] = 0
    m["begin"], m["begin_length"] = 0, 0
    m["type"], m["type_length"] = 0, 0
    m["sender"], m["sender_length"] = 0, 0
    m["target"], m["target_length"] = 0, 0
    m["body"], m["body_end"] = 0, 0
    m["sequence"] = -1
    m["sending_time"] = -1
    m["original_time"] = -1


@kernel
def _begin(parser, octets):
    """Forget the last message."""
    p = layout.parser_at(parser)
    _clear(p["message"], octets)
    p["rank"] = RANK_MAX
    p["stamp"] += 1
    p["whole"] = p["stamp"]
    p["context"] = p["header"] = p["trailer"] = p["nothing"] = p["options"] = 0
    if p["rules"]:
        r = layout.rules_at(p["rules"])
        p["options"], p["header"], p["trailer"] = r["options"], r["header"], r["trailer"]
        p["context"] = p["nothing"] = r["nothing"]
    p["is_session"] = 0
    p["section"] = layout.IN_HEADER
    p["depth"] = 0


@kernel
def _take_type(parser, address, length):
    """Find the context of the message by its type, the third field."""
    p = layout.parser_at(parser)
    m = layout.message_at(p["message"])
    is_admin = length == 1 and (below(load8(address) - 0x30, 6) or load8(address) == 0x41)
    m["flags"] = layout.IS_ADMIN if is_admin else 0
    if not p["rules"]:
        return
    found = find_type(p["rules"], address, length)
    if found:
        t = layout.message_type_at(found)
        p["context"], p["is_session"] = t["context"], t["is_session"]
        m["flags"] |= layout.IS_KNOWN
    else:
        fault(parser, TYPE, 0, TYPE_CLASS, 0, 0, 0)


@kernel
def _in_group(parser, tag):
    """Address of the member if an open group has the tag; groups that have not are closed."""
    p = layout.parser_at(parser)
    while p["depth"] > 0:
        g = layout.group_at(p["stack"] + (p["depth"] - 1) * layout.GROUP_SIZE)
        member = find_member(g["context"], tag)
        is_first = tag == layout.context_at(g["context"])["delimiter"]
        if member and not is_first and g["entries"] == 0:
            # An entry cannot begin with this tag. It belongs further out if it can.
            outer = p["context"]
            if p["depth"] > 1:
                outer = layout.group_at(
                    p["stack"] + (p["depth"] - 2) * layout.GROUP_SIZE)["context"]
            if find_member(outer, tag):
                member = 0
        if member:
            if is_first:
                if g["entries"] > 0:
                    check_required(parser, g["context"], g["stamp"], 3)
                g["entries"] += 1
            if is_first or g["stamp"] == 0:
                p["stamp"] += 1
                g["stamp"] = p["stamp"]
                p["place"] = layout.BEGINS
            p["place"] |= p["depth"] << layout.DEPTH_SHIFT
            p["here"], p["top"] = g["stamp"], g["top"]
            return member
        p["depth"] -= 1
        close_group(parser, p["depth"])
    return 0


@kernel
def _in_section(parser, tag, offset, count):
    """Address of the member of body, trailer or header with the tag; 0 when none of them has it.

    For what the section that was read last has not.
    """
    p = layout.parser_at(parser)
    p["is_header"] = 0
    if p["section"] == layout.IN_HEADER:
        p["section"] = layout.IN_BODY
        layout.message_at(p["message"])["body"] = offset
    member = find_member(p["context"], tag)
    if member and p["section"] == layout.IN_BODY:
        return member
    if not member:
        member = find_member(p["trailer"], tag)
        if member:
            if p["section"] == layout.IN_BODY:
                layout.message_at(p["message"])["body_end"] = offset
            p["section"] = layout.IN_TRAILER
            return member
        member = find_member(p["header"], tag)
        p["is_header"] = 1 if member else 0
    # What comes here belongs further in front, or nowhere.
    is_late = member or p["section"] == layout.IN_TRAILER
    if is_late and p["options"] & layout.CHECK_ORDER:
        fault(parser, ORDER, tag, ORDER_CLASS, 0, count - (1 << 31), 0)
    return member


@kernel
def _without_rules(parser, tag, offset):
    """Sections by what every FIX message has."""
    p = layout.parser_at(parser)
    if tag == _CHECKSUM or tag == _SIGNATURE or tag == _SIGNATURE_LENGTH:
        if p["section"] != layout.IN_TRAILER:
            layout.message_at(p["message"])["body_end"] = offset
        p["section"] = layout.IN_TRAILER


@kernel(inline=True)
def _usual_data(tag):
    """Tag of the raw data that a length of the standard header or body announces; 0 none."""
    if tag == _SIGNATURE_LENGTH:
        return _SIGNATURE
    if tag == 90 or tag == 95 or tag == 212 or (348 <= tag <= 364 and tag & 1 == 0):
        return tag + 1
    return 0


@kernel
def _open_group(parser, member, address, length, top):
    """Begin the group that a member counts, if it is a number at all."""
    p = layout.parser_at(parser)
    row = layout.member_at(member)
    declared = integer(address, length)
    if declared != NO_NUMBER and p["depth"] < layout.DEPTH_MAX:
        g = layout.group_at(p["stack"] + p["depth"] * layout.GROUP_SIZE)
        g["context"], g["stamp"] = row["group"], 0
        g["declared"], g["entries"] = declared, 0
        g["tag"], g["top"] = row["tag"], top
        p["place"] |= layout.COUNTS
        p["depth"] += 1


@kernel
def _finish(parser, count):
    """Check what can be checked only at the end."""
    p = layout.parser_at(parser)
    m = layout.message_at(p["message"])
    while p["depth"] > 0:
        p["depth"] -= 1
        close_group(parser, p["depth"])
    m["fields"] = count
    if p["rules"]:
        check_required(parser, p["header"], p["whole"], layout.IN_HEADER)
        check_required(parser, p["trailer"], p["whole"], layout.IN_TRAILER)
        if p["context"] != p["nothing"]:
            check_required(parser, p["context"], p["whole"], layout.IN_BODY)
    if m["body"] == 0:
        m["body"] = m["body_end"]


@kernel
def _odd_tag(address):
    """A tag of 8 or 9 digits, or with a minus, and its octets; 0 octets when it is none."""
    first, is_negative = address, load8(address) == 0x2D
    address += is_negative
    tag, digits = 0, 0
    digit = load8(address) - 0x30
    while below(digit, 10) and digits <= _TAG_DIGITS:
        tag = 10 * tag + digit
        digits += 1
        digit = load8(address + digits) - 0x30
    if digit != 0x3D - 0x30 or not 1 <= digits <= _TAG_DIGITS:
        return 0, 0
    return (-tag if is_negative else tag), address + digits - first


@kernel
def parse(parser, base, octets):
    """Index and check the message of ``octets`` at ``base``, which ``frame`` has found whole.

    Writes the MESSAGE and its ENTRY rows, one a field; raw data is one field whatever is in it.
    Returns the Garbled cause: 0, or why it is no message after all.
    """
    p = layout.parser_at(parser)
    m = layout.message_at(p["message"])
    rules, entries, stamps = p["rules"], p["entries"], p["stamps"]
    _begin(parser, octets)
    whole = p["whole"]
    count, data_tag, data_length = 0, 0, 0
    address, end = base, base + octets
    while address < end:
        offset = address - base
        digits = tag_digits(address)
        tag = small(address, digits) if 0 < digits < 8 else -1
        if unlikely(tag < 0):
            tag, digits = _odd_tag(address)
        if unlikely(digits == 0 or count >= p["entries_max"]):
            m["garbled"] = _NO_TAG
            return _NO_TAG
        address += digits + 1
        stop = address + data_length if data_tag == tag and data_tag != 0 else end
        if stop >= end or load8(stop) != SOH:
            if unlikely(data_tag == tag and data_tag != 0):
                # The length lies: it is told, and the value ends at the next delimiter.
                announced = layout.entry_at(entries + (count - 1) * layout.ENTRY_SIZE)["tag"]
                fault(parser, FORMAT, announced, FIELD_CLASS, p["section"], announced, 1)
            stop = find(address, end, SOH)
        if unlikely(stop == end):
            m["garbled"] = _NO_TAG
            return _NO_TAG
        length = stop - address
        if unlikely(count < 3):
            if tag != (_BEGIN_STRING, _BODY_LENGTH, _TYPE_TAG)[count]:
                m["garbled"] = _FIRST_FIELDS
                return _FIRST_FIELDS
            if count == 0:
                m["begin"], m["begin_length"] = address - base, length
            elif count == 2:
                m["type"], m["type_length"] = address - base, length
                _take_type(parser, address, length)
        data_tag, member, top, here, is_header = 0, 0, tag, whole, False
        p["place"] = 0
        if rules:
            if unlikely(p["depth"] > 0):
                member = _in_group(parser, tag)
                if member:
                    here, top = p["here"], p["top"]
            if not member:
                is_header = p["section"] == layout.IN_HEADER
                member = find_member(p["header"] if is_header else p["context"], tag)
                if unlikely(member == 0 or p["section"] == layout.IN_TRAILER):
                    member = _in_section(parser, tag, offset, count)
                    is_header = p["is_header"] != 0
            if member:
                row = layout.member_at(member)
                seen = stamps + 8 * row["slot"]
                is_seen = load64(seen) == here
                store64(seen, here)
                if unlikely(is_seen or length == 0 or not is_good(member, address, length)):
                    tell_member(parser, member, address, length, top, is_seen)
                data_tag = row["data"]
                if unlikely(row["group"] != 0):
                    _open_group(parser, member, address, length, top)
            elif p["context"] != p["nothing"]:
                check_unknown(parser, tag, length, p["section"], p["is_session"] != 0)
        else:
            _without_rules(parser, tag, offset)
            data_tag, is_header = _usual_data(tag), True
        if is_header:
            _note(m, tag, address, base, length)
        if unlikely(data_tag != 0):
            data_length = integer(address, length)
            data_tag = data_tag if data_length >= 0 else 0
        e = layout.entry_at(entries + count * layout.ENTRY_SIZE)
        e["tag"], e["offset"], e["length"] = tag, address - base, length
        e["place"] = p["place"] | p["section"]
        count += 1
        address = stop + 1
    if unlikely(count < 4):
        m["garbled"] = _FIRST_FIELDS
        return _FIRST_FIELDS
    _finish(parser, count)
    return 0


@kernel
def receive(parser, address, end, octets_max):
    """Frame and parse what is next in ``address .. end``; returns what :func:`frame` returns."""
    framed = frame(address, end, octets_max)
    if framed == 0 or framed & 0xFF:
        return framed
    return framed | parse(parser, address, framed >> 8)
