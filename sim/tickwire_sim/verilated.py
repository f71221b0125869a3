"""The card's own gateware behind the driver of cards: the third device.

``VerilatedSlot`` holds the compiled card: what the host stores and reads goes in as requests,
what the card writes goes to the host's memory, frames go in and come out as octets. Time is the
card's: cycles at its clock, from the time that it is given.
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tickwire.device.pcie import PCIeDevice
from tickwire.device.transport import Bar
from tickwire.errors import TickwireError
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import INTENT
from tickwire.spec.records import RECORD_SIZE
from tickwire.spec.registers import BAR_LOG2, BAR_REGISTERS, BAR_WINDOW, WINDOW_LOG2, RegisterOffset
from tickwire.spec.sessions import HEADERS_SIZE
from tickwire_hw.card import Card
from tickwire_hw.clock import LINE_HZ
from tickwire_hw.stream import LANES
from tickwire_sim.card import GAP
from tickwire_sim.soft_card import Slot
from tickwire_sim.verilate import verilate

CYCLES = 24                                # of one look at what the card has done
_QUIET = 3                                 # looks without anything until a card is taken as idle
_LOOKS = 1 << 13
_READ, _WRITE = 16, 6                      # cycles of one read, one write of many
_SET = 8                                   # cycles until the clock shows what it was set to
_OUT = ("burst__valid", "answer__valid", "o_order__valid")


class VerilatedSlot(Slot):
    """A slot with the card of ``geometry`` as a compiled model.

    ``time`` is the card's at reset, ns. What left on the order line is in :attr:`sent_frames`, and
    in :attr:`sent` as octets behind the headers of an order session's frames.
    """

    def __init__(self, name: str, geometry: Geometry, *, token_log2: int = 8,
                 time: int = 1) -> None:
        """Compile the model or load it; the first time takes minutes."""
        super().__init__(name)
        self.bars = {BAR_REGISTERS: Bar(0, 1 << BAR_LOG2), BAR_WINDOW: Bar(0, 1 << WINDOW_LOG2)}
        self._time = time
        self.model = verilate(Card(geometry, token_log2, is_simulated=True), "host_card",
                              parameters=f"{geometry} {token_log2}")
        self.sent = bytearray()
        self.sent_frames: list[bytes] = []
        self._frame = b""
        self._cycles = 0                       # since the clock was set
        self._idle = self.model.rows(1, burst__ready=1, answer__ready=1, o_order__ready=1)

    # Cycles

    def rows(self, count: int = CYCLES) -> np.ndarray:
        """Return input rows of idle cycles."""
        return np.repeat(self._idle, count)

    def run(self, rows: np.ndarray) -> list[bytes]:
        """Run; what the card writes is done, and answers to reads are returned."""
        answers: list[bytes] = []
        self._take(self._clock(rows, _OUT), answers)
        return answers

    def _clock(self, rows: np.ndarray, when: Sequence[str] | None = None) -> np.ndarray:
        """Run the model a cycle a row, and count the cycles; arguments as of ``Model.run``."""
        self._cycles += len(rows)
        return self.model.run(rows, when=when)

    @property
    def time(self) -> int:
        """Time of the card, ns, as its cycles tell; the card is some cycles ahead of it."""
        return self._time + self._cycles * 1_000_000_000 // LINE_HZ

    def set_time(self, time: int) -> None:
        """Set the card's clock forward to ``time``, ns; a time that has passed changes nothing."""
        if time > self.time:
            self.store(BAR_REGISTERS, RegisterOffset.CLOCK_SET, time.to_bytes(8, "little"))
            self._time, self._cycles = time, -_SET
            self.run(self.rows(_SET))

    def _take(self, outputs: np.ndarray, answers: list[bytes]) -> None:
        """Do what came out, cycle by cycle."""
        get = self.model.get
        for number in range(len(outputs)):
            found = outputs[number:number + 1]
            if found["burst__valid"][0]:
                self._write(int(get(found, "burst__payload", "address")[0]),
                            np.ascontiguousarray(get(found, "burst__payload", "data")).tobytes(),
                            bool(get(found, "burst__payload", "is_word")[0]))
            if found["answer__valid"][0]:
                answers.append(np.ascontiguousarray(found["answer__payload"]).tobytes())
            if found["o_order__valid"][0]:
                word, keep, last = (int(get(found, "o_order__payload", name)[0])
                                    for name in ("data", "keep", "last"))
                self._frame += word.to_bytes(LANES, "little")[:keep.bit_count()]
                if last:
                    self.sent += self._frame[HEADERS_SIZE:]
                    self.sent_frames.append(self._frame)
                    self._frame = b""

    def _write(self, bus: int, octets: bytes, is_word: bool) -> None:
        """Write what the card says, where it may."""
        size = 4 if is_word else RECORD_SIZE
        place = self.translate(bus, size)
        if place:                              # an IOMMU would stop everything else
            ctypes.memmove(place, octets, size)

    def settle(self) -> None:
        """Run until nothing has come out for a while and nothing is being executed."""
        quiet = 0
        for _ in range(_LOOKS):
            outputs = self._clock(self.rows())
            is_active = np.logical_or.reduce([outputs[name] != 0 for name in _OUT])
            self._take(outputs[is_active], [])
            is_quiet = not is_active.any() and outputs["is_idle"].all()
            quiet = quiet + 1 if is_quiet else 0
            if quiet == _QUIET:
                return
        raise TickwireError(f"Card {self.name!r} does not come to rest.")

    # The bus

    def load(self, bar: int, offset: int, size: int) -> int:
        """Read ``size`` octets of a BAR, whole words."""
        self._request(bar, offset, size, is_read=1)
        for _ in range(_LOOKS):
            answers = self.run(self.rows(16))
            if answers:
                return int.from_bytes(answers[0][:size], "little")
        raise TickwireError(f"Card {self.name!r} does not answer a read of BAR {bar}.")

    def words(self, places: Sequence[tuple[int, int]]) -> list[int]:
        """Read many registers, offset and octets of each, one soon after the other."""
        offsets, sizes = np.array(places, np.uint64).T
        answers = self._requests(len(places), _READ, address=offsets // 4, count=sizes // 4,
                                 is_read=1)
        if len(answers) != len(places):        # the bus was busy when one of them came
            return [self.load(BAR_REGISTERS, *place) for place in places]
        return [int.from_bytes(answer[:size], "little")
                for answer, (_, size) in zip(answers, places, strict=True)]

    def store(self, bar: int, offset: int, octets: bytes) -> None:
        """Store whole words to a BAR."""
        size = len(octets)
        words = np.frombuffer(octets.ljust(RECORD_SIZE, b"\0"), "<u8")
        self._request(bar, offset, size, data=words.reshape(1, -1), enables=(1 << size) - 1)

    def fill(self, offset: int, words: Sequence[int]) -> None:
        """Write words of 8 octets to one register, one soon after the other."""
        octets = np.zeros((len(words), RECORD_SIZE // 8), "<u8")
        octets[:, 0] = words
        self._requests(len(words), _WRITE, address=offset // 4, count=2, data=octets, enables=0xFF)

    def _requests(self, number: int, cycles: int, **fields: Any) -> list[bytes]:
        """Make a request every so many cycles, and return the answers; the bus rests before."""
        rows = self.rows(cycles * (number + 2))
        places = rows[cycles:-cycles:cycles]
        places["request__valid"] = 1
        self.model.put(places, "request__payload", bar=BAR_REGISTERS, **fields)
        return self.run(rows)

    def _request(self, bar: int, offset: int, size: int, **fields: Any) -> None:
        given = self.rows(1)
        given["request__valid"] = 1
        self.model.put(given, "request__payload", bar=bar, address=offset // 4, count=size // 4,
                       **fields)
        for _ in range(_LOOKS):
            outputs = self._clock(given)
            self._take(outputs, [])
            if outputs["request__ready"][0]:
                return
        raise TickwireError(f"Card {self.name!r} takes no request.")

    # The network

    def give(self, frames: Mapping[int, Sequence[bytes]]) -> None:
        """Send frames without preamble and check on lines A and B, and let them come through.

        Lines go at the same time, frames of one line after each other.
        """
        rows = self.rows(max(sum(_words(frame) + GAP for frame in line)
                             for line in frames.values()))
        for line, sent in frames.items():
            begin = 0
            for frame in sent:
                count = _words(frame)
                self._put(rows[begin:begin + count], f"words__{line}__", frame)
                begin += count + GAP
        self.run(rows)
        self.settle()

    def give_order_frame(self, octets: bytes, *, is_damaged: bool = False) -> None:
        """Let a frame without preamble and check come in on the order line."""
        rows = self.rows(_words(octets) + GAP)
        self._put(rows[:_words(octets)], "order_words__", octets, is_damaged=is_damaged)
        self.run(rows)
        self.settle()

    def _put(self, rows: np.ndarray, port: str, frame: bytes, *, is_damaged: bool = False) -> None:
        """Write the words of a frame to the rows of their cycles."""
        count = len(rows)
        rows[f"{port}valid"] = 1
        keep = np.full(count, (1 << LANES) - 1)
        keep[-1] >>= LANES * count - len(frame)
        self.model.put(
            rows, f"{port}payload", keep=keep, first=np.arange(count) == 0,
            last=np.arange(count) == count - 1, error=is_damaged & (np.arange(count) == count - 1),
            data=np.frombuffer(frame.ljust(LANES * count, b"\0"), "<u8"))

    # The contract of a slot

    def reset(self) -> bool:
        """Begin as after configuration, at the time that was given."""
        self.model.restart()
        self._frame, self._cycles = b"", 0
        self.sent.clear()
        self.sent_frames.clear()
        self.store(BAR_REGISTERS, RegisterOffset.CLOCK_SET, self._time.to_bytes(8, "little"))
        return True

    def work(self) -> None:
        """Give the card some cycles."""
        self.run(self.rows())

    def close(self) -> None:
        """Nothing is left: the model goes with its last reference."""


def _words(frame: bytes) -> int:
    """Words of a frame."""
    return -(-len(frame) // LANES)


class VerilatedDevice(PCIeDevice):
    """The card of a :class:`VerilatedSlot`, through the driver of cards."""

    kind = "verilated"
    seconds = 60.0                             # it is simulated, on a machine that may be busy

    def __init__(self, slot: VerilatedSlot, **options: Any) -> None:
        """Open the card; ``options`` as of :class:`PCIeDevice`."""
        self._slot = slot
        super().__init__(slot, is_huge=False, **options)

    def _load(self, offset: int, size: int) -> int:
        return self._slot.load(BAR_REGISTERS, offset, size)

    def _store(self, offset: int, size: int, value: int) -> None:
        self._slot.store(BAR_REGISTERS, offset, value.to_bytes(size, "little"))

    def _push(self, slot: int, intent: int) -> None:
        self._slot.store(BAR_WINDOW, slot - self._window, ctypes.string_at(intent, INTENT.size))
