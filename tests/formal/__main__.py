"""Check properties: ``python -m tests.formal [NAME ...] [--solver yices|z3] [--list]``."""

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path

import tests.formal
from tests.formal.sby import SOLVERS, Property, check

FOLDER = Path("build") / "formal"


def properties() -> list[Property]:
    """Return the ``PROPERTIES`` of every module beside this one."""
    found = []
    for module in pkgutil.iter_modules(tests.formal.__path__):
        if module.name.startswith("prove_"):
            found += importlib.import_module(f"tests.formal.{module.name}").PROPERTIES
    return found


def main(arguments: list[str]) -> int:
    """Check what the arguments name; return 1 unless all end as they are wanted to."""
    parser = argparse.ArgumentParser(prog="python -m tests.formal")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    parser.add_argument("--solver", choices=SOLVERS, default=SOLVERS[0])
    parser.add_argument("--list", action="store_true", help="tell what there is")
    options = parser.parse_args(arguments)
    known = {entry.name: entry for entry in properties()}
    if options.list:
        print("\n".join(known))
        return 0
    missing = [name for name in options.names if name not in known]
    if missing:
        parser.error(f"there is no property {missing[0]!r}; there are {', '.join(known)}")
    held = True
    for name in options.names or known:
        for mode, depth in known[name].modes.items():
            start = time.perf_counter()
            outcome = check(known[name], mode, FOLDER / name, options.solver)
            took = time.perf_counter() - start
            print(f"{outcome.status:8} {name} {mode} {depth}  {took:.1f} s"
                  f"{', FAIL is wanted' if known[name].is_false else ''}", flush=True)
            if outcome.status != known[name].wanted:
                held = False
                print("\n".join(outcome.reasons or outcome.log.splitlines()[-20:]), flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
