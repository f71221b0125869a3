"""Memory of a feed's receiver and arbiter, and their configuration in Python's terms."""

import ctypes
import ipaddress

from tickwire.device.book_memory import BookMemory
from tickwire.kernels.arbiter_layout import ARBITER
from tickwire.kernels.arena import Arena
from tickwire.kernels.receive import RECEIVE, key_of
from tickwire.spec.moldudp64 import DOWNSTREAM_HEADER
from tickwire.spec.network import FRAME_SIZE_MAX
from tickwire.spec.records import FeedState, Line
from tickwire.spec.registers import GapPolicy

LINE_TIMEOUT_NS = 3_000_000_000
"""Silence after which a line is not waited for, unless told otherwise: several heartbeats."""

SESSION_SIZE = DOWNSTREAM_HEADER.field("session")[0].size


class FeedMemory:
    """A receiver and an arbiter in front of ``book``.

    ``arbiter`` and ``receive`` are the addresses that the kernels take, ``context`` and
    ``receiver`` the same as rows. ``feed_state`` (8 octets) and ``registers`` may be addresses in
    shared memory; without them the word is private and there are no registers.

    ``both_lines`` tells whether a gap waits for line B too. ``start`` is the first number of the
    session that the book needs: 1 for all of them, 0 to join wherever the stream is. ``session``,
    when given, is the only one that will do at first; ``accept_session`` tells whether another
    one may take over. Times are in ns, 0 for never: silence after which a line is not waited for
    (several heartbeats long), age at which a hole counts as a gap, silence that makes the feed
    stale.
    """

    def __init__(self, book: BookMemory, *, both_lines: bool = True, start: int = 1,
                 session: str | None = None, accept_session: bool = True,
                 policy: GapPolicy = GapPolicy.WAIT, line_timeout_ns: int = LINE_TIMEOUT_NS,
                 patience_ns: int = 0, stale_ns: int = 0, check_udp: bool = True,
                 size_max: int = FRAME_SIZE_MAX, cut_through: bool = False,
                 feed_state: int = 0, registers: int = 0) -> None:
        """Allocate and configure; no line has a group and port yet."""
        self.book = book
        self.arena = Arena()
        take_rows, view = self.arena.take_rows, self.arena.view
        self.arbiter = take_rows("arbiter", ARBITER)
        a = self.context = view("arbiter", ARBITER)[0]
        a["lines"] = 3 if both_lines else 1
        a["policy"] = policy
        a["accept_session"] = accept_session
        a["line_timeout_ns"] = line_timeout_ns
        a["patience_ns"] = patience_ns
        a["stale_ns"] = stale_ns
        a["cut_through"] = cut_through
        a["feed_state"] = feed_state or self.arena.take("feed_state", 8)
        a["registers"] = registers
        a["expected"] = start
        if session is not None:
            octets = session.encode("ascii").ljust(SESSION_SIZE)
            if len(octets) != SESSION_SIZE:
                raise ValueError(f"session must have at most {SESSION_SIZE} characters, "
                                 f"not {session!r}")
            a["session"] = (int.from_bytes(octets[:8], "little", signed=True),
                            int.from_bytes(octets[8:], "little"))
            a["has_session"] = 1
        self.receive = take_rows("receive", RECEIVE)
        r = self.receiver = view("receive", RECEIVE)[0]
        r["counters"] = book.counters
        r["size_max"] = size_max
        r["check_udp"] = check_udp
        r["cut_through"] = cut_through

    def listen(self, line: Line, group: str, port: int) -> None:
        """Take datagrams to an IPv4 address and UDP port as those of ``line``."""
        self.receiver["keys"][line] = key_of(int(ipaddress.IPv4Address(group)), port)

    @property
    def state(self) -> FeedState:
        """State of the feed as told last."""
        return FeedState(ctypes.c_int64.from_address(int(self.context["feed_state"])).value)

    @property
    def session(self) -> str:
        """Session in force, without its padding; empty before the first."""
        head, tail = (int(word) for word in self.context["session"])
        octets = (head & (1 << 64) - 1).to_bytes(8, "little") + tail.to_bytes(2, "little")
        return octets.decode("latin-1").rstrip(" ") if self.context["has_session"] else ""

    @property
    def expected(self) -> int:
        """Next number that the book needs; 0 before the first packet when it may be any."""
        return int(self.context["expected"])

    @property
    def highest(self) -> int:
        """Number after the greatest that either line has shown; at least :attr:`expected`."""
        a = self.context
        return max(int(a["expected"]), *(int(number) for number in a["shown"]))
