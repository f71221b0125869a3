"""The order port: who may connect, who is logged in, who has to go.

What happens inside of a connection belongs to :mod:`tickwire_sim.exchange.connection`.
"""

import contextlib
import logging
import socket
import time

import numpy as np

from tickwire.spec import soupbintcp
from tickwire.spec.wire import decode, encode
from tickwire_sim.exchange import entry
from tickwire_sim.exchange.codes import Cancel
from tickwire_sim.exchange.config import VenueConfig
from tickwire_sim.exchange.connection import INPUT_OCTETS, consume
from tickwire_sim.exchange.counters import CounterIndex
from tickwire_sim.exchange.engine import Engine
from tickwire_sim.exchange.layout import (
    CONNECTION,
    CONNECTION_SIZE,
    STORE,
    ConnectionState,
    Fault,
)
from tickwire_sim.exchange.serve import CONNECTIONS, POLL_IN
from tickwire_sim.exchange.sockets import abort, order_socket, prepare_client

CONNECTIONS_MAX = 64
SECOND = 1_000_000_000

_LOG = logging.getLogger("tickwire.venue")
_HEARTBEAT = encode(soupbintcp.SERVER_HEARTBEAT, {})
_GOODBYE = encode(soupbintcp.END_OF_SESSION, {})
_LOGIN_SIZE = soupbintcp.LOGIN_REQUEST.size
_LOGIN_HEAD = encode(soupbintcp.LOGIN_REQUEST, {
    field.name: "" for field in soupbintcp.LOGIN_REQUEST.fields if field.kind == "ascii"},
    )[:soupbintcp.HEADER_SIZE]
_FAULTS = {
    Fault.CLOSED: "the client closed the connection",
    Fault.LOGOUT: "the client logged out",
    Fault.MALFORMED_PACKET: "a SoupBinTCP packet was malformed",
    Fault.MALFORMED_MESSAGE: "an OUCH message was malformed",
    Fault.SLOW: "the client did not read its messages in time",
    Fault.TIMEOUT: "the client fell silent",
    Fault.REPLACED: "the account logged in again",
    Fault.REJECTED: "the login was rejected",
    Fault.ENDED: "the session ended",
}
_COUNTED = {
    Fault.MALFORMED_PACKET: CounterIndex.PACKETS_MALFORMED,
    Fault.MALFORMED_MESSAGE: CounterIndex.MESSAGES_MALFORMED,
    Fault.SLOW: CounterIndex.CLIENTS_SLOW,
    Fault.TIMEOUT: CounterIndex.CLIENTS_SILENT,
    Fault.REJECTED: CounterIndex.LOGINS_REJECTED,
}


class OrderDesk:
    """Accepts clients of ``engine`` on the order port of ``config`` and looks after them.

    ``midnight`` is the monotonic time of it. The row of connection n in ``polled``, the sockets
    that the venue's loop waits for, is CONNECTIONS + n.
    """

    def __init__(self, engine: Engine, config: VenueConfig, polled: np.ndarray,
                 midnight: int) -> None:
        """Open the order port; raises :class:`TickwireError` when that is not possible."""
        arena = engine.arena
        self.listener = order_socket(config.interface, config.order_port)
        self.port: int = self.listener.getsockname()[1]
        self.address = arena.take_rows("connections", CONNECTION, CONNECTIONS_MAX)
        arena.take("input", INPUT_OCTETS * CONNECTIONS_MAX)
        self._engine, self._config = engine, config
        self._rows = arena.view("connections", CONNECTION)
        self._polled, self._midnight = polled, midnight
        self._is_over = False
        self._clients: list[socket.socket | None] = [None] * CONNECTIONS_MAX

    @property
    def clients(self) -> int:
        """Connections now."""
        return sum(client is not None for client in self._clients)

    def _count(self, counter: CounterIndex) -> None:
        self._engine.arena.view("counters", np.int64)[counter] += 1

    def accept(self) -> None:
        """Take in everyone who waits; one too many is closed and counted."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if None not in self._clients:
                self._count(CounterIndex.CONNECTIONS_REFUSED)
                client.close()
                continue
            prepare_client(client)
            index = self._clients.index(None)
            self._clients[index] = client
            row = self._rows[index]
            row["socket"], row["state"], row["account"] = (
                client.fileno(), ConnectionState.LOGIN, 0)
            row["input"] = self._engine.arena.address("input") + INPUT_OCTETS * index
            row["input_octets"], row["part"], row["fault"] = 0, 0, Fault.NONE
            row["received_at"] = row["sent_at"] = time.monotonic_ns()
            self._polled[CONNECTIONS + index]["socket"] = client.fileno()
            self._polled[CONNECTIONS + index]["events"] = POLL_IN
            self._count(CounterIndex.CONNECTIONS)

    def look_after_all(self) -> None:
        """Log clients in, keep their connections alive, close those that are over."""
        now = time.monotonic_ns()
        for index, client in enumerate(self._clients):
            if client is not None:
                self._look_after(index, now)
        self.close_faulty()

    def _look_after(self, index: int, now: int) -> None:
        """Log a client in, keep its connection alive, or notice that it is dead."""
        row, config = self._rows[index], self._config
        if row["state"] == ConnectionState.LOGIN:
            self._try_login(index)
        silence = now - int(row["received_at"])
        limit = (soupbintcp.LOGIN_TIMEOUT_SECONDS if row["state"] == ConnectionState.LOGIN
                 else config.timeout_seconds)
        if silence > limit * SECOND:
            self._fault(index, Fault.TIMEOUT)
        elif (row["state"] == ConnectionState.ACTIVE and row["part"] == 0
              and now - int(row["sent_at"]) >= config.heartbeat_seconds * SECOND):
            self._send(index, _HEARTBEAT)
            row["sent_at"] = now

    def _fault(self, index: int, fault: Fault) -> None:
        row = self._rows[index]
        if row["state"] != ConnectionState.CLOSING:
            row["state"], row["fault"] = ConnectionState.CLOSING, fault

    def _send(self, index: int, octets: bytes) -> None:
        """Send a few octets between two stored packets; a full socket has something to read."""
        if self._rows[index]["part"]:
            return                         # in the middle of a packet they would destroy it
        with contextlib.suppress(OSError):
            self._clients[index].send(octets)

    def _try_login(self, index: int) -> None:
        """Answer the login request of a client when it is whole."""
        row = self._rows[index]
        octets = int(row["input_octets"])
        received = self._engine.arena.view("input")[INPUT_OCTETS * index:][:octets].tobytes()
        if received[:soupbintcp.HEADER_SIZE] != _LOGIN_HEAD[:octets]:
            self._fault(index, Fault.MALFORMED_PACKET)
            return
        if octets < _LOGIN_SIZE:
            return
        login = decode(soupbintcp.LOGIN_REQUEST, received[:_LOGIN_SIZE])
        values = {name: str(value).strip(" ") for name, value in login.items()}
        account = self._account(values["username"], values["password"])
        sequence = values["requested_sequence"]
        reason = ""
        if account == 0:
            reason = "A"
        elif (self._is_over or values["requested_session"] not in ("", self._config.session)
              or not (sequence.isascii() and sequence.isdigit())):
            reason = "S"
        if reason:
            self._send(index, encode(soupbintcp.LOGIN_REJECTED, {"reason": reason}))
            self._fault(index, Fault.REJECTED)
            return
        self._log_in(index, account, int(sequence))
        left = received[_LOGIN_SIZE:]
        self._engine.arena.view("input")[INPUT_OCTETS * index:][:len(left)] = np.frombuffer(
            left, np.uint8)
        row["input_octets"] = len(left)
        self._engine.clock = time.monotonic_ns() - self._midnight
        consume(self._engine.address, self.address + CONNECTION_SIZE * index)

    def _account(self, username: str, password: str) -> int:
        """Number of the account with this name and password, 0 for none."""
        for number, account in enumerate(self._config.accounts, 1):
            if (account.username.lower() == username.lower()
                    and account.password.lower() == password.lower()):
                return number
        return 0

    def _log_in(self, index: int, account: int, sequence: int) -> None:
        for other in range(CONNECTIONS_MAX):
            if (self._clients[other] is not None
                    and self._rows[other]["account"] == account):
                self._fault(other, Fault.REPLACED)
        stored = self._engine.arena.view(f"account {account}", STORE)[0]
        following = int(stored["count"]) + 1
        first = following if sequence == soupbintcp.SEQUENCE_NEXT else min(sequence, following)
        first = max(first, int(stored["oldest"]))
        self._send(index, encode(soupbintcp.LOGIN_ACCEPTED, {
            "session": self._config.session, "sequence_number": str(first)}))
        row = self._rows[index]
        row["account"], row["next"], row["part"] = account, first, 0
        row["state"], row["sent_at"] = ConnectionState.ACTIVE, time.monotonic_ns()
        self._count(CounterIndex.LOGINS)

    def close_faulty(self) -> None:
        """Close what is to be closed, with one line in the log for each."""
        for index, client in enumerate(self._clients):
            row = self._rows[index]
            if client is None or row["state"] != ConnectionState.CLOSING:
                continue
            fault, account = Fault(int(row["fault"])), int(row["account"])
            who = self._config.accounts[account - 1].username if account else "a stranger"
            expected = fault in (Fault.CLOSED, Fault.LOGOUT, Fault.ENDED)
            _LOG.log(logging.INFO if expected else logging.WARNING,
                     "Connection %d of %s was closed: %s.", index, who, _FAULTS[fault])
            if fault in _COUNTED:
                self._count(_COUNTED[fault])
            self._clients[index] = None
            self._polled[CONNECTIONS + index]["socket"] = -1
            self._polled[CONNECTIONS + index]["returned"] = 0
            row["state"], row["account"] = ConnectionState.FREE, 0
            abort(client) if fault == Fault.SLOW else client.close()
            if account and self._config.cancel_on_disconnect and fault != Fault.REPLACED:
                entry.cancel_all(self._engine.address, account, -1, 0, Cancel.SUPERVISORY)

    def end_session(self) -> None:
        """Tell every client that the session does not resume, and close; nobody logs in again."""
        self._is_over = True
        for index, client in enumerate(self._clients):
            if client is not None and self._rows[index]["state"] == ConnectionState.ACTIVE:
                self._send(index, _GOODBYE)
                self._fault(index, Fault.ENDED)
        self.close_faulty()

    def close(self) -> None:
        """Close every socket."""
        for index, client in enumerate(self._clients):
            if client is not None:
                client.close()
                self._clients[index] = None
        self.listener.close()
