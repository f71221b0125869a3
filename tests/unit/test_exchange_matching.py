"""The venue matches by price, then time, exactly, whatever it is asked.

Method: short sequences of commands, crowded onto a few prices of two symbols with room for few
orders and levels, run on the venue and on a second engine of dictionaries and deques. Returned
slots, events, ITCH messages and whole books must be equal after every command. The replay of the
messages alone must give the same books.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drawing import weighted
from tests.exchange_reference import ANY, PRICE_MAX, Market, Replay, messages
from tickwire_sim.exchange import matching
from tickwire_sim.exchange.batch import COMMAND, CommandKind, execute
from tickwire_sim.exchange.codes import Cancel, State
from tickwire_sim.exchange.config import SymbolConfig
from tickwire_sim.exchange.engine import Engine
from tickwire_sim.exchange.layout import PRICE_NONE, SYMBOL, EventKind

SYMBOLS = (SymbolConfig("AAPL", 1_000_000), SymbolConfig("MSFT", 2_000_000))
SLOTS, DEPTH = 12, 4

near = st.integers(1, 6).map(lambda ticks: ticks * 100)
odd = st.sampled_from([0, -100, 1, 99, 150, PRICE_MAX, PRICE_MAX + 100, 2_000_000_000, 1 << 40])
price = weighted(near, near, near, st.just(ANY), odd)
quantity = st.one_of(st.integers(1, 5).map(lambda lots: lots * 100), st.integers(1, 20),
                     st.sampled_from([0, -1, 999_999, 1_000_000, 1 << 33]))
policy = st.sampled_from([matching.DAY, matching.DAY, matching.IMMEDIATE, matching.POST_ONLY])
symbol = st.sampled_from([0, 0, 0, 1, 1, -1, 2, 1 << 30])
side = st.integers(0, 1)
pick = st.integers(0, 100)
command = st.one_of(
    st.tuples(st.just("enter"), symbol, side, quantity, price, policy),
    st.tuples(st.just("enter"), symbol, side, quantity, price, policy),
    st.tuples(st.just("cancel"), pick),
    st.tuples(st.just("reduce"), pick, st.integers(1, 100)),
    st.tuples(st.just("replace"), pick, quantity, price, policy),
    st.tuples(st.just("halt"), side, st.booleans()),
)


class Both:
    """The venue and the reference, run side by side."""

    def __init__(self, slots=SLOTS, depth=DEPTH):
        self.engine = Engine(SYMBOLS, order_slots=slots, depth=depth, store_octets=1 << 18,
                             store_messages=1 << 13)
        self.engine.open()
        self.reference = Market(len(SYMBOLS), slots=slots, depth=depth)
        self.slots = {}
        self.first = self.engine.messages + 1
        self.octets = b""

    def code(self, symbol, quantity, price):
        found = matching.check(self.engine.address, symbol, quantity, self.limit(price))
        assert found == self.reference.check(symbol, quantity, price)
        return found

    @staticmethod
    def limit(price):
        return PRICE_NONE if price is ANY else price

    def chosen(self, number):
        live = sorted(self.reference.live)
        return live[number % len(live)] if live else None

    def run(self, name, *arguments):
        self.engine.clock += 1
        getattr(self, name)(*arguments)
        self.compare()

    def halt(self, symbol, is_halted):
        table = self.engine.arena.view("symbols", SYMBOL)
        table[symbol]["state"] = State.HALTED if is_halted else State.TRADING
        (self.reference.halted.add if is_halted else self.reference.halted.discard)(symbol)

    def enter(self, symbol, side, quantity, price, policy):
        if self.code(symbol, quantity, price):
            return
        slot = matching.enter(self.engine.address, symbol, side, quantity, self.limit(price),
                              policy, 0, 0, 0, 0)
        self.settle(slot, self.reference.enter(symbol, side, quantity, price, policy, 0, 0))

    def settle(self, slot, reference):
        assert (slot == 0) == (reference is None)
        if slot:
            assert self.engine.order(slot)["reference"] == reference
            self.slots[reference] = slot

    def cancel(self, number):
        if reference := self.chosen(number):
            matching.cancel(self.engine.address, self.slots[reference], Cancel.USER)
            self.reference.cancel(reference)

    def reduce(self, number, quantity):
        reference = self.chosen(number)
        if reference and quantity < self.reference.live[reference].quantity:
            matching.reduce(self.engine.address, self.slots[reference], quantity, Cancel.USER)
            self.reference.reduce(reference, quantity)

    def replace(self, number, quantity, price, policy):
        reference = self.chosen(number)
        if not reference:
            return
        order = self.reference.live[reference]
        if self.code(order.symbol, quantity, price) not in (0, 0x0A):
            return
        slot = matching.replace(self.engine.address, self.slots[reference], quantity,
                                self.limit(price), policy, 0)
        self.settle(slot, self.reference.replace(reference, quantity, price, policy, 0))

    def compare(self):
        assert [self.event(row) for row in self.engine.events()] == self.reference.events
        for number in range(len(SYMBOLS)):
            found = self.engine.book(number)
            expected = self.reference.book(number)
            assert tuple([(row.reference, row.price, row.quantity) for row in one]
                         for one in found) == expected
        assert self.engine.orders_live == len(self.reference.live)
        parts = []
        self.first = self.engine.save(self.first, lambda part: parts.append(bytes(part)))
        self.octets += b"".join(parts)
        said = [self.said(message) for message in messages(b"".join(parts))]
        assert said == self.reference.output
        self.reference.output.clear()

    @staticmethod
    def event(row):
        if row["kind"] == EventKind.EXECUTION:
            return ("execution", row["reference"], row["taker_reference"], row["quantity"],
                    row["price"], row["match_number"], row["left"])
        return ("cancel", row["reference"], row["quantity"], chr(row["reason"]))

    @staticmethod
    def said(message):
        values = message.values
        if message.type == "A":
            reference, side, quantity, name, price = values
            assert name == SYMBOLS[message.locate - 1].name.ljust(8).encode()
            return ("A", reference, b"BS".index(side), quantity, message.locate - 1, price)
        return (message.type, *values)


@settings(max_examples=600, deadline=None)
@given(st.lists(command, max_size=40))
def test_events_messages_and_books_equal_those_of_a_second_engine(commands):
    both = Both()
    for name, *arguments in commands:
        both.run(name, *arguments)
    replay = Replay()
    parts = []
    both.engine.save(1, lambda part: parts.append(bytes(part)))
    for message in messages(b"".join(parts)):
        replay.apply(message)
    for number in range(len(SYMBOLS)):
        assert replay.book(number + 1) == both.reference.book(number)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 1), st.integers(0, 9)), min_size=80,
                max_size=200))
def test_a_deep_side_keeps_its_levels_in_order(rows):
    both = Both(slots=256, depth=64)
    for ticks, is_cancel, number in rows:
        if is_cancel and number < 3:
            both.run("cancel", number * 31)
        else:
            both.run("enter", 0, ticks > 40, 100, ticks * 100, matching.DAY)


def test_a_full_venue_takes_orders_again_after_a_cancel():
    both = Both(slots=2)
    for ticks in (1, 2, 3):
        both.run("enter", 0, 0, 100, ticks * 100, matching.DAY)
    assert len(both.reference.live) == 2
    both.run("cancel", 0)
    both.run("enter", 0, 0, 100, 300, matching.DAY)
    assert len(both.reference.live) == 2


def test_an_order_for_one_level_too_many_is_canceled_and_counted():
    both = Both()
    for ticks in range(1, DEPTH + 2):
        both.run("enter", 0, 0, 100, ticks * 100, matching.DAY)
    assert both.engine.counters()["levels_refused"] == 1
    assert chr(both.engine.events()[0]["reason"]) == "Z"


def test_the_extreme_prices_rest_and_trade():
    both = Both()
    both.run("enter", 0, 0, 1, 100, matching.DAY)
    both.run("enter", 0, 1, 1, PRICE_MAX, matching.DAY)
    both.run("enter", 0, 0, 999_999, PRICE_MAX, matching.DAY)
    both.run("enter", 0, 1, 999_999, 100, matching.DAY)
    both.run("enter", 0, 1, 999_999, ANY, matching.DAY)
    assert both.engine.book(0) == ([], [])


def test_the_kernels_run_as_plain_python_too():
    program = ("from tests.unit.test_exchange_matching import Both, matching, ANY\n"
               "both = Both()\n"
               "for n in range(40):\n"
               "    both.run('enter', 0, n % 2, 100 + n, 300 + n * 7 % 5 * 100,\n"
               "             (matching.DAY, matching.DAY, matching.IMMEDIATE)[n % 3])\n"
               "    both.run('replace', n, 50 + n, 300 + n % 6 * 100, n % 3)\n"
               "    both.run('reduce', n, 10)\n"
               "    if n % 4 == 0: both.run('cancel', n)\n"
               "both.run('enter', 0, 1, 5000, ANY, matching.DAY)\n"
               "print(both.engine.counters()['executions'])\n")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(
        str(root / part) for part in ("", "host", "sim", "hw"))}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env=environment, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


kinds = st.sampled_from(list(CommandKind))
rows = st.lists(st.tuples(kinds, side, policy, st.integers(-1, 2), quantity.filter(
    lambda shares: shares < 1 << 31), st.integers(0, 6).map(lambda ticks: ticks * 100),
    st.integers(1, 40)), max_size=60)


def carried_out(rows, ahead):
    """Books and market data after the commands of ``rows``, and how many were refused."""
    engine = Engine(SYMBOLS, order_slots=SLOTS, depth=DEPTH, store_octets=1 << 18,
                    store_messages=1 << 13)
    commands = np.zeros(len(rows), COMMAND)
    for command, (kind, side, policy, symbol, quantity, price, reference) in zip(
            commands, rows, strict=True):
        command["kind"], command["side"], command["policy"] = kind, side, policy
        command["symbol"], command["quantity"], command["price"] = symbol, quantity, price
        command["reference"] = 0 if kind == CommandKind.ENTER else reference
        command["interval"] = 1
    slots = np.zeros(len(rows) + 64, np.int32)
    refused = execute(engine.address, commands.ctypes.data, len(rows), slots.ctypes.data, ahead)
    parts = []
    engine.save(1, lambda part: parts.append(bytes(part)))
    return refused, b"".join(parts), [engine.book(number) for number in range(len(SYMBOLS))]


@settings(max_examples=150, deadline=None)
@given(rows)
def test_commands_in_a_row_are_carried_out_as_one_by_one(rows):
    refused, octets, books = carried_out(rows, 0)
    assert carried_out(rows, 8) == (refused, octets, books)
    market, expected = Market(len(SYMBOLS), slots=SLOTS, depth=DEPTH), 0
    for kind, side, policy, symbol, quantity, price, reference in rows:
        price = price or ANY
        live = market.live.get(reference)
        if kind == CommandKind.ENTER:
            if market.check(symbol, quantity, price) == 0:
                market.enter(symbol, side, quantity, price, policy, 0, 0)
                continue
        elif live and kind == CommandKind.CANCEL:
            market.cancel(reference)
            continue
        elif live and kind == CommandKind.REPLACE:
            if market.check(live.symbol, quantity, price) in (0, 0x0A):
                market.replace(reference, quantity, price, policy, 0)
                continue
        elif live and kind == CommandKind.REDUCE and 0 < quantity < live.quantity:
            market.reduce(reference, quantity)
            continue
        expected += 1
    assert refused == expected
    assert [Both.said(message) for message in messages(octets)] == market.output
    for number, found in enumerate(books):
        assert tuple([(row.reference, row.price, row.quantity) for row in one]
                     for one in found) == market.book(number)
