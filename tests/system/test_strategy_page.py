"""The page about strategies is true: its examples load, decide and trade as they stand there.

Method: the Python blocks of ``docs/strategy.md`` are written to modules; both are run by the real
program against the venue, and the names that its tables mention are looked up in the code.
"""

import re
from pathlib import Path

import pytest

from tests.system.test_run import running
from tickwire.config import SymbolSettings
from tickwire.kernels import engine_actions
from tickwire.spec.records import BBO, LEVEL, TRADE
from tickwire.spec.shared import POSITION
from tickwire.strategy.base import PythonStrategy, Strategy, load

PAGE = Path(__file__).parents[2] / "docs/strategy.md"
SYMBOLS = (SymbolSettings(symbol="AAA"),)
EXAMPLES = {"lean_compiled": Strategy, "lean_python": PythonStrategy}
ENOUGH = 2                                 # orders that show that it trades


def blocks() -> list[str]:
    """Source of every Python example of the page."""
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"),
                      re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the examples as modules."""
    made = tmp_path_factory.mktemp("strategies")
    for name, source in zip(EXAMPLES, blocks(), strict=True):
        (made / f"{name}.py").write_text(source, encoding="utf-8")
    return made


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads_with_the_parameters_that_the_page_gives(name, folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    made = load(f"{name}:Lean", SYMBOLS, {"ratio": 5})
    assert isinstance(made, EXAMPLES[name])
    assert made.values == {"ratio": 5, "quantity": 100}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trades_from_the_folder_where_it_lies(name, folder, tmp_path):
    with running(tmp_path, "--seconds", "0", settings=(f"strategy.path={name}:Lean",),
                 cwd=folder) as program:
        status, out, error = program.trade_until(lambda c: c["orders_sent"] >= ENOUGH)
    assert (status, error) == (0, "")
    assert f"{name}:Lean" in out
    found = program.summary()
    assert found["orders_sent"] >= ENOUGH
    assert set(found["rejects_by_reason"]) <= {"global_kill"}      # after the end of the run


def test_every_name_in_the_tables_is_there():
    rows = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines()
            if line.startswith("| ")]
    names = [name for row in rows for name in re.findall(r"`(\w+)(?:\(.*?\))?`", row[1])]
    assert len(names) > 20
    assert [name for name in names if not hasattr(engine_actions, name)] == []
    fields = {row[1].strip(): re.findall(r"`(\w+)`", row[2]) for row in rows}
    for table, message in (("BBO", BBO), ("trade", TRADE), ("level", LEVEL),
                           ("position", POSITION)):
        assert len(fields[table]) > 3
        for field in fields[table]:
            message.field(field)
