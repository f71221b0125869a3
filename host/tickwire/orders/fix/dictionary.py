"""What a version of FIX, or a venue, knows: fields, messages, repeating groups.

Users bring their venue's dictionary in the XML form of QuickFIX; a small own one for sessions and
orders is in ``tickwire.spec``. Components are resolved: a message is a tree of fields and groups.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tickwire.spec import fix, fix_fields, fix_messages

TAG_MAX = 999_999_999
_NESTING_MAX = 64
_MEMBERS_MAX = 1 << 20              # of one message, header, trailer or component


class DictionaryError(ValueError):
    """A dictionary that cannot be used; the message names the file, the element and the value."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field: ``type`` as QuickFIX names it, ``values`` its meaning by code, empty for any."""

    tag: int
    name: str
    type: str
    values: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False                  # values beside the listed ones are allowed


@dataclass(frozen=True, slots=True)
class Group:
    """A repeating group: each entry begins with ``delimiter``, the first of its ``members``."""

    delimiter: int
    members: tuple["Member", ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a message, header, trailer or group; ``group`` when it counts one."""

    tag: int
    is_required: bool
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class MessageRule:
    """One message: its members in the order of the document."""

    msg_type: str
    name: str
    members: tuple[Member, ...]

    @property
    def is_admin(self) -> bool:
        """Whether it is a message of the session."""
        return self.msg_type in tuple(fix.ADMIN_TYPES)


@dataclass(frozen=True)
class Dictionary:
    """One version of FIX, or what a venue makes of it. Values are immutable."""

    version: str
    fields: Mapping[int, FieldRule]
    messages: Mapping[str, MessageRule]
    header: tuple[Member, ...]
    trailer: tuple[Member, ...]

    @classmethod
    def own(cls, version: str) -> "Dictionary":
        """Return the own dictionary of ``version``: one of ``spec.fix.VERSIONS``."""
        if version not in fix.VERSIONS:
            raise DictionaryError(f"The own dictionaries are {', '.join(fix.VERSIONS)}, "
                                  f"not {version!r}")
        return _own(version)

    @classmethod
    def read(cls, path: str | Path) -> "Dictionary":
        """Read a dictionary in the XML form of QuickFIX.

        Raises :class:`DictionaryError` when the file cannot be read or contradicts itself.
        """
        return _Reader(path).dictionary()

    @functools.cached_property
    def tags(self) -> Mapping[str, int]:
        """Tag of each field by its name."""
        return {rule.name: tag for tag, rule in self.fields.items()}

    @functools.cached_property
    def lengths(self) -> Mapping[int, int]:
        """Tag of the length field by the tag of the raw data that it announces."""
        found = {}
        for tag, rule in self.fields.items():
            if rule.type not in ("DATA", "XMLDATA"):
                continue
            names = (f"{rule.name}Len", f"{rule.name}Length")
            named = next((self.tags[name] for name in names if name in self.tags), None)
            if named is not None or tag - 1 in self.fields:
                found[tag] = named if named is not None else tag - 1
        return found

    @functools.cached_property
    def announced(self) -> Mapping[int, int]:
        """Tag of the raw data by the tag of its length field."""
        return {length: data for data, length in self.lengths.items()}

    def tag(self, name: str) -> int:
        """Return the tag of the field called ``name``; ``KeyError`` when there is none."""
        return self.tags[name]

    def field(self, tag: int) -> FieldRule | None:
        """Return the field with ``tag``, None when the dictionary does not know it."""
        return self.fields.get(tag)


def walk(members: tuple[Member, ...]) -> Iterator[Member]:
    """Yield members and, after each, those of the group that it counts."""
    for member in members:
        yield member
        if member.group is not None:
            yield from walk(member.group.members)


# The own dictionaries


def _choose(text: str, version: str) -> str:
    """Take what holds for ``version`` out of ``FIX.4.2/later`` or ``FIX.4.2/FIX.4.4/later``."""
    parts = text.split("/")
    return parts[min({"FIX.4.2": 0, "FIX.4.4": 1}.get(version, 2), len(parts) - 1)]


def _values(text: str, version: str) -> dict[str, str]:
    mark = {"FIX.4.2": "2", "FIX.4.4": "4"}.get(version, "5")
    values = {}
    for part in text.split():
        code, _, meaning = part.partition("=")
        code, _, versions = code.partition(":")
        if not versions or mark in versions:
            values[code] = meaning
    return values


def _members(tokens: Iterator[str], blocks: Mapping[str, str]) -> tuple[Member, ...]:
    """Parse the notation of ``spec.fix_messages`` up to the closing bracket or the end."""
    members: list[Member] = []
    for token in tokens:
        if token == ")":
            break
        if token.startswith("@"):
            members += _members(_tokens(blocks[token[1:]]), blocks)
        elif token == "(":
            counter, inner = members.pop(), _members(tokens, blocks)
            members.append(Member(counter.tag, counter.is_required, Group(inner[0].tag, inner)))
        else:
            members.append(Member(int(token.rstrip("*")), token.endswith("*")))
    return tuple(members)


def _tokens(text: str) -> Iterator[str]:
    return iter(text.replace("(", " ( ").replace(")", " ) ").split())


@functools.cache
def _own(version: str) -> Dictionary:
    blocks = fix_messages.BLOCKS[version]
    messages = {kind: MessageRule(kind, fix_messages.NAMES[kind], _members(_tokens(text), blocks))
                for kind, text in fix_messages.MESSAGES[version].items()}
    header = _members(_tokens(fix_messages.HEADERS[version]), blocks)
    trailer = _members(_tokens(fix_messages.TRAILERS[version]), blocks)
    used = {member.tag for part in (header, trailer, *(rule.members for rule in messages.values()))
            for member in walk(part)}
    fields = {row.tag: FieldRule(row.tag, _choose(row.name, version), _choose(row.type, version),
                                 _values(row.values, version))
              for row in fix_fields.FIELDS if row.tag in used}
    return Dictionary(version, fields, messages, header, trailer)


# Dictionaries in files


class _Reader:
    """One XML file on its way to a dictionary."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        try:
            self._root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DictionaryError(f"{path} cannot be read as a dictionary: {reason}") from None
        if self._root.tag != "fix":
            raise self._error(f"the outermost element is <{self._root.tag}>, not <fix>")
        self._fields = self._read_fields()
        self._tags = {rule.name: rule.tag for rule in self._fields.values()}
        self._components = {part.get("name"): part for part in self._root.findall("components/*")}
        self._resolved: dict[tuple[str, bool], tuple[Member, ...]] = {}

    def _error(self, what: str) -> DictionaryError:
        return DictionaryError(f"{self._path}: {what}")

    def _attribute(self, element: ElementTree.Element, name: str) -> str:
        value = element.get(name)
        if value is None:
            raise self._error(f"<{element.tag} {element.attrib}> has no {name}")
        return value

    def _read_fields(self) -> dict[int, FieldRule]:
        fields: dict[int, FieldRule] = {}
        for element in self._root.findall("fields/field"):
            name, number = self._attribute(element, "name"), self._attribute(element, "number")
            if not number.isascii() or not number.isdigit() or not 0 < int(number) <= TAG_MAX:
                raise self._error(f"field {name} has the number {number!r}, "
                                  f"not one from 1 to {TAG_MAX}")
            if int(number) in fields:
                raise self._error(f"field {number} is there twice: "
                                  f"{fields[int(number)].name} and {name}")
            values = {self._attribute(value, "enum"): value.get("description", "")
                      for value in element.findall("value")}
            fields[int(number)] = FieldRule(
                int(number), name, self._attribute(element, "type").upper(), values,
                is_open=element.get("allowOtherValues", "").lower() in ("true", "y"))
        return fields

    def _members(self, parent: ElementTree.Element, is_required: bool = True,
                 inside: tuple[str, ...] = ()) -> tuple[Member, ...]:
        """Members in order, components resolved; of a tag that is there twice the first counts."""
        if len(inside) > _NESTING_MAX:
            raise self._error(f"{' in '.join(inside[:3])} ... is nested deeper than {_NESTING_MAX}")
        kept: dict[int, Member] = {}
        for element in parent:
            name = self._attribute(element, "name")
            required = is_required and element.get("required", "N").upper() == "Y"
            if element.tag == "component":
                for member in self._component(name, required, inside):
                    kept.setdefault(member.tag, member)
            elif name not in self._tags:
                raise self._error(f"field {name} is used and not defined")
            else:
                group = None
                if element.tag == "group":
                    members = self._members(element, True, (*inside, name))
                    group = Group(members[0].tag, members) if members else None
                kept.setdefault(self._tags[name], Member(self._tags[name], required, group))
            if len(kept) > _MEMBERS_MAX:
                raise self._error(f"<{parent.tag}> has more than {_MEMBERS_MAX} members")
        return tuple(kept.values())

    def _component(self, name: str, required: bool, inside: tuple[str, ...]) -> tuple[Member, ...]:
        if name not in self._components:
            raise self._error(f"component {name} is used and not defined")
        if name in inside:
            raise self._error(f"component {name} contains itself")
        if (name, required) not in self._resolved:
            self._resolved[name, required] = self._members(
                self._components[name], required, (*inside, name))
        return self._resolved[name, required]

    def _section(self, name: str) -> tuple[Member, ...]:
        element = self._root.find(name)
        return () if element is None else self._members(element)

    def dictionary(self) -> Dictionary:
        messages = {}
        for element in self._root.findall("messages/message"):
            kind, name = self._attribute(element, "msgtype"), self._attribute(element, "name")
            if not 1 <= len(kind.encode("latin-1", "replace")) <= 8:
                raise self._error(f"message {name} has the type {kind!r}, not 1 to 8 octets")
            messages[kind] = MessageRule(kind, name, self._members(element))
        return Dictionary(self._version(), self._fields, messages,
                          self._section("header"), self._section("trailer"))

    def _version(self) -> str:
        major, minor = self._attribute(self._root, "major"), self._attribute(self._root, "minor")
        pack = self._root.get("servicepack", "0")
        return (f"{self._root.get('type', 'FIX')}.{major}.{minor}"
                + (f"SP{pack}" if pack not in ("", "0") else ""))
