"""Messages that are not orders or trades: directory, trading state, auction, market-wide events.

They are rare, so clarity goes before speed. What decides whether an order may be sent becomes a
STATUS record; locate 0 stands for the whole market. L, N and O are counted and change nothing.
"""

import numpy as np

from tickwire.kernels.faults import fault
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at, header_at, status_at
from tickwire.kernels.memory import (
    load8,
    load32,
    load64,
    load_be32,
    load_be64,
    multiply,
    shift_right,
    store32,
    store64,
)
from tickwire.kernels.publish import latency, next_version, write_state
from tickwire.kernels.ring import commit, count, slot
from tickwire.kernels.window import set_grid
from tickwire.spec import itch50
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import HASH_MULTIPLIER
from tickwire.spec.records import RecordType


def _at(message, name):
    return message.field(name)[1]


S, R, H, Y, V, W, K, J, OPERATIONAL, I = (ord(letter) for letter in "SRHYVWKJhI")
EVENT_CODE = _at(itch50.SYSTEM_EVENT, "event_code")
STOCK = _at(itch50.STOCK_DIRECTORY, "stock")
MARKET_CATEGORY = _at(itch50.STOCK_DIRECTORY, "market_category")
FINANCIAL_STATUS = _at(itch50.STOCK_DIRECTORY, "financial_status")
ROUND_LOT = _at(itch50.STOCK_DIRECTORY, "round_lot_size")
TRADING_STATE = _at(itch50.STOCK_TRADING_ACTION, "trading_state")
REASON = _at(itch50.STOCK_TRADING_ACTION, "reason")
REG_SHO = _at(itch50.REG_SHO_RESTRICTION, "reg_sho_action")
BREACH = _at(itch50.MWCB_STATUS, "breached_level")
IPO_PRICE = _at(itch50.IPO_QUOTING_PERIOD_UPDATE, "ipo_price")
COLLAR_REFERENCE = _at(itch50.LULD_AUCTION_COLLAR, "reference_price")
COLLAR_UPPER = _at(itch50.LULD_AUCTION_COLLAR, "upper_price")
COLLAR_LOWER = _at(itch50.LULD_AUCTION_COLLAR, "lower_price")
HALT_ACTION = _at(itch50.OPERATIONAL_HALT, "action")
HALT_MARKET = _at(itch50.OPERATIONAL_HALT, "market_code")
NASDAQ = ord("Q")
PAIRED = _at(itch50.NET_ORDER_IMBALANCE, "paired_shares")
IMBALANCE_SHARES = _at(itch50.NET_ORDER_IMBALANCE, "imbalance_shares")
DIRECTION = _at(itch50.NET_ORDER_IMBALANCE, "imbalance_direction")
FAR_PRICE = _at(itch50.NET_ORDER_IMBALANCE, "far_price")
NEAR_PRICE = _at(itch50.NET_ORDER_IMBALANCE, "near_price")
REFERENCE_PRICE = _at(itch50.NET_ORDER_IMBALANCE, "reference_price")
IMBALANCE_CROSS = _at(itch50.NET_ORDER_IMBALANCE, "cross_type")

STATUS = RecordType.STATUS.value
IMBALANCE = RecordType.IMBALANCE.value
DIRECTORY = RecordType.DIRECTORY.value
FILTERED = CounterIndex.FILTERED.value
UNKNOWN_LOCATE = CounterIndex.UNKNOWN_LOCATE.value
WATCHED = 1 << 31
NOT_WATCHED = 0xFFFFFFFF
_SIGNED_MULTIPLIER = HASH_MULTIPLIER - (1 << 64)


@kernel
def watch_slot(book, symbol):
    """Address of the slot of ``symbol`` in the table of watched symbols: its own or a free one.

    A slot is the symbol's 8 octets as an integer and its instrument number; linear probing in a
    table that is at most half full and never shrinks.
    """
    b = book_at(book)
    index = shift_right(multiply(symbol, _SIGNED_MULTIPLIER), 32) & b["watched_mask"]
    while True:
        address = b["watched"] + index * 16
        held = load64(address)
        if held == symbol or held == 0:
            return address
        index = (index + 1) & b["watched_mask"]


@kernel
def watch(book, symbol, instrument, tick):
    """Watch ``symbol`` as dense number ``instrument``; ``tick`` 0 takes it from the first order."""
    b = book_at(book)
    address = watch_slot(book, symbol)
    store64(address, symbol)
    store64(address + 8, instrument)
    store64(b["symbols"] + 8 * instrument, symbol)
    if tick:
        set_grid(b["sides"] + instrument * 128, tick)


@kernel
def _directory(book, address, locate, entry):
    """A locate is named: it is the instrument that has this symbol, or from now on nobody's."""
    b = book_at(book)
    symbol = load_be64(address + STOCK)
    if b["watch_all"] == 0:
        place = watch_slot(book, symbol)
        is_watched = symbol != 0 and load64(place) == symbol
        entry = WATCHED | load64(place + 8) if is_watched else 0
        store32(b["filter"] + 4 * locate, entry)
    instrument = NOT_WATCHED
    version = 0
    if entry & WATCHED:
        instrument = entry & 0xFFFF
        header_at(b["sides"] + instrument * 128)["locate"] = locate
        store64(b["symbols"] + 8 * instrument, symbol)
        status_at(b["status"] + 64 * instrument)["round_lot"] = load_be32(address + ROUND_LOT)
        version = np.int64(header_at(b["sides"] + instrument * 128)["version"])
    record = slot(b["ring"])
    store64(record, b["timestamp"])
    store64(record + 8, b["sequence"])
    store64(record + 16, load64(address + STOCK))
    store64(record + 24, load_be32(address + ROUND_LOT) | instrument << 32)
    store64(record + 32, locate | load8(address + MARKET_CATEGORY) << 16
            | load8(address + FINANCIAL_STATUS) << 24 | version << 32)
    store64(record + 40, 0)
    store64(record + 48, latency(book))
    commit(b["ring"], DIRECTORY)


@kernel
def _write_status(book, instrument, kind, is_market):
    """Write the STATUS record of an instrument, or of the market, after its line was changed."""
    b = book_at(book)
    s = status_at(b["status"] + 64 * instrument)
    market = status_at(b["status"] + 64 * b["instruments"])
    locate, state, flags, version = 0, 0, b["feed_flags"], 0
    if not is_market:
        next_version(book, instrument)
        flags = write_state(book, instrument)
        h = header_at(b["sides"] + instrument * 128)
        locate, state = np.int64(h["locate"]), np.int64(h["trading_state"])
        version = np.int64(h["version"])
    record = slot(b["ring"])
    store64(record, b["timestamp"])
    store64(record + 8, b["sequence"])
    store64(record + 16, np.int64(s["band_lower"]) | np.int64(s["band_upper"]) << 32)
    store64(record + 24, np.int64(s["reference"]) | np.int64(s["reason"]) << 32)
    store64(record + 32, locate | state << 16 | flags << 24 | version << 32)
    store64(record + 40, kind | np.int64(s["reg_sho"]) << 8
            | np.int64(market["market_phase"]) << 16 | np.int64(market["breach_level"]) << 24
            | np.int64(s["operational"]) << 32)
    store64(record + 48, latency(book))
    commit(b["ring"], STATUS)


@kernel
def _imbalance(book, instrument, address):
    b = book_at(book)
    h = header_at(b["sides"] + instrument * 128)
    record = slot(b["ring"])
    store64(record, b["timestamp"])
    store64(record + 8, b["sequence"])
    store64(record + 16, load_be64(address + PAIRED))
    store64(record + 24, load_be64(address + IMBALANCE_SHARES))
    store64(record + 32, np.int64(h["locate"]) | load8(address + DIRECTION) << 16
            | load8(address + IMBALANCE_CROSS) << 24 | np.int64(h["version"]) << 32)
    store64(record + 40, load_be32(address + FAR_PRICE) | load_be32(address + NEAR_PRICE) << 32)
    store64(record + 48, latency(book) | load_be32(address + REFERENCE_PRICE) << 32)
    commit(b["ring"], IMBALANCE)


@kernel
def other_message(book, address, kind, locate, entry):
    """Apply a message that is neither an order event nor a trade."""
    b = book_at(book)
    if kind == R:
        _directory(book, address, locate, entry)
        return
    if kind == S or kind == W:
        market = status_at(b["status"] + 64 * b["instruments"])
        if kind == S:
            market["market_phase"] = load8(address + EVENT_CODE)
        else:
            market["breach_level"] = load8(address + BREACH)
        _write_status(book, b["instruments"], kind, True)
        return
    if kind == V:
        _write_status(book, b["instruments"], kind, True)
        return
    if entry & WATCHED == 0:
        if b["watch_all"] != 0 and locate >= b["instruments"]:
            fault(book, UNKNOWN_LOCATE, b["sequence"])
        else:
            count(b["counters"], FILTERED)
        return
    instrument = entry & 0xFFFF
    s = status_at(b["status"] + 64 * instrument)
    if kind == H:
        header_at(b["sides"] + instrument * 128)["trading_state"] = load8(address + TRADING_STATE)
        s["reason"] = load32(address + REASON)
    elif kind == Y:
        s["reg_sho"] = load8(address + REG_SHO)
    elif kind == OPERATIONAL:
        if load8(address + HALT_MARKET) != NASDAQ:
            return
        s["operational"] = load8(address + HALT_ACTION)
    elif kind == J:
        s["band_lower"] = load_be32(address + COLLAR_LOWER)
        s["band_upper"] = load_be32(address + COLLAR_UPPER)
        s["reference"] = load_be32(address + COLLAR_REFERENCE)
    elif kind == K:
        s["reference"] = load_be32(address + IPO_PRICE)
    elif kind == I:
        _imbalance(book, instrument, address)
        return
    else:
        return
    _write_status(book, instrument, kind, False)
