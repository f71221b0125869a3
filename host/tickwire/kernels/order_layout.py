"""Private memory of the order path: the contexts that its kernels share.

Everything that the path adds to is a signed word of 8 octets, so that no sum mixes signed with
unsigned. Nothing here crosses to the host; what does is in ``tickwire.spec``.
"""

import numpy as np

from tickwire.kernels.memory import view
from tickwire.spec.intents import TRIGGERS
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    LIMITS_ROW,
    SESSION_LIMITS,
    STRATEGY_LIMITS,
)
from tickwire.spec.orders import OWN_ORDERS
from tickwire.spec.render import dtype

BATCH = 16                                  # orders of one packet group that leave together
SCAN = 1_024                                # order rows that one call of a mass cancel looks at
TX_SIZE = 1_024                             # octets of the largest packet group: BATCH cancels

RISK = np.dtype([
    ("killed", "i8"),            # KillCause mask; any bit blocks orders
    ("version", "i8"),           # version of the committed limits table; 0 none
    ("crc", "i8"),               # its CRC-32C
    ("limits", "i8"),            # bank in force: rows of firm, instruments, strategies, sessions
    ("spare", "i8"),             # the other bank
    ("derived", "i8"),           # DERIVED of each row of the bank in force
    ("spare_derived", "i8"),     # the same of the other bank
    ("staging", "i8"),           # rows as the host writes them
    ("instruments", "i8"),
    ("exposures", "i8"),         # EXPOSURE of each instrument
    ("strategies", "i8"),        # STRATEGY of each strategy
    ("session_uses", "i8"),      # SESSION_USE of each order session
    ("state", "i8"),             # state table of the book
    ("status", "i8"),            # STATUS_LINE of each instrument; the last one is the market
    ("feed_state", "i8"),        # address of the FeedState word
    ("sessions", "i8"),          # address of one word a session: 1 up
    ("open_notional", "i8"),     # firm: open orders at their limit price, 1e-4 dollars
    ("open_buy_notional", "i8"),  # the same, buys alone
    ("position_value", "i8"),    # firm: positions at their mark
    ("net_value", "i8"),         # the same, shorts negative
    ("cash", "i8"),              # firm: received less paid, 1e-4 dollars
    ("open_orders", "i8"),       # firm: orders open at the venue
    ("rate_time", "i8"),         # firm's token bucket: when it will be full again, ns
], align=True)

EXPOSURE = np.dtype([            # what every order needs comes first
    ("position", "i8"),          # shares, negative short
    ("open_buy", "i8"),          # shares that open buys may still execute
    ("open_sell", "i8"),
    ("open_orders", "i8"),
    ("open_notional", "i8"),     # the same at limit prices, 1e-4 dollars
    ("position_value", "i8"),    # position at its mark
    ("mark", "i8"),              # price that the position is valued at; 0 before the first fill
    ("rate_time", "i8"),
    ("net_value", "i8"),         # position at its mark, negative short
    ("turnover", "i8"),          # value traded today, 1e-4 dollars
    ("killed", "i8"),            # the host killed this instrument
    ("bought", "i8"),            # shares bought today
    ("sold", "i8"),
    ("best_key", "i4", 2),       # greatest price key of the open buys and sells; 0 none
    ("newest", "i8", 2),         # newest order of each side: quantity << 32 | price
    ("newest_time", "i8", 2),    # when it passed
    ("cash", "i8"),              # received less paid, 1e-4 dollars
    ("own_used", "i8"),          # one bit a place of ``own``
    ("own", "i4", 2 * OWN_ORDERS),   # price keys of open buys, then of open sells; 0 none
    ("more", "i4", 2),           # open orders of each side that found no place
    ("more_key", "i4", 2),       # greatest price key of those since there was none
    ("reserved", "i8", 2),
], align=True)
"""What one instrument may cost; profit at price p is ``cash + position * p``."""
assert EXPOSURE.itemsize == 256

STRATEGY = np.dtype([
    ("killed", "i8"),            # the host killed this strategy
    ("orders", "i8"),            # new orders and replaces since it was released
    ("rate_time", "i8"),
    ("reserved", "i8", 5),
], align=True)
assert STRATEGY.itemsize == 64

SESSION_USE = np.dtype([
    ("killed", "i8"),            # the host killed this session
    ("orders", "i8"),            # new orders and replaces today
    ("earned", "i8"),            # orders that executions have earned today
    ("message_time", "i8"),      # token bucket of messages: when it will be full again, ns
    ("reserved", "i8", 4),
], align=True)
assert SESSION_USE.itemsize == 64

DIVISOR = np.dtype([
    ("inverse", "u4"),           # of the divisor's odd part, modulo 2^32
    ("shift", "u2"),             # binary zeros behind the odd part
    ("room", "u2"),              # bits that the quotient of a multiple may have
], align=True)
assert DIVISOR.itemsize == 8

DERIVED = np.dtype([
    ("tick", DIVISOR),
    ("tick_below_dollar", DIVISOR),
    ("lot", DIVISOR),
    ("rate_room", "i8"),         # most that a bucket's time may be ahead; of messages in sessions
], align=True)
"""What a commit works out from one row of limits, so that no order needs a division."""
assert DERIVED.itemsize == 32

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
    ("strategy", "i8"),          # below STRATEGIES
    ("kinds", "i8"),             # OrderPermit: DAY or IMMEDIATE, POST_ONLY, SHORT
    ("decided", "i8"),           # when it was decided, or its trigger armed, ns
    ("has_place", "i8"),         # the order table has a place for it
    ("check", "i8"),             # out: first failing check that is hard, its limit and value
    ("limit", "i8"),
    ("value", "i8"),
], align=True)
"""What the gate is asked."""


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
    ("place", "u1"),             # of its price in ``own``; OWN_ORDERS none
    ("reserved", "u1", 5),
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

TRIGGER_ROW = np.dtype([
    ("intent", "u1", 64),        # the order as an intent, NEW or CANCEL
    ("generation", "u4"),
    ("trigger_price", "u4"),
    ("trigger_quantity", "i8"),
    ("decided", "i8"),           # when it was armed, by the host's time stamp
    ("deadline", "i8"),          # 0 none
    ("epoch", "i8"),             # arming token that it was armed under
    ("token", "i8"),             # order whose fills count, or that it cancels
    ("kind", "u1"),              # TriggerKind
    ("group", "u1"),
    ("is_sell", "u1"),
    ("reserved", "u1", 13),
], align=True)
"""One slot for a trigger."""
assert TRIGGER_ROW.itemsize == 128

TRIGGER_HEAD = np.dtype([
    ("armed", "i8"),             # one bit a slot
    ("hedges", "i8"),            # those of them that are of kind FILL_HEDGE
    ("reserved", "i8", 6),
], align=True)
"""Before the slots of one instrument."""
TRIGGER_BLOCK = TRIGGER_HEAD.itemsize + TRIGGERS * TRIGGER_ROW.itemsize
assert TRIGGER_HEAD.itemsize == 64

ORDERS = np.dtype([
    ("triggers", "i8"),          # TRIGGER_BLOCK of each instrument
    ("armed", "i8"),             # slots that are armed, of all instruments
    ("risk", "i8"),              # RISK context
    ("request", "i8"),           # REQUEST
    ("table", "i8"),             # ORDER rows by token
    ("mask", "i8"),              # rows - 1
    ("next_token", "i8"),        # first token that was never used
    ("filter", "i8"),            # by locate: watched << 31 | instrument
    ("sides", "i8"),             # the book's two sides of each instrument, which say its locate
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
    ("kill_action", "i8"),       # KillAction
    ("keys", "i8"),              # arming keys taken: 0 or 1
    ("key_time", "i8"),          # when the first one came
    ("watchdog_ns", "i8"),       # longest time without a kick; 0 off
    ("kick_time", "i8"),
    ("watchdog_closed_ns", "i8"),  # time after a kick in which none may come; 0 off
    ("is_kicked", "i8"),         # there was a kick since arming
    ("kick_value", "i8"),
    ("filled_token", "i8"),      # the fill that was settled last, for triggers: order,
    ("filled_quantity", "i8"),   # shares, 0 when it was looked at, and instrument
    ("filled_instrument", "i8"),
    ("sweep", "i8"),             # a mass cancel is under way
    ("sweep_row", "i8"),         # row that it looks at next
    ("sweep_token", "i8"),       # it cancels orders below this token
    ("sweep_instrument", "i8"),  # it cancels orders of this instrument; -1 all
    ("sweep_intent", "i8"),      # intent_id that asked for it; 0 the kill
    ("sweep_timestamp", "i8"),
], align=True)

FIRM = dtype(FIRM_LIMITS)
LIMITS = dtype(INSTRUMENT_LIMITS)
STRATEGY_ROW = dtype(STRATEGY_LIMITS)
SESSION_ROW = dtype(SESSION_LIMITS)
assert {row.itemsize for row in (FIRM, LIMITS, STRATEGY_ROW, SESSION_ROW)} == {LIMITS_ROW}

risk_at = view(RISK)
exposure_at = view(EXPOSURE)
strategy_at = view(STRATEGY)
session_use_at = view(SESSION_USE)
divisor_at = view(DIVISOR)
derived_at = view(DERIVED)
request_at = view(REQUEST)
order_at = view(ORDER)
staged_at = view(STAGED)
orders_at = view(ORDERS)
trigger_at = view(TRIGGER_ROW)
trigger_head_at = view(TRIGGER_HEAD)
firm_at = view(FIRM)
limits_at = view(LIMITS)
strategy_limits_at = view(STRATEGY_ROW)
session_limits_at = view(SESSION_ROW)
