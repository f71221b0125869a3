"""The page about files names every column and key, with the units that Parquet has.

Method: names in the tables of ``docs/files.md`` are compared with the schemas of the tables and
with the summaries of a device and of a replay that the test makes.
"""

import os
import re
from pathlib import Path

import pyarrow.parquet as parquet

from tests.reference import itch
from tests.system.conformance import software
from tickwire.commands.replay import replay
from tickwire.commands.run import MISSED
from tickwire.engine import Engine
from tickwire.observe.observer import Observer
from tickwire.observe.summary import summary
from tickwire.observe.tables import BBOTable, LevelTable
from tickwire.spec.records import BookFlag

PAGE = (Path(__file__).parents[2] / "docs/files.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table rows below a heading."""
    section = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines() if line.startswith("| ")]


def keys(heading: str) -> set[str]:
    """Names in the first cells of a section's tables."""
    return {name for row in rows(heading) for name in re.findall(r"`(\w+)`", row[0])}


def test_every_column_is_on_the_page_with_its_type_and_unit():
    told = {}
    for cells in rows("Tables of"):
        names = re.findall(r"`(\w+)`", cells[0])
        for number, name in enumerate(names):
            kinds, units = cells[1].split(", "), cells[2].split(", ")
            told[name] = kinds[number % len(kinds)], units[number % len(units)]
    columns = {field.name: field for kind in (BBOTable, LevelTable) for field in kind.schema}
    assert set(told) == set(columns)
    for name, field in columns.items():
        kind, unit = told[name]
        assert kind in ("text", str(field.type))
        stored = (field.metadata or {}).get(b"unit", b"").decode()
        assert unit == stored.removeprefix("BookFlag "), name


def test_every_flag_is_on_the_page_with_its_bit():
    told = {}
    for cells in rows("Tables of"):
        if len(cells) == 3:
            told |= dict(zip(cells[0].split(", "), cells[1].split(", "), strict=True))
    assert {name: int(bit) for name, bit in told.items() if bit.isdigit()} == {
        flag.name: flag.value for flag in BookFlag}


def test_every_key_of_a_run_is_on_the_page():
    with software(f"files-{os.getpid()}") as bench:
        bench.make_ready()
        Engine(bench.device, None)
        observer = Observer(bench.device.name)
        found = summary(observer)
        observer.close()
    assert keys("Summary of `tickwire run") == {*found, *MISSED, "start_seconds", "latency_cycles"}


def test_every_key_of_a_replay_is_on_the_page_and_units_reach_the_file(tmp_path):
    import json
    day, out, table = (tmp_path / name for name in ("day.itch", "out.json", "bbo.parquet"))
    day.write_bytes(itch.binary_file([itch.system(b"O")]))
    replay(day, json=out, bbo=table, progress=False)
    assert keys("Summary of `tickwire replay") == {*json.loads(out.read_text()), "error"}
    field = parquet.read_schema(table).field("bid_price")
    assert field.metadata[b"unit"] == b"1e-4 dollars"
