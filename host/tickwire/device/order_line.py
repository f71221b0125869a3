"""A card's order line: its frames are the kernel's, those that the card sends are adopted.

The kernel has the order connection, over a :class:`~tickwire.device.tap.Tap`. While a session is
leased the card alone writes to it, and the kernel adopts each of its frames
(:mod:`tickwire.orders.lease`). The capture ring has what the line received and what it sent in one
order, and is carried out in that order: so an order is the kernel's before the venue's answer is.

What is lost when:

- A frame that the card sent and the line lost: the kernel sends it again, which takes its
  retransmission timeout.
- A received frame that is damaged, or lost because the capture ring was overrun: the venue sends it
  again.
- A sent frame that the capture ring lost: octets that the venue has and the kernel does not know.
  The lease is broken, and the connection with it. It is noticed at the next frame that the card
  sends, or when the venue acknowledges the octets.
"""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from tickwire.device.card_network import CardSession, RegisterWriter
from tickwire.device.tap import Tap
from tickwire.errors import TickwireError
from tickwire.orders.lease import Lease, Position
from tickwire.spec.network import ETHERNET, FRAME_SIZE_MAX
from tickwire.spec.records import FrameOrigin
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire.spec.soupbintcp import HEARTBEAT_SECONDS

CAPTURED_MAX = 256                         # frames of the ring in a turn
GIVEN_MAX = 16                             # frames of the kernel in a turn
_HEARTBEAT_NS = HEARTBEAT_SECONDS * 1_000_000_000
# Looks at the ring when a session ends. Each begins with a read of a register, which is answered
# behind what the card had written: more time than a frame takes that had begun, or waited behind
# the longest one of the host.
_LAST_LOOKS = 8
_HALF, _U32 = 1 << 31, 0xFFFF_FFFF


class OrderCard(RegisterWriter, Protocol):
    """What of a card the order line uses."""

    def read_register(self, name: str) -> int:
        """Return the value of a register."""

    def work(self) -> None:
        """Let a simulated card do one turn."""

    def give_frame(self, frame: bytes, to_orders: bool = False) -> None:
        """Send a frame without check on the order line."""

    def send_heartbeat(self, session: int) -> None:
        """Send a Client Heartbeat of a leased session."""

    def move_session(self, session: int, acknowledgment: int, window: int) -> None:
        """Let a session's next frames have this acknowledgment number and window."""

    def release_session(self, session: int) -> None:
        """Let no further frame of a session begin."""


class FrameReader(Protocol):
    """What of the capture ring's reader the order line uses.

    ``lost`` counts records that the ring did not have any more, or never had.
    """

    lost: int

    def take(self) -> tuple[FrameOrigin, int, bytes, bool] | None:
        """Return the next frame: origin, stamp, octets, whether it is damaged; None for none."""


class OrderLine:
    """The order line of a card that is open, between its capture ring and the kernel.

    All calls are of one thread. ``clock`` gives ns that never go back.

    Attributes
    ----------
    counts : dict[str, int]
        Frames ``received``, of these ``damaged`` and ``undelivered`` (too short or long for the
        interface, or it is down); frames ``sent`` by the card, of these ``adopted``, and
        ``adopted_octets``; frames ``given`` to the card; ``heartbeats`` that it was asked for;
        ``lost_records`` of the capture ring.
    is_lost : bool
        The lease, or the interface, is broken: nothing is adopted any more, and the connection of
        a lease is to be closed. A new lease clears it.
    reason : str
        Why, as a sentence; empty while nothing is lost.
    """

    def __init__(self, card: OrderCard, reader: FrameReader, tap: Tap,
                 clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Nothing is leased yet; card, reader and interface stay the caller's."""
        self._card, self._reader, self._tap, self._clock = card, reader, tap, clock
        self.counts = dict.fromkeys((
            "received", "damaged", "undelivered", "sent", "adopted", "adopted_octets", "given",
            "heartbeats", "lost_records"), 0)
        self.is_lost, self.reason = False, ""
        self._session: int | None = None       # what is leased
        self._lease: Lease | None = None       # of the last session, until another one is leased
        self._position = Position(0, 0, 0)     # as the card has it
        self._acknowledged: int | None = None  # by the venue
        self._sent_at = 0

    def fileno(self) -> int:
        """File descriptor for pollers: readable when the kernel sends; the ring has none."""
        return self._tap.fileno()

    @property
    def session(self) -> int | None:
        """Number of the session that is leased."""
        return self._session

    # Leases

    def lease(self, connection: socket.socket, session: int, capacity: str = "P") -> None:
        """Make the card the only writer of ``connection``, as its order session ``session``.

        ``capacity`` is that of OUCH. Nobody else writes to the connection until
        :meth:`release`, or until ``is_lost``.

        Raises :class:`TickwireError` while another one is leased, for a session that no card has,
        for a connection that cannot be leased, and without the next hop's MAC address.
        """
        if self._session is not None:
            raise TickwireError(f"The order line has session {self._session} leased: it must be "
                                f"released before session {session} can be.")
        if not 0 <= session < SESSIONS_MAX:
            raise TickwireError(f"A card has order sessions 0 to {SESSIONS_MAX - 1}, "
                                f"not {session}.")
        lease = Lease(connection)
        template = lease.template(self._tap.mac, self._tap.next_hop(connection.getpeername()[0]),
                                  capacity)
        self._lease = None                     # what is left of an earlier session is nobody's
        self._look_again()
        self._give(self._from_kernel())        # the kernel's octets go before the card's
        self._lease, self._session = lease, session
        self._position, self._acknowledged = lease.position(), None
        self.is_lost, self.reason = False, ""
        CardSession(template=template, sequence=self._position.sequence,
                    acknowledgment=self._position.acknowledgment,
                    window=self._position.window).write(self._card, session)
        self._sent_at = self._clock()

    def release(self) -> None:
        """Take the session back: the connection is an ordinary one from here on.

        What the card had sent is adopted. Turns have to go on as long as the connection is in use.
        Does nothing when no session is leased.
        """
        if self._session is None:
            return
        self._card.release_session(self._session)
        self._look_again()
        self._session = None

    def _look_again(self) -> None:
        """Carry out what the card had written to the ring, and what it is about to write."""
        for _ in range(_LAST_LOOKS):
            self._card.work()
            self._card.read_register("STATUS")
            self._take()

    def _lose(self, reason: str) -> None:
        """Give the session up; the first reason is kept."""
        if self.is_lost:
            return
        self.is_lost, self.reason = True, reason
        session, self._session, self._lease = self._session, None, None
        if session is not None:
            with suppress(TickwireError):      # a card that is gone sends nothing either
                self._card.release_session(session)

    # A turn

    def turn(self) -> int:
        """Do what is there to do, within bounds; returns how many frames were carried.

        Raises :class:`TickwireError` when the card does not answer.
        """
        received = self.counts["received"]
        taken, frames = self._take(), self._from_kernel()
        if frames or self.counts["received"] != received:
            self._follow()                     # before the kernel's frame that says the same
        self._give(frames)
        self._keep_alive()
        return taken + len(frames)

    def _take(self) -> int:
        """Carry out what the capture ring has; returns how many frames."""
        done = 0
        while done < CAPTURED_MAX and (found := self._reader.take()) is not None:
            origin, _, frame, is_damaged = found
            if origin == FrameOrigin.RECEIVED:
                self._receive(frame, is_damaged)
            elif origin == FrameOrigin.SENT:
                self._adopt(frame, is_damaged)
            done += 1
        self.counts["lost_records"] = self._reader.lost
        return done

    def _receive(self, frame: bytes, is_damaged: bool) -> None:
        self.counts["received"] += 1
        if is_damaged:
            self.counts["damaged"] += 1
            return
        if not ETHERNET.size <= len(frame) <= FRAME_SIZE_MAX:
            self.counts["undelivered"] += 1
            return
        try:
            self._tap.write(frame)
        except TickwireError as error:
            self.counts["undelivered"] += 1
            self._lose(str(error))
            return
        if self._lease is not None:
            number = self._lease.acknowledgment_of(frame)
            if number is not None:
                self._acknowledged = number

    def _adopt(self, frame: bytes, is_damaged: bool) -> None:
        self.counts["sent"] += 1
        if self._lease is None:
            return
        if is_damaged:
            self._lose("The capture ring has a frame that the card sent, but not all of it: the "
                       "lease is broken.")
            return
        try:
            octets = self._lease.adopt_frame(frame)
        except TickwireError as error:
            self._lose(str(error))
            return
        self.counts["adopted"] += 1
        self.counts["adopted_octets"] += octets
        self._sent_at = self._clock()

    def _from_kernel(self) -> list[bytes]:
        """Take frames that the kernel sends."""
        frames: list[bytes] = []
        try:
            while len(frames) < GIVEN_MAX and (frame := self._tap.read()) is not None:
                frames.append(frame)
        except TickwireError as error:
            self._lose(str(error))
        return frames

    def _give(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._card.give_frame(frame, to_orders=True)
            self.counts["given"] += 1

    def _follow(self) -> None:
        """Tell the card where the leased connection stands, if that has changed."""
        if self._session is None or self._lease is None:
            return
        end = self._lease.end
        if end:
            self._lose(f"Order session {self._session} has lost its connection: {end}.")
            return
        last, now = self._position, self._lease.position()
        acknowledged = now.sequence if self._acknowledged is None else self._acknowledged
        beyond = (acknowledged - now.sequence) & _U32
        if 0 < beyond < _HALF:
            self._lose(f"The venue has acknowledged {beyond} octets that the kernel does not know: "
                       "the capture ring has lost a frame that the card sent, and the lease is "
                       "broken.")
            return
        self._position = now
        if (now.acknowledgment, now.window) != (last.acknowledgment, last.window):
            self._card.move_session(self._session, now.acknowledgment, now.window)

    def _keep_alive(self) -> None:
        """Let the card send a heartbeat when its session has been silent."""
        if self._session is None or self._clock() - self._sent_at < _HEARTBEAT_NS:
            return
        self._follow()                         # a venue that does not answer sends no frame
        if self._session is not None:
            self._card.send_heartbeat(self._session)
            self._sent_at = self._clock()
            self.counts["heartbeats"] += 1
