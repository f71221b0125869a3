"""The bench helper measures in turns and reports what it measured.

Method: contenders that return figures known beforehand, and the written files read back.
"""

import json

import pytest

from bench.__main__ import benches, main
from bench.report import Comparison, Report, machine, measure, versions


def test_contenders_run_in_turns_and_the_warm_up_does_not_count():
    calls = []
    figures = {"a": iter([9, 1, 2, 3]), "b": iter([9, 10, 10, 10])}

    def contender(name):
        calls.append(name)
        return next(figures[name])

    found = measure(lambda: contender("a"), lambda: contender("b"), repeats=3)
    assert calls == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert found == Comparison((1, 2, 3), (10, 10, 10))


def test_the_ratio_is_taken_pair_by_pair():
    # The medians are equal; in two pairs of three the first took twice as long.
    assert Comparison((2, 8, 4), (1, 4, 8)).ratio == 2
    assert Comparison((2, 8, 4)).ratio is None


def test_a_contender_without_a_figure_is_timed():
    [figure] = measure(lambda: None, repeats=1).first
    assert figure > 0


def test_the_results_are_written_as_json_and_as_a_page(tmp_path, capsys):
    report = Report("book", repeats=3, folder=tmp_path)
    report.add("live", "ns/message", [101.25, 99, 12_345.6], note="one | two")
    report.compare("parse", "ns/message", Comparison((10, 20), (40, 40)), peer="itchcpp")
    report.note("Not measured: the card.")
    report.save()
    found = json.loads((tmp_path / "book.json").read_text())
    assert found["rows"][0] == {"name": "live", "unit": "ns/message", "median": 101.25, "min": 99,
                                "max": 12_345.6, "runs": 3, "peer": "", "ratio": None,
                                "note": "one | two"}
    assert found["rows"][1]["ratio"] == 0.375 and found["rows"][1]["peer"] == "itchcpp"
    assert found["rows"][2]["median"] == 40
    assert found["machine"] == machine() and found["versions"] == versions()
    page = (tmp_path / "book.md").read_text()
    assert "| live | 101.2 | 99 to 12,346 | ns/message | 3 |  |  | one / two |" in page
    assert "| parse | 15 | 10 to 20 | ns/message | 2 | itchcpp | 0.38 |  |" in page
    assert "- Not measured: the card." in page
    assert "live" in capsys.readouterr().out


def test_the_machine_is_described_and_not_named():
    import platform
    assert {"CPU", "cores", "kernel"} <= set(machine())
    assert {"Python", "numpy", "numba"} <= set(versions())
    assert platform.node() not in str(machine()) + str(versions()) or len(platform.node()) < 4


@pytest.mark.parametrize("arguments", [["nothing"], ["--repeats", "0"], ["--repeats", "x"]])
def test_a_wrong_argument_is_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("python -m bench: error: ")


def test_every_bench_says_what_it_measures():
    assert "report" not in benches()
    assert all(line.endswith(".") for line in benches().values())
