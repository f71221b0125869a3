"""A receiver, an arbiter and a book under test, and what a reader of the ring sees of them."""

import struct

import numpy as np

from tests.guarded import Guarded
from tickwire.device.book_memory import BookMemory
from tickwire.device.feed_memory import FeedMemory
from tickwire.kernels.arbiter import datagram, give_up, retract, tick
from tickwire.kernels.ingress import ingress
from tickwire.spec.counters import COUNTERS, CounterIndex
from tickwire.spec.geometry import CARD_SMALL, Geometry

SESSION = b"000010059B"
SLACK = 8                                  # octets that may be read after a datagram or frame
BBO, FEED_STATE, DIRECTORY, STATUS = 2, 5, 8, 6
REGISTERS = 0x1000
GUARDED = Guarded()


def mold(first: int, *messages: bytes, session: bytes = SESSION, count: int | None = None) -> bytes:
    """MoldUDP64 downstream packet, by hand."""
    number = len(messages) if count is None else count
    return struct.pack(">10sQH", session, first & (1 << 64) - 1, number) + b"".join(
        struct.pack(">H", len(message)) + message for message in messages)


class FeedRig:
    """One feed; datagrams lie where hardly an octet after them can be read."""

    def __init__(self, geometry: Geometry = CARD_SMALL, *, ring_log2: int = 12,
                 watch_symbols: dict[str, int] | None = None, **settings) -> None:
        self.book = BookMemory(geometry, ring_log2=ring_log2, huge=False,
                               watch_symbols=watch_symbols)
        self.registers = np.zeros(REGISTERS // 4, np.uint32)
        self.memory = FeedMemory(self.book, registers=self.registers.ctypes.data, **settings)
        self._read = 0

    def send(self, octets: bytes, line: int = 0, now: int = 1_000) -> int:
        """Give the arbiter one datagram; return the messages that it accepted."""
        address = GUARDED.put(octets, SLACK)
        return datagram(self.memory.arbiter, self.book.address, address, len(octets), line, now)

    def frame(self, octets: bytes, now: int = 1_000, is_damaged: int = 0) -> tuple[int, int]:
        """Give the receiver one frame; return (line or code, messages accepted)."""
        address = GUARDED.put(octets, SLACK)
        return ingress(self.memory.receive, self.memory.arbiter, self.book.address, address,
                       len(octets), now, is_damaged)

    def tick(self, now: int) -> int:
        """Let time pass; return the state."""
        return tick(self.memory.arbiter, self.book.address, now)

    def retract(self, line: int = 0, now: int = 1_000) -> None:
        """Say that the last datagram's frame was damaged."""
        retract(self.memory.arbiter, self.book.address, line, now)

    def give_up(self, number: int, line: int = 2, now: int = 1_000) -> None:
        """Say that nothing before ``number`` will come."""
        give_up(self.memory.arbiter, self.book.address, line, number, now)

    def records(self) -> np.ndarray:
        """Copy of the records since the last call, (n, 64) octets."""
        slots, written = self.book.records, self.book.records_written
        assert written - self._read <= len(slots), "the ring is too small for the test"
        numbers, self._read = np.arange(self._read, written), written
        return slots[numbers & (len(slots) - 1)].copy()

    def events(self) -> list[tuple]:
        """Return the new records as :mod:`tests.reference.arbiter` words them."""
        found: list[tuple] = []
        for row in self.records():
            octets = row.tobytes()
            kind = octets[60]
            if kind == FEED_STATE:
                _, expected, received, line, state, session, *zeros = struct.unpack_from(
                    "<QQQBB10sIQII", octets)
                assert not any(zeros)
                found.append(("feed", state, expected, received, line, session))
            elif kind in (STATUS, DIRECTORY):
                found.append(("message", struct.unpack_from("<Q", octets, 8)[0]))
            else:
                assert kind == BBO
                locate, _, flags = struct.unpack_from("<HBB", octets, 32)
                found.append(("shown", locate, flags))
        return found

    def states(self) -> list[int]:
        """Return the states of the new FEED_STATE records; the other records are passed over."""
        return [event[1] for event in self.events() if event[0] == "feed"]

    def counters(self) -> dict[str, int]:
        """Values of all counters that are not 0."""
        values = {counter.name: self.book.counter(CounterIndex(index))
                  for index, counter in enumerate(COUNTERS)}
        return {name: value for name, value in values.items() if value}

    def flags(self, instrument: int) -> int:
        """Flags in an instrument's state line."""
        return int(self.table()[instrument, 7])

    def table(self) -> np.ndarray:
        """Copy of the state table, (instruments, 64) octets."""
        return self.book.arena.view("state").reshape(-1, 64)[:self.book.geometry.instruments].copy()

    def register(self, offset: int, size: int = 4) -> int:
        """Value of a register."""
        return int.from_bytes(self.registers.tobytes()[offset:offset + size], "little")
