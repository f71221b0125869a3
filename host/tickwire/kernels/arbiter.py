"""Arbiter: two lines and a recovery line of MoldUDP64 to one sequence of messages.

Whichever line brings the awaited message first wins; nothing is ever held back. A number below
the expected one is a duplicate; one above it is *ahead* and dropped, because an earlier message
is missing, and so are the messages that follow it. ``docs/feed.md`` states the rules.
"""

from tickwire.kernels.arbiter_layout import (
    KEPT_AT,
    KEPT_SIZE,
    SAVED_AT,
    arbiter_at,
)
from tickwire.kernels.blocks import glance_ahead, skim, take
from tickwire.kernels.feed_state import (
    desync_all,
    highest,
    set_flags,
    show_numbers,
    tell,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import (
    copy,
    load16,
    load64,
    load_be16,
    load_be64,
    unlikely,
)
from tickwire.kernels.ring import count
from tickwire.spec import moldudp64
from tickwire.spec.counters import CounterIndex
from tickwire.spec.records import BookFlag, FeedState, Line
from tickwire.spec.registers import GapPolicy

HEADER_SIZE = moldudp64.DOWNSTREAM_HEADER.size
SEQUENCE_AT = moldudp64.DOWNSTREAM_HEADER.field("sequence_number")[1]
COUNT_AT = moldudp64.DOWNSTREAM_HEADER.field("message_count")[1]
SESSION_TAIL_AT = 8                         # the session's last 2 octets
SEQUENCE_MAX = moldudp64.SEQUENCE_MAX
END_OF_SESSION = moldudp64.END_OF_SESSION

IDLE, LIVE, RECOVERING, STALE, ENDED, NEW_SESSION, RETRACTED = (
    state.value for state in (FeedState.IDLE, FeedState.LIVE, FeedState.RECOVERING,
                              FeedState.STALE, FeedState.ENDED, FeedState.NEW_SESSION,
                              FeedState.RETRACTED))
RECOVERY = Line.RECOVERY.value
SKIP = GapPolicy.SKIP.value
_RECOVERING_FLAG = BookFlag.RECOVERING.value
_STALE_FLAG = BookFlag.STALE.value
_FRAMES_A = CounterIndex.FRAMES_A.value
assert CounterIndex.FRAMES_RECOVERY - CounterIndex.FRAMES_A == RECOVERY
_SILENCES_A = CounterIndex.LINE_SILENCES_A.value
_PACKETS_MALFORMED = CounterIndex.PACKETS_MALFORMED.value
_PACKETS_SESSION = CounterIndex.PACKETS_SESSION.value
_HEARTBEATS = CounterIndex.HEARTBEATS.value
_DUPLICATE = CounterIndex.MESSAGES_DUPLICATE.value
_AHEAD = CounterIndex.MESSAGES_AHEAD.value
_RECOVERED = CounterIndex.MESSAGES_RECOVERED.value
_LOST = CounterIndex.MESSAGES_LOST.value
_GAPS = CounterIndex.GAPS.value
_SESSIONS = CounterIndex.SESSIONS.value
_STALES = CounterIndex.STALES.value
_RETRACTED = CounterIndex.FRAMES_RETRACTED.value


@kernel(inline=True)
def _flags(arbiter):
    """BookFlag bits of the whole feed."""
    a = arbiter_at(arbiter)
    return ((_RECOVERING_FLAG if a["is_recovering"] else 0)
            | (_STALE_FLAG if a["is_stale"] else 0))


@kernel
def _conclude(arbiter, book, line, now):
    """Derive the feed's state and flags anew; tell them when they changed."""
    a = arbiter_at(arbiter)
    expected, latest = a["expected"], highest(arbiter)
    if a["is_recovering"] and latest == expected:
        a["is_recovering"] = 0
    if latest == expected and a["is_started"]:
        a["is_joined"] = 1
    if a["is_stale"]:
        state = STALE
    elif a["is_recovering"]:
        state = RECOVERING
    elif a["is_joined"] == 0:
        state = IDLE
    elif a["end"] and expected >= a["end"]:
        state = ENDED
    else:
        state = LIVE
    if state != a["state"]:
        tell(arbiter, book, line, state, state, latest, now)
    set_flags(book, _flags(arbiter))


@kernel(inline=True)
def _is_silent(arbiter, line, now):
    """Whether a line has been silent for longer than its limit."""
    a = arbiter_at(arbiter)
    return a["line_timeout_ns"] > 0 and now - a["last"][line] > a["line_timeout_ns"]


@kernel
def give_up(arbiter, book, line, sequence, now):
    """Go on with number ``sequence`` > expected: what is before it is lost to every watched book.

    For the gap policy, and for a recovery that found the messages nowhere.
    """
    a = arbiter_at(arbiter)
    b = book_at(book)
    b["stamp"] = now
    lost = sequence - a["expected"]
    if lost <= 0:
        return
    if a["state"] != RECOVERING:
        tell(arbiter, book, line, RECOVERING, RECOVERING, sequence, now)
    count(b["counters"], _LOST, lost)
    a["expected"] = sequence
    a["is_recovering"] = 0
    a["is_joined"] = 1
    desync_all(book, sequence - 1, _flags(arbiter))
    _conclude(arbiter, book, line, now)
    show_numbers(arbiter)


@kernel
def _skip(arbiter, book, line, first, now):
    """Give up what no line can bring any more. ``first`` is the number in hand, 0 none."""
    a = arbiter_at(arbiter)
    target = 0
    for other in range(2):
        bring = first if other == line and first else a["shown"][other]
        if bring > a["expected"] and not _is_silent(arbiter, other, now) and (
                target == 0 or bring < target):
            target = bring
    give_up(arbiter, book, line, target if target else highest(arbiter), now)


@kernel
def _judge(arbiter, book, line, first, now):
    """A number above the expected one was shown: is the expected message lost on every line?

    A line has lost it when it has shown a greater number, or when it is silent for too long. A
    line that neither has may still bring it, for as long as patience lasts.
    """
    a = arbiter_at(arbiter)
    expected = a["expected"]
    if a["hole"] != expected:
        a["hole"] = expected
        a["hole_since"] = now
    if a["is_recovering"] == 0:
        if a["patience_ns"] == 0 or now - a["hole_since"] <= a["patience_ns"]:
            for other in range(2):
                if (a["lines"] >> other & 1 and a["shown"][other] <= expected
                        and not _is_silent(arbiter, other, now)):
                    return
        count(book_at(book)["counters"], _GAPS)
        a["is_recovering"] = 1
        _conclude(arbiter, book, line, now)
    if a["policy"] == SKIP:
        _skip(arbiter, book, line, first, now)


@kernel
def _other_session(arbiter, book, address, sequence, line, now):
    """Take up a packet's session; False when it stays out."""
    a = arbiter_at(arbiter)
    b = book_at(book)
    head, tail = load64(address), load16(address + SESSION_TAIL_AT)
    had_session = a["has_session"] != 0
    is_previous = (a["has_previous"] != 0 and head == a["previous"][0]
                   and tail == a["previous"][1])
    is_alive = not (_is_silent(arbiter, 0, now) and _is_silent(arbiter, 1, now))
    is_refused = a["accept_session"] == 0 or (is_previous and is_alive)
    if line == RECOVERY or (had_session and is_refused):
        count(b["counters"], _PACKETS_SESSION)
        return False
    count(b["counters"], _SESSIONS)
    if had_session:
        a["previous"][0] = a["session"][0]
        a["previous"][1] = a["session"][1]
        a["has_previous"] = 1
    a["session"][0] = head
    a["session"][1] = tail
    a["has_session"] = 1
    if had_session:
        a["expected"] = 1
        a["shown"][0] = 0
        a["shown"][1] = 0
        a["hole"] = 0
        a["end"] = 0
        a["is_recovering"] = 0
        a["is_joined"] = 0
        a["is_stale"] = 0
        tell(arbiter, book, line, NEW_SESSION, IDLE, sequence, now)
        desync_all(book, 0, 0)
    return True


@kernel
def _malformed(book):
    count(book_at(book)["counters"], _PACKETS_MALFORMED)
    return 0


@kernel
def datagram(arbiter, book, address, size, line, now):
    """Take one MoldUDP64 downstream packet of ``size`` octets from ``line``, ingress time ``now``.

    Returns the messages that were accepted. ``now`` is in ns, above 0. 8 octets after the
    datagram must be readable; what they hold does not matter.
    """
    glance_ahead(book, address + HEADER_SIZE, address + size)
    a = arbiter_at(arbiter)
    b = book_at(book)
    counters = b["counters"]
    count(counters, _FRAMES_A + line)
    b["stamp"] = now
    a["taken"] = 0
    if a["cut_through"]:
        copy(arbiter + SAVED_AT, arbiter + KEPT_AT, KEPT_SIZE)
    if unlikely(size < HEADER_SIZE):
        return _malformed(book)
    first = load_be64(address + SEQUENCE_AT)
    number = load_be16(address + COUNT_AT)
    if unlikely(first <= 0 or first > SEQUENCE_MAX):
        return _malformed(book)
    is_other = (a["has_session"] == 0 or load64(address) != a["session"][0]
                or load16(address + SESSION_TAIL_AT) != a["session"][1])
    if unlikely(is_other) and not _other_session(arbiter, book, address, first, line, now):
        return 0

    is_line = line != RECOVERY
    if is_line:
        if unlikely(a["is_started"] == 0):
            a["is_started"] = 1
            a["last"][1 - line] = now
            if a["expected"] == 0:
                a["expected"] = first
        a["last"][line] = now
        a["silent"][line] = 0
        a["is_stale"] = 0
        is_ahead = first > a["expected"]
        if is_ahead:
            a["shown"][line] = max(a["shown"][line], first)
        else:
            a["is_joined"] = 1
        if unlikely(a["state"] != LIVE):
            _conclude(arbiter, book, line, now)
        if is_ahead:
            _judge(arbiter, book, line, first, now)
    if number == 0 or number == END_OF_SESSION:
        count(counters, _HEARTBEATS)
        if number and is_line:
            a["end"] = max(a["end"], first)
        number = 0

    place, end = address + HEADER_SIZE, address + size
    expected = a["expected"]
    taken, passed = 0, 0
    wanted = number
    if first != expected:
        wanted = min(number, expected - first) if first < expected else number
        place, passed = skim(place, end, wanted)
        count(counters, _DUPLICATE if first < expected else _AHEAD, passed)
        wanted = number - wanted if passed == wanted else 0
    if wanted:
        place, taken = take(arbiter, book, place, end, wanted)
        a["taken"] = taken
        if not is_line:
            count(counters, _RECOVERED, taken)
    if unlikely(passed + taken != number or place != end):
        _malformed(book)
    if is_line:
        a["shown"][line] = max(a["shown"][line], first + passed + taken)
    if unlikely(a["state"] != LIVE) or unlikely(a["end"] != 0) or unlikely(b["feed_flags"] != 0):
        _conclude(arbiter, book, line, now)
    show_numbers(arbiter)
    return taken


@kernel
def retract(arbiter, book, line, now):
    """The datagram just taken belongs to a frame whose end showed damage (cut-through only).

    Messages that were used stay used, and every watched book is marked. Everything else that the
    datagram showed is forgotten: numbers ahead, session, end of session, sign of life.
    """
    a = arbiter_at(arbiter)
    b = book_at(book)
    b["stamp"] = now
    count(b["counters"], _RETRACTED)
    taken, reached = a["taken"], a["expected"]
    head, tail = a["session"][0], a["session"][1]
    copy(arbiter + KEPT_AT, arbiter + SAVED_AT, KEPT_SIZE)
    before = a["expected"]
    is_same = a["has_session"] == 0 or (head == a["session"][0] and tail == a["session"][1])
    if before != reached or not is_same:
        tell(arbiter, book, line, RETRACTED, a["state"], reached, now)
        desync_all(book, reached - 1, _flags(arbiter))
        if is_same and reached - before == taken:
            a["expected"] = reached
    _conclude(arbiter, book, line, now)
    show_numbers(arbiter)


@kernel
def set_back(arbiter, now):
    """Let nothing be later than ``now``, so that a clock that was set back makes no wait longer.

    For who has such a clock, before each :func:`tick`. A card's does not go back while it is armed.
    """
    a = arbiter_at(arbiter)
    a["last"][0] = min(a["last"][0], now)
    a["last"][1] = min(a["last"][1], now)
    a["hole_since"] = min(a["hole_since"], now)


@kernel
def tick(arbiter, book, now):
    """Let time pass without a packet: silent lines, a hole out of patience, a stale feed.

    Returns the FeedState in force. The result depends only on the order of calls and their times.
    """
    a = arbiter_at(arbiter)
    b = book_at(book)
    b["stamp"] = now
    if a["is_started"] == 0 or a["is_stale"]:
        return a["state"]
    for line in range(2):
        if a["lines"] >> line & 1 and a["silent"][line] == 0 and _is_silent(arbiter, line, now):
            a["silent"][line] = 1
            count(b["counters"], _SILENCES_A + line)
    latest = highest(arbiter)
    if latest > a["expected"]:
        _judge(arbiter, book, 1 if a["shown"][1] == latest else 0, 0, now)
    silence = now - max(a["last"][0], a["last"][1])
    is_ended = a["end"] != 0 and a["expected"] >= a["end"]
    if a["stale_ns"] > 0 and silence > a["stale_ns"] and not is_ended:
        a["is_stale"] = 1
        count(b["counters"], _STALES)
        _conclude(arbiter, book, 1 if a["last"][1] > a["last"][0] else 0, now)
    show_numbers(arbiter)
    return a["state"]
