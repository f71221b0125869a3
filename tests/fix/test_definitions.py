"""The engine does what the project's own definitions say, as an acceptor and as an initiator.

Method: every definition runs against a session of its own in this process, over loopback, all of
them side by side, so that the slow ones (heartbeats) wait together. What an initiator's settings
are to be is read from the Logon that its definition expects.
"""

import asyncio
import re
import time
from functools import cache
from pathlib import Path

import pytest

from tests.fix.quickfix_peer import free_port
from tests.fix.runner import Failure, Runner, run_file
from tests.fix.write_definitions import DEFINITIONS, VERSIONS, definitions
from tickwire.orders.fix.acceptance import NO_CHECK, Echo, acceptance_acceptor, acceptance_rules
from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.initiator import Initiator
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import MemoryStore

FILES = sorted(DEFINITIONS.rglob("*.def"))
SIDE_BY_SIDE = 32
SLOW = ("AnswerTooLate", "HeartbeatWhenSilent", "OtherVersionWithoutLogout", "SilentPeerIsTested")
rules = cache(acceptance_rules)


def acceptor(version: str) -> Acceptor:
    """The acceptance server's session of a version, alone on a port."""
    begin_string, peer = VERSIONS[version]
    settings = FIXSessionSettings(role="acceptor", begin_string=begin_string, sender="ISLD",
                                  target=peer, reset_on_logon=True)
    session = Session(settings, rules(begin_string), MemoryStore(time.time_ns()), Echo(),
                      guarded=frozenset())
    return Acceptor([session], "127.0.0.1", 0)


def initiator(version: str, port: int, text: bytes) -> Initiator:
    """An initiator whose Logon is the one that the definition expects."""
    begin_string, peer = VERSIONS[version]
    logon = next(line for line in text.split(b"\n") if line.startswith(b"E") and b"35=A" in line)
    heartbeat = re.search(rb"\x01108=(\d+)", logon)
    settings = FIXSessionSettings(
        begin_string=begin_string, sender=peer, target="ISLD", port=port,
        heartbeat_seconds=int(heartbeat[1]), reset_on_logon=b"\x01141=Y" in logon,
        next_expected=b"\x01789=" in logon, logon_seconds=3, reconnect_ms=1)
    return Initiator(Session(settings, rules(begin_string), MemoryStore(time.time_ns()), Echo(),
                             guarded=frozenset()))


async def run(path: Path) -> str:
    """Run one definition; return what went wrong, or nothing."""
    version, role, text = path.parts[-3], path.parts[-2], path.read_bytes()
    runner = Runner("127.0.0.1", 0)
    if role == "acceptor":
        engine: Acceptor | Initiator = acceptor(version)
        await engine.start()
        runner.port = engine.port
        task = None
    else:
        engine = initiator(version, await runner.listen(), text)
        task = asyncio.create_task(engine.run())
    try:
        await runner.run(text)
    except (Failure, OSError) as error:
        return str(error)
    finally:
        await engine.stop()
        if task is not None:
            await task
    return ""


@pytest.fixture(scope="module")
def results() -> dict[Path, str]:
    """What went wrong with each definition; all have run when this returns."""
    async def run_all() -> dict[Path, str]:
        for begin_string, _ in VERSIONS.values():      # kernels are compiled or loaded before
            parse(b"", rules(begin_string))
        places = asyncio.Semaphore(SIDE_BY_SIDE)

        async def in_turn(path: Path) -> str:
            async with places:
                return await run(path)
        # Those that wait for a clock go first, when nothing else is in their way.
        slow = [path for path in FILES if path.stem in SLOW]
        others = [path for path in FILES if path.stem not in SLOW]
        return {**dict(zip(slow, await asyncio.gather(*map(in_turn, slow)), strict=True)),
                **dict(zip(others, await asyncio.gather(*map(in_turn, others)), strict=True))}
    return asyncio.run(run_all())


@pytest.mark.parametrize("path", FILES,
                         ids=[str(path.relative_to(DEFINITIONS)) for path in FILES])
def test_the_engine_does_what_the_definition_says(path, results):
    assert not results[path], results[path]


def test_a_file_is_run_by_its_name_and_against_an_engine_that_connects(tmp_path):
    path = DEFINITIONS / "fix44" / "initiator" / "LogonIsAnswered.def"
    port = free_port()

    async def run_it() -> str:
        engine = initiator("fix44", port, path.read_bytes())
        task = asyncio.create_task(engine.run())
        found = await run_file(path, "127.0.0.1", port)
        await engine.stop()
        await task
        return found
    assert asyncio.run(run_it()) == ""
    (tmp_path / "none.def").write_bytes(b"iCONNECT\nsay hello\n")
    assert "line 2 is no step: b'say hello'" in asyncio.run(
        run_file(tmp_path / "none.def", "127.0.0.1", port))


def test_the_definitions_are_what_their_cases_say():
    wanted = definitions()
    assert {path.relative_to(DEFINITIONS) for path in FILES} == set(wanted), \
        "run python -m tests.fix.write_definitions"
    assert not [name for name in wanted if (DEFINITIONS / name).read_bytes() != wanted[name]]


def test_the_acceptance_server_has_all_its_sessions_on_one_port():
    lines = []
    for number, (begin_string, peer) in enumerate([*VERSIONS.values(), ("FIX.4.4", "TW"),
                                                   ("FIX.4.4", NO_CHECK)], 1):
        logon = "35=A|34=1|49={}|52=<TIME>{}|56={}|98=0|108=30|" + (
            "1137=9|" if begin_string == "FIXT.1.1" else "")
        lines += [f"i{number},CONNECT",
                  f"I{number},8={begin_string}|" + logon.format(peer, "", "ISLD"),
                  f"E{number},8={begin_string}|" + logon.format("ISLD", ".000", peer)]
    run_against_acceptance(lines)


def test_fields_without_a_value_pass_where_that_is_allowed():
    order = ("35=D|34=2|49=NO|52=<TIME>|56=ISLD|11=ID|21=1|40=1|54=1|55=INTC|58=|60=<TIME>|")
    lines = [
        "iCONNECT",
        f"I8=FIX.4.4|35=A|34=1|49={NO_CHECK}|52=<TIME>|56=ISLD|98=0|108=30|",
        f"E8=FIX.4.4|35=A|34=1|49=ISLD|52=<TIME>.000|56={NO_CHECK}|98=0|108=30|",
        f"I8=FIX.4.4|{order.replace('49=NO', f'49={NO_CHECK}')}",
        f"E8=FIX.4.4|35=D|34=2|49=ISLD|52=<TIME>.000|56={NO_CHECK}|11=ID|21=1|40=1|54=1|"
        "55=INTC|58=|60=<TIME>|"]

    run_against_acceptance(lines)


def run_against_acceptance(lines: list[str]) -> None:
    """Run a definition against the whole acceptance server."""
    async def run_it() -> None:
        engine = acceptance_acceptor("127.0.0.1", 0)
        await engine.start()
        try:
            await Runner("127.0.0.1", engine.port).run(
                "\n".join(lines).replace("|", "\x01").encode())
        finally:
            await engine.stop()
    asyncio.run(run_it())
