"""Section ``risk`` of the configuration: limits of firm, instruments, strategies and sessions."""

from collections.abc import Mapping
from dataclasses import dataclass

from tickwire.rules import DOLLAR, boolean, dollars, integer, listed
from tickwire.sections import named, section, setting
from tickwire.spec.checks import CHECKS

SHARES = integer(1, (1 << 31) - 1)
ANY_SHARES = integer(0, (1 << 31) - 1)
DAY_SHARES = integer(1, (1 << 61) - 1)
AMOUNT = dollars("0.0001", "100000000000")
PRICE = dollars("0", "199999.9900")
BASIS_POINTS = integer(0, 10_000)
TICKS = integer(0, 1_000_000)
RATE = integer(1, 1_000_000)
BURST = integer(1, 65_535)
COUNT = integer(0, (1 << 31) - 2)
SOFT = listed("names of checks that can be soft, each once",
              *(check.name for check in CHECKS if not check.is_hard))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the risk gate for one instrument."""

    max_quantity: int = setting(1_000, SHARES, "Shares of one order.")
    max_notional: int = setting(100_000 * DOLLAR, AMOUNT, "Value of one order.")
    max_position: int = setting(5_000, SHARES,
                                "Shares long or short, open orders counted at their worst.")
    max_gross_notional: int = setting(1_000_000 * DOLLAR, AMOUNT,
                                      "Value of the position and of all open orders.")
    max_open_orders: int = setting(16, integer(1, 65_535), "Orders open at the venue at once.")
    collar_bps: int = setting(500, BASIS_POINTS,
                              "Distance beyond the opposite best price, basis points; "
                              "0 does not check.")
    collar_ticks: int = setting(0, TICKS,
                                "The same in ticks; the smaller one holds; 0 does not check.")
    rate_per_second: int = setting(100, RATE, "Orders a second, over time.")
    burst: int = setting(20, BURST, "Orders at once, before the rate holds.")
    min_quantity: int = setting(0, ANY_SHARES, "Least shares of one order.")
    lot: int = setting(1, SHARES, "Shares that a quantity must be a multiple of.")
    last_collar_bps: int = setting(0, BASIS_POINTS,
                                   "Distance from the last trade, either way, basis points; "
                                   "0 does not check.")
    last_collar_ticks: int = setting(0, TICKS,
                                     "The same in ticks; the smaller one holds; "
                                     "0 does not check.")
    band_lower: int = setting(0, PRICE, "Least price of any order; 0 does not check.")
    band_upper: int = setting(0, PRICE, "Greatest price of any order; 0 does not check.")
    max_open_notional: int = setting(1_000_000 * DOLLAR, AMOUNT, "Value of all open orders.")
    max_day_quantity: int = setting(10_000_000, DAY_SHARES,
                                    "Shares traded in a day, with all open orders filled.")
    max_day_notional: int = setting(1_000_000_000 * DOLLAR, AMOUNT,
                                    "Value traded in a day, with all open orders filled.")
    duplicate_us: int = setting(0, integer(0, 2_000_000),
                                "Least microseconds between two equal orders; 0 does not check.")
    may_short: bool = setting(True, boolean(), "Shares to sell short were located.")
    may_rest: bool = setting(True, boolean(), "Day orders are permitted.")
    may_be_immediate: bool = setting(True, boolean(),
                                     "Immediate-or-cancel orders are permitted.")
    may_post_only: bool = setting(True, boolean(), "Post-only orders are permitted.")
    may_trade_crossed: bool = setting(True, boolean(),
                                      "Orders are permitted while the market is locked or "
                                      "crossed.")
    may_be_marketable: bool = setting(True, boolean(),
                                      "Day orders are permitted at or beyond the opposite best "
                                      "price.")
    may_trade_any_time: bool = setting(False, boolean(),
                                       "Orders are permitted outside of regular hours.")
    may_match_own: bool = setting(False, boolean(),
                                  "Orders are permitted that could trade against own ones.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmLimits:
    """Limits of the risk gate for all instruments together."""

    max_gross_notional: int = setting(10_000_000 * DOLLAR, AMOUNT,
                                      "Value of all positions and of all open orders.")
    max_open_orders: int = setting(256, integer(1, 65_535), "Orders open at the venue at once.")
    rate_per_second: int = setting(1_000, RATE, "Orders a second, over time.")
    burst: int = setting(100, BURST, "Orders at once, before the rate holds.")
    max_intent_errors: int = setting(0, integer(0, 65_535),
                                     "Damaged intents since arming; one more kills.")
    max_net_notional: int = setting(10_000_000 * DOLLAR, AMOUNT,
                                    "Value of all positions, shorts negative, with all open "
                                    "orders of one side filled.")
    max_credit: int = setting(10_000_000 * DOLLAR, AMOUNT,
                              "Paid less received in a day, with all open buys filled.")
    max_loss: int = setting(1_000_000 * DOLLAR, dollars("0", "100000000000"),
                            "Loss of the day; beyond it orders can only reduce positions.")
    max_open_notional: int = setting(10_000_000 * DOLLAR, AMOUNT, "Value of all open orders.")
    soft: tuple[str, ...] = setting((), SOFT, "Checks that are counted only, and refuse nothing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyLimits:
    """Limits of the risk gate for each strategy."""

    rate_per_second: int = setting(1_000, RATE, "Orders a second, over time.")
    burst: int = setting(100, BURST, "Orders at once, before the rate holds.")
    max_repetitions: int = setting(0, COUNT,
                                   "Orders until a human releases the strategy again; "
                                   "0 does not check.")
    max_age_ms: int = setting(0, integer(0, 3_600_000),
                              "Age of a decision, or of an armed trigger; 0 does not check.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """Limits of the risk gate for each order session."""

    messages_per_second: int = setting(10_000, RATE,
                                       "Orders, replaces and cancels a second, over time.")
    burst: int = setting(1_000, BURST, "The same at once, before the rate holds.")
    free_orders: int = setting(0, COUNT,
                               "Orders of a day that need no trade; 0 does not check.")
    orders_per_trade: int = setting(100, COUNT, "Orders that each execution adds to them.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSettings:
    """Limits of the firm, of every instrument and of those that differ; all are inclusive."""

    firm: FirmLimits = section(FirmLimits)
    default: Limits = section(Limits)
    symbols: Mapping[str, Limits] = named(Limits, base="default")
    strategy: StrategyLimits = section(StrategyLimits)
    session: SessionLimits = section(SessionLimits)

    def __post_init__(self) -> None:
        """Check that something fits between the bounds; each sentence begins with the key."""
        named = {f"risk.symbols.{symbol}": limits for symbol, limits in self.symbols.items()}
        for key, limits in {"risk.default": self.default, **named}.items():
            if limits.band_upper and limits.band_upper < limits.band_lower:
                raise ValueError(f"{key}.band_upper must be 0 or at least band_lower = "
                                 f"{limits.band_lower}, not {limits.band_upper} (1e-4 dollars)")
            if limits.min_quantity > limits.max_quantity:
                raise ValueError(f"{key}.min_quantity must be at most max_quantity = "
                                 f"{limits.max_quantity}, not {limits.min_quantity}")

    def limits(self, symbol: str) -> Limits:
        """Return the limits that hold for ``symbol``."""
        return self.symbols.get(symbol, self.default)
