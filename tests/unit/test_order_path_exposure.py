"""What the gate is for: whatever happens, the venue can never take us beyond a limit.

A small honest venue keeps its own books and reads the octets that the device sends. Orders,
replaces and cancels travel to it, and its answers back, with delays drawn at random, so that fills
cross replaces and cancels in every order that a venue can produce. After every event the true
worst case is computed from the venue's side: every order that it holds or that is on its way to it
is filled. That must stay within the limits, and in the end both sides must agree on everything.
"""

import struct
from collections import deque

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.order_rig import DOLLAR, LOCATES, Rig
from tickwire.kernels import order_path, translate
from tickwire.spec.intents import Operation
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause

LONG, SHORT = 300, 200
ORDERS = 4
ID = bytes(14)


class Venue:
    """Orders as OUCH 5.0 has them: [token, side, leaves, executed in the chain, price]."""

    def __init__(self):
        self.inbound, self.outbound = deque(), deque()
        self.orders = {}
        self.highest = 0
        self.position = 0
        self.reference = 0

    def receive(self, packets: bytes):
        """Cut the stream into messages; they arrive later."""
        while packets:
            size = 2 + int.from_bytes(packets[:2], "big")
            self.inbound.append(packets[3:size])
            packets = packets[size:]

    def say(self, layout, *values):
        self.outbound.append(struct.pack(layout, *values) + b"\0\0")

    def process(self, verdict: str):
        """Take one message; ``verdict`` decides where the document lets the venue decide."""
        if not self.inbound:
            return
        message = self.inbound.popleft()
        kind = message[:1]
        if kind == b"O":
            token, side, quantity = struct.unpack_from(">IcI", message, 1)
            self.enter(token, side, quantity, int.from_bytes(message[18:26], "big"), verdict)
        elif kind == b"U":
            self.replace(*struct.unpack_from(">IIIQ", message, 1), verdict)
        else:
            self.cancel(*struct.unpack_from(">II", message, 1))

    def enter(self, token, side, quantity, price, verdict):
        self.highest = max(self.highest, token)
        if verdict == "reject":
            self.say(">cQIH14s", b"J", 1, token, 0x1D, ID)
            return
        state = b"D" if verdict == "dead" else b"L"
        self.reference += 1
        self.say(">cQIcI8sQccQcccc14s", b"A", 1, token, side, quantity, b"AAPL    ", price, b"0",
                 b"Y", self.reference, b"P", b"N", b"N", state, ID)
        if state == b"L":
            self.orders[token] = [side, quantity, 0, price]

    def replace(self, old, token, quantity, price, verdict):
        if old not in self.orders or token <= self.highest:
            return                              # silence: the number is not spent
        side, leaves, executed, _ = self.orders[old]
        if verdict == "bad" or quantity <= executed:
            del self.orders[old]
            self.say(">cQIIc", b"C", 1, old, leaves, b"U")
            return
        self.highest = token
        if verdict == "reject":
            self.say(">cQIH14s", b"J", 1, token, 0x15, ID)
            return
        del self.orders[old]
        state = b"D" if verdict == "dead" else b"L"
        self.reference += 1
        self.say(">cQIIcI8sQccQcccc14s", b"U", 1, old, token, side, quantity - executed,
                 b"AAPL    ", price, b"0", b"Y", self.reference, b"P", b"N", b"N", state, ID)
        if state == b"L":
            self.orders[token] = [side, quantity - executed, executed, price]

    def cancel(self, token, quantity):
        if token not in self.orders:
            return
        order = self.orders[token]
        taken = order[1] - max(min(order[1], quantity - order[2]), 0)
        if taken:
            order[1] -= taken
            self.say(">cQIIc", b"C", 1, token, taken, b"U")
        if not order[1]:
            del self.orders[token]

    def trade(self, pick, quantity):
        """One of the orders executes."""
        if not self.orders:
            return
        token = sorted(self.orders)[pick % len(self.orders)]
        order = self.orders[token]
        quantity = min(quantity, order[1])
        order[1] -= quantity
        order[2] += quantity
        self.position += quantity if order[0] == b"B" else -quantity
        self.say(">cQIIQcQ", b"E", 1, token, quantity, order[3], b"A", 5)
        if not order[1]:
            del self.orders[token]

    def worst(self, side) -> int:
        """Shares that may still execute on one side, messages on their way included.

        Of a replace on its way only the excess counts: it can come to be only in the place of
        its order. Cancels on their way are not believed.
        """
        total = {token: order[1] for token, order in self.orders.items()
                 if (order[0] == b"B") == (side == b"B")}
        sides = {token: order[0] for token, order in self.orders.items()}
        executed = {token: order[2] for token, order in self.orders.items()}
        for message in self.inbound:
            if message[:1] == b"O":
                token, letter, quantity = struct.unpack_from(">IcI", message, 1)
                sides[token], executed[token] = letter, 0
                if (letter == b"B") == (side == b"B"):
                    total[token] = quantity
            elif message[:1] == b"U":
                old, token, quantity = struct.unpack_from(">III", message, 1)
                if old in sides:
                    sides[token], executed[token] = sides[old], executed[old]
                    if old in total:
                        # The chain holds the greater of both under the newer name.
                        total[token] = max(total.pop(old), quantity - executed[old])
        return sum(total.values())


class World:
    """Device and venue with two queues between them."""

    def __init__(self):
        self.rig = Rig()
        self.rig.set_limits(0, position_long_max=LONG, position_short_max=SHORT,
                            open_orders_max=ORDERS)
        self.rig.path.commit(0)
        self.rig.records()
        self.venue = Venue()
        self.tokens = [0]
        self.settle = self.rig.slot

    def act(self, kind, *arguments):
        getattr(self, f"do_{kind}")(*arguments)
        for record, fields in self.rig.records():
            if record == RecordType.ORDER_SENT and fields["operation"] != Operation.CANCEL:
                assert not self.rig.path.killed, "an order passed while killed"
                self.tokens.append(fields["token"])
        while order_path.sweeping(self.rig.address):
            self.venue.receive(self.rig.leave(order_path.sweep(self.rig.address, 0)))
        venue = self.venue
        assert venue.position + venue.worst(b"B") <= LONG
        assert venue.position - venue.worst(b"S") >= -SHORT
        row = self.rig.path.exposures[0]
        assert row["position"] + row["open_buy"] <= LONG
        assert row["position"] - row["open_sell"] >= -SHORT
        assert 0 <= row["open_orders"] <= ORDERS
        assert row["open_notional"] >= 0 and row["open_buy"] >= 0 and row["open_sell"] >= 0

    def do_new(self, flags, quantity):
        self.venue.receive(self.rig.new(flags=flags, quantity=quantity, price=100 * DOLLAR))

    def do_replace(self, back, quantity, price):
        self.venue.receive(self.rig.new(operation=Operation.REPLACE, quantity=quantity,
                                        token=self.tokens[-1 - back % len(self.tokens)],
                                        price=price))

    def do_cancel(self, back, quantity):
        self.venue.receive(self.rig.new(operation=Operation.CANCEL, quantity=quantity,
                                        token=self.tokens[-1 - back % len(self.tokens)]))

    def do_mass_cancel(self, locate):
        self.venue.receive(self.rig.new(operation=Operation.MASS_CANCEL, locate=locate))

    def do_process(self, verdict):
        self.venue.process(verdict)

    def do_trade(self, pick, quantity):
        self.venue.trade(pick, quantity)

    def do_deliver(self, number):
        for _ in range(min(number, len(self.venue.outbound))):
            message = self.venue.outbound.popleft()
            buffer = self.rig.put(bytes(64))
            octets = self.rig.tx
            octets[:len(message)] = list(message)
            assert translate.translate(octets.ctypes.data, len(message), buffer) == 1
            assert order_path.settle(self.rig.address, buffer, 0) == 1

    def do_kill(self):
        order_path.kill(self.rig.address, KillCause.EXTERNAL, 0)

    def do_arm(self):
        if self.rig.path.killed:
            assert self.rig.path.killed == KillCause.EXTERNAL
            self.rig.path.arm(0)

    def finish(self):
        """Let everything arrive; then both sides must agree."""
        while self.venue.inbound or self.venue.outbound:
            self.act("process", "")
            self.act("deliver", 99)
        row = self.rig.path.exposures[0]
        orders = self.venue.orders.values()
        assert not self.rig.path.killed & KillCause.SETTLEMENT
        assert row["position"] == self.venue.position
        assert row["open_buy"] == sum(order[1] for order in orders if order[0] == b"B")
        assert row["open_sell"] == sum(order[1] for order in orders if order[0] != b"B")
        assert row["open_orders"] == len(orders)
        assert row["open_notional"] == sum(order[1] * order[3] for order in orders)


size = st.sampled_from((1, 50, 100, 150, 200, 300, 301))
price = st.sampled_from((90 * DOLLAR, 100 * DOLLAR, 100 * DOLLAR + 100))
back = st.integers(0, 5)
EVENT = st.one_of(
    st.tuples(st.just("new"), st.sampled_from((0, 0, 1, 3)), size),
    st.tuples(st.just("replace"), back, size, price),
    st.tuples(st.just("replace"), st.just(0), size, price),
    st.tuples(st.just("cancel"), back, st.sampled_from((0, 0, 60, 120))),
    st.tuples(st.just("process"), st.sampled_from(("", "", "", "reject", "dead", "bad"))),
    st.tuples(st.just("process"), st.just("")),
    st.tuples(st.just("trade"), back, size),
    st.tuples(st.just("trade"), back, st.sampled_from((1, 50, 70))),
    st.tuples(st.just("deliver"), st.integers(1, 3)),
    st.tuples(st.just("deliver"), st.integers(1, 3)),
    st.tuples(st.just("mass_cancel"), st.sampled_from((0, LOCATES[0], LOCATES[1]))),
    st.tuples(st.just("kill")), st.tuples(st.just("arm")), st.tuples(st.just("arm")),
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENT, min_size=20, max_size=60))
def test_no_order_of_events_takes_the_worst_case_beyond_a_limit(events):
    world = World()
    for event in events:
        world.act(*event)
    world.finish()
