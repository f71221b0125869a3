"""``tickwire replay``: a recorded day through the book, as fast as it goes.

The same kernels as live, with messages of a file looked at ahead. Input is streamed and output
written as it comes, so memory does not grow with the file; after damage everything that came
before it is kept, and the command fails with the reader's sentence.
"""

import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tickwire.commands.arguments import Recording, Whole, check_output, write_json
from tickwire.device.kinds import WAITING, geometry_of, replay_of
from tickwire.errors import InputError, TickwireError
from tickwire.spec.itch50 import BY_TYPE

if TYPE_CHECKING:
    from rich.progress import Progress

SYMBOL_SIZE = 8
DEPTH_MAX = 8
TICK_MAX = 1 << 20
BOOK_TIMED = 10_000                        # messages from which the time of one means something
_SHOWN = ("messages", "records")           # counters that have a line of their own


def replay(
    file: Recording,
    *,
    symbols: Annotated[str, Parameter(
        help="Stocks to keep books of, as A,B; all by default.")] = "",
    bbo: Annotated[Path | None, Parameter(
        help="Table of every change of a best bid or offer, .parquet or .csv.")] = None,
    levels: Annotated[Whole, Parameter(help="Price levels a side to report, 1 to 8.")] = 0,
    levels_out: Annotated[Path | None, Parameter(
        help="Table of every change of such a level, .parquet or .csv.")] = None,
    json: Annotated[Path | None, Parameter(help="Summary as JSON.")] = None,
    tick: Annotated[Whole, Parameter(
        help="Tick size in 1e-4 dollars; 0 is that of each instrument's first order.")] = 0,
    device: Annotated[str, Parameter(
        help="software, or verilated: the card's own gateware, compiled.")] = "software",
    geometry: Annotated[str, Parameter(
        help="Room of the device: plain, small, large or market; by default a whole market, and "
             "the small card's for verilated.")] = "",
    progress: Annotated[bool, Parameter(help="Show progress on a terminal.")] = True,
) -> int:
    """Rebuild the books of FILE: an ITCH 5.0 BinaryFILE, pcap or pcapng capture, or one in gzip.

    Prices in the tables are in 1e-4 dollars. Time stamps are the messages' own, in nanoseconds
    since midnight; from a capture they are the capture's, since 1970.
    """
    names = symbols_of(symbols)
    _check(levels, levels_out, tick)
    check_output(bbo, levels_out, json, source=file)
    room = geometry_of(geometry, device)
    # Everything below loads the compiler, which `tickwire --help` must not wait for.
    kind = replay_of(device)
    from tickwire.feed import open_source
    from tickwire.observe.tables import BBOTable, Directory, LevelTable
    error: InputError | KeyboardInterrupt | None = None
    with ExitStack() as stack:
        source = stack.enter_context(open_source(file))
        with waiting(WAITING[device], progress):
            run = kind(source, symbols=dict.fromkeys(names, tick) if names else None, tick=tick,
                       depth=levels, geometry=room)
        directory = Directory(run.instruments, run.symbols)
        if bbo:
            run.tables.append(stack.enter_context(BBOTable(bbo, directory)))
        if levels_out:
            run.tables.append(stack.enter_context(LevelTable(levels_out, directory, depth=levels)))
        bar = stack.enter_context(_progress(progress))
        task = bar.add_task(source.name, total=source.total, speed="")
        try:
            for _ in run:
                bar.update(task, completed=source.position,
                           speed=f"{run.messages / run.seconds / 1e6:.1f} M messages/s")
        except (InputError, KeyboardInterrupt) as reason:
            error = reason
    summary = run.summary()
    summary["tables"] = {str(table.path): table.rows for table in run.tables}
    if error:
        summary["error"] = str(error) or "Interrupted."
    if json:
        write_json(json, summary)
    missing = run.missing()
    if missing == names and names and not error:    # there is no book to summarise
        raise unnamed(file, missing)
    _show(summary)
    if error or missing:
        raise error or unnamed(file, missing)
    if not summary["messages"]:
        raise InputError(f"{file} holds no ITCH 5.0 message that a book could take.")
    return 0


def unnamed(file: Path, missing: list[str]) -> InputError:
    """Return what is wrong with a recording that does not name these symbols."""
    return InputError(f"{file} has no directory message for {', '.join(missing)}.")


def symbols_of(text: str) -> list[str]:
    """Return the stocks that ``--symbols`` names, each once."""
    names = [name.strip() for name in text.split(",")] if text else []
    for name in names:
        if not 0 < len(name) <= SYMBOL_SIZE or not name.isascii() or not name.isprintable():
            raise TickwireError(f"--symbols must name stocks of 1 to {SYMBOL_SIZE} characters, "
                                f"not {name!r}.")
    return list(dict.fromkeys(names))


def _check(levels: int, levels_out: Path | None, tick: int) -> None:
    if not 0 <= levels <= DEPTH_MAX:
        raise TickwireError(f"--levels must be 1 to {DEPTH_MAX}, not {levels}.")
    if levels and levels_out is None:
        raise TickwireError(f"--levels {levels} needs --levels-out, a file for them.")
    if levels_out is not None and not levels:
        raise TickwireError(f"--levels-out {levels_out} needs --levels, 1 to {DEPTH_MAX}.")
    check_tick(tick)


def check_tick(tick: int) -> None:
    """Refuse a tick size that no instrument has."""
    if not 0 <= tick <= TICK_MAX:
        raise TickwireError(f"--tick must be 0 to {TICK_MAX:,}, not {tick:,}.")


def waiting(sentence: str, wanted: bool = True) -> AbstractContextManager[object]:
    """Say on a terminal what takes so long the first time."""
    from rich.console import Console
    console = Console(stderr=True)
    if not wanted or not console.is_terminal:
        return nullcontext()
    return console.status(sentence)


def _progress(wanted: bool) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    console = Console(stderr=True)
    return Progress(TextColumn("{task.description}"), BarColumn(),
                    TextColumn("{task.percentage:.0f} %"), TextColumn("{task.fields[speed]}"),
                    TimeRemainingColumn(), console=console, transient=True,
                    disable=not (wanted and console.is_terminal))


def _show(summary: dict[str, Any]) -> None:
    """Write the summary to standard output, warnings to standard error."""
    from rich.console import Console
    from rich.table import Table
    messages, seconds = summary["messages"], summary["seconds"]
    rows = [
        ("messages", f"{messages:,}"),
        *((f"  {_letter(kind)}  {_title(kind)}", f"{count:,}")
          for kind, count in sorted(summary["by_type"].items(), key=lambda item: -item[1])),
        ("time", f"{seconds:.2f} s, {messages / max(seconds, 1e-9) / 1e6:.2f} M messages/s"),
        *([("book", f"{summary['ns_per_message']:.1f} ns a message")]
          if messages >= BOOK_TIMED and "cycles" not in summary else []),
        *([("cycles", f"{summary['cycles']:,}")] if "cycles" in summary else []),
        *([("live orders", f"{summary['live_orders']:,}")]
          if summary["live_orders"] is not None else []),
        ("records", f"{summary['records']:,}"),
        ("digest", summary["digest"]),
        *((f"rows of {path}", f"{count:,}") for path, count in summary["tables"].items()),
        *((name.replace("_", " "), f"{count:,}") for name, count in summary["counters"].items()
          if name not in _SHOWN),
    ]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, overflow="fold")
    table.add_column(justify="right", no_wrap=True, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, soft_wrap=True).print(table)
    for warning in summary["warnings"]:
        sys.stderr.write(f"Warning: {warning}\n")


def _letter(kind: str) -> str:
    """Text of a type, whatever its octet is: none that a terminal obeys."""
    return kind if "!" <= kind <= "~" else f"0x{ord(kind):02x}"


def _title(kind: str) -> str:
    message = BY_TYPE.get(kind)
    return message.title if message else "unknown type"
