"""Market data of the venue: each change of a book becomes one ITCH 5.0 message in the store."""

from tickwire.kernels import _itch50 as itch50
from tickwire.kernels.jit import kernel
from tickwire_sim.exchange.layout import (
    ACCOUNT_SIZE,
    BUY,
    ORDER_SIZE,
    SYMBOL_SIZE,
    account_at,
    engine_at,
    order_at,
    symbol_at,
)
from tickwire_sim.exchange.store import commit, reserve

SIZE_MAX = 50                              # of the messages below (ITCH 5.0 §4.6)
TRACKING_NUMBER = 0
_BUY, _SELL, _YES, _NO, _NORMAL = ord("B"), ord("S"), ord("Y"), ord("N"), ord("N")
_GLOBAL_SELECT, _COMMON, _SUB_TYPE, _LIVE, _TIER_1 = (
    ord("Q"), ord("C"), int.from_bytes(b"Z ", "big"), ord("P"), ord("1"))
_BLANK, _BLANK4 = ord(" "), int.from_bytes(b"    ", "big")
_CLOSING, _LESS_THAN_1 = ord("C"), ord("L")
ROUND_LOT = 100


@kernel(inline=True)
def add(engine, slot):
    """The order begins to rest: A, or F when it is attributed to a firm."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])
    target = reserve(e["store"], SIZE_MAX)
    side = _BUY if o["side"] == BUY else _SELL
    if o["attributed"]:
        firm = e["firm"]
        if o["owner"]:
            firm = account_at(e["accounts"] + ACCOUNT_SIZE * o["owner"])["firm"]
        commit(e["store"], itch50.encode_add_order_with_mpid(
            target, s["locate"], TRACKING_NUMBER, e["clock"], o["reference"], side, o["quantity"],
            s["name"], o["price"], firm))
    else:
        commit(e["store"], itch50.encode_add_order(
            target, s["locate"], TRACKING_NUMBER, e["clock"], o["reference"], side, o["quantity"],
            s["name"], o["price"]))


@kernel(inline=True)
def executed(engine, locate, reference, quantity, match_number):
    """A resting order trades at its price: E."""
    e = engine_at(engine)
    commit(e["store"], itch50.encode_order_executed(
        reserve(e["store"], SIZE_MAX), locate, TRACKING_NUMBER, e["clock"], reference, quantity,
        match_number))


@kernel(inline=True)
def executed_at(engine, locate, reference, quantity, match_number, printable, price):
    """A resting order trades at a better price than its own: C."""
    e = engine_at(engine)
    commit(e["store"], itch50.encode_order_executed_with_price(
        reserve(e["store"], SIZE_MAX), locate, TRACKING_NUMBER, e["clock"], reference, quantity,
        match_number, _YES if printable else _NO, price))


@kernel(inline=True)
def canceled(engine, locate, reference, quantity):
    """A resting order loses shares: X."""
    e = engine_at(engine)
    commit(e["store"], itch50.encode_order_cancel(
        reserve(e["store"], SIZE_MAX), locate, TRACKING_NUMBER, e["clock"], reference, quantity))


@kernel(inline=True)
def deleted(engine, locate, reference):
    """A resting order leaves the book: D."""
    e = engine_at(engine)
    commit(e["store"], itch50.encode_order_delete(
        reserve(e["store"], SIZE_MAX), locate, TRACKING_NUMBER, e["clock"], reference))


@kernel(inline=True)
def replaced(engine, locate, original, reference, quantity, price):
    """A resting order gives way to a new one, which rests: U."""
    e = engine_at(engine)
    commit(e["store"], itch50.encode_order_replace(
        reserve(e["store"], SIZE_MAX), locate, TRACKING_NUMBER, e["clock"], original, reference,
        quantity, price))


@kernel
def traded(engine, symbol, quantity, price):
    """A trade against an order that was never displayed: P."""
    e = engine_at(engine)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)
    e["match_number"] += 1
    s["volume"] += quantity
    commit(e["store"], itch50.encode_trade(
        reserve(e["store"], SIZE_MAX), s["locate"], TRACKING_NUMBER, e["clock"], 0, _BUY, quantity,
        s["name"], price, e["match_number"]))


@kernel
def imbalance(engine, symbol, paired, unpaired, direction, price):
    """Auction interest that does not touch the book: I."""
    e = engine_at(engine)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)
    commit(e["store"], itch50.encode_net_order_imbalance(
        reserve(e["store"], SIZE_MAX), s["locate"], TRACKING_NUMBER, e["clock"], paired, unpaired,
        direction, s["name"], price, price, price, _CLOSING, _LESS_THAN_1))


@kernel
def system_event(engine, event_code):
    """Event of the whole venue: S."""
    e = engine_at(engine)
    commit(e["store"], itch50.encode_system_event(
        reserve(e["store"], SIZE_MAX), 0, TRACKING_NUMBER, e["clock"], event_code))


@kernel
def trading_action(engine, symbol, state, reason):
    """The symbol is in trading ``state`` from now on: H."""
    e = engine_at(engine)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)
    s["state"] = state
    commit(e["store"], itch50.encode_stock_trading_action(
        reserve(e["store"], SIZE_MAX), s["locate"], TRACKING_NUMBER, e["clock"], s["name"], state,
        _BLANK, reason))


@kernel
def directory(engine, symbol):
    """What there is to know of a symbol before the day: R, H (trading) and Y (none)."""
    e = engine_at(engine)
    s = symbol_at(e["symbols"] + SYMBOL_SIZE * symbol)
    commit(e["store"], itch50.encode_stock_directory(
        reserve(e["store"], SIZE_MAX), s["locate"], TRACKING_NUMBER, e["clock"], s["name"],
        _GLOBAL_SELECT, _NORMAL, ROUND_LOT, _NO, _COMMON, _SUB_TYPE, _LIVE, _NO, _NO, _TIER_1,
        _NO, 0, _NO))
    trading_action(engine, symbol, ord("T"), _BLANK4)
    commit(e["store"], itch50.encode_reg_sho_restriction(
        reserve(e["store"], SIZE_MAX), s["locate"], TRACKING_NUMBER, e["clock"], s["name"],
        ord("0")))
