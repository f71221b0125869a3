"""Sessions of a configuration in one process: TLS, copies, audit, restarts, back-off, commands.

Method: initiators and acceptors of one service connect to each other over loopback; certificates
are made for these tests alone. The commands run as an operator would run them.
"""

import asyncio
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest

from tests.fix.link import MAIL, Link, Recorder, mail, rules
from tests.fix.quickfix_peer import free_port
from tickwire import cli
from tickwire.commands.fix_acceptor import tell_of_compiling
from tickwire.commands.run import trade
from tickwire.commands.starting import EXPLANATION
from tickwire.commands.venue import fix_gateway
from tickwire.config import demo
from tickwire.device.fix_link import FIXLink, counterpart
from tickwire.errors import TickwireError
from tickwire.orders.fix import acceptor as acceptor_module
from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.audit import SENT, AuditLog, lines
from tickwire.orders.fix.connection import Connection
from tickwire.orders.fix.files import check_files
from tickwire.orders.fix.initiator import Initiator
from tickwire.orders.fix.journal import StoreError, scan
from tickwire.orders.fix.sending import State
from tickwire.orders.fix.service import FIXService, session_rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings, FIXSettings
from tickwire.orders.fix.store import FileStore, MemoryStore, read_state
from tickwire.orders.fix.tls import tls_context

CERTIFICATES = Path(__file__).parent / "certificates"
REPORT = b"6=0\x0114=0\x0117=x\x0137=o\x0139=0\x0154=1\x0155=A\x01150=0\x01151=1\x01"


def order_config(folder, session):
    """The demo with ``session`` as its route of orders."""
    config = demo()
    return replace(config, orders=replace(config.orders, route="fix"),
                   fix=FIXSettings(folder=str(folder), sessions=(session,)))


def pair(name, port, names, **options):
    """An acceptor and an initiator that fit together, ``names`` being venue's and client's."""
    shared = {"port": port, "reconnect_ms": 20, "reconnect_max_ms": 100, **options}
    return (FIXSessionSettings(name=f"{name}-venue", role="acceptor", sender=names[0],
                               target=names[1], **shared),
            FIXSessionSettings(name=f"{name}-client", sender=names[1], target=names[0], **shared))


def run(folder, sessions, scenario):
    """Run a scenario with a service; return what the applications were told."""
    settings = FIXSettings(folder=str(folder), sessions=tuple(sessions))
    told = {entry.name: Recorder() for entry in sessions}

    async def body():
        service = FIXService(settings, told)
        await service.start()
        try:
            await scenario(service.sessions)
        finally:
            await service.stop("enough")
    asyncio.run(body())
    return told


async def until(condition, seconds=10):
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to pass")


def test_sessions_of_one_process_with_copies_and_a_restart(tmp_path):
    port = free_port()
    sessions = [*pair("orders", port, ("VENUE", "CLIENT")),
                *pair("copies", port, ("VENUE", "DESK"))]
    sessions[2] = replace(sessions[2], drop_copy_of="orders-venue")

    async def scenario(found):
        await until(lambda: all(session.is_logged_on for session in found.values()))
        found["orders-venue"].send("8", REPORT)
        found["orders-client"].send(MAIL, mail("hello"))
        await until(lambda: found["copies-client"].store.next_in == 3
                    and found["orders-venue"].store.next_in == 3)
    told = run(tmp_path, sessions, scenario)
    assert told["orders-client"].subjects == ["8"]
    assert told["copies-client"].subjects == ["8"]
    assert told["orders-venue"].subjects == ["hello"]
    assert told["orders-client"].events[0] == "logon"
    numbers = {path.stem: read_state(path)[1:3] for path in tmp_path.glob("*.store")}
    assert numbers["orders-client"] == (4, 4)
    told = run(tmp_path, sessions, scenario=lambda found: until(
        lambda: all(session.is_logged_on for session in found.values())))
    assert read_state(tmp_path / "orders-client.store")[1:3] == (6, 6)
    [log] = tmp_path.glob("fix-*.audit")
    shown = list(lines(log))
    assert sum("35=8" in line and " > " in line for line in shown) == 2
    assert sum("35=8" in line and " < " in line for line in shown) == 2
    assert sum("connected 127.0.0.1" in line for line in shown) == 8


def test_a_damaged_audit_log_is_told_before_a_session_begins(tmp_path):
    log = AuditLog(tmp_path, "fix")
    for _ in range(2):
        log.add(SENT, 1, time.time_ns(), b"today")
    log.close()
    path, = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"today", b"t0day", 1))
    fix = FIXSettings(folder=str(tmp_path), sessions=(FIXSessionSettings(),))
    with pytest.raises(StoreError, match="octet 0 is damaged.*; move the log away"):
        FIXService(fix, {})
    with pytest.raises(StoreError, match="octet 0 is damaged.*; move the log away"):
        FIXLink(None, SimpleNamespace(releases=object()), demo().orders, fix)


def test_a_full_audit_log_ends_sessions_which_come_back_when_it_has_room(tmp_path, monkeypatch):
    add, full = AuditLog.add, []

    def add_if_there_is_room(log, *entry):
        if full:
            raise StoreError("no room")
        add(log, *entry)
    monkeypatch.setattr(AuditLog, "add", add_if_there_is_room)

    async def scenario(found):
        venue, client = found.values()
        await until(lambda: venue.is_logged_on and client.is_logged_on)
        full.append(True)
        client.send(MAIL, mail(1))
        await until(lambda: venue.state is client.state is State.DISCONNECTED)
        client.ended = ""
        await until(lambda: client.ended == "no room")     # so it does for the next connection
        full.clear()
        await until(lambda: venue.is_logged_on and client.is_logged_on)
    told = run(tmp_path, pair("full", free_port(), ("VENUE", "CLIENT")), scenario)
    for recorder in told.values():
        assert [event.split(":")[0] for event in recorder.events] == [
            "logon", "logout", "logon", "logout"]
    assert told["full-venue"].subjects == ["1"]


def test_orders_are_cancelled_in_time_though_the_clock_was_set_back():
    link = Link(cancel_on_disconnect=True, cancel_after_ms=10)
    link.connect()
    link.settle()
    events = link.left.application.events

    async def body():
        Connection(1, link.left.session, None, None, 5, lambda _: None).connection_lost(None)
        link.clock.move(-0.05)
        await asyncio.sleep(0.05)          # the deadline as it was at first
        assert events == ["logon", "logout: connection lost"]
        link.clock.move(0.06)
        await until(lambda: events[2:] == ["cancel"])
    asyncio.run(body())


def test_a_copy_of_what_is_not_there_is_refused(tmp_path):
    sessions = [replace(one, drop_copy_of="nobody") for one in pair("a", 1, ("A", "B"))]
    with pytest.raises(TickwireError, match="drop_copy_of names nobody"):
        FIXService(FIXSettings(folder=str(tmp_path), sessions=tuple(sessions)), {})
    FileStore(tmp_path / "a-venue.store", sessions[0].identity, 1).close()


VENUE = {"tls": True, "certificate_file": str(CERTIFICATES / "venue.pem"),
         "key_file": str(CERTIFICATES / "venue.key")}
IMPOSTOR = {"tls": True, "certificate_file": str(CERTIFICATES / "impostor.pem"),
            "key_file": str(CERTIFICATES / "impostor.key")}
CLIENT = {"certificate_file": str(CERTIFICATES / "client.pem"),
          "key_file": str(CERTIFICATES / "client.key")}
TRUST = {"tls": True, "ca_file": str(CERTIFICATES / "authority.pem")}


@pytest.mark.parametrize("venue, client, is_on", [
    (VENUE, TRUST, True),
    (VENUE, {**TRUST, "server_name": "localhost"}, True),
    (VENUE, {**TRUST, "server_name": "elsewhere"}, False),
    (VENUE, {"tls": True}, False),
    (VENUE, {**TRUST, "ca_file": str(CERTIFICATES / "stranger.pem")}, False),
    (IMPOSTOR, TRUST, False),
    ({**VENUE, **TRUST}, {**TRUST, **CLIENT}, True),
    ({**VENUE, **TRUST}, TRUST, False),
    (VENUE, {"tls": False}, False)])
def test_certificates_are_checked(tmp_path, venue, client, is_on):
    sessions = pair("tls", free_port(), ("VENUE", "CLIENT"))
    sessions = [replace(sessions[0], **venue), replace(sessions[1], **client, reconnect_ms=20)]

    async def scenario(found):
        if is_on:
            await until(lambda: all(session.is_logged_on for session in found.values()))
            found["tls-client"].send(MAIL, mail("secret"))
            await until(lambda: found["tls-venue"].store.next_in == 3)
        else:
            await asyncio.sleep(0.4)
            assert not any(session.logons for session in found.values())
    told = run(tmp_path, sessions, scenario)
    assert told["tls-venue"].subjects == (["secret"] if is_on else [])


def test_handshakes_that_fail_take_no_place_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(acceptor_module, "_HANDSHAKE_GRACE_SECONDS", 0.05)
    settings = replace(pair("tls", 0, ("VENUE", "CLIENT"))[0], logon_seconds=1, **VENUE)

    async def body():
        session = Session(settings, rules(settings.begin_string), MemoryStore(1))
        acceptor = Acceptor([session], "127.0.0.1", 0, tls=tls_context(settings),
                            connections_max=2)
        await acceptor.start()
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", acceptor.port)
            writer.write(b"no TLS at all")
            writer.close()
        await until(lambda: len(acceptor._connections) == 2)
        await until(lambda: not acceptor._connections)
        client = replace(pair("tls", acceptor.port, ("VENUE", "CLIENT"))[1], **TRUST)
        engine = Initiator(Session(client, rules(client.begin_string), MemoryStore(1)))
        task = asyncio.create_task(engine.run())
        await until(lambda: session.is_logged_on)
        await engine.stop()
        await task
        await acceptor.stop()
    asyncio.run(body())


def test_sessions_of_one_port_have_one_tls(tmp_path):
    port = free_port()
    sessions = [replace(pair("open", port, ("VENUE", "CLIENT"))[0]),
                replace(pair("secret", port, ("VENUE", "OTHER"))[0], **VENUE)]
    with pytest.raises(TickwireError, match=r"sessions\.secret-venue\.tls differs"):
        run(tmp_path, sessions, lambda _: asyncio.sleep(0))


def test_the_venue_keeps_its_side_of_a_stored_session(tmp_path):
    mine = FIXSessionSettings(port=free_port(), reconnect_ms=20)
    config = order_config(tmp_path, mine)
    for runs in (1, 2):
        with fix_gateway(config, 1):
            run(tmp_path, [mine],
                lambda found: until(lambda: found["venue"].is_logged_on))
        assert read_state(tmp_path / "venue.store")[1:3] == (1 + 2 * runs, 1 + 2 * runs)
        assert read_state(tmp_path / "venue.simulated.store")[1:3] == (1 + 2 * runs,
                                                                       1 + 2 * runs)


def test_the_simulated_venue_has_no_throttle_of_the_desk():
    venue = counterpart(FIXSessionSettings(messages_per_second=1, burst=1))
    assert (venue.sender, venue.messages_per_second) == ("VENUE", 0)


def test_the_simulated_venue_has_no_tls_and_says_so(tmp_path):
    config = order_config(tmp_path, FIXSessionSettings(tls=True))
    with pytest.raises(TickwireError, match=r"no TLS, and fix\.sessions\.venue\.tls.*--no-venue"):
        fix_gateway(config, 1)
    with pytest.raises(TickwireError, match=r"no TLS, and fix\.sessions\.venue\.tls.*--no-venue"):
        trade(config)


def test_the_simulated_venue_cannot_be_at_the_address_of_another(tmp_path):
    config = order_config(tmp_path, FIXSessionSettings(host="192.0.2.1"))
    with pytest.raises(TickwireError, match=r"192\.0\.2\.1:26405: .* would be the other side of "
                                            r"fix\.sessions\.venue there; run with --no-venue"), \
            fix_gateway(config, 1):
        pass


@pytest.mark.parametrize(("key", "content", "complaint"), [
    ("dictionary", None, "No such file"), ("dictionary", "<fix", "dictionary: "),
    ("transport_dictionary", None, "No such file"), ("ca_file", None, "No such file"),
    ("ca_file", "none", "PEM|X509|SSL"), ("certificate_file", None, "No such file"),
    ("certificate_file", "none", "PEM|SSL"), ("key_file", None, "No such file")])
def test_a_run_refuses_files_of_its_session_before_anything_starts(
        tmp_path, monkeypatch, key, content, complaint):
    monkeypatch.setattr("tickwire.commands.run.Child", None)
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    session = FIXSessionSettings(begin_string="FIXT.1.1", tls=True, **{key: str(path)})
    with pytest.raises(TickwireError, match=rf"^fix\.sessions\.venue\.{key}: {path} .*"
                                            rf"({complaint})") as found:
        trade(order_config(tmp_path, session), with_venue=False)
    assert found.value.exit_code == 2


def test_a_dictionary_without_a_session_is_told(tmp_path):
    path = tmp_path / "half.xml"
    path.write_text('<fix major="4" minor="4"><fields/></fix>')
    with pytest.raises(TickwireError, match=r"fix\.sessions\.venue: its dictionary .* with 34"):
        session_rules(FIXSessionSettings(dictionary=str(path)))


@pytest.mark.parametrize(("begin_string", "key", "written", "version", "wanted"), [
    ("FIX.4.4", "dictionary", 'major="4" minor="2"', "FIX.4.2", "FIX.4.4"),
    ("FIX.4.2", "dictionary", 'type="FIXT" major="1" minor="1"', "FIXT.1.1", "FIX.4.2"),
    ("FIXT.1.1", "dictionary", 'major="4" minor="4"', "FIX.4.4",
     "FIX.5.0SP2 or FIX.5.0SP1 or FIX.5.0"),
    ("FIXT.1.1", "transport_dictionary", 'major="5" minor="0"', "FIX.5.0", "FIXT.1.1")])
def test_a_dictionary_of_another_version_is_refused(tmp_path, begin_string, key, written, version,
                                                    wanted):
    path = tmp_path / "other.xml"
    path.write_text(f"<fix {written}><fields/></fix>")
    with pytest.raises(TickwireError) as found:
        check_files(FIXSessionSettings(begin_string=begin_string, **{key: str(path)}))
    assert str(found.value) == (
        f"fix.sessions.venue.{key}: {path} is a dictionary of {version}, but begin_string "
        f"{begin_string} needs {wanted}.")


@pytest.mark.parametrize("version", ['minor="0"', 'minor="0" servicepack="1"'])
def test_an_application_dictionary_may_be_of_any_fix_5(tmp_path, version):
    path = tmp_path / "venue.xml"
    path.write_text(f'<fix major="5" {version}><fields/></fix>')
    check_files(FIXSessionSettings(begin_string="FIXT.1.1", dictionary=str(path)))


LOCKED = {**TRUST, **CLIENT, "key_file": str(CERTIFICATES / "client-locked.key")}


@pytest.mark.parametrize(("phrase", "complaint"), [
    (None, r"\.key_file: the key in .*locked\.key has a passphrase; key_passphrase_file has"),
    ("", r"\.key_passphrase_file: the first line of .*/phrase must have 1 to 1,024 octets"),
    ("x" * 2_000, r"\.key_passphrase_file: the first line of .*/phrase must have 1 to 1,024"),
    ("wrong\n", r"\.key_passphrase_file: .*/phrase cannot be used: "),
    ("pass phrase\n", "")])
def test_a_key_with_a_passphrase_asks_nobody(tmp_path, phrase, complaint):
    path = tmp_path / "phrase"
    if phrase is not None:
        path.write_text(phrase)
    settings = FIXSessionSettings(**LOCKED, key_passphrase_file="" if phrase is None else str(path))
    if complaint:
        with pytest.raises(TickwireError, match=r"^fix\.sessions\.venue" + complaint):
            tls_context(settings)
    else:
        assert tls_context(settings)


def test_files_of_certificates_that_are_none_are_told(tmp_path):
    sessions = [replace(one, tls=True, certificate_file=str(tmp_path / "none"))
                for one in pair("tls", free_port(), ("A", "B"))]
    with pytest.raises(TickwireError, match=r"fix\.sessions\.tls-.*_file: .*none cannot be used"):
        run(tmp_path, sessions, lambda _: asyncio.sleep(0))


def test_a_name_that_is_looked_up_for_long_is_told(monkeypatch):
    monkeypatch.setattr(acceptor_module, "_SLOW_SECONDS", 0.01)
    settings = pair("slow", 0, ("VENUE", "CLIENT"))[0]

    async def body():
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        create = loop.create_server

        async def resolved(*arguments, **options):
            await told.wait()
            return await create(*arguments, **options)
        monkeypatch.setattr(loop, "create_server", resolved)
        monkeypatch.setattr(acceptor_module.log, "warning",
                            lambda text, *values: (sentences.append(text % values), told.set()))
        acceptor = Acceptor([Session(settings, rules("FIX.4.4"), MemoryStore(1))], "127.0.0.1", 0)
        await acceptor.start()
        await acceptor.stop()
    sentences: list[str] = []
    asyncio.run(body())
    assert sentences == ["FIX does not listen on 127.0.0.1:0 yet: the name is being looked up"]


def test_an_initiator_backs_off(tmp_path, monkeypatch):
    waits = []

    async def waited(self, seconds):
        waits.append(seconds)
        if len(waits) == 7:
            self._stopped.set()
    monkeypatch.setattr(Initiator, "_wait", waited)
    session = replace(pair("x", free_port(), ("A", "B"))[1], reconnect_ms=100,
                      reconnect_max_ms=1_500)
    run(tmp_path, [session], lambda _: until(lambda: len(waits) == 7))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.5, 1.5, 1.5]


def test_a_port_that_is_taken_is_told(tmp_path):
    port = free_port()
    sessions = [pair("a", port, ("A", "B"))[0]]

    async def scenario(_):
        other = FIXService(FIXSettings(folder=str(tmp_path / "other"), sessions=tuple(sessions)),
                           {})
        with pytest.raises(TickwireError, match=f"FIX cannot listen on 127.0.0.1:{port}: "
                                                "Address already in use\\.$"):
            await other.start()
    run(tmp_path, sessions, scenario)


# Commands


@pytest.fixture
def store(tmp_path):
    made = FileStore(tmp_path / "venue.store", "FIX.4.4:US->THEM", 1_767_268_800 * 10**9)
    for _ in range(4):
        made.put(b"8=FIX.4.4\x01", 1)
    made.close()
    return tmp_path


def sessions(capsys, *words):
    assert cli.main(["fix", "sessions", *map(str, words)]) == 0
    return [line.split("  ") for line in capsys.readouterr().out.splitlines()]


def test_stored_numbers_are_shown_and_edited(store, capsys):
    shown = [cell for cell in sessions(capsys, "--folder", store)[1] if cell]
    assert [cell.strip() for cell in shown[:5]] == [
        "venue", "FIX.4.4:US->THEM", "5", "1", "2026-01-01 12:00:00"]
    edit = ["venue", "--folder", store]
    sessions(capsys, *edit, "--next-out", 3, "--next-in", 9)
    assert read_state(store / "venue.store")[1:3] == (3, 9)
    sessions(capsys, *edit, "--reset")
    assert read_state(store / "venue.store")[1:3] == (1, 1)


@pytest.mark.parametrize("words, sentence", [
    (["nobody"], "There is no store"),
    (["venue", "--next-out", "0"], "--next-out must be from 1"),
    (["--reset"], "Which session is to be edited")])
def test_edits_that_make_no_sense_are_refused(store, capsys, words, sentence):
    assert cli.main(["fix", "sessions", *words, "--folder", str(store)]) == 2
    assert sentence in capsys.readouterr().err
    assert read_state(store / "venue.store")[1:3] == (5, 1)


@pytest.mark.parametrize("place, numbers, follows", [
    ("first", None, "move it away"),
    ("early", "201", "goes on, but up to 64 messages cannot be sent again"),
    ("late", "198", "`tickwire fix sessions venue --repair` cuts it off there")])
def test_a_damaged_store_is_told_with_its_place_and_the_others_are_shown(
        store, capsys, place, numbers, follows):
    path = store / "venue.store"
    made = FileStore(path, "FIX.4.4:US->THEM", 1)
    for _ in range(196):
        made.put(b"8=FIX.4.4\x01", 1)
    made.close()
    FileStore(store / "whole.store", "FIX.4.4:US->ALL", 1).close()
    records = list(scan(path))
    broken = {"first": 0, "early": 9, "late": 198}[place]
    octets = bytearray(path.read_bytes())
    octets[records[broken].offset + 33] ^= 1
    path.write_bytes(octets)
    assert cli.main(["fix", "sessions", "--folder", str(store)]) == 3
    shown = capsys.readouterr()
    rows = {cells[0]: cells for cells in map(str.split, shown.out.splitlines()[1:])}
    assert rows["whole"][2] == "1"
    assert (rows["venue"][2] if "venue" in rows else None) == numbers
    assert shown.err == (f"{path}: the record at octet {records[broken].offset} is damaged, and "
                         f"whole ones follow it at octet {records[broken + 1].offset}; "
                         f"{shown.err.rpartition('; ')[2]}")
    assert follows in shown.err
    if place == "late":
        assert cli.main(["fix", "sessions", "venue", "--repair", "--folder", str(store)]) == 0
        assert cli.main(["fix", "sessions", "--folder", str(store)]) == 0


def test_a_folder_is_no_store(store, capsys):
    (store / "folder.store").mkdir()
    assert len(sessions(capsys, "--folder", store)) == 2


def test_a_session_in_use_is_shown_and_not_edited(store, capsys):
    held = FileStore(store / "venue.store", "FIX.4.4:US->THEM", 1)
    assert sessions(capsys, "--folder", store)[1]
    assert cli.main(["fix", "sessions", "venue", "--reset", "--folder", str(store)]) == 2
    assert "another process uses this session" in capsys.readouterr().err
    held.close()


def test_the_acceptance_server_tells_its_port_and_stops(tmp_path):
    program = subprocess.Popen([sys.executable, "-m", "tickwire.cli", "fix", "acceptor",
                                "--acceptance", "--audit", tmp_path], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        assert program.stdout.readline().startswith("FIX acceptance server on 127.0.0.1:")
    finally:
        program.terminate()
        assert program.wait(20) == 0
    assert "Traceback" not in program.stderr.read()


def test_the_acceptance_server_says_why_its_first_start_takes_long(monkeypatch, capsys):
    monkeypatch.setattr("tickwire.commands.starting.PATIENCE_SECONDS", -1)
    with tell_of_compiling():
        numba.njit(lambda x: x + 1)(1)
    numba.njit(lambda x: x + 2)(1)
    assert capsys.readouterr().err == EXPLANATION + "\n"


def test_log_lines_that_nobody_reads_hold_nothing_up():
    from tickwire.commands.fix_acceptor import _Lines
    near, far = os.pipe()
    handler = _Lines(far)
    for number in range(5_000):
        handler.handle(logging.makeLogRecord({"msg": f"line {number} {'x' * 80}"}))
    assert os.read(near, 100).startswith(b"line 0 x")
    os.close(near)
    handler.handle(logging.makeLogRecord({"msg": "after the end"}))
    os.close(far)


@pytest.mark.parametrize("words, sentence", [
    (["--acceptance", "--port", "70000"], "--port must be from 0 to 65535"),
    (["--acceptance", "--dictionary", "nowhere"], "--dictionary nowhere: nowhere/FIX42.xml "
     "cannot be read as a dictionary: No such file or directory.\n"),
    (["--acceptance", "--port", "1.5"], "not a whole number")])
def test_what_the_acceptance_server_refuses(capsys, words, sentence):
    assert cli.main(["fix", "acceptor", *words]) == 2
    assert sentence in capsys.readouterr().err
