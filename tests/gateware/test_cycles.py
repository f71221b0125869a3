"""The published cycles are what simulations count now.

Method: each program of ``bench/cycle`` is run and its rows are those in ``cycles.json``.
"""

import json
from dataclasses import asdict

import pytest

from bench.cycles import OUTPUT, components, count, place

_LONG = {"armed", "host_interface", "order_path", "pipeline"}


@pytest.mark.parametrize("name", [pytest.param(
    name, marks=pytest.mark.long if name in _LONG else ()) for name in components()])
def test_cycles_are_as_published(name):
    rows = [asdict(row) for row in count([name])]
    figures = {row["figure"] for row in rows}
    kept = [row for row in json.loads(OUTPUT.read_text())["rows"] if row["figure"] in figures]
    assert sorted(rows, key=place) == sorted(kept, key=place)


def test_no_published_row_stands_twice():
    places = [place(row) for row in json.loads(OUTPUT.read_text())["rows"]]
    assert len(set(places)) == len(places)
