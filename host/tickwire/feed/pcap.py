"""pcap captures in both octet orders, with microseconds or nanoseconds, read as a stream."""

from collections.abc import Generator
from typing import Literal

import numpy as np

from tickwire.errors import InputError
from tickwire.feed.links import ethernet, fill_checksum
from tickwire.feed.octets import Buffer, OctetStream
from tickwire.feed.source import FRAME, FRAME_SIZE, Chunk, FrameChunk, Source
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load32, load_be32, unlikely, view
from tickwire.spec.capture import (
    CAPTURED_MAX,
    LINKS,
    PCAP_HEADER_SIZE,
    PCAP_MAGIC_MICROSECONDS,
    PCAP_MAGIC_NANOSECONDS,
    PCAP_MAJOR,
    PCAP_RECORD_SIZE,
)

MORE = 0                 # the next record is not whole
FULL = 1                 # no room for another frame
TOO_LONG = 2             # more octets captured than any program captures

CUT = 1                  # captured shorter than it was
FILLED = 1 << 32         # its IPv4 header checksum was zero: sums of both stay apart

FRAMES = 1 << 15
"""Frames of one chunk at most."""

LINK_NAMES = ", ".join(dict.fromkeys(LINKS.values()))

_SIZE_MAX = (1 << 31) - 64                  # of the wire, for hostile records

frame_at = view(FRAME)


@kernel(inline=True)
def load_u32(address, is_big):
    """Load 4 octets in the order of the file, unsigned."""
    return load_be32(address) if is_big else load32(address)


@kernel(inline=True)
def put_frame(target, address, place, size, size_on_wire, timestamp, interface, link):
    """Describe the frame captured at ``address + place`` and make it what was on the wire.

    Returns its oddities: ``CUT``, ``FILLED`` or their sum.
    """
    shift = ethernet(address + place, size, link)
    row = frame_at(target)
    row["offset"] = place + shift
    row["timestamp"] = timestamp
    row["size"] = size - shift
    row["size_on_wire"] = min(size_on_wire, _SIZE_MAX) - shift
    row["interface"] = interface
    row["reserved"] = 0
    odd = FILLED * fill_checksum(address + place + shift, size - shift)
    return odd + CUT if size < size_on_wire else odd


@kernel
def scan_records(address, size, is_big, unit_ns, link, frames, capacity):
    """List the whole records in ``size`` octets at ``address`` as :data:`FRAME` at ``frames``.

    ``unit_ns`` is the length of one step of the fraction. Returns (frames, octets used, code,
    sum of their oddities).
    """
    place = 0
    count = 0
    odd = 0
    while place + PCAP_RECORD_SIZE <= size:
        if unlikely(count == capacity):
            return count, place, FULL, odd
        record = address + place
        captured = load_u32(record + 8, is_big)
        if unlikely(captured > CAPTURED_MAX):
            return count, place, TOO_LONG, odd
        after = place + PCAP_RECORD_SIZE + captured
        if unlikely(after > size):
            break
        seconds, fraction = load_u32(record, is_big), load_u32(record + 4, is_big)
        odd += put_frame(frames + count * FRAME_SIZE, address, place + PCAP_RECORD_SIZE,
                         captured, load_u32(record + 12, is_big),
                         seconds * 1_000_000_000 + fraction * unit_ns, 0, link)
        count += 1
        place = after
    return count, place, MORE, odd


class Capture(Source):
    """A source of frames.

    ``counts`` holds ``frames_cut`` (captured shorter than on the wire) and ``checksums_filled``
    (captured before a network card computed the checksum of the IPv4 header).
    """

    is_capture = True

    def __init__(self, stream: OctetStream) -> None:
        super().__init__(stream)
        self._frames = np.empty(FRAMES, FRAME)

    def _count_odd(self, odd: int, among: int) -> None:
        self._count("frames_cut", odd % FILLED, among,
                    "frames that were captured shorter than they were")
        self._count("checksums_filled", odd // FILLED, among, "frames with an IPv4 header "
                    "checksum of zero, which was filled in as a network card would have")


class PcapFile(Capture):
    """A pcap capture."""

    kind = "pcap"

    def __init__(self, stream: OctetStream) -> None:
        super().__init__(stream)
        self._start = PCAP_HEADER_SIZE
        head = stream.head(PCAP_HEADER_SIZE)
        if len(head) < PCAP_HEADER_SIZE:
            raise InputError(f"{self.name} is cut short inside its file header, "
                             f"at octet {len(head)}.")
        self._is_big = int.from_bytes(head[:4], "big") in (
            PCAP_MAGIC_MICROSECONDS, PCAP_MAGIC_NANOSECONDS)
        order: Literal["big", "little"] = "big" if self._is_big else "little"
        magic, major, link = (int.from_bytes(head[first:end], order)
                              for first, end in ((0, 4), (4, 6), (20, 24)))
        if major != PCAP_MAJOR:
            raise InputError(f"{self.name} has pcap version {major}; version {PCAP_MAJOR} is read.")
        self._unit_ns = 1 if magic == PCAP_MAGIC_NANOSECONDS else 1_000
        self.link = link & 0xFFFF
        if self.link not in LINKS:
            raise InputError(f"{self.name} has link type {self.link}; "
                             f"{LINK_NAMES} are read.")

    def _chunks(self, buffer: Buffer, start: int) -> Generator[Chunk, None, int]:
        code = FULL
        while code == FULL:
            count, used, code, odd = scan_records(
                buffer.address + start, buffer.size - start, self._is_big, self._unit_ns,
                self.link, self._frames.ctypes.data, len(self._frames))
            self._count_odd(odd, count)
            if count:
                chunk = FrameChunk(buffer, start, used, self._next, self._frames[:count])
                self._next += count
                yield chunk
            start += used
        if code == TOO_LONG:
            raise InputError(f"{self.name} is damaged: the record of frame {self._next} at octet "
                             f"{buffer.offset + start} says that more than {CAPTURED_MAX} "
                             "octets were captured.")
        return start
