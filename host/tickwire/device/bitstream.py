"""Bitstreams: what a manifest says of one, and whether it is the one that this host wants.

A folder holds ``manifest.toml`` and the files that it names. Nothing of it is trusted before its
hash and the digest of its tables are right.
"""

import hashlib
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickwire.errors import TickwireError
from tickwire.spec.digest import digest
from tickwire.spec.geometry import Geometry

MANIFEST = "manifest.toml"
LOADER = "openFPGALoader"
LOAD_SECONDS = 300
_KEYS = {"board": str, "part": str, "file": str, "sha256": str, "digest": str, "toolchain": str,
         "is_timing_met": bool, "geometry": dict}
"""Keys of table ``bitstream`` and what they hold; ``geometry`` has the fields of Geometry."""


@dataclass(frozen=True, slots=True)
class Bitstream:
    """A bitstream whose manifest, hash and digest were right."""

    board: str
    part: str
    path: Path
    toolchain: str
    is_timing_met: bool
    geometry: Geometry


def wanted() -> str:
    """Sentence that says which bitstream this host works with."""
    return (f'It needs a bitstream whose manifest has digest = "{digest():016x}"; '
            "`tickwire device load FOLDER` checks and loads one.")


def read(folder: Path) -> Bitstream:
    """Read and check the manifest of ``folder`` and the file that it names.

    Raises :class:`TickwireError` with the key and the value that is wrong.
    """
    path = folder / MANIFEST if folder.is_dir() else folder
    values = _values(path)
    if values["digest"] != f"{digest():016x}":
        raise TickwireError(f"{path}: digest is {values['digest']!r}: it was built from other "
                            f"tables than this host's, which are {digest():016x}.")
    try:
        geometry = Geometry(**values["geometry"])
    except (TypeError, ValueError) as error:
        raise TickwireError(f"{path}: bitstream.geometry: {error}") from None
    file = path.parent / values["file"]
    if "\0" in values["file"] or file.resolve().parent != path.parent.resolve():
        raise TickwireError(f"{path}: bitstream.file must lie beside its manifest, "
                            f"not at {values['file']!r}.")
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise TickwireError(f"{file} cannot be read: {error.strerror}.") from None
    if found != values["sha256"].lower():
        raise TickwireError(f"{file} has SHA-256 {found}, its manifest says {values['sha256']}: "
                            "it is damaged, or another one.")
    return Bitstream(values["board"], values["part"], file, values["toolchain"],
                     values["is_timing_met"], geometry)


def load(bitstream: Bitstream) -> None:
    """Load it into the board's FPGA with openFPGALoader; raises when that is not there or fails."""
    program = shutil.which(LOADER)
    if program is None:
        raise TickwireError(f"{LOADER} is not on the path, which loads bitstreams over JTAG; "
                            f"{bitstream.path} itself is right and can be loaded by any tool.")
    try:
        run = subprocess.run([program, "--board", bitstream.board, bitstream.path.absolute()],
                             check=False, capture_output=True, text=True, errors="replace",
                             timeout=LOAD_SECONDS)
    except subprocess.TimeoutExpired:
        raise TickwireError(f"{LOADER} did not end within {LOAD_SECONDS} s.") from None
    except OSError as error:
        raise TickwireError(f"{LOADER} cannot be run: {error.strerror}.") from None
    if run.returncode:
        last = (run.stderr or run.stdout).strip().splitlines()[-1:] or ["nothing"]
        raise TickwireError(f"{LOADER} failed with status {run.returncode} and said: {last[0]}")


def _values(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TickwireError(f"There is no {path}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise TickwireError(f"{path} cannot be read: {error}.") from None
    table = document.get("bitstream")
    if not isinstance(table, dict):
        raise TickwireError(f"{path} has no table [bitstream].")
    for key, kind in _KEYS.items():
        if not isinstance(table.get(key), kind):
            raise TickwireError(f"{path}: bitstream.{key} must be {_NAMES[kind]}, "
                                f"not {table.get(key)!r}.")
    if not table["board"] or table["board"].startswith("-"):     # it would be an option of the tool
        raise TickwireError(f"{path}: bitstream.board must be a board's name, "
                            f"not {table['board']!r}.")
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise TickwireError(f"{path}: bitstream.{unknown[0]} is not a key; there are "
                            f"{', '.join(_KEYS)}.")
    return table


_NAMES = {str: "text", bool: "true or false", dict: "a table"}
