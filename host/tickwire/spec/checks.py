"""Checks of the risk gate: bit ``n`` of a RISK_REJECT record's mask is row ``n``.

Every check is evaluated for every order, in one step and without an early exit; the mask has all
that failed. Limit and value in the record are those of the lowest bit. Never renumber: append.

A check of an exposure (position, gross notional, open orders) fails only when the order adds to
that exposure: what reduces it passes, even above a limit that was lowered meanwhile.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``doc`` says when it fails, ``limit`` and ``value`` what is reported."""

    name: str
    unit: str
    limit: str
    value: str
    doc: str


CHECKS = (
    Check("global_kill",         "mask",   "0",                      "KillCause mask",         "The device is killed."),
    Check("instrument_kill",     "flag",   "0",                      "1",                      "The instrument was killed by the host."),
    Check("instrument_disabled", "flag",   "1",                      "flags of its limits row", "The instrument's limits row does not enable it."),
    Check("feed_unhealthy",      "state",  "FeedState LIVE; 0 when the feed is live", "FeedState; the BookFlag bits when the feed is live", "The feed is not live, or the book is recovering, stale or desynced, or the side that the collar needs is hidden."),
    Check("trading_state",       "code",   "84, the letter T",       "trading state",          "The instrument is not in state T: halted, paused, quotation only, or no state was seen."),
    Check("quantity",            "shares", "greatest quantity",      "quantity",               "The quantity is 0 or above its limit."),
    Check("notional",            "1e-4 dollars", "greatest value of one order", "price x quantity", "Price x quantity is above its limit."),
    Check("tick_size",           "1e-4 dollars", "tick size; the greatest price where that is passed", "price", "The price is 0, above 199,999.9900 dollars, or no multiple of the tick size."),
    Check("collar",              "1e-4 dollars", "worst price allowed; 0 when the reference side is empty", "price", "A buy is above the best ask, a sell below the best bid, by more than the smaller of the two collars; or that side is empty."),
    Check("position",            "shares", "greatest position on that side", "worst-case position on that side", "The position would pass its limit if every open order on that side were filled."),
    Check("gross_notional",      "1e-4 dollars", "greatest gross notional, of the instrument or the firm", "gross notional with the order", "Positions at their mark and open orders at their limit price, instrument or firm, would pass their limit."),
    Check("open_orders",         "orders", "greatest number, of the instrument or the firm", "orders open with this one", "Too many orders are open, or the order table has no place."),
    Check("rate",                "orders", "greatest burst, of the instrument or the firm", "orders in the bucket with this one", "The token bucket of the instrument or of the firm is empty."),
    Check("session_down",        "flag",   "1",                      "0",                      "The order session is not up."),
    Check("configuration",       "version", "1",                     "0",                      "No limits table was ever committed."),
)

CheckIndex: Any = IntEnum("CheckIndex", {check.name.upper(): index
                                         for index, check in enumerate(CHECKS)})
"""Bit of each check by its upper-case name."""

assert len(CHECKS) <= 32


def failing(mask: int) -> tuple[Check, ...]:
    """Return the checks of ``mask``, lowest bit first.

    Raises ``ValueError`` for a mask with a bit that is no check.
    """
    if not 0 <= mask < 1 << len(CHECKS):
        raise ValueError(f"Mask of checks must have only its low {len(CHECKS)} bits set, "
                         f"not {mask:#x}")
    return tuple(check for index, check in enumerate(CHECKS) if mask >> index & 1)
