"""Connects a FIX session, again and again while its schedule is open, and backs off on failure."""

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import Iterator

from tickwire.errors import system_reason
from tickwire.orders.fix.audit import AuditLog
from tickwire.orders.fix.connection import Connection
from tickwire.orders.fix.sending import SECOND, log
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.tls import tls_context
from tickwire.orders.fix.warm import load_kernels

_CLOSED_SECONDS = 1.0                      # how often a closed schedule is looked at


class Initiator:
    """Keeps one session connected until it is stopped.

    After a failure it waits ``reconnect_ms``, twice as long after each further one, at most
    ``reconnect_max_ms``; a Logon that succeeds begins anew. A host name is resolved by asyncio,
    which uses a thread of its own for that; a numeric address needs none.
    """

    def __init__(self, session: Session, *, tls: ssl.SSLContext | None = None,
                 audit: AuditLog | None = None,
                 numbers: Iterator[int] | None = None) -> None:
        """``numbers`` gives connections their numbers in an audit log that several share."""
        self.session = session
        self._tls = tls or tls_context(session.settings)
        self._audit = audit
        self._numbers = numbers if numbers is not None else itertools.count(1)
        self._connection: Connection | None = None
        load_kernels(session.rules)        # before the clock of a Logon begins
        self._lost = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, logged on or not."""
        return self._connection is not None

    async def run(self) -> None:
        """Connect and stay connected until :meth:`stop`."""
        settings = self.session.settings
        schedule = settings.schedule()
        failures = 0
        while not self._stopped.is_set():
            now = time.time_ns()
            if schedule.period(now) is None:
                await self._wait(min(_CLOSED_SECONDS, (schedule.opens(now) - now) / SECOND))
                continue
            logons = self.session.logons
            if await self._connect():
                if self._stopped.is_set() and self._connection is not None:
                    self.session.logout()
                    self._connection.flush()
                await self._lost.wait()
                failures = 0 if self.session.logons > logons else failures
            wait = min(settings.reconnect_ms << min(failures, 20), settings.reconnect_max_ms)
            failures += 1
            await self._wait(wait / 1_000)

    async def stop(self, text: str = "") -> None:
        """Log off, wait for the answer or its time, and end :meth:`run`."""
        self._stopped.set()
        if self._connection is not None:
            self.session.logout(text)
            self._connection.flush()
            try:
                await asyncio.wait_for(self._lost.wait(), self.session.settings.logout_seconds + 1)
            except TimeoutError:
                self._connection.abort("stopped")
                await asyncio.sleep(0)

    async def _connect(self) -> bool:
        settings, loop = self.session.settings, asyncio.get_running_loop()
        self._lost.clear()
        try:
            _, self._connection = await asyncio.wait_for(loop.create_connection(
                lambda: Connection(next(self._numbers), self.session, None, self._audit,
                                   settings.logon_seconds, self._end),
                settings.host, settings.port, ssl=self._tls,
                server_hostname=(settings.server_name or settings.host) if self._tls else None),
                settings.logon_seconds)
        except (OSError, TimeoutError) as error:
            self.session.ended = (str(error) if isinstance(error, ssl.SSLError)
                                  else system_reason(error)) or "no connection in time"
            log.warning("%s: cannot connect to %s:%d: %s", settings.identity, settings.host,
                        settings.port, self.session.ended)
            return False
        return True

    def _end(self, connection: Connection) -> None:
        self._connection = None
        self._lost.set()

    async def _wait(self, seconds: float) -> None:
        """Wait, but not longer than until it is stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
