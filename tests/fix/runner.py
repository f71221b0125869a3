"""Runs definition files against a FIX engine: ``python -m tests.fix.runner HOST:PORT FILE ...``.

A step a line, fields ended by SOH, ``#`` comments:

    iCONNECT  iDISCONNECT    we connect, we close
    eCONNECT  eDISCONNECT    the engine connects to us, the engine closes (within 10 s)
    I8=... (or R8=...)       we send; 9 and 10 are added where they are missing
    E8=...                   we expect: as many fields, in this order, with these values; of tags
                             10, 42, 52, 60 and 122 only the form counts
    i2,CONNECT  I2,8=... E2,8=... e2,DISCONNECT    the same on connection 2

``<TIME>``, ``<TIME+n>`` and ``<TIME-n>`` are UTC, n seconds from now. HOST:PORT is where the
engine listens; for a definition with eCONNECT we listen there, and the engine is to connect.
"""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOH = b"\x01"
WAIT_SECONDS = 10.0
_STEP = re.compile(rb"([iIeER])(?:(\d+),)?(.*)")
_TIME = re.compile(rb"<TIME([+-]\d+)?>")
_MOMENT = re.compile(rb"\d{8}-\d\d:\d\d:\d\d(\.\d{3})?")
_FORMS = {b"10": re.compile(rb"\d{3}"), b"42": _MOMENT, b"52": _MOMENT, b"60": _MOMENT,
          b"122": _MOMENT}


class Failure(AssertionError):
    """The engine did something else than the definition says."""


@dataclass(frozen=True)
class Step:
    """One line: what is done, on which connection, with which octets."""

    line: int
    action: str
    connection: int
    octets: bytes


def steps(text: bytes) -> Iterator[Step]:
    """Yield the steps of a definition."""
    for number, line in enumerate(text.replace(b"\r", b"").split(b"\n"), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        match = _STEP.fullmatch(line)
        if not match:
            raise ValueError(f"line {number} is no step: {line!r}")
        letter, connection, rest = match.groups()
        action = letter.decode()
        if rest in (b"CONNECT", b"DISCONNECT"):
            action += rest.decode()
        elif action == "R":
            action = "I"
        yield Step(number, action, int(connection or 1), rest)


def completed(octets: bytes, now: float | None = None) -> bytes:
    """Return a message with its times, 9 and 10 filled in where it begins with 8=."""
    def moment(match: re.Match[bytes]) -> bytes:
        seconds = (time.time() if now is None else now) + int(match[1] or 0)
        return time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(seconds)).encode()
    octets = _TIME.sub(moment, octets)
    if not octets.startswith(b"8="):
        return octets
    head, _, rest = octets.partition(SOH)
    body, ten, checksum = rest, b"", b""
    if (found := re.search(rb"(?:^|\x01)(10=[^\x01]*\x01)$", rest)):
        body, checksum = rest[:found.start(1)], found[1]
    if not body.startswith(b"9="):
        body = b"9=%d\x01%b" % (len(body), body)
    ten = checksum or b"10=%03d\x01" % (sum(head + SOH + body) % 256)
    return head + SOH + body + ten


def difference(expected: bytes, actual: bytes) -> str:
    """Return what differs between a message that is expected and one that came, or nothing."""
    wanted, found = (octets.rstrip(SOH).split(SOH) for octets in (completed(expected), actual))
    if len(wanted) != len(found):
        return f"{len(found)} fields instead of {len(wanted)}"
    for left, right in zip(wanted, found, strict=True):
        tag, _, value = right.partition(b"=")
        form = _FORMS.get(tag)
        if left.partition(b"=")[0] != tag or (form is None and left != right) or (
                form is not None and not form.fullmatch(value)):
            return f"{right.decode('latin-1')} instead of {left.decode('latin-1')}"
    return ""


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Return the next message; IncompleteReadError when the engine closes instead."""
    head = await reader.readuntil(SOH)
    length = await reader.readuntil(SOH)
    if not re.fullmatch(rb"9=\d+\x01", length):
        raise Failure(f"the engine sent {head + length!r}")
    return head + length + await reader.readexactly(int(length[2:-1]) + 7)


class Runner:
    """Runs one definition. ``port`` is the engine's, or ours where the engine connects."""

    def __init__(self, host: str, port: int, wait: float = WAIT_SECONDS) -> None:
        self.host, self.port, self.wait = host, port, wait
        self._streams: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._arrived: asyncio.Queue = asyncio.Queue()
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Listen for the engine; return the port."""
        self._server = await asyncio.start_server(
            lambda reader, writer: self._arrived.put_nowait((reader, writer)),
            self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def run(self, text: bytes) -> None:
        """Run the steps; raises :class:`Failure` with the line that went wrong."""
        try:
            for step in steps(text):
                try:
                    await asyncio.wait_for(self._do(step), self.wait)
                except TimeoutError:
                    raise Failure(f"line {step.line}: nothing for {self.wait:g} s, "
                                  f"{shown(step.octets)} expected") from None
                except (Failure, ConnectionError, asyncio.IncompleteReadError) as error:
                    raise Failure(f"line {step.line}: {error}, "
                                  f"{shown(step.octets)} expected") from None
        finally:
            for _, writer in self._streams.values():
                writer.close()
            if self._server is not None:
                self._server.close()

    async def _do(self, step: Step) -> None:
        if step.action == "iCONNECT":
            self._streams[step.connection] = await asyncio.open_connection(self.host, self.port)
            return
        if step.action == "eCONNECT":
            self._streams[step.connection] = await self._arrived.get()
            return
        reader, writer = self._streams[step.connection]
        if step.action == "iDISCONNECT":
            writer.close()
        elif step.action == "I":
            writer.write(completed(step.octets))
        elif step.action == "E":
            message = await read_message(reader)
            wrong = difference(step.octets, message)
            if wrong:
                raise Failure(f"{wrong} in {shown(message)}")
        else:
            try:
                octets = await reader.read(65_536)
            except ConnectionResetError:
                octets = b""
            if octets:
                raise Failure(f"{shown(octets)} instead of a disconnection")
            writer.close()


def shown(octets: bytes) -> str:
    """Return octets for a message to people."""
    return octets.decode("latin-1").replace("\x01", "|")


async def run_file(path: Path, host: str, port: int) -> str:
    """Run a definition against an engine; return what went wrong, or nothing."""
    text, runner = path.read_bytes(), Runner(host, port)
    try:
        if any(step.action == "eCONNECT" for step in steps(text)):
            await runner.listen()
        await runner.run(text)
    except (Failure, OSError, ValueError) as error:
        return f"{path}: {error}"
    return ""


async def run_files(paths: list[Path], host: str, port: int) -> list[str]:
    """Run definitions one after the other, those of different folders side by side."""
    async def one_folder(group: list[Path]) -> list[str]:
        return [await run_file(path, host, port) for path in group]
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    found = await asyncio.gather(*map(one_folder, folders.values()))
    return [wrong for group in found for wrong in group if wrong]


def main(arguments: list[str]) -> int:
    """Run the files or folders named after HOST:PORT; return how many failed."""
    host, _, port = arguments[0].rpartition(":")
    paths = [path for name in arguments[1:] for path in
             (sorted(Path(name).rglob("*.def")) if Path(name).is_dir() else [Path(name)])]
    failed = asyncio.run(run_files(paths, host, int(port)))
    print("\n".join(failed))
    print(f"{len(paths) - len(failed)} of {len(paths)} passed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 99))
