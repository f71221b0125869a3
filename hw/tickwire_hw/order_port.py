"""What passes between risk gate, encoder and host: orders, sessions, and what became of a frame."""

from amaranth.lib import data

from tickwire.spec.intents import Operation
from tickwire.spec.sessions import SESSIONS_MAX, SessionOperation
from tickwire_hw.stream import WORD_BITS

assert max(Operation.NEW, Operation.CANCEL, Operation.REPLACE) < 4


class Order(data.Struct):
    """An order message as the risk gate lets it pass; fields are those of an intent.

    ``token`` is the OUCH UserRefNum: of the new order, or of the one that a cancel is for. A
    cancel needs no ``instrument``, ``price``, ``previous``, ``intent_id`` or ``strategy``.
    """

    operation: 2                           # Operation: NEW, CANCEL or REPLACE
    flags: 4                               # IntentFlag
    session: range(SESSIONS_MAX)
    instrument: 16
    price: 32
    quantity: 32
    token: 32
    previous: 32                           # the order that a replace takes the place of
    intent_id: 32
    strategy: 16


class Symbol(data.Struct):
    """Symbol of an instrument: 8 octets as a big-endian integer."""

    instrument: 16
    symbol: WORD_BITS


class TemplateWord(data.Struct):
    """Eight octets of a session's template, octet 0 lowest."""

    session: range(SESSIONS_MAX)
    word: 3
    data: WORD_BITS


class SessionUpdate(data.Struct):
    """The position of a session's connection; ``sequence`` counts for LEASE only."""

    session: range(SESSIONS_MAX)
    operation: range(len(SessionOperation))
    sequence: 32                           # number of the next octet to send
    acknowledgment: 32
    window: 16


class Sent(data.Struct):
    """A frame that began, or one that was blocked: by the kill, or because nothing is leased."""

    token: 32
    session: range(SESSIONS_MAX)
    sequence: 32                           # of the payload's first octet
    size: 8                                # octets of the payload
    is_blocked: 1
    stamp: WORD_BITS                       # when its first word left, ns
