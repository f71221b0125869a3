"""What `Blocks` says of one port's packets: header, messages, end and verdict."""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Out

from tickwire.spec import itch50, moldudp64

MESSAGE_SIZE_MAX = max(message.size for message in itch50.MESSAGES)
"""Octets of the longest ITCH message."""

_HEADER = moldudp64.DOWNSTREAM_HEADER
_SESSION, _NUMBER, _COUNT = (8 * _HEADER.field(name)[0].size for name in (
    "session", "sequence_number", "message_count"))
_LENGTH = 8 * moldudp64.MESSAGE_BLOCK.field("length")[0].size


class Header(data.Struct):
    """Header of a MoldUDP64 packet, and what `Receive` knows of its frame.

    ``line`` and ``stamp`` are there from the datagram's first word until the next one's, whether a
    header is valid or not.
    """

    session: _SESSION                      # octet 0 lowest
    first: _NUMBER
    count: _COUNT                          # as sent: 0 and 0xFFFF too
    line: 2                                # Line
    stamp: 64                              # ingress time, ns


class Message(data.Struct):
    """One whole block; its number is the header's ``first`` plus ``index``."""

    data: 8 * MESSAGE_SIZE_MAX             # octet 0 lowest; zero from `length` on
    length: _LENGTH                        # as sent, whatever it is
    index: _COUNT                          # 0-based, without holes


class End(data.Struct):
    """End of the datagram; whose it was, the header says even of one too short to have it."""

    passed: _COUNT                         # whole blocks
    is_malformed: 1                        # short, or the blocks do not fill it exactly
    is_short: 1                            # no header came


class Verdict(data.Struct):
    """What the end of the frame has shown."""

    is_damaged: 1


class PacketSignature(wiring.Signature):
    """Packets of one port, from `Blocks` to `Arbiter`; nothing can be held back.

    A packet is ``header``, any number of ``message``, ``end``, ``verdict``, in this order; a short
    one has no header. What is valid in one cycle comes in this order too, but a header never
    shares its cycle with a message. A frame that is for no line says nothing at all.
    """

    def __init__(self) -> None:
        super().__init__({
            "header": Out(stream.Signature(Header, always_ready=True)),
            "message": Out(stream.Signature(Message, always_ready=True)),
            "end": Out(stream.Signature(End, always_ready=True)),
            "verdict": Out(stream.Signature(Verdict, always_ready=True))})
