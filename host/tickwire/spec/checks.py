"""Checks of the risk gate: bit ``n`` of a RISK_REJECT record's mask is row ``n``.

Every check is evaluated for every order, in one step and without an early exit; the mask has all
that failed. An order is refused when a *hard* one is among them. The firm's limits name those that
are soft: an order that fails only soft ones goes, and each is counted. Limit and value in the
record are those of the lowest hard one, which the record names. Never renumber.

A check of an exposure (position, notional, open orders, accumulated) fails only when the order
adds to that exposure: what reduces it passes, even above a limit that was lowered meanwhile.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``doc`` says when it fails, ``limit`` and ``value`` what is reported.

    ``is_hard``: it can not be made soft, because what follows relies on it.
    """

    name: str
    unit: str
    limit: str
    value: str
    doc: str
    is_hard: bool = False


CHECKS = (
    Check("global_kill",         "mask",   "0",                      "KillCause mask",         "The device is killed; so it is as soon as the watchdog's period has passed.", is_hard=True),
    Check("instrument_kill",     "flag",   "0",                      "1",                      "The instrument was killed by the host.", is_hard=True),
    Check("instrument_disabled", "flag",   "1",                      "flags of its limits row", "The instrument's limits row does not enable it.", is_hard=True),
    Check("feed_unhealthy",      "state",  "FeedState LIVE; 0 when the feed is live", "FeedState; the BookFlag bits when the feed is live", "The feed is not live, or the book is recovering, stale or desynced, or the side that the collar needs is hidden.", is_hard=True),
    Check("trading_state",       "code",   "84, the letter T",       "trading state; 72, the letter H, for an operational halt", "The instrument is not in state T: halted, paused, quotation only, or no state was seen; or the venue halted it for operational reasons."),
    Check("quantity",            "shares", "greatest or least quantity, or the lot", "quantity", "The quantity is 0, above its limit, below its least value or no multiple of the lot.", is_hard=True),
    Check("notional",            "1e-4 dollars", "greatest value of one order", "price x quantity", "Price x quantity is above its limit.", is_hard=True),
    Check("tick_size",           "1e-4 dollars", "tick size; the greatest price where that is passed", "price", "The price is 0, above 199,999.9900 dollars, or no multiple of the tick size.", is_hard=True),
    Check("collar",              "1e-4 dollars", "worst price allowed; 0 when the reference side is empty", "price", "A buy is above the best ask, a sell below the best bid, by more than the smaller of the two collars; or that side is empty."),
    Check("position",            "shares", "greatest position on that side", "worst-case position on that side", "The position would pass its limit if every open order on that side were filled."),
    Check("gross_notional",      "1e-4 dollars", "greatest gross notional, of the instrument or the firm", "gross notional with the order", "Positions at their mark and open orders at their limit price, instrument or firm, would pass their limit.", is_hard=True),
    Check("open_orders",         "orders", "greatest number, of the instrument or the firm", "orders open with this one", "Too many orders are open, or the order table has no place.", is_hard=True),
    Check("rate",                "orders", "greatest burst, of the instrument, the firm or the strategy", "orders in the bucket with this one", "The token bucket of new orders and replaces of the instrument, the firm or the strategy is empty."),
    Check("session_down",        "flag",   "1",                      "0; 2 when it was killed", "The order session is not up, or the host killed it.", is_hard=True),
    Check("configuration",       "version", "1",                     "0",                      "No limits table was ever committed.", is_hard=True),
    Check("strategy_disabled",   "flag",   "1",                      "0; 2 when it was killed", "The strategy's limits row does not enable it, or the host killed it.", is_hard=True),
    Check("market_phase",        "code",   "81, the letter Q",       "event code of the phase; 0 none seen", "The market is not in its regular hours, and the instrument may not trade outside of them."),
    Check("short_sale",          "1e-4 dollars", "best bid that the price must be above; 0 when no shares were located", "price", "A short sale without located shares; or, where Regulation SHO restricts short sales or nobody said that it does not, at or below the best bid or without one."),
    Check("order_type",          "mask",   "kinds that are permitted, OrderPermit", "kinds that the order is", "The order is of a kind that the instrument's row does not permit: day, immediate or cancel, post only."),
    Check("price_band",          "1e-4 dollars", "bound that was passed; 0 when there was no trade yet", "price", "The price is outside of the host's band, such as a limit-up limit-down band, or further from the last trade than the smaller of two collars; or there is such a collar and no trade yet."),
    Check("locked_market",       "1e-4 dollars", "opposite best price; 0 for a market that is crossed", "price", "The market is locked or crossed; or the order would rest at or beyond the opposite best price. Only where the instrument's row does not permit it."),
    Check("net_notional",        "1e-4 dollars", "greatest net notional of the firm", "net notional on that side", "Positions of the firm at their mark, shorts negative, would pass the limit if every open order on that side were filled."),
    Check("credit",              "1e-4 dollars", "greatest credit of the firm", "credit used with the order", "What the firm paid less what it received today and what all open buys may still cost would pass the limit."),
    Check("loss",                "1e-4 dollars", "greatest loss of the firm", "loss",          "The firm lost more today, positions at their mark; an order that can only reduce its instrument's position passes."),
    Check("open_notional",       "1e-4 dollars", "greatest value of open orders, of the instrument or the firm", "value of open orders with this one", "Open orders at their limit prices, instrument or firm, would pass their limit."),
    Check("message_rate",        "messages", "greatest burst of the session", "messages in the bucket with this one", "The token bucket of all messages of the session is empty; cancels take a token too, but always pass."),
    Check("order_to_trade",      "orders", "orders that the session has earned by trades", "orders of the session with this one", "The session sent too many new orders and replaces for its trades."),
    Check("duplicate",           "ns",     "shortest time between equal orders", "time since the last one", "The instrument's newest order on that side had the same price and quantity, and is too recent. Not for a replace."),
    Check("self_match",          "1e-4 dollars", "own price on the other side", "price", "The order could trade against an order of our own, or against one that we replace."),
    Check("repetition",          "orders", "orders until a human has looked", "orders with this one", "The strategy sent as many new orders and replaces as it may before the host releases it again."),
    Check("accumulated",         "shares or 1e-4 dollars", "greatest shares, or value, of one day in the instrument", "shares, or value, with the order", "Shares, or their value, that were traded today and that open orders may still trade would pass the limit."),
    Check("age",                 "ns",     "greatest age",           "distance of the decision from now; saturates", "The decision, or the arming of a trigger, is too far from now, either way."),
)

CheckIndex: Any = IntEnum("CheckIndex", {check.name.upper(): index
                                         for index, check in enumerate(CHECKS)})
"""Bit of each check by its upper-case name."""

assert len(CHECKS) == 32                    # the mask is full

ALWAYS_HARD = sum(1 << index for index, check in enumerate(CHECKS) if check.is_hard)
"""Mask of the checks that can not be soft."""

STATIC = sum(1 << CheckIndex[name].value for name in (
    "INSTRUMENT_DISABLED", "QUANTITY", "NOTIONAL", "TICK_SIZE", "CONFIGURATION", "ORDER_TYPE"))
"""Mask of the checks that depend on the order and the limits alone: asked when a trigger is armed."""


def failing(mask: int) -> tuple[Check, ...]:
    """Return the checks of ``mask``, lowest bit first.

    Raises ``ValueError`` for a mask with a bit that is no check.
    """
    if not 0 <= mask < 1 << len(CHECKS):
        raise ValueError(f"Mask of checks must have only its low {len(CHECKS)} bits set, "
                         f"not {mask:#x}")
    return tuple(check for index, check in enumerate(CHECKS) if mask >> index & 1)
