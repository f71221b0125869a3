"""Child processes of a command: started with a payload, talked to in JSON lines, never left behind.

A child has one socket to its parent. What the parent says is ``{"go": ...}`` and ``{"stop": ...}``;
what the child says has one of the keys ``remark``, ``compiling`` (a function, with its ``number``),
``state`` (with ``statistics`` at its end), ``error``. The end of the socket on either side means
that the other is gone: a child then stops, a parent reports it.
"""

import asyncio
import base64
import contextlib
import importlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

from tickwire.errors import INTERNAL_STATUS, TickwireError

STOP_SECONDS = 10.0                        # for a child to end in good order
KILL_SECONDS = 2.0                         # and after it was told by a signal
_LINE_MAX = 1 << 24
_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""What a terminal sends to the whole foreground group; a child heeds its parent alone."""


class Child:
    """A child process as its parent sees it."""

    def __init__(self, name: str, function: str, payload: object) -> None:
        """Start ``package.module:function(parent, payload)`` in a process of its own."""
        self.name = name
        self._socket, theirs = socket.socketpair()
        self._buffer = b""
        self.is_gone = False
        # A child begins with them blocked, until it ignores them: here they come a little later.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __spec__.name, str(theirs.fileno()), function],
                    pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._socket.setblocking(False)
        packed = base64.b64encode(pickle.dumps(payload)).decode()
        self._socket.setblocking(True)
        self.say({"payload": packed})
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Descriptor that is readable when the child said something or ended."""
        return self._socket.fileno()

    def say(self, message: dict[str, Any]) -> None:
        """Send one message; a child that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def hear(self) -> list[dict[str, Any]]:
        """Return what the child said since the last call; ``is_gone`` tells of its end."""
        while True:
            try:
                octets = self._socket.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                octets = b""
            if not octets:
                self.is_gone = True
                break
            self._buffer += octets
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines]

    def stop(self) -> list[dict[str, Any]]:
        """End it in good order, by force when it does not; return what it still said."""
        self.say({"stop": True})
        for seconds, end in ((STOP_SECONDS, self._process.terminate),
                             (KILL_SECONDS, self._process.kill), (KILL_SECONDS, None)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                break
            if end is not None:
                end()
        said = self.hear()
        self._socket.close()
        return said

    def end_sentence(self) -> str:
        """Say how the process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_SECONDS)
        code = self._process.poll()
        if code is None:
            return f"The {self.name} process closed its connection but did not end."
        if code < 0:
            return f"The {self.name} process died of signal {signal.Signals(-code).name}."
        return f"The {self.name} process ended with status {code}."

    @property
    def process_id(self) -> int:
        """Number of the process."""
        return self._process.pid


class Parent:
    """The parent as a child sees it."""

    def __init__(self, connection: socket.socket) -> None:
        """Talk over ``connection``, the child's end of the pair."""
        self._connection = connection
        self._buffer = b""
        self._heard: set[str] = set()

    def first(self) -> dict[str, Any]:
        """Wait for the first message, which carries the payload."""
        while b"\n" not in self._buffer:
            octets = self._connection.recv(1 << 16)
            if not octets or len(self._buffer) > _LINE_MAX:
                raise SystemExit(1)
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def say(self, **message: object) -> None:
        """Tell the parent; nobody listens when it is gone."""
        with contextlib.suppress(OSError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    async def wait(self, word: str) -> bool:
        """Wait until the parent said ``word`` or ``stop``, or died; True when ``word`` came."""
        loop = asyncio.get_running_loop()
        while not self._heard & {word, "stop"}:
            self._connection.setblocking(False)
            try:
                octets = await loop.sock_recv(self._connection, 1 << 16)
            finally:
                self._connection.setblocking(True)
            if not octets:
                self._heard.add("stop")
            self._take(octets)
        return word in self._heard

    def wait_here(self, word: str) -> bool:
        """The same without an event loop; returns whether it was ``word`` that came."""
        while not self._heard & {word, "stop"}:
            octets = self._connection.recv(1 << 16)
            if not octets:
                self._heard.add("stop")
            self._take(octets)
        return word in self._heard

    def stop(self) -> None:
        """Take it that the parent said ``stop``; allowed in a signal handler."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def _take(self, octets: bytes) -> None:
        *lines, self._buffer = (self._buffer + octets).split(b"\n")
        for line in lines:
            self._heard.update(json.loads(line))


def _main(descriptor: int, function: str) -> int:
    # The parent decides when a child ends: Ctrl-C reaches the whole foreground group.
    for number in _TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINAL)
    os.set_inheritable(descriptor, False)
    parent = Parent(socket.socket(fileno=descriptor))
    signal.signal(signal.SIGTERM, lambda *_: parent.stop())
    try:
        payload = pickle.loads(base64.b64decode(parent.first()["payload"]))
        module, _, name = function.partition(":")
        run: Callable[[Parent, object], None] = getattr(importlib.import_module(module), name)
        run(parent, payload)
    except TickwireError as error:
        parent.say(error=str(error), status=error.exit_code)
        return error.exit_code
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        parent.say(error=f"Internal error in {os.path.basename(where.filename)} line "
                         f"{where.lineno}: {type(error).__name__}: {error}",
                   status=INTERNAL_STATUS)
        if os.environ.get("TICKWIRE_DEBUG"):
            traceback.print_exc()
        return INTERNAL_STATUS
    return 0


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), sys.argv[2]))
