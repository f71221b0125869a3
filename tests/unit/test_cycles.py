"""The table of cycles holds what was counted, and a part of it can be counted again.

Method: rows made here, written and read back; the modules themselves run with ``make cycles``.
"""

import json

import pytest

from bench import cycles
from bench.cycle import Row


def row(figure, *counted, **classes):
    return Row.of(figure, counted, "i to o", **classes)


def test_a_row_has_the_least_and_the_most_that_was_counted():
    assert row("a", 3, 2, 9, message="ADD", alignment="lane 2") == \
        Row("a", "ADD", "lane 2", 2, 9, "i to o")
    with pytest.raises(ValueError, match="a ADD: nothing was counted"):
        row("a", message="ADD")


def test_counting_a_part_leaves_the_other_figures_and_replaces_its_own(tmp_path):
    path = tmp_path / "new" / "cycles.json"
    cycles.save([row("b", 1, message="x"), row("b", 2, message="y"), row("a", 3)], path,
                is_whole=True)
    cycles.save([row("b", 5, message="x")], path, is_whole=False)
    found = json.loads(path.read_text())["rows"]
    assert [(entry["figure"], entry["message"], entry["min"]) for entry in found] == \
        [("a", "", 3), ("b", "x", 5)]
    assert set(found[0]) == {"figure", "message", "alignment", "min", "max", "boundary"}
    cycles.save([row("c", 1)], path, is_whole=True)
    assert len(json.loads(path.read_text())["rows"]) == 1


def test_the_table_is_aligned():
    lines = cycles.table([row("a", 10), row("longer", 1, 200, message="ADD")]).splitlines()
    assert lines[0].split() == ["figure", "message", "alignment", "min", "max", "boundary"]
    assert len({line.index("i to o") for line in lines[1:]}) == 1


def test_an_unknown_component_is_refused_with_a_sentence(capsys):
    with pytest.raises(SystemExit):
        cycles.run(["nothing"])
    assert "no cycles are counted of 'nothing'; there are " in capsys.readouterr().err
    assert "commit" in cycles.components()
