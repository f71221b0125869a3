"""Intent window: 64 slots that the host writes and the device takes in sequence.

The host fills a slot and seals it; the device takes it when the sequence is the expected one. A
slot is the host's again as soon as the credit of a record has reached its sequence.
"""

import numpy as np

from tickwire.kernels.checksum import CRC_OFFSET, crc32c_intent
from tickwire.kernels.jit import kernel
from tickwire.kernels.kill import kill
from tickwire.kernels.memory import load64_acquire, store32, store64_release
from tickwire.kernels.order_layout import firm_at, orders_at, risk_at
from tickwire.kernels.order_records import record_error
from tickwire.kernels.ring import count, ring_at
from tickwire.kernels.settle import has_room
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import INTENT, WINDOW_SLOTS, IntentError
from tickwire.spec.registers import KillCause

_WRONG_SEQUENCE = IntentError.SEQUENCE.value
_INTENT_ERRORS = KillCause.INTENT_ERRORS.value
_INTENTS = CounterIndex.INTENTS.value
_EPOCH = INTENT.field("epoch")[1]
_SIZE = INTENT.size
_U32 = 0xFFFF_FFFF
assert INTENT.field("crc")[1] == CRC_OFFSET and INTENT.field("sequence")[1] == _EPOCH + 4


@kernel
def seal(intent, epoch, sequence):
    """Host's side: give the intent its epoch, sequence and CRC; the last store publishes it."""
    last = (epoch & _U32) | (sequence & _U32) << 32
    # The CRC covers epoch and sequence, which must not be seen before it is there.
    store32(intent + CRC_OFFSET, crc32c_intent(intent, last))
    store64_release(intent + _EPOCH, last)


@kernel(inline=True)
def fault(orders, intent, error, expected, received, now):
    """An intent that its owner did not write so: too many of them kill."""
    o = orders_at(orders)
    o["errors"] += 1
    record_error(orders, intent, error, expected, received, now)
    if o["errors"] > np.int64(firm_at(risk_at(o["risk"])["limits"])["intent_errors_max"]):
        kill(orders, _INTENT_ERRORS, now)


@kernel(inline=True)
def ready(orders, now):
    """Address of the next intent in the window, or 0.

    A slot with a sequence that is neither the expected one nor that of the intent before is
    reported once and left alone. While the order ring lacks room nothing is taken.
    """
    o = orders_at(orders)
    expected = o["expected"] & _U32
    intent = o["window"] + ((expected - 1) & (WINDOW_SLOTS - 1)) * _SIZE
    last = load64_acquire(intent + _EPOCH)
    sequence = last >> 32 & _U32
    if sequence != expected:
        if (last != 0 and sequence != (expected - WINDOW_SLOTS) & _U32 and last != o["refused"]
                and has_room(orders)):
            o["refused"] = last
            fault(orders, intent, _WRONG_SEQUENCE, expected, sequence, now)
        return 0
    return intent if has_room(orders) else 0


@kernel(inline=True)
def consume(orders):
    """The intent is taken, whatever becomes of it: its slot may be written again."""
    o = orders_at(orders)
    taken = o["expected"]
    o["expected"] = taken + 1
    ring_at(o["ring"])["credit"] = taken
    if o["market_ring"] != 0:
        ring_at(o["market_ring"])["credit"] = taken
    count(o["counters"], _INTENTS)
