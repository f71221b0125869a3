"""A card behind a PCIe bus: the contract over BARs and memory that the card writes.

Nothing on the fast path asks the card: records are read where it writes them, intents are stored
to its window, and credit comes back in records. Registers are for control.
"""

import contextlib
import ctypes
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from tickwire.device.base import Device, Layout, RingLayout, register, word_at
from tickwire.device.capture import CaptureReader
from tickwire.device.card_network import CardNetwork
from tickwire.device.owned import MARKET_LOG2, ORDER_LOG2
from tickwire.device.transport import Buffer, Transport
from tickwire.errors import TickwireError
from tickwire.kernels import histogram, intent_window
from tickwire.kernels.arena import Arena
from tickwire.kernels.engine_layout import MAILBOXES
from tickwire.kernels.mmio import push_line
from tickwire.spec.counters import COUNTERS
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import INTENT
from tickwire.spec.limits import LIMITS_ROW, limits_rows
from tickwire.spec.network import FRAME_SIZE_MAX
from tickwire.spec.records import RECORD_SIZE
from tickwire.spec.registers import (
    BAR_LOG2,
    BAR_REGISTERS,
    BAR_WINDOW,
    COUNTER_OFFSET,
    FRAME_OFFSET,
    FRAME_PAGE,
    FRAME_TO_ORDERS,
    HISTOGRAM_OFFSET,
    INTERRUPT_VECTORS,
    MAGIC,
    RING_LOG2_MAX,
    RING_LOG2_MIN,
    WINDOW_LOG2,
    Capability,
    HistogramControl,
    HistogramState,
    KillCause,
    RegisterOffset,
    RingControl,
    Status,
)
from tickwire.spec.sessions import SESSIONS_MAX, SessionOperation
from tickwire.spec.shared import ENGINE_STATUS, POSITION
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

_RUN = 1                                   # bit of CONTROL
_RINGS = MappingProxyType({"RING_MARKET": "market ring", "RING_ORDER": "order ring",
                           "RING_CAPTURE": "capture ring", "STATE": "state table"})


class PCIeDevice(Device):
    """A card, opened and set up; killed until it is armed.

    The process that has it owns it: rings lie in this process's memory, in huge pages where there
    are some. ``remarks`` are sentences about what is less than it could be; ``is_reset`` says
    whether the card could be reset, else it knows what ran before. Raises
    :class:`TickwireError` when the card is none, is another version's, refuses a ring, or does
    not answer.
    """

    kind = "pcie"
    seconds = 2.0                              # in which a card answers

    def __init__(self, transport: Transport, *, symbols: Sequence[str] = (),
                 market_log2: int = MARKET_LOG2, order_log2: int = ORDER_LOG2,
                 capture_log2: int = 0, is_huge: bool = True,
                 network: CardNetwork | None = None) -> None:
        """Take over ``transport``, which is closed with the device, or when this raises.

        With ``network`` the card's network side is set up before it starts. Frames of the order
        line come to a ring of 2^``capture_log2`` records; 0 is for none.
        """
        self.name, self.symbols = transport.name, tuple(symbols)
        self.remarks: list[str] = []
        self._transport, self._buffers = transport, dict[str, Buffer]()
        self._arena, self._is_closed = Arena(), False
        try:
            for name, log2 in (("market", market_log2), ("order", order_log2),
                               *([("capture", capture_log2)] if capture_log2 else [])):
                if not RING_LOG2_MIN <= log2 <= RING_LOG2_MAX:
                    raise TickwireError(f"A ring has 2^{RING_LOG2_MIN} to 2^{RING_LOG2_MAX} slots, "
                                        f"not 2^{log2}: choose another size of the {name} ring.")
            self._registers = transport.bar(BAR_REGISTERS, 1 << BAR_LOG2)
            self._window = transport.bar(BAR_WINDOW, 1 << WINDOW_LOG2)
            self.check()
            self._set_up(market_log2, order_log2, is_huge, network)
            self._capture_log2 = capture_log2
            if capture_log2:
                self._need_order_line()
                # Frames come at any time, and no reader believes those of the epoch before.
                self._give("RING_CAPTURE", capture_log2, is_huge)
        except BaseException:
            self.close()
            raise

    def _set_up(self, market_log2: int, order_log2: int, is_huge: bool,
                network: CardNetwork | None) -> None:
        """Stop what ran before, and give the card its rings."""
        self._stop()
        self.is_reset = self._transport.reset()
        self.check()
        read = self.read_register
        try:
            self.geometry, token_log2 = Geometry.of(read("GEOMETRY_BOOK"), read("GEOMETRY_QUEUES"))
        except ValueError as error:
            raise TickwireError(f"Device {self.name!r} tells sizes that no card has: "
                                f"{error}.") from None
        self._transport.set_master(True)
        table_log2 = max(RING_LOG2_MIN, (self.geometry.instruments - 1).bit_length())
        for name, log2 in (("RING_MARKET", market_log2), ("RING_ORDER", order_log2),
                           ("STATE", table_log2)):
            self._give(name, log2, is_huge)
        if network is not None:
            network.write(self)
        self.write_register("CONTROL", _RUN)   # a new ring epoch
        self.wait(lambda: Status.RUNNING in self.status, self.seconds, "start")
        instruments, take = self.geometry.instruments, self._arena.take
        self._limits_octets = LIMITS_ROW * limits_rows(instruments)
        self.layout = Layout(
            market=RingLayout(self._buffers["RING_MARKET"].address, market_log2),
            orders=RingLayout(self._buffers["RING_ORDER"].address, order_log2),
            state=self._buffers["STATE"].address, window=self._window,
            registers=self._registers, counters=self._registers + COUNTER_OFFSET,
            histograms=take("histograms", 8 * HISTOGRAM_WORDS * len(STAGES)),
            limits=take("limits", self._limits_octets),
            positions=take("positions", POSITION.size * instruments),
            engine=take("engine", ENGINE_STATUS.size), token_log2=token_log2)
        self._intent = take("intent", INTENT.size)

    def _give(self, name: str, log2: int, is_huge: bool) -> None:
        """Share memory for a ring or the state table, and enable it."""
        buffer = self._buffer(name, RECORD_SIZE << log2, is_huge)
        self._transport.share(buffer)
        self._buffers[name] = buffer
        if buffer.remark and buffer.remark not in self.remarks:
            self.remarks.append(buffer.remark)
        self.write_register(f"{name}_BASE", buffer.bus)
        if f"{name}_LOG2" in RegisterOffset.__members__:
            self.write_register(f"{name}_LOG2", log2)
        self.write_register(f"{name}_CONTROL", RingControl.ENABLE)
        self.wait(lambda: self.read_register(f"{name}_CONTROL") != 0, self.seconds,
                  f"take its {_RINGS[name]}")
        if RingControl.REFUSED in RingControl(self.read_register(f"{name}_CONTROL")):
            raise TickwireError(
                f"Device {self.name!r} refused its {_RINGS[name]} of 2^{log2} slots at bus address "
                f"0x{buffer.bus:x}: a base must be a multiple of the ring's octets, and a ring "
                f"has 2^{RING_LOG2_MIN} to 2^{RING_LOG2_MAX} slots.")

    def _buffer(self, name: str, octets: int, is_huge: bool) -> Buffer:
        """Return memory for the ring or table of that name."""
        return Buffer(octets, is_huge=is_huge)

    def _stop(self) -> None:
        """Let the card send and write nothing more, and wait until what is on its way has come.

        One that no reset follows is killed and without a lease for whoever opens it next.
        """
        if Status.ARMED in self.status:
            self.write_register("KILL", KillCause.REGISTER)
            self.wait(lambda: Status.ARMED not in self.status, self.seconds, "be killed")
        if Capability.ORDER_LINE in Capability(self.read_register("CAPABILITIES")):
            for session in range(min(self.read_register("ORDER_SESSIONS"), SESSIONS_MAX)):
                self.release_session(session)
        for name in _RINGS:
            self.write_register(f"{name}_CONTROL", 0)
        # A read is answered behind the writes that the card sent before.
        self.wait(lambda: not any(self.read_register(f"{name}_CONTROL") for name in _RINGS),
                  self.seconds, "stop writing")
        self.write_register("CONTROL", 0)
        self.wait(lambda: Status.RUNNING not in self.status, self.seconds, "stop")

    def _until(self, name: str, value: int, what: str) -> None:
        self.wait(lambda: self.read_register(name) == value, self.seconds, what)

    # The contract

    def check(self) -> None:
        """Refuse a card that does not answer, is none, or has other tables than this host."""
        if self._word("MAGIC") == 0xFFFF_FFFF:
            raise TickwireError(self._silence())
        try:
            super().check()
        except TickwireError as error:
            from tickwire.device.bitstream import wanted
            raise TickwireError(f"{error} {wanted()}") from None

    def read_register(self, name: str) -> int:
        """Return the value of a register; raises when the card does not answer any more."""
        return self._heard(*register(name, to_write=False))

    def _word(self, name: str) -> int:
        return self._load(*register(name, to_write=False))

    def _heard(self, offset: int, size: int) -> int:
        """Read a word of BAR 0; raises when the card does not answer any more."""
        found = self._load(offset, size)
        if found in (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF) and self._word("MAGIC") != MAGIC:
            raise TickwireError(self._silence())
        return found

    # The bus: where BARs are not memory, a subclass has other ways

    def _load(self, offset: int, size: int) -> int:
        """Read a word of 4 or 8 octets of BAR 0."""
        return int(word_at(self._registers + offset, size).value)

    def _store(self, offset: int, size: int, value: int) -> None:
        """Write a word of 4 or 8 octets of BAR 0."""
        word_at(self._registers + offset, size).value = value

    def _push(self, slot: int, intent: int) -> None:
        """Store the intent at an address to its slot, an address in the window, at once."""
        push_line(slot, intent)

    def _silence(self) -> str:
        return (f"Device {self.name!r} does not answer, every register reads as ones: it is being "
                "reset, or its link is lost. Close it and open it again; what it had open at the "
                "venue is not known to it any more.")

    def write_register(self, name: str, value: int) -> None:
        """Write a register; an event waits until the device has taken the one before."""
        offset, size = register(name, to_write=True)
        if not 0 <= value < 1 << 8 * size:
            raise ValueError(f"Register {name} has {8 * size} bits; {value} does not fit")
        mark = MAILBOXES.get(name)
        if mark is not None:
            if name != "KILL":                 # a kill never waits
                self.wait(lambda: self._heard(offset, size) == 0, self.seconds,
                          f"take what was written to {name}")
            value |= mark
        self._store(offset, size, value)

    def counters(self) -> dict[str, int]:
        """Return every counter by its name, all of one instant."""
        self.write_register("COUNTERS_TAKE", 1)
        return {counter.name: self._heard(COUNTER_OFFSET + 8 * place, 8)
                for place, counter in enumerate(COUNTERS)}

    def histograms(self) -> dict[str, np.ndarray]:
        """Return a copy of every latency histogram, what the card counted with what the host did.

        The card counts stages that have a boundary there, since its start; others are the host's.
        """
        words = np.frombuffer((ctypes.c_int64 * (len(STAGES) * HISTOGRAM_WORDS)).from_address(
            self.layout.histograms), np.int64).reshape(len(STAGES), HISTOGRAM_WORDS)
        self.wait(lambda: bool(self.read_register("HISTOGRAM_STATE") & HistogramState.READY),
                  self.seconds, "clear its histograms")
        self.write_register("HISTOGRAM_CONTROL", HistogramControl.SHOW)
        for place in (place for place, stage in enumerate(STAGES) if stage.card_ends):
            self.write_register("HISTOGRAM_STAGE", place)
            state = HistogramState.SHOWN | place << 8
            self._until("HISTOGRAM_STATE", state, f"show the histogram of {STAGES[place].name!r}")
            words[place] = histogram.merge([words[place], self._shown_histogram()])
        self.write_register("HISTOGRAM_CONTROL", HistogramControl.RELEASE)
        return super().histograms()

    def _shown_histogram(self) -> np.ndarray:
        """Read what the histogram page shows, between the least and the greatest duration."""
        found = np.zeros(HISTOGRAM_WORDS, np.int64)

        def read(first: int, last: int) -> None:
            found[first:last] = [self._heard(HISTOGRAM_OFFSET + 8 * word, 8)
                                 for word in range(first, last)]
        read(0, histogram.BUCKETS)
        if found[histogram.COUNT]:
            least, greatest = (histogram.BUCKETS + histogram.bucket_of(found[total])
                               for total in (histogram.MINIMUM, histogram.MAXIMUM))
            read(least, greatest + 1)
        return found

    def commit_limits(self, seconds: float | None = None) -> int:
        """Load the staged limits into the card and put them in force; returns their version."""
        self.check()
        self.load_limits(self.layout.limits)
        return super().commit_limits(self.seconds if seconds is None else seconds)

    def load_limits(self, table: int) -> None:
        """Load the limits table at an address into the card; nothing is in force yet."""
        words = (ctypes.c_uint64 * (self._limits_octets // 8)).from_address(table)
        self.write_register("TABLE_INDEX", 0)
        for number, word in enumerate(words, 1):
            self.write_register("TABLE_DATA", int(word))
            self._until("TABLE_INDEX", number, "load its limits table")

    def _store_intent(self, slot: int, row: np.ndarray) -> None:
        # The window cannot be read: the intent is made whole here and stored at once.
        ctypes.memmove(self._intent, row.ctypes.data, INTENT.size)
        intent_window.seal(self._intent, self.read_register("EPOCH"), self._sequence)
        self._push(slot, self._intent)

    def work(self) -> None:
        """Let a simulated card do one turn; a real one needs no call."""
        self._transport.work()

    def close(self) -> None:
        """Stop the card, then take its memory away: nothing is written to what is freed."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._buffers:
                # One that does not answer is stopped by the IOMMU, when its memory is unmapped.
                for stop in (self._stop, lambda: self._transport.set_master(False)):
                    with contextlib.suppress(TickwireError):
                        stop()
            for buffer in self._buffers.values():
                self._transport.unshare(buffer)
        finally:
            self._transport.close()

    # What is a card's own

    def give_frame(self, frame: bytes, to_orders: bool = False) -> None:
        """Give the card a frame, without its check.

        The market side takes it as one that the host has recovered; with ``to_orders`` it leaves on
        the order line, between two frames of the card. Raises :class:`TickwireError` when the card
        does not do that, or not with a frame of this size.
        """
        size_max = FRAME_SIZE_MAX if to_orders else FRAME_PAGE
        if to_orders:
            self._need_order_line()
        elif Capability.HOST_FRAMES not in Capability(self.read_register("CAPABILITIES")):
            raise TickwireError(f"Device {self.name!r} takes no frames of the host: what both "
                                "lines have lost can not be repaired.")
        if not 0 < len(frame) <= size_max:
            raise TickwireError(f"Device {self.name!r} takes frames of 1 to {size_max:,} octets "
                                f"of the host, not of {len(frame):,}.")
        self._until("FRAME_SEND", 0, "send the frame that it was given before")
        for at in range(0, len(frame), 8):
            self._store(FRAME_OFFSET + at, 8,
                        int.from_bytes(frame[at:at + 8].ljust(8, b"\0"), "little"))
        self.write_register("FRAME_SEND", len(frame) | (FRAME_TO_ORDERS if to_orders else 0))

    def capture_reader(self) -> CaptureReader:
        """Return a reader of the capture ring, from its first record on; raises without one."""
        if not self._capture_log2:
            raise TickwireError(f"Device {self.name!r} was opened without a capture ring.")
        return CaptureReader(self._buffers["RING_CAPTURE"].address, self._capture_log2,
                             self.read_register("RING_EPOCH"))

    def move_session(self, session: int, acknowledgment: int, window: int) -> None:
        """Let the next frames of a session have this acknowledgment number and window."""
        self._update_session(session, SessionOperation.MOVE, acknowledgment, window)

    def send_heartbeat(self, session: int) -> None:
        """Let the card send a Client Heartbeat on a session that is leased to it, else nothing."""
        self._update_session(session, SessionOperation.HEARTBEAT)

    def release_session(self, session: int) -> None:
        """Take a session back: no frame of the card begins when this has returned.

        What it sent before is in the capture ring, but for one frame that may still be leaving.
        """
        self._update_session(session, SessionOperation.RELEASE)
        self._await_session()

    def _update_session(self, session: int, operation: SessionOperation, acknowledgment: int = 0,
                        window: int = 0) -> None:
        """Write an update of a session when the card has taken the one before."""
        if not 0 <= session < SESSIONS_MAX:
            raise ValueError(f"A card has order sessions 0 to {SESSIONS_MAX - 1}, not {session}.")
        self._await_session()
        self.write_register("SESSION_INDEX", session)
        self.write_register("SESSION_POSITION", acknowledgment << 32)
        self.write_register("SESSION_UPDATE", int(operation) | window << 16)

    def _await_session(self) -> None:
        self._until("SESSION_UPDATE", 0, "take the update of an order session before this one")

    def _need_order_line(self) -> None:
        """Refuse a card whose order line is not the host's too."""
        if Capability.ORDER_LINE not in Capability(self.read_register("CAPABILITIES")):
            raise TickwireError(f"Device {self.name!r} does not share its order line: it captures "
                                "no frames of it and sends none of the host.")

    def interrupts(self, vectors: int = INTERRUPT_VECTORS) -> list[int]:
        """Return an eventfd for each of the first ``vectors`` slow events, and permit them."""
        found = self._transport.interrupts(vectors)
        self.write_register("INTERRUPT_MASK", (1 << vectors) - 1)
        return found
