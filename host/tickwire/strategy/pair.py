"""Pair: two symbols whose distances from their own means have come apart.

When the first is ``threshold`` millionths dearer than the second, it is sold and the second bought
for the same value, or the other way round; both are given back when they are ``meet`` apart.
"""

import numpy as np

from tickwire.kernels import engine_actions as act
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import view
from tickwire.strategy.base import Dollars, Parameters, Strategy, Symbol, handler

PARAMETERS = Parameters(first=Symbol(0), second=Symbol(1), threshold=6_000, meet=500,
                        value=Dollars("2000"), mean_shift=12)
ROW = np.dtype([("mean", "i8"), ("away", "i8")])    # doubled middle x 2^mean_shift; millionths
parameters_at, leg_at = view(PARAMETERS.dtype), view(ROW)


@kernel
def trade(c, out, count, instrument, direction):
    """Buy (1), sell (-1) or give back (0) one leg, at the opposite best price."""
    b, t = act.book_in(c, instrument), parameters_at(act.parameters_of(c))
    held, bid, ask = act.position_in(c, instrument)["position"], b["bid_price"], b["ask_price"]
    wanted = direction * max(t["value"] // np.int64(ask), 1) - held
    flags, price = (act.BUY, ask) if wanted > 0 else (act.sale(held, -wanted), bid)
    if wanted == 0:
        return count
    return act.new_order(c, out, count, instrument, flags | act.IMMEDIATE, price, abs(wanted))


@handler
def converge(c, record, out):
    """Look at both legs after a change of either."""
    t, i = parameters_at(act.parameters_of(c)), act.instrument_of(c)
    one, two = t["first"], t["second"]
    x, y = act.book_in(c, one), act.book_in(c, two)
    if (i != one and i != two) or not act.is_tradable(x) or not act.is_tradable(y):
        return 0
    s, b, shift = leg_at(act.row_at(c, i)), act.book_in(c, i), t["mean_shift"]
    middle = np.int64(b["bid_price"]) + np.int64(b["ask_price"])
    s["mean"] += middle - (s["mean"] >> shift) if s["mean"] else middle << shift
    s["away"] = ((middle << shift) - s["mean"]) * 1_000_000 // s["mean"]
    p, q = act.position_in(c, one), act.position_in(c, two)
    if p["pending"] + q["pending"] + p["open_orders"] + q["open_orders"] != 0:
        return 0
    apart = leg_at(act.row_at(c, one))["away"] - leg_at(act.row_at(c, two))["away"]
    if p["position"] == 0 and q["position"] == 0 and abs(apart) >= t["threshold"]:
        direction = -1 if apart > 0 else 1
        return trade(c, out, trade(c, out, 0, one, direction), two, -direction)
    if abs(apart) <= t["meet"]:
        return trade(c, out, trade(c, out, 0, one, 0), two, 0)
    return 0


class Pair(Strategy):
    """Convergence of two symbols."""

    function, row, parameters = converge, ROW, PARAMETERS
