"""Orders over FIX: what the gate sends, and what the venue answers, which is settled.

Answers become the settle intents that OUCH's answers become, so nothing above can tell the route.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from tickwire.orders.fix.application import Application, SendError
from tickwire.orders.fix.bodies import REJECT
from tickwire.orders.fix.gate import Order, OrderGate
from tickwire.orders.fix.order_fields import body
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.reports import (
    VALUE_MAX,
    Answer,
    Report,
    cancel_reason,
    read_report,
    settle_fields,
)
from tickwire.orders.fix.sending import log
from tickwire.orders.fix.session import Session
from tickwire.spec.fix import Tag
from tickwire.spec.intents import Operation

Settle = Callable[[Mapping[str, int]], None]

_EXECUTIONS_MAX = 4_096                    # ExecIDs that are remembered
_REQUESTS = frozenset("DFGq")              # whose rejects settle something
_NOT_TAKEN = "0"                           # MassCancelResponse


class OrderRoute(Application):
    """The application of an order session: gate on the way out, answers on the way back.

    ``settle`` takes settle intents, ``tell_state`` whether the session is up, ``tell_late`` is
    called when it is not back in the time of ``cancel_after_ms``, ``tell_unsettled`` when an answer
    could not be settled: what is open and what was traded is not known from then on. Counters say
    what was passed over: answers about orders of other runs, trades that the venue took back.
    """

    def __init__(self, gate: OrderGate, settle: Settle, tell_state: Callable[[bool], None],
                 tell_late: Callable[[], None] | None = None,
                 tell_unsettled: Callable[[], None] | None = None) -> None:
        self._gate, self._settle, self._tell_state = gate, settle, tell_state
        self._tell_late, self._tell_unsettled = tell_late, tell_unsettled
        self._executions: OrderedDict[bytes, None] = OrderedDict()
        self.foreign = self.broken = self.unread = 0

    def pump(self) -> None:
        """Send what the device released; for the event loop, when the queue is readable."""
        within = self._gate.session.within
        if within is not None:
            within(self._pump)             # what comes of it goes in one piece
        else:
            self._pump()

    def _pump(self) -> None:
        self._gate.pump(self.refuse)

    def refuse(self, token: int) -> None:
        """Tell the device that a new order could not be sent."""
        self._settle({"operation": Operation.SETTLE_REJECTED, "token": token})

    def on_logon(self, session: Session) -> None:
        """Tell the device that orders pass, and ask for every order that may be open."""
        self._tell_state(True)             # first: cancels pass, whatever becomes of the questions
        writer = self._gate.writer
        for token, order in self._gate.orders.items():
            try:
                session.send("H", body(
                    writer.configured["H"],
                    (Tag.CLIENT_ORDER_ID, writer.identity(token, order.request).encode()),
                    (Tag.SIDE, order.side), (Tag.SYMBOL, order.symbol)))
            except SendError as error:
                log.warning("%s", error)

    def on_reset(self, session: Session) -> None:
        """Answers name messages of ours by numbers that count from 1 again."""
        self._gate.forget_numbers()

    def on_logout(self, session: Session, reason: str) -> None:
        """Tell the device that no order passes."""
        self._tell_state(False)

    def on_cancel(self, session: Session) -> None:
        """Tell that what is open is to be cancelled."""
        if self._tell_late is not None:
            self._tell_late()

    def on_message(self, session: Session, message: Parsed) -> None:
        """Settle an execution report or the refusal of a request, or take that of a mass cancel."""
        try:
            self._take(message)
        except Exception:                  # which the session logs; the message counts all the same
            if self._tell_unsettled is not None:
                self._tell_unsettled()
            raise

    def on_reject(self, session: Session, message: Parsed) -> None:
        """The venue could not read an order message: it is as if it had refused it."""
        self.on_message(session, message)

    def _take(self, message: Parsed) -> None:
        kind = message.msg_type
        if kind == "8":
            self._report(message)
        elif kind == "9":
            self._refused(message)
        elif kind in (REJECT, "j"):
            self._unsent(message)
        elif kind == "r":
            self._gate.mass_answered(
                message.text(Tag.CLIENT_ORDER_ID), self.refuse,
                is_taken=message.text(Tag.MASS_CANCEL_RESPONSE) != _NOT_TAKEN)
        else:
            self.unread += 1

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
        if len(self._executions) > _EXECUTIONS_MAX:
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
            price = min(max((value - order.value) // missed, 0), VALUE_MAX)
            self._settle({"operation": Operation.SETTLE_FILLED, "token": token,
                          "quantity": missed, "price": price})
            order.executed, order.value = cumulative, value
        if report.is_closed and order.leaves:
            is_refused = report.is_refused
            self._settle({"operation": Operation.SETTLE_REJECTED, "token": token} if is_refused
                         else {"operation": Operation.SETTLE_CANCELED, "token": token,
                               "quantity": order.leaves, "reason": cancel_reason(order, report)})
        if report.is_closed or not order.leaves:
            self._bury(token)

    def _refused(self, message: Parsed) -> None:
        """A cancel or replace was refused: a replace has a token of its own, which dies."""
        named = self._token(message, Tag.CLIENT_ORDER_ID)
        if named is not None and named[1] == 0 and named[0] in self._gate.orders:
            self._reject(named[0], message.integer(Tag.CANCEL_REJECT_REASON) or 0)

    def _unsent(self, message: Parsed) -> None:
        """A message of ours was rejected as such."""
        number = message.integer(Tag.REFERENCE_SEQUENCE)
        kind = message.text(Tag.REFERENCE_MESSAGE_TYPE)
        if number is None or (kind and kind not in _REQUESTS):
            return
        if self._gate.mass_answered(number, self.refuse, is_taken=False):
            return
        token, request = self._gate.sent.get(number, (0, 0))
        if token in self._gate.orders and request == 0:
            self._reject(token, 0)

    def _reject(self, token: int, reason: int) -> None:
        self._gate.orders.pop(token)
        self._settle({"operation": Operation.SETTLE_REJECTED, "token": token,
                      "reason": min(max(reason, 0), 0xFFFF)})
