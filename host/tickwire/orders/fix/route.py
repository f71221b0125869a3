"""Orders over FIX: what a device released goes out, what the venue answers is settled.

:class:`OrderGate` is the only door: it takes records from the device's release queue, and there is
no call with which anybody else could hand it one. Answers become the settle intents that OUCH's
answers become, so nothing above can tell the route.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tickwire.orders.fix.application import Application, SendError
from tickwire.orders.fix.bodies import fields
from tickwire.orders.fix.orders import OrderWriter
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.reports import Answer, Report, read_report, settle_fields
from tickwire.orders.fix.sending import log
from tickwire.orders.fix.session import Session
from tickwire.orders.release import ReleaseQueue
from tickwire.spec.fix import Tag
from tickwire.spec.intents import IntentFlag, Operation

Settle = Callable[[Mapping[str, int]], None]

_SENT_MAX = 4_096                          # messages whose numbers are remembered, for a Reject
_SIDES = {ord("B"): b"1", ord("S"): b"2", ord("T"): b"5", ord("E"): b"6"}


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

    @property
    def leaves(self) -> int:
        """Shares still open."""
        return max(self.total - self.executed, 0)


class OrderGate:
    """Sends the order messages of one device through one session."""

    def __init__(self, session: Session, releases: ReleaseQueue, writer: OrderWriter) -> None:
        self.session, self.writer = session, writer
        self.orders: dict[int, Order] = {}
        self.sent: OrderedDict[int, tuple[int, int]] = OrderedDict()   # number: token, request
        self._releases = releases

    def pump(self, refuse: Callable[[int], None]) -> int:
        """Send everything that was released; return how many records there were.

        What cannot be sent is told to ``refuse`` by its token, unless it is a cancel.
        """
        count = 0
        while len(batch := self._releases.take()):
            for released in batch:
                self._send(released, refuse)
            count += len(batch)
        return count

    def _send(self, released: np.void, refuse: Callable[[int], None]) -> None:
        token, previous = int(released["token"]), int(released["previous"])
        operation, request = int(released["operation"]), 0
        known = self.orders.get(previous if operation == Operation.REPLACE else token)
        if operation == Operation.CANCEL:
            if known is None:              # dead meanwhile: the venue has told, the device knows
                return
            known.requests += 1
            request = known.requests
        else:
            self.orders[token] = Order(
                int(released["quantity"]), int(released["price"]),
                bytes(released["symbol"]).strip(), _SIDES[int(released["side"])],
                known.executed if known else 0, known.value if known else 0,
                bool(int(released["flags"]) & IntentFlag.IMMEDIATE), predecessor=previous)
        kind, body = self.writer.body(released, time.time_ns(), known.request if known else 0,
                                      request)
        try:
            # This door alone sends orders: Session.send refuses them.
            number = self.session._send(kind, body, (), False)
        except SendError as error:
            log.warning("%s", error)
            if operation != Operation.CANCEL:
                del self.orders[token]
                refuse(token)
            return
        self.sent[number] = token, request
        if len(self.sent) > _SENT_MAX:
            self.sent.popitem(last=False)


class OrderRoute(Application):
    """The application of an order session: gate on the way out, answers on the way back.

    ``settle`` takes settle intents, ``tell_state`` whether the session is up. Counters say what was
    passed over: answers about orders of other runs, trades that the venue took back.
    """

    def __init__(self, gate: OrderGate, settle: Settle, tell_state: Callable[[bool], None]) -> None:
        self._gate, self._settle, self._tell_state = gate, settle, tell_state
        self._executions: OrderedDict[bytes, None] = OrderedDict()
        self.foreign = self.broken = self.unread = 0

    def pump(self) -> None:
        """Send what the device released; for the event loop, when the queue is readable."""
        self._gate.pump(self._refuse)

    def _refuse(self, token: int) -> None:
        self._settle({"operation": Operation.SETTLE_REJECTED, "token": token})

    def on_logon(self, session: Session) -> None:
        """Tell the device that orders pass, and ask for every order that may be open."""
        for token, order in self._gate.orders.items():
            body = fields((Tag.CLIENT_ORDER_ID,
                           self._gate.writer.identity(token, order.request).encode()),
                          (Tag.SIDE, order.side), (Tag.SYMBOL, order.symbol))
            session.send("H", body)
        self._tell_state(True)

    def on_logout(self, session: Session, reason: str) -> None:
        """Tell the device that no order passes."""
        self._tell_state(False)

    def on_message(self, session: Session, message: Parsed) -> None:
        """Settle an execution report or the refusal of a request."""
        kind = message.msg_type
        if kind == "8":
            self._report(message)
        elif kind == "9":
            self._refused(message)
        elif kind == "j":
            number = message.integer(Tag.REFERENCE_SEQUENCE)
            self._unsent(number if number is not None else -1)
        elif kind != "r":
            self.unread += 1

    def on_reject(self, session: Session, message: Parsed) -> None:
        """The venue could not read an order message: it is as if it had refused it."""
        number = message.integer(Tag.REFERENCE_SEQUENCE)
        self._unsent(number if number is not None else -1)

    def _token(self, message: Parsed, tag: int) -> tuple[int, int] | None:
        return self._gate.writer.token(message.text(tag))

    def _report(self, message: Parsed) -> None:
        named = self._token(message, Tag.CLIENT_ORDER_ID)
        if named is None:
            named = self._token(message, Tag.ORIGINAL_CLIENT_ORDER_ID)
        order = self._gate.orders.get(named[0]) if named else None
        report = read_report(message)
        if named is None or order is None:
            self.foreign += 1
            return
        token, request = named
        if report.answer in (Answer.FILLED, Answer.BROKEN) and self._is_known(report.execution):
            return
        if report.answer is Answer.BROKEN:
            self.broken += 1
        elif report.answer is Answer.STATUS:
            self._status(token, order, report)
        elif report.answer is Answer.REPLACED:
            self._replaced(token, request, order, report)
        elif report.answer is not Answer.NOTHING and not (
                request and report.answer in (Answer.ACCEPTED, Answer.REJECTED)):
            self._give(token, order, report)

    def _is_known(self, execution: bytes) -> bool:
        """Whether a report of this ExecID was settled; the newest are remembered."""
        if execution in self._executions:
            return True
        self._executions[execution] = None
        if len(self._executions) > _SENT_MAX:
            self._executions.popitem(last=False)
        return False

    def _give(self, token: int, order: Order, report: Report) -> None:
        """Settle a report about an order, and follow what becomes of it."""
        found = settle_fields(token, order, report)
        self._settle(found)
        operation, quantity = found["operation"], found.get("quantity", 0)
        if operation == Operation.SETTLE_FILLED:
            order.executed += quantity
            order.value += quantity * found["price"]
            if not order.leaves:
                self._bury(token)
        elif operation == Operation.SETTLE_ACCEPTED:
            order.total, order.price = quantity, found["price"]
        elif operation == Operation.SETTLE_CANCELED:
            order.total -= quantity
            if not order.leaves:
                self._bury(token)
        elif operation == Operation.SETTLE_REJECTED:
            self._bury(token)

    def _bury(self, token: int) -> None:
        """Forget a dead order, and the replaces of it that nothing will answer any more."""
        self._gate.orders.pop(token, None)
        for other in [number for number, order in self._gate.orders.items()
                      if order.predecessor == token]:
            del self._gate.orders[other]

    def _replaced(self, token: int, request: int, order: Order, report: Report) -> None:
        total, leaves = report.total, report.leaves
        if request:                        # a smaller size: the same order, with fewer shares
            order.request = request
            if order.total > total:
                self._settle({"operation": Operation.SETTLE_CANCELED, "token": token,
                              "quantity": order.total - total, "reason": ord("U")})
                order.total = total
            if not order.leaves:
                self._bury(token)
            return
        previous, order.predecessor = order.predecessor, 0
        old = self._gate.orders.pop(previous, None)
        if old is not None:
            order.executed, order.value = old.executed, old.value
        found = settle_fields(token, order, report)
        order.total, order.price = order.executed + leaves, found["price"]
        self._settle({**found, "quantity": leaves, "previous_token": previous,
                      "flags": 0 if leaves else 1})
        if not leaves:
            self._bury(token)

    def _status(self, token: int, order: Order, report: Report) -> None:
        """Make good what was missed: fills first, then what is closed."""
        cumulative, value = report.cumulative, report.value
        missed = cumulative - order.executed
        if missed > 0:
            price = max((value - order.value) // missed, 0)
            self._settle({"operation": Operation.SETTLE_FILLED, "token": token,
                          "quantity": missed, "price": price})
            order.executed, order.value = cumulative, value
        if report.is_closed and order.leaves:
            is_refused = report.is_refused
            self._settle({"operation": Operation.SETTLE_REJECTED, "token": token} if is_refused
                         else {"operation": Operation.SETTLE_CANCELED, "token": token,
                               "quantity": order.leaves, "reason": ord("S")})
        if report.is_closed or not order.leaves:
            self._bury(token)

    def _refused(self, message: Parsed) -> None:
        """A cancel or replace was refused: a replace has a token of its own, which dies."""
        named = self._token(message, Tag.CLIENT_ORDER_ID)
        if named is not None and named[1] == 0 and named[0] in self._gate.orders:
            self._reject(named[0], message.integer(Tag.CANCEL_REJECT_REASON) or 0)

    def _unsent(self, number: int) -> None:
        """A message of ours was rejected as such."""
        token, request = self._gate.sent.get(number, (0, 0))
        if token in self._gate.orders and request == 0:
            self._reject(token, 0)

    def _reject(self, token: int, reason: int) -> None:
        self._gate.orders.pop(token)
        self._settle({"operation": Operation.SETTLE_REJECTED, "token": token,
                      "reason": min(max(reason, 0), 0xFFFF)})
