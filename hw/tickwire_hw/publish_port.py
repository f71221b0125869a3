"""What the end of the book's pipeline takes: everything that may become a record, in order."""

from amaranth.lib import data, enum

from tickwire_hw.blocks_port import MESSAGE_SIZE_MAX
from tickwire_hw.feed_port import FLAGS_SHAPE, LINE_SHAPE, SESSION_SHAPE, STATE_SHAPE
from tickwire_hw.level_table import LEVEL
from tickwire_hw.order_table import PRICE


class PublishKind(enum.Enum, shape=4):
    """What an operation is; the letters are the messages."""

    NONE = 0             # nothing at all
    ORDER = 1            # A, F, X, D, each half of U
    EXECUTE = 2          # E, C
    PRINT = 3            # P, Q, B
    OTHER = 4            # every other type
    STEP = 5             # a step of a sweep
    SHOW = 6             # one instrument, after a flag of the feed fell or all books were marked
    FEED = 7             # a FEED_STATE record
    UNREADABLE = 8       # a block that is no message, but names its instrument


class Operation(data.Struct):
    """One operation; what its kind does not name means nothing, but for what is 0 then.

    An ORDER or EXECUTE of an instrument that is not watched touches nothing.

    ``sequence`` and ``timestamp`` go into the record: a message's number and time, for ``STEP``
    those of the message before it, for ``FEED`` and ``SHOW`` those of the event, but the number of
    the last message where only flags fell.
    """

    kind: PublishKind
    is_last: 1                             # ORDER: no other half of the message follows
    is_watched: 1                          # but for STEP and FEED: the instrument is
    sequence: 64
    timestamp: 64
    feed_flags: FLAGS_SHAPE                # always: BookFlag bits of the whole feed, in force
    data: 8 * MESSAGE_SIZE_MAX             # EXECUTE, PRINT, OTHER: the message, octet 0 lowest
    is_touched: 1                          # ORDER, EXECUTE, STEP, else 0: may have changed
    touched_side: 1                        # this side, 0 bid, 1 ask,
    has_best: 1                            # whose best level now is
    best_price: PRICE                      # this
    best_value: LEVEL
    is_hidden: 1                           # or cannot be shown
    is_desync: 1                           # ORDER, EXECUTE, STEP, else 0: marks the instrument
    checksum: 64                           # ORDER, EXECUTE, else 0: the book's checksum grows by
    is_found: 1                            # EXECUTE: the order is there,
    price: PRICE                           # and this is its price
    side: 1                                # and its side
    is_desync_all: 1                       # SHOW: every watched book is marked
    line: LINE_SHAPE                       # FEED: as FeedEvent
    state: STATE_SHAPE
    received: 64
    session: SESSION_SHAPE
