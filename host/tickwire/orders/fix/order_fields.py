"""Fields that a broker wants in every order message: account, capacity, destination, parties.

``order_fields`` of a session lists them as TAG=VALUE, a repeating group as its count and then its
members. Each goes with every order message that has it by the dictionary. They are checked against
that without a kernel, so a command can ask before it starts anything.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tickwire.errors import TickwireError
from tickwire.orders.fix.dictionary import Dictionary, FieldRule, Group, Member
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.spec.fix import USER_DEFINED_MIN, Tag

ORDER_TYPES = "DGFHq"
OCTETS_MAX = 512                           # of the fields of one message
_WITH_USER_DEFINED = "DG"                  # take a field of the two parties' own
_INSTRUCTION = 18                          # is written for post only
_WRITTEN = (Tag.CLIENT_ORDER_ID, _INSTRUCTION, Tag.QUANTITY, Tag.ORDER_TYPE,
            Tag.ORIGINAL_CLIENT_ORDER_ID, Tag.PRICE, Tag.SIDE, Tag.SYMBOL, Tag.TIME_IN_FORCE,
            Tag.TRANSACT_TIME, Tag.LOCATE_REQUIRED, Tag.MASS_CANCEL_TYPE)
_WHOLE, _DECIMAL = r"-?[0-9]{1,18}", r"-?[0-9]{1,18}(\.[0-9]{0,18})?"
_FORMS = {"CHAR": "[ -~]", "BOOLEAN": "[YN]",
          **dict.fromkeys(("INT", "SEQNUM", "TAGNUM", "DAYOFMONTH", "NUMINGROUP"), _WHOLE),
          **dict.fromkeys(("FLOAT", "PRICE", "QTY", "AMT", "PERCENTAGE", "PRICEOFFSET", "QUANTITY"),
                          _DECIMAL)}
_RAW = ("DATA", "XMLDATA", "LENGTH")

Pair = tuple[int, str]


class OrderField(NamedTuple):
    """A field, or a group from its count on, as the octets of a message have it."""

    tag: int
    octets: bytes


class _Fault(ValueError):
    """What is wrong with a field; completes a sentence that begins with the key."""


def order_fields(settings: FIXSessionSettings, session: Dictionary,
                 application: Dictionary | None = None) -> dict[str, tuple[OrderField, ...]]:
    """Return what each type of :data:`ORDER_TYPES` has of ``order_fields``, by ascending tag.

    ``application`` is the dictionary of orders, where FIXT.1.1 has one of its own. Raises
    :class:`TickwireError` for a field that is none of these messages', that they write themselves,
    or whose value is none of it.
    """
    pairs = [(int(tag), value) for tag, _, value in
             (entry.partition("=") for entry in settings.order_fields)]
    try:
        return _by_type(pairs, session, application or session)
    except _Fault as fault:
        raise TickwireError(f"fix.sessions.{settings.name}.order_fields: {fault}.") from None


def body(own: Iterable[OrderField], *pairs: tuple[int, bytes]) -> bytes:
    """Return the octets of ``pairs`` and of a message's ``own`` order fields, by ascending tag."""
    written = [OrderField(tag, b"%d=%b\x01" % (tag, value)) for tag, value in pairs]
    return b"".join(octets for _, octets in sorted([*written, *own]))


def _by_type(pairs: Sequence[Pair], session: Dictionary, application: Dictionary
             ) -> dict[str, tuple[OrderField, ...]]:
    reader = _Reader(pairs, application)
    rules = application.messages
    members = {kind: {member.tag: member for member in rules[kind].members} if kind in rules else {}
               for kind in ORDER_TYPES}
    elsewhere = {member.tag for member in (*session.header, *session.trailer)}
    found: dict[str, list[OrderField]] = {kind: [] for kind in ORDER_TYPES}
    place, seen = 0, set()
    while place < len(pairs):
        tag = pairs[place][0]
        if tag in _WRITTEN:
            raise _Fault(f"{tag} is written from the order itself")
        if tag in elsewhere:
            raise _Fault(f"{tag} is a field of the header or trailer")
        if tag in seen:
            raise _Fault(f"{tag} is there twice")
        seen.add(tag)
        takers = [kind for kind in ORDER_TYPES if tag in members[kind]]
        if not takers:
            if tag < USER_DEFINED_MIN or application.field(tag) is not None:
                raise _Fault(f"{tag} is no field of the order messages of {application.version}")
            takers = list(_WITH_USER_DEFINED)
        ends = {reader.end(place, members[kind][tag]) for kind in takers if tag in members[kind]}
        if len(ends) > 1:
            raise _Fault(f"{tag} counts another group in {' than in '.join(takers)}")
        end = ends.pop() if ends else place + 1
        octets = b"".join(b"%d=%b\x01" % (number, text.encode("latin-1"))
                          for number, text in pairs[place:end])
        for kind in takers:
            found[kind].append(OrderField(tag, octets))
        place = end
    for kind, entries in found.items():
        size = sum(len(entry.octets) for entry in entries)
        if size > OCTETS_MAX:
            raise _Fault(f"{kind} would have {size} octets of them, more than {OCTETS_MAX}")
    return {kind: tuple(sorted(entries)) for kind, entries in found.items()}


class _Reader:
    """Looks at fields as members of a message or group."""

    def __init__(self, pairs: Sequence[Pair], dictionary: Dictionary) -> None:
        self._pairs, self._fields = pairs, dictionary.fields

    def end(self, place: int, member: Member) -> int:
        """Return the place behind a member and, where it counts a group, its entries."""
        tag, value = self._pairs[place]
        if complaint := _complaint(value, self._fields[tag]):
            raise _Fault(f"{tag} must be {complaint}, not {value!r}")
        place += 1
        if member.group is None:
            return place
        if not value.isdigit() or not int(value):
            raise _Fault(f"{tag} must count the entries that follow it, not {value}")
        for number in range(int(value)):
            if self._tag(place) != member.group.delimiter:
                raise _Fault(f"entry {number + 1} of the {value} that {tag} counts must begin "
                             f"with {member.group.delimiter}")
            place = self._entry_end(place, member.group)
        if self._tag(place) == member.group.delimiter:
            raise _Fault(f"{tag} counts {value} entries, but there are more")
        return place

    def _entry_end(self, place: int, group: Group) -> int:
        """Return the place behind an entry: members of the group, in its order."""
        order = [member.tag for member in group.members]
        last = -1
        while (tag := self._tag(place)) in order[last + 1:]:
            last = order.index(tag)
            place = self.end(place, group.members[last])
        if tag in order and tag != group.delimiter:
            raise _Fault(f"{tag} is not in its place: an entry of the group has "
                         f"{', '.join(map(str, order))}")
        return place

    def _tag(self, place: int) -> int:
        return self._pairs[place][0] if place < len(self._pairs) else 0


def _complaint(value: str, rule: FieldRule) -> str:
    """Say what a value must be that it is not; nothing when it may be."""
    if rule.type in _RAW:
        return "left out: raw data and its length are not for every order"
    if rule.values and not rule.is_open:
        codes: Mapping[str, str] = rule.values
        parts = value.split(" ") if rule.type.startswith("MULTIPLE") else [value]
        if not all(part in codes for part in parts):
            return f"one of {' '.join(codes)}"
    elif (form := _FORMS.get(rule.type)) and not re.fullmatch(form, value):
        return f"of type {rule.type}"
    return ""
