"""Pair: two symbols that move together, bought and sold against each other.

It keeps a slow mean of the difference of their middle prices. ``threshold`` above it, it sells the
first and buys the second, below it the other way, both at once; near the mean it gives both back.
"""

import numpy as np

from tickwire.kernels import engine_actions as act
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import view
from tickwire.strategy.base import Dollars, Parameters, Strategy, Symbol, handler

PARAMETERS = Parameters(first=Symbol(0), second=Symbol(1), threshold=Dollars("0.05"), quantity=100,
                        position_max=300, mean_shift=10)
ROW = np.dtype([("mean", "i8"), ("started", "i8")])
parameters_at, state_at = view(PARAMETERS.dtype), view(ROW)


@kernel(inline=True)
def _leg(c, out, count, instrument, target):
    """Move ``instrument`` to ``target`` shares with one immediate order at the touch."""
    b, change = act.book_in(c, instrument), target - act.position_in(c, instrument)["position"]
    side, price = (act.BUY, b["ask_price"]) if change > 0 else (act.SELL, b["bid_price"])
    if change == 0:
        return count
    return act.new_order(c, out, count, instrument, side | act.IMMEDIATE, price, abs(change))


@handler
def trade(c, record, out):
    """Compare both books after any change of either."""
    t = parameters_at(act.parameters_of(c))
    a, b = act.book_in(c, t["first"]), act.book_in(c, t["second"])
    s = state_at(act.row_at(c, t["first"]))
    p, q = act.position_in(c, t["first"]), act.position_in(c, t["second"])
    if not act.is_tradable(a) or not act.is_tradable(b) or (p["pending"] | q["pending"]) != 0:
        return 0
    gap = (np.int64(a["bid_price"]) + np.int64(a["ask_price"])
           - np.int64(b["bid_price"]) - np.int64(b["ask_price"]))      # twice the difference
    if s["started"] == 0:
        s["started"], s["mean"] = 1, gap << t["mean_shift"]
    away = gap - (s["mean"] >> t["mean_shift"])
    s["mean"] += away
    held, target = p["position"], p["position"]
    if abs(away) >= 2 * t["threshold"]:
        target = held + (-t["quantity"] if away > 0 else t["quantity"])
        target = min(max(target, -t["position_max"]), t["position_max"])
    elif held * away >= 0:
        target = np.int64(0)
    if target == held and q["position"] == -held:
        return 0
    return _leg(c, out, _leg(c, out, 0, t["first"], target), t["second"], -target)


class Pair(Strategy):
    """Two symbols against each other."""

    function, row, parameters = trade, ROW, PARAMETERS
