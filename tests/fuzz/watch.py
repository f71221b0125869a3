"""What both fuzz targets need of atheris: which functions are watched, seeds, and the start."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType


def functions(prefixes: Sequence[str]) -> Iterator[FunctionType]:
    """Yield the functions of loaded modules whose names begin so; all there are take an hour."""
    seen: set[int] = set()
    for name, module in list(sys.modules.items()):
        if not name.startswith(tuple(prefixes)):
            continue
        for thing in list(vars(module).values()):
            for one in (vars(thing).values() if isinstance(thing, type) else [thing]):
                found = one.fget if isinstance(one, property) else one
                if isinstance(found, FunctionType) and id(found) not in seen \
                        and (found.__module__ or "").startswith(tuple(prefixes)):
                    seen.add(id(found))
                    yield found


def fuzz(one_input: Callable[[bytes], None], seeds: Sequence[bytes],
         prefixes: Sequence[str]) -> None:
    """Fuzz until an option of libFuzzer ends it, such as -max_total_time=60.

    The last word of the command line is the folder of the corpus; an empty one gets ``seeds``.
    """
    import atheris
    folder = Path(sys.argv[-1])
    if folder.is_dir() and not any(folder.iterdir()):
        for number, seed in enumerate(seeds):
            (folder / f"seed-{number}").write_bytes(seed)
    for found in functions(prefixes):
        atheris.instrument_func(found)
    for seed in seeds:                     # compiles what the time of the fuzzer should not pay for
        one_input(seed)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
