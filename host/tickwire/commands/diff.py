"""``tickwire diff``: one recording on two devices, record by record."""

import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tickwire.commands.arguments import Recording, Whole
from tickwire.commands.replay import check_tick, symbols_of, unnamed, waiting
from tickwire.device.kinds import WAITING, geometry_of, replay_of
from tickwire.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickwire.device.compare import Comparison, Difference
    from tickwire.device.order_diff import OrderComparison
    from tickwire.spec.geometry import Geometry


def diff(
    first: Annotated[str, Parameter(help="A device: software or verilated.")],
    second: Annotated[str, Parameter(help="The one that is compared with it.")],
    file: Recording,
    *,
    symbols: Annotated[str, Parameter(
        help="Stocks to keep books of, as A,B; all by default.")] = "",
    tick: Annotated[Whole, Parameter(
        help="Tick size in 1e-4 dollars; 0 is that of each instrument's first order.")] = 0,
    geometry: Annotated[str, Parameter(
        help="Room of both devices: plain, small, large or market; by default the small "
             "card's.")] = "",
    intents: Annotated[Path | None, Parameter(
        help="Intents to give both while they replay: a JSON object a line.")] = None,
) -> int:
    """Replay FILE on the devices FIRST and SECOND and compare their records.

    Devices are software and verilated. Times, latencies and credits may differ, nothing else may.
    The first record that differs is shown with both devices' fields and the book before it; the
    last line tells how many records differ, and the exit status is 1 when one does. With intents
    both devices are armed, and the records of orders are compared too.
    """
    names = symbols_of(symbols)
    check_tick(tick)
    room = geometry_of(geometry or "small", "verilated" if "verilated" in (first, second) else "")
    assert room is not None
    if intents is not None:
        return _with_intents((first, second), file, intents, dict.fromkeys(names or (), tick), room)
    kinds = [(device, replay_of(device)) for device in (first, second)]
    from tickwire.device.compare import Comparison, compare
    from tickwire.feed import open_source
    with ExitStack() as stack:
        passes = []
        for device, kind in kinds:
            source = stack.enter_context(open_source(file))
            more = {"cut_through": True} if device == "software" else {}
            with waiting(WAITING[device]):
                passes.append(kind(source, symbols=dict.fromkeys(names, tick) if names else None,
                                   tick=tick, geometry=room, **more))
        status = _tell(Comparison(), compare(*passes), (first, second))
        if missing := passes[0].missing():
            raise unnamed(file, missing)
        return status


def _with_intents(devices: tuple[str, str], file: Path, intents: Path, symbols: dict[str, int],
                  geometry: "Geometry") -> int:
    """Compare the devices with a file of intents; returns the exit status."""
    for device in devices:
        replay_of(device)                      # a name that is none has its sentence there
    from tickwire.device.order_diff import (
        Driven,
        OrderComparison,
        lines_in,
        packets_of,
        read_intents,
    )
    from tickwire.device.replay import check_symbols
    from tickwire.feed import open_source
    check_symbols(symbols, geometry)
    cuts = [planned.after for planned in read_intents(intents)]
    if not cuts:
        raise InputError(f"{intents} holds no intents, so there is nothing to compare with them.")
    with ExitStack() as stack:
        lines, time = lines_in(stack.enter_context(open_source(file)))
        driven = []
        for device in devices:
            with waiting(WAITING[device]):
                driven.append(stack.enter_context(closing(
                    Driven(device, geometry, symbols, lines, time))))
        source = stack.enter_context(open_source(file))
        found = OrderComparison(*driven)
        return _tell(found, found.run(packets_of(source, cuts), read_intents(intents)), devices)


def _tell(found: "Comparison | OrderComparison",
          steps: "Iterator[Comparison | OrderComparison]", devices: tuple[str, str]) -> int:
    """Show the first difference and, at the end, how many there are; returns the exit status."""
    error: InputError | KeyboardInterrupt | None = None
    is_shown = False
    try:
        for found in steps:
            if found.first is not None and not is_shown:
                _show(found.first, devices)
                is_shown = True
    except (InputError, KeyboardInterrupt) as reason:
        error = reason
    sys.stdout.write(f"{found.records:,} records, {found.differences:,} differences\n")
    if error:
        raise error
    return 1 if found.differences else 0


def _show(difference: "Difference", devices: tuple[str, str]) -> None:
    """Write the first record that differs, both sides, and the book before it."""
    from rich.console import Console
    from rich.table import Table

    from tickwire.device.compare import decoded
    sides = [decoded(octets) if octets else ("nothing more", {}) for octets in difference.records]
    table = Table("", *devices, box=None, pad_edge=False)
    table.add_row("type", *(name for name, _ in sides))
    for name in dict.fromkeys(name for _, fields in sides for name in fields):
        values = [str(fields.get(name, "")) for _, fields in sides]
        table.add_row(("* " if values[0] != values[1] else "  ") + name, *values)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"Record {difference.number:,} is the first that differs (*, where it counts or "
                  "is a time):")
    console.print(table)
    book = difference.books
    console.print("Both books before it: " + (
        f"locate {book['locate']}, bid {book['bid_quantity']:,} at {book['bid_price']:,}, ask "
        f"{book['ask_quantity']:,} at {book['ask_price']:,}, message {book['feed_sequence']:,}"
        if book else "no best price of this instrument was told."))
