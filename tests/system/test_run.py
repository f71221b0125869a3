"""``tickwire run`` as an operator meets it: it trades, it ends well, it leaves nothing behind.

Method: the program runs in processes of its own on ports of its own, against the real venue. Where
the books are compared with the venue's, venue and device run in this process, so that both can be
looked at when the day is over.
"""

import asyncio
import itertools
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.remarks import without_remarks
from tests.venue_books import best_level
from tickwire import cli
from tickwire.commands.venue import venue_config
from tickwire.config import demo
from tickwire.device import shared
from tickwire.device.process import FULL, DeviceProcess, Hooks
from tickwire.errors import TickwireError
from tickwire.observe.observer import Observer
from tickwire.spec.records import FeedState
from tickwire.spec.registers import Status
from tickwire_sim.exchange.venue import Venue

SECONDS = 120                              # for anything that a test waits for
COLD_SECONDS = 1_200                       # for the first run, which may compile every kernel
SHOWN_LIVE = ("latency, ns", "armed", "feed live", "AAPL", "P&L")
KEYS = {"messages", "lost", "gaps", "recovered", "orders_sent", "fills", "rejects", "position",
        "pnl", "latency_ns", "digest", "seconds", "device", "version"}


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """Compile what the runs need, once: no test waits for the compiler."""
    with running(tmp_path_factory.mktemp("cold"), "--seconds", "1") as program:
        program.process.communicate(timeout=COLD_SECONDS)
        assert program.process.returncode == 0


MODEL_SECONDS = 900                        # to compile the card's gateware


class Program:
    """A run in a process group of its own."""

    def __init__(self, folder: Path, *arguments: str, settings: tuple[str, ...] = (), **options):
        """Start it."""
        self.ports = free_ports()
        self.json = folder / "summary.json"
        sets = [part for entry in (*self.ports.overrides(), *settings) for part in ("--set", entry)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tickwire.cli", "run", "--json", str(self.json), *sets,
             *arguments], start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options)

    def until_trading(self, seconds: float = SECONDS) -> Observer:
        """Wait until the device is armed; return an observer of it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                observer = Observer(self.ports.name)
            except TickwireError:
                time.sleep(0.02)
                continue
            if Status.ARMED in observer.status:
                return observer
            observer.close()
            time.sleep(0.02)
        raise AssertionError(f"it does not trade: {self.process.communicate()}")

    def children(self) -> dict[str, int]:
        """Numbers of the child processes by what they run."""
        process, found = self.process.pid, {}
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            for name, function in (("venue", b"tickwire.commands.venue:child"),
                                   ("device", b"tickwire.device.process:main")):
                if function in command:
                    found[name] = int(child)
        return found

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return status, output and complaint."""
        out, error = self.process.communicate(timeout=SECONDS)
        assert "Traceback" not in (out or "") + (error or ""), error
        self.check_nothing_is_left()
        return self.process.returncode, out, without_remarks(error or "")

    def trade_until(self, is_enough: Callable[[dict[str, int]], bool],
                    start_seconds: float = SECONDS) -> tuple[int, str, str]:
        """Let it trade until its counters are ``is_enough``, then end it as :meth:`end` does."""
        observer = self.until_trading(start_seconds)
        deadline = time.monotonic() + SECONDS
        while not is_enough(observer.counters()) and self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"it is never enough: {observer.counters()}")
            time.sleep(0.05)
        observer.close()
        self.process.terminate()
        return self.end()

    def check_nothing_is_left(self) -> None:
        """No file, no process."""
        assert not shared.path_of(self.ports.name).exists()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
        raise AssertionError("a process outlived the run")

    def summary(self) -> dict:
        """What it wrote as JSON."""
        return json.loads(self.json.read_text())


@contextmanager
def running(folder: Path, *arguments: str, **options):
    """A run that is killed with everything it started if the test fails."""
    program = Program(folder, *arguments, **options)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            os.killpg(program.process.pid, signal.SIGKILL)
            program.process.wait()
        shared.path_of(program.ports.name).unlink(missing_ok=True)


def test_the_demo_trades_and_loses_nothing(tmp_path):
    with running(tmp_path, "--seconds", "0") as program:
        status, out, error = program.trade_until(
            lambda counters: counters["fills"] > 10 and counters["messages"] > 20_000)
    assert (status, error) == (0, "")
    found = program.summary()
    assert set(found) >= KEYS
    assert found["orders_sent"] > 0 and found["fills"] > 10 and found["messages"] > 20_000
    assert found["lost"] == 0
    assert found["kill_cause"] == ""
    for stage in ("receive", "book", "decision", "risk", "send", "tick_to_order", "order_to_ack"):
        row = found["latency_ns"][stage]
        assert 0 < row["p50"] <= row["p90"] <= row["p99"] <= row["p999"] <= row["max"], stage
    assert f"{found['orders_sent']:,} sent" in out
    positions = found["position"]
    assert list(positions) == ["AAPL", "MSFT", "NVDA", "SPY"]
    assert all(abs(shares) <= 1_000 for shares in positions.values())


def test_orders_go_over_fix_and_nothing_above_can_tell(tmp_path):
    with running(tmp_path, "--seconds", "0", "--route", "fix",
                 settings=(f"orders.fix_port={free_ports().orders}",)) as program:
        status, out, _ = program.trade_until(
            lambda counters: counters["fills"] > 5 and counters["orders_accepted"] > 5)
    assert status == 0
    found = program.summary()
    assert found["fills"] > 5 and found["lost"] == 0 and found["kill_cause"] == ""
    assert found["latency_ns"]["order_to_ack"]["p50"] > 0
    assert any(found["position"].values()) and f"{found['orders_sent']:,} sent" in out


@pytest.mark.long
@pytest.mark.parametrize("arguments", [
    (), ("--route", "fix"), ("--impair", "0.05")], ids=["ouch", "fix", "impaired"])
def test_the_cards_own_gateware_trades(tmp_path, arguments):
    with running(tmp_path, "--device", "verilated", "--seconds", "0", *arguments,
                 settings=(f"orders.fix_port={free_ports().orders}",)) as program:
        status, out, _ = program.trade_until(
            lambda counters: counters["fills"] > 5 and counters["orders_accepted"] > 5,
            MODEL_SECONDS)
    assert status == 0
    found = program.summary()
    assert found["device"] == "verilated" and found["lost"] == 0 and found["kill_cause"] == ""
    assert found["fills"] > 5 and any(found["position"].values())
    row = found["latency_cycles"]["tick_to_order"]
    assert "latency, cycles" in out
    if "fix" not in arguments:                 # a released order has no frame whose way it were
        assert 50 < row["p50"] <= row["max"]
    assert (found["recovered"] > 0) == ("--impair" in arguments)


def test_it_ends_by_itself_when_its_time_is_over(tmp_path):
    with running(tmp_path, "--seconds", "2") as program:
        status, out, error = program.end()
    assert (status, error) == (0, "")
    found = program.summary()
    assert found["messages"] > 0 and found["seconds"] > 1.9
    assert f"{found['seconds']:.1f} s" in out


@pytest.mark.parametrize("strategy", ["imbalance:Imbalance", "pair:Pair"])
def test_the_other_examples_trade_as_well(tmp_path, strategy):
    settings = (f'strategy.path="tickwire.strategy.{strategy}"',)
    if "pair" in strategy:
        settings += ("strategy.parameters.threshold=2000",)
    with running(tmp_path, "--seconds", "0", settings=settings) as program:
        status, _, error = program.trade_until(lambda counters: counters["fills"] > 0)
    assert (status, error) == (0, "")
    assert program.summary()["fills"] > 0


def test_without_symbols_everything_that_the_directory_names_is_traded(tmp_path):
    settings = ("symbols=[]", "risk.symbols={AAAB={max_quantity=1}}", "venue.symbols=40",
                "geometry.instruments=64")
    with running(tmp_path, "--seconds", "0", settings=settings) as program:
        status, _, error = program.trade_until(
            lambda counters: counters["fills"] > 0 and counters["risk_rejects"] > 0)
    assert (status, error) == (0, "")
    found = program.summary()
    assert len(found["position"]) == 40 and list(found["position"])[:2] == ["AAAA", "AAAB"]
    assert found["fills"] > 0 and found["position"]["AAAB"] == 0
    assert found["counters"]["filtered"] == found["counters"]["unknown_locate"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_the_summary(tmp_path, number):
    with running(tmp_path, "--seconds", "0") as program:
        program.until_trading().close()
        if number == signal.SIGINT:
            os.killpg(program.process.pid, number)     # as a terminal does
        else:
            program.process.send_signal(number)
        status, out, error = program.end()
    assert (status, error) == (0, "")
    assert "P&L" in out and set(program.summary()) >= KEYS


@pytest.mark.parametrize("victim", ["venue", "device"])
def test_a_child_that_dies_ends_it_with_a_sentence(tmp_path, victim):
    with running(tmp_path, "--seconds", "0") as program:
        observer = program.until_trading()
        while not observer.counters()["orders_sent"] and program.process.poll() is None:
            time.sleep(0.02)
        observer.close()
        os.kill(program.children()[victim], signal.SIGKILL)
        status, out, error = program.end()
    assert status == 1
    assert f"The {victim} process died of signal SIGKILL." in error
    assert "P&L" in out


def test_a_device_that_is_killed_is_told_with_the_cause(tmp_path):
    with running(tmp_path, "--seconds", "3") as program:
        program.until_trading().close()
        assert cli.main(["device", "kill", program.ports.name]) == 0
        status, out, error = program.end()
    assert status == 1 and "P&L" in out
    assert "The device was killed while it traded (register): no order has left since." in error
    assert program.summary()["kill_cause"] == "register"


def test_children_end_with_their_parent(tmp_path):
    with running(tmp_path, "--seconds", "0") as program:
        program.until_trading().close()
        program.process.kill()
        program.process.wait()
        deadline = time.monotonic() + SECONDS
        while shared.path_of(program.ports.name).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        program.check_nothing_is_left()


def test_a_running_device_can_be_looked_at(tmp_path):
    ports = free_ports()
    settings = (f"observe.prometheus_port={ports.orders}",)
    with running(tmp_path, "--seconds", "0", settings=settings) as program:
        observer = program.until_trading()
        stat = subprocess.run(
            [sys.executable, "-m", "tickwire.cli", "stat", program.ports.name, "--json"],
            capture_output=True, text=True, check=True, timeout=SECONDS)
        found = json.loads(stat.stdout)
        assert found["messages"] > 0 and found["feed_state"] == "LIVE"
        assert [row["symbol"] for row in found["instruments"]] == ["AAPL", "MSFT", "NVDA", "SPY"]
        text = _scrape(f"http://127.0.0.1:{ports.orders}/metrics")
        assert "tickwire_messages_total" in text and "tickwire_stage_latency_seconds" in text
        observer.close()
        program.process.terminate()
        assert program.end()[0] == 0


def _scrape(address: str) -> str:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_packets_that_are_not_of_the_feed_are_counted_and_change_nothing(tmp_path):
    malformed = [b"", b"x", b"TICKWIRE01" + bytes(9), b"\xff" * 1_400,
                 struct.pack(">10sQH3s", b"TICKWIRE01", 0, 1, b"\0\1z")]
    other = struct.pack(">10sQH3s", b"STRANGER  ", 5, 1, b"\0\1z")
    with running(tmp_path, "--seconds", "0") as program:
        program.until_trading().close()
        ports = program.ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                              socket.inet_aton("127.0.0.1"))
            for port, stranger in itertools.product((ports.line_a, ports.line_b),
                                                        (*malformed, other)):
                sender.sendto(stranger, (ports.group, port))
        for octets in (bytes(2), b"\xff" * 100):
            with socket.create_connection(("127.0.0.1", ports.orders)) as stranger:
                stranger.sendall(octets)
        status, _, error = program.trade_until(
            lambda counters: counters["packets_session"] >= 2
            and counters["packets_malformed"] >= 2 * len(malformed) and counters["fills"] > 0)
    found = program.summary()
    assert status == 0 and "stranger was closed" in error
    assert found["counters"]["sessions"] == 1 and found["lost"] == 0
    assert found["counters"]["packets_session"] == 2
    assert found["counters"]["packets_malformed"] == 2 * len(malformed)
    assert found["fills"] > 0 and found["kill_cause"] == ""


def test_a_terminal_gets_the_live_view(tmp_path):
    near, far = pty.openpty()
    with running(tmp_path, "--seconds", "0", stdout=far, stderr=far, text=False) as program:
        os.close(far)
        shown, is_enough = b"", False
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if not select.select([near], [], [], 1)[0]:
                continue
            try:
                octets = os.read(near, 1 << 16)
            except OSError:                # the other end is closed
                break
            if not octets:
                break
            shown += octets
            if not is_enough and all(part.encode() in shown for part in SHOWN_LIVE):
                is_enough = True
                program.process.terminate()
        program.process.wait(SECONDS)
        program.check_nothing_is_left()
    os.close(near)
    text = shown.decode(errors="replace")
    assert program.process.returncode == 0
    for part in (*SHOWN_LIVE, "orders  "):
        assert part in text
    assert "Traceback" not in text


# Books


async def _trade_a_day(process: DeviceProcess, venue: Venue, remarks: list[str]) -> None:
    """Trade while the venue does, end its day, and go on until the device has all of it."""
    async def stop() -> bool:
        deadline = time.monotonic() + SECONDS
        while venue.engine.messages < 60_000:
            assert time.monotonic() < deadline, "the venue does not trade"
            await asyncio.sleep(0.01)
        venue.request_stop()
        while process.device.read_register("FEED_STATE") != FeedState.ENDED:
            assert time.monotonic() < deadline, "the feed does not come to its end"
            await asyncio.sleep(0.01)
        return True

    async def go() -> bool:
        return True
    await process.run(Hooks(remark=remarks.append, joined=venue.start, trading=lambda: None,
                            go=go, stop=stop))


@pytest.mark.parametrize("impairment", ["0", "0.03"])
def test_the_books_are_the_venues_whatever_the_lines_lose(impairment):
    ports = free_ports()
    lines = {f"venue.line_{line}.{what}": impairment
             for line in "ab" for what in ("loss", "duplicate", "reorder")}
    config = demo().with_overrides({**ports.document(), **lines})
    venue = Venue(replace(venue_config(config), linger_seconds=5.0))
    process, remarks = DeviceProcess(config), []
    device = process.device
    try:
        asyncio.run(_trade_a_day(process, venue, remarks))
        counters = device.counters()
        states = [device.memory.view("state", _state_dtype())[index].copy() for index in range(4)]
        live = device.book.live_orders()
        position = {bytes(row["symbol"]).decode(): int(row["position"])
                    for row in process.engine.positions[:4]}
        exposure = [int(row["position"]) for row in device.orders.exposures[:4]]
    finally:
        process.close()
        venue.stop()
    assert counters["messages"] == venue.engine.messages
    assert counters["messages_lost"] == 0
    if impairment == "0":                  # but a machine under load drops datagrams itself
        assert counters["gaps"] == counters["messages_recovered"] == 0 or FULL in remarks
    else:
        assert counters["gaps"] > 0 and counters["messages_recovered"] > 0
    assert live == venue.engine.orders_live
    for index, line in enumerate(states):
        bids, asks = venue.engine.book(index)
        assert (line["bid_price"], line["bid_quantity"], line["bid_orders"]) == best_level(bids)
        assert (line["ask_price"], line["ask_quantity"], line["ask_orders"]) == best_level(asks)
        assert line["flags"] == 0
    assert list(position.values()) == exposure


def _state_dtype():
    from tickwire.spec.records import STATE_LINE
    from tickwire.spec.render import dtype
    return dtype(STATE_LINE)
