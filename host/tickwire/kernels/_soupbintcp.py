"""SoupBinTCP 3.00: decoders and encoders. Generated from tickwire.spec by `make spec`.

``decode_<name>(address, row)`` reads the fixed part at ``address`` and writes every field to the
record at ``row``, whose dtype is ``tickwire.spec.render.dtype``; where the tail is optional it
takes the octets that are there as well. ``encode_<name>(address, ...)`` takes the fields in table
order: integers, text of up to 8 octets as its big-endian integer, longer text as the address of
its octets, an open end as address and octets. A length field is counted, not given.
"""

from .jit import kernel
from .memory import (
    copy,
    load8,
    load64,
    load_be16,
    load_be64,
    store8,
    store16,
    store64,
    store_be16,
    store_be48,
)

DEBUG_TYPE = 43
DEBUG_SIZE = 3
LOGIN_ACCEPTED_TYPE = 65
LOGIN_ACCEPTED_SIZE = 33
LOGIN_REJECTED_TYPE = 74
LOGIN_REJECTED_SIZE = 4
SEQUENCED_DATA_TYPE = 83
SEQUENCED_DATA_SIZE = 3
SERVER_HEARTBEAT_TYPE = 72
SERVER_HEARTBEAT_SIZE = 3
END_OF_SESSION_TYPE = 90
END_OF_SESSION_SIZE = 3
LOGIN_REQUEST_TYPE = 76
LOGIN_REQUEST_SIZE = 49
UNSEQUENCED_DATA_TYPE = 85
UNSEQUENCED_DATA_SIZE = 3
CLIENT_HEARTBEAT_TYPE = 82
CLIENT_HEARTBEAT_SIZE = 3
LOGOUT_REQUEST_TYPE = 79
LOGOUT_REQUEST_SIZE = 3


@kernel(inline=True)
def decode_debug(address, row):
    """Debug: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_debug(address, text, text_octets):
    """Write Debug to ``address``; return its octets."""
    store8(address + 2, 43)
    store_be16(address, 1 + text_octets)
    copy(address + 3, text, text_octets)
    return 3 + text_octets


@kernel(inline=True)
def decode_login_accepted(address, row):
    """Login Accepted: 33 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))
    store64(row + 2, load64(address + 3))
    store64(row + 4, load64(address + 5))
    store64(row + 12, load64(address + 13))
    store64(row + 20, load64(address + 21))
    store64(row + 24, load64(address + 25))


@kernel(inline=True)
def encode_login_accepted(address, session, sequence_number):
    """Write Login Accepted to ``address``; return its octets."""
    store8(address + 2, 65)
    store_be16(address, 31)
    store64(address + 3, load64(session))
    store64(address + 5, load64(session + 2))
    store64(address + 13, load64(sequence_number))
    store64(address + 21, load64(sequence_number + 8))
    store64(address + 25, load64(sequence_number + 12))
    return 33


@kernel(inline=True)
def decode_login_rejected(address, row):
    """Login Rejected: 4 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))
    store8(row + 2, load8(address + 3))


@kernel(inline=True)
def encode_login_rejected(address, reason):
    """Write Login Rejected to ``address``; return its octets."""
    store8(address + 2, 74)
    store_be16(address, 2)
    store8(address + 3, reason)
    return 4


@kernel(inline=True)
def decode_sequenced_data(address, row):
    """Sequenced Data: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_sequenced_data(address, message, message_octets):
    """Write Sequenced Data to ``address``; return its octets."""
    store8(address + 2, 83)
    store_be16(address, 1 + message_octets)
    copy(address + 3, message, message_octets)
    return 3 + message_octets


@kernel(inline=True)
def decode_server_heartbeat(address, row):
    """Server Heartbeat: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_server_heartbeat(address):
    """Write Server Heartbeat to ``address``; return its octets."""
    store8(address + 2, 72)
    store_be16(address, 1)
    return 3


@kernel(inline=True)
def decode_end_of_session(address, row):
    """End of Session: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_end_of_session(address):
    """Write End of Session to ``address``; return its octets."""
    store8(address + 2, 90)
    store_be16(address, 1)
    return 3


@kernel(inline=True)
def decode_login_request(address, row):
    """Login Request: 49 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))
    store64(row + 8, load_be64(address + 1) & 0xFFFF_FFFF_FFFF)
    store64(row + 16, load64(address + 9))
    store64(row + 18, load64(address + 11))
    store64(row + 26, load64(address + 19))
    store64(row + 28, load64(address + 21))
    store64(row + 36, load64(address + 29))
    store64(row + 44, load64(address + 37))
    store64(row + 48, load64(address + 41))


@kernel(inline=True)
def encode_login_request(address, username, password, requested_session, requested_sequence):
    """Write Login Request to ``address``; return its octets."""
    store8(address + 2, 76)
    store_be16(address, 47)
    store_be48(address + 3, username)
    store64(address + 9, load64(password))
    store64(address + 11, load64(password + 2))
    store64(address + 19, load64(requested_session))
    store64(address + 21, load64(requested_session + 2))
    store64(address + 29, load64(requested_sequence))
    store64(address + 37, load64(requested_sequence + 8))
    store64(address + 41, load64(requested_sequence + 12))
    return 49


@kernel(inline=True)
def decode_unsequenced_data(address, row):
    """Unsequenced Data: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_unsequenced_data(address, message, message_octets):
    """Write Unsequenced Data to ``address``; return its octets."""
    store8(address + 2, 85)
    store_be16(address, 1 + message_octets)
    copy(address + 3, message, message_octets)
    return 3 + message_octets


@kernel(inline=True)
def decode_client_heartbeat(address, row):
    """Client Heartbeat: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_client_heartbeat(address):
    """Write Client Heartbeat to ``address``; return its octets."""
    store8(address + 2, 82)
    store_be16(address, 1)
    return 3


@kernel(inline=True)
def decode_logout_request(address, row):
    """Logout Request: 3 octets at ``address`` to the record at ``row``."""
    store16(row, load_be16(address))


@kernel(inline=True)
def encode_logout_request(address):
    """Write Logout Request to ``address``; return its octets."""
    store8(address + 2, 79)
    store_be16(address, 1)
    return 3
