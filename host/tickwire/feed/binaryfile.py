"""NASDAQ BinaryFILE: a big-endian length of 2 octets before each message, read as a stream.

A length of 0 ends the session when nothing but zeros follows. Some writers leave every length
zero; the type fixes the length of an ITCH 5.0 message, so such a file is read, counted and
warned about. Any other length that is not that of the type is an error: nothing after it can be
believed.
"""

from collections.abc import Generator

import numpy as np

from tickwire.errors import InputError
from tickwire.feed.octets import Buffer, OctetStream
from tickwire.feed.source import Chunk, MessageChunk, Source
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load16, load_be16, store32, store_be16, unlikely
from tickwire.spec.itch50 import BINARY_FILE_LENGTH_SIZE, SIZES

MORE = 0                 # the next message is not whole
WRONG_LENGTH = 1         # neither zero nor that of its type
UNKNOWN_ZERO = 2         # zero, and the type is unknown: the length cannot be told
END = 3                  # zero, and no type octet: end of the session
FULL = 4                 # no room for another offset

OFFSETS = 1 << 18
"""Messages of one chunk at most; 4 MiB of order flow are some 120,000."""

_PREFIX = BINARY_FILE_LENGTH_SIZE
_SIZES = np.array(SIZES, np.uint16)


@kernel
def frame(address, size, sizes, offsets, capacity):
    """Find the whole messages in ``size`` octets at ``address`` and check their lengths.

    ``sizes`` is the address of 256 lengths (u2) by type, 0 unknown; ``offsets`` that of room for
    ``capacity`` places (i4), each of a type octet. A length of zero is filled in. Returns
    (messages, octets used, code, lengths filled in, messages of unknown type); the code says
    why the message at the octets used is not among them.
    """
    place = 0
    count = 0
    filled = 0
    unknown = 0
    while place + _PREFIX < size:
        if unlikely(count == capacity):
            return count, place, FULL, filled, unknown
        length = load_be16(address + place)
        kind = load8(address + place + _PREFIX)
        expected = load16(sizes + 2 * kind)
        after = place + _PREFIX + length
        if unlikely(length != expected):
            if length == 0:
                after += expected
                if after > size:
                    break
                store_be16(address + place, expected)
                filled += 1
            elif expected != 0:
                return count, place, WRONG_LENGTH, filled, unknown
            elif after <= size:
                unknown += 1
        elif unlikely(length == 0):        # and the type has no length either
            return count, place, END if kind == 0 else UNKNOWN_ZERO, filled, unknown
        if unlikely(after > size):
            break
        store32(offsets + 4 * count, place + _PREFIX)
        count += 1
        place = after
    return count, place, MORE, filled, unknown


class BinaryFile(Source):
    """A BinaryFILE of ITCH 5.0 messages.

    ``counts`` holds ``zero_length`` (lengths filled in) and ``unknown_type`` (messages of a type
    that ITCH 5.0 does not have, handed over by their length).
    """

    kind = "binaryfile"

    def __init__(self, stream: OctetStream) -> None:
        super().__init__(stream)
        self._offsets = np.empty(OFFSETS, np.int32)
        self.is_ended = False
        """Whether the mark that ends a session was read."""

    def _chunks(self, buffer: Buffer, start: int) -> Generator[Chunk, None, int]:
        code = FULL
        while code == FULL and not self.is_ended:
            count, used, code, filled, unknown = frame(
                buffer.address + start, buffer.size - start, _SIZES.ctypes.data,
                self._offsets.ctypes.data, len(self._offsets))
            self._count("zero_length", filled, count,
                        "length fields of zero where a message follows; its type gave the length")
            self._count("unknown_type", unknown, count,
                        "messages of a type that ITCH 5.0 does not have",
                        self._first_unknown(buffer, start, count) if unknown else "")
            if count:
                chunk = MessageChunk(buffer, start, used, self._next, self._offsets[:count])
                self._next += count
                yield chunk
            start += used
            if code in (WRONG_LENGTH, UNKNOWN_ZERO):
                raise self._wrong(buffer, start)
            self.is_ended = code == END
        if not self.is_ended:
            return start
        self._only_zeros(buffer, start)
        return buffer.size

    def _first_unknown(self, buffer: Buffer, start: int, count: int) -> str:
        """Say where the first of ``count`` messages is whose type is unknown."""
        places = self._offsets[:count] + start
        kinds = buffer.array[buffer.start + places]
        index = int((_SIZES[kinds] == 0).argmax())
        return (f"of type {_shown(int(kinds[index]))} at octet "
                f"{buffer.offset + int(places[index]) - _PREFIX}, message {self._next + index}")

    def _finish(self, rest: bytes, end: int, missing: int) -> None:
        self.is_ended |= rest == bytes(_PREFIX)
        if not self.is_ended:
            super()._finish(rest, end, missing)

    def _wrong(self, buffer: Buffer, start: int) -> InputError:
        octets = buffer.octets(start, start + _PREFIX + 1)
        length, kind = int.from_bytes(octets[:_PREFIX], "big"), octets[_PREFIX]
        shown = _shown(kind)
        where = f"{self.name}: message {self._next} at octet {buffer.offset + start}"
        if SIZES[kind]:
            return InputError(f"{where} has type {shown} and length {length}, "
                              f"but ITCH 5.0 gives that type {SIZES[kind]} octets.")
        return InputError(f"{where} has length 0 and type {shown}, which ITCH 5.0 does not have.")

    def _only_zeros(self, buffer: Buffer, start: int) -> None:
        """Raise when anything but zeros follows the end of the session."""
        rest = buffer.array[buffer.start + start:buffer.start + buffer.size]
        if rest.any():
            place = buffer.offset + start + int((rest != 0).argmax())
            raise InputError(f"{self.name}: octet {place} is not zero, but the session ended "
                             f"with a length of zero after message {self._next - 1}.")


def _shown(kind: int) -> str:
    return repr(chr(kind)) if 32 < kind < 127 else f"0x{kind:02x}"
