"""Engine of the software device: one loop that is device and host in one thread.

A turn takes what the host wrote to registers, then datagrams of both lines, answers of the request
server, the order session, and what is due by time. After every datagram the host's half runs: a
strategy has decided, and its order has left, before the next datagram is looked at.
"""

import numpy as np

from tickwire.kernels import (
    arbiter,
    engine_host,
    engine_session,
    frame_ring,
    histogram,
    idle,
    order_clock,
    order_stages,
)
from tickwire.kernels.engine_layout import DATAGRAM, device_at
from tickwire.kernels.engine_registers import is_stopped, show, take, take_kill
from tickwire.kernels.jit import handler, kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    MSG_DONTWAIT,
    load8,
    load32,
    load64,
    nanoseconds,
    pause,
    recv,
    store32,
    store64,
    unlikely,
)
from tickwire.kernels.order_layout import orders_at
from tickwire.kernels.order_path import execute, ready, sweep, sweeping, watch
from tickwire.kernels.ring import commit, count, ring_at, slot
from tickwire.kernels.triggers import observe
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import INTENT, Operation
from tickwire.spec.records import HEARTBEAT, Line, RecordType
from tickwire.spec.registers import RegisterOffset

REACTIONS = 256                            # bound: rounds of the host's half after one event
INTENTS = 64                               # bound: intents taken in one go
SWEEPS = 16                                # bound: packet groups of a mass cancel in one turn
LAST_SWEEPS = 256                          # bound: of them, the turns when the loop ends
TICK_NS = 1_000_000                        # time-driven work is looked at this often
HEARTBEAT_NS = 100_000_000                 # an idle market ring gets a HEARTBEAT this often

_LOOPS = CounterIndex.LOOPS.value
_IDLE = CounterIndex.LOOPS_IDLE.value
_FRAMES_A = CounterIndex.FRAMES_A.value
_FRAMES_B = CounterIndex.FRAMES_B.value
_DROPPED = CounterIndex.RECORDS_DROPPED.value
_RECOVERY = Line.RECOVERY.value
SOURCES = len(Line)
_OPERATION = INTENT.field("operation")[1]
_NEW = Operation.NEW.value
_HEARTBEAT = RecordType.HEARTBEAT.value
_STATUS = RegisterOffset.STATUS.value
_EXPECTED = RegisterOffset.FEED_EXPECTED.value
_TIME, _FRAMES, _DROPS, _QUEUE, _LEFT, _STATE, _SEQUENCE, _RESERVED = (
    HEARTBEAT.field(name)[1] for name in (
        "time_now", "frames", "ring_drops", "queue_max", "watchdog_left", "status",
        "feed_sequence", "reserved"))
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def _time(device):
    """Time of the device: the system's, unless one was given."""
    given = device_at(device)["given_time"]
    return nanoseconds(CLOCK_REALTIME) if given == 0 else given


@kernel
def intents(device, now):
    """Take what is in the window; returns how many intents that was."""
    d = device_at(device)
    orders = d["orders"]
    taken = 0
    while taken < INTENTS:
        intent = ready(orders, now)
        if intent == 0:
            break
        begin = _time(device)
        # Before every intent: whatever kills, nothing slips through behind it.
        take_kill(device, begin)
        watch(orders, begin)
        octets = execute(orders, intent, begin)
        if octets < 0:
            break
        taken += 1
        engine_session.hedges(d["session"], orders, begin)
        if octets > 0:
            encoded = nanoseconds(CLOCK_REALTIME)
            egress = engine_session.depart(d["session"], orders, octets, encoded)
            copy = orders_at(orders)["intent"]
            is_caused = load8(copy + _OPERATION) == _NEW and load64(copy) == d["stamp"]
            order_stages.left(d["risk_stage"], d["send_stage"], d["tick_stage"], begin, encoded,
                              egress, d["stamp"] if is_caused else 0)
    return taken


@handler("int64(int64, int64, int64)")
def on_record(device, record, record_type):
    """Fire what a market record sets off: the book calls it, in the turn of the datagram."""
    d = device_at(device)
    orders = d["orders"]
    if orders_at(orders)["armed"] == 0:
        return 0
    slot, fired = 0, 0
    while slot >= 0:
        now = _time(device)
        octets, slot = observe(orders, record, record_type, slot, now)
        if octets > 0:
            encoded = nanoseconds(CLOCK_REALTIME)
            egress = engine_session.depart(d["session"], orders, octets, encoded)
            order_stages.left(d["risk_stage"], d["send_stage"], d["tick_stage"], now, encoded,
                              egress, d["stamp"])
            fired += 1
    return fired


@kernel
def react(device, now):
    """Let host and device answer each other until neither has anything left."""
    d = device_at(device)
    if d["host"] == 0:
        intents(device, now)
        return
    for _ in range(REACTIONS):
        read = engine_host.step(d["host"], now)
        if intents(device, now) + read == 0:
            break


@kernel(inline=True)
def _next_datagram(device, line):
    """Address and octets of the next datagram of a line, or of the request server's answers.

    A negative size says that there is none now.
    """
    d = device_at(device)
    if line == _RECOVERY:
        frame = frame_ring.take(d["recovery"])
        return frame, frame_ring.size_of(frame) if frame != 0 else -1
    return d["buffer"], recv(np.int32(d["lines"][line]), d["buffer"], DATAGRAM, MSG_DONTWAIT)


@kernel
def _datagrams(device, line):
    """Take up to a burst of datagrams from one line; returns how many."""
    d = device_at(device)
    taken = 0
    while taken < d["burst"]:
        address, size = _next_datagram(device, line)
        if size < 0:
            break
        stamp = _time(device)
        d["stamp"] = stamp
        arbiter.datagram(d["arbiter"], d["book"], address, size, line, stamp)
        applied = nanoseconds(CLOCK_REALTIME)
        react(device, applied)
        if line == _RECOVERY:
            frame_ring.release(d["recovery"])
        else:
            histogram.add(d["receive_stage"], applied - stamp)
        taken += 1
    return taken


@kernel
def _heartbeat(device, now):
    """An idle market ring tells that the device lives, and gives credit back."""
    d = device_at(device)
    ring = book_at(d["book"])["ring"]
    o = orders_at(d["orders"])
    counters = d["counters"]
    record = slot(ring)
    left = 0
    if o["watchdog_ns"] != 0:
        left = max(o["watchdog_ns"] - (now - o["kick_time"]), 0) // 1_000
    store64(record, now)
    store64(record + _TIME, now)
    store64(record + _FRAMES, load64(counters + 8 * _FRAMES_A) + load64(counters + 8 * _FRAMES_B))
    store32(record + _DROPS, load64(counters + 8 * _DROPPED))
    store32(record + _QUEUE, 0)
    store32(record + _LEFT, min(left, _U32))
    store32(record + _STATE, load32(d["registers"] + _STATUS))
    store64(record + _SEQUENCE, load64(d["registers"] + _EXPECTED) - 1)
    store64(record + _RESERVED, 0)
    commit(ring, _HEARTBEAT)


@kernel
def _timed(device, now):
    """What is due by time alone."""
    d = device_at(device)
    back = d["tick_at"] - TICK_NS - now
    if unlikely(back > 0):
        order_clock.set_back(d["orders"], back)
    d["tick_at"] = now + TICK_NS
    arbiter.set_back(d["arbiter"], now)
    arbiter.tick(d["arbiter"], d["book"], now)
    engine_session.pulse(d["session"], now)
    written = ring_at(book_at(d["book"])["ring"])["written"]
    if written != d["market_seen"]:
        d["market_seen"] = written
        d["heartbeat_at"] = now + HEARTBEAT_NS
    elif idle.is_due(d["heartbeat_at"], now, HEARTBEAT_NS):
        _heartbeat(device, now)


@kernel
def _sweep(device, now):
    """A mass cancel goes on, some orders a turn; returns whether anything left."""
    d = device_at(device)
    done = 0
    while done < SWEEPS and sweeping(d["orders"]):
        octets = sweep(d["orders"], now)
        if octets > 0:
            engine_session.depart(d["session"], d["orders"], octets, now)
        done += 1
    return done


@kernel
def _finish(device, now):
    """Send the cancels of a mass cancel that is under way: after the stop nobody would."""
    d = device_at(device)
    for _ in range(LAST_SWEEPS):
        if not sweeping(d["orders"]):
            return
        if d["host"] != 0:
            engine_host.step(d["host"], now)   # what it has read makes room for records
        _sweep(device, now)


@kernel
def _sleep(device):
    """Wait until a socket or the waker is ready, or the sleep is over. Rows are struct pollfd."""
    d = device_at(device)
    polled = d["polled"]
    store32(polled, d["lines"][0])
    store32(polled + 8, d["lines"][1])
    store32(polled + 16, load64(d["session"]))
    idle.sleep(polled, 4, d["timeout"], d["sleep_ns"])


@kernel
def run(device, turns):
    """Do ``turns`` turns; with 0, turns until CONTROL says stop. Returns how many it did.

    Without a bound it sleeps when ``idle_limit`` turns in a row found nothing to do.
    """
    d = device_at(device)
    count_turns = 0
    while True:
        now = _time(device)
        done = take(device, now)
        for line in range(SOURCES):
            if line == _RECOVERY or d["lines"][line] >= 0:
                done += _datagrams(device, line)
        # An answer may be to an order of this turn: its stamp must not be older than the order's.
        done += engine_session.receive(d["session"], d["orders"], _time(device))
        if d["host"] != 0:
            done += engine_host.beat(d["host"], now)
        react(device, now)
        if unlikely(sweeping(d["orders"])):
            done += _sweep(device, now)
        watch(d["orders"], now)
        if idle.is_due(d["tick_at"], now, TICK_NS):
            _timed(device, now)
        show(device, now)
        count(d["counters"], _LOOPS)
        count_turns += 1
        if turns == count_turns or (turns == 0 and is_stopped(device)):
            take_kill(device, now)             # what was written before the stop holds
            if turns == 0:
                _finish(device, now)
            show(device, now)
            return count_turns
        if done != 0:
            d["idle"] = 0
            continue
        count(d["counters"], _IDLE)
        d["idle"] += 1
        if turns == 0 and d["idle_limit"] != 0 and d["idle"] > d["idle_limit"]:
            _sleep(device)
        else:
            pause()
