"""Run the tests on mutants: ``python -m tests.mutation [TARGET ...] [--sample N] [--seed N]``.

Each target's tests are run once without a mutant, which compiles its models with all mutants in
them, and must pass. Then a process is forked for every mutant, and the first test that fails kills
it. A mutant that outlives its time is killed too: a bounded wait in a test would have ended.
Hypothesis draws the same examples every time, and does not look for smaller ones that fail.

``--only PLACE ...`` tries the mutants whose number is given, or whose place begins so, as
``lane.py:219``; a line may have several that print alike, which differ in their number.
"""

import argparse
import functools
import importlib.abc
import importlib.machinery
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.operators import MUTANT, MUTANTS, Mutant, mutated
from tests.mutation.targets import TARGETS, Target

FOLDER = Path("hw") / "tickwire_hw"
TESTS = Path("tests") / "gateware"
SLACK_S = 30.0
"""Seconds that a mutant's tests may take besides twice the time of those without one."""
FAILED, PASSED = 1, 0
settings.register_profile("mutation", deadline=None, derandomize=True, database=None,
                          phases=(Phase.explicit, Phase.generate))


class Loader(importlib.machinery.SourceFileLoader):
    """Load a module with its mutants."""

    def get_code(self, fullname):
        return compile(mutated(Path(self.path)), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    """Find the modules that are mutated."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self._modules = {f"tickwire_hw.{name}": FOLDER / f"{name}.py" for name in modules}

    def find_spec(self, fullname, path, target=None):
        found = self._modules.get(fullname)
        if found is None:
            return None
        return importlib.machinery.ModuleSpec(
            fullname, Loader(fullname, str(found.resolve())), origin=str(found))


class _InForce:
    """Gives models the number of the mutant in force, and builds each model once."""

    def __init__(self) -> None:
        self.number = 0
        self._built: dict[str, tuple] = {}

    def install(self) -> None:
        """Replace what compiles and what makes rows."""
        from tickwire_hw import ports
        from tickwire_hw.ports import Port
        from tickwire_sim import build, model, verilate

        plain, rows, make = ports.ports, model.Model.rows, verilate.build

        def with_mutant(component):
            return {**plain(component),
                    MUTANT.name: Port(MUTANT.name, MUTANT, MUTANT.shape(), is_input=True)}

        @functools.wraps(rows)
        def rows_of(this, count, **values):
            found = rows(this, count, **values)
            found[MUTANT.name] = self.number
            return found

        def build_once(component, name, *arguments, **options):
            plain = [(key, repr(value)) for key, value in vars(component).items()
                     if _is_plain(value)]
            key = f"{name} {sorted(plain)}"
            if key not in self._built:
                # The sources in the folder say nothing of the mutants.
                self._built[key] = make(component, name, *arguments,
                                        **{**options, "parameters": None})
            return self._built[key]

        build.ports = verilate.ports = with_mutant
        model.Model.rows = rows_of
        verilate.build = build_once


def _is_plain(value: object) -> bool:
    return isinstance(value, (int, str)) or type(value).__module__ == "tickwire.spec.geometry"


def _run(tests: list[str], report) -> int:
    """Run tests until the first one fails, quietly; return pytest's status."""
    sys.stdout.flush()
    saved = os.dup(1), os.dup(2)
    os.dup2(report.fileno(), 1)
    os.dup2(report.fileno(), 2)
    try:
        return int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider",
                                "--hypothesis-profile=mutation", *tests]))
    finally:
        for number, file in enumerate(saved, 1):
            os.dup2(file, number)
            os.close(file)


def _try(tests: list[str], report, in_force: _InForce, number: int, limit_s: float) -> str:
    """Run the tests on a mutant in a process of its own; return how that ended."""
    child = os.fork()
    if child == 0:
        in_force.number = number
        os._exit(_run(tests, report) & 0xFF)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return {PASSED: "survived", FAILED: "killed"}.get(code, f"killed, status {code}")
        time.sleep(.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed by time"


def check(name: str, target: Target, options: argparse.Namespace) -> Iterator[tuple[Mutant, str]]:
    """Yield mutants of a target and how each ended; raises RuntimeError when the tests fail."""
    sys.meta_path.insert(0, _Finder(target.modules))
    in_force = _InForce()
    in_force.install()
    tests = [str(TESTS / file) for file in target.tests]
    options.folder.mkdir(parents=True, exist_ok=True)
    with (options.folder / f"{name}.log").open("w") as report:
        start = time.monotonic()
        for _ in range(2):                 # the second time nothing is compiled
            start = time.monotonic()
            if _run(tests, report):
                raise RuntimeError(f"the tests of {name} fail without a mutant; see {report.name}")
        limit_s = SLACK_S + 2 * (time.monotonic() - start)
        found = [mutant for mutant in MUTANTS.values() if mutant.is_hardware]
        if options.only:
            found = [mutant for mutant in found if any(
                place == str(mutant.number) or f"{mutant.place}:".startswith(f"{place}:")
                for place in options.only)]
        if options.sample:
            found = random.Random(options.seed).sample(found, min(options.sample, len(found)))
        for mutant in sorted(found, key=lambda one: one.number):
            yield mutant, _try(tests, report, in_force, mutant.number, limit_s)


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; return 1 if a mutant survives that is not equivalent."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all by default")
    parser.add_argument("--sample", type=int, default=0, help="mutants of each target; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="PLACE", help="number, or file.py:line")
    parser.add_argument("--folder", type=Path, default=Path("build") / "mutation")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    survivors = 0
    for name in options.targets or TARGETS:
        child = os.fork()                  # sources are mutated once in a process
        if child == 0:
            os._exit(_report(name, options))
        survivors += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(f"{survivors} mutants survived that are not known to be equivalent")
    return int(survivors > 0)


def _report(name: str, options: argparse.Namespace) -> int:
    """Print how a target's mutants ended; return the number of survivors."""
    ends = {"killed": 0, "equivalent": 0, "survived": 0}
    for mutant, end in check(name, TARGETS[name], options):
        source = mutant.path.read_text().splitlines()[mutant.line - 1].strip()
        reason = EQUIVALENT.get((mutant.path.stem, source, mutant.change))
        kind = "killed" if end.startswith("killed") else "equivalent" if reason else "survived"
        ends[kind] += 1
        if kind != "killed":
            print(f"{kind:10} {mutant.number} {mutant.place}  {mutant.change}  {source}"
                  f"{'  # ' + reason if reason else ''}", flush=True)
    print(f"{name}: " + ", ".join(f"{count} {kind}" for kind, count in ends.items()), flush=True)
    return min(ends["survived"], 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
