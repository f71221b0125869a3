"""Whatever a peer does, memory stays bounded, a line says what it was, and the session goes on.

Method: raw sockets against the acceptance server in this process, with limits made small where
waiting for them would take long; afterwards the same session logs on as if nothing had been.
"""

import asyncio
import contextlib
import logging
import os
import resource
import socket
import tracemalloc

import pytest

from tests.fix.runner import Runner, completed
from tickwire.orders.fix import connection as connection_module
from tickwire.orders.fix.acceptance import acceptance_acceptor

MEGABYTE = 1 << 20
# A whole gigabyte takes some seconds more: TICKWIRE_FIX_GIGABYTE=1.
FLOOD = (1 << 30) if os.environ.get("TICKWIRE_FIX_GIGABYTE") else 64 * MEGABYTE
LOGON = "35=A|34=1|49=TW44|52=<TIME>|56=ISLD|98=0|108={}|"
HEADER = "49=TW44|52=<TIME>|56=ISLD|"


def octets(text):
    return completed(f"8=FIX.4.4|{text}".replace("|", "\x01").encode())


async def gone(reader, seconds=10.0):
    """Wait until the engine closes; return what it sent before."""
    found = bytearray()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65_536):
                found += piece
    return bytes(found)


def against(attack, caplog, line):
    """Run an attack, then log on as usual; the log has one line with ``line`` in it."""
    async def run():
        engine = acceptance_acceptor("127.0.0.1", 0)
        await engine.start()
        session = engine.sessions["FIX.4.4", "TW44", "ISLD"]
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", engine.port)
            await asyncio.sleep(0.01)
            for connection in engine._connections:     # or the kernel takes megabytes for the peer
                connection._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            await attack(reader, writer, session)
            writer.close()
            for _ in range(100):
                if session.state.name == "DISCONNECTED":
                    break
                await asyncio.sleep(0.02)
            await Runner("127.0.0.1", engine.port).run("\n".join([
                "iCONNECT", "I8=FIX.4.4|" + LOGON.format(30),
                "E8=FIX.4.4|35=A|34=1|49=ISLD|52=<TIME>.000|56=TW44|98=0|108=30|",
                f"I8=FIX.4.4|35=5|34=2|{HEADER}",
                "E8=FIX.4.4|35=5|34=2|49=ISLD|52=<TIME>.000|56=TW44|",
                "eDISCONNECT"]).replace("|", "\x01").encode())
        finally:
            await engine.stop()
    with caplog.at_level(logging.INFO, "tickwire.fix"):
        tracemalloc.start()
        try:
            asyncio.run(run())
            assert tracemalloc.get_traced_memory()[1] < 24 * MEGABYTE
        finally:
            tracemalloc.stop()
    found = [record.getMessage() for record in caplog.records if line in record.getMessage()]
    assert len(found) == 1, [record.getMessage() for record in caplog.records]


@pytest.fixture
def is_impatient(monkeypatch):
    monkeypatch.setattr(connection_module, "SLOW_SECONDS", 0.3)
    monkeypatch.setattr("tickwire.orders.fix.acceptor.LOGON_SECONDS_MAX", 0.3)


def test_a_peer_that_says_nothing(caplog, is_impatient):
    async def attack(reader, writer, session):
        assert await gone(reader) == b""
    against(attack, caplog, "no Logon came in time")


def test_half_a_logon(caplog, is_impatient):
    async def attack(reader, writer, session):
        writer.write(octets(LOGON.format(30))[:40])
        assert await gone(reader) == b""
    against(attack, caplog, "no Logon came in time")


def test_half_a_message_within_a_session(caplog):
    async def attack(reader, writer, session):
        writer.write(octets(LOGON.format(1)) + octets(f"35=0|34=2|{HEADER}")[:30])
        assert b"\x01112=TEST\x01" in await gone(reader)
    against(attack, caplog, "silent for")


@pytest.mark.parametrize("is_on", [False, True])
@pytest.mark.parametrize("piece", [b"x", b"\0", b"8=FIX.4.4\x019=99999999\x01",
                                   b"8=FIX.4.4\x019=65000\x01"])
def test_a_flood_without_a_message(caplog, piece, is_on):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def attack(reader, writer, session):
        if is_on:
            writer.write(octets(LOGON.format(30)))
        block = piece * (MEGABYTE // len(piece))
        left = FLOOD
        try:
            while left > 0:
                writer.write(block)
                await writer.drain()
                left -= len(block)
        except ConnectionError:
            pass
        await gone(reader)
        assert left > 0 or not is_on, "a session was flooded to the end"
    against(attack, caplog, "octets without a message" if is_on else "refused: its first octets")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_reader_that_does_not_read(caplog, is_impatient):
    async def attack(reader, writer, session):
        writer.write(octets(LOGON.format(30)))
        number = 2
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(10):
                while True:
                    lines = [octets(f"35=1|34={n}|{HEADER}112={'x' * 1000}|")
                             for n in range(number, number + 500)]
                    number += 500
                    writer.write(b"".join(lines))
                    await writer.drain()
        assert number < 1_000_000
    # Streams read ahead on their own: only a transport that is paused does not.
    async def paused(reader, writer, session):
        writer.transport.pause_reading()
        await attack(reader, writer, session)
    against(paused, caplog, "reads too slowly")


def test_a_flood_of_resend_requests_of_a_reader_that_does_not_read(caplog, is_impatient):
    async def attack(reader, writer, session):
        orders = [octets(f"35=D|34={n}|{HEADER}11={n}|21=1|40=1|54=1|55=INTC|60=<TIME>|")
                  for n in range(2, 1_002)]
        writer.write(octets(LOGON.format(30)) + b"".join(orders))
        found = b""
        while found.count(b"\x0135=D\x01") < 1_000:
            found += await reader.read(65_536)
        writer.transport.pause_reading()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(10):
                for start in range(1_002, 11_002, 100):
                    writer.write(b"".join(octets(f"35=2|34={n}|{HEADER}7=1|16=0|")
                                          for n in range(start, start + 100)))
                    await writer.drain()
                while session.state.name != "DISCONNECTED":
                    await asyncio.sleep(0.02)
    against(attack, caplog, "reads too slowly")


def test_more_connections_than_there_may_be(caplog):
    async def run():
        engine = acceptance_acceptor("127.0.0.1", 0)
        engine._connections_max = 3
        await engine.start()
        streams = [await asyncio.open_connection("127.0.0.1", engine.port) for _ in range(4)]
        assert await gone(streams[3][0]) == b""
        streams[0][1].write(octets(LOGON.format(30)))
        assert b"35=A" in await streams[0][0].read(4096)
        for _, writer in streams:
            writer.close()
        await engine.stop()
    asyncio.run(run())


def test_a_logon_that_is_refused_says_nothing_of_what_was_wrong(caplog):
    async def attack(reader, writer, session):
        writer.write(octets(LOGON.format(30).replace("TW44", "TW\0\x7f" + "x" * 5_000)))
        assert await gone(reader) == b""
    against(attack, caplog, "refused: there is no session")
    assert all(len(record.getMessage()) < 400 for record in caplog.records)


@pytest.mark.parametrize("messages, line", [
    (["35=A|34=1|49=TW\n\x1b[31m|52=<TIME>|56=ISLD|98=0|108=30|"], r"from TW\n\x1b[31m to ISLD"),
    (["35=\nA|34=1|49=TW44|52=<TIME>|56=ISLD|98=0|108=30|"], r"its first message is \nA, not"),
    ([LOGON.format(30), f"35=3|34=2|{HEADER}45=1|58=a\nb{'y' * 3_000}|", f"35=5|34=3|{HEADER}"],
     r"the other side rejected 1: a\nbyyy"),
    ([LOGON.format(30), f"35=5|34=2|{HEADER}58=enough\r\nof\0it{'z' * 3_000}|"],
     r"disconnected: Logout: enough\r\nof\x00itzzz")])
def test_what_a_peer_says_stays_on_its_line(caplog, messages, line):
    async def attack(reader, writer, session):
        writer.write(b"".join(map(octets, messages)))
        await gone(reader)
    against(attack, caplog, line)
    assert all(len(record.getMessage()) < 500 and record.getMessage().isprintable()
               for record in caplog.records)
