"""What an observer shows of a device: summary, view, statistics, all from shared memory alone.

Method: a device that was driven by hand to known numbers is looked at through its shared memory,
as another process would; texts are compared with values that the test worked out.
"""

import io
import itertools
import json
import os

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from rich.console import Console

from tests.reference import itch
from tests.system.conformance import DOLLAR, LOCATES, accepted, executed, rejected, software
from tickwire.commands import stat as stat_command
from tickwire.commands.stat import document, stat
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.kernels import histogram
from tickwire.observe import view
from tickwire.observe.live import LiveView, screen
from tickwire.observe.observer import Holding, Observer
from tickwire.observe.prometheus import DeviceCollector
from tickwire.observe.summary import cause_text, dollars, lines, price, rejects_text, summary
from tickwire.spec.checks import CHECKS
from tickwire.spec.counters import COUNTERS
from tickwire.spec.intents import Operation
from tickwire.spec.registers import KillCause
from tickwire.spec.stages import STAGES

BUSY = {"messages", "orders_sent", "fills", "gaps", "messages_recovered", "frames_recovery"}
AAA = LOCATES["AAA"]
numbers = itertools.count()
KEYS = {"messages", "lost", "gaps", "recovered", "orders_sent", "fills", "rejects", "position",
        "rejects_by_reason", "pnl", "latency_ns", "digest", "seconds", "device", "version"}


@pytest.fixture
def bench():
    """A device that bought 100 AAA at 100.00, with a book of 100.00 to 100.01."""
    with software(f"view-{os.getpid()}-{next(numbers)}") as made:
        made.make_ready()
        engine = Engine(made.device, None)
        engine.name_strategy("tests:Nothing")
        engine.mark_start()
        engine.submit({"operation": Operation.NEW, "locate": AAA, "price": 100 * DOLLAR,
                       "quantity": 300, "intent_id": 1})
        made.turn()
        made.say(accepted(1, 300))
        made.say(executed(1, 100))
        made.send(itch.trade(AAA, 0, b"B", 5, 100 * DOLLAR, match=1))
        made.engine = engine
        yield made


@pytest.fixture
def observer(bench):
    """An observer in the place of another process."""
    made = Observer(bench.device.name)
    yield made
    made.close()


def test_an_observer_reads_what_the_device_and_the_host_wrote(bench, observer):
    assert (observer.name, observer.kind) == (bench.device.name, "software")
    assert observer.strategy == "tests:Nothing"
    assert observer.counters() == bench.device.counters()
    assert observer.killed == 0 and observer.age < 60
    first, second = observer.holdings()
    assert (first.symbol, first.position, first.cash, first.fills) == (
        "AAA", 100, -100 * 100 * DOLLAR, 1)
    assert (first.bid_price, first.ask_price, first.trading_state) == (
        100 * DOLLAR, 100 * DOLLAR + 100, "T")
    assert (first.open_orders, first.open_buy) == (1, 200)
    assert first.profit == 100 * 50        # half a cent on each share
    assert (second.symbol, second.position, second.profit) == ("BBB", 0, 0)


def test_a_row_that_is_being_written_is_read_again(bench, observer):
    bench.engine.positions[0]["version"] += 1        # odd: the writer is in the middle
    assert next(iter(observer.holdings())).symbol == "AAA"


def test_the_summary_has_every_key_and_plain_values(bench, observer):
    found = summary(observer)
    assert set(found) >= KEYS
    assert json.loads(json.dumps(found)) == found
    assert (found["orders_sent"], found["fills"], found["rejects"]) == (1, 1, 0)
    assert found["position"] == {"AAA": 100, "BBB": 0}
    assert found["pnl"] == 5_000 and found["pnl_by_symbol"] == {"AAA": 5_000, "BBB": 0}
    assert found["messages"] == bench.sequence - 1
    assert set(found["latency_ns"]) == {stage.name for stage in STAGES}
    assert set(found["latency_ns"]["receive"]) == {"p50", "p90", "p99", "p999", "max", "count"}
    assert len(found["digest"]) == 32 and int(found["digest"], 16)


def test_a_symbol_that_has_changed_its_place_is_told_with_all_that_it_holds(bench, observer):
    bench.engine.positions[1]["symbol"] = bench.engine.positions[0]["symbol"]
    found = summary(observer)
    assert found["position"] == {"AAA": 100}
    assert found["pnl"] == 5_000 and found["pnl_by_symbol"] == {"AAA": 5_000}
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DeviceCollector(observer))
    labels = {"device": observer.name, "symbol": "AAA"}
    for name, value in (("position_shares", 100), ("profit_dollars", 0.5)):
        [sample] = next(family for family in registry.collect()
                        if family.name == f"tickwire_{name}").samples
        assert (sample.labels, sample.value) == (labels, value)


def test_the_summary_reads_well(observer):
    text = "\n".join(lines(summary(observer)))
    for part in ("software device, tests:Nothing", "0 lost", "1 sent", "1 fills", "AAA +100",
                 "P&L     +0.50 dollars", "order_to_ack"):
        assert part in text


def test_rejects_are_told_by_the_first_check_that_failed(bench, observer):
    wrong = ((100 * DOLLAR, 50_000), (100 * DOLLAR + 1, 100), (100 * DOLLAR + 1, 100))
    for intent_id, (price_of, quantity) in enumerate(wrong, 2):
        bench.engine.submit({"operation": Operation.NEW, "locate": AAA, "price": price_of,
                             "quantity": quantity, "intent_id": intent_id})
        bench.turn()
    found = summary(observer)
    assert found["rejects"] == 3
    assert list(found["rejects_by_reason"].items()) == [("tick_size", 2), ("quantity", 1)]
    assert "3 rejects (tick size 2, quantity 1)" in "\n".join(lines(found))
    out = io.StringIO()
    Console(file=out, width=120).print(screen(observer, 0.0, []))
    assert "3 rejects (tick size 2, quantity 1)" in out.getvalue()


def test_what_the_venue_rejects_is_a_reason_too(bench, observer):
    bench.engine.submit({"operation": Operation.NEW, "locate": AAA, "price": 100 * DOLLAR,
                         "quantity": 100, "intent_id": 2})
    bench.turn()
    bench.say(rejected(2))
    assert summary(observer)["rejects_by_reason"] == {"venue": 1}


def test_of_many_reasons_the_greatest_are_told():
    reasons = {"position": 9_000, "gross_notional": 80, "collar": 7, "rate": 1}
    assert rejects_text(9_088, reasons, 2) == (
        "9,088 rejects (position 9,000, gross notional 80, other 8)")
    assert rejects_text(9_088, reasons, 0) == "9,088 rejects"
    assert rejects_text(0, {}) == "0 rejects"


def test_messages_a_second_are_those_that_came_live(observer):
    found = {**summary(observer), "messages": 100_000, "seconds": 2.0}
    assert "100,000 messages (50,000/s), 0 lost" in "\n".join(lines(found))
    found["recovered"] = 90_000
    assert "100,000 messages (5,000/s live), 0 lost" in "\n".join(lines(found))


def test_of_many_symbols_the_greatest_are_told(observer):
    found = summary(observer)
    found["position"] = {f"S{number:02}": number * (-1) ** number for number in range(30)}
    shares = next(line for line in lines(found) if line.startswith("shares"))
    assert shares == ("shares  S22 +22, S23 -23, S24 +24, S25 -25, S26 +26, S27 -27, S28 +28, "
                      "S29 -29, and 22 more")


def test_columns_of_latencies_never_touch(observer):
    found = summary(observer)
    found["latency_ns"]["send"] = dict.fromkeys(("p50", "p90", "p99", "p999", "max", "count"),
                                                123_456_789_012)
    row = next(line for line in lines(found) if line.startswith("  send"))
    assert len(row.split()) == 7


def test_the_live_view_shows_books_orders_and_trouble(bench, observer):
    bench.device.kill(KillCause.EXTERNAL)
    bench.turn()
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True)
    with LiveView(observer, console) as live:
        live.show()
        live.show()
    text = out.getvalue()
    for part in ("KILLED: external", "AAA", "100.00", "100.01", "+100",
                 "sent new    #1      AAA      buy      300 @ 100.00",
                 "filled      #1      AAA               100 @ 100.00, 200 left", "order_to_ack"):
        assert part in text


def test_a_symbol_may_have_any_octets(bench, observer, capsys):
    bench.engine.positions[0]["symbol"] = b"A\xe9\xff"
    out = io.StringIO()
    with LiveView(observer, Console(file=out, width=120, force_terminal=True)) as live:
        live.show()
    assert "A\xe9\xff" in out.getvalue()
    assert stat(bench.device.name) == 0
    assert "A\xe9\xff" in capsys.readouterr().out


def held(symbol, **values):
    """A holding with the widest values that a screen must have room for; some may differ."""
    fields = dict.fromkeys(Holding.__slots__, 0)
    return Holding(**{**fields, "symbol": symbol, "trading_state": "T", "position": -12_345,
                      "cash": -23_456_780_000, "fills": 4_321, "orders": 1, "open_orders": 16,
                      "bid_price": 5_432_100, "ask_price": 5_432_200, "bid_quantity": 123_456,
                      "ask_quantity": 123_456, "last_price": 5_432_100, **values})


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (80, 20)])
@pytest.mark.parametrize("instruments", [1, 4, 40])
def test_a_screen_fits_its_terminal_and_cuts_nothing(observer, monkeypatch, width, height,
                                                     instruments):
    holdings = [held(f"SYM{number}", orders=number) for number in range(instruments)]
    monkeypatch.setattr(observer, "holdings", lambda: iter(holdings))
    monkeypatch.setattr(observer, "counters", lambda: {
        counter.name: 1_234_567 if counter.name in BUSY else 0 for counter in COUNTERS})
    monkeypatch.setattr(observer, "stages", lambda: {stage.name: dict.fromkeys(
        ("p50", "p90", "p99", "p999", "max", "count"), 2_345_678) for stage in STAGES[:7]})
    monkeypatch.setattr(observer, "rejects", lambda: {
        check.name: 1_234_567 for check in CHECKS})
    events = [f"event {number}" for number in range(8)]
    out = io.StringIO()
    console = Console(file=out, width=width, height=height)
    console.print(screen(observer, 1e6, events, console.size))
    shown = out.getvalue().splitlines()
    assert len(shown) <= height and all(len(line) <= width for line in shown)
    assert "…" not in out.getvalue() and "event 7" in out.getvalue()
    assert "total" in out.getvalue() and f"SYM{instruments - 1} " in out.getvalue()
    if width >= 120:
        assert all(name in out.getvalue() for name in ("last", "open", "fills", "ask size"))


def test_the_screen_is_drawn_for_a_device_that_has_seen_nothing():
    with software(f"view-{os.getpid()}-{next(numbers)}") as fresh:
        observer = Observer(fresh.device.name)
        out = io.StringIO()
        Console(file=out, width=120).print(screen(observer, 0.0, []))
        observer.close()
        assert "power on" in out.getvalue()


def test_without_a_terminal_there_is_a_line_now_and_then(observer, capsys):
    with view.LineView(observer, seconds=0) as shown:
        shown.show()
    line = capsys.readouterr().out
    assert "messages, 0 lost, 1 orders, 1 fills, P&L +0.50" in line
    assert isinstance(view.make_view(observer, is_live=True), view.LineView)


def test_stat_shows_a_device_by_its_name(bench, capsys):
    assert stat(bench.device.name) == 0
    assert "AAA" in capsys.readouterr().out
    assert stat(bench.device.name, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == bench.device.name
    assert found["registers"]["MAGIC"] == 0x4B435454
    assert "ARM" not in found["registers"]
    assert found["counters"]["orders_sent"] == 1
    assert found["instruments"][0]["symbol"] == "AAA"
    assert set(found["counters"]) == {counter.name for counter in COUNTERS}


def test_stat_needs_no_name_for_the_only_device(bench, monkeypatch, capsys):
    from tickwire.device import shared
    for names, sentence in (([], "No device runs"), (["a", "b"], "Several devices run: a, b")):
        monkeypatch.setattr(shared, "running", lambda names=names: names)
        with pytest.raises(TickwireError, match=sentence):
            stat()
    monkeypatch.setattr(shared, "running", lambda: [bench.device.name])
    assert stat() == 0


def test_stat_refuses_a_device_that_does_not_run():
    with pytest.raises(TickwireError, match="No device 'nowhere' runs on this machine"):
        stat("nowhere")


def test_watching_ends_with_the_device(bench, monkeypatch, capsys):
    monkeypatch.setattr(stat_command, "WATCH_SECONDS", 0.001)
    looks = itertools.count()

    def is_alive(_):
        return next(looks) < 3
    monkeypatch.setattr("tickwire.device.shared.SharedMemory.is_alive", is_alive)
    assert stat(bench.device.name, watch=True) == 0
    assert f"Device {bench.device.name!r} ended." in capsys.readouterr().out


def test_the_document_is_plain(observer):
    json.dumps(document(observer))


@pytest.mark.parametrize(("amount", "text"), [
    (0, "+0.00"), (5_000, "+0.50"), (-5_000, "-0.50"), (-99, "-0.00"),
    (12_345_678_900, "+1,234,567.89")])
def test_dollars_are_shown_with_sign(amount, text):
    assert dollars(amount) == text


@pytest.mark.parametrize(("amount", "text"), [
    (0, ""), (1_000_000, "100.00"), (1_000_100, "100.01"), (1_000_150, "100.0150"), (1, "0.0001")])
def test_prices_have_the_decimals_that_they_need(amount, text):
    assert price(amount) == text


def test_causes_are_named():
    assert cause_text(KillCause(0)) == ""
    assert cause_text(KillCause.WATCHDOG | KillCause.SESSION_DOWN) == "watchdog, session down"


def test_a_quantile_is_shown_as_the_histogram_has_it(bench, observer):
    words = np.zeros(len(observer.stage_words()["send"]), np.int64)
    for value in (10, 20, 30):
        histogram.add(words.ctypes.data, value)
    assert histogram.summary(words)["p50"] == 20
