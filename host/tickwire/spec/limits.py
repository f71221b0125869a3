"""Limits table of the risk gate: rows of the firm, each instrument, each strategy, each session.

The host writes the rows to a staging area and commits them with a version and the CRC-32C
(RFC 3720) of all rows. The device copies, checks and swaps them between two intents, or refuses
them all and keeps what it has. Every limit is inclusive. A row of zeros permits nothing, and
``UNLIMITED`` in a field of 4 octets permits everything that the field could forbid. What a bound
from below or a time of zero would forbid is nothing: those are off when they are 0.
"""

from enum import IntEnum, IntFlag

from .sessions import SESSIONS_MAX
from .wire import Field, Message

LIMITS_ROW = 128                           # octets of one row
UNLIMITED = 0x7FFF_FFFF                    # greatest value of a limit of 4 octets
NOTIONAL_LIMIT_MAX = (1 << 61) - 1         # greatest value of a limit of 8 octets; order values saturate here
STRATEGIES = 16                            # rows of strategies
DOLLAR = 10_000                            # below this price the smaller tick holds (Reg NMS 612)
BASIS_POINTS = 10_000                      # basis points of the whole
NO_ROOM = -(1 << 62)                       # ns that a token bucket without tokens may be ahead


class LimitFlag(IntFlag):
    """Field ``flags`` of an instrument's or strategy's row."""

    ENABLED = 1          # orders for the instrument, or of the strategy, are permitted


class OrderPermit(IntFlag):
    """Field ``permits`` of an instrument's row; the low bits are kinds that an order may be."""

    DAY = 1              # rest until the end of the day
    IMMEDIATE = 2        # immediate or cancel
    POST_ONLY = 4
    SHORT = 8            # sell short: the shares were located (Regulation SHO 203)
    CROSSED = 16         # while the market is locked or crossed
    MARKETABLE = 32      # at or beyond the opposite best price, to rest there if it is gone
    ANY_PHASE = 64       # outside of the market's regular hours, or before any hours were told
    SELF_MATCH = 128     # where it could trade against an order of our own


class LimitsError(IntEnum):
    """Why a commit was refused."""

    NONE = 0
    VERSION = 1          # not the committed version plus one
    CRC = 2              # the rows do not have the CRC that was given
    VALUE = 3            # a limit is out of its range; or a row is enabled without tick, lot, rate or burst


def _pad(octets: int) -> tuple[Field, ...]:
    assert octets % 8 == 0
    return tuple(Field(f"reserved_{index}", 8, "uint", "Zero.") for index in range(octets // 8))


FIRM_LIMITS = Message("firm_limits", "", "Limits of the firm", "tickwire limits table, row 0", (
    Field("gross_notional_max", 8, "uint",  "Value of all positions at their mark and of all open orders at their limit price, 1e-4 dollars."),
    Field("open_orders_max",    4, "uint",  "Orders open at the venue, all instruments."),
    Field("rate_interval_ns",   4, "uint",  "Token bucket of all new orders and replaces: one token in this time."),
    Field("rate_burst",         4, "uint",  "Token bucket of all new orders and replaces: tokens that it holds."),
    Field("intent_errors_max",  4, "uint",  "Intents with a wrong CRC, epoch or sequence since arming; one more kills."),
    Field("soft_checks",        4, "uint",  "Mask of the checks that are soft, bit n is Check n."),
    Field("reserved",           4, "uint",  "Zero."),
    Field("net_notional_max",   8, "uint",  "Net value of all positions, shorts negative, with every open order of one side filled, 1e-4 dollars."),
    Field("credit_max",         8, "uint",  "Paid less received today, with every open buy filled, 1e-4 dollars."),
    Field("loss_max",           8, "uint",  "Loss of the day, positions at their mark, 1e-4 dollars."),
    Field("open_notional_max",  8, "uint",  "Value of all open orders at their limit price, 1e-4 dollars."),
    *_pad(64),
), order="little")
assert FIRM_LIMITS.size == LIMITS_ROW

INSTRUMENT_LIMITS = Message("instrument_limits", "", "Limits of one instrument",
                            "tickwire limits table, row 1 + instrument", (
    Field("flags",              4, "uint",  "LimitFlag."),
    Field("quantity_max",       4, "uint",  "Shares of one order."),
    Field("notional_max",       8, "uint",  "Price x quantity of one order, 1e-4 dollars."),
    Field("gross_notional_max", 8, "uint",  "Value of the position at its mark and of its open orders at their limit price, 1e-4 dollars."),
    Field("tick",               4, "price", "Tick size at 1 dollar and above."),
    Field("tick_below_dollar",  4, "price", "Tick size below 1 dollar."),
    Field("collar_price",       4, "price", "Collar: distance beyond the opposite best price."),
    Field("collar_bps",         4, "uint",  "Collar: the same in basis points of that price, rounded down; the smaller one holds."),
    Field("position_long_max",  4, "uint",  "Shares long when every open buy is filled."),
    Field("position_short_max", 4, "uint",  "Shares short when every open sell is filled."),
    Field("open_orders_max",    4, "uint",  "Orders open at the venue."),
    Field("rate_interval_ns",   4, "uint",  "Token bucket of new orders and replaces: one token in this time."),
    Field("rate_burst",         4, "uint",  "Token bucket of new orders and replaces: tokens that it holds."),
    Field("permits",            4, "uint",  "OrderPermit."),
    Field("quantity_min",       4, "uint",  "Least shares of one order."),
    Field("lot",                4, "uint",  "Shares that a quantity must be a multiple of."),
    Field("last_collar_price",  4, "price", "Collar around the last trade, both ways: distance."),
    Field("last_collar_bps",    4, "uint",  "Collar around the last trade: the same in basis points of that price, rounded down; the smaller one holds. Both UNLIMITED: no trade is needed."),
    Field("band_lower",         4, "price", "Least price of any order."),
    Field("band_upper",         4, "price", "Greatest price of any order."),
    Field("open_notional_max",  8, "uint",  "Value of its open orders at their limit price, 1e-4 dollars."),
    Field("day_quantity_max",   8, "uint",  "Shares traded in a day, with every open order filled."),
    Field("day_notional_max",   8, "uint",  "Value traded in a day, with every open order filled, 1e-4 dollars."),
    Field("duplicate_ns",       4, "uint",  "Shortest time between two equal orders; 0 none."),
    Field("reserved",           4, "uint",  "Zero."),
    *_pad(8),
), order="little")
assert INSTRUMENT_LIMITS.size == LIMITS_ROW

STRATEGY_LIMITS = Message("strategy_limits", "", "Limits of one strategy",
                          "tickwire limits table, row 1 + instruments + strategy", (
    Field("flags",              4, "uint",  "LimitFlag."),
    Field("repetitions_max",    4, "uint",  "New orders and replaces until the host releases the strategy again."),
    Field("rate_interval_ns",   4, "uint",  "Token bucket of new orders and replaces: one token in this time."),
    Field("rate_burst",         4, "uint",  "Token bucket of new orders and replaces: tokens that it holds."),
    Field("age_max_ns",         8, "uint",  "Age of a decision; the greatest value does not check."),
    *_pad(104),
), order="little")
assert STRATEGY_LIMITS.size == LIMITS_ROW

SESSION_LIMITS = Message("session_limits", "", "Limits of one order session",
                         "tickwire limits table, row 1 + instruments + strategies + session", (
    Field("message_interval_ns", 4, "uint", "Token bucket of all messages, cancels too: one token in this time."),
    Field("message_burst",      4, "uint",  "Token bucket of all messages: tokens that it holds."),
    Field("orders_free",        4, "uint",  "New orders and replaces of a day that need no trade."),
    Field("orders_per_trade",   4, "uint",  "New orders and replaces that each execution adds to them."),
    *_pad(112),
), order="little")
assert SESSION_LIMITS.size == LIMITS_ROW


def limits_rows(instruments: int) -> int:
    """Return the number of rows of the table for that many instruments."""
    return 1 + instruments + STRATEGIES + SESSIONS_MAX


def permissive(message: Message, **values: int) -> dict[str, int]:
    """Return a row that permits whatever it can, but for ``values``.

    Ticks are a cent, below a dollar 0.0001 dollars. For whoever limits nothing else: benches,
    tests, and a host that has one limit to set.
    """
    found = {field.name: NOTIONAL_LIMIT_MAX if field.size == 8 else UNLIMITED
             for field in message.fields if not field.name.startswith("reserved")}
    found |= {name: value for name, value in _OPEN.items() if name in found}
    return found | values


_OPEN = {"flags": LimitFlag.ENABLED, "permits": sum(OrderPermit), "soft_checks": 0,
         "quantity_min": 0, "lot": 1, "tick": 100, "tick_below_dollar": 1, "band_lower": 0,
         "duplicate_ns": 0, "rate_interval_ns": 1, "message_interval_ns": 1}
