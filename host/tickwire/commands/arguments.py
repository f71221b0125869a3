"""What several commands ask of their arguments."""

import json as json_format
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from tickwire.errors import TickwireError


def _whole(_: object, tokens: Sequence[Token]) -> int:
    """Return a whole number; cyclopts would round 1.5."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


Whole = Annotated[int, Parameter(converter=_whole)]
"""A whole number, written as one."""

Recording = Annotated[Path, Parameter(help="BinaryFILE of ITCH 5.0, plain or .gz, pcap or pcapng.")]
"""A file that messages are read from."""


def check_output(*paths: Path | None, source: Path | None = None) -> None:
    """Refuse files that cannot be written or are named twice, before any work is done.

    ``source`` is the file that is read, which none of them may be, by whatever name.
    """
    wanted = [path for path in paths if path is not None]
    for number, path in enumerate(wanted):
        folder = path.parent
        if path.is_dir():
            raise TickwireError(f"Cannot write {path}: it is a folder.")
        if not folder.is_dir():
            raise TickwireError(f"Cannot write {path}: there is no folder {folder}.")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise TickwireError(f"Cannot write {path}: permission denied.")
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise TickwireError(f"{path} is the file that is read, and would be lost.")
        if not path.is_char_device() and path.resolve() in map(Path.resolve, wanted[:number]):
            raise TickwireError(f"{path} is named for two outputs; each needs a file of its own.")


def write_json(path: Path, summary: dict[str, Any]) -> None:
    """Write a summary; raises :class:`TickwireError` when the system refuses."""
    try:
        path.write_text(json_format.dumps(summary, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise TickwireError(f"Cannot write {path}: {error.strerror}.") from None
