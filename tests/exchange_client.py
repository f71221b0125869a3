"""A client of the venue written from the documents: OUCH 5.0 and SoupBinTCP by ``struct`` alone.

Offsets are those of the tables of the two specifications, not the project's encoders.
"""

import socket
import struct
import time
from collections import namedtuple

BUY, SELL, SHORT, EXEMPT = b"B", b"S", b"T", b"E"
MARKET = 0x7FFF_FFFF

INBOUND = {"O": ">cIcI8sQccccc14sH", "U": ">cIIIQccc14sH", "X": ">cII", "M": ">cIcI",
           "C": ">cI4s8sH", "D": ">cI4sH", "E": ">cI4sH", "Q": ">c"}
OUTBOUND = {
    "S": (">cQc", "type time event"),
    "A": (">cQIcI8sQccQcccc14sH", "type time number side quantity symbol price tif display "
          "reference capacity iso cross state text appendage"),
    "U": (">cQIIcI8sQccQcccc14sH", "type time original number side quantity symbol price tif "
          "display reference capacity iso cross state text appendage"),
    "C": (">cQIIc", "type time number quantity reason"),
    "E": (">cQIIQcQH", "type time number quantity price liquidity match appendage"),
    "J": (">cQIH14s", "type time number reason text"),
    "M": (">cQIcI", "type time number side quantity"),
    "X": (">cQI4s8sH", "type time number firm symbol appendage"),
    "G": (">cQI4sH", "type time number firm appendage"),
    "K": (">cQI4sH", "type time number firm appendage"),
    "Q": (">cQI", "type time number"),
}
_TYPES = {kind: (layout, namedtuple(f"Message{kind}", names))
          for kind, (layout, names) in OUTBOUND.items()}


def decode(octets):
    """Decode one outbound OUCH message; its size must be that of its type."""
    layout, record = _TYPES[chr(octets[0])]
    return record(*struct.unpack(layout, octets))


def option(tag, value):
    """One element of an appendage."""
    return bytes((1 + len(value), tag)) + value


def enter(number, side, quantity, symbol, price, *, tif=b"0", display=b"Y", capacity=b"P",
          iso=b"N", cross=b"N", text=b"", appendage=b""):
    """Enter Order."""
    return struct.pack(INBOUND["O"], b"O", number, side, quantity, symbol.encode().ljust(8), price,
                       tif, display, capacity, iso, cross, text.ljust(14),
                       len(appendage)) + appendage


def replace(original, number, quantity, price, *, tif=b"0", display=b"Y", iso=b"N", text=b"",
            appendage=b""):
    """Replace Order."""
    return struct.pack(INBOUND["U"], b"U", original, number, quantity, price, tif, display, iso,
                       text.ljust(14), len(appendage)) + appendage


def cancel(number, quantity=0):
    """Cancel Order, without the optional tail."""
    return struct.pack(INBOUND["X"], b"X", number, quantity)


def modify(number, side, quantity):
    """Modify Order, without the optional tail."""
    return struct.pack(INBOUND["M"], b"M", number, side, quantity)


def mass_cancel(number, symbol="", firm=b"", appendage=b""):
    """Mass Cancel."""
    return struct.pack(INBOUND["C"], b"C", number, firm.ljust(4), symbol.encode().ljust(8),
                       len(appendage)) + appendage


def switch(number, enable, firm=b""):
    """Enable or Disable Order Entry."""
    return struct.pack(INBOUND["E"], b"E" if enable else b"D", number, firm.ljust(4), 0)


def query():
    """Account Query."""
    return b"Q"


def packet(kind, payload=b""):
    """One SoupBinTCP packet."""
    return struct.pack(">Hc", 1 + len(payload), kind) + payload


def login(username="trader", password="", session="", sequence="1", left=True):
    """Login Request; session and number padded on the left, or on the right."""
    pad = str.rjust if left else str.ljust
    return packet(b"L", (username.ljust(6) + password.ljust(10) + pad(session, 10)
                         + pad(sequence, 20)).encode())


class Client:
    """One SoupBinTCP connection; ``sequence`` is the number of the next sequenced packet."""

    def __init__(self, port, **arguments):
        """Connect and log in, unless ``login=False``."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.octets = b""
        self.session, self.sequence = "", 0
        if arguments.pop("login", True):
            self.send_raw(login(**arguments))
            kind, payload = self.packet()
            assert kind == b"A", (kind, payload)
            self.session, self.sequence = payload[:10].decode().strip(), int(payload[10:])

    def send_raw(self, octets):
        """Send octets as they are."""
        self.socket.sendall(octets)

    def send(self, *messages):
        """Send OUCH messages as unsequenced data."""
        self.send_raw(b"".join(packet(b"U", message) for message in messages))

    def packet(self):
        """Next packet as (type, payload); (b"", b"") at the end of the connection."""
        while True:
            if len(self.octets) >= 2:
                size = int.from_bytes(self.octets[:2], "big")
                if len(self.octets) >= 2 + size:
                    whole, self.octets = self.octets[2:2 + size], self.octets[2 + size:]
                    return whole[:1], whole[1:]
            try:
                received = self.socket.recv(65_536)
            except ConnectionResetError:
                received = b""
            if not received:
                return b"", b""
            self.octets += received

    def message(self):
        """Next OUCH message; heartbeats are skipped, None at the end of the connection."""
        while True:
            kind, payload = self.packet()
            if kind == b"S":
                self.sequence += 1
                return decode(payload)
            if kind in (b"", b"Z"):
                return None

    def messages(self, count):
        """Next ``count`` OUCH messages."""
        return [self.message() for _ in range(count)]

    def is_closed(self):
        """Whether the venue closes the connection; reads everything before."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.packet() == (b"", b""):
                return True
        return False

    def close(self):
        """Close the connection."""
        self.socket.close()
