"""What the card counts of an order's way is what the kernels count.

Method: messages and answers at random go to a batch model, whose samples are counted, and to the
kernels; every histogram is compared. In the order path itself, with a clock that runs, durations
are worked out from the cycles of its ports.
"""

import random

import numpy as np
import pytest

from tests.order_card import model_of
from tests.order_rig import DOLLAR, pack_settle
from tests.trigger_rig import STAMP, Twin, market_columns
from tickwire.kernels import histogram, order_stages
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import Operation, TriggerKind
from tickwire.spec.records import RECORDS, RecordType
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES, StageIndex
from tickwire.spec.wire import decode
from tickwire_hw.order_stages import SAMPLES, OrderStages
from tickwire_sim.verilate import verilate

ROWS_LOG2 = 4
MESSAGES = 3_000
ASK = 100 * DOLLAR
CYCLE_NS, RECORD_AT, ANSWER_AT = 10, 3, 100
FIRST_WORD = 5                             # cycles from a market record to an armed order's
TIMES = (0, 1, 5, 1_000, 1 << 35, 1 << 40)


@pytest.fixture(scope="module")
def model():
    return verilate(OrderStages(ROWS_LOG2))


def place(found, stage):
    return found[StageIndex[stage]].ctypes.data


@pytest.mark.parametrize("seed", range(3))
def test_samples_are_what_the_kernels_count(model, seed):
    draw, now = random.Random(seed), 1
    ours, theirs = (np.zeros((len(STAGES), HISTOGRAM_WORDS), np.int64) for _ in range(2))
    sent, events = {}, []
    model.restart()
    rows = model.rows((SAMPLES + 2) * MESSAGES + 8)
    cycle = 0
    for _ in range(MESSAGES):
        now += draw.choice(TIMES[:4])
        token = draw.randrange(1, 3 << ROWS_LOG2)
        row = rows[cycle:cycle + 1]
        if draw.random() < 0.5:
            begin, verdict = now, now + draw.choice(TIMES)
            egress = draw.choice((0, verdict, verdict + draw.choice(TIMES)))
            ingress = draw.choice((0, 1, begin - 1, begin, begin + 1, max(begin - 900, 0)))
            has_row, is_counted = draw.random() < 0.7, bool(egress) and draw.random() < 0.8
            row["departed__valid"], row["verdict"] = 1, verdict
            model.put(row, "departed__payload", token=token, begin=begin, egress=egress,
                      ingress=ingress, has_row=has_row, is_counted=is_counted)
            if has_row:
                sent[token % (1 << ROWS_LOG2)] = egress
            if is_counted:
                order_stages.left(*(place(theirs, name) for name in (
                    "RISK", "SEND", "TICK_TO_ORDER")), begin, verdict, egress, ingress)
        else:
            row["acknowledged__valid"], row["acknowledged__payload"], row["now"] = 1, token, now
            order_stages.acknowledged(place(theirs, "ORDER_TO_ACK"),
                                      sent.get(token % (1 << ROWS_LOG2), 0), now)
        events.append(cycle)
        cycle += SAMPLES + draw.randrange(2)
    found = model.run(rows, when="o__valid")
    stages, durations = (model.get(found, "o__payload", name) for name in ("stage", "duration"))
    for stage, duration in zip(stages.tolist(), durations.astype(np.int64).tolist(), strict=True):
        histogram.add(ours[stage].ctypes.data, duration)
    assert (ours == theirs).all()
    assert all(ours[StageIndex[name], 0] > MESSAGES // 20 for name in (
        "RISK", "SEND", "TICK_TO_ORDER", "ORDER_TO_ACK"))


def test_an_armed_order_carries_both_stamps_and_each_of_its_stages_is_counted():
    twin = Twin(model_of(CARD_SMALL))
    twin.ready()
    twin.step("trigger", {"kind": TriggerKind.TAKE, "price": ASK, "quantity": 100,
                          "trigger_price": ASK})
    card, start = twin.card, 20_000
    model = card.model
    rows = card.columns(256)
    rows["now"] = start + CYCLE_NS * np.arange(len(rows))
    given = {RECORD_AT: market_columns(RecordType.BBO, {
        "bid": ASK - 100, "ask": ASK, "ask_quantity": 100, "bid_quantity": 100}),
        ANSWER_AT: {"i": {"intent": np.frombuffer(pack_settle(
            operation=Operation.SETTLE_ACCEPTED, token=1, price=ASK, quantity=100),
            np.uint64).reshape(1, 8)}}}
    for cycle, shown in given.items():
        for port, columns in shown.items():
            rows[f"{port}__valid"][cycle] = 1
            model.put(rows[cycle:cycle + 1], f"{port}__payload", **columns)
    card.records = []
    found = model.run(rows)
    card.keep(rows, found)
    record = next(decode(RECORDS[kind], octets + bytes(8)) for kind, octets in card.records
                  if kind == RecordType.ORDER_SENT)
    first_word = int(found["o__valid"].argmax())
    assert first_word == RECORD_AT + FIRST_WORD
    egress = start + CYCLE_NS * first_word
    assert (record["intent_timestamp"], record["timestamp"]) == (STAMP, egress)

    counted = found[found["stage__valid"] == 1]
    samples = {StageIndex(int(stage)).name: int(duration) for stage, duration in zip(
        *(model.get(counted, "stage__payload", name) for name in ("stage", "duration")),
        strict=True)}
    answered = start + CYCLE_NS * ANSWER_AT
    assert len(counted) == len(samples) and samples == {
        "RISK": 2 * CYCLE_NS, "SEND": 0, "TICK_TO_ORDER": egress - STAMP,
        "ORDER_TO_ACK": answered - egress}
