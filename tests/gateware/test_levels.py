"""With levels the card writes the kernels' records too, a LEVEL record before its message's others.

Method: frames of generated flows through the pipeline of a geometry with a depth, compiled, against
the kernels, octet for octet; executions, which have three records, at line rate and from a queue.
"""

import dataclasses
import functools
import os

import numpy as np
import pytest

from tests.garbage import packet
from tests.gateware.test_pipeline import full_packets, packets
from tests.pipeline_rig import LANES, SHOWN, Card, Sent, compare, latencies, schedule
from tests.reference import itch
from tests.reference.flow import flow
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import RecordType
from tickwire_sim.traffic import generate

DEEP = dataclasses.replace(CARD_SMALL, instruments=5, depth=8)
MESSAGES = int(os.environ.get("TICKWIRE_CARD_DAY", "20000"))
RECORD_CYCLES = 49                          # one more than without levels; the grid adds 0 or 1
LEVEL, TRADE, BBO = (kind.value for kind in (RecordType.LEVEL, RecordType.TRADE, RecordType.BBO))


@functools.cache
def card() -> Card:
    return Card(DEEP, "deep_5")


@pytest.mark.parametrize("each", (1, 20))
def test_a_flow_of_all_types_gives_the_kernels_records(each):
    records = compare(card(), [Sent(frame) for frame in packets(flow(2_500, 3), each=each)])
    assert (records[:, -1] == LEVEL).sum() > 1_000


def test_a_generated_day_gives_the_kernels_records():
    octets = bytearray()
    generate(octets.extend, MESSAGES, 4, 1_200, 3)
    messages = list(itch.messages_of(bytes(octets)))
    records = compare(card(), [Sent(frame) for frame in full_packets(messages)], gap=2)
    assert (records[:, -1] == LEVEL).sum() > MESSAGES // 2


def test_what_is_told_ahead_comes_as_it_was_told():
    frames = [Sent(packet(1 + number, [message]), cycle=420 * number)
              for number, message in enumerate(flow(300, 5))]
    records = compare(card(), frames)
    assert len(card().sights) > (records[:, -1] == BBO).sum() / 2


ORDER = itch.add(1, 1, b"B", 1 << 20, 2_000_000)
EXECUTION = itch.executed(1, 1, 10, 5)
CASES = {"A": (itch.add(1, 9, b"B", 100, 2_000_100), [LEVEL, BBO]),
         "D": (itch.delete(1, 1), [LEVEL, BBO]), "E": (EXECUTION, [LEVEL, TRADE, BBO]),
         "U": (itch.replace(1, 1, 9, 100, 2_000_100), [LEVEL, LEVEL, BBO]),
         "A behind the best": (itch.add(1, 9, b"B", 100, 1_999_900), [LEVEL]),
         "P": (itch.trade(1, 0, b"B", 100, 2_000_000, 1), [TRADE])}


@pytest.mark.parametrize("name", CASES)
def test_records_come_one_after_the_other_in_so_many_cycles(name):
    message, kinds = CASES[name]
    start = card().start()
    frames = [Sent(packet(1, [ORDER])), Sent(packet(2, [message]), cycle=400)]
    found = card().send(frames)
    last = start + schedule(frames)[0][1] + (len(frames[1].octets) - 1) // LANES
    rows = found[(found["records__valid"] == 1) & (found["cycle"] > last)]
    assert card().model.get(rows, "records__payload", "kind").tolist() == kinds
    cycles = rows["cycle"].astype(int) - last - RECORD_CYCLES
    assert np.diff(cycles).tolist() == ([2, 1] if name == "U" else [1] * (len(kinds) - 1))
    # Levels add a cycle; a second half of a replace has its own latency.
    wanted = rows["cycle"][0].astype(int) - start - schedule(frames)[0][1] - SHOWN - 1
    assert latencies(card().records(rows)).tolist() == [
        wanted, *[wanted + 2 * (name == "U")] * (len(kinds) - 1)]


def test_executions_at_line_rate_wait_for_nothing():
    """Each has three records and takes a little more than four cycles of the line."""
    frames = [Sent(frame) for frame in full_packets([ORDER, *[EXECUTION] * 1_500])]
    start = card().start()
    firsts, _ = schedule(frames, 2)
    found = card().send(frames, gap=2)
    rows = found[found["records__valid"] == 1]
    last = start + firsts[-1] + -(-len(frames[-1].octets) // LANES) - 1
    assert len(rows) == 1 + 2 + 3 * 1_500   # FEED_STATE first
    assert int(rows["cycle"][-1]) - last < RECORD_CYCLES + 3 + 8
    compare(card(), frames, gap=2)


def test_executions_that_waited_in_the_ports_wait_for_their_records_and_none_is_lost():
    """System events come faster than two cycles apart; behind them executions have waited."""
    messages = [ORDER]
    for count in (50, 200):
        messages += [itch.system(b"Q")] * 6 * count + [EXECUTION] * 3 * count
    records = compare(card(), [Sent(frame) for frame in full_packets(messages)], gap=0)
    assert (records[:, -1] == TRADE).sum() == 750
