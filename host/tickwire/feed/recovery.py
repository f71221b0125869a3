"""Client of a MoldUDP64 request server: the socket around :class:`Requests`."""

import socket
from collections.abc import Callable

from tickwire.errors import TickwireError
from tickwire.feed.requests import RequestLimits, Requests

DATAGRAM_MAX = 0xFFFF
ANSWERS_MAX = 256
"""Answers taken by one call of :meth:`RecoveryClient.service`."""


class RecoveryClient:
    """Ask for missing messages and hand over the answers, whole downstream packets in sequence.

    Call :meth:`service` when the socket is readable and when :meth:`deadline` has come; nothing
    blocks. ``deliver(payload)`` returns False when it has no room now; ``lost(first, count)``
    tells of messages that were given up. See :class:`Requests` for the rules and the counts; here
    ``answers_foreign`` (another sender) and ``send_errors`` are counted besides.
    """

    def __init__(self, address: tuple[str, int], deliver: Callable[[bytes], bool],
                 lost: Callable[[int, int], None], limits: RequestLimits | None = None) -> None:
        """Open a socket towards ``address``; raises :class:`TickwireError` for an unknown host."""
        try:
            found = socket.getaddrinfo(*address, socket.AF_INET, socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise TickwireError(f"Cannot find the request server {address[0]}: "
                                f"{getattr(error, 'strerror', None) or error}.") from None
        self.address: tuple[str, int] = found[0][4]  # type: ignore[assignment]
        self.requests = Requests(deliver, lost, limits)
        self.counts = self.requests.counts
        # Not connected: a connected socket would hide what other senders send.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)

    def begin(self, session: bytes) -> None:
        """Take up a session, 10 octets as on the wire."""
        self.requests.begin(session)

    def want(self, expected: int, end: int, now: int) -> None:
        """Say that messages from ``expected`` up to ``end``, exclusive, are missing."""
        self.requests.want(expected, end, now)

    def service(self, now: int) -> int:
        """Take the answers that are there and send the requests that are due.

        Returns how many datagrams came; when it is ``ANSWERS_MAX`` there may be more.
        """
        came = 0
        while came < ANSWERS_MAX:
            try:
                answer, sender = self.socket.recvfrom(DATAGRAM_MAX)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self.counts["send_errors"] += 1            # ICMP: nobody listens there
                came += 1
                continue
            came += 1
            if sender != self.address:
                self.counts["answers_foreign"] += 1
            else:
                self.requests.receive(answer, now)
        for request in self.requests.poll(now):
            try:
                self.socket.sendto(request, self.address)
            except OSError:
                self.counts["send_errors"] += 1            # asked for again when it is due
        return came

    def deadline(self) -> int | None:
        """Time of the next retry, ns of the clock that :meth:`service` is given; None for none."""
        return self.requests.deadline()

    def fileno(self) -> int:
        """File descriptor for pollers."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
