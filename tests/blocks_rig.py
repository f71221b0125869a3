"""Datagrams into the gateware that walks their blocks, and what they hold by a walk in Python."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tickwire_sim.model import Model

LANES = 8
HEADER_SIZE, COUNT_AT, PREFIX_SIZE = 20, 18, 2
MESSAGE_SIZE_MAX, EARLY_SIZE = 50, 19
OUTPUTS = ("packet__header__valid", "packet__message__valid", "packet__end__valid",
           "packet__verdict__valid", "early__valid", "is_overflow")


@dataclass
class Datagram:
    """One datagram on its way in: lane of its first octet, idle cycles before each word."""

    octets: bytes
    start: int = 2
    gaps: Sequence[int] = (0,)
    line: int = 0
    is_damaged: bool = False
    idle_before: int = 5                       # words in which its headers come
    is_late_end: bool = False                  # the end comes in a word without octets

    def words(self) -> int:
        """Return how many words carry it."""
        count = max(-(-(self.start + len(self.octets)) // LANES), 1)
        return count + (self.is_late_end and (self.start + len(self.octets)) % LANES == 0
                        and len(self.octets) > 0)

    def word_of(self, octet: int) -> int:
        """Return the word that carries an octet."""
        return (self.start + octet) // LANES


@dataclass
class Block:
    """A whole block: its message, and the place of its last octet in the datagram."""

    length: int
    octets: bytes
    end: int


@dataclass
class Contents:
    """What a datagram says."""

    header: tuple[bytes, int, int] | None = None
    blocks: list[Block] = field(default_factory=list)
    earlies: list[tuple[int, bytes, int]] = field(default_factory=list)   # index, octets, place
    is_malformed: bool = True

    @property
    def is_short(self) -> bool:
        """Whether it has no header."""
        return self.header is None


def walk(octets: bytes) -> Contents:
    """Walk a datagram as the document of MoldUDP64 has it."""
    if len(octets) < HEADER_SIZE:
        return Contents()
    count = int.from_bytes(octets[COUNT_AT:HEADER_SIZE], "big")
    found = Contents((octets[:10], int.from_bytes(octets[10:COUNT_AT], "big"), count))
    number = 0 if count == 0xFFFF else count
    at = HEADER_SIZE
    while len(found.blocks) < number and at + PREFIX_SIZE <= len(octets):
        length = int.from_bytes(octets[at:at + PREFIX_SIZE], "big")
        body = octets[at + PREFIX_SIZE:at + PREFIX_SIZE + length]
        if len(body) == length or (len(body) >= EARLY_SIZE):
            size = min(length, EARLY_SIZE)
            found.earlies.append((len(found.blocks), body[:size], at + PREFIX_SIZE - 1 + size))
        if len(body) < length:
            break
        at += PREFIX_SIZE + length
        found.blocks.append(Block(length, body, at - 1))
    found.is_malformed = len(found.blocks) != number or at != len(octets)
    return found


class Cycles:
    """Datagrams laid out in cycles, each followed by its verdict, for a model of `Blocks`."""

    def __init__(self, datagrams: Iterable[Datagram], seed: int = 0, idle_after: int = 8) -> None:
        """Lay them out; lanes and cycles without octets hold noise."""
        self.datagrams = list(datagrams)
        self.cycles: list[list[int]] = []      # of each datagram: the cycle of each word
        self.verdicts: list[int] = []          # and of its verdict
        columns, data = [], []                 # valid, mask, first, last, start, line, number
        for number, one in enumerate(self.datagrams):
            gaps = itertools.cycle(one.gaps)
            position, cycles, count = -one.start, [], one.words()
            blank = (0, 0, 0, 0, one.start, one.line, number)
            columns += [blank] * one.idle_before
            data += [b""] * one.idle_before
            for word in range(count):
                gap = next(gaps)
                columns += [blank] * gap
                data += [b""] * gap
                cycles.append(len(columns))
                first = one.start if word == 0 else 0
                part = one.octets[max(position, 0):max(position + LANES, 0)]
                mask = ((1 << len(part)) - 1) << first
                columns.append((1, mask, word == 0, word == count - 1, one.start, one.line, number))
                data.append(bytes(first) + part)
                position += LANES
            self.cycles.append(cycles)
            self.verdicts.append(cycles[-1] + 2)
            columns += [blank] * 2
            data += [b""] * 2
            # The verdict comes two cycles after the end, which idle cycles follow.
        last = columns[-1] if columns else (0,) * 7
        columns += [(0, *last[1:])] * idle_after
        data += [b""] * idle_after
        source = np.random.default_rng(seed)
        noise = source.integers(0, 256, LANES * len(data), np.uint8).tobytes()
        octets = b"".join(part + noise[LANES * place + len(part):LANES * (place + 1)]
                          for place, part in enumerate(data))
        self.data = np.frombuffer(octets, "<u8")
        self.columns = np.array(columns, np.int64).reshape(-1, 7)
        self.noise = source

    def rows(self, model: Model) -> np.ndarray:
        """Return the rows of a model; the stamp of a datagram is its number and 1,000."""
        valid, mask, first, last, start, line, number = self.columns.T
        idle = valid == 0
        mask, last = mask.copy(), last.copy()
        for column, limit in ((mask, 256), (last, 2)):
            column[idle] = self.noise.integers(0, limit, idle.sum())
        rows = model.rows(len(self.data))
        rows["payload__valid"] = valid
        model.put(rows, "payload__payload", data=self.data, mask=mask, first=first,
                  goes_on=valid & ~first, last=last, start=start, line=line,
                  stamp=number + 1_000)
        for one, cycle in zip(self.datagrams, self.verdicts, strict=True):
            rows["verdict__valid"][cycle] = 1
            rows["verdict__payload"][cycle] = 1 | one.is_damaged << 1
        return rows


@dataclass
class Told:
    """What the gateware has told of one datagram, each with its cycle."""

    stamp: int = -1
    line: int = -1
    header: tuple[bytes, int, int] | None = None
    header_cycle: int = -1
    messages: list[tuple[int, int, bytes]] = field(default_factory=list)     # index, length, octets
    message_cycles: list[int] = field(default_factory=list)
    earlies: list[tuple[int, bytes]] = field(default_factory=list)           # index, octets
    early_cycles: list[int] = field(default_factory=list)
    passed: int = -1
    is_malformed: bool = False
    is_short: bool = False
    end_cycle: int = -1
    is_damaged: bool = False
    verdict_cycle: int = -1


def told(model: Model, rows: np.ndarray) -> tuple[list[Told], int]:
    """Run rows and return what was told of each datagram, in order, and the overflows.

    The order within a datagram is asserted: header, messages, end, verdict. Cycles are those of a
    model without a hop: ``late`` of one that has it is 1.
    """
    late = vars(model).get("late", 0)
    model.reset()
    found = model.run(rows, when=OUTPUTS)

    def get(port: str, name: str) -> np.ndarray:
        return model.get(found, port, name)
    header = {name: get("packet__header__payload", name)
              for name in ("session", "first", "count", "line", "stamp")}
    message = {name: get("packet__message__payload", name) for name in ("data", "length", "index")}
    end = {name: get("packet__end__payload", name)
           for name in ("passed", "is_malformed", "is_short")}
    early = {name: get("early__payload", name) for name in ("data", "index")}
    damaged = get("packet__verdict__payload", "is_damaged")
    done: list[Told] = []
    one, state = Told(), "out"
    for place, row in enumerate(found):
        cycle = int(row["cycle"]) - late
        if row["packet__header__valid"]:
            assert state == "out" and not row["packet__message__valid"]
            session = np.ascontiguousarray(header["session"][place]).tobytes()[:10]
            one.header = (session, int(header["first"][place]), int(header["count"][place]))
            one.line, one.stamp = int(header["line"][place]), int(header["stamp"][place])
            one.header_cycle, state = cycle, "in"
        if row["early__valid"]:
            assert state == "in"
            octets = np.ascontiguousarray(early["data"][place]).tobytes()[:EARLY_SIZE]
            one.earlies.append((int(early["index"][place]), octets))
            one.early_cycles.append(cycle)
        if row["packet__message__valid"]:
            assert state == "in"
            length = int(message["length"][place])
            octets = np.ascontiguousarray(message["data"][place]).tobytes()[:MESSAGE_SIZE_MAX]
            assert not any(octets[length:]), "octets beyond the message are zero"
            one.messages.append((int(message["index"][place]), length, octets[:length]))
            one.message_cycles.append(cycle)
            assert one.messages[-1][0] == one.earlies[-1][0] == len(one.messages) - 1
        if row["packet__end__valid"]:
            one.passed = int(end["passed"][place])
            one.is_malformed = bool(end["is_malformed"][place])
            one.is_short = bool(end["is_short"][place])
            assert one.is_short == (state == "out")
            whose = int(header["line"][place]), int(header["stamp"][place])
            if one.is_short:
                one.line, one.stamp = whose
            assert (one.line, one.stamp) == whose
            one.end_cycle, state = cycle, "ended"
        if row["packet__verdict__valid"]:
            assert state == "ended"
            one.is_damaged, one.verdict_cycle = bool(damaged[place]), cycle
            done.append(one)
            one, state = Told(), "out"
    assert state == "out"
    return done, int(found["is_overflow"].sum())
