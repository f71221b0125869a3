"""A generated day gives the reference's best bid and offer after every message.

Method: the venue's own engine writes the day; the reference walks it message by message. Sampled
instruments are compared after each of their messages, all instruments at the end. Continuous
integration runs a small day; ``TICKWIRE_DAY=5000000`` runs the whole one (about a minute).
"""

import os

import numpy as np
import pytest

from tests.reference import itch, records
from tests.reference.day import compare_day
from tests.reference.device import Device
from tickwire.spec.geometry import MARKET, Geometry
from tickwire_sim.traffic import generate

MESSAGES = int(os.environ.get("TICKWIRE_DAY", "200000"))
SYMBOLS = max(50, MESSAGES // 625)         # 5 M messages: 8,000 symbols
LIVE = max(5_000, MESSAGES * 8 // 100)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    path = tmp_path_factory.mktemp("day") / "day.itch"
    with path.open("wb") as file:
        made = generate(file.write, MESSAGES, SYMBOLS, LIVE, seed=7)
    assert made >= MESSAGES
    return path


def test_a_day_gives_the_best_bid_and_offer_of_the_reference(day):
    # The first symbols trade most; a hundred more are spread over all of them.
    sample = {*range(1, 11), *range(1, SYMBOLS + 1, max(1, SYMBOLS // 100))}
    found = compare_day(day, MARKET, sample)
    assert not found.differences, found.differences[:5]
    assert found.messages >= MESSAGES and found.live_orders >= LIVE * 9 // 10
    assert not found.skipped
    assert set("ADUEXFC") <= set(found.by_type)


@pytest.mark.skipif(MESSAGES > 1_000_000, reason="the small day is enough for small windows")
def test_a_day_with_windows_far_too_small_is_exact_where_it_is_not_hidden(day):
    geometry = Geometry(instruments=SYMBOLS + 1, orders_log2=13, order_stash=64, levels_log2=12,
                        level_stash=64, window_words=4, lookups=4, sweep_queue=64)
    # On a grid a hundred times too fine the window is two and a half cents wide.
    found = compare_day(day, geometry, set(range(1, SYMBOLS + 1)), tick=1)
    assert not found.differences, found.differences[:5]
    assert 0 < found.skipped["hidden"] < found.compared // 2


@pytest.mark.skipif(MESSAGES > 1_000_000, reason="all records are kept at once")
def test_looking_ahead_gives_the_records_of_one_message_at_a_time(day):
    octets = day.read_bytes()
    devices = [Device(MARKET, ring_log2=14) for _ in range(2)]
    live, ahead = (device.feed_file(octets, ahead=ahead) for device, ahead
                   in zip(devices, (False, True), strict=True))
    assert np.array_equal(live, ahead)
    assert np.array_equal(devices[0].state(), devices[1].state())
    assert devices[0].counters() == devices[1].counters()
    assert {records.BBO, records.TRADE, records.DIRECTORY} <= set(live[:, 60].tolist())


def test_where_a_file_is_cut_into_blocks_does_not_matter(day):
    octets = day.read_bytes()[:1 << 20]
    whole = list(itch.messages_of(octets))[:-1]
    first, second = Device(MARKET, ring_log2=14), Device(MARKET, ring_log2=14)
    sizes = np.random.default_rng(3).integers(1, 200, len(whole))
    cuts = np.minimum(np.cumsum(sizes), len(whole))
    parts = [whole[start:end] for start, end in zip([0, *cuts], cuts, strict=False)
             if start < end]
    assert sum(map(len, parts)) == len(whole)
    assert np.array_equal(first.feed(whole, ahead=True),
                          np.concatenate([second.feed(part, ahead=True) for part in parts]))
