"""What each check of the risk gate compares, one function a quantity; see ``spec.checks``.

Nothing here changes anything or divides by what is not a constant: what a division would give was
worked out when the limits were committed (``limits``).
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import status_at
from tickwire.kernels.memory import below, load8, load32
from tickwire.kernels.order_layout import (
    DERIVED,
    EXPOSURE,
    SESSION_USE,
    STRATEGY,
    derived_at,
    divisor_at,
    exposure_at,
    limits_at,
    risk_at,
    session_limits_at,
    session_use_at,
    strategy_at,
    strategy_limits_at,
)
from tickwire.spec.limits import (
    BASIS_POINTS,
    DOLLAR,
    LIMITS_ROW,
    NOTIONAL_LIMIT_MAX,
    STRATEGIES,
    UNLIMITED,
    OrderPermit,
)
from tickwire.spec.ouch50 import PRICE_MAX
from tickwire.spec.records import RECORD_SIZE, STATE_LINE, BookFlag

TRADING = ord("T")
HALTED = ord("H")
REGULAR_HOURS = ord("Q")                    # event code of the system event that begins them
NOT_RESTRICTED = ord("0")                   # Reg SHO action: no short sale price test
OWN_KEY = 0x7FFF_FFFF                       # price key of a sell is this less its price
_BID = STATE_LINE.field("bid_price")[1]
_ASK = STATE_LINE.field("ask_price")[1]
_LAST = STATE_LINE.field("last_price")[1]
_TRADING_STATE = STATE_LINE.field("trading_state")[1]
_FLAGS = STATE_LINE.field("flags")[1]
_DOUBTFUL = (BookFlag.RECOVERING | BookFlag.STALE | BookFlag.DESYNCED).value
_BID_HIDDEN = BookFlag.BID_HIDDEN.value
_ASK_HIDDEN = BookFlag.ASK_HIDDEN.value
_CROSSED = BookFlag.CROSSED.value
_KINDS = (OrderPermit.DAY | OrderPermit.IMMEDIATE | OrderPermit.POST_ONLY).value
_IMMEDIATE = OrderPermit.IMMEDIATE.value
_SHORT = OrderPermit.SHORT.value
_MAY_CROSSED = OrderPermit.CROSSED.value
_MAY_MARKETABLE = OrderPermit.MARKETABLE.value
_MAY_ANY_PHASE = OrderPermit.ANY_PHASE.value
_MAY_SELF_MATCH = OrderPermit.SELF_MATCH.value
_TICK, _BELOW, LOT = (DERIVED.fields[name][1] for name in ("tick", "tick_below_dollar", "lot"))
_EXPOSURE_SIZE = EXPOSURE.itemsize
_DERIVED_SIZE = DERIVED.itemsize
_STRATEGY_SIZE = STRATEGY.itemsize
_SESSION_SIZE = SESSION_USE.itemsize
_STATUS_SIZE = 64
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def notional(price, quantity):
    """Price times quantity of two values >= 0; saturates at ``NOTIONAL_LIMIT_MAX``."""
    if (price | quantity) >> 31 != 0:
        return NOTIONAL_LIMIT_MAX
    return min(price * quantity, NOTIONAL_LIMIT_MAX)


# Rows


@kernel(inline=True)
def exposure_of(risk, instrument):
    """EXPOSURE of an instrument."""
    return exposure_at(risk_at(risk)["exposures"] + _EXPOSURE_SIZE * instrument)


@kernel(inline=True)
def limits_of(risk, instrument):
    """Limits of an instrument."""
    return limits_at(risk_at(risk)["limits"] + LIMITS_ROW * (1 + instrument))


@kernel(inline=True)
def strategy_limits_of(risk, strategy):
    """Limits of a strategy."""
    r = risk_at(risk)
    return strategy_limits_at(r["limits"] + LIMITS_ROW * (1 + r["instruments"] + strategy))


@kernel(inline=True)
def session_limits_of(risk, session):
    """Limits of an order session."""
    r = risk_at(risk)
    return session_limits_at(
        r["limits"] + LIMITS_ROW * (1 + STRATEGIES + r["instruments"] + session))


@kernel(inline=True)
def strategy_of(risk, strategy):
    """STRATEGY of a strategy."""
    return strategy_at(risk_at(risk)["strategies"] + _STRATEGY_SIZE * strategy)


@kernel(inline=True)
def session_use_of(risk, session):
    """SESSION_USE of an order session."""
    return session_use_at(risk_at(risk)["session_uses"] + _SESSION_SIZE * session)


@kernel(inline=True)
def derived_of(risk, row):
    """Address of what is derived from a row of the limits."""
    return risk_at(risk)["derived"] + _DERIVED_SIZE * row


@kernel(inline=True)
def line_of(risk, instrument):
    """Address of an instrument's state line."""
    return risk_at(risk)["state"] + RECORD_SIZE * instrument


@kernel(inline=True)
def status_of(risk, instrument):
    """STATUS_LINE of an instrument."""
    return status_at(risk_at(risk)["status"] + _STATUS_SIZE * instrument)


# Market


@kernel(inline=True)
def doubts(line, is_sell):
    """Book flags that forbid an order of that side."""
    return load8(line + _FLAGS) & (_DOUBTFUL | (_BID_HIDDEN if is_sell else _ASK_HIDDEN))


@kernel(inline=True)
def trading_state(line, status):
    """Trading state, T when orders may go; H for an operational halt."""
    state = load8(line + _TRADING_STATE)
    return HALTED if state == TRADING and status["operational"] == HALTED else state


@kernel(inline=True)
def market_phase(risk):
    """Event code of the newest system event, 0 none."""
    return np.int64(status_of(risk, risk_at(risk)["instruments"])["market_phase"])


@kernel(inline=True)
def is_out_of_hours(phase, permits):
    """Whether it is not the time for an order."""
    return (phase != REGULAR_HOURS) & (permits & _MAY_ANY_PHASE == 0)


@kernel(inline=True)
def reference_of(line, is_sell):
    """Best price that the order could trade against; 0 none."""
    return load32(line + (_BID if is_sell else _ASK))


@kernel(inline=True)
def bid_of(line):
    """Best bid, 0 when there is none or it is hidden."""
    return load32(line + _BID)


@kernel(inline=True)
def mark_of(exposure, line):
    """Price that the position is valued at."""
    last = load32(line + _LAST)
    return last if last != 0 else exposure["mark"]


@kernel(inline=True)
def position_values(exposure, line):
    """Value of a position at its mark: without and with its sign."""
    mark = mark_of(exposure, line)
    if mark == exposure["mark"]:
        return exposure["position_value"], exposure["net_value"]
    value = notional(mark, abs(exposure["position"]))
    return value, -value if exposure["position"] < 0 else value


# Price and quantity


@kernel(inline=True)
def is_multiple(number, divisor):
    """Whether ``number``, below 2^31, is a multiple of the DIVISOR at ``divisor``.

    With the inverse of an odd divisor d, a multiple becomes its quotient, below 2^31 / d; another
    number q with q * d = number modulo 2^32, therefore 2^32 / d or more. A power of two lies
    between the two.
    """
    d = divisor_at(divisor)
    shift = np.int64(d["shift"])
    quotient = ((number >> shift) * np.int64(d["inverse"])) & _U32
    return (number & ((1 << shift) - 1) == 0) & (quotient >> np.int64(d["room"]) == 0)


@kernel(inline=True)
def tick_of(limits, price):
    """Tick size that holds for a price."""
    tick, below_dollar = np.int64(limits["tick"]), np.int64(limits["tick_below_dollar"])
    return tick if price >= DOLLAR else below_dollar


@kernel(inline=True)
def is_off_tick(limits, derived, price):
    """Whether a price can not be sent: 0, too high or off the grid."""
    return ((price <= 0) | (price > PRICE_MAX) | (tick_of(limits, price) == 0)
            | (not is_multiple(price, derived + (_TICK if price >= DOLLAR else _BELOW))))


@kernel(inline=True)
def is_bad_quantity(limits, derived, quantity):
    """Whether a quantity can not be sent: 0, too great or small, or no whole lots."""
    return ((quantity <= 0) | (quantity > np.int64(limits["quantity_max"]))
            | (quantity < np.int64(limits["quantity_min"])) | (limits["lot"] == 0)
            | (not is_multiple(quantity, derived + LOT)))


@kernel(inline=True)
def collar_bound(limits, reference, is_sell):
    """Worst price that the collar beyond the opposite best price allows."""
    distance = min(np.int64(limits["collar_price"]),
                   reference * np.int64(limits["collar_bps"]) // BASIS_POINTS)
    return reference - distance if is_sell else reference + distance


@kernel(inline=True)
def _has_last_collar(limits):
    return (limits["last_collar_price"] != UNLIMITED) | (limits["last_collar_bps"] != UNLIMITED)


@kernel(inline=True)
def band(limits, line):
    """Least and greatest price of any order; the greatest is below the least without a trade."""
    lower, upper = np.int64(limits["band_lower"]), np.int64(limits["band_upper"])
    last = load32(line + _LAST)
    if _has_last_collar(limits):
        if last == 0:
            return 0, -1
        distance = min(np.int64(limits["last_collar_price"]),
                       last * np.int64(limits["last_collar_bps"]) // BASIS_POINTS)
        lower, upper = max(lower, last - distance), min(upper, last + distance)
    return lower, upper


@kernel(inline=True)
def is_refused_short(line, status, kinds, permits, price):
    """Whether a short sale has no located shares or fails the price test of Regulation SHO."""
    bid = bid_of(line)
    is_tested = status["reg_sho"] != NOT_RESTRICTED
    return (kinds & _SHORT != 0) & ((permits & _SHORT == 0)
                                    | is_tested & ((bid == 0) | (price <= bid)))


@kernel(inline=True)
def short_bound(line, permits):
    """Bid that a short sale's price must be above; 0 when no shares were located."""
    return bid_of(line) if permits & _SHORT != 0 else 0


@kernel(inline=True)
def kinds_of(kinds):
    """What of the kinds of an order its instrument must permit."""
    return kinds & _KINDS


@kernel(inline=True)
def is_crossed(line, permits):
    """Whether the market is locked or crossed, and the instrument may not trade then."""
    return (load8(line + _FLAGS) & _CROSSED != 0) & (permits & _MAY_CROSSED == 0)


@kernel(inline=True)
def would_lock(price, reference, is_sell, kinds, permits):
    """Whether an order could rest at or beyond the opposite best price, and may not."""
    is_beyond = price <= reference if is_sell else price >= reference
    return ((permits & _MAY_MARKETABLE == 0) & (kinds & _IMMEDIATE == 0)
            & (reference != 0) & is_beyond)


# Our own orders


@kernel(inline=True)
def own_key(is_sell, price):
    """Price key of an own order: the greater, the more it trades against."""
    return OWN_KEY - price if is_sell else price


@kernel(inline=True)
def own_best(exposure, is_sell):
    """Greatest price key of the own orders that an order of that side could meet; 0 none."""
    buys, sells = np.int64(exposure["best_key"][0]), np.int64(exposure["best_key"][1])
    return buys if is_sell else sells


@kernel(inline=True)
def is_self_match(exposure, is_sell, price, permits):
    """Whether an order could trade against one of our own, and may not."""
    key = own_best(exposure, is_sell)
    return (permits & _MAY_SELF_MATCH == 0) & (key != 0) & (
        key >= price if is_sell else key >= OWN_KEY - price)


# Exposures


@kernel(inline=True)
def worst_position(exposure, request):
    """Shares on the order's side, the short one counted positive, when all of them are filled."""
    position, buy, sell = exposure["position"], exposure["open_buy"], exposure["open_sell"]
    open_shares = sell - position if request["is_sell"] else buy + position
    return open_shares + request["added_quantity"]


@kernel(inline=True)
def position_max(limits, is_sell):
    """Greatest position on a side."""
    long_max, short_max = np.int64(limits["position_long_max"]), np.int64(
        limits["position_short_max"])
    return short_max if is_sell else long_max


@kernel(inline=True)
def day_quantity(exposure, added):
    """Shares traded today when every open order is filled."""
    return (exposure["bought"] + exposure["sold"] + exposure["open_buy"] + exposure["open_sell"]
            + added)


@kernel(inline=True)
def net_notional(risk, net, is_sell, added):
    """Net value of the firm on a side when every open order on it is filled."""
    r = risk_at(risk)
    buys = r["open_buy_notional"]
    return (r["open_notional"] - buys - net if is_sell else buys + net) + added


# Rates and counts


@kernel(inline=True)
def is_rated(time, now, derived):
    """Whether a token bucket that is full again at ``time`` has no token left."""
    return time - now > derived_at(derived)["rate_room"]


@kernel(inline=True)
def tokens(time, now, interval):
    """Tokens taken from a bucket that is full again at ``time``, the refused one included."""
    interval = max(interval, 1)
    return (max(time - now, 0) + interval - 1) // interval + 1


@kernel(inline=True)
def is_too_old(now, decided, most):
    """Whether a decision is further from ``now`` than ``most`` ns, either way."""
    return below(most, abs(now - decided)) & (most != NOTIONAL_LIMIT_MAX)


@kernel(inline=True)
def newest_word(price, quantity):
    """How the newest order of a side is remembered."""
    return (quantity & _U32) << 32 | (price & _U32)


@kernel(inline=True)
def is_duplicate(exposure, is_sell, price, quantity, now, least):
    """Whether the newest order of that side was the same, less than ``least`` ns ago.

    What nobody has ordered yet looks like no shares at no price.
    """
    if (least == 0) | (quantity == 0):
        return False
    side = 1 if is_sell else 0
    return (exposure["newest"][side] == newest_word(price, quantity)) & (
        now - exposure["newest_time"][side] < least)
