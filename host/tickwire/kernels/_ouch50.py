"""OUCH 5.0: decoders and encoders. Generated from tickwire.spec by `make spec`.

``decode_<name>(address, row)`` reads the fixed part at ``address`` and writes every field to the
record at ``row``, whose dtype is ``tickwire.spec.render.dtype``; where the tail is optional it
takes the octets that are there as well. ``encode_<name>(address, ...)`` takes the fields in table
order: integers, text of up to 8 octets as its big-endian integer, longer text as the address of
its octets, an open end as address and octets. A length field is counted, not given.
"""

from .jit import kernel
from .memory import (
    copy,
    load8,
    load64,
    load_be16,
    load_be32,
    load_be64,
    store8,
    store16,
    store32,
    store64,
    store_be16,
    store_be32,
    store_be64,
)

ENTER_ORDER_TYPE = 79
ENTER_ORDER_SIZE = 47
REPLACE_ORDER_TYPE = 85
REPLACE_ORDER_SIZE = 40
CANCEL_ORDER_TYPE = 88
CANCEL_ORDER_SIZE = 11
CANCEL_ORDER_SIZE_MIN = 9
MODIFY_ORDER_TYPE = 77
MODIFY_ORDER_SIZE = 12
MODIFY_ORDER_SIZE_MIN = 10
MASS_CANCEL_TYPE = 67
MASS_CANCEL_SIZE = 19
DISABLE_ORDER_ENTRY_TYPE = 68
DISABLE_ORDER_ENTRY_SIZE = 11
ENABLE_ORDER_ENTRY_TYPE = 69
ENABLE_ORDER_ENTRY_SIZE = 11
ACCOUNT_QUERY_TYPE = 81
ACCOUNT_QUERY_SIZE = 3
ACCOUNT_QUERY_SIZE_MIN = 1
SYSTEM_EVENT_TYPE = 83
SYSTEM_EVENT_SIZE = 10
ORDER_ACCEPTED_TYPE = 65
ORDER_ACCEPTED_SIZE = 64
ORDER_REPLACED_TYPE = 85
ORDER_REPLACED_SIZE = 68
ORDER_CANCELED_TYPE = 67
ORDER_CANCELED_SIZE = 20
ORDER_CANCELED_SIZE_MIN = 18
AIQ_CANCELED_TYPE = 68
AIQ_CANCELED_SIZE = 34
AIQ_CANCELED_SIZE_MIN = 32
ORDER_EXECUTED_TYPE = 69
ORDER_EXECUTED_SIZE = 36
BROKEN_TRADE_TYPE = 66
BROKEN_TRADE_SIZE = 38
BROKEN_TRADE_SIZE_MIN = 36
REJECTED_TYPE = 74
REJECTED_SIZE = 31
REJECTED_SIZE_MIN = 29
CANCEL_PENDING_TYPE = 80
CANCEL_PENDING_SIZE = 15
CANCEL_PENDING_SIZE_MIN = 13
CANCEL_REJECT_TYPE = 73
CANCEL_REJECT_SIZE = 15
CANCEL_REJECT_SIZE_MIN = 13
ORDER_PRIORITY_UPDATE_TYPE = 84
ORDER_PRIORITY_UPDATE_SIZE = 32
ORDER_PRIORITY_UPDATE_SIZE_MIN = 30
ORDER_MODIFIED_TYPE = 77
ORDER_MODIFIED_SIZE = 20
ORDER_MODIFIED_SIZE_MIN = 18
ORDER_RESTATED_TYPE = 82
ORDER_RESTATED_SIZE = 16
MASS_CANCEL_RESPONSE_TYPE = 88
MASS_CANCEL_RESPONSE_SIZE = 27
DISABLE_ORDER_ENTRY_RESPONSE_TYPE = 71
DISABLE_ORDER_ENTRY_RESPONSE_SIZE = 19
ENABLE_ORDER_ENTRY_RESPONSE_TYPE = 75
ENABLE_ORDER_ENTRY_RESPONSE_SIZE = 19
ACCOUNT_QUERY_RESPONSE_TYPE = 81
ACCOUNT_QUERY_RESPONSE_SIZE = 15
ACCOUNT_QUERY_RESPONSE_SIZE_MIN = 13
TRADE_CORRECTION_TYPE = 70
TRADE_CORRECTION_SIZE = 49


@kernel(inline=True)
def decode_enter_order(address, row):
    """Enter Order: 47 octets at ``address`` to the record at ``row``."""
    store32(row, load_be32(address + 1))
    store8(row + 4, load8(address + 5))
    store32(row + 8, load_be32(address + 6))
    store64(row + 16, load_be64(address + 10))
    store64(row + 24, load_be64(address + 18))
    store8(row + 32, load8(address + 26))
    store8(row + 33, load8(address + 27))
    store8(row + 34, load8(address + 28))
    store8(row + 35, load8(address + 29))
    store8(row + 36, load8(address + 30))
    store64(row + 37, load64(address + 31))
    store64(row + 43, load64(address + 37))
    store16(row + 52, load_be16(address + 45))


@kernel(inline=True)
def encode_enter_order(address, user_ref_num, side, quantity, symbol, price, time_in_force,
                       display, capacity, iso_eligible, cross_type, cl_ord_id, appendage,
                       appendage_octets):
    """Write Enter Order to ``address``; return its octets."""
    store8(address, 79)
    store_be32(address + 1, user_ref_num)
    store8(address + 5, side)
    store_be32(address + 6, quantity)
    store_be64(address + 10, symbol)
    store_be64(address + 18, price)
    store8(address + 26, time_in_force)
    store8(address + 27, display)
    store8(address + 28, capacity)
    store8(address + 29, iso_eligible)
    store8(address + 30, cross_type)
    store64(address + 31, load64(cl_ord_id))
    store64(address + 37, load64(cl_ord_id + 6))
    store_be16(address + 45, appendage_octets)
    copy(address + 47, appendage, appendage_octets)
    return 47 + appendage_octets


@kernel(inline=True)
def decode_replace_order(address, row):
    """Replace Order: 40 octets at ``address`` to the record at ``row``."""
    store32(row, load_be32(address + 1))
    store32(row + 4, load_be32(address + 5))
    store32(row + 8, load_be32(address + 9))
    store64(row + 16, load_be64(address + 13))
    store8(row + 24, load8(address + 21))
    store8(row + 25, load8(address + 22))
    store8(row + 26, load8(address + 23))
    store64(row + 27, load64(address + 24))
    store64(row + 33, load64(address + 30))
    store16(row + 42, load_be16(address + 38))


@kernel(inline=True)
def encode_replace_order(address, orig_user_ref_num, user_ref_num, quantity, price, time_in_force,
                         display, iso_eligible, cl_ord_id, appendage, appendage_octets):
    """Write Replace Order to ``address``; return its octets."""
    store8(address, 85)
    store_be32(address + 1, orig_user_ref_num)
    store_be32(address + 5, user_ref_num)
    store_be32(address + 9, quantity)
    store_be64(address + 13, price)
    store8(address + 21, time_in_force)
    store8(address + 22, display)
    store8(address + 23, iso_eligible)
    store64(address + 24, load64(cl_ord_id))
    store64(address + 30, load64(cl_ord_id + 6))
    store_be16(address + 38, appendage_octets)
    copy(address + 40, appendage, appendage_octets)
    return 40 + appendage_octets


@kernel(inline=True)
def decode_cancel_order(address, octets, row):
    """Cancel Order: 11 octets at ``address`` to the record at ``row``."""
    store32(row, load_be32(address + 1))
    store32(row + 4, load_be32(address + 5))
    store16(row + 8, load_be16(address + 9) if octets >= 11 else 0)


@kernel(inline=True)
def encode_cancel_order(address, user_ref_num, quantity, appendage, appendage_octets):
    """Write Cancel Order to ``address``; return its octets."""
    store8(address, 88)
    store_be32(address + 1, user_ref_num)
    store_be32(address + 5, quantity)
    if appendage_octets == 0:
        return 9
    store_be16(address + 9, appendage_octets)
    copy(address + 11, appendage, appendage_octets)
    return 11 + appendage_octets


@kernel(inline=True)
def decode_modify_order(address, octets, row):
    """Modify Order: 12 octets at ``address`` to the record at ``row``."""
    store32(row, load_be32(address + 1))
    store8(row + 4, load8(address + 5))
    store32(row + 8, load_be32(address + 6))
    store16(row + 12, load_be16(address + 10) if octets >= 12 else 0)


@kernel(inline=True)
def encode_modify_order(address, user_ref_num, side, quantity, appendage, appendage_octets):
    """Write Modify Order to ``address``; return its octets."""
    store8(address, 77)
    store_be32(address + 1, user_ref_num)
    store8(address + 5, side)
    store_be32(address + 6, quantity)
    if appendage_octets == 0:
        return 10
    store_be16(address + 10, appendage_octets)
    copy(address + 12, appendage, appendage_octets)
    return 12 + appendage_octets


@kernel(inline=True)
def decode_mass_cancel(address, row):
    """Mass Cancel: 19 octets at ``address`` to the record at ``row``."""
    store32(row, load_be32(address + 1))
    store32(row + 4, load_be32(address + 5))
    store64(row + 8, load_be64(address + 9))
    store16(row + 16, load_be16(address + 17))


@kernel(inline=True)
def encode_mass_cancel(address, user_ref_num, firm, symbol, appendage, appendage_octets):
    """Write Mass Cancel to ``address``; return its octets."""
    store8(address, 67)
    store_be32(address + 1, user_ref_num)
    store_be32(address + 5, firm)
    store_be64(address + 9, symbol)
    store_be16(address + 17, appendage_octets)
    copy(address + 19, appendage, appendage_octets)
    return 19 + appendage_octets


@kernel(inline=True)
def decode_disable_order_entry(address, row):
    """Disable Order Entry: 11 octets at ``address`` to the record at ``row``."""
    store32(row, load_be32(address + 1))
    store32(row + 4, load_be32(address + 5))
    store16(row + 8, load_be16(address + 9))


@kernel(inline=True)
def encode_disable_order_entry(address, user_ref_num, firm, appendage, appendage_octets):
    """Write Disable Order Entry to ``address``; return its octets."""
    store8(address, 68)
    store_be32(address + 1, user_ref_num)
    store_be32(address + 5, firm)
    store_be16(address + 9, appendage_octets)
    copy(address + 11, appendage, appendage_octets)
    return 11 + appendage_octets


@kernel(inline=True)
def decode_enable_order_entry(address, row):
    """Enable Order Entry: 11 octets at ``address`` to the record at ``row``."""
    store32(row, load_be32(address + 1))
    store32(row + 4, load_be32(address + 5))
    store16(row + 8, load_be16(address + 9))


@kernel(inline=True)
def encode_enable_order_entry(address, user_ref_num, firm, appendage, appendage_octets):
    """Write Enable Order Entry to ``address``; return its octets."""
    store8(address, 69)
    store_be32(address + 1, user_ref_num)
    store_be32(address + 5, firm)
    store_be16(address + 9, appendage_octets)
    copy(address + 11, appendage, appendage_octets)
    return 11 + appendage_octets


@kernel(inline=True)
def decode_account_query(address, octets, row):
    """Account Query: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1) if octets >= 3 else 0)


@kernel(inline=True)
def encode_account_query(address, appendage, appendage_octets):
    """Write Account Query to ``address``; return its octets."""
    store8(address, 81)
    if appendage_octets == 0:
        return 1
    store_be16(address + 1, appendage_octets)
    copy(address + 3, appendage, appendage_octets)
    return 3 + appendage_octets


@kernel(inline=True)
def decode_system_event(address, row):
    """System Event: 10 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store8(row + 8, load8(address + 9))


@kernel(inline=True)
def encode_system_event(address, timestamp, event_code):
    """Write System Event to ``address``; return its octets."""
    store8(address, 83)
    store_be64(address + 1, timestamp)
    store8(address + 9, event_code)
    return 10


@kernel(inline=True)
def decode_order_accepted(address, row):
    """Order Accepted: 64 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store8(row + 12, load8(address + 13))
    store32(row + 16, load_be32(address + 14))
    store64(row + 24, load_be64(address + 18))
    store64(row + 32, load_be64(address + 26))
    store8(row + 40, load8(address + 34))
    store8(row + 41, load8(address + 35))
    store64(row + 48, load_be64(address + 36))
    store8(row + 56, load8(address + 44))
    store8(row + 57, load8(address + 45))
    store8(row + 58, load8(address + 46))
    store8(row + 59, load8(address + 47))
    store64(row + 60, load64(address + 48))
    store64(row + 66, load64(address + 54))
    store16(row + 74, load_be16(address + 62))


@kernel(inline=True)
def encode_order_accepted(address, timestamp, user_ref_num, side, quantity, symbol, price,
                          time_in_force, display, order_reference, capacity, iso_eligible,
                          cross_type, order_state, cl_ord_id, appendage, appendage_octets):
    """Write Order Accepted to ``address``; return its octets."""
    store8(address, 65)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store8(address + 13, side)
    store_be32(address + 14, quantity)
    store_be64(address + 18, symbol)
    store_be64(address + 26, price)
    store8(address + 34, time_in_force)
    store8(address + 35, display)
    store_be64(address + 36, order_reference)
    store8(address + 44, capacity)
    store8(address + 45, iso_eligible)
    store8(address + 46, cross_type)
    store8(address + 47, order_state)
    store64(address + 48, load64(cl_ord_id))
    store64(address + 54, load64(cl_ord_id + 6))
    store_be16(address + 62, appendage_octets)
    copy(address + 64, appendage, appendage_octets)
    return 64 + appendage_octets


@kernel(inline=True)
def decode_order_replaced(address, row):
    """Order Replaced: 68 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store8(row + 16, load8(address + 17))
    store32(row + 20, load_be32(address + 18))
    store64(row + 24, load_be64(address + 22))
    store64(row + 32, load_be64(address + 30))
    store8(row + 40, load8(address + 38))
    store8(row + 41, load8(address + 39))
    store64(row + 48, load_be64(address + 40))
    store8(row + 56, load8(address + 48))
    store8(row + 57, load8(address + 49))
    store8(row + 58, load8(address + 50))
    store8(row + 59, load8(address + 51))
    store64(row + 60, load64(address + 52))
    store64(row + 66, load64(address + 58))
    store16(row + 74, load_be16(address + 66))


@kernel(inline=True)
def encode_order_replaced(address, timestamp, orig_user_ref_num, user_ref_num, side, quantity,
                          symbol, price, time_in_force, display, order_reference, capacity,
                          iso_eligible, cross_type, order_state, cl_ord_id, appendage,
                          appendage_octets):
    """Write Order Replaced to ``address``; return its octets."""
    store8(address, 85)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, orig_user_ref_num)
    store_be32(address + 13, user_ref_num)
    store8(address + 17, side)
    store_be32(address + 18, quantity)
    store_be64(address + 22, symbol)
    store_be64(address + 30, price)
    store8(address + 38, time_in_force)
    store8(address + 39, display)
    store_be64(address + 40, order_reference)
    store8(address + 48, capacity)
    store8(address + 49, iso_eligible)
    store8(address + 50, cross_type)
    store8(address + 51, order_state)
    store64(address + 52, load64(cl_ord_id))
    store64(address + 58, load64(cl_ord_id + 6))
    store_be16(address + 66, appendage_octets)
    copy(address + 68, appendage, appendage_octets)
    return 68 + appendage_octets


@kernel(inline=True)
def decode_order_canceled(address, octets, row):
    """Order Canceled: 20 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store8(row + 16, load8(address + 17))
    store16(row + 18, load_be16(address + 18) if octets >= 20 else 0)


@kernel(inline=True)
def encode_order_canceled(address, timestamp, user_ref_num, quantity, reason, appendage,
                          appendage_octets):
    """Write Order Canceled to ``address``; return its octets."""
    store8(address, 67)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be32(address + 13, quantity)
    store8(address + 17, reason)
    if appendage_octets == 0:
        return 18
    store_be16(address + 18, appendage_octets)
    copy(address + 20, appendage, appendage_octets)
    return 20 + appendage_octets


@kernel(inline=True)
def decode_aiq_canceled(address, octets, row):
    """AIQ Canceled: 34 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store8(row + 16, load8(address + 17))
    store32(row + 20, load_be32(address + 18))
    store64(row + 24, load_be64(address + 22))
    store8(row + 32, load8(address + 30))
    store8(row + 33, load8(address + 31))
    store16(row + 34, load_be16(address + 32) if octets >= 34 else 0)


@kernel(inline=True)
def encode_aiq_canceled(address, timestamp, user_ref_num, decrement_shares, reason,
                        prevented_quantity, execution_price, liquidity_flag, aiq_strategy,
                        appendage, appendage_octets):
    """Write AIQ Canceled to ``address``; return its octets."""
    store8(address, 68)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be32(address + 13, decrement_shares)
    store8(address + 17, reason)
    store_be32(address + 18, prevented_quantity)
    store_be64(address + 22, execution_price)
    store8(address + 30, liquidity_flag)
    store8(address + 31, aiq_strategy)
    if appendage_octets == 0:
        return 32
    store_be16(address + 32, appendage_octets)
    copy(address + 34, appendage, appendage_octets)
    return 34 + appendage_octets


@kernel(inline=True)
def decode_order_executed(address, row):
    """Order Executed: 36 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store64(row + 16, load_be64(address + 17))
    store8(row + 24, load8(address + 25))
    store64(row + 32, load_be64(address + 26))
    store16(row + 40, load_be16(address + 34))


@kernel(inline=True)
def encode_order_executed(address, timestamp, user_ref_num, quantity, price, liquidity_flag,
                          match_number, appendage, appendage_octets):
    """Write Order Executed to ``address``; return its octets."""
    store8(address, 69)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be32(address + 13, quantity)
    store_be64(address + 17, price)
    store8(address + 25, liquidity_flag)
    store_be64(address + 26, match_number)
    store_be16(address + 34, appendage_octets)
    copy(address + 36, appendage, appendage_octets)
    return 36 + appendage_octets


@kernel(inline=True)
def decode_broken_trade(address, octets, row):
    """Broken Trade: 38 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store64(row + 16, load_be64(address + 13))
    store8(row + 24, load8(address + 21))
    store64(row + 25, load64(address + 22))
    store64(row + 31, load64(address + 28))
    store16(row + 40, load_be16(address + 36) if octets >= 38 else 0)


@kernel(inline=True)
def encode_broken_trade(address, timestamp, user_ref_num, match_number, reason, cl_ord_id,
                        appendage, appendage_octets):
    """Write Broken Trade to ``address``; return its octets."""
    store8(address, 66)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be64(address + 13, match_number)
    store8(address + 21, reason)
    store64(address + 22, load64(cl_ord_id))
    store64(address + 28, load64(cl_ord_id + 6))
    if appendage_octets == 0:
        return 36
    store_be16(address + 36, appendage_octets)
    copy(address + 38, appendage, appendage_octets)
    return 38 + appendage_octets


@kernel(inline=True)
def decode_rejected(address, octets, row):
    """Rejected: 31 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store16(row + 12, load_be16(address + 13))
    store64(row + 14, load64(address + 15))
    store64(row + 20, load64(address + 21))
    store16(row + 28, load_be16(address + 29) if octets >= 31 else 0)


@kernel(inline=True)
def encode_rejected(address, timestamp, user_ref_num, reason, cl_ord_id, appendage,
                    appendage_octets):
    """Write Rejected to ``address``; return its octets."""
    store8(address, 74)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be16(address + 13, reason)
    store64(address + 15, load64(cl_ord_id))
    store64(address + 21, load64(cl_ord_id + 6))
    if appendage_octets == 0:
        return 29
    store_be16(address + 29, appendage_octets)
    copy(address + 31, appendage, appendage_octets)
    return 31 + appendage_octets


@kernel(inline=True)
def decode_cancel_pending(address, octets, row):
    """Cancel Pending: 15 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store16(row + 12, load_be16(address + 13) if octets >= 15 else 0)


@kernel(inline=True)
def encode_cancel_pending(address, timestamp, user_ref_num, appendage, appendage_octets):
    """Write Cancel Pending to ``address``; return its octets."""
    store8(address, 80)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    if appendage_octets == 0:
        return 13
    store_be16(address + 13, appendage_octets)
    copy(address + 15, appendage, appendage_octets)
    return 15 + appendage_octets


@kernel(inline=True)
def decode_cancel_reject(address, octets, row):
    """Cancel Reject: 15 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store16(row + 12, load_be16(address + 13) if octets >= 15 else 0)


@kernel(inline=True)
def encode_cancel_reject(address, timestamp, user_ref_num, appendage, appendage_octets):
    """Write Cancel Reject to ``address``; return its octets."""
    store8(address, 73)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    if appendage_octets == 0:
        return 13
    store_be16(address + 13, appendage_octets)
    copy(address + 15, appendage, appendage_octets)
    return 15 + appendage_octets


@kernel(inline=True)
def decode_order_priority_update(address, octets, row):
    """Order Priority Update: 32 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store64(row + 16, load_be64(address + 13))
    store8(row + 24, load8(address + 21))
    store64(row + 32, load_be64(address + 22))
    store16(row + 40, load_be16(address + 30) if octets >= 32 else 0)


@kernel(inline=True)
def encode_order_priority_update(address, timestamp, user_ref_num, price, display, order_reference,
                                 appendage, appendage_octets):
    """Write Order Priority Update to ``address``; return its octets."""
    store8(address, 84)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be64(address + 13, price)
    store8(address + 21, display)
    store_be64(address + 22, order_reference)
    if appendage_octets == 0:
        return 30
    store_be16(address + 30, appendage_octets)
    copy(address + 32, appendage, appendage_octets)
    return 32 + appendage_octets


@kernel(inline=True)
def decode_order_modified(address, octets, row):
    """Order Modified: 20 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store8(row + 12, load8(address + 13))
    store32(row + 16, load_be32(address + 14))
    store16(row + 20, load_be16(address + 18) if octets >= 20 else 0)


@kernel(inline=True)
def encode_order_modified(address, timestamp, user_ref_num, side, quantity, appendage,
                          appendage_octets):
    """Write Order Modified to ``address``; return its octets."""
    store8(address, 77)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store8(address + 13, side)
    store_be32(address + 14, quantity)
    if appendage_octets == 0:
        return 18
    store_be16(address + 18, appendage_octets)
    copy(address + 20, appendage, appendage_octets)
    return 20 + appendage_octets


@kernel(inline=True)
def decode_order_restated(address, row):
    """Order Restated: 16 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store8(row + 12, load8(address + 13))
    store16(row + 14, load_be16(address + 14))


@kernel(inline=True)
def encode_order_restated(address, timestamp, user_ref_num, reason, appendage, appendage_octets):
    """Write Order Restated to ``address``; return its octets."""
    store8(address, 82)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store8(address + 13, reason)
    store_be16(address + 14, appendage_octets)
    copy(address + 16, appendage, appendage_octets)
    return 16 + appendage_octets


@kernel(inline=True)
def decode_mass_cancel_response(address, row):
    """Mass Cancel Response: 27 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store64(row + 16, load_be64(address + 17))
    store16(row + 24, load_be16(address + 25))


@kernel(inline=True)
def encode_mass_cancel_response(address, timestamp, user_ref_num, firm, symbol, appendage,
                                appendage_octets):
    """Write Mass Cancel Response to ``address``; return its octets."""
    store8(address, 88)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be32(address + 13, firm)
    store_be64(address + 17, symbol)
    store_be16(address + 25, appendage_octets)
    copy(address + 27, appendage, appendage_octets)
    return 27 + appendage_octets


@kernel(inline=True)
def decode_disable_order_entry_response(address, row):
    """Disable Order Entry Response: 19 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store16(row + 16, load_be16(address + 17))


@kernel(inline=True)
def encode_disable_order_entry_response(address, timestamp, user_ref_num, firm, appendage,
                                        appendage_octets):
    """Write Disable Order Entry Response to ``address``; return its octets."""
    store8(address, 71)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be32(address + 13, firm)
    store_be16(address + 17, appendage_octets)
    copy(address + 19, appendage, appendage_octets)
    return 19 + appendage_octets


@kernel(inline=True)
def decode_enable_order_entry_response(address, row):
    """Enable Order Entry Response: 19 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store16(row + 16, load_be16(address + 17))


@kernel(inline=True)
def encode_enable_order_entry_response(address, timestamp, user_ref_num, firm, appendage,
                                       appendage_octets):
    """Write Enable Order Entry Response to ``address``; return its octets."""
    store8(address, 75)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be32(address + 13, firm)
    store_be16(address + 17, appendage_octets)
    copy(address + 19, appendage, appendage_octets)
    return 19 + appendage_octets


@kernel(inline=True)
def decode_account_query_response(address, octets, row):
    """Account Query Response: 15 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store16(row + 12, load_be16(address + 13) if octets >= 15 else 0)


@kernel(inline=True)
def encode_account_query_response(address, timestamp, next_user_ref_num, appendage,
                                  appendage_octets):
    """Write Account Query Response to ``address``; return its octets."""
    store8(address, 81)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, next_user_ref_num)
    if appendage_octets == 0:
        return 13
    store_be16(address + 13, appendage_octets)
    copy(address + 15, appendage, appendage_octets)
    return 15 + appendage_octets


@kernel(inline=True)
def decode_trade_correction(address, row):
    """Trade Correction: 49 octets at ``address`` to the record at ``row``."""
    store64(row, load_be64(address + 1))
    store32(row + 8, load_be32(address + 9))
    store32(row + 12, load_be32(address + 13))
    store64(row + 16, load_be64(address + 17))
    store8(row + 24, load8(address + 25))
    store64(row + 32, load_be64(address + 26))
    store8(row + 40, load8(address + 34))
    store64(row + 41, load64(address + 35))
    store64(row + 47, load64(address + 41))


@kernel(inline=True)
def encode_trade_correction(address, timestamp, user_ref_num, quantity, price, liquidity_flag,
                            match_number, reason, cl_ord_id):
    """Write Trade Correction to ``address``; return its octets."""
    store8(address, 70)
    store_be64(address + 1, timestamp)
    store_be32(address + 9, user_ref_num)
    store_be32(address + 13, quantity)
    store_be64(address + 17, price)
    store8(address + 25, liquidity_flag)
    store_be64(address + 26, match_number)
    store8(address + 34, reason)
    store64(address + 35, load64(cl_ord_id))
    store64(address + 41, load64(cl_ord_id + 6))
    return 49
