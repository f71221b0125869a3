"""Software device: the card's components as kernels, in memory that other processes may read.

Everything happens in turns of one loop (:mod:`tickwire.kernels.engine`). Either an engine runs it
in a thread of its own, or :meth:`SoftwareDevice.work` does one turn at a time.
"""

import ctypes
import time
from collections.abc import Mapping

import numpy as np

from tickwire.device.book_memory import BookMemory
from tickwire.device.feed_memory import LINE_TIMEOUT_NS, FeedMemory
from tickwire.device.order_memory import BookSide, OrderMemory
from tickwire.device.owned import (
    IDLE_LIMIT,
    MARKET_LOG2,
    ORDER_LOG2,
    SLEEP_NS,
    TOKEN_LOG2,
    OwnedDevice,
)
from tickwire.device.shared import ABI
from tickwire.errors import TickwireError
from tickwire.kernels import engine, engine_session
from tickwire.kernels.arena import Arena
from tickwire.kernels.engine_layout import DATAGRAM, DEVICE
from tickwire.kernels.engine_session import SESSION
from tickwire.spec import soupbintcp
from tickwire.spec.digest import digest
from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import LIMITS_ROW
from tickwire.spec.registers import MAGIC, Capability, RegisterOffset, Status
from tickwire.spec.stages import HISTOGRAM_WORDS, StageIndex

BURST = 32                                 # datagrams of one line before the other has its turn
_NANOSECOND_HZ = 1_000_000_000
_POLL_IN = 1
_SECOND = 1_000_000_000


class SoftwareDevice(OwnedDevice):
    """A device of Numba kernels; killed until it is armed.

    ``symbols`` maps the watched symbols to their tick sizes (1e-4 dollars); their order gives the
    dense numbers. Without any, every instrument that the directory names is watched under its
    stock locate, as far as the geometry has room. Lines and session are descriptors of connected
    or bound sockets, given with :meth:`attach_lines` and :meth:`attach_session`. ``busy`` never
    sleeps.
    """

    kind = "software"

    def __init__(self, name: str, geometry: Geometry, symbols: Mapping[str, int], *,
                 stale_ns: int = 0, line_timeout_ns: int = LINE_TIMEOUT_NS, patience_ns: int = 0,
                 busy: bool = False, market_log2: int = MARKET_LOG2, order_log2: int = ORDER_LOG2,
                 token_log2: int = TOKEN_LOG2, epoch: int = 0,
                 accept_session: bool = True, is_released: bool = False) -> None:
        """Make the shared memory and everything behind it.

        Without ``accept_session`` the feed's first session is its only one. With ``is_released``
        the host runs the order session (FIX): order messages leave as ORDER_RELEASED records.
        Raises :class:`TickwireError` when the name is taken or the system refuses memory.
        ``remark`` afterwards says what was cleared away.
        """
        super().__init__(name, geometry, symbols, market_log2=market_log2,
                         order_log2=order_log2, token_log2=token_log2, is_released=is_released)
        self._arena = Arena()
        # A record of an earlier run in the same memory would not match; here memory is new.
        self.epoch = epoch or time.time_ns() // _SECOND % 255 + 1
        self._compose(dict(symbols), stale_ns, line_timeout_ns, patience_ns, accept_session)
        self._fill(busy)
        self._fill_registers()

    def _compose(self, symbols: dict[str, int], stale_ns: int, line_timeout_ns: int,
                 patience_ns: int, accept_session: bool) -> None:
        layout = self.layout
        self.book = BookMemory(
            self.geometry, watch_symbols=symbols or None, ring_log2=layout.market.log2,
            ring=layout.market.base, state=layout.state, counters=layout.counters,
            epoch=self.epoch)
        self.book.context["timed"] = 1
        feed_state = self._arena.take("feed_state", 8)
        self.feed = FeedMemory(
            self.book, accept_session=accept_session, line_timeout_ns=line_timeout_ns,
            patience_ns=patience_ns, stale_ns=stale_ns, feed_state=feed_state,
            registers=layout.registers)
        side = BookSide(instruments=self.geometry.instruments, state=layout.state,
                        feed_state=feed_state, filter=int(self.book.context["filter"]),
                        sides=int(self.book.context["sides"]),
                        status=int(self.book.context["status"]),
                        symbols=int(self.book.context["symbols"]))
        self.orders = OrderMemory(
            side, orders_log2=layout.token_log2, ring_log2=layout.orders.log2,
            counters=layout.counters, window=layout.window, ring=layout.orders.base,
            consumed=layout.registers + RegisterOffset.RING_ORDER_CONSUMED,
            market_ring=self.book.ring, ring_epoch=self.epoch)
        self.orders.gate["staging"] = layout.limits
        self.orders.context["acknowledge_stage"] = self._stage("ORDER_TO_ACK")
        self.orders.context["released"] = self.is_released    # the one session, number 0

    def _stage(self, name: str) -> int:
        return self.layout.histograms + 8 * HISTOGRAM_WORDS * int(StageIndex[name])

    def _fill(self, busy: bool) -> None:
        take = self._arena.take
        self._session = self._arena.take_rows("session", SESSION)
        s = self.session = self._arena.view("session", SESSION)[0]
        s["socket"] = -1
        s["up"] = self.orders.sessions
        s["input"] = take("input", engine_session.INPUT)
        s["output"] = take("output", engine_session.OUTPUT)
        s["settle"] = take("settle", 64)
        s["heartbeat_ns"] = soupbintcp.HEARTBEAT_SECONDS * _SECOND
        s["timeout_ns"] = soupbintcp.PEER_TIMEOUT_SECONDS * _SECOND
        s["counters"] = self.layout.counters
        self.address = self._arena.take_rows("device", DEVICE)
        d = self.context = self._arena.view("device", DEVICE)[0]
        d["book"], d["arbiter"] = self.book.address, self.feed.arbiter
        d["orders"], d["session"] = self.orders.address, self._session
        self.book.context["observer"] = engine.on_record.address
        self.book.context["observed"] = self.address
        d["recovery"] = self.recovery.address
        d["lines"] = -1
        d["burst"] = BURST
        d["buffer"] = take("buffer", DATAGRAM + 64)
        d["registers"], d["counters"] = self.layout.registers, self.layout.counters
        for stage in ("receive", "risk", "send"):
            d[f"{stage}_stage"] = self._stage(stage.upper())
        d["tick_stage"] = self._stage("TICK_TO_ORDER")
        d["idle_limit"] = 0 if busy else IDLE_LIMIT
        d["sleep_ns"] = SLEEP_NS
        d["timeout"] = take("timeout", 16)
        d["polled"] = take("polled", 32)
        rows = self._arena.view("polled", np.dtype([("socket", "i4"), ("events", "i2"),
                                                    ("returned", "i2")]))
        rows["events"][:4] = _POLL_IN
        rows["socket"][3] = self._waker.fileno()

    def _fill_registers(self) -> None:
        book, queues = self.geometry.registers(self.layout.token_log2)
        for name, value in (
                ("MAGIC", MAGIC), ("ABI", ABI), ("DIGEST", digest()),
                ("CAPABILITIES", Capability.TRIGGERS
                 | (Capability.LEVELS if self.geometry.depth else 0)),
                ("CORE_HZ", _NANOSECOND_HZ),
                ("GEOMETRY_BOOK", book), ("GEOMETRY_QUEUES", queues),
                ("ECHO", 0xFFFF_FFFF), ("CONTROL", 1), ("RING_EPOCH", self.epoch),
                ("RING_MARKET_LOG2", self.layout.market.log2),
                ("RING_ORDER_LOG2", self.layout.orders.log2),
                ("EPOCH", int(self.orders.context["epoch"])),
                ("STATUS", Status.RUNNING | Status.KILLED),
                ("KILL_CAUSE", int(self.orders.gate["killed"]))):
            self.show(name, value)

    def run(self, turns: int = 0) -> None:
        """Do ``turns`` turns of the loop; with 0, turns until bit 0 of CONTROL is clear."""
        engine.run(self.address, turns)

    def attach_lines(self, line_a: int, line_b: int = -1) -> None:
        """Take datagrams from these non-blocking sockets; -1 for none."""
        self.context["lines"] = line_a, line_b
        self.feed.context["lines"] = (1 if line_a >= 0 else 0) | (2 if line_b >= 0 else 0)

    def set_time(self, time: int) -> None:
        """Let the device's time be ``time``, ns, instead of the system's, from now on."""
        self.context["given_time"] = max(time, int(self.context["given_time"]))

    def attach_host(self, address: int, owner: object) -> None:
        """Let the loop do the host's half as well: the HOST context of ``owner``."""
        super().attach_host(address, owner)
        self.context["host"] = address

    def leave_tick_to_order(self) -> None:
        """Count stage tick_to_order no longer: a slower host measures it by its records."""
        self.context["tick_stage"] = self._arena.take("uncounted", 8 * HISTOGRAM_WORDS)

    def attach_session(self, descriptor: int, received: bytes, sequence: int) -> None:
        """Hand over a socket that is logged in.

        ``received`` came after the login's answer, ``sequence`` is the number of the first
        sequenced message in it. An Account Query must have been sent: its answer opens the gate.
        The loop owns the socket until :attr:`has_session` is false again.
        """
        if self.has_session:
            raise TickwireError("The device has an order session already.")
        if len(received) > engine_session.INPUT:
            raise TickwireError(f"{len(received)} octets came with the login; the device takes "
                                f"{engine_session.INPUT}.")
        s, now = self.session, time.time_ns()
        ctypes.memmove(int(s["input"]), received, len(received))
        s["input_octets"], s["output_octets"] = len(received), 0
        s["sequence"], s["awaited"], s["next_token"], s["ended"] = sequence, 1, 0, 0
        s["sent_at"] = s["received_at"] = now
        s["socket"] = descriptor               # last: from here on the socket is the loop's
        self.wake()

    @property
    def has_session(self) -> bool:
        """Whether the loop has the order session's socket."""
        return ctypes.c_int64.from_address(self._session).value >= 0

    @property
    def session_sequence(self) -> int:
        """Number of the next sequenced message of the order session."""
        return int(self.session["sequence"])

    @property
    def is_session_ended(self) -> bool:
        """Whether the venue ended the order session."""
        return bool(self.session["ended"])

    @property
    def feed_session(self) -> str:
        """Name of the feed's session, empty before its first packet."""
        return self.feed.session


assert LIMITS_ROW == 128
