"""Mass cancel: one cancel for every order open when it began, a few in each call.

There is one at a time. Another one that begins meanwhile starts over, and when the two are not
for the same instrument, both together become one for all: a cancel too many costs a place in the
queue, a cancel too few costs money.
"""

import numpy as np

from tickwire.kernels import encoder
from tickwire.kernels.exposures import message
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64_relaxed
from tickwire.kernels.order_layout import (
    BATCH,
    ORDER,
    SCAN,
    order_at,
    orders_at,
    risk_at,
)
from tickwire.kernels.orders import DEAD
from tickwire.kernels.ring import count, room
from tickwire.kernels.staging import is_released, sent, stage
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import Operation
from tickwire.spec.orders import RESERVED_RECORDS
from tickwire.spec.records import RECORD_SIZE

ALL = -1                                   # instead of an instrument
_CANCEL = Operation.CANCEL.value
_CANCELS_SENT = CounterIndex.CANCELS_SENT.value
_CANCELS_UNSENT = CounterIndex.CANCELS_UNSENT.value
_ORDER_SIZE = ORDER.itemsize


@kernel
def begin_sweep(orders, instrument, intent_id, timestamp):
    """Begin a mass cancel of the orders open now, of ``instrument`` or of ``ALL``."""
    o = orders_at(orders)
    is_wider = o["sweep"] != 0 and o["sweep_instrument"] != instrument
    o["sweep"] = 1
    o["sweep_row"] = 0
    o["sweep_token"] = o["next_token"]
    o["sweep_instrument"] = ALL if is_wider else instrument
    o["sweep_intent"] = intent_id
    o["sweep_timestamp"] = timestamp


@kernel(inline=True)
def is_up(orders, session):
    """Whether the order session is up."""
    return load64_relaxed(risk_at(orders_at(orders)["risk"])["sessions"] + 8 * session) == 1


@kernel(inline=True)
def sweeping(orders):
    """Whether a mass cancel has orders left to look at."""
    return orders_at(orders)["sweep"] != 0


@kernel
def sweep(orders, now):
    """Encode the next cancels of the mass cancel: at most ``BATCH``, all of one session.

    Looks at ``SCAN`` rows at most. Returns the octets at ``tx``; :func:`sweeping` tells whether to
    call again. An order whose session is down is passed over and counted. A second cancel of an
    order costs nothing, so whether one was sent before is not asked.
    """
    o = orders_at(orders)
    if o["staged_count"] != 0:
        sent(orders, now)
    o["taken"] = now
    octets = 0
    for _ in range(SCAN):
        if o["sweep_row"] > o["mask"]:
            o["sweep"] = 0
            break
        a = order_at(o["table"] + o["sweep_row"] * _ORDER_SIZE)
        token = np.int64(a["token"])
        session = np.int64(a["session"])
        if a["state"] != DEAD and token < o["sweep_token"] and (
                o["sweep_instrument"] == ALL
                or o["sweep_instrument"] == np.int64(a["instrument"])):
            records = 2 if is_released(orders, session) else 1     # of one message
            if not is_up(orders, session):
                count(o["counters"], _CANCELS_UNSENT)
            elif (o["staged_count"] == BATCH
                  or (octets > 0 and session != o["tx_session"])
                  or room(o["ring"]) - records * o["staged_count"] < RESERVED_RECORDS + records):
                break
            else:
                o["tx_session"] = session
                stage(orders, token, _CANCEL, 0, 0, o["sweep_intent"], o["sweep_timestamp"])
                octets += (RECORD_SIZE if records == 2
                           else encoder.encode_cancel(token, 0, o["tx"] + octets))
                count(o["counters"], _CANCELS_SENT)
                message(o["risk"], session, now)
        o["sweep_row"] += 1
    return octets
