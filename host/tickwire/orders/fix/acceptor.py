"""Listens for FIX connections and gives each to the session that its Logon names."""

import asyncio
import itertools
import ssl
from collections.abc import Iterator, Sequence

from tickwire.errors import TickwireError, system_reason
from tickwire.orders.fix.audit import AuditLog
from tickwire.orders.fix.connection import Connection
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.sending import State, log, one_line
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.warm import load_kernels

CONNECTIONS_MAX = 256
LOGON_SECONDS_MAX = 10.0                   # a connection that says nothing lives no longer
_SLOW_SECONDS = 10.0                       # to listen, before a line in the log tells of it
_HANDSHAKE_GRACE_SECONDS = 0.5             # after which a failed one is not counted any more


class Acceptor:
    """One port for any number of sessions, told apart by version and CompIDs.

    A connection whose first message names none of them, or one that is on already, is closed
    without an answer. ``port`` 0 takes any; :attr:`port` is the one taken.
    """

    def __init__(self, sessions: Sequence[Session], host: str, port: int, *,
                 tls: ssl.SSLContext | None = None, audit: AuditLog | None = None,
                 connections_max: int = CONNECTIONS_MAX,
                 numbers: Iterator[int] | None = None) -> None:
        self.host, self.port = host, port
        self.sessions = {(session.settings.begin_string, session.settings.target,
                          session.settings.sender): session for session in sessions}
        if len(self.sessions) != len(sessions):
            raise TickwireError("Two sessions of one port have the same version and CompIDs.")
        self._logon_seconds = min([LOGON_SECONDS_MAX, *(session.settings.logon_seconds
                                                        for session in sessions)])
        self._tls, self._audit, self._connections_max = tls, audit, connections_max
        self._numbers = numbers if numbers is not None else itertools.count(1)
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; raises :class:`TickwireError` when the port is not to be had."""
        for session in self.sessions.values():
            load_kernels(session.rules)
        loop = asyncio.get_running_loop()
        slow = loop.call_later(_SLOW_SECONDS, log.warning,
                               "FIX does not listen on %s:%d yet: the name is being looked up",
                               self.host, self.port)
        try:
            self._server = await loop.create_server(
                self._connection, self.host, self.port, ssl=self._tls,
                ssl_handshake_timeout=self._logon_seconds if self._tls else None)
        except OSError as error:
            raise TickwireError(f"FIX cannot listen on {self.host}:{self.port}: "
                                f"{system_reason(error)}.") from None
        finally:
            slow.cancel()
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, text: str = "") -> None:
        """Log every session off, then close; at most a logout's time."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            if not connection.is_open:
                self._connections.discard(connection)
            elif connection.session is not None:
                connection.session.logout(text)
                connection.flush()
            else:
                connection.abort("stopped")
        waited = max((session.settings.logout_seconds for session in self.sessions.values()),
                     default=0)
        for _ in range(100):
            if not self._connections:
                break
            await asyncio.sleep(waited / 100)
        for connection in list(self._connections):
            connection.abort("stopped")
        await asyncio.sleep(0)

    def _connection(self) -> Connection:
        connection = Connection(next(self._numbers), None, self._choose, self._audit,
                                self._logon_seconds, self._connections.discard)
        if len(self._connections) >= self._connections_max:
            connection.refusal = f"more than {self._connections_max} connections"
        self._connections.add(connection)
        if self._tls is not None:          # asyncio does not tell of a handshake that failed
            asyncio.get_running_loop().call_later(self._logon_seconds + _HANDSHAKE_GRACE_SECONDS,
                                                  self._forget_unmade, connection)
        return connection

    def _forget_unmade(self, connection: Connection) -> None:
        """Forget a connection whose TLS has not come to stand in its time."""
        if not connection.is_open:
            self._connections.discard(connection)

    def _choose(self, connection: Connection, first: Parsed) -> Session | None:
        """Return the session of a first message, or nothing and a line in the log."""
        if first.garbled:
            reason = f"its first octets are no message: {first.garbled}"
        elif first.msg_type != "A":
            reason = f"its first message is {first.msg_type}, not a Logon"
        else:
            key = first.begin_string, first.sender, first.target
            session = self.sessions.get(key)
            if session is None:
                reason = f"there is no session {key[0]} from {key[1]} to {key[2]}"
            elif session.state is not State.DISCONNECTED:
                reason = f"{session.settings.identity} is {session.state.value}"
            else:
                return session
        log.warning("%s: refused: %s", connection.peer, one_line(reason))
        return None
