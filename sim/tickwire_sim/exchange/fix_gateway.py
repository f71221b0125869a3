"""The FIX half of the venue: an acceptor in a thread of its own, a desk for each session."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence

from tickwire.errors import TickwireError
from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.service import session_rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings, FIXSettings
from tickwire.orders.fix.store import FileStore, MemoryStore, Store
from tickwire_sim.exchange.fix_desk import FIXDesk
from tickwire_sim.exchange.ouch_client import OuchClient

_START_SECONDS = 10.0


class FIXGateway:
    """Listens for ``sessions``, acceptors of one port, and carries their orders to the order port.

    Without sessions it does nothing. ``stored`` says where their numbers are kept, beside those of
    the other side; without it a session begins anew with the venue. A context: it is open inside,
    and ``port`` is where. Every session uses the same account.
    """

    def __init__(self, sessions: Sequence[FIXSessionSettings], host: str, order_port: int,
                 username: str, password: str, stored: FIXSettings | None = None) -> None:
        self.port = 0
        self._stored = stored
        self._settings, self._order_port = sessions, order_port
        self._host, self._account = host, (username, password)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._begun: asyncio.Event | None = None
        self._open = threading.Event()
        self._failure: BaseException | None = None
        if sessions:
            self.port = sessions[0].port

    def __enter__(self) -> "FIXGateway":
        """Listen; raises :class:`TickwireError` when the port is not to be had."""
        if self._settings:
            self._thread = threading.Thread(target=self._run, name="fix-gateway", daemon=True)
            self._thread.start()
            self._open.wait()              # also while kernels are compiled or a name looked up
            if self._failure is not None:
                self._thread.join()
                raise self._failure
        return self

    def begin(self) -> None:
        """Log in to the order port: the venue's loop runs, or is about to."""
        if self._loop is not None and self._begun is not None:
            self._loop.call_soon_threadsafe(self._begun.set)

    def __exit__(self, kind: object, *_: object) -> None:
        """Log the sessions off and close; raises what ended it too early."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):    # ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join(_START_SECONDS)
        if self._failure is not None and kind is None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._open.set()

    def _store(self, entry: FIXSessionSettings) -> Store:
        if self._stored is None:
            return MemoryStore(time.time_ns())
        return FileStore(self._stored.store_path(f"{entry.name}.simulated"), entry.identity,
                         time.time_ns(), self._stored.durability, self._stored.batch_ms)

    async def _serve(self) -> None:
        with contextlib.ExitStack() as closing:
            sessions = []
            for entry in self._settings:
                store = self._store(entry)
                closing.callback(store.close)
                sessions.append(Session(entry, session_rules(entry), store,
                                        FIXDesk(cancel_on_disconnect=True),
                                        guarded=frozenset()))
            await self._serve_sessions(sessions)

    async def _serve_sessions(self, sessions: list[Session]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping, self._begun = asyncio.Event(), asyncio.Event()
        desks = [session.application for session in sessions
                 if isinstance(session.application, FIXDesk)]
        acceptor = Acceptor(sessions, self._settings[0].host, self._settings[0].port)
        try:
            await acceptor.start()
        except TickwireError as error:
            if self._stored is None:
                raise
            raise TickwireError(
                f"{error} The simulated venue would be the other side of fix.sessions."
                f"{self._settings[0].name} there; run with --no-venue to reach your own broker."
            ) from None
        self.port = acceptor.port
        self._open.set()
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._begun, self._stopping)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not self._stopping.is_set():
                for desk in desks:
                    desk.client = await self._client(desk)
                await self._stopping.wait()
        finally:
            for task in waiting:
                task.cancel()
            await acceptor.stop()
            for desk in desks:
                if desk.client is not None:
                    desk.client.close()

    async def _client(self, desk: FIXDesk) -> OuchClient:
        try:
            return await asyncio.wait_for(OuchClient.connect(
                self._host, self._order_port, *self._account, desk.heard), _START_SECONDS)
        except (OSError, TimeoutError) as error:
            raise TickwireError(f"The FIX gateway cannot reach the order port "
                                f"{self._host}:{self._order_port}: {error}.") from None
