"""Imbalance: quotes on the side that the best queue sizes lean to, and works positions off.

One post-only order a side joins the best price while that side is wanted. It is cancelled when the
price moves away or the book leans the other way.
"""

import numpy as np

from tickwire.kernels import engine_actions as act
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import view
from tickwire.strategy.base import Parameters, Strategy, handler

PARAMETERS = Parameters(lean=500, quantity=100, position_max=300)   # lean in thousandths
ROW = np.dtype([("canceled", "u4", 2)])     # token of each side that a cancel was sent for
parameters_at, row_at = view(PARAMETERS.dtype), view(ROW)


@kernel
def side(c, out, count, sells, is_wanted, price, token, its_price):
    """Bring one side's order to where it is wanted: enter, leave or cancel it."""
    canceled = row_at(act.row_of(c))["canceled"]
    p, quantity = act.position_of(c), parameters_at(act.parameters_of(c))["quantity"]
    if token == 0 and is_wanted and p["pending"] == 0:
        flags = act.sale(p["position"], quantity) if sells else act.BUY
        return act.new_order(c, out, count, act.instrument_of(c), flags | act.POST_ONLY, price,
                             quantity)
    if token != 0 and (not is_wanted or price != its_price) and canceled[sells] != token:
        canceled[sells] = token
        return act.cancel_order(c, out, count, token)
    return count


@handler
def quote(c, record, out):
    """Requote on one best bid and offer."""
    b, p, t = act.bbo_at(record), act.position_of(c), parameters_at(act.parameters_of(c))
    bid, ask = np.int64(b["bid_quantity"]), np.int64(b["ask_quantity"])
    lean, least = 1_000 * (bid - ask), t["lean"] * (bid + ask)
    is_good, held, most = act.is_tradable(b), p["position"], t["position_max"]
    buys = is_good and held < most and (held < 0 or lean >= least)
    sells = is_good and -held < most and (held > 0 or lean <= -least)
    count = side(c, out, 0, 0, buys, np.int64(b["bid_price"]), np.int64(p["buy_token"]),
                 np.int64(p["buy_price"]))
    return side(c, out, count, 1, sells, np.int64(b["ask_price"]), np.int64(p["sell_token"]),
                np.int64(p["sell_price"]))


class Imbalance(Strategy):
    """Quoting on queue imbalance."""

    function, row, parameters = quote, ROW, PARAMETERS
