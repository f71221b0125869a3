"""Run benches: ``python -m bench [NAME ...] [--repeats N] [--output FOLDER] [--list]``."""

import argparse
import ast
import difflib
import importlib
import sys
import traceback
from pathlib import Path

from bench.report import REPEATS, RESULTS, Report, machine, versions
from tickwire.errors import TickwireError


def benches() -> dict[str, str]:
    """Return the first docstring line of every module here that defines ``main``, by its name."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def run(name: str, repeats: int, folder: Path) -> bool:
    """Run one bench and write its results; return whether it came to its end."""
    print(f"{name}:", flush=True)
    report = Report(name, repeats, folder)
    try:
        importlib.import_module(f"bench.{name}").main(report)
    except TickwireError as error:
        print(f"  failed: {error}", flush=True)
        return False
    except Exception:
        traceback.print_exc()
        return False
    report.save()
    return True


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure tickwire.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; all by default")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each contender")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--list", action="store_true", help="tell what there is")
    options = parser.parse_args(arguments)
    known = benches()
    if options.list:
        print("\n".join(f"{name:12} {line}" for name, line in known.items()))
        return 0
    for name in options.names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.0)
            parser.error(f"there is no bench {name!r}; the nearest is {near[0]}" if near
                         else f"there is no bench {name!r}")
    if options.repeats < 1:
        parser.error(f"--repeats must be 1 or more, not {options.repeats}")
    for facts in (machine(), versions()):
        print(", ".join(f"{key} {value}" for key, value in facts.items()))
    failed = [name for name in options.names or known
              if not run(name, options.repeats, options.output)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
