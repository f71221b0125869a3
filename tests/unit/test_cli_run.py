"""Commands: whatever an operator gets wrong ends with one sentence and a status that is not 0.

Method: the program's ``main`` is called in this process where nothing is started, and as a program
where processes, ports or signals are part of the question. No output may hold a traceback.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from tests.ports import free_ports
from tests.reference import itch
from tests.remarks import without_remarks
from tickwire import cli
from tickwire.commands import run as run_command
from tickwire.commands import starting
from tickwire.commands.children import Child
from tickwire.commands.run import AWAITED, Session
from tickwire.commands.starting import EXPLANATION, WAITING, Starting
from tickwire.config import demo
from tickwire.device import shared
from tickwire.spec.records import FeedState
from tickwire.spec.registers import KillCause, Status

SECONDS = 120                              # for anything that a test waits for


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    """Call the program in this process; return status, output and complaint."""
    status = cli.main(list(arguments))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    return status, captured.out, captured.err


def program(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the program in a process of its own."""
    found = subprocess.run([sys.executable, "-m", "tickwire", *arguments], text=True,
                           capture_output=True, check=False, timeout=1_200, **options)
    assert "Traceback" not in found.stdout + found.stderr
    found.stderr = without_remarks(found.stderr)
    return found


def settings(*assignments: str) -> list[str]:
    """Arguments of a run on ports and a name of its own."""
    ports = free_ports()
    return [argument for assignment in (*ports.overrides(), *assignments)
            for argument in ("--set", assignment)]


def test_without_a_command_it_says_what_there_is(capsys):
    status, out, _ = run(capsys=capsys)
    assert status == 0
    for command in ("run", "replay", "decode", "stat", "venue"):
        assert command in out


def test_the_version_is_told(capsys):
    from tickwire import __version__
    assert run("--version", capsys=capsys)[1].strip() == __version__


@pytest.mark.parametrize("command", ["run", "replay", "decode", "stat", "venue"])
def test_every_command_explains_itself(command, capsys):
    status, out, _ = run(command, "--help", capsys=capsys)
    assert status == 0 and f"tickwire {command}" in out


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["rnu"], 'Unknown command "rnu"'),
    (["run", "--seconds", "many"], "'many' is not a whole number."),
    (["run", "--seconds", "1.5"], "'1.5' is not a whole number."),
    (["run", "--fast"], "--fast"),
    (["run", "--json", "/no/folder/x.json"], "/no/folder/x.json: there is no folder /no/folder."),
    (["run", "--json", "/"], "Cannot write /: it is a folder."),
    (["replay", "day", "--json", "a.csv", "--bbo", "a.csv"], "a.csv is named for two outputs"),
    (["replay", "day", "--levels", "1.5"], "'1.5' is not a whole number."),
    (["run", "--set", "seconds"], "An override is written KEY=VALUE, not 'seconds'"),
    (["run", "--set", "run.secnods=5"], "run.secnods is not a key; the nearest is run.seconds"),
    (["run", "--set", "feed.port_a=0"], "override: feed.port_a must be an integer from 1"),
    (["run", "--impair", "2"], "--impair must be a fraction from 0 to 1, not 2."),
    (["run", "--impair", "nan"], "--impair must be a fraction from 0 to 1, not NaN."),
    (["run", "--config", "/does/not/exist.toml"], "/does/not/exist.toml: cannot be read"),
    (["venue", "--set", "venue.agents=0"], "override: venue.agents must be an integer from 1"),
    (["stat", "nobody-has-this-name"], "No device 'nobody-has-this-name' runs"),
])
def test_a_wrong_argument_is_one_sentence(arguments, sentence, capsys):
    status, _, error = run(*arguments, capsys=capsys)
    assert status == 2
    assert sentence in error
    assert error.count("\n") == 1


def test_a_file_that_is_wrong_is_told_with_its_place(tmp_path, capsys):
    for text, sentence in (("[run\n", "at line 1"), ("[run]\nfast = 1\n", "run.fast is not a key"),
                           ("symbols = 3\n", "symbols must be an array, not 3"),
                           ('[strategy]\npath = "x"\n', "strategy.path must be a path such as")):
        path = tmp_path / "wrong.toml"
        path.write_text(text)
        status, _, error = run("run", "--config", str(path), capsys=capsys)
        assert status == 2 and str(path) in error and sentence in error, error


@pytest.mark.parametrize(("assignment", "sentence"), [
    ('symbols=["A"]', "risk.symbols.SPY is not one of symbols"),
    ('strategy.path="no.such:Strategy"', "strategy.path: cannot import no.such"),
    ("strategy.parameters.speed=3", "strategy.parameters.speed is not a parameter of Spread"),
    ("geometry.instruments=2", "symbols must be at most geometry.instruments = 2, not 4"),
    ('feed.interface="10.255.255.1"', "10.255.255.1"),
])
def test_what_a_child_refuses_reaches_the_operator(assignment, sentence):
    found = program("run", "--seconds", "1", *settings(assignment))
    assert found.returncode == 2, found.stderr
    assert sentence in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr


def test_a_port_in_use_is_told():
    ports = free_ports()
    with socket.create_server(("127.0.0.1", ports.orders)):
        arguments = [part for entry in ports.overrides() for part in ("--set", entry)]
        found = program("run", "--seconds", "1", *arguments)
    assert found.returncode == 2
    assert str(ports.orders) in found.stderr and "in use" in found.stderr
    assert not shared.path_of(ports.name).exists()


def test_a_port_for_metrics_in_use_is_told_before_anything_is_traded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = program("run", "--seconds", "1", *settings(f"observe.prometheus_port={port}"))
    assert (found.returncode, found.stdout) == (2, "")
    assert f"observe.prometheus_port {port} cannot be served on 127.0.0.1: " in found.stderr


def test_a_name_in_use_is_told():
    ports = free_ports()
    from tickwire.spec.geometry import CARD_SMALL
    memory, _ = shared.create(ports.name, "software", CARD_SMALL, market_log2=8, order_log2=7,
                              token_log2=6)
    with memory:
        arguments = [part for entry in ports.overrides() for part in ("--set", entry)]
        found = program("run", "--seconds", "1", *arguments)
        assert found.returncode == 2
        assert f"Device {ports.name!r} runs already, in process {os.getpid()}" in found.stderr
        assert memory.path.exists()


def test_without_a_venue_the_order_port_must_answer():
    found = program("run", "--seconds", "1", "--no-venue", *settings())
    assert found.returncode == 2
    assert "Cannot reach the order port 127.0.0.1:" in found.stderr
    assert found.stderr.endswith(": Connection refused.\n")


def test_an_error_of_ours_is_a_sentence_too(capsys, monkeypatch):
    monkeypatch.delenv("TICKWIRE_DEBUG", raising=False)

    def broken(*_, **__):
        raise RuntimeError("oops")
    monkeypatch.setattr(cli, "app", broken)
    status, _, error = run("run", capsys=capsys)
    assert status == 70
    assert error.startswith("Internal error in test_cli_run.py, line ")


@pytest.mark.parametrize("command", ["decode", "replay"])
def test_an_output_that_is_full_is_a_sentence(command, tmp_path):
    path = tmp_path / "day.itch"
    path.write_bytes(itch.binary_file([itch.system(b"O")] * 500))
    with open("/dev/full", "w") as full:
        found = subprocess.run([sys.executable, "-m", "tickwire.cli", command, str(path)],
                               stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr == "Cannot write the output: No space left on device.\n"


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path):
    path = tmp_path / "day.itch"
    path.write_bytes(itch.binary_file([itch.system(b"O")] * 50_000))
    with subprocess.Popen([sys.executable, "-m", "tickwire.cli", "decode", str(path)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert b"system_event" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(SECONDS) == 0


def test_an_interrupt_that_comes_while_something_is_finalized_is_not_lost(capsys, monkeypatch):
    class Dying:
        def __del__(self):
            raise KeyboardInterrupt

    def busy(*_, **__):
        Dying()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.01)
        raise AssertionError("the interrupt never came")
    monkeypatch.setattr(cli, "app", busy)
    # A shell starts what runs in its background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run("run", capsys=capsys) == (130, "", "")
    finally:
        signal.signal(signal.SIGINT, before)


# Child processes


@pytest.mark.parametrize(("killed", "status", "feed", "has_venue", "sentence"), [
    (KillCause(0), Status.SESSION_UP, FeedState.LIVE, False, None),
    (KillCause.POWER_ON, Status.SESSION_UP, FeedState.LIVE, True, None),
    (KillCause.WATCHDOG, Status.SESSION_UP, FeedState.LIVE, True, "traded (watchdog): no order"),
    (KillCause(0), Status(0), FeedState.LIVE, True, "session was lost, and was down at the end"),
    (KillCause(0), Status.SESSION_UP, FeedState.STALE, False, "nothing had come on its lines"),
    (KillCause(0), Status.SESSION_UP, FeedState.STALE, True, None)])
def test_what_keeps_a_device_from_trading_is_told(killed, status, feed, has_venue, sentence):
    session = Session(demo(), with_venue=has_venue, has_view=False)
    fault = session._fault(SimpleNamespace(killed=killed, status=status, feed_state=feed))
    if sentence is None:
        assert fault is None
    else:
        assert sentence in str(fault) and fault.exit_code == 1


def test_a_child_that_dies_is_reported_and_nothing_is_left():
    child = Child("test", "tests.children:sleep", None)
    os.kill(child.process_id, signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while not child.is_gone and time.monotonic() < deadline:
        child.hear()
        time.sleep(0.01)
    assert child.end_sentence() == "The test process died of signal SIGKILL."
    child.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_child_does_not_hear_the_terminal_however_early_it_is_asked_to_end(number):
    # SIGQUIT here as well: its keys are the terminal's too. A Python takes longer to begin.
    child = Child("test", "tests.children:sleep", None)
    os.kill(child.process_id, number)
    said: list[dict] = []
    while not said and not child.is_gone:
        said += child.hear()
        time.sleep(0.01)
    assert said == [{"state": "running"}]
    child.stop()
    assert child.end_sentence() == "The test process ended with status 0."
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGQUIT}


def test_what_a_child_raises_arrives_as_a_sentence():
    for function, sentence, status in (
            ("tests.children:refuse", "Nothing works today.", 2),
            ("tests.children:fail", "Internal error in children.py line", 70)):
        child = Child("test", function, {"payload": 1})
        messages: list[dict] = []
        deadline = time.monotonic() + SECONDS
        while not child.is_gone and time.monotonic() < deadline:
            messages += child.hear()
            time.sleep(0.01)
        error, = messages
        assert sentence in error["error"] and error["status"] == status
        assert child.end_sentence() == f"The test process ended with status {status}."
        child.stop()


COMPILING = {"compiling": "book.apply", "number": 7}


@pytest.mark.parametrize(("is_compiling", "sentences"), [
    (False, [WAITING.format(" and ".join(AWAITED.values())), WAITING.format(AWAITED["venue"])]),
    (True, [EXPLANATION])])
def test_a_slow_start_tells_what_is_waited_for(is_compiling, sentences, capsys, monkeypatch):
    monkeypatch.setattr(starting, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(run_command, "LOOK_SECONDS", 0.0)
    session = Session(demo(), with_venue=True, has_view=False)
    missing = [dict(AWAITED)] * 3 + [{"venue": AWAITED["venue"]}] * 3 + [{}]

    def hear(_):
        if is_compiling:
            session.starting.hear("device", COMPILING)
        missing.pop(0)
    monkeypatch.setattr(session, "_hear", hear)
    hear(0)
    session._until(lambda: not missing[0], "started", lambda: " and ".join(missing[0].values()))
    assert capsys.readouterr().err.splitlines() == sentences
    assert not session.starting.compiling


def test_compiling_is_told_now_and_then_with_what_and_how_long(capsys, monkeypatch):
    seconds = iter(range(100, 200, 5))
    monkeypatch.setattr(starting.time, "monotonic", lambda: next(seconds))
    told = Starting()
    told.hear("device", {"state": "x"})
    told.hear("device", COMPILING)                         # at 100
    for passed in (5, 10, 15, 20, 25, 30, 35):             # at 105 and so on
        if passed == 20:
            told.hear("venue", {"compiling": "matching.match", "number": 3})
        told.show(passed, "anything")
    assert capsys.readouterr().err.splitlines() == [
        EXPLANATION,
        "Compiling kernels, once: device 7 (book.apply), venue 3 (matching.match), 25 s"]


def test_a_terminal_has_one_line_that_changes_and_is_gone_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "61")
    monkeypatch.setattr(starting.time, "monotonic", lambda: 7.0)
    told = Starting()
    told.show(1.0, "the venue")                            # too early for a word
    told.show(7.0, "the venue")
    told.hear("device", COMPILING)
    told.hear("venue", {"compiling": "matching.match", "number": 3})
    told.show(7.0, "the venue")
    told.say("A remark.")
    told.show(7.0, "the venue")
    told.end()
    told.end()
    over = "\r\x1b[K"
    line = over + "Compiling kernels, once: device 7 (book.apply), venue 3 (matc"[:60]
    assert capsys.readouterr().err == (
        f"{over}{WAITING.format('the venue')}{line}{over}A remark.\n{line}{over}")


def test_a_child_tells_that_it_compiles_and_what_it_says_at_its_end_is_kept(monkeypatch):
    session = Session(demo(), with_venue=False, has_view=False)
    monkeypatch.setattr(session, "config", None)
    session._spawn("device", "tests.children:compile_once")
    deadline = time.monotonic() + SECONDS
    while session.states.get("device") != "running" and time.monotonic() < deadline:
        session._hear(0.01)
    assert session.starting.compiling == {"device": ("book.apply", 7)}
    assert session.children["device"].stop() == [
        {"state": "ended", "statistics": {"records_coalesced": 3}}]


@pytest.mark.parametrize(("function", "sentence"), [
    ("compile_once", None), ("refuse_to_end", "The loop did not stop."),
    ("sleep", "The device process ended with status 0.")])
def test_a_child_that_does_not_end_in_good_order_is_what_ended_the_run(
        function, sentence, monkeypatch):
    session = Session(demo(), with_venue=False, has_view=False)
    monkeypatch.setattr(session, "config", None)
    session._spawn("device", f"tests.children:{function}")
    deadline = time.monotonic() + SECONDS
    while session.states.get("device") != "running" and time.monotonic() < deadline:
        session._hear(0.01)
    session._dismiss(session.children["device"])
    assert (session.failure and str(session.failure)) == sentence
    assert sentence is None or session.failure.exit_code == 1


def test_a_child_that_ignores_its_parent_is_ended_by_force(monkeypatch):
    from tickwire.commands import children
    child = Child("test", "tests.children:ignore", None)
    while not child.hear():
        time.sleep(0.01)
    with monkeypatch.context() as patch:
        patch.setattr(children, "STOP_SECONDS", 0.2)
        patch.setattr(children, "KILL_SECONDS", 0.2)
        child.stop()
    assert child.end_sentence() == "The test process died of signal SIGKILL."


def test_a_child_ends_when_its_parent_is_gone():
    script = ("from tickwire.commands.children import Child; import os, time\n"
              "child = Child('test', 'tests.children:sleep', None)\n"
              "while not child.hear(): time.sleep(0.01)\n"
              "print(child.process_id, flush=True); os._exit(0)")
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                           check=True, timeout=SECONDS)
    process = int(found.stdout)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {process} outlived its parent")
