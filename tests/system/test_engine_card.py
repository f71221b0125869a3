"""An engine trades through a card, as it does in the virtual machine's run.

Method: the card is one of software in this process, the market and the venue are packed by hand.
``make test-vfio`` has the same engine and driver on the other side of a BAR; its comparison with
the venue is tested here.
"""

import asyncio
import copy
import ctypes
import struct

import pytest

from tests.exchange_client import decode
from tests.reference import itch
from tests.system.conformance import (
    DOLLAR,
    GEOMETRY,
    LINES,
    LOCATES,
    MARKET_LOG2,
    ORDER_LOG2,
    SYMBOLS,
    TOKEN_LOG2,
    Bench,
    accepted,
    canceled,
    executed,
)
from tests.vfio.market import market
from tests.vfio.soft_card import differences
from tickwire.device.base import Device
from tickwire.device.card_device import CardDevice
from tickwire.device.limits_rows import fill_limits
from tickwire.device.owned import OwnedDevice
from tickwire.device.pcie import PCIeDevice
from tickwire.device.process import DeviceProcess
from tickwire.device.shared import path_of
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.spec.checks import CheckIndex
from tickwire.spec.intents import Operation
from tickwire.spec.records import RecordType
from tickwire.spec.registers import ARM_KEY, BAR_LOG2, KillAction
from tickwire.strategy.base import load
from tickwire_sim.soft_card import LoopTransport

SLOW_TURNS = 30
CONFIG = market({"symbols": list(SYMBOLS), "risk.symbols": {}})


@pytest.fixture
def bench():
    slot = LoopTransport("test-engine-card", GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2)
    card = CardDevice("test-engine-card", slot, SYMBOLS, lines=LINES[:2], market_log2=MARKET_LOG2,
                      order_log2=ORDER_LOG2)
    found = Bench(card, lambda: [card.work() for _ in range(3)] and None, slot.card.device)
    found.slot = slot
    found.engine = Engine(card, load(CONFIG.strategy.path, CONFIG.symbols,
                                     CONFIG.strategy.parameters))
    found.far.attach_lines(*(near.fileno() for _, near in found.lines))
    yield found
    found.close()


def submit(bench, number):
    """Ask through the engine for 100 AAA at the bid; return what the venue heard."""
    bench.engine.submit({
        "operation": Operation.NEW, "locate": LOCATES["AAA"], "strategy": 1, "intent_id": number,
        "price": 100 * DOLLAR, "quantity": 100})
    bench.turn()
    return bench.heard()


def test_between_the_arming_keys_nobody_sleeps_nor_reads_histograms(bench, monkeypatch):
    """Both have to come within a millisecond of the machine's clock, on any machine."""
    read, slept = [], []
    histograms = bench.device.card.histograms
    monkeypatch.setattr(bench.device.card, "histograms", lambda: read.append(1) or histograms())
    monkeypatch.setattr("tickwire.device.base.time.sleep", slept.append)
    bench.device.arm()
    assert bench.device.killed == 0
    assert not slept
    assert len(read) <= 1                      # those that are shown every two seconds


def test_after_a_lone_arming_key_both_keys_arm_and_the_loop_waits_for_the_epoch(
        bench, monkeypatch):
    """Whoever gave the lone one was killed before the second."""
    device, held = bench.device, []
    armed = CardDevice._armed
    monkeypatch.setattr(CardDevice, "_armed", lambda card: held.append(
        (int(card._context["is_held"]), bench.slot.card.device.killed == 0)) or armed(card))
    device.write_register("ARM", (device.read_register("EPOCH") ^ ARM_KEY) & 0xFFFF_FFFF)
    bench.turn()
    device.arm()
    bench.turn()
    assert device.killed == 0
    assert (1, True) in held                   # by the second key: the first one arms nothing
    assert device._context["is_held"] == 0


def test_intents_of_an_engine_become_orders_and_its_positions_follow_the_records(bench):
    card = bench.device
    bench.open_market()
    bench.send(itch.system(b"Q"))
    fill_limits(card.stage_limits(), CONFIG.risk, dict(enumerate(SYMBOLS.items())))
    card.commit_limits()
    bench.log_in()
    card.arm()
    order, = submit(bench, 1)
    assert struct.unpack(">cIcI8sQ", order[:26]) == (
        b"O", 1, b"B", 100, b"AAA     ", 100 * DOLLAR)
    bench.say(accepted(1))
    bench.say(executed(1, 40))
    bench.turn()
    row = bench.engine.positions[0]
    assert (row["position"], row["cash"], row["open_buy"], row["open_orders"]) == (
        40, -40 * 100 * DOLLAR, 60, 1)
    card.write_register("KILL_ACTION", KillAction.MASS_CANCEL)
    card.kill()
    bench.turn()
    assert [message[:1] for message in bench.heard()] == [b"X"]
    bench.say(canceled(1, 60))
    bench.turn()
    assert (row["position"], row["open_buy"], row["open_orders"]) == (40, 0, 0)
    assert submit(bench, 2) == []
    kind, refusal = bench.answers()[-1]
    assert (kind, refusal["check"]) == (RecordType.RISK_REJECT, CheckIndex.GLOBAL_KILL)
    assert card.counters()["records_lost"] == 0


def test_more_intents_than_the_window_has_slots_all_become_orders(bench):
    bench.make_ready()
    heard = []
    for number in range(1, 101):
        heard += submit(bench, number)
        bench.say(accepted(number, state=b"D"))
    assert [struct.unpack_from(">I", order, 1)[0] for order in heard] == list(range(1, 101))


def test_limits_are_in_force_when_a_commit_returns_though_a_card_is_slow(bench, monkeypatch):
    """A card takes the register at once, and has worked the rows out some turns later."""
    device, card, place = bench.device, bench.slot.card, bench.slot.card._place("LIMITS_COMMIT")
    waiting, work = [], card.work

    def slow():
        if place.value:
            waiting[:], place.value = [SLOW_TURNS, place.value], 0
        elif waiting:
            waiting[0] -= 1
            if not waiting[0]:
                place.value = waiting.pop()
                waiting.clear()
        work()
    monkeypatch.setattr(card, "work", slow)
    monkeypatch.setattr(CardDevice, "is_shown", True)      # as beside control's thread
    monkeypatch.setattr(device.card, "seconds", 60.0)      # kernels may have to be compiled
    for version in (1, 2, 3):
        device.stage_limits().permit()
        assert device.commit_limits() == version
        assert card.device.read_register("LIMITS_VERSION") == version
    device.stage_limits().instruments["tick"] = 0
    with pytest.raises(TickwireError, match="Limits version 4 were refused"):
        device.commit_limits()
    device.stage_limits().permit()
    assert device.commit_limits() == 4         # the answer to this one, not the one before
    assert card.device.read_register("LIMITS_VERSION") == 4


def test_nothing_is_shown_of_a_card_that_does_not_answer_and_nobody_waits_for_it(bench):
    device = bench.device
    before = {name: device.read_register(name) for name in ("STATUS", "FEED_STATE", "EPOCH")}
    counters = device.counters()
    octets = ctypes.string_at(bench.slot.bars[0].address, 1 << BAR_LOG2)
    ctypes.memset(bench.slot.bars[0].address, 0xFF, 1 << BAR_LOG2)
    for look in (lambda: device.mirror.show(has_counters=False), device.mirror.count,
                 device.card.rest):
        with pytest.raises(TickwireError, match="every register reads as ones"):
            look()
    ctypes.memmove(bench.slot.bars[0].address, octets, len(octets))
    assert {name: OwnedDevice.read_register(device, name) for name in before} == before
    assert Device.counters(device) == counters


@pytest.mark.parametrize(("error", "told"), [
    (TickwireError("It is gone."), "It is gone."),
    (PermissionError(1, "Operation not permitted"),
     "Control of card test-engine-card failed: PermissionError: [Errno 1] Operation not "
     "permitted."),
])
def test_whatever_ends_control_ends_the_loop_and_is_told(bench, monkeypatch, error, told):
    def turn():
        raise error
    monkeypatch.setattr(bench.device, "_turn", turn)
    bench.device._keep()
    assert str(bench.device.failure) == told
    assert OwnedDevice.read_register(bench.device, "CONTROL") == 0


def test_a_card_that_is_gone_before_the_feed_is_live_is_told_and_not_waited_for(bench):
    device, process = bench.device, DeviceProcess.__new__(DeviceProcess)
    process.device, process.config = device, CONFIG
    bench.log_in()
    device.failure = TickwireError("It is gone.")
    with pytest.raises(TickwireError, match="It is gone"):
        asyncio.run(process._until_ready())


class Line:
    """An order line that has nothing to carry."""

    session, is_lost, reason = None, False, ""

    def __init__(self):
        self.counts = {"heartbeats": 0, "adopted_octets": 0}

    def turn(self):
        return 0

    def lease(self, connection, session):
        self.session = session

    def release(self):
        self.session = None


def test_a_lost_lease_leaves_nobody_with_the_connections_socket(bench, monkeypatch):
    """The venue must see its end before the next login, which waits for nothing else."""
    line = Line()
    monkeypatch.setattr(bench.device, "_line", line)
    bench.device.attach_session(bench.near.fileno(), b"", 1)
    bench.device._turn()
    assert line.session == 0 and bench.device.has_session
    bench.near.close()                         # control has handed it over
    with pytest.raises(BlockingIOError):
        bench.venue.recv(1)
    line.is_lost, line.reason, line.session = True, "It is broken.", None
    for _ in range(3):
        bench.device._turn()
    assert not bench.device.has_session and bench.device.remarks == ["It is broken."]
    assert bench.venue.recv(1) == b""
    monkeypatch.undo()


def test_a_session_that_control_has_not_taken_yet_is_closed_with_the_device(bench):
    bench.device.attach_session(bench.near.fileno(), b"", 1)
    bench.near.close()
    bench.device.close()
    assert bench.venue.recv(1) == b""


def test_a_card_that_cannot_be_reset_is_refused_in_the_middle_of_an_earlier_run(monkeypatch):
    class Kept(LoopTransport):
        def reset(self):
            return False
    monkeypatch.setattr(PCIeDevice, "counters", lambda self: {"intents": 1_234})
    with pytest.raises(TickwireError, match=r"^Card test-kept cannot be reset by itself and has "
                                            r"taken 1,234 intents of an earlier run, .* again, "):
        CardDevice("test-kept", Kept("test-kept", GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2),
                   SYMBOLS, lines=LINES[:2], market_log2=MARKET_LOG2, order_log2=ORDER_LOG2)


def test_a_card_with_too_few_instruments_is_refused_and_leaves_no_shared_memory():
    name, symbols = "test-few", {f"S{number}": 100 for number in range(GEOMETRY.instruments + 1)}
    slot = LoopTransport(name, GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2)
    with pytest.raises(TickwireError, match=f"'test-few' has {GEOMETRY.instruments} instruments, "
                                            f"not {len(symbols)}"):
        CardDevice(name, slot, symbols, lines=LINES[:2], order_log2=ORDER_LOG2)
    assert not path_of(name).exists()


@pytest.mark.parametrize(("told", "wanted"), [
    ({"ABI": 99 << 16, "DIGEST": 1}, "has ABI 99.0; this host has"), ({"DIGEST": 1}, "digest = "),
    ({"MAGIC": 1}, "not a tickwire device"), ({}, "tells sizes that no card has: geometry.orders"),
])
def test_a_card_with_sizes_that_cannot_be_is_refused_by_the_driver_in_a_sentence(told, wanted):
    """Whatever is wrong with it besides comes first, and more symbols than it has room for last."""
    name = "test-nonsense"
    slot = LoopTransport(name, GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2)
    for register, value in {**told, "GEOMETRY_BOOK": (1 << 64) - 1}.items():
        slot.card._place(register).value = value
    symbols = {f"S{number}": 100 for number in range(GEOMETRY.instruments + 1)}
    with pytest.raises(TickwireError, match=wanted):
        CardDevice(name, slot, symbols, lines=LINES[:2], order_log2=ORDER_LOG2)
    assert not path_of(name).exists()


SAID = [decode(message) for message in (
    accepted(1), executed(1, 60), canceled(1, 40), accepted(2), executed(2, 100, 99 * DOLLAR))]
FOUND = {
    "answers": [["ORDER_ACCEPTED", 1, 100, 1_000_000], ["ORDER_FILLED", 1, 60, 1_000_000],
                ["ORDER_CANCELED", 1, 40, 1_000_000], ["ORDER_ACCEPTED", 2, 100, 1_000_000],
                ["ORDER_FILLED", 2, 100, 990_000]],
    "positions": {"AAA": [160, -159_000_000, 2], "BBB": [0, 0, 0]}, "sent": 2,
    "counters": {"orders_sent": 2, "cancels_sent": 0, "orders_accepted": 2, "fills": 2,
                 "messages_lost": 0, "gaps": 0, "records_dropped": 0, "intent_errors": 0}}
STATISTICS = {"orders_accepted": 2, "fills": 2, "orders_ignored": 0, "messages_malformed": 0,
              "packets_malformed": 0}


def test_what_guest_and_venue_saw_alike_is_no_difference():
    assert differences(FOUND, SAID, STATISTICS) == []


@pytest.mark.parametrize(("what", "place", "value"), [
    ("answers", ("answers", 1, 2), 61), ("answers", ("answers", 4, 3), 1_000_000),
    ("answers", ("answers", 2, 0), "ORDER_REJECTED"),
    ("positions, cash and fills", ("positions", "AAA", 0), 100),
    ("orders sent", ("counters", "orders_sent"), 3), ("fills counted", ("counters", "fills"), 1),
    ("messages sent as records", ("sent",), 3),
    ("messages_lost of the feed", ("counters", "messages_lost"), 1),
])
def test_whatever_guest_and_venue_saw_differently_is_named(what, place, value):
    found = copy.deepcopy(FOUND)
    *outer, last = place
    inner = found
    for key in outer:
        inner = inner[key]
    inner[last] = value
    assert what in [sentence.split(":")[0] for sentence in differences(found, SAID, STATISTICS)]
