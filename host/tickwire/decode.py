"""Messages as text: one entry a message, for ``tickwire decode`` and for error reports.

An entry is a dictionary fit for JSON: ``protocol``, ``type``, ``name``, then every field of
the table in its order, integers and prices raw, text without padding, octets as hexadecimal text.
What cannot be decoded is an entry with ``error``, a whole sentence, and the ``octets``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .spec import glimpse50, itch50, moldudp64, ouch50, soupbintcp
from .spec.wire import Field, Message, Value, decode

Entry = dict[str, Any]

_OCTETS_SHOWN = 64
_TIMES = frozenset({"timestamp", "near_time"})
_NANOSECONDS = 1_000_000_000


def _by_name(messages: tuple[Message, ...]) -> dict[str, Message]:
    return {message.name: message for message in messages}


_TITLES = {"itch50": "ITCH 5.0", "glimpse50": "GLIMPSE 5.0", "ouch50": "OUCH 5.0",
           "soupbintcp": "SoupBinTCP", "moldudp64": "MoldUDP64"}
_MESSAGES = {
    "itch50": _by_name(itch50.MESSAGES), "glimpse50": _by_name(glimpse50.MESSAGES),
    "ouch50": _by_name(ouch50.MESSAGES), "soupbintcp": _by_name(soupbintcp.MESSAGES),
    "moldudp64": _by_name(moldudp64.MESSAGES),
}


def _plain(value: Value) -> int | str:
    return value.hex() if isinstance(value, bytes) else value


def _error(protocol: str, octets: bytes, tag: str, sentence: str) -> Entry:
    shown = octets[:_OCTETS_SHOWN].hex() + ("..." if len(octets) > _OCTETS_SHOWN else "")
    return {"protocol": protocol, "type": tag, "error": sentence, "octets": shown}


def _describe(protocol: str, by_type: Mapping[str, Message], octets: bytes, at: int = 0) -> Entry:
    title = _TITLES[protocol]
    if len(octets) <= at:
        return _error(protocol, octets, "", f"{title} message must have a type octet "
                      f"at offset {at}, not {len(octets)} octets.")
    tag = chr(octets[at])
    if tag not in by_type:
        return _error(protocol, octets, tag,
                      f"{title} has no message of type {tag!a} (0x{octets[at]:02X}).")
    return _known(protocol, by_type[tag], octets)


def _known(protocol: str, message: Message, octets: bytes) -> Entry:
    try:
        values = decode(message, octets)
    except ValueError as error:
        return _error(protocol, octets, message.tag, f"{_TITLES[protocol]} {error}.")
    return {"protocol": protocol, "type": message.tag, "name": message.name,
            **{name: _plain(value) for name, value in values.items()}}


def describe_itch(octets: bytes) -> Entry:
    """Describe one ITCH 5.0 message."""
    return _describe("itch50", itch50.BY_TYPE, octets)


def describe_glimpse(octets: bytes) -> Entry:
    """Describe one message of a GLIMPSE 5.0 spin: ITCH 5.0 messages and the one that ends it."""
    if octets[:1] == glimpse50.END_OF_SNAPSHOT.tag.encode():
        return _known("glimpse50", glimpse50.END_OF_SNAPSHOT, octets)
    return describe_itch(octets)


def _describe_ouch(by_type: Mapping[str, Message], octets: bytes) -> Entry:
    entry = _describe("ouch50", by_type, octets)
    appendage = bytes.fromhex(entry.pop("appendage", ""))
    if appendage:
        try:
            options = ouch50.decode_appendage(appendage)
        except ValueError as error:
            return _error("ouch50", octets, entry["type"], f"OUCH 5.0 {entry['name']}: {error}.")
        entry["options"] = {name: _plain(value) for name, value in options.items()}
    return entry


def describe_ouch_in(octets: bytes) -> Entry:
    """Describe one OUCH 5.0 message from client to venue."""
    return _describe_ouch(ouch50.INBOUND, octets)


def describe_ouch_out(octets: bytes) -> Entry:
    """Describe one OUCH 5.0 message from venue to client."""
    return _describe_ouch(ouch50.OUTBOUND, octets)


def describe_soup(octets: bytes) -> Entry:
    """Describe one whole SoupBinTCP packet, its length field included."""
    return _describe("soupbintcp", soupbintcp.BY_TYPE, octets, soupbintcp.TYPE_OFFSET)


def describe_datagram(octets: bytes) -> Iterator[Entry]:
    """Describe a downstream MoldUDP64 datagram: its header, then each message with ``sequence``.

    A block that does not fit ends the iteration with an entry that has ``error``.
    """
    header = moldudp64.DOWNSTREAM_HEADER
    entry = _known("moldudp64", header, octets[:header.size])
    yield entry
    if "error" in entry or entry["message_count"] == moldudp64.END_OF_SESSION:
        return
    offset = header.size
    for number in range(entry["message_count"]):
        start = offset + moldudp64.MESSAGE_BLOCK.size
        size = int.from_bytes(octets[offset:start], "big")
        if len(octets) < start + size or len(octets) < start:
            yield _error("moldudp64", octets[offset:], "", f"MoldUDP64 block {number} at offset "
                         f"{offset} does not fit the datagram of {len(octets)} octets.")
            return
        yield {"sequence": entry["sequence_number"] + number,
               **describe_itch(octets[start:start + size])}
        offset = start + size
    if offset < len(octets):
        yield _error("moldudp64", octets[offset:], "", f"MoldUDP64 datagram has "
                     f"{len(octets) - offset} octets after its last block.")


DESCRIBE: dict[str, Callable[[bytes], Entry]] = {
    "itch50": describe_itch, "glimpse50": describe_glimpse, "soupbintcp": describe_soup,
    "ouch50-in": describe_ouch_in, "ouch50-out": describe_ouch_out,
}
"""Functions that describe one message, by protocol and direction."""


def dollars(value: int, decimals: int = 4) -> str:
    """Text of a raw price with all its decimals: ``dollars(805200)`` is ``80.5200``."""
    digits = f"{abs(value):0{decimals + 1}d}"
    return f"{'-' if value < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


def time_of_day(nanoseconds: int) -> str:
    """Text of nanoseconds since midnight: ``09:30:00.000000001``."""
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:09d}"


def _shown(field: Field | None, value: object) -> str:
    if isinstance(value, int):
        if field is not None and field.kind == "price":
            return dollars(value, field.decimals)
        return time_of_day(value) if field is not None and field.name in _TIMES else str(value)
    text = str(value)
    is_plain = text and text.isascii() and text.isprintable() and " " not in text
    return text if is_plain else json.dumps(text)


def line(entry: Entry) -> str:
    """Text of an entry on one line, prices in dollars; never holds a control character."""
    head = [time_of_day(entry["timestamp"])] if "timestamp" in entry else []
    if "sequence" in entry:
        head.insert(0, str(entry["sequence"]))
    if "error" in entry:
        return " ".join([*head, "error:", entry["error"], entry["octets"]])
    message = _MESSAGES[entry["protocol"]][entry["name"]]
    if message.tag:
        head.append(message.tag)
    head.append(message.name)
    values = [f"{field.name}={_shown(field, entry[field.name])}" for field in message.fields
              if field.name in entry and field.name != "timestamp"]
    by_name = {field.name: field for field in ouch50.OPTIONS.values()}
    values += [f"{name}={_shown(by_name.get(name), value)}"
               for name, value in entry.get("options", {}).items()]
    return " ".join([*head, *values])


def json_line(entry: Entry) -> str:
    """JSON object of an entry on one line, numbers raw."""
    return json.dumps(entry, separators=(",", ":"))
