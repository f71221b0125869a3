"""Risk gate: every check of every order, in one pass; what is compared is in ``risk_rules``.

Open orders count at their worst: an order's shares and value are added when it is sent and taken
off only when the venue says that they can no longer execute (``exposures``). Position and open
orders therefore never pass a limit in any order of fills, cancels, rejects and replaces, as long
as the venue fills no more than was asked; where it does, the device is killed (see ``settle``).

Sums of amounts that can not be negative are modulo 2^64 and compared without sign, all others with
it.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import below, load64_relaxed, unlikely
from tickwire.kernels.order_layout import firm_at, request_at, risk_at
from tickwire.kernels.risk_rules import (
    TRADING,
    band,
    collar_bound,
    day_quantity,
    derived_of,
    doubts,
    exposure_of,
    is_bad_quantity,
    is_crossed,
    is_duplicate,
    is_off_tick,
    is_out_of_hours,
    is_rated,
    is_refused_short,
    is_self_match,
    is_too_old,
    kinds_of,
    limits_of,
    line_of,
    market_phase,
    net_notional,
    position_max,
    position_values,
    reference_of,
    session_limits_of,
    session_use_of,
    status_of,
    strategy_limits_of,
    strategy_of,
    trading_state,
    worst_position,
    would_lock,
)
from tickwire.spec.checks import CheckIndex
from tickwire.spec.limits import STRATEGIES, LimitFlag
from tickwire.spec.records import FeedState

(GLOBAL_KILL, INSTRUMENT_KILL, INSTRUMENT_DISABLED, FEED_UNHEALTHY, TRADING_STATE, QUANTITY,
 NOTIONAL, TICK_SIZE, COLLAR, POSITION, GROSS_NOTIONAL, OPEN_ORDERS, RATE, SESSION_DOWN,
 CONFIGURATION, STRATEGY_DISABLED, MARKET_PHASE, SHORT_SALE, ORDER_TYPE, PRICE_BAND, LOCKED_MARKET,
 NET_NOTIONAL, CREDIT, LOSS, OPEN_NOTIONAL, MESSAGE_RATE, ORDER_TO_TRADE, DUPLICATE, SELF_MATCH,
 REPETITION, ACCUMULATED, AGE) = (check.value for check in CheckIndex)

_LIVE = FeedState.LIVE.value
_ENABLED = LimitFlag.ENABLED.value
_UP = 1                                     # word of an order session


@kernel(inline=True)
def _bit(failed, check):
    return np.int64(failed) << check


@kernel(inline=True)
def _is_above(value, limit):
    """Whether an amount without sign is above its limit."""
    return below(np.int64(limit), value)


@kernel(inline=True)
def _is_off(limits):
    return np.int64(limits["flags"]) & _ENABLED == 0


@kernel(inline=True)
def _states(risk, q, limits):
    """States that let no order pass: killed, switched off, no feed, no market."""
    r = risk_at(risk)
    instrument, strategy, session = q["instrument"], q["strategy"], q["session"]
    is_sell = q["is_sell"] != 0
    e, s, u = (exposure_of(risk, instrument), strategy_of(risk, strategy),
               session_use_of(risk, session))
    own = strategy_limits_of(risk, strategy)
    line, status = line_of(risk, instrument), status_of(risk, instrument)
    is_up = load64_relaxed(r["sessions"] + 8 * session) == _UP
    mask = _bit(r["killed"] != 0, GLOBAL_KILL)
    mask |= _bit(e["killed"] != 0, INSTRUMENT_KILL)
    mask |= _bit(_is_off(limits), INSTRUMENT_DISABLED)
    mask |= _bit((load64_relaxed(r["feed_state"]) != _LIVE) | (doubts(line, is_sell) != 0),
                 FEED_UNHEALTHY)
    mask |= _bit(trading_state(line, status) != TRADING, TRADING_STATE)
    mask |= _bit((not is_up) | (u["killed"] != 0), SESSION_DOWN)
    mask |= _bit(r["version"] == 0, CONFIGURATION)
    mask |= _bit(_is_off(own) | (s["killed"] != 0), STRATEGY_DISABLED)
    mask |= _bit(is_out_of_hours(market_phase(risk), np.int64(limits["permits"])), MARKET_PHASE)
    return mask


@kernel(inline=True)
def _terms(risk, q, limits):
    """The order's own price, quantity and kind, in the market as it is."""
    instrument, is_sell = q["instrument"], q["is_sell"] != 0
    price, quantity, kinds = q["price"], q["quantity"], q["kinds"]
    derived = derived_of(risk, 1 + instrument)
    permits = np.int64(limits["permits"])
    line, status = line_of(risk, instrument), status_of(risk, instrument)
    reference = reference_of(line, is_sell)
    bound = collar_bound(limits, reference, is_sell)
    lower, upper = band(limits, line)
    mask = _bit(is_bad_quantity(limits, derived, quantity), QUANTITY)
    mask |= _bit(q["notional"] > np.int64(limits["notional_max"]), NOTIONAL)
    mask |= _bit(is_off_tick(limits, derived, price), TICK_SIZE)
    mask |= _bit((reference == 0) | (price < bound if is_sell else price > bound), COLLAR)
    mask |= _bit(is_refused_short(line, status, kinds, permits, price), SHORT_SALE)
    mask |= _bit(kinds_of(kinds) & ~permits != 0, ORDER_TYPE)
    mask |= _bit((price < lower) | (price > upper), PRICE_BAND)
    mask |= _bit(is_crossed(line, permits) | would_lock(price, reference, is_sell, kinds, permits),
                 LOCKED_MARKET)
    mask |= _bit(is_self_match(exposure_of(risk, instrument), is_sell, price, permits),
                 SELF_MATCH)
    return mask


@kernel(inline=True)
def _sums(risk, q, limits):
    """What is open, held and traded, with the order."""
    r = risk_at(risk)
    instrument, is_sell = q["instrument"], q["is_sell"] != 0
    added, added_quantity = q["added_notional"], q["added_quantity"]
    e, firm = exposure_of(risk, instrument), firm_at(r["limits"])
    worst = worst_position(e, q)
    value, net = position_values(e, line_of(risk, instrument))
    net += r["net_value"] - e["net_value"]
    opened = e["open_notional"] + added
    firm_opened = r["open_notional"] + added
    firm_held = r["position_value"] - e["position_value"] + value
    is_adding = added > 0
    mask = _bit((added_quantity > 0) & (worst > position_max(limits, is_sell)), POSITION)
    mask |= _bit(is_adding & (_is_above(opened + value, limits["gross_notional_max"])
                              | _is_above(firm_opened + firm_held, firm["gross_notional_max"])),
                 GROSS_NOTIONAL)
    mask |= _bit(is_adding & (net_notional(risk, net, is_sell, added)
                              > np.int64(firm["net_notional_max"])), NET_NOTIONAL)
    mask |= _bit(is_adding & (not is_sell) & (r["open_buy_notional"] - r["cash"] + added
                                              > np.int64(firm["credit_max"])), CREDIT)
    mask |= _bit((worst > 0) & (-(r["cash"] + net) > np.int64(firm["loss_max"])), LOSS)
    mask |= _bit(is_adding & (_is_above(opened, limits["open_notional_max"])
                              | _is_above(firm_opened, firm["open_notional_max"])), OPEN_NOTIONAL)
    mask |= _bit((added_quantity > 0)
                 & (day_quantity(e, added_quantity) > np.int64(limits["day_quantity_max"]))
                 | is_adding & _is_above(e["turnover"] + opened, limits["day_notional_max"]),
                 ACCUMULATED)
    return mask


@kernel(inline=True)
def _paces(risk, q, limits, now):
    """How many orders there are and were, and when."""
    r = risk_at(risk)
    instrument, strategy, session = q["instrument"], q["strategy"], q["session"]
    e, s, u = (exposure_of(risk, instrument), strategy_of(risk, strategy),
               session_use_of(risk, session))
    own, other = strategy_limits_of(risk, strategy), session_limits_of(risk, session)
    firm = firm_at(r["limits"])
    strategy_row = 1 + r["instruments"] + strategy
    mask = _bit((q["has_place"] == 0)
                 | (q["added_orders"] > 0)
                 & ((e["open_orders"] >= np.int64(limits["open_orders_max"]))
                    | (r["open_orders"] >= np.int64(firm["open_orders_max"]))), OPEN_ORDERS)
    mask |= _bit(is_rated(e["rate_time"], now, derived_of(risk, 1 + instrument))
                 | is_rated(r["rate_time"], now, derived_of(risk, 0))
                 | is_rated(s["rate_time"], now, derived_of(risk, strategy_row)), RATE)
    mask |= _bit(is_rated(u["message_time"], now,
                          derived_of(risk, 1 + STRATEGIES + r["instruments"] + session)),
                 MESSAGE_RATE)
    mask |= _bit(u["orders"] >= np.int64(other["orders_free"]) + u["earned"], ORDER_TO_TRADE)
    mask |= _bit((q["added_orders"] > 0) & is_duplicate(
        e, q["is_sell"] != 0, q["price"], q["quantity"], now, np.int64(limits["duplicate_ns"])),
        DUPLICATE)
    mask |= _bit(s["orders"] >= np.int64(own["repetitions_max"]), REPETITION)
    mask |= _bit(is_too_old(now, q["decided"], np.int64(own["age_max_ns"])), AGE)
    return mask


@kernel
def _every(risk, request, now):
    """Mask of all checks."""
    q = request_at(request)
    limits = limits_of(risk, q["instrument"])
    return (_states(risk, q, limits) | _terms(risk, q, limits) | _sums(risk, q, limits)
            | _paces(risk, q, limits, now))


@kernel(inline=True)
def check(risk, request, now):
    """Mask of the checks that ``request`` fails at time ``now``, 0 when it fails none.

    Nothing is changed; see :func:`tickwire.kernels.exposures.reserve`. The branches between the
    parts keep what a part reads in registers: in one piece a passing order took a third longer.
    One that fails is judged once more, whole.
    """
    q = request_at(request)
    limits = limits_of(risk, q["instrument"])
    if (unlikely(_states(risk, q, limits) != 0) or unlikely(_terms(risk, q, limits) != 0)
            or unlikely(_sums(risk, q, limits) != 0)
            or unlikely(_paces(risk, q, limits, now) != 0)):
        return _every(risk, request, now)
    return 0
