"""Orders and sessions for encoder, framing kernel and gateware; and what frames must be.

``packet`` and ``framed`` are written from the OUCH 5.0, SoupBinTCP, IPv4 and TCP documents with
``struct`` and share nothing with the tables.
"""

import random
import struct
from dataclasses import asdict, dataclass, replace

import numpy as np

from tests.captures import ones_complement
from tests.order_rig import SYMBOLS, Rig
from tickwire.kernels import encoder
from tickwire.kernels.frame import SESSION, frame, heartbeat
from tickwire.kernels.orders import row
from tickwire.orders.template import template
from tickwire.spec.intents import IntentFlag, Operation

MACS = bytes.fromhex("0200000000aa"), bytes.fromhex("0200000000bb")
CAPACITY = "PAR"                               # of each session
U32 = 0xFFFF_FFFF


@dataclass(frozen=True)
class Asked:
    """An order as the gate gives it."""

    operation: int = Operation.NEW
    flags: int = 0
    session: int = 0
    instrument: int = 0
    price: int = 0
    quantity: int = 0
    token: int = 1
    previous: int = 0
    intent_id: int = 0
    strategy: int = 0

    def fields(self) -> dict[str, int]:
        """Return the fields as integers."""
        return {name: int(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Position:
    """Where a session's connection stands."""

    sequence: int = 1_000
    acknowledgment: int = 2_000
    window: int = 501


def ends(session: int) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return local and peer address of a session."""
    return ("10.1.2.3", 40_000 + session), (f"192.168.255.{session + 1}", 9_000)


def template_of(session: int) -> bytes:
    """Return a session's template."""
    return template(*ends(session), *MACS, capacity=CAPACITY[session])


def packet(order: Asked) -> bytes:
    """Return the SoupBinTCP packet of an order, by the documents."""
    is_post = bool(order.flags & IntentFlag.POST_ONLY)
    tail = b"\x00\x03\x02\x0cP" if is_post else b"\x00\x00"
    identity = f"{order.intent_id:08X}{order.strategy:04X}{order.session:02X}".encode()
    force = b"3" if order.flags & IntentFlag.IMMEDIATE else b"0"
    side = (b"T" if order.flags & IntentFlag.SHORT
            else b"S" if order.flags & IntentFlag.SELL else b"B")
    if order.operation == Operation.NEW:
        message = struct.pack(
            ">cIcI8sQccccc14s", b"O", order.token, side, order.quantity,
            SYMBOLS[order.instrument], order.price, force, b"Y",
            CAPACITY[order.session].encode(), b"N", b"N", identity) + tail
    elif order.operation == Operation.REPLACE:
        message = struct.pack(">cIIIQccc14s", b"U", order.previous, order.token, order.quantity,
                              order.price, force, b"Y", b"N", identity) + tail
    else:
        message = struct.pack(">cII", b"X", order.token, order.quantity)
    return struct.pack(">Hc", len(message) + 1, b"U") + message


def framed(session: int, position: Position, payload: bytes) -> bytes:
    """Return the frame around a payload, by the documents."""
    (source, source_port), (destination, destination_port) = ends(session)
    addresses = bytes(int(part) for address in (source, destination)
                      for part in address.split("."))

    def tcp(checksum):
        return struct.pack(">HHIIHHHH", source_port, destination_port, position.sequence,
                           position.acknowledgment, 0x5018, position.window, checksum,
                           0) + payload

    def ipv4(checksum):
        return struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6,
                           checksum) + addresses

    pseudo = addresses + struct.pack(">HH", 6, 20 + len(payload))
    segment = tcp(ones_complement(pseudo + tcp(0) + b"\0" * (len(payload) % 2)))
    return MACS[1] + MACS[0] + b"\x08\x00" + ipv4(ones_complement(ipv4(0))) + segment


class Kernels:
    """Encoder and framing kernel over sessions of their own."""

    def __init__(self) -> None:
        """Build tables; every session at position 0."""
        self.rig = Rig(sessions=len(CAPACITY), is_ready=False)
        self.sessions = np.zeros(len(CAPACITY), SESSION)
        for number, one in enumerate(self.sessions):
            one["template"] = np.frombuffer(template_of(number), np.uint8)
        self.payload, self.octets = np.zeros(64, np.uint8), np.zeros(128, np.uint8)

    def place(self, session: int, position: Position) -> None:
        """Put a session's connection at a position."""
        for name, value in asdict(position).items():
            self.sessions[name][session] = value

    def packet(self, order: Asked) -> bytes:
        """Return what the encoder makes of an order."""
        address, context = self.rig.address, self.rig.path.context
        context["capacity"] = ord(CAPACITY[order.session])
        a = self.rig.path.orders[(row(address, order.token) - context["table"]) // 64]
        for name in ("token", "previous", "intent_id", "instrument", "strategy", "session",
                     "flags"):
            a[name] = getattr(order, name)
        for name in ("price", "quantity"):     # the table holds them as signed ones
            a[name] = np.uint32(getattr(order, name)).astype(np.int32)
        target = self.payload.ctypes.data
        if order.operation == Operation.CANCEL:
            size = encoder.encode_cancel(order.token, order.quantity, target)
        else:
            encode = (encoder.encode_new if order.operation == Operation.NEW
                      else encoder.encode_replace)
            size = encode(address, order.token, target)
        return self.payload[:size].tobytes()

    def heartbeat(self, session: int) -> bytes:
        """Return the frame of a heartbeat of a session, whose sequence number goes on."""
        size = heartbeat(self.sessions[session:session + 1].ctypes.data, self.payload.ctypes.data,
                         self.octets.ctypes.data)
        return self.octets[:size].tobytes()

    def frame(self, order: Asked) -> bytes:
        """Return the frame of an order; its session's position goes on."""
        size = len(self.packet(order))
        count = frame(self.sessions[order.session:].ctypes.data, self.payload.ctypes.data, size,
                      self.octets.ctypes.data)
        return self.octets[:count].tobytes()


def some_orders(seed: int, count: int) -> list[Asked]:
    """Return orders of every operation and kind."""
    source = random.Random(seed)
    return [Asked(source.choice((Operation.NEW, Operation.REPLACE, Operation.CANCEL)),
                  source.choice((0, 1, 3)) | source.choice((0, 4)) | source.choice((0, 8)),
                  source.randrange(len(CAPACITY)), source.randrange(len(SYMBOLS)),
                  source.randrange(1 << 31), source.randrange(1 << 31), 1 + source.randrange(U32),
                  source.randrange(U32), source.randrange(U32), source.randrange(1 << 16))
            for _ in range(count)]


def moved(position: Position, octets: int) -> Position:
    """Return the position behind a payload."""
    return replace(position, sequence=position.sequence + octets & U32)
