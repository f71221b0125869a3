"""Markdown pages: one for each module of tables, complete and in the order of the source."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from types import ModuleType
from typing import Any

from .digest import facts, tables
from .wire import Field, Message

FOLDER = "docs/protocols"
_GENERATED = "<!-- Generated from tickwire.spec by `make spec`; edit the table, not this page. -->"
_CODES_IN_ROW_MAX = 6
_KINDS = {"uint": "integer", "int": "signed integer", "octets": "octets", "length": "length"}
_DIRECTIONS = {"": "", "in": "client to venue", "out": "venue to client", "both": "both ways"}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; columns of numbers are right-aligned."""
    marks = ["--:" if rows and all(re.fullmatch(r"-?\d+|rest", str(cell)) for cell in column)
             else "---" for column in (zip(*rows, strict=True) if rows else header)]
    lines = [header, marks, *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |"
                     for line in lines)


def _kind(field: Field) -> str:
    if field.kind == "price":
        return f"price, {field.decimals} decimals"
    if field.kind == "ascii":
        return "text, padded on the left" if field.pad == "left" else "text"
    return _KINDS[field.kind]


def _code(key: object) -> str:
    if isinstance(key, str):
        return f"`{key}`" if key.strip() else "blank"
    return str(key)


def _codes(codes: Mapping[Any, str]) -> str:
    return ", ".join(f"{_code(key)} {meaning}" for key, meaning in codes.items())


def _meaning(field: Field) -> str:
    doc = field.doc + (" Differs between devices." if field.volatile else "")
    if field.codes and len(field.codes) <= _CODES_IN_ROW_MAX:
        return f"{doc} {_codes(field.codes)}."
    return doc


def markdown(message: Message) -> str:
    """Return the section of ``message``: heading, source, fields, codes."""
    heading = f"`{message.tag}` {message.title}" if message.tag else message.title
    size = f"{message.size} octets{' and the rest' if message.is_open_ended else ''}"
    if message.tail_is_optional:
        size = f"{message.size_min} octets, or {size}"
    about = [f"`{message.name}`", message.ref, size, _DIRECTIONS[message.direction]]
    rows = [(offset, field.size or "rest", f"`{field.name}`", _kind(field), _meaning(field))
            for field, offset in message.placed()]
    if message.tag:
        rows.append((message.tag_offset, 1, "type", "text", f"Always `{message.tag}`."))
    parts = [f"## {heading}", "; ".join(part for part in about if part) + ".",
             *([message.note] if message.note else []),
             table(("Offset", "Octets", "Field", "Kind", "Meaning"),
                   sorted(rows, key=lambda row: (row[0], row[1] == "rest")))]
    parts += [f"`{field.name}`: {_codes(field.codes)}." for field in message.fields
              if field.codes and len(field.codes) > _CODES_IN_ROW_MAX]
    return "\n\n".join(parts)


def _remarks(module: ModuleType) -> dict[str, str]:
    """Texts that stand beside names in the source: attribute docstrings and closing comments."""
    source = inspect.getsource(module)
    lines, found = source.splitlines(), {}
    for owner in ast.walk(ast.parse(source)):
        if not isinstance(owner, ast.Module | ast.ClassDef):
            continue
        prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
        for node, after in zip(owner.body, [*owner.body[1:], None], strict=True):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if not isinstance(target, ast.Name):
                continue
            comment = re.search(r"\s#\s+(.*)$", lines[(node.end_lineno or 1) - 1])
            if comment:
                found[prefix + target.id] = comment[1]
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[prefix + target.id] = inspect.cleandoc(str(after.value.value))
    return found


def _enum(kind: type[Enum], remarks: Mapping[str, str]) -> str:
    doc = inspect.cleandoc(kind.__doc__ or "") if "Enum" not in (kind.__doc__ or "Enum") else ""
    rows = [(member.value, f"`{name}`", remarks.get(f"{kind.__name__}.{name}", ""))
            for name, member in kind.__members__.items()]
    width = 3 if any(row[2] for row in rows) else 2
    body = table(("Value", "Name", "Meaning")[:width], [row[:width] for row in rows])
    return "\n\n".join(part for part in (
        f"## {kind.__name__}", doc or remarks.get(kind.__name__, ""), body) if part)


def _cell(name: str, value: Any) -> str:
    if name == "offset" and isinstance(value, int):
        return f"`0x{value:04X}`"
    if isinstance(value, Enum):
        return f"`{value.name}`"
    if isinstance(value, tuple | frozenset):
        return ", ".join(_cell("", part) for part in value)
    return f"`{value}`" if name == "name" else str(value)


def row_table(rows: Sequence[Any]) -> str:
    """Return a Markdown table of dataclass instances, one column for each of their fields."""
    names = [field.name for field in dataclasses.fields(rows[0])]
    titles = ["Meaning" if name == "doc" else name.capitalize() for name in names]
    return table(titles, [[_cell(name, getattr(row, name)) for name in names] for row in rows])


def _options(options: Mapping[int, Field]) -> str:
    rows = [(tag, f"`{field.name}`", field.size, _kind(field),
             field.doc + (f" {_codes(field.codes)}." if field.codes else ""))
            for tag, field in options.items()]
    return table(("Tag", "Option", "Octets", "Kind", "Meaning"), rows)


def _sections(module: ModuleType) -> Iterator[str]:
    remarks, constants = _remarks(module), []
    shown: set[int] = set()
    for name, value in facts(module):
        heading = "\n\n".join(part for part in (f"## {name}", remarks.get(name, "")) if part)
        values = tuple(value.values()) if isinstance(value, Mapping) else value
        if isinstance(value, type):
            derived = any(part in value.__name__ for part in ("Offset", "Index"))
            if not derived:
                yield _enum(value, remarks)
        elif isinstance(value, Message):
            if id(value) not in shown:
                shown.add(id(value))
                yield markdown(value)
        elif isinstance(value, int | str | bytes):
            constants.append((f"`{name}`", f"`{value!r}`", remarks.get(name, "")))
        elif isinstance(value, Mapping) and all(isinstance(row, Field) for row in values):
            yield f"{heading}\n\n{_options(value)}"
        elif isinstance(value, Mapping) and all(isinstance(row, tuple) for row in values):
            rows = [(f"`{key}`", _cell("", row)) for key, row in value.items()]
            yield f"{heading}\n\n{table(('Name', 'Values'), rows)}"
        elif (isinstance(values, tuple) and values and dataclasses.is_dataclass(values[0])
              and not isinstance(values[0], Message | Field)):
            yield f"{heading}\n\n{row_table(values)}"
    if constants:
        yield "## Constants\n\n" + table(("Name", "Value", "Meaning"), constants)


def _plain(text: str) -> str:
    """Return reStructuredText literals as Markdown ones."""
    return re.sub(r"``(.+?)``", r"`\1`", text)


def page(module: ModuleType) -> str:
    """Return the page of one module of tables."""
    title, _, text = inspect.cleandoc(module.__doc__ or "").partition("\n")
    parts = [_GENERATED, f"# {title.rstrip('.')}", text.strip(), *_sections(module)]
    return "\n\n".join(_plain(part) for part in parts if part) + "\n"


def pages() -> dict[str, str]:
    """Return every page and the index by path below the repository."""
    found, rows = {}, []
    for module in tables():
        name = module.__name__.rpartition(".")[2]
        title = inspect.cleandoc(module.__doc__ or "").partition("\n")[0].rstrip(".")
        rows.append((f"[{name}]({name}.md)", _plain(title)))
        found[f"{FOLDER}/{name}.md"] = page(module)
    found[f"{FOLDER}/README.md"] = "\n\n".join((
        _GENERATED, "# Tables",
        "Every protocol, record, register and counter, as `tickwire.spec` declares it.",
        table(("Page", "What"), rows))) + "\n"
    return found
