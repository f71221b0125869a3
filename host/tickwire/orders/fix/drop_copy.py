"""Copies of execution reports for a session that watches others."""

from tickwire.errors import TickwireError
from tickwire.orders.fix.application import Application
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.sending import log
from tickwire.orders.fix.session import Session

COPIED = frozenset({"8", "9"})             # ExecutionReport, OrderCancelReject
_ON_BEHALF_OF = 115


class DropCopy(Application):
    """An application that passes everything on to ``inner`` and copies reports to ``watchers``.

    Copied are the reports that a session sends (an acceptor's) and those that it receives (an
    initiator's), in order, with the CompID of the copied session's client in 115. A watcher that is
    not logged on finds them missing at its next Logon and gets them from its store.
    """

    def __init__(self, inner: Application, watchers: list[Session]) -> None:
        self._inner, self._watchers = inner, watchers

    def on_logon(self, session: Session) -> None:
        """Pass it on."""
        self._inner.on_logon(session)

    def on_reset(self, session: Session) -> None:
        """Pass it on."""
        self._inner.on_reset(session)

    def on_logout(self, session: Session, reason: str) -> None:
        """Pass it on."""
        self._inner.on_logout(session, reason)

    def on_reject(self, session: Session, message: Parsed) -> None:
        """Pass it on."""
        self._inner.on_reject(session, message)

    def on_cancel(self, session: Session) -> None:
        """Pass it on."""
        self._inner.on_cancel(session)

    def on_message(self, session: Session, message: Parsed) -> None:
        """Pass on a report that came, then copy it."""
        try:
            self._inner.on_message(session, message)
        finally:
            if message.msg_type in COPIED:
                self._copy(session.settings.sender, message.msg_type, message.body())

    def on_sent(self, session: Session, msg_type: str, body: bytes) -> None:
        """Copy a report that was sent."""
        if msg_type in COPIED:
            self._copy(session.settings.target, msg_type, body)
        self._inner.on_sent(session, msg_type, body)

    def _copy(self, client: str, msg_type: str, body: bytes) -> None:
        for watcher in self._watchers:
            try:
                watcher.send(msg_type, body, [(_ON_BEHALF_OF, client.encode("latin-1"))],
                             is_kept=True)
            except TickwireError as error:     # a store that is full as well
                log.error("a copy is lost: %s", error)
