"""Triggers in gateware are the kernels': records, octets that leave and counts, on any sequence.

Method: kernels and compiled order path are driven by the same steps (``tests/trigger_rig.py``);
directed ones lie just inside and just outside of what fires.
"""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import maybe, rounds, step, weighted
from tests.order_card import model_of
from tests.order_rig import DOLLAR, LOCATES
from tests.parity.test_order_path import ARM, CALM, SESSIONS, SMALL, WILD, intent
from tests.trigger_rig import Foreseen, Twin, market_columns, sight_columns
from tickwire.spec.checks import CheckIndex
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import TRIGGERS, Operation, TriggerEvent, TriggerKind
from tickwire.spec.limits import UNLIMITED, OrderPermit
from tickwire.spec.records import RECORDS, BookFlag, RecordType, TradeFlag
from tickwire.spec.registers import KillCause
from tickwire.spec.wire import decode

ANY = rounds("TICKWIRE_CARD_SEQUENCES", 12)
BID, ASK = 100 * DOLLAR, 100 * DOLLAR + 100
FIRST_WORD = 5                             # cycles from a market record to an armed order's
SHOWN_ASK = {"bid": BID, "ask": ASK, "ask_quantity": 500}
PRICES = (BID, ASK, BID - 100, ASK + 100, 0, 0xFFFF_FFFF)
SHARES = (0, 1, 99, 100, 101, 0xFFFF_FFFF)
ORDERS = {"price": (BID, ASK, ASK, ASK + 100, 1), "quantity": (1, 50, 100, 100, 0),
          "flags": (0, 0, 1, 1, 3, 4), "intent_id": range(100),
          "kind": (*TriggerKind, *TriggerKind, 7, 7), "slot": (0, 0, 1, 2, 14, 15),
          "token": range(5), "group": (0, 0, 1, 2), "trigger_price": PRICES,
          "trigger_quantity": SHARES}
ODD = {"locate": maybe((*LOCATES, 8)), "ttl_ns": maybe((0, 1, 5_000, 100_000)),
       "timestamp": maybe((5_000, 5_000, 6_000, 1 << 63, (1 << 64) - 1)),
       "session": maybe((0, 1, SESSIONS)), "strategy": maybe((0, 1, 15, 16)),
       "generation": maybe((0, 0, 0, 1, -1)), "reserved": maybe((255,))}
PRE_ARM = step(("trigger",), **ORDERS)
WILD_ARM = step(("trigger",), **ORDERS | ODD | {
    "slot": (0, 15, 16, 255), "kind": (*TriggerKind, 0, 8, 255), "flags": (0, 1, 2, 16)})
DISARM = step(("trigger",), operation=(Operation.DISARM,), slot=ORDERS["slot"],
              locate=ODD["locate"], generation=ODD["generation"])
WHERE = (LOCATES[0],) * 5 + (*LOCATES, 8)
BEST = {"bid": PRICES, "ask": PRICES, "bid_quantity": SHARES, "ask_quantity": SHARES}
BBO = step(("market",), (RecordType.BBO,), **BEST, locate=WHERE, flags=maybe((*BookFlag,)))
SHOWN = step(("market",), (RecordType.BBO,), **BEST, last=maybe((BID, ASK, ASK + 100)),
             glimpse=maybe((0, 0, 1, 2, 3)))
TRADE = step(("market",), (RecordType.TRADE,), price=PRICES, locate=WHERE,
             flags=maybe((0, 2, 3, 5, 8, 9)))
OTHER = step(("market",), (RecordType.LEVEL, RecordType.STATUS), price=PRICES)
TIME = step(("time",), (0, 1, 1_000, 100_000))
NEW = intent(Operation.NEW, price=(BID,), quantity=(100,), flags=(0,), strategy=(0,), ttl_ns=(0,),
             timestamp=(5_000,), max_version_lag=(0,))
FILL = step(("honest",), ("accept", "fill"), SMALL, (1, 30, 100))
BUSY = weighted(PRE_ARM, PRE_ARM, PRE_ARM, DISARM, BBO, BBO, BBO, TRADE, TRADE, NEW, FILL, FILL)
SHORT_LIVED = step(("trigger",), **ORDERS, timestamp=(5_000,), ttl_ns=(1, 100, 100_000))
TOLD = weighted(BUSY, SHOWN, SHOWN, SHORT_LIVED, TIME)
ALL = weighted(*[BUSY] * 8, *[WILD_ARM] * 2, OTHER, TIME, CALM, CALM, ARM, ARM, WILD)


@pytest.fixture(scope="module")
def model():
    return model_of(CARD_SMALL)


@pytest.fixture
def twin(model):
    found = Twin(model)
    found.ready()
    return found


def run(model, steps, is_hurried, noise=None, kind=Twin):
    twin = kind(model, noise, is_hurried)
    twin.ready()
    for one in steps:
        twin.step(*one)
    twin.catch_up()


@ANY
@given(st.lists(BUSY, min_size=25, max_size=50), st.booleans())
def test_busy_slots(model, turn, steps, is_hurried):
    run(model, steps, is_hurried)


@ANY
@given(st.lists(TOLD, min_size=25, max_size=50), st.booleans())
def test_busy_slots_that_are_told_ahead(model, turn, steps, is_hurried):
    run(model, steps, is_hurried, kind=Foreseen)


@ANY
@given(st.lists(ALL, min_size=25, max_size=50), st.booleans(), st.integers(0, 999))
def test_any_sequence_while_the_ring_holds_back(model, turn, steps, is_hurried, seed):
    run(model, steps, is_hurried, random.Random(seed))


def told(twin):
    """The card's newest records: type, and of a trigger slot and event."""
    found = [(kind, decode(RECORDS[kind], octets + bytes(8)))
             for kind, octets in twin.card.records]
    return [(record["slot"], TriggerEvent(record["event"])) if kind == RecordType.TRIGGER
            else kind for kind, record in found]


def arm(twin, kind=TriggerKind.TAKE, **fields):
    """Arm a slot, by default 0, to buy 100 at the ask."""
    twin.step("trigger", {"kind": kind, "price": ASK, "quantity": 100, "trigger_price": ASK}
              | fields)
    return told(twin)


def bbo(twin, **fields):
    """Show best levels, by default 500 shares a side at the prices of the books."""
    twin.step("market", RecordType.BBO, {"bid": BID, "ask": ASK, "bid_quantity": 500,
                                         "ask_quantity": 500} | fields)
    return told(twin)


def trade(twin, **fields):
    """Show a trade."""
    twin.step("market", RecordType.TRADE, fields)
    return told(twin)


FIRED = [(0, TriggerEvent.FIRED), RecordType.ORDER_SENT]
KINDS = {                                  # trigger, a record just inside, one just outside
    "take": (TriggerKind.TAKE, {"trigger_quantity": 500}, {}, {"ask": ASK + 1}),
    "take of too few": (TriggerKind.TAKE, {"trigger_quantity": 500}, {}, {"ask_quantity": 499}),
    "cross": (TriggerKind.CROSS, {}, {}, {"ask": ASK - 1}),
    "join": (TriggerKind.JOIN, {"trigger_price": BID}, {}, {"bid": BID - 1}),
    "size": (TriggerKind.SIZE, {"trigger_quantity": 500}, {}, {"ask_quantity": 501}),
    "size elsewhere": (TriggerKind.SIZE, {"trigger_quantity": 500}, {}, {"ask": ASK - 1}),
    "empty side": (TriggerKind.TAKE, {}, {}, {"ask": 0})}
SALE = {"flags": 1, "price": BID, "trigger_price": BID}
KINDS |= {
    "take for a sale": (TriggerKind.TAKE, SALE | {"trigger_quantity": 500}, {}, {"bid": BID - 1}),
    "cross for a sale": (TriggerKind.CROSS, SALE, {}, {"bid": BID + 1}),
    "join for a sale": (TriggerKind.JOIN, SALE | {"trigger_price": ASK}, {}, {"ask": ASK + 1})}


def test_of_a_message_told_ahead_only_its_own_records_are_passed_over(model):
    """An event of the feed shows books anew under the number of the message before it."""
    twin = Foreseen(model)
    twin.ready()
    arm(twin)
    assert bbo(twin, ask=ASK + 1) == []
    assert bbo(twin, bid=ASK, flags=BookFlag.CROSSED) == FIRED


def test_a_print_that_no_slot_waits_for_disarms_none_whose_time_is_over(model):
    """A card that was told ahead of the best levels behind it never looks at it."""
    for kind in (Twin, Foreseen):
        twin = kind(model)
        twin.ready()
        arm(twin, slot=1, group=1, timestamp=twin.now, ttl_ns=1)
        arm(twin, group=1)
        twin.step("time", 2)
        assert trade(twin, price=ASK) == []
        assert bbo(twin, **{"last": ASK} if kind is Foreseen else {}) == [
            FIRED[0], (1, TriggerEvent.GROUP), FIRED[1]]
        arm(twin, TriggerKind.TRADE_THROUGH, timestamp=twin.now, ttl_ns=1)
        twin.step("time", 2)
        assert bbo(twin) == [] and trade(twin, price=ASK) == [(0, TriggerEvent.EXPIRED)]


@pytest.mark.parametrize("case", KINDS)
def test_a_record_just_inside_fires_and_one_just_outside_does_not(twin, case):
    kind, fields, inside, outside = KINDS[case]
    assert arm(twin, kind, **fields) == [(0, TriggerEvent.ARMED)]
    assert bbo(twin, **outside) == []
    assert trade(twin, price=ASK) == []
    assert bbo(twin, locate=LOCATES[1], **inside) == []
    for flag in (BookFlag.RECOVERING, BookFlag.STALE, BookFlag.DESYNCED, BookFlag.BID_HIDDEN,
                 BookFlag.ASK_HIDDEN):
        assert bbo(twin, flags=flag, **inside) == []
    assert bbo(twin, **inside) == FIRED
    assert bbo(twin, **inside) == []


@pytest.mark.parametrize("fields, inside, outside", (
    ({"trigger_price": BID}, BID + 1, BID), (SALE, BID - 1, BID)), ids=("buy", "sale"))
def test_a_print_beyond_the_price_fires(twin, fields, inside, outside):
    arm(twin, TriggerKind.TRADE_THROUGH, **fields)
    assert trade(twin, price=outside) == [] and bbo(twin) == []
    for flags in (0, TradeFlag.BROKEN, TradeFlag.PRINTABLE | TradeFlag.BROKEN, TradeFlag.HIDDEN):
        assert trade(twin, price=inside, flags=flags) == []
    assert trade(twin, price=inside) == FIRED


@pytest.mark.parametrize("kind", sorted({*RecordType} - {RecordType.BBO, RecordType.TRADE}))
def test_no_other_record_fires_whatever_is_in_it(twin, kind):
    arm(twin, TriggerKind.TRADE_THROUGH)
    twin.step("market", kind, {"price": ASK + 1})
    assert told(twin) == [] and trade(twin, price=ASK + 1) == FIRED


def test_all_slots_fire_on_one_record_in_order_and_one_of_a_group_cancels_the_others(twin):
    twin.step("limits", None, {"lot": 1, "duplicate_ns": 0})
    for slot in reversed(range(TRIGGERS)):
        arm(twin, slot=slot, quantity=10 + slot, group=slot >> 3 if slot & 1 else 0)
    events = [event for event in bbo(twin) if isinstance(event, tuple)]
    assert [slot for slot, event in events if event == TriggerEvent.FIRED] == [
        *range(8), 8, 9, 10, 12, 14]
    assert [slot for slot, event in events if event == TriggerEvent.GROUP] == [11, 13, 15]


def test_an_order_is_cancelled_when_the_market_moves(twin):
    twin.step("intent", {"operation": Operation.NEW, "price": BID, "quantity": 100})
    arm(twin, TriggerKind.CANCEL_ON_MOVE, token=0)
    assert bbo(twin) == FIRED
    arm(twin, TriggerKind.CANCEL_ON_MOVE, token=0)
    twin.step("session", 0, False)
    assert bbo(twin) == [RecordType.INTENT_ERROR, (0, TriggerEvent.FIRED)]
    assert arm(twin, TriggerKind.CANCEL_ON_MOVE, token=-1) == [RecordType.INTENT_ERROR]


def test_fills_are_hedged_until_the_quantity_is_used_up(twin):
    twin.step("intent", {"operation": Operation.NEW, "price": BID, "quantity": 100})
    arm(twin, TriggerKind.FILL_HEDGE, token=0, quantity=70, group=3, **SALE)
    arm(twin, slot=1, group=3, trigger_price=1)
    twin.step("honest", "accept", 0, 100)
    first = [RecordType.ORDER_FILLED, *FIRED[:1], (1, TriggerEvent.GROUP), FIRED[1]]
    second = [RecordType.ORDER_FILLED, *FIRED]
    for quantity, expected in ((30, first), (50, second), (20, second[:1])):
        assert bbo(twin) == []
        fields = {"price": BID, "quantity": quantity}
        twin.step("answer", Operation.SETTLE_FILLED, int(twin.context["next_token"]) - 2, fields)
        assert told(twin) == expected


def test_a_hedge_of_another_instruments_order_is_refused_and_a_cancel_of_it_is_not(twin):
    twin.step("intent", {"operation": Operation.NEW, "price": BID, "quantity": 100})
    other = {"locate": LOCATES[1], "token": 0, **SALE}
    assert arm(twin, TriggerKind.FILL_HEDGE, **other) == [RecordType.INTENT_ERROR]
    assert arm(twin, TriggerKind.CANCEL_ON_MOVE, **other) == [(0, TriggerEvent.ARMED)]
    assert bbo(twin, locate=LOCATES[1]) == FIRED


def test_a_trigger_fires_at_its_last_nanosecond_and_not_later(twin):
    for elapsed, expected in ((1_000, FIRED), (1_001, [(0, TriggerEvent.EXPIRED)])):
        arm(twin, timestamp=twin.now, ttl_ns=1_000)
        twin.step("time", elapsed)
        assert bbo(twin) == expected


def test_a_kill_disarms_all_for_good(twin):
    arm(twin)
    twin.step("kill", KillCause.EXTERNAL)
    assert bbo(twin) == []
    arm(twin, slot=1)                          # under the arming token of the kill
    twin.step("arm")
    assert bbo(twin) == []
    twin.step("trigger", {"operation": Operation.DISARM})
    assert told(twin) == [RecordType.INTENT_ERROR]
    assert arm(twin) == [(0, TriggerEvent.ARMED)] and bbo(twin) == FIRED


def test_the_gate_refuses_what_it_always_would_when_armed_and_the_rest_when_fired(twin):
    assert arm(twin, price=ASK + 1) == [RecordType.RISK_REJECT]
    assert arm(twin) == [(0, TriggerEvent.ARMED)]
    twin.step("limits", None, {"quantity_max": 99})
    assert bbo(twin) == [RecordType.RISK_REJECT, (0, TriggerEvent.FIRED)]
    assert bbo(twin) == []
    assert arm(twin, slot=TRIGGERS) == arm(twin, generation=1) == [RecordType.INTENT_ERROR]
    twin.step("limits", None, {"quantity_max": UNLIMITED, "collar_price": 0, "collar_bps": 0})
    assert arm(twin, price=ASK + 100) == [(0, TriggerEvent.ARMED)]
    assert bbo(twin) == [RecordType.RISK_REJECT, (0, TriggerEvent.FIRED)]


def test_what_was_found_when_it_was_armed_stands_in_the_reject(twin):
    permits = sum(OrderPermit) & ~OrderPermit.DAY
    row = {"permits": permits, "band_upper": ASK + 50, "collar_price": 0, "collar_bps": 0}
    twin.step("firm", {"soft_checks": 1 << CheckIndex.ORDER_TYPE})
    twin.step("limits", None, row)
    for price, expected in ((ASK, FIRED), (ASK + 100, [RecordType.RISK_REJECT, FIRED[0]])):
        assert arm(twin, price=price) == [(0, TriggerEvent.ARMED)]
        assert bbo(twin) == expected


def test_nothing_fires_without_room_and_what_still_holds_fires_later(twin):
    arm(twin)
    twin.card.fixed["has_room"] = 0
    twin.card.records = []
    twin.card.give(**shown(bid=BID, ask=ASK, ask_quantity=500))
    assert twin.card.records == []
    twin.card.fixed["has_room"] = 1
    assert bbo(twin) == FIRED


def shown(**fields):
    """Columns of a BBO record."""
    return market_columns(RecordType.BBO, fields)


def test_records_that_come_while_an_order_waits_are_looked_at_later_and_beyond_16_lost(twin):
    arm(twin)
    arm(twin, slot=1, trigger_price=ASK - 100)
    card = twin.card
    card.records, card.sent = [], b""
    card.strobes = {"triggers_fired": 0, "triggers_missed": 0}
    card.cycles(40, is_held=True, **shown(bid=BID, ask=ASK, ask_quantity=500))
    for number in range(18):
        card.cycles(2, is_held=True, **shown(
            bid=BID, ask=ASK - 100 if number in (15, 17) else ASK, ask_quantity=500,
            sequence=100 + number))
    assert card.strobes == {"triggers_fired": 1, "triggers_missed": 2 + 1}
    card.give()
    fired = [decode(RECORDS[kind], octets + bytes(8)) for kind, octets in card.records
             if kind == RecordType.TRIGGER]
    assert [(record["slot"], record["feed_sequence"]) for record in fired] == [(0, 42)]


def test_a_kill_between_the_record_and_the_first_word_lets_nothing_pass(twin):
    for cycle in range(1, FIRST_WORD):
        arm(twin)
        card = twin.card
        card.records, card.sent = [], b""
        card.cycles(cycle, **shown(bid=BID, ask=ASK, ask_quantity=500))
        card.cycles(1, causes=int(KillCause.EXTERNAL))
        card.give()
        twin.rig.path.gate["killed"] = int(KillCause.EXTERNAL)
        assert not card.sent
        fired, refused = (0, TriggerEvent.FIRED), RecordType.RISK_REJECT
        expected = [[RecordType.KILL], [RecordType.KILL, refused, fired],
                    [refused, fired, RecordType.KILL]]
        if cycle == FIRST_WORD - 1:            # after the verdict: the frame is blocked
            expected = [[RecordType.KILL, fired, RecordType.ORDER_REJECTED]]
        assert told(twin) in expected
        twin.step("arm")


RECORD = market_columns(RecordType.BBO, SHOWN_ASK)
AHEAD, GLIMPSE = (sight_columns(0, SHOWN_ASK, port=port) for port in ("i_early", "i_glimpse"))


def put(model, rows, shown):
    """Put columns of streams into a row."""
    for port, columns in shown.items():
        rows[f"{port}__valid"] = 1
        model.put(rows, f"{port}__payload", **{
            name: value if isinstance(value, np.ndarray) else [value]
            for name, value in columns.items()})


@pytest.mark.parametrize("shows, new, cancel", (
    ([RECORD], FIRST_WORD, 9), ([AHEAD], FIRST_WORD - 1, 8), ([GLIMPSE, AHEAD], FIRST_WORD - 1, 8),
    ([GLIMPSE, {}, AHEAD], FIRST_WORD + 1, 10), ([GLIMPSE, {}, {}, AHEAD], FIRST_WORD + 2, 11)),
    ids=("record", "ahead", "glimpse", "void", "void before"))
def test_cycles_to_the_first_word(twin, shows, new, cancel):
    """From what is shown in the first cycle; the first word leaves with the order's verdict."""
    twin.step("intent", {"operation": Operation.NEW, "price": BID, "quantity": 100})
    for kind, cycles in ((TriggerKind.TAKE, new), (TriggerKind.CANCEL_ON_MOVE, cancel)):
        for slot in (0, TRIGGERS - 1):
            arm(twin, kind, slot=slot, token=0)
            model = twin.card.model
            rows = model.rows(128, record__ready=1, o__ready=1, **twin.card.fixed)
            for cycle, columns in enumerate(shows):
                put(model, rows[cycle:cycle + 1], columns)
            found = model.run(rows)
            assert int(found["o__valid"].argmax()) == cycles


@pytest.mark.parametrize("port, cycle", [("", 0)] + [("i_market", cycle) for cycle in range(5)]
                         + [("i_early", cycle) for cycle in (0, 1, 3, 4)])
def test_a_glimpse_of_nothing_fires_nothing_and_hides_no_record(twin, port, cycle):
    """It is of another price; what comes in any cycle around it fires once, with what it shows."""
    arm(twin)
    arm(twin, slot=1, trigger_price=ASK - 200)
    card = twin.card
    card.records, card.sent = [], b""
    rows = card.columns(128)
    put(card.model, rows[1:2], sight_columns(0, SHOWN_ASK | {"ask": ASK - 200}, port="i_glimpse"))
    if port:
        put(card.model, rows[cycle:cycle + 1], RECORD if port == "i_market" else AHEAD)
    card.keep(rows, card.model.run(rows))
    fired = [decode(RECORDS[kind], octets + bytes(8)) for kind, octets in card.records
             if kind == RecordType.TRIGGER]
    assert [record["slot"] for record in fired] == ([0] if port else [])
