"""Order session beside a card: the venue's answers go to it, and it opens when all are settled."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from tickwire.device.mirror import Mirror, SharedCard
from tickwire.device.order_connection import OrderConnection
from tickwire.kernels.engine_layout import HOST, TOKEN
from tickwire.spec.intents import SETTLE, WINDOW_SLOTS, Operation
from tickwire.spec.registers import KillCause
from tickwire.spec.render import dtype

_UP = 1 << 16                              # bit of SESSION_STATE
_SETTLE = dtype(SETTLE)


def host_context(address: int) -> np.void:
    """Return the HOST context of an engine at an address, in place."""
    octets: Any = (ctypes.c_char * HOST.itemsize).from_address(address)
    found: np.ndarray = np.frombuffer(octets, HOST)
    return found[0]


class SessionKeeper:
    """Reads the order session of a card that has none of its own, and settles what it hears.

    Attributes
    ----------
    connection : OrderConnection | None
        The one that is in use.
    sequence : int
        Number of the next sequenced message.
    is_ended : bool
        The venue ended the session.
    host : int
        HOST context of the engine; 0 without one.
    """

    def __init__(self, card: SharedCard) -> None:
        """Nothing is connected, no order passes."""
        self.connection: OrderConnection | None = None
        self.sequence, self.is_ended, self.host = 1, False, 0
        self._card = card
        self._is_up = self._is_buried = False
        card.write_register("SESSION_STATE", 0)

    def turn(self, now: int, settle: Callable[[np.ndarray], bool], mirror: Mirror) -> int:
        """Take what has come at ``now``, ns; returns how much was done.

        ``settle`` gives the card an answer, a row of the table ``settle``, or says that there is
        no room yet.
        """
        connection = self.connection
        if connection is None:
            return 0
        has_room = len(connection.settles) < WINDOW_SLOTS
        done = int(has_room and connection.receive(now))
        if connection.take_malformed():
            # Something happened to an order, and nobody can say what.
            self._card.write_register("KILL", KillCause.SETTLEMENT)
        while connection.settles and settle(connection.settles[0]):
            connection.settles.popleft()
            done += 1
        self.sequence = connection.sequence
        if connection.is_lost and not connection.settles:
            self._drop(connection, mirror)
        elif connection.next_token and connection.is_drained and not self._is_up:
            self._come_up(connection, mirror)
        return done

    def close(self) -> None:
        """Let go of the socket."""
        if self.connection is not None:
            self.connection.close()

    def _come_up(self, connection: OrderConnection, mirror: Mirror) -> None:
        """Everything that was missed is settled: bury what never arrived, then open the session."""
        if not self._is_buried:
            self._is_buried = True
            lost = self._lost(connection.next_token)
            for token in lost:
                row = np.zeros(1, _SETTLE)
                row[0]["operation"], row[0]["token"] = Operation.SETTLE_REJECTED, token
                connection.settles.append(row.view(np.uint8))
            connection.counts["orders_lost"] = len(lost)
            if lost:
                return
        self._card.write_register("ORDER_NUMBER", connection.next_token)
        self._is_up = True
        self._card.write_register("SESSION_STATE", _UP)
        mirror.show(has_counters=False)

    def _lost(self, next_token: int) -> list[int]:
        """Orders that are open here, or await an answer, and were never seen at the venue."""
        if not self.host:
            return []
        host = host_context(self.host)
        rows = int(host["tokens_mask"]) + 1
        octets: Any = (ctypes.c_char * (TOKEN.itemsize * rows)).from_address(int(host["tokens"]))
        tokens: np.ndarray = np.frombuffer(octets, TOKEN)
        found = tokens[((tokens["is_open"] != 0) | (tokens["is_awaited"] != 0))
                       & (tokens["token"] >= next_token)]
        return [int(token) for token in found["token"]]

    def _drop(self, connection: OrderConnection, mirror: Mirror) -> None:
        """Give the socket back to control; no order passes the gate until it is up again."""
        self._card.write_register("SESSION_STATE", 0)
        self._is_up = self._is_buried = False
        self.is_ended = connection.is_ended
        mirror.keep(connection)
        connection.close()
        mirror.show(has_counters=False)
        self.connection = None
