"""Digest of all tables: host and device that disagree about any of them refuse each other.

It covers every fact and no prose: names, sizes, kinds, orders, values and codes count; titles,
explanations and the order of definitions do not.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

TOOLS = frozenset({"wire", "render", "pages", "dissector", "digest", "generate"})
"""Modules of this package that hold no table."""

_PROSE = frozenset({"doc", "title", "ref", "note", "help"})
_FACTS = (int, str, bytes, tuple, frozenset, Mapping, Enum)


def tables() -> tuple[ModuleType, ...]:
    """Return the modules of this package that hold tables, by name."""
    package = import_module(__package__)
    names = sorted(row.name for row in iter_modules(package.__path__)
                   if row.name not in TOOLS and not row.name.startswith("_"))
    return tuple(import_module(f"{__package__}.{name}") for name in names)


def facts(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of every table and constant of ``module``, as defined."""
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if isinstance(value, type):
            if issubclass(value, Enum) and value.__module__ == module.__name__:
                yield name, value
        elif isinstance(value, _FACTS) or dataclasses.is_dataclass(value):
            yield name, value


def canonical(value: Any) -> str:
    """Return a text that is the same for equal facts, and only for those."""
    if isinstance(value, type) and issubclass(value, Enum):
        members = (f"{name}={canonical(member.value)}"
                   for name, member in sorted(value.__members__.items()))
        return f"{value.__name__}[{','.join(members)}]"
    if isinstance(value, Enum):
        return canonical(value.value)
    if dataclasses.is_dataclass(value):
        parts = (f"{field.name}={canonical(getattr(value, field.name))}"
                 for field in dataclasses.fields(value) if field.name not in _PROSE)
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, Mapping):
        # What a code means is prose; what else a key leads to is a fact.
        items = (canonical(key) if isinstance(found, str) else f"{canonical(key)}:{canonical(found)}"
                 for key, found in value.items())
        return "{" + ",".join(sorted(items)) + "}"
    if isinstance(value, frozenset):
        return "{" + ",".join(sorted(map(canonical, value))) + "}"
    if isinstance(value, tuple):
        return "(" + ",".join(map(canonical, value)) + ")"
    return repr(value)


def canonical_text() -> str:
    """Return the text that the digest covers: one line a fact, sorted."""
    lines = (f"{module.__name__.rpartition('.')[2]}.{name}={canonical(value)}"
             for module in tables() for name, value in facts(module))
    return "\n".join(sorted(lines)) + "\n"


@cache
def digest() -> int:
    """Return the 64-bit digest of all tables, unsigned: register DIGEST."""
    state = hashlib.blake2b(canonical_text().encode(), digest_size=8)
    return int.from_bytes(state.digest(), "big")
