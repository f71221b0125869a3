"""Frames into gateware, word by word, and what it says of them; the same frames into the kernel.

What carries nothing (idle cycles, lanes that are not kept) is filled with random octets.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.guarded import Guarded
from tickwire.device.book_memory import BookMemory
from tickwire.device.feed_memory import FeedMemory
from tickwire.kernels.receive import MALFORMED, OTHER, frame
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import Line
from tickwire_sim.model import Model

LANES = 8
GUARDED_MAX = 32_768                           # octets that end where memory may be read no more


@dataclass
class Frame:
    """One frame on its way in: idle cycles before each word, and what the MAC says at its end.

    With ``is_late_end`` the MAC tells the end of a frame that fills its words in one more word.
    """

    octets: bytes
    gaps: Sequence[int] = (0,)
    has_error: bool = False
    is_late_end: bool = False

    def words(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield (idle cycles before it, octets, whether it is the last) of each word."""
        count = max(-(-len(self.octets) // LANES), 1)
        count += self.is_late_end and len(self.octets) == count * LANES
        for number in range(count):
            yield (self.gaps[number % len(self.gaps)],
                   self.octets[LANES * number:LANES * (number + 1)], number == count - 1)


@dataclass
class Seen:
    """What a receiver has said of one frame."""

    code: int                                  # Line, OTHER or MALFORMED
    payload: bytes = b""
    is_damaged: bool = False
    starts: list[int] = field(default_factory=list)    # lane of each word's first octet


class Lanes:
    """Octets and control of every cycle, as columns."""

    def __init__(self, frames: Iterable[Frame], seed: int = 0, idle_after: int = 8) -> None:
        """Lay the frames out, with ``idle_after`` idle cycles behind the last one."""
        data, control = [], []                 # control: valid, keep, first, last, error
        self.first_cycles, self.last_cycles = [], []
        source = np.random.default_rng(seed)
        for one in frames:
            self.first_cycles.append(len(control) + one.gaps[0])
            is_first = True
            for gap, octets, is_last in one.words():
                control += [(0, 0, 0, 0, 0)] * gap
                data += [b""] * gap + [octets]
                control.append((1, (1 << len(octets)) - 1, is_first, is_last,
                                is_last and one.has_error))
                is_first = False
            self.last_cycles.append(len(control) - 1)
        control += [(0, 0, 0, 0, 0)] * idle_after
        data += [b""] * idle_after
        noise = source.integers(0, 256, LANES * len(data), np.uint8).tobytes()
        filled = (octets + noise[LANES * number + len(octets):LANES * (number + 1)]
                  for number, octets in enumerate(data))
        self.data = np.frombuffer(b"".join(filled), "<u8")
        columns = np.array(control, np.uint8).reshape(-1, 5)
        self.valid, self.keep, self.first, self.last, self.error = columns.T
        idle = self.valid == 0
        for column in (self.keep, self.first, self.last, self.error):
            random = source.integers(0, 256 if column is self.keep else 2, idle.sum())
            column[idle] = random

    def rows(self, model: Model, now: int = 0) -> np.ndarray:
        """Rows of a model with ports ``words`` and ``now``; the time is ``now`` plus the cycle."""
        rows = model.rows(len(self.data))
        rows["words__valid"] = self.valid
        model.put(rows, "words__payload", data=self.data, keep=self.keep, first=self.first,
                  last=self.last, error=self.error)
        rows["now"] = now + np.arange(len(rows))
        return rows


class Kernel:
    """The receiving kernel, cut through, at the end of readable memory."""

    def __init__(self, keys: dict[Line, tuple[str, int]], size_max: int = 1_518,
                 check_udp: bool = True) -> None:
        """Configure the lines."""
        self.book, self.guarded = BookMemory(CARD_SMALL), Guarded()
        self.memory = FeedMemory(self.book, size_max=size_max, check_udp=check_udp,
                                 cut_through=True)
        for line, (group, port) in keys.items():
            self.memory.listen(line, group, port)

    def take(self, one: Frame) -> Seen:
        """Return what the kernel says of a frame."""
        octets = np.frombuffer(one.octets, np.uint8)
        is_short = len(octets) <= GUARDED_MAX
        address = self.guarded.put(one.octets) if is_short else octets.ctypes.data
        line, offset, size = frame(self.memory.receive, address, len(one.octets))
        if line < 0:
            return Seen(line)
        return Seen(line, one.octets[offset:offset + size],
                    one.has_error or bool(self.memory.receiver["is_damaged"]))

    def counts(self) -> tuple[int, int]:
        """Return frames counted as other, and as malformed."""
        return (self.book.counter(CounterIndex.FRAMES_OTHER),
                self.book.counter(CounterIndex.FRAMES_MALFORMED))

    def configure(self, model: Model, rows: np.ndarray) -> None:
        """Give a model's rows the same configuration."""
        for line, key in enumerate(self.memory.receiver["keys"]):
            group, port, is_set = int(key) >> 16 & 0xFFFFFFFF, int(key) & 0xFFFF, int(key) >> 48
            model.put(rows, "keys", **{f"{line}__group": group,
                                       f"{line}__port": port, f"{line}__is_set": is_set})
        rows["size_max"] = int(self.memory.receiver["size_max"])
        rows["check_udp"] = int(self.memory.receiver["check_udp"])


def received(model: Model, rows: np.ndarray, lanes: Lanes, now: int = 0) -> list[Seen]:
    """Run frames through a `Receive` and return what it says of each, its cycles checked.

    Payload passes in the cycle of its word, in one run of lanes from the first word to the last;
    the verdict comes three cycles after the last word.
    """
    model.reset()
    found = model.run(rows, when=["payload__valid", "verdict__valid"])
    get = {name: model.get(found, "payload__payload", name)
           for name in ("data", "mask", "first", "goes_on", "last", "start", "line", "stamp")}
    is_for_line = model.get(found, "verdict__payload", "is_for_line")
    is_damaged = model.get(found, "verdict__payload", "is_damaged")
    seen: list[Seen] = []
    payload, starts, line, is_open = b"", [], None, False
    for place, row in enumerate(found):
        cycle = int(row["cycle"])
        if row["verdict__valid"]:
            assert not is_open
            number = len(seen)
            assert cycle == lanes.last_cycles[number] + 3
            codes = (bool(is_for_line[place]), bool(row["is_other"]), bool(row["is_malformed"]))
            assert sum(codes) == 1, "a frame has one verdict"
            assert (line is not None) == codes[0]
            code = line if codes[0] else OTHER if codes[1] else MALFORMED
            seen.append(Seen(code, payload, bool(is_damaged[place]), starts))
            payload, starts, line = b"", [], None
        goes_on = row["payload__valid"] and not get["first"][place]
        assert bool(get["goes_on"][place]) == goes_on
        if not row["payload__valid"]:
            continue
        number, keep = len(seen), int(lanes.keep[cycle])
        start = int(get["start"][place]) if get["first"][place] else 0
        mask = keep >> start << start if get["first"][place] else int(get["mask"][place])
        assert lanes.valid[cycle] and lanes.data[cycle] == get["data"][place]
        assert not mask & ~keep, "lanes outside of the frame"
        assert bool(get["first"][place]) == (line is None) == (not is_open)
        line = int(get["line"][place]) if line is None else line
        assert line == int(get["line"][place])
        assert int(get["stamp"][place]) == now + lanes.first_cycles[number]
        present = [lane for lane in range(LANES) if mask >> lane & 1]
        is_open = not get["last"][place]
        size = LANES - start if is_open else len(present)
        assert present == list(range(start, start + size))
        if get["first"][place] and not is_open:
            continue                           # too short for anything: its octets are not told
        octets = int(get["data"][place]).to_bytes(LANES, "little")
        payload += bytes(octets[lane] for lane in present)
        starts.append(start)
    assert len(seen) == len(lanes.last_cycles)
    return seen
