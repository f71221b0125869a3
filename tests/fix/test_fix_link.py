"""What an operator is told when the FIX order session of a run does not come up.

Method: a link without a device connects to a socket that answers as a broker might.
"""

import asyncio
import os
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from tests.fix.quickfix_peer import free_port
from tests.fix_rig import framed
from tickwire.config import demo
from tickwire.device import fix_link
from tickwire.errors import TickwireError
from tickwire.orders.fix.audit import lines
from tickwire.orders.fix.gate import Order
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.settings import FIXSessionSettings, FIXSettings
from tickwire.orders.release import RELEASED
from tickwire.spec.intents import Operation
from tickwire.spec.registers import KillCause


def message(number, kind, body, sender="VENUE"):
    now = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
    return framed(f"8=FIX.4.4|35={kind}|34={number}|49={sender}|52={now}|56=TICKWIRE|{body}")


@pytest.fixture
def engine():
    """What a link sees of a run's engine; ``given`` are the intents that it submits."""
    wakes, wake = os.pipe()
    given = []
    yield SimpleNamespace(given=given, submit=given.append, releases=SimpleNamespace(
        records=np.zeros(1, RELEASED), fileno=lambda: wakes))
    os.close(wakes)
    os.close(wake)


async def while_kept(link, work):
    """Connect a link and keep it; return what ``work`` does, and the link's remarks."""
    try:
        await link.connect()
        keeping = asyncio.create_task(link.keep())
        found = await work()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        return found, link.remarks
    finally:
        link.close()


async def connect(folder, **settings):
    """Have a link connect with a session of these settings."""
    engine = SimpleNamespace(releases=SimpleNamespace(records=np.zeros(1, RELEASED)))
    fix = FIXSettings(folder=str(folder), sessions=(FIXSessionSettings(**settings),))
    link = fix_link.FIXLink(None, engine, demo().orders, fix)
    try:
        await link.connect()
    finally:
        link.close()


def test_a_closed_session_says_when_it_opens(tmp_path):
    opens = time.time() // 1 + 3_600
    start, end = (f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}" for at in (opens, opens + 60))
    with pytest.raises(TickwireError, match=rf"^fix\.sessions\.venue is closed until "
                       rf"{datetime.fromtimestamp(opens, UTC):%Y-%m-%d %H:%M:%S} UTC\.$"):
        asyncio.run(connect(tmp_path, start_time=start, end_time=end))


def test_the_reason_of_a_logout_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fix_link, "LOGON_SECONDS", 0.5)

    async def answer(reader, writer):
        await reader.readuntil(b"\x0110=")
        writer.write(message(1, "5", "58=wrong desk|"))
        await reader.read()
        writer.close()

    async def body():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            await connect(tmp_path, port=server.sockets[0].getsockname()[1])
    with pytest.raises(TickwireError, match=r"within 0\.5 s: Logout instead of a Logon: "
                                            r"wrong desk\.$"):
        asyncio.run(body())


def test_a_port_that_nobody_listens_on_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fix_link, "LOGON_SECONDS", 0.1)
    with pytest.raises(TickwireError, match=r"within 0\.1 s: Connection refused\.$"):
        asyncio.run(connect(tmp_path, port=1))


REPORT = "37=1|17=E1|150=F|39=2|55=AAPL|54=1|38=100|32=100|31=10.5|151=0|14=100|6=10.5|"


def test_copies_of_the_order_session_run_beside_it_and_others_are_told(tmp_path, engine):
    """A broker reports a fill; the back office, which connects to us, gets a copy of it."""
    port = free_port()
    device = SimpleNamespace(write_register=lambda *_: None, wake=lambda: None)

    async def broker(reader, writer):
        await reader.readuntil(b"\x0110=")
        for number, kind, body in ((1, "A", "98=0|108=30|"), (2, "8", REPORT)):
            writer.write(message(number, kind, body))
        await reader.readuntil(b"\x0135=5\x01")
        writer.close()

    async def office():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(message(1, "A", "98=0|108=30|", "OFFICE"))
        writer.write(message(2, "2", "7=1|16=0|", "OFFICE"))
        octets = b""
        while b"\x0135=8\x01" not in octets:
            octets += await asyncio.wait_for(reader.read(4_096), 10)
        writer.close()
        return octets

    async def body():
        async with await asyncio.start_server(broker, "127.0.0.1", 0) as server:
            fix = FIXSettings(folder=str(tmp_path), sessions=(
                FIXSessionSettings(name="copy", role="acceptor", target="OFFICE", port=port,
                                   drop_copy_of="venue"),
                FIXSessionSettings(port=server.sockets[0].getsockname()[1]),
                FIXSessionSettings(name="other", role="acceptor", target="OTHER")))
            return await while_kept(fix_link.FIXLink(device, engine, demo().orders, fix), office)
    octets, remarks = asyncio.run(body())
    copy = octets[octets.rindex(b"8=FIX", 0, octets.index(b"\x0135=8\x01")):]
    assert b"\x01115=TICKWIRE\x01" in copy and REPORT.replace("|", "\x01").encode() in copy
    assert remarks[0] == ("fix.sessions.other is not used: it neither carries the orders of a run "
                          "nor copies venue.")
    assert {path.name for path in tmp_path.glob("*.store")} == {"venue.store", "copy.store"}
    [log] = tmp_path.glob("*.audit")
    assert {line.split()[2] for line in lines(log)} == {"1", "2"}


def test_an_answer_that_cannot_be_settled_kills_the_device(tmp_path, engine):
    def settle(fields):
        raise OverflowError("out of bounds for uint32")
    engine.settle, killed = settle, []
    link = fix_link.FIXLink(SimpleNamespace(kill=killed.append), engine, demo().orders,
                            FIXSettings(folder=str(tmp_path), sessions=(FIXSessionSettings(),)))
    link._gate.orders[41] = Order(100, 10_000, b"AAPL", b"1")
    identity = link._gate.writer.identity(41, 0)
    with pytest.raises(OverflowError):
        link._route.on_message(link._session, parse(
            message(2, "8", f"11={identity}|{REPORT}"), link._session.rules))
    link.close()
    assert killed == [KillCause.SETTLEMENT]
    assert "could not be settled" in link.remarks[-1]


@pytest.mark.parametrize("is_asked, killed, is_late, kills, intents", [
    (True, 0, False, [KillCause.SESSION_DOWN], []),
    (True, KillCause.WATCHDOG, False, [], [Operation.MASS_CANCEL]),
    (False, KillCause.WATCHDOG, False, [], [Operation.MASS_CANCEL]),
    (False, KillCause.WATCHDOG, True, [], [Operation.MASS_CANCEL]),
    (False, 0, False, [], [])])
def test_a_session_that_was_lost_comes_back_and_what_is_to_be_cancelled_is(
        tmp_path, engine, is_asked, killed, is_late, kills, intents):
    """The broker drops the first connection; what the device is told when the second stands.

    A kill that ``is_late`` comes behind the Logon, when the device has not heard of it yet.
    """
    device = SimpleNamespace(write_register=lambda *_: None, wake=lambda: None,
                             killed=0 if is_late else killed, is_session_up=not is_late, told=[])
    device.kill = device.told.append
    logons = []

    async def broker(reader, writer):
        await reader.readuntil(b"\x0110=")
        logons.append(len(logons) + 1)
        writer.write(message(logons[-1], "A", "98=0|108=30|"))
        if len(logons) > 1:
            await reader.readuntil(b"\x0135=5\x01")
        writer.close()

    async def body():
        async with await asyncio.start_server(broker, "127.0.0.1", 0) as server:
            fix = FIXSettings(folder=str(tmp_path), sessions=(FIXSessionSettings(
                port=server.sockets[0].getsockname()[1], reconnect_ms=50,
                cancel_on_disconnect=is_asked),))
            link = fix_link.FIXLink(device, engine, demo().orders, fix)

            async def back():
                while link._session.logons < 2:
                    await asyncio.sleep(0.01)
                device.killed, device.is_session_up = killed, True
                await asyncio.sleep(0.02)
            return await while_kept(link, back)
    _, remarks = asyncio.run(body())
    assert device.told == kills
    assert [intent["operation"] for intent in engine.given] == intents
    assert any("all is cancelled" in remark for remark in remarks) == is_asked
