"""Sockets of the venue, all on the loopback interface, with one sentence for what goes wrong."""

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

from tickwire.errors import TickwireError

BUFFER_OCTETS = 1 << 22
BACKLOG = 16


def _try(what: str, action: Callable[..., Any], *arguments: Any) -> Any:
    """Carry out a system call; its failure is one sentence that begins with ``what``."""
    try:
        return action(*arguments)
    except OSError as error:
        reason = (error.strerror or str(error)).rstrip(".")
        raise TickwireError(f"{what}: {reason}.") from None


def free_port(group: str) -> int:
    """UDP port of a multicast group that nothing on this machine is bound to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        _try(f"Cannot find a free port for {group}", probe.bind, ("", 0))
        return probe.getsockname()[1]


def line_socket(name: str, group: str, port: int, interface: str) -> socket.socket:
    """Socket that sends to a multicast group and stays on this machine."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    what = f"Cannot send line {name} to multicast group {group}:{port} on {interface}"
    try:
        _try(what, made.setsockopt, socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
             socket.inet_aton(interface))
        _try(what, made.setsockopt, socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        _try(what, made.setsockopt, socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
        _try(what, made.connect, (group, port))
    except TickwireError:
        made.close()
        raise
    return made


def request_socket(interface: str, port: int) -> socket.socket:
    """UDP socket that requests for lost messages come to."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        _try(f"Cannot take requests on UDP port {port} of {interface}", made.bind,
             (interface, port))
    except TickwireError:
        made.close()
        raise
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
    made.setblocking(False)
    return made


def order_socket(interface: str, port: int) -> socket.socket:
    """TCP socket that clients connect to."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    what = f"Cannot take orders on TCP port {port} of {interface}"
    try:
        _try(what, made.bind, (interface, port))
        _try(what, made.listen, BACKLOG)
    except TickwireError:
        made.close()
        raise
    made.setblocking(False)
    return made


def prepare_client(client: socket.socket) -> None:
    """Set a client's connection up: no delay, no blocking, no waiting on close."""
    client.setblocking(False)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def abort(client: socket.socket) -> None:
    """Close a connection at once and drop what it has not sent."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
