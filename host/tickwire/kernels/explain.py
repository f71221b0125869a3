"""Limit and value of a check that refused an order, for the RISK_REJECT record."""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import below, load64_relaxed, low_bit
from tickwire.kernels.order_layout import firm_at, request_at, risk_at
from tickwire.kernels.risk import (
    ACCUMULATED,
    AGE,
    COLLAR,
    CREDIT,
    DUPLICATE,
    FEED_UNHEALTHY,
    GLOBAL_KILL,
    GROSS_NOTIONAL,
    INSTRUMENT_DISABLED,
    INSTRUMENT_KILL,
    LOCKED_MARKET,
    LOSS,
    MARKET_PHASE,
    MESSAGE_RATE,
    NET_NOTIONAL,
    NOTIONAL,
    OPEN_NOTIONAL,
    OPEN_ORDERS,
    ORDER_TO_TRADE,
    ORDER_TYPE,
    POSITION,
    PRICE_BAND,
    QUANTITY,
    RATE,
    REPETITION,
    SELF_MATCH,
    SESSION_DOWN,
    SHORT_SALE,
    STRATEGY_DISABLED,
    TICK_SIZE,
    TRADING_STATE,
)
from tickwire.kernels.risk_rules import (
    OWN_KEY,
    REGULAR_HOURS,
    TRADING,
    band,
    collar_bound,
    day_quantity,
    derived_of,
    doubts,
    exposure_of,
    is_crossed,
    is_rated,
    kinds_of,
    limits_of,
    line_of,
    market_phase,
    net_notional,
    own_best,
    position_max,
    position_values,
    reference_of,
    session_limits_of,
    session_use_of,
    short_bound,
    status_of,
    strategy_limits_of,
    strategy_of,
    tick_of,
    tokens,
    trading_state,
    worst_position,
)
from tickwire.spec.limits import LimitFlag
from tickwire.spec.ouch50 import PRICE_MAX
from tickwire.spec.records import FeedState

_LIVE = FeedState.LIVE.value
_ENABLED = LimitFlag.ENABLED.value
_WAS_KILLED = 2                             # of a session or a strategy
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def _state(risk, q, check):
    """Of the checks of states."""
    r = risk_at(risk)
    line = line_of(risk, q["instrument"])
    limits = limits_of(risk, q["instrument"])
    if check == GLOBAL_KILL:
        return 0, r["killed"]
    if check == INSTRUMENT_KILL:
        return 0, 1
    if check == INSTRUMENT_DISABLED:
        return _ENABLED, np.int64(limits["flags"])
    if check == FEED_UNHEALTHY:
        feed = load64_relaxed(r["feed_state"])
        return (_LIVE, feed) if feed != _LIVE else (0, doubts(line, q["is_sell"] != 0))
    if check == TRADING_STATE:
        return TRADING, trading_state(line, status_of(risk, q["instrument"]))
    if check == SESSION_DOWN:
        is_up = load64_relaxed(r["sessions"] + 8 * q["session"]) == 1
        return 1, _WAS_KILLED if is_up else 0
    if check == STRATEGY_DISABLED:
        return 1, _WAS_KILLED if strategy_of(risk, q["strategy"])["killed"] != 0 else 0
    if check == MARKET_PHASE:
        return REGULAR_HOURS, market_phase(risk)
    if check == ORDER_TYPE:
        return kinds_of(np.int64(limits["permits"])), kinds_of(q["kinds"])
    return 1, 0                             # CONFIGURATION


@kernel(inline=True)
def _price(risk, q, check):
    """Of the checks of price and quantity."""
    price, quantity = q["price"], q["quantity"]
    is_sell = q["is_sell"] != 0
    line = line_of(risk, q["instrument"])
    limits = limits_of(risk, q["instrument"])
    reference = reference_of(line, is_sell)
    if check == QUANTITY:
        least, most = np.int64(limits["quantity_min"]), np.int64(limits["quantity_max"])
        if quantity > most or quantity == 0:
            return most, quantity
        return least if quantity < least else np.int64(limits["lot"]), quantity
    if check == NOTIONAL:
        return np.int64(limits["notional_max"]), q["notional"]
    if check == TICK_SIZE:
        return PRICE_MAX if price > PRICE_MAX else tick_of(limits, price), price
    if check == COLLAR:
        bound = max(collar_bound(limits, reference, is_sell), 0)
        return bound if reference != 0 else 0, price
    if check == SHORT_SALE:
        return short_bound(line, np.int64(limits["permits"])), price
    if check == PRICE_BAND:
        lower, upper = band(limits, line)
        if upper < 0:
            return 0, price
        return lower if price < lower else upper, price
    if check == LOCKED_MARKET:
        return 0 if is_crossed(line, np.int64(limits["permits"])) else reference, price
    key = own_best(exposure_of(risk, q["instrument"]), is_sell)      # SELF_MATCH
    return key if is_sell else OWN_KEY - key, price


@kernel(inline=True)
def _amount(risk, q, check):
    """Of the checks of exposures; of two limits, the instrument's comes first."""
    r = risk_at(risk)
    instrument, is_sell = q["instrument"], q["is_sell"] != 0
    e, limits, firm = exposure_of(risk, instrument), limits_of(risk, instrument), firm_at(
        r["limits"])
    added = q["added_notional"]
    value, net = position_values(e, line_of(risk, instrument))
    net += r["net_value"] - e["net_value"]
    opened = e["open_notional"] + added
    if check == POSITION:
        return position_max(limits, is_sell), worst_position(e, q)
    if check == GROSS_NOTIONAL:
        limit, found = np.int64(limits["gross_notional_max"]), opened + value
        if below(limit, found):
            return limit, found
        return np.int64(firm["gross_notional_max"]), (
            r["open_notional"] + added + r["position_value"] - e["position_value"] + value)
    if check == OPEN_NOTIONAL:
        limit = np.int64(limits["open_notional_max"])
        if below(limit, opened):
            return limit, opened
        return np.int64(firm["open_notional_max"]), r["open_notional"] + added
    if check == OPEN_ORDERS:
        limit, found = np.int64(limits["open_orders_max"]), e["open_orders"] + 1
        if found > limit:
            return limit, found
        limit, found = np.int64(firm["open_orders_max"]), r["open_orders"] + 1
        return limit if found > limit else r["open_orders"], found
    if check == NET_NOTIONAL:
        return np.int64(firm["net_notional_max"]), net_notional(risk, net, is_sell, added)
    if check == CREDIT:
        return np.int64(firm["credit_max"]), r["open_buy_notional"] - r["cash"] + added
    if check == LOSS:
        return np.int64(firm["loss_max"]), -(r["cash"] + net)
    limit, found = np.int64(limits["day_quantity_max"]), day_quantity(e, q["added_quantity"])
    if q["added_quantity"] > 0 and found > limit:                    # ACCUMULATED
        return limit, found
    return np.int64(limits["day_notional_max"]), e["turnover"] + opened


@kernel(inline=True)
def _count(risk, q, check, now):
    """Of the checks of rates and counts."""
    r = risk_at(risk)
    instrument = q["instrument"]
    e, s, u = (exposure_of(risk, instrument), strategy_of(risk, q["strategy"]),
               session_use_of(risk, q["session"]))
    limits, firm = limits_of(risk, instrument), firm_at(r["limits"])
    own, other = strategy_limits_of(risk, q["strategy"]), session_limits_of(risk, q["session"])
    if check == RATE:
        if is_rated(e["rate_time"], now, derived_of(risk, 1 + instrument)):
            return np.int64(limits["rate_burst"]), tokens(e["rate_time"], now,
                                                          np.int64(limits["rate_interval_ns"]))
        if is_rated(r["rate_time"], now, derived_of(risk, 0)):
            return np.int64(firm["rate_burst"]), tokens(r["rate_time"], now,
                                                        np.int64(firm["rate_interval_ns"]))
        return np.int64(own["rate_burst"]), tokens(s["rate_time"], now,
                                                   np.int64(own["rate_interval_ns"]))
    if check == MESSAGE_RATE:
        return np.int64(other["message_burst"]), tokens(u["message_time"], now,
                                                        np.int64(other["message_interval_ns"]))
    if check == ORDER_TO_TRADE:
        return np.int64(other["orders_free"]) + u["earned"], u["orders"] + 1
    if check == DUPLICATE:
        return np.int64(limits["duplicate_ns"]), max(
            now - e["newest_time"][1 if q["is_sell"] else 0], 0)
    if check == REPETITION:
        return np.int64(own["repetitions_max"]), s["orders"] + 1
    return np.int64(own["age_max_ns"]), abs(now - q["decided"])      # AGE


@kernel
def explain(risk, request, mask, now):
    """Write the lowest check of ``mask``, its limit and its value to the request, saturated."""
    q = request_at(request)
    check = low_bit(mask)
    q["check"] = check
    if check in (QUANTITY, NOTIONAL, TICK_SIZE, COLLAR, SHORT_SALE, PRICE_BAND, LOCKED_MARKET,
                 SELF_MATCH):
        limit, value = _price(risk, q, check)
    elif check in (POSITION, GROSS_NOTIONAL, OPEN_ORDERS, NET_NOTIONAL, CREDIT, LOSS,
                   OPEN_NOTIONAL, ACCUMULATED):
        limit, value = _amount(risk, q, check)
    elif check in (RATE, MESSAGE_RATE, ORDER_TO_TRADE, DUPLICATE, REPETITION, AGE):
        limit, value = _count(risk, q, check, now)
    else:
        limit, value = _state(risk, q, check)
    q["limit"] = limit if below(limit, _U32) else _U32
    q["value"] = value if below(value, _U32) else _U32
