"""What the device says about each kind of message, written out by hand.

Method: a few messages each, the record's fields as ``docs/protocols/records.md`` has them. The
parity tests compare every sequence with the reference; these tell a reader what the rules are.
"""

import pytest

from tests.reference import itch, records
from tests.reference.device import Device
from tickwire.spec.geometry import Geometry

SMALL = Geometry(instruments=4, orders_log2=6, levels_log2=6, window_words=4)
STAMP = 34_200_000_000_123
BID, ASK = ord("B"), ord("S")


@pytest.fixture
def device():
    return Device(SMALL, tick=100)


def feed(device, *messages):
    return [records.record(octets.tobytes()) for octets in device.feed(list(messages))]


def pick(row, *names):
    return tuple(row[name] for name in names)


def test_an_add_at_a_new_best_price_is_a_bbo_record(device):
    row, = feed(device, itch.add(1, 7, b"B", 300, 10_000, STAMP))
    assert pick(row, "record", "timestamp", "feed_sequence", "locate", "book_version") == (
        "bbo", STAMP, 1, 1, 1)
    assert pick(row, "bid_price", "bid_quantity", "bid_orders") == (10_000, 300, 1)
    assert pick(row, "ask_price", "ask_quantity", "ask_orders", "flags") == (0, 0, 0, 0)


def test_an_add_behind_the_best_price_says_nothing(device):
    feed(device, itch.add(1, 7, b"B", 300, 10_000))
    assert feed(device, itch.add(1, 8, b"B", 300, 9_900)) == []


def test_an_execution_is_a_trade_and_then_the_new_best(device):
    feed(device, itch.add(1, 7, b"S", 300, 10_000))
    trade, bbo = feed(device, itch.executed(1, 7, 100, 55, STAMP))
    assert pick(trade, "record", "price", "quantity", "side", "flags", "match_number",
                "order_reference") == ("trade", 10_000, 100, ASK, 1, 55, 7)
    assert pick(bbo, "record", "ask_price", "ask_quantity", "ask_orders") == (
        "bbo", 10_000, 200, 1)
    assert pick(bbo, "last_price", "last_quantity") == (10_000, 100)
    assert trade["book_version"] == bbo["book_version"] == 2


@pytest.mark.parametrize(("printable", "flags", "last"), (
    (b"Y", 1, (9_950, 100)), (b"N", 0, (0, 0)), (b"?", 0, (0, 0))))
def test_an_execution_at_another_price_counts_only_when_it_is_printable(device, printable, flags,
                                                                       last):
    feed(device, itch.add(1, 7, b"B", 300, 10_000))
    trade, bbo = feed(device, itch.executed_with_price(1, 7, 100, 55, printable, 9_950))
    assert pick(trade, "price", "quantity", "side", "flags") == (9_950, 100, BID, flags)
    assert pick(bbo, "last_price", "last_quantity", "bid_price") == (*last, 10_000)


def test_a_cancel_takes_shares_and_the_last_one_the_order(device):
    feed(device, itch.add(1, 7, b"B", 300, 10_000))
    row, = feed(device, itch.cancel(1, 7, 100))
    assert pick(row, "bid_price", "bid_quantity", "bid_orders") == (10_000, 200, 1)
    row, = feed(device, itch.cancel(1, 7, 200))
    assert pick(row, "bid_price", "bid_quantity", "bid_orders", "flags") == (0, 0, 0, 0)
    row, = feed(device, itch.delete(1, 7))
    assert row["flags"] == 8               # it is gone: nothing can be deleted


def test_a_replace_moves_shares_and_price_and_keeps_the_side(device):
    feed(device, itch.add(1, 7, b"S", 300, 10_000), itch.add(1, 8, b"S", 50, 10_000))
    row, = feed(device, itch.replace(1, 7, 9, 10, 9_900))
    assert pick(row, "ask_price", "ask_quantity", "ask_orders") == (9_900, 10, 1)
    row, = feed(device, itch.delete(1, 9))
    assert pick(row, "ask_price", "ask_quantity", "ask_orders") == (10_000, 50, 1)


def test_a_replace_that_changes_nothing_at_the_best_says_nothing(device):
    feed(device, itch.add(1, 7, b"S", 300, 10_000))
    assert feed(device, itch.replace(1, 7, 8, 300, 10_000)) == []
    assert feed(device, itch.replace(1, 8, 8, 300, 10_000)) == []      # the same reference again


def test_a_replace_whose_new_half_is_refused_has_removed_the_original(device):
    feed(device, itch.add(1, 7, b"S", 300, 10_000))
    row, = feed(device, itch.replace(1, 7, 8, 0, 10_000))
    assert pick(row, "ask_price", "flags") == (0, 8)
    assert device.counters()["zero_quantity"] == 1 and device.memory.live_orders() == 0


def test_prints_outside_the_book_change_the_last_trade_alone(device):
    trade, = feed(device, itch.trade(1, 0, b"B", 100, 10_050, 5, STAMP))
    assert pick(trade, "record", "price", "quantity", "side", "flags", "match_number") == (
        "trade", 10_050, 100, BID, 3, 5)
    trade, = feed(device, itch.cross(1, (1 << 32) + 5, 10_100, 6))
    assert pick(trade, "price", "quantity", "side", "flags") == (
        10_100, (1 << 32) - 1, ord(" "), 5)
    trade, = feed(device, itch.cross(1, 0, 0, 7))
    assert pick(trade, "quantity", "flags") == (0, 4)  # a cross without shares prints nothing
    trade, = feed(device, itch.broken(1, 5))
    assert pick(trade, "match_number", "price", "quantity", "flags") == (5, 0, 0, 8)
    row, = feed(device, itch.add(1, 1, b"B", 1, 100))
    assert pick(row, "last_price", "last_quantity") == (10_100, (1 << 32) - 1)


def test_a_crossed_book_says_so(device):
    feed(device, itch.add(1, 1, b"B", 1, 10_000))
    row, = feed(device, itch.add(1, 2, b"S", 1, 10_000))
    assert row["flags"] == 2
    row, = feed(device, itch.delete(1, 1))
    assert row["flags"] == 0


@pytest.mark.parametrize(("message", "counter"), (
    (itch.add(1, 7, b"X", 1, 10_000), "bad_side"),
    (itch.add(1, 7, b"B", 0, 10_000), "zero_quantity"),
    (itch.add(1, 7, b"B", 1, 0), "bad_price"),
    (itch.add(1, 7, b"B", 1, 1 << 31), "bad_price"),
    (itch.add(1, 0, b"B", 1, 10_000), "duplicate_order"),
    (itch.add(1, 1, b"B", 1, 10_000), "duplicate_order"),
    (itch.executed(1, 9, 1), "unknown_order"),
    (itch.executed(1, 0, 1), "unknown_order"),
    (itch.executed(2, 1, 1), "unknown_order"),
    (itch.delete(1, 9), "unknown_order"),
    (itch.cancel(1, 9, 1), "unknown_order"),
    (itch.replace(1, 9, 10, 1, 10_000), "unknown_order"),
    (itch.executed(1, 1, 101), "over_execution"),
    (itch.cancel(1, 1, 1 << 31), "over_execution"),
))
def test_a_message_that_breaks_a_rule_is_counted_and_marks_its_instrument(device, message,
                                                                         counter):
    feed(device, itch.add(1, 1, b"B", 100, 10_000), itch.add(3, 2, b"B", 100, 10_000))
    before = device.counters()
    rows = feed(device, message)
    after = device.counters()
    assert after[counter] == before.get(counter, 0) + 1
    locate = int.from_bytes(message[1:3], "big")
    assert rows[-1]["record"] == "bbo" and rows[-1]["locate"] == locate
    assert rows[-1]["flags"] & 8
    # The mark stays with that instrument and with no other.
    row, = feed(device, itch.add(locate, 50, b"S", 1, 20_000))
    assert row["flags"] & 8
    row, = feed(device, itch.add(3, 51, b"S", 1, 20_000))
    assert row["flags"] == 0


def test_a_locate_without_an_instrument_is_counted(device):
    assert feed(device, itch.add(4, 1, b"B", 1, 10_000), itch.add(65_535, 1, b"B", 1, 10_000),
                itch.trade(9, 0, b"B", 1, 1), itch.action(9, b"H"), itch.position(9)) == []
    assert device.counters() == {"messages": 5, "unknown_locate": 5}
    assert feed(device, itch.add(0, 1, b"B", 1, 10_000)) == []
    assert device.counters()["filtered"] == 1          # locate 0 names no stock


# Status, directory, imbalance


def test_a_trading_action_is_a_status_record_and_shows_in_the_book(device):
    row, = feed(device, itch.action(1, b"H", b"T1  ", STAMP))
    assert pick(row, "record", "trading_state", "reason", "cause", "locate", "book_version") == (
        "status", ord("H"), b"T1  ", ord("H"), 1, 1)
    row, = feed(device, itch.add(1, 1, b"B", 1, 10_000))
    assert row["trading_state"] == ord("H")


def test_reg_sho_collar_and_halt_are_kept_beside_each_other(device):
    feed(device, itch.reg_sho(1, b"1"), itch.operational(1, b"Q", b"H"))
    row, = feed(device, itch.collar(1, 10_000, 10_500, 9_500))
    assert pick(row, "reg_sho", "operational", "reference", "band_upper", "band_lower",
                "cause") == (ord("1"), ord("H"), 10_000, 10_500, 9_500, ord("J"))
    row, = feed(device, itch.ipo(1, 21_000))
    assert pick(row, "reference", "band_upper", "cause") == (21_000, 10_500, ord("K"))


def test_a_halt_of_another_market_says_nothing(device):
    assert feed(device, itch.operational(1, b"B", b"H"), itch.operational(1, b"X", b"H")) == []


def test_market_wide_events_are_status_records_of_locate_0_and_show_in_later_ones(device):
    row, = feed(device, itch.system(b"Q"))
    assert pick(row, "record", "locate", "market_phase", "cause", "book_version") == (
        "status", 0, ord("Q"), ord("S"), 0)
    row, = feed(device, itch.breach(b"2"))
    assert pick(row, "breach_level", "market_phase", "cause") == (ord("2"), ord("Q"), ord("W"))
    row, = feed(device, itch.decline())
    assert pick(row, "breach_level", "cause") == (ord("2"), ord("V"))
    row, = feed(device, itch.reg_sho(2, b"2"))
    assert pick(row, "locate", "market_phase", "breach_level") == (2, ord("Q"), ord("2"))


def test_a_directory_message_names_the_instrument(device):
    row, = feed(device, itch.directory(2, "ZTEST", 10, b"G", b"D"))
    assert pick(row, "record", "symbol", "round_lot", "instrument", "locate", "market_category",
                "financial_status") == ("directory", b"ZTEST   ", 10, 2, 2, ord("G"), ord("D"))
    row, = feed(device, itch.directory(9, "OTHER"))
    assert pick(row, "instrument", "locate") == ((1 << 32) - 1, 9)


def test_an_imbalance_is_handed_on(device):
    row, = feed(device, itch.imbalance(1, 1 << 40, 7, b"S", 1, 2, 3, b"C", STAMP))
    assert pick(row, "record", "paired_shares", "imbalance_shares", "direction", "far_price",
                "near_price", "reference_price", "cross_type") == (
        "imbalance", 1 << 40, 7, ASK, 1, 2, 3, ord("C"))


@pytest.mark.parametrize("message", (itch.position(1), itch.retail(1), itch.listing(1)))
def test_messages_without_consequence_are_counted_and_no_more(device, message):
    assert feed(device, message) == []
    assert device.counters() == {"messages": 1}
