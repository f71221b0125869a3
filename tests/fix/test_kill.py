"""A session's process is killed again and again while messages flow; none is lost.

Method: an acceptor in a process of its own, with its store on the disk, writes down what it is told
before it answers; an initiator here sends numbered messages, connected or not. After each SIGKILL
the acceptor starts from its store. In the end every message was told, in order; one that was acted
on but not yet counted at a kill is told twice, and no answer is missing.
"""

import asyncio
import subprocess
import sys
import time

from tests.fix.link import MAIL, Recorder, mail, rules
from tests.fix.quickfix_peer import free_port
from tickwire.orders.fix.initiator import Initiator
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import MemoryStore

MESSAGES, KILLS = 600, 2
ACCEPTOR = """
import asyncio, os, sys
from tickwire.orders.fix.application import Application
from tickwire.orders.fix.service import FIXService
from tickwire.orders.fix.settings import FIXSessionSettings, FIXSettings

class Answerer(Application):
    def on_message(self, session, message):
        os.write(told, message.find(147) + b"\\n")
        session.send("C", message.body())

async def main():
    entry = FIXSessionSettings(name="killed", role="acceptor", sender="THEM", target="US",
                               port=int(sys.argv[2]))
    service = FIXService(FIXSettings(folder=sys.argv[1], sessions=(entry,)),
                         {"killed": Answerer()})
    await service.start()
    print("on", flush=True)
    await asyncio.Event().wait()

told = os.open(sys.argv[1] + "/told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
asyncio.run(main())
"""


def test_no_message_is_lost_when_the_process_is_killed(tmp_path):
    port = free_port()
    application = Recorder()

    def start():
        program = subprocess.Popen([sys.executable, "-c", ACCEPTOR, tmp_path, str(port)],
                                   stdout=subprocess.PIPE, text=True)
        assert program.stdout.readline() == "on\n"
        return program

    async def run():
        settings = FIXSessionSettings(sender="US", target="THEM", port=port, reconnect_ms=20,
                                      reconnect_max_ms=50)
        session = Session(settings, rules("FIX.4.4"), MemoryStore(time.time_ns()), application)
        engine = Initiator(session)
        task = asyncio.create_task(engine.run())
        program = await asyncio.to_thread(start)
        for number in range(MESSAGES):
            session.send(MAIL, mail(f"{number:04}"), is_kept=True)
            if number % (MESSAGES // (KILLS + 1)) == MESSAGES // (KILLS + 2):
                await asyncio.sleep(0.02 * (number % 5))
                program.kill()
                program.wait()
                program = await asyncio.to_thread(start)
            elif number % 7 == 0:
                await asyncio.sleep(0.001)
        last = f"{MESSAGES - 1:04}"
        for _ in range(2_000):
            if application.subjects[-1:] == [last]:
                break
            await asyncio.sleep(0.01)
        await engine.stop()
        await task
        program.kill()
        program.wait()
    asyncio.run(run())
    wanted = [f"{number:04}" for number in range(MESSAGES)]
    told = (tmp_path / "told").read_text().split()
    assert told == sorted(told), "told out of order"
    assert sorted(set(told)) == wanted
    assert len(told) <= MESSAGES + KILLS + 1, "a kill repeats one message at most"
    assert application.subjects == sorted(application.subjects)
    assert sorted(set(application.subjects)) == wanted
