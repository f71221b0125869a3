"""Kill switch, arming, watchdog and mass cancel: they must work when all else went wrong."""

import pytest

from tests.order_rig import DOLLAR, LOCATES, Rig, pack_intent, sealed
from tickwire.errors import TickwireError
from tickwire.kernels import order_path
from tickwire.kernels.order_layout import BATCH, SCAN
from tickwire.spec.intents import IntentError, Operation
from tickwire.spec.orders import RESERVED_RECORDS
from tickwire.spec.records import RecordType
from tickwire.spec.registers import ARM_KEY, KillAction, KillCause

BID = 100 * DOLLAR


@pytest.fixture
def rig():
    return Rig()


def test_power_on_state_is_killed():
    rig = Rig(is_ready=False)
    assert rig.path.killed == KillCause.POWER_ON


def test_causes_accumulate_with_one_record_each(rig):
    for cause in (KillCause.REGISTER, KillCause.EXTERNAL, KillCause.REGISTER):
        order_path.kill(rig.address, cause, 5)
    records = rig.records()
    assert [record["cause"] for _, record in records] == [
        KillCause.REGISTER, KillCause.REGISTER | KillCause.EXTERNAL]
    assert rig.count("KILLS") == 1 and int(rig.path.context["kill_time"]) == 5


def test_the_kill_record_tells_what_is_open(rig):
    rig.send()
    rig.send(intent_id=99)
    rig.path.context["watchdog_ns"] = 10_000_000
    order_path.kill(rig.address, KillCause.LINK_DOWN, 6)
    record = rig.last()[1]
    assert (record["open_orders"], record["last_intent"], record["watchdog_period"]) == (
        2, 99, 10_000)


def test_cancels_and_answers_go_on_when_killed(rig):
    token = rig.send(quantity=100)
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    rig.records()
    rig.rejected()
    assert rig.new(operation=Operation.CANCEL, token=token)
    rig.records()
    rig.answer(Operation.SETTLE_FILLED, token, quantity=40, price=BID)
    assert int(rig.path.exposures[0]["position"]) == 40


def keys(rig):
    first = int(rig.path.context["epoch"]) ^ ARM_KEY
    return first, first ^ 0xFFFF_FFFF


def test_two_keys_within_a_millisecond_arm_and_make_a_new_epoch(rig):
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    first, second = keys(rig)
    epoch = int(rig.path.context["epoch"])
    assert order_path.arm(rig.address, first, 1_000) == 0
    assert rig.path.killed
    assert order_path.arm(rig.address, second, 1_001_000) == 1
    assert not rig.path.killed and int(rig.path.context["epoch"]) == epoch + 1
    rig.records()
    rig.execute(sealed(pack_intent(price=BID, quantity=1), epoch,
                       int(rig.path.context["expected"])), seal=False)
    assert rig.last()[1]["error"] == IntentError.EPOCH


@pytest.mark.parametrize("sequence", ["second", "wrong", "first late second", "second first wrong",
                                      "first wrong second", "first early second"])
def test_any_other_keys_do_not_arm(rig, sequence):
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    first, second = keys(rig)
    now, result = 10_000_000, 0
    for word in sequence.split():
        if word == "late":
            now += 1_000_001
        elif word == "early":
            now -= 1
        else:
            result = order_path.arm(rig.address, {"first": first, "second": second,
                                                  "wrong": 7}[word], now)
    assert result == -1 and rig.path.killed
    assert rig.count("ARMS_REFUSED") >= 1


def test_a_kill_between_the_keys_forgets_the_first(rig):
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    first, second = keys(rig)
    assert order_path.arm(rig.address, first, 10) == 0
    order_path.kill(rig.address, KillCause.FEED_STALE, 11)
    assert order_path.arm(rig.address, second, 12) == -1


def test_an_armed_device_takes_no_keys(rig):
    for key in keys(rig):
        assert order_path.arm(rig.address, key, 0) == -1
    with pytest.raises(TickwireError, match="only a killed one can be armed"):
        rig.path.arm(0)


def test_the_watchdog_bites_after_its_period_and_not_before(rig):
    rig.path.context["watchdog_ns"] = 1_000
    rig.path.context["kick_time"] = 5_000
    assert order_path.watch(rig.address, 6_000) == 0
    assert order_path.kick(rig.address, 1, 6_000) == 1
    assert order_path.watch(rig.address, 7_000) == 0
    assert order_path.watch(rig.address, 7_001) == 1
    assert rig.path.killed == KillCause.WATCHDOG
    kind, record = rig.last()
    assert kind == RecordType.KILL and record["last_kick"] == 6_000
    assert order_path.watch(rig.address, 9_000) == 0, "killed once"
    rig.path.arm(9_000)
    assert order_path.watch(rig.address, 10_000) == 0, "arming starts the period"


def test_only_a_rising_value_kicks(rig):
    rig.path.context["watchdog_ns"] = 1_000
    assert order_path.kick(rig.address, 5, 100) == 1
    for value in (5, 4, 0, -1):
        assert order_path.kick(rig.address, value, 900) == 0
    assert rig.count("WATCHDOG_REFUSED") == 4
    assert order_path.watch(rig.address, 1_101) == 1


@pytest.mark.parametrize("is_nop", [False, True])
def test_a_kick_that_comes_too_soon_kills_but_the_first_after_arming_does_not(rig, is_nop):
    def kick(value, now):
        if is_nop:
            rig.execute(pack_intent(operation=Operation.NOP), now)
        else:
            order_path.kick(rig.address, value, now)

    rig.path.context["watchdog_closed_ns"] = 1_000
    kick(1, 5)
    kick(2, 1_005)
    assert not rig.path.killed
    kick(3, 2_004)
    assert rig.path.killed == KillCause.WATCHDOG
    kick(4, 2_005)                              # a killed device is kicked as one likes
    assert rig.count("WATCHDOG_KICKS") == 4 and rig.count("KILLS") == 1
    rig.path.arm(2_006)
    kick(5, 2_007)
    assert not rig.path.killed


def test_a_nop_kicks_because_it_proves_the_path(rig):
    rig.path.context["watchdog_ns"] = 1_000
    rig.execute(pack_intent(operation=Operation.NOP), 5_000)
    assert order_path.watch(rig.address, 6_000) == 0
    rig.execute(sealed(pack_intent(operation=Operation.NOP), 9,
                       int(rig.path.context["expected"])), 6_000, seal=False)
    assert order_path.watch(rig.address, 6_001) == 1, "a NOP of another epoch proves nothing"


def cancelled(packets):
    """Tokens of a group of Cancel Order packets of 12 octets."""
    assert len(packets) % 12 == 0
    parts = [packets[start:start + 12] for start in range(0, len(packets), 12)]
    assert all(part[:4] == b"\x00\x0aUX" and part[8:] == bytes(4) for part in parts)
    return [int.from_bytes(part[4:8], "big") for part in parts]


def sweep_all(rig, now=0):
    groups = []
    while order_path.sweeping(rig.address):
        groups.append(cancelled(rig.leave(order_path.sweep(rig.address, now), now)))
    return groups


def sweep_rest(rig):
    return [token for group in sweep_all(rig) for token in group]


def test_a_mass_cancel_goes_on_over_calls_until_every_order_was_cancelled(rig):
    tokens = [rig.send() for _ in range(2 * BATCH + 3)]
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0, intent_id=5, timestamp=6))
    assert first == tokens[:BATCH]
    records = rig.records()
    assert len(records) == BATCH
    assert {(kind, record["operation"], record["intent_id"], record["intent_timestamp"])
            for kind, record in records} == {(RecordType.ORDER_SENT, Operation.CANCEL, 5, 6)}
    late = rig.send()                            # sent while the cancel is under way
    groups = sweep_all(rig)
    assert [len(group) for group in groups if group] == [BATCH, 3]
    assert sum(groups, first) == tokens and late not in sum(groups, first)
    assert rig.count("CANCELS_SENT") == len(tokens)


def test_a_mass_cancel_of_one_instrument_spares_the_others(rig):
    mine = [rig.send(locate=LOCATES[1]) for _ in range(3)]
    for _ in range(3):
        rig.send()
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=LOCATES[1]))
    assert first + sweep_rest(rig) == mine


def test_a_call_looks_at_a_bounded_number_of_rows():
    rig = Rig(orders_log2=12)
    rig.send()
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0))
    groups = sweep_all(rig)
    assert sum(groups, first) == [1] and len(groups) == 4096 // SCAN


def test_a_group_is_for_one_session_and_a_session_that_is_down_is_counted(rig):
    a = [rig.send(session=0) for _ in range(2)]
    b = [rig.send(session=1) for _ in range(2)]
    c = [rig.send(session=0)]
    order_path.kill(rig.address, KillCause.REGISTER, 0)
    rig.new(operation=Operation.MASS_CANCEL, locate=0)
    groups, sessions = [a], [0]
    while order_path.sweeping(rig.address):
        group = cancelled(rig.leave(order_path.sweep(rig.address, 0)))
        if group:
            groups.append(group)
            sessions.append(int(rig.path.context["tx_session"]))
    assert groups == [a, b, c] and sessions == [0, 1, 0]
    rig.up[1] = 0
    first = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0))
    assert first + sweep_rest(rig) == a + c and rig.count("CANCELS_UNSENT") == 2


def test_a_kill_cancels_everything_when_it_is_told_to(rig):
    tokens = [rig.send(), rig.send(locate=LOCATES[1])]
    order_path.kill(rig.address, KillCause.EXTERNAL, 0)
    assert sweep_all(rig) == []
    rig.path.arm(0)
    rig.path.context["kill_action"] = KillAction.MASS_CANCEL
    order_path.kill(rig.address, KillCause.EXTERNAL, 7)
    assert sweep_rest(rig) == tokens
    assert all(record["intent_id"] == 0 for _, record in rig.records()
               if "operation" in record and record["operation"] == Operation.CANCEL)


def test_a_mass_cancel_keeps_the_record_of_an_order_just_sent(rig):
    order_path.execute(rig.address, rig.put(sealed(pack_intent(price=BID, quantity=7), 2, 1)), 10)
    order_path.kill(rig.address, KillCause.EXTERNAL, 11)
    rig.path.context["kill_action"] = KillAction.MASS_CANCEL
    order_path.kill(rig.address, KillCause.REGISTER, 12)
    assert not order_path.sweeping(rig.address), "only the first cause cancels"
    rig.path.arm(13)
    order_path.kill(rig.address, KillCause.REGISTER, 14)
    assert cancelled(rig.leave(order_path.sweep(rig.address, 15), 16)) == [1]
    assert [(record["timestamp"], record["operation"]) for kind, record in rig.records()
            if kind == RecordType.ORDER_SENT] == [(15, Operation.NEW), (16, Operation.CANCEL)]


def test_a_narrower_mass_cancel_never_shortens_one_under_way(rig):
    tokens = [rig.send(locate=LOCATES[index % 2]) for index in range(40)]
    rig.new(operation=Operation.MASS_CANCEL, locate=0)
    found = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=LOCATES[0]))
    assert set(found + sweep_rest(rig)) == set(tokens)


def test_a_mass_cancel_waits_for_room_in_the_ring():
    rig = Rig(ring_log2=6)
    for _ in range(60):
        rig.send()
    found = cancelled(rig.new(operation=Operation.MASS_CANCEL, locate=0))
    for _ in range(10):                         # the host does not read
        found += cancelled(rig.leave(order_path.sweep(rig.address, 0)))
    assert len(found) == 64 - RESERVED_RECORDS
    while order_path.sweeping(rig.address):
        rig.records()
        found += cancelled(rig.leave(order_path.sweep(rig.address, 0)))
    assert found == list(range(1, 61)) and rig.count("RECORDS_DROPPED") == 0


def test_a_cancel_on_a_session_that_is_down_is_refused(rig):
    token = rig.send(session=1)
    rig.up[1] = 0
    rig.refused(IntentError.SESSION_DOWN, 1, 1, operation=Operation.CANCEL, token=token)
