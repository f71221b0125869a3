"""Orders over FIX: only what a device released leaves, and answers settle as OUCH's do.

Method: a desk's session and the venue's talk through memory; releases are rows of a queue by hand;
the matching engine's answers are OUCH messages by hand, which both the venue's FIX desk and the
kernel that settles OUCH get: the settle intents of both ways must be the same.
"""

import ast
from pathlib import Path

import numpy as np
import pytest

from tests.fix.link import Link
from tests.unit.test_fix_orders import released
from tickwire.kernels.translate import ORDER_EVENT, translate
from tickwire.orders.fix.application import ORDER_TYPES, GateError, SendError
from tickwire.orders.fix.bodies import fields
from tickwire.orders.fix.gate import OrderGate
from tickwire.orders.fix.route import OrderRoute
from tickwire.orders.fix.sending import Sender
from tickwire.orders.fix.throttle import Throttle
from tickwire.orders.release import RELEASED
from tickwire.spec import ouch50
from tickwire.spec.intents import SETTLE, IntentFlag, Operation
from tickwire.spec.render import dtype
from tickwire.spec.wire import encode
from tickwire_sim.exchange.fix_desk import FIXDesk

ROOT = Path(__file__).parents[2]
VERSIONS = ("FIX.4.2", "FIX.4.4", "FIXT.1.1")
PRICE = 1_852_500
COMPARED = ("operation", "token", "price", "quantity", "flags", "previous_token", "reason")


class Releases:
    """A release queue that a test fills."""

    def __init__(self) -> None:
        self.rows: list[np.void] = []
        self.records = np.zeros(64, RELEASED)
        self.batch = int(self.records.ctypes.data)
        self.stamps = np.zeros(64, np.int64)       # the engine has sent none itself

    def take(self) -> np.ndarray:
        batch, self.rows = self.rows[:64], self.rows[64:]
        self.records[:len(batch)] = np.array(batch, RELEASED)
        return self.records[:len(batch)]


class Market:
    """The order port as the venue's desk sees it: keeps what came, numbers orders as the device."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict]] = []
        self.next = 41

    def number(self) -> int:
        self.next += 1
        return self.next - 1

    def send(self, message, values) -> None:
        encode(message, values)                # every field is there and fits
        self.sent.append((message.name, values))


class Route:
    """Desk, FIX between them, venue."""

    def __init__(self, version: str = "FIX.4.4", **settings: object) -> None:
        self.link = Link(begin_string=version, **settings)
        self.releases, self.market = Releases(), Market()
        self.settled: list[dict] = []
        self.states: list[bool] = []
        left, right = self.link.left.session, self.link.right.session
        self.gate = OrderGate(left, self.releases, "K7-")
        self.route = left.application = OrderRoute(self.gate, self.settled.append,
                                                   self.states.append)
        self.desk = right.application = FIXDesk()
        right._guarded = frozenset()
        self.desk.client = self.market
        self.link.connect()
        self.link.settle()

    def release(self, operation: Operation = Operation.NEW, **values: int | bytes) -> None:
        """The device releases a message."""
        self.releases.rows.append(released(operation, **values))
        self.route.pump()
        self.link.collect()
        self.link.settle()

    def answer(self, message, **values: object) -> dict:
        """The engine answers; return what OUCH makes of it, and check that FIX makes the same."""
        named = {field.name: _default(field) for field in message.fields
                 if field.kind not in ("length", "octets")} | values
        octets = encode(message, named)
        row, source = np.zeros(1, dtype(SETTLE)), np.frombuffer(octets + bytes(8), np.uint8)
        assert translate(source.ctypes.data, len(octets), row.ctypes.data) == ORDER_EVENT
        before = len(self.settled)
        self.desk.heard(message.name, named)
        self.link.collect()
        self.link.settle()
        found, = self.settled[before:]
        expected = {name: int(row[0][name]) for name in COMPARED}
        compared = {name: int(found.get(name, 0)) for name in COMPARED}
        if found["operation"] == Operation.SETTLE_REJECTED:
            del expected["reason"], compared["reason"]     # each protocol has its own codes
        assert compared == expected
        return found


def _default(field) -> object:
    return "" if field.kind == "ascii" else 0


ACCEPTED = {"order_state": "L", "quantity": 300, "price": PRICE}


@pytest.fixture(params=VERSIONS)
def route(request):
    """A route with an order of 300 that the venue has accepted."""
    made = Route(request.param)
    made.release()
    assert made.market.sent[-1][1]["quantity"] == 300
    made.answer(ouch50.ORDER_ACCEPTED, user_ref_num=41, order_reference=9, **ACCEPTED)
    return made


def test_the_device_hears_whether_the_session_is_up():
    made = Route()
    assert made.states == [True]
    made.link.drop()
    assert made.states == [True, False]


def test_fills_settle_as_those_of_ouch(route):
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=41, quantity=100, price=PRICE - 100)
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=41, quantity=200, price=PRICE)
    assert route.gate.orders == {}


def test_a_cancel_settles_as_that_of_ouch(route):
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=41, quantity=100, price=PRICE)
    route.release(Operation.CANCEL, quantity=0, total=300, executed=100)
    assert route.market.sent[-1] == ("cancel_order", {"user_ref_num": 41, "quantity": 0})
    route.answer(ouch50.ORDER_CANCELED, user_ref_num=41, quantity=200, reason="U")
    assert route.gate.orders == {}


@pytest.mark.parametrize("reason", "ZEH")
def test_an_order_that_the_venue_cancels_by_itself_settles_with_the_reason_of_ouch(route, reason):
    if reason == "H" and "4.2" in route.link.left.session.settings.begin_string:
        pytest.skip("FIX.4.2 has no value for a halt")
    found = route.answer(ouch50.ORDER_CANCELED, user_ref_num=41, quantity=300, reason=reason)
    assert found["reason"] == ord(reason)


REPORT = {6: 0, 11: "K7-41", 14: 0, 17: "E9", 37: 9, 38: 300, 39: "4", 54: "1", 55: "AAPL",
          150: "4", 151: 0}


@pytest.mark.parametrize(("changes", "reason"), [
    ({}, "Z"), ({378: 6}, "H"), ({378: 7}, "Z"), ({378: 8}, "Z"), ({39: "C", 150: "C"}, "E"),
    ({39: "3", 150: "3"}, "E"), ({41: "K7-41"}, "U"), ({41: "K7-41", 378: 6}, "U"),
    ({150: "I"}, "Z"), ({150: "I", 39: "C"}, "E"), ({150: "I", 378: 6}, "H")])
@pytest.mark.parametrize("is_asked", [False, True])
def test_why_an_order_was_cancelled_is_told_in_letters_of_ouch(changes, reason, is_asked):
    made = Route()
    made.release()
    made.answer(ouch50.ORDER_ACCEPTED, user_ref_num=41, **ACCEPTED)
    if is_asked:                           # then what is not told is for that
        made.release(Operation.CANCEL, quantity=0, total=300)
        reason = reason if changes.get(378) in (6, 7) else "U"
    made.desk._send("8", REPORT | changes)
    made.link.collect()
    made.link.settle()
    found = made.settled[-1]
    assert (found["operation"], found["quantity"], chr(found["reason"])) == (
        Operation.SETTLE_CANCELED, 300, reason)


def test_a_venue_that_cancels_what_was_asked_for_in_vain_settles_once_and_says_so():
    made = Route()
    made.release()
    made.answer(ouch50.ORDER_ACCEPTED, user_ref_num=41, **ACCEPTED)
    made.release(Operation.CANCEL, quantity=0, total=300)
    made.answer(ouch50.ORDER_CANCELED, user_ref_num=41, quantity=300, reason="H")
    assert made.gate.orders == {} and made.route.foreign == 0


def test_what_is_immediate_and_not_filled_is_cancelled_for_that():
    made = Route()
    made.release(flags=int(IntentFlag.IMMEDIATE))
    assert made.market.sent[-1][1]["time_in_force"] == "3"
    made.answer(ouch50.ORDER_ACCEPTED, user_ref_num=41, **ACCEPTED)
    made.answer(ouch50.ORDER_CANCELED, user_ref_num=41, quantity=300, reason="I")


def test_a_replace_settles_as_that_of_ouch(route):
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=41, quantity=100, price=PRICE)
    route.release(Operation.REPLACE, token=42, previous=41, quantity=500, price=PRICE + 100,
                  total=300, executed=100)
    name, values = route.market.sent[-1]
    assert (name, values["orig_user_ref_num"], values["quantity"]) == ("replace_order", 41, 500)
    route.answer(ouch50.ORDER_REPLACED, orig_user_ref_num=41, user_ref_num=42, quantity=400,
                 price=PRICE + 100, order_state="L")
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=42, quantity=400, price=PRICE)
    assert route.gate.orders == {}


def test_a_replace_that_leaves_nothing_open_cancels_as_that_of_ouch(route):
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=41, quantity=100, price=PRICE)
    route.release(Operation.REPLACE, token=42, previous=41, quantity=100, price=PRICE)
    heard, take = [], route.route.on_message
    route.route.on_message = lambda session, message: (
        heard.append(tuple(message.text(tag) for tag in (35, 150, 39, 11, 41))),
        take(session, message))
    # OUCH has U here; FIX does not tell why, and the order itself was not asked to be cancelled.
    route.answer(ouch50.ORDER_CANCELED, user_ref_num=41, quantity=200, reason="Z")
    assert heard == [("8", "4", "4", "K7-41", ""), ("9", "", "4", "K7-42", "K7-41")]
    assert route.gate.orders == {} and route.route.foreign == 0


def test_a_smaller_size_settles_as_a_cancel_of_ouch_and_the_order_goes_on(route):
    route.release(Operation.CANCEL, quantity=120, total=300)
    assert route.market.sent[-1][0] == "replace_order"
    before = len(route.settled)
    route.desk.heard("order_replaced", {"orig_user_ref_num": 41, "user_ref_num": 42, "price": PRICE,
                                        "quantity": 120, "order_state": "L", "order_reference": 5})
    route.link.collect()
    route.link.settle()
    found, = route.settled[before:]
    assert (found["operation"], found["token"], found["quantity"]) == (
        Operation.SETTLE_CANCELED, 41, 180)
    route.release(Operation.CANCEL, quantity=0, total=120)
    assert route.market.sent[-1] == ("cancel_order", {"user_ref_num": 42, "quantity": 0})


def test_a_rejected_order_and_a_rejected_replace_settle_as_those_of_ouch(route):
    route.release(token=42)
    route.answer(ouch50.REJECTED, user_ref_num=42, reason=16)
    route.release(Operation.REPLACE, token=43, previous=41, total=300)
    route.answer(ouch50.REJECTED, user_ref_num=43, reason=16)
    assert route.link.left.session.store.next_in == route.link.right.session.store.next_out
    assert list(route.gate.orders) == [41]


def test_a_cancel_that_comes_too_late_settles_nothing(route):
    route.release(Operation.CANCEL, quantity=0, total=300)
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=41, quantity=300, price=PRICE)
    assert route.gate.orders == {} and route.route.foreign == 0


def test_what_is_released_while_the_session_is_down_is_refused_and_never_sent():
    made = Route()
    made.link.drop()
    made.releases.rows += [released(token=50), released(Operation.CANCEL, token=50)]
    made.route.pump()
    assert made.settled == [{"operation": Operation.SETTLE_REJECTED, "token": 50}]
    made.link.connect()
    made.link.settle()
    assert made.market.sent == [] and made.gate.orders == {}


def test_after_a_lost_connection_the_orders_are_asked_for_and_made_good(route):
    route.answer(ouch50.ORDER_EXECUTED, user_ref_num=41, quantity=100, price=PRICE)
    route.desk._cancels = False
    route.link.drop()
    order = route.desk._by_number[41]
    order.executed, order.value = 250, 250 * PRICE     # filled and cancelled while nobody heard
    order.is_closed, order.status = True, "4"
    before = len(route.settled)
    route.link.connect()
    route.link.settle()
    fill, cancel = route.settled[before:]
    assert (fill["operation"], fill["quantity"], fill["price"]) == (
        Operation.SETTLE_FILLED, 150, PRICE)
    assert (cancel["operation"], cancel["quantity"]) == (Operation.SETTLE_CANCELED, 50)


def test_a_status_with_a_price_that_no_device_has_settles_its_fill():
    made = desk_of(symbols="AAPL")
    made.link.right.session.send("8", fields(
        (6, b"700000"), (11, b"K7-41"), (14, 100), (17, b"E9"), (37, b"9"), (38, 300), (39, b"1"),
        (54, b"1"), (55, b"AAPL"), (150, b"I"), (151, 200)))
    made.link.collect()
    made.link.settle()
    found = made.settled[-1]
    assert (found["operation"], found["quantity"], found["price"]) == (
        Operation.SETTLE_FILLED, 100, (1 << 31) - 1)
    assert made.gate.orders[41].leaves == 200


@pytest.mark.parametrize("kind", ["8", "9", "j", "3"])
def test_an_answer_that_cannot_be_settled_is_told(kind):
    made = desk_of(symbols="AAPL")
    made.release(Operation.REPLACE, token=42, previous=41)
    number, venue, told = next(reversed(made.gate.sent)), made.link.right.session, []

    def fail(_):
        raise OverflowError("out of bounds for uint32")
    made.route._settle, made.route._tell_unsettled = fail, lambda: told.append(kind)
    if kind == "8":
        made.desk._is_executed(made.desk._by_number[41], 100, PRICE)
    elif kind == "9":
        made.desk.heard("rejected", {"user_ref_num": 42})
    elif kind == "j":
        venue.business_reject(_read(made, number), 3, "no")
    else:
        venue._reject(_read(made, number), 11)
    made.link.collect()
    made.link.settle()
    assert told == [kind]
    assert made.link.left.store.next_in == venue.store.next_out


def asked_after_a_reconnect(made: Route) -> list[str]:
    """Lose the connection and connect again; return the ClOrdIDs of H that went."""
    made.link.drop()
    first = made.link.left.store.next_out
    made.link.connect()
    made.link.settle()
    found = [_read(made, number) for number in range(first, made.link.left.store.next_out)]
    return [one.text(11) for one in found if one.msg_type == "H"]


def test_what_the_engine_says_while_the_session_is_down_is_told_when_it_is_back(route):
    route.desk._status = lambda message: None      # nor does H tell it
    route.link.drop()
    before = len(route.settled)
    for name, quantity in (("order_executed", 100), ("order_canceled", 200)):
        route.desk.heard(name, {"user_ref_num": 41, "quantity": quantity, "price": PRICE,
                                "reason": "Z"})
    route.link.connect()
    route.link.settle()
    assert [(found["operation"], found["quantity"]) for found in route.settled[before:]] == [
        (Operation.SETTLE_FILLED, 100), (Operation.SETTLE_CANCELED, 200)]


def test_orders_are_asked_for_whatever_the_throttle_holds():
    made = desk_of()
    made.link.left.session._throttle = Throttle(1, 0)
    assert asked_after_a_reconnect(made) == ["K7-41", "K7-42", "K7-43"]
    assert made.states == [True, False, True]


def test_an_order_that_cannot_be_asked_for_holds_nothing_up(monkeypatch):
    made, send = desk_of(), Sender.send

    def refuse(session, kind, content, *rest, **options):
        if kind == "H" and b"K7-42\x01" in content:
            raise SendError("not this one")
        return send(session, kind, content, *rest, **options)
    monkeypatch.setattr(Sender, "send", refuse)
    assert asked_after_a_reconnect(made) == ["K7-41", "K7-43"]
    assert made.states == [True, False, True]


def test_a_fill_that_is_told_twice_settles_once(route):
    session, body = route.link.right.session, fields(
        (6, b"1"), (11, b"K7-41"), (14, 10), (17, b"X1"), *([(20, b"0")] if "4.2" in
        session_version(route) else []), (31, b"1.5"), (32, 10), (37, b"9"), (38, 300), (39, b"1"),
        (54, b"1"), (55, b"AAPL"), (150, b"1" if "4.2" in session_version(route) else b"F"),
        (151, 290))
    before = len(route.settled)
    for _ in range(2):
        session.send("8", body)
    route.link.collect()
    route.link.settle()
    assert [found["quantity"] for found in route.settled[before:]] == [10]


def session_version(route) -> str:
    return route.link.left.settings.begin_string


def test_answers_about_orders_of_others_are_counted_and_settle_nothing(route):
    before = len(route.settled)
    route.link.right.session.send("8", fields(
        (6, b"0"), (11, b"OTHER-1"), (14, 0), (17, b"X9"), *([(20, b"0")] if "4.2" in
        session_version(route) else []), (37, b"9"), (39, b"0"), (54, b"1"), (55, b"AAPL"),
        (150, b"0"), (151, 5)))
    route.link.collect()
    route.link.settle()
    assert len(route.settled) == before and route.route.foreign == 1


def test_a_message_that_the_venue_cannot_read_is_a_rejected_order(route):
    route.release(token=44)
    number = next(reversed(route.gate.sent))
    route.link.right.session.business_reject(
        _read(route, number), 3, "no")
    route.link.collect()
    route.link.settle()
    assert route.settled[-1]["token"] == 44 and 44 not in route.gate.orders


def _read(route, number: int):
    from tickwire.orders.fix.parse import parse
    octets = dict(route.link.left.store.sent(number, number))[number]
    return parse(octets, route.link.left.session.rules)


def test_numbers_of_before_a_reset_name_no_order():
    made = Route("FIX.4.4", reset_on_logon=True)
    made.release(token=41)
    made.answer(ouch50.ORDER_ACCEPTED, user_ref_num=41, order_reference=9, **ACCEPTED)
    number, = made.gate.sent
    made.desk._cancels = False
    made.desk._status = lambda message: None
    made.link.drop()
    made.link.connect()
    made.link.settle()
    assert made.link.left.store.next_out == number + 1      # H has the number that D had
    body = fields((45, number), (58, b"no"), (380, 3))
    for referred in (b"", b"372=D\x01"):
        made.link.right.session._send("j", referred + body, (), False)
    made.link.collect()
    made.link.settle()
    assert list(made.gate.orders) == [41]


def test_a_mass_cancel_of_before_a_reset_is_known_by_its_name_alone():
    made = desk_of()
    made.desk._mass_cancel = lambda message: None
    cancel(made, 41, 42, 43)
    number = made.link.left.store.next_out - 1
    made.route.on_reset(made.link.left.session)
    assert not made.gate.mass_answered(number, made.route.refuse, is_taken=False)
    assert made.gate.mass_answered("K7-M1", made.route.refuse, is_taken=False)
    assert went(made) == ["F", "F", "F"]


@pytest.mark.parametrize("refused", ["H", "A"])
def test_a_refusal_of_what_is_no_request_settles_nothing(refused):
    made = desk_of(symbols="AAPL")
    number = next(reversed(made.gate.sent))
    made.link.right.session._send("3", fields((45, number), (58, b"no"), (372, refused.encode())),
                                  (), False)
    made.link.collect()
    made.link.settle()
    assert list(made.gate.orders) == [41]


# Mass cancel


def desk_of(version: str = "FIX.4.4", symbols: str = "AAPL AAPL MSFT") -> Route:
    """A route with orders 41, 42 ... in ``symbols``, all of which the venue has accepted."""
    made = Route(version)
    for place, symbol in enumerate(symbols.split()):
        made.release(token=41 + place, symbol=symbol.encode().ljust(8))
        made.answer(ouch50.ORDER_ACCEPTED, user_ref_num=41 + place, order_reference=9, **ACCEPTED)
    made.market.sent.clear()
    made.first = made.link.left.store.next_out
    return made


def cancel(made: Route, *tokens: int, intent: int = 5) -> list[str]:
    """The device cancels orders by one intent; return what went: type, then q's 11 55 530."""
    made.releases.rows += [released(Operation.CANCEL, token=token, quantity=0, total=300,
                                    intent_id=intent) for token in tokens]
    made.route.pump()
    made.link.collect()
    made.link.settle()
    return went(made)


def went(made: Route) -> list[str]:
    """Messages of the desk since the last call."""
    first, made.first = made.first, made.link.left.store.next_out
    found = [_read(made, number) for number in range(first, made.first)]
    return [" ".join([one.msg_type, *(one.text(tag) for tag in (11, 55, 530))])
            if one.msg_type == "q" else one.msg_type for one in found]


def cancelled(made: Route) -> list[int]:
    return [values["user_ref_num"] for name, values in made.market.sent if name == "cancel_order"]


@pytest.mark.parametrize("version", ["FIX.4.4", "FIXT.1.1"])
def test_cancels_that_leave_nothing_open_go_as_one_mass_cancel(version):
    made = desk_of(version)
    assert cancel(made, 41, 42, 43) == ["q K7-M1  7"]
    assert cancelled(made) == [41, 42, 43] and made.route.unread == 0
    for token in (41, 42, 43):
        made.answer(ouch50.ORDER_CANCELED, user_ref_num=token, quantity=300, reason="U")
    assert made.gate.orders == {}


def test_cancels_of_all_orders_in_a_symbol_go_as_a_mass_cancel_of_it():
    made = desk_of()
    assert cancel(made, 42, 41) == ["q K7-M1 AAPL 1"]
    assert cancelled(made) == [41, 42]


@pytest.mark.parametrize("tokens", [(41, 43), (41,), (42, 43)])
def test_a_mass_cancel_takes_no_order_along_that_the_device_did_not_cancel(tokens):
    made = desk_of()
    assert cancel(made, *tokens) == ["F"] * len(tokens)
    assert cancelled(made) == list(tokens)


def test_cancels_of_several_intents_are_no_mass_cancel():
    made = desk_of(symbols="AAPL AAPL")
    made.releases.rows.append(released(Operation.CANCEL, token=41, quantity=0, intent_id=1))
    assert cancel(made, 42, intent=2) == ["F", "F"]


def test_a_new_order_behind_a_mass_cancel_stays():
    made = desk_of()
    made.releases.rows += [released(Operation.CANCEL, token=token, quantity=0, intent_id=5)
                           for token in (41, 42, 43)]
    made.release(token=44)
    assert went(made) == ["q K7-M1  7", "D"]
    assert cancelled(made) == [41, 42, 43] and list(made.gate.orders) == [41, 42, 43, 44]


def test_fix_4_2_and_a_session_without_mass_cancel_send_each():
    assert cancel(desk_of("FIX.4.2"), 41, 42, 43) == ["F", "F", "F"]
    made = desk_of()
    made.gate._has_mass_cancel = False
    assert cancel(made, 41, 42, 43) == ["F", "F", "F"]


@pytest.mark.parametrize("kind", ["r", "j", "3"])
def test_a_mass_cancel_that_the_venue_refuses_becomes_its_cancels(kind):
    made = desk_of()
    venue = made.link.right.session
    if kind == "r":
        made.desk._mass_cancel = lambda message: made.desk._send("r", {
            11: message.text(11), 37: "1", 530: "7", 531: "0", 532: "0"})
    elif kind == "j":
        made.desk._mass_cancel = lambda message: venue.business_reject(message, 3, "no")
    else:
        made.desk._mass_cancel = lambda message: venue._reject(message, 11)
    assert cancel(made, 41, 42, 43) == ["q K7-M1  7", "F", "F", "F"]
    assert cancelled(made) == [41, 42, 43] and made.gate._masses == {}


def test_a_mass_cancel_passes_the_throttle():
    made = desk_of()
    made.link.left.session._throttle = Throttle(1, 0)
    made.releases.rows.append(released(token=44))
    assert cancel(made, 41, 42, 43) == ["q K7-M1  7"]
    assert made.settled[-1] == {"operation": Operation.SETTLE_REJECTED, "token": 44}


def test_a_mass_cancel_takes_an_order_whose_replace_is_on_its_way():
    made = desk_of(symbols="AAPL")
    made.release(Operation.REPLACE, token=42, previous=41)
    assert cancel(made, 41, 42) == ["G", "q K7-M1 AAPL 1"]
    assert cancelled(made) == [41, 42]


# No other way in


@pytest.mark.parametrize("kind", sorted(ORDER_TYPES))
def test_the_session_itself_sends_no_order(kind):
    made = Route()
    with pytest.raises(GateError):
        made.link.left.session.send(kind, b"11=ID\x01")


def test_the_gate_takes_orders_from_the_release_queue_and_from_nowhere_else():
    public = [name for name in vars(OrderGate) if not name.startswith("_")]
    # The last of which sends only cancels that came by pump.
    assert public == ["pump", "forget_numbers", "mass_answered"]
    made = Route()
    assert made.gate.pump(made.route.refuse) == 0 and made.market.sent == []


def test_nothing_but_gate_and_session_sends_past_the_guard():
    wrong, unguarded = [], []
    for path in sorted((ROOT / "host").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "guarded":
                unguarded.append(path.name)
            if isinstance(node, ast.Attribute) and node.attr in (
                    "_send", "_send_written", "_transmit") and path.name not in (
                    "gate.py", "sending.py", "session.py", "gaps.py", "resending.py"):
                wrong.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert not wrong, wrong
    assert unguarded == ["acceptance.py"]  # the echo server, which nothing of the device reaches
    source = ast.parse((ROOT / "host/tickwire/orders/fix/gate.py").read_text(encoding="utf-8"))
    calls = [node.attr for node in ast.walk(source)
             if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self.session"
             and node.attr.startswith("_")]
    # OrderGate._send and ._send_mass, fed by ReleaseQueue.take
    assert sorted(calls) == ["_send", "_send_written"]
    # A leased session: the engine sends what it finds in the order ring as ORDER_RELEASED.
    senders = {path.name for path in sorted((ROOT / "host").rglob("*.py"))
               if "fix_lease import" in (source := path.read_text(encoding="utf-8"))
               or ("encode_order(" in source and "fix_orders" in source)}
    assert senders == {"engine_host.py", "orders.py", "fix_lease.py"}


# The venue's desk


def replies(route, kind: str, body: bytes) -> list[dict[int, str]]:
    """Send a request past the gate as another firm's engine would; return the venue's answers."""
    heard: list[dict[int, str]] = []
    route.route.on_message = lambda session, message: heard.append(
        {tag: value.decode() for tag, value in message.pairs()})
    route.link.left.session._send(kind, body, (), False)
    route.link.collect()
    route.link.settle()
    return heard


SINGLE = ((11, b"A"), (38, 100), (40, b"2"), (44, b"10.5"), (54, b"1"), (55, b"AAPL"),
          (60, b"20260101-00:00:00"))


@pytest.mark.parametrize(("changes", "reason"), [
    ({40: b"3"}, "99"), ({44: b"0"}, "99"), ({38: b"0"}, "1"), ({38: b"1.5"}, "1"),
    ({54: b"8"}, "99"), ({59: b"6"}, "99"), ({11: b"K7-41"}, "6"), ({44: b"10.00001"}, "99"),
])
def test_the_venue_refuses_orders_that_it_cannot_have(changes, reason):
    made = Route()
    made.release()
    pairs = sorted(({**dict(SINGLE), **changes}).items())
    report, = replies(made, "D", fields(*pairs))
    assert (report[35], report[39], report[150], report[103]) == ("8", "8", "8", reason)
    assert len(made.market.sent) == 1


def test_the_venue_refuses_requests_about_orders_that_are_not_there(route):
    pairs = ((11, b"Q"), (38, 1), (41, b"NONE"), (54, b"1"), (55, b"AAPL"),
             (60, b"20260101-00:00:00"))
    report, = replies(route, "F", fields(*pairs))
    assert (report[35], report[434], report[102], report[41]) == ("9", "1", "1", "NONE")
    report, = replies(route, "H", fields((11, b"NONE"), (54, b"1"), (55, b"AAPL")))
    assert (report[35], report[39]) == ("8", "8")


def test_the_venue_cancels_in_bulk(route):
    if session_version(route) == "FIX.4.2":
        pytest.skip("FIX.4.2 has no mass cancel")
    report, = replies(route, "q", fields((11, b"M"), (60, b"20260101-00:00:00"), (530, b"7")))
    assert (report[35], report[531], report[533]) == ("r", "7", "1")
    assert route.market.sent[-1] == ("cancel_order", {"user_ref_num": 41, "quantity": 0})
    found, = replies(route, "AF", fields((584, b"S"), (585, b"7")))
    assert (found[150], found[11]) == ("I", "K7-41")


def test_the_venue_cancels_what_a_lost_session_leaves(route):
    route.link.drop()
    assert route.market.sent[-1] == ("cancel_order", {"user_ref_num": 41, "quantity": 0})
