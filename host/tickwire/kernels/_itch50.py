"""TotalView-ITCH 5.0: decoders and encoders. Generated from tickwire.spec by `make spec`.

``decode_<name>(address, row)`` reads the fixed part at ``address`` and writes every field to the
record at ``row``, whose dtype is ``tickwire.spec.render.dtype``; where the tail is optional it
takes the octets that are there as well. ``encode_<name>(address, ...)`` takes the fields in table
order: integers, text of up to 8 octets as its big-endian integer, longer text as the address of
its octets, an open end as address and octets. A length field is counted, not given.
"""

from .jit import kernel
from .memory import (
    load8,
    load_be16,
    load_be32,
    load_be64,
    store8,
    store16,
    store32,
    store64,
    store_be16,
    store_be32,
    store_be48,
    store_be64,
)

SYSTEM_EVENT_TYPE = 83
SYSTEM_EVENT_SIZE = 12
STOCK_DIRECTORY_TYPE = 82
STOCK_DIRECTORY_SIZE = 39
STOCK_TRADING_ACTION_TYPE = 72
STOCK_TRADING_ACTION_SIZE = 25
REG_SHO_RESTRICTION_TYPE = 89
REG_SHO_RESTRICTION_SIZE = 20
MARKET_PARTICIPANT_POSITION_TYPE = 76
MARKET_PARTICIPANT_POSITION_SIZE = 26
MWCB_DECLINE_LEVEL_TYPE = 86
MWCB_DECLINE_LEVEL_SIZE = 35
MWCB_STATUS_TYPE = 87
MWCB_STATUS_SIZE = 12
IPO_QUOTING_PERIOD_UPDATE_TYPE = 75
IPO_QUOTING_PERIOD_UPDATE_SIZE = 28
LULD_AUCTION_COLLAR_TYPE = 74
LULD_AUCTION_COLLAR_SIZE = 35
OPERATIONAL_HALT_TYPE = 104
OPERATIONAL_HALT_SIZE = 21
ADD_ORDER_TYPE = 65
ADD_ORDER_SIZE = 36
ADD_ORDER_WITH_MPID_TYPE = 70
ADD_ORDER_WITH_MPID_SIZE = 40
ORDER_EXECUTED_TYPE = 69
ORDER_EXECUTED_SIZE = 31
ORDER_EXECUTED_WITH_PRICE_TYPE = 67
ORDER_EXECUTED_WITH_PRICE_SIZE = 36
ORDER_CANCEL_TYPE = 88
ORDER_CANCEL_SIZE = 23
ORDER_DELETE_TYPE = 68
ORDER_DELETE_SIZE = 19
ORDER_REPLACE_TYPE = 85
ORDER_REPLACE_SIZE = 35
TRADE_TYPE = 80
TRADE_SIZE = 44
CROSS_TRADE_TYPE = 81
CROSS_TRADE_SIZE = 40
BROKEN_TRADE_TYPE = 66
BROKEN_TRADE_SIZE = 19
NET_ORDER_IMBALANCE_TYPE = 73
NET_ORDER_IMBALANCE_SIZE = 50
RETAIL_PRICE_IMPROVEMENT_TYPE = 78
RETAIL_PRICE_IMPROVEMENT_SIZE = 20
DIRECT_LISTING_TYPE = 79
DIRECT_LISTING_SIZE = 48
ROW_SIZE = 64


@kernel(inline=True)
def decode_system_event(address, row):
    """System Event: 12 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store8(row + 16, load8(address + 11))


@kernel(inline=True)
def encode_system_event(address, stock_locate, tracking_number, timestamp, event_code):
    """Write System Event to ``address``; return its octets."""
    store8(address, 83)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store8(address + 11, event_code)
    return 12


@kernel(inline=True)
def decode_stock_directory(address, row):
    """Stock Directory: 39 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))
    store8(row + 25, load8(address + 20))
    store32(row + 28, load_be32(address + 21))
    store8(row + 32, load8(address + 25))
    store8(row + 33, load8(address + 26))
    store16(row + 34, load_be16(address + 27))
    store8(row + 36, load8(address + 29))
    store8(row + 37, load8(address + 30))
    store8(row + 38, load8(address + 31))
    store8(row + 39, load8(address + 32))
    store8(row + 40, load8(address + 33))
    store32(row + 44, load_be32(address + 34))
    store8(row + 48, load8(address + 38))


@kernel(inline=True)
def encode_stock_directory(address, stock_locate, tracking_number, timestamp, stock,
                           market_category, financial_status, round_lot_size, round_lots_only,
                           issue_classification, issue_sub_type, authenticity,
                           short_sale_threshold, ipo_flag, luld_tier, etp_flag, etp_leverage,
                           inverse):
    """Write Stock Directory to ``address``; return its octets."""
    store8(address, 82)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store8(address + 19, market_category)
    store8(address + 20, financial_status)
    store_be32(address + 21, round_lot_size)
    store8(address + 25, round_lots_only)
    store8(address + 26, issue_classification)
    store_be16(address + 27, issue_sub_type)
    store8(address + 29, authenticity)
    store8(address + 30, short_sale_threshold)
    store8(address + 31, ipo_flag)
    store8(address + 32, luld_tier)
    store8(address + 33, etp_flag)
    store_be32(address + 34, etp_leverage)
    store8(address + 38, inverse)
    return 39


@kernel(inline=True)
def decode_stock_trading_action(address, row):
    """Stock Trading Action: 25 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))
    store8(row + 25, load8(address + 20))
    store32(row + 28, load_be32(address + 21))


@kernel(inline=True)
def encode_stock_trading_action(address, stock_locate, tracking_number, timestamp, stock,
                                trading_state, reserved, reason):
    """Write Stock Trading Action to ``address``; return its octets."""
    store8(address, 72)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store8(address + 19, trading_state)
    store8(address + 20, reserved)
    store_be32(address + 21, reason)
    return 25


@kernel(inline=True)
def decode_reg_sho_restriction(address, row):
    """Reg SHO Restriction: 20 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))


@kernel(inline=True)
def encode_reg_sho_restriction(address, stock_locate, tracking_number, timestamp, stock,
                               reg_sho_action):
    """Write Reg SHO Restriction to ``address``; return its octets."""
    store8(address, 89)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store8(address + 19, reg_sho_action)
    return 20


@kernel(inline=True)
def decode_market_participant_position(address, row):
    """Market Participant Position: 26 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store32(row + 16, load_be32(address + 11))
    store64(row + 24, load_be64(address + 15))
    store8(row + 32, load8(address + 23))
    store8(row + 33, load8(address + 24))
    store8(row + 34, load8(address + 25))


@kernel(inline=True)
def encode_market_participant_position(address, stock_locate, tracking_number, timestamp, mpid,
                                       stock, primary_market_maker, market_maker_mode,
                                       participant_state):
    """Write Market Participant Position to ``address``; return its octets."""
    store8(address, 76)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be32(address + 11, mpid)
    store_be64(address + 15, stock)
    store8(address + 23, primary_market_maker)
    store8(address + 24, market_maker_mode)
    store8(address + 25, participant_state)
    return 26


@kernel(inline=True)
def decode_mwcb_decline_level(address, row):
    """MWCB Decline Level: 35 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store64(row + 24, load_be64(address + 19))
    store64(row + 32, load_be64(address + 27))


@kernel(inline=True)
def encode_mwcb_decline_level(address, stock_locate, tracking_number, timestamp, level_1, level_2,
                              level_3):
    """Write MWCB Decline Level to ``address``; return its octets."""
    store8(address, 86)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, level_1)
    store_be64(address + 19, level_2)
    store_be64(address + 27, level_3)
    return 35


@kernel(inline=True)
def decode_mwcb_status(address, row):
    """MWCB Status: 12 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store8(row + 16, load8(address + 11))


@kernel(inline=True)
def encode_mwcb_status(address, stock_locate, tracking_number, timestamp, breached_level):
    """Write MWCB Status to ``address``; return its octets."""
    store8(address, 87)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store8(address + 11, breached_level)
    return 12


@kernel(inline=True)
def decode_ipo_quoting_period_update(address, row):
    """IPO Quoting Period Update: 28 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store32(row + 24, load_be32(address + 19))
    store8(row + 28, load8(address + 23))
    store32(row + 32, load_be32(address + 24))


@kernel(inline=True)
def encode_ipo_quoting_period_update(address, stock_locate, tracking_number, timestamp, stock,
                                     release_time, release_qualifier, ipo_price):
    """Write IPO Quoting Period Update to ``address``; return its octets."""
    store8(address, 75)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store_be32(address + 19, release_time)
    store8(address + 23, release_qualifier)
    store_be32(address + 24, ipo_price)
    return 28


@kernel(inline=True)
def decode_luld_auction_collar(address, row):
    """LULD Auction Collar: 35 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store32(row + 24, load_be32(address + 19))
    store32(row + 28, load_be32(address + 23))
    store32(row + 32, load_be32(address + 27))
    store32(row + 36, load_be32(address + 31))


@kernel(inline=True)
def encode_luld_auction_collar(address, stock_locate, tracking_number, timestamp, stock,
                               reference_price, upper_price, lower_price, extension):
    """Write LULD Auction Collar to ``address``; return its octets."""
    store8(address, 74)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store_be32(address + 19, reference_price)
    store_be32(address + 23, upper_price)
    store_be32(address + 27, lower_price)
    store_be32(address + 31, extension)
    return 35


@kernel(inline=True)
def decode_operational_halt(address, row):
    """Operational Halt: 21 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))
    store8(row + 25, load8(address + 20))


@kernel(inline=True)
def encode_operational_halt(address, stock_locate, tracking_number, timestamp, stock, market_code,
                            action):
    """Write Operational Halt to ``address``; return its octets."""
    store8(address, 104)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store8(address + 19, market_code)
    store8(address + 20, action)
    return 21


@kernel(inline=True)
def decode_add_order(address, row):
    """Add Order: 36 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))
    store32(row + 28, load_be32(address + 20))
    store64(row + 32, load_be64(address + 24))
    store32(row + 40, load_be32(address + 32))


@kernel(inline=True)
def encode_add_order(address, stock_locate, tracking_number, timestamp, order_reference, side,
                     shares, stock, price):
    """Write Add Order to ``address``; return its octets."""
    store8(address, 65)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, order_reference)
    store8(address + 19, side)
    store_be32(address + 20, shares)
    store_be64(address + 24, stock)
    store_be32(address + 32, price)
    return 36


@kernel(inline=True)
def decode_add_order_with_mpid(address, row):
    """Add Order with MPID: 40 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))
    store32(row + 28, load_be32(address + 20))
    store64(row + 32, load_be64(address + 24))
    store32(row + 40, load_be32(address + 32))
    store32(row + 44, load_be32(address + 36))


@kernel(inline=True)
def encode_add_order_with_mpid(address, stock_locate, tracking_number, timestamp, order_reference,
                               side, shares, stock, price, attribution):
    """Write Add Order with MPID to ``address``; return its octets."""
    store8(address, 70)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, order_reference)
    store8(address + 19, side)
    store_be32(address + 20, shares)
    store_be64(address + 24, stock)
    store_be32(address + 32, price)
    store_be32(address + 36, attribution)
    return 40


@kernel(inline=True)
def decode_order_executed(address, row):
    """Order Executed: 31 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store32(row + 24, load_be32(address + 19))
    store64(row + 32, load_be64(address + 23))


@kernel(inline=True)
def encode_order_executed(address, stock_locate, tracking_number, timestamp, order_reference,
                          executed_shares, match_number):
    """Write Order Executed to ``address``; return its octets."""
    store8(address, 69)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, order_reference)
    store_be32(address + 19, executed_shares)
    store_be64(address + 23, match_number)
    return 31


@kernel(inline=True)
def decode_order_executed_with_price(address, row):
    """Order Executed with Price: 36 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store32(row + 24, load_be32(address + 19))
    store64(row + 32, load_be64(address + 23))
    store8(row + 40, load8(address + 31))
    store32(row + 44, load_be32(address + 32))


@kernel(inline=True)
def encode_order_executed_with_price(address, stock_locate, tracking_number, timestamp,
                                     order_reference, executed_shares, match_number, printable,
                                     execution_price):
    """Write Order Executed with Price to ``address``; return its octets."""
    store8(address, 67)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, order_reference)
    store_be32(address + 19, executed_shares)
    store_be64(address + 23, match_number)
    store8(address + 31, printable)
    store_be32(address + 32, execution_price)
    return 36


@kernel(inline=True)
def decode_order_cancel(address, row):
    """Order Cancel: 23 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store32(row + 24, load_be32(address + 19))


@kernel(inline=True)
def encode_order_cancel(address, stock_locate, tracking_number, timestamp, order_reference,
                        canceled_shares):
    """Write Order Cancel to ``address``; return its octets."""
    store8(address, 88)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, order_reference)
    store_be32(address + 19, canceled_shares)
    return 23


@kernel(inline=True)
def decode_order_delete(address, row):
    """Order Delete: 19 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))


@kernel(inline=True)
def encode_order_delete(address, stock_locate, tracking_number, timestamp, order_reference):
    """Write Order Delete to ``address``; return its octets."""
    store8(address, 68)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, order_reference)
    return 19


@kernel(inline=True)
def decode_order_replace(address, row):
    """Order Replace: 35 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store64(row + 24, load_be64(address + 19))
    store32(row + 32, load_be32(address + 27))
    store32(row + 36, load_be32(address + 31))


@kernel(inline=True)
def encode_order_replace(address, stock_locate, tracking_number, timestamp, original_reference,
                         new_reference, shares, price):
    """Write Order Replace to ``address``; return its octets."""
    store8(address, 85)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, original_reference)
    store_be64(address + 19, new_reference)
    store_be32(address + 27, shares)
    store_be32(address + 31, price)
    return 35


@kernel(inline=True)
def decode_trade(address, row):
    """Trade (non-cross): 44 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))
    store32(row + 28, load_be32(address + 20))
    store64(row + 32, load_be64(address + 24))
    store32(row + 40, load_be32(address + 32))
    store64(row + 48, load_be64(address + 36))


@kernel(inline=True)
def encode_trade(address, stock_locate, tracking_number, timestamp, order_reference, side, shares,
                 stock, price, match_number):
    """Write Trade (non-cross) to ``address``; return its octets."""
    store8(address, 80)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, order_reference)
    store8(address + 19, side)
    store_be32(address + 20, shares)
    store_be64(address + 24, stock)
    store_be32(address + 32, price)
    store_be64(address + 36, match_number)
    return 44


@kernel(inline=True)
def decode_cross_trade(address, row):
    """Cross Trade: 40 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store64(row + 24, load_be64(address + 19))
    store32(row + 32, load_be32(address + 27))
    store64(row + 40, load_be64(address + 31))
    store8(row + 48, load8(address + 39))


@kernel(inline=True)
def encode_cross_trade(address, stock_locate, tracking_number, timestamp, shares, stock,
                       cross_price, match_number, cross_type):
    """Write Cross Trade to ``address``; return its octets."""
    store8(address, 81)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, shares)
    store_be64(address + 19, stock)
    store_be32(address + 27, cross_price)
    store_be64(address + 31, match_number)
    store8(address + 39, cross_type)
    return 40


@kernel(inline=True)
def decode_broken_trade(address, row):
    """Broken Trade: 19 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))


@kernel(inline=True)
def encode_broken_trade(address, stock_locate, tracking_number, timestamp, match_number):
    """Write Broken Trade to ``address``; return its octets."""
    store8(address, 66)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, match_number)
    return 19


@kernel(inline=True)
def decode_net_order_imbalance(address, row):
    """Net Order Imbalance Indicator: 50 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store64(row + 24, load_be64(address + 19))
    store8(row + 32, load8(address + 27))
    store64(row + 40, load_be64(address + 28))
    store32(row + 48, load_be32(address + 36))
    store32(row + 52, load_be32(address + 40))
    store32(row + 56, load_be32(address + 44))
    store8(row + 60, load8(address + 48))
    store8(row + 61, load8(address + 49))


@kernel(inline=True)
def encode_net_order_imbalance(address, stock_locate, tracking_number, timestamp, paired_shares,
                               imbalance_shares, imbalance_direction, stock, far_price, near_price,
                               reference_price, cross_type, price_variation):
    """Write Net Order Imbalance Indicator to ``address``; return its octets."""
    store8(address, 73)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, paired_shares)
    store_be64(address + 19, imbalance_shares)
    store8(address + 27, imbalance_direction)
    store_be64(address + 28, stock)
    store_be32(address + 36, far_price)
    store_be32(address + 40, near_price)
    store_be32(address + 44, reference_price)
    store8(address + 48, cross_type)
    store8(address + 49, price_variation)
    return 50


@kernel(inline=True)
def decode_retail_price_improvement(address, row):
    """Retail Price Improvement Indicator: 20 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))


@kernel(inline=True)
def encode_retail_price_improvement(address, stock_locate, tracking_number, timestamp, stock,
                                    interest_flag):
    """Write Retail Price Improvement Indicator to ``address``; return its octets."""
    store8(address, 78)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store8(address + 19, interest_flag)
    return 20


@kernel(inline=True)
def decode_direct_listing(address, row):
    """Direct Listing with Capital Raise: 48 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address + 1))
    store16(row + 2, load_be16(address + 3))
    store64(row + 8, load_be64(address + 3) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load_be64(address + 11))
    store8(row + 24, load8(address + 19))
    store32(row + 28, load_be32(address + 20))
    store32(row + 32, load_be32(address + 24))
    store32(row + 36, load_be32(address + 28))
    store64(row + 40, load_be64(address + 32))
    store32(row + 48, load_be32(address + 40))
    store32(row + 52, load_be32(address + 44))


@kernel(inline=True)
def encode_direct_listing(address, stock_locate, tracking_number, timestamp, stock,
                          open_eligibility, minimum_price, maximum_price, near_price, near_time,
                          lower_collar, upper_collar):
    """Write Direct Listing with Capital Raise to ``address``; return its octets."""
    store8(address, 79)
    store_be16(address + 1, stock_locate)
    store_be16(address + 3, tracking_number)
    store_be48(address + 5, timestamp)
    store_be64(address + 11, stock)
    store8(address + 19, open_eligibility)
    store_be32(address + 20, minimum_price)
    store_be32(address + 24, maximum_price)
    store_be32(address + 28, near_price)
    store_be64(address + 32, near_time)
    store_be32(address + 40, lower_collar)
    store_be32(address + 44, upper_collar)
    return 48


@kernel(inline=True)
def size_of(tag):
    """Return the octets of a message of type octet ``tag``, 0 when it is unknown."""
    if tag == ADD_ORDER_TYPE:
        return ADD_ORDER_SIZE
    if tag == ORDER_DELETE_TYPE:
        return ORDER_DELETE_SIZE
    if tag == ORDER_REPLACE_TYPE:
        return ORDER_REPLACE_SIZE
    if tag == ORDER_EXECUTED_TYPE:
        return ORDER_EXECUTED_SIZE
    if tag == ORDER_CANCEL_TYPE:
        return ORDER_CANCEL_SIZE
    if tag == ADD_ORDER_WITH_MPID_TYPE:
        return ADD_ORDER_WITH_MPID_SIZE
    if tag == ORDER_EXECUTED_WITH_PRICE_TYPE:
        return ORDER_EXECUTED_WITH_PRICE_SIZE
    if tag == TRADE_TYPE:
        return TRADE_SIZE
    if tag == NET_ORDER_IMBALANCE_TYPE:
        return NET_ORDER_IMBALANCE_SIZE
    if tag == STOCK_DIRECTORY_TYPE:
        return STOCK_DIRECTORY_SIZE
    if tag == STOCK_TRADING_ACTION_TYPE:
        return STOCK_TRADING_ACTION_SIZE
    if tag == REG_SHO_RESTRICTION_TYPE:
        return REG_SHO_RESTRICTION_SIZE
    if tag == MARKET_PARTICIPANT_POSITION_TYPE:
        return MARKET_PARTICIPANT_POSITION_SIZE
    if tag == SYSTEM_EVENT_TYPE:
        return SYSTEM_EVENT_SIZE
    if tag == CROSS_TRADE_TYPE:
        return CROSS_TRADE_SIZE
    if tag == RETAIL_PRICE_IMPROVEMENT_TYPE:
        return RETAIL_PRICE_IMPROVEMENT_SIZE
    if tag == BROKEN_TRADE_TYPE:
        return BROKEN_TRADE_SIZE
    if tag == IPO_QUOTING_PERIOD_UPDATE_TYPE:
        return IPO_QUOTING_PERIOD_UPDATE_SIZE
    if tag == MWCB_DECLINE_LEVEL_TYPE:
        return MWCB_DECLINE_LEVEL_SIZE
    if tag == MWCB_STATUS_TYPE:
        return MWCB_STATUS_SIZE
    if tag == LULD_AUCTION_COLLAR_TYPE:
        return LULD_AUCTION_COLLAR_SIZE
    if tag == OPERATIONAL_HALT_TYPE:
        return OPERATIONAL_HALT_SIZE
    if tag == DIRECT_LISTING_TYPE:
        return DIRECT_LISTING_SIZE
    return 0


@kernel
def decode(address, octets, row):
    """Decode the message of ``octets`` >= 1 at ``address`` to the record at ``row``.

    Returns its size; 0 when the type is unknown and the negative size of the type when
    ``octets`` differs from it: then nothing beyond the type octet is read and nothing is
    written. The record has the dtype of the type, at most ``ROW_SIZE`` octets.
    """
    tag = load8(address)
    if tag == ADD_ORDER_TYPE:
        if octets != ADD_ORDER_SIZE:
            return -ADD_ORDER_SIZE
        decode_add_order(address, row)
        return ADD_ORDER_SIZE
    if tag == ORDER_DELETE_TYPE:
        if octets != ORDER_DELETE_SIZE:
            return -ORDER_DELETE_SIZE
        decode_order_delete(address, row)
        return ORDER_DELETE_SIZE
    if tag == ORDER_REPLACE_TYPE:
        if octets != ORDER_REPLACE_SIZE:
            return -ORDER_REPLACE_SIZE
        decode_order_replace(address, row)
        return ORDER_REPLACE_SIZE
    if tag == ORDER_EXECUTED_TYPE:
        if octets != ORDER_EXECUTED_SIZE:
            return -ORDER_EXECUTED_SIZE
        decode_order_executed(address, row)
        return ORDER_EXECUTED_SIZE
    if tag == ORDER_CANCEL_TYPE:
        if octets != ORDER_CANCEL_SIZE:
            return -ORDER_CANCEL_SIZE
        decode_order_cancel(address, row)
        return ORDER_CANCEL_SIZE
    if tag == ADD_ORDER_WITH_MPID_TYPE:
        if octets != ADD_ORDER_WITH_MPID_SIZE:
            return -ADD_ORDER_WITH_MPID_SIZE
        decode_add_order_with_mpid(address, row)
        return ADD_ORDER_WITH_MPID_SIZE
    if tag == ORDER_EXECUTED_WITH_PRICE_TYPE:
        if octets != ORDER_EXECUTED_WITH_PRICE_SIZE:
            return -ORDER_EXECUTED_WITH_PRICE_SIZE
        decode_order_executed_with_price(address, row)
        return ORDER_EXECUTED_WITH_PRICE_SIZE
    if tag == TRADE_TYPE:
        if octets != TRADE_SIZE:
            return -TRADE_SIZE
        decode_trade(address, row)
        return TRADE_SIZE
    if tag == NET_ORDER_IMBALANCE_TYPE:
        if octets != NET_ORDER_IMBALANCE_SIZE:
            return -NET_ORDER_IMBALANCE_SIZE
        decode_net_order_imbalance(address, row)
        return NET_ORDER_IMBALANCE_SIZE
    if tag == STOCK_DIRECTORY_TYPE:
        if octets != STOCK_DIRECTORY_SIZE:
            return -STOCK_DIRECTORY_SIZE
        decode_stock_directory(address, row)
        return STOCK_DIRECTORY_SIZE
    if tag == STOCK_TRADING_ACTION_TYPE:
        if octets != STOCK_TRADING_ACTION_SIZE:
            return -STOCK_TRADING_ACTION_SIZE
        decode_stock_trading_action(address, row)
        return STOCK_TRADING_ACTION_SIZE
    if tag == REG_SHO_RESTRICTION_TYPE:
        if octets != REG_SHO_RESTRICTION_SIZE:
            return -REG_SHO_RESTRICTION_SIZE
        decode_reg_sho_restriction(address, row)
        return REG_SHO_RESTRICTION_SIZE
    if tag == MARKET_PARTICIPANT_POSITION_TYPE:
        if octets != MARKET_PARTICIPANT_POSITION_SIZE:
            return -MARKET_PARTICIPANT_POSITION_SIZE
        decode_market_participant_position(address, row)
        return MARKET_PARTICIPANT_POSITION_SIZE
    if tag == SYSTEM_EVENT_TYPE:
        if octets != SYSTEM_EVENT_SIZE:
            return -SYSTEM_EVENT_SIZE
        decode_system_event(address, row)
        return SYSTEM_EVENT_SIZE
    if tag == CROSS_TRADE_TYPE:
        if octets != CROSS_TRADE_SIZE:
            return -CROSS_TRADE_SIZE
        decode_cross_trade(address, row)
        return CROSS_TRADE_SIZE
    if tag == RETAIL_PRICE_IMPROVEMENT_TYPE:
        if octets != RETAIL_PRICE_IMPROVEMENT_SIZE:
            return -RETAIL_PRICE_IMPROVEMENT_SIZE
        decode_retail_price_improvement(address, row)
        return RETAIL_PRICE_IMPROVEMENT_SIZE
    if tag == BROKEN_TRADE_TYPE:
        if octets != BROKEN_TRADE_SIZE:
            return -BROKEN_TRADE_SIZE
        decode_broken_trade(address, row)
        return BROKEN_TRADE_SIZE
    if tag == IPO_QUOTING_PERIOD_UPDATE_TYPE:
        if octets != IPO_QUOTING_PERIOD_UPDATE_SIZE:
            return -IPO_QUOTING_PERIOD_UPDATE_SIZE
        decode_ipo_quoting_period_update(address, row)
        return IPO_QUOTING_PERIOD_UPDATE_SIZE
    if tag == MWCB_DECLINE_LEVEL_TYPE:
        if octets != MWCB_DECLINE_LEVEL_SIZE:
            return -MWCB_DECLINE_LEVEL_SIZE
        decode_mwcb_decline_level(address, row)
        return MWCB_DECLINE_LEVEL_SIZE
    if tag == MWCB_STATUS_TYPE:
        if octets != MWCB_STATUS_SIZE:
            return -MWCB_STATUS_SIZE
        decode_mwcb_status(address, row)
        return MWCB_STATUS_SIZE
    if tag == LULD_AUCTION_COLLAR_TYPE:
        if octets != LULD_AUCTION_COLLAR_SIZE:
            return -LULD_AUCTION_COLLAR_SIZE
        decode_luld_auction_collar(address, row)
        return LULD_AUCTION_COLLAR_SIZE
    if tag == OPERATIONAL_HALT_TYPE:
        if octets != OPERATIONAL_HALT_SIZE:
            return -OPERATIONAL_HALT_SIZE
        decode_operational_halt(address, row)
        return OPERATIONAL_HALT_SIZE
    if tag == DIRECT_LISTING_TYPE:
        if octets != DIRECT_LISTING_SIZE:
            return -DIRECT_LISTING_SIZE
        decode_direct_listing(address, row)
        return DIRECT_LISTING_SIZE
    return 0
