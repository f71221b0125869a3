"""The venue as a whole: its market, its sockets, its day from start to end."""

import contextlib
import logging
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tickwire.errors import TickwireError
from tickwire_sim.exchange import answers, entry, flow, itch
from tickwire_sim.exchange.agents import Agents
from tickwire_sim.exchange.codes import Event, State
from tickwire_sim.exchange.config import VenueConfig
from tickwire_sim.exchange.connection import consume
from tickwire_sim.exchange.desk import CONNECTIONS_MAX, SECOND, OrderDesk
from tickwire_sim.exchange.engine import Engine, load, take_store
from tickwire_sim.exchange.fix_gateway import FIXGateway
from tickwire_sim.exchange.layout import ACCOUNT, POLLED, SERVER
from tickwire_sim.exchange.lines import Lines
from tickwire_sim.exchange.publisher import HELD_NANOSECONDS
from tickwire_sim.exchange.serve import CONNECTIONS, LISTENER, POLL_IN, REQUESTS, WAKER, serve

ACCOUNT_OCTETS, ACCOUNT_MESSAGES = 1 << 24, 1 << 18
CONTROL_NANOSECONDS = 50_000_000           # the control loop runs at least this often
LAG_NANOSECONDS = 200_000_000              # agents that are further behind give the time up
REST_NANOSECONDS = 100_000                 # shortest sleep between two actions of the agents
VIRTUAL_CHUNK = 1 << 16                    # messages between two saves of a virtual day
_HOUR = 3_600 * SECOND
DAY = (3 * _HOUR, 4 * _HOUR, 9 * _HOUR + _HOUR // 2)
"""Start of messages, of system hours and of market hours in a virtual day."""
NIGHT = (16 * _HOUR, 20 * _HOUR, 20 * _HOUR + _HOUR // 12)
"""End of market hours, of system hours and of messages in a virtual day."""

_LOG = logging.getLogger("tickwire.venue")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a running venue is: multicast groups with ports, UDP and TCP ports of ``host``."""

    host: str
    line_a: tuple[str, int]
    line_b: tuple[str, int]
    request: int
    orders: int


def _since_midnight() -> int:
    """Nanoseconds since midnight, local time."""
    now = time.time_ns()
    local = time.localtime(now // SECOND)
    return ((local.tm_hour * 60 + local.tm_min) * 60 + local.tm_sec) * SECOND + now % SECOND


class Venue:
    """A market with agents, on real sockets (:meth:`start`) or in virtual time without any."""

    def __init__(self, config: VenueConfig | None = None) -> None:
        """Make empty books; nothing is open yet."""
        self.config = config = config or VenueConfig()
        self.engine = Engine(config.symbols, order_slots=config.order_slots, depth=config.depth,
                             store_octets=config.store_octets,
                             store_messages=max(config.store_octets >> 5, 1 << 12))
        self.agents = Agents(self.engine, seed=config.seed,
                             messages_per_second=max(config.messages_per_second, 1),
                             live=config.live_target, count=config.agents)
        arena = self.engine.arena
        for number, account in enumerate(config.accounts, 1):
            row = arena.view("accounts", ACCOUNT)[number]
            row["store"] = take_store(arena, f"account {number}", ACCOUNT_OCTETS, ACCOUNT_MESSAGES)
            row["firm"] = int.from_bytes(account.firm.ljust(4).encode(), "big")
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._commands: deque[Callable[[], object]] = deque()
        self._stopping = threading.Event()
        self._lines: Lines | None = None
        self._desk: OrderDesk | None = None
        self._began = 0

    def run_virtual(self, messages: int, write: Callable[[memoryview], object] | None = None,
                    ) -> int:
        """Trade a whole day of at least ``messages`` without sockets; return their number.

        ``write`` gets the messages as BinaryFILE records, whole ones in each call. A day is a
        function of the configuration alone. The last action may make a few messages too many.
        """
        if self._began:
            raise TickwireError("This venue has traded already; a virtual day needs a new one.")
        self._began = 1
        engine, saved = self.engine, 1
        engine.open(DAY)
        self.agents.due = DAY[2]
        goal = messages - len(NIGHT)
        while engine.messages < goal:
            before = engine.messages
            chunk = min(goal, before + VIRTUAL_CHUNK, before + (self.config.store_octets >> 8))
            flow.run(self.agents.address, chunk, NIGHT[0], 256 * VIRTUAL_CHUNK)
            if engine.messages == before:
                raise TickwireError(f"The agents make no more messages after {before:,}; "
                                    f"{messages:,} were asked for.")
            saved = engine.save(saved, write) if write else engine.messages + 1
        engine.close(NIGHT)
        if write:
            engine.save(saved, write)
        return engine.messages

    def open(self) -> Ports:
        """Open every socket; raises :class:`TickwireError` when one cannot be opened."""
        if self._began:
            raise TickwireError("This venue has run already; start a new one.")
        # Nobody shall wait for a compiler once the sockets are open.
        load(serve, consume, entry.cancel_all, itch.system_event, itch.trading_action,
             itch.directory, answers.system_event)
        config, arena = self.config, self.engine.arena
        midnight = time.monotonic_ns() - _since_midnight()
        arena.take_rows("polled", POLLED, CONNECTIONS + CONNECTIONS_MAX)
        self._polled = arena.view("polled", POLLED)
        self._polled["socket"], self._polled["events"] = -1, POLL_IN
        self._lines = Lines(arena, config, self.engine.store, arena.address("counters"))
        try:
            self._desk = OrderDesk(self.engine, config, self._polled, midnight)
        except TickwireError:
            self._lines.close()
            raise
        self._began = time.monotonic_ns()
        self._wake_end, self._waker = socket.socketpair()
        self._wake_end.setblocking(False)
        self._set_up_server(midnight)
        line_a, line_b = self._lines.ports
        self.ports = Ports(config.interface, line_a, line_b, self._lines.request_port,
                           self._desk.port)
        return self.ports

    def _set_up_server(self, midnight: int) -> None:
        arena = self.engine.arena
        self._server = arena.take_rows("server", SERVER)
        self._server_row = row = arena.view("server", SERVER)[0]
        row["engine"], row["flow"] = self.engine.address, self.agents.address
        row["publisher"], row["counters"] = self._lines.address, arena.address("counters")
        row["polled"] = arena.address("polled")
        row["polled_count"] = CONNECTIONS + CONNECTIONS_MAX
        row["connections"], row["connection_count"] = self._desk.address, CONNECTIONS_MAX
        row["timeout"] = arena.take("timeout", 16)
        row["lag_max"], row["rest"] = LAG_NANOSECONDS, REST_NANOSECONDS
        row["midnight"] = midnight
        for index, made in ((LISTENER, self._desk.listener), (WAKER, self._wake_end),
                            (REQUESTS, self._lines.requests)):
            self._polled[index]["socket"] = made.fileno()

    def start(self) -> Ports:
        """Open the sockets and trade in a thread of its own until :meth:`stop`."""
        ports = self.open()
        self._thread = threading.Thread(target=self._guarded, name="venue", daemon=True)
        self._thread.start()
        return ports

    def _guarded(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self._failure = error
            _LOG.critical("The venue failed: %r.", error)

    def run(self) -> None:
        """Trade until :meth:`stop`, or for the configured time; :meth:`open` comes first."""
        config = self.config
        try:
            self._begin_day()
            until = (time.monotonic_ns() + round(config.seconds * SECOND) if config.seconds
                     else 1 << 62)
            while not self._stopping.is_set() and time.monotonic_ns() < until:
                self._turn(until)
            self._end_day()
        finally:
            self._close()

    def _begin_day(self) -> None:
        engine, now = self.engine, time.monotonic_ns()
        engine.clock = now - int(self._server_row["midnight"])
        engine.open()
        for number in range(1, len(self.config.accounts) + 1):
            answers.system_event(engine.address, number, Event.START_OF_DAY)
        self.agents.due = engine.clock
        self._server_row["is_trading"] = self.config.messages_per_second > 0

    def _end_day(self) -> None:
        engine, lines, config = self.engine, self._lines, self.config
        self._server_row["is_trading"] = 0
        accounts = engine.arena.view("accounts", ACCOUNT)
        for number in range(1, len(config.accounts) + 1):
            accounts[number]["is_disabled"] = 1
            answers.system_event(engine.address, number, Event.END_OF_DAY)
        self._turn(0)
        # Nobody is left who could change a book after the end of messages.
        self._desk.end_session()
        engine.close()
        while lines.published < engine.messages:
            self._turn(0)
        lines.end(min(config.heartbeat_seconds, max(config.linger_seconds / 4, 0.01)))
        self._turn(0)
        # What a line delays goes out before its socket is closed.
        delay = max(config.line_a.delay_us, config.line_b.delay_us) * 1_000 + HELD_NANOSECONDS
        until = time.monotonic_ns() + max(round(config.linger_seconds * SECOND), delay)
        while time.monotonic_ns() < until:
            self._turn(until)

    def request_stop(self) -> None:
        """End the day in good order, soon."""
        self._stopping.set()
        self._wake()

    def stop(self, timeout: float = 30.0) -> None:
        """End the day in good order and wait for it; harmless when nothing runs."""
        self.request_stop()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TickwireError(f"The venue did not stop within {timeout:g} seconds.")
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _wake(self) -> None:
        if self._began > 1:
            with contextlib.suppress(OSError):         # closed already, or awake anyway
                self._waker.send(b"w")

    def halt(self, symbol: str, reason: str = "T1") -> None:
        """Halt trading in ``symbol``; orders stay in the book and can be canceled."""
        self._set_state(symbol, State.HALTED, reason)

    def resume(self, symbol: str, reason: str = "T3") -> None:
        """Resume trading in ``symbol``."""
        self._set_state(symbol, State.TRADING, reason)

    def _set_state(self, symbol: str, state: int, reason: str) -> None:
        names = [known.name for known in self.config.symbols]
        if symbol not in names:
            raise TickwireError(f"The venue has no symbol {symbol!r}.")
        number, code = names.index(symbol), int.from_bytes(reason.ljust(4).encode(), "big")
        self._commands.append(
            lambda: itch.trading_action(self.engine.address, number, state, code))
        self._wake()

    def statistics(self) -> dict[str, Any]:
        """Every counter by its name, and what there is now."""
        return {**self.engine.counters(), "messages": self.engine.messages,
                "orders_live": self.engine.orders_live,
                "clients": self._desk.clients if self._desk else 0}

    def _turn(self, until: int) -> None:
        """Serve for a moment, then do what needs Python."""
        now = time.monotonic_ns()
        serve(self._server, min(now + CONTROL_NANOSECONDS, until))
        while self._commands:
            self._commands.popleft()()
        if self._polled[WAKER]["returned"]:
            with contextlib.suppress(OSError):
                self._wake_end.recv(4_096)
        if self._polled[LISTENER]["returned"]:
            self._desk.accept()
        self._desk.look_after_all()

    def _close(self) -> None:
        """Close every socket."""
        self._desk.close()
        self._lines.close()
        for made in (self._wake_end, self._waker):
            made.close()


def run_venue(config: VenueConfig, gateway: Callable[[int], FIXGateway] | None = None) -> int:
    """Run a venue until its time is over, SIGINT or SIGTERM; return the exit status.

    One line on standard error says where it listens, another one what it did. ``gateway`` makes
    the FIX half, given the order port.
    """
    venue = Venue(config)
    ports = venue.open()
    fix = gateway(ports.orders) if gateway else FIXGateway((), "", 0, "", "")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: venue.request_stop())
    sys.stderr.write(
        f"Venue {config.session}: {len(config.symbols)} symbols, lines "
        f"{ports.line_a[0]}:{ports.line_a[1]} and {ports.line_b[0]}:{ports.line_b[1]}, "
        f"requests {ports.host}:{ports.request}, orders {ports.host}:{ports.orders}"
        f"{f', FIX {ports.host}:{fix.port}' if fix.port else ''}.\n")
    with fix:
        fix.begin()
        venue.run()
    found = venue.statistics()
    sys.stderr.write(
        f"{found['messages']:,} messages, {found['executions']:,} executions, "
        f"{found['fills']:,} fills of clients, {found['messages_repeated']:,} messages repeated.\n")
    return 0
