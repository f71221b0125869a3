"""`make env` refuses an interpreter that tickwire is not tested with before it makes anything.

Method: a copy of the three files that decide, and an interpreter that says that it is of another
version.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTED = sorted(int(entry.rpartition(".")[2]) for entry in PROJECT["classifiers"]
                if re.search(r":: 3\.\d+$", entry))


def made(folder: Path, version: tuple[int, int]) -> subprocess.CompletedProcess[str]:
    """Let `make env` meet an interpreter of that version; only its look at the version works."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    interpreter = folder / "python"
    interpreter.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'import sys; "
                           f"sys.version_info = {version}; exec(sys.argv[2])' \"$@\"\n")
    interpreter.chmod(0o755)
    return subprocess.run(["make", "env", f"PYTHON={interpreter}"], cwd=folder, text=True,
                          capture_output=True, check=False)


@pytest.mark.parametrize("minor", [TESTED[0] - 1, TESTED[-1] + 1])
def test_an_interpreter_too_old_or_too_new_is_refused_in_one_sentence(tmp_path, minor):
    found = made(tmp_path, (3, minor))
    assert found.returncode
    assert found.stderr.splitlines()[0] == (
        f"tickwire needs Python 3.{TESTED[0]} to 3.{TESTED[-1]}; {tmp_path / 'python'} is "
        f"3.{minor}: make PYTHON=... names another.")
    assert not (tmp_path / ".venv").exists()


def test_every_place_has_the_same_versions():
    assert PROJECT["requires-python"] == f">=3.{TESTED[0]},<3.{TESTED[-1] + 1}"
    for name in ("README.md", "CONTRIBUTING.md", "constraints.txt"):
        assert f"Python 3.{TESTED[0]} to 3.{TESTED[-1]}" in (ROOT / name).read_text(), name
