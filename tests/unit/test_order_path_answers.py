"""What becomes of an order: sent, answered, replaced, lost; and answers that can not be true.

Every expectation is worked out by hand from the contract of the records and of the settle intents.
"""

import numpy as np
import pytest

from tests.order_rig import (
    DOLLAR,
    LOCATES,
    SELL,
    SHORT,
    UNWATCHED,
    Rig,
    pack_intent,
    pack_settle,
    sealed,
)
from tickwire.kernels import histogram, order_path
from tickwire.spec.intents import IntentError, IntentFlag, Operation
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause

BID = 100 * DOLLAR


@pytest.fixture
def rig():
    return Rig()


def test_order_sent_carries_decision_and_egress(rig):
    octets = sealed(pack_intent(price=BID, quantity=7, timestamp=900, intent_id=3, strategy=5,
                                flags=SHORT, session=1, locate=LOCATES[3]), 2, 1)
    size = order_path.execute(rig.address, rig.put(octets), 1_000)
    assert rig.records() == [] and int(rig.path.gate["open_orders"]) == 1
    assert int(rig.path.context["tx_session"]) == 1
    rig.leave(size, 1_250)
    kind, record = rig.last()
    wanted = {"timestamp": 1_250, "intent_timestamp": 900, "intent_id": 3, "token": 1,
              "price": BID, "quantity": 7, "locate": LOCATES[3], "side": "T", "session": 1,
              "latency_ns": 250, "open_notional": 7 * BID, "open_quantity": 7,
              "operation": Operation.NEW, "strategy": 5}
    assert kind == RecordType.ORDER_SENT and {name: record[name] for name in wanted} == wanted


def test_a_sent_that_was_forgotten_is_made_up_for(rig):
    order_path.execute(rig.address, rig.put(sealed(pack_intent(price=BID, quantity=7), 2, 1)), 10)
    rig.execute(pack_intent(operation=Operation.NOP), 20)
    assert rig.last()[1]["timestamp"] == 20


def test_the_answer_times_the_order(rig):
    token = rig.send(1_000)
    rig.answer(Operation.SETTLE_ACCEPTED, token, 51_000, quantity=100, price=BID)
    summary = histogram.summary(rig.path.arena.view("acknowledge_stage", np.int64))
    assert (summary["count"], summary["max"]) == (1, 50_000)


def test_tokens_end_at_32_bits():
    rig = Rig(first_token=(1 << 32) - 2)
    assert rig.send() == (1 << 32) - 2
    assert rig.send() == (1 << 32) - 1
    record = rig.rejected()
    assert record["checks"] == 1 << 11          # open orders: no place


def test_an_order_lives_from_sent_to_filled(rig):
    token = rig.send(intent_id=8, quantity=100, price=BID, locate=LOCATES[2])
    (kind, record), = rig.answer(Operation.SETTLE_ACCEPTED, token, 3, quantity=100, price=BID,
                             order_reference=55, exchange_timestamp=44)
    assert kind == RecordType.ORDER_ACCEPTED
    wanted = {"timestamp": 3, "exchange_timestamp": 44, "intent_id": 8, "token": token,
              "price": BID, "quantity": 100, "leaves": 100, "reason": 0, "locate": LOCATES[2],
              "order_reference": 55, "match_number": 0}
    assert {name: record[name] for name in wanted} == wanted
    (kind, record), = rig.answer(Operation.SETTLE_FILLED, token, 4, quantity=30, price=BID - 100,
                             match_number=66)
    assert kind == RecordType.ORDER_FILLED
    wanted |= {"timestamp": 4, "exchange_timestamp": 0, "price": BID - 100, "quantity": 30,
               "leaves": 70, "match_number": 66}
    assert {name: record[name] for name in wanted} == wanted
    row = rig.path.exposures[2]
    assert (row["position"], row["cash"], row["open_buy"], row["open_notional"]) == (
        30, -30 * (BID - 100), 70, 70 * BID)
    (kind, record), = rig.answer(Operation.SETTLE_FILLED, token, quantity=70, price=BID)
    assert record["leaves"] == 0 and int(rig.path.gate["open_orders"]) == 0
    assert rig.path.profit(2, BID + 100) == 30 * 200 + 70 * 100
    assert (rig.count("FILLS"), rig.count("ORDERS_ACCEPTED")) == (2, 1)


def test_an_order_that_is_dead_on_acceptance_costs_nothing(rig):
    token = rig.send()
    (_, record), = rig.answer(Operation.SETTLE_ACCEPTED, token, flags=1, quantity=100, price=BID)
    assert record["leaves"] == 0
    assert int(rig.path.gate["open_notional"]) == int(rig.path.gate["open_orders"]) == 0
    assert not rig.path.killed


def test_an_acceptance_at_another_price_or_for_less_is_believed(rig):
    token = rig.send(price=BID, quantity=100)
    rig.answer(Operation.SETTLE_ACCEPTED, token, quantity=60, price=BID - 500)
    row = rig.path.exposures[0]
    assert (row["open_buy"], row["open_notional"]) == (60, 60 * (BID - 500))
    assert not rig.path.killed


@pytest.mark.parametrize("operation, fields", [
    (Operation.SETTLE_FILLED, {"quantity": 101, "price": BID}),
    (Operation.SETTLE_CANCELED, {"quantity": 101}),
    (Operation.SETTLE_ACCEPTED, {"quantity": 101, "price": BID}),
    (Operation.SETTLE_REPLACED, {"quantity": 1, "price": BID, "previous_token": 1})])
def test_an_answer_that_contradicts_the_table_kills(rig, operation, fields):
    token = rig.send(quantity=100)
    rig.settle(9, operation=operation, token=token, **fields)
    assert rig.path.killed == KillCause.SETTLEMENT
    assert rig.count("SETTLE_MISMATCH") == 1
    kind, record = rig.records()[-1]
    assert kind == RecordType.KILL and record["cause"] == KillCause.SETTLEMENT
    row = rig.path.exposures[0]
    if operation == Operation.SETTLE_FILLED:
        assert row["position"] == 101 and row["open_buy"] == 0
    if operation == Operation.SETTLE_ACCEPTED:
        assert row["open_buy"] == 101


def test_a_second_acceptance_or_a_late_reject_kills(rig):
    for operation in (Operation.SETTLE_ACCEPTED, Operation.SETTLE_REJECTED):
        token = rig.send()
        rig.answer(Operation.SETTLE_ACCEPTED, token, quantity=100, price=BID)
        before = int(rig.path.gate["open_notional"])
        rig.answer(operation, token, quantity=100, price=BID)
        assert rig.path.killed == KillCause.SETTLEMENT
        assert int(rig.path.gate["open_notional"]) == before
        rig.path.arm(0)
        rig.records()


@pytest.mark.parametrize("operation, kills", [
    (Operation.SETTLE_ACCEPTED, True), (Operation.SETTLE_FILLED, True),
    (Operation.SETTLE_REPLACED, True), (Operation.SETTLE_CANCELED, False),
    (Operation.SETTLE_REJECTED, False)])
def test_an_answer_about_a_stranger_is_counted_and_kills_when_shares_may_have_moved(
        rig, operation, kills):
    before = rig.snapshot()
    assert rig.settle(3, operation=operation, token=44, quantity=1, price=1) == 0
    records = rig.records()
    assert records[0][0] == RecordType.INTENT_ERROR
    assert (records[0][1]["error"], records[0][1]["received"], records[0][1]["slot"]) == (
        IntentError.UNKNOWN_ORDER, 44, 64)
    assert rig.count("SETTLE_UNKNOWN") == 1
    assert bool(rig.path.killed) == kills
    if not kills:
        assert rig.snapshot() == before


def test_an_answer_through_the_window_is_the_same_answer(rig):
    token = rig.send()
    assert rig.execute(pack_settle(operation=Operation.SETTLE_FILLED, token=token, quantity=40,
                                   price=BID)) == b""
    kind, record = rig.last()
    assert kind == RecordType.ORDER_FILLED and record["leaves"] == 60
    assert int(rig.path.exposures[0]["position"]) == 40


@pytest.fixture
def pending(rig):
    """An order of 100 at 100.00 with 30 executed, and a replace to 150 in all at 99.00."""
    old = rig.send(quantity=100, price=BID)
    rig.answer(Operation.SETTLE_ACCEPTED, old, quantity=100, price=BID)
    rig.answer(Operation.SETTLE_FILLED, old, quantity=30, price=BID)
    new = rig.send(operation=Operation.REPLACE, token=old, quantity=150, price=BID - DOLLAR)
    return rig, old, new


def test_a_chain_counts_once_at_its_worst(pending):
    rig, old, _ = pending
    assert rig.exposure() == (120, 120 * 99 * DOLLAR, 1)
    rig.answer(Operation.SETTLE_FILLED, old, quantity=60, price=BID)
    assert rig.exposure() == (60, 60 * 99 * DOLLAR, 1)


def test_a_replace_takes_over(pending):
    rig, old, new = pending
    (kind, record), = rig.answer(Operation.SETTLE_REPLACED, new, previous_token=old, quantity=120,
                             price=BID - DOLLAR, order_reference=9)
    assert kind == RecordType.ORDER_REPLACED
    assert (record["token"], record["match_number"], record["leaves"], record["quantity"],
            record["order_reference"]) == (new, old, 120, 120, 9)
    assert rig.exposure() == (120, 120 * 99 * DOLLAR, 1)
    rig.answer(Operation.SETTLE_FILLED, new, quantity=120, price=BID - DOLLAR)
    assert rig.exposure() == (0, 0, 0) and int(rig.path.exposures[0]["position"]) == 150


def test_a_rejected_replace_leaves_the_order(pending):
    rig, old, new = pending
    (kind, record), = rig.answer(Operation.SETTLE_REJECTED, new, reason=0x15)
    assert (kind, record["token"], record["reason"]) == (RecordType.ORDER_REJECTED, new, 0x15)
    assert rig.exposure() == (70, 70 * BID, 1)
    assert rig.new(operation=Operation.REPLACE, token=old)


@pytest.mark.parametrize("operation", [Operation.SETTLE_FILLED, Operation.SETTLE_CANCELED])
def test_a_replace_lapses_with_its_order(pending, operation):
    rig, old, new = pending
    (_, _), (second, record) = rig.answer(operation, old, quantity=70, price=BID)
    assert second == RecordType.ORDER_REJECTED
    assert (record["token"], record["quantity"], record["leaves"], record["reason"]) == (
        new, 0, 0, 0)
    assert rig.exposure() == (0, 0, 0) and rig.count("REPLACES_LAPSED") == 1
    assert not rig.path.killed
    rig.refused(IntentError.UNKNOWN_ORDER, 0, new, operation=Operation.CANCEL, token=new)


def test_a_replace_dead_on_arrival_ends_the_chain(pending):
    rig, old, new = pending
    rig.answer(Operation.SETTLE_REPLACED, new, previous_token=old, quantity=120, price=BID,
           flags=1)
    assert rig.exposure() == (0, 0, 0) and not rig.path.killed


def test_a_replace_for_more_than_was_asked_is_believed_and_kills(pending):
    rig, old, new = pending
    rig.answer(Operation.SETTLE_REPLACED, new, previous_token=old, quantity=121, price=BID)
    assert rig.exposure() == (121, 121 * BID, 1)
    assert rig.path.killed == KillCause.SETTLEMENT


def test_a_fill_of_a_replace_before_its_take_over_is_believed_and_kills(pending):
    rig, old, new = pending
    rig.answer(Operation.SETTLE_FILLED, new, quantity=20, price=BID)
    assert rig.exposure() == (100, 100 * 99 * DOLLAR, 1)
    assert int(rig.path.exposures[0]["position"]) == 50
    assert rig.path.killed == KillCause.SETTLEMENT
    rig.refused(IntentError.UNKNOWN_ORDER, 0, old, operation=Operation.CANCEL, token=old)


def test_a_replace_keeps_side_and_session_whatever_the_intent_says(rig):
    token = rig.send(flags=SHORT, session=1)
    packet = rig.new(operation=Operation.REPLACE, token=token, flags=SELL | IntentFlag.IMMEDIATE,
                     session=0, locate=UNWATCHED)
    record = rig.last()[1]
    assert (record["side"], record["session"], record["locate"]) == ("T", 1, LOCATES[0])
    assert packet[2 + 1 + 21:][:1] == b"3"


def test_both_orders_of_a_chain_can_be_cancelled(pending):
    rig, old, new = pending
    for token in (old, new):
        assert rig.new(operation=Operation.CANCEL, token=token)[4:8] == token.to_bytes(4, "big")


def test_orders_that_never_arrived_are_buried_when_the_venue_tells_its_next_number(rig):
    arrived, lost = rig.send(), rig.send()
    rig.answer(Operation.SETTLE_ACCEPTED, arrived, quantity=100, price=BID)
    replace = rig.send(operation=Operation.REPLACE, token=arrived, quantity=200)
    other = rig.send(session=1)
    assert order_path.reconcile(rig.address, 0, lost, 4) == 1
    records = rig.records()
    assert [(kind, record["token"]) for kind, record in records] == [
        (RecordType.ORDER_REJECTED, lost), (RecordType.ORDER_REJECTED, replace)]
    assert rig.exposure() == (200, 200 * BID, 2), (arrived, other)
    assert rig.count("ORDERS_LOST") == 2 and not rig.path.killed


def test_a_next_number_below_an_accepted_order_kills(rig):
    token = rig.send()
    rig.answer(Operation.SETTLE_ACCEPTED, token, quantity=100, price=BID)
    order_path.reconcile(rig.address, 0, token, 0)
    assert rig.path.killed == KillCause.SETTLEMENT


def test_lost_orders_are_found_however_old_they_are():
    rig = Rig(orders_log2=4)
    lost = rig.send(session=1)
    for _ in range(40):
        rig.answer(Operation.SETTLE_REJECTED, rig.send())
    assert order_path.reconcile(rig.address, 1, 1, 0) == 1
    kind, record = rig.last()
    assert (kind, record["token"], record["exchange_timestamp"]) == (
        RecordType.ORDER_REJECTED, lost, 0)


def test_burying_waits_for_room_in_the_ring():
    rig = Rig(ring_log2=7)
    for _ in range(100):
        rig.send()
    calls = 1
    while order_path.reconcile(rig.address, 0, 1, 0) == 0:
        rig.records()
        calls += 1
    assert calls == 2 and int(rig.path.gate["open_orders"]) == 0
