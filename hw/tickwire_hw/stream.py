"""Words of a 64-bit line: frames as they come from a MAC, and the UDP payload inside of them.

Octet 0 of a frame is in the lowest lane of its first word, as on AXI-Stream; multi-octet fields
of a protocol are big-endian in the order of octets.
"""

from amaranth.hdl import Cat, Value
from amaranth.lib import data

from tickwire.spec.records import Line
from tickwire.spec.wire import Message

LANES = 8
"""Octets of a word."""

WORD_BITS = 8 * LANES


class Word(data.Struct):
    """One word of a frame without preamble and FCS.

    A frame is one word or more, the last one with ``last``; there may be idle cycles between any
    two of them. Only the last word may have lanes that are not used, or none that is.
    """

    data: WORD_BITS
    keep: LANES                            # lanes in use, from lane 0 without holes
    first: 1                               # for observers: a word after a last one is a first one
    last: 1
    error: 1                               # in the last word: FCS wrong, or the MAC saw damage


class Payload(data.Struct):
    """The octets of a word that are UDP payload.

    They begin at lane ``start`` of the first word and fill all lanes up to the last word, which
    may have fewer, or none: lanes ``mask``, which says nothing of a first word. Where that is the
    last one too, nothing fits into it. Other fields are the same in all of a datagram.

    Whether a first word is valid is known late in its cycle; ``first`` is set early, and only
    there, even where the word turns out not to be valid. ``goes_on`` is set early in every valid
    word behind it, and only there.
    """

    data: WORD_BITS
    mask: LANES                            # of all words but the first one
    first: 1
    goes_on: 1
    last: 1
    start: range(LANES)
    line: range(len(Line))
    stamp: WORD_BITS                       # when the frame's first word came, ns


class FrameVerdict(data.Struct):
    """What is known of a frame after its end."""

    is_for_line: 1                         # its payload was given
    is_damaged: 1                          # and must not be believed


def offset_of(message: Message, name: str) -> int:
    """Octet at which field ``name`` of ``message`` begins."""
    return message.field(name)[1]


def octets(value: Value) -> list[Value]:
    """Octets of ``value``, lane 0 first."""
    return [value[at:at + 8] for at in range(0, len(value), 8)]


def big_endian(value: Value) -> Value:
    """Integer whose octets, in the order of the wire, are ``value``."""
    return Cat(*reversed(octets(value)))
