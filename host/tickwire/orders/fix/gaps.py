"""Gaps in the numbers of a FIX session: asking for what is missing, repeating what is asked for.

Early messages are kept within the bounds of :mod:`tickwire.orders.fix.early`. What the other side
asks for is repeated in steps, as fast as it reads; requests that overlap become one.
"""

import time
from collections.abc import Callable, Iterator

from tickwire.orders.fix import bodies
from tickwire.orders.fix.application import ORDER_TYPES, Application
from tickwire.orders.fix.early import Early
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.resending import resent
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.sending import SECOND, Clock, Sender
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import Store
from tickwire.spec.fix import Tag

RESEND_STEP = 64                           # messages repeated at once; the rest when there is room
GAP_SECONDS = 30                           # after this a gap that is not filled is asked for again


class GapKeeper(Sender):
    """The half of a session that keeps numbers whole in both directions."""

    def __init__(self, settings: FIXSessionSettings, rules: Rules, store: Store,
                 application: Application | None, clock: Clock = time.time_ns,
                 guarded: frozenset[str] = ORDER_TYPES) -> None:
        super().__init__(settings, rules, store, application, clock, guarded)
        self._early = Early()
        self._last_in = 0
        self._asked = self._asked_at = 0   # last number that was asked for again, and when
        self._resending: Iterator[bytes] | None = None
        self._repeated = (0, 0)            # first and last number that are being sent again

    @property
    def has_more(self) -> bool:
        """Whether something that was asked for is still to be sent again."""
        return self._resending is not None

    def resume(self) -> None:
        """Repeat more of what was asked for, when the transport has room."""
        for _ in range(RESEND_STEP):
            octets = next(self._resending, None) if self._resending is not None else None
            if octets is None:
                self._resending = None
                break
            self._output.append(octets)
            self._last_out = self._clock()

    def _repeat(self, first: int, last: int) -> None:
        """Begin to send again, together with what is still owed from earlier requests."""
        if first > last:
            return
        if self._resending is not None:
            first, last = min(first, self._repeated[0]), max(last, self._repeated[1])
        self._repeated = first, last
        self._resending = resent(self.store, first, last,
                                 lambda: self._timestamp(self._clock()), self._gap_fill)
        if len(self._output) < RESEND_STEP:
            self.resume()

    def _ask(self, number: int) -> None:
        """Ask for what is missing before ``number``, once for a gap."""
        now, expected = self._clock(), self.store.next_in
        if self._asked >= expected and now - self._asked_at < GAP_SECONDS * SECOND:
            return
        self._asked, self._asked_at = number - 1, now
        self._warn(f"asks for {expected} to {number - 1} again")
        self._transmit(bodies.RESEND_REQUEST, bodies.fields((Tag.BEGIN_SEQUENCE, expected),
                                                            (Tag.END_SEQUENCE, 0)))

    def _take_early(self, act: Callable[[Parsed], None]) -> None:
        """Act on messages whose turn has come; ask again when another gap is behind them."""
        early, store = self._early, self.store
        while early.has(store.next_in) and not self.closing:
            number = store.next_in
            message = early.take(number)
            if message is None:
                store.received(number + 1, self._clock())
            else:
                act(message)
                early.forget_before(store.next_in)
        if self._asked < store.next_in:
            self._asked = 0
            if early and not self.closing:
                self._ask(early.first())

    def _count(self, message: Parsed) -> None:
        self.store.received(message.seq_num + 1, self._last_in)

    def _forget_gaps(self) -> None:
        """Forget what is missing and what is owed: the connection is gone, or the numbers are."""
        self._early.clear()
        self._asked, self._resending = 0, None
