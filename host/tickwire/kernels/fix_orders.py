"""Order messages of FIX from what a device released: new, cancel, replace, each into a buffer.

A ClOrdID is the session's prefix and the order's token, so that no table is needed to find an order
again; ``.n`` behind it numbers the requests that change an order without giving it a new token.
Fields ascend by tag. Nothing is looked at twice: the device has checked what it released.
"""

import numpy as np

from tickwire.kernels.fix_resend import begin_field, close_message, write_field
from tickwire.kernels.fix_text import SOH, write_integer, write_scaled, write_timestamp
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import copy, load8, load64, store8, store64, view
from tickwire.spec.fix import Tag
from tickwire.spec.intents import IntentFlag, Operation
from tickwire.spec.records import ORDER_RELEASED
from tickwire.spec.render import dtype

TEMPLATE = np.dtype([
    ("begin", "i8"), ("begin_length", "i8"),       # BeginString
    ("sender", "i8"), ("sender_length", "i8"),     # header fields between 34 and 52
    ("target", "i8"), ("target_length", "i8"),     # header fields after 52
    ("prefix", "i8"), ("prefix_length", "i8"),     # of every ClOrdID
    ("time", "i8"), ("time_length", "i8"),         # value of 52 and 60; room for 32 octets
    ("decimals", "i8"),                            # of both
    ("has_handling", "i8"),                        # whether 21 is sent
    ("pieces", "i8"),                              # PIECES of D, F and G
], align=True)
"""What all order messages of a session have in common; texts by address, fields with their SOH."""

BOUNDS = (11, 18, 38, 54, 59, 114)
"""Tags in front of which configured fields of smaller tags stand; greater ones are last."""

PIECES = np.dtype([("address", "i8"), ("length", "i8")])
"""Configured fields between two of ``BOUNDS``: a row of these for each message type."""

template_at = view(TEMPLATE)
_piece_at = view(PIECES)
_PIECE = PIECES.itemsize
_PIECES = _PIECE * (len(BOUNDS) + 1)
_released_at = view(dtype(ORDER_RELEASED))
_SYMBOL = ORDER_RELEASED.field("symbol")[1]

HEAD_ROOM = 64                             # before the fields from 35 on
ROOM = 2048                                # octets that a message takes at most

_CANCEL, _REPLACE, _NEW = (int(Operation[name]) for name in ("CANCEL", "REPLACE", "NEW"))
_IMMEDIATE, _POST_ONLY = int(IntentFlag.IMMEDIATE), int(IntentFlag.POST_ONLY)
_PRICE_DECIMALS = 4
_SIDES = (ord("1"), ord("2"), ord("5"), ord("6"))  # B S T E
_BUY, _SELL, _SHORT = (ord(letter) for letter in "BST")
_LIMIT, _AUTOMATIC, _DAY, _IMMEDIATE_OR_CANCEL, _PASSIVE, _NO = (ord(code) for code in "21036N")
(_CLIENT_ORDER_ID, _HANDLING, _SEQUENCE, _TYPE, _QUANTITY, _ORDER_TYPE, _ORIGINAL) = map(int, (
    Tag.CLIENT_ORDER_ID, Tag.HANDLING, Tag.SEQUENCE, Tag.MESSAGE_TYPE, Tag.QUANTITY,
    Tag.ORDER_TYPE, Tag.ORIGINAL_CLIENT_ORDER_ID))
(_PRICE, _SENDING_TIME, _SIDE, _SYMBOL_TAG, _TIME_IN_FORCE, _TRANSACT_TIME, _LOCATE) = map(int, (
    Tag.PRICE, Tag.SENDING_TIME, Tag.SIDE, Tag.SYMBOL, Tag.TIME_IN_FORCE, Tag.TRANSACT_TIME,
    Tag.LOCATE_REQUIRED))
_INSTRUCTION = 18
D, F, G = (ord(kind) for kind in "DFG")


@kernel(inline=True)
def _octet(target, tag, octet):
    """Write a field of one octet."""
    target = begin_field(target, tag)
    store8(target, octet)
    store8(target + 1, SOH)
    return target + 2


@kernel
def _configured(target, pieces, place):
    """Write the configured fields that stand before the bound at ``place``."""
    p = _piece_at(pieces + place * _PIECE)
    length = p["length"]
    if length:
        copy(target, p["address"], length)
    return target + length


@kernel(inline=True)
def _number(target, tag, value):
    """Write a field that is a whole number."""
    target = write_integer(begin_field(target, tag), value)
    store8(target, SOH)
    return target + 1


@kernel
def _identity(target, tag, template, token, request):
    """Write a ClOrdID; ``request`` 0 for the one that the token gave."""
    t = template_at(template)
    target = begin_field(target, tag)
    copy(target, t["prefix"], t["prefix_length"])
    target = write_integer(target + t["prefix_length"], token)
    if request:
        store8(target, 0x2E)
        target = write_integer(target + 1, request)
    store8(target, SOH)
    return target + 1


@kernel(inline=True)
def _time(target, tag, template):
    """Write a field with the time that the template was told last."""
    t = template_at(template)
    target = begin_field(target, tag)
    for place in range(0, 32, 8):
        store64(target + place, load64(t["time"] + place))
    target += t["time_length"]
    store8(target, SOH)
    return target + 1


@kernel
def tell_time(template, now):
    """Set the time of 52 and 60, ns since 1970."""
    t = template_at(template)
    t["time_length"] = write_timestamp(t["time"], now, t["decimals"]) - t["time"]


@kernel(inline=True)
def message_type(released):
    """35 of the message that a release asks for: a smaller size is a replace, and so told."""
    r = _released_at(released)
    if r["operation"] == _NEW:
        return D
    return F if r["operation"] == _CANCEL and r["quantity"] == 0 else G


@kernel
def write_order(template, released, original, request, target):
    """Write the body of the message that a release asks for; return the address after it.

    ``released`` is an ORDER_RELEASED record. A cancel, or a smaller size, names the order by
    ``original`` (the request that changed it last, 0 none) and gets the ClOrdID of ``request``,
    at least 1; a replace gets the ClOrdID of its token. The time is that of :func:`tell_time`.
    """
    t, r = template_at(template), _released_at(released)
    token, operation = np.int64(r["token"]), np.int64(r["operation"])
    quantity, flags, side = np.int64(r["quantity"]), np.int64(r["flags"]), np.int64(r["side"])
    kind = message_type(released)
    pieces = t["pieces"] + (0 if kind == D else _PIECES if kind == F else 2 * _PIECES)
    target = _configured(target, pieces, 0)
    target = _identity(target, _CLIENT_ORDER_ID, template, token,
                       request if operation == _CANCEL else 0)
    target = _configured(target, pieces, 1)
    if kind != F:
        if flags & _POST_ONLY:
            target = _octet(target, _INSTRUCTION, _PASSIVE)
        if t["has_handling"]:
            target = _octet(target, _HANDLING, _AUTOMATIC)
    target = _configured(target, pieces, 2)
    target = _number(target, _QUANTITY, np.int64(r["total"]) if kind == F else quantity)
    if kind != F:
        target = _octet(target, _ORDER_TYPE, _LIMIT)
    if operation == _CANCEL:
        target = _identity(target, _ORIGINAL, template, token, original)
    elif operation == _REPLACE:
        target = _identity(target, _ORIGINAL, template, np.int64(r["previous"]), original)
    if kind != F:
        target = write_scaled(begin_field(target, _PRICE), np.int64(r["price"]), _PRICE_DECIMALS)
        store8(target, SOH)
        target += 1
    target = _configured(target, pieces, 3)
    place = 0 if side == _BUY else 1 if side == _SELL else 2 if side == _SHORT else 3
    target = _octet(target, _SIDE, _SIDES[place])
    symbol, length = released + _SYMBOL, 8
    while length > 1 and load8(symbol + length - 1) == 0x20:
        length -= 1
    target = write_field(target, _SYMBOL_TAG, symbol, length)
    target = _configured(target, pieces, 4)
    if kind != F:
        target = _octet(target, _TIME_IN_FORCE,
                        _IMMEDIATE_OR_CANCEL if flags & _IMMEDIATE else _DAY)
    target = _time(target, _TRANSACT_TIME, template)
    target = _configured(target, pieces, 5)
    if kind != F and place >= 2:
        target = _octet(target, _LOCATE, _NO)      # sold short: the shares are located
    return _configured(target, pieces, 6)


@kernel
def encode_order(template, released, original, request, sequence, now, target):
    """Write the whole message that a release asks for at ``now``; see :func:`write_order`.

    ``target`` has ``ROOM`` octets. Returns octets before the body << 32 | octets << 16 | offset of
    the first one from ``target``.
    """
    t = template_at(template)
    tell_time(template, now)
    first = target + HEAD_ROOM
    place = _octet(first, _TYPE, message_type(released))
    place = _number(place, _SEQUENCE, sequence)
    copy(place, t["sender"], t["sender_length"])
    place = _time(place + t["sender_length"], _SENDING_TIME, template)
    copy(place, t["target"], t["target_length"])
    body = place + t["target_length"]
    place = write_order(template, released, original, request, body)
    head = close_message(first, place, t["begin"], t["begin_length"])
    return (body - head) << 32 | (place + 7 - head) << 16 | (head - target)
