"""Plain Python strategies: the same records as the rings, and a kill when they no longer read.

Method: a device whose loop runs in its thread, strategies that note what they are given or fail on
purpose. Nothing is measured; a test waits for a state and fails when it does not come.
"""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.reference import itch
from tests.system.conformance import (
    DOLLAR,
    GEOMETRY,
    LOCATES,
    MARKET_LOG2,
    Bench,
    accepted,
    canceled,
    executed,
    software,
)
from tests.system.conformance import SYMBOLS as SYMBOL_TICKS
from tickwire.config import SymbolSettings
from tickwire.device.software import SoftwareDevice
from tickwire.engine import Engine
from tickwire.kernels import histogram
from tickwire.kernels.engine_host import enqueue
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillAction, KillCause
from tickwire.strategy import runner
from tickwire.strategy.base import BUY, PythonStrategy
from tickwire.strategy.runner import LatestQuotes

AAA, BBB = LOCATES["AAA"], LOCATES["BBB"]
SLOTS = 1 << MARKET_LOG2
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


class FailsWithOrders(PythonStrategy):
    """Enters 80 orders at the first trade, and fails."""

    def on_trade(self, row):
        for _ in range(80):
            self.trader.new(self.trader.instrument(row), BUY, 100 * DOLLAR, 100)
        raise KeyError("oops")


class Hangs(PythonStrategy):
    """Stops reading at the first trade, until it is released."""

    def on_start(self):
        self.release = threading.Event()

    def on_trade(self, row):
        self.release.wait(30)


class Slow(PythonStrategy):
    """Waits in its first quote until it is released, and notes what it is given."""

    def on_start(self):
        self.seen, self.entered, self.release = [], threading.Event(), threading.Event()

    def on_bbo(self, row):
        self.seen.append(("bbo", int(row["locate"]), int(row["bid_quantity"])))
        self.entered.set()
        self.release.wait(30)

    def on_trade(self, row):
        self.seen.append(("trade", int(row["match_number"])))


class Eager(PythonStrategy):
    """Buys at every quote, and notes which one it was."""

    def on_start(self):
        self.seen, self.kinds = [], []

    def on_bbo(self, row):
        self.seen.append((int(row["locate"]), int(row["bid_quantity"])))
        self.trader.new(self.trader.instrument(row), BUY, int(row["bid_price"]), 100)

    def on_order(self, kind, row):
        self.kinds.append(kind)


@pytest.fixture
def running(request):
    """A device that trades, its engine and its Python strategy."""
    with software(f"python-{os.getpid()}-{next(numbers)}") as bench:
        bench.make_ready()
        strategy = request.param(SYMBOLS, {})
        engine = Engine(bench.device, strategy)
        engine.start()
        try:
            until(bench, lambda: engine.runner.is_live, "let the strategy see that it is armed")
            yield bench, engine, strategy
        finally:
            if isinstance(strategy, Hangs | Slow):
                strategy.release.set()
            engine.stop()


def until(bench, is_done, what):
    bench.device.wait(is_done, 10, what)


def test_what_its_first_order_calls_is_loaded_before_its_thread_begins():
    # In a process of its own: in this one another test may have loaded it.
    script = """
from tests.system.conformance import software
from tickwire.engine import Engine
from tickwire.kernels import histogram
from tickwire.kernels.engine_host import enqueue
from tickwire.strategy.base import PythonStrategy
from tests.unit.test_python_strategy import SYMBOLS

class Asks(PythonStrategy):
    def on_start(self):
        self.loaded = len(enqueue.signatures), len(histogram.add.signatures)

strategy = Asks(SYMBOLS, {})
with software("python-loaded") as bench:
    engine = Engine(bench.device, strategy)
    engine.start()
    engine.close()
assert strategy.loaded == (1, 1), strategy.loaded
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=600)


@pytest.mark.parametrize("running", [Notes], indirect=True)
def test_it_gets_the_records_of_the_rings_and_its_orders_go_out(running):
    bench, _, strategy = running
    strategy.go.set()
    first = bench.sequence
    bench.send(itch.add(AAA, 900, b"B", 10, 100 * DOLLAR + 100 - 100),
               itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1), itch.action(AAA, b"T"))
    until(bench, lambda: bench.device.counters()["orders_sent"] == 1, "send the order")
    assert len(enqueue.signatures) == len(histogram.add.signatures) == 1   # those loaded before
    bench.say(accepted(1))
    bench.say(executed(1, 100))
    until(bench, lambda: len(strategy.seen) == 6, "tell the records and the fill")
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


@pytest.fixture
def set_back(monkeypatch):
    """The system's clock is set back by an hour as soon as the runner has looked at it."""
    looks = itertools.chain([0], itertools.repeat(3_600 * 10 ** 9))
    monkeypatch.setattr(runner, "time", SimpleNamespace(
        time_ns=lambda: time.time_ns() - next(looks), monotonic_ns=time.monotonic_ns,
        sleep=time.sleep))


@pytest.mark.parametrize("running", [Notes], indirect=True)
def test_its_timer_goes_on_when_the_clock_is_set_back(set_back, running):
    bench, _, strategy = running
    until(bench, lambda: strategy.timers > 1, "call the timer again")


@pytest.mark.parametrize("running", [Notes], indirect=True)
def test_it_can_cancel_what_it_entered(running):
    bench, engine, strategy = running
    before = time.time_ns()
    strategy.trader.new(0, BUY, 100 * DOLLAR, 100)
    until(bench, lambda: engine.positions[0]["buy_token"] == 1, "send the order")
    sent = next(record for kind, record in bench.answers() if kind == RecordType.ORDER_SENT)
    assert sent["intent_timestamp"] >= before  # without a cause it is decided now
    bench.say(accepted(1))
    strategy.trader.replace(0, 1, 100 * DOLLAR - 100, 200)
    strategy.trader.cancel(1)
    until(bench, lambda: bench.device.counters()["cancels_sent"] == 1, "send the cancel")
    assert [message[:1] for message in bench.heard()] == [b"O", b"U", b"X"]


def bids(locate, first, quantities):
    """One order at the best bid for each of ``quantities``, and a trade behind each."""
    for number, quantity in enumerate(quantities, first):
        yield itch.add(locate, number, b"B", quantity, 100 * DOLLAR)
        yield itch.trade(locate, 0, b"B", 5, 100 * DOLLAR, match=number)


@pytest.mark.parametrize("running", [Slow], indirect=True)
def test_a_slow_one_gets_every_trade_and_of_quotes_the_newest(running):
    bench, engine, strategy = running
    bench.send(itch.add(AAA, 900, b"B", 10, 100 * DOLLAR))
    until(bench, strategy.entered.is_set, "call the strategy")
    before = bench.device.read_register("RING_MARKET_SEQUENCE")
    bench.send(*bids(AAA, 901, [10] * 20))
    bench.send(*bids(BBB, 921, [10] * 20))
    bench.send(*bids(AAA, 941, [10]))
    until(bench, lambda: sum(row["record_type"] == RecordType.TRADE
                             for row in bench.device.market_reader(before + 1).read()) == 41,
          "write the records")
    quotes = sum(row["record_type"] == RecordType.BBO
                 for row in bench.device.market_reader(before + 1).read())
    strategy.release.set()
    until(bench, lambda: len(strategy.seen) == 1 + 2 + 41, "deliver what waits")
    told = [entry[1:] for entry in strategy.seen if entry[0] == "bbo"]
    assert told == [(AAA, 510), (AAA, 510 + 10 * 21), (BBB, 500 + 10 * 20)]
    trades = [entry[1] for entry in strategy.seen if entry[0] == "trade"]
    assert trades == list(range(901, 942))
    assert engine.strategy_records == {"records_coalesced": quotes - 2, "records_unread": 0}


@pytest.mark.parametrize("running", [Slow], indirect=True)
def test_what_the_ring_overwrote_is_counted(running):
    bench, engine, strategy = running
    bench.send(itch.add(AAA, 900, b"B", 10, 100 * DOLLAR))
    until(bench, strategy.entered.is_set, "call the strategy")
    before = bench.device.read_register("RING_MARKET_SEQUENCE")
    firsts = range(1_000, 1_000 + 2 * SLOTS, 16)
    last = firsts[-1] + 15
    for first in firsts:
        bench.send(*bids(AAA, first, [1] * 16))
        until(bench, lambda: bench.device.counters()["messages"] == bench.sequence - 1, "read on")
    strategy.release.set()
    until(bench, lambda: strategy.seen[-1] == ("trade", last), "deliver the last")
    written = bench.device.read_register("RING_MARKET_SEQUENCE") - before
    lost = engine.strategy_records["records_unread"]
    assert written - SLOTS <= lost < written
    trades = [entry[1] for entry in strategy.seen if entry[0] == "trade"]
    assert trades == list(range(trades[0], last + 1))


@pytest.mark.parametrize("is_armed_late", [False, True])
def test_what_came_before_the_device_was_armed_causes_no_order(is_armed_late):
    with software(f"python-{os.getpid()}-{next(numbers)}") as bench:
        bench.open_market()
        bench.limits()
        bench.log_in()
        if not is_armed_late:
            bench.device.arm()
        strategy, fresh, shares = Eager(SYMBOLS, {}), itertools.count(1_000), 500
        engine = Engine(bench.device, strategy)
        engine.start()

        def is_called():
            bench.send(itch.add(AAA, next(fresh), b"B", 1, 100 * DOLLAR))
            time.sleep(0.01)
            return bool(strategy.seen)
        try:
            if is_armed_late:
                for number in range(900, 920):     # the history, while the runner looks
                    bench.send(itch.add(AAA, number, b"B", 10, 100 * DOLLAR),
                               itch.add(BBB, 50 + number, b"B", 10, 100 * DOLLAR))
                    time.sleep(0.001)
                shares += 200
                until(bench, lambda: bench.state(0)["bid_quantity"] == shares, "read the history")
                bench.device.arm()
            until(bench, is_called, "call the strategy")
            until(bench, lambda: RecordType.ORDER_SENT in strategy.kinds, "tell the order")
            assert min(strategy.seen) > (AAA, shares)  # and none of BBB, which has only history
            assert {locate for locate, _ in strategy.seen} == {AAA}
            assert not {RecordType.RISK_REJECT, RecordType.INTENT_ERROR} & set(strategy.kinds)
            assert engine.strategy_records["records_unread"] == 0
        finally:
            engine.stop()


@pytest.mark.parametrize("running", [Fails], indirect=True)
def test_an_exception_is_told_to_whoever_watches(running):
    bench, engine, _ = running
    assert engine.failure is None
    bench.send(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1))
    until(bench, lambda: engine.failure is not None, "tell the failure")
    assert isinstance(engine.failure, KeyError)


@pytest.mark.parametrize("running", [FailsWithOrders], indirect=True)
def test_what_it_leaves_open_is_cancelled_however_many_records_that_takes(running):
    bench, engine, _ = running
    bench.device.write_register("KILL_ACTION", KillAction.MASS_CANCEL)
    bench.send(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1))
    cancelled = 0

    def answer() -> bool:
        """Do as a venue does; returns whether all 80 orders were cancelled."""
        nonlocal cancelled
        for message in bench.heard():
            token = int.from_bytes(message[1:5], "big")
            bench.say(accepted(token) if message[:1] == b"O" else canceled(token, 100))
            cancelled += message[:1] == b"X"
        return cancelled == 80
    until(bench, lambda: answer() or bench.device.counters()["orders_accepted"] == 80, "trade")
    assert isinstance(engine.failure, KeyError) and not cancelled
    bench.device.kill()
    until(bench, lambda: answer() and engine.positions[0]["open_orders"] == 0, "cancel")


@pytest.mark.parametrize("running", [Hangs], indirect=True)
def test_one_that_no_longer_reads_is_killed_by_the_watchdog(running):
    bench, _, _ = running
    bench.device.write_register("WATCHDOG_PERIOD", 50_000)
    bench.send(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1))
    until(bench, lambda: bench.device.killed != 0, "kill itself")
    assert bench.device.killed == KillCause.WATCHDOG


# What waits for a strategy, record by record


@pytest.fixture
def deep():
    """A device that trades and reports two levels of a side; it works when the test lets it."""
    device = SoftwareDevice(f"python-{os.getpid()}-{next(numbers)}", replace(GEOMETRY, depth=2),
                            SYMBOL_TICKS, market_log2=MARKET_LOG2, order_log2=8, token_log2=8)
    bench = Bench(device, lambda: [device.work() for _ in range(3)] and None, device)
    device.attach_lines(*(near.fileno() for _, near in bench.lines))
    with contextlib.closing(bench):
        bench.make_ready()
        yield bench


def taken(quotes):
    """Everything that waits, as type, locate and number of the message that caused it."""
    found = []
    while (row := quotes.next()) is not None:
        found.append((RecordType(int(row["record_type"])), int(row["locate"]),
                      int(row["feed_sequence"])))
    return found


def test_only_records_that_are_wanted_and_newer_than_the_reader_are_given(deep):
    deep.send(itch.add(AAA, 900, b"B", 10, 100 * DOLLAR))
    quotes = LatestQuotes(deep.device, {RecordType.TRADE, RecordType.STATUS})
    first = deep.sequence
    deep.send(itch.add(AAA, 901, b"B", 10, 100 * DOLLAR), itch.action(AAA, b"H"),
              itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1),
              itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=2))
    assert taken(quotes) == [(RecordType.STATUS, AAA, first + 1),
                             (RecordType.TRADE, AAA, first + 2),
                             (RecordType.TRADE, AAA, first + 3)]
    deep.send(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=3))
    quotes.skip()
    assert taken(quotes) == [] and (quotes.coalesced, quotes.lost) == (0, 0)


def test_a_quote_that_waits_behind_a_trade_is_replaced_where_it_waits(deep):
    quotes = LatestQuotes(deep.device, {RecordType.BBO, RecordType.TRADE})
    first = deep.sequence
    deep.send(itch.add(AAA, 900, b"B", 10, 100 * DOLLAR),
              itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1),
              itch.add(BBB, 901, b"B", 10, 100 * DOLLAR))
    assert int(quotes.next()["feed_sequence"]) == first
    deep.send(itch.add(BBB, 902, b"B", 10, 100 * DOLLAR),
              itch.add(AAA, 903, b"B", 10, 100 * DOLLAR))
    assert taken(quotes) == [(RecordType.TRADE, AAA, first + 1), (RecordType.BBO, BBB, first + 3),
                             (RecordType.BBO, AAA, first + 4)]
    assert quotes.coalesced == 1


def test_every_level_that_changes_keeps_its_newest_record(deep):
    quotes = LatestQuotes(deep.device, {RecordType.LEVEL})
    for number, quantity in enumerate((10, 20, 30), 900):
        deep.send(itch.add(AAA, number, b"B", quantity, 100 * DOLLAR),
                  itch.add(AAA, 10 + number, b"S", quantity, 100 * DOLLAR + 200),
                  itch.add(BBB, 20 + number, b"B", quantity, 99 * DOLLAR))
    found = []
    while (row := quotes.next()) is not None:
        found.append((int(row["locate"]), chr(row["side"]), int(row["price"]),
                      int(row["quantity"])))
    assert found == [(AAA, "B", 100 * DOLLAR, 560), (AAA, "S", 100 * DOLLAR + 200, 60),
                     (BBB, "B", 99 * DOLLAR, 60)]
    assert quotes.coalesced == 6


def test_it_takes_no_more_than_it_has_room_for(deep, monkeypatch):
    monkeypatch.setattr(runner, "WAITING_MAX", runner.BATCH + 8)
    quotes = LatestQuotes(deep.device, {RecordType.TRADE})

    def trades(first):
        for start in range(first, first + 200, 20):
            deep.send(*(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=number)
                        for number in range(start, start + 20)))
    trades(0)
    assert int(quotes.next()["match_number"]) == 0     # 199 wait: no room for another batch
    trades(200)
    found = taken(quotes)
    assert len(found) == 399 and quotes.lost == 0
