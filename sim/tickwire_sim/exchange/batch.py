"""Order flow from memory: commands in a row, carried out one after the other.

A command names an earlier order by its reference, as an order gateway does; ``slots`` keeps where
each of them is. With later commands in hand the lines that they will touch are fetched ahead,
which changes nothing but the time.
"""

from enum import IntEnum

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load32, load64, prefetch, store32, view
from tickwire_sim.exchange import matching
from tickwire_sim.exchange.book import SLOT_MASK, find, keys_of, level_count, signed
from tickwire_sim.exchange.codes import Cancel
from tickwire_sim.exchange.layout import (
    LEVEL_SIZE,
    NONE,
    ORDER_SIZE,
    PRICE_NONE,
    SYMBOL_SIZE,
    engine_at,
    level_at,
    order_at,
)

COMMAND = np.dtype([
    ("kind", "u1"),              # CommandKind
    ("side", "u1"),
    ("policy", "u1"),
    ("spare", "u1"),
    ("symbol", "i4"),
    ("quantity", "i4"),          # of a reduction: shares to take off
    ("price", "i4"),             # 0 takes any price
    ("reference", "i8"),         # order that is meant; 0 for a new one
    ("interval", "i8"),          # nanoseconds since the command before
], align=True)
COMMAND_SIZE = int(COMMAND.itemsize)
assert COMMAND_SIZE == 32


class CommandKind(IntEnum):
    """What a command asks for."""

    ENTER = 0
    CANCEL = 1
    REPLACE = 2
    REDUCE = 3


command_at = view(COMMAND)
_ENTER, _CANCEL, _REPLACE = (int(kind) for kind in (
    CommandKind.ENTER, CommandKind.CANCEL, CommandKind.REPLACE))
_USER = Cancel.USER
_PRICE_NONE = PRICE_NONE


@kernel(inline=True)
def _limit(price):
    """Limit of the engine for the price of a command."""
    return np.int64(price) if price else _PRICE_NONE


@kernel(inline=True)
def _fetch_first(engine, command, slots):
    """Ask for the first line that a command will touch."""
    c = command_at(command)
    if c["kind"] == _ENTER:
        prefetch(engine_at(engine)["symbols"] + SYMBOL_SIZE * c["symbol"])
    else:
        prefetch(slots + 4 * c["reference"])


@kernel(inline=True)
def _fetch_second(engine, command, slots):
    """Ask for the best levels of the symbol, or for the order that is meant."""
    c = command_at(command)
    if c["kind"] == _ENTER:
        _fetch_keys(engine, np.int64(c["symbol"]), 0)
        _fetch_keys(engine, np.int64(c["symbol"]), 1)
    else:
        prefetch(engine_at(engine)["orders"] + ORDER_SIZE * load32(slots + 4 * c["reference"]))


@kernel(inline=True)
def _fetch_third(engine, command, slots):
    """Ask for the level and the neighbours of an order, or for the level that a new one joins."""
    c = command_at(command)
    e = engine_at(engine)
    if c["kind"] == _ENTER:
        prefetch(e["levels"] + LEVEL_SIZE * _level_of(engine, command))
    else:
        o = order_at(e["orders"] + ORDER_SIZE * load32(slots + 4 * c["reference"]))
        prefetch(e["levels"] + LEVEL_SIZE * o["level"])
        prefetch(e["orders"] + ORDER_SIZE * o["previous"])
        prefetch(e["orders"] + ORDER_SIZE * o["next"])
        _fetch_keys(engine, np.int64(o["symbol"]), np.int64(o["side"]))


@kernel(inline=True)
def _fetch_fourth(engine, command):
    """Ask for the order that a new one will stand behind."""
    if command_at(command)["kind"] == _ENTER:
        e = engine_at(engine)
        level = level_at(e["levels"] + LEVEL_SIZE * _level_of(engine, command))
        prefetch(e["orders"] + ORDER_SIZE * level["tail"])


@kernel(inline=True)
def _fetch_keys(engine, symbol, side):
    """Ask for the keys of the best levels of a side."""
    prefetch(keys_of(engine, symbol, side) + 8 * max(level_count(engine, symbol, side) - 8, 0))


@kernel
def _level_of(engine, command):
    """Slot of the level at the price of a command, NONE when there is none yet."""
    c = command_at(command)
    symbol, side = np.int64(c["symbol"]), np.int64(c["side"])
    keys, levels = keys_of(engine, symbol, side), level_count(engine, symbol, side)
    price = signed(side, c["price"])
    index = find(keys, levels, price)
    if index == levels:
        return NONE
    key = load64(keys + 8 * index)
    return key & SLOT_MASK if key >> 32 == price else NONE


@kernel(inline=True)
def _carry_out(engine, command, slots):
    """Carry one command out. Returns whether it was possible."""
    c = command_at(command)
    e = engine_at(engine)
    e["clock"] += c["interval"]
    if c["kind"] == _ENTER:
        price = _limit(c["price"])
        if matching.check(engine, np.int64(c["symbol"]), np.int64(c["quantity"]), price):
            return False
        slot = matching.enter(engine, np.int64(c["symbol"]), np.int64(c["side"]),
                              np.int64(c["quantity"]), price, np.int64(c["policy"]), 0, 0, 0, 0)
        store32(slots + 4 * e["reference"], slot)
        return True
    slot = load32(slots + 4 * c["reference"])
    if slot == NONE:
        return False
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    if o["reference"] != c["reference"]:
        return False
    if c["kind"] == _CANCEL:
        matching.cancel(engine, slot, _USER)
    elif c["kind"] == _REPLACE:
        price = _limit(c["price"])
        if matching.check_terms(engine, o["symbol"], np.int64(c["quantity"]), price):
            return False
        slot = matching.replace(engine, slot, np.int64(c["quantity"]), price,
                                np.int64(c["policy"]), 0)
        store32(slots + 4 * e["reference"], slot)
    elif 0 < c["quantity"] < o["quantity"]:
        matching.reduce(engine, slot, np.int64(c["quantity"]), _USER)
    else:
        return False
    return True


@kernel
def execute(engine, commands, count, slots, ahead):
    """Carry out ``count`` commands; returns how many were refused.

    ``slots`` has room for every reference that comes about, 4 octets each, zero at first.
    ``ahead`` is how many commands ahead lines are fetched, a multiple of 4; 0 for none.
    """
    refused = 0
    step = COMMAND_SIZE * (ahead // 4)
    for index in range(count):
        if ahead and index + ahead < count:
            command = commands + COMMAND_SIZE * index
            _fetch_first(engine, command + 4 * step, slots)
            _fetch_second(engine, command + 3 * step, slots)
            _fetch_third(engine, command + 2 * step, slots)
            _fetch_fourth(engine, command + step)
        if not _carry_out(engine, commands + COMMAND_SIZE * index, slots):
            refused += 1
    return refused
