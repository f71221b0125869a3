"""Private memory of the order path: the contexts that its kernels share.

Everything that the path adds to is a signed word of 8 octets, so that no sum mixes signed with
unsigned. Nothing here crosses to the host; what does is in ``tickwire.spec``.
"""

from enum import IntEnum

import numpy as np

from tickwire.kernels.memory import view
from tickwire.spec.limits import FIRM_LIMITS, INSTRUMENT_LIMITS, LIMITS_ROW
from tickwire.spec.render import dtype

BATCH = 16                                  # orders of one packet group that leave together
SCAN = 1_024                                # order rows that one call of a mass cancel looks at
TX_SIZE = 1_024                             # octets of the largest packet group: BATCH cancels
ANSWER_RECORDS = 4                          # most records that one intent or answer writes
RESERVED_RECORDS = 32                       # room that only kills and limits commits may use

RISK = np.dtype([
    ("killed", "i8"),            # KillCause mask; any bit blocks orders
    ("version", "i8"),           # version of the committed limits table; 0 none
    ("crc", "i8"),               # its CRC-32C
    ("limits", "i8"),            # bank in force: firm row, then instrument rows
    ("spare", "i8"),             # the other bank
    ("staging", "i8"),           # rows as the host writes them
    ("instruments", "i8"),
    ("exposures", "i8"),         # EXPOSURE of each instrument
    ("state", "i8"),             # state table of the book
    ("feed_state", "i8"),        # address of the FeedState word
    ("sessions", "i8"),          # address of one word a session: 1 up
    ("open_notional", "i8"),     # firm: open orders at their limit price, 1e-4 dollars
    ("position_value", "i8"),    # firm: positions at their mark
    ("open_orders", "i8"),       # firm: orders open at the venue
    ("rate_time", "i8"),         # firm's token bucket: when it will be full again, ns
], align=True)

EXPOSURE = np.dtype([
    ("position", "i8"),          # shares, negative short
    ("open_buy", "i8"),          # shares that open buys may still execute
    ("open_sell", "i8"),
    ("open_orders", "i8"),
    ("open_notional", "i8"),     # the same at limit prices, 1e-4 dollars
    ("position_value", "i8"),    # position at its mark
    ("mark", "i8"),              # price that the position is valued at; 0 before the first fill
    ("rate_time", "i8"),
    ("killed", "i8"),            # the host killed this instrument
    ("cash", "i8"),              # received less paid, 1e-4 dollars
    ("bought", "i8"),            # shares bought today
    ("sold", "i8"),
    ("reserved", "i8", 4),
], align=True)
"""What one instrument may cost; profit at price p is ``cash + position * p``."""
assert EXPOSURE.itemsize == 128

REQUEST = np.dtype([
    ("instrument", "i8"),
    ("is_sell", "i8"),           # 0 or 1
    ("price", "i8"),
    ("quantity", "i8"),          # shares of the order, those executed included
    ("notional", "i8"),          # price x quantity
    ("added_quantity", "i8"),    # shares that it adds to the open ones of its side
    ("added_notional", "i8"),    # value that it adds to the open one
    ("added_orders", "i8"),      # 1 new, 0 replace
    ("session", "i8"),
    ("has_place", "i8"),         # the order table has a place for it
    ("limit", "i8"),             # out: limit and value of the first failing check
    ("value", "i8"),
], align=True)
"""What the gate is asked."""


class OrderState(IntEnum):
    """State of a row of the order table."""

    DEAD = 0
    SENT = 1             # not yet answered
    LIVE = 2             # accepted
    REPLACING = 3        # asks to take the place of ``previous``; not yet answered


ORDER = np.dtype([
    ("token", "u4"),             # UserRefNum; 0 never used
    ("previous", "u4"),          # order that this one replaces
    ("successor", "u4"),         # replace of this order that waits for its answer; 0 none
    ("intent_id", "u4"),
    ("price", "i4"),
    ("leaves", "i4"),            # shares that may still execute; 0 while REPLACING
    ("executed", "i4"),          # shares executed, by the orders that it replaced too
    ("quantity", "i4"),          # shares asked for, those executed included
    ("reference", "i8"),         # venue's order reference
    ("sent", "i8"),              # egress stamp, ns
    ("instrument", "u2"),
    ("locate", "u2"),
    ("strategy", "u2"),
    ("session", "u2"),
    ("state", "u1"),             # OrderState
    ("flags", "u1"),             # IntentFlag
    ("reserved", "u1", 6),
], align=True)
assert ORDER.itemsize == 64

STAGED = np.dtype([
    ("token", "u4"),
    ("intent_id", "u4"),
    ("price", "u4"),
    ("quantity", "u4"),
    ("intent_timestamp", "i8"),
    ("operation", "i8"),
], align=True)
"""One encoded order message whose ORDER_SENT record awaits the egress stamp."""
assert STAGED.itemsize == 32

ORDERS = np.dtype([
    ("risk", "i8"),              # RISK context
    ("request", "i8"),           # REQUEST
    ("table", "i8"),             # ORDER rows by token
    ("mask", "i8"),              # rows - 1
    ("next_token", "i8"),        # first token that was never used
    ("filter", "i8"),            # by locate: watched << 31 | instrument
    ("symbols", "i8"),           # by instrument: the symbol's 8 octets as a big-endian integer
    ("capacity", "i8"),          # OUCH capacity letter
    ("appendage", "i8"),         # address of the appendage "post only"
    ("tx", "i8"),                # address of TX_SIZE octets: packets to send now
    ("tx_session", "i8"),        # session that they belong to
    ("staged", "i8"),            # STAGED rows of them
    ("staged_count", "i8"),
    ("taken", "i8"),             # when they were decided, ns
    ("window", "i8"),            # intent slots
    ("intent", "i8"),            # the device's copy of the intent in hand
    ("expected", "i8"),          # sequence of the next intent
    ("refused", "i8"),           # last words of the slot that was refused for its sequence
    ("epoch", "i8"),             # arming token
    ("errors", "i8"),            # intents with a wrong CRC, epoch or sequence since arming
    ("last_intent", "i8"),       # intent_id of the last order intent executed
    ("session_count", "i8"),
    ("released", "i8"),          # one bit a session: the host runs it, the device releases records
    ("ring", "i8"),              # order ring
    ("market_ring", "i8"),       # market ring, whose records carry the credit too; 0 none
    ("counters", "i8"),
    ("acknowledge_stage", "i8"),  # histogram of stage order_to_ack; 0 none
    ("kill_time", "i8"),
    ("kill_action", "i8"),       # bit 0: mass cancel on kill
    ("keys", "i8"),              # arming keys taken: 0 or 1
    ("key_time", "i8"),          # when the first one came
    ("watchdog_ns", "i8"),       # longest time without a kick; 0 off
    ("kick_time", "i8"),
    ("watchdog_closed_ns", "i8"),  # time after a kick in which none may come; 0 off
    ("is_kicked", "i8"),         # there was a kick since arming
    ("kick_value", "i8"),
    ("sweep", "i8"),             # a mass cancel is under way
    ("sweep_row", "i8"),         # row that it looks at next
    ("sweep_token", "i8"),       # it cancels orders below this token
    ("sweep_instrument", "i8"),  # it cancels orders of this instrument; -1 all
    ("sweep_intent", "i8"),      # intent_id that asked for it; 0 the kill
    ("sweep_timestamp", "i8"),
], align=True)

FIRM = dtype(FIRM_LIMITS)
LIMITS = dtype(INSTRUMENT_LIMITS)
assert FIRM.itemsize == LIMITS.itemsize == LIMITS_ROW

risk_at = view(RISK)
exposure_at = view(EXPOSURE)
request_at = view(REQUEST)
order_at = view(ORDER)
staged_at = view(STAGED)
orders_at = view(ORDERS)
firm_at = view(FIRM)
limits_at = view(LIMITS)
