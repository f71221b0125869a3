"""The two market data lines: one UDP socket each, in its multicast group on one interface."""

import errno
import ipaddress
import socket
import struct
from dataclasses import dataclass
from types import TracebackType

from tickwire.errors import TickwireError

RECEIVE_BUFFER = 16 << 20
"""Octets asked for: about 100 ms of the busiest line."""

# Of <asm-generic/socket.h> and <linux/in.h>; the socket module does not have them.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO_DROPS, _MEMINFO_WORDS = 8, 9
_IP_MULTICAST_ALL = 49


@dataclass(frozen=True, slots=True)
class Line:
    """An open line. ``receive_buffer`` is what the system granted, in octets.

    ``remark`` is a sentence for the operator when that is less than what was asked for, or empty.
    """

    socket: socket.socket
    group: str
    port: int
    receive_buffer: int
    remark: str

    def fileno(self) -> int:
        """File descriptor for kernels and pollers; it never blocks."""
        return self.socket.fileno()

    def drops(self) -> int:
        """Datagrams that the system dropped because the receive buffer was full."""
        words = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _MEMINFO_WORDS)
        return int(struct.unpack(f"={_MEMINFO_WORDS}I", words)[_MEMINFO_DROPS])

    def close(self) -> None:
        """Leave the group and close the socket."""
        self.socket.close()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


def open_line(group: str, port: int, interface: str = "127.0.0.1",
              receive_buffer: int = RECEIVE_BUFFER) -> Line:
    """Join ``group`` on the interface with the address or name ``interface``, non-blocking.

    Only datagrams of this group and port that arrive on this interface are received; other
    programs may receive them too. Raises :class:`TickwireError` with the reason.
    """
    try:
        is_group = ipaddress.IPv4Address(group).is_multicast
    except ValueError:
        is_group = False
    if not is_group:
        raise TickwireError("The group of a line must be an IPv4 multicast address, 224.0.0.0 to "
                            f"239.255.255.255, not {group}.")
    if not 1 <= port <= 0xFFFF:
        raise TickwireError(f"The UDP port of a line must be from 1 to 65535, not {port}.")
    member = _member(group, interface)
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        granted = _grow(opened, receive_buffer)
        _bind(opened, group, port)
        _join(opened, group, member, interface)
    except BaseException:
        opened.close()
        raise
    remark = ""
    if granted < receive_buffer:
        remark = (f"The system granted {granted} octets of receive buffer for {group}:{port}, not "
                  f"{receive_buffer}; raise net.core.rmem_max or run with CAP_NET_ADMIN.")
    return Line(opened, group, port, granted, remark)


def open_lines(first: tuple[str, int], second: tuple[str, int], interface: str = "127.0.0.1",
               receive_buffer: int = RECEIVE_BUFFER) -> tuple[Line, Line]:
    """Open lines A and B, each (group, port); either both are open afterwards or none."""
    line = open_line(*first, interface, receive_buffer)
    try:
        return line, open_line(*second, interface, receive_buffer)
    except BaseException:
        line.close()
        raise


def _member(group: str, interface: str) -> bytes:
    """Return ``struct ip_mreqn``: group, address of the interface, its number."""
    try:
        address, number = ipaddress.IPv4Address(interface).packed, 0
    except ValueError:
        try:
            address, number = bytes(4), socket.if_nametoindex(interface)
        except (OSError, ValueError):
            raise TickwireError(f"There is no network interface {interface}.") from None
    return struct.pack("=4s4si", ipaddress.IPv4Address(group).packed, address, number)


def _grow(opened: socket.socket, octets: int) -> int:
    """Ask for a receive buffer, above the system's limit where that is allowed."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, octets)
    except OSError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
    # Linux doubles the number for its own bookkeeping and tells the doubled one.
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def _bind(opened: socket.socket, group: str, port: int) -> None:
    # To the group, not to any address: other groups on the same port stay out.
    try:
        opened.bind((group, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "a program that does not share it has the port"
        elif error.errno == errno.EACCES:
            reason = "ports below 1024 need CAP_NET_BIND_SERVICE"
        else:
            reason = str(error.strerror)
        raise TickwireError(f"Cannot open UDP port {port} of {group}: {reason}.") from None


def _join(opened: socket.socket, group: str, member: bytes, interface: str) -> None:
    try:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError as error:
        reason = {
            errno.ENODEV: "no interface of this machine has that address",
            errno.EADDRNOTAVAIL: "no interface of this machine has that address",
            errno.ENOBUFS: "net.ipv4.igmp_max_memberships is reached",
            errno.EPERM: "multicast is not permitted here",
            errno.EACCES: "multicast is not permitted here",
        }.get(error.errno or 0, str(error.strerror))
        raise TickwireError(f"Cannot join multicast group {group} on interface {interface}: "
                            f"{reason}.") from None
