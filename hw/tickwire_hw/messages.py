"""ITCH messages as signals: fields by name, and whether a block is a message at all.

A message is its octets, octet 0 lowest, as ``Blocks`` and ``Arbiter`` give it; fields are
big-endian, and where they are is in the tables.
"""

from amaranth.hdl import Module, Signal, Value

from tickwire.spec import itch50
from tickwire.spec.wire import Message
from tickwire_hw.blocks_port import MESSAGE_SIZE_MAX
from tickwire_hw.stream import big_endian

_OCTET = 8
LETTERS = {message.tag: ord(message.tag) for message in itch50.MESSAGES}
"""Type octets by the letter."""


def field(octets: Value, message: Message, name: str) -> Value:
    """Return a field of a message as an integer; text has its first octet highest."""
    return big_endian(raw_field(octets, message, name))


def raw_field(octets: Value, message: Message, name: str) -> Value:
    """Return a field's octets as they are, the first one lowest."""
    entry, offset = message.field(name)
    return octets[_OCTET * offset:_OCTET * (offset + entry.size)]


def letter(octets: Value) -> Value:
    """Return the type octet."""
    return octets[:_OCTET]


def is_known(m: Module, octets: Value, name: str = "is_known") -> Signal:
    """Return whether the type octet is one of ITCH 5.0."""
    found = Signal(name=name)
    with m.Switch(letter(octets)), m.Case(*LETTERS.values()):
        m.d.comb += found.eq(1)
    return found


def is_readable(m: Module, octets: Value, length: Value, name: str = "is_readable") -> Signal:
    """Return whether the type is known and ``length`` octets are what it has."""
    found = Signal(name=name)
    with m.Switch(octets[:_OCTET]):
        for message in itch50.MESSAGES:
            with m.Case(LETTERS[message.tag]):
                m.d.comb += found.eq(length == message.size)
    return found


assert all(message.size <= MESSAGE_SIZE_MAX for message in itch50.MESSAGES)
