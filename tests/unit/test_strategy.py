"""Strategies: what they are told is checked, and the examples decide as their docstrings say.

Method: parameters are given right and wrong; the examples' functions are called as the loop calls
them, on rows of a position, a book and a record that the test fills in, and their intents are read
back field by field.
"""

import numpy as np
import pytest

from tickwire.config import SymbolSettings
from tickwire.device.base import INTENT_DTYPE, RECORD_DTYPES
from tickwire.errors import TickwireError
from tickwire.kernels.engine_layout import OUT_SLOTS, STRATEGY
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import call3
from tickwire.spec.intents import IntentFlag, Operation
from tickwire.spec.records import STATE_LINE, BookFlag, RecordType
from tickwire.spec.render import dtype
from tickwire.spec.shared import POSITION
from tickwire.strategy.base import (
    Dollars,
    Parameters,
    PythonStrategy,
    Strategy,
    Symbol,
    handler,
    load,
)
from tickwire.strategy.imbalance import Imbalance
from tickwire.strategy.pair import Pair
from tickwire.strategy.spread import Spread

SYMBOLS = tuple(SymbolSettings(symbol=name) for name in ("AAA", "BBB"))
PRICE = 1_000_000
SELL, SHORT = int(IntentFlag.SELL), int(IntentFlag.SELL | IntentFlag.SHORT)
IMMEDIATE, POST_ONLY = int(IntentFlag.IMMEDIATE), int(IntentFlag.POST_ONLY)


@kernel
def call(function, context, record, out):
    """Call a strategy's C function as the loop does."""
    return call3(function, context, record, out)


class Desk:
    """A strategy with everything that it may look at."""

    def __init__(self, kind: type[Strategy], **parameters):
        """Two instruments with flat positions and books of 100.00 to 100.01."""
        self.strategy = kind(SYMBOLS, parameters)
        self.context = np.zeros(1, STRATEGY)
        self.positions = np.zeros(2, dtype(POSITION))
        self.states = np.zeros(2, dtype(STATE_LINE))
        self.rows = np.zeros((2, 64), np.uint8)
        self.out = np.zeros(OUT_SLOTS, INTENT_DTYPE)
        self.values = np.zeros(1, self.strategy.parameters.dtype)
        for name, value in self.strategy.values.items():
            self.values[0][name] = value
        c = self.context[0]
        c["parameters"], c["rows"] = self.values.ctypes.data, self.rows.ctypes.data
        c["row_size"], c["positions"] = 64, self.positions.ctypes.data
        c["states"], c["instruments"], c["strategy"] = self.states.ctypes.data, 2, 1
        self.positions["locate"] = 11, 12
        self.quote(), self.quote(1)

    def quote(self, instrument=0, *, bid=PRICE, ask=PRICE + 100, bid_quantity=100,
              ask_quantity=100, flags=0, state=b"T") -> np.ndarray:
        """Set a book; return its BBO record."""
        record = np.zeros(1, RECORD_DTYPES[RecordType.BBO])
        for target in (self.states[instrument], record[0]):
            target["bid_price"], target["ask_price"] = bid, ask
            target["bid_quantity"], target["ask_quantity"] = bid_quantity, ask_quantity
            target["flags"], target["trading_state"] = flags, state[0]
        record[0]["record_type"] = RecordType.BBO
        return record

    def decide(self, instrument=0, **book) -> list[tuple]:
        """Show one BBO; return (operation, instrument, flags, price, quantity or token)."""
        record = self.quote(instrument, **book)
        c = self.context[0]
        c["instrument"] = instrument
        c["row"] = self.rows.ctypes.data + 64 * instrument
        c["position"] = self.positions.ctypes.data + 128 * instrument
        count = call(self.strategy.address, self.context.ctypes.data, record.ctypes.data,
                     self.out.ctypes.data)
        return [(Operation(int(row["operation"])), int(row["locate"]) - 11, int(row["flags"]),
                 int(row["price"]), int(row["token"] or row["quantity"]))
                for row in self.out[:count]]


NEW, CANCEL = Operation.NEW, Operation.CANCEL


# What a strategy is told


@handler
def nothing(c, record, out):
    """Do nothing."""
    return 0


class Plain(Strategy):
    """Something of every kind of parameter."""

    function = nothing
    parameters = Parameters(count=3, is_on=True, edge=Dollars("0.05"), partner=Symbol(1))


def test_defaults_hold_where_nothing_is_given():
    assert Plain(SYMBOLS, {}).values == {"count": 3, "is_on": 1, "edge": 500, "partner": 1}


def test_given_values_are_converted():
    given = {"count": -7, "is_on": False, "edge": "1.25", "partner": "AAA"}
    assert Plain(SYMBOLS, given).values == {"count": -7, "is_on": 0, "edge": 12_500, "partner": 0}


@pytest.mark.parametrize(("given", "sentence"), [
    ({"cuont": 1}, r"strategy\.parameters\.cuont is not a parameter of Plain; there are: count,"),
    ({"count": "3"}, r"count must be an integer, not '3'"),
    ({"count": True}, r"count must be an integer, not True"),
    ({"count": 1 << 62}, r"count must fit 62 bits"),
    ({"is_on": 1}, r"is_on must be true or false, not 1"),
    ({"edge": "0.00005"}, r"edge must be an amount in dollars with at most four decimals"),
    ({"edge": "1e30"}, r"edge must be an amount in dollars"),
    ({"edge": "1e999999"}, r"edge must be an amount in dollars"),
    ({"edge": "NaN"}, r"edge must be an amount in dollars"),
    ({"edge": "much"}, r"edge must be an amount in dollars"),
    ({"partner": "CCC"}, r"partner must be one of symbols, not 'CCC'"),
])
def test_wrong_values_are_told_with_their_name(given, sentence):
    with pytest.raises(TickwireError, match=sentence):
        Plain(SYMBOLS, given)


def test_a_strategy_that_needs_two_symbols_says_so():
    with pytest.raises(TickwireError, match="Plain needs 2 symbols, not 1"):
        Plain(SYMBOLS[:1], {})


def test_a_class_without_a_function_is_told():
    class Empty(Strategy):
        pass
    with pytest.raises(TickwireError, match="Empty has no function decorated"):
        Empty(SYMBOLS, {})


@pytest.mark.parametrize(("path", "sentence"), [
    ("no.such.module:Class", r"cannot import no\.such\.module"),
    ("tickwire.strategy.spread:Sprad", "is not a class derived from"),
    ("tickwire.strategy.spread:PARAMETERS", "is not a class derived from"),
    ("tickwire.config:Config", "is not a class derived from"),
])
def test_a_path_that_leads_nowhere_is_told(path, sentence):
    with pytest.raises(TickwireError, match=sentence):
        load(path, SYMBOLS, {})


HANDLER = """from tickwire.kernels import engine_actions as act
from tickwire.strategy.base import handler

@handler
def trade(c, record, out):
"""


@pytest.mark.parametrize(("source", "sentence"), [
    ("def trade(:\n", r"does not compile: .+ \({file}, line 1\)\.$"),
    (HANDLER + "    return act.bbo_at(record)['nope']\n",
     r"does not compile: Field 'nope' was not found in record .+ \({file}, line 6\)\.$"),
    (HANDLER + "    return nowhere\n",
     r"does not compile: NameError: name 'nowhere' is not defined \({file}, line 6\)\.$"),
    (HANDLER + "    with open('x'):\n        return 0\n",
     r"does not compile: .*context manager.* \({file}, line [456]\)\.$"),
    (HANDLER + "    return act.nope(c)\n",
     r"does not compile: module .+ has no attribute 'nope' \({file}, line [45]\)\.$"),
    (HANDLER.replace(", out", "") + "    return 0\n",
     r"does not compile: Signature mismatch: 3 argument .+ \({file}, line [45]\)\.$"),
    ("limit = 1 / 0\n",
     r"cannot be imported: ZeroDivisionError: division by zero \({file}, line 1\)\.$"),
    ("from tickwire.strategy.base import PythonStrategy\n\nclass Trade(PythonStrategy):\n"
     "    def check(self):\n        self.require(1 / 0 > 1, 'limit', 'more')\n",
     r"cannot be made: ZeroDivisionError: division by zero \({file}, line 5\)\.$"),
])
def test_a_module_that_does_not_compile_is_told_with_its_place(source, sentence, tmp_path,
                                                               monkeypatch, request):
    number = request.node.callspec.indices["source"]
    (tmp_path / f"broken_{number}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    expected = f"^Strategy broken_{number}:Trade " + sentence.format(file=rf"broken_{number}\.py")
    with pytest.raises(TickwireError, match=expected) as caught:
        load(f"broken_{number}:Trade", SYMBOLS, {})
    assert "\n" not in str(caught.value)


def test_both_kinds_are_loaded_by_their_path():
    assert isinstance(load("tickwire.strategy.spread:Spread", SYMBOLS, {}), Spread)
    assert issubclass(PythonStrategy, object)


@pytest.mark.parametrize("module", ["spread", "imbalance", "pair"])
def test_an_example_has_less_than_60_lines(module):
    import importlib
    from pathlib import Path
    found = importlib.import_module(f"tickwire.strategy.{module}")
    assert Path(found.__file__).read_text().count("\n") < 60


# The spread strategy


def settled(kind=Spread, **parameters):
    """A desk whose means have settled at the first price."""
    desk = Desk(kind, **parameters)
    desk.decide()
    return desk


def test_spread_waits_at_its_mean():
    assert settled().decide() == []


def test_spread_sells_short_what_is_far_above_its_mean_and_buys_what_is_far_below():
    desk = settled(threshold="0.05")
    assert desk.decide(bid=PRICE + 600, ask=PRICE + 700) == [
        (NEW, 0, SHORT | IMMEDIATE, PRICE + 600, 100)]
    desk = settled(threshold="0.05")
    assert desk.decide(bid=PRICE - 700, ask=PRICE - 600) == [(NEW, 0, IMMEDIATE, PRICE - 600, 100)]


def test_spread_gives_a_position_back_when_the_price_has_come_back():
    desk = settled()
    desk.positions[0]["position"] = -250
    assert desk.decide(bid=PRICE - 200, ask=PRICE - 100) == [(NEW, 0, IMMEDIATE, PRICE - 100, 100)]
    desk.positions[0]["position"] = 30
    assert desk.decide(bid=PRICE + 100, ask=PRICE + 200) == [
        (NEW, 0, SELL | IMMEDIATE, PRICE + 100, 30)]


@pytest.mark.parametrize("change", [
    {"ask": PRICE + 600 + 300}, {"state": b"H"}, {"flags": int(BookFlag.RECOVERING)},
    {"flags": int(BookFlag.CROSSED)}, {"ask": 0}, {"bid": 0}])
def test_spread_does_not_trade_wide_halted_or_doubtful_books(change):
    desk = settled()
    assert desk.decide(**{"bid": PRICE + 600, "ask": PRICE + 700} | change) == []


@pytest.mark.parametrize("field", ["pending", "open_orders"])
def test_spread_has_one_order_at_a_time(field):
    desk = settled()
    desk.positions[0][field] = 1
    assert desk.decide(bid=PRICE + 600, ask=PRICE + 700) == []


def test_spread_stops_at_its_greatest_position():
    desk = settled(position_max=300)
    desk.positions[0]["position"] = -300
    assert desk.decide(bid=PRICE + 600, ask=PRICE + 700) == []


def test_spread_enters_no_more_than_its_greatest_position_allows():
    desk = settled(position_max=300)
    desk.positions[0]["position"] = -270
    assert desk.decide(bid=PRICE + 600, ask=PRICE + 700) == [
        (NEW, 0, SHORT | IMMEDIATE, PRICE + 600, 30)]
    desk.positions[0]["position"] = 260
    assert desk.decide(bid=PRICE - 700, ask=PRICE - 600) == [(NEW, 0, IMMEDIATE, PRICE - 600, 40)]


# Imbalance


def test_imbalance_leans_to_either_side_alike():
    """Of 20,000 shares, a lean of 499.8 thousandths is no 500 on either side; 500 is."""
    for bid, ask, is_enough in ((14_998, 5_002, False), (15_000, 5_000, True)):
        desk = Desk(Imbalance)
        assert bool(desk.decide(bid_quantity=bid, ask_quantity=ask)) == is_enough
        desk = Desk(Imbalance)
        assert bool(desk.decide(bid_quantity=ask, ask_quantity=bid)) == is_enough


def test_imbalance_joins_the_heavy_side():
    desk = Desk(Imbalance)
    assert desk.decide(bid_quantity=900) == [(NEW, 0, POST_ONLY, PRICE, 100)]
    assert desk.decide(ask_quantity=900) == [(NEW, 0, SHORT | POST_ONLY, PRICE + 100, 100)]
    assert desk.decide() == []


def test_imbalance_cancels_once_when_the_price_or_the_weight_moves_on():
    for book in ({"bid": PRICE - 100, "bid_quantity": 900}, {}):
        desk = Desk(Imbalance)
        desk.positions[0]["buy_token"], desk.positions[0]["buy_price"] = 5, PRICE
        desk.positions[0]["open_orders"] = 1
        assert desk.decide(bid_quantity=900) == []
        assert desk.decide(**book) == [(CANCEL, -11, 0, 0, 5)]
        assert desk.decide(**book) == []   # the cancel is under way


def test_imbalance_works_a_position_off():
    desk = Desk(Imbalance)
    desk.positions[0]["position"] = 100
    assert desk.decide() == [(NEW, 0, SELL | POST_ONLY, PRICE + 100, 100)]


# Pair


def test_pair_sells_the_dear_one_and_buys_the_cheap_one_for_the_same_value():
    desk = settled(Pair, value="20000")
    desk.decide(1, bid=PRICE // 2, ask=PRICE // 2 + 100)
    found = desk.decide(0, bid=PRICE + 20_000, ask=PRICE + 20_100)
    assert found == [(NEW, 0, SHORT | IMMEDIATE, PRICE + 20_000, 196),
                     (NEW, 1, IMMEDIATE, PRICE // 2 + 100, 399)]


def test_pair_gives_both_back_when_they_meet():
    desk = settled(Pair)
    desk.decide(1)
    desk.positions["position"] = -20, 21
    assert desk.decide(0) == [(NEW, 0, IMMEDIATE, PRICE + 100, 20),
                              (NEW, 1, SELL | IMMEDIATE, PRICE, 21)]


def test_pair_waits_while_either_leg_is_under_way():
    desk = settled(Pair)
    desk.decide(1)
    desk.positions[1]["pending"] = 1
    assert desk.decide(0, bid=PRICE + 20_000, ask=PRICE + 20_100) == []
