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
from tickwire.spec.network import (
    ETHER_TYPE_IPV4,
    ETHERNET,
    IPV4,
    IPV4_HEADER_WORDS,
    IPV4_VERSION,
    PROTOCOL_TCP,
    TCP,
    TCP_ACK,
)
from tickwire.spec.sessions import HEADERS_SIZE
from tickwire.spec.wire import Message

SEND_BUFFER = 1 << 24
"""Octets of the send buffer of a leased connection. Linux doubles them, and counts some 880 for an
order that the peer has not acknowledged: room for 38,000."""

# include/uapi/linux/tcp.h, include/uapi/asm-generic/socket.h
_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ, _TCP_REPAIR_WINDOW = 19, 20, 21, 29
_RECEIVE_QUEUE, _SEND_QUEUE = 1, 2
_ON, _OFF_WITHOUT_PROBE = 1, -1
_SEND_BUFFER_FORCE = 32
_INFO = struct.Struct("<5xBB")             # tcp_info: options, scales of the peer's and our window
_TIMESTAMPS = 1
_ESTABLISHED = 1
_STATES = {7: "it was reset, or the venue has not answered for too long",  # net/tcp_states.h
           8: "the venue has closed it"}
_WINDOW = struct.Struct("=5I")             # tcp_repair_window
_HALF, _U32 = 1 << 31, 0xFFFF_FFFF


def _place(begin: int, message: Message, name: str) -> slice:
    """Place in a frame of a field of the header that begins at ``begin``."""
    field, offset = message.field(name)
    return slice(begin + offset, begin + offset + field.size)


_IPV4_AT = ETHERNET.size
_TCP_AT = _IPV4_AT + IPV4.size
_KIND = slice(_place(0, ETHERNET, "ether_type").start,
              _place(_IPV4_AT, IPV4, "version_length").stop)
_TCP_KIND = ETHER_TYPE_IPV4.to_bytes(2, "big") + bytes([IPV4_VERSION << 4 | IPV4_HEADER_WORDS])
_PROTOCOL, _IS_TCP = _place(_IPV4_AT, IPV4, "protocol"), bytes([PROTOCOL_TCP])
_LENGTH, _FLAGS = _place(_IPV4_AT, IPV4, "total_length"), _place(_TCP_AT, TCP, "offset_flags")
_ENDS = tuple((_place(_IPV4_AT, IPV4, end), _place(_TCP_AT, TCP, f"{end}_port"))
              for end in ("source", "destination"))
_NUMBERS = tuple(_place(_TCP_AT, TCP, f"{name}_number") for name in ("sequence", "acknowledgment"))


@dataclass(frozen=True, slots=True)
class Position:
    """Where a connection stands: next octet to send, next one awaited, window as it is sent."""

    sequence: int
    acknowledgment: int
    window: int


@dataclass(frozen=True, slots=True)
class _Segment:
    """What a frame says of its connection."""

    source: tuple[str, int]
    destination: tuple[str, int]
    sequence: int
    acknowledgment: int | None
    payload: bytes


def _segment(octets: bytes) -> _Segment | None:
    """Read a frame of TCP over IPv4 without options of IPv4; None for any other."""
    if len(octets) < HEADERS_SIZE or octets[_KIND] != _TCP_KIND or octets[_PROTOCOL] != _IS_TCP:
        return None
    flags = int.from_bytes(octets[_FLAGS], "big")
    begin = _TCP_AT + (flags >> 12) * 4
    end = _IPV4_AT + int.from_bytes(octets[_LENGTH], "big")
    if not HEADERS_SIZE <= begin <= end <= len(octets):
        return None
    source, destination = ((socket.inet_ntoa(octets[address]), int.from_bytes(octets[port], "big"))
                           for address, port in _ENDS)
    sequence, acknowledgment = (int.from_bytes(octets[number], "big") for number in _NUMBERS)
    return _Segment(source, destination, sequence, acknowledgment if flags & TCP_ACK else None,
                    octets[begin:end])


class Lease:
    """A connected IPv4 socket whose segments a device sends."""

    def __init__(self, connection: socket.socket) -> None:
        """Check the connection, and give it a send buffer of ``SEND_BUFFER`` octets.

        Raises :class:`TickwireError` with a sentence when it is not established, when its
        segments carry timestamps, or when the process may not repair connections or may not have
        that buffer.
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
        self._widen()

    def _widen(self) -> None:
        """Give the connection its send buffer.

        In a user namespace CAP_NET_ADMIN permits repairs, but no more buffer than everybody's.
        """
        connection = self._connection
        try:
            connection.setsockopt(socket.SOL_SOCKET, _SEND_BUFFER_FORCE, SEND_BUFFER)
        except PermissionError:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < SEND_BUFFER:
                raise TickwireError(
                    f"A leased connection needs a send buffer of {SEND_BUFFER:,} octets: set "
                    "net.core.wmem_max to as many, or run outside of a user namespace.") from None

    @property
    def end(self) -> str:
        """Why the connection is not established any more; empty while it is."""
        state = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return "" if state == _ESTABLISHED else _STATES.get(state, f"its TCP state is {state}")

    def position(self) -> Position:
        """Return where the connection stands now."""
        with self._repaired():
            sequence, acknowledgment = map(self._sequence, (_SEND_QUEUE, _RECEIVE_QUEUE))
            _, _, _, window, window_at = _WINDOW.unpack(self._connection.getsockopt(
                socket.IPPROTO_TCP, _TCP_REPAIR_WINDOW, _WINDOW.size))
        open_octets = (window_at + window - acknowledgment) & _U32
        if open_octets >= _HALF:               # the peer has sent more than it may: none is open
            open_octets = 0
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
            try:
                taken = self._connection.send(payload, socket.MSG_DONTWAIT)
            except (BlockingIOError, TimeoutError):
                taken = 0
            except OSError as error:
                raise TickwireError("The kernel adopts nothing of this connection any more: "
                                    f"{error.strerror}.") from None
        if taken != len(payload):
            raise TickwireError(f"The kernel adopted {taken} octets of {len(payload)}: "
                                "its send buffer is full.")

    def adopt_frame(self, octets: bytes) -> int:
        """Adopt the payload of a frame that the device has sent, without its check.

        Returns how many octets the payload has. Raises :class:`TickwireError` as :meth:`adopt`
        does, and for a frame of another connection.
        """
        segment = _segment(octets)
        if segment is None:
            raise TickwireError(f"A frame of {len(octets)} octets that the device sent is no "
                                "segment of TCP over IPv4.")
        if (segment.source, segment.destination) != (self._local, self._peer):
            raise TickwireError(f"The frame is of the connection {segment.source} to "
                                f"{segment.destination}, not {self._local} to {self._peer}.")
        self.adopt(segment.payload, segment.sequence)
        return len(segment.payload)

    def acknowledgment_of(self, octets: bytes) -> int | None:
        """Acknowledgment number of a frame of the peer, without its check.

        None for any other frame, and for a segment that acknowledges nothing.
        """
        segment = _segment(octets)
        if segment is None or (segment.source, segment.destination) != (self._peer, self._local):
            return None
        return segment.acknowledgment

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
            raise TickwireError(
                "Leasing a connection needs CAP_NET_ADMIN in its network namespace."
                if error.errno == errno.EPERM else
                f"A leased connection cannot be repaired: {error.strerror}.") from None
        try:
            yield
        finally:
            self._set(_TCP_REPAIR, _OFF_WITHOUT_PROBE)
