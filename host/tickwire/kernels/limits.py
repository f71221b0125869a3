"""Commit of the limits table: copy, check, work out what orders need of it, swap.

It happens between two intents. The staging rows belong to the host and may change at any time: only
the copy is checked and used.
"""

import numpy as np

from tickwire.kernels.checksum import crc32c
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64_relaxed, multiply, store64, top_bit
from tickwire.kernels.order_layout import (
    DERIVED,
    derived_at,
    divisor_at,
    firm_at,
    limits_at,
    risk_at,
    session_limits_at,
    strategy_limits_at,
)
from tickwire.kernels.risk_rules import LOT
from tickwire.spec.checks import ALWAYS_HARD
from tickwire.spec.limits import (
    LIMITS_ROW,
    NO_ROOM,
    NOTIONAL_LIMIT_MAX,
    STRATEGIES,
    UNLIMITED,
    LimitFlag,
    LimitsError,
    limits_rows,
)

_ENABLED = LimitFlag.ENABLED.value
_NONE = LimitsError.NONE.value
_VERSION = LimitsError.VERSION.value
_CRC = LimitsError.CRC.value
_VALUE = LimitsError.VALUE.value
_OTHER_ROWS = limits_rows(0)                # rows that are no instrument's
_TICK, _BELOW = (DERIVED.fields[name][1] for name in ("tick", "tick_below_dollar"))
_DERIVED_SIZE = DERIVED.itemsize
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def _is_amount(value):
    return 0 <= value <= NOTIONAL_LIMIT_MAX


@kernel(inline=True)
def _firm_is_valid(address):
    f = firm_at(address)
    high = (np.int64(f["open_orders_max"]) | np.int64(f["rate_interval_ns"])
            | np.int64(f["rate_burst"]) | np.int64(f["intent_errors_max"]))
    return (high <= UNLIMITED and _is_amount(np.int64(f["gross_notional_max"]))
            and _is_amount(np.int64(f["net_notional_max"]))
            and _is_amount(np.int64(f["credit_max"])) and _is_amount(np.int64(f["loss_max"]))
            and _is_amount(np.int64(f["open_notional_max"]))
            and np.int64(f["soft_checks"]) & ALWAYS_HARD == 0
            and f["rate_interval_ns"] != 0 and f["rate_burst"] != 0)


@kernel(inline=True)
def _instrument_is_valid(address):
    f = limits_at(address)
    high = (np.int64(f["flags"]) | np.int64(f["quantity_max"])
            | np.int64(f["tick"]) | np.int64(f["tick_below_dollar"])
            | np.int64(f["collar_price"]) | np.int64(f["collar_bps"])
            | np.int64(f["position_long_max"]) | np.int64(f["position_short_max"])
            | np.int64(f["open_orders_max"])
            | np.int64(f["rate_interval_ns"]) | np.int64(f["rate_burst"])
            | np.int64(f["permits"]) | np.int64(f["quantity_min"]) | np.int64(f["lot"])
            | np.int64(f["last_collar_price"]) | np.int64(f["last_collar_bps"])
            | np.int64(f["band_lower"]) | np.int64(f["band_upper"])
            | np.int64(f["duplicate_ns"]))
    if (high > UNLIMITED or not _is_amount(np.int64(f["notional_max"]))
            or not _is_amount(np.int64(f["gross_notional_max"]))
            or not _is_amount(np.int64(f["open_notional_max"]))
            or not _is_amount(np.int64(f["day_quantity_max"]))
            or not _is_amount(np.int64(f["day_notional_max"]))):
        return False
    if np.int64(f["flags"]) & _ENABLED == 0:
        return True
    return (f["tick"] != 0 and f["tick_below_dollar"] != 0 and f["lot"] != 0
            and f["rate_interval_ns"] != 0 and f["rate_burst"] != 0)


@kernel(inline=True)
def _strategy_is_valid(address):
    f = strategy_limits_at(address)
    high = (np.int64(f["flags"]) | np.int64(f["repetitions_max"])
            | np.int64(f["rate_interval_ns"]) | np.int64(f["rate_burst"]))
    if high > UNLIMITED or not _is_amount(np.int64(f["age_max_ns"])):
        return False
    return np.int64(f["flags"]) & _ENABLED == 0 or (
        f["rate_interval_ns"] != 0 and f["rate_burst"] != 0)


@kernel(inline=True)
def _session_is_valid(address):
    f = session_limits_at(address)
    high = (np.int64(f["message_interval_ns"]) | np.int64(f["message_burst"])
            | np.int64(f["orders_free"]) | np.int64(f["orders_per_trade"]))
    return high <= UNLIMITED and (f["message_burst"] == 0 or f["message_interval_ns"] != 0)


@kernel
def _derive_divisor(address, divisor):
    """Write the DIVISOR of a number below 2^31; all zero for 0."""
    d = divisor_at(address)
    d["inverse"] = d["shift"] = d["room"] = 0
    if divisor == 0:
        return
    shift = 0
    while divisor & 1 == 0:
        divisor >>= 1
        shift += 1
    inverse = divisor                       # right in 3 bits; each step doubles them (Newton)
    for _ in range(4):
        inverse = multiply(inverse, 2 - multiply(divisor, inverse)) & _U32
    d["inverse"] = inverse
    d["shift"] = shift
    d["room"] = 31 - top_bit(divisor)


@kernel(inline=True)
def _room(interval, burst):
    return np.int64(interval) * (np.int64(burst) - 1) if burst != 0 else NO_ROOM


@kernel
def _derive(bank, derived, instruments):
    """Work out what orders need of a bank."""
    firm = firm_at(bank)
    derived_at(derived)["rate_room"] = _room(firm["rate_interval_ns"], firm["rate_burst"])
    for row in range(1, instruments + _OTHER_ROWS):
        limits, place = bank + LIMITS_ROW * row, derived + _DERIVED_SIZE * row
        if row <= instruments:
            f = limits_at(limits)
            _derive_divisor(place + _TICK, np.int64(f["tick"]))
            _derive_divisor(place + _BELOW, np.int64(f["tick_below_dollar"]))
            _derive_divisor(place + LOT, np.int64(f["lot"]))
            room = _room(f["rate_interval_ns"], f["rate_burst"])
        elif row <= instruments + STRATEGIES:
            s = strategy_limits_at(limits)
            room = _room(s["rate_interval_ns"], s["rate_burst"])
        else:
            u = session_limits_at(limits)
            room = _room(u["message_interval_ns"], u["message_burst"])
        derived_at(place)["rate_room"] = room


@kernel
def _is_valid(bank, instruments):
    if not _firm_is_valid(bank):
        return False
    for row in range(1, instruments + _OTHER_ROWS):
        limits = bank + LIMITS_ROW * row
        if row <= instruments:
            valid = _instrument_is_valid(limits)
        elif row <= instruments + STRATEGIES:
            valid = _strategy_is_valid(limits)
        else:
            valid = _session_is_valid(limits)
        if not valid:
            return False
    return True


@kernel
def commit_limits(risk, version, crc):
    """Put the staging rows in force; returns a LimitsError, 0 when they are.

    ``version`` must be the committed one plus one and ``crc`` that of all rows. A refused commit
    changes nothing that the gate sees.
    """
    r = risk_at(risk)
    if version != r["version"] + 1 or version > _U32:
        return _VERSION
    instruments = r["instruments"]
    size = LIMITS_ROW * (instruments + _OTHER_ROWS)
    bank, derived = r["spare"], r["spare_derived"]
    for offset in range(0, size, 8):
        store64(bank + offset, load64_relaxed(r["staging"] + offset))
    if crc32c(bank, size) != crc:
        return _CRC
    if not _is_valid(bank, instruments):
        return _VALUE
    _derive(bank, derived, instruments)
    r["spare"] = r["limits"]
    r["limits"] = bank
    r["spare_derived"] = r["derived"]
    r["derived"] = derived
    r["version"] = version
    r["crc"] = crc
    return _NONE
