"""``tickwire fix sessions``: the stored numbers of FIX sessions, shown and edited."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tickwire.commands.arguments import Whole
from tickwire.config import demo, load
from tickwire.errors import InputError, TickwireError


def sessions(
    name: Annotated[str, Parameter(help="The session to edit; all are shown without one.")] = "",
    *,
    config: Annotated[Path | None, Parameter(help="Configuration; the demo without one.")] = None,
    folder: Annotated[Path | None, Parameter(help="Folder of the stores, instead of the "
                                             "configuration's.")] = None,
    next_out: Annotated[Whole | None, Parameter(help="Number of the next message to send; "
                                                "messages from it on are forgotten.")] = None,
    next_in: Annotated[Whole | None, Parameter(help="Number to await.")] = None,
    reset: Annotated[bool, Parameter(negative="", help="Begin at 1 both ways, without "
                                     "messages.")] = False,
    repair: Annotated[bool, Parameter(negative="", help="Cut a damaged store off at the "
                                      "damage.")] = False,
) -> int:
    """Show or edit the stored numbers of sessions.

    A running session can be shown, not edited: stop it first. What is shown is what the next start
    finds. A store that is damaged is told with the place, and the exit status is then 3.
    """
    place = folder or Path((load(config) if config else demo()).fix.folder)
    if name:
        path = place / f"{name}.store"
        if not path.is_file():
            raise TickwireError(f"There is no store {path}; `tickwire fix sessions` lists them.")
        paths = [path]
        _edit(path, next_out, next_in, reset, repair)
    elif next_out is not None or next_in is not None or reset or repair:
        raise TickwireError("Which session is to be edited? Name one.")
    else:
        paths = sorted(filter(Path.is_file, place.glob("*.store")))
        if not paths:
            raise TickwireError(f"There are no stores in {place}.")
    return _show(paths)


def _show(paths: Sequence[Path]) -> int:
    """Write a line a store, and say what is wrong with which; return the exit status."""
    from tickwire.orders.fix.journal import StoreError
    from tickwire.orders.fix.store import fault
    rows: list[tuple[str, ...]] = [
        ("name", "session", "next out", "next in", "since (UTC)", "octets")]
    faults = []
    for path in paths:
        try:
            rows.append(_row(path))
            sentence = fault(path)
        except StoreError as error:
            sentence = fault(path) or str(error)
        faults += [sentence] if sentence else []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        sys.stdout.write("  ".join(f"{cell:{width}}" for cell, width in cells).rstrip() + "\n")
    for sentence in faults:
        sys.stderr.write(sentence + "\n")
    return InputError.exit_code if faults else 0


def _row(path: Path) -> tuple[str, ...]:
    from tickwire.orders.fix.store import read_state
    identity, next_out, next_in, created, octets = read_state(path)
    since = datetime.fromtimestamp(created // 1_000_000_000, UTC)
    return (path.stem, identity, str(next_out), str(next_in), f"{since:%Y-%m-%d %H:%M:%S}",
            f"{octets:,}")


def _edit(path: Path, next_out: int | None, next_in: int | None, reset: bool,
          repair: bool) -> None:
    from tickwire.orders.fix.store import NUMBER_MAX, FileStore, read_state
    for option, number in (("--next-out", next_out), ("--next-in", next_in)):
        if number is not None and not 1 <= number <= NUMBER_MAX:
            raise TickwireError(f"{option} must be from 1 to {NUMBER_MAX}, not {number}.")
    if next_out is None and next_in is None and not reset and not repair:
        return
    now = time.time_ns()
    store = FileStore(path, read_state(path)[0], now, "each", is_repaired=repair)
    try:
        if store.torn:
            sys.stderr.write(f"{path}: cut off {store.torn} octets of a broken record.\n")
        if reset:
            store.reset(now)
        if next_out is not None:
            store.renumber(next_out, now)
        if next_in is not None:
            store.received(next_in, now)
    finally:
        store.close()
