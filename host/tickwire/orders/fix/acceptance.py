"""The echo server against which acceptance definitions are run: ``tickwire fix acceptor``.

Five sessions of one port, own CompID ISLD, numbers from 1 with every logon: TW42, TW44, TW50SP2,
and with FIX.4.4 TW and NO_CHECK_FIELDS_HAVE_VALUES, which takes fields without a value.
"""

import time
from pathlib import Path

from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.application import Application
from tickwire.orders.fix.audit import AuditLog
from tickwire.orders.fix.dictionary import Dictionary
from tickwire.orders.fix.ordered import ordered_body
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.rules import Options, Rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import MemoryStore

OWN_COMP_ID = "ISLD"
NO_CHECK = "NO_CHECK_FIELDS_HAVE_VALUES"
SESSIONS = (("TW42", "FIX.4.2"), ("TW44", "FIX.4.4"), ("TW50SP2", "FIXT.1.1"),
            ("TW", "FIX.4.4"), (NO_CHECK, "FIX.4.4"))
_ECHOED = ("D", "C", "d")
_IDS_MAX = 100_000                         # ClOrdIDs remembered of one session
_UNSUPPORTED = 3                           # BusinessRejectReason


class Echo(Application):
    """Sends orders, e-mails and security definitions back; refuses every other message.

    An order sent again (97=Y) whose ClOrdID is known is swallowed, until the session ends.
    """

    def __init__(self) -> None:
        self._ids: set[bytes] = set()

    def on_message(self, session: Session, message: Parsed) -> None:
        """Send it back or refuse it."""
        if not session.is_logged_on:
            return
        kind = message.msg_type
        if kind not in _ECHOED:
            version = session.application_version
            session.business_reject(message, _UNSUPPORTED, "Unsupported Message Type",
                                    b"1137=%b\x01" % version.encode() if version else b"")
            return
        if kind == "D":
            identity = message.find(11) or b""
            if message.is_possible_resend and identity in self._ids:
                return
            if len(self._ids) < _IDS_MAX:
                self._ids.add(identity)
        session.send(kind, ordered_body(message),
                     [(97, b"Y")] if message.is_possible_resend else [])

    def on_logout(self, session: Session, reason: str) -> None:
        """Forget the ClOrdIDs."""
        self._ids.clear()


def acceptance_acceptor(host: str, port: int, *, dictionaries: Path | None = None,
                        audit: AuditLog | None = None) -> Acceptor:
    """Return the acceptor with its five sessions; QuickFIX's XML files from ``dictionaries``."""
    sessions = []
    for name, begin_string in SESSIONS:
        settings = FIXSessionSettings(
            name=name, role="acceptor", begin_string=begin_string, sender=OWN_COMP_ID,
            target=name, host=host, port=port, reset_on_logon=True)
        sessions.append(Session(
            settings, acceptance_rules(begin_string, dictionaries, name != NO_CHECK),
            MemoryStore(time.time_ns()), Echo(), guarded=frozenset()))
    return Acceptor(sessions, host, port, audit=audit)


def acceptance_rules(begin_string: str, dictionaries: Path | None = None,
                     check_has_value: bool = True) -> Rules:
    """Return the rules of a version, from the files FIX42.xml and so on where they are given."""
    options = Options(check_has_value=check_has_value)
    if dictionaries is None:
        return Rules.own(begin_string, options)
    if begin_string == "FIXT.1.1":
        return Rules(Dictionary.read(dictionaries / "FIXT11.xml"),
                     Dictionary.read(dictionaries / "FIX50SP2.xml"), options)
    return Rules(Dictionary.read(dictionaries / f"{begin_string.replace('.', '')}.xml"),
                 None, options)
