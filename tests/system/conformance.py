"""The contract with a device, as tests that any device can be put through.

A :class:`Bench` is a device with the far ends of its lines and of its order session in a test's
hands; ``FACTORIES`` names every kind that there is. Datagrams, ITCH and OUCH octets are packed by
hand; records are read through the contract and decoded by the tables.
"""

import ctypes
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

from tests.captures import ethernet, ipv4, udp
from tests.feed_rig import mold
from tests.reference import itch
from tickwire.device.base import Device
from tickwire.device.card_device import CardDevice
from tickwire.device.card_network import CardNetwork, CardSession
from tickwire.device.owned import OwnedDevice
from tickwire.device.pcie import PCIeDevice
from tickwire.device.software import SoftwareDevice
from tickwire.kernels.translate import ORDER_EVENT, translate
from tickwire.orders.template import template
from tickwire.spec import wire
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import INTENT, WINDOW_SLOTS, IntentFlag, Operation
from tickwire.spec.records import RECORDS, STATE_LINE, Line, RecordType
from tickwire.spec.registers import BAR_WINDOW
from tickwire_hw.clock import LINE_HZ
from tickwire_sim.soft_card import LoopTransport
from tickwire_sim.trading import TradingCard
from tickwire_sim.verilated import VerilatedDevice, VerilatedSlot

GEOMETRY = Geometry(instruments=4, orders_log2=9, order_stash=8, levels_log2=8, level_stash=8,
                    window_words=16, lookups=1)
SYMBOLS = {"AAA": 100, "BBB": 100}
LOCATES = {"AAA": 11, "BBB": 12}
MARKET_LOG2, ORDER_LOG2, TOKEN_LOG2 = 8, 8, 8
DOLLAR = 10_000
LINES = ("239.192.64.1", 26_401), ("239.192.64.2", 26_402), ("10.0.0.1", 26_403)
ENDS = ("10.0.0.1", 40_001), ("10.0.0.2", 40_002)
MACS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
SOUP = struct.Struct(">Hc")
NEXT_NUMBER = struct.pack(">cQI", b"Q", 1, 1)


class Bench:
    """A device, its two lines and its order session."""

    PATIENCE = 0.2
    """Seconds of a watchdog period in which a test surely kicks: the device has our time."""

    def __init__(self, device: Device, turn: Callable[[], None],
                 far: OwnedDevice | None) -> None:
        """Hold ``device``; ``turn`` lets it work until nothing is left to do.

        ``far`` is what has lines and session: the device itself, or what stands for a card.
        ``answered`` counts the venue's answers that came by the window.
        """
        self.device, self.far = device, far
        self.turn = turn
        self.lines = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        self.venue, self.near = socket.socketpair()
        for end in (*(end for line in self.lines for end in line), self.venue, self.near):
            end.setblocking(False)
        self.sequence, self.answered = 1, 0
        self.market = device.market_reader()
        self.orders = device.order_reader()

    def send(self, *messages: bytes, line: int = 0, first: int | None = None) -> None:
        """Send one packet on a line and let the device take it."""
        first = self.sequence if first is None else first
        self.carry(line, mold(first, *messages))
        self.sequence = max(self.sequence, first + len(messages))

    def carry(self, line: int, packet: bytes) -> None:
        """Carry a packet on a line and let the device take it."""
        self.lines[line][0].send(packet)
        self.turn()

    def repair(self, packet: bytes) -> None:
        """Hand over a packet that was asked for again."""
        self.far.recovery.put(packet)
        self.turn()

    def hang_up(self) -> None:
        """End the order session."""
        self.venue.close()
        self.turn()

    def open_market(self) -> None:
        """Both instruments named and trading, with a book of one order a side; both lines alive."""
        self.send(itch.system(b"O"), *(itch.directory(LOCATES[name], name) for name in SYMBOLS),
                  *(itch.action(LOCATES[name], b"T") for name in SYMBOLS))
        self.send(*(itch.add(LOCATES[name], 100 + 2 * index + side, b"BS"[side:side + 1], 500,
                             100 * DOLLAR + 100 * side)
                    for index, name in enumerate(SYMBOLS) for side in (0, 1)))
        self.carry(1, mold(self.sequence))

    def records(self) -> list[tuple[RecordType, dict]]:
        """Market records that came since the last call."""
        return [_decoded(row) for row in self.market.read()]

    def answers(self, *, credit: bool = True) -> list[tuple[RecordType, dict]]:
        """Order records that came since the last call; ``credit`` tells the device so."""
        found = [_decoded(row) for row in self.orders.read()]
        if credit:
            self.device.write_register("RING_ORDER_CONSUMED", self.orders.number - 1)
        return found

    def state(self, instrument: int) -> dict:
        """State line of an instrument."""
        octets = ctypes.string_at(self.device.layout.state + 64 * instrument, 64)
        return wire.decode(STATE_LINE, octets)

    def limits(self, **values: int) -> None:
        """Commit limits that permit what a test does; ``values`` differ for every instrument."""
        self.device.stage_limits().permit(
            {"gross_notional_max": 1 << 50, "open_orders_max": 100, "rate_burst": 1_000_000,
             "intent_errors_max": 100},
            **{"quantity_max": 10_000, "notional_max": 1 << 45, "gross_notional_max": 1 << 50,
               "collar_bps": 500, "position_long_max": 100_000, "position_short_max": 100_000,
               "open_orders_max": 100, "rate_burst": 1_000_000, **values})
        self.device.commit_limits()

    def log_in(self) -> None:
        """Bring the order session up: the venue tells its next order number."""
        self.far.attach_session(self.near.fileno(), b"", 1)
        self.say(NEXT_NUMBER)
        self.turn()

    def say(self, message: bytes) -> None:
        """Say one sequenced message as the venue."""
        self.venue.sendall(SOUP.pack(1 + len(message), b"S") + message)
        self.turn()

    def heard(self) -> list[bytes]:
        """OUCH messages that came to the venue since the last call; heartbeats are left out."""
        octets = b""
        while True:
            try:
                octets += self.venue.recv(1 << 16)
            except BlockingIOError:
                break
        return [message for kind, message in _packets(octets) if kind == b"U"]

    def hold(self, fields: dict[str, int]) -> tuple[int, bytearray]:
        """Seal an intent, and keep it from the window; return its number and octets."""
        sequence = self.device.push_intent(fields)
        octets = bytearray(ctypes.string_at(self._slot(sequence), INTENT.size))
        ctypes.memset(self._slot(sequence), 0, INTENT.size)
        return sequence, octets

    def put(self, sequence: int, octets: bytearray) -> None:
        """Put octets into the slot of that number."""
        ctypes.memmove(self._slot(sequence), bytes(octets), INTENT.size)

    def _slot(self, sequence: int) -> int:
        return self.device.layout.window + (sequence - 1) % WINDOW_SLOTS * INTENT.size

    def pause(self, seconds: float) -> None:
        """Let the device's time pass."""
        time.sleep(seconds)

    def make_ready(self, **limits: int) -> None:
        """A live market, limits, a session, armed; nothing left to read."""
        self.open_market()
        self.limits(**limits)
        self.log_in()
        self.device.arm()
        self.records()
        self.answers()
        self.heard()

    def order(self, **fields: int) -> list[bytes]:
        """Push a NEW intent, by default to buy 100 AAA at the bid; return what left."""
        self.device.push_intent({
            "timestamp": time.time_ns(), "intent_id": 7, "operation": Operation.NEW,
            "locate": LOCATES["AAA"], "price": 100 * DOLLAR, "quantity": 100, **fields})
        self.turn()
        return self.heard()

    def close(self) -> None:
        """Close everything."""
        self.device.close()
        for end in (*(end for line in self.lines for end in line), self.venue, self.near):
            end.close()


def _packets(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Types and messages of SoupBinTCP packets."""
    while octets:
        length, kind = SOUP.unpack(octets[:3])
        yield kind, octets[3:2 + length]
        octets = octets[2 + length:]


def _decoded(row: np.void) -> tuple[RecordType, dict]:
    kind = RecordType(int(row["record_type"]))
    return kind, wire.decode(RECORDS[kind], row.tobytes())


def accepted(token: int, quantity: int = 100, price: int = 100 * DOLLAR, state: bytes = b"L",
             symbol: bytes = b"AAA     ") -> bytes:
    """OUCH Order Accepted."""
    return struct.pack(">cQIcI8sQccQcccc14sH", b"A", 1, token, b"B", quantity, symbol, price,
                       b"0", b"Y", 70 + token, b"P", b"N", b"N", state, bytes(14), 0)


def executed(token: int, quantity: int, price: int = 100 * DOLLAR, match: int = 9) -> bytes:
    """OUCH Order Executed."""
    return struct.pack(">cQIIQcQH", b"E", 2, token, quantity, price, b"A", match, 0)


def canceled(token: int, quantity: int, reason: bytes = b"U") -> bytes:
    """OUCH Order Canceled."""
    return struct.pack(">cQIIc", b"C", 3, token, quantity, reason)


def rejected(token: int, reason: int = 0x0F) -> bytes:
    """OUCH Rejected."""
    return struct.pack(">cQIH14s", b"J", 4, token, reason, bytes(14))


@contextmanager
def software(name: str, **settings) -> Iterator[Bench]:
    """A software device that works only when the test lets it."""
    device = SoftwareDevice(name, GEOMETRY, SYMBOLS, market_log2=MARKET_LOG2,
                            order_log2=ORDER_LOG2, token_log2=TOKEN_LOG2, **settings)
    yield from _benched(device, device)


@contextmanager
def pcie(name: str) -> Iterator[Bench]:
    """The driver of cards, over a card of software in this process."""
    slot = LoopTransport(name, GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2)
    device = PCIeDevice(slot, symbols=tuple(SYMBOLS), market_log2=MARKET_LOG2,
                        order_log2=ORDER_LOG2, is_huge=False)
    assert slot.card.device is not None
    yield from _benched(device, slot.card.device)


@contextmanager
def card(name: str) -> Iterator[Bench]:
    """A card that trades, as a run has it, over a card of software in this process."""
    slot = LoopTransport(name, GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2)
    device = CardDevice(name, slot, SYMBOLS, lines=LINES[:2], market_log2=MARKET_LOG2,
                        order_log2=ORDER_LOG2)
    assert slot.card.device is not None
    yield from _benched(device, slot.card.device)


def _benched(device: Device, far: OwnedDevice, kind: type[Bench] = Bench) -> Iterator[Bench]:
    bench = kind(device, lambda: [device.work() for _ in range(3)] and None, far)
    far.attach_lines(*(near.fileno() for _, near in bench.lines))
    try:
        yield bench
    finally:
        bench.close()


def frame_of(line: int, packet: bytes) -> bytes:
    """Return the frame in which a packet comes on a line."""
    group, port = LINES[line]
    return ethernet(ipv4(udp(packet, port), destination=group))


class CardBench(Bench):
    """The card's own gateware; the host's half of the order session is here."""

    PATIENCE = 0.001                           # its time is counted in cycles

    def __init__(self, device: VerilatedDevice, slot: VerilatedSlot) -> None:
        """Hold ``device`` in ``slot``."""
        super().__init__(device, slot.settle, None)
        self.slot = slot

    def carry(self, line: int, packet: bytes) -> None:
        """Carry a packet on a line and let the card take it."""
        self.slot.give({line: [frame_of(line, packet)]})

    def repair(self, packet: bytes) -> None:
        """Hand over a packet that was asked for again."""
        assert isinstance(self.device, PCIeDevice)
        self.device.give_frame(frame_of(Line.RECOVERY, packet))
        self.slot.settle()

    def hang_up(self) -> None:
        """End the order session."""
        self.device.write_register("SESSION_STATE", 0)

    def hold(self, fields: dict[str, int]) -> tuple[int, bytearray]:
        """Seal an intent, and keep it from the window; return its number and octets."""
        held: list[bytes] = []
        with patch.object(self.device, "_push", lambda _, intent: held.append(
                ctypes.string_at(intent, INTENT.size))):
            sequence = self.device.push_intent(fields)
        return sequence, bytearray(held[0])

    def put(self, sequence: int, octets: bytearray) -> None:
        """Put octets into the slot of that number."""
        self.slot.store(BAR_WINDOW, self._slot(sequence), bytes(octets))

    def pause(self, seconds: float) -> None:
        """Let the card's time pass."""
        self.slot.run(self.slot.rows(int(seconds * LINE_HZ)))

    def log_in(self) -> None:
        """Bring the order session up."""
        self.device.write_register("SESSION_STATE", 1 << 16)
        self.turn()

    def say(self, message: bytes) -> None:
        """Hand the venue's message to the card, as its host does."""
        octets, settle = np.frombuffer(message, np.uint8).copy(), np.zeros(64, np.uint8)
        if translate(octets.ctypes.data, len(octets), settle.ctypes.data) == ORDER_EVENT:
            self.answered += 1
            self.device.push_intent(settle)
            self.turn()

    def heard(self) -> list[bytes]:
        """OUCH messages that came out of the card since the last call."""
        found = list(_packets(bytes(self.slot.sent)))
        self.slot.sent.clear()
        assert all(kind == b"U" for kind, _ in found)
        return [message for _, message in found]


@contextmanager
def verilated(name: str, **options) -> Iterator[Bench]:
    """The driver of cards, over the card's gateware in this process."""
    slot = VerilatedSlot(name, GEOMETRY, token_log2=TOKEN_LOG2, time=time.time_ns())
    network = CardNetwork(lines=LINES, symbols=SYMBOLS, sessions=(
        CardSession(template=template(*ENDS, *MACS)),))
    device = VerilatedDevice(slot, symbols=tuple(SYMBOLS), market_log2=MARKET_LOG2,
                             order_log2=ORDER_LOG2, network=network, **options)
    bench = CardBench(device, slot)
    try:
        yield bench
    finally:
        bench.close()


class TradingBench(Bench):
    """The card's own gateware as a run has it: with sockets of the host, in shared memory."""

    def order(self, **fields: int) -> list[bytes]:
        """Push an order behind a heartbeat: turns are so slow that the venue would seem silent."""
        if self.venue.fileno() >= 0:
            self.venue.sendall(SOUP.pack(1, b"H"))
        return super().order(**fields)

    def say(self, message: bytes) -> None:
        """Say one sequenced message as the venue; all but its next number are intents here."""
        self.answered += message != NEXT_NUMBER
        super().say(message)

    def pause(self, seconds: float) -> None:
        """Let the card's time pass."""
        self.device.slot.set_time(self.device.slot.time + int(seconds * 1_000_000_000))


@contextmanager
def trading(name: str) -> Iterator[Bench]:
    """The card's own gateware as a run has it."""
    device = TradingCard(name, GEOMETRY, SYMBOLS, lines=LINES[:2], market_log2=MARKET_LOG2,
                         order_log2=ORDER_LOG2, time=time.time_ns())
    yield from _benched(device, device, TradingBench)


FACTORIES = {"card": card, "pcie": pcie, "software": software, "trading": trading,
             "verilated": verilated}
SELL = int(IntentFlag.SELL)
