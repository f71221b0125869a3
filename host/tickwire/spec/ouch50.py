"""Nasdaq OUCH 5.0: orders to the venue and its answers, the 26 messages of the 2024-05 edition.

Inbound messages travel as SoupBinTCP unsequenced data, outbound ones as sequenced data; type
letters differ by direction. ``user_ref_num`` begins at 1 for each port and day and must rise: a
lower or repeated number is ignored in silence, so an inbound message may be repeated.
Optional fields follow in an appendage: elements of length (1 octet), option tag (1 octet), value.
"""

from collections.abc import Mapping

from .wire import Field, Message, Value, decode, encode

QUANTITY_MAX = 999_999
PRICE_MAX = 1_999_999_900
"""Greatest limit price accepted, 199,999.9900 dollars."""

PRICE_MARKET = 0x7FFF_FFFF
"""Price of a market order for a cross; 200,000.0000 dollars counts as market too."""

EXPIRE_SECONDS_MAX = 86_399
USER_REF_NUM_FIRST = 1

SIDES = {"B": "buy", "S": "sell", "T": "sell short", "E": "sell short exempt"}
TIMES_IN_FORCE = {
    "0": "day", "3": "immediate or cancel", "5": "extended hours", "6": "until the expire time",
    "E": "after hours",
}
DISPLAYS = {"Y": "visible", "N": "hidden", "A": "attributable"}
DISPLAYS_OUT = {**DISPLAYS, "Z": "conformant"}
CAPACITIES = {"A": "agency", "P": "principal", "R": "riskless principal", "O": "other"}
CROSS_TYPES = {
    "N": "continuous", "O": "opening", "C": "closing", "H": "halt or IPO", "S": "supplemental",
    "R": "retail", "E": "extended life", "A": "after hours close",
}
ORDER_STATES = {"L": "live", "D": "dead: nothing follows"}
EVENTS = {"S": "start of day", "E": "end of day"}
CANCEL_REASONS = {
    "D": "regulatory", "E": "closed", "F": "post only", "G": "post only against displayed",
    "H": "halted", "I": "immediate or cancel", "K": "market collar", "Q": "self match",
    "S": "supervisory", "T": "timeout", "U": "user", "X": "open protection", "Z": "system",
    "C": "cross cancelled", "e": "direct listing size",
}
BROKEN_REASONS = {"E": "erroneous", "C": "consent", "S": "supervisory", "X": "external"}
RESTATE_REASONS = {"R": "refresh of display", "P": "update of displayed price"}
LIQUIDITY_FLAGS = {
    "A": "added", "R": "removed", "C": "closing cross", "O": "opening cross",
    "H": "halt or IPO cross", "K": "halt cross", "L": "closing imbalance only",
    "M": "opening imbalance only", "J": "added hidden", "k": "added midpoint",
    "m": "removed midpoint", "N": "passive midpoint", "n": "midpoint extended life",
    "e": "retail added", "i": "after hours close", "u": "hidden reserve", "0": "supplemental",
    "7": "improved the NBBO", "8": "set the venue's BBO, joining the NBBO",
}
REJECT_REASONS = {
    0x01: "quote unavailable", 0x02: "destination closed", 0x03: "display", 0x04: "maximum floor",
    0x05: "peg type", 0x06: "fat finger", 0x07: "halted", 0x08: "ISO", 0x09: "side",
    0x0A: "processing", 0x0B: "cancel pending", 0x0C: "firm", 0x0D: "minimum quantity",
    0x0E: "no closing reference price", 0x0F: "other", 0x10: "cancel not allowed", 0x11: "pegging",
    0x12: "crossed market", 0x13: "quantity", 0x14: "cross order", 0x15: "replace", 0x16: "routing",
    0x17: "symbol", 0x18: "test", 0x19: "late limit on close", 0x1A: "retail",
    0x1B: "midpoint post only price", 0x1C: "destination", 0x1D: "price", 0x1E: "shares",
    0x1F: "notional", 0x20: "risk: exposure", 0x21: "risk: market impact",
    0x22: "risk: restricted stock", 0x23: "risk: short sell restricted", 0x24: "risk: ISO",
    0x25: "risk: average daily volume", 0x26: "risk: fat finger", 0x27: "risk: locate",
    0x28: "risk: symbol rate", 0x29: "risk: port rate", 0x2A: "risk: duplicate rate",
    0x2B: "risk: short sell", 0x2C: "risk: market order", 0x2D: "risk: pre-market",
    0x2E: "risk: post-market", 0x2F: "risk: short exempt", 0x30: "risk: notional",
    0x31: "risk: quantity", 0x32: "Reg SHO state unknown", 0x33: "risk: IPO market buy",
}
PRICE_TYPES = {
    "L": "limit", "P": "market peg", "M": "midpoint peg", "R": "primary peg",
    "Q": "market maker peg", "m": "midpoint",
}
HANDLING_INSTRUCTIONS = {
    "I": "imbalance only", "O": "retail 1", "T": "retail 2", "Q": "retail price improvement",
    "B": "extended life and continuous", "D": "direct listing", " ": "none",
}
YES_NO = {"Y": "yes", "N": "no"}
YES_NO_PORT = {**YES_NO, " ": "default of the port"}

OPTIONS: dict[int, Field] = {
    1:  Field("secondary_order_reference", 8, "uint",  "Order reference after the restatement."),
    2:  Field("firm",                  4, "ascii", "Firm; blank for the default of the port."),
    3:  Field("minimum_quantity",      4, "uint",  "Least quantity to execute, round lots; 0 none."),
    4:  Field("customer_type",         1, "ascii", "Customer.", {"R": "retail", "N": "not retail", " ": "default of the port"}),
    5:  Field("maximum_floor",         4, "uint",  "Displayed part of a reserve order; 0 all."),
    6:  Field("price_type",            1, "ascii", "What the price refers to.", PRICE_TYPES),
    7:  Field("peg_offset",            4, "int",   "Offset of a pegged price, 1e-4 dollars."),
    9:  Field("discretion_price",      8, "price", "Discretionary price; 0 none."),
    10: Field("discretion_price_type", 1, "ascii", "What the discretionary price refers to.", {key: PRICE_TYPES[key] for key in "LPMR"}),
    11: Field("discretion_peg_offset", 4, "int",   "Offset of a discretionary price, 1e-4 dollars."),
    12: Field("post_only",             1, "ascii", "Whether only to add.", {"P": "post only", "N": "no"}),
    13: Field("random_reserves",       4, "uint",  "Range by which the displayed part varies; 0 none."),
    14: Field("route",                 4, "ascii", "Route of the order."),
    15: Field("expire_time",           4, "uint",  "Seconds to live, for time in force 6."),
    16: Field("trade_now",             1, "ascii", "Whether to trade at once when locked.", YES_NO_PORT),
    17: Field("handling_instruction",  1, "ascii", "Special handling.", HANDLING_INSTRUCTIONS),
    18: Field("bbo_weight",            1, "ascii", "Weight of the order at the venue's BBO: 0 1 2 3 S N."),
    22: Field("display_quantity",      4, "uint",  "Shares displayed now."),
    23: Field("display_price",         8, "price", "Price displayed now."),
    24: Field("group_id",              2, "uint",  "Group for mass cancels; 0 none."),
    25: Field("shares_located",        1, "ascii", "Whether the shares of a short sale are located.", YES_NO),
    26: Field("locate_broker",         4, "ascii", "Broker that located them."),
    27: Field("side",                  1, "ascii", "Side.", SIDES),
    28: Field("user_ref_index",        1, "uint",  "Order flow channel with a series of numbers of its own."),
}
"""Appendage options by tag. Tags 8 and 21 are unused, 19 and 20 were withdrawn 2023-05."""

_TIMESTAMP = Field("timestamp", 8, "uint", "Nanoseconds since midnight, venue's local time.")
_NUMBER = Field("user_ref_num", 4, "uint", "Number of the order.")
_ORIGINAL = Field("orig_user_ref_num", 4, "uint", "Number of the order to replace.")
_SIDE = Field("side", 1, "ascii", "Side.", SIDES)
_SYMBOL = Field("symbol", 8, "ascii", "Symbol, blank-padded on the right.")
_PRICE = Field("price", 8, "price", "Limit price.")
_TIME_IN_FORCE = Field("time_in_force", 1, "ascii", "How long the order stands.", TIMES_IN_FORCE)
_CAPACITY = Field("capacity", 1, "ascii", "Capacity.", CAPACITIES)
_ISO = Field("iso_eligible", 1, "ascii", "Whether an intermarket sweep order.", YES_NO)
_CROSS = Field("cross_type", 1, "ascii", "Cross that the order is for.", CROSS_TYPES)
_STATE = Field("order_state", 1, "ascii", "Whether the order lives.", ORDER_STATES)
_CLIENT_ID = Field("cl_ord_id", 14, "ascii", "Client's text, returned as it is.")
_FIRM = Field("firm", 4, "ascii", "Firm.")
_REFERENCE = Field("order_reference", 8, "uint", "Venue's number of the order, as in ITCH.")
_MATCH = Field("match_number", 8, "uint", "Match, the same on both sides.")
_LIQUIDITY = Field("liquidity_flag", 1, "ascii", "How the execution came about.", LIQUIDITY_FLAGS)
_DISPLAY = Field("display", 1, "ascii", "Whether to be shown.", DISPLAYS)
_DISPLAY_OUT = Field("display", 1, "ascii", "Whether shown.", DISPLAYS_OUT)
_APPENDAGE = (
    Field("appendage_length", 2, "length", "Octets of the appendage."),
    Field("appendage",        0, "octets", "Options: length of the rest (1 octet), tag (1 octet), value."),
)

ALLOWED_OPTIONS: dict[str, tuple[int, ...]] = {}
"""Option tags that a message may carry, by its name."""


def _message(direction: str, tag: str, name: str, title: str, *fields: Field, note: str = "",
             options: tuple[int, ...] = (28,), always: bool = False) -> Message:
    """Declare a message with an appendage; ``always`` when its length is never left out."""
    ALLOWED_OPTIONS[name] = options
    head = () if direction == "in" else (_TIMESTAMP,)
    return Message(name, tag, title, f"OUCH 5.0, {title}", (*head, *fields, *_APPENDAGE),
                   direction=direction, note=note, tail_is_optional=not always)  # type: ignore[arg-type]


ENTER_ORDER = _message("in", "O", "enter_order", "Enter Order",
    _NUMBER, _SIDE,
    Field("quantity", 4, "uint", "Shares, 1 to 999,999."),
    _SYMBOL, _PRICE, _TIME_IN_FORCE, _DISPLAY, _CAPACITY, _ISO, _CROSS, _CLIENT_ID,
    options=(2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 24, 25, 26, 28), always=True,
    note="Answered by Order Accepted or Rejected; the number is spent either way.",
)
assert ENTER_ORDER.size == 47

REPLACE_ORDER = _message("in", "U", "replace_order", "Replace Order",
    _ORIGINAL,
    Field("user_ref_num", 4, "uint", "Number of the new order."),
    Field("quantity",     4, "uint", "Shares of the whole chain, those already executed included."),
    _PRICE,
    Field("time_in_force", 1, "ascii", "How long the order stands.", {key: TIMES_IN_FORCE[key] for key in "0356"}),
    _DISPLAY, _ISO, _CLIENT_ID,
    options=(3, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 25, 26, 27, 28), always=True,
    note="Silence when the old order is dead or the new number was used.",
)
assert REPLACE_ORDER.size == 40

CANCEL_ORDER = _message("in", "X", "cancel_order", "Cancel Order",
    _NUMBER,
    Field("quantity", 4, "uint", "Size that the order is to have in all; 0 cancels."),
)
assert CANCEL_ORDER.size == 11

MODIFY_ORDER = _message("in", "M", "modify_order", "Modify Order",
    _NUMBER,
    Field("side",     1, "ascii", "New side: only among sell, sell short and sell short exempt.", SIDES),
    Field("quantity", 4, "uint",  "Size that the order is to have in all; can only fall."),
    options=(25, 26, 28),
    note="Keeps the priority of the order.",
)
assert MODIFY_ORDER.size == 12

MASS_CANCEL = _message("in", "C", "mass_cancel", "Mass Cancel",
    Field("user_ref_num", 4, "uint", "Number of the request."),
    _FIRM,
    Field("symbol", 8, "ascii", "Symbol; blank for all."),
    options=(24, 27, 28), always=True, note="Since 2023-12.",
)
assert MASS_CANCEL.size == 19

DISABLE_ORDER_ENTRY = _message("in", "D", "disable_order_entry", "Disable Order Entry",
    Field("user_ref_num", 4, "uint", "Number of the request."), _FIRM,
    always=True, note="Since 2023-12.",
)
assert DISABLE_ORDER_ENTRY.size == 11

ENABLE_ORDER_ENTRY = _message("in", "E", "enable_order_entry", "Enable Order Entry",
    Field("user_ref_num", 4, "uint", "Number of the request."), _FIRM,
    always=True, note="Since 2023-12.",
)
assert ENABLE_ORDER_ENTRY.size == 11

ACCOUNT_QUERY = _message("in", "Q", "account_query", "Account Query",
    note="Asks for the next free number.",
)
assert ACCOUNT_QUERY.size == 3

SYSTEM_EVENT = Message("system_event", "S", "System Event", "OUCH 5.0, System Event", (
    _TIMESTAMP,
    Field("event_code", 1, "ascii", "What happened.", EVENTS),
), direction="out")
assert SYSTEM_EVENT.size == 10

ORDER_ACCEPTED = _message("out", "A", "order_accepted", "Order Accepted",
    _NUMBER, _SIDE,
    Field("quantity", 4, "uint", "Shares accepted."),
    _SYMBOL,
    Field("price", 8, "price", "Price accepted; may differ from the price entered."),
    _TIME_IN_FORCE, _DISPLAY_OUT, _REFERENCE, _CAPACITY, _ISO, _CROSS, _STATE, _CLIENT_ID,
    options=(2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 25, 28), always=True,
)
assert ORDER_ACCEPTED.size == 64

ORDER_REPLACED = _message("out", "U", "order_replaced", "Order Replaced",
    Field("orig_user_ref_num", 4, "uint", "Order that is gone."),
    Field("user_ref_num",      4, "uint", "Order in its place."),
    _SIDE,
    Field("quantity", 4, "uint", "Shares now outstanding."),
    _SYMBOL, _PRICE, _TIME_IN_FORCE, _DISPLAY_OUT, _REFERENCE, _CAPACITY, _ISO, _CROSS, _STATE, _CLIENT_ID,
    options=(2, 3, 5, 6, 12, 15, 16, 17, 18, 28), always=True,
)
assert ORDER_REPLACED.size == 68

ORDER_CANCELED = _message("out", "C", "order_canceled", "Order Canceled",
    _NUMBER,
    Field("quantity", 4, "uint",  "Shares taken off, not the sum of all cancels."),
    Field("reason",   1, "ascii", "Why.", CANCEL_REASONS),
)
assert ORDER_CANCELED.size == 20

AIQ_CANCELED = _message("out", "D", "aiq_canceled", "AIQ Canceled",
    _NUMBER,
    Field("decrement_shares",   4, "uint",  "Shares taken off."),
    Field("reason",             1, "ascii", "Always Q.", {"Q": CANCEL_REASONS["Q"]}),
    Field("prevented_quantity", 4, "uint",  "Shares that would have traded."),
    Field("execution_price",    8, "price", "Price at which they would have traded."),
    _LIQUIDITY,
    Field("aiq_strategy",       1, "ascii", "Strategy against self match."),
    note="The 2022 layout has no aiq_strategy.",
)
assert AIQ_CANCELED.size == 34

ORDER_EXECUTED = _message("out", "E", "order_executed", "Order Executed",
    _NUMBER,
    Field("quantity", 4, "uint",  "Shares of this execution."),
    Field("price",    8, "price", "Price of this execution."),
    _LIQUIDITY, _MATCH,
    always=True,
)
assert ORDER_EXECUTED.size == 36

BROKEN_TRADE = _message("out", "B", "broken_trade", "Broken Trade",
    _NUMBER, _MATCH, Field("reason", 1, "ascii", "Why.", BROKEN_REASONS), _CLIENT_ID,
)
assert BROKEN_TRADE.size == 38

REJECTED = _message("out", "J", "rejected", "Rejected",
    _NUMBER, Field("reason", 2, "uint", "Why.", REJECT_REASONS), _CLIENT_ID,
)
assert REJECTED.size == 31

CANCEL_PENDING = _message("out", "P", "cancel_pending", "Cancel Pending", _NUMBER)
assert CANCEL_PENDING.size == 15

CANCEL_REJECT = _message("out", "I", "cancel_reject", "Cancel Reject", _NUMBER)
assert CANCEL_REJECT.size == 15

ORDER_PRIORITY_UPDATE = _message("out", "T", "order_priority_update", "Order Priority Update",
    _NUMBER, _PRICE, _DISPLAY_OUT, _REFERENCE,
)
assert ORDER_PRIORITY_UPDATE.size == 32

ORDER_MODIFIED = _message("out", "M", "order_modified", "Order Modified",
    _NUMBER, _SIDE,
    Field("quantity", 4, "uint", "Shares outstanding."),
    options=(25, 26, 28),
)
assert ORDER_MODIFIED.size == 20

ORDER_RESTATED = _message("out", "R", "order_restated", "Order Restated",
    _NUMBER, Field("reason", 1, "ascii", "Why.", RESTATE_REASONS),
    options=(1, 22, 23, 28), always=True,
)
assert ORDER_RESTATED.size == 16

MASS_CANCEL_RESPONSE = _message("out", "X", "mass_cancel_response", "Mass Cancel Response",
    _NUMBER, _FIRM, _SYMBOL,
    options=(24, 27, 28), always=True,
)
assert MASS_CANCEL_RESPONSE.size == 27

DISABLE_ORDER_ENTRY_RESPONSE = _message("out", "G", "disable_order_entry_response",
    "Disable Order Entry Response", _NUMBER, _FIRM, always=True)
assert DISABLE_ORDER_ENTRY_RESPONSE.size == 19

ENABLE_ORDER_ENTRY_RESPONSE = _message("out", "K", "enable_order_entry_response",
    "Enable Order Entry Response", _NUMBER, _FIRM, always=True)
assert ENABLE_ORDER_ENTRY_RESPONSE.size == 19

ACCOUNT_QUERY_RESPONSE = _message("out", "Q", "account_query_response", "Account Query Response",
    Field("next_user_ref_num", 4, "uint", "Next free number."),
)
assert ACCOUNT_QUERY_RESPONSE.size == 15

TRADE_CORRECTION = Message("trade_correction", "F", "Trade Correction", "OUCH 5.0, Trade Correction", (
    _TIMESTAMP, _NUMBER,
    Field("quantity", 4, "uint",  "Shares of the execution."),
    Field("price",    8, "price", "Corrected price."),
    _LIQUIDITY, _MATCH,
    Field("reason",   1, "ascii", "Always N."),
    _CLIENT_ID,
), direction="out", note="Withdrawn 2023-05; decoded for older recordings.")
assert TRADE_CORRECTION.size == 49

INBOUND: dict[str, Message] = {message.tag: message for message in (
    ENTER_ORDER, REPLACE_ORDER, CANCEL_ORDER, MODIFY_ORDER, MASS_CANCEL, DISABLE_ORDER_ENTRY,
    ENABLE_ORDER_ENTRY, ACCOUNT_QUERY)}
OUTBOUND: dict[str, Message] = {message.tag: message for message in (
    SYSTEM_EVENT, ORDER_ACCEPTED, ORDER_REPLACED, ORDER_CANCELED, AIQ_CANCELED, ORDER_EXECUTED,
    BROKEN_TRADE, REJECTED, CANCEL_PENDING, CANCEL_REJECT, ORDER_PRIORITY_UPDATE, ORDER_MODIFIED,
    ORDER_RESTATED, MASS_CANCEL_RESPONSE, DISABLE_ORDER_ENTRY_RESPONSE,
    ENABLE_ORDER_ENTRY_RESPONSE, ACCOUNT_QUERY_RESPONSE, TRADE_CORRECTION)}
MESSAGES: tuple[Message, ...] = (*INBOUND.values(), *OUTBOUND.values())
assert (len(INBOUND), len(OUTBOUND)) == (8, 18)

_ELEMENTS: dict[int, Message] = {
    tag: Message(field.name, chr(tag), field.name, "OUCH 5.0, Optional Appendage", (field,))
    for tag, field in OPTIONS.items()}
_TAG_OF = {field.name: tag for tag, field in OPTIONS.items()}


def encode_appendage(values: Mapping[str, Value]) -> bytes:
    """Encode options by their names in :data:`OPTIONS`, in the order given.

    Raises ``ValueError`` naming the option when it is unknown or its value does not fit.
    """
    octets = b""
    for name, value in values.items():
        if name not in _TAG_OF:
            raise ValueError(f"OUCH 5.0 has no option {name!r}")
        element = encode(_ELEMENTS[_TAG_OF[name]], {name: value})
        octets += bytes((len(element),)) + element
    return octets


def decode_appendage(octets: bytes) -> dict[str, Value]:
    """Decode an appendage into values by option name; an unknown option is ``option_<tag>``.

    Raises ``ValueError`` with the offset where an element is cut short or of the wrong size.
    """
    values: dict[str, Value] = {}
    offset = 0
    while offset < len(octets):
        size = octets[offset]
        element = octets[offset + 1:offset + 1 + size]
        if size < 1 or len(element) < size:
            raise ValueError(f"Appendage element at offset {offset} has length {size}, "
                             f"but {len(octets) - offset - 1} octets follow")
        message = _ELEMENTS.get(element[0])
        if message is None:
            values[f"option_{element[0]}"] = element[1:]
        else:
            values.update(decode(message, element))
        offset += 1 + size
    return values
