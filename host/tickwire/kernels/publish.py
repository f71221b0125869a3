"""Market records: the state line first, then the record in the ring.

A state line carries the version that the record repeats, so a reader that lost records finds in
the state table a state that is at least as new.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import EMPTY, book_at, header_at, side_at
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    call3,
    load64,
    nanoseconds,
    shift_right,
    store64,
    store64_release,
    unlikely,
)
from tickwire.kernels.ring import commit, slot
from tickwire.spec.records import BookFlag, RecordType

CROSSED = BookFlag.CROSSED.value
SATURATED = BookFlag.SATURATED.value
BBO = RecordType.BBO.value
LEVEL = RecordType.LEVEL.value
_U32 = 0xFFFFFFFF
_U16 = 0xFFFF
_SHARES = (1 << 40) - 1
_SIDES = (ord("B"), ord("S"))


@kernel(inline=True)
def latency(book):
    """Nanoseconds since the ingress stamp of the frame in hand, 0 where not timed."""
    b = book_at(book)
    if b["timed"] == 0:
        return 0
    return min(max(nanoseconds(CLOCK_REALTIME) - b["stamp"], 0), _U32)


@kernel(inline=True)
def next_version(book, instrument):
    """Begin a new version of the instrument's state; every record of this message carries it."""
    h = header_at(book_at(book)["sides"] + instrument * 128)
    h["version"] = np.uint32(h["version"] + 1)


@kernel(inline=True)
def write_state(book, instrument):
    """Write the instrument's state line: head, payload, tail. Returns the flags shown."""
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    bids = side_at(b["sides"] + instrument * 128)
    asks = side_at(b["sides"] + instrument * 128 + 64)
    bid, ask = np.int64(bids["best"]), np.int64(asks["best"])
    bid_price = 0 if bid == EMPTY else bid
    ask_price = 0 if ask == EMPTY else -ask
    bid_shares, ask_shares = bids["best_value"] & _SHARES, asks["best_value"] & _SHARES
    bid_orders = shift_right(bids["best_value"], 40)
    ask_orders = shift_right(asks["best_value"], 40)
    flags = np.int64(h["flags"]) | b["feed_flags"]
    if bid_price >= ask_price and bid_price != 0 and ask_price != 0:
        flags |= CROSSED
    if unlikely((bid_shares | ask_shares) > _U32 or (bid_orders | ask_orders) > _U16):
        flags |= SATURATED
        bid_shares, ask_shares = min(bid_shares, _U32), min(ask_shares, _U32)
        bid_orders, ask_orders = min(bid_orders, _U16), min(ask_orders, _U16)
    version = np.int64(h["version"])
    line = b["state"] + instrument * 64
    store64_release(line, version | np.int64(h["locate"]) << 32
                    | np.int64(h["trading_state"]) << 48 | flags << 56)
    store64_release(line + 8, b["timestamp"])
    store64_release(line + 16, bid_price | ask_price << 32)
    store64_release(line + 24, bid_shares | ask_shares << 32)
    store64_release(line + 32, b["sequence"])
    store64_release(line + 40, np.int64(h["last_price"]) | np.int64(h["last_quantity"]) << 32)
    store64_release(line + 48, bids["checksum"] + asks["checksum"])
    store64_release(line + 56, version | bid_orders << 32 | ask_orders << 48)
    return flags


@kernel(inline=True)
def observe(book, record, record_type):
    """Give a record that was just written to whoever observes the book in the device."""
    b = book_at(book)
    if unlikely(b["observer"] != 0):
        call3(b["observer"], b["observed"], record, record_type)


@kernel(inline=True)
def write_bbo(book, instrument, flags):
    """Write the BBO record of the state line that was just written."""
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    line = b["state"] + instrument * 64
    record = slot(b["ring"])
    store64(record, b["timestamp"])
    store64(record + 8, b["sequence"])
    store64(record + 16, load64(line + 16))
    store64(record + 24, load64(line + 24))
    store64(record + 32, np.int64(h["locate"]) | np.int64(h["trading_state"]) << 16
            | flags << 24 | np.int64(h["version"]) << 32)
    store64(record + 40, np.int64(h["last_price"]) | np.int64(h["last_quantity"]) << 32)
    store64(record + 48, latency(book) | shift_right(load64(line + 56), 32) << 32)
    commit(b["ring"], BBO)
    observe(book, record, BBO)


@kernel
def write_level(book, instrument, side, price, value):
    """Write the LEVEL record of a level whose ``value`` has just changed; 0: it is gone."""
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    record = slot(b["ring"])
    store64(record, b["timestamp"])
    store64(record + 8, b["sequence"])
    store64(record + 16, price | min(value & _SHARES, _U32) << 32)
    store64(record + 24, shift_right(value, 40) | np.int64(h["version"]) << 32)
    store64(record + 32, np.int64(h["locate"]) | _SIDES[side] << 16)
    store64(record + 40, 0)
    store64(record + 48, latency(book))
    commit(b["ring"], LEVEL)
