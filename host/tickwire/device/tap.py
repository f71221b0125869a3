"""A TAP interface: what a card's order line is to Linux.

What the line receives is written to it and goes up to the kernel's network stack, what the kernel
sends is read from it. It belongs to the network namespace of the thread that makes it, and every
later call is about that namespace, whichever thread calls. No system setting is changed.
"""

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from tickwire.errors import TickwireError
from tickwire.spec.network import FRAME_SIZE_MAX

NODE = "/dev/net/tun"
NAME_SIZE_MAX = 15
_MAC_SIZE = 6
_MULTICAST_BIT = 1                         # of a MAC's first octet
_POINT_TO_POINT = 2                        # addresses of a network in which all are stations
# include/uapi/linux/if_tun.h, sockios.h, if.h, if_arp.h, route.h
_TUNSETIFF, _TAP, _NO_INFO = 0x4004_54CA, 0x0002, 0x1000
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_NETMASK, _SET_MAC = (
    0x8913, 0x8914, 0x8916, 0x891C, 0x8924)
_UP, _ETHERNET_TYPE, _COMPLETE = 1, 1, 2
_ROUTE_UP, _ROUTE_GATEWAY = 1, 2
_FLAGS, _ADDRESS, _MAC = (struct.Struct(text) for text in ("=16sH22x", "=16sH2x4s16x",
                                                           "=16sH6s16x"))


class Tap:
    """An interface that is open, has its addresses, and is up.

    One that is there already and belongs to nobody is taken, else it is made; one that was made
    goes with :meth:`close`. ``mac`` is its MAC address. ``address`` is an IPv4 address with the
    size of its network, as "10.0.0.2/24", or empty when something else sets it.

    Raises :class:`TickwireError` with a sentence for a name or an address that cannot be, without
    the device node or CAP_NET_ADMIN, and for a name that another interface or process has.
    """

    def __init__(self, name: str, mac: bytes, address: str = "") -> None:
        octets, self.mac = _name(name), bytes(mac)
        self.name = name
        if len(mac) != _MAC_SIZE or mac[0] & _MULTICAST_BIT or not any(mac):
            raise TickwireError(f"The MAC address of interface {name} must be {_MAC_SIZE} octets "
                                f"of one station, not {mac.hex(':') or 'nothing'}.")
        place = _address(name, address) if address else None
        self._files = contextlib.ExitStack()
        try:
            self._tun = self._open(octets)
            control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with control:
                self._set_up(control, octets, place)
            # Open files stay with the namespace; each reading from the begin is a new list.
            self._routes, self._neighbours = (
                self._keep(f"/proc/thread-self/net/{table}", os.O_RDONLY)
                for table in ("route", "arp"))
        except BaseException:
            self.close()
            raise

    def _keep(self, path: str, flags: int) -> int:
        """Open a file until the interface is closed."""
        try:
            descriptor = os.open(path, flags | os.O_CLOEXEC)
        except OSError as error:
            raise TickwireError(self._refusal(f"open {path}", error)) from None
        self._files.callback(os.close, descriptor)
        return descriptor

    def _open(self, octets: bytes) -> int:
        tun = self._keep(NODE, os.O_RDWR | os.O_NONBLOCK)
        self._call(tun, _TUNSETIFF, _FLAGS.pack(octets, _TAP | _NO_INFO), "be made")
        return tun

    def _set_up(self, control: socket.socket, octets: bytes,
                place: ipaddress.IPv4Interface | None) -> None:
        """Give the interface its addresses, and set it up."""
        call = control.fileno()
        self._call(call, _SET_MAC, _MAC.pack(octets, _ETHERNET_TYPE, self.mac),
                   f"have the MAC address {self.mac.hex(':')}")
        if place is not None:
            for request, value in ((_SET_ADDRESS, place.ip), (_SET_NETMASK, place.netmask)):
                self._call(call, request, _ADDRESS.pack(octets, socket.AF_INET, value.packed),
                           f"have the address {place}")
        found = self._call(call, _GET_FLAGS, _FLAGS.pack(octets, 0), "be looked at")
        flags = _FLAGS.unpack(found)[1]
        self._call(call, _SET_FLAGS, _FLAGS.pack(octets, flags | _UP), "be set up")

    def _call(self, descriptor: int, request: int, argument: bytes, what: str) -> bytes:
        try:
            return fcntl.ioctl(descriptor, request, argument)
        except OSError as error:
            raise TickwireError(self._refusal(what, error)) from None

    def _refusal(self, what: str, error: OSError) -> str:
        """Return a sentence: what the system refused, and what to do."""
        reasons = {
            errno.EPERM: "it needs CAP_NET_ADMIN in the network namespace (sudo, or setcap "
                         "cap_net_admin+ep on the interpreter)",
            errno.EACCES: "this user may not",
            errno.EBUSY: "another process has it, take another name or end that one",
            errno.EINVAL: "the name belongs to an interface that is no TAP, take another one",
            errno.ENOENT: "there is no such file, load the module tun (modprobe tun)",
            errno.ENODEV: "the kernel has no such device, load the module tun (modprobe tun)"}
        reason = reasons.get(error.errno or 0, error.strerror)
        return f"Interface {self.name} cannot {what}: {reason}."

    # Frames

    def fileno(self) -> int:
        """File descriptor for pollers: readable when the kernel sends a frame."""
        return self._tun

    def read(self) -> bytes | None:
        """Return the next frame that the kernel sends, without check; None when there is none.

        Raises :class:`TickwireError` when somebody has removed the interface.
        """
        return self._move(lambda: os.read(self._tun, FRAME_SIZE_MAX))

    def write(self, frame: bytes) -> None:
        """Let the kernel receive a frame without check.

        Raises :class:`TickwireError` when it is too short for one, when somebody has set the
        interface down, or has removed it.
        """
        self._move(lambda: os.write(self._tun, frame))

    def _move(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BlockingIOError:
            return None
        except OSError as error:
            raise TickwireError({
                errno.EIO: f"Interface {self.name} is down: set it up again.",
                errno.EBADFD: f"Interface {self.name} is gone: somebody has removed it.",
            }.get(error.errno or 0, f"Interface {self.name} does not carry frames: "
                                    f"{error.strerror}.")) from None

    def close(self) -> None:
        """Close the interface; a second time does nothing."""
        self._files.close()

    # Where frames go

    def next_hop(self, peer: str) -> bytes:
        """Return the MAC address of the station that takes frames to an IPv4 address.

        It is the peer's own in the interface's network, else that of the gateway of the route.
        Raises :class:`TickwireError` without a route through this interface, and when nothing on
        the line has answered for that address.
        """
        hop = gateway(self._table(self._routes), self.name, peer)
        if hop is None:
            raise TickwireError(f"Interface {self.name} has no route to {peer}: give it an address "
                                "in the peer's network, or a route.")
        mac = neighbour(self._table(self._neighbours), self.name, hop)
        if mac is None:
            raise TickwireError(f"Interface {self.name} does not know the MAC address of {hop}, "
                                f"the next hop to {peer}: nothing answers ARP on the line.")
        return mac

    @staticmethod
    def _table(descriptor: int) -> str:
        """Return a table of the kernel as it is now."""
        found = b""
        while part := os.pread(descriptor, 1 << 16, len(found)):
            found += part
        return found.decode("ascii", "replace")


def gateway(routes: str, name: str, peer: str) -> str | None:
    """Return the next hop of interface ``name`` to ``peer``: the peer itself or a gateway.

    ``routes`` is the text of ``/proc/net/route``, whose numbers are in the machine's octet order.
    The longest mask counts, then the least metric. None without a route.
    """
    wanted = int(ipaddress.IPv4Address(peer))
    found: list[tuple[int, int, str]] = []
    for line in routes.splitlines()[1:]:
        interface, destination, hop, flags, _, _, metric, mask, *_ = line.split()
        network, via, bits = (int.from_bytes(int(word, 16).to_bytes(4, sys.byteorder), "big")
                              for word in (destination, hop, mask))
        if interface == name and int(flags, 16) & _ROUTE_UP and wanted & bits == network:
            is_far = int(flags, 16) & _ROUTE_GATEWAY
            found.append((-bits, int(metric), str(ipaddress.IPv4Address(via)) if is_far else peer))
    return min(found)[2] if found else None


def neighbour(table: str, name: str, address: str) -> bytes | None:
    """Return the MAC address that interface ``name`` knows for ``address``, or None.

    ``table`` is the text of ``/proc/net/arp``.
    """
    for line in table.splitlines()[1:]:
        ip, _, flags, mac, _, interface = line.split()
        if (interface, ip) == (name, address) and int(flags, 16) & _COMPLETE:
            return bytes.fromhex(mac.replace(":", ""))
    return None


def _name(name: str) -> bytes:
    """Return the octets of a name; dev_valid_name of the kernel, and no pattern."""
    octets = name.encode()
    if (not 0 < len(octets) <= NAME_SIZE_MAX or name in (".", "..")
            or any(letter in "/:%" or letter.isspace() for letter in name)):
        raise TickwireError(f"The name of an interface must have 1 to {NAME_SIZE_MAX} characters, "
                            f"none of them blank, '/', ':' or '%', not {name!r}.")
    return octets


def _address(name: str, address: str) -> ipaddress.IPv4Interface:
    try:
        found = ipaddress.IPv4Interface(address)
        ip, network = found.ip, found.network
        is_station = ("/" in address and network.prefixlen > 0 and not (
            ip.is_multicast or ip.is_unspecified or ip.is_loopback)
            and (network.num_addresses <= _POINT_TO_POINT
                 or ip not in (network.network_address, network.broadcast_address)))
    except ValueError:
        is_station = False
    if not is_station:
        raise TickwireError(f"The address of interface {name} must be that of a station with the "
                            f"size of its network, as 10.0.0.2/24, not {address!r}.")
    return found
