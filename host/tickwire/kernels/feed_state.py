"""What the whole feed's state does to the books, and how it is told.

The state word, the register and a FEED_STATE record tell a change at once. A book flag of the
whole feed shows in the lines and records that are written while it holds; when it falls, every
instrument that was last shown with it is shown anew, so that no line keeps a doubt that is over.
"""

from tickwire.kernels.arbiter_layout import arbiter_at
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at, header_at
from tickwire.kernels.memory import (
    load8,
    load64,
    store32,
    store64,
    store64_relaxed,
    store64_release,
)
from tickwire.kernels.publish import latency, next_version, write_bbo, write_state
from tickwire.kernels.ring import commit, slot
from tickwire.spec.records import FEED_STATE, RECORD_SIZE, STATE_LINE, BookFlag, RecordType
from tickwire.spec.registers import RegisterOffset

DESYNCED = BookFlag.DESYNCED.value
_FEED_STATE = RecordType.FEED_STATE.value
_FLAGS = STATE_LINE.field("flags")[1]
_STATE_REGISTER = RegisterOffset.FEED_STATE.value
_EXPECTED_REGISTER = RegisterOffset.FEED_EXPECTED.value
_HIGHEST_REGISTER = RegisterOffset.FEED_HIGHEST.value
_U16 = 0xFFFF
assert [FEED_STATE.field(name)[1] for name in ("line", "state", "session", "latency_ns")] == [
    24, 25, 26, 48]                         # as :func:`tell` packs them


@kernel(inline=True)
def highest(arbiter):
    """Number after the greatest that either line has shown; at least the expected one."""
    a = arbiter_at(arbiter)
    return max(a["expected"], a["shown"][0], a["shown"][1])


@kernel(inline=True)
def show_numbers(arbiter):
    """Bring registers FEED_EXPECTED and FEED_HIGHEST up to date."""
    a = arbiter_at(arbiter)
    if a["registers"]:
        store64_relaxed(a["registers"] + _EXPECTED_REGISTER, a["expected"])
        store64_relaxed(a["registers"] + _HIGHEST_REGISTER, highest(arbiter))


@kernel
def tell(arbiter, book, line, state, word, received, now):
    """Write a FEED_STATE record of ``state`` and put ``word`` in force."""
    a = arbiter_at(arbiter)
    b = book_at(book)
    a["state"] = word
    record = slot(b["ring"])
    head, tail = a["session"][0], a["session"][1]
    store64(record, now)
    store64(record + 8, a["expected"])
    store64(record + 16, received)
    store64(record + 24, line | state << 8 | head << 16)
    store64(record + 32, (head >> 48) & _U16 | tail << 16)
    store64(record + 40, 0)
    store64(record + 48, latency(book))
    if a["registers"]:
        store32(a["registers"] + _STATE_REGISTER, word)
    store64_release(a["feed_state"], word)
    commit(b["ring"], _FEED_STATE)


@kernel
def _show(book, instrument):
    """A new version of an instrument whose flags changed, with its BBO."""
    next_version(book, instrument)
    write_bbo(book, instrument, write_state(book, instrument))


@kernel(inline=True)
def _shown_flags(book, instrument):
    """Flags of the instrument's state line."""
    return load8(book_at(book)["state"] + instrument * RECORD_SIZE + _FLAGS)


@kernel
def set_flags(book, flags):
    """Put BookFlag bits of the whole feed in force; what showed a bit that falls is shown anew."""
    b = book_at(book)
    fallen = b["feed_flags"] & ~flags
    b["feed_flags"] = flags
    if fallen == 0:
        return
    b["timestamp"] = b["stamp"]
    for instrument in range(b["instruments"]):
        if _shown_flags(book, instrument) & fallen != 0:
            _show(book, instrument)


@kernel(inline=True)
def is_watched(book, instrument):
    """Whether a book is kept, named by the directory or not yet; number 0 is no stock's locate."""
    b = book_at(book)
    if b["watch_all"]:
        return instrument != 0
    return load64(b["symbols"] + 8 * instrument) != 0


@kernel
def desync_all(book, sequence, flags):
    """Mark every watched book: messages up to number ``sequence`` may be missing from it.

    Puts ``flags`` in force as :func:`set_flags` does, but shows each instrument once.
    """
    b = book_at(book)
    fallen = b["feed_flags"] & ~flags
    b["feed_flags"] = flags
    b["timestamp"] = b["stamp"]
    b["sequence"] = sequence
    for instrument in range(b["instruments"]):
        h = header_at(b["sides"] + instrument * 128)
        is_due = _shown_flags(book, instrument) & fallen != 0
        if is_watched(book, instrument) and h["flags"] & DESYNCED == 0:
            h["flags"] |= DESYNCED
            is_due = True
        if is_due:
            _show(book, instrument)


@kernel
def desync_one(book, instrument, sequence):
    """Mark one book: message ``sequence``, which it may have needed, could not be read."""
    b = book_at(book)
    b["timestamp"] = b["stamp"]
    b["sequence"] = sequence
    h = header_at(b["sides"] + instrument * 128)
    if h["flags"] & DESYNCED == 0:
        h["flags"] |= DESYNCED
        _show(book, instrument)
