"""FIX messages as plain values: for people, tests and whatever is not in a hurry.

A field is a tag and a value, a repeating group a list of the fields of each entry under the tag of
its count. Nothing is checked here; parsing checks what comes, encoding what goes.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Union

from tickwire.kernels import fix_layout as layout
from tickwire.orders.fix.times import read_utc_timestamp
from tickwire.spec.fix import Tag
from tickwire.spec.fix_messages import NAMES

if TYPE_CHECKING:
    from tickwire.orders.fix.parse import Parsed

Value = Union[str, bytes, int, Decimal, "list[Fields]"]
"""Text is Latin-1; ``bytes`` is raw data or text that is ready; a list is a repeating group."""

_FRAMING = (Tag.BEGIN_STRING, Tag.BODY_LENGTH, Tag.MESSAGE_TYPE, Tag.CHECKSUM)


def octets_of(value: Value) -> bytes:
    """Return the octets of a value; of a group its count."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, list):
        return b"%d" % len(value)
    if isinstance(value, bool):
        return b"Y" if value else b"N"
    return str(value).encode("latin-1")


class Fields:
    """Tags and values in the order in which they were given."""

    __slots__ = ("_values",)

    def __init__(self, values: "Mapping[int, object] | Fields | Iterable[tuple[int, object]]" = ()
                 ) -> None:
        """Take tags and values; entries of a group may be mappings."""
        self._values: dict[int, Value] = {}
        pairs = values.items() if isinstance(values, Mapping | Fields) else values
        for tag, value in pairs:
            self[tag] = value

    def __setitem__(self, tag: int, value: object) -> None:
        """Set a value; of a group a list of fields or mappings."""
        if not isinstance(tag, int):
            raise ValueError(f"A tag is a whole number, not {tag!r}")
        if isinstance(value, list | tuple):
            value = [entry if isinstance(entry, Fields) else Fields(entry) for entry in value]
        elif not isinstance(value, str | bytes | int | Decimal):
            raise ValueError(f"{int(tag)} is text, octets, a number or a list of entries, "
                             f"not {value!r}")
        self._values[int(tag)] = value

    def __getitem__(self, tag: int) -> Value:
        """Return the value as it was given; ``KeyError`` when there is none."""
        return self._values[tag]

    def __delitem__(self, tag: int) -> None:
        """Remove a field or group."""
        del self._values[tag]

    def __contains__(self, tag: object) -> bool:
        """Whether there is such a field."""
        return tag in self._values

    def __iter__(self) -> Iterator[int]:
        """Yield the tags."""
        return iter(self._values)

    def __len__(self) -> int:
        """Number of fields, a group as one."""
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same tags and values, in whatever order; 1 equals "1"."""
        if not isinstance(other, Fields) or self._values.keys() != other._values.keys():
            return False
        return all(value == other._values[tag]
                   if isinstance(value, list) or isinstance(other._values[tag], list)
                   else octets_of(value) == octets_of(other._values[tag])
                   for tag, value in self._values.items())

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> Iterator[tuple[int, Value]]:
        """Yield tags and values."""
        return iter(self._values.items())

    def get(self, tag: int, default: Value | None = None) -> Value | None:
        """Return the value as it was given, or ``default``."""
        return self._values.get(tag, default)

    def octets(self, tag: int) -> bytes:
        """Return the value as it is on the wire."""
        return octets_of(self._values[tag])

    def text(self, tag: int, default: str = "") -> str:
        """Return the value as text, ``default`` when it is missing."""
        return self.octets(tag).decode("latin-1") if tag in self._values else default

    def integer(self, tag: int) -> int:
        """Return the value as a whole number; ``ValueError`` when it is none."""
        try:
            return int(self.octets(tag))
        except ValueError:
            raise ValueError(f"{tag} is {self.text(tag)!r}, not a whole number") from None

    def decimal(self, tag: int) -> Decimal:
        """Return the value as an exact decimal; ``ValueError`` when it is none."""
        try:
            return Decimal(self.text(tag))
        except InvalidOperation:
            raise ValueError(f"{tag} is {self.text(tag)!r}, not a number") from None

    def flag(self, tag: int) -> bool:
        """Whether the value is Y; a missing one is N."""
        return tag in self._values and self.octets(tag) == b"Y"

    def time(self, tag: int) -> int:
        """Return the UTC time stamp in ns since 1970; ``ValueError`` when it is none."""
        time = read_utc_timestamp(self.octets(tag))
        if time < 0:
            raise ValueError(f"{tag} is {self.text(tag)!r}, not a UTC time")
        return time

    def groups(self, tag: int) -> "list[Fields]":
        """Return the entries of the group that ``tag`` counts, none when it is missing."""
        value = self._values.get(tag, [])
        return value if isinstance(value, list) else []

    def __repr__(self) -> str:
        """Show tags and values."""
        return "{" + ", ".join(f"{tag}: {value!r}" for tag, value in self._values.items()) + "}"


class Message:
    """One message: its type, what the header has beside 8 9 35, and the body."""

    __slots__ = ("begin_string", "body", "header", "msg_type")

    def __init__(self, msg_type: str, body: "Mapping[int, object] | Fields" = Fields(),  # noqa: B008
                 header: "Mapping[int, object] | Fields" = Fields(), *,  # noqa: B008
                 begin_string: str = "") -> None:
        """Take type (35), body and header; ``begin_string`` where it came from one (8)."""
        self.msg_type, self.begin_string = msg_type, begin_string
        self.body, self.header = Fields(body), Fields(header)

    @classmethod
    def of(cls, parsed: "Parsed") -> "Message":
        """Return the message that was parsed; what its rules do not know is in the body, flat.

        Raw data is ``bytes``, and its length field is left out. Of a tag that is there twice in one
        place, which is a fault, the last value stays.
        """
        if parsed.garbled:
            raise ValueError(f"That is no message: {parsed.garbled}")
        message = cls(parsed.msg_type, begin_string=parsed.begin_string)
        levels: list[Fields] = []              # entries that are open, outermost first
        counts: list[int] = []                 # tags of their counts
        octets, pending = parsed.octets, 0
        lengths = parsed.rules.lengths(parsed.msg_type) if parsed.rules else {}
        for tag, offset, length, place in parsed.entries.tolist():
            if tag in _FRAMING or place & 3 == layout.IN_TRAILER:
                continue
            section = message.header if place & 3 == layout.IN_HEADER else message.body
            depth = place >> layout.DEPTH_SHIFT
            if place & layout.BEGINS and depth > len(counts):
                counts.append(pending)
            del counts[depth:], levels[depth if place & layout.BEGINS == 0 else depth - 1:]
            if place & layout.BEGINS:
                outer = levels[-1] if levels else section
                entry = Fields()
                outer.groups(counts[-1]).append(entry)
                levels.append(entry)
            target = levels[-1] if levels else section
            value: Value = octets[offset:offset + length]
            if place & layout.COUNTS:
                pending, value = tag, []
            elif tag not in lengths:
                value = value.decode("latin-1")  # type: ignore[union-attr]
            elif lengths[tag] in target:
                del target[lengths[tag]]
            target[tag] = value
        return message

    def __getitem__(self, tag: int) -> Value:
        """Return a value of the body."""
        return self.body[tag]

    def __contains__(self, tag: object) -> bool:
        """Whether the body has such a field."""
        return tag in self.body

    def __eq__(self, other: object) -> bool:
        """Whether type, header and body are the same."""
        return (isinstance(other, Message) and self.msg_type == other.msg_type
                and self.header == other.header and self.body == other.body)

    __hash__ = None  # type: ignore[assignment]

    @property
    def name(self) -> str:
        """Name of the type, the type itself when it has none here."""
        return NAMES.get(self.msg_type, self.msg_type)

    def __str__(self) -> str:
        """Show name, number and body on one line."""
        number = self.header.text(Tag.SEQUENCE, "?")
        return f"{self.name} 34={number} {self.body!r}"

    def __repr__(self) -> str:
        """Show how it could be made."""
        return f"Message({self.msg_type!r}, {self.body!r}, {self.header!r})"
