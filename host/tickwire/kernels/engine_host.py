"""Host's half of the engine: records to the strategy, intents to the window.

It works with any device: it reads the two rings, writes the intent window and kicks the watchdog,
and knows nothing else. A record is copied before it is believed, because a ring in memory may be
written by a card.
"""

from tickwire.kernels import digest, histogram, idle
from tickwire.kernels.engine_layout import (
    BATCH,
    OUT_SLOTS,
    QUEUE_SLOTS,
    TIMER_TYPE,
    host_at,
    intent_at,
    status_at,
    strategy_at,
)
from tickwire.kernels.engine_ledger import instrument_of, note, note_pending, position_of
from tickwire.kernels.fix_lease import HANDED_OVER, NO_ROOM, release
from tickwire.kernels.intent_window import seal
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    call3,
    copy64,
    load8,
    load16,
    load32,
    load32_relaxed,
    load64,
    load64_acquire,
    nanoseconds,
    send,
    store32,
    store64,
    store64_release,
    unlikely,
)
from tickwire.kernels.ring import count, poll, resume, unchanged
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import INTENT, WINDOW_SLOTS, Operation
from tickwire.spec.records import (
    BBO,
    DIRECTORY,
    FEED_STATE,
    RECORD_SIZE,
    TRAILER_OFFSET,
    RecordType,
)
from tickwire.spec.shared import POSITION

_BBO = RecordType.BBO.value
_LEVEL = RecordType.LEVEL.value
_TRADE = RecordType.TRADE.value
_STATUS = RecordType.STATUS.value
_IMBALANCE = RecordType.IMBALANCE.value
_DIRECTORY = RecordType.DIRECTORY.value
_FEED_STATE = RecordType.FEED_STATE.value
_RELEASED = RecordType.ORDER_RELEASED.value
_NEW = Operation.NEW.value
_REPLACE = Operation.REPLACE.value
_RECORDS_LOST = CounterIndex.RECORDS_LOST.value
_DROPPED = CounterIndex.INTENTS_DROPPED.value
_CALLS = CounterIndex.STRATEGY_CALLS.value
_TICKS = CounterIndex.STRATEGY_TICKS.value
_TYPE = TRAILER_OFFSET + 4
_CREDIT_SHIFT = 48
_LOCATE = BBO.field("locate")[1]            # at the same place in every market record
_LATENCY = BBO.field("latency_ns")[1]
_DIRECTORY_SYMBOL = DIRECTORY.field("symbol")[1]
_POSITION_SYMBOL, _POSITION_LOCATE = (POSITION.field(name)[1] for name in ("symbol", "locate"))
_DIRECTORY_INSTRUMENT = DIRECTORY.field("instrument")[1]
_SESSION = FEED_STATE.field("session")[1]
assert FEED_STATE.field("session")[0].size == 8 + 2
assert DIRECTORY.field("locate")[1] == _LOCATE
_INTENT_SIZE = INTENT.size
_U16 = 0xFFFF


@kernel(inline=True)
def _take_credit(host, trailer):
    """Move the credit on to what a record's trailer tells, modulo 2^16."""
    h = host_at(host)
    credit = h["credit"]
    ahead = ((trailer >> _CREDIT_SHIFT & _U16) - credit) & _U16
    if ahead < 0x8000:
        h["credit"] = credit + ahead


@kernel
def submit(host, source):
    """Put one intent in the window; returns 1, or 0 when it is full and the intent dropped."""
    h = host_at(host)
    if unlikely(h["sequence"] - h["credit"] >= WINDOW_SLOTS):
        count(h["counters"], _DROPPED)
        return 0
    sequence = h["sequence"] + 1
    h["sequence"] = sequence
    i = intent_at(source)
    operation = i["operation"]
    if operation == _NEW or operation == _REPLACE:
        instrument = instrument_of(host, load16(source + 12))
        if instrument >= 0:
            note_pending(host, load32(source + 8), instrument)
    slot = h["window"] + ((sequence - 1) & (WINDOW_SLOTS - 1)) * _INTENT_SIZE
    for offset in range(0, _INTENT_SIZE - 8, 8):
        store64(slot + offset, load64(source + offset))
    seal(slot, load32_relaxed(h["arming"]), sequence)
    return 1


@kernel
def _call(host, record, instrument, cause):
    """Give the record to the strategy and its intents to the device; returns how many."""
    h = host_at(host)
    s = strategy_at(h["strategy"])
    s["instrument"] = instrument
    place = max(instrument, 0)
    s["row"] = s["rows"] + s["row_size"] * place
    s["position"] = position_of(host, place)
    dropped = s["dropped"]
    written = call3(h["handler"], h["strategy"], record, h["out"])
    if unlikely(s["dropped"] != dropped):
        count(h["counters"], _DROPPED, s["dropped"] - dropped)
    if written <= 0:
        return 0
    for index in range(min(written, OUT_SLOTS)):
        source = h["out"] + index * _INTENT_SIZE
        if load64(source) == 0:
            store64(source, cause)
        submit(host, source)
    return written


@kernel
def _directory(host, record):
    """A locate got its instrument, or is of no instrument any more."""
    h = host_at(host)
    instrument = load32(record + _DIRECTORY_INSTRUMENT)
    locate = load16(record + _LOCATE)
    before = instrument_of(host, locate)
    if before >= 0 and before != instrument:
        position = position_of(host, before)
        if load32(position + _POSITION_LOCATE) == locate:
            store32(position + _POSITION_LOCATE, 0)
    store32(h["locates"] + 4 * locate, 0)
    if instrument < h["instruments"]:
        store32(h["locates"] + 4 * locate, instrument + 1)
        position = position_of(host, instrument)
        store64(position + _POSITION_SYMBOL, load64(record + _DIRECTORY_SYMBOL))
        store32(position + _POSITION_LOCATE, locate)


@kernel(inline=True)
def _is_wanted(wanted, kind):
    return wanted >> kind & 1 != 0


@kernel
def _order_records(host, now):
    """Read the order ring: ledger first, then the strategy. Returns how many records came."""
    h = host_at(host)
    read = released = 0
    while read < BATCH:
        number = h["orders_next"]
        if poll(h["orders"], h["orders_mask"], number, h["ring_epoch"]) <= 0:
            break
        record = h["record"]
        copy64(record, h["orders"] + ((number - 1) & h["orders_mask"]) * RECORD_SIZE)
        if unlikely(load8(record + _TYPE) == _RELEASED):
            # The session must have it: while it has no room the ring waits, and so does the device.
            taken = release(h["lease"], h["releases"], record)
            if taken == NO_ROOM:
                break
            released += taken == HANDED_OVER
        h["orders_next"] = number + 1
        read += 1
        _take_credit(host, load64(record + TRAILER_OFFSET))
        h["order_digest"] = digest.fold(h["order_digest"], record, h["masks"])
        instrument = note(host, record)
        if h["handler"] != 0 and _is_wanted(h["wanted"], load8(record + _TYPE)):
            strategy_at(h["strategy"])["now"] = now
            count(h["counters"], _CALLS)
            _call(host, record, instrument, now)
    if released != 0:
        send(h["release_wake"], h["record"], 1, MSG_DONTWAIT | MSG_NOSIGNAL)
    if read != 0 and h["consumed"] != 0:
        store64_release(h["consumed"], h["orders_next"] - 1)
    return read


@kernel
def _market_record(host, record):
    """One market record that is whole; returns the intents that it caused."""
    h = host_at(host)
    kind = load8(record + _TYPE)
    if unlikely(kind == _DIRECTORY):
        _directory(host, record)
    elif unlikely(kind == _FEED_STATE):
        h["feed_session"] = load64(record + _SESSION)
        h["feed_session_end"] = load16(record + _SESSION + 8)
    if h["handler"] == 0 or not _is_wanted(h["wanted"], kind):
        return 0
    instrument = -1
    if kind == _BBO or _LEVEL <= kind <= _TRADE or _STATUS <= kind <= _DIRECTORY:
        instrument = instrument_of(host, load16(record + _LOCATE))
    count(h["counters"], _CALLS)
    return _call(host, record, instrument, load64(record))


@kernel
def _lapped(host):
    """The ring was overwritten before it was read: go on half a ring behind the newest."""
    h = host_at(host)
    number = h["market_next"]
    later = max(resume(h["market"], h["market_mask"], number, h["ring_epoch"]), number + 1)
    count(h["counters"], _RECORDS_LOST, later - number)
    h["market_next"] = later


@kernel
def _market_records(host, now):
    """Read the market ring up to the first record that causes intents; returns records read.

    The device takes those intents before the next record is looked at: a strategy never decides
    twice on what it has just decided.
    """
    h = host_at(host)
    read = 0
    while read < BATCH:
        number = h["market_next"]
        state = poll(h["market"], h["market_mask"], number, h["ring_epoch"])
        if state == 0:
            break
        record = h["record"]
        copy64(record, h["market"] + ((number - 1) & h["market_mask"]) * RECORD_SIZE)
        if unlikely(state < 0 or not unchanged(h["market"], h["market_mask"], number,
                                               h["ring_epoch"])):
            _lapped(host)
            continue
        h["market_next"] = number + 1
        read += 1
        trailer = load64(record + TRAILER_OFFSET)
        _take_credit(host, trailer)
        written = _market_record(host, record)
        if trailer >> 32 & 0xFF == _BBO:
            latency = load32(record + _LATENCY)
            if latency != 0:
                histogram.add(h["book_stage"], latency)
                if written > 0:
                    histogram.add(h["decision_stage"],
                                  nanoseconds(CLOCK_REALTIME) - load64(record) - latency)
        h["market_digest"] = digest.fold(h["market_digest"], record, h["masks"])
        if written > 0:
            break
    return read


@kernel
def enqueue(host, source):
    """Hand the intent at ``source`` from another thread to the loop; 0 when its queue is full."""
    h = host_at(host)
    written = load64(h["queue_written"])
    if written - load64_acquire(h["queue_read"]) >= QUEUE_SLOTS:
        return 0
    slot = h["queue"] + (written & (QUEUE_SLOTS - 1)) * _INTENT_SIZE
    for offset in range(0, _INTENT_SIZE, 8):
        store64(slot + offset, load64(source + offset))
    store64_release(h["queue_written"], written + 1)
    return 1


@kernel
def _queued(host):
    """Intents that Python handed over; returns how many."""
    h = host_at(host)
    position = load64(h["queue_read"])
    written = load64_acquire(h["queue_written"])
    taken = 0
    while position < written and h["sequence"] - h["credit"] < WINDOW_SLOTS:
        submit(host, h["queue"] + (position & (QUEUE_SLOTS - 1)) * _INTENT_SIZE)
        position += 1
        taken += 1
    if taken != 0:
        store64_release(h["queue_read"], position)
    return taken


@kernel
def _timer(host, now):
    """Call the strategy with a TIME record when its period has passed."""
    h = host_at(host)
    if h["timer_ns"] == 0 or not idle.is_due(h["timer_next"], now, h["timer_ns"]):
        return 0
    h["timer_next"] = now + h["timer_ns"]
    record = h["record"]
    for offset in range(0, RECORD_SIZE, 8):
        store64(record + offset, 0)
    store64(record, now)
    store64(record + 8, now)
    store64(record + TRAILER_OFFSET, TIMER_TYPE << 32)
    count(h["counters"], _TICKS)
    return _call(host, record, -1, now)


@kernel
def step(host, now):
    """Host's part of one turn: order records, then market records until one causes intents.

    Returns what was done: 0 nothing. Call it again while it returns more than 0.
    """
    strategy_at(host_at(host)["strategy"])["now"] = now
    return _order_records(host, now) + _market_records(host, now)


@kernel
def beat(host, now):
    """Host's part of a turn that comes once: queue, timer, watchdog, status. Returns intents."""
    h = host_at(host)
    done = _queued(host) + _timer(host, now)
    if h["kick"] != 0:
        h["kicks"] += 1
        store64_release(h["kick"], h["kicks"])
    s = status_at(h["status"])
    s["market_records"] = h["market_next"] - 1
    s["order_records"] = h["orders_next"] - 1
    s["market_digest"] = h["market_digest"]
    s["order_digest"] = h["order_digest"]
    s["intents"] = h["sequence"]
    s["turn_time"] = now
    return done
