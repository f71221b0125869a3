"""Known inputs still give known records: a change of any octet that counts must be meant.

Method: digests of all records of fixed inputs, on three geometries, beside this file. After a
meant change ``TICKWIRE_GOLDEN=write pytest tests/golden`` writes them anew; say in the commit why.
The flow is checked against the reference too, so that what is recorded is also right.
"""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from tests.reference import itch
from tests.reference.device import CheckedBook, Device
from tests.reference.digest import stream_digest
from tests.reference.flow import flow
from tickwire.spec.geometry import CARD_SMALL, DEMO, MARKET, Geometry

FILE = Path(__file__).with_name("records.json")
FLOW = {"count": 12_000, "seed": 20_260_101}
GEOMETRIES = {
    "card": dataclasses.replace(CARD_SMALL, instruments=5),
    "demo": DEMO,
    "market": dataclasses.replace(MARKET, depth=3),
}
NARROW = Geometry(instruments=5, orders_log2=9, order_stash=8, levels_log2=8, level_stash=8,
                  window_words=4, lookups=1, sweep_queue=4, depth=2)
RECORDINGS = {
    "lobster": ("lobster/AAPL_2012-06-21_oracle.itch", 0),
    "ritch": ("ritch/ex20101224.TEST_ITCH_50", 1),
}


def check(name: str, found: dict) -> None:
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    if os.environ.get("TICKWIRE_GOLDEN") == "write":
        known[name] = found
        FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    assert known.get(name) == found


def result(messages: list[bytes], geometry: Geometry, tick: int) -> dict:
    device = Device(geometry, tick=tick)
    found = device.feed(messages, ahead=True)
    return {"digest": f"{stream_digest(found):016x}", "records": len(found),
            "counters": device.counters()}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_flow_gives_the_same_records(geometry):
    check(f"flow, {geometry}", result(flow(**FLOW), GEOMETRIES[geometry], 100))


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_gives_the_same_records(name, shared_data):
    path, tick = RECORDINGS[name]
    messages = list(itch.messages_of((shared_data / path).read_bytes()))
    check(name, result(messages, DEMO, tick))


def test_the_flow_is_right_as_well_as_the_same():
    book = CheckedBook(NARROW, tick=100)
    for message in flow(4_000, FLOW["seed"]):
        book.apply(message)
    book.finish()
    assert book.skipped["hidden"] > 10
    assert book.device.counters()["window_sweeps"] > 5
