"""Rows of the limits table say what the configuration says, and the device takes its defaults."""


import numpy as np
import pytest

from tests.order_rig import Rig
from tickwire.device.limits_rows import firm_row, instrument_row, session_row, strategy_row
from tickwire.device.limits_table import fill
from tickwire.errors import TickwireError
from tickwire.risk_settings import (
    FirmLimits,
    Limits,
    RiskSettings,
    SessionLimits,
    StrategyLimits,
)
from tickwire.spec import limits
from tickwire.spec.checks import CheckIndex
from tickwire.spec.limits import NOTIONAL_LIMIT_MAX, UNLIMITED, OrderPermit


@pytest.mark.parametrize("row, message", [
    (firm_row(FirmLimits()), limits.FIRM_LIMITS),
    (instrument_row(Limits(), 100), limits.INSTRUMENT_LIMITS),
    (strategy_row(StrategyLimits()), limits.STRATEGY_LIMITS),
    (session_row(SessionLimits()), limits.SESSION_LIMITS)])
def test_every_field_of_a_row_has_a_key(row, message):
    assert set(row) == {field.name for field in message.fields
                        if not field.name.startswith("reserved")}


def test_the_defaults_are_a_valid_table_and_let_an_order_pass():
    rig = Rig()
    table = rig.path.table
    for rows, values in zip(table, (firm_row(FirmLimits()), instrument_row(Limits(), 100),
                                    strategy_row(StrategyLimits()),
                                    session_row(SessionLimits())), strict=True):
        fill(rows, values)
    rig.path.commit(0)
    rig.records()
    assert rig.send()


@pytest.mark.parametrize("name, field", [("collar_ticks", "collar_price"),
                                         ("last_collar_ticks", "last_collar_price")])
def test_a_collar_beyond_every_price_is_none(name, field):
    for ticks, tick, wanted in ((1_000_000, 10_000, UNLIMITED), (300_000, 10_000, UNLIMITED),
                                (10, 10_000, 100_000), (0, 10_000, UNLIMITED)):
        assert instrument_row(Limits(**{name: ticks}), tick)[field] == wanted


def test_zero_turns_off_what_says_so():
    row = instrument_row(Limits(collar_bps=0), 100)
    assert {row[name] for name in ("collar_bps", "collar_price", "last_collar_bps",
                                   "last_collar_price", "band_upper")} == {UNLIMITED}
    assert strategy_row(StrategyLimits())["repetitions_max"] == UNLIMITED
    assert strategy_row(StrategyLimits())["age_max_ns"] == NOTIONAL_LIMIT_MAX
    assert session_row(SessionLimits())["orders_free"] == UNLIMITED


def test_units_of_the_table_are_ticks_nanoseconds_and_masks():
    row = instrument_row(Limits(last_collar_ticks=7, duplicate_us=3, may_short=False), 50)
    assert (row["last_collar_price"], row["duplicate_ns"]) == (350, 3_000)
    assert row["permits"] == sum(OrderPermit) - (
        OrderPermit.SHORT | OrderPermit.ANY_PHASE | OrderPermit.SELF_MATCH)
    assert strategy_row(StrategyLimits(max_age_ms=2))["age_max_ns"] == 2_000_000
    assert firm_row(FirmLimits(soft=("collar", "age")))["soft_checks"] == (
        1 << CheckIndex.COLLAR | 1 << CheckIndex.AGE)


@pytest.mark.parametrize("values, sentence", [
    ({"band_lower": 5, "band_upper": 4}, "band_upper must be 0 or at least band_lower = 5"),
    ({"min_quantity": 8, "max_quantity": 7}, "min_quantity must be at most max_quantity = 7")])
def test_bounds_that_leave_nothing_are_refused(values, sentence):
    with pytest.raises(ValueError, match=f"risk.default.{sentence}"):
        RiskSettings(default=Limits(**values))
    with pytest.raises(ValueError, match=f"risk.symbols.SPY.{sentence}"):
        RiskSettings(symbols={"SPY": Limits(**values)})


@pytest.mark.parametrize("written, place", [
    ('soft = ["global_kill"]', "risk.firm.soft must be an array of"),
    ('soft = ["collar", "collar"]', "risk.firm.soft must be an array of"),
    ('soft = "collar"', "risk.firm.soft must be an array of")])
def test_only_checks_that_can_be_soft_are_taken_from_a_file(written, place, tmp_path):
    from tickwire.config import load
    path = tmp_path / "wrong.toml"
    path.write_text(f"[risk.firm]\n{written}\n")
    with pytest.raises(TickwireError, match=place):
        load(path)


def test_a_table_is_rows_in_place():
    octets = np.zeros(limits.limits_rows(2) * limits.LIMITS_ROW, np.uint8)
    from tickwire.device.limits_table import limits_table
    table = limits_table(octets, 2)
    assert (len(table.instruments), len(table.strategies), len(table.sessions)) == (2, 16, 8)
    table.sessions[7]["orders_per_trade"] = 0x01020304
    assert octets[-128 + 12:-128 + 16].tobytes() == bytes((4, 3, 2, 1))
