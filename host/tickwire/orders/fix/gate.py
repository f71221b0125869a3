"""The only door for orders over FIX: records of the device's release queue in, messages out.

:class:`OrderGate` has no call with which anybody could hand it an order. Cancels of one intent that
leave nothing open, in one symbol or at all, go as one OrderMassCancelRequest where the venue has
it; when the venue refuses that, each goes on its own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tickwire.orders.fix.application import SendError
from tickwire.orders.fix.order_fields import body, order_fields
from tickwire.orders.fix.orders import OrderWriter
from tickwire.orders.fix.sending import log
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.times import utc_timestamp
from tickwire.orders.release import BATCH, ReleaseQueue
from tickwire.spec.fix import Tag
from tickwire.spec.intents import IntentFlag, Operation
from tickwire.spec.records import RECORD_SIZE

_SENT_MAX = 4_096                          # messages whose numbers are remembered, for a Reject
_NO_NUMBER = 0                             # that no message has
_MASSES_MAX = 64                           # mass cancels that wait for their answer
_SIDES = {ord("B"): b"1", ord("S"): b"2", ord("T"): b"5", ord("E"): b"6"}
_NEW, _CANCEL, _REPLACE = (int(Operation[name]) for name in ("NEW", "CANCEL", "REPLACE"))
_IMMEDIATE = int(IntentFlag.IMMEDIATE)
_ALL, _OF_A_SYMBOL = b"7", b"1"            # MassCancelRequestType

Refuse = Callable[[int], None]


class Release(NamedTuple):
    """What the gate looks at of an ORDER_RELEASED record."""

    operation: int
    token: int
    previous: int
    price: int
    quantity: int
    symbol: bytes
    side: int
    flags: int
    intent_id: int


Cancel = tuple[Release, bytes]             # and all octets of its record


@dataclass(slots=True)
class Order:
    """An order that may be open: shares in all, executed ones, and what changes it."""

    total: int
    price: int
    symbol: bytes
    side: bytes
    executed: int = 0
    value: int = 0                         # executed shares x price, 1e-4 dollars
    is_immediate: bool = False
    request: int = 0                       # that the venue accepted last; part of its ClOrdID
    requests: int = 0                      # made so far
    predecessor: int = 0                   # order that this one replaces, until the venue says so
    is_canceling: bool = False             # the device has released a cancel of it

    @property
    def leaves(self) -> int:
        """Shares still open."""
        return max(self.total - self.executed, 0)


class OrderGate:
    """Sends the order messages of one device through one session.

    ``prefix`` begins every ClOrdID; it differs from run to run. One thread.
    """

    def __init__(self, session: Session, releases: ReleaseQueue, prefix: str) -> None:
        self.session = session
        rules, settings = session.rules, session.settings
        self.writer = OrderWriter(rules, prefix, dict(settings.header()), order_fields(
            settings, rules.session, rules.application))
        self.orders: dict[int, Order] = {}
        self.sent: OrderedDict[int, tuple[int, int]] = OrderedDict()   # number: token, request
        self._releases = releases
        self._seen = releases.records[list(Release._fields)]
        self._masses: OrderedDict[str, tuple[int, list[Cancel]]] = OrderedDict()
        self._masses_made = 0
        self._has_mass_cancel = (session.settings.mass_cancel
                                 and "q" in session.rules.application.messages)

    def pump(self, refuse: Refuse) -> int:
        """Send everything that was released; return how many records there were.

        What cannot be sent is told to ``refuse`` by its token, unless it is a cancel.
        """
        count = 0
        cancels: list[Cancel] = []         # of one intent, one behind the other
        releases, taken = self._releases, BATCH
        while taken == BATCH:
            taken = len(releases.take())
            for place, release in enumerate(map(Release._make, self._seen[:taken].tolist())):
                is_cancel = release.operation == _CANCEL and release.quantity == 0
                number = releases.stamps[place]
                if cancels and not (is_cancel and release.intent_id == cancels[0][0].intent_id):
                    self._withdraw(cancels, refuse)
                    cancels = []
                if number:                 # the engine has sent it
                    self._note(release, None)
                    self._remember(number, release.token, 0)
                elif is_cancel:
                    cancels.append((release, releases.records[place:place + 1].tobytes()))
                else:
                    self._send(release, releases.batch + place * RECORD_SIZE, refuse)
            count += taken
        if cancels:
            self._withdraw(cancels, refuse)
        return count

    def forget_numbers(self) -> None:
        """Forget the numbers of what was sent: the session's begin at 1 again."""
        self.sent.clear()
        self._masses = OrderedDict((identity, (_NO_NUMBER, cancels))
                                   for identity, (_, cancels) in self._masses.items())

    def mass_answered(self, name: str | int, refuse: Refuse, *, is_taken: bool) -> bool:
        """Take the answer to the mass cancel of that ClOrdID or number; False if it is none.

        One that the venue did not take becomes the cancels that it stood for.
        """
        for identity, (number, cancels) in self._masses.items():
            if name in (identity, number):
                del self._masses[identity]
                if not is_taken:
                    log.warning("%s: the venue refused mass cancel %s: %d cancels go instead",
                                self.session.settings.identity, identity, len(cancels))
                    self._cancel(cancels, refuse)
                return True
        return False

    def _withdraw(self, cancels: list[Cancel], refuse: Refuse) -> None:
        """Cancel orders, at once where that takes no other order along."""
        orders = self.orders               # what is not there is dead: the device knows by now
        cancels = [cancel for cancel in cancels if cancel[0].token in orders]
        for release, _ in cancels:
            orders[release.token].is_canceling = True
        if len(cancels) > 1 and self._has_mass_cancel:
            symbols = {orders[release.token].symbol for release, _ in cancels}
            symbol = symbols.pop() if len(symbols) == 1 else b""
            if all(order.is_canceling for order in orders.values()
                   if not symbol or order.symbol == symbol):
                self._send_mass(cancels, symbol)
                return
        self._cancel(cancels, refuse)

    def _cancel(self, cancels: list[Cancel], refuse: Refuse) -> None:
        for release, record in cancels:
            self._send(release, self.writer.held(record), refuse)

    def _send_mass(self, cancels: list[Cancel], symbol: bytes) -> None:
        """Cancel all orders, or those of a symbol, with one request."""
        self._masses_made += 1
        identity = self.writer.mass_identity(self._masses_made)
        of_symbol = ((Tag.SYMBOL, symbol),) if symbol else ()
        written = body(self.writer.configured["q"], (Tag.CLIENT_ORDER_ID, identity.encode()),
                       *of_symbol, (Tag.TRANSACT_TIME, utc_timestamp(time.time_ns())),
                       (Tag.MASS_CANCEL_TYPE, _OF_A_SYMBOL if symbol else _ALL))
        try:
            number = self.session._send("q", written, (), False)
        except SendError as error:
            log.warning("%s", error)
            return
        self._masses[identity] = number, cancels
        if len(self._masses) > _MASSES_MAX:
            self._masses.popitem(last=False)

    def _send(self, release: Release, record: int, refuse: Refuse) -> None:
        """Send what the record at an address asks for."""
        token, operation, request = release.token, release.operation, 0
        known = self.orders.get(release.previous if operation == _REPLACE else token)
        if operation == _CANCEL:
            if known is None:              # dead meanwhile: the venue has told, the device knows
                return
            known.requests += 1
            request = known.requests
        else:
            self._note(release, known)
        original = known.request if known else 0
        kind = ("D" if operation == _NEW else
                "F" if operation == _CANCEL and release.quantity == 0 else "G")
        try:
            # This door alone sends orders: Session.send refuses them.
            number = self.session._send_written(
                kind, lambda number, now: self.writer.written(record, number, now, original,
                                                              request))
        except SendError as error:
            log.warning("%s", error)
            if operation != _CANCEL:
                del self.orders[token]
                refuse(token)
            return
        self._remember(number, token, request)

    def _note(self, release: Release, known: Order | None) -> None:
        """Know an order that is sent; ``known`` is the one that it replaces."""
        self.orders[release.token] = Order(
            release.quantity, release.price, release.symbol.strip(), _SIDES[release.side],
            known.executed if known else 0, known.value if known else 0,
            release.flags & _IMMEDIATE != 0, predecessor=release.previous)

    def _remember(self, number: int, token: int, request: int) -> None:
        self.sent[number] = token, request
        if len(self.sent) > _SENT_MAX:
            self.sent.popitem(last=False)
