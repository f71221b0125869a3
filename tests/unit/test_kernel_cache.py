"""Compiled kernels on disk are valid for exactly the sources that they were compiled from.

Method: fresh processes with a cache folder of their own run a small package, and a copy of this
one, before and after a change in a place that Numba's own cache does not look at. One process
runs the book without the compiler and gives the same records.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.reference import itch
from tests.reference.device import Device
from tickwire.kernels import jit
from tickwire.spec.geometry import Geometry

HOST = Path(__file__).parents[2] / "host"
ROOT = HOST.parent

PACKAGE = {
    "__init__.py": "",
    "caller.py": ("from tickwire.kernels.jit import kernel\nfrom small import callee\n"
                  "from .middle import ADDEND\n\n\n@kernel\ndef call(value):\n"
                  "    return callee.twice(value) + ADDEND\n"),
    "callee.py": ("from tickwire.kernels.jit import kernel\n\n\n@kernel(inline=True)\n"
                  "def twice(value):\n    return value * 2\n"),
    "middle.py": "from small.constants import ADDEND\n",
    "constants.py": "ADDEND = 1\n",
    "bystander.py": "NOBODY_IMPORTS_THIS = 1\n",
}


@pytest.fixture
def small(tmp_path):
    """Folder of a package of two kernels and a constant two modules away."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    return folder


def python(script: str, *paths: Path, cache: Path, **environment: str) -> str:
    """Run a script in a fresh process; return what it prints."""
    environment = {**os.environ, "TICKWIRE_CACHE": str(cache), **environment,
                   "PYTHONPATH": os.pathsep.join(map(str, paths))}
    found = subprocess.run([sys.executable, "-c", script], env=environment, text=True,
                           capture_output=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


CALL = ("from small.caller import call\nresult = call(20)\n"
        "print(result, sum(call.stats.cache_hits.values()))")


def test_a_change_in_a_callee_or_a_constant_of_another_module_is_compiled_anew(small, tmp_path):
    def call():
        return python(CALL, small.parent, HOST, cache=tmp_path / "cache")
    assert call() == "41 0"
    assert call() == "41 1"                # from the disk
    (small / "callee.py").write_text(PACKAGE["callee.py"].replace("* 2", "* 3"))
    assert call() == "61 0"
    (small / "constants.py").write_text("ADDEND = 5\n")
    assert call() == "65 0"
    (small / "bystander.py").write_text("NOBODY_IMPORTS_THIS = 2\n")
    assert call() == "65 1"
    (small / "callee.py").write_text(PACKAGE["callee.py"])
    (small / "constants.py").write_text(PACKAGE["constants.py"])
    assert call() == "41 1"                # as it was: the first folder fits again


TOLD = ("from tickwire.kernels.compiling import when_compiling\n"
        "told = []\nwhen_compiling(lambda *news: told.append(news))\n"
        "from tickwire.kernels import compiling\ncompiling._APART_SECONDS = 0\n"
        "from small.caller import call\n"
        "before = len(told)\n"
        "call(20)\nafter = len(told)\n{more}\n"
        "print(before, after, *('/'.join(map(str, news)) for news in told))")


def test_compiling_is_told_by_name_and_not_when_everything_is_on_the_disk(small, tmp_path):
    def told(more=""):
        return python(TOLD.format(more=more), small.parent, HOST, cache=tmp_path / "cache")
    assert told() == "0 2 caller.call/1 callee.twice/2"
    assert told() == "0 0"
    (small / "constants.py").write_text("ADDEND = 5\n")
    assert told() == "0 1 caller.call/1"
    (small / "back.py").write_text("from tickwire.kernels.jit import handler\n\n\n"
                                   "@handler('int64(int64)')\ndef back(value):\n"
                                   "    return value\n")
    assert told("from small import back") == "0 0 back.back/1"   # a strategy's function alone
    assert told("from small import back") == "0 0"


def test_only_a_few_folders_of_a_module_are_kept(small, tmp_path):
    for addend in range(8):
        # Each of another size: Python takes a source of the same second and size for unchanged.
        (small / "constants.py").write_text(f"ADDEND = {addend}{' ' * addend}\n")
        assert python(CALL, small.parent, HOST, cache=tmp_path / "cache").startswith(
            str(40 + addend))
    kept = [path.name for path in (tmp_path / "cache").glob("small.caller-*")]
    assert 1 <= len(kept) <= 5




@pytest.mark.parametrize("changed", (
    "kernels/order_table.py", "kernels/memory.py", "kernels/ring.py", "spec/geometry.py",
    "spec/records.py", "spec/wire.py", "kernels/jit.py"))
def test_the_folder_of_the_book_follows_every_source_beneath_it(changed, tmp_path):
    copy = tmp_path / "host" / "tickwire"
    shutil.copytree(HOST / "tickwire", copy, ignore=shutil.ignore_patterns("__pycache__"))
    replay = copy / "kernels" / "replay.py"

    def folder():
        script = (f"from pathlib import Path\nfrom tickwire.kernels import jit\n"
                  f"print(jit.cache_folder(Path({str(replay)!r})).name)")
        return python(script, copy.parent, cache=tmp_path / "cache")
    before = folder()
    assert folder() == before
    with (copy / changed).open("a") as file:
        file.write("\nNOTHING = 1\n")
    assert folder() != before


def test_every_module_that_a_kernel_loads_counts_for_its_folder(tmp_path):
    script = ("import sys, tickwire.kernels.replay\n"
              "print('\\n'.join(module.__file__ for name, module in sys.modules.items()\n"
              "      if name.split('.')[0] == 'tickwire' and module.__file__))")
    loaded = {Path(line).resolve() for line in
              python(script, HOST, cache=tmp_path / "cache").splitlines()}
    counted = set(jit.sources(HOST / "tickwire" / "kernels" / "replay.py"))
    assert loaded - counted <= {(HOST / "tickwire" / "__init__.py").resolve(),
                                (HOST / "tickwire" / "kernels" / "__init__.py").resolve(),
                                (HOST / "tickwire" / "spec" / "__init__.py").resolve()}


# Without the compiler

MESSAGES = [
    itch.directory(1, "AAA"), itch.action(1, b"T"),
    *(itch.add(1, number, b"BS"[number % 2:number % 2 + 1], 100 + number,
               1_000_000 - 100 * number if number % 2 == 0 else 1_010_000 + 100 * number)
      for number in range(1, 20)),
    itch.executed(1, 2, 50, 1), itch.executed(1, 2, 500, 2), itch.cancel(1, 4, 10),
    itch.replace(1, 6, 100, 10, 900_000), itch.delete(1, 3), itch.delete(1, 77),
    itch.add(1, 200, b"B", 10, 100_000), itch.add(1, 201, b"S", 10, 1_000_050),
    itch.trade(1, 0, b"B", 5, 1_000_000, 9), itch.cross(1, 1 << 40, 1_000_000, 10),
    *(itch.delete(1, number) for number in range(1, 20)), *[itch.position(1)] * 40,
    itch.imbalance(1, 1, 2, b"B", 3, 4, 5, b"O"), itch.system(b"M"),
    itch.add(1, 300, b"S", (1 << 32) - 1, (1 << 31) - 1), itch.delete(1, 300),
]
SMALL = Geometry(instruments=4, orders_log2=4, order_stash=4, levels_log2=4, level_stash=4,
                 window_words=4, lookups=4, depth=3)

PLAIN = """
import sys
from tests.reference.device import Device
from tests.unit.test_kernel_cache import MESSAGES, SMALL
device = Device(SMALL)
found = device.feed(MESSAGES, ahead=sys.argv[1:] == ["ahead"])
print(found.tobytes().hex(), device.state().tobytes().hex(), device.counters())
"""


@pytest.mark.parametrize("ahead", ("False", "True"))
def test_without_the_compiler_the_same_kernels_give_the_same_records(ahead, tmp_path):
    device = Device(SMALL)
    found = device.feed(MESSAGES, ahead=ahead == "True")
    script = PLAIN.replace('sys.argv[1:] == ["ahead"]', ahead)
    plain = python(script, ROOT, HOST, cache=tmp_path, NUMBA_DISABLE_JIT="1")
    records, state, counters = plain.split(" ", 2)
    assert np.array_equal(np.frombuffer(bytes.fromhex(records), np.uint8).reshape(-1, 64), found)
    assert bytes.fromhex(state) == device.state().tobytes()
    assert counters == str(device.counters())
