"""MoldUDP64 1.00: numbered messages in UDP datagrams, and the request for lost ones.

Sequence numbers count messages, from 1 in each session; the next packet starts at
``sequence_number + message_count``. A request goes by unicast to a re-request server, which
answers with an ordinary downstream packet, perhaps with fewer messages than asked.
"""

from .wire import Field, Message

HEARTBEAT = 0
"""Message count of a heartbeat: the sequence number is the next one expected."""

END_OF_SESSION = 0xFFFF
"""Message count that ends a session; requests are still answered for a while."""

MESSAGES_PER_PACKET_MAX = 0xFFFE
SEQUENCE_MAX = (1 << 63) - (1 << 16)
"""Greatest number that the device believes: what follows it still fits a signed word."""

HEARTBEAT_SECONDS = 1
"""An idle line sends a heartbeat about this often."""

DATAGRAM_SIZE = 1400
"""Usual greatest payload of a datagram, header included."""

_PROTOCOL = "MoldUDP64 1.00"
_SESSION = Field("session", 10, "ascii", "Session, blank-padded on the right.")

DOWNSTREAM_HEADER = Message("downstream_header", "", "Downstream Packet header",
    f"{_PROTOCOL}, Downstream Packet", (
    _SESSION,
    Field("sequence_number", 8, "uint", "Number of the first message; in a heartbeat, of the next."),
    Field("message_count",   2, "uint", "Message blocks that follow.",
          {HEARTBEAT: "heartbeat", END_OF_SESSION: "end of session"}),
), direction="out")
assert DOWNSTREAM_HEADER.size == 20

MESSAGE_BLOCK = Message("message_block", "", "Message Block", f"{_PROTOCOL}, Message Block", (
    Field("length", 2, "length", "Octets of the message."),
    Field("data",   0, "octets", "One message, whole inside one datagram."),
), direction="out")
assert MESSAGE_BLOCK.size == 2

REQUEST = Message("request", "", "Request Packet", f"{_PROTOCOL}, Request Packet", (
    _SESSION,
    Field("sequence_number", 8, "uint", "First message wanted."),
    Field("message_count",   2, "uint", "Messages wanted."),
), direction="in", note="The direction alone tells it from an empty downstream packet.")
assert REQUEST.size == 20

MESSAGES: tuple[Message, ...] = (DOWNSTREAM_HEADER, MESSAGE_BLOCK, REQUEST)
