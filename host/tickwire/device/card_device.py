"""A card that trades: its loop in one thread, its control in another, all of it in shared memory.

The engine's thread reads what the card writes and stores intents to it, and never waits for the
bus (:mod:`tickwire.kernels.engine_card`). Control's thread does what takes microseconds: registers,
answers of the venue, recovered frames, the order line, the clock.
"""

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from tickwire.device.base import register, word_at
from tickwire.device.card_network import CardNetwork
from tickwire.device.clock_servo import ClockServo
from tickwire.device.mirror import Mirror, SharedCard
from tickwire.device.mirrored import MirroredDevice
from tickwire.device.order_connection import OrderConnection
from tickwire.device.order_line import OrderLine
from tickwire.device.owned import IDLE_LIMIT, MARKET_LOG2, ORDER_LOG2, SLEEP_NS
from tickwire.device.session_keeper import SessionKeeper
from tickwire.device.tap import Tap
from tickwire.device.transport import Transport
from tickwire.errors import TickwireError
from tickwire.kernels import engine_card
from tickwire.kernels.arena import Arena
from tickwire.kernels.engine_card import CARD
from tickwire.spec.digest import digest
from tickwire.spec.geometry import CARD_SMALL, Geometry
from tickwire.spec.registers import (
    BAR_LOG2,
    BAR_REGISTERS,
    BAR_WINDOW,
    MAGIC,
    WINDOW_LOG2,
    FeedSetting,
)

NANOSECOND_HZ = 1_000_000_000
"""CORE_HZ of a card whose time is the system's."""
CAPTURE_LOG2 = 14
"""Slots of the capture ring, logarithm: 16,384 records, 640 KiB of frames."""
_RECOVERED = 16                            # frames of one turn of control
_REST_SECONDS = 0.000_05                   # of a control that found nothing to do
_LEAVE_SECONDS = 1.0                       # for control to show all that the loop has left
_POLL_IN = 1
_TOLD_BY_LOOP = ("ARM", "WATCHDOG_KICK", "RING_ORDER_CONSUMED")


def geometry_of(transport: Transport, symbols: int) -> tuple[Geometry, int]:
    """Return what a card has room for, and the logarithm of its order table's rows.

    What is no card of this host's tables is the driver's to refuse: it gets the small one's, with
    room for so many symbols.
    """
    registers = transport.bar(BAR_REGISTERS, 1 << BAR_LOG2)

    def read(name: str) -> int:
        offset, size = register(name, to_write=False)
        return int(word_at(registers + offset, size).value)
    if read("MAGIC") == MAGIC and read("DIGEST") == digest():
        with contextlib.suppress(ValueError):
            return Geometry.of(read("GEOMETRY_BOOK"), read("GEOMETRY_QUEUES"))
    return replace(CARD_SMALL, instruments=max(CARD_SMALL.instruments, symbols)), 0


@dataclass(frozen=True, slots=True)
class LineSettings:
    """What a card's order line is to Linux: the interface's name and addresses.

    ``address`` has the size of its network, as 10.0.0.2/24.
    """

    interface: str
    mac: str
    address: str

    def tap(self) -> Tap:
        """Make the interface; raises what :class:`Tap` does."""
        return Tap(self.interface, bytes.fromhex(self.mac.replace(":", "")), self.address)


class CardDevice(MirroredDevice):
    """The card behind ``transport``; killed until it is armed.

    ``symbols`` maps what is watched to tick sizes (1e-4 dollars), ``lines`` are group and port of
    line A and of line B: the card has them on its own ports. ``busy`` never sleeps. The market ring
    is this process's own, in huge pages where there are some; of ``REGIONS`` the ``shared`` ones
    are for everybody to look at. ``order_line`` makes the card's order line an interface, for an
    order session by OUCH; without it the host's own network has the session, by FIX.
    """

    kind = "pcie"
    has_own_lines = True

    def __init__(self, name: str, transport: Transport, symbols: Mapping[str, int], *,
                 lines: Sequence[tuple[str, int]], stale_ns: int = 0, busy: bool = False,
                 is_released: bool = False, order_line: LineSettings | None = None,
                 shared: Collection[str] = ("RING_ORDER", "STATE"),
                 market_log2: int = MARKET_LOG2, order_log2: int = ORDER_LOG2) -> None:
        """Open the card and set it up.

        Raises :class:`TickwireError` when the name is taken, the system refuses memory, or the
        driver refuses the card.
        """
        self._host, self._owner = 0, cast(Any, None)
        self._waiting: OrderConnection | None = None
        self._line: OrderLine | None = None
        self._leased: socket.socket | None = None
        self._control: threading.Thread | None = None
        self._is_closing = self._is_over = self._is_left = False
        self._beats = self._octets = 0         # of the order line, when its session began
        with contextlib.ExitStack() as undo:
            undo.callback(transport.close)
            geometry, token_log2 = geometry_of(transport, len(symbols))
            super().__init__(name, geometry, symbols, market_log2=market_log2,
                             order_log2=order_log2, token_log2=token_log2,
                             is_released=is_released)
            undo.callback(super().close)
            self.card = SharedCard(
                transport, self.memory, shared=shared, symbols=self.symbols,
                market_log2=market_log2, order_log2=order_log2,
                capture_log2=CAPTURE_LOG2 if order_line else 0, network=CardNetwork(
                    lines=self._places(lines), symbols=dict(symbols) or None,
                    released=int(is_released), stale_ns=stale_ns,
                    settings=FeedSetting.CHECK_UDP))
            undo.callback(self.card.close)
            self._refuse_used()
            found = self.card.layout
            self.layout = replace(self.layout, market=found.market, orders=found.orders,
                                  state=found.state)
            self.remark = " ".join(filter(None, (self.remark, *self.card.remarks)))
            self.card.write_register("ORDER_SESSIONS", 1)
            self._keeper = SessionKeeper(self.card)
            self.mirror = Mirror(self, self.card, lambda: self._keeper.connection,
                                 without=_TOLD_BY_LOOP)
            self.mirror.show(has_counters=True)
            self._clock = (None if self.card.read_register("CORE_HZ") == NANOSECOND_HZ
                           else ClockServo(self.card))
            self._make_loop(busy)
            if order_line is not None:
                self._tap = order_line.tap()
                undo.callback(self._tap.close)
                self._line = OrderLine(self.card, self.card.capture_reader(), self._tap)
            undo.pop_all()

    def _refuse_used(self) -> None:
        """Refuse a card that still is in the middle of an earlier run."""
        taken = 0 if self.card.is_reset else self.card.counters()["intents"]
        if taken:
            raise TickwireError(
                f"Card {self.card.name} cannot be reset by itself and has taken {taken:,} intents "
                "of an earlier run, whose orders and triggers it still has: load its bitstream "
                "again, with tickwire device load FOLDER or a power cycle.")

    def _make_loop(self, busy: bool) -> None:
        """Make the loop's context."""
        arena = self._arena = Arena()
        self._loop = arena.take_rows("card", CARD)
        c = self._context = arena.view("card", CARD)[0]
        c["registers"], c["staging"] = self.layout.registers, self.layout.window
        c["bar"] = self.card.place(BAR_REGISTERS, 1 << BAR_LOG2)
        c["window"] = self.card.place(BAR_WINDOW, 1 << WINDOW_LOG2)
        c["polled"], c["timeout"] = arena.take("polled", 8), arena.take("timeout", 16)
        polled = arena.view("polled", np.int32)
        polled[0], polled[1] = self._waker.fileno(), _POLL_IN
        c["sleep_ns"] = SLEEP_NS
        c["idle_limit"] = 0 if busy else IDLE_LIMIT

    # The loop, and control beside it

    def run(self, turns: int = 0) -> None:
        """Do ``turns`` turns of loop and control; with 0, turns until bit 0 of CONTROL is clear.

        Without a bound control has a thread of its own, which lives until :meth:`close`.
        """
        for _ in range(turns):
            self._turn()
            engine_card.run(self._loop, 1)
        if turns:
            return
        if self._control is None:
            self._control = threading.Thread(target=self._keep, name="card", daemon=True)
            self._control.start()
        self._is_over = self._is_left = False
        engine_card.run(self._loop, 0)
        self._is_over = True
        until = time.monotonic() + _LEAVE_SECONDS
        while (not self._is_left and self._control.is_alive() and time.monotonic() < until):
            time.sleep(_REST_SECONDS)

    def _keep(self) -> None:
        """Do control's turns until the device is closed, the card is gone, or a turn fails."""
        try:
            while not self._is_closing:
                if not self._turn():
                    time.sleep(_REST_SECONDS)
        except Exception as error:
            self.failure = error if isinstance(error, TickwireError) else TickwireError(
                f"Control of card {self.card.name} failed: {type(error).__name__}: {error}.")
            self.show("CONTROL", 0)            # nobody trades on a card that nobody controls
            self.wake()

    def _turn(self) -> int:
        """Do what control is asked for; returns how much that was."""
        self.card.work()
        done = self._carried() + self.mirror.take() + self._armed()
        done += self._repaired() + self._attach()
        done += self._keeper.turn(time.time_ns(), self._settle, self.mirror)
        if self._clock is not None:
            done += self._clock.turn()
        if self._is_over and not self._is_left:
            self.mirror.show(has_counters=True)
            self._is_left = True
        self.mirror.show_in_time()
        return done

    def _carried(self) -> int:
        """Let the order line carry what is there; returns how many frames."""
        line, connection = self._line, self._keeper.connection
        if line is None:
            return 0
        done = line.turn()
        if connection is not None and line.is_lost:
            self.remarks.append(line.reason)
            connection.abandon()
        elif connection is not None:
            connection.counts["heartbeats_sent"] = line.counts["heartbeats"] - self._beats
            connection.counts["order_octets"] = line.counts["adopted_octets"] - self._octets
        if line.session is not None and (connection is None or self._is_over):
            line.release()                     # the connection is ordinary again: for a logout
        if connection is None:                 # no other has its socket, and the venue waits
            self._let_go()
        return done

    def _armed(self) -> int:
        """Show what became of arming keys that the loop has given to the card."""
        if not self._context["is_held"]:
            return 0
        self.card.rest()
        self.mirror.show(has_counters=False)
        if self.is_shown:
            self.mirror.count()                # whoever armed waits for the count
        self._context["is_held"] = 0
        return 1

    def _repaired(self) -> int:
        """Give the card answers of the request server; returns how many."""
        frames = list(itertools.islice(self._recovered(), _RECOVERED))
        for frame in frames:
            self.card.give_frame(frame)
        return len(frames)

    def _settle(self, settle: np.ndarray) -> bool:
        """Hand an answer to the loop, which gives it to the card behind what waits already."""
        if not self._host:
            self.push_intent(settle)
            return True
        return bool(self._owner.hand_over(settle))

    # What an engine and control need

    def commit_limits(self, seconds: float | None = None) -> int:
        """Put the staged limits in force, by default in the time in which a card answers."""
        seconds = self.card.seconds if seconds is None else seconds
        self._look_anew(seconds)               # a version that is old is that of another commit
        return super().commit_limits(seconds)

    def _look_anew(self, seconds: float) -> None:
        """Wait until what is shown was read after this call."""
        begun = self.mirror.shown

        def is_new() -> bool:
            self.mirror.is_asked = True
            return not self.is_shown or self.mirror.shown - begun > 1   # one may be under way
        self.wait(is_new, seconds, "show its registers")

    def arm(self, seconds: float | None = None) -> None:
        """Give both keys, by default in the time in which a card answers."""
        super().arm(self.card.seconds if seconds is None else seconds)

    def attach_lines(self, line_a: int, line_b: int = -1) -> None:
        """Nothing: the card has both lines on ports of its own."""

    def set_time(self, time: int) -> None:
        """Refused: a card's time is its own."""
        raise TickwireError(f"Device {self.name!r} is a card: its time is its own.")

    def attach_host(self, address: int, owner: Any) -> None:
        """Let the loop do the host's half as well: the HOST context of the engine ``owner``."""
        super().attach_host(address, owner)
        self._owner = owner
        self._host = self._keeper.host = self._context["host"] = address

    def attach_session(self, descriptor: int, received: bytes, sequence: int) -> None:
        """Hand over a socket that is logged in; see :class:`OwnedDevice`."""
        self._waiting = self._connect(descriptor, received, sequence, time.time_ns(),
                                      is_leased=True)

    def _attach(self) -> int:
        """Take the session that was handed over; with an order line the card is its writer."""
        connection = self._waiting
        if connection is None:
            return 0
        line = self._line
        if line is not None:
            self._beats, self._octets = line.counts["heartbeats"], line.counts["adopted_octets"]
            self._let_go()
            self._leased = socket.socket(fileno=os.dup(connection.fileno()))
            try:
                line.lease(self._leased, 0)
            except TickwireError as error:
                self.remarks.append(str(error))
                connection.abandon()
        self._keeper.connection, self._waiting = connection, None
        return 1

    def _let_go(self) -> None:
        """Close what the lease had of its connection."""
        if self._leased is not None:
            self._leased.close()
            self._leased = None

    @property
    def has_session(self) -> bool:
        """Whether control has the order session's socket."""
        return self._waiting is not None or super().has_session

    @property
    def order_line_counts(self) -> dict[str, int]:
        """What the order line has carried, as :class:`OrderLine` counts it; empty without one."""
        return dict(self._line.counts) if self._line is not None else {}

    @property
    def is_shown(self) -> bool:
        """Whether control shows registers and counters anew."""
        return self._control is not None

    def close(self) -> None:
        """Stop control and the card, and give everything back."""
        self._is_closing = True
        if self._control is not None:
            self._control.join()
        self._keeper.close()
        if self._waiting is not None:
            self._waiting.close()
        self._let_go()
        if self._line is not None:
            self._tap.close()
        with contextlib.suppress(TickwireError):
            self.card.close()
        super().close()
