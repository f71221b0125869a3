"""What the risk gate compares with its limits: taken up by orders, given back by answers.

A position is worth its shares at the last trade of the instrument, as of the latest order or fill
of ours in it; before any trade was seen, at the price of our latest fill. Gross notional is that
plus open orders at their limit prices.

Prices of ``OWN_ORDERS`` open orders of an instrument are kept one by one. Of those beyond, each
side keeps the best price until none of them is open: an order may then be refused for an own price
that is gone, but none goes where it could meet an own one.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import low_bit
from tickwire.kernels.order_layout import firm_at, request_at, risk_at
from tickwire.kernels.risk_rules import (
    exposure_of,
    limits_of,
    line_of,
    mark_of,
    newest_word,
    notional,
    own_key,
    session_limits_of,
    session_use_of,
    strategy_limits_of,
    strategy_of,
)
from tickwire.spec.orders import OWN_ORDERS

_ALL = (1 << OWN_ORDERS) - 1


@kernel(inline=True)
def expose(risk, instrument, is_sell, quantity, value, orders):
    """Add shares, value and orders, which may be negative, to what is open."""
    r = risk_at(risk)
    e = exposure_of(risk, instrument)
    if is_sell:
        e["open_sell"] += quantity
    else:
        e["open_buy"] += quantity
        r["open_buy_notional"] += value
    e["open_notional"] += value
    e["open_orders"] += orders
    r["open_notional"] += value
    r["open_orders"] += orders


@kernel(inline=True)
def _revalue(risk, instrument):
    """Value the position at its mark."""
    r = risk_at(risk)
    e = exposure_of(risk, instrument)
    e["mark"] = mark_of(e, line_of(risk, instrument))
    value = notional(e["mark"], abs(e["position"]))
    net = -value if e["position"] < 0 else value
    r["position_value"] += value - e["position_value"]
    r["net_value"] += net - e["net_value"]
    e["position_value"] = value
    e["net_value"] = net


@kernel(inline=True)
def message(risk, session, now):
    """Take one token of a session's messages, whether there is one or not."""
    u = session_use_of(risk, session)
    u["message_time"] = (max(u["message_time"], now)
                         + np.int64(session_limits_of(risk, session)["message_interval_ns"]))


@kernel(inline=True)
def reserve(risk, request, now):
    """Take up what ``request``, which passed, adds: exposures, mark, counts, tokens."""
    r = risk_at(risk)
    q = request_at(request)
    instrument = q["instrument"]
    e = exposure_of(risk, instrument)
    s, u = strategy_of(risk, q["strategy"]), session_use_of(risk, q["session"])
    expose(risk, instrument, q["is_sell"], q["added_quantity"], q["added_notional"],
           q["added_orders"])
    if mark_of(e, line_of(risk, instrument)) != e["mark"]:
        _revalue(risk, instrument)
    e["rate_time"] = (max(e["rate_time"], now)
                      + np.int64(limits_of(risk, instrument)["rate_interval_ns"]))
    r["rate_time"] = max(r["rate_time"], now) + np.int64(firm_at(r["limits"])["rate_interval_ns"])
    s["rate_time"] = (max(s["rate_time"], now)
                      + np.int64(strategy_limits_of(risk, q["strategy"])["rate_interval_ns"]))
    s["orders"] += 1
    u["orders"] += 1
    message(risk, q["session"], now)
    if q["added_orders"] > 0:
        side = 1 if q["is_sell"] else 0
        e["newest"][side] = newest_word(q["price"], q["quantity"])
        e["newest_time"][side] = now


@kernel(inline=True)
def execution(risk, instrument, session, is_sell, quantity, price):
    """Move ``quantity`` shares at ``price``, both below 2^31, into the position and the cash."""
    r = risk_at(risk)
    e = exposure_of(risk, instrument)
    value = price * quantity
    if is_sell:
        e["position"] -= quantity
        e["cash"] += value
        r["cash"] += value
        e["sold"] += quantity
    else:
        e["position"] += quantity
        e["cash"] -= value
        r["cash"] -= value
        e["bought"] += quantity
    e["turnover"] += value
    e["mark"] = price
    session_use_of(risk, session)["earned"] += np.int64(
        session_limits_of(risk, session)["orders_per_trade"])
    _revalue(risk, instrument)


@kernel(inline=True)
def _rank(e, side):
    """Find the greatest price key of a side anew."""
    best = np.int64(e["more_key"][side])
    for place in range(OWN_ORDERS * side, OWN_ORDERS * (side + 1)):
        best = max(best, np.int64(e["own"][place]))
    e["best_key"][side] = best


@kernel(inline=True)
def own_enter(risk, instrument, is_sell, price):
    """Keep the price of an order that may execute from now on; returns its place."""
    e = exposure_of(risk, instrument)
    key = own_key(is_sell, price)
    side = 1 if is_sell else 0
    e["best_key"][side] = max(np.int64(e["best_key"][side]), key)
    if e["own_used"] == _ALL:
        e["more"][side] += 1
        e["more_key"][side] = max(np.int64(e["more_key"][side]), key)
        return OWN_ORDERS
    place = low_bit(~e["own_used"])
    e["own_used"] |= np.int64(1) << place
    e["own"][OWN_ORDERS * side + place] = key
    return place


@kernel(inline=True)
def own_leave(risk, instrument, is_sell, place):
    """Forget the price of an order that can no longer execute."""
    e = exposure_of(risk, instrument)
    side = 1 if is_sell else 0
    if place == OWN_ORDERS:
        e["more"][side] -= 1
        if e["more"][side] == 0:
            e["more_key"][side] = 0
    else:
        e["own_used"] &= ~(np.int64(1) << place)
        e["own"][OWN_ORDERS * side + place] = 0
    _rank(e, side)


@kernel(inline=True)
def own_move(risk, instrument, is_sell, place, price):
    """The venue gave an open order another price."""
    e = exposure_of(risk, instrument)
    key = own_key(is_sell, price)
    side = 1 if is_sell else 0
    if place == OWN_ORDERS:
        e["more_key"][side] = max(np.int64(e["more_key"][side]), key)
    else:
        e["own"][OWN_ORDERS * side + place] = key
    _rank(e, side)
