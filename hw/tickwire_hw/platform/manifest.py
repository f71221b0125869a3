"""A manifest beside a bitstream: ``python -m tickwire_hw.platform.manifest FILE --board ...``.

Digest and geometry are those of this tree, the hash is the file's. ``tickwire device load`` takes
nothing else.
"""

import argparse
import hashlib
import sys
from dataclasses import asdict
from pathlib import Path

from tickwire.spec.digest import digest
from tickwire_hw.catalogue import GEOMETRIES

NAME = "manifest.toml"


def manifest(file: Path, geometry: str, *, board: str, part: str, toolchain: str,
             is_timing_met: bool) -> str:
    """Return the manifest of the bitstream ``file``, built from this tree; raises ``OSError``."""
    sizes = ", ".join(f"{name} = {value}" for name, value in asdict(GEOMETRIES[geometry]).items())
    texts = {"board": board, "part": part, "file": file.name, "toolchain": toolchain,
             "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "digest": f"{digest():016x}"}
    for key, text in texts.items():
        if not text.isprintable() or '"' in text or "\\" in text:
            raise ValueError(f"{key} must be plain text without quotes, not {text!r}")
    if not board or board.startswith("-"):
        raise ValueError(f"board must be a board's name, not {board!r}")
    return "\n".join(["[bitstream]", *(f'{key} = "{text}"' for key, text in texts.items()),
                      f"is_timing_met = {str(is_timing_met).lower()}",
                      f"geometry = {{ {sizes} }}", ""])


def main(arguments: list[str]) -> int:
    """Write the manifest that the arguments ask for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tickwire_hw.platform.manifest",
                                     description="Write the manifest beside a bitstream.")
    parser.add_argument("file", type=Path, help="bitstream, built from this tree")
    for name, text in (("board", "as openFPGALoader names it"), ("part", "with its speed grade"),
                       ("toolchain", "name and version")):
        parser.add_argument(f"--{name}", required=True, help=text)
    parser.add_argument("--geometry", choices=GEOMETRIES, default="large")
    parser.add_argument("--timing-met", action="store_true", help="the tools' reports say so")
    options = parser.parse_args(arguments)
    try:
        text = manifest(options.file, options.geometry, board=options.board, part=options.part,
                        toolchain=options.toolchain, is_timing_met=options.timing_met)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    target = options.file.parent / NAME
    target.write_text(text)
    sys.stdout.write(f"{target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
