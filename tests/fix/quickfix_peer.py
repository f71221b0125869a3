"""QuickFIX/C++ of Debian's libquickfix-dev as the other side of a session, compiled once."""

import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("quickfix_peer.cpp")
HEADER = Path("/usr/include/quickfix/Session.h")
SETTINGS = """[DEFAULT]
ConnectionType={role}
SocketAcceptPort={port}
SocketConnectPort={port}
SocketConnectHost=127.0.0.1
SocketReuseAddress=Y
SocketNodelay=Y
ReconnectInterval=1
HeartBtInt=30
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
ResetOnLogon={reset}
FileStorePath={folder}
[SESSION]
BeginString={version}
SenderCompID={sender}
TargetCompID={target}
"""


def why_no_quickfix() -> str:
    """Return why there is no peer, or nothing."""
    if not HEADER.exists():
        return "libquickfix-dev is not installed"
    return "" if shutil.which("g++") else "there is no g++"


def built(source: Path = SOURCE, optimized: str = "-O1") -> Path:
    """Return the program of a source with libquickfix, compiled when that has changed."""
    cache = Path(os.environ.get("TICKWIRE_CACHE", Path.home() / ".cache" / "tickwire"))
    digest = hashlib.sha256(optimized.encode() + source.read_bytes()).hexdigest()[:16]
    program = cache / f"{source.stem}-{digest}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["g++", "-std=c++14", optimized, "-w", "-o", made, source, "-lquickfix",
                        "-lpthread"], check=True, capture_output=True, text=True)
        made.rename(program)
    return program


ACCEPTANCE = """[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
StartTime=00:00:00
EndTime=00:00:00
SenderCompID=ISLD
ResetOnLogon=Y
FileStorePath={folder}
[SESSION]
BeginString=FIX.4.2
TargetCompID=TW42
DataDictionary={xml}/FIX42.xml
[SESSION]
BeginString=FIX.4.4
TargetCompID=TW44
DataDictionary={xml}/FIX44.xml
[SESSION]
BeginString=FIXT.1.1
TargetCompID=TW50SP2
DefaultApplVerID=FIX.5.0SP2
TransportDataDictionary={xml}/FIXT11.xml
AppDataDictionary={xml}/FIX50SP2.xml
"""


def dictionaries() -> str:
    """Return the folder of QuickFIX's dictionaries that TICKWIRE_QUICKFIX_XML names, or nothing."""
    return os.environ.get("TICKWIRE_QUICKFIX_XML", "")


class QuickFIXPeer:
    """One QuickFIX process at a time, its stores in ``folder``."""

    def __init__(self, folder: Path, *, version: str = "FIX.4.4", is_reset: bool = True) -> None:
        self.folder, self.version, self.is_reset = folder, version, is_reset
        self.process: subprocess.Popen[str] | None = None

    @contextmanager
    def acceptor(self, port: int = 0) -> Iterator[int]:
        """Run it as ISLD, waiting for TW44; gives its port."""
        port = port or free_port()
        with self._run("acceptor", self._settings("acceptor", port, "ISLD", "TW44")):
            yield port

    @contextmanager
    def acceptance(self) -> Iterator[int]:
        """Run it as the acceptance server, with its own dictionaries; gives its port."""
        port = free_port()
        settings = ACCEPTANCE.format(port=port, folder=self.folder, xml=dictionaries())
        with self._run("acceptor", settings):
            yield port

    @contextmanager
    def initiator(self, port: int, orders: int) -> Iterator["QuickFIXPeer"]:
        """Run it as TW44, connecting to ISLD; it sends that many orders after its first Logon."""
        with self._run("initiator", self._settings("initiator", port, "TW44", "ISLD"),
                       str(orders)):
            yield self

    def line(self) -> str:
        """Return the next line that it says."""
        assert self.process is not None and self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _settings(self, role: str, port: int, sender: str, target: str) -> str:
        return SETTINGS.format(role=role, port=port, sender=sender, target=target,
                               folder=self.folder, version=self.version,
                               reset="Y" if self.is_reset else "N")

    @contextmanager
    def _run(self, role: str, settings: str, *more: str) -> Iterator[None]:
        path = self.folder / f"{role}.cfg"
        path.write_text(settings)
        self.process = subprocess.Popen([built(), path, role, *more], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        try:
            assert self.line() == "started"
            yield
        finally:
            try:
                self.process.communicate("\n", timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
