"""Every device keeps the contract: registers, rings, window, kill, limits, feed and orders.

Method: the tests of one device run for every kind in ``conformance.FACTORIES``. What goes in is
octets by hand; what comes out is compared with values worked out in the test.
"""

import itertools
import os
import struct
import time

import pytest

from tests.feed_rig import mold
from tests.reference import itch
from tests.system.conformance import (
    DOLLAR,
    FACTORIES,
    GEOMETRY,
    LOCATES,
    MARKET_LOG2,
    ORDER_LOG2,
    SELL,
    Bench,
    accepted,
    canceled,
    executed,
    rejected,
)
from tickwire.device.pcie import PCIeDevice
from tickwire.errors import TickwireError
from tickwire.kernels.engine_card import KICK_NS
from tickwire.spec.checks import CheckIndex
from tickwire.spec.digest import digest
from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import WINDOW_SLOTS, IntentError, Operation
from tickwire.spec.records import BookFlag, FeedState, RecordType
from tickwire.spec.registers import (
    ABI_MAJOR,
    ARM_KEY,
    FRAME_PAGE,
    MAGIC,
    Capability,
    GapPolicy,
    KillAction,
    KillCause,
    Status,
)

AAA, BBB = LOCATES["AAA"], LOCATES["BBB"]
U32 = 0xFFFF_FFFF
numbers = itertools.count()


SLOW = ("trading", "verilated")             # the card's gateware
CLEARED = 1e-4                              # seconds after which a card counts durations for sure


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.long if name in SLOW else ())
                        for name in sorted(FACTORIES)])
def bench(request):
    """A device that was just opened."""
    with FACTORIES[request.param](f"test-{os.getpid()}-{next(numbers)}") as made:
        yield made


@pytest.fixture
def ready(bench):
    """A device that trades."""
    bench.make_ready()
    return bench


def kinds(records):
    return [kind for kind, _ in records]


# Identity


def test_a_device_says_who_it_is(bench: Bench):
    read = bench.device.read_register
    assert read("MAGIC") == MAGIC
    assert read("ABI") >> 16 == ABI_MAJOR
    assert read("DIGEST") == digest()
    assert 1 <= read("RING_EPOCH") <= 255
    bench.device.check()


def test_a_device_tells_its_geometry(bench: Bench):
    read = bench.device.read_register
    found, token_log2 = Geometry.of(read("GEOMETRY_BOOK"), read("GEOMETRY_QUEUES"))
    assert found == bench.device.geometry == GEOMETRY
    assert token_log2 == bench.device.layout.token_log2


def test_echo_answers_with_the_complement(bench: Bench):
    for value in (0, 1, 0x5A5A_5A5A, U32):
        bench.device.write_register("ECHO", value)
        bench.turn()
        assert bench.device.read_register("ECHO") == value ^ U32


def test_what_is_read_only_cannot_be_written_and_what_is_not_there_cannot_be_named(bench: Bench):
    with pytest.raises(ValueError, match="STATUS is read-only"):
        bench.device.write_register("STATUS", 0)
    with pytest.raises(ValueError, match="no register 'NONE'"):
        bench.device.read_register("NONE")
    with pytest.raises(ValueError, match="32 bits"):
        bench.device.write_register("GAP_POLICY", 1 << 32)


# Kill and keys


def test_a_device_is_killed_until_both_keys_came(bench: Bench):
    bench.turn()
    assert bench.device.killed == KillCause.POWER_ON
    assert Status.KILLED in bench.device.status and Status.ARMED not in bench.device.status
    epoch = bench.device.read_register("EPOCH")
    bench.device.arm()
    bench.turn()
    assert bench.device.killed == 0
    assert Status.ARMED in bench.device.status and Status.KILLED not in bench.device.status
    assert bench.device.read_register("EPOCH") != epoch


def test_an_armed_device_cannot_be_armed(ready: Bench):
    with pytest.raises(TickwireError, match="armed already"):
        ready.device.arm()


@pytest.mark.parametrize("keys", [(0, 0), ("second", "first"), ("first", "first"), (1, "second")])
def test_wrong_keys_do_not_arm(bench: Bench, keys):
    first = (bench.device.read_register("EPOCH") ^ ARM_KEY) & U32
    by_name = {"first": first, "second": first ^ U32}
    for key in keys:
        bench.device.write_register("ARM", by_name.get(key, key))
        bench.turn()
    assert bench.device.killed == KillCause.POWER_ON
    assert bench.device.counters()["arms"] == 0


def test_a_second_key_that_comes_late_does_not_arm(bench: Bench):
    first = (bench.device.read_register("EPOCH") ^ ARM_KEY) & U32
    bench.device.write_register("ARM", first)
    bench.turn()
    bench.pause(0.002)                     # longer than the millisecond that it may take
    bench.device.write_register("ARM", first ^ U32)
    bench.turn()
    assert bench.device.killed == KillCause.POWER_ON


@pytest.mark.parametrize(("cause", "seen"), [
    (KillCause.REGISTER, KillCause.REGISTER), (KillCause.EXTERNAL, KillCause.EXTERNAL),
    (KillCause.LOSS_LIMIT, KillCause.LOSS_LIMIT), (KillCause(0), KillCause.REGISTER)])
def test_a_kill_by_register_latches_in_the_next_turn(ready: Bench, cause, seen):
    ready.device.kill(cause)
    ready.turn()
    assert ready.device.killed == seen
    assert Status.KILLED in ready.device.status
    (kind, record), = ready.answers()
    assert kind == RecordType.KILL and record["cause"] == seen
    assert ready.device.read_register("KILL_TIME") == record["timestamp"]


def test_nothing_leaves_a_killed_device_but_cancels(ready: Bench):
    assert len(ready.order()) == 1
    ready.say(accepted(1))
    ready.answers()
    ready.device.kill()
    assert ready.order() == []
    ready.device.push_intent({"operation": Operation.CANCEL, "token": 1})
    ready.turn()
    assert [message[:1] for message in ready.heard()] == [b"X"]
    records = ready.answers()
    assert kinds(records) == [RecordType.KILL, RecordType.RISK_REJECT, RecordType.ORDER_SENT]
    assert records[1][1]["checks"] == 1 << CheckIndex.GLOBAL_KILL


def test_a_kill_that_was_written_before_an_intent_is_seen_before_it(ready: Bench):
    ready.device.write_register("KILL", int(KillCause.EXTERNAL))
    ready.device.push_intent({"operation": Operation.NEW, "locate": AAA, "quantity": 1,
                              "price": 100 * DOLLAR})
    ready.turn()
    assert ready.heard() == []


def test_a_kill_cancels_every_open_order_where_that_is_asked_for(ready: Bench):
    ready.device.write_register("KILL_ACTION", KillAction.MASS_CANCEL)
    for token in range(1, 41):             # more than leave in one packet group
        assert len(ready.order(intent_id=token)) == 1
        ready.answers()
    ready.device.kill()
    cancels = []
    for _ in range(8):
        ready.turn()
        ready.answers()
        cancels += ready.heard()
    assert [struct.unpack(">cII", message)[:2] for message in cancels] == [
        (b"X", token) for token in range(1, 41)]


def test_a_kill_cancels_nothing_where_no_action_asks_for_it(ready: Bench):
    ready.device.write_register("KILL_ACTION", U32 ^ KillAction.MASS_CANCEL)
    assert len(ready.order()) == 1
    ready.answers()
    ready.device.kill()
    for _ in range(3):
        ready.turn()
    assert ready.heard() == []


def test_a_killed_instrument_stops_and_the_others_do_not(ready: Bench):
    ready.device.write_register("INSTRUMENT_KILL", 0 | 1 << 16)
    ready.turn()
    assert ready.order() == []
    assert len(ready.order(locate=BBB)) == 1
    ready.device.write_register("INSTRUMENT_KILL", 0)
    ready.turn()
    assert len(ready.order()) == 1
    rejects = [record for kind, record in ready.answers() if kind == RecordType.RISK_REJECT]
    assert [record["checks"] for record in rejects] == [1 << CheckIndex.INSTRUMENT_KILL]


# Watchdog


def test_the_watchdog_bites_without_kicks(ready: Bench):
    ready.device.write_register("WATCHDOG_PERIOD", round(ready.PATIENCE * 1e6))
    ready.device.write_register("WATCHDOG_KICK", 1)
    ready.turn()
    assert ready.device.killed == 0
    ready.pause(3 * ready.PATIENCE)
    ready.turn()
    assert ready.device.killed == KillCause.WATCHDOG
    assert kinds(ready.answers()) == [RecordType.KILL]


def test_a_kick_must_rise(ready: Bench):
    before = ready.device.counters()
    for value in (5, 6, 6, 4, 7):
        ready.pause(2e-9 * KICK_NS)            # a run gives its card no kick sooner
        ready.device.write_register("WATCHDOG_KICK", value)
        ready.turn()
    after = ready.device.counters()
    assert after["watchdog_kicks"] - before["watchdog_kicks"] == 3
    assert after["watchdog_refused"] > before["watchdog_refused"]


def test_a_nop_intent_counts_as_a_kick(ready: Bench):
    before = ready.device.counters()["watchdog_kicks"]
    ready.device.push_intent({"operation": Operation.NOP})
    ready.turn()
    assert ready.device.counters()["watchdog_kicks"] == before + 1


# Limits


def test_without_limits_no_order_passes(bench: Bench):
    bench.open_market()
    bench.log_in()
    bench.device.arm()
    bench.answers()
    assert bench.order() == []
    (kind, record), = bench.answers()
    assert kind == RecordType.RISK_REJECT
    assert record["checks"] >> CheckIndex.CONFIGURATION & 1


def test_limits_hold_from_the_next_intent_on(ready: Bench):
    assert len(ready.order(quantity=500)) == 1
    ready.limits(quantity_max=499)
    assert ready.order(quantity=500) == []
    assert len(ready.order(quantity=499)) == 1
    reject = next(record for kind, record in ready.answers() if kind == RecordType.RISK_REJECT)
    assert reject["checks"] == 1 << CheckIndex.QUANTITY
    assert (reject["limit"], reject["value"], reject["config_version"]) == (499, 500, 2)


def test_limits_that_make_no_sense_are_refused_and_change_nothing(ready: Bench):
    version, crc = (ready.device.read_register(f"LIMITS_{name}") for name in ("VERSION", "CRC"))
    with pytest.raises(TickwireError, match=r"version 2 were refused: a limit is out of its range"):
        ready.limits(tick=0)
    assert ready.device.read_register("LIMITS_VERSION") == version
    assert ready.device.read_register("LIMITS_CRC") == crc
    assert len(ready.order()) == 1


def test_limits_with_another_checksum_or_version_are_refused(ready: Bench):
    for value, reason in ((2 | 1 << 32, 2), (3, 1)):
        ready.device.write_register("LIMITS_COMMIT", value)
        ready.turn()
        (kind, record), = ready.answers()
        assert kind == RecordType.CONFIG_ACKNOWLEDGED
        assert (record["ok"], record["reason"]) == (0, reason)


# Intents


def test_an_order_leaves_as_the_protocol_says(ready: Bench):
    message, = ready.order(intent_id=0xABCD, strategy=2)
    assert len(message) == 47
    head = struct.unpack(">cIcI8sQccccc14sH", message)
    assert head == (b"O", 1, b"B", 100, b"AAA     ", 100 * DOLLAR, b"0", b"Y", b"P", b"N", b"N",
                    b"0000ABCD000200", 0)
    (kind, record), = ready.answers()
    assert kind == RecordType.ORDER_SENT
    assert {name: record[name] for name in ("intent_id", "token", "price", "quantity", "locate",
                                            "side", "operation", "open_quantity", "strategy")} == {
        "intent_id": 0xABCD, "token": 1, "price": 100 * DOLLAR, "quantity": 100, "locate": AAA,
        "side": "B", "operation": Operation.NEW, "open_quantity": 100, "strategy": 2}


def test_the_window_goes_round_and_every_intent_is_taken_once_in_order(ready: Bench):
    sent = []
    for number in range(3 * WINDOW_SLOTS):
        message, = ready.order(intent_id=number, price=99 * DOLLAR + 100 * (number % 10))
        sent.append(struct.unpack(">I", message[1:5])[0])
        ready.say(rejected(sent[-1]))
        ready.answers()
    assert sent == list(range(1, 3 * WINDOW_SLOTS + 1))
    assert ready.device.counters()["intents"] == 3 * WINDOW_SLOTS + ready.answered


def test_the_host_cannot_have_more_than_64_intents_outstanding(ready: Bench):
    if ready.far is None:
        pytest.skip("a card takes intents while its host still stores others")
    for _ in range(WINDOW_SLOTS):
        ready.device.push_intent({"operation": Operation.NOP})
    with pytest.raises(TickwireError, match="64 intents to take already"):
        ready.device.push_intent({"operation": Operation.NOP})
    ready.turn()
    assert ready.device.counters()["intents"] == WINDOW_SLOTS
    ready.device.push_intent({"operation": Operation.NOP})


@pytest.mark.parametrize(("offset", "error"), [
    (16, IntentError.CRC), (52, IntentError.CRC)])
def test_a_damaged_intent_is_refused_and_the_next_one_taken(ready: Bench, offset, error):
    sequence, octets = ready.hold({"operation": Operation.NEW, "locate": AAA,
                                   "price": 100 * DOLLAR, "quantity": 1})
    octets[offset] ^= 1
    ready.put(sequence, octets)
    ready.turn()
    assert ready.heard() == []
    (kind, record), = ready.answers()
    assert kind == RecordType.INTENT_ERROR and record["error"] == error
    assert record["slot"] == (sequence - 1) % WINDOW_SLOTS
    assert len(ready.order()) == 1


def test_an_intent_of_before_the_arming_is_refused(bench: Bench):
    bench.open_market()
    bench.limits()
    bench.log_in()
    sequence, octets = bench.hold({"operation": Operation.NEW, "locate": AAA,
                                   "price": 100 * DOLLAR, "quantity": 1})
    bench.device.arm()
    bench.answers()
    bench.put(sequence, octets)
    bench.turn()
    (kind, record), = bench.answers()
    assert sequence == 1 and kind == RecordType.INTENT_ERROR
    assert record["error"] == IntentError.EPOCH


@pytest.mark.parametrize(("fields", "error"), [
    ({"locate": 999}, IntentError.UNKNOWN_INSTRUMENT),
    ({"session": 5}, IntentError.UNKNOWN_SESSION),
    ({"operation": 99}, IntentError.OPERATION),
    ({"operation": Operation.CANCEL, "token": 12_345}, IntentError.UNKNOWN_ORDER),
    ({"flags": 0x80}, IntentError.FLAGS),
    ({"timestamp": 1, "ttl_ns": 1_000}, IntentError.STALE),
])
def test_an_intent_that_cannot_be_carried_out_says_why(ready: Bench, fields, error):
    assert ready.order(**fields) == []
    (kind, record), = ready.answers()
    assert kind == RecordType.INTENT_ERROR and record["error"] == error
    assert record["intent_id"] == 7


def test_an_intent_that_waits_for_room_in_the_order_ring_is_not_lost(ready: Bench):
    pushed = 0
    while pushed < 3 << ORDER_LOG2:        # more records than the ring has slots
        before = ready.device.counters()["intents"]
        ready.device.push_intent({"operation": Operation.CANCEL, "token": 999, "intent_id": pushed})
        ready.turn()
        pushed += 1
        if ready.device.counters()["intents"] == before:
            break
    assert pushed < 1 << ORDER_LOG2
    found = [record["intent_id"] for _, record in ready.answers()]
    ready.turn()
    found += [record["intent_id"] for _, record in ready.answers()]
    assert found == list(range(pushed))
    assert ready.orders.lost == 0
    assert ready.device.counters()["records_dropped"] == 0


# The venue's answers


def test_the_life_of_an_order_is_told(ready: Bench):
    ready.order(intent_id=31)
    ready.say(accepted(1))
    ready.say(executed(1, 30, 99 * DOLLAR, match=77))
    ready.say(canceled(1, 70))
    records = ready.answers()
    assert kinds(records) == [RecordType.ORDER_SENT, RecordType.ORDER_ACCEPTED,
                              RecordType.ORDER_FILLED, RecordType.ORDER_CANCELED]
    assert [record.get("leaves") for _, record in records] == [None, 100, 70, 0]
    assert all(record["intent_id"] == 31 and record["token"] == 1 for _, record in records)
    fill = records[2][1]
    assert (fill["price"], fill["quantity"], fill["match_number"]) == (99 * DOLLAR, 30, 77)
    assert fill["order_reference"] == 71


def test_each_stage_of_an_order_is_counted_once_however_often_it_is_asked_for(ready: Bench):
    found = [ready.device.histograms()]
    for token in (1, 2):
        ready.order()
        found.append(ready.device.histograms())
        if token == 1:
            ready.say(accepted(token))
            ready.say(executed(token, 100))
            found += [ready.device.histograms(), ready.device.histograms()]
    assert [[int(words[stage][0]) for stage in ("risk", "send", "order_to_ack")]
            for words in found] == [[0, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1], [2, 2, 1]]
    for words in found[-1].values():
        count, total, least, greatest = (int(word) for word in words[:4])
        assert words[4:].sum() == count
        assert count * least <= total <= count * greatest


def test_answers_cut_anywhere_are_put_together(ready: Bench):
    if ready.far is None:
        pytest.skip("the octets of a card's session are its host's to put together")
    ready.order()
    stream = b"".join(struct.pack(">Hc", 1 + len(message), b"S") + message
                      for message in (accepted(1), executed(1, 100)))
    for octet in stream:
        ready.venue.sendall(bytes([octet]))
        ready.turn()
    assert kinds(ready.answers()) == [RecordType.ORDER_SENT, RecordType.ORDER_ACCEPTED,
                                      RecordType.ORDER_FILLED]


def test_a_fill_of_more_than_was_open_kills(ready: Bench):
    ready.order()
    ready.say(accepted(1))
    ready.say(executed(1, 101))
    assert ready.device.killed == KillCause.SETTLEMENT
    assert ready.device.counters()["settle_mismatch"] == 1


def test_a_fill_of_an_order_that_nobody_sent_kills(ready: Bench):
    ready.say(executed(42, 100))
    assert ready.device.killed == KillCause.SETTLEMENT
    assert ready.device.counters()["settle_unknown"] == 1


def test_without_a_session_no_order_leaves(ready: Bench):
    ready.hang_up()
    assert Status.SESSION_UP not in ready.device.status
    ready.device.push_intent({"operation": Operation.NEW, "locate": AAA, "price": 100 * DOLLAR,
                              "quantity": 1, "timestamp": time.time_ns()})
    ready.turn()
    (kind, record), = ready.answers()
    assert kind == RecordType.RISK_REJECT
    assert record["checks"] == 1 << CheckIndex.SESSION_DOWN


# The feed


def test_messages_become_records_and_a_state_line(bench: Bench):
    bench.open_market()
    records = bench.records()
    assert {RecordType.FEED_STATE, RecordType.STATUS} <= set(kinds(records))
    directory = [record for kind, record in records if kind == RecordType.DIRECTORY]
    assert [(record["symbol"], record["instrument"], record["locate"]) for record in directory] == [
        ("AAA", 0, AAA), ("BBB", 1, BBB)]
    quote = [record for kind, record in records if kind == RecordType.BBO][1]
    assert {name: quote[name] for name in (
        "bid_price", "ask_price", "bid_quantity", "ask_quantity", "bid_orders", "ask_orders",
        "trading_state", "flags", "locate", "feed_sequence")} == {
        "bid_price": 100 * DOLLAR, "ask_price": 100 * DOLLAR + 100, "bid_quantity": 500,
        "ask_quantity": 500, "bid_orders": 1, "ask_orders": 1, "trading_state": "T", "flags": 0,
        "locate": AAA, "feed_sequence": 7}
    line = bench.state(0)
    assert line["version"] == line["version_head"] == quote["book_version"]
    for name in ("bid_price", "ask_price", "bid_quantity", "ask_quantity", "locate",
                 "feed_sequence"):
        assert line[name] == quote[name]
    assert bench.device.read_register("FEED_STATE") == FeedState.LIVE
    assert bench.device.read_register("FEED_EXPECTED") == 10


def test_each_order_message_of_a_card_is_one_duration_of_stage_receive(bench: Bench, request):
    if request.node.callspec.params["bench"] not in SLOW:
        pytest.skip("the kernels count datagrams")
    bench.pause(CLEARED)
    bench.open_market()
    latencies = [record["latency_ns"] for kind, record in bench.records()
                 if kind == RecordType.BBO]
    count, total, least, greatest = (int(word) for word in
                                     bench.device.histograms()["receive"][:4])
    # All of them change a best level, one each.
    assert (count, total, least, greatest) == (
        len(latencies), sum(latencies), min(latencies), max(latencies))
    assert count == 2 * len(LOCATES) and least > 200
    assert bench.device.counters()["samples_lost"] == 0


def test_the_other_lines_copy_changes_nothing(bench: Bench):
    bench.open_market()
    bench.records()
    bench.carry(1, mold(6, itch.add(AAA, 100, b"B", 500, 100 * DOLLAR)))
    assert bench.records() == []
    assert bench.device.counters()["messages_duplicate"] == 1
    assert bench.device.counters()["duplicate_order"] == 0


def test_a_gap_on_both_lines_is_told_and_stops_orders_until_it_is_repaired(ready: Bench):
    lost = itch.add(AAA, 200, b"B", 300, 100 * DOLLAR)
    first = ready.sequence
    for line in (0, 1):
        ready.send(itch.add(BBB, 201, b"S", 1, 101 * DOLLAR), line=line, first=first + 1)
    assert ready.device.read_register("FEED_STATE") == FeedState.RECOVERING
    assert ready.device.read_register("FEED_EXPECTED") == first
    assert ready.device.read_register("FEED_HIGHEST") == first + 2
    gap = next(record for kind, record in ready.records() if kind == RecordType.FEED_STATE)
    assert (gap["expected"], gap["state"]) == (first, FeedState.RECOVERING)
    assert ready.order() == []
    ready.repair(mold(first, lost, itch.add(BBB, 201, b"S", 1, 101 * DOLLAR)))
    assert ready.device.read_register("FEED_STATE") == FeedState.LIVE
    assert ready.state(0)["bid_quantity"] == 800 and ready.state(0)["flags"] == 0
    assert ready.device.counters()["messages_recovered"] == 2
    assert ready.device.counters()["messages_lost"] == 0
    assert len(ready.order()) == 1


def test_a_card_refuses_frames_that_it_can_not_give(bench: Bench):
    if not isinstance(bench.device, PCIeDevice):
        pytest.skip("only cards are given frames")
    has_page = Capability.HOST_FRAMES in Capability(bench.device.read_register("CAPABILITIES"))
    for frame in (b"", bytes(FRAME_PAGE + 1)):
        with pytest.raises(TickwireError,
                           match=f"not of {len(frame):,}" if has_page else "takes no frames"):
            bench.device.give_frame(frame)
    if has_page:
        for size in (1, FRAME_PAGE):           # noise harms nothing
            bench.device.give_frame(bytes(size))


def test_what_is_given_up_marks_every_book(ready: Bench):
    first = ready.sequence
    for line in (0, 1):
        ready.send(itch.delete(BBB, 1), line=line, first=first + 5)
    ready.device.write_register("FEED_GIVE_UP", first + 5)
    ready.turn()
    assert ready.device.counters()["messages_lost"] == 5
    assert ready.device.read_register("FEED_EXPECTED") == first + 5
    for instrument in (0, 1):
        assert ready.state(instrument)["flags"] & BookFlag.DESYNCED
    assert ready.order() == []


def test_by_policy_a_gap_is_skipped_at_once(ready: Bench):
    ready.device.write_register("GAP_POLICY", GapPolicy.SKIP)
    ready.turn()
    first = ready.sequence
    for line in (0, 1):
        ready.send(itch.system(b"Q"), line=line, first=first + 3)
    assert ready.device.counters()["messages_lost"] == 3
    assert ready.device.read_register("FEED_EXPECTED") == first + 4


def test_a_market_ring_that_was_not_read_in_time_says_how_much_is_gone(bench: Bench):
    bench.open_market()
    bench.records()
    slots = 1 << MARKET_LOG2
    for number in range(2 * slots):
        bench.send(itch.add(AAA, 1_000 + number, b"B", 1, 99 * DOLLAR),
                   itch.trade(AAA, 0, b"B", 1, 100 * DOLLAR, match=number))
    found = bench.records()
    written = bench.device.read_register("RING_MARKET_SEQUENCE")
    assert bench.market.lost > 0
    assert found[-1][1]["record_sequence"] == written
    # What was lost is in the state table.
    assert bench.state(0)["feed_sequence"] == bench.sequence - 1


def test_an_order_for_a_halted_instrument_is_refused(ready: Bench):
    ready.send(itch.action(AAA, b"H"))
    assert ready.order() == []
    assert len(ready.order(locate=BBB)) == 1
    reject = next(record for kind, record in ready.answers() if kind == RecordType.RISK_REJECT)
    assert reject["checks"] == 1 << CheckIndex.TRADING_STATE


def test_a_sale_is_a_sale(ready: Bench):
    message, = ready.order(flags=SELL, price=100 * DOLLAR + 100)
    assert message[5:6] == b"S"
