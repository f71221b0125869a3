"""The order path by hand: window, refusals, answers, mass cancel; what no sequence test shows well.

Every expectation is worked out from the contract of the intents and records. Hostile intents are
sent one octet wrong at a time.
"""

import numpy as np
import pytest

from tests.order_rig import (
    DOLLAR,
    GENEROUS_FIRM,
    LOCATES,
    SELL,
    SHORT,
    UNWATCHED,
    Rig,
    crc32c,
    pack_intent,
    sealed,
)
from tickwire.device.order_memory import OrderMemory
from tickwire.errors import TickwireError
from tickwire.kernels import histogram, order_path
from tickwire.kernels.order_layout import ANSWER_RECORDS, BATCH, RESERVED_RECORDS, SCAN
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import IntentError, IntentFlag, Operation
from tickwire.spec.records import RecordType
from tickwire.spec.registers import ARM_KEY, KillCause

BID = 100 * DOLLAR


@pytest.fixture
def rig():
    return Rig()


def count(rig, name):
    return int(rig.counters[CounterIndex[name]])


def send(rig, now=0, **fields):
    assert rig.new(now, **fields)
    return rig.last()[1]["token"]


def answer(rig, operation, token, now=0, **fields):
    """Settle one answer; return the records."""
    rig.settle(now, operation=operation, token=token, **fields)
    return rig.records()


def error(rig, kind, expected, received, **fields):
    """Execute an intent that must be refused; nothing but the window may change."""
    before = rig.snapshot()
    assert rig.new(**fields) == b""
    record = rig.last()
    assert record[0] == RecordType.INTENT_ERROR
    found = record[1]
    assert (found["error"], found["expected"], found["received"]) == (kind, expected, received)
    assert found["intent_id"] == fields.get("intent_id", 0)
    assert rig.snapshot() == before
    assert count(rig, "INTENT_ERRORS") > 0


# --- window ------------------------------------------------------------------------------------


class Window:
    """The host's side of the intent window."""

    def __init__(self, rig):
        self.rig = rig
        self.slots = rig.path.arena.view("window")
        self.sequence = 0

    def write(self, octets, sequence=None, epoch=None):
        self.sequence += sequence is None
        number = self.sequence if sequence is None else sequence
        octets = sealed(octets, int(self.rig.path.context["epoch"]) if epoch is None else epoch,
                        number)
        start = 64 * ((self.sequence - (sequence is None)) % 64)
        self.slots[start:start + 64] = list(octets)

    def take(self, now=0):
        """Execute what is ready; return the octets sent."""
        sent = b""
        while intent := order_path.ready(self.rig.address, now):
            size = order_path.execute(self.rig.address, intent, now)
            assert size >= 0
            sent += self.rig.leave(size, now)
        return sent


def test_the_window_is_taken_in_sequence_over_many_laps(rig):
    window = Window(rig)
    for number in range(200):
        assert window.take() == b""
        window.write(pack_intent(price=BID, quantity=1, intent_id=number))
        assert window.take()
        record = rig.last()[1]
        assert record["intent_id"] == number and record["credit"] == number + 1
    assert count(rig, "INTENTS") == 200


def test_intents_written_ahead_are_all_taken(rig):
    window = Window(rig)
    for number in range(64):
        window.write(pack_intent(price=BID, quantity=1, intent_id=number))
    assert len(window.take()) == 64 * 50
    assert [record["intent_id"] for _, record in rig.records()] == list(range(64))


def test_an_intent_with_a_wrong_sequence_is_reported_once_and_does_not_block(rig):
    window = Window(rig)
    window.write(pack_intent(price=BID, quantity=1), sequence=9)
    for _ in range(3):
        assert window.take(7) == b""
    kind, record = rig.last()
    assert kind == RecordType.INTENT_ERROR
    assert (record["error"], record["expected"], record["received"], record["slot"]) == (
        IntentError.SEQUENCE, 1, 9, 8)
    window.write(pack_intent(price=BID, quantity=1))
    assert window.take()


def test_the_sequence_wraps_at_32_bits():
    rig = Rig()
    rig.path.context["expected"] = (1 << 32) - 2
    for _ in range(4):
        send(rig)
    assert int(rig.path.context["expected"]) == (1 << 32) + 2


def test_nothing_is_taken_while_the_order_ring_lacks_room():
    rig = Rig(ring_log2=6)
    window = Window(rig)
    for _ in range(63):
        window.write(pack_intent(price=BID, quantity=1))
    window.take()
    taken = int(rig.path.ring["written"]) - int(rig.consumed[0])
    assert taken == 64 - RESERVED_RECORDS - ANSWER_RECORDS + 1
    assert order_path.execute(
        rig.address, int(rig.path.context["window"]), 0) == order_path.NO_ROOM
    before = rig.snapshot()
    assert order_path.ready(rig.address, 0) == 0 and rig.snapshot() == before
    while int(rig.path.context["expected"]) <= 63:
        rig.records()                           # the host reads
        window.take()
    assert count(rig, "INTENTS") == 63 and count(rig, "RECORDS_DROPPED") == 0


def test_kills_have_room_when_intents_have_none():
    rig = Rig(ring_log2=6)
    while order_path.execute(rig.address, rig.put(sealed(
            pack_intent(operation=255), 2, int(rig.path.context["expected"]))), 0) == 0:
        pass
    for cause in KillCause:
        order_path.kill(rig.address, cause, 1)
    kinds = [kind for kind, _ in rig.records()]
    assert kinds.count(RecordType.KILL) == len(KillCause)
    assert count(rig, "RECORDS_DROPPED") == 0


def test_what_the_host_seals_is_what_the_device_takes(rig):
    intent = np.frombuffer(pack_intent(price=BID, quantity=5, intent_id=3), np.uint8).copy()
    order_path.seal(intent.ctypes.data, 2, 1)
    assert intent.tobytes() == sealed(pack_intent(price=BID, quantity=5, intent_id=3), 2, 1)
    assert rig.execute(intent.tobytes(), seal=False)


def test_any_single_wrong_bit_is_refused_and_changes_nothing(rig):
    octets = sealed(pack_intent(price=BID, quantity=100, intent_id=1), 2, 1)
    for bit in range(512):
        wrong = bytearray(octets)
        wrong[bit // 8] ^= 1 << bit % 8
        rig.path.context["expected"] = 1
        before = rig.snapshot()
        assert rig.execute(bytes(wrong), seal=False) == b""
        kind, record = rig.last()
        assert kind == RecordType.INTENT_ERROR
        if bit >= 480:
            assert record["error"] == IntentError.SEQUENCE
        else:
            assert record["error"] == IntentError.CRC
            if bit < 416:
                right = crc32c(bytes(wrong[:52] + wrong[56:]))
                assert (record["expected"], record["received"]) == (right, int.from_bytes(
                    wrong[52:56], "little"))
        assert rig.snapshot() == before


def test_a_refused_intent_is_consumed_unless_its_sequence_is_wrong(rig):
    for octets, step in ((sealed(pack_intent(), 2, 1)[:52] + bytes(4)
                          + sealed(pack_intent(), 2, 1)[56:], 1),
                         (sealed(pack_intent(), 1, 2), 1), (sealed(pack_intent(), 2, 4), 0)):
        before = int(rig.path.context["expected"])
        rig.execute(octets, seal=False)
        assert int(rig.path.context["expected"]) == before + step
    assert [record["error"] for _, record in rig.records()] == [
        IntentError.CRC, IntentError.EPOCH, IntentError.SEQUENCE]


def test_too_many_faulty_intents_kill():
    rig = Rig()
    rig.set_firm(**GENEROUS_FIRM | {"intent_errors_max": 2})
    rig.path.commit(0)
    rig.records()
    for _ in range(2):
        rig.execute(sealed(pack_intent(), 77, int(rig.path.context["expected"])), seal=False)
    assert not rig.path.killed
    rig.execute(sealed(pack_intent(), 77, 99), 5, seal=False)
    assert rig.path.killed == KillCause.INTENT_ERRORS
    assert [kind for kind, _ in rig.records()][-2:] == [RecordType.INTENT_ERROR, RecordType.KILL]
    rig.path.arm(6)
    rig.records()
    assert send(rig)
    rig.execute(sealed(pack_intent(), 77, 0), seal=False)
    assert not rig.path.killed, "arming starts the count again"


# --- refusals before the gate ------------------------------------------------------------------


@pytest.mark.parametrize("operation", [5, 6, 7, 15, 21, 255])
def test_unknown_operations_are_refused(rig, operation):
    error(rig, IntentError.OPERATION, 0, operation, operation=operation, intent_id=4)


def test_unknown_sessions_instruments_orders_and_flags_are_refused(rig):
    error(rig, IntentError.UNKNOWN_SESSION, 2, 2, session=2)
    error(rig, IntentError.UNKNOWN_SESSION, 2, 0xFFFF, session=0xFFFF)
    error(rig, IntentError.UNKNOWN_INSTRUMENT, 0, UNWATCHED, locate=UNWATCHED)
    error(rig, IntentError.UNKNOWN_INSTRUMENT, 0, 0, locate=0)
    error(rig, IntentError.UNKNOWN_INSTRUMENT, 0, 9, operation=Operation.MASS_CANCEL, locate=9)
    error(rig, IntentError.FLAGS, 15, IntentFlag.SHORT, flags=IntentFlag.SHORT)
    error(rig, IntentError.FLAGS, 15, 16, flags=16)
    for operation in (Operation.CANCEL, Operation.REPLACE):
        for token in (0, 1, 0xFFFF_FFFF):
            error(rig, IntentError.UNKNOWN_ORDER, 0, token, operation=operation, token=token)
    token = send(rig)
    error(rig, IntentError.FLAGS, 15, 128, operation=Operation.REPLACE, token=token, flags=128)
    answer(rig, Operation.SETTLE_CANCELED, token, quantity=100)
    for operation in (Operation.CANCEL, Operation.REPLACE):
        error(rig, IntentError.UNKNOWN_ORDER, 0, token, operation=operation, token=token)


@pytest.mark.parametrize("operation", [Operation.NEW, Operation.REPLACE])
def test_a_decision_is_stale_beyond_its_time_to_live(rig, operation):
    token = send(rig)
    fields = {"operation": operation, "token": token, "timestamp": 1_000, "ttl_ns": 500}
    before = rig.snapshot()
    for now, age in ((1_501, 501), (499, 501), (1 << 62, 0xFFFF_FFFF)):
        assert rig.new(now, **fields) == b""
        record = rig.last()[1]
        assert (record["error"], record["expected"], record["received"]) == (
            IntentError.STALE, 500, age)
    assert rig.snapshot() == before
    assert rig.new(1_500, **fields)
    assert rig.new(10**15, operation=Operation.CANCEL, token=token, timestamp=1_000, ttl_ns=500)


@pytest.mark.parametrize("timestamp", [1 << 63, (1 << 64) - 1])
def test_an_absurd_time_stamp_is_stale(rig, timestamp):
    assert rig.new(5_000_000_000, timestamp=timestamp, ttl_ns=0xFFFF_FFFF) == b""
    assert rig.last()[1]["error"] == IntentError.STALE


@pytest.mark.parametrize("seen, now, most, is_refused", [
    (10, 12, 2, False), (10, 13, 2, True), (10, 13, 0, False), (10, 9, 5, True),
    (0xFFFF_FFFF, 1, 2, False), (0xFFFF_FFFF, 2, 2, True), (7, 7, 1, False)])
def test_a_decision_on_an_old_book_is_refused(rig, seen, now, most, is_refused):
    rig.book(version=now)
    fields = {"book_version": seen, "max_version_lag": most}
    if is_refused:
        error(rig, IntentError.BOOK_VERSION, now, seen, **fields)
    else:
        assert send(rig, **fields)


def test_one_replace_at_a_time(rig):
    token = send(rig)
    assert rig.new(operation=Operation.REPLACE, token=token)
    second = rig.last()[1]["token"]
    for name in (token, second):
        error(rig, IntentError.REPLACE_PENDING, 0, name, operation=Operation.REPLACE, token=name)
    answer(rig, Operation.SETTLE_REPLACED, second, previous_token=token, quantity=100, price=BID)
    error(rig, IntentError.UNKNOWN_ORDER, 0, token, operation=Operation.REPLACE, token=token)
    assert rig.new(operation=Operation.REPLACE, token=second)


# --- what was sent -----------------------------------------------------------------------------


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
    token = send(rig, 1_000)
    answer(rig, Operation.SETTLE_ACCEPTED, token, 51_000, quantity=100, price=BID)
    summary = histogram.summary(rig.path.arena.view("acknowledge_stage", np.int64))
    assert (summary["count"], summary["max"]) == (1, 50_000)


def test_tokens_end_at_32_bits():
    rig = Rig(first_token=(1 << 32) - 2)
    assert send(rig) == (1 << 32) - 2
    assert send(rig) == (1 << 32) - 1
    record = rig.rejected()
    assert record["checks"] == 1 << 11          # open orders: no place


# --- answers -----------------------------------------------------------------------------------


def test_an_order_lives_from_sent_to_filled(rig):
    token = send(rig, intent_id=8, quantity=100, price=BID, locate=LOCATES[2])
    (kind, record), = answer(rig, Operation.SETTLE_ACCEPTED, token, 3, quantity=100, price=BID,
                             order_reference=55, exchange_timestamp=44)
    assert kind == RecordType.ORDER_ACCEPTED
    wanted = {"timestamp": 3, "exchange_timestamp": 44, "intent_id": 8, "token": token,
              "price": BID, "quantity": 100, "leaves": 100, "reason": 0, "locate": LOCATES[2],
              "order_reference": 55, "match_number": 0}
    assert {name: record[name] for name in wanted} == wanted
    (kind, record), = answer(rig, Operation.SETTLE_FILLED, token, 4, quantity=30, price=BID - 100,
                             match_number=66)
    assert kind == RecordType.ORDER_FILLED
    wanted |= {"timestamp": 4, "exchange_timestamp": 0, "price": BID - 100, "quantity": 30,
               "leaves": 70, "match_number": 66}
    assert {name: record[name] for name in wanted} == wanted
    row = rig.path.exposures[2]
    assert (row["position"], row["cash"], row["open_buy"], row["open_notional"]) == (
        30, -30 * (BID - 100), 70, 70 * BID)
    (kind, record), = answer(rig, Operation.SETTLE_FILLED, token, quantity=70, price=BID)
    assert record["leaves"] == 0 and int(rig.path.gate["open_orders"]) == 0
    assert rig.path.profit(2, BID + 100) == 30 * 200 + 70 * 100
    assert (count(rig, "FILLS"), count(rig, "ORDERS_ACCEPTED")) == (2, 1)


def test_an_order_that_is_dead_on_acceptance_costs_nothing(rig):
    token = send(rig)
    (_, record), = answer(rig, Operation.SETTLE_ACCEPTED, token, flags=1, quantity=100, price=BID)
    assert record["leaves"] == 0
    assert int(rig.path.gate["open_notional"]) == int(rig.path.gate["open_orders"]) == 0
    assert not rig.path.killed


def test_an_acceptance_at_another_price_or_for_less_is_believed(rig):
    token = send(rig, price=BID, quantity=100)
    answer(rig, Operation.SETTLE_ACCEPTED, token, quantity=60, price=BID - 500)
    row = rig.path.exposures[0]
    assert (row["open_buy"], row["open_notional"]) == (60, 60 * (BID - 500))
    assert not rig.path.killed


@pytest.mark.parametrize("operation, fields", [
    (Operation.SETTLE_FILLED, {"quantity": 101, "price": BID}),
    (Operation.SETTLE_CANCELED, {"quantity": 101}),
    (Operation.SETTLE_ACCEPTED, {"quantity": 101, "price": BID}),
    (Operation.SETTLE_REPLACED, {"quantity": 1, "price": BID, "previous_token": 1})])
def test_an_answer_that_contradicts_the_table_kills(rig, operation, fields):
    token = send(rig, quantity=100)
    rig.settle(9, operation=operation, token=token, **fields)
    assert rig.path.killed == KillCause.SETTLEMENT
    assert count(rig, "SETTLE_MISMATCH") == 1
    kind, record = rig.records()[-1]
    assert kind == RecordType.KILL and record["cause"] == KillCause.SETTLEMENT
    row = rig.path.exposures[0]
    if operation == Operation.SETTLE_FILLED:
        assert row["position"] == 101 and row["open_buy"] == 0
    if operation == Operation.SETTLE_ACCEPTED:
        assert row["open_buy"] == 101


def test_a_second_acceptance_or_a_late_reject_kills(rig):
    for operation in (Operation.SETTLE_ACCEPTED, Operation.SETTLE_REJECTED):
        token = send(rig)
        answer(rig, Operation.SETTLE_ACCEPTED, token, quantity=100, price=BID)
        before = int(rig.path.gate["open_notional"])
        answer(rig, operation, token, quantity=100, price=BID)
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
    assert count(rig, "SETTLE_UNKNOWN") == 1
    assert bool(rig.path.killed) == kills
    if not kills:
        assert rig.snapshot() == before


def test_an_answer_through_the_window_is_the_same_answer(rig):
    from tests.order_rig import pack_settle
    token = send(rig)
    assert rig.execute(pack_settle(operation=Operation.SETTLE_FILLED, token=token, quantity=40,
                                   price=BID)) == b""
    kind, record = rig.last()
    assert kind == RecordType.ORDER_FILLED and record["leaves"] == 60
    assert int(rig.path.exposures[0]["position"]) == 40


# --- replace -----------------------------------------------------------------------------------


@pytest.fixture
def pending(rig):
    """An order of 100 at 100.00 with 30 executed, and a replace to 150 in all at 99.00."""
    old = send(rig, quantity=100, price=BID)
    answer(rig, Operation.SETTLE_ACCEPTED, old, quantity=100, price=BID)
    answer(rig, Operation.SETTLE_FILLED, old, quantity=30, price=BID)
    new = send(rig, operation=Operation.REPLACE, token=old, quantity=150, price=BID - DOLLAR)
    return rig, old, new


def exposure(rig):
    row = rig.path.exposures[0]
    return int(row["open_buy"]), int(row["open_notional"]), int(row["open_orders"])


def test_a_chain_counts_once_at_its_worst(pending):
    rig, old, _ = pending
    assert exposure(rig) == (120, 120 * 99 * DOLLAR, 1)
    answer(rig, Operation.SETTLE_FILLED, old, quantity=60, price=BID)
    assert exposure(rig) == (60, 60 * 99 * DOLLAR, 1)


def test_a_replace_takes_over(pending):
    rig, old, new = pending
    (kind, record), = answer(rig, Operation.SETTLE_REPLACED, new, previous_token=old, quantity=120,
                             price=BID - DOLLAR, order_reference=9)
    assert kind == RecordType.ORDER_REPLACED
    assert (record["token"], record["match_number"], record["leaves"], record["quantity"],
            record["order_reference"]) == (new, old, 120, 120, 9)
    assert exposure(rig) == (120, 120 * 99 * DOLLAR, 1)
    answer(rig, Operation.SETTLE_FILLED, new, quantity=120, price=BID - DOLLAR)
    assert exposure(rig) == (0, 0, 0) and int(rig.path.exposures[0]["position"]) == 150


def test_a_rejected_replace_leaves_the_order(pending):
    rig, old, new = pending
    (kind, record), = answer(rig, Operation.SETTLE_REJECTED, new, reason=0x15)
    assert (kind, record["token"], record["reason"]) == (RecordType.ORDER_REJECTED, new, 0x15)
    assert exposure(rig) == (70, 70 * BID, 1)
    assert rig.new(operation=Operation.REPLACE, token=old)


@pytest.mark.parametrize("operation", [Operation.SETTLE_FILLED, Operation.SETTLE_CANCELED])
def test_a_replace_lapses_with_its_order(pending, operation):
    rig, old, new = pending
    (first, _), (second, record) = answer(rig, operation, old, quantity=70, price=BID)
    assert second == RecordType.ORDER_REJECTED
    assert (record["token"], record["quantity"], record["leaves"], record["reason"]) == (
        new, 0, 0, 0)
    assert exposure(rig) == (0, 0, 0) and count(rig, "REPLACES_LAPSED") == 1
    assert not rig.path.killed
    error(rig, IntentError.UNKNOWN_ORDER, 0, new, operation=Operation.CANCEL, token=new)


def test_a_replace_dead_on_arrival_ends_the_chain(pending):
    rig, old, new = pending
    answer(rig, Operation.SETTLE_REPLACED, new, previous_token=old, quantity=120, price=BID,
           flags=1)
    assert exposure(rig) == (0, 0, 0) and not rig.path.killed


def test_a_replace_for_more_than_was_asked_is_believed_and_kills(pending):
    rig, old, new = pending
    answer(rig, Operation.SETTLE_REPLACED, new, previous_token=old, quantity=121, price=BID)
    assert exposure(rig) == (121, 121 * BID, 1)
    assert rig.path.killed == KillCause.SETTLEMENT


def test_a_fill_of_a_replace_before_its_take_over_is_believed_and_kills(pending):
    rig, old, new = pending
    answer(rig, Operation.SETTLE_FILLED, new, quantity=20, price=BID)
    assert exposure(rig) == (100, 100 * 99 * DOLLAR, 1)
    assert int(rig.path.exposures[0]["position"]) == 50
    assert rig.path.killed == KillCause.SETTLEMENT
    error(rig, IntentError.UNKNOWN_ORDER, 0, old, operation=Operation.CANCEL, token=old)


def test_a_replace_keeps_side_and_session_whatever_the_intent_says(rig):
    token = send(rig, flags=SHORT, session=1)
    packet = rig.new(operation=Operation.REPLACE, token=token, flags=SELL | IntentFlag.IMMEDIATE,
                     session=0, locate=UNWATCHED)
    record = rig.last()[1]
    assert (record["side"], record["session"], record["locate"]) == ("T", 1, LOCATES[0])
    assert packet[2 + 1 + 21:][:1] == b"3"


def test_both_orders_of_a_chain_can_be_cancelled(pending):
    rig, old, new = pending
    for token in (old, new):
        assert rig.new(operation=Operation.CANCEL, token=token)[4:8] == token.to_bytes(4, "big")


# --- kill, arming, watchdog --------------------------------------------------------------------


def test_power_on_state_is_killed():
    rig = Rig(is_ready=False)
    assert rig.path.killed == KillCause.POWER_ON


def test_causes_accumulate_with_one_record_each(rig):
    for cause in (KillCause.REGISTER, KillCause.EXTERNAL, KillCause.REGISTER):
        order_path.kill(rig.address, cause, 5)
    records = rig.records()
    assert [record["cause"] for _, record in records] == [
        KillCause.REGISTER, KillCause.REGISTER | KillCause.EXTERNAL]
    assert count(rig, "KILLS") == 1 and int(rig.path.context["kill_time"]) == 5


def test_the_kill_record_tells_what_is_open(rig):
    send(rig)
    send(rig, intent_id=99)
    rig.path.context["watchdog_ns"] = 10_000_000
    order_path.kill(rig.address, KillCause.LINK_DOWN, 6)
    record = rig.last()[1]
    assert (record["open_orders"], record["last_intent"], record["watchdog_period"]) == (
        2, 99, 10_000)


def test_cancels_and_answers_go_on_when_killed(rig):
    token = send(rig, quantity=100)
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    rig.records()
    rig.rejected()
    assert rig.new(operation=Operation.CANCEL, token=token)
    rig.records()
    answer(rig, Operation.SETTLE_FILLED, token, quantity=40, price=BID)
    assert int(rig.path.exposures[0]["position"]) == 40


def keys(rig):
    first = int(rig.path.context["epoch"]) ^ ARM_KEY
    return first, first ^ 0xFFFF_FFFF


def test_two_keys_within_a_millisecond_arm_and_make_a_new_epoch(rig):
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    first, second = keys(rig)
    epoch = int(rig.path.context["epoch"])
    assert order_path.arm(rig.address, first, 1_000) == 0
    assert rig.path.killed
    assert order_path.arm(rig.address, second, 1_001_000) == 1
    assert not rig.path.killed and int(rig.path.context["epoch"]) == epoch + 1
    rig.records()
    rig.execute(sealed(pack_intent(price=BID, quantity=1), epoch,
                       int(rig.path.context["expected"])), seal=False)
    assert rig.last()[1]["error"] == IntentError.EPOCH


@pytest.mark.parametrize("sequence", ["second", "wrong", "first late second", "second first wrong",
                                      "first wrong second", "first early second"])
def test_any_other_keys_do_not_arm(rig, sequence):
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    first, second = keys(rig)
    now, result = 10_000_000, 0
    for word in sequence.split():
        if word == "late":
            now += 1_000_001
        elif word == "early":
            now -= 1
        else:
            result = order_path.arm(rig.address, {"first": first, "second": second,
                                                  "wrong": 7}[word], now)
    assert result == -1 and rig.path.killed
    assert count(rig, "ARMS_REFUSED") >= 1


def test_a_kill_between_the_keys_forgets_the_first(rig):
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    first, second = keys(rig)
    assert order_path.arm(rig.address, first, 10) == 0
    order_path.kill(rig.address, KillCause.FEED_STALE, 11)
    assert order_path.arm(rig.address, second, 12) == -1


def test_an_armed_device_takes_no_keys(rig):
    for key in keys(rig):
        assert order_path.arm(rig.address, key, 0) == -1
    with pytest.raises(TickwireError, match="only a killed one can be armed"):
        rig.path.arm(0)


def test_the_watchdog_bites_after_its_period_and_not_before(rig):
    rig.path.context["watchdog_ns"] = 1_000
    rig.path.context["kick_time"] = 5_000
    assert order_path.watch(rig.address, 6_000) == 0
    assert order_path.kick(rig.address, 1, 6_000) == 1
    assert order_path.watch(rig.address, 7_000) == 0
    assert order_path.watch(rig.address, 7_001) == 1
    assert rig.path.killed == KillCause.WATCHDOG
    kind, record = rig.last()
    assert kind == RecordType.KILL and record["last_kick"] == 6_000
    assert order_path.watch(rig.address, 9_000) == 0, "killed once"
    rig.path.arm(9_000)
    assert order_path.watch(rig.address, 10_000) == 0, "arming starts the period"


def test_only_a_rising_value_kicks(rig):
    rig.path.context["watchdog_ns"] = 1_000
    assert order_path.kick(rig.address, 5, 100) == 1
    for value in (5, 4, 0, -1):
        assert order_path.kick(rig.address, value, 900) == 0
    assert count(rig, "WATCHDOG_REFUSED") == 4
    assert order_path.watch(rig.address, 1_101) == 1


def test_a_nop_kicks_because_it_proves_the_path(rig):
    rig.path.context["watchdog_ns"] = 1_000
    rig.execute(pack_intent(operation=Operation.NOP), 5_000)
    assert order_path.watch(rig.address, 6_000) == 0
    rig.execute(sealed(pack_intent(operation=Operation.NOP), 9,
                       int(rig.path.context["expected"])), 6_000, seal=False)
    assert order_path.watch(rig.address, 6_001) == 1, "a NOP of another epoch proves nothing"


# --- mass cancel -------------------------------------------------------------------------------


def cancelled(packets):
    """Tokens of a group of Cancel Order packets of 12 octets."""
    assert len(packets) % 12 == 0
    parts = [packets[start:start + 12] for start in range(0, len(packets), 12)]
    assert all(part[:4] == b"\x00\x0aUX" and part[8:] == bytes(4) for part in parts)
    return [int.from_bytes(part[4:8], "big") for part in parts]


def sweep_all(rig, now=0):
    groups = []
    while order_path.sweeping(rig.address):
        groups.append(cancelled(rig.leave(order_path.sweep(rig.address, now), now)))
    return groups


def test_a_mass_cancel_goes_on_over_calls_until_every_order_was_cancelled(rig):
    tokens = [send(rig) for _ in range(2 * BATCH + 3)]
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0, intent_id=5, timestamp=6))
    assert first == tokens[:BATCH]
    records = rig.records()
    assert len(records) == BATCH
    assert {(kind, record["operation"], record["intent_id"], record["intent_timestamp"])
            for kind, record in records} == {(RecordType.ORDER_SENT, Operation.CANCEL, 5, 6)}
    late = send(rig)                            # sent while the cancel is under way
    groups = sweep_all(rig)
    assert [len(group) for group in groups if group] == [BATCH, 3]
    assert sum(groups, first) == tokens and late not in sum(groups, first)
    assert count(rig, "CANCELS_SENT") == len(tokens)


def test_a_mass_cancel_of_one_instrument_spares_the_others(rig):
    mine = [send(rig, locate=LOCATES[1]) for _ in range(3)]
    for _ in range(3):
        send(rig)
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=LOCATES[1]))
    assert sum(sweep_all(rig), first) == mine


def test_a_call_looks_at_a_bounded_number_of_rows():
    rig = Rig(orders_log2=12)
    send(rig)
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0))
    groups = sweep_all(rig)
    assert sum(groups, first) == [1] and len(groups) == 4096 // SCAN


def test_a_group_is_for_one_session_and_a_session_that_is_down_is_counted(rig):
    a = [send(rig, session=0) for _ in range(2)]
    b = [send(rig, session=1) for _ in range(2)]
    c = [send(rig, session=0)]
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    rig.new(operation=Operation.MASS_CANCEL, locate=0)
    groups, sessions = [a], [0]
    while order_path.sweeping(rig.address):
        group = cancelled(rig.leave(order_path.sweep(rig.address, 0)))
        if group:
            groups.append(group)
            sessions.append(int(rig.path.context["tx_session"]))
    assert groups == [a, b, c] and sessions == [0, 1, 0]
    rig.up[1] = 0
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0))
    assert sum(sweep_all(rig), first) == a + c and count(rig, "CANCELS_UNSENT") == 2


def test_a_kill_cancels_everything_when_it_is_told_to(rig):
    tokens = [send(rig), send(rig, locate=LOCATES[1])]
    order_path.kill(rig.address, KillCause.EXTERNAL, 0)
    assert sweep_all(rig) == []
    rig.path.arm(0)
    rig.path.context["kill_action"] = 1
    order_path.kill(rig.address, KillCause.EXTERNAL, 7)
    assert sum(sweep_all(rig), []) == tokens
    assert all(record["intent_id"] == 0 for _, record in rig.records()
               if "operation" in record and record["operation"] == Operation.CANCEL)


def test_a_mass_cancel_keeps_the_record_of_an_order_just_sent(rig):
    order_path.execute(rig.address, rig.put(sealed(pack_intent(price=BID, quantity=7), 2, 1)), 10)
    order_path.kill(rig.address, KillCause.EXTERNAL, 11)
    rig.path.context["kill_action"] = 1
    order_path.kill(rig.address, KillCause.REGISTER, 12)
    assert not order_path.sweeping(rig.address), "only the first cause cancels"
    rig.path.arm(13)
    order_path.kill(rig.address, KillCause.REGISTER, 14)
    assert cancelled(rig.leave(order_path.sweep(rig.address, 15), 16)) == [1]
    assert [(record["timestamp"], record["operation"]) for kind, record in rig.records()
            if kind == RecordType.ORDER_SENT] == [(15, Operation.NEW), (16, Operation.CANCEL)]


def test_a_narrower_mass_cancel_never_shortens_one_under_way(rig):
    tokens = [send(rig, locate=LOCATES[index % 2]) for index in range(40)]
    rig.new(operation=Operation.MASS_CANCEL, locate=0)
    found = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=LOCATES[0]))
    assert set(sum(sweep_all(rig), found)) == set(tokens)


def test_a_mass_cancel_waits_for_room_in_the_ring():
    rig = Rig(ring_log2=6)
    for _ in range(60):
        send(rig)
    found = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0))
    for _ in range(10):                         # the host does not read
        found += cancelled(rig.leave(order_path.sweep(rig.address, 0)))
    assert len(found) == 64 - RESERVED_RECORDS
    while order_path.sweeping(rig.address):
        rig.records()
        found += cancelled(rig.leave(order_path.sweep(rig.address, 0)))
    assert found == list(range(1, 61)) and count(rig, "RECORDS_DROPPED") == 0


def test_a_cancel_on_a_session_that_is_down_is_refused(rig):
    token = send(rig, session=1)
    rig.up[1] = 0
    error(rig, IntentError.SESSION_DOWN, 1, 1, operation=Operation.CANCEL, token=token)


# --- after a reconnect -------------------------------------------------------------------------


def test_orders_that_never_arrived_are_buried_when_the_venue_tells_its_next_number(rig):
    arrived, lost = send(rig), send(rig)
    answer(rig, Operation.SETTLE_ACCEPTED, arrived, quantity=100, price=BID)
    replace = send(rig, operation=Operation.REPLACE, token=arrived, quantity=200)
    other = send(rig, session=1)
    assert order_path.reconcile(rig.address, 0, lost, 4) == 1
    records = rig.records()
    assert [(kind, record["token"]) for kind, record in records] == [
        (RecordType.ORDER_REJECTED, lost), (RecordType.ORDER_REJECTED, replace)]
    assert exposure(rig) == (200, 200 * BID, 2), (arrived, other)
    assert count(rig, "ORDERS_LOST") == 2 and not rig.path.killed


def test_a_next_number_below_an_accepted_order_kills(rig):
    token = send(rig)
    answer(rig, Operation.SETTLE_ACCEPTED, token, quantity=100, price=BID)
    order_path.reconcile(rig.address, 0, token, 0)
    assert rig.path.killed == KillCause.SETTLEMENT


def test_lost_orders_are_found_however_old_they_are():
    rig = Rig(orders_log2=4)
    lost = send(rig, session=1)
    for _ in range(40):
        answer(rig, Operation.SETTLE_REJECTED, send(rig))
    assert order_path.reconcile(rig.address, 1, 1, 0) == 1
    kind, record = rig.last()
    assert (kind, record["token"], record["exchange_timestamp"]) == (
        RecordType.ORDER_REJECTED, lost, 0)


def test_burying_waits_for_room_in_the_ring():
    rig = Rig(ring_log2=6)
    for _ in range(50):
        send(rig)
    calls = 1
    while order_path.reconcile(rig.address, 0, 1, 0) == 0:
        rig.records()
        calls += 1
    assert calls == 2 and int(rig.path.gate["open_orders"]) == 0


@pytest.mark.parametrize("options, words", [
    ({"orders_log2": 3}, "orders_log2 must be 4 to 24, not 3"),
    ({"ring_log2": 5}, "ring_log2 must be 6 to 20, not 5"),
    ({"capacity": "X"}, "capacity must be one of A P R O, not 'X'")])
def test_memory_refuses_sizes_that_can_not_work(rig, options, words):
    with pytest.raises(ValueError, match=words):
        OrderMemory(rig.book_side, **options)
