"""Orders and levels twice, as compiled gateware and as kernels, for columns of operations."""

from collections import Counter

import numpy as np

from tests.table_rig import clear, noisy_rows
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import level_table, order_table
from tickwire.kernels.book import add, reduce
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import load64, view
from tickwire.kernels.messages import find_order, take_shares
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import Geometry
from tickwire_hw.commit import FORESEEN_AGE, RESULT_AGE, BookOperation, Commit
from tickwire_sim.verilate import verilate

CONTEXT = 20                                # bits that are carried along: the operation's number
NONE, ADD, REPLACE, TAKE, REMOVE, STEP = (operation.value for operation in BookOperation)
COUNTERS = ("unknown", "over", "zero", "bad_price", "duplicate", "level_overflow",
            "order_overflow")
_INDEX = np.array([CounterIndex[name].value for name in (
    "UNKNOWN_ORDER", "OVER_EXECUTION", "ZERO_QUANTITY", "BAD_PRICE", "DUPLICATE_ORDER",
    "LEVEL_OVERFLOW", "ORDER_OVERFLOW")])
CHANGE_NONE, CHANGED, NEW, LOST = range(4)
# `gap` is the number of cycles to the next operation.
OPERATION = np.dtype([(name, "i8") for name in (
    "operation", "reference", "shares", "price", "side", "instrument", "gap")], align=True)
RESULT = np.dtype([(name, "i8") for name in (
    "flags", "change", "before", "level", "taken", "price", "side", "open",
    "order_stash", "level_stash")], align=True)
FOUND, PLACED = 1 << len(COUNTERS), 2 << len(COUNTERS)
GIVEN = ("operation", "reference", "shares", "price", "side", "instrument")
_OPERATION_SIZE, _RESULT_SIZE = OPERATION.itemsize, RESULT.itemsize
_operation_at, _result_at = view(OPERATION), view(RESULT)


@kernel
def _value(book, key):
    level = level_table.search(book, key)
    return 0 if level == level_table.NONE else load64(level + level_table.VALUES)


@kernel
def _entry(book, reference):
    if reference == 0:
        return order_table.NONE
    return order_table.find(book, order_table.left_bucket(book, reference), reference)


@kernel
def _add(book, o, r, side):
    key = level_table.key_of(o["instrument"], side, o["price"])
    r["before"] = _value(book, key)
    had = _entry(book, o["reference"]) != order_table.NONE
    add(book, o["instrument"], side, o["reference"], o["shares"], o["price"])
    r["level"] = _value(book, key)
    r["price"], r["side"], r["open"] = o["price"], side, o["shares"]
    if not had and _entry(book, o["reference"]) != order_table.NONE:
        r["flags"] |= PLACED


@kernel
def _reduce(book, o, r):
    reference = o["reference"]
    bucket = order_table.left_bucket(book, reference)
    entry = find_order(book, o["instrument"], bucket, reference)
    if entry == order_table.NONE:
        return -1
    r["flags"] |= FOUND
    key = level_table.stored_key(level_table.entry_of(book, order_table.level_of(entry)))
    side = (key >> 32) & 1
    r["before"] = _value(book, key)
    r["open"] = order_table.quantity_of(entry)
    r["price"], r["side"] = key & 0x7FFFFFFF, side
    if o["operation"] == REMOVE:
        r["taken"] = r["open"]
        reduce(book, o["instrument"], entry, reference, r["open"])
    else:
        r["taken"] = min(np.int64(o["shares"]), np.int64(r["open"]))
        take_shares(book, o["instrument"], entry, reference, o["shares"])
    r["level"] = _value(book, key)
    return side


@kernel
def _apply(book, operations, results, counters, count):
    side = -1
    memory = book_at(book)["counters"]
    before = np.zeros(len(counters), np.int64)
    for number in range(count):
        o = _operation_at(operations + number * _OPERATION_SIZE)
        r = _result_at(results + number * _RESULT_SIZE)
        for bit in range(len(counters)):
            before[bit] = load64(memory + 8 * counters[bit])
        if o["operation"] == ADD:
            _add(book, o, r, o["side"])
        elif o["operation"] == REPLACE:
            if side >= 0:
                _add(book, o, r, side)
        elif o["operation"] == STEP:
            key = level_table.key_of(o["instrument"], o["side"], o["price"])
            r["before"] = r["level"] = _value(book, key)
        elif o["operation"] != NONE:
            side = _reduce(book, o, r)
        for bit in range(len(counters)):
            if load64(memory + 8 * counters[bit]) != before[bit]:
                r["flags"] |= 1 << bit
        r["order_stash"], r["level_stash"] = (book_at(book)["order_stash_used"],
                                              book_at(book)["level_stash_used"])


def kernel_results(geometry: Geometry, operations: np.ndarray) -> np.ndarray:
    """Results of the kernels, from empty tables on; what has no meaning is 0."""
    memory = BookMemory(geometry, huge=False)
    operations, results = np.ascontiguousarray(operations), np.zeros(len(operations), RESULT)
    _apply(memory.address, operations.ctypes.data, results.ctypes.data, _INDEX, len(operations))
    before, after = results["before"], results["level"]
    results["change"] = np.select((before == after, before == 0, after == 0),
                                  (CHANGE_NONE, NEW, LOST), CHANGED)
    return results


class Card:
    """The compiled component, empty and ready."""

    def __init__(self, geometry: Geometry, *, has_reset: bool = False) -> None:
        self.geometry = geometry
        self.model = verilate(Commit(geometry, context=CONTEXT), f"commit_{geometry.orders_log2}",
                              has_reset=has_reset)

    def results(self, operations: np.ndarray, *, is_reset: bool = False) -> np.ndarray:
        """Results of the component, from empty tables on; each comes exactly when it should.

        With ``is_reset`` it is reset where it stands.
        """
        rows, cycles, wait = self._rows(operations, is_reset=is_reset)
        late = self.model.run(rows, when="o__valid")
        assert (late["cycle"] - late["cycle"][0] == cycles).all()
        assert late["cycle"][0] == wait + 1 + RESULT_AGE

        def get(name: str) -> np.ndarray:
            return self.model.get(late, "o__payload", name).astype(np.int64)

        assert (get("context") == np.arange(len(late)) % (1 << CONTEXT)).all()
        assert (get("operation") == operations["operation"]).all()
        found = np.zeros(len(late), RESULT)
        for bit, flag in enumerate((*COUNTERS, "found", "placed")):
            found["flags"] |= get(f"is_{flag}") << bit
        for name in ("change", "taken"):
            found[name] = get(name)
        for name in ("before", "level"):
            found[name] = get(f"{name}.shares") | get(f"{name}.orders") << 40
        found["price"], found["side"], found["open"] = (
            get(f"order.{name}") for name in ("price", "side", "shares"))
        found["order_stash"], found["level_stash"] = late["order_stash"], late["level_stash"]
        is_step = operations["operation"] == STEP
        found["before"][is_step & (get("is_level_found") == 0)] = 0
        return found

    def levels(self, operations: np.ndarray) -> np.ndarray:
        """What is told of each operation's level ahead: price, side, instrument, is_first."""
        rows, cycles, _ = self._rows(operations)
        early = self.model.run(rows)[cycles + FORESEEN_AGE + 1]
        return np.stack([self.model.get(early, "o_level", name).astype(np.int64) for name in (
            "key.price", "key.side", "key.instrument", "is_first")], axis=1)

    def _rows(self, operations: np.ndarray, *,
              is_reset: bool = False) -> tuple[np.ndarray, np.ndarray, int]:
        """Begin with empty tables; return rows, the operations' cycles and those of clearing."""
        if is_reset:
            self.model.reset()
        else:
            self.model.restart()
        wait = 1 << max(self.geometry.orders_log2, self.geometry.levels_log2)
        clear(self.model, wait)
        cycles = np.cumsum(operations["gap"]) - operations["gap"]
        rows = noisy_rows(self.model, int(cycles[-1]) + RESULT_AGE + 1)
        rows["i__valid"][cycles] = 1
        given = rows[cycles]
        self.model.put(given, "i__payload", context=np.arange(len(cycles)) % (1 << CONTEXT),
                       **{name: operations[name].view(np.uint64) for name in GIVEN})
        rows[cycles] = given
        return rows, cycles, wait


def compare(card: Card, operations: np.ndarray, *, is_reset: bool = False) -> Counter:
    """Compare both from empty tables on; return how often each flag and change was seen."""
    expected = kernel_results(card.geometry, operations)
    found = card.results(operations, is_reset=is_reset)
    is_found, is_placed = expected["flags"] & FOUND != 0, expected["flags"] & PLACED != 0
    is_changed = expected["change"] != CHANGE_NONE
    where = {**dict.fromkeys(("flags", "change", "order_stash", "level_stash")),
             "taken": is_found, "price": is_found | is_placed, "side": is_found | is_placed,
             "open": is_found | is_placed,
             "before": is_changed & (expected["change"] != NEW) | (
                 operations["operation"] == STEP),
             "level": is_changed & (expected["change"] != LOST)}
    for name, rows in where.items():
        wrong = np.flatnonzero((expected[name] != found[name]) & (True if rows is None else rows))
        if len(wrong):
            number = wrong[0]
            raise AssertionError(f"operation {number}, {name}: {found[number]}, not "
                                 f"{expected[number]}, after\n"
                                 f"{operations[max(0, number - 6):number + 1]}")
    seen = Counter({flag: int((expected["flags"] >> bit & 1).sum())
                    for bit, flag in enumerate((*COUNTERS, "found", "placed"))})
    for change, name in enumerate(("unchanged", "changed", "new", "lost")):
        seen[name] = int((expected["change"] == change).sum())
    return seen
