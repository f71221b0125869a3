"""Order messages between gate and wire: their ORDER_SENT records wait for the egress stamp.

A message of a session that the host runs has no octets of its own: its ORDER_RELEASED record is
what leaves.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.order_layout import STAGED, order_at, orders_at, staged_at
from tickwire.kernels.order_records import record_released, record_sent
from tickwire.kernels.orders import row
from tickwire.spec.intents import Operation

_CANCEL = Operation.CANCEL.value
_SIZE = STAGED.itemsize


@kernel(inline=True)
def stage(orders, token, operation, price, quantity, intent_id, timestamp):
    """Remember what was encoded, for its ORDER_SENT record."""
    o = orders_at(orders)
    s = staged_at(o["staged"] + o["staged_count"] * _SIZE)
    s["token"] = token
    s["intent_id"] = intent_id
    s["price"] = price
    s["quantity"] = quantity
    s["intent_timestamp"] = timestamp
    s["operation"] = operation
    o["staged_count"] += 1


@kernel(inline=True)
def is_released(orders, session):
    """Whether the host runs the session and the device releases its messages as records."""
    return orders_at(orders)["released"] >> session & 1 != 0


@kernel(inline=True)
def sent(orders, now):
    """Write the records of what leaves; ``now`` is the egress stamp."""
    o = orders_at(orders)
    for index in range(o["staged_count"]):
        staged = o["staged"] + index * _SIZE
        s = staged_at(staged)
        if s["operation"] != _CANCEL:
            order_at(row(orders, np.int64(s["token"])))["sent"] = now
        if is_released(orders, np.int64(order_at(row(orders, np.int64(s["token"])))["session"])):
            record_released(orders, staged)
        record_sent(orders, staged, now)
    o["staged_count"] = 0
