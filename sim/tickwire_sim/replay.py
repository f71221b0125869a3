"""Books of a recorded input through the card's own gateware, compiled: the same records, slower.

A capture's frames go in as they are. A file's messages are carried in MoldUDP64 packets on line A;
what the feed says of itself (FEED_STATE) is then left out, and each record has the time stamp of
its message: neither is in the file.
"""

import dataclasses
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tickwire.device.replay import check_symbols
from tickwire.device.replay_pass import Pass
from tickwire.feed.framing import udp_frame
from tickwire.feed.lines import lines_of
from tickwire.feed.source import FRAME, FrameChunk, MessageChunk, Source
from tickwire.spec.geometry import CARD_SMALL, Geometry
from tickwire.spec.itch50 import HEADER_SIZE
from tickwire.spec.records import TRAILER_OFFSET, RecordType
from tickwire.spec.registers import GapPolicy
from tickwire_sim.card import Card

GROUP, PORT = "239.192.64.1", 26_401       # of the packets that carry a file's messages
PACKET_OCTETS = 1_300                      # of blocks in one of them, at most
SESSION = b"REPLAY    "
_PADDING = 64                              # octets that may be read behind a frame
_TYPE_AT = TRAILER_OFFSET + 4
_SEQUENCE_AT = slice(8, 16)
_STAMP_AT = HEADER_SIZE - 6                # of a message: its time stamp, 6 octets
_LENGTH = struct.Struct(">H")


class VerilatedReplay(Pass):
    """A pass through the card's gateware of ``geometry``; arguments as of ``Replay``."""

    def __init__(self, source: Source, *, symbols: dict[str, int] | None = None, tick: int = 0,
                 depth: int = 0, geometry: Geometry | None = None) -> None:
        """Compile the model or load it; a minute and more the first time."""
        # No record depends on early answers, and nobody asks for them here.
        geometry = dataclasses.replace(geometry or CARD_SMALL, depth=depth, cached=0)
        check_symbols(symbols, geometry)
        super().__init__(source, geometry, symbols)
        self._symbols, self._tick = symbols, tick
        self._types = np.zeros(256, np.int64)
        self._sequence = 1
        self._accepted = 0                     # messages of a capture, after its last chunk
        self._is_started = False
        self.card = Card(geometry)

    def _start(self, lines: Sequence[tuple[str, int]], first: int, policy: GapPolicy) -> None:
        self.card.start(lines, self._symbols, self._tick, first=first, policy=policy)
        self._is_started = True

    @property
    def has_feed(self) -> bool:
        """Whether a capture's feed was found."""
        return self._is_started

    def _messages(self, chunk: MessageChunk) -> None:
        if not self._is_started:
            self._start([(GROUP, PORT)], 1, GapPolicy.WAIT)
        messages = list(chunk)
        self._types += np.bincount(np.frombuffer(bytes(message[0] for message in messages),
                                                 np.uint8), minlength=256)
        octets, frames = packets(messages, self._sequence)
        stamps = np.array([_stamp(message) for message in messages], np.uint64)
        records = self._send(octets, frames)
        records = records[records[:, _TYPE_AT] != RecordType.FEED_STATE]
        numbers = records[:, _SEQUENCE_AT].copy().view(np.uint64)[:, 0].astype(np.int64)
        words = records.view(np.uint64)
        words[:, 0] = stamps[numbers - self._sequence]
        self._sequence += len(messages)
        self._number(records)

    def _capture(self, chunk: FrameChunk) -> None:
        if chunk.first == 1 and (lines := lines_of(self.source)):
            self._start(lines, 0, GapPolicy.SKIP)
        if not self._is_started:
            return
        octets = np.frombuffer(chunk.octets(0, chunk.size) + bytes(_PADDING), np.uint8)
        self._number(self._send(octets, chunk.frames))
        self._accepted = self.counters().get("messages", 0)

    def _send(self, octets: np.ndarray, frames: np.ndarray) -> np.ndarray:
        began = time.perf_counter_ns()
        records = self.card.send(octets.ctypes.data, frames)
        self._busy_ns += time.perf_counter_ns() - began
        return records

    def _number(self, records: np.ndarray) -> None:
        """Give records their numbers in the ring, and hand them over."""
        first = self._taken + 1
        records[:, TRAILER_OFFSET:_TYPE_AT] = np.arange(
            first, first + len(records)).astype("<u4").reshape(-1, 1).view(np.uint8)
        if len(records):
            self._hand_over(np.ascontiguousarray(records))

    def by_type(self) -> dict[str, int]:
        """Return the messages of a file by their type; nothing is known of a capture's."""
        return {chr(kind): int(self._types[kind]) for kind in np.flatnonzero(self._types)}

    def summary(self) -> dict[str, Any]:
        """Return what was found, with the card's clock cycles; the rest as every pass does."""
        return {**super().summary(), "cycles": self.card.cycles}

    def live_orders(self) -> None:
        """Return None: the card does not tell."""

    @property
    def awaited(self) -> tuple[int, int]:
        """Number that a capture's feed awaits, and the one after the greatest that it has shown."""
        return self.card.awaited if self._is_started else (0, 0)

    def counters(self) -> dict[str, int]:
        """Return every counter of the card that is not 0."""
        return self.card.counters() if self._is_started else {}

    @property
    def messages(self) -> int:
        """Messages so far, of every type."""
        return self._accepted if self.source.is_capture else self._sequence - 1


def packets(messages: Sequence[bytes], first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Ethernet frames of MoldUDP64 packets with ``messages``, numbered from ``first`` on.

    Octets, with room to read behind them, and their rows of :data:`FRAME`; each has the time
    stamp of its first message.
    """
    octets, rows, blocks, size, begin = bytearray(), [], [], 0, 0
    for number, message in enumerate((*messages, None)):
        if blocks and (message is None or size + len(message) > PACKET_OCTETS):
            frame = feed_frame(first + begin, blocks)
            rows.append((len(octets), _stamp(messages[begin]), len(frame), len(frame), 0, 0))
            octets += frame
            blocks, size = [], 0
        if message is not None:
            begin = begin if blocks else number
            blocks.append(_LENGTH.pack(len(message)) + message)
            size += _LENGTH.size + len(message)
    return np.frombuffer(bytes(octets) + bytes(_PADDING), np.uint8), np.array(rows, FRAME)


def _stamp(message: bytes) -> int:
    return int.from_bytes(message[_STAMP_AT:HEADER_SIZE], "big")


def feed_frame(first: int, blocks: Sequence[bytes], group: str = GROUP, port: int = PORT) -> bytes:
    """Return an Ethernet frame of a MoldUDP64 packet, without a UDP checksum.

    ``blocks`` are messages with their lengths before them, ``first`` is the first one's number.
    """
    return udp_frame(struct.pack(">10sQH", SESSION, first, len(blocks)) + b"".join(blocks),
                     group, port)

