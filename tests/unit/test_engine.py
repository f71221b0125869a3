"""The engine's loop: a strategy decides on a record and its order has left in the same turn.

Method: a software device on socket pairs whose turns the test does by hand, so that nothing
depends on time; strategies of a few lines that do what a test asks for. The ledger that the host
keeps from records is compared with the exposures that the risk gate keeps for itself.
"""

import itertools
import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feed_rig import mold
from tests.reference import itch
from tests.system.conformance import (
    DOLLAR,
    LOCATES,
    Bench,
    accepted,
    canceled,
    executed,
    rejected,
    software,
)
from tickwire.config import SymbolSettings
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.kernels import digest, engine_host
from tickwire.kernels import engine_actions as act
from tickwire.kernels.engine_layout import OUT_SLOTS, QUEUE_SLOTS
from tickwire.kernels.memory import view
from tickwire.spec.checks import failing
from tickwire.spec.intents import WINDOW_SLOTS, Operation
from tickwire.spec.records import FeedState, RecordType
from tickwire.spec.registers import KillAction, KillCause
from tickwire.strategy.base import Parameters, Strategy, handler

AAA, BBB = LOCATES["AAA"], LOCATES["BBB"]
SYMBOLS = tuple(SymbolSettings(symbol=name) for name in LOCATES)
PARAMETERS = Parameters(orders=1, only_when_flat=False)
ROW = np.dtype([("calls", "i8"), ("kind", "i8"), ("now", "i8"), ("sequence", "i8")])
parameters_at, row_at = view(PARAMETERS.dtype), view(ROW)
SECOND = 1_000_000_000
numbers = itertools.count()


@handler
def buy(c, record, out):
    """Buy 100 at the bid, ``orders`` times for each record; count the calls."""
    s, t = row_at(act.row_of(c)), parameters_at(act.parameters_of(c))
    s["calls"] += 1
    s["kind"], s["now"] = act.record_type(record), act.now_of(c)
    if act.record_type(record) != 2:
        return 0
    p = act.position_of(c)
    if t["only_when_flat"] and (p["pending"] != 0 or p["open_orders"] != 0):
        return 0
    count = 0
    for _ in range(t["orders"]):
        count = act.new_order(c, out, count, act.instrument_of(c), act.BUY,
                              act.bbo_at(record)["bid_price"], 100)
    return count


class Buy(Strategy):
    """Buys at every best bid and offer."""

    function, row, parameters = buy, ROW, PARAMETERS
    wants = (RecordType.BBO, RecordType.TRADE, RecordType.ORDER_FILLED)


class Idle(Strategy):
    """Counts records of its timer."""

    function, row, parameters = buy, ROW, PARAMETERS
    wants = (RecordType.TIME,)
    timer_ns = 1_000


@pytest.fixture
def bench():
    """A device that trades, without an engine yet."""
    with software(f"engine-{os.getpid()}-{next(numbers)}") as made:
        made.make_ready()
        yield made


def engine(bench: Bench, kind=Buy, **parameters) -> Engine:
    return Engine(bench.device, kind(SYMBOLS, parameters))


def rows(made: Engine) -> np.ndarray:
    return made._arena.view("rows", np.int64).reshape(-1, 8)


def quote(bench: Bench, reference: int, locate: int = AAA) -> bytes:
    return itch.add(locate, reference, b"B", 10, 100 * DOLLAR)


def token_of(message: bytes) -> int:
    return struct.unpack(">I", message[1:5])[0]


# One turn


def test_an_order_leaves_in_the_turn_of_the_datagram_that_caused_it(bench):
    engine(bench)
    bench.lines[0][0].send(_packet(bench, quote(bench, 900)))
    bench.device.work()
    message, = bench.heard()
    assert struct.unpack(">cIcI8sQ", message[:26]) == (
        b"O", 1, b"B", 100, b"AAA     ", 100 * DOLLAR)


def test_orders_follow_a_symbol_to_the_locate_of_a_new_day(bench):
    made, today = engine(bench), 77
    bench.send(itch.directory(AAA, "OTHER"), quote(bench, 900))
    assert not bench.heard() and made.positions[0]["locate"] == 0
    bench.send(itch.directory(today, "AAA"), quote(bench, 901), quote(bench, 902, today))
    message, = bench.heard()
    assert message[10:18] == b"AAA     " and made.positions[0]["locate"] == today
    sent = next(record for kind, record in bench.answers() if kind == RecordType.ORDER_SENT)
    assert sent["locate"] == today and made.positions[0]["open_orders"] == 1


def _packet(bench: Bench, *messages: bytes) -> bytes:
    first, bench.sequence = bench.sequence, bench.sequence + len(messages)
    return mold(first, *messages)


def test_an_order_carries_the_stamp_of_the_datagram_and_every_stage_counts_it(bench):
    engine(bench)
    before = bench.device.histograms()
    bench.send(quote(bench, 900))
    bbo = next(record for kind, record in bench.records() if kind == RecordType.BBO)
    sent = next(record for kind, record in bench.answers() if kind == RecordType.ORDER_SENT)
    assert sent["intent_timestamp"] == bbo["timestamp"]
    assert sent["timestamp"] > bbo["timestamp"]
    after = bench.device.histograms()
    grown = {stage: int(after[stage][0] - before[stage][0]) for stage in after}
    assert grown == {"receive": 1, "book": 1, "decision": 1, "risk": 1, "send": 1,
                     "tick_to_order": 1, "order_to_ack": 0}
    assert int(after["tick_to_order"][3]) == sent["timestamp"] - bbo["timestamp"]


def test_a_strategy_sees_its_own_order_before_the_next_record(bench):
    engine(bench, only_when_flat=True)
    bench.send(*(quote(bench, 900 + number) for number in range(5)))
    assert len(bench.heard()) == 1


def test_every_record_that_is_wanted_is_given_once_and_no_other(bench):
    made = engine(bench, orders=0)
    bench.send(quote(bench, 900), quote(bench, 901, BBB), itch.action(AAA, b"T"),
               itch.trade(BBB, 0, b"B", 5, 100 * DOLLAR, match=1))
    assert rows(made)[:2, 0].tolist() == [1, 2]
    assert bench.device.counters()["strategy_calls"] == 3


def test_an_instrument_that_is_not_watched_is_given_to_nobody(bench):
    made = engine(bench, orders=0)
    bench.send(itch.directory(44, "ZZZ"), itch.add(44, 1, b"B", 1, 100 * DOLLAR))
    assert rows(made)[:, 0].sum() == 0


def test_the_timer_calls_with_a_time_record(bench):
    made = engine(bench, Idle)
    bench.turn()
    assert bench.device.counters()["strategy_ticks"] >= 1
    assert rows(made)[0, 1] == RecordType.TIME
    assert rows(made)[0, 2] > 0


# Bounds


def test_a_clock_that_was_set_back_holds_nothing_up_that_is_due_by_time(bench):
    made = engine(bench, Idle)
    now = int(bench.device.context["tick_at"])

    def work_at(time):
        bench.device.context["given_time"] = time
        bench.device.work()
    work_at(now + SECOND)
    calls = rows(made)[0, 0]
    bench.records()
    bench.venue.recv(1 << 12)              # its heartbeat
    back = now - 3_600 * SECOND
    work_at(back)
    assert rows(made)[0, 0] == calls + 1
    for seconds in (1, 2):
        work_at(back + seconds * SECOND)
    assert RecordType.HEARTBEAT in {kind for kind, _ in bench.records()}
    assert bench.venue.recv(1 << 12) == b"\x00\x01R"


def test_the_order_path_measures_on_when_the_clock_was_set_back(bench):
    """Watchdog, a bucket of one order a second, an order not to be repeated, a trigger's life."""
    device, made = bench.device, Engine(bench.device, None)
    bench.limits(rate_interval_ns=SECOND, rate_burst=1, duplicate_ns=2 * SECOND)
    now = int(device.context["tick_at"]) + SECOND
    device.context["given_time"] = now
    made.host["kick"] = 0                  # the test kicks, once
    device.write_register("WATCHDOG_PERIOD", 2_000_000)
    device.write_register("WATCHDOG_KICK", 1 << 40)
    made.submit({"operation": Operation.PRE_ARM, "locate": AAA, "kind": act.TAKE, "slot": 0,
                 "generation": 1, "price": 100 * DOLLAR, "quantity": 100, "timestamp": now,
                 "trigger_price": 100 * DOLLAR, "trigger_quantity": 1, "ttl_ns": SECOND})
    device.work()

    def at(passed: int, price: int) -> list[str]:
        """Enter an order ``passed`` ns after the clock was set back; tell what refuses it."""
        device.context["given_time"] = back + passed
        made.submit({"operation": Operation.NEW, "locate": AAA, "price": price, "quantity": 100})
        device.work()
        return [check.name for kind, record in bench.answers(credit=False)
                if kind == RecordType.RISK_REJECT for check in failing(record["checks"])]
    back = now
    assert at(0, 99 * DOLLAR) == []
    back -= 3_600 * SECOND
    device.context["given_time"] = back
    device.work()
    assert at(SECOND - 1, 98 * DOLLAR) == ["rate"]
    assert at(SECOND, 99 * DOLLAR) == ["duplicate"]
    assert at(SECOND, 98 * DOLLAR) == []
    device.context["given_time"] = back + SECOND + 1
    bench.send(itch.delete(AAA, 101), itch.add(AAA, 900, b"S", 10, 100 * DOLLAR))
    assert [record["event"] for kind, record in bench.answers(credit=False)
            if kind == RecordType.TRIGGER] == [act.EXPIRED]
    assert at(2 * SECOND, 97 * DOLLAR) == [] and device.killed == 0
    assert at(2 * SECOND + 1, 96 * DOLLAR)[0] == "global_kill"
    assert device.killed == KillCause.WATCHDOG


LIMIT = 3 * SECOND


@pytest.mark.parametrize(("settings", "is_ahead", "told"), [
    ({"line_timeout_ns": LIMIT}, True, FeedState.RECOVERING),
    ({"line_timeout_ns": 0, "patience_ns": LIMIT}, True, FeedState.RECOVERING),
    ({"stale_ns": LIMIT}, False, FeedState.STALE),
], ids=("line", "hole", "feed"))
def test_what_the_feed_waits_for_is_waited_for_anew_when_the_clock_was_set_back(
        settings, is_ahead, told):
    """A silent line, a hole and a silent feed: for their limit by the new time, and no longer."""
    with software(f"engine-{os.getpid()}-{next(numbers)}", **settings) as bench:
        bench.make_ready()
        now, ahead = int(bench.device.context["tick_at"]), mold(bench.sequence + 1)

        def state_at(time):
            bench.device.context["given_time"] = time
            if is_ahead:
                bench.lines[0][0].send(ahead)
            bench.device.work()
            return bench.device.read_register("FEED_STATE")
        back = now - 3_600 * SECOND
        states = [state_at(time) for time in (now, *range(back, back + 2 * LIMIT, SECOND))]
        assert states == [FeedState.LIVE] * 5 + [told] * 2


def test_a_call_writes_no_more_intents_than_there_is_room_for(bench):
    made = engine(bench, orders=OUT_SLOTS + 4)
    bench.send(quote(bench, 900))
    assert len(bench.heard()) == OUT_SLOTS
    assert int(made._arena.view("strategy", np.int64)[13]) == 4
    assert bench.device.counters()["intents_dropped"] == 4


def test_more_intents_than_the_window_holds_are_dropped_and_counted(bench):
    made = engine(bench)
    intent = np.zeros(8, np.int64)
    taken = [engine_host.submit(made.address, intent.ctypes.data) for _ in range(WINDOW_SLOTS + 2)]
    assert taken == [1] * WINDOW_SLOTS + [0, 0]
    assert bench.device.counters()["intents_dropped"] == 2


def test_records_that_were_overwritten_before_the_host_read_them_are_counted(bench):
    made = engine(bench, orders=0)
    messages = [itch.add(AAA, 2_000 + number, b"B", 1, 90 * DOLLAR + 100 * number)
                for number in range(30)]
    deletes = [itch.trade(AAA, 0, b"B", 1, 100 * DOLLAR, match=number) for number in range(300)]
    bench.send(*messages, *deletes)
    assert bench.device.counters()["records_lost"] > 0
    assert int(made.host["market_next"]) == bench.device.read_register("RING_MARKET_SEQUENCE") + 1
    calls = int(rows(made)[0, 0])
    bench.send(quote(bench, 900))
    assert int(rows(made)[0, 0]) == calls + 1


# The ledger


def test_an_order_is_pending_until_its_fate_is_known(bench):
    made = engine(bench)
    bench.limits(quantity_max=99)
    bench.send(quote(bench, 900))
    assert made.positions[0]["pending"] == 0 and made.positions[0]["rejects"] == 1
    assert made.positions[0]["open_orders"] == 0


def test_the_newest_open_order_of_a_side_is_shown_whichever_is_answered_or_gone(bench):
    made = Engine(bench.device, None)
    for token, (side, price) in enumerate(((0, 98), (0, 99), (1, 102), (0, 97)), 1):
        made.submit({"operation": Operation.NEW, "locate": AAA, "intent_id": token, "flags": side,
                     "price": price * DOLLAR, "quantity": 100})
    bench.turn()

    def shown() -> list[int]:
        return [int(made.positions[0][name]) for name in (
            "buy_token", "buy_price", "sell_token", "sell_price")]
    sell = [3, 102 * DOLLAR]
    for token, price in ((1, 98), (2, 99), (3, 102), (4, 97)):
        bench.say(accepted(token, price=price * DOLLAR))
        assert shown() == [4, 97 * DOLLAR, *sell]
    for message, newest in (
            (executed(1, 40), [4, 97 * DOLLAR]), (executed(4, 100), [2, 99 * DOLLAR]),
            (canceled(1, 60), [2, 99 * DOLLAR]), (canceled(2, 100), [0, 0])):
        bench.say(message)
        assert shown() == [*newest, *sell]
    bench.say(canceled(3, 100))
    assert shown() == [0, 0, 0, 0]


ACTIONS = st.lists(st.tuples(st.sampled_from("ofcrad"), st.integers(0, 5), st.integers(1, 120)),
                   max_size=40)


@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS)
def test_the_ledger_agrees_with_the_risk_gate(actions):
    with software(f"ledger-{os.getpid()}-{next(numbers)}") as bench:
        bench.make_ready()
        made = Engine(bench.device, None)
        leaves: dict[int, int] = {}        # as the venue has it
        waiting: list[int] = []
        for action, choice, amount in actions:
            if action == "o":
                made.submit({"operation": Operation.NEW, "locate": (AAA, BBB)[choice & 1],
                             "intent_id": len(leaves) + 1, "flags": choice >> 1 & 1,
                             "price": 100 * DOLLAR, "quantity": amount})
                bench.turn()
                waiting += map(token_of, bench.heard())
                continue
            if action == "a" and waiting:
                token = waiting.pop(0)
                leaves[token] = quantity_of(bench, token)
                bench.say(accepted(token, leaves[token]))
            elif action == "r" and waiting:
                bench.say(rejected(waiting.pop(0)))
            live = [token for token, left in leaves.items() if left]
            if action in "fc" and live:
                token = live[choice % len(live)]
                quantity = min(amount, leaves[token])
                leaves[token] -= quantity
                bench.say(executed(token, quantity, 100 * DOLLAR + choice) if action == "f"
                          else canceled(token, quantity))
        bench.turn()
        assert bench.device.killed == 0
        for instrument in (0, 1):
            ours, theirs = made.positions[instrument], bench.device.orders.exposures[instrument]
            assert ours["version"] % 2 == 0
            for name in ("position", "cash", "bought", "sold", "open_buy", "open_sell",
                         "open_orders"):
                assert int(ours[name]) == int(theirs[name]), name
            assert ours["pending"] == 0


def quantity_of(bench: Bench, token: int) -> int:
    table = bench.device.orders.orders
    return int(table[token & len(table) - 1]["quantity"])


# Python's hands


def test_an_intent_from_python_leaves_with_the_next_turn(bench):
    made = engine(bench, orders=0)
    made.submit({"operation": Operation.NEW, "locate": AAA, "price": 100 * DOLLAR, "quantity": 5,
                 "intent_id": 77})
    bench.turn()
    assert len(bench.heard()) == 1
    sent = next(record for kind, record in bench.answers() if kind == RecordType.ORDER_SENT)
    assert sent["intent_id"] == 77


@pytest.mark.parametrize("value", [1_000_000.5, 1e6, np.float64(1e6), float("nan"), "1000000"])
def test_an_intent_from_python_has_whole_numbers(bench, value):
    made = Engine(bench.device, None)
    with pytest.raises(TypeError, match="price must be a whole number, not "):
        made.submit({"operation": Operation.NEW, "locate": AAA, "price": value, "quantity": 100})
    made.submit({"operation": Operation.NEW, "locate": AAA, "price": np.int64(100 * DOLLAR),
                 "quantity": 100})
    bench.turn()
    assert len(bench.heard()) == 1


def test_the_queue_from_python_is_bounded(bench):
    made = engine(bench, orders=0)
    for _ in range(QUEUE_SLOTS):
        made.submit({"operation": Operation.NOP})
    with pytest.raises(TickwireError, match="256 intents wait"):
        made.submit({"operation": Operation.NOP})
    for _ in range(8):
        bench.turn()
        bench.send(itch.trade(AAA, 0, b"B", 1, 100 * DOLLAR, match=1))   # records bring credit
    assert bench.device.counters()["intents"] == QUEUE_SLOTS


def test_what_was_read_is_in_the_digests(bench):
    made = engine(bench)
    first = int(made.host["market_next"])
    orders = int(made.host["orders_next"])
    bench.send(quote(bench, 900), quote(bench, 901, BBB))
    bench.turn()
    table = digest.masks()
    for name, reader in (("market", bench.device.market_reader(first)),
                         ("order", bench.device.order_reader(orders))):
        octets = np.frombuffer(b"".join(row.tobytes() for row in reader.read()), np.uint8)
        expected = digest.fold_all(0, octets.ctypes.data, len(octets) // 64, table.ctypes.data)
        assert int(made.status[f"{name}_digest"]) == int(expected) & (1 << 64) - 1
        assert expected


# The thread


def test_the_thread_starts_trades_and_stops_killed(bench):
    made = engine(bench)
    made.start()
    assert made.is_running
    with pytest.raises(TickwireError, match="runs already"):
        made.start()
    bench.lines[0][0].send(_packet(bench, quote(bench, 900)))
    bench.device.wait(lambda: bench.device.counters()["orders_sent"] == 1, 10, "send an order")
    made.stop()
    assert not made.is_running
    assert bench.device.killed == KillCause.REGISTER
    made.stop()                            # twice does no harm


def test_a_kill_in_the_last_turn_still_cancels_what_is_open(bench):
    bench.order()
    bench.say(accepted(1))
    for name, value in (("KILL_ACTION", KillAction.MASS_CANCEL), ("WATCHDOG_PERIOD", 1),
                        ("CONTROL", 0)):
        bench.device.write_register(name, value)
    bench.device.run()                     # one turn, behind whose mass cancels the watchdog bites
    assert bench.device.killed == KillCause.WATCHDOG
    assert [message[:1] for message in bench.heard()] == [b"X"]


def test_what_the_machine_does_not_permit_is_a_remark(bench):
    made = Engine(bench.device, None, core=1_023)
    made.start()
    made.stop()
    remark, = made.remarks
    assert remark.startswith("The engine's thread is not pinned to core 1023: ")


def test_a_sleeping_loop_wakes_for_a_datagram_and_for_a_kill(bench):
    made = engine(bench)
    bench.device.context["sleep_ns"] = 999_999_999
    made.start()
    bench.device.wait(lambda: int(bench.device.context["idle"]) > 64, 10, "fall asleep")
    bench.device.kill(KillCause.EXTERNAL)
    bench.device.wait(lambda: bench.device.killed != 0, 10, "wake for a kill")
    bench.lines[0][0].send(_packet(bench, quote(bench, 900)))
    bench.device.wait(lambda: int(bench.device.counters()["frames_a"]) == 3, 10, "wake")
    made.stop()
