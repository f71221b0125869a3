"""Order entry: OUCH 5.0 messages of a client become commands of the engine and answers.

The rules are those of ``facts``: a number that does not rise is ignored in silence; so is a
cancel, modify or replace of an order that is dead. A quantity is the size of a whole chain of
replaces, executed shares included. The venue takes displayed limit and market orders in the
continuous market; everything else is rejected with the reason that names it.
"""

import numpy as np

from tickwire.kernels import _ouch50 as ouch50
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load_be16, load_be32, store64, view
from tickwire.kernels.ring import count
from tickwire.spec import ouch50 as tables
from tickwire.spec.itch50 import PRICE_MAX as ITCH_PRICE_MAX
from tickwire.spec.render import dtype
from tickwire_sim.exchange import answers, matching
from tickwire_sim.exchange.book import lookup, symbol_named
from tickwire_sim.exchange.codes import Cancel, Reject, State
from tickwire_sim.exchange.counters import CounterIndex
from tickwire_sim.exchange.layout import (
    ACCOUNT_SIZE,
    BUY,
    NONE,
    ORDER_SIZE,
    PRICE_NONE,
    SELL,
    SYMBOL_SIZE,
    account_at,
    engine_at,
    order_at,
    symbol_at,
)
from tickwire_sim.exchange.options import BLANK4, options_at, read_options

DONE, MALFORMED = 0, -1

_enter_at = view(dtype(tables.ENTER_ORDER))
_replace_at = view(dtype(tables.REPLACE_ORDER))
_cancel_at = view(dtype(tables.CANCEL_ORDER))
_modify_at = view(dtype(tables.MODIFY_ORDER))
_mass_cancel_at = view(dtype(tables.MASS_CANCEL))
_switch_at = view(dtype(tables.DISABLE_ORDER_ENTRY))

OPTIONS_OFFSET = 64                        # of the options in the engine's scratch memory
_ENTER_TEXT = tables.ENTER_ORDER.field("cl_ord_id")[1]
_REPLACE_TEXT = tables.REPLACE_ORDER.field("cl_ord_id")[1]
_PRICE_MARKET = tables.PRICE_MARKET
_NAME_MAX = (1 << 63) - 1
_BLANK8 = int.from_bytes(b"        ", "big")
_BUY, _SELL, _SHORT, _EXEMPT = (ord(side) for side in "BSTE")
_VISIBLE, _ATTRIBUTABLE, _CONTINUOUS, _NOT_ISO = (ord(code) for code in "YANN")
_DAY, _IMMEDIATE, _EXTENDED = (ord(code) for code in "035")
_CAPACITIES = tuple(ord(code) for code in tables.CAPACITIES)
_TRADING = State.TRADING
_IGNORED = int(CounterIndex.ORDERS_IGNORED)
_USER, _SYSTEM = Cancel.USER, Cancel.SYSTEM
_CLOSED, _DISPLAY, _ISO, _SIDE, _FIRM, _OTHER, _CROSS, _SYMBOL, _HALTED = (
    Reject.CLOSED, Reject.DISPLAY, Reject.ISO, Reject.SIDE, Reject.FIRM, Reject.OTHER,
    Reject.CROSS, Reject.SYMBOL, Reject.HALTED)


@kernel(inline=True)
def _limit(price):
    """Limit of an order by the price on the wire: PRICE_NONE for a market order, 0 if invalid."""
    if price > _PRICE_MARKET:
        return 0
    return np.int64(price) if price < ITCH_PRICE_MAX else PRICE_NONE


@kernel(inline=True)
def _name(text):
    """Name of a symbol as a signed integer; 0, which names none, when it is not ASCII."""
    return np.int64(text) if text <= _NAME_MAX else 0


@kernel(inline=True)
def _policy(time_in_force, post_only):
    """Policy of an order; -1 when the two do not go together or are not on offer."""
    if time_in_force == _IMMEDIATE:
        return matching.IMMEDIATE if post_only == 0 else -1
    if time_in_force == _DAY or time_in_force == _EXTENDED:
        return matching.POST_ONLY if post_only else matching.DAY
    return -1


@kernel(inline=True)
def _is_sale(side):
    """Whether a side on the wire sells."""
    return side == _SELL or side == _SHORT or side == _EXEMPT


@kernel(inline=True)
def _ignore(engine):
    """Count a message that asks for silence."""
    count(engine_at(engine)["counters"], _IGNORED)
    return DONE


@kernel(inline=True)
def _spend(engine, account, number):
    """Use a number up; returns False when it does not rise."""
    a = account_at(engine_at(engine)["accounts"] + ACCOUNT_SIZE * account)
    if number <= a["number"]:
        return False
    a["number"] = number
    return True


@kernel
def _wrong_firm(engine, account, firm):
    """Whether a firm is neither blank nor that of the account."""
    a = account_at(engine_at(engine)["accounts"] + ACCOUNT_SIZE * account)
    return firm != 0 and firm != BLANK4 and firm != a["firm"]


@kernel
def _objection(engine, account, m, options, symbol, price, policy):
    """Reject reason of an Enter Order, 0 if it may enter."""
    o = options_at(options)
    a = account_at(engine_at(engine)["accounts"] + ACCOUNT_SIZE * account)
    side = m["side"]
    if a["is_disabled"]:
        return _CLOSED
    if side != _BUY and not _is_sale(side):
        return _SIDE
    if symbol < 0:
        return _SYMBOL
    if m["display"] != _VISIBLE and m["display"] != _ATTRIBUTABLE:
        return _DISPLAY
    if m["cross_type"] != _CONTINUOUS:
        return _CROSS
    if m["iso_eligible"] != _NOT_ISO:
        return _ISO
    if _wrong_firm(engine, account, o["firm"]):
        return _FIRM
    if o["refusal"]:
        return o["refusal"]
    code = matching.check(engine, symbol, np.int64(m["quantity"]), price)
    if code:
        return code
    if m["capacity"] not in _CAPACITIES or policy < 0 or o["side"]:
        return _OTHER
    return 0


@kernel
def _enter(engine, account, message, octets):
    """Enter Order: Accepted, then what comes of it; or Rejected."""
    e = engine_at(engine)
    ouch50.decode_enter_order(message, e["scratch"])
    m = _enter_at(e["scratch"])
    options = e["scratch"] + OPTIONS_OFFSET
    if (ouch50.ENTER_ORDER_SIZE + m["appendage_length"] != octets
            or not read_options(message + ouch50.ENTER_ORDER_SIZE, octets
                                - ouch50.ENTER_ORDER_SIZE, options)):
        return MALFORMED
    if not _spend(engine, account, np.int64(m["user_ref_num"])):
        return _ignore(engine)
    symbol = symbol_named(engine, _name(m["symbol"]))
    price = _limit(m["price"])
    policy = _policy(m["time_in_force"], options_at(options)["post_only"])
    reason = _objection(engine, account, m, options, symbol, price, policy)
    if reason:
        answers.rejected(engine, account, m["user_ref_num"], reason, message + _ENTER_TEXT)
        return DONE
    slot = matching.prepare(engine, symbol, BUY if m["side"] == _BUY else SELL, m["quantity"],
                            price, account, m["user_ref_num"],
                            1 if m["display"] == _ATTRIBUTABLE else 0, 0)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    o["side_code"] = m["side"]
    o["time_in_force"] = m["time_in_force"]
    o["display"] = m["display"]
    o["capacity"] = m["capacity"]
    o["iso_eligible"] = m["iso_eligible"]
    o["cross_type"] = m["cross_type"]
    answers.accepted(engine, account, slot, np.int64(m["price"]), message + _ENTER_TEXT)
    matching.submit(engine, slot, price, policy)
    answers.report(engine)
    return DONE


@kernel
def _replace(engine, account, message, octets):
    """Replace Order: silence, Canceled (bad values), Rejected (not now) or Replaced."""
    e = engine_at(engine)
    ouch50.decode_replace_order(message, e["scratch"])
    m = _replace_at(e["scratch"])
    address = e["scratch"] + OPTIONS_OFFSET
    if (ouch50.REPLACE_ORDER_SIZE + m["appendage_length"] != octets
            or not read_options(message + ouch50.REPLACE_ORDER_SIZE, octets
                                - ouch50.REPLACE_ORDER_SIZE, address)):
        return MALFORMED
    options = options_at(address)
    a = account_at(e["accounts"] + ACCOUNT_SIZE * account)
    number = np.int64(m["user_ref_num"])
    original = np.int64(m["orig_user_ref_num"])
    slot = lookup(engine, account, original)
    if slot == NONE or number <= a["number"]:
        return _ignore(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    price = _limit(m["price"])
    policy = _policy(m["time_in_force"], options["post_only"])
    side = options["side"] if options["side"] else o["side_code"]
    is_valid = (matching.check_terms(engine, o["symbol"], np.int64(m["quantity"]), price) == 0
                and (m["display"] == _VISIBLE or m["display"] == _ATTRIBUTABLE)
                and m["iso_eligible"] == _NOT_ISO and policy >= 0 and options["refusal"] == 0
                and (side == o["side_code"] or (_is_sale(side) and o["side"] == SELL)))
    left = np.int64(m["quantity"]) - o["executed"]
    if not is_valid or left <= 0:
        matching.cancel(engine, slot, _USER if is_valid else _SYSTEM)
        answers.report(engine)
        return DONE
    a["number"] = number
    is_halted = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])["state"] != _TRADING
    if is_halted or a["is_disabled"]:
        answers.rejected(engine, account, number, _HALTED if is_halted else _CLOSED,
                         message + _REPLACE_TEXT)
        return DONE
    reference = matching.renew(engine, slot, left, price, number)
    o["side_code"] = side
    o["time_in_force"] = m["time_in_force"]
    o["display"] = m["display"]
    o["attributed"] = 1 if m["display"] == _ATTRIBUTABLE else 0
    answers.replaced(engine, account, slot, original, np.int64(m["price"]),
                     message + _REPLACE_TEXT)
    matching.resubmit(engine, slot, reference, price, policy)
    answers.report(engine)
    return DONE


@kernel
def _shrink(engine, slot, quantity):
    """Bring an order down to ``quantity`` shares in all, executed ones included; 0 cancels."""
    o = order_at(engine_at(engine)["orders"] + ORDER_SIZE * slot)
    left = quantity - o["executed"]
    if left <= 0:
        matching.cancel(engine, slot, _USER)
    elif left < o["quantity"]:
        matching.reduce(engine, slot, o["quantity"] - left, _USER)
    else:
        return False
    return True


@kernel
def _cancel(engine, account, message, octets):
    """Cancel Order: Canceled, or silence when there is nothing to take off."""
    e = engine_at(engine)
    ouch50.decode_cancel_order(message, octets, e["scratch"])
    m = _cancel_at(e["scratch"])
    slot = lookup(engine, account, np.int64(m["user_ref_num"]))
    if slot == NONE or not _shrink(engine, slot, np.int64(m["quantity"])):
        return _ignore(engine)
    answers.report(engine)
    return DONE


@kernel
def _modify(engine, account, message, octets):
    """Modify Order: Modified; Canceled when nothing is left; silence when nothing may change."""
    e = engine_at(engine)
    ouch50.decode_modify_order(message, octets, e["scratch"])
    m = _modify_at(e["scratch"])
    slot = lookup(engine, account, np.int64(m["user_ref_num"]))
    if slot == NONE:
        return _ignore(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    is_resold = o["side"] == SELL and _is_sale(m["side"]) and m["side"] != o["side_code"]
    if not is_resold and m["side"] != o["side_code"]:
        return _ignore(engine)
    is_smaller = _shrink(engine, slot, np.int64(m["quantity"]))
    if not is_smaller and not is_resold:
        return _ignore(engine)
    if is_smaller and o["reference"] == 0:
        answers.report(engine)
        return DONE
    e["event_count"] = 0                   # the answer to a modification takes the cancel's place
    o["side_code"] = m["side"]
    answers.modified(engine, account, slot)
    return DONE


@kernel
def cancel_all(engine, account, symbol, side, reason):
    """Cancel the live orders of an account: of one symbol (-1 all), of one side code (0 all)."""
    e = engine_at(engine)
    slot = account_at(e["accounts"] + ACCOUNT_SIZE * account)["orders"]
    while slot != NONE:
        o = order_at(e["orders"] + ORDER_SIZE * slot)
        following = o["owner_next"]
        if (symbol < 0 or symbol == o["symbol"]) and (side == 0 or side == o["side_code"]):
            matching.cancel(engine, slot, reason)
            answers.report(engine)
        slot = following


@kernel
def _mass_cancel(engine, account, message, octets):
    """Mass Cancel: a response, then one Canceled an order; or Rejected."""
    e = engine_at(engine)
    ouch50.decode_mass_cancel(message, e["scratch"])
    m = _mass_cancel_at(e["scratch"])
    address = e["scratch"] + OPTIONS_OFFSET
    if (ouch50.MASS_CANCEL_SIZE + m["appendage_length"] != octets
            or not read_options(message + ouch50.MASS_CANCEL_SIZE, octets
                                - ouch50.MASS_CANCEL_SIZE, address)):
        return MALFORMED
    if not _spend(engine, account, np.int64(m["user_ref_num"])):
        return _ignore(engine)
    options = options_at(address)
    name = _name(m["symbol"])
    symbol = -1
    reason = 0
    if name != _BLANK8:
        symbol = symbol_named(engine, name)
        reason = _SYMBOL if symbol < 0 else 0
    if _wrong_firm(engine, account, np.int64(m["firm"])):
        reason = _FIRM
    elif options["refusal"]:
        reason = options["refusal"]
    if reason:
        # The message carries no text of the client: the answer's is blank.
        blank = e["scratch"]
        store64(blank, _BLANK8)
        store64(blank + 6, _BLANK8)
        answers.rejected(engine, account, load_be32(message + 1), reason, blank)
        return DONE
    answers.mass_canceled(engine, account, m["user_ref_num"], m["firm"], name)
    cancel_all(engine, account, symbol, options["side"], _USER)
    return DONE


@kernel
def _switch(engine, account, message, octets, is_disabled):
    """Disable or Enable Order Entry."""
    e = engine_at(engine)
    ouch50.decode_disable_order_entry(message, e["scratch"])
    m = _switch_at(e["scratch"])
    if not _spend(engine, account, np.int64(m["user_ref_num"])):
        return _ignore(engine)
    account_at(e["accounts"] + ACCOUNT_SIZE * account)["is_disabled"] = is_disabled
    answers.switched(engine, account, m["user_ref_num"], m["firm"], is_disabled)
    return DONE


@kernel(inline=True)
def _tail_fits(engine, message, octets, size_min):
    """Whether the optional tail of a message is absent, or whole and well formed."""
    if octets == size_min:
        return True
    size = size_min + 2
    return (octets >= size and size + load_be16(message + size_min) == octets
            and read_options(message + size, octets - size,
                             engine_at(engine)["scratch"] + OPTIONS_OFFSET))


@kernel
def handle(engine, account, message, octets):
    """Carry out one inbound message of ``octets``, at least 1.

    Returns DONE, or MALFORMED when the type is unknown or the length is not that of the type.
    """
    kind = load8(message)
    if kind == ouch50.ENTER_ORDER_TYPE:
        if octets >= ouch50.ENTER_ORDER_SIZE:
            return _enter(engine, account, message, octets)
    elif kind == ouch50.REPLACE_ORDER_TYPE:
        if octets >= ouch50.REPLACE_ORDER_SIZE:
            return _replace(engine, account, message, octets)
    elif kind == ouch50.CANCEL_ORDER_TYPE:
        if _tail_fits(engine, message, octets, ouch50.CANCEL_ORDER_SIZE_MIN):
            return _cancel(engine, account, message, octets)
    elif kind == ouch50.MODIFY_ORDER_TYPE:
        if _tail_fits(engine, message, octets, ouch50.MODIFY_ORDER_SIZE_MIN):
            return _modify(engine, account, message, octets)
    elif kind == ouch50.MASS_CANCEL_TYPE:
        if octets >= ouch50.MASS_CANCEL_SIZE:
            return _mass_cancel(engine, account, message, octets)
    elif kind == ouch50.ACCOUNT_QUERY_TYPE:
        if _tail_fits(engine, message, octets, ouch50.ACCOUNT_QUERY_SIZE_MIN):
            answers.next_number(engine, account)
            return DONE
    elif ((kind == ouch50.DISABLE_ORDER_ENTRY_TYPE or kind == ouch50.ENABLE_ORDER_ENTRY_TYPE)
          and _tail_fits(engine, message, octets, ouch50.DISABLE_ORDER_ENTRY_SIZE - 2)):
        return _switch(engine, account, message, octets,
                       1 if kind == ouch50.DISABLE_ORDER_ENTRY_TYPE else 0)
    return MALFORMED
