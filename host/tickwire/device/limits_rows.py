"""Rows of the limits table from the configuration."""

from collections.abc import Mapping

from tickwire.device.limits_table import LimitsTable, fill
from tickwire.risk_settings import (
    FirmLimits,
    Limits,
    RiskSettings,
    SessionLimits,
    StrategyLimits,
)
from tickwire.spec.checks import CheckIndex
from tickwire.spec.limits import NOTIONAL_LIMIT_MAX, UNLIMITED, LimitFlag, OrderPermit

_SECOND = 1_000_000_000
_MILLISECOND = 1_000_000
_MICROSECOND = 1_000
_PERMITS = {"may_short": OrderPermit.SHORT, "may_rest": OrderPermit.DAY,
            "may_be_immediate": OrderPermit.IMMEDIATE, "may_post_only": OrderPermit.POST_ONLY,
            "may_trade_crossed": OrderPermit.CROSSED,
            "may_be_marketable": OrderPermit.MARKETABLE,
            "may_trade_any_time": OrderPermit.ANY_PHASE, "may_match_own": OrderPermit.SELF_MATCH}


def fill_limits(table: LimitsTable, risk: RiskSettings,
                instruments: Mapping[int, tuple[str, int]]) -> None:
    """Give a table the limits of the configuration.

    ``instruments`` maps numbers to symbol and tick size; one that is not there stays disabled.
    """
    fill(table.firm, firm_row(risk.firm))
    fill(table.strategies, strategy_row(risk.strategy))
    fill(table.sessions, session_row(risk.session))
    for instrument, (symbol, tick) in instruments.items():
        fill(table.instruments[instrument:][:1], instrument_row(risk.limits(symbol), tick))


def firm_row(limits: FirmLimits) -> dict[str, int]:
    """Return the fields of the firm's row."""
    return {
        "gross_notional_max": limits.max_gross_notional,
        "open_orders_max": limits.max_open_orders,
        "rate_interval_ns": _interval(limits.rate_per_second), "rate_burst": limits.burst,
        "intent_errors_max": limits.max_intent_errors,
        "soft_checks": sum(1 << CheckIndex[name.upper()] for name in limits.soft),
        "net_notional_max": limits.max_net_notional, "credit_max": limits.max_credit,
        "loss_max": limits.max_loss, "open_notional_max": limits.max_open_notional}


def instrument_row(limits: Limits, tick: int) -> dict[str, int]:
    """Return the fields of an instrument's row."""
    return {
        "flags": LimitFlag.ENABLED, "quantity_max": limits.max_quantity,
        "notional_max": limits.max_notional, "gross_notional_max": limits.max_gross_notional,
        "tick": tick, "tick_below_dollar": min(tick, 1),
        "collar_price": _distance(limits.collar_ticks, tick),
        "collar_bps": limits.collar_bps or UNLIMITED,
        "position_long_max": limits.max_position, "position_short_max": limits.max_position,
        "open_orders_max": limits.max_open_orders,
        "rate_interval_ns": _interval(limits.rate_per_second), "rate_burst": limits.burst,
        "permits": sum(bit for name, bit in _PERMITS.items() if getattr(limits, name)),
        "quantity_min": limits.min_quantity, "lot": limits.lot,
        "last_collar_price": _distance(limits.last_collar_ticks, tick),
        "last_collar_bps": limits.last_collar_bps or UNLIMITED,
        "band_lower": limits.band_lower, "band_upper": limits.band_upper or UNLIMITED,
        "open_notional_max": limits.max_open_notional,
        "day_quantity_max": limits.max_day_quantity,
        "day_notional_max": limits.max_day_notional,
        "duplicate_ns": limits.duplicate_us * _MICROSECOND}


def _distance(ticks: int, tick: int) -> int:
    """Return a collar's distance in 1e-4 dollars; one beyond all prices is none."""
    return min(ticks * tick, UNLIMITED) or UNLIMITED


def strategy_row(limits: StrategyLimits) -> dict[str, int]:
    """Return the fields of a strategy's row."""
    return {
        "flags": LimitFlag.ENABLED, "repetitions_max": limits.max_repetitions or UNLIMITED,
        "rate_interval_ns": _interval(limits.rate_per_second), "rate_burst": limits.burst,
        "age_max_ns": limits.max_age_ms * _MILLISECOND or NOTIONAL_LIMIT_MAX}


def session_row(limits: SessionLimits) -> dict[str, int]:
    """Return the fields of an order session's row."""
    return {
        "message_interval_ns": _interval(limits.messages_per_second),
        "message_burst": limits.burst, "orders_free": limits.free_orders or UNLIMITED,
        "orders_per_trade": limits.orders_per_trade}


def _interval(rate_per_second: int) -> int:
    """Nanoseconds a token of a bucket of ``rate_per_second``."""
    return max(_SECOND // rate_per_second, 1)
