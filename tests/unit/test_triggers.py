"""A trigger fires when its record comes, once, in the turn of the datagram, through the whole gate.

Method: a software device with turns by hand; what is armed and what the market then does are
literals, and what leaves is read from the venue's socket and from the order ring.
"""

import itertools
import os
import struct
import time

import numpy as np
import pytest

from tests.reference import itch
from tests.system.conformance import DOLLAR, LOCATES, SYMBOLS, Bench, accepted, executed, software
from tickwire.config import SymbolSettings
from tickwire.engine import Engine
from tickwire.kernels import engine_actions as act
from tickwire.spec.checks import CheckIndex
from tickwire.spec.intents import (
    TRIGGERS,
    IntentError,
    IntentFlag,
    Operation,
    TriggerEvent,
    TriggerKind,
)
from tickwire.spec.records import RecordType
from tickwire.strategy.base import Strategy, handler

AAA, BBB = LOCATES["AAA"], LOCATES["BBB"]
BID, ASK = 100 * DOLLAR, 100 * DOLLAR + 1_000
SELL = int(IntentFlag.SELL)
ids, numbers = itertools.count(1), itertools.count(1_000)


@pytest.fixture
def bench():
    """A device that trades; AAA is quoted 10 cents wide, 500 shares a side."""
    with software(f"trigger-{os.getpid()}-{next(numbers)}") as made:
        made.make_ready()
        opened = 100 + 2 * list(SYMBOLS).index("AAA")
        made.send(itch.delete(AAA, opened), itch.delete(AAA, opened + 1),
                  itch.add(AAA, 801, b"B", 500, BID), itch.add(AAA, 802, b"S", 500, ASK))
        made.records()
        yield made


def arm(bench: Bench, kind: TriggerKind, **fields: int) -> list[tuple[RecordType, dict]]:
    """Arm slot 0, by default to buy 100 AAA at the ask; return the order records."""
    bench.device.push_intent({
        "timestamp": time.time_ns(), "intent_id": next(ids), "operation": Operation.PRE_ARM,
        "locate": AAA, "kind": kind, "price": ASK, "quantity": 100, "generation": 1,
        "trigger_price": ASK, **fields})
    bench.turn()
    return bench.answers()


def disarm(bench: Bench, **fields: int) -> list[tuple[RecordType, dict]]:
    bench.device.push_intent({"timestamp": time.time_ns(), "operation": Operation.DISARM,
                              "locate": AAA, "generation": 1, **fields})
    bench.turn()
    return bench.answers()


def events(answers) -> list[tuple[int, int]]:
    return [(record["slot"], record["event"]) for kind, record in answers
            if kind == RecordType.TRIGGER]


def order(message: bytes) -> tuple:
    """Side, shares, symbol and price of an Enter Order, by the document's layout."""
    assert message[:1] == b"O"
    return struct.unpack(">cI8sQ", message[5:26])


ASK_IMPROVES = itch.add(AAA, 900, b"S", 300, ASK - 200)
BID_IMPROVES = itch.add(AAA, 901, b"B", 300, BID + 200)
ASK_RISES = itch.delete(AAA, 802)
BUYS = {
    TriggerKind.TAKE: (dict(trigger_price=ASK - 100), [ASK_IMPROVES]),
    TriggerKind.JOIN: (dict(trigger_price=BID + 100), [BID_IMPROVES]),
    TriggerKind.SIZE: (dict(trigger_quantity=400), [itch.cancel(AAA, 802, 100)]),
    TriggerKind.CROSS: (dict(trigger_price=ASK + 300, price=ASK + 500),
                        [itch.add(AAA, 903, b"S", 100, ASK + 400), ASK_RISES]),
    TriggerKind.TRADE_THROUGH: (dict(trigger_price=BID - 100),
                                [itch.trade(AAA, 0, b"B", 50, BID, 5)]),
}
SALES = {
    TriggerKind.TAKE: (dict(trigger_price=BID + 100), [BID_IMPROVES]),
    TriggerKind.JOIN: (dict(trigger_price=ASK - 100), [ASK_IMPROVES]),
    TriggerKind.SIZE: (dict(trigger_price=BID, trigger_quantity=400),
                       [itch.cancel(AAA, 801, 100)]),
    TriggerKind.CROSS: (dict(trigger_price=BID - 300, price=BID - 500),
                        [itch.add(AAA, 904, b"B", 100, BID - 400), itch.delete(AAA, 801)]),
    TriggerKind.TRADE_THROUGH: (dict(trigger_price=ASK + 100),
                                [itch.trade(AAA, 0, b"S", 50, ASK, 5)]),
}


@pytest.mark.parametrize(("side", "kind"), [(side, kind) for side, kinds in (
    ("B", BUYS), ("S", SALES)) for kind in kinds])
def test_it_fires_when_its_market_comes_and_only_then(bench, side, kind):
    fields, messages = (BUYS if side == "B" else SALES)[kind]
    fields = {"flags": 0 if side == "B" else SELL, "price": ASK if side == "B" else BID, **fields}
    assert events(arm(bench, kind, **fields)) == [(0, TriggerEvent.ARMED)]
    bench.send(itch.add(AAA, 990, b"B", 10, BID - 5_000))      # nothing that it waits for
    assert bench.heard() == []
    for message in messages:
        bench.send(message)
    sent, = bench.heard()
    assert order(sent) == (side.encode(), 100, b"AAA     ", fields["price"])
    answers = bench.answers()
    assert [kind for kind, _ in answers] == [RecordType.TRIGGER, RecordType.ORDER_SENT]
    fired, left = answers[0][1], answers[1][1]
    assert (fired["event"], fired["token"]) == (TriggerEvent.FIRED, left["token"])
    market = [record for kind, record in bench.records() if kind in (RecordType.BBO,
                                                                     RecordType.TRADE)]
    cause = next(record for record in market if record["feed_sequence"] == fired["feed_sequence"])
    assert left["intent_timestamp"] == cause["timestamp"]      # the stamp of what fired it
    bench.send(itch.add(AAA, 991, b"S", 700, ASK - 300))
    assert bench.heard() == []                 # once


def test_a_condition_that_holds_when_it_is_armed_fires_with_the_next_record(bench):
    arm(bench, TriggerKind.TAKE)
    assert bench.heard() == []
    bench.send(itch.add(AAA, 900, b"B", 10, BID))
    assert len(bench.heard()) == 1


def test_too_few_shares_do_not_fire_a_take(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100, trigger_quantity=301)
    bench.send(ASK_IMPROVES)
    assert bench.heard() == []
    bench.send(itch.add(AAA, 902, b"S", 1, ASK - 200))
    assert len(bench.heard()) == 1


def test_another_instrument_fires_nothing(bench):
    arm(bench, TriggerKind.TAKE)
    bench.send(itch.add(BBB, 903, b"S", 100, ASK - 500))
    assert bench.heard() == []


def test_every_message_of_a_datagram_is_looked_at_in_order(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100)
    from tests.feed_rig import mold
    first, bench.sequence = bench.sequence, bench.sequence + 2
    bench.lines[0][0].send(mold(first, ASK_IMPROVES, itch.delete(AAA, 900)))
    bench.turn()
    assert len(bench.heard()) == 1             # the better price was there for one message


def test_all_slots_of_an_instrument_fire_on_one_record_in_their_order(bench):
    for slot in reversed(range(TRIGGERS)):
        arm(bench, TriggerKind.TAKE, slot=slot, trigger_price=ASK - 100, quantity=100 + slot,
            price=ASK - 100 * slot)
    bench.send(ASK_IMPROVES)
    assert [order(message)[1] for message in bench.heard()] == [
        100 + slot for slot in range(TRIGGERS)]


def test_one_of_a_group_cancels_the_others_and_no_one_else(bench):
    for slot, group in enumerate((7, 7, 0, 8)):
        arm(bench, TriggerKind.TAKE, slot=slot, group=group,
            trigger_price=ASK - (100 if slot == 1 else 5_000))
    bench.send(ASK_IMPROVES)
    assert len(bench.heard()) == 1
    assert events(bench.answers()) == [(1, TriggerEvent.FIRED), (0, TriggerEvent.GROUP)]
    assert events(disarm(bench, slot=2)) == [(2, TriggerEvent.DISARMED)]
    assert events(disarm(bench, slot=3)) == [(3, TriggerEvent.DISARMED)]


def test_a_resting_order_is_cancelled_when_the_market_moves(bench):
    token = struct.unpack(">I", bench.order(price=BID, quantity=100)[0][1:5])[0]
    bench.say(accepted(token, price=BID))
    bench.answers()
    arm(bench, TriggerKind.CANCEL_ON_MOVE, token=token, trigger_price=ASK - 100)
    bench.send(ASK_IMPROVES)
    message, = bench.heard()
    assert struct.unpack(">cII", message[:9]) == (b"X", token, 0)
    fired = next(record for kind, record in bench.answers() if kind == RecordType.TRIGGER)
    assert (fired["event"], fired["token"]) == (TriggerEvent.FIRED, token)


def test_fills_are_hedged_share_for_share_until_the_quantity_is_used_up(bench):
    token = struct.unpack(">I", bench.order(price=BID, quantity=100)[0][1:5])[0]
    bench.say(accepted(token, price=BID))
    bench.answers()
    arm(bench, TriggerKind.FILL_HEDGE, token=token, flags=SELL, price=BID, quantity=70)
    bench.say(executed(token, 30, BID))
    bench.say(executed(token, 50, BID))
    bench.say(executed(token, 20, BID))
    assert [order(message)[:2] for message in bench.heard()] == [(b"S", 30), (b"S", 40)]
    assert events(bench.answers()) == [(0, TriggerEvent.FIRED)] * 2


def test_a_hedge_of_another_instruments_order_is_refused(bench):
    token = struct.unpack(">I", bench.order(price=BID, quantity=100)[0][1:5])[0]
    bench.answers()
    (kind, record), = arm(bench, TriggerKind.FILL_HEDGE, token=token, locate=BBB, price=BID)
    assert (kind, record["error"], record["received"]) == (
        RecordType.INTENT_ERROR, IntentError.UNKNOWN_ORDER, token)
    assert events(arm(bench, TriggerKind.FILL_HEDGE, token=token, price=BID)) == [
        (0, TriggerEvent.ARMED)]


def test_the_gate_decides_when_it_fires_and_the_slot_is_disarmed_all_the_same(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100, price=ASK + 10 * DOLLAR)
    bench.send(ASK_IMPROVES)
    assert bench.heard() == []
    (first, reject), (second, fired) = bench.answers()
    assert (first, second) == (RecordType.RISK_REJECT, RecordType.TRIGGER)
    assert reject["checks"] == 1 << CheckIndex.COLLAR
    assert (fired["event"], fired["token"]) == (TriggerEvent.FIRED, 0)
    bench.send(itch.add(AAA, 905, b"S", 10, ASK - 300))
    assert bench.heard() == [] and bench.answers() == []


@pytest.mark.parametrize(("fields", "check"), (
    ({"quantity": 0}, CheckIndex.QUANTITY), ({"quantity": 1 << 30}, CheckIndex.QUANTITY),
    ({"price": ASK + 1}, CheckIndex.TICK_SIZE), ({"price": 0}, CheckIndex.TICK_SIZE)))
def test_what_can_never_pass_is_refused_when_it_is_armed(bench, fields, check):
    (kind, reject), = arm(bench, TriggerKind.TAKE, **fields)
    assert kind == RecordType.RISK_REJECT and reject["checks"] >> check & 1
    assert events(arm(bench, TriggerKind.TAKE)) == [(0, TriggerEvent.ARMED)]   # same generation


@pytest.mark.parametrize(("fields", "error"), (
    ({"slot": TRIGGERS}, IntentError.TRIGGER_SLOT), ({"slot": 255}, IntentError.TRIGGER_SLOT),
    ({"kind": 0}, IntentError.TRIGGER_KIND), ({"kind": 8}, IntentError.TRIGGER_KIND),
    ({"generation": 0}, IntentError.TRIGGER_GENERATION),
    ({"generation": 2}, IntentError.TRIGGER_GENERATION),
    ({"kind": TriggerKind.CANCEL_ON_MOVE, "token": 99}, IntentError.UNKNOWN_ORDER),
    ({"kind": TriggerKind.FILL_HEDGE, "token": 0}, IntentError.UNKNOWN_ORDER),
    ({"locate": 60_000}, IntentError.UNKNOWN_INSTRUMENT),
    ({"session": 9}, IntentError.UNKNOWN_SESSION),
    ({"strategy": 999}, IntentError.UNKNOWN_STRATEGY),
    ({"flags": 0x80}, IntentError.FLAGS),
    ({"timestamp": 1, "ttl_ns": 1}, IntentError.STALE)))
def test_what_is_no_trigger_is_refused_by_its_own_code_and_changes_nothing(bench, fields, error):
    kind = fields.pop("kind", TriggerKind.TAKE)
    (found, record), = arm(bench, kind, **fields)
    assert (found, record["error"]) == (RecordType.INTENT_ERROR, error)
    bench.send(ASK_IMPROVES)
    assert bench.heard() == []
    assert events(arm(bench, TriggerKind.TAKE)) == [(0, TriggerEvent.ARMED)]


def test_a_slot_is_disarmed_by_its_generation_only(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100)
    for fields in ({"generation": 0}, {"generation": 2}, {"slot": 1}, {"locate": BBB}):
        (kind, record), = disarm(bench, **fields)
        assert (kind, record["error"]) == (RecordType.INTENT_ERROR,
                                           IntentError.TRIGGER_GENERATION)
    assert events(disarm(bench)) == [(0, TriggerEvent.DISARMED)]
    (kind, record), = disarm(bench)            # twice
    assert record["error"] == IntentError.TRIGGER_GENERATION
    bench.send(ASK_IMPROVES)
    assert bench.heard() == []
    assert events(arm(bench, TriggerKind.TAKE, generation=2)) == [(0, TriggerEvent.ARMED)]


def test_arming_again_replaces_what_was_armed(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100, quantity=100)
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100, quantity=60, generation=2)
    bench.send(ASK_IMPROVES)
    assert [order(message)[1] for message in bench.heard()] == [60]


def test_a_trigger_whose_time_is_over_does_not_fire(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100, ttl_ns=20_000_000)
    time.sleep(.05)
    bench.send(ASK_IMPROVES)
    assert bench.heard() == []
    assert events(bench.answers()) == [(0, TriggerEvent.EXPIRED)]


def test_a_kill_disarms_all_for_good(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100)
    bench.device.kill()
    bench.turn()
    bench.send(ASK_IMPROVES)
    bench.device.arm()
    bench.send(itch.add(AAA, 906, b"S", 10, ASK - 300))
    assert bench.heard() == []


def test_a_book_that_is_not_to_be_believed_fires_nothing(bench):
    arm(bench, TriggerKind.TAKE, trigger_price=ASK - 100)
    bench.send(itch.delete(AAA, 12_345))       # unknown: the book is marked
    bench.send(ASK_IMPROVES)
    assert bench.heard() == []
    assert bench.device.counters()["triggers_fired"] == 0


def test_counters_tell_what_became_of_triggers(bench):
    for slot in range(3):
        arm(bench, TriggerKind.TAKE, slot=slot, trigger_price=ASK - 100, group=int(slot < 2))
    bench.send(ASK_IMPROVES)
    counters = bench.device.counters()
    assert (counters["triggers_armed"], counters["triggers_fired"],
            counters["triggers_disarmed"]) == (3, 2, 1)


# From a strategy


@handler
def stalk(c, record, out):
    """Arm a take one cent below each new best ask, anew after each shot."""
    if act.record_type(record) != RecordType.BBO:
        return 0
    instrument = act.instrument_of(c)
    if act.generation_of(c, instrument, 3) >= 2:
        return act.disarm_trigger(c, out, 0, instrument, 3)
    price = np.int64(act.bbo_at(record)["ask_price"]) - 100
    count = act.arm_trigger(c, out, 0, instrument, 3, act.TAKE, price, 0, act.BUY, price, 100)
    act.bind(out, count, 1, 0, 1_000_000_000)
    return count


class Stalk(Strategy):
    """Waits below the best ask."""

    function, wants = stalk, (RecordType.BBO,)


def test_a_strategy_arms_triggers_that_the_device_fires_before_it_is_asked(bench):
    Engine(bench.device, Stalk((SymbolSettings(symbol="AAA"), SymbolSettings(symbol="BBB")), {}))
    bench.send(itch.add(AAA, 910, b"B", 10, BID))
    assert bench.heard() == []
    assert events(bench.answers(credit=False)) == [(3, TriggerEvent.ARMED)]
    bench.send(itch.add(AAA, 911, b"S", 10, ASK - 100))
    message, = bench.heard()
    assert order(message) == (b"B", 100, b"AAA     ", ASK - 100)
    assert events(bench.answers(credit=False)) == [(3, TriggerEvent.FIRED),
                                                   (3, TriggerEvent.ARMED)]
    bench.send(itch.add(AAA, 912, b"B", 10, BID))
    assert events(bench.answers(credit=False)) == [(3, TriggerEvent.DISARMED)]


def test_a_strategy_learns_the_generation_of_a_slot_that_was_armed_before_its_time(bench):
    made = Engine(bench.device, Stalk((SymbolSettings(symbol="AAA"),
                                       SymbolSettings(symbol="BBB")), {}))
    for generation in (1, 2):
        made.submit({"operation": Operation.PRE_ARM, "locate": AAA, "kind": TriggerKind.TAKE,
                     "slot": 3, "price": ASK, "quantity": 100, "generation": generation,
                     "trigger_price": BID})
        bench.turn()
        assert events(bench.answers(credit=False)) == [(3, TriggerEvent.ARMED)]
    made._arena.view("generations", np.uint32)[:] = 0      # as a new process begins
    bench.send(itch.add(AAA, 910, b"B", 10, BID))
    (kind, error), = bench.answers(credit=False)
    assert (kind, error["error"], error["expected"]) == (
        RecordType.INTENT_ERROR, IntentError.TRIGGER_GENERATION, 3)
    bench.send(itch.add(AAA, 911, b"B", 10, BID))
    assert events(bench.answers(credit=False)) == [(3, TriggerEvent.DISARMED)]


def test_python_hands_triggers_to_the_loop(bench):
    made = Engine(bench.device)
    made.submit({"operation": Operation.PRE_ARM, "locate": AAA, "kind": TriggerKind.TAKE,
                 "price": ASK, "quantity": 100, "generation": 1, "trigger_price": ASK - 100})
    bench.turn()
    bench.send(ASK_IMPROVES)
    assert order(bench.heard()[0])[1] == 100
