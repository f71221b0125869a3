"""Where messages come from: multicast lines, captures, files, and the request server."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickwire.feed.source import Source

__all__ = ["open_source"]


def open_source(path: str | os.PathLike[str]) -> "Source":
    """Open an input file, whose content says what it is: pcap, pcapng or BinaryFILE, or gzip.

    Close it, or use it in a ``with``. Raises :class:`tickwire.errors.InputError` with the path
    and the reason when it cannot be read.
    """
    # Kernels are loaded by those who open a file, not by all who import a part of this package.
    from tickwire.feed.detect import detect
    return detect(path)
