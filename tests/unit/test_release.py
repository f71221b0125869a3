"""A session that the host runs gets order messages as records of the device, and no other way.

Method: a software device whose order session is the host's, with turns by hand; records are
compared field by field with what was asked for, and the socket of the venue stays silent.
"""

import itertools
import os
import time

import numpy as np
import pytest

from tests.reference import itch
from tests.system.conformance import DOLLAR, LOCATES, Bench, software
from tests.unit.test_engine import AAA, engine
from tickwire.feed.frame_ring import FrameRing
from tickwire.spec.checks import CheckIndex
from tickwire.spec.intents import SETTLE, IntentFlag, Operation
from tickwire.spec.records import RecordType
from tickwire.spec.render import dtype

UP = 1 << 16
SETTLE_DTYPE = dtype(SETTLE)
numbers = itertools.count()


@pytest.fixture
def trading():
    """What makes an engine of a bench, and closes it."""
    made = []

    def make(bench: Bench):
        made.append(engine(bench))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def bench():
    """A device that trades through a session of the host."""
    with software(f"release-{os.getpid()}-{next(numbers)}", is_released=True) as made:
        made.open_market()
        made.limits()
        made.device.write_register("SESSION_STATE", UP)
        made.turn()
        made.device.arm()
        made.records()
        made.answers()
        yield made


def intent(bench: Bench, operation: Operation, **fields: int) -> list[tuple[RecordType, dict]]:
    """Push an intent; return the order records that came of it."""
    bench.device.push_intent({"timestamp": time.time_ns(), "operation": operation,
                              "locate": AAA, **fields})
    bench.turn()
    assert bench.heard() == []
    return bench.answers()


def settle(bench: Bench, operation: Operation, token: int, **fields: int) -> None:
    row = np.zeros(1, SETTLE_DTYPE)
    for name, value in {"operation": operation, "token": token, **fields}.items():
        row[0][name] = value
    bench.device.push_intent(row[0])
    bench.turn()


def new(bench: Bench, **fields: int) -> dict:
    """Enter an order to buy 100 AAA at 100 dollars; return its ORDER_RELEASED."""
    (first, released), (second, sent) = intent(bench, Operation.NEW, **{
        "intent_id": 7, "price": 100 * DOLLAR, "quantity": 100, **fields})
    assert (first, second) == (RecordType.ORDER_RELEASED, RecordType.ORDER_SENT)
    assert sent["token"] == released["token"] and sent["intent_id"] == released["intent_id"]
    return released


def common(**fields: object) -> dict:
    return {"symbol": "AAA", "intent_id": 7, "token": 1, "previous": 0, "price": 100 * DOLLAR,
            "quantity": 100, "total": 0, "executed": 0, "locate": AAA, "side": "B",
            "operation": Operation.NEW, "session": 0, "strategy": 0, "flags": 0, **fields}


def shown(record: dict, like: dict) -> dict:
    return {name: record[name] for name in like}


def test_a_new_order_leaves_as_a_record_and_the_socket_stays_silent(bench):
    flags = IntentFlag.SELL | IntentFlag.SHORT | IntentFlag.IMMEDIATE
    price = 101 * DOLLAR                       # above the bid: short sales may be restricted
    released = new(bench, flags=int(flags), strategy=3, price=price)
    wanted = common(side="T", flags=int(flags), strategy=3, price=price)
    assert shown(released, wanted) == wanted


def test_a_replace_names_the_order_it_replaces_and_what_that_had(bench):
    new(bench)
    settle(bench, Operation.SETTLE_ACCEPTED, 1, quantity=100, price=100 * DOLLAR)
    settle(bench, Operation.SETTLE_FILLED, 1, quantity=30, price=100 * DOLLAR)
    bench.answers()
    (_, released), _ = intent(bench, Operation.REPLACE, intent_id=8, token=1, quantity=150,
                              price=99 * DOLLAR)
    wanted = common(intent_id=8, token=2, previous=1, quantity=150, price=99 * DOLLAR, total=100,
                    executed=30, operation=Operation.REPLACE)
    assert shown(released, wanted) == wanted


def test_a_cancel_tells_what_is_to_remain_and_what_the_order_had(bench):
    new(bench)
    (_, released), _ = intent(bench, Operation.CANCEL, intent_id=9, token=1, quantity=40)
    wanted = common(intent_id=9, quantity=40, total=100, operation=Operation.CANCEL)
    assert shown(released, wanted) == wanted


def test_a_mass_cancel_releases_one_cancel_an_order(bench):
    for number in range(20):
        new(bench, intent_id=100 + number)
    bench.device.push_intent({"operation": Operation.MASS_CANCEL, "intent_id": 500,
                              "timestamp": time.time_ns()})
    for _ in range(4):
        bench.turn()
    found = bench.answers()
    tokens = [record["token"] for kind, record in found if kind == RecordType.ORDER_RELEASED]
    assert tokens == list(range(1, 21))
    assert [kind for kind, _ in found] == [RecordType.ORDER_RELEASED, RecordType.ORDER_SENT] * 20
    assert bench.heard() == []


def test_nothing_is_released_while_the_session_is_down_or_the_gate_refuses(bench):
    bench.device.write_register("SESSION_STATE", 0)
    bench.turn()
    (kind, record), = intent(bench, Operation.NEW, intent_id=1, price=100 * DOLLAR, quantity=100)
    assert kind == RecordType.RISK_REJECT
    assert record["checks"] == 1 << CheckIndex.SESSION_DOWN
    (kind, _), = intent(bench, Operation.CANCEL, intent_id=2, token=1)
    assert kind == RecordType.INTENT_ERROR
    bench.device.write_register("SESSION_STATE", UP)
    bench.turn()
    bench.device.kill()
    bench.turn()
    bench.answers()
    (kind, record), = intent(bench, Operation.NEW, intent_id=3, price=100 * DOLLAR, quantity=100)
    assert kind == RecordType.RISK_REJECT and record["checks"] & 1


def test_a_session_that_the_device_runs_takes_no_state_from_the_host():
    with software(f"release-{os.getpid()}-own") as made:
        made.open_market()
        made.limits()
        made.device.write_register("SESSION_STATE", UP)
        made.turn()
        assert not made.device.is_session_up


def test_the_loop_hands_every_release_to_the_session_once_and_in_order(bench, trading):
    made = trading(bench)
    for number in range(5):
        bench.send(itch.add(LOCATES["AAA"], 900 + number, b"B", 10, 100 * DOLLAR + 100 * number))
    found = made.releases.take()
    assert found["token"].tolist() == [1, 2, 3, 4, 5]
    assert found["price"].tolist() == [100 * DOLLAR + 100 * number for number in range(5)]
    assert len(made.releases.take()) == 0
    assert bench.heard() == []


def test_answers_through_the_engine_settle_as_those_of_ouch_do(bench, trading):
    made = trading(bench)
    bench.send(itch.add(LOCATES["AAA"], 900, b"B", 10, 100 * DOLLAR))
    made.settle({"operation": Operation.SETTLE_ACCEPTED, "token": 1, "quantity": 100,
                 "price": 100 * DOLLAR, "order_reference": 71})
    made.settle({"operation": Operation.SETTLE_FILLED, "token": 1, "quantity": 100,
                 "price": 100 * DOLLAR, "match_number": 9})
    bench.turn()
    position = made.positions[0]
    assert (int(position["position"]), int(position["open_orders"])) == (100, 0)


def test_while_the_session_takes_nothing_the_device_takes_no_more_intents(bench, trading):
    made = trading(bench)
    capacity = made.releases._ring.capacity
    assert capacity == 1 << 18
    made.host["releases"] = _full(made)
    bench.send(itch.add(LOCATES["AAA"], 900, b"B", 10, 100 * DOLLAR))
    before = bench.device.read_register("RING_ORDER_SEQUENCE")
    for _ in range(10):
        bench.turn()
    assert made.host["orders_next"] <= before      # it waits before the release
    made.host["releases"] = made.releases.address
    bench.turn()
    assert made.releases.take()["token"].tolist() == [1]
    assert made.host["orders_next"] == bench.device.read_register("RING_ORDER_SEQUENCE") + 1


def _full(made) -> int:
    made.full = FrameRing(1 << 18)
    while made.full.put(bytes(40_000)):
        pass
    while made.full.put(bytes(16)):
        pass
    return made.full.address
