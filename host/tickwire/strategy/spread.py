"""Spread: mean reversion on a spread threshold.

It keeps a slow mean of the middle price. While the spread is at most ``spread_max`` and the middle
is ``threshold`` away from its mean, it takes the side that expects a return; it gives the position
back when the middle has come back. Orders are immediate: what does not trade at once is cancelled.
"""

import numpy as np

from tickwire.kernels import engine_actions as act
from tickwire.kernels.memory import view
from tickwire.strategy.base import Dollars, Parameters, Strategy, handler

PARAMETERS = Parameters(threshold=Dollars("0.05"), spread_max=Dollars("0.02"), quantity=100,
                        position_max=500, mean_shift=12)
ROW = np.dtype([("mean", "i8")])            # of the doubled middle price, times 2^mean_shift
parameters_at, row_at = view(PARAMETERS.dtype), view(ROW)


@handler
def revert(c, record, out):
    """Trade one best bid and offer."""
    b, p = act.bbo_at(record), act.position_of(c)
    t, s = parameters_at(act.parameters_of(c)), row_at(act.row_of(c))
    if not act.is_tradable(b):
        return 0
    bid, ask = np.int64(b["bid_price"]), np.int64(b["ask_price"])
    if s["mean"] == 0:
        s["mean"] = bid + ask << t["mean_shift"]
    s["mean"] += bid + ask - (s["mean"] >> t["mean_shift"])
    away = bid + ask - (s["mean"] >> t["mean_shift"])       # twice the distance from the mean
    if p["pending"] != 0 or p["open_orders"] != 0 or ask - bid > t["spread_max"]:
        return 0
    held, far, most = p["position"], 2 * t["threshold"], t["position_max"]
    if (away >= far and held > -most) or (away >= 0 and held > 0):
        quantity = min(t["quantity"], held if held > 0 else most + held)
        return act.new_order(c, out, 0, act.instrument_of(c),
                             act.sale(held, quantity) | act.IMMEDIATE, bid, quantity)
    if (away <= -far and held < most) or (away <= 0 and held < 0):
        quantity = min(t["quantity"], -held if held < 0 else most - held)
        return act.new_order(c, out, 0, act.instrument_of(c), act.BUY | act.IMMEDIATE, ask,
                             quantity)
    return 0


class Spread(Strategy):
    """Mean reversion on a spread threshold."""

    function, row, parameters = revert, ROW, PARAMETERS
