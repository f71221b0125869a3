"""QuickFIX is a live counterparty in both directions, and does what our definitions say.

Method: Debian's libquickfix-dev, compiled into a small program (quickfix_peer.cpp beside this),
talks to our engine over loopback; connections are cut, numbers are set back, and both sides must
find together again. Our definitions run against QuickFIX's own engine, so what they expect is
another implementation's word, but for the differences that are named: a minute, when
TICKWIRE_QUICKFIX_XML names the folder of its dictionaries. Skipped without the library.
"""

import asyncio
import time

import pytest

from tests.fix.quickfix_peer import QuickFIXPeer, dictionaries, free_port, why_no_quickfix
from tests.fix.runner import run_files
from tests.fix.write_definitions import DEFINITIONS, VERSIONS
from tickwire.orders.fix.acceptance import Echo
from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.initiator import Initiator
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import FileStore

pytestmark = pytest.mark.skipif(bool(why_no_quickfix()), reason=why_no_quickfix() or "never")
BEGIN_STRINGS = ["FIX.4.2", "FIX.4.4"]
DIFFERENT = {
    "LogonWithoutHeartbeat": "it waits for its time to be over; we disconnect at once",
    "LogonOfAnotherFIX5": "it answers with its own 1137; we repeat the one that came",
    "LogonOfAnOldVersion": "it takes any 1137; we have no dictionary for FIX.4 above FIXT",
    "ResendBothWays": "it asks again for the ResendRequest that it has answered; we do not",
    "ResendOfNothing": "it takes 7=0 as 7=1; we reject it",
    "SecondGapIsAskedFor": "it waits for another message before it asks for the second gap",
}
"""Where QuickFIX does something else, and what."""


class Client(Echo):
    """Remembers the orders that came, in order, repetitions too."""

    def __init__(self, is_echo):
        super().__init__()
        self.is_echo, self.orders, self.logons = is_echo, [], 0

    def on_logon(self, session):
        self.logons += 1

    def on_message(self, session, message):
        self.orders.append(message.text(11))
        if self.is_echo:
            super().on_message(session, message)


def session(folder, version, role, application, port=0):
    names = ("TW44", "ISLD") if role == "initiator" else ("ISLD", "TW44")
    settings = FIXSessionSettings(role=role, begin_string=version, sender=names[0],
                                  target=names[1], port=port, reconnect_ms=50)
    store = FileStore(folder / role, settings.identity, time.time_ns(), "none")
    return Session(settings, Rules.own(version), store, application, guarded=frozenset())


def order(identity):
    moment = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
    return (f"11={identity}|21=1|40=1|54=1|55=INTC|60={moment}|").replace("|", "\x01").encode()


async def until(condition, seconds=20):
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it does not come to pass")


@pytest.mark.parametrize("version", BEGIN_STRINGS)
def test_our_initiator_and_its_acceptor(tmp_path, version):
    peer = QuickFIXPeer(tmp_path, version=version, is_reset=False)
    application = Client(is_echo=False)

    async def run(port):
        ours = session(tmp_path, version, "initiator", application, port)
        engine = Initiator(ours)
        task = asyncio.create_task(engine.run())
        await until(lambda: application.logons == 1)
        for number in range(3):
            ours.send("D", order(f"A{number}"))
        await until(lambda: len(application.orders) == 3)
        engine._connection._transport.abort()
        await until(lambda: not ours.is_logged_on)
        for number in range(5):            # it finds them missing, and asks for them
            ours.send("D", order(f"B{number}"), is_kept=True)
        await until(lambda: application.logons == 2 and len(application.orders) == 8)
        engine._connection._transport.abort()
        await until(lambda: not ours.is_logged_on)
        ours.store.received(2, time.time_ns())     # now we ask, and it repeats all echoes
        await until(lambda: application.logons == 3 and len(application.orders) == 16)
        await engine.stop()
        await task
        ours.store.close()
    with peer.acceptor() as port:
        asyncio.run(run(port))
    wanted = [*(f"A{number}" for number in range(3)), *(f"B{number}" for number in range(5))]
    assert application.orders == wanted * 2


@pytest.mark.parametrize("version", BEGIN_STRINGS)
def test_its_initiator_and_our_acceptor(tmp_path, version):
    peer = QuickFIXPeer(tmp_path, version=version, is_reset=False)
    application = Client(is_echo=True)
    port = free_port()

    async def run():
        ours = session(tmp_path, version, "acceptor", application)
        engine = Acceptor([ours], "127.0.0.1", port)
        await engine.start()
        with peer.initiator(port, 4):
            await until(lambda: len(application.orders) == 4)
            next(iter(engine._connections))._transport.abort()
            await until(lambda: not ours.is_logged_on)
            ours.store.received(1, time.time_ns())
            await until(lambda: application.logons == 2 and len(application.orders) == 8)
            lines = [await asyncio.to_thread(peer.line) for _ in range(6)]
        assert lines[0] == "logon"
        assert [line.split()[2] for line in lines if line.startswith("D")] == [
            "Q4", "Q3", "Q2", "Q1"]
        await until(lambda: not ours.is_logged_on)
        await engine.stop()
        ours.store.close()
    asyncio.run(run())
    assert application.orders == ["Q4", "Q3", "Q2", "Q1"] * 2


@pytest.mark.skipif(not dictionaries(), reason="TICKWIRE_QUICKFIX_XML is not set")
def test_quickfix_does_what_the_definitions_say(tmp_path):
    paths = [path for version in VERSIONS for path in sorted((DEFINITIONS / version / "acceptor")
                                                             .glob("*.def"))]
    agreed = [path for path in paths if path.stem not in DIFFERENT]
    assert len(agreed) > 220
    with QuickFIXPeer(tmp_path).acceptance() as port:
        assert asyncio.run(run_files(agreed, "127.0.0.1", port)) == []
