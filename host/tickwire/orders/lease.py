"""Lease of a TCP connection: a device sends its segments, the kernel adopts them as its own.

The connection is an ordinary socket. What the device sent is put into the kernel's send queue in
repair mode (``TCP_REPAIR``), as sent: nothing goes out, sequence numbers advance, and the kernel's
own retransmission covers a segment that was lost. Adoption has to come before the peer's ACK; an
ACK that comes sooner is ignored and costs one retransmission. Needs CAP_NET_ADMIN.

While a connection is leased, nobody else may write to its socket.
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tickwire.errors import TickwireError
from tickwire.orders.template import template
from tickwire.spec.network import ETHERNET, IPV4, TCP
from tickwire.spec.sessions import HEADERS_SIZE
from tickwire.spec.wire import decode

# include/uapi/linux/tcp.h
_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ, _TCP_REPAIR_WINDOW = 19, 20, 21, 29
_RECEIVE_QUEUE, _SEND_QUEUE = 1, 2
_ON, _OFF_WITHOUT_PROBE = 1, -1
_INFO = struct.Struct("<5xBB")             # tcp_info: options, scales of the peer's and our window
_TIMESTAMPS = 1
_ESTABLISHED = 1
_WINDOW = struct.Struct("=5I")             # tcp_repair_window
_U32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Position:
    """Where a connection stands: next octet to send, next one awaited, window as it is sent."""

    sequence: int
    acknowledgment: int
    window: int


class Lease:
    """A connected IPv4 socket whose segments a device sends."""

    def __init__(self, connection: socket.socket) -> None:
        """Check the connection.

        Raises :class:`TickwireError` with a sentence when it is not established, when its
        segments carry timestamps, or when the process may not repair connections.
        """
        if connection.family != socket.AF_INET:
            raise TickwireError("A leased connection must be IPv4, "
                                f"not {connection.family.name}.")
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
        options, scales = _INFO.unpack_from(info)
        if info[0] != _ESTABLISHED:
            raise TickwireError("A leased connection must be established; "
                                f"this one's TCP state is {info[0]}.")
        if options & _TIMESTAMPS:
            raise TickwireError(
                "A leased connection must be without TCP timestamps: set net.ipv4.tcp_timestamps "
                "to 0 in its network namespace before it is made.")
        self._connection = connection
        self._scale = scales >> 4
        self._local, self._peer = connection.getsockname(), connection.getpeername()
        self.position()

    def position(self) -> Position:
        """Return where the connection stands now."""
        with self._repaired():
            sequence, acknowledgment = map(self._sequence, (_SEND_QUEUE, _RECEIVE_QUEUE))
            _, _, _, window, window_at = _WINDOW.unpack(self._connection.getsockopt(
                socket.IPPROTO_TCP, _TCP_REPAIR_WINDOW, _WINDOW.size))
        open_octets = max((window_at + window - acknowledgment) & _U32, 0)
        return Position(sequence, acknowledgment, min(open_octets >> self._scale, 0xFFFF))

    def template(self, local_mac: bytes, next_hop_mac: bytes, capacity: str = "P") -> bytes:
        """Return the template of the session's frames, for the device."""
        return template(self._local, self._peer, local_mac, next_hop_mac, capacity)

    def adopt(self, payload: bytes, sequence: int) -> None:
        """Let the kernel take ``payload``, which the device sent from ``sequence`` on, as sent.

        Raises :class:`TickwireError` and leaves the connection as it is when the kernel is not
        at that sequence number: something was not adopted, or somebody else has written.
        """
        with self._repaired():
            expected = self._sequence(_SEND_QUEUE)
            if expected != sequence:
                raise TickwireError(f"The device sent from sequence number {sequence}, but the "
                                    f"kernel is at {expected}: the lease is broken.")
            taken = self._connection.send(payload)
        if taken != len(payload):
            raise TickwireError(f"The kernel adopted {taken} octets of {len(payload)}: "
                                "its send buffer is full.")

    def adopt_frame(self, octets: bytes) -> None:
        """Adopt the payload of a frame that the device has sent, without its check.

        Raises :class:`TickwireError` as :meth:`adopt` does, and for a frame of another connection.
        """
        ip = decode(IPV4, octets[ETHERNET.size:ETHERNET.size + IPV4.size])
        tcp = decode(TCP, octets[HEADERS_SIZE - TCP.size:HEADERS_SIZE])
        ends = tuple((socket.inet_ntoa(int(ip[address]).to_bytes(4, "big")), tcp[port])
                     for address, port in (("source", "source_port"),
                                           ("destination", "destination_port")))
        if ends != (self._local, self._peer):
            raise TickwireError(f"The frame is of the connection {ends[0]} to {ends[1]}, "
                                f"not {self._local} to {self._peer}.")
        end = ETHERNET.size + int(ip["total_length"])
        self.adopt(octets[HEADERS_SIZE:end], int(tcp["sequence_number"]))

    def _sequence(self, queue: int) -> int:
        self._set(_TCP_REPAIR_QUEUE, queue)
        return self._connection.getsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ) & _U32

    def _set(self, option: int, value: int) -> None:
        self._connection.setsockopt(socket.IPPROTO_TCP, option, value)

    @contextlib.contextmanager
    def _repaired(self) -> Iterator[None]:
        """Keep the connection in repair mode, with the send queue chosen when it is left."""
        try:
            self._set(_TCP_REPAIR, _ON)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
            raise TickwireError("Leasing a connection needs CAP_NET_ADMIN in its network "
                                "namespace.") from None
        try:
            yield
        finally:
            self._set(_TCP_REPAIR, _OFF_WITHOUT_PROBE)
