"""Sections of a configuration: dataclasses whose fields say how they are read.

A field is declared with :func:`setting` (one value), :func:`section` (a table of its own),
:func:`named` (one table for each name) or :func:`array` (an array of tables). :func:`read_section`
turns a TOML document into such a dataclass; whatever is wrong becomes one sentence with the place,
the key, the rule and the value. All mistakes of a file are told, each on its line.
"""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, TypeVar

from tickwire.errors import TickwireError
from tickwire.rules import Refused, Rule, integer

SHOWN = 60                                 # characters of a wrong value that a message repeats
MISTAKES = 20                              # that one message tells
_Section = TypeVar("_Section")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document came from, which keys were overridden afterwards, which it could have."""

    source: str
    overridden: frozenset[str] = frozenset()
    keys: tuple[str, ...] = ()

    def error(self, key: str, complaint: str) -> TickwireError:
        """Return the error for ``key``; ``complaint`` completes the sentence."""
        is_override = any(f"{key}.".startswith((f"{given}.", f"{given}["))
                          or given.startswith(f"{key}.") for given in self.overridden)
        shown = key if key.isprintable() and len(key) <= SHOWN else _shown(key)
        return TickwireError(f"{'override' if is_override else self.source}: {shown} {complaint}")


@dataclass(frozen=True, slots=True)
class _Reading:
    """One field being read: its key, its place and the fields of its section read before it."""

    place: Place
    key: str
    before: Mapping[str, Any]

    def error(self, complaint: str) -> TickwireError:
        return self.place.error(self.key, complaint)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, its rule and a line of help. A secret shows in no message."""

    rule: Rule
    doc: str = ""
    is_secret: bool = False

    def read(self, value: object, reading: _Reading) -> Any:
        """Return the stored value."""
        try:
            return self.rule.read(value)
        except Refused:
            shown = "what was given (it is secret)" if self.is_secret else _shown(value)
            raise reading.error(f"must be {self.rule.words}, not {shown}") from None


@dataclass(frozen=True, slots=True)
class Section:
    """A table of its own."""

    kind: type[Any]

    def read(self, value: object, reading: _Reading) -> Any:
        """Return the section."""
        return read_section(self.kind, value, reading.place, reading.key)


@dataclass(frozen=True, slots=True)
class Named:
    """One entry for each name: tables that differ from the section ``base``, or single values."""

    entry: type[Any] | Setting
    base: str = ""

    def read(self, value: object, reading: _Reading) -> dict[str, Any]:
        """Return the entries by name."""
        entries = {}
        for name, written in _table(value, reading).items():
            key = f"{reading.key}.{name}"
            if isinstance(self.entry, Setting):
                entries[name] = self.entry.read(written, _Reading(reading.place, key, {}))
            else:
                entries[name] = read_section(self.entry, written, reading.place, key,
                                             reading.before[self.base])
        return entries


@dataclass(frozen=True, slots=True)
class Array:
    """An array of tables. The field ``identity`` names an entry once; alone it may stand bare."""

    kind: type[Any]
    identity: str

    def read(self, value: object, reading: _Reading) -> tuple[Any, ...]:
        """Return the entries in order."""
        if not isinstance(value, list):
            raise reading.error(f"must be an array, not {_shown(value)}")
        entries: dict[Any, Any] = {}
        for index, written in enumerate(value):
            key = f"{reading.key}[{index}]"
            table = written if isinstance(written, dict) else {self.identity: written}
            if self.identity not in table:
                raise reading.place.error(f"{key}.{self.identity}", "is missing")
            entry = read_section(self.kind, table, reading.place, key)
            name = getattr(entry, self.identity)
            if name in entries:
                raise reading.place.error(f"{key}.{self.identity}", f"names {name} a second time")
            entries[name] = entry
        return tuple(entries.values())


Form = Setting | Section | Named | Array


def setting(default: Any, rule: Rule, doc: str, *, is_secret: bool = False) -> Any:
    """Declare a field with its stored ``default``, its rule and one line of help."""
    return dataclasses.field(default=default, repr=not is_secret,
                             metadata={"form": Setting(rule, doc, is_secret)})


def section(kind: type[_Section]) -> _Section:
    """Declare a field that is a table of its own."""
    return dataclasses.field(default_factory=kind, metadata={"form": Section(kind)})


def named(entry: type[Any] | Setting, base: str = "") -> Any:
    """Declare a field with one entry for each name; none by default."""
    return dataclasses.field(default_factory=dict, metadata={"form": Named(entry, base)})


def array(kind: type[Any], identity: str) -> Any:
    """Declare a field that is an array of tables; empty by default."""
    return dataclasses.field(default=(), metadata={"form": Array(kind, identity)})


def forms(kind: type[Any]) -> dict[str, Form]:
    """Return how each key of ``kind`` is read; fields that a document can not set are left out.

    A dataclass without declarations, such as :class:`tickwire.spec.geometry.Geometry`, has
    integers with ``bounds`` and ``doc`` in their metadata, and checks what else they must be.
    """
    fields = dataclasses.fields(kind)
    if any("form" in field.metadata for field in fields):
        return {field.name: field.metadata["form"] for field in fields if "form" in field.metadata}
    return {field.name: Setting(integer(*field.metadata["bounds"]), field.metadata["doc"])
            for field in fields}


def settings(kind: type[Any], key: str = "") -> Iterator[tuple[str, Setting]]:
    """Yield the dotted key and the declaration of every single value below ``kind``."""
    for name, form in forms(kind).items():
        dotted = f"{key}.{name}" if key else name
        if isinstance(form, Setting):
            yield dotted, form
        elif isinstance(form, Section):
            yield from settings(form.kind, dotted)


def read_section(kind: type[_Section], value: object, place: Place, key: str = "",
                 base: _Section | None = None) -> _Section:
    """Return a ``kind`` with what ``value`` says and the rest as in ``base``, or as by default.

    Raises :class:`TickwireError` for a value that is not a table, for every key that is not known
    and every value against its rule, a line each (the first one where keys were overridden), and
    for what ``kind`` itself refuses with a ``ValueError`` that begins with the key.
    """
    reading = _Reading(place, key, {})
    table = _table(value, reading)
    known = forms(kind)
    start = base if base is not None else kind()
    values = {name: getattr(start, name) for name in known}
    prefix, wrong = f"{key}." if key else "", []
    for name in table:
        if name not in known:
            near = nearest(prefix + name, [*(prefix + other for other in known), *place.keys])
            wrong.append(place.error(prefix + name, f"is not a key; the nearest is {near}"))
    for name, form in known.items():
        if name in table:
            try:
                values[name] = form.read(table[name], _Reading(place, prefix + name, values))
            except TickwireError as error:
                wrong.append(error)
    if wrong:
        told = 1 if place.overridden else MISTAKES
        raise TickwireError("\n".join("\n".join(map(str, wrong)).split("\n")[:told]))
    try:
        return kind(**values)
    except ValueError as error:
        refused, _, complaint = str(error).partition(" ")
        raise place.error(refused, complaint) from None


def describe(kind: type[Any], key: str = "") -> Iterator[str]:
    """Yield the Markdown lines of a reference of every section and key below ``kind``."""
    found = forms(kind)
    if key:
        doc = inspect.cleandoc(kind.__doc__ or "").replace("``", "`")
        yield from ("", f"## [{key}]", "", *doc.splitlines())
    if any(isinstance(form, Setting) for form in found.values()):
        yield from ("", "| key | default | must be | meaning |", "|---|---|---|---|")
    base = kind()
    for name, form in found.items():
        if isinstance(form, Setting):
            default = form.rule.show(getattr(base, name))
            yield f"| `{name}` | `{default}` | {form.rule.words} | {form.doc} |"
    for name, form in found.items():
        dotted = f"{key}.{name}" if key else name
        if isinstance(form, Section):
            yield from describe(form.kind, dotted)
        elif isinstance(form, Array):
            yield from ("", f"## {dotted}", "", "An array of tables; an entry that is only its "
                        f"`{form.identity}` may stand without braces.")
            yield from list(describe(form.kind, dotted))[4:]
        elif isinstance(form, Named) and isinstance(form.entry, Setting):
            yield from ("", f"## [{dotted}]", "", f"Any name; {form.entry.rule.words}.")
        elif isinstance(form, Named):
            yield from ("", f"## [{dotted}.NAME]", "",
                        f"The keys of [{key}.{form.base}], as far as they differ for NAME.")


def nearest(key: str, known: list[str]) -> str:
    """Return the one of ``known`` that looks most like ``key``."""
    return max(known, key=lambda other: SequenceMatcher(None, key, other).ratio())


def _table(value: object, reading: _Reading) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise reading.error(f"must be a section, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """Return ``value`` as a sentence can hold it: printable, and cut to a length."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
