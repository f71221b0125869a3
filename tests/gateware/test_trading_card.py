"""The whole card trades as the kernels do: a day, intents and answers on both, record by record.

Method: ``tickwire diff --intents`` with intents near a generated market, every operation, most of
them wrong in some way; packets of both lines at once are in ``tests/system/test_run.py``.
"""

import os
import random

import numpy as np
import pytest

from tests.feed_rig import mold
from tests.reference import itch
from tests.system.conformance import trading
from tickwire.device.order_diff import MIDNIGHT, Driven, OrderComparison, Planned, packets_of
from tickwire.engine import Engine
from tickwire.feed import open_source
from tickwire.spec.geometry import CARD_PLAIN, CARD_SMALL
from tickwire.spec.intents import INTENT, SETTLE, TRIGGER, Operation, TriggerKind
from tickwire.spec.render import dtype
from tickwire_sim.traffic import generate

pytestmark = pytest.mark.long

MESSAGES, INTENTS = 1_500, 250
PLAUSIBLE = [Operation.SETTLE_ACCEPTED, Operation.SETTLE_FILLED, Operation.SETTLE_CANCELED]
ANSWERS = [operation for operation in Operation if operation.name.startswith("SETTLE_")]


def drawn(draw, prices, number, after):
    """An intent near the market, of any operation; what a venue would never say comes late."""
    locate = draw.choice([*prices] * 4 + [0])
    is_late, tokens = after > MESSAGES * 4 // 5, number // 3 + 2
    price = max(prices.get(locate, 0) + 100 * draw.randrange(-5, 6), 0)
    kind, fields = INTENT, {"locate": locate, "price": price, "intent_id": number}
    operation = draw.choices(
        [Operation.NEW, Operation.REPLACE, Operation.CANCEL, Operation.MASS_CANCEL, Operation.NOP,
         Operation.PRE_ARM, Operation.DISARM, draw.choice(ANSWERS if is_late else PLAUSIBLE)],
        [40, 8, 8, 1, 1, 12, 2, 28])[0]
    if operation in ANSWERS:
        kind = SETTLE
        fields = {"token": draw.randrange(tokens), "quantity": draw.choice((1, 1_000 * is_late)),
                  "price": price, "match_number": number, "order_reference": number,
                  "previous_token": draw.randrange(tokens)}
    elif operation in (Operation.PRE_ARM, Operation.DISARM):
        kind = TRIGGER
        fields |= {"kind": draw.randrange(len(TriggerKind) + 2), "slot": draw.randrange(17),
                   "generation": draw.randrange(4), "group": draw.randrange(3),
                   "trigger_price": price, "trigger_quantity": draw.choice((0, 100, 1_000)),
                   "quantity": 100, "flags": draw.randrange(4)}
    else:
        fields |= {"quantity": draw.choice((0, 50, 100, 500, 1 << 20)),
                   "flags": draw.choice((0, 1, 0, 1, 3, 5, 8, 2)),
                   "token": draw.randrange(tokens), "session": draw.choice((0,) * 8 + (3,)),
                   "strategy": draw.choice((0, 1) * 4 + (40,))}
    row = dtype(kind)
    found = [(fields | {"operation": operation}).get(name, 0) for name in row.names]
    return Planned(after, np.array([tuple(found)], row))


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A generated day as a file, with the last price of each stock after each message."""
    octets = bytearray()
    generate(octets.extend, MESSAGES, CARD_SMALL.instruments, 400, 11)
    path = tmp_path_factory.mktemp("day") / "day.itch"
    path.write_bytes(bytes(octets))
    return path, list(itch.messages_of(bytes(octets)))


def test_the_session_of_the_feed_is_that_of_a_packet_whatever_came_before():
    """A request server is asked by this name; nobody takes it from what is no packet."""
    with trading(f"session-{os.getpid()}") as bench:
        bench.engine = Engine(bench.device, None)
        for octets in (b"", b"hello", b"\0" * 10, b"SESSION   " + bytes(9), mold(
                0, itch.system(b"O"), session=b"NUMBER 0  ")):
            bench.lines[0][0].send(octets)
            bench.turn()
            assert bench.device.feed_session == ""
        bench.lines[0][0].send(mold(1, itch.system(b"O"), session=b"TODAY     "))
        bench.turn()
        assert bench.device.feed_session == "TODAY"


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("geometry", [CARD_SMALL, CARD_PLAIN], ids=["small", "plain"])
def test_records_of_market_and_orders_are_the_kernels(day, geometry, seed):
    path, messages = day
    draw, planned, prices = random.Random(seed), [], {}
    for number, message in enumerate(messages, 1):
        if message[:1] in b"AF":
            prices[int.from_bytes(message[1:3], "big")] = int.from_bytes(message[32:36], "big")
        if number > MESSAGES // 10 and draw.random() < INTENTS / MESSAGES:
            planned.append(drawn(draw, prices, len(planned), number))
    devices = [Driven(kind, geometry, {}, 1, MIDNIGHT) for kind in ("software", "verilated")]
    try:
        found = OrderComparison(*devices)
        with open_source(path) as source:
            packets = packets_of(source, [one.after for one in planned])
            for _ in found.run(packets, iter(planned)):
                assert not found.differences, (found.market.first, found.orders.first)
                causes = {device.device.killed for device in devices}
                assert len(causes) == 1
                if causes != {0}:              # by an answer that cannot be: trade on
                    for device in devices:
                        device.device.arm()
        assert found.market.records > MESSAGES // 8 and found.orders.records > INTENTS // 2
        ours, theirs = (device.device.counters() for device in devices)
        for name in ("messages", "order_records", "intents", "intent_errors", "fills",
                     "risk_rejects", "orders_sent", "cancels_sent", "replaces_sent",
                     "settle_unknown", "settle_mismatch", "triggers_armed", "triggers_fired"):
            assert ours[name] == theirs[name], name
        assert ours["orders_sent"] > 20 and ours["fills"]
    finally:
        for device in devices:
            device.close()
