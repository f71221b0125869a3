"""The limits table: committed whole with version and CRC, or not at all."""

import pytest

from tests.order_rig import Rig
from tickwire.errors import TickwireError
from tickwire.kernels import order_path
from tickwire.spec.checks import failing
from tickwire.spec.limits import LimitsError
from tickwire.spec.records import RecordType


@pytest.fixture
def rig():
    return Rig()


def stage(rig, row, **values):
    """Stage limits of instrument ``row``, or of the firm when that is none."""
    if row is None:
        rig.set_firm(**values)
    else:
        rig.set_limits(row, **values)


def commit(rig, row=0, **values):
    stage(rig, row, **values)
    rig.path.commit(0)
    assert rig.last()[1]["ok"] == 1


@pytest.mark.parametrize("version, crc, error", [
    (1, 0, LimitsError.VERSION), (3, 0, LimitsError.VERSION), (0, 0, LimitsError.VERSION),
    (2, 1, LimitsError.CRC)])
def test_a_commit_with_a_wrong_version_or_crc_changes_nothing(rig, version, crc, error):
    rig.set_limits(0, quantity_max=1)
    before = rig.snapshot()
    right = rig.path.limits_crc()
    assert order_path.commit(rig.address, version, right ^ crc, 4) == error
    kind, record = rig.last()
    assert kind == RecordType.CONFIG_ACKNOWLEDGED
    assert (record["timestamp"], record["version"], record["crc"], record["ok"],
            record["reason"]) == (4, version, right ^ crc, 0, error)
    assert rig.snapshot() == before
    assert rig.send(quantity=100)


@pytest.mark.parametrize("row, name, value", [
    (None, "rate_interval_ns", 0), (None, "rate_burst", 0), (None, "open_orders_max", 1 << 31),
    (None, "gross_notional_max", 1 << 61), (None, "gross_notional_max", 1 << 63),
    (0, "tick", 0), (0, "tick_below_dollar", 0), (0, "rate_interval_ns", 0),
    (0, "rate_burst", 0), (0, "quantity_max", 1 << 31), (0, "collar_bps", 0xFFFF_FFFF),
    (0, "notional_max", 1 << 61), (3, "position_long_max", 1 << 31),
    (3, "gross_notional_max", (1 << 64) - 1)])
def test_a_commit_with_a_value_out_of_range_changes_nothing(rig, row, name, value):
    stage(rig, row, **{name: value})
    with pytest.raises(TickwireError, match="version 2 were refused: a limit is out of its range"):
        rig.path.commit(0)
    assert rig.last()[1]["reason"] == LimitsError.VALUE
    assert int(rig.path.gate["version"]) == 1
    assert rig.send()


def test_limits_of_zero_and_of_the_greatest_value_are_valid(rig):
    commit(rig, 0, quantity_max=0, notional_max=0, gross_notional_max=0, collar_price=0,
           collar_bps=0, position_long_max=0, position_short_max=0, open_orders_max=0)
    commit(rig, None, gross_notional_max=0, open_orders_max=0, intent_errors_max=0)
    most, amount = (1 << 31) - 1, (1 << 61) - 1
    commit(rig, 0, flags=most, quantity_max=most, notional_max=amount, gross_notional_max=amount,
           tick=most, tick_below_dollar=most, collar_price=most, collar_bps=most,
           position_long_max=most, position_short_max=most, open_orders_max=most,
           rate_interval_ns=most, rate_burst=most)
    commit(rig, None, gross_notional_max=amount, open_orders_max=most, rate_interval_ns=most,
           rate_burst=most, intent_errors_max=most)


def test_a_row_that_is_not_enabled_needs_no_tick_or_rate(rig):
    commit(rig, 0, flags=0, tick=0, tick_below_dollar=0, rate_interval_ns=0, rate_burst=0)


def test_staged_limits_hold_from_the_commit_on(rig):
    rig.set_limits(0, quantity_max=10)
    assert rig.send(quantity=100)
    rig.path.commit(0)
    rig.records()
    record = rig.rejected(quantity=100)
    assert failing(record["checks"])[0].name == "quantity" and record["limit"] == 10
    rig.set_limits(0, quantity_max=1_000)
    record = rig.rejected(quantity=100)
    assert failing(record["checks"])[0].name == "quantity" and record["limit"] == 10
