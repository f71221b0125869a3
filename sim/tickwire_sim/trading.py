"""The card's own gateware as a device that trades: sockets of the host, cycles of the card.

A turn gives the compiled card what has come: datagrams of both lines as frames, answers of the
venue as settle intents, what was written to registers. Between a datagram and the intents that it
causes the card's clock has nothing but its cycles, so latencies are the card's own; before
something new comes in it follows the host's clock, so limits of rates and silence hold as on a
card. The model takes some ten microseconds a cycle: a market must be slow enough for it.
"""

import contextlib
import ctypes
import itertools
import os
import select
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic, time_ns

import numpy as np

from tickwire.device.card_network import CardNetwork, CardSession
from tickwire.device.mirror import COUNT_SECONDS, Mirror
from tickwire.device.mirrored import MirroredDevice
from tickwire.device.owned import MARKET_LOG2, ORDER_LOG2
from tickwire.device.session_keeper import SessionKeeper, host_context
from tickwire.errors import TickwireError
from tickwire.feed.framing import udp_frame
from tickwire.kernels import engine_host
from tickwire.orders.template import template
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import INTENT, SETTLE, WINDOW_SLOTS
from tickwire.spec.records import Line
from tickwire.spec.registers import FeedSetting
from tickwire.spec.render import dtype
from tickwire.spec.stages import HISTOGRAM_WORDS
from tickwire_sim.simulated_card import SimulatedCard
from tickwire_sim.verilated import VerilatedSlot

TOKEN_LOG2 = 8                             # rows of the model's order table
_LINES = (Line.A, Line.B)
_DATAGRAM = 1 << 16
_BURST = 4                                 # datagrams of one line before the other has its turn
_REACTIONS = 256                           # bound: rounds of the host's half after one event
_IDLE_SECONDS = 0.05                       # sleep of a loop that has nothing to do
_IDLE_CYCLES = 1_100                       # of a card that nothing comes to: lines are looked at
_ENDS = ("127.0.0.1", 1), ("127.0.0.1", 2)  # the host's kernel has the connection; headers are cut
_MACS = bytes(6), bytes(6)
_UP = 1 << 16                              # bit of SESSION_STATE
_SETTLE_DTYPE = dtype(SETTLE)
_LAST = INTENT.size - 8                    # epoch and sequence of an intent


class TradingCard(MirroredDevice):
    """The compiled card of ``geometry``; killed until it is armed.

    ``symbols`` as of :class:`tickwire.device.software.SoftwareDevice`, ``lines`` are group and port
    of line A and of line B. Time stamps and latencies are of the card's clock.
    """

    kind = "verilated"

    def __init__(self, name: str, geometry: Geometry, symbols: Mapping[str, int], *,
                 lines: Sequence[tuple[str, int]], stale_ns: int = 0, is_released: bool = False,
                 market_log2: int = MARKET_LOG2, order_log2: int = ORDER_LOG2,
                 time: int = 0) -> None:
        """Compile the model or load it, and set it up; the first time takes minutes.

        With a ``time``, ns, the card begins at it, and then time has nothing but its cycles and
        what :meth:`set_time` says: the same input gives the same stamps.

        Raises :class:`TickwireError` when the name is taken or the system refuses memory.
        """
        super().__init__(name, geometry, symbols, market_log2=market_log2,
                         order_log2=order_log2, token_log2=TOKEN_LOG2, is_released=is_released)
        self._groups = self._places(lines)
        self._lines, self._is_following = [-1, -1], not time
        self._taken = self._known = 0          # intents that the card was given, has taken at least
        self._host = 0
        self._idle_at = 0.0
        self._is_reacting = False              # to a datagram: nothing but cycles counts
        try:
            self.slot = VerilatedSlot(name, geometry, token_log2=TOKEN_LOG2, time=time or time_ns())
            self.card = SimulatedCard(
                self.slot, self.memory, symbols=self.symbols, market_log2=market_log2,
                order_log2=order_log2, network=CardNetwork(
                    lines=self._groups, symbols=dict(symbols) or None,
                    sessions=(CardSession(template=template(*_ENDS, *_MACS)),),
                    released=int(is_released), stale_ns=stale_ns, settings=FeedSetting(0)))
        except BaseException:
            super().close()
            raise
        self._keeper = SessionKeeper(self.card)
        self.mirror = Mirror(self, self.card, lambda: self._keeper.connection)
        self.mirror.show(has_counters=True)

    # What an engine and control need

    def run(self, turns: int = 0) -> None:
        """Do ``turns`` turns of the loop; with 0, turns until bit 0 of CONTROL is clear."""
        done = 0
        while True:
            is_busy = self._turn()
            done += 1
            if turns == done:
                return
            if not turns and not self.read_register("CONTROL") & 1:
                self.mirror.take_kill()
                self.mirror.show(has_counters=True)
                return
            if not is_busy and not turns:
                self._sleep()

    def _intents_taken(self) -> int:
        if self._taken - self._known >= WINDOW_SLOTS:
            self._known = self.counters()["intents"]
        return self._known

    def set_time(self, time: int) -> None:
        """Let the card's time be ``time``, ns, and go on by its cycles; it never goes back."""
        self._is_following = False
        self.slot.set_time(time)

    def attach_lines(self, line_a: int, line_b: int = -1) -> None:
        """Take datagrams from these non-blocking sockets; -1 for none."""
        self._lines = [line_a, line_b]

    def attach_host(self, address: int, owner: object) -> None:
        """Let the loop do the host's half as well: the HOST context of ``owner``."""
        super().attach_host(address, owner)
        self._host = self._keeper.host = address
        host = host_context(address)
        # What lies between a record and the decision is no time of the card's.
        self._no_stage = np.zeros(HISTOGRAM_WORDS, np.int64)
        host["decision_stage"] = self._no_stage.ctypes.data

    def attach_session(self, descriptor: int, received: bytes, sequence: int) -> None:
        """Hand over a socket that is logged in; see :class:`OwnedDevice`."""
        self._keeper.connection = self._connect(descriptor, received, sequence, self._host_time())
        self.wake()

    def close(self) -> None:
        """Stop the card and give everything back."""
        self._keeper.close()
        with contextlib.suppress(TickwireError):
            self.card.close()
        super().close()

    # A turn

    def _turn(self) -> bool:
        """Do what is to be done; returns whether that was anything."""
        done = self.mirror.take()
        done += self._datagrams()
        done += self._answers()
        if self._host:
            done += engine_host.beat(self._host, self.slot.time)
        done += self._react()
        if not done and monotonic() - self._idle_at > COUNT_SECONDS and self._is_following:
            self._idle_at = monotonic()
            self._set_time()
            self.slot.run(self.slot.rows(_IDLE_CYCLES))
            done += self._react()
        self.mirror.show_in_time()
        return bool(done)

    def _set_time(self) -> None:
        """Let the card's clock follow the host's, unless an arming key has to be in time."""
        if self._is_following and not self.mirror.is_key_awaited:
            self.slot.set_time(time_ns())

    def _host_time(self) -> int:
        """Time of the host, ns; the card's where that does not follow it."""
        return time_ns() if self._is_following else self.slot.time

    def _datagrams(self) -> int:
        """Give the card what has come, all lines at once; returns how many datagrams."""
        found = {line: [udp_frame(payload, *group)
                        for payload in itertools.islice(self._payloads(line), _BURST)]
                 for line, group in zip(_LINES, self._groups, strict=False) if group is not None}
        answers = list(itertools.islice(self._recovered(), _BURST))
        given = sum(map(len, found.values())) + len(answers)
        if given:
            self._set_time()
            self._is_reacting = True
            for frame in answers:
                self.card.give_frame(frame)
            self.slot.give(found)
            self._react()
            self._is_reacting = False
        return given

    def _payloads(self, line: Line) -> Iterator[bytes]:
        """Take datagrams of a line."""
        with contextlib.suppress(BlockingIOError):
            while self._lines[line] >= 0:
                yield os.read(self._lines[line], _DATAGRAM)

    def _react(self) -> int:
        """Let host and card answer each other until neither has anything left."""
        done = 0
        for _ in range(_REACTIONS):
            read = engine_host.step(self._host, self.slot.time) if self._host else 0
            pushed = self._push_window()
            if not read and not pushed:
                break
            done += read + pushed
        return done

    def _push_window(self) -> int:
        """Store to the card what the host put in the window; returns how many intents."""
        pushed = 0
        while pushed < WINDOW_SLOTS:
            number = self._taken & WINDOW_SLOTS - 1
            intent = self.layout.window + number * INTENT.size
            last = ctypes.c_uint64.from_address(intent + _LAST).value
            if last >> 32 != self._taken + 1 & 0xFFFF_FFFF:
                break
            self.mirror.take_kill()
            if not self._is_reacting:          # its time is the host's
                self._set_time()
            self.card.push(number, intent)
            self._taken += 1
            pushed += 1
        if pushed:
            self.slot.settle()
        self._send()
        return pushed

    def _send(self) -> None:
        """Put what the card sent on the order connection."""
        if not self.slot.sent:
            return
        octets = bytes(self.slot.sent)
        self.slot.sent.clear()
        self.slot.sent_frames.clear()
        if self._keeper.connection is not None:
            self._keeper.connection.send(octets, self._host_time())

    # The order session

    def _answers(self) -> int:
        """Give the card what the venue has said; returns how many answers."""
        return self._keeper.turn(self._host_time(), self._settle, self.mirror)

    def _settle(self, settle: np.ndarray) -> bool:
        """Give the card an answer, if the window has room, and let it act."""
        self._set_time()
        if not self._host:
            self.push_intent(settle)
        else:
            host = host_context(self._host)
            if host["sequence"] - host["credit"] >= WINDOW_SLOTS:
                return False
            engine_host.submit(self._host, settle.ctypes.data)
        self._react()
        return True

    def _sleep(self) -> None:
        """Wait until something comes, or it is time to look at the card again."""
        waiting = select.poll()
        sockets = [*self._lines, self._waker.fileno()]
        if self._keeper.connection is not None:
            sockets.append(self._keeper.connection.fileno())
        for descriptor in sockets:
            if descriptor >= 0:
                waiting.register(descriptor, select.POLLIN)
        waiting.poll(_IDLE_SECONDS * 1_000)
        with contextlib.suppress(BlockingIOError):
            while self._waker.recv(8):
                pass

