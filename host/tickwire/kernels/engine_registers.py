"""Registers of the software device: what the host wrote is done, what it reads is kept current.

A register that is an event is a mailbox (``engine_layout.MAILBOXES``): the host stores the value,
with a mark where the value may be 0, and the device clears the word when it has taken it.
"""

from tickwire.kernels import arbiter
from tickwire.kernels.arbiter_layout import arbiter_at
from tickwire.kernels.engine_layout import device_at
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import (
    load32_relaxed,
    load64_acquire,
    load64_relaxed,
    shift_right,
    store32,
    store64_relaxed,
    store64_release,
    unlikely,
)
from tickwire.kernels.order_layout import orders_at, risk_at
from tickwire.kernels.order_path import (
    arm,
    commit,
    is_released,
    kick,
    kill,
    kill_instrument,
    kill_session,
    kill_strategy,
)
from tickwire.kernels.ring import count, ring_at
from tickwire.spec.counters import CounterIndex
from tickwire.spec.limits import STRATEGIES
from tickwire.spec.records import FeedState, Line
from tickwire.spec.registers import KillCause, RegisterOffset, Status

_KILL = RegisterOffset.KILL.value
_ARM = RegisterOffset.ARM.value
_COMMIT = RegisterOffset.LIMITS_COMMIT.value
_INSTRUMENT = RegisterOffset.INSTRUMENT_KILL.value
_STRATEGY = RegisterOffset.STRATEGY_KILL.value
_SESSION = RegisterOffset.SESSION_KILL.value
_GIVE_UP = RegisterOffset.FEED_GIVE_UP.value
_SESSION_STATE = RegisterOffset.SESSION_STATE.value
_KICK = RegisterOffset.WATCHDOG_KICK.value
_PERIOD = RegisterOffset.WATCHDOG_PERIOD.value
_CLOSED = RegisterOffset.WATCHDOG_CLOSED.value
_ACTION = RegisterOffset.KILL_ACTION.value
_POLICY = RegisterOffset.GAP_POLICY.value
_CONTROL = RegisterOffset.CONTROL.value
_STATUS = RegisterOffset.STATUS.value
_MARKET = RegisterOffset.RING_MARKET_SEQUENCE.value
_ORDERS = RegisterOffset.RING_ORDER_SEQUENCE.value
_VERSION = RegisterOffset.LIMITS_VERSION.value
_CRC = RegisterOffset.LIMITS_CRC.value
_CAUSE = RegisterOffset.KILL_CAUSE.value
_KILL_TIME = RegisterOffset.KILL_TIME.value
_EPOCH = RegisterOffset.EPOCH.value
_NOW = RegisterOffset.TIME_NOW.value
_REGISTER = KillCause.REGISTER.value
_DROPS = CounterIndex.SESSION_DROPS.value
_CAUSES = sum(KillCause)
_RUNNING, _ARMED, _KILLED, _FEED_LIVE, _SESSION_UP, _ENDED = (
    status.value for status in (Status.RUNNING, Status.ARMED, Status.KILLED, Status.FEED_LIVE,
                                Status.SESSION_UP, Status.ENDED))
_LIVE = FeedState.LIVE.value
_FEED_ENDED = FeedState.ENDED.value
_RECOVERY = Line.RECOVERY.value
_U32 = 0xFFFF_FFFF
_WATCHDOG_TICK = 1_000                     # ns of one microsecond
_KILL_BIT = 1 << 16
_UP_BIT = 1 << 16
_NUMBER = _KILL_BIT - 1


@kernel(inline=True)
def take_kill(device, now):
    """Latch the kill when register KILL was written: before every intent, so none slips through."""
    d = device_at(device)
    word = load32_relaxed(d["registers"] + _KILL)
    if unlikely(word != 0):
        store32(d["registers"] + _KILL, 0)
        # What was written before the kill holds for it.
        orders_at(d["orders"])["kill_action"] = load32_relaxed(d["registers"] + _ACTION)
        cause = word & _CAUSES
        kill(d["orders"], cause if cause != 0 else _REGISTER, now)


@kernel
def _session_state(device, session, is_up, now):
    """A session that the host runs came up or went down; of the device's own it is no news."""
    d = device_at(device)
    orders = d["orders"]
    if session >= orders_at(orders)["session_count"] or not is_released(orders, session):
        return
    word = risk_at(orders_at(orders)["risk"])["sessions"] + 8 * session
    if load64_relaxed(word) == 1 and not is_up:
        count(d["counters"], _DROPS)
    store64_release(word, is_up)
    show(device, now)


@kernel
def _partial_kills(orders, registers):
    """Block or release one instrument, strategy or session each; returns how many."""
    o = orders_at(orders)
    done = 0
    word = load32_relaxed(registers + _INSTRUMENT)
    if word != 0:
        if word & _NUMBER < risk_at(o["risk"])["instruments"]:
            kill_instrument(orders, word & _NUMBER, 1 if word & _KILL_BIT else 0)
        store32(registers + _INSTRUMENT, 0)
        done += 1
    word = load32_relaxed(registers + _STRATEGY)
    if word != 0:
        if word & _NUMBER < STRATEGIES:
            kill_strategy(orders, word & _NUMBER, 1 if word & _KILL_BIT else 0)
        store32(registers + _STRATEGY, 0)
        done += 1
    word = load32_relaxed(registers + _SESSION)
    if word != 0:
        if word & _NUMBER < o["session_count"]:
            kill_session(orders, word & _NUMBER, 1 if word & _KILL_BIT else 0)
        store32(registers + _SESSION, 0)
        done += 1
    return done


@kernel
def _mailboxes(device, now):
    """Do what the host wrote to the other mailboxes; returns how many held something."""
    d = device_at(device)
    orders, registers = d["orders"], d["registers"]
    done = 0
    word = load64_acquire(registers + _ARM)
    if word != 0:
        arm(orders, word & _U32, now)
        store32(registers + _EPOCH, orders_at(orders)["epoch"])
        show(device, now)
        store64_release(registers + _ARM, 0)
        done += 1
    word = load64_acquire(registers + _COMMIT)
    if word != 0:
        commit(orders, word & _U32, shift_right(word, 32), now)
        store64_release(registers + _COMMIT, 0)
        done += 1
    done += _partial_kills(orders, registers)
    word = load64_acquire(registers + _GIVE_UP)
    if word != 0:
        arbiter.give_up(d["arbiter"], d["book"], _RECOVERY, word, now)
        store64_release(registers + _GIVE_UP, 0)
        done += 1
    word = load32_relaxed(registers + _SESSION_STATE)
    if word != 0:
        _session_state(device, word & (_UP_BIT - 1), 1 if word & _UP_BIT else 0, now)
        store32(registers + _SESSION_STATE, 0)
        done += 1
    return done


@kernel
def take(device, now):
    """Do what the host wrote since the last turn; returns how much that was."""
    d = device_at(device)
    orders, registers = d["orders"], d["registers"]
    o = orders_at(orders)
    take_kill(device, now)
    done = 0
    if unlikely(load64_relaxed(registers + _ARM) | load64_relaxed(registers + _COMMIT)
                | load64_relaxed(registers + _GIVE_UP)
                | load32_relaxed(registers + _INSTRUMENT)
                | load32_relaxed(registers + _STRATEGY)
                | load32_relaxed(registers + _SESSION)
                | load32_relaxed(registers + _SESSION_STATE) != 0):
        done = _mailboxes(device, now)
    o["watchdog_ns"] = load32_relaxed(registers + _PERIOD) * _WATCHDOG_TICK
    o["watchdog_closed_ns"] = load32_relaxed(registers + _CLOSED) * _WATCHDOG_TICK
    o["kill_action"] = load32_relaxed(registers + _ACTION)
    value = load64_relaxed(registers + _KICK)
    if value != o["kick_value"]:
        kick(orders, value, now)
    arbiter_at(d["arbiter"])["policy"] = load32_relaxed(registers + _POLICY)
    return done


@kernel(inline=True)
def is_stopped(device):
    """Whether the host asks the loop to end: bit 0 of CONTROL is clear."""
    return load32_relaxed(device_at(device)["registers"] + _CONTROL) & 1 == 0


@kernel
def show(device, now):
    """Bring the registers that the host reads up to date."""
    d = device_at(device)
    registers = d["registers"]
    o = orders_at(d["orders"])
    r = risk_at(o["risk"])
    state = arbiter_at(d["arbiter"])["state"]
    status = _RUNNING | (_KILLED if r["killed"] != 0 else _ARMED)
    if state == _LIVE:
        status |= _FEED_LIVE
    elif state == _FEED_ENDED:
        status |= _ENDED
    if load64_relaxed(r["sessions"]) == 1:
        status |= _SESSION_UP
    store32(registers + _CAUSE, r["killed"])
    store64_relaxed(registers + _KILL_TIME, o["kill_time"])
    store32(registers + _EPOCH, o["epoch"])
    store32(registers + _VERSION, r["version"])
    store32(registers + _CRC, r["crc"])
    store64_relaxed(registers + _MARKET, ring_at(book_at(d["book"])["ring"])["written"])
    store64_relaxed(registers + _ORDERS, ring_at(o["ring"])["written"])
    store64_relaxed(registers + _NOW, now)
    store32(registers + _STATUS, status)
