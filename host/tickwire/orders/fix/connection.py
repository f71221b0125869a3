"""A TCP or TLS connection of a FIX session in asyncio: octets to the session, octets from it.

Bounded whatever the peer does: the receiver holds ``RECEIVED_MAX`` octets, the transport as many to
be written as ``WRITTEN_MAX``. A peer that does not read is not read from either, and is dropped
after ``SLOW_SECONDS``. A peer that says nothing is dropped after ``logon_seconds``.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

from tickwire.orders.fix.audit import NOTE, RECEIVED, SENT, AuditLog
from tickwire.orders.fix.journal import StoreError
from tickwire.orders.fix.parse import Parsed, Receiver, parse
from tickwire.orders.fix.sending import NEVER, log
from tickwire.orders.fix.session import Session

RECEIVED_MAX = 1 << 18
WRITTEN_MAX = 1 << 22
WRITTEN_HIGH = 1 << 18                     # beyond, nothing is repeated and nothing is read
SLOW_SECONDS = 10.0
_TICK_MAX_SECONDS = 1.0                    # the store becomes durable at least this often, and a
                                           # clock that was set back is noticed
FLUSH_EVERY = 32                           # messages of one read before what they gave is written

Chooser = Callable[["Connection", Parsed], Session | None]


class Connection(asyncio.BufferedProtocol):
    """One connection: of ``session``, or of the one that ``choose`` finds for the first message."""

    def __init__(self, number: int, session: Session | None, choose: Chooser | None,
                 audit: AuditLog | None, logon_seconds: float,
                 when_lost: Callable[["Connection"], None]) -> None:
        """``number`` names it in the audit log; ``when_lost`` is called once, at its end."""
        self.session = session
        self.peer = self.refusal = ""
        self._number, self._choose, self._audit = number, choose, audit
        self._logon_seconds, self._when_lost = logon_seconds, when_lost
        self._receiver = Receiver(session.rules if session else None, octets_max=RECEIVED_MAX)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._sync: asyncio.TimerHandle | None = None
        self._is_paused = self._has_more = self._is_busy = False
        self._reason = ""

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, TLS included."""
        return self._transport is not None

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: an initiator's session logs on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITTEN_HIGH)
        address = transport.get_extra_info("peername")
        self.peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
        try:
            self._note(f"connected {self.peer}")
        except StoreError as error:
            self.abort(f"{error}")
            return
        if self.refusal:
            self.abort(self.refusal)
        elif self.session is not None:
            self._bind(self.session)
            self._guarded(self.session.connected)
        else:
            self._timer = self._loop.call_later(self._logon_seconds, self._silent)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return room for the next octets."""
        return self._receiver.space()

    def buffer_updated(self, nbytes: int) -> None:
        """Act on what came."""
        receiver = self._receiver
        try:
            self._enter()
            if self._audit is not None:
                self._audit.add(RECEIVED, self._number, time.time_ns(),
                                bytes(receiver.space()[:nbytes]))
            receiver.received(nbytes)
            count = 0
            while (message := receiver.next()) is not None and not self._reason:
                if self.session is None:
                    self._attach(message)
                else:
                    self.session.received(message)
                count += 1
                if count % FLUSH_EVERY == 0:
                    self._flush()
            self._flush()
        except StoreError as error:
            self.abort(f"{error}")
        finally:
            self._leave()

    def pause_writing(self) -> None:
        """The peer reads too slowly: stop reading from it, for a while."""
        self._is_paused = True
        if self._transport is not None:
            self._transport.pause_reading()
        self._slow = self._loop.call_later(SLOW_SECONDS, self.abort, "reads too slowly")

    def resume_writing(self) -> None:
        """The peer has read: go on."""
        self._is_paused = False
        if self._slow is not None:
            self._slow.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._more()

    def eof_received(self) -> bool:
        """The peer has closed its side."""
        self._reason = self._reason or "the other side closed the connection"
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End, once."""
        for timer in (self._timer, self._slow, self._sync):
            if timer is not None:
                timer.cancel()
        reason = self._reason or (f"connection lost: {exc}" if exc else "connection lost")
        session, self._transport = self.session, None
        # A disk that refuses one of these must not leave the session as logged on.
        with _told():
            self._note(f"closed: {reason}")
        if session is not None:
            session.wake = session.within = None
            with _told():
                self._enter()
            with _told():
                self._collect(session)     # what was left of it goes down with the connection
            with _told():
                session.disconnected(reason)
            self.session = None
            self._await_alone(session)
        self._when_lost(self)

    # Sending

    def flush(self) -> None:
        """Write what the session has to say, unless that is about to be done anyway."""
        if not self._is_busy:
            self._guarded(_nothing)

    def _flush(self) -> None:
        session, transport = self.session, self._transport
        if session is None or transport is None or self._reason:
            return
        if session.lease is not None:
            transport.write(self._collect(session))
        octets = session.take()
        if octets:
            if self._audit is not None:
                self._audit.add(SENT, self._number, time.time_ns(), octets)
            transport.write(octets)
            if self._is_paused and transport.get_write_buffer_size() > WRITTEN_MAX:
                self.abort("reads too slowly: too much is waiting for it")
                return
        if session.closing:
            self._close(session.closing)
        elif session.has_more and not self._has_more:
            self._has_more = True
            self._loop.call_soon(self._more)
        if self._timer is None:
            self._timer = self._loop.call_later(min(session.delay(), _TICK_MAX_SECONDS),
                                                self._tick)
        if self._sync is None and session.store.batch_seconds:
            self._sync = self._loop.call_later(session.store.batch_seconds, self._begin_sync)

    def abort(self, reason: str) -> None:
        """Close without waiting for what is unwritten."""
        if self._transport is not None and not self._reason:
            if self.session is None:
                log.warning("%s: disconnects: %s", self.peer, reason)
            self._reason = reason
            self._transport.abort()

    def _more(self) -> None:
        self._has_more = False
        if self.session is not None and not self._is_paused and not self._reason:
            self._guarded(self.session.resume)

    def _guarded(self, event: Callable[[], object]) -> None:
        """Tell the session something and write what comes of it; a broken store ends it."""
        try:
            self._enter()
            event()
            self._flush()
        except StoreError as error:
            self.abort(f"{error}")
        finally:
            self._leave()

    def _enter(self) -> None:
        """Have the session to ourselves: what the engine sent by its lease is taken up."""
        self._is_busy = True
        if self.session is not None and self.session.lease is not None:
            self.session.lease.take()

    def _collect(self, session: Session) -> bytes:
        """Log what the engine sent; return what of it the socket did not take."""
        records, left = session.lease.collect() if session.lease is not None else ([], b"")
        if self._audit is not None:
            for record in records:
                self._audit.add(SENT, self._number, record.time, record.payload)
        return left

    def _leave(self) -> None:
        """Let the engine send again, where nothing waits for the socket."""
        self._is_busy = False
        session, transport = self.session, self._transport
        if session is None or session.lease is None:
            return
        is_free = (transport is not None and session.is_logged_on and not self._reason
                   and not session.has_more and not transport.is_closing()
                   and transport.get_write_buffer_size() == 0
                   and transport.get_extra_info("ssl_object") is None)
        session.lease.give(transport.get_extra_info("socket").fileno()
                           if is_free and transport is not None else -1)

    def _bind(self, session: Session) -> None:
        session.wake, session.within = self.flush, self._guarded

    def _attach(self, first: Parsed) -> None:
        """Find the session of the first message; close without a word when there is none."""
        assert self._choose is not None
        session = self._choose(self, first)
        if session is None:
            self._close("refused")
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.session = session
        self._receiver.rules = session.rules
        self._bind(session)
        session.connected()
        session.received(parse(first.octets, session.rules))

    def _close(self, reason: str) -> None:
        """Close when everything is written, or when that takes too long."""
        if self._transport is not None and not self._reason:
            self._reason = reason
            self._transport.close()
            self._slow = self._loop.call_later(SLOW_SECONDS, self._transport.abort)

    def _begin_sync(self) -> None:
        self._sync = None
        if self.session is not None:
            session = self.session
            self._guarded(lambda: session.store.begin_sync(time.time_ns()))

    def _tick(self) -> None:
        self._timer = None
        if self.session is not None and not self._reason:
            self._guarded(self.session.tick)

    def _await_alone(self, session: Session) -> None:
        """Have a session without a connection tick for as long as something is to be due.

        More often than its deadline asks: the clock may be set back meanwhile.
        """
        if session.deadline() < NEVER:
            self._loop.call_later(min(session.delay(), _TICK_MAX_SECONDS), self._tick_alone,
                                  session)

    def _tick_alone(self, session: Session) -> None:
        if session.wake is None:           # or another connection has it
            with _told():
                session.tick()
            self._await_alone(session)

    def _silent(self) -> None:
        self.abort("no Logon came in time")

    def _note(self, text: str) -> None:
        if self._audit is not None:
            self._audit.add(NOTE, self._number, time.time_ns(), text.encode("latin-1", "replace"))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Go on behind a store or an audit log that fails; the log has it."""
    try:
        yield
    except StoreError as error:
        log.error("%s", error)


def _nothing() -> None:
    """Nothing happened: only what is there is to be written."""
