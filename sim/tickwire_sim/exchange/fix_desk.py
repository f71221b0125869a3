"""The venue speaks FIX: orders of FIX sessions on the same matching engine.

A gateway as venues have it: each FIX session has an account at the venue's own order port, and what
it asks for goes there as OUCH. D, G, F, H, AF and q are taken; 8, 9 and r come back.
"""

from dataclasses import dataclass
from decimal import Decimal

from tickwire.orders.fix.application import Application
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.session import Session
from tickwire.spec import ouch50
from tickwire.spec.wire import Value
from tickwire_sim.exchange.codes import Cancel
from tickwire_sim.exchange.ouch_client import OuchClient

_UNIT = 10_000                             # prices of OUCH are in 1e-4 dollars
_SIDES = {"1": "B", "2": "S", "5": "T", "6": "E"}
_LIMIT, _MARKET = "2", "1"
_FORCES = {"0": "0", "3": "3"}             # TimeInForce of FIX and of OUCH
_POST_ONLY = "6"
_NEW, _PART, _FILLED, _CANCELED, _REPLACED, _REJECTED, _EXPIRED = "012458C"
_STATUS = "I"
_UNKNOWN_SYMBOL, _DUPLICATE, _OTHER = 1, 6, 99
_TOO_LATE, _UNKNOWN_ORDER, _PENDING = 0, 1, 3
_UNSUPPORTED, _NOT_AUTHORISED = 3, 6
_ON_HALT = 6                               # ExecRestatementReason
_OPTION_POST_ONLY = next(tag for tag, field in ouch50.OPTIONS.items()
                         if field.name == "post_only")


@dataclass(slots=True)
class _Order:
    """One order as its owner knows it."""

    identity: str                          # ClOrdID that the venue accepted last
    number: int                            # UserRefNum
    symbol: str
    side: str                              # 54
    quantity: int
    price: int
    force: str
    executed: int = 0
    value: int = 0                         # executed shares x price
    reference: int = 0                     # OrderID
    is_live: bool = False
    cancel: str = ""                       # ClOrdID of a cancel that waits for its answer
    is_closed: bool = False
    status: str = _NEW

    @property
    def leaves(self) -> int:
        """Shares that are open."""
        return 0 if self.is_closed else max(self.quantity - self.executed, 0)


class FIXDesk(Application):
    """Orders of one FIX session. ``client`` is its connection to the order port."""

    def __init__(self, *, cancel_on_disconnect: bool = True) -> None:
        self.client: OuchClient | None = None
        self._session: Session | None = None
        self._by_identity: dict[str, _Order] = {}
        self._by_number: dict[int, _Order] = {}
        self._replacing: dict[int, tuple[_Order, str, int, int, str]] = {}
        self._executions = 0
        self._cancels = cancel_on_disconnect

    # The FIX session

    def on_logon(self, session: Session) -> None:
        """Answers go to this session from now on."""
        self._session = session

    def on_logout(self, session: Session, reason: str) -> None:
        """Cancel what is open, if that was agreed upon; answers are kept until the next logon."""
        if self._cancels:
            self._withdraw(self._live())

    def on_message(self, session: Session, message: Parsed) -> None:
        """Carry out a request."""
        self._session = session
        handler = {"D": self._new, "G": self._replace, "F": self._cancel, "H": self._status,
                   "AF": self._statuses, "q": self._mass_cancel}.get(message.msg_type)
        if handler is None:
            session.business_reject(message, _UNSUPPORTED, "Unsupported Message Type")
        elif self.client is None:
            session.business_reject(message, _NOT_AUTHORISED, "the market is closed")
        else:
            handler(message)

    def _new(self, message: Parsed) -> None:
        identity, refusal, reason = message.text(11), "", _OTHER
        order, code = _Order(identity, 0, message.text(55), message.text(54),
                             _whole(message.text(38)), _price(message.text(44)),
                             message.text(59, "0")), message.text(40)
        if identity in self._by_identity:
            refusal, reason = "duplicate ClOrdID", _DUPLICATE
        elif order.side not in _SIDES or order.force not in _FORCES:
            refusal = "side or time in force is not on offer"
        elif code not in (_LIMIT, _MARKET) or (code == _LIMIT and order.price <= 0):
            refusal = "order type is not on offer, or its price is missing"
        elif not 0 < len(order.symbol) <= 8 or order.quantity <= 0:
            refusal, reason = "symbol or quantity is wrong", _UNKNOWN_SYMBOL
        if refusal:
            order.is_closed = True
            self._report(order, _REJECTED, _REJECTED, {103: reason, 58: refusal})
            return
        assert self.client is not None
        order.number = self.client.number()
        if code == _MARKET:
            order.price = ouch50.PRICE_MARKET
        self._by_identity[identity] = self._by_number[order.number] = order
        self.client.send(ouch50.ENTER_ORDER, {
            "user_ref_num": order.number, "side": _SIDES[order.side], "quantity": order.quantity,
            "symbol": order.symbol, "price": order.price, "time_in_force": order.force,
            "display": "Y", "capacity": "P", "iso_eligible": "N", "cross_type": "N",
            "cl_ord_id": "", **_options(message)})

    def _replace(self, message: Parsed) -> None:
        order = self._found(message, "2")
        if order is None:
            return
        assert self.client is not None
        identity, number = message.text(11), self.client.number()
        quantity, price = _whole(message.text(38)), _price(message.text(44))
        force = message.text(59, "0")
        self._replacing[number] = order, identity, quantity, price, force
        order.cancel = identity
        self.client.send(ouch50.REPLACE_ORDER, {
            "orig_user_ref_num": order.number, "user_ref_num": number, "quantity": quantity,
            "price": price, "time_in_force": _FORCES.get(force, "0"), "display": "Y",
            "iso_eligible": "N", "cl_ord_id": "", **_options(message)})

    def _cancel(self, message: Parsed) -> None:
        order = self._found(message, "1")
        if order is None:
            return
        assert self.client is not None
        order.cancel = message.text(11)
        self.client.send(ouch50.CANCEL_ORDER, {"user_ref_num": order.number, "quantity": 0})

    def _found(self, message: Parsed, response: str) -> _Order | None:
        """Return the live order that a request names; else refuse the request."""
        order = self._by_identity.get(message.text(41))
        if order is None:
            self._refuse(message.text(11), message.text(41), response, _UNKNOWN_ORDER, None)
        elif order.is_closed:
            self._refuse(message.text(11), message.text(41), response, _TOO_LATE, order)
        elif order.cancel or not order.is_live:
            self._refuse(message.text(11), message.text(41), response, _PENDING, order)
        elif message.text(11) in self._by_identity:
            self._refuse(message.text(11), message.text(41), response, _DUPLICATE, order)
        else:
            return order
        return None

    def _status(self, message: Parsed) -> None:
        order = self._by_identity.get(message.text(11))
        if order is None:
            order = _Order(message.text(11), 0, message.text(55), message.text(54), 0, 0, "0",
                           is_closed=True, status=_REJECTED)
            self._report(order, _STATUS, _REJECTED, {103: 5, 58: "unknown order"})
        else:
            self._report(order, _STATUS, order.status, {})

    def _statuses(self, message: Parsed) -> None:
        for order in self._live():
            self._report(order, _STATUS, order.status, {584: message.text(584)})

    def _live(self) -> list[_Order]:
        return [order for order in self._by_number.values() if not order.is_closed]

    def _mass_cancel(self, message: Parsed) -> None:
        kind, symbol = message.text(530), message.text(55)
        is_taken = kind in ("1", "7")
        live = [order for order in self._live() if kind == "7" or order.symbol == symbol]
        body = {11: message.text(11), 37: message.text(11), 530: kind,
                531: kind if is_taken else "0", 533: len(live) if is_taken else 0}
        if self._version() == "FIXT.1.1":
            body[1369] = message.text(11)
        if not is_taken:
            body[532] = "0"
        self._send("r", body)
        self._withdraw(live if is_taken else [])

    def _withdraw(self, orders: list[_Order]) -> None:
        """Cancel orders, whatever becomes of a replace that is on its way."""
        numbers = [order.number for order in orders]
        numbers += [number for number, (order, *_) in self._replacing.items() if order in orders]
        for number in numbers if self.client is not None else ():
            self.client.send(ouch50.CANCEL_ORDER, {"user_ref_num": number, "quantity": 0})

    # The order port

    def heard(self, name: str, values: dict[str, Value]) -> None:
        """Act on an answer of the matching engine."""
        number = int(values.get("user_ref_num", 0))
        if name == "order_replaced":
            self._is_replaced(values)
        elif name == "rejected" and number in self._replacing:
            order, identity, *_ = self._replacing.pop(number)
            order.cancel = ""
            self._refuse(identity, order.identity, "2", _OTHER, order)
        elif number in self._by_number:
            self._answer(self._by_number[number], name, values)

    def _answer(self, order: _Order, name: str, values: dict[str, Value]) -> None:
        if name == "order_accepted":
            order.reference, order.is_live = int(values["order_reference"]), True
            order.is_closed = values["order_state"] == "D"
            self._report(order, _NEW, _NEW, {})
        elif name == "rejected":
            order.is_closed = True
            self._report(order, _REJECTED, _REJECTED, {
                103: _OTHER, 58: f"reason {int(values['reason'])} of the order port"})
        elif name == "order_executed":
            self._is_executed(order, int(values["quantity"]), int(values["price"]))
        elif name in ("order_canceled", "aiq_canceled"):
            self._is_canceled(order, ord(str(values["reason"])))
        if order.is_closed and order.cancel:       # asked for in vain: it was too late
            response = "2" if any(entry[0] is order for entry in self._replacing.values()) else "1"
            self._replacing = {key: entry for key, entry in self._replacing.items()
                               if entry[0] is not order}
            identity, order.cancel = order.cancel, ""
            self._refuse(identity, order.identity, response, _TOO_LATE, order)

    def _is_executed(self, order: _Order, quantity: int, price: int) -> None:
        order.executed += quantity
        order.value += quantity * price
        status = _FILLED if order.executed >= order.quantity else _PART
        order.is_closed = status == _FILLED
        kind = status if self._version() == "FIX.4.2" else "F"
        self._report(order, kind, status, {32: quantity, 31: _dollars(price)})

    def _is_canceled(self, order: _Order, reason: int) -> None:
        """The engine cancels orders whole: the gateway asks for no other."""
        order.is_closed = True
        is_replaced = any(entry[0] is order for entry in self._replacing.values())
        if not order.cancel or is_replaced or reason != Cancel.USER:
            kind = _EXPIRED if reason == Cancel.CLOSED else _CANCELED
            # FIX.4.2 has no value for a halt.
            is_told = reason == Cancel.HALTED and self._version() != "FIX.4.2"
            # What is asked for in vain is refused behind it.
            self._report(order, kind, kind, {378: _ON_HALT} if is_told else {})
            return
        identity, order.cancel = order.cancel, ""
        self._report(order, _CANCELED, _CANCELED, {41: order.identity}, identity)

    def _is_replaced(self, values: dict[str, Value]) -> None:
        entry = self._replacing.pop(int(values["user_ref_num"]), None)
        if entry is None:
            return
        order, identity, quantity, price, force = entry
        original = order.identity
        self._by_number.pop(order.number, None)
        order.number, order.identity, order.cancel = int(values["user_ref_num"]), identity, ""
        order.quantity, order.price, order.force = quantity, price, force
        order.reference = int(values["order_reference"])
        order.is_closed = values["order_state"] == "D"
        self._by_number[order.number] = self._by_identity[identity] = order
        status = _PART if order.executed else _NEW
        self._report(order, _REPLACED, _REPLACED if self._version() == "FIX.4.2" else status,
                     {41: original})

    # Answers

    def _version(self) -> str:
        return self._session.settings.begin_string if self._session else ""

    def _report(self, order: _Order, kind: str, status: str, extra: dict[int, object],
                identity: str = "") -> None:
        """Send an ExecutionReport."""
        self._executions += 1
        if kind != _STATUS:
            order.status = status
        average = Decimal(order.value) / (order.executed * _UNIT) if order.executed else Decimal(0)
        body = {6: average.normalize() if average else 0, 11: identity or order.identity,
                14: order.executed, 17: f"E{self._executions}", 37: order.reference or "NONE",
                38: order.quantity, 39: status, 54: order.side, 55: order.symbol, 150: kind,
                151: order.leaves, **extra}
        if 0 < order.price < ouch50.PRICE_MARKET:
            body[44] = _dollars(order.price)
        if self._version() == "FIX.4.2":
            if 103 in body and body[103] == _OTHER:
                body[103] = 0              # broker's choice: there is no "other" yet
            body[20] = "3" if kind == _STATUS else "0"
            if kind == _STATUS:
                body[150] = status
        self._send("8", body)

    def _refuse(self, identity: str, original: str, response: str, reason: int,
                order: _Order | None) -> None:
        """Send an OrderCancelReject."""
        if self._version() == "FIX.4.2" and reason > _PENDING:
            reason = 2                     # broker's choice
        self._send("9", {11: identity, 37: order.reference if order else "NONE", 39: order.status
                         if order else _REJECTED, 41: original, 102: reason, 434: response})

    def _send(self, kind: str, body: dict[int, object]) -> None:
        session = self._session
        if session is not None:
            text = "".join(f"{tag}={value:f}\x01" if isinstance(value, Decimal) else
                           f"{tag}={value}\x01" for tag, value in sorted(body.items()))
            session.send(kind, text.encode("latin-1"), is_kept=True)


def _whole(text: str) -> int:
    value = Decimal(text or 0)
    return int(value) if value == int(value) and value < 1 << 31 else 0


def _price(text: str) -> int:
    value = Decimal(text or 0) * _UNIT
    return int(value) if value == int(value) and value < 1 << 40 else 0


def _dollars(price: int) -> Decimal:
    return Decimal(price) / _UNIT


def _options(message: Parsed) -> dict[str, Value]:
    """Fields for an appendage: post-only where ExecInst asks for it."""
    is_passive = _POST_ONLY in message.text(18).split(" ")
    option = bytes((2, _OPTION_POST_ONLY)) + b"P" if is_passive else b""
    return {"appendage": option}
