"""FIX echo round trip over loopback: an order sent, the same order back, store included.

A client in this process, a plain blocking socket, sends one NewOrderSingle at a time to an acceptor
in another process and waits for its echo; boundary: from before `send` to after the `recv` that
completes the answer. The acceptor stores what it sends and counts what it got in a file, mode none
(as QuickFIX's FileStore, which does not fsync) and batch of 20 ms. Peer, where Debian's
libquickfix-dev and g++ are there: QuickFIX/C++ with its FileStore, with the same client.
"""

import asyncio
import multiprocessing
import socket
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bench.report import Report
from tests.fix.quickfix_peer import QuickFIXPeer, why_no_quickfix
from tickwire.orders.fix.acceptance import Echo
from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import FileStore

ROUNDS = 5_000
WARM_UP = 500


def serve(folder: str, durability: str, pipe: Connection) -> None:
    """Body of the acceptor's process: tell the port, echo until the pipe says something."""
    async def run() -> None:
        settings = FIXSessionSettings(role="acceptor", sender="ISLD", target="TW44",
                                      reset_on_logon=True)
        store = FileStore(Path(folder) / "store", settings.identity, time.time_ns(), durability)
        session = Session(settings, Rules.own("FIX.4.4"), store, Echo(), guarded=frozenset())
        acceptor = Acceptor([session], "127.0.0.1", 0)
        await acceptor.start()
        pipe.send(acceptor.port)
        while not pipe.poll():
            await asyncio.sleep(0.05)
        await acceptor.stop()
        store.close()
    asyncio.run(run())


def message(fields: str) -> bytes:
    """Return a message with its times, 9 and 10."""
    now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
    rest = fields.replace("|", "\x01").replace("<TIME>", now).encode()
    head = b"8=FIX.4.4\x019=%d\x01%b" % (len(rest), rest)
    return head + b"10=%03d\x01" % (sum(head) % 256)


def round_trips(port: int, rounds: int) -> np.ndarray:
    """Log on, echo orders one at a time, log off; return microseconds."""
    times = np.zeros(rounds)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(10)
        connection.sendall(message("35=A|34=1|49=TW44|52=<TIME>|56=ISLD|98=0|108=30|"))
        connection.recv(4096)
        for number in range(rounds):
            order = message(f"35=D|34={number + 2}|49=TW44|52=<TIME>|56=ISLD|11=ID{number}|21=1|"
                            "38=100|40=2|44=10.25|54=1|55=INTC|59=0|60=<TIME>|")
            start = time.perf_counter_ns()
            connection.send(order)
            answer = connection.recv(4096)
            while not answer.endswith(b"\x01") or b"\x0110=" not in answer[-8:]:
                answer += connection.recv(4096)
            times[number] = (time.perf_counter_ns() - start) / 1e3
            if b"11=ID%d\x01" % number not in answer:
                raise AssertionError(f"not the echo of {number}: {answer!r}")
        connection.sendall(message(f"35=5|34={rounds + 2}|49=TW44|52=<TIME>|56=ISLD|"))
        connection.recv(4096)
    return times[WARM_UP:]


def ours(durability: str) -> np.ndarray:
    """Return the round trips with our acceptor."""
    with tempfile.TemporaryDirectory() as folder:
        near, far = multiprocessing.get_context("spawn").Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve,
                                                              args=(folder, durability, far))
        server.start()
        try:
            return round_trips(near.recv(), ROUNDS + WARM_UP)
        finally:
            near.send("stop")
            server.join(10)


def theirs(peer: QuickFIXPeer) -> np.ndarray:
    """Return the round trips with QuickFIX's acceptor."""
    with peer.acceptor() as port:
        return round_trips(port, ROUNDS + WARM_UP)


def main(report: Report) -> None:
    """Measure both modes, and the peer in between."""
    missing = why_no_quickfix()
    with tempfile.TemporaryDirectory() as folder:
        peer = None if missing else QuickFIXPeer(Path(folder))
        figures: dict[str, list[np.ndarray]] = {"none": [], "batch": [], "peer": []}
        for _ in range(report.repeats):
            for mode in ("none", "batch"):
                figures[mode].append(ours(mode))
            if peer is not None:
                try:
                    figures["peer"].append(theirs(peer))
                except (OSError, subprocess.SubprocessError) as error:
                    missing, peer = f"QuickFIX failed: {error}", None
    for mode, label in (("none", "store none"), ("batch", "store batch"),
                        ("peer", "QuickFIX/C++ FileStore")):
        for percentile in (50, 99):
            if figures[mode]:
                report.add(f"echo round trip, {label}, p{percentile}", "µs",
                           [float(np.percentile(times, percentile)) for times in figures[mode]],
                           note=f"{ROUNDS} orders a run, one in flight")
    if missing:
        report.note(f"No peer: {missing}.")
