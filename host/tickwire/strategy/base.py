"""What a strategy is: parameters, a row of state for each instrument, and a function of records.

A :class:`Strategy` is compiled: its function is called by the engine's loop for every record that
it wants, and never sees Python. A :class:`PythonStrategy` is a plain class whose methods get the
same records a few microseconds later, for trying things out.
"""

import importlib
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tickwire.config import SymbolSettings
from tickwire.errors import TickwireError
from tickwire.kernels import jit as compiling
from tickwire.kernels.jit import handler as compiled
from tickwire.spec.intents import IntentFlag, Operation
from tickwire.spec.records import RecordType

handler = compiled("int64(int64, int64, int64)")
"""Decorator of a strategy's function ``(c, record, out) -> number of intents``."""

Value = int | bool | str | Decimal
_INTEGER_MAX = (1 << 62) - 1
_PLACE = re.compile(r" at (\S.*) \((\d+)\)$", re.MULTILINE)    # as the compiler tells it
_NO_REASON = ("Failed in nopython mode pipeline", "During: ")


@dataclass(frozen=True, slots=True)
class Dollars:
    """Default of a parameter that is written in dollars and held in ten-thousandths."""

    amount: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """Default of a parameter that names a symbol and holds its dense number."""

    index: int


Default = int | bool | Dollars | Symbol


class Parameters(dict[str, Default]):
    """Parameters of a strategy: defaults by name, in the order in which kernels read them."""

    @property
    def dtype(self) -> np.dtype:
        """Record that kernels find at ``parameters_of(c)``: 8-octet integers."""
        return np.dtype([(name, "i8") for name in self] or [("unused", "i8")])


class _Parametrised:
    """What both kinds of strategy share: parameters with defaults, checked against the file."""

    parameters: ClassVar[Parameters] = Parameters()

    def __init__(self, symbols: Sequence[SymbolSettings], given: Mapping[str, Value]) -> None:
        """Take ``given`` parameters; the sentence of what is wrong names the parameter."""
        self.symbols = tuple(symbols)
        self.values: dict[str, int] = {}
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise TickwireError(f"strategy.parameters.{name} is not a parameter of "
                                    f"{type(self).__name__}; there are: {known}.")
        for name, default in self.parameters.items():
            self.values[name] = self._value(name, default, given.get(name))
        self.check()

    def check(self) -> None:
        """Refuse values that make no sense together; raise :class:`TickwireError`."""

    def require(self, is_right: bool, name: str, rule: str) -> None:
        """Raise with the parameter's name, rule and value unless ``is_right``."""
        if not is_right:
            raise TickwireError(f"strategy.parameters.{name} must be {rule}, "
                                f"not {self.values[name]}.")

    def _value(self, name: str, default: Default, given: Value | None) -> int:
        if isinstance(default, Symbol):
            return self._symbol(name, default, given)
        if isinstance(default, Dollars):
            return _amount(name, default.amount if given is None else given)
        value = default if given is None else given
        if isinstance(default, bool) and not isinstance(value, bool):
            raise TickwireError(f"strategy.parameters.{name} must be true or false, not {value!r}.")
        if not isinstance(value, int) or isinstance(value, bool) != isinstance(default, bool):
            raise TickwireError(f"strategy.parameters.{name} must be an integer, not {value!r}.")
        if abs(value) > _INTEGER_MAX:
            raise TickwireError(f"strategy.parameters.{name} must fit 62 bits, not {value}.")
        return int(value)

    def _symbol(self, name: str, default: Symbol, given: Value | None) -> int:
        names = [entry.symbol for entry in self.symbols]
        if given is None:
            if default.index >= len(names):
                raise TickwireError(f"{type(self).__name__} needs {default.index + 1} symbols, "
                                    f"not {len(names)}.")
            return default.index
        if given not in names:
            raise TickwireError(f"strategy.parameters.{name} must be one of symbols, "
                                f"not {given!r}.")
        return names.index(str(given))


class Strategy(_Parametrised):
    """A compiled strategy. Subclass it, name the four things below, and nothing else is needed.

    Attributes
    ----------
    function
        A function decorated with :func:`handler`.
    wants
        Record types that it is called for. ``RecordType.TIME`` is its timer.
    parameters
        Its :class:`Parameters`.
    row
        dtype of its own state of one instrument, zero at the start.
    timer_ns
        Period of the timer; 0 none.
    """

    function: ClassVar[Any] = None
    wants: ClassVar[tuple[RecordType, ...]] = (RecordType.BBO,)
    row: ClassVar[np.dtype] = np.dtype([("unused", "i8")])
    timer_ns: ClassVar[int] = 0

    def check(self) -> None:
        """Check that the class is whole."""
        if self.function is None or not hasattr(self.function, "address"):
            raise TickwireError(f"Strategy {type(self).__name__} has no function decorated with "
                                "tickwire.strategy.base.handler.")

    @property
    def address(self) -> int:
        """Address of its C function."""
        return int(self.function.address)

    @property
    def mask(self) -> int:
        """One bit for each record type that it wants."""
        return sum(1 << kind for kind in set(self.wants))


class PythonStrategy(_Parametrised):
    """A strategy in plain Python: override the ``on_...`` methods of the records you want.

    A record is a NumPy row with the fields of its table. Prices are ten-thousandths of a dollar.
    Methods run in one thread of their own; :attr:`trader` enters and cancels orders.

    Market records come from the moment on at which the device is armed. Trades and status all
    come, in order; of quotes that came while a method ran only the newest of each place: an
    instrument's best bid and offer, a position of its depth. A quote may overtake a trade.
    """

    timer_ns: ClassVar[int] = 0
    trader: "Trader"

    def on_start(self) -> None:
        """Called once, before the first record: prepare here. The device may not be armed yet."""

    def on_bbo(self, row: np.void) -> None:
        """Best bid and offer changed."""

    def on_level(self, row: np.void) -> None:
        """A price level changed."""

    def on_trade(self, row: np.void) -> None:
        """A trade."""

    def on_status(self, row: np.void) -> None:
        """Trading status changed."""

    def on_order(self, kind: RecordType, row: np.void) -> None:
        """Anything about an order of ours: sent, accepted, filled, refused."""

    def on_timer(self, now: int) -> None:
        """The timer came round."""


class Trader:
    """Hands of a Python strategy: orders in, positions out."""

    def __init__(self, submit: Any, positions: np.ndarray, states: np.ndarray,
                 strategy: int = 1) -> None:
        """``submit(fields)`` hands one intent to the engine; arrays are the shared tables."""
        self._submit = submit
        self.positions = positions
        self.states = states
        self._strategy = strategy
        self._last_id = 0

    def instrument(self, row: np.void) -> int:
        """Dense number of the instrument of a record, -1 when it is not watched."""
        found = np.flatnonzero(self.positions["locate"] == row["locate"])
        return int(found[0]) if len(found) and row["locate"] else -1

    def new(self, instrument: int, flags: int, price: int, quantity: int, *, cause: int = 0) -> int:
        """Enter an order and return its intent_id.

        ``cause`` is the time stamp of the record that it answers; without one it is decided now.
        """
        decided = {"timestamp": cause} if cause else {}
        return self._enter(Operation.NEW, instrument, flags=int(flags), price=price,
                           quantity=quantity, **decided)

    def replace(self, instrument: int, token: int, price: int, quantity: int) -> int:
        """Replace the open order ``token``."""
        return self._enter(Operation.REPLACE, instrument, token=token, price=price,
                           quantity=quantity)

    def cancel(self, token: int) -> int:
        """Cancel what is left of the open order ``token``."""
        return self._enter(Operation.CANCEL, -1, token=token)

    def _enter(self, operation: Operation, instrument: int, **fields: int) -> int:
        self._last_id = self._last_id % 0x7FFF_FFFF + 1
        locate = int(self.positions[instrument]["locate"]) if instrument >= 0 else 0
        self._submit({"intent_id": self._last_id, "operation": int(operation), "locate": locate,
                      "strategy": self._strategy, **fields})
        return self._last_id


BUY = 0
SELL = IntentFlag.SELL
IMMEDIATE = IntentFlag.IMMEDIATE
POST_ONLY = IntentFlag.POST_ONLY


def load(path: str, symbols: Sequence[SymbolSettings],
         given: Mapping[str, Value]) -> Strategy | PythonStrategy:
    """Import ``package.module:Class`` and make one.

    Raises :class:`TickwireError` with the reason when that is not possible.
    """
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise TickwireError(f"strategy.path: cannot import {module_name}: {error}.") from None
    except Exception as error:                 # whatever the module's own code raises
        raise TickwireError(_failure(path, error)) from None
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type) or not issubclass(kind, Strategy | PythonStrategy):
        raise TickwireError(f"strategy.path: {path} is not a class derived from "
                            "tickwire.strategy.base.Strategy or PythonStrategy.")
    try:
        return kind(symbols, given)
    except TickwireError:
        raise
    except Exception as error:                 # of its own check or __init__
        raise TickwireError(_failure(path, error, "made")) from None


def _failure(path: str, error: Exception, what: str = "imported") -> str:
    """Say why a strategy or its module cannot be used: what is wrong, in which file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError):
        what, place = error.msg, (error.filename or "", error.lineno or 0)
        return f"Strategy {path} does not compile: {_reason(what)} {_place(*place)}."
    if all(frame.filename != compiling.__file__ for frame in frames):
        last = frames[-1]
        return (f"Strategy {path} cannot be {what}: {type(error).__name__}: "
                f"{_reason(str(error))} {_place(last.filename, last.lineno or 0)}.")
    text = str(error)
    found = _PLACE.search(text)                # the innermost place comes first
    if found:
        place = found[1], int(found[2])
    elif loc := getattr(error, "loc", None):
        place = loc.filename, loc.line
    else:                                      # the line of the decorator
        caller = next(before for before, frame in pairwise(frames)
                      if frame.filename == compiling.__file__)
        place = caller.filename, caller.lineno or 0
    return f"Strategy {path} does not compile: {_reason(text)} {_place(*place)}."


def _reason(text: str) -> str:
    """First line of a compiler's text that says something."""
    lines = (line.strip() for line in text.splitlines())
    found = next((line for line in lines if line and not line.startswith(_NO_REASON)), "no reason")
    return found.removesuffix(". Raised from None").rstrip(". ")


def _place(file: str, line: int) -> str:
    return f"({Path(file).name}, line {line})"


def _amount(name: str, given: Value) -> int:
    """Ten-thousandths of a dollar amount."""
    try:
        amount = Decimal(str(given)) * 10_000
        if (isinstance(given, bool) or not abs(amount) <= _INTEGER_MAX
                or amount != int(amount)):
            raise ValueError
        return int(amount)
    except (ValueError, ArithmeticError):
        raise TickwireError(f"strategy.parameters.{name} must be an amount in dollars with at most "
                            f"four decimals, not {given}.") from None


