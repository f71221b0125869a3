"""``tickwire fix decode``: FIX messages of a file or of standard input, readable."""

import json as json_module
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import Parameter

from tickwire.errors import InputError, TickwireError

_CHUNK = 1 << 16
_BAD = 1                                   # exit status when a message is
_BEGIN = re.compile(rb"8=FIXT?\.\d\.\d([^\x01]{1,8}?)9=\d+\1")   # with the end of a field
_BETWEEN = re.compile(rb"(?!.*8=FIX)[\t\n\r -~]*", re.DOTALL)     # text without one


def decode(
    file: Annotated[str, Parameter(allow_leading_hyphen=True,
                                   help="File of messages; - for standard input.")],
    *,
    json: Annotated[bool, Parameter(negative="", help="One JSON object a message.")] = False,
    delimiter: Annotated[str, Parameter(
        help="Character that stands for SOH in the file, such as |.")] = "\x01",
    dictionary: Annotated[Path | None, Parameter(
        help="QuickFIX XML of the messages, instead of the own dictionary.")] = None,
    transport: Annotated[Path | None, Parameter(
        help="QuickFIX XML of FIXT.1.1, where --dictionary needs one.")] = None,
) -> int:
    """Print FIX messages with the names of fields and the meanings of values, groups indented.

    A message that is garbled or not as its dictionary has it is told with its place and the
    reason; the exit status is then 1, and 3 when there is no message. Passed over is what is
    between messages and no part of one: line ends, and text such as the time that a log has before
    each.
    """
    if file.startswith("-") and file != "-":
        raise TickwireError(f"Unknown option: {file}. Try `tickwire fix decode --help`.")
    if len(delimiter) != 1 or ord(delimiter) > 0xFF or delimiter.isalnum() or delimiter == "=":
        raise TickwireError("--delimiter must be one character that is no letter, digit or =, "
                            f"not {delimiter!r}.")
    reader = _reader(dictionary, transport)
    number, bad, hint = 0, 0, ""
    for place, parsed in _messages(_open(file), delimiter.encode("latin-1"), reader):
        from tickwire.orders.fix.show import trouble
        if parsed.garbled and _BETWEEN.fullmatch(parsed.octets):
            continue
        number += 1
        wrong = trouble(parsed)
        bad += bool(wrong)
        hint = hint or _hint(parsed.octets if parsed.garbled else b"", file)
        try:
            _print(reader, parsed, number, place, wrong, json)
        except BrokenPipeError:
            sys.stderr.close()             # what reads us has seen enough
            return _BAD if bad else 0
    if not number:
        raise InputError(f"{'Standard input' if file == '-' else file} has no FIX message in it.")
    if hint:
        sys.stderr.write(hint + "\n")
    return _BAD if bad else 0


def _hint(garbled: bytes, file: str) -> str:
    """Say how octets are read whose fields end with something else than SOH, if they do."""
    found = _BEGIN.search(garbled)
    if found is None:
        return ""
    end = found[1].decode("latin-1")
    if len(end) == 1:
        return f"Fields end with {end!r} here, not with SOH: add --delimiter {shlex.quote(end)}."
    replaced = shlex.quote(f"s/{re.escape(end)}/\\x01/g")
    return (f"Fields end with {end!r} here, not with SOH: `sed {replaced} {shlex.quote(file)} | "
            "tickwire fix decode -` reads them.")


def _reader(dictionary: Path | None, transport: Path | None) -> Any:
    from tickwire.orders.fix.dictionary import Dictionary, DictionaryError
    from tickwire.orders.fix.rules import Rules
    from tickwire.orders.fix.show import Reader
    rules = {begin: Rules.own(begin) for begin in ("FIX.4.2", "FIX.4.4", "FIXT.1.1")}
    try:
        if dictionary is not None:
            found = Dictionary.read(dictionary)
            if found.header:
                rules[found.version] = Rules(found)
            else:
                base = Dictionary.read(transport) if transport else Dictionary.own("FIXT.1.1")
                rules[base.version] = Rules(base, found)
    except DictionaryError as error:
        raise TickwireError(f"{error}.") from None
    return Reader(rules)


def _open(file: str) -> BinaryIO:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from None


def _messages(source: BinaryIO, delimiter: bytes, reader: Any) -> Iterator[tuple[int, Any]]:
    """Yield each message or garbled stretch with the offset of its first octet."""
    from tickwire.orders.fix.parse import Receiver, parse
    receiver, place = Receiver(None), 0
    with source:
        while True:
            chunk = source.read1(_CHUNK) if hasattr(source, "read1") else source.read(_CHUNK)
            receiver.feed(chunk.replace(delimiter, b"\x01"))
            while (found := receiver.next()) is not None:
                rules = None if found.garbled else reader.rules(found.begin_string)
                yield place, parse(found.octets, rules) if rules else found
                place += found.size
            if not chunk:
                break
    if receiver.pending:
        rest = receiver.rest()
        yield place, parse(rest, None)


def _print(reader: Any, parsed: Any, number: int, place: int, wrong: str, as_json: bool) -> None:
    from tickwire.orders.fix.show import readable
    message = None if parsed.garbled else parsed.message()
    if as_json:
        values = {"number": number, "octet": place, "trouble": wrong}
        values |= (reader.mapping(message, parsed.rules) if message
                   else {"octets": readable(parsed.octets)})
        sys.stdout.write(json_module.dumps(values) + "\n")
        return
    if wrong:
        sys.stdout.write(f"{number}: bad, at octet {place}: {wrong}\n")
    if message is None:
        sys.stdout.write(f"  {readable(parsed.octets)}\n")
        return
    lines = reader.lines(message, parsed.rules)
    sys.stdout.write("\n".join((f"{number}: {next(lines)}", *lines)) + "\n")
