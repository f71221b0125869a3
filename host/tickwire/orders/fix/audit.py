"""Every octet that came or went on the FIX connections of a process, with its time in ns.

One journal a UTC day, ``NAME-YYYYMMDD.audit``: what is logged late is in that of the day on which
it is logged. What came is logged as it came from the socket, before anything looks at it, refused
connections and garbage included; what went is logged before the socket has it. Notes say when a
connection began and ended, and why. Nothing is ever deleted.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tickwire.errors import InputError
from tickwire.orders.fix.journal import (
    DamageError,
    Journal,
    StoreError,
    damage,
    make_folder,
    scan,
)

RECEIVED, SENT, NOTE = 1, 2, 3
SIGNS = {RECEIVED: "<", SENT: ">", NOTE: "#"}
_DAY = 86_400_000_000_000


class AuditLog:
    """The log of one process; connections are numbered by who opens them."""

    def __init__(self, folder: Path, name: str, durability: str = "none") -> None:
        """Log into ``folder``, made when it is missing; raises :class:`StoreError`."""
        make_folder(folder)
        self._folder, self._name, self._durability = folder, name, durability
        self._journal: Journal | None = None
        self._day = -1

    def add(self, kind: int, connection: int, time: int, octets: bytes) -> None:
        """Log octets of one connection at ``time`` (ns since 1970)."""
        if time // _DAY > self._day:       # not back: what the engine sent before midnight is late
            self.open(time)
        assert self._journal is not None
        self._journal.append(kind, connection, time, octets)

    def open(self, time: int) -> None:
        """Go on in the file of the day of ``time`` (ns since 1970), all of which is checked.

        For before a session begins: a million entries take about a second. Raises
        :class:`StoreError` when the file is damaged, used by another process or cannot be written.
        """
        self.close()
        day = datetime.fromtimestamp(time // 1_000_000_000, UTC)
        try:
            self._journal = Journal(self._folder / f"{self._name}-{day:%Y%m%d}.audit",
                                    self._durability)
        except DamageError as error:
            raise StoreError(f"{str(error).rstrip('.')}; move the log away.") from None
        self._day = time // _DAY

    def sync(self) -> None:
        """Make durable what the mode promises."""
        if self._journal is not None:
            self._journal.sync()

    def close(self) -> None:
        """Close the file of the day."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._day = -1


def lines(path: Path) -> Iterator[str]:
    """Yield a readable line for every entry of an audit log: time, connection, sign, octets.

    Field ends are shown as ``|``, what is not printable as in a Python literal. Raises
    :class:`InputError` when the file holds no entry, and at its end when it is damaged: entries
    from there on are not shown.
    """
    is_empty = True
    for record in scan(path):
        is_empty = False
        seconds, nanoseconds = divmod(record.time, 1_000_000_000)
        when = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{nanoseconds:09d}"
        text = record.payload.decode("latin-1").replace("\x01", "|")
        shown = text if text.isprintable() else text.encode("unicode_escape").decode()
        yield f"{when} {record.number} {SIGNS.get(record.kind, '?')} {shown}"
    if is_empty:
        raise InputError(f"{path} is not an audit log of FIX sessions.")
    if found := damage(path):
        raise InputError(f"{found.sentence(path)}.")
