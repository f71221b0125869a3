"""Network namespaces of the test's own, each with a TAP: two kernels' ends of one wire."""

import ctypes
import os
import socket
import threading
from pathlib import Path

import pytest

from tickwire.device.tap import NODE, Tap

CLONE_NEWNET = 0x4000_0000
NAME = "card"
MACS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
ADDRESSES = "10.9.0.1", "10.9.0.2"
PORT = 9_000


def in_thread(work):
    """Return what ``work`` returns in a thread of its own, whose namespace may change."""
    results = []

    def run():
        try:
            results.append((work(), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    [(result, error)] = results
    if error is not None:
        raise error
    return result


def new_network():
    """Give this thread a network of its own; raises OSError where it may not."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no namespace may be made")


def in_namespace(work):
    """Return what ``work`` returns in a new network namespace that may have TAPs, or skip."""
    def begin():
        os.close(os.open(NODE, os.O_RDWR))
        new_network()
        return work()
    try:
        return in_thread(begin)
    except OSError as error:
        pytest.skip(f"no network namespace with a TAP can be made here: {error}")


def end(number, with_timestamps=False, sockets=1):
    """Return a TAP in a new namespace, and TCP sockets in it."""
    def work():
        tap = Tap(NAME, MACS[number], f"{ADDRESSES[number]}/24")
        Path("/proc/sys/net/ipv4/tcp_timestamps").write_text(str(int(with_timestamps)))
        return tap, *(socket.socket() for _ in range(sockets))
    return in_namespace(work)
