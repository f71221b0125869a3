"""ITCH 5.0 messages to book events and records: all 23 types, one message a call.

The caller has checked the type and the length (:func:`tickwire.kernels.arbiter.blocks`). Order
messages find their instrument through the stock locate before anything else is read, so its
header is on the way while the order table is searched.
"""

import numpy as np

from tickwire.kernels import level_table, order_table
from tickwire.kernels.book import add, add_to, background, desync, publish, reduce
from tickwire.kernels.faults import fault
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at, header_at, side_at
from tickwire.kernels.memory import (
    load8,
    load32,
    load64,
    load_be16,
    load_be32,
    load_be48,
    load_be64,
    prefetch,
    store64,
    unlikely,
)
from tickwire.kernels.publish import latency, next_version, observe, write_bbo, write_state
from tickwire.kernels.ring import commit, count, slot
from tickwire.kernels.status import WATCHED, other_message
from tickwire.spec import itch50
from tickwire.spec.counters import CounterIndex
from tickwire.spec.records import RecordType, TradeFlag


def _at(message, name):
    return message.field(name)[1]


A, F, D, U, E, C, X, P, Q, B = (ord(letter) for letter in "AFDUECXPQB")
BID = ord("B")
ASK = ord("S")
YES = ord("Y")
BLANK = ord(" ")
REFERENCE = _at(itch50.ORDER_DELETE, "order_reference")
ADD_SIDE = _at(itch50.ADD_ORDER, "side")
ADD_SHARES = _at(itch50.ADD_ORDER, "shares")
ADD_PRICE = _at(itch50.ADD_ORDER, "price")
EXECUTED_SHARES = _at(itch50.ORDER_EXECUTED, "executed_shares")
EXECUTED_MATCH = _at(itch50.ORDER_EXECUTED, "match_number")
PRINTABLE_AT = _at(itch50.ORDER_EXECUTED_WITH_PRICE, "printable")
EXECUTION_PRICE = _at(itch50.ORDER_EXECUTED_WITH_PRICE, "execution_price")
CANCELED_SHARES = _at(itch50.ORDER_CANCEL, "canceled_shares")
NEW_REFERENCE = _at(itch50.ORDER_REPLACE, "new_reference")
REPLACE_SHARES = _at(itch50.ORDER_REPLACE, "shares")
REPLACE_PRICE = _at(itch50.ORDER_REPLACE, "price")
TRADE_SIDE = _at(itch50.TRADE, "side")
TRADE_SHARES = _at(itch50.TRADE, "shares")
TRADE_PRICE = _at(itch50.TRADE, "price")
TRADE_MATCH = _at(itch50.TRADE, "match_number")
CROSS_SHARES = _at(itch50.CROSS_TRADE, "shares")
CROSS_PRICE = _at(itch50.CROSS_TRADE, "cross_price")
CROSS_MATCH = _at(itch50.CROSS_TRADE, "match_number")
BROKEN_MATCH = _at(itch50.BROKEN_TRADE, "match_number")
LOCATE = _at(itch50.ADD_ORDER, "stock_locate")
TIMESTAMP = _at(itch50.ADD_ORDER, "timestamp")

TRADE = RecordType.TRADE.value
PRINTABLE = TradeFlag.PRINTABLE.value
HIDDEN_PRINT = TradeFlag.HIDDEN.value
CROSS_PRINT = TradeFlag.CROSS.value
BROKEN = TradeFlag.BROKEN.value
MESSAGES = CounterIndex.MESSAGES.value
FILTERED = CounterIndex.FILTERED.value
UNKNOWN_LOCATE = CounterIndex.UNKNOWN_LOCATE.value
UNKNOWN_ORDER = CounterIndex.UNKNOWN_ORDER.value
OVER_EXECUTION = CounterIndex.OVER_EXECUTION.value
BAD_SIDE = CounterIndex.BAD_SIDE.value
_U32 = 0xFFFFFFFF


@kernel
def _write_trade(book, instrument, match, price, shares, side, flags, reference):
    """Write one TRADE record and keep the last price; the version is the caller's."""
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    record = slot(b["ring"])
    store64(record, b["timestamp"])
    store64(record + 8, b["sequence"])
    store64(record + 16, match)
    store64(record + 24, price | min(shares, _U32) << 32)
    store64(record + 32, np.int64(h["locate"]) | side << 16 | flags << 24
            | np.int64(h["version"]) << 32)
    store64(record + 40, reference)
    store64(record + 48, latency(book))
    commit(b["ring"], TRADE)
    observe(book, record, TRADE)


@kernel
def _print(book, instrument, match, price, shares, side, flags, reference):
    """A trade outside of the book, or the withdrawal of one: version, state line, TRADE."""
    h = header_at(book_at(book)["sides"] + instrument * 128)
    if flags & PRINTABLE:
        h["last_price"] = price
        h["last_quantity"] = min(shares, _U32)
    next_version(book, instrument)
    write_state(book, instrument)
    _write_trade(book, instrument, match, price, shares, side, flags, reference)


@kernel(inline=True)
def take_shares(book, instrument, entry, reference, shares):
    """Take ``shares`` from an order, or all it has when that is less, which is an error."""
    is_open = order_table.quantity_of(entry)
    if unlikely(shares > is_open):
        desync(book, instrument, OVER_EXECUTION)
        shares = is_open
    if shares:
        reduce(book, instrument, entry, reference, shares)


@kernel(inline=True)
def find_order(book, instrument, bucket, reference):
    """Entry of an order of this instrument, or NONE, counted; ``bucket`` is its left bucket."""
    entry = order_table.NONE
    if reference != 0:
        entry = order_table.find(book, bucket, reference)
    if entry != order_table.NONE:
        level = level_table.entry_of(book, order_table.level_of(entry))
        if unlikely(level_table.instrument_of(level) != instrument):
            entry = order_table.NONE
    if unlikely(entry == order_table.NONE):
        desync(book, instrument, UNKNOWN_ORDER)
    return entry


@kernel
def _execute(book, instrument, address, kind, bucket):
    """E or C: the level's record, the trade's, then the new best bid and offer."""
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    reference = load_be64(address + REFERENCE)
    shares = load_be32(address + EXECUTED_SHARES)
    entry = find_order(book, instrument, bucket, reference)
    if entry == order_table.NONE:
        if b["changed"]:
            publish(book, instrument)
        return
    key = load64(level_table.entry_of(book, order_table.level_of(entry)))
    price = key & _U32
    side = ASK if (key >> 32) & 1 else BID
    marks = PRINTABLE
    if kind == C:
        price = load_be32(address + EXECUTION_PRICE)
        if load8(address + PRINTABLE_AT) != YES:
            marks = 0
    take_shares(book, instrument, entry, reference, shares)
    if marks:
        h["last_price"] = price
        h["last_quantity"] = shares
    next_version(book, instrument)
    flags = write_state(book, instrument)
    _write_trade(book, instrument, load_be64(address + EXECUTED_MATCH), price, shares, side,
                 marks, reference)
    if b["changed"]:
        write_bbo(book, instrument, flags)


@kernel
def _replace(book, instrument, address, bucket):
    """U: the original leaves, the new order joins the same side at the end of its level."""
    b = book_at(book)
    reference = load_be64(address + REFERENCE)
    entry = find_order(book, instrument, bucket, reference)
    if entry == order_table.NONE:
        return
    key = load64(level_table.entry_of(book, order_table.level_of(entry)))
    side = (key >> 32) & 1
    s = side_at(b["sides"] + (instrument * 2 + side) * 64)
    flags = header_at(b["sides"] + instrument * 128)["flags"]
    best, best_value = s["best"], s["best_value"]
    reduce(book, instrument, entry, reference, order_table.quantity_of(entry))
    add(book, instrument, side, load_be64(address + NEW_REFERENCE),
        load_be32(address + REPLACE_SHARES), load_be32(address + REPLACE_PRICE))
    b["changed"] = (s["best"] != best or s["best_value"] != best_value
                    or header_at(b["sides"] + instrument * 128)["flags"] != flags)


@kernel
def _trade_message(book, instrument, address, kind):
    """P, Q or B: prints that do not touch the displayed book."""
    if kind == P:
        _print(book, instrument, load_be64(address + TRADE_MATCH),
               load_be32(address + TRADE_PRICE), load_be32(address + TRADE_SHARES),
               load8(address + TRADE_SIDE), PRINTABLE | HIDDEN_PRINT,
               load_be64(address + REFERENCE))
    elif kind == Q:
        shares = load_be64(address + CROSS_SHARES)
        if shares < 0 or shares > _U32:
            shares = _U32
        price = load_be32(address + CROSS_PRICE)
        marks = CROSS_PRINT | (PRINTABLE if shares else 0)
        _print(book, instrument, load_be64(address + CROSS_MATCH), price, shares, BLANK, marks, 0)
    else:
        _print(book, instrument, load_be64(address + BROKEN_MATCH), 0, 0, BLANK, BROKEN, 0)


@kernel(inline=True)
def _order_message(book, instrument, address, kind, bucket, level_bucket):
    """A, F, D, U, E, C or X on a watched instrument."""
    b = book_at(book)
    b["changed"] = 0
    if kind == A or kind == F:
        letter = load8(address + ADD_SIDE)
        if unlikely(letter != BID and letter != ASK):
            desync(book, instrument, BAD_SIDE)
        else:
            add_to(book, instrument, 1 if letter == ASK else 0, load_be64(address + REFERENCE),
                   load_be32(address + ADD_SHARES), load_be32(address + ADD_PRICE),
                   bucket, level_bucket)
    elif kind == D:
        reference = load_be64(address + REFERENCE)
        entry = find_order(book, instrument, bucket, reference)
        if entry != order_table.NONE:
            reduce(book, instrument, entry, reference, order_table.quantity_of(entry))
    elif kind == U:
        _replace(book, instrument, address, bucket)
    elif kind == X:
        reference = load_be64(address + REFERENCE)
        entry = find_order(book, instrument, bucket, reference)
        if entry != order_table.NONE:
            take_shares(book, instrument, entry, reference, load_be32(address + CANCELED_SHARES))
    else:
        _execute(book, instrument, address, kind, bucket)
        return
    if b["changed"] != 0:
        publish(book, instrument)


@kernel(inline=True)
def level_bucket_of(book, address, entry):
    """Left bucket of the level that an Add names; ``entry`` is its filter entry."""
    side = 1 if load8(address + ADD_SIDE) == ASK else 0
    key = level_table.key_of(entry & 0xFFFF, side, load_be32(address + ADD_PRICE))
    return level_table.left_bucket(book, key)


@kernel
def _not_watched(book, locate):
    b = book_at(book)
    if b["watch_all"] != 0 and locate >= b["instruments"]:
        fault(book, UNKNOWN_LOCATE, b["sequence"])
    else:
        count(b["counters"], FILTERED)


@kernel(inline=True)
def apply(book, address, sequence, entry, order_bucket, level_bucket):
    """Apply one whole message whose filter entry and left buckets are known.

    ``level_bucket`` is that of an Add, :func:`level_bucket_of`, and not used for other types.
    """
    b = book_at(book)
    kind = load8(address)
    b["sequence"] = sequence
    stamp = b["stamp"]
    b["timestamp"] = stamp if stamp else load_be48(address + TIMESTAMP)
    count(b["counters"], MESSAGES)
    if b["by_type"]:
        count(b["by_type"], kind)
    if kind == A or kind == D or kind == U or kind == E or kind == F or kind == X or kind == C:
        if unlikely(entry & WATCHED == 0):
            _not_watched(book, load_be16(address + LOCATE))
        else:
            _order_message(book, entry & 0xFFFF, address, kind, order_bucket, level_bucket)
    elif kind == P or kind == Q or kind == B:
        if entry & WATCHED:
            _trade_message(book, entry & 0xFFFF, address, kind)
        else:
            _not_watched(book, load_be16(address + LOCATE))
    else:
        other_message(book, address, kind, load_be16(address + LOCATE), entry)
    background(book)


@kernel(inline=True)
def glance(book, address):
    """Ask for the cache lines that a message names by itself, whatever becomes of it.

    Returns (filter entry, left order bucket, left level bucket of an Add) for :func:`apply`. The
    first 19 octets must be readable, of an Add 36.
    """
    b = book_at(book)
    entry = load32(b["filter"] + 4 * load_be16(address + LOCATE))
    bucket = order_table.left_bucket(book, load_be64(address + REFERENCE))
    prefetch(bucket)
    row = b["sides"] + (entry & 0xFFFF) * 128
    prefetch(row)
    prefetch(row + 64)
    prefetch(b["state"] + (entry & 0xFFFF) * 64)
    kind = load8(address)
    level_bucket = 0
    if kind == A or kind == F:
        level_bucket = level_bucket_of(book, address, entry)
        prefetch(level_bucket)
    return entry, bucket, level_bucket


@kernel(inline=True)
def message(book, address, sequence):
    """Apply one whole message at ``address``; ``sequence`` is its number in the stream.

    At least 19 octets must be readable at ``address``, whatever the message's size.
    """
    entry, bucket, level_bucket = glance(book, address)
    apply(book, address, sequence, entry, bucket, level_bucket)
