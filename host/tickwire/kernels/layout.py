"""Private memory of the book: the context that its kernels share, and the lines they touch.

Every entry is 64 octets, one cache line, or a few of them. Nothing here crosses to the host;
what does is in ``tickwire.spec``.
"""

import numpy as np

from tickwire.kernels.memory import view

EMPTY = -(1 << 31)                          # no price, no tick; below every real key
NO_TICK = EMPTY

BOOK = np.dtype([
    ("orders", "i8"),            # order table: left buckets, right buckets, stash lines
    ("orders_log2", "i8"),
    ("orders_mask", "i8"),       # buckets of one table - 1
    ("orders_right", "i8"),      # address of the right buckets
    ("orders_stash", "i8"),      # address of the stash lines
    ("order_stash_lines", "i8"),
    ("order_stash_used", "i8"),
    ("levels", "i8"),            # level table: left buckets, right buckets, stash lines
    ("levels_shift", "i8"),      # 32 - logarithm of the buckets of one table
    ("levels_right", "i8"),
    ("levels_stash", "i8"),
    ("level_stash_lines", "i8"),
    ("level_stash_used", "i8"),
    ("sides", "i8"),             # SIDE of each instrument and side, bid first, HEADER in between
    ("bitmaps", "i8"),           # window words of each instrument and side
    ("window_words", "i8"),
    ("lookups", "i8"),           # level look-ups of one step of a sweep
    ("depth", "i8"),             # whether LEVEL records are written
    ("queue", "i8"),             # sides that wait for a sweep
    ("queue_mask", "i8"),
    ("queue_head", "i8"),
    ("queue_tail", "i8"),
    ("sweep", "i8"),             # side that is being swept, -1 none
    ("round", "i8"),             # number of the sweep, or of its present attempt
    ("ask", "i8"),               # tick key that was asked for last
    ("steps", "i8"),             # steps so far, whether a side waited or not
    ("asked", "i8"),             # what each of the last steps asked for: round, floor, tick key
    ("pending", "i8"),           # sides that wait for a sweep or are in one
    ("filter", "i8"),            # by locate: watched << 31 | instrument
    ("watch_all", "i8"),         # every locate below `instruments` is watched
    ("instruments", "i8"),
    ("symbols", "i8"),           # by instrument: the symbol, 8 octets
    ("watched", "i8"),           # open-addressed table of watched symbols: symbol, instrument
    ("watched_mask", "i8"),
    ("status", "i8"),            # STATUS_LINE of each instrument; the last one is the market
    ("state", "i8"),             # state table, in shared memory
    ("ring", "i8"),              # market ring
    ("counters", "i8"),
    ("sizes", "i8"),             # message size by type octet, 0 unknown
    ("feed_flags", "i8"),        # BookFlag bits of the whole feed: recovering, stale
    ("stamp", "i8"),             # ingress stamp of the frame; 0: the message's own time stamp
    ("timed", "i8"),             # whether records carry a latency
    ("changed", "i8"),           # whether the message in hand changed a best level or a flag
    ("sequence", "i8"),          # sequence of the message in hand
    ("timestamp", "i8"),         # stamp of the message in hand
    ("by_type", "i8"),           # address of 256 message counts, 0 none
    ("first_faults", "i8"),      # by counter: sequence of the first message with that fault
    ("observer", "i8"),          # C function that is given each BBO and TRADE record; 0 none
    ("observed", "i8"),          # its first argument
], align=True)

def _line(size, *fields):
    """Structure of ``size`` octets from (offset, name, kind) of each field."""
    offsets, names, kinds = zip(*fields, strict=True)
    return np.dtype({"names": list(names), "formats": list(kinds), "offsets": list(offsets),
                     "itemsize": size}, align=True)


SIDE = _line(
    64,
    (0, "best", "i4"),               # price key of the best level; EMPTY none
    (4, "floor", "i4"),              # every level with a tick key from here up has its bit
    (8, "best_value", "i8"),         # orders << 40 | shares at the best level
    (16, "summary", "i8"),           # one bit a window word that is not empty
    (24, "checksum", "i8"),          # sum of price key x value over all levels
    (32, "levels", "i4"),            # live levels, wherever they are
    (36, "unseen_high", "i4"),       # no level without a bit is above this tick key; EMPTY none
    (40, "unseen_low", "i4"),        # no level without a bit is below this tick key
    (44, "off_grid_high", "i4"),     # greatest tick key of an off-grid level below the floor
    (48, "queued", "u1"))            # waits for or is in a sweep
"""One side of an instrument, a cache line; its last 13 octets belong to the header."""

HEADER = _line(
    128,
    (51, "flags", "u1"),             # BookFlag bits that stay: DESYNCED, BID_HIDDEN, ASK_HIDDEN
    (52, "tick", "u4"),              # tick size, 0 until the first order
    (56, "tick_multiplier", "u4"),   # price * multiplier >> shift is price // tick
    (60, "locate", "u2"),
    (62, "tick_shift", "u1"),
    (63, "trading_state", "u1"),
    (116, "version", "u4"),          # version of the state line
    (120, "last_price", "u4"),
    (124, "last_quantity", "u4"))
"""What an instrument's two sides share, in the octets of their two cache lines that they leave."""

STATUS_LINE = np.dtype([
    ("band_lower", "u4"), ("band_upper", "u4"), ("reference", "u4"), ("reason", "u4"),
    ("reg_sho", "u1"), ("market_phase", "u1"), ("breach_level", "u1"), ("operational", "u1"),
    ("round_lot", "u4"),
    ("reserved", "i8", 5),
], align=True)
assert STATUS_LINE.itemsize == 64

ASKED_SIZE = 24                             # octets of one step's entry in `asked`

book_at = view(BOOK)
header_at = view(HEADER)
side_at = view(SIDE)
status_at = view(STATUS_LINE)
