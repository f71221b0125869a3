"""XGMII octet by octet: frames onto a line, and what a line carries, as IEEE 802.3 §46 has it."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tickwire.spec.xgmii import Character

LANES = 8
LEAD = bytes([0x55] * 6 + [0xD5])              # behind START
Octet = tuple[int, bool]                       # octet, whether it is a control character
IDLE: Octet = (Character.IDLE, True)
START: Octet = (Character.START, True)
TERMINATE: Octet = (Character.TERMINATE, True)
ERROR: Octet = (Character.ERROR, True)


def checked(octets: bytes) -> bytes:
    """Return a frame, padded, with its check."""
    padded = octets.ljust(60, b"\0")
    return padded + zlib.crc32(padded).to_bytes(4, "little")


def data(octets: bytes) -> list[Octet]:
    """Return octets that are no control characters."""
    return [(octet, False) for octet in octets]


def sent(frame: bytes) -> list[Octet]:
    """Return a frame with its check as it stands on the line."""
    return [START, *data(LEAD + frame), TERMINATE]


def words(line: Sequence[Octet]) -> list[tuple[int, int]]:
    """Return (data, control) of each word, idle behind the end."""
    filled = [*line, *[IDLE] * (-len(line) % LANES)]
    return [(int.from_bytes(bytes(octet for octet, _ in filled[at:at + LANES]), "little"),
             sum(is_control << lane for lane, (_, is_control) in enumerate(filled[at:at + LANES])))
            for at in range(0, len(filled), LANES)]


def octets(found: Iterable[tuple[int, int]]) -> list[Octet]:
    """Return the octets of words of data and control."""
    return [(value >> 8 * lane & 0xFF, bool(control >> lane & 1))
            for value, control in found for lane in range(LANES)]


@dataclass(frozen=True)
class Sent:
    """A frame that a transmitter sent: its octets with the check, and its place on the line."""

    octets: bytes
    start: int                                 # place of START
    end: int                                   # of the character behind the last octet
    is_whole: bool                             # that is TERMINATE, and its check is right


def frames(line: Sequence[Octet]) -> Iterator[Sent]:
    """Yield the frames of a line; between them there may be idle only."""
    at = 0
    while at < len(line):
        if line[at] == START:
            assert at % 4 == 0, "a frame begins in lane 0 or 4"
            end = at + 1
            while not line[end][1]:
                end += 1
            body = bytes(octet for octet, _ in line[at + 1:end])
            assert body.startswith(LEAD)
            body = body[len(LEAD):]
            is_right = zlib.crc32(body[:-4]).to_bytes(4, "little") == body[-4:]
            yield Sent(body, at, end, line[end] == TERMINATE and is_right)
            at = end
            if line[at] == ERROR:
                at += 1
            assert line[at] == TERMINATE
        else:
            assert line[at] == IDLE
        at += 1


@dataclass(frozen=True)
class Received:
    """What a receiver has to say of a frame."""

    octets: bytes                              # without check
    start: int                                 # place of START
    is_runt: bool
    is_damaged: bool


def received(line: Sequence[Octet]) -> tuple[list[Received], set[int]]:
    """Return the frames of any line, and the words in which a preamble turns out to be wrong."""
    found, bad = [], set()
    body, start, is_harmed, is_open, at = b"", 0, False, False, 0
    while at < len(line):
        octet, is_control = line[at]
        step = 1
        if is_open and (not is_control or octet == Character.ERROR):
            body += bytes([octet])
            is_harmed |= is_control
        elif is_control:
            if is_open:
                is_right = zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little")
                is_runt = len(body) < 64
                found.append(Received(body[:-4], start, is_runt, not is_runt and (
                    is_harmed or octet != Character.TERMINATE or not is_right)))
                is_open = False
            if octet == Character.START and at % 4 == 0:
                lead = [*line[at + 1:at + 8], *[IDLE] * 7][:7]
                # All of a word is looked at at once.
                here = min(LANES - at % LANES - 1, 7)
                if lead == data(LEAD):
                    body, start, is_harmed, is_open, step = b"", at, False, True, 8
                else:
                    bad.add((at + (0 if lead[:here] != data(LEAD[:here]) else 7)) // LANES)
        at += step
    return found, bad


def gaps(lengths: Sequence[int]) -> Iterator[int]:
    """Yield the gap behind each of the frames of so many octets, check included: §46.3.1.4."""
    deficit = 0
    for length in lengths:
        short = length % 4                     # octets that rounding down to a half word takes
        if deficit + short <= 3:
            deficit += short
            yield 12 - short
        else:
            deficit -= 4 - short
            yield 16 - short
