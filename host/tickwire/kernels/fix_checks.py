"""What is wrong with a FIX message: each fault with a rank, of which the first one is told.

The ranks are QuickFIX's order of checks: order of header, body and trailer, type of message,
required tags, then field by field (header, trailer, body, each by ascending tag). What is wrong
inside a group comes after the checks of its count.
"""

from tickwire.kernels import fix_layout as layout
from tickwire.kernels.fix_values import is_formatted, is_listed, is_tag_known
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64
from tickwire.spec.fix import USER_DEFINED_MIN, RejectReason

(INVALID_TAG, REQUIRED, NOT_DEFINED, NO_VALUE, RANGE, FORMAT, TYPE, TWICE, ORDER,
 COUNT) = (int(reason) for reason in (
     RejectReason.INVALID_TAG_NUMBER, RejectReason.REQUIRED_TAG_MISSING,
     RejectReason.TAG_NOT_DEFINED_FOR_MESSAGE, RejectReason.TAG_WITHOUT_VALUE,
     RejectReason.VALUE_OUT_OF_RANGE, RejectReason.INCORRECT_FORMAT,
     RejectReason.INVALID_MESSAGE_TYPE, RejectReason.TAG_APPEARS_MORE_THAN_ONCE,
     RejectReason.TAG_OUT_OF_ORDER, RejectReason.INCORRECT_GROUP_COUNT))
RANK_MAX = (1 << 62) - 1
ORDER_CLASS, TYPE_CLASS, REQUIRED_CLASS, FIELD_CLASS = 0, 1, 2, 3


@kernel
def fault(parser, reason, tag, kind, section, first, after):
    """Keep a fault if it goes before what was found so far.

    ``first`` is the tag that it is sorted by, ``after`` the step of that tag's checks.
    """
    p = layout.parser_at(parser)
    order = (0, 2, 1)[section] if section < 3 else section
    rank = kind << 58 | order << 54 | (first + (1 << 31) & 0xFFFFFFFF) << 20 | after
    if rank < p["rank"]:
        p["rank"] = rank
        m = layout.message_at(p["message"])
        m["reason"] = reason
        m["fault_tag"] = tag


@kernel
def check_required(parser, context, stamp, section):
    """Tell the members of a context that are required and not there."""
    c = layout.context_at(context)
    stamps = layout.parser_at(parser)["stamps"]
    for i in range(c["required_count"]):
        m = layout.member_at(load64(c["required"] + 8 * i))
        if load64(stamps + 8 * m["slot"]) != stamp:
            fault(parser, REQUIRED, m["tag"], REQUIRED_CLASS, section, m["tag"], 0)
            return


@kernel
def close_group(parser, depth):
    """End the innermost group: its last entry and its count."""
    p = layout.parser_at(parser)
    g = layout.group_at(p["stack"] + depth * layout.GROUP_SIZE)
    if g["entries"] > 0:
        check_required(parser, g["context"], g["stamp"], 3)
    if g["entries"] != g["declared"]:
        fault(parser, COUNT, g["tag"], FIELD_CLASS, layout.IN_BODY, g["top"],
               5 if g["tag"] == g["top"] else 16)


@kernel
def check_unknown(parser, tag, length, section, is_session):
    """Tell what is wrong with a field that its context does not have."""
    p = layout.parser_at(parser)
    options = layout.rules_at(p["rules"])["options"]
    if tag >= USER_DEFINED_MIN and not options & layout.CHECK_USER_DEFINED:
        return
    if length == 0 and options & layout.CHECK_HAS_VALUE:
        fault(parser, NO_VALUE, tag, FIELD_CLASS, section, tag, 0)
    elif not is_tag_known(p["rules"], tag, is_session):
        if not options & layout.ALLOW_UNKNOWN or tag <= 0:
            fault(parser, INVALID_TAG, tag, FIELD_CLASS, section, tag, 3)
    elif not options & layout.ALLOW_UNKNOWN:
        fault(parser, NOT_DEFINED, tag, FIELD_CLASS, section, tag, 4)


@kernel(inline=True)
def is_good(member, address, length):
    """Whether the value of a field is as its type and its enumeration have it."""
    m = layout.member_at(member)
    if m["kind"] != layout.TEXT and not is_formatted(m["kind"], address, length):
        return False
    return m["values"] == 0 or is_listed(member, address, length)


@kernel
def tell_member(parser, member, address, length, top, is_seen):
    """Tell what is wrong with a field that its context has."""
    p = layout.parser_at(parser)
    m = layout.member_at(member)
    tag, section = m["tag"], p["section"]
    after = 16 if p["place"] >> layout.DEPTH_SHIFT else 0
    if is_seen:
        fault(parser, TWICE, tag, FIELD_CLASS, section, top, after + 8)
    if length == 0:
        if p["options"] & layout.CHECK_HAS_VALUE:
            fault(parser, NO_VALUE, tag, FIELD_CLASS, section, top, after)
    elif not is_formatted(m["kind"], address, length):
        fault(parser, FORMAT, tag, FIELD_CLASS, section, top, after + 1)
    elif m["values"] != 0 and not is_listed(member, address, length):
        fault(parser, RANGE, tag, FIELD_CLASS, section, top, after + 2)
