"""Why a Logon is refused: everything but its number and its time."""

import hmac

from tickwire.orders.fix import bodies
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.spec.fix import APPLICATION_VERSIONS, Tag

HEARTBEAT_MAX = 3_600                      # seconds
FIX_5_VERSIONS = tuple(code for code, version in APPLICATION_VERSIONS.items()
                       if version.startswith("FIX.5.0"))


def refusal(message: Parsed, settings: FIXSessionSettings, *, is_fixt: bool) -> str:
    """Return why ``message`` is no Logon of the session, empty when it is one."""
    heartbeat = message.integer(Tag.HEARTBEAT_SECONDS)
    if message.msg_type != bodies.LOGON:
        return f"it is {message.msg_type}, not A"
    if message.begin_string != settings.begin_string:
        return f"BeginString is {message.begin_string}, not {settings.begin_string}"
    if (message.sender, message.target) != (settings.target, settings.sender):
        return f"CompIDs are {message.sender} and {message.target}"
    if message.fault is not None:
        return f"{message.fault.text}, tag {message.fault.tag}"
    if message.find(Tag.ENCRYPT_METHOD) != b"0":
        return "it asks for encryption (98)"
    if heartbeat is None or not 0 <= heartbeat <= HEARTBEAT_MAX:
        return f"108 must be from 0 to {HEARTBEAT_MAX}, not {heartbeat}"
    version = message.text(Tag.DEFAULT_APPLICATION_VERSION)
    if is_fixt and version not in FIX_5_VERSIONS:
        return f"1137 must be one of {', '.join(FIX_5_VERSIONS)}, not {version or 'missing'}"
    if settings.role == "acceptor" and settings.username and not (
            _same(message.text(Tag.USERNAME), settings.username)
            and _same(message.text(Tag.PASSWORD), settings.password)):
        return "username or password is wrong"
    return ""


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("latin-1"), wanted.encode("latin-1"))
