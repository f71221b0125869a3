"""Risk gate: every check of every order, in one pass, and the exposures that the checks compare.

Open orders count at their worst: an order's shares and value are added when it is sent and taken
off only when the venue says that they can no longer execute. Position and open orders therefore
never pass a limit in any order of fills, cancels, rejects and replaces, as long as the venue
fills no more than was asked; where it does, the device is killed (see ``settle``).

A position is worth its shares at the last trade of the instrument, as of the latest order or fill
of ours in it; before any trade was seen, at the price of our latest fill. Gross notional is that
plus open orders at their limit prices. Sums are modulo 2^64 and compared without sign.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    below,
    load8,
    load32,
    load64_relaxed,
)
from tickwire.kernels.order_layout import (
    EXPOSURE,
    exposure_at,
    firm_at,
    limits_at,
    request_at,
    risk_at,
)
from tickwire.spec.checks import CheckIndex
from tickwire.spec.limits import BASIS_POINTS, DOLLAR, LIMITS_ROW, NOTIONAL_LIMIT_MAX, LimitFlag
from tickwire.spec.ouch50 import PRICE_MAX
from tickwire.spec.records import RECORD_SIZE, STATE_LINE, BookFlag, FeedState

GLOBAL_KILL = CheckIndex.GLOBAL_KILL.value
INSTRUMENT_KILL = CheckIndex.INSTRUMENT_KILL.value
INSTRUMENT_DISABLED = CheckIndex.INSTRUMENT_DISABLED.value
FEED_UNHEALTHY = CheckIndex.FEED_UNHEALTHY.value
TRADING_STATE = CheckIndex.TRADING_STATE.value
QUANTITY = CheckIndex.QUANTITY.value
NOTIONAL = CheckIndex.NOTIONAL.value
TICK_SIZE = CheckIndex.TICK_SIZE.value
COLLAR = CheckIndex.COLLAR.value
POSITION = CheckIndex.POSITION.value
GROSS_NOTIONAL = CheckIndex.GROSS_NOTIONAL.value
OPEN_ORDERS = CheckIndex.OPEN_ORDERS.value
RATE = CheckIndex.RATE.value
SESSION_DOWN = CheckIndex.SESSION_DOWN.value
CONFIGURATION = CheckIndex.CONFIGURATION.value

_BID = STATE_LINE.field("bid_price")[1]
_ASK = STATE_LINE.field("ask_price")[1]
_LAST = STATE_LINE.field("last_price")[1]
_TRADING_STATE = STATE_LINE.field("trading_state")[1]
_FLAGS = STATE_LINE.field("flags")[1]
_TRADING = ord("T")
_LIVE = FeedState.LIVE.value
_DOUBTFUL = (BookFlag.RECOVERING | BookFlag.STALE | BookFlag.DESYNCED).value
_BID_HIDDEN = BookFlag.BID_HIDDEN.value
_ASK_HIDDEN = BookFlag.ASK_HIDDEN.value
_ENABLED = LimitFlag.ENABLED.value
_EXPOSURE_SIZE = EXPOSURE.itemsize
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def notional(price, quantity):
    """Price times quantity of two values >= 0; saturates at ``NOTIONAL_LIMIT_MAX``."""
    if (price | quantity) >> 31 != 0:
        return NOTIONAL_LIMIT_MAX
    return min(price * quantity, NOTIONAL_LIMIT_MAX)


@kernel(inline=True)
def _bit(failed, check):
    return np.int64(failed) << check


@kernel(inline=True)
def _exposure(risk, instrument):
    return exposure_at(risk_at(risk)["exposures"] + _EXPOSURE_SIZE * instrument)


@kernel(inline=True)
def _limits(risk, instrument):
    return limits_at(risk_at(risk)["limits"] + LIMITS_ROW * (1 + instrument))


@kernel(inline=True)
def _line(risk, instrument):
    return risk_at(risk)["state"] + RECORD_SIZE * instrument


@kernel(inline=True)
def _doubts(line, is_sell):
    """Book flags that forbid an order of that side."""
    return load8(line + _FLAGS) & (_DOUBTFUL | (_BID_HIDDEN if is_sell else _ASK_HIDDEN))


@kernel(inline=True)
def _tick(limits, price):
    tick, below_dollar = np.int64(limits["tick"]), np.int64(limits["tick_below_dollar"])
    return tick if price >= DOLLAR else below_dollar


@kernel(inline=True)
def _is_off_tick(limits, price):
    tick = _tick(limits, price)
    return (price <= 0) | (price > PRICE_MAX) | (tick == 0) | (price % max(tick, 1) != 0)


@kernel(inline=True)
def _reference(line, is_sell):
    """Best price that the order could trade against; 0 none."""
    return load32(line + (_BID if is_sell else _ASK))


@kernel(inline=True)
def _bound(limits, reference, is_sell):
    """Worst price that the collar allows."""
    distance = min(np.int64(limits["collar_price"]),
                   reference * np.int64(limits["collar_bps"]) // BASIS_POINTS)
    return reference - distance if is_sell else reference + distance


@kernel(inline=True)
def _worst(exposure, request):
    """Shares on the order's side, the short one counted positive, when all of them are filled."""
    position, buy, sell = exposure["position"], exposure["open_buy"], exposure["open_sell"]
    open_shares = sell - position if request["is_sell"] else buy + position
    return open_shares + request["added_quantity"]


@kernel(inline=True)
def _position_max(limits, is_sell):
    long_max, short_max = np.int64(limits["position_long_max"]), np.int64(
        limits["position_short_max"])
    return short_max if is_sell else long_max


@kernel(inline=True)
def _mark(exposure, line):
    """Price that the position is valued at."""
    last = load32(line + _LAST)
    return last if last != 0 else exposure["mark"]


@kernel(inline=True)
def _is_rated(time, now, limits):
    """Whether a token bucket that is full again at ``time`` has no token left."""
    burst = np.int64(limits["rate_burst"])
    return (burst == 0) | (time - now > np.int64(limits["rate_interval_ns"]) * (burst - 1))


@kernel(inline=True)
def check(risk, request, now):
    """Mask of the checks that ``request`` fails at time ``now``, 0 when it may go.

    Nothing is changed; see :func:`reserve`.
    """
    r = risk_at(risk)
    q = request_at(request)
    instrument = q["instrument"]
    is_sell = q["is_sell"] != 0
    price = q["price"]
    quantity = q["quantity"]
    added = q["added_notional"]
    e = _exposure(risk, instrument)
    limits = _limits(risk, instrument)
    firm = firm_at(r["limits"])
    line = _line(risk, instrument)
    reference = _reference(line, is_sell)
    bound = _bound(limits, reference, is_sell)
    value = notional(_mark(e, line), abs(e["position"]))
    gross = e["open_notional"] + value + added
    firm_gross = r["open_notional"] + r["position_value"] - e["position_value"] + value + added

    mask = _bit(r["killed"] != 0, GLOBAL_KILL)
    mask |= _bit(e["killed"] != 0, INSTRUMENT_KILL)
    mask |= _bit(np.int64(limits["flags"]) & _ENABLED == 0, INSTRUMENT_DISABLED)
    mask |= _bit((load64_relaxed(r["feed_state"]) != _LIVE) | (_doubts(line, is_sell) != 0),
                 FEED_UNHEALTHY)
    mask |= _bit(load8(line + _TRADING_STATE) != _TRADING, TRADING_STATE)
    mask |= _bit((quantity <= 0) | (quantity > np.int64(limits["quantity_max"])), QUANTITY)
    mask |= _bit(q["notional"] > np.int64(limits["notional_max"]), NOTIONAL)
    mask |= _bit(_is_off_tick(limits, price), TICK_SIZE)
    mask |= _bit((reference == 0) | (price < bound if is_sell else price > bound), COLLAR)
    mask |= _bit((q["added_quantity"] > 0) & (_worst(e, q) > _position_max(limits, is_sell)),
                 POSITION)
    mask |= _bit((added > 0) & (below(np.int64(limits["gross_notional_max"]), gross)
                                | below(np.int64(firm["gross_notional_max"]), firm_gross)),
                 GROSS_NOTIONAL)
    mask |= _bit((q["has_place"] == 0)
                 | (q["added_orders"] > 0)
                 & ((e["open_orders"] >= np.int64(limits["open_orders_max"]))
                    | (r["open_orders"] >= np.int64(firm["open_orders_max"]))), OPEN_ORDERS)
    mask |= _bit(_is_rated(e["rate_time"], now, limits) | _is_rated(r["rate_time"], now, firm),
                 RATE)
    mask |= _bit(load64_relaxed(r["sessions"] + 8 * q["session"]) != 1, SESSION_DOWN)
    mask |= _bit(r["version"] == 0, CONFIGURATION)
    return mask


@kernel(inline=True)
def _tokens(time, now, limits):
    """Tokens taken from a bucket that is full again at ``time``, the refused one included."""
    interval = max(np.int64(limits["rate_interval_ns"]), 1)
    return (max(time - now, 0) + interval - 1) // interval + 1


@kernel
def explain(risk, request, mask, now):
    """Write limit and value of the lowest check of ``mask`` to the request, both saturated."""
    r = risk_at(risk)
    q = request_at(request)
    instrument = q["instrument"]
    is_sell = q["is_sell"] != 0
    price = q["price"]
    e = _exposure(risk, instrument)
    limits = _limits(risk, instrument)
    firm = firm_at(r["limits"])
    line = _line(risk, instrument)
    check = 0
    while mask >> check & 1 == 0:
        check += 1
    limit = 0
    value = 0
    if check == GLOBAL_KILL:
        value = r["killed"]
    elif check == INSTRUMENT_KILL:
        value = 1
    elif check == INSTRUMENT_DISABLED:
        limit = _ENABLED
        value = np.int64(limits["flags"])
    elif check == FEED_UNHEALTHY:
        value = load64_relaxed(r["feed_state"])
        if value == _LIVE:
            value = _doubts(line, is_sell)
        else:
            limit = _LIVE
    elif check == TRADING_STATE:
        limit = _TRADING
        value = load8(line + _TRADING_STATE)
    elif check == QUANTITY:
        limit = np.int64(limits["quantity_max"])
        value = q["quantity"]
    elif check == NOTIONAL:
        limit = np.int64(limits["notional_max"])
        value = q["notional"]
    elif check == TICK_SIZE:
        limit = PRICE_MAX if price > PRICE_MAX else _tick(limits, price)
        value = price
    elif check == COLLAR:
        reference = _reference(line, is_sell)
        limit = max(_bound(limits, reference, is_sell), 0) if reference != 0 else 0
        value = price
    elif check == POSITION:
        limit = _position_max(limits, is_sell)
        value = _worst(e, q)
    elif check == GROSS_NOTIONAL:
        own = notional(_mark(e, line), abs(e["position"]))
        limit = np.int64(limits["gross_notional_max"])
        value = e["open_notional"] + own + q["added_notional"]
        if not below(limit, value):
            limit = np.int64(firm["gross_notional_max"])
            value = (r["open_notional"] + r["position_value"] - e["position_value"] + own
                     + q["added_notional"])
    elif check == OPEN_ORDERS:
        limit = np.int64(limits["open_orders_max"])
        value = e["open_orders"] + 1
        if value <= limit:
            limit = np.int64(firm["open_orders_max"])
            value = r["open_orders"] + 1
        if value <= limit:
            limit = r["open_orders"]
    elif check == RATE:
        limit = np.int64(limits["rate_burst"])
        value = _tokens(e["rate_time"], now, limits)
        if not _is_rated(e["rate_time"], now, limits):
            limit = np.int64(firm["rate_burst"])
            value = _tokens(r["rate_time"], now, firm)
    elif check in (SESSION_DOWN, CONFIGURATION):
        limit = 1
    q["limit"] = limit if below(limit, _U32) else _U32
    q["value"] = value if below(value, _U32) else _U32


@kernel(inline=True)
def expose(risk, instrument, is_sell, quantity, value, orders):
    """Add shares, value and orders, which may be negative, to what is open."""
    r = risk_at(risk)
    e = _exposure(risk, instrument)
    if is_sell:
        e["open_sell"] += quantity
    else:
        e["open_buy"] += quantity
    e["open_notional"] += value
    e["open_orders"] += orders
    r["open_notional"] += value
    r["open_orders"] += orders


@kernel(inline=True)
def _revalue(risk, instrument):
    """Value the position at its mark."""
    r = risk_at(risk)
    e = _exposure(risk, instrument)
    e["mark"] = _mark(e, _line(risk, instrument))
    value = notional(e["mark"], abs(e["position"]))
    r["position_value"] += value - e["position_value"]
    e["position_value"] = value


@kernel(inline=True)
def reserve(risk, request, now):
    """Take up what ``request``, which passed, adds: exposure, mark, one token of each bucket."""
    r = risk_at(risk)
    q = request_at(request)
    instrument = q["instrument"]
    e = _exposure(risk, instrument)
    expose(risk, instrument, q["is_sell"], q["added_quantity"], q["added_notional"],
           q["added_orders"])
    _revalue(risk, instrument)
    e["rate_time"] = (max(e["rate_time"], now)
                      + np.int64(_limits(risk, instrument)["rate_interval_ns"]))
    r["rate_time"] = max(r["rate_time"], now) + np.int64(firm_at(r["limits"])["rate_interval_ns"])


@kernel(inline=True)
def execution(risk, instrument, is_sell, quantity, price):
    """Move ``quantity`` shares at ``price``, both below 2^31, into the position and the cash."""
    e = _exposure(risk, instrument)
    if is_sell:
        e["position"] -= quantity
        e["cash"] += price * quantity
        e["sold"] += quantity
    else:
        e["position"] += quantity
        e["cash"] -= price * quantity
        e["bought"] += quantity
    e["mark"] = price
    _revalue(risk, instrument)
