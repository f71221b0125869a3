"""Message blocks of a packet: walked, checked, asked for ahead and handed to the book.

A block is a big-endian length of 2 octets and a message. Blocks are taken as they come: where one
does not fit its packet, those before it are good and nothing after it is.
"""

from tickwire.kernels.arbiter_layout import NOTES, NOTES_AT, arbiter_at
from tickwire.kernels.faults import fault
from tickwire.kernels.feed_state import desync_all, desync_one
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import (
    load8,
    load32,
    load64,
    load_be16,
    store64,
    unlikely,
)
from tickwire.kernels.messages import LOCATE, A, F, glance
from tickwire.kernels.replay import NOTE, apply_noted, ask_for_level, ask_for_order, ask_for_window
from tickwire.kernels.ring import count
from tickwire.spec import itch50, moldudp64
from tickwire.spec.counters import CounterIndex

LENGTH_SIZE = moldudp64.MESSAGE_BLOCK.size
_MESSAGES = CounterIndex.MESSAGES.value
_UNKNOWN_TYPE = CounterIndex.UNKNOWN_TYPE.value
_WRONG_LENGTH = CounterIndex.WRONG_LENGTH.value
_ZERO_LENGTH = CounterIndex.ZERO_LENGTH.value
_WATCHED = 1 << 31
_ADD_SIZE, _DELETE_SIZE = itch50.ADD_ORDER.size, itch50.ORDER_DELETE.size
_NAMED_AT = LOCATE + 2                      # octets of a message that names its instrument
DIRECTORY = ord(itch50.STOCK_DIRECTORY.tag)


@kernel
def _unreadable(book, address, size, sequence):
    """A block that is no ITCH message: count it, and mark the book that it may have been for.

    One that is too short to name its instrument may have been for any, unless it is empty.
    """
    b = book_at(book)
    count(b["counters"], _MESSAGES)
    if size == 0:
        fault(book, _ZERO_LENGTH, sequence)
        return
    kind = load8(address)
    if b["by_type"]:
        count(b["by_type"], kind)
    is_known = load8(b["sizes"] + kind) != 0
    fault(book, _WRONG_LENGTH if is_known else _UNKNOWN_TYPE, sequence)
    if size < _NAMED_AT:
        desync_all(book, sequence, b["feed_flags"])
        return
    entry = load32(b["filter"] + 4 * load_be16(address + LOCATE))
    if entry & _WATCHED:
        desync_one(book, entry & 0xFFFF, sequence)


@kernel
def _apply(book, note, sequence):
    """Hand the block that was noted at ``note`` to the book."""
    entry = load64(note + 8)
    if unlikely(entry < 0):
        _unreadable(book, load64(note), ~entry, sequence)
    else:
        apply_noted(book, note, sequence)


@kernel(inline=True)
def _block(address, end):
    """Octets of the message in the block at ``address``, -1 when it is not whole."""
    if address + LENGTH_SIZE > end:
        return -1
    size = load_be16(address)
    return -1 if address + LENGTH_SIZE + size > end else size


@kernel(inline=True)
def glance_ahead(book, address, end):
    """Ask for what the message of the block at ``address`` names, before its packet is judged.

    A packet of one message has nothing else to do while the first cache lines come.
    """
    address += LENGTH_SIZE
    room = end - address
    if room >= _ADD_SIZE or (room >= _DELETE_SIZE and load8(address) != A and load8(address) != F):
        glance(book, address)


@kernel
def skim(address, end, number):
    """Pass over up to ``number`` whole blocks; returns (next address, blocks passed)."""
    passed = 0
    while passed < number:
        size = _block(address, end)
        if size < 0:
            break
        address += LENGTH_SIZE + size
        passed += 1
    return address, passed


@kernel
def take(arbiter, book, address, end, number):
    """Apply up to ``number`` whole blocks, the first the expected one; advances ``expected``.

    Returns (next address, blocks applied).
    """
    a = arbiter_at(arbiter)
    sizes = book_at(book)["sizes"]
    notes = arbiter + NOTES_AT
    last = notes + NOTES * NOTE
    taken = 0
    more = True
    while more and taken < number:
        stop = notes
        limit = min(last, notes + (number - taken) * NOTE)
        while stop < limit:
            size = _block(address, end)
            if unlikely(size < 0):
                more = False
                break
            address += LENGTH_SIZE
            kind = load8(address) if size else 0
            if unlikely(size == 0) or unlikely(load8(sizes + kind) != size):
                store64(stop, address)
                store64(stop + 8, ~size)
            else:
                ask_for_order(book, address, stop)
            address += size
            stop += NOTE
            if unlikely(kind == DIRECTORY):
                break                       # it may change the filter that notes are made from
        note = notes
        while note < stop:
            if load64(note + 8) >= 0:
                ask_for_level(book, note)
            note += NOTE
        note = notes
        while note < stop:
            if load64(note + 8) >= 0:
                ask_for_window(book, note)
            note += NOTE
        note = notes
        while note < stop:
            _apply(book, note, a["expected"])
            a["expected"] += 1
            taken += 1
            note += NOTE
    return address, taken
