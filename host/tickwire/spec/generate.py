"""Write every file that is derived from the tables: ``python -m tickwire.spec.generate [--check]``.

With ``--check`` nothing is written; the exit status is 1 when a file is not what its table says.
"""

import sys
from pathlib import Path

from . import dissector, itch50, moldudp64, ouch50, pages, soupbintcp
from .render import numba_source

_HOST = Path(__file__).parent.parent
REPOSITORY = _HOST.parent.parent

# Most frequent first, as counted over generated and recorded days.
_ITCH_BY_FREQUENCY = "ADUEXFCPIRHYLSQNBKVWJhO"


def files() -> dict[str, str]:
    """Return the content of every derived file by its path below the repository."""
    by_frequency = tuple(itch50.BY_TYPE[tag] for tag in _ITCH_BY_FREQUENCY)
    assert len(by_frequency) == len(itch50.MESSAGES)
    kernels = "host/tickwire/kernels"
    return {
        f"{kernels}/_itch50.py": numba_source(
            "TotalView-ITCH 5.0", itch50.MESSAGES, dispatch=by_frequency),
        f"{kernels}/_ouch50.py": numba_source("OUCH 5.0", ouch50.MESSAGES),
        f"{kernels}/_soupbintcp.py": numba_source("SoupBinTCP 3.00", soupbintcp.MESSAGES),
        f"{kernels}/_moldudp64.py": numba_source("MoldUDP64 1.00", moldudp64.MESSAGES),
        dissector.PATH: dissector.lua(),
        **pages.pages(),
    }


def stale(root: Path = REPOSITORY) -> list[str]:
    """Return the paths that differ from their table, are missing, or that no table makes any more."""
    expected = files()
    changed = [path for path, text in expected.items()
               if not (root / path).is_file() or (root / path).read_text() != text]
    made = (path.relative_to(root).as_posix() for path in sorted((root / pages.FOLDER).glob("*.md")))
    return changed + [path for path in made if path not in expected]


def main(arguments: list[str]) -> int:
    """Write or check the derived files; return the exit status."""
    if arguments not in ([], ["--check"]):
        print(f"Usage: python -m tickwire.spec.generate [--check], not {' '.join(arguments)!r}.")
        return 2
    changed = stale()
    if arguments:
        for path in changed:
            print(f"{path} is not what its table says: run `make spec`.")
        return 1 if changed else 0
    expected = files()
    for path in changed:
        target = REPOSITORY / path
        if path in expected:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(expected[path])
        else:
            target.unlink()
        print(f"{'wrote' if path in expected else 'removed'} {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
