"""A card trades as a run has it: both threads, the venue, an order session over FIX.

Method: the card is one of software in this process, whose lines are sockets of the test and which
gets its turns from control's thread. What is left is compared with the venue's own books.
"""

import asyncio
import contextlib
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.ports import free_ports
from tests.venue_books import best_level
from tickwire.commands.venue import fix_gateway, venue_config
from tickwire.config import demo
from tickwire.device import process as device_process
from tickwire.device import vfio
from tickwire.device.discovery import Candidate
from tickwire.device.kinds import smallest
from tickwire.device.process import DeviceProcess, Hooks
from tickwire.errors import TickwireError
from tickwire.feed.udp import open_lines
from tickwire.spec.records import STATE_LINE, FeedState
from tickwire.spec.registers import KillCause, RegisterOffset
from tickwire.spec.render import dtype
from tickwire_sim.exchange.venue import Venue
from tickwire_sim.soft_card import LoopTransport

SECONDS = 60
MESSAGES, FILLS = 20_000, 5


class Run:
    """A process with a card, and its venue."""

    def __init__(self, monkeypatch, **settings):
        ports = free_ports()
        self.config = config = demo().with_overrides({
            **ports.document(), "orders.route": "fix", "orders.fix_port": free_ports().orders,
            "venue.messages_per_second": 5_000,
            **settings})
        symbols = {entry.symbol: entry.tick for entry in config.symbols}
        feed = config.feed
        self.lines = open_lines((feed.group_a, feed.port_a), (feed.group_b, feed.port_b),
                                feed.interface)
        self.slots = []

        def slot(name):
            made = LoopTransport(name, smallest(len(symbols)), symbols, prepare=lambda device:
                                 device.attach_lines(*(line.fileno() for line in self.lines)))
            self.slots.append(made)
            return made
        monkeypatch.setattr(vfio, "VFIO", slot)
        monkeypatch.setattr(device_process, "choose",
                            lambda config: (Candidate("pcie", "slot", ""), ""))
        self.venue = Venue(replace(venue_config(config), linger_seconds=1.0))
        self.files = contextlib.ExitStack()
        self.gateway = self.files.enter_context(fix_gateway(config, self.venue.open().orders))
        self.market = threading.Thread(target=self.venue.run, daemon=True)
        self.process, self.remarks = DeviceProcess(config), []

    def open(self):
        """Open the market and the order port."""
        self.gateway.begin()
        self.market.start()

    def trade(self, until):
        """Trade until ``until()``; raises what the run does."""
        async def stop():
            deadline = time.monotonic() + SECONDS
            while not until():
                assert time.monotonic() < deadline, "it does not come to its end"
                await asyncio.sleep(0.01)
            return True

        async def go():
            return True
        asyncio.run(self.process.run(Hooks(
            remark=self.remarks.append, joined=self.open, trading=lambda: None, go=go,
            stop=stop)))

    def close(self):
        self.process.close()
        self.venue.request_stop()
        if self.market.is_alive():
            self.market.join()
        self.files.close()
        for line in self.lines:
            line.close()


@pytest.fixture
def run(monkeypatch):
    with contextlib.closing(Run(monkeypatch)) as made:
        yield made


def test_a_card_trades_over_fix_and_has_the_venues_books(run):
    device, engine, venue = run.process.device, run.process.engine, run.venue

    def is_over():
        if venue.engine.messages < MESSAGES or int(engine.positions["fills"].sum()) < FILLS:
            return False
        venue.request_stop()
        return (device.read_register("FEED_STATE") == FeedState.ENDED
                and device.counters()["messages"] == venue.engine.messages)   # shown every 2 s
    run.trade(is_over)
    counters = device.counters()
    assert device.kind == "pcie" and device.failure is None
    assert counters["messages"] == venue.engine.messages and counters["messages_lost"] == 0
    assert counters["orders_sent"] > 0 and counters["fills"] >= FILLS
    assert device.feed_session == run.slots[0].card.device.feed_session != ""
    states = np.frombuffer(device.memory.view("state").tobytes(), dtype(STATE_LINE))[:4]
    for index, line in enumerate(states):
        bids, asks = venue.engine.book(index)
        assert (line["bid_price"], line["bid_quantity"], line["bid_orders"]) == best_level(bids)
        assert (line["ask_price"], line["ask_quantity"], line["ask_orders"]) == best_level(asks)
    card = run.slots[0].card.device
    assert [int(row["position"]) for row in engine.positions[:4]] == [
        int(row["position"]) for row in card.orders.exposures[:4]]


def test_a_kill_in_shared_memory_reaches_the_card(run):
    device = run.process.device

    def is_killed():
        if device.counters()["orders_sent"]:
            device.kill(KillCause.SETTLEMENT)
        return KillCause.SETTLEMENT in device.killed
    run.trade(is_killed)
    assert KillCause.SETTLEMENT in run.slots[0].card.device.killed


def test_a_card_that_does_not_answer_ends_the_run_with_a_sentence(run):
    registers = run.slots[0].bars[0].address

    def unplug():
        slot = run.slots[0]
        slot.work = lambda: None               # every register of a lost link reads as ones
        np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * int(RegisterOffset.WATCHDOG_KICK))
                              .from_address(registers))[:] = 0xFF
        return False
    with pytest.raises(TickwireError, match="does not answer, every register reads as ones"):
        run.trade(unplug)
