"""Derived forms of a message table: NumPy dtypes and the source of Numba decoders and encoders."""

from typing import Any

import numpy as np

from .wire import Field, Message

_WIDTHS = {1: 1, 2: 2, 4: 4, 6: 8, 8: 8}
_MASK48 = "0xFFFF_FFFF_FFFF"


def is_number(message: Message, field: Field) -> bool:
    """Whether the decoded form of ``field`` is an integer.

    Text of up to 8 octets of a big-endian protocol is the big-endian integer of its octets,
    so that kernels compare symbols and codes as integers.
    """
    if field.kind == "ascii":
        return field.size == 1 or (message.order == "big" and field.size in _WIDTHS)
    return field.kind != "octets"


def _format(message: Message, field: Field) -> str:
    if not is_number(message, field):
        return f"S{field.size}"
    if field.size not in _WIDTHS or (message.order == "little" and field.size == 6):
        raise ValueError(f"{message.name}.{field.name} has {field.size} octets, "
                         f"which no native integer holds")
    return f"{'i' if field.kind == 'int' else 'u'}{_WIDTHS[field.size]}"


def dtype(message: Message) -> np.dtype:
    """Record of one decoded message.

    Of a little-endian message (records, intents) it is the exact layout in memory. Of a
    big-endian one it is a native aligned record: integers of 6 octets in 8, text of up to 8
    octets as its big-endian integer, longer text as octets. An open end has no column.
    """
    fields = [(field, offset) for field, offset in message.placed() if field.size]
    names = [field.name for field, _ in fields]
    formats = [_format(message, field) for field, _ in fields]
    if message.order == "big":
        return np.dtype(list(zip(names, formats, strict=True)), align=True)
    layout: Any = {"names": names, "formats": formats, "offsets": [offset for _, offset in fields],
                   "itemsize": message.size}
    aligned = all(offset % int(form[1:]) == 0
                  for form, (_, offset) in zip(formats, fields, strict=True) if form[0] != "S")
    return np.dtype(layout, align=aligned)


def text(value: int, size: int) -> str:
    """Text of a ``size``-octet field that a dtype holds as an integer, without its blanks."""
    return int(value).to_bytes(size, "big").decode("latin-1").strip(" ")


def _at(base: str, offset: int) -> str:
    return f"{base} + {offset}" if offset else base


def _load(field: Field, offset: int) -> str:
    """Expression for the integer value of ``field``."""
    if field.size == 1:
        return f"load8({_at('address', offset)})"
    if field.size == 6 and offset >= 2:
        # One load of 8 octets is quicker than 4 + 2, and octets before the field are ours.
        return f"load_be64({_at('address', offset - 2)}) & {_MASK48}"
    return f"load_be{8 * field.size}({_at('address', offset)})"


def _copies(target: tuple[str, int], source: tuple[str, int], size: int) -> list[str]:
    """Statements that copy ``size`` >= 8 octets in words of 8, the last one overlapping.

    A place is a variable and an offset from it.
    """
    starts = [*range(0, size - 7, 8)]
    if size % 8:
        starts.append(size - 8)
    return [f"store64({_at(target[0], target[1] + start)}, "
            f"load64({_at(source[0], source[1] + start)}))" for start in starts]


def _decoder(message: Message) -> list[str]:
    record = dtype(message)
    short = message.tail_is_optional
    lines = ["@kernel(inline=True)",
             f"def decode_{message.name}(address{', octets' if short else ''}, row):",
             f'    """{message.title}: {message.size} octets at ``address`` to the record at ``row``."""']
    for field, offset in message.placed():
        if not field.size:
            continue
        assert record.fields is not None
        form, place = record.fields[field.name][:2]
        if is_number(message, field):
            load = _load(field, offset)
            if field.kind == "length" and short:
                load = f"{load} if octets >= {message.size} else 0"
            lines.append(f"    store{8 * form.itemsize}({_at('row', place)}, {load})")
        else:
            lines += ["    " + line for line in
                      _copies(("row", place), ("address", offset), field.size)]
    return lines


def _encoder(message: Message) -> list[str]:
    arguments, body = ["address"], []
    if message.tag:
        body.append(f"store8({_at('address', message.tag_offset)}, {ord(message.tag)})")
    is_open = message.is_open_ended
    counted = f"{message.fields[-1].name}_octets" if is_open else ""
    tail: list[str] = []
    for field, offset in message.placed():
        place = _at("address", offset)
        if field.kind == "length":
            after = message.size - offset - field.size
            value = f"{after} + {counted}" if after and is_open else counted or str(after)
            line = f"store_be{8 * field.size}({place}, {value})"
            (tail if message.tail_is_optional else body).append(line)
            continue
        arguments.append(field.name)
        if not field.size:
            arguments.append(counted)
            tail.append(f"copy({place}, {field.name}, {counted})")
        elif not is_number(message, field):
            body += _copies(("address", offset), (field.name, 0), field.size)
        elif field.size == 1:
            body.append(f"store8({place}, {field.name})")
        else:
            body.append(f"store_be{8 * field.size}({place}, {field.name})")
    if message.tail_is_optional:
        body += [f"if {counted} == 0:", f"    return {message.size_min}"]
    body += [*tail, f"return {message.size} + {counted}" if is_open else f"return {message.size}"]
    head = f"def encode_{message.name}({', '.join(arguments)}):"
    if len(head) > 100:
        indent = " " * (head.index("(") + 1)
        head = _wrapped(head[:head.index("(") + 1], arguments, indent)
    return ["@kernel(inline=True)", head,
            f'    """Write {message.title} to ``address``; return its octets."""',
            *("    " + line for line in body)]


def _wrapped(start: str, arguments: list[str], indent: str) -> str:
    lines, line = [], start
    for number, argument in enumerate(arguments):
        part = argument + ("):" if number == len(arguments) - 1 else ", ")
        if len(line) + len(part) > 100:
            lines.append(line.rstrip())
            line = indent
        line += part
    return "\n".join([*lines, line])


def _dispatcher(messages: tuple[Message, ...]) -> list[str]:
    """``size_of`` and ``decode`` of a protocol whose type octet alone tells the layout."""
    sizes = ["@kernel(inline=True)", "def size_of(tag):",
             '    """Return the octets of a message of type octet ``tag``, 0 when it is unknown."""']
    decoder = ["@kernel", "def decode(address, octets, row):",
               '    """Decode the message of ``octets`` >= 1 at ``address`` to the record at ``row``.',
               "", "    Returns its size; 0 when the type is unknown and the negative size of the type when",
               "    ``octets`` differs from it: then nothing beyond the type octet is read and nothing is",
               "    written. The record has the dtype of the type, at most ``ROW_SIZE`` octets.", '    """',
               "    tag = load8(address)"]
    for message in messages:
        name = message.name
        sizes += [f"    if tag == {name.upper()}_TYPE:", f"        return {name.upper()}_SIZE"]
        decoder += [f"    if tag == {name.upper()}_TYPE:",
                    f"        if octets != {name.upper()}_SIZE:",
                    f"            return -{name.upper()}_SIZE",
                    f"        decode_{name}(address, row)",
                    f"        return {name.upper()}_SIZE"]
    return [*sizes, "    return 0", "", "", *decoder, "    return 0"]


def numba_source(title: str, messages: tuple[Message, ...], *,
                 dispatch: tuple[Message, ...] = ()) -> str:
    """Source of a kernel module with a decoder and an encoder for each of ``messages``.

    Offsets are literals, so Numba's cache follows the tables. ``dispatch`` lists the messages
    that a common ``decode`` tells apart, the most frequent first.
    """
    constants, functions = [], []
    for message in messages:
        if message.tag:
            constants.append(f'{message.name.upper()}_TYPE = {ord(message.tag)}')
        constants.append(f"{message.name.upper()}_SIZE = {message.size}")
        if message.tail_is_optional:
            constants.append(f"{message.name.upper()}_SIZE_MIN = {message.size_min}")
        functions += ["\n".join(_decoder(message)), "\n".join(_encoder(message))]
    if dispatch:
        width = max(dtype(message).itemsize for message in messages)
        constants.append(f"ROW_SIZE = {width}")
        functions.append("\n".join(_dispatcher(dispatch)))
    code = "\n\n\n".join(functions)
    used = [name for name in _PRIMITIVES if f"{name}(" in code]
    imports = "from .memory import (\n" + "".join(f"    {name},\n" for name in used) + ")"
    return (f'"""{title}: decoders and encoders. Generated from tickwire.spec by `make spec`.\n\n'
            f'{_CONTRACT}"""\n\nfrom .jit import kernel\n{imports}\n\n'
            + "\n".join(constants) + "\n\n\n" + code + "\n")


_PRIMITIVES = ("copy", "load8", "load64", "load_be16", "load_be32", "load_be48", "load_be64",
               "store8", "store16", "store32", "store64",
               "store_be16", "store_be32", "store_be48", "store_be64")

_CONTRACT = """\
``decode_<name>(address, row)`` reads the fixed part at ``address`` and writes every field to the
record at ``row``, whose dtype is ``tickwire.spec.render.dtype``; where the tail is optional it
takes the octets that are there as well. ``encode_<name>(address, ...)`` takes the fields in table
order: integers, text of up to 8 octets as its big-endian integer, longer text as the address of
its octets, an open end as address and octets. A length field is counted, not given.
"""
