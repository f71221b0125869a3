"""Host's half of an order session whose order messages a card makes: octets out, answers in.

The software device has all of this in its loop (:mod:`tickwire.kernels.engine_session`); beside a
card the host reads the venue's answers and gives them to it as settle intents.
"""

import os
import socket
from collections import deque

import numpy as np

from tickwire.kernels import _ouch50 as ouch
from tickwire.kernels import _soupbintcp as soup
from tickwire.kernels.translate import MALFORMED, ORDER_EVENT, translate
from tickwire.spec import ouch50, soupbintcp
from tickwire.spec.intents import SETTLE
from tickwire.spec.wire import encode

_RECEIVE = 1 << 16
_OUTPUT_MAX = 1 << 16                      # octets that may wait for a full socket
_SECOND = 1_000_000_000
_HEARTBEAT_NS = soupbintcp.HEARTBEAT_SECONDS * _SECOND
_TIMEOUT_NS = soupbintcp.PEER_TIMEOUT_SECONDS * _SECOND
_NEXT = slice(ouch50.ACCOUNT_QUERY_RESPONSE.field("next_user_ref_num")[1],
              ouch50.ACCOUNT_QUERY_RESPONSE.field("next_user_ref_num")[1] + 4)
_HEARTBEAT = encode(soupbintcp.CLIENT_HEARTBEAT, {})
_SILENT = (soup.SERVER_HEARTBEAT_TYPE, soup.DEBUG_TYPE, soup.UNSEQUENCED_DATA_TYPE)


class OrderConnection:
    """A socket that is logged in to SoupBinTCP and has asked for the account's next number.

    Attributes
    ----------
    settles : deque[numpy.ndarray]
        Answers that the card has not been given yet: rows of the table ``settle``, 64 octets.
    sequence : int
        Number of the next sequenced message.
    next_token : int
        Venue's next order number; 0 while it has not told.
    is_ended : bool
        The venue ended the session.
    is_lost : bool
        Nothing more comes or goes.
    counts : dict[str, int]
        What came, by the name of its counter.
    """

    def __init__(self, descriptor: int, received: bytes, sequence: int, now: int, *,
                 is_leased: bool = False) -> None:
        """Take a connected socket, which stays the caller's; ``now`` is a time in ns.

        One that ``is_leased`` to a card is only read: the card is its writer, heartbeats included.
        """
        self.settles: deque[np.ndarray] = deque()
        self.sequence, self.next_token = sequence, 0
        self.is_ended = self.is_lost = False
        self.counts = dict.fromkeys((
            "session_messages", "session_malformed", "session_drops", "heartbeats_sent",
            "broken_trades", "order_octets"), 0)
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._socket.setblocking(False)
        self._input, self._output = bytearray(received), bytearray()
        self._sent_at = self._received_at = now
        self._is_leased = is_leased
        self._is_drained = self._has_malformed = False

    def fileno(self) -> int:
        """File descriptor for pollers."""
        return self._socket.fileno()

    @property
    def is_drained(self) -> bool:
        """Whether everything that has come was read, and the card was given all of it."""
        return self._is_drained and not self._input and not self.settles

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def send(self, octets: bytes, now: int) -> None:
        """Send ``octets`` behind what still waits for the socket."""
        self._output += octets
        self._sent_at = now
        self.counts["order_octets"] += len(octets)
        self._flush()

    def receive(self, now: int) -> bool:
        """Read what has come; returns whether something had.

        Of a connection that is lost nothing is read: behind a broken packet there are no others.
        """
        if self.is_lost:
            return False
        self._flush()
        try:
            octets = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            self._is_drained = True
            self._keep_alive(now)
            return False
        except OSError:
            self._drop()
            return True
        if not octets:
            self._drop()
            return True
        self._is_drained, self._received_at = False, now
        self._input += octets
        self._consume()
        return True

    def abandon(self) -> None:
        """Count the session as lost: what was to be read is read, and nothing more comes."""
        self._drop()

    def take_malformed(self) -> bool:
        """Whether an answer came since the last call that nobody can read."""
        found, self._has_malformed = self._has_malformed, False
        return found

    def _consume(self) -> None:
        """Carry out the whole packets of the input."""
        place, size = 0, soupbintcp.LENGTH_SIZE
        while len(self._input) - place >= soupbintcp.HEADER_SIZE:
            length = int.from_bytes(self._input[place:place + size], "big")
            end = place + size + length
            if not length:
                self._refuse()
                return
            if end > len(self._input):
                break
            kind = self._input[place + soupbintcp.TYPE_OFFSET]
            if kind == soup.SEQUENCED_DATA_TYPE:
                self._message(bytes(self._input[place + soupbintcp.HEADER_SIZE:end]))
            elif kind == soup.END_OF_SESSION_TYPE:
                self.is_ended = True
                self._drop()
                return
            elif kind not in _SILENT:
                self._refuse()
                return
            place = end
        del self._input[:place]

    def _message(self, message: bytes) -> None:
        """One sequenced OUCH message."""
        self.sequence += 1
        self.counts["session_messages"] += 1
        octets = np.frombuffer(message.ljust(SETTLE.size, b"\0"), np.uint8)
        settle = np.zeros(SETTLE.size, np.uint8)
        found = translate(octets.ctypes.data, len(message), settle.ctypes.data)
        if found == ORDER_EVENT:
            self.settles.append(settle)
        elif found == MALFORMED:
            self.counts["session_malformed"] += 1
            self._has_malformed = True
        elif message[0] == ouch.BROKEN_TRADE_TYPE:
            self.counts["broken_trades"] += 1
        elif message[0] == ouch.ACCOUNT_QUERY_RESPONSE_TYPE and len(message) >= _NEXT.stop:
            self.next_token = int.from_bytes(message[_NEXT], "big")

    def _keep_alive(self, now: int) -> None:
        """Send a heartbeat when one is due; drop a peer that is silent for too long."""
        # Periods begin anew when the clock was set back.
        self._received_at, self._sent_at = min(self._received_at, now), min(self._sent_at, now)
        if now - self._received_at > _TIMEOUT_NS:
            self._drop()
        elif (now - self._sent_at > _HEARTBEAT_NS and not self._output
              and not self._is_leased):
            self._output += _HEARTBEAT
            self._sent_at = now
            self.counts["heartbeats_sent"] += 1
            self._flush()

    def _flush(self) -> None:
        if not self._output or self.is_lost:
            return
        try:
            del self._output[:self._socket.send(self._output)]
        except BlockingIOError:
            if len(self._output) > _OUTPUT_MAX:
                self._drop()
        except OSError:
            self._drop()

    def _refuse(self) -> None:
        self.counts["session_malformed"] += 1
        self._drop()

    def _drop(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.counts["session_drops"] += 1
            self._input.clear()
