"""``tickwire decode``: what a file or capture holds, one line a message."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tickwire import decode as text
from tickwire.commands.arguments import Recording, Whole
from tickwire.errors import InputError, TickwireError
from tickwire.spec import itch50, ouch50, soupbintcp

if TYPE_CHECKING:
    from tickwire.feed.frames import Item

Destination = tuple[str, int] | None

_OF_SESSIONS = ("itch50", "moldudp64")     # protocols whose units have a MoldUDP64 session
_TYPES = frozenset({*itch50.BY_TYPE, *ouch50.INBOUND, *ouch50.OUTBOUND, *soupbintcp.BY_TYPE})
# An OUCH message is the payload of a sequenced (venue) or unsequenced (client) SoupBinTCP packet.
_CARRIED = {soupbintcp.SEQUENCED_DATA.tag: text.describe_ouch_out,
            soupbintcp.UNSEQUENCED_DATA.tag: text.describe_ouch_in}


def decode(
    file: Recording,
    *,
    json: Annotated[bool, Parameter(help="One JSON object a message, numbers raw.",
                                    negative="")] = False,
    limit: Annotated[Whole | None, Parameter(help="Stop after so many messages.")] = None,
    types: Annotated[str, Parameter(name="--type", help="Only these types, as A,D,U.")] = "",
) -> int:
    """Print what FILE holds: an ITCH 5.0 BinaryFILE, a pcap or pcapng capture, or one in gzip.

    Captures may carry ITCH 5.0 in MoldUDP64 or OUCH 5.0 in SoupBinTCP. A frame without a message,
    and a packet that is cut or malformed, is a line with the reason, after a #. The exit status
    is 1 when a message could not be decoded or a packet is malformed, 3 when there is no message
    that could be decoded.
    """
    wanted = _wanted(types, _TYPES)
    if limit is not None and limit < 1:
        raise TickwireError(f"--limit must be 1 or more, not {limit}.")
    faults, session = _Faults(), None
    messages = 0
    for entry in _entries(file, wanted, faults):
        sys.stdout.write((text.json_line(entry) if json else _line(entry, session)) + "\n")
        if entry.get("protocol") in _OF_SESSIONS:
            session = entry.get("session", session)
        messages += "protocol" in entry        # others are of frames without one
        if messages == limit:
            break
    return int(bool(faults))


class _Faults:
    """What of an input could not be decoded.

    Whether a datagram that is not MoldUDP64 should have been is told by its destination: when
    messages went there too, before it or after it.
    """

    def __init__(self) -> None:
        self._messages, self._first = 0, ""
        self._feeds: set[Destination] = {None}         # what cannot be believed counts as well
        self._packets: dict[Destination, tuple[int, int, str]] = {}    # order, number, the first

    def take(self, item: "Item", entry: dict[str, Any]) -> None:
        """Look at the next unit of a listing, and at what it was decoded to."""
        if "error" in entry:
            self._messages += 1
            self._first = self._first or item.place
        elif item.protocol == "itch50":
            self._feeds.add(item.destination)
        if item.fault:
            frame = item.place.partition(" block")[0]
            order, count, first = self._packets.get(
                item.destination, (len(self._packets), 0, f"{frame}: {item.fault}"))
            self._packets[item.destination] = order, count + 1, first

    def __bool__(self) -> bool:
        return bool(self._messages) or not self._feeds.isdisjoint(self._packets)

    def sentences(self) -> Iterator[str]:
        """Tell how many there are of each kind, and where the first is."""
        found = sorted(self._packets[end] for end in self._feeds.intersection(self._packets))
        if found:
            yield (f"has {sum(count for _, count, _ in found):,} malformed packets, the first is "
                   f"{found[0][2]}")
        if self._messages:
            yield (f"has {self._messages:,} messages that could not be decoded, the first at "
                   f"{self._first}")


def _wanted(types: str, known: Iterable[str]) -> frozenset[str]:
    """Types that are asked for; refuses one that is not ``known``."""
    found = frozenset(kind.strip() for kind in types.split(",")) if types else frozenset()
    for kind in sorted(found.difference(known)):
        raise TickwireError(f"--type must name types such as A or A,D,U, not {kind!r}.")
    return found


def _entries(file: Path, wanted: frozenset[str], faults: _Faults) -> Iterator[dict[str, Any]]:
    """Yield an entry for each message of a wanted type; all types are wanted when none is named.

    What could not be decoded, of any type, is told to ``faults``.

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
                faults.take(item, entry)
                if wanted and entry.get("type") not in wanted:
                    continue
                place: dict[str, Any] = {"place": item.place}
                if item.timestamp is not None:
                    place["captured_ns"] = item.timestamp
                if item.session:
                    place["session"] = item.session
                if item.sequence is not None:
                    place["sequence"] = item.sequence
                if item.note:
                    place["note"] = item.note
                yield {**place, **entry}
        finally:
            told = [f"{source.name} {told}." for told in faults.sentences()]
            for warning in (*source.warnings, *(told if source.is_capture else ())):
                sys.stderr.write(f"Warning: {warning}\n")
        if is_empty:
            raise InputError(f"{file} holds no message of ITCH 5.0, OUCH 5.0 or SoupBinTCP that "
                             "could be decoded.")


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


def _line(entry: dict[str, Any], session: str | None) -> str:
    """Text of an entry; ``session`` is the one told last.

    The place is told where there is no decoded message, a session where it is another one.
    """
    note = entry.get("note", "")
    if "protocol" not in entry:
        return f"# {entry['place']}: {note}"
    shown = text.line(entry)
    if "error" in entry:
        shown = f"{entry['place']}: {shown}"
    is_new = entry["protocol"] == "itch50" and entry.get("session", session) != session
    notes = [f"session {entry['session']!r}"] if is_new else []
    return "  # ".join([shown, *notes, *([note] if note else [])])
