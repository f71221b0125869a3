"""The arbiter as a batch model, packets as its ports see them, and books that read its events."""

import struct
from collections import deque
from dataclasses import dataclass

import numpy as np

from tests.reference import itch
from tickwire.spec.records import BookFlag
from tickwire_hw.arbiter import DEPTH, Arbiter
from tickwire_hw.arbiter_machine import PORTS, Counts
from tickwire_hw.blocks_port import End, Header, Message
from tickwire_hw.feed_port import EventKind, FeedEvent
from tickwire_sim import bits
from tickwire_sim.verilate import verilate

HEADER_SIZE = 20
DRAIN = 16 * DEPTH                         # cycles in which everything that came is treated
HEADER, MESSAGE, END, VERDICT = range(4)
NAMES = ("header", "message", "end", "verdict")
DESYNCED = BookFlag.DESYNCED.value
_FIELDS = {name: (field.offset, (1 << field.width) - 1)
           for name, field in FeedEvent.as_shape()}


def _pack(struct_type, **values: int) -> int:
    shape = struct_type.as_shape()
    return sum(value << shape[name].offset for name, value in values.items())


@dataclass(frozen=True)
class PortEvent:
    """One event of a port; ``after`` is the number of cycles since the one before it.

    ``whole`` is the header's payload where an end needs it: line and stamp of a short datagram.
    """

    kind: int
    payload: int
    after: int
    whole: int = 0


def blocks(octets: bytes, count: int) -> tuple[list[bytes], bool]:
    """Return the whole blocks of a datagram behind its header, and whether they fill it."""
    found = []
    while len(found) < count and len(octets) >= 2:
        size = int.from_bytes(octets[:2], "big")
        if len(octets) < 2 + size:
            break
        found.append(octets[2:2 + size])
        octets = octets[2 + size:]
    return found, len(found) == count and not octets


def port_events(octets: bytes, line: int, stamp: int, is_damaged: bool = False,
                after=lambda kind: 1) -> list[PortEvent]:
    """Return what a port says of one datagram; ``after`` gives the cycles before each kind."""
    whole, found, number = {"line": line, "stamp": stamp}, [], 0
    is_short = len(octets) < HEADER_SIZE
    messages, is_exact = [], False
    if not is_short:
        session, first, number = struct.unpack(">10sQH", octets[:HEADER_SIZE])
        found.append((HEADER, _pack(Header, session=int.from_bytes(session, "little"), first=first,
                                    count=number, **whole)))
        messages, is_exact = blocks(octets[HEADER_SIZE:], 0 if number == 0xFFFF else number)
    found += [(MESSAGE, _pack(Message, data=int.from_bytes(message[:50], "little"),
                              length=len(message), index=index))
              for index, message in enumerate(messages)]
    found.append((END, _pack(End, passed=len(messages), is_malformed=not is_exact,
                             is_short=is_short)))
    found.append((VERDICT, int(is_damaged)))
    return [PortEvent(kind, payload, after(kind), _pack(Header, **whole) * is_short)
            for kind, payload in found]


class ArbiterRig:
    """One arbiter; events of ports in, decoded events and sums of counters out."""

    def __init__(self, model=None) -> None:
        self.model = model or verilate(Arbiter())
        self.settings: dict[str, int] = {}
        self.begin()

    def begin(self, *, start: int = 1, session: bytes | None = None, lines: int = 3,
              **settings: int) -> None:
        """Begin anew, as ``FeedMemory`` does; settings are the ports of their names."""
        self.model.restart()
        self.settings = {"lines": lines, **settings}
        self.counts: dict[str, int] = {}
        self.lost = 0
        rows = self.rows(4)
        rows["restart"][0] = 1
        rows["start"] = start
        rows["has_session"] = session is not None
        rows["session"] = bits.words([int.from_bytes(session or b"", "little")], 80)[0]
        self.run(rows)

    def rows(self, count: int) -> np.ndarray:
        """Return input rows without an event."""
        return self.model.rows(count, **self.settings)

    def run(self, rows: np.ndarray, *, is_heeded: bool = False) -> list[
            tuple[int, dict[str, int]]]:
        """Run cycles; return (cycle within them, fields) of every event.

        Where ``holds`` is heeded a port that is held brings nothing from the second cycle on, as
        ``Blocks``, and everything of it later.
        """
        found = self._run_held(rows) if is_heeded else self.model.run(rows)
        self._add(found["counts"])
        self.lost += int(np.count_nonzero(found["is_lost"]))
        last = found[-1]
        self.registers = tuple(int(last[name]) for name in ("state", "expected", "highest"))
        self.is_busy = bool(last["is_busy"])
        places = np.flatnonzero(found["o__valid"])
        return [(int(place), decode(bits.integer(found["o__payload"][place])))
                for place in places]

    def _run_held(self, rows: np.ndarray) -> np.ndarray:
        rows, found = rows.copy(), []
        of_port = [[name for name in rows.dtype.names if name.startswith(f"i__{port}__")]
                   for port in range(PORTS)]
        waiting: list[deque] = [deque() for _ in range(PORTS)]
        held = deque([0, 0])
        for place in range(len(rows)):
            row, now = rows[place:place + 1], held.popleft()
            for port, names in enumerate(of_port):
                if any(row[name][0] for name in names if name.endswith("__valid")):
                    waiting[port].append(row[names].copy())
                is_next = waiting[port] and not now >> port & 1
                row[names] = waiting[port].popleft() if is_next else np.zeros(1, row[names].dtype)
            found.append(self.model.run(row))
            held.append(int(found[-1]["holds"][0]))
        assert not any(waiting)
        return np.concatenate(found)

    def put(self, rows: np.ndarray, port: int, events: list[PortEvent], at: int = 0) -> int:
        """Write a port's events into rows from cycle ``at`` on; return the cycle after them."""
        for event in events:
            at += event.after
            prefix = f"i__{port}__{NAMES[event.kind]}"
            assert not rows[f"{prefix}__valid"][at], "an event's cycle is taken"
            rows[f"{prefix}__valid"][at] = 1
            self._set(rows, f"{prefix}__payload", at, event.payload)
            if event.kind == END and event.whole:
                self._set(rows, f"i__{port}__header__payload", at, event.whole)
        return at + 1

    def _set(self, rows: np.ndarray, name: str, at: int, value: int) -> None:
        width = self.model.ports[name].width
        rows[name][at] = bits.words([value], width)[0] if width > 64 else value

    def _add(self, column: np.ndarray) -> None:
        for row in column[column.any(axis=1)]:
            counts = bits.integer(row)
            for name, field in Counts:
                value = counts >> field.offset & (1 << field.width) - 1
                if value:
                    self.counts[name] = self.counts.get(name, 0) + value


def decode(payload: int) -> dict[str, int]:
    """Fields of a FeedEvent."""
    return {name: payload >> offset & mask for name, (offset, mask) in _FIELDS.items()}


def message_octets(event: dict[str, int]) -> bytes:
    """Octets of a MESSAGE event, with zeros beyond the 50th."""
    shape = Message.as_shape()
    length = event["message"] >> shape["length"].offset & 0xFFFF
    data = event["message"] & (1 << shape["data"].width) - 1
    return data.to_bytes(50, "little")[:length].ljust(length, b"\0")


class Reader:
    """Books with no orders: words events as :meth:`tests.feed_rig.FeedRig.events` does."""

    def __init__(self, instruments: int) -> None:
        self.instruments = range(1, instruments + 1)
        self.flags = 0
        self.desynced: set[int] = set()
        self.seen: dict[int, int] = {}
        self.sequences: list[int] = []

    def read(self, event: dict[str, int]) -> list[tuple]:
        """Return what a reader of the market ring sees of one event."""
        kind = EventKind(event["kind"])
        if kind is EventKind.FEED:
            return [("feed", event["state"], event["sequence"], event["received"], event["line"],
                     event["session"].to_bytes(10, "little"))]
        if kind is EventKind.MESSAGE:
            self.sequences.append(event["sequence"])
            return self._message(event["sequence"], message_octets(event))
        return self._put(event["flags"], self.instruments if kind is EventKind.DESYNC_ALL else ())

    def _put(self, flags: int, desynced) -> list[tuple]:
        fallen, self.flags = self.flags & ~flags, flags
        fresh = set(desynced) - self.desynced
        self.desynced |= fresh
        return [self._show(instrument) for instrument in self.instruments
                if instrument in fresh or self.seen.get(instrument, 0) & fallen]

    def _show(self, instrument: int) -> tuple:
        self.seen[instrument] = self.flags | DESYNCED * (instrument in self.desynced)
        return ("shown", instrument, self.seen[instrument])

    def _message(self, number: int, octets: bytes) -> list[tuple]:
        sizes = {b"S": len(itch.system(b"O")), b"H": len(itch.action(1, b"H"))}
        locate = int.from_bytes(octets[1:3], "big")
        if sizes.get(octets[:1]) == len(octets):
            if octets[:1] == b"H":
                self.seen[locate] = self.flags | DESYNCED * (locate in self.desynced)
            return [("message", number)]
        if not octets:
            return []
        named = self.instruments if len(octets) < 3 else {locate} & set(self.instruments)
        fresh = set(named) - self.desynced
        self.desynced |= fresh
        return [self._show(instrument) for instrument in sorted(fresh)]


def wire_events(datagrams: list[bytes], line: int, *, tags: int = 0, between: int = 24,
                stamp: int = 1_000, damaged: frozenset[int] = frozenset()) -> list[PortEvent]:
    """Return what a port says of datagrams in back-to-back frames, 8 octets a cycle.

    ``between`` is the number of octets between the last of a frame, without FCS, and the first of
    the next; ``damaged`` the places of the datagrams whose frames are.
    """
    found, start, now = [], 0, 0
    for place, datagram in enumerate(datagrams):
        payload = 42 + 4 * tags
        ends = [payload + HEADER_SIZE] if len(datagram) >= HEADER_SIZE else []
        number = int.from_bytes(datagram[18:20], "big")
        for block in blocks(datagram[HEADER_SIZE:], 0 if number == 0xFFFF else number)[0]:
            ends.append(ends[-1] + 2 + len(block))
        size = max(payload + len(datagram), 60)
        events = port_events(datagram, line, stamp, place in damaged)
        times = [*((end - 1) // 8 for end in ends), (payload + len(datagram) - 1) // 8,
                 (size - 1) // 8 + 1]
        for event, time in zip(events, times, strict=True):
            cycle = start + time
            is_alone = event.kind in (HEADER, MESSAGE) or (found and found[-1].kind == VERDICT)
            cycle = max(cycle, now + bool(is_alone and found))
            found.append(PortEvent(event.kind, event.payload, cycle - now, event.whole))
            now = cycle
        start += -(-(size + between) // 8)
    return found
