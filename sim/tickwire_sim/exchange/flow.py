"""Order flow of the agents: a plausible market in any number of symbols, drawn from a seed.

Each symbol has a fair value that wanders around a slow anchor, and a half spread that makers keep
around it and that returns to its usual size from wide and narrow spells. An action picks a symbol
by its activity: quotes that the fair value left behind are taken or withdrawn, takers come on
either side, makers place, move, cut and cancel orders. One action is one command of the engine.

Every draw is an integer, so a seed gives the same market on every machine.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load32
from tickwire.kernels.ring import count
from tickwire.spec.ouch50 import PRICE_MAX
from tickwire_sim.exchange import itch, matching
from tickwire_sim.exchange.book import SLOT_MASK, best_key, best_price
from tickwire_sim.exchange.codes import Cancel, State
from tickwire_sim.exchange.counters import CounterIndex
from tickwire_sim.exchange.layout import (
    BUY,
    HOUSE,
    LEVEL_SIZE,
    MARKET_SIZE,
    ORDER_SIZE,
    PRICE_NONE,
    SELL,
    SYMBOL_SIZE,
    engine_at,
    flow_at,
    level_at,
    market_at,
    order_at,
    store_at,
    symbol_at,
)
from tickwire_sim.exchange.randomness import bell, below, exponential

UNIT = 16                                  # fair values have this many binary places
WEIGHT_BITS = 31
REVERSION = 12                             # the fair value returns by 2^-12 of its distance
NEAR, FAR = 3, 40                          # mean distances of orders, in usual half spreads
RECENT = 30_000                            # orders among which a recent one is drawn

# Parts of a thousand. With them the mix of types is near that of a Nasdaq day.
PLACE_GROWING, PLACE_STEADY = 640, 440
TAKE = 18
TRADE_HIDDEN, IMPROVE, IMBALANCE = 6, 1, 2
DELETE, REPLACE = 820, 155                 # of changes; the rest are partial cancels
ATTRIBUTED = 15                            # of placed orders

_TRADING, _USER = State.TRADING, Cancel.USER
_ACTIONS = int(CounterIndex.ACTIONS)
_NO_IMBALANCE = ord("N")
_LETTER_A = ord("A")


@kernel(inline=True)
def _symbol(flow):
    """Draw a symbol by its activity."""
    f = flow_at(flow)
    draw = below(f["random"], 1 << WEIGHT_BITS)
    symbol = load32(f["guide"] + 4 * (draw >> (WEIGHT_BITS - f["guide_bits"])))
    while load32(f["weights"] + 4 * symbol) <= draw:
        symbol += 1
    return symbol


@kernel(inline=True)
def _shares(random):
    """Draw a quantity: mostly round lots."""
    if below(random, 10) < 7:
        return 100 * (1 + below(random, 5))
    return 1 + below(random, 999)


@kernel(inline=True)
def _wander(flow, symbol):
    """Move the fair value and the spread of a symbol on."""
    f = flow_at(flow)
    random = f["random"]
    m = market_at(f["markets"] + MARKET_SIZE * symbol)
    m["fair"] += ((bell(random) * (m["scale"] >> 3)) >> 16) + ((m["anchor"] - m["fair"])
                                                              >> REVERSION)
    m["half_spread"] += (m["half_spread_goal"] - m["half_spread"]) >> 4
    draw = below(random, 1 << 20)
    if draw < 1 << 12:
        # A spell: from half to six times the usual spread, mostly near the usual one.
        step = below(random, 8)
        wide = 2 + step if step < 6 else 8 * (step - 4)
        m["half_spread_goal"] = m["scale"] * wide >> 2
    elif draw < 3 << 12:
        m["anchor"] += bell(random) * (m["scale"] >> 1) >> 16
        m["anchor"] = min(max(m["anchor"], m["start"] >> 1), m["start"] * 2)
    elif draw < (3 << 12) + 64:
        m["fair"] += bell(random) * (m["scale"] << 2) >> 16
    m["fair"] = min(max(m["fair"], m["start"] >> 2), m["start"] * 4)


@kernel(inline=True)
def _price(flow, symbol, side):
    """Draw a price for an order that is to rest: behind the half spread, not crossing."""
    f = flow_at(flow)
    e = engine_at(f["engine"])
    random = f["random"]
    m = market_at(f["markets"] + MARKET_SIZE * symbol)
    tick = symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)["tick"]
    mean = m["scale"] * (NEAR if below(random, 100) < 93 else FAR)
    distance = m["half_spread"] + (exponential(random, f["exponential"]) * (mean >> 8) >> 8)
    opposite = best_price(f["engine"], symbol, 1 - side)
    if side == BUY:
        price = (m["fair"] - distance >> UNIT) // tick * tick
        if opposite and price >= opposite:
            price = opposite - tick
        return max(price, tick)
    price = -(-(m["fair"] + distance >> UNIT) // tick) * tick
    price = min(price, PRICE_MAX // tick * tick)
    return opposite + tick if opposite and price <= opposite else price


@kernel
def _place(flow, symbol, side):
    """A maker adds an order that is to rest."""
    f = flow_at(flow)
    e = engine_at(f["engine"])
    random = f["random"]
    price = _price(flow, symbol, side)
    shares = _shares(random)
    e["reference"] += below(random, 4)     # numbers of orders that were never displayed
    attributed = below(random, 1000) < ATTRIBUTED
    if attributed:
        agent = below(random, f["agents"])
        e["firm"] = ((_LETTER_A + agent % 26) | (_LETTER_A + agent // 26 % 26) << 8
                     | (_LETTER_A + agent // 676) << 16 | _LETTER_A << 24)
    if matching.check(f["engine"], symbol, shares, price) == 0:
        matching.enter(f["engine"], symbol, side, shares, price, matching.POST_ONLY, HOUSE, 0,
                       1 if attributed else 0, 0)


@kernel
def _take(flow, symbol, side):
    """A taker trades: mostly up to the best price, at times deeper, at times leaving a rest."""
    f = flow_at(flow)
    engine = f["engine"]
    random = f["random"]
    tick = symbol_at(engine_at(engine)["symbols"] + SYMBOL_SIZE * symbol)["tick"]
    price = best_price(engine, symbol, 1 - side)
    kind = below(random, 16)
    shares = 100 * (1 + below(random, 8)) if below(random, 4) else 1 + below(random, 300)
    policy = matching.IMMEDIATE
    if kind == 0:
        price = PRICE_NONE
    elif kind < 4:
        reach = tick * (1 + below(random, 3))
        price = price + reach if side == BUY else max(price - reach, tick)
    elif kind == 4:
        policy = matching.DAY
    if matching.check(engine, symbol, shares, price) == 0:
        matching.enter(engine, symbol, side, shares, price, policy, HOUSE, 0, 0, 0)


@kernel(inline=True)
def _front(engine, symbol, side):
    """Slot of the order that would trade first; the side is not empty."""
    level = best_key(engine, symbol, side) & SLOT_MASK
    return level_at(engine_at(engine)["levels"] + LEVEL_SIZE * level)["head"]


@kernel(inline=True)
def _stale(flow, symbol, side, price):
    """How far a best price lies inside of the half spread: 0 not, 1 inside, 2 past fair value."""
    m = market_at(flow_at(flow)["markets"] + MARKET_SIZE * symbol)
    inside = (price << UNIT) - m["fair"] if side == BUY else m["fair"] - (price << UNIT)
    if inside > 0:
        return 2
    return 1 if inside > -(m["half_spread"] >> 1) else 0


@kernel
def _withdraw(flow, symbol, side, staleness):
    """Take or cancel the first order of a side, which is too good."""
    engine = flow_at(flow)["engine"]
    slot = _front(engine, symbol, side)
    is_house = order_at(engine_at(engine)["orders"] + ORDER_SIZE * slot)["owner"] == HOUSE
    if is_house and (staleness == 1 or below(flow_at(flow)["random"], 4) > 0):
        matching.cancel(engine, slot, _USER)
    elif staleness == 2:
        _take(flow, symbol, 1 - side)


@kernel
def _chosen(flow):
    """Slot of an order of the house, recent ones first; there is one."""
    f = flow_at(flow)
    e = engine_at(f["engine"])
    live = e["roster_count"]
    index = below(f["random"], live)
    if below(f["random"], 10) < 8:
        draw = below(f["random"], 1 << 15)
        index = live - 1 - ((min(live, RECENT) * draw >> 15) * draw >> 15)
    return load32(e["roster"] + 4 * index)


@kernel
def _change(flow):
    """A maker deletes, moves or cuts one of the resting orders."""
    f = flow_at(flow)
    e = engine_at(f["engine"])
    random = f["random"]
    slot = _chosen(flow)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    kind = below(random, 1000)
    symbol = o["symbol"]
    if kind < DELETE:
        matching.cancel(f["engine"], slot, _USER)
    elif kind < DELETE + REPLACE:
        price = _price(flow, symbol, o["side"])
        shares = o["quantity"] if below(random, 4) else _shares(random)
        e["reference"] += below(random, 4)
        matching.replace(f["engine"], slot, shares, price, matching.POST_ONLY, 0)
    elif o["quantity"] > 1:
        matching.reduce(f["engine"], slot, 1 + below(random, o["quantity"] - 1), _USER)


@kernel
def _report(flow, symbol, bid, ask, kind):
    """What does not come from an order of the book: hidden trades, improvements, imbalances."""
    f = flow_at(flow)
    engine = f["engine"]
    random = f["random"]
    if kind < TRADE_HIDDEN:
        itch.traded(engine, symbol, _shares(random), bid if below(random, 2) else ask)
    elif kind < TRADE_HIDDEN + IMPROVE:
        tick = symbol_at(engine_at(engine)["symbols"] + SYMBOL_SIZE * symbol)["tick"]
        side = below(random, 2)
        slot = _front(engine, symbol, side)
        o = order_at(engine_at(engine)["orders"] + ORDER_SIZE * slot)
        if o["owner"] == HOUSE:
            price = bid - tick if side == BUY else ask + tick
            matching.improve(engine, slot, 1 + below(random, o["quantity"]), max(price, tick),
                             below(random, 8) > 0)
    else:
        itch.imbalance(engine, symbol, _shares(random), 0, _NO_IMBALANCE, bid)


@kernel
def act(flow):
    """Carry one action out; returns the messages that it made. Its events are the engine's."""
    f = flow_at(flow)
    engine = f["engine"]
    random = f["random"]
    e = engine_at(engine)
    before = store_at(e["store"])["count"]
    count(e["counters"], _ACTIONS)
    matching.begin(engine)
    symbol = _symbol(flow)
    _wander(flow, symbol)
    if symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)["state"] != _TRADING:
        return 0
    bid = best_price(engine, symbol, BUY)
    ask = best_price(engine, symbol, SELL)
    if bid == 0 or ask == 0:
        _place(flow, symbol, BUY if bid == 0 else SELL)
        return store_at(e["store"])["count"] - before
    first = below(random, 2)
    staleness = _stale(flow, symbol, first, bid if first == BUY else ask)
    kind = below(random, 1000)
    if staleness and kind & 1:
        _withdraw(flow, symbol, first, staleness)
    elif kind < TRADE_HIDDEN + IMPROVE + IMBALANCE:
        _report(flow, symbol, bid, ask, kind)
    elif kind < TRADE_HIDDEN + IMPROVE + IMBALANCE + TAKE:
        # Two in three takers know on which side the fair value lies.
        m = market_at(f["markets"] + MARKET_SIZE * symbol)
        informed = BUY if m["fair"] * 2 >> UNIT > bid + ask else SELL
        _take(flow, symbol, informed if below(random, 3) else 1 - informed)
    else:
        growing = e["roster_count"] < f["live"]
        if e["roster_count"] == 0 or below(random, 1000) < (
                PLACE_GROWING if growing else PLACE_STEADY):
            _place(flow, symbol, below(random, 2))
        else:
            _change(flow)
    return store_at(e["store"])["count"] - before


@kernel(inline=True)
def advance(flow, messages):
    """Move the time of the next action on by that many messages; at least one."""
    f = flow_at(flow)
    gap = exponential(f["random"], f["exponential"]) * f["gap"] >> 16
    if f["is_bursty"]:
        gap = exponential(f["random"], f["exponential"]) * gap >> 16
    f["due"] += max(messages, 1) * gap


@kernel
def run(flow, messages, end, actions):
    """Act in virtual time until ``messages`` are in the store; ``end`` is the latest clock.

    Gives up after ``actions``, so that a halted market ends too. Returns the messages in the store.
    """
    f = flow_at(flow)
    e = engine_at(f["engine"])
    store = e["store"]
    while store_at(store)["count"] < messages and actions > 0:
        advance(flow, act(flow))
        e["clock"] = min(f["due"] >> 8, end)
        actions -= 1
    return store_at(store)["count"]
