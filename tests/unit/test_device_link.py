"""The order session's control: logging in, refusals, and coming back where it was.

Method: a scripted SoupBinTCP server on loopback whose octets are packed by hand, and a device whose
loop runs in its thread. Every refusal must be one sentence with the address.
"""

import asyncio
import itertools
import os
import struct
import time
from dataclasses import replace

import pytest

from tests.system.conformance import DOLLAR, LOCATES, accepted, software
from tickwire.config import OrderSettings
from tickwire.device import link as link_module
from tickwire.device.link import OrderLink
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.spec.intents import Operation
from tickwire.spec.registers import KillAction, KillCause

SECONDS = 120                              # for anything that a test waits for
numbers = itertools.count()
ACCEPTED = b"\x00\x1fA" + b"SESSION001" + b"1".rjust(20)


def sequenced(message: bytes) -> bytes:
    return struct.pack(">Hc", 1 + len(message), b"S") + message


NEXT = sequenced(struct.pack(">cQI", b"Q", 1, 5))


class Server:
    """A venue that says ``script`` at every login and notes what it hears."""

    def __init__(self, *script: bytes):
        """Say the parts of ``script``, one a connection; the last one again and again."""
        self.script = list(script)
        self.heard: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        for writer in self.writers:
            writer.close()
        self._server.close()

    async def _serve(self, reader, writer):
        self.writers.append(writer)
        self.heard.append(await reader.readexactly(49))
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if said is None:
            writer.close()
            return
        writer.write(said)
        while octets := await reader.read(1 << 12):
            self.heard[-1] += octets


@pytest.fixture
def engine():
    """An engine whose loop runs."""
    with software(f"link-{os.getpid()}-{next(numbers)}") as bench:
        bench.open_market()
        bench.limits()
        made = Engine(bench.device, None)
        made.start()
        yield made
        made.stop()


@pytest.fixture
def device(engine):
    """Its device."""
    return engine.device


def settings(server: Server, **changes) -> OrderSettings:
    return replace(OrderSettings(port=server.port, username="trader", password="secret"), **changes)


async def until(is_true):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if is_true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not happen")


def test_a_login_hands_the_socket_to_the_loop_with_what_came_behind_it(device):
    async def body():
        async with Server(ACCEPTED + NEXT) as server:
            link = OrderLink(device, settings(server))
            await link.connect()
            await until(lambda: device.is_session_up)
            login = server.heard[0][:49]
            assert login == (b"\x00/Ltraderdemo"[:3] + b"trader" + b"secret".ljust(10)
                             + b" " * 10 + b"0".rjust(20))
            await until(lambda: server.heard[0][49:].startswith(b"\x00\x02UQ"))
            assert int(device.orders.context["next_token"]) == 5
            assert device.session_sequence == 2
            link.close()
    asyncio.run(body())


@pytest.mark.parametrize("cut", [1, 3, 20, 33, 40])
def test_an_answer_may_come_in_pieces(device, cut):
    async def body():
        async with Server(b"") as server:
            link = OrderLink(device, settings(server))
            connecting = asyncio.create_task(link.connect())
            await until(lambda: server.writers)
            stream = ACCEPTED + NEXT
            server.writers[0].write(stream[:cut])
            await asyncio.sleep(0.05)      # or it comes in one piece, which must do as well
            server.writers[0].write(stream[cut:])
            await connecting
            await until(lambda: device.is_session_up)
            link.close()
    asyncio.run(body())


@pytest.mark.parametrize(("said", "sentence"), [
    (b"\x00\x02JA", r"rejected the login: not authorised\."),
    (b"\x00\x02JS", r"rejected the login: no such session\."),
    (b"\x00\x02JX", r"rejected the login: 'X'\."),
    (b"\x00\x01H", r"answered the login with a packet of type 'H' and 3 octets"),
    (b"\x00\x1fA" + b"SESSION001" + b"abc".rjust(20), r"not with Login Accepted"),
    (b"\x00\x1fA" + b"SESSION001" + b"9" * 20, r"not with Login Accepted"),
    (b"\x00\x05A1234", r"packet of type 'A' and 7 octets, not with Login Accepted"),
    (None, r"closed the connection at login\."),
])
def test_a_refusal_is_a_sentence(device, said, sentence):
    async def body():
        async with Server(said) as server:
            link = OrderLink(device, settings(server))
            with pytest.raises(TickwireError, match=sentence) as caught:
                await link.connect()
            assert f"127.0.0.1:{server.port}" in str(caught.value)
            assert "secret" not in str(caught.value)
            assert not device.has_session
    asyncio.run(body())


def test_a_venue_that_says_nothing_is_given_up(device, monkeypatch):
    monkeypatch.setattr(link_module, "LOGIN_SECONDS", 0.05)

    async def body():
        async with Server(b"") as server:
            with pytest.raises(TickwireError, match=r"did not answer the login within 0\.05 s"):
                await OrderLink(device, settings(server)).connect()
    asyncio.run(body())


def test_a_port_that_nobody_has_is_told(device):
    async def body():
        async with Server(b"") as server:
            gone = settings(server)
        with pytest.raises(TickwireError, match=r"Cannot reach the order port 127\.0\.0\.1:"):
            await OrderLink(device, gone).connect()
    asyncio.run(body())


def test_a_session_that_is_lost_is_continued_with_its_next_message(device, monkeypatch):
    monkeypatch.setattr(link_module, "RETRY_SECONDS", (0.01,))
    later = b"\x00\x1fA" + b"SESSION001" + b"3".rjust(20)

    async def body():
        events = sequenced(struct.pack(">cQc", b"S", 1, b"S"))
        async with Server(ACCEPTED + NEXT + events, None, later + NEXT) as server:
            link = OrderLink(device, settings(server))
            await link.connect()
            keeping = asyncio.create_task(link.keep())
            await until(lambda: device.is_session_up and device.session_sequence == 3)
            server.writers[0].close()
            await until(lambda: len(server.heard) == 3 and device.is_session_up)
            for login in server.heard[1:]:
                assert login[19:49] == b"SESSION001" + b"3".rjust(20)
            assert device.counters()["session_drops"] == 1
            assert "closed the connection at login" in link.remarks[0]
            keeping.cancel()
            link.close()
    asyncio.run(body())


@pytest.mark.parametrize(("session", "sequence"), [
    (b"SESSION001", 4), (b"SESSION001", 2), (b"SESSION002", 3)])
def test_a_session_that_comes_back_elsewhere_kills_the_device(
        device, monkeypatch, session, sequence):
    monkeypatch.setattr(link_module, "RETRY_SECONDS", (0.01,))
    later = b"\x00\x1fA" + session + str(sequence).encode().rjust(20)
    events = sequenced(struct.pack(">cQc", b"S", 1, b"S"))

    async def body():
        async with Server(ACCEPTED + NEXT + events, later + NEXT) as server:
            link = OrderLink(device, settings(server))
            await link.connect()
            await until(lambda: device.is_session_up and device.session_sequence == 3)
            device.arm()
            keeping = asyncio.create_task(link.keep())
            server.writers[0].close()
            await until(lambda: len(server.heard) == 2 and device.is_session_up)
            assert device.killed == KillCause.SETTLEMENT
            assert link.remarks == [
                f"The device is killed: the order session came back at message {sequence} of "
                f"{session.decode()!r}, not at message 3 of 'SESSION001', so what the venue said "
                "is not known."]
            keeping.cancel()
            link.close()
    asyncio.run(body())


@pytest.mark.parametrize("is_asked", [False, True])
def test_after_a_kill_that_found_the_session_away_everything_is_cancelled(
        engine, device, monkeypatch, is_asked):
    monkeypatch.setattr(link_module, "RETRY_SECONDS", (0.01,))
    later = b"\x00\x1fA" + b"SESSION001" + b"2".rjust(20) + sequenced(accepted(5))
    following = sequenced(struct.pack(">cQI", b"Q", 1, 6))

    async def body():
        async with Server(ACCEPTED + NEXT, None, later + following) as server:
            link = OrderLink(device, settings(server), engine)
            await link.connect()
            await until(lambda: device.is_session_up)
            device.write_register("KILL_ACTION", KillAction.MASS_CANCEL if is_asked else 0)
            device.arm()
            engine.submit({"operation": Operation.NEW, "locate": LOCATES["AAA"], "quantity": 100,
                           "price": 100 * DOLLAR})
            await until(lambda: device.counters()["orders_sent"] == 1)
            server.writers[0].close()
            await until(lambda: not device.is_session_up)
            device.kill()
            await until(lambda: device.killed)
            assert device.counters()["cancels_sent"] == 0
            keeping = asyncio.create_task(link.keep())
            await until(lambda: len(server.heard) == 3 and device.is_session_up)
            if is_asked:
                await until(lambda: b"\x00\x0aUX" + struct.pack(">I", 5) in server.heard[2])
            else:
                await asyncio.sleep(2 * link_module.LOOK_SECONDS)
                assert device.counters()["cancels_sent"] == 0
            keeping.cancel()
            link.close()
    asyncio.run(body())


def test_debug_packets_before_the_answer_are_passed_over(device):
    debug = struct.pack(">Hc", 8, b"+") + b"welcome"

    async def body():
        async with Server(debug + debug + ACCEPTED + debug + NEXT) as server:
            link = OrderLink(device, settings(server))
            await link.connect()
            await until(lambda: device.is_session_up)
            link.close()
    asyncio.run(body())


def test_a_session_that_the_venue_ended_is_not_continued(device, monkeypatch):
    monkeypatch.setattr(link_module, "RETRY_SECONDS", (0.01,))

    async def body():
        async with Server(ACCEPTED + NEXT + b"\x00\x01Z") as server:
            link = OrderLink(device, settings(server))
            await link.connect()
            await asyncio.wait_for(link.keep(), SECONDS)
            assert link.remarks == ["The venue ended the order session."]
            assert len(server.heard) == 1
            assert not device.is_session_up
    asyncio.run(body())


def test_an_answer_to_an_order_that_nobody_sent_is_seen_after_the_login(device):
    async def body():
        async with Server(ACCEPTED + NEXT + sequenced(accepted(9))) as server:
            link = OrderLink(device, settings(server))
            await link.connect()
            await until(lambda: device.counters()["settle_unknown"] == 1)
            link.close()
    asyncio.run(body())
