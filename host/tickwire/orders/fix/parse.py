"""Octets of a connection in, messages out: framed, indexed and validated by kernels.

A :class:`Receiver` holds at most ``octets_max`` octets, whatever the peer sends. A message is a
view: its octets and an index of its fields, no object for any of them.
"""

import struct
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tickwire.kernels import fix_layout as layout
from tickwire.kernels.arena import Arena
from tickwire.kernels.fix_parse import receive
from tickwire.orders.fix.rules import Rules
from tickwire.spec.fix import GARBLED_TEXTS, REJECT_TEXTS, Garbled, RejectReason

if TYPE_CHECKING:
    from tickwire.orders.fix.message import Message

MESSAGE_OCTETS_MAX = 1 << 16
"""Octets of one message that a receiver takes unless it is told otherwise."""

GARBLED_SHOWN = 4096
"""Octets of a garbled stretch that are kept to be shown."""

_FIELD_OCTETS_MIN = 3                      # `1=` and SOH
_MESSAGE = struct.Struct("16i3q")
assert _MESSAGE.size == layout.MESSAGE.itemsize
_ENTRY = np.dtype(layout.ENTRY)


class Fault(NamedTuple):
    """Why a message is rejected: values of 373 and 371; tag 0 where none is at fault."""

    reason: RejectReason
    tag: int

    @property
    def text(self) -> str:
        """Value of 58, in QuickFIX's words."""
        return REJECT_TEXTS[self.reason]


class Parsed:
    """One message, or a garbled stretch: its octets and where its fields lie in them."""

    __slots__ = ("_entries", "_found", "_octets", "_places", "_rules", "_type")

    def __init__(self, octets: bytes, found: tuple[int, ...], entries: bytes,
                 rules: Rules | None) -> None:
        """Take what a parser has found; :func:`parse` and :class:`Receiver` make these."""
        self._octets = octets
        self._found = found
        self._entries = entries
        self._places: np.ndarray | None = None
        self._type: str | None = None
        self._rules = rules

    @property
    def octets(self) -> bytes:
        """The whole message; of a garbled stretch the first ``GARBLED_SHOWN``."""
        return self._octets

    @property
    def size(self) -> int:
        """Octets on the wire."""
        return self._found[0]

    @property
    def rules(self) -> Rules | None:
        """What the message was checked against."""
        return self._rules

    @property
    def garbled_cause(self) -> Garbled:
        """Why it is no message; ``Garbled.NO`` for one."""
        return Garbled(self._found[1])

    @property
    def garbled(self) -> str:
        """Why it is no message, in words; empty for one. Nothing but ``octets`` holds then."""
        return GARBLED_TEXTS[Garbled(self._found[1])] if self._found[1] else ""

    @property
    def fault(self) -> Fault | None:
        """The first fault against the rules, in QuickFIX's order of checks; None without rules."""
        reason = self._found[3]
        return None if reason < 0 else Fault(RejectReason(reason), self._found[4])

    @property
    def is_admin(self) -> bool:
        """Whether its type is one of the session's: 0 1 2 3 4 5 A."""
        return bool(self._found[5] & layout.IS_ADMIN)

    @property
    def is_possible_duplicate(self) -> bool:
        """Whether 43=Y."""
        return bool(self._found[5] & layout.IS_DUPLICATE)

    @property
    def is_possible_resend(self) -> bool:
        """Whether 97=Y."""
        return bool(self._found[5] & layout.IS_RESEND)

    def _piece(self, index: int) -> str:
        offset, length = self._found[index:index + 2]
        return self._octets[offset:offset + length].decode("latin-1")

    @property
    def begin_string(self) -> str:
        """Value of 8."""
        return self._piece(6)

    @property
    def msg_type(self) -> str:
        """Value of 35."""
        if self._type is None:
            self._type = self._piece(8)
        return self._type

    @property
    def sender(self) -> str:
        """Value of 49, empty when it is missing."""
        return self._piece(10)

    @property
    def target(self) -> str:
        """Value of 56, empty when it is missing."""
        return self._piece(12)

    def is_between(self, sender: bytes, target: bytes) -> bool:
        """Whether 49 and 56 have these values."""
        found, octets = self._found, self._octets
        return (octets[found[10]:found[10] + found[11]] == sender
                and octets[found[12]:found[12] + found[13]] == target)

    @property
    def seq_num(self) -> int:
        """Value of 34; -1 when it is missing or no number."""
        return self._found[16]

    @property
    def sending_time(self) -> int:
        """Value of 52 in ns since 1970; -1 when it is missing or no time."""
        return self._found[17]

    @property
    def orig_sending_time(self) -> int:
        """Value of 122 in ns since 1970; -1 when it is missing or no time."""
        return self._found[18]

    @property
    def index(self) -> bytes:
        """The rows of :attr:`entries` as they lie in memory, four 32-bit words each."""
        return self._entries

    @property
    def entries(self) -> np.ndarray:
        """Index: one row a field with ``tag``, ``offset``, ``length`` and ``place``."""
        if self._places is None:
            self._places = np.frombuffer(self._entries, _ENTRY)
        return self._places

    def find(self, tag: int) -> bytes | None:
        """Return the value of the first field with ``tag``, in whatever place; else None."""
        words = memoryview(self._entries).cast("i")
        try:
            place = 4 * words[::4].tolist().index(tag)
        except ValueError:
            return None
        offset = words[place + 1]
        return self._octets[offset:offset + words[place + 2]]

    def text(self, tag: int, default: str = "") -> str:
        """Return the value of ``tag`` as text."""
        value = self.find(tag)
        return default if value is None else value.decode("latin-1")

    def integer(self, tag: int, default: int | None = None) -> int | None:
        """Return the value of ``tag`` as a whole number, ``default`` when it is none."""
        value = self.find(tag)
        if value is None:
            return default
        digits = value[1:] if value[:1] == b"-" else value
        return int(value) if digits.isdigit() and len(digits) <= 18 else default

    def flag(self, tag: int) -> bool:
        """Whether the value of ``tag`` is Y."""
        return self.find(tag) == b"Y"

    def pairs(self) -> Iterator[tuple[int, bytes]]:
        """Yield tag and value of every field in order."""
        octets = self._octets
        for tag, offset, length, _ in struct.iter_unpack("4i", self._entries):
            yield tag, octets[offset:offset + length]

    def body(self) -> bytes:
        """Return the octets of the fields between header and trailer as they came."""
        return self._octets[self._found[14]:self._found[15]]

    def message(self) -> "Message":
        """Return the readable value, groups nested as the rules have them."""
        from tickwire.orders.fix.message import Message
        return Message.of(self)

    def __repr__(self) -> str:
        """Show what it is, with | for the delimiter."""
        shown = self._octets.decode("latin-1").replace("\x01", "|")
        return f"<{self.garbled or self.msg_type} {shown}>"


class Receiver:
    """Octets of one connection in, messages out, in bounded memory."""

    def __init__(self, rules: Rules | None, *, octets_max: int = 1 << 20,
                 message_octets_max: int = MESSAGE_OCTETS_MAX) -> None:
        """Begin empty.

        ``rules`` may be None: messages are framed and indexed, and nothing is checked; of raw data
        only the usual lengths are known then. ``octets_max`` is what is held at most, whole
        messages that wait included; ``message_octets_max`` the longest message, at least 128.
        """
        if not 128 <= message_octets_max <= octets_max:
            raise ValueError(f"A message may have from 128 octets to the {octets_max} of the "
                             f"receiver, not {message_octets_max}")
        self.octets_max, self.message_octets_max = octets_max, message_octets_max
        self.garbled = self.octets_skipped = 0
        self._arena = arena = Arena()
        self._base = arena.take("octets", octets_max + layout.SLACK)
        self._octets = arena.view("octets").data[:octets_max]
        self._first = self._last = 0
        entries = message_octets_max // _FIELD_OCTETS_MIN + 1
        self.address = arena.take_rows("parser", layout.PARSER)
        row = arena.view("parser")[:layout.PARSER.itemsize].view(layout.PARSER)
        self._row = row
        row["entries"] = arena.take_rows("entries", layout.ENTRY, entries)
        row["entries_max"] = entries
        row["message"] = arena.take_rows("message", layout.MESSAGE)
        row["stack"] = arena.take_rows("stack", layout.GROUP, layout.DEPTH_MAX)
        self._entries = arena.view("entries").data
        self._found = arena.view("message").data[:layout.MESSAGE.itemsize]
        self._rules: Rules | None = None
        self.rules = rules

    @property
    def rules(self) -> Rules | None:
        """What messages are checked against from the next one on."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules | None) -> None:
        self._rules = rules
        self._stamps = np.zeros(rules.slots if rules else 1, np.int64)
        self._row["rules"] = rules.address if rules else 0
        self._row["stamps"] = self._stamps.ctypes.data
        self._row["stamp"] = 0

    @property
    def pending(self) -> int:
        """Octets that wait, of messages that are whole or not."""
        return self._last - self._first

    def clear(self) -> None:
        """Forget what waits: another connection begins."""
        self._first = self._last = 0

    def rest(self) -> bytes:
        """Return what waits for the rest of its message, and forget it."""
        rest = self._octets[self._first:self._last].tobytes()
        self.clear()
        return rest

    def _compact(self) -> None:
        """Move what waits to the front."""
        if self._first:
            kept = self._octets[self._first:self._last].tobytes()
            self._octets[:len(kept)] = kept
            self._first, self._last = 0, len(kept)

    def space(self) -> memoryview:
        """Return the room for the next octets, for ``recv_into``: empty only while messages wait.

        What waits may move: an earlier view is not to be used again.
        """
        if self._first == self._last:
            self._first = self._last = 0
        elif self._last > self.octets_max // 2:
            self._compact()
        return self._octets[self._last:self.octets_max]

    def received(self, count: int) -> None:
        """Take over the first ``count`` octets of :meth:`space`."""
        if not 0 <= count <= self.octets_max - self._last:
            raise ValueError(f"{self.octets_max - self._last} octets have room, not {count}")
        self._last += count

    def feed(self, octets: bytes) -> None:
        """Take a copy of ``octets``; ``BufferError`` when there is no room for all of them."""
        size = len(octets)
        if self._first == self._last:
            self._first = self._last = 0
        if self._last + size > self.octets_max:
            self._compact()
            if self._last + size > self.octets_max:
                raise BufferError(f"{self.octets_max - self._last} octets have room, not {size}")
        self._octets[self._last:self._last + size] = octets
        self._last += size

    def next(self) -> Parsed | None:
        """Return the next message or garbled stretch; None when more octets are needed for it."""
        first = self._first
        if first == self._last:
            return None
        framed = receive(self.address, self._base + first, self._base + self._last,
                         self.message_octets_max)
        if framed == 0:
            return None
        octets, cause = framed >> 8, framed & 0xFF
        self._first = first + octets
        if cause:
            self.garbled += 1
            self.octets_skipped += octets
            shown = bytes(self._octets[first:first + min(octets, GARBLED_SHOWN)])
            return _garbled(shown, octets, cause)
        found = _MESSAGE.unpack_from(self._found)
        return Parsed(self._octets[first:first + octets].tobytes(), found,
                      self._entries[:layout.ENTRY_SIZE * found[2]].tobytes(), self._rules)


def _garbled(shown: bytes, octets: int, cause: int) -> Parsed:
    found = (octets, cause, 0, -1, *[0] * 12, -1, -1, -1)
    return Parsed(shown, found, b"", None)


_own = threading.local()


def parse(octets: bytes, rules: Rules | None) -> Parsed:
    """Parse exactly one message; anything else is garbled. For streams use :class:`Receiver`."""
    receiver = getattr(_own, "receiver", None)
    if receiver is None or len(octets) > receiver.octets_max:
        room = max(len(octets), MESSAGE_OCTETS_MAX)
        receiver = _own.receiver = Receiver(rules, octets_max=room, message_octets_max=room)
    if receiver.rules is not rules:
        receiver.rules = rules
    receiver.clear()
    receiver.feed(octets)
    parsed = receiver.next()
    if parsed is None:
        return _garbled(octets[:GARBLED_SHOWN], len(octets), Garbled.TRUNCATED)
    if not parsed.garbled and parsed.size != len(octets):
        return _garbled(octets[:GARBLED_SHOWN], len(octets), Garbled.BODY_LENGTH)
    return parsed
