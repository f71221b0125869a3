"""Private memory of the engine: contexts of the host's half, the strategy and the device's half.

Nothing here crosses to another process; what does is in ``tickwire.spec``.
"""

import numpy as np

from tickwire.kernels.memory import view
from tickwire.spec.intents import INTENT
from tickwire.spec.records import RECORD_SIZE
from tickwire.spec.render import dtype
from tickwire.spec.shared import ENGINE_STATUS, POSITION

OUT_SLOTS = 16                              # intents of one call of a strategy
QUEUE_SLOTS = 256                           # intents from Python that wait for the loop
BATCH = 64                                  # market records of one turn
TIMER_TYPE = 0x22                           # RecordType.TIME: the strategy's timer, as a record
POSITION_SIZE = POSITION.size

HOST = np.dtype([
    ("market", "i8"),            # market ring: slot 0, slots - 1, number of the next record
    ("market_mask", "i8"),
    ("market_next", "i8"),
    ("orders", "i8"),            # order ring
    ("orders_mask", "i8"),
    ("orders_next", "i8"),
    ("ring_epoch", "i8"),
    ("releases", "i8"),          # byte ring of ORDER_RELEASED records for the host's sessions
    ("release_wake", "i8"),      # socket that tells of them
    ("lease", "i8"),             # LEASE of a FIX session that the engine may send on; 0 none
    ("consumed", "i8"),          # where the order ring's credit is returned; 0: another reader does
    ("arming", "i8"),            # address of register EPOCH
    ("kick", "i8"),              # address of register WATCHDOG_KICK; 0: another thread kicks
    ("kicks", "i8"),
    ("window", "i8"),            # intent window
    ("sequence", "i8"),          # intents put in the window so far
    ("credit", "i8"),            # intents that the device took so far, as far as records told
    ("cause", "i8"),             # stamp that the intents of the call in hand carry
    ("record", "i8"),            # the host's copy of the record in hand
    ("out", "i8"),               # where the strategy writes intents
    ("handler", "i8"),           # address of the strategy's C function; 0 none
    ("strategy", "i8"),          # STRATEGY context
    ("wanted", "i8"),            # one bit a record type that the strategy takes
    ("timer_ns", "i8"),          # period of the strategy's timer; 0 none
    ("timer_next", "i8"),
    ("queue", "i8"),             # intents from Python: slots, then positions of both sides
    ("queue_written", "i8"),     # address of the producer's position
    ("queue_read", "i8"),        # address of the consumer's
    ("positions", "i8"),         # POSITION of each instrument
    ("tokens", "i8"),            # TOKEN rows
    ("tokens_mask", "i8"),
    ("pending", "i8"),           # instrument + 1 by intent_id & 63, 0 none
    ("generations", "i8"),       # of each trigger slot: 4 octets, TRIGGERS an instrument
    ("locates", "i8"),           # instrument + 1 by stock locate, 4 octets each; 0 not watched
    ("instruments", "i8"),
    ("counters", "i8"),
    ("decision_stage", "i8"),    # histograms
    ("book_stage", "i8"),
    ("status", "i8"),            # ENGINE_STATUS
    ("market_digest", "i8"),     # of the records read
    ("order_digest", "i8"),
    ("masks", "i8"),             # bits of each record type that count in a digest
    ("feed_session", "i8"),      # first eight octets of its name, as the last FEED_STATE record
    ("feed_session_end", "i8"),  # told it, and the last two
], align=True)
"""Host's half: readers of both rings, writer of the window, ledger of orders and positions."""

DEVICE = np.dtype([
    ("book", "i8"),              # contexts of the components
    ("arbiter", "i8"),
    ("orders", "i8"),
    ("session", "i8"),
    ("host", "i8"),              # HOST; 0 when nobody listens
    ("recovery", "i8"),          # byte ring of answers of the request server; 0 none
    ("lines", "i8", 2),          # sockets of lines A and B; -1 none
    ("burst", "i8"),             # datagrams of one line in one turn
    ("buffer", "i8"),            # DATAGRAM octets
    ("registers", "i8"),
    ("counters", "i8"),
    ("receive_stage", "i8"),     # histograms
    ("risk_stage", "i8"),
    ("send_stage", "i8"),
    ("tick_stage", "i8"),
    ("given_time", "i8"),        # time of everything, ns; 0: the system's clock tells
    ("stamp", "i8"),             # ingress stamp of the datagram in hand
    ("tick_at", "i8"),           # when time-driven work is due
    ("heartbeat_at", "i8"),      # when a HEARTBEAT record is due
    ("market_seen", "i8"),       # records of the market ring when the last one was written
    ("idle", "i8"),              # turns in a row that found nothing to do
    ("idle_limit", "i8"),        # after so many the loop sleeps; 0 never
    ("polled", "i8"),            # struct pollfd of both lines, the session and the waker
    ("timeout", "i8"),           # struct timespec
    ("sleep_ns", "i8"),
], align=True)
"""Device's half: sockets, components, registers."""

MAILBOXES = {"KILL": 1 << 31, "ARM": 1 << 62, "LIMITS_COMMIT": 0, "INSTRUMENT_KILL": 1 << 31,
             "STRATEGY_KILL": 1 << 31, "SESSION_KILL": 1 << 31, "FEED_GIVE_UP": 0,
             "SESSION_STATE": 1 << 31}
"""Mark of each mailbox; 0 where no value that makes sense is 0."""

DATAGRAM = 1 << 16                          # octets of the receive buffer

STRATEGY = np.dtype([
    ("now", "i8"),               # time of the call, ns
    ("instrument", "i8"),        # dense number of the record's instrument; -1 none
    ("row", "i8"),               # the strategy's own row of that instrument
    ("position", "i8"),          # POSITION of that instrument
    ("parameters", "i8"),        # the strategy's parameters
    ("rows", "i8"),              # the strategy's rows of all instruments
    ("row_size", "i8"),
    ("positions", "i8"),
    ("states", "i8"),            # state table
    ("instruments", "i8"),
    ("intent_id", "i8"),         # last intent_id that was given
    ("strategy", "i8"),          # number that intents carry
    ("session", "i8"),           # order session that intents carry
    ("dropped", "i8"),           # intents beyond OUT_SLOTS
    ("shared", "i8"),            # the strategy's one row that belongs to no instrument
    ("random", "i8"),            # free for the strategy
    ("generations", "i8"),       # of each trigger slot, as the records tell them
], align=True)
"""What a strategy's function is given as its first argument."""

TOKEN = np.dtype([
    ("token", "u4"),
    ("instrument", "u4"),
    ("price", "i4"),
    ("leaves", "i4"),            # shares that may still execute
    ("is_sell", "i4"),
    ("is_open", "i2"),
    ("is_awaited", "i2"),        # the venue has not answered it
    ("intent_id", "u4"),
    ("strategy", "u4"),
], align=True)
"""One order as the host knows it from the records."""
assert TOKEN.itemsize == 32

device_at = view(DEVICE)
host_at = view(HOST)
strategy_at = view(STRATEGY)
token_at = view(TOKEN)
position_at = view(dtype(POSITION))
status_at = view(dtype(ENGINE_STATUS))
intent_at = view(dtype(INTENT))
assert RECORD_SIZE == INTENT.size == 64
