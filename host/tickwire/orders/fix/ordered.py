"""The body of a message as an engine writes it: ascending by tag, groups in their order."""

from collections.abc import Mapping

from tickwire.kernels.fix_layout import IN_BODY, IN_HEADER, IN_TRAILER
from tickwire.orders.fix.dictionary import Group
from tickwire.orders.fix.parse import Parsed

_SECTION = 3                               # bits of an entry's place
_Field = tuple[int, bytes]


def ordered_body(message: Parsed) -> bytes:
    """Return the fields between header and trailer, ready to be sent again.

    A group stands where its count belongs, its entries as they came, each with its members in the
    order of the dictionary. Values are not looked at: empty ones and raw data stay as they are.
    """
    words = memoryview(message.index).cast("i")
    places = words[3::4].tolist()
    start, count = places.count(IN_HEADER), places.count(IN_BODY)
    tags = words[4 * start:4 * (start + count):4].tolist()
    if (start + count + places.count(IN_TRAILER) == len(places) and tags == sorted(tags)
            and places[start:start + count].count(IN_BODY) == count):
        return message.body()              # no group, and in order already
    octets = message.octets
    fields = [(tag, b"%d=%b\x01" % (tag, octets[offset:offset + length]))
              for tag, offset, length, place in message.entries.tolist()
              if place & _SECTION == IN_BODY]
    groups = message.rules.groups(message.msg_type) if message.rules is not None else {}
    items, index = [], 0
    while index < len(fields):
        item, index = _item(fields, index, groups)
        items.append(item)
    return b"".join(field for _, field in sorted(items, key=lambda item: item[0]))


def _item(fields: list[_Field], index: int, groups: Mapping[int, Group]) -> tuple[_Field, int]:
    """Return a field, with all entries behind it when it counts a group, and where to go on."""
    tag, octets = fields[index]
    index += 1
    group = groups.get(tag)
    while group is not None and index < len(fields) and fields[index][0] == group.delimiter:
        entry, index = _entry(fields, index, group)
        octets += entry
    return (tag, octets), index


def _entry(fields: list[_Field], index: int, group: Group) -> tuple[bytes, int]:
    """Return one entry of a group, its members in order, and where to go on."""
    order = {member.tag: place for place, member in enumerate(group.members)}
    nested = {member.tag: member.group for member in group.members if member.group is not None}
    start, items = index, []
    while index < len(fields) and fields[index][0] in order and (
            index == start or fields[index][0] != group.delimiter):
        item, index = _item(fields, index, nested)
        items.append(item)
    items.sort(key=lambda item: order[item[0]])
    return b"".join(octets for _, octets in items), index
