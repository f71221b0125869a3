"""An order line between two kernels: the host's, behind a card of a few lines, and the venue's.

The card keeps the wire and the capture ring, and frames its session as the framing kernel does. The
venue is a socket; what it has been told is one stream of octets, and so is what it says.
"""

import contextlib
import errno
import socket
import time
from collections import deque

import numpy as np

from tests.tap_rig import ADDRESSES, PORT, end
from tickwire.device.order_line import OrderLine
from tickwire.kernels.frame import SESSION, frame
from tickwire.spec.records import FrameOrigin
from tickwire.spec.sessions import SessionOperation

SECONDS = 60                               # until a test gives up
RECORD_OCTETS = 40                         # of a frame, in a record
HEARTBEAT = b"\x00\x01R"                   # SoupBinTCP 3.00, Client Heartbeat Packet
LOGIN = b"\x00\x2fLuser  password  " + b" " * 31
SECOND = 1_000_000_000


class Card:
    """A card whose order line ends in ``far``; its capture ring is what :meth:`take` gives.

    Rules of ``losses`` are asked for what would go out (``"wire"``) and for what the ring would get
    (``"ring"``): origin and octets; what one of them says yes to is lost, once. It is its own
    driver and its ring's reader.
    """

    def __init__(self, far):
        self.device = self.reader = self
        self.far, self.ring, self.lost = far, deque(), 0
        self.session, self.is_leased = np.zeros(1, SESSION), False
        self.index, self.position = 0, 0
        self.sent, self.given, self.received, self.moves, self.heartbeats = [], [], [], [], 0
        self.losses = {"wire": [], "ring": []}
        self.last_words = []               # payloads that go out while a release is on its way

    # Wire and ring

    def lose(self, where, rule):
        """Lose the next frame that ``rule`` says yes to."""
        self.losses[where].append(rule)

    def _is_lost(self, where, origin, octets):
        for rule in self.losses[where]:
            if rule(origin, octets):
                self.losses[where].remove(rule)
                return True
        return False

    def capture(self, origin, octets, is_damaged=False):
        if self._is_lost("ring", origin, octets):
            self.lost += -(-len(octets) // RECORD_OCTETS)
        else:
            self.ring.append((origin, time.time_ns(), octets, is_damaged))

    def out(self, origin, octets):
        self.capture(origin, octets)
        if not self._is_lost("wire", origin, octets):
            self.far.write(octets.ljust(60, b"\0"))

    def poll(self):
        while (octets := self.far.read()) is not None:
            octets = octets.ljust(60, b"\0")
            self.received.append(octets)
            self.capture(FrameOrigin.RECEIVED, octets)

    def take(self):
        return self.ring.popleft() if self.ring else None

    # What a card's driver has

    def read_register(self, name):
        assert name == "STATUS"
        return 0

    def work(self):
        self.poll()

    def write_register(self, name, value):
        if name == "SESSION_INDEX":
            self.index = value
        elif name == "SESSION_TEMPLATE":
            assert not self.is_leased, "a template word of a leased session is lost"
            place = 8 * (self.index >> 8)
            self.session["template"][0][place:place + 8] = np.frombuffer(
                value.to_bytes(8, "little"), np.uint8)
        elif name == "SESSION_POSITION":
            self.position = value
        else:
            assert name == "SESSION_UPDATE"
            assert value & 0xFFFF == SessionOperation.LEASE and self.index < 8
            self.is_leased = True
            self.session["sequence"] = self.position & 0xFFFF_FFFF
            self.session["acknowledgment"] = self.position >> 32
            self.session["window"] = value >> 16

    def send(self, payload):
        """Send an order, if the session is leased; returns its frame."""
        if not self.is_leased:
            return b""
        octets, given = np.zeros(2_048, np.uint8), np.frombuffer(payload, np.uint8)
        size = frame(self.session.ctypes.data, given.ctypes.data, len(payload), octets.ctypes.data)
        self.sent.append(octets[:size].tobytes())
        self.out(FrameOrigin.SENT, self.sent[-1])
        return self.sent[-1]

    def give_frame(self, octets, to_orders=False):
        assert to_orders
        self.given.append(octets)
        self.out(FrameOrigin.HOST, octets)

    def send_heartbeat(self, session):
        assert session == self.index
        self.heartbeats += 1
        self.send(HEARTBEAT)

    def move_session(self, session, acknowledgment, window):
        assert session == self.index
        self.moves.append((acknowledgment, window))
        self.session["acknowledgment"], self.session["window"] = acknowledgment, window

    def release_session(self, session):
        assert session == self.index
        while self.last_words:
            self.send(self.last_words.pop(0))
        self.is_leased = False


class Rig:
    """The line, with a connection that is made over it and logged in.

    ``card`` makes the card in front of the venue's interface.
    """

    def __init__(self, card=Card):
        self.stack = contextlib.ExitStack()
        self.now = 0
        self.near, self.socket, self.spare = end(0, sockets=2)
        self.far, self.listener = end(1)
        for one in (self.near, self.far, self.socket, self.spare, self.listener):
            self.stack.callback(one.close)
        self.card = card(self.far)
        self.line = OrderLine(self.card.device, self.card.reader, self.near,
                              clock=lambda: self.now)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((ADDRESSES[1], PORT))
        self.listener.listen(2)
        self.listener.setblocking(False)
        self.venue = None
        self.connect()

    def close(self):
        self.stack.close()

    def connect(self):
        """Connect ``socket`` to a new ``venue``, and log in."""
        self.told, self.heard, self.venue = b"", b"", None
        self.socket.setblocking(False)
        assert self.socket.connect_ex((ADDRESSES[1], PORT)) == errno.EINPROGRESS
        self.until(self.accept)
        self.socket.send(LOGIN)
        self.until(lambda: self.told == LOGIN)
        self.venue.send(b"accepted")
        self.until(lambda: self.heard == b"accepted")

    def accept(self):
        with contextlib.suppress(BlockingIOError):
            self.venue = self.listener.accept()[0]
            self.venue.setblocking(False)
            self.stack.callback(self.venue.close)
        return self.venue is not None

    def step(self):
        """Carry what there is, once."""
        self.card.poll()
        self.line.turn()
        self.told += received(self.venue)
        self.heard += received(self.socket)

    def until(self, condition):
        """Carry until something is true."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it does not come to that"
            self.step()

    def rest(self):
        """Carry until nothing is on its way."""
        quiet = 0
        while quiet < 3:
            before = dict(self.line.counts)
            self.step()
            quiet = quiet + 1 if before == self.line.counts else 0


def received(connection):
    """Return what a connection has for its reader; one that is broken has nothing."""
    with contextlib.suppress(OSError):
        if connection is not None:
            return connection.recv(1 << 16)
    return b""
