"""One recording and a file of intents on two devices that trade: market and order records.

Both devices run as they do in a run, but for their time, which is the recording's. What they send
goes to a venue that never answers; answers are settle intents of the file.
"""

import contextlib
import itertools
import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tickwire.device.base import RecordReader
from tickwire.device.compare import Comparison, Difference
from tickwire.device.kinds import trading_device
from tickwire.device.owned import OwnedDevice
from tickwire.errors import InputError, TickwireError
from tickwire.feed.frames import Skipped, mold, unwrap
from tickwire.feed.lines import lines_of
from tickwire.feed.source import FrameChunk, MessageChunk, Source
from tickwire.kernels import digest
from tickwire.spec import ouch50, soupbintcp
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import INTENT, SETTLE, TRIGGER, Operation
from tickwire.spec.itch50 import HEADER_SIZE
from tickwire.spec.moldudp64 import DOWNSTREAM_HEADER, MESSAGE_BLOCK
from tickwire.spec.network import PROTOCOL_UDP
from tickwire.spec.records import RECORD_SIZE, TRAILER_OFFSET, RecordType
from tickwire.spec.registers import GapPolicy
from tickwire.spec.render import dtype
from tickwire.spec.wire import encode

MIDNIGHT = 1 << 60
"""Time of a file's midnight, ns: far from the clock's beginning, whatever the file's day was."""

_LINE_MAX = 1 << 12                        # octets of a line of intents
_PACKET_OCTETS = 1_300                     # of blocks in a packet of a file's messages
_SESSION = "REPLAY"
_LENGTH = struct.Struct(">H")
_STAMP_AT = HEADER_SIZE - 6
_DTYPES = {Operation.PRE_ARM: dtype(TRIGGER), Operation.DISARM: dtype(TRIGGER), **{
    operation: dtype(SETTLE) for operation in Operation if operation.name.startswith("SETTLE_")}}
_INTENT = dtype(INTENT)
_MINE = frozenset(("crc", "epoch", "sequence", "operation"))
_TOGETHER = 16                             # intents that are given at once, at most
_TURNS = 2                                 # in which a device does what it was given
_RECEIVE = 1 << 16
_GROUPS = ("239.192.64.1", 26_401), ("239.192.64.2", 26_402)


@dataclass(frozen=True, slots=True)
class Planned:
    """An intent, to be given when ``after`` messages have been applied."""

    after: int
    row: np.ndarray


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram on a line at a time, ns, after which ``messages`` messages were sent."""

    line: int
    time: int
    payload: bytes
    messages: int


def read_intents(path: Path) -> Iterator[Planned]:
    """Yield the intents of a file of JSON objects, one a line, in the order of ``after``.

    ``after`` is a number of messages, ``operation`` the name of an :class:`Operation`; the other
    keys are fields of the table ``intent``, ``trigger`` or ``settle``, 0 by default. Raises
    :class:`InputError` with the line for what cannot be read, after what comes before it.
    """
    last = 0
    try:
        with path.open("rb") as file:
            for number, octets in enumerate(iter(lambda: file.readline(_LINE_MAX + 1), b""), 1):
                if not octets.strip():
                    continue
                try:
                    planned = _planned(octets)
                    if planned.after < last:
                        raise ValueError(f"after {planned.after:,} comes behind after {last:,}")
                except (ValueError, OverflowError) as error:
                    raise InputError(f"{path}, line {number:,}: {error}.") from None
                last = planned.after
                yield planned
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None


def _planned(octets: bytes) -> Planned:
    """Return what a line says; raises ``ValueError`` with what is wrong."""
    if len(octets) > _LINE_MAX:
        raise ValueError(f"a line has at most {_LINE_MAX:,} octets")
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        raise ValueError(f"{octets[:40].decode('latin-1').strip()!r} is no JSON object") from None
    if not isinstance(found, dict):
        raise ValueError(f"{octets[:40].decode('latin-1').strip()!r} is no JSON object")
    name, after = found.pop("operation", None), found.pop("after", None)
    if not isinstance(name, str) or name not in Operation.__members__:
        raise ValueError(f"operation must be one of {', '.join(Operation.__members__)}, "
                         f"not {name!r}")
    if not isinstance(after, int) or isinstance(after, bool) or after < 0:
        raise ValueError(f"after must be a number of messages, not {after!r}")
    kind = _DTYPES.get(Operation[name], _INTENT)
    row = np.zeros(1, kind)
    row[0]["operation"] = Operation[name]
    for key, value in found.items():
        if key in _MINE or kind.names is None or key not in kind.names:
            raise ValueError(f"{name} has no field {key!r}")
        limits: Any = np.iinfo(kind[key].str)
        low, high = int(limits.min), int(limits.max)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"{key} must be {low:,} to {high:,}, not {value!r}")
        row[0][key] = value
    return Planned(after, row)


def packets_of(source: Source, cuts: Sequence[int]) -> Iterator[Packet]:
    """Yield the feed of a recording as datagrams; a file's end at each of ``cuts`` messages.

    Raises :class:`InputError` for a capture without a feed, and what reading it raises.
    """
    lines = lines_of(source) if source.is_capture else []
    sent, shown = 0, _Shown()
    waiting = iter(cuts)
    cut = next(waiting, None)
    for chunk in source:
        if isinstance(chunk, FrameChunk):
            yield from _captured(chunk, lines, shown)
        elif isinstance(chunk, MessageChunk):
            blocks, size = [], 0
            for message in chunk:
                blocks.append(_LENGTH.pack(len(message)) + message)
                size += len(blocks[-1])
                while cut is not None and cut < sent + len(blocks):
                    cut = next(waiting, None)
                if size > _PACKET_OCTETS or cut == sent + len(blocks):
                    yield _packet(sent, blocks)
                    sent, blocks, size = sent + len(blocks), [], 0
            if blocks:
                yield _packet(sent, blocks)
                sent += len(blocks)


def lines_in(source: Source) -> tuple[int, int]:
    """Return how many lines a recording has, and a time, ns, before its first packet."""
    if not source.is_capture:
        return 1, MIDNIGHT
    lines = lines_of(source)
    for chunk in source if lines else ():
        if isinstance(chunk, FrameChunk):
            return len(lines), int(chunk.frames[0]["timestamp"])
    raise InputError(f"{source.name} holds no MoldUDP64 datagram with ITCH 5.0 messages.")


def _packet(sent: int, blocks: list[bytes]) -> Packet:
    last = blocks[-1][MESSAGE_BLOCK.size:]
    time = MIDNIGHT + int.from_bytes(last[_STAMP_AT:HEADER_SIZE], "big")
    head = encode(DOWNSTREAM_HEADER, {"session": _SESSION, "sequence_number": sent + 1,
                                      "message_count": len(blocks)})
    return Packet(0, time, head + b"".join(blocks), sent + len(blocks))


class _Shown:
    """How many messages the lines of a capture have shown, each once, whichever brought it."""

    def __init__(self) -> None:
        self._messages, self._session, self._next = 0, "", 0

    def see(self, payload: bytes) -> int:
        """Look at a datagram; returns how many there were so far."""
        with contextlib.suppress(Skipped):
            packet = mold(payload)
            if packet.messages:
                if packet.session != self._session:
                    self._session, self._next = packet.session, packet.sequence
                after = packet.sequence + len(packet.messages)
                self._messages += max(after - self._next, 0)
                self._next = max(after, self._next)
        return self._messages


def _captured(chunk: FrameChunk, lines: Sequence[tuple[str, int]],
              shown: _Shown) -> Iterator[Packet]:
    """Yield the datagrams of a chunk that go to one of ``lines``."""
    for octets, frame in zip(chunk, chunk.frames, strict=True):
        try:
            datagram = unwrap(octets)
        except Skipped:
            continue
        if datagram.protocol == PROTOCOL_UDP and datagram.destination in lines:
            yield Packet(lines.index(datagram.destination), int(frame["timestamp"]),
                         datagram.payload, shown.see(datagram.payload))


class Driven:
    """A device that trades, with the far ends of its lines and its order session."""

    _numbers = itertools.count()

    def __init__(self, kind: str, geometry: Geometry, symbols: dict[str, int], lines: int,
                 time: int) -> None:
        """Make it: limits permit whatever they can, the session is up, the device armed."""
        name = f"diff-{os.getpid()}-{next(self._numbers)}"
        options: dict[str, Any] = ({"accept_session": False} if kind == "software"
                                   else {"lines": _GROUPS[:lines], "time": time})
        self.device: OwnedDevice = trading_device(kind)(name, geometry, symbols, **options)
        self._lines = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(lines)]
        self._venue, self._near = socket.socketpair()
        for end in self._ends():
            end.setblocking(False)
        try:
            self._make_ready(time)
        except BaseException:
            self.close()
            raise

    def _make_ready(self, time: int) -> None:
        device = self.device
        device.set_time(time)
        device.work()                          # the first turn of all compiles
        device.write_register("GAP_POLICY", GapPolicy.SKIP)
        device.attach_lines(*(near.fileno() for _, near in self._lines))
        device.stage_limits().permit()
        device.commit_limits()
        device.attach_session(self._near.fileno(), b"", 1)
        answer = encode(ouch50.ACCOUNT_QUERY_RESPONSE, {
            "timestamp": 0, "next_user_ref_num": 1})
        self._say(encode(soupbintcp.SEQUENCED_DATA, {"message": answer}))
        device.wait(lambda: device.is_session_up, 10.0, "open its order session")
        device.arm()
        self._readers: tuple[RecordReader, RecordReader] = (
            device.market_reader(device.read_register("RING_MARKET_SEQUENCE") + 1),
            device.order_reader(device.read_register("RING_ORDER_SEQUENCE") + 1))
        self._numbered = [1, 1]

    def _say(self, octets: bytes) -> None:
        self._venue.sendall(octets)

    def packet(self, packet: Packet) -> None:
        """Give it a datagram."""
        self.device.set_time(packet.time)
        self._say(encode(soupbintcp.SERVER_HEARTBEAT, {}))
        self._lines[packet.line][0].send(packet.payload)
        self._work()

    def intents(self, rows: Sequence[np.ndarray]) -> None:
        """Give it intents, as many as the window has slots at most."""
        for row in rows:
            self.device.push_intent(row[0])
        self._work()

    def _work(self) -> None:
        for _ in range(_TURNS):
            self.device.work()
        with contextlib.suppress(BlockingIOError):
            while self._venue.recv(_RECEIVE):
                continue

    def records(self) -> tuple[np.ndarray, np.ndarray]:
        """Market and order records since the last call, (n, 64) octets each.

        HEARTBEAT records, which only say that time passes, are left out of their numbers too.
        """
        market, orders = map(self._read, range(len(self._readers)))
        self.device.write_register("RING_ORDER_CONSUMED", self._readers[1].number - 1)
        return market, orders

    def _read(self, ring: int) -> np.ndarray:
        reader = self._readers[ring]
        octets = b"".join(row.tobytes() for row in reader.read()
                          if row["record_type"] != RecordType.HEARTBEAT)
        if reader.lost:
            raise TickwireError(f"Device {self.device.name!r} overwrote {reader.lost:,} records "
                                "before they were read.")
        records = np.frombuffer(octets, np.uint8).reshape(-1, RECORD_SIZE).copy()
        numbers = np.arange(self._numbered[ring], self._numbered[ring] + len(records))
        records[:, TRAILER_OFFSET:TRAILER_OFFSET + 4] = numbers.astype("<u4").reshape(-1, 1).view(
            np.uint8)
        self._numbered[ring] += len(records)
        return records

    def _ends(self) -> Iterator[socket.socket]:
        yield from (end for line in self._lines for end in line)
        yield from (self._venue, self._near)

    def close(self) -> None:
        """Give everything back."""
        self.device.close()
        for end in self._ends():
            end.close()


class OrderComparison:
    """Market and order records of two devices, side by side."""

    def __init__(self, first: Driven, second: Driven) -> None:
        """Nothing was given yet."""
        self._devices = first, second
        self._masks = digest.masks()
        self.market, self.orders = Comparison(), Comparison()
        self._waiting = [[np.zeros((0, RECORD_SIZE), np.uint8)] * 2 for _ in range(2)]

    @property
    def records(self) -> int:
        """Records so far, of the device that has more."""
        return self.market.records + self.orders.records

    @property
    def differences(self) -> int:
        """Records that differ."""
        return self.market.differences + self.orders.differences

    @property
    def first(self) -> Difference | None:
        """The first record that differs, of the market before those of orders."""
        return self.market.first or self.orders.first

    def run(self, packets: Iterator[Packet],
            planned: Iterator[Planned]) -> Iterator["OrderComparison"]:
        """Give both what was recorded and what was planned; yields itself after each packet."""
        waiting, sent = next(planned, None), 0
        for packet in packets:
            sent = packet.messages
            for device in self._devices:
                device.packet(packet)
            self._compare()
            while waiting is not None and waiting.after <= packet.messages:
                rows = [waiting.row]
                waiting = next(planned, None)
                while (waiting is not None and waiting.after <= packet.messages
                       and len(rows) < _TOGETHER):
                    rows.append(waiting.row)
                    waiting = next(planned, None)
                for device in self._devices:
                    device.intents(rows)
                self._compare()
            yield self
        self._compare(is_end=True)
        yield self
        if waiting is not None:
            raise InputError(f"An intent is to be given after {waiting.after:,} messages, and the "
                             f"recording has {sent:,}.")

    def _compare(self, *, is_end: bool = False) -> None:
        found = [device.records() for device in self._devices]
        for place, comparison in enumerate((self.market, self.orders)):
            ours, theirs = (np.concatenate((waiting, records[place])) for waiting, records in zip(
                self._waiting[place], found, strict=True))
            count = min(len(ours), len(theirs))
            if count:
                comparison.take(np.ascontiguousarray(ours[:count]),
                                np.ascontiguousarray(theirs[:count]), self._masks)
            self._waiting[place] = [ours[count:], theirs[count:]]
            if is_end:
                comparison.end(ours[count:], theirs[count:])
