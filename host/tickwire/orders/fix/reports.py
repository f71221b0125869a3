"""Execution reports read, and as the settle intents that OUCH's answers become.

FIX.4.2 tells fills as ExecType 1 and 2 and what became of a report in ExecTransType (20); later
versions tell a trade as F, its cancellation as H, a status as I.
"""

import hashlib
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import TYPE_CHECKING

from tickwire.orders.fix.parse import Parsed
from tickwire.spec.fix import CANCEL_REASONS, Tag
from tickwire.spec.intents import Operation

if TYPE_CHECKING:
    from tickwire.orders.fix.gate import Order

_UNIT = Decimal(10_000)                    # prices are in 1e-4 dollars
VALUE_MAX = (1 << 31) - 1                  # prices and quantities of a device
_DAY_NS = 86_400 * 10**9
_CLOSED = frozenset("2348C")               # values of OrdStatus: nothing is open any more
_EXPIRED = frozenset("3C")                 # of these by its time in force
_USER, _IMMEDIATE, _END, _SYSTEM = (ord(letter) for letter in "UIEZ")     # OUCH cancel reasons


class Answer(Enum):
    """What a report says of its order."""

    NOTHING = "nothing new"
    ACCEPTED = "accepted"
    FILLED = "filled"
    CANCELED = "cancelled"
    REPLACED = "replaced"
    REJECTED = "rejected"
    BROKEN = "a trade was taken back or corrected"
    STATUS = "status"


_ANSWERS = {
    "0": Answer.ACCEPTED, "1": Answer.FILLED, "2": Answer.FILLED, "F": Answer.FILLED,
    "3": Answer.CANCELED, "4": Answer.CANCELED, "C": Answer.CANCELED, "5": Answer.REPLACED,
    "8": Answer.REJECTED, "G": Answer.BROKEN, "H": Answer.BROKEN, "I": Answer.STATUS,
}
_SETTLES = {
    Answer.ACCEPTED: Operation.SETTLE_ACCEPTED, Answer.FILLED: Operation.SETTLE_FILLED,
    Answer.CANCELED: Operation.SETTLE_CANCELED, Answer.REPLACED: Operation.SETTLE_REPLACED,
    Answer.REJECTED: Operation.SETTLE_REJECTED,
}
_TRANSACTIONS = {"1": Answer.BROKEN, "2": Answer.BROKEN, "3": Answer.STATUS}


@dataclass(frozen=True, slots=True)
class Report:
    """Numbers of a report: shares, and prices in 1e-4 dollars; 0 what it does not tell."""

    answer: Answer
    execution: bytes                       # 17
    reference: int                         # 37 as a number
    time: int                              # ns since midnight UTC
    total: int                             # 38
    price: int                             # 44
    last_quantity: int                     # 32
    last_price: int                        # 31
    leaves: int                            # 151
    cumulative: int                        # 14
    value: int                             # 14 x 6
    reason: int                            # 103
    cancel_reason: int                     # 378 as OUCH's; 0 untold
    is_closed: bool                        # by 39
    is_expired: bool                       # by 39
    is_refused: bool                       # 39 is 8
    is_requested: bool                     # it names the request that asked for it (41)


def number_of(identity: bytes | None) -> int:
    """Return an id of the venue as 8 octets: itself when it is such a number, else a digest."""
    if not identity:
        return 0
    if identity.isdigit() and len(identity) <= 18:
        return int(identity)
    return int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "little")


def _decimal(message: Parsed, tag: int) -> Decimal:
    value = message.find(tag)
    return Decimal(value.decode("latin-1")) if value else Decimal(0)


def _quantity(message: Parsed, tag: int) -> int:
    return min(max(int(_decimal(message, tag)), 0), VALUE_MAX)


def _price(value: Decimal) -> int:
    return min(max(int((value * _UNIT).to_integral_value(ROUND_HALF_EVEN)), 0), VALUE_MAX)


def read_report(message: Parsed) -> Report:
    """Read an ExecutionReport that has no fault by its dictionary."""
    kind = message.text(Tag.EXECUTION_TYPE)
    answer = _ANSWERS.get(kind, Answer.NOTHING)
    transaction = message.text(20, "0")
    if transaction != "0":
        answer = _TRANSACTIONS.get(transaction, Answer.NOTHING)
    last = _quantity(message, Tag.LAST_QUANTITY)
    if answer is Answer.FILLED and last == 0:
        answer = Answer.NOTHING
    average, cumulative = _decimal(message, Tag.AVERAGE_PRICE), _quantity(message, 14)
    status = message.text(Tag.ORDER_STATUS)
    return Report(
        answer, message.find(Tag.EXECUTION_ID) or b"", number_of(message.find(Tag.ORDER_ID)),
        max(message.sending_time, 0) % _DAY_NS, _quantity(message, Tag.QUANTITY),
        _price(_decimal(message, Tag.PRICE)), last, _price(_decimal(message, Tag.LAST_PRICE)),
        _quantity(message, Tag.LEAVES_QUANTITY), cumulative,
        int((average * cumulative * _UNIT).to_integral_value(ROUND_HALF_EVEN)),
        min(max(message.integer(Tag.ORDER_REJECT_REASON) or 0, 0), 0xFFFF),
        CANCEL_REASONS.get(message.integer(Tag.RESTATEMENT_REASON) or 0, 0),
        status in _CLOSED, status in _EXPIRED, status == "8",
        message.find(Tag.ORIGINAL_CLIENT_ORDER_ID) is not None)


def cancel_reason(order: "Order", report: Report) -> int:
    """Return OUCH's reason of a cancel that a report tells; a venue that tells none is the system.

    FIX says why in fewer words than OUCH: who was asked, ExecRestatementReason, the time in force.
    """
    if report.is_requested:
        return _USER
    return report.cancel_reason or (
        _USER if order.is_canceling else _IMMEDIATE if order.is_immediate
        else _END if report.is_expired else _SYSTEM)


def settle_fields(token: int, order: "Order", report: Report) -> dict[str, int]:
    """Return the fields of the settle intent that a report about ``order`` is.

    A cancel takes off what is open, whatever the report says; a field that the report leaves out is
    that of the order.
    """
    found = {"operation": int(_SETTLES[report.answer]), "token": token,
             "exchange_timestamp": report.time, "order_reference": report.reference}
    if report.answer is Answer.FILLED:
        found |= {"quantity": report.last_quantity, "price": report.last_price,
                  "match_number": number_of(report.execution)}
    elif report.answer is Answer.CANCELED:
        found |= {"quantity": order.leaves, "reason": cancel_reason(order, report)}
    elif report.answer is Answer.REJECTED:
        found |= {"reason": report.reason}
    else:
        found |= {"quantity": report.total or order.total, "price": report.price or order.price}
    return found
