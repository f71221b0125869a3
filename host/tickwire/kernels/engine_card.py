"""Engine beside a card: the host's half, and what it says to the card's BARs.

The card does the rest. Reads of a card take a microsecond, so nothing is read here, but for its
arming: records come to memory, and what control wants is found in the registers that the host shows
in shared memory.
"""

import numpy as np

from tickwire.kernels import engine_host, idle
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    load32_relaxed,
    load64_acquire,
    load64_relaxed,
    nanoseconds,
    pause,
    store32,
    store32_relaxed,
    store64_relaxed,
    store64_release,
    unlikely,
    view,
)
from tickwire.kernels.mmio import store_line
from tickwire.spec.intents import INTENT, WINDOW_SLOTS
from tickwire.spec.registers import ARM_KEY, RegisterOffset

CARD = np.dtype([
    ("host", "i8"),              # HOST; 0 when nobody listens
    ("registers", "i8"),         # as everybody sees them, in shared memory
    ("staging", "i8"),           # intent window of the host, in memory
    ("bar", "i8"),               # the card's registers
    ("window", "i8"),            # the card's intent window
    ("taken", "i8"),             # intents that the card was given
    ("is_held", "i8"),           # by a second key, until control has shown the new EPOCH
    ("consumed", "i8"),          # order records that it knows to be read
    ("kicked", "i8"),            # watchdog's last kick, and when it was given
    ("kicked_at", "i8"),
    ("idle", "i8"),              # turns in a row that found nothing to do
    ("idle_limit", "i8"),        # after so many the loop sleeps; 0 never
    ("polled", "i8"),            # struct pollfd of the waker
    ("timeout", "i8"),           # struct timespec
    ("sleep_ns", "i8"),
], align=True)
"""A card as the loop knows it."""

KICK_NS = 100_000
"""Time between two kicks that go to the card: each is a write on the bus."""
_CONTROL = RegisterOffset.CONTROL.value
_ARM = RegisterOffset.ARM.value
_KILL = RegisterOffset.KILL.value
_ACTION = RegisterOffset.KILL_ACTION.value
_KICK = RegisterOffset.WATCHDOG_KICK.value
_EPOCH = RegisterOffset.EPOCH.value
_CONSUMED = RegisterOffset.RING_ORDER_CONSUMED.value
_INTENT_SIZE = INTENT.size
_LAST = INTENT.size - 8                    # epoch and number of an intent
_U32 = 0xFFFF_FFFF
_SECOND_KEY = ARM_KEY ^ _U32               # with the epoch in it

card_at = view(CARD)


@kernel
def _take_kill(card):
    """Kill the card when register KILL was written, before anything else is said to it."""
    c = card_at(card)
    word = load32_relaxed(c["registers"] + _KILL)
    if unlikely(word != 0):
        store32(c["registers"] + _KILL, 0)
        # What was written before the kill holds for it.
        store32_relaxed(c["bar"] + _ACTION, load32_relaxed(c["registers"] + _ACTION))
        store32_relaxed(c["bar"] + _KILL, word)


@kernel
def _take_key(card):
    """Give the card an arming key, behind the one before: both have to come within 1 ms.

    Behind a second one intents need the new EPOCH: nothing is decided until control has shown it.
    """
    c = card_at(card)
    key = load64_relaxed(c["registers"] + _ARM)
    if unlikely(key != 0) and load64_relaxed(c["bar"] + _ARM) == 0:
        store64_relaxed(c["bar"] + _ARM, key)
        store64_release(c["registers"] + _ARM, 0)
        second = load32_relaxed(c["registers"] + _EPOCH) ^ _SECOND_KEY
        if key & _U32 == second & _U32:        # whatever became of a first one before
            c["is_held"] = 1


@kernel
def _push(card):
    """Give the card what is new in the window; returns how many intents."""
    c = card_at(card)
    pushed = 0
    while pushed < WINDOW_SLOTS:
        slot = (c["taken"] & (WINDOW_SLOTS - 1)) * _INTENT_SIZE
        last = load64_acquire(c["staging"] + slot + _LAST)
        if last >> 32 & _U32 != c["taken"] + 1 & _U32:
            break
        _take_kill(card)
        store_line(c["window"] + slot, c["staging"] + slot)
        c["taken"] += 1
        pushed += 1
    return pushed


@kernel
def _tell(card, now):
    """Tell the card which order records were read, and that the loop goes round."""
    c = card_at(card)
    consumed = load64_relaxed(c["registers"] + _CONSUMED)
    if consumed != c["consumed"]:
        c["consumed"] = consumed
        store64_relaxed(c["bar"] + _CONSUMED, consumed)
    kick = load64_relaxed(c["registers"] + _KICK)
    if kick != c["kicked"] and idle.is_due(c["kicked_at"] + KICK_NS, now, KICK_NS):
        c["kicked"], c["kicked_at"] = kick, now
        store64_relaxed(c["bar"] + _KICK, kick)


@kernel
def run(card, turns):
    """Do ``turns`` turns; with 0, turns until bit 0 of CONTROL is clear. Returns how many."""
    c = card_at(card)
    done_turns = 0
    while True:
        now = nanoseconds(CLOCK_REALTIME)
        _take_kill(card)
        done = 0
        if c["host"] != 0 and c["is_held"] == 0:
            done = engine_host.beat(c["host"], now) + engine_host.step(c["host"], now)
        done += _push(card)
        _take_key(card)
        _tell(card, now)
        done_turns += 1
        if turns == done_turns or (turns == 0
                                   and load32_relaxed(c["registers"] + _CONTROL) & 1 == 0):
            _take_kill(card)                   # what was written before the stop holds
            return done_turns
        if done != 0:
            c["idle"] = 0
            continue
        c["idle"] += 1
        if turns == 0 and c["idle_limit"] != 0 and c["idle"] > c["idle_limit"]:
            idle.sleep(c["polled"], 1, c["timeout"], c["sleep_ns"])
        else:
            pause()
