"""Intents from host to device: 64 octets, little-endian, slot = (sequence - 1) & 63.

The host may have at most 64 intents outstanding: it compares its own sequence with the
``credit`` of the latest record. An intent is taken only when its CRC, epoch and sequence are
right; anything else is an INTENT_ERROR record and changes nothing.
"""

from enum import IntEnum, IntFlag

from .wire import Field, Message

WINDOW_SLOTS = 64
PARTIAL_NS = 10_000                        # a slot that waits longer for the rest of its words is discarded


class Operation(IntEnum):
    """Octet 14 of an intent."""

    NOP = 0              # proves the whole intent path; counts as a watchdog kick
    NEW = 1
    CANCEL = 2           # quantity is the size that is to remain, 0 cancels
    REPLACE = 3
    MASS_CANCEL = 4
    PRE_ARM = 5
    DISARM = 6
    SETTLE_ACCEPTED = 16
    SETTLE_FILLED = 17
    SETTLE_CANCELED = 18
    SETTLE_REJECTED = 19
    SETTLE_REPLACED = 20


class IntentFlag(IntFlag):
    """Octet 15 of an order intent; no bit set is a day order to buy that may be displayed."""

    SELL = 1
    SHORT = 2            # with SELL: sell short
    IMMEDIATE = 4        # immediate or cancel
    POST_ONLY = 8


class IntentError(IntEnum):
    """Why an intent was refused before the risk gate."""

    CRC = 1
    EPOCH = 2
    SEQUENCE = 3
    STALE = 4            # time to live passed
    KILLED = 5
    PARTIAL_TIMEOUT = 6
    OPERATION = 7        # unknown operation
    UNKNOWN_ORDER = 8    # cancel, replace or settle for a token that is not open
    UNKNOWN_SESSION = 9
    BOOK_VERSION = 10    # the book moved on by more than max_version_lag
    NO_CREDIT = 11       # the order ring has no room for its worst case
    UNKNOWN_INSTRUMENT = 12  # the locate is not watched
    REPLACE_PENDING = 13     # the order, or the replace that made it, still waits for an answer
    FLAGS = 14           # unknown bits, or SHORT without SELL
    SESSION_DOWN = 15    # a cancel that cannot be sent because the order's session is down
    UNKNOWN_STRATEGY = 16    # the limits table has no row for it


_TAIL = (
    Field("crc",      4, "uint", "CRC-32C (RFC 3720) of the other 60 octets."),
    Field("epoch",    4, "uint", "Arming token of this run."),
    Field("sequence", 4, "uint", "Number of the intent, first 1."),
)

INTENT = Message("intent", "", "Order intent", "tickwire intent", (
    Field("timestamp",       8, "uint",  "Decision time, ns; also the ingress stamp of its cause."),
    Field("intent_id",       4, "uint",  "Host's number, returned in every record about it."),
    Field("locate",          2, "uint",  "Stock locate code."),
    Field("operation",       1, "uint",  "Operation."),
    Field("flags",           1, "uint",  "IntentFlag."),
    Field("price",           4, "price", "Limit price."),
    Field("quantity",        4, "uint",  "Shares."),
    Field("token",           4, "uint",  "Order to cancel or replace."),
    Field("book_version",    4, "uint",  "Version of the book that the decision saw."),
    Field("max_version_lag", 4, "uint",  "Refuse when the book moved on by more; 0 does not check."),
    Field("ttl_ns",          4, "uint",  "Refuse when older than this; 0 does not check."),
    Field("session",         2, "uint",  "Order session."),
    Field("strategy",        2, "uint",  "Strategy, a row of the limits table."),
    Field("trigger_price",   4, "price", "For PRE_ARM."),
    Field("reserved",        4, "uint",  "Zero."),
    *_TAIL,
), order="little")
assert INTENT.size == 64

SETTLE = Message("settle", "", "Answer of the venue, as an intent", "tickwire settle intent", (
    Field("exchange_timestamp", 8, "uint", "Venue's stamp, ns since midnight."),
    Field("token",           4, "uint",  "Order; for REPLACED the new one."),
    Field("locate",          2, "uint",  "Not used: the device knows the order."),
    Field("operation",       1, "uint",  "SETTLE_*."),
    Field("flags",           1, "uint",  "For ACCEPTED and REPLACED: 1 when the order is already dead."),
    Field("price",           4, "price", "Price accepted or executed."),
    Field("quantity",        4, "uint",  "Shares accepted, executed, cancelled (decrement)."),
    Field("reason",          2, "uint",  "Venue's reason."),
    Field("session",         2, "uint",  "Order session."),
    Field("previous_token",  4, "uint",  "For REPLACED: the order that it replaced."),
    Field("order_reference", 8, "uint",  "Venue's order reference."),
    Field("match_number",    8, "uint",  "Venue's match number."),
    Field("reserved",        4, "uint",  "Zero."),
    *_TAIL,
), order="little")
assert SETTLE.size == 64
