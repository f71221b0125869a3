"""Plain Python strategies: the same records as the rings, and a kill when they no longer read.

Method: a device whose loop runs in its thread, strategies that note what they are given or fail on
purpose. Nothing is measured; a test waits for a state and fails when it does not come.
"""

import itertools
import os
import threading

import pytest

from tests.reference import itch
from tests.system.conformance import DOLLAR, LOCATES, accepted, executed, software
from tickwire.config import SymbolSettings
from tickwire.engine import Engine
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause
from tickwire.strategy.base import BUY, PythonStrategy

AAA = LOCATES["AAA"]
SYMBOLS = tuple(SymbolSettings(symbol=name) for name in LOCATES)
numbers = itertools.count()


class Notes(PythonStrategy):
    """Buys once, at the first BBO after :attr:`go`, and notes everything."""

    timer_ns = 1_000_000

    def on_start(self):
        self.seen, self.timers, self.go, self.bought = [], 0, threading.Event(), 0

    def on_bbo(self, row):
        self.seen.append(("bbo", int(row["bid_price"]), int(row["feed_sequence"])))
        if self.go.is_set() and not self.bought:
            self.bought = self.trader.new(self.trader.instrument(row), BUY, int(row["bid_price"]),
                                          100, cause=int(row["timestamp"]))

    def on_trade(self, row):
        self.seen.append(("trade", int(row["price"]), int(row["feed_sequence"])))

    def on_status(self, row):
        self.seen.append(("status", row["trading_state"], int(row["feed_sequence"])))

    def on_order(self, kind, row):
        self.seen.append((kind, int(row["intent_id"])))

    def on_timer(self, now):
        self.timers += 1


class Fails(PythonStrategy):
    """Fails at the first trade."""

    def on_trade(self, row):
        raise KeyError("oops")


class Hangs(PythonStrategy):
    """Stops reading at the first trade, until it is released."""

    def on_start(self):
        self.release = threading.Event()

    def on_trade(self, row):
        self.release.wait(30)


@pytest.fixture
def running(request):
    """A device that trades, its engine and its Python strategy."""
    with software(f"python-{os.getpid()}-{next(numbers)}") as bench:
        bench.make_ready()
        strategy = request.param(SYMBOLS, {})
        engine = Engine(bench.device, strategy)
        engine.start()
        try:
            yield bench, engine, strategy
        finally:
            if isinstance(strategy, Hangs):
                strategy.release.set()
            engine.stop()


def until(bench, is_done, what):
    bench.device.wait(is_done, 10, what)


@pytest.mark.parametrize("running", [Notes], indirect=True)
def test_it_gets_the_records_of_the_rings_and_its_orders_go_out(running):
    bench, _, strategy = running
    strategy.go.set()
    first = bench.sequence
    bench.send(itch.add(AAA, 900, b"B", 10, 100 * DOLLAR + 100 - 100),
               itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1), itch.action(AAA, b"T"))
    until(bench, lambda: bench.device.counters()["orders_sent"] == 1, "send the order")
    bench.say(accepted(1))
    bench.say(executed(1, 100))
    until(bench, lambda: strategy.seen[-1][0] == RecordType.ORDER_FILLED, "tell the fill")
    assert [entry for entry in strategy.seen if isinstance(entry[0], str)] == [
        ("bbo", 100 * DOLLAR, first), ("trade", 100 * DOLLAR, first + 1),
        ("status", ord("T"), first + 2)]
    assert [entry for entry in strategy.seen if not isinstance(entry[0], str)] == [
        (kind, strategy.bought) for kind in (
            RecordType.ORDER_SENT, RecordType.ORDER_ACCEPTED, RecordType.ORDER_FILLED)]
    assert strategy.trader.positions[0]["position"] == 100
    assert int(bench.device.histograms()["tick_to_order"][0]) == 1
    until(bench, lambda: strategy.timers > 0, "call the timer")
    assert bench.device.counters()["watchdog_kicks"] > 0


@pytest.mark.parametrize("running", [Notes], indirect=True)
def test_it_can_cancel_what_it_entered(running):
    bench, engine, strategy = running
    strategy.trader.new(0, BUY, 100 * DOLLAR, 100)
    until(bench, lambda: engine.positions[0]["buy_token"] == 1, "send the order")
    bench.say(accepted(1))
    strategy.trader.replace(0, 1, 100 * DOLLAR - 100, 200)
    strategy.trader.cancel(1)
    until(bench, lambda: bench.device.counters()["cancels_sent"] == 1, "send the cancel")
    assert [message[:1] for message in bench.heard()] == [b"O", b"U", b"X"]


@pytest.mark.parametrize("running", [Fails], indirect=True)
def test_an_exception_is_told_to_whoever_watches(running):
    bench, engine, _ = running
    assert engine.failure is None
    bench.send(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1))
    until(bench, lambda: engine.failure is not None, "tell the failure")
    assert isinstance(engine.failure, KeyError)


@pytest.mark.parametrize("running", [Hangs], indirect=True)
def test_one_that_no_longer_reads_is_killed_by_the_watchdog(running):
    bench, _, _ = running
    bench.device.write_register("WATCHDOG_PERIOD", 50_000)
    bench.send(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1))
    until(bench, lambda: bench.device.killed != 0, "kill itself")
    assert bench.device.killed == KillCause.WATCHDOG
