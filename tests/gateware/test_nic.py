"""Market data and orders together are the kernels': frames and intents in turns.

Method: a generated day goes frame by frame to the kernels, composed as the software device does,
and over XGMII to the compiled card; between frames come intents near the market and the venue's
answers. Records of both rings and the packets that leave are compared, octet for octet. Then the
card trades with the venue: what it sends is what the venue takes.
"""

import random
import threading
import time
from collections import Counter

import numpy as np
import pytest

from tests import exchange_receiver as receiver
from tests.captures import ethernet, ipv4, udp
from tests.exchange_client import Client
from tests.exchange_client import decode as ouch
from tests.exchange_client import packet as soup_packet
from tests.garbage import packet
from tests.nic_rig import SESSIONS, TICK, Card, Kernels, model_of
from tests.order_card import judged
from tests.order_rig import pack_intent, pack_settle, sealed
from tests.pipeline_rig import GROUPS, PORT
from tests.reference import itch
from tests.trigger_rig import pack_trigger
from tickwire.kernels.translate import ORDER_EVENT, translate
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import Operation, TriggerKind
from tickwire.spec.records import RECORDS, RecordType
from tickwire.spec.wire import decode
from tickwire_sim.exchange.config import AccountConfig, LineConfig, VenueConfig, symbols
from tickwire_sim.exchange.venue import Venue
from tickwire_sim.traffic import generate

pytestmark = pytest.mark.long

_LATENCY = slice(48, 52)
QUIET = 600                                # cycles after which the book is idle


@pytest.fixture(scope="module")
def model():
    return model_of()


def day(messages: int, seed: int) -> tuple[list[str], list[bytes]]:
    """Symbols and messages of a generated day."""
    octets = bytearray()
    generate(octets.extend, messages, CARD_SMALL.instruments, 400, seed)
    found = list(itch.messages_of(bytes(octets)))
    return [message[11:19].decode().strip() for message in found if message[:1] == b"R"], found


def wanted(draw, line, tokens, number, now):
    """Draw an intent near the market of a state line."""
    words = line.view(np.uint32)
    price = (draw.choice((int(words[4]), int(words[5]))) or 100) + TICK * draw.randrange(-3, 4)
    return pack_intent(
        operation=draw.choice((Operation.NEW, Operation.NEW, Operation.REPLACE, Operation.CANCEL)),
        timestamp=now, locate=int(words[1]) & 0xFFFF, price=max(price, 0),
        quantity=draw.choice((100, 300)), flags=draw.choice((0, 1, 3, 4)),
        token=draw.choice([*tokens, 1]), session=draw.randrange(SESSIONS),
        book_version=int(words[14]), max_version_lag=draw.choice((0, 1)), intent_id=number)


def answers(draw, orders):
    """Draw honest answers to new orders, by token: quantities open, None before it is accepted."""
    for token in draw.sample(sorted(orders), min(2, len(orders))):
        if orders[token] is None:
            orders[token] = 300
            yield pack_settle(operation=Operation.SETTLE_ACCEPTED, token=token, price=1_000_000,
                              quantity=100)
        else:
            del orders[token]
            yield pack_settle(operation=draw.choice((
                Operation.SETTLE_FILLED, Operation.SETTLE_CANCELED)), token=token, price=990_000,
                quantity=100)


@pytest.mark.parametrize("seed", range(2))
def test_orders_see_the_market_that_the_host_was_told(model, seed):
    names, messages = day(2_500, seed)
    kernels, card, draw = Kernels(names), Card(model, names), random.Random(seed)
    now, sequence, number, orders, seen = 2_000, 0, 1, {}, Counter()
    while number < len(messages):
        now += draw.choice((1, 800, 100_000))
        card.fixed["now"] = now
        card.records, card.market_records = [], []
        chunk = messages[number - 1:number - 1 + draw.randrange(1, 40)]
        frame = packet(number, chunk)
        number += len(chunk)
        kernels.feed.frame(frame, now)
        card.give_frame(frame)
        rows = kernels.feed.records()
        rows[:, _LATENCY] = 0
        assert card.market_records == [(int(one[60]), one[:56].tobytes()) for one in rows]

        for _ in range(draw.randrange(3)):
            line = kernels.feed.table()[draw.randrange(CARD_SMALL.instruments)]
            sequence += 1
            octets = sealed(wanted(draw, line, list(orders), number, now), 2, sequence)
            card.sent = b""
            card.execute(octets, **judged(octets, sequence, 2, now))
            assert card.sent == kernels.execute(octets, now)
        expected = kernels.records()
        assert card.records == expected
        for kind, octets in expected:
            token, operation = int.from_bytes(octets[20:24], "little"), octets[52]
            if kind == RecordType.ORDER_SENT and operation == Operation.NEW:
                orders[token] = None
            elif kind == RecordType.ORDER_SENT and operation == Operation.REPLACE:
                orders.clear()                       # what replaces what is not followed here
        card.records = []
        for octets in list(answers(draw, orders)):
            kernels.settle(octets, now)
            card.execute(octets, error=0)
        answered = kernels.records()
        assert card.records == answered
        seen.update(kind for kind, _ in (*expected, *answered))
    assert not kernels.path.killed
    assert set(seen) >= {RecordType.ORDER_SENT, RecordType.RISK_REJECT, RecordType.INTENT_ERROR,
                         RecordType.ORDER_ACCEPTED, RecordType.ORDER_FILLED,
                         RecordType.ORDER_CANCELED}, seen


def armed(draw, line, generation, slot, now):
    """Draw a trigger near the market of a state line."""
    words, flags = line.view(np.uint32), draw.choice((0, 1))
    best = [int(price) or 10_000 for price in words[4:6]]
    return pack_trigger(
        timestamp=now, locate=int(words[1]) & 0xFFFF, flags=flags, slot=slot,
        price=max(best[1 - flags] + TICK * draw.randrange(-1, 2), TICK), quantity=100,
        kind=draw.choice((TriggerKind.TAKE, TriggerKind.CROSS, TriggerKind.JOIN, TriggerKind.SIZE,
                          TriggerKind.TRADE_THROUGH)), generation=generation,
        trigger_price=max(draw.choice(best) + TICK * draw.randrange(-1, 2), TICK),
        trigger_quantity=draw.choice((0, 100, 1_000)), session=draw.randrange(SESSIONS))


@pytest.mark.parametrize("seed", range(2))
def test_armed_orders_leave_as_the_kernels_send_them_told_ahead_or_not(model, seed):
    names, messages = day(1_500, seed)
    kernels, card, draw = Kernels(names), Card(model, names), random.Random(seed)
    now, generations, seen = 2_000, Counter(), Counter()
    for number, message in enumerate(messages, 1):
        now += 100_000
        card.fixed["now"] = now
        card.records, card.market_records, card.sent = [], [], b""
        frame = packet(number, [message])
        kernels.feed.frame(frame, now)
        rows = kernels.feed.records()
        rows[:, _LATENCY] = 0
        expected = b"".join(kernels.observe(row, now) for row in rows)
        if draw.random() < 0.7:
            card.cycles(QUIET)
        card.give_frame(frame)
        card.give()
        assert card.market_records == [(int(one[60]), one[:56].tobytes()) for one in rows]
        fired = kernels.records()
        assert card.records == fired and card.sent == expected

        line = kernels.feed.table()[draw.randrange(CARD_SMALL.instruments)]
        locate, slot = int(line.view(np.uint32)[1]) & 0xFFFF, draw.randrange(3)
        octets = sealed(armed(draw, line, generations[locate, slot] + 1, slot, now), 2, number)
        card.records = []
        card.execute(octets, **judged(octets, number, 2, now))
        assert kernels.execute(octets, now) == b""
        told = kernels.records()
        assert card.records == told
        generations[locate, slot] += told[0][0] == RecordType.TRIGGER
        seen.update(kind for kind, _ in (*fired, *told))
        tokens = [int.from_bytes(octets[20:24], "little") for kind, octets in fired
                  if kind == RecordType.ORDER_SENT]
        for token in tokens:
            octets = pack_settle(operation=Operation.SETTLE_REJECTED, token=token, price=TICK,
                                 quantity=100)
            kernels.settle(octets, now)
            card.execute(octets, error=0)
        kernels.records()
    assert seen[RecordType.ORDER_SENT] > 20, seen


class Trader:
    """A venue on loopback, the card, and what a host does between them."""

    def __init__(self, model, **limits):
        names = symbols(CARD_SMALL.instruments, 3)
        self.venue = Venue(VenueConfig(
            symbols=names, seed=3, live_orders=400, messages_per_second=300,
            line_a=LineConfig("239.192.74.1", 0), line_b=LineConfig("239.192.74.2", 0),
            request_port=0, order_port=0, linger_seconds=0.1, store_octets=1 << 20,
            order_slots=1 << 12, accounts=(AccountConfig("card", "card"),)))
        self.card = Card(model, [symbol.name for symbol in names])
        self.line, self.client = None, None
        self.sequence, self.answers, self.buffer = 0, Counter(), np.zeros(64, np.uint8)
        self.lines: dict[int, dict] = {}       # newest BBO record, by locate
        self.sent = []                         # ORDER_SENT records
        self.beat = 0.0

    def __enter__(self):
        ports = self.venue.open()
        self.line = receiver.join(*ports.line_a)       # before the first message
        self.thread = threading.Thread(target=self.venue.run, daemon=True)
        self.thread.start()
        self.line.settimeout(0.02)
        self.client = Client(ports.orders, username="card", password="card")
        self.client.socket.setblocking(False)
        return self

    def __exit__(self, *_):
        self.client.close()
        self.venue.request_stop()
        self.thread.join(30)
        self.line.close()

    def hear(self):
        """Give the card the next datagram of the market, and the venue's answers."""
        try:
            datagram = self.line.recv(2_048)
        except TimeoutError:
            datagram = b""
        self.card.fixed["now"] = time.time_ns()
        if time.monotonic() - self.beat > 1:
            self.beat = time.monotonic()
            self.client.send_raw(soup_packet(b"R"))     # client heartbeat
        if datagram:
            self.card.give_frame(ethernet(ipv4(udp(datagram, PORT), destination=GROUPS[0])))
        for kind, octets in self.card.market_records:
            if kind == RecordType.BBO:
                record = decode(RECORDS[RecordType.BBO], octets + bytes(8))
                self.lines[record["locate"]] = record
        self.card.market_records = []
        self.settle()

    def settle(self):
        """Let the card execute what the venue has answered."""
        while True:
            try:
                kind, payload = self.client.packet()
            except BlockingIOError:
                return
            assert kind in (b"S", b"H"), (kind, payload)
            if kind == b"H":
                continue
            message = np.frombuffer(payload, np.uint8).copy()
            self.answers[chr(payload[0])] += 1
            assert payload[:1] != b"J", ouch(payload)
            if translate(message.ctypes.data, len(payload), self.buffer.ctypes.data) == ORDER_EVENT:
                self.card.execute(self.buffer.tobytes(), error=0)
                self.send()

    def order(self, **fields):
        """Give the card an intent."""
        self.sequence += 1
        now = self.card.fixed["now"]
        octets = sealed(pack_intent(timestamp=now, **fields), 2, self.sequence)
        self.card.execute(octets, **judged(octets, self.sequence, 2, now))
        self.send()

    def send(self):
        """Send the card's frames, whose order is TCP's, to the venue."""
        if self.card.sent:
            self.client.socket.sendall(self.card.sent)
        self.card.sent = b""
        self.sent += [decode(RECORDS[kind], octets + bytes(8))
                      for kind, octets in self.card.records if kind == RecordType.ORDER_SENT]


def test_the_card_trades_with_the_venue_and_every_frame_is_accepted(model):
    draw = random.Random(5)
    with Trader(model) as trader:
        card, until = trader.card, time.monotonic() + 900      # it takes 8 s alone
        while len(trader.sent) < 150 and time.monotonic() < until:
            card.records = []
            trader.hear()
            if not trader.lines:
                continue
            record = draw.choice(list(trader.lines.values()))
            is_sell = draw.randrange(2)
            price = record["bid_price" if is_sell else "ask_price"]
            if not price:
                continue
            price += draw.choice((0, 1, 5)) * TICK * (1 if is_sell else -1)
            tokens = [sent["token"] for sent in trader.sent[-4:]] or [1]
            trader.order(operation=draw.choice((1, 1, 1, 2, 3)), locate=record["locate"],
                         price=price, quantity=100, flags=is_sell, token=draw.choice(tokens))
        trader.order(operation=Operation.MASS_CANCEL, locate=0)
        until = time.monotonic() + 60
        while card.cycles(1)["open_orders"] and time.monotonic() < until:
            card.records = []
            trader.hear()
    new = sum(sent["operation"] == Operation.NEW for sent in trader.sent)
    assert new > 50 and trader.answers["A"] == new, (new, trader.answers)
    assert trader.answers["E"] and trader.answers["U"] and trader.answers["C"], trader.answers
    last = card.cycles(1)
    assert not last["is_killed"] and not last["open_orders"]
