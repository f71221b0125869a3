"""OUCH 5.0 answers of the venue as settle intents.

What is not about the shares of an order (system events, priority, restatements, broken trades)
makes no intent.
"""

from tickwire.kernels import _ouch50 as ouch
from tickwire.kernels import settle_layout as layout
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    below,
    load8,
    load_be16,
    load_be32,
    load_be64,
    store8,
    store16,
    store32,
    store64,
)
from tickwire.spec import ouch50

_DEAD = ord("D")
_INTEGER_MAX = 0x7FFF_FFFF                 # quantities and prices of a device: 31 bits
_ABOUT_SHARES = (ouch50.ORDER_ACCEPTED, ouch50.ORDER_EXECUTED, ouch50.ORDER_CANCELED,
                 ouch50.AIQ_CANCELED, ouch50.ORDER_REPLACED, ouch50.REJECTED)
_SILENT = sum(1 << ord(tag) - 64 for tag, message in ouch50.OUTBOUND.items()
              if message not in _ABOUT_SHARES)  # one bit a letter of the types that make no intent

ORDER_EVENT, NO_ORDER_EVENT, MALFORMED = 1, 0, -1


def _offsets(message, *names):
    return tuple(message.field(name)[1] for name in names)


_A_STATE, _A_REFERENCE, _A_QUANTITY, _A_PRICE, _A_TOKEN = _offsets(
    ouch50.ORDER_ACCEPTED, "order_state", "order_reference", "quantity", "price", "user_ref_num")
_U_STATE, _U_REFERENCE, _U_QUANTITY, _U_PRICE, _U_TOKEN, _U_PREVIOUS = _offsets(
    ouch50.ORDER_REPLACED, "order_state", "order_reference", "quantity", "price", "user_ref_num",
    "orig_user_ref_num")
_C_TOKEN, _C_QUANTITY, _C_REASON = _offsets(
    ouch50.ORDER_CANCELED, "user_ref_num", "quantity", "reason")
_D_TOKEN, _D_QUANTITY, _D_REASON = _offsets(
    ouch50.AIQ_CANCELED, "user_ref_num", "decrement_shares", "reason")
_E_TOKEN, _E_QUANTITY, _E_PRICE, _E_MATCH = _offsets(
    ouch50.ORDER_EXECUTED, "user_ref_num", "quantity", "price", "match_number")
_J_TOKEN, _J_REASON = _offsets(ouch50.REJECTED, "user_ref_num", "reason")
_TIMESTAMP = ouch50.ORDER_EXECUTED.field("timestamp")[1]


@kernel(inline=True)
def _fits(message, octets, size, size_min):
    """Whether the message is its fixed part and exactly the appendage that it announces."""
    if octets == size_min and size_min < size:
        return True
    return octets >= size and octets == size + load_be16(message + size - 2)


@kernel(inline=True)
def _write(settle, operation, message, token, quantity, price, reason, reference, match, flags,
           previous):
    store64(settle, load_be64(message + _TIMESTAMP))
    store32(settle + layout.TOKEN, token)
    store16(settle + layout.LOCATE, 0)
    store8(settle + layout.OPERATION, operation)
    store8(settle + layout.FLAGS, flags)
    store32(settle + layout.PRICE, price)
    store32(settle + layout.QUANTITY, quantity)
    store16(settle + layout.REASON, reason)
    store16(settle + layout.SESSION, 0)
    store32(settle + layout.PREVIOUS, previous)
    store64(settle + layout.REFERENCE, reference)
    store64(settle + layout.MATCH, match)
    store32(settle + layout.RESERVED, 0)
    store32(settle + layout.CRC, 0)
    store64(settle + layout.EPOCH, 0)
    in_range = below(price, _INTEGER_MAX + 1) and quantity <= _INTEGER_MAX and token != 0
    return ORDER_EVENT if in_range else MALFORMED


@kernel
def translate(message, octets, settle):
    """Write the settle intent of the OUCH message of ``octets`` >= 0 at ``message``.

    Returns ``ORDER_EVENT``; ``NO_ORDER_EVENT`` when the type makes no intent, and then its length
    was not looked at; ``MALFORMED`` when the type is unknown, the length is not that of the type
    with its appendage, or a price or quantity does not fit 31 bits. The intent is not sealed.
    """
    if octets < 1:
        return MALFORMED
    tag = load8(message)
    if tag == ouch.ORDER_ACCEPTED_TYPE:
        if not _fits(message, octets, ouch.ORDER_ACCEPTED_SIZE, ouch.ORDER_ACCEPTED_SIZE):
            return MALFORMED
        return _write(settle, layout.ACCEPTED, message, load_be32(message + _A_TOKEN),
                      load_be32(message + _A_QUANTITY), load_be64(message + _A_PRICE), 0,
                      load_be64(message + _A_REFERENCE), 0,
                      layout.IS_DEAD if load8(message + _A_STATE) == _DEAD else 0, 0)
    if tag == ouch.ORDER_EXECUTED_TYPE:
        if not _fits(message, octets, ouch.ORDER_EXECUTED_SIZE, ouch.ORDER_EXECUTED_SIZE):
            return MALFORMED
        return _write(settle, layout.FILLED, message, load_be32(message + _E_TOKEN),
                      load_be32(message + _E_QUANTITY), load_be64(message + _E_PRICE), 0, 0,
                      load_be64(message + _E_MATCH), 0, 0)
    if tag == ouch.ORDER_CANCELED_TYPE:
        if not _fits(message, octets, ouch.ORDER_CANCELED_SIZE, ouch.ORDER_CANCELED_SIZE_MIN):
            return MALFORMED
        return _write(settle, layout.CANCELED, message, load_be32(message + _C_TOKEN),
                      load_be32(message + _C_QUANTITY), 0, load8(message + _C_REASON), 0, 0, 0, 0)
    if tag == ouch.AIQ_CANCELED_TYPE:
        if not _fits(message, octets, ouch.AIQ_CANCELED_SIZE, ouch.AIQ_CANCELED_SIZE_MIN):
            return MALFORMED
        return _write(settle, layout.CANCELED, message, load_be32(message + _D_TOKEN),
                      load_be32(message + _D_QUANTITY), 0, load8(message + _D_REASON), 0, 0, 0, 0)
    if tag == ouch.ORDER_REPLACED_TYPE:
        if not _fits(message, octets, ouch.ORDER_REPLACED_SIZE, ouch.ORDER_REPLACED_SIZE):
            return MALFORMED
        return _write(settle, layout.REPLACED, message, load_be32(message + _U_TOKEN),
                      load_be32(message + _U_QUANTITY), load_be64(message + _U_PRICE), 0,
                      load_be64(message + _U_REFERENCE), 0,
                      layout.IS_DEAD if load8(message + _U_STATE) == _DEAD else 0,
                      load_be32(message + _U_PREVIOUS))
    if tag == ouch.REJECTED_TYPE:
        if not _fits(message, octets, ouch.REJECTED_SIZE, ouch.REJECTED_SIZE_MIN):
            return MALFORMED
        return _write(settle, layout.REJECTED, message, load_be32(message + _J_TOKEN), 0, 0,
                      load_be16(message + _J_REASON), 0, 0, 0, 0)
    is_letter = 64 <= tag < 64 + 63
    return NO_ORDER_EVENT if is_letter and _SILENT >> (tag - 64) & 1 else MALFORMED
