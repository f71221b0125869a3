"""A second, slow matching engine and a second ITCH decoder: what the venue is compared with.

Both are written from the rules and the documents alone and share nothing with the venue:
dictionaries of deques, and ``struct`` formats from the tables of the ITCH 5.0 specification.
"""

import struct
from collections import deque
from dataclasses import dataclass, field

QUANTITY_MAX = 999_999
PRICE_MAX = 1_999_999_900
ANY = None
DAY, IMMEDIATE, POST_ONLY = 0, 1, 2
SYMBOL, QUANTITY, PRICE, HALTED, PROCESSING = 0x17, 0x13, 0x1D, 0x07, 0x0A

# ITCH 5.0 §4: type, locate, tracking number, 48-bit time stamp, then the fields of each type.
FORMATS = {
    "S": "c", "R": "8sccIcc2scccccIc", "H": "8scc4s", "Y": "8sc", "A": "QcI8sI",
    "F": "QcI8sI4s", "E": "QIQ", "C": "QIQcI", "X": "QI", "D": "Q", "U": "QQII",
    "P": "QcI8sIQ", "I": "QQc8sIIIcc",
}


@dataclass(frozen=True)
class Message:
    """One ITCH message: ``values`` are the fields after the time stamp."""

    type: str
    locate: int
    timestamp: int
    values: tuple


def decode(octets: bytes) -> Message:
    """Decode one ITCH message; its size must be that of its type."""
    kind = chr(octets[0])
    _, locate, _, high, low, *values = struct.unpack(">cHHHI" + FORMATS[kind], octets)
    return Message(kind, locate, high << 32 | low, tuple(values))


def messages(octets: bytes) -> list[Message]:
    """Decode records of a 2-octet length and a message each, up to the end or a length of 0."""
    found, place = [], 0
    while place < len(octets):
        size = int.from_bytes(octets[place:place + 2], "big")
        if size == 0:
            break
        found.append(decode(octets[place + 2:place + 2 + size]))
        place += 2 + size
    return found


@dataclass
class Order:
    """One order of the reference."""

    reference: int
    symbol: int
    side: int
    price: int
    quantity: int
    owner: int
    number: int


@dataclass
class Market:
    """Price-time matching over dictionaries of deques. ``output`` collects what ITCH must say."""

    symbols: int
    tick: int = 100
    slots: int = 1 << 20
    depth: int = 1 << 20
    reference: int = 0
    match: int = 0
    halted: set = field(default_factory=set)
    books: dict = field(default_factory=dict)      # (symbol, side) -> {price: deque of orders}
    live: dict = field(default_factory=dict)       # reference -> order
    output: list = field(default_factory=list)
    events: list = field(default_factory=list)

    def levels(self, symbol, side):
        """Prices of one side with their queues."""
        return self.books.setdefault((symbol, side), {})

    def best(self, symbol, side):
        """Best price of a side or None."""
        prices = self.levels(symbol, side)
        return (max, min)[side](prices) if prices else None

    def check(self, symbol, quantity, price):
        """Reject reason, 0 for none."""
        if not 0 <= symbol < self.symbols:
            return SYMBOL
        if not 1 <= quantity <= QUANTITY_MAX:
            return QUANTITY
        if price is not ANY and not (1 <= price <= PRICE_MAX and price % self.tick == 0):
            return PRICE
        if symbol in self.halted:
            return HALTED
        return PROCESSING if len(self.live) >= self.slots else 0

    def crosses(self, symbol, side, price):
        """Whether an order would trade at once."""
        best = self.best(symbol, 1 - side)
        if best is None:
            return False
        return price is ANY or (best <= price if side == 0 else best >= price)

    def enter(self, symbol, side, quantity, price, policy, owner, number):
        """Enter an order; returns its reference if it rests, else None."""
        self.events = []
        self.reference += 1
        order = Order(self.reference, symbol, side, price, quantity, owner, number)
        rests = self._carry_out(order, policy)
        if rests:
            self.output.append(("A", order.reference, side, order.quantity, symbol, price))
        return order.reference if rests else None

    def _carry_out(self, order, policy):
        if self.crosses(order.symbol, order.side, order.price):
            if policy == POST_ONLY:
                self.events.append(("cancel", order.reference, order.quantity, "F"))
                return False
            while order.quantity and self.crosses(order.symbol, order.side, order.price):
                price = self.best(order.symbol, 1 - order.side)
                queue = self.levels(order.symbol, 1 - order.side)[price]
                maker = queue[0]
                quantity = min(order.quantity, maker.quantity)
                order.quantity -= quantity
                maker.quantity -= quantity
                self.match += 1
                self.output.append(("E", maker.reference, quantity, self.match))
                self.events.append(("execution", maker.reference, order.reference, quantity, price,
                                    self.match, maker.quantity))
                if maker.quantity == 0:
                    queue.popleft()
                    del self.live[maker.reference]
                    if not queue:
                        del self.levels(order.symbol, 1 - order.side)[price]
            if order.quantity == 0:
                return False
        if policy == IMMEDIATE or order.price is ANY:
            self.events.append(("cancel", order.reference, order.quantity, "I"))
            return False
        prices = self.levels(order.symbol, order.side)
        if order.price not in prices and len(prices) >= self.depth:
            self.events.append(("cancel", order.reference, order.quantity, "Z"))
            return False
        prices.setdefault(order.price, deque()).append(order)
        self.live[order.reference] = order
        return True

    def _remove(self, order):
        queue = self.levels(order.symbol, order.side)[order.price]
        queue.remove(order)
        if not queue:
            del self.levels(order.symbol, order.side)[order.price]
        del self.live[order.reference]

    def cancel(self, reference):
        """Cancel a live order."""
        order = self.live[reference]
        self._remove(order)
        self.output.append(("D", reference))
        self.events = [("cancel", reference, order.quantity, "U")]

    def reduce(self, reference, quantity):
        """Take shares off a live order, which keeps its place."""
        order = self.live[reference]
        order.quantity -= quantity
        self.output.append(("X", reference, quantity))
        self.events = [("cancel", reference, quantity, "U")]

    def replace(self, reference, quantity, price, policy, number):
        """Put a new order in the place of a live one; returns its reference if it rests."""
        self.events = []
        old = self.live[reference]
        self._remove(old)
        self.reference += 1
        order = Order(self.reference, old.symbol, old.side, price, quantity, old.owner, number)
        stays = (policy != IMMEDIATE and price is not ANY
                 and not self.crosses(order.symbol, order.side, price))
        if not stays:
            self.output.append(("D", reference))
        rests = self._carry_out(order, policy)
        if stays:
            self.output.append(("U", reference, order.reference, quantity, price) if rests
                               else ("D", reference))
        elif rests:
            self.output.append(("A", order.reference, order.side, order.quantity, order.symbol,
                                price))
        return order.reference if rests else None

    def book(self, symbol):
        """Bids and asks as (reference, price, quantity), in the order in which they trade."""
        return tuple(
            [(order.reference, order.price, order.quantity)
             for price in sorted(self.levels(symbol, side), reverse=side == 0)
             for order in self.levels(symbol, side)[price]]
            for side in (0, 1))


class Replay:
    """Books built from ITCH messages alone; every inconsistency is an assertion."""

    def __init__(self):
        """Begin with empty books."""
        self.orders = {}
        self.stamp = 0
        self.matches = set()
        self.references = set()
        self.names = {}

    def _take(self, reference, quantity):
        order = self.orders[reference]
        assert 0 < quantity <= order[3]
        order[3] -= quantity
        if order[3] == 0:
            del self.orders[reference]

    def _match(self, number):
        assert number not in self.matches
        self.matches.add(number)

    def _add(self, reference, locate, side, quantity, price):
        assert reference not in self.references and quantity > 0 and price > 0
        self.references.add(reference)
        self.orders[reference] = [locate, side, price, quantity]

    def apply(self, message):
        """Apply one message."""
        assert message.timestamp >= self.stamp
        self.stamp = message.timestamp
        kind, values = message.type, message.values
        if kind == "R":
            self.names[message.locate] = values[0]
        elif kind in "AF":
            assert values[3] == self.names[message.locate]
            self._add(values[0], message.locate, values[1], values[2], values[4])
        elif kind in "EC":
            assert self.orders[values[0]][0] == message.locate
            self._match(values[2])
            self._take(values[0], values[1])
        elif kind == "X":
            assert values[1] < self.orders[values[0]][3]
            self._take(*values)
        elif kind == "D":
            del self.orders[values[0]]
        elif kind == "U":
            locate, side, _, _ = self.orders.pop(values[0])
            assert locate == message.locate
            self._add(values[1], locate, side, values[2], values[3])
        elif kind == "P":
            self._match(values[5])
        return self

    def book(self, locate):
        """Bids and asks of a stock as (reference, price, quantity); older orders come first."""
        found = []
        for side, sign in ((b"B", -1), (b"S", 1)):
            rows = [(reference, order[2], order[3]) for reference, order in self.orders.items()
                    if order[0] == locate and order[1] == side]
            found.append(sorted(rows, key=lambda row: (sign * row[1], row[0])))
        return tuple(found)
