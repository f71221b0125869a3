"""The sending half of a FIX session: numbers, headers, the store, and what refuses to send."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from tickwire.orders.fix import bodies
from tickwire.orders.fix.application import (
    ORDER_TYPES,
    UNTHROTTLED_TYPES,
    Application,
    GateError,
    SendError,
)
from tickwire.orders.fix.bodies import Header
from tickwire.orders.fix.encode import assemble, framed
from tickwire.orders.fix.journal import Record, StoreError
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import NUMBER_MAX, Store
from tickwire.orders.fix.throttle import Throttle
from tickwire.orders.fix.times import utc_timestamp
from tickwire.spec.fix import (
    ADMIN_TYPES,
    APPLICATION_VERSIONS,
    REJECT_TEXTS,
    RejectReason,
    Tag,
)

if TYPE_CHECKING:
    from tickwire.orders.fix.lease import EngineLease

SECOND = 1_000_000_000
NEVER = 1 << 63
_TRAILER = 7                               # 10=ddd SOH
_SOH = 0x01
_TYPE = re.compile(r"[A-Za-z0-9]{1,8}")
_OWN_TAGS = frozenset((Tag.BEGIN_STRING, Tag.BODY_LENGTH, Tag.CHECKSUM, Tag.SEQUENCE,
                       Tag.MESSAGE_TYPE, Tag.SENDER, Tag.SENDING_TIME, Tag.TARGET))

_SENTENCE_MAX = 300                        # characters of a line in the log

log = logging.getLogger("tickwire.fix")
Clock = Callable[[], int]


def one_line(sentence: str) -> str:
    """Return a sentence that may have a peer's words in it as one line, printable and not long."""
    if not sentence.isprintable():
        sentence = "".join(letter if letter.isprintable() else
                           letter.encode("unicode_escape").decode() for letter in sentence)
    return sentence if len(sentence) <= _SENTENCE_MAX else f"{sentence[:_SENTENCE_MAX]} ..."


class State(Enum):
    """Where a session stands."""

    DISCONNECTED = "disconnected"
    LOGON_AWAITED = "waiting for a Logon"
    ACTIVE = "logged on"
    LOGOUT_SENT = "waiting for a Logout"


class Sender:
    """What a session needs to send. ``guarded`` are the messages that only the gate sends."""

    def __init__(self, settings: FIXSessionSettings, rules: Rules, store: Store,
                 application: Application | None, clock: Clock = time.time_ns,
                 guarded: frozenset[str] = ORDER_TYPES) -> None:
        self.settings, self.rules, self.store = settings, rules, store
        self.application = application or Application()
        self.state = State.DISCONNECTED
        self.closing = ""
        self.wake: Callable[[], None] | None = None    # set by a transport: writes the output
        self.within: Callable[[Callable[[], object]], None] | None = None  # the same, after a call
        self.lease: EngineLease | None = None          # that the transport takes back and gives
        self._clock = clock
        self._guarded = guarded
        self._types: set[str] = set()      # that :meth:`send` was found to take
        self._is_told = False              # the log has the reason why the connection ends
        self._output: list[bytes] = []
        self._last_out = self._state_until = 0
        self._begin_string = settings.begin_string.encode()
        self._header: Header = [(tag, value.encode("latin-1"))
                                for tag, value in settings.header()]
        # What stands around the time in a message without further fields in its header.
        self._before, self._behind = (bodies.fields(*(
            pair for pair in self._header if (pair[0] < 52) == is_before))
            for is_before in (True, False))
        self._second, self._moment = -1, b""
        self._throttle = Throttle(settings.messages_per_second, settings.burst)
        self.application_version = next(
            (code for code, version in APPLICATION_VERSIONS.items()
             if rules.is_fixt and version == rules.application_version), "")

    @property
    def is_logged_on(self) -> bool:
        """Whether application messages can be sent."""
        return self.state is State.ACTIVE and not self.closing

    def send(self, msg_type: str, body: bytes, header: Sequence[tuple[int, bytes]] = (), *,
             is_kept: bool = False) -> int:
        """Send an application message and return its number.

        ``body`` is whole fields, each ended by SOH; ``header`` holds further fields of the header.
        Raises :class:`GateError` for orders, :class:`SendError` for what is no message of an
        application, when the session is not logged on or the throttle holds. With ``is_kept`` a
        session that is not logged on stores the message; the other side then sees that it is
        missing, and gets it.
        """
        if msg_type not in self._types:
            self._check_type(msg_type)
        if body and body[-1] != _SOH:
            raise SendError(f"{self.settings.identity}: the body of {msg_type} does not end with "
                            f"SOH: {body[-32:]!r}")
        for tag, value in header:
            if tag in _OWN_TAGS or not value or _SOH in value:
                raise SendError(f"{self.settings.identity}: {tag}={value!r} is no field that "
                                "an application adds to the header")
        return self._send(msg_type, body, header, is_kept)

    def business_reject(self, message: Parsed, reason: int, text: str, last: bytes = b"") -> int:
        """Answer an application message with BusinessMessageReject; ``last`` ends its body."""
        body = bodies.fields((Tag.REFERENCE_SEQUENCE, message.seq_num),
                             (Tag.TEXT, text.encode("latin-1")),
                             (Tag.REFERENCE_MESSAGE_TYPE, message.msg_type.encode("latin-1")),
                             (Tag.BUSINESS_REJECT_REASON, reason))
        return self._send("j", body + last, bodies.turned_route(message), False)

    def logout(self, text: str = "") -> None:
        """Log off; the connection closes when the other side has answered, or in time."""
        if self.state is State.ACTIVE:
            self._transmit(bodies.LOGOUT, bodies.fields((Tag.TEXT, text.encode("latin-1")))
                           if text else b"")
            self.state = State.LOGOUT_SENT
            self._state_until = self._clock() + self.settings.logout_seconds * SECOND
        elif self.state is State.LOGON_AWAITED:
            self._close("stopped before the Logon")

    def take(self) -> bytes:
        """Return the octets to be written next, and forget them."""
        output = self._output
        if not output:
            return b""
        octets = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return octets

    def adopted(self, records: Sequence[Record]) -> None:
        """Take up orders that the engine has stored and sent."""
        for record in records:
            self._last_out = record.time
            time = record.payload.index(b"\x0152=") + 4
            body = record.payload.index(b"\x01", time) + 1 + len(self._behind)
            self.application.on_sent(self, "D",        # type: ignore[arg-type]
                                     record.payload[body:-_TRAILER])

    def _send(self, msg_type: str, body: bytes, header: Sequence[tuple[int, bytes]],
              is_kept: bool) -> int:
        is_on = self._check(msg_type, self._clock(), is_kept)
        number = self._transmit(msg_type, body, header, is_written=is_on)
        self._sent(msg_type, body)
        return number

    def _send_written(self, msg_type: str, write: Callable[[int, int], tuple[bytes, int]]) -> int:
        """Send the message that ``write`` gives for its number at a time; return the number.

        ``write`` returns the whole message and how many octets are before its body.
        """
        now = self._clock()
        self._check(msg_type, now, False)
        self._own()
        number = self.store.next_out
        octets, begin = write(number, now)
        self._keep(octets, number, now)
        self._output.append(octets)
        self._last_out = now
        self._sent(msg_type, octets[begin:-_TRAILER])
        return number

    def _check_type(self, msg_type: str) -> None:
        """Refuse orders, messages of the session, and what is no type: a field could be in it."""
        if not _TYPE.fullmatch(msg_type):
            raise SendError(f"{self.settings.identity}: {msg_type!r} is no type of a message, "
                            "which has 1 to 8 letters and digits")
        if msg_type in self._guarded:
            raise GateError(f"{self.settings.identity}: {msg_type} places, changes or cancels "
                            "orders; only orders that a device released are sent")
        if msg_type in ADMIN_TYPES:
            raise SendError(f"{self.settings.identity}: {msg_type} is a message of the session, "
                            "which sends it itself")
        self._types.add(msg_type)

    def _check(self, msg_type: str, now: int, is_kept: bool) -> bool:
        """Return whether a message is written now; raise :class:`SendError` if it cannot go."""
        is_on = self.state is State.ACTIVE and not self.closing
        if not is_on and not is_kept:
            raise SendError(f"{self.settings.identity}: not logged on ({self.state.value})")
        # What takes risk away, or tells what it is, passes the throttle, and counts there.
        if not self._throttle.takes(now) and msg_type not in UNTHROTTLED_TYPES:
            raise SendError(f"{self.settings.identity}: more than "
                            f"{self.settings.messages_per_second} messages a second")
        return is_on

    def _sent(self, msg_type: str, body: bytes) -> None:
        self.application.on_sent(self, msg_type, body)     # type: ignore[arg-type]
        if self.wake is not None:
            self.wake()

    def _transmit(self, msg_type: str, body: bytes, header: Sequence[tuple[int, bytes]] = (), *,
                  is_written: bool = True) -> int:
        """Store a message, then have it written; return its number."""
        self._own()
        now, number = self._clock(), self.store.next_out
        if header:
            octets = assemble(self._begin_string, msg_type.encode("latin-1"), [
                (34, b"%d" % number), (52, self._timestamp(now)), *self._header, *header], body)
        else:
            octets = framed(self._begin_string, b"35=%b\x0134=%d\x01%b52=%b\x01%b%b" % (
                msg_type.encode("latin-1"), number, self._before, self._timestamp(now),
                self._behind, body))
        self._keep(octets, number, now)
        if is_written:
            self._output.append(octets)
            self._last_out = now
        return number

    def _own(self) -> None:
        """Have numbers and store here, not with the engine."""
        if self.lease is not None:
            self.lease.take()

    def _keep(self, octets: bytes, number: int, now: int) -> None:
        """Store a message before it is written."""
        if number >= NUMBER_MAX:
            raise SendError(f"{self.settings.identity}: {number} is the last number there is")
        try:
            self.store.put(octets, now)
        except StoreError as error:
            self._close(f"the store failed: {error}")
            raise

    def _gap_fill(self, number: int, following: int) -> bytes:
        """Return a SequenceReset numbered ``number``; it is sent once more, so not stored."""
        timestamp = self._timestamp(self._clock())
        return assemble(self._begin_string, b"4", [
            (34, b"%d" % number), (43, b"Y"), (52, timestamp), (122, timestamp), *self._header],
            bodies.fields((Tag.NEW_SEQUENCE, following), (Tag.GAP_FILL, b"Y")))

    def _reject(self, message: Parsed, reason: RejectReason, tag: int = 0) -> None:
        self._transmit(bodies.REJECT,
                       bodies.reject(message, reason, tag, self.settings.begin_string),
                       bodies.turned_route(message))
        self._warn(f"rejected {message.seq_num} ({message.msg_type}): "
                   f"{REJECT_TEXTS[reason]}{f', tag {tag}' if tag else ''}")

    def _timestamp(self, now: int) -> bytes:
        """Return ``now`` as 52 has it; what is the same within a second is kept."""
        second, rest = divmod(now, SECOND)
        if second != self._second:
            self._second, self._moment = second, utc_timestamp(now - rest, 0)
        return b"%b.%03d" % (self._moment, rest // 1_000_000)

    def _close(self, reason: str) -> None:
        if not self.closing:
            self.closing = one_line(reason)
            self._is_told = True
            self._warn(f"disconnects: {reason}")

    def _info(self, sentence: str) -> None:
        log.info("%s: %s", self.settings.identity, one_line(sentence))

    def _warn(self, sentence: str) -> None:
        log.warning("%s: %s", self.settings.identity, one_line(sentence))
