"""All FIX sessions of a configuration in one process and one event loop."""

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence

from tickwire.errors import TickwireError
from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.application import Application
from tickwire.orders.fix.audit import AuditLog
from tickwire.orders.fix.drop_copy import DropCopy
from tickwire.orders.fix.files import read_dictionaries
from tickwire.orders.fix.initiator import Initiator
from tickwire.orders.fix.rules import Options, Rules
from tickwire.orders.fix.sending import Clock
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings, FIXSettings
from tickwire.orders.fix.store import FileStore
from tickwire.orders.fix.tls import tls_context

_TLS_KEYS = ("tls", "ca_file", "certificate_file", "key_file", "key_passphrase_file")


class FIXService:
    """Opens the stores, listens and connects; ``sessions`` by name.

    ``applications`` are by the names of sessions; a session without one only logs on. Acceptors
    with the same host and port share it, and its TLS. Raises :class:`TickwireError` for files that
    are in use or cannot be read; then nothing is left open.

    ``copied`` are sessions of others in this process that ``drop_copy_of`` may name as well;
    ``audit`` is their log, and ``numbers`` numbers connections there.
    """

    def __init__(self, settings: FIXSettings, applications: Mapping[str, Application],
                 clock: Clock = time.time_ns, *, copied: Mapping[str, Session] | None = None,
                 audit: AuditLog | None = None) -> None:
        self.settings = settings
        self.sessions: dict[str, Session] = {}
        self.numbers = itertools.count(1)
        self._copied, self._is_audit_ours = copied or {}, audit is None
        self.audit = audit
        if audit is None and settings.audit:
            self.audit = AuditLog(settings.store_path("x").parent, "fix")
        self._acceptors: list[Acceptor] = []
        self._initiators: list[Initiator] = []
        self._tasks: list[asyncio.Task[None]] = []
        try:
            if self.audit is not None and self._is_audit_ours:
                self.audit.open(time.time_ns())
            for entry in settings.sessions:
                store = FileStore(settings.store_path(entry.name), entry.identity, clock(),
                                  settings.durability, settings.batch_ms)
                self.sessions[entry.name] = Session(
                    entry, session_rules(entry), store, applications.get(entry.name),
                    clock=clock)
            self._wire_copies()
        except BaseException:
            self.close()
            raise

    async def start(self) -> None:
        """Listen for the acceptors' sessions, connect the initiators'."""
        ports: dict[tuple[str, int], list[Session]] = {}
        for session in self.sessions.values():
            entry = session.settings
            if entry.role == "acceptor":
                ports.setdefault((entry.host, entry.port), []).append(session)
            else:
                self._initiators.append(Initiator(session, audit=self.audit,
                                                  numbers=self.numbers))
        try:
            for (host, port), sessions in ports.items():
                _check_same_tls(sessions)
                acceptor = Acceptor(sessions, host, port, audit=self.audit,
                                    numbers=self.numbers, tls=tls_context(sessions[0].settings))
                await acceptor.start()
                self._acceptors.append(acceptor)
        except BaseException:
            await self.stop()
            raise
        self._tasks = [asyncio.create_task(initiator.run()) for initiator in self._initiators]

    async def stop(self, text: str = "") -> None:
        """Log every session off, then close connections and files."""
        stopping = [initiator.stop(text) for initiator in self._initiators]
        stopping += [acceptor.stop(text) for acceptor in self._acceptors]
        await asyncio.gather(*stopping)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.close()

    def _wire_copies(self) -> None:
        watchers: dict[str, list[Session]] = {}
        known = {**self._copied, **self.sessions}
        for session in self.sessions.values():
            for name in filter(None, session.settings.drop_copy_of.split(",")):
                if name not in known or name == session.settings.name:
                    raise TickwireError(f"fix.sessions.{session.settings.name}.drop_copy_of names "
                                        f"{name}, which is not another session.")
                watchers.setdefault(name, []).append(session)
        for name, found in watchers.items():
            known[name].application = DropCopy(known[name].application, found)

    def close(self) -> None:
        """Close the files; :meth:`stop` does it too."""
        for session in self.sessions.values():
            session.store.close()
        if self.audit is not None and self._is_audit_ours:
            self.audit.close()


def _check_same_tls(sessions: Sequence[Session]) -> None:
    """Refuse sessions of one port that differ in TLS: who connects is known only behind it."""
    first, *others = (session.settings for session in sessions)
    for other in others:
        for key in _TLS_KEYS:
            if getattr(other, key) != getattr(first, key):
                raise TickwireError(
                    f"fix.sessions.{other.name}.{key} differs from that of {first.name}, which "
                    f"listens at {other.host}:{other.port} too; one port has one TLS.")


def session_rules(settings: FIXSessionSettings) -> Rules:
    """Return the rules of a session: the own dictionary, or the files that its settings name."""
    options = Options(settings.check_user_defined, settings.check_has_value, settings.check_order)
    found = read_dictionaries(settings)
    try:
        return Rules(*found, options)
    except ValueError as error:
        raise TickwireError(f"fix.sessions.{settings.name}: its dictionary cannot be used: "
                            f"{error}.") from None
