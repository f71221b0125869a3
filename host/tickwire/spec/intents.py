"""Intents from host to device: 64 octets, little-endian, slot = (sequence - 1) & 63.

The host may have at most 64 intents outstanding: it compares its own sequence with the
``credit`` of the latest record. An intent is taken only when its CRC, epoch and sequence are
right; anything else is an INTENT_ERROR record and changes nothing.
"""

from enum import IntEnum, IntFlag

from .wire import Field, Message

WINDOW_SLOTS = 64
TRIGGERS = 16                              # slots for triggers of one instrument
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
    TRIGGER_SLOT = 17        # no such slot
    TRIGGER_KIND = 18        # unknown kind of trigger
    TRIGGER_GENERATION = 19  # to arm: not the slot's plus one; to disarm: not the slot's, or not armed


class TriggerKind(IntEnum):
    """When a trigger fires; side, price and quantity are those of its order.

    The *opposite* best price is the one that the order could trade against, *own* that of its side.
    """

    TAKE = 1             # opposite best at the trigger price or better, trigger quantity or more there: hit, lift
    CROSS = 2            # opposite best at the trigger price or worse: a stop
    JOIN = 3             # own best at the trigger price or more aggressive
    SIZE = 4             # opposite best at the trigger price, with at most the trigger quantity
    TRADE_THROUGH = 5    # a printable trade beyond the trigger price: above it for a buy, below it for a sale
    CANCEL_ON_MOVE = 6   # as TAKE; cancels the order ``token``
    FILL_HEDGE = 7       # the order ``token`` was filled: as many shares, until its quantity is used up


class TriggerEvent(IntEnum):
    """Octet ``event`` of a TRIGGER record."""

    ARMED = 1
    FIRED = 2
    DISARMED = 3         # by the host
    EXPIRED = 4          # its time to live passed
    GROUP = 5            # another one of its group fired


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
    Field("reserved_1",      4, "uint",  "Zero."),
    Field("reserved_2",      4, "uint",  "Zero."),
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

TRIGGER = Message("trigger", "", "Trigger, for PRE_ARM and DISARM", "tickwire trigger intent", (
    Field("timestamp",       8, "uint",  "Decision time, ns; its age counts from here."),
    Field("intent_id",       4, "uint",  "Host's number, returned in every record about it."),
    Field("locate",          2, "uint",  "Stock locate code."),
    Field("operation",       1, "uint",  "PRE_ARM or DISARM."),
    Field("flags",           1, "uint",  "IntentFlag of the order."),
    Field("price",           4, "price", "Limit price of the order."),
    Field("quantity",        4, "uint",  "Shares of the order."),
    Field("token",           4, "uint",  "For CANCEL_ON_MOVE the order to cancel, for FILL_HEDGE the one whose fills count."),
    Field("kind",            1, "uint",  "TriggerKind."),
    Field("slot",            1, "uint",  "Slot of the instrument, 0 to 15."),
    Field("group",           1, "uint",  "One cancels other: when one fires, the instrument's others of this number are disarmed; 0 none."),
    Field("reserved",        1, "uint",  "Zero."),
    Field("generation",      4, "uint",  "To arm: the slot's generation plus one, first 1; to disarm: the slot's."),
    Field("ttl_ns",          4, "uint",  "It fires no later than this after its time stamp; 0 for ever."),
    Field("session",         2, "uint",  "Order session."),
    Field("strategy",        2, "uint",  "Strategy."),
    Field("trigger_price",   4, "price", "Price that it watches."),
    Field("trigger_quantity", 4, "uint", "Shares that it watches, for TAKE, CANCEL_ON_MOVE and SIZE."),
    *_TAIL,
), order="little")
assert TRIGGER.size == 64
