"""Octets of order messages for records that a device released; kernels write them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from tickwire.kernels import fix_orders as kernels
from tickwire.orders.fix.order_fields import OCTETS_MAX, OrderField
from tickwire.orders.fix.rules import Rules
from tickwire.orders.release import RELEASED
from tickwire.spec.fix import Tag
from tickwire.spec.intents import Operation

_LATEST_PREFIX = 24
_TEXTS = ("begin", "sender", "target", "prefix")
_WRITTEN_TYPES = "DFG"                     # in the order of the kernels' pieces


class OrderWriter:
    """Writes D, F and G of one session; one thread.

    ``prefix`` stands before the token in every ClOrdID, at most 24 characters, and differs from run
    to run: a venue refuses an id that it has seen before. ``header`` are the fields after 35 but 34
    and 52 by tag; ``configured`` are further fields of the body by message type.
    """

    def __init__(self, rules: Rules, prefix: str, header: dict[int, str] | None = None,
                 configured: Mapping[str, Sequence[OrderField]] | None = None,
                 decimals: int = 3) -> None:
        if not 0 < len(prefix) <= _LATEST_PREFIX or not prefix.isascii():
            raise ValueError(f"The prefix of ClOrdIDs has 1 to {_LATEST_PREFIX} ASCII characters, "
                             f"not {prefix!r}")
        fields = sorted((header or {}).items())
        texts = {
            "begin": rules.begin_string, "prefix": prefix,
            "sender": "".join(f"{tag}={text}\x01" for tag, text in fields if tag < 52),
            "target": "".join(f"{tag}={text}\x01" for tag, text in fields if tag > 52)}
        if sum(map(len, texts.values())) > kernels.ROOM // 4:
            raise ValueError(f"The header has more than {kernels.ROOM // 4} octets")
        self.prefix = prefix
        self.configured = dict(configured or {})
        self._template = np.zeros(1, kernels.TEMPLATE)
        self._texts = {}
        for name in _TEXTS:
            octets = texts[name].encode("latin-1")
            self._texts[name] = np.frombuffer(octets + bytes(8), np.uint8)
            self._template[name] = self._texts[name].ctypes.data
            self._template[f"{name}_length"] = len(octets)
        self._time = np.zeros(32, np.uint8)
        self._template["time"] = self._time.ctypes.data
        self._template["decimals"] = decimals
        self._template["has_handling"] = rules.begin_string == "FIX.4.2" and not any(
            entry.tag == Tag.HANDLING for entry in self.configured.get("D", ()))
        self._pieces = self._laid_out()
        self._template["pieces"] = self._pieces.ctypes.data
        self._room = np.zeros(kernels.ROOM, np.uint8)
        self._view = self._room.data
        self.address = int(self._template.ctypes.data)
        self._target = int(self._room.ctypes.data)
        self._row = np.zeros(1, RELEASED)
        self._released = int(self._row.ctypes.data)
        self._row["operation"] = Operation.NEW
        self.written(self._released, 1, 0)     # loads the kernel

    def _laid_out(self) -> np.ndarray:
        """Rows of the kernels' pieces: the configured fields of each type between two bounds."""
        texts = np.zeros((len(_WRITTEN_TYPES), len(kernels.BOUNDS) + 1, OCTETS_MAX), np.uint8)
        pieces = np.zeros(texts.shape[:2], kernels.PIECES)
        for kind, row in enumerate(pieces):
            for entry in self.configured.get(_WRITTEN_TYPES[kind], ()):
                piece = row[bisect_right(kernels.BOUNDS, entry.tag)]
                begin = int(piece["length"])
                piece["length"] += len(entry.octets)
                texts[kind, bisect_right(kernels.BOUNDS, entry.tag), begin:piece["length"]] = (
                    np.frombuffer(entry.octets, np.uint8))
        pieces["address"] = texts.ctypes.data + OCTETS_MAX * np.arange(pieces.size).reshape(
            pieces.shape)
        self._configured_texts = texts     # what the rows point to
        return pieces

    def message(self, released: np.void, sequence: int, now: int, original: int = 0,
                request: int = 0) -> bytes:
        """Return the whole message, numbered ``sequence``, that ``released`` asks for at ``now``.

        ``original`` and ``request`` are those of :func:`~tickwire.kernels.fix_orders.write_order`.
        """
        self._row[0] = released
        return self.written(self._released, sequence, now, original, request)[0]

    def held(self, record: bytes) -> int:
        """Return the address of a copy of a record, for :meth:`written`; there is one at a time."""
        self._row.view(np.uint8)[:] = np.frombuffer(record, np.uint8)
        return self._released

    def written(self, released: int, sequence: int, now: int, original: int = 0, request: int = 0
                ) -> tuple[bytes, int]:
        """Return the same for a record at an address, and how many octets are before its body."""
        found = kernels.encode_order(self.address, released, original, request, sequence, now,
                                     self._target)
        first = found & 0xFFFF
        return self._view[first:first + (found >> 16 & 0xFFFF)].tobytes(), found >> 32

    def identity(self, token: int, request: int = 0) -> str:
        """Return the ClOrdID of an order, or of a request to change it."""
        return f"{self.prefix}{token}.{request}" if request else f"{self.prefix}{token}"

    def mass_identity(self, number: int) -> str:
        """Return the ClOrdID of a mass cancel; :meth:`token` takes it for no order's."""
        return f"{self.prefix}M{number}"

    def token(self, identity: str) -> tuple[int, int] | None:
        """Return token and request of a ClOrdID of this run; None of any other."""
        token, _, request = identity.removeprefix(self.prefix).partition(".")
        if not identity.startswith(self.prefix) or not token.isdecimal() or (
                request and not request.isdecimal()):
            return None
        found = int(token), int(request or 0)
        return found if identity == self.identity(*found) else None
