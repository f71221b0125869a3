"""A kernel's connection adopts the segments that a device sent, and goes on with its own.

Method: two network namespaces, each behind a TAP; the wire between them is this test, which also
sends the device's frames, as the framing kernel writes them. Skips where it may not make such
namespaces. Nothing leaves this process.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.tap_rig import ADDRESSES, MACS, PORT, end
from tickwire.errors import TickwireError
from tickwire.kernels.frame import SESSION, frame
from tickwire.orders import lease as leasing
from tickwire.orders.lease import Lease

SECONDS = 10
# include/uapi/linux/tcp.h
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_REPAIR_WINDOW, RECEIVE_QUEUE = 19, 20, 21, 29, 1
SO_SNDBUFFORCE = 32                        # include/uapi/asm-generic/socket.h
ORDER_ENTRY = b"\x00\x0aUX" + bytes(8)


class Wire:
    """Both ends, connected; what one end sends the other one gets."""

    def __init__(self, with_timestamps=False):
        (self.near, self.socket), (self.far, listener) = (
            end(number, with_timestamps) for number in range(2))
        self.seen, self.is_held, self.held = [], False, []
        self.is_running = True
        self.thread = threading.Thread(target=self.carry)
        self.thread.start()
        listener.bind((ADDRESSES[1], PORT))
        listener.listen(1)
        self.socket.settimeout(SECONDS)
        self.socket.connect((ADDRESSES[1], PORT))
        self.venue = listener.accept()[0]
        self.venue.settimeout(SECONDS)
        listener.close()

    def carry(self):
        while self.is_running:
            for tap in select.select([self.near, self.far], [], [], 0.05)[0]:
                octets = tap.read()
                if tap == self.near:
                    self.seen.append(octets)
                    self.far.write(octets)
                elif self.is_held:
                    self.held.append(octets)
                else:
                    self.near.write(octets)

    def hold(self):
        """Keep the venue's answers back, as a ring keeps them behind the report."""
        self.is_held = True

    def let_go(self):
        self.is_held = False
        while self.held:
            self.near.write(self.held.pop(0))

    def close(self):
        self.is_running = False
        self.thread.join()
        for one in (self.socket, self.venue):
            one.close()
        for tap in (self.near, self.far):
            tap.close()


@pytest.fixture
def wire():
    with contextlib.ExitStack() as stack:
        made = Wire()
        stack.callback(made.close)
        yield made


class Device:
    """A device that holds the lease: the framing kernel."""

    def __init__(self, lease):
        self.session = np.zeros(1, SESSION)
        self.session["template"] = np.frombuffer(lease.template(*MACS), np.uint8)
        position = lease.position()
        for name in ("sequence", "acknowledgment", "window"):
            self.session[name] = getattr(position, name)

    def frame(self, payload):
        octets, given = np.zeros(2_048, np.uint8), np.frombuffer(payload, np.uint8)
        size = frame(self.session.ctypes.data, given.ctypes.data, len(payload),
                     octets.ctypes.data)
        return octets[:size].tobytes()


def carried(frames, payload):
    return [one for one in frames if payload in one]


def test_orders_of_the_device_are_the_kernels_from_then_on(wire):
    lease = Lease(wire.socket)
    device = Device(lease)
    before = lease.position()
    for number in range(5):
        payload = ORDER_ENTRY + bytes([number])
        wire.hold()
        octets = device.frame(payload)
        wire.far.write(octets)
        assert wire.venue.recv(100) == payload
        wire.venue.sendall(b"accepted")
        lease.adopt_frame(octets)
        wire.let_go()
        assert wire.socket.recv(100) == b"accepted"
        assert not carried(wire.seen, payload), "the kernel has sent it too"
    after = lease.position()
    assert after.sequence == before.sequence + 5 * (len(ORDER_ENTRY) + 1)
    assert after.acknowledgment == before.acknowledgment + 5 * len(b"accepted")
    # Given back: the socket sends for itself.
    wire.socket.sendall(b"heartbeat")
    assert wire.venue.recv(100) == b"heartbeat"


def test_a_frame_that_was_lost_is_sent_by_the_kernel(wire):
    lease = Lease(wire.socket)
    octets = Device(lease).frame(b"lost on the way")
    lease.adopt_frame(octets)
    assert wire.venue.recv(100) == b"lost on the way"
    [again] = carried(wire.seen, b"lost on the way")[:1]
    assert again[34:42] == octets[34:42], "ports and sequence number"


def test_a_frame_out_of_turn_or_of_another_connection_is_refused(wire):
    lease = Lease(wire.socket)
    device = Device(lease)
    device.frame(b"never adopted")
    late = device.frame(b"second")
    with pytest.raises(TickwireError, match="the lease is broken"):
        lease.adopt_frame(late)
    other = bytearray(late)
    other[35] ^= 1
    with pytest.raises(TickwireError, match=r"The frame is of the connection"):
        lease.adopt_frame(bytes(other))
    wire.socket.sendall(b"unharmed")
    assert wire.venue.recv(100) == b"unharmed"


@pytest.mark.parametrize("beyond", [0, 1, 1_000, 1 << 20])
def test_a_peer_that_has_sent_more_than_its_window_has_none_open(wire, beyond):
    """Linux takes a segment that begins in the window as a whole; RFC 9293, 3.10.7.4."""
    lease, connection, words = Lease(wire.socket), wire.socket, struct.Struct("=5I")
    for name, value in ((TCP_REPAIR, 1), (TCP_REPAIR_QUEUE, RECEIVE_QUEUE)):
        connection.setsockopt(socket.IPPROTO_TCP, name, value)
    awaited = connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFF_FFFF
    *window, _, _ = words.unpack(connection.getsockopt(
        socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, words.size))
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, words.pack(
        *window, 500, awaited - 500 - beyond & 0xFFFF_FFFF))
    assert lease.position().window == 0


def test_a_connection_whose_socket_is_closed_is_refused_in_a_sentence(wire):
    lease = Lease(wire.socket)
    octets = Device(lease).frame(b"late")
    wire.socket.close()
    for call in (lease.position, lambda: lease.adopt_frame(octets)):
        with pytest.raises(TickwireError, match="cannot be repaired: Bad file descriptor"):
            call()


class Confined(socket.socket):
    """A socket of a process that has its capabilities in a user namespace alone."""

    def setsockopt(self, level, name, value):
        if (level, name) == (socket.SOL_SOCKET, SO_SNDBUFFORCE):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        super().setsockopt(level, name, value)


def test_in_a_user_namespace_the_send_buffer_is_what_everybody_may_have(wire, monkeypatch):
    wire.socket = Confined(fileno=wire.socket.detach())
    permitted = int(Path("/proc/sys/net/core/wmem_max").read_text())
    monkeypatch.setattr(leasing, "SEND_BUFFER", 2 * permitted + 1)
    with pytest.raises(TickwireError, match=f"{2 * permitted + 1:,} octets: set net.core.wmem_max"):
        Lease(wire.socket)
    monkeypatch.setattr(leasing, "SEND_BUFFER", permitted)
    assert Lease(wire.socket).position().window > 0
    assert wire.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * permitted


def test_a_connection_with_timestamps_cannot_be_leased():
    wire = Wire(with_timestamps=True)
    try:
        with pytest.raises(TickwireError, match="without TCP timestamps"):
            Lease(wire.socket)
    finally:
        wire.close()


def test_only_an_established_ipv4_connection_can_be_leased():
    with socket.socket() as one, pytest.raises(TickwireError, match="must be established"):
        Lease(one)
    one, other = socket.socketpair()
    with one, other, pytest.raises(TickwireError, match="must be IPv4, not AF_UNIX"):
        Lease(one)
