"""Limits table of the risk gate: one row for the firm, then one for each instrument.

The host writes the rows to a staging area and commits them with a version and the CRC-32C
(RFC 3720) of all rows. The device copies, checks and swaps them between two intents, or refuses
them all and keeps what it has. Every limit is inclusive. A row of zeros permits nothing, and
``UNLIMITED`` in a field of 4 octets permits everything that the field could forbid.
"""

from enum import IntEnum, IntFlag

from .wire import Field, Message

LIMITS_ROW = 128                           # octets of one row
UNLIMITED = 0x7FFF_FFFF                    # greatest value of a limit of 4 octets
NOTIONAL_LIMIT_MAX = (1 << 61) - 1         # greatest value of a limit of 8 octets; order values saturate here
DOLLAR = 10_000                            # below this price the smaller tick holds (Reg NMS 612)
BASIS_POINTS = 10_000                      # basis points of the whole


class LimitFlag(IntFlag):
    """Field ``flags`` of an instrument's row."""

    ENABLED = 1          # orders for the instrument are permitted


class LimitsError(IntEnum):
    """Why a commit was refused."""

    NONE = 0
    VERSION = 1          # not the committed version plus one
    CRC = 2              # the rows do not have the CRC that was given
    VALUE = 3            # a limit is out of its range; or a row is enabled without tick, rate or burst


def _pad(octets: int) -> tuple[Field, ...]:
    assert octets % 8 == 0
    return tuple(Field(f"reserved_{index}", 8, "uint", "Zero.") for index in range(octets // 8))


FIRM_LIMITS = Message("firm_limits", "", "Limits of the firm", "tickwire limits table, row 0", (
    Field("gross_notional_max", 8, "uint",  "Value of all positions at their mark and of all open orders at their limit price, 1e-4 dollars."),
    Field("open_orders_max",    4, "uint",  "Orders open at the venue, all instruments."),
    Field("rate_interval_ns",   4, "uint",  "Token bucket of all new orders and replaces: one token in this time."),
    Field("rate_burst",         4, "uint",  "Token bucket of all new orders and replaces: tokens that it holds."),
    Field("intent_errors_max",  4, "uint",  "Intents with a wrong CRC, epoch or sequence since arming; one more kills."),
    *_pad(104),
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
    Field("reserved",           4, "uint",  "Zero."),
    *_pad(64),
), order="little")
assert INSTRUMENT_LIMITS.size == LIMITS_ROW
