"""Samples of orders pass in their cycle, and no latency of a message is lost between them.

Method: a batch model with latencies as dense as operations are, between samples of orders as dense
as frames and answers are, at every distance of the two; then beyond that rule.
"""

import random

import numpy as np
import pytest

from tickwire.spec.stages import STAGES, StageIndex
from tickwire_hw.order_stages import SAMPLES
from tickwire_hw.sample_merge import DEPTH, WAITING, SampleMerge
from tickwire_sim.verilate import verilate

FRAME, ANSWER = 9, 20                      # cycles that a frame and an answer take at least
EVERY = 2                                  # cycles from an operation to the next
CYCLES, DRAIN = 400, 8


@pytest.fixture(scope="module")
def model():
    return verilate(SampleMerge())


def run(model, orders, messages):
    """Return the output rows, samples and latencies in these cycles: all that went in is unlike."""
    model.restart()
    rows = model.rows(CYCLES + DRAIN)
    rows["i__valid"][orders] = rows["applied__valid"][messages] = 1
    model.put(rows, "i__payload", stage=np.arange(len(rows)) % len(STAGES),
              duration=np.arange(len(rows)) + (1 << 40))
    rows["applied__payload"] = np.arange(len(rows)) + (1 << 31)
    found = model.run(rows)
    stages, durations = (model.get(found, "o__payload", name).astype(np.int64)
                         for name in ("stage", "duration"))
    is_order = rows["i__valid"] == 1
    assert found["o__valid"][is_order].all()   # in their cycle, as they are
    assert (stages[is_order] == np.flatnonzero(is_order) % len(STAGES)).all()
    assert (durations[is_order] == np.flatnonzero(is_order) + (1 << 40)).all()
    is_other = (found["o__valid"] == 1) & ~is_order
    assert (stages[is_other] == StageIndex.RECEIVE).all()
    return found, np.flatnonzero(is_other), durations[is_other] - (1 << 31)


def of_orders(frames, answers):
    """Cycles of samples: three behind each frame, and one an answer where there is room."""
    found = {frame + place for frame in frames for place in range(SAMPLES)}
    at = answers
    while at < CYCLES:
        while at in found:
            at += 1
        found.add(at)
        at += ANSWER
    return np.array(sorted(cycle for cycle in found if cycle < CYCLES))


@pytest.mark.parametrize("phase", range(EVERY))
@pytest.mark.parametrize("frame", range(FRAME))
def test_all_latencies_go_on_in_order_whatever_orders_there_are(model, phase, frame):
    messages, most = np.arange(phase, CYCLES, EVERY), 0
    for answers in range(ANSWER):
        found, cycles, came = run(model, of_orders(range(frame, CYCLES, FRAME), answers), messages)
        assert came.tolist() == messages.tolist() and not found["is_lost"].any()
        assert (cycles > messages).all()
        waits = [int(((messages < cycle) & (cycles >= cycle)).sum()) for cycle in range(CYCLES)]
        most = max(most, *waits)
    assert most <= WAITING


def test_any_flow_that_leaves_room_passes(model):
    draw = random.Random(7)
    for _ in range(50):
        at, frames = 0, []
        while (at := at + draw.choice((FRAME, FRAME + 1, 13, 40))) < CYCLES:
            frames.append(at)
        messages = np.cumsum([draw.choice((2, 2, 2, 3, 5, 9)) for _ in range(CYCLES)])
        messages = messages[messages < CYCLES]
        found, _, came = run(model, of_orders(frames, draw.randrange(ANSWER)), messages)
        assert came.tolist() == messages.tolist() and not found["is_lost"].any()


def test_without_orders_a_latency_goes_on_a_cycle_after_it_came(model):
    messages = np.arange(0, CYCLES, EVERY)
    _, cycles, came = run(model, [], messages)
    assert came.tolist() == messages.tolist() and (cycles == messages + 1).all()


def test_what_finds_no_place_is_told_as_lost_and_nothing_else_is(model):
    """Samples of orders in every cycle, which no order path has."""
    messages = np.arange(0, CYCLES // 2, EVERY)
    found, _, came = run(model, np.arange(CYCLES // 2), messages)
    assert came.tolist() == messages[:DEPTH].tolist()
    assert np.flatnonzero(found["is_lost"]).tolist() == messages[DEPTH:].tolist()
