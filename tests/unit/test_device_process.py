"""The device's process without its sockets: limits of instruments that only the directory names.

Method: directory messages go in on a line by hand; the staged limits are looked at afterwards.
"""

import asyncio
import contextlib
import os
import socket
from typing import ClassVar

import pytest

from tests.feed_rig import mold
from tests.reference import itch
from tickwire.config import demo
from tickwire.device import process as process_module
from tickwire.device.process import DeviceProcess, Hooks
from tickwire.errors import TickwireError
from tickwire.spec.limits import LimitFlag


@pytest.fixture
def process():
    """A process without symbols, its line A in the hands of the test."""
    config = demo().with_overrides({
        "device.name": f"process-{os.getpid()}", "symbols": [],
        "risk.symbols": {"BBB": {"max_quantity": 7}}})
    far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with far, near, contextlib.closing(DeviceProcess(config)) as made:
        near.setblocking(False)
        made.device.attach_lines(near.fileno())
        made.line, made.sequence = far, 1
        yield made


def name(process, *directory: tuple[int, str]) -> None:
    """Let the venue name instruments."""
    process.line.send(mold(process.sequence, *(itch.directory(*entry) for entry in directory)))
    process.sequence += len(directory)
    for _ in range(3):
        process.device.work()


def enabled(process) -> dict[int, int]:
    """Greatest quantity of each instrument that may trade."""
    rows = process.device.stage_limits().instruments
    return {index: int(row["quantity_max"]) for index, row in enumerate(rows)
            if row["flags"] & LimitFlag.ENABLED}


def test_only_instruments_that_have_a_name_may_trade(process, monkeypatch):
    committed = []
    monkeypatch.setattr(process.device, "commit_limits", lambda: committed.append(1))
    assert enabled(process) == {}
    assert process.learn_names() is False
    name(process, (3, "AAA"))
    assert process.learn_names() is True
    assert enabled(process) == {3: 1_000}
    assert process.learn_names() is False
    name(process, (5, "BBB"))              # later in the day: with its own limits at once
    assert process.learn_names() is True
    assert enabled(process) == {3: 1_000, 5: 7}
    name(process, (3, "BBB"), (5, "AAA"))  # of another day: limits go with the names
    assert process.learn_names() is True
    assert enabled(process) == {3: 7, 5: 1_000}
    assert len(committed) == 3


def test_nothing_is_armed_before_all_symbols_with_limits_of_their_own_have_a_name(process):
    name(process, (3, "AAA"))
    with pytest.raises(TickwireError, match=r"^risk\.symbols\.BBB is not one of the 1 symbols that "
                                            r"the directory named within 0\.02 s\.$"):
        asyncio.run(process.until_named(0.02))

    async def late() -> None:
        awaited = asyncio.ensure_future(process.until_named(60))
        await asyncio.sleep(0)
        name(process, (5, "BBB"))
        await awaited
    asyncio.run(late())
    assert enabled(process) == {3: 1_000, 5: 7}


def test_with_symbols_the_directory_changes_nothing():
    config = demo().with_overrides({"device.name": f"process-{os.getpid()}"})
    with contextlib.closing(DeviceProcess(config)) as process:
        assert list(enabled(process)) == [0, 1, 2, 3]
        assert process.learn_names() is False


class Link:
    """An order session that is up until its task ends."""

    remarks: ClassVar[list[str]] = []

    def __init__(self, *_) -> None:
        """Nothing is connected."""
        self.is_kept = False

    async def connect(self) -> None:
        """Nobody is there."""

    async def keep(self) -> None:
        """Keep the session; logging off takes a while."""
        self.is_kept = True
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            self.is_kept = False

    def close(self) -> None:
        """Nothing is open."""


def test_whatever_ends_a_run_open_orders_are_cancelled_while_the_session_is_kept_and_logs_off_then(
        process, monkeypatch):
    link, found = Link(), []

    async def nothing(*_):
        await asyncio.sleep(0)

    async def fail(*_):
        raise TickwireError("The strategy failed.")

    async def wind_down():
        found.append(link.is_kept)

    async def go():
        return True
    monkeypatch.setattr(process_module, "OrderLink", lambda *_: link)
    monkeypatch.setattr(process_module, "open_lines", lambda *_: [])
    for what in (process.device, "attach_lines"), (process.device, "commit_limits"), (
            process.device, "arm"), (process.engine, "start"):
        monkeypatch.setattr(*what, lambda *_: None)
    for name, stub in (("_until_ready", nothing), ("until_named", nothing), ("_trade", fail),
                       ("_wind_down", wind_down)):
        monkeypatch.setattr(process, name, stub)
    hooks = Hooks(remark=lambda _: None, joined=lambda: None, trading=lambda: None, go=go, stop=go)
    with pytest.raises(TickwireError, match="The strategy failed"):
        asyncio.run(process.run(hooks))
    assert found == [True] and not link.is_kept
