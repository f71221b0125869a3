"""One FIX session as a state machine: events and a clock in, octets and callbacks out.

It opens no socket and starts nothing. A transport tells it :meth:`Session.connected`,
:meth:`~Session.received`, :meth:`~Session.tick` and :meth:`~Session.disconnected`; after each the
transport writes what :meth:`~Session.take` gives, calls :meth:`~Session.resume` while it has room,
and closes when :attr:`~Session.closing` says why. One thread; callbacks come from within an event.

A message is in the store before it is in the output. A number that came counts after its message
was acted on. docs/fix.md states what is answered to what.
"""

import time
from collections.abc import Callable

from tickwire.orders.fix import bodies
from tickwire.orders.fix.application import ORDER_TYPES, Application
from tickwire.orders.fix.gaps import GapKeeper
from tickwire.orders.fix.logon import refusal
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.sending import NEVER, SECOND, Clock, State, log, one_line
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import NUMBER_MAX, Store
from tickwire.spec.fix import RejectReason, Tag

GARBAGE_MAX = 1 << 20                      # octets in a row that are no message


class Session(GapKeeper):
    """One session between two CompIDs. ``garbled`` and ``logons`` count.

    ``ended`` says why the last connection ended, or did not come about; empty before.
    """

    def __init__(self, settings: FIXSessionSettings, rules: Rules, store: Store,
                 application: Application | None = None, *, clock: Clock = time.time_ns,
                 guarded: frozenset[str] = ORDER_TYPES) -> None:
        super().__init__(settings, rules, store, application, clock, guarded)
        self.heartbeat = settings.heartbeat_seconds * SECOND
        self.garbled = self.logons = 0
        self.ended = ""
        self._is_initiator = settings.role == "initiator"
        self._latency = settings.latency_seconds * SECOND
        self._schedule = settings.schedule()
        self._period_end = NEVER
        self._is_tested = self._has_reset = self._is_on = False
        self._cancel_at = self._garbage = 0
        self._begins = b"8=%b\x01" % self._begin_string
        self._names = settings.target.encode("latin-1"), settings.sender.encode("latin-1")

    # What a transport tells

    def connected(self) -> None:
        """The connection stands: an initiator logs on, an acceptor waits for the Logon."""
        now = self._clock()
        self.closing = ""
        self._is_told = False
        self._output.clear()
        self._last_in = self._last_out = now
        self._is_tested = self._has_reset = False
        self.state = State.LOGON_AWAITED
        self._state_until = now + self.settings.logon_seconds * SECOND
        if not self._enter_period(now):
            self._close("the session is not open at this time")
        elif self._is_initiator:
            if self.settings.reset_on_logon:
                self._begin_anew(now)
                self._has_reset = True
            self._send_logon(self.settings.heartbeat_seconds, self.store.next_in, self._has_reset)

    def received(self, message: Parsed) -> None:
        """Act on one message, or on a garbled stretch."""
        if self.closing or self.state is State.DISCONNECTED:
            return
        if message.garbled:
            self._ignore(message)
            return
        self._last_in = self._clock()
        self._is_tested = False
        self._garbage = 0
        if self.state is State.LOGON_AWAITED:
            self._first(message)
        else:
            self._next(message)
        if self._early or self._asked:
            self._take_early(self._in_turn)

    def tick(self) -> None:
        """Do what is due; to be called at or after :meth:`deadline`."""
        now = self._clock()
        # Periods begin anew when the clock was set back.
        self._last_in, self._last_out = min(self._last_in, now), min(self._last_out, now)
        if self._cancel_at and now >= self._cancel_at:
            self._cancel_at = 0
            self._warn("the session has ended and is not back: open orders are to be cancelled")
            self._call(self.application.on_cancel)
        self.store.begin_sync(now)
        if self.state is State.DISCONNECTED or self.closing:
            return
        if self.state is not State.ACTIVE:
            if now >= self._state_until:
                self._close(f"no {'Logout' if self.state is State.LOGOUT_SENT else 'Logon'} "
                            "came in time")
        elif now >= self._period_end:
            self.logout("the session ends now")
        elif self.heartbeat:
            silent = now - self._last_in
            if 10 * silent >= 24 * self.heartbeat:
                self._close(f"silent for {silent / SECOND:.1f} s, a TestRequest included")
            elif 10 * silent >= 12 * self.heartbeat and not self._is_tested:
                self._is_tested = True
                self._transmit(bodies.TEST_REQUEST,
                               bodies.fields((Tag.TEST_REQUEST_ID, bodies.TEST_REQUEST_ID)))
            elif now - self._last_out >= self.heartbeat and not self._is_tested:
                self._transmit(bodies.HEARTBEAT, b"")

    def deadline(self) -> int:
        """Return when :meth:`tick` is to be called next, in ns since 1970."""
        due = [self._cancel_at or NEVER]
        if self.state is State.ACTIVE:
            due.append(self._period_end)
            if self.heartbeat:
                due.append(self._last_in + self.heartbeat * (24 if self._is_tested else 12) // 10)
                if not self._is_tested:
                    due.append(self._last_out + self.heartbeat)
        elif self.state is not State.DISCONNECTED:
            due.append(self._state_until)
        return min(due)

    def delay(self) -> float:
        """Return the seconds until :meth:`tick` is to be called next."""
        return max(0.0, (self.deadline() - self._clock()) / SECOND)

    def disconnected(self, reason: str) -> None:
        """The connection is gone, whoever closed it."""
        was_on, self._is_on = self._is_on, False
        reason = self.ended = self.closing or reason
        if not self._is_told and self.state is not State.DISCONNECTED:
            self._info(f"disconnected: {reason}")
        self.state, self.closing = State.DISCONNECTED, ""
        self._output.clear()
        self._forget_gaps()
        if was_on:
            if self.settings.cancel_on_disconnect:
                self._cancel_at = self._clock() + self.settings.cancel_after_ms * 1_000_000
            self._call(self.application.on_logout, reason)
        self.store.sync()                  # last: a disk that refuses it keeps nobody uninformed

    # The Logon

    def _enter_period(self, now: int) -> bool:
        """Begin at 1 when the numbers are of an earlier period; return whether one is open."""
        if (period := self._schedule.period(now)) is None:
            return False
        if self.store.created < period[0]:
            self._info("a new period: numbers begin at 1")
            self._begin_anew(now)
        self._period_end = period[1]
        return True

    def _begin_anew(self, now: int) -> None:
        """Begin at 1 both ways."""
        self.store.reset(now)
        self._forget_gaps()
        self._call(self.application.on_reset)

    def _first(self, message: Parsed) -> None:
        """Act on the first message of a connection, which is to be a Logon."""
        if message.msg_type == bodies.LOGOUT and self._is_initiator:
            if message.seq_num == self.store.next_in:
                self._count(message)
            self._close(f"Logout instead of a Logon: {message.text(Tag.TEXT) or 'without a text'}")
            return
        if (reason := self._refusal(message)):
            self._close(f"Logon refused: {reason}")
        else:
            self._log_on(message)

    def _refusal(self, message: Parsed) -> str:
        """Return why a Logon is refused, empty when it is not."""
        if self._is_late(message):
            return "SendingTime is too far from this clock"
        return refusal(message, self.settings, is_fixt=self.rules.is_fixt)

    def _log_on(self, message: Parsed) -> None:
        """Take a Logon that is good but for its number, the first one or one within a session."""
        is_first = self.state is State.LOGON_AWAITED
        is_reset = message.flag(Tag.RESET_SEQUENCE)
        begins_anew = is_reset and not self._has_reset     # not: the echo of our own wish
        if begins_anew or (is_first and not self._is_initiator and self.settings.reset_on_logon):
            self._info("numbers begin at 1, as the Logon asks" if is_reset
                       else "numbers begin at 1 with every logon")
            self._begin_anew(self._clock())
        number, expected = message.seq_num, self.store.next_in
        if number < expected:
            self._too_low(message)
            return
        if not self._is_initiator:
            self.application_version = message.text(Tag.DEFAULT_APPLICATION_VERSION) \
                if self.rules.is_fixt else ""
            self.heartbeat = (message.integer(Tag.HEARTBEAT_SECONDS) or 0) * SECOND
        next_out = self.store.next_out
        if begins_anew or not (is_reset or self._is_initiator):
            self._send_logon(self.heartbeat // SECOND,
                             expected + (number == expected), is_reset)
        theirs = message.integer(Tag.NEXT_EXPECTED_SEQUENCE) if self.settings.next_expected \
            else None
        if theirs is not None and theirs > next_out:
            self.state = State.ACTIVE
            self.logout(f"NextExpectedMsgSeqNum too high, expecting {next_out} "
                        f"but received {theirs}")
            self._close("the other side awaits a number that was never sent")
            return
        self.state, self._has_reset = State.ACTIVE, False
        if number > expected:
            self._early.keep(number, None)
            if theirs is None:
                self._ask(number)
            else:                          # our own 789 has asked already
                self._asked, self._asked_at = number - 1, self._clock()
        else:
            self._count(message)
        if theirs is not None and theirs < next_out:
            self._repeat(theirs, next_out - 1)
        if is_first:
            self._cancel_at, self._is_on = 0, True
            self.logons += 1
            self._info(f"logged on, next {self.store.next_out} out and {self.store.next_in} in")
            self._call(self.application.on_logon)

    def _send_logon(self, heartbeat: int, next_expected: int, is_reset: bool) -> None:
        settings = self.settings
        self._transmit(bodies.LOGON, bodies.logon(
            heartbeat, is_reset=is_reset,
            username=settings.username if self._is_initiator else "",
            password=settings.password if self._is_initiator else "",
            next_expected=next_expected if settings.next_expected else 0,
            application_version=self.application_version))

    # Every other message

    def _ignore(self, stretch: Parsed) -> None:
        """Pass over octets that are no message; nothing else for too long ends the connection."""
        self.garbled += 1
        if not self._garbage:              # one line, however many stretches follow each other
            self._warn(f"ignores {stretch.size} octets that are no message: {stretch.garbled}")
        self._garbage += stretch.size
        if self.state is State.LOGON_AWAITED:
            self._close("garbled octets instead of a Logon")
        elif self._garbage > GARBAGE_MAX:
            self._close(f"{self._garbage:,} octets without a message")

    def _next(self, message: Parsed) -> None:
        """Check a message of a session that is logged on, and act on it when it is its turn."""
        kind, number, fault = message.msg_type, message.seq_num, message.fault
        if not message.octets.startswith(self._begins):
            if kind == bodies.LOGOUT:
                self._answer_logout(message)
                return
            if number == self.store.next_in:
                self._count(message)
            self.logout("Incorrect BeginString")
        elif number < 0:
            self.logout("Received message without MsgSeqNum")
            self._close("a message without a number")
        elif fault is None and self._is_refused(message):
            return
        elif fault is None and kind in (bodies.RESEND_REQUEST, bodies.LOGOUT):
            self._at_once(message)
        elif kind == bodies.SEQUENCE_RESET and not message.flag(Tag.GAP_FILL):
            if fault is not None:
                self._reject(message, *fault)
            else:
                self._renumber(message)
        elif kind == bodies.LOGON and message.flag(Tag.RESET_SEQUENCE):
            if (reason := self._refusal(message)):
                self.logout(f"Logon refused: {reason}")
            else:
                self._log_on(message)
        elif number == self.store.next_in:
            self._in_turn(message)
        elif number < self.store.next_in:
            self._too_low(message)
        else:
            self._early.keep(number, message)
            self._ask(number)

    def _is_refused(self, message: Parsed) -> bool:
        """Reject a message whose time or CompIDs are wrong, and log off; whether it is one."""
        if self._is_late(message):
            self._reject(message, RejectReason.SENDING_TIME_ACCURACY)
        elif not message.is_between(*self._names):
            self._reject(message, RejectReason.COMP_ID_PROBLEM)
        else:
            return False
        if message.seq_num == self.store.next_in:
            self._count(message)
        self.logout()
        return True

    def _is_late(self, message: Parsed) -> bool:
        return abs(self._last_in - message.sending_time) > self._latency

    def _in_turn(self, message: Parsed) -> None:
        """Act on the message that is awaited, and count it."""
        kind, fault = message.msg_type, message.fault
        if fault is not None:
            self._reject(message, *fault)
        elif not message.is_admin:
            self._call(self.application.on_message, message)
        elif kind == bodies.TEST_REQUEST:
            self._transmit(bodies.HEARTBEAT, bodies.fields(
                (Tag.TEST_REQUEST_ID, message.find(Tag.TEST_REQUEST_ID) or b"")))
        elif kind == bodies.SEQUENCE_RESET:
            self._renumber(message)
            return
        elif kind == bodies.LOGON:
            reason = self._refusal(message)
            if not reason:
                self._log_on(message)      # which counts it
                return
            self.logout(f"Logon refused: {reason}")
        elif kind == bodies.REJECT:
            self._warn(f"the other side rejected {message.text(Tag.REFERENCE_SEQUENCE)}: "
                       f"{message.text(Tag.TEXT) or 'without a text'}")
            self._call(self.application.on_reject, message)
        self._count(message)

    def _at_once(self, message: Parsed) -> None:
        """Act on a ResendRequest or a Logout, whatever its number."""
        if message.msg_type == bodies.LOGOUT:
            self._answer_logout(message)
            return
        first, last = message.integer(Tag.BEGIN_SEQUENCE), message.integer(Tag.END_SEQUENCE)
        sent = self.store.next_out - 1
        if first is None or last is None or first < 1 or last < 0:
            self._reject(message, RejectReason.VALUE_OUT_OF_RANGE, Tag.BEGIN_SEQUENCE
                         if first is None or first < 1 else Tag.END_SEQUENCE)
        else:
            self._repeat(first, min(last or sent, sent))
        if message.seq_num == self.store.next_in:
            self._count(message)
        elif message.seq_num > self.store.next_in:
            self._early.keep(message.seq_num, None)

    def _answer_logout(self, message: Parsed) -> None:
        if message.seq_num == self.store.next_in:
            self._count(message)
        if self.state is not State.LOGOUT_SENT:
            self._transmit(bodies.LOGOUT, b"")
        text = message.text(Tag.TEXT)
        self.closing = self.closing or one_line(f"Logout{f': {text}' if text else ''}")

    def _renumber(self, message: Parsed) -> None:
        """Act on a SequenceReset of either mode; its own number does not count."""
        number = message.integer(Tag.NEW_SEQUENCE)
        if number is None or not self.store.next_in <= number < NUMBER_MAX:
            self._reject(message, RejectReason.VALUE_OUT_OF_RANGE)
        elif number > self.store.next_in:
            self.store.received(number, self._clock())
            self._early.forget_before(number)

    def _too_low(self, message: Parsed) -> None:
        """Log off after a number that was used before, or ignore a message sent once more."""
        if not message.is_possible_duplicate:
            self.state = State.ACTIVE
            text = (f"MsgSeqNum too low, expecting {self.store.next_in} "
                    f"but received {message.seq_num}")
            self.logout(text)
            self._close(text)
        elif message.msg_type == bodies.SEQUENCE_RESET:
            return
        elif message.find(Tag.ORIGINAL_SENDING_TIME) is None:
            self._reject(message, RejectReason.REQUIRED_TAG_MISSING, Tag.ORIGINAL_SENDING_TIME)
        elif message.orig_sending_time > message.sending_time:
            self._reject(message, RejectReason.SENDING_TIME_ACCURACY)
            self.logout()

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call the application; what it raises is logged and ends nothing."""
        try:
            callback(self, *arguments)
        except Exception:
            log.exception("%s: the application failed in %s", self.settings.identity,
                          getattr(callback, "__name__", callback))
