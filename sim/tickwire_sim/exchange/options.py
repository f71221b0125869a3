"""Optional fields of an OUCH 5.0 message: what the venue offers, and what it refuses by name."""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load_be16, load_be32, load_be64, view
from tickwire.spec import ouch50
from tickwire_sim.exchange.codes import Reject

OPTIONS = np.dtype([
    ("post_only", "i4"),
    ("side", "i4"),              # 0 when there is none
    ("firm", "i4"),              # 0 when there is none
    ("refusal", "i4"),           # OUCH reject reason of the first thing not on offer, 0 none
])
options_at = view(OPTIONS)

BLANK, BLANK4 = ord(" "), int.from_bytes(b"    ", "big")
_TAG = {field.name: tag for tag, field in ouch50.OPTIONS.items()}
_FIRM, _POST_ONLY, _SIDE, _MINIMUM, _GROUP, _HANDLING = (
    _TAG[name] for name in ("firm", "post_only", "side", "minimum_quantity", "group_id",
                            "handling_instruction"))
_FLOORS = (_TAG["maximum_floor"], _TAG["random_reserves"])
_PEG_OFFSETS = (_TAG["peg_offset"], _TAG["discretion_price"], _TAG["discretion_peg_offset"])
_PEG_TYPES = (_TAG["price_type"], _TAG["discretion_price_type"])
_HARMLESS = (_TAG["customer_type"], _TAG["trade_now"], _TAG["shares_located"],
             _TAG["locate_broker"])
_ONE, _TWO, _FOUR, _EIGHT = (
    tuple(tag for tag, field in ouch50.OPTIONS.items() if field.size == size)
    for size in (1, 2, 4, 8))
_LIMIT, _YES, _NO = ord("L"), ord("P"), ord("N")
_REFUSE_MINIMUM, _REFUSE_FLOOR, _REFUSE_PEG, _REFUSE = (
    Reject.MINIMUM_QUANTITY, Reject.MAXIMUM_FLOOR, Reject.PEG, Reject.OTHER)


@kernel
def _size(tag):
    """Octets of an option's value, 0 for an unknown tag."""
    if tag in _ONE:
        return 1
    if tag in _FOUR:
        return 4
    if tag in _EIGHT:
        return 8
    return 2 if tag in _TWO else 0


@kernel
def _value(address, size):
    """Value of an option of 1, 2, 4 or 8 octets."""
    if size == 1:
        return load8(address)
    if size == 2:
        return load_be16(address)
    return load_be32(address) if size == 4 else load_be64(address)


@kernel
def _refusal(tag, value):
    """Reject reason of an option that is not on offer at this value, 0 when it does no harm."""
    if tag in _HARMLESS:
        return 0
    if tag == _MINIMUM:
        return _REFUSE_MINIMUM if value else 0
    if tag in _FLOORS:
        return _REFUSE_FLOOR if value else 0
    if tag in _PEG_OFFSETS:
        return _REFUSE_PEG if value else 0
    if tag in _PEG_TYPES:
        return 0 if value == _LIMIT else _REFUSE_PEG
    if (tag == _HANDLING and value == BLANK) or (tag == _GROUP and value == 0):
        return 0
    return _REFUSE


@kernel
def read_options(address, octets, options):
    """Read an appendage of ``octets``; returns False when its elements do not fit.

    What the venue does not offer is noted as the refusal, never ignored.
    """
    row = options_at(options)
    row["post_only"] = 0
    row["side"] = 0
    row["firm"] = 0
    row["refusal"] = 0
    place = 0
    while place < octets:
        length = load8(address + place)
        if length < 1 or place + 1 + length > octets:
            return False
        tag = load8(address + place + 1)
        size = _size(tag)
        if size and size != length - 1:
            return False
        value = _value(address + place + 2, size) if size else 0
        refusal = 0
        if tag == _FIRM:
            row["firm"] = value if value != BLANK4 else 0
        elif tag == _SIDE:
            row["side"] = value
        elif tag == _POST_ONLY and (value == _YES or value == _NO):
            row["post_only"] = 1 if value == _YES else 0
        else:
            refusal = _refusal(tag, value)
        if row["refusal"] == 0:
            row["refusal"] = refusal
        place += 1 + length
    return True
