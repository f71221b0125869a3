"""Private memory of the venue: what its kernels share, row by row.

Slot 0 of the orders and of the levels is never used: 0 means none, so that zeroed memory is a
valid empty market. Prices are ten-thousandths of a dollar, as on the wire.
"""

from enum import IntEnum

import numpy as np

from tickwire.kernels.memory import view

NONE = 0
BUY, SELL = 0, 1
HOUSE = 0                                  # owner of the orders of the venue's own agents
PRICE_NONE = 1 << 31                       # limit of an order that takes any price

ORDER = np.dtype([
    ("reference", "i8"),         # number of the order in ITCH and OUCH; 0 in a free slot
    ("next", "i4"),              # younger order of the level; next free slot
    ("previous", "i4"),          # older order of the level
    ("level", "i4"),             # slot of the level; 0 while the order does not rest
    ("symbol", "u2"),            # from 0
    ("side", "u1"),              # BUY or SELL
    ("attributed", "u1"),        # shown with the firm (ITCH F)
    ("price", "i4"),
    ("quantity", "i4"),          # shares open
    ("owner", "i4"),             # account from 1; HOUSE
    ("number", "u4"),            # user_ref_num
    ("executed", "i4"),          # shares executed by the whole chain of replaces
    ("chain", "i4"),             # next order of the same bucket of the number table
    ("owner_next", "i4"),        # next order of the account; position in the roster of the house
    ("owner_previous", "i4"),
    ("side_code", "u1"),         # B S T E
    ("time_in_force", "u1"),
    ("display", "u1"),
    ("capacity", "u1"),
    ("iso_eligible", "u1"),
    ("cross_type", "u1"),
    ("spare", "u1", 2),
], align=True)
assert ORDER.itemsize == 64

LEVEL = np.dtype([
    ("head", "i4"),              # oldest order, first to trade; next free slot in a free one
    ("tail", "i4"),
    ("orders", "i4"),
    ("price", "i4"),
    ("quantity", "i8"),          # shares open
    ("spare", "i8"),
], align=True)
assert LEVEL.itemsize == 32

SYMBOL = np.dtype([
    ("name", "i8"),              # 8 octets of text as a big-endian integer
    ("tick", "i4"),
    ("locate", "i4"),            # ITCH stock locate, from 1
    ("bid_levels", "i4"),        # price levels now
    ("ask_levels", "i4"),
    ("state", "i4"),             # ITCH trading state: T trading, H halted
    ("last_price", "i4"),        # price of the last trade, 0 none
    ("volume", "i8"),            # shares traded
    ("orders", "i8"),            # orders that rest now
    ("spare", "i8", 2),
], align=True)
assert SYMBOL.itemsize == 64

EVENT = np.dtype([
    ("kind", "i4"),              # EventKind
    ("price", "i4"),
    ("quantity", "i4"),
    ("reason", "i4"),            # OUCH cancel reason
    ("match_number", "i8"),
    ("owner", "i4"),             # of the resting order; of the canceled order
    ("number", "u4"),
    ("taker_owner", "i4"),
    ("taker_number", "u4"),
    ("reference", "i8"),         # of the resting order; of the canceled order
    ("taker_reference", "i8"),
    ("left", "i4"),              # shares that the resting order has left
    ("spare", "i4"),
], align=True)
assert EVENT.itemsize == 64

ENGINE = np.dtype([
    ("orders", "i8"), ("order_slots", "i8"),       # ORDER rows, slot 0 included
    ("order_used", "i8"), ("order_free", "i8"),    # slots ever used; head of the free list
    ("orders_live", "i8"),
    ("levels", "i8"), ("level_used", "i8"), ("level_free", "i8"),
    ("symbols", "i8"), ("symbol_count", "i8"),
    ("keys", "i8"), ("depth", "i8"),               # level keys of each symbol and side
    ("keys_stride", "i8"),       # octets from one side's keys to the next
    ("clock", "i8"),             # time of the command in hand, nanoseconds since midnight
    ("limit", "i8"),             # signed price that the command in hand takes at worst
    ("reference", "i8"),         # last order reference given
    ("match_number", "i8"),      # last match number given
    ("events", "i8"), ("event_count", "i8"),       # EVENT rows of the command in hand
    ("event_slots", "i8"),
    ("roster", "i8"), ("roster_count", "i8"),      # slots of the live orders of the house
    ("numbers", "i8"), ("numbers_mask", "i8"),     # first slot by hash of account and number
    ("accounts", "i8"), ("account_count", "i8"),   # ACCOUNT rows, row 0 unused
    ("names", "i8"), ("names_mask", "i8"),         # open-addressed table of symbols: name, number
    ("scratch", "i8"),           # where an order-entry message is decoded, 64 octets
    ("store", "i8"),             # STORE of the market data
    ("firm", "i8"),              # attribution of the house's orders
    ("counters", "i8"),
], align=True)

STORE = np.dtype([
    ("base", "i8"), ("size", "i8"),                # octets, a power of two
    ("position", "i8"),          # where the next message goes
    ("limit", "i8"),             # octets before it are clear of older messages
    ("lap_end", "i8"),           # end of the last message before the store began again at 0
    ("index", "i8"), ("index_mask", "i8"),         # offset of each message by its number
    ("count", "i8"),             # messages so far: the number of the newest
    ("oldest", "i8"),            # number of the oldest message that is still whole
    ("octets", "i8"),            # octets of all messages so far, lengths included
], align=True)

ACCOUNT = np.dtype([
    ("store", "i8"),             # STORE of its sequenced SoupBinTCP packets
    ("number", "i8"),            # greatest user_ref_num so far
    ("orders", "i4"),            # first of its live orders; NONE
    ("order_count", "i4"),
    ("is_disabled", "i4"),       # order entry disabled
    ("firm", "i4"),              # 4 octets of text as a big-endian integer
], align=True)

FLOW = np.dtype([
    ("engine", "i8"), ("random", "i8"),
    ("markets", "i8"),           # MARKET rows, one a symbol
    ("guide", "i8"), ("guide_bits", "i8"),         # table to draw a symbol by its activity
    ("weights", "i8"),           # cumulative activity, in 2^-32
    ("exponential", "i8"),       # quantiles of the exponential distribution, in 2^-16
    ("gap", "i8"),               # mean time between messages, in 2^-8 ns
    ("is_bursty", "i8"),         # heavy-tailed gaps
    ("due", "i8"),               # time of the next action, in 2^-8 ns
    ("live", "i8"),              # resting orders that the agents aim at
    ("agents", "i8"),            # firms that share the orders
    ("actions", "i8"),
], align=True)

MARKET = np.dtype([
    ("fair", "i8"),              # fair value of the agents, in 2^-16 price units
    ("anchor", "i8"),            # value that it returns to
    ("half_spread", "i8"),       # in 2^-16 price units
    ("half_spread_goal", "i8"),
    ("scale", "i8"),             # usual half spread, in 2^-16 price units
    ("start", "i8"),             # value at the start; bounds the others
    ("spare", "i8", 2),
], align=True)
assert MARKET.itemsize == 64

LINE = np.dtype([
    ("socket", "i8"),
    ("random", "i8"),            # state of its own generator
    ("loss", "i8"), ("duplicate", "i8"), ("reorder", "i8"),      # chances in 2^-32
    ("delay", "i8"),             # nanoseconds
    ("held", "i8"), ("held_octets", "i8"),         # packet that the next one overtakes
    ("held_until", "i8"),        # monotonic time when it goes out all the same
    ("queue", "i8"), ("queue_mask", "i8"),         # DELAYED rows
    ("queue_head", "i8"), ("queue_tail", "i8"),
    ("counters", "i8"),          # address of its first counter
], align=True)

PACKET_SPACE = 1_472                       # an Ethernet frame's worth of UDP payload

DELAYED = np.dtype([
    ("due", "i8"), ("octets", "i8"), ("packet", "u1", PACKET_SPACE),
], align=True)

PUBLISHER = np.dtype([
    ("store", "i8"),
    ("published", "i8"),         # number of the last message that was sent
    ("session", "u1", 16),       # 10 octets of text
    ("packet", "i8"),            # where a packet is built
    ("packet_octets", "i8"),     # greatest UDP payload
    ("lines", "i8"), ("line_count", "i8"),
    ("last_sent", "i8"),         # monotonic time
    ("ended", "i8"),             # whether end of session takes the place of heartbeats
    ("heartbeat", "i8"),         # nanoseconds of silence until a heartbeat
    ("request_socket", "i8"),
    ("request_loss", "i8"),      # chance in 2^-32 that a request goes unanswered
    ("random", "i8"),
    ("request", "i8"),           # where a request is received
    ("peer", "i8"),              # where its sender's address is received
    ("counters", "i8"),
], align=True)

CONNECTION = np.dtype([
    ("socket", "i8"),
    ("state", "i8"),             # ConnectionState
    ("account", "i8"),           # index from 1, 0 before login
    ("input", "i8"), ("input_octets", "i8"),       # octets received and not yet consumed
    ("next", "i8"),              # number of the sequenced message that goes out next
    ("part", "i8"),              # octets of it that went out already
    ("received_at", "i8"),       # monotonic time of the last octet in
    ("sent_at", "i8"),           # monotonic time of the last octet out
    ("fault", "i8"),             # Fault that closed it
], align=True)

POLLED = np.dtype([("socket", "i4"), ("events", "i2"), ("returned", "i2")])

SERVER = np.dtype([
    ("engine", "i8"), ("flow", "i8"), ("publisher", "i8"),
    ("polled", "i8"), ("polled_count", "i8"),      # POLLED rows: listener, waker, requests, ...
    ("connections", "i8"),       # ... then one a connection, by CONNECTION row
    ("connection_count", "i8"),
    ("is_trading", "i8"),        # whether the agents act
    ("midnight", "i8"),          # monotonic time of midnight
    ("timeout", "i8"),           # where a timespec is built
    ("lag_max", "i8"),           # agents behind by more give the time up, nanoseconds
    ("rest", "i8"),              # shortest sleep, nanoseconds
    ("counters", "i8"),
], align=True)


ORDER_SIZE, LEVEL_SIZE, SYMBOL_SIZE, EVENT_SIZE, ACCOUNT_SIZE, MARKET_SIZE = (
    int(row.itemsize) for row in (ORDER, LEVEL, SYMBOL, EVENT, ACCOUNT, MARKET))
LINE_SIZE, DELAYED_SIZE, CONNECTION_SIZE, POLLED_SIZE = (
    int(row.itemsize) for row in (LINE, DELAYED, CONNECTION, POLLED))
LEVEL_COUNTS = int(SYMBOL.fields["bid_levels"][1])
"""Offset in a symbol of its two counts of levels, 4 octets each, by side."""

ATTRIBUTES = int(ORDER.fields["side_code"][1])
"""Offset in an order of the octets that the market does not need: six codes, as in OUCH."""


class EventKind(IntEnum):
    """What happened in the command in hand."""

    EXECUTION = 1
    CANCEL = 2


class ConnectionState(IntEnum):
    """Life of a SoupBinTCP connection."""

    FREE = 0
    LOGIN = 1                    # connected, no login yet
    ACTIVE = 2
    CLOSING = 3                  # nothing more is read; closed by the control loop


class Fault(IntEnum):
    """Why a connection was closed."""

    NONE = 0
    CLOSED = 1                   # by the peer
    LOGOUT = 2
    MALFORMED_PACKET = 3         # SoupBinTCP
    MALFORMED_MESSAGE = 4        # OUCH
    SLOW = 5                     # its messages left the store before they could be sent
    TIMEOUT = 6
    REPLACED = 7                 # the account logged in again
    REJECTED = 8                 # login
    ENDED = 9                    # end of session


order_at = view(ORDER)
level_at = view(LEVEL)
symbol_at = view(SYMBOL)
event_at = view(EVENT)
engine_at = view(ENGINE)
store_at = view(STORE)
account_at = view(ACCOUNT)
flow_at = view(FLOW)
market_at = view(MARKET)
line_at = view(LINE)
delayed_at = view(DELAYED)
publisher_at = view(PUBLISHER)
connection_at = view(CONNECTION)
polled_at = view(POLLED)
server_at = view(SERVER)
