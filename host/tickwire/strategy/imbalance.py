"""Imbalance: quote the side that the weight of the best levels favours.

While one side of the best bid and offer holds ``ratio`` times the shares of the other, it joins
that side's price with a post-only order; it takes the order back when the weight or the price has
moved on. What it holds it offers at the opposite best price.
"""

import numpy as np

from tickwire.kernels.engine_actions import (
    BUY,
    POST_ONLY,
    SELL,
    bbo_at,
    cancel_order,
    instrument_of,
    is_tradable,
    new_order,
    parameters_of,
    position_of,
)
from tickwire.kernels.memory import view
from tickwire.strategy.base import Parameters, Strategy, handler

PARAMETERS = Parameters(ratio=3, quantity=100, position_max=300)
parameters_at = view(PARAMETERS.dtype)


@handler
def quote(c, record, out):
    """Quote on one best bid and offer: at most one order a side, at most four intents."""
    b, t, p = bbo_at(record), parameters_at(parameters_of(c)), position_of(c)
    count = 0
    sure = is_tradable(b)
    bids, asks = np.int64(b["bid_quantity"]), np.int64(b["ask_quantity"])
    held = p["position"]
    wants_buy = sure and ((bids >= t["ratio"] * asks and held < t["position_max"]) or held < 0)
    wants_sell = sure and ((asks >= t["ratio"] * bids and held > -t["position_max"]) or held > 0)
    if p["buy_token"] != 0 and (not wants_buy or p["buy_price"] != b["bid_price"]):
        count = cancel_order(c, out, count, p["buy_token"])
    if p["sell_token"] != 0 and (not wants_sell or p["sell_price"] != b["ask_price"]):
        count = cancel_order(c, out, count, p["sell_token"])
    if p["pending"] != 0 or count != 0:
        return count
    if wants_buy and p["open_buy"] == 0:
        count = new_order(c, out, count, instrument_of(c), BUY | POST_ONLY, b["bid_price"],
                          min(t["quantity"], -held) if held < 0 else t["quantity"])
    if wants_sell and p["open_sell"] == 0:
        count = new_order(c, out, count, instrument_of(c), SELL | POST_ONLY, b["ask_price"],
                          min(t["quantity"], held) if held > 0 else t["quantity"])
    return count


class Imbalance(Strategy):
    """Quote the side that the weight of the best levels favours."""

    function, parameters = quote, PARAMETERS
