"""The order table twice, as compiled gateware and as kernels, for columns of operations."""

from collections import Counter

import numpy as np

from tests.table_rig import clear, noisy_rows
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import order_table
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import view
from tickwire.spec.geometry import Geometry
from tickwire_hw.order_table import RESULT_AGE, OrderOperation, OrderTable
from tickwire_sim.verilate import verilate

CONTEXT = 20                                # bits that are carried along: the operation's number
FLAGS = ("found", "gone", "over", "placed", "unknown", "duplicate", "refused", "overflow")
FOUND, GONE, OVER, PLACED, UNKNOWN, DUPLICATE, REFUSED, OVERFLOW = (
    1 << bit for bit in range(len(FLAGS)))
ADD, REPLACE, TAKE, REMOVE = (operation.value for operation in OrderOperation)
ORDER = ("instrument", "side", "price", "shares")
# `gap` is the number of cycles to the next operation, `refuse` what the card's input says.
OPERATION = np.dtype([(name, "i8") for name in (
    "operation", "reference", *ORDER, "refuse", "gap")], align=True)
RESULT = np.dtype([(name, "i8") for name in ("flags", *ORDER, "taken", "left", "stash")],
                  align=True)
_OPERATION_SIZE, _RESULT_SIZE = OPERATION.itemsize, RESULT.itemsize
_operation_at, _result_at = view(OPERATION), view(RESULT)


@kernel
def _add(book, number, o, r, side):
    reference = o["reference"]
    bucket = order_table.left_bucket(book, reference)
    if reference == 0 or order_table.find(book, bucket, reference) != order_table.NONE:
        return DUPLICATE
    if o["refuse"]:
        return REFUSED
    entry = order_table.place(book, bucket, reference)
    if entry == order_table.NONE:
        return OVERFLOW
    order_table.write(entry, o["shares"], number)
    r["instrument"], r["side"] = o["instrument"], side
    r["price"], r["shares"] = o["price"], o["shares"]
    return PLACED


@kernel
def _reduce(book, results, o, r):
    reference = o["reference"]
    entry = order_table.NONE
    if reference != 0:
        entry = order_table.find(book, order_table.left_bucket(book, reference), reference)
    if entry == order_table.NONE:
        return UNKNOWN
    placed = _result_at(results + order_table.level_of(entry) * _RESULT_SIZE)
    if placed["instrument"] != o["instrument"]:
        return UNKNOWN
    is_open = order_table.quantity_of(entry)
    is_over = o["operation"] == TAKE and o["shares"] > is_open
    shares = is_open if o["operation"] == REMOVE or is_over else o["shares"]
    if shares == is_open:
        order_table.remove(book, entry, reference)
    else:
        order_table.take_shares(entry, shares)
    r["instrument"], r["side"] = placed["instrument"], placed["side"]
    r["price"], r["shares"] = placed["price"], is_open
    r["taken"], r["left"] = shares, is_open - shares
    return FOUND | (GONE if shares == is_open else 0) | (OVER if is_over else 0)


@kernel
def _apply(book, operations, results, count):
    """Apply operations one by one; an entry's "level" is the number of the operation that added."""
    side = 0
    was_found = False
    for number in range(count):
        o = _operation_at(operations + number * _OPERATION_SIZE)
        r = _result_at(results + number * _RESULT_SIZE)
        if o["operation"] == ADD or o["operation"] == REPLACE:
            if o["operation"] == ADD:
                side = o["side"]
            if o["operation"] == ADD or was_found:
                r["flags"] = _add(book, number, o, r, side)
            was_found = False
        else:
            r["flags"] = _reduce(book, results, o, r)
            was_found = r["flags"] & FOUND != 0
            side = r["side"]
        r["stash"] = book_at(book)["order_stash_used"]


def kernel_results(geometry: Geometry, operations: np.ndarray) -> np.ndarray:
    """Results of the kernels, from empty tables on; fields that mean nothing are 0."""
    memory = BookMemory(geometry, huge=False)
    operations, results = np.ascontiguousarray(operations), np.zeros(len(operations), RESULT)
    _apply(memory.address, operations.ctypes.data, results.ctypes.data, len(operations))
    return results


class Card:
    """The compiled component, empty and ready."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.model = verilate(OrderTable(geometry, context=CONTEXT),
                              f"order_table_{geometry.orders_log2}",
                              has_reset=True)
        self.clear()

    def restart(self) -> None:
        """Begin as after configuration, and clear the tables."""
        self.model.restart()
        self.clear()

    def clear(self) -> None:
        """Wait until the tables are clear: one cycle for each bucket of a table."""
        clear(self.model, 1 << self.geometry.orders_log2)

    def run(self, operations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run operations; return the cycle of each and the rows in which something came out."""
        cycles = np.cumsum(operations["gap"]) - operations["gap"]
        rows = noisy_rows(self.model,
                          int(cycles[-1]) + max(RESULT_AGE + 1, int(operations["gap"][-1])))
        rows["i_refuse"] = np.random.default_rng(1).integers(0, 2, len(rows))
        rows["i_refuse"][cycles + RESULT_AGE - 1] = operations["refuse"]
        rows["i__valid"][cycles] = 1
        taken = rows[cycles]
        self.model.put(taken, "i__payload", operation=operations["operation"],
                       reference=operations["reference"].view(np.uint64),
                       context=np.arange(len(cycles)) % (1 << CONTEXT),
                       **{f"order__{name}": operations[name] for name in ORDER})
        rows[cycles] = taken
        return cycles, self.model.run(rows, when=("o__valid", "o_found__valid"))

    def results(self, operations: np.ndarray) -> np.ndarray:
        """Results of the component; each comes exactly when it should."""
        cycles, rows = self.run(operations)
        early, late = rows[rows["o_found__valid"] == 1], rows[rows["o__valid"] == 1]
        assert (late["cycle"] - late["cycle"][0] == cycles).all()
        get = self.model.get
        assert (get(late, "o__payload", "context") == np.arange(len(late)) % (1 << CONTEXT)).all()
        assert (get(late, "o__payload", "operation") == operations["operation"]).all()
        results = np.zeros(len(late), RESULT)
        for bit, flag in enumerate(FLAGS):
            results["flags"] |= get(late, "o__payload", f"is_{flag}").astype(np.int64) << bit
        for name in ORDER:
            results[name] = get(late, "o__payload", f"order.{name}")
        for name in ("taken", "left"):
            results[name] = get(late, "o__payload", name)
        results["stash"] = late["stash"]
        found = late[results["flags"] & FOUND != 0]
        assert (early["cycle"] + 1 == found["cycle"]).all()
        for name in ("context", *(f"order.{name}" for name in ORDER)) if len(early) else ():
            assert (get(early, "o_found__payload", name) == get(found, "o__payload", name)).all()
        return results


def compare(card: Card, operations: np.ndarray) -> Counter:
    """Compare both from empty tables on; return how often each flag was set, and the fullest stash.

    Fields are compared where they mean something.
    """
    card.restart()
    expected, found = kernel_results(card.geometry, operations), card.results(operations)
    has_order = (expected["flags"] & (FOUND | PLACED)) != 0
    is_found = expected["flags"] & FOUND != 0
    for name in RESULT.names:
        rows = slice(None)
        if name in (*ORDER, "taken", "left"):
            rows = has_order if name in ORDER else is_found
        wrong = np.flatnonzero(expected[name][rows] != found[name][rows])
        if len(wrong):
            number = np.arange(len(operations))[rows][wrong[0]]
            raise AssertionError(f"operation {number}, {name}: {found[number]}, not "
                                 f"{expected[number]}, after\n"
                                 f"{operations[max(0, number - 6):number + 1]}")
    seen = Counter({flag: int((expected["flags"] >> bit & 1).sum())
                    for bit, flag in enumerate(FLAGS)})
    seen["stash"] = int(expected["stash"].max())
    return seen
