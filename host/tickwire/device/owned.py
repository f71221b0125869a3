"""A device whose loop this process runs, in memory that other processes may read.

Whatever does its work, registers and rings lie in shared memory: anybody looks at them, kills
and arms there, and the engine's half of the host reads the same addresses.
"""

import abc
import socket
from collections.abc import Mapping

from tickwire.device.base import Device, Layout, RingLayout, register, word_at
from tickwire.device.shared import SharedMemory, create
from tickwire.errors import TickwireError
from tickwire.feed.frame_ring import FrameRing
from tickwire.kernels.engine_layout import MAILBOXES
from tickwire.spec.geometry import Geometry
from tickwire.spec.registers import Status
from tickwire.spec.render import dtype
from tickwire.spec.shared import POSITION

MARKET_LOG2, ORDER_LOG2, TOKEN_LOG2 = 16, 12, 12
IDLE_LIMIT = 64                            # turns that find nothing before the loop sleeps
SLEEP_NS = 200_000
MAILBOX_SECONDS = 2.0


class OwnedDevice(Device):
    """A device in shared memory. Its loop is :meth:`run`, or turns of :meth:`work`.

    Attributes
    ----------
    remark : str
        What was cleared away when it was made, as a sentence; empty for nothing.
    is_released : bool
        The host runs the order session: order messages leave as ORDER_RELEASED records.
    is_driven : bool
        An engine's thread runs the loop.
    recovery : FrameRing
        Where answers of the request server are put.
    failure : TickwireError | None
        What ended the loop, if anything did: a card that does not answer any more.
    remarks : list[str]
        Sentences about what went wrong while it ran, for whoever takes them away.
    has_own_lines : bool
        Market data comes to the device itself, not to sockets of the host.
    """

    failure: TickwireError | None = None
    has_own_lines = False

    def __init__(self, name: str, geometry: Geometry, ticks: Mapping[str, int], *,
                 market_log2: int, order_log2: int, token_log2: int, is_released: bool) -> None:
        """Make the shared memory; ``ticks`` are the watched symbols with their tick sizes.

        Raises :class:`TickwireError` when the name is taken, the system refuses memory, or the
        geometry has no room for so many symbols.
        """
        if len(ticks) > geometry.instruments:
            raise TickwireError(f"Device {name!r} has {geometry.instruments} instruments, "
                                f"not {len(ticks)}.")
        self.name, self.geometry, self.symbols = name, geometry, tuple(ticks)
        self.is_released, self.is_driven, self.remarks = is_released, False, list[str]()
        self.memory, self.remark = self._take_memory(market_log2, order_log2, token_log2)
        at = self.memory.address
        self.layout = Layout(
            market=RingLayout(at("market_ring"), market_log2),
            orders=RingLayout(at("order_ring"), order_log2),
            state=at("state"), window=at("window"), registers=at("registers"),
            counters=at("counters"), histograms=at("histograms"), limits=at("limits"),
            positions=at("positions"), engine=at("engine"), token_log2=token_log2)
        positions = self.memory.view("positions", dtype(POSITION))
        for instrument, (symbol, tick) in enumerate(ticks.items()):
            positions[instrument]["symbol"], positions[instrument]["tick"] = symbol.encode(), tick
        self._host_owner: object = None
        self._waker, self._wake = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._waker.setblocking(False)
        self._wake.setblocking(False)
        self.recovery = FrameRing()

    def _take_memory(self, market_log2: int, order_log2: int,
                     token_log2: int) -> tuple[SharedMemory, str]:
        """Return the memory that host and device share, with a remark about what was there."""
        return create(self.name, self.kind, self.geometry, market_log2=market_log2,
                      order_log2=order_log2, token_log2=token_log2)

    # The contract

    def read_register(self, name: str) -> int:
        """Return the value of a register."""
        offset, size = register(name, to_write=False)
        return int(word_at(self.layout.registers + offset, size).value)

    def write_register(self, name: str, value: int) -> None:
        """Write a register; an event waits until the device has taken the one before."""
        _, size = register(name, to_write=True)
        if not 0 <= value < 1 << 8 * size:
            raise ValueError(f"Register {name} has {8 * size} bits; {value} does not fit")
        if name == "ECHO":
            value ^= 0xFFFF_FFFF
        mark = MAILBOXES.get(name)
        if mark is None:
            self.show(name, value)
            return
        if name == "KILL":                     # a kill never waits; causes add up
            self.show(name, self.read_register(name) | value | mark)
        else:
            self.wait(lambda: self.read_register(name) == 0, MAILBOX_SECONDS,
                      f"take what was written to {name}")
            self.show(name, value | mark)
        self.wake()

    def show(self, name: str, value: int) -> None:
        """Store the word that a register shows."""
        offset, size = register(name, to_write=False)
        word_at(self.layout.registers + offset, size).value = value

    def work(self) -> None:
        """Do one turn, unless an engine's thread does them."""
        if not self.is_driven:
            self.run(1)

    def close(self) -> None:
        """Give everything back; the shared memory disappears. No engine runs any more."""
        self._waker.close()
        self._wake.close()
        self.memory.close()

    # What an engine and control need

    @abc.abstractmethod
    def run(self, turns: int = 0) -> None:
        """Do ``turns`` turns of the loop; with 0, turns until bit 0 of CONTROL is clear."""

    @abc.abstractmethod
    def attach_lines(self, line_a: int, line_b: int = -1) -> None:
        """Take datagrams from these non-blocking sockets; -1 for none."""

    @abc.abstractmethod
    def set_time(self, time: int) -> None:
        """Let the device's time be ``time``, ns, instead of the system's; it never goes back."""

    def attach_host(self, address: int, owner: object) -> None:
        """Let the loop do the host's half as well: the HOST context of ``owner``.

        The owner lives as long as the device, because the loop writes its memory.
        """
        self._host_owner = owner

    def leave_tick_to_order(self) -> None:
        """Count stage tick_to_order no longer: a slower host measures it by its records."""

    @abc.abstractmethod
    def attach_session(self, descriptor: int, received: bytes, sequence: int) -> None:
        """Hand over a socket that is logged in.

        ``received`` came after the login's answer, ``sequence`` is the number of the first
        sequenced message in it. An Account Query must have been sent: its answer opens the gate.
        The loop owns the socket until :attr:`has_session` is false again.
        """

    @property
    @abc.abstractmethod
    def has_session(self) -> bool:
        """Whether the loop has the order session's socket."""

    @property
    @abc.abstractmethod
    def session_sequence(self) -> int:
        """Number of the next sequenced message of the order session."""

    @property
    @abc.abstractmethod
    def is_session_ended(self) -> bool:
        """Whether the venue ended the order session."""

    @property
    @abc.abstractmethod
    def feed_session(self) -> str:
        """Name of the feed's session, empty before its first packet."""

    @property
    def is_session_up(self) -> bool:
        """Whether orders may be sent on the session."""
        return Status.SESSION_UP in self.status

    def give_up(self, sequence: int) -> None:
        """Go on with message ``sequence``; what is missing before it is lost for good."""
        self.write_register("FEED_GIVE_UP", sequence)

    def wake(self) -> None:
        """End the loop's sleep."""
        try:
            self._wake.send(b"\1")
        except OSError:                        # full: it is awake; closed: nobody sleeps
            return
