"""Whether the value of one FIX field is what its dictionary allows: format, then enumeration."""

from tickwire.kernels import fix_layout as layout
from tickwire.kernels.fix_text import (
    NO_NUMBER,
    date,
    find,
    integer,
    is_decimal,
    pack,
    time_of_day,
    timestamp,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load64, multiply, shift_right

_MIX = -0x61C8864680B583EB                 # 2^64 / golden ratio, odd
_BLANK = 0x20


@kernel(inline=True)
def mix(value):
    """Hash of a packed value for the open-addressed tables of a dictionary."""
    return shift_right(multiply(value, _MIX), 40)


@kernel
def is_formatted(kind, address, length):
    """Whether ``length`` >= 1 octets have the form of the KIND of their field's type."""
    if kind == layout.TEXT or kind == layout.DATA:
        return True
    if kind == layout.DECIMAL:
        return is_decimal(address, length)
    if kind == layout.INTEGER:
        return integer(address, length) != NO_NUMBER
    if kind == layout.CHARACTER:
        return length == 1
    if kind == layout.TIMESTAMP:
        return timestamp(address, length) >= 0
    if kind == layout.BOOLEAN:
        return length == 1 and (load8(address) == 0x59 or load8(address) == 0x4E)
    if kind == layout.DATE:
        return length == 8 and date(address) != NO_NUMBER
    if kind == layout.TIME:
        return time_of_day(address, length) != NO_NUMBER
    if kind == layout.MONTH:
        if length != 6 and length != 8:
            return False
        month = integer(address, 6)
        if month < 0 or not 1 <= month % 100 <= 12:
            return False
        if length == 6:
            return True
        if load8(address + 6) == 0x77:             # YYYYMMwN
            return 0x31 <= load8(address + 7) <= 0x35
        return date(address) != NO_NUMBER
    return 1 <= integer(address, length) <= 31     # DAY


@kernel
def _is_word(values, address, length):
    """Whether a value is among those of VALUES."""
    v = layout.values_at(values)
    if length == 1:
        octet = load8(address)
        return v["singles"][octet >> 6] >> (octet & 63) & 1 != 0
    if v["words"] == 0:
        return False
    packed = pack(address, length)
    index = mix(packed + length) & v["mask"]
    while True:
        row = v["words"] + index * layout.WORD_SIZE
        word = layout.word_at(row)
        if word["length"] == 0:
            return False
        if word["length"] == length and word["packed"] == packed:
            is_same = True
            for i in range(8, length):
                is_same &= load8(word["address"] + i) == load8(address + i)
            if is_same:
                return True
        index = (index + 1) & v["mask"]


@kernel
def is_listed(member, address, length):
    """Whether the value is one of the member's enumeration, or each of several is."""
    m = layout.member_at(member)
    if m["is_multiple"] == 0:
        return _is_word(m["values"], address, length)
    end = address + length
    while True:
        blank = find(address, end, _BLANK)
        if not _is_word(m["values"], address, blank - address):
            return False
        if blank == end:
            return True
        address = blank + 1


@kernel(inline=True)
def find_member(context, tag):
    """Address of the member with ``tag``, 0 when the context has none."""
    c = layout.context_at(context)
    index = mix(tag) & c["mask"]
    while True:
        row = c["members"] + index * layout.MEMBER_SIZE
        held = layout.member_at(row)["tag"]
        if held == tag:
            return row if tag != 0 else 0
        if held == 0:
            return 0
        index = (index + 1) & c["mask"]


@kernel(inline=True)
def find_type(rules, address, length):
    """Address of the MESSAGE_TYPE of a value of 35, 0 when no dictionary has it."""
    if length < 1 or length > 8:
        return 0
    r = layout.rules_at(rules)
    packed = pack(address, length)
    index = mix(packed) & r["types_mask"]
    while True:
        row = r["types"] + index * layout.MESSAGE_TYPE_SIZE
        held = layout.message_type_at(row)["packed"]
        if held == packed:
            return row if packed != 0 else 0
        if held == 0:
            return 0
        index = (index + 1) & r["types_mask"]


@kernel(inline=True)
def is_tag_known(rules, tag, is_session):
    """Whether the session's or the application's dictionary has a field with ``tag``."""
    r = layout.rules_at(rules)
    bits = r["session_tags"] if is_session else r["application_tags"]
    end = r["session_tags_end"] if is_session else r["application_tags_end"]
    return 0 < tag < end and load64(bits + 8 * (tag >> 6)) >> (tag & 63) & 1 != 0
