"""SoupBinTCP 3.00 (4.00 has the same packets): sessions with resumable sequenced data over TCP.

The stream may be cut anywhere. Sequenced packets carry no number: the first of a session is 1
and a client counts from the number in Login Accepted. Text numbers are blank-padded on the left;
servers and clients in the field pad on either side, so strip both.
"""

from .wire import Field, Message

LENGTH_SIZE = 2
TYPE_OFFSET = 2
HEADER_SIZE = 3
PAYLOAD_SIZE_MAX = 0xFFFF - 1
"""The length counts the type octet too."""

HEARTBEAT_SECONDS = 1
"""A side that has sent nothing for this long sends a heartbeat."""

PEER_TIMEOUT_SECONDS = 15
"""A peer that is silent for this long is dead."""

LOGIN_TIMEOUT_SECONDS = 30
"""A server closes a connection on which no Login Request came for this long."""

SEQUENCE_NEXT = 0
"""Requested sequence number: begin with the next new message."""

SEQUENCE_ALL = 1
"""Requested sequence number: begin with the first message of the session."""

REJECT_REASONS = {"A": "not authorised", "S": "no such session"}

_LENGTH = Field("length", 2, "length", "Octets after this field, the type octet included.")
_REST = Field("message", 0, "octets", "One message of the protocol above.")


def _packet(tag: str, name: str, title: str, direction: str, *fields: Field, note: str = "") -> Message:
    return Message(name, tag, title, f"SoupBinTCP 3.00, {title} Packet", (_LENGTH, *fields),
                   direction=direction, note=note, tag_offset=TYPE_OFFSET)  # type: ignore[arg-type]


DEBUG = _packet("+", "debug", "Debug", "both",
    Field("text", 0, "octets", "Text for a human reader."),
    note="Both sides ignore it.",
)
assert DEBUG.size == 3

LOGIN_ACCEPTED = _packet("A", "login_accepted", "Login Accepted", "out",
    Field("session",         10, "ascii", "Session that the client is in.", pad="left"),
    Field("sequence_number", 20, "ascii", "Decimal number of the next sequenced message.", pad="left"),
)
assert LOGIN_ACCEPTED.size == 33

LOGIN_REJECTED = _packet("J", "login_rejected", "Login Rejected", "out",
    Field("reason", 1, "ascii", "Why.", REJECT_REASONS),
    note="The server then closes the connection.",
)
assert LOGIN_REJECTED.size == 4

SEQUENCED_DATA = _packet("S", "sequenced_data", "Sequenced Data", "out", _REST,
    note="Its number is implicit.",
)
assert SEQUENCED_DATA.size == 3

SERVER_HEARTBEAT = _packet("H", "server_heartbeat", "Server Heartbeat", "out")
assert SERVER_HEARTBEAT.size == 3

END_OF_SESSION = _packet("Z", "end_of_session", "End of Session", "out",
    note="The session does not resume; a client logs in to the next one.",
)
assert END_OF_SESSION.size == 3

LOGIN_REQUEST = _packet("L", "login_request", "Login Request", "in",
    Field("username",           6,  "ascii", "User, any case."),
    Field("password",           10, "ascii", "Password, any case."),
    Field("requested_session",  10, "ascii", "Session; blank for the current one.", pad="left"),
    Field("requested_sequence", 20, "ascii", "Decimal number of the first message wanted: 1 all, 0 new ones.", pad="left"),
)
assert LOGIN_REQUEST.size == 49

UNSEQUENCED_DATA = _packet("U", "unsequenced_data", "Unsequenced Data", "both", _REST,
    note="May be lost with the connection: orders are made safe to repeat.",
)
assert UNSEQUENCED_DATA.size == 3

CLIENT_HEARTBEAT = _packet("R", "client_heartbeat", "Client Heartbeat", "in")
assert CLIENT_HEARTBEAT.size == 3

LOGOUT_REQUEST = _packet("O", "logout_request", "Logout Request", "in",
    note="The server closes the connection.",
)
assert LOGOUT_REQUEST.size == 3

MESSAGES: tuple[Message, ...] = (
    DEBUG, LOGIN_ACCEPTED, LOGIN_REJECTED, SEQUENCED_DATA, SERVER_HEARTBEAT, END_OF_SESSION,
    LOGIN_REQUEST, UNSEQUENCED_DATA, CLIENT_HEARTBEAT, LOGOUT_REQUEST)
BY_TYPE: dict[str, Message] = {message.tag: message for message in MESSAGES}
assert len(MESSAGES) == len(BY_TYPE) == 10
