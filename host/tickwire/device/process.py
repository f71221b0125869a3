"""The device's process: device, engine, order session and repair, from a configuration.

Everything here is control: it starts the loop, keeps the session and the feed in order, and stops
in good order, open orders first.
"""

import asyncio
import os
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from tickwire.commands.children import Parent
from tickwire.config import Config, SymbolSettings
from tickwire.device.discovery import choose
from tickwire.device.fix_link import FIXLink
from tickwire.device.kinds import WAITING, make_device
from tickwire.device.limits_rows import fill_limits
from tickwire.device.link import OrderLink
from tickwire.device.repair import Repair
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.feed.udp import Line, open_lines
from tickwire.kernels.compiling import when_compiling
from tickwire.spec.records import FeedState
from tickwire.spec.registers import KillAction, KillCause, Status
from tickwire.strategy.base import load

FEED_SECONDS = 10.0                        # until market data and the directory must have come
SESSION_SECONDS = 10.0                     # until the order session must be up
CLOSE_SECONDS = 1.0                        # for open orders to be cancelled at the end
LOG_OFF_SECONDS = 4.0                      # for sessions to log off behind that
FULL = ("The system drops datagrams, because the receive buffers of the lines are full: "
        "the machine is too busy.")
SLOW = ("The strategy is too slow for this market: records were overwritten before it had read "
        "them.")
_MILLISECOND = 1_000_000
_MICROSECONDS = 1_000                      # of a millisecond: the watchdog's unit
_STEP_SECONDS = 0.005
_TICK = SymbolSettings(symbol="ANY").tick  # of an instrument that the configuration does not name


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the process tells to whoever started it, and what it waits for."""

    remark: Callable[[str], None]
    joined: Callable[[], None]
    trading: Callable[[], None]
    go: Callable[[], Awaitable[bool]]
    stop: Callable[[], Awaitable[bool]]


class DeviceProcess:
    """A device with everything around it, from start to end."""

    def __init__(self, config: Config) -> None:
        """Check the strategy and make the device; nothing is open yet."""
        self.config = config
        symbols = config.symbols
        chosen, self.choice = choose(config)
        strategy = load(config.strategy.path, symbols, config.strategy.parameters)
        settings = config.device
        self.device = make_device(config, chosen)
        self._open: list[Line | OrderLink | FIXLink | Repair] = []
        self._limited = set(config.risk.symbols)
        self._names = b""                  # of all instruments, as limits are staged for them
        try:
            self.device.check()
            self.engine = Engine(self.device, strategy, core=settings.core,
                                 priority=settings.priority, lock_memory=settings.lock_memory)
            self.engine.name_strategy(config.strategy.path)
            self._stage_limits()
        except BaseException:
            self.device.close()
            raise

    def _stage_limits(self) -> None:
        """Stage the limits of the configuration; an instrument without a name stays disabled."""
        self._names = self.engine.positions["symbol"].tobytes()
        ticks = {entry.symbol: entry.tick for entry in self.config.symbols}
        names = [bytes(position["symbol"]).decode("latin-1").strip()
                 for position in self.engine.positions]
        self._limited.difference_update(names)
        fill_limits(self.device.stage_limits(), self.config.risk, {
            number: (symbol, ticks.get(symbol, _TICK)) for number, symbol in enumerate(names)
            if symbol in ticks or (symbol and not ticks)})

    def learn_names(self) -> bool:
        """Commit limits for what the directory has named since the last call; was there any?

        Only where the configuration names no symbols: else all limits stand from the beginning.
        """
        if self.config.symbols or self.engine.positions["symbol"].tobytes() == self._names:
            return False
        self._stage_limits()
        self.device.commit_limits()
        return True

    async def until_named(self, seconds: float) -> None:
        """Wait until limits are staged for every symbol that ``risk.symbols`` has.

        Raises :class:`TickwireError` for one that the directory does not name for so long: nothing
        may trade by other limits than an operator meant.
        """
        until = time.monotonic() + seconds
        while True:
            self.learn_names()
            if not self._limited:
                return
            if time.monotonic() >= until:
                symbol, room = min(self._limited), self.config.geometry.instruments
                named = int(np.count_nonzero(self.engine.positions["locate"]))
                full = ", which is all that geometry.instruments has room for"
                raise TickwireError(
                    f"risk.symbols.{symbol} is not one of the {named:,} symbols that the "
                    f"directory named within {seconds:g} s{full if named == room else ''}.")
            await asyncio.sleep(_STEP_SECONDS)

    async def run(self, hooks: Hooks) -> None:
        """Trade until ``hooks.stop`` returns; raises :class:`TickwireError` when it cannot."""
        device, config = self.device, self.config
        for remark in filter(None, (self.choice, device.remark)):
            hooks.remark(remark)
        feed = config.feed
        if not device.has_own_lines:
            lines = open_lines((feed.group_a, feed.port_a), (feed.group_b, feed.port_b),
                               feed.interface)
            self._open += lines
            for line in lines:
                if line.remark:
                    hooks.remark(line.remark)
            device.attach_lines(*(line.fileno() for line in lines))
        repair = Repair(device, (feed.request_host, feed.request_port))
        link: OrderLink | FIXLink = (FIXLink(device, self.engine, config.orders, config.fix)
                                     if config.orders.route == "fix"
                                     else OrderLink(device, config.orders, self.engine))
        self._open += [repair, link]
        device.write_register("KILL_ACTION", KillAction.MASS_CANCEL)
        device.write_register("WATCHDOG_PERIOD", config.device.watchdog_ms * _MICROSECONDS)
        self.engine.start()
        device.commit_limits()
        for remark in self.engine.remarks:
            hooks.remark(remark)
        hooks.joined()
        if not await hooks.go():
            return
        await link.connect()
        tasks = [asyncio.create_task(repair.keep()), asyncio.create_task(link.keep())]
        try:
            await self._until_ready()
            await self.until_named(FEED_SECONDS)
            device.arm()
            try:
                self.engine.mark_start()
                hooks.trading()
                await self._trade(hooks, tasks, link)
            finally:                       # whatever ended it, while the session still is kept
                await self._wind_down()
        finally:
            for task in tasks:
                task.cancel()
            ended, _ = await asyncio.wait(tasks, timeout=LOG_OFF_SECONDS)
            for task in ended:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    async def _until_ready(self) -> None:
        """Wait for the session and the feed; say which of them does not come."""
        feed, begin, device = self.config.feed, time.monotonic(), self.device
        while not device.is_session_up:
            if device.failure is not None:
                raise device.failure
            if time.monotonic() - begin > SESSION_SECONDS:
                raise TickwireError(" ".join(("The order session did not come up within "
                                              f"{SESSION_SECONDS:g} s of the login.",
                                              *device.remarks[-1:])))
            await asyncio.sleep(_STEP_SECONDS)
        while device.read_register("FEED_STATE") != FeedState.LIVE:
            if device.failure is not None:
                raise device.failure
            if time.monotonic() - begin > FEED_SECONDS:
                state = FeedState(self.device.read_register("FEED_STATE")).name.lower()
                raise TickwireError(
                    f"The feed is {state} after {FEED_SECONDS:g} s, not live: lines "
                    f"{feed.group_a}:{feed.port_a} and {feed.group_b}:{feed.port_b}, "
                    f"interface {feed.interface}.")
            await asyncio.sleep(_STEP_SECONDS)

    async def _trade(self, hooks: Hooks, tasks: list[asyncio.Task[None]],
                     link: OrderLink | FIXLink) -> None:
        """Let the engine trade; stop when asked, or when something that must run has ended."""
        stop, is_told, is_slow = asyncio.ensure_future(hooks.stop()), False, False
        device = self.device
        try:
            while not stop.done():
                await asyncio.wait([stop], timeout=0.1)
                self.learn_names()
                for remarks in (link.remarks, device.remarks):
                    for remark in remarks:
                        hooks.remark(remark)
                    remarks.clear()
                if not is_told and self._has_drops():
                    hooks.remark(FULL)
                    is_told = True
                if not is_slow and self.engine.strategy_records["records_unread"]:
                    hooks.remark(SLOW)
                    is_slow = True
                if not self.engine.is_running:
                    raise device.failure or TickwireError("The engine's loop ended by itself.")
                if self.engine.failure is not None:
                    raise TickwireError(_failure(self.engine.failure))
                for task in tasks:
                    if task.done() and task.exception() is not None:
                        raise task.exception()         # type: ignore[misc]
        finally:
            stop.cancel()

    def _has_drops(self) -> bool:
        return any(opened.drops() for opened in self._open if isinstance(opened, Line))

    async def _wind_down(self) -> None:
        """Kill, which cancels every open order, and wait until the venue has confirmed."""
        device = self.device
        if not device.killed:
            device.kill(KillCause.REGISTER)
        until = time.monotonic() + CLOSE_SECONDS
        while (time.monotonic() < until and self.engine.is_running
               and Status.SESSION_UP in device.status):
            if device.killed and int(self.engine.positions["open_orders"].sum()) == 0:
                return
            await asyncio.sleep(_STEP_SECONDS)

    def close(self) -> None:
        """Stop the loop and give everything back."""
        try:
            self.engine.close()
        finally:
            for opened in reversed(self._open):
                opened.close()
            self.device.close()


def main(parent: Parent, config: Config) -> None:
    """Run the device as a child process of ``parent``."""
    when_compiling(lambda name, number: parent.say(compiling=name, number=number))
    if config.device.kind == "verilated":
        parent.say(remark=f"{WAITING['verilated']}.")
    process = DeviceProcess(config)
    try:
        asyncio.run(process.run(Hooks(
            remark=lambda sentence: parent.say(remark=sentence),
            joined=lambda: parent.say(state="joined"),
            trading=lambda: parent.say(state="trading"),
            go=lambda: parent.wait("go"),
            stop=lambda: parent.wait("stop"))))
    finally:
        process.close()
    parent.say(state="ended", statistics=process.engine.strategy_records)


def _failure(error: BaseException) -> str:
    """Say what ended a Python strategy, and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return (f"The strategy failed: {type(error).__name__}: {error} "
            f"({os.path.basename(where.filename)}, line {where.lineno}).")
