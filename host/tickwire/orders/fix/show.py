"""FIX messages for people: names of fields, meanings of values, groups indented; or as JSON."""

from collections.abc import Iterator
from typing import Any

from tickwire.orders.fix.message import Fields, Message, Value, octets_of
from tickwire.orders.fix.parse import Parsed
from tickwire.orders.fix.rules import Rules
from tickwire.spec.fix import Tag

_INDENT = "  "
_UNREADABLE = dict.fromkeys(range(32), ".") | {127: "."}


class Reader:
    """Names and meanings by the rules of each version; a version without rules has bare tags."""

    def __init__(self, rules: dict[str, Rules]) -> None:
        self._rules = rules

    def rules(self, begin_string: str) -> Rules | None:
        """Return the rules for a value of 8."""
        return self._rules.get(begin_string)

    def lines(self, message: Message, rules: Rules | None) -> Iterator[str]:
        """Yield a line that sums the message up, then one a field."""
        header = message.header
        yield (f"{_name(message, rules)} ({message.msg_type}) {message.begin_string} "
               f"34={header.text(Tag.SEQUENCE, '?')} {header.text(Tag.SENDER, '?')} -> "
               f"{header.text(Tag.TARGET, '?')} {header.text(Tag.SENDING_TIME)}".rstrip())
        for fields in (header, message.body):
            yield from _fields(fields, message.msg_type, rules, _INDENT)

    def mapping(self, message: Message, rules: Rules | None) -> dict[str, Any]:
        """Return the same for JSON: text by the names of fields, groups as lists."""
        return {"type": message.msg_type, "name": _name(message, rules),
                "begin_string": message.begin_string,
                "header": _mapping(message.header, message.msg_type, rules),
                "body": _mapping(message.body, message.msg_type, rules)}


def trouble(parsed: Parsed) -> str:
    """Return what is wrong with a message, in a few words; empty when nothing is."""
    if parsed.garbled:
        return f"garbled: {parsed.garbled}"
    fault = parsed.fault
    if fault is None:
        return ""
    return f"{fault.text}{f': {fault.tag}' if fault.tag else ''} (reason {int(fault.reason)})"


def readable(octets: bytes) -> str:
    """Return octets on one line: | for the delimiter, a dot for what cannot be printed."""
    return octets.decode("latin-1").replace("\x01", "|").translate(_UNREADABLE)


def _name(message: Message, rules: Rules | None) -> str:
    known = rules.dictionary(message.msg_type).messages.get(message.msg_type) if rules else None
    return known.name if known else message.name


def _field_name(tag: int, msg_type: str, rules: Rules | None) -> str:
    rule = rules.field(tag, msg_type) if rules else None
    return rule.name if rule else ""


def _fields(fields: Fields, msg_type: str, rules: Rules | None, indent: str) -> Iterator[str]:
    for tag, value in fields.items():
        name = _field_name(tag, msg_type, rules)
        label = f"{indent}{tag} {name}".rstrip()
        yield f"{label} = {_shown(tag, value, msg_type, rules)}"
        for number, entry in enumerate(value if isinstance(value, list) else [], 1):
            yield f"{indent}{_INDENT}[{number}]"
            yield from _fields(entry, msg_type, rules, indent + 2 * _INDENT)


def _shown(tag: int, value: Value, msg_type: str, rules: Rules | None) -> str:
    octets = octets_of(value)
    if isinstance(value, bytes):
        return f"{len(octets)} octets: {readable(octets)}"
    rule = rules.field(tag, msg_type) if rules else None
    text = readable(octets)
    codes = text.split(" ") if rule and rule.type.startswith("MULTIPLE") else [text]
    meanings = [rule.values[code] for code in codes if rule and code in rule.values]
    return f"{text} ({', '.join(meanings)})" if meanings and rule and tag != 35 else text


def _mapping(fields: Fields, msg_type: str, rules: Rules | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tag, value in fields.items():
        name = _field_name(tag, msg_type, rules) or str(tag)
        found[name] = ([_mapping(entry, msg_type, rules) for entry in value]
                       if isinstance(value, list) else octets_of(value).decode("latin-1"))
    return found
