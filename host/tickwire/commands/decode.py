"""``tickwire decode``: what a file or capture holds, one line a message."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tickwire import decode as text
from tickwire.commands.arguments import Whole
from tickwire.errors import InputError, TickwireError
from tickwire.spec import itch50, moldudp64, ouch50, soupbintcp

_TYPES = frozenset({*itch50.BY_TYPE, *ouch50.INBOUND, *ouch50.OUTBOUND, *soupbintcp.BY_TYPE})
# An OUCH message is the payload of a sequenced (venue) or unsequenced (client) SoupBinTCP packet.
_CARRIED = {soupbintcp.SEQUENCED_DATA.tag: text.describe_ouch_out,
            soupbintcp.UNSEQUENCED_DATA.tag: text.describe_ouch_in}


def decode(
    file: Path,
    *,
    json: Annotated[bool, Parameter(help="One JSON object a message, numbers raw.",
                                    negative="")] = False,
    limit: Annotated[Whole | None, Parameter(help="Stop after so many messages.")] = None,
    types: Annotated[str, Parameter(name="--type", help="Only these types, as A,D,U.")] = "",
) -> int:
    """Print what FILE holds: an ITCH 5.0 BinaryFILE, a pcap or pcapng capture, or one in gzip.

    Captures may carry ITCH 5.0 in MoldUDP64 or OUCH 5.0 in SoupBinTCP. A frame without a message,
    and a packet that is cut or malformed, is a line with the reason, after a #. The exit status
    is 1 when a message could not be decoded, 3 when there is none that could.
    """
    wanted = _wanted(types, _TYPES)
    if limit is not None and limit < 1:
        raise TickwireError(f"--limit must be 1 or more, not {limit}.")
    show = text.json_line if json else _line
    status = 0
    for number, entry in enumerate(_entries(file, wanted), 1):
        sys.stdout.write(show(entry) + "\n")
        status |= "error" in entry
        if number == limit:
            break
    return status


def _wanted(types: str, known: Iterable[str]) -> frozenset[str]:
    """Types that are asked for; refuses one that is not ``known``."""
    found = frozenset(kind.strip() for kind in types.split(",")) if types else frozenset()
    for kind in sorted(found.difference(known)):
        raise TickwireError(f"--type must name types such as A or A,D,U, not {kind!r}.")
    return found


def _entries(file: Path, wanted: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield an entry for each message of a wanted type; all types are wanted when none is named.

    Raises :class:`InputError` at the end when there was no message of any type.
    """
    from tickwire.feed import open_source
    from tickwire.feed.frames import listing
    with open_source(file) as source:
        if not source.is_capture:          # nothing but ITCH can come
            _wanted(",".join(wanted), itch50.BY_TYPE)
        is_empty = True
        try:
            for item in listing(source):
                entry = _entry(item.protocol, item.octets)
                is_empty &= "name" not in entry
                if wanted and entry.get("type") not in wanted:
                    continue
                place: dict[str, Any] = {"place": item.place}
                if item.timestamp is not None:
                    place["captured_ns"] = item.timestamp
                if item.sequence is not None:
                    place["sequence"] = item.sequence
                if note := item.note or _number_fault(item.sequence):
                    place["note"] = note
                yield {**place, **entry}
        finally:
            for warning in source.warnings:
                sys.stderr.write(f"Warning: {warning}\n")
        if is_empty:
            raise InputError(f"{file} holds no message of ITCH 5.0, OUCH 5.0 or SoupBinTCP that "
                             "could be decoded.")


def _number_fault(sequence: int | None) -> str:
    """Say what is wrong with the number of a message, for which the device drops its packet."""
    if sequence is None or 1 <= sequence <= moldudp64.SEQUENCE_MAX:
        return ""
    return f"MoldUDP64 sequence number {sequence} cannot be; the device drops the packet"


def _entry(protocol: str, octets: bytes) -> dict[str, Any]:
    """Describe one unit of a listing; nothing for a frame that was skipped."""
    if protocol == "moldudp64":
        return next(text.describe_datagram(octets))
    entry = text.DESCRIBE[protocol](octets) if protocol else {}
    carried = _CARRIED.get(entry.get("type", "")) if protocol == "soupbintcp" else None
    if carried:
        message = carried(octets[soupbintcp.HEADER_SIZE:])
        if "error" not in message:
            return message
    return entry


def _line(entry: dict[str, Any]) -> str:
    """Text of an entry; the place is told where there is no decoded message."""
    note = entry.get("note", "")
    if "protocol" not in entry:
        return f"# {entry['place']}: {note}"
    shown = text.line(entry)
    if "error" in entry:
        shown = f"{entry['place']}: {shown}"
    return f"{shown}  # {note}" if note else shown
