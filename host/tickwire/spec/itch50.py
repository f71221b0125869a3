"""Nasdaq TotalView-ITCH 5.0: all 23 messages, checked against the editions of 2015 to 2026.

A message is one SoupBinTCP payload, one MoldUDP64 block or one BinaryFILE record; its type fixes
its size. Clauses are those of the editions that number the formats 4.1 to 4.8. Order references
and match numbers are unique for the day, across stocks.
"""

from .wire import Field, Message

HEADER_SIZE = 11
"""Octets 0 to 10 are the same in every message: type, locate, tracking number, time stamp."""

PRICE_MAX = 2_000_000_000
"""Greatest price in use, 200,000.0000 dollars."""

BINARY_FILE_LENGTH_SIZE = 2
"""A BinaryFILE is a big-endian length of 2 octets before each message; length 0 ends it."""

SIDES = {"B": "buy", "S": "sell"}
EVENTS = {
    "O": "start of messages", "S": "start of system hours", "Q": "start of market hours",
    "M": "end of market hours", "E": "end of system hours", "C": "end of messages",
}
MARKET_CATEGORIES = {
    "Q": "Nasdaq Global Select", "G": "Nasdaq Global Market", "S": "Nasdaq Capital Market",
    "N": "NYSE", "A": "NYSE American", "P": "NYSE Arca", "Z": "Cboe BZX", "V": "IEX",
    "M": "NYSE Texas", " ": "unknown",
}
FINANCIAL_STATUSES = {
    "D": "deficient", "E": "delinquent", "Q": "bankrupt", "S": "suspended",
    "G": "deficient and bankrupt", "H": "deficient and delinquent", "J": "delinquent and bankrupt",
    "K": "deficient, delinquent and bankrupt", "C": "creations or redemptions suspended",
    "N": "normal", " ": "unknown",
}
ISSUE_CLASSIFICATIONS = {
    "A": "American depositary share", "B": "bond", "C": "common stock", "F": "depositary receipt",
    "I": "144A", "L": "limited partnership", "N": "notes", "O": "ordinary share",
    "P": "preferred stock", "Q": "other", "R": "right", "S": "shares of beneficial interest",
    "T": "convertible debenture", "U": "unit", "V": "units of beneficial interest", "W": "warrant",
}
TRADING_STATES = {"H": "halted", "P": "paused", "Q": "quotation only", "T": "trading"}
REG_SHO_ACTIONS = {"0": "none", "1": "in force since an intraday drop", "2": "remains in force"}
MARKET_MAKER_MODES = {"N": "normal", "P": "passive", "S": "syndicate", "R": "pre-syndicate", "L": "penalty"}
PARTICIPANT_STATES = {"A": "active", "E": "excused", "W": "withdrawn", "S": "suspended", "D": "deleted"}
CROSS_TYPES = {
    "O": "opening", "C": "closing", "H": "halt or IPO", "I": "intraday or post-close", "A": "extended close",
}
IMBALANCE_DIRECTIONS = {"B": "buy", "S": "sell", "N": "none", "O": "not enough orders", "P": "paused"}
PRICE_VARIATIONS = {
    "L": "below 1 %", **{str(n): f"{n} to {n + 1} %" for n in range(1, 10)},
    "A": "10 to 20 %", "B": "20 to 30 %", "C": "30 % or more", " ": "not computable",
}
YES_NO = {"Y": "yes", "N": "no"}
YES_NO_BLANK = {**YES_NO, " ": "not available"}

_HEADER = (
    Field("stock_locate",    2, "uint", "Number of the stock for this day, from 1; 0 where none is meant."),
    Field("tracking_number", 2, "uint", "Venue's internal number."),
    Field("timestamp",       6, "uint", "Nanoseconds since midnight, venue's local time."),
)
_STOCK = Field("stock", 8, "ascii", "Symbol, blank-padded on the right.")
_REFERENCE = Field("order_reference", 8, "uint", "Order, unique for the day.")
_SIDE = Field("side", 1, "ascii", "Side of the order.", SIDES)
_SHARES = Field("shares", 4, "uint", "Shares.")
_PRICE = Field("price", 4, "price", "Limit price.")
_EXECUTED = Field("executed_shares", 4, "uint", "Shares executed.")
_MATCH = Field("match_number", 8, "uint", "Match, unique for the day; a broken trade names it.")


def _message(tag: str, name: str, title: str, clause: str, *fields: Field, note: str = "") -> Message:
    return Message(name, tag, title, f"ITCH 5.0 §{clause}", (*_HEADER, *fields),
                   direction="out", note=note)


SYSTEM_EVENT = _message("S", "system_event", "System Event", "4.1",
    Field("event_code", 1, "ascii", "What happened.", EVENTS),
    note="The locate is 0.",
)
assert SYSTEM_EVENT.size == 12

STOCK_DIRECTORY = _message("R", "stock_directory", "Stock Directory", "4.2.1",
    _STOCK,
    Field("market_category",      1, "ascii", "Listing market.", MARKET_CATEGORIES),
    Field("financial_status",     1, "ascii", "Financial status of the issuer.", FINANCIAL_STATUSES),
    Field("round_lot_size",       4, "uint",  "Shares of a round lot."),
    Field("round_lots_only",      1, "ascii", "Whether only round lots are accepted.", YES_NO),
    Field("issue_classification", 1, "ascii", "Class of security.", ISSUE_CLASSIFICATIONS),
    Field("issue_sub_type",       2, "ascii", "Kind of security within its class."),
    Field("authenticity",         1, "ascii", "Live or test.", {"P": "live", "T": "test"}),
    Field("short_sale_threshold", 1, "ascii", "Reg SHO threshold security.", YES_NO_BLANK),
    Field("ipo_flag",             1, "ascii", "New issue.", {**YES_NO_BLANK, "Z": "not applicable"}),
    Field("luld_tier",            1, "ascii", "LULD reference price tier.",
          {"1": "tier 1", "2": "tier 2", " ": "not applicable"}),
    Field("etp_flag",             1, "ascii", "Exchange-traded product.", YES_NO_BLANK),
    Field("etp_leverage",         4, "uint",  "Leverage factor of the product."),
    Field("inverse",              1, "ascii", "Inverse product.", YES_NO),
)
assert STOCK_DIRECTORY.size == 39

STOCK_TRADING_ACTION = _message("H", "stock_trading_action", "Stock Trading Action", "4.2.2",
    _STOCK,
    Field("trading_state", 1, "ascii", "State from now on.", TRADING_STATES),
    Field("reserved",      1, "ascii", "Reserved."),
    Field("reason",        4, "ascii", "Reason: T1, LUDP, MWC1, IPO1 ...; blank when not known."),
    note="A stock that the opening spin does not name is halted.",
)
assert STOCK_TRADING_ACTION.size == 25

REG_SHO_RESTRICTION = _message("Y", "reg_sho_restriction", "Reg SHO Restriction", "4.2.3",
    _STOCK,
    Field("reg_sho_action", 1, "ascii", "Short sale price test.", REG_SHO_ACTIONS),
)
assert REG_SHO_RESTRICTION.size == 20

MARKET_PARTICIPANT_POSITION = _message("L", "market_participant_position", "Market Participant Position", "4.2.4",
    Field("mpid",                 4, "ascii", "Market participant."),
    _STOCK,
    Field("primary_market_maker", 1, "ascii", "Whether primary market maker.", YES_NO),
    Field("market_maker_mode",    1, "ascii", "Mode of its quotes.", MARKET_MAKER_MODES),
    Field("participant_state",    1, "ascii", "Registration.", PARTICIPANT_STATES),
)
assert MARKET_PARTICIPANT_POSITION.size == 26

MWCB_DECLINE_LEVEL = _message("V", "mwcb_decline_level", "MWCB Decline Level", "4.2.5.1",
    Field("level_1", 8, "price", "Index value of level 1.", decimals=8),
    Field("level_2", 8, "price", "Index value of level 2.", decimals=8),
    Field("level_3", 8, "price", "Index value of level 3.", decimals=8),
    note="The locate is 0.",
)
assert MWCB_DECLINE_LEVEL.size == 35

MWCB_STATUS = _message("W", "mwcb_status", "MWCB Status", "4.2.5.2",
    Field("breached_level", 1, "ascii", "Level that was breached.",
          {"1": "level 1", "2": "level 2", "3": "level 3"}),
    note="The locate is 0.",
)
assert MWCB_STATUS.size == 12

IPO_QUOTING_PERIOD_UPDATE = _message("K", "ipo_quoting_period_update", "IPO Quoting Period Update", "4.2.6",
    _STOCK,
    Field("release_time",      4, "uint",  "Seconds after midnight when quoting begins."),
    Field("release_qualifier", 1, "ascii", "How sure the time is.",
          {"A": "anticipated", "C": "cancelled or postponed: time and price are 0"}),
    Field("ipo_price",         4, "price", "Price of the issue."),
)
assert IPO_QUOTING_PERIOD_UPDATE.size == 28

LULD_AUCTION_COLLAR = _message("J", "luld_auction_collar", "LULD Auction Collar", "4.2.7",
    _STOCK,
    Field("reference_price", 4, "price", "Reference price of the collar."),
    Field("upper_price",     4, "price", "Upper threshold."),
    Field("lower_price",     4, "price", "Lower threshold."),
    Field("extension",       4, "uint",  "Number of the extension of the auction."),
)
assert LULD_AUCTION_COLLAR.size == 35

OPERATIONAL_HALT = _message("h", "operational_halt", "Operational Halt", "4.2.8",
    _STOCK,
    Field("market_code", 1, "ascii", "Market that halted.", {"Q": "Nasdaq", "B": "BX", "X": "PSX"}),
    Field("action",      1, "ascii", "State from now on.", {"H": "halted", "T": "resumed"}),
)
assert OPERATIONAL_HALT.size == 21

ADD_ORDER = _message("A", "add_order", "Add Order", "4.3.1",
    _REFERENCE, _SIDE, _SHARES, _STOCK, _PRICE,
)
assert ADD_ORDER.size == 36

ADD_ORDER_WITH_MPID = _message("F", "add_order_with_mpid", "Add Order with MPID", "4.3.2",
    _REFERENCE, _SIDE, _SHARES, _STOCK, _PRICE,
    Field("attribution", 4, "ascii", "Market participant that entered it."),
)
assert ADD_ORDER_WITH_MPID.size == 40

ORDER_EXECUTED = _message("E", "order_executed", "Order Executed", "4.4.1",
    _REFERENCE, _EXECUTED, _MATCH,
    note="Executed at the price of the order; at 0 shares left the order is gone.",
)
assert ORDER_EXECUTED.size == 31

ORDER_EXECUTED_WITH_PRICE = _message("C", "order_executed_with_price", "Order Executed with Price", "4.4.2",
    _REFERENCE, _EXECUTED, _MATCH,
    Field("printable",       1, "ascii", "Whether it counts as volume; N comes again in a cross.", YES_NO),
    Field("execution_price", 4, "price", "Price of the execution."),
)
assert ORDER_EXECUTED_WITH_PRICE.size == 36

ORDER_CANCEL = _message("X", "order_cancel", "Order Cancel", "4.4.3",
    _REFERENCE,
    Field("canceled_shares", 4, "uint", "Shares taken off the order."),
)
assert ORDER_CANCEL.size == 23

ORDER_DELETE = _message("D", "order_delete", "Order Delete", "4.4.4",
    _REFERENCE,
)
assert ORDER_DELETE.size == 19

ORDER_REPLACE = _message("U", "order_replace", "Order Replace", "4.4.5",
    Field("original_reference", 8, "uint", "Order that is gone."),
    Field("new_reference",      8, "uint", "Order in its place, last in the queue of its price."),
    _SHARES, _PRICE,
    note="The new order keeps the side, stock and attribution of the original.",
)
assert ORDER_REPLACE.size == 35

TRADE = _message("P", "trade", "Trade (non-cross)", "4.5.1",
    Field("order_reference", 8, "uint", "0 since 2010-12-06."),
    Field("side",            1, "ascii", "Always B since 2014-07-14.", SIDES),
    _SHARES, _STOCK,
    Field("price",           4, "price", "Price of the trade."),
    _MATCH,
    note="Against an order that was not displayed; the displayed book does not change.",
)
assert TRADE.size == 44

CROSS_TRADE = _message("Q", "cross_trade", "Cross Trade", "4.5.2",
    Field("shares",      8, "uint",  "Shares matched; 8 octets, unlike every share count of an order."),
    _STOCK,
    Field("cross_price", 4, "price", "Price of the cross."),
    _MATCH,
    Field("cross_type",  1, "ascii", "Which cross.", CROSS_TYPES),
    note="The displayed book does not change.",
)
assert CROSS_TRADE.size == 40

BROKEN_TRADE = _message("B", "broken_trade", "Broken Trade", "4.5.3",
    Field("match_number", 8, "uint", "Match of an earlier E, C, P or Q that is void."),
)
assert BROKEN_TRADE.size == 19

NET_ORDER_IMBALANCE = _message("I", "net_order_imbalance", "Net Order Imbalance Indicator", "4.6",
    Field("paired_shares",       8, "uint",  "Shares that match at the reference price."),
    Field("imbalance_shares",    8, "uint",  "Shares that do not."),
    Field("imbalance_direction", 1, "ascii", "Side of the imbalance.", IMBALANCE_DIRECTIONS),
    _STOCK,
    Field("far_price",           4, "price", "Clearing price of the cross orders alone."),
    Field("near_price",          4, "price", "Clearing price of cross and continuous orders."),
    Field("reference_price",     4, "price", "Current reference price."),
    Field("cross_type",          1, "ascii", "Which cross.", CROSS_TYPES),
    Field("price_variation",     1, "ascii", "Near price against the inside.", PRICE_VARIATIONS),
)
assert NET_ORDER_IMBALANCE.size == 50

RETAIL_PRICE_IMPROVEMENT = _message("N", "retail_price_improvement", "Retail Price Improvement Indicator", "4.7",
    _STOCK,
    Field("interest_flag", 1, "ascii", "Side with retail interest.",
          {"B": "buy", "S": "sell", "A": "both", "N": "none"}),
)
assert RETAIL_PRICE_IMPROVEMENT.size == 20

DIRECT_LISTING = _message("O", "direct_listing", "Direct Listing with Capital Raise", "4.8",
    _STOCK,
    Field("open_eligibility", 1, "ascii", "Whether it may open.", YES_NO),
    Field("minimum_price",    4, "price", "Lowest price at which it may open."),
    Field("maximum_price",    4, "price", "Highest price at which it may open."),
    Field("near_price",       4, "price", "Price at which it would open."),
    Field("near_time",        8, "uint",  "Nanoseconds since midnight when the near price came about."),
    Field("lower_collar",     4, "price", "Lower collar of the auction."),
    Field("upper_collar",     4, "price", "Upper collar of the auction."),
)
assert DIRECT_LISTING.size == 48

MESSAGES: tuple[Message, ...] = (
    SYSTEM_EVENT, STOCK_DIRECTORY, STOCK_TRADING_ACTION, REG_SHO_RESTRICTION,
    MARKET_PARTICIPANT_POSITION, MWCB_DECLINE_LEVEL, MWCB_STATUS, IPO_QUOTING_PERIOD_UPDATE,
    LULD_AUCTION_COLLAR, OPERATIONAL_HALT, ADD_ORDER, ADD_ORDER_WITH_MPID, ORDER_EXECUTED,
    ORDER_EXECUTED_WITH_PRICE, ORDER_CANCEL, ORDER_DELETE, ORDER_REPLACE, TRADE, CROSS_TRADE,
    BROKEN_TRADE, NET_ORDER_IMBALANCE, RETAIL_PRICE_IMPROVEMENT, DIRECT_LISTING)
BY_TYPE: dict[str, Message] = {message.tag: message for message in MESSAGES}
SIZES: tuple[int, ...] = tuple(
    BY_TYPE[chr(tag)].size if chr(tag) in BY_TYPE else 0 for tag in range(256))
"""Octets of a message by its type octet; 0 where no such type is known."""

assert len(MESSAGES) == len(BY_TYPE) == 23
