"""Records from device to host: 64 octets, little-endian, one cache line each.

Octets 0 to 7 are a time stamp in nanoseconds, octets 56 to 63 the common trailer. Fields marked
``volatile`` (time, latency, credit) may differ between devices; every other octet is the same
for the same frames and intents, and is what the record digest covers.
"""

from enum import IntEnum, IntFlag

from .wire import Field, Message

RECORD_SIZE = 64
TRAILER_OFFSET = 56


class RecordType(IntEnum):
    """Type octet (offset 60) of a record."""

    HEARTBEAT = 0x01
    BBO = 0x02
    LEVEL = 0x03
    TRADE = 0x04
    FEED_STATE = 0x05
    STATUS = 0x06
    IMBALANCE = 0x07
    DIRECTORY = 0x08
    ORDER_SENT = 0x10
    ORDER_ACCEPTED = 0x11
    ORDER_FILLED = 0x12
    ORDER_CANCELED = 0x13
    ORDER_REJECTED = 0x14
    ORDER_REPLACED = 0x15
    ORDER_RELEASED = 0x16
    TRIGGER = 0x17
    RISK_REJECT = 0x18
    INTENT_ERROR = 0x19
    KILL = 0x20
    CONFIG_ACKNOWLEDGED = 0x21
    TIME = 0x22
    LOST = 0x23
    FRAME = 0x24


class BookFlag(IntFlag):
    """Octet 35 of a BBO record and octet 7 of a state line: when the book is not to be believed."""

    RECOVERING = 1       # a gap on both lines is being repaired
    CROSSED = 2          # best bid >= best ask
    STALE = 4            # no packet on any line for longer than the limit
    DESYNCED = 8         # the book lost something for good: overflow, unknown order, off-grid price
    BID_HIDDEN = 16      # the best bid lies outside the price window; it is shown as none
    ASK_HIDDEN = 32      # the best ask lies outside the price window; it is shown as none
    SATURATED = 64       # a quantity above 2^32-1 or an order count above 65,535 is shown as that


class TradeFlag(IntFlag):
    """Octet 35 of a TRADE record."""

    PRINTABLE = 1        # counts as volume (ITCH C: printable Y)
    HIDDEN = 2           # against a non-displayed order (ITCH P)
    CROSS = 4            # auction print (ITCH Q)
    BROKEN = 8           # withdraws match_number (ITCH B)


class FeedState(IntEnum):
    """State octet of a FEED_STATE record and of register FEED_STATE."""

    IDLE = 0             # nothing received yet
    LIVE = 1             # in sequence
    RECOVERING = 2       # a gap on both lines is open
    STALE = 3            # no packet on any line for longer than the limit
    ENDED = 4            # end of session
    NEW_SESSION = 5      # another session name took over; the sequence began anew (records only)
    RETRACTED = 6        # a frame's end showed damage after its messages were used (records only)


class Line(IntEnum):
    """Where a datagram came from: line octet of a FEED_STATE record."""

    A = 0
    B = 1
    RECOVERY = 2         # answers of the request server


class FrameOrigin(IntEnum):
    """Origin octet of a FRAME record: how a frame came to the order line."""

    RECEIVED = 1         # from the venue's side
    SENT = 2             # made by the card: an order, or a message of a leased session
    HOST = 3             # given by the host


class FrameFlag(IntFlag):
    """Flags octet of a FRAME record."""

    FIRST = 1            # of its frame
    LAST = 2             # of its frame
    DAMAGED = 4          # only with LAST: the frame's check is wrong, or a word of it was lost


def _stamp(doc: str = "Ingress stamp of the frame that caused it, ns.") -> Field:
    return Field("timestamp", 8, "uint", doc, volatile=True)


def _pad(name: str, size: int) -> Field:
    return Field(name, size, "uint" if size in (1, 2, 4, 8) else "octets", "Zero.")


TRAILER = (
    Field("record_sequence", 4, "uint", "Number of the record in its ring, first 1, modulo 2^32."),
    Field("record_type",     1, "uint", "RecordType."),
    Field("epoch",           1, "uint", "Ring epoch: a record of an earlier run never matches.", volatile=True),
    Field("credit",          2, "uint", "Intents consumed so far, modulo 2^16.", volatile=True),
)


def _record(kind: RecordType, title: str, *fields: Field, note: str = "") -> Message:
    message = Message(kind.name.lower(), "", title, f"tickwire record 0x{kind:02x}",
                      (*fields, *TRAILER), order="little", note=note)
    assert message.size == RECORD_SIZE, (message.name, message.size)
    return message


_FEED = Field("feed_sequence", 8, "uint", "MoldUDP64 sequence of the message; its number in a file.")
_LOCATE = Field("locate", 2, "uint", "Stock locate code.")
_VERSION = Field("book_version", 4, "uint", "State-line version that this record belongs to.")
_LATENCY = Field("latency_ns", 4, "uint", "Ingress stamp to record, ns; 0 where not timed.", volatile=True)

HEARTBEAT = _record(RecordType.HEARTBEAT, "Heartbeat",
    _stamp("Device clock, ns."),
    Field("time_now",      8, "uint", "Device clock, ns.", volatile=True),
    Field("frames",        8, "uint", "Frames received.", volatile=True),
    Field("ring_drops",    4, "uint", "Records dropped before the ring.", volatile=True),
    Field("queue_max",     4, "uint", "Greatest fill of the record queue.", volatile=True),
    Field("watchdog_left", 4, "uint", "Microseconds until the watchdog bites.", volatile=True),
    Field("status",        4, "uint", "Register STATUS.", volatile=True),
    Field("feed_sequence", 8, "uint", "Last sequence accepted.", volatile=True),
    _pad("reserved", 8),
)
BBO = _record(RecordType.BBO, "Best bid and offer",
    _stamp(), _FEED,
    Field("bid_price",     4, "price", "Best bid; 0 none."),
    Field("ask_price",     4, "price", "Best ask; 0 none."),
    Field("bid_quantity",  4, "uint",  "Shares at the best bid."),
    Field("ask_quantity",  4, "uint",  "Shares at the best ask."),
    _LOCATE,
    Field("trading_state", 1, "ascii", "ITCH H state: H P Q T; NUL before the first."),
    Field("flags",         1, "uint",  "BookFlag."),
    _VERSION,
    Field("last_price",    4, "price", "Last printable trade; 0 none."),
    Field("last_quantity", 4, "uint",  "Shares of the last printable trade."),
    _LATENCY,
    Field("bid_orders",    2, "uint",  "Orders at the best bid."),
    Field("ask_orders",    2, "uint",  "Orders at the best ask."),
    note="One for each message that changed the price, quantity or order count of a best level, or a flag.",
)
LEVEL = _record(RecordType.LEVEL, "Price level",
    _stamp(), _FEED,
    Field("price",    4, "price", "Price of the level."),
    Field("quantity", 4, "uint",  "Shares at the level now; 0 when it is gone; saturates at 2^32-1."),
    Field("orders",   4, "uint",  "Orders at the level now; 0 when it is gone."),
    Field("book_version", 4, "uint", "State-line version that the message found."), _LOCATE,
    Field("side",     1, "ascii", "B bid, S ask."),
    _pad("reserved_1", 5), _pad("reserved_2", 8),
    _LATENCY, _pad("reserved_3", 4),
    note="One for each change of a level, at any price, before the other records of its message; a replace has two.",
)
TRADE = _record(RecordType.TRADE, "Trade",
    _stamp(), _FEED,
    Field("match_number", 8, "uint",  "Venue's match number."),
    Field("price",        4, "price", "Price of the trade."),
    Field("quantity",     4, "uint",  "Shares; saturates at 2^32-1."),
    _LOCATE,
    Field("side",         1, "ascii", "Side of the resting order: B, S; blank for a cross."),
    Field("flags",        1, "uint",  "TradeFlag."),
    _VERSION,
    Field("order_reference", 8, "uint", "Resting order, 0 unknown."),
    _LATENCY, _pad("reserved", 4),
)
FEED_STATE = _record(RecordType.FEED_STATE, "Feed state",
    _stamp(),
    Field("expected",  8, "uint",  "Next sequence that the book needs."),
    Field("received",  8, "uint",  "Sequence that was seen instead, or the next one."),
    Field("line",      1, "uint",  "0 A, 1 B, 2 recovery."),
    Field("state",     1, "uint",  "FeedState."),
    Field("session",  10, "ascii", "MoldUDP64 session."),
    _pad("reserved_1", 4), _pad("reserved_2", 8),
    _LATENCY, _pad("reserved_3", 4),
    note="A change of the feed's state: gap, recovered, stale, session, end.",
)
STATUS = _record(RecordType.STATUS, "Trading status",
    _stamp(), _FEED,
    Field("band_lower",     4, "price", "LULD auction collar lower price (J); 0 none."),
    Field("band_upper",     4, "price", "LULD auction collar upper price (J); 0 none."),
    Field("reference",      4, "price", "Reference price (J) or IPO price (K); 0 none."),
    Field("reason",         4, "ascii", "Reason of the trading action (H)."),
    _LOCATE,
    Field("trading_state",  1, "ascii", "H halted, P paused, Q quotation only, T trading."),
    Field("flags",          1, "uint",  "BookFlag."),
    _VERSION,
    Field("cause",          1, "ascii", "Type of the message: S H Y V W K J h."),
    Field("reg_sho",        1, "ascii", "Reg SHO action (Y): 0 1 2."),
    Field("market_phase",   1, "ascii", "Last system event (S): O S Q M E C."),
    Field("breach_level",   1, "ascii", "Market-wide circuit breaker level (W): 1 2 3."),
    Field("operational",    1, "ascii", "Operational halt (h): H halted, T resumed."),
    _pad("reserved_1", 1), _pad("reserved_2", 2),
    _LATENCY, _pad("reserved_3", 4),
    note="A change that decides whether an order may be sent; locate 0 is the whole market.",
)
IMBALANCE = _record(RecordType.IMBALANCE, "Net order imbalance",
    _stamp(), _FEED,
    Field("paired_shares",    8, "uint",  "Shares that match at the reference price."),
    Field("imbalance_shares", 8, "uint",  "Shares that do not."),
    _LOCATE,
    Field("direction",        1, "ascii", "B S N O P."),
    Field("cross_type",       1, "ascii", "O C H A."),
    _VERSION,
    Field("far_price",        4, "price", "Far indicative clearing price."),
    Field("near_price",       4, "price", "Near indicative clearing price."),
    _LATENCY,
    Field("reference_price",  4, "price", "Current reference price."),
)
DIRECTORY = _record(RecordType.DIRECTORY, "Instrument directory",
    _stamp(), _FEED,
    Field("symbol",          8, "ascii", "Stock, blank-padded."),
    Field("round_lot",       4, "uint",  "Round lot size."),
    Field("instrument",      4, "uint",  "Dense instrument number, 0xFFFFFFFF when filtered out."),
    _LOCATE,
    Field("market_category", 1, "ascii", "Q G S N A P Z V."),
    Field("financial_status", 1, "ascii", "N normal; see ITCH 5.0 R."),
    _VERSION,
    _pad("reserved_1", 8), _LATENCY, _pad("reserved_2", 4),
)

_ORDER = (
    Field("timestamp",    8, "uint",  "Egress stamp (sent) or decision stamp, ns.", volatile=True),
)
_TOKEN = Field("token", 4, "uint", "Device's order number: OUCH UserRefNum.")
_INTENT = Field("intent_id", 4, "uint", "Intent that asked for it.")

ORDER_SENT = _record(RecordType.ORDER_SENT, "Order sent",
    *_ORDER,
    Field("intent_timestamp", 8, "uint",  "Decision time stamp of the intent, ns.", volatile=True),
    _INTENT, _TOKEN,
    Field("price",         4, "price", "Limit price; 0 for a cancel."),
    Field("quantity",      4, "uint",  "Shares; for a cancel the size that is to remain."),
    _LOCATE,
    Field("side",          1, "ascii", "B S T E."),
    Field("session",       1, "uint",  "Order session."),
    Field("latency_ns",    4, "uint",  "Intent commit to egress, ns.", volatile=True),
    Field("open_notional", 8, "uint",  "Open notional of the firm after it, 1e-4 dollars."),
    Field("open_quantity", 4, "uint",  "Open shares of the instrument and side after it."),
    Field("operation",     1, "uint",  "Operation: NEW, CANCEL, REPLACE."),
    _pad("reserved_1", 1),
    Field("strategy",      2, "uint",  "Strategy that owns it."),
)


def _answer(kind: RecordType, title: str) -> Message:
    return _record(kind, title,
        Field("timestamp",        8, "uint",  "Stamp of the settle intent, ns.", volatile=True),
        Field("exchange_timestamp", 8, "uint", "Venue's stamp, ns since midnight."),
        _INTENT, _TOKEN,
        Field("price",            4, "price", "Price of the order or of the fill."),
        Field("quantity",         4, "uint",  "Shares accepted, filled or cancelled."),
        Field("leaves",           4, "uint",  "Shares still open."),
        Field("reason",           2, "uint",  "Venue's reason: OUCH cancel letter or reject code."),
        _LOCATE,
        Field("order_reference",  8, "uint",  "Venue's order reference."),
        Field("match_number",     8, "uint",  "Venue's match number (fills); the order that it replaced (replaced)."),
    )


ORDER_ACCEPTED = _answer(RecordType.ORDER_ACCEPTED, "Order accepted")
ORDER_FILLED = _answer(RecordType.ORDER_FILLED, "Order filled")
ORDER_CANCELED = _answer(RecordType.ORDER_CANCELED, "Order cancelled")
ORDER_REJECTED = _answer(RecordType.ORDER_REJECTED, "Order rejected by the venue")
ORDER_REPLACED = _answer(RecordType.ORDER_REPLACED, "Order replaced")
ORDER_RELEASED = _record(RecordType.ORDER_RELEASED, "Order released",
    Field("timestamp", 8, "uint", "Decision stamp, ns.", volatile=True),
    Field("symbol",    8, "ascii", "Stock, blank-padded."),
    _INTENT,
    Field("token",     4, "uint",  "New order's number; for a cancel the order's."),
    Field("previous",  4, "uint",  "For a replace the order that it replaces; else 0."),
    Field("price",     4, "price", "Limit price of the order."),
    Field("quantity",  4, "uint",  "Shares, those executed included; for a cancel the size that is to remain."),
    Field("total",     4, "uint",  "Shares of the order that it changes, those executed included; 0 for a new one."),
    Field("executed",  4, "uint",  "Shares of it that were executed."),
    _LOCATE,
    Field("side",      1, "ascii", "B S T E."),
    Field("operation", 1, "uint",  "Operation: NEW, CANCEL, REPLACE."),
    Field("session",   2, "uint",  "Order session."),
    Field("strategy",  2, "uint",  "Strategy that owns it."),
    Field("flags",     1, "uint",  "IntentFlag."),
    _pad("reserved_1", 1), _pad("reserved_2", 2),
    note="The device's release of an order message to a session that the host runs (FIX). It comes before the ORDER_SENT record of the message, and without it the session sends nothing.",
)
TRIGGER = _record(RecordType.TRIGGER, "Trigger",
    _stamp("Time of the event, ns."),
    Field("feed_sequence",  8, "uint",  "Message that fired it; 0 none."),
    _INTENT,
    Field("token",          4, "uint",  "Order that it sent or cancelled; 0 none: refused, or nothing fired."),
    Field("price",          4, "price", "Limit price of the order."),
    Field("quantity",       4, "uint",  "Shares of the order."),
    _LOCATE,
    Field("strategy",       2, "uint",  "Strategy that owns it."),
    Field("generation",     4, "uint",  "Generation of the slot."),
    Field("slot",           1, "uint",  "Slot of the instrument."),
    Field("kind",           1, "uint",  "TriggerKind."),
    Field("event",          1, "uint",  "TriggerEvent."),
    Field("group",          1, "uint",  "Group; 0 none."),
    Field("trigger_price",  4, "price", "Price that it watches."),
    _pad("reserved", 8),
    note="A trigger was armed, has fired or is no longer armed; a kill disarms all without such records. A fired one that the gate refuses has a RISK_REJECT before it.",
)
RISK_REJECT = _record(RecordType.RISK_REJECT, "Refused by the risk gate",
    _stamp("Decision stamp, ns."),
    Field("intent_timestamp", 8, "uint",  "Decision time stamp of the intent, ns.", volatile=True),
    _INTENT,
    Field("checks",         4, "uint",  "Mask of all failing checks, bit n is Check n."),
    Field("price",          4, "price", "Price asked for."),
    Field("quantity",       4, "uint",  "Quantity asked for."),
    Field("limit",          4, "uint",  "Limit of the check that is named; saturates."),
    Field("value",          4, "uint",  "Value that failed it; saturates."),
    _LOCATE,
    Field("strategy",       2, "uint",  "Strategy that asked."),
    Field("config_version", 4, "uint",  "Version of the limits table."),
    Field("side",           1, "ascii", "B S T E."),
    Field("operation",      1, "uint",  "Operation."),
    Field("check",          1, "uint",  "Check that refused it: the first failing one that is hard."),
    _pad("reserved_1", 1), _pad("reserved_2", 4),
)
INTENT_ERROR = _record(RecordType.INTENT_ERROR, "Intent refused",
    _stamp("Decision stamp, ns."),
    Field("slot",      4, "uint", "Slot of the intent window."),
    Field("expected",  4, "uint", "Value that was expected: sequence, CRC, epoch."),
    Field("received",  4, "uint", "Value that came."),
    Field("error",     1, "uint", "IntentError."),
    _pad("reserved_1", 1), _pad("reserved_2", 2),
    Field("intent_id", 4, "uint", "Intent, as far as it can be believed."),
    _pad("reserved_3", 4), _pad("reserved_4", 8), _pad("reserved_5", 8), _pad("reserved_6", 8),
)
KILL = _record(RecordType.KILL, "Kill latched",
    _stamp("Time of the kill, ns."),
    Field("cause",           4, "uint", "KillCause mask."),
    Field("watchdog_period", 4, "uint", "Microseconds."),
    Field("last_kick",       8, "uint", "Time of the last watchdog kick, ns.", volatile=True),
    Field("open_orders",     4, "uint", "Orders open at the venue."),
    Field("last_intent",     4, "uint", "Last intent executed."),
    Field("latency_ns",      4, "uint", "Cause seen to latch, ns.", volatile=True),
    _pad("reserved_1", 4), _pad("reserved_2", 8), _pad("reserved_3", 8),
)
CONFIG_ACKNOWLEDGED = _record(RecordType.CONFIG_ACKNOWLEDGED, "Limits table committed",
    _stamp("Time of the commit, ns."),
    Field("version", 4, "uint", "Version of the table."),
    Field("crc",     4, "uint", "CRC-32C of the table."),
    Field("ok",      1, "uint", "1 committed, 0 refused."),
    Field("reason",  1, "uint", "LimitsError; 0 when committed."),
    _pad("reserved_2", 2), _pad("reserved_3", 4),
    _pad("reserved_4", 8), _pad("reserved_5", 8), _pad("reserved_6", 8), _pad("reserved_7", 8),
)
TIME = _record(RecordType.TIME, "Clock snapshot",
    _stamp("Device clock at the snapshot, ns."),
    Field("clock",     8, "uint", "Device clock, ns.", volatile=True),
    Field("counter",   8, "uint", "Raw counter.", volatile=True),
    Field("increment", 4, "uint", "Increment, 2^-24 ns.", volatile=True),
    _pad("reserved_1", 4), _pad("reserved_2", 8), _pad("reserved_3", 8), _pad("reserved_4", 8),
)
LOST = _record(RecordType.LOST, "Records lost before the ring",
    _stamp("Time of the first loss, ns."),
    Field("first", 8, "uint", "First record number lost."),
    Field("count", 8, "uint", "Records lost."),
    _pad("reserved_1", 8), _pad("reserved_2", 8), _pad("reserved_3", 8), _pad("reserved_4", 8),
)
FRAME = _record(RecordType.FRAME, "Part of a frame of the order line",
    _stamp("First word of the frame on the line, ns."),
    Field("origin",   1, "uint",   "FrameOrigin."),
    Field("flags",    1, "uint",   "FrameFlag."),
    Field("size",     1, "uint",   "Octets of the frame in this record, from 1 on; all 40 but in the last one."),
    _pad("reserved_1", 1),
    Field("place",    2, "uint",   "Place of the first of them in the frame."),
    _pad("reserved_2", 2),
    Field("octets",  40, "octets", "Octets of the frame, without preamble and check; behind ``size`` zero."),
    note="Capture ring: every frame of the order line in both directions, in order for each origin. The kernel of the host gets those that were received, and adopts what the card sent.",
)

RECORDS: dict[RecordType, Message] = {
    RecordType[message.name.upper()]: message for message in (
        HEARTBEAT, BBO, LEVEL, TRADE, FEED_STATE, STATUS, IMBALANCE, DIRECTORY,
        ORDER_SENT, ORDER_ACCEPTED, ORDER_FILLED, ORDER_CANCELED, ORDER_REJECTED, ORDER_REPLACED,
        ORDER_RELEASED, TRIGGER,
        RISK_REJECT, INTENT_ERROR, KILL, CONFIG_ACKNOWLEDGED, TIME, LOST,
        FRAME)
}

STATE_LINE = Message("state_line", "", "State of one instrument", "tickwire state table", (
    Field("version_head",  4, "uint",  "Version; written first, read last."),
    _LOCATE,
    Field("trading_state", 1, "ascii", "ITCH H state."),
    Field("flags",         1, "uint",  "BookFlag."),
    Field("timestamp",     8, "uint",  "Ingress stamp of the last change, ns.", volatile=True),
    Field("bid_price",     4, "price", "Best bid; 0 none."),
    Field("ask_price",     4, "price", "Best ask; 0 none."),
    Field("bid_quantity",  4, "uint",  "Shares at the best bid."),
    Field("ask_quantity",  4, "uint",  "Shares at the best ask."),
    Field("feed_sequence", 8, "uint",  "Sequence of the message that changed it last."),
    Field("last_price",    4, "price", "Last printable trade."),
    Field("last_quantity", 4, "uint",  "Shares of the last printable trade."),
    Field("book_checksum", 8, "uint",  "Sum over all levels of price key x (orders << 40 | shares), modulo 2^64."),
    Field("version",       4, "uint",  "Version; written last, read first."),
    Field("bid_orders",    2, "uint",  "Orders at the best bid."),
    Field("ask_orders",    2, "uint",  "Orders at the best ask."),
), order="little", note="Written head, payload, tail; read tail, payload, head; accepted when the versions agree.")
assert STATE_LINE.size == RECORD_SIZE
