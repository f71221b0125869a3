"""Every check of the risk gate just inside and just outside its limit, alone.

The rig permits everything; each test moves one limit or one reading to the boundary and looks at
the mask, the limit and the value of the RISK_REJECT record, worked out by hand. Refusals must
leave every octet of the gate as it was (``Rig.rejected`` looks).
"""

import pytest

from tests.order_rig import BUY, DOLLAR, LOCATES, SELL, SHORT, Rig, fails, passes
from tickwire.kernels import order_path
from tickwire.spec.checks import CHECKS, CheckIndex, failing
from tickwire.spec.intents import Operation
from tickwire.spec.records import BookFlag, FeedState
from tickwire.spec.registers import KillCause

BID, ASK = 100 * DOLLAR, 100 * DOLLAR + 100
HUGE = 0xFFFF_FFFF


@pytest.fixture
def rig():
    return Rig()


def limit(rig, **values):
    rig.set_limits(0, **values)
    rig.path.commit(0)
    assert rig.last()[1]["ok"] == 1


def firm(rig, **values):
    rig.set_firm(**values)
    rig.path.commit(0)
    assert rig.last()[1]["ok"] == 1


def fill(rig, quantity, price=BID, **fields):
    """Buy or sell ``quantity`` at once; return the token."""
    token = passes(rig, price=price, quantity=quantity, **fields)["token"]
    rig.settle(operation=Operation.SETTLE_FILLED, token=token, price=price, quantity=quantity)
    rig.records()
    return token


def test_an_order_within_all_limits_passes(rig):
    record = passes(rig, price=BID, quantity=100)
    assert record["open_notional"] == 100 * BID and record["open_quantity"] == 100


def test_a_killed_device_refuses_every_order(rig):
    order_path.kill(rig.address, KillCause.EXTERNAL, 5)
    rig.records()
    fails(rig, "global_kill", 0, KillCause.EXTERNAL)
    rig.path.arm(6)
    passes(rig)


def test_a_killed_instrument_refuses_orders_and_others_go_on(rig):
    order_path.kill_instrument(rig.address, 0, True)
    fails(rig, "instrument_kill", 0, 1)
    passes(rig, locate=LOCATES[1])
    order_path.kill_instrument(rig.address, 0, False)
    passes(rig)


def test_an_instrument_that_is_not_enabled_refuses_orders(rig):
    limit(rig, flags=0)
    fails(rig, "instrument_disabled", 1, 0)
    limit(rig, flags=2)
    fails(rig, "instrument_disabled", 1, 2)
    limit(rig, flags=3)
    passes(rig)


@pytest.mark.parametrize("state", [state for state in FeedState if state != FeedState.LIVE])
def test_a_feed_that_is_not_live_refuses_orders(rig, state):
    rig.feed_word[0] = state
    fails(rig, "feed_unhealthy", FeedState.LIVE, state)


@pytest.mark.parametrize("flag", [BookFlag.RECOVERING, BookFlag.STALE, BookFlag.DESYNCED])
def test_a_doubtful_book_refuses_orders(rig, flag):
    rig.book(flags=flag | BookFlag.CROSSED)
    fails(rig, "feed_unhealthy", 0, flag)
    fails(rig, "feed_unhealthy", 0, flag, flags=SELL)


@pytest.mark.parametrize("flag", [BookFlag.CROSSED, BookFlag.SATURATED])
def test_a_crossed_or_saturated_book_is_no_reason_to_refuse(rig, flag):
    rig.book(flags=flag)
    passes(rig)


def test_a_hidden_side_refuses_only_orders_whose_collar_needs_it(rig):
    rig.book(flags=BookFlag.ASK_HIDDEN)
    fails(rig, "feed_unhealthy", 0, BookFlag.ASK_HIDDEN)
    passes(rig, flags=SELL)
    rig.book(flags=BookFlag.BID_HIDDEN)
    fails(rig, "feed_unhealthy", 0, BookFlag.BID_HIDDEN, flags=SHORT)
    passes(rig, flags=BUY)


@pytest.mark.parametrize("state", "HPQ\0t")
def test_only_trading_state_t_lets_orders_pass(rig, state):
    rig.book(trading_state=state.encode())
    fails(rig, "trading_state", ord("T"), ord(state))


def test_quantity_is_one_up_to_its_limit(rig):
    limit(rig, quantity_max=250)
    fails(rig, "quantity", 250, 0, quantity=0)
    passes(rig, quantity=1)
    passes(rig, quantity=250)
    fails(rig, "quantity", 250, 251, quantity=251)


def test_huge_quantities_fail_every_check_of_size(rig):
    record = rig.rejected(quantity=HUGE)
    assert {row.name for row in failing(record["checks"])} == {
        "quantity", "notional", "position", "gross_notional"}
    assert record["value"] == HUGE


def test_notional_is_inclusive(rig):
    limit(rig, notional_max=100 * BID)
    passes(rig, price=BID, quantity=100)
    fails(rig, "notional", 100 * BID, 101 * BID, price=BID, quantity=101)
    fails(rig, "notional", 100 * BID, 100 * ASK, price=ASK, quantity=100)


def test_limit_and_value_saturate_at_32_bits(rig):
    limit(rig, notional_max=1 << 33)
    fails(rig, "notional", HUGE, HUGE, price=BID, quantity=10_000)


@pytest.mark.parametrize("price", [BID + 1, BID + 50, BID + 99, 10_001, 10_099])
def test_a_price_off_the_tick_grid_is_refused(rig, price):
    fails(rig, "tick_size", 100, price, price=price, quantity=1)


def test_below_a_dollar_another_tick_holds(rig):
    limit(rig, tick=100, tick_below_dollar=50)
    passes(rig, price=9_950, quantity=1)
    fails(rig, "tick_size", 50, 9_999, price=9_999, quantity=1)
    passes(rig, price=10_000, quantity=1)
    fails(rig, "tick_size", 100, 10_050, price=10_050, quantity=1)


def test_price_is_one_tick_up_to_the_venues_greatest(rig):
    fails(rig, "tick_size", 1, 0, price=0)
    passes(rig, price=1, quantity=1)
    rig.book(ask=1_999_999_900)
    passes(rig, price=1_999_999_900, quantity=1)
    fails(rig, "tick_size", 1_999_999_900, 2_000_000_000, price=2_000_000_000, quantity=1)


def test_a_price_beyond_31_bits_fails_size_and_price(rig):
    record = rig.rejected(price=0x8000_0000, quantity=1)
    assert {row.name for row in failing(record["checks"])} == {
        "notional", "tick_size", "gross_notional", "price_band"}
    assert (record["limit"], record["value"]) == (HUGE, HUGE)


def test_collar_in_price_is_measured_from_the_opposite_best(rig):
    limit(rig, collar_price=500)
    passes(rig, price=ASK + 500)
    fails(rig, "collar", ASK + 500, ASK + 600, price=ASK + 600)
    passes(rig, price=BID - 500, flags=SELL)
    fails(rig, "collar", BID - 500, BID - 600, price=BID - 600, flags=SELL)
    passes(rig, price=100)                      # far from the market on the passive side
    passes(rig, price=900 * DOLLAR, flags=SELL)


def test_collar_in_basis_points_rounds_down(rig):
    rig.book(bid=1_234_500, ask=1_234_600)
    limit(rig, collar_bps=10, tick=1)           # 1,234.6 and 1,234.5
    passes(rig, price=1_234_600 + 1_234)
    fails(rig, "collar", 1_235_834, 1_235_835, price=1_235_835)
    passes(rig, price=1_234_500 - 1_234, flags=SELL)
    fails(rig, "collar", 1_233_266, 1_233_265, price=1_233_265, flags=SELL)


def test_the_smaller_collar_holds(rig):
    limit(rig, collar_price=100, collar_bps=100)
    fails(rig, "collar", ASK + 100, ASK + 200, price=ASK + 200)
    limit(rig, collar_price=DOLLAR * 2, collar_bps=100)
    passes(rig, price=101 * DOLLAR + 100)       # 1 % of 100.01 is 1.0001
    fails(rig, "collar", 101 * DOLLAR + 101, 101 * DOLLAR + 200, price=101 * DOLLAR + 200)


def test_a_collar_of_zero_lets_marketable_orders_pass_up_to_the_opposite_best(rig):
    limit(rig, collar_price=0)
    passes(rig, price=ASK)
    fails(rig, "collar", ASK, ASK + 100, price=ASK + 100)


def test_an_empty_reference_side_refuses_whatever_the_collar(rig):
    rig.book(ask=0)
    fails(rig, "collar", 0, BID, price=BID)
    passes(rig, price=BID, flags=SELL)
    rig.book(bid=0)
    fails(rig, "collar", 0, ASK, price=ASK, flags=SELL)
    passes(rig, price=BID)


def test_a_collar_wider_than_the_price_reports_zero(rig):
    limit(rig, collar_bps=20_000)
    passes(rig, price=100, flags=SELL)


def test_long_position_counts_open_buys_at_their_worst(rig):
    limit(rig, position_long_max=300)
    fill(rig, 100)
    passes(rig, quantity=150)
    passes(rig, quantity=50)
    fails(rig, "position", 300, 301, quantity=1)
    passes(rig, quantity=100, flags=SELL)       # an open sell frees nothing
    fails(rig, "position", 300, 301, quantity=1)


def test_short_position_counts_open_sells_at_their_worst(rig):
    limit(rig, position_short_max=200)
    fill(rig, 100, flags=SHORT)
    passes(rig, quantity=100, flags=SELL)
    fails(rig, "position", 200, 201, quantity=1, flags=SHORT)
    passes(rig, quantity=100)
    fails(rig, "position", 200, 201, quantity=1, flags=SELL)


def test_a_long_position_widens_what_may_be_sold(rig):
    limit(rig, position_short_max=0)
    fails(rig, "position", 0, 1, quantity=1, flags=SELL)
    fill(rig, 100)
    passes(rig, quantity=100, flags=SELL)
    fails(rig, "position", 0, 1, quantity=1, flags=SELL)


def test_a_lowered_limit_holds_for_the_next_order_but_lets_exposure_shrink(rig):
    fill(rig, 200)
    limit(rig, position_long_max=100)
    fails(rig, "position", 100, 201, quantity=1)
    passes(rig, quantity=200, flags=SELL)


@pytest.mark.parametrize("scope", ["instrument", "firm"])
def test_gross_notional_is_position_at_the_mark_plus_open_orders(rig, scope):
    fill(rig, 100, price=BID)                   # 100 shares at their mark
    passes(rig, quantity=50, price=BID - 100, flags=SELL)
    total = 100 * BID + 50 * (BID - 100) + 10 * ASK
    (limit if scope == "instrument" else firm)(rig, gross_notional_max=total)
    passes(rig, quantity=10, price=ASK)
    (limit if scope == "instrument" else firm)(rig, gross_notional_max=total + ASK - 1)
    fails(rig, "gross_notional", total + ASK - 1, total + ASK, quantity=1, price=ASK)


def test_gross_notional_of_the_firm_spans_instruments(rig):
    passes(rig, quantity=1, price=ASK, locate=LOCATES[1])
    firm(rig, gross_notional_max=2 * ASK)
    passes(rig, quantity=1, price=ASK)
    fails(rig, "gross_notional", 2 * ASK, 2 * ASK + 100, quantity=1, price=100)


def test_the_mark_is_the_last_trade_once_there_was_one(rig):
    fill(rig, 100, price=BID)
    limit(rig, gross_notional_max=300 * BID)
    rig.book(last=2 * BID)
    passes(rig, quantity=100, price=BID)
    fails(rig, "gross_notional", 300 * BID, 301 * BID, quantity=1, price=BID)
    rig.book(last=BID)
    passes(rig, quantity=100, price=BID)


def test_a_short_position_is_worth_as_much_as_a_long_one(rig):
    fill(rig, 10, price=BID, flags=SHORT)
    limit(rig, gross_notional_max=11 * BID)
    passes(rig, quantity=1, price=BID)
    fails(rig, "gross_notional", 11 * BID, 11 * BID + 100, quantity=1, price=100)


@pytest.mark.parametrize("scope", ["instrument", "firm"])
def test_open_orders_are_counted_until_the_venue_says_that_they_are_gone(rig, scope):
    (limit if scope == "instrument" else firm)(rig, open_orders_max=2)
    first = passes(rig)["token"]
    passes(rig)
    fails(rig, "open_orders", 2, 3)
    rig.settle(operation=Operation.SETTLE_CANCELED, token=first, quantity=99)
    rig.records()
    fails(rig, "open_orders", 2, 3)
    rig.settle(operation=Operation.SETTLE_CANCELED, token=first, quantity=1)
    rig.records()
    passes(rig)


def test_open_orders_of_an_instrument_do_not_bind_another(rig):
    limit(rig, open_orders_max=1)
    passes(rig)
    fails(rig, "open_orders", 1, 2)
    passes(rig, locate=LOCATES[1])


def test_a_full_order_table_refuses_and_skips_rows_that_are_taken():
    rig = Rig(orders_log2=4)
    tokens = [passes(rig)["token"] for _ in range(16)]
    assert tokens == list(range(1, 17))
    fails(rig, "open_orders", 16, 17)
    rig.settle(operation=Operation.SETTLE_REJECTED, token=3)
    rig.records()
    assert passes(rig)["token"] == 19           # 17 and 18 would share the rows of 1 and 2
    fails(rig, "open_orders", 16, 17)


@pytest.mark.parametrize("scope", ["instrument", "firm"])
def test_rate_is_a_token_bucket_exact_to_the_nanosecond(rig, scope):
    (limit if scope == "instrument" else firm)(rig, rate_interval_ns=1_000, rate_burst=3)
    rig.path.exposures["rate_time"] = rig.path.gate["rate_time"] = 0
    start = 1_000_000
    for _ in range(3):
        passes(rig, start)
    fails(rig, "rate", 3, 4, start)
    fails(rig, "rate", 3, 4, start + 999)
    passes(rig, start + 1_000)
    fails(rig, "rate", 3, 4, start + 1_999)
    passes(rig, start + 2_000)
    for _ in range(3):                          # full again, and never fuller than full
        passes(rig, start + 1_000_000)
    fails(rig, "rate", 3, 4, start + 1_000_000)


def test_a_clock_that_steps_back_does_not_fill_the_bucket(rig):
    limit(rig, rate_interval_ns=1_000, rate_burst=1)
    rig.path.exposures["rate_time"] = 0
    passes(rig, 1_000_000)
    fails(rig, "rate", 1, 2 + 1_000, 0)
    passes(rig, 1_001_000)


def test_cancels_take_no_token_of_the_rate(rig):
    limit(rig, rate_interval_ns=1_000, rate_burst=1)
    rig.path.exposures["rate_time"] = 0
    token = passes(rig, 0)["token"]
    for _ in range(5):
        assert rig.new(0, operation=Operation.CANCEL, token=token, quantity=0)
    rig.records()
    passes(rig, 1_000)


def test_a_session_that_is_down_refuses_its_orders_only(rig):
    rig.up[0] = 0
    fails(rig, "session_down", 1, 0)
    passes(rig, session=1)


def test_without_limits_nothing_passes():
    rig = Rig(is_ready=False)
    rig.path.arm(0)
    rig.feed_word[0] = FeedState.LIVE
    rig.up[:] = 1
    rig.book()
    record = rig.rejected()
    assert {row.name for row in failing(record["checks"])} == {
        "instrument_disabled", "quantity", "notional", "tick_size", "position",
        "gross_notional", "open_orders", "rate", "configuration", "strategy_disabled",
        "market_phase", "order_type", "price_band", "net_notional", "credit", "open_notional",
        "message_rate", "order_to_trade", "repetition", "accumulated"}
    assert record["config_version"] == 0


def test_every_failing_check_is_in_the_mask():
    rig = Rig(is_ready=False)
    order_path.kill_instrument(rig.address, 0, True)
    order_path.kill_strategy(rig.address, 0, True)
    # Two checks need a past that limits of zero do not permit, and one a loss.
    never = {"duplicate", "self_match", "loss", "locked_market"}
    adding = {"notional", "position", "gross_notional", "net_notional", "credit", "open_notional",
              "accumulated"}
    rig.book(bid=0, ask=0, trading_state=b"H")
    record = rig.rejected(1, quantity=0, flags=SHORT)
    assert {check.name for check in CHECKS} - {check.name for check in failing(
        record["checks"])} == never | adding
    record = rig.rejected(1, flags=SHORT)
    assert {check.name for check in CHECKS} - {check.name for check in failing(
        record["checks"])} == never | {"credit"}
    rig.book(bid=0, ask=1, trading_state=b"H")
    record = rig.rejected(1)
    assert {check.name for check in CHECKS} - {check.name for check in failing(
        record["checks"])} == never - {"locked_market"} | {"short_sale"}


def test_a_reject_says_what_was_asked(rig):
    rig.up[1] = 0
    record = rig.rejected(9, timestamp=4, intent_id=77, price=BID, quantity=5, flags=SHORT,
                          strategy=3, session=1, locate=LOCATES[2])
    assert record["timestamp"] == 9
    assert (record["intent_timestamp"], record["intent_id"], record["price"],
            record["quantity"], record["locate"], record["strategy"], record["side"],
            record["operation"], record["config_version"]) == (
        4, 77, BID, 5, LOCATES[2], 3, "T", Operation.NEW, 1)


# --- replace: the delta ------------------------------------------------------------------------


def replace(rig, token, **fields):
    return rig.new(operation=Operation.REPLACE, token=token, **fields)


def test_a_replace_adds_only_what_it_adds(rig):
    limit(rig, position_long_max=150, open_orders_max=1, gross_notional_max=150 * BID)
    token = passes(rig, quantity=100, price=BID)["token"]
    assert replace(rig, token, quantity=150, price=BID)
    record = rig.last()[1]
    assert record["open_quantity"] == 150 and record["open_notional"] == 150 * BID
    rig.settle(operation=Operation.SETTLE_REJECTED, token=record["token"])
    rig.records()
    before = rig.snapshot()
    assert replace(rig, token, quantity=151, price=BID) == b""
    record = rig.last()[1]
    assert {row.name for row in failing(record["checks"])} == {"position", "gross_notional"}
    assert (record["limit"], record["value"]) == (150, 151)
    assert rig.snapshot() == before


def test_a_replace_that_shrinks_passes_above_a_lowered_limit(rig):
    token = passes(rig, quantity=100)["token"]
    limit(rig, position_long_max=10, gross_notional_max=BID)
    assert replace(rig, token, quantity=90)
    record = rig.last()[1]
    assert record["open_quantity"] == 100, "the old order may still execute"


def test_a_replace_may_not_pass_when_killed(rig):
    token = passes(rig, quantity=100)["token"]
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    rig.records()
    assert replace(rig, token, quantity=1) == b""
    assert failing(rig.last()[1]["checks"])[0].name == "global_kill"


def test_a_replace_counts_shares_executed_in_its_chain(rig):
    limit(rig, position_long_max=100)
    token = passes(rig, quantity=100)["token"]
    rig.settle(operation=Operation.SETTLE_FILLED, token=token, price=BID, quantity=60)
    rig.records()
    assert replace(rig, token, quantity=100)    # 40 more, as before
    assert rig.last()[1]["open_quantity"] == 40


def test_names_of_checks_are_those_of_a_mask():
    assert failing(0) == ()
    assert [check.name for check in failing(1 << CheckIndex.COLLAR | 1)] == [
        "global_kill", "collar"]
    with pytest.raises(ValueError, match="low 32 bits set, not 0x100000000"):
        failing(1 << 32)
