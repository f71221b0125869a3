"""Order entry follows the rules of OUCH 5.0, message by message, and survives any octets.

Method: messages are built with ``struct`` from the offsets of the specification and given to the
venue without sockets; answers are decoded the same way. At the end, random sessions of two
accounts: what a client can conclude from its answers alone must be what the venue holds.
"""

import ctypes
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import exchange_client as ouch
from tests.exchange_client import BUY, EXEMPT, MARKET, SELL, SHORT
from tests.exchange_reference import messages as itch_messages
from tickwire_sim.exchange import entry
from tickwire_sim.exchange.codes import State
from tickwire_sim.exchange.config import AccountConfig, SymbolConfig, VenueConfig
from tickwire_sim.exchange.layout import ACCOUNT, NONE, ORDER, STORE, SYMBOL
from tickwire_sim.exchange.store import run
from tickwire_sim.exchange.venue import Venue

DOLLAR = 10_000


class Desk:
    """A venue of two symbols and two accounts, spoken to message by message."""

    def __init__(self, **options):
        self.venue = Venue(VenueConfig(
            symbols=(SymbolConfig("AAPL", 100 * DOLLAR), SymbolConfig("MSFT", 50 * DOLLAR)),
            accounts=(AccountConfig("first", firm="FRST"), AccountConfig("second")),
            messages_per_second=0, store_octets=1 << 20, **{"order_slots": 64, **options}))
        self.engine = self.venue.engine
        self.engine.open()
        self.read = [1, 1, 1]
        self.heard = self.engine.messages + 1

    def send(self, message, account=1):
        """Give a message to the venue; returns the answers to this account."""
        self.engine.clock += 1
        buffer = ctypes.create_string_buffer(message, max(len(message), 1))
        code = entry.handle(self.engine.address, account, ctypes.addressof(buffer), len(message))
        assert code in (entry.DONE, entry.MALFORMED)
        if code == entry.MALFORMED:
            return None
        return self.answers(account)

    def answers(self, account):
        """What the account was told since the last time."""
        arena = self.engine.arena
        store = arena.view(f"account {account}", STORE)[0]
        octets, found = arena.view(f"account {account} octets"), []
        while self.read[account] <= store["count"]:
            offset, size, count = run(arena.address(f"account {account}"), self.read[account],
                                      int(store["count"]), 1)
            packet = octets[offset:offset + size].tobytes()
            assert struct.unpack(">Hc", packet[:3]) == (size - 2, b"S") and count == 1
            found.append(ouch.decode(packet[3:]))
            self.read[account] += count
        return found

    def market(self):
        """ITCH messages since the last time."""
        parts = []
        self.heard = self.engine.save(self.heard, lambda part: parts.append(bytes(part)))
        return itch_messages(b"".join(parts))

    def said(self, message, account=1):
        """Types of the answers, as one word."""
        return b"".join(answer.type for answer in self.send(message, account)).decode()

    def live(self, account):
        """Open shares of the account's live orders by number, from the venue's own rows."""
        rows = self.engine.arena.view("orders", ORDER)
        slot = int(self.engine.arena.view("accounts", ACCOUNT)[account]["orders"])
        found = {}
        while slot != NONE:
            found[int(rows[slot]["number"])] = (rows[slot]["side_code"].tobytes(),
                                                int(rows[slot]["quantity"]),
                                                int(rows[slot]["price"]))
            slot = int(rows[slot]["owner_next"])
        return found


@pytest.fixture
def desk():
    return Desk()


def test_an_order_is_accepted_with_what_was_sent_and_shown_on_the_market(desk):
    answer, = desk.send(ouch.enter(1, BUY, 300, "MSFT", 50 * DOLLAR, text=b"my order",
                                   capacity=b"A", tif=b"5"))
    assert (answer.type, answer.number, answer.side, answer.quantity) == (b"A", 1, b"B", 300)
    assert (answer.symbol, answer.price, answer.text) == (b"MSFT    ", 500_000, b"my order      ")
    assert (answer.tif, answer.display, answer.capacity, answer.iso, answer.cross, answer.state,
            answer.appendage) == (b"5", b"Y", b"A", b"N", b"N", b"L", 0)
    shown, = desk.market()
    assert shown.type == "A" and shown.locate == 2
    assert shown.values == (answer.reference, b"B", 300, b"MSFT    ", 500_000)


def test_an_attributed_order_is_shown_with_the_firm_of_the_account(desk):
    desk.send(ouch.enter(1, SELL, 100, "AAPL", 100 * DOLLAR, display=b"A"))
    shown, = desk.market()
    assert shown.type == "F" and shown.values[-1] == b"FRST"


def test_a_trade_tells_both_sides_the_same_match_and_who_added(desk):
    desk.send(ouch.enter(1, SELL, 200, "AAPL", 100 * DOLLAR))
    desk.market()
    accepted, executed = desk.send(ouch.enter(1, BUY, 150, "AAPL", 101 * DOLLAR), account=2)
    assert accepted.quantity == 150
    assert (executed.type, executed.quantity, executed.price, executed.liquidity) == (
        b"E", 150, 100 * DOLLAR, b"R")
    other, = desk.answers(1)
    assert (other.type, other.quantity, other.price, other.liquidity, other.match) == (
        b"E", 150, 100 * DOLLAR, b"A", executed.match)
    shown, = desk.market()
    assert shown.type == "E" and shown.values[1:] == (150, executed.match)
    assert desk.live(1) == {1: (b"S", 50, 100 * DOLLAR)} and desk.live(2) == {}


def good(number=1, side=BUY, quantity=100, symbol="AAPL", price=100 * DOLLAR, **others):
    return ouch.enter(number, side, quantity, symbol, price, **others)


@pytest.mark.parametrize(("message", "reason"), [
    (good(side=b"X"), 0x09), (good(side=b"b"), 0x09),
    (good(quantity=0), 0x13), (good(quantity=1_000_000), 0x13), (good(quantity=2**32 - 1), 0x13),
    (good(symbol="AAPX"), 0x17), (good(symbol=""), 0x17), (good(symbol="aapl"), 0x17),
    (good(symbol="\u00c1APL"), 0x17), (good(symbol="\x7f" * 8), 0x17),
    (good(price=0), 0x1D), (good(price=1), 0x1D), (good(price=1_000_050), 0x1D),
    (good(price=1_999_999_901), 0x1D), (good(price=1_999_999_999), 0x1D),
    (good(price=0x8000_0000), 0x1D), (good(price=2**63), 0x1D), (good(price=2**64 - 1), 0x1D),
    (good(display=b"N"), 0x03), (good(display=b"Z"), 0x03),
    (good(iso=b"Y"), 0x08), (good(cross=b"O"), 0x14), (good(cross=b"\0"), 0x14),
    (good(tif=b"6"), 0x0F), (good(tif=b"E"), 0x0F), (good(tif=b"?"), 0x0F),
    (good(capacity=b"?"), 0x0F),
    (good(appendage=ouch.option(2, b"OTHR")), 0x0C),
    (good(appendage=ouch.option(3, struct.pack(">I", 100))), 0x0D),
    (good(appendage=ouch.option(5, struct.pack(">I", 100))), 0x04),
    (good(appendage=ouch.option(6, b"M")), 0x05),
    (good(appendage=ouch.option(7, struct.pack(">i", -100))), 0x05),
    (good(appendage=ouch.option(9, struct.pack(">Q", 100))), 0x05),
    (good(appendage=ouch.option(17, b"Q")), 0x0F), (good(appendage=ouch.option(28, b"\1")), 0x0F),
    (good(appendage=ouch.option(99, b"new")), 0x0F), (good(appendage=ouch.option(12, b"?")), 0x0F),
    (good(tif=b"3", appendage=ouch.option(12, b"P")), 0x0F),
])
def test_a_bad_order_is_rejected_with_its_reason_and_spends_its_number(desk, message, reason):
    answer, = desk.send(message)
    assert (answer.type, answer.number, answer.reason) == (b"J", 1, reason)
    assert desk.send(good(1)) == [] and desk.said(good(2)) == "A"
    assert len(desk.market()) == 1


def test_options_at_their_defaults_do_no_harm(desk):
    appendage = b"".join((
        ouch.option(2, b"    "), ouch.option(3, bytes(4)), ouch.option(4, b"R"),
        ouch.option(5, bytes(4)), ouch.option(6, b"L"), ouch.option(7, bytes(4)),
        ouch.option(9, bytes(8)), ouch.option(12, b"N"), ouch.option(16, b"Y"),
        ouch.option(17, b" "), ouch.option(24, bytes(2)), ouch.option(25, b"Y"),
        ouch.option(26, b"BRKR")))
    assert desk.said(good(appendage=appendage)) == "A"
    assert desk.said(good(2, appendage=ouch.option(2, b"FRST"))) == "A"


def test_a_number_that_does_not_rise_is_ignored_in_silence(desk):
    assert desk.said(good(5)) == "A"
    for number in (5, 4, 1, 0):
        assert desk.send(good(number)) == []
    assert desk.said(good(2**32 - 1)) == "A" and desk.send(good(2**32 - 1)) == []
    assert desk.engine.counters()["orders_ignored"] == 5


def test_what_an_immediate_order_cannot_trade_is_canceled(desk):
    desk.send(good(1, SELL, 30), account=2)
    accepted, executed, canceled = desk.send(good(1, quantity=100, tif=b"3"))
    assert (accepted.type, executed.quantity) == (b"A", 30)
    assert (canceled.type, canceled.quantity, canceled.reason) == (b"C", 70, b"I")
    assert desk.live(1) == {}


@pytest.mark.parametrize("price", [MARKET, 2_000_000_000, 2_100_000_000])
def test_a_market_order_takes_any_price_and_never_rests(desk, price):
    desk.send(good(1, BUY, 10, price=100), account=2)
    desk.send(good(2, BUY, 10, price=1_999_999_900), account=2)
    first, second, third, rest = desk.send(good(1, SELL, 25, price=price))
    assert first.price == price
    assert [(second.price, second.quantity), (third.price, third.quantity)] == [
        (1_999_999_900, 10), (100, 10)]
    assert (rest.type, rest.quantity, rest.reason) == (b"C", 5, b"I")


def test_a_post_only_order_rests_or_is_canceled_and_never_takes(desk):
    post = ouch.option(12, b"P")
    assert desk.said(good(1, SELL, price=101 * DOLLAR, appendage=post)) == "A"
    accepted, canceled = desk.send(good(2, BUY, price=101 * DOLLAR, appendage=post))
    assert (accepted.type, canceled.quantity, canceled.reason) == (b"A", 100, b"F")
    assert desk.said(good(3, BUY, price=100 * DOLLAR, appendage=post)) == "A"
    assert [message.type for message in desk.market()] == ["A", "A"]


def test_a_halted_symbol_takes_no_order_but_lets_cancels_pass(desk):
    desk.send(good(1))
    desk.send(good(2))
    desk.engine.arena.view("symbols", SYMBOL)[0]["state"] = State.HALTED
    answer, = desk.send(good(3))
    assert (answer.type, answer.reason) == (b"J", 0x07)
    answer, = desk.send(ouch.replace(1, 4, 100, 99 * DOLLAR))
    assert (answer.type, answer.reason, answer.number) == (b"J", 0x07, 4)
    assert desk.live(1).keys() == {1, 2}
    assert desk.said(ouch.cancel(1)) == "C"
    assert desk.said(good(5, symbol="MSFT")) == "A"


def test_a_full_venue_rejects_with_the_reason_processing():
    desk = Desk(order_slots=2)
    assert [desk.said(good(number)) for number in (1, 2)] == ["A", "A"]
    answer, = desk.send(good(3))
    assert (answer.type, answer.reason) == (b"J", 0x0A)
    assert desk.said(ouch.replace(1, 4, 50, 99 * DOLLAR)) == "U"
    desk.send(ouch.cancel(2))
    assert desk.said(good(5)) == "A"


def test_a_replacement_counts_what_the_chain_has_executed(desk):
    desk.send(good(1, BUY, 500))
    desk.send(good(1, SELL, 200), account=2)
    desk.answers(1)
    replaced, = desk.send(ouch.replace(1, 2, 600, 99 * DOLLAR, text=b"second"))
    assert (replaced.type, replaced.original, replaced.number, replaced.quantity, replaced.price,
            replaced.text) == (b"U", 1, 2, 400, 99 * DOLLAR, b"second        ")
    desk.send(good(2, SELL, 150, price=99 * DOLLAR), account=2)
    desk.answers(1)
    replaced, = desk.send(ouch.replace(2, 3, 351, 98 * DOLLAR))
    assert replaced.quantity == 1
    # 350 shares of the chain are executed: a total of 350 leaves nothing, the order is canceled.
    canceled, = desk.send(ouch.replace(3, 4, 350, 97 * DOLLAR))
    assert (canceled.type, canceled.number, canceled.quantity, canceled.reason) == (
        b"C", 3, 1, b"U")
    assert desk.said(good(4)) == "A"


def test_a_replacement_loses_priority_and_is_one_message_on_the_market(desk):
    first, = desk.send(good(1))
    desk.send(good(2))
    desk.market()
    second, = desk.send(ouch.replace(1, 3, 100, 100 * DOLLAR))
    shown, = desk.market()
    assert shown.type == "U"
    assert shown.values == (first.reference, second.reference, 100, 100 * DOLLAR)
    desk.send(good(1, SELL, 100), account=2)
    assert [answer.number for answer in desk.answers(1)] == [2]


def test_a_replacement_that_trades_shows_delete_trade_and_rest(desk):
    desk.send(good(1, SELL, 60), account=2)
    desk.send(good(1, BUY, 100, price=99 * DOLLAR))
    desk.market()
    replaced, executed = desk.send(ouch.replace(1, 2, 100, 100 * DOLLAR))
    assert (replaced.type, replaced.quantity, executed.number, executed.liquidity) == (
        b"U", 100, 2, b"R")
    shown = desk.market()
    assert [message.type for message in shown] == ["D", "E", "A"]
    assert shown[2].values[2] == 40


def test_a_replacement_of_a_dead_order_or_with_an_old_number_is_ignored(desk):
    desk.send(good(1))
    desk.send(good(2))
    assert desk.send(ouch.replace(9, 10, 100, DOLLAR)) == []
    assert desk.send(ouch.replace(1, 2, 100, DOLLAR)) == []
    assert desk.send(ouch.replace(1, 1, 100, DOLLAR)) == []
    assert desk.said(good(10)) == "A", "a number that was ignored is not spent"
    assert desk.live(1).keys() == {1, 2, 10}


@pytest.mark.parametrize("bad", [
    {"quantity": 0}, {"quantity": 1_000_000}, {"price": 0}, {"price": 150}, {"display": b"N"},
    {"tif": b"6"}, {"iso": b"Y"}, {"appendage": ouch.option(5, struct.pack(">I", 1))},
    {"appendage": ouch.option(27, b"S")},
])
def test_a_bad_replacement_cancels_the_order_and_does_not_spend_its_number(desk, bad):
    desk.send(good(1))
    message = ouch.replace(1, 2, **{"quantity": 100, "price": DOLLAR, **bad})
    canceled, = desk.send(message)
    assert (canceled.type, canceled.number, canceled.quantity) == (b"C", 1, 100)
    assert desk.live(1) == {} and desk.said(good(2)) == "A"


def test_a_sale_may_change_its_kind_with_a_replacement(desk):
    desk.send(good(1, SELL))
    replaced, = desk.send(ouch.replace(1, 2, 100, 100 * DOLLAR, appendage=ouch.option(27, SHORT)))
    assert (replaced.type, replaced.side) == (b"U", b"T")


@pytest.mark.parametrize("tail", [b"", struct.pack(">H", 0)])
def test_a_cancel_brings_the_chain_down_to_the_quantity_it_names(desk, tail):
    desk.send(good(1, BUY, 500))
    desk.send(good(1, SELL, 200), account=2)
    desk.answers(1)
    desk.market()
    canceled, = desk.send(ouch.cancel(1, 450) + tail)
    assert (canceled.quantity, canceled.reason) == (50, b"U")
    shown, = desk.market()
    assert shown.type == "X" and shown.values[1] == 50
    for quantity in (450, 500, 999_999):
        assert desk.send(ouch.cancel(1, quantity) + tail) == []
    canceled, = desk.send(ouch.cancel(1, 200) + tail)
    assert canceled.quantity == 250 and desk.live(1) == {}
    assert desk.market()[0].type == "D"
    assert desk.send(ouch.cancel(1) + tail) == []


def test_a_partial_cancel_keeps_the_place_in_the_queue(desk):
    desk.send(good(1))
    desk.send(good(2))
    desk.send(ouch.cancel(1, 40))
    desk.send(good(1, SELL, 50), account=2)
    assert [(answer.number, answer.quantity) for answer in desk.answers(1)] == [(1, 40), (2, 10)]


def test_nobody_cancels_the_order_of_another_account(desk):
    desk.send(good(1))
    assert desk.send(ouch.cancel(1), account=2) == []
    assert desk.send(ouch.replace(1, 2, 10, DOLLAR), account=2) == []
    assert desk.live(1).keys() == {1}


def test_a_modification_reduces_or_changes_the_kind_of_sale_in_place(desk):
    desk.send(good(1, SELL, 500))
    desk.send(good(2, SELL, 500))
    desk.market()
    answer, = desk.send(ouch.modify(1, SHORT, 300))
    assert (answer.type, answer.number, answer.side, answer.quantity) == (b"M", 1, b"T", 300)
    answer, = desk.send(ouch.modify(1, EXEMPT, 900))
    assert (answer.type, answer.side, answer.quantity) == (b"M", b"E", 300)
    assert [message.type for message in desk.market()] == ["X"]
    assert desk.send(ouch.modify(1, EXEMPT, 900)) == []
    assert desk.send(ouch.modify(1, BUY, 100)) == []
    assert desk.send(ouch.modify(7, SELL, 100)) == []
    desk.send(good(1, BUY, 300), account=2)
    assert [answer.number for answer in desk.answers(1)] == [1]
    assert desk.said(ouch.modify(2, SELL, 0)) == "C"


def test_a_mass_cancel_answers_and_cancels_by_symbol_and_side(desk):
    for number, (side, symbol) in enumerate(
            [(BUY, "AAPL"), (SELL, "AAPL"), (BUY, "MSFT"), (BUY, "AAPL")], 1):
        price = 90 * DOLLAR if side == BUY else 110 * DOLLAR
        desk.send(good(number, side, symbol=symbol, price=price))
    answer, *canceled = desk.send(ouch.mass_cancel(5, "AAPL", appendage=ouch.option(27, BUY)))
    assert (answer.type, answer.number, answer.symbol) == (b"X", 5, b"AAPL    ")
    assert sorted(row.number for row in canceled) == [1, 4]
    assert {row.reason for row in canceled} == {b"U"}
    assert desk.send(ouch.mass_cancel(5)) == []
    assert desk.said(ouch.mass_cancel(6, firm=b"FRST")) == "XCC"
    assert desk.said(ouch.mass_cancel(7)) == "X"


def test_a_mass_cancel_for_another_firm_or_symbol_is_rejected(desk):
    desk.send(good(1))
    for number, message, reason in ((2, ouch.mass_cancel(2, firm=b"OTHR"), 0x0C),
                                    (3, ouch.mass_cancel(3, "NONE"), 0x17),
                                    (4, ouch.mass_cancel(4, appendage=ouch.option(24, b"\0\1")),
                                     0x0F)):
        answer, = desk.send(message)
        assert (answer.type, answer.number, answer.reason, answer.text) == (
            b"J", number, reason, b" " * 14)
    assert desk.live(1).keys() == {1}


def test_disabled_order_entry_rejects_until_it_is_enabled(desk):
    desk.send(good(1))
    answer, = desk.send(ouch.switch(2, enable=False))
    assert (answer.type, answer.number) == (b"G", 2)
    assert desk.send(good(3))[0].reason == 0x02
    assert desk.send(ouch.replace(1, 4, 10, DOLLAR))[0].reason == 0x02
    assert desk.said(ouch.cancel(1)) == "C"
    assert desk.said(ouch.switch(5, enable=True)) == "K"
    assert desk.said(good(6)) == "A"


def test_a_query_tells_the_next_free_number(desk):
    assert desk.send(ouch.query())[0].number == 1
    desk.send(good(41))
    assert desk.send(ouch.query() + struct.pack(">H", 0))[0].number == 42


@pytest.mark.parametrize("message", [
    good(), ouch.replace(1, 2, 100, DOLLAR), ouch.cancel(1), ouch.modify(1, BUY, 10),
    ouch.mass_cancel(3), ouch.switch(4, True), ouch.query(),
])
def test_a_message_of_a_wrong_length_is_malformed(desk, message):
    for size in range(1, len(message)):
        if size in (9, 11) and message[:1] in b"DE":
            continue                       # the appendage length may be absent
        assert desk.send(message[:size]) is None, size
    assert desk.send(message + b"\0") is None
    assert desk.send(message + b"\0\5") is None


@pytest.mark.parametrize("appendage", [
    b"\0", b"\1", b"\3\2AB", b"\6\2ABCD", b"\5\2ABCDx", b"\2\3\0", b"\xff" + bytes(40),
])
def test_an_appendage_whose_elements_do_not_fit_is_malformed(desk, appendage):
    assert desk.send(good(appendage=appendage)) is None
    assert desk.send(good(1)) != [], "nothing of a malformed message is carried out"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(
    st.binary(min_size=1, max_size=80),
    st.tuples(st.sampled_from([b"O", b"U", b"X", b"M", b"C", b"D", b"E", b"Q"]),
              st.binary(max_size=70)).map(b"".join),
    st.tuples(st.sampled_from([good(1), ouch.replace(1, 2, 5, 100), ouch.mass_cancel(9)]),
              st.integers(0, 18), st.integers(0, 255)).map(
        lambda row: row[0][:row[1]] + bytes((row[2],)) + row[0][row[1] + 1:])), max_size=20))
def test_any_octets_are_carried_out_or_malformed(rows):
    desk = Desk()
    for octets in rows:
        desk.send(octets)
    desk.engine.book(0)


class Believer:
    """What a client concludes from its answers: its open orders by number."""

    def __init__(self):
        self.open = {}
        self.matches = []

    def hear(self, answer):
        if answer.type == b"A":
            assert answer.number not in self.open
            self.open[answer.number] = [answer.side, answer.quantity, answer.price]
        elif answer.type == b"U":
            self.open.pop(answer.original)
            self.open[answer.number] = [answer.side, answer.quantity, answer.price]
        elif answer.type in (b"E", b"C"):
            row = self.open[answer.number]
            assert 0 < answer.quantity <= row[1]
            row[1] -= answer.quantity
            if row[1] == 0:
                del self.open[answer.number]
            if answer.type == b"E":
                self.matches.append((answer.match, answer.quantity, answer.price))
        elif answer.type == b"M":
            self.open[answer.number][:2] = answer.side, answer.quantity


tight = st.integers(98, 102).map(lambda dollars: dollars * DOLLAR)
small = st.integers(1, 9).map(lambda lots: lots * 50)
some = st.integers(1, 30)
tifs = st.sampled_from([b"0", b"0", b"0", b"3"])
posts = st.sampled_from([b"", b"", ouch.option(12, b"P")])
deed = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from([BUY, SELL, SHORT]), small,
              st.sampled_from(["AAPL", "AAPL", "MSFT"]), tight, tifs, posts),
    st.tuples(st.just("replace"), some, small, tight, tifs, posts),
    st.tuples(st.just("cancel"), some, st.integers(0, 300)),
    st.tuples(st.just("modify"), some, st.sampled_from([BUY, SELL, SHORT]), small),
    st.tuples(st.just("mass_cancel"), st.sampled_from(["", "AAPL"])),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2), deed), max_size=60))
def test_a_client_knows_its_orders_from_its_answers_alone(rows):
    desk = Desk()
    clients = {1: Believer(), 2: Believer()}
    for number, (account, (name, *values)) in enumerate(rows, 1):
        if name == "enter":
            side, quantity, symbol, price, tif, post = values
            if tif == b"3":
                post = b""
            message = ouch.enter(number, side, quantity, symbol, price, tif=tif, appendage=post)
        elif name == "replace":
            original, quantity, price, tif, post = values
            message = ouch.replace(original, number, quantity, price, tif=tif, appendage=post)
        elif name == "mass_cancel":
            message = ouch.mass_cancel(number, *values)
        else:
            message = getattr(ouch, name)(*values)
        answers = desk.send(message, account)
        other = 3 - account
        for who, heard in ((account, answers), (other, desk.answers(other))):
            for answer in heard:
                clients[who].hear(answer)
    for account, client in clients.items():
        assert {key: tuple(row) for key, row in client.open.items()} == desk.live(account)
    trades = sorted(clients[1].matches + clients[2].matches)
    assert trades[::2] == trades[1::2], "each match is told twice, to its two sides"
