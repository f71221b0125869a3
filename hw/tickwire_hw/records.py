"""Layouts of records and state lines, from their tables."""

from amaranth.lib import data

from tickwire.spec.records import TRAILER_OFFSET
from tickwire.spec.wire import Message

BODY = 8 * TRAILER_OFFSET
"""Bits of a record without its trailer."""


def body_layout(record: Message) -> data.StructLayout:
    """Layout of a record without its trailer, which belongs to the ring that takes it."""
    return _layout(record, TRAILER_OFFSET)


def line_layout(line: Message) -> data.StructLayout:
    """Layout of a whole line, octet 0 lowest."""
    return _layout(line, line.size)


def _layout(message: Message, size: int) -> data.StructLayout:
    if message.order != "little":
        raise ValueError(f"{message.name} must be little-endian to have a layout, "
                         f"not {message.order}-endian")
    layout = data.StructLayout({field.name: 8 * field.size for field, offset in message.placed()
                                if offset < size})
    assert layout.size == 8 * size, message.name
    return layout
