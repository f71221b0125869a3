"""The checks beyond the first fifteen, each just inside and just outside its limit, alone.

As in ``test_risk.py``: the rig permits everything, one limit or reading is moved to the boundary,
and mask, limit and value of the RISK_REJECT record were worked out by hand.
"""

import pytest

from tests.order_rig import (
    DOLLAR,
    LOCATES,
    SELL,
    SHORT,
    Rig,
    fails,
    pack_intent,
    passes,
    sealed,
)
from tickwire.errors import TickwireError
from tickwire.kernels import order_path
from tickwire.spec.checks import ALWAYS_HARD, CHECKS, CheckIndex, failing
from tickwire.spec.intents import IntentError, IntentFlag, Operation
from tickwire.spec.limits import NOTIONAL_LIMIT_MAX, UNLIMITED, LimitsError, OrderPermit
from tickwire.spec.records import BookFlag, RecordType
from tickwire.spec.registers import KillCause

BID, ASK = 100 * DOLLAR, 100 * DOLLAR + 100
EVERY = sum(OrderPermit)
HUGE = 0xFFFF_FFFF


@pytest.fixture
def rig():
    return Rig()


def commit(rig):
    rig.path.commit(0)
    assert rig.last()[1]["ok"] == 1


def limit(rig, **values):
    rig.set_limits(0, **values)
    commit(rig)


def firm(rig, **values):
    rig.set_firm(**values)
    commit(rig)


def strategy(rig, number=0, **values):
    rig.set_strategy(number, **values)
    commit(rig)


def session(rig, number=0, **values):
    rig.set_session(number, **values)
    commit(rig)


def fill(rig, quantity, price=BID, **fields):
    token = passes(rig, price=price, quantity=quantity, **fields)["token"]
    rig.settle(operation=Operation.SETTLE_FILLED, token=token, price=price, quantity=quantity)
    rig.records()
    return token


def cancelled(rig, token, quantity=100):
    rig.settle(operation=Operation.SETTLE_CANCELED, token=token, quantity=quantity)
    rig.records()


# --- who may trade, and when --------------------------------------------------------------------


def test_a_strategy_that_is_not_enabled_or_was_killed_refuses_its_orders_only(rig):
    strategy(rig, 3, flags=0)
    fails(rig, "strategy_disabled", 1, 0, strategy=3)
    strategy(rig, 3, flags=1)
    passes(rig, strategy=3)
    order_path.kill_strategy(rig.address, 3, True)
    fails(rig, "strategy_disabled", 1, 2, strategy=3)
    passes(rig, strategy=15)
    order_path.kill_strategy(rig.address, 3, False)
    passes(rig, strategy=3)


@pytest.mark.parametrize("number", [16, 0xFFFF])
def test_a_strategy_without_a_row_is_an_error_before_the_gate(rig, number):
    rig.refused(IntentError.UNKNOWN_STRATEGY, 16, number, strategy=number)
    token = passes(rig)["token"]
    rig.refused(IntentError.UNKNOWN_STRATEGY, 16, number, strategy=number,
                operation=Operation.REPLACE, token=token)


def test_a_killed_session_refuses_orders_but_not_cancels(rig):
    token = passes(rig)["token"]
    order_path.kill_session(rig.address, 0, True)
    fails(rig, "session_down", 1, 2)
    passes(rig, session=1)
    assert rig.new(operation=Operation.CANCEL, token=token, quantity=0)
    rig.records()
    rig.up[0] = 0
    fails(rig, "session_down", 1, 0)
    rig.up[0] = 1
    order_path.kill_session(rig.address, 0, False)
    passes(rig)


@pytest.mark.parametrize("phase", "OSMEC\0")
def test_orders_go_in_regular_hours_only_unless_permitted(rig, phase):
    limit(rig, permits=EVERY ^ OrderPermit.ANY_PHASE)
    passes(rig)
    rig.status[-1]["market_phase"] = ord(phase)
    fails(rig, "market_phase", ord("Q"), ord(phase))
    limit(rig, permits=EVERY)
    passes(rig)


def test_an_operational_halt_refuses_orders(rig):
    rig.status[0]["operational"] = ord("H")
    fails(rig, "trading_state", ord("T"), ord("H"))
    rig.status[0]["operational"] = ord("T")
    passes(rig)


def test_a_decision_may_be_as_old_as_its_limit_either_way(rig):
    strategy(rig, age_max_ns=1_000)
    passes(rig, 5_000, timestamp=4_000)
    fails(rig, "age", 1_000, 1_001, 5_000, timestamp=3_999)
    passes(rig, 5_000, timestamp=6_000)
    fails(rig, "age", 1_000, 1_001, 5_000, timestamp=6_001)
    fails(rig, "age", 1_000, HUGE, 5_000, timestamp=1 << 63)
    strategy(rig, age_max_ns=NOTIONAL_LIMIT_MAX)
    passes(rig, 5_000, timestamp=1 << 63)
    strategy(rig, age_max_ns=0)
    passes(rig, 5_000, timestamp=5_000)
    fails(rig, "age", 0, 1, 5_000, timestamp=5_001)


def test_a_host_that_is_lost_refuses_the_next_order(rig):
    rig.path.context["watchdog_ns"] = 1_000
    passes(rig, 1_000)
    assert rig.new(1_001) == b""
    (killed, kill), (kind, reject) = rig.records()
    assert (killed, kind) == (RecordType.KILL, RecordType.RISK_REJECT)
    assert kill["cause"] == KillCause.WATCHDOG
    assert reject["check"] == CheckIndex.GLOBAL_KILL and reject["value"] == KillCause.WATCHDOG


# --- what may be sent ---------------------------------------------------------------------------


def test_a_short_sale_needs_located_shares(rig):
    limit(rig, permits=EVERY ^ OrderPermit.SHORT)
    fails(rig, "short_sale", 0, BID + 100, price=BID + 100, flags=SHORT)
    passes(rig, price=BID + 100, flags=SELL)


@pytest.mark.parametrize("action", "12\0")
def test_a_restricted_short_sale_is_priced_above_the_bid(rig, action):
    rig.status[0]["reg_sho"] = ord(action)
    fails(rig, "short_sale", BID, BID, price=BID, flags=SHORT)
    passes(rig, price=BID + 100, flags=SHORT)
    passes(rig, price=BID, flags=SELL)
    rig.book(bid=0, flags=0)
    record = rig.rejected(price=BID, flags=SHORT)
    assert {row.name for row in failing(record["checks"])} == {"short_sale", "collar"}
    rig.book()
    rig.status[0]["reg_sho"] = ord("0")
    passes(rig, price=BID, flags=SHORT)


@pytest.mark.parametrize("permit, flags, kinds", [
    (OrderPermit.DAY, 0, 1), (OrderPermit.IMMEDIATE, IntentFlag.IMMEDIATE, 2),
    (OrderPermit.POST_ONLY, IntentFlag.POST_ONLY, 5)])
def test_kinds_of_orders_must_be_permitted(rig, permit, flags, kinds):
    limit(rig, permits=EVERY ^ permit)
    fails(rig, "order_type", 7 ^ permit, kinds, flags=flags)
    limit(rig, permits=permit | OrderPermit.DAY | OrderPermit.MARKETABLE | OrderPermit.ANY_PHASE)
    passes(rig, flags=flags)


def test_quantity_has_a_least_value_and_lots(rig):
    limit(rig, quantity_min=100, lot=50)
    fails(rig, "quantity", 100, 99, quantity=99)
    passes(rig, quantity=100)
    fails(rig, "quantity", 50, 149, quantity=149)
    fails(rig, "quantity", 50, 151, quantity=151)
    passes(rig, quantity=150)
    fails(rig, "quantity", 1_000_000, 0, quantity=0)


@pytest.mark.parametrize("lot", [1, 2, 3, 7, 64, 100, 96, 1_000, 99_991, UNLIMITED])
def test_lots_and_ticks_are_exact_without_a_division(rig, lot):
    limit(rig, lot=lot, tick=min(lot, 1 << 20), quantity_max=UNLIMITED,
          position_long_max=UNLIMITED)
    for count in (1, 2, 3, 10, 1_023, UNLIMITED // lot):
        for quantity in (count * lot - 1, count * lot, count * lot + 1):
            if 0 < quantity <= UNLIMITED:
                rig.book(ask=1_900_000_000, bid=1_900_000_000)
                packet = rig.new(quantity=quantity, price=min(lot, 1 << 20) * 20_000 % 1_900_000_000
                                 // min(lot, 1 << 20) * min(lot, 1 << 20) or min(lot, 1 << 20))
                record = rig.records()[-1][1]
                bad = packet == b"" and record["checks"] >> CheckIndex.QUANTITY & 1
                assert bool(bad) == (quantity % lot != 0), quantity
                if packet:
                    rig.settle(operation=Operation.SETTLE_REJECTED, token=record["token"])
                    rig.records()


def test_prices_lie_in_the_hosts_band(rig):
    limit(rig, band_lower=BID - 500, band_upper=ASK + 500)
    passes(rig, price=BID - 500)
    fails(rig, "price_band", BID - 500, BID - 600, price=BID - 600)
    passes(rig, price=ASK + 500)
    fails(rig, "price_band", ASK + 500, ASK + 600, price=ASK + 600)
    fails(rig, "price_band", ASK + 500, ASK + 600, price=ASK + 600, flags=SELL)


def test_the_collar_around_the_last_trade_holds_both_ways_and_needs_a_trade(rig):
    limit(rig, last_collar_price=1_000)
    fails(rig, "price_band", 0, BID)
    rig.book(last=BID)
    passes(rig, price=BID + 1_000)
    fails(rig, "price_band", BID + 1_000, BID + 1_100, price=BID + 1_100)
    passes(rig, price=BID - 1_000)
    fails(rig, "price_band", BID - 1_000, BID - 1_100, price=BID - 1_100)
    limit(rig, last_collar_bps=5)               # 5 cents; the smaller one holds
    fails(rig, "price_band", BID + 500, BID + 600, price=BID + 600)
    limit(rig, last_collar_price=UNLIMITED, last_collar_bps=5, band_upper=BID + 400)
    fails(rig, "price_band", BID + 400, BID + 500, price=BID + 500)
    fails(rig, "price_band", BID - 500, BID - 600, price=BID - 600)
    limit(rig, last_collar_bps=UNLIMITED, band_upper=UNLIMITED)
    rig.book()
    passes(rig)


def test_a_locked_or_crossed_market_refuses_where_it_must(rig):
    rig.book(flags=BookFlag.CROSSED)
    passes(rig)
    limit(rig, permits=EVERY ^ OrderPermit.CROSSED)
    fails(rig, "locked_market", 0, BID)
    rig.book()
    passes(rig)


def test_an_order_that_could_lock_the_market_refuses_where_it_must(rig):
    limit(rig, permits=EVERY ^ OrderPermit.MARKETABLE)
    fails(rig, "locked_market", ASK, ASK, price=ASK)
    passes(rig, price=ASK - 100)
    fails(rig, "locked_market", BID, BID, price=BID, flags=SELL)
    passes(rig, price=BID + 100, flags=SELL)
    passes(rig, price=BID, flags=SELL | IntentFlag.IMMEDIATE)
    passes(rig, price=ASK, flags=IntentFlag.IMMEDIATE)


def test_the_newest_order_of_a_side_may_not_come_again_too_soon(rig):
    limit(rig, duplicate_ns=1_000)
    passes(rig, 5_000, price=BID, quantity=10)
    fails(rig, "duplicate", 1_000, 999, 5_999, price=BID, quantity=10)
    passes(rig, 5_999, price=BID, quantity=11)
    passes(rig, 5_999, price=BID, quantity=10)
    passes(rig, 5_999, price=BID, quantity=10, locate=LOCATES[1])
    passes(rig, 5_999, price=ASK, quantity=10, flags=SELL)
    passes(rig, 6_999, price=BID, quantity=10)
    fails(rig, "duplicate", 1_000, 0, 5_000, price=BID, quantity=10)     # a clock that steps back


def test_a_replace_is_no_duplicate(rig):
    limit(rig, duplicate_ns=1_000)
    token = passes(rig, price=BID, quantity=10)["token"]
    assert rig.new(operation=Operation.REPLACE, token=token, price=BID, quantity=10)
    rig.records()
    fails(rig, "duplicate", 1_000, 0, price=BID, quantity=10)


# --- own orders ---------------------------------------------------------------------------------


def test_an_order_may_not_meet_an_own_one(rig):
    limit(rig, permits=EVERY ^ OrderPermit.SELF_MATCH)
    sell = passes(rig, price=ASK, flags=SELL)["token"]
    passes(rig, price=ASK - 100)
    fails(rig, "self_match", ASK, ASK, price=ASK)
    fails(rig, "self_match", ASK - 100, ASK - 100, price=ASK - 100, flags=SELL)
    passes(rig, price=ASK, flags=SELL)
    passes(rig, price=ASK, locate=LOCATES[1])
    cancelled(rig, sell)
    fails(rig, "self_match", ASK, ASK, price=ASK)
    limit(rig, permits=EVERY)
    passes(rig, price=ASK)


def test_both_prices_of_a_replace_count_until_it_is_answered(rig):
    limit(rig, permits=EVERY ^ OrderPermit.SELF_MATCH)
    old = passes(rig, price=ASK + 100, flags=SELL)["token"]
    assert rig.new(operation=Operation.REPLACE, token=old, price=ASK, quantity=100)
    new = rig.last()[1]["token"]
    fails(rig, "self_match", ASK, ASK, price=ASK)
    rig.settle(operation=Operation.SETTLE_REJECTED, token=new)
    rig.records()
    passes(rig, price=ASK)
    fails(rig, "self_match", ASK + 100, ASK + 100, price=ASK + 100)
    assert rig.new(operation=Operation.REPLACE, token=old, price=ASK + 200, quantity=100)
    new = rig.last()[1]["token"]
    rig.settle(operation=Operation.SETTLE_REPLACED, token=new, previous_token=old,
               price=ASK + 200, quantity=100)
    rig.records()
    passes(rig, price=ASK + 100)
    fails(rig, "self_match", ASK + 200, ASK + 200, price=ASK + 200)


def test_the_price_that_the_venue_gave_an_order_is_the_one_that_counts(rig):
    limit(rig, permits=EVERY ^ OrderPermit.SELF_MATCH)
    token = passes(rig, price=ASK, flags=SELL)["token"]
    rig.settle(operation=Operation.SETTLE_ACCEPTED, token=token, price=ASK + 100, quantity=100)
    rig.records()
    passes(rig, price=ASK)
    fails(rig, "self_match", ASK + 100, ASK + 100, price=ASK + 100)


def test_beyond_eight_open_orders_the_best_own_price_counts_until_they_are_gone(rig):
    limit(rig, permits=EVERY ^ OrderPermit.SELF_MATCH)
    for _ in range(8):
        passes(rig, price=ASK + 1_000, flags=SELL)
    first = passes(rig, price=ASK, flags=SELL)["token"]
    second = passes(rig, price=ASK + 500, flags=SELL)["token"]
    fails(rig, "self_match", ASK, ASK, price=ASK)
    cancelled(rig, first)
    fails(rig, "self_match", ASK, ASK, price=ASK)
    cancelled(rig, second)
    passes(rig, price=ASK)
    fails(rig, "self_match", ASK + 1_000, ASK + 1_000, price=ASK + 1_000)


# --- money --------------------------------------------------------------------------------------


def test_net_notional_counts_each_side_at_its_worst(rig):
    fill(rig, 100, price=BID)
    firm(rig, net_notional_max=300 * BID)
    passes(rig, price=BID, quantity=150)
    passes(rig, price=BID, quantity=50, locate=LOCATES[1])
    fails(rig, "net_notional", 300 * BID & HUGE if 300 * BID < HUGE else 300 * BID,
          300 * BID + 100, price=100, quantity=1)
    passes(rig, price=BID, quantity=400, flags=SELL)                     # to 300 short
    fails(rig, "net_notional", 300 * BID, 300 * BID + 100 * DOLLAR, price=BID, quantity=1,
          flags=SELL)


def test_longs_and_shorts_of_the_firm_offset_each_other(rig):
    firm(rig, net_notional_max=100 * BID)
    fill(rig, 100, price=BID)
    fails(rig, "net_notional", 100 * BID, 101 * BID, price=BID, quantity=1)
    fill(rig, 100, price=BID, flags=SHORT, locate=LOCATES[1])
    passes(rig, price=BID, quantity=100)


def test_credit_is_what_was_paid_and_what_open_buys_may_cost(rig):
    fill(rig, 100, price=BID)
    firm(rig, credit_max=200 * BID)
    passes(rig, price=BID, quantity=100)
    fails(rig, "credit", 200 * BID, 200 * BID + 100, price=100, quantity=1)
    passes(rig, price=BID, quantity=100, flags=SELL)
    fill(rig, 100, price=BID, flags=SELL)
    passes(rig, price=BID, quantity=100)
    fails(rig, "credit", 200 * BID, 200 * BID + 100, price=100, quantity=1)


def test_beyond_the_greatest_loss_orders_may_only_reduce_a_position(rig):
    fill(rig, 100, price=BID)
    rig.book(last=BID - 100)
    firm(rig, loss_max=100 * 100)
    passes(rig, quantity=10)
    firm(rig, loss_max=100 * 100 - 1)
    fails(rig, "loss", 9_999, 10_000, quantity=1)
    passes(rig, quantity=60, flags=SELL)
    passes(rig, quantity=40, flags=SELL)
    fails(rig, "loss", 9_999, 10_000, quantity=1, flags=SELL)
    rig.book(last=BID)
    passes(rig, quantity=1)


def test_losses_of_cash_and_of_shorts_count(rig):
    fill(rig, 100, price=BID, flags=SHORT)
    fill(rig, 100, price=BID + 100)
    firm(rig, loss_max=9_999)
    fails(rig, "loss", 9_999, 10_000, quantity=1)
    firm(rig, loss_max=10_000)
    fill(rig, 100, price=BID, flags=SHORT, locate=LOCATES[1])
    rig.book(1, last=BID + 1)
    passes(rig, quantity=1)                     # the other instrument's mark is that of its fill
    fails(rig, "loss", 10_000, 10_100, quantity=1, locate=LOCATES[1], flags=SHORT)


@pytest.mark.parametrize("scope", ["instrument", "firm"])
def test_open_notional_counts_open_orders_alone(rig, scope):
    fill(rig, 100, price=BID)
    (limit if scope == "instrument" else firm)(rig, open_notional_max=100 * BID)
    passes(rig, quantity=50, price=BID)
    token = passes(rig, quantity=50, price=BID, flags=SELL)["token"]
    fails(rig, "open_notional", 100 * BID, 100 * BID + 100, quantity=1, price=100)
    cancelled(rig, token, 50)
    passes(rig, quantity=50, price=BID)


def test_open_notional_of_the_firm_spans_instruments(rig):
    firm(rig, open_notional_max=100 * BID)
    passes(rig, quantity=100, price=BID, locate=LOCATES[1])
    fails(rig, "open_notional", 100 * BID, 100 * BID + 100, quantity=1, price=100)


def test_accumulated_shares_of_a_day_count_both_sides(rig):
    fill(rig, 100)
    limit(rig, day_quantity_max=200)
    token = passes(rig, quantity=60, flags=SELL)["token"]
    passes(rig, quantity=40)
    fails(rig, "accumulated", 200, 201, quantity=1)
    cancelled(rig, token, 60)
    passes(rig, quantity=60)
    fails(rig, "accumulated", 200, 201, quantity=1, flags=SELL)


def test_accumulated_value_of_a_day_counts_trades_and_open_orders(rig):
    fill(rig, 100, price=BID)
    limit(rig, day_notional_max=200 * BID)
    passes(rig, quantity=100, price=BID, flags=SELL)
    fails(rig, "accumulated", 200 * BID, 200 * BID + 100, quantity=1, price=100)


# --- rates and counts ---------------------------------------------------------------------------


def test_a_strategy_has_a_rate_of_its_own(rig):
    rig.path.arena.view("strategies")[:] = 0
    strategy(rig, 2, rate_interval_ns=1_000, rate_burst=2)
    start = 1_000_000
    passes(rig, start, strategy=2)
    passes(rig, start, strategy=2)
    fails(rig, "rate", 2, 3, start + 999, strategy=2)
    passes(rig, start + 999, strategy=1)
    passes(rig, start + 1_000, strategy=2)


def test_every_message_of_a_session_takes_a_token_and_cancels_always_pass(rig):
    session(rig, message_interval_ns=1_000, message_burst=3)
    start = 1_000_000
    token = passes(rig, start)["token"]
    passes(rig, start)
    passes(rig, start)
    fails(rig, "message_rate", 3, 4, start + 999)
    passes(rig, start, session=1)
    for _ in range(2):
        assert rig.new(start + 1_000, operation=Operation.CANCEL, token=token, quantity=0)
        rig.records()
    fails(rig, "message_rate", 3, 5, start + 1_000)
    fails(rig, "message_rate", 3, 4, start + 2_999)
    passes(rig, start + 3_000)


def test_cancels_of_a_mass_cancel_take_tokens_too(rig):
    session(rig, message_interval_ns=1_000, message_burst=3)
    for _ in range(2):
        passes(rig, 1_000_000)
    assert rig.new(1_000_000, operation=Operation.MASS_CANCEL, locate=0)
    while order_path.sweeping(rig.address):
        rig.leave(order_path.sweep(rig.address, 1_000_000), 1_000_000)
    rig.records()
    fails(rig, "message_rate", 3, 5, 1_000_000)


def test_trades_earn_orders(rig):
    session(rig, orders_free=2, orders_per_trade=3)
    token = passes(rig)["token"]
    passes(rig)
    fails(rig, "order_to_trade", 2, 3)
    passes(rig, session=1)
    rig.settle(operation=Operation.SETTLE_FILLED, token=token, price=BID, quantity=1)
    rig.records()
    for _ in range(3):
        passes(rig)
    fails(rig, "order_to_trade", 5, 6)
    assert rig.new(operation=Operation.CANCEL, token=token, quantity=0)


def test_a_strategy_stops_after_its_repetitions_until_it_is_released(rig):
    strategy(rig, repetitions_max=2)
    token = passes(rig)["token"]
    assert rig.new(operation=Operation.REPLACE, token=token, quantity=50)
    rig.records()
    fails(rig, "repetition", 2, 3)
    passes(rig, strategy=1)
    strategy(rig, repetitions_max=2)            # a commit is no release
    fails(rig, "repetition", 2, 3)
    order_path.kill_strategy(rig.address, 0, False)
    passes(rig)
    passes(rig)
    fails(rig, "repetition", 2, 3)


def test_counters_of_orders_do_not_overflow(rig):
    rig.path.arena.view("strategies").view("i8")[1] = UNLIMITED - 1
    rig.path.arena.view("session_uses").view("i8")[1] = UNLIMITED - 1
    passes(rig)
    record = rig.rejected()
    assert {row.name for row in failing(record["checks"])} == {"order_to_trade", "repetition"}
    assert (record["limit"], record["value"]) == (UNLIMITED, UNLIMITED + 1)


def test_amounts_beyond_32_bits_saturate_in_the_record(rig):
    rig.path.gate["cash"] = -(1 << 60)
    firm(rig, loss_max=1 << 59)
    fails(rig, "loss", HUGE, HUGE)
    rig.path.gate["cash"] = 0
    rig.path.exposures[0]["turnover"] = NOTIONAL_LIMIT_MAX - 100 * BID
    passes(rig, price=BID, quantity=100)
    fails(rig, "accumulated", HUGE, HUGE, price=100, quantity=1)


# --- soft and hard ------------------------------------------------------------------------------


def test_a_soft_check_lets_orders_pass_and_counts_them(rig):
    limit(rig, collar_price=0, position_long_max=150)
    firm(rig, soft_checks=1 << CheckIndex.COLLAR | 1 << CheckIndex.POSITION)
    passes(rig, price=ASK + 100)
    assert (rig.count("SOFT_COLLAR"), rig.count("SOFT_POSITION")) == (1, 0)
    passes(rig, price=ASK + 100)
    assert (rig.count("SOFT_COLLAR"), rig.count("SOFT_POSITION")) == (2, 1)
    passes(rig, price=ASK, flags=SELL)
    assert (rig.count("SOFT_COLLAR"), rig.count("SOFT_POSITION")) == (2, 1)


def test_a_refusal_names_the_first_hard_check_and_shows_all(rig):
    limit(rig, collar_price=0, position_long_max=50)
    firm(rig, soft_checks=1 << CheckIndex.COLLAR)
    record = rig.rejected(price=ASK + 100)
    assert {row.name for row in failing(record["checks"])} == {"collar", "position"}
    assert record["check"] == CheckIndex.POSITION
    assert (record["limit"], record["value"]) == (50, 100)
    assert rig.count("SOFT_COLLAR") == 0


def test_every_check_that_may_be_soft_has_a_counter_of_its_own(rig):
    from tickwire.kernels.order_records import count_soft
    for number, check in enumerate(CHECKS):
        if not check.is_hard:
            count_soft(rig.address, 1 << number)
            assert rig.count(f"SOFT_{check.name.upper()}") == 1
    count_soft(rig.address, 0xFFFF_FFFF ^ ALWAYS_HARD)
    assert {rig.count(f"SOFT_{check.name.upper()}") for check in CHECKS if not check.is_hard} == {2}


@pytest.mark.parametrize("check", [check for check in CHECKS if check.is_hard],
                         ids=lambda check: check.name)
def test_what_keeps_the_device_safe_can_not_be_soft(rig, check):
    rig.set_firm(soft_checks=1 << CheckIndex[check.name.upper()])
    with pytest.raises(TickwireError, match="a check is soft that can not be"):
        rig.path.commit(0)
    assert rig.last()[1]["reason"] == LimitsError.VALUE


# --- limits table -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, values", [
    ("strategy", {"rate_burst": 0}), ("strategy", {"rate_interval_ns": 0}),
    ("strategy", {"repetitions_max": 1 << 31}), ("strategy", {"age_max_ns": 1 << 61}),
    ("session", {"message_interval_ns": 0}), ("session", {"orders_free": 1 << 31}),
    ("limits", {"lot": 0}), ("limits", {"permits": 1 << 31}),
    ("limits", {"day_quantity_max": 1 << 61}), ("limits", {"band_upper": 1 << 31}),
    ("firm", {"loss_max": 1 << 63}), ("firm", {"net_notional_max": 1 << 61})])
def test_a_row_with_a_value_out_of_range_is_refused(rig, kind, values):
    if kind == "firm":
        rig.set_firm(**values)
    else:
        getattr(rig, f"set_{kind}")(3, **values)
    before = rig.snapshot()
    with pytest.raises(TickwireError, match="version 2 were refused"):
        rig.path.commit(0)
    assert rig.last()[1]["reason"] == LimitsError.VALUE and rig.snapshot() == before


def test_rows_of_zeros_of_strategies_and_sessions_are_valid_and_permit_nothing(rig):
    rig.path.table.strategies[1:2] = 0
    rig.path.table.sessions[1:2] = 0
    commit(rig)
    record = rig.rejected(1, strategy=1)
    assert {row.name for row in failing(record["checks"])} == {
        "strategy_disabled", "repetition", "rate", "age"}
    record = rig.rejected(session=1)
    assert {row.name for row in failing(record["checks"])} == {"message_rate", "order_to_trade"}


def test_a_cancel_passes_whatever_fails(rig):
    token = passes(rig)["token"]
    table = rig.path.table
    table.instruments[:], table.strategies[:], table.sessions[:] = 0, 0, 0
    commit(rig)
    rig.book(bid=0, ask=0, trading_state=b"H", flags=0xFF)
    rig.feed_word[0] = 0
    order_path.kill_strategy(rig.address, 0, True)
    order_path.kill_session(rig.address, 0, True)
    order_path.kill_instrument(rig.address, 0, True)
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    rig.records()
    assert rig.execute(sealed(pack_intent(operation=Operation.CANCEL, token=token),
                              int(rig.path.context["epoch"]), int(rig.path.context["expected"])),
                       seal=False)
