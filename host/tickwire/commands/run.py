"""``tickwire run``: a venue, a device and a strategy, a view while they trade, a summary."""

import contextlib
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from tickwire.commands.arguments import Whole, check_output, write_json
from tickwire.commands.children import Child
from tickwire.commands.starting import Starting
from tickwire.commands.venue import check_stand_in
from tickwire.config import METRICS_HOST, Config, demo, load, parse_override
from tickwire.device.shared import SharedMemory, attach, remove_stale
from tickwire.errors import INTERNAL_STATUS, TickwireError
from tickwire.spec.records import FeedState
from tickwire.spec.registers import KillCause, Status

START_SECONDS = 900.0                      # with a cold cache the kernels are compiled first
LIVE = "the order session and live market data"
AWAITED = {"venue": "the venue to open its ports", "device": "the device to open its lines"}
MISSED = ("records_coalesced", "records_unread")   # what a Python strategy was not given
LOOK_SECONDS = 0.25
SIMULATED = {"venue.messages_per_second": 50}   # the demo of a simulated card: a slow market
SMALL_MOVES = {                            # and the demo's strategy in it
    "strategy.parameters.threshold": "0.01", "strategy.parameters.spread_max": "0.05",
    "strategy.parameters.mean_shift": 6}


class Session:
    """One run, as the parent of the venue's and the device's process sees it."""

    def __init__(self, config: Config, *, with_venue: bool, has_view: bool) -> None:
        """Nothing is started yet."""
        self.config = config
        self.children: dict[str, Child] = {}
        self.states: dict[str, str] = {}
        self.statistics: dict[str, Any] = {}
        self.starting = Starting()
        self.is_interrupted = False
        self.failure: TickwireError | None = None
        self._memory: SharedMemory | None = None
        self._since = 0.0                  # when trading began
        self._with_venue, self._has_view = with_venue, has_view
        self._selector = selectors.DefaultSelector()

    def run(self) -> dict[str, Any]:
        """Trade and return the summary; raises :class:`TickwireError` when it does not begin.

        ``failure`` afterwards is what ended it too early, if anything did.
        """
        begin = time.monotonic()
        try:
            self._start()
            started = time.monotonic() - begin
            # Only now: what looks at the device loads the compiler; the children need the cores.
            from tickwire.observe.observer import Observer
            from tickwire.observe.view import make_view
            assert self._memory is not None
            observer = Observer(self._memory)
            view = make_view(observer, is_live=self._has_view and self.config.observe.view)
            try:
                with view, self._metrics(observer):
                    self._watch(view)
            except TickwireError as error:
                self.failure = _early(error)
            return {**self._finish(observer), "start_seconds": round(started, 3)}
        finally:
            self.starting.end()
            for child in self.children.values():
                child.stop()
            self._selector.close()
            if self._memory is not None:
                self._memory.close()
            self._clear()

    def interrupt(self, *_: object) -> None:
        """Ask for the end, from a signal."""
        self.is_interrupted = True

    def _start(self) -> None:
        self._check_port()
        self._check_session()
        if self._with_venue:
            self._spawn("venue", "tickwire.commands.venue:child")
        self._spawn("device", "tickwire.device.process:main")
        ready = {"venue": "open", "device": "joined"}
        self._until(lambda: all(self.states.get(name) == ready[name] for name in self.children),
                    "started", lambda: " and ".join(
                        AWAITED[name] for name in self.children
                        if self.states.get(name) != ready[name]))
        # Mapped from here on: whatever becomes of the device, its numbers can be read.
        self._memory = attach(self.config.device.name)
        for child in reversed(self.children.values()):
            child.say({"go": True})
        self._until(lambda: self.states.get("device") == "trading", "trading",
                    lambda: LIVE)
        self._since = time.monotonic()

    def _spawn(self, name: str, function: str) -> None:
        child = self.children[name] = Child(name, function, self.config)
        self._selector.register(child, selectors.EVENT_READ, child)

    def _until(self, is_done: Callable[[], bool], what: str, awaited: Callable[[], str]) -> None:
        """Wait for the children; when it takes long tell ``awaited``, or what they compile."""
        begin = time.monotonic()
        while not is_done():
            if self.is_interrupted:
                raise KeyboardInterrupt
            passed = time.monotonic() - begin
            self.starting.show(passed, awaited())
            if passed > START_SECONDS:
                late = ", ".join(self.children)
                raise TickwireError(f"The run was not {what} within {START_SECONDS:g} s; "
                                    f"still waiting for: {late}.")
            self._hear(LOOK_SECONDS)
        self.starting.end()

    def _hear(self, seconds: float) -> None:
        """Wait for news of the children for so long; raises with what went wrong."""
        for key, _ in self._selector.select(max(seconds, 0)):
            child: Child = key.data
            for message in child.hear():
                if "remark" in message:
                    self.starting.say(message["remark"])
                self.starting.hear(child.name, message)
                if "error" in message:
                    raise _told(message)
                if "state" in message:
                    self.states[child.name] = message["state"]
                    self.statistics |= message.get("statistics", {})
            if child.is_gone:
                self._selector.unregister(child)
                if self.states.get(child.name) != "ended":
                    raise ended_early(child.end_sentence())

    def _check_port(self) -> None:
        """Refuse a port for metrics that is taken, while nothing has been started."""
        port = self.config.observe.prometheus_port
        if port:
            with socket.socket() as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    tried.bind((METRICS_HOST, port))
                except OSError as error:
                    raise TickwireError(f"observe.prometheus_port {port} cannot be served on "
                                        f"{METRICS_HOST}: {error.strerror}.") from None

    def _check_session(self) -> None:
        """Refuse a FIX session that cannot begin, while nothing has been started."""
        session = self.config.fix.order_session
        if self.config.orders.route == "fix" and session is not None:
            from tickwire.orders.fix.files import check_files
            if self._with_venue:
                check_stand_in(session)
            for entry in (session, *self.config.fix.order_copies):
                check_files(entry)

    def _metrics(self, observer: Any) -> contextlib.AbstractContextManager[object]:
        """Serve metrics where a port is configured."""
        port = self.config.observe.prometheus_port
        if not port:
            return contextlib.nullcontext()
        from tickwire.observe.prometheus import Endpoint
        return contextlib.closing(Endpoint(observer, port))

    def _watch(self, view: Any) -> None:
        seconds = self.config.run.seconds
        until = self._since + seconds if seconds else float("inf")
        while not self.is_interrupted:
            left = until - time.monotonic()
            if left <= 0:
                return
            self._hear(min(left, LOOK_SECONDS))
            view.show()

    def _finish(self, observer: Any) -> dict[str, Any]:
        """Stop the device, then the venue; return the summary of what the device left."""
        from tickwire.observe.summary import cause_text, summary
        cause = cause_text(observer.killed)    # stopping in good order is a kill as well
        self.failure = self.failure or self._fault(observer)
        for name in ("device", "venue"):
            if name in self.children:
                self._dismiss(self.children[name])
        told = {name: self.statistics[name] for name in MISSED if name in self.statistics}
        found = {**summary(observer), **told, "kill_cause": cause}
        observer.close()
        return found

    def _dismiss(self, child: Child) -> None:
        """End a child; one that does not end in good order is what ended the run."""
        for message in child.stop():
            self.statistics |= message.get("statistics", {})
            if "state" in message:
                self.states[child.name] = message["state"]
            if "error" in message:
                self.failure = self.failure or _early(_told(message))
        if self.states.get(child.name) != "ended":
            self.failure = self.failure or ended_early(child.end_sentence())

    def _fault(self, observer: Any) -> TickwireError | None:
        """Return what keeps the device from trading, if anything does."""
        from tickwire.observe.summary import cause_text
        stale_ms = self.config.feed.stale_ms
        for is_so, sentence in (
                (observer.killed & ~KillCause.POWER_ON,
                 f"The device was killed while it traded ({cause_text(observer.killed)}): "
                 "no order has left since."),
                (Status.SESSION_UP not in observer.status,
                 "The order session was lost, and was down at the end: no order could leave."),
                (not self._with_venue and observer.feed_state == FeedState.STALE,
                 f"The feed was lost: nothing had come on its lines for {stale_ms:,} ms.")):
            if is_so:
                return ended_early(sentence)
        return None

    def _clear(self) -> None:
        """Remove what a device's process that died has left."""
        with contextlib.suppress(TickwireError):
            remove_stale(self.config.device.name)


def ended_early(sentence: str) -> TickwireError:
    """Return the error of a run that traded, but not to its end."""
    error = TickwireError(sentence)
    error.exit_code = 1
    return error


def _told(message: dict[str, Any]) -> TickwireError:
    """Return the error that a child told."""
    error = TickwireError(message["error"])
    error.exit_code = message.get("status", 1)
    return error


def _early(error: TickwireError) -> TickwireError:
    """Return the error of a run that ``error`` ended; a fault of ours stays one."""
    return error if error.exit_code == INTERNAL_STATUS else ended_early(str(error))


@contextlib.contextmanager
def _signals(session: Session) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run in good order."""
    before = {number: signal.signal(number, session.interrupt)
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    *,
    config: Annotated[Path | None, Parameter(help="Configuration; the demo without one.")] = None,
    seconds: Annotated[Whole | None, Parameter(
        help="How long to trade; 0 until Ctrl-C. By default as configured.")] = None,
    json: Annotated[Path | None, Parameter(help="Summary as JSON.")] = None,
    view: Annotated[bool, Parameter(help="Live view, where there is a terminal.")] = True,
    venue: Annotated[bool, Parameter(
        help="Start the simulated venue; without it the configured ports must answer.")] = True,
    device: Annotated[Literal["auto", "software", "verilated", "pcie"] | None, Parameter(
        help="What trades: kernels, the card's gateware as a simulation, or a card. By default "
             "as configured.")] = None,
    route: Annotated[Literal["ouch", "fix"] | None, Parameter(
        help="Protocol of orders. By default as configured.")] = None,
    impair: Annotated[Decimal | None, Parameter(
        help="Share of packets that each line of the venue loses, repeats and reorders.")] = None,
    set: Annotated[tuple[str, ...], Parameter(
        name="--set", negative="",
        help="KEY=VALUE that overrides the configuration; again for more.")] = (),
) -> int:
    """Trade with a venue, a device and a strategy, each process on this machine.

    Without a configuration it is the demo: four symbols, the spread strategy, 20 seconds. At the
    end, or at Ctrl-C, open orders are cancelled and the summary is shown. A simulated card takes
    milliseconds for what a card does in nanoseconds, so its demo has a slow market; latencies are
    cycles of the card.
    """
    overrides: dict[str, object] = dict(map(parse_override, set))
    if seconds is not None:
        overrides["run.seconds"] = seconds
    if device is not None:
        overrides["device.kind"] = device
        if device == "verilated" and config is None:
            own = {} if "strategy.path" in overrides else SMALL_MOVES
            overrides = SIMULATED | own | overrides
    if route is not None:
        overrides["orders.route"] = route
    if impair is not None:
        if not (impair.is_finite() and 0 <= impair <= 1):
            raise TickwireError(f"--impair must be a fraction from 0 to 1, not {impair}.")
        for line in ("a", "b"):
            for what in ("loss", "duplicate", "reorder"):
                overrides.setdefault(f"venue.line_{line}.{what}", impair)
    found = (load(config) if config else demo()).with_overrides(overrides)
    return trade(found, with_venue=venue, has_view=view, json_path=json)


def _missed(found: dict[str, Any]) -> list[str]:
    """Say how many records a Python strategy was not given, if any."""
    coalesced, unread = (found.get(name, 0) for name in MISSED)
    if not coalesced and not unread:
        return []
    return [f"strategy was not given {coalesced:,} quotes that newer ones replaced and "
            f"{unread:,} records that were overwritten unread"]


def trade(config: Config, *, with_venue: bool = True, has_view: bool = True,
          json_path: Path | None = None) -> int:
    """Run ``config`` and write the summary; returns the exit status."""
    check_output(json_path)
    session = Session(config, with_venue=with_venue, has_view=has_view)
    with _signals(session):
        found = session.run()
    from tickwire.observe.summary import lines
    sys.stdout.write("\n".join((*lines(found), *_missed(found))) + "\n")
    if json_path is not None:
        write_json(json_path, found)
    if session.failure is not None:
        raise session.failure
    return 0
