"""Commit of the limits table: copy, check, swap, between two intents.

The staging rows belong to the host and may change at any time: only the copy is checked and used.
"""

import numpy as np

from tickwire.kernels.checksum import crc32c
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64_relaxed, store64
from tickwire.kernels.order_layout import firm_at, limits_at, risk_at
from tickwire.spec.limits import LIMITS_ROW, NOTIONAL_LIMIT_MAX, UNLIMITED, LimitFlag, LimitsError

_ENABLED = LimitFlag.ENABLED.value
_NONE = LimitsError.NONE.value
_VERSION = LimitsError.VERSION.value
_CRC = LimitsError.CRC.value
_VALUE = LimitsError.VALUE.value
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
            and f["rate_interval_ns"] != 0 and f["rate_burst"] != 0)


@kernel(inline=True)
def _row_is_valid(address):
    f = limits_at(address)
    high = (np.int64(f["flags"]) | np.int64(f["quantity_max"])
            | np.int64(f["tick"]) | np.int64(f["tick_below_dollar"])
            | np.int64(f["collar_price"]) | np.int64(f["collar_bps"])
            | np.int64(f["position_long_max"]) | np.int64(f["position_short_max"])
            | np.int64(f["open_orders_max"])
            | np.int64(f["rate_interval_ns"]) | np.int64(f["rate_burst"]))
    if (high > UNLIMITED or not _is_amount(np.int64(f["notional_max"]))
            or not _is_amount(np.int64(f["gross_notional_max"]))):
        return False
    if np.int64(f["flags"]) & _ENABLED == 0:
        return True
    return (f["tick"] != 0 and f["tick_below_dollar"] != 0
            and f["rate_interval_ns"] != 0 and f["rate_burst"] != 0)


@kernel
def commit_limits(risk, version, crc):
    """Put the staging rows in force; returns a LimitsError, 0 when they are.

    ``version`` must be the committed one plus one and ``crc`` that of all rows. A refused commit
    changes nothing that the gate sees.
    """
    r = risk_at(risk)
    if version != r["version"] + 1 or version > _U32:
        return _VERSION
    size = LIMITS_ROW * (1 + r["instruments"])
    bank = r["spare"]
    for offset in range(0, size, 8):
        store64(bank + offset, load64_relaxed(r["staging"] + offset))
    if crc32c(bank, size) != crc:
        return _CRC
    if not _firm_is_valid(bank):
        return _VALUE
    for row in range(1, 1 + r["instruments"]):
        if not _row_is_valid(bank + LIMITS_ROW * row):
            return _VALUE
    r["spare"] = r["limits"]
    r["limits"] = bank
    r["version"] = version
    r["crc"] = crc
    return _NONE
