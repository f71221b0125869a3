"""Wire formats as data: the one place where an octet's meaning is written down.

A :class:`Message` is a row of fields without gaps. Protocol modules (``itch50``, ``ouch50`` ...)
hold the rows, ``records`` and ``intents`` hold the device's own, and ``render`` derives every
other form from them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["uint", "int", "price", "ascii", "octets", "length"]
"""``uint``/``int`` integers, ``price`` an unsigned integer in units of 10^-``decimals`` dollars,
``ascii`` blank-padded text, ``octets`` opaque bytes; size 0 with ``octets`` means the rest,
``length`` an unsigned integer that counts the octets after it, to the end of the message."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``size`` in octets, ``doc`` one line, ``codes`` what each value means.

    ``codes`` is keyed by the text on the wire, blanks included, or by the integer.
    """

    name: str
    size: int
    kind: Kind
    doc: str
    codes: Mapping[str, str] | Mapping[int, str] | None = None
    decimals: int = 4
    pad: Literal["right", "left"] = "right"
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message or record layout.

    ``tag`` is the value of the type octet, empty where the layout has none; it stands at
    ``tag_offset``. ``ref`` names the clause of the source document. ``order`` is the octet order
    of every integer. ``tail_is_optional`` says that the closing ``length`` field and what it
    counts may be absent altogether.
    """

    name: str
    tag: str
    title: str
    ref: str
    fields: tuple[Field, ...]
    order: Literal["big", "little"] = "big"
    direction: Literal["", "in", "out", "both"] = ""
    note: str = ""
    tag_offset: int = 0
    tail_is_optional: bool = False

    @property
    def size(self) -> int:
        """Octets of the fixed part, the type octet included."""
        return len(self.tag) + sum(field.size for field in self.fields)

    @property
    def size_min(self) -> int:
        """Octets of the shortest legal message: less than ``size`` when the tail is optional."""
        if self.tail_is_optional:
            return self.size - sum(field.size for field in self.fields if field.kind == "length")
        return self.size

    @property
    def is_open_ended(self) -> bool:
        """Whether the last field takes the rest of the message."""
        return bool(self.fields) and self.fields[-1].size == 0

    def placed(self) -> Iterator[tuple[Field, int]]:
        """Yield each field with its offset from the first octet."""
        offset = 0
        for field in self.fields:
            if offset == self.tag_offset:
                offset += len(self.tag)
            yield field, offset
            offset += field.size

    def field(self, name: str) -> tuple[Field, int]:
        """Return the field called ``name`` and its offset."""
        for field, offset in self.placed():
            if field.name == name:
                return field, offset
        raise KeyError(f"{self.name} has no field {name!r}")


Value = int | str | bytes


def encode(message: Message, values: Mapping[str, Value]) -> bytes:
    """Encode ``values``, which must name every field of ``message`` and no other.

    Text is padded with blanks, integers and prices are written as they are (raw units).
    A ``length`` field that is not named is counted, and an open end that is not named is empty;
    an optional tail that holds nothing is left out. Raises ``ValueError`` naming the field when
    a value does not fit.
    """
    names = {field.name for field in message.fields}
    if unknown := set(values) - names:
        raise ValueError(f"{message.name} has no field {sorted(unknown)[0]!r}")
    tag, fields = message.tag.encode("latin-1"), tuple(message.placed())
    tag_end = message.tag_offset + len(tag)
    octets = b"" if any(offset == tag_end for _, offset in fields) else tag
    for field, offset in reversed(fields):
        value = values.get(field.name)
        if value is None and field.kind == "length":
            is_absent = not octets and message.tail_is_optional
            value = None if is_absent else len(octets)
        elif value is None and field.size == 0:
            value = b""
        elif value is None:
            raise ValueError(f"{message.name}.{field.name} is missing")
        if value is not None:
            octets = _encode_field(message, field, value) + octets
        if offset == tag_end:
            octets = tag + octets
    return octets


def _encode_field(message: Message, field: Field, value: Value) -> bytes:
    if isinstance(value, int):
        try:
            return value.to_bytes(field.size, message.order, signed=field.kind == "int")
        except OverflowError:
            raise ValueError(f"{message.name}.{field.name} must fit {field.size} octets, "
                             f"not {value}") from None
    octets = value.encode("latin-1") if isinstance(value, str) else value
    if field.size == 0:
        return octets
    if len(octets) > field.size:
        raise ValueError(f"{message.name}.{field.name} must fit {field.size} octets, not {value!r}")
    return octets.ljust(field.size) if field.pad == "right" else octets.rjust(field.size)


def decode(message: Message, octets: bytes) -> dict[str, Value]:
    """Decode ``octets`` into one value a field: integers raw, text without its padding.

    An absent optional tail reads as length 0 and no octets. Raises ``ValueError`` when the length
    or the type octet is not that of ``message``, or a ``length`` field does not agree.
    """
    size = len(octets)
    if size != message.size_min and (size < message.size or
                                     (size > message.size and not message.is_open_ended)):
        least = "at least " if message.is_open_ended else ""
        raise ValueError(f"{message.name} has {least}{message.size} octets, not {size}")
    end = message.tag_offset + len(message.tag)
    if message.tag and octets[message.tag_offset:end] != message.tag.encode("latin-1"):
        raise ValueError(f"{message.name} has type {message.tag!r}, "
                         f"not {octets[message.tag_offset:end]!r}")
    values: dict[str, Value] = {}
    for field, offset in message.placed():
        part = octets[offset:offset + field.size] if field.size else octets[offset:]
        if field.kind == "length" and part:
            counted, present = int.from_bytes(part, message.order), size - offset - field.size
            if counted != present:
                raise ValueError(f"{message.name}.{field.name} is {counted}, "
                                 f"but {present} octets follow")
        if field.kind == "ascii":
            values[field.name] = part.decode("latin-1").strip(" ")
        elif field.kind == "octets":
            values[field.name] = part
        else:
            values[field.name] = int.from_bytes(part, message.order, signed=field.kind == "int")
    return values
