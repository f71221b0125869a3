"""Order encoder: OUCH 5.0 messages in SoupBinTCP unsequenced data packets.

The client order id is text that leads back to the intent: 8 hexadecimal digits of its id, 4 of the
strategy and 2 of the order session.
"""

import numpy as np

from tickwire.kernels._ouch50 import (
    encode_cancel_order,
    encode_enter_order,
    encode_replace_order,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64, store8, store_be16, store_be48, store_be64
from tickwire.kernels.order_layout import order_at, orders_at
from tickwire.kernels.orders import row, side_letter
from tickwire.spec import ouch50, soupbintcp
from tickwire.spec.intents import IntentFlag

_IMMEDIATE = IntentFlag.IMMEDIATE.value
_POST_ONLY = IntentFlag.POST_ONLY.value
_HEADER = soupbintcp.HEADER_SIZE
_TYPE = soupbintcp.TYPE_OFFSET
_LENGTH = soupbintcp.LENGTH_SIZE
_UNSEQUENCED = ord(soupbintcp.UNSEQUENCED_DATA.tag)
_ENTER_ID = ouch50.ENTER_ORDER.field("cl_ord_id")[1]
_REPLACE_ID = ouch50.REPLACE_ORDER.field("cl_ord_id")[1]
_POST_ONLY_TAG = next(tag for tag, field in ouch50.OPTIONS.items() if field.name == "post_only")
APPENDAGE = bytes((2, _POST_ONLY_TAG, ord("P")))
"""Appendage of a post-only order: length of the rest, option tag, value."""

_APPENDAGE_SIZE = len(APPENDAGE)
_DAY, _IMMEDIATE_OR_CANCEL = map(ord, "03")
_YES, _NO, _CONTINUOUS = map(ord, "YNN")
_NIBBLES = 0x0F0F_0F0F_0F0F_0F0F
_ZEROS = 0x3030_3030_3030_3030
_SIXES = 0x0606_0606_0606_0606
_ONES = 0x0101_0101_0101_0101


@kernel(inline=True)
def hexadecimal(value):
    """Eight hexadecimal digits of a value below 2^32, as the big-endian integer of their text."""
    spread = (value | value << 16) & 0x0000_FFFF_0000_FFFF
    spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
    spread = (spread | spread << 4) & _NIBBLES
    letters = (spread + _SIXES) >> 4 & _ONES          # 1 for each digit from A on
    return spread + _ZEROS + 7 * letters


@kernel(inline=True)
def _store_id(address, a):
    """Write the 14 octets of the client order id."""
    store_be64(address, hexadecimal(np.int64(a["intent_id"])))
    low = np.int64(a["strategy"]) << 8 | np.int64(a["session"]) & 0xFF
    store_be48(address + 8, hexadecimal(low) & 0xFFFF_FFFF_FFFF)


@kernel(inline=True)
def _close(packet, octets):
    """Write the SoupBinTCP header of a message of ``octets``; returns the packet's octets."""
    store_be16(packet, octets + _HEADER - _LENGTH)
    store8(packet + _TYPE, _UNSEQUENCED)
    return octets + _HEADER


@kernel(inline=True)
def encode_new(orders, token, packet):
    """Write Enter Order for the row of ``token`` to ``packet``; returns its octets."""
    o = orders_at(orders)
    a = order_at(row(orders, token))
    flags = np.int64(a["flags"])
    message = packet + _HEADER
    identity = message + _ENTER_ID
    _store_id(identity, a)
    symbol = load64(o["symbols"] + 8 * np.int64(a["instrument"]))
    side = side_letter(flags)
    quantity = np.int64(a["quantity"])
    price = np.int64(a["price"])
    force = _IMMEDIATE_OR_CANCEL if flags & _IMMEDIATE != 0 else _DAY
    if flags & _POST_ONLY != 0:
        return _close(packet, encode_enter_order(
            message, token, side, quantity, symbol, price, force, _YES, o["capacity"], _NO,
            _CONTINUOUS, identity, o["appendage"], _APPENDAGE_SIZE))
    return _close(packet, encode_enter_order(
        message, token, side, quantity, symbol, price, force, _YES, o["capacity"], _NO,
        _CONTINUOUS, identity, 0, 0))


@kernel(inline=True)
def encode_replace(orders, token, packet):
    """Write Replace Order for the row of ``token`` to ``packet``; returns its octets."""
    o = orders_at(orders)
    a = order_at(row(orders, token))
    flags = np.int64(a["flags"])
    message = packet + _HEADER
    identity = message + _REPLACE_ID
    _store_id(identity, a)
    previous = np.int64(a["previous"])
    quantity = np.int64(a["quantity"])
    price = np.int64(a["price"])
    force = _IMMEDIATE_OR_CANCEL if flags & _IMMEDIATE != 0 else _DAY
    if flags & _POST_ONLY != 0:
        return _close(packet, encode_replace_order(
            message, previous, token, quantity, price, force, _YES, _NO, identity,
            o["appendage"], _APPENDAGE_SIZE))
    return _close(packet, encode_replace_order(
        message, previous, token, quantity, price, force, _YES, _NO, identity, 0, 0))


@kernel(inline=True)
def encode_cancel(token, quantity, packet):
    """Write Cancel Order to ``packet``; ``quantity`` is the size that the order is to have.

    OUCH counts the shares executed already as part of that size; 0 cancels all that is open.
    """
    return _close(packet, encode_cancel_order(packet + _HEADER, token, quantity, 0, 0))
