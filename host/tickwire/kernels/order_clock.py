"""Times that the order path remembers, for a device whose clock may be set back.

A card's clock does not go back while it is armed; the software device has the system's.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.order_layout import (
    TRIGGER_BLOCK,
    TRIGGER_HEAD,
    TRIGGER_ROW,
    orders_at,
    risk_at,
    trigger_at,
)
from tickwire.kernels.risk_rules import exposure_of, session_use_of, strategy_of
from tickwire.spec.intents import TRIGGERS
from tickwire.spec.limits import STRATEGIES

_HEAD, _ROW = TRIGGER_HEAD.itemsize, TRIGGER_ROW.itemsize


@kernel
def _set_back_triggers(orders, instrument, by):
    row = orders_at(orders)["triggers"] + TRIGGER_BLOCK * instrument + _HEAD
    for slot in range(TRIGGERS):
        t = trigger_at(row + slot * _ROW)
        t["decided"] -= by
        if t["deadline"] != 0:             # none stays none
            t["deadline"] -= by


@kernel
def set_back(orders, by):
    """Let all have been ``by`` ns earlier: the clock was set back by so much.

    So the watchdog bites, triggers expire and buckets fill as if it had not been.
    """
    o = orders_at(orders)
    risk = o["risk"]
    r = risk_at(risk)
    o["kick_time"] -= by
    r["rate_time"] -= by
    for instrument in range(r["instruments"]):
        e = exposure_of(risk, instrument)
        e["rate_time"] -= by
        e["newest_time"][0] -= by
        e["newest_time"][1] -= by
        if o["armed"] != 0:
            _set_back_triggers(orders, instrument, by)
    for strategy in range(STRATEGIES):
        strategy_of(risk, strategy)["rate_time"] -= by
    for session in range(o["session_count"]):
        session_use_of(risk, session)["message_time"] -= by
