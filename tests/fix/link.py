"""Two FIX sessions that talk through memory, on a clock that stands until it is moved."""

import logging
from functools import cache

from tickwire.orders.fix.application import Application
from tickwire.orders.fix.parse import Parsed, Receiver
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import MemoryStore, Store

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
MAIL = "C"
logging.getLogger("tickwire.fix").setLevel(logging.CRITICAL)

rules = cache(Rules.own)


def mail(identity: object) -> bytes:
    """The body of an application message whose subject is ``identity``."""
    return b"33=1\x0158=line\x0194=0\x01147=%b\x01164=T\x01" % str(identity).encode()


class Recorder(Application):
    """What a session's application was told."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.events: list[str] = []

    def on_message(self, session: Session, message: Parsed) -> None:
        self.subjects.append(message.text(147) or message.msg_type)

    def on_logon(self, session: Session) -> None:
        self.events.append("logon")

    def on_logout(self, session: Session, reason: str) -> None:
        self.events.append(f"logout: {reason}")

    def on_cancel(self, session: Session) -> None:
        self.events.append("cancel")

    def on_reject(self, session: Session, message: Parsed) -> None:
        self.events.append(f"reject: {message.text(58)}")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class End:
    """One side: a session, its application, and what is on its way to it."""

    def __init__(self, clock: Clock, role: str, store: Store | None = None, **settings) -> None:
        names = ("US", "THEM") if role == "initiator" else ("THEM", "US")
        self.application = Recorder()
        self.settings = FIXSessionSettings(role=role, sender=names[0], target=names[1], **settings)
        self.clock = clock
        self.store = store or MemoryStore(clock.now)
        self.begin()
        self.inbound = b""

    def begin(self) -> None:
        """Begin as a process does that has only its store."""
        self.session = Session(self.settings, rules(self.settings.begin_string), self.store,
                               self.application, clock=self.clock)

    def receive(self, octets: bytes) -> None:
        """Let octets arrive."""
        self._receiver.feed(octets)
        while (message := self._receiver.next()) is not None:
            self.session.received(message)

    def connect(self) -> None:
        self._receiver = Receiver(self.session.rules)
        self.inbound = b""
        self.session.connected()


class Link:
    """An initiator and an acceptor, and the connection between them."""

    def __init__(self, **settings) -> None:
        self.clock = Clock()
        self.left = End(self.clock, "initiator", **settings)
        self.right = End(self.clock, "acceptor", **settings)
        self.is_up = False

    def connect(self) -> None:
        """Open a connection; nothing is delivered yet."""
        self.is_up = True
        self.right.connect()
        self.left.connect()
        self.collect()

    def drop(self) -> None:
        """Lose the connection and what is on its way."""
        if self.is_up:
            self.is_up = False
            for end in (self.left, self.right):
                end.inbound = b""
                end.session.disconnected("lost")

    def collect(self) -> None:
        """Move what both sides have to say onto the line; close where one says so."""
        for end, other in ((self.left, self.right), (self.right, self.left)):
            while True:
                other.inbound += end.session.take()
                if not end.session.has_more:
                    break
                end.session.resume()

    def deliver(self, end: End, count: int) -> None:
        """Let ``count`` octets that are on their way to ``end`` arrive."""
        if not self.is_up:
            return
        octets, end.inbound = end.inbound[:count], end.inbound[count:]
        if octets:
            end.receive(octets)
            self.collect()
        other = self.right if end is self.left else self.left
        if end.session.closing:
            other.receive(other.inbound)   # what was written before the close still arrives
            self.drop()

    def settle(self) -> None:
        """Deliver everything."""
        for _ in range(200):
            if not self.is_up or not (self.left.inbound or self.right.inbound):
                return
            self.deliver(self.left, 1 << 20)
            self.deliver(self.right, 1 << 20)
        raise AssertionError("the two sides never come to an end")
