"""The card's own gateware on a kernel's connection: handshake, lease, orders, answers, logout.

Method: both ends are kernels' TCP, each in a network namespace of its own; between them the card as
a compiled model, under the driver of cards. Frames of its order line go to the venue's interface
and come from it; what it captures goes to the order line. The venue's answers are read from the
host's socket and are the card's settle intents. Skips where it may not make such namespaces.
"""

import contextlib
import itertools
import os
import struct
import time

import pytest

from tests.order_line_rig import HEARTBEAT, LOGIN, SECOND, Rig
from tests.system.conformance import (
    DOLLAR,
    GEOMETRY,
    LINES,
    LOCATES,
    MARKET_LOG2,
    ORDER_LOG2,
    SYMBOLS,
    TOKEN_LOG2,
    CardBench,
    accepted,
    canceled,
)
from tickwire.device.card_network import CardNetwork
from tickwire.spec.intents import Operation
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause
from tickwire_sim.verilated import VerilatedDevice, VerilatedSlot

pytestmark = pytest.mark.long              # the model

SESSION = 0
CAPTURE_LOG2 = 8
LOGOUT = b"\x00\x01O"                      # SoupBinTCP 3.00, Logout Request Packet
names = itertools.count()


class CompiledCard:
    """The compiled card with its order line's far end in the test's hands.

    ``lost`` frames that it sends next are lost on the line; the next ``damaged`` ones that come to
    it fail their check.
    """

    def __init__(self, slot, far):
        self.slot, self.far, self.lost, self.damaged = slot, far, 0, 0
        self.device = VerilatedDevice(
            slot, symbols=tuple(SYMBOLS), market_log2=MARKET_LOG2, order_log2=ORDER_LOG2,
            capture_log2=CAPTURE_LOG2, network=CardNetwork(lines=LINES, symbols=SYMBOLS))
        self.device.write_register("ORDER_SESSIONS", 1)
        self.reader = self.device.capture_reader()
        self.bench = CardBench(self.device, slot)

    def poll(self):
        """Carry frames between the card and the venue's interface."""
        self.slot.settle()
        while self.slot.sent_frames:
            octets = self.slot.sent_frames.pop(0)
            if self.lost:
                self.lost -= 1
            else:
                self.far.write(octets.ljust(60, b"\0"))
        while (octets := self.far.read()) is not None:
            self.slot.give_order_frame(octets.ljust(60, b"\0"), is_damaged=self.damaged > 0)
            self.damaged -= self.damaged > 0


@pytest.fixture(scope="module")
def slot():
    return VerilatedSlot(f"line-{os.getpid()}", GEOMETRY, token_log2=TOKEN_LOG2,
                         time=time.time_ns())


@pytest.fixture
def rig(slot):
    with contextlib.closing(Rig(lambda far: CompiledCard(slot, far))) as made:
        made.stack.callback(made.card.bench.close)
        made.line.lease(made.socket, SESSION)
        made.card.bench.open_market()
        made.card.bench.limits()
        made.card.bench.log_in()
        made.card.device.arm()
        made.rest()
        made.card.bench.answers()          # of what set it up
        yield made


def intent(rig, number, operation=Operation.NEW, **fields):
    """Store an intent to the card: by default to buy ``number`` shares at the bid."""
    rig.card.device.push_intent({
        "timestamp": time.time_ns(), "intent_id": number, "operation": operation,
        "locate": LOCATES["AAA"], "price": 100 * DOLLAR, "quantity": number,
        "session": SESSION, **fields})


def packets(octets):
    """Types and messages of a stream of SoupBinTCP packets, which it consists of wholly."""
    found = []
    while octets:
        length, kind = struct.unpack_from(">Hc", octets)
        assert len(octets) >= 2 + length
        found.append((kind, octets[3:2 + length]))
        octets = octets[2 + length:]
    return found


def orders(rig):
    """OUCH messages that the venue was told: type, number, and shares of Enter Order."""
    assert rig.told.startswith(LOGIN)
    return [(message[:1], *struct.unpack_from(">I", message, 1),
             *(struct.unpack_from(">I", message, 6) if message[:1] == b"O" else ()))
            for kind, message in packets(rig.told[len(LOGIN):]) if kind == b"U"]


def answer(rig, message):
    """Let the venue say a message; the card is given it when the host has read it."""
    before = len(rig.heard)
    packet = struct.pack(">Hc", 1 + len(message), b"S") + message
    rig.venue.send(packet)
    rig.until(lambda: rig.heard[before:] == packet)
    rig.card.bench.say(rig.heard[before + 3:])
    return [kind for kind, _ in rig.card.bench.answers()]


def test_the_card_trades_on_the_kernels_connection(rig):
    for number in (1, 2, 3):
        intent(rig, 100 * number)
        rig.until(lambda number=number: len(orders(rig)) == number)
        kinds = answer(rig, accepted(number, 100 * number))
        assert kinds == [RecordType.ORDER_SENT, RecordType.ORDER_ACCEPTED]
    assert orders(rig) == [(b"O", number, 100 * number) for number in (1, 2, 3)]

    # A cancel, behind what a heartbeat says.
    rig.now += SECOND
    rig.until(lambda: rig.told.endswith(HEARTBEAT))
    intent(rig, 4, Operation.CANCEL, token=2, quantity=0)
    rig.until(lambda: orders(rig)[-1][:2] == (b"X", 2))
    assert answer(rig, canceled(2, 200)) == [RecordType.ORDER_SENT, RecordType.ORDER_CANCELED]
    assert rig.line.counts["heartbeats"] == 1 and rig.line.counts["adopted"] == 5

    # Lost on the line, in both directions.
    rig.card.lost = 1
    intent(rig, 500)
    rig.until(lambda: orders(rig)[-1] == (b"O", 4, 500))
    rig.card.damaged = 1
    assert answer(rig, accepted(4, 500))[-1] == RecordType.ORDER_ACCEPTED
    assert rig.line.counts["damaged"] == 1

    # A kill holds orders back, not the kernel's frames.
    rig.card.device.write_register("KILL", KillCause.REGISTER)
    intent(rig, 600)
    assert answer(rig, canceled(1, 100))[-1] == RecordType.ORDER_CANCELED
    assert len(orders(rig)) == 5
    assert not rig.line.is_lost and rig.line.counts["lost_records"] == 0

    # Given back: the kernel says goodbye.
    rig.line.release()
    adopted = rig.line.counts["adopted"]
    intent(rig, 7, Operation.CANCEL, token=3, quantity=0)
    rig.socket.send(LOGOUT)
    rig.until(lambda: rig.told.endswith(LOGOUT))
    assert len(orders(rig)) == 5 and rig.line.counts["adopted"] == adopted == 6


def test_orders_and_the_kernels_frames_share_the_line(rig):
    for number in range(1, 31):
        intent(rig, number)
        rig.venue.send(b"x" * 700)         # to be acknowledged by the kernel
        rig.card.poll()
        rig.line.turn()
    rig.until(lambda: len(orders(rig)) == 30 and len(rig.heard) == 8 + 30 * 700)
    assert orders(rig) == [(b"O", number, number) for number in range(1, 31)]
    assert rig.line.counts["adopted"] == 30 and not rig.line.is_lost
