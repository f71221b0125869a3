"""Orders to OUCH 5.0 messages in SoupBinTCP, all octets side by side."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec import ouch50, soupbintcp, wire
from tickwire.spec.intents import IntentFlag, Operation
from tickwire_hw.logic import select
from tickwire_hw.order_port import Order
from tickwire_hw.stream import octets

_APPENDAGE = ouch50.encode_appendage({"post_only": "P"})
_MESSAGES = {Operation.NEW: ouch50.ENTER_ORDER, Operation.REPLACE: ouch50.REPLACE_ORDER,
             Operation.CANCEL: ouch50.CANCEL_ORDER}
SIZES = {operation: soupbintcp.HEADER_SIZE + message.size_min
         for operation, message in _MESSAGES.items()}
"""Octets of each packet without options."""

SIZE_MAX = max(SIZES.values()) + len(_APPENDAGE)
_HEARTBEAT = wire.encode(soupbintcp.CLIENT_HEARTBEAT, {})
_BUY, _SELL, _SHORT = (ord(letter) for letter in "BST")


class Encoder(wiring.Component):
    """Give the octets of an order's packet, or of a Client Heartbeat, one cycle after the order.

    Kernel: :mod:`tickwire.kernels.encoder`. The octets stay until the next order is taken. What
    the tables give passes in its own cycle. Takes an order a cycle, nothing is lost.

    Members
    -------
    order, take : ``In(Order)``, ``In(1)``
        An order, and whether it is taken at the end of this cycle.
    is_heartbeat : ``In(1)``
        A Client Heartbeat is taken, not the order.
    symbol : ``In(64)``
        Symbol of the order's instrument, a big-endian integer, from the next cycle on or later.
    capacity : ``In(8)``
        OUCH capacity of its session, in the same cycles.
    payload : ``Out(8 * SIZE_MAX)``
        The packet, octet 0 lowest, and zeros.
    size : ``Out(range(SIZE_MAX + 1))``
        Octets of it.
    """

    order: In(Order)
    take: In(1)
    is_heartbeat: In(1)
    symbol: In(64)
    capacity: In(8)
    payload: Out(8 * SIZE_MAX)
    size: Out(range(SIZE_MAX + 1))

    def elaborate(self, platform):
        """Return the three layouts, the choice between them, and the late octets."""
        m = Module()

        order = self.order
        is_post_only = (order.flags & IntentFlag.POST_ONLY).any()
        is_kind = {operation: Signal(name=f"is_{operation.name.lower()}")
                   for operation in _MESSAGES}
        common = {
            "user_ref_num": order.token, "orig_user_ref_num": order.previous,
            "side": Mux((order.flags & IntentFlag.SHORT).any(), _SHORT, Mux(
                (order.flags & IntentFlag.SELL).any(), _SELL, _BUY)),
            "quantity": order.quantity, "price": order.price,
            "time_in_force": Mux((order.flags & IntentFlag.IMMEDIATE).any(), ord("3"), ord("0")),
            "display": C(ord("Y"), 8), "iso_eligible": C(ord("N"), 8),
            "cross_type": C(ord("N"), 8), "cl_ord_id": self._identity(),
            "appendage_length": Mux(is_post_only, len(_APPENDAGE), 0)}
        packets = {}
        sizes = []
        for operation, message in _MESSAGES.items():
            has_options = operation != Operation.CANCEL
            m.d.comb += is_kind[operation].eq((order.operation == operation) & ~self.is_heartbeat)
            size = SIZES[operation]
            longer = Mux(is_post_only, size + len(_APPENDAGE), size) if has_options else C(size, 8)
            sizes.append((is_kind[operation], longer))
            placed = self._placed(message, common, longer - soupbintcp.LENGTH_SIZE)
            packets[operation] = [*placed[:size], *[C(0, 8)] * (SIZE_MAX - size)]
            if has_options:
                packets[operation][size:size + len(_APPENDAGE)] = [
                    Mux(is_post_only, octet, 0) for octet in _APPENDAGE]
        sizes.append((self.is_heartbeat, C(len(_HEARTBEAT), 8)))
        choices = [*((is_kind[operation], packet) for operation, packet in packets.items()),
                   (self.is_heartbeat, [C(octet, 8) for octet in
                                        _HEARTBEAT.ljust(SIZE_MAX, b"\0")])]
        early = Signal(8 * SIZE_MAX)
        is_new = Signal()
        with m.If(self.take):
            m.d.sync += [self.size.eq(select(*sizes)), is_new.eq(is_kind[Operation.NEW])]
            for place in range(SIZE_MAX):
                m.d.sync += early.word_select(place, 8).eq(select(*(
                    (condition, packet[place]) for condition, packet in choices)))
        late = self._placed(ouch50.ENTER_ORDER, {"symbol": self.symbol, "capacity": self.capacity},
                            0, is_bare=True)
        m.d.comb += self.payload.eq(early | Mux(is_new, Cat(late), 0))

        return m

    def _identity(self):
        """Return the client order id: 8 hexadecimal digits, 4 of the strategy, 2 of the session."""
        number = Cat(C(0, 8), self.order.strategy, self.order.intent_id)
        number = Cat((self.order.session | C(0, 8))[:8], number[8:])
        digits = [number[at:at + 4] for at in range(0, len(number), 4)]
        return Cat(Mux(digit < 10, digit + ord("0"), digit + ord("A") - 10)[:8]
                   for digit in digits)

    def _placed(self, message, values, length, *, is_bare=False):
        """Return the octets of a packet with ``values``; all else is zero."""
        found = [C(0, 8)] * (soupbintcp.HEADER_SIZE + message.size)

        def place(at, size, value):
            wide = Cat(value, C(0, 8 * size))[:8 * size]
            found[at:at + size] = reversed(octets(wide))

        if not is_bare:
            place(0, soupbintcp.LENGTH_SIZE, length)
            place(soupbintcp.TYPE_OFFSET, 1, C(ord(soupbintcp.UNSEQUENCED_DATA.tag), 8))
            place(soupbintcp.HEADER_SIZE, 1, C(ord(message.tag), 8))
        for field, offset in message.placed():
            if field.name in values:
                place(soupbintcp.HEADER_SIZE + offset, field.size, values[field.name])
        return found
