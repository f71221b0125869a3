"""Bodies of the session's own messages, and the routing fields of an answer.

Fields ascend by tag, as QuickFIX writes them; every body is whole octets, ready for a header.
"""

from tickwire.orders.fix.parse import Parsed
from tickwire.spec.fix import REJECT_TEXTS, RejectReason, Tag

HEARTBEAT, TEST_REQUEST, RESEND_REQUEST, REJECT, SEQUENCE_RESET, LOGOUT, LOGON = "012345A"
TEST_REQUEST_ID = b"TEST"                  # what 112 of a TestRequest says
_REASON_MAX_42 = 11                        # FIX.4.2 has no 373 beyond
_ROUTES = ((115, 128), (116, 129), (144, 145))
_WITH_TAG_ZERO = RejectReason.INVALID_TAG_NUMBER

Header = list[tuple[int, bytes]]


def fields(*pairs: tuple[int, bytes | int]) -> bytes:
    """Return the octets of fields in the order given."""
    return b"".join(b"%d=%b\x01" % (tag, b"%d" % value if isinstance(value, int) else value)
                    for tag, value in pairs)


def logon(heartbeat: int, *, is_reset: bool = False, username: str = "", password: str = "",
          next_expected: int = 0, application_version: str = "") -> bytes:
    """Return the body of a Logon; what is empty or 0 is left out, 98 and 108 are not."""
    pairs: list[tuple[int, bytes | int]] = [(Tag.ENCRYPT_METHOD, 0),
                                            (Tag.HEARTBEAT_SECONDS, heartbeat)]
    if is_reset:
        pairs.append((Tag.RESET_SEQUENCE, b"Y"))
    if username:
        pairs.append((Tag.USERNAME, username.encode("latin-1")))
    if password:
        pairs.append((Tag.PASSWORD, password.encode("latin-1")))
    if next_expected:
        pairs.append((Tag.NEXT_EXPECTED_SEQUENCE, next_expected))
    if application_version:
        pairs.append((Tag.DEFAULT_APPLICATION_VERSION, application_version.encode("latin-1")))
    return fields(*pairs)


def reject(message: Parsed, reason: RejectReason, tag: int, begin_string: str) -> bytes:
    """Return the body of a Reject: 45 58 371 372 373; 371 where ``tag`` is at fault."""
    pairs: list[tuple[int, bytes | int]] = [
        (Tag.REFERENCE_SEQUENCE, message.seq_num),
        (Tag.TEXT, REJECT_TEXTS[reason].encode("latin-1"))]
    if tag or reason == _WITH_TAG_ZERO:
        pairs.append((Tag.REFERENCE_TAG, tag))
    pairs.append((Tag.REFERENCE_MESSAGE_TYPE, message.msg_type.encode("latin-1")))
    if begin_string != "FIX.4.2" or reason <= _REASON_MAX_42:
        pairs.append((Tag.REJECT_REASON, int(reason)))
    return fields(*pairs)


def turned_route(message: Parsed) -> Header:
    """Return the routing fields of an answer: 115 116 144 become 128 129 145 and the reverse."""
    route = []
    for pair in _ROUTES:
        for there, back in (pair, pair[::-1]):
            value = message.find(there)
            if value:
                route.append((back, value))
    return route
