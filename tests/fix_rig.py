"""FIX messages by hand for tests: framed here, by the specification, not by our encoder."""

import sysconfig
from pathlib import Path

import pytest

TIME = "20261127-23:59:59.123"
HEADER = f"34=2|49=TW|52={TIME}|56=ISLD|"


def framed(text: str) -> bytes:
    """Return ``8=..|35=..|...|`` with | for the delimiter, completed with 9 and 10."""
    first, rest = text.replace("|", "\x01").encode("latin-1").split(b"\x01", 1)
    head = first + b"\x019=" + str(len(rest)).encode() + b"\x01" + rest
    return head + b"10=" + f"{sum(head) % 256:03d}".encode() + b"\x01"


def message(kind: str, body: str = "", begin: str = "FIX.4.4", header: str = HEADER) -> bytes:
    """Return a whole message of type ``kind`` with the usual header."""
    return framed(f"8={begin}|35={kind}|{header}{body}")


ORDER = f"11=ID|21=1|40=1|54=1|55=INTC|60={TIME}|"


def quickfix_xml(name: str) -> Path:
    """Return the path of a dictionary of the PyPI package ``quickfix``; skips where it is not."""
    for root in (Path(sysconfig.get_path("data")), Path("/usr"), Path("/usr/local")):
        path = root / "share/quickfix" / name
        if path.is_file():
            return path
    pytest.skip("the dictionaries of quickfix are not installed: pip install '.[bench-peers]'")
