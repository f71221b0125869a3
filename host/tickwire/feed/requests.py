"""Which messages to ask a MoldUDP64 request server for, and which answers to believe.

Pure state: time comes in, datagrams come out. The wanted range is asked for in pieces, a bounded
number at once; answers are held until everything before them has come.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tickwire.spec import moldudp64

_HEADER = moldudp64.DOWNSTREAM_HEADER.size
_LENGTH = moldudp64.MESSAGE_BLOCK.size
_SEQUENCE = moldudp64.DOWNSTREAM_HEADER.field("sequence_number")[1]
_COUNT = moldudp64.DOWNSTREAM_HEADER.field("message_count")[1]
assert [field.name for field in moldudp64.REQUEST.fields] == [
    field.name for field in moldudp64.DOWNSTREAM_HEADER.fields]
_SESSION_SIZE = moldudp64.DOWNSTREAM_HEADER.field("session")[0].size
_MILLISECOND = 1_000_000
_LONG_AGO = -1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Bounds of the requests.

    ``pieces`` of ``messages`` each are asked for at once. A piece without an answer is asked for
    again after ``timeout_ns``, doubled each time up to ``timeout_ns_max``, ``attempts`` times in
    all. ``held_octets`` of answers may wait for an earlier one.
    """

    pieces: int = 16
    messages: int = 256
    timeout_ns: int = 20 * _MILLISECOND
    timeout_ns_max: int = 640 * _MILLISECOND
    attempts: int = 8
    held_octets: int = 4 << 20

    def __post_init__(self) -> None:
        """Check what the protocol bounds."""
        if not 1 <= self.messages <= moldudp64.MESSAGES_PER_PACKET_MAX:
            raise ValueError("messages must be from 1 to "
                             f"{moldudp64.MESSAGES_PER_PACKET_MAX}, not {self.messages}")


@dataclass(slots=True)
class _Piece:
    """``count`` messages that were asked for and have not come, or never will."""

    count: int
    first_asked: int
    attempts: int = 0
    deadline: int = 0
    is_lost: bool = False


class Requests:
    """State of the requests for one session.

    Attributes
    ----------
    counts : Counter[str]
        ``requests``, ``retries``, ``answers``, ``messages_given_up``, and every answer dropped
        by reason: ``answers_malformed``, ``answers_session`` (another session),
        ``answers_empty`` (no message), ``answers_duplicate`` (came before),
        ``answers_unasked`` (does not begin where a request did), ``answers_too_long`` (more than
        asked for), ``answers_no_room``.
    """

    def __init__(self, deliver: Callable[[bytes], bool], lost: Callable[[int, int], None],
                 limits: RequestLimits | None = None) -> None:
        """Hand payloads to ``deliver`` and gaps that stay (first, count) to ``lost``, in order.

        ``deliver`` may refuse with False; the payload is offered again by the next :meth:`poll`.
        Neither may call back into this object.
        """
        self.counts: Counter[str] = Counter()
        self.session = b""
        self._deliver, self._lost = deliver, lost
        self._limits = limits or RequestLimits()
        self.begin(b"")

    def begin(self, session: bytes) -> None:
        """Take up a session, 10 octets as on the wire, or none; forget all that was wanted."""
        if len(session) not in (0, _SESSION_SIZE):
            raise ValueError(f"session must have {_SESSION_SIZE} octets, not {len(session)}")
        self.session = session
        self._pieces: dict[int, _Piece] = {}               # by first message, in no order
        self._held: dict[int, tuple[int, bytes]] = {}      # count and answer, by first message
        self._held_octets = 0
        self._next = self._asked = self._end = 1
        self._last_answer = _LONG_AGO
        self._expected = 0
        self._behind_since: int | None = None      # since when ``expected`` lags behind ``_next``
        self._refused: int | None = None   # when a payload was refused that still waits

    @property
    def is_idle(self) -> bool:
        """Whether nothing is wanted."""
        return self._next >= self._end

    def want(self, expected: int, end: int, now: int) -> None:
        """Say that messages from ``expected`` up to ``end``, exclusive, are missing.

        Call it as often as the feed moves, and when nothing is missing any more (``expected`` is
        ``end``). Messages that came by another way are no longer asked for. ``expected`` may lag
        behind what was delivered; when it stands still behind for longer than the greatest
        time-out, what was delivered is taken as lost and asked for again.
        """
        if expected != self._expected:
            self._expected = expected
            self._behind_since = now if expected < self._next else None
        behind = self._behind_since
        if behind is not None and now - behind > self._limits.timeout_ns_max:
            self.begin(self.session)
            self._expected = self._next = self._asked = self._end = expected
        if expected > self._next:
            for first, piece in tuple(self._pieces.items()):
                if first + piece.count <= expected:
                    del self._pieces[first]
            for first, (count, _) in tuple(self._held.items()):
                if first + count <= expected:
                    self._release(first)
            self._next = min((*self._pieces, *self._held), default=expected)
            self._asked = max(self._asked, expected)
        self._end = max(self._end, end, self._asked)

    def poll(self, now: int) -> list[bytes]:
        """Return the requests that are due at ``now``, ns of a steady clock."""
        self._hand_over(now)
        due, limits = [], self._limits
        for first, piece in self._pieces.items():
            if piece.deadline > now or piece.is_lost:
                continue
            if piece.attempts < limits.attempts:
                due.append(self._ask(first, piece, now))
            elif self._last_answer >= piece.first_asked:
                piece.is_lost = True
            else:                          # not one answer since: the server is dead
                self._give_up_all()
                break
        while (self._asked < self._end and len(self._pieces) < limits.pieces and self.session
               and self._held_octets < limits.held_octets):
            piece = _Piece(min(limits.messages, self._end - self._asked), now)
            self._pieces[self._asked] = piece
            due.append(self._ask(self._asked, piece, now))
            self._asked += piece.count
        self._hand_over(now)
        return due

    def deadline(self) -> int | None:
        """Time of the next retry, None when nothing is awaited."""
        times = [piece.deadline for piece in self._pieces.values() if not piece.is_lost]
        if self._refused is not None:
            times.append(self._refused + _MILLISECOND)
        return min(times, default=None)

    def receive(self, answer: bytes, now: int) -> bool:
        """Take an answer; False when it is dropped, which is counted."""
        reason = self._judge(answer)
        if reason:
            self.counts[reason] += 1
            return False
        first, count = _numbers(answer)
        piece = self._pieces.pop(first)
        if count < piece.count:            # one datagram did not hold them all: ask for the rest
            self._pieces[first + count] = _Piece(piece.count - count, now, deadline=now)
        self._held[first] = count, answer
        self._held_octets += len(answer)
        self._last_answer = now
        self.counts["answers"] += 1
        self._hand_over(now)
        return True

    def _judge(self, answer: bytes) -> str:
        """Return the name of the counter for an answer that must be dropped, or nothing."""
        if len(answer) < _HEADER:
            return "answers_malformed"
        if not self.session or answer[:len(self.session)] != self.session:
            return "answers_session"
        first, count = _numbers(answer)
        if count in (moldudp64.HEARTBEAT, moldudp64.END_OF_SESSION):
            return "answers_empty"
        if not _fits(answer, count):
            return "answers_malformed"
        piece = self._pieces.get(first)
        if piece is None or piece.is_lost:
            is_known = first < self._next or first in self._held
            return "answers_duplicate" if is_known else "answers_unasked"
        if count > piece.count:
            return "answers_too_long"
        if first != self._next and self._held_octets + len(answer) > self._limits.held_octets:
            return "answers_no_room"
        return ""

    def _ask(self, first: int, piece: _Piece, now: int) -> bytes:
        limits = self._limits
        wait = min(limits.timeout_ns << piece.attempts, limits.timeout_ns_max)
        self.counts["retries" if piece.attempts else "requests"] += 1
        piece.attempts += 1
        piece.deadline = now + wait
        return (self.session + first.to_bytes(_COUNT - _SEQUENCE, "big")
                + piece.count.to_bytes(_HEADER - _COUNT, "big"))

    def _hand_over(self, now: int) -> None:
        """Deliver, in sequence, what has come or will not come."""
        self._refused = None
        while True:
            first = self._next
            if held := self._held.get(first):
                count, answer = held
                if not self._deliver(answer):
                    self._refused = now
                    return
                self._release(first)
            elif (piece := self._pieces.get(first)) and piece.is_lost:
                count = piece.count
                del self._pieces[first]
                self.counts["messages_given_up"] += count
                self._lost(first, count)
            else:
                return
            if self._behind_since is None:
                self._behind_since = now
            self._next = first + count

    def _give_up_all(self) -> None:
        for piece in self._pieces.values():
            piece.is_lost = True
        if self._asked < self._end:
            self._pieces[self._asked] = _Piece(self._end - self._asked, 0, is_lost=True)
            self._asked = self._end

    def _release(self, first: int) -> None:
        self._held_octets -= len(self._held.pop(first)[1])


def _numbers(packet: bytes) -> tuple[int, int]:
    """Sequence number and message count of a downstream packet."""
    return (int.from_bytes(packet[_SEQUENCE:_COUNT], "big"),
            int.from_bytes(packet[_COUNT:_HEADER], "big"))


def _fits(packet: bytes, count: int) -> bool:
    """Whether exactly ``count`` blocks fill the packet."""
    place, size = _HEADER, len(packet)
    for _ in range(count):
        if place + _LENGTH > size:
            return False
        place += _LENGTH + (packet[place] << 8 | packet[place + 1])
    return place == size
