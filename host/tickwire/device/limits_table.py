"""Rows of a limits table as the host stages them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tickwire.kernels import order_layout
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    LIMITS_ROW,
    SESSION_LIMITS,
    STRATEGIES,
    STRATEGY_LIMITS,
    LimitsError,
    limits_rows,
    permissive,
)

REFUSALS = {
    LimitsError.VERSION: "the version is not the committed one plus one",
    LimitsError.CRC: "the rows do not have the CRC that was given",
    LimitsError.VALUE: "a limit is out of its range, or an enabled row lacks a tick size, a lot or "
                       "a rate, or a check is soft that can not be",
}
"""What a LimitsError says to an operator."""


class LimitsTable(NamedTuple):
    """Rows of a table, in place."""

    firm: np.void
    instruments: np.ndarray
    strategies: np.ndarray
    sessions: np.ndarray

    def permit(self, firm: Mapping[str, int] | None = None, **instrument: int) -> None:
        """Permit whatever the rows can, but for values of the firm and of every instrument."""
        fill(self.firm, permissive(FIRM_LIMITS, **(firm or {})))
        fill(self.instruments, permissive(INSTRUMENT_LIMITS, **instrument))
        fill(self.strategies, permissive(STRATEGY_LIMITS))
        fill(self.sessions, permissive(SESSION_LIMITS))


def limits_table(octets: np.ndarray, instruments: int) -> LimitsTable:
    """Return the rows of ``octets`` (uint8), ``limits_rows(instruments)`` of them, in place."""
    table = octets.reshape(limits_rows(instruments), LIMITS_ROW)
    firm, rows, strategies, sessions = np.split(table, np.cumsum((1, instruments, STRATEGIES)))
    return LimitsTable(firm.view(order_layout.FIRM)[0, 0], rows.view(order_layout.LIMITS)[:, 0],
                       strategies.view(order_layout.STRATEGY_ROW)[:, 0],
                       sessions.view(order_layout.SESSION_ROW)[:, 0])


def fill(rows: np.void | np.ndarray, values: Mapping[str, int]) -> None:
    """Give one row, or each of several, the values of its fields."""
    for name, value in values.items():
        rows[name] = value
