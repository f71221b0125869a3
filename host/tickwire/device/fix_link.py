"""Order session over FIX, control's side: the host runs it, the device releases what it sends.

It has the interface of :class:`tickwire.device.link.OrderLink`. A session that is lost is connected
again with its numbers; what was sent and not received is then sent again by FIX's own rules, and
every order that may be open is asked for. With ``cancel_on_disconnect`` a session
that was away for too long has everything cancelled when it is back, and the device is killed; after
a kill while it was away everything is cancelled too. Sessions that copy it (``drop_copy_of``) run
beside it.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from tickwire.config import OrderSettings
from tickwire.device.owned import OwnedDevice
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.orders.fix.audit import AuditLog
from tickwire.orders.fix.gate import OrderGate
from tickwire.orders.fix.initiator import Initiator
from tickwire.orders.fix.lease import EngineLease
from tickwire.orders.fix.route import OrderRoute
from tickwire.orders.fix.service import FIXService, session_rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings, FIXSettings
from tickwire.orders.fix.store import FileStore, MemoryStore, Store
from tickwire.spec.intents import Operation
from tickwire.spec.registers import KillCause

LOGON_SECONDS = 5.0
SETTLE_SECONDS = 1.0                       # the loop takes 256 answers in some microseconds
_WAIT_SECONDS = 0.0002
_LOOK_SECONDS = 0.01
_UP = 1 << 16                              # bit of SESSION_STATE
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def order_session(orders: OrderSettings, fix: FIXSettings) -> tuple[FIXSessionSettings, bool]:
    """Return the session that carries orders, and whether the configuration names it.

    It is the first one of ``fix`` that connects; without one a session in memory to the simulated
    venue, whose numbers begin at 1 with every run.
    """
    if fix.order_session is not None:
        return fix.order_session, True
    return FIXSessionSettings(name="orders", host=orders.host, port=orders.fix_port,
                              reset_on_logon=True, reconnect_ms=50), False


def counterpart(session: FIXSessionSettings) -> FIXSessionSettings:
    """Return the same session as the venue has it; the throttle is the desk's alone."""
    return replace(session, role="acceptor", sender=session.target, target=session.sender,
                   sender_sub=session.target_sub, target_sub=session.sender_sub,
                   messages_per_second=0)


def run_prefix(now: int) -> str:
    """Return what ClOrdIDs of a run that begins at ``now`` begin with: its time in milliseconds."""
    value, text = now // 1_000_000, ""
    while value:
        value, digit = divmod(value, len(_LETTERS))
        text = _LETTERS[digit] + text
    return text + "-"


class FIXLink:
    """Keeps the FIX order session of a device up until it is cancelled."""

    def __init__(self, device: OwnedDevice, engine: Engine, orders: OrderSettings,
                 fix: FIXSettings) -> None:
        """Open the store; nothing is connected yet."""
        if engine.releases is None:
            raise TickwireError("The device runs its order session itself; route fix needs one "
                                "that releases orders to the host.")
        self.remarks: list[str] = []
        self._device, self._engine = device, engine
        self._settings, is_stored = order_session(orders, fix)
        rules, now = session_rules(self._settings), time.time_ns()
        store: Store = MemoryStore(now)
        self._audit: AuditLog | None = None
        if is_stored:
            store = FileStore(fix.store_path(self._settings.name), self._settings.identity, now,
                              fix.durability, fix.batch_ms)
            if fix.audit:
                self._audit = AuditLog(fix.store_path("x").parent, "fix")
                self._audit.open(now)
        self._session = Session(self._settings, rules, store)
        self._gate = OrderGate(self._session, engine.releases, run_prefix(now))
        self._route = self._session.application = OrderRoute(
            self._gate, self._settle, self._tell_state, self._tell_late, self._tell_unsettled)
        self._is_late = False
        self._withdrawing: asyncio.Task[None] | None = None
        if is_stored and self._settings.lease:
            lease = self._session.lease = EngineLease(self._session, self._gate, engine.releases,
                                                      self._route.refuse)
            engine.host["lease"] = lease.address
        copies = fix.order_copies
        self.remarks += [f"fix.sessions.{entry.name} is not used: it neither carries the orders "
                         f"of a run nor copies {self._settings.name}." for entry in fix.sessions
                         if entry not in (self._settings, *copies)]
        self._copies = FIXService(replace(fix, sessions=copies, audit=False), {},
                                  copied={self._settings.name: self._session}, audit=self._audit)
        # Here, because it loads kernels: before the market and a Logon's answer are awaited.
        self._initiator = Initiator(self._session, audit=self._audit,
                                    numbers=self._copies.numbers)
        self._task: asyncio.Task[None] | None = None

    def _tell_state(self, is_up: bool) -> None:
        self._device.write_register("SESSION_STATE", _UP if is_up else 0)
        self._device.wake()
        if not is_up and self._task is not None:
            self.remarks.append(f"The FIX order session is down: {self._session.ended}.")
        if is_up and self._session.logons > 1:
            self._withdrawing = asyncio.ensure_future(self._withdraw())

    def _tell_late(self) -> None:
        self._is_late = True
        self.remarks.append("The FIX order session is not back in time: all is cancelled and the "
                            "device killed when it is.")

    def _tell_unsettled(self) -> None:
        self._device.kill(KillCause.SETTLEMENT)
        self.remarks.append("The device is killed: an answer of the venue could not be settled; "
                            "the log tickwire.fix says why.")

    async def _withdraw(self) -> None:
        """Cancel every open order, if that is due when the device knows that the session is back.

        Until then a kill finds the session down and sends no cancel.
        """
        while not self._device.is_session_up:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self._session.is_logged_on:
                return
        if self._device.killed:
            self._engine.submit({"operation": Operation.MASS_CANCEL})
        elif self._is_late:
            self._device.kill(KillCause.SESSION_DOWN)
        self._is_late = False

    def _settle(self, fields: Mapping[str, int]) -> None:
        """Hand an answer to the loop; while its queue is full the session waits for it."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                self._engine.settle(fields)
                return
            except TickwireError as error:
                if time.monotonic() > until:
                    # What the venue said is lost otherwise, and the device would not know.
                    self._device.kill(KillCause.SETTLEMENT)
                    self.remarks.append(f"The device is killed: {error}")
                    return
            time.sleep(_WAIT_SECONDS)

    async def connect(self) -> None:
        """Log on once; raises :class:`TickwireError` when the venue does not answer, or at once
        when the session is closed at this time.
        """
        loop = asyncio.get_running_loop()
        assert self._engine.releases is not None
        schedule, now = self._settings.schedule(), time.time_ns()
        opens = schedule.opens(now)
        if opens > now:
            moment = datetime.fromtimestamp(opens // 1_000_000_000, schedule.zone)
            raise TickwireError(f"fix.sessions.{self._settings.name} is closed until "
                                f"{moment:%Y-%m-%d %H:%M:%S} {self._settings.time_zone}.")
        await self._copies.start()
        self._task = asyncio.create_task(self._initiator.run())
        until = time.monotonic() + LOGON_SECONDS
        while not self._session.logons:
            if time.monotonic() > until or self._task.done():
                why = self._session.ended.rstrip(".")
                if not why and not self._initiator.is_connected:
                    why = "no connection came about"
                await self._stop()
                raise TickwireError(
                    f"The FIX port {self._settings.host}:{self._settings.port} did not answer the "
                    f"Logon of {self._settings.identity} within {LOGON_SECONDS:g} s"
                    f"{f': {why}' if why else ''}.")
            await asyncio.sleep(_LOOK_SECONDS)
        loop.add_reader(self._engine.releases.fileno(), self._route.pump)

    async def keep(self) -> None:
        """Keep the session until it is cancelled, then log off."""
        assert self._task is not None
        try:
            await asyncio.shield(self._task)
        finally:
            assert self._engine.releases is not None
            asyncio.get_running_loop().remove_reader(self._engine.releases.fileno())
            await self._stop()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        await self._initiator.stop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self._copies.stop()

    def close(self) -> None:
        """Close the files; the loop does not run any more."""
        self._session.store.close()
        self._copies.close()
        if self._audit is not None:
            self._audit.close()
