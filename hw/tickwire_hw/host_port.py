"""What crosses between the core and whatever leads to the host, on any bus and at any width.

Three streams, and nothing of PCIe: bursts to host memory, requests of the host, answers to its
reads. An adapter turns them into what its hard block speaks.
"""

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import RECORD_SIZE

WORDS = RECORD_SIZE // 4
"""Words of 32 bits that one burst, one request or one answer can have."""
LINE = 8 * RECORD_SIZE
"""Bits of a line of host memory."""


class Burst(data.Struct):
    """One write to host memory, posted and in order; it never crosses a line.

    A whole line at ``address``, a multiple of 64, or the lowest word alone at a multiple of 4.
    """

    address: 64
    data: LINE
    is_word: 1


class Request(data.Struct):
    """What the host stores, or asks for: up to 16 words from word ``address`` of a BAR on.

    A store's word n is written as far as its four bits of ``enables`` say. A read of ``count``
    words is answered before the next read is taken.
    """

    is_read: 1
    bar: 3
    address: 14
    count: range(WORDS + 1)
    data: LINE
    enables: LINE // 8


ADAPTER = {
    "burst": In(stream.Signature(Burst)), "request": Out(stream.Signature(Request)),
    "answer": In(stream.Signature(LINE)), "has_msix": Out(1), "is_msix_masked": Out(1)}
"""Members of an adapter on the side of the core, which has them the other way round; the last two
as of ``Interrupts``."""


class Access(data.Struct):
    """One word of a BAR, to be stored or read."""

    is_read: 1
    address: 14
    data: 32
    enables: 4
