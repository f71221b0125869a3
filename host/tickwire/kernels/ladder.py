"""Price levels of every side as a reader of LEVEL records knows them: the whole book, best last.

A side's levels lie in one run of a pool, worst first, so that what comes and goes near the best one
moves few others. What the caller sees is the first ``depth`` positions: a row for each one that
the records of a message changed, best first, once the next message or the end shows that these
were all. A run that is full is moved by the caller: a kernel does not allocate.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import copy, load8, load32, load64, store64, view
from tickwire.spec.records import LEVEL, RECORD_SIZE

LADDER = np.dtype([
    ("runs", "i8"),          # address of RUN of each side: stock locate x 2, asks + 1
    ("pool", "i8"),          # address of all entries
    ("depth", "i8"),         # positions that are shown
    ("side", "i8"),          # side whose positions changed, -1 none
    ("first", "i8"),         # the first of them
    ("last", "i8"),          # the last one, `first - 1` when none is shown
    ("timestamp", "i8"),     # of the message that changed them
    ("sequence", "i8"),
    ("full", "i8"),          # side that needs a longer run
], align=True)
RUN = np.dtype([("at", "i8"), ("room", "i8"), ("count", "i8")], align=True)
ENTRY = 16                   # price key (8), orders << 32 | shares (8)
ROW = np.dtype([("timestamp", "i8"), ("sequence", "i8"), ("price", "u4"), ("quantity", "u4"),
                ("orders", "u4"), ("locate", "u2"), ("side", "u1"), ("level", "u1")], align=True)
"""One position of a side; side 1 is asks, level 0 the best, and all zero where there is none."""
_SEQUENCE, _PRICE, _QUANTITY, _ORDERS, _LOCATE, _SIDE = (LEVEL.field(name)[1] for name in (
    "feed_sequence", "price", "quantity", "orders", "locate", "side"))
_ASK = ord("S")
_RUN_SIZE, _ROW_SIZE = RUN.itemsize, ROW.itemsize

ladder_at = view(LADDER)
_run_at = view(RUN)
_row_at = view(ROW)


@kernel
def show(ladder, target):
    """Write a row for each position that changed to ``target``; returns how many."""
    l = ladder_at(ladder)
    side = l["side"]
    if side < 0:
        return 0
    l["side"] = -1
    run = _run_at(l["runs"] + side * _RUN_SIZE)
    shown = 0
    for level in range(l["first"], min(l["last"], l["depth"] - 1) + 1):
        row = _row_at(target + shown * _ROW_SIZE)
        key, value = 0, 0
        if level < run["count"]:
            entry = l["pool"] + (run["at"] + run["count"] - 1 - level) * ENTRY
            key, value = load64(entry), load64(entry + 8)
        row["timestamp"], row["sequence"] = l["timestamp"], l["sequence"]
        row["price"] = -key if side & 1 else key
        row["quantity"], row["orders"] = value & 0xFFFFFFFF, value >> 32
        row["locate"], row["side"], row["level"] = side >> 1, side & 1, level
        shown += 1
    return shown


@kernel
def _change(ladder, side, price_key, value):
    """Set a level to ``value``, 0 takes it away; returns False when its run is full."""
    l = ladder_at(ladder)
    run = _run_at(l["runs"] + side * _RUN_SIZE)
    count = run["count"]
    entries = l["pool"] + run["at"] * ENTRY
    index = count
    while index > 0 and load64(entries + (index - 1) * ENTRY) > price_key:
        index -= 1
    position = count - index
    last = position
    is_here = index > 0 and load64(entries + (index - 1) * ENTRY) == price_key
    if is_here and value != 0:
        store64(entries + (index - 1) * ENTRY + 8, value)
    elif is_here:
        for other in range(index, count):
            copy(entries + (other - 1) * ENTRY, entries + other * ENTRY, ENTRY)
        run["count"] = count - 1
        last = count - 1
    elif value != 0:
        if count == run["room"]:
            return False
        for other in range(count, index, -1):
            copy(entries + other * ENTRY, entries + (other - 1) * ENTRY, ENTRY)
        store64(entries + index * ENTRY, price_key)
        store64(entries + index * ENTRY + 8, value)
        run["count"] = count + 1
        last = count
    else:
        return True
    l["first"], l["last"] = min(l["first"], position), max(l["last"], last)
    return True


@kernel
def take(ladder, source, count, target, room):
    """Take ``count`` LEVEL records at ``source``; write rows to ``target``, ``room`` at most.

    Returns (records taken, rows written). Fewer are taken when there may be no room for the rows of
    the next one, or when the run of side ``full`` has none for its level.
    """
    l = ladder_at(ladder)
    written = 0
    for number in range(count):
        record = source + number * RECORD_SIZE
        sequence = load64(record + _SEQUENCE)
        is_ask = load8(record + _SIDE) == _ASK
        side = (load32(record + _LOCATE) & 0xFFFF) * 2 + (1 if is_ask else 0)
        # Numbers begin anew with a session, so that two messages may have the same one.
        if side != l["side"] or sequence != l["sequence"] or load64(record) != l["timestamp"]:
            if written + l["depth"] > room:
                return number, written
            written += show(ladder, target + written * _ROW_SIZE)
            l["side"], l["sequence"], l["timestamp"] = side, sequence, load64(record)
            l["first"], l["last"] = l["depth"], -1
        price, orders = load32(record + _PRICE), load32(record + _ORDERS)
        if not _change(ladder, side, -price if is_ask else price,
                       orders << 32 | load32(record + _QUANTITY)):
            l["full"] = side
            return number, written
    return count, written
