"""The gateware's order path is the kernels': records, octets that leave, on any sequence.

Method: the sequences that drive kernels and reference (``tests/parity/test_order_path.py``) drive
the compiled gateware too; after each step the records are compared octet for octet.
"""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cycle.order_path import arm_device, arm_trigger
from tests.drawing import rounds
from tests.order_card import CardPair, judged, model_of, staged
from tests.order_rig import DOLLAR, SYMBOLS, crc32c, pack_intent, pack_settle, sealed
from tests.parity.test_order_path import CALM, DAWN, MIXED
from tickwire.spec.checks import CheckIndex
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import Operation, TriggerKind
from tickwire.spec.limits import limits_rows
from tickwire.spec.records import RECORDS, FeedState, RecordType
from tickwire.spec.registers import ARM_KEY, KillCause
from tickwire.spec.sessions import SessionOperation
from tickwire.spec.wire import decode
from tickwire_hw.kill import ARM_LATENCY
from tickwire_hw.limit_rows import ROW_CYCLES

ANY = rounds("TICKWIRE_CARD_SEQUENCES", 12)


@pytest.fixture(scope="module")
def model():
    return model_of(CARD_SMALL)


def run(model, steps, is_hurried, *, is_ready=True, noise=None):
    pair = CardPair(model, noise, is_hurried)
    if is_ready:
        pair.ready()
    for step in steps:
        pair.step(*step)
    pair.catch_up()


@ANY
@given(st.lists(CALM, min_size=25, max_size=60), st.booleans())
def test_trading(model, turn, steps, is_hurried):
    run(model, steps, is_hurried)


@ANY
@given(st.lists(MIXED, min_size=25, max_size=60), st.booleans(), st.integers(0, 1 << 32))
def test_any_sequence_while_the_ring_holds_back(model, turn, steps, is_hurried, seed):
    run(model, steps, is_hurried, noise=random.Random(seed))


@ANY
@given(st.lists(DAWN, min_size=25, max_size=60), st.booleans())
def test_from_power_on(model, turn, steps, is_hurried):
    run(model, steps, is_hurried, is_ready=False)


@pytest.fixture
def pair(model):
    found = CardPair(model)
    found.ready()
    return found


def both(pair, **fields):
    """Give an intent to kernels and card; compare; return the card's records."""
    context, first = pair.rig.path.context, int(pair.rig.path.ring["written"])
    expected, epoch = int(context["expected"]), int(context["epoch"])
    octets = sealed(pack_intent(**fields), epoch, expected)
    pair.rig.execute(octets, pair.now, seal=False)
    pair.intent(octets, **judged(octets, expected, epoch, pair.now))
    pair.ask()
    pair.compare_card(first)
    return records(pair)


def records(pair):
    """The card's newest records, as pairs of type and fields."""
    return [(kind, decode(RECORDS[kind], octets + bytes(8)))
            for kind, octets in pair.card.records]


ORDER = {"price": 100 * DOLLAR, "quantity": 100}
HEARTBEAT = b"\0\1R"


def test_a_session_that_the_host_runs_gets_records_and_no_frame(pair):
    pair.rig.path.context["released"] = pair.card.fixed["released"] = 2
    kinds = [RecordType.ORDER_RELEASED, RecordType.ORDER_SENT]
    for fields in ({"session": 1, "flags": 3, **ORDER}, {"session": 1, **ORDER},
                   {"operation": Operation.REPLACE, "token": 2, "price": 99 * DOLLAR,
                    "quantity": 150},
                   {"operation": Operation.CANCEL, "token": 1, "quantity": 10},
                   {"operation": Operation.MASS_CANCEL}):
        found = both(pair, **fields)
        assert [kind for kind, _ in found][:2] == kinds and len(found) % 2 == 0
        assert not pair.card.sent
    assert [kind for kind, _ in both(pair, **ORDER)] == [RecordType.ORDER_SENT]
    assert pair.card.sent


def test_orders_have_no_number_below_the_one_that_the_host_wrote(pair):
    for number, token in ((0, 1), (1, 2), (700, 700), (3, 701), (703, 703)):
        pair.card.give(i_number__valid=1, i_number__payload=number)
        context = pair.rig.path.context
        context["next_token"] = max(int(context["next_token"]), number)
        [(kind, fields), *_] = both(pair, **ORDER | {"price": 99 * DOLLAR})
        assert (kind, fields["token"]) == (RecordType.ORDER_SENT, token)
    pair.card.give(i_number__valid=1, i_number__payload=0xFFFF_FFFF)
    pair.rig.path.context["next_token"] = 0xFFFF_FFFF
    [(kind, fields), *_] = both(pair, **ORDER)         # the last number is never given
    assert (kind, fields["check"]) == (RecordType.RISK_REJECT, CheckIndex.OPEN_ORDERS)


def test_more_own_orders_than_places(pair):
    for number in range(12):
        both(pair, **ORDER | {"price": 99 * DOLLAR + 100 * number, "flags": number & 1})
    for token in (12, 3, 4, 11, 10, 9, 1):
        first = int(pair.rig.path.ring["written"])
        for operation, fields in ((Operation.SETTLE_ACCEPTED, {"quantity": 100}),
                                  (Operation.SETTLE_FILLED, {"quantity": 100})):
            octets = pack_settle(operation=operation, token=token, price=99 * DOLLAR, **fields)
            pair.rig.settle(pair.now, operation=operation, token=token, price=99 * DOLLAR,
                            **fields)
            pair.intent(octets, error=0)
        pair.ask()
        pair.compare_card(first)
        both(pair, price=99 * DOLLAR + 600, quantity=1, flags=token & 1)


def test_an_order_that_never_left_is_told_and_owes_nothing(pair):
    pair.card.give(i_session={"session": 0, "operation": SessionOperation.RELEASE})
    pair.intent(sealed(pack_intent(**ORDER), 2, 1), error=0)
    pair.ask()
    (kind, record), = records(pair)
    assert kind == RecordType.ORDER_REJECTED and not pair.card.sent
    assert (record["token"], record["reason"], record["leaves"]) == (1, 0, 0)
    pair.card.give(i_session={"session": 0, "operation": SessionOperation.LEASE})
    pair.intent(sealed(pack_intent(**ORDER), 2, 1), error=0)
    pair.ask()
    (kind, record), = records(pair)
    assert kind == RecordType.ORDER_SENT
    assert (record["open_notional"], record["open_quantity"]) == (100 * DOLLAR * 100, 100)


def test_a_kill_while_the_line_is_held_back(pair):
    octets = sealed(pack_intent(**ORDER), 2, 1)
    pair.intent(octets, error=0)
    asked, = pair.asked
    pair.card.records, pair.card.sent = [], b""
    last = pair.card.cycles(40, is_held=True, **asked)
    assert not last["is_idle"]
    pair.card.cycles(4, is_held=True, causes=int(KillCause.EXTERNAL))
    pair.card.give()
    assert [kind for kind, _ in records(pair)] == [RecordType.KILL, RecordType.ORDER_REJECTED]
    assert not pair.card.sent


@pytest.mark.parametrize("released", (0, 1), ids=("framed", "released"))
def test_a_kill_is_told_behind_what_left_and_in_front_of_what_it_refused(pair, released):
    """The cause comes in every cycle of an order that passes, and of one that does not."""
    pair.card.fixed["released"] = released
    saved, told = pair.card.save(), set()
    for price in (ORDER["price"], 0):
        pair.intent(sealed(pack_intent(**ORDER | {"price": price}), 2, 1), error=0)
        asked = pair.asked.pop()
        for cycle in range(1, 40):
            pair.card.restore(saved)
            pair.card.records = []
            pair.card.run(cycle, {0: asked})
            pair.card.cycles(1, causes=int(KillCause.EXTERNAL))
            pair.card.give()
            found = records(pair)
            kinds = [kind for kind, _ in found]
            behind = kinds[kinds.index(RecordType.KILL) + 1:]
            assert RecordType.ORDER_SENT not in behind, cycle
            rejects = [record["checks"] & 1 << CheckIndex.GLOBAL_KILL for kind, record in found
                       if kind == RecordType.RISK_REJECT]
            assert all(is_killed == (RecordType.RISK_REJECT in behind) for is_killed in rejects)
            told |= set(kinds)
    assert told == {RecordType.KILL, RecordType.ORDER_SENT, RecordType.RISK_REJECT,
                    RecordType.ORDER_RELEASED if released else RecordType.ORDER_REJECTED}


def test_what_was_given_while_killed_does_not_pass_though_both_keys_come_meanwhile(pair):
    pair.card.give(causes=int(KillCause.EXTERNAL))
    epoch = int(pair.card.cycles(1)["epoch"])
    pair.intent(sealed(pack_intent(**ORDER), epoch, 1), error=0)
    asked, saved = pair.asked.pop(), pair.card.save()
    for ahead in range(-4, 24):                # cycles from the intent to the second key
        pair.card.restore(saved)
        pair.card.records, pair.card.sent = [], b""
        given = {24 + at: {"i_arm__valid": 1, "i_arm__payload": key} for at, key in (
            (0, epoch ^ ARM_KEY), (ARM_LATENCY, (epoch ^ ARM_KEY) ^ 0xFFFF_FFFF))}
        given.setdefault(24 + ARM_LATENCY - ahead, {}).update(asked)
        last = pair.card.run(80, given)
        (kind, record), = records(pair)
        assert (last["epoch"], kind, pair.card.sent) == (epoch + 1, RecordType.RISK_REJECT, b"")
        assert (record["check"], record["value"]) == (CheckIndex.GLOBAL_KILL, KillCause.EXTERNAL)


def test_a_commit_waits_for_one_intent_at_most_however_many_come(pair):
    """A cancel of nothing each time the port is ready; the commit gets its turn."""
    octets = staged(pair.rig.path)
    loaded = np.frombuffer(octets, "<u8")
    rows = pair.card.columns(len(loaded) + ROW_CYCLES * limits_rows(len(SYMBOLS)) + 64)
    rows["table_begin__valid"][0] = 1
    rows["table_word__valid"][1:len(loaded) + 1] = 1
    rows["table_word__payload"][1:len(loaded) + 1] = loaded
    asked = len(loaded) + 1
    pair.card.model.put(rows[asked:], "limits_commit__payload", version=2, crc=crc32c(octets))
    rows["limits_commit__valid"][asked] = 1
    rows["i__valid"] = 1
    pair.card.model.put(rows, "i__payload", intent=np.frombuffer(
        pack_intent(operation=Operation.CANCEL, token=9), np.uint64).reshape(1, 8))
    pair.card.records = []
    found = pair.card.model.run(rows)
    pair.card.keep(rows, found)
    kinds = [kind for kind, _ in pair.card.records]
    acknowledged = kinds.index(RecordType.CONFIG_ACKNOWLEDGED)
    assert kinds.count(RecordType.CONFIG_ACKNOWLEDGED) == 1
    assert set(kinds[:acknowledged]) == set(kinds[acknowledged + 1:]) == {RecordType.INTENT_ERROR}
    assert int(found["configured"].astype(bool).argmax()) < asked + ROW_CYCLES * limits_rows(
        len(SYMBOLS)) + 24


@pytest.mark.parametrize("fields, cycles", [
    (ORDER, 9), ({"operation": Operation.REPLACE, "token": 1, **ORDER}, 15),
    ({"operation": Operation.CANCEL, "token": 1}, 6)], ids=("new", "replace", "cancel"))
def test_cycles_from_intent_to_first_word(pair, fields, cycles):
    """From the intent at the port; the first word leaves with the verdict."""
    both(pair, **ORDER)
    octets = sealed(pack_intent(**fields), 2, 1)
    pair.intent(octets, error=0)
    asked, = pair.asked
    model = pair.card.model
    rows = model.rows(64, record__ready=1, o__ready=1, **pair.card.fixed)
    rows["i__valid"][0] = 1
    model.put(rows[:1], "i__payload", **{name: value if name == "intent" else [value]
                                         for name, value in asked["i"].items()})
    found = model.run(rows)
    assert int(found["o__valid"].argmax()) == cycles


@pytest.mark.parametrize("fields, cycles", [
    (ORDER, 9), ({"operation": Operation.REPLACE, "token": 1, **ORDER}, 15),
    ({"operation": Operation.CANCEL, "token": 1}, 6)], ids=("new", "replace", "cancel"))
def test_a_heartbeat_in_any_cycle_leaves_orders_and_records_as_they_are(model, fields, cycles):
    """Asked for around the cycle of an intent: both leave whole, after its 8 words at most."""
    late, begin = {}, 16
    for asked_at in range(begin - 12, begin + 18):
        pair = CardPair(model)
        pair.ready()
        both(pair, **ORDER)
        pair.intent(sealed(pack_intent(**fields), 2, 1), error=0)
        asked, = pair.asked
        pair.card.records, pair.card.sent = [], b""
        rows = pair.card.columns(80)
        rows["i__valid"][begin] = 1
        pair.card.model.put(rows[begin:begin + 1], "i__payload", **{
            name: value if name == "intent" else [value] for name, value in asked["i"].items()})
        rows["i_session__valid"][asked_at] = 1
        pair.card.model.put(rows[asked_at:asked_at + 1], "i_session__payload", session=[0],
                            operation=[int(SessionOperation.HEARTBEAT)])
        found = pair.card.model.run(rows)
        if not found["i_session__ready"][asked_at]:
            continue
        pair.card.keep(rows, found)
        assert [kind for kind, _ in records(pair)] == [RecordType.ORDER_SENT]
        is_first = np.flatnonzero(found["o__valid"] & pair.card.model.get(
            found, "o__payload", "first").astype(bool))
        sent = pair.card.sent
        assert len(is_first) == 2 and HEARTBEAT in (sent[:3], sent[-3:])
        late[asked_at] = int(is_first[int(sent[:3] == HEARTBEAT)]) - begin - cycles
    assert len(late) > 20 and min(late.values()) == 0
    assert max(late.values()) <= 8


@pytest.mark.parametrize("kind, cycles", [(TriggerKind.TAKE, 4), (TriggerKind.CANCEL_ON_MOVE, 8)])
def test_an_armed_order_waits_for_a_heartbeat_for_twelve_cycles_at_most(model, kind, cycles):
    """Its words, and the longer way of an order that has to wait."""
    fixed = {"sessions": 1, "has_room": 1, "sessions_up": 1, "record__ready": 1, "o__ready": 1,
             "feed_state": int(FeedState.LIVE)}
    late, begin, price = [], 20, 100 * DOLLAR
    for asked_at in range(begin - 14, begin + 16):
        model.restart()
        given = model.rows(1, i_taught__valid=1, **fixed)
        model.put(given, "i_taught__payload", is_watched=1, locate=7)
        model.run(given)
        arm_device(model, fixed)
        given = model.rows(64, **fixed)
        given["i__valid"][0] = 1
        model.put(given[:1], "i__payload", intent__operation=[int(Operation.NEW)],
                  intent__locate=[7], intent__price=[price], intent__quantity=[100])
        model.run(given)
        arm_trigger(model, fixed, locate=7, price=price, token=1, kind=int(kind), generation=1,
                    trigger_price=price)
        given = model.rows(96, **fixed)
        given["i_early__valid"][begin] = 1
        model.put(given[begin:begin + 1], "i_early__payload", is_early=1, sequence=1, ask=price,
                  ask_quantity=100)
        given["i_session__valid"][asked_at] = 1
        model.put(given[asked_at:asked_at + 1], "i_session__payload", session=[0],
                  operation=[int(SessionOperation.HEARTBEAT)])
        found = model.run(given)
        first, last = (np.flatnonzero(found["o__valid"] & model.get(
            found, "o__payload", name).astype(bool)) for name in ("first", "last"))
        [began] = first[last - first + 1 != 8]
        assert len(first) == 1 + found["i_session__ready"][asked_at]
        late.append(int(began) - begin - cycles)
    assert min(late) == 0 and 0 < max(late) <= 12
