"""Messages out: values to octets in the order that certification expects, and stored ones again.

8, 9 and 35 come first, then the header and the body each by ascending tag, the members of a group
in the order of its dictionary, then 10.
"""

import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from tickwire.kernels.fix_resend import resend as resend_kernel
from tickwire.kernels.fix_text import checksum
from tickwire.orders.fix.dictionary import Group
from tickwire.orders.fix.message import Fields, Message, Value, octets_of
from tickwire.orders.fix.rules import Rules
from tickwire.spec.fix import Tag

SOH = b"\x01"
_FRAMING = frozenset((Tag.BEGIN_STRING, Tag.BODY_LENGTH, Tag.MESSAGE_TYPE, Tag.CHECKSUM))
_SHORT = 256                     # octets whose sum is surely below 65,521
RESEND_ROOM = 128
"""Octets by which a message may grow when it is sent again."""


class EncodeError(ValueError):
    """A message that cannot be encoded; the text names the tag and the value."""


def _field(tag: int, octets: bytes) -> bytes:
    return b"%d=%b\x01" % (tag, octets)


def assemble(begin_string: bytes, msg_type: bytes, header: Iterable[tuple[int, bytes]],
             body: bytes = b"") -> bytes:
    """Return a message of octets that are ready: ``body`` is whole fields, each with its SOH.

    ``header`` is sorted by tag here; 9 and 10 are computed. Nothing is checked.
    """
    return framed(begin_string, b"35=%b\x01%b%b" % (
        msg_type, b"".join(_field(*pair) for pair in sorted(header)), body))


def framed(begin_string: bytes, rest: bytes) -> bytes:
    """Return a message of ``rest``, which begins with 35, between 8, 9 and 10."""
    head = b"8=%b\x019=%d\x01%b" % (begin_string, len(rest), rest)
    return b"%b10=%03d\x01" % (head, _sum(head))


def _sum(octets: bytes) -> int:
    if len(octets) <= _SHORT:              # Adler-32 begins with 1 plus the sum, modulo 65,521
        return (zlib.adler32(octets) - 1 & 0xFFFF) % 256
    array = np.frombuffer(octets, np.uint8)
    address = array.ctypes.data
    return int(checksum(address, address + len(octets)))


def encode(message: Message, rules: Rules,
           header: Mapping[int, object] | None = None) -> bytes:
    """Return the octets of ``message``; ``header`` overrides its header tag by tag.

    Length fields are written before the raw data that they announce, whether given or not, and
    counts before their groups. Raises :class:`EncodeError` for a delimiter in a field that is no
    raw data, an empty value, a tag that is written here, and a group that the rules do not know.
    """
    merged = Fields(message.header)
    for tag, value in (header or {}).items():
        merged[tag] = value
    msg_type = message.msg_type.encode("latin-1")
    if not msg_type or SOH in msg_type:
        raise EncodeError(f"{message.msg_type!r} is no message type")
    lengths = rules.lengths(message.msg_type)
    writer = _Writer(lengths, {length: data for data, length in lengths.items()})
    writer.fields(merged, sorted(merged), rules.groups(None))
    writer.fields(message.body, sorted(message.body), rules.groups(message.msg_type))
    return assemble(rules.begin_string.encode("latin-1"), msg_type, (), bytes(writer.octets))


class _Writer:
    """Fields on their way to octets."""

    def __init__(self, lengths: Mapping[int, int], announced: Mapping[int, int]) -> None:
        self._lengths, self._announced = lengths, announced
        self.octets = bytearray()

    def fields(self, fields: Fields, tags: Iterable[int], groups: Mapping[int, Group]) -> None:
        """Write ``fields`` in the order of ``tags``."""
        for tag in tags:
            value = fields[tag]
            if tag in _FRAMING:
                raise EncodeError(f"{int(tag)} is written by the encoder, not given")
            if tag <= 0:
                raise EncodeError(f"A tag is at least 1, not {tag}")
            if isinstance(value, list):
                if tag not in groups:
                    raise EncodeError(f"{tag} counts no repeating group here")
                self.octets += _field(tag, b"%d" % len(value))
                for entry in value:
                    self._entry(entry, tag, groups[tag])
            elif tag in self._lengths and fields.octets(tag):
                octets = fields.octets(tag)
                self.octets += _field(self._lengths[tag], b"%d" % len(octets)) + _field(tag, octets)
            elif tag not in self._announced or self._announced[tag] not in fields:
                self._plain(tag, value)

    def _plain(self, tag: int, value: Value) -> None:
        octets = octets_of(value)
        if not octets:
            raise EncodeError(f"{tag} has no value")
        if SOH in octets:
            raise EncodeError(f"{tag} is {octets!r}, which has a delimiter in it")
        self.octets += _field(tag, octets)

    def _entry(self, entry: Fields, count: int, group: Group) -> None:
        order = {member.tag: place for place, member in enumerate(group.members)}
        unknown = [tag for tag in entry if tag not in order and tag not in self._lengths]
        if unknown:
            raise EncodeError(f"{unknown[0]} is no member of the group that {count} counts")
        if group.delimiter not in entry:
            raise EncodeError(f"An entry of the group that {count} counts begins with "
                              f"{group.delimiter}, which is missing")
        self.fields(entry, sorted(entry, key=lambda tag: order.get(tag, len(order))),
                    {member.tag: member.group for member in group.members if member.group})


def resend(octets: bytes, sending_time: bytes) -> bytes:
    """Return a stored message again: 43=Y, 122 its old 52, 52 ``sending_time``, 9 and 10 right.

    A 122 that it has is kept. Everything else stays as it is, unknown fields and raw data too;
    nothing is parsed into values. Raises :class:`EncodeError` when ``octets`` is no message.
    """
    room = np.zeros(2 * len(octets) + len(sending_time) + RESEND_ROOM + 128, np.uint8)
    source = int(room.ctypes.data)
    time = source + len(octets) + 64
    target = time + len(sending_time) + 16
    room[:len(octets)] = np.frombuffer(octets, np.uint8)
    room[time - source:time - source + len(sending_time)] = np.frombuffer(sending_time, np.uint8)
    place = resend_kernel(source, len(octets), time, len(sending_time), target)
    if place < 0:
        raise EncodeError(f"{octets[:64]!r} cannot be sent again: it is no message")
    begin, size = target + (place & 0xFFFF), place >> 16
    return room[begin - source:begin - source + size].tobytes()
