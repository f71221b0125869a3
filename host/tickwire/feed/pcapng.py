"""pcapng captures: any number of sections and interfaces, read as a stream.

A kernel lists the packet blocks; sections, interfaces and blocks of no interest are rare and are
seen to in Python. Interfaces with a link type that is not read are counted, not fatal.
"""

import struct
from collections.abc import Generator, Iterator

import numpy as np

from tickwire.errors import InputError
from tickwire.feed.octets import CARRY_MAX, Buffer, OctetStream
from tickwire.feed.pcap import LINK_NAMES, Capture, load_u32, put_frame
from tickwire.feed.source import FRAME_SIZE, Chunk, FrameChunk
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    load16,
    load_be16,
    multiply,
    shift_right,
    unlikely,
    view,
)
from tickwire.spec.capture import (
    BLOCK_INTERFACE,
    BLOCK_MIN,
    BLOCK_PACKET,
    BLOCK_PACKET_OLD,
    BLOCK_PACKET_SIMPLE,
    BLOCK_SECTION,
    CAPTURED_MAX,
    INTERFACE_SIZE,
    LINKS,
    OPTION_END,
    OPTION_OFFSET,
    OPTION_RESOLUTION,
    PACKET_SIMPLE_SIZE,
    PACKET_SIZE,
    PCAPNG_BYTE_ORDER_MAGIC,
    PCAPNG_MAJOR,
    SECTION_SIZE,
)

MORE = 0                 # the next block is not whole
FULL = 1                 # no room for another frame
OTHER = 2                # a block that is not a packet
BAD_BLOCK = 3            # a packet block with a length that cannot be
BAD_INTERFACE = 4        # a packet of an interface that was not declared
BAD_CAPTURED = 5         # more octets captured than the block has

INTERFACES = 1 << 12
"""Interfaces of one section at most."""

BLOCK_MAX = CARRY_MAX - 64
"""Octets of a block that is looked into at most: what a buffer can carry over."""

BITS_MAX, DIGITS_MAX = 62, 18
"""Finest units of a time stamp that fit 64 bits with a sign."""

INTERFACE = np.dtype([
    ("link", "i8"),          # -1 when it is not read
    ("multiply", "i8"),      # ns of a unit, or 0
    ("divide", "i8"),        # units of a ns, or 0
    ("bits", "i8"),          # a second is 2^bits units, when both are 0
    ("offset", "i8"),        # seconds to add
    ("snap", "i8"),          # octets captured at most, 0 for any number
], align=True)

_INTERFACE_SIZE = INTERFACE.itemsize

interface_at = view(INTERFACE)
_BITS = 30                   # of the fraction of a second that are kept: finer than 1 ns


@kernel(inline=True)
def _timestamp(interface, high, low):
    """Time stamp in ns; hostile values wrap."""
    row = interface_at(interface)
    units = multiply(high, 1 << 32) | low
    if row["multiply"] != 0:
        time = multiply(units, row["multiply"])
    elif row["divide"] != 0:
        time = units // row["divide"]
    else:
        bits = row["bits"]
        fraction = units & ((1 << bits) - 1)
        if bits > _BITS:
            fraction = shift_right(fraction, bits - _BITS)
            time = (fraction * 1_000_000_000) >> _BITS
        else:
            time = (fraction * 1_000_000_000) >> bits
        time += multiply(shift_right(units, bits), 1_000_000_000)
    return multiply(time + multiply(row["offset"], 1_000_000_000), 1)


@kernel
def scan_blocks(address, size, is_big, interfaces, interface_count, timestamp, frames, capacity):
    """List the packet blocks in ``size`` octets at ``address`` as :data:`FRAME` at ``frames``.

    ``timestamp`` is that of the packet before; a simple packet block has none of its own.
    Returns (frames, octets used, code, sum of their oddities, frames of a link type that is not
    read, time stamp).
    """
    place = 0
    count = 0
    odd = 0
    skipped = 0
    while place + BLOCK_MIN <= size:
        block = address + place
        kind = load_u32(block, is_big)
        if unlikely(kind != BLOCK_PACKET and kind != BLOCK_PACKET_SIMPLE
                    and kind != BLOCK_PACKET_OLD):
            return count, place, OTHER, odd, skipped, timestamp
        if unlikely(count == capacity):
            return count, place, FULL, odd, skipped, timestamp
        total = load_u32(block + 4, is_big)
        fixed = PACKET_SIMPLE_SIZE if kind == BLOCK_PACKET_SIMPLE else PACKET_SIZE
        if unlikely(total < fixed or total > BLOCK_MAX or total & 3 != 0):
            return count, place, BAD_BLOCK, odd, skipped, timestamp
        if unlikely(place + total > size):
            break
        if unlikely(load_u32(block + total - 4, is_big) != total):
            return count, place, BAD_BLOCK, odd, skipped, timestamp
        number = 0
        if kind == BLOCK_PACKET:
            number = load_u32(block + 8, is_big)
        elif kind == BLOCK_PACKET_OLD:
            number = load_be16(block + 8) if is_big else load16(block + 8)
        if unlikely(number >= interface_count):
            return count, place, BAD_INTERFACE, odd, skipped, timestamp
        interface = interfaces + number * _INTERFACE_SIZE
        row = interface_at(interface)
        if kind == BLOCK_PACKET_SIMPLE:
            data = 12
            on_wire = load_u32(block + 8, is_big)
            captured = min(on_wire, total - fixed)
            if row["snap"] != 0:
                captured = min(captured, row["snap"])
        else:
            data = 28
            on_wire = load_u32(block + 24, is_big)
            captured = load_u32(block + 20, is_big)
            timestamp = _timestamp(interface, load_u32(block + 12, is_big),
                                   load_u32(block + 16, is_big))
        if unlikely(captured > total - fixed or captured > CAPTURED_MAX):
            return count, place, BAD_CAPTURED, odd, skipped, timestamp
        if unlikely(row["link"] < 0):
            skipped += 1
        else:
            odd += put_frame(frames + count * FRAME_SIZE, address, place + data, captured,
                             on_wire, timestamp, number, row["link"])
            count += 1
        place += total
    return count, place, MORE, odd, skipped, timestamp


class PcapngFile(Capture):
    """A pcapng capture.

    ``counts`` holds besides ``frames_other_link`` (of a link type that is not read) and
    ``blocks_skipped`` (neither packet, section nor interface).
    """

    kind = "pcapng"

    def __init__(self, stream: OctetStream) -> None:
        super().__init__(stream)
        self._interfaces = np.zeros(INTERFACES, INTERFACE)
        self._interface_count = 0
        self._is_big = False
        self._timestamp = 0
        self._other_links = ""             # the last link type that is not read
        self._left_out = 0                 # where the last block left out began

    def _chunks(self, buffer: Buffer, start: int) -> Generator[Chunk, None, int]:
        code = MORE if start >= buffer.size else FULL          # inside of a block left out
        while code in (FULL, OTHER):
            count, used, code, odd, skipped, self._timestamp = scan_blocks(
                buffer.address + start, buffer.size - start, self._is_big,
                self._interfaces.ctypes.data, self._interface_count, self._timestamp,
                self._frames.ctypes.data, len(self._frames))
            self._count_odd(odd, count)
            self._count("frames_other_link", skipped, count + skipped, "frames of a link type "
                        f"that is not read ({self._other_links})")
            if count:
                chunk = FrameChunk(buffer, start, used, self._next, self._frames[:count])
                self._next += count
                yield chunk
            start += used
            if code == OTHER:
                size = self._control(buffer, start)
                code = OTHER if size else MORE
                start += size
                if start >= buffer.size:
                    break
        if code not in (MORE, OTHER):
            raise self._bad_packet(buffer, start, code)
        return start

    def _finish(self, rest: bytes, end: int, missing: int) -> None:
        if rest or missing:
            begin = end - len(rest) if rest else self._left_out
            raise InputError(f"{self.name} is cut short: a block begins at octet {begin} and the "
                             f"file ends {end - begin} octets later.")
        if self._next == 1 and self.counts["frames_other_link"]:
            raise InputError(f"{self.name} has no frames but those of link type "
                             f"{self._other_links}; {LINK_NAMES} are read.")

    def _control(self, buffer: Buffer, start: int) -> int:
        """Take the block at ``start``, which is not a packet; 0 when it is not whole.

        A block of no interest may be larger than what a buffer can carry over.
        """
        left = buffer.size - start
        head = buffer.octets(start, start + BLOCK_MIN)
        where = f"{self.name} is damaged: the block at octet {buffer.offset + start}"
        if head[:4] == BLOCK_SECTION.to_bytes(4, "big"):       # a palindrome: any order
            magic = PCAPNG_BYTE_ORDER_MAGIC.to_bytes(4, "big")
            self._is_big = head[8:] == magic
            if not self._is_big and head[8:] != magic[::-1]:
                raise InputError(f"{where} begins a section with byte order magic "
                                 f"0x{head[8:].hex()}, which is none.")
        kind, total = self._unpack("II", head)
        least = {BLOCK_SECTION: SECTION_SIZE, BLOCK_INTERFACE: INTERFACE_SIZE}.get(kind, BLOCK_MIN)
        if total < least or total & 3:
            raise InputError(f"{where} has type {kind} and length {total}; the length must be a "
                             f"multiple of 4 and at least {least}.")
        is_known = kind in (BLOCK_SECTION, BLOCK_INTERFACE)
        if is_known and total > BLOCK_MAX:
            raise InputError(f"{where} has type {kind} and length {total}, but at most "
                             f"{BLOCK_MAX} octets are read.")
        if total > left:
            if total <= BLOCK_MAX:         # its other end tells whether it is to be believed
                return 0
            self._left_out = buffer.offset + start
        else:
            block = buffer.octets(start, start + total)
            if block[-4:] != block[4:8]:
                raise InputError(f"{where} begins with length {total} and ends with length "
                                 f"{self._unpack('I', block[-4:])[0]}.")
            if kind == BLOCK_SECTION:
                self._section(block, where)
            elif kind == BLOCK_INTERFACE:
                self._interface(block, where)
        if not is_known:
            self.counts["blocks_skipped"] += 1
        return total

    def _unpack(self, form: str, octets: bytes) -> tuple[int, ...]:
        form = (">" if self._is_big else "<") + form
        return struct.unpack(form, octets[:struct.calcsize(form)])

    def _section(self, block: bytes, where: str) -> None:
        major, = self._unpack("H", block[12:])
        if major != PCAPNG_MAJOR:
            raise InputError(f"{where} has pcapng version {major}; version {PCAPNG_MAJOR} is read.")
        self._interface_count = 0

    def _interface(self, block: bytes, where: str) -> None:
        link, _, snap = self._unpack("HHI", block[8:])
        if self._interface_count == INTERFACES:
            raise InputError(f"{where} declares one more interface than {INTERFACES}.")
        resolution, offset = 6, 0
        for code, value in self._options(block[16:-4], where):
            if code == OPTION_RESOLUTION and len(value) == 1:
                resolution = value[0]
            elif code == OPTION_OFFSET and len(value) == 8:
                offset, = self._unpack("q", value)
        power = resolution & 0x7F
        if power > (BITS_MAX if resolution & 0x80 else DIGITS_MAX):
            raise InputError(f"{where} declares time stamps in units of "
                             f"{2 if resolution & 0x80 else 10}^-{power} s; units down to "
                             f"10^-{DIGITS_MAX} s or 2^-{BITS_MAX} s are read.")
        row = self._interfaces[self._interface_count]
        row["multiply"] = row["divide"] = row["bits"] = 0
        if resolution & 0x80:
            row["bits"] = power
        elif power <= 9:
            row["multiply"] = 10 ** (9 - power)
        else:
            row["divide"] = 10 ** (power - 9)
        row["offset"], row["snap"] = offset, snap
        row["link"] = link if link in LINKS else -1
        if link not in LINKS:
            self._other_links = str(link)
        self._interface_count += 1

    def _options(self, octets: bytes, where: str) -> Iterator[tuple[int, bytes]]:
        while len(octets) >= 4:
            code, size = self._unpack("HH", octets)
            if code == OPTION_END:
                return
            if 4 + size > len(octets):
                raise InputError(f"{where} has an option {code} of {size} octets, but "
                                 f"{len(octets) - 4} are left of the block.")
            yield code, octets[4:4 + size]
            octets = octets[4 + (size + 3 & ~3):]

    def _bad_packet(self, buffer: Buffer, start: int, code: int) -> InputError:
        kind, total = self._unpack("II", buffer.octets(start, start + 8))
        reason = {
            BAD_BLOCK: "the lengths at its two ends must be equal, a multiple of 4 and at most "
                       f"{BLOCK_MAX}, and the first is {total}",
            BAD_INTERFACE: f"its interface is not among the {self._interface_count} that the "
                           "section has declared",
            BAD_CAPTURED: f"it says that more octets were captured than its {total} can hold",
        }[code]
        return InputError(f"{self.name} is damaged: the packet block of type {kind} at octet "
                          f"{buffer.offset + start} cannot be read, {reason}.")
